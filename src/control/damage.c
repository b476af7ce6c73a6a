#include "control/damage.h"

#include "base/err.h"
#include "port/system.h"

/* A client that syncs finds one damaged message after the other. */
#define GATHER_US 5000000u
/* All places for notices were taken. */
#define AGAIN_US 5000000u
/* Bytes of the text kept for what stands behind the list. */
#define BEHIND 1200

/* "anna, INBOX, UID 12: sender, subject". False: nobody has it any more. */
static bool put_message(const struct damage *d, unsigned n, struct buf *out)
{
	char name[LIMIT_MAILBOX_NAME], text[STORE_AUDIT_TEXT];
	struct store_mailbox mailbox;
	struct account_user user;
	struct store_shown shown;
	size_t len;
	int name_len;

	if (store_damaged(d->store, n, &shown) != OK || store_mailbox_get(d->store, shown.mailbox, &mailbox) != OK ||
		account_by_id(d->accounts, mailbox.owner, &user) != OK)
		return false;
	name_len = store_mailbox_name(d->store, shown.mailbox, name);
	buf_printf(out, "  %.*s, %.*s, UID %lu", (int)user.name_len, (const char *)user.name,
		name_len > 0 ? name_len : 0, name, (unsigned long)shown.uid);
	len = eviction_describe(d->eviction, shown.object, text);
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\n')
			text[i] = ' ';
	if (len)
		buf_printf(out, ": %.*s", (int)len, text);
	buf_putc(out, '\n');
	return true;
}

static unsigned put_messages(const struct damage *d, struct buf *out)
{
	unsigned listed = 0, count = store_damaged_count(d->store);

	for (unsigned i = 0; i < count; i++) {
		size_t before = out->len;

		listed += put_message(d, i, out);
		if (out->overflow || out->len + BEHIND > NOTICE_TEXT) {
			out->len = before;
			out->overflow = false;
			buf_puts(out, notice_say(d->notices, "  ... and more\n", "  ... ほか\n"));
			break;
		}
	}
	return listed;
}

static int tell(const struct damage *d, uint32_t admin)
{
	uint8_t text[NOTICE_TEXT];
	struct buf out;

	buf_init(&out, text, sizeof text);
	buf_puts(&out,
		notice_say(d->notices,
			"These messages were read and fail their checksum. Who and what they are from\n"
			"is still shown, but what the flash has kept of their text is damaged:\n\n",
			"次のメールは読み出し時の検査で破損が見つかりました。差出人や件名は\n"
			"表示されますが、本文は失われた可能性があります。\n\n"));
	if (put_messages(d, &out) == 0)
		return OK;
	buf_puts(&out,
		notice_say(d->notices,
			"\nOther mail is not touched by this. Flash that begins to fail often goes on\n"
			"failing: make a backup now (`cubby backup`), let `cubby check` look at all of\n"
			"the mail, and think of another medium. A damaged message may be whole in an\n"
			"older backup, or in a mail program that had read it before; delete it here\n"
			"when it is not wanted any more.\n",
			"\nほかのメールには影響ありません。フラッシュの故障は続くことが多いため、今すぐ\n"
			"バックアップ (cubby backup) を取り、cubby check で全体を検査し、\n"
			"記憶装置の交換を検討してください。\n"));
	return notice_post(d->notices, "damage", admin,
		bytes_of(notice_say(d->notices, "Damaged mail was found", "破損したメールが見つかりました")),
		buf_bytes(&out));
}

void damage_work(struct damage *d)
{
	unsigned count = store_damaged_count(d->store);
	uint64_t now;
	uint32_t admin;
	int err;

	if (count == d->told)
		return;
	now = port_now_us();
	if (d->at_us == 0)
		d->at_us = now + GATHER_US;
	if (now < d->at_us)
		return;
	err = notice_admin(d->notices, &admin);
	if (err == OK)
		err = tell(d, admin);
	d->at_us = err == E_AGAIN ? now + AGAIN_US : 0;
	if (err != E_AGAIN)
		d->told = count;
}

uint64_t damage_deadline_us(const struct damage *d)
{
	return d->at_us;
}
