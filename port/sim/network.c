/* The contract of port/network.h between the code under test and scripted
 * clients: a buffer a direction, cut into pieces by chance. */
#include "port/sim/world.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTENERS_MAX 32
#define BACKLOG_MAX 64 /* that wait to be accepted, as in port/posix */

/* Handles: a listener's, a server end's and port_connect's client end's. Those
 * of connections are never used again. */
#define FIRST_LISTENER 1000000
#define FIRST_SERVER 2000000
#define FIRST_CLIENT 100000000

struct pipe {
	uint8_t *data;
	size_t cap, head, len;
	bool ended; /* nothing more will be put in */
};

struct link {
	struct pipe up, down; /* to the server, to the client */
	struct port_address peer;
	bool accepted, server_open, client_open, reset, vanished;
};

struct listener {
	char path[PORT_PATH_MAX]; /* empty: a port */
	uint16_t port;
	bool open;
	unsigned waiting, next; /* to be accepted: so many of queue, from next on */
	unsigned queue[BACKLOG_MAX];
};

static struct listener listeners[LISTENERS_MAX];
static struct link *links;
static unsigned link_count, link_cap;
static enum sim_chunks how_chunked;
static size_t buffer_size;
static unsigned accepts_failing;
static uint16_t next_port;

static void pipe_free(struct pipe *p)
{
	free(p->data);
	memset(p, 0, sizeof *p);
	p->ended = true;
}

void network_reset(void)
{
	for (unsigned i = 0; i < link_count; i++) {
		pipe_free(&links[i].up);
		pipe_free(&links[i].down);
	}
	free(links);
	links = NULL;
	link_count = link_cap = 0;
	memset(listeners, 0, sizeof listeners);
	how_chunked = SIM_CHUNKS_RANDOM;
	buffer_size = 16384;
	accepts_failing = 0;
	next_port = 40000;
}

void sim_network(enum sim_chunks chunks, size_t buffer)
{
	how_chunked = chunks;
	buffer_size = buffer ? buffer : 1;
}

void sim_accept_fail(unsigned n)
{
	accepts_failing = n;
}

/* The server's end goes without a word; what it sent before still arrives. */
static void link_break(struct link *l)
{
	l->server_open = false;
	l->reset = true;
	pipe_free(&l->up);
	l->down.ended = true;
	if (!l->client_open)
		pipe_free(&l->down);
}

void network_kill(void)
{
	for (unsigned i = 0; i < link_count; i++)
		if (links[i].server_open)
			link_break(&links[i]);
	memset(listeners, 0, sizeof listeners);
	accepts_failing = 0;
}

static size_t pipe_put(struct pipe *p, const uint8_t *data, size_t len)
{
	if (len > p->cap - p->len)
		len = p->cap - p->len;
	for (size_t i = 0; i < len; i++)
		p->data[(p->head + p->len + i) % p->cap] = data[i];
	p->len += len;
	return len;
}

static size_t pipe_get(struct pipe *p, uint8_t *data, size_t len)
{
	if (len > p->len)
		len = p->len;
	for (size_t i = 0; i < len; i++)
		data[i] = p->data[(p->head + i) % p->cap];
	if (len > 0)
		p->head = (p->head + len) % p->cap;
	p->len -= len;
	return len;
}

/* How many of at most n bytes move this time. */
static size_t chunk(size_t n)
{
	if (how_chunked == SIM_CHUNKS_ONE || n == 0)
		return n ? 1 : 0;
	if (how_chunked == SIM_CHUNKS_WHOLE || chance_percent(CHANCE_NETWORK, 40))
		return n;
	if (chance_percent(CHANCE_NETWORK, 25))
		return 1;
	return 1 + (size_t)chance(CHANCE_NETWORK, n);
}

/* ---- the server's side ---- */

static struct listener *listener_of(port_socket s)
{
	if (s < FIRST_LISTENER || s >= FIRST_LISTENER + LISTENERS_MAX || !listeners[s - FIRST_LISTENER].open)
		return NULL;
	return &listeners[s - FIRST_LISTENER];
}

static struct link *link_of(port_socket s)
{
	struct link *l = NULL;

	if (s >= FIRST_SERVER && s < FIRST_SERVER + (int)link_count)
		l = &links[s - FIRST_SERVER];
	if (!l || !l->server_open || !l->accepted)
		sim_misuse("socket %d is not open", s);
	return l;
}

/* The number behind the last colon, or -1. */
static long port_of(const char *where)
{
	const char *colon = strrchr(where, ':');
	long n = 0;

	if (!colon || colon == where || !colon[1])
		return -1;
	for (const char *c = colon + 1; *c; c++) {
		if (*c < '0' || *c > '9' || n > 65535)
			return -1;
		n = n * 10 + *c - '0';
	}
	return n <= 65535 ? n : -1;
}

static struct listener *listening(uint16_t port, const char *path)
{
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		if (listeners[i].open &&
			(path ? strcmp(listeners[i].path, path) == 0
			      : !listeners[i].path[0] && listeners[i].port == port))
			return &listeners[i];
	return NULL;
}

