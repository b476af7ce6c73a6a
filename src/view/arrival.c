/* Messages are read when they are complete, not as they come: so one work space
 * is enough for any number of slow senders. */
#include "view/arrival.h"

#include <string.h>

#include "base/err.h"
#include "mail/summary.h"

/* Bytes read back from the store at once, and converted at once. */
#define PIECE 2048

struct arrival {
	struct arrivals *owner;
	struct store_upload *upload;
	bool crlf;
	bool cr; /* the last byte that came was CR */
};

struct arrivals {
	struct store *st;
	struct pool pool;
	struct arrival *reading; /* has the work space */
	uint64_t read_to;        /* its bytes read so far */
	bool complete;           /* and `summary` is done */
	struct bytes summary;
	struct summary_parser parser;
	uint8_t piece[PIECE];
	uint8_t out[LIMIT_SUMMARY];
};

size_t arrivals_memory(uint32_t at_once)
{
	return arena_size(sizeof(struct arrivals)) + pool_size(sizeof(struct arrival), at_once);
}

int arrivals_init(struct arrivals **out, struct arena *arena, struct store *st, uint32_t at_once)
{
	struct arrivals *a = arena_take(arena, sizeof *a);

	if (!a || !pool_init(&a->pool, arena, "arrivals", sizeof(struct arrival), at_once))
		return E_NOMEM;
	a->st = st;
	*out = a;
	return OK;
}

int arrival_begin(struct arrivals *a, uint64_t size, bool crlf, struct arrival **arrival)
{
	struct arrival *r = pool_get(&a->pool);
	int rc;

	if (!r)
		return E_AGAIN;
	*r = (struct arrival){ .owner = a, .crlf = crlf };
	/* How much conversion adds is not known: no size is promised then. */
	rc = store_upload_begin(a->st, crlf ? 0 : size, &r->upload);
	if (rc != OK) {
		pool_put(&a->pool, r);
		return rc;
	}
	*arrival = r;
	return OK;
}

static int write_crlf(struct arrival *r, struct bytes in)
{
	uint8_t *piece = r->owner->piece;
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];

		if (n > PIECE - 2) {
			int rc = store_upload_write(r->upload, piece, n);

			if (rc != OK)
				return rc;
			n = 0;
		}
		if (c == '\n' && !r->cr)
			piece[n++] = '\r';
		piece[n++] = c;
		r->cr = c == '\r';
	}
	return n ? store_upload_write(r->upload, piece, n) : OK;
}

int arrival_ready(struct arrival *r, uint32_t owner, size_t len)
{
	return store_upload_ready(r->upload, owner, len);
}

void arrival_spare(struct arrival *r)
{
	store_upload_spare(r->upload);
}

int arrival_write(struct arrival *r, const void *data, size_t len)
{
	if (r->crlf)
		return write_crlf(r, bytes_make(data, len));
	return store_upload_write(r->upload, data, len);
}

uint64_t arrival_size(const struct arrival *r)
{
	return store_upload_size(r->upload);
}

static void stop_reading(struct arrival *r)
{
	if (r->owner->reading == r)
		r->owner->reading = NULL;
}

/* Reads on: OK once the summary is complete, E_AGAIN after a slice. */
static int read_slice(struct arrivals *a, struct arrival *r)
{
	uint64_t size = store_upload_size(r->upload), end;

	if (a->complete)
		return OK;
	end = size - a->read_to > LIMIT_SLICE_BYTES ? a->read_to + LIMIT_SLICE_BYTES : size;
	while (a->read_to < end) {
		size_t want = end - a->read_to < PIECE ? (size_t)(end - a->read_to) : PIECE;
		int64_t n = store_upload_read(r->upload, a->read_to, a->piece, want);

		if (n <= 0)
			return n < 0 ? (int)n : E_IO;
		summary_push(&a->parser, a->piece, (size_t)n);
		a->read_to += (uint64_t)n;
	}
	if (a->read_to < size)
		return E_AGAIN;
	a->summary = summary_end(&a->parser);
	a->complete = true;
	return OK;
}

int arrivals_summarize(struct arrivals *a, struct store_upload *up, struct bytes *summary)
{
	uint64_t at = 0, size = store_upload_size(up);

	if (a->reading)
		return E_AGAIN;
	summary_begin(&a->parser, a->out, sizeof a->out);
	while (at < size) {
		int64_t n = store_upload_read(up, at, a->piece, size - at < PIECE ? (size_t)(size - at) : PIECE);

		if (n <= 0)
			return n < 0 ? (int)n : E_IO;
		summary_push(&a->parser, a->piece, (size_t)n);
		at += (uint64_t)n;
	}
	*summary = summary_end(&a->parser);
	return OK;
}

int arrival_commit(struct arrival *r, struct store_target *targets, size_t n, store_ticket *ticket)
{
	struct arrivals *a = r->owner;
	int rc;

	if (a->reading && a->reading != r)
		return E_AGAIN;
	if (!a->reading) {
		a->reading = r;
		a->read_to = 0;
		a->complete = false;
		summary_begin(&a->parser, a->out, sizeof a->out);
	}
	rc = read_slice(a, r);
	if (rc != OK)
		return rc;
	rc = store_upload_commit(r->upload, a->summary, targets, n, ticket);
	if (rc == OK) {
		stop_reading(r);
		pool_put(&a->pool, r);
	} else if (rc == E_AGAIN && store_upload_size(r->upload) <= LIMIT_SLICE_BYTES) {
		/* Reading it again costs one slice; so the others need not wait as well. */
		stop_reading(r);
	}
	return rc;
}

void arrival_abort(struct arrival *r)
{
	if (!r)
		return;
	stop_reading(r);
	store_upload_abort(r->upload);
	pool_put(&r->owner->pool, r);
}
