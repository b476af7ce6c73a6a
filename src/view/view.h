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
	void *viewer;       /* private */
};

struct views;

/* sessions: views open at once. tombstones: expunged UIDs (runs of neighbours
 * count once) that may wait to be told. When they are used up, the view that
 * lags most in the mailbox that holds most of them is gone; so a session whose
 * own EXPUNGE or MOVE takes several slices tells what it may between them. */
size_t views_memory(uint32_t sessions, uint32_t tombstones);
int views_init(struct views **v, struct arena *arena, struct store *st, uint32_t sessions, uint32_t tombstones);
/* wake(context of view_open) is called when a view's mailbox changed or is gone,
 * so that a session in IDLE can run. It is called once, and not again for that
 * view before view_next has answered E_NOENT. It runs inside the store's
 * callbacks: it may only mark the session. */
void views_on_change(struct views *v, void (*wake)(void *context));
/* To be called after every store_commit_done: wakes the sessions that view_next
 * held back by durable_only, once all changes are durable. */
void views_committed(struct views *v);

/* The mailbox is no longer what its sessions selected: their views are gone. */
void views_lose(struct views *v, uint32_t mailbox);

/* Selects; *view must stay where it is until view_close. E_NOENT, E_IO,
 * E_DAMAGED; E_NOMEM when there are more views than sessions. A read-write view
 * takes the mailbox's \Recent messages. */
int view_open(struct views *v, struct view *view, uint32_t mailbox, bool read_only, void *context);
/* Nothing happens when it is not open. */
void view_close(struct views *v, struct view *view);
/* Number of messages that are \Recent in this session: for SELECT's RECENT. */
uint32_t view_recent(struct views *v, const struct view *view);
static inline bool view_is_recent(const struct view *view, uint32_t uid)
{
	return view->recent_first && uid >= view->recent_first && uid <= view->recent_last;
}

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
 * expunges first (only if `expunges` is allowed now, RFC 3501 7.4.1; highest
 * numbers first), then EXISTS and RECENT, then flags. OK with an event (the view
 * counts it as told), E_NOENT when there is nothing left or the view is gone,
 * E_AGAIN after a slice without a result. durable_only: while some change is not
 * durable, flags are left for later (views_committed wakes the session then).
 * A message whose flags changed several times is told once, with the last. */
int view_next(struct views *v, struct view *view, bool expunges, bool durable_only, struct view_event *event);
/* False when view_next(expunges true) has nothing. True says only that
 * something happened since: it may come to nothing (the session's own changes).
 * Costs nothing. */
bool view_pending(struct views *v, const struct view *view);
/* The session itself made this change of flags (MODSEQ of store_flags, 0 is
 * fine) and was told by its command's answer; call it once the change is
 * applied. Not for expunges, its own ones included: these always come by
 * view_next, which the command calls when it has done a slice. */
void view_own_change(struct views *v, struct view *view, uint64_t modseq);
/* True when flags of this entry (as it was before the session's own change) were
 * changed by somebody else and not told yet. STORE .SILENT must answer with
 * FETCH for such a message all the same, or the client would never know. */
bool view_untold(struct views *v, const struct view *view, const struct store_entry *before);

/* ---- sets of numbers or UIDs ---- */

/* A sequence-set of RFC 3501 section 9, walked straight from its text, so that
 * it takes no memory: "1:5,8,10:*". `*` is the largest number or UID. */
struct view_set {
	struct bytes text;
	bool uids; /* UIDs, else numbers */
};
/* OK or E_SYNTAX; zero is no number (RFC 3501 section 9, nz-number). */
int view_set_parse(struct bytes text, bool uids, struct view_set *set);
/* E_RANGE when a set of numbers names one beyond EXISTS, so that a command can
 * be refused before it has done half of its work. `*` in an empty mailbox is
 * let pass: it names nothing. Linear in the text. */
int view_set_check(const struct view *view, struct view_set set);
/* Walks the messages of a set that exist in the view. The order is the set's own; a
 * message named twice comes once when the ranges ascend. Resumable: a cursor is
 * a place and holds across turns and expunges. */
struct view_walk {
	struct view_set set;
	size_t at;                  /* private, as all that follows: offset of the next range in the text */
	uint32_t last;              /* the current range ends with this UID */
	uint32_t number;            /* of the next known message, 0: not computed */
	uint32_t dead;              /* UID of the next one that is expunged but not told, UINT32_MAX: none */
	uint32_t range_first;       /* where the current range began */
	uint32_t done_to;           /* highest UID given out, while ranges ascend */
	uint64_t stamp;             /* number and dead hold as long as this is the views' */
	bool in_range;
	bool gone_too;              /* public: E_GONE for UIDs, too */
	struct store_cursor cursor; /* its UID: everything up to here in the range is done */
};
void view_walk_begin(struct view_walk *w, struct view_set set);
/* OK with entry and number; E_NOENT at the end, or when the view is gone; E_GONE
 * for a number whose message was expunged but not told (entry->uid and *number
 * are set; walk on), and for such a UID if gone_too is set; E_RANGE for a number beyond exists (RFC 3501: an error of
 * the client; see view_set_check); E_AGAIN after a slice of empty ranges. UIDs
 * that are not there are passed over silently. E_IO, E_DAMAGED.
 * A range's numbers are turned into UIDs when the walk comes to it. */
int view_walk_next(struct views *v, const struct view *view, struct view_walk *w, struct store_entry *entry,
	uint32_t *number);
/* Whether uid/number is in the set, without walking. Linear in the text. */
bool view_set_contains(struct views *v, const struct view *view, struct view_set set, uint32_t number, uint32_t uid);

#endif
