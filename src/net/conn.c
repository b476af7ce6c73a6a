/* One connection: its input, its output, its steps and its end. */
#include "base/err.h"
#include "base/log.h"
#include "net/inner.h"
#include "port/system.h"

#include <assert.h>
#include <string.h>

/* ---- what a protocol sees ---- */

struct bytes conn_input(const struct conn *c)
{
	return c->input ? bytes_make(c->input + c->input_from, c->input_to - c->input_from) : bytes_make(NULL, 0);
}

void conn_consume(struct conn *c, size_t n)
{
	assert(n <= c->input_to - c->input_from);
	c->input_from += (uint32_t)n;
	if (n)
		c->input_held_us = c->loop->now_us;
}

bool conn_input_ended(const struct conn *c)
{
	return c->ended;
}

static size_t input_cap(const struct conn *c)
{
	return c->input_long ? CONN_INPUT_LONG : CONN_INPUT;
}

bool conn_input_full(const struct conn *c)
{
	return c->input && c->input_to - c->input_from == input_cap(c);
}

/* Gives the input buffer back, whatever is in it. */
static void input_release(struct conn *c)
{
	struct loop *l = c->loop;

	if (c->input && c->input != l->scratch)
		pool_put(c->input_long ? &l->longs : &l->inputs, c->input);
	c->input = NULL;
	c->input_from = c->input_to = 0;
	c->input_long = false;
}

int conn_want_long(struct conn *c)
{
	struct bytes held = conn_input(c);
	uint8_t *unit;

	if (c->input_long)
		return OK;
	unit = pool_get(&c->loop->longs);
	if (!unit)
		return E_NOMEM;
	if (held.len)
		memcpy(unit, held.data, held.len);
	input_release(c);
	c->input = unit;
	c->input_to = (uint32_t)held.len;
	c->input_long = true;
	c->input_held_us = c->loop->now_us;
	return OK;
}

struct buf *conn_output(struct conn *c)
{
	return &c->loop->out;
}

void conn_deadline(struct conn *c, uint64_t when_us)
{
	c->deadline_us = when_us;
}

bool conn_deadline_passed(const struct conn *c)
{
	return c->deadline_struck;
}

void conn_wake(struct conn *c)
{
	c->woken = true;
}

uint64_t conn_now(const struct conn *c)
{
	return c->loop->now_us;
}

void conn_label(struct conn *c, const char *what)
{
	c->label = what;
}

const struct port_address *conn_peer(const struct conn *c)
{
	return &c->peer;
}

bool conn_is_tls(const struct conn *c)
{
	return c->tls != NULL;
}

bool conn_tls_available(const struct conn *c)
{
	return !c->tls && c->listener->tls == LISTEN_STARTTLS && c->loop->config.tls_places > 0 && tls_available();
}

bool conn_is_local(const struct conn *c)
{
	static const uint8_t loopback6[16] = { [15] = 1 };

	switch (c->peer.family) {
	case PORT_UNIX:
		return true;
	case PORT_IP4:
		return c->peer.ip[0] == 127;
	default:
		return memcmp(c->peer.ip, loopback6, sizeof loopback6) == 0;
	}
}

uint32_t conn_number(const struct conn *c)
{
	return c->number;
}

/* ---- output ---- */

static int64_t write_some(struct conn *c, struct bytes data)
{
	int64_t n = c->tls ? tls_write(c->tls, data.data, data.len) : port_send(c->socket, data.data, data.len);

	if (n > 0)
		c->loop->status.bytes_out += (uint64_t)n;
	return n;
}

/* Keeps what the peer did not take in a unit; false when there is none. */
static bool keep_rest(struct conn *c, struct bytes left)
{
	c->rest = pool_get(&c->loop->outputs);
	if (!c->rest)
		return false;
	assert(left.len <= CONN_OUTPUT);
	memcpy(c->rest, left.data, left.len);
	c->rest_from = 0;
	c->rest_to = (uint32_t)left.len;
	return true;
}

