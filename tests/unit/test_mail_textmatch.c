/* Search in text and in whole messages. */
#include "mail/textmatch.h"

#include <stdlib.h>

#include "base/err.h"
#include "messages.h"
#include "t.h"

static struct textmatch match;
static uint8_t summary_space[LIMIT_SUMMARY];

static void compile(const char *needle)
{
	T_EQ(textmatch_compile(&match, bytes_of(needle)), OK);
}

/* Reference: the needle at every place. */
static bool naive(const char *text, size_t len, const char *needle)
{
	size_t n = strlen(needle);

	for (size_t i = 0; i + n <= len; i++)
		if (memcmp(text + i, needle, n) == 0)
			return true;
	return n == 0;
}

T_TEST(finds_across_pieces)
{
	char text[40], needle[7];
	uint32_t seed = 5;
	unsigned found = 0;

	for (int round = 0; round < 50000; round++) {
		size_t n = 1 + (size_t)round % 6, len = sizeof text;
		bool want, got = false;

		for (size_t i = 0; i < len; i++) {
			seed = seed * 1664525 + 1013904223;
			text[i] = (char)('A' + (seed >> 28) % 3);
		}
		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			needle[i] = (char)('A' + (seed >> 28) % 3);
		}
		needle[n] = 0;
		want = naive(text, len, needle);
		found += want;
		compile(needle);
		for (size_t at = 0; at < len && !got; at += 1 + (size_t)round % 5)
			got = textmatch_push(&match, bytes_part(bytes_make(text, len), at, 1 + (size_t)round % 5));
		T_EQ(got, want);
	}
	T_OK(found > 1000 && found < 49000);
}

T_TEST(needles)
{
	char longest[TEXTMATCH_NEEDLE_MAX + 2];

	memset(longest, 'x', sizeof longest);
	T_EQ(textmatch_compile(&match, bytes_make(longest, TEXTMATCH_NEEDLE_MAX)), OK);
	T_OK(textmatch_text(&match, bytes_make(longest, sizeof longest)));
	T_EQ(textmatch_compile(&match, bytes_make(longest, TEXTMATCH_NEEDLE_MAX + 1)), E_LIMIT);
	T_EQ(textmatch_compile(&match, bytes_of("a\xff")), E_SYNTAX);
	compile("");
	T_OK(textmatch_text(&match, bytes_of("")));
	compile("x");
	T_OK(!textmatch_text(&match, bytes_of("")));
	T_OK(textmatch_text(&match, bytes_of("abX")));
	textmatch_reset(&match);
	T_OK(!textmatch_text(&match, bytes_of("ab")));
}

T_TEST(values_are_searched_by_themselves)
{
	compile("ab");
	T_OK(!textmatch_text(&match, bytes_of("xa")));
	T_OK(!textmatch_text(&match, bytes_of("bx")));
	T_OK(!textmatch_header(&match, bytes_of("a")));
	T_OK(!textmatch_header(&match, bytes_of("b")));
	T_OK(!textmatch_header(&match, bytes_of("a")));
	T_OK(textmatch_header_more(&match, bytes_of("b")));
}

T_TEST(headers_are_decoded)
{
	compile("gr\xc3\xbc\xc3\x9f dich");
	T_OK(textmatch_header(&match, bytes_of("=?iso-8859-1?q?Gr=FC=DF?= Dich")));
	textmatch_reset(&match);
	T_OK(textmatch_header(&match, bytes_of("=?utf-8?B?R1LDnMOf?=\r\n DICH")));
	textmatch_reset(&match);
	T_OK(!textmatch_header(&match, bytes_of("gruss dich")));
	compile("\xe4\xb8\x96\xe7\x95\x8c");
	T_OK(textmatch_header(&match, bytes_of("=?ISO-2022-JP?B?GyRCQCQzJhsoQg==?=")));
}

/* Searches a message in pieces of any size; they must agree. */
static bool search(const uint8_t *data, size_t len, const char *needle, bool headers)
{
	static const size_t pieces[] = { 1, 7, 100, 100000 };
	static struct summary_parser parser;
	struct summary s;
	int last = -1;

	summary_begin(&parser, summary_space, sizeof summary_space);
	summary_push(&parser, data, len);
	T_EQ(summary_open(&s, summary_end(&parser)), OK);
	compile(needle);
	for (size_t i = 0; i < 5; i++) {
		struct body_search b;
		bool found = false;
		size_t at = 0;

		textmatch_reset(&match);
		body_search_begin(&b, &match, &s, headers);
		while (at < len && !found) {
			size_t n = i < 4 ? pieces[i] : 50;

			if (i == 4) { /* with all that does not matter left out */
				at = body_search_wants(&b);
				if (at >= len)
					break;
				body_search_seek(&b, (uint32_t)at);
			}
			found = body_search_push(&b, bytes_part(bytes_make(data, len), at, n));
			at += n;
		}
		found = found || body_search_end(&b);
		if (last >= 0)
			T_EQ(found, last);
		last = found;
	}
	return last;
}

