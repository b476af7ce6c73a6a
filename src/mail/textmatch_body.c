/* The search of a stored message. The parts stand in the summary in the order of
 * their bytes, so one walk over the bytes meets each header and each body that
 * matters once; between pushes only offsets and decoder states are kept. */
#include "mail/textmatch.h"

#include <string.h>

#include "base/text.h"

/* Bytes of each step on the way from stored bytes to folded text. */
#define STEP 512

enum state { IN_HEADER, IN_BODY, OVER };

/* ------------------------------------------------------------------- the text */

static bool match_folded(struct body_search *b, struct bytes utf8)
{
	uint8_t space[STEP + CASEMAP_MAX];

	while (utf8.len) {
		struct buf out;
		size_t n;

		buf_init(&out, space, sizeof space);
		n = casemap_push(&b->casemap, utf8, &out);
		if (textmatch_push(b->match, buf_bytes(&out)))
			return true;
		utf8 = bytes_part(utf8, n, utf8.len);
	}
	return false;
}

static bool match_utf8(struct body_search *b, struct bytes utf8)
{
	uint8_t space[STEP];

	if (!b->html)
		return match_folded(b, utf8);
	while (utf8.len) {
		struct buf out;
		size_t n;

		buf_init(&out, space, sizeof space);
		n = html_push(&b->text, utf8, &out);
		if (match_folded(b, buf_bytes(&out)))
			return true;
		utf8 = bytes_part(utf8, n, utf8.len);
	}
	return false;
}

static bool match_decoded(struct body_search *b, struct bytes in)
{
	uint8_t space[STEP + CHARSET_ROOM];

	while (in.len) {
		struct buf out;
		size_t n;

		buf_init(&out, space, sizeof space);
		n = charset_push(&b->charset, in, &out);
		if (match_utf8(b, buf_bytes(&out)))
			return true;
		in = bytes_part(in, n, in.len);
	}
	return false;
}

static bool match_body(struct body_search *b, struct bytes raw)
{
	uint8_t space[STEP];

	if (b->decoder.encoding == DECODE_IDENTITY || b->decoder.encoding == DECODE_UNKNOWN)
		return match_decoded(b, raw);
	while (raw.len) {
		struct buf out;
		size_t n;

		buf_init(&out, space, sizeof space);
		n = decoder_push(&b->decoder, raw, &out);
		if (match_decoded(b, buf_bytes(&out)))
			return true;
		raw = bytes_part(raw, n, raw.len);
	}
	return false;
}

static bool end_body(struct body_search *b)
{
	uint8_t space[STEP];
	struct buf out;

	buf_init(&out, space, sizeof space);
	(void)decoder_end(&b->decoder, &out);
	if (match_decoded(b, buf_bytes(&out)))
		return true;
	buf_init(&out, space, sizeof space);
	(void)charset_end(&b->charset, &out);
	if (match_utf8(b, buf_bytes(&out)))
		return true;
	buf_init(&out, space, sizeof space);
	if (b->html)
		(void)html_end(&b->text, &out);
	if (match_folded(b, buf_bytes(&out)))
		return true;
	buf_init(&out, space, sizeof space);
	(void)casemap_end(&b->casemap, &out);
	return textmatch_push(b->match, buf_bytes(&out));
}

/* ---------------------------------------------------------------- the headers */

/* Bytes of the collected field that may be decoded now: all of it when it is
 * over, else up to a blank that does not stand between two encoded words. */
static size_t decodable(const struct body_search *b, bool over)
{
	size_t n = b->line_len;

	if (over)
		return n;
	for (size_t i = n - 1; i > n / 2; i--)
		if (text_is(b->line[i], TEXT_SPACE) && !text_is(b->line[i - 1], TEXT_SPACE) && b->line[i - 1] != '=' &&
			b->line[i - 1] != '\n')
			return i;
	return n;
}

/* Searches the collected part of a field. */
static bool match_field(struct body_search *b, bool over)
{
	size_t n = decodable(b, over);

	if (textmatch_header_more(b->match, bytes_make(b->line, n)))
		return true;
	if (over)
		b->match->at = 0;
	memmove(b->line, b->line + n, b->line_len - n);
	b->line_len = (uint16_t)(b->line_len - n);
	return false;
}

static bool match_header(struct body_search *b, struct bytes raw)
{
	for (size_t i = 0; i < raw.len; i++) {
		uint8_t c = raw.data[i];

		/* A line that does not start with a blank is a new field. */
		if (b->blank_line && !text_is(c, TEXT_SPACE) && b->line_len && match_field(b, true))
			return true;
		b->blank_line = c == '\n';
		b->line[b->line_len++] = c;
		if (b->line_len == BODY_SEARCH_FIELD && match_field(b, false))
			return true;
	}
	return false;
}

