/* A protocol for the tests of src/net, and a loop with it on the simulated
 * port. Each line is a command:
 *
 *     echo TEXT     answers TEXT            big N       answers N bytes "0123456789..."
 *     take N        takes N raw bytes, answers their number and sum
 *     again N       N times STEP_AGAIN, then "done"
 *     commit        STEP_COMMIT, then "committed"
 *     idle          STEP_EVENT until woken ("woken"), a line or the deadline
 *     wake          wakes everybody         wait N      deadline in N ms
 *     login U       answers conn_login      out         conn_logout
 *     kick U        answers conn_close_user tls         answers "go", STEP_TLS
 *     close         answers "bye" and closes
 *
 * A line longer than an input buffer asks for a long one; beyond that "toobig". */
#ifndef TESTS_NET_TOY_H
#define TESTS_NET_TOY_H

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "net/inner.h"
#include "port/sim/sim.h"
#include "tests/unit/t.h"

#include <stdlib.h>

#define TOY_MAX 256

struct toy {
	struct conn *c;
	uint64_t big, big_at, take, took, sum;
	unsigned again;
	bool used, idle, waiting, committing;
};

static struct toy toys[TOY_MAX];
static struct loop *l;
static struct arena toy_arena;
static unsigned toy_opened, toy_closed, toy_steps;
static enum conn_end toy_why; /* of the last close */
static unsigned toy_ended[CONN_TLS_ERROR + 1];

static void *toy_open(struct conn *c, void *context)
{
	buf_printf(conn_output(c), "hello%s\n", context ? (const char *)context : "");
	toy_opened++;
	for (int i = 0; i < TOY_MAX; i++) {
		if (toys[i].used)
			continue;
		toys[i] = (struct toy){ .c = c, .used = true };
		return &toys[i];
	}
	return NULL;
}

static void toy_close(void *session, struct conn *c, enum conn_end why)
{
	struct toy *t = session;

	(void)c;
	t->used = false;
	toy_closed++;
	toy_why = why;
	toy_ended[why]++;
}

static void toy_farewell(void *session, struct conn *c, enum conn_end why)
{
	(void)session;
	buf_printf(conn_output(c), "farewell %d\n", (int)why);
}

static uint64_t toy_number(struct bytes word)
{
	uint64_t n = 0;

	return text_number(word, UINT64_MAX, &n) == OK ? n : 0;
}

/* STEP_AGAIN: on with the next line. */
static enum step toy_command(struct toy *t, struct conn *c, struct bytes line)
{
	struct bytes rest = text_trim(line), word = text_word(&rest);
	struct buf *out = conn_output(c);

	rest = text_trim(rest);
	if (bytes_is(word, "echo")) {
		buf_putb(out, rest);
		buf_putc(out, '\n');
	} else if (bytes_is(word, "big")) {
		t->big = toy_number(rest);
		t->big_at = 0;
	} else if (bytes_is(word, "take")) {
		t->take = toy_number(rest);
		t->took = t->sum = 0;
	} else if (bytes_is(word, "again")) {
		t->again = (unsigned)toy_number(rest);
		conn_label(c, "again");
	} else if (bytes_is(word, "commit")) {
		t->committing = true;
		return STEP_COMMIT;
	} else if (bytes_is(word, "idle")) {
		t->idle = true;
		conn_idle(c, true);
	} else if (bytes_is(word, "wake")) {
		for (int i = 0; i < TOY_MAX; i++)
			if (toys[i].used)
				conn_wake(toys[i].c);
	} else if (bytes_is(word, "wait")) {
		conn_deadline(c, conn_now(c) + toy_number(rest) * 1000);
		t->waiting = true;
	} else if (bytes_is(word, "login")) {
		buf_printf(out, "%d\n", conn_login(c, (uint32_t)toy_number(rest)));
	} else if (bytes_is(word, "out")) {
		conn_logout(c);
	} else if (bytes_is(word, "kick")) {
		buf_printf(out, "%u\n", conn_close_user(c, (uint32_t)toy_number(rest)));
	} else if (bytes_is(word, "tls")) {
		buf_puts(out, conn_tls_available(c) ? "go\n" : "no\n");
		return conn_tls_available(c) ? STEP_TLS : STEP_AGAIN;
	} else if (bytes_is(word, "close")) {
		buf_puts(out, "bye\n");
		return STEP_CLOSE;
	} else {
		buf_printf(out, "what? %zu\n", line.len);
	}
	return STEP_AGAIN;
}

static void toy_taking(struct toy *t, struct conn *c)
{
	struct bytes in = conn_input(c);

	if (in.len > t->take)
		in.len = (size_t)t->take;
	for (size_t i = 0; i < in.len; i++)
		t->sum = t->sum * 31 + in.data[i];
	t->take -= in.len;
	t->took += in.len;
	conn_consume(c, in.len);
	if (t->take == 0)
		buf_printf(conn_output(c), "%llu %llu\n", (unsigned long long)t->took, (unsigned long long)t->sum);
}

static enum step toy_events(struct toy *t, struct conn *c)
{
	if (conn_deadline_passed(c)) {
		buf_puts(conn_output(c), "late\n");
		t->waiting = false;
	}
	if (t->committing) {
		buf_puts(conn_output(c), "committed\n");
		t->committing = false;
	}
	if (t->idle && conn_input(c).len == 0 && !t->waiting && !conn_input_ended(c))
		buf_puts(conn_output(c), "idling\n");
	return STEP_AGAIN;
}

