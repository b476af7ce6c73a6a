/* What the files of net/ share among themselves; no other layer includes it.
 *
 * A connection is an entry of a fixed table. Its life:
 *
 *     accepted -> HANDSHAKE (implicit TLS) -> OPEN -> CLOSING -> free
 *                     ^--- STEP_TLS -----------'
 *
 * Only the loop frees an entry, and never inside a protocol's call: whoever
 * wants a connection gone in such a call dooms it (conn_doom), and the loop
 * buries it as soon as that call returned. */
#ifndef NET_INNER_H
#define NET_INNER_H

#include "base/mem.h"
#include "net/loop.h"
#include "net/tls.h"
#include "port/network.h"

/* Listeners of one loop: each protocol in both families, twice over. */
#define LOOP_LISTENERS 24

/* Connections accepted in one turn: an accept costs a few system calls, and a
 * flood of them must not delay those who are served. */
#define LOOP_ACCEPTS 4

/* One connection goes on in a turn for so many bytes, in and out together, and
 * so long; then the others come. Large enough to keep a fast peer's window
 * full, small enough to be felt by nobody. */
#define SLICE_BYTES 65536
#define SLICE_US 4000

/* The accept queue is left alone for so long when the system has no handle. */
#define ACCEPT_PAUSE_US 100000

/* A login place is taken from an unauthenticated peer only after so long: time
 * enough to type no password, but to send one. */
#define LOGIN_PROTECTED_US 10000000u

/* A session that was silent, or in IDLE, for so long may lose its place. */
#define PLACE_SILENT_US (30 * 60 * UINT64_C(1000000))

/* While others wait for a buffer: a peer that has held one for so long without
 * completing its command, or without taking its output, is closed. */
#define RECLAIM_US 10000000u

/* While a commit is under way nothing wakes port_wait: look again so soon. */
#define COMMIT_POLL_MS 1

/* The last lines of a stopping server may take so long to go out. */
#define FAREWELL_US 1000000u

/* Closed sockets whose peer may still be sending (linger.c): so many at once, the
 * oldest gives way; each for so long and so many bytes. Time enough for a client
 * on a slow radio to stop and read, and bytes for one that is in the middle of a
 * large message; whoever sends on after that gets a reset. */
#define LINGER_MAX 16
#define LINGER_US 2000000u
#define LINGER_BYTES (8u << 20)

/* Log lines about peers that misbehave: so many at once, then one in so long. */
#define PEER_LINES 10
#define PEER_LINE_US 6000000u

enum phase { PHASE_FREE, PHASE_HANDSHAKE, PHASE_OPEN, PHASE_CLOSING };

enum place { PLACE_NONE, PLACE_LOGIN, PLACE_USER, PLACE_DELIVERY, PLACE_KINDS };

struct conn {
	struct loop *loop;
	const struct listener_config *listener;
	void *session;     /* of the protocol; NULL before open and after close */
	struct tls *tls;   /* from the first byte of the handshake on */
	const char *label; /* what the step does */

	/* Input that came and was not consumed: input[input_from..input_to). */
	uint8_t *input; /* a pool's unit, the loop's scratch (within a run), or NULL */
	uint32_t input_from, input_to;
	uint64_t input_held_us; /* since when the unit is held without a step that consumed */

	/* Output that the peer did not take: rest[rest_from..rest_to). */
	uint8_t *rest; /* a pool's unit or NULL */
	uint32_t rest_from, rest_to;
	uint64_t blocked_us; /* when the peer took something last; 0: not blocked */

	struct port_address peer;
	uint64_t opened_us;   /* accept */
	uint64_t login_by_us; /* end of the time before login */
	uint64_t deadline_us; /* conn_deadline */
	uint64_t active_us;   /* last sign of life of the peer */
	uint64_t idle_us;     /* in IDLE since then; 0: not in IDLE */
	uint32_t number, user;
	port_socket socket;

	enum phase phase;
	enum place place;
	enum step state;
	enum conn_end doom_why;
	bool doomed;
	bool input_long;   /* the unit is of the long pool */
	bool ended;        /* the peer sends no more */
	bool end_told;     /* a step has seen that */
	bool ready;        /* port_wait said so, and nothing was found missing since */
	bool woken;
	bool deadline_struck;
};

struct linger {
	port_socket socket;
	uint32_t left; /* bytes that may still come */
	uint64_t until_us;
	bool ready;
};

