/* What the commands that go over a set in batches share (STORE, COPY, MOVE,
 * EXPUNGE): gathering UIDs and keeping ranges of them for response codes. */
#ifndef IMAP_BATCH_H
#define IMAP_BATCH_H

#include "imap/session.h"

/* Empties the batch. */
void batch_begin(struct batch_unit *u);
/* The next message of the set that may go into the batch: OK; E_NOENT: the
 * batch is complete (u->last: it is the last one); E_AGAIN: as view_walk_next
 * says; other errors likewise. Messages that are gone go to batch_gone. */
int batch_next(struct session *s, struct batch_unit *u, struct store_entry *entry, uint32_t *number);
void batch_add(struct batch_unit *u, uint32_t uid);
/* A message of the set is no more: numbers are an error, UIDs are passed over
 * and, if u->walk.gone_too asks for them, kept as ranges. */
void batch_gone(const struct session *s, struct batch_unit *u, uint32_t uid);
/* The text of the set may have moved since the last step. */
void batch_point(struct session *s, struct batch_unit *u);

/* Adds a UID or number to the ranges, in the order in which they come. False
 * when it found no room (u->too_many is set). */
bool batch_range(struct batch_unit *u, uint32_t n);
/* Whether one of the ranges has it. */
bool batch_has(const struct batch_unit *u, uint32_t n);
/* The tagged OK of a CONDSTORE session that removed messages (RFC 7162 section
 * 3.2.7, RFC 6851 section 4.4): everything up to this HIGHESTMODSEQ was told. */
bool batch_put_modseq(struct session *s, struct buf *out, const char *text);
/* Appends the ranges, resumed by u->range_at: true when all are out. */
bool batch_put_ranges(struct batch_unit *u, struct buf *out);
/* Reads the set in front of the arguments; an answer is set when false. */
bool batch_read_set(struct session *s, struct parse *p, struct batch_unit *u);

#endif
