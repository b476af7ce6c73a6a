#include "imap/input.h"

#include <string.h>

#include "base/err.h"
#include "imap/server.h"
#include "imap/session.h"

static uint64_t seconds(uint64_t n)
{
	return n * 1000000;
}

static bool logged_in(const struct session *s)
{
	return s->state != STATE_LOGIN;
}

/* Waits for more bytes of what has begun. */
static enum input_result wait_more(struct session *s, struct conn *c)
{
	struct input *in = &s->input;

	if (!in->deadline)
		in->deadline = conn_now(c) + seconds(INPUT_COMMAND_S);
	if (conn_now(c) >= in->deadline) {
		session_bye(s, "The command took too long to come");
		return INPUT_BYE;
	}
	conn_deadline(c, in->deadline);
	return INPUT_MORE;
}

/* The line at the end of the input is longer than can be held. */
static enum input_result refuse_line(struct session *s)
{
	if (!logged_in(s)) {
		session_bye(s, "The command is too long");
		return INPUT_BYE;
	}
	session_take_tag(s);
	session_bad(s, "[LIMIT] The command is too long");
	s->input.mode = INPUT_DROP_LINE;
	return INPUT_REFUSED;
}

static enum input_result need_more(struct session *s, struct conn *c)
{
	struct bytes text = conn_input(c);

	if (text.len == 0) {
		s->input.deadline = 0;
		conn_deadline(c, 0);
		return INPUT_MORE;
	}
	if (conn_input_full(c)) {
		if (!logged_in(s) || text.len >= CONN_INPUT_LONG)
			return refuse_line(s);
		if (conn_want_long(c) != OK)
			return INPUT_CROWDED;
	}
	return wait_more(s, c);
}

enum input_result input_refuse(struct session *s, struct conn *c, const struct literal_mark *mark, uint32_t end)
{
	struct input *in = &s->input;
	uint64_t before = in->dropped, most = logged_in(s) ? s->server->config.message_max : INPUT_LOGIN_COMMAND;

	conn_consume(c, end);
	memset(in, 0, sizeof(*in));
	if (mark->sync)
		return INPUT_REFUSED;
	in->dropped = before + end;
	if (mark->len > most || in->dropped > most - mark->len) {
		session_bye(s,
			logged_in(s) ? "[TOOBIG] That literal is larger than anything this server takes"
				     : "[TOOBIG] That is more than this server takes before a login");
		return INPUT_BYE;
	}
	in->mode = INPUT_DROP_LITERAL;
	in->drop = mark->len;
	in->deadline = conn_now(c) + seconds(INPUT_COMMAND_S + mark->len / INPUT_LEAST_RATE);
	return INPUT_REFUSED;
}

/* Whether this literal, announced at the end of `text`, is one that its command
 * takes as it comes: the message of an APPEND, not its mailbox name. */
static bool is_stream(struct session *s, struct bytes text)
{
	struct parse p = parse_begin(text);
	const struct command *command;
	struct bytes tag, name;

	if (!logged_in(s) || !parse_tag(&p, &tag) || !parse_space(&p) || !parse_word(&p, &name))
		return false;
	command = command_find(name, false);
	if (!command || !(command->flags & COMMAND_STREAM))
		return false;
	return !parse_space(&p) || p.at < text.len;
}

/* A literal is announced by the line that ends before `next`. INPUT_COMPLETE
 * here means: go on. */
static enum input_result announced(struct session *s, struct conn *c, const struct literal_mark *mark, uint32_t next)
{
	struct input *in = &s->input;
	size_t limit = logged_in(s) ? CONN_INPUT_LONG : INPUT_LOGIN_COMMAND;

	if (is_stream(s, session_text(s, 0, in->line + mark->at)))
		return INPUT_STREAM;
	/* two bytes for the end of the line that must follow */
	if (mark->len > limit || next + mark->len + 2 > limit || (!logged_in(s) && mark->len > INPUT_LOGIN_LITERAL)) {
		session_take_tag(s);
		session_bad(s, "[TOOBIG] The literal is too large here");
		return input_refuse(s, c, mark, next);
	}
	if (mark->sync) {
		if (!session_room(c, 16))
			return INPUT_ROOM;
		buf_puts(conn_output(c), "+ OK\r\n");
	}
	in->mode = INPUT_LITERAL;
	in->at = next;
	in->line = next + (uint32_t)mark->len;
	return INPUT_COMPLETE;
}

