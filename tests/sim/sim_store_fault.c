/* Errors of the device: every operation fails once or from then on, during the
 * run and while the store is opened; the disk is filled by others. No
 * acknowledged change may be lost, and what makes room never fails.
 *
 *     sim_store_fault              everything
 *     sim_store_fault NAME [SEED]  one part of it, with another seed
 *     TURN=n FAULT=n N=n sim_store_fault NAME SEED
 *                                  one case again, as a failure prints it
 *     STEP=n                       every n-th turn only; TURNS=n */
#include "explore.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIX .append = 30, .blob = 4, .flags = 25, .expunge = 8, .move = 6, .names = 8, .subscribe = 2, .recent = 4

static const struct {
	struct scenario s;
	uint64_t seed;
	bool reads; /* reads fail; else what changes the disk does */
	unsigned step;
} runs[] = {
	{ { .name = "writes", .storage = 4u << 20, .turns = 150, .flag_delay_ms = 5000, .live_most = 400000,
		.message_most = 12000, .blob_most = 60000, .maintain = 3, .hours = 3, .keyword = 4,
		.copy = 12, MIX }, 1, false, 3 },
	{ { .name = "extend", .storage = 4u << 20, .growth = STORE_GROW_EXTEND, .turns = 150, .flag_delay_ms = 5000,
		.live_most = 400000, .message_most = 12000, .blob_most = 60000, .maintain = 3, .hours = 3, .keyword = 4,
		.copy = 12, MIX }, 2, false, 4 },
	{ { .name = "reads", .storage = 4u << 20, .turns = 150, .flag_delay_ms = 5000, .live_most = 400000,
		.message_most = 12000, .blob_most = 60000, .maintain = 3, .hours = 3, MIX }, 3, true, 15 },
};

static const struct fault {
	enum sim_op op;
	int err;
	bool on;    /* from then on */
	bool reads;
} faults[] = {
	{ SIM_OP_WRITE, E_IO, false, false },    { SIM_OP_WRITE, E_IO, true, false },
	{ SIM_OP_SYNC, E_IO, false, false },     { SIM_OP_SYNC, E_IO, true, false },
	{ SIM_OP_WRITE, E_NOSPC, false, false }, { SIM_OP_WRITE, E_NOSPC, true, false },
	{ SIM_OP_SYNC, E_NOSPC, false, false },  { SIM_OP_CREATE, E_NOSPC, false, false },
	{ SIM_OP_CREATE, E_IO, true, false },    { SIM_OP_SYNC_DIR, E_IO, false, false },
	{ SIM_OP_SYNC_DIR, E_IO, true, false },  { SIM_OP_REMOVE, E_IO, false, false },
	{ SIM_OP_REMOVE, E_IO, true, false },    { SIM_OP_RESIZE, E_NOSPC, false, false },
	{ SIM_OP_READ, E_IO, false, true },      { SIM_OP_READ, E_IO, true, true },
	{ SIM_OP_OPEN, E_IO, false, true },      { SIM_OP_OPEN, E_NOMEM, true, true },
	{ SIM_OP_LIST, E_IO, false, true },
};
#define FAULTS (sizeof faults / sizeof faults[0])

static struct rig rig;
static struct m_state shown;
static unsigned which; /* index of the fault under way */