/* Sends the output piece. What the peer does not take is kept, and then the
 * connection is blocked. Nothing was kept before: a blocked connection makes no
 * output. */
static void send_piece(struct conn *c)
{
	struct loop *l = c->loop;
	struct bytes left = buf_bytes(&l->out);
	int64_t n = 0;

	assert(!c->rest && !c->blocked_us);
	while (left.len) {
		n = write_some(c, left);
		if (n < 0)
			break;
		left = bytes_part(left, (size_t)n, left.len);
	}
	if (n >= 0 && c->tls)
		n = tls_flush(c->tls);
	if (n < 0 && n != E_AGAIN) {
		conn_drop(c, CONN_LOST);
	} else if (left.len && !keep_rest(c, left)) {
		conn_complain(c, "closed", "its output found no buffer");
		conn_drop(c, CONN_TIMEOUT);
	} else if (n == E_AGAIN) {
		c->blocked_us = l->now_us;
	}
	buf_reset(&l->out);
}

/* Tries to send what was kept: true when all of it went. */
static bool unblock(struct conn *c)
{
	struct loop *l = c->loop;
	uint64_t sent = c->tls ? tls_sent(c->tls) : 0;
	int64_t n = OK;

	if (!c->blocked_us)
		return true;
	while (n >= 0 && c->rest_from < c->rest_to) {
		n = write_some(c, bytes_make(c->rest + c->rest_from, c->rest_to - c->rest_from));
		if (n > 0) {
			c->rest_from += (uint32_t)n;
			c->blocked_us = c->active_us = l->now_us;
		}
	}
	if (n >= 0 && c->tls)
		n = tls_flush(c->tls);
	if (n < 0 && n != E_AGAIN) {
		conn_drop(c, CONN_LOST);
		return false;
	}
	if (c->tls && tls_sent(c->tls) != sent)
		c->blocked_us = c->active_us = l->now_us;
	if (n == E_AGAIN)
		return false;
	pool_put(&l->outputs, c->rest);
	c->rest = NULL;
	c->rest_from = c->rest_to = 0;
	c->blocked_us = 0;
	return true;
}

/* ---- input ---- */

/* A step may make output that must be kept if the peer does not take it. TLS
 * keeps it in its own record, if that is large enough. */
static bool output_room(const struct conn *c)
{
	return (c->tls && tls_record(c->tls) >= CONN_OUTPUT) || pool_free(&c->loop->outputs) > 0;
}

static bool input_room(const struct conn *c)
{
	return c->input ? !conn_input_full(c) : pool_free(&c->loop->inputs) > 0;
}

/* Reads once, into the scratch when nothing is held over. True when there is
 * something new to step for. */
static bool fill(struct conn *c)
{
	struct loop *l = c->loop;
	size_t space;
	int64_t n;

	if (!c->input)
		c->input = l->scratch;
	if (c->input_from) {
		memmove(c->input, c->input + c->input_from, c->input_to - c->input_from);
		c->input_to -= c->input_from;
		c->input_from = 0;
	}
	space = input_cap(c) - c->input_to;
	n = c->tls ? tls_read(c->tls, c->input + c->input_to, space)
		   : port_recv(c->socket, c->input + c->input_to, space);
	/* less than asked for: the system had no more, port_wait will tell */
	c->ready = n == (int64_t)space;
	if (n > 0) {
		c->input_to += (uint32_t)n;
		c->active_us = l->now_us;
		l->status.bytes_in += (uint64_t)n;
	} else if (n == 0) {
		c->ended = true;
	} else if (n == E_SYNTAX) {
		l->status.tls_failures++;
		conn_complain(c, "TLS broken", tls_error(c->tls));
		conn_drop(c, CONN_TLS_ERROR);
	} else if (n != E_AGAIN) {
		conn_drop(c, CONN_LOST);
	}
	return n >= 0;
}

