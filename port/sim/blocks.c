/* The bytes of simulated files: 4 KiB blocks in a hash table, so that holes
 * cost nothing, shared between the two sides of a file and its images. */
#include "port/sim/world.h"

#include <stdlib.h>
#include <string.h>

#define NO_INDEX UINT64_MAX

static struct stale stale;

static void block_unref(struct block *b)
{
	if (b && --b->refs == 0)
		free(b);
}

static void stale_keep(struct block *b)
{
	unsigned at = stale.count++ % STALE_BLOCKS;

	block_unref(stale.block[at]);
	stale.block[at] = b;
	b->refs++;
}

void stale_free(struct stale *s)
{
	for (unsigned i = 0; i < STALE_BLOCKS; i++)
		block_unref(s->block[i]);
	memset(s, 0, sizeof *s);
}

void stale_reset(void)
{
	stale_free(&stale);
}

void stale_save(struct stale *to)
{
	*to = stale;
	for (unsigned i = 0; i < STALE_BLOCKS; i++)
		if (to->block[i])
			to->block[i]->refs++;
}

void stale_load(const struct stale *from)
{
	stale_free(&stale);
	stale = *from;
	for (unsigned i = 0; i < STALE_BLOCKS; i++)
		if (stale.block[i])
			stale.block[i]->refs++;
}

void stale_fill(uint64_t offset, uint8_t *data, size_t len)
{
	unsigned have = stale.count < STALE_BLOCKS ? stale.count : STALE_BLOCKS;

	if (have == 0) {
		memset(data, 0, len);
		return;
	}
	while (len > 0) {
		const struct block *b = stale.block[chance(CHANCE_DISK, have)];
		size_t in = (size_t)(offset % BLOCK), part = BLOCK - in < len ? BLOCK - in : len;

		memcpy(data, b->data + in, part);
		data += part;
		offset += part;
		len -= part;
	}
}

static struct slot *slot_at(const struct blocks *b, uint64_t index)
{
	uint64_t hash = index * 0x9e3779b97f4a7c15u;
	size_t at = (size_t)(hash >> 20) & (b->cap - 1);

	while (b->slots[at].index != NO_INDEX && b->slots[at].index != index)
		at = (at + 1) & (b->cap - 1);
	return &b->slots[at];
}

static struct slot *slot_find(const struct blocks *b, uint64_t index)
{
	struct slot *s = b->cap ? slot_at(b, index) : NULL;

	return s && s->index == index ? s : NULL;
}

static void blocks_grow(struct blocks *b)
{
	struct blocks bigger = { .cap = b->cap ? b->cap * 2 : 8 };

	bigger.slots = sim_take(bigger.cap * sizeof *bigger.slots);
	for (size_t i = 0; i < bigger.cap; i++)
		bigger.slots[i].index = NO_INDEX;
	for (size_t i = 0; i < b->cap; i++) {
		struct slot *s = &b->slots[i];

		if (s->index == NO_INDEX || (!s->side[NOW] && !s->side[DURABLE]))
			continue;
		*slot_at(&bigger, s->index) = *s;
		bigger.count++;
	}
	free(b->slots);
	b->slots = bigger.slots;
	b->cap = bigger.cap;
	b->count = bigger.count;
}

static struct slot *slot_make(struct blocks *b, uint64_t index)
{
	struct slot *s = slot_find(b, index);

	if (s)
		return s;
	if (b->count * 4 >= b->cap * 3)
		blocks_grow(b);
	s = slot_at(b, index);
	s->index = index;
	b->count++;
	return s;
}

static void slot_set(struct blocks *b, struct slot *s, enum side side, struct block *block)
{
	if (s->side[side] && !block)
		b->held[side]--;
	if (!s->side[side] && block)
		b->held[side]++;
	if (block)
		block->refs++;
	if (s->side[side] && s->side[side]->refs == 1)
		stale_keep(s->side[side]);
	block_unref(s->side[side]);
	s->side[side] = block;
}

