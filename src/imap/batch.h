/* What the commands that go over a set in batches share (STORE, COPY, MOVE,
 * EXPUNGE): gathering UIDs and keeping ranges of them for response codes. */
#ifndef IMAP_BATCH_H
#define IMAP_BATCH_H

#include "imap/session.h"

/* Empties the batch. */
void batch_begin(struct batch_unit *u);
/* The next message of the set that may go into the batch: OK; E_NOENT: the
 * batch is complete (u->last: it is the last one); E_AGAIN: as view_walk_next
 * says; other errors likewise. Messages that are gone set u->gone. */
int batch_next(struct session *s, struct batch_unit *u, struct store_entry *entry, uint32_t *number);
void batch_add(struct batch_unit *u, uint32_t uid);
/* The text of the set may have moved since the last step. */
void batch_point(struct session *s, struct batch_unit *u);

/* Adds a UID or number to the ranges, in the order in which they come. False
 * when it found no room (u->too_many is set). */
bool batch_range(struct batch_unit *u, uint32_t n);
/* Appends the ranges, resumed by u->range_at: true when all are out. */
bool batch_put_ranges(struct batch_unit *u, struct buf *out);
/* Reads the set in front of the arguments; an answer is set when false. */
bool batch_read_set(struct session *s, struct parse *p, struct batch_unit *u);

#endif
