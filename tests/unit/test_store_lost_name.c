/* A sync of the directory fails once: names that it should have made durable are
 * lost, and no later sync brings them back. */
#include "store_rig.h"

#define LARGE 300000

static struct store_upload *begin_large(uint32_t seed)
{
	struct store_upload *up;
	uint8_t piece[1000];

	T_EQ(store_upload_begin(st, LARGE, &up), OK);
	for (size_t at = 0; at < LARGE; at += sizeof piece) {
		for (size_t i = 0; i < sizeof piece; i++)
			piece[i] = rig_byte(seed, at + i);
		T_EQ(store_upload_write(up, piece, sizeof piece), OK);
	}
	return up;
}

/* A message whose file was made before is refused, or it is there after a cut. */
T_TEST(of_a_large_message)
{
	struct store_target target = { .received = 1001 };
	struct store_upload *one, *other;
	store_ticket t;
	int err;

	rig_start(&rig_config);
	target.mailbox = rig_mailbox("INBOX");
	one = begin_large(1);
	other = begin_large(2);
	sim_fail(SIM_OP_SYNC_DIR, 1, E_IO, false);
	T_EQ(store_upload_commit(other, bytes_of("summary"), &target, 1, &t), E_IO);
	store_upload_abort(other);
	err = store_upload_commit(one, bytes_of("summary"), &target, 1, &t);
	if (err == OK)
		rig_commit();
	else
		store_upload_abort(one);
	T_EQ(sim_failed(), 1);
	sim_power_cut(&sim_lose_all);
	rig_again(&rig_config);
	T_EQ(rig_good(target.mailbox, 1, 1, LARGE), err == OK);
	/* and one that came afterwards is kept in any case */
	T_EQ(rig_add(target.mailbox, 3, LARGE), err == OK ? 2 : 1);
	sim_power_cut(&sim_lose_all);
	rig_again(&rig_config);
	T_OK(rig_good(target.mailbox, err == OK ? 2 : 1, 3, LARGE));
}

T_MAIN(T_RUN(of_a_large_message))
