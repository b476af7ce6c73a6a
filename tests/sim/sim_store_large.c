/* Many small messages: an index of thousands of pages, changed in so many places
 * at once that the lists between two checkpoints would overflow, and an index
 * that is as full as it may get. Nothing may be refused but mail, and the store
 * opens again whenever the power goes. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t space[8 << 20];
static struct store *st;
static struct store_config config = { .dir = RIG_DIR,
	.message_max = 1u << 20,
	.flag_delay_ms = 5000,
	.cache_pages = 64,
	.log_buffer = 128u << 10,
	.upload_bytes = 128u << 10,
	.uploads = 8,
	.allow_volatile = true };
static uint32_t boxes[8];
static unsigned made, opened;

static void open_it(void *context)
{
	struct arena arena;
	char reason[200];
	int err;

	(void)context;
	arena_init(&arena, space, sizeof space);
	err = store_open(&st, &arena, &config, reason, sizeof reason);
	if (err != OK)
		rig_fail("opening %u: %s (%s)", opened, err_text(err), reason);
	opened++;
}

static void commit(void)
{
	int err = store_commit_start(st);

	if (err == OK)
		err = store_commit_done(st);
	if (err != OK)
		rig_fail("commit: %s", err_text(err));
	if (sim_charged(RIG_DIR) > config.storage)
		rig_fail("the files take %llu bytes", (unsigned long long)sim_charged(RIG_DIR));
}

static void upkeep(void)
{
	for (unsigned i = 0; i < 20000; i++) {
		int err = store_maintain(st);

		if (store_wants_commit(st))
			commit();
		if (err == OK)
			return;
		if (err != E_AGAIN)
			rig_fail("upkeep: %s", err_text(err));
	}
	rig_fail("upkeep does not come to an end");
}

/* A message of a few bytes to each mailbox in turn; false when it is refused. */
static bool add(unsigned i)
{
	struct store_target target = { .mailbox = boxes[i % 8] };
	struct store_upload *up;
	store_ticket ticket;

	for (unsigned tries = 0; tries < 50; tries++) {
		int err = store_upload_begin(st, 3, &up);

		if (err == OK)
			err = store_upload_write(up, "abc", 3);
		if (err == OK) {
			err = store_upload_commit(up, bytes_of(""), &target, 1, &ticket);
			if (err == OK)
				return true;
			store_upload_abort(up);
		}
		if (err == E_FULL)
			return false;
		if (err != E_AGAIN)
			rig_fail("message %u: %s", i, err_text(err));
		commit();
		(void)store_maintain(st);
	}
	rig_fail("message %u is never taken", i);
}

static unsigned fill(unsigned most)
{
	unsigned n = 0;

	while (n < most && add(n))
		n++;
	commit();
	return n;
}

/* UIDs of messages that are far from each other, so that each lies in another
 * page. */
static unsigned scattered(uint32_t box, uint32_t *uids, unsigned from)
{
	uint32_t there = store_rank(st, box, UINT32_MAX), step = there / STORE_UIDS ? there / STORE_UIDS : 1;
	unsigned n = 0;

	for (uint32_t i = 1 + from; i <= there && n < STORE_UIDS; i += step) {
		struct store_entry e;

		if (store_entry_at(st, box, i, &e) != OK)
			rig_fail("message number %u of %u is not there", i, there);
		uids[n++] = e.uid;
	}
	return n;
}

static void check_counts(unsigned expected)
{
	struct store_status s;
	unsigned messages = 0;

	store_status(st, &s);
	for (unsigned i = 0; i < 8; i++) {
		struct store_mailbox m;

		if (store_mailbox_get(st, boxes[i], &m) != OK)
			rig_fail("mailbox %u is gone", i);
		if (store_rank(st, boxes[i], UINT32_MAX) != m.messages)
			rig_fail("mailbox %u has %u messages and says %u", i, store_rank(st, boxes[i], UINT32_MAX),
				m.messages);
		messages += m.messages;
	}
	if (s.read_only || messages != expected || s.messages != expected)
		rig_fail("%u messages, the status says %llu, expected %u; read-only: %d", messages,
			(unsigned long long)s.messages, expected, s.read_only);
}

