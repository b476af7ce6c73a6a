/* What the store hands to the file system: it is counted, and it is little. */
#include "store_rig.h"

static struct store_status status(void)
{
	struct store_status s;

	store_status(st, &s);
	return s;
}

/* Mail of 2 to 12 KB comes one by one; when 90 % of the capacity is taken the
 * oldest goes until 75 % are. */
static void roll(uint32_t mailbox, uint32_t *first, uint32_t from, uint32_t to)
{
	bool low = false;

	for (uint32_t n = from; n < to; n++) {
		struct store_status s = status();

		low |= s.live > s.capacity / 10 * 9;
		while (low) {
			uint32_t uids[24];
			store_ticket t;
			uint64_t modseq;

			for (uint32_t i = 0; i < 24; i++)
				uids[i] = (*first)++;
			T_EQ(store_expunge(st, mailbox, uids, 24, &modseq, &t), OK);
			rig_commit();
			s = status();
			low = s.live > s.capacity / 4 * 3;
		}
		(void)rig_add(mailbox, n, 2000 + n * 7919 % 10000);
		(void)rig_upkeep(100);
	}
}

static void rolling(enum store_growth growth)
{
	struct store_config config = rig_config;
	uint32_t inbox, first = 1;
	struct store_status s, after;

	config.growth = growth;
	config.storage = 16u << 20;
	rig_start(&config);
	inbox = rig_mailbox("INBOX");
	roll(inbox, &first, 0, 5000);
	T_OK(sim_charged("mail") <= config.storage);
	s = status();
	/* Every byte is counted. */
	T_EQ(s.bytes_written, sim_bytes_written());
	T_EQ(s.syncs, sim_syncs());
	T_EQ(s.life_bytes_written, s.bytes_written);
	/* Oldest mail goes first: segments die whole, nothing is copied. */
	T_EQ(s.segments_cleaned, 0);
	if (s.bytes_written > s.bytes_in / 100 * 125)
		T_FAIL("%llu bytes written for %llu of mail", (unsigned long long)s.bytes_written,
			(unsigned long long)s.bytes_in);
	/* It goes on counting after a clean stop ... */
	store_close(st);
	rig_again(&config);
	after = status();
	T_EQ(after.life_bytes_written, sim_bytes_written());
	T_EQ(after.life_syncs, sim_syncs());
	T_EQ(after.life_bytes_in, s.life_bytes_in);
	/* ... and loses little by a cut. */
	roll(inbox, &first, 5000, 5100);
	s = status();
	sim_power_cut(&sim_lose_all);
	rig_again(&config);
	after = status();
	T_EQ(after.life_bytes_in, s.life_bytes_in);
	T_OK(after.life_bytes_written > s.life_bytes_written / 100 * 99);
	store_close(st);
}

T_TEST(rolling_append)
{
	rolling(STORE_GROW_APPEND);
}

T_TEST(rolling_extend)
{
	rolling(STORE_GROW_EXTEND);
}

T_MAIN(T_RUN(rolling_append) T_RUN(rolling_extend))
