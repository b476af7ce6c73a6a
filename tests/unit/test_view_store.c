/* The model of view_model.h over the real store: changes are staged, become
 * visible with their commit, and a session's own ones are told by its commands.
 * Then a search and an arrival over it, end to end. */
#include <stdlib.h>

#include "mail/summary.h"
#include "port/sim/sim.h"
#include "view/arrival.h"
#include "view/search.h"
#include "view_model.h"

#define BOXES 2
#define ROUNDS 3000 /* each seed */

static _Alignas(16) uint8_t memory[4 << 20];
static struct arena arena;
static struct arrivals *arrivals;
static struct searches *searches;
static uint32_t boxes[BOXES];
static struct store_copy copies[BOXES]; /* into boxes[i], under way */

static const struct store_config config = {
	.dir = "/store",
	.storage = 32 << 20,
	.message_max = 1 << 20,
	.flag_delay_ms = 5000,
	.cache_pages = 128,
	.log_buffer = 256 * 1024,
	.upload_bytes = 512 * 1024,
	.uploads = 4,
};

static void commit(void)
{
	int rc = store_commit_start(st);

	T_OK(rc == OK || rc == E_AGAIN);
	while ((rc = store_commit_done(st)) == E_AGAIN)
		sim_advance_us(100);
	T_EQ(rc, OK);
	views_committed(views);
	for (int i = 0; i < 8 && store_maintain(st) == E_AGAIN; i++)
		;
}

static void wait_for(store_ticket ticket)
{
	while (store_ticket_result(st, ticket) == E_AGAIN)
		commit();
	T_EQ(store_ticket_result(st, ticket), OK);
}

/* What keeps a call waiting: something staged, or a copy under way. */
static void unblock(void)
{
	for (int i = 0; i < BOXES; i++)
		if (copies[i].open) {
			store_copy_abort(st, &copies[i]);
			copies[i].open = false;
		}
	commit();
}

static void setup(uint32_t tombstones)
{
	char reason[200] = "";
	store_ticket ticket;

	sim_reset(seed);
	arena_init(&arena, memory, sizeof memory);
	if (store_open(&st, &arena, &config, reason, sizeof reason) != OK)
		T_FAIL("%s", reason);
	open_views(&arena, tombstones);
	T_EQ(arrivals_init(&arrivals, &arena, st, 4), OK);
	T_EQ(search_init(&searches, &arena, st, views, 2), OK);
	memset(copies, 0, sizeof copies);
	for (int i = 0; i < BOXES; i++) {
		T_EQ(store_mailbox_create(st, 1, bytes_of(i ? "One" : "Two"), 0, &boxes[i], &ticket), OK);
		wait_for(ticket);
	}
}

static void teardown(void)
{
	for (int i = 0; i < CLIENTS; i++)
		view_close(views, &clients[i].view);
	store_close(st);
}

static void deliver(const char *text, size_t len, struct store_target *targets, size_t n, store_ticket *ticket)
{
	struct arrival *r;
	int rc;

	while ((rc = arrival_begin(arrivals, len, false, &r)) == E_AGAIN)
		commit();
	T_EQ(rc, OK);
	T_EQ(arrival_write(r, text, len), OK);
	while ((rc = arrival_commit(r, targets, n, ticket)) == E_AGAIN)
		unblock();
	T_EQ(rc, OK);
}

/* Up to `most` neighbouring messages from some place on: their UIDs. */
static size_t some_uids(uint32_t mailbox, uint32_t most, uint32_t *uids)
{
	struct store_mailbox m;
	struct store_entry e;
	uint32_t from;
	size_t n = 0;

	T_EQ(store_mailbox_get(st, mailbox, &m), OK);
	if (m.messages == 0)
		return 0;
	from = chance(m.messages) + 1;
	while (n < most && from + n <= m.messages && store_entry_at(st, mailbox, from + (uint32_t)n, &e) == OK)
		uids[n++] = e.uid;
	return n;
}

