/* A backup is the store as it was at one moment, whatever becomes of it meanwhile;
 * and what it held is given back, however it ends. */
#include "store_backup.h"

#include "tree/tree_int.h"

/* Pages that the tree has. */
static uint32_t pages_of_tree(void)
{
	struct tree *t = &st->tree;
	struct {
		uint32_t slot;
		unsigned child;
	} way[TREE_HEIGHT_MAX];
	unsigned depth = 1;
	uint32_t n = 1;

	way[0].slot = t->root;
	way[0].child = 0;
	while (depth) {
		uint32_t frame, child = UINT32_MAX;
		const uint8_t *page;

		T_EQ(tree_fetch(t, way[depth - 1].slot, &frame), OK);
		page = tree_page(t, frame);
		if (page_level(page) && way[depth - 1].child < page_count(page))
			child = branch_child(page, way[depth - 1].child++);
		tree_unpin(t, frame);
		if (child == UINT32_MAX) {
			depth--;
			continue;
		}
		n++;
		way[depth].slot = child;
		way[depth++].child = 0;
	}
	return n;
}

/* Every slot in use is one of the tree's, or waits to be free. */
static void no_slot_is_lost(void)
{
	const struct slots *s = &st->tree.slots;

	T_EQ(s->used - s->n_freed - s->n_freed_before, pages_of_tree());
}

static unsigned count_files(const char *dir, const char *ending)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < 4000; i++) {
		char name[64];

		(void)snprintf(name, sizeof name, strcmp(ending, "msg") ? "%s/%08x.%s" : "%s/%016x.%s", dir,
			(unsigned)i, ending);
		n += port_exists(name);
	}
	return n;
}

/* Files of messages that there are no more. */
static unsigned stray_files(void)
{
	struct key k = tree_key(TREE_OBJECT, 0, 0), found;
	uint8_t row[OBJECT_BYTES];
	struct object o;
	unsigned n = count_files("mail", "msg");

	while (tree_seek(&st->tree, k, &found, row, sizeof row) >= 0 && found.hi == k.hi) {
		T_OK(object_get(bytes_make(row, sizeof row), &o));
		n -= o.blob;
		k.lo = found.lo + 1;
	}
	return n;
}

static uint32_t some_uids(uint32_t mailbox, uint32_t *uids, uint32_t most)
{
	struct store_cursor c;
	struct store_entry e;
	uint32_t n = 0;

	store_cursor_init(&c, mailbox, (uint32_t)sim_random(300));
	while (n < most && store_cursor_next(st, &c, &e) == OK)
		uids[n++] = e.uid;
	return n;
}

/* One change of some kind. */
static void change(uint32_t turn)
{
	uint32_t from = boxes[sim_random(BOXES)], to = boxes[sim_random(BOXES)], uids[8], n, first;
	struct store_flag_change flags = { .op = STORE_FLAGS_ADD, .flags = (uint8_t)sim_random(32), .lazy = turn % 2 };
	struct store_target where;
	uint64_t modseq;
	store_ticket t;
	char name[40];

	n = some_uids(from, uids, 1 + (uint32_t)sim_random(8));
	switch (sim_random(40) ? sim_random(7) : 9) {
	case 0:
	case 1:
	case 2:
		(void)rig_stage(to, turn, sim_random(3000), 100, &where, &t);
		break;
	case 9:
		(void)rig_stage(to, turn, 300000 + sim_random(50000), 100, &where, &t);
		break;
	case 3:
		(void)store_move(st, from, to, uids, n, &first, &t);
		break;
	case 4:
	case 5:
		(void)store_expunge(st, from, uids, n > 2 ? 2 : n, &modseq, &t);
		break;
	case 6:
		(void)store_flags(st, from, uids, n, &flags, &modseq, &t);
		break;
	default:
		(void)snprintf(name, sizeof name, "Name/%u", (unsigned)turn);
		(void)store_mailbox_rename(st, boxes[BOXES - 1], bytes_of(name), &t);
	}
}

/* Reads a backup to its end with so many changes between two records; dumps[0] is
 * the moment that it shows. */
static int64_t backup_busy(unsigned changes)
{
	uint32_t turn = 1000;
	int64_t n;

	stream_len = 0;
	T_EQ(store_backup_begin(st, &source), OK);
	n = backup_some(4096);
	dump(dumps[0]);
	while (n > 0) {
		for (unsigned i = 0; i < changes; i++) {
			change(turn++);
			(void)rig_turn();
		}
		n = backup_some(4096);
		T_OK(sim_charged("mail") <= large.storage);
	}
	return n;
}

T_TEST(it_is_the_store_of_one_moment)
{
	start_busy(600);
	T_EQ(backup_busy(1), 0);
	T_OK(st->tree.hold.count > 10);
	store_backup_end(st);
	T_EQ(store_backup_begin(st, &source), E_BUSY);
	(void)rig_upkeep(10000);
	T_OK(store_backup_settled(st));
	T_EQ(st->tree.hold.number, 0);
	no_slot_is_lost();
	check_whole();
	dump(dumps[1]);
	T_OK(strcmp(dumps[0], dumps[1]) != 0);
	store_close(st);
	restore_large("copy");
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
}

