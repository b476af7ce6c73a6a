/* Trying many fates of one moment: the process is forked before a turn, and
 * each child dies another death in it. What children count stands in memory
 * that they share. A child that finds a failure has printed it. */
#ifndef TESTS_SIM_EXPLORE_H
#define TESTS_SIM_EXPLORE_H

#include "rig.h"

enum place { PLACE_LOG, PLACE_BLOB, PLACE_CHECKPOINT, PLACE_RESERVE, PLACE_OTHER, PLACES };

struct counts {
	uint64_t cuts[SIM_OP_COUNT][PLACES];       /* by what the cut hit */
	uint64_t states[SIM_OP_COUNT][RIG_STATES]; /* and by what the store was doing */
	uint64_t first;     /* cuts in all */
	uint64_t second;    /* cuts during the recovery from a cut */
	uint64_t fates;     /* power cuts with their recoveries */
	uint64_t faults, faults_lost;
	uint64_t tried[32], readonly[32]; /* by kind of fault */
	uint64_t failures;
};
extern struct counts *counts;

/* Before the first fork. */
void explore_begin(void);
/* Zeroed memory that children share, for the life of the process. */
void *explore_shared(size_t len);
/* Runs `child` in a child process; at most so many at a time (CHILDREN in the
 * environment, 2). Its return value is passed to explore_wait's caller. */
void explore_fork(int (*child)(void *context, unsigned n), void *context, unsigned n);
/* Waits for one child: its n and what it returned; false when none is left. */
bool explore_wait(unsigned *n, int *result);
/* Runs child(context, n) for n = 1, 2, 3... until one returns EXPLORE_END.
 * False when one failed. */
#define EXPLORE_MORE 0
#define EXPLORE_END 2
bool explore_all(int (*child)(void *context, unsigned n), void *context);

/* Notes the cut that just came: in the run, or in an opening after another one. */
void explore_note_cut(const struct rig *r);
void explore_note_second(void);
/* How many cuts of the same kind in the same state there were. */
uint64_t explore_cuts_like(const struct rig *r);
void explore_print(void);
/* Every operation was cut in every state of an open store in which it can come:
 * while mail is let go, or in the others. */
bool explore_states_seen(bool evict);
/* The cuts by operation and state of the store; false when some that can come
 * never did. */
bool explore_print_states(void);

/* Every fate of the cut that just came in r (its process has died): what is
 * left after it must be what the model allows, and go on working. `depth2` is
 * how many cuts during recovery are tried for each fate; UINT_MAX: all. */
void explore_fates(struct rig *r, unsigned fates, unsigned depth2);

#endif
