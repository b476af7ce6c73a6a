/* What all sessions share. Internal to imap/. */
#ifndef IMAP_SERVER_H
#define IMAP_SERVER_H

#include "imap/imap.h"
#include "imap/state.h"
#include "mail/summary.h"

/* Objects remembered because reading their bytes failed within a literal: the
 * next FETCH of one says NIL at once instead of breaking the connection again. */
#define SERVER_DAMAGED 16

/* Work space for filtered headers and unescaped strings. */
#define SERVER_SCRATCH 16384
#define SERVER_UNESCAPED 512

struct imap_server {
	struct imap_config config;
	struct imap_parts parts;
	struct pool sessions, units;
	uint64_t commands_run, commands_bad, logins, logins_failed;
	uint64_t damaged[SERVER_DAMAGED];
	uint32_t damaged_next;
	/* Work space of the step that runs; nothing in it outlives the step, but a
	 * summary may be found again. */
	uint64_t summary_object; /* whose summary is in `summary`; 0: none */
	struct summary opened;   /* the same, opened */
	uint8_t *summary;        /* LIMIT_SUMMARY bytes */
	uint8_t *scratch;        /* SERVER_SCRATCH bytes */
	struct bytes names[FETCH_NAMES]; /* of the HEADER.FIELDS item that is written */
	uint8_t unescaped[SERVER_UNESCAPED]; /* of names that came quoted with escapes */
};

/* Bytes of the largest message that APPEND takes. */
uint64_t server_append_limit(const struct imap_server *v);
bool server_is_damaged(const struct imap_server *v, uint64_t object);
void server_damaged(struct imap_server *v, uint64_t object);

#endif
