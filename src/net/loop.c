/* The loop: its memory, its turn, its tasks and its end. */
#include "base/err.h"
#include "base/log.h"
#include "net/inner.h"
#include "port/system.h"

#include <string.h>

static uint32_t table_size(const struct loop_config *config)
{
	return config->connections + config->login_places + config->delivery_places;
}

static size_t set_size(const struct loop_config *config)
{
	return (table_size(config) + LOOP_LISTENERS + LINGER_MAX) * sizeof(struct port_wait);
}

size_t loop_memory(const struct loop_config *config)
{
	uint32_t n = table_size(config);

	return arena_size(sizeof(struct loop)) + arena_size(n * sizeof(struct conn)) + arena_size(set_size(config)) +
		arena_size(n * sizeof(uint32_t)) + pool_size(CONN_INPUT, config->input_buffers) +
		pool_size(CONN_INPUT_LONG, config->long_buffers) + pool_size(CONN_OUTPUT, config->output_buffers) +
		arena_size(CONN_INPUT);
}

int loop_init(struct loop **out, struct arena *arena, const struct loop_config *config)
{
	struct loop *l = arena_take(arena, sizeof *l);

	if (!l)
		return E_NOMEM;
	l->config = *config;
	l->conn_n = table_size(config);
	l->conns = arena_take(arena, l->conn_n * sizeof *l->conns);
	l->set = arena_take(arena, set_size(config));
	l->set_conn = arena_take(arena, l->conn_n * sizeof *l->set_conn);
	l->scratch = arena_take(arena, CONN_INPUT);
	if (!l->conns || !l->set || !l->set_conn || !l->scratch ||
		!pool_init(&l->inputs, arena, "input", CONN_INPUT, config->input_buffers) ||
		!pool_init(&l->longs, arena, "long input", CONN_INPUT_LONG, config->long_buffers) ||
		!pool_init(&l->outputs, arena, "output", CONN_OUTPUT, config->output_buffers))
		return E_NOMEM;
	buf_init(&l->out, l->out_space, sizeof l->out_space);
	for (uint32_t i = 0; i < l->conn_n; i++)
		l->conns[i] = (struct conn){ .loop = l, .socket = -1 };
	l->now_us = l->peer_lines_us = port_now_us();
	l->peer_lines = PEER_LINES;
	*out = l;
	return OK;
}

void loop_tasks(struct loop *l, const struct loop_tasks *tasks)
{
	l->tasks = *tasks;
}

void loop_status(const struct loop *l, struct loop_status *out)
{
	*out = l->status;
	out->logged_in = l->place_n[PLACE_USER];
	out->login = l->place_n[PLACE_LOGIN];
	out->delivery = l->place_n[PLACE_DELIVERY];
}

/* The listener is the first one of its protocol. */
static bool first_of_protocol(const struct loop *l, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++)
		if (l->listeners[i].protocol == l->listeners[at].protocol)
			return false;
	return true;
}

bool loop_protocol(const struct loop *l, size_t i, struct loop_protocol *out)
{
	uint32_t at = 0;

	while (at < l->listener_n && (!first_of_protocol(l, at) || i-- > 0))
		at++;
	if (at == l->listener_n)
		return false;
	*out = (struct loop_protocol){ .name = l->listeners[at].protocol->name };
	for (uint32_t k = 0; k < l->conn_n; k++) {
		const struct conn *c = &l->conns[k];

		if (c->phase == PHASE_FREE || c->listener->protocol != l->listeners[at].protocol)
			continue;
		out->connections++;
		out->tls += c->tls != NULL;
		out->logged_in += c->place == PLACE_USER;
		out->idle += c->idle_us != 0;
	}
	return true;
}

uint64_t loop_piece(struct loop *l, const char *what, uint64_t began_us)
{
	uint64_t now = port_now_us();

	if (!l->piece || now - began_us > l->piece_us) {
		l->piece_us = now - began_us;
		l->piece = what;
	}
	return now;
}

void loop_bury(struct loop *l)
{
	for (uint32_t i = 0; l->doomed_n > 0 && i < l->conn_n; i++) {
		struct conn *c = &l->conns[i];

		if (c->phase != PHASE_FREE && c->doomed)
			conn_dismiss(c, c->doom_why);
	}
}

