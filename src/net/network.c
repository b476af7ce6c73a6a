/* Networks in CIDR form, and whether a peer is in one of them. */
#include "base/err.h"
#include "base/text.h"
#include "net/loop.h"

#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* Four decimal numbers. Leading zeros are refused: some programs read them as
 * octal, and a rule about who may connect must not have two meanings. */
static bool parse_ip4(struct bytes text, uint8_t out[4])
{
	for (int i = 0; i < 4; i++) {
		size_t dot = bytes_index(text, '.');
		struct bytes part = bytes_part(text, 0, dot);
		uint64_t value;

		if ((dot == text.len) != (i == 3) || part.len > 3 || (part.len > 1 && part.data[0] == '0'))
			return false;
		if (text_number(part, 255, &value) != OK)
			return false;
		out[i] = (uint8_t)value;
		text = bytes_part(text, dot + 1, text.len);
	}
	return true;
}

/* One group of up to four hexadecimal digits at the start of *text. */
static bool parse_group(struct bytes *text, uint8_t out[2])
{
	unsigned value = 0;
	size_t n = 0;

	while (n < text->len && n < 4 && text_hex(text->data[n]) >= 0)
		value = value << 4 | (unsigned)text_hex(text->data[n++]);
	if (n == 0)
		return false;
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
	*text = bytes_part(*text, n, text->len);
	return true;
}

static bool take(struct bytes *text, const char *prefix)
{
	if (!bytes_starts_nocase(*text, prefix))
		return false;
	*text = bytes_part(*text, strlen(prefix), text->len);
	return true;
}

/* RFC 4291 section 2.2, all three forms. */
static bool parse_ip6(struct bytes text, uint8_t out[16])
{
	size_t n = 0, gap = SIZE_MAX;
	bool first = true;

	memset(out, 0, 16);
	while (text.len) {
		if (take(&text, "::")) {
			if (gap != SIZE_MAX)
				return false;
			gap = n;
			if (text.len == 0)
				break;
		} else if (!first && !take(&text, ":")) {
			return false;
		}
		first = false;
		if (n <= 12 && bytes_index(text, ':') == text.len && parse_ip4(text, out + n)) {
			n += 4;
			break;
		}
		if (n > 14 || !parse_group(&text, out + n))
			return false;
		n += 2;
	}
	if (gap == SIZE_MAX)
		return n == 16;
	/* the gap stands for at least one group */
	if (n > 14)
		return false;
	memmove(out + 16 - (n - gap), out + gap, n - gap);
	memset(out + gap, 0, 16 - n);
	return true;
}

static void mask(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;

		if (keep < 8)
			ip[i] &= (uint8_t)(0xff00u >> keep);
	}
}

int network_parse(struct bytes text, struct network *out)
{
	size_t slash = bytes_index(text, '/');
	struct bytes ip = bytes_part(text, 0, slash);
	uint64_t bits;
	bool ip4;

	memcpy(out->ip, mapped, sizeof mapped);
	ip4 = parse_ip4(ip, out->ip + 12);
	if (!ip4 && (ip.len == 0 || !parse_ip6(ip, out->ip)))
		return E_SYNTAX;
	bits = ip4 ? 32 : 128;
	if (slash < text.len) {
		struct bytes number = bytes_part(text, slash + 1, text.len);

		if (number.len > 3 || text_number(number, bits, &bits) != OK)
			return E_SYNTAX;
	}
	out->bits = (uint8_t)(ip4 ? 96 + bits : bits);
	mask(out->ip, out->bits);
	return OK;
}

bool network_contains(const struct network *list, size_t n, const struct port_address *peer)
{
	uint8_t ip[16];

	if (peer->family == PORT_UNIX)
		return true;
	for (size_t i = 0; i < n; i++) {
		if (peer->family == PORT_IP4) {
			memcpy(ip, mapped, sizeof mapped);
			memcpy(ip + 12, peer->ip, 4);
		} else {
			memcpy(ip, peer->ip, sizeof ip);
		}
		mask(ip, list[i].bits);
		if (memcmp(ip, list[i].ip, sizeof ip) == 0)
			return true;
	}
	return false;
}
