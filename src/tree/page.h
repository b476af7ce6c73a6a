/* One page of the tree: 4 KiB, a leaf of key/value cells or a branch of
 * children with what is counted below each (FORMAT.md section 5). Pure
 * functions over the bytes; who owns the page is the cache's affair. */
#ifndef TREE_PAGE_H
#define TREE_PAGE_H

#include "base/bytes.h"

#define PAGE_SIZE 4096u
#define PAGE_HEADER 48u
/* The longest value: fits four times into a leaf, so that a split always helps. */
#define PAGE_VALUE_MAX 900
/* Cells of a full branch. */
#define PAGE_BRANCH_CELL 48u
#define PAGE_BRANCH_MAX ((PAGE_SIZE - PAGE_HEADER) / PAGE_BRANCH_CELL)

struct key {
	uint64_t hi, lo; /* table and first part; second part */
};

static inline int key_compare(struct key a, struct key b)
{
	if (a.hi != b.hi)
		return a.hi < b.hi ? -1 : 1;
	return (a.lo > b.lo) - (a.lo < b.lo);
}

/* What a branch knows of everything below one child. Only message entries
 * count; see tree.h. */
struct page_sums {
	uint32_t count, unseen;
	uint64_t modseq, expunged; /* the highest change, the highest expunge */
};

void page_init(uint8_t *page, unsigned level);
unsigned page_level(const uint8_t *page); /* 0: leaf */
unsigned page_count(const uint8_t *page); /* cells */
/* Bounds of every cell of a page that came from flash: false when it makes no
 * sense. (Its checksum has been verified; this is against what a checksum can't
 * know.) */
bool page_sane(const uint8_t *page);

/* Highest expunge that happened in this leaf. */
uint64_t page_expunged(const uint8_t *page);
void page_note_expunged(uint8_t *page, uint64_t modseq);

/* ---- leaf ---- */

/* Index of the first cell with a key of at least k. */
unsigned page_find(const uint8_t *page, struct key k, bool *equal);
struct key page_key(const uint8_t *page, unsigned i);
struct bytes page_value(const uint8_t *page, unsigned i);
/* A value may be overwritten in place by one of the same length. */
uint8_t *page_value_at(uint8_t *page, unsigned i);
/* False when there is no room (after closing holes). */
bool page_insert(uint8_t *page, unsigned i, struct key k, struct bytes value);
void page_remove(uint8_t *page, unsigned i);
/* Bytes that the cells take, directory included. */
unsigned page_used(const uint8_t *page);
/* Moves the cells from i on to the empty leaf `to`. */
void page_split(uint8_t *page, unsigned i, uint8_t *to);
/* Appends all cells of `from`; the caller knows that they fit. */
void page_append(uint8_t *page, const uint8_t *from);

/* ---- branch ---- */

/* Index of the child that holds k. */
unsigned branch_find(const uint8_t *page, struct key k);
struct key branch_key(const uint8_t *page, unsigned i);
void branch_set_key(uint8_t *page, unsigned i, struct key k);
uint32_t branch_child(const uint8_t *page, unsigned i);
void branch_set_child(uint8_t *page, unsigned i, uint32_t slot);
struct page_sums branch_sums(const uint8_t *page, unsigned i);
void branch_set_sums(uint8_t *page, unsigned i, const struct page_sums *sums);
/* The caller has checked page_count < PAGE_BRANCH_MAX. */
void branch_insert(uint8_t *page, unsigned i, struct key k, uint32_t slot, const struct page_sums *sums);
void branch_remove(uint8_t *page, unsigned i);
void branch_split(uint8_t *page, unsigned i, uint8_t *to);
void branch_append(uint8_t *page, const uint8_t *from);

#endif
