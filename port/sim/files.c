/* The contract of port/file.h on the simulated disk. */
#include "port/sim/world.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

/* Files open at a time; beyond it port_open answers E_NOMEM. */
#define OPEN_MAX 256

struct handle {
	port_file id; /* 0: free. Never used again, so that stale ones show. */
	struct node *node;
	unsigned flags;
	bool lock;
	bool syncing;
	uint64_t sync_limit, sync_at; /* last change covered; when it is complete */
	int sync_result;
	char path[PORT_PATH_MAX];
};

static struct handle handles[OPEN_MAX];
static port_file last_id = 2;
static struct port_sync_stats sync_stats;

static struct handle *handle_of(port_file f)
{
	for (size_t i = 0; f > 0 && i < OPEN_MAX; i++)
		if (handles[i].id == f)
			return &handles[i];
	sim_misuse("file handle %d is not open", f);
}

static struct handle *handle_for(port_file f, unsigned use)
{
	struct handle *h = handle_of(f);

	if (!(h->flags & use))
		sim_misuse("%s is not open for %s", h->path, use == PORT_READ ? "reading" : "writing");
	return h;
}

static void handle_close(struct handle *h)
{
	if (h->lock)
		h->node->locked = false;
	node_present(h->node, -1);
	node_unref(h->node);
	memset(h, 0, sizeof *h);
}

void files_kill(void)
{
	for (size_t i = 0; i < OPEN_MAX; i++)
		if (handles[i].id)
			handle_close(&handles[i]);
	memset(&sync_stats, 0, sizeof sync_stats);
}

unsigned sim_open_files(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < OPEN_MAX; i++)
		n += handles[i].id != 0;
	return n;
}

uint64_t files_next_us(void)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < OPEN_MAX; i++)
		if (handles[i].syncing && handles[i].sync_at > sim_time_us() && handles[i].sync_at < next)
			next = handles[i].sync_at;
	return next;
}

/* The directory that a name is or shall be in: an error when there is none. */
static int parent_of(const char *path, struct node **dir, char name[256])
{
	char above[PORT_PATH_MAX];
	size_t len = strlen(path), end, start;

	if (len >= sizeof above)
		return E_LIMIT;
	for (end = len; end > 0 && path[end - 1] == '/'; end--)
		;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		;
	if (end == start)
		return E_NOENT;
	if (end - start > 255)
		return E_LIMIT;
	memcpy(name, path + start, end - start);
	name[end - start] = '\0';
	memcpy(above, path, start);
	above[start] = '\0';
	*dir = disk_find(above);
	return *dir && (*dir)->dir ? OK : E_NOENT;
}

/* Changes a name now and remembers that it is not durable. */
static void change_name(enum name_kind kind, struct node *dir, const char *name, struct node *node, struct node *to_dir,
	const char *to_name)
{
	struct name_change *c = sim_take(sizeof *c), **end = &disk.changes;

	*c = (struct name_change){ .kind = kind, .dir = dir, .node = node, .to_dir = to_dir };
	c->name = sim_text(name);
	c->to_name = to_name ? sim_text(to_name) : NULL;
	node_ref(dir);
	node_ref(node);
	if (to_dir)
		node_ref(to_dir);
	while (*end)
		end = &(*end)->next;
	*end = c;
	name_apply(c, NOW);
}

static struct change *change_data(struct node *n, uint64_t offset, uint64_t len, uint8_t *data)
{
	struct change *c = sim_take(sizeof *c), **end = &n->changes;
	uint64_t held = n->blocks.held[NOW];

	*c = (struct change){ .number = ++counters.changes, .offset = offset, .len = len, .data = data };
	while (*end)
		end = &(*end)->next;
	*end = c;
	change_apply(n, c, NOW);
	disk.used += (n->blocks.held[NOW] - held) * BLOCK;
	n->modified = port_wall_time();
	return c;
}

static port_file handle_new(struct node *n, const char *path, unsigned flags)
{
	for (size_t i = 0; i < OPEN_MAX; i++) {
		struct handle *h = &handles[i];

		if (h->id)
			continue;
		node_ref(n);
		node_present(n, 1);
		h->id = ++last_id;
		h->node = n;
		h->flags = flags;
		memcpy(h->path, path, strlen(path) + 1);
		return h->id;
	}
	return E_NOMEM;
}

