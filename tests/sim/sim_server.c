/* The whole server, with its clients, on a box that fails: IMAP and LMTP over a
 * simulated network, flash that loses power, disks that fail and fill, a clock
 * that jumps. Each seed is a life of several boots; between bursts of work an
 * audit reads everything and holds it against what was promised, and at the end
 * nothing fails any more and everybody must come to an end with his work.
 *
 *     sim_server               SEEDS (default 60) seeds from FIRST (1) on
 *     SEED=n sim_server        one seed again, as a failure prints it
 *     SOAK=seconds             seeds from FIRST on for so long
 *     SIM_WIRE=1               every line between clients and server
 *     SIM_LOG=1, SIM_TRACE=1   the server's log, every operation on the disk */
#include "explore.h"
#include "server_sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t first, seeds, soak_until;

/* So many seeds are run twice in one process: the same must happen to the byte,
 * and nothing of the first life may be left in the server. */
#define TWICE 2
/* Seconds of CPU after which a life is worth a look. */
#define SLOW 10

static void live_again(uint64_t seed)
{
	struct sums *sums = world.sums, other = { 0 };
	uint64_t hash = world.hash;

	world.sums = &other;
	live(seed);
	if (world.hash != hash)
		broken("the second run of a seed differs: %016" PRIx64 " and %016" PRIx64, hash, world.hash);
	world.sums = sums;
}

static struct sums *all; /* shared with the children */

static int child(void *context, unsigned n)
{
	static struct sums mine;

	(void)context;
	if (n > seeds || (soak_until && (uint64_t)time(NULL) >= soak_until))
		return EXPLORE_END;
	world.sums = &mine;
	live(first + n - 1);
	if (clock() > SLOW * CLOCKS_PER_SEC)
		printf("# seed %" PRIu64 " takes %ld seconds\n", first + n - 1, (long)(clock() / CLOCKS_PER_SEC));
	if (n <= TWICE)
		live_again(first + n - 1);
	for (size_t i = 0; i < sizeof mine / sizeof(uint64_t); i++)
		__atomic_add_fetch((uint64_t *)all + i, ((uint64_t *)&mine)[i], __ATOMIC_RELAXED);
	return EXPLORE_MORE;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void print_sums(void)
{
	static const char *const places[PLACES_N] = { "log", "large", "checkpoint", "reserve", "other" };
	const struct sums *s = world.sums;
	uint64_t cuts = 0;

	printf("# cuts      ");
	for (int at = 0; at < PLACES_N; at++)
		printf("%12s", places[at]);
	printf("\n");
	for (int op = 0; op < SIM_OP_COUNT; op++) {
		uint64_t sum = 0;

		for (int at = 0; at < PLACES_N; at++)
			sum += s->cuts[op][at];
		cuts += sum;
		if (sum == 0)
			continue;
		printf("# %-10s", op ? sim_op_name((enum sim_op)op) : "between");
		for (int at = 0; at < PLACES_N; at++)
			printf("%12" PRIu64, s->cuts[op][at]);
		printf("\n");
	}
	printf("# %" PRIu64 " of the cuts while the server started or before all was read again; %" PRIu64
	       " audits, %" PRIu64 " of them without a death before\n",
		s->cuts_starting, s->audits, s->calms);
	printf("# faults: %" PRIu64 " kills, %" PRIu64 " of the device, %" PRIu64 " full disks, %" PRIu64
	       " resets, %" PRIu64 " stalls, %" PRIu64 " jumps of the clock; %" PRIu64 " clean stops\n",
		s->kills, s->io_faults, s->disk_full, s->resets, s->stalls, s->clocks, s->stops);
	printf("# %" PRIu64 " commands (%" PRIu64 " refused, %" PRIu64 " for want of room), %" PRIu64
	       " deliveries, %" PRIu64 " messages let go, in %" PRIu64 " simulated hours\n",
		s->commands, s->failed, s->refused_full, s->deliveries, s->evicted, s->seconds / 3600);
	printf("%" PRIu64 " seeds, %" PRIu64 " boots, %" PRIu64 " cuts\n", s->seeds, s->boots, cuts);
}

int main(void)
{
	uint64_t seed = setting("SEED", 0);
	bool good = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	explore_begin();
	world.sums = all = explore_shared(sizeof *all);
	first = setting("FIRST", 1);
	seeds = setting("SEEDS", 60);
	if (getenv("SOAK")) {
		soak_until = (uint64_t)time(NULL) + setting("SOAK", 60);
		seeds = UINT32_MAX;
	}
	if (seed) {
		live(seed);
		printf("# hash %016" PRIx64 ", worst charge %" PRIu64 " of %" PRIu64 "\n", world.hash,
			world.storage_worst, world.storage);
	} else {
		good = explore_all(child, NULL);
	}
	print_sums();
	printf("%d passed, %d failed\n", good, !good);
	return !good;
}
