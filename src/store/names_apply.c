/* Applying changes of the catalogue: the operations of a NAMES record, live and
 * during recovery alike. Each may come twice; what it names and is gone is
 * passed over. */
#include "store/names.h"
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"

/* ---- fields ---- */

/* Reads the fields of operations; `bad` sticks when they run out. */
struct fields {
	struct bytes rest;
	bool bad;
};

static struct bytes take(struct fields *f, size_t n)
{
	struct bytes b = bytes_part(f->rest, 0, n);

	if (b.len != n)
		f->bad = true;
	f->rest = bytes_part(f->rest, n, f->rest.len);
	return b;
}

static uint8_t take_byte(struct fields *f)
{
	struct bytes b = take(f, 1);

	return f->bad ? 0 : b.data[0];
}

static uint32_t take_word(struct fields *f)
{
	struct bytes b = take(f, 4);

	return f->bad ? 0 : le32(b.data);
}

static struct bytes take_name(struct fields *f)
{
	unsigned low = take_byte(f);

	return take(f, low | (unsigned)take_byte(f) << 8);
}

static struct store_quota take_quota(struct fields *f)
{
	struct bytes b = take(f, 16);

	return f->bad ? (struct store_quota){ 0 } : (struct store_quota){ le64(b.data), le64(b.data + 8) };
}

/* ---- mailboxes ---- */

bool names_take(struct bytes *rest, struct names_fields *out)
{
	struct fields f = { *rest, false };

	*out = (struct names_fields){ .op = take_byte(&f) };
	switch (out->op) {
	case NAMES_CREATE:
		out->id = take_word(&f);
		out->owner = take_word(&f);
		out->parent = take_word(&f);
		out->uidvalidity = take_word(&f);
		out->uses = take_byte(&f);
		out->name = take_name(&f);
		break;
	case NAMES_RENAME:
		out->id = take_word(&f);
		out->parent = take_word(&f);
		out->name = take_name(&f);
		break;
	case NAMES_USES:
		out->id = take_word(&f);
		out->uses = take_byte(&f);
		break;
	case NAMES_SUBSCRIBE:
		out->owner = take_word(&f);
		out->on = take_byte(&f);
		out->name = take_name(&f);
		break;
	case NAMES_KEYWORD:
		out->id = take_word(&f);
		out->bit = take_byte(&f);
		out->name = take_name(&f);
		break;
	case NAMES_RECENT:
		out->id = take_word(&f);
		(void)take_word(&f);
		break;
	case NAMES_RESTORED:
		out->id = take_word(&f);
		(void)take(&f, 16);
		break;
	case NAMES_DELETE:
	case NAMES_DROP:
		out->id = take_word(&f);
		break;
	case NAMES_FORGET:
		out->owner = take_word(&f);
		break;
	case NAMES_QUOTA:
		out->owner = take_word(&f);
		out->quota = take_quota(&f);
		break;
	default:
		return false;
	}
	*rest = f.rest;
	return !f.bad;
}

int names_link(struct store *st, const struct mailbox *m)
{
	uint64_t hash = names_hash(st, bytes_make(m->level, m->level_len));
	uint8_t value[4], old[4];

	put_le32(value, m->id);
	for (unsigned i = 0; i < NAMES_PROBES; i++) {
		struct key k = tree_key(TREE_CHILD, names_parent_key(m->owner, m->parent), hash + i);
		int n = tree_get(&st->tree, k, old, sizeof old);

		if (n == E_NOENT || (n == 4 && le32(old) == m->id))
			return tree_put(&st->tree, k, value, sizeof value);
		if (n < 0)
			return n;
	}
	return E_LIMIT;
}

static int unlink_child(struct store *st, const struct mailbox *m)
{
	uint64_t hash = names_hash(st, bytes_make(m->level, m->level_len));

	for (unsigned i = 0; i < NAMES_PROBES; i++) {
		struct key k = tree_key(TREE_CHILD, names_parent_key(m->owner, m->parent), hash + i);
		uint8_t old[4];
		int n = tree_get(&st->tree, k, old, sizeof old);

		if (n == 4 && le32(old) == m->id)
			return tree_delete(&st->tree, k, 0);
		if (n < 0 && n != E_NOENT)
			return n;
	}
	return OK;
}

static int count_child(struct store *st, uint32_t parent, int change)
{
	struct mailbox m;
	int err;

	if (parent == 0)
		return OK;
	err = mailbox_load(st, parent, &m);
	if (err != OK)
		return err == E_NOENT ? OK : err;
	m.children = (uint32_t)((int64_t)m.children + change);
	return mailbox_save(st, &m);
}

