/* What the store's files take of the budget, and what of it is left. */
#include "store/store_int.h"

#include <string.h>

uint64_t space_blocks(uint64_t n)
{
	return (n + RECORD_BLOCK - 1) & ~(uint64_t)(RECORD_BLOCK - 1);
}

uint64_t space_of_blob(uint64_t size)
{
	return space_blocks(frames_size(size));
}

/* Live bytes of mail: 80 per cent of what the reserve leaves. */
uint64_t space_capacity(const struct store *st)
{
	uint64_t reserve = reserve_size(st);

	return st->config.storage > reserve ? (st->config.storage - reserve) / 10 * 8 : 0;
}

static bool count_file(void *context, const char *name)
{
	struct store *st = context;
	char path[PORT_PATH_MAX];
	port_file f;
	int64_t size, allocated;

	files_name(st, name, path);
	f = port_open(path, PORT_READ);
	if (f < 0)
		return true;
	size = port_size(f);
	allocated = port_allocated(f);
	port_close(f);
	/* Slots that were taken and not written yet are charged as well. */
	if (strcmp(name, "index") == 0 && size < (int64_t)slots_file_bytes(st->tree.slots.high))
		size = (int64_t)slots_file_bytes(st->tree.slots.high);
	if (size > 0 || allocated > 0)
		st->charged += space_blocks((uint64_t)(size > allocated ? size : allocated));
	if (strcmp(name, "reserve") == 0) {
		st->reserve_there = size >= (int64_t)reserve_size(st);
		st->reserve_bytes = space_blocks((uint64_t)(size > allocated ? size : allocated));
	}
	return true;
}

int space_count(struct store *st)
{
	int err;

	st->charged = 0;
	st->reserve_there = false;
	st->reserve_bytes = 0;
	err = port_list(st->dir, count_file, st);
	st->index_high = st->tree.slots.high;
	return err == OK ? reserve_trim(st) : err;
}

void space_charge(struct store *st, int64_t bytes)
{
	if (bytes < 0 && (uint64_t)-bytes > st->charged)
		st->charged = 0;
	else
		st->charged = (uint64_t)((int64_t)st->charged + bytes);
}

/* The index file grows as slots are taken for the first time. */
void space_charge_index(struct store *st)
{
	uint32_t high = st->tree.slots.high;

	if (high <= st->index_high)
		return;
	space_charge(st, (int64_t)(slots_file_bytes(high) - slots_file_bytes(st->index_high)));
	st->index_high = high;
}

/* Mail leaves room for the reserve even while that is given up: else it would
 * eat it, and nothing could be removed any more. */
bool space_has(const struct store *st, uint64_t bytes, bool control)
{
	uint64_t limit = st->config.storage;

	if (control)
		return st->charged + bytes <= limit + st->reserve_bytes;
	/* The index may grow by a checkpoint before the next look. */
	return st->charged + bytes + 16 * PAGE_SIZE + reserve_left(st) <= limit;
}
