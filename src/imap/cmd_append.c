/* APPEND: judged at the header of its literal, before a byte of it is taken;
 * then the message streams into an arrival (view/arrival.h). */
#include <string.h>

#include "base/err.h"
#include "imap/commands.h"
#include "imap/flags.h"
#include "imap/server.h"
#include "mail/date.h"

enum append_stage { APPEND_READ, APPEND_DATA, APPEND_LINE, APPEND_COMMIT, APPEND_WAIT };

/* Seconds that an APPEND waits for one of the places for arriving mail. */
#define APPEND_PLACE_S 30

/* The answer is set; what the client sends of the literal all the same is
 * thrown away. */
static int refuse(struct session *s, struct conn *c, const struct literal_mark *mark, uint32_t end)
{
	arrival_abort(s->u.append.arrival);
	s->u.append.arrival = NULL;
	if (input_refuse(s, c, mark, end) == INPUT_REFUSED)
		s->phase = SESSION_DISCARD;
	s->end = 0;
	return RUN_DONE;
}

/* [SP flag-list] [SP date-time] SP, up to the literal. */
static bool read_options(struct parse *p, struct parse_flags *flags, struct date *date, bool *dated)
{
	struct bytes text;

	memset(flags, 0, sizeof(*flags));
	*dated = false;
	if (!parse_space(p))
		return false;
	if (parse_peek(p) == '(' && (!parse_flag_list(p, false, flags) || !parse_space(p)))
		return false;
	if (parse_peek(p) != '"')
		return true;
	*dated = true;
	return parse_string(p, NULL, &text) && date_parse_imap_time(text, date) == OK && parse_space(p);
}

static void fill_target(struct session *s, const struct parse_flags *flags, const struct date *date, bool dated)
{
	const struct imap_config *config = &s->server->config;
	struct store_target *t = &s->u.append.target;

	t->flags = flags->flags;
	if (dated) {
		t->received = date->seconds;
		t->zone = (int16_t)date->zone;
		return;
	}
	t->received = config->wall_time ? config->wall_time() : 0;
	t->zone = (int16_t)(config->zone_minutes ? config->zone_minutes(t->received) : 0);
}

/* Reads what stands before the literal. False: an answer is set. */
static bool read_append(struct session *s, struct parse *p, struct parse_flags *flags)
{
	struct store *st = s->server->parts.store;
	struct append_state *a = &s->u.append;
	uint8_t space[LIMIT_MAILBOX_NAME];
	struct store_mailbox m;
	struct date date;
	struct buf name;
	bool dated;
	int err;

	buf_init(&name, space, sizeof(space));
	err = parse_space(p) ? parse_mailbox(p, &name) : E_SYNTAX;
	if (err == E_SYNTAX || !read_options(p, flags, &date, &dated) || !parse_end(p)) {
		session_bad(s, "APPEND takes a mailbox, perhaps flags and a date, and a literal");
		return false;
	}
	if (flags->unknown) {
		session_bad(s, "There is no such flag with a backslash");
		return false;
	}
	if (err == OK)
		err = store_mailbox_find(st, s->user, buf_bytes(&name), &a->target.mailbox);
	if (err == OK)
		err = store_mailbox_get(st, a->target.mailbox, &m);
	if (err == E_NOENT)
		session_no(s, "[TRYCREATE] There is no such mailbox");
	else if (err != OK)
		session_error(s, err);
	if (err != OK)
		return false;
	a->uidvalidity = m.uidvalidity;
	fill_target(s, flags, &date, dated);
	return true;
}

/* Whether a message of that size may come: OK; RUN_DONE: an answer is set; a step:
 * the store looks whether old mail may go for it. */
static int has_room(struct session *s, const struct literal_mark *mark)
{
	int err;

	if (mark->binary) {
		return session_bad(s, "BINARY is not offered");
	}
	if (mark->len == 0) {
		return session_no(s, "[CANNOT] A message has at least one byte");
	}
	err = mark->len > server_append_limit(s->server) ? E_TOOBIG
							 : store_room(s->server->parts.store, s->user, mark->len);
	if (err == E_AGAIN)
		return STEP_AGAIN;
	return err == OK ? OK : session_error(s, err);
}

