/* The summary parser and its reader: pieces, limits, untrusted bytes. What the
 * summaries say is compared with Dovecot in test_imap_structure.c. */
#include "mail/summary.h"

#include <stdlib.h>

#include "base/err.h"
#include "messages.h"
#include "t.h"

static char names[MESSAGES_MAX][128];
static size_t n_names;
static struct summary_parser parser;
static uint8_t space_a[LIMIT_SUMMARY], space_b[LIMIT_SUMMARY];

static struct bytes parse(uint8_t *space, const uint8_t *data, size_t len, size_t piece)
{
	summary_begin(&parser, space, LIMIT_SUMMARY);
	for (size_t at = 0; at < len; at += piece) {
		/* A copy of its own size, so that a read beyond a piece is caught. */
		size_t n = len - at < piece ? len - at : piece;
		uint8_t *copy = malloc(n);

		memcpy(copy, data + at, n);
		summary_push(&parser, copy, n);
		free(copy);
	}
	return summary_end(&parser);
}

static void check_pieces(const uint8_t *data, size_t len)
{
	struct bytes whole = parse(space_a, data, len, len ? len : 1);

	for (size_t piece = 1; piece < 20; piece += piece < 4 ? 1 : 7) {
		struct bytes b = parse(space_b, data, len, piece);

		T_OK(bytes_equal(whole, b));
	}
}

T_TEST(pieces_do_not_matter)
{
	T_OK(n_names > 100);
	for (size_t i = 0; i < n_names; i++) {
		size_t len;
		uint8_t *data = messages_read(names[i], &len);

		check_pieces(data, len);
		free(data);
	}
}

