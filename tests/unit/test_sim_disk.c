/* The simulated disk must be able to break every promise that port/file.h does
 * not give, and must keep every one that it gives. */
#include "base/err.h"
#include "port/sim/sim.h"
#include "tests/unit/t.h"

#define SEEDS 300

/* A file "f" whose first len bytes are 'a', synced, name and all. */
static port_file synced_file(size_t len)
{
	static char data[20000];
	port_file f = port_open("f", PORT_READ | PORT_WRITE | PORT_CREATE);

	memset(data, 'a', sizeof data);
	T_OK(f >= 0);
	T_EQ(port_write(f, 0, data, len), OK);
	T_EQ(port_sync(f), OK);
	T_EQ(port_sync_dir("."), OK);
	return f;
}

/* Reads the whole of a file; -1 when it is not there. */
static int64_t contents(const char *path, char *out, size_t cap)
{
	port_file f = port_open(path, PORT_READ);
	int64_t n = f < 0 ? -1 : port_read(f, 0, out, cap);

	if (f >= 0)
		port_close(f);
	return n;
}

static bool all(const char *data, size_t from, size_t to, char c)
{
	for (size_t i = from; i < to; i++)
		if (data[i] != c)
			return false;
	return true;
}

T_TEST(reads_what_was_written)
{
	struct port_piece pieces[3] = { { "one", 3 }, { "", 0 }, { "two", 3 } };
	char data[32];
	port_file f;

	sim_reset(1);
	T_EQ(port_mkdir("dir"), OK);
	T_EQ(port_mkdir("dir"), E_EXIST);
	T_EQ(port_open("dir/x", PORT_READ), E_NOENT);
	f = port_open("dir/x", PORT_READ | PORT_WRITE | PORT_CREATE | PORT_EXCLUSIVE);
	T_OK(f >= 0);
	T_EQ(port_write_pieces(f, 5000, pieces, 3), OK);
	T_EQ(port_size(f), 5006);
	T_EQ(port_allocated(f), 4096);
	T_EQ(port_read(f, 4998, data, sizeof data), 8);
	T_OK(memcmp(data, "\0\0onetwo", 8) == 0);
	T_EQ(port_resize(f, 5001), OK);
	T_EQ(port_resize(f, 5003), OK);
	T_EQ(port_read(f, 5000, data, sizeof data), 3);
	T_OK(memcmp(data, "o\0\0", 3) == 0);
	port_close(f);
	T_EQ(port_open("dir/x", PORT_WRITE | PORT_CREATE | PORT_EXCLUSIVE), E_EXIST);
	T_EQ(port_rmdir("dir"), E_EXIST);
	T_EQ(port_rename("dir/x", "y"), OK);
	T_EQ(port_rmdir("dir"), OK);
	T_OK(port_exists("/y") && !port_exists("dir"));
	T_EQ(sim_open_files(), 0);
}

static bool note(void *context, const char *name)
{
	strcat(context, name);
	return strlen(context) < 2;
}

T_TEST(lists_until_told_to_stop)
{
	char names[16] = "";

	sim_reset(1);
	for (const char *n = "a\0b\0c\0"; *n; n += 2)
		port_close(port_open(n, PORT_WRITE | PORT_CREATE));
	T_EQ(port_list(".", note, names), OK);
	T_EQ(strlen(names), 2);
	T_EQ(port_list("none", note, names), E_NOENT);
}

T_TEST(locks_exclude_and_die_with_the_process)
{
	port_file f;

	sim_reset(1);
	f = port_lock("lock");
	T_OK(f >= 0);
	T_EQ(port_lock("lock"), E_BUSY);
	port_close(f);
	f = port_lock("lock");
	T_OK(f >= 0);
	sim_kill();
	T_OK(port_lock("lock") >= 0);
}

T_TEST(synced_bytes_survive_every_policy)
{
	const struct sim_policy *policies[] = { &sim_keep_all, &sim_lose_all, &sim_mixed, &sim_torn, &sim_garbage,
		&sim_reordered, &sim_first_lost };
	char data[20000];

	for (unsigned i = 0; i < SEEDS; i++) {
		sim_reset(i);
		synced_file(9000);
		T_OK(port_open("g", PORT_WRITE | PORT_CREATE) >= 0);
		sim_power_cut(policies[i % 7]);
		T_EQ(contents("f", data, sizeof data), 9000);
		T_OK(all(data, 0, 9000, 'a'));
	}
}

