/* What the tests of the store's trouble share: a store on simulated flash, its
 * commits and upkeep, and messages whose bytes follow from a seed. */
#ifndef TESTS_STORE_RIG_H
#define TESTS_STORE_RIG_H

#include "base/err.h"
#include "port/sim/sim.h"
#include "store/store.h"
#include "t.h"

static uint8_t rig_space[24 << 20];
static struct arena rig_arena;
static struct store *st;
static char rig_reason[200];

static const struct store_config rig_config = {
	.dir = "mail",
	.storage = 4u << 20,
	.message_max = 1u << 20,
	.flag_delay_ms = 5000,
	.cache_pages = 64,
	.log_buffer = 128u << 10,
	.upload_bytes = 384u << 10,
	.uploads = 8,
	.allow_volatile = true,
};

static inline int rig_open(const struct store_config *config)
{
	arena_init(&rig_arena, rig_space, sizeof rig_space);
	return store_open(&st, &rig_arena, config, rig_reason, sizeof rig_reason);
}

static inline void rig_again(const struct store_config *config)
{
	int err = rig_open(config);

	if (err != OK)
		T_FAIL("open: %d %s", err, rig_reason);
}

static inline void rig_start(const struct store_config *config)
{
	sim_reset(1);
	rig_again(config);
}

static inline void rig_commit(void)
{
	T_EQ(store_commit_start(st), OK);
	T_EQ(store_commit_done(st), OK);
}

/* A turn of the loop, as src/net/loop.c has it: a slice of upkeep, then a
 * commit if one is wanted. True when there is more to do at once. */
static inline bool rig_turn(void)
{
	bool more = store_maintain(st) == E_AGAIN;

	if (store_wants_commit(st))
		rig_commit();
	return more;
}

/* Turns until there is nothing to do; how many. */
static inline unsigned rig_upkeep(unsigned most)
{
	unsigned n = 0;

	while (rig_turn())
		if (++n == most)
			T_FAIL("upkeep does not end in %u turns", most);
	return n;
}

static inline uint32_t rig_mailbox(const char *name)
{
	store_ticket t;
	uint32_t id;

	T_EQ(store_mailbox_create(st, 1, bytes_of(name), 0, &id, &t), OK);
	rig_commit();
	return id;
}

static inline uint8_t rig_byte(uint32_t seed, size_t i)
{
	return (uint8_t)((seed * 2654435761u >> 8) + i * 31 + i / 977);
}

/* Stages a message; waits as a session would, `turns` turns at most. */
static inline int rig_stage(uint32_t mailbox, uint32_t seed, size_t size, unsigned turns, struct store_target *target,
	store_ticket *t)
{
	struct store_upload *up;
	uint8_t piece[1000];
	int err = store_upload_begin(st, size, &up);

	if (err != OK)
		return err;
	for (size_t at = 0; at < size && err == OK;) {
		size_t n = size - at < sizeof piece ? size - at : sizeof piece;

		for (size_t i = 0; i < n; i++)
			piece[i] = rig_byte(seed, at + i);
		err = store_upload_write(up, piece, n);
		at += n;
	}
	*target = (struct store_target){ .mailbox = mailbox, .received = 1000 + (int64_t)seed };
	while (err == OK) {
		err = store_upload_commit(up, bytes_of("summary"), target, 1, t);
		if (err != E_AGAIN || turns-- == 0)
			break;
		(void)rig_turn();
		err = OK;
	}
	if (err != OK)
		store_upload_abort(up);
	return err;
}

static inline uint32_t rig_add(uint32_t mailbox, uint32_t seed, size_t size)
{
	struct store_target target;
	store_ticket t;

	T_EQ(rig_stage(mailbox, seed, size, 100, &target, &t), OK);
	rig_commit();
	T_EQ(store_ticket_result(st, t), OK);
	return target.uid;
}

/* Whether the message is whole. */
static inline bool rig_good(uint32_t mailbox, uint32_t uid, uint32_t seed, size_t size)
{
	struct store_entry e;
	uint8_t piece[4000];

	if (store_entry_get(st, mailbox, uid, &e) != OK || e.size != size || e.received != 1000 + (int64_t)seed)
		return false;
	for (size_t at = 0; at < size;) {
		int64_t n = store_body(st, e.object, at, piece, sizeof piece);

		if (n <= 0)
			return false;
		for (size_t i = 0; i < (size_t)n; i++)
			if (piece[i] != rig_byte(seed, at + i))
				return false;
		at += (size_t)n;
	}
	return true;
}

#endif
