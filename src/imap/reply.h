/* Pieces of reply lines. All appends are all-or-nothing (base/bytes.h); who
 * calls has made sure of room, or comes back with a fresh piece. */
#ifndef IMAP_REPLY_H
#define IMAP_REPLY_H

#include "base/bytes.h"
#include "store/store.h"

/* A string that is known to be 7-bit text without CR, LF and NUL, quoted. */
bool reply_quoted(struct buf *out, struct bytes text);
/* An astring: bare when it is an atom, else quoted; a literal when it has to be. */
bool reply_astring(struct buf *out, struct bytes text);
/* A mailbox name, from UTF-8 to quoted modified UTF-7. */
bool reply_mailbox(struct buf *out, struct bytes name);
/* Ids of RFC 8474: the store's id and a number, in letters and digits. */
bool reply_mailbox_id(struct buf *out, const struct store *st, uint32_t mailbox);
bool reply_email_id(struct buf *out, const struct store *st, uint64_t object);
/* The other way round: 0 when it is no id that this store could have given. */
uint64_t reply_email_id_read(const struct store *st, struct bytes id);
/* "26 bytes in quotes" of a date, seconds since 1970 and minutes east. */
bool reply_date(struct buf *out, int64_t seconds, int zone);
/* Name of a special use (RFC 6154): one of STORE_USE_..., as "\Sent". */
const char *reply_use(uint8_t use);
/* n-n range of a set: "7" or "7:9"; a comma before it unless first. */
bool reply_range(struct buf *out, uint32_t first, uint32_t last, bool comma);

#endif
