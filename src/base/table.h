/* A hash table of fixed size: elements come from a pool, buckets are made once,
 * nothing is allocated or given back later. Keys are `key` bytes, hashed with a
 * secret of the caller's, so that strangers who choose keys can't make one
 * bucket long. Elements also stand in a row by age. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include "base/mem.h"
#include "base/siphash.h"

struct table_entry;

struct table {
	struct pool pool;
	struct table_entry *head; /* a sentinel that never goes */
	size_t key, value;        /* bytes of each */
	uint8_t secret[SIPHASH_KEY];
};

/* Arena bytes of such a table. */
size_t table_memory(size_t key, size_t value, uint32_t count);
/* False when the arena has no room. name is kept. key at least 1. */
bool table_init(struct table *t, struct arena *a, const char *name, size_t key, size_t value, uint32_t count,
	const uint8_t secret[SIPHASH_KEY]);

/* Values are aligned to 16 bytes and stay in place until removed. */
/* The value, or NULL. */
void *table_find(struct table *t, const void *key);
/* A new zeroed value as the youngest, or NULL when the table is full. The key
 * must not be there yet. */
void *table_add(struct table *t, const void *key);
/* Makes the value the youngest. */
void table_touch(struct table *t, void *value);
void table_remove(struct table *t, void *value);
/* The value that was added or touched longest ago; NULL when empty. */
void *table_oldest(const struct table *t);
/* The next younger one; NULL after the youngest. */
void *table_next(const struct table *t, const void *value);
const void *table_key(const struct table *t, const void *value);
uint32_t table_count(const struct table *t);

#endif
