#include "mta/recipient.h"

#include "base/err.h"

static int first_administrator(struct accounts *accounts, struct account_user *user)
{
	uint32_t cursor = 0;
	int err;

	while ((err = account_next(accounts, &cursor, user)) == OK)
		if (user->admin)
			return OK;
	return err;
}

int recipient_user(struct accounts *accounts, struct bytes local, struct account_user *user, struct bytes *detail)
{
	size_t plus = bytes_index(local, '+');
	struct bytes name = bytes_part(local, 0, plus);
	int err;

	*detail = bytes_make(NULL, 0);
	err = account_find(accounts, local, user);
	if (err != E_NOENT || local.len == 0)
		return err;
	if (plus < local.len) {
		*detail = bytes_part(local, plus + 1, local.len);
		err = account_find(accounts, name, user);
	}
	if (err == E_NOENT && bytes_is(name, "postmaster"))
		err = first_administrator(accounts, user);
	return err;
}

/* The child of `parent` with that level name in whatever case. */
static int child_nocase(struct store *st, uint32_t owner, uint32_t parent, struct bytes level, uint32_t *id)
{
	uint64_t cursor = 0;
	struct store_mailbox box;
	uint32_t child;

	for (unsigned i = 0; i < RECIPIENT_SIBLINGS; i++) {
		int err = store_mailbox_child(st, owner, parent, &cursor, &child);

		if (err != OK)
			return err;
		err = store_mailbox_get(st, child, &box);
		if (err == OK && bytes_equal_nocase(bytes_make(box.level, box.level_len), level)) {
			*id = child;
			return OK;
		}
	}
	return E_NOENT;
}

static int find_nocase(struct store *st, uint32_t owner, struct bytes name, uint32_t *id)
{
	uint32_t at = 0;

	for (unsigned depth = 0; depth < LIMIT_MAILBOX_DEPTH && name.len; depth++) {
		size_t slash = bytes_index(name, '/');
		int err = child_nocase(st, owner, at, bytes_part(name, 0, slash), &at);

		if (err != OK)
			return err;
		name = bytes_part(name, slash + 1, name.len);
	}
	*id = at;
	return at && name.len == 0 ? OK : E_NOENT;
}

int recipient_mailbox(struct store *st, uint32_t owner, struct bytes detail, uint32_t *mailbox)
{
	if (detail.len && detail.len <= LIMIT_MAILBOX_NAME) {
		if (store_mailbox_find(st, owner, detail, mailbox) == OK)
			return OK;
		if (find_nocase(st, owner, detail, mailbox) == OK)
			return OK;
	}
	return store_mailbox_find(st, owner, bytes_of("INBOX"), mailbox);
}
