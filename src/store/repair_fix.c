/* Making an index true whose pages can all be read: what follows from other rows
 * is counted anew and written where it differs. Sums over the large tables are
 * made for as many rows at once as the log's buffer (unused meanwhile) holds, so
 * that memory does not depend on how much mail there is. */
#include "store/repair.h"

#include <stdio.h>
#include <string.h>

#include "base/le.h"

/* ---- walking a table ---- */

struct rows {
	struct store *st;
	struct key k;
	struct tree_place place;
	bool placed;
};

static struct rows rows_of(struct store *st, enum tree_table table)
{
	return (struct rows){ .st = st, .k = tree_key(table, 0, 0) };
}

/* The next row; its value is valid until the tree is touched. E_NOENT at the end. */
static int rows_next(struct rows *w, struct key *found, struct bytes *value)
{
	int err = w->placed ? tree_next(&w->st->tree, &w->place, found, value) : E_AGAIN;

	if (err == E_AGAIN)
		err = tree_seek_place(&w->st->tree, w->k, found, value, &w->place);
	if (err == OK && found->hi >> 56 != w->k.hi >> 56)
		err = E_NOENT;
	w->placed = err == OK;
	if (err != OK)
		return err;
	w->k = *found;
	if (++w->k.lo == 0)
		w->k.hi++;
	return OK;
}

/* ---- mailboxes and their entries ---- */

/* Mailboxes that only their messages tell of. */
static int find_strays(struct repair *r)
{
	struct store *st = r->st;
	struct key k = tree_key(TREE_ENTRY, 0, 0), found;
	uint8_t bytes[PAGE_VALUE_MAX];
	struct mailbox m;
	int n;

	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi >> 56 == TREE_ENTRY) {
		uint32_t id = (uint32_t)found.hi;
		int err = mailbox_load(st, id, &m);

		if (err == E_NOENT)
			err = repair_placeholder(r, id);
		if (err != OK)
			return err;
		k = tree_key(TREE_ENTRY, (uint64_t)id + 1, 0);
	}
	return n < 0 && n != E_NOENT ? n : OK;
}

/* Whether the file is there that holds a message's bytes. The last answer is
 * kept: neighbours mostly lie in the same segment. */
static bool body_there(struct store *st, uint64_t id, const struct object *o, uint32_t *last)
{
	char path[PORT_PATH_MAX];

	if (o->blob) {
		files_blob_name(st, id, path);
		return port_exists(path);
	}
	if (o->segment == *last)
		return true;
	files_segment_name(st, o->segment, path);
	if (!port_exists(path))
		return false;
	*last = o->segment;
	return true;
}

/* One entry: OK when it stays. */
static int look_at_entry(struct repair *r, struct mailbox *m, struct bytes value, uint32_t uid, struct store_entry *e,
	uint32_t *segment)
{
	struct store *st = r->st;
	uint8_t bytes[ENTRY_BYTES];
	struct object o;
	int err;

	if (uid == 0 || uid == UINT32_MAX || !entry_get(value, uid, e))
		return E_NOENT;
	err = object_load(st, e->object, &o);
	if (err == OK && !body_there(st, e->object, &o, segment))
		err = E_NOENT;
	if (err != OK || e->size == o.size)
		return err;
	e->size = o.size;
	repair_tell(r, "its size was wrong", m->id, uid);
	entry_put(bytes, e);
	return tree_put(&st->tree, tree_key(TREE_ENTRY, m->id, uid), bytes, sizeof bytes);
}

static int count_entries(struct repair *r, struct mailbox *m)
{
	struct store *st = r->st;
	struct key k = tree_key(TREE_ENTRY, m->id, 0), found;
	uint8_t bytes[PAGE_VALUE_MAX];
	uint32_t segment = 0;
	int n;

	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi == k.hi) {
		struct store_entry e;
		int err = look_at_entry(r, m, bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &e, &segment);

		if (err == E_NOENT) {
			r->out->lost++;
			repair_tell(r, "the message is lost", m->id, (uint32_t)found.lo);
			err = tree_delete(&st->tree, found, 0);
		} else if (err == OK) {
			if (e.modseq > m->modseq)
				m->modseq = e.modseq;
			if (e.uid >= m->uidnext && e.uid >= m->staged_end)
				m->uidnext = e.uid + 1;
			tally_add(e.uid >= m->uidnext ? &m->staged : &m->tally, &e);
		}
		if (err == OK)
			err = checkpoint_make_room(st);
		if (err != OK)
			return err;
		k.lo = found.lo + 1;
	}
	return n < 0 && n != E_NOENT ? n : OK;
}