static uint64_t change_flags(uint32_t mailbox, const uint32_t *uids, size_t n, store_ticket *ticket)
{
	struct store_flag_change change = { .op = (enum store_flag_op)chance(3),
		.flags = (uint8_t)chance(32),
		.lazy = chance(3) > 0 };
	uint64_t modseq = 0;
	int rc;

	while ((rc = store_flags(st, mailbox, uids, n, &change, &modseq, ticket)) == E_AGAIN)
		unblock();
	T_EQ(rc, OK);
	return modseq;
}

static void copy_step(uint32_t mailbox, uint32_t to)
{
	struct store_copy *copy = &copies[to];
	uint32_t uids[6];
	store_ticket ticket;
	size_t n = some_uids(mailbox, 6, uids), added;
	int rc;

	if (!copy->open) {
		rc = store_copy_begin(st, boxes[to], copy);
		T_OK(rc == OK || rc == E_AGAIN);
		copy->open = rc == OK;
	} else if (chance(3)) {
		rc = n ? store_copy_add(st, copy, mailbox, uids, n, &added, &ticket) : OK;
		T_OK(rc == OK || rc == E_AGAIN);
	} else if (chance(2)) {
		while ((rc = store_copy_publish(st, copy, &ticket)) == E_AGAIN)
			commit();
		T_EQ(rc, OK);
		copy->open = false;
	} else {
		store_copy_abort(st, copy);
		copy->open = false;
	}
}

static void change_mailbox(uint32_t mailbox)
{
	static const char text[] = "From: a@b\r\nSubject: s\r\n\r\nbody\r\n";
	struct store_target targets[BOXES] = { { .mailbox = boxes[0] }, { .mailbox = boxes[1] } };
	struct store_mailbox m;
	uint32_t uids[8], first;
	store_ticket ticket;
	uint64_t modseq;
	size_t n;
	int rc;

	T_EQ(store_mailbox_get(st, mailbox, &m), OK);
	switch (chance(8)) {
	case 0:
	case 1:
		for (uint32_t k = chance(4); k && m.messages < 300; k--)
			deliver(text, sizeof text - 1, targets, chance(2) + 1, &ticket);
		break;
	case 2:
	case 3:
		n = some_uids(mailbox, chance(4) ? 1 : 8, uids);
		rc = n ? store_expunge(st, mailbox, uids, n, &modseq, &ticket) : OK;
		T_OK(rc == OK || rc == E_AGAIN);
		break;
	case 4:
		n = some_uids(mailbox, 3, uids);
		rc = n ? store_move(st, mailbox, boxes[mailbox == boxes[0]], uids, n, &first, &ticket) : OK;
		T_OK(rc == OK || rc == E_AGAIN);
		break;
	case 5:
		copy_step(mailbox, chance(BOXES));
		break;
	default:
		n = some_uids(mailbox, 4, uids);
		if (n)
			change_flags(mailbox, uids, n, &ticket);
	}
}

static void own_change(struct client *c)
{
	struct store_entry before, after;
	store_ticket ticket = 0;
	uint32_t uid, n;
	uint64_t modseq;
	bool silent = chance(2), told;

	if (some_uids(c->view.mailbox, 1, &uid) == 0)
		return;
	/* Nothing staged by others comes between what is compared and the change. */
	commit();
	if (c->view.gone)
		return;
	fetch_new(c);
	n = view_number(views, &c->view, uid);
	if (n == 0 || store_entry_get(st, c->view.mailbox, uid, &before) != OK)
		return;
	told = view_untold(views, &c->view, &before);
	modseq = change_flags(c->view.mailbox, &uid, 1, &ticket);
	wait_for(ticket);
	view_own_change(views, &c->view, modseq);
	T_EQ(store_entry_get(st, c->view.mailbox, uid, &after), OK);
	if (silent && !told)
		c->list[n - 1].flags ^= before.flags ^ after.flags;
	else
		c->list[n - 1].flags = after.flags;
}

