/* Several views against the simplest possible model: each client keeps its own
 * list of UIDs and flags, changed by nothing but the events it is given. What
 * the view says must agree with that list at every moment, and the list with
 * the mailbox whenever all has been told. */
#include "fake_store.h"
#include "t.h"
#include "view/view.h"

#define CLIENTS 4
#define ROUNDS 10000 /* each seed */

static uint64_t seed;

static uint32_t chance(uint32_t n)
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

static _Alignas(16) uint8_t memory[1 << 20];
static struct arena arena;
static struct views *views;
static struct client clients[CLIENTS];
static struct message lists[CLIENTS][FAKE_ENTRIES];

static struct fake_mailbox *box(const struct client *c)
{
	return &fake.mailbox[c->view.mailbox];
}

static bool alive(const struct client *c, uint32_t uid)
{
	struct store_entry e;

	return store_entry_get(NULL, c->view.mailbox, uid, &e) == OK;
}

static void on_wake(void *context)
{
	((struct client *)context)->woken = true;
}

/* FETCH of everything it does not know yet, by number. */
static void fetch_new(struct client *c)
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

static void take_event(struct client *c, const struct view_event *e)
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
static bool tell(struct client *c, bool expunges, bool durable, uint32_t limit)
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

static void check_numbers(struct client *c)
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
	uid = chance(box(c)->uidnext + 3);
	for (n = 1; n <= c->n && c->list[n - 1].uid != uid; n++)
		;
	T_EQ(view_number(views, &c->view, uid), n <= c->n ? n : 0);
}

/* All has been told: the client knows the mailbox as it is. */
static void check_truth(struct client *c)
{
	struct fake_mailbox *m = box(c);
	uint32_t n = fake_above(m, m->uidnext - 1);

	fetch_new(c);
	T_EQ(c->n, n);
	T_EQ(view_pending(views, &c->view), false);
	for (uint32_t i = 0; i < n; i++) {
		T_EQ(c->list[i].uid, m->entry[i].uid);
		T_EQ(c->list[i].flags, m->entry[i].flags);
	}
}

static uint32_t pick(const struct client *c, bool uids, char *text, size_t cap)
{
	uint32_t n = chance(8) == 0 ? 0 : uids ? chance(c->view.uidnext + 3) + 1 : chance(c->n) + 1;

	if (n)
		snprintf(text, cap, "%u", n);
	else
		snprintf(text, cap, "*");
	return n;
}

