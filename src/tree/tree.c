/* Changes of the tree: insertion with splits, removal with merges. */
#include "tree/tree_int.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

/* Brings the sums up to date from the page at depth d upwards. */
static void update_sums(struct tree *t, const struct path *path, unsigned d)
{
	while (d > 0) {
		struct page_sums sums = tree_sums_of(t, tree_page(t, path->frame[d]));

		d--;
		branch_set_sums(tree_page(t, path->frame[d]), path->index[d], &sums);
	}
}

static struct key first_key(const uint8_t *page)
{
	return page_level(page) ? branch_key(page, 0) : page_key(page, 0);
}

/* ---- insertion ---- */

/* A new root above the old one, which becomes its only child. */
static int grow_root(struct tree *t, struct path *path)
{
	struct page_sums none = { 0, 0, 0, 0 };
	uint8_t *old = tree_page(t, path->frame[0]);
	uint32_t frame;
	int err;

	if (path->depth == TREE_HEIGHT_MAX)
		return E_LIMIT;
	err = tree_make_page(t, page_level(old) + 1, &frame);
	if (err != OK)
		return err;
	branch_insert(tree_page(t, frame), 0, first_key(old), t->frames[path->frame[0]].slot, &none);
	memmove(path->frame + 1, path->frame, path->depth * sizeof *path->frame);
	memmove(path->index + 1, path->index, path->depth * sizeof *path->index);
	path->depth++;
	path->frame[0] = frame;
	path->index[0] = 0;
	t->root = t->frames[frame].slot;
	return OK;
}

/* Where a full leaf is cut for a cell that goes to index i: at its middle by
 * bytes; at the very end when keys arrive in order, so that leaves stay full. */
static unsigned split_point(const uint8_t *page, unsigned i)
{
	unsigned n = page_count(page), half = page_used(page) / 2, sum = 0, cut = 0;

	if (i == n)
		return n;
	while (cut < n - 1 && sum < half)
		sum += 20 + (unsigned)page_value(page, cut++).len;
	return cut ? cut : 1;
}

/* Splits the page at depth d of the path in two. Afterwards the path's page at
 * d is the one that holds k. */
static int split(struct tree *t, struct path *path, unsigned d, struct key k, unsigned at)
{
	struct page_sums sums;
	uint8_t *page, *right, *parent;
	uint32_t frame;
	struct key cut;
	unsigned i;
	int err = tree_make_page(t, page_level(tree_page(t, path->frame[d])), &frame);

	if (err != OK)
		return err;
	page = tree_page(t, path->frame[d]);
	right = tree_page(t, frame);
	parent = tree_page(t, path->frame[d - 1]);
	i = path->index[d - 1];
	if (page_level(page) > 0)
		branch_split(page, at, right);
	else
		page_split(page, at, right);
	cut = page_count(right) ? first_key(right) : k;
	sums = tree_sums_of(t, right);
	branch_insert(parent, i + 1, cut, t->frames[frame].slot, &sums);
	sums = tree_sums_of(t, page);
	branch_set_sums(parent, i, &sums);
	if (key_compare(k, cut) < 0) {
		tree_unpin(t, frame);
		return OK;
	}
	tree_unpin(t, path->frame[d]);
	path->frame[d] = frame;
	path->index[d - 1] = i + 1;
	return OK;
}

/* Makes room for one more child in the branch at depth d. */
static int room_in_branch(struct tree *t, struct path *path, unsigned *d, struct key k)
{
	unsigned at = *d;
	int err;

	/* Up to the first branch that has room; then split downwards. */
	while (at > 0 && page_count(tree_page(t, path->frame[at])) == PAGE_BRANCH_MAX)
		at--;
	if (page_count(tree_page(t, path->frame[at])) == PAGE_BRANCH_MAX) {
		err = grow_root(t, path);
		if (err != OK)
			return err;
		++*d;
	}
	while (at < *d) {
		uint8_t *page;
		unsigned n, cut;

		at++;
		page = tree_page(t, path->frame[at]);
		n = page_count(page);
		if (n < PAGE_BRANCH_MAX)
			continue;
		cut = path->index[at] == n - 1 ? n - 1 : n / 2;
		err = split(t, path, at, k, cut);
		if (err != OK)
			return err;
		path->index[at] = branch_find(tree_page(t, path->frame[at]), k);
	}
	return OK;
}

