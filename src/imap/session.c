/* The life of a session and of each of its commands. */
#include "imap/session.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "imap/capability.h"
#include "imap/server.h"

/* Invalid commands before login, after which the connection is closed: whoever
 * speaks another protocol to this port shall not go on for long. */
#define BAD_BEFORE_LOGIN 10

/* Milliseconds after which a command looks again for a free place. */
#define CROWDED_MS 20

/* ---- answers ---- */

int session_answer(struct session *s, enum answer_kind kind, const char *text)
{
	s->answer_kind = (uint8_t)kind;
	s->answer_text = text;
	return RUN_DONE;
}

int session_ok(struct session *s, const char *text)
{
	return session_answer(s, ANSWER_OK, text);
}

int session_no(struct session *s, const char *text)
{
	return session_answer(s, ANSWER_NO, text);
}

int session_bad(struct session *s, const char *text)
{
	return session_answer(s, ANSWER_BAD, text);
}

int session_error(struct session *s, int err)
{
	switch (err) {
	case E_NOENT:
		return session_no(s, "[NONEXISTENT] There is no such mailbox");
	case E_EXIST:
		return session_no(s, "[ALREADYEXISTS] There is such a mailbox already");
	case E_FULL:
		return session_no(s, "[OVERQUOTA] There is no room left for mail");
	case E_NOSPC:
		return session_no(s, "[OVERQUOTA] The disk is full");
	case E_TOOBIG:
		return session_no(s, "[TOOBIG] The message is larger than this server takes");
	case E_LIMIT:
		return session_no(s, "[LIMIT] That is more than this server can keep");
	case E_NOMEM:
		return session_no(s, "[LIMIT] Too much is going on now, try again");
	case E_RANGE:
		return session_no(s, "[CANNOT] That can't be done with this name");
	case E_SYNTAX:
		return session_no(s, "[CANNOT] This name is not possible");
	case E_READONLY:
		return session_no(s, "[UNAVAILABLE] The mail store had to stop writing, see the server's log");
	case E_GONE:
		return session_no(s, "[EXPUNGEISSUED] Some of the messages are no more");
	case E_ACCESS:
		return session_no(s, "[NOPERM] Permission denied");
	case E_DAMAGED:
	case E_IO:
		log_error("imap %u: %s", (unsigned)conn_number(s->conn), err_text(err));
		return session_no(s,
			"[UNAVAILABLE] The mail store can't be read or written there, see the server's log");
	default:
		log_error("imap %u: unexpected: %s", (unsigned)conn_number(s->conn), err_text(err));
		return session_no(s, "[SERVERBUG] This should not happen, see the server's log");
	}
}

int session_bye(struct session *s, const char *text)
{
	s->bye = text;
	s->phase = SESSION_BYE;
	return RUN_DONE;
}

/* ---- what commands use ---- */

struct bytes session_text(const struct session *s, size_t at, size_t len)
{
	return bytes_part(conn_input(s->conn), at, len);
}

struct parse session_args(struct session *s)
{
	struct bytes text = session_text(s, s->args, s->end - s->args);

	if (text.len && text.data[text.len - 1] == '\n')
		text.len--;
	if (text.len && text.data[text.len - 1] == '\r')
		text.len--;
	return parse_begin(text);
}

void *session_unit(struct session *s)
{
	if (!s->unit)
		s->unit = pool_get(&s->server->units);
	return s->unit;
}

int session_crowded(struct session *s)
{
	conn_deadline(s->conn, conn_now(s->conn) + CROWDED_MS * 1000u);
	return STEP_EVENT;
}

int session_wait(struct session *s)
{
	int err = store_ticket_result(s->server->parts.store, s->ticket);

	if (err != E_AGAIN)
		s->ticket = 0;
	return err;
}

int session_durable(struct session *s)
{
	struct store *st = s->server->parts.store;

	if (store_all_durable(st))
		return OK;
	if (store_read_only(st))
		return E_READONLY;
	store_commit_request(st);
	return E_AGAIN;
}

int session_condstore(struct session *s, struct conn *c)
{
	if (s->condstore)
		return RUN_DONE;
	if (s->state == STATE_SELECTED && !s->view.gone) {
		int err = session_durable(s);

		if (err == E_AGAIN)
			return STEP_COMMIT;
		if (!session_room(c, REPLY_ROOM))
			return STEP_OUTPUT;
		if (err != OK)
			buf_puts(conn_output(c), "* OK [NOMODSEQ] Changes can't be counted now\r\n");
		else
			buf_printf(conn_output(c), "* OK [HIGHESTMODSEQ %llu] Changes are counted\r\n",
				(unsigned long long)s->view.modseq);
	}
	s->condstore = true;
	return RUN_DONE;
}

void session_unselect(struct session *s)
{
	view_close(s->server->parts.views, &s->view);
	memset(&s->view, 0, sizeof(s->view));
	memset(&s->tell, 0, sizeof(s->tell));
	if (s->state == STATE_SELECTED)
		s->state = STATE_AUTH;
}

