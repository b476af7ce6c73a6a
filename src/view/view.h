/* What one session has been told of its selected mailbox: numbers, UIDs and
 * pending changes (DESIGN.md section 6). The view holds no list of messages: it
 * is the UIDNEXT and the change number up to which the session knows
 * everything; what was expunged since then by anybody stands as tombstones in
 * one bounded table for all sessions, and counts for those not yet told. */
#ifndef VIEW_VIEW_H
#define VIEW_VIEW_H

#include "store/store.h"

struct view {
	uint32_t mailbox;
	uint32_t uidnext;   /* messages below this have been announced by EXISTS */
	uint64_t modseq;    /* changes up to this have been told */
	uint64_t own_first, own_last; /* changes made by this session itself beyond modseq: told already */
	uint32_t exists;    /* number of messages the session believes in */
	uint32_t recent_first; /* UIDs from here are \Recent in this session; 0 when none */
	uint32_t recent_last;
	bool open, read_only;
	bool gone;          /* the mailbox was deleted, or its tombstones overflowed: end the session with BYE */
	void *watch;        /* private */
};

struct views;

size_t views_memory(uint32_t sessions, uint32_t tombstones);
int views_init(struct views **v, struct arena *arena, struct store *st, uint32_t sessions, uint32_t tombstones);
/* wake(context of view_open) is called when a view's mailbox changed, so that a
 * session in IDLE can run. */
void views_on_change(struct views *v, void (*wake)(void *context));

/* Selects. E_NOENT; E_NOMEM when there are more views than sessions. */
int view_open(struct views *v, struct view *view, uint32_t mailbox, bool read_only, void *context);
void view_close(struct views *v, struct view *view);

/* Number of a UID as this session counts: 0 when the session does not know it
 * (expunged and told, or not yet announced). */
uint32_t view_number(struct views *v, const struct view *view, uint32_t uid);
/* UID of a number: OK, E_NOENT beyond exists; E_GONE when it was expunged by
 * somebody but this session has not been told yet (*uid is set all the same). */
int view_uid(struct views *v, const struct view *view, uint32_t number, uint32_t *uid);

/* ---- telling ---- */

enum view_event_kind { VIEW_EXPUNGE, VIEW_EXISTS, VIEW_RECENT, VIEW_FLAGS };
struct view_event {
	enum view_event_kind kind;
	uint32_t number;          /* of EXPUNGE and FLAGS; the count for EXISTS and RECENT */
	uint32_t uid;             /* of EXPUNGE and FLAGS */
	struct store_entry entry; /* of FLAGS */
};
/* The next thing to tell this session, in an order that is right to send:
 * expunges first (only if `expunges` is allowed now, RFC 3501 7.4.1), then
 * EXISTS and RECENT, then flags. OK with an event (the view counts it as told),
 * E_NOENT when there is nothing left, E_AGAIN after a slice without a result.
 * durable_only: flags whose change is not yet durable are left for later. */
int view_next(struct views *v, struct view *view, bool expunges, bool durable_only, struct view_event *event);
/* True when view_next(expunges true) would have something. Cheap. */
bool view_pending(struct views *v, const struct view *view);
/* The session itself made this change and was told by its command's answer. */
void view_own_change(struct views *v, struct view *view, uint64_t modseq);

/* ---- sets of numbers or UIDs ---- */

/* A sequence-set of RFC 3501 section 9, walked straight from its text, so that
 * it takes no memory: "1:5,8,10:*". `*` is the largest number or UID. */
struct view_set {
	struct bytes text;
	bool uids; /* UIDs, else numbers */
};
/* OK or E_SYNTAX; zero is no number (RFC 3501 section 9, nz-number). */
int view_set_parse(struct bytes text, bool uids, struct view_set *set);
/* Walks the messages of a set that exist in the view. The order is the set's own; a
 * message named twice comes once when the ranges ascend. Resumable: a cursor is
 * a place and holds across turns and expunges. */
struct view_walk {
	struct view_set set;
	size_t at;            /* private: offset in the text of the next range */
	uint32_t next, last;  /* private: rest of the current range, as UIDs */
	uint32_t done_to;     /* private */
	bool in_range;        /* private */
	struct store_cursor cursor; /* private */
};
void view_walk_begin(struct view_walk *w, struct view_set set);
/* OK with entry and number; E_NOENT at the end; E_GONE for a number whose
 * message was expunged but not told (entry->uid and *number are set; walk on);
 * E_RANGE for a number beyond exists (RFC 3501: an error of the client);
 * E_AGAIN after a slice. UIDs that are not there are passed over silently. */
int view_walk_next(struct views *v, const struct view *view, struct view_walk *w, struct store_entry *entry,
	uint32_t *number);
/* Whether uid/number is in the set, without walking. */
bool view_set_contains(struct views *v, const struct view *view, struct view_set set, uint32_t number, uint32_t uid);

#endif
