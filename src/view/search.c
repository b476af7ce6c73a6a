/* Running a search: walks the view and follows each message through the jumps
 * of the program. The place is (message, leaf, offset in its text), so a slice
 * may end anywhere. */
#include "view/search.h"

#include "base/err.h"
#include "mail/date.h"
#include "view/search_int.h"

size_t search_memory(uint32_t at_once)
{
	return arena_size(sizeof(struct searches)) + pool_size(sizeof(struct search), at_once) +
		pool_size(SEARCH_BLOCK_NODES * sizeof(struct search_node), at_once + SEARCH_SPARE_BLOCKS);
}

int search_init(struct searches **out, struct arena *arena, struct store *st, struct views *v, uint32_t at_once)
{
	struct searches *s = arena_take(arena, sizeof *s);

	if (!s || !pool_init(&s->places, arena, "searches", sizeof(struct search), at_once) ||
		!pool_init(&s->blocks, arena, "search nodes", SEARCH_BLOCK_NODES * sizeof(struct search_node),
			at_once + SEARCH_SPARE_BLOCKS))
		return E_NOMEM;
	s->st = st;
	s->views = v;
	*out = s;
	return OK;
}

int search_open(struct searches *s, const struct view *view, int64_t now, struct search **out)
{
	struct search *q = pool_get(&s->places);
	struct search_node *root;

	if (!q)
		return E_NOMEM;
	q->owner = s;
	q->view = view;
	q->now = now;
	q->serial = ++s->serial;
	q->at = SEARCH_NONE;
	q->block[0] = pool_get(&s->blocks);
	if (!q->block[0]) {
		pool_put(&s->places, q);
		return E_NOMEM;
	}
	q->n_nodes = 1;
	root = search_node(q, 0);
	*root = (struct search_node){ .kind = NODE_AND, .parent = SEARCH_NONE, .next = SEARCH_NONE };
	root->u.list.first = SEARCH_NONE;
	*out = q;
	return OK;
}

void search_close(struct search *q)
{
	if (!q)
		return;
	for (unsigned i = 0; i < SEARCH_NODES / SEARCH_BLOCK_NODES; i++)
		pool_put(&q->owner->blocks, q->block[i]);
	pool_put(&q->owner->places, q);
}

uint32_t search_unread(const struct search *q)
{
	return q->unread;
}

/* ---- where the walk begins ---- */

/* Whether the ranges of a set ascend. */
static bool ascends(const struct search *q, const struct search_node *n)
{
	struct set_range range;
	uint32_t above = 0;
	size_t at = 0;

	while (set_range(search_string(n), &at, &range)) {
		set_range_order(&range, n->field ? q->star_uid : q->star);
		if (range.first < above)
			return false;
		above = range.first;
	}
	return true;
}

/* A set that every match must be in, and that can be walked in order, is walked
 * instead of the whole mailbox. */
static void use_set(struct search *q, struct search_node *n)
{
	struct view_set set = { search_string(n), n->field != 0 };

	if (!n->sorted || q->walk.set.text.len || view_set_check(q->view, set) != OK)
		return;
	q->walk.set = set;
	n->kind = NODE_ALWAYS;
}

static int begin(struct search *q)
{
	uint32_t from = 1;

	q->started = true;
	q->end = q->view->uidnext;
	q->star = q->view->exists;
	q->star_uid = view_last_uid(q->owner->views, q->view);
	for (unsigned i = 1; i < q->n_nodes; i++)
		if (search_node(q, i)->kind == NODE_SET)
			search_node(q, i)->sorted = ascends(q, search_node(q, i));
	view_walk_begin(&q->walk, (struct view_set){ { NULL, 0 }, true });
	for (uint16_t i = search_node(q, 0)->u.list.first; i != SEARCH_NONE; i = search_node(q, i)->next) {
		struct search_node *n = search_node(q, i);

		if (n->kind == NODE_SET && !n->negated)
			use_set(q, n);
		if (n->kind == NODE_FLAGS && n->negated && n->u.bits.mask == STORE_SEEN)
			from = store_first_unseen(q->owner->st, q->view->mailbox);
		if (from == 0)
			return E_NOENT;
	}
	if (!q->walk.set.text.len)
		q->walk.set.text = bytes_of("1:*");
	q->walk.done_to = from - 1;
	return OK;
}

/* ---- leaves ---- */

static bool in_range(const struct search_node *n, int64_t value)
{
	return value >= n->u.range.low && value <= n->u.range.high;
}

static int64_t day_of(int64_t seconds, int zone)
{
	return date_day((struct date){ seconds, zone });
}

/* A set that does not bound the walk. Numbers and UIDs only go up, so one whose
 * ranges ascend is gone through once in all. */
