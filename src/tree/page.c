/* Page bytes: 0 magic, 4 level, 6 cells, 8 own slot, 12 checksum, 16 checkpoint,
 * 24 highest expunge, 32 heap start, 34 hole bytes, 36 reserved, 48 cells.
 * A leaf has a directory of 16-bit offsets growing up and cells growing down
 * from the end: key high, key low, value length, value. A branch is an array:
 * key high, key low, child, count, unseen, reserved, modseq, expunged. */
#include "tree/page.h"

#include <assert.h>

#include "base/le.h"

#define AT_MAGIC 0
#define AT_LEVEL 4
#define AT_COUNT 6
#define AT_EXPUNGED 24
#define AT_HEAP 32
#define AT_HOLES 34
#define PAGE_MAGIC 0x31507543u /* "CuP1" */
#define CELL_HEAD 18

void page_init(uint8_t *page, unsigned level)
{
	memset(page, 0, PAGE_SIZE);
	put_le32(page + AT_MAGIC, PAGE_MAGIC);
	page[AT_LEVEL] = (uint8_t)level;
	put_le16(page + AT_HEAP, PAGE_SIZE);
}

unsigned page_level(const uint8_t *page)
{
	return page[AT_LEVEL];
}

unsigned page_count(const uint8_t *page)
{
	return le16(page + AT_COUNT);
}

static void set_count(uint8_t *page, unsigned n)
{
	put_le16(page + AT_COUNT, (uint16_t)n);
}

static unsigned cell_offset(const uint8_t *page, unsigned i)
{
	return le16(page + PAGE_HEADER + 2 * i);
}

static unsigned cell_size(const uint8_t *page, unsigned offset)
{
	return CELL_HEAD + le16(page + offset + 16);
}

/* The first key of the leftmost branch may be anything: smaller ones go below
 * it all the same. */
static bool branch_sane(const uint8_t *page)
{
	unsigned n = page_count(page);

	if (n == 0 || n > PAGE_BRANCH_MAX)
		return false;
	for (unsigned i = 2; i < n; i++)
		if (key_compare(branch_key(page, i - 1), branch_key(page, i)) >= 0)
			return false;
	return true;
}

bool page_sane(const uint8_t *page)
{
	unsigned n = page_count(page), heap = le16(page + AT_HEAP), cells = le16(page + AT_HOLES);

	if (le32(page + AT_MAGIC) != PAGE_MAGIC || page_level(page) > 15)
		return false;
	if (page_level(page) > 0)
		return branch_sane(page);
	if (heap > PAGE_SIZE || PAGE_HEADER + 2 * n > heap)
		return false;
	for (unsigned i = 0; i < n; i++) {
		unsigned at = cell_offset(page, i);

		if (at < heap || at + CELL_HEAD > PAGE_SIZE || at + cell_size(page, at) > PAGE_SIZE ||
			cell_size(page, at) > CELL_HEAD + PAGE_VALUE_MAX)
			return false;
		if (i > 0 && key_compare(page_key(page, i - 1), page_key(page, i)) >= 0)
			return false;
		cells += cell_size(page, at);
	}
	/* Cells and holes fill it, so that no change runs out of it. */
	return cells == PAGE_SIZE - heap;
}

uint64_t page_expunged(const uint8_t *page)
{
	return le64(page + AT_EXPUNGED);
}

void page_note_expunged(uint8_t *page, uint64_t modseq)
{
	if (modseq > page_expunged(page))
		put_le64(page + AT_EXPUNGED, modseq);
}

struct key page_key(const uint8_t *page, unsigned i)
{
	const uint8_t *p = page + cell_offset(page, i);

	return (struct key){ le64(p), le64(p + 8) };
}

