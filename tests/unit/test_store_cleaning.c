/* Giving room back: it comes to an end, it stays within the storage, and
 * segments that can't be read do not stop everything else. */
#include "store_rig.h"

static struct store_status status(void)
{
	struct store_status s;

	store_status(st, &s);
	return s;
}

/* Messages of that size until the store is full; how many came in. */
static uint32_t fill(uint32_t mailbox, size_t size)
{
	for (uint32_t n = 0;; n++) {
		struct store_target target;
		store_ticket t;
		int err = rig_stage(mailbox, n, size, 3000, &target, &t);

		if (err == E_FULL)
			return n;
		if (err != OK)
			T_FAIL("message %u: %d", (unsigned)n, err);
		rig_commit();
	}
}

static void expunge_every(uint32_t mailbox, uint32_t last, uint32_t step)
{
	for (uint32_t uid = 1; uid <= last; uid += step) {
		store_ticket t;
		uint64_t modseq;

		T_EQ(store_expunge(st, mailbox, &uid, 1, &modseq, &t), OK);
		rig_commit();
	}
}

/* Flags change for ever in a store that is full and has nothing to clean. */
T_TEST(flags_when_full)
{
	uint32_t inbox, n;

	rig_start(&rig_config);
	inbox = rig_mailbox("INBOX");
	n = fill(inbox, 20000);
	(void)rig_upkeep(5000);
	for (uint32_t i = 0; i < 4000; i++) {
		struct store_flag_change change = { .op = i & 1 ? STORE_FLAGS_REMOVE : STORE_FLAGS_ADD,
			.flags = STORE_SEEN };
		uint32_t uid = 1 + i / 2 % n;
		store_ticket t;
		uint64_t modseq;

		T_EQ(store_flags(st, inbox, &uid, 1, &change, &modseq, &t), OK);
		rig_commit();
		for (int turn = 0; turn < 20 && rig_turn(); turn++)
			;
		if (sim_charged("mail") > rig_config.storage)
			T_FAIL("%llu bytes after %u flags", (unsigned long long)sim_charged("mail"), (unsigned)i);
	}
	T_OK(!status().read_only);
	store_close(st);
}

/* What cleaning writes may be no denser than what it read: it must not go round
 * and round. */
T_TEST(cleaning_ends)
{
	struct store_config config = rig_config;
	uint32_t inbox, n;

	config.growth = STORE_GROW_EXTEND;
	rig_start(&config);
	inbox = rig_mailbox("INBOX");
	n = fill(inbox, 24000);
	T_OK(n > 60);
	(void)rig_upkeep(3000);
	for (uint32_t uid = 1; uid <= n; uid++)
		T_OK(rig_good(inbox, uid, uid - 1, 24000));
	/* Room that is made is found. */
	expunge_every(inbox, n, 2);
	T_OK(fill(inbox, 24000) > n / 4);
	(void)rig_upkeep(3000);
	T_OK(sim_charged("mail") <= config.storage);
	store_close(st);
}

static bool short_of_room(void)
{
	return status().allocated + 2 * status().segment_size + rig_config.storage / 16 > rig_config.storage;
}

/* Nothing comes and nothing goes: each segment that cleaning writes has a gap at
 * its end that is larger than an eighth of it, and is left alone all the same.
 * After that each removed message costs at most what it is worth: as many
 * segments as it takes to hold eight times its bytes. */
static void packed_stays(enum store_growth growth)
{
	struct store_config config = rig_config;
	static uint8_t piece[4096];
	uint64_t before, removed = 0;
	struct store_upload *up;
	uint32_t inbox, n;

	config.growth = growth;
	rig_start(&config);
	inbox = rig_mailbox("INBOX");
	n = fill(inbox, 22000);
	T_OK(n > 60);
	expunge_every(inbox, n, 7);
	(void)fill(inbox, 22000);
	/* Mail that does not come to its end takes what room there is. */
	T_EQ(store_upload_begin(st, 0, &up), OK);
	for (unsigned i = 0; i < 250; i++) {
		(void)rig_upkeep(5000);
		if (short_of_room())
			break;
		T_EQ(store_upload_write(up, piece, sizeof piece), OK);
	}
	T_OK(short_of_room());
	before = status().segments_cleaned;
	T_OK(before > 0);
	for (unsigned i = 0; i < 2000; i++) {
		sim_advance_us(10000000);
		(void)rig_turn();
	}
	T_EQ(status().segments_cleaned, before);
	for (uint32_t uid = 2; uid <= n; uid += 5) {
		store_ticket t;
		uint64_t modseq;

		T_EQ(store_expunge(st, inbox, &uid, 1, &modseq, &t), OK);
		rig_commit();
		(void)rig_upkeep(5000);
		removed += 22000 + 2 * 4096;
	}
	if ((status().segments_cleaned - before) * status().segment_size > 8 * removed)
		T_FAIL("%llu segments were cleaned", (unsigned long long)(status().segments_cleaned - before));
	store_upload_abort(up);
	store_close(st);
}

T_TEST(packed_stays)
{
	packed_stays(STORE_GROW_APPEND);
}

T_TEST(packed_stays_extend)
{
	packed_stays(STORE_GROW_EXTEND);
}

/* The segments of the log, lowest first; how many. */
static unsigned segments(char names[][40], unsigned most)
{
	unsigned n = 0;

	for (unsigned id = 1; id < 1000 && n < most; id++) {
		(void)snprintf(names[n], 40, "mail/%08x.seg", id);
		n += port_exists(names[n]);
	}
	return n;
}

/* Segments that end in the middle. */
T_TEST(unreadable_victims)
{
	char names[40][40];
	uint32_t inbox, n;
	unsigned count;

	rig_start(&rig_config);
	inbox = rig_mailbox("INBOX");
	n = fill(inbox, 5000);
	expunge_every(inbox, n, 3);
	count = segments(names, 40);
	T_OK(count > 6);
	for (unsigned i = 2; i < 5; i++) {
		port_file f = port_open(names[i], PORT_READ | PORT_WRITE);

		T_EQ(port_resize(f, 50000), OK);
		port_close(f);
	}
	(void)fill(inbox, 5000);
	(void)rig_upkeep(5000);
	T_OK(!status().read_only);
	T_OK(status().segments_cleaned > 0);
	store_close(st);
}

/* Segments of which a record's header is damaged: what is behind it is moved,
 * what it held is kept where it is, and cleaning does not come back to it. */
T_TEST(damaged_victims)
{
	char names[40][40];
	uint32_t inbox, n;
	unsigned count;
	uint64_t checkpoints;

	rig_start(&rig_config);
	inbox = rig_mailbox("INBOX");
	n = fill(inbox, 5000);
	expunge_every(inbox, n, 3);
	count = segments(names, 40);
	T_OK(count > 8);
	for (unsigned i = 1; i < 7; i++)
		for (unsigned block = 2; block < 30; block += 3)
			(void)sim_flip_bit(names[i], block * 4096ull + 9, 3);
	(void)fill(inbox, 5000);
	(void)rig_upkeep(5000);
	checkpoints = status().checkpoints;
	for (int i = 0; i < 100; i++)
		(void)rig_turn();
	T_EQ(status().checkpoints, checkpoints);
	T_OK(!status().read_only);
	store_close(st);
}

T_MAIN(T_RUN(flags_when_full) T_RUN(cleaning_ends) T_RUN(packed_stays) T_RUN(packed_stays_extend)
		T_RUN(unreadable_victims) T_RUN(damaged_victims))
