/* Power cut after every write, sync, rename, create, unlink and resize of a
 * run: whatever the cut leaves, every acknowledged change is there, of the
 * others a prefix, and the store goes on (DESIGN.md section 4).
 *
 *     sim_store_cut                   all scenarios
 *     sim_store_cut NAME [SEED]       one of them, with another seed
 *     TURN=n CUT=n FATES=n DEPTH2=n sim_store_cut NAME SEED
 *                                     one case again, as a failure prints it
 *     FATES=n DEPTH2=n TURNS=n        more fates of each cut, more cuts during
 *                                     recovery, longer runs */
#include "cuts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- while a damaged file is put aside ---- */

static struct rig rig;
static struct m_state whole, again;

static void open_it(void *context)
{
	(void)rig_open(context);
}

static void dump(struct m_state *out)
{
	if (rig_dump(&rig, out) != OK)
		rig_fail("with a damaged segment aside the store can't be read");
}

/* The opening that puts it aside is cut at its n-th operation: the next one ends
 * with the same mail. Numbers may be passed over twice. */
static int cut_aside(void *context, unsigned n)
{
	static const struct sim_policy *const policies[] = { &sim_lose_all, &sim_keep_all, &sim_mixed };
	const char *what;

	snprintf(rig_case, sizeof rig_case, "build/sim/sim_store_cut (damage put aside, cut at %u)", n);
	sim_image_load(context);
	rig_dead(&rig);
	sim_cut_at(n);
	if (sim_run(open_it, &rig) == SIM_DONE)
		return EXPLORE_END;
	explore_note_second();
	sim_power_cut(policies[n % 3]);
	rig_dead(&rig);
	(void)rig_open(&rig);
	dump(&again);
	for (unsigned i = 0; i < M_BOXES; i++)
		if (again.box[i].used && again.box[i].uidnext >= whole.box[i].uidnext)
			again.box[i].uidnext = whole.box[i].uidnext;
	what = state_differs(&whole, &again);
	if (what)
		rig_fail("cut while a damaged segment was put aside: %s", what);
	rig_recount(&rig);
	return EXPLORE_MORE;
}

/* The newest segment, unknown to any checkpoint, loses its header. */
static bool put_aside(void)
{
	static struct scenario s;
	struct sim_image *image;
	char name[40];
	unsigned id = 0;
	bool good;

	s = cut_runs[1].s;
	rig_init(&rig, &s, 7);
	(void)rig_open(&rig);
	while (rig.turn < 30)
		rig_turn(&rig);
	sim_power_cut(&sim_lose_all);
	rig_dead(&rig);
	for (unsigned i = 1; i < 100; i++) {
		snprintf(name, sizeof name, RIG_DIR "/%08x.seg", i);
		if (port_exists(name))
			id = i;
	}
	snprintf(name, sizeof name, RIG_DIR "/%08x.seg", id);
	if (!sim_flip_bit(name, 10, 1) || !sim_flip_bit(name, 2048 + 10, 1))
		return false;
	image = sim_image_save();
	(void)rig_open(&rig);
	dump(&whole);
	good = explore_all(cut_aside, image);
	sim_image_free(image);
	return good;
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	explore_begin();
	for (unsigned i = 0; i < n_cut_runs; i++) {
		uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : cut_runs[i].seed, before = counts->first;

		if (argc > 1 && strcmp(argv[1], cut_runs[i].s.name) != 0)
			continue;
		if (cut_run(&cut_runs[i], seed, cut_setting("FATES", cut_runs[i].fates),
			    cut_setting("DEPTH2", cut_runs[i].depth2))) {
			passed++;
		} else {
			printf("not ok %s\n", cut_runs[i].s.name);
			failed++;
		}
		printf("%s: %llu cuts\n", cut_runs[i].s.name, (unsigned long long)(counts->first - before));
	}
	explore_print();
	if (argc == 1 || getenv("TABLE")) {
		bool all = put_aside() & explore_print_states();

		passed += all;
		failed += !all;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
