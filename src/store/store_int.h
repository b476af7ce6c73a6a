/* What the files of the store share. The order of everything: stage (change.c,
 * names.c, upload.c) -> write and sync (log.c) -> apply (apply.c) -> tell (the
 * observer). Recovery (recover.c) applies the same records again. */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "base/err.h"
#include "port/file.h"
#include "port/system.h"
#include "store/backup.h"
#include "store/evict.h"
#include "store/evict_int.h"
#include "store/plant.h"
#include "store/record.h"
#include "store/store.h"
#include "store/values.h"
#include "tree/tree.h"

/* Records of one commit. Beyond it changes wait for the next turn. */
#define LOG_ITEMS 512
/* Mailboxes with staged changes in one turn; beyond it: E_AGAIN. */
#define HEADS 64
/* Copies under way at once; beyond it: E_AGAIN. */
#define COPIES 16
/* Lost tickets that are remembered. Only a full disk makes them, one a message. */
#define LOST 64
/* Messages of one commit: at most so many tickets can be lost at once, and those
 * of the commit before it may not be asked for yet. */
#define LOG_MESSAGES (LOST / 2)
/* Messages that are being read while they may be expunged: one a session. */
#define PINS 96
/* Open files for reading. */
#define HANDLES 8
/* A checkpoint is due when this many slots were given up since the last: one
 * apply gives up at most a few hundred (STORE_UIDS entries and their objects,
 * each on pages of its own), and SLOTS_FREED_MAX must never be met. */
#define CHECKPOINT_FREED 256
/* Damaged segments that cleaning passes by. */
#define CLEAN_FAILED 32
/* Jump of LSN (and with it MODSEQ) at an unclean mount. */
#define LSN_JUMP (1u << 20)

struct log_item {
	uint64_t lsn;
	uint32_t at, len;             /* in the buffer: header, body, padding */
	struct record record;
	struct store_upload *upload;  /* whose frames follow the body, or NULL */
	uint64_t tail_from;           /* RECORD_MOVED: frames are copied from here ... */
	uint32_t tail_segment;        /* ... of this segment */
	uint32_t segment, offset;     /* where it was written */
	bool written;
	bool lost_blob;               /* a message in a file of its own was refused */
};

struct log {
	uint8_t *buffer;
	uint32_t cap, used;
	struct log_item *items;
	uint32_t n_items, n_applied, n_messages;
	bool wanted;             /* somebody waits for the commit */
	uint64_t lazy_since_us;  /* when the oldest lazy change was made; 0: none */
	uint64_t staged, applied, durable; /* LSNs */
	bool syncing;
	bool recovered;          /* the sync failed, and all is durable in a fresh segment */
	/* the open segment */
	port_file file;          /* -1: none */
	uint32_t segment, salt;
	uint32_t end, synced_end; /* written; known to be synced */
	uint32_t waste;           /* as in struct segment */
	uint32_t prev_segment, prev_valid_end; /* what the next segment's header names */
	uint64_t unsynced_tail;  /* message bytes written since the last sync */
};

struct head {
	uint32_t mailbox, owner, uidnext;
	bool staged;    /* changes of it are staged and not applied */
	uint64_t bytes; /* of mail that is staged for it and comes on top of its owner's usage */
	uint32_t messages; /* of these */
};

struct open_copy {
	uint32_t mailbox; /* 0: free */
	uint32_t source;  /* where it copies from, 0: not known yet */
	bool aborting;
	uint32_t owner;
	uint64_t bytes; /* staged and not applied, as in struct head */
	uint32_t messages;
};

struct lost {
	uint64_t lsn;
	int err;
};

struct pin {
	uint64_t object; /* 0: free */
	uint32_t count;
	bool dead;       /* expunged meanwhile: `place` is the only way to it */
	struct object place;
};

/* Frames of a message that were read last. */
struct frames {
	uint64_t object; /* 0: none */
	uint32_t first, bytes; /* the first frame; bytes of all */
	uint32_t verified;     /* a bit for each */
	uint8_t *data;   /* SCRATCH bytes */
};

struct handle {
	port_file file; /* -1: free */
	bool blob;
	uint64_t id;
	uint32_t used;
};

/* How far back the store knows when an LSN was given: for the age of a flag,
 * which no entry keeps. Beyond the oldest: older than that. */
