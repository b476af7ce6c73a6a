#include "base/mem.h"

#include <assert.h>
#include <string.h>

#define ALIGN 16u

size_t arena_size(size_t len)
{
	return (len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

void arena_init(struct arena *a, void *start, size_t len)
{
	*a = (struct arena){ .start = start, .len = len };
}

void arena_init_zeroed(struct arena *a, void *start, size_t len)
{
	*a = (struct arena){ .start = start, .len = len, .zeroed = true };
}

void *arena_take(struct arena *a, size_t len)
{
	size_t size = arena_size(len);
	void *p;

	assert(!a->frozen);
	if (size < len || size > a->len - a->used)
		return NULL;
	p = a->start + a->used;
	a->used += size;
	if (!a->zeroed)
		memset(p, 0, len);
	return p;
}

void arena_freeze(struct arena *a)
{
	a->frozen = true;
}

static size_t unit_size(size_t unit)
{
	return arena_size(unit < sizeof(void *) ? sizeof(void *) : unit);
}

size_t pool_size(size_t unit, uint32_t count)
{
	return unit_size(unit) * count;
}

bool pool_init(struct pool *p, struct arena *a, const char *name, size_t unit, uint32_t count)
{
	*p = (struct pool){ .name = name, .unit = unit_size(unit), .count = count };
	p->units = arena_take(a, p->unit * count);
	if (!p->units && count > 0)
		return false;
	if (a->last)
		a->last->next = p;
	else
		a->first = p;
	a->last = p;
	return true;
}

static uint32_t fail_countdown;
static struct pool *fail_pool;

void pool_fail_at(struct pool *p, uint32_t n)
{
	fail_pool = n ? p : NULL;
	fail_countdown = n;
}

void *pool_get(struct pool *p)
{
	void *u = p->free;

	if (!u && p->fresh < p->count)
		u = p->units + p->fresh * p->unit;
	if (p == fail_pool && --fail_countdown == 0) {
		fail_pool = NULL;
		u = NULL;
	}
	if (!u) {
		p->denied++;
		return NULL;
	}
	if (u == p->free)
		memcpy(&p->free, u, sizeof p->free);
	else
		p->fresh++;
	memset(u, 0, p->unit);
	if (++p->used > p->peak)
		p->peak = p->used;
	return u;
}

void pool_put(struct pool *p, void *unit)
{
	size_t at;

	if (!unit)
		return;
	at = (size_t)((uint8_t *)unit - p->units);
	assert((uint8_t *)unit >= p->units && at < p->unit * p->count && at % p->unit == 0);
	assert(p->used > 0);
	memcpy(unit, &p->free, sizeof p->free);
	p->free = unit;
	p->used--;
}

uint32_t pool_free(const struct pool *p)
{
	return p->count - p->used;
}
