/* What the files of the tree share: the cache of pages and the way down. */
#ifndef TREE_INT_H
#define TREE_INT_H

#include "tree/tree.h"

#define NONE UINT32_MAX

struct frame {
	uint32_t slot;  /* NONE: unused */
	uint32_t next;  /* in its bucket */
	uint16_t pins;
	bool dirty;     /* differs from its slot in the file */
	bool fresh;     /* its slot was taken since the last checkpoint: may be rewritten */
	bool recent;    /* touched since the clock's hand passed */
};

/* The way from the root to a leaf: frames (pinned) and the child taken. */
struct path {
	uint32_t frame[TREE_HEIGHT_MAX];
	unsigned index[TREE_HEIGHT_MAX];
	unsigned depth; /* number of pages on it */
};

uint8_t *tree_page(struct tree *t, uint32_t frame);
/* The page in a slot, pinned. E_IO, E_DAMAGED. */
int tree_fetch(struct tree *t, uint32_t slot, uint32_t *frame);
/* The i-th child of a (pinned) branch; E_DAMAGED too when it is not of the level
 * below, so that every way down ends. */
int tree_fetch_child(struct tree *t, const uint8_t *branch, unsigned i, uint32_t *frame);
void tree_unpin(struct tree *t, uint32_t frame);
/* An empty page in a fresh slot, pinned. */
int tree_make_page(struct tree *t, unsigned level, uint32_t *frame);
/* Makes a page changeable: moves it to a fresh slot unless it is in one. k: a key
 * that belongs below it. */
int tree_own_page(struct tree *t, uint32_t frame, struct key k);
/* Gives an unpinned page up. */
int tree_drop_page(struct tree *t, uint32_t frame, struct key k);
/* Walks to the leaf for k; with own, every page on the way becomes changeable. */
int tree_descend(struct tree *t, struct key k, bool own, struct path *path);
void tree_path_release(struct tree *t, struct path *path);
bool tree_is_entry(struct key k);
struct page_sums tree_sums_of(const struct tree *t, const uint8_t *page);

#endif
