/* i;unicode-casemap. ASCII, which is nearly everything, is folded eight bytes at
 * a time; the rest by searching the tables. Parts of a decomposition are
 * title-cased once more, which RFC 5051 leaves out: else a ligature would not
 * match its letters. */
#include "mail/casemap.h"

#include <string.h>

#include "base/text.h"
#include "mail/tables.h"

#define HANGUL_FIRST 0xAC00u
#define HANGUL_LAST 0xD7A3u

void casemap_begin(struct casemap *c)
{
	c->have = 0;
}

/* Maps the code point by a table of runs; the same when it is in none. */
static uint32_t map(uint32_t code, const struct table_run *runs, uint16_t n)
{
	uint16_t low = (uint16_t)code;
	uint16_t from = 0;

	while (from < n) {
		uint16_t middle = (uint16_t)((from + n) / 2);
		const struct table_run *r = &runs[middle];

		if (low < r->first) {
			n = middle;
		} else if (low > r->last) {
			from = (uint16_t)(middle + 1);
		} else {
			uint32_t step = (uint32_t)(low - r->first);

			if (step % r->stride)
				return code;
			return (uint32_t)r->plane << 16 | (uint16_t)(r->to + step);
		}
	}
	return code;
}

static const struct table_block *find_block(uint32_t code)
{
	uint16_t from = 0, n = table_block_len;

	while (from < n) {
		uint16_t middle = (uint16_t)((from + n) / 2);
		const struct table_block *b = &table_block[middle];

		if (code >> 4 == b->block)
			return b;
		if (code >> 4 < b->block)
			n = middle;
		else
			from = (uint16_t)(middle + 1);
	}
	return NULL;
}

/* Bytes of a character in the stream. */
static size_t stream_char(const uint8_t *at)
{
	return *at < 0xC2 ? 1 : *at < 0xE0 ? 2 : *at < 0xF0 ? 3 : 4;
}

/* The string of the code point in the stream: its characters, counted. NULL:
 * it has none. */
static const uint8_t *find_string(uint32_t code, unsigned *count)
{
	const struct table_block *b = find_block(code);
	unsigned skip = 0, bits;
	const uint8_t *at;

	if (b == NULL || !(b->bits >> (code & 15) & 1))
		return NULL;
	for (bits = b->bits & ((1u << (code & 15)) - 1); bits; bits &= bits - 1)
		skip++;
	at = table_stream + b->at;
	for (;;) {
		*count = *at < 0x20 ? *at++ : 1;
		if (skip-- == 0)
			return at;
		for (unsigned i = 0; i < *count; i++)
			at += stream_char(at);
	}
}

static size_t put_hangul(uint32_t code, uint8_t out[CASEMAP_MAX])
{
	uint32_t index = code - HANGUL_FIRST, trail = index % 28;
	size_t n = text_utf8_encode(0x1100 + index / 588, out);

	n += text_utf8_encode(0x1161 + index % 588 / 28, out + n);
	if (trail)
		n += text_utf8_encode(0x11A7 + trail, out + n);
	return n;
}

/* Writes what a code point beyond ASCII becomes; returns its bytes. */
static size_t fold(uint32_t code, uint8_t out[CASEMAP_MAX])
{
	const uint8_t *string;
	unsigned count;
	size_t n = 0;

	if (code < 0x10000)
		code = map(code, table_title_0, table_title_0_len);
	else if (code < 0x20000)
		code = map(code, table_title_1, table_title_1_len);
	if (code >= HANGUL_FIRST && code <= HANGUL_LAST)
		return put_hangul(code, out);
	string = find_string(code, &count);
	if (string == NULL) {
		if (code < 0x10000)
			code = map(code, table_fold_0, table_fold_0_len);
		else if (code < 0x20000)
			code = map(code, table_fold_1, table_fold_1_len);
		return text_utf8_encode(code, out);
	}
	for (; count; count--) {
		size_t len = stream_char(string);

		if (*string < 0xC2) {
			n += text_utf8_encode(table_frequent[*string - 0x20], out + n);
		} else {
			memcpy(out + n, string, len);
			n += len;
		}
		string += len;
	}
	return n;
}

