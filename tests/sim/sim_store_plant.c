/* The simulation can fail: each of the bugs of store/plant.h is planted, and the
 * run must catch it. What it says and after how many runs is printed.
 *
 *     sim_store_plant              all of them
 *     sim_store_plant N            the one with that number (enum store_plant), and what it prints */
#include "cuts.h"

#include "store/store_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nearly nothing but lazy flags, which wait long for their sync. */
static const struct scenario lazy = { .name = "lazy",
	.storage = 4u << 20,
	.turns = 200,
	.flag_delay_ms = 60000,
	.live_most = 100000,
	.message_most = 1000,
	.blob_most = 1,
	.maintain = 1,
	.busy = 2,
	.append = 6,
	.flags = 60 };
/* Commits that look alike: flags of few messages, synced at once. */
static const struct scenario alike = { .name = "alike",
	.storage = 4u << 20,
	.growth = STORE_GROW_EXTEND,
	.turns = 120,
	.quiet_turns = 60,
	.live_most = 20000,
	.message_most = 0,
	.blob_most = 1,
	.maintain = 1,
	.busy = 2,
	.append = 6,
	.flags = 60 };

/* ---- what lies behind the end ---- */

static struct rig rig;

static void segment_name(unsigned id, char name[40])
{
	snprintf(name, 40, RIG_DIR "/%08x.seg", id);
}

/* The power goes, and behind the end of the log lies what the n-th segment before
 * it has at the same place. */
static int stale_tail(void *context, unsigned n)
{
	struct rig *r = context;
	const struct log *log = &r->st->log;
	char from[40], to[40];
	unsigned block = (log->end + 4095) / 4096;

	if (log->file < 0 || log->segment <= n || n > 4)
		return EXPLORE_END;
	segment_name(log->segment - n, from);
	segment_name(log->segment, to);
	sim_power_cut(&sim_lose_all);
	rig_dead(r);
	for (; sim_copy_block(from, block, to, block); block++)
		;
	__atomic_add_fetch(&counts->first, 1, __ATOMIC_RELAXED);
	(void)rig_open(r);
	rig_check_recovered(r);
	rig_recount(r);
	__atomic_add_fetch(&counts->fates, 1, __ATOMIC_RELAXED);
	return EXPLORE_MORE;
}

static bool run_stale(const struct scenario *s)
{
	snprintf(rig_case, sizeof rig_case, "build/sim/sim_store_plant %d", PLANT_OLD_SALT);
	rig_init(&rig, s, 1);
	(void)rig_open(&rig);
	while (rig.turn < s->turns) {
		rig_turn(&rig);
		if (rig.turn >= s->quiet_turns && !explore_all(stale_tail, &rig))
			return false;
	}
	return true;
}

/* ---- the bugs ---- */

static const struct plant {
	enum store_plant bug;
	const char *what;
	const char *run; /* of sim_store_cut, or NULL: */
	const struct scenario *scenario;
	uint64_t seed;
	unsigned fates;
} plants[] = {
	{ PLANT_NO_DIR_SYNC, "a new segment's name is not synced", "append", NULL, 2, 2 },
	{ PLANT_SUPER_FIRST, "the superblock comes before its pages", "idle", NULL, 6, 4 },
	{ PLANT_OLD_SALT, "an old salt is accepted at the tail", NULL, &alike, 1, 1 },
	{ PLANT_UNSYNCED_UID, "a UID is shown before its sync", "extend", NULL, 3, 1 },
	{ PLANT_EARLY_RELEASE, "a reference goes before its expunge is durable", "append", NULL, 2, 4 },
	{ PLANT_BEYOND_D, "a valid record beyond D is kept", "append", NULL, 2, 4 },
	{ PLANT_EARLY_MODSEQ, "a MODSEQ is told before it is durable", NULL, &lazy, 1, 2 },
};
#define PLANTS (sizeof plants / sizeof plants[0])

static bool run(const struct plant *p)
{
	struct cut_run own = { .seed = p->seed };

	if (p->scenario == &alike)
		return run_stale(p->scenario);
	for (unsigned i = 0; p->run && i < n_cut_runs; i++)
		if (strcmp(cut_runs[i].s.name, p->run) == 0)
			return cut_run(&cut_runs[i], p->seed, p->fates, 0);
	own.s = *p->scenario;
	return cut_run(&own, p->seed, p->fates, 0);
}

/* Runs it in a process of its own, whose output goes to `out`. True when the run
 * found nothing wrong. */
static bool run_apart(const struct plant *p, FILE *out)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (out)
			dup2(fileno(out), STDOUT_FILENO);
		store_planted = p->bug;
		_exit(!run(p));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("fork");
		exit(1);
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The first sentence of a failure. */
static void first_sentence(FILE *out, char *line, size_t cap)
{
	rewind(out);
	while (fgets(line, (int)cap, out))
		if (strncmp(line, "# ", 2) == 0 && strncmp(line, "# with op", 9) != 0) {
			line[strcspn(line, "\n")] = 0;
			return;
		}
	snprintf(line, cap, "# a process that ended");
}

static bool caught(const struct plant *p)
{
	char line[300];
	FILE *out = tmpfile();
	bool good;

	if (!out) {
		perror("tmpfile");
		exit(1);
	}
	memset(counts, 0, sizeof *counts);
	good = run_apart(p, out);
	first_sentence(out, line, sizeof line);
	fclose(out);
	if (good)
		printf("not ok: %s: not caught in %" PRIu64 " cuts, %" PRIu64 " runs\n", p->what, counts->first,
			counts->fates);
	else
		printf("%s: caught at cut %" PRIu64 ", after %" PRIu64 " good runs: %s\n", p->what, counts->first,
			counts->fates, line + 2);
	return !good;
}

int main(int argc, char **argv)
{
	static const struct plant none[] = { { PLANT_NONE, "no bug", NULL, &alike, 1, 1 },
		{ PLANT_NONE, "no bug", NULL, &lazy, 1, 1 } };
	unsigned passed = 0, failed = 0, only = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	explore_begin();
	for (unsigned i = 0; i < PLANTS; i++) {
		if (only && plants[i].bug != (enum store_plant)only)
			continue;
		if (only)
			return run_apart(&plants[i], NULL);
		if (caught(&plants[i]))
			passed++;
		else
			failed++;
	}
	printf("%u of %u plants were caught\n", passed, (unsigned)PLANTS);
	/* The other runs are those of sim_store_cut; these must be right without a bug. */
	for (unsigned i = 0; i < sizeof none / sizeof none[0]; i++) {
		bool good = run_apart(&none[i], NULL);

		passed += good;
		failed += !good;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