T_TEST(unsynced_write_meets_every_fate)
{
	unsigned kept = 0, lost = 0, torn = 0, garbage = 0;
	char data[20000];

	for (unsigned i = 0; i < SEEDS; i++) {
		port_file f;
		size_t b = 0;

		sim_reset(i);
		f = synced_file(12288);
		memset(data, 'b', 4096);
		T_EQ(port_write(f, 4096, data, 4096), OK);
		sim_power_cut(&sim_mixed);
		T_EQ(contents("f", data, sizeof data), 12288);
		/* whole blocks beside it are not touched */
		T_OK(all(data, 0, 4096, 'a') && all(data, 8192, 12288, 'a'));
		while (b < 4096 && data[4096 + b] == 'b')
			b++;
		kept += b == 4096;
		lost += all(data, 4096, 8192, 'a');
		torn += b > 0 && b < 4096 && all(data, 4096 + b, 8192, 'a');
		garbage += b == 0 && !all(data, 4096, 8192, 'a');
	}
	T_OK(kept > SEEDS / 10 && lost > SEEDS / 10);
	T_OK(torn > 0 && garbage > 0);
}

T_TEST(torn_write_harms_only_its_block)
{
	unsigned before = 0, behind = 0;
	char data[20000];

	for (unsigned i = 0; i < SEEDS; i++) {
		port_file f;

		sim_reset(i);
		f = synced_file(12288);
		T_EQ(port_write(f, 5000, "bbbb", 4), OK);
		sim_power_cut(&sim_torn);
		T_EQ(contents("f", data, sizeof data), 12288);
		T_OK(all(data, 0, 4096, 'a') && all(data, 8192, 12288, 'a'));
		before += !all(data, 4096, 5000, 'a');
		behind += !all(data, 5004, 8192, 'a');
	}
	T_OK(before > 0 && behind > 0);
	for (unsigned i = 0; i < SEEDS; i++) {
		struct sim_policy harmless = sim_torn;
		port_file f;

		harmless.torn_block = false;
		sim_reset(i);
		f = synced_file(12288);
		T_EQ(port_write(f, 5000, "bbbb", 4), OK);
		sim_power_cut(&harmless);
		T_EQ(contents("f", data, sizeof data), 12288);
		T_OK(all(data, 0, 5000, 'a') && all(data, 5004, 12288, 'a'));
	}
}

T_TEST(later_write_can_stay_without_the_earlier)
{
	unsigned reordered = 0, grown = 0;
	char data[20000];

	for (unsigned i = 0; i < SEEDS; i++) {
		port_file f;
		int64_t n;

		sim_reset(i);
		f = synced_file(4096);
		memset(data, 'b', 8192);
		T_EQ(port_write(f, 4096, data, 4096), OK);
		T_EQ(port_write(f, 8192, data, 4096), OK);
		sim_power_cut(&sim_reordered);
		n = contents("f", data, sizeof data);
		reordered += n == 12288 && all(data, 8192, 12288, 'b') && !all(data, 4096, 8192, 'b');
		grown += n == 12288 && !all(data, 8192, 12288, 'b');
	}
	T_OK(reordered > SEEDS / 10);
	T_OK(grown > 0);
}

T_TEST(first_lost_loses_only_the_first)
{
	char data[64];
	port_file f;

	sim_reset(3);
	f = synced_file(10);
	T_EQ(port_write(f, 0, "b", 1), OK);
	T_EQ(port_write(f, 1, "c", 1), OK);
	T_EQ(port_write(f, 2, "d", 1), OK);
	sim_power_cut(&sim_first_lost);
	T_EQ(contents("f", data, sizeof data), 10);
	T_BYTES(data, 10, "acdaaaaaaa");
}

T_TEST(names_need_the_directory_synced)
{
	unsigned kept = 0, lost = 0;
	char data[16];

	for (unsigned i = 0; i < SEEDS; i++) {
		port_file f;

		sim_reset(i);
		f = port_open("new", PORT_WRITE | PORT_CREATE);
		T_EQ(port_write(f, 0, "x", 1), OK);
		T_EQ(port_sync(f), OK);
		sim_power_cut(&sim_mixed);
		kept += port_exists("new");
		lost += !port_exists("new");
		if (port_exists("new"))
			T_EQ(contents("new", data, sizeof data), 1);
	}
	T_OK(kept > SEEDS / 5 && lost > SEEDS / 5);
	sim_reset(1);
	port_mkdir("d");
	port_sync_dir(".");
	port_close(port_open("d/new", PORT_WRITE | PORT_CREATE));
	port_sync_dir("."); /* not its own directory */
	sim_power_cut(&sim_lose_all);
	T_OK(port_exists("d") && !port_exists("d/new"));
}