#define AGE_MARKS 16
#define AGE_MARK_SECONDS 7200
struct age_mark {
	uint64_t lsn;
	uint32_t box_time;
};

/* What a superblock holds beside the tree's affairs. */
struct super {
	uint64_t checkpoint;  /* number, 1 for the first */
	uint64_t identity;
	uint64_t replay_lsn;  /* records above it are to be applied */
	uint32_t replay_segment, replay_offset; /* where they begin */
	uint32_t replay_waste;                  /* of that segment up to there, as in struct segment */
	uint64_t durable;
	uint64_t next_lsn, next_object, orphan_from;
	uint32_t next_mailbox, next_uidvalidity, next_segment;
	uint64_t box_time;
	uint64_t live, objects, messages;
	uint64_t life_bytes_in, life_bytes_written, life_syncs, life_cleaned;
	uint64_t audits, life_evicted, life_evicted_bytes;
	uint64_t storage; /* budget at that time: segment size follows it */
	uint32_t segment_size;
	struct age_mark marks[AGE_MARKS]; /* the newest last */
	bool clean;
	uint64_t origin;    /* whose ids its messages bear: the store's that was restored; 0: its own */
	uint64_t restoring; /* the backup that it is being made from, 0: none */
	bool held;          /* slots are taken by pages that no tree has */
	/* LSNs of the first and last part of the catalogue as it was last logged (0:
	 * never), and of the last change of it. */
	uint64_t catalogue_first, catalogue_last, names_changed;
};

/* The catalogue on its way into the log. */
/* Of what a part of the catalogue tells, in this order. */
enum relog_kind { RELOG_MAILBOXES, RELOG_SUBSCRIPTIONS, RELOG_QUOTAS, RELOG_KINDS };

struct relog {
	bool busy;
	bool owed;            /* a segment with a part of it went while there was no room */
	enum relog_kind kind; /* what is being written */
	bool fresh;           /* nothing of that kind was yet */
	struct key from;      /* what comes next */
	uint64_t first, last; /* LSNs of its parts so far */
};

struct rebuild;
struct repair;

/* A backup that is being read, or what it held being given back. */
struct backup {
	enum { BACKUP_NONE, BACKUP_WANTED, BACKUP_OPEN, BACKUP_RELEASING } state;
	bool reading;         /* somebody reads it, or has not yet been told that it is over */
	bool given_up;        /* there was no room for what it held */
	bool holds_files;     /* message files wait for it that nothing refers to */
	bool pages_lost;      /* what it held can't be found any more in this mount */
	struct store_backup_source source;
	struct store_backup_progress progress;
	uint32_t next_segment; /* segments below it are read */
	struct age_mark marks[AGE_MARKS];
	uint64_t object;      /* files of messages up to here are not wanted any more */
	/* What comes next in the stream. */
	uint64_t number;      /* of records written */
	unsigned phase, part;
	struct key at;        /* the row to go on from */
	uint64_t cursor;      /* of the users */
	unsigned depth, deepest; /* of the mailboxes that are just written, and of all */
	uint64_t message;     /* the one that is just written, or was last */
	struct object place;  /* where it lies */
	uint32_t mailbox, uid; /* the last one looked at of those that show it */
	unsigned shown;       /* how many were written */
	uint64_t offset;      /* in its summary or its bytes */
};

/* A look over all segments, some rows a slice. */
struct look {
	bool open;            /* under way */
	bool pack;            /* begun when room was wanted before mail goes */
	uint32_t next;        /* the segment to look at next */
	bool waiting;         /* one is dead, but a checkpoint still needs it */
	bool held;            /* one could go but for a backup */
	uint32_t victim;      /* the one with the most garbage for its size, 0: none worth it */
	uint64_t victim_garbage, victim_size;
	uint64_t packable;    /* what packing all that is worth it wins */
	uint64_t garbage;     /* garbage_made when it began */
};

struct cleaning {
	uint32_t segment; /* 0: none under way */
	uint32_t offset, end, salt;
};

/* What the passes of a check have counted up so far. */
struct check {
	struct key page;
	struct store_cursor cursor;
	struct tally tally;
	uint64_t modseq, offset, findings, references, counted, lsn;
	uint64_t live, in_log, in_segments; /* bytes of mail: by the objects, of that in the log, by the segments */
};

