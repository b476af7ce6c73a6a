/* Header fields and the filter of HEADER.FIELDS, the latter against Dovecot's
 * answers for the odd messages. */
#include "mail/header.h"

#include <stdlib.h>

#include "base/err.h"
#include "mail/summary.h"
#include "messages.h"
#include "t.h"

static char names[MESSAGES_MAX][128];
static size_t n_names;

T_TEST(iterates_fields)
{
	struct bytes rest = bytes_of("A: 1\r\nB :\r\n 2\r\n\t3\r\nno colon\nC:\n\r\nbody");
	struct header_field f;

	T_OK(header_next(&rest, &f));
	T_BYTES(f.name.data, f.name.len, "A");
	T_BYTES(f.value.data, f.value.len, "1");
	T_BYTES(f.whole.data, f.whole.len, "A: 1\r\n");
	T_OK(header_next(&rest, &f));
	T_BYTES(f.name.data, f.name.len, "B");
	T_BYTES(f.value.data, f.value.len, "\r\n 2\r\n\t3");
	T_BYTES(f.whole.data, f.whole.len, "B :\r\n 2\r\n\t3\r\n");
	T_OK(header_next(&rest, &f));
	T_EQ(f.name.len, 0);
	T_BYTES(f.value.data, f.value.len, "no colon");
	T_OK(header_next(&rest, &f));
	T_BYTES(f.name.data, f.name.len, "C");
	T_EQ(f.value.len, 0);
	T_OK(!header_next(&rest, &f));
	T_BYTES(rest.data, rest.len, "body");
}

T_TEST(ends_without_blank_line)
{
	struct bytes rest = bytes_of("A: 1\r\n b");
	struct header_field f;

	T_OK(header_next(&rest, &f));
	T_BYTES(f.value.data, f.value.len, "1\r\n b");
	T_OK(!header_next(&rest, &f));
	T_OK(!header_next(&rest, &f));
	rest = bytes_make(NULL, 0);
	T_OK(!header_next(&rest, &f));
}

T_TEST(finds_a_field)
{
	struct bytes header = bytes_of("Subject: one\r\nSUBJECT: two\r\nTo: x\r\n\r\nFrom: not me\r\n");
	struct header_field f;

	T_OK(header_find(header, "subject", &f));
	T_BYTES(f.value.data, f.value.len, "one");
	T_OK(!header_find(header, "from", &f));
	T_OK(!header_find(header, "", &f));
}

T_TEST(unfolds)
{
	uint8_t space[32];
	struct buf out;

	buf_init(&out, space, sizeof space);
	T_OK(header_unfold(bytes_of("one\r\n two\n\tthree\r\r\n four"), &out));
	T_BYTES(space, out.len, "one two\tthree\r four");
	buf_init(&out, space, 5);
	T_OK(!header_unfold(bytes_of("one\r\n two"), &out));
	T_BYTES(space, out.len, "one t");
}

/* Runs the filter with pieces of `in_len` bytes into buffers of `out_len`. */
static size_t filter(struct bytes header, const struct bytes *list, size_t n, bool except, size_t in_len,
	size_t out_len, uint8_t *result)
{
	struct header_filter f, count;
	size_t at = 0, len = 0;
	struct buf out;

	header_filter_begin(&f, list, n, except);
	header_filter_begin(&count, list, n, except);
	(void)header_filter_push(&count, header, NULL);
	T_OK(header_filter_end(&count, NULL));
	while (at < header.len && !f.done) {
		buf_init(&out, result + len, out_len);
		at += header_filter_push(&f, bytes_part(header, at, in_len), &out);
		len += out.len;
	}
	for (;;) {
		bool done;

		buf_init(&out, result + len, out_len);
		done = header_filter_end(&f, &out);
		len += out.len;
		if (done)
			break;
	}
	T_EQ(f.passed, len);
	T_EQ(count.passed, len);
	return len;
}

