/* Who shows a message. An object names one entry itself; when several show it
 * (copies, one message to several users), each has a row in the table of
 * references, so that the whole of them can be found: eviction must know whether
 * a message really goes, the check which entries a damaged one hits. */
#include "store/store_int.h"

static struct key row(uint64_t id, uint32_t mailbox, uint32_t uid)
{
	return tree_key(TREE_REFERENCE, id, (uint64_t)mailbox << 32 | uid);
}

static int add_row(struct store *st, uint64_t id, uint32_t mailbox, uint32_t uid)
{
	return tree_put(&st->tree, row(id, mailbox, uid), "", 0);
}

static int delete_row(struct store *st, uint64_t id, uint32_t mailbox, uint32_t uid)
{
	int err = tree_delete(&st->tree, row(id, mailbox, uid), 0);

	return err == E_NOENT ? OK : err;
}

static void set_home(struct object *o, uint32_t mailbox, uint32_t uid)
{
	o->home_mailbox = mailbox;
	o->home_uid = uid;
}

int reference_add(struct store *st, uint64_t id, struct object *o, uint32_t mailbox, uint32_t uid)
{
	int err = OK;

	if (o->refs == 0)
		set_home(o, mailbox, uid);
	if (o->refs == 1)
		err = add_row(st, id, o->home_mailbox, o->home_uid);
	if (err == OK && o->refs > 0)
		err = add_row(st, id, mailbox, uid);
	o->refs++;
	return err;
}

int reference_move(struct store *st, uint64_t id, struct object *o, uint32_t mailbox, uint32_t uid, uint32_t to_mailbox,
	uint32_t to_uid)
{
	int err;

	set_home(o, to_mailbox, to_uid);
	if (o->refs < 2)
		return OK;
	err = delete_row(st, id, mailbox, uid);
	return err == OK ? add_row(st, id, to_mailbox, to_uid) : err;
}

int reference_drop(struct store *st, uint64_t id, struct object *o, uint32_t mailbox, uint32_t uid)
{
	uint32_t left_mailbox = 0, left_uid = 0;
	int err = delete_row(st, id, mailbox, uid);

	if (err == OK)
		err = reference_next(st, id, o, &left_mailbox, &left_uid);
	o->refs--;
	if (err == OK)
		set_home(o, left_mailbox, left_uid);
	if (err == OK && o->refs == 1)
		err = delete_row(st, id, left_mailbox, left_uid);
	return err == E_NOENT ? OK : err;
}

int reference_next(struct store *st, uint64_t id, const struct object *o, uint32_t *mailbox, uint32_t *uid)
{
	struct key found;
	int n;

	if (o->refs < 2) {
		if (*mailbox || o->home_mailbox == 0)
			return E_NOENT;
		*mailbox = o->home_mailbox;
		*uid = o->home_uid;
		return OK;
	}
	n = tree_seek(&st->tree, row(id, *mailbox, *uid + 1), &found, NULL, 0);
	if (n < 0)
		return n == E_LIMIT ? E_NOENT : n;
	if (found.hi != row(id, 0, 0).hi)
		return E_NOENT;
	*mailbox = (uint32_t)(found.lo >> 32);
	*uid = (uint32_t)found.lo;
	return OK;
}
