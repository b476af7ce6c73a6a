/* i;unicode-casemap. The sum over all of Unicode comes from Python's Unicode
 * data (14.0), by the rules and not by our tables. */
#include "mail/casemap.h"

#include <stdlib.h>

#include "base/text.h"
#include "messages.h"
#include "t.h"

static uint8_t out_space[1000];

static void check(const char *in, const char *expected)
{
	struct bytes all = bytes_of(in);

	for (size_t piece = 1; piece < 20; piece++) {
		struct casemap c;
		size_t len = 0, at = 0;
		struct buf out;

		casemap_begin(&c);
		while (at < all.len) {
			buf_init(&out, out_space + len, CASEMAP_MAX);
			at += casemap_push(&c, bytes_part(all, at, piece), &out);
			len += out.len;
		}
		buf_init(&out, out_space + len, CASEMAP_MAX);
		T_OK(casemap_end(&c, &out));
		T_BYTES(out_space, len + out.len, expected);
	}
}

T_TEST(folds)
{
	check("Hello, World 123 [\\]^_`{|}~@", "HELLO, WORLD 123 [\\]^_`{|}~@");
	check("", "");
	check("a", "A");
	check("stra\xc3\x9f"
	      "e",
		"STRA\xc3\x9f"
		"E"); /* no simple mapping */
	check("\xc3\xa9", "E\xcc\x81"); /* e with acute */
	check("e\xcc\x81", "E\xcc\x81"); /* the same decomposed */
	check("\xc7\x86", "DZ\xcc\x8c"); /* dz with caron */
	check("\xce\xa3\xcf\x83\xcf\x82", "\xce\xa3\xce\xa3\xce\xa3"); /* sigma, small, final */
	check("\xd0\x96\xd0\xb6\xd0\x81\xd1\x91", "\xd0\x96\xd0\x96\xd0\x95\xcc\x88\xd0\x95\xcc\x88"); /* Cyrillic */
	check("\xef\xbc\xa1\xef\xbd\x81", "AA"); /* full width */
	check("\xef\xac\x83", "FFI"); /* a ligature */
	check("\xea\xb0\x81", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8"); /* Hangul GAG */
	check("\xea\xb0\x80", "\xe1\x84\x80\xe1\x85\xa1"); /* Hangul GA */
	check("\xc2\xa0", " "); /* no-break space */
	check("\xe2\x84\xaa", "K"); /* Kelvin */
	check("\xf0\x90\x90\xa8", "\xf0\x90\x90\x80"); /* Deseret */
	check("\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x97\xa5\xe6\x9c\xac");
	check("\xf0\x9d\x90\x9a", "A"); /* mathematical bold a */
}

#define NO "\xef\xbf\xbd"

T_TEST(not_utf8)
{
	check("a\xe4"
	      "b",
		"A" NO "B");
	check("\xe2\x82", NO);
	check("\xe2\x82x", NO "X");
	check("\xed\xa0\x80", NO NO NO);
	check("\xf0\x9f\x98", NO);
	check("\xc0\x80", NO NO);
	check("\xf4\x90\x80\x80", NO NO NO NO);
	check("\xe2\xe2\x82\xac", NO "\xe2\x82\xac");
}

T_TEST(all_of_unicode)
{
	static uint8_t all[8000000];
	size_t n = 0;

	for (uint32_t code = 0; code < 0x110000; code++) {
		struct casemap c;
		uint8_t utf8[4];
		struct buf out;

		if (code >= 0xD800 && code < 0xE000)
			continue;
		casemap_begin(&c);
		buf_init(&out, all + n, sizeof all - n);
		(void)casemap_push(&c, bytes_make(utf8, text_utf8_encode(code, utf8)), &out);
		T_OK(out.len <= CASEMAP_MAX);
		n += out.len;
		all[n++] = '\n';
	}
	T_EQ(messages_crc(all, n, 0), 0x9a2dedf6);
}

T_TEST(what_does_not_fit_is_told)
{
	struct buf out;

	buf_init(&out, out_space, 5);
	T_OK(!casemap_fold(bytes_of("abcdefgh"), &out));
	T_BYTES(out_space, out.len, "ABCDE");
	buf_init(&out, out_space, 100);
	T_OK(casemap_fold(bytes_of("abcdefgh\xc3\xa9"), &out));
	T_BYTES(out_space, out.len, "ABCDEFGHE\xcc\x81");
}

T_MAIN(T_RUN(folds) T_RUN(not_utf8) T_RUN(all_of_unicode) T_RUN(what_does_not_fit_is_told))
