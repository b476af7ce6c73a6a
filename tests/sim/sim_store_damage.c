/* Damage on flash: every k-th byte of every file with one bit turned, blocks
 * swapped, copied and zeroed, files cut and missing. What is shown is right or
 * is said to be damaged; what is lost is the damaged record and nothing else.
 *
 *     sim_store_damage [SEED]
 *     STRIDE=n    every n-th byte (default 1499, a prime) */
#include "explore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* First a past: everything may happen, and a clean stop makes it all known to
 * the index. Then changes that are only in the log, one record each. */
static const struct scenario past = { .name = "past",
	.storage = 4u << 20,
	.turns = 80,
	.flag_delay_ms = 5000,
	.live_most = 300000,
	.message_most = 8000,
	.blob_most = 60000,
	.maintain = 3,
	.append = 30,
	.blob = 4,
	.flags = 25,
	.expunge = 8,
	.move = 6,
	.copy = 10,
	.names = 6,
	.keyword = 3,
	.recent = 4 };
static const struct scenario present = { .name = "present",
	.storage = 4u << 20,
	.turns = 40,
	.flag_delay_ms = 5000,
	.live_most = 600000,
	.message_most = 8000,
	.blob_most = 60000,
	.maintain = 0,
	.append = 30,
	.blob = 4,
	.flags = 25,
	.expunge = 8,
	.move = 6,
	.subscribe = 4 };

static struct rig rig, base;
static struct sim_image *image;
static struct m_op log_ops[M_OPS];
static unsigned n_log, last_commit; /* ops of the log; the first one of the last commit */
static struct m_state start, now, without;
static char files[64][24];
static unsigned n_files, stride = 1499, file;

static struct {
	uint64_t flips, refused, lost, damaged, cut;
} *sums;

static bool take_name(void *context, const char *name)
{
	(void)context;
	if (n_files < 64)
		snprintf(files[n_files++], sizeof files[0], "%s", name);
	return true;
}

static uint64_t size_of(const char *path)
{
	port_file f = port_open(path, PORT_READ);
	int64_t n = f < 0 ? 0 : port_size(f);

	port_close(f);
	return n < 0 ? 0 : (uint64_t)n;
}

/* ---- the store that is damaged ---- */

static void make_present(struct rig *r)
{
	r->scenario = &present;
	(void)rig_open(r);
	start = r->model.durable;
	for (unsigned i = 0; i < present.turns; i++) {
		unsigned changes = 1 + (unsigned)rig_random(r, 4);

		for (unsigned j = 0; j < changes; j++)
			rig_change(r);
		if (r->model.n_ops == 0)
			continue;
		last_commit = n_log;
		memcpy(log_ops + n_log, r->model.ops, r->model.n_ops * sizeof log_ops[0]);
		n_log += r->model.n_ops;
		store_commit_request(r->st);
		rig_commit(r);
	}
	now = r->model.durable;
}

static void make(uint64_t seed)
{
	rig_init(&rig, &past, seed);
	(void)rig_open(&rig);
	while (rig.turn < past.turns)
		rig_turn(&rig);
	rig_upkeep(&rig);
	rig_close(&rig);
	make_present(&rig);
	sim_power_cut(&sim_keep_all);
	rig_dead(&rig);
	image = sim_image_save();
	base = rig;
	if (port_list(RIG_DIR, take_name, NULL) != OK || n_files == 64)
		rig_fail("the files can't be listed");
}

/* ---- what may be there after damage ---- */

/* UIDNEXT and ids may have jumped; the rest of a box must be the same. */
static void forget_numbers(struct m_state *to, const struct m_state *from)
{
	for (unsigned i = 0; i < M_BOXES; i++) {
		int j = from->box[i].used ? state_find(to, from->box[i].owner, from->box[i].name) : -1;

		if (j < 0)
			continue;
		if (to->box[j].uidnext < from->box[i].uidnext)
			continue;
		to->box[j].uidnext = from->box[i].uidnext;
	}
}

static const char *difference;

static bool same(const struct m_state *expected, const struct m_state *is)
{
	static struct m_state copy;

	copy = *is;
	forget_numbers(&copy, expected);
	difference = state_differs(expected, &copy);
	return difference == NULL;
}

/* All ops but one, or all but a suffix of the last commit: it is the one whose
 * end nothing vouches for. A box's HIGHESTMODSEQ is that of what is left. */
