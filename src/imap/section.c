/* Parts of messages on the wire: BODY[...] and the RFC822 items. Bytes go from
 * the store straight into the output piece; a header that is filtered passes
 * through the server's scratch, small ones at once, larger ones in two rounds
 * (the literal's length stands before it). */
#include <string.h>

#include "base/err.h"
#include "imap/fetch.h"
#include "imap/server.h"

enum {
	PART_BEGIN,
	PART_BODY,        /* a literal straight from the store */
	PART_SMALL,       /* a small header is filtered anew for each piece */
	PART_COUNT,       /* a large one: first round */
	PART_LARGE        /* second round */
};

/* Headers up to this are filtered in one go; the other half of the scratch
 * takes what passes. */
#define SMALL_HEADER (SERVER_SCRATCH / 2)

/* What an item needs before and behind its name: space, literal, bracket. */
#define AROUND 64

int fetch_summary(struct session *s, struct fetch_unit *u)
{
	struct imap_server *v = s->server;
	int64_t n;
	int err;

	if (v->summary_object == u->entry.object)
		return OK;
	v->summary_object = 0;
	n = store_summary(v->parts.store, u->entry.object, v->summary, LIMIT_SUMMARY);
	if (n < 0)
		return (int)n;
	err = summary_open(&v->opened, bytes_make(v->summary, (size_t)n));
	if (err != OK)
		return E_DAMAGED;
	v->summary_object = u->entry.object;
	return OK;
}

/* Where the section lies in the stored message. E_NOENT: it has none such. */
static int resolve(struct session *s, struct fetch_unit *u, const struct fetch_item *item)
{
	static const uint8_t sections[] = {
		[SECTION_WHOLE] = SUMMARY_WHOLE,   [SECTION_HEADER] = SUMMARY_HEADER,
		[SECTION_TEXT] = SUMMARY_BODY,     [SECTION_MIME] = SUMMARY_MIME,
		[SECTION_FIELDS] = SUMMARY_HEADER, [SECTION_FIELDS_NOT] = SUMMARY_HEADER,
	};
	enum summary_section section = (enum summary_section)sections[item->section];
	uint32_t path[SUMMARY_DEPTH_MAX];
	int levels, err;

	if (item->kind == FETCH_RFC822 ||
		(item->kind == FETCH_SECTION && item->section == SECTION_WHOLE && !item->path_len)) {
		u->range = (struct summary_range){ 0, u->entry.size };
		return OK;
	}
	if (item->kind == FETCH_RFC822_HEADER)
		section = SUMMARY_HEADER;
	else if (item->kind == FETCH_RFC822_TEXT)
		section = SUMMARY_BODY;
	err = fetch_summary(s, u);
	if (err != OK)
		return err;
	levels = fetch_path(s, item, path);
	if (levels < 0)
		return E_NOENT;
	return summary_section(&s->server->opened, path, (size_t)levels, section, &u->range);
}

/* NUL is no byte of a literal (RFC 3501 section 9, CHAR8). */
static void hide_nul(uint8_t *data, size_t len)
{
	uint8_t *end = data + len;

	while ((data = memchr(data, 0, (size_t)(end - data))) != NULL)
		*data++ = 0x80;
}

/* A body that can't be given: remembered for the tagged answer. */
static void note(struct fetch_unit *u, int err)
{
	if (err == E_GONE || err == E_NOENT) {
		u->expunged = true;
		return;
	}
	if (!u->damaged_uid)
		u->damaged_uid = u->entry.uid;
}

static bool put_nil(struct session *s, const struct fetch_item *item, struct fetch_unit *u, struct buf *out)
{
	if (!u->first)
		buf_putc(out, ' ');
	u->first = false;
	return fetch_put_name(s, item, out) && buf_puts(out, " NIL");
}

/* The item's name and its string's opening, for what is left of `len` bytes
 * after the partial. True when a literal is open. */
static bool open_string(struct session *s, struct fetch_unit *u, const struct fetch_item *item, uint64_t len,
	struct buf *out)
{
	uint64_t from = item->partial ? item->from : 0;

	u->skip = from < len ? from : len;
	u->left = len - u->skip;
	if (item->partial && u->left > item->count)
		u->left = item->count;
	if (!u->first)
		buf_putc(out, ' ');
	u->first = false;
	fetch_put_name(s, item, out);
	if (u->left == 0) {
		/* an empty literal is legal, and some clients choke on it */
		buf_puts(out, " \"\"");
		return false;
	}
	buf_printf(out, " {%llu}\r\n", (unsigned long long)u->left);
	return true;
}

