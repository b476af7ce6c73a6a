/* DATA: the message as it comes, its recipients judged once its size is known, and a
 * reply for each of them. */
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "mta/smtp_session.h"

static bool loses_message(struct smtp_session *s, int err)
{
	if (err == OK)
		return false;
	if (s->arrival)
		arrival_abort(s->arrival);
	s->arrival = NULL;
	s->failure = err;
	return true;
}

static int put_trace(struct smtp_session *s)
{
	const struct smtp_config *config = &s->service->config;
	const struct port_address *peer = conn_peer(s->conn);
	uint8_t space[TRACE_MAX];
	char address[46 + 1];
	int64_t now = config->wall_time();
	struct trace t = {
		.sender = bytes_make(s->sender, s->sender_len),
		.recipient = bytes_make(s->only, s->n_recipients == 1 ? s->only_len : 0),
		.helo = bytes_make(s->helo, s->helo_len),
		.domain = bytes_of(config->domain),
		.with = s->utf8 ? s->dialect->with_utf8 : s->dialect->with,
		.number = conn_number(s->conn),
		.message = s->messages,
		.date = { now, config->zone_minutes(now) },
	};
	struct buf out;

	if (peer->family != PORT_UNIX) {
		address[port_address_text(peer, address)] = 0;
		t.peer = address;
		t.peer_ip6 = peer->family == PORT_IP6;
	}
	buf_init(&out, space, sizeof space);
	if (!trace_put(&out, &t))
		return E_LIMIT;
	return arrival_write(s->arrival, out.data, out.len);
}

/* Waits for a place for the arriving message, within reason. */
static int wait_for_place(struct smtp_session *s)
{
	uint64_t now = conn_now(s->conn);

	if (s->waiting_since == 0)
		s->waiting_since = now;
	if (now - s->waiting_since > SMTP_PLACE_US)
		return E_NOMEM;
	conn_deadline(s->conn, now + SMTP_PLACE_LOOK_US);
	s->wait = STEP_EVENT;
	return E_AGAIN;
}

int smtp_data(struct smtp_session *s, struct bytes args)
{
	int err;

	if (text_trim(args).len) {
		smtp_reply(s, 501, "5.5.4", "DATA takes no argument");
		return E_SYNTAX;
	}
	/* RFC 2920 3.1: DATA is the last command of a group. A sender that sends
	 * text without looking at the answer would have it run as commands when the
	 * answer is not 354. */
	if (s->input_behind) {
		smtp_reply(s, 421, "4.5.1", "Text came before the answer to DATA");
		s->closing = true;
		return OK;
	}
	if (!s->mail || s->n_recipients == 0) {
		smtp_reply(s, 503, "5.5.1", s->mail ? "No recipient was taken" : "Say MAIL first");
		return E_STATE;
	}
	/* SIZE= is an estimate (RFC 1870 section 5), and the trace fields come on
	 * top: the size is not known here. */
	err = arrival_begin(s->service->config.arrivals, 0, false, &s->arrival);
	if (err == E_AGAIN || err == E_NOMEM)
		err = wait_for_place(s);
	if (err == E_AGAIN)
		return E_AGAIN;
	s->waiting_since = 0;
	s->messages++;
	if (err == OK) {
		err = put_trace(s);
		if (loses_message(s, err))
			s->failure = OK; /* said here and now */
	}
	if (err != OK) {
		smtp_reply_outcome(s, err);
		s->service->status.refused++;
		smtp_reset(s);
		return OK;
	}
	smtp_reply(s, 354, NULL, "Go on, end with a dot");
	dots_begin(&s->dots);
	s->message_deadline = conn_now(s->conn) + SMTP_MESSAGE_S * (uint64_t)1000000;
	s->phase = SMTP_DATA;
	return OK;
}

/* While room is made for what comes, it waits in the connection. */
static bool may_come(struct smtp_session *s, size_t len)
{
	int err = s->arrival && len ? arrival_ready(s->arrival, s->n_recipients == 1 ? s->recipients[0].owner : 0, len)
				    : OK;

	if (err == E_AGAIN) {
		s->wait = STEP_AGAIN;
		return false;
	}
	(void)loses_message(s, err);
	return true;
}

