/* Verifying everything, a slice a call: the tree's pages and sums, then each
 * mailbox's entries against its counts, then every stored byte. The cursor says
 * the pass and how far it got; what a pass counts up is kept in the store. */
#include "store/store_int.h"

#include <stdarg.h>
#include <stdio.h>

enum pass { PASS_PAGES, PASS_MAILBOXES, PASS_OBJECTS, PASS_END };
#define PASS_SHIFT 60
#define PLACE_MASK (((uint64_t)1 << PASS_SHIFT) - 1)

struct teller {
	struct store *st;
	void (*report)(void *context, const char *line);
	void *context;
};

static void tell(const struct teller *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(const struct teller *t, const char *format, ...)
{
	char line[160];
	va_list args;

	t->st->check.findings++;
	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	t->report(t->context, line);
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
	if (m->tally.messages != is->messages || m->tally.unseen != is->unseen || m->tally.size != is->size ||
		m->tally.deleted != is->deleted || m->tally.deleted_size != is->deleted_size)
		tell(t, "mailbox %lu: its counts are not those of its %lu messages", (unsigned long)m->id,
			(unsigned long)is->messages);
}

/* Entries of the mailbox under way: E_NOENT when it is done. */
static int check_entries(const struct teller *t)
{
	struct store *st = t->st;
	struct check *c = &st->check;

	for (unsigned i = 0; i < LIMIT_SLICE_ENTRIES; i++) {
		struct store_entry e;
		struct object o;
		int err = store_cursor_next(st, &c->cursor, &e);

		if (err != OK)
			return err;
		tally_add(&c->tally, &e);
		c->references++;
		if (object_load(st, e.object, &o) != OK)
			tell(t, "mailbox %lu uid %lu: its message is missing", (unsigned long)c->cursor.mailbox,
				(unsigned long)e.uid);
		else if (o.size != e.size)
			tell(t, "mailbox %lu uid %lu: its size is wrong", (unsigned long)c->cursor.mailbox,
				(unsigned long)e.uid);
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
	err = m.doomed ? E_NOENT : check_entries(t);
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
	struct store_entry e;

	if (entry_load(t->st, o->home_mailbox, o->home_uid, &e) == OK && e.object == id)
		tell(t, "mailbox %lu uid %lu: the message is damaged", (unsigned long)o->home_mailbox,
			(unsigned long)o->home_uid);
	else
		tell(t, "message %llu of %lu bytes is damaged", (unsigned long long)id, (unsigned long)o->size);
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
	st->check.counted += o.refs;
	++*id;
	st->check.offset = 0;
	return OK;
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
	default:
		return check_object(t, place);
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
	/* Only a store that stood still has one true number of references. */
	if (st->check.lsn == st->log.staged && st->check.references != st->check.counted)
		tell(&t, "messages are referred to %llu times, but say %llu", (unsigned long long)st->check.references,
			(unsigned long long)st->check.counted);
	return st->check.findings ? E_DAMAGED : OK;
}