/* ASCII from `in` in upper case, as long as it is ASCII. */
static size_t take_ascii(struct bytes in, struct buf *out)
{
	const uint64_t ones = UINT64_MAX / 255;
	size_t room = buf_space(out), n = 0;
	uint8_t *to = out->data + out->len;

	if (in.len > room)
		in.len = room;
	while (in.len - n >= 8) {
		uint64_t word, low;

		memcpy(&word, in.data + n, 8);
		if (word & ones << 7)
			break;
		/* The top bit of each byte that is a-z, moved to where the case is. */
		low = (word + ones * (0x80 - 'a')) & ~(word + ones * (0x7F - 'z')) & ones << 7;
		word ^= low >> 2;
		memcpy(to + n, &word, 8);
		n += 8;
	}
	while (n < in.len && in.data[n] < 0x80) {
		to[n] = text_upper(in.data[n]);
		n++;
	}
	out->len += n;
	return n;
}

/* Whether these bytes may still become a character: not, when more of them
 * would not help. */
static bool may_go_on(const uint8_t *data, size_t len)
{
	uint8_t c = data[0];
	size_t want = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;

	if (c < 0xC2 || c > 0xF4 || len >= want)
		return false;
	if (len > 1) {
		if ((data[1] & 0xC0) != 0x80)
			return false;
		if ((c == 0xE0 && data[1] < 0xA0) || (c == 0xED && data[1] > 0x9F) || (c == 0xF0 && data[1] < 0x90) ||
			(c == 0xF4 && data[1] > 0x8F))
			return false;
	}
	return len < 3 || (data[2] & 0xC0) == 0x80;
}

/* The first character of data: its folded form goes out. Returns the bytes it
 * took, 0 when more are needed to tell. */
static size_t take_char(const uint8_t *data, size_t len, struct buf *out)
{
	uint8_t folded[CASEMAP_MAX];
	uint32_t code;
	size_t n = text_utf8_decode(bytes_make(data, len), &code);

	if (n) {
		if (code < 0x80)
			(void)buf_putc(out, text_upper((uint8_t)code));
		else
			(void)buf_put(out, folded, fold(code, folded));
		return n;
	}
	if (may_go_on(data, len))
		return 0;
	(void)buf_puts(out, "\xEF\xBF\xBD");
	for (n = 1; n < len && may_go_on(data, n) && may_go_on(data, n + 1); n++)
		;
	return n;
}

size_t casemap_push(struct casemap *c, struct bytes in, struct buf *out)
{
	size_t i = 0;

	while (i < in.len) {
		size_t n;

		if (c->have == 0) {
			i += take_ascii(bytes_part(in, i, in.len), out);
			if (i == in.len || buf_space(out) < CASEMAP_MAX)
				break;
			n = take_char(in.data + i, in.len - i, out);
			if (n == 0) { /* kept until the rest comes */
				c->have = (uint8_t)(in.len - i);
				memcpy(c->pending, in.data + i, c->have);
				return in.len;
			}
			i += n;
			continue;
		}
		if (buf_space(out) < CASEMAP_MAX)
			break;
		c->pending[c->have++] = in.data[i++];
		n = take_char(c->pending, c->have, out);
		if (n) {
			/* What was not part of it is looked at again: one byte at most. */
			i -= c->have - n;
			c->have = 0;
		}
	}
	return i;
}

bool casemap_end(struct casemap *c, struct buf *out)
{
	if (c->have == 0)
		return true;
	if (!buf_puts(out, "\xEF\xBF\xBD"))
		return false;
	c->have = 0;
	return true;
}

bool casemap_fold(struct bytes text, struct buf *out)
{
	struct casemap c;

	casemap_begin(&c);
	return casemap_push(&c, text, out) == text.len && casemap_end(&c, out);
}
