#include "tree/slots.h"

#include <assert.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/le.h"
#include "tree/again.h"

/* A group: two copies of its map, then its slots. The copies are written in
 * turn, each with the number of the checkpoint that it belongs to, so that the
 * last durable one stays whole while the next is written. */
#define MAP_HEADER 16u
#define GROUP_SLOTS ((PAGE_SIZE - MAP_HEADER) * 8)
#define GROUP_PAGES (GROUP_SLOTS + 2)
#define MAP_MAGIC 0x314D7543u /* "CuM1" */

/* A page's own slot, its checksum and its checkpoint in the page's header. */
#define PAGE_AT_SLOT 8
#define PAGE_AT_CRC 12
#define PAGE_AT_CHECKPOINT 16

void slots_init(struct slots *s, uint8_t *map, uint32_t *freed, uint32_t *freed_before)
{
	*s = (struct slots){ .file = -1,
		.group = UINT32_MAX,
		.map = map,
		.freed = freed,
		.freed_before = freed_before };
}

static uint64_t slot_offset(uint32_t slot)
{
	uint64_t page = (uint64_t)(slot / GROUP_SLOTS) * GROUP_PAGES + 2 + slot % GROUP_SLOTS;

	return page * PAGE_SIZE;
}

uint64_t slots_file_bytes(uint32_t high)
{
	return high ? slot_offset(high - 1) + PAGE_SIZE : 2 * PAGE_SIZE;
}

static uint64_t map_offset(uint32_t group, unsigned copy)
{
	return ((uint64_t)group * GROUP_PAGES + copy) * PAGE_SIZE;
}

static uint32_t map_crc(const struct slots *s, uint32_t group, const uint8_t *map)
{
	uint32_t c = crc32c(s->seed ^ group, map + 8, PAGE_SIZE - 8);

	return crc32c(c, map, 4);
}

/* The checkpoint number of a copy: 0 when there is none. E_DAMAGED: there is
 * something else. Then nobody knows whether it was the newer one, and the other
 * copy must not be taken for it: it may call a slot free that is not. */
static int read_copy(struct slots *s, uint32_t group, unsigned copy, uint8_t *map, uint64_t *number)
{
	int64_t n = read_again(s->file, map_offset(group, copy), map, PAGE_SIZE);
	uint8_t any = 0;

	*number = 0;
	if (n < 0)
		return E_IO;
	if (n == PAGE_SIZE && le32(map) == MAP_MAGIC && le32(map + 4) == map_crc(s, group, map)) {
		*number = le64(map + 8);
		return OK;
	}
	for (int64_t i = 0; i < n; i++)
		any |= map[i];
	return any ? E_DAMAGED : OK;
}

/* When the disk is full somebody may make room: then once more. */
static int write_page(struct slots *s, uint64_t offset, const uint8_t *page)
{
	int err = port_write(s->file, offset, page, PAGE_SIZE);

	if (err == E_NOSPC && s->make_room && s->make_room(s->context))
		err = port_write(s->file, offset, page, PAGE_SIZE);
	return err;
}

/* Into the copy that is not the last durable one; within one checkpoint again
 * into the same. */
static int write_map(struct slots *s)
{
	uint8_t *map = s->map;
	unsigned copy = le64(map + 8) == s->building ? s->copy : !s->copy;
	int err;

	if (!s->map_dirty)
		return OK;
	s->numbers += s->building - le64(map + 8);
	put_le32(map, MAP_MAGIC);
	put_le64(map + 8, s->building);
	put_le32(map + 4, map_crc(s, s->group, map));
	err = write_page(s, map_offset(s->group, copy), map);
	if (err == OK) {
		s->copy = copy;
		s->map_dirty = false;
		s->bytes_written += PAGE_SIZE;
	}
	return err;
}

