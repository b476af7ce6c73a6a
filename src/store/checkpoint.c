/* Checkpoints: the tree's pages, then one of two superblocks in turn
 * (FORMAT.md section 2). The log is durable and applied up to the checkpoint's
 * LSN before its first page counts. */
#include "store/store_int.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "tree/again.h"

#define SUPER_MAGIC 0x31427543u /* "CuB1" */
#define SUPER_VERSION 1
#define SUPER_BYTES 8192u
#define SUPER_LISTS 256u
#define SUPER_MARKS 7944u
#define MARK_BYTES 12u
#define SUPER_RESTORE 8136u
/* Changed pages written ahead in one slice, so that the last step is short. */
#define PAGES_A_SLICE 16
#define CHECKPOINT_SLICES 64

_Static_assert(SUPER_LISTS + 8 + 2 * SLOTS_FREED_MAX * 4 <= SUPER_MARKS, "the lists fit the superblock");
_Static_assert(SUPER_MARKS + AGE_MARKS * MARK_BYTES <= SUPER_RESTORE, "the marks fit the superblock");
_Static_assert(SUPER_BYTES <= SCRATCH, "the superblock is built in the scratch");

static void super_name(const struct store *st, unsigned which, char *out)
{
	static const char *const names[] = { "super.0", "super.1", "super.new" };

	files_name(st, names[which], out);
}

static void put_super(const struct store *st, const struct super *s, uint8_t *p)
{
	const struct slots *slots = &st->tree.slots;

	memset(p, 0, SUPER_BYTES);
	put_le32(p, SUPER_MAGIC);
	put_le32(p + 4, SUPER_VERSION);
	put_le64(p + 16, s->checkpoint);
	put_le64(p + 24, s->identity);
	put_le64(p + 32, s->replay_lsn);
	put_le32(p + 40, s->replay_segment);
	put_le32(p + 44, s->replay_offset);
	put_le64(p + 48, s->durable);
	put_le64(p + 56, s->next_lsn);
	put_le64(p + 64, s->next_object);
	put_le64(p + 72, s->orphan_from);
	put_le32(p + 80, s->next_mailbox);
	put_le32(p + 84, s->next_uidvalidity);
	put_le32(p + 88, s->next_segment);
	put_le32(p + 92, s->segment_size);
	put_le64(p + 96, s->box_time);
	put_le64(p + 104, s->live);
	put_le64(p + 112, s->objects);
	put_le64(p + 120, s->messages);
	put_le64(p + 128, s->life_bytes_in);
	put_le64(p + 136, s->life_bytes_written);
	put_le64(p + 144, s->storage);
	put_le32(p + 152, s->clean);
	put_le32(p + 156, st->tree.root);
	put_le32(p + 160, slots->high);
	put_le32(p + 164, slots->used);
	put_le32(p + 168, st->log.prev_segment);
	put_le32(p + 172, st->log.prev_valid_end);
	put_le64(p + 176, slots->numbers);
	put_le64(p + 216, s->life_syncs);
	put_le64(p + 224, s->life_cleaned);
	put_le64(p + 232, s->catalogue_first);
	put_le64(p + 240, s->catalogue_last);
	put_le64(p + 248, s->names_changed);
	put_le32(p + 184, s->replay_waste);
	put_le64(p + 192, s->audits);
	put_le64(p + 200, s->life_evicted);
	put_le64(p + 208, s->life_evicted_bytes);
	put_le32(p + SUPER_LISTS, slots->n_freed);
	put_le32(p + SUPER_LISTS + 4, slots->n_freed_before);
	for (uint32_t i = 0; i < slots->n_freed; i++)
		put_le32(p + SUPER_LISTS + 8 + 4 * i, slots->freed[i]);
	for (uint32_t i = 0; i < slots->n_freed_before; i++)
		put_le32(p + SUPER_LISTS + 8 + 4 * (SLOTS_FREED_MAX + i), slots->freed_before[i]);
	for (unsigned i = 0; i < AGE_MARKS; i++) {
		put_le64(p + SUPER_MARKS + MARK_BYTES * i, s->marks[i].lsn);
		put_le32(p + SUPER_MARKS + MARK_BYTES * i + 8, s->marks[i].box_time);
	}
	put_le64(p + SUPER_RESTORE, s->origin);
	put_le64(p + SUPER_RESTORE + 8, s->restoring);
	put_le32(p + SUPER_RESTORE + 16, s->held);
	put_le32(p + 8, crc32c(crc32c(SUPER_VERSION, p, 8), p + 12, SUPER_BYTES - 12));
}

