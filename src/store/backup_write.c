/* The stream of a backup, record by record, out of the tree that is held
 * (BACKUP.md has the order). */
#include "store/backup_stream.h"
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"

/* Where the payload is made: always at least STORE_BACKUP_LEAST less a header. */
struct room {
	uint8_t *p;
	size_t cap;
	enum backup_type type; /* out */
};

/* Writes one record's payload: its length; E_NOENT: nothing more in this phase;
 * E_AGAIN: nothing yet. */
typedef int phase_fn(struct store *st, struct room *room);

_Static_assert(STORE_BACKUP_LEAST >= BACKUP_HEADER + BACKUP_MAILBOX_BYTES + LIMIT_MAILBOX_LEVEL, "a mailbox fits");
_Static_assert(STORE_BACKUP_LEAST >= BACKUP_HEADER + 4 + LIMIT_MAILBOX_NAME, "a subscription fits");
_Static_assert(STORE_BACKUP_LEAST >= BACKUP_HEADER + STORE_BACKUP_USER, "a user fits");

/* ---- head, users ---- */

static int write_head(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;

	if (b->part++)
		return E_NOENT;
	room->type = BACKUP_HEAD;
	backup_head_put(room->p, &b->progress.info);
	return BACKUP_HEAD_BYTES;
}

static int write_age(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;

	if (b->part++)
		return E_NOENT;
	room->type = BACKUP_AGE;
	for (unsigned i = 0; i < AGE_MARKS; i++) {
		put_le64(room->p + 12 * i, b->marks[i].lsn);
		put_le32(room->p + 12 * i + 8, b->marks[i].box_time);
	}
	return 12 * AGE_MARKS;
}

static int write_user(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;

	room->type = BACKUP_USER;
	return b->source.user ? b->source.user(b->source.context, &b->cursor, room->p) : E_NOENT;
}

/* ---- mailboxes ---- */

/* The next row of a table. E_NOENT. */
static int next_row(struct store *st, enum tree_table table, struct key *found, void *value, size_t cap)
{
	struct backup *b = &st->backup;
	int n;

	if (b->at.hi >> 56 != (uint64_t)table)
		b->at = tree_key(table, 0, 0);
	n = tree_seek(&st->tree, b->at, found, value, cap);
	if (n == E_NOENT || ((n >= 0 || n == E_LIMIT) && found->hi >> 56 != (uint64_t)table))
		return E_NOENT;
	if (n < 0)
		return n == E_LIMIT ? E_DAMAGED : n;
	b->at = *found;
	b->at.hi += ++b->at.lo == 0;
	return n;
}

/* How many are above it; one whose parent is missing stands at the top. */
static int depth_of(struct store *st, const struct mailbox *m, unsigned *depth)
{
	uint32_t id = m->parent;

	for (*depth = 0; id && *depth < LIMIT_MAILBOX_DEPTH; ++*depth) {
		struct mailbox above;
		int err = mailbox_load(st, id, &above);

		if (err != OK)
			return err == E_NOENT ? OK : err;
		id = above.parent;
	}
	return OK;
}

static int put_mailbox(struct room *room, const struct mailbox *m)
{
	uint8_t *p = room->p;

	room->type = BACKUP_MAILBOX;
	put_le32(p, m->id);
	put_le32(p + 4, m->owner);
	put_le32(p + 8, m->parent);
	put_le32(p + 12, m->uidvalidity);
	put_le32(p + 16, m->uidnext);
	put_le32(p + 20, m->recent);
	put_le64(p + 24, m->modseq);
	p[32] = m->uses;
	p[33] = 0;
	memcpy(p + BACKUP_MAILBOX_BYTES, m->level, m->level_len);
	return (int)(BACKUP_MAILBOX_BYTES + m->level_len);
}

/* One level of the names after the other, so that parents come first. */
static int write_mailbox(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;
	uint8_t row[MAILBOX_BYTES];
	struct mailbox m;
	struct key found;
	unsigned depth;
	int n = next_row(st, TREE_MAILBOX, &found, row, sizeof row), err;

	if (n == E_NOENT && b->depth < b->deepest) {
		b->depth++;
		b->at = tree_key(TREE_MAILBOX, 0, 0);
		return E_AGAIN;
	}
	if (n < 0)
		return n;
	if (!mailbox_get(bytes_make(row, (size_t)n), (uint32_t)found.lo, &m))
		return E_DAMAGED;
	err = depth_of(st, &m, &depth);
	if (err != OK)
		return err;
	if (m.doomed)
		return E_AGAIN;
	b->deepest = depth > b->deepest ? depth : b->deepest;
	m.parent = depth ? m.parent : 0;
	return depth == b->depth ? put_mailbox(room, &m) : E_AGAIN;
}

