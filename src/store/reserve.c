/* The reserve: bytes of the budget and of the disk that nobody uses, so that
 * expunges and flag changes stay possible when everything else is full. Made a slice
 * a turn, given up when it is needed. */
#include "store/store_int.h"

#include <string.h>

#include "base/log.h"
#include "port/system.h"

/* A disk is looked at this often for the room that the reserve wants, and so
 * much more than that must be free. */
#define DISK_AGAIN_US 2000000
#define DISK_MARGIN (64u * 1024)

/* Bytes of the reserve that are written and synced in one turn: making it takes as
 * long as the flash needs for two segments, up to 128 MiB. */
#define RESERVE_SLICE (256u * 1024)

/* The pages of a checkpoint, at most; in a small store fewer, which then makes
 * its checkpoints sooner. */
#define RESERVE_PAGES (2u * CHECKPOINT_FREED)

/* One segment for cleaning, one for control records, and a checkpoint. */
uint64_t reserve_size(const struct store *st)
{
	uint64_t pages = st->config.storage / 32, most = (uint64_t)RESERVE_PAGES * PAGE_SIZE;

	return 2 * (uint64_t)st->super.segment_size + space_blocks(pages < most ? pages : most);
}

/* One that was made for more storage than there is now would crowd the mail out. */
int reserve_trim(struct store *st)
{
	uint64_t size = reserve_size(st);
	char path[PORT_PATH_MAX];
	port_file f;
	int err;

	if (!st->reserve_there || st->reserve_bytes <= space_blocks(size) || st->repair)
		return OK;
	files_name(st, "reserve", path);
	f = port_open(path, PORT_WRITE);
	err = f < 0 ? f : port_resize(f, size);
	if (f >= 0)
		port_close(f);
	if (err != OK)
		return err;
	space_charge(st, (int64_t)space_blocks(size) - (int64_t)st->reserve_bytes);
	st->reserve_bytes = space_blocks(size);
	return OK;
}

uint64_t reserve_left(const struct store *st)
{
	uint64_t size = space_blocks(reserve_size(st));

	return st->reserve_bytes < size ? size - st->reserve_bytes : 0;
}

/* Looks now and then whether a disk that others had filled has room again. */
static bool disk_has_room(struct store *st)
{
	uint64_t now = port_now_us();
	struct port_fs fs;

	if (now < st->disk_after_us)
		return false;
	st->disk_after_us = now + DISK_AGAIN_US;
	return port_fs_info(st->dir, &fs) == OK && fs.free > reserve_size(st) + DISK_MARGIN;
}

/* Writes the next piece of the reserve, durably. Incompressible: a file system
 * that packs zeros would reserve nothing. */
static int write_reserve(struct store *st, port_file f, uint64_t size)
{
	uint64_t at = st->reserve_bytes, x = (st->super.identity ^ (at << 1)) | 1;
	uint64_t end = size - at < RESERVE_SLICE ? size : at + RESERVE_SLICE;
	int err = OK;

	while (at < end && err == OK) {
		size_t n = end - at < SCRATCH ? (size_t)(end - at) : SCRATCH;

		for (size_t i = 0; i + 8 <= n; i += 8) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			memcpy(st->scratch + i, &x, 8);
		}
		st->log_bytes += n;
		err = port_write(f, at, st->scratch, n);
		at += n;
	}
	if (err == OK)
		err = port_sync(f);
	if (err == OK) {
		space_charge(st, (int64_t)space_blocks(at) - (int64_t)st->reserve_bytes);
		st->reserve_bytes = space_blocks(at);
	}
	return err;
}

static bool drop_reserve(struct store *st)
{
	char path[PORT_PATH_MAX];

	files_name(st, "reserve", path);
	if (port_remove(path) != OK)
		return false;
	st->reserve_there = st->reserve_growing = false;
	st->unlinks_pending = true;
	space_charge(st, -(int64_t)st->reserve_bytes);
	st->reserve_bytes = 0;
	return true;
}

/* What was left of an earlier one goes: nobody knows how much of it is written. */
static int begin_reserve(struct store *st)
{
	char path[PORT_PATH_MAX];
	port_file f;
	int err;

	if (!space_has(st, 0, false) || !disk_has_room(st))
		return OK;
	err = files_before_create(st);
	if (err != OK)
		return err;
	files_name(st, "reserve", path);
	f = port_open(path, PORT_WRITE | PORT_CREATE | PORT_EMPTY);
	if (f < 0)
		return f;
	port_close(f);
	space_charge(st, -(int64_t)st->reserve_bytes);
	st->reserve_bytes = 0;
	st->reserve_growing = true;
	return OK;
}

int reserve_make(struct store *st)
{
	char path[PORT_PATH_MAX];
	uint64_t size = reserve_size(st);
	int err = OK;
	port_file f;

	if (!st->reserve_there && !st->reserve_growing)
		err = begin_reserve(st);
	if (err != OK || !st->reserve_growing)
		return err;
	files_name(st, "reserve", path);
	f = port_open(path, PORT_WRITE);
	err = f < 0 ? f : E_NOSPC;
	if (f >= 0 && st->charged + reserve_left(st) <= st->config.storage)
		err = write_reserve(st, f, size);
	if (f >= 0)
		port_close(f);
	if (err != OK) {
		(void)drop_reserve(st);
		st->reserve_growing = false;
		return err;
	}
	if (st->reserve_bytes < space_blocks(size))
		return E_AGAIN;
	st->reserve_growing = st->disk_full = false;
	st->reserve_there = true;
	return OK;
}

bool reserve_give_up(struct store *st)
{
	if (st->reserve_bytes == 0 || !drop_reserve(st))
		return false;
	log_warning("store: storage is full: the reserve was given up so that mail can be removed");
	return true;
}

void reserve_disk_is_full(struct store *st)
{
	(void)reserve_give_up(st);
	if (st->backup.holds_files || st->look.held)
		(void)backup_give_up(st);
	st->disk_full = true;
	st->disk_after_us = port_now_us() + DISK_AGAIN_US;
}
