/* Carrying a plan out: the messages up to its cut go in batches, each one record
 * that holds what the audit keeps of them. */
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"
#include "base/log.h"

#define ROW_HEAD 10u

/* ---- batches ---- */

bool evict_batch_full(const struct evict_batch *b)
{
	return b->n == EVICT_BATCH;
}

/* Whether it is still what was judged. */
static bool unchanged(struct store *st, uint32_t mailbox, const struct store_entry *e)
{
	struct store_entry now;

	return store_entry_get(st, mailbox, e->uid, &now) == OK && now.modseq == e->modseq && now.object == e->object;
}

/* Copies each message to where the owner keeps old mail, once. */
static int archive(struct store *st, struct evict_batch *b)
{
	const struct store_evict_config *c = &st->evict.config;
	struct store_mailbox mailbox;
	int err = c->archive ? store_mailbox_get(st, b->mailbox, &mailbox) : OK;

	while (c->archive && err == OK && st->evict.archived < b->n) {
		const struct store_entry *e = &b->entry[st->evict.archived];

		err = unchanged(st, b->mailbox, e) ? c->archive(c->context, &mailbox, e) : OK;
		if (err == E_AGAIN)
			return err;
		if (err == E_NOENT)
			err = E_IO; /* of the archive: the mailbox is there */
		if (err != OK && !c->archive_required)
			err = OK;
		st->evict.archived++;
	}
	return err;
}

static size_t put_row(struct store *st, uint8_t *p, const struct store_entry *e, uint8_t class)
{
	const struct store_evict_config *c = &st->evict.config;
	char text[STORE_AUDIT_TEXT];
	size_t len = c->describe ? c->describe(c->context, e->object, text) : 0;

	put_le32(p, e->uid);
	put_le32(p + 4, e->size);
	p[8] = class;
	p[9] = (uint8_t)len;
	if (len)
		memcpy(p + ROW_HEAD, text, len);
	return ROW_HEAD + len;
}

static int stage(struct store *st, struct evict_batch *b)
{
	struct mailbox m;
	struct head *head;
	size_t len = 8;
	uint32_t n = 0;
	uint8_t *body;
	int err = change_begin(st, b->mailbox, &m, &head);

	if (err != OK)
		return err;
	/* What is staged for it may change what was judged. Where something always
	 * is, the end of a commit is the only moment without. */
	if (head->staged) {
		st->idle_wanted = true;
		return (void)log_wait(st), E_AGAIN;
	}
	body = log_body(st, 8 + b->n * (ROW_HEAD + STORE_AUDIT_TEXT));
	if (!body)
		return E_AGAIN;
	for (unsigned i = 0; i < b->n; i++) {
		if (!unchanged(st, b->mailbox, &b->entry[i]))
			continue;
		len += put_row(st, body + len, &b->entry[i], b->class[i]);
		n++;
	}
	if (n == 0)
		return OK;
	put_le32(body, b->mailbox);
	put_le32(body + 4, n);
	(void)log_add(st, RECORD_EVICT, len);
	head->staged = true;
	st->evict.ticket = log_wait(st);
	st->evict.removed += n;
	return OK;
}

void evict_batch_drop(struct store *st)
{
	st->evict.batch.n = 0;
	st->evict.archived = 0;
}

int evict_batch_commit(struct store *st, struct evict_batch *b)
{
	/* A copy keeps its messages; and if it waits for room itself, nobody else
	 * would ever go on. */
	bool busy = evict_mailbox_busy(st, b->mailbox);
	int err = busy ? OK : archive(st, b);

	st->evict.unarchived = err != OK && err != E_AGAIN;
	if (err == OK && !busy)
		err = stage(st, b);
	if (err == E_AGAIN)
		return err;
	/* Deleted meanwhile: nothing is left to do. */
	if (err == E_NOENT)
		err = OK;
	evict_batch_drop(st);
	return err;
}

/* ---- the run ---- */

/* Fills the batch with what goes of one mailbox. E_NOENT: that was the last. */
static int collect(struct store *st)
{
	struct evict *ev = &st->evict;
	struct evict_walk *walk = &ev->plan.walk;

	for (unsigned i = 0; i < LIMIT_SLICE_ENTRIES; i++) {
		struct store_entry e;
		enum store_kept kept;
		unsigned rank;
		int err = evict_walk_next(st, walk, &e);

		if (err != OK)
			return err;
		if (ev->batch.n && ev->batch.mailbox != walk->mailbox) {
			/* The batch goes first; this one comes again. */
			store_cursor_init(&walk->cursor, walk->mailbox, e.uid - 1);
			return OK;
		}
		err = evict_goes(st, &ev->plan, &walk->kind, &e, &kept, &rank);
		if (err == E_RANGE || (err == OK && kept != STORE_KEPT_NOT))
			continue;
		if (err != OK)
			return err;
		ev->batch.mailbox = walk->mailbox;
		ev->batch.class[ev->batch.n] = ev->config.order[rank];
		ev->batch.entry[ev->batch.n++] = e;
		if (evict_batch_full(&ev->batch))
			return OK;
	}
	return E_AGAIN;
}

int evict_run_slice(struct store *st)
{
	struct evict *ev = &st->evict;
	int err;

	if (ev->ticket) {
		err = store_ticket_result(st, ev->ticket);
		if (err != OK)
			return err;
		ev->ticket = 0;
	}
	if (!ev->done_walking && !evict_batch_full(&ev->batch)) {
		err = collect(st);
		if (err == E_NOENT)
			ev->done_walking = true;
		else if (err != OK)
			return err;
	}
	if (ev->batch.n == 0)
		return ev->done_walking ? OK : E_AGAIN;
	err = evict_batch_commit(st, &ev->batch);
	return err == OK ? E_AGAIN : err;
}
