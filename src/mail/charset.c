/* Charsets to UTF-8. A decoder takes one byte at a time and knows what it waits
 * for; runs of bytes that are the same in UTF-8 are copied before it is asked. */
#include "mail/charset.h"

#include <string.h>

#include "base/text.h"
#include "mail/tables.h"

#define UNKNOWN 0xFFFDu
#define ESC 0x1B

/* Kinds up to TABLE take ASCII bytes as they are, whatever went before. */
enum kind { KIND_UTF8, KIND_ASCII, KIND_TABLE, KIND_SJIS, KIND_EUC_JP, KIND_UTF16, KIND_UTF7, KIND_2022_JP };

struct charset {
	const char *names; /* the IANA name and its aliases with blanks between */
	uint8_t kind;
	uint8_t table;     /* of KIND_TABLE; of KIND_UTF16: 1 big, 2 little endian, 0 says itself */
};

static const struct charset charsets[] = {
	{ "UTF-8 utf8 unicode-1-1-utf-8", KIND_UTF8, 0 },
	{ "US-ASCII ascii ansi_x3.4-1968 iso646-us 646 us cp367", KIND_ASCII, 0 },
	{ "ISO-8859-1 latin1 l1 iso_8859-1 iso8859-1 cp819 ibm819", KIND_TABLE, 0 },
	{ "ISO-8859-2 latin2 l2 iso_8859-2 iso8859-2", KIND_TABLE, 1 },
	{ "ISO-8859-3 latin3 l3 iso_8859-3 iso8859-3", KIND_TABLE, 2 },
	{ "ISO-8859-4 latin4 l4 iso_8859-4 iso8859-4", KIND_TABLE, 3 },
	{ "ISO-8859-5 cyrillic iso_8859-5 iso8859-5", KIND_TABLE, 4 },
	{ "ISO-8859-6 arabic iso_8859-6 iso8859-6 iso-8859-6-i iso-8859-6-e asmo-708", KIND_TABLE, 5 },
	{ "ISO-8859-7 greek greek8 iso_8859-7 iso8859-7", KIND_TABLE, 6 },
	{ "ISO-8859-8 hebrew iso_8859-8 iso8859-8 iso-8859-8-i iso-8859-8-e", KIND_TABLE, 7 },
	{ "ISO-8859-9 latin5 l5 iso_8859-9 iso8859-9", KIND_TABLE, 8 },
	{ "ISO-8859-10 latin6 l6 iso_8859-10 iso8859-10", KIND_TABLE, 9 },
	{ "ISO-8859-11 iso_8859-11 iso8859-11 tis-620", KIND_TABLE, 10 },
	{ "ISO-8859-13 latin7 iso_8859-13 iso8859-13", KIND_TABLE, 11 },
	{ "ISO-8859-14 latin8 l8 iso_8859-14 iso8859-14", KIND_TABLE, 12 },
	{ "ISO-8859-15 latin-9 latin9 iso_8859-15 iso8859-15", KIND_TABLE, 13 },
	{ "ISO-8859-16 latin10 l10 iso_8859-16 iso8859-16", KIND_TABLE, 14 },
	{ "windows-874 cp874 x-windows-874", KIND_TABLE, 15 },
	{ "windows-1250 cp1250 x-cp1250", KIND_TABLE, 16 },
	{ "windows-1251 cp1251 x-cp1251", KIND_TABLE, 17 },
	{ "windows-1252 cp1252 x-cp1252 x-ansi", KIND_TABLE, 18 },
	{ "windows-1253 cp1253 x-cp1253", KIND_TABLE, 19 },
	{ "windows-1254 cp1254 x-cp1254", KIND_TABLE, 20 },
	{ "windows-1255 cp1255 x-cp1255", KIND_TABLE, 21 },
	{ "windows-1256 cp1256 x-cp1256", KIND_TABLE, 22 },
	{ "windows-1257 cp1257 x-cp1257", KIND_TABLE, 23 },
	{ "windows-1258 cp1258 x-cp1258", KIND_TABLE, 24 },
	{ "KOI8-R koi8_r koi8 koi", KIND_TABLE, 25 },
	{ "KOI8-U koi8_u koi8-ru", KIND_TABLE, 26 },
	{ "UTF-16 utf16 unicode ucs-2 iso-10646-ucs-2", KIND_UTF16, 0 },
	{ "UTF-16BE utf16be unicodefffe", KIND_UTF16, 1 },
	{ "UTF-16LE utf16le", KIND_UTF16, 2 },
	{ "UTF-7 utf7 unicode-1-1-utf-7", KIND_UTF7, 0 },
	{ "ISO-2022-JP iso-2022-jp-ms cp50220 cp50221 csiso2022jp", KIND_2022_JP, 0 },
	{ "Shift_JIS shift-jis sjis x-sjis ms_kanji windows-31j cp932 ms932", KIND_SJIS, 0 },
	{ "EUC-JP eucjp x-euc-jp ujis cp51932", KIND_EUC_JP, 0 },
};

