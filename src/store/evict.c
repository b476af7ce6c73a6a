/* When mail goes: who asks for room, the high mark, and what the owner wants to
 * know. States: idle -> planning -> running -> idle; a plan that finds too little
 * ends at once, and its answer is believed for a while. */
#include "store/store_int.h"

#include <string.h>

#include "base/log.h"

/* How long what a plan found is believed: looking costs a pass over all entries. */
#define BELIEVED_US (10 * UINT64_C(1000000))
/* The high mark can't be met: looked at again after this time. */
#define PRESSED_US (60 * UINT64_C(1000000))

void evict_init(struct store *st)
{
	st->evict.want = -1;
}

void store_evict_configure(struct store *st, const struct store_evict_config *config)
{
	struct evict *ev = &st->evict;

	ev->config = *config;
	ev->configured = true;
	ev->fresh_more = true;
	ev->pressed_until_us = 0;
	for (unsigned i = 0; i < EVICT_WANTS; i++)
		ev->wants[i].known_until_us = 0;
	/* A plan made by other rules is none, and what is being carried out ends. */
	ev->preview.stage = EVICT_NONE;
	if (!ev->running)
		ev->plan.stage = EVICT_NONE;
	ev->done_walking = true;
	evict_batch_drop(st);
}

/* ---- needs ---- */

/* What may go for the store's sake depends on who asks. */
static struct evict_want *find_want(struct store *st, uint32_t owner, uint32_t requester)
{
	struct evict *ev = &st->evict;
	struct evict_want *oldest = NULL;

	for (unsigned i = 0; i < EVICT_WANTS; i++) {
		struct evict_want *w = &ev->wants[i];

		if (w->used && w->owner == owner && w->requester == requester)
			return w;
		if ((int)i != ev->want && (!oldest || w->asked_us < oldest->asked_us))
			oldest = w;
	}
	*oldest = (struct evict_want){ .used = true, .owner = owner, .requester = requester };
	return oldest;
}

int evict_request(struct store *st, uint32_t owner, uint32_t requester, uint64_t bytes, uint64_t wish, bool act)
{
	uint64_t now = port_now_us();
	struct evict_want *w;

	if (!st->evict.configured || !st->evict.config.on)
		return E_FULL;
	w = find_want(st, owner, requester);
	w->asked_us = now;
	if (now < w->known_until_us && (w->possible < bytes || !act)) {
		st->evict.refused += w->possible < bytes;
		return w->possible < bytes ? E_FULL : OK;
	}
	if (act) {
		if (bytes > w->least)
			w->least = bytes;
		if (wish > w->goal)
			w->goal = wish;
	} else {
		w->survey = true;
	}
	return E_AGAIN;
}

/* ---- planning ---- */

static bool mark_is_passed(const struct store *st)
{
	return st->super.live > space_capacity(st) / 100 * st->evict.config.high ||
		room_index_excess(st, st->evict.config.high) > 0;
}

/* What the high mark asks for: down to the low one; at least below itself. */
static void mark_goal(const struct store *st, uint64_t *goal, uint64_t *least)
{
	uint64_t part = space_capacity(st) / 100, live = st->super.live;

	*goal = live > part * st->evict.config.low ? live - part * st->evict.config.low : 0;
	*least = live > part * st->evict.config.high ? live - part * st->evict.config.high : 1;
	if (room_index_excess(st, st->evict.config.low) > *goal)
		*goal = room_index_excess(st, st->evict.config.low);
}

/* What was asked for while others made room was counted without that: who still
 * needs it asks again. */
static void forget_asked(struct evict *ev)
{
	for (unsigned i = 0; i < EVICT_WANTS; i++)
		ev->wants[i].goal = ev->wants[i].least = 0;
}

static bool waits(const struct evict_want *w)
{
	return w->used && (w->least || w->survey);
}

