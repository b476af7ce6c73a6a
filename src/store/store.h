/* The store: every mailbox and message of the box, on flash, in one log with
 * one tree over it (FORMAT.md has the bytes, ARCHITECTURE.md the reasons).
 *
 * Order of every change: log, sync, apply, tell. A call that changes something
 * only stages a record and returns a ticket; nothing of it is visible until the
 * commit at the end of the loop's turn has synced the log and applied it. The
 * caller parks itself and asks store_ticket() afterwards. Lazy flag changes
 * alone are applied at once and synced later (DESIGN.md section 4, rule 2).
 *
 * Calls return OK or an error of base/err.h; E_AGAIN means that a bounded
 * table is full for this turn: call again in the next one. E_READONLY is the
 * answer of every change once the store had to stop writing. Nothing here
 * allocates after store_open, nothing is resident per message or mailbox, and
 * every call is bounded: the longest visits the tree once per given UID.
 * Pointers in arguments are not kept after the call. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/mem.h"

struct store;

/* ---- opening ---- */

enum store_growth {
	STORE_GROW_AUTO,   /* by the file system's kind */
	STORE_GROW_APPEND, /* plain append */
	STORE_GROW_EXTEND  /* pre-extended by resize, written in place in 4 KiB steps */
};

/* Two of the largest records: one waits while the other is built. */
#define STORE_LOG_LEAST (72u * 1024)

struct store_config {
	const char *dir;           /* made when missing; its parent must exist */
	uint64_t storage;          /* bytes the directory may take, at least 4 MiB */
	uint64_t message_max;      /* bytes of the largest message taken */
	uint64_t owner_quota;      /* live bytes a user without limits of his own may hold; 0: any */
	uint32_t flag_delay_ms;    /* how long a lazy flag change may wait for its sync */
	uint32_t cache_pages;      /* 4 KiB pages of the tree's cache, at least 48 */
	uint32_t log_buffer;       /* bytes staged between two syncs, at least STORE_LOG_LEAST */
	uint32_t upload_bytes;     /* memory for arriving mail */
	uint32_t uploads;          /* how many messages may arrive at once */
	enum store_growth growth;
	bool allow_volatile;       /* accept tmpfs and an unmounted mount point */
	bool restore;              /* opened to be restored (backup.h): may be half restored */
};

/* Arena bytes that store_open takes for such a configuration. */
size_t store_memory(const struct store_config *config);

/* Locks the directory, formats an empty one, recovers after a cut. On an error
 * `reason` (cap bytes, may be NULL) gets a sentence for the owner. E_BUSY:
 * another process has it. E_NOTSUP: volatile medium or more storage than disk.
 * E_STATE: half restored from a backup.
 * E_DAMAGED: neither superblock can be used (`check --repair`). */
int store_open(struct store **st, struct arena *arena, const struct store_config *config, char *reason, size_t cap);
/* Whether another process has the store in that directory now. */
bool store_in_use(const char *dir);
/* Commits, checkpoints and unlocks. */
void store_close(struct store *st);

/* ---- commits and upkeep: called by the loop ---- */

typedef uint64_t store_ticket; /* 0: nothing to wait for */

/* OK once the change is durable and applied, E_AGAIN before, or the error by
 * which it was lost (it left no trace then). */
int store_ticket_result(const struct store *st, store_ticket ticket);

/* True when somebody waits for a commit, or lazy changes have waited long
 * enough. */
bool store_wants_commit(const struct store *st);
/* One group commit: writes and syncs everything staged, then applies it.
 * Started and completed like port_sync_start and port_sync_done. An error is
 * final for the tickets of this commit only when the store turned read-only. */
int store_commit_start(struct store *st);
int store_commit_done(struct store *st);
/* Asks for a commit in this turn, lazy changes included. */
void store_commit_request(struct store *st);
/* True when every change that was made visible is durable (no lazy ones wait).
 * A CONDSTORE session shows no MODSEQ while this is false. */
