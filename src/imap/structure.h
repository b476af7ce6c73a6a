/* ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 section 7.4.2) from a summary.
 * Strings go out quoted, or as literals when they hold 8-bit bytes, CR, LF or
 * NUL (sent as 0x80) or are long; an empty string is "", never a literal.
 * Type, subtype, encoding, sizes and lines are never NIL. */
#ifndef IMAP_STRUCTURE_H
#define IMAP_STRUCTURE_H

#include "base/bytes.h"
#include "mail/address.h"
#include "mail/summary.h"

enum structure_item { STRUCTURE_ENVELOPE, STRUCTURE_BODY, STRUCTURE_BODYSTRUCTURE };

/* Where the rendering stands: good between calls, without pointers. */
struct structure_cursor {
	uint8_t item;
	uint8_t step;      /* of the current part */
	uint8_t envelope;  /* field of the envelope being written */
	bool done;
	summary_ref part;
	uint16_t param;    /* parameters already written */
	uint32_t address;  /* offset in the address list */
	uint16_t address_count;
	bool address_group;
	uint32_t skip;     /* bytes of the next token that are out already */
};

void structure_begin(struct structure_cursor *c, enum structure_item item);
/* Appends as much as fits in `out` (at least 16 bytes free, or nothing is
 * done). True when the item is complete; else call again with room. */
bool structure_render(struct structure_cursor *c, const struct summary *s, struct buf *out);

/* Appends a string as a quoted one or a literal, NIL when data is NULL: all or
 * nothing. For other replies that carry text of a message. */
bool structure_put_nstring(struct buf *out, struct bytes s);

#endif
