/* Modified UTF-7 (RFC 3501 section 5.1.3): mailbox names on the wire. Inside
 * they are UTF-8. */
#ifndef MAIL_MUTF7_H
#define MAIL_MUTF7_H

#include "base/bytes.h"

/* Appends `name` as UTF-8. E_SYNTAX when it is not modified UTF-7 in its one
 * valid form (8-bit bytes, open shift, printable ASCII shifted, bad surrogates,
 * bits left over, two shifts that should be one). E_LIMIT: no room. Nothing is
 * appended after an error. */
int mutf7_to_utf8(struct bytes name, struct buf *out);
/* Appends UTF-8 as modified UTF-7. E_SYNTAX: not UTF-8. E_LIMIT: no room. */
int mutf7_from_utf8(struct bytes name, struct buf *out);

#endif
