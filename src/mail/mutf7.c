/* Modified UTF-7. One name has one encoding; every other form is refused, so
 * that two spellings can never name one mailbox. */
#include "mail/mutf7.h"

#include "base/err.h"
#include "base/text.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int value_of(uint8_t c)
{
	for (int i = 0; i < 64; i++)
		if (alphabet[i] == (char)c)
			return i;
	return -1;
}

static bool is_direct(uint32_t c)
{
	return c >= 0x20 && c <= 0x7E;
}

/* What was decoded of a shifted run. */
struct run {
	uint32_t bits, high; /* high: a high surrogate that waits for its low one */
	int n_bits;
};

/* Takes the UTF-16 unit that is complete, if there is one. */
static int take_unit(struct run *r, struct buf *out)
{
	uint8_t utf8[4];
	uint32_t unit;

	if (r->n_bits < 16)
		return OK;
	r->n_bits -= 16;
	unit = r->bits >> r->n_bits & 0xFFFF;
	if (r->high) {
		if (unit < 0xDC00 || unit > 0xDFFF)
			return E_SYNTAX;
		unit = 0x10000 + ((r->high - 0xD800) << 10) + (unit - 0xDC00);
		r->high = 0;
	} else if (unit >= 0xD800 && unit <= 0xDBFF) {
		r->high = unit;
		return OK;
	} else if ((unit >= 0xDC00 && unit <= 0xDFFF) || is_direct(unit)) {
		return E_SYNTAX;
	}
	return buf_put(out, utf8, text_utf8_encode(unit, utf8)) ? OK : E_LIMIT;
}

/* Behind the "&": decodes up to the "-" and sets *at behind it. */
static int take_run(struct bytes name, size_t *at, struct buf *out)
{
	struct run r = { 0, 0, 0 };
	size_t start = *at;

	for (; *at < name.len && name.data[*at] != '-'; (*at)++) {
		int value = value_of(name.data[*at]), err;

		if (value < 0)
			return E_SYNTAX;
		r.bits = r.bits << 6 | (uint32_t)value;
		r.n_bits += 6;
		err = take_unit(&r, out);
		if (err != OK)
			return err;
	}
	if (*at == name.len || *at == start || r.high || r.n_bits >= 6 || (r.bits & ((1u << r.n_bits) - 1)))
		return E_SYNTAX;
	(*at)++;
	return OK;
}

static int decode(struct bytes name, struct buf *out)
{
	bool shifted = false; /* what stands before is a shifted run */

	for (size_t at = 0; at < name.len;) {
		uint8_t c = name.data[at++];
		int err;

		if (!is_direct(c))
			return E_SYNTAX;
		if (c != '&' || (at < name.len && name.data[at] == '-')) {
			at += c == '&';
			if (!buf_putc(out, c))
				return E_LIMIT;
			shifted = false;
			continue;
		}
		if (shifted)
			return E_SYNTAX;
		err = take_run(name, &at, out);
		if (err != OK)
			return err;
		shifted = true;
	}
	return OK;
}

int mutf7_to_utf8(struct bytes name, struct buf *out)
{
	size_t start = out->len;
	int err = decode(name, out);

	if (err != OK)
		out->len = start;
	return err;
}

/* Writes what is complete of a run; with `end` also what is left over. */
static bool put_bits(struct run *r, bool end, struct buf *out)
{
	if (end && r->n_bits % 6) {
		r->bits <<= 6 - r->n_bits % 6;
		r->n_bits += 6 - r->n_bits % 6;
	}
	while (r->n_bits >= 6) {
		r->n_bits -= 6;
		if (!buf_putc(out, (uint8_t)alphabet[r->bits >> r->n_bits & 63]))
			return false;
	}
	return true;
}

static bool put_unit(struct run *r, uint32_t unit, struct buf *out)
{
	r->bits = r->bits << 16 | unit;
	r->n_bits += 16;
	return put_bits(r, false, out);
}

static bool put_code(struct run *r, uint32_t code, struct buf *out)
{
	if (code < 0x10000)
		return put_unit(r, code, out);
	code -= 0x10000;
	return put_unit(r, 0xD800 + (code >> 10), out) && put_unit(r, 0xDC00 + (code & 0x3FF), out);
}

static int encode(struct bytes name, struct buf *out)
{
	struct run r = { 0, 0, 0 };
	bool shifted = false;

	while (name.len) {
		uint32_t code = 0;
		size_t n = text_utf8_decode(name, &code);

		if (n == 0)
			return E_SYNTAX;
		name = bytes_part(name, n, name.len);
		if (!is_direct(code)) {
			if (!shifted && !buf_putc(out, '&'))
				return E_LIMIT;
			shifted = true;
			if (!put_code(&r, code, out))
				return E_LIMIT;
			continue;
		}
		if (shifted && !(put_bits(&r, true, out) && buf_putc(out, '-')))
			return E_LIMIT;
		shifted = false;
		if (!buf_putc(out, (uint8_t)code) || (code == '&' && !buf_putc(out, '-')))
			return E_LIMIT;
	}
	if (shifted && !(put_bits(&r, true, out) && buf_putc(out, '-')))
		return E_LIMIT;
	return OK;
}

int mutf7_from_utf8(struct bytes name, struct buf *out)
{
	size_t start = out->len;
	int err = encode(name, out);

	if (err != OK)
		out->len = start;
	return err;
}