/* ---- straight from the store ---- */

static int body_piece(struct session *s, struct fetch_unit *u, struct buf *out)
{
	size_t len = buf_space(out) < u->left ? buf_space(out) : (size_t)u->left;
	int64_t n;

	if (len == 0)
		return OK;
	n = store_body_ahead(s->server->parts.store, u->entry.object, u->offset, out->data + out->len, len,
		u->left - len);
	if (n <= 0)
		return n < 0 ? (int)n : E_DAMAGED;
	hide_nul(out->data + out->len, (size_t)n);
	out->len += (size_t)n;
	u->offset += (uint64_t)n;
	u->left -= (uint64_t)n;
	return OK;
}

static enum emit body_rest(struct session *s, struct fetch_unit *u, struct buf *out)
{
	while (u->left > 0) {
		int err;

		if (buf_space(out) == 0)
			return EMIT_FULL;
		err = body_piece(s, u, out);
		if (err != OK) {
			note(u, err);
			server_damaged(s->server, u->entry.object);
			return EMIT_BROKEN;
		}
	}
	return EMIT_DONE;
}

static enum emit body_begin(struct session *s, struct fetch_unit *u, const struct fetch_item *item, struct buf *out)
{
	size_t before = out->len;
	bool first = u->first;
	int err;

	if (!open_string(s, u, item, u->range.len, out))
		return EMIT_DONE;
	u->offset = u->range.offset + u->skip;
	/* what can be is read before anything is promised: a literal must be finished */
	err = server_is_damaged(s->server, u->entry.object)
		? E_DAMAGED
		: store_body_ready(s->server->parts.store, u->entry.object, u->offset, u->left);
	if (err == OK)
		err = body_piece(s, u, out);
	if (err != OK) {
		out->len = before;
		u->first = first;
		note(u, err);
		put_nil(s, item, u, out);
		return EMIT_DONE;
	}
	u->part = PART_BODY;
	return body_rest(s, u, out);
}

/* ---- filtered headers ---- */

static void begin_filter(struct session *s, struct fetch_unit *u, const struct fetch_item *item)
{
	header_filter_begin(&u->filter, s->server->names, fetch_names(s, item), item->section == SECTION_FIELDS_NOT);
	u->offset = u->range.offset;
}

static uint64_t header_end(const struct fetch_unit *u)
{
	return (uint64_t)u->range.offset + u->range.len;
}

/* Reads the next bytes of the header into the first half of the scratch. */
static int64_t read_header(struct session *s, struct fetch_unit *u)
{
	uint64_t left = header_end(u) - u->offset;
	size_t len = left < SMALL_HEADER ? (size_t)left : SMALL_HEADER;
	int64_t n;

	if (len == 0)
		return 0;
	n = store_body(s->server->parts.store, u->entry.object, u->offset, s->server->scratch, len);
	return n == 0 ? E_DAMAGED : n;
}

/* The whole filtered header into the second half of the scratch. */
static int filter_small(struct session *s, struct fetch_unit *u, const struct fetch_item *item, struct buf *passed)
{
	int64_t n;

	buf_init(passed, s->server->scratch + SMALL_HEADER, SERVER_SCRATCH - SMALL_HEADER);
	begin_filter(s, u, item);
	n = read_header(s, u);
	if (n < 0)
		return (int)n;
	if ((uint64_t)n < u->range.len)
		return E_DAMAGED;
	header_filter_push(&u->filter, bytes_make(s->server->scratch, (size_t)n), passed);
	header_filter_end(&u->filter, passed);
	return OK;
}

static enum emit put_small(struct fetch_unit *u, const struct buf *passed, struct buf *out)
{
	size_t n = buf_space(out) < u->left ? buf_space(out) : (size_t)u->left;

	if (n) {
		memcpy(out->data + out->len, passed->data + u->skip, n);
		hide_nul(out->data + out->len, n);
		out->len += n;
		u->skip += n;
		u->left -= n;
	}
	return u->left ? EMIT_FULL : EMIT_DONE;
}

static enum emit small_begin(struct session *s, struct fetch_unit *u, const struct fetch_item *item, struct buf *out)
{
	struct buf passed;
	int err = filter_small(s, u, item, &passed);

	if (err != OK) {
		note(u, err);
		put_nil(s, item, u, out);
		return EMIT_DONE;
	}
	if (!open_string(s, u, item, passed.len, out))
		return EMIT_DONE;
	u->part = PART_SMALL;
	return put_small(u, &passed, out);
}

