/* Inside of the SMTP engine: the session, shared by smtp.c (lines and phases),
 * smtp_commands.c (what each command does) and smtp_data.c (the message, from
 * the first byte behind DATA to the last reply). */
#ifndef MTA_SMTP_SESSION_H
#define MTA_SMTP_SESSION_H

#include "mta/dots.h"
#include "mta/path.h"
#include "mta/smtp.h"
#include "mta/trace.h"

/* Bytes of a command line with its CRLF. RFC 5321 4.5.3.1.4 asks for 512 plus
 * what each extension adds; a line beyond it is skipped and answered 500. */
#define SMTP_LINE 2048

/* Commands answered 5xx in a session before it is closed with 421: a client
 * that gets so much wrong is not a mail server. Unknown recipients don't count. */
#define SMTP_ERRORS 20

/* Waiting for a command, for more of the message (RFC 5321 4.5.3.2.7 and .5),
 * and the whole time a message may take, in seconds. Beyond it: 421 and close. */
#define SMTP_COMMAND_S 300
#define SMTP_DATA_S 180
#define SMTP_MESSAGE_S 3600

/* How long DATA waits for a place for the arriving message before it is
 * answered 451, and how often it looks, in microseconds. */
#define SMTP_PLACE_US 20000000
#define SMTP_PLACE_LOOK_US 20000

/* Room that every answer to one command fits in. */
#define SMTP_REPLY_ROOM 1024

enum smtp_phase {
	SMTP_COMMAND, /* reading command lines */
	SMTP_TICKET,  /* a command waits for a commit and is then run again */
	SMTP_DATA,    /* the message text comes */
	SMTP_FINISH,  /* it has ended and goes to its mailboxes */
	SMTP_COMMIT,  /* waits until it is durable */
	SMTP_RESULT   /* the replies for it */
};

struct smtp_session;

/* What a command comes to: OK, its reply is in the output; E_AGAIN, it has to
 * be run again (session->wait says when); anything else counts as an error of
 * the client's, and its reply is in the output too. */
struct smtp_command {
	const char *name;
	int (*run)(struct smtp_session *s, struct bytes args);
};

struct smtp_dialect {
	const char *name;       /* in log lines */
	const char *service;    /* behind the domain in the greeting */
	const char *with, *with_utf8; /* in Received */
	const struct smtp_command *commands;
	size_t n_commands;
};

struct smtp_recipient {
	uint32_t owner;
	uint32_t mailbox;
	int err; /* outcome, once the message has ended */
};

struct smtp_session {
	struct smtp *service;
	const struct smtp_dialect *dialect;
	struct conn *conn;
	enum smtp_phase phase;
	enum step wait;         /* what the step returns when nothing goes on */
	bool closing;           /* STEP_CLOSE once the output is made */
	bool skipping;          /* the rest of an overlong line */
	bool timed_out;         /* the deadline caused this step */
	bool input_behind;      /* there is input behind the line being run */
	bool greeted;           /* LHLO was said */
	bool mail;              /* MAIL was accepted: a transaction is open */
	bool utf8;              /* with SMTPUTF8 */
	unsigned errors;
	uint32_t messages;      /* so far, for Received and the log */
	uint64_t waiting_since; /* DATA waits for a place since then; 0: it does not */
	int ticket_err;         /* by which SMTP_TICKET failed */
	store_ticket ticket;
	uint64_t message_deadline;

	struct arrival *arrival; /* NULL between messages and after a failure */
	struct dots dots;
	int failure;             /* why the message can't be kept; the rest is discarded */
	uint64_t declared;       /* SIZE= of MAIL, 0 when not said */
	unsigned n_recipients, replied;
	struct smtp_recipient recipients[STORE_TARGETS];
	size_t helo_len, sender_len, only_len;
	uint8_t helo[TRACE_HELO_MAX];
	uint8_t sender[PATH_MAX_BYTES];
	uint8_t only[PATH_MAX_BYTES]; /* the recipient, when there is one alone */
};

struct smtp {
	struct smtp_config config;
	struct pool sessions;
	struct smtp_status status;
};

/* ---- smtp.c ---- */

/* The three calls of struct protocol; open is called by the dialect's own. */
void *smtp_open(struct smtp *service, const struct smtp_dialect *dialect, struct conn *c);
enum step smtp_step(void *session, struct conn *c);
void smtp_farewell(void *session, struct conn *c, enum conn_end why);
void smtp_close(void *session, struct conn *c, enum conn_end why);

/* One reply line; `enhanced` (RFC 2034) may be NULL. */
void smtp_reply(struct smtp_session *s, unsigned code, const char *enhanced, const char *text);
/* The reply for an outcome; true when it is a 250. */
bool smtp_reply_outcome(struct smtp_session *s, int err);
/* Forgets the transaction. */
void smtp_reset(struct smtp_session *s);

/* ---- smtp_commands.c ---- */

int smtp_lhlo(struct smtp_session *s, struct bytes args);
int smtp_mail(struct smtp_session *s, struct bytes args);
int smtp_rcpt(struct smtp_session *s, struct bytes args);
int smtp_rset(struct smtp_session *s, struct bytes args);
int smtp_noop(struct smtp_session *s, struct bytes args);
int smtp_vrfy(struct smtp_session *s, struct bytes args);
int smtp_quit(struct smtp_session *s, struct bytes args);

/* ---- smtp_data.c ---- */

int smtp_data(struct smtp_session *s, struct bytes args);
/* The phases of the message: true when the session goes on at once, false when
 * it waits for s->wait. */
bool smtp_phase_data(struct smtp_session *s);
bool smtp_phase_finish(struct smtp_session *s);
bool smtp_phase_commit(struct smtp_session *s);
bool smtp_phase_result(struct smtp_session *s);

#endif
