#include "control/words.h"

#include "base/err.h"
#include "t.h"

static uint8_t space[256];
static struct bytes words[WORDS_MAX];

T_TEST(plain_words)
{
	T_EQ(words_cut(bytes_of("IMPORT anna - SR 17"), space, words), 5);
	T_BYTES(words[0].data, words[0].len, "IMPORT");
	T_BYTES(words[1].data, words[1].len, "anna");
	T_EQ(words[2].len, 0);
	T_BYTES(words[4].data, words[4].len, "17");
}

T_TEST(escaped_bytes)
{
	T_EQ(words_cut(bytes_of("a%20b%25 %2d %2D %c3%A4"), space, words), 4);
	T_BYTES(words[0].data, words[0].len, "a b%");
	T_BYTES(words[1].data, words[1].len, "-");
	T_BYTES(words[3].data, words[3].len, "\xc3\xa4");
}

T_TEST(bad_lines)
{
	static const char *const bad[] = { "", " ", " a", "a ", "a  b", "a%", "a%2", "a%2 b", "a%zz", "a%-1", "a\tb",
		"a\rb" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (words_cut(bytes_of(bad[i]), space, words) >= 0)
			T_FAIL("taken: \"%s\"", bad[i]);
	T_EQ(words_cut(bytes_of("1 2 3 4 5 6 7 8"), space, words), 8);
	T_EQ(words_cut(bytes_of("1 2 3 4 5 6 7 8 9"), space, words), E_LIMIT);
}

T_TEST(every_byte_comes_back)
{
	uint8_t line[1024];
	struct buf out;

	for (unsigned c = 0; c < 256; c++) {
		uint8_t one[2] = { (uint8_t)c, (uint8_t)c };

		for (size_t len = 0; len <= 2; len++) {
			buf_init(&out, line, sizeof line);
			T_OK(words_put(&out, bytes_make(one, len)));
			T_EQ(words_cut(buf_bytes(&out), space, words), 1);
			T_OK(bytes_equal(words[0], bytes_make(one, len)));
		}
	}
}

T_MAIN(T_RUN(plain_words) T_RUN(escaped_bytes) T_RUN(bad_lines) T_RUN(every_byte_comes_back))
