/* The store at its limits: quota and capacity with many arrivals in one commit,
 * the last UIDs and ids, names with equal hashes, a stop in the middle of a
 * sync, a check while a copy is staged. */
#include "store_rig.h"

#include "store/store_int.h"

/* Stages messages of that size without a commit until one is refused: how many
 * were taken. */
static unsigned stage_all(uint32_t mailbox, size_t size, int *err)
{
	for (unsigned n = 0;; n++) {
		struct store_target target;
		store_ticket t;

		*err = rig_stage(mailbox, n, size, 0, &target, &t);
		if (*err != OK)
			return n;
	}
}

T_TEST(quota_in_one_commit)
{
	struct store_config config = rig_config;
	uint64_t used, messages;
	uint32_t inbox;
	int err;

	config.owner_quota = 50000;
	config.uploads = 16;
	rig_start(&config);
	inbox = rig_mailbox("INBOX");
	T_EQ(stage_all(inbox, 4000, &err), 12);
	T_EQ(err, E_FULL);
	rig_commit();
	store_owner_usage(st, 1, &used, &messages);
	T_EQ(messages, 12);
	T_OK(used <= config.owner_quota);
	store_close(st);
}

T_TEST(capacity_in_one_commit)
{
	struct store_config config = rig_config;
	struct store_status s;
	uint32_t inbox, n = 0;
	int err;

	config.message_max = 4u << 20;
	rig_start(&config);
	inbox = rig_mailbox("INBOX");
	/* Up to less than a message below the brim, then two at once. */
	for (err = OK; err == OK; n++) {
		struct store_target target;
		store_ticket t;

		store_status(st, &s);
		if (s.capacity - s.live < 60000)
			break;
		err = rig_stage(inbox, n, 20000, 3000, &target, &t);
		rig_commit();
	}
	T_EQ(err, OK);
	T_OK(stage_all(inbox, 20000, &err) <= 2);
	rig_commit();
	store_status(st, &s);
	T_OK(s.live <= s.capacity);
	store_close(st);
}

static void set_uidnext(uint32_t mailbox, uint32_t uidnext)
{
	struct mailbox m;

	T_EQ(mailbox_load(st, mailbox, &m), OK);
	m.uidnext = uidnext;
	T_EQ(mailbox_save(st, &m), OK);
}

/* RFC 3501 section 9: a UID is a number of 32 bits, and so must UIDNEXT be. */
T_TEST(last_uids)
{
	struct store_target target;
	struct store_copy copy;
	struct store_mailbox box;
	uint32_t inbox, other, uid, first, source[] = { 1, 2, 3 };
	uint64_t modseq;
	store_ticket t;
	size_t added;

	rig_start(&rig_config);
	other = rig_mailbox("other");
	for (uint32_t i = 1; i <= 3; i++)
		T_EQ(rig_add(other, i, 100), i);
	inbox = rig_mailbox("INBOX");
	set_uidnext(inbox, UINT32_MAX - 2);
	T_EQ(store_move(st, other, inbox, source, 3, &first, &t), E_LIMIT);
	T_EQ(store_copy_begin(st, inbox, &copy), OK);
	T_EQ(store_copy_add(st, &copy, other, source, 3, &added, &t), E_LIMIT);
	T_EQ(store_copy_add(st, &copy, other, source, 1, &added, &t), OK);
	T_EQ(store_copy_publish(st, &copy, &t), OK);
	rig_commit();
	T_EQ(rig_add(inbox, 7, 100), UINT32_MAX - 1);
	T_EQ(rig_stage(inbox, 8, 100, 10, &target, &t), E_LIMIT);
	T_EQ(store_mailbox_get(st, inbox, &box), OK);
	T_EQ(box.uidnext, UINT32_MAX);
	T_EQ(box.messages, 2);
	uid = UINT32_MAX - 1;
	T_OK(rig_good(inbox, uid, 7, 100));
	T_EQ(store_expunge(st, inbox, &uid, 1, &modseq, &t), OK);
	rig_commit();
	T_EQ(rig_stage(inbox, 8, 100, 10, &target, &t), E_LIMIT);
	store_close(st);
	rig_again(&rig_config);
	T_EQ(store_mailbox_get(st, inbox, &box), OK);
	T_EQ(box.uidnext, UINT32_MAX);
	store_close(st);
}

T_TEST(last_mailbox)
{
	uint32_t id;
	store_ticket t;

	rig_start(&rig_config);
	st->super.next_mailbox = UINT32_MAX - 1;
	(void)rig_mailbox("last");
	T_EQ(store_mailbox_create(st, 1, bytes_of("beyond"), 0, &id, &t), E_LIMIT);
	T_EQ(store_mailbox_create(st, 1, bytes_of("a/b"), 0, &id, &t), E_LIMIT);
	st->super.next_mailbox = 100;
	st->super.next_uidvalidity = UINT32_MAX;
	T_EQ(store_mailbox_create(st, 1, bytes_of("beyond"), 0, &id, &t), E_LIMIT);
	store_close(st);
}

