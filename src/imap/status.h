/* The items of STATUS, for the command and for LIST ... RETURN (STATUS (...))
 * (RFC 3501, 5819, 7162, 7889, 8438, 8474, 9208). */
#ifndef IMAP_STATUS_H
#define IMAP_STATUS_H

#include "imap/parse.h"

struct session;

enum {
	STATUS_MESSAGES = 1,
	STATUS_RECENT = 2,
	STATUS_UIDNEXT = 4,
	STATUS_UIDVALIDITY = 8,
	STATUS_UNSEEN = 16,
	STATUS_HIGHESTMODSEQ = 32,
	STATUS_SIZE = 64,
	STATUS_MAILBOXID = 128,
	STATUS_DELETED = 256,
	STATUS_DELETED_STORAGE = 512,
	STATUS_APPENDLIMIT = 1024
};

/* A list of items in brackets. */
bool status_read(struct parse *p, uint16_t *items);
/* Appends the untagged STATUS line; needs REPLY_ROOM. Errors of store_mailbox_get. */
int status_put(struct session *s, struct buf *out, uint32_t mailbox, struct bytes name, uint16_t items);

#endif
