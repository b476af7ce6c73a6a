/* The leaves that look at a message's text. Summaries stand in the one space of
 * all searches, under the number of their object, which never changes; strings
 * are compiled when they are needed and stay as long as nobody else needs the
 * place. So a search keeps nothing of this size between its slices. */
#include <string.h>

#include "base/err.h"
#include "mail/date.h"
#include "mail/header.h"
#include "view/search_int.h"

/* What it costs to look at a summary, in bytes of text, beside its length. */
#define SUMMARY_WORK 64

/* Bytes of a message that HEADER reads first: most headers end within them. */
#define HEADER_PIECE 3072

/* Bytes of a long field that are looked at twice: more than any string takes in
 * encoded words. */
#define FIELD_OVERLAP 1024

/* The compiled string of a node. */
static struct textmatch *matcher(struct search *q, unsigned at, struct bytes text)
{
	struct searches *s = q->owner;
	struct matcher *oldest = &s->matcher[0];

	s->clock++;
	for (unsigned i = 0; i < SEARCH_MATCHERS; i++) {
		struct matcher *m = &s->matcher[i];

		if (m->serial == q->serial && m->node == at) {
			m->used = s->clock;
			textmatch_reset(&m->match);
			return &m->match;
		}
		if (s->clock - m->used > s->clock - oldest->used)
			oldest = m;
	}
	/* It was compiled before, so it can be compiled. */
	(void)textmatch_compile(&oldest->match, text);
	oldest->serial = q->serial;
	oldest->node = (uint16_t)at;
	oldest->used = s->clock;
	q->bytes += (uint32_t)text.len * 4;
	return &oldest->match;
}

/* Brings the summary of the message into the space. */
static int load_summary(struct search *q)
{
	struct searches *s = q->owner;
	uint64_t object = q->hit.entry.object;
	struct summary_part root;
	int64_t n;
	int rc;

	if (s->object == object && object != 0)
		return OK;
	s->object = 0;
	n = store_summary(s->st, object, s->space, sizeof s->space);
	if (n < 0)
		return (int)n;
	q->bytes += (uint32_t)n / 4 + SUMMARY_WORK;
	rc = summary_open(&s->summary, bytes_make(s->space, (size_t)n));
	if (rc != OK)
		return rc;
	summary_part(&s->summary, summary_root(&s->summary), &root);
	summary_values(&root, s->values);
	s->object = object;
	return OK;
}

/* ---- header fields from the message itself ---- */

/* A piece of a header, read from the message at q->pos. */
struct piece {
	struct bytes bytes;
	bool full; /* no larger one can be had: a field that does not fit is looked at in parts */
	bool last; /* reaches the message's end */
};

/* Passes the rest of a field: its lines go on with blanks. True when its end is
 * in the piece; *rest begins there. */
static bool pass_field(struct bytes *rest)
{
	for (;;) {
		size_t line = bytes_index(*rest, '\n');

		if (line + 1 >= rest->len)
			return false;
		*rest = bytes_part(*rest, line + 1, rest->len);
		if (rest->data[0] != ' ' && rest->data[0] != '\t')
			return true;
	}
}

static bool in_value(struct textmatch *m, struct bytes value)
{
	textmatch_reset(m);
	return textmatch_header(m, value);
}

/* Goes on at q->pos behind what was looked at of a long field: some of it again,
 * so that a string across the border is found, or the last byte alone, which may
 * be the line's end. */
static int next_part(struct search *q, struct piece p)
{
	size_t again = q->in_field == FIELD_WANTED ? FIELD_OVERLAP : 1;

	q->pos += p.bytes.len - again;
	return E_AGAIN;
}

/* Looks for the field with the string: 1 it is there, 0 it is not and the header
 * is over, E_AGAIN: go on at q->pos. */
static int look_at_piece(struct search *q, struct piece p, struct bytes name, struct textmatch *m)
{
	struct bytes rest = p.bytes;

	if (q->in_field != FIELD_NONE) {
		bool ends = pass_field(&rest);
		size_t len = ends ? p.bytes.len - rest.len : p.bytes.len;

		if (q->in_field == FIELD_WANTED && in_value(m, bytes_part(p.bytes, 0, len)))
			return 1;
		if (!ends)
			return p.last ? 0 : next_part(q, p);
		q->in_field = FIELD_NONE;
	}
	for (;;) {
		size_t start = p.bytes.len - rest.len;
		struct header_field field;
		bool open, wanted;

		if (!header_next(&rest, &field))
			return 0;
		/* A field that reaches the piece's end may go on behind it. */
		open = rest.len == 0 && !p.last;
		if (open && (start > 0 || !p.full)) {
			q->pos += start;
			return E_AGAIN;
		}
		wanted = bytes_equal_nocase(field.name, name);
		if (wanted && in_value(m, field.value))
			return 1;
		if (open) {
			q->in_field = wanted ? FIELD_WANTED : FIELD_OTHER;
			return next_part(q, p);
		}
	}
}

