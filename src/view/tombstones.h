/* UIDs that were expunged while a session still counts them: one bounded table
 * for all watched mailboxes, sorted by mailbox and UID. Neighbouring UIDs of
 * one change share an entry. */
#ifndef VIEW_TOMBSTONES_H
#define VIEW_TOMBSTONES_H

#include <stdbool.h>
#include <stdint.h>

/* A run of expunged UIDs: first .. first + count - 1. `change` numbers the
 * changes of one watched mailbox and may wrap: compare with change_after. */
struct tombstone {
	uint32_t mailbox, first, count, change;
};

struct tombstones {
	struct tombstone *all; /* the owner's memory */
	uint32_t n, cap;
};

/* Which of a mailbox's tombstones one session still counts: those below
 * uidnext whose change came after `told`, but not those at or above round_uid
 * up to `round`: these it has been told of in the round that is under way. */
struct untold {
	uint32_t mailbox, told, round, round_uid, uidnext;
};

static inline bool change_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* False when the table is full. A UID that is there already is not added. */
bool tombstones_add(struct tombstones *t, uint32_t mailbox, uint32_t uid, uint32_t change);
/* Forgets those that every session has been told of: all up to `told`. */
void tombstones_forget(struct tombstones *t, uint32_t mailbox, uint32_t told);
/* Forgets a mailbox. */
void tombstones_drop(struct tombstones *t, uint32_t mailbox);
/* The mailbox that holds the most entries, 0 for an empty table. */
uint32_t tombstones_largest(const struct tombstones *t);

/* How many UIDs up to `uid` the session still counts. */
uint32_t untold_count(const struct tombstones *t, const struct untold *u, uint32_t uid);
/* The first such UID above `uid`, or 0. */
uint32_t untold_next(const struct tombstones *t, const struct untold *u, uint32_t uid);
/* The last UID below `uid` that the session counts and whose change is not
 * after `change`, or 0. */
uint32_t untold_previous(const struct tombstones *t, const struct untold *u, uint32_t uid, uint32_t change);

/* The entries of a mailbox are all[*from .. *to - 1]. */
void tombstones_range(const struct tombstones *t, uint32_t mailbox, uint32_t *from, uint32_t *to);
/* How many UIDs of one entry the session still counts: they are its first. */
uint32_t untold_of(const struct tombstone *s, const struct untold *u);

#endif