static bool one_record_lost(const struct m_state *is)
{
	for (unsigned skip = 0; skip < n_log; skip++) {
		without = start;
		for (unsigned i = 0; i < n_log; i++)
			if (i != skip)
				state_apply(&without, &base.model, &log_ops[i]);
		if (same(&without, is))
			return true;
		if (getenv("VERBOSE"))
			printf("# without op %u (kind %d, LSN %" PRIu64 "): %s\n", skip, log_ops[skip].kind,
				log_ops[skip].lsn, difference);
	}
	without = start;
	for (unsigned i = 0; i < n_log; i++) {
		if (i >= last_commit && same(&without, is)) {
			__atomic_add_fetch(&sums->cut, 1, __ATOMIC_RELAXED);
			return true;
		}
		state_apply(&without, &base.model, &log_ops[i]);
	}
	return same(&without, is);
}

static struct m_state seen;

/* Opens what is on the disk; false when it says that it is damaged. */
static bool opens(struct rig *r, bool may_refuse)
{
	int err;

	*r = base;
	r->faulty = true;
	err = rig_open(r);
	__atomic_add_fetch(&sums->flips, 1, __ATOMIC_RELAXED);
	if (err == OK)
		return true;
	if (err != E_DAMAGED || !may_refuse)
		rig_fail("the store does not open: %s", err_text(err));
	__atomic_add_fetch(&sums->refused, 1, __ATOMIC_RELAXED);
	return false;
}

/* The log: every message that the index knew is there; of what came after, one
 * record may be lost. */
static void check_log(struct rig *r)
{
	unsigned damaged;

	if (rig_dump(r, &seen) != OK)
		rig_fail("the index can't be read, though it is whole");
	if (!same(&now, &seen)) {
		if (!one_record_lost(&seen))
			rig_fail("more than one record is lost: %s", state_differs(&now, &seen));
		r->model.live = r->model.durable = without;
		__atomic_add_fetch(&sums->lost, 1, __ATOMIC_RELAXED);
	}
	damaged = rig_count_damaged(r);
	__atomic_add_fetch(&sums->damaged, damaged, __ATOMIC_RELAXED);
	if (damaged > 1)
		rig_fail("%u messages are damaged", damaged);
}

static void check_exact(struct rig *r)
{
	if (rig_dump(r, &seen) != OK)
		rig_fail("the index can't be read, though it is whole");
	if (state_differs(&now, &seen))
		rig_fail("it shows something else: %s", state_differs(&now, &seen));
	if (rig_count_damaged(r))
		rig_fail("a message is damaged, and its bytes were not touched");
}

/* A body of its own: nothing but that message. */
static void check_blob(struct rig *r)
{
	if (rig_dump(r, &seen) != OK || state_differs(&now, &seen))
		rig_fail("it shows something else: %s", state_differs(&now, &seen));
	if (rig_count_damaged(r) > 1)
		rig_fail("more than one message is damaged");
}

/* The index: what can be read is right. Changes are tried too: nothing may end
 * the process. */
static void check_index(struct rig *r)
{
	int err = rig_dump(r, &seen);

	if (err == OK && state_differs(&now, &seen))
		rig_fail("it shows something else: %s", state_differs(&now, &seen));
	if (err != OK && err != E_DAMAGED)
		rig_fail("reading says %s", err_text(err));
	for (unsigned i = 0; i < 4 && !r->broken; i++)
		rig_turn(r);
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && strcmp(name + n - m, end) == 0;
}

static void check(const char *name)
{
	if (!opens(&rig, strcmp(name, "index") == 0))
		return;
	if (ends_in(name, ".seg"))
		check_log(&rig);
	else if (ends_in(name, ".msg"))
		check_blob(&rig);
	else if (strcmp(name, "index") == 0)
		check_index(&rig);
	else
		check_exact(&rig);
}

/* ---- kinds of damage ---- */

/* The n-th part of one file's flips. */
#define PARTS 8
static int flip_part(void *context, unsigned n)
{
	char path[64];
	uint64_t size;
	unsigned step = strncmp(files[file], "super", 5) == 0 ? 61 : stride;

	(void)context;
	if (n > PARTS)
		return EXPLORE_END;
	snprintf(path, sizeof path, "%s/%s", RIG_DIR, files[file]);
	sim_image_load(image);
	size = size_of(path);
	if (strcmp(files[file], "reserve") == 0 && size > 8192)
		size = 8192;
	for (uint64_t at = (n - 1) * step; at < size; at += PARTS * step) {
		snprintf(rig_case, sizeof rig_case, "build/sim/sim_store_damage %" PRIu64 " (%s, byte %" PRIu64 ")",
			base.seed, path, at);
		sim_image_load(image);
		(void)sim_flip_bit(path, at, (unsigned)(at % 8));
		check(files[file]);
	}
	return EXPLORE_MORE;
}