struct store {
	struct store_config config;
	char dir[PORT_PATH_MAX - 64];
	port_file lock;
	struct super super;    /* counters as they are now; checkpoint: the last durable */
	uint64_t replay_before; /* replay LSN of the durable checkpoint before the last */
	uint64_t replay_last;   /* and of the last */
	struct tree tree;
	struct log log;
	struct head heads[HEADS];
	uint32_t n_heads;
	uint64_t staged_live; /* live bytes of the messages that are staged */
	bool names_staged; /* NAMES records are staged: others wait a turn */
	struct open_copy copies[COPIES];
	struct lost lost[LOST];
	uint32_t n_lost;
	struct pin pins[PINS];
	struct handle handles[HANDLES];
	uint32_t handle_clock;
	struct pool uploads, chunks;
	struct store_upload *open_uploads;
	struct store_observer observer;
	bool read_only, extend;
	uint32_t names_lost;  /* syncs of the directory that failed: names made before them may be lost */
	bool unlinks_pending; /* removals that the directory's sync has not made durable */
	bool swept;           /* what a cut left behind was removed: orphans can only be newer */
	bool replaying;
	/* The record that is just being applied, 0: none. A checkpoint in the middle
	 * of a replay or of a commit has what comes before it. */
	uint32_t applying_segment, applying_offset;
	uint64_t charged;     /* bytes of all files, as `storage` counts them */
	uint32_t index_high;  /* slots charged for */
	bool reserve_there, reserve_growing;
	uint64_t reserve_bytes; /* of `charged`: what its file takes, whole or not */
	bool disk_full;         /* others fill the disk: what is left is for what makes room */
	uint64_t disk_after_us; /* not looked at before this time */
	bool checkpoint_due;
	bool checkpointing; /* pages of one are being written */
	uint32_t checkpoint_slices;
	bool idle_wanted;       /* upkeep waits for the end of a commit */
	uint64_t checkpoint_log; /* bytes logged since the last checkpoint */
	bool clean_wanted;       /* somebody waits for room that cleaning can make */
	bool pack_wanted;        /* mail would be let go: first segments that are mostly garbage are cleaned */
	uint64_t pack_hopeless_at; /* garbage_made when there was none of these */
	uint64_t garbage_made;   /* counts what may have made garbage: removed messages, closed segments */
	uint64_t hopeless_at;    /* garbage_made when a look found no segment worth cleaning */
	struct look look;
	bool sweep_due;          /* a checkpoint may have set segments free */
	/* Segments that can't be cleaned: not tried again in this mount. When there
	 * are as many as that, none is: the flash is dying. */
	uint32_t clean_failed[CLEAN_FAILED], n_clean_failed;
	struct cleaning cleaning;
	struct evict evict;
	uint64_t mount_us, box_base;
	uint64_t bytes_in, syncs_before;
	uint64_t log_bytes;
	uint64_t checkpoints, cleaned, damaged;
	struct {
		uint64_t objects[STORE_DAMAGED_KEPT];
		unsigned n;
	} damage;
	struct check check;
	struct frames frames;
	struct relog relog;
	struct backup backup;
	struct repair *repair;   /* NULL: it is opened to be used */
	bool aside;              /* the index that is made is no one's yet */
	struct rebuild *rebuild; /* not NULL while the index is made anew from the log */
	uint8_t *scratch;     /* SCRATCH bytes, free between calls */
	uint8_t *replay;      /* a record's body during recovery and cleaning */
};

#define SCRATCH (4 * FRAME)
#define BODY_MAX (LIMIT_SUMMARY + 16u + STORE_TARGETS * 28u + 64u)

/* ---- files.c ---- */
void files_segment_name(const struct store *st, uint32_t id, char *out);
void files_blob_name(const struct store *st, uint64_t id, char *out);
void files_name(const struct store *st, const char *name, char *out);
/* The number in a name "<hex>.<ending>", or false. */
bool files_number(const char *name, const char *ending, uint64_t *number);
/* The directory that holds the store's. */
void files_parent(const struct store *st, char *out);
/* A handle for reading, from a small cache. */
port_file files_open(struct store *st, bool blob, uint64_t id);
void files_forget(struct store *st, bool blob, uint64_t id);
/* Removes a file and takes `charged` bytes off the charge if it was there; with
 * FILES_MEASURE as many as it has. */