/* Two names of one hash can't be made, so one that is there says it is another. */
T_TEST(equal_hashes)
{
	char name[LIMIT_MAILBOX_NAME];
	uint64_t cursor = 0, hash;
	unsigned n = 0;
	store_ticket t;

	rig_start(&rig_config);
	hash = names_hash(st, bytes_of("wanted"));
	T_EQ(tree_put(&st->tree, tree_key(TREE_SUBSCRIBED, 1, hash), "first", 5), OK);
	T_EQ(tree_put(&st->tree, tree_key(TREE_SUBSCRIBED, 1, hash + 1), "second", 6), OK);
	T_OK(!store_subscribed(st, 1, bytes_of("wanted")));
	T_EQ(store_subscribe(st, 1, bytes_of("wanted"), true, &t), OK);
	rig_commit();
	T_OK(store_subscribed(st, 1, bytes_of("wanted")));
	while (store_subscription(st, 1, &cursor, name) > 0)
		n++;
	T_EQ(n, 3);
	/* The one before it goes: it is still found, and can be ended. */
	T_EQ(tree_delete(&st->tree, tree_key(TREE_SUBSCRIBED, 1, hash), 0), OK);
	T_OK(store_subscribed(st, 1, bytes_of("wanted")));
	T_EQ(store_subscribe(st, 1, bytes_of("wanted"), true, &t), OK);
	T_EQ(t, 0);
	T_EQ(store_subscribe(st, 1, bytes_of("wanted"), false, &t), OK);
	rig_commit();
	T_OK(!store_subscribed(st, 1, bytes_of("wanted")));
	/* All places taken. */
	for (unsigned i = 0; i < 4; i++)
		T_EQ(tree_put(&st->tree, tree_key(TREE_SUBSCRIBED, 1, hash + i), "x", 1), OK);
	T_EQ(store_subscribe(st, 1, bytes_of("wanted"), true, &t), E_LIMIT);
	store_close(st);
}

/* The store is closed while the device still syncs. */
T_TEST(closed_in_a_sync)
{
	struct store_target target;
	struct store_upload *up;
	uint32_t inbox;
	store_ticket t;

	rig_start(&rig_config);
	inbox = rig_mailbox("INBOX");
	sim_sync_time(20000, 20000);
	T_EQ(rig_stage(inbox, 1, 5000, 0, &target, &t), OK);
	T_EQ(store_upload_begin(st, 0, &up), OK);
	T_EQ(store_upload_write(up, "half", 4), OK);
	T_EQ(store_commit_start(st), OK);
	T_EQ(store_commit_done(st), E_AGAIN);
	store_close(st);
	T_EQ(sim_open_files(), 0);
	sim_power_cut(&sim_lose_all);
	rig_again(&rig_config);
	T_OK(rig_good(inbox, target.uid, 1, 5000));
	store_close(st);
}

/* It can't write any more, and a large message was coming in. */
T_TEST(closed_read_only)
{
	static uint8_t piece[100000];
	struct store_target target;
	struct store_upload *up;
	uint32_t inbox;
	store_ticket t;

	rig_start(&rig_config);
	inbox = rig_mailbox("INBOX");
	T_EQ(store_upload_begin(st, 300000, &up), OK);
	T_EQ(store_upload_write(up, piece, sizeof piece), OK);
	T_EQ(rig_stage(inbox, 1, 5000, 0, &target, &t), OK);
	sim_sync_time(20000, 20000);
	T_EQ(store_commit_start(st), OK);
	sim_fail(SIM_OP_WRITE, 1, E_IO, true);
	store_fail(st, "a test", E_IO);
	store_close(st);
	sim_fail(SIM_OP_WRITE, 0, OK, false);
	T_EQ(sim_open_files(), 0);
}

static unsigned findings;

static void finding(void *context, const char *line)
{
	(void)context;
	findings++;
	printf("# %s\n", line);
}

T_TEST(check_of_staged)
{
	uint32_t inbox, other, uids[40];
	struct store_copy copy;
	uint64_t cursor = 0;
	store_ticket t;
	size_t added;
	int err;

	rig_start(&rig_config);
	inbox = rig_mailbox("INBOX");
	other = rig_mailbox("other");
	for (uint32_t i = 0; i < 40; i++)
		uids[i] = rig_add(other, i, 700);
	T_EQ(store_copy_begin(st, inbox, &copy), OK);
	T_EQ(store_copy_add(st, &copy, other, uids, 40, &added, &t), OK);
	rig_commit();
	while ((err = store_check(st, &cursor, finding, NULL)) == E_AGAIN)
		;
	T_EQ(err, OK);
	T_EQ(findings, 0);
	/* And with more of it staged in the middle of the check. */
	for (cursor = 0; (err = store_check(st, &cursor, finding, NULL)) == E_AGAIN;) {
		if (cursor >> 60 != 1 || copy.count > 200)
			continue;
		T_EQ(store_copy_add(st, &copy, other, uids, 40, &added, &t), OK);
		rig_commit();
	}
	T_EQ(err, OK);
	store_copy_abort(st, &copy);
	(void)rig_upkeep(100);
	store_close(st);
}

T_MAIN(T_RUN(quota_in_one_commit) T_RUN(capacity_in_one_commit) T_RUN(last_uids) T_RUN(last_mailbox) T_RUN(equal_hashes)
		T_RUN(closed_in_a_sync) T_RUN(closed_read_only) T_RUN(check_of_staged))
