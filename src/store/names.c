/* Staging changes of the catalogue. A NAMES record is a list of operations that take
 * effect together: one byte says which, then its fields (FORMAT.md section 3).
 * Only one such record is staged in a turn, so that each is checked against
 * what the one before it made. */
#include "store/names.h"
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"
#include "base/text.h"

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

void names_put_word(struct buf *out, uint32_t word)
{
	uint8_t bytes[4];

	put_le32(bytes, word);
	(void)buf_put(out, bytes, sizeof bytes);
}

void names_put_name(struct buf *out, struct bytes name)
{
	(void)buf_putc(out, (uint8_t)name.len);
	(void)buf_putc(out, (uint8_t)(name.len >> 8));
	(void)buf_putb(out, name);
}

static void put_word(struct names *n, uint32_t word)
{
	names_put_word(&n->out, word);
}

static void put_name(struct names *n, struct bytes name)
{
	names_put_name(&n->out, name);
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

void names_quota(uint8_t *body, uint32_t owner, const struct store_quota *quota)
{
	body[0] = NAMES_QUOTA;
	put_le32(body + 1, owner);
	put_le64(body + 5, quota->bytes);
	put_le64(body + 13, quota->messages);
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

int names_check_level(struct bytes level)
{
	return bytes_index(level, '/') < level.len ? E_SYNTAX : check_level(level);
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

/* The next mailbox id and UIDVALIDITY; neither is ever given twice. */
static int take_numbers(struct names *n, uint32_t *id)
{
	struct super *super = &n->st->super;

	if (super->next_mailbox == UINT32_MAX || super->next_uidvalidity == UINT32_MAX)
		return E_LIMIT;
	*id = super->next_mailbox++;
	return OK;
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
			err = take_numbers(n, &id);
			if (err != OK)
				return err;
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
	if (err == OK)
		err = take_numbers(&n, id);
	if (err != OK)
		return err;
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
	uint32_t id, child;
	uint64_t cursor = 0;

	n->err = take_numbers(n, &id);
	if (n->err != OK)
		return;
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
	struct key at, free_place;
	struct names n;
	int err;

	*ticket = 0;
	if (name.len == 0 || name.len > LIMIT_MAILBOX_NAME)
		return E_LIMIT;
	err = names_subscription(st, owner, name, &at, &free_place);
	if (err != OK && err != E_NOENT)
		return err;
	if ((err == OK) == on)
		return OK;
	if (on && !free_place.hi)
		return E_LIMIT;
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