static int set_level(struct mailbox *m, struct bytes level)
{
	if (level.len == 0 || level.len > LIMIT_MAILBOX_LEVEL)
		return E_SYNTAX;
	m->level_len = (uint8_t)level.len;
	memcpy(m->level, level.data, level.len);
	return OK;
}

static int do_create(struct store *st, const struct record *r, struct fields *f)
{
	struct mailbox m = { .id = take_word(f),
		.owner = take_word(f),
		.parent = take_word(f),
		.uidvalidity = take_word(f),
		.uses = take_byte(f),
		.uidnext = 1,
		.recent = 1,
		.modseq = r->lsn },
		       old;
	struct bytes level = take_name(f);
	int err;

	if (f->bad || m.id == UINT32_MAX || m.uidvalidity == UINT32_MAX)
		return E_SYNTAX;
	if (m.id >= st->super.next_mailbox)
		st->super.next_mailbox = m.id + 1;
	if (m.uidvalidity >= st->super.next_uidvalidity)
		st->super.next_uidvalidity = m.uidvalidity + 1;
	err = set_level(&m, level);
	if (err == OK)
		err = mailbox_load(st, m.id, &old);
	if (err != E_NOENT)
		return err;
	err = mailbox_save(st, &m);
	if (err == OK)
		err = names_link(st, &m);
	return err == OK ? count_child(st, m.parent, 1) : err;
}

static int doom(struct store *st, struct mailbox *m)
{
	int err;

	if (m->doomed)
		return OK;
	err = unlink_child(st, m);
	if (err == OK)
		err = count_child(st, m->parent, -1);
	m->doomed = true;
	if (err == OK)
		err = mailbox_save(st, m);
	if (err == OK)
		err = tree_put(&st->tree, tree_key(TREE_DOOMED, 0, m->id), "", 0);
	if (err == OK && !st->replaying && st->observer.deleted)
		st->observer.deleted(st->observer.context, m->id);
	return err;
}

static int do_rename(struct store *st, const struct record *r, struct mailbox *m, struct fields *f)
{
	uint32_t parent = take_word(f);
	struct bytes level = take_name(f);
	int err;

	(void)r;
	if (f->bad)
		return E_SYNTAX;
	err = unlink_child(st, m);
	if (err == OK)
		err = count_child(st, m->parent, -1);
	m->parent = parent;
	if (err == OK)
		err = set_level(m, level);
	if (err == OK)
		err = mailbox_save(st, m);
	if (err == OK)
		err = names_link(st, m);
	return err == OK ? count_child(st, parent, 1) : err;
}

/* ---- keywords, subscriptions, the end ---- */

static int do_keyword(struct store *st, struct mailbox *m, struct fields *f)
{
	unsigned bit = take_byte(f);
	struct bytes name = take_name(f);
	int err;

	if (f->bad || bit >= LIMIT_KEYWORDS || name.len > LIMIT_KEYWORD_NAME)
		return E_SYNTAX;
	err = tree_put(&st->tree, tree_key(TREE_KEYWORD, m->id, bit), name.data, name.len);
	if (bit >= m->keywords)
		m->keywords = (uint8_t)(bit + 1);
	return err == OK ? mailbox_save(st, m) : err;
}

/* Names with equal hashes take the next places, as mailboxes do. */
static int do_subscribe(struct store *st, struct fields *f)
{
	uint32_t owner = take_word(f);
	bool on = take_byte(f);
	struct bytes name = take_name(f);
	struct key k, free_place;
	int n;

	if (f->bad || name.len > LIMIT_MAILBOX_NAME)
		return E_SYNTAX;
	n = names_subscription(st, owner, name, &k, &free_place);
	if (n == OK)
		return on ? OK : tree_delete(&st->tree, k, 0);
	if (n != E_NOENT)
		return n;
	/* No place left: passed over, as if it had been refused. */
	return on && free_place.hi ? tree_put(&st->tree, free_place, name.data, name.len) : OK;
}

static int do_drop(struct store *st, struct mailbox *m)
{
	int err = tree_delete(&st->tree, tree_key(TREE_MAILBOX, 0, m->id), 0);

	for (unsigned bit = 0; bit < m->keywords && err == OK; bit++) {
		err = tree_delete(&st->tree, tree_key(TREE_KEYWORD, m->id, bit), 0);
		if (err == E_NOENT)
			err = OK;
	}
	if (err == OK)
		err = tree_delete(&st->tree, tree_key(TREE_DOOMED, 0, m->id), 0);
	return err == E_NOENT ? OK : err;
}

