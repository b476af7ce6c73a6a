/* Base64 (RFC 4648 section 4) and hexadecimal of short slices: keys and salts in
 * files. Mail has streaming forms of its own in mail/decode.h. */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include "base/bytes.h"

/* Appends, padded, without line ends; false (and nothing) when it does not fit. */
bool codec_base64(struct bytes in, struct buf *out);
/* The other way round, strictly: whole padded quanta, no blanks, unused bits
 * zero, so that a value has one form only. E_SYNTAX; E_LIMIT when the result is
 * longer than cap. Returns the length of the result. */
int codec_base64_read(struct bytes in, void *out, size_t cap);

/* "0F:A2:..." as fingerprints are written. */
bool codec_hex_colons(struct bytes in, struct buf *out);

#endif
