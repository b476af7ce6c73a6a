/* The rules of mailboxes: `age`, `count`, `bytes`. A mailbox with a rule turns
 * over within its own bounds, oldest first, however much room there is; looked at
 * when mail came into it, and all of them now and then. */
#include "store/store_int.h"

#include <string.h>

/* All mailboxes are looked at this often. */
#define EXPIRE_EVERY_US (600 * UINT64_C(1000000))

void evict_note_arrival(struct store *st, uint32_t mailbox)
{
	struct evict *ev = &st->evict;
	size_t n = sizeof ev->fresh / sizeof *ev->fresh;

	if (ev->config.rules_n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (ev->fresh[i] == mailbox)
			return;
		if (ev->fresh[i] == 0) {
			ev->fresh[i] = mailbox;
			return;
		}
	}
	ev->fresh_more = true;
}

/* Counts from what is there now: others remove mail too. */
static int enter(struct store *st, uint32_t mailbox)
{
	struct mailbox m;
	int err = mailbox_load(st, mailbox, &m);

	if (err == OK) {
		st->evict.expire_mailbox = mailbox;
		st->evict.expire_left = m.tally;
	}
	return err;
}

/* Whether a rule of its mailbox lets this entry, the oldest left, go. */
static bool expired(const struct evict *ev, const struct evict_kind *kind, uint64_t now, const struct store_entry *e)
{
	if (kind->age && now > e->box_time && now - e->box_time >= kind->age)
		return true;
	return (kind->count && ev->expire_left.messages > kind->count) ||
		(kind->bytes && ev->expire_left.size > kind->bytes);
}

/* The next mailbox that something came into, or of all. E_NOENT: none. */
static int begin(struct store *st)
{
	struct evict *ev = &st->evict;
	size_t n = sizeof ev->fresh / sizeof *ev->fresh;
	uint64_t now = port_now_us();

	if (ev->fresh_more || now >= ev->expire_at_us) {
		ev->expire_at_us = now + EXPIRE_EVERY_US;
		ev->fresh_more = false;
		memset(ev->fresh, 0, sizeof ev->fresh);
		ev->expire_walk = (struct evict_walk){ 0 };
		ev->expiring = true;
		return OK;
	}
	if (ev->fresh[0] == 0)
		return E_NOENT;
	/* Walks from just before it; ends behind it. */
	ev->expire_walk = (struct evict_walk){ .mailbox = ev->fresh[0] - 1 };
	memmove(ev->fresh, ev->fresh + 1, (n - 1) * sizeof *ev->fresh);
	ev->fresh[n - 1] = 0;
	ev->expiring = true;
	ev->expire_only = ev->expire_walk.mailbox + 1;
	return OK;
}

static int collect(struct store *st)
{
	struct evict *ev = &st->evict;
	struct evict_walk *walk = &ev->expire_walk;
	uint64_t now = store_box_time(st);

	for (unsigned i = 0; i < LIMIT_SLICE_ENTRIES; i++) {
		struct store_entry e;
		int err = evict_walk_next(st, walk, &e);

		if (err != OK)
			return err;
		if (ev->expire_only && walk->mailbox != ev->expire_only)
			return E_NOENT;
		if (ev->batch.n && ev->batch.mailbox != walk->mailbox) {
			store_cursor_init(&walk->cursor, walk->mailbox, e.uid - 1);
			return OK;
		}
		if (!walk->kind.ring || walk->kind.keep || walk->kind.busy) {
			evict_walk_skip(walk);
			continue;
		}
		if (ev->expire_mailbox != walk->mailbox) {
			err = enter(st, walk->mailbox);
			if (err != OK)
				return err;
		}
		if (!expired(ev, &walk->kind, now, &e)) {
			evict_walk_skip(walk);
			continue;
		}
		if (evict_guard(&walk->kind, &e) != STORE_KEPT_NOT)
			continue;
		ev->expire_left.messages--;
		ev->expire_left.size -= e.size;
		ev->batch.mailbox = walk->mailbox;
		ev->batch.class[ev->batch.n] = STORE_CLASSES;
		ev->batch.entry[ev->batch.n++] = e;
		if (evict_batch_full(&ev->batch))
			return OK;
	}
	return E_AGAIN;
}

int evict_expire_slice(struct store *st)
{
	struct evict *ev = &st->evict;
	int err;

	if (ev->config.rules_n == 0 && !ev->expiring)
		return OK;
	if (!ev->expiring) {
		ev->expire_only = 0;
		if (begin(st) != OK)
			return OK;
		ev->expire_mailbox = 0;
		ev->done_walking = false;
	}
	if (ev->ticket) {
		err = store_ticket_result(st, ev->ticket);
		if (err == E_AGAIN)
			return err;
		ev->ticket = 0;
		ev->expire_mailbox = 0;
	}
	err = OK;
	if (!ev->done_walking && !evict_batch_full(&ev->batch))
		err = collect(st);
	if (err == E_NOENT)
		ev->done_walking = true;
	else if (err != OK && err != E_AGAIN)
		ev->done_walking = true, ev->batch.n = 0, ev->archived = 0;
	if (ev->batch.n) {
		if (err == E_AGAIN)
			return err;
		err = evict_batch_commit(st, &ev->batch);
		if (err != OK && err != E_AGAIN)
			ev->done_walking = true;
		return E_AGAIN;
	}
	if (ev->done_walking)
		ev->expiring = false;
	return E_AGAIN;
}
