#include "control/control.h"

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "control/control_session.h"

size_t control_memory(uint32_t sessions)
{
	return arena_size(sizeof(struct control)) + pool_size(sizeof(struct control_session), sessions);
}

int control_init(struct control **control, struct arena *arena, const struct control_config *config)
{
	struct control *c = arena_take(arena, sizeof *c);

	if (!c || !pool_init(&c->sessions, arena, "control sessions", sizeof(struct control_session), config->sessions))
		return E_NOMEM;
	c->config = *config;
	*control = c;
	return OK;
}

/* ---- replies ---- */

void control_reply_err(struct control_session *s, int err, const char *sentence)
{
	static const struct {
		int err;
		const char *word, *sentence;
	} words[] = {
		{ E_SYNTAX, "syntax", "the request makes no sense" },
		{ E_NOENT, "missing", "no such user or mailbox" },
		{ E_FULL, "full", "the quota or the storage is used up" },
		{ E_NOSPC, "full", "the file system is full" },
		{ E_TOOBIG, "too-big", "the message is larger than the box takes" },
		{ E_READONLY, "read-only", "the store takes no changes now" },
		{ E_LIMIT, "limit", "a name is too long or nested too deeply" },
		{ E_DAMAGED, "damaged", "the store is damaged" },
		{ E_STATE, "state", "not now" },
		{ E_ACCESS, "access", "permission denied" },
	};
	struct buf *out = conn_output(s->conn);
	size_t i = 0;

	while (i < sizeof words / sizeof words[0] && words[i].err != err)
		i++;
	if (i < sizeof words / sizeof words[0])
		buf_printf(out, "ERR %s %s\n", words[i].word, sentence ? sentence : words[i].sentence);
	else
		buf_printf(out, "ERR failed %s\n", sentence ? sentence : err_text(err));
}

/* ---- requests ---- */

static int request_status(struct control_session *s, const struct bytes *words, int n)
{
	report_begin(&s->report, s->control->config.report, n == 2 && bytes_is(words[1], "json"));
	s->phase = CONTROL_STATUS;
	return OK;
}

static void log_change(struct control_session *s, const char *what)
{
	const struct port_address *peer = conn_peer(s->conn);

	log_notice("control %u: %s, by uid %u, process %d", (unsigned)conn_number(s->conn), what, (unsigned)peer->uid,
		(int)peer->pid);
}

static int request_users_changed(struct control_session *s, const struct bytes *words, int n)
{
	int err = accounts_reload(s->control->config.place.accounts);

	(void)words;
	(void)n;
	log_change(s, "users changed");
	if (err == OK || err == E_NOENT) /* nobody left is fine */
		buf_puts(conn_output(s->conn), "OK\n");
	else
		control_reply_err(s, err, "the users file can't be read; the log says where");
	return OK;
}

static int request_room(struct control_session *s, const struct bytes *words, int n)
{
	const struct control_config *config = &s->control->config;
	struct account_user user;
	struct store_spare spare;
	int err = account_find(config->place.accounts, words[1], &user);

	(void)n;
	if (err != OK) {
		control_reply_err(s, err, NULL);
		return OK;
	}
	store_spare(config->place.store, user.id, &spare);
	buf_printf(conn_output(s->conn), "OK %llu %llu %llu %llu\n", (unsigned long long)spare.bytes,
		(unsigned long long)spare.quota, (unsigned long long)spare.messages, (unsigned long long)spare.in_log);
	return OK;
}

static int request_remove_user(struct control_session *s, const struct bytes *words, int n)
{
	const struct intake_place *place = &s->control->config.place;
	struct account_user user;
	uint64_t id;
	int err;

	(void)n;
	if (text_number(words[1], UINT32_MAX, &id) != OK || id == 0) {
		control_reply_err(s, E_SYNTAX, NULL);
		return OK;
	}
	/* The users file is the truth: only mail that belongs to nobody may go. */
	(void)accounts_reload(place->accounts);
	if (account_by_id(place->accounts, (uint32_t)id, &user) != E_NOENT) {
		control_reply_err(s, E_STATE, "this user is still in the users file");
		return OK;
	}
	conn_close_user(s->conn, (uint32_t)id);
	err = store_owner_remove(place->store, (uint32_t)id, &s->ticket);
	if (err == E_AGAIN) {
		s->wait = STEP_AGAIN;
		return E_AGAIN;
	}
	log_change(s, "mail of a removed user deleted");
	if (err == OK)
		s->phase = CONTROL_REMOVE;
	else
		control_reply_err(s, err, NULL);
	return OK;
}

