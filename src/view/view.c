/* Views and the mailboxes they watch. The number of a message is the number of
 * live ones up to it, which the store's tree counts, plus the tombstones up to
 * it that this session has not been told of. */
#include "view/view.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "view/view_int.h"

size_t views_memory(uint32_t sessions, uint32_t tombstones)
{
	return arena_size(sizeof(struct views)) + pool_size(sizeof(struct viewer), sessions) +
		arena_size(sessions * sizeof(struct watch)) + arena_size(tombstones * sizeof(struct tombstone));
}

/* ---- what the store tells ---- */

static struct watch *watch_find(struct views *v, uint32_t mailbox)
{
	for (uint32_t i = 0; i < v->viewers.count; i++)
		if (v->watches[i].mailbox == mailbox)
			return &v->watches[i];
	return NULL;
}

static void wake(struct views *v, struct viewer *w)
{
	w->news = true;
	if (w->woken)
		return;
	w->woken = true;
	if (v->wake)
		v->wake(w->context);
}

static void on_changed(void *context, uint32_t mailbox)
{
	struct views *v = context;
	struct watch *watch = watch_find(v, mailbox);

	if (!watch)
		return;
	for (struct viewer *w = watch->viewers; w; w = w->next) {
		w->look = true;
		w->changes++;
		wake(v, w);
	}
}

/* The view that has been told least; among equals the one that came first. */
static struct viewer *most_lagging(const struct watch *watch)
{
	struct viewer *worst = watch->viewers;

	for (struct viewer *w = watch->viewers; w; w = w->next)
		if (!change_after(w->told, worst->told))
			worst = w;
	return worst;
}

static void on_expunged(void *context, uint32_t mailbox, uint32_t uid, uint64_t modseq)
{
	struct views *v = context;
	struct watch *watch = watch_find(v, mailbox);

	(void)modseq;
	if (!watch)
		return;
	if (watch->taken) {
		watch->taken = false;
		watch->change++;
	}
	v->stamp++;
	while (!tombstones_add(&v->tombstones, mailbox, uid, watch->change)) {
		struct watch *full = watch_find(v, tombstones_largest(&v->tombstones));

		view_lose(v, most_lagging(full && full->viewers ? full : watch));
		if (!watch->viewers)
			return;
	}
	for (struct viewer *w = watch->viewers; w; w = w->next)
		wake(v, w);
}

void views_lose(struct views *v, uint32_t mailbox)
{
	struct watch *watch = watch_find(v, mailbox);

	while (watch && watch->viewers)
		view_lose(v, watch->viewers);
}

static void on_deleted(void *context, uint32_t mailbox)
{
	views_lose(context, mailbox);
}

int views_init(struct views **out, struct arena *arena, struct store *st, uint32_t sessions, uint32_t tombstones)
{
	struct views *v = arena_take(arena, sizeof *v);
	struct store_observer observer = { v, on_changed, on_expunged, on_deleted };

	if (!v || !pool_init(&v->viewers, arena, "views", sizeof(struct viewer), sessions))
		return E_NOMEM;
	v->watches = arena_take(arena, sessions * sizeof *v->watches);
	v->tombstones.all = arena_take(arena, tombstones * sizeof *v->tombstones.all);
	v->tombstones.cap = tombstones;
	if (!v->watches || !v->tombstones.all)
		return E_NOMEM;
	v->st = st;
	store_observe(st, &observer);
	*out = v;
	return OK;
}

void views_on_change(struct views *v, void (*on_change)(void *context))
{
	v->wake = on_change;
}

void views_committed(struct views *v)
{
	if (!v->held || !store_all_durable(v->st))
		return;
	v->held = false;
	for (uint32_t i = 0; i < v->viewers.count; i++)
		for (struct viewer *w = v->watches[i].viewers; w; w = w->next)
			if (w->held) {
				w->held = false;
				wake(v, w);
			}
}

/* ---- opening and closing ---- */

bool view_take_recent(struct views *v, struct view *view, const struct store_mailbox *mailbox, uint32_t from)
{
	uint32_t first = mailbox->recent;

	if (!view->read_only && store_recent_take(v->st, view->mailbox, &first) != OK)
		return false;
	if (first < from)
		first = from;
	if (first >= view->uidnext)
		return false;
	/* What other sessions took in between is recent here as well: RFC 3501 2.3.2 leaves it open. */
	if (!view->recent_first)
		view->recent_first = first;
	view->recent_last = view->uidnext - 1;
	return true;
}

int view_open(struct views *v, struct view *view, uint32_t mailbox, bool read_only, void *context)
{
	struct store_mailbox m;
	struct watch *watch;
	struct viewer *w;
	int rc = store_mailbox_get(v->st, mailbox, &m);

	memset(view, 0, sizeof *view);
	if (rc != OK)
		return rc;
	w = pool_get(&v->viewers);
	if (!w)
		return E_NOMEM;
	watch = watch_find(v, mailbox);
	if (!watch) {
		watch = watch_find(v, 0);
		assert(watch);
		*watch = (struct watch){ .mailbox = mailbox };
	}
	*w = (struct viewer){ .view = view, .watch = watch, .next = watch->viewers, .context = context };
	w->told = w->round = watch->change;
	w->highest = m.modseq;
	watch->taken = true;
	watch->viewers = w;
	view->mailbox = mailbox;
	view->uidnext = m.uidnext;
	view->modseq = m.modseq;
	view->open = true;
	view->read_only = read_only;
	view->viewer = w;
	view->exists = view_known(v, view, m.uidnext - 1);
	view_take_recent(v, view, &m, 1);
	return OK;
}

