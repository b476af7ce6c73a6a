/* Conversion to UTF-8 in pieces: UTF-8 itself, US-ASCII, ISO-8859-1..16,
 * windows-1250..1258 and 874, KOI8-R/U, UTF-16, UTF-7, ISO-2022-JP, Shift_JIS
 * (as cp932), EUC-JP. What can't be converted becomes U+FFFD. */
#ifndef MAIL_CHARSET_H
#define MAIL_CHARSET_H

#include "base/bytes.h"

struct charset; /* one of a constant table */

/* By its name or an alias, ASCII case ignored; NULL when unknown. */
const struct charset *charset_find(struct bytes name);
/* The name as IANA writes it. */
struct bytes charset_name(const struct charset *c);

struct charset_decoder {
	const struct charset *charset;
	uint8_t have;       /* bytes of an unfinished character in `pending` */
	uint8_t mode;       /* shift state */
	uint8_t n_bits;     /* UTF-7: bits of `bits` that are not used yet */
	uint8_t pending[4];
	uint16_t high;      /* UTF-16 and UTF-7: a high surrogate */
	uint32_t bits;
};

/* charset NULL: as US-ASCII. */
void charset_begin(struct charset_decoder *d, const struct charset *charset);
/* Takes bytes and appends UTF-8; returns the bytes taken, less than all only
 * when `out` has fewer than CHARSET_ROOM bytes left. How the input is cut never
 * changes the output. */
#define CHARSET_ROOM 16
size_t charset_push(struct charset_decoder *d, struct bytes in, struct buf *out);
/* Writes U+FFFD for an unfinished character: false when out has no room. */
bool charset_end(struct charset_decoder *d, struct buf *out);

#endif
