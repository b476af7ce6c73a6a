/* What a store still gives when parts of it fail: reading after the index could
 * not be written, an index that is damaged, a stop in the middle of a sync. */
#include "store_rig.h"

#include "base/le.h"

#define COUNT 300

static struct store_config small_cache(void)
{
	struct store_config config = rig_config;

	config.cache_pages = 48;
	config.storage = 64u << 20; /* each message that comes alone takes a block */
	return config;
}

static void all_good(uint32_t inbox, uint32_t first, uint32_t last, size_t size)
{
	for (uint32_t uid = first; uid <= last; uid++)
		if (!rig_good(inbox, uid, uid, size))
			T_FAIL("message %u can't be read", (unsigned)uid);
}

/* No page of the index can be written any more while a commit is applied. */
T_TEST(reads_go_on)
{
	struct store_config config = small_cache();
	struct store_status s;
	uint32_t boxes[80], inbox;

	rig_start(&config);
	inbox = rig_mailbox("INBOX");
	for (unsigned i = 0; i < 80; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "box%u", i);
		boxes[i] = rig_mailbox(name);
	}
	for (uint32_t i = 1; i <= COUNT; i++)
		T_EQ(rig_add(inbox, i, 900), i);
	for (unsigned i = 0; i < 80; i++)
		for (uint32_t uid = 1; uid <= 40; uid++)
			T_EQ(rig_add(boxes[i], uid, 100), uid);
	for (unsigned i = 0; i < 80; i++) {
		struct store_target target;
		store_ticket t;

		if (rig_stage(boxes[i], 41, 100, 0, &target, &t) != OK)
			break;
		T_EQ(store_commit_start(st), OK);
		sim_fail(SIM_OP_WRITE, 1, E_IO, true);
		(void)store_commit_done(st);
		sim_fail(SIM_OP_WRITE, 0, OK, false);
		store_status(st, &s);
		if (s.read_only)
			break;
	}
	T_OK(s.read_only);
	sim_fail(SIM_OP_WRITE, 1, E_IO, true);
	all_good(inbox, 1, COUNT, 900);
	for (unsigned i = 0; i < 80; i++)
		all_good(boxes[i], 1, 40, 100);
	T_EQ(store_rank(st, inbox, UINT32_MAX), COUNT);
	sim_fail(SIM_OP_WRITE, 0, OK, false);
	store_close(st);
	T_EQ(sim_open_files(), 0);
	rig_again(&config);
	all_good(inbox, 1, COUNT, 900);
	store_close(st);
}

/* A flag change that waited for its delay when the store stopped writing waits for
 * ever; the loop is not called for it again and again. */
T_TEST(nothing_is_due_when_read_only)
{
	struct store_flag_change change = { .op = STORE_FLAGS_ADD, .flags = STORE_SEEN, .lazy = true };
	struct store_config config = rig_config;
	uint64_t modseq;
	uint32_t inbox, uid = 1;
	store_ticket t;

	config.flag_delay_ms = 1000;
	rig_start(&config);
	inbox = rig_mailbox("INBOX");
	T_EQ(rig_add(inbox, 1, 900), 1);
	T_EQ(store_flags(st, inbox, &uid, 1, &change, &modseq, &t), OK);
	sim_fail(SIM_OP_WRITE, 1, E_IO, true);
	for (unsigned i = 0; i < 4 && !store_read_only(st); i++) {
		store_commit_request(st);
		(void)store_commit_start(st);
		(void)store_commit_done(st);
	}
	sim_fail(SIM_OP_WRITE, 0, OK, false);
	T_OK(store_read_only(st));
	sim_advance_us(5000000);
	T_OK(store_deadline_us(st) > port_now_us());
	store_close(st);
}

/* Turns a bit of the root page of the newest checkpoint. */
static void damage_root(void)
{
	uint8_t super[2][512];
	unsigned newest;
	uint32_t slot;

	for (unsigned i = 0; i < 2; i++) {
		port_file f = port_open(i ? "mail/super.1" : "mail/super.0", PORT_READ);

		T_EQ(port_read(f, 0, super[i], sizeof super[i]), sizeof super[i]);
		port_close(f);
	}
	newest = le64(super[1] + 16) > le64(super[0] + 16);
	slot = le32(super[newest] + 156);
	T_OK(sim_flip_bit("mail/index", (uint64_t)(slot + 2) * 4096 + 100, 3));
}

static void checkpoint(void)
{
	sim_advance_us(3700ull * 1000000);
	(void)rig_upkeep(500);
}

static void older_checkpoint(bool clean)
{
	struct store_config config = rig_config;
	struct store_mailbox before, after;
	struct store_status status;
	uint32_t inbox, uid, box, found;
	uint64_t modseq;
	store_ticket t;

	rig_start(&config);
	inbox = rig_mailbox("INBOX");
	for (uint32_t i = 1; i <= 120; i++) {
		T_EQ(rig_add(inbox, i, 700), i);
		if (i % 3 == 0) {
			uid = i - 1;
			T_EQ(store_expunge(st, inbox, &uid, 1, &modseq, &t), OK);
			rig_commit();
		}
		if (i % 50 == 0)
			checkpoint();
	}
	box = rig_mailbox("A/B");
	for (uint32_t i = 121; i <= 320; i++)
		T_EQ(rig_add(inbox, i, 700), i);
	checkpoint();
	for (uint32_t i = 321; i <= 340; i++)
		T_EQ(rig_add(inbox, i, 700), i);
	T_EQ(store_mailbox_get(st, inbox, &before), OK);
	if (clean)
		store_close(st);
	else
		sim_power_cut(&sim_lose_all);
	damage_root();
	rig_again(&config);
	store_status(st, &status);
	T_EQ(status.damaged, 1);
	T_EQ(store_mailbox_find(st, 1, bytes_of("A/B"), &found), OK);
	T_EQ(found, box);
	T_EQ(store_mailbox_get(st, inbox, &after), OK);
	T_EQ(after.uidnext, before.uidnext);
	T_EQ(after.modseq, before.modseq);
	T_EQ(after.messages, before.messages);
	for (uint32_t i = 1; i <= 340; i++)
		T_EQ(rig_good(inbox, i, i, 700), i > 120 || i % 3 != 2);
	/* And it goes on from there. */
	for (uint32_t i = 341; i <= 360; i++)
		T_EQ(rig_add(inbox, i, 700), i);
	checkpoint();
	checkpoint();
	sim_power_cut(&sim_lose_all);
	rig_again(&config);
	for (uint32_t i = 121; i <= 360; i++)
		T_OK(rig_good(inbox, i, i, 700));
	store_close(st);
}

T_TEST(damaged_root_after_cut)
{
	older_checkpoint(false);
}

T_TEST(damaged_root_after_stop)
{
	older_checkpoint(true);
}

T_MAIN(T_RUN(reads_go_on) T_RUN(nothing_is_due_when_read_only) T_RUN(damaged_root_after_cut)
		T_RUN(damaged_root_after_stop))