static int in_header(struct search *q, unsigned at, struct bytes name, struct bytes text)
{
	struct searches *s = q->owner;
	struct textmatch *m = matcher(q, at, text);
	size_t want = HEADER_PIECE;

	if (!q->reading) {
		q->reading = true;
		q->in_field = FIELD_NONE;
		q->pos = 0;
	}
	for (; q->bytes < LIMIT_SLICE_BYTES; want = sizeof s->piece) {
		int64_t n = store_body(s->st, q->hit.entry.object, q->pos, s->piece, want);
		struct piece p;
		int rc;

		if (n < 0)
			return (int)n;
		q->bytes += (uint32_t)n + SUMMARY_WORK;
		p = (struct piece){ bytes_make(s->piece, (size_t)n), want == sizeof s->piece, (size_t)n < want };
		rc = look_at_piece(q, p, name, m);
		if (rc != E_AGAIN) {
			q->reading = false;
			return rc;
		}
	}
	return E_AGAIN;
}

/* ---- the rest ---- */

static const char *const field_names[] = {
	[SUMMARY_DATE] = "Date",
	[SUMMARY_SUBJECT] = "Subject",
	[SUMMARY_FROM] = "From",
	[SUMMARY_SENDER] = "Sender",
	[SUMMARY_REPLY_TO] = "Reply-To",
	[SUMMARY_TO] = "To",
	[SUMMARY_CC] = "Cc",
	[SUMMARY_BCC] = "Bcc",
	[SUMMARY_IN_REPLY_TO] = "In-Reply-To",
	[SUMMARY_MESSAGE_ID] = "Message-ID",
	[SUMMARY_REFERENCES] = "References",
};

static int in_field(struct search *q, unsigned at)
{
	const struct search_node *n = search_node(q, at);
	struct bytes value;
	int rc = q->reading ? OK : load_summary(q);

	if (rc != OK && rc != E_NOTSUP && rc != E_DAMAGED)
		return rc;
	if (rc == OK && !q->reading) {
		struct textmatch *m = matcher(q, at, search_string(n));

		value = q->owner->values[n->field];
		q->bytes += (uint32_t)value.len;
		if (value.data && textmatch_header(m, value))
			return 1;
		if (!(q->owner->summary.flags & SUMMARY_CUT))
			return 0;
	}
	/* The summary can't be read or does not have all of it. */
	return in_header(q, at, bytes_of(field_names[n->field]), search_string(n));
}

static int sent(struct search *q, const struct search_node *n)
{
	const struct summary *s = &q->owner->summary;
	int rc = load_summary(q);
	int64_t day;

	if (rc != OK)
		return rc;
	if (!(s->flags & SUMMARY_HAS_DATE))
		return 0;
	day = date_day((struct date){ s->sent, s->zone });
	return day >= n->u.range.low && day <= n->u.range.high;
}

/* On to the next byte that matters: attachments are not read. False when there
 * is none. */
static bool pass_unsearched(struct search *q)
{
	uint32_t wants = body_search_wants(&q->body);

	if (wants == LIMIT_MESSAGE)
		return false;
	if (wants > q->pos) {
		body_search_seek(&q->body, wants);
		q->pos = wants;
	}
	return true;
}

static int in_message(struct search *q, unsigned at, bool headers)
{
	struct searches *s = q->owner;
	struct textmatch *m = matcher(q, at, search_string(search_node(q, at)));
	int rc = load_summary(q);

	if (rc != OK)
		return rc;
	if (!q->reading) {
		q->reading = true;
		q->pos = 0;
		body_search_begin(&q->body, m, &s->summary, headers);
	} else {
		q->body.match = m;
		m->at = q->matched;
	}
	while (q->bytes < LIMIT_SLICE_BYTES) {
		int64_t n = store_body(s->st, q->hit.entry.object, q->pos, s->piece, sizeof s->piece);
		bool found;

		if (n < 0)
			return (int)n;
		q->bytes += (uint32_t)n;
		q->pos += (uint64_t)n;
		found = n > 0 && body_search_push(&q->body, bytes_make(s->piece, (size_t)n));
		if (found || n < (int64_t)sizeof s->piece || !pass_unsearched(q)) {
			q->reading = false;
			return found || body_search_end(&q->body);
		}
	}
	q->matched = m->at;
	return E_AGAIN;
}

int search_text_leaf(struct search *q, unsigned at)
{
	const struct search_node *n = search_node(q, at);

	switch (n->kind) {
	case NODE_SENT:
		return sent(q, n);
	case NODE_FIELD:
		return in_field(q, at);
	case NODE_HEADER:
		return in_header(q, at, search_string(n), search_string(search_node(q, at + 1)));
	default:
		return in_message(q, at, n->kind == NODE_TEXT);
	}
}