static bool same_tally(const struct tally *a, const struct tally *b)
{
	return a->messages == b->messages && a->unseen == b->unseen && a->deleted == b->deleted && a->size == b->size &&
		a->deleted_size == b->deleted_size;
}

static int fix_mailbox(struct repair *r, uint32_t id)
{
	struct store *st = r->st;
	struct mailbox m, was;
	unsigned bit = LIMIT_KEYWORDS;
	uint8_t name[PAGE_VALUE_MAX];
	int err = mailbox_load(st, id, &m);

	if (err != OK)
		return err;
	was = m;
	m.tally = m.staged = (struct tally){ 0 };
	err = count_entries(r, &m);
	if (err != OK)
		return err;
	while (bit > m.keywords && tree_get(&st->tree, tree_key(TREE_KEYWORD, id, bit - 1), name, sizeof name) < 0)
		bit--;
	if (bit > m.keywords)
		m.keywords = (uint8_t)bit;
	if (m.doomed)
		err = tree_put(&st->tree, tree_key(TREE_DOOMED, 0, id), "", 0);
	if (err != OK ||
		(same_tally(&m.tally, &was.tally) && same_tally(&m.staged, &was.staged) && m.uidnext == was.uidnext &&
			m.modseq == was.modseq && m.keywords == was.keywords))
		return err;
	if (!m.doomed)
		repair_tell(r, "its counts were wrong", id, 0);
	return mailbox_save(st, &m);
}

/* Calls fix for the id of every mailbox. */
static int each_mailbox(struct repair *r, int (*fix)(struct repair *r, uint32_t id))
{
	struct store *st = r->st;
	struct key k = tree_key(TREE_MAILBOX, 0, 0), found;
	uint8_t bytes[PAGE_VALUE_MAX];
	int n;

	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi == k.hi) {
		struct mailbox m;
		int err;

		if (!mailbox_get(bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &m) || found.lo > UINT32_MAX)
			err = tree_delete(&st->tree, found, 0);
		else
			err = fix(r, (uint32_t)found.lo);
		if (err == OK)
			err = checkpoint_make_room(st);
		if (err != OK)
			return err;
		if (found.lo >= st->super.next_mailbox)
			st->super.next_mailbox = (uint32_t)found.lo + 1;
		k.lo = found.lo + 1;
	}
	return n < 0 && n != E_NOENT ? n : OK;
}

/* ---- the tree of names ---- */

/* A parent that is there, of the same user, and not below its own child. */
static int fix_parent(struct repair *r, uint32_t id)
{
	struct mailbox m, up;
	uint32_t above;
	int err = mailbox_load(r->st, id, &m);

	if (err != OK || m.doomed)
		return err;
	above = m.parent;
	for (unsigned depth = 1; above && depth < LIMIT_MAILBOX_DEPTH; depth++) {
		err = mailbox_load(r->st, above, &up);
		if (err != OK && err != E_NOENT)
			return err;
		if (err == E_NOENT || up.doomed || up.owner != m.owner)
			break;
		above = up.parent;
	}
	if (above == 0)
		return OK;
	m.parent = 0;
	repair_tell(r, "it had no place in the tree of mailboxes", id, 0);
	return mailbox_save(r->st, &m);
}

static int is_linked(struct repair *r, uint32_t id)
{
	struct store *st = r->st;
	struct mailbox m;
	uint64_t cursor = 0;
	uint32_t children = 0, child;
	int err = mailbox_load(st, id, &m);

	if (err != OK || m.doomed)
		return err;
	err = names_child(st, m.owner, m.parent, bytes_make(m.level, m.level_len), &child);
	if (err == E_NOENT || (err == OK && child != id))
		return E_DAMAGED;
	while (err == OK && (err = store_mailbox_child(st, m.owner, id, &cursor, &child)) == OK) {
		struct mailbox below;

		if (mailbox_load(st, child, &below) != OK || below.doomed || below.parent != id)
			return E_DAMAGED;
		children++;
	}
	if (err != E_NOENT)
		return err;
	return children == m.children ? OK : E_DAMAGED;
}

