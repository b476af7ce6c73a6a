/* Collecting one command: lines and literals, until the line that ends without
 * a literal. The text stays in conn_input, so that nothing is copied; one byte
 * budget counts for all lines and literals of a command together. */
#ifndef IMAP_INPUT_H
#define IMAP_INPUT_H

#include "base/bytes.h"
#include "imap/parse.h"
#include "net/conn.h"

struct session;

/* Bytes of a whole command before login, literals included: room for user name
 * and password at their longest, in base64. Beyond it: BYE. */
#define INPUT_LOGIN_COMMAND CONN_INPUT
/* Bytes of one literal before login. Beyond it: refused. */
#define INPUT_LOGIN_LITERAL 4096

/* Seconds that a command may take to come in whole: slow links send 64 KiB in
 * less. Beyond it: BYE. */
#define INPUT_COMMAND_S 120
/* Bytes in a second that an APPEND has to send at least, on top of that. */
#define INPUT_LEAST_RATE 512

/* Bytes of a line that is thrown away after it was refused (a line of a
 * megabyte is answered BAD); beyond it: BYE. */
#define INPUT_DISCARD_LINE (4u << 20)

enum input_mode { INPUT_LINE, INPUT_LITERAL, INPUT_DROP_LITERAL, INPUT_DROP_LINE };

struct input {
	uint8_t mode;
	uint32_t at;      /* offset in conn_input up to which all was looked at */
	uint32_t line;    /* offset where the current line starts */
	uint64_t drop;    /* INPUT_DROP_LITERAL: bytes of it still to come */
	uint64_t dropped; /* in all, of this command */
	uint64_t deadline; /* port_now_us time by which the command must be complete; 0: none yet */
};

enum input_result {
	INPUT_COMPLETE, /* *end: where the command ends in conn_input, its line end included */
	INPUT_MORE,     /* wait; a deadline is set */
	INPUT_ROOM,     /* no output space for the continuation: STEP_OUTPUT */
	INPUT_CROWDED,  /* all long buffers are lent: come back later */
	INPUT_REFUSED,  /* a tagged answer is set, what belonged to the command is consumed or will be dropped */
	INPUT_STREAM,   /* a literal of a COMMAND_STREAM command: its run function takes over */
	INPUT_BYE       /* the session must end; s->bye says why */
};

/* Collects on. Continuation requests are written here. */
enum input_result input_next(struct session *s, struct conn *c, uint32_t *end);
/* Goes on with one further line behind the collected text (AUTHENTICATE):
 * INPUT_COMPLETE with its end; a literal in it is nothing special. */
enum input_result input_line(struct session *s, struct conn *c, uint32_t *end);
/* Throws away what is left of a refused command: INPUT_COMPLETE, INPUT_MORE or
 * INPUT_BYE. */
enum input_result input_drop(struct session *s, struct conn *c);
/* Refuses the command that ends so far with this literal: an answer must be set.
 * Consumes up to end, arranges that what comes of it is thrown away. */
enum input_result input_refuse(struct session *s, struct conn *c, const struct literal_mark *mark, uint32_t end);
/* The command is over: consumes its bytes up to end and starts anew. */
void input_done(struct session *s, struct conn *c, uint32_t end);

#endif