static int begin_plan(struct store *st)
{
	struct evict *ev = &st->evict;
	uint64_t goal, least;
	int err;

	for (int n = 0; n < EVICT_WANTS; n++) {
		int i = (ev->want + 1 + n) % EVICT_WANTS;
		struct evict_want *w = &ev->wants[i];

		if (!waits(w))
			continue;
		ev->want = i;
		err = evict_plan_begin(st, &ev->plan, w->owner, w->requester, w->goal, w->least);
		ev->plan.survey_only = w->least == 0;
		w->goal = w->least = 0;
		return err == OK ? E_AGAIN : err;
	}
	ev->want = -1;
	if (!ev->now && (!ev->config.on || !mark_is_passed(st) || port_now_us() < ev->pressed_until_us))
		return OK;
	/* What small messages waste is won first: it costs nobody his mail. */
	if (!ev->now && room_index_excess(st, ev->config.high) == 0 && clean_can_pack(st)) {
		st->pack_wanted = true;
		return E_AGAIN;
	}
	mark_goal(st, &goal, &least);
	if (ev->now)
		least = 1;
	ev->now = false;
	if (goal == 0)
		return OK;
	err = evict_plan_begin(st, &ev->plan, 0, 0, goal, least);
	return err == OK ? E_AGAIN : err;
}

static void begin_run(struct store *st)
{
	struct evict *ev = &st->evict;

	ev->plan.walk = (struct evict_walk){ .owner = ev->plan.owner };
	ev->running = true;
	ev->done_walking = false;
	ev->removed = 0;
	ev->unarchived = false;
	ev->runs++;
}

static void end_plan(struct store *st)
{
	struct evict *ev = &st->evict;
	struct evict_want *w = ev->want >= 0 ? &ev->wants[ev->want] : NULL;

	if (w) {
		w->possible = ev->plan.possible;
		w->known_until_us = port_now_us() + BELIEVED_US;
		w->survey = false;
	}
	if (ev->plan.stage == EVICT_READY) {
		begin_run(st);
		return;
	}
	if (w) {
		w->goal = w->least = 0;
	} else {
		ev->pressed_until_us = port_now_us() + PRESSED_US;
		log_warning("store: %llu%% of the storage for mail is used, and too little of it may go (%llu KiB)",
			(unsigned long long)(st->super.live / (space_capacity(st) / 100 + 1)),
			(unsigned long long)(ev->plan.possible >> 10));
	}
	ev->plan.stage = EVICT_NONE;
}

static void end_run(struct store *st, int err)
{
	struct evict *ev = &st->evict;
	struct evict_want *w = ev->want >= 0 ? &ev->wants[ev->want] : NULL;
	bool vain = err != OK || ev->removed == 0;

	ev->running = ev->by_hand = false;
	ev->plan.stage = EVICT_NONE;
	evict_batch_drop(st);
	ev->ticket = 0;
	forget_asked(ev);
	if (ev->removed)
		log_notice("store: %llu messages were let go to make room", (unsigned long long)ev->removed);
	/* Whoever archives has said what is wrong. */
	if (err != OK && !ev->unarchived)
		log_error("store: letting old mail go ended early (%s)", err_text(err));
	/* What could not be done is not tried again in each turn. */
	if (w) {
		w->known_until_us = vain ? port_now_us() + BELIEVED_US : 0;
		w->possible = vain ? 0 : w->possible;
	} else if (vain) {
		ev->pressed_until_us = port_now_us() + PRESSED_US;
	}
}

/* The index can't be read somewhere: nothing goes, everything else goes on. */
static void break_plan(struct store *st, int err)
{
	struct evict *ev = &st->evict;

	log_error("store: what may go can't be found out (%s)", err_text(err));
	ev->plan.stage = EVICT_SHORT;
	ev->plan.possible = 0;
	end_plan(st);
}

int evict_slice(struct store *st)
{
	struct evict *ev = &st->evict;
	int err;

	if (!ev->configured)
		return OK;
	if (ev->running) {
		err = evict_run_slice(st);
		if (err != E_AGAIN)
			end_run(st, err);
		return E_AGAIN;
	}
	if (ev->plan.stage == EVICT_SURVEY || ev->plan.stage == EVICT_NARROW) {
		err = evict_plan_slice(st, &ev->plan);
		if (err == OK)
			end_plan(st);
		else if (err != E_AGAIN)
			break_plan(st, err);
		return E_AGAIN;
	}
	/* In turns with the rules of mailboxes: there may always be one to look at. */
	if (!ev->expiring && ev->expired_last) {
		ev->expired_last = false;
		err = begin_plan(st);
		if (err != OK)
			return err;
	}
	err = evict_expire_slice(st);
	ev->expired_last = err == E_AGAIN;
	return err == OK ? begin_plan(st) : err;
}

/* ---- by hand ---- */

void store_evict_now(struct store *st)
{
	st->evict.now = true;
}

