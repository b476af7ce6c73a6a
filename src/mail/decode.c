/* Transfer encodings. Both decoders have a fast way for the long runs of
 * ordinary characters that bodies are made of, and a careful one for the rest. */
#include "mail/decode.h"

#include <string.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/text.h"

/* ------------------------------------------------------------------- base64 */

#define S 64 /* white space */
#define P 65 /* padding */
#define X 66 /* neither */
#define X16 X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X

static const uint8_t values[256] = {
	X, X, X, X, X, X, X, X, X, S, S, X, X, S, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	S, X, X, X, X, X, X, X, X, X, X, 62, X, X, X, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, X, X, X, P, X, X,
	X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, X, X, X, X, X,
	X, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X, X, X, X, X,
	X16, X16, X16, X16, X16, X16, X16, X16,
};

void base64_begin(struct base64_decoder *d)
{
	memset(d, 0, sizeof *d);
}

/* Whole quanta; returns the bytes taken, a multiple of 4. */
static size_t whole_quanta(const uint8_t *in, size_t len, struct buf *out)
{
	uint8_t *to = out->data + out->len;
	size_t n = len / 4, room = buf_space(out) / 3, i;

	if (n > room)
		n = room;
	for (i = 0; i < n; i++, in += 4, to += 3) {
		uint32_t a = values[in[0]], b = values[in[1]], c = values[in[2]], e = values[in[3]], w;

		if ((a | b | c | e) > 63)
			break;
		w = a << 18 | b << 12 | c << 6 | e;
		to[0] = (uint8_t)(w >> 16);
		to[1] = (uint8_t)(w >> 8);
		to[2] = (uint8_t)w;
	}
	out->len += i * 3;
	return i * 4;
}

size_t base64_push(struct base64_decoder *d, struct bytes in, struct buf *out)
{
	size_t i = 0;

	while (i < in.len) {
		uint8_t v;

		if (d->count == 0) {
			i += whole_quanta(in.data + i, in.len - i, out);
			if (i == in.len)
				break;
		}
		v = values[in.data[i]];
		if (v < 64) {
			if (d->count > 0 && buf_space(out) == 0)
				break;
			d->bits = d->bits << 6 | v;
			if (d->count > 0)
				(void)buf_putc(out, (uint8_t)(d->bits >> (6 - 2 * d->count)));
			d->count = (uint8_t)((d->count + 1) & 3);
		} else if (v == P) {
			d->bad = d->bad || d->count == 1;
			d->count = 0;
		} else if (v == X) {
			d->bad = true;
		}
		i++;
	}
	return i;
}

bool base64_end(const struct base64_decoder *d)
{
	return !d->bad && d->count == 0;
}

int base64_decode(struct bytes in, struct buf *out)
{
	int n = codec_base64_read(in, out->data + out->len, buf_space(out));

	if (n < 0)
		return n;
	out->len += (size_t)n;
	return OK;
}

bool base64_encode(struct bytes in, struct buf *out)
{
	return codec_base64(in, out);
}

/* --------------------------------------------------------- quoted-printable */

enum {
	QP_TEXT,
	QP_BLANKS,    /* blanks are held: they go if the line ends */
	QP_BLANKS_CR, /* and a CR */
	QP_EQUALS,    /* "=" is held */
	QP_HEX,       /* "=" and a digit */
	QP_SOFT,      /* "=" and blanks */
	QP_SOFT_CR,   /* "=", perhaps blanks, and a CR */
	QP_FLUSH      /* what is held goes out as it stands */
};