port_socket port_listen(const char *where, unsigned mode, const char *group)
{
	const char *path = strncmp(where, "unix:", 5) == 0 ? where + 5 : NULL;
	long port = path ? 0 : port_of(where);

	(void)mode;
	(void)group;
	if (port < 0 || (path && (!*path || strlen(path) >= PORT_PATH_MAX)))
		return E_SYNTAX;
	while (!path && port == 0 && listening(next_port, NULL))
		next_port++;
	if (!path && port == 0)
		port = next_port++;
	if (listening((uint16_t)port, path))
		return E_BUSY;
	for (int i = 0; i < LISTENERS_MAX; i++) {
		struct listener *l = &listeners[i];

		if (l->open)
			continue;
		memset(l, 0, sizeof *l);
		l->open = true;
		l->port = (uint16_t)port;
		if (path)
			memcpy(l->path, path, strlen(path) + 1);
		return FIRST_LISTENER + i;
	}
	return E_NOMEM;
}

uint16_t port_listen_port(port_socket listener)
{
	const struct listener *l = listener_of(listener);

	return l && !l->path[0] ? l->port : 0;
}

port_socket port_accept(port_socket listener, struct port_address *peer)
{
	struct listener *at = listener_of(listener);
	unsigned i;

	if (!at)
		return E_IO;
	if (at->waiting == 0)
		return E_AGAIN;
	if (accepts_failing > 0) {
		accepts_failing--;
		return E_NOMEM;
	}
	i = at->queue[at->next];
	at->next = (at->next + 1) % BACKLOG_MAX;
	at->waiting--;
	links[i].accepted = true;
	*peer = links[i].peer;
	return FIRST_SERVER + (int)i;
}

int64_t port_recv(port_socket s, void *data, size_t len)
{
	struct link *l;

	if (len == 0)
		sim_misuse("port_recv of no bytes");
	if (s >= FIRST_CLIENT) {
		int64_t n = sim_client_recv(s - FIRST_CLIENT, data, len);
		return n > 0 ? n : n == 0 ? E_AGAIN : n == E_CLOSED ? 0 : E_CLOSED;
	}
	l = link_of(s);
	if (l->reset)
		return E_CLOSED;
	if (l->vanished)
		return E_AGAIN;
	if (l->up.len > 0)
		return (int64_t)pipe_get(&l->up, data, chunk(l->up.len < len ? l->up.len : len));
	return l->up.ended ? 0 : E_AGAIN;
}

int64_t port_send(port_socket s, const void *data, size_t len)
{
	struct link *l;
	size_t room;

	if (len == 0)
		sim_misuse("port_send of no bytes");
	if (s >= FIRST_CLIENT) {
		int64_t n = sim_client_send(s - FIRST_CLIENT, data, len);
		return n == 0 ? E_AGAIN : n;
	}
	l = link_of(s);
	if (l->reset || !l->client_open || l->down.ended)
		return E_CLOSED;
	room = l->down.cap - l->down.len;
	/* a system may change its mind between poll and send */
	if (room == 0 || (how_chunked == SIM_CHUNKS_RANDOM && chance_percent(CHANCE_NETWORK, 3)))
		return E_AGAIN;
	return (int64_t)pipe_put(&l->down, data, chunk(room < len ? room : len));
}

void port_finish(port_socket s)
{
	if (s < FIRST_CLIENT)
		link_of(s)->down.ended = true;
	else
		sim_client_half_close(s - FIRST_CLIENT);
}

void port_shut(port_socket s)
{
	struct listener *at = listener_of(s);
	struct link *l;

	if (s < 0)
		return;
	if (at) {
		for (unsigned i = 0; i < at->waiting; i++)
			link_break(&links[at->queue[(at->next + i) % BACKLOG_MAX]]);
		memset(at, 0, sizeof *at);
		return;
	}
	if (s >= FIRST_CLIENT) {
		sim_client_close(s - FIRST_CLIENT);
		return;
	}
	l = link_of(s);
	l->server_open = false;
	pipe_free(&l->up);
	l->down.ended = true;
	if (!l->client_open)
		pipe_free(&l->down);
}

bool port_alive(port_socket s)
{
	return s >= FIRST_CLIENT || !link_of(s)->vanished;
}

static uint8_t readiness(const struct port_wait *w)
{
	const struct listener *at = listener_of(w->s);
	const struct link *l;
	unsigned got = 0;

	if (at)
		return at->waiting > 0 ? w->want & PORT_CAN_READ : 0;
	if (w->s >= FIRST_CLIENT)
		return (uint8_t)(w->want &
			((sim_client_ready(w->s - FIRST_CLIENT) || sim_client_closed(w->s - FIRST_CLIENT)
					 ? PORT_CAN_READ
					 : 0) |
				PORT_CAN_WRITE));
	l = link_of(w->s);
	if (l->reset)
		return (uint8_t)(PORT_CAN_READ | (w->want & PORT_CAN_WRITE));
	if (!l->vanished && (l->up.len > 0 || l->up.ended))
		got |= PORT_CAN_READ;
	if (!l->client_open || l->down.len < l->down.cap)
		got |= PORT_CAN_WRITE;
	return (uint8_t)(w->want & got);
}