static void step(struct client *c)
{
	switch (chance(10)) {
	case 0:
	case 1:
	case 2:
		change_mailbox(c->view.mailbox);
		break;
	case 3:
		own_change(c);
		break;
	case 4:
		tell(c, true, chance(2), chance(5) + 1);
		break;
	case 5:
		tell(c, false, false, 1000000);
		break;
	case 6:
		if (tell(c, true, false, 1000000))
			check_truth(c);
		break;
	case 7:
		check_walk(c);
		break;
	case 8:
		commit();
		break;
	case 9:
		if (chance(20) == 0)
			open_client(c, boxes[chance(BOXES)]);
		break;
	}
	if (!c->view.gone)
		check_numbers(c);
}

static void run(uint64_t with, uint32_t tombstones)
{
	seed = with;
	setup(tombstones);
	for (int i = 0; i < CLIENTS; i++)
		open_client(&clients[i], boxes[i % BOXES]);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct client *c = &clients[chance(CLIENTS)];

		if (c->view.gone)
			open_client(c, c->view.mailbox);
		step(c);
	}
	commit();
	for (int i = 0; i < CLIENTS; i++)
		if (!clients[i].view.gone) {
			tell(&clients[i], true, false, 1000000);
			check_truth(&clients[i]);
		}
	teardown();
}

T_TEST(agrees_with_model)
{
	for (uint64_t s = 1; s <= 3; s++)
		run(s * 0x9E3779B97F4A7C15u, 4000);
}

T_TEST(agrees_with_model_when_full)
{
	run(99, 12);
}

/* Long and short messages in, found again by what stands in them. */
T_TEST(arrivals_are_found)
{
	enum { LONG = 400000 };
	char *text = malloc(LONG + 1);
	struct store_target target;
	struct search *q;
	struct search_hit hit;
	store_ticket ticket;
	int rc;

	seed = 5;
	setup(100);
	target = (struct store_target){ .mailbox = boxes[0] };
	for (int i = 1; i <= 30; i++) {
		size_t len = (size_t)snprintf(text, LONG, "Subject: number %d\r\nX-Number: n%d\r\n\r\n", i, i);

		while (i == 20 && len < LONG - 40)
			len += (size_t)snprintf(text + len, LONG - len, "filling\r\n");
		len += (size_t)snprintf(text + len, LONG - len, "b%d\r\n", i);
		deliver(text, len, &target, 1, &ticket);
		T_EQ(target.uid, i);
	}
	wait_for(ticket);
	free(text);
	open_client(&clients[0], boxes[0]);
	T_EQ(clients[0].n, 30);
	for (int i = 1; i <= 30; i++) {
		char word[3][20];

		snprintf(word[0], sizeof word[0], "NUMBER %d", i);
		snprintf(word[1], sizeof word[1], "n%d", i);
		snprintf(word[2], sizeof word[2], "b%d", i);
		T_EQ(search_open(searches, &clients[0].view, 0, &q), OK);
		T_EQ(search_text(q, SEARCH_SUBJECT, bytes_of(word[0])), OK);
		T_EQ(search_header(q, bytes_of("X-Number"), bytes_of(word[1])), OK);
		T_EQ(search_text(q, SEARCH_BODY, bytes_of(word[2])), OK);
		T_EQ(search_ready(q), OK);
		while ((rc = search_next(q, &hit)) == E_AGAIN)
			;
		T_EQ(rc, OK);
		/* "number 1" is in "number 10" as well, but it comes first. */
		T_EQ(hit.entry.uid, i);
		T_EQ(hit.number, i);
		T_EQ(search_unread(q), 0);
		search_close(q);
	}
	teardown();
}

T_MAIN(T_RUN(agrees_with_model) T_RUN(agrees_with_model_when_full) T_RUN(arrivals_are_found))
