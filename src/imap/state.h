/* Where a running command stands. Small states live in the session (one command
 * at a time); larger ones in a unit of the pool of commands, which a session
 * holds only while such a command runs. */
#ifndef IMAP_STATE_H
#define IMAP_STATE_H

#include "account/account.h"
#include "base/limits.h"
#include "imap/structure.h"
#include "mail/header.h"
#include "store/store.h"
#include "view/arrival.h"
#include "view/search.h"
#include "view/view.h"

/* ---- telling (tell.c) ---- */

struct tell_state {
	uint8_t stage;   /* 0: look for new keywords; 1: their lines; 2: events */
	bool open;       /* a FETCH line is begun */
	uint8_t flag_at; /* its flags written so far */
	uint16_t line_at; /* of the FLAGS lines */
	uint32_t number, uid;
};

/* ---- small states ---- */

struct login_state {
	struct auth_check *check;
	uint64_t until;     /* throttled up to then */
	/* The responses of AUTHENTICATE as offsets in conn_input. */
	struct {
		uint32_t start, end;
		bool asked, here;
	} response[2];
	uint32_t user;
	uint8_t mechanism;
	bool waited;
};

struct select_state {
	uint32_t mailbox;
	uint32_t first_unseen; /* number; 0: none */
	uint16_t at;           /* of the FLAGS lines */
	bool read_only;
	bool closed;           /* another mailbox was left */
};

struct mailbox_state {
	uint32_t mailbox;
	uint16_t items; /* STATUS_... */
	bool inbox;     /* RENAME of INBOX */
};

struct append_state {
	struct arrival *arrival;
	struct store_target target;
	uint64_t left;     /* bytes of the literal still to come */
	uint32_t size;
	uint32_t uidvalidity;
	uint64_t deadline;
	bool sync;
};

struct idle_state {
	uint64_t next; /* when "Still here" is due */
};

union command_state {
	struct login_state login;
	struct select_state select;
	struct mailbox_state mailbox;
	struct append_state append;
	struct idle_state idle;
	struct store_copy copy;
};

/* ---- FETCH ---- */

/* Items of one FETCH: Thunderbird sends 4, imapflow 11, Horde 9. Beyond it:
 * NO [LIMIT]. */
#define FETCH_ITEMS 48
/* Field names in one HEADER.FIELDS list: alpine sends 23. Beyond it: NO [LIMIT]. */
#define FETCH_NAMES 128
/* Bytes of an item's name as its answer repeats it, field names included: it
 * goes out in one piece with what stands around it. Beyond it: NO [LIMIT]. */
#define FETCH_ECHO 3500

enum fetch_kind {
	FETCH_UID,
	FETCH_FLAGS,
	FETCH_MODSEQ,
	FETCH_INTERNALDATE,
	FETCH_SAVEDATE,
	FETCH_SIZE,
	FETCH_EMAILID,
	FETCH_THREADID,
	FETCH_ENVELOPE,
	FETCH_BODY,
	FETCH_BODYSTRUCTURE,
	FETCH_SECTION,
	FETCH_RFC822,
	FETCH_RFC822_HEADER,
	FETCH_RFC822_TEXT
};

enum section_kind { SECTION_WHOLE, SECTION_HEADER, SECTION_TEXT, SECTION_MIME, SECTION_FIELDS, SECTION_FIELDS_NOT };

/* One item. Offsets count from the start of the command in conn_input. */
struct fetch_item {
	uint8_t kind, section;
	bool peek;
	bool partial;
	uint16_t path_len;
	uint32_t path;       /* "1.2.3" */
	uint32_t names;      /* the list of field names with its brackets */
	uint32_t names_len;
	uint32_t from, count; /* of a partial */
};

enum fetch_step { FETCH_NEXT, FETCH_LINE, FETCH_ITEM };

struct fetch_unit {
	struct view_walk walk;
	struct store_cursor changed; /* used instead of walk when few have changed */
	struct store_entry entry;
	uint64_t changed_since;
	uint32_t number;
	uint8_t step, n_items, item;
	bool first;            /* of the line: no space before it */
	bool has_changed_since;
	bool by_change;
	bool needs_summary, needs_body, sets_seen;
	bool seen_now;         /* this message became \Seen by this command */
	bool no_summary;       /* of this message: damaged */
	bool expunged;         /* at least one body was asked for that is gone */
	uint32_t damaged_uid;  /* the first message that could not be read whole */
	/* of the item being written */
	uint8_t part;          /* FETCH_PART_... of section.c; 0: not begun */
	uint8_t flag_at;
	uint64_t offset;       /* in the stored message, of the next byte */
	uint64_t left;         /* bytes of the literal still to be written */
	uint64_t skip;         /* filtered bytes to pass over: before a partial, or out already */
	struct summary_range range; /* of the section in the stored message */
	struct structure_cursor structure;
	struct header_filter filter;
	uint64_t seen_modseq;
	uint32_t n_seen;
	uint32_t seen[STORE_UIDS]; /* of a CONDSTORE session: to be marked \Seen together */
	struct fetch_item items[FETCH_ITEMS];
};

