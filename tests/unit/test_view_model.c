/* Several views over a store that changes in every way, against the model. */
#include "fake_store.h"
#include "view_model.h"

#define ROUNDS 10000 /* each seed */

static _Alignas(16) uint8_t memory[1 << 20];

static void own_change(struct client *c)
{
	struct fake_mailbox *m = &fake.mailbox[c->view.mailbox];
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

static void setup(uint32_t tombstones)
{
	struct arena arena;

	fake_reset();
	arena_init(&arena, memory, sizeof memory);
	open_views(&arena, tombstones);
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
		static struct message before[MESSAGES];
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
		if (mailbox_of(c).uidnext > 3000)
			break;
	}
	view_close(views, &c->view);
}

T_MAIN(T_RUN(agrees_with_model) T_RUN(agrees_with_model_when_full) T_RUN(walks_across_changes))
