/* What the files of the view share among themselves. */
#ifndef VIEW_VIEW_INT_H
#define VIEW_VIEW_INT_H

#include "store/store.h"
#include "view/tombstones.h"
#include "view/view.h"

/* A mailbox that somebody has selected. */
struct watch {
	uint32_t mailbox; /* 0: a free place */
	uint32_t change;  /* of the tombstones that come now */
	bool taken;       /* a view has been told up to `change`: the next tombstone gets a new one */
	struct viewer *viewers;
};

/* The private half of an open view. */
struct viewer {
	struct view *view;
	struct watch *watch; /* NULL once the view is gone */
	struct viewer *next; /* of the same mailbox */
	void *context;
	uint32_t told;       /* all tombstones up to this change were told */
	uint32_t round;      /* those up to this one are being told, from the top down; `told` between rounds */
	uint32_t round_uid;  /* down to here */
	bool news;           /* something happened that view_next has not dealt with */
	bool look;           /* arrivals or flags: read the mailbox again */
	bool woken;
	bool held;           /* waits for all changes to be durable */
	bool tell_exists, tell_recent;
	bool flags_round;    /* flags are being told, up to flags_to */
	uint64_t flags_to;
	uint64_t highest;    /* HIGHESTMODSEQ when the mailbox was last read */
	uint64_t new_modseq; /* messages from new_from on were announced at this MODSEQ: no flags to tell up to it */
	uint32_t new_from;
	uint32_t changes;    /* heard of since own_last, or since the view's modseq when there is none */
	struct store_cursor cursor;
};

struct views {
	struct store *st;
	void (*wake)(void *context);
	struct tombstones tombstones;
	struct pool viewers;
	struct watch *watches; /* as many as viewers */
	uint64_t stamp;        /* moves when a number of any view may have changed */
	bool held;             /* some viewer is held */
};

static inline struct viewer *viewer_of(const struct view *view)
{
	return view->viewer;
}

struct untold view_untold_set(const struct view *view);
/* Messages up to this UID that the session believes in. */
uint32_t view_known(struct views *v, const struct view *view, uint32_t uid);
/* Takes the \Recent messages of the mailbox, as just read, from UID `from` on:
 * true when there are some. */
bool view_take_recent(struct views *v, struct view *view, const struct store_mailbox *mailbox, uint32_t from);
/* All tombstones up to `told` were told to this viewer: forgets what nobody
 * needs any more. */
void view_told(struct views *v, struct viewer *viewer, uint32_t told);
/* Ends a view from our side. */
void view_lose(struct views *v, struct viewer *viewer);

/* One range of a set; 0 stands for `*`. */
struct set_range {
	uint32_t first, last;
	bool star;
};
/* The next range of a text that view_set_parse has accepted; *at moves behind
 * it and its comma. False at the end. */
bool set_range(struct bytes text, size_t *at, struct set_range *range);
/* Replaces `*` by `star` and puts the smaller end first. */
void set_range_order(struct set_range *range, uint32_t star);
/* The UID that `*` means, 0 in an empty mailbox. */
uint32_t view_last_uid(struct views *v, const struct view *view);

#endif
