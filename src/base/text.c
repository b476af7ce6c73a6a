#include "base/text.h"

#include "base/err.h"

#define D TEXT_DIGIT
#define A TEXT_ALPHA
#define S TEXT_SPACE
#define C TEXT_CTL
#define X TEXT_HEX
#define I TEXT_IMAP_ATOM
#define M TEXT_MIME_TOKEN
#define H TEXT_8BIT

#define AIM (A | I | M)
#define AXIM (A | X | I | M)
#define DXIM (D | X | I | M)

const uint8_t text_classes[256] = {
	C, C, C, C, C, C, C, C, C, C | S, C, C, C, C, C, C,
	C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C,
	/*   ! " # $ % & ' ( ) * + , - . / */
	S, I | M, 0, I | M, I | M, M, I | M, I | M, 0, 0, M, I | M, I, I | M, I | M, I,
	DXIM, DXIM, DXIM, DXIM, DXIM, DXIM, DXIM, DXIM, DXIM, DXIM,
	/* : ; < = > ? @ */
	I, I, I, I, I, I, I,
	AXIM, AXIM, AXIM, AXIM, AXIM, AXIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM,
	AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM,
	/* [ \ ] ^ _ ` */
	I, 0, 0, I | M, I | M, I | M,
	AXIM, AXIM, AXIM, AXIM, AXIM, AXIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM,
	AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM, AIM,
	/* { | } ~ DEL */
	M, I | M, I | M, I | M, C,
	H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
	H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
	H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
	H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
};

int text_hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = text_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_number(struct bytes b, uint64_t max, uint64_t *value)
{
	uint64_t n = 0;

	if (b.len == 0)
		return E_SYNTAX;
	for (size_t i = 0; i < b.len; i++) {
		unsigned digit = (unsigned)b.data[i] - '0';

		if (digit > 9)
			return E_SYNTAX;
		if (n > (UINT64_MAX - digit) / 10 || n * 10 + digit > max)
			return E_RANGE;
		n = n * 10 + digit;
	}
	*value = n;
	return OK;
}

struct bytes text_trim(struct bytes b)
{
	while (b.len && (b.data[0] == ' ' || (b.data[0] >= '\t' && b.data[0] <= '\r')))
		b = bytes_part(b, 1, b.len);
	while (b.len && (b.data[b.len - 1] == ' ' || (b.data[b.len - 1] >= '\t' && b.data[b.len - 1] <= '\r')))
		b.len--;
	return b;
}

struct bytes text_word(struct bytes *rest)
{
	struct bytes b = *rest;
	size_t n = 0;

	while (b.len && text_is(b.data[0], TEXT_SPACE))
		b = bytes_part(b, 1, b.len);
	while (n < b.len && !text_is(b.data[n], TEXT_SPACE))
		n++;
	*rest = bytes_part(b, n, b.len);
	return bytes_part(b, 0, n);
}

/* A number followed by at most one unit letter out of `units`, whose factors
 * stand in `factor` in the same order. */
static int number_with_unit(struct bytes b, const char *units, const uint64_t *factor, uint64_t *value)
{
	uint64_t unit = 1;
	int err;

	if (b.len && !text_is(b.data[b.len - 1], TEXT_DIGIT)) {
		size_t i = 0;

		while (units[i] && units[i] != (char)b.data[b.len - 1])
			i++;
		if (!units[i])
			return E_SYNTAX;
		unit = factor[i];
		b.len--;
	}
	err = text_number(b, UINT64_MAX / unit, value);
	if (err == OK)
		*value *= unit;
	return err;
}

int text_size(struct bytes b, uint64_t *bytes_out)
{
	static const uint64_t factor[] = { 1u << 10, 1u << 20, 1u << 30 };

	return number_with_unit(b, "KMG", factor, bytes_out);
}

int text_duration(struct bytes b, uint64_t *seconds)
{
	static const uint64_t factor[] = { 1, 60, 3600, 86400 };

	return number_with_unit(b, "smhd", factor, seconds);
}

size_t text_utf8_decode(struct bytes b, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	size_t n;

	if (b.len == 0)
		return 0;
	c = b.data[0];
	if (c < 0x80) {
		*code = c;
		return 1;
	}
	n = c >= 0xF0 && c < 0xF8 ? 4 : c >= 0xE0 ? 3 : 2;
	if (c < 0xC0 || c >= 0xF8 || b.len < n)
		return 0;
	c &= 0xFFu >> (n + 1);
	for (size_t i = 1; i < n; i++) {
		if ((b.data[i] & 0xC0) != 0x80)
			return 0;
		c = (c << 6) | (b.data[i] & 0x3Fu);
	}
	if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
		return 0;
	*code = c;
	return n;
}

bool text_utf8_valid(struct bytes b)
{
	while (b.len) {
		uint32_t code;
		size_t n = text_utf8_decode(b, &code);

		if (n == 0)
			return false;
		b = bytes_part(b, n, b.len);
	}
	return true;
}

size_t text_utf8_encode(uint32_t code, uint8_t out[4])
{
	if (code < 0x80) {
		out[0] = (uint8_t)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (uint8_t)(0xC0 | (code >> 6));
		out[1] = (uint8_t)(0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (uint8_t)(0xE0 | (code >> 12));
		out[1] = (uint8_t)(0x80 | ((code >> 6) & 0x3F));
		out[2] = (uint8_t)(0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (uint8_t)(0xF0 | (code >> 18));
	out[1] = (uint8_t)(0x80 | ((code >> 12) & 0x3F));
	out[2] = (uint8_t)(0x80 | ((code >> 6) & 0x3F));
	out[3] = (uint8_t)(0x80 | (code & 0x3F));
	return 4;
}