/* As many sessions as may be change flags all over the place in one turn. */
static void storm(uint8_t flags, bool lazy)
{
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned session = 0; session < 60; session++) {
			struct store_flag_change change = { .op = STORE_FLAGS_ADD, .flags = flags, .lazy = lazy };
			uint32_t uids[STORE_UIDS];
			unsigned n = scattered(boxes[session % 8], uids, session / 8 * 7 + round);
			uint64_t modseq;
			store_ticket ticket;
			int err = store_flags(st, boxes[session % 8], uids, n, &change, &modseq, &ticket);

			if (err != OK && err != E_AGAIN)
				rig_fail("flags: %s", err_text(err));
		}
		store_commit_request(st);
		if (store_wants_commit(st))
			commit();
		(void)store_maintain(st);
	}
}

static unsigned all_messages(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++)
		n += store_rank(st, boxes[i], UINT32_MAX);
	return n;
}

static unsigned expunge(unsigned sessions)
{
	unsigned before = all_messages();

	for (unsigned session = 0; session < sessions; session++) {
		uint32_t uids[STORE_UIDS];
		unsigned n = scattered(boxes[session % 8], uids, session / 8);
		uint64_t modseq;
		store_ticket ticket;
		int err = store_expunge(st, boxes[session % 8], uids, n, &modseq, &ticket);

		if (err != OK && err != E_AGAIN)
			rig_fail("expunge: %s", err_text(err));
	}
	commit();
	if (all_messages() >= before)
		rig_fail("nothing was removed");
	return before - all_messages();
}

static unsigned findings;

static void finding(void *context, const char *line)
{
	(void)context;
	findings++;
	printf("# %s\n", line);
}

static void check_all(void)
{
	uint64_t cursor = 0;
	int err;

	do
		err = store_check(st, &cursor, finding, NULL);
	while (err == E_AGAIN);
	if (err != OK || findings)
		rig_fail("check: %s", err_text(err));
}

static void again(const struct sim_policy *policy)
{
	sim_power_cut(policy);
	open_it(NULL);
}

/* Cuts during the recovery too: it may need checkpoints of its own. */
static void again_slowly(void)
{
	for (unsigned n = 1; n < 40; n += 3) {
		sim_power_cut(&sim_mixed);
		sim_cut_at(n);
		if (sim_run(open_it, NULL) == SIM_DONE)
			break;
	}
	sim_cut_at(0);
	again(&sim_mixed);
}

static void run(uint64_t storage, unsigned most)
{
	unsigned n;

	config.storage = storage;
	snprintf(rig_case, sizeof rig_case, "build/sim/sim_store_large (%llu MiB)", (unsigned long long)storage >> 20);
	sim_reset(storage);
	open_it(NULL);
	for (unsigned i = 0; i < 8; i++) {
		char name[8];
		store_ticket ticket;

		snprintf(name, sizeof name, "box%u", i);
		if (store_mailbox_create(st, 1, bytes_of(name), 0, &boxes[i], &ticket) != OK)
			rig_fail("no mailbox");
		commit();
	}
	n = fill(most);
	made += n;
	if (getenv("VERBOSE"))
		printf("%u messages\n", n);
	check_counts(n);
	for (unsigned round = 0; round < 4; round++) {
		storm((uint8_t)(1u << round), round & 1);
		check_counts(n);
		again_slowly();
		check_counts(n);
		storm(STORE_DRAFT, true);
		n -= expunge(storage < 8u << 20 ? 4 : 40);
		again(round & 1 ? &sim_lose_all : &sim_keep_all);
		check_counts(n);
		upkeep();
		n += fill(most / 20);
		check_counts(n);
	}
	check_all();
	store_close(st);
	open_it(NULL);
	check_counts(n);
	store_close(st);
}

int main(void)
{
	/* An index that fills up; one that outgrows its lists. */
	run(4u << 20, UINT32_MAX);
	printf("full index: %u messages\n", made);
	run(64u << 20, getenv("LARGE") ? 200000 : 40000);
	printf("%u messages, opened %u times\n", made, opened);
	printf("2 passed, 0 failed\n");
	return 0;
}