static int split_leaf(struct tree *t, struct path *path, struct key k, unsigned i)
{
	unsigned d = path->depth - 1, parent;
	int err;

	if (d == 0) {
		err = grow_root(t, path);
		if (err != OK)
			return err;
		d = 1;
	}
	parent = d - 1;
	err = room_in_branch(t, path, &parent, k);
	if (err != OK)
		return err;
	d = parent + 1;
	return split(t, path, d, k, split_point(tree_page(t, path->frame[d]), i));
}

static int first_leaf(struct tree *t)
{
	uint32_t frame;
	int err = tree_make_page(t, 0, &frame);

	if (err != OK)
		return err;
	t->root = t->frames[frame].slot;
	tree_unpin(t, frame);
	return OK;
}

/* Replaces or inserts the cell of a (changeable) leaf. When that fails the old
 * one is there as before: it came out of this leaf, which was not split. */
static int put_cell(struct tree *t, struct path *path, struct key k, struct bytes value)
{
	uint8_t old[PAGE_VALUE_MAX], *leaf = tree_page(t, path->frame[path->depth - 1]);
	size_t old_len = 0;
	bool had, equal;
	unsigned i = page_find(leaf, k, &had);
	int err = OK;

	if (had && page_value(leaf, i).len == value.len) {
		if (value.len)
			memcpy(page_value_at(leaf, i), value.data, value.len);
		return OK;
	}
	if (had) {
		old_len = page_value(leaf, i).len;
		if (old_len)
			memcpy(old, page_value(leaf, i).data, old_len);
		page_remove(leaf, i);
	}
	while (err == OK && !page_insert(leaf, i, k, value)) {
		err = split_leaf(t, path, k, i);
		leaf = tree_page(t, path->frame[path->depth - 1]);
		i = page_find(leaf, k, &equal);
	}
	if (err != OK && had)
		(void)page_insert(leaf, i, k, bytes_make(old, old_len));
	return err;
}

static int put(struct tree *t, struct key k, struct bytes value)
{
	struct path path;
	int err = OK;

	if (t->root == NONE)
		err = first_leaf(t);
	if (err == OK)
		err = tree_descend(t, k, true, &path);
	if (err != OK)
		return err;
	err = put_cell(t, &path, k, value);
	if (err == OK)
		update_sums(t, &path, path.depth - 1);
	tree_path_release(t, &path);
	return err;
}

int tree_put(struct tree *t, struct key k, const void *value, size_t len)
{
	int err = t->error;

	if (err == OK)
		err = put(t, k, bytes_make(value, len));
	if (err != OK)
		t->error = err;
	return err;
}

/* ---- removal ---- */

static bool can_merge(const uint8_t *a, const uint8_t *b)
{
	if (page_level(a) > 0)
		return page_count(a) + page_count(b) <= PAGE_BRANCH_MAX * 3 / 4;
	if (page_count(a) == 0 || page_count(b) == 0)
		return true;
	return page_used(a) + page_used(b) <= (PAGE_SIZE - PAGE_HEADER) * 3 / 4;
}