bool session_secret_allowed(const struct session *s)
{
	switch (s->server->config.cleartext) {
	case IMAP_CLEARTEXT_ALWAYS:
		return true;
	case IMAP_CLEARTEXT_LOOPBACK:
		return conn_is_tls(s->conn) || conn_is_local(s->conn);
	default:
		return conn_is_tls(s->conn);
	}
}

/* ---- one command ---- */

/* Gives back what the command holds. */
static void command_end(struct session *s)
{
	if (s->command && s->command->end)
		s->command->end(s);
	s->command = NULL;
	pool_put(&s->server->units, s->unit);
	s->unit = NULL;
	s->ticket = 0;
	s->stage = 0;
	s->uid = s->hold_expunges = false;
	memset(&s->u, 0, sizeof(s->u));
	conn_deadline(s->conn, 0);
	conn_label(s->conn, "imap");
}

void session_take_tag(struct session *s)
{
	struct parse p = parse_begin(conn_input(s->conn));
	struct bytes tag;

	s->tag_len = 0;
	if (!parse_tag(&p, &tag))
		return;
	s->tag_len = (uint8_t)tag.len;
	memcpy(s->tag, tag.data, tag.len);
}

static const char *wrong_state(const struct session *s)
{
	if (s->state == STATE_LOGIN)
		return "Log in first";
	return s->command->states == STATE_LOGIN ? "Already logged in" : "Select a mailbox first";
}

/* Reads tag and name. True when s->command is set, else an answer is. */
static bool read_command(struct session *s)
{
	struct parse p;
	struct bytes tag, name;

	s->args = 0;
	p = session_args(s);
	session_take_tag(s);
	if (!parse_tag(&p, &tag)) {
		session_bad(s, "A command starts with a tag");
		return false;
	}
	if (!parse_space(&p) || !parse_word(&p, &name)) {
		session_bad(s, "A command has a name");
		return false;
	}
	if (bytes_is(name, "UID")) {
		s->uid = true;
		if (!parse_space(&p) || !parse_word(&p, &name)) {
			session_bad(s, "UID needs a command");
			return false;
		}
	}
	s->command = command_find(name, s->uid);
	s->args = (uint32_t)p.at;
	if (!s->command)
		session_bad(s, "Unknown command");
	else if (!(s->command->states & s->state))
		session_bad(s, wrong_state(s));
	else if ((s->command->flags & COMMAND_NO_ARGS) && !parse_end(&p))
		session_bad(s, "This command takes no arguments");
	else
		return true;
	return false;
}

static void begin_command(struct session *s, uint32_t end)
{
	s->end = end;
	memset(&s->u, 0, sizeof(s->u));
	if (!read_command(s)) {
		s->command = NULL;
		s->phase = SESSION_TAGGED;
		return;
	}
	conn_label(s->conn, s->command->name);
	s->server->commands_run++;
	s->phase = SESSION_RUN;
}

/* ---- the phases; each returns RUN_DONE to go on with the phase it has set ---- */

static int phase_greeting(struct session *s, struct conn *c)
{
	struct buf *out = conn_output(c);

	buf_puts(out, "* OK [");
	capability_put(s, out);
	buf_puts(out, "] Cubby is ready\r\n");
	s->phase = SESSION_COMMAND;
	return RUN_DONE;
}

static int phase_command(struct session *s, struct conn *c)
{
	uint32_t end = 0;

	switch (input_next(s, c, &end)) {
	case INPUT_COMPLETE:
	case INPUT_STREAM:
		begin_command(s, end);
		return RUN_DONE;
	case INPUT_MORE:
		return STEP_INPUT;
	case INPUT_ROOM:
		return STEP_OUTPUT;
	case INPUT_CROWDED:
		return session_crowded(s);
	case INPUT_REFUSED:
		s->phase = SESSION_DISCARD;
		return RUN_DONE;
	default:
		s->phase = SESSION_BYE;
		return RUN_DONE;
	}
}

static int phase_run(struct session *s, struct conn *c)
{
	int step = s->command->run(s, c);

	if (step == RUN_DONE && s->phase == SESSION_RUN)
		s->phase = s->answer_kind == ANSWER_BAD ? SESSION_TAGGED : SESSION_TELL;
	return step;
}

static int phase_tell(struct session *s, struct conn *c)
{
	int step = RUN_DONE;

	if (s->state == STATE_SELECTED) {
		bool expunges = s->uid || !(s->command->flags & COMMAND_NO_EXPUNGE);

		step = session_tell(s, c, expunges && !s->hold_expunges);
	}
	if (step == RUN_DONE && s->phase == SESSION_TELL)
		s->phase = SESSION_TAGGED;
	return step;
}