bool store_all_durable(const struct store *st);
/* It takes no changes any more until it is opened again. What is not durable by
 * then never will be. */
bool store_read_only(const struct store *st);

/* One slice of checkpoint, cleaning or the removal of deleted mailboxes.
 * E_AGAIN when there is more to do at once, OK when there is not. */
int store_maintain(struct store *st);
/* When the loop must call again at the latest, in port_now_us time. */
uint64_t store_deadline_us(const struct store *st);

/* What the layer above wants to know as changes are applied. Called inside
 * store_commit_done and lazy store_flags; must not call the store back with
 * changes. */
struct store_observer {
	void *context;
	void (*changed)(void *context, uint32_t mailbox);                              /* arrivals, flags */
	void (*expunged)(void *context, uint32_t mailbox, uint32_t uid, uint64_t modseq);
	void (*deleted)(void *context, uint32_t mailbox);                              /* the mailbox itself */
};
void store_observe(struct store *st, const struct store_observer *observer);

/* ---- mailboxes ---- */

/* Special uses (RFC 6154), as bits. */
enum { STORE_USE_DRAFTS = 1, STORE_USE_SENT = 2, STORE_USE_JUNK = 4, STORE_USE_TRASH = 8, STORE_USE_ARCHIVE = 16 };

struct store_mailbox {
	uint32_t id;          /* never used again once given */
	uint32_t owner;       /* user number */
	uint32_t parent;      /* mailbox id, 0 at the top */
	uint32_t uidvalidity; /* from a counter of the store, never 0 */
	uint32_t uidnext;
	uint64_t modseq; /* HIGHESTMODSEQ, at least 1 */
	uint32_t messages, unseen, deleted;
	uint64_t size, deleted_size; /* sums of RFC822.SIZE */
	uint32_t recent;             /* UIDs from here on are \Recent for the next SELECT */
	uint32_t keywords;           /* how many keyword bits are named */
	uint8_t uses;                /* STORE_USE_... */
	bool has_children;
	uint8_t level_len;
	char level[LIMIT_MAILBOX_LEVEL]; /* last level of the name, UTF-8 */
};

/* E_NOENT when there is none (or it was deleted). */
int store_mailbox_get(struct store *st, uint32_t id, struct store_mailbox *out);
/* By whole name: levels separated by '/', UTF-8; a first level INBOX in any
 * case. E_NOENT. */
int store_mailbox_find(struct store *st, uint32_t owner, struct bytes name, uint32_t *id);
/* The whole name into out[LIMIT_MAILBOX_NAME]; its length, or E_NOENT. */
int store_mailbox_name(struct store *st, uint32_t id, char *out);
/* Children of `parent` (0: top level of that owner), one a call, in no order
 * that means anything; *cursor starts at 0. E_NOENT after the last. */
int store_mailbox_child(struct store *st, uint32_t owner, uint32_t parent, uint64_t *cursor, uint32_t *id);

/* Creates the mailbox and its missing parents as real mailboxes. *id and the
 * rest are known at once, visible after the ticket. E_EXIST; E_SYNTAX for an
 * empty level or control characters; E_LIMIT by length, depth or level. */
int store_mailbox_create(struct store *st, uint32_t owner, struct bytes name, uint8_t uses, uint32_t *id,
	store_ticket *ticket);
/* E_EXIST when it has children. Its messages are removed by store_maintain. */
int store_mailbox_delete(struct store *st, uint32_t id, store_ticket *ticket);
/* Children go along. Missing parents of the new name are made. E_EXIST,
 * E_SYNTAX, E_LIMIT; E_RANGE when the new name is inside the mailbox itself.
 * INBOX (RFC 3501 6.3.5): its messages go to the new mailbox and an empty INBOX
 * with a new id and UIDVALIDITY is left; its children stay with INBOX. */