static int load_group(struct slots *s, uint32_t group)
{
	uint64_t first, second;
	int err;

	if (s->group == group)
		return OK;
	err = write_map(s);
	if (err != OK)
		return err;
	s->group = UINT32_MAX;
	err = read_copy(s, group, 0, s->map, &first);
	if (err == OK)
		err = read_copy(s, group, 1, s->map, &second);
	if (err != OK)
		return err;
	s->copy = second >= first;
	if (first == 0 && second == 0) {
		if (s->high > (uint64_t)group * GROUP_SLOTS)
			return E_DAMAGED;
		memset(s->map, 0, PAGE_SIZE);
	} else if (first > second) {
		err = read_copy(s, group, 0, s->map, &first);
		if (err != OK)
			return err;
	}
	s->group = group;
	s->map_dirty = false;
	return OK;
}

void slots_forget(struct slots *s)
{
	s->group = UINT32_MAX;
	s->map_dirty = false;
}

int slots_mount(struct slots *s, uint64_t durable)
{
	uint32_t groups = (s->high + GROUP_SLOTS - 1) / GROUP_SLOTS;
	bool lost = false, wrote = false;
	uint64_t numbers = 0;

	s->building = durable + 1;
	for (uint32_t group = 0; group <= groups; group++) {
		uint64_t found = 0;

		for (unsigned copy = 0; copy < 2; copy++) {
			uint64_t number;
			int err = read_copy(s, group, copy, s->map, &number);

			if (err == E_IO)
				return err;
			lost |= err == E_DAMAGED;
			if (number <= durable) {
				found = number > found ? number : found;
				continue;
			}
			memset(s->map, 0, PAGE_SIZE);
			err = port_write(s->file, map_offset(group, copy), s->map, PAGE_SIZE);
			s->bytes_written += PAGE_SIZE;
			if (err != OK)
				return err;
			wrote = true;
		}
		lost |= group < groups && !found;
		numbers += found;
	}
	/* An older copy alone looks as good as the newest one, and calls slots free
	 * that are not. Each is written with a higher number: the sum tells. */
	lost |= numbers != s->numbers;
	s->numbers = numbers;
	s->group = UINT32_MAX;
	if (wrote && port_sync(s->file) != OK)
		return E_IO;
	return lost ? E_DAMAGED : OK;
}

static uint8_t *map_byte(struct slots *s, uint32_t slot)
{
	return s->map + MAP_HEADER + slot % GROUP_SLOTS / 8;
}

bool slots_is_used(struct slots *s, uint32_t slot)
{
	if (load_group(s, slot / GROUP_SLOTS) != OK)
		return true;
	return (*map_byte(s, slot) >> (slot & 7)) & 1;
}

static int set_used(struct slots *s, uint32_t slot, bool used)
{
	uint8_t bit = (uint8_t)(1u << (slot & 7));
	int err = load_group(s, slot / GROUP_SLOTS);

	if (err != OK)
		return err;
	if (used && !(*map_byte(s, slot) & bit)) {
		*map_byte(s, slot) |= bit;
		s->used++;
	} else if (!used && (*map_byte(s, slot) & bit)) {
		*map_byte(s, slot) &= (uint8_t)~bit;
		s->used--;
	}
	s->map_dirty = true;
	return OK;
}

int slots_mark(struct slots *s, uint32_t slot)
{
	if (slot >= s->high)
		s->high = slot + 1;
	return set_used(s, slot, true);
}

/* First free slot of the loaded group at or after `from`, or GROUP_SLOTS. */
static uint32_t free_in_group(const struct slots *s, uint32_t from)
{
	for (uint32_t i = from; i < GROUP_SLOTS; i++) {
		uint8_t byte = s->map[MAP_HEADER + i / 8];

		if (byte == 0xFF) {
			i |= 7;
			continue;
		}
		if (!((byte >> (i & 7)) & 1))
			return i;
	}
	return GROUP_SLOTS;
}

