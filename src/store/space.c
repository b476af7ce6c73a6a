/* What the store's files take of the budget, and the reserve that keeps
 * expunges and flag changes possible when everything else is full. */
#include "store/store_int.h"

#include <string.h>

#include "base/log.h"
#include "port/system.h"

#define BLOCK 4096u

static uint64_t blocks(uint64_t n)
{
	return (n + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
}

uint64_t space_of_blob(uint64_t size)
{
	return blocks(frames_size(size));
}

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
uint64_t space_reserve_size(const struct store *st)
{
	uint64_t pages = st->config.storage / 32, most = (uint64_t)RESERVE_PAGES * PAGE_SIZE;

	return 2 * (uint64_t)st->super.segment_size + blocks(pages < most ? pages : most);
}

/* Live bytes of mail: 80 per cent of what the reserve leaves. */
uint64_t space_capacity(const struct store *st)
{
	uint64_t reserve = space_reserve_size(st);

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
		st->charged += blocks((uint64_t)(size > allocated ? size : allocated));
	if (strcmp(name, "reserve") == 0) {
		st->reserve_there = size >= (int64_t)space_reserve_size(st);
		st->reserve_bytes = blocks((uint64_t)(size > allocated ? size : allocated));
	}
	return true;
}

/* One that was made for more storage than there is now would crowd the mail out. */
static int trim_reserve(struct store *st)
{
	uint64_t size = space_reserve_size(st);
	char path[PORT_PATH_MAX];
	port_file f;
	int err;

	if (!st->reserve_there || st->reserve_bytes <= blocks(size) || st->repair)
		return OK;
	files_name(st, "reserve", path);
	f = port_open(path, PORT_WRITE);
	err = f < 0 ? f : port_resize(f, size);
	if (f >= 0)
		port_close(f);
	if (err != OK)
		return err;
	space_charge(st, (int64_t)blocks(size) - (int64_t)st->reserve_bytes);
	st->reserve_bytes = blocks(size);
	return OK;
}

int space_count(struct store *st)
{
	int err;

	st->charged = 0;
	st->reserve_there = false;
	st->reserve_bytes = 0;
	err = port_list(st->dir, count_file, st);
	st->index_high = st->tree.slots.high;
	return err == OK ? trim_reserve(st) : err;
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

uint64_t space_reserve_left(const struct store *st)
{
	uint64_t size = blocks(space_reserve_size(st));

	return st->reserve_bytes < size ? size - st->reserve_bytes : 0;
}

/* Mail leaves room for the reserve even while that is given up: else it would
 * eat it, and nothing could be removed any more. */
bool space_has(const struct store *st, uint64_t bytes, bool control)
{
	uint64_t limit = st->config.storage;

	if (control)
		return st->charged + bytes <= limit + st->reserve_bytes;
	/* The index may grow by a checkpoint before the next look. */
	return st->charged + bytes + 16 * PAGE_SIZE + space_reserve_left(st) <= limit;
}

/* Looks now and then whether a disk that others had filled has room again. */
static bool disk_has_room(struct store *st)
{
	uint64_t now = port_now_us();
	struct port_fs fs;

	if (now < st->disk_after_us)
		return false;
	st->disk_after_us = now + DISK_AGAIN_US;
	return port_fs_info(st->dir, &fs) == OK && fs.free > space_reserve_size(st) + DISK_MARGIN;
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
		space_charge(st, (int64_t)blocks(at) - (int64_t)st->reserve_bytes);
		st->reserve_bytes = blocks(at);
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

int space_make_reserve(struct store *st)
{
	char path[PORT_PATH_MAX];
	uint64_t size = space_reserve_size(st);
	int err = OK;
	port_file f;

	if (!st->reserve_there && !st->reserve_growing)
		err = begin_reserve(st);
	if (err != OK || !st->reserve_growing)
		return err;
	files_name(st, "reserve", path);
	f = port_open(path, PORT_WRITE);
	err = f < 0 ? f : E_NOSPC;
	if (f >= 0 && st->charged + space_reserve_left(st) <= st->config.storage)
		err = write_reserve(st, f, size);
	if (f >= 0)
		port_close(f);
	if (err != OK) {
		(void)drop_reserve(st);
		st->reserve_growing = false;
		return err;
	}
	if (st->reserve_bytes < blocks(size))
		return E_AGAIN;
	st->reserve_growing = st->disk_full = false;
	st->reserve_there = true;
	return OK;
}

bool space_give_reserve_up(struct store *st)
{
	if (st->reserve_bytes == 0 || !drop_reserve(st))
		return false;
	log_warning("store: storage is full: the reserve was given up so that mail can be removed");
	return true;
}

/* ---- may it come in? ---- */

/* What is staged for a user and not counted as his yet. */
static void add_staged(const struct store *st, uint32_t owner, uint64_t *bytes, uint64_t *messages)
{
	for (uint32_t i = 0; i < st->n_heads; i++) {
		if (st->heads[i].owner != owner)
			continue;
		*bytes += st->heads[i].bytes;
		*messages += st->heads[i].messages;
	}
	for (unsigned i = 0; i < COPIES; i++) {
		if (!st->copies[i].mailbox || st->copies[i].owner != owner)
			continue;
		*bytes += st->copies[i].bytes;
		*messages += st->copies[i].messages;
	}
}

/* Bytes of mail that go at least when the index is full: pages are not bytes. */
#define INDEX_LEAST 16384

enum room { ROOM_JUDGE, ROOM_MAKE, ROOM_SPARE };

/* Of `all` what mail may take that nothing goes for. */
static uint64_t spare_of(const struct store *st, uint64_t all)
{
	return st->evict.configured && st->evict.config.on ? all / 100 * st->evict.config.high : all;
}

static int owner_room(struct store *st, uint32_t owner, uint64_t size, size_t n, enum room room)
{
	uint64_t quota, used, messages, low;
	struct store_quota limits;

	if (owner == 0)
		return OK;
	store_quota(st, owner, &limits);
	quota = limits.bytes;
	if (quota == STORE_NO_QUOTA && limits.messages == STORE_NO_QUOTA)
		return OK;
	store_owner_usage(st, owner, &used, &messages);
	add_staged(st, owner, &used, &messages);
	if (messages > limits.messages || n > limits.messages - messages)
		return E_FULL;
	if (quota == STORE_NO_QUOTA)
		return OK;
	if (room == ROOM_SPARE)
		return used + size > spare_of(st, quota) ? E_FULL : OK;
	if (size > quota)
		return E_FULL;
	low = quota / 100 * st->evict.config.low;
	if (used + size > quota)
		return evict_request(st, owner, owner, used + size - quota, used + size - low, room == ROOM_MAKE);
	/* Beyond the high mark room is made ahead. */
	if (room == ROOM_MAKE && used + size > spare_of(st, quota) && used > low)
		(void)evict_request(st, owner, owner, 1, used - low, true);
	return OK;
}

/* Pages of the tree: those that only a backup holds are given up when they are in
 * the way. */
static uint32_t slots_of_tree(const struct store *st)
{
	const struct slots *s = &st->tree.slots;

	return s->used - s->n_freed - s->n_freed_before - st->tree.hold.count;
}

/* Beside the pages that there are, the index must be able to take the copies
 * that changing them makes, and what is staged and not in it yet. */
#define LOG_STAGED_SLOTS 16

static bool index_has_room(const struct store *st)
{
	const struct slots *s = &st->tree.slots;
	uint32_t pages = slots_of_tree(st), staged = st->log.used / 1024 + LOG_STAGED_SLOTS;

	return (uint64_t)pages + checkpoint_slots(st) + staged < s->limit;
}

uint64_t space_index_excess(const struct store *st, uint32_t part)
{
	const struct slots *s = &st->tree.slots;
	uint32_t pages = slots_of_tree(st), kept = checkpoint_slots(st) + 64;
	uint64_t mark = s->limit > kept ? (uint64_t)(s->limit - kept) * part / 100 : 0;

	return pages > mark ? st->super.live / pages * (pages - mark) + 1 : 0;
}

bool space_for_mail(const struct store *st)
{
	return !st->disk_full;
}

void space_disk_is_full(struct store *st)
{
	(void)space_give_reserve_up(st);
	if (st->backup.holds_files || st->look.held)
		(void)backup_give_up(st);
	st->disk_full = true;
	st->disk_after_us = port_now_us() + DISK_AGAIN_US;
}

static uint64_t record_bytes(uint64_t size)
{
	return blocks(RECORD_HEADER + 512 + frames_size(size));
}

static int room_for(struct store *st, uint32_t owner, uint64_t size, size_t n, enum room room)
{
	uint64_t record = record_bytes(size), capacity = space_capacity(st);
	uint64_t live = st->super.live + st->staged_live + record;
	uint64_t low = capacity / 100 * st->evict.config.low;
	int err = OK;

	if (size > st->config.message_max)
		return E_TOOBIG;
	if (st->read_only)
		return E_READONLY;
	if (!space_for_mail(st) || record > capacity)
		return E_FULL;
	if (room == ROOM_SPARE && (live > spare_of(st, capacity) || !index_has_room(st)))
		return E_FULL;
	if (live > capacity)
		err = evict_request(st, 0, owner, live - capacity, live - low, room == ROOM_MAKE);
	else if (!index_has_room(st))
		err = evict_request(st, 0, owner, INDEX_LEAST, space_index_excess(st, st->evict.config.low),
			room == ROOM_MAKE);
	return err == OK ? owner_room(st, owner, n * size, n, room) : err;
}

int store_room(struct store *st, uint32_t owner, uint64_t size)
{
	return room_for(st, owner, size, 1, ROOM_JUDGE);
}

int store_room_in(struct store *st, uint32_t owner, uint64_t size, size_t n)
{
	return room_for(st, owner, size, n, ROOM_JUDGE);
}

int store_room_spare(struct store *st, uint32_t owner, uint64_t size)
{
	return room_for(st, owner, size, 1, ROOM_SPARE);
}

unsigned store_used_part(struct store *st, uint32_t owner)
{
	uint64_t quota = quota_bytes(st, owner), used, messages, part = st->super.live / (space_capacity(st) / 100 + 1);

	store_owner_usage(st, owner, &used, &messages);
	if (quota != STORE_NO_QUOTA && used / (quota / 100 + 1) > part)
		part = used / (quota / 100 + 1);
	return part > 100 ? 100 : (unsigned)part;
}

/* Rows of one message in the index, and what splitting pages leaves empty. */
#define INDEX_MESSAGE 320
/* Its envelope and its parts, in most mail. */
#define SUMMARY_USUAL 512
/* Blocks of them that a commit of a stream of mail takes, at least. */
#define COMMIT_BLOCKS 12

/* The pages that the tree may have when index_has_room says no for the first time. */
static uint32_t index_pages_most(const struct store *st)
{
	const struct slots *s = &st->tree.slots;
	uint32_t kept = checkpoint_slots(st) + LOG_STAGED_SLOTS, pages = slots_of_tree(st);

	/* What checkpoints keep grows with the pages, up to a limit. */
	return s->limit > kept + pages ? pages + (s->limit - kept - pages) / (pages < 4 * STORE_UIDS ? 2 : 1) : pages;
}

void store_spare(struct store *st, uint32_t owner, struct store_spare *spare)
{
	uint64_t all = spare_of(st, space_capacity(st)), used, messages;
	struct store_quota quota;

	store_quota(st, owner, &quota);
	store_owner_usage(st, owner, &used, &messages);
	*spare = (struct store_spare){
		.bytes = all > st->super.live ? all - st->super.live : 0,
		.quota = quota.bytes,
		.messages = (uint64_t)(index_pages_most(st) - slots_of_tree(st)) * PAGE_SIZE / INDEX_MESSAGE,
		.in_log = upload_most_in_log(st),
	};
	if (quota.bytes != STORE_NO_QUOTA) {
		spare->quota = spare_of(st, quota.bytes);
		spare->quota -= used < spare->quota ? used : spare->quota;
	}
	if (quota.messages != STORE_NO_QUOTA) {
		uint64_t left = quota.messages > messages ? quota.messages - messages : 0;

		spare->messages = left < spare->messages ? left : spare->messages;
	}
}

uint64_t store_cost(const struct store_spare *spare, uint64_t size)
{
	uint64_t record = RECORD_HEADER + SUMMARY_USUAL;

	if (frames_size(size) > spare->in_log)
		return blocks(record) + space_of_blob(size);
	record = record_align(record + frames_size(size));
	return record + (blocks(record) - record) / (1 + COMMIT_BLOCKS / (blocks(record) / BLOCK + 1));
}

int space_make_room(struct store *st, uint32_t owner, uint64_t size)
{
	return room_for(st, owner, size, 1, ROOM_MAKE);
}

int space_for_entries(struct store *st, uint32_t owner, uint64_t size, size_t n)
{
	if (!space_for_mail(st) || !index_has_room(st))
		return E_FULL;
	return owner_room(st, owner, size, n, ROOM_MAKE);
}

/* What is not free may become it: first by cleaning, then by mail that goes. */
int space_for_frames(struct store *st, uint32_t owner, uint64_t size, uint64_t bytes, bool evict)
{
	int err = evict ? space_make_room(st, owner, size) : OK;

	if (err != OK || space_has(st, bytes, false))
		return err;
	st->clean_wanted = true;
	if (!clean_is_hopeless(st))
		return E_AGAIN;
	return evict ? evict_request(st, 0, owner, bytes, bytes, true) : E_FULL;
}

int space_for_record(struct store *st, uint64_t bytes)
{
	struct log *log = &st->log;

	/* What is staged in front of it goes into the segment first. A segment that
	 * grew out of the reserve is not for mail, though there may be room in it. */
	if (log->file >= 0 && (uint64_t)log->end + log->used + RECORD_BLOCK + bytes <= st->super.segment_size &&
		space_has(st, st->extend ? 0 : bytes + log->used + RECORD_BLOCK, false))
		return OK;
	if (space_has(st, st->super.segment_size, false))
		return OK;
	st->clean_wanted = true;
	return clean_is_hopeless(st) ? E_FULL : E_AGAIN;
}
