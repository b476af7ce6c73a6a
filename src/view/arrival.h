/* The one way a message comes in, whatever brought it (APPEND, LMTP, deliver,
 * import): bytes stream into the store, then what ENVELOPE, BODYSTRUCTURE and
 * their kin need is read once, in slices, then it is committed. */
#ifndef VIEW_ARRIVAL_H
#define VIEW_ARRIVAL_H

#include "store/store.h"

struct arrivals;
size_t arrivals_memory(uint32_t at_once);
int arrivals_init(struct arrivals **a, struct arena *arena, struct store *st, uint32_t at_once);

struct arrival;
/* size 0: not known yet. crlf: bare LF becomes CRLF on the way (import and
 * deliver; APPEND and LMTP keep the bytes that came). Errors as
 * store_upload_begin. */
int arrival_begin(struct arrivals *a, uint64_t size, bool crlf, struct arrival **arrival);
int arrival_write(struct arrival *r, const void *data, size_t len);
uint64_t arrival_size(const struct arrival *r);
/* Ends it: reads the message (E_AGAIN: call again in a later turn), commits to
 * the targets. After OK wait for the ticket; the arrival is gone. After any
 * error but E_AGAIN call arrival_abort. */
int arrival_commit(struct arrival *r, struct store_target *targets, size_t n, store_ticket *ticket);
void arrival_abort(struct arrival *r);

#endif
