/* Runs in which the power is cut at every operation. */
#include "cuts.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIX \
	.append = 30, .blob = 4, .flags = 25, .expunge = 8, .move = 6, .copy = 14, .names = 8, .subscribe = 2, \
	.keyword = 3, .recent = 4

const struct cut_run cut_runs[] = {
	/* Everything from the format on, cut during recovery at every operation. */
	{ { .name = "short", .storage = 4u << 20, .turns = 40, .flag_delay_ms = 5000, .live_most = 300000,
		.message_most = 6000, .blob_most = 60000, .maintain = 2, MIX }, 1, 2, UINT_MAX, 0 },
	/* All kinds of changes, plain append. */
	{ { .name = "append", .storage = 8u << 20, .turns = 160, .flag_delay_ms = 5000, .live_most = 500000,
		.message_most = 30000, .blob_most = 400000, .maintain = 2, MIX, .forget = 1 }, 2, 2, 0, 0 },
	/* Written in place, and syncs that take their time. */
	{ { .name = "extend", .storage = 8u << 20, .growth = STORE_GROW_EXTEND, .turns = 160, .flag_delay_ms = 2000,
		.sync_us = 20000, .live_most = 500000, .message_most = 30000, .blob_most = 200000, .maintain = 2, MIX,
		.forget = 1 }, 3, 2, 0, 0 },
	/* Nearly nothing happens, for days. */
	{ { .name = "idle", .storage = 4u << 20, .turns = 60, .flag_delay_ms = 5000, .live_most = 100000,
		.message_most = 2000, .blob_most = 60000, .maintain = 2, .hours = 60, .busy = 1, MIX }, 6, 3, 2, 0 },
	/* A small store that cleans all the time. */
	{ { .name = "full", .storage = 4u << 20, .turns = 1500, .quiet_turns = 1420, .flag_delay_ms = 5000,
		.live_most = 1900000, .message_most = 20000, .blob_most = 100000, .maintain = 3,
		MIX }, 4, 2, 1, 0 },
	{ { .name = "full-extend", .storage = 4u << 20, .growth = STORE_GROW_EXTEND, .turns = 1300, .quiet_turns = 1240,
		.flag_delay_ms = 5000,
		.live_most = 1900000, .message_most = 20000, .blob_most = 100000, .maintain = 3, MIX },
		5, 2, 1, 0 },
	/* What is rare: as long as it takes to see each kind of operation in each state of the store. */
	{ { .name = "states", .storage = 4u << 20, .growth = STORE_GROW_EXTEND, .turns = 5000, .quiet_turns = 600,
		.flag_delay_ms = 5000, .live_most = 1900000, .message_most = 20000, .blob_most = 100000, .maintain = 1,
		.hours = 1, .busy = 6, MIX }, 5, 2, 0, 8 },
	/* Old mail goes all the time; every operation, and then what is rare. */
	{ { .name = "evict", .storage = 4u << 20, .turns = 1560, .quiet_turns = 1500, .flag_delay_ms = 5000,
		.live_most = 3000000, .message_most = 20000, .blob_most = 100000, .maintain = 3, .evict = 25, .pin = 2,
		MIX }, 7, 2, 1, 0 },
	{ { .name = "evict-states", .storage = 4u << 20, .growth = STORE_GROW_EXTEND, .turns = 6000, .quiet_turns = 600,
		.flag_delay_ms = 5000, .live_most = 3000000, .message_most = 20000, .blob_most = 100000, .maintain = 1,
		.hours = 1, .busy = 6, .evict = 25, MIX }, 8, 2, 0, 8 },
};
const unsigned n_cut_runs = sizeof cut_runs / sizeof cut_runs[0];

static struct rig rig;
static unsigned fates, depth2, most;

unsigned cut_setting(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void turn(void *context)
{
	struct rig *r = context;

	if (r->st)
		rig_turn(r);
	else
		(void)rig_open(r);
}

static int cut_turn(void *context, unsigned n)
{
	struct rig *r = context;

	snprintf(rig_case, sizeof rig_case, "TURN=%u CUT=%u FATES=%u DEPTH2=%u build/sim/sim_store_cut %s %llu",
		r->turn, n, fates, depth2, r->scenario->name, (unsigned long long)r->seed);
	sim_cut_at(n);
	if (sim_run(turn, r) == SIM_DONE)
		return EXPLORE_END;
	if (most && explore_cuts_like(r) >= most)
		return EXPLORE_MORE;
	explore_note_cut(r);
	explore_fates(r, fates, depth2);
	return EXPLORE_MORE;
}

bool cut_run(const struct cut_run *run, uint64_t seed, unsigned with_fates, unsigned with_depth2)
{
	const struct scenario *s = &run->s;
	unsigned turns = cut_setting("TURNS", s->turns), only = cut_setting("TURN", UINT_MAX),
		 cut = cut_setting("CUT", 0);

	fates = with_fates;
	most = cut_setting("CUT", 0) ? 0 : run->most;
	depth2 = with_depth2;
	rig_init(&rig, s, seed);
	if (only != UINT_MAX && turns <= only)
		turns = only + 1;
	while ((rig.turn < turns && !(most && explore_states_seen(s->evict != 0))) || !rig.st) {
		if (rig.turn == only && cut) {
			int result = cut_turn(&rig, cut);

			if (result == EXPLORE_END)
				printf("# there is no such operation\n");
			return result != EXPLORE_END;
		}
		if (only == UINT_MAX && rig.turn >= s->quiet_turns && !explore_all(cut_turn, &rig))
			return false;
		if (sim_run(turn, &rig) != SIM_DONE)
			return false;
		if (rig.turn % 16 == 0 && rig.st) {
			rig_check_live(&rig);
			rig_recount(&rig);
		}
	}
	rig_check_bytes(&rig);
	if (getenv("VERBOSE"))
		rig_print(&rig);
	rig_close(&rig);
	(void)rig_open(&rig);
	rig_check_same(&rig);
	return true;
}
