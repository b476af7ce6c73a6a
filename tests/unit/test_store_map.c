/* The map of free pages is lost or old: the store finds the free pages anew and
 * overwrites none that is used. */
#include "store_rig.h"

enum { MESSAGES = 500 };

static void check_all(uint32_t inbox)
{
	for (uint32_t uid = 1; uid <= MESSAGES; uid++)
		if (!rig_good(inbox, uid, uid, 100))
			T_FAIL("uid %u is lost", (unsigned)uid);
}

static void flag_all(uint32_t inbox, enum store_flag_op op)
{
	for (uint32_t uid = 1; uid <= MESSAGES; uid += 10) {
		struct store_flag_change change = { .op = op, .flags = STORE_FLAGGED };
		uint64_t modseq;
		store_ticket t;

		T_EQ(store_flags(st, inbox, &uid, 1, &change, &modseq, &t), OK);
		rig_commit();
	}
}

static void count_line(void *context, const char *line)
{
	printf("# %s\n", line);
	++*(unsigned *)context;
}

static void try_map(unsigned block, bool (*harm)(const char *path, uint64_t block), unsigned starts)
{
	uint32_t inbox;
	unsigned lines = 0;
	uint64_t cursor = 0;

	rig_start(&rig_config);
	inbox = rig_mailbox("INBOX");
	for (uint32_t i = 1; i <= MESSAGES; i++)
		(void)rig_add(inbox, i, 100);
	/* Some checkpoints, so that both copies are in use and differ. */
	for (unsigned i = 0; i < starts; i++) {
		flag_all(inbox, i & 1 ? STORE_FLAGS_REMOVE : STORE_FLAGS_ADD);
		store_close(st);
		rig_again(&rig_config);
	}
	store_close(st);
	T_OK(harm("mail/index", block));
	for (unsigned i = 0; i < 3; i++) {
		rig_again(&rig_config);
		check_all(inbox);
		flag_all(inbox, i & 1 ? STORE_FLAGS_ADD : STORE_FLAGS_REMOVE);
		(void)rig_upkeep(1000);
		check_all(inbox);
		store_close(st);
	}
	rig_again(&rig_config);
	check_all(inbox);
	while (store_check(st, &cursor, count_line, &lines) == E_AGAIN)
		;
	T_EQ(lines, 0);
	store_close(st);
}

static bool flip(const char *path, uint64_t block)
{
	return sim_flip_bit(path, block * 4096 + 100, 1);
}

T_TEST(zeros)
{
	for (unsigned starts = 1; starts < 4; starts++)
		for (unsigned block = 0; block < 2; block++)
			try_map(block, sim_zero_block, starts);
}

T_TEST(bits)
{
	for (unsigned starts = 1; starts < 4; starts++)
		for (unsigned block = 0; block < 2; block++)
			try_map(block, flip, starts);
}

T_MAIN(T_RUN(zeros) T_RUN(bits))
