/* Transfer encodings (RFC 2045 section 6) in pieces, base64 for SASL and
 * BINARY, and encoded words of headers (RFC 2047). */
#ifndef MAIL_DECODE_H
#define MAIL_DECODE_H

#include "base/bytes.h"

/* Decoders take what they can: each push returns the bytes taken of `in` and
 * appends to `out`; it takes less than all only when `out` is full. How the
 * input is cut never changes the output. */

/* Base64 that skips everything outside the alphabet. Bytes go out as soon as
 * they are whole, and after padding a new quantum may start: an encoding that
 * was cut off, or several joined ones, decode to what they hold. */
struct base64_decoder {
	uint32_t bits;
	uint8_t count; /* characters of the open quantum, 0-3 */
	bool bad;      /* something outside alphabet, padding and white space was skipped */
};
void base64_begin(struct base64_decoder *d);
size_t base64_push(struct base64_decoder *d, struct bytes in, struct buf *out);
/* True when the encoding was clean and ended with a whole quantum. */
bool base64_end(const struct base64_decoder *d);
/* Strict, for SASL: E_SYNTAX when `in` is not base64 in whole, padded quanta;
 * E_LIMIT when it does not fit. */
int base64_decode(struct bytes in, struct buf *out);
/* Appends `in` encoded without line ends; false (nothing appended) when there
 * is no room. */
bool base64_encode(struct bytes in, struct buf *out);

/* Quoted-printable; what is malformed is passed as it stands (RFC 2045
 * section 6.7), blanks at the end of a line go. */
struct qp_decoder {
	uint8_t state;
	bool bad;       /* something malformed was passed */
	uint8_t held;   /* bytes whose meaning is open, as they came, in `hold` */
	uint8_t written; /* of them already out */
	uint8_t hold[128];
};
void qp_begin(struct qp_decoder *d);
size_t qp_push(struct qp_decoder *d, struct bytes in, struct buf *out);
/* Writes what was held back: false when out is full, call again. */
bool qp_end(struct qp_decoder *d, struct buf *out);

enum decode_encoding { DECODE_IDENTITY, DECODE_BASE64, DECODE_QP, DECODE_UNKNOWN };
/* Of a Content-Transfer-Encoding word; absent or 7bit, 8bit, binary: identity. */
enum decode_encoding decode_encoding(struct bytes word);

/* One of the above behind one face. */
struct decoder {
	enum decode_encoding encoding;
	union {
		struct base64_decoder base64;
		struct qp_decoder qp;
	} u;
};
void decoder_begin(struct decoder *d, enum decode_encoding encoding);
size_t decoder_push(struct decoder *d, struct bytes in, struct buf *out);
bool decoder_end(struct decoder *d, struct buf *out);

/* Appends a header value as UTF-8: line ends of folding left out, encoded words
 * decoded and joined (blanks between two of them go), words of unknown charsets
 * as they stand, other bytes that are not UTF-8 as U+FFFD. As much as fits in
 * whole characters, then false. */
bool decode_words(struct bytes value, struct buf *out);
/* Appends a parameter value of RFC 2231, charset'language'%41text, as UTF-8. */
bool decode_extended(struct bytes value, struct buf *out);
/* The same for values of any length: hands the text on piece by piece, until
 * the sink says false. */
bool decode_words_to(struct bytes value, bool (*sink)(void *arg, struct bytes utf8), void *arg);
bool decode_extended_to(struct bytes value, bool (*sink)(void *arg, struct bytes utf8), void *arg);

#endif