/* All mailboxes of a user, the deepest first; then the subscriptions. */
static int do_forget(struct store *st, uint32_t owner)
{
	char name[LIMIT_MAILBOX_NAME];
	struct key k, found;
	int n, err = OK;

	while (err == OK) {
		uint32_t parent = 0, id = 0;
		struct mailbox m;

		for (unsigned depth = 0; depth <= LIMIT_MAILBOX_DEPTH && err == OK; depth++) {
			uint64_t cursor = 0;

			err = store_mailbox_child(st, owner, parent, &cursor, &id);
			if (err == OK)
				parent = id;
		}
		if (err == E_NOENT && parent == 0)
			break;
		if (err == OK || err == E_NOENT)
			err = mailbox_load(st, parent, &m);
		/* A deleted one that is still found below another is found for ever. */
		if (err == OK)
			err = m.doomed ? E_DAMAGED : doom(st, &m);
		/* They may be many; applied again it goes on with those that are left. */
		if (err == OK)
			err = checkpoint_make_room(st);
	}
	k = tree_key(TREE_SUBSCRIBED, owner, 0);
	while ((n = tree_seek(&st->tree, k, &found, name, sizeof name)) >= 0 && found.hi == k.hi)
		if ((err = tree_delete(&st->tree, found, 0)) != OK)
			return err;
	return err == E_NOENT ? quota_forget(st, owner) : err;
}

static int do_quota(struct store *st, struct fields *f)
{
	uint32_t owner = take_word(f);
	struct store_quota quota = take_quota(f);

	return f->bad ? E_SYNTAX : quota_apply(st, owner, &quota);
}

/* ---- all of them ---- */

static int do_restored(struct store *st, struct mailbox *m, struct fields *f)
{
	struct bytes counts = take(f, 16);

	if (f->bad)
		return E_SYNTAX;
	m->uidnext = le32(counts.data);
	m->modseq = le64(counts.data + 4);
	m->recent = le32(counts.data + 12);
	return mailbox_save(st, m);
}

/* One operation on a mailbox that must be there; gone ones are passed over. */
static int on_mailbox(struct store *st, const struct record *r, enum names_op op, struct fields *f)
{
	uint32_t id = take_word(f);
	struct mailbox m;
	int err = mailbox_load(st, id, &m);
	bool gone = err == E_NOENT;

	if (err != OK && !gone)
		return err;
	if (gone)
		m = (struct mailbox){ 0 };
	switch (op) {
	case NAMES_DELETE:
		return gone ? OK : doom(st, &m);
	case NAMES_DROP:
		return gone ? OK : do_drop(st, &m);
	case NAMES_USES:
		m.uses = take_byte(f);
		return gone ? OK : mailbox_save(st, &m);
	case NAMES_RECENT:
		m.recent = take_word(f);
		return gone ? OK : mailbox_save(st, &m);
	case NAMES_RESTORED:
		return gone ? E_SYNTAX : do_restored(st, &m, f);
	case NAMES_RENAME:
		return gone ? E_SYNTAX : do_rename(st, r, &m, f);
	default:
		return gone ? E_SYNTAX : do_keyword(st, &m, f);
	}
}

int apply_names(struct store *st, const struct record *r, const uint8_t *body)
{
	struct fields f = { bytes_make(body, r->body_len), false };
	int err = OK;

	while (f.rest.len && err == OK) {
		enum names_op op = take_byte(&f);

		if (op != NAMES_RECENT && op != NAMES_DROP)
			st->super.names_changed = r->lsn;
		switch (op) {
		case NAMES_CREATE:
			err = do_create(st, r, &f);
			break;
		case NAMES_SUBSCRIBE:
			err = do_subscribe(st, &f);
			break;
		case NAMES_QUOTA:
			err = do_quota(st, &f);
			break;
		case NAMES_FORGET:
			err = do_forget(st, take_word(&f));
			break;
		case NAMES_DELETE:
		case NAMES_RENAME:
		case NAMES_USES:
		case NAMES_KEYWORD:
		case NAMES_RECENT:
		case NAMES_DROP:
		case NAMES_RESTORED:
			err = on_mailbox(st, r, op, &f);
			break;
		default:
			err = E_SYNTAX;
		}
		if (f.bad)
			err = E_SYNTAX;
	}
	return err;
}
