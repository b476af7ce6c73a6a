/* What becomes of the staged entries of a COPY that never ended. */
#include "store_rig.h"

/* A server that is stopped in the middle of a COPY leaves staged entries in its
 * last checkpoint. The next start drops them; mail that arrives after it under
 * the same UIDs must survive a cut. */
T_TEST(over_a_restart)
{
	uint32_t from, to, uids[3], uid;
	struct store_copy copy;
	struct store_mailbox m;
	store_ticket t;
	size_t added;

	rig_start(&rig_config);
	from = rig_mailbox("from");
	to = rig_mailbox("to");
	for (uint32_t i = 0; i < 3; i++)
		uids[i] = rig_add(from, i, 500);
	T_EQ(store_copy_begin(st, to, &copy), OK);
	T_EQ(store_copy_add(st, &copy, from, uids, 3, &added, &t), OK);
	store_commit_request(st);
	rig_commit();
	store_close(st);

	rig_again(&rig_config);
	uid = rig_add(to, 77, 700);
	T_OK(rig_good(to, uid, 77, 700));
	sim_power_cut(&sim_lose_all);

	rig_again(&rig_config);
	T_OK(rig_good(to, uid, 77, 700));
	T_EQ(store_mailbox_get(st, to, &m), OK);
	T_EQ(m.messages, 1);
	store_close(st);
}

/* The same when the superblock that was written after they were dropped is
 * lost: the one before it is mounted, and the log says nothing of the dropping. */
T_TEST(under_an_older_superblock)
{
	uint32_t from, to, uids[3], uid;
	struct store_copy copy;
	struct store_mailbox m;
	struct store_status s;
	store_ticket t;
	size_t added;

	rig_start(&rig_config);
	from = rig_mailbox("from");
	to = rig_mailbox("to");
	for (uint32_t i = 0; i < 3; i++)
		uids[i] = rig_add(from, i, 500);
	T_EQ(store_copy_begin(st, to, &copy), OK);
	T_EQ(store_copy_add(st, &copy, from, uids, 3, &added, &t), OK);
	store_commit_request(st);
	rig_commit();
	sim_power_cut(&sim_keep_all);
	rig_again(&rig_config); /* drops them and writes a checkpoint */
	uid = rig_add(to, 77, 700);
	T_EQ(store_copy_begin(st, to, &copy), OK);
	T_EQ(store_copy_add(st, &copy, from, uids, 3, &added, &t), OK);
	T_EQ(store_copy_publish(st, &copy, &t), OK);
	rig_commit();
	store_status(st, &s);
	sim_power_cut(&sim_lose_all);
	T_OK(sim_zero_block(s.checkpoint & 1 ? "mail/super.1" : "mail/super.0", 0));
	rig_again(&rig_config);
	T_OK(rig_good(to, uid, 77, 700));
	for (uint32_t i = 0; i < 3; i++)
		T_OK(rig_good(to, copy.first + i, i, 500));
	T_EQ(store_mailbox_get(st, to, &m), OK);
	T_EQ(m.messages, 4);
	store_close(st);
}

T_MAIN(T_RUN(over_a_restart) T_RUN(under_an_older_superblock))