static int unlink_all(struct store *st)
{
	struct key k = tree_key(TREE_CHILD, 0, 0), found;
	uint8_t bytes[PAGE_VALUE_MAX];
	int n;

	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi >> 56 == TREE_CHILD) {
		int err = tree_delete(&st->tree, found, 0);

		if (err == OK)
			err = checkpoint_make_room(st);
		if (err != OK)
			return err;
		k = found;
	}
	return n < 0 && n != E_NOENT ? n : OK;
}

static int no_children(struct repair *r, uint32_t id)
{
	struct mailbox m;
	int err = mailbox_load(r->st, id, &m);

	if (err != OK || m.children == 0)
		return err;
	m.children = 0;
	return mailbox_save(r->st, &m);
}

/* Two of one name, when one of them was rescued: the later one gets its number. */
static void rename_twin(struct mailbox *m)
{
	char tail[16];
	int n = snprintf(tail, sizeof tail, "-%lu", (unsigned long)m->id);
	size_t at = m->level_len;

	if (at + (size_t)n > LIMIT_MAILBOX_LEVEL)
		at = LIMIT_MAILBOX_LEVEL - (size_t)n;
	while (at > 0 && ((uint8_t)m->level[at] & 0xC0) == 0x80 && at < m->level_len)
		at--;
	memcpy(m->level + at, tail, (size_t)n);
	m->level_len = (uint8_t)(at + (size_t)n);
}

static int link_one(struct repair *r, uint32_t id)
{
	struct store *st = r->st;
	struct mailbox m, up;
	uint32_t twin;
	int err = mailbox_load(st, id, &m);

	if (err != OK || m.doomed)
		return err;
	err = names_child(st, m.owner, m.parent, bytes_make(m.level, m.level_len), &twin);
	if (err == OK && twin != id) {
		rename_twin(&m);
		repair_tell(r, "another has its name: it was renamed", id, 0);
		err = mailbox_save(st, &m);
	} else if (err == E_NOENT) {
		err = OK;
	}
	if (err == OK)
		err = names_link(st, &m);
	if (err != OK || m.parent == 0)
		return err;
	err = mailbox_load(st, m.parent, &up);
	if (err != OK)
		return err;
	up.children++;
	return mailbox_save(st, &up);
}

static int fix_names(struct repair *r)
{
	int err = each_mailbox(r, fix_parent);
	struct rows w = rows_of(r->st, TREE_CHILD);
	uint32_t links = 0, mailboxes = 0;
	struct key k;
	struct bytes value;
	struct mailbox m;

	if (err == OK)
		err = each_mailbox(r, is_linked);
	if (err != OK && err != E_DAMAGED)
		return err;
	while (err == OK && (err = rows_next(&w, &k, &value)) == OK)
		links++;
	w = rows_of(r->st, TREE_MAILBOX);
	if (err == E_NOENT)
		err = OK;
	while (err == OK && (err = rows_next(&w, &k, &value)) == OK)
		mailboxes += mailbox_get(value, (uint32_t)k.lo, &m) && !m.doomed;
	if (err == E_NOENT && links == mailboxes)
		return OK;
	if (err != E_NOENT && err != E_DAMAGED)
		return err;
	repair_tell(r, "the tree of mailboxes was made anew", 0, 0);
	err = unlink_all(r->st);
	if (err == OK)
		err = each_mailbox(r, no_children);
	return err == OK ? each_mailbox(r, link_one) : err;
}

/* ---- users ---- */

struct usage {
	uint64_t bytes, messages;
	uint32_t owner;
};

/* Usage of the users whose numbers lie from `from` on, as many as fit; *next is
 * the first one that does not, 0: none. */
