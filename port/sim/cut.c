/* The moment of the cut, what it leaves, and the faults that come without one. */
#include "port/sim/world.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct sim_policy sim_keep_all = { .keep = 1, .resizes = 100, .names = 100 };
const struct sim_policy sim_lose_all = { .lose = 1 };
const struct sim_policy sim_mixed = {
	.keep = 4, .lose = 4, .torn = 2, .garbage = 2, .torn_block = true, .grown = 50, .resizes = 50, .names = 50};
const struct sim_policy sim_torn = {
	.keep = 1, .torn = 1, .torn_block = true, .resizes = 100, .names = 100, .only_last = true};
const struct sim_policy sim_garbage = {
	.keep = 1, .garbage = 1, .torn_block = true, .resizes = 100, .names = 100, .only_last = true};
const struct sim_policy sim_reordered = {.keep = 1, .lose = 1, .grown = 50, .resizes = 50, .names = 50};
const struct sim_policy sim_first_lost = {.keep = 1, .grown = 50, .resizes = 100, .names = 100, .first_lost = true};

struct settings settings;
struct counters counters;
void (*on_program)(const char *path, uint64_t block);

static struct {
	uint64_t at;  /* changing operations until it fails; 0: not armed */
	int err;
	bool on;      /* every further one as well */
} faults[SIM_OP_COUNT];

static struct {
	bool running, dead;
	bool due; /* the operation under way is the one */
	uint64_t at;
	enum sim_op kind;
	char path[PORT_PATH_MAX];
	jmp_buf out;
	void (*look)(void);
} cut;

const char *sim_op_name(enum sim_op op)
{
	static const char *const names[SIM_OP_COUNT] = { "none", "write", "sync", "sync-dir", "create", "rename",
		"remove", "resize", "mkdir", "read", "list", "open" };

	return op < SIM_OP_COUNT ? names[op] : "?";
}

void cut_reset(void)
{
	memset(&settings, 0, sizeof settings);
	settings.kind = PORT_FS_EXT4;
	memset(&counters, 0, sizeof counters);
	memset(faults, 0, sizeof faults);
	memset(&cut, 0, sizeof cut);
	on_program = NULL;
}

void sim_reset(uint64_t seed)
{
	static bool begun;

	if (begun) {
		files_kill();
		disk_free(&disk);
	}
	begun = true;
	stale_reset();
	chance_reset(seed);
	cut_reset();
	network_reset();
	system_reset();
	disk_init(&disk);
}

/* ---- operations ---- */

static int fault_of(enum sim_op op)
{
	if (faults[op].at == 0)
		return OK;
	if (faults[op].at > 1) {
		faults[op].at--;
		return OK;
	}
	if (!faults[op].on)
		faults[op].at = 0;
	counters.failed++;
	return faults[op].err;
}

int op_begin(enum sim_op op, const char *path)
{
	int err = fault_of(op);

	if (op < SIM_OP_READ) {
		counters.ops++;
		if (cut.running && cut.at > 0 && --cut.at == 0) {
			cut.due = true;
			cut.kind = op;
			snprintf(cut.path, sizeof cut.path, "%s", path);
		}
	}
	if (getenv("SIM_TRACE"))
		fprintf(stderr, "sim: %llu %s %s%s%s\n", (unsigned long long)counters.ops, sim_op_name(op), path,
			err != OK ? " fails" : "", cut.due ? " cut" : "");
	if (err != OK && op < SIM_OP_READ && op != SIM_OP_WRITE && op != SIM_OP_SYNC && op != SIM_OP_SYNC_DIR)
		op_end();
	return err;
}

/* Leaves the body of sim_run for good. */
static _Noreturn void leave(enum sim_end how)
{
	cut.running = false;
	longjmp(cut.out, (int)how);
}

void op_end(void)
{
	if (cut.look && cut.running)
		cut.look();
	if (!cut.due)
		return;
	cut.due = false;
	if (!cut.running)
		return;
	cut.dead = true;
	leave(SIM_CUT);
}

void leave_idle(void)
{
	if (cut.running)
		leave(SIM_IDLE);
}

enum sim_end sim_run(void (*body)(void *context), void *context)
{
	if (cut.running)
		sim_misuse("sim_run within sim_run");
	if (cut.dead)
		sim_misuse("sim_run after a cut: sim_power_cut or sim_kill must come first");
	switch (setjmp(cut.out)) {
	case SIM_CUT:
		return SIM_CUT;
	case SIM_IDLE:
		return SIM_IDLE;
	default:
		break;
	}
	cut.running = true;
	body(context);
	cut.running = false;
	return SIM_DONE;
}