/* ---- LIST, LSUB ---- */

/* Patterns of one LIST. Clients send one; Apple Mail up to 3. Beyond it: NO [LIMIT]. */
#define LIST_PATTERNS 16
/* Bytes of all of them in UTF-8, the reference name before each. */
#define LIST_PATTERN_BYTES 2048

struct list_level {
	uint32_t mailbox;  /* whose children are walked */
	uint64_t cursor;
};

struct list_unit {
	uint8_t select, returns; /* LIST_... */
	uint16_t status;         /* STATUS_... of RETURN (STATUS (...)) */
	bool lsub;
	bool counting;           /* a STATUS line is due for `current` */
	uint8_t n_patterns;
	uint16_t pattern_len[LIST_PATTERNS];
	uint16_t patterns_used;
	uint8_t depth, depth_max; /* levels on the stack; as deep as any pattern can match */
	uint8_t ancestor;        /* of the subscription in `name`: level to look at next */
	bool has_name;
	uint32_t current;
	uint64_t subscription;   /* cursor */
	uint16_t name_len;
	char name[LIMIT_MAILBOX_NAME];
	struct list_level stack[LIMIT_MAILBOX_DEPTH + 1];
	uint8_t patterns[LIST_PATTERN_BYTES];
};

/* ---- STORE, COPY, MOVE, EXPUNGE ---- */

struct uid_range {
	uint32_t first, last;
};

/* Ranges of UIDs that are kept: those of a batch of MOVE; those that a MODIFIED
 * code names, where the last one of more is widened (cmd_store.c); those that
 * others expunge while a UID COPY is on its way to them: with more, COPYUID is
 * left out. */
#define UNIT_RANGES 372

struct batch_unit {
	struct view_walk walk, before; /* before: where the batch began, or its last step */
	struct store_cursor cursor;    /* of EXPUNGE and CLOSE */
	uint32_t mailbox;              /* of CLOSE, which has left its view */
	uint32_t target, validity;     /* mailbox of COPY and MOVE */
	uint32_t uidnext;              /* EXPUNGE looks at what is below */
	uint32_t n, at;                /* UIDs in the batch; of them answered */
	uint32_t first;                /* new UID of the first of them */
	uint32_t messages;             /* in all */
	uint32_t highest;              /* UID copied */
	struct view as_was;            /* when all was copied: new mail is not of the set */
	uint32_t run_first, run_last;  /* of COPYUID's sources: read and not yet written; 0: none */
	uint16_t n_ranges, range_at;
	bool too_many;                 /* the ranges do not name all */
	bool last;                     /* nothing follows this batch */
	bool gone;                     /* a message of the set is no more */
	uint8_t flag_at;
	/* STORE */
	struct store_flag_change change;
	bool silent;
	bool changed;                  /* the batch's change is made, perhaps not yet durable */
	bool again;                    /* the batch must be looked at again after the commit */
	bool waited;                   /* it was already */
	uint64_t unchanged_since;
	uint64_t modseq, own_first, own_last;
	uint8_t tell[STORE_UIDS / 8];  /* bits: somebody else's change is told along */
	uint32_t uids[STORE_UIDS];
	struct uid_range ranges[UNIT_RANGES];
};

/* ---- SEARCH ---- */

/* Depth of brackets in SEARCH. Beyond it: BAD. */
#define SEARCH_DEPTH 32
/* Bytes for the unescaped form of quoted strings with escapes in them. */
#define SEARCH_STRINGS 2048

struct search_unit {
	struct search *search;
	const uint8_t *text;          /* where conn_input was when the program was built */
	uint32_t min, max, count;
	uint32_t run_first, run_last; /* of ALL: the range not yet written; 0: none */
	uint64_t modseq;              /* highest of all hits */
	uint64_t modseq_min, modseq_max; /* of the first and last hit */
	uint8_t returns;              /* RETURN_... */
	bool extended, any_all, has_modseq;
	uint16_t strings_used;
	uint8_t strings[SEARCH_STRINGS];
};

union command_unit {
	struct fetch_unit fetch;
	struct list_unit list;
	struct batch_unit batch;
	struct search_unit search;
};

#endif
