/* Transfer encodings, encoded words and HTML. Examples are those of RFC 2045,
 * 2047, 2231 and 4648 where they have any. */
#include "mail/decode.h"

#include <stdlib.h>

#include "base/err.h"
#include "mail/html.h"
#include "t.h"

static uint8_t out_space[100000];

static struct bytes decode(enum decode_encoding encoding, struct bytes in, size_t piece, size_t room)
{
	struct decoder d;
	size_t len = 0, at = 0;
	struct buf out;
	bool done;

	decoder_begin(&d, encoding);
	while (at < in.len) {
		buf_init(&out, out_space + len, room);
		at += decoder_push(&d, bytes_part(in, at, piece), &out);
		len += out.len;
	}
	do {
		buf_init(&out, out_space + len, room);
		done = decoder_end(&d, &out);
		len += out.len;
	} while (!done);
	return bytes_make(out_space, len);
}

static void check(enum decode_encoding encoding, const char *in, const char *expected)
{
	for (size_t piece = 1; piece < 12; piece++) {
		for (size_t room = 2; room < 12; room++) {
			struct bytes b = decode(encoding, bytes_of(in), piece, room);

			T_BYTES(b.data, b.len, expected);
		}
	}
}

T_TEST(base64)
{
	static const char *const vectors[][2] = {
		/* RFC 4648 section 10 */
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
	};

	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		uint8_t space[20];
		struct buf out;

		check(DECODE_BASE64, vectors[i][1], vectors[i][0]);
		buf_init(&out, space, sizeof space);
		T_OK(base64_encode(bytes_of(vectors[i][0]), &out));
		T_BYTES(space, out.len, vectors[i][1]);
		buf_reset(&out);
		T_EQ(base64_decode(bytes_of(vectors[i][1]), &out), OK);
		T_BYTES(space, out.len, vectors[i][0]);
	}
	check(DECODE_BASE64, "Zm9v\r\nYm\r\nFy", "foobar");
	check(DECODE_BASE64, "Zm9vYg==Zm9v", "foobfoo"); /* two joined */
	check(DECODE_BASE64, "Zm9vYg", "foob"); /* cut off */
	check(DECODE_BASE64, "Zm9vY", "foo");
	check(DECODE_BASE64, "Z-m.9\x80v", "foo");
	check(DECODE_BASE64, "====Zm9v", "foo");
	check(DECODE_BASE64, "//++", "\xff\xff\xbe");
}

T_TEST(base64_tells_about_its_end)
{
	static const struct {
		const char *in;
		bool clean;
	} cases[] = { { "Zm9v", true }, { "Zg==", true }, { "Zg== \r\n", true }, { "Zg", false }, { "Z*g==", false },
		{ "Z===", false } };

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct base64_decoder d;
		struct buf out;

		base64_begin(&d);
		buf_init(&out, out_space, 100);
		(void)base64_push(&d, bytes_of(cases[i].in), &out);
		T_EQ(base64_end(&d), cases[i].clean);
	}
}

T_TEST(base64_for_sasl_is_strict)
{
	static const char *const bad[] = { "Zg", "Zg=", "Z===", "Zm9v\n", "Zh==", "Zg==Zg==", "=", "Zm9*", " Zg==" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t space[20];
		struct buf out;

		buf_init(&out, space, sizeof space);
		if (base64_decode(bytes_of(bad[i]), &out) != E_SYNTAX)
			T_FAIL("%s is taken", bad[i]);
		T_EQ(out.len, 0);
	}
}

T_TEST(quoted_printable)
{
	/* RFC 2045 section 6.7 */
	check(DECODE_QP, "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
		"Now's the time for all folk to come to the aid of their country.");
	check(DECODE_QP, "=41=3D=e4=C3\n", "A=\xe4\xc3\n");
	check(DECODE_QP, "a  \t\r\nb \nc ", "a\r\nb\nc");
	check(DECODE_QP, "a =  \r\nb=\t\nc", "a bc");
	check(DECODE_QP, "=", "");
	check(DECODE_QP, "a=\r", "a");
	check(DECODE_QP, "=X =4 =4", "=X =4 =4");
	check(DECODE_QP, "==41 =\rx", "=A =\rx");
	check(DECODE_QP, "a \rb \r", "a \rb \r");
	check(DECODE_QP, "\xe4 \r\n", "\xe4\r\n");
}

T_TEST(many_blanks)
{
	char in[1000], expected[1000];

	for (size_t n = 100; n < 300; n += 7) {
		struct bytes b;

		memset(in, ' ', sizeof in);
		in[0] = 'a';
		in[n] = 'b';
		in[n + 1] = 0;
		memcpy(expected, in, n + 2);
		b = decode(DECODE_QP, bytes_of(in), 13, 50);
		T_BYTES(b.data, b.len, expected);
	}
}

T_TEST(encoding_names)
{
	T_EQ(decode_encoding(bytes_make(NULL, 0)), DECODE_IDENTITY);
	T_EQ(decode_encoding(bytes_of("8BIT")), DECODE_IDENTITY);
	T_EQ(decode_encoding(bytes_of("Base64")), DECODE_BASE64);
	T_EQ(decode_encoding(bytes_of("quoted-Printable")), DECODE_QP);
	T_EQ(decode_encoding(bytes_of("x-uuencode")), DECODE_UNKNOWN);
	check(DECODE_UNKNOWN, "as it =41 is", "as it =41 is");
}