const struct charset *charset_find(struct bytes name)
{
	name = text_trim(name);
	for (size_t i = 0; i < sizeof charsets / sizeof charsets[0]; i++) {
		struct bytes rest = bytes_of(charsets[i].names), word;

		while ((word = text_word(&rest)).len)
			if (bytes_equal_nocase(word, name))
				return &charsets[i];
	}
	return NULL;
}

struct bytes charset_name(const struct charset *c)
{
	struct bytes names = bytes_of(c->names);

	return text_word(&names);
}

void charset_begin(struct charset_decoder *d, const struct charset *charset)
{
	memset(d, 0, sizeof *d);
	d->charset = charset ? charset : &charsets[1];
}

static void put(struct buf *out, uint32_t code)
{
	uint8_t utf8[4];

	(void)buf_put(out, utf8, text_utf8_encode(code, utf8));
}

static uint32_t jis(unsigned row, unsigned cell)
{
	unsigned index = row <= 120 ? table_jis_row[row] : 0;
	uint16_t code = index && cell >= 1 && cell <= 94 ? table_jis[index - 1][cell - 1] : 0;

	return code ? code : UNKNOWN;
}

/* -------------------------------------------------------------------- UTF-8 */

/* Whether the bytes are the start of a character and no more than that. */
static bool utf8_starts(const uint8_t *p, size_t len)
{
	uint8_t c = p[0];
	size_t want = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;

	if (c < 0xC2 || c > 0xF4 || len >= want)
		return false;
	if (len > 1) {
		uint8_t least = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
		uint8_t most = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;

		if (p[1] < least || p[1] > most)
			return false;
	}
	return len < 3 || (p[2] & 0xC0) == 0x80;
}

static bool take_utf8(struct charset_decoder *d, uint8_t c, struct buf *out)
{
	uint32_t code;

	d->pending[d->have++] = c;
	if (utf8_starts(d->pending, d->have))
		return true;
	if (text_utf8_decode(bytes_make(d->pending, d->have), &code)) {
		(void)buf_put(out, d->pending, d->have);
		d->have = 0;
		return true;
	}
	/* The longest start of a character counts as one; c belongs to it only
	 * when it stands alone. */
	put(out, UNKNOWN);
	code = d->have;
	d->have = 0;
	return code == 1;
}

/* -------------------------------------------------------- one byte, two bytes */

static bool take_table(struct charset_decoder *d, uint8_t c, struct buf *out)
{
	if (c < 0x80)
		put(out, c);
	else
		put(out, d->charset->kind == KIND_ASCII ? UNKNOWN : table_charset[d->charset->table][c - 0x80]);
	return true;
}

static bool take_sjis(struct charset_decoder *d, uint8_t c, struct buf *out)
{
	unsigned lead = d->pending[0], row;

	if (d->have == 0) {
		if ((c >= 0x81 && c <= 0x9F) || (c >= 0xE0 && c <= 0xFC)) {
			d->pending[0] = c;
			d->have = 1;
		} else if (c >= 0xA1 && c <= 0xDF) {
			put(out, 0xFF61u + c - 0xA1u);
		} else {
			put(out, c < 0x80 ? c : UNKNOWN);
		}
		return true;
	}
	d->have = 0;
	if (c < 0x40 || c == 0x7F || c > 0xFC) {
		put(out, UNKNOWN);
		return c >= 0x80; /* ASCII behind a lost lead byte stands for itself */
	}
	row = (lead - (lead < 0xA0 ? 0x81u : 0xC1u)) * 2 + 1;
	put(out, c >= 0x9F ? jis(row + 1, c - 0x9Eu) : jis(row, c - 0x3Fu - (c > 0x7F)));
	return true;
}

