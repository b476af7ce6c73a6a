/* Mail over the control socket: DELIVER and IMPORT, their bodies and outcomes. */
#include "base/err.h"
#include "base/text.h"
#include "control/control_session.h"
#include "port/system.h"

/* A line "length LF" of a body: digits of a length that fits 31 bits. */
#define CHUNK_LINE 12
#define CHUNK_MAX 0x7FFFFFFFu

static void fail(struct control_session *s, int err)
{
	intake_abort(&s->intake);
	s->failure = err;
}

/* Opens the message; whatever comes of it, its body follows. */
static int begin(struct control_session *s, const struct intake_request *request)
{
	int err;

	if (s->intake_fresh)
		intake_init(&s->intake, &s->control->config.place);
	s->intake_fresh = false;
	err = intake_begin(&s->intake, request);
	if (err == E_AGAIN) {
		s->wait = s->intake.ticket ? STEP_COMMIT : STEP_AGAIN;
		return E_AGAIN;
	}
	s->failure = OK;
	if (err != OK)
		fail(s, err);
	s->intake_fresh = true;
	s->chunk_left = 0;
	s->phase = CONTROL_BODY;
	return OK;
}

/* A request that makes no sense: its body is read and then it is answered. */
static int begin_bad(struct control_session *s)
{
	s->failure = E_SYNTAX;
	s->chunk_left = 0;
	s->phase = CONTROL_BODY;
	return OK;
}

int control_deliver(struct control_session *s, const struct bytes *words, int n)
{
	int64_t now = port_wall_time();
	struct intake_request request = {
		.user = words[1],
		.mailbox = words[2],
		.received = { now, port_zone_minutes(now) },
	};

	(void)n;
	if (text_number(words[3], LIMIT_MESSAGE, &request.size) != OK)
		return begin_bad(s);
	return begin(s, &request);
}

static bool parse_flags(struct bytes letters, uint8_t *flags)
{
	*flags = 0;
	for (size_t i = 0; i < letters.len; i++) {
		uint8_t flag = intake_flag((char)letters.data[i]);

		if (!flag)
			return false;
		*flags |= flag;
	}
	return true;
}

/* A number that may have a '-' in front. */
static bool parse_signed(struct bytes word, uint64_t max, int64_t *value)
{
	bool negative = word.len && word.data[0] == '-';
	uint64_t n;

	if (text_number(bytes_part(word, negative, word.len), max, &n) != OK)
		return false;
	*value = negative ? -(int64_t)n : (int64_t)n;
	return true;
}

int control_import(struct control_session *s, const struct bytes *words, int n)
{
	/* The last second of the year 9999, the last that IMAP can write. */
	const uint64_t latest = 253402300799u;
	struct intake_request request = { .user = words[1],
		.mailbox = words[2],
		.create = true,
		.keywords = words[4],
		.spare = true };
	int64_t zone;

	(void)n;
	if (!parse_flags(words[3], &request.flags) || !parse_signed(words[5], latest, &request.received.seconds) ||
		!parse_signed(words[6], 24 * 60, &zone) || text_number(words[7], LIMIT_MESSAGE, &request.size) != OK)
		return begin_bad(s);
	request.received.zone = (int)zone;
	return begin(s, &request);
}

/* Reads "length LF". OK; E_AGAIN: not all there; E_SYNTAX. */
static int chunk_line(struct control_session *s, struct bytes in, uint64_t *length)
{
	size_t lf = bytes_index(bytes_part(in, 0, CHUNK_LINE), '\n');

	if (lf == in.len && lf < CHUNK_LINE)
		return E_AGAIN;
	if (lf >= CHUNK_LINE || text_number(bytes_part(in, 0, lf), CHUNK_MAX, length) != OK)
		return E_SYNTAX;
	conn_consume(s->conn, lf + 1);
	return OK;
}

static bool wait_for_body(struct control_session *s)
{
	if (conn_input_ended(s->conn) || s->timed_out) {
		s->closing = true;
		return true;
	}
	conn_deadline(s->conn, conn_now(s->conn) + CONTROL_IDLE_S * (uint64_t)1000000);
	s->wait = STEP_INPUT;
	return false;
}

bool control_phase_body(struct control_session *s)
{
	struct bytes in = conn_input(s->conn);
	int err = OK;

	if (s->chunk_left == 0) {
		err = in.len ? chunk_line(s, in, &s->chunk_left) : E_AGAIN;
		if (err == E_SYNTAX) {
			control_reply_err(s, E_SYNTAX, "a chunk is its length, LF, and its bytes");
			s->closing = true;
			return true;
		}
		if (err == OK && s->chunk_left == 0)
			s->phase = CONTROL_END;
		return err == OK || wait_for_body(s);
	}
	if (in.len == 0) {
		(void)conn_want_long(s->conn); /* fewer turns; the short one will do */
		return wait_for_body(s);
	}
	if (in.len > s->chunk_left)
		in.len = (size_t)s->chunk_left;
	if (s->failure == OK) {
		err = intake_write(&s->intake, in.data, in.len);
		if (err != OK)
			fail(s, err);
	}
	conn_consume(s->conn, in.len);
	s->chunk_left -= in.len;
	return true;
}

bool control_phase_end(struct control_session *s)
{
	struct control_message *m;
	int err = s->failure;

	if (!control_answer_messages(s)) {
		s->wait = STEP_OUTPUT;
		return false;
	}
	if (s->pending_n == CONTROL_PENDING) {
		s->wait = STEP_COMMIT;
		return false;
	}
	if (err == OK)
		err = intake_end(&s->intake);
	if (err == E_AGAIN) {
		s->wait = STEP_AGAIN;
		return false;
	}
	if (err != OK)
		intake_abort(&s->intake);
	m = &s->pending[(s->pending_first + s->pending_n++) % CONTROL_PENDING];
	*m = (struct control_message){ .err = err,
		.ticket = err == OK ? s->intake.ticket : 0,
		.uid = s->intake.target.uid,
		.keywords_lost = s->intake.keywords_lost };
	s->failure = OK;
	s->phase = CONTROL_REQUEST;
	return true;
}

bool control_answer_messages(struct control_session *s)
{
	struct buf *out = conn_output(s->conn);

	while (s->pending_n) {
		struct control_message *m = &s->pending[s->pending_first];

		if (m->ticket) {
			m->err = store_ticket_result(s->control->config.place.store, m->ticket);
			if (m->err == E_AGAIN)
				return true;
			m->ticket = 0;
		}
		if (buf_space(out) < CONTROL_REPLY)
			return false;
		if (m->err == OK)
			buf_printf(out, "OK %u %u\n", (unsigned)m->uid, m->keywords_lost);
		else
			control_reply_err(s, m->err, NULL);
		s->pending_first = (s->pending_first + 1) % CONTROL_PENDING;
		s->pending_n--;
	}
	return true;
}
