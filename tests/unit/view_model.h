/* The simplest possible model of an IMAP client, for tests that compare views
 * with it: each client keeps its own list of UIDs and flags, changed by nothing
 * but the events it is given. What the view says must agree with that list at
 * every moment, and the list with the mailbox whenever all has been told.
 * Written against store.h alone: it runs on the fake store and on the real one. */
#ifndef TESTS_VIEW_MODEL_H
#define TESTS_VIEW_MODEL_H

#include "base/err.h"
#include "store/store.h"
#include "t.h"
#include "view/view.h"

#define CLIENTS 4
#define MESSAGES 20000 /* at most, of a mailbox */

static uint64_t seed;

static inline uint32_t chance(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 20) % n);
}

struct message {
	uint32_t uid;
	uint8_t flags;
};

struct client {
	struct view view;
	uint32_t n;
	uint32_t fetched; /* messages it has asked about */
	bool woken;
	struct message *list;
};

static struct store *st;
static struct views *views;
static struct client clients[CLIENTS];
static struct message lists[CLIENTS][MESSAGES];

static inline bool alive(const struct client *c, uint32_t uid)
{
	struct store_entry e;

	return store_entry_get(st, c->view.mailbox, uid, &e) == OK;
}

static inline struct store_mailbox mailbox_of(const struct client *c)
{
	struct store_mailbox m;

	T_EQ(store_mailbox_get(st, c->view.mailbox, &m), OK);
	return m;
}

static inline void on_wake(void *context)
{
	((struct client *)context)->woken = true;
}

/* FETCH of everything it does not know yet, by number. */
static inline void fetch_new(struct client *c)
{
	char text[32];
	struct view_set set;
	struct view_walk w;
	struct store_entry e;
	uint32_t number, n = c->fetched;
	int rc;

	if (c->fetched == c->n)
		return;
	snprintf(text, sizeof text, "%u:%u", c->fetched + 1, c->n);
	T_EQ(view_set_parse(bytes_of(text), false, &set), OK);
	view_walk_begin(&w, set);
	while ((rc = view_walk_next(views, &c->view, &w, &e, &number)) != E_NOENT) {
		T_OK(rc == OK || rc == E_GONE);
		T_EQ(number, ++n);
		T_EQ(rc == OK, alive(c, e.uid));
		T_OK(n == 1 || e.uid > c->list[n - 2].uid);
		c->list[n - 1] = (struct message){ e.uid, e.flags };
	}
	T_EQ(n, c->n);
	c->fetched = n;
}

static inline void take_event(struct client *c, const struct view_event *e)
{
	switch (e->kind) {
	case VIEW_EXPUNGE:
		fetch_new(c);
		T_OK(e->number >= 1 && e->number <= c->n);
		T_EQ(c->list[e->number - 1].uid, e->uid);
		T_OK(!alive(c, e->uid));
		memmove(&c->list[e->number - 1], &c->list[e->number], (c->n - e->number) * sizeof *c->list);
		c->n--;
		c->fetched--;
		break;
	case VIEW_EXISTS:
		T_OK(e->number > c->n);
		c->n = e->number;
		break;
	case VIEW_RECENT:
		T_OK(e->number <= c->n);
		break;
	case VIEW_FLAGS:
		T_OK(e->number >= 1 && e->number <= c->n);
		if (e->number <= c->fetched) {
			T_EQ(c->list[e->number - 1].uid, e->uid);
			c->list[e->number - 1].flags = e->entry.flags;
		}
		break;
	}
	T_EQ(c->view.exists, c->n);
}

/* Tells at most `limit` things. True when there was nothing left. */
static inline bool tell(struct client *c, bool expunges, bool durable, uint32_t limit)
{
	struct view_event e;

	while (limit) {
		int rc = view_next(views, &c->view, expunges, durable, &e);

		if (rc == E_NOENT) {
			c->woken = false;
			return true;
		}
		T_OK(rc == OK || rc == E_AGAIN);
		if (rc == OK) {
			take_event(c, &e);
			limit--;
		}
	}
	return false;
}

static inline void check_numbers(struct client *c)
{
	uint32_t n, uid;

	fetch_new(c);
	for (int i = 0; i < 8 && c->n; i++) {
		int rc;

		n = chance(c->n) + 1;
		uid = 0;
		T_EQ(view_number(views, &c->view, c->list[n - 1].uid), n);
		rc = view_uid(views, &c->view, n, &uid);
		T_EQ(uid, c->list[n - 1].uid);
		T_EQ(rc, alive(c, uid) ? OK : E_GONE);
	}
	T_EQ(view_uid(views, &c->view, c->n + 1, &uid), E_NOENT);
	T_EQ(view_uid(views, &c->view, 0, &uid), E_NOENT);
	uid = chance(mailbox_of(c).uidnext + 3);
	for (n = 1; n <= c->n && c->list[n - 1].uid != uid; n++)
		;
	T_EQ(view_number(views, &c->view, uid), n <= c->n ? n : 0);
}