/* Tombstones that all viewers of a mailbox have been told of are of no use. */
static void forget(struct views *v, struct watch *watch)
{
	const struct viewer *last;

	if (v->tombstones.n == 0)
		return;
	last = most_lagging(watch);
	if (last)
		tombstones_forget(&v->tombstones, watch->mailbox, last->told);
	else
		tombstones_drop(&v->tombstones, watch->mailbox);
}

static void leave(struct views *v, struct viewer *viewer)
{
	struct watch *watch = viewer->watch;
	struct viewer **link;

	if (!watch)
		return;
	for (link = &watch->viewers; *link != viewer; link = &(*link)->next)
		assert(*link);
	*link = viewer->next;
	viewer->watch = NULL;
	v->stamp++;
	forget(v, watch);
	if (!watch->viewers)
		watch->mailbox = 0;
}

void view_told(struct views *v, struct viewer *viewer, uint32_t told)
{
	viewer->told = viewer->round = told;
	v->stamp++;
	forget(v, viewer->watch);
}

void view_lose(struct views *v, struct viewer *viewer)
{
	leave(v, viewer);
	viewer->view->gone = true;
	viewer->woken = false;
	wake(v, viewer);
}

void view_close(struct views *v, struct view *view)
{
	struct viewer *w = view->viewer;

	if (!view->open)
		return;
	leave(v, w);
	pool_put(&v->viewers, w);
	view->open = false;
	view->viewer = NULL;
}

/* ---- numbers ---- */

struct untold view_untold_set(const struct view *view)
{
	const struct viewer *w = viewer_of(view);

	return (struct untold){ view->mailbox, w->told, w->round, w->round_uid, view->uidnext };
}

static bool following(const struct view *view)
{
	return view->open && !view->gone;
}

uint32_t view_known(struct views *v, const struct view *view, uint32_t uid)
{
	uint32_t n;

	/* Staged copies stand beyond UIDNEXT: they don't count. */
	if (uid >= view->uidnext)
		uid = view->uidnext - 1;
	n = store_rank(v->st, view->mailbox, uid);
	if (v->tombstones.n > 0) {
		struct untold u = view_untold_set(view);

		n += untold_count(&v->tombstones, &u, uid);
	}
	return n;
}

uint32_t view_recent(struct views *v, const struct view *view)
{
	if (!following(view) || !view->recent_first)
		return 0;
	return view_known(v, view, view->recent_last) - view_known(v, view, view->recent_first - 1);
}

uint32_t view_number(struct views *v, const struct view *view, uint32_t uid)
{
	struct store_entry entry;

	if (!following(view) || uid == 0 || uid >= view->uidnext)
		return 0;
	if (store_entry_get(v->st, view->mailbox, uid, &entry) != OK) {
		struct untold u = view_untold_set(view);

		if (untold_next(&v->tombstones, &u, uid - 1) != uid)
			return 0;
	}
	return view_known(v, view, uid);
}

static int live_uid(struct views *v, const struct view *view, uint32_t rank, uint32_t *uid)
{
	struct store_entry entry;
	int rc = store_entry_at(v->st, view->mailbox, rank, &entry);

	if (rc == OK)
		*uid = entry.uid;
	return rc;
}

int view_uid(struct views *v, const struct view *view, uint32_t number, uint32_t *uid)
{
	const struct tombstone *all = v->tombstones.all;
	struct untold u;
	uint32_t low, high, from, before, part;

	if (!following(view) || number == 0 || number > view->exists)
		return E_NOENT;
	if (v->tombstones.n == 0)
		return live_uid(v, view, number, uid);
	u = view_untold_set(view);
	tombstones_range(&v->tombstones, view->mailbox, &from, &high);
	/* The last entry before which fewer than `number` messages are known. */
	for (low = from; low < high;) {
		uint32_t middle = low + (high - low) / 2;

		if (view_known(v, view, all[middle].first - 1) < number)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == from)
		return live_uid(v, view, number, uid);
	before = view_known(v, view, all[low - 1].first - 1);
	part = untold_of(&all[low - 1], &u);
	if (number - before <= part) {
		*uid = all[low - 1].first + number - before - 1;
		return E_GONE;
	}
	before = untold_count(&v->tombstones, &u, all[low - 1].first + all[low - 1].count - 1);
	return live_uid(v, view, number - before, uid);
}

uint32_t view_last_uid(struct views *v, const struct view *view)
{
	uint32_t uid = 0;
	int rc = view_uid(v, view, view->exists, &uid);

	return rc == OK || rc == E_GONE ? uid : 0;
}