static port_file open_new(const char *path, unsigned flags)
{
	char name[256];
	struct node *dir, *n;
	int err = parent_of(path, &dir, name);

	if (err == OK && sim_open_files() == OPEN_MAX)
		err = E_NOMEM;
	if (err == OK)
		err = op_begin(SIM_OP_CREATE, path);
	if (err != OK)
		return err;
	n = node_new(&disk, false);
	n->modified = port_wall_time();
	change_name(NAME_MADE, dir, name, n, NULL, NULL);
	op_end();
	return handle_new(n, path, flags);
}

port_file port_open(const char *path, unsigned flags)
{
	struct node *n = disk_find(path);
	int err;

	if (strlen(path) >= PORT_PATH_MAX)
		return E_LIMIT;
	if (!n)
		return flags & PORT_CREATE ? open_new(path, flags) : E_NOENT;
	if (flags & PORT_EXCLUSIVE)
		return E_EXIST;
	if (n->dir)
		return E_IO;
	err = op_begin(SIM_OP_OPEN, path);
	if (err != OK)
		return err;
	if ((flags & PORT_EMPTY) && n->size[NOW] > 0) {
		err = op_begin(SIM_OP_RESIZE, path);
		if (err != OK)
			return err;
		change_data(n, 0, 0, NULL);
		op_end();
	}
	return handle_new(n, path, flags);
}

void port_close(port_file f)
{
	if (f >= 0)
		handle_close(handle_of(f));
}

port_file port_lock(const char *path)
{
	struct node *n = disk_find(path);
	port_file f;

	if (n && n->locked)
		return E_BUSY;
	f = port_open(path, PORT_READ | PORT_WRITE | PORT_CREATE);
	if (f >= 0) {
		struct handle *h = handle_of(f);

		h->lock = h->node->locked = true;
	}
	return f;
}

int64_t port_read(port_file f, uint64_t offset, void *data, size_t len)
{
	struct handle *h = handle_for(f, PORT_READ);
	int err = op_begin(SIM_OP_READ, h->path);

	if (err != OK)
		return err;
	if (offset >= h->node->size[NOW])
		return 0;
	if (len > h->node->size[NOW] - offset)
		len = (size_t)(h->node->size[NOW] - offset);
	blocks_read(&h->node->blocks, NOW, offset, data, len);
	counters.read += len;
	return (int64_t)len;
}

/* How much of a write fits on the disk. */
static size_t fitting(struct node *n, uint64_t offset, size_t len)
{
	uint64_t room = settings.total;

	if (room == 0)
		return len;
	room -= settings.taken < room ? settings.taken : room;
	room -= disk.used < room ? disk.used : room;
	while (len > 0 && blocks_needed(&n->blocks, offset, len) > room) {
		size_t last = (size_t)((offset + len - 1) % BLOCK) + 1;

		len -= last < len ? last : len;
	}
	return len;
}

static int write_data(struct handle *h, uint64_t offset, uint8_t *data, size_t len)
{
	int err;
	size_t fits;

	if (len == 0) {
		free(data);
		return OK;
	}
	err = op_begin(SIM_OP_WRITE, h->path);
	fits = fitting(h->node, offset, len);
	if (err != OK)
		fits = (size_t)chance(CHANCE_DISK, fits + 1);
	else if (fits < len)
		err = E_NOSPC;
	if (fits > 0) {
		counters.bytes += fits;
		change_data(h->node, offset, fits, data);
	} else {
		free(data);
	}
	op_end();
	return err;
}

int port_write(port_file f, uint64_t offset, const void *data, size_t len)
{
	struct port_piece piece = { data, len };

	return port_write_pieces(f, offset, &piece, 1);
}

int port_write_pieces(port_file f, uint64_t offset, const struct port_piece *pieces, size_t n)
{
	struct handle *h = handle_for(f, PORT_WRITE);
	size_t total = 0, at = 0;
	uint8_t *data;

	for (size_t i = 0; i < n; i++)
		total += pieces[i].len;
	if (offset > INT64_MAX || total > INT64_MAX - offset)
		return E_NOSPC;
	data = sim_take(total);
	for (size_t i = 0; i < n; i++) {
		if (pieces[i].len)
			memcpy(data + at, pieces[i].data, pieces[i].len);
		at += pieces[i].len;
	}
	return write_data(h, offset, data, total);
}

