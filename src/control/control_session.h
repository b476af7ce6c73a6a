/* Inside of the control socket: the session, shared by control.c (lines,
 * phases, replies) and control_mail.c (messages that come in). */
#ifndef CONTROL_CONTROL_SESSION_H
#define CONTROL_CONTROL_SESSION_H

#include "control/control.h"
#include "control/words.h"

/* Messages taken and not yet durable, per connection: they share a sync. */
#define CONTROL_PENDING 32

/* Room that every reply line fits in. */
#define CONTROL_REPLY 512

/* Seconds without a byte from the peer; then the connection is closed. */
#define CONTROL_IDLE_S 600

enum control_phase {
	CONTROL_REQUEST, /* reading request lines */
	CONTROL_BODY,    /* a message comes */
	CONTROL_END,     /* it has ended and goes into its mailbox */
	CONTROL_STATUS,
	CONTROL_REMOVE,  /* waits until the removal is durable */
	CONTROL_CHECK,
	CONTROL_EVICT_LIST,
	CONTROL_EVICT_RUN, /* waits until it is over */
	CONTROL_EVICTED,
	CONTROL_BACKUP
};

/* A message that was answered or is about to be. */
struct control_message {
	store_ticket ticket; /* 0: err is the outcome */
	int err;
	uint32_t uid;
	unsigned keywords_lost;
};

/* A list of messages that go, or went, under way. */
struct evict_listing {
	bool json, all, opened, totals;
	uint64_t begun;           /* which preview it is */
	uint64_t after;           /* the audit's number it has come to */
	uint64_t messages, bytes; /* evicted before the run began */
	uint32_t items, passed;
};

struct control_session {
	struct control *control;
	struct conn *conn;
	enum control_phase phase;
	enum step wait;       /* what the step returns when nothing goes on */
	bool closing;
	bool timed_out;

	struct intake intake;
	bool intake_fresh;    /* intake_begin was not called yet for this request */
	int failure;          /* why the message can't be kept; the rest is discarded */
	uint64_t chunk_left;
	struct control_message pending[CONTROL_PENDING];
	unsigned pending_first, pending_n;

	store_ticket ticket;
	uint64_t check_cursor;
	uint32_t findings, findings_unsaid;
	bool backup;          /* the store's backup is read by this session */
	struct report report;
	struct evict_listing evict;
};

struct control {
	struct control_config config;
	struct pool sessions;
};

/* ---- control.c ---- */

void control_reply_err(struct control_session *s, int err, const char *sentence);

/* ---- control_mail.c ---- */

/* The requests: E_AGAIN, to be run again; else OK. */
int control_deliver(struct control_session *s, const struct bytes *words, int n);
int control_import(struct control_session *s, const struct bytes *words, int n);
/* The phases: true when the session goes on at once. */
bool control_phase_body(struct control_session *s);
bool control_phase_end(struct control_session *s);
/* Answers the messages whose outcome is known, oldest first. False when the
 * output is full. */
bool control_answer_messages(struct control_session *s);

/* ---- control_backup.c ---- */

/* BACKUP */
int control_backup(struct control_session *s, const struct bytes *words, int n);
bool control_phase_backup(struct control_session *s);
/* The session ends: so does its backup. */
void control_backup_close(struct control_session *s);

/* ---- control_evict.c ---- */

/* EVICT-PREVIEW [@USER] [all] [json]; EVICT [ID]; EVICTED [json] */
int control_evict_preview(struct control_session *s, const struct bytes *words, int n);
int control_evict_run(struct control_session *s, const struct bytes *words, int n);
int control_evicted(struct control_session *s, const struct bytes *words, int n);
bool control_phase_evict_list(struct control_session *s);
bool control_phase_evict_run(struct control_session *s);
bool control_phase_evicted(struct control_session *s);

#endif
