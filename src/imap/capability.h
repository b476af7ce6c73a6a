/* What the server says it can do, as it holds at this moment. */
#ifndef IMAP_CAPABILITY_H
#define IMAP_CAPABILITY_H

#include "base/bytes.h"

struct session;

/* Appends "CAPABILITY IMAP4rev1 ...": for the greeting, for CAPABILITY and for
 * the tagged OK of LOGIN and AUTHENTICATE. At most 400 bytes. */
void capability_put(struct session *s, struct buf *out);

#endif
