/* Verifying everything, a slice a call: the tree's pages and sums, then each
 * mailbox's entries against its counts and its UIDs' order, then what users are
 * charged, then every message: who refers to it, and every stored byte; last what
 * segments say is alive in them. The cursor says the pass and how far it got; what
 * a pass counts up is kept in the store. What can change between two slices is
 * compared within one, or only where the store stood still. */
#include "store/store_int.h"

#include <stdarg.h>
#include <stdio.h>

enum pass { PASS_PAGES, PASS_MAILBOXES, PASS_OWNERS, PASS_OBJECTS, PASS_SEGMENTS, PASS_END };
#define PASS_SHIFT 60
#define PLACE_MASK (((uint64_t)1 << PASS_SHIFT) - 1)

/* Entries that are told of one damaged message. */
#define SHOWN_MOST 16
/* References of one message that are followed in one slice; those of one with more
 * are only in the sum. */
#define REFERENCES_MOST 4096
/* A mailbox in a sentence. */
#define NAME_TEXT 200

struct teller {
	struct store *st;
	void (*report)(void *context, const char *line);
	void *context;
};

static void tell(const struct teller *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(const struct teller *t, const char *format, ...)
{
	char line[NAME_TEXT + 160];
	va_list args;

	t->st->check.findings++;
	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	t->report(t->context, line);
}

/* "INBOX of user 1" */
static const char *name_of(const struct teller *t, uint32_t mailbox, char out[NAME_TEXT])
{
	char name[LIMIT_MAILBOX_NAME];
	struct store_mailbox m;
	int len = store_mailbox_get(t->st, mailbox, &m) == OK ? store_mailbox_name(t->st, mailbox, name) : E_NOENT;

	if (len > 0)
		(void)snprintf(out, NAME_TEXT, "%.*s of user %lu", len, name, (unsigned long)m.owner);
	else
		(void)snprintf(out, NAME_TEXT, "mailbox %lu", (unsigned long)mailbox);
	return out;
}

/* ---- pages ---- */

static int check_page(const struct teller *t, struct key *k)
{
	const char *what;
	int err = tree_verify(&t->st->tree, k, &what);

	if (err == E_NOENT)
		return E_NOENT;
	if (err != OK) {
		tell(t, "the index is damaged: %s", what);
		return err == E_DAMAGED ? E_NOENT : err;
	}
	return OK;
}

/* ---- mailboxes ---- */

static void compare_tally(const struct teller *t, const struct mailbox *m, const struct tally *is)
{
	char name[NAME_TEXT];

	if (m->tally.messages != is->messages || m->tally.unseen != is->unseen || m->tally.size != is->size ||
		m->tally.deleted != is->deleted || m->tally.deleted_size != is->deleted_size)
		tell(t, "%s: its counts are not those of its %lu messages", name_of(t, m->id, name),
			(unsigned long)is->messages);
}

/* Entries of the mailbox under way: E_NOENT when it is done. */
static int check_entries(const struct teller *t, const struct mailbox *m)
{
	struct store *st = t->st;
	struct check *c = &st->check;
	char name[NAME_TEXT];

	for (unsigned i = 0; i < LIMIT_SLICE_ENTRIES; i++) {
		struct store_entry e;
		struct object o;
		int err = store_cursor_next(st, &c->cursor, &e);

		if (err != OK)
			return err;
		tally_add(&c->tally, &e);
		c->references++;
		if (object_load(st, e.object, &o) != OK)
			tell(t, "%s uid %lu: its message is missing", name_of(t, m->id, name), (unsigned long)e.uid);
		else if (o.size != e.size)
			tell(t, "%s uid %lu: its size is wrong", name_of(t, m->id, name), (unsigned long)e.uid);
		/* Each UID is above the one before it: the key is made of it. */
		if (e.uid >= m->uidnext || e.modseq > m->modseq)
			tell(t, "%s uid %lu: its UID or MODSEQ is beyond what the mailbox has given",
				name_of(t, m->id, name), (unsigned long)e.uid);
	}
	return OK;
}

static int check_mailbox(const struct teller *t, uint64_t *id)
{
	struct store *st = t->st;
	struct check *c = &st->check;
	uint8_t bytes[MAILBOX_BYTES];
	struct key found;
	struct mailbox m;
	int err, n = tree_seek(&st->tree, tree_key(TREE_MAILBOX, 0, *id), &found, bytes, sizeof bytes);

	if (n == E_NOENT || n == E_LIMIT || (n >= 0 && found.hi != tree_key(TREE_MAILBOX, 0, 0).hi))
		return E_NOENT;
	if (n < 0)
		return n;
	if (!mailbox_get(bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &m)) {
		tell(t, "mailbox %lu: its record is damaged", (unsigned long)found.lo);
		*id = found.lo + 1;
		return OK;
	}
	/* Changes between two slices would make counts differ that are right. */
	if (c->cursor.mailbox != m.id || c->modseq != m.modseq) {
		store_cursor_init(&c->cursor, m.id, 0);
		c->tally = (struct tally){ 0 };
		c->modseq = m.modseq;
	}
	err = m.doomed ? E_NOENT : check_entries(t, &m);
	if (err != E_NOENT)
		return err;
	if (!m.doomed)
		compare_tally(t, &m, &c->tally);
	/* Entries that nobody sees refer to messages too: those of a copy under way,
	 * and of a deleted mailbox until they are removed. */
	c->references += m.staged.messages + (m.doomed ? m.tally.messages : 0);
	c->cursor.mailbox = 0;
	*id = found.lo + 1;
	return OK;
}

/* ---- users ---- */

/* What one user is charged: all his mailboxes in one slice. */
static int check_owner(const struct teller *t, uint64_t *owner)
{
	struct store *st = t->st;
	struct key k = tree_key(TREE_OWNER, 0, *owner), found;
	uint8_t row[OWNER_BYTES], bytes[MAILBOX_BYTES];
	uint64_t used, messages, size = 0, count = 0;
	struct mailbox m;
	int n = tree_seek(&st->tree, k, &found, row, sizeof row);

	if (n == E_NOENT || n == E_LIMIT || (n >= 0 && found.hi != k.hi))
		return E_NOENT;
	if (n < 0)
		return n;
	*owner = found.lo;
	k = tree_key(TREE_MAILBOX, 0, 0);
	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi == k.hi) {
		if (mailbox_get(bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &m) && m.owner == *owner) {
			size += m.tally.size + m.staged.size;
			count += m.tally.messages + m.staged.messages;
		}
		k.lo = found.lo + 1;
	}
	store_owner_usage(st, (uint32_t)*owner, &used, &messages);
	if (used != size || messages != count)
		tell(t, "user %lu is charged with %llu messages of %llu bytes and has %llu of %llu",
			(unsigned long)*owner, (unsigned long long)messages, (unsigned long long)used,
			(unsigned long long)count, (unsigned long long)size);
	++*owner;
	return OK;
}

