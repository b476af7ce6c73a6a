/* After a recovery: copies that were never published go, files that nothing
 * refers to go, and numbers that a lost record may have given are passed over. */
#include "store/store_int.h"

#include <string.h>

#include "base/log.h"

/* Numbers that are passed over when records were lost: more than a segment's
 * records can have given. */
#define LOST_UIDS (1u << 16)
#define LOST_NAMES (1u << 12)
#define LOST_OBJECTS (1u << 20)

/* The message file of a record that was lost: its bytes may be all right. */
static int keep_aside(struct store *st, const char *path)
{
	char aside[PORT_PATH_MAX];

	memcpy(aside, path, strlen(path) + 1);
	memcpy(aside + strlen(aside) - 3, "bad", 3);
	log_error("store: no message refers to %s any more: kept aside as %s", path, aside);
	st->unlinks_pending = true;
	return port_rename(path, aside);
}

/* Files that nothing refers to: bodies of messages that were never committed,
 * segments that never became durable or were dropped. One a call: a listing
 * must not change its directory. */
struct stray {
	struct store *st;
	char name[64];
};

static bool find_stray(void *context, const char *name)
{
	struct stray *stray = context;
	struct store *st = stray->st;
	struct object o;
	struct segment row;
	uint64_t number;
	bool is = false;

	if (files_number(name, ".msg", &number))
		is = number >= st->super.orphan_from && object_load(st, number, &o) == E_NOENT;
	else if (files_number(name, ".seg", &number))
		is = segment_row_get(st, (uint32_t)number, &row) == E_NOENT;
	if (!is || strlen(name) >= sizeof stray->name)
		return true;
	memcpy(stray->name, name, strlen(name) + 1);
	return false;
}

int sweep_files(struct store *st, bool lost)
{
	for (;;) {
		struct stray stray = { .st = st };
		char path[PORT_PATH_MAX];
		int err = port_list(st->dir, find_stray, &stray);

		if (err != OK || !stray.name[0])
			return err;
		files_name(st, stray.name, path);
		err = lost && strstr(stray.name, ".msg") ? keep_aside(st, path) : port_remove(path);
		if (err != OK)
			return err;
		st->unlinks_pending = true;
	}
}

/* Near its end a counter stays there: then nothing is given any more. */
static void skip(uint32_t *counter, uint32_t n)
{
	*counter = n < UINT32_MAX - *counter ? *counter + n : UINT32_MAX;
}

/* Copies that were not published are as if they had never begun. The log does
 * not say so: a checkpoint must, before anything else gets their UIDs. When
 * records were lost nobody knows which UIDs, mailboxes and messages they had
 * made: none of these numbers may come again. */
int sweep_mailboxes(struct store *st, bool lost, bool *changed)
{
	struct key k = tree_key(TREE_MAILBOX, 0, 0), found;
	uint8_t bytes[MAILBOX_BYTES];
	int n;

	if (lost) {
		skip(&st->super.next_mailbox, LOST_NAMES);
		skip(&st->super.next_uidvalidity, LOST_NAMES);
		st->super.next_object += LOST_OBJECTS;
	}
	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi == k.hi) {
		struct mailbox m;

		if (found.lo >= UINT32_MAX || !mailbox_get(bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &m))
			return E_DAMAGED;
		while (m.staged_end) {
			uint32_t down_to =
				m.staged_end > m.uidnext + STORE_UIDS ? m.staged_end - STORE_UIDS : m.uidnext;
			int err = apply_unstage(st, &m, down_to, 0);

			*changed = true;
			if (err == OK)
				err = checkpoint_make_room(st);
			if (err != OK)
				return err;
		}
		if (lost) {
			int err;

			skip(&m.uidnext, LOST_UIDS);
			*changed = true;
			err = mailbox_save(st, &m);
			if (err == OK)
				err = checkpoint_make_room(st);
			if (err != OK)
				return err;
		}
		k.lo = found.lo + 1;
	}
	return n < 0 && n != E_NOENT && n != E_LIMIT ? n : OK;
}