/* Takes the changes up to a number off the node; with durable they are applied. */
static void settle(struct node *n, uint64_t limit, bool durable, const char *path)
{
	uint64_t sync = ++counters.syncs;

	while (n->changes && n->changes->number <= limit) {
		struct change *c = n->changes;

		if (durable)
			change_apply(n, c, DURABLE);
		if (durable && c->data)
			counters.blocks += blocks_mark(&n->blocks, c->offset, c->len, sync, path);
		n->changes = c->next;
		free(c->data);
		free(c);
	}
	/* both sides are equal: let them share their blocks */
	if (durable && !n->changes && !n->false_now)
		blocks_same(&n->blocks, NOW);
}

int port_sync_start(port_file f)
{
	struct handle *h = handle_of(f);
	uint64_t span = settings.sync_most - settings.sync_least;

	if (h->syncing)
		return E_STATE;
	h->sync_result = op_begin(SIM_OP_SYNC, h->path);
	op_end();
	h->syncing = true;
	h->sync_limit = counters.changes;
	h->sync_at = sim_time_us() + settings.sync_least + (span ? chance(CHANCE_DISK, span + 1) : 0);
	sync_stats.count++;
	sync_stats.total_us += h->sync_at - sim_time_us();
	if (sync_stats.longest_us < h->sync_at - sim_time_us())
		sync_stats.longest_us = h->sync_at - sim_time_us();
	return OK;
}

int port_sync_done(port_file f)
{
	struct handle *h = handle_of(f);
	bool had;

	if (!h->syncing)
		return E_STATE;
	if (sim_time_us() < h->sync_at)
		return E_AGAIN;
	h->syncing = false;
	had = h->node->changes != NULL;
	settle(h->node, h->sync_limit, h->sync_result == OK, h->path);
	if (h->sync_result != OK && had) {
		h->node->false_now = true;
		if (chance_percent(CHANCE_DISK, 50)) {
			node_reread(h->node);
			disk_count();
		}
	}
	return h->sync_result;
}

int port_sync(port_file f)
{
	int err = port_sync_start(f);

	if (err != OK)
		return err;
	if (handle_of(f)->sync_at > sim_time_us())
		clock_add(handle_of(f)->sync_at - sim_time_us());
	return port_sync_done(f);
}

void port_sync_stats(struct port_sync_stats *out)
{
	*out = sync_stats;
}

int64_t port_size(port_file f)
{
	return (int64_t)handle_of(f)->node->size[NOW];
}

int64_t port_allocated(port_file f)
{
	return (int64_t)(handle_of(f)->node->blocks.held[NOW] * BLOCK);
}

int port_resize(port_file f, uint64_t size)
{
	struct handle *h = handle_for(f, PORT_WRITE);
	int err;

	if (size > INT64_MAX)
		return E_NOSPC;
	if (size == h->node->size[NOW])
		return OK;
	err = op_begin(SIM_OP_RESIZE, h->path);
	if (err != OK)
		return err;
	change_data(h->node, size, 0, NULL);
	op_end();
	return OK;
}

static int remove_name(const char *path, bool dir)
{
	char name[256];
	struct node *parent, *n = disk_find(path);
	int err = n ? parent_of(path, &parent, name) : E_NOENT;

	if (err == OK && n->dir != dir)
		err = dir ? E_NOENT : E_IO;
	if (err == OK && dir && n->names[NOW].count > 0)
		err = E_EXIST;
	if (err == OK)
		err = op_begin(SIM_OP_REMOVE, path);
	if (err != OK)
		return err;
	change_name(NAME_GONE, parent, name, n, NULL, NULL);
	op_end();
	return OK;
}

int port_remove(const char *path)
{
	return remove_name(path, false);
}

int port_rmdir(const char *path)
{
	return remove_name(path, true);
}

