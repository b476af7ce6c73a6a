/* Flags of a command, turned into the bits of a mailbox. */
#ifndef IMAP_FLAGS_H
#define IMAP_FLAGS_H

#include "imap/session.h"

/* Bits of the keywords in that mailbox. With create, missing ones are made;
 * else they are passed over. E_LIMIT, E_READONLY, E_AGAIN and what else
 * store_keyword says. */
int flags_keywords(struct session *s, uint32_t mailbox, const struct parse_flags *flags, bool create, uint64_t *bits);

#endif
