/* Changing the catalogue. A NAMES record is a list of operations that take
 * effect together: one byte says which, then its fields (FORMAT.md section 3).
 * Only one such record is staged in a turn, so that each is checked against
 * what the one before it made. */
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"
#include "base/text.h"

enum names_op {
	NAMES_CREATE = 1, /* id, owner, parent, uidvalidity, uses, level */
	NAMES_DELETE,     /* id */
	NAMES_RENAME,     /* id, parent, level */
	NAMES_USES,       /* id, uses */
	NAMES_SUBSCRIBE,  /* owner, on, name */
	NAMES_KEYWORD,    /* mailbox, bit, name */
	NAMES_RECENT,     /* mailbox, uid */
	NAMES_DROP,       /* id: a doomed mailbox has no messages left */
	NAMES_FORGET      /* owner: all mailboxes and subscriptions */
};

#define PROBES 4
/* Room for the operations of one record: a rename of INBOX with 60 children. */
#define NAMES_MAX 16384

/* ---- building ---- */

/* One record being built; the first error sticks. */
struct names {
	struct store *st;
	struct buf out;
	int err;
	uint32_t old_inbox, new_inbox; /* what this record puts below the old one goes below the new one */
};

static void put_byte(struct names *n, unsigned byte)
{
	(void)buf_putc(&n->out, (uint8_t)byte);
}

static void put_word(struct names *n, uint32_t word)
{
	uint8_t bytes[4];

	put_le32(bytes, word);
	(void)buf_put(&n->out, bytes, sizeof bytes);
}

static void put_name(struct names *n, struct bytes name)
{
	put_byte(n, (unsigned)name.len & 0xFF);
	put_byte(n, (unsigned)name.len >> 8);
	(void)buf_putb(&n->out, name);
}

static int names_begin(struct store *st, struct names *n)
{
	uint8_t *body;

	if (st->read_only)
		return E_READONLY;
	if (st->names_staged) {
		st->log.wanted = true;
		return E_AGAIN;
	}
	body = log_body(st, NAMES_MAX);
	if (!body)
		return E_AGAIN;
	*n = (struct names){ .st = st, .err = OK };
	buf_init(&n->out, body, NAMES_MAX);
	return OK;
}

static int names_end(struct names *n, store_ticket *ticket)
{
	*ticket = 0;
	if (n->err == OK && n->out.overflow)
		n->err = E_LIMIT;
	if (n->err != OK)
		return n->err;
	(void)log_add(n->st, RECORD_NAMES, n->out.len);
	n->st->names_staged = true;
	*ticket = log_wait(n->st);
	return OK;
}

void names_recent(uint8_t *body, uint32_t mailbox, uint32_t uid)
{
	body[0] = NAMES_RECENT;
	put_le32(body + 1, mailbox);
	put_le32(body + 5, uid);
}

size_t names_drop(uint8_t *body, uint32_t mailbox)
{
	body[0] = NAMES_DROP;
	put_le32(body + 1, mailbox);
	return 5;
}

/* ---- creating and renaming ---- */

static int check_level(struct bytes level)
{
	if (level.len == 0 || !text_utf8_valid(level))
		return E_SYNTAX;
	if (level.len > LIMIT_MAILBOX_LEVEL)
		return E_LIMIT;
	for (size_t i = 0; i < level.len; i++)
		if (text_is(level.data[i], TEXT_CTL))
			return E_SYNTAX;
	return OK;
}

/* The checks that need no look at what is there. */
static int check_name(struct bytes name)
{
	unsigned depth = 0;

	if (name.len > LIMIT_MAILBOX_NAME)
		return E_LIMIT;
	for (;;) {
		size_t n = bytes_index(name, '/');
		int err = check_level(bytes_part(name, 0, n));

		if (err != OK)
			return err;
		if (++depth > LIMIT_MAILBOX_DEPTH)
			return E_LIMIT;
		if (n >= name.len)
			return OK;
		name = bytes_part(name, n + 1, name.len);
		if (name.len == 0)
			return E_SYNTAX;
	}
}

static void put_create(struct names *n, uint32_t id, uint32_t owner, uint32_t parent, uint8_t uses, struct bytes level)
{
	put_byte(n, NAMES_CREATE);
	put_word(n, id);
	put_word(n, owner);
	put_word(n, parent);
	put_word(n, n->st->super.next_uidvalidity++);
	put_byte(n, uses);
	put_name(n, level);
}

/* Walks the name down to its last level, making missing parents; *level is the
 * last one, *parent the mailbox above it, *there the lowest one above it that
 * was there before. */
static int make_parents(struct names *n, uint32_t owner, struct bytes name, uint32_t *parent, uint32_t *there,
	struct bytes *level)
{
	bool missing = false;

