#include "explore.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct counts *counts;

#define CHILDREN_MAX 16
static struct {
	pid_t pid;
	unsigned n;
} children[CHILDREN_MAX];
static unsigned running, most = 2;

void *explore_shared(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

void explore_begin(void)
{
	const char *wanted = getenv("CHILDREN");

	if (wanted && atoi(wanted) > 0)
		most = (unsigned)atoi(wanted) < CHILDREN_MAX ? (unsigned)atoi(wanted) : CHILDREN_MAX;
	counts = explore_shared(sizeof *counts);
}

/* ---- children ---- */

void explore_fork(int (*child)(void *context, unsigned n), void *context, unsigned n)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0) {
		int result = child(context, n);

		fflush(stdout);
		_exit(result);
	}
	children[running].pid = pid;
	children[running++].n = n;
}

bool explore_wait(unsigned *n, int *result)
{
	int status;
	pid_t pid;

	if (running == 0)
		return false;
	do
		pid = waitpid(-1, &status, 0);
	while (pid < 0 && errno == EINTR);
	for (unsigned i = 0; i < running; i++) {
		if (children[i].pid != pid)
			continue;
		*n = children[i].n;
		children[i] = children[--running];
		*result = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		if (!WIFEXITED(status))
			printf("# a child was ended by signal %d\n# again by: %s, case %u\n", WTERMSIG(status),
				rig_case, *n);
		return true;
	}
	fprintf(stderr, "a child that nobody knows ended\n");
	exit(1);
}

bool explore_all(int (*child)(void *context, unsigned n), void *context)
{
	bool good = true, end = false;
	unsigned n = 0, who;
	int result;

	while (good && !end) {
		while (running < most)
			explore_fork(child, context, ++n);
		if (!explore_wait(&who, &result))
			break;
		end |= result == EXPLORE_END;
		good &= result == EXPLORE_END || result == EXPLORE_MORE;
	}
	while (explore_wait(&who, &result))
		good &= result == EXPLORE_END || result == EXPLORE_MORE;
	if (!good)
		counts->failures++;
	return good;
}

/* ---- counting ---- */

static enum place place_of(const char *path)
{
	size_t n = strlen(path);

	if (n > 4 && strcmp(path + n - 4, ".seg") == 0)
		return PLACE_LOG;
	if (n > 4 && strcmp(path + n - 4, ".msg") == 0)
		return PLACE_BLOB;
	if (strstr(path, "/index") || strstr(path, "/super."))
		return PLACE_CHECKPOINT;
	return strstr(path, "/reserve") ? PLACE_RESERVE : PLACE_OTHER;
}

void explore_note_cut(const struct rig *r)
{
	__atomic_add_fetch(&counts->cuts[sim_cut_kind()][place_of(sim_cut_path())], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&counts->states[sim_cut_kind()][rig_state(r)], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&counts->first, 1, __ATOMIC_RELAXED);
}

uint64_t explore_cuts_like(const struct rig *r)
{
	return __atomic_load_n(&counts->states[sim_cut_kind()][rig_state(r)], __ATOMIC_RELAXED);
}

void explore_note_second(void)
{
	__atomic_add_fetch(&counts->states[sim_cut_kind()][RIG_RECOVERY], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&counts->second, 1, __ATOMIC_RELAXED);
}

/* What can't be: only opening makes the directory, and puts damaged files aside. */
static bool possible(int op, int state)
{
	return (op != SIM_OP_MKDIR && op != SIM_OP_RENAME) || state == RIG_RECOVERY;
}

bool explore_states_seen(bool evict)
{
	for (int op = SIM_OP_WRITE; op <= SIM_OP_MKDIR; op++)
		for (int i = 0; i < RIG_RECOVERY; i++)
			if ((i == RIG_EVICTION) == evict && possible(op, i) && counts->states[op][i] == 0)
				return false;
	return true;
}

bool explore_print_states(void)
{
	static const char *const states[RIG_STATES] = { "plain", "checkpoint", "cleaning", "eviction", "recovery" };
	bool all = true;

	printf("cuts in  ");
	for (int i = 0; i < RIG_STATES; i++)
		printf(" %10s", states[i]);
	printf("\n");
	for (int op = SIM_OP_WRITE; op <= SIM_OP_MKDIR; op++) {
		printf("%-9s", sim_op_name((enum sim_op)op));
		for (int i = 0; i < RIG_STATES; i++) {
			all &= counts->states[op][i] > 0 || !possible(op, i);
			if (possible(op, i))
				printf(" %10" PRIu64, counts->states[op][i]);
			else
				printf(" %10s", "-");
		}
		printf("\n");
	}
	return all;
}

