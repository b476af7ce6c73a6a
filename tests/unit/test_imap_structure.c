/* ENVELOPE, BODY, BODYSTRUCTURE and sections of the odd messages against what
 * Dovecot says of them (tests/messages/expected). */
#include "imap/structure.h"

#include <stdlib.h>

#include "base/err.h"
#include "messages.h"
#include "t.h"

#define OUT_MAX 400000

static char names[MESSAGES_MAX][128];
static size_t n_names;
static uint8_t summary_space[LIMIT_SUMMARY], out_space[OUT_MAX];

/* Where we differ on purpose; every line says why. A message named here must
 * differ in that item, else the line is out of date. */
#define EMPTY_ELEMENT "RFC 5322 section 4.4: empty elements of a list mean nothing"
#define DEFAULT_TYPE "RFC 2045 section 5.2: what can't be read is text/plain, never \"\""
#define NUL_AS_80 "NUL goes out as 0x80 in every string, not only in sections"
#define LINE_END "RFC 2046 section 5.1.1: the line end before a boundary belongs to it"
#define NO_BASE64 "RFC 2045 section 6.4 forbids base64 there, so there is no message to show"
#define KEEP_READABLE "broken syntax before it does not cost a parameter that can be read"
#define ANY_CASE "RFC 2231 section 3: parameter names are case-insensitive, pieces too"
#define NO_NAME "a parameter needs a name: RFC 2045 section 5.1"
static const struct {
	const char *message, *item, *why;
} differences[] = {
	{ "address-commas", "ENVELOPE", EMPTY_ELEMENT },
	{ "address-group-nested-text", "ENVELOPE", EMPTY_ELEMENT },
	{ "empty-fields", "BODY", DEFAULT_TYPE },
	{ "empty-fields", "BODYSTRUCTURE", DEFAULT_TYPE },
	{ "type-empty", "BODY", DEFAULT_TYPE },
	{ "type-empty", "BODYSTRUCTURE", DEFAULT_TYPE },
	{ "type-garbage", "BODY", DEFAULT_TYPE },
	{ "type-garbage", "BODYSTRUCTURE", DEFAULT_TYPE },
	{ "type-no-subtype", "BODY", DEFAULT_TYPE },
	{ "type-no-subtype", "BODYSTRUCTURE", DEFAULT_TYPE },
	{ "type-no-type", "BODY", DEFAULT_TYPE },
	{ "type-no-type", "BODYSTRUCTURE", DEFAULT_TYPE },
	{ "type-missing-semicolon", "BODY", KEEP_READABLE },
	{ "type-missing-semicolon", "BODYSTRUCTURE", KEEP_READABLE },
	{ "type-double-semicolon", "BODY", KEEP_READABLE },
	{ "type-double-semicolon", "BODYSTRUCTURE", KEEP_READABLE },
	{ "type-unfinished-quote", "BODY", KEEP_READABLE },
	{ "type-unfinished-quote", "BODYSTRUCTURE", KEEP_READABLE },
	{ "disposition-odd", "BODYSTRUCTURE", KEEP_READABLE },
	{ "nul-bytes", "ENVELOPE", NUL_AS_80 },
	{ "nul-bytes", "BODY", NUL_AS_80 },
	{ "nul-bytes", "BODYSTRUCTURE", NUL_AS_80 },
	{ "multi-header-runs-into-boundary", "BODY", LINE_END },
	{ "multi-header-runs-into-boundary", "BODYSTRUCTURE", LINE_END },
	{ "multi-header-runs-into-boundary", "3", LINE_END },
	{ "multi-nested-tight", "1", LINE_END },
	{ "rfc822-multipart-tight", "BODY", LINE_END },
	{ "rfc822-multipart-tight", "BODYSTRUCTURE", LINE_END },
	{ "rfc822-multipart-tight", "1", LINE_END },
	{ "rfc822-multipart-tight", "1.TEXT", LINE_END },
	{ "rfc822-empty", "BODY", LINE_END },
	{ "rfc822-empty", "BODYSTRUCTURE", LINE_END },
	{ "rfc822-empty", "1", LINE_END },
	{ "rfc822-header-only", "BODY", LINE_END },
	{ "rfc822-header-only", "BODYSTRUCTURE", LINE_END },
	{ "rfc822-header-only", "1", LINE_END },
	{ "rfc822-base64", "1.1", NO_BASE64 },
	{ "rfc822-base64", "1.1.MIME", NO_BASE64 },
	{ "rfc822-base64", "BODY", NO_BASE64 },
	{ "rfc822-base64", "BODYSTRUCTURE", NO_BASE64 },
	{ "rfc822-base64", "1", LINE_END },
	{ "rfc822-base64", "1.HEADER", NO_BASE64 },
	{ "rfc2231-case", "BODYSTRUCTURE", ANY_CASE },
	{ "rfc2231-odd-stars", "BODYSTRUCTURE", NO_NAME },
};

