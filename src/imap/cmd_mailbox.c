/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS. */
#include <string.h>

#include "base/err.h"
#include "imap/commands.h"
#include "imap/reply.h"
#include "imap/server.h"
#include "imap/status.h"

enum mailbox_stage { MAILBOX_START, MAILBOX_WAIT };

/* ---- names ---- */

struct name {
	uint8_t space[LIMIT_MAILBOX_NAME];
	struct buf buf;
};

/* The next argument, a mailbox name. RUN_DONE with s->answer_text NULL when it
 * is there; else the answer is set. */
static bool read_name(struct session *s, struct parse *p, struct name *name)
{
	int err;

	buf_init(&name->buf, name->space, sizeof(name->space));
	err = parse_space(p) ? parse_mailbox(p, &name->buf) : E_SYNTAX;
	if (err == E_SYNTAX)
		session_bad(s, "This takes the name of a mailbox");
	else if (err != OK)
		session_error(s, err);
	return err == OK;
}

static bool read_only_name(struct session *s, struct name *name)
{
	struct parse p = session_args(s);

	if (!read_name(s, &p, name))
		return false;
	if (parse_end(&p))
		return true;
	session_bad(s, "There is more than the name of a mailbox");
	return false;
}

static bool is_inbox(const struct name *name)
{
	return bytes_is(buf_bytes(&name->buf), "INBOX");
}

/* A name with a wildcard could never be listed alone. */
static bool has_wildcard(const struct name *name)
{
	struct bytes b = buf_bytes(&name->buf);

	return bytes_index(b, '*') < b.len || bytes_index(b, '%') < b.len;
}

/* Waits for the ticket of what was begun, then answers. */
static int finish(struct session *s, const char *text)
{
	int err = s->ticket ? session_wait(s) : OK;

	if (err == E_AGAIN)
		return STEP_COMMIT;
	return err == OK ? session_ok(s, text) : session_error(s, err);
}

static int started(struct session *s, int err, const char *text)
{
	if (err == E_AGAIN)
		return STEP_COMMIT;
	if (err != OK)
		return session_error(s, err);
	s->stage = MAILBOX_WAIT;
	return finish(s, text);
}

/* ---- commands ---- */

int cmd_create(struct session *s, struct conn *c)
{
	struct name name;
	int err;

	(void)c;
	if (s->stage == MAILBOX_WAIT)
		return finish(s, NULL);
	if (!read_only_name(s, &name))
		return RUN_DONE;
	if (has_wildcard(&name))
		return session_no(s, "[CANNOT] A name may not contain * or %");
	err = store_mailbox_create(s->server->parts.store, s->user, buf_bytes(&name.buf), 0, &s->u.mailbox.mailbox,
		&s->ticket);
	return started(s, err, NULL);
}

bool finish_create(struct session *s, struct buf *out)
{
	if (buf_space(out) < REPLY_ROOM)
		return false;
	buf_put(out, s->tag, s->tag_len);
	buf_puts(out, " OK [MAILBOXID (");
	reply_mailbox_id(out, s->server->parts.store, s->u.mailbox.mailbox);
	buf_puts(out, ")] Created\r\n");
	return true;
}

int cmd_delete(struct session *s, struct conn *c)
{
	struct store *st = s->server->parts.store;
	struct name name;
	uint32_t id;
	int err;

	(void)c;
	if (s->stage == MAILBOX_WAIT)
		return finish(s, "Deleted");
	if (!read_only_name(s, &name))
		return RUN_DONE;
	if (is_inbox(&name))
		return session_no(s, "[CANNOT] INBOX can't be deleted");
	err = store_mailbox_find(st, s->user, buf_bytes(&name.buf), &id);
	if (err == OK)
		err = store_mailbox_delete(st, id, &s->ticket);
	if (err == E_EXIST)
		return session_no(s, "[HASCHILDREN] Delete the mailboxes below it first");
	/* who deletes what he has selected does not lose his session by it, as others do */
	if (err == OK && s->state == STATE_SELECTED && s->view.mailbox == id)
		session_unselect(s);
	return started(s, err, "Deleted");
}

