/* The loop that the simulation tests stand on: a small journal is cut at every
 * operation in turn. An honest one must never lose what it acknowledged, and
 * each of the usual mistakes must be caught. */
#include "tests/unit/t.h"
#include "base/err.h"
#include "port/sim/sim.h"

#define RECORDS 6

enum mistake { HONEST, NO_SYNC, NO_DIR_SYNC, RENAME_FIRST, OVERWRITES, MISTAKES };

static enum mistake mistake;
static unsigned acknowledged; /* what the outside was told, survives the cut */
static bool moved;            /* the new version was acknowledged */

/* Records of 8 bytes: number and its complement, so that a torn one shows. */
static void record(uint8_t out[8], unsigned n)
{
	memset(out, (int)(n + 1), 4);
	memset(out + 4, (int)~(n + 1), 4);
}

static unsigned records_found(void)
{
	uint8_t data[8], expected[8];
	port_file f = port_open("log", PORT_READ);
	unsigned n = 0;

	if (f < 0)
		return 0;
	for (; n < RECORDS; n++) {
		record(expected, n);
		if (port_read(f, mistake == OVERWRITES ? n * 8 : n * 4096, data, 8) != 8 ||
			memcmp(data, expected, 8) != 0)
			break;
	}
	port_close(f);
	return n;
}

/* Goes on behind what is there: recovery and work in one. */
static void append_records(void *context)
{
	uint8_t data[8];
	port_file f = port_open("log", PORT_READ | PORT_WRITE | PORT_CREATE);

	(void)context;
	if (f < 0)
		T_FAIL("open: %d", f);
	if (mistake != NO_DIR_SYNC)
		T_EQ(port_sync_dir("."), OK);
	for (unsigned n = records_found(); n < RECORDS; n++) {
		record(data, n);
		/* an honest journal never writes into a block with acknowledged bytes */
		T_EQ(port_write(f, mistake == OVERWRITES ? n * 8 : n * 4096, data, 8), OK);
		if (mistake != NO_SYNC)
			T_EQ(port_sync(f), OK);
		acknowledged = n + 1;
	}
	port_close(f);
}

/* A new version of a small file by way of a temporary one. */
static void replace_file(void *context)
{
	port_file f = port_open("tmp", PORT_WRITE | PORT_CREATE | PORT_EMPTY);

	(void)context;
	T_OK(f >= 0);
	T_EQ(port_write(f, 0, "new!", 4), OK);
	if (mistake != RENAME_FIRST)
		T_EQ(port_sync(f), OK);
	T_EQ(port_rename("tmp", "conf"), OK);
	if (mistake == RENAME_FIRST)
		T_EQ(port_sync(f), OK);
	port_close(f);
	T_EQ(port_sync_dir("."), OK);
	moved = true;
}

static const struct sim_policy *const policies[] = { &sim_keep_all, &sim_lose_all, &sim_mixed, &sim_torn, &sim_garbage,
	&sim_reordered, &sim_first_lost };

/* Cuts the journal at every operation; how often acknowledged records were lost. */
static unsigned losses_of_journal(unsigned *cuts, unsigned kinds[SIM_OP_COUNT])
{
	unsigned losses = 0;

	for (unsigned n = 1;; n++)
		for (unsigned p = 0; p < 7; p++)
			for (uint64_t seed = 0; seed < 8; seed++) {
				enum sim_end end;

				sim_reset(seed);
				acknowledged = 0;
				sim_cut_at(n);
				end = sim_run(append_records, NULL);
				sim_power_cut(policies[p]);
				losses += records_found() < acknowledged;
				if (end == SIM_DONE && p == 6 && seed == 7)
					return losses;
				*cuts += end == SIM_CUT;
				if (end == SIM_CUT)
					kinds[sim_cut_kind()]++;
			}
}

T_TEST(honest_journal_loses_nothing)
{
	unsigned cuts = 0, kinds[SIM_OP_COUNT] = { 0 };

	mistake = HONEST;
	T_EQ(losses_of_journal(&cuts, kinds), 0);
	/* create, sync-dir, then a write and a sync for each record */
	T_EQ(cuts, (2 + 2 * RECORDS) * 7 * 8);
	T_EQ(kinds[SIM_OP_CREATE], 7 * 8);
	T_EQ(kinds[SIM_OP_SYNC_DIR], 7 * 8);
	T_EQ(kinds[SIM_OP_WRITE], RECORDS * 7 * 8);
	T_EQ(kinds[SIM_OP_SYNC], RECORDS * 7 * 8);
}