T_TEST(rename_is_all_or_nothing)
{
	unsigned renamed = 0, not = 0;
	char data[16];

	for (unsigned i = 0; i < SEEDS; i++) {
		port_file f;

		sim_reset(i);
		f = port_open("new", PORT_WRITE | PORT_CREATE);
		T_EQ(port_write(f, 0, "new", 3), OK);
		T_EQ(port_sync(f), OK);
		f = port_open("old", PORT_WRITE | PORT_CREATE);
		T_EQ(port_write(f, 0, "old", 3), OK);
		T_EQ(port_sync(f), OK);
		T_EQ(port_sync_dir("."), OK);
		T_EQ(port_rename("new", "old"), OK);
		sim_power_cut(&sim_mixed);
		T_EQ(contents("old", data, sizeof data), 3);
		renamed += memcmp(data, "new", 3) == 0 && !port_exists("new");
		not+= memcmp(data, "old", 3) == 0 && port_exists("new");
	}
	T_OK(renamed > 0 && not> 0);
	T_EQ(renamed + not, SEEDS);
}

T_TEST(rename_of_an_unsynced_name_does_not_double_it)
{
	for (unsigned i = 0; i < SEEDS; i++) {
		sim_reset(i);
		synced_file(1);
		T_EQ(port_rename("f", "g"), OK);
		T_EQ(port_rename("g", "h"), OK);
		sim_power_cut(&sim_mixed);
		T_EQ(port_exists("f") + port_exists("g") + port_exists("h"), 1);
	}
}

T_TEST(removed_file_can_come_back)
{
	unsigned back = 0, gone = 0;

	for (unsigned i = 0; i < SEEDS; i++) {
		sim_reset(i);
		port_close(synced_file(4096));
		T_EQ(port_remove("f"), OK);
		T_OK(!port_exists("f"));
		sim_power_cut(&sim_mixed);
		back += port_exists("f");
		gone += !port_exists("f");
	}
	T_OK(back > 0 && gone > 0);
	sim_reset(1);
	port_close(synced_file(4096));
	T_EQ(port_remove("f"), OK);
	T_EQ(port_sync_dir("."), OK);
	sim_power_cut(&sim_lose_all);
	T_OK(!port_exists("f"));
}

T_TEST(resize_is_kept_or_lost)
{
	unsigned cut = 0, whole = 0;
	char data[20000];

	for (unsigned i = 0; i < SEEDS; i++) {
		port_file f;
		int64_t n;

		sim_reset(i);
		f = synced_file(9000);
		T_EQ(port_resize(f, 100), OK);
		sim_power_cut(&sim_mixed);
		n = contents("f", data, sizeof data);
		T_OK(n == 100 || n == 9000);
		cut += n == 100;
		whole += n == 9000;
	}
	T_OK(cut > 0 && whole > 0);
}

T_TEST(killed_process_loses_nothing_of_the_kernel)
{
	char data[64];
	port_file f;

	sim_reset(1);
	f = synced_file(4);
	T_EQ(port_write(f, 0, "bbbb", 4), OK);
	sim_kill();
	T_EQ(contents("f", data, sizeof data), 4);
	T_BYTES(data, 4, "bbbb");
	sim_power_cut(&sim_lose_all);
	T_EQ(contents("f", data, sizeof data), 4);
	T_BYTES(data, 4, "aaaa");
}

T_TEST(subsets_try_all_combinations_of_one_moment)
{
	struct sim_policy p = { .by_subset = true };
	struct sim_image *image;
	unsigned seen = 0;
	char data[64];
	port_file f;

	sim_reset(1);
	f = synced_file(3);
	for (unsigned i = 0; i < 3; i++)
		T_EQ(port_write(f, i, "b", 1), OK);
	T_EQ(sim_unsynced(), 3);
	image = sim_image_save();
	for (p.subset = 0; p.subset < 8; p.subset++) {
		unsigned got = 0;

		sim_image_load(image);
		sim_power_cut(&p);
		T_EQ(contents("f", data, sizeof data), 3);
		for (unsigned i = 0; i < 3; i++)
			got |= (unsigned)(data[i] == 'b') << i;
		T_EQ(got, p.subset);
		seen |= 1u << got;
	}
	sim_image_free(image);
	T_EQ(seen, 255);
}

