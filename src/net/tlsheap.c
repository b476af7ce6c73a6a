/* The heap of mbedTLS. Memory is a row of pieces, each with a header that knows
 * its own size and that of the piece before it; a used piece of size 0 ends the
 * row. A free piece holds its neighbours in the list of its size class. Places
 * are offsets from the base, 0 is none: the first header stands at 8, so that what
 * follows it is aligned. */
#include "net/tlsheap.h"

#include <assert.h>
#include <string.h>

#define UNIT TLSHEAP_ALIGN
#define START 8u
#define USED 1u
#define SLACK 2u /* used, and a unit longer than asked for: it was too small to split off */
#define EXACT_BINS 32u /* by units; the rest by power of two and eighth */

struct header {
	uint32_t size;   /* of the piece with this header, in bytes; USED, SLACK */
	uint32_t before; /* size of the piece before; 0: the first */
};

struct links {
	uint32_t next, previous;
};

#define SMALLEST ((uint32_t)(sizeof(struct header) + sizeof(struct links)))

static struct header *header_at(const struct tlsheap *h, uint32_t at)
{
	return (struct header *)(void *)(h->base + at);
}

static struct links *links_at(const struct tlsheap *h, uint32_t at)
{
	return (struct links *)(void *)(h->base + at + sizeof(struct header));
}

static uint32_t size_at(const struct tlsheap *h, uint32_t at)
{
	return header_at(h, at)->size & ~(USED | SLACK);
}

static bool used_at(const struct tlsheap *h, uint32_t at)
{
	return header_at(h, at)->size & USED;
}

/* What it counts in the statistics: the same for the same request at any time. */
static uint32_t cost_at(const struct tlsheap *h, uint32_t at)
{
	return size_at(h, at) - (header_at(h, at)->size & SLACK ? UNIT : 0);
}

static uint32_t bin_of(uint32_t size)
{
	uint32_t units = size / UNIT, log, bin;

	if (units < EXACT_BINS)
		return units;
	log = 31 - (uint32_t)__builtin_clz(units);
	bin = EXACT_BINS + (log - 5) * 8 + (units >> (log - 3)) - 8;
	return bin < TLSHEAP_BINS ? bin : TLSHEAP_BINS - 1;
}

static void list_add(struct tlsheap *h, uint32_t at)
{
	uint32_t bin = bin_of(size_at(h, at));
	struct links *l = links_at(h, at);

	l->previous = 0;
	l->next = h->bins[bin];
	if (l->next)
		links_at(h, l->next)->previous = at;
	h->bins[bin] = at;
	h->map[bin / 32] |= UINT32_C(1) << bin % 32;
}

static void list_remove(struct tlsheap *h, uint32_t at)
{
	uint32_t bin = bin_of(size_at(h, at));
	const struct links *l = links_at(h, at);

	if (l->next)
		links_at(h, l->next)->previous = l->previous;
	if (l->previous)
		links_at(h, l->previous)->next = l->next;
	else
		h->bins[bin] = l->next;
	if (!h->bins[bin])
		h->map[bin / 32] &= ~(UINT32_C(1) << bin % 32);
}

void tlsheap_init(struct tlsheap *h, void *memory, size_t len)
{
	uint32_t end;

	assert(len <= UINT32_C(1) << 30 && ((uintptr_t)memory & (UNIT - 1)) == 0);
	*h = (struct tlsheap){ .base = memory };
	if (len < START + SMALLEST + sizeof(struct header))
		return;
	end = START + (((uint32_t)len - START - (uint32_t)sizeof(struct header)) & ~(UNIT - 1));
	h->len = end + (uint32_t)sizeof(struct header);
	*header_at(h, START) = (struct header){ end - START, 0 };
	*header_at(h, end) = (struct header){ USED, end - START };
	list_add(h, START);
}

/* The best fit among the first pieces of the bin, or 0. */
static uint32_t look(const struct tlsheap *h, uint32_t bin, uint32_t size)
{
	uint32_t best = 0, at = h->bins[bin];

	for (unsigned i = 0; at && i < TLSHEAP_LOOK; i++) {
		uint32_t have = size_at(h, at);

		if (have >= size && (!best || have < size_at(h, best)))
			best = at;
		if (have == size)
			break;
		at = links_at(h, at)->next;
	}
	return best;
}

static uint32_t find(const struct tlsheap *h, uint32_t size)
{
	uint32_t bin = bin_of(size), found = look(h, bin, size);

	for (bin++; !found && bin < TLSHEAP_BINS; bin++) {
		uint32_t rest = h->map[bin / 32] >> bin % 32;

		if (rest) {
			bin += (uint32_t)__builtin_ctz(rest);
			found = look(h, bin, size);
		} else {
			bin |= 31;
		}
	}
	return found;
}