void qp_begin(struct qp_decoder *d)
{
	memset(d, 0, offsetof(struct qp_decoder, hold));
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static void hold(struct qp_decoder *d, uint8_t c, uint8_t state)
{
	d->hold[d->held++] = c;
	d->state = d->held == sizeof d->hold ? QP_FLUSH : state;
}

static void drop(struct qp_decoder *d)
{
	d->held = d->written = 0;
	d->state = QP_TEXT;
}

static void pass(struct qp_decoder *d, bool bad)
{
	d->bad = d->bad || bad;
	d->state = QP_FLUSH;
}

static bool flush(struct qp_decoder *d, struct buf *out)
{
	size_t n = (size_t)(d->held - d->written);

	if (n > buf_space(out))
		n = buf_space(out);
	(void)buf_put(out, d->hold + d->written, n);
	d->written = (uint8_t)(d->written + n);
	if (d->written < d->held)
		return false;
	drop(d);
	return true;
}

/* A run of text that means itself; what may be blanks at a line's end is left. */
static size_t take_text(struct bytes in, struct buf *out)
{
	size_t n = 0, room = buf_space(out);

	while (n < in.len && n < room && in.data[n] != '=' && in.data[n] != '\r' && in.data[n] != '\n')
		n++;
	while (n && is_blank(in.data[n - 1]))
		n--;
	(void)buf_put(out, in.data, n);
	return n;
}

/* A byte that is not plain text, or behind something that is held; room for two
 * bytes is there. True when it was taken. */
static bool take_byte(struct qp_decoder *d, uint8_t c, struct buf *out)
{
	switch (d->state) {
	case QP_TEXT:
		if (c == '=')
			hold(d, c, QP_EQUALS);
		else if (is_blank(c))
			hold(d, c, QP_BLANKS);
		else
			(void)buf_putc(out, c);
		return true;
	case QP_BLANKS:
		if (is_blank(c) || c == '\r') {
			hold(d, c, is_blank(c) ? QP_BLANKS : QP_BLANKS_CR);
			return true;
		}
		if (c == '\n')
			drop(d);
		else
			pass(d, false);
		return false;
	case QP_BLANKS_CR:
		if (c != '\n') {
			pass(d, false);
			return false;
		}
		drop(d);
		(void)buf_puts(out, "\r\n");
		return true;
	case QP_HEX:
		if (text_hex(c) < 0) {
			pass(d, true);
			return false;
		}
		(void)buf_putc(out, (uint8_t)(text_hex(d->hold[1]) << 4 | text_hex(c)));
		drop(d);
		return true;
	default: /* behind "=", perhaps with blanks or CR */
		if (c == '\n') {
			drop(d);
			return true;
		}
		if (d->state != QP_SOFT_CR && (c == '\r' || is_blank(c))) {
			hold(d, c, c == '\r' ? QP_SOFT_CR : QP_SOFT);
			return true;
		}
		if (d->state == QP_EQUALS && text_hex(c) >= 0) {
			hold(d, c, QP_HEX);
			return true;
		}
		pass(d, true);
		return false;
	}
}

size_t qp_push(struct qp_decoder *d, struct bytes in, struct buf *out)
{
	size_t i = 0;

	for (;;) {
		if (d->state == QP_FLUSH && !flush(d, out))
			return i;
		if (d->state == QP_TEXT)
			i += take_text(bytes_part(in, i, in.len), out);
		if (i == in.len || buf_space(out) < 2)
			return i;
		if (take_byte(d, in.data[i], out))
			i++;
	}
}

bool qp_end(struct qp_decoder *d, struct buf *out)
{
	if (d->state == QP_HEX || d->state == QP_BLANKS_CR)
		pass(d, d->state == QP_HEX);
	if (d->state != QP_FLUSH) /* blanks at the end, or a soft line break */
		drop(d);
	return d->state != QP_FLUSH || flush(d, out);
}

/* --------------------------------------------------------------------- both */

enum decode_encoding decode_encoding(struct bytes word)
{
	if (word.data == NULL || bytes_is(word, "7bit") || bytes_is(word, "8bit") || bytes_is(word, "binary"))
		return DECODE_IDENTITY;
	if (bytes_is(word, "base64"))
		return DECODE_BASE64;
	if (bytes_is(word, "quoted-printable"))
		return DECODE_QP;
	return DECODE_UNKNOWN;
}

void decoder_begin(struct decoder *d, enum decode_encoding encoding)
{
	d->encoding = encoding;
	if (encoding == DECODE_BASE64)
		base64_begin(&d->u.base64);
	else if (encoding == DECODE_QP)
		qp_begin(&d->u.qp);
}

size_t decoder_push(struct decoder *d, struct bytes in, struct buf *out)
{
	if (d->encoding == DECODE_BASE64)
		return base64_push(&d->u.base64, in, out);
	if (d->encoding == DECODE_QP)
		return qp_push(&d->u.qp, in, out);
	if (in.len > buf_space(out))
		in.len = buf_space(out);
	(void)buf_putb(out, in);
	return in.len;
}

bool decoder_end(struct decoder *d, struct buf *out)
{
	return d->encoding != DECODE_QP || qp_end(&d->u.qp, out);
}
