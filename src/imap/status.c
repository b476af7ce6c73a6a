#include "imap/status.h"

#include "base/err.h"
#include "imap/reply.h"
#include "imap/server.h"
#include "imap/session.h"

static const struct {
	const char *name;
	uint16_t bit;
} items[] = {
	{"MESSAGES", STATUS_MESSAGES},
	{"RECENT", STATUS_RECENT},
	{"UIDNEXT", STATUS_UIDNEXT},
	{"UIDVALIDITY", STATUS_UIDVALIDITY},
	{"UNSEEN", STATUS_UNSEEN},
	{"HIGHESTMODSEQ", STATUS_HIGHESTMODSEQ},
	{"SIZE", STATUS_SIZE},
	{"MAILBOXID", STATUS_MAILBOXID},
	{"DELETED", STATUS_DELETED},
	{"DELETED-STORAGE", STATUS_DELETED_STORAGE},
	{"APPENDLIMIT", STATUS_APPENDLIMIT},
};

bool status_read(struct parse *p, uint16_t *out)
{
	*out = 0;
	if (!parse_char(p, '('))
		return false;
	parse_space(p);
	while (!parse_char(p, ')')) {
		uint16_t bit = 0;

		for (size_t i = 0; i < sizeof(items) / sizeof(items[0]) && !bit; i++)
			if (parse_keyword(p, items[i].name))
				bit = items[i].bit;
		if (!bit)
			return false;
		*out |= bit;
		parse_space(p);
	}
	return *out != 0;
}

static void put_item(struct session *s, struct buf *out, uint16_t bit, const struct store_mailbox *m, uint32_t recent)
{
	switch (bit) {
	case STATUS_MESSAGES:
		buf_put_number(out, m->messages);
		break;
	case STATUS_RECENT:
		buf_put_number(out, recent);
		break;
	case STATUS_UIDNEXT:
		buf_put_number(out, m->uidnext);
		break;
	case STATUS_UIDVALIDITY:
		buf_put_number(out, m->uidvalidity);
		break;
	case STATUS_UNSEEN:
		buf_put_number(out, m->unseen);
		break;
	case STATUS_HIGHESTMODSEQ:
		buf_put_number(out, m->modseq);
		break;
	case STATUS_SIZE:
		buf_put_number(out, m->size);
		break;
	case STATUS_DELETED:
		buf_put_number(out, m->deleted);
		break;
	case STATUS_DELETED_STORAGE:
		/* octets: RFC 9208 section 4.1.4 takes it for a sum of RFC822.SIZE */
		buf_put_number(out, m->deleted_size);
		break;
	case STATUS_APPENDLIMIT:
		buf_put_number(out, server_append_limit(s->server));
		break;
	default:
		buf_putc(out, '(');
		reply_mailbox_id(out, s->server->parts.store, m->id);
		buf_putc(out, ')');
		break;
	}
}

int status_put(struct session *s, struct buf *out, uint32_t mailbox, struct bytes name, uint16_t wanted)
{
	struct store *st = s->server->parts.store;
	struct store_mailbox m;
	uint32_t recent = 0;
	bool first = true;
	int err = store_mailbox_get(st, mailbox, &m);

	if (err != OK)
		return err;
	if (wanted & STATUS_RECENT)
		recent = m.messages - (m.recent ? store_rank(st, mailbox, m.recent - 1) : 0);
	buf_puts(out, "* STATUS ");
	reply_mailbox(out, name);
	buf_puts(out, " (");
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		if (!(wanted & items[i].bit))
			continue;
		buf_printf(out, "%s%s ", first ? "" : " ", items[i].name);
		put_item(s, out, items[i].bit, &m, recent);
		first = false;
	}
	buf_puts(out, ")\r\n");
	return OK;
}