void *tlsheap_take(struct tlsheap *h, size_t len)
{
	uint32_t size, at, have;

	if (len > h->len) {
		h->denied++;
		return NULL;
	}
	size = ((uint32_t)len + (uint32_t)sizeof(struct header) + UNIT - 1) & ~(UNIT - 1);
	if (size < SMALLEST)
		size = SMALLEST;
	at = find(h, size);
	if (!at) {
		h->denied++;
		return NULL;
	}
	list_remove(h, at);
	have = size_at(h, at);
	if (have - size >= SMALLEST) {
		header_at(h, at)->size = size;
		*header_at(h, at + size) = (struct header){ have - size, size };
		header_at(h, at + have)->before = have - size;
		list_add(h, at + size);
		have = size;
	}
	header_at(h, at)->size = have | USED | (have > size ? SLACK : 0);
	h->used += size;
	h->pieces++;
	if (h->used > h->peak)
		h->peak = h->used;
	return memset(h->base + at + sizeof(struct header), 0, have - sizeof(struct header));
}

bool tlsheap_owns(const struct tlsheap *h, const void *piece)
{
	return (uintptr_t)piece >= (uintptr_t)h->base && (uintptr_t)piece < (uintptr_t)h->base + h->len;
}

size_t tlsheap_size(const struct tlsheap *h, const void *piece)
{
	uint32_t at = (uint32_t)((const uint8_t *)piece - h->base) - (uint32_t)sizeof(struct header);

	assert(tlsheap_owns(h, piece) && used_at(h, at));
	return size_at(h, at) - sizeof(struct header);
}

/* Joins the free piece at `at` with the free piece behind it. */
static void join(struct tlsheap *h, uint32_t at, uint32_t behind)
{
	uint32_t size = size_at(h, at) + size_at(h, behind);

	header_at(h, at)->size = size;
	header_at(h, at + size)->before = size;
}

void tlsheap_give(struct tlsheap *h, void *piece)
{
	uint32_t at, size, behind;

	if (!piece)
		return;
	assert(tlsheap_owns(h, piece) && ((uintptr_t)piece & (UNIT - 1)) == 0);
	at = (uint32_t)((uint8_t *)piece - h->base) - (uint32_t)sizeof(struct header);
	assert(used_at(h, at));
	size = size_at(h, at);
	assert(size >= SMALLEST && size < h->len - at);
	behind = at + size;
	assert(header_at(h, behind)->before == size);
	h->used -= cost_at(h, at);
	h->pieces--;
	header_at(h, at)->size = size;
	if (!used_at(h, behind)) {
		list_remove(h, behind);
		join(h, at, behind);
	}
	if (header_at(h, at)->before && !used_at(h, at - header_at(h, at)->before)) {
		uint32_t before = at - header_at(h, at)->before;

		list_remove(h, before);
		join(h, before, at);
		at = before;
	}
	list_add(h, at);
}

size_t tlsheap_largest(const struct tlsheap *h)
{
	for (uint32_t bin = TLSHEAP_BINS; bin-- > 0;) {
		uint32_t largest = 0;

		for (uint32_t at = h->bins[bin]; at; at = links_at(h, at)->next)
			if (size_at(h, at) > largest)
				largest = size_at(h, at);
		if (largest)
			return largest - sizeof(struct header);
	}
	return 0;
}

void tlsheap_check(const struct tlsheap *h)
{
	uint32_t used = 0, pieces = 0, loose = 0, listed = 0, before = 0, at = START;

	for (; size_at(h, at); at += before) {
		assert(header_at(h, at)->before == before);
		assert(!before || used_at(h, at) || used_at(h, at - before));
		before = size_at(h, at);
		assert(before >= SMALLEST && before < h->len - at);
		if (used_at(h, at)) {
			used += cost_at(h, at);
			pieces++;
		} else {
			loose++;
		}
	}
	assert(at == h->len - sizeof(struct header) && header_at(h, at)->before == before);
	assert(used == h->used && pieces == h->pieces);
	for (uint32_t bin = 0; bin < TLSHEAP_BINS; bin++) {
		assert(!h->bins[bin] == !(h->map[bin / 32] >> bin % 32 & 1));
		for (uint32_t p = h->bins[bin]; p; p = links_at(h, p)->next, listed++)
			assert(!used_at(h, p) && bin_of(size_at(h, p)) == bin);
	}
	assert(listed == loose);
	(void)used, (void)pieces, (void)loose, (void)listed;
}