static bool in_set(struct search *q, struct search_node *n)
{
	uint32_t value = n->field ? q->hit.entry.uid : q->hit.number;
	struct set_range range;
	size_t at = n->sorted ? n->u.text.at : 0;

	if (n->sorted && value <= n->u.text.high)
		return value >= n->u.text.low;
	while (set_range(search_string(n), &at, &range)) {
		set_range_order(&range, n->field ? q->star_uid : q->star);
		q->bytes += 16;
		n->u.text.at = (uint32_t)at;
		n->u.text.low = range.first;
		n->u.text.high = range.last;
		if (value <= range.last && (value >= range.first || n->sorted))
			return value >= range.first;
	}
	return false;
}

/* When numbers have changed, those that come may be smaller than those before. */
static void check_numbers(struct search *q)
{
	uint64_t stamp = q->owner->views->stamp;

	for (unsigned i = 1; i < q->n_nodes && stamp != q->stamp; i++) {
		struct search_node *n = search_node(q, i);

		if (n->kind == NODE_SET)
			n->u.text.at = n->u.text.low = n->u.text.high = 0;
	}
	q->stamp = stamp;
}

int search_leaf(struct search *q, unsigned at)
{
	struct search_node *n = search_node(q, at);
	const struct store_entry *e = &q->hit.entry;

	switch (n->kind) {
	case NODE_ALWAYS:
		return true;
	case NODE_FLAGS:
		return (e->flags & n->u.bits.mask) == n->u.bits.value;
	case NODE_KEYWORDS:
		return (e->keywords & n->u.bits.mask) == n->u.bits.value;
	case NODE_RECENT:
		return view_is_recent(q->view, e->uid);
	case NODE_RECEIVED:
		return in_range(n, day_of(e->received, e->zone));
	case NODE_SAVED:
		return in_range(n, day_of(e->saved, 0));
	case NODE_TIME:
		return in_range(n, e->received);
	case NODE_SIZE:
		return in_range(n, e->size);
	case NODE_MODSEQ:
		return in_range(n, (int64_t)e->modseq);
	case NODE_OBJECT:
		return e->object != 0 && e->object == (uint64_t)n->u.range.low;
	case NODE_SET:
		return in_set(q, n);
	default:
		return search_text_leaf(q, at);
	}
}

/* ---- the run ---- */

/* Takes the next message: OK, E_NOENT, E_AGAIN. */
static int next_message(struct search *q)
{
	for (;;) {
		int rc = view_walk_next(q->owner->views, q->view, &q->walk, &q->hit.entry, &q->hit.number);

		if (rc == E_GONE || rc == E_RANGE) {
			q->entries++;
			if (q->entries < LIMIT_SLICE_ENTRIES)
				continue;
			return E_AGAIN;
		}
		if (rc != OK)
			return rc;
		if (q->hit.entry.uid >= q->end)
			return E_NOENT;
		q->at = search_entry(q, 0);
		q->entries++;
		return OK;
	}
}

/* A message that was looked at in several slices may be gone by now, or have
 * another number. */
static bool still_there(struct search *q)
{
	if (!q->suspended)
		return true;
	q->suspended = false;
	if (store_entry_get(q->owner->st, q->view->mailbox, q->hit.entry.uid, &q->hit.entry) != OK)
		return false;
	q->hit.number = view_number(q->owner->views, q->view, q->hit.entry.uid);
	return q->hit.number != 0;
}

static int end_slice(struct search *q)
{
	q->entries = q->bytes = 0;
	return E_AGAIN;
}

/* Follows the message through the program: 1 it matches, 0 it does not, E_AGAIN. */
static int run_program(struct search *q)
{
	while (q->at < SEARCH_NONE) {
		const struct search_node *n = search_node(q, q->at);
		int held;

		if (q->bytes >= LIMIT_SLICE_BYTES) {
			q->suspended = true;
			return E_AGAIN;
		}
		held = search_leaf(q, q->at);
		if (held == E_AGAIN) {
			q->suspended = true;
			return E_AGAIN;
		}
		if (held < 0) {
			q->reading = false;
			q->unread += held != E_GONE;
			return 0;
		}
		q->at = held ? n->yes : n->no;
	}
	return q->at == SEARCH_MATCH;
}

int search_next(struct search *q, struct search_hit *hit)
{
	if (!q->ready)
		return E_STATE;
	if (!q->started && begin(q) != OK)
		q->end = 0;
	check_numbers(q);
	while (q->end != 0 && !q->view->gone) {
		int rc;

		if (q->at == SEARCH_NONE) {
			if (q->entries >= LIMIT_SLICE_ENTRIES || q->bytes >= LIMIT_SLICE_BYTES)
				return end_slice(q);
			rc = next_message(q);
			if (rc == E_AGAIN)
				return end_slice(q);
			if (rc != OK) {
				q->end = 0;
				return rc;
			}
		}
		rc = run_program(q);
		if (rc == E_AGAIN)
			return end_slice(q);
		q->at = SEARCH_NONE;
		if (rc && still_there(q)) {
			*hit = q->hit;
			return OK;
		}
		q->suspended = false;
	}
	return E_NOENT;
}
