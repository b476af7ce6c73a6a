/* Listeners: who is let in, and to which place. */
#include "base/err.h"
#include "base/log.h"
#include "net/inner.h"
#include "port/system.h"

#include <string.h>

/* Permission of a unix socket: its owner and its group. */
#define UNIX_MODE 0660

int loop_listen(struct loop *l, const struct listener_config *config)
{
	port_socket s;

	if (l->listener_n == LOOP_LISTENERS)
		return E_LIMIT;
	s = port_listen(config->where, UNIX_MODE, config->group);
	if (s < 0)
		return s;
	l->listeners[l->listener_n] = *config;
	l->listening[l->listener_n++] = s;
	return OK;
}

void loop_context(struct loop *l, const struct protocol *protocol, void *context)
{
	for (uint32_t i = 0; i < l->listener_n; i++)
		if (l->listeners[i].protocol == protocol)
			l->listeners[i].context = context;
}

void loop_networks(struct loop *l, const struct network *from, size_t n)
{
	for (uint32_t i = 0; i < l->listener_n; i++)
		if (l->listeners[i].from == from)
			l->listeners[i].from_n = n;
}

void loop_login_timeout(struct loop *l, uint32_t seconds)
{
	l->config.login_timeout_s = seconds;
}

uint16_t loop_port(const struct loop *l, size_t i)
{
	return i < l->listener_n ? port_listen_port(l->listening[i]) : 0;
}

void loop_complain(struct loop *l, const struct port_address *peer, const char *protocol, const char *what,
	const char *detail)
{
	uint64_t earned = (l->now_us - l->peer_lines_us) / PEER_LINE_US;
	char address[46];
	size_t len;

	l->peer_lines_us += earned * PEER_LINE_US;
	l->peer_lines = earned > PEER_LINES - l->peer_lines ? PEER_LINES : l->peer_lines + (uint32_t)earned;
	if (l->peer_lines == 0) {
		l->peer_lines_dropped++;
		return;
	}
	l->peer_lines--;
	if (l->peer_lines_dropped)
		log_notice("%llu more lines about peers were left out", (unsigned long long)l->peer_lines_dropped);
	l->peer_lines_dropped = 0;
	len = port_address_text(peer, address);
	log_notice("%s: %.*s: %s: %s", protocol, (int)len, address, what, detail);
}

static void refuse(struct loop *l, const struct listener_config *listener, port_socket s,
	const struct port_address *peer)
{
	const char *busy = listener->protocol->busy;

	l->status.refused_full++;
	loop_complain(l, peer, listener->protocol->name, "refused", "all places are taken");
	if (busy && listener->tls != LISTEN_TLS)
		port_send(s, busy, strlen(busy));
	port_shut(s);
}

/* Connections of the listener's protocol, by all of its listeners. */
static bool too_many(const struct loop *l, const struct listener_config *listener)
{
	uint32_t n = 0;

	if (listener->most == 0)
		return false;
	for (uint32_t i = 0; i < l->conn_n; i++)
		if (l->conns[i].phase != PHASE_FREE && l->conns[i].listener->protocol == listener->protocol)
			n++;
	return n >= listener->most;
}

static void admit(struct loop *l, const struct listener_config *listener, port_socket s,
	const struct port_address *peer)
{
	enum place place = listener->delivery ? PLACE_DELIVERY : PLACE_LOGIN;

	l->status.accepted++;
	if (listener->from && !network_contains(listener->from, listener->from_n, peer)) {
		l->status.refused_network++;
		loop_complain(l, peer, listener->protocol->name, "refused", "its network is not in allow-from");
		port_shut(s);
		return;
	}
	if (too_many(l, listener)) {
		refuse(l, listener, s, peer);
		return;
	}
	if (place == PLACE_DELIVERY ? l->place_n[place] >= l->config.delivery_places
				    : l->place_n[place] >= l->config.login_places && !place_free_login(l)) {
		refuse(l, listener, s, peer);
		return;
	}
	for (uint32_t i = 0; i < l->conn_n; i++) {
		if (l->conns[i].phase != PHASE_FREE)
			continue;
		conn_start(&l->conns[i], listener, s, peer, place);
		return;
	}
	refuse(l, listener, s, peer);
}

void loop_accept(struct loop *l, uint32_t ready)
{
	unsigned left = LOOP_ACCEPTS;
	struct port_address peer;

	if (l->listener_n == 0)
		return;
	/* Begin behind the listener that was served last: a flood on one of them
	 * must not shut out the others. */
	for (uint32_t i = 0; i < l->listener_n && left; i++) {
		uint32_t at = (l->accept_first + i) % l->listener_n;

		while ((ready & UINT32_C(1) << at) && left) {
			port_socket s = port_accept(l->listening[at], &peer);

			if (s == E_NOMEM) {
				log_warning("the system has no handle for another connection: waiting");
				linger_end(l);
				l->accept_after_us = l->now_us + ACCEPT_PAUSE_US;
				return;
			}
			if (s < 0)
				break;
			left--;
			admit(l, &l->listeners[at], s, &peer);
		}
	}
	l->accept_first = (l->accept_first + 1) % l->listener_n;
}