int store_mailbox_rename(struct store *st, uint32_t id, struct bytes name, store_ticket *ticket);
int store_mailbox_set_uses(struct store *st, uint32_t id, uint8_t uses, store_ticket *ticket);

/* Subscriptions are by name and outlive their mailbox (RFC 3501 6.3.6). */
int store_subscribe(struct store *st, uint32_t owner, struct bytes name, bool on, store_ticket *ticket);
bool store_subscribed(struct store *st, uint32_t owner, struct bytes name);
/* Names subscribed to, one a call into out[LIMIT_MAILBOX_NAME]; length or
 * E_NOENT after the last. */
int store_subscription(struct store *st, uint32_t owner, uint64_t *cursor, char *out);

/* Removes every mailbox and subscription of a user. */
int store_owner_remove(struct store *st, uint32_t owner, store_ticket *ticket);
/* Live bytes and messages of a user; zeros for an unknown one. */
void store_owner_usage(struct store *st, uint32_t owner, uint64_t *bytes_used, uint64_t *messages);

/* What a user may keep, in bytes (sum of RFC822.SIZE) and messages. */
#define STORE_NO_QUOTA UINT64_MAX
struct store_quota {
	uint64_t bytes, messages; /* 0: nothing at all; STORE_NO_QUOTA: as much as fits */
};
/* The limits that were set for him, else the configuration's. */
void store_quota(struct store *st, uint32_t owner, struct store_quota *quota);
/* Sets both; they replace the configuration's for this user until he is removed. */
int store_set_quota(struct store *st, uint32_t owner, const struct store_quota *quota, store_ticket *ticket);
/* Bytes of capacity that no mail takes. */
uint64_t store_free(struct store *st);

/* ---- messages: reading ---- */

enum { STORE_SEEN = 1, STORE_ANSWERED = 2, STORE_FLAGGED = 4, STORE_DELETED = 8, STORE_DRAFT = 16 };

struct store_entry {
	uint32_t uid;
	uint8_t flags;      /* STORE_SEEN... */
	uint64_t keywords;  /* bit i: keyword i of the mailbox */
	uint64_t modseq;
	uint64_t object;    /* the stored message; EMAILID is made of it */
	uint64_t arrival;   /* arrival number: order that no clock can change */
	int64_t received;   /* INTERNALDATE, seconds since 1970 */
	int16_t zone;       /* its zone, minutes east */
	int64_t saved;      /* SAVEDATE, seconds since 1970 */
	uint32_t size;      /* RFC822.SIZE: the bytes that came */
	uint32_t box_time;  /* store_box_time when it came into this mailbox: its age never trusts the wall clock */
};

/* Number of messages with a UID of at most uid: the sequence number of uid
 * itself when it is there. */
uint32_t store_rank(struct store *st, uint32_t mailbox, uint32_t uid);
/* The n-th message (from 1). E_NOENT. */
int store_entry_at(struct store *st, uint32_t mailbox, uint32_t n, struct store_entry *out);
/* E_NOENT. */
int store_entry_get(struct store *st, uint32_t mailbox, uint32_t uid, struct store_entry *out);

/* Walks a mailbox upwards. A cursor is a place (the last UID seen), valid
 * whatever happens between two calls, and remembers where the tree had it.
 * store_cursor_init(c, mailbox, uid): the walk starts after uid. */
struct store_cursor {
	uint32_t mailbox, uid;
	uint32_t end;        /* private: UIDNEXT when the hint was taken */
	uint32_t page, slot; /* private: hint into the page cache */
	uint64_t generation; /* private: tells whether the hint still holds */
};
void store_cursor_init(struct store_cursor *c, uint32_t mailbox, uint32_t uid);
/* The next message; E_NOENT after the last. */
int store_cursor_next(struct store *st, struct store_cursor *c, struct store_entry *out);
/* The next message whose MODSEQ is larger than modseq. Skips what has none in
 * whole branches; returns E_AGAIN (with the cursor moved on) after
 * LIMIT_SLICE_ENTRIES entries without a hit. */