/* The run is over and the scratch goes to somebody else: what was not consumed
 * moves to a unit. An empty unit goes back. */
static void park_input(struct conn *c)
{
	struct bytes held = conn_input(c);
	uint8_t *unit;

	if (held.len == 0) {
		input_release(c);
		return;
	}
	if (c->input != c->loop->scratch)
		return;
	unit = pool_get(&c->loop->inputs);
	if (!unit) {
		conn_complain(c, "closed", "its input found no buffer");
		conn_drop(c, CONN_TIMEOUT);
		return;
	}
	memcpy(unit, held.data, held.len);
	c->input = unit;
	c->input_from = 0;
	c->input_to = (uint32_t)held.len;
	c->input_held_us = c->loop->now_us;
}

/* ---- steps ---- */

static void open_session(struct conn *c)
{
	struct loop *l = c->loop;
	uint64_t began = port_now_us();

	buf_reset(&l->out);
	c->session = c->listener->protocol->open(c, c->listener->context);
	loop_piece(l, c->label, began);
	c->state = STEP_OUTPUT;
	send_piece(c);
	if (c->phase == PHASE_OPEN && !c->session)
		conn_finish(c, CONN_ENDED, false);
}

/* What the protocol's answer means for this connection. */
static void settle(struct conn *c)
{
	switch (c->state) {
	case STEP_TLS:
		/* Nothing that came in clear may be taken for a command later
		 * (RFC 3501 6.2.1, RFC 3207 section 4.2). */
		input_release(c);
		c->ready = false;
		if (c->place != PLACE_LOGIN)
			c->login_by_us = c->loop->now_us + c->loop->config.login_timeout_s * UINT64_C(1000000);
		break;
	case STEP_CLOSE:
		conn_finish(c, CONN_ENDED, false);
		break;
	case STEP_INPUT:
		if (conn_input_full(c)) {
			log_error("%s: %s: waits for more input than can be held", c->listener->protocol->name,
				c->label);
			conn_finish(c, CONN_ENDED, false);
			break;
		}
		/* fall through */
	case STEP_EVENT:
		if (c->end_told)
			conn_finish(c, CONN_LOST, false);
		break;
	default:
		break;
	}
}

/* One step and all that follows from it. The time when it was over. */
static uint64_t step(struct conn *c)
{
	struct loop *l = c->loop;
	bool waits = c->state == STEP_INPUT || c->state == STEP_EVENT;
	uint64_t now = port_now_us();

	buf_reset(&l->out);
	c->woken = false;
	c->deadline_struck = waits && c->deadline_us && l->now_us >= c->deadline_us;
	if (c->deadline_struck)
		c->deadline_us = 0;
	c->end_told = c->ended;
	c->state = c->listener->protocol->step(c->session, c);
	c->deadline_struck = false;
	send_piece(c);
	now = loop_piece(l, c->label, now);
	if (c->phase == PHASE_OPEN)
		settle(c);
	return now;
}

/* Whether a connection that is not blocked has something to step for; reads. */
static bool has_work(struct conn *c)
{
	if (!output_room(c))
		return false;
	switch (c->state) {
	case STEP_OUTPUT:
	case STEP_AGAIN:
		return true;
	case STEP_EVENT:
		if (c->woken)
			return true;
		/* fall through */
	case STEP_INPUT:
		if (c->deadline_us && c->loop->now_us >= c->deadline_us)
			return true;
		if (c->ended)
			return !c->end_told;
		if (!c->ready && !(c->tls && tls_pending(c->tls)))
			return false;
		return input_room(c) && fill(c);
	default:
		return false;
	}
}

