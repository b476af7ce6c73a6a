#include "mta/smtp.h"

#include "base/err.h"
#include "base/text.h"
#include "mta/smtp_session.h"

size_t smtp_memory(uint32_t sessions)
{
	return arena_size(sizeof(struct smtp)) + pool_size(sizeof(struct smtp_session), sessions);
}

int smtp_init(struct smtp **service, struct arena *arena, const struct smtp_config *config)
{
	struct smtp *s = arena_take(arena, sizeof *s);

	if (!s || !pool_init(&s->sessions, arena, "delivery sessions", sizeof(struct smtp_session), config->sessions))
		return E_NOMEM;
	s->config = *config;
	*service = s;
	return OK;
}

void smtp_status(const struct smtp *service, struct smtp_status *out)
{
	*out = service->status;
}

const struct pool *smtp_pool(const struct smtp *service)
{
	return &service->sessions;
}

/* ---- replies ---- */

void smtp_reply(struct smtp_session *s, unsigned code, const char *enhanced, const char *text)
{
	struct buf *out = conn_output(s->conn);

	if (enhanced)
		buf_printf(out, "%u %s %s\r\n", code, enhanced, text);
	else
		buf_printf(out, "%u %s\r\n", code, text);
}

bool smtp_reply_outcome(struct smtp_session *s, int err)
{
	static const struct {
		int err;
		unsigned code;
		const char *enhanced, *text;
	} outcomes[] = {
		{ OK, 250, "2.0.0", "Kept" },
		{ E_TOOBIG, 552, "5.3.4", "Message is larger than this box takes" },
		{ E_FULL, 452, "4.2.2", "Mailbox or storage is full" },
		{ E_NOSPC, 452, "4.3.1", "Storage is full" },
		{ E_NOENT, 550, "5.1.1", "No such user here" },
		{ E_READONLY, 451, "4.3.0", "Store takes no mail now" },
		{ E_IO, 451, "4.3.0", "Storage failed" },
		{ E_AGAIN, 451, "4.3.2", "Too much mail arrives at once" },
		{ E_NOMEM, 451, "4.3.2", "Too much mail arrives at once" },
	};
	size_t i = 0;

	while (i < sizeof outcomes / sizeof outcomes[0] && outcomes[i].err != err)
		i++;
	if (i < sizeof outcomes / sizeof outcomes[0])
		smtp_reply(s, outcomes[i].code, outcomes[i].enhanced, outcomes[i].text);
	else
		smtp_reply(s, 451, "4.3.0", "Can't be kept now");
	return err == OK;
}

/* ---- session ---- */

void smtp_reset(struct smtp_session *s)
{
	if (s->arrival)
		arrival_abort(s->arrival);
	s->arrival = NULL;
	s->mail = false;
	s->utf8 = false;
	s->failure = OK;
	s->declared = 0;
	s->n_recipients = 0;
	s->replied = 0;
	s->sender_len = 0;
	s->only_len = 0;
	s->ticket = 0;
	s->ticket_err = OK;
	s->waiting_since = 0;
}

void *smtp_open(struct smtp *service, const struct smtp_dialect *dialect, struct conn *c)
{
	struct smtp_session *s = pool_get(&service->sessions);
	struct buf *out = conn_output(c);

	if (!s) {
		buf_printf(out, "421 %s too many deliveries at once\r\n", service->config.domain);
		return NULL;
	}
	s->service = service;
	s->dialect = dialect;
	s->conn = c;
	s->phase = SMTP_COMMAND;
	buf_printf(out, "220 %s %s\r\n", service->config.domain, dialect->service);
	return s;
}

void smtp_close(void *session, struct conn *c, enum conn_end why)
{
	struct smtp_session *s = session;

	(void)c;
	(void)why;
	smtp_reset(s);
	pool_put(&s->service->sessions, s);
}

void smtp_farewell(void *session, struct conn *c, enum conn_end why)
{
	struct smtp_session *s = session;

	/* While a message is being answered the replies would be taken for its. */
	if (s->phase == SMTP_COMMAND)
		buf_printf(conn_output(c), "421 4.3.2 %s\r\n", why == CONN_SHUTDOWN ? "Server stops" : "Closing");
}

