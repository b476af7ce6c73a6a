/* The heap of mbedTLS against a plain list of what is in use. */
#include "net/tlsheap.h"
#include "tests/unit/t.h"

#include <stdlib.h>

#define LEN 100000
#define PIECES 2000

static uint64_t memory[LEN / 8];
static struct {
	uint8_t *at;
	size_t len;
	uint8_t fill;
} pieces[PIECES];

static uint32_t random_state = 1;

static uint32_t chance(uint32_t limit)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)random_state * limit) >> 32);
}

static void check_piece(unsigned i)
{
	for (size_t k = 0; k < pieces[i].len; k++)
		T_EQ(pieces[i].at[k], pieces[i].fill);
}

T_TEST(pieces_are_zeroed_aligned_and_apart)
{
	struct tlsheap h;
	uint64_t denied = 0;

	tlsheap_init(&h, memory, sizeof memory);
	memset(memory + 2, 0xAA, sizeof memory - 64); /* what was there before */
	tlsheap_init(&h, memory, sizeof memory);
	for (unsigned n = 0; n < 200000; n++) {
		unsigned i = chance(n / 20000 % 2 ? 40 : PIECES);

		if (pieces[i].at) {
			check_piece(i);
			tlsheap_give(&h, pieces[i].at);
			pieces[i].at = NULL;
		} else {
			size_t len = chance(chance(10) ? 200 : 5000) + 1;

			pieces[i].at = tlsheap_take(&h, len);
			pieces[i].len = len;
			pieces[i].fill = (uint8_t)n;
			if (!pieces[i].at) {
				denied++;
				continue;
			}
			T_EQ((uintptr_t)pieces[i].at % 8, 0);
			T_OK(tlsheap_owns(&h, pieces[i].at));
			for (size_t k = 0; k < len; k++)
				T_EQ(pieces[i].at[k], 0);
			memset(pieces[i].at, pieces[i].fill, len);
		}
		if (n % 1000 == 0)
			tlsheap_check(&h);
	}
	T_OK(denied > 0); /* it has been full, too */
	T_EQ(h.denied, denied);
	for (unsigned i = 0; i < PIECES; i++) {
		tlsheap_give(&h, pieces[i].at);
		pieces[i].at = NULL;
	}
	tlsheap_check(&h);
	T_EQ(h.used, 0);
	T_EQ(h.pieces, 0);
	/* all of it is one piece again */
	T_OK(tlsheap_largest(&h) > LEN - 64);
	T_OK(tlsheap_take(&h, tlsheap_largest(&h)) != NULL);
	T_EQ(tlsheap_largest(&h), 0);
}

T_TEST(sizes_at_the_edges)
{
	struct tlsheap h;
	void *a, *b;

	tlsheap_init(&h, memory, sizeof memory);
	T_OK(tlsheap_take(&h, sizeof memory) == NULL);
	T_OK(tlsheap_take(&h, SIZE_MAX) == NULL);
	T_OK(tlsheap_take(&h, SIZE_MAX - 7) == NULL);
	T_EQ(h.denied, 3);
	a = tlsheap_take(&h, 1);
	b = tlsheap_take(&h, 0);
	T_OK(a && b && a != b);
	tlsheap_give(&h, NULL);
	tlsheap_give(&h, a);
	tlsheap_give(&h, b);
	tlsheap_check(&h);
	T_EQ(h.used, 0);
	for (size_t len = 1; len < 3000; len++) {
		a = tlsheap_take(&h, len);
		T_OK(a);
		memset(a, 0xff, len);
		tlsheap_check(&h);
		tlsheap_give(&h, a);
	}
	/* too small to hold anything */
	for (size_t len = 0; len < 64; len += 8) {
		tlsheap_init(&h, memory, len);
		a = tlsheap_take(&h, 8);
		T_OK(!a || len >= 32);
	}
}

/* A hole is used by what fits it, and the large piece is kept for large ones. */
T_TEST(takes_the_best_fit)
{
	struct tlsheap h;
	void *hole, *guard, *again;

	tlsheap_init(&h, memory, sizeof memory);
	hole = tlsheap_take(&h, 600);
	guard = tlsheap_take(&h, 16);
	tlsheap_give(&h, hole);
	again = tlsheap_take(&h, 590);
	T_OK(again == hole);
	tlsheap_give(&h, again);
	tlsheap_give(&h, guard);
	T_EQ(h.used, 0);
}

T_MAIN(T_RUN(pieces_are_zeroed_aligned_and_apart) T_RUN(sizes_at_the_edges) T_RUN(takes_the_best_fit))
