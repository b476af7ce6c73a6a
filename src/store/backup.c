/* A backup's hold on the store: the moment that it shows, what it keeps from being
 * given back while it is read, and giving that back.
 *
 * The moment is a checkpoint at which everything applied is durable. The tree as
 * it is then is held (tree/hold.c), so that every row can be read as it was; so are
 * the segments in which messages lived then, and the files of large ones. Nothing
 * waits for the reader of a backup: when what it holds stands in the way of room
 * that somebody needs, it is given up. After a cut nothing is held: the superblock
 * says that slots were, and the mount makes the map of slots anew. */
#include "store/store_int.h"

#include <string.h>

#include "base/log.h"

/* Steps of giving back in one slice. */
#define RELEASE_STEPS 64
/* Slots that one checkpoint gives back beside those of the changes. */
#define RELEASE_SLOTS (CHECKPOINT_FREED / 2)

/* ---- the moment ---- */

static void describe(struct store *st)
{
	struct backup *b = &st->backup;
	const struct slots *s = &st->tree.slots;
	uint64_t id = 0;

	if (port_entropy(&id, sizeof id) != OK || id == 0)
		id = st->super.identity ^ (uint64_t)port_wall_time() * 1000003u ^ port_now_us() ^ st->super.next_lsn;
	b->progress.info = (struct store_backup_info){
		.id = id | (id == 0),
		.identity = store_identity(st),
		.made = port_wall_time(),
		.lsn = st->log.applied,
		.box_time = store_box_time(st),
		.next_object = st->super.next_object,
		.next_mailbox = st->super.next_mailbox,
		.next_uidvalidity = st->super.next_uidvalidity,
		.live = st->super.live,
		.pages = s->used - s->n_freed - s->n_freed_before,
		.objects = st->super.objects,
		.entries = st->super.messages,
	};
	memcpy(b->marks, st->super.marks, sizeof b->marks);
	b->next_segment = st->super.next_segment;
	b->state = BACKUP_OPEN;
}

int store_backup_begin(struct store *st, const struct store_backup_source *source)
{
	struct backup *b = &st->backup;

	if (b->reading || b->state != BACKUP_NONE || st->tree.hold.number)
		return E_BUSY;
	*b = (struct backup){ .state = BACKUP_WANTED, .reading = true, .source = *source };
	return OK;
}

/* Nothing changes any more: what is there can be read without a hold. */
void backup_take_as_is(struct store *st)
{
	if (st->backup.state == BACKUP_WANTED && st->read_only)
		describe(st);
}

void backup_take(struct store *st)
{
	if (st->backup.state != BACKUP_WANTED)
		return;
	describe(st);
	tree_hold(&st->tree);
}

void store_backup_progress(const struct store *st, struct store_backup_progress *out)
{
	*out = st->backup.progress;
}

/* ---- what is held ---- */

bool backup_holds_segment(struct store *st, uint32_t id)
{
	struct backup *b = &st->backup;
	struct segment row;
	uint32_t root;
	int err;

	if (b->state != BACKUP_OPEN || id >= b->next_segment)
		return false;
	root = tree_then(&st->tree);
	err = segment_row_get(st, id, &row);
	tree_now(&st->tree, root);
	return err == OK && row.live > 0;
}

bool backup_holds_file(struct store *st, uint64_t object)
{
	struct backup *b = &st->backup;
	struct object o;
	uint32_t root;
	int err;

	if (b->state != BACKUP_OPEN || object <= b->object || object >= b->progress.info.next_object ||
		!st->tree.hold.number)
		return false;
	root = tree_then(&st->tree);
	err = object_load(st, object, &o);
	tree_now(&st->tree, root);
	b->holds_files |= err == OK;
	return err == OK;
}

/* ---- giving it back ---- */

static void release(struct store *st)
{
	st->backup.state = st->tree.hold.number ? BACKUP_RELEASING : BACKUP_NONE;
	st->sweep_due = true;
}

void store_backup_end(struct store *st)
{
	struct backup *b = &st->backup;

	b->reading = false;
	if (b->state == BACKUP_WANTED)
		b->state = BACKUP_NONE;
	if (b->state == BACKUP_OPEN)
		release(st);
}

bool store_backup_settled(const struct store *st)
{
	return st->backup.state == BACKUP_NONE;
}

bool backup_give_up(struct store *st)
{
	struct backup *b = &st->backup;

	if (b->state != BACKUP_OPEN || !st->tree.hold.number)
		return false;
	log_warning("store: a backup is ended before its end: what it holds stands in the way of room for mail");
	b->given_up = true;
	release(st);
	return true;
}

/* The next message file that only the backup still had. */
static int release_file(struct store *st)
{
	struct backup *b = &st->backup;
	uint64_t table = tree_key(TREE_OBJECT, 0, 0).hi;
	uint8_t bytes[OBJECT_BYTES];
	struct object o, now;
	struct key found;
	uint32_t root = tree_then(&st->tree);
	int n = tree_seek(&st->tree, tree_key(TREE_OBJECT, 0, b->object + 1), &found, bytes, sizeof bytes);

	tree_now(&st->tree, root);
	if (n == E_NOENT || n == E_LIMIT || (n >= 0 && found.hi != table)) {
		b->holds_files = false;
		return OK;
	}
	if (n < 0)
		return n;
	b->object = found.lo;
	if (!object_get(bytes_make(bytes, (size_t)n), &o) || !o.blob || store_pinned_only(st, found.lo) ||
		object_load(st, found.lo, &now) != E_NOENT)
		return OK;
	return files_remove(st, true, found.lo, space_of_blob(o.size));
}

int backup_pass(struct store *st)
{
	struct backup *b = &st->backup;

	for (unsigned i = 0; b->holds_files && b->object < b->message; i++) {
		int err = i < RELEASE_STEPS ? release_file(st) : E_AGAIN;

		if (err != OK)
			return err;
	}
	b->object = b->message;
	return OK;
}

static int release_some(struct store *st)
{
	struct tree *t = &st->tree;
	int err = E_AGAIN;

	for (unsigned i = 0; i < RELEASE_STEPS && err == E_AGAIN; i++) {
		if (st->backup.holds_files) {
			err = release_file(st);
			if (err == OK)
				err = E_AGAIN;
		} else if (t->slots.n_freed >= RELEASE_SLOTS || !checkpoint_can_wait(st)) {
			st->checkpoint_due = true;
			return E_AGAIN;
		} else {
			err = tree_held_next(t);
		}
	}
	return err;
}

/* Pages that may be held beside what checkpoint_can_wait wants. */
#define INDEX_MARGIN 32

/* The index is nearly at the size that it may have. */
static bool index_is_short(const struct store *st)
{
	const struct slots *s = &st->tree.slots;

	return st->tree.hold.count && (uint64_t)s->used + checkpoint_slots(st) + INDEX_MARGIN > s->limit;
}

int backup_slice(struct store *st)
{
	struct backup *b = &st->backup;
	int err;

	if (b->state == BACKUP_OPEN && index_is_short(st))
		(void)backup_give_up(st);
	if (b->state != BACKUP_RELEASING)
		return OK;
	err = release_some(st);
	if (err == E_AGAIN)
		return E_AGAIN;
	if (err != OK) {
		/* The superblock goes on to say so, and the next mount finds them. */
		log_error("store: what a backup held can't be found (%s): the next start gives it back", err_text(err));
		st->tree.hold = (struct tree_hold){ 0 };
		b->pages_lost = true;
	}
	b->state = BACKUP_NONE;
	return OK;
}
