/* What staging and applying changes of the catalogue share: the operations of a
 * NAMES record (FORMAT.md section 3). */
#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include "base/bytes.h"

enum names_op {
	NAMES_CREATE = 1, /* id, owner, parent, uidvalidity, uses, level */
	NAMES_DELETE,     /* id */
	NAMES_RENAME,     /* id, parent, level */
	NAMES_USES,       /* id, uses */
	NAMES_SUBSCRIBE,  /* owner, on, name */
	NAMES_KEYWORD,    /* mailbox, bit, name */
	NAMES_RECENT,     /* mailbox, uid */
	NAMES_DROP,       /* id: a doomed mailbox has no messages left */
	NAMES_FORGET,     /* owner: all mailboxes, subscriptions and limits */
	NAMES_QUOTA,      /* owner, bytes, messages */
	NAMES_RESTORED    /* mailbox (just created), uidnext, modseq, recent */
};

/* Names whose hashes are equal take the next places; more of them than this
 * can't be made without the key of the hash. */
#define NAMES_PROBES 4

/* Fields of an operation. */
void names_put_word(struct buf *out, uint32_t word);
void names_put_name(struct buf *out, struct bytes name);

#endif