/* The tagged line; true when it is out. */
static bool put_tagged(struct session *s, struct buf *out)
{
	static const char *const kinds[] = { "OK", "NO", "BAD" };

	if (!s->answer_text)
		return s->command->finish(s, out);
	if (buf_space(out) < REPLY_ROOM)
		return false;
	if (s->tag_len)
		buf_put(out, s->tag, s->tag_len);
	else
		buf_putc(out, '*');
	buf_printf(out, " %s %s\r\n", kinds[s->answer_kind], s->answer_text);
	return true;
}

static int phase_tagged(struct session *s, struct conn *c)
{
	if (!put_tagged(s, conn_output(c)))
		return session_room(c, REPLY_ROOM) ? STEP_AGAIN : STEP_OUTPUT;
	if (s->phase == SESSION_BYE)
		return RUN_DONE;
	s->in_line = false;
	if (s->answer_kind == ANSWER_BAD) {
		s->server->commands_bad++;
		if (s->state == STATE_LOGIN && ++s->bad_before_login > BAD_BEFORE_LOGIN) {
			session_bye(s, "Too many invalid commands");
			return RUN_DONE;
		}
	}
	command_end(s);
	input_done(s, c, s->end);
	s->phase = SESSION_COMMAND;
	if (s->closing)
		return STEP_CLOSE;
	if (s->starttls) {
		s->starttls = false;
		return STEP_TLS;
	}
	return RUN_DONE;
}

static int phase_discard(struct session *s, struct conn *c)
{
	switch (input_drop(s, c)) {
	case INPUT_COMPLETE:
		s->end = 0;
		s->phase = SESSION_TAGGED;
		return RUN_DONE;
	case INPUT_MORE:
		return STEP_INPUT;
	default:
		s->phase = SESSION_BYE;
		return RUN_DONE;
	}
}

static int phase_bye(struct session *s, struct conn *c)
{
	if (!s->in_line) {
		if (!session_room(c, REPLY_ROOM))
			return STEP_OUTPUT;
		buf_printf(conn_output(c), "* BYE %s\r\n", s->bye ? s->bye : "Good bye");
	}
	return STEP_CLOSE;
}

static enum step imap_step(void *session, struct conn *c)
{
	static int (*const phases[])(struct session *, struct conn *) = {
		[SESSION_GREETING] = phase_greeting,
		[SESSION_COMMAND] = phase_command,
		[SESSION_RUN] = phase_run,
		[SESSION_TELL] = phase_tell,
		[SESSION_TAGGED] = phase_tagged,
		[SESSION_DISCARD] = phase_discard,
		[SESSION_BYE] = phase_bye,
	};
	struct session *s = session;
	unsigned commands = 0;

	for (;;) {
		bool ends = s->phase == SESSION_TAGGED;
		int step = phases[s->phase](s, c);

		if (step != RUN_DONE)
			return (enum step)step;
		/* the next pipelined command in the next step: others come first */
		if (ends && (++commands >= COMMANDS_PER_STEP || !session_room(c, REPLY_ROOM)))
			return STEP_AGAIN;
	}
}

/* ---- the protocol ---- */

static void *imap_open(struct conn *c, void *context)
{
	struct imap_server *v = context;
	struct session *s = pool_get(&v->sessions);

	if (!s) {
		buf_puts(conn_output(c), "* BYE [UNAVAILABLE] Too many connections, try again later\r\n");
		return NULL;
	}
	s->server = v;
	s->conn = c;
	s->state = STATE_LOGIN;
	s->phase = SESSION_GREETING;
	conn_label(c, "imap");
	return s;
}

/* It reads a message that is gone for all others. */
static bool imap_hurried(void *session)
{
	const struct session *s = session;

	return store_pinned_only(s->server->parts.store, s->pinned);
}

static void imap_farewell(void *session, struct conn *c, enum conn_end why)
{
	struct session *s = session;
	const char *text = "Good bye";

	/* inside a line or a literal the words would be taken for its bytes */
	if (s->in_line || !session_room(c, REPLY_ROOM))
		return;
	switch (why) {
	case CONN_EVICTED:
		text = "[UNAVAILABLE] This connection's place was needed for another login";
		break;
	case CONN_REVOKED:
		text = "This user was removed from the box";
		break;
	case CONN_SHUTDOWN:
		text = "[UNAVAILABLE] The server stops";
		break;
	case CONN_TIMEOUT:
		text = "Too slow";
		break;
	default:
		break;
	}
	buf_printf(conn_output(c), "* BYE %s\r\n", text);
}

static void imap_close(void *session, struct conn *c, enum conn_end why)
{
	struct session *s = session;
	struct imap_server *v = s->server;

	(void)c;
	(void)why;
	command_end(s);
	session_unselect(s);
	pool_put(&v->sessions, s);
}

const struct protocol imap_protocol = {
	.name = "imap",
	.busy = "* BYE [UNAVAILABLE] Too many connections, try again later\r\n",
	.open = imap_open,
	.step = imap_step,
	.farewell = imap_farewell,
	.hurried = imap_hurried,
	.close = imap_close,
};

void imap_wake(void *context)
{
	conn_wake(context);
}
