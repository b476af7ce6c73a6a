/* The inside of eviction: classes and places, plans, their carrying out. */
#ifndef STORE_EVICT_INT_H
#define STORE_EVICT_INT_H

#include "store/evict.h"
#include "store/values.h"

/* What a mailbox is to eviction. */
struct evict_kind {
	uint32_t mailbox, owner;
	uint8_t uses;           /* its own or those of the nearest mailbox above it */
	bool keep, ring, busy;
	uint64_t age, count, bytes; /* rules, 0: none */
	unsigned keep_bit;      /* of $Keep, LIMIT_KEYWORDS: none */
	struct tally tally;
};
int evict_kind_of(struct store *st, const struct mailbox *m, struct evict_kind *out);
bool evict_mailbox_busy(const struct store *st, uint32_t mailbox);

/* When ages are judged. */
struct evict_time {
	uint64_t now;            /* box time */
	uint64_t deleted_before; /* \Deleted set by then is a day old */
};
struct evict_time evict_time_now(const struct store *st);
/* Whether an entry may go by itself; its rank in the order if so. */
enum store_kept evict_judge(const struct store *st, const struct evict_kind *kind, const struct evict_time *time,
	const struct store_entry *e, unsigned *rank);
/* What no rule of a mailbox removes. */
enum store_kept evict_guard(const struct evict_kind *kind, const struct store_entry *e);

/* Walks the entries of a user, or of all. */
struct evict_walk {
	uint32_t owner;   /* 0: all */
	uint32_t mailbox; /* where it is, or the last one done */
	bool inside;
	struct evict_kind kind; /* busy: as it is now */
	struct store_cursor cursor;
};
/* OK with an entry of walk->kind; E_NOENT at the end. */
int evict_walk_next(struct store *st, struct evict_walk *walk, struct store_entry *e);
/* Goes on with the next mailbox. */
void evict_walk_skip(struct evict_walk *walk);

/* Users that are looked at for the store's sake: those with most mail. */
#define EVICT_OWNERS 16
#define EVICT_BUCKETS 64

struct evict_owner {
	uint32_t id;
	uint64_t excess; /* bytes above his share */
	uint64_t found;  /* bytes of his that may go but for that */
	bool capped;     /* he has a cut of his own: what is at this place or behind it stays */
	unsigned rank;
	uint64_t before;
};

struct evict_bucket {
	uint64_t bytes, least, most; /* arrival numbers */
};

enum evict_stage { EVICT_NONE, EVICT_SURVEY, EVICT_NARROW, EVICT_READY, EVICT_SHORT };

struct evict_plan {
	enum evict_stage stage;
	bool survey_only;        /* to know `possible` */
	uint32_t owner;          /* for whose quota; 0: the store */
	uint32_t requester;      /* whose mail is to come in; his share does not guard him */
	uint64_t goal, least;    /* bytes to free: if possible; at least */
	uint64_t possible;
	uint64_t lsn;            /* what changed since is left alone */
	struct evict_time time;
	struct evict_walk walk;
	struct evict_owner owners[EVICT_OWNERS];
	unsigned n_owners;
	bool fair;               /* owners[] counts */
	bool partial;            /* others than owners[] are above their share too */
	bool capping;            /* the passes look for the cut of owners[own] */
	bool shares_known;
	unsigned own;
	struct evict_bucket bucket[EVICT_BUCKETS];
	unsigned rank;           /* the cut's */
	uint64_t below, from, to; /* bytes before this rank and `from`; the cut is in from..to */
};

/* Begins a plan: goal and least in bytes. */
int evict_plan_begin(struct store *st, struct evict_plan *plan, uint32_t owner, uint32_t requester, uint64_t goal,
	uint64_t least);
/* E_AGAIN after a slice; OK: stage is READY or SHORT. */
int evict_plan_slice(struct store *st, struct evict_plan *plan);
/* The place of an entry in the plan's order and the bytes that are free once
 * everything up to there is gone. */
int evict_place(struct store *st, const struct evict_plan *plan, const struct evict_kind *kind,
	const struct store_entry *e, enum store_kept *kept, unsigned *rank, uint64_t *arrival, uint64_t *room);
/* Whether an entry goes by a READY plan. */
int evict_goes(struct store *st, const struct evict_plan *plan, const struct evict_kind *kind,
	const struct store_entry *e, enum store_kept *kept, unsigned *rank);
uint64_t evict_plan_id(const struct store *st, const struct evict_plan *plan);

/* Messages that go with one record. */
#define EVICT_BATCH 32

/* A mailbox's messages on their way out. */
struct evict_batch {
	uint32_t mailbox;
	unsigned n;
	size_t bytes;      /* of the record's body so far */
	uint8_t class[EVICT_BATCH];
	struct store_entry entry[EVICT_BATCH];
};
bool evict_batch_full(const struct evict_batch *b);
/* Archives and stages the batch, and empties it: OK with st->evict.ticket; E_AGAIN
 * (call again); or an error, the batch is dropped then. */
int evict_batch_commit(struct store *st, struct evict_batch *b);
void evict_batch_drop(struct store *st);

/* A need for room that cannot be met at once. */
struct evict_want {
	bool used;
	uint32_t owner;         /* whose quota; 0: the store */
	uint32_t requester;
	uint64_t goal, least;   /* bytes wished for, and needed, since the last plan; 0: none */
	bool survey;            /* somebody only wants to know */
	uint64_t possible;      /* found by the last plan, and */
	uint64_t known_until_us; /* believed until then */
	uint64_t asked_us;
};
#define EVICT_WANTS 8

struct evict {
	struct store_evict_config config;
	struct evict_want wants[EVICT_WANTS];
	struct evict_plan plan;  /* being made or carried out */
	int want;                /* whose plan it is, -1: the high mark's, or by hand */
	bool configured, running, by_hand, expired_last;
	uint8_t turn;
	uint64_t removed;        /* messages in this run */
	struct evict_batch batch;
	unsigned archived;       /* of the batch */
	bool unarchived;         /* the run ended because a message could not be archived */
	store_ticket ticket;
	bool done_walking;
	struct evict_plan preview; /* READY or SHORT: can be carried out by its id */
	uint64_t preview_number;
	struct store_evict_preview seen;
	struct evict_walk preview_walk;
	bool now;                /* asked for by hand */
	uint64_t pressed_until_us; /* the high mark could not be met: not tried before */
	/* rules of mailboxes */
	uint32_t fresh[16];      /* mailboxes that got mail, 0: none */
	bool fresh_more;         /* and others: look at all */
	bool expiring;
	uint64_t expire_at_us;
	struct evict_walk expire_walk;
	uint32_t expire_mailbox, expire_only; /* counted in expire_left; the only one to look at, 0: all */
	struct tally expire_left; /* what stays of the mailbox so far */
	uint64_t messages, bytes, runs, refused;
};

/* Asks for `bytes` of room for mail of `requester`: OK with act false when that
 * much may go; E_AGAIN: ask again later; E_FULL: it can't be had. act: mail goes
 * for it, up to `wish` bytes if so much may go, and the caller looks himself
 * whether there is room now. */
int evict_request(struct store *st, uint32_t owner, uint32_t requester, uint64_t bytes, uint64_t wish, bool act);
/* One slice of planning, removing, expiring. E_AGAIN: more to do. */
int evict_slice(struct store *st);
int evict_run_slice(struct store *st);
int evict_expire_slice(struct store *st);
/* Mail came into it. */
void evict_note_arrival(struct store *st, uint32_t mailbox);
void evict_init(struct store *st);

#endif