static unsigned setting(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void name_case(struct rig *r, unsigned n, const char *what)
{
	snprintf(rig_case, sizeof rig_case, "TURN=%u FAULT=%u N=%u build/sim/sim_store_fault %s %llu (%s)", r->turn,
		which, n, r->scenario->name, (unsigned long long)r->seed, what);
}

static void die(struct rig *r, unsigned n)
{
	static const struct sim_policy *const policies[] = { &sim_lose_all, &sim_mixed, &sim_keep_all, &sim_reordered };

	/* A kill leaves what a failed sync lost in the kernel's memory; nobody could
	 * tell, so that memory is dropped. */
	if (n % 5 == 4) {
		sim_kill();
		sim_drop_caches();
	} else {
		sim_power_cut(policies[n % 5]);
	}
	rig_dead(r);
}

/* The fault is over: the store opens and has everything. */
static void recovered(struct rig *r, unsigned n)
{
	if (which < FAULTS)
		sim_fail(faults[which].op, 0, OK, false);
	r->faulty = false;
	die(r, n);
	(void)rig_open(r);
	rig_check_recovered(r);
	rig_check_bytes(r);
	rig_recount(r);
	rig_poll(r, true);
	rig_check_alive(r);
	rig_close(r);
	(void)rig_open(r);
	rig_check_same(r);
	rig_recount(r);
}

/* The n-th operation of a turn fails. */
static int fault_turn(void *context, unsigned n)
{
	struct rig *r = context;
	const struct fault *f = &faults[which];
	uint64_t before = sim_failed();

	name_case(r, n, "running");
	r->faulty = true;
	sim_fail(f->op, n, f->err, f->on);
	rig_turn(r);
	if (f->reads && f->op == SIM_OP_READ)
		(void)rig_count_damaged(r); /* wrong bytes end the run */
	if (sim_failed() == before)
		return EXPLORE_END;
	__atomic_add_fetch(&counts->faults, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&counts->tried[which], 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2 && f->on; i++)
		rig_turn(r);
	sim_fail(f->op, 0, OK, false);
	for (unsigned i = 0; i < 2 && !r->broken; i++)
		rig_turn(r);
	if (!r->broken)
		rig_check_live(r);
	/* What it shows may be ahead of what was told; but it shows it. */
	if (r->broken && rig_dump(r, &shown) != OK)
		rig_fail("a store that can't be written any more can't be read either");
	if (r->broken)
		__atomic_add_fetch(&counts->readonly[which], 1, __ATOMIC_RELAXED);
	if (r->broken && !f->on && f->op == SIM_OP_READ)
		rig_fail("one read that failed ended the service");
	__atomic_add_fetch(&counts->faults_lost, r->lost, __ATOMIC_RELAXED);
	recovered(r, n);
	return EXPLORE_MORE;
}

/* The n-th operation of opening fails. */
static int fault_open(void *context, unsigned n)
{
	struct rig *r = context;
	const struct fault *f = &faults[which];
	uint64_t before;
	int err;

	name_case(r, n, "opening");
	die(r, n);
	before = sim_failed();
	r->faulty = true;
	sim_fail(f->op, n, f->err, f->on);
	err = rig_open(r);
	if (sim_failed() == before)
		return EXPLORE_END;
	__atomic_add_fetch(&counts->faults, 1, __ATOMIC_RELAXED);
	if (err != OK && f->op == SIM_OP_READ && !f->on)
		rig_fail("one read that failed kept the store from opening: %s", err_text(err));
	if (err == E_DAMAGED)
		rig_fail("a fault of the device was taken for damage");
	recovered(r, n + 1);
	return EXPLORE_MORE;
}

/* ---- a disk that others fill ---- */

static uint64_t disk_free_now(void)
{
	struct port_fs fs;

	(void)port_fs_info(".", &fs);
	return fs.free;
}

/* n blocks are left: mail may be refused, nothing else. */
static int fill_disk(void *context, unsigned n)
{
	struct rig *r = context;
	struct store_status s;

	if (n > 60)
		return EXPLORE_END;
	name_case(r, n, "full");
	sim_disk(PORT_FS_EXT4, 64u << 20);
	sim_disk_taken(disk_free_now() - (n - 1) * 4096);
	r->faulty = true;
	for (unsigned i = 0; i < 40 && !r->broken; i++) {
		r->full = i % 2;
		rig_turn(r);
	}
	store_status(r->st, &s);
	if (r->broken || s.read_only)
		rig_fail("a full disk ended the service");
	rig_check_live(r);
	__atomic_add_fetch(&counts->faults, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&counts->faults_lost, r->lost, __ATOMIC_RELAXED);
	/* The others make room again: mail must come in without a restart. */
	sim_disk_taken(0);
	sim_advance_us(10000000);
	r->full = false;
	rig_upkeep(r);
	r->faulty = false;
	rig_check_alive(r);
	sim_disk(PORT_FS_EXT4, 0);
	recovered(r, n);
	return EXPLORE_MORE;
}

/* ---- runs ---- */

static bool has_reserve(void)
{
	return port_exists(RIG_DIR "/reserve");
}

static bool try_turn(bool reads, bool opening)
{
	for (which = 0; which < FAULTS; which++)
		if (faults[which].reads == reads &&
			(!explore_all(fault_turn, &rig) || (opening && !explore_all(fault_open, &rig))))
			return false;
	return reads || !opening || !has_reserve() || explore_all(fill_disk, &rig);
}

static bool one_case(void)
{
	const char *what = getenv("WHAT");
	unsigned n = setting("N", 1);

	which = setting("FAULT", 0);
	if (what && strcmp(what, "opening") == 0)
		return fault_open(&rig, n) == EXPLORE_MORE;
	if (which >= FAULTS)
		return fill_disk(&rig, n) == EXPLORE_MORE;
	return fault_turn(&rig, n) == EXPLORE_MORE;
}

static bool run(const struct scenario *s, uint64_t seed, bool reads, unsigned step)
{
	unsigned turns = setting("TURNS", s->turns), only = setting("TURN", UINT_MAX);

	snprintf(rig_case, sizeof rig_case, "build/sim/sim_store_fault %s %llu", s->name, (unsigned long long)seed);
	rig_init(&rig, s, seed);
	(void)rig_open(&rig);
	while (rig.turn < turns || only != UINT_MAX) {
		if (rig.turn == only)
			return one_case();
		if (only == UINT_MAX && rig.turn % step == step - 1 &&
			!try_turn(reads, rig.turn % (10 * step) == step - 1))
			return false;
		rig_turn(&rig);
	}
	rig_check_bytes(&rig);
	rig_close(&rig);
	return true;
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	explore_begin();
	for (unsigned i = 0; i < sizeof runs / sizeof runs[0]; i++) {
		uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : runs[i].seed, before = counts->faults;

		if (argc > 1 && strcmp(argv[1], runs[i].s.name) != 0)
			continue;
		if (run(&runs[i].s, seed, runs[i].reads, setting("STEP", runs[i].step))) {
			passed++;
		} else {
			printf("not ok %s\n", runs[i].s.name);
			failed++;
		}
		printf("%s: %llu faults\n", runs[i].s.name, (unsigned long long)(counts->faults - before));
	}
	for (unsigned i = 0; i < FAULTS; i++)
		if (counts->tried[i])
			printf("%-8s %-28s %-13s %5llu times, read-only after %llu\n", sim_op_name(faults[i].op),
				err_text(faults[i].err), faults[i].on ? "from then on" : "once",
				(unsigned long long)counts->tried[i], (unsigned long long)counts->readonly[i]);
	printf("%llu faults; %llu messages were refused by a ticket\n", (unsigned long long)counts->faults,
		(unsigned long long)counts->faults_lost);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