static bool take_euc_jp(struct charset_decoder *d, uint8_t c, struct buf *out)
{
	if (d->have == 0) {
		if (c == 0x8E || c == 0x8F || (c >= 0xA1 && c <= 0xFE)) {
			d->pending[0] = c;
			d->have = 1;
		} else {
			put(out, c < 0x80 ? c : UNKNOWN);
		}
		return true;
	}
	if (c < 0xA1 || c == 0xFF) {
		d->have = 0;
		put(out, UNKNOWN);
		return c >= 0x80;
	}
	if (d->pending[0] == 0x8F && d->have == 1) { /* JIS X 0212 has no table */
		d->have = 2;
		return true;
	}
	if (d->pending[0] == 0x8E)
		put(out, c <= 0xDF ? 0xFF61u + c - 0xA1u : UNKNOWN);
	else
		put(out, d->have == 1 ? jis(d->pending[0] - 0xA0u, c - 0xA0u) : UNKNOWN);
	d->have = 0;
	return true;
}

/* --------------------------------------------------------------- ISO-2022-JP */

enum { JP_ASCII, JP_KANJI, JP_KANA };

/* Behind ESC: true while the sequence goes on or is whole. */
static bool take_escape(struct charset_decoder *d, uint8_t c)
{
	uint8_t first = d->pending[1];

	if (d->have == 1) {
		d->pending[1] = c;
		d->have = c == '(' || c == '$' ? 2 : 0;
		return d->have != 0;
	}
	d->have = 0;
	if (first == '(' && (c == 'B' || c == 'J' || c == 'I')) {
		d->mode = c == 'I' ? JP_KANA : JP_ASCII;
		return true;
	}
	d->mode = first == '$' && (c == '@' || c == 'B') ? JP_KANJI : JP_ASCII;
	return d->mode == JP_KANJI;
}

static bool take_2022_jp(struct charset_decoder *d, uint8_t c, struct buf *out)
{
	if (d->have && d->pending[0] == ESC) {
		bool first = d->have == 1;

		if (take_escape(d, c))
			return true;
		put(out, UNKNOWN);
		return !first;
	}
	if (c == ESC) {
		if (d->have)
			put(out, UNKNOWN);
		d->pending[0] = c;
		d->have = 1;
	} else if (c < 0x21 || c > 0x7E) { /* a line's end shifts back */
		if (d->have || c >= 0x7F)
			put(out, UNKNOWN);
		if (c < 0x7F)
			put(out, c);
		if (c == '\n')
			d->mode = JP_ASCII;
		d->have = 0;
	} else if (d->mode == JP_ASCII) {
		put(out, c);
	} else if (d->mode == JP_KANA) {
		put(out, c <= 0x5F ? 0xFF61u + c - 0x21u : UNKNOWN);
	} else if (d->have == 0) {
		d->pending[0] = c;
		d->have = 1;
	} else {
		put(out, jis(d->pending[0] - 0x20u, c - 0x20u));
		d->have = 0;
	}
	return true;
}

/* ------------------------------------------------------------ UTF-16, UTF-7 */

static void put_unit(struct charset_decoder *d, uint32_t unit, struct buf *out)
{
	bool low = unit >= 0xDC00 && unit <= 0xDFFF;

	if (d->high && low) {
		put(out, 0x10000 + ((uint32_t)(d->high - 0xD800) << 10) + (unit - 0xDC00));
		d->high = 0;
		return;
	}
	if (d->high)
		put(out, UNKNOWN);
	d->high = 0;
	if (unit >= 0xD800 && unit <= 0xDBFF)
		d->high = (uint16_t)unit;
	else
		put(out, low ? UNKNOWN : unit);
}

enum { UTF16_BIG = 1, UTF16_LITTLE = 2 };

static bool take_utf16(struct charset_decoder *d, uint8_t c, struct buf *out)
{
	uint32_t unit;

	if (d->have == 0) {
		d->pending[0] = c;
		d->have = 1;
		return true;
	}
	d->have = 0;
	unit = (uint32_t)(d->pending[0] << 8 | c);
	if (d->mode == 0) { /* the first unit may be a byte order mark; RFC 2781: else big */
		d->mode = d->charset->table ? d->charset->table : unit == 0xFFFE ? UTF16_LITTLE : UTF16_BIG;
		if (unit == 0xFEFF || (unit == 0xFFFE && d->mode == UTF16_LITTLE))
			return true;
	}
	put_unit(d, d->mode == UTF16_LITTLE ? (uint32_t)(c << 8 | d->pending[0]) : unit, out);
	return true;
}

