/* Looking things up in the tree, and its way to and from the index file. */
#include "tree/tree_int.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

static int copy_value(struct bytes value, void *out, size_t cap)
{
	if (value.len > cap)
		return E_LIMIT;
	if (value.len)
		memcpy(out, value.data, value.len);
	return (int)value.len;
}

int tree_get(struct tree *t, struct key k, void *out, size_t cap)
{
	struct path path;
	const uint8_t *leaf;
	unsigned i;
	bool equal;
	int err;

	if (t->root == NONE)
		return E_NOENT;
	err = tree_descend(t, k, false, &path);
	if (err != OK)
		return err;
	leaf = tree_page(t, path.frame[path.depth - 1]);
	i = page_find(leaf, k, &equal);
	err = equal ? copy_value(page_value(leaf, i), out, cap) : E_NOENT;
	tree_path_release(t, &path);
	return err;
}

/* Puts the way on the leftmost leaf of the next subtree. E_NOENT at the end. */
static int next_leaf(struct tree *t, struct path *path)
{
	unsigned d = path->depth - 1;

	while (d > 0 && path->index[d - 1] + 1 >= page_count(tree_page(t, path->frame[d - 1])))
		d--;
	if (d == 0)
		return E_NOENT;
	path->index[d - 1]++;
	while (path->depth > d)
		tree_unpin(t, path->frame[--path->depth]);
	for (;;) {
		const uint8_t *parent = tree_page(t, path->frame[path->depth - 1]);
		uint32_t frame;
		int err = tree_fetch_child(t, parent, path->index[path->depth - 1], &frame);

		if (err != OK)
			return err;
		path->frame[path->depth] = frame;
		path->index[path->depth] = 0;
		path->depth++;
		if (page_level(tree_page(t, frame)) == 0)
			return OK;
	}
}

/* Walks to the first cell of at least k; *i is its index in the last page. */
static int seek(struct tree *t, struct key k, struct path *path, unsigned *i)
{
	bool equal;
	int err;

	path->depth = 0;
	if (t->root == NONE)
		return E_NOENT;
	err = tree_descend(t, k, false, path);
	if (err != OK)
		return err;
	*i = page_find(tree_page(t, path->frame[path->depth - 1]), k, &equal);
	while (*i >= page_count(tree_page(t, path->frame[path->depth - 1]))) {
		err = next_leaf(t, path);
		if (err != OK) {
			tree_path_release(t, path);
			return err;
		}
		*i = 0;
	}
	/* Those who walk trust that each key is above the one before it. */
	if (key_compare(page_key(tree_page(t, path->frame[path->depth - 1]), *i), k) < 0) {
		tree_path_release(t, path);
		return E_DAMAGED;
	}
	return OK;
}

int tree_seek(struct tree *t, struct key k, struct key *found, void *out, size_t cap)
{
	struct path path;
	const uint8_t *leaf;
	unsigned i;
	int err = seek(t, k, &path, &i);

	if (err != OK)
		return err;
	leaf = tree_page(t, path.frame[path.depth - 1]);
	*found = page_key(leaf, i);
	err = copy_value(page_value(leaf, i), out, cap);
	tree_path_release(t, &path);
	return err;
}

int tree_seek_place(struct tree *t, struct key k, struct key *found, struct bytes *value, struct tree_place *place)
{
	struct path path;
	const uint8_t *leaf;
	unsigned i;
	int err = seek(t, k, &path, &i);

	if (err != OK)
		return err;
	leaf = tree_page(t, path.frame[path.depth - 1]);
	*found = page_key(leaf, i);
	*value = page_value(leaf, i);
	*place = (struct tree_place){ path.frame[path.depth - 1], i, t->generation };
	tree_path_release(t, &path);
	return OK;
}

int tree_next(struct tree *t, struct tree_place *place, struct key *found, struct bytes *value)
{
	const uint8_t *leaf;

	if (place->generation != t->generation)
		return E_AGAIN;
	leaf = tree_page(t, place->frame);
	if (place->index + 1 >= page_count(leaf))
		return E_AGAIN;
	place->index++;
	*found = page_key(leaf, place->index);
	*value = page_value(leaf, place->index);
	return OK;
}

int tree_rank(struct tree *t, struct key k, uint64_t *rank)
{
	struct path path;
	const uint8_t *leaf;
	unsigned n;
	bool equal;
	int err;

	*rank = 0;
	if (t->root == NONE)
		return OK;
	err = tree_descend(t, k, false, &path);
	if (err != OK)
		return err;
	for (unsigned d = 0; d + 1 < path.depth; d++)
		for (unsigned i = 0; i < path.index[d]; i++)
			*rank += branch_sums(tree_page(t, path.frame[d]), i).count;
	leaf = tree_page(t, path.frame[path.depth - 1]);
	n = page_find(leaf, k, &equal);
	for (unsigned i = 0; i < n; i++)
		*rank += tree_is_entry(page_key(leaf, i));
	tree_path_release(t, &path);
	return OK;
}