/* A random set against the client's own list. */
static void check_walk(struct client *c)
{
	static uint8_t want[FAKE_ENTRIES];
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

static void own_change(struct client *c)
{
	struct fake_mailbox *m = box(c);
	struct store_entry before;
	uint32_t at, n;
	uint8_t flags;
	bool silent = chance(2), told;

	fetch_new(c);
	if (m->n == 0)
		return;
	at = chance(m->n);
	before = m->entry[at];
	n = view_number(views, &c->view, before.uid);
	if (n == 0)
		return;
	told = view_untold(views, &c->view, &before);
	flags = (uint8_t)(before.flags ^ (1 << chance(5)));
	view_own_change(views, &c->view, fake_flags(c->view.mailbox, at, flags));
	if (silent && !told)
		c->list[n - 1].flags ^= before.flags ^ flags;
	else
		c->list[n - 1].flags = flags;
}

static void change_mailbox(uint32_t id)
{
	struct fake_mailbox *m = &fake.mailbox[id];
	uint32_t n = fake_above(m, m->uidnext - 1);
	static bool staging[FAKE_MAILBOXES + 1];

	switch (chance(7)) {
	case 0:
	case 1:
	case 2:
		if (m->n >= 300 || staging[id])
			break;
		for (uint32_t k = chance(6) + 1; k; k--)
			fake_append(id, (struct store_entry){ .flags = (uint8_t)chance(32) }, false);
		break;
	case 3:
		if (m->n < 300) {
			fake_append(id, (struct store_entry){ 0 }, true);
			staging[id] = true;
		}
		break;
	case 4:
		fake_publish(id);
		staging[id] = false;
		break;
	case 5:
		if (n)
			fake_expunge(id, chance(n), 1);
		break;
	case 6:
		if (n) {
			uint32_t at = chance(n), most = n - at;

			fake_expunge(id, at, chance(most < 6 ? most : 6) + 1);
		}
		break;
	}
	if (fake_above(m, m->uidnext - 1))
		for (uint32_t k = chance(3); k; k--)
			fake_flags(id, chance(fake_above(m, m->uidnext - 1)), (uint8_t)chance(32));
}

static void open_client(struct client *c, uint32_t mailbox)
{
	struct fake_mailbox *m = &fake.mailbox[mailbox];

	view_close(views, &c->view);
	T_EQ(view_open(views, &c->view, mailbox, chance(2), c), OK);
	T_EQ(c->view.exists, fake_above(m, m->uidnext - 1));
	c->n = c->view.exists;
	c->fetched = 0;
	c->woken = false;
	fetch_new(c);
}

static void setup(uint32_t tombstones)
{
	fake_reset();
	arena_init(&arena, memory, sizeof memory);
	T_EQ(views_init(&views, &arena, NULL, CLIENTS, tombstones), OK);
	T_OK(arena.used <= views_memory(CLIENTS, tombstones));
	views_on_change(views, on_wake);
	memset(clients, 0, sizeof clients);
	for (int i = 0; i < CLIENTS; i++)
		clients[i].list = lists[i];
}

static void step(struct client *c)
{
	switch (chance(10)) {
	case 0:
	case 1:
		change_mailbox(c->view.mailbox);
		break;
	case 2:
		own_change(c);
		break;
	case 3:
		tell(c, true, false, chance(5) + 1);
		break;
	case 4:
		tell(c, false, false, 1000000);
		break;
	case 5:
		if (tell(c, true, false, 1000000))
			check_truth(c);
		break;
	case 6:
		fake.not_durable = chance(2);
		tell(c, chance(2), true, chance(20) + 1);
		fake.not_durable = false;
		views_committed(views);
		break;
	case 7:
		check_walk(c);
		break;
	case 8:
		if (chance(20) == 0)
			open_client(c, chance(2) + 1);
		break;
	case 9:
		fake.slice = chance(4) ? LIMIT_SLICE_ENTRIES : chance(3) + 1;
		break;
	}
	if (!c->view.gone)
		check_numbers(c);
}

static void run(uint64_t with, uint32_t tombstones, unsigned rounds)
{
	seed = with;
	setup(tombstones);
	for (int i = 0; i < CLIENTS; i++)
		open_client(&clients[i], (uint32_t)(i % 2) + 1);
	for (unsigned i = 0; i < rounds; i++) {
		struct client *c = &clients[chance(CLIENTS)];

		if (c->view.gone)
			open_client(c, c->view.mailbox);
		step(c);
	}
	for (int i = 0; i < CLIENTS; i++)
		if (!clients[i].view.gone) {
			tell(&clients[i], true, false, 1000000);
			check_truth(&clients[i]);
		}
	for (int i = 0; i < CLIENTS; i++)
		view_close(views, &clients[i].view);
}

T_TEST(agrees_with_model)
{
	for (uint64_t s = 1; s <= 5; s++)
		run(s * 0x9E3779B97F4A7C15u, 4000, ROUNDS);
}

/* The same where the table is so small that views are lost all the time. */
T_TEST(agrees_with_model_when_full)
{
	for (uint64_t s = 11; s <= 13; s++)
		run(s * 0x9E3779B97F4A7C15u, 12, ROUNDS);
}

/* Walks that go on while messages come, go and are told (as UID FETCH allows). */
T_TEST(walks_across_changes)
{
	static uint8_t seen[4000];
	struct client *c = &clients[0];
	struct view_set set;

	seed = 77;
	setup(4000);
	for (int i = 0; i < 300; i++)
		fake_append(1, (struct store_entry){ 0 }, false);
	open_client(c, 1);
	T_EQ(view_set_parse(bytes_of("2:900,1500:*"), true, &set), OK);
	for (int round = 0; round < 50; round++) {
		static struct message before[FAKE_ENTRIES];
		uint32_t n_before, number, last = 0;
		struct view_walk w;
		struct store_entry e;
		int rc;

		memset(seen, 0, sizeof seen);
		n_before = c->n;
		memcpy(before, c->list, c->n * sizeof *before);
		view_walk_begin(&w, set);
		while ((rc = view_walk_next(views, &c->view, &w, &e, &number)) == OK) {
			T_OK(e.uid > last);
			last = e.uid;
			fetch_new(c);
			T_OK(number >= 1 && number <= c->n);
			T_EQ(c->list[number - 1].uid, e.uid);
			T_OK(e.uid < sizeof seen && !seen[e.uid]);
			seen[e.uid] = 1;
			if (chance(30) == 0)
				change_mailbox(1);
			if (chance(30) == 0)
				tell(c, true, false, chance(4) + 1);
		}
		T_EQ(rc, E_NOENT);
		for (uint32_t i = 0; i < n_before; i++) {
			uint32_t uid = before[i].uid;
			bool in = (uid >= 2 && uid <= 900) || uid >= 1500;

			if (alive(c, uid))
				T_EQ(seen[uid], in);
		}
		tell(c, true, false, 1000000);
		check_truth(c);
		if (box(c)->uidnext > 3000)
			break;
	}
	view_close(views, &c->view);
}

T_MAIN(T_RUN(agrees_with_model) T_RUN(agrees_with_model_when_full) T_RUN(walks_across_changes))
