/* The line half of the summary parser: where headers, bodies and parts begin
 * and end. It goes through the message once, from line start to line start; the
 * open parts are a stack, and only a line that starts with two hyphens is
 * compared with their boundaries.
 *
 * The line end before a boundary belongs to the boundary (RFC 2046 section
 * 5.1.1), so a part ends before it. */
#include "mail/summary.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "mail/date.h"
#include "mail/summary_format.h"

/* Bytes of a field name that are held; longer names are none of ours. */
#define NAME_MAX 64

/* Bytes of a line that decide whether it is a boundary: two hyphens, the
 * boundary, two hyphens and then something. */
#define DASH_MAX (SUMMARY_BOUNDARY_MAX + 8)

enum state {
	LINE_START,
	HEADER_CR,       /* a CR at the start of a header line */
	HEADER_NAME,
	HEADER_VALUE,
	BODY_LINE,       /* somewhere in a body line */
	DASH_LINE,       /* a line that starts with a hyphen is collected */
	BOUNDARY_OPENS,  /* the rest of a boundary's line, a part follows */
	BOUNDARY_CLOSES  /* the same, no part follows */
};

static struct summary_level *top(struct summary_parser *p)
{
	return &p->level[p->depth - 1];
}

static uint8_t *record(const struct summary_parser *p, unsigned level)
{
	return p->out + p->level[level].part;
}

/* -------------------------------------------------------------------- parts */

static bool may_begin(const struct summary_parser *p)
{
	return p->parts < SUMMARY_PARTS_MAX && p->depth < SUMMARY_DEPTH_MAX && p->cap - p->len >= SUMMARY_ROOM_MIN;
}

/* Opens a part whose header starts at offset `at`. */
static void part_begin(struct summary_parser *p, uint32_t at, uint32_t lines, uint8_t flags)
{
	uint8_t *r = p->out + p->len;

	memset(r, 0, PART_END);
	r[PART_FLAGS] = flags;
	put_le32(r + PART_HEADER, at);
	put_le32(r + PART_HEADER_LINES, lines); /* where it starts, until it ends */
	if (p->depth) {
		struct summary_level *parent = top(p);

		put_le16(r + PART_PARENT, parent->part);
		if (parent->last_child)
			put_le16(p->out + parent->last_child + PART_NEXT, (uint16_t)p->len);
		else
			put_le16(p->out + parent->part + PART_CHILD, (uint16_t)p->len);
		parent->last_child = (uint16_t)p->len;
	}
	p->level[p->depth++] = (struct summary_level){ .part = (uint16_t)p->len };
	p->len += PART_END;
	p->parts++;
	p->in_header = true;
	p->mime = false;
	p->seen = 0;
	p->repeats = 0;
	p->field = FIELD_START;
	p->state = LINE_START;
}

static enum summary_kind kind_of(const struct summary_parser *p)
{
	struct bytes type = summary_top_value(p, SUMMARY_TYPE);

	if (type.data == NULL)
		return (record(p, p->depth - 1u)[PART_FLAGS] & PART_IS_DIGEST_CHILD) ? SUMMARY_MESSAGE : SUMMARY_TEXT;
	if (bytes_is(type, "text"))
		return SUMMARY_TEXT;
	if (bytes_is(type, "multipart"))
		return SUMMARY_MULTIPART;
	if (bytes_is(type, "message") && bytes_is(summary_top_value(p, SUMMARY_SUBTYPE), "rfc822"))
		return SUMMARY_MESSAGE;
	return SUMMARY_LEAF;
}

/* The header of the part on top ends before offset `at`. */
static void header_end(struct summary_parser *p, uint32_t at, uint32_t lines)
{
	uint8_t *r = record(p, p->depth - 1u);
	enum summary_kind kind;

	summary_header_end(p);
	put_le32(r + PART_HEADER_LEN, at - le32(r + PART_HEADER));
	put_le32(r + PART_HEADER_LINES, lines - le32(r + PART_HEADER_LINES));
	put_le32(r + PART_BODY_LINES, lines);
	p->in_header = false;
	p->state = LINE_START;

	kind = kind_of(p);
	if ((kind == SUMMARY_MULTIPART || kind == SUMMARY_MESSAGE) && !may_begin(p)) {
		p->flags |= SUMMARY_OPAQUE;
		kind = SUMMARY_LEAF;
	}
	/* Base64 is forbidden there (RFC 2045 section 6.4); nothing to see inside. */
	if (kind == SUMMARY_MESSAGE && bytes_is(summary_top_value(p, SUMMARY_ENCODING), "base64"))
		kind = SUMMARY_LEAF;
	r[PART_KIND] = (uint8_t)kind;
	if (kind == SUMMARY_MULTIPART) {
		struct bytes boundary = summary_top_boundary(p);

		top(p)->boundary = (uint16_t)(boundary.len ? boundary.data - p->out : 0);
		top(p)->boundary_len = (uint16_t)boundary.len;
		p->splits = p->splits || boundary.len;
	} else if (kind == SUMMARY_MESSAGE) {
		part_begin(p, at, lines, PART_IS_MESSAGE);
	}
}

