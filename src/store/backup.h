/* Backup and restore of a whole store as one stream of bytes (BACKUP.md has
 * them). A backup is the store as it was at one moment, while it goes on serving
 * and changing; a restore makes an empty store be that, with a new UIDVALIDITY
 * for each mailbox. Both take constant memory and go in bounded steps. */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "store/store.h"

/* ---- backup ---- */

/* The least room that store_backup_read wants. */
#define STORE_BACKUP_LEAST 1024
/* Bytes of a user's line in it. */
#define STORE_BACKUP_USER 512

struct store_backup_source {
	/* The store knows users by number only: who they are is put into the stream by
	 * their layer, a line a call into out[STORE_BACKUP_USER]. *cursor starts at 0.
	 * The line's length; E_NOENT after the last; E_IO... ends the backup. */
	int (*user)(void *context, uint64_t *cursor, uint8_t *out);
	void *context;
};

/* Asks for a backup; one at a time. E_BUSY: one is under way, or what the last one
 * held is still being given back. What is durable and applied at the end of one of
 * the next turns is what it holds. */
int store_backup_begin(struct store *st, const struct store_backup_source *source);
/* The next bytes of the stream, at most cap (at least STORE_BACKUP_LEAST); 0: it is
 * complete. E_AGAIN: not in this turn; upkeep and commits bring it on. Other errors
 * are final: E_FULL: it stood in the way of mail that wanted room, and was given
 * up; E_DAMAGED, E_IO: the index or the users can't be read. A message whose bytes
 * are damaged is told in the stream and counted, and is no error. */
int64_t store_backup_read(struct store *st, void *out, size_t cap);
/* Ends it, at whatever point. What it held is given back by upkeep. */
void store_backup_end(struct store *st);
/* Whether store_maintain still has something of a backup to give back. */
bool store_backup_settled(const struct store *st);

struct store_backup_info {
	uint64_t id;        /* random, of this backup */
	uint64_t identity;  /* of the store: its messages' and mailboxes' ids begin with it */
	int64_t made;       /* wall clock, seconds since 1970 */
	uint64_t lsn, box_time, next_object;
	uint32_t next_mailbox, next_uidvalidity;
	uint64_t live;      /* bytes of capacity that its mail took */
	uint32_t pages;     /* of the index */
	uint64_t objects, entries; /* in the store then, those of deleted mailboxes included */
};
/* How far the one under way is. */
struct store_backup_progress {
	struct store_backup_info info;
	uint64_t messages, entries, lost; /* written so far; could not be read */
};
void store_backup_progress(const struct store *st, struct store_backup_progress *out);

/* ---- restore ---- */

struct store_restore;

/* A message that was damaged when the backup was made: by the name of its mailbox
 * in the store that is made. */
struct store_restore_target {
	/* A user's line, in the order in which they came. An error ends the restore. */
	int (*user)(void *context, struct bytes line);
	void (*lost)(void *context, uint32_t mailbox, uint32_t uid); /* may be NULL */
	/* Reads a message whose summary was damaged and makes it anew, valid until the
	 * next call. NULL: it stays without one. */
	int (*summarize)(void *context, struct store_upload *up, struct bytes *summary);
	void *context;
};

struct store_restored {
	struct store_backup_info info; /* once its first record was read: id is not 0 */
	bool complete;                 /* the stream came to its end, and holds what it says */
	bool resumed;                  /* an earlier one of the same backup was cut */
	uint64_t users, mailboxes, messages, entries, bytes, lost;
	const char *why;               /* a sentence for the owner behind an error, or "" */
};

/* Whether an earlier restore of this store was cut. */
bool store_half_restored(const struct store *st);
/* Arena bytes of a restore. */
size_t store_restore_memory(void);
/* st: opened with config.restore; NULL: the stream is only verified. */
int store_restore_begin(struct store_restore **r, struct arena *arena, struct store *st,
	const struct store_restore_target *target);
/* Takes the next bytes of the stream; *taken of them. OK: all; E_AGAIN: commit, let
 * upkeep run and call again with the rest. Other errors are final, `why` says what
 * it is: E_DAMAGED (from here on the stream is not what was written), E_NOTSUP (not
 * a backup, or of a newer version), E_STATE (the store is not empty, or half
 * restored from another backup), E_FULL (it does not fit; nothing was changed when
 * that is known ahead). */
int store_restore_write(struct store_restore *r, const void *data, size_t len, size_t *taken);
/* After the last byte, or after the damage: what came is kept, durably, and the
 * store is whole again. With partial, a stream without its end is enough; else
 * E_CLOSED, and the store stays half restored. E_AGAIN: commit and call again. */
int store_restore_end(struct store_restore *r, bool partial);
/* As long as the arena lasts. */
const struct store_restored *store_restore_result(const struct store_restore *r);

#endif
