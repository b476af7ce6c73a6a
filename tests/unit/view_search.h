/* A mailbox, a view of it and searches over it, for the tests of SEARCH. */
#ifndef TESTS_VIEW_SEARCH_H
#define TESTS_VIEW_SEARCH_H

#include "fake_store.h"
#include "t.h"
#include "view/search.h"

#define PLACES 3
#define NOW 1700000000

static _Alignas(16) uint8_t memory[1 << 20];
static struct views *views;
static struct searches *searches;
static struct view view;
static uint64_t seed = 4711;

static inline uint32_t chance(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 20) % n);
}

static inline void setup(void)
{
	struct arena arena;

	fake_reset();
	arena_init(&arena, memory, sizeof memory);
	T_EQ(views_init(&views, &arena, NULL, 2, 500), OK);
	T_EQ(search_init(&searches, &arena, NULL, views, PLACES), OK);
	T_EQ(arena.used, views_memory(2, 500) + search_memory(PLACES));
}

static inline struct search *begin(void)
{
	struct search *q;

	T_EQ(search_open(searches, &view, NOW, &q), OK);
	return q;
}

/* The UIDs that are found, as "1 3 4"; *slices counts E_AGAIN. */
static inline const char *results(struct search *q, unsigned *slices)
{
	static char out[1000];
	struct search_hit hit;
	size_t at = 0;
	int rc;

	out[0] = 0;
	*slices = 0;
	while ((rc = search_next(q, &hit)) != E_NOENT) {
		T_OK(rc == OK || rc == E_AGAIN);
		if (rc == OK)
			at += (size_t)snprintf(out + at, sizeof out - at, "%s%u", at ? " " : "", hit.entry.uid);
		*slices += rc == E_AGAIN;
	}
	return out;
}

static inline void expect(struct search *q, const char *uids)
{
	unsigned slices;
	const char *got;

	T_EQ(search_ready(q), OK);
	got = results(q, &slices);
	if (strcmp(got, uids) != 0)
		T_FAIL("found \"%s\", expected \"%s\"", got, uids);
	search_close(q);
}

#endif
