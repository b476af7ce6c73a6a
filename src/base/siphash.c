#include "base/siphash.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static uint64_t word(const uint8_t *p, size_t len)
{
	uint64_t w = 0;

	for (size_t i = 0; i < len; i++)
		w |= (uint64_t)p[i] << (8 * i);
	return w;
}

static void round_once(struct state *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static void take(struct state *s, uint64_t w)
{
	s->v3 ^= w;
	round_once(s);
	round_once(s);
	s->v0 ^= w;
}

uint64_t siphash(const uint8_t key[SIPHASH_KEY], struct bytes data)
{
	uint64_t k0 = word(key, 8), k1 = word(key + 8, 8);
	struct state s = {
		k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
		k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u,
	};
	size_t i;

	for (i = 0; i + 8 <= data.len; i += 8)
		take(&s, word(data.data + i, 8));
	take(&s, (uint64_t)(data.len & 0xff) << 56 | (i < data.len ? word(data.data + i, data.len - i) : 0));
	s.v2 ^= 0xff;
	for (int n = 0; n < 4; n++)
		round_once(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
