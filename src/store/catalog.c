/* Reading the catalogue: mailboxes by id and by name, their children,
 * subscriptions and keywords. */
#include "store/names.h"
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"
#include "base/siphash.h"
#include "base/text.h"

uint64_t names_hash(const struct store *st, struct bytes name)
{
	uint8_t key[16] = "cubby names ";

	put_le64(key, st->super.identity);
	return siphash(key, name);
}

uint64_t names_parent_key(uint32_t owner, uint32_t parent)
{
	return parent ? parent : (uint64_t)1 << 40 | owner;
}

int names_child(struct store *st, uint32_t owner, uint32_t parent, struct bytes level, uint32_t *id)
{
	uint64_t hash = names_hash(st, level);

	for (unsigned i = 0; i < NAMES_PROBES; i++) {
		uint8_t value[4];
		struct mailbox m;
		int n = tree_get(&st->tree, tree_key(TREE_CHILD, names_parent_key(owner, parent), hash + i), value,
			sizeof value);

		if (n == E_NOENT)
			continue;
		if (n != sizeof value)
			return n < 0 ? n : E_DAMAGED;
		n = mailbox_load(st, le32(value), &m);
		if (n != OK)
			return n == E_NOENT ? E_DAMAGED : n;
		if (bytes_equal(bytes_make(m.level, m.level_len), level)) {
			*id = m.id;
			return OK;
		}
	}
	return E_NOENT;
}

static void give_out(const struct mailbox *m, struct store_mailbox *out)
{
	*out = (struct store_mailbox){
		.id = m->id,
		.owner = m->owner,
		.parent = m->parent,
		.uidvalidity = m->uidvalidity,
		.uidnext = m->uidnext,
		.modseq = m->modseq,
		.messages = m->tally.messages,
		.unseen = m->tally.unseen,
		.deleted = m->tally.deleted,
		.size = m->tally.size,
		.deleted_size = m->tally.deleted_size,
		.recent = m->recent,
		.keywords = m->keywords,
		.uses = m->uses,
		.has_children = m->children > 0,
		.level_len = m->level_len,
	};
	memcpy(out->level, m->level, m->level_len);
}

int store_mailbox_get(struct store *st, uint32_t id, struct store_mailbox *out)
{
	struct mailbox m;
	int err = mailbox_load(st, id, &m);

	if (err != OK)
		return err;
	if (m.doomed)
		return E_NOENT;
	give_out(&m, out);
	return OK;
}

int store_mailbox_find(struct store *st, uint32_t owner, struct bytes name, uint32_t *id)
{
	uint32_t parent = 0;

	if (name.len == 0 || name.len > LIMIT_MAILBOX_NAME)
		return E_NOENT;
	for (unsigned depth = 0; depth < LIMIT_MAILBOX_DEPTH; depth++) {
		size_t n = bytes_index(name, '/');
		struct bytes level = bytes_part(name, 0, n);
		int err;

		if (depth == 0 && bytes_is(level, "INBOX"))
			level = bytes_of("INBOX");
		err = names_child(st, owner, parent, level, id);
		if (err != OK)
			return err;
		if (n == name.len)
			return OK;
		parent = *id;
		name = bytes_part(name, n + 1, name.len);
	}
	return E_NOENT;
}

int store_mailbox_name(struct store *st, uint32_t id, char *out)
{
	char name[LIMIT_MAILBOX_NAME];
	size_t at = sizeof name;

	for (unsigned depth = 0; depth < LIMIT_MAILBOX_DEPTH && id; depth++) {
		struct mailbox m;
		int err = mailbox_load(st, id, &m);

		if (err != OK)
			return err;
		if (m.doomed)
			return E_NOENT;
		if (m.level_len + (at < sizeof name ? 1u : 0u) > at)
			return E_DAMAGED;
		if (at < sizeof name)
			name[--at] = '/';
		at -= m.level_len;
		memcpy(name + at, m.level, m.level_len);
		id = m.parent;
	}
	if (id)
		return E_DAMAGED;
	memcpy(out, name + at, sizeof name - at);
	return (int)(sizeof name - at);
}

/* The next row of a table's first part after *cursor. */
static int next_row(struct store *st, enum tree_table table, uint64_t first, uint64_t *cursor, void *out, size_t cap)
{
	struct key k = tree_key(table, first, *cursor), found;
	int n = tree_seek(&st->tree, k, &found, out, cap);

	if (n == E_LIMIT)
		return E_NOENT; /* a row of another table, longer than ours are */
	if (n < 0)
		return n;
	if (found.hi != k.hi || found.lo == UINT64_MAX)
		return E_NOENT;
	*cursor = found.lo + 1;
	return n;
}

int store_mailbox_child(struct store *st, uint32_t owner, uint32_t parent, uint64_t *cursor, uint32_t *id)
{
	uint8_t value[4];
	int n = next_row(st, TREE_CHILD, names_parent_key(owner, parent), cursor, value, sizeof value);

	if (n < 0)
		return n;
	if (n != sizeof value)
		return E_DAMAGED;
	*id = le32(value);
	return OK;
}

/* ---- subscriptions ---- */

int names_subscription(struct store *st, uint32_t owner, struct bytes name, struct key *at, struct key *free_place)
{
	uint64_t hash = names_hash(st, name);

	*free_place = (struct key){ 0, 0 };
	for (unsigned i = 0; i < NAMES_PROBES; i++) {
		char stored[LIMIT_MAILBOX_NAME];
		int n;

		*at = tree_key(TREE_SUBSCRIBED, owner, hash + i);
		n = tree_get(&st->tree, *at, stored, sizeof stored);
		if (n == E_NOENT && !free_place->hi)
			*free_place = *at;
		if (n >= 0 && bytes_equal(bytes_make(stored, (size_t)n), name))
			return OK;
		if (n < 0 && n != E_NOENT)
			return n;
	}
	return E_NOENT;
}

bool store_subscribed(struct store *st, uint32_t owner, struct bytes name)
{
	struct key at, free_place;

	return names_subscription(st, owner, name, &at, &free_place) == OK;
}

int store_subscription(struct store *st, uint32_t owner, uint64_t *cursor, char *out)
{
	return next_row(st, TREE_SUBSCRIBED, owner, cursor, out, LIMIT_MAILBOX_NAME);
}

/* ---- users ---- */

void store_owner_usage(struct store *st, uint32_t owner, uint64_t *bytes_used, uint64_t *messages)
{
	uint8_t row[OWNER_BYTES];

	*bytes_used = *messages = 0;
	if (tree_get(&st->tree, tree_key(TREE_OWNER, 0, owner), row, sizeof row) != OWNER_BYTES)
		return;
	*bytes_used = le64(row);
	*messages = le64(row + 8);
}

/* ---- keywords ---- */

int store_keyword_name(struct store *st, uint32_t mailbox, unsigned bit, char *out)
{
	return tree_get(&st->tree, tree_key(TREE_KEYWORD, mailbox, bit), out, LIMIT_KEYWORD_NAME);
}