	*parent = *there = 0;
	for (bool top = true;; top = false) {
		size_t len = bytes_index(name, '/');
		uint32_t id;
		int err = E_NOENT;

		*level = bytes_part(name, 0, len);
		if (top && bytes_is(*level, "INBOX"))
			*level = bytes_of("INBOX");
		if (len == name.len)
			return OK;
		if (!missing)
			err = names_child(n->st, owner, *there, *level, &id);
		if (err == E_NOENT) {
			missing = true;
			id = n->st->super.next_mailbox++;
			put_create(n, id, owner, *parent, 0, *level);
		} else if (err != OK) {
			return err;
		} else {
			*there = id;
		}
		*parent = id == n->old_inbox ? n->new_inbox : id;
		name = bytes_part(name, len + 1, name.len);
	}
}

int store_mailbox_create(struct store *st, uint32_t owner, struct bytes name, uint8_t uses, uint32_t *id,
	store_ticket *ticket)
{
	struct names n;
	struct bytes level;
	uint32_t parent, there;
	int err = check_name(name);

	*ticket = 0;
	if (err == OK && store_mailbox_find(st, owner, name, id) == OK)
		err = E_EXIST;
	if (err == OK)
		err = names_begin(st, &n);
	if (err == OK)
		err = make_parents(&n, owner, name, &parent, &there, &level);
	if (err != OK)
		return err;
	*id = st->super.next_mailbox++;
	put_create(&n, *id, owner, parent, uses, level);
	return names_end(&n, ticket);
}

int store_mailbox_delete(struct store *st, uint32_t id, store_ticket *ticket)
{
	struct names n;
	struct mailbox m;
	struct head *head;
	int err = change_begin(st, id, &m, &head);

	*ticket = 0;
	if (err == OK && m.children)
		err = E_EXIST;
	if (err == OK)
		err = names_begin(st, &n);
	if (err != OK)
		return err;
	put_byte(&n, NAMES_DELETE);
	put_word(&n, id);
	return names_end(&n, ticket);
}

static void put_rename(struct names *n, uint32_t id, uint32_t parent, struct bytes level)
{
	put_byte(n, NAMES_RENAME);
	put_word(n, id);
	put_word(n, parent);
	put_name(n, level);
}

/* E_RANGE when `inner` is `outer` or below it. */
static int is_inside(struct store *st, uint32_t inner, uint32_t outer)
{
	for (unsigned depth = 0; inner && depth <= LIMIT_MAILBOX_DEPTH; depth++) {
		struct mailbox m;
		int err;

		if (inner == outer)
			return E_RANGE;
		err = mailbox_load(st, inner, &m);
		if (err != OK)
			return err;
		inner = m.parent;
	}
	return OK;
}

/* Levels below a mailbox, at most `most` + 1. */
static int depth_below(struct store *st, uint32_t owner, uint32_t id, unsigned most)
{
	struct {
		uint32_t id;
		uint64_t cursor;
	} stack[LIMIT_MAILBOX_DEPTH + 1];
	unsigned depth = 0, deepest = 0;

	stack[0].id = id;
	stack[0].cursor = 0;
	for (;;) {
		uint32_t child;
		int err = store_mailbox_child(st, owner, stack[depth].id, &stack[depth].cursor, &child);

		if (err == E_NOENT) {
			if (depth-- == 0)
				return (int)deepest;
			continue;
		}
		if (err != OK)
			return err;
		depth++;
		if (depth > deepest)
			deepest = depth;
		if (depth > most || depth == LIMIT_MAILBOX_DEPTH)
			return (int)deepest;
		stack[depth].id = child;
		stack[depth].cursor = 0;
	}
}

/* The new INBOX takes the place and the children of the old one. It comes first
 * in the record, so that the old one may go below it. */
static void put_new_inbox(struct names *n, const struct mailbox *old)
{
	uint32_t id = n->st->super.next_mailbox++, child;
	uint64_t cursor = 0;

	n->old_inbox = old->id;
	n->new_inbox = id;
	put_create(n, id, old->owner, 0, old->uses, bytes_of("INBOX"));
	while (n->err == OK && !n->out.overflow) {
		struct mailbox m;

		n->err = store_mailbox_child(n->st, old->owner, old->id, &cursor, &child);
		if (n->err == OK)
			n->err = mailbox_load(n->st, child, &m);
		if (n->err == OK)
			put_rename(n, child, id, bytes_make(m.level, m.level_len));
	}
	if (n->err == E_NOENT)
		n->err = OK;
}