static bool differs(const char *message, const char *item)
{
	for (size_t i = 0; i < sizeof differences / sizeof differences[0]; i++)
		if (strcmp(differences[i].message, message) == 0 && strcmp(differences[i].item, item) == 0)
			return true;
	return false;
}

static void open_message(struct summary *s, const uint8_t *data, size_t len)
{
	static struct summary_parser parser;

	summary_begin(&parser, summary_space, sizeof summary_space);
	summary_push(&parser, data, len);
	T_EQ(summary_open(s, summary_end(&parser)), OK);
}

/* Renders into out_space with at most `room` bytes at a time. */
static size_t render(const struct summary *s, enum structure_item item, size_t room)
{
	struct structure_cursor c;
	size_t len = 0;
	struct buf out;
	bool done;

	structure_begin(&c, item);
	do {
		T_OK(len + room <= OUT_MAX);
		buf_init(&out, out_space + len, room);
		done = structure_render(&c, s, &out);
		len += out.len;
	} while (!done);
	return len;
}

/* The rest of the line of `expected` that starts with `item` and a space. */
static char *expected_line(const char *expected, const char *item)
{
	size_t len = strlen(item);
	const char *line = expected, *end;

	while (strncmp(line, item, len) != 0 || line[len] != ' ') {
		line = strchr(line, '\n');
		if (!line)
			return NULL;
		line++;
	}
	end = strchr(line, '\n');
	line += len + 1;
	return strndup(line, (size_t)(end - line));
}

/* Cuts blanks off both ends of every string: Dovecot leaves them there. */
static void trim_strings(char *s)
{
	char *to = s, *open = NULL;

	for (; *s; s++) {
		if (*s == '"' && open) {
			while (to > open && to[-1] == ' ')
				to--;
			open = NULL;
		} else if (*s == '"') {
			open = to + 1;
		} else if (*s == ' ' && open == to) {
			continue;
		}
		*to++ = *s;
	}
	*to = 0;
}

static bool check_item(const char *name, const struct summary *s, const char *expected, enum structure_item item)
{
	static const char *const item_names[] = { "ENVELOPE", "BODY", "BODYSTRUCTURE" };
	char *want = expected_line(expected, item_names[item]), *got = NULL;
	size_t len = render(s, item, OUT_MAX), got_len;
	FILE *f = open_memstream(&got, &got_len);
	bool fine;

	T_OK(messages_canonical(out_space, len, f));
	fclose(f);
	if (item == STRUCTURE_ENVELOPE)
		trim_strings(want);
	fine = strcmp(got, want) == 0;
	if (!fine && !differs(name, item_names[item]))
		printf("# %s %s\n# got  %s\n# want %s\n", name, item_names[item], got, want);
	if (fine && differs(name, item_names[item])) {
		printf("# %s %s does not differ\n", name, item_names[item]);
		fine = false;
	} else if (differs(name, item_names[item])) {
		fine = true;
	}
	free(got);
	free(want);
	return fine;
}

T_TEST(answers_as_dovecot_does)
{
	unsigned wrong = 0;

	T_OK(n_names > 100);
	for (size_t i = 0; i < n_names; i++) {
		size_t len, crlf_len, expected_len;
		uint8_t *data = messages_read(names[i], &len);
		uint8_t *crlf = messages_crlf(data, len, &crlf_len);
		uint8_t *expected = messages_expected(names[i], &expected_len);
		struct summary s;

		T_OK(expected != NULL);
		open_message(&s, crlf, crlf_len);
		for (int item = STRUCTURE_ENVELOPE; item <= STRUCTURE_BODYSTRUCTURE; item++)
			wrong += !check_item(names[i], &s, (char *)expected, (enum structure_item)item);
		free(data);
		free(crlf);
		free(expected);
	}
	T_EQ(wrong, 0);
}

