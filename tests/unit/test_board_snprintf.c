/* The board's snprintf against libc's, format by format. */
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#define snprintf board_snprintf
#define vsnprintf board_vsnprintf
int board_snprintf(char *restrict to, size_t cap, const char *restrict format, ...);
int board_vsnprintf(char *restrict to, size_t cap, const char *restrict format, va_list list);
#include "../../board/mipsel/snprintf.c"
#undef snprintf
#undef vsnprintf

#include "t.h"

/* Formats are data here. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat"

#define SAME(format, ...) \
	do { \
		char t_a[200], t_b[200]; \
		for (size_t t_cap = 0; t_cap <= sizeof t_a; t_cap += t_cap < 12 ? 1 : 94) { \
			memset(t_a, 'a', sizeof t_a); \
			memset(t_b, 'a', sizeof t_b); \
			int t_na = board_snprintf(t_a, t_cap, format, __VA_ARGS__); \
			int t_nb = snprintf(t_b, t_cap, format, __VA_ARGS__); \
			if (t_na != t_nb || memcmp(t_a, t_b, sizeof t_a) != 0) \
				T_FAIL("\"%s\" in %zu: %d \"%.40s\", libc %d \"%.40s\"", format, t_cap, t_na, \
					t_cap ? t_a : "", t_nb, t_cap ? t_b : ""); \
		} \
	} while (0)

/* Every mix of flags, width, precision and one conversion. */
static void mix(char *format, unsigned flags, const char *width, const char *precision, const char *conversion)
{
	static const char letters[] = "-0+ #";
	size_t n = 0;

	format[n++] = '%';
	for (unsigned i = 0; i < 5; i++)
		if (flags & 1u << i)
			format[n++] = letters[i];
	snprintf(format + n, 32 - n, "%s%s%s|", width, precision, conversion);
}

T_TEST(integers)
{
	static const int values[] = { 0, 1, -1, 7, 8, 255, 65536, -100000, INT_MAX, INT_MIN };
	static const char *const widths[] = { "", "1", "6", "14" };
	static const char *const precisions[] = { "", ".", ".0", ".3", ".12" };
	static const char *const kinds[] = { "d", "i", "u", "x", "X", "o", "hd", "hhd", "hu", "hhx" };
	char format[40];

	for (unsigned flags = 0; flags < 32; flags++)
		for (size_t w = 0; w < 4; w++)
			for (size_t p = 0; p < 5; p++)
				for (size_t k = 0; k < 10; k++)
					for (size_t v = 0; v < 10; v++) {
						mix(format, flags, widths[w], precisions[p], kinds[k]);
						SAME(format, values[v]);
					}
}

T_TEST(lengths)
{
	SAME("%ld %lu %lx", LONG_MIN, ULONG_MAX, 0xDEADBEEFul);
	SAME("%lld %llu %llX", LLONG_MIN, ULLONG_MAX, 0x123456789ABCDEFull);
	SAME("%zu %zd %jd %ju %td", SIZE_MAX, (ptrdiff_t)-5, INTMAX_MIN, UINTMAX_MAX, (ptrdiff_t)77);
	SAME("%" PRIu64 " %" PRId64 " %016" PRIx64, UINT64_MAX, INT64_MIN, (uint64_t)0xABC);
}

T_TEST(texts)
{
	char open[3] = { 'a', 'b', 'c' }; /* no NUL: the precision must stop the reading */

	SAME("%s|%5s|%-5s|%.2s|%8.3s|%-8.3s|", "mail", "ab", "ab", "abcdef", "abcdef", "abcdef");
	SAME("%.3s|%.*s|%.*s|", open, 2, open, 0, "x");
	SAME("%*s|%*s|%-*d|%0*d|%.*d", 6, "ab", -6, "ab", 5, 42, 5, 42, 4, 42);
	SAME("%.*s|%.*d", -1, "whole", -1, 5);
	SAME("%c%c|%3c|%-3c|", 'a', 'z', 'b', 'b');
	SAME("100%% of %s", "it");
	SAME("%s", "");
	SAME("%p", (void *)&open);
	SAME("plain%c", '.');
}

T_MAIN(T_RUN(integers) T_RUN(lengths) T_RUN(texts))