/* The parameters that are encoded as RFC 2231 has it: file names. */
static bool match_params(struct body_search *b)
{
	static const enum summary_field fields[] = { SUMMARY_TYPE, SUMMARY_DISPOSITION };
	struct summary_part part;

	summary_part(b->summary, b->part, &part);
	for (size_t i = 0; i < 2; i++) {
		struct summary_params it;
		struct bytes name, value;

		summary_params(&part, fields[i], &it);
		while (summary_params_next(&it, &name, &value))
			if (name.len && name.data[name.len - 1] == '*' && textmatch_extended(b->match, value))
				return true;
	}
	return false;
}

/* ------------------------------------------------------------------- the walk */

static void begin_body(struct body_search *b, const struct summary_part *part)
{
	struct bytes charset = summary_param(part, SUMMARY_TYPE, "charset");
	struct bytes subtype = summary_value(part, SUMMARY_SUBTYPE);
	const struct charset *c = charset.data ? charset_find(charset) : NULL;

	/* US-ASCII and what is not known are read as UTF-8, of which ASCII is a
	 * part: that is what undeclared 8-bit text is most often. */
	if (c == NULL || bytes_is(charset_name(c), "US-ASCII"))
		c = charset_find(bytes_of("utf-8"));
	decoder_begin(&b->decoder, decode_encoding(summary_value(part, SUMMARY_ENCODING)));
	charset_begin(&b->charset, c);
	casemap_begin(&b->casemap);
	b->html = bytes_is(subtype, "html");
	if (b->html)
		html_begin(&b->text);
}

static bool is_text(const struct summary_part *part)
{
	/* message/delivery-status and its like are text too. */
	return part->kind == SUMMARY_TEXT ||
		(part->kind == SUMMARY_LEAF && bytes_is(summary_value(part, SUMMARY_TYPE), "message") &&
			!bytes_is(summary_value(part, SUMMARY_SUBTYPE), "rfc822"));
}

/* The part whose first byte comes next behind the header of `part`. */
static summary_ref behind(const struct summary *s, struct summary_part part)
{
	if (part.child)
		return part.child;
	while (part.next == 0 && part.parent)
		summary_part(s, part.parent, &part);
	return part.next;
}

/* Sets up the header of part `ref`; one that is not searched is empty. */
static void go_to_header(struct body_search *b, summary_ref ref)
{
	struct summary_part part;

	b->state = ref ? IN_HEADER : OVER;
	if (ref == 0)
		return;
	b->part = ref;
	b->line_len = 0;
	b->blank_line = false;
	summary_part(b->summary, ref, &part);
	b->start = b->edge = part.header_offset;
	if (b->headers || (part.message && part.parent))
		b->edge += part.header_len;
}

/* From the range that is over to the next one. */
static void go_on(struct body_search *b)
{
	struct summary_part part;

	summary_part(b->summary, b->part, &part);
	b->match->at = 0;
	if (b->state == IN_HEADER && is_text(&part)) {
		b->state = IN_BODY;
		b->start = part.body_offset;
		b->edge = part.body_offset + part.body_len;
		begin_body(b, &part);
	} else {
		go_to_header(b, behind(b->summary, part));
	}
}

/* The range that was read is over. */
static bool end_range(struct body_search *b)
{
	if (b->state == IN_BODY)
		return end_body(b);
	if (b->line_len && match_field(b, true))
		return true;
	return b->headers && match_params(b);
}

void body_search_begin(struct body_search *b, struct textmatch *match, const struct summary *summary, bool headers)
{
	memset(b, 0, offsetof(struct body_search, line));
	b->match = match;
	b->summary = summary;
	b->headers = headers;
	go_to_header(b, summary_root(summary));
}

/* Moves on while the current range is over at the present offset; true when
 * the end of one brought the match. */
static bool settle(struct body_search *b)
{
	while (b->state != OVER && b->pos >= b->edge) {
		if (end_range(b))
			return true;
		go_on(b);
	}
	return false;
}

bool body_search_push(struct body_search *b, struct bytes raw)
{
	if (b->match->found)
		return true;
	while (raw.len) {
		size_t n;

		if (settle(b))
			return true;
		if (b->state == OVER)
			return false;
		if (b->pos < b->start) {
			n = b->start - b->pos < raw.len ? b->start - b->pos : raw.len;
		} else {
			struct bytes piece = bytes_part(raw, 0, b->edge - b->pos);

			if (b->state == IN_BODY ? match_body(b, piece) : match_header(b, piece))
				return true;
			n = piece.len;
		}
		b->pos += (uint32_t)n;
		raw = bytes_part(raw, n, raw.len);
	}
	return false;
}

uint32_t body_search_wants(const struct body_search *b)
{
	if (b->state == OVER)
		return LIMIT_MESSAGE;
	return b->pos < b->start ? b->start : b->pos;
}

void body_search_seek(struct body_search *b, uint32_t offset)
{
	b->pos = offset;
}

bool body_search_end(struct body_search *b)
{
	if (b->match->found)
		return true;
	b->pos = LIMIT_MESSAGE;
	return settle(b);
}
