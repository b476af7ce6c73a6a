/* Values of Content-Type, Content-Disposition and Content-Transfer-Encoding
 * (RFC 2045 section 5.1, RFC 2183) with the parameter pieces of RFC 2231,
 * read from an unfolded value that may be changed in place. */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include "base/bytes.h"

/* Parameters of one value; later ones are dropped. Bounds the sorting of RFC
 * 2231 pieces. */
#define MIME_PARAMS_MAX 64

/* Bytes of a parameter's name; one with a longer name is dropped. */
#define MIME_NAME_MAX 200

struct mime_param {
	uint16_t name, name_len; /* within the text; without the stars of a piece */
	uint16_t value, value_len;
	uint16_t index;          /* of a piece: name*index */
	bool piece, extended;
};

/* A value being read: text belongs to the caller and is unquoted in place. */
struct mime_value {
	uint8_t *text;
	uint16_t len, at;
	uint16_t n;
	bool cut; /* there were more parameters than fit */
	struct mime_param param[MIME_PARAMS_MAX];
};

/* text stays the caller's; at most 65535 bytes are looked at. */
void mime_begin(struct mime_value *m, uint8_t *text, size_t len);
/* type "/" subtype: false when it is not of that form. */
bool mime_type(struct mime_value *m, struct bytes *type, struct bytes *subtype);
/* One token, perhaps empty: false when a comment before or behind it does not
 * end. *last: nothing follows. */
bool mime_token(struct mime_value *m, struct bytes *token, bool *last);
/* Reads the parameters from where the value stands, from the next semicolon
 * on. Afterwards those that are not pieces come first, in their order, then
 * the pieces, sorted by name and index. */
void mime_params(struct mime_value *m);
/* Appends the name and the value of the parameter that starts at index
 * `first`: pieces are joined, and the name has a star at its end when any
 * piece has one; a value that starts without a charset then gets "''". Returns
 * the index of the next parameter. *name_len: bytes of the name. Sets
 * out->overflow when out was too small, and nothing is appended then. */
unsigned mime_param_put(const struct mime_value *m, unsigned first, struct buf *out, size_t *name_len);

#endif
