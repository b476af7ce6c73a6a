#include "view/mailboxes.h"

#include "base/err.h"

static const struct {
	const char *name;
	uint8_t uses;
} first_mailboxes[] = {
	{"Drafts", STORE_USE_DRAFTS},
	{"Sent", STORE_USE_SENT},
	{"Junk", STORE_USE_JUNK},
	{"Trash", STORE_USE_TRASH},
	{"Archive", STORE_USE_ARCHIVE},
	/* the last one: its being there says that all of them were made */
	{"INBOX", 0},
};

int mailboxes_ensure_user(struct store *st, uint32_t owner, store_ticket *ticket)
{
	uint32_t id;

	*ticket = 0;
	if (store_mailbox_find(st, owner, bytes_of("INBOX"), &id) == OK)
		return OK;
	for (size_t i = 0; i < sizeof(first_mailboxes) / sizeof(first_mailboxes[0]); i++) {
		struct bytes name = bytes_of(first_mailboxes[i].name);
		int err = store_subscribe(st, owner, name, true, ticket);

		if (err != OK)
			return err;
		err = store_mailbox_create(st, owner, name, first_mailboxes[i].uses, &id, ticket);
		if (err != OK && err != E_EXIST)
			return err;
	}
	return OK;
}