static int sum_usage(struct repair *r, uint32_t from, uint32_t *n, uint64_t *next)
{
	struct usage *u = (struct usage *)(void *)r->st->log.buffer;
	uint32_t most = r->st->log.cap / (uint32_t)sizeof *u;
	struct rows w = rows_of(r->st, TREE_MAILBOX);
	struct bytes value;
	struct mailbox m;
	struct key k;
	int err;

	*n = 0;
	*next = 0;
	while ((err = rows_next(&w, &k, &value)) == OK) {
		uint32_t i = *n;

		if (!mailbox_get(value, (uint32_t)k.lo, &m))
			return E_DAMAGED;
		if (m.owner < from || (*next && m.owner >= *next))
			continue;
		while (i > 0 && u[i - 1].owner > m.owner)
			i--;
		if (i == 0 || u[i - 1].owner != m.owner) {
			if (*n == most)
				*next = u[--*n].owner;
			if (i > *n) {
				*next = m.owner;
				continue;
			}
			memmove(u + i + 1, u + i, (*n - i) * sizeof *u);
			u[i++] = (struct usage){ 0, 0, m.owner };
			++*n;
		}
		u[i - 1].bytes += m.tally.size + m.staged.size;
		u[i - 1].messages += m.tally.messages + (uint64_t)m.staged.messages;
	}
	return err == E_NOENT ? OK : err;
}

static int fix_usage(struct repair *r)
{
	struct store *st = r->st;
	const struct usage *u = (const struct usage *)(void *)st->log.buffer;
	uint64_t next = 0;
	uint32_t from = 0, n;

	do {
		int err = sum_usage(r, from, &n, &next);

		for (uint32_t i = 0; i < n && err == OK; i++) {
			struct key k = tree_key(TREE_OWNER, 0, u[i].owner);
			uint8_t row[OWNER_BYTES];
			uint64_t used, messages;

			store_owner_usage(st, u[i].owner, &used, &messages);
			if (used == u[i].bytes && messages == u[i].messages)
				continue;
			repair_tell(r, "a user's usage was wrong", 0, 0);
			put_le64(row, u[i].bytes);
			put_le64(row + 8, u[i].messages);
			err = tree_put(&st->tree, k, row, sizeof row);
			if (err == OK)
				err = checkpoint_make_room(st);
		}
		if (err != OK)
			return err;
		from = (uint32_t)next;
	} while (next);
	return OK;
}

/* ---- messages ---- */

/* Shows a message that no mailbox shows. */
static int recover_object(struct repair *r, uint64_t id, struct object *o)
{
	struct store *st = r->st;
	struct store_entry e = { .object = id, .size = o->size, .modseq = 1, .arrival = 1 };
	uint8_t bytes[ENTRY_BYTES];
	struct mailbox m;
	uint32_t box, segment = 0;
	int err;

	/* Where it was shown it was told that it is lost. */
	if (!body_there(st, id, o, &segment))
		return tree_delete(&st->tree, tree_key(TREE_OBJECT, 0, id), 0);
	err = repair_recovered(r, &box);
	if (err == OK)
		err = mailbox_load(st, box, &m);
	if (err != OK)
		return err;
	e.uid = m.uidnext++;
	e.received = e.saved = port_wall_time();
	entry_put(bytes, &e);
	err = tree_put(&st->tree, tree_key(TREE_ENTRY, box, e.uid), bytes, sizeof bytes);
	tally_add(&m.tally, &e);
	if (err == OK)
		err = mailbox_save(st, &m);
	o->home_mailbox = box;
	o->home_uid = e.uid;
	st->super.messages++;
	r->out->recovered++;
	repair_tell(r, "a message that no mailbox showed is here now", box, e.uid);
	return err;
}

struct counted {
	uint64_t id;
	uint32_t refs, home_mailbox, home_uid;
};

static struct counted *find_counted(struct counted *c, uint32_t n, uint64_t id)
{
	uint32_t from = 0;