static void get_super(const uint8_t *p, struct super *s)
{
	*s = (struct super){
		.checkpoint = le64(p + 16),
		.identity = le64(p + 24),
		.replay_lsn = le64(p + 32),
		.replay_segment = le32(p + 40),
		.replay_offset = le32(p + 44),
		.replay_waste = le32(p + 184),
		.durable = le64(p + 48),
		.next_lsn = le64(p + 56),
		.next_object = le64(p + 64),
		.orphan_from = le64(p + 72),
		.next_mailbox = le32(p + 80),
		.next_uidvalidity = le32(p + 84),
		.next_segment = le32(p + 88),
		.segment_size = le32(p + 92),
		.box_time = le64(p + 96),
		.live = le64(p + 104),
		.objects = le64(p + 112),
		.messages = le64(p + 120),
		.life_bytes_in = le64(p + 128),
		.life_bytes_written = le64(p + 136),
		.storage = le64(p + 144),
		.audits = le64(p + 192),
		.life_evicted = le64(p + 200),
		.life_evicted_bytes = le64(p + 208),
		.clean = le32(p + 152) & 1,
		.life_syncs = le64(p + 216),
		.life_cleaned = le64(p + 224),
		.origin = le64(p + SUPER_RESTORE),
		.restoring = le64(p + SUPER_RESTORE + 8),
		.held = le32(p + SUPER_RESTORE + 16) & 1,
		.catalogue_first = le64(p + 232),
		.catalogue_last = le64(p + 240),
		.names_changed = le64(p + 248),
	};
	for (unsigned i = 0; i < AGE_MARKS; i++)
		s->marks[i] = (struct age_mark){ le64(p + SUPER_MARKS + MARK_BYTES * i),
			le32(p + SUPER_MARKS + MARK_BYTES * i + 8) };
}

/* The slots' state as it was when this checkpoint became durable: its freed
 * slots wait for the next one, those of the one before are free. */
static int adopt_slots(struct store *st, const uint8_t *p)
{
	struct slots *slots = &st->tree.slots;
	uint32_t n = le32(p + SUPER_LISTS), before = le32(p + SUPER_LISTS + 4);

	if (n > SLOTS_FREED_MAX || before > SLOTS_FREED_MAX)
		return E_DAMAGED;
	slots_forget(slots);
	slots->high = le32(p + 160);
	slots->used = le32(p + 164);
	slots->numbers = le64(p + 176);
	slots->n_freed = n;
	slots->n_freed_before = before;
	for (uint32_t i = 0; i < n; i++)
		slots->freed[i] = le32(p + SUPER_LISTS + 8 + 4 * i);
	for (uint32_t i = 0; i < before; i++)
		slots->freed_before[i] = le32(p + SUPER_LISTS + 8 + 4 * (SLOTS_FREED_MAX + i));
	tree_reset(&st->tree, le32(p + 156));
	st->log.prev_segment = le32(p + 168);
	st->log.prev_valid_end = le32(p + 172);
	return OK;
}

int super_read(struct store *st, unsigned which, struct super *out, bool adopt)
{
	char name[PORT_PATH_MAX];
	uint8_t *p = st->scratch;
	port_file f;
	int64_t n;

	super_name(st, which, name);
	f = port_open(name, PORT_READ);
	if (f < 0)
		return f;
	n = read_again(f, 0, p, SUPER_BYTES);
	port_close(f);
	if (n < 0)
		return E_IO;
	if (n != SUPER_BYTES || le32(p) != SUPER_MAGIC ||
		le32(p + 8) != crc32c(crc32c(le32(p + 4), p, 8), p + 12, SUPER_BYTES - 12))
		return E_DAMAGED;
	if (le32(p + 4) != SUPER_VERSION)
		return E_NOTSUP;
	get_super(p, out);
	return adopt ? adopt_slots(st, p) : OK;
}

/* Writes a superblock whole and durably. The name of a new one is durable too
 * before the other one may be overwritten. */
static int write_super(struct store *st, const struct super *s)
{
	char name[PORT_PATH_MAX];
	bool fresh;
	port_file f;
	int err;

	super_name(st, st->aside ? SUPER_NEW : (unsigned)(s->checkpoint & 1), name);
	fresh = !port_exists(name);
	f = port_open(name, PORT_WRITE | PORT_CREATE);
	if (f < 0)
		return f;
	st->log_bytes += SUPER_BYTES;
	put_super(st, s, st->scratch);
	err = port_write(f, 0, st->scratch, SUPER_BYTES);
	if (err == E_NOSPC && st->tree.slots.make_room(st))
		err = port_write(f, 0, st->scratch, SUPER_BYTES);
	if (err == OK)
		err = port_sync(f);
	port_close(f);
	if (fresh)
		space_charge(st, SUPER_BYTES);
	if (err == OK && fresh)
		err = files_sync_dir(st);
	return err;
}

int super_format(struct store *st)
{
	return write_super(st, &st->super);
}

/* Remembers when the LSNs up to here were given. */
static void mark_age(struct super *s)
{
	const struct age_mark *last = &s->marks[AGE_MARKS - 1];

	if (s->box_time < (uint64_t)last->box_time + AGE_MARK_SECONDS && last->lsn)
		return;
	memmove(s->marks, s->marks + 1, (AGE_MARKS - 1) * sizeof *s->marks);
	s->marks[AGE_MARKS - 1] = (struct age_mark){ s->replay_lsn, (uint32_t)s->box_time };
}