/* So it is in the smallest store, where little may be held. */
T_TEST(a_small_store_is_backed_up_too)
{
	start_busy(40);
	T_EQ(backup_busy(1), 0);
	T_OK(st->tree.hold.count > 2);
	store_backup_end(st);
	(void)rig_upkeep(10000);
	no_slot_is_lost();
	store_close(st);
	restore_large("copy");
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
}

/* While what it held is given back the store goes on changing. */
T_TEST(what_it_held_is_given_back_under_load)
{
	uint32_t turn = 5000;

	start_busy(600);
	T_EQ(backup_busy(1), 0);
	store_backup_end(st);
	while (!store_backup_settled(st)) {
		change(turn++);
		(void)rig_turn();
	}
	(void)rig_upkeep(10000);
	no_slot_is_lost();
	check_whole();
	T_EQ(stray_files(), 0);
}

/* Ended anywhere, by its reader or by a cut. */
T_TEST(it_may_end_anywhere)
{
	for (unsigned at = 0; at < 12; at++) {
		uint32_t turn = 1000;

		start_busy(150);
		stream_len = 0;
		T_EQ(store_backup_begin(st, &source), OK);
		for (unsigned i = 0; i < at * at * 4 && backup_some(4096) > 0; i++) {
			change(turn++);
			(void)rig_turn();
		}
		if (at % 3 == 0) {
			store_backup_end(st);
			(void)rig_upkeep(10000);
		} else if (at % 3 == 1) {
			store_close(st);
			rig_again(&large);
		} else {
			(void)rig_upkeep(10000);
			store_commit_request(st);
			rig_commit();
			dump(dumps[0]);
			sim_power_cut(&sim_lose_all);
			rig_again(&large);
			dump(dumps[1]);
			same(dumps[0], dumps[1]);
		}
		(void)rig_upkeep(10000);
		no_slot_is_lost();
		check_whole();
		T_EQ(store_backup_begin(st, &source), OK);
		store_backup_end(st);
		store_close(st);
	}
}

/* A reader that stops is not waited for: mail that wants the room gets it. What
 * the backup holds is most of the store, all of it expunged meanwhile. */
T_TEST(it_gives_way_to_mail)
{
	uint32_t gone[BOXES] = { 0 };

	start_busy(1500);
	T_EQ(store_backup_begin(st, &source), OK);
	T_OK(backup_some(4096) > 0);
	for (uint32_t i = 0; i < 550; i++) {
		uint32_t uids[4], box = i % BOXES;
		uint64_t modseq;
		store_ticket t;

		for (unsigned u = 0; u < 4; u++)
			uids[u] = ++gone[box];
		T_EQ(store_expunge(st, boxes[box], uids, 4, &modseq, &t), OK);
		rig_commit();
		T_OK(rig_add(boxes[box], i, 30000) > 0);
		T_OK(sim_charged("mail") <= large.storage);
		(void)rig_turn();
	}
	T_EQ(store_backup_read(st, stream, 4096), E_FULL);
	store_backup_end(st);
	(void)rig_upkeep(10000);
	T_OK(store_backup_settled(st));
	no_slot_is_lost();
	check_whole();
}

/* ---- cuts ---- */

static void busy_body(void *context)
{
	uint32_t turn = 1000;

	(void)context;
	stream_len = 0;
	T_EQ(store_backup_begin(st, &source), OK);
	for (unsigned i = 0; backup_some(4096) > 0; i++) {
		if (i % 2) {
			change(turn++);
			(void)rig_turn();
		}
	}
	store_backup_end(st);
	for (unsigned i = 0; !store_backup_settled(st) || i < 20; i++) {
		change(turn++);
		(void)rig_turn();
	}
	store_close(st);
}

/* The power is cut while a backup is read, while what it held is given back, and
 * behind that: nothing stays held, and nothing that is wanted is missing. */
T_TEST(a_cut_leaves_nothing_held)
{
	struct sim_image *image;
	unsigned cuts = 0;

	start_busy(120);
	store_close(st);
	image = sim_image_save();
	for (uint64_t n = 1;; n += 3) {
		sim_image_load(image);
		rig_again(&large);
		sim_cut_at(n);
		if (sim_run(busy_body, NULL) == SIM_DONE)
			break;
		cuts++;
		sim_power_cut(n % 2 ? &sim_mixed : &sim_keep_all);
		rig_again(&large);
		no_slot_is_lost();
		check_whole();
		T_EQ(stray_files(), 0);
		(void)rig_upkeep(10000);
		store_close(st);
	}
	sim_image_free(image);
	T_OK(cuts > 100);
}

T_MAIN(T_RUN(it_is_the_store_of_one_moment) T_RUN(a_small_store_is_backed_up_too)
		T_RUN(what_it_held_is_given_back_under_load) T_RUN(it_may_end_anywhere) T_RUN(it_gives_way_to_mail)
			T_RUN(a_cut_leaves_nothing_held))
