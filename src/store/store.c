/* Opening, closing and watching the store. */
#include "store/store_int.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* Smallest segment; the largest is 64 MiB (DESIGN.md section 4). */
#define SEGMENT_LEAST (128u * 1024)
#define SEGMENT_MOST (64u * 1024 * 1024)
#define STORAGE_LEAST (4u * 1024 * 1024)
#define CACHE_LEAST 48

#ifdef CUBBY_PLANTS
enum store_plant store_planted;
#endif

_Static_assert(STORE_LOG_LEAST >= 2 * BODY_MAX, "two of the largest records fit the smallest log buffer");

static uint32_t chunk_count(const struct store_config *config)
{
	uint32_t n = config->upload_bytes / FRAME;

	return n > config->uploads ? n : config->uploads + 1;
}

size_t store_memory(const struct store_config *config)
{
	return arena_size(sizeof(struct store)) + tree_memory(config->cache_pages) + arena_size(config->log_buffer) +
		arena_size(LOG_ITEMS * sizeof(struct log_item)) + 2 * arena_size(SCRATCH) + arena_size(BODY_MAX) +
		pool_size(UPLOAD_BYTES, config->uploads) + pool_size(FRAME, chunk_count(config));
}

/* What an entry counts for in the branches above it. */
static struct page_sums entry_sums(struct bytes value)
{
	struct store_entry e;

	if (!entry_get(value, 0, &e))
		return (struct page_sums){ 0, 0, 0, 0 };
	return (struct page_sums){ 1, !(e.flags & STORE_SEEN), e.modseq, 0 };
}

uint64_t store_box_time(const struct store *st)
{
	return st->box_base + (port_now_us() - st->mount_us) / 1000000;
}

uint64_t store_bytes_written(const struct store *st)
{
	return st->log_bytes + st->tree.slots.bytes_written;
}

uint64_t store_syncs(const struct store *st)
{
	struct port_sync_stats stats;

	port_sync_stats(&stats);
	return stats.count - st->syncs_before;
}

void store_fail(struct store *st, const char *what, int err)
{
	if (st->read_only)
		return;
	st->read_only = true;
	log_error("store: %s (%s): the store is read-only until the server is started again; look at the disk", what,
		err_text(err));
}

void store_observe(struct store *st, const struct store_observer *observer)
{
	st->observer = *observer;
}

/* ---- opening ---- */

/* Pieces of the reserve, 256 KiB each, that are made before the store opens; the
 * rest of a large one comes with the upkeep, or a first start would take as long as
 * writing up to 132 MiB does. */
#define RESERVE_SLICES 16

static uint32_t segment_size(uint64_t storage, enum port_fs_kind kind)
{
	uint64_t size = SEGMENT_LEAST;

	while (size * 2 <= storage / 32 && size < SEGMENT_MOST)
		size *= 2;
	/* UBIFS commits its index per file: fewer and larger ones where there is room. */
	if (kind == PORT_FS_UBIFS && size < 1u << 20 && storage >= 32u << 20)
		size = 1u << 20;
	return (uint32_t)size;
}

/* A page of the index met a full disk. */
static bool make_room(void *context)
{
	struct store *st = context;
	bool had = st->reserve_bytes > 0;

	reserve_disk_is_full(st);
	return had;
}

static bool take_memory(struct store *st, struct arena *arena)
{
	const struct store_config *c = &st->config;

	st->log.buffer = arena_take(arena, c->log_buffer);
	st->log.items = arena_take(arena, LOG_ITEMS * sizeof(struct log_item));
	st->scratch = arena_take(arena, SCRATCH);
	st->frames.data = arena_take(arena, SCRATCH);
	st->replay = arena_take(arena, BODY_MAX);
	return tree_init(&st->tree, arena, c->cache_pages, entry_sums) && st->log.buffer && st->log.items &&
		st->scratch && st->frames.data && st->replay &&
		pool_init(&st->uploads, arena, "uploads", UPLOAD_BYTES, c->uploads) &&
		pool_init(&st->chunks, arena, "arriving mail", FRAME, chunk_count(c));
}

