/* Encoded words (RFC 2047) and extended parameters (RFC 2231) as UTF-8. Nothing
 * is refused: what does not decode stays as it stands. */
#include <string.h>

#include "base/text.h"
#include "mail/charset.h"
#include "mail/decode.h"

/* Bytes of one encoded word that are looked at. RFC 2047 allows 75; the bound
 * keeps a value full of beginnings from being searched again and again. */
#define WORD_MAX 2000

struct word {
	const struct charset *charset;
	bool base64;
	struct bytes text;
	size_t len; /* of the whole word */
};

/* Reads the encoded word that b starts with. */
static bool read_word(struct bytes b, struct word *w)
{
	size_t charset_end, name_end, at;

	b = bytes_part(b, 0, WORD_MAX);
	if (b.len < 8 || b.data[0] != '=' || b.data[1] != '?')
		return false;
	charset_end = 2 + bytes_index(bytes_part(b, 2, b.len), '?');
	if (charset_end + 3 >= b.len || b.data[charset_end + 2] != '?')
		return false;
	name_end = 2 + bytes_index(bytes_part(b, 2, charset_end - 2), '*'); /* "*language" of RFC 2231 */
	w->charset = charset_find(bytes_part(b, 2, name_end - 2));
	w->base64 = text_lower(b.data[charset_end + 1]) == 'b';
	if (w->charset == NULL || (!w->base64 && text_lower(b.data[charset_end + 1]) != 'q'))
		return false;
	for (at = charset_end + 3; at + 1 < b.len; at++) {
		if (b.data[at] == '?' && b.data[at + 1] == '=') {
			w->text = bytes_part(b, charset_end + 3, at - charset_end - 3);
			w->len = at + 2;
			return true;
		}
	}
	return false;
}

/* UTF-8 on its way to the sink. */
struct writer {
	struct charset_decoder charset;
	bool open; /* of an encoded word: the next one may go on with it */
	bool (*sink)(void *arg, struct bytes utf8);
	void *arg;
};

static bool convert(struct writer *w, struct bytes in)
{
	uint8_t space[256];

	while (in.len) {
		struct buf out;
		size_t n;

		buf_init(&out, space, sizeof space);
		n = charset_push(&w->charset, in, &out);
		if (out.len && !w->sink(w->arg, buf_bytes(&out)))
			return false;
		in = bytes_part(in, n, in.len);
	}
	return true;
}

static bool finish(struct writer *w)
{
	uint8_t space[CHARSET_ROOM];
	struct buf out;

	buf_init(&out, space, sizeof space);
	(void)charset_end(&w->charset, &out);
	return out.len == 0 || w->sink(w->arg, buf_bytes(&out));
}

static bool put_q(struct writer *w, struct bytes text)
{
	uint8_t piece[64];
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c == '_') {
			c = ' ';
		} else if (c == '=' && i + 2 < text.len && text_hex(text.data[i + 1]) >= 0 &&
			text_hex(text.data[i + 2]) >= 0) {
			c = (uint8_t)(text_hex(text.data[i + 1]) << 4 | text_hex(text.data[i + 2]));
			i += 2;
		}
		piece[n++] = c;
		if (n == sizeof piece) {
			if (!convert(w, bytes_make(piece, n)))
				return false;
			n = 0;
		}
	}
	return convert(w, bytes_make(piece, n));
}

static bool put_b(struct writer *w, struct bytes text)
{
	struct base64_decoder d;
	uint8_t piece[64];
	struct buf out;

	base64_begin(&d);
	while (text.len) {
		size_t n;

		buf_init(&out, piece, sizeof piece);
		n = base64_push(&d, text, &out);
		if (!convert(w, buf_bytes(&out)))
			return false;
		text = bytes_part(text, n, text.len);
	}
	return true;
}

