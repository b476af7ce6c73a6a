/* The message text behind DATA (RFC 5321 sections 4.1.1.4 and 4.5.2): where it
 * ends, and which dots were put in on the way.
 *
 * The end is CRLF "." CRLF and nothing else: "\n.\n", "\r\n.\n", "\n.\r\n" and
 * their kin are text. A server that takes one of them for the end lets one
 * message be read as two ("SMTP smuggling", CVE-2023-51764 and others). All
 * other bytes are kept as they come, bare CR, bare LF and NUL included; a dot
 * is taken away only behind CRLF. */
#ifndef MTA_DOTS_H
#define MTA_DOTS_H

#include "base/bytes.h"

struct dots {
	uint8_t state;
};

void dots_begin(struct dots *d);
/* Takes bytes from the front of `in` and returns how many. *text is the part of
 * the message that became known by that: a slice of `in` or a constant, may be
 * empty (but then at least one byte of a not empty `in` was taken). *end becomes
 * true with the byte that ends the message; what is behind it in `in` was not
 * taken. How the input is cut into pieces never changes the result. */
size_t dots_take(struct dots *d, struct bytes in, struct bytes *text, bool *end);

#endif
