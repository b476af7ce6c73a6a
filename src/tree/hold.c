/* The tree as a backup reads it: as it was at one checkpoint. Pages are never
 * changed in place, so it is enough that the slots of that checkpoint's pages are
 * not given to others. A page that the tree gives up meanwhile (cache.c)
 * keeps its slot, and nothing is written down about it: afterwards the held tree
 * is walked once, level by level from the leaves up, and each page of it that
 * stands in another slot of the tree by then is given up. So it takes constant
 * memory whatever is changed meanwhile, and its work follows the changes: below a
 * page that is still the tree's own there is nothing to look for. */
#include "tree/tree_int.h"

#include "base/err.h"

void tree_hold(struct tree *t)
{
	t->hold = (struct tree_hold){ .number = t->slots.building - 1, .root = t->root };
}

uint32_t tree_then(struct tree *t)
{
	uint32_t root = t->root;

	if (t->hold.number)
		t->root = t->hold.root;
	return root;
}

void tree_now(struct tree *t, uint32_t root)
{
	t->root = root;
}

/* The slot of the page of that level on the way to k; NONE: the tree is lower. */
static int slot_at(struct tree *t, uint32_t root, struct key k, unsigned level, uint32_t *slot)
{
	*slot = root;
	for (unsigned depth = 0; depth < TREE_HEIGHT_MAX && *slot != NONE; depth++) {
		uint32_t frame;
		const uint8_t *page;
		unsigned here;
		int err = tree_fetch(t, *slot, &frame);

		if (err != OK)
			return err;
		page = tree_page(t, frame);
		here = page_level(page);
		if (here > level)
			*slot = branch_child(page, branch_find(page, k));
		tree_unpin(t, frame);
		if (here == level)
			return OK;
		if (here < level)
			*slot = NONE;
		/* The level below follows: its page need not be read. */
		else if (here == level + 1)
			return OK;
	}
	return *slot == NONE ? OK : E_DAMAGED;
}

/* Where the held tree has k. */
struct held_place {
	uint32_t slot, above; /* the page of the level, and the one above it (NONE: it is the root) */
	struct key next;      /* where the next page of the level begins, */
	struct key next_above; /* and the next of the level above; all ones: there is none */
	bool beyond;          /* the held tree has no such level */
};

static int find_place(struct tree *t, struct held_place *p)
{
	const struct tree_hold *h = &t->hold;
	uint32_t slot = h->root;

	*p = (struct held_place){ NONE, NONE, { UINT64_MAX, UINT64_MAX }, { UINT64_MAX, UINT64_MAX }, true };
	for (unsigned depth = 0; depth < TREE_HEIGHT_MAX && slot != NONE; depth++) {
		uint32_t frame;
		const uint8_t *page;
		unsigned i, level;
		int err = tree_fetch(t, slot, &frame);

		if (err != OK)
			return err;
		page = tree_page(t, frame);
		level = page_level(page);
		if (level <= h->level) {
			p->beyond = level < h->level;
			p->slot = slot;
			tree_unpin(t, frame);
			return OK;
		}
		i = branch_find(page, h->passed);
		p->above = slot;
		p->next_above = p->next;
		if (i + 1 < page_count(page))
			p->next = branch_key(page, i + 1);
		slot = branch_child(page, i);
		tree_unpin(t, frame);
		if (level == h->level + 1) {
			p->beyond = false;
			p->slot = slot;
			return OK;
		}
	}
	return slot == NONE ? OK : E_DAMAGED;
}

static bool is_end(struct key k)
{
	return k.hi == UINT64_MAX && k.lo == UINT64_MAX;
}

int tree_held_next(struct tree *t)
{
	struct tree_hold *h = &t->hold;
	struct held_place p;
	struct key next;
	uint32_t slot;
	int err;

	if (h->number == 0)
		return OK;
	err = find_place(t, &p);
	if (err != OK)
		return err;
	if (p.beyond) {
		*h = (struct tree_hold){ 0 };
		return OK;
	}
	next = p.next;
	err = slot_at(t, t->root, h->passed, h->level + 1, &slot);
	if (err == OK && p.above != NONE && slot == p.above) {
		next = p.next_above;
	} else {
		if (err == OK)
			err = slot_at(t, t->root, h->passed, h->level, &slot);
		if (err == OK && slot != p.slot) {
			slots_release(&t->slots, p.slot);
			h->count--;
		}
	}
	if (err != OK)
		return err;
	h->passed = next;
	if (is_end(next)) {
		h->level++;
		h->passed = (struct key){ 0, 0 };
	}
	return E_AGAIN;
}
