/* Reading what is left of an index with damaged pages. A page that can't be read
 * hides the keys between its own and its neighbour's, which the branch above it
 * tells; everything else is as good as ever. */
#include "store/repair.h"

#include "tree/tree_int.h"

static const struct key none = { UINT64_MAX, UINT64_MAX };

/* The first place at or behind *k that can't be read: keys from *k to *end are
 * hidden. E_NOENT: k itself can be read. */
static int find_gap(struct tree *t, struct key *k, struct key *end)
{
	uint32_t slot = t->root;
	struct key from = { 0, 0 };
	unsigned above = TREE_HEIGHT_MAX;

	*end = none;
	while (slot != NONE) {
		const uint8_t *page;
		uint32_t frame;
		unsigned i, level;
		int err = tree_fetch(t, slot, &frame);

		if (err == OK && page_level(tree_page(t, frame)) >= above) {
			tree_unpin(t, frame);
			err = E_DAMAGED;
		}
		if (err != OK) {
			if (key_compare(from, *k) > 0)
				*k = from;
			return err == E_DAMAGED ? OK : err;
		}
		page = tree_page(t, frame);
		level = above = page_level(page);
		slot = NONE;
		if (level > 0 && page_count(page) > 0) {
			i = branch_find(page, *k);
			slot = branch_child(page, i);
			from = branch_key(page, i);
			if (i + 1 < page_count(page))
				*end = branch_key(page, i + 1);
		}
		tree_unpin(t, frame);
	}
	return E_NOENT;
}

/* Where the gap is that a search from k on met: behind the leaf of k, perhaps. */
static int next_gap(struct tree *t, struct key *k, struct key *end)
{
	int err;

	while ((err = find_gap(t, k, end)) == E_NOENT) {
		if (key_compare(*end, none) == 0 || key_compare(*end, *k) <= 0)
			return E_NOENT;
		*k = *end;
	}
	return err;
}

/* Takes away the rows of the new index from `from` to `to`, that one excluded. */
static int clear(struct store *st, struct key from, struct key to)
{
	uint8_t bytes[PAGE_VALUE_MAX];
	struct key found;
	int n;

	while ((n = tree_seek(&st->tree, from, &found, bytes, sizeof bytes)) >= 0 && key_compare(found, to) < 0) {
		int err = tree_delete(&st->tree, found, 0);

		if (err == OK)
			err = checkpoint_make_room(st);
		if (err != OK)
			return err;
		from = found;
	}
	return n < 0 && n != E_NOENT ? n : OK;
}

static struct key key_after(struct key k)
{
	if (++k.lo == 0)
		k.hi++;
	return k;
}

int salvage_table(struct store *st, struct salvage *s, enum tree_table table)
{
	struct key k = tree_key(table, 0, 0), stop = { (uint64_t)(table + 1) << 56, 0 };
	uint8_t value[PAGE_VALUE_MAX];

	while (key_compare(k, stop) < 0) {
		struct key found = stop, end;
		int n = tree_seek(&s->tree, k, &found, value, sizeof value), err;

		if (n == E_NOENT || (n >= 0 && key_compare(found, stop) >= 0))
			return clear(st, k, stop);
		if (n >= 0) {
			err = clear(st, k, found);
			if (err == OK)
				err = tree_put(&st->tree, found, value, (size_t)n);
			if (err == OK)
				err = checkpoint_make_room(st);
			k = key_after(found);
		} else if (n == E_DAMAGED) {
			struct key from = k;

			err = next_gap(&s->tree, &from, &end);
			/* A page whose sum is right and that makes no sense: nothing behind it. */
			if (err == E_NOENT)
				return OK;
			if (err == OK)
				err = clear(st, k, key_compare(from, stop) < 0 ? from : stop);
			s->gaps++;
			k = end;
		} else {
			err = n;
		}
		if (err != OK)
			return err;
	}
	return OK;
}