/* One flight of the handshake: true when it is complete. */
static bool shake(struct conn *c)
{
	struct loop *l = c->loop;
	uint64_t began = port_now_us();
	int err;

	if (!c->ready || l->shaken)
		return false;
	l->shaken = true;
	if (!c->tls)
		c->tls = tls_open(c->socket);
	if (!c->tls) {
		l->status.refused_full++;
		conn_complain(c, "closed", "no memory for TLS");
		conn_drop(c, CONN_TLS_ERROR);
		return false;
	}
	err = tls_handshake(c->tls);
	loop_piece(l, "TLS handshake", began);
	if (err == E_AGAIN)
		return false;
	if (err != OK) {
		l->status.tls_failures++;
		conn_complain(c, "TLS handshake failed", tls_error(c->tls));
		conn_drop(c, CONN_TLS_ERROR);
		return false;
	}
	l->status.tls_handshakes++;
	c->phase = PHASE_OPEN;
	c->state = STEP_OUTPUT;
	c->ready = false;
	return true;
}

/* When a blocked peer is to be looked at: at its end, or before whether it is hurried. */
static uint64_t blocked_until(const struct conn *c)
{
	uint32_t seconds = c->loop->config.write_timeout_s;
	uint64_t hurried = c->blocked_us + HURRIED_SECONDS * UINT64_C(1000000);

	if (seconds > HURRIED_SECONDS && c->session && c->listener->protocol->hurried &&
		(c->loop->now_us < hurried || c->listener->protocol->hurried(c->session)))
		return hurried;
	return c->blocked_us + seconds * UINT64_C(1000000);
}

static bool timed_out(struct conn *c)
{
	uint64_t now = c->loop->now_us;

	if (c->blocked_us && now >= blocked_until(c)) {
		conn_complain(c, "closed", "it took no output for too long");
		conn_drop(c, CONN_TIMEOUT);
		return true;
	}
	if ((c->place == PLACE_LOGIN || c->phase == PHASE_HANDSHAKE) && now >= c->login_by_us) {
		conn_dismiss(c, CONN_TIMEOUT);
		return true;
	}
	return false;
}

void conn_run(struct conn *c)
{
	uint64_t moved, began;

	if (c->phase == PHASE_FREE || timed_out(c))
		return;
	if (c->phase == PHASE_HANDSHAKE && !shake(c))
		return;
	moved = c->loop->status.bytes_in + c->loop->status.bytes_out;
	began = port_now_us();
	while (c->phase == PHASE_OPEN && unblock(c)) {
		uint64_t now;

		if (c->state == STEP_TLS) {
			c->phase = PHASE_HANDSHAKE;
			break;
		}
		if (!c->session) {
			open_session(c);
			continue;
		}
		if (!has_work(c))
			break;
		now = step(c);
		loop_bury(c->loop);
		if (c->state == STEP_AGAIN || c->state == STEP_COMMIT)
			break;
		if (c->loop->status.bytes_in + c->loop->status.bytes_out - moved >= SLICE_BYTES ||
			now - began >= SLICE_US)
			break;
	}
	if (c->phase == PHASE_CLOSING && unblock(c))
		conn_dismiss(c, CONN_ENDED);
	if (c->phase == PHASE_OPEN)
		park_input(c);
}

/* ---- what it waits for ---- */

uint8_t conn_wants(struct conn *c)
{
	uint8_t direction = c->tls ? tls_wants(c->tls) : PORT_CAN_READ;

	if (c->phase == PHASE_HANDSHAKE)
		return direction;
	if (c->blocked_us)
		return c->tls ? direction : PORT_CAN_WRITE;
	if (c->phase != PHASE_OPEN)
		return 0;
	if (!output_room(c)) {
		c->loop->outputs_wanted = true;
		return 0;
	}
	if ((c->state != STEP_INPUT && c->state != STEP_EVENT) || c->ended)
		return 0;
	if (!input_room(c)) {
		c->loop->inputs_wanted |= !c->input;
		return 0;
	}
	return direction;
}