T_TEST(pieces_of_long_lines_do_not_matter)
{
	static const char *const around[][2] = {
		{ "Subject: x\r\n\r\n", "\r\nend" },
		{ "X: ", "\r\nSubject: y\r\n\r\nbody" },
		{ "", ": x\r\n\r\n" },
		{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--", "\r\n--b--\r\n" },
		{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b", "\r\n\r\nin\r\n--b--\r\n" },
		{ "Subject: ", "\r\nTo: a@b\r\n\r\n" },
		{ "Content-Type: text/plain; x=\"", "\"; y=z\r\n\r\n" },
		{ "To: a@b, \"", "\" <c@d>, e@f\r\n\r\n" },
	};
	size_t n = 100000;
	uint8_t *data = malloc(n + 200);

	for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
		size_t head = strlen(around[i][0]), tail = strlen(around[i][1]);
		struct bytes whole;

		memcpy(data, around[i][0], head);
		for (size_t k = 0; k < n; k++)
			data[head + k] = (uint8_t)(k % 97 == 0 ? '\r' : 'a' + k % 26);
		memcpy(data + head + n, around[i][1], tail);
		whole = parse(space_a, data, head + n + tail, n * 2);
		T_OK(bytes_equal(whole, parse(space_b, data, head + n + tail, 1)));
		T_OK(bytes_equal(whole, parse(space_b, data, head + n + tail, 4096)));
	}
	free(data);
}

static void open_text(struct summary *s, const char *text)
{
	T_EQ(summary_open(s, parse(space_a, (const uint8_t *)text, strlen(text), 100)), OK);
}

T_TEST(the_empty_message)
{
	struct bytes values[SUMMARY_FIELDS];
	struct summary_part part;
	struct summary_range range;
	struct summary s;
	uint32_t one = 1;

	open_text(&s, "");
	T_EQ(s.size, 0);
	T_EQ(s.parts, 1);
	T_EQ(s.flags, 0);
	summary_part(&s, summary_root(&s), &part);
	T_EQ(part.kind, SUMMARY_TEXT);
	T_EQ(part.header_len + part.body_len, 0);
	summary_values(&part, values);
	for (int i = 0; i < SUMMARY_FIELDS; i++)
		T_OK(values[i].data == NULL);
	T_EQ(summary_section(&s, &one, 1, SUMMARY_WHOLE, &range), OK);
	T_EQ(range.len, 0);
}

T_TEST(values_are_unfolded_and_trimmed)
{
	struct summary_part part;
	struct bytes v;
	struct summary s;

	open_text(&s,
		"Subject: \t one\r\n\ttwo \t\r\nDate:Mon, 5 Feb 2024 10:11:12 +0100\nReferences: <a@b>\r\n <c@d>\r\n"
		"To: a@b\r\nTo: \r\nTo: c@d\r\nCc:\r\n\r\n");
	summary_part(&s, summary_root(&s), &part);
	v = summary_value(&part, SUMMARY_SUBJECT);
	T_BYTES(v.data, v.len, "one\ttwo");
	v = summary_value(&part, SUMMARY_REFERENCES);
	T_BYTES(v.data, v.len, "<a@b> <c@d>");
	v = summary_value(&part, SUMMARY_TO);
	T_BYTES(v.data, v.len, "a@b, c@d");
	v = summary_value(&part, SUMMARY_CC);
	T_OK(v.data != NULL && v.len == 0);
	T_OK(summary_value(&part, SUMMARY_BCC).data == NULL);
	T_EQ(s.flags, SUMMARY_HAS_DATE | SUMMARY_BARE_LF);
	T_EQ(s.sent, 1707124272);
	T_EQ(s.zone, 60);
}

T_TEST(flags_tell_about_bytes)
{
	struct summary s;
	uint8_t *data = calloc(1, 64);

	open_text(&s, "A: b\r\n\r\n12345678");
	T_EQ(s.flags, 0);
	open_text(&s, "A: b\r\n\r\n\xe4");
	T_EQ(s.flags, SUMMARY_8BIT);
	for (int at = 0; at < 40; at++) {
		memset(data, 'x', 40);
		data[at] = 0;
		T_EQ(summary_open(&s, parse(space_a, data, 40, 40)), OK);
		T_EQ(s.flags, SUMMARY_HAS_NUL);
		data[at] = 0x80;
		T_EQ(summary_open(&s, parse(space_a, data, 40, 40)), OK);
		T_EQ(s.flags, SUMMARY_8BIT);
	}
	free(data);
}

/* The example of RFC 3501 section 6.4.5. */
static const char example[] = "Content-Type: multipart/mixed; boundary=a\r\n\r\n"
			      "--a\r\n\r\n1\r\n"
			      "--a\r\nContent-Type: application/octet-stream\r\n\r\n2\r\n"
			      "--a\r\nContent-Type: message/rfc822\r\n\r\n"
			      "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n3.1\r\n"
			      "--b\r\nContent-Type: application/octet-stream\r\n\r\n3.2\r\n--b--\r\n\r\n"
			      "--a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
			      "--c\r\nContent-Type: image/gif\r\nX: 4.1\r\n\r\n4.1\r\n"
			      "--c\r\nContent-Type: message/rfc822\r\n\r\n"
			      "Content-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\n\r\n4.2.1\r\n"
			      "--d\r\nContent-Type: multipart/alternative; boundary=e\r\n\r\n"
			      "--e\r\n\r\n4.2.2.1\r\n--e\r\nContent-Type: text/richtext\r\n\r\n4.2.2.2\r\n--e--\r\n"
			      "\r\n--d--\r\n\r\n--c--\r\n\r\n--a--\r\n";

T_TEST(section_numbers_of_rfc_3501)
{
	static const char *const leaves[] = { "1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2" };
	static const char *const none[] = { "5", "0", "3.3", "4.3", "4.2.3", "4.2.2.3", "1.2", "1.1.1", "4.1.2" };
	struct summary_range range;
	struct summary s;

	open_text(&s, example);
	for (size_t i = 0; i < sizeof leaves / sizeof leaves[0] + sizeof none / sizeof none[0]; i++) {
		bool there = i < sizeof leaves / sizeof leaves[0];
		const char *text = there ? leaves[i] : none[i - sizeof leaves / sizeof leaves[0]];
		uint32_t path[8];
		size_t n = 0;

		for (char *at = (char *)(uintptr_t)text; *at; at += *at == '.')
			path[n++] = (uint32_t)strtoul(at, &at, 10);
		T_EQ(summary_section(&s, path, n, SUMMARY_WHOLE, &range), there ? OK : E_NOENT);
		if (there)
			T_BYTES(example + range.offset, range.len, text);
	}
	T_EQ(summary_section(&s, (uint32_t[]){ 4, 1 }, 2, SUMMARY_MIME, &range), OK);
	T_BYTES(example + range.offset, range.len, "Content-Type: image/gif\r\nX: 4.1\r\n\r\n");
	T_EQ(summary_section(&s, (uint32_t[]){ 4, 2 }, 2, SUMMARY_HEADER, &range), OK);
	T_BYTES(example + range.offset, range.len, "Content-Type: multipart/mixed; boundary=d\r\n\r\n");
	T_EQ(summary_section(&s, (uint32_t[]){ 4, 1 }, 2, SUMMARY_HEADER, &range), E_NOENT);
	T_EQ(summary_section(&s, NULL, 0, SUMMARY_MIME, &range), E_NOENT);
	T_EQ(summary_section(&s, NULL, 0, SUMMARY_WHOLE, &range), OK);
	T_EQ(range.len, strlen(example));
}

/* Everything that can be reached, so that sanitizers see any step outside. */
static void walk(const struct summary *s)
{
	uint32_t seen = 0;

	for (summary_ref ref = summary_root(s); ref;) {
		struct bytes values[SUMMARY_FIELDS], name, value;
		struct summary_params it;
		struct summary_part part;
		volatile uint32_t sum = 0;

		T_OK(++seen <= s->parts);
		summary_part(s, ref, &part);
		T_OK((uint64_t)part.body_offset + part.body_len <= s->size);
		summary_values(&part, values);
		for (int i = 0; i < SUMMARY_FIELDS; i++)
			for (size_t k = 0; k < values[i].len; k++)
				sum += values[i].data[k];
		for (int of = 0; of < 2; of++) {
			summary_params(&part, of ? SUMMARY_DISPOSITION : SUMMARY_TYPE, &it);
			while (summary_params_next(&it, &name, &value)) {
				for (size_t k = 0; k < name.len; k++)
					sum += name.data[k];
				for (size_t k = 0; k < value.len; k++)
					sum += value.data[k];
			}
		}
		ref = part.child;
		while (ref == 0 && part.ref != summary_root(s)) {
			ref = part.next;
			if (ref == 0)
				summary_part(s, part.parent, &part);
		}
	}
	T_EQ(seen, s->parts);
}

T_TEST(limits_hold)
{
	size_t n = 0, cap = 4000000;
	char *text = malloc(cap);
	struct summary_part part;
	struct summary s;
	unsigned depth = 0;

	for (int i = 0; i < 500; i++)
		n += (size_t)sprintf(text + n, "Content-Type: multipart/mixed; boundary=b%d.\n\n--b%d.\n", i, i);
	open_text(&s, text);
	T_OK(s.flags & SUMMARY_OPAQUE);
	T_EQ(s.parts, SUMMARY_DEPTH_MAX);
	walk(&s);
	for (summary_ref ref = summary_root(&s); ref; ref = part.child, depth++)
		summary_part(&s, ref, &part);
	T_EQ(depth, SUMMARY_DEPTH_MAX);
	T_EQ(part.kind, SUMMARY_LEAF);
	T_EQ(part.body_offset + part.body_len, n);

	for (n = 0; n < 30000;)
		n += (size_t)sprintf(text + n, "Content-Type: message/rfc822\n\n");
	open_text(&s, text);
	T_OK(s.flags & SUMMARY_OPAQUE);
	T_EQ(s.parts, SUMMARY_DEPTH_MAX);
	walk(&s);

	n = (size_t)sprintf(text, "Content-Type: multipart/mixed; boundary=b\n\n");
	while (n < 100000)
		n += (size_t)sprintf(text + n, "--b\n\n");
	open_text(&s, text);
	T_OK(s.flags & SUMMARY_OPAQUE);
	T_OK(s.parts > 500 && s.parts <= SUMMARY_PARTS_MAX);
	walk(&s);

	n = (size_t)sprintf(text, "Content-Type: multipart/mixed; boundary=b\n\n");
	while (n < 1000000)
		n += (size_t)sprintf(text + n,
			"--b\nContent-Type: text/x; name=\"%0500d\"\nContent-Description: %0500d\n\n", 1, 2);
	open_text(&s, text);
	T_OK(s.flags & SUMMARY_OPAQUE);
	T_OK(s.parts > 20);
	walk(&s);
	free(text);
}

T_TEST(long_lists_end_with_a_whole_address)
{
	size_t n = 0;
	char *text = malloc(300000);
	struct summary_part part;
	struct summary s;
	struct bytes to;

	n += (size_t)sprintf(text, "To: first@example.org");
	while (n < 200000)
		n += (size_t)sprintf(text + n, ",\r\n \"One, \\\"two\\\"\" (a, b) <user%zu@example.org>", n);
	sprintf(text + n, "\r\nSubject: still here\r\nContent-Type: text/html\r\n\r\nbody");
	open_text(&s, text);
	T_OK(s.flags & SUMMARY_CUT);
	summary_part(&s, summary_root(&s), &part);
	to = summary_value(&part, SUMMARY_TO);
	T_OK(to.len > 7900 && to.len <= SUMMARY_VALUE_MAX);
	T_BYTES(to.data + to.len - 13, 13, "@example.org>");
	to = summary_value(&part, SUMMARY_SUBJECT);
	T_BYTES(to.data, to.len, "still here");
	to = summary_value(&part, SUMMARY_SUBTYPE);
	T_BYTES(to.data, to.len, "html");
	free(text);
}

T_TEST(repeated_fields_are_bounded)
{
	size_t n = 0;
	char *text = malloc(300000);
	struct summary_part part;
	struct summary s;
	struct bytes to;

	while (n < 200000)
		n += (size_t)sprintf(text + n, "To: a@b\nDate: x\n");
	sprintf(text + n, "\nbody");
	open_text(&s, text);
	T_OK(s.flags & SUMMARY_CUT);
	summary_part(&s, summary_root(&s), &part);
	to = summary_value(&part, SUMMARY_TO);
	T_EQ(to.len % 5, 3); /* "a@b" and some ", a@b" */
	walk(&s);
	free(text);
}

T_TEST(damaged_summaries_are_refused_or_harmless)
{
	uint32_t seed = 7;
	struct bytes good = parse(space_a, (const uint8_t *)example, strlen(example), 100);
	uint8_t *copy = malloc(good.len);
	unsigned opened = 0;
	struct summary s;

	T_EQ(summary_open(&s, bytes_make(NULL, 0)), E_DAMAGED);
	for (size_t len = 1; len < good.len; len++) {
		uint8_t *part = malloc(len);

		memcpy(part, good.data, len);
		T_EQ(summary_open(&s, bytes_make(part, len)), E_DAMAGED);
		free(part);
	}
	for (size_t at = 0; at < good.len; at++) {
		for (int how = 0; how < 40; how++) {
			memcpy(copy, good.data, good.len);
			seed = seed * 1664525 + 1013904223;
			copy[at] = (uint8_t)(how < 8 ? copy[at] ^ 1 << how : (int)(seed >> 24));
			if (how > 24)
				copy[(seed >> 8) % good.len] = (uint8_t)(seed >> 3);
			if (summary_open(&s, bytes_make(copy, good.len)) == OK) {
				opened++;
				walk(&s);
			}
		}
	}
	T_OK(opened > 100); /* most bytes are strings */
	memcpy(copy, good.data, good.len);
	copy[0] = SUMMARY_VERSION + 1;
	T_EQ(summary_open(&s, bytes_make(copy, good.len)), E_NOTSUP);
	free(copy);
}

/* Messages put together at random from what matters to the parser. */
T_TEST(takes_anything)
{
	static const char *const bits[] = {
		"--a", "--b", "--", "-", "\r\n", "\n", "\r", "\r\n\r\n", "\n\n", " ", "\t", ":", "x", "\xe4",
		"--a--\r\n",
		"--b--\n", "\r\n--a\r\n", "\n--b\n", "Content-Type: multipart/mixed; boundary=a\r\n\r\n",
		"Content-Type: multipart/digest; boundary=b\n\n", "Content-Type: message/rfc822\r\n\r\n",
		"Subject: s\r\n",
		"To: a@b\n", "Content-Type: text/plain; a*0=x; a*1=\"y\\\"\"; a*1*=z\n", "MIME-Version: 1.0\n",
		"Date: Mon",
		"Content-Transfer-Encoding: base64\n", "Content-Disposition: x; y=z\n", "; boundary=\"a\r\n b\"",
	};
	static uint8_t text[4000];
	uint32_t seed = 42;

	for (int round = 0; round < 20000; round++) {
		size_t len = 0;
		struct summary s;
		struct bytes b;

		for (int i = 0; i < 40; i++) {
			const char *bit;

			seed = seed * 1664525 + 1013904223;
			bit = bits[(seed >> 16) % (sizeof bits / sizeof bits[0])];
			memcpy(text + len, bit, strlen(bit));
			len += strlen(bit);
		}
		b = parse(space_a, text, len, len);
		T_EQ(summary_open(&s, b), OK);
		walk(&s);
		T_OK(bytes_equal(b, parse(space_b, text, len, 1 + seed % 5)));
	}
}

int main(int argc, char **argv)
{
	t_filter = argc > 1 ? argv[1] : NULL;
	n_names = messages_list(names);
	T_RUN(pieces_do_not_matter)
	T_RUN(pieces_of_long_lines_do_not_matter)
	T_RUN(the_empty_message)
	T_RUN(values_are_unfolded_and_trimmed)
	T_RUN(flags_tell_about_bytes)
	T_RUN(section_numbers_of_rfc_3501)
	T_RUN(limits_hold)
	T_RUN(long_lists_end_with_a_whole_address)
	T_RUN(repeated_fields_are_bounded)
	T_RUN(damaged_summaries_are_refused_or_harmless)
	T_RUN(takes_anything)
	printf("%d passed, %d failed\n", t_passed, t_failed);
	return t_failed != 0;
}
