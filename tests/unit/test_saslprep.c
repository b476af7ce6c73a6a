#include "tests/unit/t.h"

#include "account/saslprep.h"
#include "base/err.h"

static char space[64];
static struct buf out;

static int prepare(const char *in)
{
	buf_init(&out, space, sizeof space);
	return saslprep(bytes_of(in), &out);
}

#define T_PREPARED(in, expected) \
	do { \
		T_EQ(prepare(in), OK); \
		T_BYTES(out.data, out.len, expected); \
	} while (0)

/* RFC 4013 section 3, but for the two that need Unicode's tables. */
T_TEST(rfc_examples)
{
	T_PREPARED("I\xC2\xADX", "IX");
	T_PREPARED("user", "user");
	T_PREPARED("USER", "USER");
	T_PREPARED("\xC2\xAA", "a");
	T_EQ(prepare("\x07"), E_SYNTAX);
}

/* Expected values: unicodedata.normalize("NFKC", ...) of Python. */
T_TEST(maps)
{
	T_PREPARED("a\xC2\xA0"
		   "b\xE3\x80\x80"
		   "c\xE2\x80\x8B"
		   "d",
		"a b c d"); /* no-break, ideographic, zero width */
	T_PREPARED("\xEF\xBB\xBFx\xE2\x80\x8Dy\xEF\xB8\x8F", "xy");
	T_PREPARED("\xEF\xBC\xA1\xEF\xBD\x82\xEF\xBC\x91\xEF\xBD\x9E", "Ab1~"); /* full-width */
	T_PREPARED("\xC2\xBC\xC2\xB2\xC2\xB5",
		"1\xE2\x81\x84"
		"42\xCE\xBC");
	T_PREPARED("M\xC3\xBCller \xE2\x82\xAC \xF0\x9F\x90\x88", "M\xC3\xBCller \xE2\x82\xAC \xF0\x9F\x90\x88");
	T_PREPARED("", "");
}

T_TEST(refuses)
{
	static const char *const bad[] = {
		"a\x7F", "\xC2\x85", "\xE2\x80\xA8", "\xEE\x80\x80" /* private use */, "\xF0\x9F\xBF\xBE" /* U+1FFFE */,
		"\xEF\xB7\x90", "\xEF\xBF\xBD", "\xE2\x80\x8E", "\xF3\xA0\x80\x81", "\xF4\x8F\xBF\xBD",
		"\xFC" /* Latin-1 */, "\xC3", "\xC0\x80", "\xED\xA0\x80",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		T_EQ(prepare(bad[i]), E_SYNTAX);
}

T_TEST(grows_no_more_than_it_says)
{
	char in[24];

	for (size_t i = 0; i < sizeof in; i += 2)
		memcpy(in + i, "\xC2\xBC", 2);
	buf_init(&out, space, sizeof in * SASLPREP_GROWTH / 2);
	T_EQ(saslprep(bytes_make(in, sizeof in), &out), OK);
	buf_init(&out, space, sizeof in * SASLPREP_GROWTH / 2 - 1);
	T_EQ(saslprep(bytes_make(in, sizeof in), &out), E_LIMIT);
}

T_MAIN(T_RUN(rfc_examples) T_RUN(maps) T_RUN(refuses) T_RUN(grows_no_more_than_it_says))