/* Closes open parts until `depth` are left; their bodies end at offset `end`. */
static void close_parts(struct summary_parser *p, unsigned depth, uint32_t end, uint32_t lines)
{
	for (; p->depth > depth; p->depth--) {
		uint8_t *r = record(p, p->depth - 1u);

		put_le32(r + PART_BODY_LEN, end - le32(r + PART_HEADER) - le32(r + PART_HEADER_LEN));
		put_le32(r + PART_BODY_LINES, lines - le32(r + PART_BODY_LINES));
	}
	p->splits = false;
	for (unsigned i = 0; i < p->depth; i++)
		p->splits = p->splits || p->level[i].boundary_len;
}

/* --------------------------------------------------------------- boundaries */

/* The level whose boundary the line starts with, or -1. Innermost first; one
 * boundary may be the start of another, then the longest counts, unless a line
 * is exactly one of them (or that one's end). */
static int find_boundary(const struct summary_parser *p, struct bytes line)
{
	bool dashes = line.len > 2 && memcmp(line.data + line.len - 2, "--", 2) == 0;
	size_t best_len = 0;
	int best = -1;

	for (int i = p->depth - 1; i >= 0; i--) {
		size_t len = p->level[i].boundary_len;

		if (len <= best_len || len > line.len || memcmp(line.data, p->out + p->level[i].boundary, len) != 0)
			continue;
		best = i;
		best_len = len;
		if (len == line.len || (dashes && len == line.len - 2))
			break;
	}
	return best;
}

/* A boundary follows a header's blank line at once: that line end is the
 * boundary's, so the header ends before it, at `end`. */
static void shorten_header(struct summary_parser *p, unsigned level, uint32_t end, uint32_t lines)
{
	uint8_t *r = record(p, level);

	put_le32(r + PART_HEADER_LEN, end - le32(r + PART_HEADER));
	put_le32(r + PART_HEADER_LINES, le32(r + PART_HEADER_LINES) - 1);
	put_le32(r + PART_BODY_LINES, lines);
	if (level + 1u < p->depth) { /* the message inside has not begun */
		put_le32(record(p, level + 1) + PART_HEADER, end);
		put_le32(record(p, level + 1) + PART_HEADER_LINES, lines);
	}
}

/* The collected line (its line end not seen yet, or not there) is the boundary
 * of the multipart at `level`. */
static void at_boundary(struct summary_parser *p, unsigned level, bool closes)
{
	const uint8_t *r = record(p, p->depth - 1u);
	unsigned inner = p->depth - 1u - ((r[PART_FLAGS] & PART_IS_MESSAGE) && p->in_header);
	uint32_t start = le32(r + PART_HEADER) + (p->in_header ? 0 : le32(r + PART_HEADER_LEN));
	uint32_t end = p->line_start, lines = p->lines;

	if (end > start && p->eol) {
		end -= p->eol;
		lines--;
	} else if (inner > level && (!p->in_header || inner + 1u < p->depth)) {
		end -= p->eol;
		lines--;
		shorten_header(p, inner, end, lines);
	}
	while (p->in_header) /* message/rfc822 opens one more */
		header_end(p, end, lines);
	close_parts(p, level + 1, end, lines);
	p->state = BOUNDARY_OPENS;
	if (!closes && !may_begin(p)) {
		p->flags |= SUMMARY_OPAQUE;
		closes = true;
	}
	if (closes) {
		p->level[level].boundary_len = 0;
		close_parts(p, level + 1, end, lines); /* nothing to close, but splits */
		p->state = BOUNDARY_CLOSES;
	}
}

/* Looks at the collected start of a line, without its line end. */
static void decide_dash_line(struct summary_parser *p, size_t len)
{
	struct bytes line = bytes_part(bytes_make(p->line, len), 2, len);
	int level = -1;

	if (len > 2 && p->line[1] == '-')
		level = find_boundary(p, line);
	if (level >= 0) {
		size_t boundary = p->level[level].boundary_len;

		at_boundary(p, (unsigned)level, line.len >= boundary + 2 && memcmp(line.data + boundary, "--", 2) == 0);
	} else {
		p->state = p->in_header ? HEADER_VALUE : BODY_LINE;
	}
}

