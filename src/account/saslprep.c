#include "account/saslprep.h"

#include "base/err.h"
#include "base/text.h"

struct range {
	uint32_t first, last;
};

/* RFC 3454 C.1.2; U+200B stands in B.1 too, and implementations agree on this
 * one. */
static const struct range spaces[] = {
	{ 0x00A0, 0x00A0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200B }, { 0x202F, 0x202F }, { 0x205F, 0x205F },
	{ 0x3000, 0x3000 },
};

/* RFC 3454 B.1. */
static const struct range nothing[] = {
	{ 0x00AD, 0x00AD }, { 0x034F, 0x034F }, { 0x1806, 0x1806 }, { 0x180B, 0x180D }, { 0x200C, 0x200D },
	{ 0x2060, 0x2060 }, { 0xFE00, 0xFE0F }, { 0xFEFF, 0xFEFF },
};

/* RFC 3454 C.2.1, C.2.2, C.3 to C.9, but for the non-characters at the end of
 * each plane and what is mapped away before. */
static const struct range prohibited[] = {
	{ 0x0000, 0x001F }, { 0x007F, 0x009F }, { 0x0340, 0x0341 }, { 0x06DD, 0x06DD }, { 0x070F, 0x070F },
	{ 0x180E, 0x180E }, { 0x200E, 0x200F }, { 0x2028, 0x202E }, { 0x2061, 0x2063 }, { 0x206A, 0x206F },
	{ 0x2FF0, 0x2FFB }, { 0xD800, 0xF8FF }, { 0xFDD0, 0xFDEF }, { 0xFFF9, 0xFFFD }, { 0x1D173, 0x1D17A },
	{ 0xE0001, 0xE0001 }, { 0xE0020, 0xE007F }, { 0xF0000, 0xFFFFD }, { 0x100000, 0x10FFFD },
};

/* NFKC of Latin-1: all of its other characters stay as they are. */
static const struct {
	uint32_t code;
	const char *text;
} compatible[] = {
	{ 0x00A8, " \xCC\x88" }, { 0x00AA, "a" }, { 0x00AF, " \xCC\x84" }, { 0x00B2, "2" }, { 0x00B3, "3" },
	{ 0x00B4, " \xCC\x81" }, { 0x00B5, "\xCE\xBC" }, { 0x00B8, " \xCC\xA7" }, { 0x00B9, "1" }, { 0x00BA, "o" },
	{ 0x00BC, "1\xE2\x81\x84" "4" }, { 0x00BD, "1\xE2\x81\x84" "2" }, { 0x00BE, "3\xE2\x81\x84" "4" },
};

static bool within(const struct range *range, size_t n, uint32_t code)
{
	for (size_t i = 0; i < n; i++)
		if (code >= range[i].first && code <= range[i].last)
			return true;
	return false;
}

#define WITHIN(ranges, code) within(ranges, sizeof(ranges) / sizeof *(ranges), code)

static void put_mapped(uint32_t code, struct buf *out)
{
	uint8_t utf8[4];

	for (size_t i = 0; i < sizeof compatible / sizeof *compatible; i++) {
		if (compatible[i].code == code) {
			buf_puts(out, compatible[i].text);
			return;
		}
	}
	if (code >= 0xFF01 && code <= 0xFF5E)
		code -= 0xFF01 - 0x21;
	buf_put(out, utf8, text_utf8_encode(code, utf8));
}

int saslprep(struct bytes in, struct buf *out)
{
	while (in.len) {
		uint32_t code;
		size_t n = text_utf8_decode(in, &code);

		if (n == 0)
			return E_SYNTAX;
		in = bytes_part(in, n, in.len);
		if (WITHIN(spaces, code))
			buf_putc(out, ' ');
		else if (WITHIN(nothing, code))
			continue;
		else if (WITHIN(prohibited, code) || (code & 0xFFFE) == 0xFFFE)
			return E_SYNTAX;
		else
			put_mapped(code, out);
	}
	return out->overflow ? E_LIMIT : OK;
}
