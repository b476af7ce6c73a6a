/* A disk that is full before the store is: other programs write to it too. */
#include "store_rig.h"

/* Every message of a commit that the disk had no room for is refused, however
 * many there were. */
T_TEST(all_are_refused)
{
	enum { N = 60 };
	struct store_config config = rig_config;
	struct store_target targets[N];
	store_ticket tickets[N];
	uint32_t inbox, before;
	unsigned n = 0;

	config.uploads = 64;
	rig_start(&config);
	inbox = rig_mailbox("INBOX");
	before = rig_add(inbox, 1, 300);
	while (n < N && rig_stage(inbox, 100 + n, 200, 0, &targets[n], &tickets[n]) == OK)
		n++;
	T_OK(n > 20);
	sim_fail(SIM_OP_WRITE, 1, E_NOSPC, false);
	rig_commit();
	for (unsigned i = 0; i < n; i++) {
		struct store_entry e;

		T_EQ(store_entry_get(st, inbox, targets[i].uid, &e), E_NOENT);
		T_EQ(store_ticket_result(st, tickets[i]), E_NOSPC);
	}
	T_OK(rig_good(inbox, before, 1, 300));
	store_close(st);
	T_EQ(sim_open_files(), 0);
}

T_MAIN(T_RUN(all_are_refused))
