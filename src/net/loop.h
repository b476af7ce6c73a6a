/* The loop: one thread, one port_wait. A turn is: wait, accept, read and step
 * every connection that can go on, run the owner's tasks, commit, step those
 * that waited for it, flush. Nobody is stepped longer than one slice. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/mem.h"
#include "net/conn.h"

struct loop;

struct loop_config {
	uint32_t connections;    /* logged-in sessions */
	uint32_t login_places;   /* not yet logged in, on top */
	uint32_t delivery_places; /* unix sockets and lmtp, on top */
	uint32_t input_buffers, long_buffers, output_buffers;
	uint32_t tls_places;     /* 0: no TLS */
	uint32_t login_timeout_s; /* whole time before login, handshake included */
	uint32_t write_timeout_s; /* a peer that takes nothing for that long is closed */
};

/* Arena bytes of a loop, without TLS: that is tls_memory, and tls_init comes
 * before loop_init. */
size_t loop_memory(const struct loop_config *config);
int loop_init(struct loop **l, struct arena *arena, const struct loop_config *config);

/* Networks that may connect: "192.168.0.0/16", "fe80::/10". At most
 * LOOP_NETWORKS a list. E_SYNTAX, E_LIMIT. */
#define LOOP_NETWORKS 16
struct network {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t bits;   /* of 128 */
};
int network_parse(struct bytes text, struct network *out);
bool network_contains(const struct network *list, size_t n, const struct port_address *peer);

enum listen_tls { LISTEN_PLAIN, LISTEN_STARTTLS, LISTEN_TLS };
struct listener_config {
	const char *where;     /* as port_listen takes it */
	const struct protocol *protocol;
	void *context;         /* given to protocol->open */
	enum listen_tls tls;
	bool delivery;         /* uses delivery places, */
	uint32_t most;         /* at most so many at once of this protocol; 0: all */
	const char *group;     /* of a unix socket, or NULL */
	const struct network *from; /* who may connect; others are closed and counted; NULL: anyone */
	size_t from_n;
};
/* Pointers must stay valid. Errors as port_listen, E_LIMIT. */
int loop_listen(struct loop *l, const struct listener_config *config);
/* Gives the listeners of a protocol their context, where it is made after the
 * ports were opened; before the first turn. */
void loop_context(struct loop *l, const struct protocol *protocol, void *context);
/* A list that was given as `from` has another number of entries now (and perhaps
 * others): for all listeners that use it. */
void loop_networks(struct loop *l, const struct network *from, size_t n);
/* Another login_timeout_s, for connections from now on. */
void loop_login_timeout(struct loop *l, uint32_t seconds);
/* Port of the i-th listener, for `listen imap 127.0.0.1:0`. */
uint16_t loop_port(const struct loop *l, size_t i);

/* Tasks of the owner: called once a turn. before_commit runs slices of
 * background work and says whether it wants the loop to go round at once;
 * wants_commit/commit do the group commit (commit returns E_AGAIN while the
 * sync is under way); deadline tells when to wake up at the latest (0: never). */
struct loop_tasks {
	void *context;
	bool (*work)(void *context);
	bool (*wants_commit)(void *context);
	int (*commit)(void *context);
	uint64_t (*deadline)(void *context);
	void (*signals)(void *context, unsigned taken); /* PORT_RELOAD, PORT_STOP */
};
void loop_tasks(struct loop *l, const struct loop_tasks *tasks);

/* One turn; waits at most timeout_ms (negative: as long as nothing is due). */
int loop_turn(struct loop *l, int timeout_ms);
/* Turns until loop_stop; then says farewell, flushes for up to a second and
 * closes everything. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);

struct loop_status {
	uint32_t logged_in, login, delivery; /* connections now */
	uint64_t accepted, refused_network, refused_full, tls_handshakes, tls_failures;
	uint64_t bytes_in, bytes_out, turns;
	uint64_t longest_turn_us;
	const char *longest_turn; /* what it was */
};
void loop_status(const struct loop *l, struct loop_status *out);

/* The connections of one protocol now. */
struct loop_protocol {
	const char *name;
	uint32_t connections, tls, logged_in, idle; /* all, and those of them with TLS, in a user's place, in IDLE */
};
/* The i-th protocol that is listened for; false after the last. */
bool loop_protocol(const struct loop *l, size_t i, struct loop_protocol *out);

#endif
