/* Memory: one arena, taken once at start; pools of equal units carved from it.
 * After mem_freeze nothing can be carved any more, and nothing in cubbyd calls
 * malloc. Pools never grow: an empty one says so, and the caller answers its
 * client in the protocol's words. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

struct arena {
	uint8_t *start;
	size_t len, used;
	bool frozen;
	bool zeroed; /* the memory is zero and was not touched yet */
	struct pool *first, *last; /* every pool carved from it, in that order, for `cubby status` */
};

void arena_init(struct arena *a, void *start, size_t len);
/* The same for memory that is zero, as port_map gives it: what is taken is not
 * touched before it is used, so that what is never used is never resident. */
void arena_init_zeroed(struct arena *a, void *start, size_t len);
/* len zeroed bytes, aligned to 16; NULL when they don't fit. Asserts that the
 * arena is not frozen. */
void *arena_take(struct arena *a, size_t len);
void arena_freeze(struct arena *a);
/* What arena_take(len) uses up: len rounded to the alignment. */
size_t arena_size(size_t len);

/* A pool of `count` units of `unit` bytes. Free units are chained through their
 * first bytes; counters are for `cubby status` and the tests. */
struct pool {
	const char *name;
	uint8_t *units;
	void *free;
	size_t unit;
	uint32_t count, used, peak;
	uint32_t fresh; /* units from here on were never given out and are not chained */
	uint32_t denied; /* how often it was empty when asked */
	struct pool *next; /* of the same arena */
};

/* False when the arena has no room. The pool must stay where it is as long as the
 * arena is used. */
bool pool_init(struct pool *p, struct arena *a, const char *name, size_t unit, uint32_t count);
/* Arena bytes of such a pool. */
size_t pool_size(size_t unit, uint32_t count);
/* A zeroed unit, or NULL (counted in denied). */
void *pool_get(struct pool *p);
/* Gives a unit of this pool back; NULL is fine. Asserts that it is one. */
void pool_put(struct pool *p, void *unit);
uint32_t pool_free(const struct pool *p);
/* For the tests: let the n-th next pool_get fail (0: none). */
void pool_fail_at(struct pool *p, uint32_t n);

#endif
