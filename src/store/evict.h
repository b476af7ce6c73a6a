/* Letting old mail go, so that new mail has room (DESIGN.md section 5).
 *
 * Three things make mail go: a rule of its mailbox, a user's quota, the store's
 * capacity. What goes first is said by a place: the class's rank in the owner's
 * order, then the arrival number. A plan is a cut through that order, found by
 * passes over all entries in constant memory; everything up to the cut goes,
 * nothing behind it. When all that may go is not enough, nothing goes. Ages are
 * box time; the wall clock is never asked.
 *
 * A message that several entries show goes, for the store's sake, only when all
 * of them may go; for a user's quota each entry counts by itself. */
#ifndef STORE_EVICT_H
#define STORE_EVICT_H

#include "store/store.h"

enum store_class {
	STORE_CLASS_DELETED, /* \Deleted for a day */
	STORE_CLASS_JUNK,
	STORE_CLASS_TRASH,
	STORE_CLASS_RING,    /* in a mailbox with an age, count or bytes rule */
	STORE_CLASS_SEEN,    /* \Seen, and there for seen_age */
	STORE_CLASS_UNSEEN,
	STORE_CLASS_SENT,
	STORE_CLASS_ARCHIVE,
	STORE_CLASSES
};

/* Why a message stays. */
enum store_kept {
	STORE_KEPT_NOT,     /* it may go */
	STORE_KEPT_FLAGGED,
	STORE_KEPT_KEYWORD, /* $Keep */
	STORE_KEPT_DRAFT,
	STORE_KEPT_RULE,    /* `mailbox NAME keep` */
	STORE_KEPT_NEW,     /* arrived within `protect` */
	STORE_KEPT_YOUNG,   /* seen, but not there for seen_age */
	STORE_KEPT_CLASS,   /* its class is not in the order */
	STORE_KEPT_SHARED,  /* another entry of the same message stays */
	STORE_KEPT_SHARE,   /* its user has no more than his share */
	STORE_KEPT_BUSY,    /* a running command copies into or out of its mailbox */
	STORE_KEPT_WHYS
};

enum store_rule_kind { STORE_RULE_AGE, STORE_RULE_COUNT, STORE_RULE_BYTES, STORE_RULE_KEEP };
struct store_rule {
	const char *mailbox; /* UTF-8; holds for the mailboxes below it too, where none of theirs does */
	enum store_rule_kind kind;
	uint64_t value;      /* seconds, messages, bytes */
};

/* Bytes that are kept of a message's sender and subject when it goes. */
#define STORE_AUDIT_TEXT 160

struct store_evict_config {
	bool on;                      /* pressure; rules hold all the same */
	uint32_t high, low;           /* per cent of the capacity, or of the quota */
	uint8_t order[STORE_CLASSES]; /* enum store_class, the first goes first */
	size_t order_n;
	uint32_t seen_age, protect;   /* seconds of box time */
	const struct store_rule *rules; /* the caller's, for as long as they are set */
	size_t rules_n;
	/* Sender, LF, subject of a message into out: bytes written. May be NULL. */
	size_t (*describe)(void *context, uint64_t object, char out[STORE_AUDIT_TEXT]);
	/* Called before a message goes; it stays unless OK comes back. E_AGAIN: call
	 * again with the same message. After another error the run ends there when
	 * archive_required, else the message goes all the same. May be NULL. */
	int (*archive)(void *context, const struct store_mailbox *mailbox, const struct store_entry *e);
	bool archive_required;
	void *context;
};
/* Before it is called nothing is evicted. */
void store_evict_configure(struct store *st, const struct store_evict_config *config);

/* Names as settings have them. */
const char *store_class_name(enum store_class c);
/* A word for scripts ("flagged"). */
const char *store_kept_name(enum store_kept k);

/* ---- looking ahead ---- */

struct store_evict_item {
	uint32_t mailbox, owner;
	struct store_entry entry;
	bool goes;
	enum store_kept kept;   /* why it stays; NOT: others go before it */
	enum store_class class; /* of what may go */
};

struct store_evict_preview {
	uint64_t id;                     /* names the plan */
	uint64_t goal;                   /* bytes that it is to make room for */
	uint64_t possible;               /* bytes that all that may go would free */
	uint64_t bytes, messages;        /* that would go; complete when the walk is at its end */
	uint64_t kept_bytes[STORE_KEPT_WHYS], kept_messages[STORE_KEPT_WHYS];
	bool enough;                     /* false: nothing would go */
};

/* Makes the plan of the next run: what would go if the store were, or as it is,
 * at its high mark; owner 0: the store's, else the one for that user's quota.
 * One preview at a time: a new one ends the one before. */
void store_evict_preview_begin(struct store *st, uint32_t owner);
/* OK with an entry; E_AGAIN after a slice; E_NOENT at the end. */
int store_evict_preview_next(struct store *st, struct store_evict_item *item);
/* Which preview it is: another number, another preview. */
uint64_t store_evict_preview_number(const struct store *st);
void store_evict_preview_get(const struct store *st, struct store_evict_preview *out);
/* Carries the last preview out: exactly what it listed, less what was changed,
 * flagged or deleted meanwhile. E_NOENT: the last one has another id, or is none.
 * Runs in store_maintain; store_evict_running tells when it is over. */
int store_evict_plan(struct store *st, uint64_t id);
/* Makes room down to the low mark now. */
void store_evict_now(struct store *st);
bool store_evict_running(const struct store *st);

/* ---- looking back ---- */

struct store_evicted {
	uint64_t number;       /* ascending, not dense */
	int64_t wall;          /* seconds since 1970 by the box's clock */
	uint32_t box_time;
	uint32_t owner, mailbox, uid, size;
	uint8_t class;         /* enum store_class, or STORE_CLASSES: a rule of its mailbox */
	uint8_t text_len;
	char text[STORE_AUDIT_TEXT]; /* sender, LF, subject */
};
/* The first entry of the audit whose number is above `after`. E_NOENT. */
int store_evicted_next(struct store *st, uint64_t after, struct store_evicted *out);

struct store_evict_status {
	uint64_t messages, bytes;           /* since start */
	uint64_t life_messages, life_bytes; /* since format */
	uint64_t runs, refused;             /* refused: requests for which nothing could go */
	uint64_t high, low;                 /* marks in bytes */
	bool running;
};
void store_evict_status(const struct store *st, struct store_evict_status *out);

#endif
