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

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	explore_begin();
	for (unsigned i = 0; i < n_cut_runs; i++) {
		uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : cut_runs[i].seed, before = counts->first;

		if (argc > 1 && strcmp(argv[1], cut_runs[i].s.name) != 0)
			continue;
		if (cut_run(&cut_runs[i].s, seed, cut_setting("FATES", cut_runs[i].fates),
			    cut_setting("DEPTH2", cut_runs[i].depth2))) {
			passed++;
		} else {
			printf("not ok %s\n", cut_runs[i].s.name);
			failed++;
		}
		printf("%s: %llu cuts\n", cut_runs[i].s.name, (unsigned long long)(counts->first - before));
	}
	explore_print();
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