int store_mailbox_rename(struct store *st, uint32_t id, struct bytes name, store_ticket *ticket)
{
	struct names n;
	struct mailbox m;
	struct head *head;
	struct bytes level;
	uint32_t parent, there;
	unsigned depth = 1;
	bool inbox;
	int err = change_begin(st, id, &m, &head);

	*ticket = 0;
	if (err == OK)
		err = check_name(name);
	if (err == OK && store_mailbox_find(st, m.owner, name, &there) == OK)
		err = E_EXIST;
	if (err != OK)
		return err;
	inbox = m.parent == 0 && bytes_is(bytes_make(m.level, m.level_len), "INBOX");
	for (size_t i = 0; i < name.len; i++)
		depth += name.data[i] == '/';
	if (!inbox) {
		int below = depth_below(st, m.owner, id, LIMIT_MAILBOX_DEPTH - depth);

		if (below < 0)
			return below;
		if (depth + (unsigned)below > LIMIT_MAILBOX_DEPTH)
			return E_LIMIT;
	}
	err = names_begin(st, &n);
	if (err == OK && inbox)
		put_new_inbox(&n, &m);
	if (err == OK)
		err = make_parents(&n, m.owner, name, &parent, &there, &level);
	if (err == OK && !inbox)
		err = is_inside(st, there, id);
	if (err != OK)
		return err;
	put_rename(&n, id, parent, level);
	return names_end(&n, ticket);
}

int store_mailbox_set_uses(struct store *st, uint32_t id, uint8_t uses, store_ticket *ticket)
{
	struct names n;
	struct mailbox m;
	struct head *head;
	int err = change_begin(st, id, &m, &head);

	*ticket = 0;
	if (err == OK)
		err = names_begin(st, &n);
	if (err != OK)
		return err;
	put_byte(&n, NAMES_USES);
	put_word(&n, id);
	put_byte(&n, uses);
	return names_end(&n, ticket);
}

int store_subscribe(struct store *st, uint32_t owner, struct bytes name, bool on, store_ticket *ticket)
{
	struct names n;
	int err;

	*ticket = 0;
	if (name.len == 0 || name.len > LIMIT_MAILBOX_NAME)
		return E_LIMIT;
	if (store_subscribed(st, owner, name) == on)
		return OK;
	err = names_begin(st, &n);
	if (err != OK)
		return err;
	put_byte(&n, NAMES_SUBSCRIBE);
	put_word(&n, owner);
	put_byte(&n, on);
	put_name(&n, name);
	return names_end(&n, ticket);
}

int store_owner_remove(struct store *st, uint32_t owner, store_ticket *ticket)
{
	struct names n;
	int err = names_begin(st, &n);

	*ticket = 0;
	if (err != OK)
		return err;
	put_byte(&n, NAMES_FORGET);
	put_word(&n, owner);
	return names_end(&n, ticket);
}

int store_keyword(struct store *st, uint32_t mailbox, struct bytes name, bool create, unsigned *bit)
{
	char there[LIMIT_KEYWORD_NAME];
	struct mailbox m;
	struct names n;
	int err = mailbox_load(st, mailbox, &m);

	if (err != OK)
		return err;
	if (name.len == 0 || name.len > LIMIT_KEYWORD_NAME)
		return create ? E_LIMIT : E_NOENT;
	for (*bit = 0; *bit < m.keywords; ++*bit) {
		int len = store_keyword_name(st, mailbox, *bit, there);

		if (len < 0 && len != E_NOENT)
			return len;
		if (len >= 0 && bytes_equal_nocase(bytes_make(there, (size_t)len), name))
			return OK;
	}
	if (!create)
		return E_NOENT;
	if (m.keywords == LIMIT_KEYWORDS)
		return E_LIMIT;
	if (st->read_only)
		return E_READONLY;
	/* Named at once, so that flags staged behind it may use it. */
	if (!log_at_once(st)) {
		st->log.wanted = true;
		return E_AGAIN;
	}
	err = names_begin(st, &n);
	if (err != OK)
		return err;
	put_byte(&n, NAMES_KEYWORD);
	put_word(&n, mailbox);
	put_byte(&n, *bit);
	put_name(&n, name);
	(void)log_add(st, RECORD_NAMES, n.out.len);
	return log_apply_now(st);
}

/* ---- applying ---- */

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

static int link_child(struct store *st, const struct mailbox *m)
{
	uint64_t hash = names_hash(st, bytes_make(m->level, m->level_len));
	uint8_t value[4], old[4];

	put_le32(value, m->id);
	for (unsigned i = 0; i < PROBES; i++) {
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

	for (unsigned i = 0; i < PROBES; i++) {
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

	if (f->bad)
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
		err = link_child(st, &m);
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
		err = link_child(st, m);
	return err == OK ? count_child(st, parent, 1) : err;
}

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

static int do_subscribe(struct store *st, struct fields *f)
{
	uint32_t owner = take_word(f);
	bool on = take_byte(f);
	struct bytes name = take_name(f);
	struct key k = tree_key(TREE_SUBSCRIBED, owner, names_hash(st, name));
	int err;

	if (f->bad || name.len > LIMIT_MAILBOX_NAME)
		return E_SYNTAX;
	err = on ? tree_put(&st->tree, k, name.data, name.len) : tree_delete(&st->tree, k, 0);
	return err == E_NOENT ? OK : err;
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
	return err == E_NOENT ? OK : err;
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

		switch (op) {
		case NAMES_CREATE:
			err = do_create(st, r, &f);
			break;
		case NAMES_SUBSCRIBE:
			err = do_subscribe(st, &f);
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