T_TEST(asynchronous_sync_covers_what_was_written_before_it)
{
	char data[16];
	port_file f;

	sim_reset(1);
	f = synced_file(2);
	sim_sync_time(500, 500);
	T_EQ(port_write(f, 0, "b", 1), OK);
	T_EQ(port_sync_start(f), OK);
	T_EQ(port_write(f, 1, "c", 1), OK);
	T_EQ(port_sync_done(f), E_AGAIN);
	T_EQ(port_sync_start(f), E_STATE);
	sim_advance_us(500);
	T_EQ(port_sync_done(f), OK);
	T_EQ(port_sync_done(f), E_STATE);
	sim_power_cut(&sim_lose_all);
	T_EQ(contents("f", data, sizeof data), 2);
	T_BYTES(data, 2, "ba");
	/* not complete: nothing is durable */
	f = port_open("f", PORT_WRITE);
	T_EQ(port_write(f, 1, "d", 1), OK);
	T_EQ(port_sync_start(f), OK);
	sim_power_cut(&sim_lose_all);
	T_EQ(contents("f", data, sizeof data), 2);
	T_BYTES(data, 2, "ba");
}

T_TEST(failed_sync_loses_and_the_next_one_lies)
{
	unsigned shown = 0, hidden = 0;
	char data[16];

	for (unsigned i = 0; i < 50; i++) {
		port_file f;

		sim_reset(i);
		f = synced_file(2);
		sim_fail(SIM_OP_SYNC, 1, E_IO, false);
		T_EQ(port_write(f, 0, "b", 1), OK);
		T_EQ(port_sync(f), E_IO);
		T_EQ(port_sync(f), OK);
		T_EQ(port_read(f, 0, data, 1), 1);
		shown += data[0] == 'b';
		hidden += data[0] == 'a';
		sim_drop_caches();
		T_EQ(port_read(f, 0, data, 1), 1);
		T_EQ(data[0], 'a');
		T_EQ(port_write(f, 1, "c", 1), OK);
		T_EQ(port_sync(f), OK);
		sim_power_cut(&sim_keep_all);
		T_EQ(contents("f", data, sizeof data), 2);
		T_BYTES(data, 2, "ac");
	}
	T_OK(shown > 0 && hidden > 0);
	T_EQ(sim_failed(), 1);
}

T_TEST(failed_directory_sync_loses_names)
{
	sim_reset(1);
	port_close(port_open("a", PORT_WRITE | PORT_CREATE));
	sim_fail(SIM_OP_SYNC_DIR, 1, E_IO, false);
	T_EQ(port_sync_dir("."), E_IO);
	port_close(port_open("b", PORT_WRITE | PORT_CREATE));
	T_EQ(port_sync_dir("."), OK);
	sim_power_cut(&sim_keep_all);
	T_OK(!port_exists("a") && port_exists("b"));
}

T_TEST(operations_fail_when_told)
{
	char data[4096];
	port_file f;

	sim_reset(1);
	f = synced_file(4096);
	sim_fail(SIM_OP_READ, 2, E_IO, false);
	T_EQ(port_read(f, 0, data, 1), 1);
	T_EQ(port_read(f, 0, data, 1), E_IO);
	T_EQ(port_read(f, 0, data, 1), 1);
	sim_fail(SIM_OP_WRITE, 1, E_IO, true);
	T_EQ(port_write(f, 0, data, 1), E_IO);
	T_EQ(port_write(f, 0, data, 1), E_IO);
	sim_fail(SIM_OP_CREATE, 1, E_NOSPC, false);
	T_EQ(port_open("new", PORT_WRITE | PORT_CREATE), E_NOSPC);
	T_OK(!port_exists("new"));
	sim_fail(SIM_OP_RENAME, 1, E_IO, false);
	T_EQ(port_rename("f", "g"), E_IO);
	T_OK(port_exists("f"));
	T_EQ(sim_failed(), 5);
}

T_TEST(disk_fills)
{
	char data[8192] = { 0 };
	struct port_fs fs;
	port_file f, g;

	sim_reset(1);
	sim_disk(PORT_FS_UBIFS, 16384);
	f = port_open("f", PORT_READ | PORT_WRITE | PORT_CREATE);
	T_EQ(port_write(f, 0, data, 8192), OK);
	T_EQ(port_fs_info(".", &fs), OK);
	T_EQ(fs.kind, PORT_FS_UBIFS);
	T_EQ(fs.free, 8192);
	sim_disk_taken(4096);
	g = port_open("g", PORT_WRITE | PORT_CREATE);
	T_EQ(port_write(g, 4000, data, 8192), E_NOSPC);
	T_EQ(port_size(g), 4096); /* what fitted */
	T_EQ(port_write(g, 0, data, 4096), OK);
	T_EQ(port_remove("f"), OK);
	T_EQ(port_write(g, 4096, data, 1), E_NOSPC); /* f is still open */
	port_close(f);
	T_EQ(port_write(g, 4096, data, 8192), OK);
	T_EQ(sim_charged("."), 12288);
}