static int base64_value(uint8_t c)
{
	if (text_is(c, TEXT_ALPHA))
		return c >= 'a' ? c - 'a' + 26 : c - 'A';
	if (text_is(c, TEXT_DIGIT))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

enum { UTF7_DIRECT, UTF7_SHIFTED_NOW, UTF7_SHIFTED };

static bool take_utf7(struct charset_decoder *d, uint8_t c, struct buf *out)
{
	int value = d->mode == UTF7_DIRECT ? -1 : base64_value(c);
	uint8_t mode = d->mode;

	if (value >= 0) {
		d->mode = UTF7_SHIFTED;
		d->bits = d->bits << 6 | (uint32_t)value;
		d->n_bits = (uint8_t)(d->n_bits + 6);
		if (d->n_bits >= 16) {
			d->n_bits = (uint8_t)(d->n_bits - 16);
			put_unit(d, d->bits >> d->n_bits & 0xFFFF, out);
		}
		return true;
	}
	if (mode == UTF7_DIRECT && c == '+') {
		d->mode = UTF7_SHIFTED_NOW;
		d->bits = d->n_bits = 0;
		return true;
	}
	d->mode = UTF7_DIRECT;
	if (d->high)
		put(out, UNKNOWN);
	d->high = 0;
	if (mode == UTF7_SHIFTED_NOW && c == '-')
		put(out, '+');
	else if (mode == UTF7_DIRECT || c != '-')
		put(out, c < 0x80 ? c : UNKNOWN);
	return true;
}

/* ------------------------------------------------------------------ surface */

/* Copies whole characters of UTF-8 up to the next ASCII byte; returns how much
 * that was. */
static size_t take_valid(struct bytes in, struct buf *out)
{
	size_t n = 0, len;
	uint32_t code;

	if (in.len > buf_space(out))
		in.len = buf_space(out);
	while (n < in.len && in.data[n] >= 0x80 && (len = text_utf8_decode(bytes_make(in.data + n, in.len - n), &code)))
		n += len;
	(void)buf_put(out, in.data, n);
	return n;
}

/* Copies what is ASCII; returns how much that was. */
static size_t take_ascii(struct bytes in, struct buf *out)
{
	const uint64_t highs = UINT64_MAX / 255 << 7;
	size_t n = 0;

	if (in.len > buf_space(out))
		in.len = buf_space(out);
	while (in.len - n >= 8) {
		uint64_t word;

		memcpy(&word, in.data + n, 8);
		if (word & highs)
			break;
		n += 8;
	}
	while (n < in.len && in.data[n] < 0x80)
		n++;
	(void)buf_put(out, in.data, n);
	return n;
}

size_t charset_push(struct charset_decoder *d, struct bytes in, struct buf *out)
{
	static bool (*const take[])(struct charset_decoder *, uint8_t, struct buf *) = {
		[KIND_UTF8] = take_utf8, [KIND_ASCII] = take_table, [KIND_TABLE] = take_table, [KIND_SJIS] = take_sjis,
		[KIND_EUC_JP] = take_euc_jp, [KIND_UTF16] = take_utf16, [KIND_UTF7] = take_utf7,
		[KIND_2022_JP] = take_2022_jp,
	};
	uint8_t kind = d->charset->kind;
	size_t i = 0;

	while (i < in.len) {
		if (d->have == 0 && kind <= KIND_EUC_JP) {
			i += take_ascii(bytes_part(in, i, in.len), out);
			if (i == in.len)
				break;
		}
		if (buf_space(out) < CHARSET_ROOM)
			break;
		if (d->have == 0 && kind == KIND_UTF8) {
			size_t n = take_valid(bytes_part(in, i, in.len), out);

			i += n;
			if (n)
				continue;
		}
		i += take[kind](d, in.data[i], out);
	}
	return i;
}

bool charset_end(struct charset_decoder *d, struct buf *out)
{
	if (d->have == 0 && d->high == 0)
		return true;
	if (buf_space(out) < 4)
		return false;
	put(out, UNKNOWN);
	d->have = 0;
	d->high = 0;
	return true;
}
