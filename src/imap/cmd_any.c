/* Commands about the session itself: CAPABILITY, NOOP, CHECK, LOGOUT, ID
 * (RFC 2971), ENABLE (RFC 5161), NAMESPACE (RFC 2342). */
#include "base/err.h"
#include "imap/capability.h"
#include "imap/commands.h"
#include "imap/server.h"

int cmd_capability(struct session *s, struct conn *c)
{
	struct buf *out = conn_output(c);

	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	buf_puts(out, "* ");
	capability_put(s, out);
	buf_puts(out, "\r\n");
	return session_ok(s, "That is all");
}

/* Who uses CONDSTORE is told of flags once they are on flash; who polls for them
 * shall not have to wait until nobody changes any (RFC 3501 6.1.2). */
int cmd_noop(struct session *s, struct conn *c)
{
	(void)c;
	if (s->condstore && view_pending(s->server->parts.views, &s->view) && session_durable(s) == E_AGAIN)
		return STEP_COMMIT;
	return session_ok(s, "Done");
}

/* What was answered so far is on flash when this is answered (RFC 3501 6.4.1). */
int cmd_check(struct session *s, struct conn *c)
{
	int err = session_durable(s);

	(void)c;
	if (err == E_AGAIN)
		return STEP_COMMIT;
	return err == OK ? session_ok(s, "All is stored") : session_error(s, err);
}

int cmd_logout(struct session *s, struct conn *c)
{
	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	session_unselect(s);
	buf_puts(conn_output(c), "* BYE Logging out\r\n");
	s->closing = true;
	return session_ok(s, "Good bye");
}

/* id-params-list of RFC 2971 section 4: read, because it must be correct, and
 * forgotten. */
static bool skip_id(struct session *s, struct parse *p)
{
	struct buf scratch;
	struct bytes word;

	if (parse_keyword(p, "NIL"))
		return parse_end(p);
	if (!parse_char(p, '('))
		return false;
	while (!parse_char(p, ')')) {
		buf_init(&scratch, s->server->scratch, SERVER_SCRATCH);
		if (!parse_string(p, &scratch, &word) || !parse_space(p) || !parse_nstring(p, &scratch, &word))
			return false;
		parse_space(p);
	}
	return parse_end(p);
}

int cmd_id(struct session *s, struct conn *c)
{
	struct parse p = session_args(s);

	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	if (!parse_space(&p) || !skip_id(s, &p))
		return session_bad(s, "ID takes NIL or a list of strings");
	buf_puts(conn_output(c), "* ID (\"name\" \"Cubby\")\r\n");
	return session_ok(s, "Nice to meet you");
}

/* Unknown words are passed over (RFC 5161 section 3.1), ones that are sent
 * unasked as well: mutt enables UTF8=ACCEPT wherever there is ENABLE. */
int cmd_enable(struct session *s, struct conn *c)
{
	struct parse p = session_args(s);
	struct bytes word;
	bool condstore = false, any = false;
	int step;

	while (parse_space(&p) && parse_atom(&p, &word)) {
		any = true;
		condstore |= bytes_is(word, "CONDSTORE");
	}
	if (!any || !parse_end(&p))
		return session_bad(s, "ENABLE takes names of capabilities");
	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	if (s->stage == 0) {
		buf_printf(conn_output(c), "* ENABLED%s\r\n", condstore ? " CONDSTORE" : "");
		s->stage = 1;
	}
	step = condstore ? session_condstore(s, c) : RUN_DONE;
	return step == RUN_DONE ? session_ok(s, "Enabled") : step;
}

int cmd_namespace(struct session *s, struct conn *c)
{
	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	buf_puts(conn_output(c), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	return session_ok(s, "That is the only one");
}
