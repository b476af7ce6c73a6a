/* Substring search by Knuth, Morris and Pratt: its whole state is how much of
 * the needle matches so far, so text may come in any pieces. */
#include "mail/textmatch.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"

/* Bytes of folded text that are searched at once. */
#define FOLDED 512

int textmatch_compile(struct textmatch *m, struct bytes needle)
{
	uint8_t space[TEXTMATCH_NEEDLE_MAX + CASEMAP_MAX];
	struct buf folded;
	uint16_t k = 0;

	if (!text_utf8_valid(needle))
		return E_SYNTAX;
	buf_init(&folded, space, sizeof space);
	if (!casemap_fold(needle, &folded) || folded.len > TEXTMATCH_NEEDLE_MAX)
		return E_LIMIT;
	m->len = (uint16_t)folded.len;
	memcpy(m->needle, space, folded.len);
	m->next[0] = 0;
	m->next[1] = 0;
	for (uint16_t i = 1; i < m->len; i++) {
		while (k && m->needle[i] != m->needle[k])
			k = m->next[k];
		k = (uint16_t)(k + (m->needle[i] == m->needle[k]));
		m->next[i + 1] = k;
	}
	textmatch_reset(m);
	return OK;
}

void textmatch_reset(struct textmatch *m)
{
	m->at = 0;
	m->found = m->len == 0;
}

bool textmatch_push(struct textmatch *m, struct bytes folded)
{
	const uint8_t *p = folded.data, *end = folded.data + folded.len;
	uint16_t at = m->at;

	if (m->found || folded.len == 0)
		return m->found;
	while (p < end) {
		if (at == 0) {
			p = memchr(p, m->needle[0], (size_t)(end - p));
			if (p == NULL)
				break;
			p++;
			at = 1;
		} else if (*p == m->needle[at]) {
			p++;
			at++;
		} else {
			at = m->next[at];
			continue;
		}
		if (at == m->len) {
			m->found = true;
			break;
		}
	}
	m->at = at;
	return m->found;
}

/* The sink of decoded text: false when there is nothing more to look for. */
struct folder {
	struct textmatch *match;
	struct casemap casemap;
};

static bool fold_and_match(void *arg, struct bytes utf8)
{
	struct folder *f = arg;
	uint8_t space[FOLDED];

	while (utf8.len) {
		struct buf out;
		size_t n;

		buf_init(&out, space, sizeof space);
		n = casemap_push(&f->casemap, utf8, &out);
		if (textmatch_push(f->match, buf_bytes(&out)))
			return false;
		utf8 = bytes_part(utf8, n, utf8.len);
	}
	return true;
}

static bool end_fold(struct folder *f)
{
	uint8_t space[CASEMAP_MAX];
	struct buf out;

	buf_init(&out, space, sizeof space);
	(void)casemap_end(&f->casemap, &out);
	return textmatch_push(f->match, buf_bytes(&out));
}

bool textmatch_text(struct textmatch *m, struct bytes text)
{
	struct folder f = { .match = m };

	if (m->found)
		return true;
	m->at = 0;
	casemap_begin(&f.casemap);
	return !fold_and_match(&f, text) || end_fold(&f);
}

bool textmatch_header_more(struct textmatch *m, struct bytes value)
{
	struct folder f = { .match = m };

	if (m->found)
		return true;
	casemap_begin(&f.casemap);
	return !decode_words_to(value, fold_and_match, &f) || end_fold(&f);
}

bool textmatch_header(struct textmatch *m, struct bytes value)
{
	m->at = 0;
	return textmatch_header_more(m, value);
}

bool textmatch_extended(struct textmatch *m, struct bytes value)
{
	struct folder f = { .match = m };

	if (m->found)
		return true;
	m->at = 0;
	casemap_begin(&f.casemap);
	return !decode_extended_to(value, fold_and_match, &f) || end_fold(&f);
}
