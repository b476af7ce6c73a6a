/* SASLprep (RFC 4013), as far as it goes without Unicode's tables: passwords
 * that look alike on two keyboards become the same bytes. */
#ifndef ACCOUNT_SASLPREP_H
#define ACCOUNT_SASLPREP_H

#include "base/bytes.h"

/* What one byte of input can become at most, times two: U+00BC is two bytes and
 * becomes five. */
#define SASLPREP_GROWTH 5

/* Appends the prepared form. Done: spaces beyond ASCII become a space, what is
 * commonly mapped to nothing goes (RFC 3454 B.1), and of NFKC what touches
 * Latin-1 and the full-width forms of ASCII. Refused with E_SYNTAX: what is not
 * UTF-8, and the prohibited characters of RFC 4013 2.3. Not done: the rest of
 * NFKC (it needs 100 KB of tables; keyboards send composed characters), the
 * check of bidirectional text (2.4), that of unassigned code points (2.5).
 * E_LIMIT when it does not fit. */
int saslprep(struct bytes in, struct buf *out);

#endif