/* Every header byte of the segments and the first bytes of every page. */
static int flip_headers(void *context, unsigned n)
{
	char path[64];
	uint64_t size;

	(void)context;
	if (n > 1)
		return EXPLORE_END;
	snprintf(path, sizeof path, "%s/%s", RIG_DIR, files[file]);
	sim_image_load(image);
	size = size_of(path);
	if (!ends_in(files[file], ".seg"))
		return EXPLORE_MORE;
	for (uint64_t at = 0; at < 4096 && at < size; at += at < 128 ? 1 : 97) {
		snprintf(rig_case, sizeof rig_case, "build/sim/sim_store_damage %" PRIu64 " (%s, byte %" PRIu64 ")",
			base.seed, path, at);
		sim_image_load(image);
		(void)sim_flip_bit(path, at, 3);
		if (!opens(&rig, false))
			continue;
		check_exact(&rig);
	}
	return EXPLORE_MORE;
}

/* Both superblocks, a missing file, blocks in the wrong place: nothing is
 * formatted, nothing wrong is shown, nothing crashes. */
static void check_nothing_wrong(struct rig *r)
{
	(void)rig_dump(r, &seen);
	for (unsigned i = 0; i < 6; i++)
		(void)store_maintain(r->st);
}

static int other_damage(void *context, unsigned n)
{
	char path[64], other[64];
	uint64_t blocks;

	(void)context;
	if (n > n_files)
		return EXPLORE_END;
	snprintf(path, sizeof path, "%s/%s", RIG_DIR, files[n - 1]);
	snprintf(other, sizeof other, "%s/%s", RIG_DIR, files[n % n_files]);
	if (strcmp(files[n - 1], "lock") == 0)
		return EXPLORE_MORE;
	sim_image_load(image);
	blocks = size_of(path) / 4096;
	for (uint64_t i = 0; i + 1 < blocks; i += 1 + blocks / 12) {
		for (unsigned kind = 0; kind < 3; kind++) {
			snprintf(rig_case, sizeof rig_case,
				"build/sim/sim_store_damage %" PRIu64 " (%s, block %" PRIu64 ", kind %u)", base.seed,
				path, i, kind);
			sim_image_load(image);
			if (kind == 0)
				(void)sim_swap_blocks(path, i, i + 1);
			else if (kind == 1)
				(void)sim_zero_block(path, i);
			else
				(void)sim_copy_block(path, i, other, i / 2);
			if (opens(&rig, true))
				check_nothing_wrong(&rig);
		}
	}
	snprintf(rig_case, sizeof rig_case, "build/sim/sim_store_damage %" PRIu64 " (%s missing)", base.seed, path);
	sim_image_load(image);
	(void)port_remove(path);
	(void)port_sync_dir(RIG_DIR);
	if (opens(&rig, true))
		check_nothing_wrong(&rig);
	return EXPLORE_MORE;
}

/* Neither superblock can be read: the owner is told, and nothing is written. */
static int both_supers(void *context, unsigned n)
{
	(void)context;
	if (n > 1)
		return EXPLORE_END;
	snprintf(rig_case, sizeof rig_case, "build/sim/sim_store_damage %" PRIu64 " (both superblocks)", base.seed);
	sim_image_load(image);
	(void)sim_flip_bit(RIG_DIR "/super.0", 300, 1);
	(void)sim_flip_bit(RIG_DIR "/super.1", 300, 1);
	if (opens(&rig, true))
		rig_fail("a store without superblocks opens");
	sim_kill();
	(void)sim_flip_bit(RIG_DIR "/super.0", 300, 1);
	(void)sim_flip_bit(RIG_DIR "/super.1", 300, 1);
	if (opens(&rig, false))
		check_exact(&rig);
	return EXPLORE_MORE;
}

int main(int argc, char **argv)
{
	bool good = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	explore_begin();
	sums = (void *)explore_shared(sizeof *sums);
	if (getenv("STRIDE"))
		stride = (unsigned)atoi(getenv("STRIDE"));
	make(argc > 1 ? strtoull(argv[1], NULL, 10) : 7);
	for (file = 0; file < n_files && good; file++)
		good = strcmp(files[file], "lock") == 0 ||
			(explore_all(flip_part, NULL) && explore_all(flip_headers, NULL));
	good = good && explore_all(other_damage, NULL) && explore_all(both_supers, NULL);
	printf("%" PRIu64 " flips and other damage: %" PRIu64 " times the store did not open, %" PRIu64
	       " times a record was lost (%" PRIu64 " of the last commit), %" PRIu64 " messages were damaged\n",
		sums->flips, sums->refused, sums->lost, sums->cut, sums->damaged);
	printf("%d passed, %d failed\n", good, !good);
	return !good;
}