/* The child at index i of the page at depth d joins the one at i - 1. */
static int merge_children(struct tree *t, uint8_t *parent, unsigned i, bool *merged)
{
	uint32_t left, right;
	int err = tree_fetch_child(t, parent, i - 1, &left);

	*merged = false;
	if (err != OK)
		return err;
	err = tree_fetch_child(t, parent, i, &right);
	if (err == OK && left == right) {
		tree_unpin(t, right);
		err = E_DAMAGED;
	}
	if (err != OK) {
		tree_unpin(t, left);
		return err;
	}
	if (can_merge(tree_page(t, left), tree_page(t, right))) {
		struct key k = branch_key(parent, i), before = branch_key(parent, i - 1);
		struct page_sums sums;

		/* Either child may be in another slot then, whether they merge or not. */
		err = tree_own_page(t, left, before);
		branch_set_child(parent, i - 1, t->frames[left].slot);
		if (err == OK)
			err = tree_own_page(t, right, k);
		branch_set_child(parent, i, t->frames[right].slot);
		if (err == OK) {
			if (page_level(tree_page(t, left)) > 0)
				branch_append(tree_page(t, left), tree_page(t, right));
			else
				page_append(tree_page(t, left), tree_page(t, right));
			sums = tree_sums_of(t, tree_page(t, left));
			branch_set_sums(parent, i - 1, &sums);
			branch_remove(parent, i);
			tree_unpin(t, right);
			err = tree_drop_page(t, right, k);
			tree_unpin(t, left);
			*merged = true;
			return err;
		}
	}
	tree_unpin(t, left);
	tree_unpin(t, right);
	return err;
}

/* The root has a single child: that one becomes the root. */
static int shrink_root(struct tree *t)
{
	while (t->root != NONE) {
		struct key all = { 0, 0 };
		uint32_t frame, child;
		uint8_t *page;
		int err = tree_fetch(t, t->root, &frame);

		if (err != OK)
			return err;
		page = tree_page(t, frame);
		if (page_level(page) == 0 || page_count(page) > 1) {
			tree_unpin(t, frame);
			return OK;
		}
		err = tree_fetch_child(t, page, 0, &child);
		if (err == OK) {
			t->root = t->frames[child].slot;
			tree_unpin(t, child);
		}
		tree_unpin(t, frame);
		if (err == OK)
			err = tree_drop_page(t, frame, all);
		if (err != OK)
			return err;
	}
	return OK;
}

/* After a removal: joins thin pages with a neighbour, from the leaf upwards. */
static int rebalance(struct tree *t, struct path *path)
{
	unsigned d = path->depth - 1;

	while (d > 0) {
		uint8_t *page = tree_page(t, path->frame[d]), *parent = tree_page(t, path->frame[d - 1]);
		unsigned i = path->index[d - 1], n = page_count(parent);
		bool thin = page_level(page) ? page_count(page) < PAGE_BRANCH_MAX / 4
					     : page_used(page) < (PAGE_SIZE - PAGE_HEADER) / 4;
		bool merged = false;
		int err = OK;

		if (!thin || n < 2)
			break;
		tree_unpin(t, path->frame[d]);
		path->frame[d] = NONE;
		if (i > 0)
			err = merge_children(t, parent, i, &merged);
		if (err == OK && !merged && i + 1 < n)
			err = merge_children(t, parent, i + 1, &merged);
		if (err != OK)
			return err;
		if (!merged)
			break;
		path->depth = d;
		d--;
		update_sums(t, path, d);
	}
	return OK;
}

static int delete(struct tree *t, struct key k, uint64_t expunged)
{
	struct path path;
	uint8_t *page;
	unsigned i;
	bool equal;
	int err;

	if (t->root == NONE)
		return E_NOENT;
	err = tree_descend(t, k, false, &path);
	if (err != OK)
		return err;
	i = page_find(tree_page(t, path.frame[path.depth - 1]), k, &equal);
	tree_path_release(t, &path);
	if (!equal)
		return E_NOENT;
	err = tree_descend(t, k, true, &path);
	if (err != OK)
		return err;
	page = tree_page(t, path.frame[path.depth - 1]);
	page_remove(page, i);
	if (expunged)
		page_note_expunged(page, expunged);
	update_sums(t, &path, path.depth - 1);
	err = rebalance(t, &path);
	tree_path_release(t, &path);
	return err == OK ? shrink_root(t) : err;
}

int tree_delete(struct tree *t, struct key k, uint64_t expunged)
{
	int err = t->error;

	if (err == OK)
		err = delete(t, k, expunged);
	if (err != OK && err != E_NOENT)
		t->error = err;
	return err;
}