/* ---- command lines ---- */

static void close_with(struct smtp_session *s, const char *enhanced, const char *text)
{
	smtp_reply(s, 421, enhanced, text);
	s->closing = true;
}

static void count_error(struct smtp_session *s)
{
	if (++s->errors >= SMTP_ERRORS && !s->closing)
		close_with(s, "4.7.0", "Too many errors");
}

/* E_AGAIN: to be run again, its line stays. */
static int run_line(struct smtp_session *s, struct bytes line)
{
	struct bytes rest = line, word;
	size_t i;

	/* RFC 5321 2.3.8: LF alone ends nothing. */
	if (line.len == 0 || line.data[line.len - 1] != '\r' || bytes_index(line, '\r') != line.len - 1) {
		smtp_reply(s, 500, "5.5.2", "Lines end with CR LF");
		return E_SYNTAX;
	}
	rest.len--;
	word = text_word(&rest);
	for (i = 0; i < s->dialect->n_commands; i++)
		if (bytes_is(word, s->dialect->commands[i].name))
			return s->dialect->commands[i].run(s, rest);
	smtp_reply(s, 500, "5.5.1", "Unknown command");
	return E_SYNTAX;
}

/* No whole line is there. */
static bool wait_for_line(struct smtp_session *s, struct bytes in)
{
	if (conn_input_ended(s->conn)) {
		s->closing = true;
		return true;
	}
	if (s->timed_out) {
		close_with(s, "4.4.2", "Timeout");
		return true;
	}
	if (in.len >= SMTP_LINE || s->skipping) {
		if (!s->skipping) {
			smtp_reply(s, 500, "5.5.2", "Line too long");
			count_error(s);
		}
		s->skipping = true;
		conn_consume(s->conn, in.len);
	}
	conn_deadline(s->conn, conn_now(s->conn) + SMTP_COMMAND_S * (uint64_t)1000000);
	s->wait = STEP_INPUT;
	return false;
}

static bool phase_command(struct smtp_session *s)
{
	struct bytes in = conn_input(s->conn);
	size_t lf = bytes_index(in, '\n');
	int err;

	if (buf_space(conn_output(s->conn)) < SMTP_REPLY_ROOM) {
		s->wait = STEP_OUTPUT;
		return false;
	}
	if (lf == in.len)
		return wait_for_line(s, in);
	s->timed_out = false; /* a command is there: it was not what was waited for */
	s->input_behind = in.len > lf + 1;
	if (s->skipping) {
		s->skipping = false;
		conn_consume(s->conn, lf + 1);
		return true;
	}
	if (lf >= SMTP_LINE) {
		smtp_reply(s, 500, "5.5.2", "Line too long");
		err = E_LIMIT;
	} else {
		err = run_line(s, bytes_part(in, 0, lf));
	}
	if (err == E_AGAIN)
		return s->phase != SMTP_COMMAND;
	conn_consume(s->conn, lf + 1);
	if (err != OK)
		count_error(s);
	return true;
}

/* What the command that waits for it needed is durable, or was lost. */
static bool phase_ticket(struct smtp_session *s)
{
	int err = store_ticket_result(s->service->config.store, s->ticket);

	if (err == E_AGAIN) {
		s->wait = STEP_COMMIT;
		return false;
	}
	s->ticket_err = err;
	s->ticket = 0;
	s->phase = SMTP_COMMAND;
	return true;
}

enum step smtp_step(void *session, struct conn *c)
{
	static bool (*const phases[])(struct smtp_session *s) = {
		[SMTP_COMMAND] = phase_command,
		[SMTP_TICKET] = phase_ticket,
		[SMTP_DATA] = smtp_phase_data,
		[SMTP_FINISH] = smtp_phase_finish,
		[SMTP_COMMIT] = smtp_phase_commit,
		[SMTP_RESULT] = smtp_phase_result,
	};
	struct smtp_session *s = session;

	s->conn = c;
	s->timed_out = conn_deadline_passed(c);
	conn_deadline(c, 0);
	while (!s->closing && phases[s->phase](s))
		;
	return s->closing ? STEP_CLOSE : s->wait;
}