static int write_keyword(struct store *st, struct room *room)
{
	struct mailbox m;
	struct key found;
	int n = next_row(st, TREE_KEYWORD, &found, room->p + 5, LIMIT_KEYWORD_NAME), err;

	if (n < 0)
		return n;
	room->type = BACKUP_KEYWORD;
	put_le32(room->p, (uint32_t)found.hi);
	room->p[4] = (uint8_t)found.lo;
	err = mailbox_load(st, (uint32_t)found.hi, &m);
	if (err == E_NOENT || (err == OK && m.doomed))
		return E_AGAIN;
	return err == OK ? n + 5 : err;
}

static int write_subscription(struct store *st, struct room *room)
{
	struct key found;
	int n = next_row(st, TREE_SUBSCRIBED, &found, room->p + 4, LIMIT_MAILBOX_NAME);

	if (n < 0)
		return n;
	room->type = BACKUP_SUBSCRIBED;
	put_le32(room->p, (uint32_t)found.hi);
	return n + 4;
}

static int write_quota(struct store *st, struct room *room)
{
	struct key found;
	int n = next_row(st, TREE_QUOTA, &found, room->p + 4, 16);

	if (n != 16)
		return n < 0 ? n : E_DAMAGED;
	room->type = BACKUP_QUOTA;
	put_le32(room->p, (uint32_t)found.lo);
	return 4 + 16;
}

/* ---- messages ---- */

enum part { PART_NEXT, PART_ENTRIES, PART_SUMMARY, PART_DATA, PART_DONE, PART_MORE };

/* The next entry that shows the message to anybody. E_NOENT. */
static int next_shown(struct store *st, struct store_entry *e)
{
	struct backup *b = &st->backup;
	int err;

	while ((err = reference_next(st, b->message, &b->place, &b->mailbox, &b->uid)) == OK) {
		struct mailbox m;

		err = mailbox_load(st, b->mailbox, &m);
		if (err == OK)
			err = entry_load(st, b->mailbox, b->uid, e);
		if (err == OK && !m.doomed && b->uid < m.uidnext && e->object == b->message)
			return OK;
		if (err != OK && err != E_NOENT)
			return err;
	}
	return err;
}

static void rewind_shown(struct backup *b)
{
	b->mailbox = b->uid = 0;
	b->shown = 0;
}

static int next_message(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;
	uint8_t row[OBJECT_BYTES];
	struct store_entry e;
	struct key found;
	int n, err;

	b->at = tree_key(TREE_OBJECT, 0, b->message + 1);
	n = next_row(st, TREE_OBJECT, &found, row, sizeof row);
	if (n < 0)
		return n;
	if (!object_get(bytes_make(row, (size_t)n), &b->place))
		return E_DAMAGED;
	b->message = found.lo;
	rewind_shown(b);
	err = next_shown(st, &e);
	if (err != OK)
		return err == E_NOENT ? E_AGAIN : err;
	rewind_shown(b);
	b->part = PART_ENTRIES;
	room->type = BACKUP_MESSAGE;
	/* Without its summary a message is whole: that can be made anew. */
	if (store_summary(st, b->message, st->replay, BODY_MAX) < 0)
		b->place.summary_len = 0;
	put_le64(room->p, b->message);
	put_le32(room->p + 8, b->place.size);
	put_le32(room->p + 12, b->place.summary_len);
	return 16;
}

static int put_entry(struct backup *b, uint8_t *p, const struct store_entry *e)
{
	put_le32(p, b->mailbox);
	put_le32(p + 4, b->uid);
	entry_put(p + 8, e);
	b->shown++;
	b->progress.entries++;
	return BACKUP_ENTRY_BYTES;
}

static int part_entries(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;
	struct store_entry e;
	int err = b->shown < BACKUP_ENTRIES ? next_shown(st, &e) : E_NOENT;

	room->type = BACKUP_ENTRY;
	if (err == OK)
		return put_entry(b, room->p, &e);
	if (err != E_NOENT)
		return err;
	b->offset = 0;
	b->part = PART_SUMMARY;
	return E_AGAIN;
}