bool smtp_phase_data(struct smtp_session *s)
{
	struct bytes in = conn_input(s->conn), text;
	uint64_t now = conn_now(s->conn), deadline = now + SMTP_DATA_S * (uint64_t)1000000;
	size_t taken = 0;
	bool end = false;

	if (now >= s->message_deadline || (in.len == 0 && s->timed_out)) {
		smtp_reply(s, 421, "4.4.2", "Timeout");
		s->closing = true;
		return true;
	}
	if (!may_come(s, in.len))
		return false;
	while (taken < in.len && !end) {
		taken += dots_take(&s->dots, bytes_part(in, taken, in.len), &text, &end);
		if (text.len && s->arrival)
			loses_message(s, arrival_write(s->arrival, text.data, text.len));
	}
	conn_consume(s->conn, taken);
	if (end) {
		s->phase = SMTP_FINISH;
		return true;
	}
	if (conn_input_ended(s->conn)) {
		s->closing = true;
		return true;
	}
	conn_deadline(s->conn, deadline < s->message_deadline ? deadline : s->message_deadline);
	s->wait = STEP_INPUT;
	return false;
}

/* Judges one recipient now that the size is known, and adds his mailbox unless
 * another recipient has it already. */
static void add_target(struct smtp_session *s, struct smtp_recipient *r, struct store_target *targets, size_t *n)
{
	size_t shown = 1; /* in so many mailboxes of the same user */
	struct store *st = s->service->config.store;
	struct store_mailbox box;
	int64_t now = s->service->config.wall_time();

	r->err = store_mailbox_get(st, r->mailbox, &box);
	if (r->err == E_NOENT) /* deleted since RCPT */
		r->err = store_mailbox_find(st, r->owner, bytes_of("INBOX"), &r->mailbox);
	if (r->err != OK)
		return;
	for (size_t i = 0; i < *n; i++) {
		if (targets[i].mailbox == r->mailbox)
			return;
		shown += store_mailbox_get(st, targets[i].mailbox, &box) == OK && box.owner == r->owner;
	}
	r->err = store_room_in(st, r->owner, arrival_size(s->arrival), shown);
	if (r->err != OK)
		return;
	targets[(*n)++] = (struct store_target){
		.mailbox = r->mailbox,
		.received = now,
		.zone = (int16_t)s->service->config.zone_minutes(now),
	};
}

/* True: the store looks whether old mail may go for the message. */
static bool is_undecided(const struct smtp_session *s)
{
	for (unsigned i = 0; i < s->n_recipients; i++)
		if (s->recipients[i].err == E_AGAIN)
			return true;
	return false;
}

static void fail_all(struct smtp_session *s, int err)
{
	for (unsigned i = 0; i < s->n_recipients; i++)
		if (s->recipients[i].err == OK)
			s->recipients[i].err = err;
}

bool smtp_phase_finish(struct smtp_session *s)
{
	struct store_target targets[STORE_TARGETS];
	uint64_t size = s->arrival ? arrival_size(s->arrival) : 0;
	size_t n = 0;
	int err = s->failure;

	s->phase = SMTP_RESULT;
	if (!s->arrival) {
		fail_all(s, err);
		return true;
	}
	for (unsigned i = 0; i < s->n_recipients; i++)
		add_target(s, &s->recipients[i], targets, &n);
	if (is_undecided(s)) {
		s->phase = SMTP_FINISH;
		s->wait = STEP_AGAIN;
		return false;
	}
	if (n == 0) {
		loses_message(s, E_FULL);
		return true;
	}
	err = arrival_commit(s->arrival, targets, n, &s->ticket);
	if (err == E_AGAIN) {
		s->phase = SMTP_FINISH;
		s->wait = STEP_AGAIN;
		return false;
	}
	if (loses_message(s, err)) {
		fail_all(s, err);
		return true;
	}
	s->arrival = NULL;
	s->declared = size; /* for the count and the log */
	s->phase = SMTP_COMMIT;
	return true;
}

bool smtp_phase_commit(struct smtp_session *s)
{
	int err = store_ticket_result(s->service->config.store, s->ticket);

	if (err == E_AGAIN) {
		s->wait = STEP_COMMIT;
		return false;
	}
	if (err != OK) {
		fail_all(s, err);
	} else {
		s->service->status.messages++;
		s->service->status.bytes += s->declared;
		log_notice("%s %u: message of %llu bytes from <%.*s> kept for %u recipients", s->dialect->name,
			(unsigned)conn_number(s->conn), (unsigned long long)s->declared, (int)s->sender_len,
			(const char *)s->sender, s->n_recipients);
	}
	s->phase = SMTP_RESULT;
	return true;
}

bool smtp_phase_result(struct smtp_session *s)
{
	/* RFC 2033 4.2: one reply for each recipient, in the order of RCPT. */
	for (; s->replied < s->n_recipients; s->replied++) {
		if (buf_space(conn_output(s->conn)) < SMTP_REPLY_ROOM) {
			s->wait = STEP_OUTPUT;
			return false;
		}
		if (smtp_reply_outcome(s, s->recipients[s->replied].err))
			s->service->status.recipients++;
		else
			s->service->status.refused++;
	}
	smtp_reset(s);
	s->phase = SMTP_COMMAND;
	return true;
}