/* RFC 3501 6.3.5: what was in INBOX is elsewhere now. A session that went on
 * with the renamed mailbox would never hear of new mail. The tagged OK goes out
 * first where it is this session. */
static int renamed(struct session *s, int step)
{
	if (step == RUN_DONE && s->answer_kind == ANSWER_OK && s->u.mailbox.inbox) {
		views_lose(s->server->parts.views, s->u.mailbox.mailbox);
		s->phase = SESSION_TAGGED;
	}
	return step;
}

int cmd_rename(struct session *s, struct conn *c)
{
	struct store *st = s->server->parts.store;
	struct parse p = session_args(s);
	struct name from, to;
	int err;

	(void)c;
	if (s->stage == MAILBOX_WAIT)
		return renamed(s, finish(s, "Renamed"));
	if (!read_name(s, &p, &from) || !read_name(s, &p, &to))
		return RUN_DONE;
	if (!parse_end(&p))
		return session_bad(s, "RENAME takes two names");
	if (has_wildcard(&to))
		return session_no(s, "[CANNOT] A name may not contain * or %");
	s->u.mailbox.inbox = is_inbox(&from);
	err = store_mailbox_find(st, s->user, buf_bytes(&from.buf), &s->u.mailbox.mailbox);
	if (err == OK)
		err = store_mailbox_rename(st, s->u.mailbox.mailbox, buf_bytes(&to.buf), &s->ticket);
	return renamed(s, started(s, err, "Renamed"));
}

static int subscribe(struct session *s, bool on)
{
	struct store *st = s->server->parts.store;
	const char *text = on ? "Subscribed" : "Not subscribed any more";
	struct name name;
	uint32_t id;
	int err = OK;

	if (s->stage == MAILBOX_WAIT)
		return finish(s, text);
	if (!read_only_name(s, &name))
		return RUN_DONE;
	/* RFC 3501 6.3.6: a server may check that the name exists; it outlives the mailbox all the same */
	if (on)
		err = store_mailbox_find(st, s->user, buf_bytes(&name.buf), &id);
	if (err == OK && store_subscribed(st, s->user, buf_bytes(&name.buf)) == on)
		return session_ok(s, text);
	if (err == OK)
		err = store_subscribe(st, s->user, buf_bytes(&name.buf), on, &s->ticket);
	return started(s, err, text);
}

int cmd_subscribe(struct session *s, struct conn *c)
{
	(void)c;
	return subscribe(s, true);
}

int cmd_unsubscribe(struct session *s, struct conn *c)
{
	(void)c;
	return subscribe(s, false);
}

int cmd_status(struct session *s, struct conn *c)
{
	struct parse p = session_args(s);
	struct mailbox_state *m = &s->u.mailbox;
	struct name name;
	int err, step;

	if (!read_name(s, &p, &name))
		return RUN_DONE;
	if (!parse_space(&p) || !status_read(&p, &m->items) || !parse_end(&p))
		return session_bad(s, "STATUS takes a mailbox and a list of what to count");
	if (m->items & STATUS_HIGHESTMODSEQ) {
		step = session_condstore(s, c);
		if (step != RUN_DONE)
			return step;
		err = session_durable(s);
		if (err == E_AGAIN)
			return STEP_COMMIT;
		if (err != OK)
			return session_error(s, err);
	}
	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	err = store_mailbox_find(s->server->parts.store, s->user, buf_bytes(&name.buf), &m->mailbox);
	if (err == OK)
		err = status_put(s, conn_output(c), m->mailbox, buf_bytes(&name.buf), m->items);
	return err == OK ? session_ok(s, "Counted") : session_error(s, err);
}