struct loop {
	struct loop_config config;
	struct loop_tasks tasks;
	struct loop_status status;

	struct conn *conns;
	uint32_t conn_n;           /* entries of the table */
	uint32_t place_n[PLACE_KINDS]; /* connections by place */
	uint32_t turn_first;       /* who comes first in this turn */
	uint32_t next_number;
	uint32_t doomed_n;

	struct listener_config listeners[LOOP_LISTENERS];
	port_socket listening[LOOP_LISTENERS];
	uint32_t listener_n;
	uint32_t accept_first;     /* who is asked first in this turn */
	uint64_t accept_after_us;  /* no accept before; 0: any time */

	struct linger lingering[LINGER_MAX];
	uint32_t lingering_n;

	struct port_wait *set;     /* listeners, lingering sockets, connections */
	uint32_t *set_conn;        /* connection of each entry behind the first two */

	struct pool inputs, longs, outputs;
	uint8_t *scratch;          /* input that needs no unit: CONN_INPUT bytes */
	struct buf out;            /* the output piece */
	uint8_t out_space[CONN_OUTPUT];
	bool inputs_wanted, outputs_wanted; /* somebody waits for a unit of these */

	uint64_t now_us;           /* of this turn */
	uint64_t piece_us;         /* the longest piece of work of this turn */
	const char *piece;
	bool shaken;               /* a handshake had its flight in this turn */
	bool stop;
	bool busy;                 /* a task wants the loop to go round at once */
	bool commit_under_way;
	uint32_t peer_lines;       /* log lines that may still be written */
	uint64_t peer_lines_us;    /* when that was counted */
	uint64_t peer_lines_dropped;
};

/* ---- conn.c: one connection ---- */

/* A fresh entry for an accepted socket; never fails: the caller has counted. */
void conn_start(struct conn *c, const struct listener_config *listener, port_socket s, const struct port_address *peer,
	enum place place);
/* Lets it go on as far as it can within one slice. */
void conn_run(struct conn *c);
/* What port_wait shall look for: PORT_CAN_..., 0 for nothing. */
uint8_t conn_wants(struct conn *c);
/* When it must be run at the latest: 1 for at once, 0 for never. */
uint64_t conn_due_us(const struct conn *c);
/* Closes now. Not inside a protocol's call. */
void conn_drop(struct conn *c, enum conn_end why);
/* Ends the session, with a farewell if that can be sent at once, and closes
 * when the output went. Not inside a protocol's call. */
void conn_finish(struct conn *c, enum conn_end why, bool farewell);
/* The same, but closes now. */
void conn_dismiss(struct conn *c, enum conn_end why);
/* To be closed as soon as the running call of a protocol returned; its place is
 * free from now on. */
void conn_doom(struct conn *c, enum conn_end why);
/* A line about a peer that misbehaves: rate limited. */
void conn_complain(const struct conn *c, const char *what, const char *detail);

/* ---- linger.c ---- */

/* Takes a socket whose last words were sent: closes its sending side now, and
 * all of it when the peer has closed, sent too much or taken too long. */
void linger_start(struct loop *l, port_socket s);
/* Fills the entries for port_wait, one for each lingering socket; their number. */
size_t linger_watch(const struct loop *l, struct port_wait *set);
/* When linger_run must be called at the latest; 0: no need. */
uint64_t linger_due_us(const struct loop *l);
void linger_run(struct loop *l);
/* Closes all of them now. */
void linger_end(struct loop *l);

/* ---- places.c ---- */

void place_take(struct conn *c, enum place place);
void place_leave(struct conn *c);
/* Makes a login place free by the rule for unauthenticated peers; false when
 * all of them are too young. */
bool place_free_login(struct loop *l);

/* ---- listen.c ---- */

/* Accepts from the listeners whose bits are set. */
void loop_accept(struct loop *l, uint32_t ready);
/* A log line about a peer, unless there were too many of late. */
void loop_complain(struct loop *l, const struct port_address *peer, const char *protocol, const char *what,
	const char *detail);

/* ---- loop.c ---- */

/* A piece of work is over: remembers the longest one of the turn. The time. */
uint64_t loop_piece(struct loop *l, const char *what, uint64_t began_us);
/* Closes what was doomed meanwhile. */
void loop_bury(struct loop *l);

#endif
