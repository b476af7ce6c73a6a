#include "base/codec.h"

#include <limits.h>

#include "base/err.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool codec_base64(struct bytes in, struct buf *out)
{
	if (in.len > SIZE_MAX / 2 || (in.len + 2) / 3 * 4 > buf_space(out)) {
		out->overflow = true;
		return false;
	}
	for (size_t i = 0; i < in.len; i += 3) {
		size_t n = in.len - i < 3 ? in.len - i : 3;
		uint32_t w = (uint32_t)in.data[i] << 16;

		if (n > 1)
			w |= (uint32_t)in.data[i + 1] << 8;
		if (n > 2)
			w |= in.data[i + 2];
		buf_putc(out, (uint8_t)alphabet[w >> 18]);
		buf_putc(out, (uint8_t)alphabet[w >> 12 & 63]);
		buf_putc(out, (uint8_t)(n > 1 ? alphabet[w >> 6 & 63] : '='));
		buf_putc(out, (uint8_t)(n > 2 ? alphabet[w & 63] : '='));
	}
	return true;
}

static int digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One quantum of four digits, of which the last `pad` are '='. */
static bool quantum(const uint8_t *in, size_t pad, uint8_t three[3])
{
	uint32_t w = 0;

	for (size_t i = 0; i < 4; i++) {
		int d = i < 4 - pad ? digit(in[i]) : 0;

		if (d < 0)
			return false;
		w = w << 6 | (uint32_t)d;
	}
	three[0] = (uint8_t)(w >> 16);
	three[1] = (uint8_t)(w >> 8);
	three[2] = (uint8_t)w;
	return (w & ((1u << 8 * pad) - 1)) == 0;
}

int codec_base64_read(struct bytes in, void *out, size_t cap)
{
	uint8_t *to = out;
	size_t len = 0;

	if (in.len % 4 != 0 || in.len > INT_MAX)
		return E_SYNTAX;
	for (size_t i = 0; i < in.len; i += 4) {
		bool last = i + 4 == in.len;
		size_t pad = last && in.data[i + 3] == '=' ? (in.data[i + 2] == '=' ? 2 : 1) : 0;
		uint8_t three[3];

		if (!quantum(in.data + i, pad, three))
			return E_SYNTAX;
		if (3 - pad > cap - len)
			return E_LIMIT;
		for (size_t k = 0; k < 3 - pad; k++)
			to[len++] = three[k];
	}
	return (int)len;
}

bool codec_hex_colons(struct bytes in, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";

	if (in.len > SIZE_MAX / 3 || (in.len && in.len * 3 - 1 > buf_space(out))) {
		out->overflow = true;
		return false;
	}
	for (size_t i = 0; i < in.len; i++) {
		if (i)
			buf_putc(out, ':');
		buf_putc(out, (uint8_t)digits[in.data[i] >> 4]);
		buf_putc(out, (uint8_t)digits[in.data[i] & 15]);
	}
	return true;
}