/* -------------------------------------------------------------------- lines */

/* A line ended; the next one starts at offset `next`. */
static inline void line_end(struct summary_parser *p, uint32_t next, bool cr)
{
	p->lines++;
	p->line_start = next;
	p->eol = cr ? 2 : 1;
	if (!cr)
		p->flags |= SUMMARY_BARE_LF;
}

static inline bool cr_before(const struct summary_parser *p, const uint8_t *data, size_t i)
{
	return i ? data[i - 1] == '\r' : p->cr;
}

/* Goes on from line to line as long as none can be a boundary. */
static size_t take_body(struct summary_parser *p, const uint8_t *data, size_t i, size_t len)
{
	for (;;) {
		const uint8_t *lf = memchr(data + i, '\n', len - i);

		if (lf == NULL)
			return len;
		i = (size_t)(lf - data);
		line_end(p, p->pos + (uint32_t)i + 1, cr_before(p, data, i));
		i++;
		if (i == len || (p->splits && data[i] == '-')) {
			p->state = LINE_START;
			return i;
		}
	}
}

/* The first byte of a line, which is taken only where that is said. */
static size_t take_line_start(struct summary_parser *p, const uint8_t *data, size_t i)
{
	uint8_t c = data[i];

	if (!p->in_header) {
		p->state = c == '-' && p->splits ? DASH_LINE : BODY_LINE;
		p->line_len = 0;
		return i;
	}
	if ((c == ' ' || c == '\t') && p->field != FIELD_START) {
		p->state = HEADER_VALUE;
		return i;
	}
	summary_field_end(p);
	p->line_len = 0;
	if (c == '\n') {
		line_end(p, p->pos + (uint32_t)i + 1, false);
		header_end(p, p->line_start, p->lines);
		return i + 1;
	}
	if (c == '\r') {
		p->state = HEADER_CR;
		return i + 1;
	}
	p->state = c == '-' && p->splits ? DASH_LINE : HEADER_NAME;
	return i;
}

static size_t take_cr(struct summary_parser *p, const uint8_t *data, size_t i)
{
	if (data[i] != '\n') {
		p->state = HEADER_VALUE;
		return i;
	}
	line_end(p, p->pos + (uint32_t)i + 1, true);
	header_end(p, p->line_start, p->lines);
	return i + 1;
}

static size_t take_name(struct summary_parser *p, const uint8_t *data, size_t i, size_t len)
{
	for (; i < len; i++) {
		uint8_t c = data[i];

		if (c == ':') {
			if (p->line_len > NAME_MAX)
				p->line_len = 0;
			summary_field_begin(p);
			p->cr_waits = false;
			p->state = HEADER_VALUE;
			return i + 1;
		}
		if (c == '\n') {
			line_end(p, p->pos + (uint32_t)i + 1, cr_before(p, data, i));
			p->state = LINE_START;
			return i + 1;
		}
		if (p->line_len <= NAME_MAX)
			p->line[p->line_len++] = c;
	}
	return i;
}

static size_t take_value(struct summary_parser *p, const uint8_t *data, size_t i, size_t len)
{
	const uint8_t *lf = memchr(data + i, '\n', len - i);
	size_t end = lf ? (size_t)(lf - data) : len, n = end - i;

	if (n) {
		if (p->cr_waits)
			summary_field_put(p, (const uint8_t *)"\r", 1);
		p->cr_waits = data[end - 1] == '\r';
		summary_field_put(p, data + i, n - p->cr_waits);
	}
	if (lf == NULL)
		return len;
	line_end(p, p->pos + (uint32_t)end + 1, cr_before(p, data, end));
	p->cr_waits = false;
	p->state = LINE_START;
	return end + 1;
}

static size_t take_dash_line(struct summary_parser *p, const uint8_t *data, size_t i, size_t len)
{
	for (; i < len; i++) {
		size_t n = p->line_len;

		if (data[i] == '\n') {
			/* What the line is; its end is taken by that state. */
			decide_dash_line(p, n && p->line[n - 1] == '\r' ? n - 1 : n);
			return i;
		}
		p->line[p->line_len++] = data[i];
		if (p->line_len == DASH_MAX) {
			decide_dash_line(p, DASH_MAX);
			return i + 1;
		}
	}
	return i;
}

