/* The stream of a backup: its records, as bytes (BACKUP.md). */
#ifndef STORE_BACKUP_STREAM_H
#define STORE_BACKUP_STREAM_H

#include "base/bytes.h"
#include "store/backup.h"

enum backup_type {
	BACKUP_HEAD = 1,   /* first of all: whose it is */
	BACKUP_AGE,        /* since when numbers are known to have been given */
	BACKUP_USER,       /* a line of the layer that knows users */
	BACKUP_MAILBOX,    /* parents in front of their children */
	BACKUP_KEYWORD,
	BACKUP_SUBSCRIBED,
	BACKUP_QUOTA,
	BACKUP_MESSAGE,    /* a message begins: */
	BACKUP_ENTRY,      /* first who shows it, at most BACKUP_ENTRIES, */
	BACKUP_SUMMARY,    /* then its summary in pieces, */
	BACKUP_DATA,       /* then its bytes in pieces, */
	BACKUP_DONE,       /* then this */
	BACKUP_LOST,       /* or, in place of the rest: it can't be read */
	BACKUP_MORE,       /* one more that shows the message before */
	BACKUP_END         /* last of all: how much it was */
};

#define BACKUP_VERSION 1
#define BACKUP_HEADER 8u
/* Bytes of a payload: what reads the stream holds one record. */
#define BACKUP_PAYLOAD 8184u
#define BACKUP_RECORD (BACKUP_HEADER + BACKUP_PAYLOAD)
/* Entries in front of a message's bytes: as many as one record of the log takes. */
#define BACKUP_ENTRIES 32u

#define BACKUP_HEAD_BYTES 104u
#define BACKUP_MAILBOX_BYTES 34u /* and the level of its name */
#define BACKUP_ENTRY_BYTES 68u
#define BACKUP_END_BYTES 32u

/* Completes a record whose payload is in place behind the header; number: how
 * many came before it. */
void backup_seal(uint8_t *record, enum backup_type type, size_t len, uint64_t id, uint64_t number);
/* Of the first BACKUP_HEADER bytes: the payload's length, or -1 when they can be no
 * record's. */
int backup_length(const uint8_t *record);
/* Whether a whole record is the one that was written there. */
bool backup_sealed(const uint8_t *record, uint64_t id, uint64_t number);

void backup_head_put(uint8_t *p, const struct store_backup_info *info);
/* E_NOTSUP: no backup, or a newer version's. */
int backup_head_get(struct bytes payload, struct store_backup_info *info);

#endif
