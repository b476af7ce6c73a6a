/* LIST patterns (RFC 3501 section 6.3.8) over UTF-8 names. */
#ifndef IMAP_LIST_MATCH_H
#define IMAP_LIST_MATCH_H

#include "base/bytes.h"

/* `*` stands for anything, `%` for anything without a '/'. A first level INBOX
 * is compared without case. Time: at most pattern times name squared, both of
 * them bounded by LIMIT_MAILBOX_NAME and few levels. */
bool list_match(struct bytes pattern, struct bytes name);

#endif