static void skip_blank_lines(struct conn *c)
{
	struct bytes text = conn_input(c);
	size_t n = 0;

	while (n < text.len && (text.data[n] == '\r' || text.data[n] == '\n'))
		n++;
	conn_consume(c, n);
}

/* The next line end at or behind `from`: true with the offset behind it. */
static bool find_line(struct bytes text, uint32_t from, uint32_t *next)
{
	size_t at = bytes_index(bytes_part(text, from, text.len), '\n');

	if (from + at >= text.len)
		return false;
	*next = from + (uint32_t)at + 1;
	return true;
}

static struct bytes line_of(struct bytes text, uint32_t start, uint32_t next)
{
	struct bytes line = bytes_part(text, start, next - 1 - start);

	if (line.len && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

enum input_result input_next(struct session *s, struct conn *c, uint32_t *end)
{
	struct input *in = &s->input;

	if (in->at == 0)
		skip_blank_lines(c);
	for (;;) {
		struct bytes text = conn_input(c);
		struct literal_mark mark;
		enum input_result result;
		uint32_t next;

		if (in->mode == INPUT_LITERAL) {
			if (text.len < in->line)
				return need_more(s, c);
			in->at = in->line;
			in->mode = INPUT_LINE;
		}
		if (!find_line(text, in->at, &next)) {
			in->at = (uint32_t)text.len;
			return need_more(s, c);
		}
		*end = next;
		if (!literal_mark(line_of(text, in->line, next), &mark)) {
			in->at = in->line = next;
			return INPUT_COMPLETE;
		}
		result = announced(s, c, &mark, next);
		if (result != INPUT_COMPLETE)
			return result;
	}
}

enum input_result input_line(struct session *s, struct conn *c, uint32_t *end)
{
	struct input *in = &s->input;
	struct bytes text = conn_input(c);
	uint32_t next;

	if (!find_line(text, in->at, &next)) {
		in->at = (uint32_t)text.len;
		return need_more(s, c);
	}
	in->at = in->line = next;
	*end = next;
	return INPUT_COMPLETE;
}

/* Bytes at the end of a line in which its literal mark would stand. */
#define MARK_BYTES 32

static enum input_result drop_line(struct session *s, struct conn *c)
{
	struct input *in = &s->input;
	struct bytes text = conn_input(c);
	struct literal_mark mark;
	uint32_t next;

	if (!find_line(text, 0, &next)) {
		size_t n = text.len > MARK_BYTES ? text.len - MARK_BYTES : 0;

		in->dropped += n;
		conn_consume(c, n);
		if (in->dropped > s->server->config.message_max + INPUT_DISCARD_LINE) {
			session_bye(s, "[LIMIT] This line has no end");
			return INPUT_BYE;
		}
		return wait_more(s, c);
	}
	if (!literal_mark(line_of(text, 0, next), &mark) || mark.sync) {
		input_done(s, c, next);
		return INPUT_COMPLETE;
	}
	return input_refuse(s, c, &mark, next);
}

enum input_result input_drop(struct session *s, struct conn *c)
{
	struct input *in = &s->input;

	for (;;) {
		enum input_result result;
		struct bytes text = conn_input(c);
		size_t n;

		if (in->mode == INPUT_LINE)
			return INPUT_COMPLETE;
		if (in->mode == INPUT_DROP_LITERAL) {
			n = text.len < in->drop ? text.len : (size_t)in->drop;
			conn_consume(c, n);
			in->drop -= n;
			in->dropped += n;
			if (in->drop > 0)
				return wait_more(s, c);
			in->mode = INPUT_DROP_LINE;
		}
		result = drop_line(s, c);
		if (result != INPUT_REFUSED)
			return result;
	}
}

void input_done(struct session *s, struct conn *c, uint32_t end)
{
	conn_consume(c, end);
	memset(&s->input, 0, sizeof(s->input));
}