static void expect(const char *name, const char *needle, bool in_body, bool in_text)
{
	size_t len;
	uint8_t *data = messages_read(name, &len);

	T_OK(data != NULL);
	if (search(data, len, needle, false) != in_body)
		T_FAIL("BODY \"%s\" in %s is %d", needle, name, !in_body);
	if (search(data, len, needle, true) != in_text)
		T_FAIL("TEXT \"%s\" in %s is %d", needle, name, !in_text);
	free(data);
}

T_TEST(messages)
{
	expect("plain", "HELLO", true, true);
	expect("plain", "ann@example", false, true);
	expect("plain", "From: ann", false, true);
	expect("plain", "hello.\r\nmore", false, false);
	expect("empty-fields", "", true, true);
	expect("qp-body",
		"gr\xc3\xbc\xc3\x9f"
		"e folded = sign",
		true, true);
	expect("qp-body", "=C3", false, false);
	expect("base64-body",
		"gr\xc3\xbc\xc3\x9f"
		"e and more",
		true, true);
	expect("base64-body", "R3LDvMOf", false, false);
	expect("html-body", "visible\xc2\xa0& text next", true, true);
	expect("html-body", "t\xc3\xa4st", true, true);
	expect("html-body", "secret", false, false);
	expect("html-body", "hidden", false, false);
	expect("html-body", "comment", false, false);
	expect("iso2022jp-word-subject",
		"\xe3\x81\x93\xe3\x82\x93\xe3\x81\xab\xe3\x81\xa1\xe3\x81\xaf\xe4\xb8\x96\xe7\x95\x8c", false, true);
	expect("iso2022jp-raw-subject", "\xe4\xb8\x96\xe7\x95\x8c", true, true);
	expect("shiftjis-raw-subject", "\xe8\xa1\xa8\xe7\xa4\xba", true, true);
	expect("eight-bit-header", "\xc3\x84\xc3\x96", true, true); /* body in ISO-8859-1, case folded */
	expect("rfc2231-charset", "\xc3\xa4 b.txt", false, true);
	expect("rfc2231-pieces-encoded",
		"\xc3\xa4"
		"100% \xc3\xb6.txt",
		false, true);
	expect("folded", "subject: one  two\tthree", false, true);
}

T_TEST(parts_of_messages)
{
	expect("multi-nested-3", "\xc3\xa4", true, true); /* quoted-printable three levels down */
	expect("multi-nested-3", "GIF89", false, false); /* an image is no text */
	expect("multi-nested-3", "x.gif", false, true);
	expect("multi-nested-3", "%PDF", false, false);
	expect("multi-mixed", "preamble", false, false);
	expect("multi-mixed", "epilogue", false, false);
	expect("multi-mixed", "first", true, true);
	expect("multi-mixed", "second", true, true);
	expect("rfc822-in-rfc822", "inmost", true, true); /* headers of messages inside are body */
	expect("rfc822-in-rfc822", "the end", true, true);
	expect("rfc822-base64", "body", false, false);
	expect("digest", "subject: two", true, true);
	expect("multi-report", "action: failed", true, true);
	expect("multi-report", "subject: gone", true, true);
}

T_TEST(long_fields)
{
	static char text[20000];
	size_t n = (size_t)sprintf(text, "X-A: ");

	for (int i = 0; n < 9000; i++)
		n += (size_t)sprintf(text + n, "word%d =?utf-8?Q?=C3=A4%d?=\r\n =?utf-8?Q?_x?= ", i, i);
	sprintf(text + n, "\r\nTo: a\r\nB: c\r\n\r\nbody");
	n = strlen(text);
	for (int i = 0; i < 196; i++) {
		char needle[100];

		snprintf(needle, sizeof needle, "word%d \xc3\x84%d x word%d", i, i, i + 1);
		if (!search((const uint8_t *)text, n, needle, true))
			T_FAIL("%s", needle);
	}
	T_OK(!search((const uint8_t *)text, n, "aB", true)); /* not from one field into the next */
}

/* Any message, any needle: it ends, and pieces do not matter. */
T_TEST(all_messages)
{
	static char names[MESSAGES_MAX][128];
	size_t n = messages_list(names);

	for (size_t i = 0; i < n; i++) {
		size_t len;
		uint8_t *data = messages_read(names[i], &len);

		(void)search(data, len, "nowhere to be found", true);
		(void)search(data, len, "b", false);
		free(data);
	}
}

T_MAIN(T_RUN(finds_across_pieces) T_RUN(needles) T_RUN(values_are_searched_by_themselves) T_RUN(headers_are_decoded)
		T_RUN(messages) T_RUN(parts_of_messages) T_RUN(long_fields) T_RUN(all_messages))