static void words(const char *in, const char *expected)
{
	struct buf out;

	buf_init(&out, out_space, 1000);
	T_OK(decode_words(bytes_of(in), &out));
	T_BYTES(out_space, out.len, expected);
	for (size_t room = 0; room < strlen(expected); room++) {
		buf_init(&out, out_space, room);
		T_OK(!decode_words(bytes_of(in), &out));
		if (out.len > strlen(expected) || memcmp(out_space, expected, out.len) != 0)
			T_FAIL("%s cut to %zu", in, room);
	}
}

T_TEST(encoded_words)
{
	/* RFC 2047 section 8 */
	words("=?ISO-8859-1?Q?a?=", "a");
	words("=?ISO-8859-1?Q?a?= b", "a b");
	words("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab");
	words("=?ISO-8859-1?Q?a?=  \r\n =?ISO-8859-1?Q?b?=", "ab");
	words("=?ISO-8859-1?Q?a_b?=", "a b");
	words("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b");
	words("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld J\xc3\xb8rn Simonsen");
	words("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
	      " =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
		"If you can read this you understand the example.");
	/* RFC 2231 section 5 */
	words("=?US-ASCII*EN?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>");
	words("=?ISO-2022-JP?B?GyRCJDMkcyRLJEEkTxsoQg==?=\r\n =?ISO-2022-JP?B?GyRCQCQzJhsoQg==?=",
		"\xe3\x81\x93\xe3\x82\x93\xe3\x81\xab\xe3\x81\xa1\xe3\x81\xaf\xe4\xb8\x96\xe7\x95\x8c");
	words("=?Shift_JIS?B?grGC8YLJgr+CzQ==?=\r\n =?Shift_JIS?Q?=83=41?=",
		"\xe3\x81\x93\xe3\x82\x93\xe3\x81\xab\xe3\x81\xa1\xe3\x81\xaf\xe3\x82\xa2");
}

T_TEST(sloppy_words)
{
	words("=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "\xc3\xa4"); /* a character cut in two */
	words("=?utf-8?Q?=C3?= x", "\xef\xbf\xbd x");
	words("a=?utf-8?Q?b?=c", "abc");
	words("=?utf-8?Q?a b?=", "a b");
	words("=?utf-8?B?YWJj?=\t=?utf-8?Q?d?= =?x-none?Q?e?= f", "abcd =?x-none?Q?e?= f");
	words("=?utf-8?X?bad?= =?utf-8?Q?open", "=?utf-8?X?bad?= =?utf-8?Q?open");
	words("=?utf-8?Q?"
	      "?=",
		"");
	words("=?utf-8?Q?=4?= =?utf-8?Q?=4G?=", "=4=4G");
	words("=?=?utf-8?Q?a?=", "=?a");
	words("?==?", "?==?");
	words("raw \xc3\xa4 and \xe4", "raw \xc3\xa4 and \xef\xbf\xbd");
	words("one\r\n two\n\tthree", "one two\tthree");
	words("", "");
}

T_TEST(extended_parameters)
{
	static const char *const cases[][2] = {
		/* RFC 2231 section 4 */
		{ "us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "This is ***fun***" },
		{ "utf-8''%C3%A4.txt", "\xc3\xa4.txt" },
		{ "iso-8859-1'de'%e4", "\xc3\xa4" },
		{ "''100%25", "100%" },
		{ "no quotes %41", "no quotes A" },
		{ "x-none''%41", "A" },
		{ "utf-8''%4", "%4" },
	};
	struct buf out;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		buf_init(&out, out_space, 1000);
		T_OK(decode_extended(bytes_of(cases[i][0]), &out));
		T_BYTES(out_space, out.len, cases[i][1]);
	}
}

static void html(const char *in, const char *expected)
{
	for (size_t piece = 1; piece < 30; piece += 4) {
		for (size_t room = HTML_ROOM; room < 60; room += 9) {
			struct bytes all = bytes_of(in);
			struct html_text h;
			size_t len = 0, at = 0;
			struct buf out;

			html_begin(&h);
			while (at < all.len) {
				buf_init(&out, out_space + len, room);
				at += html_push(&h, bytes_part(all, at, piece), &out);
				len += out.len;
			}
			buf_init(&out, out_space + len, HTML_ROOM);
			T_OK(html_end(&h, &out));
			T_BYTES(out_space, len + out.len, expected);
		}
	}
}

T_TEST(html_text)
{
	html("a<b>b</b>c", "abc");
	html("a<br>b<p class=\"x>y\">c</p>", "a b c ");
	html("<!-- <b>no</b> - -- -->yes", "yes");
	html("<!DOCTYPE html><title>T</title>", "  T ");
	html("x<script>if (a<b && c>d) '</p>'</script>y", "x y");
	html("x<STYLE type='a'>p { }</STYLE>y", "x y");
	html("&lt;&amp;&gt;&quot;&#65;&#x42;&auml;&nbsp;&euro;", "<&>\"AB\xc3\xa4\xc2\xa0\xe2\x82\xac");
	html("&Auml&auml x&y;&;&#;&#xD800;&#1114112;", "\xc3\x84\xc3\xa4 x&y;&;&#;\xef\xbf\xbd\xef\xbf\xbd");
	html("1 < 2 <3 a&b &averyverylongname;", "1 < 2 <3 a&b &averyverylongname;");
	html("a<unfinished", "a");
	html("&amp", "&");
	html("<a href='x'>link</a><td>cell", "link cell");
}

T_MAIN(T_RUN(base64) T_RUN(base64_tells_about_its_end) T_RUN(base64_for_sasl_is_strict) T_RUN(quoted_printable)
		T_RUN(many_blanks) T_RUN(encoding_names) T_RUN(encoded_words) T_RUN(sloppy_words)
			T_RUN(extended_parameters) T_RUN(html_text))
