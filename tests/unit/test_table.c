#include "tests/unit/t.h"

#include "base/table.h"

#define COUNT 100

static _Alignas(16) uint8_t space[64 * 1024];
static struct arena arena;
static struct table table;
static const uint8_t secret[SIPHASH_KEY] = "0123456789abcde";

static void make(uint32_t count)
{
	arena_init(&arena, space, sizeof space);
	T_OK(table_init(&table, &arena, "test", sizeof(uint32_t), sizeof(uint32_t), count, secret));
	T_EQ(arena.used, table_memory(sizeof(uint32_t), sizeof(uint32_t), count));
	arena_freeze(&arena);
}

static uint32_t *add(uint32_t key)
{
	uint32_t *value = table_add(&table, &key);

	if (value)
		*value = key * 3;
	return value;
}

static uint32_t *find(uint32_t key)
{
	return table_find(&table, &key);
}

T_TEST(adds_finds_removes)
{
	make(COUNT);
	T_OK(!find(1));
	T_OK(!table_oldest(&table));
	for (uint32_t i = 0; i < COUNT; i++)
		T_OK(add(i));
	T_OK(!add(COUNT));
	T_EQ(table.pool.denied, 1);
	for (uint32_t i = 0; i < COUNT; i++) {
		T_OK(find(i));
		T_EQ(*find(i), i * 3);
		T_OK(memcmp(table_key(&table, find(i)), &i, sizeof i) == 0);
	}
	for (uint32_t i = 0; i < COUNT; i += 2)
		table_remove(&table, find(i));
	T_EQ(table_count(&table), COUNT / 2);
	for (uint32_t i = 0; i < COUNT; i++)
		T_EQ(find(i) != NULL, i % 2);
}

/* The arena is frozen: emptied and filled again the table takes nothing more. */
T_TEST(last_removal_keeps_the_table)
{
	make(4);
	for (int round = 0; round < 1000; round++) {
		T_OK(add(7));
		table_remove(&table, find(7));
		T_EQ(table_count(&table), 0);
		T_OK(!table_oldest(&table));
	}
}

T_TEST(ages)
{
	uint32_t *v;

	make(COUNT);
	for (uint32_t i = 1; i <= 4; i++)
		add(i);
	table_touch(&table, find(1));
	table_touch(&table, find(3));
	v = table_oldest(&table);
	T_EQ(*v, 6);
	v = table_next(&table, v);
	T_EQ(*v, 12);
	v = table_next(&table, v);
	T_EQ(*v, 3);
	v = table_next(&table, v);
	T_EQ(*v, 9);
	T_OK(!table_next(&table, v));
	T_EQ(table_count(&table), 4);
}

T_TEST(one_element)
{
	make(1);
	T_OK(add(9));
	T_OK(!add(10));
	table_touch(&table, find(9));
	T_EQ(*find(9), 27);
}

T_TEST(needs_room)
{
	size_t size = table_memory(4, 4, COUNT);

	arena_init(&arena, space, size - 16);
	T_OK(!table_init(&table, &arena, "test", 4, 4, COUNT, secret));
	arena_init(&arena, space, size);
	T_OK(table_init(&table, &arena, "test", 4, 4, COUNT, secret));
}

T_MAIN(T_RUN(adds_finds_removes) T_RUN(last_removal_keeps_the_table) T_RUN(ages) T_RUN(one_element) T_RUN(needs_room))