unsigned page_find(const uint8_t *page, struct key k, bool *equal)
{
	unsigned lo = 0, hi = page_count(page);

	*equal = false;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		int d = key_compare(page_key(page, mid), k);

		if (d == 0) {
			*equal = true;
			return mid;
		}
		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct bytes page_value(const uint8_t *page, unsigned i)
{
	const uint8_t *p = page + cell_offset(page, i);

	return bytes_make(p + CELL_HEAD, le16(p + 16));
}

uint8_t *page_value_at(uint8_t *page, unsigned i)
{
	return page + cell_offset(page, i) + CELL_HEAD;
}

/* Moves all cells to the end, so that the free room is in one piece. */
static void close_holes(uint8_t *page)
{
	uint8_t copy[PAGE_SIZE];
	unsigned heap = PAGE_SIZE;

	memcpy(copy, page, PAGE_SIZE);
	for (unsigned i = 0; i < page_count(page); i++) {
		unsigned from = cell_offset(copy, i), size = cell_size(copy, from);

		heap -= size;
		memcpy(page + heap, copy + from, size);
		put_le16(page + PAGE_HEADER + 2 * i, (uint16_t)heap);
	}
	put_le16(page + AT_HEAP, (uint16_t)heap);
	put_le16(page + AT_HOLES, 0);
}

unsigned page_used(const uint8_t *page)
{
	return PAGE_SIZE - le16(page + AT_HEAP) - le16(page + AT_HOLES) + 2 * page_count(page);
}

bool page_insert(uint8_t *page, unsigned i, struct key k, struct bytes value)
{
	unsigned n = page_count(page), size = CELL_HEAD + (unsigned)value.len, heap;
	uint8_t *directory = page + PAGE_HEADER;

	assert(value.len <= PAGE_VALUE_MAX && i <= n);
	if (page_used(page) + size + 2 > PAGE_SIZE - PAGE_HEADER)
		return false;
	if (PAGE_HEADER + 2 * (n + 1) + size > le16(page + AT_HEAP))
		close_holes(page);
	heap = le16(page + AT_HEAP) - size;
	put_le64(page + heap, k.hi);
	put_le64(page + heap + 8, k.lo);
	put_le16(page + heap + 16, (uint16_t)value.len);
	if (value.len)
		memcpy(page + heap + CELL_HEAD, value.data, value.len);
	memmove(directory + 2 * (i + 1), directory + 2 * i, 2 * (n - i));
	put_le16(directory + 2 * i, (uint16_t)heap);
	put_le16(page + AT_HEAP, (uint16_t)heap);
	set_count(page, n + 1);
	return true;
}

void page_remove(uint8_t *page, unsigned i)
{
	unsigned n = page_count(page), at = cell_offset(page, i), size = cell_size(page, at);
	uint8_t *directory = page + PAGE_HEADER;

	assert(i < n);
	if (at == le16(page + AT_HEAP))
		put_le16(page + AT_HEAP, (uint16_t)(at + size));
	else
		put_le16(page + AT_HOLES, (uint16_t)(le16(page + AT_HOLES) + size));
	memmove(directory + 2 * i, directory + 2 * (i + 1), 2 * (n - i - 1));
	set_count(page, n - 1);
	if (n == 1) {
		put_le16(page + AT_HEAP, PAGE_SIZE);
		put_le16(page + AT_HOLES, 0);
	}
}

void page_append(uint8_t *page, const uint8_t *from)
{
	for (unsigned i = 0; i < page_count(from); i++) {
		bool fits = page_insert(page, page_count(page), page_key(from, i), page_value(from, i));

		assert(fits);
		(void)fits;
	}
	page_note_expunged(page, page_expunged(from));
}

void page_split(uint8_t *page, unsigned i, uint8_t *to)
{
	for (unsigned j = i; j < page_count(page); j++)
		(void)page_insert(to, j - i, page_key(page, j), page_value(page, j));
	/* Which half the expunged ones were in is not known: say both. */
	page_note_expunged(to, page_expunged(page));
	set_count(page, i);
	close_holes(page);
}

/* ---- branch ---- */

static const uint8_t *branch_cell(const uint8_t *page, unsigned i)
{
	return page + PAGE_HEADER + i * PAGE_BRANCH_CELL;
}

struct key branch_key(const uint8_t *page, unsigned i)
{
	const uint8_t *p = branch_cell(page, i);

	return (struct key){ le64(p), le64(p + 8) };
}

void branch_set_key(uint8_t *page, unsigned i, struct key k)
{
	uint8_t *p = page + PAGE_HEADER + i * PAGE_BRANCH_CELL;

	put_le64(p, k.hi);
	put_le64(p + 8, k.lo);
}

unsigned branch_find(const uint8_t *page, struct key k)
{
	unsigned lo = 1, hi = page_count(page);

	/* The first child holds everything below the second one's key. */
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (key_compare(branch_key(page, mid), k) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - 1;
}

uint32_t branch_child(const uint8_t *page, unsigned i)
{
	return le32(branch_cell(page, i) + 16);
}

void branch_set_child(uint8_t *page, unsigned i, uint32_t slot)
{
	put_le32(page + PAGE_HEADER + i * PAGE_BRANCH_CELL + 16, slot);
}

struct page_sums branch_sums(const uint8_t *page, unsigned i)
{
	const uint8_t *p = branch_cell(page, i);

	return (struct page_sums){ le32(p + 20), le32(p + 24), le64(p + 32), le64(p + 40) };
}

void branch_set_sums(uint8_t *page, unsigned i, const struct page_sums *sums)
{
	uint8_t *p = page + PAGE_HEADER + i * PAGE_BRANCH_CELL;

	put_le32(p + 20, sums->count);
	put_le32(p + 24, sums->unseen);
	put_le32(p + 28, 0);
	put_le64(p + 32, sums->modseq);
	put_le64(p + 40, sums->expunged);
}

void branch_insert(uint8_t *page, unsigned i, struct key k, uint32_t slot, const struct page_sums *sums)
{
	unsigned n = page_count(page);
	uint8_t *p = page + PAGE_HEADER + i * PAGE_BRANCH_CELL;

	assert(n < PAGE_BRANCH_MAX && i <= n);
	memmove(p + PAGE_BRANCH_CELL, p, (n - i) * PAGE_BRANCH_CELL);
	set_count(page, n + 1);
	branch_set_key(page, i, k);
	branch_set_child(page, i, slot);
	branch_set_sums(page, i, sums);
}

void branch_remove(uint8_t *page, unsigned i)
{
	unsigned n = page_count(page);
	uint8_t *p = page + PAGE_HEADER + i * PAGE_BRANCH_CELL;

	assert(i < n);
	memmove(p, p + PAGE_BRANCH_CELL, (n - i - 1) * PAGE_BRANCH_CELL);
	set_count(page, n - 1);
}

void branch_split(uint8_t *page, unsigned i, uint8_t *to)
{
	unsigned n = page_count(page);

	memcpy(to + PAGE_HEADER, branch_cell(page, i), (n - i) * PAGE_BRANCH_CELL);
	set_count(to, n - i);
	set_count(page, i);
}

void branch_append(uint8_t *page, const uint8_t *from)
{
	unsigned n = page_count(page), m = page_count(from);

	assert(n + m <= PAGE_BRANCH_MAX);
	memcpy(page + PAGE_HEADER + n * PAGE_BRANCH_CELL, branch_cell(from, 0), m * PAGE_BRANCH_CELL);
	set_count(page, n + m);
}
