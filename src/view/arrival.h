/* The one way a message comes in, whatever brought it (APPEND, LMTP, deliver,
 * import): bytes stream into the store, then what ENVELOPE, BODYSTRUCTURE and
 * their kin need is read once, in slices, then it is committed. */
#ifndef VIEW_ARRIVAL_H
#define VIEW_ARRIVAL_H

#include "store/store.h"

struct arrivals;
/* at_once: how many messages may arrive at the same time; the store's `uploads`
 * bounds it as well. The space in which they are read is there once. */
size_t arrivals_memory(uint32_t at_once);
int arrivals_init(struct arrivals **a, struct arena *arena, struct store *st, uint32_t at_once);

struct arrival;
/* size 0: not known yet. crlf: bare LF becomes CRLF on the way (import and
 * deliver; APPEND and LMTP keep the bytes that came). E_AGAIN when all places
 * are taken; other errors as store_upload_begin. */
int arrival_begin(struct arrivals *a, uint64_t size, bool crlf, struct arrival **arrival);
/* Whether that many bytes may come now: E_AGAIN while room is made for them;
 * errors as store_upload_ready. */
int arrival_ready(struct arrival *r, uint32_t owner, size_t len);
/* It takes only room that is free: no mail goes for it. */
void arrival_spare(struct arrival *r);
/* Errors as store_upload_write: abort it. */
int arrival_write(struct arrival *r, const void *data, size_t len);
/* Bytes the message has so far, as it is stored. */
uint64_t arrival_size(const struct arrival *r);
/* Ends it: reads the message (E_AGAIN: call again in a later turn), commits to
 * the targets. At most LIMIT_SLICE_BYTES are read in a call, so a message up to
 * that size needs one. One message is read at a time; while it is, the others
 * have E_AGAIN: go on calling until it is over, or abort. After OK wait for the
 * ticket; the arrival is gone. After any error but E_AGAIN call arrival_abort. */
int arrival_commit(struct arrival *r, struct store_target *targets, size_t n, store_ticket *ticket);
/* The summary of a message that came whole by another way than an arrival, read in
 * one go: for tools, not for the loop. Valid until anything else is read. E_AGAIN:
 * an arrival is being read. */
int arrivals_summarize(struct arrivals *a, struct store_upload *up, struct bytes *summary);
/* At any time before arrival_commit gave OK; NULL is fine. */
void arrival_abort(struct arrival *r);

#endif
