/* Runs in which the power is cut at every single operation, and every fate of
 * that moment is followed (explore.h). */
#ifndef TESTS_SIM_CUTS_H
#define TESTS_SIM_CUTS_H

#include "explore.h"

struct cut_run {
	struct scenario s;
	uint64_t seed;
	unsigned fates, depth2; /* of each cut; cuts during the recovery from it, UINT_MAX: all */
	unsigned most;          /* not 0: only so many cuts of each kind and state of the store */
};
extern const struct cut_run cut_runs[];
extern const unsigned n_cut_runs;

/* Runs a scenario; TURN, CUT and TURNS in the environment choose a case of it. */
bool cut_run(const struct cut_run *run, uint64_t seed, unsigned fates, unsigned depth2);
/* A number in the environment. */
unsigned cut_setting(const char *name, unsigned otherwise);

#endif