/* RUN_DONE: an answer is set; OK: the literal may come; else a step. */
static int judge(struct session *s, struct conn *c, struct literal_mark *mark)
{
	struct append_state *a = &s->u.append;
	struct parse p = session_args(s);
	struct parse_flags flags;
	int err;

	if (!literal_mark(p.text, mark)) {
		*mark = (struct literal_mark){ .sync = true };
		return session_bad(s, "APPEND needs a literal");
	}
	p.text.len = mark->at;
	if (!read_append(s, &p, &flags))
		return RUN_DONE;
	err = has_room(s, mark);
	if (err != OK)
		return err;
	err = flags_keywords(s, a->target.mailbox, &flags, true, &a->target.keywords);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	if (err == E_LIMIT)
		return session_no(s, "[LIMIT] A mailbox can't have that many keywords, or one that long");
	if (err != OK)
		return session_error(s, err);
	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	err = arrival_begin(s->server->parts.arrivals, mark->len, false, &a->arrival);
	if (err == E_AGAIN) {
		if (!a->deadline)
			a->deadline = conn_now(c) + APPEND_PLACE_S * UINT64_C(1000000);
		return conn_now(c) < a->deadline ? session_crowded(s) : session_error(s, E_NOMEM);
	}
	return err == OK ? OK : session_error(s, err);
}

static int begin(struct session *s, struct conn *c)
{
	struct append_state *a = &s->u.append;
	struct literal_mark mark;
	int step = judge(s, c, &mark);

	if (step == RUN_DONE)
		return refuse(s, c, &mark, s->end);
	if (step != OK || !a->arrival)
		return step;
	if (mark.sync)
		buf_puts(conn_output(c), "+ OK\r\n");
	a->left = mark.len;
	a->deadline = conn_now(c) + (INPUT_COMMAND_S + mark.len / INPUT_LEAST_RATE) * UINT64_C(1000000);
	input_done(s, c, s->end);
	s->end = 0;
	s->stage = APPEND_DATA;
	return STEP_OUTPUT;
}

static int take_data(struct session *s, struct conn *c)
{
	struct append_state *a = &s->u.append;
	struct bytes text = bytes_part(conn_input(c), 0, a->left < CONN_INPUT_LONG ? (size_t)a->left : CONN_INPUT_LONG);
	int err = text.len ? arrival_ready(a->arrival, s->user, text.len) : OK;

	if (err == E_AGAIN)
		return STEP_AGAIN;
	if (err == OK && text.len)
		err = arrival_write(a->arrival, text.data, text.len);

	conn_consume(c, text.len);
	a->left -= text.len;
	if (err != OK) {
		struct literal_mark rest = { .len = a->left };

		session_error(s, err);
		return refuse(s, c, &rest, 0);
	}
	if (a->left == 0) {
		s->stage = APPEND_LINE;
		return RUN_DONE;
	}
	if (conn_now(c) >= a->deadline)
		return session_bye(s, "The message takes too long to come");
	conn_deadline(c, a->deadline);
	return STEP_INPUT;
}

/* The end of the line behind the literal. */
static int take_line(struct session *s, struct conn *c)
{
	struct literal_mark mark;
	struct bytes line;
	uint32_t end;

	switch (input_line(s, c, &end)) {
	case INPUT_COMPLETE:
		break;
	case INPUT_MORE:
		return STEP_INPUT;
	default:
		return s->phase == SESSION_BYE ? RUN_DONE : session_bye(s, "The line behind the message is too long");
	}
	line = session_text(s, 0, end);
	while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
		line.len--;
	if (line.len == 0) {
		s->end = end;
		s->stage = APPEND_COMMIT;
		return RUN_DONE;
	}
	session_bad(s, "APPEND takes one message here");
	if (!literal_mark(line, &mark))
		mark.sync = true;
	return refuse(s, c, &mark, end);
}

static int commit(struct session *s)
{
	struct append_state *a = &s->u.append;
	int err = OK;

	if (s->stage == APPEND_COMMIT) {
		err = arrival_commit(a->arrival, &a->target, 1, &s->ticket);
		if (err == E_AGAIN)
			return STEP_AGAIN;
		if (err == E_NOENT)
			return session_no(s, "[TRYCREATE] The mailbox is no more");
		if (err != OK)
			return session_error(s, err);
		a->arrival = NULL;
		s->stage = APPEND_WAIT;
	}
	if (s->ticket)
		err = session_wait(s);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	return err == OK ? session_ok(s, NULL) : session_error(s, err);
}

bool finish_append(struct session *s, struct buf *out)
{
	if (buf_space(out) < REPLY_ROOM)
		return false;
	buf_put(out, s->tag, s->tag_len);
	buf_printf(out, " OK [APPENDUID %u %u] Stored\r\n", (unsigned)s->u.append.uidvalidity,
		(unsigned)s->u.append.target.uid);
	return true;
}

void end_append(struct session *s)
{
	arrival_abort(s->u.append.arrival);
}

int cmd_append(struct session *s, struct conn *c)
{
	int step = RUN_DONE;

	if (s->stage == APPEND_READ)
		return begin(s, c);
	if (s->stage == APPEND_DATA)
		step = take_data(s, c);
	if (step == RUN_DONE && s->stage == APPEND_LINE && s->phase == SESSION_RUN)
		step = take_line(s, c);
	if (step == RUN_DONE && s->stage >= APPEND_COMMIT && s->phase == SESSION_RUN)
		step = commit(s);
	return step;
}
