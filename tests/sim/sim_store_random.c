/* Random lives of a store: sizes, growth, pressure and pace from the seed; each
 * life ends by a clean stop, a kill, a cut at any operation or a fault of the
 * device, and the next one begins with what that left. The oracle is that of
 * sim_store_cut.
 *
 *     sim_store_random             SEEDS (default 12) seeds from FIRST (1) on
 *     SEED=n sim_store_random      one seed again, as a failure prints it
 *     TURNS=n                      turns of each seed (default 500) */
#include "explore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;
static struct scenario scenario;
static unsigned turns = 500;

static struct {
	uint64_t lives, cuts, kills, stops, faults, second, turns, cleaned, checkpoints;
} *sums;

static void count(uint64_t *what, uint64_t n)
{
	__atomic_add_fetch(what, n, __ATOMIC_RELAXED);
}

static unsigned some(uint64_t *state, unsigned most)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (unsigned)((z ^ z >> 31) % (most + 1));
}

static void make_scenario(uint64_t seed)
{
	static const uint64_t storages[] = { 4, 4, 5, 6, 8, 16 };
	static const uint32_t delays[] = { 0, 2000, 5000, 60000 };
	static const uint32_t sizes[] = { 300, 3000, 12000, 40000 };
	uint64_t x = seed * 77;
	struct scenario *s = &scenario;

	memset(s, 0, sizeof *s);
	s->name = "random";
	s->storage = storages[some(&x, 5)] << 20;
	s->growth = some(&x, 1) ? STORE_GROW_EXTEND : STORE_GROW_APPEND;
	s->flag_delay_ms = delays[some(&x, 3)];
	s->sync_us = some(&x, 2) ? 0 : 30000;
	s->live_most = (uint64_t)some(&x, 100) * s->storage / 120;
	s->message_most = sizes[some(&x, 3)];
	s->blob_most = 20000 + some(&x, 300000);
	s->append = 10 + some(&x, 40);
	s->blob = some(&x, 6);
	s->flags = some(&x, 40);
	s->expunge = 1 + some(&x, 12);
	s->move = some(&x, 10);
	s->copy = some(&x, 16);
	s->names = 1 + some(&x, 10);
	s->subscribe = some(&x, 3);
	s->keyword = some(&x, 4);
	s->recent = some(&x, 4);
	s->forget = some(&x, 9) == 0;
	s->pin = some(&x, 4);
	s->maintain = 1 + some(&x, 4);
	s->hours = some(&x, 3) ? 1 : 20;
	s->busy = 1 + some(&x, 12);
	s->quota = some(&x, 5) ? 0 : 200000 + some(&x, 2000000);
}

static void one_turn(void *context)
{
	(void)context;
	rig_turn(&rig);
}

static void open_it(void *context)
{
	(void)context;
	(void)rig_open(&rig);
}

static const struct sim_policy *any_policy(struct rig *r)
{
	static const struct sim_policy *const policies[] = { &sim_keep_all, &sim_lose_all, &sim_mixed, &sim_mixed,
		&sim_torn, &sim_garbage, &sim_reordered, &sim_first_lost };

	return policies[rig_random(r, 8)];
}

static void die(struct rig *r)
{
	if (rig_random(r, 6) == 0) {
		sim_kill();
		sim_drop_caches();
		count(&sums->kills, 1);
	} else {
		sim_power_cut(any_policy(r));
	}
	rig_dead(r);
}

/* Something of the device fails, once or for a while. */
static void fault(struct rig *r)
{
	static const enum sim_op ops[] = { SIM_OP_WRITE, SIM_OP_SYNC, SIM_OP_SYNC_DIR, SIM_OP_CREATE, SIM_OP_READ };
	enum sim_op op = ops[rig_random(r, 5)];
	bool full = op == SIM_OP_WRITE && rig_random(r, 2), on = rig_random(r, 3) == 0;

	/* What keywords a call has named is not known when reading back fails. */
	r->faulty = true;
	scenario.keyword = 0;
	sim_fail(op, 1 + rig_random(r, 30), full ? E_NOSPC : E_IO, on);
	for (unsigned i = rig_random(r, 12); i > 0 && !r->broken; i--)
		rig_turn(r);
	sim_fail(op, 0, OK, false);
	count(&sums->faults, 1);
}

