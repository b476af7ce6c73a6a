/* Numbers from the seed (splitmix64), and memory for the simulation. */
#include "port/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t states[CHANCE_STREAMS];

void chance_reset(uint64_t seed)
{
	for (unsigned i = 0; i < CHANCE_STREAMS; i++)
		states[i] = seed * 0x9e3779b97f4a7c15u + (i + 1) * 0xd1342543de82ef95u;
}

uint64_t chance_next(enum stream s)
{
	uint64_t z = states[s] += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t chance(enum stream s, uint64_t limit)
{
	return chance_next(s) % limit;
}

bool chance_percent(enum stream s, unsigned percent)
{
	return chance(s, 100) < percent;
}

void chance_fill(enum stream s, void *data, size_t len)
{
	uint8_t *at = data;

	while (len > 0) {
		uint64_t n = chance_next(s);
		size_t part = len < sizeof n ? len : sizeof n;

		/* byte by byte: the same on every machine */
		for (size_t i = 0; i < part; i++)
			at[i] = (uint8_t)(n >> 8 * i);
		at += part;
		len -= part;
	}
}

uint64_t sim_random(uint64_t limit)
{
	return chance(CHANCE_TEST, limit);
}

void *sim_take(size_t len)
{
	void *p = calloc(1, len ? len : 1);

	if (!p)
		sim_misuse("no memory for %zu bytes", len);
	return p;
}

void *sim_retake(void *old, size_t len)
{
	void *p = realloc(old, len ? len : 1);

	if (!p)
		sim_misuse("no memory for %zu bytes", len);
	return p;
}

char *sim_text(const char *text)
{
	size_t len = strlen(text) + 1;

	return memcpy(sim_take(len), text, len);
}

void sim_misuse(const char *format, ...)
{
	va_list args;

	fputs("port/sim: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}