/* ---- objects ---- */

static int check_frames(const struct teller *t, uint64_t id, const struct object *o)
{
	struct store *st = t->st;
	uint8_t piece[FRAME_DATA];
	int64_t n;

	/* what lies on flash counts, not what was read from there before */
	st->frames.object = 0;
	while (st->check.offset < o->size) {
		n = store_body(st, id, st->check.offset, piece, sizeof piece);
		if (n == E_IO || n == 0)
			return n == 0 ? E_DAMAGED : E_IO;
		if (n < 0)
			return E_DAMAGED;
		st->check.offset += (uint64_t)n;
		if (st->check.offset % LIMIT_SLICE_BYTES < FRAME_DATA && st->check.offset < o->size)
			return E_AGAIN;
	}
	return OK;
}

static bool summary_good(struct store *st, uint64_t id)
{
	int64_t n = store_summary(st, id, st->replay, LIMIT_SUMMARY);

	return n >= 0;
}

/* Says which entries show a damaged message. */
static void tell_damaged(const struct teller *t, uint64_t id, const struct object *o)
{
	uint32_t mailbox = 0, uid = 0;
	unsigned told = 0;
	char name[NAME_TEXT];

	while (told < SHOWN_MOST && reference_next(t->st, id, o, &mailbox, &uid) == OK) {
		tell(t, "%s uid %lu: the message is damaged", name_of(t, mailbox, name), (unsigned long)uid);
		told++;
	}
	if (told == 0)
		tell(t, "message %llu of %lu bytes is damaged", (unsigned long long)id, (unsigned long)o->size);
}

/* Each entry that is said to show the message does, and there are as many as it
 * counts. Entries of a mailbox that is being removed, or of a copy under way, are
 * entries as well. */
static void check_references(const struct teller *t, uint64_t id, const struct object *o)
{
	uint32_t mailbox = 0, uid = 0, rows = 0;
	struct store_entry e;
	char name[NAME_TEXT];

	if (o->refs > REFERENCES_MOST)
		return;
	while (rows <= o->refs && reference_next(t->st, id, o, &mailbox, &uid) == OK) {
		rows++;
		if (entry_load(t->st, mailbox, uid, &e) != OK || e.object != id)
			tell(t, "%s uid %lu is said to show message %llu and does not", name_of(t, mailbox, name),
				(unsigned long)uid, (unsigned long long)id);
	}
	if (rows != o->refs)
		tell(t, "message %llu is shown %lu times and says %lu", (unsigned long long)id, (unsigned long)rows,
			(unsigned long)o->refs);
}