/* Opens after a death, with more cuts on the way. */
static void rise(struct rig *r)
{
	r->faulty = false;
	while (rig_random(r, 3) == 0) {
		sim_cut_at(1 + rig_random(r, 25));
		if (sim_run(open_it, NULL) == SIM_DONE) {
			sim_cut_at(0);
			break;
		}
		count(&sums->second, 1);
		explore_note_second();
		die(r);
	}
	if (!r->st)
		(void)rig_open(r);
	rig_check_recovered(r);
	rig_check_bytes(r);
	rig_recount(r);
	rig_poll(r, true);
}

static unsigned findings;

static void finding(void *context, const char *line)
{
	(void)context;
	findings++;
	printf("# check: %s\n", line);
}

static void check_all(struct rig *r)
{
	uint64_t cursor = 0;
	int err;

	do
		err = store_check(r->st, &cursor, finding, NULL);
	while (err == E_AGAIN);
	if (err != OK || findings)
		rig_fail("the store's own check says %s", err_text(err));
}

/* Some turns, and an end. */
static void live(struct rig *r)
{
	struct store_status s;
	unsigned n = 1 + (unsigned)rig_random(r, 60), kind = (unsigned)rig_random(r, 10);
	bool cut = false;

	if (kind < 6)
		sim_cut_at(1 + rig_random(r, 10 * n));
	for (unsigned i = 0; i < n && !cut; i++)
		cut = sim_run(one_turn, NULL) == SIM_CUT;
	if (cut)
		explore_note_cut(r);
	sim_cut_at(0);
	count(&sums->lives, 1);
	count(&sums->turns, n);
	if (!cut && kind < 8) {
		rig_check_live(r);
		rig_recount(r);
		store_status(r->st, &s);
		count(&sums->cleaned, s.segments_cleaned);
		count(&sums->checkpoints, s.checkpoints);
		if (rig_random(r, 4) == 0)
			check_all(r);
	}
	if (!cut && kind >= 8)
		fault(r);
	if (!cut && kind == 6 && !r->broken) {
		rig_close(r);
		count(&sums->stops, 1);
		return;
	}
	count(&sums->cuts, 1);
	die(r);
}

static int run_seed(void *context, unsigned n)
{
	(void)context;
	snprintf(rig_case, sizeof rig_case, "SEED=%u TURNS=%u build/sim/sim_store_random", n, turns);
	make_scenario(n);
	rig_init(&rig, &scenario, n);
	(void)rig_open(&rig);
	while (rig.turn < turns) {
		live(&rig);
		rise(&rig);
	}
	/* Nothing fails any more: everything must come to its end. */
	rig_upkeep(&rig);
	rig_check_alive(&rig);
	rig_check_live(&rig);
	check_all(&rig);
	rig_close(&rig);
	(void)rig_open(&rig);
	rig_check_same(&rig);
	rig_recount(&rig);
	return EXPLORE_MORE;
}

static unsigned first, seeds;

static int next_seed(void *context, unsigned n)
{
	return n > seeds ? EXPLORE_END : run_seed(context, first + n - 1);
}

static unsigned setting(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

int main(void)
{
	unsigned seed = setting("SEED", 0);
	bool good;

	setvbuf(stdout, NULL, _IOLBF, 0);
	explore_begin();
	sums = explore_shared(sizeof *sums);
	turns = setting("TURNS", turns);
	seeds = setting("SEEDS", 12);
	first = setting("FIRST", 1);
	good = seed ? run_seed(NULL, seed) == EXPLORE_MORE : explore_all(next_seed, NULL);
	(void)explore_print_states();
	printf("%u seeds, %" PRIu64 " lives of %" PRIu64 " turns: %" PRIu64 " cuts, %" PRIu64
	       " more while opening, %" PRIu64 " kills, %" PRIu64 " clean stops, %" PRIu64 " faults; %" PRIu64
	       " checkpoints, %" PRIu64 " segments cleaned\n",
		seed ? 1 : seeds, sums->lives, sums->turns, sums->cuts, sums->second, sums->kills, sums->stops,
		sums->faults, sums->checkpoints, sums->cleaned);
	printf("%d passed, %d failed\n", good, !good);
	return !good;
}