int tree_at_rank(struct tree *t, uint64_t rank, struct key *found, struct bytes *value)
{
	uint32_t slot = t->root;

	for (unsigned depth = 0; depth < TREE_HEIGHT_MAX && slot != NONE; depth++) {
		uint32_t frame;
		const uint8_t *page;
		unsigned n, i;
		int err = tree_fetch(t, slot, &frame);

		if (err != OK)
			return err;
		page = tree_page(t, frame);
		tree_unpin(t, frame); /* nothing is fetched before the page was used */
		n = page_count(page);
		if (page_level(page) == 0) {
			for (i = 0; i < n; i++) {
				if (!tree_is_entry(page_key(page, i)))
					continue;
				if (rank-- > 0)
					continue;
				*found = page_key(page, i);
				*value = page_value(page, i);
				return OK;
			}
			return E_NOENT;
		}
		for (i = 0; i < n; i++) {
			uint32_t count = branch_sums(page, i).count;

			if (rank < count)
				break;
			rank -= count;
		}
		if (i == n)
			return E_NOENT;
		slot = branch_child(page, i);
	}
	return E_NOENT;
}

typedef bool (*wanted_fn)(const struct page_sums *sums, uint64_t than);

/* The first child at or after i of which `wanted` holds, or page_count. */
static unsigned wanted_child(const uint8_t *page, unsigned i, wanted_fn wanted, uint64_t than)
{
	for (; i < page_count(page); i++) {
		struct page_sums sums = branch_sums(page, i);

		if (wanted(&sums, than))
			break;
	}
	return i;
}

/* Moves the way from its leaf to the next leaf of which `wanted` holds. */
static int next_wanted_leaf(struct tree *t, struct path *path, wanted_fn wanted, uint64_t than)
{
	unsigned from;

	tree_unpin(t, path->frame[--path->depth]);
	if (path->depth == 0)
		return E_NOENT;
	from = path->index[path->depth - 1] + 1;
	for (;;) {
		unsigned d = path->depth - 1;
		const uint8_t *page = tree_page(t, path->frame[d]);
		uint32_t frame;
		int err;

		path->index[d] = wanted_child(page, from, wanted, than);
		if (path->index[d] >= page_count(page)) {
			tree_unpin(t, path->frame[d]);
			path->depth = d;
			if (d == 0)
				return E_NOENT;
			from = path->index[d - 1] + 1;
			continue;
		}
		err = tree_fetch_child(t, page, path->index[d], &frame);
		if (err != OK)
			return err;
		path->frame[path->depth++] = frame;
		if (page_level(tree_page(t, frame)) == 0)
			return OK;
		from = 0;
	}
}

/* The first leaf from k on of which `wanted` holds; *path is on it. */
static int wanted_leaf(struct tree *t, struct key k, wanted_fn wanted, uint64_t than, struct path *path,
	struct key *from)
{
	struct page_sums sums;
	int err;

	path->depth = 0;
	if (t->root == NONE)
		return E_NOENT;
	err = tree_descend(t, k, false, path);
	if (err != OK)
		return err;
	*from = k;
	sums = tree_sums_of(t, tree_page(t, path->frame[path->depth - 1]));
	if (wanted(&sums, than))
		return OK;
	err = next_wanted_leaf(t, path, wanted, than);
	if (err != OK) {
		tree_path_release(t, path);
		return err;
	}
	/* From the leaf's bound on, not its first cell: what was expunged may have
	 * been the first. */
	*from = branch_key(tree_page(t, path->frame[path->depth - 2]), path->index[path->depth - 2]);
	if (key_compare(*from, k) < 0)
		*from = k;
	return OK;
}

static bool has_unseen(const struct page_sums *sums, uint64_t than)
{
	(void)than;
	return sums->unseen > 0;
}

static bool has_changed(const struct page_sums *sums, uint64_t than)
{
	return sums->modseq > than;
}

static bool has_expunged(const struct page_sums *sums, uint64_t than)
{
	return sums->expunged > than;
}

int tree_first_unseen(struct tree *t, struct key k, struct key *found)
{
	for (;;) {
		struct path path;
		const uint8_t *leaf;
		unsigned n, i;
		bool equal;
		int err = wanted_leaf(t, k, has_unseen, 0, &path, found);

		if (err != OK)
			return err;
		leaf = tree_page(t, path.frame[path.depth - 1]);
		n = page_count(leaf);
		for (i = page_find(leaf, *found, &equal); i < n; i++)
			if (tree_is_entry(page_key(leaf, i)) && t->sums(page_value(leaf, i)).unseen)
				break;
		if (i < n) {
			*found = page_key(leaf, i);
			tree_path_release(t, &path);
			return OK;
		}
		/* All its unseen ones lie before k: go on after this leaf. */
		err = next_wanted_leaf(t, &path, has_unseen, 0);
		if (err == OK)
			*found = branch_key(tree_page(t, path.frame[path.depth - 2]), path.index[path.depth - 2]);
		tree_path_release(t, &path);
		if (err != OK)
			return err;
		if (key_compare(*found, k) <= 0)
			return E_DAMAGED;
		k = *found;
	}
}

