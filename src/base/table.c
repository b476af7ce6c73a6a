#include "base/table.h"

#include <assert.h>
#include <string.h>

/* uthash allocates its table and its buckets when the first element comes,
 * gives both back when the last one goes, and doubles the buckets in between.
 * Here the first element is a sentinel that never goes, the bucket count is
 * right from the start, and growing is switched off: so these two run only
 * inside table_init, for the table that is being made there. */
static struct arena *making;
static unsigned making_buckets, making_log2;

static void *make_space(size_t len)
{
	assert(making);
	return arena_take(making, len);
}

#define uthash_malloc(size) make_space(size)
#define uthash_free(space, size) assert(!"a table never gives its buckets back")
#define uthash_fatal(text) assert(!text)

#include <uthash.h>

#undef HASH_INITIAL_NUM_BUCKETS
#undef HASH_INITIAL_NUM_BUCKETS_LOG2
#define HASH_INITIAL_NUM_BUCKETS making_buckets
#define HASH_INITIAL_NUM_BUCKETS_LOG2 making_log2

struct table_entry {
	UT_hash_handle hh;
	/* key, padding, value follow */
};

static size_t value_at(size_t key)
{
	return arena_size(sizeof(struct table_entry) + key);
}

/* Two to four elements for a bucket: uthash compares hashes before keys, so a
 * short chain costs less than the memory of more buckets. */
static unsigned buckets_log2(uint32_t count)
{
	unsigned n = 0;

	while (n < 24 && (uint64_t)4 << n < count)
		n++;
	return n;
}

static size_t buckets_size(uint32_t count)
{
	return arena_size(sizeof(struct UT_hash_bucket) << buckets_log2(count));
}

size_t table_memory(size_t key, size_t value, uint32_t count)
{
	return arena_size(sizeof(UT_hash_table)) + buckets_size(count) + pool_size(value_at(key) + value, count) +
		arena_size(sizeof(struct table_entry));
}

bool table_init(struct table *t, struct arena *a, const char *name, size_t key, size_t value, uint32_t count,
	const uint8_t secret[SIPHASH_KEY])
{
	struct table_entry *sentinel;

	assert(key >= 1);
	*t = (struct table){ .key = key, .value = value };
	memcpy(t->secret, secret, SIPHASH_KEY);
	if (table_memory(key, value, count) > a->len - a->used)
		return false;
	if (!pool_init(&t->pool, a, name, value_at(key) + value, count))
		return false;
	sentinel = arena_take(a, sizeof *sentinel);
	making = a;
	making_log2 = buckets_log2(count);
	making_buckets = 1u << making_log2;
	/* A key of no bytes equals no other. */
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, t->head, NULL, 0, 0, sentinel);
	t->head->hh.tbl->noexpand = 1;
	making = NULL;
	return true;
}

static unsigned hash_of(const struct table *t, const void *key)
{
	return (unsigned)siphash(t->secret, bytes_make(key, t->key));
}

static void *value_of(const struct table *t, struct table_entry *e)
{
	return e ? (uint8_t *)e + value_at(t->key) : NULL;
}

static struct table_entry *entry_of(const struct table *t, const void *value)
{
	return (struct table_entry *)((uintptr_t)value - value_at(t->key));
}

void *table_find(struct table *t, const void *key)
{
	struct table_entry *e;

	HASH_FIND_BYHASHVALUE(hh, t->head, key, t->key, hash_of(t, key), e);
	return value_of(t, e);
}

static void link_entry(struct table *t, struct table_entry *e)
{
	uint8_t *key = (uint8_t *)(e + 1);
	unsigned hash = hash_of(t, key);

	HASH_ADD_KEYPTR_BYHASHVALUE(hh, t->head, key, t->key, hash, e);
}

void *table_add(struct table *t, const void *key)
{
	struct table_entry *e = pool_get(&t->pool);

	if (!e)
		return NULL;
	memcpy(e + 1, key, t->key);
	link_entry(t, e);
	return value_of(t, e);
}

void table_touch(struct table *t, void *value)
{
	struct table_entry *e = entry_of(t, value);

	HASH_DELETE(hh, t->head, e);
	link_entry(t, e);
}

void table_remove(struct table *t, void *value)
{
	struct table_entry *e = entry_of(t, value);

	HASH_DELETE(hh, t->head, e);
	pool_put(&t->pool, e);
}

void *table_oldest(const struct table *t)
{
	return value_of(t, t->head->hh.next);
}

void *table_next(const struct table *t, const void *value)
{
	return value_of(t, entry_of(t, value)->hh.next);
}

const void *table_key(const struct table *t, const void *value)
{
	return entry_of(t, value) + 1;
}

uint32_t table_count(const struct table *t)
{
	return t->pool.used;
}
