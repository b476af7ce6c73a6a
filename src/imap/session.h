/* One IMAP session: its state, the table of commands, and what happens between
 * two commands. Commands are resumable (net/conn.h): a run function is called
 * until it says RUN_DONE, keeps where it stands in the session, and never waits.
 *
 * The life of a command: input.c collects its text, which stays in conn_input
 * until the command is over (so pipelined ones wait behind it); its run function
 * works in slices; then the session tells what else changed in the selected
 * mailbox; then the tagged answer goes out and the text is consumed. */
#ifndef IMAP_SESSION_H
#define IMAP_SESSION_H

#include "imap/imap.h"
#include "imap/input.h"
#include "imap/parse.h"
#include "imap/state.h"

/* Bytes of output space that every single line of ours fits into, those with a
 * mailbox name included. Less than that is left: STEP_OUTPUT. */
#define REPLY_ROOM 1400

/* Commands that one step runs at most before others have their turn. */
#define COMMANDS_PER_STEP 8

/* What a run function returns besides enum step. */
enum { RUN_DONE = -1 };

enum session_state {
	STATE_LOGIN = 1, /* not authenticated */
	STATE_AUTH = 2,
	STATE_SELECTED = 4,
	STATE_ANY = 7
};

enum session_phase {
	SESSION_GREETING,
	SESSION_COMMAND,
	SESSION_RUN,
	SESSION_TELL,
	SESSION_TAGGED,
	SESSION_DISCARD,
	SESSION_BYE
};

enum answer_kind { ANSWER_OK, ANSWER_NO, ANSWER_BAD };

struct command {
	const char *name;
	uint8_t states; /* where it is allowed */
	uint8_t flags;
	int (*run)(struct session *s, struct conn *c);
	/* Writes the tagged line when answer.text is NULL: true when it is complete,
	 * else it is called again, with a fresh piece if it left too little of this one.
	 * A line that can't be finished: session_bye. */
	bool (*finish)(struct session *s, struct buf *out);
	/* Gives back what the command holds, finished or not. May be NULL. */
	void (*end)(struct session *s);
};
enum {
	COMMAND_UID = 1,        /* may stand behind UID */
	COMMAND_NO_EXPUNGE = 2, /* by numbers no expunges may be told (RFC 3501 section 7.4.1) */
	COMMAND_STREAM = 4,     /* its literal is not collected */
	COMMAND_NO_ARGS = 8,    /* takes no arguments */
	COMMAND_ONLY_UID = 16   /* known only behind UID */
};
const struct command *command_find(struct bytes name, bool uid);

struct session {
	struct imap_server *server;
	struct conn *conn;
	const struct command *command; /* the running one */
	void *unit;                    /* its work space from the pool of commands */
	store_ticket ticket;           /* what it waits for */
	uint64_t pinned;               /* the message that is being fetched, 0: none */
	const char *answer_text;       /* of the tagged line, code included; constant */
	const char *bye;               /* last words */
	uint32_t user;
	uint32_t args, end;            /* the running command's arguments in conn_input, and its end */
	uint8_t state, phase;
	uint8_t stage;                 /* of the running command; 0 at its start */
	uint8_t answer_kind;
	bool uid;                      /* the command came behind UID */
	bool admin;                    /* when he logged in */
	bool condstore;                /* RFC 7162 section 3.1 */
	bool in_line;                  /* a reply line is begun and not ended */
	bool closing;                  /* the connection ends after the tagged line */
	bool hold_expunges;            /* none are told before the running command's tagged line is out */
	bool starttls;                 /* TLS begins after the tagged line */
	uint8_t bad_before_login;
	uint8_t tag_len;
	char tag[IMAP_TAG_MAX];
	struct input input;
	struct view view;
	uint32_t keywords_told;        /* of the selected mailbox */
	struct tell_state tell;
	union command_state u;
};

/* Ends the running command: what the tagged line says. text is constant and
 * holds the response code, "[LIMIT] Too long"; NULL: command->finish writes it. */
int session_answer(struct session *s, enum answer_kind kind, const char *text);
int session_ok(struct session *s, const char *text);
int session_no(struct session *s, const char *text);
int session_bad(struct session *s, const char *text);
/* The same from an error of a lower layer. */
int session_error(struct session *s, int err);
/* Ends the session with an untagged BYE. */
int session_bye(struct session *s, const char *text);

/* Remembers the tag at the start of conn_input, or that there is none. */
void session_take_tag(struct session *s);
/* A parser over the running command's arguments, at the space behind its name. */
struct parse session_args(struct session *s);
/* What collected text offset and length stand for now. */
struct bytes session_text(const struct session *s, size_t at, size_t len);

/* Work space for the running command, zeroed; NULL while all is lent (the
 * function then returns session_crowded). Given back when the command ends. */
void *session_unit(struct session *s);
/* Comes back a little later. */
int session_crowded(struct session *s);
/* Waits for s->ticket: OK when it is durable, E_AGAIN (return STEP_COMMIT), or
 * the error by which it was lost. The ticket is forgotten but for E_AGAIN. */
int session_wait(struct session *s);
/* A CONDSTORE session shows no MODSEQ that is not durable: OK, E_AGAIN (return
 * STEP_COMMIT), or E_READONLY: flags that everybody sees will never be durable,
 * because the store has stopped writing. No MODSEQ is shown then; the rest of the
 * mail is served. */
int session_durable(struct session *s);
/* The session gives a CONDSTORE enabling command (RFC 7162 section 3.1); the
 * first one with a mailbox selected is told its HIGHESTMODSEQ. RUN_DONE or a step. */
int session_condstore(struct session *s, struct conn *c);

/* Leaves the selected mailbox. */
void session_unselect(struct session *s);
/* Whether passwords may come over this connection as it is. */
bool session_secret_allowed(const struct session *s);

static inline bool session_room(struct conn *c, size_t n)
{
	return buf_space(conn_output(c)) >= n;
}

/* Tells what changed in the selected mailbox, as much as fits: RUN_DONE when
 * there is nothing more, else a step (tell.c). */
int session_tell(struct session *s, struct conn *c, bool expunges);
/* Appends `FLAGS (...)` of a message, resumed by *at (0 at the start): false
 * when the piece is full. */
bool session_put_flags(struct session *s, struct buf *out, const struct store_entry *entry, uint8_t *at);
/* Appends one whole "* n FETCH (...)" with flags, or without them when only the
 * new MODSEQ is news; with what the session is owed besides (UID, MODSEQ).
 * Resumed by *at, which is 0 again when it is complete. */
bool session_put_news(struct session *s, struct buf *out, const struct store_entry *entry, uint32_t number, bool flags,
	uint8_t *at);
/* Tells of keywords that are new in the selected mailbox, before any FETCH
 * names them: RUN_DONE or STEP_OUTPUT. */
int session_tell_keywords(struct session *s, struct conn *c);
/* Appends the untagged FLAGS and PERMANENTFLAGS lines, resumed by *at. */
bool session_put_flag_lines(struct session *s, struct buf *out, uint32_t keywords, uint16_t *at);

#endif
