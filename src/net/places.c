/* Places: who may be there at once, and who goes when another wants in. */
#include "base/err.h"
#include "net/inner.h"

#include <assert.h>

void place_take(struct conn *c, enum place place)
{
	assert(c->place == PLACE_NONE);
	c->place = place;
	c->loop->place_n[place]++;
}

void place_leave(struct conn *c)
{
	if (c->place == PLACE_NONE)
		return;
	assert(c->loop->place_n[c->place] > 0);
	c->loop->place_n[c->place]--;
	c->place = PLACE_NONE;
}

bool place_free_login(struct loop *l)
{
	struct conn *oldest = NULL;

	for (uint32_t i = 0; i < l->conn_n; i++) {
		struct conn *c = &l->conns[i];

		if (c->phase != PHASE_FREE && c->place == PLACE_LOGIN && (!oldest || c->opened_us < oldest->opened_us))
			oldest = c;
	}
	if (!oldest || l->now_us - oldest->opened_us < LOGIN_PROTECTED_US)
		return false;
	conn_dismiss(oldest, CONN_EVICTED);
	return true;
}

/* How many places a user has. */
static uint32_t places_of(const struct loop *l, uint32_t user)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->conn_n; i++)
		n += l->conns[i].place == PLACE_USER && l->conns[i].user == user;
	return n;
}

/* Why a session may lose its place, best reason first. To a session of the same
 * user it goes for the first three alone; to another user, who would have none,
 * for any, if its owner holds more than half of them all. */
enum reason { REASON_DEAD, REASON_SILENT, REASON_IDLE, REASON_WAITING, REASON_WORKING, REASON_NONE };

/* Nothing of a command is under way, as far as the loop can see. A message that
 * is just coming in looks the same between two packets, but is never the one that
 * was silent for longest. */
static bool between_commands(const struct conn *c)
{
	return (c->state == STEP_INPUT || c->state == STEP_EVENT) && !c->blocked_us && !c->input && !c->ready;
}

/* since: when the state began that is the reason. */
static enum reason reason_to_go(const struct conn *c, uint64_t *since)
{
	uint64_t now = c->loop->now_us;

	*since = c->active_us;
	if (!port_alive(c->socket))
		return REASON_DEAD;
	if (c->idle_us && now - c->idle_us > PLACE_SILENT_US) {
		*since = c->idle_us;
		return REASON_IDLE;
	}
	if (!c->idle_us && now - c->active_us >= PLACE_SILENT_US)
		return REASON_SILENT;
	return between_commands(c) ? REASON_WAITING : REASON_WORKING;
}

/* Takes one place from a user: the one with the best reason, which must be one
 * of those before `before`, and with that reason for longest. */
static bool place_free_user(struct loop *l, uint32_t user, enum reason before)
{
	struct conn *worst = NULL;
	enum reason worst_reason = before;
	uint64_t worst_since = 0;

	for (uint32_t i = 0; i < l->conn_n; i++) {
		struct conn *c = &l->conns[i];
		enum reason reason;
		uint64_t since;

		if (c->place != PLACE_USER || c->user != user)
			continue;
		reason = reason_to_go(c, &since);
		if (reason < worst_reason || (worst && reason == worst_reason && since < worst_since)) {
			worst = c;
			worst_reason = reason;
			worst_since = since;
		}
	}
	if (!worst)
		return false;
	conn_doom(worst, CONN_EVICTED);
	return true;
}

/* A user who was alone may hold more than half of the places. When another one
 * wants in and all are taken, he gives one back: one that he has no use for, or
 * the one he has used least of late. His client may come back at once, but finds
 * that he has half of the places already and is not alone: it pushes nobody out. */
static bool place_free_hoarder(struct loop *l, uint32_t half)
{
	for (uint32_t i = 0; i < l->conn_n; i++) {
		const struct conn *c = &l->conns[i];

		if (c->place == PLACE_USER && places_of(l, c->user) > half)
			return place_free_user(l, c->user, REASON_NONE);
	}
	return false;
}

int conn_login(struct conn *c, uint32_t user)
{
	struct loop *l = c->loop;
	uint32_t all = l->config.connections, half = all > 1 ? all / 2 : 1;
	uint32_t taken = l->place_n[PLACE_USER], mine = places_of(l, user);

	if (c->place == PLACE_DELIVERY) {
		c->user = user;
		return OK;
	}
	if (c->place != PLACE_LOGIN)
		return E_STATE;
	if (taken >= all || (mine >= half && taken > mine)) {
		bool made = place_free_user(l, user, REASON_WAITING);

		if (!made && taken >= all && mine < half)
			made = place_free_hoarder(l, half);
		if (!made)
			return E_FULL;
	}
	place_leave(c);
	place_take(c, PLACE_USER);
	c->user = user;
	return OK;
}

void conn_logout(struct conn *c)
{
	if (c->place != PLACE_USER)
		return;
	place_leave(c);
	place_take(c, PLACE_LOGIN);
	c->idle_us = 0;
	c->login_by_us = c->loop->now_us + c->loop->config.login_timeout_s * UINT64_C(1000000);
}

void conn_idle(struct conn *c, bool idle)
{
	if (!idle)
		c->idle_us = 0;
	else if (!c->idle_us)
		c->idle_us = c->loop->now_us;
}

unsigned conn_close_user(struct conn *any, uint32_t user)
{
	struct loop *l = any->loop;
	unsigned n = 0;

	for (uint32_t i = 0; i < l->conn_n; i++) {
		struct conn *c = &l->conns[i];

		if (c->place != PLACE_USER || c->user != user)
			continue;
		conn_doom(c, CONN_REVOKED);
		n++;
	}
	return n;
}
