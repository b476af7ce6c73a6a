/* The tree's pages in memory: a cache of fixed size with a clock, copies of
 * pages in fresh slots, and the way from the root to a leaf. */
#include "tree/tree_int.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/le.h"

#define PAGE_AT_CHECKPOINT 16
/* Frames that no changed page may take: two ways from the root to a leaf. */
#define CLEAN_FRAMES (2 * TREE_HEIGHT_MAX)

size_t tree_memory(uint32_t pages)
{
	return arena_size(pages * sizeof(struct frame)) + arena_size((size_t)pages * PAGE_SIZE) +
		arena_size(2 * (size_t)pages * sizeof(uint32_t)) + arena_size(SLOTS_MAP_BYTES) +
		2 * arena_size(SLOTS_LIST_BYTES);
}

bool tree_init(struct tree *t, struct arena *arena, uint32_t pages, struct page_sums (*sums)(struct bytes value))
{
	uint8_t *map = arena_take(arena, SLOTS_MAP_BYTES);
	uint32_t *freed = arena_take(arena, SLOTS_LIST_BYTES), *before = arena_take(arena, SLOTS_LIST_BYTES);

	memset(t, 0, sizeof *t);
	t->frames = arena_take(arena, pages * sizeof(struct frame));
	t->pages = arena_take(arena, (size_t)pages * PAGE_SIZE);
	t->buckets = arena_take(arena, 2 * (size_t)pages * sizeof(uint32_t));
	if (!map || !freed || !before || !t->frames || !t->pages || !t->buckets)
		return false;
	slots_init(&t->slots, map, freed, before);
	t->n_frames = pages;
	t->n_buckets = 2 * pages;
	t->sums = sums;
	tree_reset(t, NONE);
	return true;
}

void tree_reset(struct tree *t, uint32_t root)
{
	for (uint32_t i = 0; i < t->n_frames; i++)
		t->frames[i] = (struct frame){ .slot = NONE, .next = NONE };
	for (uint32_t i = 0; i < t->n_buckets; i++)
		t->buckets[i] = NONE;
	t->root = root;
	t->dirty = 0;
	t->error = OK;
	t->generation++;
}

uint8_t *tree_page(struct tree *t, uint32_t frame)
{
	return t->pages + (size_t)frame * PAGE_SIZE;
}

/* ---- cache ---- */

static uint32_t *bucket_of(struct tree *t, uint32_t slot)
{
	return &t->buckets[(slot * 2654435761u >> 7) % t->n_buckets];
}

static void unlink_frame(struct tree *t, uint32_t frame)
{
	uint32_t *p = bucket_of(t, t->frames[frame].slot);

	while (*p != frame)
		p = &t->frames[*p].next;
	*p = t->frames[frame].next;
	t->frames[frame].slot = NONE;
}

static void link_frame(struct tree *t, uint32_t frame, uint32_t slot)
{
	uint32_t *p = bucket_of(t, slot);

	t->frames[frame].slot = slot;
	t->frames[frame].next = *p;
	*p = frame;
}

static int write_frame(struct tree *t, uint32_t frame)
{
	struct frame *f = &t->frames[frame];
	int err = slots_write(&t->slots, f->slot, tree_page(t, frame));

	if (err != OK)
		return err;
	f->dirty = false;
	t->dirty--;
	return OK;
}

/* A frame to put a page into; pinned once. Changed pages that can't be written
 * stay where they are: nothing else has what they hold. */
static int take_frame(struct tree *t, uint32_t *frame)
{
	int failed = t->error;

	for (uint32_t tries = 0; tries < 3 * t->n_frames; tries++) {
		uint32_t i = t->hand;
		struct frame *f = &t->frames[i];

		t->hand = (t->hand + 1) % t->n_frames;
		if (f->pins)
			continue;
		if (f->recent && f->slot != NONE) {
			f->recent = false;
			continue;
		}
		if (f->dirty && failed == OK)
			failed = write_frame(t, i);
		if (f->dirty)
			continue;
		if (f->slot != NONE) {
			unlink_frame(t, i);
			t->generation++;
		}
		*f = (struct frame){ .slot = NONE, .next = NONE, .pins = 1, .recent = true };
		*frame = i;
		return OK;
	}
	/* Else the cache is smaller than the longest path: refused at start. */
	return failed == OK ? E_NOMEM : failed;
}

void tree_unpin(struct tree *t, uint32_t frame)
{
	assert(t->frames[frame].pins > 0);
	t->frames[frame].pins--;
}

/* A page that was read from the file since the last checkpoint, but lies in a
 * slot taken since then, is fresh as well: it was written out of the cache. The
 * number in its header tells. */
static void note_fresh(struct tree *t, uint32_t frame)
{
	if (le64(tree_page(t, frame) + PAGE_AT_CHECKPOINT) == t->slots.building)
		t->frames[frame].fresh = true;
}

/* The page in a slot, pinned. */
int tree_fetch(struct tree *t, uint32_t slot, uint32_t *frame)
{
	int err;

	for (uint32_t i = *bucket_of(t, slot); i != NONE; i = t->frames[i].next) {
		if (t->frames[i].slot != slot)
			continue;
		t->frames[i].pins++;
		t->frames[i].recent = true;
		*frame = i;
		return OK;
	}
	if (slot >= t->slots.high)
		return E_DAMAGED;
	err = take_frame(t, frame);
	if (err != OK)
		return err;
	t->reads++;
	err = slots_read(&t->slots, slot, tree_page(t, *frame));
	if (err != OK) {
		t->frames[*frame].pins = 0;
		return err;
	}
	link_frame(t, *frame, slot);
	note_fresh(t, *frame);
	return OK;
}