static void reload_line(void *context, const char *line)
{
	struct control_session *s = context;
	struct buf *out = conn_output(s->conn);

	/* room stays for the reply itself; the log has all lines */
	log_notice("reload: %s", line);
	if (buf_space(out) >= 2 * CONTROL_REPLY)
		buf_printf(out, ":%.400s\n", line);
}

static int request_reload(struct control_session *s, const struct bytes *words, int n)
{
	const struct reload_parts *parts = s->control->config.reload;
	int err = E_STATE;

	(void)words;
	(void)n;
	if (buf_space(conn_output(s->conn)) < CONN_OUTPUT) {
		s->wait = STEP_OUTPUT;
		return E_AGAIN;
	}
	log_change(s, "reloading");
	if (parts)
		err = reload(parts, reload_line, s);
	if (err == OK)
		buf_puts(conn_output(s->conn), "OK\n");
	else
		control_reply_err(s, err, parts ? "not everything could be reloaded" : NULL);
	return OK;
}

static int request_check(struct control_session *s, const struct bytes *words, int n)
{
	(void)words;
	(void)n;
	s->check_cursor = 0;
	s->findings = 0;
	s->findings_unsaid = 0;
	s->phase = CONTROL_CHECK;
	return OK;
}

static const struct request {
	const char *name;
	int least, most; /* words, the name included */
	/* OK, or E_AGAIN: run again with the same line. */
	int (*run)(struct control_session *s, const struct bytes *words, int n);
} requests[] = {
	{ "STATUS", 1, 2, request_status },
	{ "USERS-CHANGED", 1, 1, request_users_changed },
	{ "RELOAD", 1, 1, request_reload },
	{ "ROOM", 2, 2, request_room },
	{ "DELIVER", 4, 4, control_deliver },
	{ "IMPORT", 8, 8, control_import },
	{ "REMOVE-USER", 2, 2, request_remove_user },
	{ "CHECK", 1, 1, request_check },
	{ "BACKUP", 1, 1, control_backup },
	{ "EVICT-PREVIEW", 1, 4, control_evict_preview },
	{ "EVICT", 1, 2, control_evict_run },
	{ "EVICTED", 1, 2, control_evicted },
};

/* ---- phases ---- */

static int run_line(struct control_session *s, struct bytes line)
{
	uint8_t space[CONTROL_LINE];
	struct bytes words[WORDS_MAX];
	int n = words_cut(line, space, words);

	for (size_t i = 0; n > 0 && i < sizeof requests / sizeof requests[0]; i++) {
		const struct request *r = &requests[i];

		if (bytes_is(words[0], r->name) && n >= r->least && n <= r->most)
			return r->run(s, words, n);
	}
	/* What follows may be a body: nothing here can be trusted any more. */
	control_reply_err(s, E_SYNTAX, "unknown request, or not its number of words");
	s->closing = true;
	return OK;
}

static bool wait_for_request(struct control_session *s, struct bytes in)
{
	if (s->pending_n) {
		s->wait = STEP_COMMIT;
		return false;
	}
	if (in.len >= CONTROL_LINE) {
		control_reply_err(s, E_SYNTAX, "the line is too long");
		s->closing = true;
		return true;
	}
	if (conn_input_ended(s->conn) || s->timed_out) {
		s->closing = true;
		return true;
	}
	conn_deadline(s->conn, conn_now(s->conn) + CONTROL_IDLE_S * (uint64_t)1000000);
	s->wait = STEP_INPUT;
	return false;
}

/* Mail may follow mail without a wait; every other request keeps its turn. */
static bool is_mail(struct bytes line)
{
	return bytes_starts_nocase(line, "IMPORT ") || bytes_starts_nocase(line, "DELIVER ");
}

static bool phase_request(struct control_session *s)
{
	struct bytes in = conn_input(s->conn);
	size_t lf = bytes_index(bytes_part(in, 0, CONTROL_LINE), '\n');
	struct bytes line = bytes_part(in, 0, lf);

	if (!control_answer_messages(s) || buf_space(conn_output(s->conn)) < CONTROL_REPLY) {
		s->wait = STEP_OUTPUT;
		return false;
	}
	if (lf == in.len || lf == CONTROL_LINE)
		return wait_for_request(s, in);
	if (s->pending_n && !is_mail(line)) {
		s->wait = STEP_COMMIT;
		return false;
	}
	if (run_line(s, line) == E_AGAIN)
		return false;
	conn_consume(s->conn, lf + 1);
	return true;
}

