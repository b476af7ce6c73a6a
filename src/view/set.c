/* Sets of numbers or UIDs, read from their text each time: a set of any length
 * takes no memory, and a walk is a place in the text and a place in the store. */
#include "view/view.h"

#include "base/err.h"
#include "base/text.h"
#include "view/view_int.h"

/* A number at *at or `*`, which gives 0. False when there is neither. */
static bool parse_number(struct bytes text, size_t *at, uint32_t *number)
{
	uint64_t n = 0;
	size_t start = *at;

	*number = 0;
	if (start < text.len && text.data[start] == '*') {
		++*at;
		return true;
	}
	while (*at < text.len && text_is(text.data[*at], TEXT_DIGIT)) {
		n = n * 10 + (uint64_t)(text.data[*at] - '0');
		if (n > UINT32_MAX || n == 0)
			return false;
		++*at;
	}
	*number = (uint32_t)n;
	return *at > start;
}

/* The next range and its comma; 0 stands for `*`. */
static bool parse_range(struct bytes text, size_t *at, uint32_t *first, uint32_t *last)
{
	if (!parse_number(text, at, first))
		return false;
	*last = *first;
	if (*at < text.len && text.data[*at] == ':') {
		++*at;
		if (!parse_number(text, at, last))
			return false;
	}
	if (*at == text.len)
		return true;
	return text.data[*at] == ',' && ++*at < text.len;
}

int view_set_parse(struct bytes text, bool uids, struct view_set *set)
{
	size_t at = 0;
	uint32_t first, last;

	do {
		if (!parse_range(text, &at, &first, &last))
			return E_SYNTAX;
	} while (at < text.len);
	*set = (struct view_set){ text, uids };
	return OK;
}

bool set_range(struct bytes text, size_t *at, struct set_range *range)
{
	if (*at >= text.len || !parse_range(text, at, &range->first, &range->last))
		return false;
	range->star = range->first == 0 || range->last == 0;
	return true;
}

void set_range_order(struct set_range *range, uint32_t star)
{
	uint32_t a = range->first ? range->first : star, b = range->last ? range->last : star;

	range->first = a < b ? a : b;
	range->last = a < b ? b : a;
}

int view_set_check(const struct view *view, struct view_set set)
{
	struct set_range range;
	size_t at = 0;

	while (!set.uids && set_range(set.text, &at, &range)) {
		if (range.star && view->exists == 0)
			continue;
		set_range_order(&range, view->exists);
		if (range.last > view->exists)
			return E_RANGE;
	}
	return OK;
}

static uint32_t star_of(struct views *v, const struct view *view, struct view_set set)
{
	return set.uids ? view_last_uid(v, view) : view->exists;
}

bool view_set_contains(struct views *v, const struct view *view, struct view_set set, uint32_t number, uint32_t uid)
{
	uint32_t value = set.uids ? uid : number;
	struct set_range range;
	size_t at = 0;

	while (set_range(set.text, &at, &range)) {
		set_range_order(&range, range.star ? star_of(v, view, set) : 0);
		if (value >= range.first && value <= range.last)
			return true;
	}
	return false;
}

/* ---- walking ---- */

void view_walk_begin(struct view_walk *w, struct view_set set)
{
	*w = (struct view_walk){ .set = set };
}

/* From numbers to UIDs. */
static int map_range(struct views *v, const struct view *view, struct set_range *range)
{
	bool one = range->first == range->last;
	int rc;

	if (range->last > view->exists)
		return E_RANGE;
	rc = view_uid(v, view, range->first, &range->first);
	if (one)
		range->last = range->first;
	else if (rc == OK || rc == E_GONE)
		rc = view_uid(v, view, range->last, &range->last);
	return rc == E_GONE ? OK : rc;
}

static void find_dead(struct views *v, const struct view *view, struct view_walk *w)
{
	struct untold u = view_untold_set(view);
	uint32_t uid = v->tombstones.n ? untold_next(&v->tombstones, &u, w->cursor.uid) : 0;

	w->dead = uid ? uid : UINT32_MAX;
}

/* Starts with the next range that may have a message in it: OK, E_NOENT after
 * the last, E_AGAIN after many that have none. */
static int begin_range(struct views *v, const struct view *view, struct view_walk *w)
{
	for (unsigned n = 0; n < LIMIT_SLICE_ENTRIES; n++) {
		struct set_range range;
		uint32_t from, number;
		int rc;

		if (!set_range(w->set.text, &w->at, &range))
			return E_NOENT;
		if (range.star && view->exists == 0)
			continue;
		set_range_order(&range, range.star ? star_of(v, view, w->set) : 0);
		number = w->set.uids ? 0 : range.first;
		rc = w->set.uids ? OK : map_range(v, view, &range);
		if (rc != OK)
			return rc;
		if (range.first < w->range_first)
			w->done_to = 0;
		w->range_first = range.first;
		from = range.first > w->done_to ? range.first : w->done_to + 1;
		w->last = range.last < view->uidnext ? range.last : view->uidnext - 1;
		if (from > w->last)
			continue;
		w->in_range = true;
		w->number = from == range.first ? number : 0;
		w->stamp = v->stamp;
		store_cursor_init(&w->cursor, view->mailbox, from - 1);
		find_dead(v, view, w);
		return OK;
	}
	return E_AGAIN;
}

static uint32_t take_number(struct views *v, const struct view *view, struct view_walk *w, uint32_t uid)
{
	if (w->number == 0)
		w->number = view_known(v, view, uid);
	return w->number++;
}

/* Passes the dead message that comes next. True when it is to be reported. */
static bool pass_dead(struct views *v, const struct view *view, struct view_walk *w, struct store_entry *entry,
	uint32_t *number)
{
	uint32_t uid = w->dead;

	if (!w->set.uids || w->number)
		*number = take_number(v, view, w, uid);
	store_cursor_init(&w->cursor, view->mailbox, uid);
	w->done_to = uid;
	find_dead(v, view, w);
	*entry = (struct store_entry){ .uid = uid };
	return !w->set.uids || w->gone_too;
}

int view_walk_next(struct views *v, const struct view *view, struct view_walk *w, struct store_entry *entry,
	uint32_t *number)
{
	if (!view->open || view->gone)
		return E_NOENT;
	for (unsigned n = 0; n < LIMIT_SLICE_ENTRIES; n++) {
		struct store_cursor before;
		int rc;

		if (!w->in_range) {
			rc = begin_range(v, view, w);
			if (rc != OK)
				return rc;
		}
		if (w->stamp != v->stamp) {
			w->stamp = v->stamp;
			w->number = 0;
			find_dead(v, view, w);
		}
		before = w->cursor;
		rc = store_cursor_next(v->st, &w->cursor, entry);
		if (rc == OK && entry->uid <= w->last && entry->uid < w->dead) {
			w->done_to = entry->uid;
			*number = take_number(v, view, w, entry->uid);
			return OK;
		}
		if (rc != OK && rc != E_NOENT) {
			w->cursor = before;
			return rc;
		}
		if (w->dead > w->last)
			w->in_range = false;
		else if (pass_dead(v, view, w, entry, number))
			return E_GONE;
	}
	return E_AGAIN;
}