T_TEST(holes_cost_nothing)
{
	port_file f;
	char c = 1;

	sim_reset(1);
	f = port_open("f", PORT_READ | PORT_WRITE | PORT_CREATE);
	T_EQ(port_resize(f, (uint64_t)1 << 40), OK);
	for (uint64_t at = 0; at < (uint64_t)1 << 40; at += (uint64_t)1 << 30)
		T_EQ(port_write(f, at, "x", 1), OK);
	T_EQ(port_allocated(f), 1024 * 4096);
	T_EQ(port_read(f, ((uint64_t)1 << 40) - 1, &c, 1), 1);
	T_EQ(c, 0);
	T_EQ(port_sync(f), OK);
	T_EQ(port_sync_dir("."), OK);
	sim_power_cut(&sim_lose_all);
	T_EQ(sim_charged("f"), (int64_t)1 << 40);
}

T_TEST(damage_is_durable)
{
	char data[8192];
	port_file f;

	sim_reset(1);
	f = synced_file(8192);
	T_EQ(port_write(f, 4096, "b", 1), OK);
	T_EQ(port_sync(f), OK);
	T_OK(sim_swap_blocks("f", 0, 1));
	T_OK(sim_flip_bit("f", 1, 1));
	T_OK(!sim_flip_bit("f", 8192, 1));
	T_OK(!sim_flip_bit("none", 0, 1));
	sim_power_cut(&sim_lose_all);
	T_EQ(contents("f", data, sizeof data), 8192);
	T_OK(data[0] == 'b' && data[1] == ('a' ^ 2) && data[4096] == 'a');
	T_OK(sim_copy_block("f", 0, "f", 1) && sim_zero_block("f", 0));
	T_EQ(contents("f", data, sizeof data), 8192);
	T_OK(data[4096] == 'b' && all(data, 0, 4096, 0));
}

T_TEST(counts_bytes_and_blocks)
{
	port_file f;

	sim_reset(1);
	f = synced_file(8192);
	T_EQ(sim_bytes_written(), 8192);
	T_EQ(sim_blocks_synced(), 2);
	T_EQ(port_write(f, 0, "b", 1), OK);
	T_EQ(port_write(f, 1, "b", 1), OK);
	T_EQ(port_sync(f), OK);
	T_EQ(sim_blocks_synced(), 3);
	T_EQ(sim_syncs(), 3);
}

T_TEST(garbage_can_be_an_old_block)
{
	unsigned found = 0;
	char data[8192];

	for (unsigned i = 0; i < SEEDS; i++) {
		port_file f;

		sim_reset(i);
		f = synced_file(4096);
		port_close(f);
		T_EQ(port_remove("f"), OK);
		T_EQ(port_sync_dir("."), OK);
		f = port_open("g", PORT_WRITE | PORT_CREATE);
		T_EQ(port_sync_dir("."), OK);
		memset(data, 'b', 4096);
		T_EQ(port_write(f, 0, data, 4096), OK);
		sim_power_cut(&sim_mixed);
		found += contents("g", data, sizeof data) == 4096 && all(data, 0, 4096, 'a');
	}
	T_OK(found > 0);
}

T_MAIN(T_RUN(reads_what_was_written) T_RUN(lists_until_told_to_stop) T_RUN(locks_exclude_and_die_with_the_process)
		T_RUN(synced_bytes_survive_every_policy) T_RUN(unsynced_write_meets_every_fate) T_RUN(
			torn_write_harms_only_its_block) T_RUN(later_write_can_stay_without_the_earlier)
			T_RUN(first_lost_loses_only_the_first) T_RUN(names_need_the_directory_synced) T_RUN(
				rename_is_all_or_nothing) T_RUN(rename_of_an_unsynced_name_does_not_double_it)
				T_RUN(removed_file_can_come_back) T_RUN(resize_is_kept_or_lost)
					T_RUN(killed_process_loses_nothing_of_the_kernel) T_RUN(
						subsets_try_all_combinations_of_one_moment)
						T_RUN(asynchronous_sync_covers_what_was_written_before_it) T_RUN(
							failed_sync_loses_and_the_next_one_lies)
							T_RUN(failed_directory_sync_loses_names) T_RUN(
								operations_fail_when_told) T_RUN(disk_fills)
								T_RUN(holes_cost_nothing) T_RUN(damage_is_durable)
									T_RUN(counts_bytes_and_blocks)
										T_RUN(garbage_can_be_an_old_block))
