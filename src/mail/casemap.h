/* i;unicode-casemap (RFC 5051): the form in which SEARCH and SORT compare
 * text. Each character is title-cased and then decomposed. */
#ifndef MAIL_CASEMAP_H
#define MAIL_CASEMAP_H

#include "base/bytes.h"

/* Bytes that one code point becomes at most. */
#define CASEMAP_MAX 64

struct casemap {
	uint8_t have; /* bytes of an unfinished UTF-8 sequence */
	uint8_t pending[4];
};

void casemap_begin(struct casemap *c);
/* Takes UTF-8 and appends its folded form; bytes that are not UTF-8 become
 * U+FFFD. Returns the bytes taken, less than all only when `out` has fewer
 * than CASEMAP_MAX bytes left. */
size_t casemap_push(struct casemap *c, struct bytes in, struct buf *out);
bool casemap_end(struct casemap *c, struct buf *out);
/* All of `text` at once; false when it did not fit (what fitted is there). */
bool casemap_fold(struct bytes text, struct buf *out);

#endif