int port_rename(const char *from, const char *to)
{
	char name[256], to_name[256];
	struct node *dir, *to_dir, *n = disk_find(from), *old = disk_find(to);
	int err = n ? parent_of(from, &dir, name) : E_NOENT;

	if (err == OK)
		err = parent_of(to, &to_dir, to_name);
	if (err != OK || n == old)
		return err;
	if (old && (old->dir || n->dir))
		return old->names[NOW].count > 0 ? E_EXIST : E_IO;
	err = op_begin(SIM_OP_RENAME, from);
	if (err != OK)
		return err;
	change_name(NAME_MOVED, dir, name, n, to_dir, to_name);
	op_end();
	return OK;
}

int port_mkdir(const char *path)
{
	char name[256];
	struct node *dir;
	int err = disk_find(path) ? E_EXIST : parent_of(path, &dir, name);

	if (err == OK)
		err = op_begin(SIM_OP_MKDIR, path);
	if (err != OK)
		return err;
	change_name(NAME_MADE, dir, name, node_new(&disk, true), NULL, NULL);
	op_end();
	return OK;
}

/* Whether a sync of dir makes the change durable: one between two directories
 * needs both. */
static bool name_settled(struct name_change *c, const struct node *dir)
{
	if (c->dir == dir)
		c->dir_synced = true;
	if (c->to_dir == dir)
		c->to_synced = true;
	return c->dir_synced && (!c->to_dir || c->to_synced);
}

int port_sync_dir(const char *path)
{
	struct node *dir = disk_find(path);
	struct name_change **at = &disk.changes;
	int err;

	if (!dir || !dir->dir)
		return E_NOENT;
	err = op_begin(SIM_OP_SYNC_DIR, path);
	op_end();
	clock_add(settings.sync_least);
	sync_stats.count++;
	sync_stats.total_us += settings.sync_least;
	counters.syncs++;
	node_ref(dir);
	while (*at) {
		struct name_change *c = *at;

		if (err != OK && (c->dir == dir || c->to_dir == dir))
			c->lost = true;
		if (c->lost || !name_settled(c, dir)) {
			at = &c->next;
			continue;
		}
		name_make_durable(c);
		*at = c->next;
		name_change_free(c);
	}
	node_unref(dir);
	return err;
}

bool port_exists(const char *path)
{
	return disk_find(path) != NULL;
}

bool port_is_dir(const char *path)
{
	const struct node *n = disk_find(path);

	return n && n->dir;
}

int64_t port_modified(const char *path)
{
	const struct node *n = disk_find(path);

	return n ? n->modified : E_NOENT;
}

int port_list(const char *path, bool (*each)(void *context, const char *name), void *context)
{
	const struct node *dir = disk_find(path);
	size_t count, start;
	bool more = true;
	char **names;
	int err;

	if (!dir || !dir->dir)
		return E_NOENT;
	err = op_begin(SIM_OP_LIST, path);
	if (err != OK)
		return err;
	count = dir->names[NOW].count;
	names = sim_take((count + 1) * sizeof *names);
	/* "in no order": from anywhere on */
	start = count ? (size_t)chance(CHANCE_DISK, count) : 0;
	for (size_t i = 0; i < count; i++)
		names[i] = sim_text(dir->names[NOW].list[(start + i) % count].text);
	for (size_t i = 0; i < count; i++) {
		more = more && each(context, names[i]);
		free(names[i]);
	}
	free(names);
	return OK;
}

static bool is_below(const char *path, const char *mount)
{
	size_t n = mount ? strlen(mount) : 0;

	return n > 0 && strncmp(path, mount, n) == 0 && (path[n] == '/' || path[n] == 0);
}

bool port_fs_missing(const char *path, char out[PORT_PATH_MAX])
{
	if (!is_below(path, settings.mount_missing))
		return false;
	memcpy(out, settings.mount_missing, strlen(settings.mount_missing) + 1);
	return true;
}

int port_fs_info(const char *path, struct port_fs *out)
{
	static const char *const names[] = { "sim", "ext4", "f2fs", "ubifs", "jffs2", "tmpfs" };
	uint64_t gone = disk.used + settings.taken;

	if (!disk_find(path))
		return E_NOENT;
	out->kind = settings.kind;
	out->name = names[settings.kind];
	out->total = settings.total ? settings.total : (uint64_t)1 << 50;
	out->free = gone < out->total ? out->total - gone : 0;
	out->mount_point = settings.mount_point;
	out->device = 1;
	if (is_below(path, settings.mounted)) {
		out->device = 2;
		out->free = settings.mounted_free;
	}
	return OK;
}
