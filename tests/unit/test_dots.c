#include "mta/dots.h"

#include <stdint.h>

#include "t.h"

/* Reads `in` cut at `cut` (and every byte alone when each is true); the text
 * goes to out. Returns how many bytes were taken up to the end, 0 without one. */
static size_t decode(const char *in, size_t len, size_t cut, bool each, char *out, size_t *out_len)
{
	struct dots d;
	size_t at = 0;

	dots_begin(&d);
	*out_len = 0;
	while (at < len) {
		size_t stop = each ? at + 1 : at < cut ? cut : len;
		struct bytes text;
		bool end;
		size_t n = dots_take(&d, bytes_make(in + at, stop - at), &text, &end);

		T_OK(n <= stop - at);
		T_OK(n || text.len);
		memcpy(out + *out_len, text.data ? text.data : (const uint8_t *)"", text.len);
		*out_len += text.len;
		at += n;
		if (end)
			return at;
	}
	return 0;
}

/* RFC 5321 4.5.2 word for word over the whole input at once: the end is the
 * first line that is a dot alone, and of every other line that starts with a
 * dot the dot goes. Lines end with CRLF. */
static size_t by_the_rfc(const char *in, size_t len, char *out, size_t *out_len)
{
	size_t line = 0;

	*out_len = 0;
	while (line < len) {
		size_t end = line;

		while (end + 1 < len && !(in[end] == '\r' && in[end + 1] == '\n'))
			end++;
		if (end + 1 >= len)
			return 0; /* no whole line: not asked for here */
		if (end == line + 1 && in[line] == '.')
			return end + 2;
		if (in[line] == '.')
			line++;
		memcpy(out + *out_len, in + line, end + 2 - line);
		*out_len += end + 2 - line;
		line = end + 2;
	}
	return 0;
}

static void both_agree(const char *in, size_t len)
{
	char expected[64], got[64];
	size_t expected_len, got_len;
	size_t end = by_the_rfc(in, len, expected, &expected_len);

	for (size_t cut = 0; cut <= len; cut++) {
		T_EQ(decode(in, len, cut, cut == len, got, &got_len), end);
		T_EQ(got_len, expected_len);
		T_EQ(memcmp(got, expected, got_len), 0);
	}
}

/* Every string of up to 7 bytes of the four that matter, before an end. */
T_TEST(every_short_text_at_every_split)
{
	static const char alphabet[4] = { '\r', '\n', '.', 'a' };

	for (size_t len = 0; len <= 7; len++) {
		for (uint32_t code = 0; code < 1u << (2 * len); code++) {
			char in[16];

			for (size_t i = 0; i < len; i++)
				in[i] = alphabet[code >> (2 * i) & 3];
			memcpy(in + len, "\r\n.\r\n", 5);
			both_agree(in, len + 5);
		}
	}
}

/* What has been taken for an end elsewhere: none of it is one. */
T_TEST(smuggled_ends_are_text)
{
	static const char *const fakes[] = { "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r",
		"\r.\n", "\r\n\0.\r\n", "\r\n.\r\r\n", "\r\n\r.\r\n" };

	for (size_t i = 0; i < sizeof fakes / sizeof fakes[0]; i++) {
		char in[64] = "a", out[64];
		size_t len = 1, out_len, fake = fakes[i][2] == 0 && fakes[i][1] == '\n' ? 6 : strlen(fakes[i]);

		memcpy(in + len, fakes[i], fake);
		len += fake;
		memcpy(in + len, "b\r\n.\r\n", 6);
		len += 6;
		for (size_t cut = 0; cut <= len; cut++)
			T_EQ(decode(in, len, cut, cut == len, out, &out_len), len);
	}
}

T_TEST(empty_message)
{
	char out[8];
	size_t len;

	T_EQ(decode(".\r\nQUIT\r\n", 9, 0, false, out, &len), 3);
	T_EQ(len, 0);
}

T_TEST(stuffed_dots)
{
	char out[64];
	size_t len;
	const char *in = "..one\r\na.b\r\n..\r\n.two\r\n...\r\n.\r\n";

	T_EQ(decode(in, strlen(in), 0, false, out, &len), strlen(in));
	T_BYTES(out, len, ".one\r\na.b\r\n.\r\ntwo\r\n..\r\n");
}

T_TEST(other_bytes_stay)
{
	char out[64];
	size_t len;
	static const char in[] = "a\0b\n.c\rd\n\n\xff\r\n.\r\n";

	T_EQ(decode(in, sizeof in - 1, 0, false, out, &len), sizeof in - 1);
	T_EQ(len, sizeof in - 1 - 3);
	T_EQ(memcmp(out, in, len), 0);
}

T_MAIN(T_RUN(every_short_text_at_every_split) T_RUN(smuggled_ends_are_text) T_RUN(empty_message) T_RUN(stuffed_dots)
		T_RUN(other_bytes_stay))
