/* The tool's end of the control socket (src/control/control.h). Blocking. */
#ifndef TOOLS_CUBBY_SERVER_H
#define TOOLS_CUBBY_SERVER_H

#include "base/bytes.h"

/* Connects to unix:PATH as `listen control` has it. E_NOENT or E_CLOSED when no
 * server answers there; E_ACCESS. */
int server_connect(const char *where);
void server_close(void);
bool server_connected(void);

/* Starts a request; its further words follow, then the end of the line. */
void server_word(const char *word);
void server_word_bytes(struct bytes word);
void server_word_number(int64_t n);
int server_line_end(void);

/* Bytes of a body, and its end. */
int server_body(const void *data, size_t len);
int server_body_end(void);
/* Sends what is still held here. */
int server_flush(void);
/* All of these: E_BUSY when the server has no place for another tool. */

/* What an error means when the server is asked. */
const char *server_text(int err);

/* The next reply: each data line goes to `line` (NULL: not wanted), then OK with
 * what stands behind the word OK in *rest, or the error of an ERR (E_NOENT,
 * E_FULL ...) with its sentence in *rest; E_BUSY; E_CLOSED when the server went
 * away. There is always a sentence.
 * *rest is good until the next call. */
int server_reply(void (*line)(void *context, struct bytes line), void *context, struct bytes *rest);

/* The same where the data is pieces of bytes (BACKUP): each goes to `piece`, whose
 * error ends it. */
int server_reply_pieces(int (*piece)(void *context, const void *data, size_t len), void *context, struct bytes *rest);

#endif
