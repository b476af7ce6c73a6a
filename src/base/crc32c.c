#include "base/crc32c.h"

#include <stdbool.h>

#include "base/le.h"

#define POLYNOMIAL 0x82F63B78u

/* table[k][b]: the CRC of byte b followed by k zero bytes. */
static uint32_t table[8][256];
static bool ready;

static void make_table(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t c = b;

		for (int i = 0; i < 8; i++)
			c = (c >> 1) ^ (c & 1 ? POLYNOMIAL : 0);
		table[0][b] = c;
	}
	for (uint32_t b = 0; b < 256; b++)
		for (int k = 1; k < 8; k++)
			table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xFF];
	ready = true;
}

static uint32_t by_table(uint32_t c, const uint8_t *p, size_t len)
{
	if (!ready)
		make_table();
	for (; len >= 8; p += 8, len -= 8) {
		uint32_t lo = le32(p) ^ c, hi = le32(p + 4);

		c = table[7][lo & 0xFF] ^ table[6][(lo >> 8) & 0xFF] ^ table[5][(lo >> 16) & 0xFF] ^
			table[4][lo >> 24] ^ table[3][hi & 0xFF] ^ table[2][(hi >> 8) & 0xFF] ^
			table[1][(hi >> 16) & 0xFF] ^ table[0][hi >> 24];
	}
	while (len--)
		c = (c >> 8) ^ table[0][(c ^ *p++) & 0xFF];
	return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t seed, const uint8_t *p, size_t len)
{
	uint64_t c = seed;

	for (; len >= 8; p += 8, len -= 8)
		c = __builtin_ia32_crc32di(c, le64(p));
	while (len--)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p++);
	return (uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t seed, const void *data, size_t len)
{
	uint32_t c = ~seed;

#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~by_instruction(c, data, len);
#endif
	return ~by_table(c, data, len);
}