int tree_changed_leaf(struct tree *t, struct key k, uint64_t modseq, struct key *from)
{
	struct path path;
	int err = wanted_leaf(t, k, has_changed, modseq, &path, from);

	tree_path_release(t, &path);
	return err;
}

int tree_expunged_leaf(struct tree *t, struct key k, uint64_t modseq, struct key *from, struct key *to)
{
	struct path path;
	int err = wanted_leaf(t, k, has_expunged, modseq, &path, from);

	if (err != OK)
		return err;
	err = next_leaf(t, &path);
	*to = (struct key){ UINT64_MAX, UINT64_MAX };
	if (err == OK)
		*to = branch_key(tree_page(t, path.frame[path.depth - 2]), path.index[path.depth - 2]);
	tree_path_release(t, &path);
	if (err == E_NOENT || err == OK)
		err = key_compare(*from, *to) < 0 ? OK : E_DAMAGED;
	return err;
}

int tree_write_some(struct tree *t, uint32_t n)
{
	if (t->error != OK)
		return t->error;
	for (uint32_t i = 0; i < t->n_frames && n > 0; i++) {
		int err;

		if (!t->frames[i].dirty)
			continue;
		err = slots_write(&t->slots, t->frames[i].slot, tree_page(t, i));
		if (err != OK)
			return err;
		t->frames[i].dirty = false;
		t->dirty--;
		n--;
	}
	return OK;
}

int tree_flush(struct tree *t)
{
	int err = tree_write_some(t, UINT32_MAX);

	return err == OK ? slots_flush(&t->slots) : err;
}

int tree_checkpointed(struct tree *t)
{
	for (uint32_t i = 0; i < t->n_frames; i++)
		t->frames[i].fresh = false;
	return slots_checkpointed(&t->slots);
}

int tree_check_root(struct tree *t)
{
	uint32_t frame;
	int err = t->root == NONE ? OK : tree_fetch(t, t->root, &frame);

	if (err == OK && t->root != NONE)
		tree_unpin(t, frame);
	return err;
}

int tree_mark_all(struct tree *t)
{
	struct {
		uint32_t slot;
		unsigned child;
	} way[TREE_HEIGHT_MAX];
	unsigned depth = 1;
	uint32_t marks = 0;
	int err = OK;

	if (t->root == NONE)
		return OK;
	way[0].slot = t->root;
	way[0].child = 0;
	err = slots_mark(&t->slots, t->root);
	while (err == OK && depth > 0) {
		uint32_t frame, child = NONE;
		const uint8_t *page;
		unsigned level;

		err = tree_fetch(t, way[depth - 1].slot, &frame);
		if (err != OK)
			break;
		page = tree_page(t, frame);
		level = page_level(page);
		if (level > 0 && way[depth - 1].child < page_count(page))
			child = branch_child(page, way[depth - 1].child++);
		tree_unpin(t, frame);
		if (child == NONE) {
			depth--;
			continue;
		}
		/* What is no tree ends here too. */
		if (child >= t->slots.high || ++marks > t->slots.high)
			return E_DAMAGED;
		err = slots_mark(&t->slots, child);
		/* Leaves have nothing below them: they need not be read. */
		if (err != OK || level == 1)
			continue;
		if (depth == TREE_HEIGHT_MAX)
			return E_DAMAGED;
		way[depth].slot = child;
		way[depth++].child = 0;
	}
	return err;
}

/* Whether the sums and keys that the way's branches hold for its leaf are
 * those of the pages themselves. */
static const char *verify_path(struct tree *t, const struct path *path)
{
	const uint8_t *leaf = tree_page(t, path->frame[path->depth - 1]);

	for (unsigned i = 1; i < page_count(leaf); i++)
		if (key_compare(page_key(leaf, i - 1), page_key(leaf, i)) >= 0)
			return "keys out of order";
	for (unsigned d = 1; d < path->depth; d++) {
		struct page_sums is = tree_sums_of(t, tree_page(t, path->frame[d]));
		struct page_sums said = branch_sums(tree_page(t, path->frame[d - 1]), path->index[d - 1]);

		if (is.count != said.count || is.unseen != said.unseen || is.modseq != said.modseq)
			return "sums of a branch are wrong";
	}
	return NULL;
}

int tree_verify(struct tree *t, struct key *k, const char **what)
{
	struct path path;
	const uint8_t *leaf;
	unsigned i;
	int err = seek(t, *k, &path, &i);

	*what = "a page can't be read";
	if (err != OK)
		return err;
	*what = verify_path(t, &path);
	leaf = tree_page(t, path.frame[path.depth - 1]);
	*k = page_key(leaf, page_count(leaf) - 1);
	tree_path_release(t, &path);
	if (++k->lo == 0)
		k->hi++;
	return *what ? E_DAMAGED : OK;
}
