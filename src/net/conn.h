/* Connections as a protocol sees them. A protocol is a table of three calls;
 * its command is a resumable step that runs until its output piece is full, its
 * slice is used up, or it has to wait, and then gives the loop back by saying
 * what it waits for. Plain and TLS connections look the same.
 *
 * Memory: a connection with nothing to say holds no input, output or command
 * buffer. Input that is not yet a whole command is kept in a buffer from a pool
 * (CONN_INPUT bytes, after conn_want_long up to CONN_INPUT_LONG from a pool of
 * few). Output is made in the loop's one piece of CONN_OUTPUT bytes and handed
 * to TLS or the socket when the step returns; what the peer did not take is
 * kept in a unit of a pool, and the connection is not stepped until it went. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/bytes.h"
#include "port/network.h"

struct conn;

#define CONN_OUTPUT 4096
#define CONN_INPUT 8192
#define CONN_INPUT_LONG 65536

/* What a step waits for when it returns. */
enum step {
	STEP_INPUT,  /* more input than conn_input has now (or the deadline) */
	STEP_OUTPUT, /* the output piece is full or should go now: call me when it went */
	STEP_AGAIN,  /* more to do; others first */
	STEP_COMMIT, /* the store's commit at the end of this turn */
	STEP_EVENT,  /* conn_wake, input, or the deadline (IDLE) */
	STEP_TLS,    /* send the output, drop all input, do a TLS handshake, then call me */
	STEP_CLOSE   /* send the output, then close */
};

/* Why a connection ended, for the protocol's close call and its log line. */
enum conn_end {
	CONN_ENDED,    /* the protocol said STEP_CLOSE */
	CONN_LOST,     /* the peer closed or reset */
	CONN_TIMEOUT,  /* the peer took no output, made no handshake or did not log in for too
			* long, or held a buffer too long while others waited for one */
	CONN_EVICTED,  /* its place was given to another login */
	CONN_REVOKED,  /* conn_close_user: this user may not be here any more */
	CONN_SHUTDOWN, /* the server stops */
	CONN_TLS_ERROR
};

/* So long a peer may hold what is deleted already and only kept for it. */
#define HURRIED_SECONDS 30

struct protocol {
	const char *name;   /* "imap", "lmtp": in log lines */
	const char *busy;   /* sent in clear to whom there is no place for, with its line end; or NULL */
	/* A connection is there (with implicit TLS: its handshake is done). Returns
	 * the session, or NULL to refuse: whatever was put into conn_output is sent. */
	void *(*open)(struct conn *c, void *context);
	/* Runs the session on. Called after open too, before any input. */
	enum step (*step)(void *session, struct conn *c);
	/* The connection goes away for a reason of the server's (CONN_EVICTED, CONN_REVOKED,
	 * CONN_SHUTDOWN, CONN_TIMEOUT before login): append a last line such as "* BYE ..." where the protocol
	 * is between two answers. May be NULL. */
	void (*farewell)(void *session, struct conn *c, enum conn_end why);
	/* Whether what the peer takes so slowly holds something that others wait for: then it
	 * is closed when it took nothing for HURRIED_SECONDS. May be NULL. */
	bool (*hurried)(void *session);
	/* The session is to be forgotten and its memory given back. */
	void (*close)(void *session, struct conn *c, enum conn_end why);
};

/* ---- input ---- */

/* What has come and was not consumed; valid until consume or the step's end.
 *
 * Input that a step leaves unconsumed stays where it is as long as no further
 * input is read and nothing is consumed, that is over STEP_AGAIN, STEP_COMMIT and
 * STEP_OUTPUT: a step that parsed a command in place may go on with slices of it
 * when it is called again. Only the end of a run may move it, from the loop's
 * scratch to a unit of the pool, and only once: ask conn_input again in each step
 * and keep offsets into it, or set conn_want_long first. STEP_INPUT and STEP_EVENT
 * read more, which may move what is held. */
struct bytes conn_input(const struct conn *c);
void conn_consume(struct conn *c, size_t n);
/* The peer has closed its sending side: no more will come. */
bool conn_input_ended(const struct conn *c);
/* This command needs more than CONN_INPUT bytes at once: E_NOMEM when all long
 * buffers are taken. Moves the input (ask conn_input again). Given back by
 * itself once all input is consumed. */
int conn_want_long(struct conn *c);
/* True when the input buffer is full: the command is longer than can be held. */
bool conn_input_full(const struct conn *c);

/* ---- output ---- */

/* The piece being made: append, and return STEP_OUTPUT when what comes next
 * does not fit (buf_space). At the start of a step it is empty. */
struct buf *conn_output(struct conn *c);

/* ---- time and events ---- */

/* When step is called at the latest although nothing came; 0: never. An
 * absolute port_now_us time; cleared when it strikes. */
void conn_deadline(struct conn *c, uint64_t when_us);
bool conn_deadline_passed(const struct conn *c); /* true in the step that it caused */
/* Lets a connection that waits in STEP_EVENT run in this turn. */
void conn_wake(struct conn *c);
/* The time of this turn; cheaper than port_now_us. */
uint64_t conn_now(const struct conn *c);
/* For `cubby status`: what the step is doing; a constant string. */
void conn_label(struct conn *c, const char *what);

/* ---- who ---- */

const struct port_address *conn_peer(const struct conn *c);
bool conn_is_tls(const struct conn *c);
bool conn_tls_available(const struct conn *c); /* a certificate is loaded and a TLS place is free */
/* True for loopback peers and unix sockets. */
bool conn_is_local(const struct conn *c);
uint32_t conn_number(const struct conn *c); /* for log lines; ascends */

/* ---- places (issue: connections N counts logged-in sessions) ---- */

/* Turns a login place into a place of user number `user`. When all are taken:
 * first a session of the same user whose peer no longer answers is closed, then
 * one silent for 30 minutes outside IDLE, then the one longest in IDLE if that
 * is over 30 minutes; else E_FULL. While another user is logged in, nobody gets
 * more than half of the places; who had more before gives one back to each other
 * user who finds all of them taken: by the same order, and then the one that was
 * silent for longest, those outside a command first. */
int conn_login(struct conn *c, uint32_t user);
void conn_logout(struct conn *c);
/* The session is inside IDLE (or not): for the rule above. */
void conn_idle(struct conn *c, bool idle);
/* Closes every logged-in connection of a user (CONN_REVOKED), the calling one
 * included, as soon as the step that calls this returned; the number closed. */
unsigned conn_close_user(struct conn *any, uint32_t user);

#endif
