/* A store on the simulated box beside its model: opening it, driving it with
 * seeded changes turn by turn as the server's loop does, and verifying
 * everything it has to keep. A failure prints what differs and how to run the
 * same case again, and ends the process. */
#ifndef TESTS_SIM_RIG_H
#define TESTS_SIM_RIG_H

#include "model.h"

#include "base/err.h"
#include "port/sim/sim.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

#define RIG_DIR "mail"
#define RIG_FLIGHTS 3
#define RIG_COPIES 2
#define RIG_PINS 4

/* How often each kind of change comes, and what the box is like. */
struct scenario {
	const char *name;
	uint64_t storage;
	enum store_growth growth;
	unsigned turns;       /* of the whole run */
	unsigned quiet_turns; /* first ones, in which no cut is tried */
	uint32_t flag_delay_ms;
	uint64_t sync_us;     /* a sync takes up to this long */
	uint64_t live_most;   /* bytes of mail: above it more is removed than comes */
	uint32_t message_most, blob_most;
	unsigned append, blob, flags, expunge, move, copy, names, subscribe, keyword, recent, forget, pin, maintain;
	uint64_t quota;
	unsigned hours;       /* % of turns after which two hours pass */
	unsigned busy;        /* most changes a turn; 0: 4 */
	unsigned evict;       /* % of the capacity above which old mail goes; 0: none does */
};

/* An upload that takes several turns. */
struct flight {
	struct store_upload *up;
	uint32_t content, size, written;
	bool done;
};

/* A message that is being read: it stays readable whatever happens to it. */
struct pinned {
	uint64_t object; /* 0: none */
	uint32_t content, size;
};

struct copying {
	bool open;
	struct store_copy copy;
	unsigned to, n;
	struct m_entry e[STORE_UIDS * 2];
};

/* What a CONDSTORE client has of a mailbox: it asks for what changed since its
 * HIGHESTMODSEQ, and nothing else. */
struct client {
	uint32_t mailbox; /* 0: nothing yet */
	uint64_t modseq;
	unsigned n;
	struct {
		uint32_t uid;
		uint8_t flags;
		uint64_t keywords;
	} e[M_ENTRIES];
};

struct rig {
	const struct scenario *scenario;
	uint64_t seed, random;
	unsigned turn, mounts;
	struct store *st;
	struct model model;
	struct flight flights[RIG_FLIGHTS];
	struct copying copies[RIG_COPIES];
	struct pinned pins[RIG_PINS];
	struct client clients[M_BOXES];
	bool full;      /* something was refused for want of room */
	bool faulty;    /* faults are armed: errors are no failures */
	bool broken;    /* the store turned read-only */
	bool slack;     /* messages of a failed commit may be missing each by itself */
	unsigned lost;  /* changes that the store said were lost */
	uint64_t done[16]; /* changes by kind (enum m_kind) */
};

/* Ends the process with a sentence and the case (rig_case). */
_Noreturn void rig_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What to print beside a failure: how to run the case again. */
extern char rig_case[300];

uint64_t rig_random(struct rig *r, uint64_t limit);

/* A new box, nothing on it. */
void rig_init(struct rig *r, const struct scenario *s, uint64_t seed);
/* Opens the store; the model stays. Returns store_open's error. */
int rig_open(struct rig *r);
/* Repairs the closed store; what was found is printed with VERBOSE=1. */
int rig_repair(struct rig *r, struct store_repaired *out);
/* The handles are gone (cut, kill): what is left is the disk and the model. */
void rig_dead(struct rig *r);
/* Closes it cleanly: everything is told. */
void rig_close(struct rig *r);

/* One turn of the loop: changes, upkeep, commit. */
void rig_turn(struct rig *r);
/* The parts of it. */
void rig_change(struct rig *r);
void rig_commit(struct rig *r);
void rig_upkeep(struct rig *r);
/* Tells the model what upkeep has staged: mail that is to go. Before anything
 * else is staged, and before a commit can write it. Protected mail may not be
 * among it. */
void rig_note_evictions(struct rig *r);
/* How many changes of each kind were taken, and where the store stands. */
void rig_print(const struct rig *r);

/* What the store shows now, as a state. An error of reading. */
int rig_dump(struct rig *r, struct m_state *out);
/* The store shows what the model says is live. */
void rig_check_live(struct rig *r);
/* After recovery: the store is durable plus some prefix of what was staged;
 * from here on that is what was told. */
void rig_check_recovered(struct rig *r);
/* The store shows exactly what was told. */
void rig_check_same(struct rig *r);
/* Every byte of every message, and every summary. */
void rig_check_bytes(struct rig *r);
/* How many different messages read as E_DAMAGED (or E_IO); all others must be
 * right. */
unsigned rig_count_damaged(struct rig *r);
/* It goes on working: mail comes, changes and goes. */
void rig_check_alive(struct rig *r);

/* Clients learn what is new and must then have the truth; `all`: every box. */
void rig_poll(struct rig *r, bool all);

/* recount.c: every number that the store keeps against a count of everything
 * (the tree's tables, files, slots, bytes charged). */
void rig_recount(struct rig *r);
/* The files may take no more than the storage, now. */
void rig_check_charged(struct rig *r);
/* The records of a segment, for a failure that must be understood. */
void rig_print_log(struct rig *r, uint32_t id);
/* What the store is doing; RIG_RECOVERY: it is not open (yet). */
enum rig_state { RIG_PLAIN, RIG_CHECKPOINT, RIG_CLEANING, RIG_EVICTION, RIG_RECOVERY, RIG_STATES };
enum rig_state rig_state(const struct rig *r);

#endif