/* What is there of it is of no use: the next one. */
static int lose(struct backup *b, struct room *room)
{
	b->part = PART_NEXT;
	b->progress.lost++;
	b->progress.entries -= b->shown;
	room->type = BACKUP_LOST;
	return 0;
}

static int part_summary(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;
	size_t left = b->place.summary_len - (size_t)b->offset, n = left < room->cap ? left : room->cap;
	int64_t got;

	if (left == 0) {
		b->offset = 0;
		b->part = PART_DATA;
		return E_AGAIN;
	}
	got = store_summary(st, b->message, st->replay, BODY_MAX);
	if (got != (int64_t)b->place.summary_len)
		return lose(b, room);
	room->type = BACKUP_SUMMARY;
	memcpy(room->p, st->replay + b->offset, n);
	b->offset += n;
	return (int)n;
}

static int part_data(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;
	uint64_t left = b->place.size - b->offset;
	size_t n = left < room->cap ? (size_t)left : room->cap;
	int64_t got;

	if (left == 0) {
		b->part = PART_DONE;
		return E_AGAIN;
	}
	got = store_body_ahead(st, b->message, b->offset, room->p, n, left - n);
	if (got <= 0)
		return lose(b, room);
	room->type = BACKUP_DATA;
	b->offset += (uint64_t)got;
	return (int)got;
}

static int part_done(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;

	b->progress.messages++;
	b->part = PART_MORE;
	room->type = BACKUP_DONE;
	return 0;
}

static int part_more(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;
	struct store_entry e;
	int err = next_shown(st, &e);

	room->type = BACKUP_MORE;
	if (err == OK)
		return put_entry(b, room->p, &e);
	if (err != E_NOENT)
		return err;
	b->part = PART_NEXT;
	return E_AGAIN;
}

static int write_message(struct store *st, struct room *room)
{
	static phase_fn *const parts[] = { next_message, part_entries, part_summary, part_data, part_done, part_more };

	return parts[st->backup.part](st, room);
}

/* ---- the end ---- */

static int write_end(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;

	if (b->part++)
		return E_NOENT;
	room->type = BACKUP_END;
	put_le64(room->p, b->progress.messages);
	put_le64(room->p + 8, b->progress.entries);
	put_le64(room->p + 16, b->progress.lost);
	put_le64(room->p + 24, b->number + 1);
	return BACKUP_END_BYTES;
}

/* ---- all of it ---- */

static phase_fn *const phases[] = { write_head, write_age, write_user, write_mailbox, write_keyword, write_subscription,
	write_quota, write_message, write_end };
#define PHASES (sizeof phases / sizeof phases[0])

static int write_record(struct store *st, struct room *room)
{
	struct backup *b = &st->backup;

	for (unsigned i = 0; i < LIMIT_SLICE_ENTRIES && b->phase < PHASES; i++) {
		int n = phases[b->phase](st, room);

		if (n == E_NOENT) {
			b->phase++;
			b->part = 0;
		} else if (n != E_AGAIN) {
			return n;
		}
	}
	return b->phase < PHASES ? E_AGAIN : E_NOENT;
}

int64_t store_backup_read(struct store *st, void *out, size_t cap)
{
	struct backup *b = &st->backup;
	uint8_t *record = out;
	struct room room = { .p = record + BACKUP_HEADER };
	uint32_t root;
	int n;

	backup_take_as_is(st);
	if (b->given_up)
		return E_FULL;
	if (b->state == BACKUP_WANTED)
		return E_AGAIN;
	if (b->state != BACKUP_OPEN || cap < STORE_BACKUP_LEAST)
		return E_STATE;
	n = b->part == PART_NEXT ? backup_pass(st) : OK;
	if (n != OK)
		return n;
	cap -= BACKUP_HEADER;
	room.cap = cap < BACKUP_PAYLOAD ? cap : BACKUP_PAYLOAD;
	root = tree_then(&st->tree);
	n = write_record(st, &room);
	tree_now(&st->tree, root);
	if (n < 0)
		return n == E_NOENT ? 0 : n;
	backup_seal(record, room.type, (size_t)n, b->progress.info.id, b->number++);
	return (int64_t)BACKUP_HEADER + n;
}