void sim_kill(void)
{
	cut.dead = false;
	files_kill();
	network_kill();
	system_kill();
}

uint64_t sim_ops(void)
{
	return counters.ops;
}

void sim_cut_at(uint64_t n)
{
	cut.at = n;
	cut.kind = SIM_OP_NONE;
	cut.path[0] = '\0';
}

void sim_on_op(void (*look)(void))
{
	cut.look = look;
}

enum sim_op sim_cut_kind(void)
{
	return cut.kind;
}

const char *sim_cut_path(void)
{
	return cut.path;
}

/* ---- what the cut leaves ---- */

enum fate { FATE_KEEP, FATE_LOSE, FATE_TORN, FATE_GARBAGE };

static enum fate draw(const struct sim_policy *p, bool only_bad)
{
	uint64_t keep = only_bad ? 0 : p->keep, lose = only_bad ? 0 : p->lose;
	uint64_t n = keep + lose + p->torn + p->garbage;

	n = n ? chance(CHANCE_DISK, n) : 0;
	if (n < keep)
		return FATE_KEEP;
	if (n < keep + lose)
		return FATE_LOSE;
	return n < keep + lose + p->torn ? FATE_TORN : p->garbage ? FATE_GARBAGE : FATE_KEEP;
}

static void scribble(struct node *file, uint64_t offset, uint64_t len)
{
	uint8_t data[BLOCK];
	unsigned kind = (unsigned)chance(CHANCE_DISK, 4);

	while (len > 0) {
		size_t part = len < BLOCK ? (size_t)len : BLOCK;

		if (kind == 0)
			memset(data, 0, part);
		else if (kind == 1)
			memset(data, 0xff, part);
		else if (kind == 2)
			stale_fill(offset, data, part);
		else
			chance_fill(CHANCE_DISK, data, part);
		blocks_write(&file->blocks, DURABLE, offset, data, part);
		if (file->size[DURABLE] < offset + part)
			file->size[DURABLE] = offset + part;
		offset += part;
		len -= part;
	}
}

/* Harms bytes of the block around `at` that the write c does not cover: those
 * before it, those behind it, or both. Bytes beyond the end stay away. */
static void harm_block(struct node *file, const struct change *c, uint64_t at)
{
	uint64_t start = at - at % BLOCK, end = start + BLOCK;
	unsigned which = 1 + (unsigned)chance(CHANCE_DISK, 3);

	if (end > file->size[DURABLE])
		end = file->size[DURABLE];
	if ((which & 1) && start < c->offset)
		scribble(file, start, c->offset - start);
	if ((which & 2) && end > c->offset + c->len)
		scribble(file, c->offset + c->len, end - (c->offset + c->len));
}

static void lose_write(struct node *file, const struct change *c, const struct sim_policy *p)
{
	uint64_t old = file->size[DURABLE], end = c->offset + c->len;

	if (end <= old || !chance_percent(CHANCE_DISK, p->grown))
		return;
	if (chance_percent(CHANCE_DISK, 50))
		file->size[DURABLE] = end;
	else
		scribble(file, old > c->offset ? old : c->offset, end - (old > c->offset ? old : c->offset));
}

static void tear_write(struct node *file, const struct change *c, const struct sim_policy *p)
{
	struct change part = *c;
	uint64_t torn_at;

	part.len = chance(CHANCE_DISK, c->len + 1);
	torn_at = part.len < c->len ? c->offset + part.len : c->offset + c->len - 1;
	if (part.len > 0)
		change_apply(file, &part, DURABLE);
	if (part.len < c->len && chance_percent(CHANCE_DISK, 50))
		scribble(file, torn_at, c->offset + c->len - torn_at);
	else if (part.len < c->len)
		lose_write(file, c, p);
	if (p->torn_block && chance_percent(CHANCE_DISK, 50))
		harm_block(file, c, torn_at);
}

static void garble_write(struct node *file, const struct change *c, const struct sim_policy *p)
{
	scribble(file, c->offset, c->len);
	if (!p->torn_block || !chance_percent(CHANCE_DISK, 50))
		return;
	harm_block(file, c, c->offset);
	if (c->offset / BLOCK != (c->offset + c->len - 1) / BLOCK)
		harm_block(file, c, c->offset + c->len - 1);
}