static bool put_word(struct writer *w, const struct word *word)
{
	/* A character may be cut between two words of one charset. */
	if (!w->open || w->charset.charset != word->charset) {
		if (!finish(w))
			return false;
		charset_begin(&w->charset, word->charset);
	}
	w->open = true;
	return word->base64 ? put_b(w, word->text) : put_q(w, word->text);
}

/* Text that is no encoded word, without the line ends of folding. */
static bool put_raw(struct writer *w, struct bytes text)
{
	if (w->open) {
		if (!finish(w))
			return false;
		charset_begin(&w->charset, charset_find(bytes_of("utf-8")));
		w->open = false;
	}
	while (text.len) {
		size_t lf = bytes_index(text, '\n');
		struct bytes line = bytes_part(text, 0, lf);

		if (lf < text.len && lf && text.data[lf - 1] == '\r')
			line.len--;
		if (!convert(w, line))
			return false;
		text = bytes_part(text, lf + 1, text.len);
	}
	return true;
}

static bool is_blank(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (!text_is(b.data[i], TEXT_SPACE) && b.data[i] != '\r' && b.data[i] != '\n')
			return false;
	return true;
}

bool decode_words_to(struct bytes value, bool (*sink)(void *arg, struct bytes utf8), void *arg)
{
	struct writer w = { .open = false, .sink = sink, .arg = arg };
	size_t raw = 0, at = 0; /* text from raw on is not written yet */
	bool after_word = false;

	charset_begin(&w.charset, charset_find(bytes_of("utf-8")));
	while (at < value.len) {
		struct bytes text = bytes_part(value, raw, at - raw);
		struct word word;

		if (value.data[at] != '=' || !read_word(bytes_part(value, at, value.len), &word)) {
			size_t next = bytes_index(bytes_part(value, at + 1, value.len), '=');

			at += 1 + next;
			continue;
		}
		if (!(after_word && is_blank(text)) && text.len && !put_raw(&w, text))
			return false;
		if (!put_word(&w, &word))
			return false;
		at += word.len;
		raw = at;
		after_word = true;
	}
	if (raw < value.len && !put_raw(&w, bytes_part(value, raw, value.len)))
		return false;
	return finish(&w);
}

/* Appends whole characters as long as they fit. */
static bool append(void *arg, struct bytes utf8)
{
	struct buf *out = arg;

	if (buf_putb(out, utf8))
		return true;
	utf8.len = buf_space(out);
	while (utf8.len && (utf8.data[utf8.len] & 0xC0) == 0x80)
		utf8.len--;
	(void)buf_putb(out, utf8);
	return false;
}

bool decode_words(struct bytes value, struct buf *out)
{
	return decode_words_to(value, append, out);
}

bool decode_extended_to(struct bytes value, bool (*sink)(void *arg, struct bytes utf8), void *arg)
{
	size_t first = bytes_index(value, '\'');
	size_t second = first + 1 + bytes_index(bytes_part(value, first + 1, value.len), '\'');
	struct writer w = { .open = false, .sink = sink, .arg = arg };
	const struct charset *charset = NULL;
	uint8_t piece[64];
	size_t n = 0;

	if (second < value.len) {
		charset = charset_find(bytes_part(value, 0, first));
		value = bytes_part(value, second + 1, value.len);
	}
	charset_begin(&w.charset, charset ? charset : charset_find(bytes_of("utf-8")));
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];

		if (c == '%' && i + 2 < value.len && text_hex(value.data[i + 1]) >= 0 &&
			text_hex(value.data[i + 2]) >= 0) {
			c = (uint8_t)(text_hex(value.data[i + 1]) << 4 | text_hex(value.data[i + 2]));
			i += 2;
		}
		piece[n++] = c;
		if (n == sizeof piece || i + 1 == value.len) {
			if (!convert(&w, bytes_make(piece, n)))
				return false;
			n = 0;
		}
	}
	return finish(&w);
}

bool decode_extended(struct bytes value, struct buf *out)
{
	return decode_extended_to(value, append, out);
}