/* Refuses what would lose mail: memory file systems, a mount point with nothing
 * mounted, more storage than there is disk. */
static int check_medium(struct store *st, const struct port_fs *fs, char *reason, size_t cap)
{
	const struct store_config *c = &st->config;

	if (c->storage < STORAGE_LEAST) {
		(void)snprintf(reason, cap, "storage must be at least 4M");
		return E_RANGE;
	}
	if (c->allow_volatile)
		return OK;
	if (fs->kind == PORT_FS_VOLATILE) {
		(void)snprintf(reason, cap,
			"%s is on %s, which forgets everything at power off; `allow-volatile` accepts that", st->dir,
			fs->name);
		return E_NOTSUP;
	}
	if (c->storage > fs->total) {
		(void)snprintf(reason, cap, "storage is %llu MiB, but the file system of %s has only %llu MiB",
			(unsigned long long)(c->storage >> 20), st->dir, (unsigned long long)(fs->total >> 20));
		return E_NOTSUP;
	}
	return OK;
}

static int open_files(struct store *st)
{
	char name[PORT_PATH_MAX];
	int err;

	files_name(st, "lock", name);
	st->lock = port_lock(name);
	if (st->lock < 0)
		return st->lock;
	err = repair_settle(st);
	if (err == OK && st->repair)
		err = repair_names(st);
	if (err != OK)
		return err;
	st->aside = repair_anew(st->repair);
	files_name(st, st->aside ? "index.new" : "index", name);
	st->tree.slots.file = port_open(name, PORT_READ | PORT_WRITE | PORT_CREATE);
	return st->tree.slots.file < 0 ? st->tree.slots.file : OK;
}

static int open_store(struct store *st, char *reason, size_t cap)
{
	char mount[PORT_PATH_MAX];
	struct port_fs fs;
	int err;

	if (!st->config.allow_volatile && port_fs_missing(st->dir, mount)) {
		(void)snprintf(reason, cap, "nothing is mounted on %s: mail would land on the medium below it", mount);
		return E_NOTSUP;
	}
	err = port_mkdir(st->dir);
	if (err != OK && err != E_EXIST) {
		(void)snprintf(reason, cap, "%s can't be made: %s (the directory above it must exist)", st->dir,
			err_text(err));
		return err;
	}
	err = port_fs_info(st->dir, &fs);
	if (err == OK)
		err = check_medium(st, &fs, reason, cap);
	if (err != OK)
		return err;
	st->extend = st->config.growth == STORE_GROW_EXTEND ||
		(st->config.growth == STORE_GROW_AUTO && fs.kind == PORT_FS_UBIFS);
	st->super.segment_size = segment_size(st->config.storage, fs.kind);
	err = open_files(st);
	if (err == E_BUSY)
		(void)snprintf(reason, cap, "another process uses %s", st->dir);
	if (err != OK)
		return err;
	st->tree.slots.limit =
		(uint32_t)(st->config.storage / 4 / PAGE_SIZE > UINT32_MAX / 2 ? UINT32_MAX / 2
									       : st->config.storage / 4 / PAGE_SIZE);
	err = st->aside ? rebuild(st, st->repair) : recover(st, reason, cap);
	st->super.segment_size = segment_size(st->config.storage, fs.kind);
	return err;
}

bool store_in_use(const char *dir)
{
	char path[PORT_PATH_MAX];
	port_file lock;

	(void)snprintf(path, sizeof path, "%s/lock", dir);
	if (!port_exists(path))
		return false;
	lock = port_lock(path);
	if (lock >= 0)
		port_close(lock);
	return lock == E_BUSY;
}

int store_open(struct store **out, struct arena *arena, const struct store_config *config, char *reason, size_t cap)
{
	return store_open_for(out, arena, config, NULL, reason, cap);
}