static bool phase_status(struct control_session *s)
{
	struct buf *out = conn_output(s->conn);

	do {
		if (buf_space(out) < REPORT_LINE + 8) {
			s->wait = STEP_OUTPUT;
			return false;
		}
		buf_putc(out, ':');
		if (!report_line(&s->report, out))
			break;
		buf_putc(out, '\n');
	} while (true);
	out->len--; /* the ':' of the line that did not come */
	buf_puts(out, "OK\n");
	s->phase = CONTROL_REQUEST;
	return true;
}

static bool phase_remove(struct control_session *s)
{
	int err = store_ticket_result(s->control->config.place.store, s->ticket);

	if (err == E_AGAIN) {
		s->wait = STEP_COMMIT;
		return false;
	}
	if (err == OK)
		buf_puts(conn_output(s->conn), "OK\n");
	else
		control_reply_err(s, err, NULL);
	s->phase = CONTROL_REQUEST;
	return true;
}

static void report_finding(void *context, const char *line)
{
	struct control_session *s = context;
	struct buf *out = conn_output(s->conn);

	s->findings++;
	if (buf_space(out) < CONTROL_REPLY || !buf_printf(out, ":%.400s\n", line)) {
		out->overflow = false;
		s->findings_unsaid++;
	}
}

static bool phase_check(struct control_session *s)
{
	int err;

	if (buf_space(conn_output(s->conn)) < CONN_OUTPUT / 2) {
		s->wait = STEP_OUTPUT;
		return false;
	}
	err = store_check(s->control->config.place.store, &s->check_cursor, report_finding, s);
	if (err == E_AGAIN) {
		conn_label(s->conn, "check");
		s->wait = STEP_AGAIN;
		return false;
	}
	if (s->findings_unsaid)
		buf_printf(conn_output(s->conn), ":%u more findings\n", (unsigned)s->findings_unsaid);
	if (err == OK)
		buf_puts(conn_output(s->conn), "OK\n");
	else
		control_reply_err(s, err, NULL);
	s->phase = CONTROL_REQUEST;
	return true;
}

/* ---- the protocol ---- */

static void *control_open(struct conn *c, void *context)
{
	struct control *control = context;
	struct control_session *s;

	if (conn_peer(c)->family != PORT_UNIX) {
		buf_puts(conn_output(c), "ERR state only unix sockets are served\n");
		return NULL;
	}
	s = pool_get(&control->sessions);
	if (!s) {
		buf_puts(conn_output(c), "ERR state too many control connections\n");
		return NULL;
	}
	s->control = control;
	s->conn = c;
	s->intake_fresh = true;
	return s;
}

static enum step control_step(void *session, struct conn *c)
{
	static bool (*const phases[])(struct control_session *s) = {
		[CONTROL_REQUEST] = phase_request,
		[CONTROL_BODY] = control_phase_body,
		[CONTROL_END] = control_phase_end,
		[CONTROL_STATUS] = phase_status,
		[CONTROL_REMOVE] = phase_remove,
		[CONTROL_CHECK] = phase_check,
		[CONTROL_EVICT_LIST] = control_phase_evict_list,
		[CONTROL_EVICT_RUN] = control_phase_evict_run,
		[CONTROL_EVICTED] = control_phase_evicted,
		[CONTROL_BACKUP] = control_phase_backup,
	};
	struct control_session *s = session;

	s->conn = c;
	s->timed_out = conn_deadline_passed(c);
	conn_deadline(c, 0);
	while (!s->closing && phases[s->phase](s))
		;
	return s->closing ? STEP_CLOSE : s->wait;
}

static void control_close(void *session, struct conn *c, enum conn_end why)
{
	struct control_session *s = session;

	(void)c;
	(void)why;
	intake_abort(&s->intake);
	control_backup_close(s);
	pool_put(&s->control->sessions, s);
}

const struct protocol control_protocol = {
	.name = "control",
	.busy = "ERR busy no place is free for another tool, try again\n",
	.open = control_open,
	.step = control_step,
	.close = control_close,
};