#define FILES_MEASURE UINT64_MAX
int files_remove(struct store *st, bool blob, uint64_t id, uint64_t charged);
/* Makes names durable. After an error the next mount looks at every file. */
int files_sync_dir(struct store *st);
/* Before a new file is made: earlier removals must be durable (rule 5). */
int files_before_create(struct store *st);

/* ---- quota.c ---- */
/* Bytes the user may keep; STORE_NO_QUOTA. */
uint64_t quota_bytes(struct store *st, uint32_t owner);
int quota_apply(struct store *st, uint32_t owner, const struct store_quota *quota);
int quota_forget(struct store *st, uint32_t owner);

/* ---- space.c ---- */
/* Live bytes of mail that the store may hold. */
uint64_t space_capacity(const struct store *st);
/* Counts the files anew and makes a reserve smaller that is larger than it may be. */
int space_count(struct store *st);
/* Whether `bytes` more may be taken; control records may use the reserve. */
bool space_has(const struct store *st, uint64_t bytes, bool control);
/* n, rounded up to whole blocks. */
uint64_t space_blocks(uint64_t n);
uint64_t space_of_blob(uint64_t size);
void space_charge(struct store *st, int64_t bytes);
void space_charge_index(struct store *st);

/* ---- reserve.c ---- */
uint64_t reserve_size(const struct store *st);
/* What it lacks. */
uint64_t reserve_left(const struct store *st);
/* Cuts off what it is too large by, after `storage` was made smaller. */
int reserve_trim(struct store *st);
/* Goes on with making it, if there is room for it. E_AGAIN: more to do. */
int reserve_make(struct store *st);
bool reserve_give_up(struct store *st);
/* A write met a full disk: gives the reserve up and takes no mail until the disk
 * has room for it again. */
void reserve_disk_is_full(struct store *st);

/* ---- room.c ---- */
/* Mail may come in. */
bool room_for_mail(const struct store *st);
/* As store_room, and lets old mail go for it: E_AGAIN until that is done. */
int room_make(struct store *st, uint32_t owner, uint64_t size);
/* Room for a message that has `size` bytes by then, and on the disk for the next
 * `bytes` of it; evict: mail may go for it. E_AGAIN, E_FULL. */
int room_for_frames(struct store *st, uint32_t owner, uint64_t size, uint64_t bytes, bool evict);
/* Room for n more references of `size` bytes in all to messages that are there. */
int room_for_entries(struct store *st, uint32_t owner, uint64_t size, size_t n);
/* Room for a record of that many bytes in the log, segments included. E_FULL;
 * E_AGAIN when cleaning will make it. */
int room_for_record(struct store *st, uint64_t bytes);
/* Bytes of mail that take the pages beyond that per cent of the index; 0: it has
 * fewer. Small messages fill the index before their bytes fill the store. */
uint64_t room_index_excess(const struct store *st, uint32_t part);

/* ---- repair.c ---- */
/* Goes on with putting a rebuilt index into place, or takes an unfinished one
 * away; before the index is opened. */
int repair_settle(struct store *st);
/* Segments that bear another's name get their own again. */
int repair_names(struct store *st);
bool repair_anew(const struct repair *r);
/* In place of recover: the index of st is a new, empty file, which is filled from
 * the log and what can be read of the old index. */
int rebuild(struct store *st, struct repair *r);
/* True when a message stays that nothing shows any more. */
bool rebuild_keeps(const struct store *st);
/* In place of apply_record while st->rebuild is set. */
int rebuild_apply(struct store *st, const struct record *r, const uint8_t *body, uint32_t segment, uint32_t offset);

/* ---- store.c ---- */
/* store_open; with a repair, for it only. */
int store_open_for(struct store **st, struct arena *arena, const struct store_config *config, struct repair *repair,
	char *reason, size_t cap);
uint64_t store_box_time(const struct store *st);
/* Bytes handed to the file system, and syncs asked of it, since start. */
uint64_t store_bytes_written(const struct store *st);
uint64_t store_syncs(const struct store *st);
void store_fail(struct store *st, const char *what, int err); /* turns read-only, says so once */

/* ---- log.c ---- */
/* Room for a record's body of at most len bytes; NULL: commit first (E_AGAIN).
 * Control records may use what is kept back for them. */
