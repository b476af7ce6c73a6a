/* SELECT, EXAMINE, UNSELECT (RFC 3691). */
#include <string.h>

#include "base/err.h"
#include "imap/commands.h"
#include "imap/reply.h"
#include "imap/server.h"

enum select_stage { SELECT_READ, SELECT_OPEN, SELECT_FLAGS, SELECT_REST };

/* select-params of RFC 4466: (CONDSTORE) is the one that is known here. */
static bool read_parameters(struct parse *p, bool *condstore)
{
	if (!parse_space(p))
		return parse_end(p);
	if (!parse_char(p, '('))
		return false;
	do {
		if (!parse_keyword(p, "CONDSTORE"))
			return false;
		*condstore = true;
	} while (parse_space(p));
	return parse_char(p, ')') && parse_end(p);
}

/* Whatever was selected before is left, even if this fails (RFC 3501 6.3.1). */
static int read_select(struct session *s, struct conn *c)
{
	struct parse p = session_args(s);
	uint8_t space[LIMIT_MAILBOX_NAME];
	struct buf name;
	bool condstore = false;
	int err;

	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	buf_init(&name, space, sizeof(space));
	err = parse_space(&p) ? parse_mailbox(&p, &name) : E_SYNTAX;
	if (err == E_SYNTAX || (err == OK && !read_parameters(&p, &condstore)))
		return session_bad(s, "This takes the name of a mailbox, and perhaps (CONDSTORE)");
	if (s->state == STATE_SELECTED) {
		session_unselect(s);
		/* RFC 7162 section 3.2.11 */
		buf_puts(conn_output(c), "* OK [CLOSED] The mailbox before is left\r\n");
	}
	if (err == OK)
		err = store_mailbox_find(s->server->parts.store, s->user, buf_bytes(&name), &s->u.select.mailbox);
	if (err != OK)
		return session_error(s, err == E_LIMIT || err == E_RANGE ? E_NOENT : err);
	s->condstore |= condstore;
	s->stage = SELECT_OPEN;
	return RUN_DONE;
}

static int open_mailbox(struct session *s, struct conn *c)
{
	struct imap_server *v = s->server;
	struct store_mailbox m;
	int err;

	/* HIGHESTMODSEQ is among the answers, to every session */
	if (session_durable(s) == E_AGAIN)
		return STEP_COMMIT;
	err = store_mailbox_get(v->parts.store, s->u.select.mailbox, &m);
	if (err == OK)
		err = view_open(v->parts.views, &s->view, s->u.select.mailbox, s->u.select.read_only, c);
	if (err != OK)
		return session_error(s, err);
	s->state = STATE_SELECTED;
	s->keywords_told = m.keywords;
	s->stage = SELECT_FLAGS;
	return RUN_DONE;
}

static void put_rest(struct session *s, struct buf *out)
{
	struct imap_server *v = s->server;
	const struct view *view = &s->view;
	struct store_mailbox m;
	uint32_t unseen;

	buf_printf(out, "* %u EXISTS\r\n", (unsigned)view->exists);
	buf_printf(out, "* %u RECENT\r\n", (unsigned)view_recent(v->parts.views, view));
	unseen = store_first_unseen(v->parts.store, view->mailbox);
	unseen = unseen ? view_number(v->parts.views, view, unseen) : 0;
	if (unseen)
		buf_printf(out, "* OK [UNSEEN %u] First unseen message\r\n", (unsigned)unseen);
	if (store_mailbox_get(v->parts.store, view->mailbox, &m) == OK)
		buf_printf(out, "* OK [UIDVALIDITY %u] UIDs are valid\r\n", (unsigned)m.uidvalidity);
	buf_printf(out, "* OK [UIDNEXT %u] Next UID\r\n", (unsigned)view->uidnext);
	/* RFC 7162 section 3.1.2.2 */
	if (session_durable(s) == E_READONLY)
		buf_puts(out, "* OK [NOMODSEQ] Changes can't be counted now\r\n");
	else
		buf_printf(out, "* OK [HIGHESTMODSEQ %llu] Highest\r\n", (unsigned long long)view->modseq);
	buf_puts(out, "* OK [MAILBOXID (");
	reply_mailbox_id(out, v->parts.store, view->mailbox);
	buf_puts(out, ")] Id of this mailbox\r\n");
}

static int do_select(struct session *s, struct conn *c, bool read_only)
{
	int step;

	if (s->stage == SELECT_READ) {
		step = read_select(s, c);
		if (step != RUN_DONE || s->stage == SELECT_READ)
			return step;
		s->u.select.read_only = read_only;
	}
	if (s->stage == SELECT_OPEN) {
		step = open_mailbox(s, c);
		if (step != RUN_DONE || s->stage == SELECT_OPEN)
			return step;
	}
	if (s->stage == SELECT_FLAGS) {
		if (!session_put_flag_lines(s, conn_output(c), s->keywords_told, &s->u.select.at))
			return STEP_OUTPUT;
		s->stage = SELECT_REST;
	}
	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	put_rest(s, conn_output(c));
	return session_ok(s, read_only ? "[READ-ONLY] Opened" : "[READ-WRITE] Opened");
}

int cmd_select(struct session *s, struct conn *c)
{
	return do_select(s, c, false);
}

int cmd_examine(struct session *s, struct conn *c)
{
	return do_select(s, c, true);
}

int cmd_unselect(struct session *s, struct conn *c)
{
	(void)c;
	session_unselect(s);
	return session_ok(s, "No mailbox is selected now");
}