static bool due_at_once(const struct conn *c)
{
	if (c->phase == PHASE_HANDSHAKE || c->blocked_us)
		return false;
	if (c->phase == PHASE_CLOSING)
		return true;
	if (!output_room(c))
		return false;
	if (c->state == STEP_EVENT && c->woken)
		return true;
	if (c->state == STEP_EVENT || c->state == STEP_INPUT)
		return (c->ended && !c->end_told) || (c->tls && tls_pending(c->tls) && input_room(c));
	return c->state != STEP_COMMIT;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

uint64_t conn_due_us(const struct conn *c)
{
	uint64_t due = 0;

	if (due_at_once(c))
		return 1;
	if (c->blocked_us)
		due = blocked_until(c);
	else if (c->state == STEP_INPUT || c->state == STEP_EVENT)
		due = c->deadline_us;
	if (c->place == PLACE_LOGIN || c->phase == PHASE_HANDSHAKE)
		due = earlier(due, c->login_by_us);
	return due;
}

/* ---- begin and end ---- */

void conn_start(struct conn *c, const struct listener_config *listener, port_socket s, const struct port_address *peer,
	enum place place)
{
	struct loop *l = c->loop;

	assert(c->phase == PHASE_FREE);
	*c = (struct conn){
		.loop = l,
		.listener = listener,
		.label = listener->protocol->name,
		.peer = *peer,
		.opened_us = l->now_us,
		.active_us = l->now_us,
		.login_by_us = l->now_us + l->config.login_timeout_s * UINT64_C(1000000),
		.number = ++l->next_number,
		.socket = s,
		.phase = listener->tls == LISTEN_TLS ? PHASE_HANDSHAKE : PHASE_OPEN,
		.state = STEP_OUTPUT,
	};
	place_take(c, place);
}

static void end_session(struct conn *c, enum conn_end why)
{
	void *session = c->session;

	c->session = NULL;
	if (session)
		c->listener->protocol->close(session, c, why);
}

/* Whether the peer was sent something that it should still be able to read. */
static bool last_words(const struct conn *c, enum conn_end why)
{
	if (c->ended || c->blocked_us || why == CONN_LOST || why == CONN_SHUTDOWN)
		return false;
	return c->phase != PHASE_HANDSHAKE || why == CONN_TLS_ERROR;
}

void conn_drop(struct conn *c, enum conn_end why)
{
	struct loop *l = c->loop;
	bool words;

	if (c->phase == PHASE_FREE)
		return;
	words = last_words(c, why);
	end_session(c, why);
	place_leave(c);
	input_release(c);
	pool_put(&l->outputs, c->rest);
	tls_close(c->tls);
	if (words)
		linger_start(l, c->socket);
	else
		port_shut(c->socket);
	if (c->doomed)
		l->doomed_n--;
	*c = (struct conn){ .loop = l, .phase = PHASE_FREE, .socket = -1 };
}

void conn_finish(struct conn *c, enum conn_end why, bool farewell)
{
	if (c->phase == PHASE_HANDSHAKE) {
		conn_drop(c, why);
		return;
	}
	if (farewell && c->session && c->listener->protocol->farewell && !c->blocked_us) {
		buf_reset(&c->loop->out);
		c->listener->protocol->farewell(c->session, c, why);
		send_piece(c);
	}
	if (c->phase != PHASE_OPEN)
		return;
	end_session(c, why);
	input_release(c);
	c->phase = PHASE_CLOSING;
}

void conn_dismiss(struct conn *c, enum conn_end why)
{
	conn_finish(c, why, true);
	if (c->phase == PHASE_FREE)
		return;
	if (c->tls && !c->blocked_us)
		tls_goodbye(c->tls);
	conn_drop(c, why);
}

void conn_doom(struct conn *c, enum conn_end why)
{
	if (c->doomed)
		return;
	c->doomed = true;
	c->doom_why = why;
	c->loop->doomed_n++;
	place_leave(c);
}

void conn_complain(const struct conn *c, const char *what, const char *detail)
{
	loop_complain(c->loop, &c->peer, c->listener->protocol->name, what, detail);
}