/* A block of that side that nobody else sees. */
static struct block *slot_own(struct blocks *b, struct slot *s, enum side side)
{
	struct block *fresh;

	if (s->side[side] && s->side[side]->refs == 1)
		return s->side[side];
	fresh = sim_take(sizeof *fresh);
	if (s->side[side])
		memcpy(fresh->data, s->side[side]->data, BLOCK);
	slot_set(b, s, side, fresh);
	return fresh;
}

void blocks_free(struct blocks *b)
{
	for (size_t i = 0; i < b->cap; i++)
		if (b->slots[i].index != NO_INDEX) {
			slot_set(b, &b->slots[i], NOW, NULL);
			slot_set(b, &b->slots[i], DURABLE, NULL);
		}
	free(b->slots);
	memset(b, 0, sizeof *b);
}

void blocks_copy(struct blocks *to, const struct blocks *from)
{
	*to = *from;
	if (!from->cap)
		return;
	to->slots = memcpy(sim_take(from->cap * sizeof *to->slots), from->slots, from->cap * sizeof *to->slots);
	for (size_t i = 0; i < to->cap; i++)
		for (int side = 0; to->slots[i].index != NO_INDEX && side < 2; side++)
			if (to->slots[i].side[side])
				to->slots[i].side[side]->refs++;
}

void blocks_read(const struct blocks *b, enum side side, uint64_t offset, uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t in = (size_t)(offset % BLOCK), part = BLOCK - in < len ? BLOCK - in : len;
		const struct slot *s = slot_find(b, offset / BLOCK);

		if (s && s->side[side])
			memcpy(data, s->side[side]->data + in, part);
		else
			memset(data, 0, part);
		data += part;
		offset += part;
		len -= part;
	}
}

void blocks_write(struct blocks *b, enum side side, uint64_t offset, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t in = (size_t)(offset % BLOCK), part = BLOCK - in < len ? BLOCK - in : len;

		memcpy(slot_own(b, slot_make(b, offset / BLOCK), side)->data + in, data, part);
		data += part;
		offset += part;
		len -= part;
	}
}

void blocks_cut(struct blocks *b, enum side side, uint64_t offset)
{
	size_t in = (size_t)(offset % BLOCK);

	for (size_t i = 0; i < b->cap; i++) {
		struct slot *s = &b->slots[i];

		if (s->index == NO_INDEX || !s->side[side] || s->index < offset / BLOCK)
			continue;
		if (s->index == offset / BLOCK && in > 0)
			memset(slot_own(b, s, side)->data + in, 0, BLOCK - in);
		else
			slot_set(b, s, side, NULL);
	}
}

void blocks_same(struct blocks *b, enum side to)
{
	for (size_t i = 0; i < b->cap; i++) {
		struct slot *s = &b->slots[i];

		if (s->index != NO_INDEX && s->side[to] != s->side[!to])
			slot_set(b, s, to, s->side[!to]);
	}
}

uint64_t blocks_needed(const struct blocks *b, uint64_t offset, size_t len)
{
	uint64_t needed = 0;

	for (uint64_t i = offset / BLOCK; len > 0 && i <= (offset + len - 1) / BLOCK; i++) {
		const struct slot *s = slot_find(b, i);

		if (!s || !s->side[NOW])
			needed += BLOCK;
	}
	return needed;
}

uint64_t blocks_mark(struct blocks *b, uint64_t offset, uint64_t len, uint64_t sync, const char *path)
{
	uint64_t marked = 0;

	for (uint64_t i = offset / BLOCK; len > 0 && i <= (offset + len - 1) / BLOCK; i++) {
		struct slot *s = slot_find(b, i);

		if (s && s->synced_by != sync) {
			s->synced_by = sync;
			marked++;
			if (on_program)
				on_program(path, i);
		}
	}
	return marked;
}