/* The rest of a boundary's line. */
static size_t take_boundary(struct summary_parser *p, const uint8_t *data, size_t i, size_t len)
{
	const uint8_t *lf = memchr(data + i, '\n', len - i);
	bool opens = p->state == BOUNDARY_OPENS;

	if (lf == NULL)
		return len;
	i = (size_t)(lf - data);
	line_end(p, p->pos + (uint32_t)i + 1, cr_before(p, data, i));
	p->state = LINE_START;
	if (opens) {
		struct bytes subtype = summary_top_value(p, SUMMARY_SUBTYPE);

		part_begin(p, p->line_start, p->lines, bytes_is(subtype, "digest") ? PART_IS_DIGEST_CHILD : 0);
	}
	return i + 1;
}

/* ------------------------------------------------------------------ surface */

void summary_begin(struct summary_parser *p, void *out, size_t cap)
{
	assert(cap >= 1024);
	memset(p, 0, offsetof(struct summary_parser, line));
	p->out = out;
	p->cap = cap < LIMIT_SUMMARY ? (uint32_t)cap : LIMIT_SUMMARY;
	memset(p->out, 0, HEAD_END);
	p->len = HEAD_END;
	part_begin(p, 0, 0, PART_IS_MESSAGE);
}

/* Sets the flags for NUL and 8-bit bytes. */
static void note_bytes(struct summary_parser *p, const uint8_t *data, size_t len)
{
	const uint64_t ones = UINT64_MAX / 255, highs = ones << 7;
	uint64_t high = 0, zero = 0;

	for (; len >= 8; data += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, data, 8);
		high |= word;
		zero |= (word - ones) & ~word;
	}
	for (; len; data++, len--) {
		high |= *data;
		zero |= *data ? 0 : highs;
	}
	if (high & highs)
		p->flags |= SUMMARY_8BIT;
	if (zero & highs)
		p->flags |= SUMMARY_HAS_NUL;
}

void summary_push(struct summary_parser *p, const void *bytes, size_t len)
{
	const uint8_t *data = bytes;
	size_t i = 0;

	if (len > LIMIT_MESSAGE - p->pos)
		len = LIMIT_MESSAGE - p->pos;
	if (len == 0)
		return;
	if ((p->flags & (SUMMARY_8BIT | SUMMARY_HAS_NUL)) != (SUMMARY_8BIT | SUMMARY_HAS_NUL))
		note_bytes(p, data, len);
	while (i < len) {
		switch ((enum state)p->state) {
		case LINE_START:
			i = take_line_start(p, data, i);
			break;
		case HEADER_CR:
			i = take_cr(p, data, i);
			break;
		case HEADER_NAME:
			i = take_name(p, data, i, len);
			break;
		case HEADER_VALUE:
			i = take_value(p, data, i, len);
			break;
		case BODY_LINE:
			i = take_body(p, data, i, len);
			break;
		case DASH_LINE:
			i = take_dash_line(p, data, i, len);
			break;
		case BOUNDARY_OPENS:
		case BOUNDARY_CLOSES:
			i = take_boundary(p, data, i, len);
			break;
		}
	}
	p->cr = data[len - 1] == '\r';
	p->pos += (uint32_t)len;
}

static void put_sent(struct summary_parser *p)
{
	struct bytes value;
	size_t at = HEAD_END + PART_END;
	size_t end = at + le16(p->out + HEAD_END + PART_VALUES);
	uint8_t tag;
	struct date d;

	while (value_next(p->out, &at, end, &tag, &value)) {
		if (tag == SUMMARY_DATE && date_parse(value, &d) == OK) {
			p->flags |= SUMMARY_HAS_DATE;
			put_le64(p->out + HEAD_SENT, (uint64_t)d.seconds);
			put_le16(p->out + HEAD_ZONE, (uint16_t)d.zone);
		}
	}
}

struct bytes summary_end(struct summary_parser *p)
{
	if (p->state == DASH_LINE)
		decide_dash_line(p, p->line_len);
	if (p->in_header) {
		if (p->cr_waits && p->state == HEADER_VALUE)
			summary_field_put(p, (const uint8_t *)"\r", 1);
		summary_field_end(p);
		while (p->in_header)
			header_end(p, p->pos, p->lines);
	}
	close_parts(p, 0, p->pos, p->lines);
	put_sent(p);
	p->out[HEAD_VERSION] = SUMMARY_VERSION;
	p->out[HEAD_FLAGS] = p->flags;
	put_le16(p->out + HEAD_LEN, (uint16_t)p->len);
	put_le32(p->out + HEAD_SIZE, p->pos);
	put_le32(p->out + HEAD_LINES, p->lines);
	put_le16(p->out + HEAD_PARTS, p->parts);
	return bytes_make(p->out, p->len);
}
