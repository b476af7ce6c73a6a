/* The values of the tree's tables as structures, and their bytes (FORMAT.md
 * section 5). */
#ifndef STORE_VALUES_H
#define STORE_VALUES_H

#include "store/store.h"

#define ENTRY_BYTES 60
void entry_put(uint8_t *p, const struct store_entry *e);
/* uid comes from the key. False when the bytes are no entry. */
bool entry_get(struct bytes b, uint32_t uid, struct store_entry *e);

/* Where a message lies. */
struct object {
	uint32_t segment, offset; /* offset of its record, in units of RECORD_ALIGN */
	uint32_t size, summary_len, body_len;
	uint32_t refs;
	uint32_t summary_crc; /* CRC-32C of the summary */
	bool blob;
	uint32_t home_mailbox, home_uid; /* an entry that refers to it, as a hint for a rebuild */
};
#define OBJECT_BYTES 40
void object_put(uint8_t *p, const struct object *o);
bool object_get(struct bytes b, struct object *o);

/* Sums over entries of one mailbox. */
struct tally {
	uint32_t messages, unseen, deleted;
	uint64_t size, deleted_size;
};
void tally_add(struct tally *t, const struct store_entry *e);
void tally_remove(struct tally *t, const struct store_entry *e);

struct mailbox {
	uint32_t id; /* the key */
	uint32_t owner, parent, uidvalidity, uidnext;
	uint64_t modseq;
	struct tally tally, staged; /* seen; beyond UIDNEXT */
	uint32_t staged_end;        /* entries up to here are staged; 0: none */
	uint32_t recent, children;
	uint8_t keywords, uses;
	bool doomed; /* deleted, its messages still to be removed */
	uint8_t level_len;
	char level[LIMIT_MAILBOX_LEVEL];
};
#define MAILBOX_BYTES (96 + LIMIT_MAILBOX_LEVEL)
size_t mailbox_put(uint8_t *p, const struct mailbox *m);
bool mailbox_get(struct bytes b, uint32_t id, struct mailbox *m);

struct owner {
	uint64_t bytes, messages;
};
#define OWNER_BYTES 16

struct segment {
	uint64_t live;       /* bytes of records whose message is referred to */
	uint32_t end;        /* valid bytes; 0 while open */
	uint64_t first, last; /* LSNs; last 0 while open */
	uint64_t dead_since; /* LSN at which live became 0; 0: not dead */
	uint32_t size;       /* bytes that its file is charged with; 0 while open */
	uint32_t waste;      /* of these neither mail nor worth cleaning for: its header, gaps around moved
	                      * messages, the end where nothing more fitted in */
};
#define SEGMENT_BYTES 44
void segment_put(uint8_t *p, const struct segment *s);
bool segment_get(struct bytes b, struct segment *s);

#endif