/* ---- the parts of a turn ---- */

/* While somebody waits for a buffer: the peer that has held one for longest
 * without use is closed, those not logged in first. */
static void reclaim(struct loop *l)
{
	struct conn *worst = NULL;
	uint64_t worst_since = 0;

	for (uint32_t i = 0; i < l->conn_n; i++) {
		struct conn *c = &l->conns[i];
		bool waits = c->state == STEP_INPUT || c->state == STEP_EVENT;
		uint64_t since = 0;

		if (c->phase == PHASE_FREE)
			continue;
		if (l->outputs_wanted && c->rest)
			since = c->blocked_us;
		else if (l->inputs_wanted && c->input && !c->input_long && waits)
			since = c->input_held_us;
		if (!since || l->now_us - since < RECLAIM_US)
			continue;
		if (!worst || (c->place == PLACE_LOGIN && worst->place != PLACE_LOGIN) ||
			((c->place == PLACE_LOGIN) == (worst->place == PLACE_LOGIN) && since < worst_since)) {
			worst = c;
			worst_since = since;
		}
	}
	if (worst) {
		conn_complain(worst, "closed", "it held a buffer for too long while others waited");
		conn_dismiss(worst, CONN_TIMEOUT);
	}
}

/* Milliseconds until something must be done whatever the sockets do. */
static int wait_ms(const struct loop *l, int timeout_ms)
{
	uint64_t now = port_now_us(), due = l->tasks.deadline ? l->tasks.deadline(l->tasks.context) : 0;
	uint64_t linger = linger_due_us(l);
	bool waiting = false;

	if (linger && (!due || linger < due))
		due = linger;

	for (uint32_t i = 0; i < l->conn_n; i++) {
		const struct conn *c = &l->conns[i];
		uint64_t at = c->phase == PHASE_FREE ? 0 : conn_due_us(c);

		waiting |= c->phase == PHASE_OPEN && c->state == STEP_COMMIT && !c->blocked_us;
		if (at && (!due || at < due))
			due = at;
	}
	if (l->accept_after_us && (!due || l->accept_after_us < due))
		due = l->accept_after_us;
	if ((l->inputs_wanted || l->outputs_wanted) && (!due || now + RECLAIM_US / 10 < due))
		due = now + RECLAIM_US / 10;
	if (due && due <= now)
		return 0;
	if (l->commit_under_way)
		due = !due || now + COMMIT_POLL_MS * 1000u < due ? now + COMMIT_POLL_MS * 1000u : due;
	else if (waiting || (l->tasks.wants_commit && l->tasks.wants_commit(l->tasks.context)))
		return 0;
	if (due) {
		uint64_t ms = (due - now + 999) / 1000;

		if (timeout_ms < 0 || ms < (uint64_t)timeout_ms)
			timeout_ms = ms > 60000 ? 60000 : (int)ms;
	}
	return timeout_ms;
}

/* Waits, and notes which listeners (bits of the result) and connections may be
 * ready. E_IO. */
static int wait_ready(struct loop *l, int timeout_ms, uint32_t *listeners)
{
	size_t n = 0, listening, first;
	int err;

	*listeners = 0;
	l->inputs_wanted = l->outputs_wanted = false;
	if (l->accept_after_us == 0)
		for (; n < l->listener_n; n++)
			l->set[n] = (struct port_wait){ .s = l->listening[n], .want = PORT_CAN_READ };
	listening = n;
	n += linger_watch(l, l->set + n);
	first = n;
	for (uint32_t i = 0; i < l->conn_n; i++) {
		struct conn *c = &l->conns[i];
		uint8_t want = c->phase == PHASE_FREE ? 0 : conn_wants(c);

		c->ready = false;
		if (!want)
			continue;
		l->set_conn[n - first] = i;
		l->set[n++] = (struct port_wait){ .s = c->socket, .want = want };
	}
	err = port_wait(l->set, n, wait_ms(l, timeout_ms));
	if (err < 0)
		return err;
	for (size_t i = 0; i < n; i++) {
		if (!l->set[i].got)
			continue;
		if (i < listening)
			*listeners |= UINT32_C(1) << i;
		else if (i < first)
			l->lingering[i - listening].ready = true;
		else
			l->conns[l->set_conn[i - first]].ready = true;
	}
	return OK;
}