uint8_t *log_body(struct store *st, size_t len);
/* Adds the record whose body (body_len bytes) was just built. */
uint64_t log_add(struct store *st, enum record_type type, size_t body_len);
struct log_item *log_last(struct store *st);
/* Applies the record just added at once if nothing waits before it (a lazy
 * change): 0; else asks for the commit and returns its ticket. */
store_ticket log_lazy(struct store *st);
/* True when everything staged is applied. */
bool log_idle(const struct store *st);
/* For upkeep: true when everything staged is applied and durable. If not, asks for
 * a commit, at whose end upkeep gets a slice: under load that is the only moment. */
bool log_wait_idle(struct store *st);
/* True when a change may be applied before its sync: nothing waits before it,
 * and no checkpoint must come first. */
bool log_at_once(const struct store *st);
/* Applies the record just added; only when log_at_once was true. */
int log_apply_now(struct store *st);
store_ticket log_wait(struct store *st);
void log_lose(struct store *st, struct log_item *item, int err);

/* ---- clean.c ---- */
/* Segments: one slice of giving dead ones back and of cleaning. E_AGAIN when
 * there is more to do. */
int clean_slice(struct store *st);
/* So little room is left that cleaning is worth its writes. */
bool clean_space_is_low(const struct store *st);
/* Cleaning can make no room as things are. */
bool clean_is_hopeless(const struct store *st);
/* Whether segments may be there that are garbage by half. */
bool clean_can_pack(const struct store *st);

/* ---- segment.c ---- */
/* Bytes of a segment of that file size. */
uint32_t segment_charge(int64_t file_size);
int segment_create(struct store *st, uint64_t first_lsn);
int segment_close(struct store *st, uint64_t last_lsn, uint32_t valid_end);
/* Reads and verifies the header of a segment file. */
struct segment_header {
	uint32_t id, salt, prev, prev_end;
	uint64_t first_lsn, durable;
	uint32_t next_mailbox, next_uidvalidity; /* as they were then; 0: not said */
	bool extend;
};
int segment_read_header(struct store *st, port_file f, uint32_t id, struct segment_header *out);
/* Whose segment it is by its own header alone. E_DAMAGED, E_IO. */
int segment_identify(port_file f, uint32_t *id, uint64_t *identity);
int segment_row_get(struct store *st, uint32_t id, struct segment *row);
int segment_row_put(struct store *st, uint32_t id, const struct segment *row);
int segment_live(struct store *st, uint32_t id, int64_t bytes, uint64_t lsn);

/* ---- apply.c ---- */
/* E_SYNTAX: the record makes no sense, and nothing was changed by what does not.
 * Any other error is one of the index. */
int apply_record(struct store *st, const struct record *r, const uint8_t *body, uint32_t segment, uint32_t offset);
/* ---- names_apply.c ---- */
/* One operation taken off the front of *rest; fields that it does not have are
 * 0. False when it makes no sense. */
struct names_fields {
	uint8_t op; /* enum names_op of names.h */
	uint32_t id, owner, parent, uidvalidity; /* KEYWORD, RECENT: the mailbox is id */
	uint8_t uses, on, bit;
	struct bytes name;
	struct store_quota quota;
};
bool names_take(struct bytes *rest, struct names_fields *out);
int names_link(struct store *st, const struct mailbox *m);
int apply_names(struct store *st, const struct record *r, const uint8_t *body);
/* ---- names.c, catalog.c ---- */
/* Where a subscription is: OK and *at, or E_NOENT and a free place for it (hi 0:
 * none). */
int names_subscription(struct store *st, uint32_t owner, struct bytes name, struct key *at, struct key *free_place);
#define NAMES_RECENT_BYTES 9
/* Builds the operation "UIDs below uid are recent no more". */
void names_recent(uint8_t *body, uint32_t mailbox, uint32_t uid);
#define QUOTA_BYTES 16
#define NAMES_QUOTA_BYTES (5 + QUOTA_BYTES)
/* Builds the operation that sets a user's limits. */
void names_quota(uint8_t *body, uint32_t owner, const struct store_quota *quota);
/* E_SYNTAX, E_LIMIT: no mailbox may have this as a level of its name. */
int names_check_level(struct bytes level);
/* Builds the operation that forgets an empty doomed mailbox; its length. */
size_t names_drop(uint8_t *body, uint32_t mailbox);
uint64_t names_hash(const struct store *st, struct bytes name);
/* Child of `parent` (0: top of that owner) by its level. E_NOENT. */
int names_child(struct store *st, uint32_t owner, uint32_t parent, struct bytes level, uint32_t *id);
uint64_t names_parent_key(uint32_t owner, uint32_t parent);