int network_look(struct port_wait *set, size_t n)
{
	int ready = 0;

	for (size_t i = 0; i < n; i++) {
		set[i].got = readiness(&set[i]);
		ready += set[i].got != 0;
	}
	return ready;
}

unsigned sim_open_sockets(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < link_count; i++)
		n += links[i].server_open && links[i].accepted;
	return n;
}

/* ---- the clients' side ---- */

static struct link *client_of(sim_client c)
{
	if (c < 1 || c > (int)link_count)
		sim_misuse("there is no client %d", c);
	return &links[c - 1];
}

static sim_client connect_to(struct listener *at, const struct port_address *from)
{
	struct link *l;

	if (!at || at->waiting == BACKLOG_MAX)
		return E_CLOSED;
	if (link_count == link_cap) {
		link_cap = link_cap ? link_cap * 2 : 64;
		links = sim_retake(links, link_cap * sizeof *links);
	}
	l = &links[link_count++];
	memset(l, 0, sizeof *l);
	l->peer = *from;
	l->up.cap = l->down.cap = buffer_size;
	l->up.data = sim_take(buffer_size);
	l->down.data = sim_take(buffer_size);
	l->server_open = l->client_open = true;
	at->queue[(at->next + at->waiting++) % BACKLOG_MAX] = link_count - 1;
	return (sim_client)link_count;
}

sim_client sim_connect_from(uint16_t port, const struct port_address *from)
{
	return connect_to(listening(port, NULL), from);
}

sim_client sim_connect(uint16_t port)
{
	struct port_address from = { .family = PORT_IP4, .ip = { 127, 0, 0, 1 } };

	from.port = (uint16_t)(49152 + link_count % 16384);
	return sim_connect_from(port, &from);
}

sim_client sim_connect_unix(const char *path, uint32_t uid, uint32_t gid)
{
	struct port_address from = { .family = PORT_UNIX, .uid = uid, .gid = gid, .pid = 1 };

	return connect_to(listening(0, path), &from);
}

port_socket port_connect(const char *where)
{
	long port = port_of(where);
	sim_client c;

	if (strncmp(where, "unix:", 5) == 0)
		c = sim_connect_unix(where + 5, 0, 0);
	else if (port < 0)
		return E_SYNTAX;
	else
		c = sim_connect((uint16_t)port);
	return c < 0 ? c : FIRST_CLIENT + c;
}

int64_t sim_client_send(sim_client c, const void *data, size_t len)
{
	struct link *l = client_of(c);

	if (l->reset || !l->server_open || !l->client_open || l->up.ended)
		return E_CLOSED;
	return (int64_t)pipe_put(&l->up, data, len);
}

int64_t sim_client_recv(sim_client c, void *data, size_t len)
{
	struct link *l = client_of(c);

	if (l->vanished)
		return 0;
	if (l->down.len > 0)
		return (int64_t)pipe_get(&l->down, data, len);
	if (l->reset)
		return E_IO;
	return l->down.ended ? E_CLOSED : 0;
}

size_t sim_client_ready(sim_client c)
{
	const struct link *l = client_of(c);

	return l->vanished ? 0 : l->down.len;
}

bool sim_client_closed(sim_client c)
{
	return client_of(c)->down.ended;
}

void sim_client_half_close(sim_client c)
{
	client_of(c)->up.ended = true;
}

void sim_client_close(sim_client c)
{
	struct link *l = client_of(c);

	l->client_open = false;
	l->up.ended = true;
	pipe_free(&l->down);
}

void sim_client_reset(sim_client c)
{
	struct link *l = client_of(c);

	l->client_open = false;
	l->reset = true;
	pipe_free(&l->up);
	pipe_free(&l->down);
}

void sim_client_vanish(sim_client c)
{
	client_of(c)->vanished = true;
}

size_t port_address_text(const struct port_address *a, char out[46])
{
	unsigned group[8];
	int best = -1, best_len = 1;
	size_t len = 0;

	if (a->family == PORT_UNIX)
		return (size_t)snprintf(out, 46, "unix");
	if (a->family == PORT_IP4)
		return (size_t)snprintf(out, 46, "%d.%d.%d.%d", a->ip[0], a->ip[1], a->ip[2], a->ip[3]);
	for (int i = 0; i < 8; i++)
		group[i] = (unsigned)a->ip[2 * i] << 8 | a->ip[2 * i + 1];
	/* RFC 5952 section 4.2: the longest run of zeros, the first of equals */
	for (int i = 0, run = 0; i < 8; i++) {
		run = group[i] == 0 ? run + 1 : 0;
		if (run > best_len) {
			best_len = run;
			best = i - run + 1;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			len += (size_t)snprintf(out + len, 46 - len, "::");
			i += best_len - 1;
			continue;
		}
		len += (size_t)snprintf(out + len, 46 - len, i > 0 && i != best + best_len ? ":%x" : "%x", group[i]);
	}
	return len;
}