/* All has been told: the client knows the mailbox as it is. */
static inline void check_truth(struct client *c)
{
	struct store_mailbox m = mailbox_of(c);
	struct store_cursor cursor;
	struct store_entry e;
	uint32_t n = 0;

	fetch_new(c);
	T_EQ(view_pending(views, &c->view), false);
	store_cursor_init(&cursor, m.id, 0);
	while (store_cursor_next(st, &cursor, &e) == OK && e.uid < m.uidnext) {
		T_OK(n < c->n);
		T_EQ(c->list[n].uid, e.uid);
		T_EQ(c->list[n].flags, e.flags);
		n++;
	}
	T_EQ(c->n, n);
	T_EQ(m.messages, n);
}

static inline uint32_t pick(const struct client *c, bool uids, char *text, size_t cap)
{
	uint32_t n = chance(8) == 0 ? 0 : uids ? chance(c->view.uidnext + 3) + 1 : chance(c->n) + 1;

	if (n)
		snprintf(text, cap, "%u", n);
	else
		snprintf(text, cap, "*");
	return n;
}

/* A random set against the client's own list. */
static inline void check_walk(struct client *c)
{
	static uint8_t want[MESSAGES];
	bool uids = chance(2), ascending = true;
	char text[400] = "", a[16], b[16];
	uint32_t n_want = 0, number, above = 0, first = 0;
	struct view_set set;
	struct view_walk w;
	struct store_entry e;
	int rc;

	fetch_new(c);
	if (c->n == 0)
		return;
	memset(want, 0, c->n);
	for (uint32_t ranges = chance(5) + 1; ranges; ranges--) {
		uint32_t star = uids ? c->list[c->n - 1].uid : c->n;
		uint32_t from = pick(c, uids, a, sizeof a), to = pick(c, uids, b, sizeof b);
		size_t at = strlen(text);

		if (chance(3) == 0) {
			snprintf(text + at, sizeof text - at, "%s%s", at ? "," : "", a);
			to = from;
		} else {
			snprintf(text + at, sizeof text - at, "%s%s:%s", at ? "," : "", a, b);
		}
		from = from ? from : star;
		to = to ? to : star;
		if (from > to) {
			uint32_t t = from;

			from = to;
			to = t;
		}
		ascending &= from >= first;
		first = from;
		for (uint32_t i = 0; i < c->n; i++) {
			uint32_t value = uids ? c->list[i].uid : i + 1;

			if (value >= from && value <= to && !want[i] && (!uids || alive(c, c->list[i].uid))) {
				want[i] = 1;
				n_want++;
			}
		}
	}
	T_EQ(view_set_parse(bytes_of(text), uids, &set), OK);
	T_EQ(view_set_check(&c->view, set), OK);
	for (uint32_t i = 0; i < c->n; i++)
		if (want[i] || !uids)
			T_EQ(view_set_contains(views, &c->view, set, i + 1, c->list[i].uid), want[i]);
	view_walk_begin(&w, set);
	while ((rc = view_walk_next(views, &c->view, &w, &e, &number)) != E_NOENT) {
		if (rc == E_AGAIN)
			continue;
		T_OK(rc == OK || (rc == E_GONE && !uids));
		T_OK(number >= 1 && number <= c->n);
		T_EQ(c->list[number - 1].uid, e.uid);
		T_EQ(rc == OK, alive(c, e.uid));
		T_OK(want[number - 1]);
		if (ascending)
			T_OK(number > above);
		above = number;
		if (want[number - 1] == 1) {
			want[number - 1] = 2;
			n_want--;
		}
	}
	if (n_want)
		T_FAIL("%u messages of %s were not walked", n_want, text);
}

static inline void open_client(struct client *c, uint32_t mailbox)
{
	view_close(views, &c->view);
	T_EQ(view_open(views, &c->view, mailbox, chance(2), c), OK);
	T_EQ(c->view.exists, mailbox_of(c).messages);
	c->n = c->view.exists;
	c->fetched = 0;
	c->woken = false;
	fetch_new(c);
}

/* Views without anybody in them. */
static inline void open_views(struct arena *arena, uint32_t tombstones)
{
	size_t before = arena->used;

	T_EQ(views_init(&views, arena, st, CLIENTS, tombstones), OK);
	T_EQ(arena->used - before, views_memory(CLIENTS, tombstones));
	views_on_change(views, on_wake);
	memset(clients, 0, sizeof clients);
	for (int i = 0; i < CLIENTS; i++)
		clients[i].list = lists[i];
}

#endif
