/* Header blocks of RFC 5322 section 2.2: fields in a slice, unfolding, and a
 * filter for BODY[HEADER.FIELDS (...)] that works on pieces. Lines end with
 * CRLF or LF. A line that starts with a blank continues the field before it;
 * a line without a colon is a field without a name. */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "base/bytes.h"

/* Bytes of a field name that can be asked for. A longer one in a message
 * matches nothing; RFC 5322 lines end at 998. */
#define HEADER_NAME_MAX 256

struct header_field {
	struct bytes name;  /* without blanks before the colon; empty when the line has no colon */
	struct bytes value; /* raw, folded, leading blanks and the last line end cut off */
	struct bytes whole; /* all of its lines with their line ends */
};

/* Cuts the next field off *rest: false at the blank line that ends the header
 * or at the end of the slice; *rest then starts behind that line. */
bool header_next(struct bytes *rest, struct header_field *field);
/* The first field of that name, ASCII case ignored: false when absent. */
bool header_find(struct bytes header, const char *name, struct header_field *field);
/* Appends raw without its line ends (RFC 5322 section 2.2.3): as much as fits,
 * then false. */
bool header_unfold(struct bytes raw, struct buf *out);

/* A filter over a header block that comes in pieces. It passes the fields
 * whose names are in the list (or, with `except`, all others), as they stand,
 * and the blank line at the end, if there is one. */
struct header_filter {
	const struct bytes *names; /* the caller's, until the end */
	size_t n_names;
	bool except;
	uint8_t state;
	bool passing;    /* the field being read is passed */
	bool done;       /* the blank line was seen; what follows is not taken */
	uint16_t held;   /* bytes of a name not decided or not yet written */
	uint16_t written; /* of them already written */
	uint64_t passed; /* bytes passed so far: the literal's length when it is over */
	uint8_t hold[HEADER_NAME_MAX + 2];
};

void header_filter_begin(struct header_filter *f, const struct bytes *names, size_t n_names, bool except);
/* Takes bytes from `in` and appends what passes to `out`; stops when `out` is
 * full. Returns how many bytes were taken; call again with the rest and a
 * fresh buffer. out NULL: only count (f->passed). How the header is cut into
 * pieces never changes the result. */
size_t header_filter_push(struct header_filter *f, struct bytes in, struct buf *out);
/* The header is over: appends what was held back. A header without a blank line
 * at its end gets none: then there is no body either (RFC 3501 section 6.4.5).
 * False when out is full: call again with a fresh buffer. */
bool header_filter_end(struct header_filter *f, struct buf *out);

#endif