int store_cursor_changed(struct store *st, struct store_cursor *c, uint64_t modseq, struct store_entry *out);
/* UID of the first message without \Seen, 0 when there is none. */
uint32_t store_first_unseen(struct store *st, uint32_t mailbox);
/* VANISHED (EARLIER), RFC 7162 3.2.10: the next range of UIDs above *uid that
 * are not there and may have been expunged after modseq. Moves *uid on; E_AGAIN
 * after a slice without a hit, E_NOENT after the last. */
int store_vanished_next(struct store *st, uint32_t mailbox, uint64_t modseq, uint32_t *uid, uint32_t *first,
	uint32_t *last);

/* The summary that was kept beside the message (opaque here): its length, at
 * most LIMIT_SUMMARY, read into space of that size. E_GONE, E_DAMAGED, E_IO. */
int64_t store_summary(struct store *st, uint64_t object, void *space, size_t cap);
/* Bytes of the message from offset on; fewer than len only at its end. Bytes
 * whose checksum fails are never returned: E_DAMAGED. E_GONE, E_IO. */
int64_t store_body(struct store *st, uint64_t object, uint64_t offset, void *data, size_t len);
/* The same, where `ahead` bytes behind these will be asked for next: they are
 * read along as far as that costs no memory. */
int64_t store_body_ahead(struct store *st, uint64_t object, uint64_t offset, void *data, size_t len, uint64_t ahead);
/* Before a literal is announced: verifies as much of these bytes as costs no
 * memory, 12 KiB at least. OK, E_DAMAGED, E_GONE, E_IO. */
int store_body_ready(struct store *st, uint64_t object, uint64_t offset, uint64_t len);
/* Keeps a message readable although its last entry may be expunged: for a
 * literal whose size has been announced. At most one a session; E_NOMEM. Pins
 * are counted; every pin wants its unpin. */
int store_pin(struct store *st, uint64_t object);
void store_unpin(struct store *st, uint64_t object);
/* Whether only a pin still keeps the message. */
bool store_pinned_only(const struct store *st, uint64_t object);
/* The id of this store, for EMAILID and MAILBOXID to be unique (RFC 8474). */
uint64_t store_identity(const struct store *st);

/* Messages that were found damaged when they were read, since the store was
 * opened: each once, the first STORE_DAMAGED_KEPT of them. An entry that shows the
 * n-th, from 0 on. E_NOENT: there are no more; E_GONE: none shows it any more. */
#define STORE_DAMAGED_KEPT 32
struct store_shown {
	uint64_t object;
	uint32_t mailbox, uid;
};
unsigned store_damaged_count(const struct store *st);
int store_damaged(struct store *st, unsigned n, struct store_shown *out);

/* ---- messages: arriving ---- */

struct store_upload;

/* Room for a message of that size for that owner, judged before a byte comes:
 * OK, E_TOOBIG (message_max), E_FULL (quota or store). Where old mail may go for
 * it (evict.h) it is room; E_AGAIN: that is being found out, ask again in a later
 * turn. */
int store_room(struct store *st, uint32_t owner, uint64_t size);
/* The same for one message that goes into n mailboxes of that owner. */
int store_room_in(struct store *st, uint32_t owner, uint64_t size, size_t n);
/* The same for mail that takes only room that is free, below the mark at which
 * old mail begins to go. Never E_AGAIN. */
int store_room_spare(struct store *st, uint32_t owner, uint64_t size);
/* What mail takes of the store's capacity, or of the owner's quota where that is
 * more: per cent. */