/* One SECTION line: "1.2.MIME 345 89abcdef" or "1.2.MIME -". */
static bool check_section(const char *name, const struct summary *s, const uint8_t *message, const char *line)
{
	uint32_t path[32];
	size_t levels = 0, crlf_len;
	enum summary_section section = SUMMARY_WHOLE;
	struct summary_range range = { 0, 0 };
	unsigned long want_len = 0, want_sum = 0;
	const char *at = line, *space;
	char item[200];
	bool fine, absent;
	uint8_t *crlf;

	while (*at >= '0' && *at <= '9') {
		path[levels++] = (uint32_t)strtoul(at, (char **)(uintptr_t)&at, 10);
		at += *at == '.';
	}
	if (strncmp(at, "HEADER.FIELDS", 13) == 0)
		return true; /* test_mail_header.c */
	space = strchr(at, ' ');
	if (strncmp(at, "HEADER", 6) == 0)
		section = SUMMARY_HEADER;
	else if (strncmp(at, "TEXT", 4) == 0)
		section = SUMMARY_BODY;
	else if (strncmp(at, "MIME", 4) == 0)
		section = SUMMARY_MIME;
	snprintf(item, sizeof item, "%.*s", (int)(space - line), line);
	absent = strcmp(space, " -") == 0;
	if (!absent)
		T_EQ(sscanf(space, " %lu %lx", &want_len, &want_sum), 2);
	if (summary_section(s, path, levels, section, &range) != OK)
		range.len = 0;
	crlf = messages_crlf(message + range.offset, range.len, &crlf_len);
	fine = absent ? range.len == 0 : crlf_len == want_len && messages_sum(crlf, crlf_len) == want_sum;
	free(crlf);
	if (fine == differs(name, item)) {
		printf("# %s %s: %zu bytes, expected %s\n", name, item, crlf_len, space);
		return false;
	}
	return true;
}

T_TEST(sections_as_dovecot_has_them)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < n_names; i++) {
		size_t len, expected_len;
		uint8_t *data = messages_read(names[i], &len);
		uint8_t *expected = messages_expected(names[i], &expected_len);
		struct summary s;

		open_message(&s, data, len);
		for (char *line = strtok((char *)expected, "\n"); line; line = strtok(NULL, "\n"))
			if (strncmp(line, "SECTION ", 8) == 0)
				wrong += !check_section(names[i], &s, data, line + 8);
		free(data);
		free(expected);
	}
	T_EQ(wrong, 0);
}

T_TEST(any_room_gives_the_same_answer)
{
	static uint8_t whole[OUT_MAX];

	for (size_t i = 0; i < n_names; i++) {
		size_t len, whole_len;
		uint8_t *data = messages_read(names[i], &len);
		struct summary s;

		open_message(&s, data, len);
		for (int item = STRUCTURE_ENVELOPE; item <= STRUCTURE_BODYSTRUCTURE; item++) {
			whole_len = render(&s, (enum structure_item)item, OUT_MAX / 2);
			memcpy(whole, out_space, whole_len);
			for (size_t room = 1; room < 4096; room = room * 3 + 1) {
				T_EQ(render(&s, (enum structure_item)item, room), whole_len);
				T_OK(memcmp(whole, out_space, whole_len) == 0);
			}
		}
		free(data);
	}
}

/* Flash is not believed: what still opens must come out as valid syntax. */
T_TEST(damaged_summaries_give_valid_syntax)
{
	static uint8_t good[LIMIT_SUMMARY];
	unsigned opened = 0;
	uint32_t seed = 11;

	for (size_t i = 0; i < n_names; i++) {
		size_t len, good_len;
		uint8_t *data = messages_read(names[i], &len);
		struct summary s;

		open_message(&s, data, len);
		good_len = s.len;
		memcpy(good, summary_space, good_len);
		for (int round = 0; round < 60; round++) {
			memcpy(summary_space, good, good_len);
			for (int k = 0; k < 1 + round % 4; k++) {
				seed = seed * 1664525 + 1013904223;
				summary_space[(seed >> 8) % good_len] = (uint8_t)seed;
			}
			if (summary_open(&s, bytes_make(summary_space, good_len)) != OK)
				continue;
			opened++;
			for (int item = STRUCTURE_ENVELOPE; item <= STRUCTURE_BODYSTRUCTURE; item++) {
				size_t n = render(&s, (enum structure_item)item, OUT_MAX / 4);
				FILE *f = fopen("/dev/null", "w");

				T_OK(messages_canonical(out_space, n, f));
				fclose(f);
			}
		}
		free(data);
	}
	T_OK(opened > 1000);
}

int main(int argc, char **argv)
{
	t_filter = argc > 1 ? argv[1] : NULL;
	n_names = messages_list(names);
	T_RUN(answers_as_dovecot_does)
	T_RUN(sections_as_dovecot_has_them)
	T_RUN(any_room_gives_the_same_answer)
	T_RUN(damaged_summaries_give_valid_syntax)
	printf("%d passed, %d failed\n", t_passed, t_failed);
	return t_failed != 0;
}