	while (n > 0) {
		uint32_t half = n / 2;

		if (c[from + half].id == id)
			return &c[from + half];
		if (c[from + half].id < id) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return NULL;
}

/* Counts the entries of the messages in the table. */
static int count_references(struct store *st, struct counted *c, uint32_t n, uint64_t *entries)
{
	struct rows w = rows_of(st, TREE_ENTRY);
	struct bytes value;
	struct store_entry e;
	struct key k;
	int err;

	*entries = 0;
	while ((err = rows_next(&w, &k, &value)) == OK) {
		struct counted *found;

		++*entries;
		if (!entry_get(value, (uint32_t)k.lo, &e))
			return E_DAMAGED;
		found = find_counted(c, n, e.object);
		if (found && found->refs++ == 0) {
			found->home_mailbox = (uint32_t)k.hi;
			found->home_uid = (uint32_t)k.lo;
		}
	}
	return err == E_NOENT ? OK : err;
}

static int fix_object(struct repair *r, const struct counted *c)
{
	struct store *st = r->st;
	struct object o;
	int err = object_load(st, c->id, &o);

	if (err != OK || (c->refs ? o.refs == c->refs : !r->final))
		return err;
	if (c->refs == 0) {
		err = recover_object(r, c->id, &o);
		if (err != OK || object_load(st, c->id, &(struct object){ 0 }) == E_NOENT)
			return err;
		o.refs = 1;
	} else {
		repair_tell(r, "the number of a message's references was wrong", c->home_mailbox, c->home_uid);
		o.refs = c->refs;
		o.home_mailbox = c->home_mailbox;
		o.home_uid = c->home_uid;
	}
	return object_save(st, c->id, &o);
}

static int fix_references(struct repair *r)
{
	struct store *st = r->st;
	struct counted *c = (struct counted *)(void *)st->log.buffer;
	uint32_t most = st->log.cap / (uint32_t)sizeof *c, n;
	struct key next = tree_key(TREE_OBJECT, 0, 0);
	int err = OK;

	do {
		struct rows w = { .st = st, .k = next };
		struct bytes value;
		struct key k;

		n = 0;
		while (n < most && (err = rows_next(&w, &k, &value)) == OK)
			c[n++] = (struct counted){ .id = k.lo };
		next = w.k;
		if (n < most && err != E_NOENT)
			return err;
		err = count_references(st, c, n, &st->super.messages);
		for (uint32_t i = 0; i < n && err == OK; i++) {
			err = fix_object(r, &c[i]);
			if (err == OK)
				err = checkpoint_make_room(st);
		}
	} while (err == OK && n == most);
	return err;
}

/* The row of one entry in the table of references, and the home of a message
 * that only one shows. *rows counts those that there must be. */
static int fix_reference_row(struct repair *r, uint32_t mailbox, uint32_t uid, uint64_t id, uint64_t *rows)
{
	struct store *st = r->st;
	struct key k = tree_key(TREE_REFERENCE, id, (uint64_t)mailbox << 32 | uid);
	struct object o;
	int err = object_load(st, id, &o);

	if (err != OK)
		return err;
	if (o.refs > 1) {
		++*rows;
		if (tree_get(&st->tree, k, NULL, 0) >= 0)
			return OK;
		repair_tell(r, "its message did not know of it", mailbox, uid);
		return tree_put(&st->tree, k, "", 0);
	}
	if (o.home_mailbox == mailbox && o.home_uid == uid)
		return OK;
	o.home_mailbox = mailbox;
	o.home_uid = uid;
	return object_save(st, id, &o);
}

/* Rows of messages that one entry shows, or of entries that show another. */
static int drop_stale_rows(struct repair *r)
{
	struct store *st = r->st;
	struct key k = tree_key(TREE_REFERENCE, 0, 0), found;
	uint8_t bytes[PAGE_VALUE_MAX];
	int n, err = OK;

	while (err == OK && (n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 &&
		found.hi >> 56 == TREE_REFERENCE) {
		uint64_t id = found.hi & ((UINT64_C(1) << 56) - 1);
		struct store_entry e;
		struct object o;

		k = found;
		if (++k.lo == 0)
			k.hi++;
		if (entry_load(st, (uint32_t)(found.lo >> 32), (uint32_t)found.lo, &e) == OK && e.object == id &&
			object_load(st, id, &o) == OK && o.refs > 1)
			continue;
		err = tree_delete(&st->tree, found, 0);
		if (err == OK)
			err = checkpoint_make_room(st);
	}
	return err;
}

static int fix_reference_rows(struct repair *r)
{
	struct store *st = r->st;
	struct key k = tree_key(TREE_ENTRY, 0, 0), found;
	struct rows w = rows_of(st, TREE_REFERENCE);
	uint8_t bytes[ENTRY_BYTES];
	uint64_t want = 0, have = 0;
	struct bytes value;
	int n, err;

	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi >> 56 == TREE_ENTRY) {
		struct store_entry e;

		if (!entry_get(bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &e))
			return E_DAMAGED;
		err = fix_reference_row(r, (uint32_t)found.hi, (uint32_t)found.lo, e.object, &want);
		if (err == OK)
			err = checkpoint_make_room(st);
		if (err != OK)
			return err;
		k = found;
		k.lo++;
	}
	if (n < 0 && n != E_NOENT && n != E_LIMIT)
		return n;
	while ((err = rows_next(&w, &k, &value)) == OK)
		have++;
	if (err != E_NOENT || have == want)
		return err == E_NOENT ? OK : err;
	repair_tell(r, "messages knew of copies that there are not", 0, 0);
	return drop_stale_rows(r);
}

/* ---- segments ---- */

struct living {
	uint64_t live;
	uint32_t id;
};

static int sum_live(struct store *st, struct living *s, uint32_t n)
{
	struct rows w = rows_of(st, TREE_OBJECT);
	struct bytes value;
	struct object o;
	struct key k;
	uint32_t i = 0;
	int err;

	st->super.live = st->super.objects = 0;
	while ((err = rows_next(&w, &k, &value)) == OK) {
		if (!object_get(value, &o))
			return E_DAMAGED;
		st->super.objects++;
		st->super.live += object_live(&o);
		if (k.lo >= st->super.next_object)
			st->super.next_object = k.lo + 1;
		if (i >= n || s[i].id != o.segment)
			for (i = 0; i < n && s[i].id != o.segment; i++)
				;
		if (i < n)
			s[i].live += object_record_size(&o);
	}
	return err == E_NOENT ? OK : err;
}

/* A segment that only its messages tell of: it is never cleaned. */
static int find_segments(struct repair *r)
{
	struct store *st = r->st;
	struct rows w = rows_of(st, TREE_OBJECT);
	struct bytes value;
	struct object o;
	struct segment row;
	struct key k;
	uint32_t last = 0;
	int err;

	while ((err = rows_next(&w, &k, &value)) == OK) {
		if (!object_get(value, &o))
			return E_DAMAGED;
		if (o.segment == last)
			continue;
		last = o.segment;
		err = segment_row_get(st, last, &row);
		if (err == E_NOENT) {
			row = (struct segment){ 0 };
			err = segment_row_put(st, last, &row);
		}
		if (err != OK)
			return err;
	}
	return err == E_NOENT ? OK : err;
}

static int fix_segment(struct repair *r, const struct living *s)
{
	struct store *st = r->st;
	char path[PORT_PATH_MAX];
	struct segment row;
	int err = segment_row_get(st, s->id, &row);

	files_segment_name(st, s->id, path);
	if (err == OK && s->live == 0 && !port_exists(path)) {
		repair_tell(r, "a segment is gone", 0, 0);
		return tree_delete(&st->tree, tree_key(TREE_SEGMENT, 0, s->id), 0);
	}
	if (err != OK || row.live == s->live)
		return err;
	repair_tell(r, "the live bytes of a segment were wrong", 0, 0);
	row.live = s->live;
	row.dead_since = row.live ? 0 : st->super.next_lsn;
	return segment_row_put(st, s->id, &row);
}

static int fix_segments(struct repair *r)
{
	struct store *st = r->st;
	struct living *s = (struct living *)(void *)st->log.buffer;
	uint32_t most = st->log.cap / (uint32_t)sizeof *s, n;
	struct key next = tree_key(TREE_SEGMENT, 0, 0);
	int err = find_segments(r);

	if (err != OK)
		return err;
	do {
		struct rows w = { .st = st, .k = next };
		struct bytes value;
		struct key k;

		n = 0;
		while (n < most && (err = rows_next(&w, &k, &value)) == OK)
			s[n++] = (struct living){ 0, (uint32_t)k.lo };
		next = w.k;
		if (n < most && err != E_NOENT)
			return err;
		err = sum_live(st, s, n);
		for (uint32_t i = 0; i < n && err == OK; i++) {
			err = fix_segment(r, &s[i]);
			if (err == OK)
				err = checkpoint_make_room(st);
		}
	} while (err == OK && n == most);
	return err;
}

int repair_fix(struct repair *r)
{
	int err = find_strays(r);

	if (err == OK)
		err = each_mailbox(r, fix_mailbox);
	if (err == OK)
		err = fix_references(r);
	if (err == OK)
		err = fix_reference_rows(r);
	if (err == OK)
		err = fix_names(r);
	if (err == OK)
		err = fix_usage(r);
	return err == OK ? fix_segments(r) : err;
}