unsigned store_used_part(struct store *st, uint32_t owner);
/* What is free for messages that come one after the other, none going for them. */
struct store_spare {
	uint64_t bytes;    /* for the sum of their store_cost */
	uint64_t quota;    /* for the sum of their sizes */
	uint64_t messages; /* for their number: by the index and the owner's quota */
	uint64_t in_log;   /* larger ones get a file each */
};
void store_spare(struct store *st, uint32_t owner, struct store_spare *spare);
/* About what a message of `size` bytes takes of spare->bytes when it comes among
 * others: what lies beside it in the log, and its part of the blocks that
 * commits fill up. */
uint64_t store_cost(const struct store_spare *spare, uint64_t size);

/* Starts an arriving message. size 0: not known. E_AGAIN when all places are
 * taken; E_FULL, E_TOOBIG, E_READONLY. */
int store_upload_begin(struct store *st, uint64_t size, struct store_upload **up);
/* No mail goes for this message: see store_room_spare. */
void store_upload_spare(struct store_upload *up);
/* Whether `len` more bytes, at most 64 KiB, may be written now. E_AGAIN: old mail
 * goes or files are cleaned for them, ask again in a later turn; E_FULL: that is
 * in vain. `owner`: whose mail it is; 0: of several users, whose quotas are judged at
 * the end. Without asking, store_upload_write may end
 * with E_FULL where waiting would have helped. */
int store_upload_ready(struct store_upload *up, uint32_t owner, size_t len);
/* Takes bytes as they come. E_TOOBIG, E_FULL, E_NOSPC, E_IO end the upload:
 * abort it. */
int store_upload_write(struct store_upload *up, const void *data, size_t len);
uint64_t store_upload_size(const struct store_upload *up);
/* Reads back what came so far: bytes read. */
int64_t store_upload_read(struct store_upload *up, uint64_t offset, void *data, size_t len);
void store_upload_abort(struct store_upload *up);

/* Where a message is to appear. */
struct store_target {
	uint32_t mailbox;
	uint8_t flags;
	uint64_t keywords;
	int64_t received;
	int16_t zone;
	uint32_t uid; /* out: the UID it will have */
};
#define STORE_TARGETS 64

/* Ends the upload: one message for 1 to STORE_TARGETS mailboxes, stored once,
 * all or nothing. The upload is gone on OK and must be aborted on an error.
 * E_AGAIN: not in this turn (the upload stays). E_NOENT: a mailbox is gone.
 * E_FULL: no room now. */
int store_upload_commit(struct store_upload *up, struct bytes summary, struct store_target *targets, size_t n,
	store_ticket *ticket);

/* ---- messages: changing ---- */

/* The most UIDs one call takes; longer work is done in several calls. */
#define STORE_UIDS 128

enum store_flag_op { STORE_FLAGS_SET, STORE_FLAGS_ADD, STORE_FLAGS_REMOVE };
struct store_flag_change {
	enum store_flag_op op;
	uint8_t flags;
	uint64_t keywords;
	bool lazy;        /* answer now, sync within flag_delay */
	bool conditional; /* the caller compared MODSEQs: E_AGAIN while the mailbox has staged changes */
};
/* Changes the flags of those UIDs (ascending, n <= STORE_UIDS; ones that are
 * gone are passed over). The messages whose flags really change share one new
 * MODSEQ, which goes to *modseq (0 when nothing changes). A lazy change that
 * could be applied at once gives ticket 0. */
int store_flags(struct store *st, uint32_t mailbox, const uint32_t *uids, size_t n,
	const struct store_flag_change *change, uint64_t *modseq, store_ticket *ticket);

/* Removes those messages (ascending UIDs). *modseq as above. */
int store_expunge(struct store *st, uint32_t mailbox, const uint32_t *uids, size_t n, uint64_t *modseq,
	store_ticket *ticket);

/* Moves those messages in one step; their new UIDs are *first and following.
 * Keywords are carried over by name where the target has room for them. */
int store_move(struct store *st, uint32_t mailbox, uint32_t target, const uint32_t *uids, size_t n, uint32_t *first,
	store_ticket *ticket);

