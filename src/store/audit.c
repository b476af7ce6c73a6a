/* The audit: what was evicted, the newest so many, in the tree. Written with the
 * record that removes the messages, so it says neither more nor less than what
 * happened. */
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"

#define AUDIT_HEAD 29u
/* Rows that are kept: a small store keeps fewer. */
#define AUDIT_MOST 4096u
#define AUDIT_PART 16384u
#define NUMBER_SHIFT 7

_Static_assert(EVICT_BATCH <= 1u << NUMBER_SHIFT, "the numbers of a record's messages are its own");

static uint64_t most(const struct store *st)
{
	uint64_t n = st->config.storage / AUDIT_PART;

	return n < AUDIT_MOST ? n : AUDIT_MOST;
}

/* The oldest go; few at a time, since what one record may change is bounded:
 * where `storage` became smaller there are many. */
static int trim(struct store *st)
{
	for (unsigned i = 0; i < 2 && st->super.audits > most(st); i++) {
		struct key found;
		uint8_t row[AUDIT_HEAD + STORE_AUDIT_TEXT];
		int n = tree_seek(&st->tree, tree_key(TREE_AUDIT, 0, 0), &found, row, sizeof row), err;

		if (n < 0 || found.hi != tree_key(TREE_AUDIT, 0, 0).hi)
			return n == E_NOENT || n >= 0 ? (st->super.audits = 0, OK) : n;
		err = tree_delete(&st->tree, found, 0);
		if (err != OK)
			return err;
		st->super.audits--;
	}
	return OK;
}

int audit_put(struct store *st, const struct record *r, unsigned index, uint32_t owner, uint32_t mailbox,
	const struct store_entry *e, uint8_t class, struct bytes text)
{
	uint8_t row[AUDIT_HEAD + STORE_AUDIT_TEXT];
	size_t len = text.len < STORE_AUDIT_TEXT ? text.len : STORE_AUDIT_TEXT;
	int err;

	put_le64(row, (uint64_t)r->wall);
	put_le32(row + 8, r->box_time);
	put_le32(row + 12, owner);
	put_le32(row + 16, mailbox);
	put_le32(row + 20, e->uid);
	put_le32(row + 24, e->size);
	row[28] = class;
	if (len)
		memcpy(row + AUDIT_HEAD, text.data, len);
	err = tree_put(&st->tree, tree_key(TREE_AUDIT, 0, r->lsn << NUMBER_SHIFT | index), row, AUDIT_HEAD + len);
	if (err != OK)
		return err;
	st->super.audits++;
	st->super.life_evicted++;
	st->super.life_evicted_bytes += e->size;
	if (!st->replaying) {
		st->evict.messages++;
		st->evict.bytes += e->size;
	}
	return trim(st);
}

int store_evicted_next(struct store *st, uint64_t after, struct store_evicted *out)
{
	uint8_t row[AUDIT_HEAD + STORE_AUDIT_TEXT];
	struct key found;
	int n;

	if (after == UINT64_MAX)
		return E_NOENT;
	n = tree_seek(&st->tree, tree_key(TREE_AUDIT, 0, after + 1), &found, row, sizeof row);
	if (n == E_LIMIT || (n >= 0 && found.hi != tree_key(TREE_AUDIT, 0, 0).hi))
		return E_NOENT;
	if (n < 0)
		return n;
	if (n < (int)AUDIT_HEAD)
		return E_DAMAGED;
	*out = (struct store_evicted){
		.number = found.lo,
		.wall = (int64_t)le64(row),
		.box_time = le32(row + 8),
		.owner = le32(row + 12),
		.mailbox = le32(row + 16),
		.uid = le32(row + 20),
		.size = le32(row + 24),
		.class = row[28] <= STORE_CLASSES ? row[28] : STORE_CLASSES,
		.text_len = (uint8_t)(n - (int)AUDIT_HEAD),
	};
	memcpy(out->text, row + AUDIT_HEAD, out->text_len);
	return OK;
}