static enum step toy_step(void *session, struct conn *c)
{
	struct toy *t = session;
	struct buf *out = conn_output(c);

	toy_steps++;
	T_EQ(out->len, 0);
	toy_events(t, c);
	for (;;) {
		struct bytes in;
		size_t end;
		enum step next;

		if (t->take)
			toy_taking(t, c);
		if (t->take)
			return STEP_INPUT;
		for (; t->big; t->big--, t->big_at++)
			if (!buf_putc(out, (uint8_t)('0' + t->big_at % 10)))
				return STEP_OUTPUT;
		if (t->again) {
			if (--t->again)
				return STEP_AGAIN;
			buf_puts(out, "done\n");
		}
		in = conn_input(c);
		end = bytes_index(in, '\n');
		if (end == in.len) {
			if (conn_input_full(c) && conn_want_long(c) != OK) {
				buf_puts(out, "nolong\n");
				return STEP_CLOSE;
			}
			if (conn_input_full(c)) {
				buf_puts(out, "toobig\n");
				return STEP_CLOSE;
			}
			return t->idle ? STEP_EVENT : STEP_INPUT;
		}
		if (buf_space(out) < 256 || (end < CONN_OUTPUT && buf_space(out) < end))
			return STEP_OUTPUT;
		t->idle = false;
		conn_idle(c, false);
		next = toy_command(t, c, bytes_part(in, 0, end));
		conn_consume(c, end + 1);
		if (next != STEP_AGAIN)
			return next;
	}
}

static const struct protocol toy = {
	.name = "toy",
	.busy = "busy\n",
	.open = toy_open,
	.step = toy_step,
	.farewell = toy_farewell,
	.close = toy_close,
};

static const struct loop_config toy_config = {
	.connections = 8,
	.login_places = 4,
	.delivery_places = 2,
	.input_buffers = 4,
	.long_buffers = 1,
	.output_buffers = 4,
	.login_timeout_s = 60,
	.write_timeout_s = 120,
};

static inline void toy_log(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

/* A new box with a loop that listens on 143 (plain), 144 (delivery) and
 * unix:/sock (delivery). */
static inline void toy_box(uint64_t seed, const struct loop_config *config, enum sim_chunks chunks, size_t buffer)
{
	static void *memory;
	struct listener_config a = { .where = "127.0.0.1:143", .protocol = &toy };
	struct listener_config b = { .where = "127.0.0.1:144", .protocol = &toy, .delivery = true };
	struct listener_config u = { .where = "unix:/sock",
		.protocol = &toy,
		.delivery = true,
		.context = (void *)" unix" };
	size_t len = loop_memory(config);

	sim_reset(seed);
	log_init(toy_log, LOG_DEBUG);
	sim_network(chunks, buffer);
	free(memory);
	memory = calloc(1, len);
	arena_init(&toy_arena, memory, len);
	memset(toys, 0, sizeof toys);
	memset(toy_ended, 0, sizeof toy_ended);
	toy_opened = toy_closed = toy_steps = 0;
	T_EQ(loop_init(&l, &toy_arena, config), OK);
	T_EQ(toy_arena.used, len);
	T_EQ(loop_listen(l, &a), OK);
	T_EQ(loop_listen(l, &b), OK);
	T_EQ(loop_listen(l, &u), OK);
}

/* Turns, with a little time for each. */
static inline void turns(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		T_EQ(loop_turn(l, 0), OK);
}

/* Runs until a turn changes nothing more for the client, or a bound. */
static inline size_t toy_read(sim_client c, char *out, size_t cap)
{
	size_t len = 0;
	unsigned quiet = 0;

	while (quiet < 64 && len + 1 < cap) {
		int64_t n;

		turns(1);
		n = sim_client_recv(c, out + len, cap - 1 - len);
		quiet = n > 0 ? 0 : quiet + 1;
		len += n > 0 ? (size_t)n : 0;
	}
	out[len] = 0;
	return len;
}

/* Sends all, and what comes back until it is quiet. */
static inline const char *toy_say(sim_client c, const char *text)
{
	static char answer[1 << 20];
	size_t sent = 0, len = strlen(text);
	unsigned stuck = 0;

	while (sent < len) {
		int64_t n = sim_client_send(c, text + sent, len - sent);

		T_OK(n >= 0);
		sent += (size_t)n;
		turns(1);
		T_OK(n > 0 || ++stuck < 10000);
	}
	toy_read(c, answer, sizeof answer);
	return answer;
}

#define T_SAY(client, text, expected) \
	do { \
		const char *t_answer = toy_say(client, text); \
		T_BYTES(t_answer, strlen(t_answer), expected); \
	} while (0)

/* Connects and reads the greeting. */
static inline sim_client toy_connect(void)
{
	sim_client c = sim_connect(143);

	T_OK(c > 0);
	T_SAY(c, "", "hello\n");
	return c;
}

static inline void advance_s(unsigned s)
{
	sim_advance_us(s * UINT64_C(1000000));
}

/* Nothing is left: no session, no socket, no unit of a pool. */
static inline void toy_nothing_left(void)
{
	struct loop_status s;

	/* sockets that linger after their last words */
	advance_s(2);
	turns(1);
	loop_status(l, &s);
	T_EQ(s.logged_in + s.login + s.delivery, 0);
	T_EQ(toy_opened, toy_closed);
	T_EQ(sim_open_sockets(), 0);
	T_EQ(l->inputs.used + l->longs.used + l->outputs.used, 0);
}

#endif