static enum emit small_rest(struct session *s, struct fetch_unit *u, const struct fetch_item *item, struct buf *out)
{
	struct buf passed;

	if (filter_small(s, u, item, &passed) != OK || u->skip + u->left > passed.len)
		return EMIT_BROKEN;
	return put_small(u, &passed, out);
}

/* First round: how much will pass. */
static enum emit large_count(struct session *s, struct fetch_unit *u, const struct fetch_item *item, struct buf *out)
{
	for (size_t done = 0; u->offset < header_end(u);) {
		int64_t n;

		if (done >= LIMIT_SLICE_BYTES)
			return EMIT_AGAIN;
		n = read_header(s, u);
		if (n < 0) {
			note(u, (int)n);
			put_nil(s, item, u, out);
			return EMIT_DONE;
		}
		header_filter_push(&u->filter, bytes_make(s->server->scratch, (size_t)n), NULL);
		u->offset += (uint64_t)n;
		done += (size_t)n;
	}
	header_filter_end(&u->filter, NULL);
	if (!open_string(s, u, item, u->filter.passed, out))
		return EMIT_DONE;
	begin_filter(s, u, item);
	u->part = PART_LARGE;
	return EMIT_FULL;
}

/* What passed is in the second half of the scratch: drops what is before the
 * partial and what is behind it. */
static void put_large(struct fetch_unit *u, const struct buf *passed, struct buf *out)
{
	size_t drop = passed->len < u->skip ? passed->len : (size_t)u->skip;
	size_t n = passed->len - drop < u->left ? passed->len - drop : (size_t)u->left;

	memcpy(out->data + out->len, passed->data + drop, n);
	hide_nul(out->data + out->len, n);
	out->len += n;
	u->skip -= drop;
	u->left -= n;
}

/* Second round. The filter is never given more room than the output has. */
static enum emit large_rest(struct session *s, struct fetch_unit *u, struct buf *out)
{
	for (size_t done = 0; u->left > 0;) {
		struct buf passed;
		int64_t n;

		if (buf_space(out) == 0)
			return EMIT_FULL;
		if (done >= LIMIT_SLICE_BYTES)
			return EMIT_AGAIN;
		buf_init(&passed, s->server->scratch + SMALL_HEADER, buf_space(out));
		n = read_header(s, u);
		if (n < 0)
			return EMIT_BROKEN;
		if (n > 0) {
			n = (int64_t)header_filter_push(&u->filter, bytes_make(s->server->scratch, (size_t)n), &passed);
			u->offset += (uint64_t)n;
		} else if (header_filter_end(&u->filter, &passed) && passed.len < u->left) {
			return EMIT_BROKEN; /* the stored bytes have changed between the rounds */
		}
		done += (size_t)n + 1;
		put_large(u, &passed, out);
	}
	return EMIT_DONE;
}

static enum emit fields_begin(struct session *s, struct fetch_unit *u, const struct fetch_item *item, struct buf *out)
{
	if (u->range.len <= SMALL_HEADER)
		return small_begin(s, u, item, out);
	begin_filter(s, u, item);
	u->part = PART_COUNT;
	return large_count(s, u, item, out);
}

static enum emit begin(struct session *s, struct fetch_unit *u, const struct fetch_item *item, struct buf *out)
{
	int err = resolve(s, u, item);

	if (err != OK) {
		if (err != E_NOENT)
			note(u, err);
		put_nil(s, item, u, out);
		return EMIT_DONE;
	}
	if (item->kind == FETCH_SECTION && item->section >= SECTION_FIELDS)
		return fields_begin(s, u, item, out);
	return body_begin(s, u, item, out);
}

enum emit section_emit(struct session *s, struct fetch_unit *u, const struct fetch_item *item, struct buf *out)
{
	/* the names must be there again for a filter that goes on */
	if (u->part == PART_COUNT || u->part == PART_LARGE)
		fetch_names(s, item);
	switch (u->part) {
	case PART_BODY:
		return body_rest(s, u, out);
	case PART_SMALL:
		return small_rest(s, u, item, out);
	case PART_LARGE:
		return large_rest(s, u, out);
	default:
		break;
	}
	if (buf_space(out) < FETCH_ECHO + AROUND && out->len > 0) {
		/* most names are short: measure before giving the piece away */
		struct buf echo;

		buf_init(&echo, s->server->scratch, SERVER_SCRATCH);
		fetch_put_name(s, item, &echo);
		if (echo.len + AROUND > buf_space(out))
			return EMIT_FULL;
	}
	return u->part == PART_COUNT ? large_count(s, u, item, out) : begin(s, u, item, out);
}
