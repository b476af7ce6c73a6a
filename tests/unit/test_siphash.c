#include "tests/unit/t.h"

#include "base/siphash.h"

/* The reference implementation's vectors (key 00..0f, data 00, 01, 02...), taken
 * from OpenSSL's SIPHASH with an output of 8 bytes, little-endian. */
T_TEST(reference)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} vector[] = {
		{ 0, 0x726fdb47dd0e0e31u }, { 1, 0x74f839c593dc67fdu }, { 7, 0xab0200f58b01d137u },
		{ 8, 0x93f5f5799a932462u }, { 15, 0xa129ca6149be45e5u }, { 16, 0x3f2acc7f57c29bdbu },
		{ 63, 0x958a324ceb064572u },
	};
	uint8_t key[16], data[64];

	for (uint8_t i = 0; i < 64; i++) {
		data[i] = i;
		if (i < 16)
			key[i] = i;
	}
	for (size_t i = 0; i < sizeof vector / sizeof *vector; i++)
		T_OK(siphash(key, bytes_make(data, vector[i].len)) == vector[i].hash);
	key[15] ^= 1;
	T_OK(siphash(key, bytes_make(data, 15)) != 0xa129ca6149be45e5u);
}

T_MAIN(T_RUN(reference))
