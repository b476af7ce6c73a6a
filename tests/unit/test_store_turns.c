/* The store over many turns: who is told E_AGAIN gets on in a later one. */
#include "store_rig.h"

/* SELECT of one mailbox after another changes nothing, and must not use up the
 * table of those that change. */
T_TEST(many_mailboxes)
{
	uint32_t ids[100], first;
	char name[20];

	rig_start(&rig_config);
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof name, "m%u", i);
		ids[i] = rig_mailbox(name);
	}
	for (unsigned i = 0; i < 100; i++)
		for (unsigned turn = 0;; turn++) {
			int err = store_recent_take(st, ids[i], &first);

			if (err == OK)
				break;
			T_EQ(err, E_AGAIN);
			if (turn == 10)
				T_FAIL("mailbox %u of 100 is never selected", i);
			(void)rig_turn();
		}
	store_close(st);
}

/* A message for as many mailboxes as there may be, while others were looked at. */
T_TEST(most_targets)
{
	struct store_target targets[STORE_TARGETS];
	struct store_upload *up;
	uint32_t ids[STORE_TARGETS + 40], first;
	store_ticket t;
	char name[20];
	int err = E_AGAIN;

	rig_start(&rig_config);
	for (unsigned i = 0; i < STORE_TARGETS + 40; i++) {
		(void)snprintf(name, sizeof name, "m%u", i);
		ids[i] = rig_mailbox(name);
	}
	for (unsigned i = 0; i < 40; i++)
		(void)store_recent_take(st, ids[STORE_TARGETS + i], &first);
	for (unsigned i = 0; i < STORE_TARGETS; i++)
		targets[i] = (struct store_target){ .mailbox = ids[i] };
	T_EQ(store_upload_begin(st, 0, &up), OK);
	T_EQ(store_upload_write(up, "hello", 5), OK);
	for (unsigned turn = 0; turn < 10 && err == E_AGAIN; turn++) {
		err = store_upload_commit(up, bytes_of("s"), targets, STORE_TARGETS, &t);
		(void)rig_turn();
	}
	T_EQ(err, OK);
	for (unsigned i = 0; i < STORE_TARGETS; i++) {
		struct store_entry e;

		T_EQ(store_entry_get(st, ids[i], targets[i].uid, &e), OK);
	}
	store_close(st);
}

T_MAIN(T_RUN(many_mailboxes) T_RUN(most_targets))