static void decide_write(struct node *file, const struct change *c, const struct sim_policy *p, bool first, bool last)
{
	enum fate fate = FATE_KEEP;

	if (p->first_lost)
		fate = first ? FATE_LOSE : FATE_KEEP;
	else if (!p->only_last)
		fate = draw(p, false);
	else if (last)
		fate = draw(p, true);
	if (fate == FATE_KEEP)
		change_apply(file, c, DURABLE);
	else if (fate == FATE_LOSE)
		lose_write(file, c, p);
	else if (fate == FATE_TORN)
		tear_write(file, c, p);
	else
		garble_write(file, c, p);
}

/* Whether the next unsynced thing is in the subset; counts them. */
static bool in_subset(const struct sim_policy *p, unsigned *at)
{
	unsigned bit = (*at)++;

	return bit < 64 && (p->subset >> bit & 1);
}

static void resolve_file(struct node *file, const struct sim_policy *p, unsigned *at)
{
	const struct change *last = NULL;
	bool first = true;

	if (!file->changes && !file->false_now)
		return;
	for (const struct change *c = file->changes; c; c = c->next)
		if (c->data)
			last = c;
	for (const struct change *c = file->changes; c; c = c->next) {
		if (p->by_subset) {
			if (in_subset(p, at))
				change_apply(file, c, DURABLE);
		} else if (c->data) {
			decide_write(file, c, p, first, c == last);
			first = false;
		} else if (chance_percent(CHANCE_DISK, p->resizes)) {
			change_apply(file, c, DURABLE);
		}
	}
	changes_free(file);
	node_reread(file);
}

static void resolve_names(const struct sim_policy *p, unsigned *at)
{
	while (disk.changes) {
		struct name_change *c = disk.changes;
		bool keep = !c->lost && (p->by_subset ? in_subset(p, at) : chance_percent(CHANCE_DISK, p->names));

		if (keep)
			name_make_durable(c);
		disk.changes = c->next;
		name_change_free(c);
	}
}

static void resolve(const struct sim_policy *p)
{
	unsigned at = 0;

	resolve_names(p, &at);
	for (struct node *n = disk.first; n; n = n->next) {
		resolve_file(n, p, &at);
		n->locked = false;
	}
	/* the durable names become those of now; what has none goes */
	for (struct node *n = disk.first; n; n = n->next)
		n->refs++;
	for (struct node *n = disk.first; n; n = n->next)
		if (n->dir) {
			names_clear(&n->names[NOW], true);
			for (size_t i = 0; i < n->names[DURABLE].count; i++)
				names_set(&n->names[NOW], n->names[DURABLE].list[i].text,
					n->names[DURABLE].list[i].node, true);
		}
	/* those behind n still have the reference that was added above */
	for (struct node *n = disk.first, *next; n; n = next) {
		next = n->next;
		node_unref(n);
	}
	disk_count();
}

void sim_power_cut(const struct sim_policy *policy)
{
	sim_kill();
	resolve(policy);
	if (cut.running)
		leave(SIM_CUT);
}

unsigned sim_unsynced(void)
{
	unsigned n = 0;

	for (const struct name_change *c = disk.changes; c; c = c->next)
		n += !c->lost;
	for (const struct node *f = disk.first; f; f = f->next)
		for (const struct change *c = f->changes; c; c = c->next)
			n++;
	return n;
}

/* ---- faults and settings ---- */

void sim_fail(enum sim_op op, uint64_t n, int err, bool from_then_on)
{
	faults[op].at = n;
	faults[op].err = err;
	faults[op].on = from_then_on;
}

uint64_t sim_failed(void)
{
	return counters.failed;
}

void sim_drop_caches(void)
{
	for (struct node *n = disk.first; n; n = n->next)
		if (n->false_now)
			node_reread(n);
	disk_count();
}

void sim_disk(enum port_fs_kind kind, uint64_t total)
{
	settings.kind = kind;
	settings.total = total;
}

void sim_mount_missing(const char *mount)
{
	settings.mount_missing = mount;
}

void sim_mounted(const char *mount, uint64_t free)
{
	settings.mounted = mount;
	settings.mounted_free = free;
}

void sim_mount_point(bool is)
{
	settings.mount_point = is;
}

void sim_disk_taken(uint64_t bytes)
{
	settings.taken = bytes;
}

void sim_sync_time(uint64_t least_us, uint64_t most_us)
{
	settings.sync_least = least_us;
	settings.sync_most = most_us > least_us ? most_us : least_us;
}

uint64_t sim_bytes_written(void)
{
	return counters.bytes;
}

uint64_t sim_bytes_read(void)
{
	return counters.read;
}

void sim_on_program(void (*program)(const char *path, uint64_t block))
{
	on_program = program;
}

uint64_t sim_blocks_synced(void)
{
	return counters.blocks;
}

uint64_t sim_syncs(void)
{
	return counters.syncs;
}