int store_open_for(struct store **out, struct arena *arena, const struct store_config *config, struct repair *repair,
	char *reason, size_t cap)
{
	struct store *st = arena_take(arena, sizeof *st);
	struct port_sync_stats syncs;
	char nowhere[1];
	int err;

	if (!reason || cap == 0) {
		reason = nowhere;
		cap = sizeof nowhere;
	}
	reason[0] = 0;
	if (!st || config->cache_pages < CACHE_LEAST || config->log_buffer < STORE_LOG_LEAST ||
		strlen(config->dir) >= sizeof st->dir)
		return st ? E_RANGE : E_NOMEM;
	st->config = *config;
	memcpy(st->dir, config->dir, strlen(config->dir) + 1);
	st->config.dir = st->dir;
	st->lock = st->log.file = -1;
	st->log.cap = config->log_buffer;
	for (unsigned i = 0; i < HANDLES; i++)
		st->handles[i].file = -1;
	st->mount_us = port_now_us();
	port_sync_stats(&syncs);
	st->syncs_before = syncs.count;
	st->garbage_made = 1;
	if (!take_memory(st, arena))
		return E_NOMEM;
	st->tree.slots.file = -1;
	st->tree.slots.make_room = make_room;
	st->tree.slots.context = st;
	st->repair = repair;
	err = open_store(st, reason, cap);
	if (err != OK) {
		if (st->tree.slots.file >= 0)
			port_close(st->tree.slots.file);
		if (st->lock >= 0)
			port_close(st->lock);
		return err;
	}
	/* A small one before anything else may fill the disk. */
	for (unsigned i = 0; !repair && i < RESERVE_SLICES && reserve_make(st) == E_AGAIN; i++)
		;
	evict_init(st);
	*out = st;
	return OK;
}

/* A sync that takes its time is waited for: nobody else is served any more. */
static int commit_all(struct store *st)
{
	int err = store_commit_start(st);

	if (err != OK)
		return err;
	do {
		(void)port_now_us();
		err = store_commit_done(st);
	} while (err == E_AGAIN);
	return err;
}

void store_close(struct store *st)
{
	st->idle_wanted = false; /* nothing new is begun */
	while (st->open_uploads && !st->read_only) {
		struct store_upload *up = st->open_uploads;

		if (commit_all(st) != OK)
			break;
		if (up == st->open_uploads)
			store_upload_abort(up);
	}
	if (!st->read_only && (st->log.n_items == 0 || commit_all(st) == OK))
		(void)checkpoint_write(st, true);
	/* Their files are orphans of the next mount. */
	while (st->open_uploads)
		upload_free(st->open_uploads);
	if (st->log.file >= 0)
		port_close(st->log.file);
	for (unsigned i = 0; i < HANDLES; i++)
		if (st->handles[i].file >= 0)
			port_close(st->handles[i].file);
	port_close(st->tree.slots.file);
	port_close(st->lock);
}

/* ---- status ---- */

void store_status(struct store *st, struct store_status *out)
{
	struct segment row;
	uint32_t segments = 0;
	struct key k = tree_key(TREE_SEGMENT, 0, 0), found;
	uint8_t bytes[SEGMENT_BYTES];
	int n;

	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi == k.hi &&
		found.lo < UINT32_MAX && segment_get(bytes_make(bytes, (size_t)n), &row)) {
		segments++;
		k.lo = found.lo + 1;
	}
	*out = (struct store_status){
		.storage = st->config.storage,
		.allocated = st->charged,
		.capacity = space_capacity(st),
		.live = st->super.live,
		.objects = st->super.objects,
		.messages = st->super.messages,
		.segments = segments,
		.segment_size = st->super.segment_size,
		.read_only = st->read_only,
		.durable_lsn = st->log.durable,
		.lsn = st->log.staged,
		.checkpoint = st->super.checkpoint,
		.bytes_in = st->bytes_in,
		.bytes_written = store_bytes_written(st),
		.syncs = store_syncs(st),
		.life_bytes_in = st->super.life_bytes_in,
		.life_bytes_written = st->super.life_bytes_written + store_bytes_written(st),
		.life_syncs = st->super.life_syncs + store_syncs(st),
		.life_segments_cleaned = st->super.life_cleaned + st->cleaned,
		.checkpoints = st->checkpoints,
		.segments_cleaned = st->cleaned,
		.damaged = st->damaged,
		.box_time = store_box_time(st),
	};
}