static int check_object(const struct teller *t, uint64_t *id)
{
	struct store *st = t->st;
	uint8_t bytes[OBJECT_BYTES];
	struct key found;
	struct object o;
	int err, n = tree_seek(&st->tree, tree_key(TREE_OBJECT, 0, *id), &found, bytes, sizeof bytes);

	if (n == E_NOENT || n == E_LIMIT || (n >= 0 && found.hi != tree_key(TREE_OBJECT, 0, 0).hi))
		return E_NOENT;
	if (n < 0)
		return n;
	if (found.lo != *id) {
		*id = found.lo;
		st->check.offset = 0;
	}
	if (!object_get(bytes_make(bytes, (size_t)n), &o))
		err = E_DAMAGED;
	else
		err = st->check.offset == 0 && !summary_good(st, *id) ? E_DAMAGED : check_frames(t, *id, &o);
	if (err == E_AGAIN || err == E_IO)
		return err == E_IO ? E_IO : OK;
	if (err == E_DAMAGED)
		tell_damaged(t, *id, &o);
	if (found.lo == *id)
		check_references(t, *id, &o);
	st->check.counted += o.refs;
	st->check.live += object_live(&o);
	st->check.in_log += object_record_size(&o);
	++*id;
	st->check.offset = 0;
	return OK;
}

/* ---- segments ---- */

static int check_segment(const struct teller *t, uint64_t *id)
{
	struct store *st = t->st;
	struct key k = tree_key(TREE_SEGMENT, 0, *id), found;
	uint8_t bytes[SEGMENT_BYTES];
	struct segment row;
	int n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes);

	if (n == E_NOENT || n == E_LIMIT || (n >= 0 && found.hi != k.hi))
		return E_NOENT;
	if (n < 0)
		return n;
	if (segment_row_get(st, (uint32_t)found.lo, &row) != OK || (row.end && row.live > row.end))
		tell(t, "segment %lu: its record is damaged", (unsigned long)found.lo);
	else
		st->check.in_segments += row.live;
	*id = found.lo + 1;
	return OK;
}

/* Only a store that stood still has one true sum of all. */
static void compare_sums(const struct teller *t)
{
	struct check *c = &t->st->check;

	if (c->lsn != t->st->log.staged)
		return;
	if (c->references != c->counted)
		tell(t, "messages are referred to %llu times, but say %llu", (unsigned long long)c->references,
			(unsigned long long)c->counted);
	if (c->findings == 0 && (c->live != t->st->super.live || c->in_log != c->in_segments))
		tell(t, "mail takes %llu bytes, of them %llu in segments; %llu and %llu are counted",
			(unsigned long long)c->live, (unsigned long long)c->in_log,
			(unsigned long long)t->st->super.live, (unsigned long long)c->in_segments);
}

/* ---- all of it ---- */

static int one_slice(const struct teller *t, unsigned pass, uint64_t *place)
{
	int err;

	switch (pass) {
	case PASS_PAGES:
		/* Keys do not fit the cursor: the place is kept beside it. */
		err = check_page(t, &t->st->check.page);
		*place = 1;
		return err;
	case PASS_MAILBOXES:
		return check_mailbox(t, place);
	case PASS_OWNERS:
		return check_owner(t, place);
	case PASS_OBJECTS:
		return check_object(t, place);
	default:
		return check_segment(t, place);
	}
}

int store_check(struct store *st, uint64_t *cursor, void (*report)(void *context, const char *line), void *context)
{
	struct teller t = { st, report, context };
	unsigned pass = (unsigned)(*cursor >> PASS_SHIFT);
	uint64_t place = *cursor & PLACE_MASK;
	int err;

	if (*cursor == 0)
		st->check = (struct check){ .lsn = st->log.staged };
	if (pass >= PASS_END)
		return st->check.findings ? E_DAMAGED : OK;
	err = one_slice(&t, pass, &place);
	if (err == E_NOENT) {
		pass++;
		place = 0;
	} else if (err != OK) {
		return err;
	}
	*cursor = (uint64_t)pass << PASS_SHIFT | place;
	if (pass < PASS_END)
		return E_AGAIN;
	compare_sums(&t);
	return st->check.findings ? E_DAMAGED : OK;
}