/* ---- backup.c ---- */
/* Right after a checkpoint, with everything applied: a backup that waits begins. */
void backup_take(struct store *st);
/* What a backup holds of the message that is written and those before it is not
 * wanted any more. E_AGAIN: there are more. */
int backup_pass(struct store *st);
/* A backup that waits for its moment and never gets one: the store is read-only. */
void backup_take_as_is(struct store *st);
/* A slice of giving back what a backup held. E_AGAIN when there is more. */
int backup_slice(struct store *st);
/* Whether the segment, which is dead, is still to be read. */
bool backup_holds_segment(struct store *st, uint32_t id);
/* Whether that message's file is; it goes later then. */
bool backup_holds_file(struct store *st, uint64_t object);
/* A backup holds what room is wanted for: it is given up. False: there is none. */
bool backup_give_up(struct store *st);

/* ---- rows and records: apply.c ---- */
int mailbox_load(struct store *st, uint32_t id, struct mailbox *m);
int mailbox_save(struct store *st, const struct mailbox *m);
int entry_load(struct store *st, uint32_t mailbox, uint32_t uid, struct store_entry *e);
int object_load(struct store *st, uint64_t id, struct object *o);
int object_save(struct store *st, uint64_t id, const struct object *o);
uint64_t object_record_size(const struct object *o);
/* What a message takes of the capacity. The first record of a commit counts with
 * whole blocks, since the next commit begins on one: small mail that comes one by
 * one would else fill the storage long before the capacity, and have to be copied
 * together again and again. */
uint64_t object_live(const struct object *o);
/* A restored message's body has this behind its targets, for each: MODSEQ 8,
 * arrival number 8, SAVEDATE 8, box time 4. */
#define EXACT_BYTES 28u
#define EXACT_TARGETS (STORE_TARGETS / 2)
/* RECORD_SHOWN: object 8, mailbox 4, uid 4, entry. */
#define SHOWN_BODY (16 + ENTRY_BYTES)
/* Drops staged entries of a mailbox from uid `down_to` on. */
int apply_unstage(struct store *st, struct mailbox *m, uint32_t down_to, uint64_t lsn);

/* ---- relog.c ---- */
/* Before a segment goes: whether it holds what is known of the catalogue. Then
 * that is logged again, a part a call: E_AGAIN, OK once it is durable. */
int relog_before(struct store *st, const struct segment *going);
/* Notes a part that stands in the log. */
int relog_apply(struct store *st, const struct record *r, const uint8_t *body);
/* A part's body: kind 1 (0 mailboxes, 1 subscriptions), 1: the first, 1: the
 * last of all, 1, mailbox ids from 4 to 4, next mailbox id 4, next UIDVALIDITY
 * 4, then operations as in RECORD_NAMES. */
#define RELOG_HEADER 20u
/* The body of RECORD_MOVED in front of its summary: as of a message with one
 * target, then of that entry its arrival number 8 and SAVEDATE 8, and the number
 * of the message's references 4. */
#define MOVED_BODY 64u

/* ---- change.c ---- */
/* Everything that changes a mailbox begins here: E_READONLY, E_NOENT, E_AGAIN
 * (heads full; a copy into it is open). */
int change_begin(struct store *st, uint32_t mailbox, struct mailbox *m, struct head **head);
/* The same for further mailboxes of one change: the heads got before stay valid. */
int change_also(struct store *st, uint32_t mailbox, struct mailbox *m, struct head **head);
struct head *change_head(struct store *st, uint32_t mailbox);
/* OK when n more UIDs can be given from `uidnext` on, else E_LIMIT: UIDNEXT stays
 * a number (RFC 3501 section 9), and no UID is ever given again. */
int change_uids_left(uint32_t uidnext, size_t n);
size_t ranges_put(uint8_t *p, const uint32_t *uids, size_t n);
/* One slice of taking an aborted copy back; E_AGAIN when there is more. */
int change_unstage(struct store *st);

