/* IDLE (RFC 2177): the session says at once what changes, and holds no buffer
 * meanwhile. It is never timed out; a line now and then keeps the way open
 * through routers that forget. */
#include "imap/commands.h"
#include "imap/server.h"

enum idle_stage { IDLE_BEGIN, IDLE_WAIT };

static int begin(struct session *s, struct conn *c)
{
	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	buf_puts(conn_output(c), "+ Waiting\r\n");
	/* DONE and what is behind it in the same packet stay where they are */
	input_done(s, c, s->end);
	s->end = 0;
	s->stage = IDLE_WAIT;
	conn_idle(c, true);
	return RUN_DONE;
}

/* The line that ends it: true with the answer set. */
static bool done(struct session *s, struct conn *c, int *step)
{
	struct bytes line;
	uint32_t end;

	switch (input_line(s, c, &end)) {
	case INPUT_COMPLETE:
		break;
	case INPUT_MORE:
		return false;
	default:
		*step = s->phase == SESSION_BYE ? RUN_DONE : session_bye(s, "IDLE ends with DONE");
		return true;
	}
	line = session_text(s, 0, end);
	while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
		line.len--;
	s->end = end;
	*step = bytes_is(line, "DONE") ? session_ok(s, "Done") : session_bad(s, "IDLE ends with DONE");
	return true;
}

static int wait(struct session *s, struct conn *c)
{
	uint64_t every = s->server->config.idle_notify_s * UINT64_C(1000000);

	if (every == 0)
		return STEP_EVENT;
	if (s->u.idle.next && conn_now(c) >= s->u.idle.next) {
		if (!session_room(c, REPLY_ROOM))
			return STEP_OUTPUT;
		buf_puts(conn_output(c), "* OK Still here\r\n");
		s->u.idle.next = 0;
	}
	if (!s->u.idle.next)
		s->u.idle.next = conn_now(c) + every;
	conn_deadline(c, s->u.idle.next);
	return STEP_EVENT;
}

int cmd_idle(struct session *s, struct conn *c)
{
	int step;

	if (s->stage == IDLE_BEGIN) {
		step = begin(s, c);
		if (step != RUN_DONE)
			return step;
	}
	step = s->state == STATE_SELECTED ? session_tell(s, c, true) : RUN_DONE;
	if (step != RUN_DONE || s->phase == SESSION_BYE)
		return step;
	if (done(s, c, &step))
		return step;
	return wait(s, c);
}

void end_idle(struct session *s)
{
	if (s->stage != IDLE_BEGIN)
		conn_idle(s->conn, false);
}