void explore_print(void)
{
	static const char *const places[PLACES] = { "log", "blob", "checkpoint", "reserve", "other" };

	printf("cuts at  ");
	for (int i = 0; i < PLACES; i++)
		printf(" %10s", places[i]);
	printf("\n");
	for (int op = 0; op < SIM_OP_COUNT; op++) {
		uint64_t sum = 0;

		for (int i = 0; i < PLACES; i++)
			sum += counts->cuts[op][i];
		if (sum == 0)
			continue;
		printf("%-9s", sim_op_name((enum sim_op)op));
		for (int i = 0; i < PLACES; i++)
			printf(" %10" PRIu64, counts->cuts[op][i]);
		printf("\n");
	}
	printf("%" PRIu64 " cuts, %" PRIu64 " more during recovery, %" PRIu64 " fates verified\n", counts->first,
		counts->second, counts->fates);
}

/* ---- fates ---- */

static const struct {
	const char *name;
	const struct sim_policy *policy;
} policies[] = {
	{ "lose all", &sim_lose_all }, { "mixed", &sim_mixed }, { "keep all", &sim_keep_all }, { "torn", &sim_torn },
	{ "garbage", &sim_garbage }, { "reordered", &sim_reordered }, { "first lost", &sim_first_lost },
	{ "mixed", &sim_mixed }, { "kill", NULL },
};
#define POLICIES (sizeof policies / sizeof policies[0])

static void die(unsigned which)
{
	if (policies[which % POLICIES].policy)
		sim_power_cut(policies[which % POLICIES].policy);
	else
		sim_kill();
}

static void open_it(void *context)
{
	(void)rig_open(context);
}

static void check_disk_fits(struct rig *r)
{
	if (sim_charged(RIG_DIR) > r->scenario->storage)
		rig_fail("after the cut the files take %" PRIu64 " bytes", sim_charged(RIG_DIR));
}

/* The store is open after whatever happened: it is right, it stays right over
 * another cut and another start, and it works. */
static void verify(struct rig *r, unsigned which)
{
	rig_check_recovered(r);
	rig_check_bytes(r);
	rig_recount(r);
	rig_poll(r, true);
	/* What was shown once stays, though nothing was changed since. */
	die(which + 1);
	rig_dead(r);
	(void)rig_open(r);
	rig_check_same(r);
	rig_check_alive(r);
	rig_recount(r);
	rig_close(r);
	(void)rig_open(r);
	rig_check_same(r);
	rig_recount(r);
	__atomic_add_fetch(&counts->fates, 1, __ATOMIC_RELAXED);
}

/* One more cut at the n-th operation of the recovery. False: there was none. */
static bool cut_recovery(struct rig *r, const struct sim_image *image, const struct rig *before, unsigned which,
	unsigned n)
{
	char text[sizeof rig_case];

	memcpy(text, rig_case, sizeof text);
	snprintf(rig_case + strlen(rig_case), sizeof rig_case - strlen(rig_case), ", recovery cut at %u", n);
	sim_image_load(image);
	memcpy(r, before, sizeof *r);
	sim_cut_at(n);
	if (sim_run(open_it, r) == SIM_DONE) {
		sim_cut_at(0);
		memcpy(rig_case, text, sizeof text);
		return false;
	}
	explore_note_second();
	die(which + n);
	rig_dead(r);
	check_disk_fits(r);
	(void)rig_open(r);
	verify(r, which + n);
	memcpy(rig_case, text, sizeof text);
	return true;
}

static void one_fate(struct rig *r, const struct sim_image *image, unsigned which, unsigned depth2)
{
	static struct rig before;
	struct sim_image *after;
	char text[sizeof rig_case];

	memcpy(text, rig_case, sizeof text);
	snprintf(rig_case + strlen(rig_case), sizeof rig_case - strlen(rig_case), "; there: %s",
		policies[which % POLICIES].name);
	sim_image_load(image);
	die(which);
	rig_dead(r);
	check_disk_fits(r);
	memcpy(&before, r, sizeof before);
	after = sim_image_save();
	if (depth2 == UINT_MAX) {
		for (unsigned n = 1; cut_recovery(r, after, &before, which, n); n++)
			;
	} else {
		for (unsigned i = 0; i < depth2; i++)
			(void)cut_recovery(r, after, &before, which, 1 + (unsigned)rig_random(&before, 16));
	}
	sim_image_load(after);
	memcpy(r, &before, sizeof *r);
	(void)rig_open(r);
	verify(r, which);
	sim_image_free(after);
	memcpy(rig_case, text, sizeof text);
}

void explore_fates(struct rig *r, unsigned fates, unsigned depth2)
{
	static struct rig before;
	struct sim_image *image = sim_image_save();
	unsigned start = (unsigned)rig_random(r, POLICIES);

	memcpy(&before, r, sizeof before);
	for (unsigned i = 0; i < fates; i++) {
		unsigned which = (start + i) % POLICIES;

		memcpy(r, &before, sizeof *r);
		one_fate(r, image, which, depth2);
	}
	sim_image_free(image);
}
