/* The inside of FETCH: fetch_items.c reads what is asked for, section.c writes
 * parts of messages, cmd_fetch.c goes from message to message. */
#ifndef IMAP_FETCH_H
#define IMAP_FETCH_H

#include "imap/session.h"

enum fetch_read { FETCH_FINE, FETCH_WRONG, FETCH_TOO_MUCH };

/* Reads the items (with their brackets, or one alone, or a macro) into the unit. */
enum fetch_read fetch_read_items(struct session *s, struct parse *p, struct fetch_unit *u);
/* Adds an item without section unless it is there. */
bool fetch_add(struct fetch_unit *u, enum fetch_kind kind);
bool fetch_has(const struct fetch_unit *u, enum fetch_kind kind);
/* Appends "BODY[HEADER.FIELDS (From)]<0>": all or nothing. */
bool fetch_put_name(struct session *s, const struct fetch_item *item, struct buf *out);
/* The path of a section as numbers: how many, or E_NOENT when it is deeper than
 * any message is read. */
int fetch_path(struct session *s, const struct fetch_item *item, uint32_t path[SUMMARY_DEPTH_MAX]);
/* The field names of a section into server->names; how many. */
size_t fetch_names(struct session *s, const struct fetch_item *item);

enum emit {
	EMIT_DONE,
	EMIT_FULL,  /* the output piece is full */
	EMIT_AGAIN, /* a slice of work is used up */
	EMIT_BROKEN /* a literal can't be finished: the connection must end */
};

/* Opens the summary of the message that is being fetched, in server->opened. */
int fetch_summary(struct session *s, struct fetch_unit *u);
/* Writes a section item, resumed by u->part. */
enum emit section_emit(struct session *s, struct fetch_unit *u, const struct fetch_item *item, struct buf *out);

#endif