static void check_filter(const char *header, const char *only, const char *all_but)
{
	const struct bytes list[] = { bytes_of("subject"), bytes_of("X-A") };
	uint8_t result[2000];

	for (size_t in = 1; in < 40; in += in < 4 ? 1 : 9) {
		for (size_t out = 1; out < 70; out += out < 4 ? 1 : 13) {
			size_t len = filter(bytes_of(header), list, 2, false, in, out, result);

			T_BYTES(result, len, only);
			len = filter(bytes_of(header), list, 2, true, in, out, result);
			T_BYTES(result, len, all_but);
		}
	}
}

T_TEST(filters_fields)
{
	check_filter("Subject: x\r\nTo: y\r\n folded\r\nX-A: 1\r\n\t2\r\nX-AB: z\r\n\r\nbody",
		"Subject: x\r\nX-A: 1\r\n\t2\r\n\r\n", "To: y\r\n folded\r\nX-AB: z\r\n\r\n");
	check_filter("To: y\nSUBJECT :x\nX\n\n", "SUBJECT :x\n\n", "To: y\nX\n\n");
	check_filter("", "", "");
	check_filter("\r\nbody", "\r\n", "\r\n");
	check_filter("\nbody", "\n", "\n");
	check_filter(" Subject: a\r\nX-A: b\r\n\r\n", "X-A: b\r\n\r\n", " Subject: a\r\n\r\n");
	check_filter("Subject: no end\r\n", "Subject: no end\r\n", "");
	check_filter("no colon\r\n goes on\r\n\r\n", "\r\n", "no colon\r\n goes on\r\n\r\n");
	check_filter("\rSubject: x\r\nX-A:\r\n\r\n", "X-A:\r\n\r\n", "\rSubject: x\r\n\r\n");
	check_filter("Subject: cut", "Subject: cut", "");
	check_filter("To: a\r\n b", "", "To: a\r\n b");
	check_filter("cut", "", "cut");
	check_filter("X-A: cut\r", "X-A: cut\r", "");
	check_filter("To: a\r\n\r", "", "To: a\r\n\r");
	check_filter(": x\r\n:\r\n\r\n", "\r\n", ": x\r\n:\r\n\r\n");
}

T_TEST(long_names_pass_or_do_not)
{
	static char header[3000], expected[3000];
	static uint8_t result[4000];
	const struct bytes list[] = { bytes_of("subject") };
	size_t len;

	for (int n = 250; n < 262; n++) {
		memset(header, 'x', sizeof header);
		snprintf(header + n, 1000, ": v\r\nSubject: s\r\n\r\n");
		len = filter(bytes_of(header), list, 1, false, 7, 100, result);
		T_BYTES(result, len, "Subject: s\r\n\r\n");
		len = filter(bytes_of(header), list, 1, true, 7, 100, result);
		memset(expected, 'x', sizeof expected);
		snprintf(expected + n, 1000, ": v\r\n\r\n");
		T_BYTES(result, len, expected);
	}
}

/* Where we differ on purpose, in HEADER.FIELDS or HEADER.FIELDS.NOT. */
static const char *const differences[] = {
	/* A header without a blank line and a body gets none (RFC 3501 section 6.4.5), not only with NOT. */
	"header-only HEADER.FIELDS (Subject From X-None)",
	"header-only-cut HEADER.FIELDS (Subject From X-None)",
	"only-text HEADER.FIELDS (Subject From X-None)",
	"digest-empty-part 1.HEADER.FIELDS (Subject From X-None)",
	"digest-empty-part 2.HEADER.FIELDS (Subject From X-None)",
	"multi-header-runs-into-boundary 2.HEADER.FIELDS (Subject From X-None)",
	"multi-header-runs-into-boundary 3.HEADER.FIELDS (Subject From X-None)",
	"rfc822-empty 1.HEADER.FIELDS (Subject From X-None)",
	"rfc822-header-only 1.HEADER.FIELDS (Subject From X-None)",
	/* RFC 2045 section 6.4 forbids base64 there: there is no message inside. */
	"rfc822-base64 1.HEADER.FIELDS (Subject From X-None)",
};

