/* The tree against a sorted array: random puts and deletes with a cache much
 * smaller than the tree, checkpoints and re-reads in between. */
#include "tree/tree.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/le.h"
#include "t.h"

#include "port/sim/sim.h"

#define KEYS 6000

static struct page_sums sums(struct bytes value)
{
	return (struct page_sums){ 1, value.data[0] & 1, le64(value.data + 1), 0 };
}

static uint8_t space[8 << 20];
static struct arena arena;
static struct tree tree;
static uint8_t model[KEYS]; /* 0: absent, else value's first byte + 1 */

static void open_tree(void)
{
	sim_reset(7);
	arena_init(&arena, space, sizeof space);
	T_OK(tree_init(&tree, &arena, 48, sums));
	T_EQ(port_mkdir("s"), OK);
	tree.slots.file = port_open("s/index", PORT_READ | PORT_WRITE | PORT_CREATE);
	T_OK(tree.slots.file >= 0);
	tree.slots.limit = 100000;
	T_EQ(slots_mount(&tree.slots, 0), OK);
	memset(model, 0, sizeof model);
}

static void checkpoint(void)
{
	T_EQ(tree_flush(&tree), OK);
	T_EQ(port_sync(tree.slots.file), OK);
	T_EQ(tree_checkpointed(&tree), OK);
}

static struct key key_of(unsigned i)
{
	return tree_key(TREE_ENTRY, 5, i + 1);
}

static void change(unsigned i, unsigned value)
{
	uint8_t bytes[57] = { (uint8_t)value };

	put_le64(bytes + 1, i * 3);
	if (value == 0xFF) {
		T_EQ(tree_delete(&tree, key_of(i), 9), model[i] ? OK : E_NOENT);
		model[i] = 0;
	} else {
		T_EQ(tree_put(&tree, key_of(i), bytes, 9 + value % 40), OK);
		model[i] = (uint8_t)(value + 1);
	}
}

static void compare(void)
{
	uint64_t rank = 0, got;
	struct key k = { 0, 0 };
	const char *what;
	int err;

	for (unsigned i = 0; i < KEYS; i++) {
		uint8_t bytes[64];
		int n = tree_get(&tree, key_of(i), bytes, sizeof bytes);

		if (!model[i]) {
			T_EQ(n, E_NOENT);
			continue;
		}
		T_EQ(n, 9 + (model[i] - 1) % 40);
		T_EQ(bytes[0], model[i] - 1);
		T_EQ(tree_rank(&tree, key_of(i), &got), OK);
		T_EQ(got, rank);
		if (rank % 7 == 0) {
			struct key found;
			struct bytes value;

			T_EQ(tree_at_rank(&tree, rank, &found, &value), OK);
			T_EQ(found.lo, i + 1);
		}
		rank++;
	}
	do
		err = tree_verify(&tree, &k, &what);
	while (err == OK);
	T_EQ(err, E_NOENT);
}

T_TEST(random_changes)
{
	srand(1);
	open_tree();
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned n = 0; n < 500; n++) {
			unsigned i = round < 4 ? round * 500 + n : (unsigned)rand() % KEYS;
			/* Later rounds delete more than they put, so that pages merge. */
			unsigned del = round > 20 ? 70 : 30;

			change(i, round >= 4 && (unsigned)rand() % 100 < del ? 0xFF : (unsigned)rand() % 40);
			if (tree.slots.n_freed > 300)
				checkpoint();
		}
		checkpoint();
		if (round % 8 == 7) {
			tree_reset(&tree, tree.root);
			compare();
		}
	}
}

T_TEST(slots_are_not_lost)
{
	uint32_t used;

	srand(2);
	open_tree();
	for (unsigned i = 0; i < KEYS; i++) {
		change(i, 3);
		if (tree.slots.n_freed > 300)
			checkpoint();
	}
	checkpoint();
	checkpoint();
	checkpoint();
	used = tree.slots.used;
	T_EQ(slots_clear(&tree.slots), OK);
	T_EQ(tree_mark_all(&tree), OK);
	T_EQ(tree.slots.used, used);
	for (unsigned i = 0; i < KEYS; i++) {
		change(i, 0xFF);
		if (tree.slots.n_freed > 300)
			checkpoint();
	}
	checkpoint();
	checkpoint();
	checkpoint();
	T_OK(tree.slots.used <= 2);
}

T_TEST(finds_unseen_and_changed)
{
	struct key found, from;

	open_tree();
	for (unsigned i = 0; i < KEYS; i++) {
		change(i, i == 4321 ? 1 : 2);
		if (tree.slots.n_freed > 300)
			checkpoint();
	}
	T_EQ(tree_first_unseen(&tree, key_of(0), &found), OK);
	T_EQ(found.lo, 4322);
	T_EQ(tree_first_unseen(&tree, key_of(4322), &found), E_NOENT);
	T_EQ(tree_changed_leaf(&tree, key_of(0), 3 * 5000, &from), OK);
	T_OK(from.lo <= 5002 && from.lo > 4900);
	T_EQ(tree_changed_leaf(&tree, key_of(0), 3 * KEYS, &from), E_NOENT);
}

T_MAIN(T_RUN(random_changes) T_RUN(slots_are_not_lost) T_RUN(finds_unseen_and_changed))