/* A copy of any length, all or nothing (RFC 3501 6.4.7): entries are staged
 * unseen beyond UIDNEXT, and publish makes them real. While one is under way
 * other arrivals in its target wait (E_AGAIN). One at a time for a target. */
struct store_copy {
	uint32_t target, first, count; /* new UIDs are first .. first + count - 1 */
	bool open;
};
int store_copy_begin(struct store *st, uint32_t target, struct store_copy *copy);
/* Adds up to STORE_UIDS messages of `mailbox`; ones that are gone are passed
 * over: *added of them came. E_FULL: quota. */
int store_copy_add(struct store *st, struct store_copy *copy, uint32_t mailbox, const uint32_t *uids, size_t n,
	size_t *added, store_ticket *ticket);
int store_copy_publish(struct store *st, struct store_copy *copy, store_ticket *ticket);
/* Takes back what was staged; always succeeds in the end. */
void store_copy_abort(struct store *st, struct store_copy *copy);

/* The bit of a keyword (compared without case). With create, a new one gets the
 * next bit, known at once. E_NOENT, E_LIMIT. */
int store_keyword(struct store *st, uint32_t mailbox, struct bytes name, bool create, unsigned *bit);
/* Its name into out[LIMIT_KEYWORD_NAME]; length or E_NOENT. */
int store_keyword_name(struct store *st, uint32_t mailbox, unsigned bit, char *out);

/* Takes the \Recent messages for one session: UIDs from *first on are recent to
 * it and to no later one. Lazy, like a flag change. */
int store_recent_take(struct store *st, uint32_t mailbox, uint32_t *first);

/* ---- state ---- */

struct store_status {
	uint64_t storage, allocated, capacity, live; /* bytes: budget, charged files, room for mail, mail */
	uint64_t objects, messages;
	uint32_t segments, segment_size;
	bool read_only;
	uint64_t durable_lsn, lsn, checkpoint;
	/* Mail taken in and bytes handed to the file system (log, message files,
	 * index, superblocks, reserve), syncs of files and directories. */
	uint64_t bytes_in, bytes_written, syncs;          /* since start */
	uint64_t life_bytes_in, life_bytes_written;       /* since format */
	uint64_t life_syncs, life_segments_cleaned;       /* less those between a checkpoint and a cut */
	uint64_t checkpoints, segments_cleaned, damaged;  /* since start */
	uint64_t box_time;                                /* seconds of powered-on time over all boots */
};
void store_status(struct store *st, struct store_status *out);

/* ---- checking and repairing ---- */

/* One thing that is not as it should be. */
struct store_finding {
	uint32_t owner;   /* user number, 0: of nobody */
	uint32_t mailbox; /* id, 0: of none */
	uint32_t uid;     /* 0: not of one message */
	const char *name; /* of the mailbox, UTF-8 with a NUL; "" without one. Valid during the call */
	const char *what;
};
typedef void store_report(void *context, const struct store_finding *finding);

struct store_repair {
	uint32_t admin; /* user who gets what belongs to nobody */
	store_report *report;
	void *context;
};
struct store_repaired {
	uint64_t findings;
	uint64_t lost, recovered; /* messages */
	bool rebuilt;             /* the index was made anew from the log: the last resort */
};
/* Makes a damaged store usable again and says what was wrong and what is lost.
 * Takes store_repair_memory arena bytes, opens and closes the store by itself
 * (errors and `reason` as store_open). After a power cut run it again. */
size_t store_repair_memory(const struct store_config *config);
int store_repair(struct arena *arena, const struct store_config *config, const struct store_repair *how,
	struct store_repaired *out, char *reason, size_t cap);

/* Verifies checksums, references and counts of everything, a slice a call:
 * E_AGAIN while not finished, then OK or E_DAMAGED; each finding is reported as
 * one line. *cursor starts at 0. */
int store_check(struct store *st, uint64_t *cursor, void (*report)(void *context, const char *line), void *context);

#endif