bool store_evict_running(const struct store *st)
{
	const struct evict *ev = &st->evict;

	return ev->now || ev->running || ev->plan.stage == EVICT_SURVEY || ev->plan.stage == EVICT_NARROW;
}

/* ---- looking ahead ---- */

void store_evict_preview_begin(struct store *st, uint32_t owner)
{
	struct evict *ev = &st->evict;
	uint64_t all = owner ? quota_bytes(st, owner) : space_capacity(st), used = st->super.live, messages, goal;
	uint64_t high = all / 100 * ev->config.high, low = all / 100 * ev->config.low;

	if (owner)
		store_owner_usage(st, owner, &used, &messages);
	goal = all == STORE_NO_QUOTA ? 0 : (used > high ? used : high) - low;
	if (!owner && room_index_excess(st, ev->config.low) > goal)
		goal = room_index_excess(st, ev->config.low);
	ev->preview_number++;
	memset(&ev->seen, 0, sizeof ev->seen);
	ev->preview.stage = EVICT_NONE;
	if (!ev->configured || all == 0 || all == STORE_NO_QUOTA ||
		evict_plan_begin(st, &ev->preview, owner, 0, goal, used > high ? used - high : 1) != OK)
		ev->preview.stage = EVICT_NONE;
	ev->preview_walk = (struct evict_walk){ .owner = owner };
	ev->seen.goal = goal;
}

static void see(struct evict *ev, const struct store_evict_item *item)
{
	struct store_evict_preview *p = &ev->seen;

	if (item->goes) {
		p->bytes += item->entry.size;
		p->messages++;
	} else {
		p->kept_bytes[item->kept] += item->entry.size;
		p->kept_messages[item->kept]++;
	}
}

int store_evict_preview_next(struct store *st, struct store_evict_item *item)
{
	struct evict *ev = &st->evict;
	unsigned rank = 0;
	int err;

	if (ev->preview.stage == EVICT_NONE)
		return E_NOENT;
	if (ev->preview.stage != EVICT_READY && ev->preview.stage != EVICT_SHORT) {
		err = evict_plan_slice(st, &ev->preview);
		if (err != OK)
			return err;
		ev->seen.possible = ev->preview.possible;
		ev->seen.enough = ev->preview.stage == EVICT_READY;
		ev->seen.id = evict_plan_id(st, &ev->preview);
		return E_AGAIN;
	}
	err = evict_walk_next(st, &ev->preview_walk, &item->entry);
	if (err != OK)
		return err;
	item->mailbox = ev->preview_walk.mailbox;
	item->owner = ev->preview_walk.kind.owner;
	err = evict_goes(st, &ev->preview, &ev->preview_walk.kind, &item->entry, &item->kept, &rank);
	if (err != OK && err != E_RANGE)
		return err;
	item->goes = err == OK && item->kept == STORE_KEPT_NOT && ev->preview.stage == EVICT_READY;
	item->class = item->kept == STORE_KEPT_NOT ? (enum store_class)ev->config.order[rank] : STORE_CLASSES;
	see(ev, item);
	return OK;
}

uint64_t store_evict_preview_number(const struct store *st)
{
	return st->evict.preview_number;
}

void store_evict_preview_get(const struct store *st, struct store_evict_preview *out)
{
	*out = st->evict.seen;
}

int store_evict_plan(struct store *st, uint64_t id)
{
	struct evict *ev = &st->evict;

	if (st->read_only)
		return E_READONLY;
	if (ev->preview.stage != EVICT_READY || ev->seen.id != id)
		return E_NOENT;
	if (store_evict_running(st) || ev->expiring)
		return E_AGAIN;
	ev->plan = ev->preview;
	ev->preview.stage = EVICT_NONE;
	ev->want = -1;
	begin_run(st);
	ev->by_hand = true;
	return OK;
}

void store_evict_status(const struct store *st, struct store_evict_status *out)
{
	const struct evict *ev = &st->evict;

	*out = (struct store_evict_status){
		.messages = ev->messages,
		.bytes = ev->bytes,
		.life_messages = st->super.life_evicted,
		.life_bytes = st->super.life_evicted_bytes,
		.runs = ev->runs,
		.refused = ev->refused,
		.high = space_capacity(st) / 100 * ev->config.high,
		.low = space_capacity(st) / 100 * ev->config.low,
		.running = ev->running,
	};
}
