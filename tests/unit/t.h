/* The unit test header: one program per tested source file. A test is a
 * function made with T_TEST; T_MAIN lists them. A failed check prints place and
 * values and ends that test only. Every program ends with "N passed, N failed".
 *
 *     T_TEST(adds) { T_EQ(2 + 2, 4); }
 *     T_MAIN(T_RUN(adds))
 *
 * An argument runs only the tests whose name contains it. */
#ifndef TESTS_T_H
#define TESTS_T_H

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

static jmp_buf t_escape;
static int t_passed, t_failed;
static const char *t_filter;

#define T_TEST(name) static void test_##name(void)
#define T_RUN(name) t_run(#name, test_##name);

static inline void t_run(const char *name, void (*test)(void))
{
	if (t_filter && !strstr(name, t_filter))
		return;
	if (setjmp(t_escape) == 0) {
		test();
		t_passed++;
	} else {
		printf("not ok %s\n", name);
		t_failed++;
	}
}

#define T_FAIL(...) \
	do { \
		printf("# %s:%d: ", __FILE__, __LINE__); \
		printf(__VA_ARGS__); \
		printf("\n"); \
		longjmp(t_escape, 1); \
	} while (0)

#define T_OK(condition) \
	do { \
		if (!(condition)) \
			T_FAIL("%s", #condition); \
	} while (0)

/* Integers of any kind. */
#define T_EQ(got, expected) \
	do { \
		long long t_g = (long long)(got), t_e = (long long)(expected); \
		if (t_g != t_e) \
			T_FAIL("%s is %lld, expected %lld", #got, t_g, t_e); \
	} while (0)

/* A pointer and length against a C string. */
#define T_BYTES(data, size, expected) \
	do { \
		const char *t_d = (const char *)(data), *t_x = (expected); \
		size_t t_n = (size_t)(size); \
		if (t_n != strlen(t_x) || (t_n && memcmp(t_d, t_x, t_n) != 0)) \
			T_FAIL("%s is \"%.*s\", expected \"%s\"", #data, (int)t_n, t_d ? t_d : "", t_x); \
	} while (0)

#define T_MAIN(...) \
	int main(int argc, char **argv) \
	{ \
		t_filter = argc > 1 ? argv[1] : NULL; \
		__VA_ARGS__ \
		printf("%d passed, %d failed\n", t_passed, t_failed); \
		return t_failed != 0; \
	}

#endif
