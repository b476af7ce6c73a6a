/* The lines of the control socket: words with single spaces between them. A
 * byte of a word that is a space, '%', a control byte or above 126 is written
 * as %XX; a word that is empty as a lone '-', one that is "-" as %2D. */
#ifndef CONTROL_WORDS_H
#define CONTROL_WORDS_H

#include "base/bytes.h"

/* Words of one line, the command included. */
#define WORDS_MAX 8

/* Cuts a line (without its line end) into words and decodes them into `space`,
 * which is at least as long as the line. How many there are; E_SYNTAX for an
 * empty line, two spaces in a row, a bad %XX or control bytes; E_LIMIT for more
 * than WORDS_MAX. */
int words_cut(struct bytes line, uint8_t *space, struct bytes words[WORDS_MAX]);
/* Appends one word in the form above. */
bool words_put(struct buf *out, struct bytes word);

#endif