T_TEST(each_mistake_is_caught)
{
	for (mistake = HONEST + 1; mistake < MISTAKES; mistake++) {
		unsigned cuts = 0, kinds[SIM_OP_COUNT] = { 0 };

		if (mistake != RENAME_FIRST)
			T_OK(losses_of_journal(&cuts, kinds) > 0);
	}
}

static unsigned losses_of_file(void)
{
	unsigned losses = 0;

	for (unsigned n = 1;; n++)
		for (uint64_t seed = 0; seed < 20; seed++) {
			char data[8] = "";
			enum sim_end end;
			port_file f;

			sim_reset(seed);
			f = port_open("conf", PORT_WRITE | PORT_CREATE);
			T_EQ(port_write(f, 0, "old!", 4), OK);
			T_EQ(port_sync(f), OK);
			T_EQ(port_sync_dir("."), OK);
			port_close(f);
			moved = false;
			sim_cut_at(n);
			end = sim_run(replace_file, NULL);
			sim_power_cut(&sim_mixed);
			f = port_open("conf", PORT_READ);
			losses += f < 0 || port_read(f, 0, data, 8) != 4 ||
				(strcmp(data, "new!") != 0 && (moved || strcmp(data, "old!") != 0));
			if (end == SIM_DONE && seed == 19)
				return losses;
		}
}

T_TEST(file_is_replaced_whole)
{
	mistake = HONEST;
	T_EQ(losses_of_file(), 0);
	mistake = RENAME_FIRST;
	T_OK(losses_of_file() > 0);
}

/* Everything that can be seen of a run, as one number. */
static uint64_t fingerprint(uint64_t seed)
{
	uint64_t sum = seed;

	mistake = NO_SYNC;
	sim_reset(seed);
	sim_cut_at(7);
	T_EQ(sim_run(append_records, NULL), SIM_CUT);
	sim_power_cut(&sim_mixed);
	for (unsigned i = 0; port_exists("log") && i < RECORDS * 4096; i += 3) {
		port_file f = port_open("log", PORT_READ);
		uint8_t c = 0;

		port_read(f, i, &c, 1);
		sum = sum * 31 + c;
		port_close(f);
	}
	return sum * 31 + sim_random(1000) + (uint64_t)port_now_us();
}

T_TEST(same_seed_same_end)
{
	unsigned different = 0;

	for (uint64_t seed = 0; seed < 20; seed++) {
		T_OK(fingerprint(seed) == fingerprint(seed));
		different += fingerprint(seed) - seed != fingerprint(seed + 1) - seed - 1;
	}
	T_OK(different > 10);
}

static void cut_from_inside(void *context)
{
	port_close(port_open("x", PORT_WRITE | PORT_CREATE));
	sim_power_cut(&sim_lose_all);
	*(bool *)context = true;
}

static void stop_at_once(void *context)
{
	(void)context;
}

T_TEST(body_may_pull_its_own_plug)
{
	bool went_on = false;

	sim_reset(1);
	T_EQ(sim_run(cut_from_inside, &went_on), SIM_CUT);
	T_OK(!went_on && !port_exists("x"));
	T_EQ(sim_run(stop_at_once, NULL), SIM_DONE);
}

T_TEST(recovery_is_cut_as_well)
{
	unsigned runs = 0;

	mistake = HONEST;
	for (unsigned first = 1; first < 10; first += 4) {
		struct sim_image *image;
		unsigned before;

		sim_reset(first);
		acknowledged = 0;
		sim_cut_at(first);
		T_EQ(sim_run(append_records, NULL), SIM_CUT);
		sim_power_cut(&sim_mixed);
		image = sim_image_save();
		before = acknowledged;
		for (unsigned second = 1;; second++) {
			enum sim_end end;

			sim_image_load(image);
			acknowledged = before;
			T_OK(records_found() >= acknowledged);
			sim_cut_at(second);
			end = sim_run(append_records, NULL);
			sim_power_cut(&sim_mixed);
			T_OK(records_found() >= acknowledged);
			runs++;
			if (end == SIM_DONE)
				break;
		}
		sim_image_free(image);
	}
	T_OK(runs > 20);
}

T_MAIN(T_RUN(honest_journal_loses_nothing) T_RUN(each_mistake_is_caught) T_RUN(file_is_replaced_whole)
		T_RUN(same_seed_same_end) T_RUN(body_may_pull_its_own_plug) T_RUN(recovery_is_cut_as_well))