static void run_connections(struct loop *l)
{
	if (l->conn_n == 0)
		return;
	l->turn_first = (l->turn_first + 1) % l->conn_n;
	for (uint32_t i = 0; i < l->conn_n; i++)
		conn_run(&l->conns[(l->turn_first + i) % l->conn_n]);
	if (l->inputs_wanted || l->outputs_wanted)
		reclaim(l);
}

/* One commit for all who wait for one; E_AGAIN while it is under way. */
static int commit(struct loop *l)
{
	uint64_t began = port_now_us();
	int err;

	if (!l->tasks.commit)
		return OK;
	if (!l->commit_under_way && !l->tasks.wants_commit(l->tasks.context))
		return OK;
	err = l->tasks.commit(l->tasks.context);
	loop_piece(l, "commit", began);
	l->commit_under_way = err == E_AGAIN;
	return err;
}

static void run_tasks(struct loop *l)
{
	bool committed;

	if (l->tasks.work) {
		uint64_t began = port_now_us();

		if (l->tasks.work(l->tasks.context))
			l->busy = true;
		loop_piece(l, "upkeep", began);
	}
	committed = commit(l) != E_AGAIN;
	/* Those who waited for the commit, and those whom its news woke. */
	for (uint32_t i = 0; i < l->conn_n; i++) {
		struct conn *c = &l->conns[(l->turn_first + i) % l->conn_n];

		if (c->phase != PHASE_OPEN)
			continue;
		if (committed && c->state == STEP_COMMIT)
			c->state = STEP_AGAIN;
		else if (c->state != STEP_EVENT || !c->woken)
			continue;
		conn_run(c);
	}
	loop_bury(l);
}

static void take_signals(struct loop *l)
{
	unsigned taken = port_signals_take();

	if (taken && l->tasks.signals)
		l->tasks.signals(l->tasks.context, taken);
	else if (taken & PORT_STOP)
		l->stop = true;
}

int loop_turn(struct loop *l, int timeout_ms)
{
	uint32_t listeners;
	uint64_t now;
	int err = wait_ready(l, l->busy ? 0 : timeout_ms, &listeners);

	l->busy = false;
	if (err < 0)
		return err;
	l->now_us = port_now_us();
	l->piece = NULL;
	l->piece_us = 0;
	l->shaken = false;
	if (!l->stop)
		take_signals(l);
	if (l->accept_after_us && l->now_us >= l->accept_after_us)
		l->accept_after_us = 0;
	if (listeners && !l->stop)
		loop_accept(l, listeners);
	run_connections(l);
	linger_run(l);
	if (!l->stop)
		run_tasks(l);
	now = port_now_us();
	l->status.turns++;
	if (now - l->now_us > l->status.longest_turn_us) {
		l->status.longest_turn_us = now - l->now_us;
		l->status.longest_turn = l->piece ? l->piece : "accept";
	}
	return OK;
}

/* ---- the end ---- */

void loop_stop(struct loop *l)
{
	l->stop = true;
}

static bool anybody(const struct loop *l)
{
	for (uint32_t i = 0; i < l->conn_n; i++)
		if (l->conns[i].phase != PHASE_FREE)
			return true;
	return false;
}

static void close_all(struct loop *l)
{
	uint64_t until = port_now_us() + FAREWELL_US;

	for (uint32_t i = 0; i < l->listener_n; i++)
		port_shut(l->listening[i]);
	l->listener_n = 0;
	for (uint32_t i = 0; i < l->conn_n; i++)
		if (l->conns[i].phase != PHASE_FREE)
			conn_finish(&l->conns[i], CONN_SHUTDOWN, true);
	while (anybody(l) && port_now_us() < until)
		if (loop_turn(l, 50) != OK)
			break;
	for (uint32_t i = 0; i < l->conn_n; i++)
		conn_drop(&l->conns[i], CONN_SHUTDOWN);
	linger_end(l);
}

int loop_run(struct loop *l)
{
	int err = OK;

	while (!l->stop && err == OK)
		err = loop_turn(l, -1);
	l->stop = true;
	close_all(l);
	return err;
}
