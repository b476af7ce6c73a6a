/* Reading the entries of a mailbox: numbers, walks, changes, gaps. */
#include "store/store_int.h"

static bool of_mailbox(struct key k, uint32_t mailbox)
{
	return k.hi == tree_key(TREE_ENTRY, mailbox, 0).hi;
}

/* Entries from UIDNEXT on are staged by a copy and not there yet. */
static uint32_t uid_end(struct store *st, uint32_t mailbox)
{
	struct mailbox m;

	return mailbox_load(st, mailbox, &m) == OK ? m.uidnext : 0;
}

uint32_t store_rank(struct store *st, uint32_t mailbox, uint32_t uid)
{
	uint32_t end = uid_end(st, mailbox);
	uint64_t first, last;

	if (end == 0)
		return 0;
	if (uid >= end)
		uid = end - 1;
	if (tree_rank(&st->tree, tree_key(TREE_ENTRY, mailbox, 0), &first) != OK ||
		tree_rank(&st->tree, tree_key(TREE_ENTRY, mailbox, (uint64_t)uid + 1), &last) != OK)
		return 0;
	return (uint32_t)(last - first);
}

int store_entry_at(struct store *st, uint32_t mailbox, uint32_t n, struct store_entry *out)
{
	uint64_t first;
	struct key k;
	struct bytes value;
	int err;

	if (n == 0)
		return E_NOENT;
	err = tree_rank(&st->tree, tree_key(TREE_ENTRY, mailbox, 0), &first);
	if (err == OK)
		err = tree_at_rank(&st->tree, first + n - 1, &k, &value);
	if (err != OK)
		return err;
	if (!of_mailbox(k, mailbox) || k.lo >= uid_end(st, mailbox))
		return E_NOENT;
	return entry_load(st, mailbox, (uint32_t)k.lo, out);
}

int store_entry_get(struct store *st, uint32_t mailbox, uint32_t uid, struct store_entry *out)
{
	if (uid >= uid_end(st, mailbox))
		return E_NOENT;
	return entry_load(st, mailbox, uid, out);
}

void store_cursor_init(struct store_cursor *c, uint32_t mailbox, uint32_t uid)
{
	*c = (struct store_cursor){ .mailbox = mailbox, .uid = uid };
}

int store_cursor_next(struct store *st, struct store_cursor *c, struct store_entry *out)
{
	struct tree_place place = { c->page, c->slot, c->generation };
	struct bytes value;
	struct key k;
	int err;

	if (c->uid == UINT32_MAX)
		return E_NOENT;
	err = tree_next(&st->tree, &place, &k, &value);
	if (err == E_AGAIN) {
		/* Where the mailbox ends is looked up with each new place only: while
		 * a place holds, nothing has changed. */
		c->end = uid_end(st, c->mailbox);
		err = tree_seek_place(&st->tree, tree_key(TREE_ENTRY, c->mailbox, (uint64_t)c->uid + 1), &k, &value,
			&place);
	}
	if (err != OK)
		return err;
	if (!of_mailbox(k, c->mailbox) || k.lo >= c->end)
		return E_NOENT;
	c->page = place.frame;
	c->slot = place.index;
	c->generation = place.generation;
	c->uid = (uint32_t)k.lo;
	return entry_get(value, c->uid, out) ? OK : E_DAMAGED;
}

int store_cursor_changed(struct store *st, struct store_cursor *c, uint64_t modseq, struct store_entry *out)
{
	struct key k = tree_key(TREE_ENTRY, c->mailbox, (uint64_t)c->uid + 1), from;
	int err = tree_changed_leaf(&st->tree, k, modseq, &from);

	if (err != OK)
		return err;
	if (!of_mailbox(from, c->mailbox))
		return E_NOENT;
	c->uid = from.lo ? (uint32_t)from.lo - 1 : 0;
	for (unsigned i = 0; i < LIMIT_SLICE_ENTRIES; i++) {
		err = store_cursor_next(st, c, out);
		if (err != OK || out->modseq > modseq)
			return err;
	}
	return E_AGAIN;
}

uint32_t store_first_unseen(struct store *st, uint32_t mailbox)
{
	struct key k;

	if (tree_first_unseen(&st->tree, tree_key(TREE_ENTRY, mailbox, 0), &k) != OK || !of_mailbox(k, mailbox) ||
		k.lo >= uid_end(st, mailbox))
		return 0;
	return (uint32_t)k.lo;
}

/* The first UID after `uid`, below `end`, that is there, or `end`. */
static int next_present(struct store *st, uint32_t mailbox, uint32_t uid, uint32_t end, uint32_t *present)
{
	struct bytes value;
	struct tree_place place;
	struct key k;
	int err = tree_seek_place(&st->tree, tree_key(TREE_ENTRY, mailbox, uid), &k, &value, &place);

	if (err != OK && err != E_NOENT)
		return err;
	*present = err == E_NOENT || !of_mailbox(k, mailbox) || k.lo >= end ? end : (uint32_t)k.lo;
	return OK;
}

int store_vanished_next(struct store *st, uint32_t mailbox, uint64_t modseq, uint32_t *uid, uint32_t *first,
	uint32_t *last)
{
	uint32_t end = uid_end(st, mailbox);
	struct key from, to;
	int err;

	if (*uid + 1 >= end)
		return E_NOENT;
	err = tree_expunged_leaf(&st->tree, tree_key(TREE_ENTRY, mailbox, (uint64_t)*uid + 1), modseq, &from, &to);
	if (err != OK)
		return err;
	if (!of_mailbox(from, mailbox) || from.lo >= end)
		return E_NOENT;
	/* A leaf answers for the gaps behind it too, up to the next leaf's key. */
	*first = (uint32_t)from.lo ? (uint32_t)from.lo : 1;
	if (of_mailbox(to, mailbox) && to.lo < end)
		end = (uint32_t)to.lo;
	for (unsigned i = 0; i < LIMIT_SLICE_ENTRIES && *first < end; i++) {
		uint32_t present;

		err = next_present(st, mailbox, *first, end, &present);
		if (err != OK)
			return err;
		if (present > *first) {
			*last = *uid = present - 1;
			return OK;
		}
		*uid = (*first)++;
	}
	if (*first >= end)
		*uid = end - 1;
	return E_AGAIN;
}

uint64_t store_identity(const struct store *st)
{
	return st->super.origin ? st->super.origin : st->super.identity;
}