static bool differs(const char *name, const char *line, size_t len)
{
	char both[300];

	snprintf(both, sizeof both, "%s %.*s", name, (int)len, line);
	for (size_t i = 0; i < sizeof differences / sizeof differences[0]; i++)
		if (strcmp(both, differences[i]) == 0)
			return true;
	return false;
}

/* "HEADER.FIELDS (...)" lines of the expectations, with or without a path. */
static bool check_line(const char *name, const struct summary *s, const uint8_t *message, const char *line)
{
	const char *at = line, *open = strchr(line, '('), *close = strchr(line, ')');
	uint32_t path[32];
	size_t levels = 0, n = 0, len = 0, crlf_len;
	unsigned long want_len = 0, want_sum = 0;
	struct summary_range range;
	struct bytes list[8], words;
	static uint8_t result[300000];
	bool except, fine;
	uint8_t *crlf;

	while (*at >= '0' && *at <= '9') {
		path[levels++] = (uint32_t)strtoul(at, (char **)(uintptr_t)&at, 10);
		at += *at == '.';
	}
	if (strncmp(at, "HEADER.FIELDS", 13) != 0)
		return true;
	except = strncmp(at, "HEADER.FIELDS.NOT", 17) == 0;
	words = bytes_make(open + 1, (size_t)(close - open - 1));
	while (words.len && n < 8) {
		size_t end = bytes_index(words, ' ');

		list[n++] = bytes_part(words, 0, end);
		words = bytes_part(words, end + 1, words.len);
	}
	if (summary_section(s, path, levels, SUMMARY_HEADER, &range) == OK)
		len = filter(bytes_make(message + range.offset, range.len), list, n, except, 1000, 3000, result);
	crlf = messages_crlf(result, len, &crlf_len);
	if (close[1] == ' ' && close[2] == '-') {
		fine = len == 0;
	} else {
		T_EQ(sscanf(close + 1, " %lu %lx", &want_len, &want_sum), 2);
		fine = crlf_len == want_len && messages_sum(crlf, crlf_len) == want_sum;
	}
	fine = fine != differs(name, line, (size_t)(close + 1 - line));
	if (!fine)
		printf("# %s %s: %zu bytes\n%.*s\n", name, line, crlf_len, (int)crlf_len, (char *)crlf);
	free(crlf);
	return fine;
}

T_TEST(filters_as_dovecot_does)
{
	static uint8_t space[LIMIT_SUMMARY];
	static struct summary_parser parser;
	unsigned wrong = 0;

	T_OK(n_names > 100);
	for (size_t i = 0; i < n_names; i++) {
		size_t len, expected_len;
		uint8_t *data = messages_read(names[i], &len);
		uint8_t *expected = messages_expected(names[i], &expected_len);
		struct summary s;

		T_OK(expected != NULL);
		summary_begin(&parser, space, sizeof space);
		summary_push(&parser, data, len);
		T_EQ(summary_open(&s, summary_end(&parser)), OK);
		for (char *line = strtok((char *)expected, "\n"); line; line = strtok(NULL, "\n"))
			if (strncmp(line, "SECTION ", 8) == 0)
				wrong += !check_line(names[i], &s, data, line + 8);
		free(data);
		free(expected);
	}
	T_EQ(wrong, 0);
}

int main(int argc, char **argv)
{
	t_filter = argc > 1 ? argv[1] : NULL;
	n_names = messages_list(names);
	T_RUN(iterates_fields)
	T_RUN(ends_without_blank_line)
	T_RUN(finds_a_field)
	T_RUN(unfolds)
	T_RUN(filters_fields)
	T_RUN(long_names_pass_or_do_not)
	T_RUN(filters_as_dovecot_does)
	printf("%d passed, %d failed\n", t_passed, t_failed);
	return t_failed != 0;
}
