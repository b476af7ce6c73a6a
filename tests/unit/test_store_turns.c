/* The store over many turns: who is told E_AGAIN gets on in a later one. */
#include "port/file.h"
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

/* A reserve of many MiB is made between other work, and is no reason to wait. */
T_TEST(a_large_reserve)
{
	struct store_config config = rig_config;
	struct store_status before, after;
	uint64_t most = 0;
	unsigned turns = 0;
	uint32_t box;
	port_file f;

	config.storage = 1u << 30;
	rig_start(&config);
	box = rig_mailbox("INBOX");
	for (bool more = true; more; turns++) {
		store_status(st, &before);
		more = rig_turn();
		store_status(st, &after);
		if (after.bytes_written - before.bytes_written > most)
			most = after.bytes_written - before.bytes_written;
		/* Mail comes in all the while. */
		if (turns % 20 == 0)
			T_OK(rig_good(box, rig_add(box, turns, 2000), turns, 2000));
	}
	f = port_open("mail/reserve", PORT_READ);
	T_OK(f >= 0);
	T_OK(port_size(f) >= 2 * (32 << 20));
	port_close(f);
	T_OK(most <= 300u * 1024);
	T_OK(turns >= 2 * (32u << 20) / (256u << 10) - 16);
	/* A cut in the middle of the next one: it is made anew, and counted once. */
	store_close(st);
	T_EQ(port_remove("mail/reserve"), OK);
	rig_again(&config);
	for (unsigned i = 0; i < 20; i++)
		(void)rig_turn();
	sim_kill();
	rig_again(&config);
	(void)rig_upkeep(10000);
	store_status(st, &after);
	T_OK(after.allocated >= sim_charged("mail"));
	T_OK(after.allocated <= sim_charged("mail") + 64u * 1024);
	store_close(st);
}

T_MAIN(T_RUN(many_mailboxes) T_RUN(most_targets) T_RUN(a_large_reserve))
