/* Telling a session what changed. Expunges are told in rounds: a round takes
 * the tombstones there are when it begins, highest UID first, and whatever
 * comes meanwhile waits for the next; the same with flags, upwards and by
 * MODSEQ. So a view needs two places and no list, and nothing is told twice. */
#include "view/view.h"

#include <assert.h>

#include "base/err.h"
#include "view/view_int.h"

static bool next_expunge(struct views *v, struct view *view, struct view_event *event)
{
	struct viewer *w = viewer_of(view);

	while (w->round != w->told || change_after(w->watch->change, w->told)) {
		struct untold u;
		uint32_t uid;

		if (w->round == w->told) {
			w->round = w->watch->change;
			w->round_uid = UINT32_MAX;
			w->watch->taken = true;
		}
		u = view_untold_set(view);
		uid = untold_previous(&v->tombstones, &u, w->round_uid, w->round);
		if (uid == 0) {
			view_told(v, w, w->round);
			continue;
		}
		*event = (struct view_event){ .kind = VIEW_EXPUNGE, .number = view_known(v, view, uid), .uid = uid };
		w->round_uid = uid;
		v->stamp++;
		view->exists--;
		return true;
	}
	return false;
}

static void take_arrivals(struct views *v, struct view *view, const struct store_mailbox *m)
{
	struct viewer *w = viewer_of(view);
	uint32_t from = view->uidnext, exists;

	if (!w->new_modseq) {
		w->new_from = from;
		w->new_modseq = m->modseq;
	}
	view->uidnext = m->uidnext;
	exists = view_known(v, view, m->uidnext - 1);
	assert(exists >= view->exists);
	if (exists == view->exists)
		return;
	view->exists = exists;
	w->tell_exists = true;
	w->tell_recent |= view_take_recent(v, view, m, from);
}

/* Reads the mailbox again after something happened in it. */
static int look(struct views *v, struct view *view)
{
	struct viewer *w = viewer_of(view);
	struct store_mailbox m;
	int rc;

	if (!w->look)
		return OK;
	rc = store_mailbox_get(v->st, view->mailbox, &m);
	if (rc != OK)
		return rc;
	w->look = false;
	w->highest = m.modseq;
	if (m.uidnext > view->uidnext)
		take_arrivals(v, view, &m);
	return OK;
}

static bool next_count(struct views *v, struct view *view, struct view_event *event)
{
	struct viewer *w = viewer_of(view);

	if (w->tell_exists) {
		w->tell_exists = false;
		*event = (struct view_event){ .kind = VIEW_EXISTS, .number = view->exists };
		return true;
	}
	if (w->tell_recent) {
		w->tell_recent = false;
		*event = (struct view_event){ .kind = VIEW_RECENT, .number = view_recent(v, view) };
		return true;
	}
	return false;
}

static bool is_own(const struct view *view, uint64_t modseq)
{
	return view->own_last && modseq >= view->own_first && modseq <= view->own_last;
}

/* Flags that the client asks for itself, because it just heard of the message. */
static bool is_new(const struct viewer *w, const struct store_entry *entry)
{
	return w->new_modseq && entry->uid >= w->new_from && entry->modseq <= w->new_modseq;
}

static bool begin_flags(struct view *view)
{
	struct viewer *w = viewer_of(view);

	if (view->modseq >= w->highest) {
		/* Nothing was heard of since the mailbox was read. */
		w->changes = 0;
		return false;
	}
	w->flags_round = true;
	w->flags_to = w->highest;
	store_cursor_init(&w->cursor, view->mailbox, 0);
	return true;
}

static void end_flags(struct view *view)
{
	struct viewer *w = viewer_of(view);

	w->flags_round = false;
	view->modseq = w->flags_to;
	if (view->own_last <= view->modseq)
		view->own_first = view->own_last = 0;
	if (w->new_modseq <= view->modseq)
		w->new_modseq = 0;
}

static int next_flags(struct views *v, struct view *view, struct view_event *event)
{
	struct viewer *w = viewer_of(view);

	for (uint32_t n = 0; n < LIMIT_SLICE_ENTRIES; n++) {
		struct store_entry *entry = &event->entry;
		int rc;

		if (!w->flags_round && !begin_flags(view))
			return E_NOENT;
		rc = store_cursor_changed(v->st, &w->cursor, view->modseq, entry);
		if (rc == E_NOENT || (rc == OK && entry->uid >= view->uidnext)) {
			end_flags(view);
			continue;
		}
		if (rc != OK)
			return rc;
		if (entry->modseq > w->flags_to || is_own(view, entry->modseq) || is_new(w, entry))
			continue;
		event->kind = VIEW_FLAGS;
		event->uid = entry->uid;
		event->number = view_known(v, view, entry->uid);
		return OK;
	}
	return E_AGAIN;
}

int view_next(struct views *v, struct view *view, bool expunges, bool durable_only, struct view_event *event)
{
	struct viewer *w = view->viewer;
	int rc;

	if (!view->open || view->gone || !w->news)
		return E_NOENT;
	if (expunges && next_expunge(v, view, event))
		return OK;
	rc = look(v, view);
	if (rc != OK)
		return rc;
	if (next_count(v, view, event))
		return OK;
	if (durable_only && !store_all_durable(v->st)) {
		w->woken = false;
		w->held = v->held = true;
		/* Lazy changes may take long to be synced, and the client waits for these. */
		if (w->flags_round || view->modseq < w->highest)
			store_commit_request(v->st);
		return E_NOENT;
	}
	rc = next_flags(v, view, event);
	if (rc != E_NOENT)
		return rc;
	w->woken = false;
	/* Expunges that are not allowed now are still news, and so is what taking \Recent may have brought. */
	w->news = w->look || change_after(w->watch->change, w->told);
	return E_NOENT;
}

bool view_pending(struct views *v, const struct view *view)
{
	(void)v;
	return view->open && !view->gone && viewer_of(view)->news;
}

/* MODSEQs of a mailbox have gaps, so that own changes are neighbours when
 * nothing else was heard of in between. */
void view_own_change(struct views *v, struct view *view, uint64_t modseq)
{
	struct viewer *w = view->viewer;
	struct store_mailbox m;
	bool last, alone;

	if (!view->open || view->gone || modseq <= view->modseq || is_own(view, modseq))
		return;
	last = store_mailbox_get(v->st, view->mailbox, &m) == OK && m.modseq == modseq;
	alone = last && w->changes == 1;
	if (alone && view->own_last)
		view->own_last = modseq;
	else if (alone && !w->flags_round)
		view->modseq = modseq;
	else
		/* One run is kept: of an older one the client will hear once more. */
		view->own_first = view->own_last = modseq;
	if (last)
		w->changes = 0;
}

bool view_untold(struct views *v, const struct view *view, const struct store_entry *before)
{
	(void)v;
	return view->open && !view->gone && before->modseq > view->modseq && !is_own(view, before->modseq) &&
		!is_new(viewer_of(view), before);
}