uint64_t super_lsn_before(const struct store *st, uint32_t seconds)
{
	uint64_t now = store_box_time(st);

	for (unsigned i = AGE_MARKS; i-- > 0;)
		if (st->super.marks[i].lsn && now - st->super.marks[i].box_time >= seconds)
			return st->super.marks[i].lsn;
	return 0;
}

static void describe(struct store *st, struct super *s, bool clean)
{
	const struct log *log = &st->log;

	*s = st->super;
	s->checkpoint++;
	s->replay_lsn = log->applied;
	s->replay_segment = log->file >= 0 ? log->segment : st->super.next_segment;
	s->replay_offset = log->file >= 0 ? log->end : 0;
	s->replay_waste = log->file >= 0 ? log->waste : RECORD_BLOCK;
	if (st->applying_segment) {
		s->replay_segment = st->applying_segment;
		s->replay_offset = st->applying_offset;
		s->replay_waste = RECORD_BLOCK;
	}
	s->durable = log->durable;
	s->orphan_from = upload_orphans_from(st);
	s->box_time = store_box_time(st);
	s->storage = st->config.storage;
	/* This superblock and its sync are counted in it. */
	s->life_bytes_written = st->super.life_bytes_written + store_bytes_written(st) + SUPER_BYTES;
	s->life_syncs = st->super.life_syncs + store_syncs(st) + 1;
	s->life_cleaned = st->super.life_cleaned + st->cleaned;
	s->clean = clean;
	s->held = st->tree.hold.number || st->backup.pages_lost;
	mark_age(s);
}

/* The pages of a checkpoint, durable before its superblock is begun. */
static int write_pages(struct store *st)
{
	int err = tree_flush(&st->tree);

	return err == OK ? port_sync(st->tree.slots.file) : err;
}

/* Everything that is applied is durable when this is called, and everything
 * logged is applied, but for the record being applied and those behind it. */
int checkpoint_write(struct store *st, bool clean)
{
	struct super next;
	int err;

	st->checkpointing = true;
	err = STORE_PLANT(PLANT_SUPER_FIRST) ? OK : write_pages(st);

	/* The file of a message that the tree forgets must not come back. */
	if (err == OK)
		err = files_before_create(st);
	if (err == OK) {
		describe(st, &next, clean);
		err = write_super(st, &next);
	}
	if (err == OK && STORE_PLANT(PLANT_SUPER_FIRST))
		err = write_pages(st);
	if (err != OK) {
		store_fail(st, "a checkpoint can't be written", err);
		return err;
	}
	st->replay_before = st->replay_last;
	st->replay_last = next.replay_lsn;
	st->super.checkpoint = next.checkpoint;
	st->super.box_time = next.box_time;
	memcpy(st->super.marks, next.marks, sizeof next.marks);
	st->super.clean = clean;
	st->checkpoints++;
	st->checkpoint_log = 0;
	st->checkpoint_due = st->checkpointing = false;
	st->checkpoint_slices = 0;
	err = tree_checkpointed(&st->tree);
	if (err != OK)
		store_fail(st, "the index file can't be used", err);
	space_charge_index(st);
	return err;
}

/* The pages on the ways to STORE_UIDS entries and their messages, but no more
 * than there are. */
uint32_t checkpoint_slots(const struct store *st)
{
	const struct slots *s = &st->tree.slots;
	uint32_t pages = s->used - s->n_freed - s->n_freed_before;

	return (pages < 4 * STORE_UIDS ? pages : 4 * STORE_UIDS) + 48;
}

bool checkpoint_can_wait(const struct store *st)
{
	const struct slots *s = &st->tree.slots;

	return s->n_freed < CHECKPOINT_FREED &&
		(s->used + checkpoint_slots(st) <= s->limit || s->n_freed + s->n_freed_before == 0);
}

int checkpoint_make_room(struct store *st)
{
	int err = OK;

	/* What one checkpoint frees is free after the next. */
	for (unsigned i = 0; i < 2 && err == OK && !checkpoint_can_wait(st); i++)
		err = checkpoint_write(st, false);
	return err;
}

/* Writes some changed pages ahead; the last slice makes the checkpoint. E_AGAIN
 * when there is more to do. */
int checkpoint_slice(struct store *st)
{
	if (!log_wait_idle(st))
		return E_AGAIN;
	/* While others change pages as fast as these are written it has to end. */
	if (st->tree.dirty > PAGES_A_SLICE && st->checkpoint_slices++ < CHECKPOINT_SLICES) {
		int err = tree_write_some(&st->tree, PAGES_A_SLICE);

		st->checkpointing = true;
		if (err != OK)
			store_fail(st, "the index can't be written", err);
		return err == OK ? E_AGAIN : err;
	}
	return checkpoint_write(st, false);
}
