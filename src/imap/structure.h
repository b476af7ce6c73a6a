/* ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 section 7.4.2) from a summary.
 * Strings go out quoted, or as literals when they hold 8-bit bytes, CR, LF or
 * NUL (sent as 0x80) or are long; an empty string is "", never a literal.
 * Type, subtype, encoding, sizes and lines are never NIL. In Subject and display
 * names runs of blanks become one space, as folding leaves them in odd places. */
#ifndef IMAP_STRUCTURE_H
#define IMAP_STRUCTURE_H

#include "base/bytes.h"
#include "mail/address.h"
#include "mail/summary.h"

enum structure_item { STRUCTURE_ENVELOPE, STRUCTURE_BODY, STRUCTURE_BODYSTRUCTURE };

/* Where the rendering stands: good between calls, without pointers. */
struct structure_cursor {
	uint8_t item;
	uint8_t step;
	uint8_t field;     /* of the envelope being written */
	bool done;
	bool from_instead; /* Sender or Reply-To is missing: From's addresses stand in */
	bool group;        /* inside a group of addresses */
	summary_ref part;
	uint16_t param;    /* parameters already written */
	uint16_t addresses; /* of this field already written */
	uint32_t address;  /* offset of the next one in the field's value */
	uint32_t skip;     /* bytes of the next piece that are out already */
};

void structure_begin(struct structure_cursor *c, enum structure_item item);
/* Appends as much as fits in `out`. True when the item is complete; else call
 * again with room: a piece of at most one value is made again each time, so
 * give it 1 KiB or more. The result never depends on how much fits when. */
bool structure_render(struct structure_cursor *c, const struct summary *s, struct buf *out);

/* Appends a string as a quoted one or a literal, NIL when data is NULL: all or
 * nothing. For other replies that carry text of a message. */
bool structure_put_nstring(struct buf *out, struct bytes s);

#endif