/* ---- damage.c ---- */

/* A message's bytes or its summary failed their checksum. */
void damage_note(struct store *st, uint64_t id);

/* ---- upload.c ---- */
/* Bound of its private structure. */
#define UPLOAD_BYTES (104 + (LIMIT_LOG_MESSAGE / FRAME_DATA + 2) * sizeof(void *))
/* Bytes of frames, at most, that go into the log. */
uint64_t upload_most_in_log(const struct store *st);
/* Pieces of an upload's frames for the log; how many there are. */
size_t upload_pieces(const struct store_upload *up, struct port_piece *pieces, size_t cap);
void upload_free(struct store_upload *up);
/* A message that is restored: with its old id, and with entries as they were, at
 * most EXACT_TARGETS. Nothing is judged but the room for its bytes. */
struct exact_target {
	uint32_t mailbox;
	struct store_entry entry;
};
int upload_begin_exact(struct store *st, uint64_t object, uint64_t size, struct store_upload **up);
/* Whether `len` more bytes have room. E_AGAIN, E_FULL. */
int upload_has_room(struct store_upload *up, size_t len);
int upload_commit_exact(struct store_upload *up, struct bytes summary, const struct exact_target *targets, size_t n);
uint64_t upload_orphans_from(const struct store *st);

/* ---- checkpoint.c ---- */
int checkpoint_write(struct store *st, bool clean);
int checkpoint_slice(struct store *st);
/* Slots that applying one record may take. */
uint32_t checkpoint_slots(const struct store *st);
/* Before a record is applied: makes room in the index by checkpoints, so that
 * applying can't fail for want of it. */
int checkpoint_make_room(struct store *st);
/* Whether a change may be applied before its sync: no checkpoint is due first. */
bool checkpoint_can_wait(const struct store *st);
#define SUPER_NEW 2 /* of an index that is being rebuilt */
int super_read(struct store *st, unsigned which, struct super *out, bool adopt);
int super_format(struct store *st);
/* The highest LSN known to be at least that many seconds of box time old; 0:
 * none is. */
uint64_t super_lsn_before(const struct store *st, uint32_t seconds);

/* ---- recover.c ---- */
int recover(struct store *st, char *reason, size_t cap);
/* One pass over the whole log: the first, without apply, finds known_durable. */
struct recovered {
	uint64_t known_durable, seen, damaged, box_time;
};
int recover_log(struct store *st, uint32_t first, uint32_t last, bool apply, struct recovered *io);
/* The record at or behind `at` (the next block if a commit ended there). E_NOENT:
 * none there. */
int scan_record(port_file f, uint32_t salt, uint32_t at, uint32_t end, struct record *r, uint32_t *found_at);

/* ---- sweep.c ---- */
/* Both after the log was applied. `lost`: records that had been synced could not
 * be read. *changed is set when a checkpoint must be written before anything is
 * given a UID. */
int sweep_mailboxes(struct store *st, bool lost, bool *changed);
int sweep_files(struct store *st, bool lost);

/* ---- audit.c ---- */
/* Notes a message that went; `index` tells several of one record apart. */
int audit_put(struct store *st, const struct record *r, unsigned index, uint32_t owner, uint32_t mailbox,
	const struct store_entry *e, uint8_t class, struct bytes text);

/* ---- body.c ---- */
int object_place(struct store *st, uint64_t id, struct object *o);
int object_release(struct store *st, uint64_t id, uint32_t mailbox, uint32_t uid, uint64_t lsn);

/* ---- reference.c ---- */
/* One entry more, another one, or one less that shows the message; the caller
 * saves *o. reference_drop: not for the last one. */
int reference_add(struct store *st, uint64_t id, struct object *o, uint32_t mailbox, uint32_t uid);
int reference_move(struct store *st, uint64_t id, struct object *o, uint32_t mailbox, uint32_t uid, uint32_t to_mailbox,
	uint32_t to_uid);
int reference_drop(struct store *st, uint64_t id, struct object *o, uint32_t mailbox, uint32_t uid);
/* The next entry that shows a message after (*mailbox, *uid), which start at 0:
 * OK, E_NOENT after the last. */
int reference_next(struct store *st, uint64_t id, const struct object *o, uint32_t *mailbox, uint32_t *uid);

#endif