int slots_take(struct slots *s, uint32_t *slot)
{
	uint32_t groups = 2 * s->limit / GROUP_SLOTS + 1;
	uint32_t start = s->next / GROUP_SLOTS;

	if (s->used >= 2 * (uint64_t)s->limit)
		return E_FULL;
	for (uint32_t g = 0; g <= groups; g++) {
		uint32_t group = (start + g) % groups;
		int err = load_group(s, group);
		uint32_t i;

		if (err != OK)
			return err;
		i = free_in_group(s, g == 0 ? s->next % GROUP_SLOTS : 0);
		if (i == GROUP_SLOTS || (uint64_t)group * GROUP_SLOTS + i >= 2 * (uint64_t)s->limit)
			continue;
		*slot = group * GROUP_SLOTS + i;
		s->next = *slot + 1;
		return slots_mark(s, *slot);
	}
	return E_FULL;
}

void slots_release(struct slots *s, uint32_t slot)
{
	assert(s->n_freed < SLOTS_FREED_MAX);
	s->freed[s->n_freed++] = slot;
}

int slots_return(struct slots *s, uint32_t slot)
{
	if (slot < s->next)
		s->next = slot;
	return set_used(s, slot, false);
}

int slots_read(struct slots *s, uint32_t slot, uint8_t *page)
{
	int64_t n = read_again(s->file, slot_offset(slot), page, PAGE_SIZE);
	uint32_t crc;

	if (n < 0)
		return E_IO;
	crc = le32(page + PAGE_AT_CRC);
	put_le32(page + PAGE_AT_CRC, 0);
	if (n != PAGE_SIZE || crc32c(s->seed ^ slot, page, PAGE_SIZE) != crc || le32(page + PAGE_AT_SLOT) != slot ||
		!page_sane(page))
		return E_DAMAGED;
	return OK;
}

int slots_write(struct slots *s, uint32_t slot, uint8_t *page)
{
	int err;

	put_le32(page + PAGE_AT_SLOT, slot);
	put_le64(page + PAGE_AT_CHECKPOINT, s->building);
	put_le32(page + PAGE_AT_CRC, 0);
	put_le32(page + PAGE_AT_CRC, crc32c(s->seed ^ slot, page, PAGE_SIZE));
	err = write_page(s, slot_offset(slot), page);
	put_le32(page + PAGE_AT_CRC, 0);
	if (err == OK)
		s->bytes_written += PAGE_SIZE;
	return err;
}

int slots_flush(struct slots *s)
{
	return write_map(s);
}

int slots_settle(struct slots *s)
{
	uint32_t *list = s->freed_before;
	int err = OK;

	s->next = 0;
	for (uint32_t i = 0; i < s->n_freed_before && err == OK; i++)
		err = set_used(s, list[i], false);
	s->freed_before = s->freed;
	s->n_freed_before = s->n_freed;
	s->freed = list;
	s->n_freed = 0;
	return err;
}

int slots_checkpointed(struct slots *s)
{
	s->building++;
	return slots_settle(s);
}

/* Both copies of every group: the first becomes an empty map of the checkpoint
 * being built, the second none at all. */
int slots_clear(struct slots *s)
{
	uint32_t groups = s->high / GROUP_SLOTS + 1;
	int err = OK;

	s->used = 0;
	s->numbers = 0;
	s->next = 0;
	for (uint32_t g = 0; g < groups && err == OK; g++) {
		memset(s->map, 0, PAGE_SIZE);
		err = write_page(s, map_offset(g, 1), s->map);
		s->group = g;
		s->copy = 1;
		s->map_dirty = true;
		if (err == OK)
			err = write_map(s);
	}
	return err;
}

int slots_keep_freed(struct slots *s)
{
	int err = OK;

	s->n_freed_before = 0;
	for (uint32_t i = 0; i < s->n_freed && err == OK; i++)
		err = slots_mark(s, s->freed[i]);
	return err;
}