int tree_fetch_child(struct tree *t, const uint8_t *branch, unsigned i, uint32_t *frame)
{
	int err = tree_fetch(t, branch_child(branch, i), frame);

	if (err == OK && page_level(tree_page(t, *frame)) + 1 != page_level(branch)) {
		tree_unpin(t, *frame);
		err = E_DAMAGED;
	}
	return err;
}

static void mark_dirty(struct tree *t, uint32_t frame)
{
	if (!t->frames[frame].dirty) {
		t->frames[frame].dirty = true;
		t->dirty++;
	}
	t->generation++;
}

/* Before one more page is changed: some frames stay clean, so that pages can be
 * read when no changed one can be written any more. */
static int keep_clean(struct tree *t)
{
	for (uint32_t tries = 0; t->dirty + CLEAN_FRAMES >= t->n_frames && tries < 2 * t->n_frames; tries++) {
		uint32_t i = t->hand;
		struct frame *f = &t->frames[i];

		t->hand = (t->hand + 1) % t->n_frames;
		if (!f->pins && f->dirty && !f->recent)
			return write_frame(t, i);
		if (!f->pins)
			f->recent = false;
	}
	return OK;
}

/* An empty page in a fresh slot, pinned. */
int tree_make_page(struct tree *t, unsigned level, uint32_t *frame)
{
	uint32_t slot;
	int err = keep_clean(t);

	if (err == OK)
		err = slots_take(&t->slots, &slot);
	if (err != OK)
		return err;
	err = take_frame(t, frame);
	if (err != OK)
		return err;
	page_init(tree_page(t, *frame), level);
	link_frame(t, *frame, slot);
	t->frames[*frame].fresh = true;
	mark_dirty(t, *frame);
	return OK;
}

/* Gives up the slot of a page that a durable checkpoint refers to. */
static void release(struct tree *t, const uint8_t *page, uint32_t slot, struct key k)
{
	struct tree_hold *h = &t->hold;
	unsigned level = page_level(page);

	if (le64(page + PAGE_AT_CHECKPOINT) > h->number || level < h->level ||
		(level == h->level && key_compare(k, h->passed) < 0))
		slots_release(&t->slots, slot);
	else
		h->count++;
}

/* Makes a page changeable: moves it to a fresh slot unless it is in one. */
int tree_own_page(struct tree *t, uint32_t frame, struct key k)
{
	struct frame *f = &t->frames[frame];
	int err = f->dirty ? OK : keep_clean(t);

	if (err != OK)
		return err;
	if (!f->fresh) {
		uint32_t slot, old = f->slot;

		err = slots_take(&t->slots, &slot);
		if (err != OK)
			return err;
		release(t, tree_page(t, frame), old, k);
		unlink_frame(t, frame);
		link_frame(t, frame, slot);
		f->fresh = true;
	}
	mark_dirty(t, frame);
	return OK;
}

int tree_drop_page(struct tree *t, uint32_t frame, struct key k)
{
	uint32_t slot = t->frames[frame].slot;
	bool fresh = t->frames[frame].fresh;

	assert(t->frames[frame].pins == 0);
	unlink_frame(t, frame);
	if (t->frames[frame].dirty)
		t->dirty--;
	t->frames[frame] = (struct frame){ .slot = NONE, .next = NONE };
	t->generation++;
	if (fresh)
		return slots_return(&t->slots, slot);
	release(t, tree_page(t, frame), slot, k);
	return OK;
}

/* ---- descent ---- */

void tree_path_release(struct tree *t, struct path *path)
{
	for (unsigned i = 0; i < path->depth; i++)
		if (path->frame[i] != NONE)
			tree_unpin(t, path->frame[i]);
	path->depth = 0;
}

/* Walks to the leaf for k; with own, every page on the way becomes changeable. */
int tree_descend(struct tree *t, struct key k, bool own, struct path *path)
{
	uint32_t slot = t->root;

	path->depth = 0;
	for (;;) {
		unsigned d = path->depth;
		uint32_t frame;
		uint8_t *page;
		int err;

		if (d == TREE_HEIGHT_MAX)
			err = E_DAMAGED;
		else
			err = tree_fetch(t, slot, &frame);
		if (err == OK) {
			path->frame[d] = frame;
			path->depth++;
			page = tree_page(t, frame);
			if (d > 0 && page_level(page) + 1 != page_level(tree_page(t, path->frame[d - 1])))
				err = E_DAMAGED;
			else if (own)
				err = tree_own_page(t, frame, k);
		}
		if (err != OK) {
			tree_path_release(t, path);
			return err;
		}
		if (own && d > 0)
			branch_set_child(tree_page(t, path->frame[d - 1]), path->index[d - 1], t->frames[frame].slot);
		if (own && d == 0)
			t->root = t->frames[frame].slot;
		if (page_level(page) == 0)
			return OK;
		path->index[d] = branch_find(page, k);
		slot = branch_child(page, path->index[d]);
	}
}

bool tree_is_entry(struct key k)
{
	return k.hi >> 56 == TREE_ENTRY;
}

struct page_sums tree_sums_of(const struct tree *t, const uint8_t *page)
{
	struct page_sums sum = { 0, 0, 0, 0 };
	unsigned n = page_count(page);

	if (page_level(page) == 0)
		sum.expunged = page_expunged(page);
	for (unsigned i = 0; i < n; i++) {
		struct page_sums one;

		if (page_level(page) > 0)
			one = branch_sums(page, i);
		else if (tree_is_entry(page_key(page, i)))
			one = t->sums(page_value(page, i));
		else
			continue;
		sum.count += one.count;
		sum.unseen += one.unseen;
		if (one.modseq > sum.modseq)
			sum.modseq = one.modseq;
		if (one.expunged > sum.expunged)
			sum.expunged = one.expunged;
	}
	return sum;
}
