/* The store's calls, one thing at a time, on simulated flash. Power cuts have
 * their own program (tests/sim). */
#include "store/store.h"

#include "base/err.h"
#include "port/file.h"
#include "port/sim/sim.h"
#include "t.h"

static uint8_t space[24 << 20];
static struct arena arena;
static struct store *st;
static char reason[200];

static const struct store_config small = {
	.dir = "mail",
	.storage = 16u << 20,
	.message_max = 8u << 20,
	.flag_delay_ms = 5000,
	.cache_pages = 64,
	.log_buffer = 128u << 10,
	.upload_bytes = 384u << 10,
	.uploads = 8,
	.allow_volatile = true,
};

static void open_with(const struct store_config *config)
{
	int err;

	arena_init(&arena, space, sizeof space);
	err = store_open(&st, &arena, config, reason, sizeof reason);
	if (err != OK)
		T_FAIL("open: %d %s", err, reason);
	T_OK(arena.used <= store_memory(config));
}

static void start(void)
{
	sim_reset(1);
	open_with(&small);
}

static void again(void)
{
	store_close(st);
	open_with(&small);
}

static void commit(void)
{
	T_EQ(store_commit_start(st), OK);
	T_EQ(store_commit_done(st), OK);
}

static void upkeep(void)
{
	for (int i = 0; i < 10000 && store_maintain(st) == E_AGAIN; i++)
		if (store_wants_commit(st))
			commit();
}

static uint32_t make(const char *name)
{
	store_ticket t;
	uint32_t id;

	T_EQ(store_mailbox_create(st, 1, bytes_of(name), 0, &id, &t), OK);
	commit();
	T_EQ(store_ticket_result(st, t), OK);
	return id;
}

static uint8_t byte_at(uint32_t seed, size_t i)
{
	return (uint8_t)((seed * 2654435761u >> 8) + i * 31 + i / 977);
}

/* Stages a message of that size; the bytes follow from the seed. */
static int begin_message(uint32_t mailbox, uint32_t seed, size_t size, struct store_target *target, store_ticket *t)
{
	struct store_upload *up;
	uint8_t piece[1000];
	int err = store_upload_begin(st, size, &up);

	if (err != OK)
		return err;
	for (size_t at = 0; at < size && err == OK;) {
		size_t n = size - at < sizeof piece ? size - at : sizeof piece;

		for (size_t i = 0; i < n; i++)
			piece[i] = byte_at(seed, at + i);
		err = store_upload_write(up, piece, n);
		at += n;
	}
	*target = (struct store_target){ .mailbox = mailbox, .received = 1000 + seed };
	for (int i = 0; i < 4 && (err == OK || err == E_AGAIN); i++) {
		err = store_upload_commit(up, bytes_of("summary"), target, 1, t);
		if (err != E_AGAIN)
			break;
		upkeep();
		commit();
	}
	if (err != OK)
		store_upload_abort(up);
	return err;
}

static uint32_t add(uint32_t mailbox, uint32_t seed, size_t size)
{
	struct store_target target;
	store_ticket t;

	T_EQ(begin_message(mailbox, seed, size, &target, &t), OK);
	T_EQ(store_ticket_result(st, t), E_AGAIN);
	commit();
	T_EQ(store_ticket_result(st, t), OK);
	return target.uid;
}

static void check_message(uint32_t mailbox, uint32_t uid, uint32_t seed, size_t size)
{
	static uint8_t body[2 << 20];
	struct store_entry e;
	char summary[20];

	T_EQ(store_entry_get(st, mailbox, uid, &e), OK);
	T_EQ(e.size, size);
	T_EQ(e.received, 1000 + seed);
	T_EQ(store_summary(st, e.object, summary, sizeof summary), 7);
	T_OK(memcmp(summary, "summary", 7) == 0);
	T_EQ(store_body(st, e.object, 0, body, sizeof body), size);
	for (size_t i = 0; i < size; i++)
		if (body[i] != byte_at(seed, i))
			T_FAIL("byte %zu of uid %u differs", i, (unsigned)uid);
	/* Any slice, across frames too. */
	for (size_t at = 0; at < size; at += 3001) {
		uint8_t part[5000];
		int64_t n = store_body(st, e.object, at, part, sizeof part);

		T_EQ(n, size - at < sizeof part ? size - at : sizeof part);
		T_OK(memcmp(part, body + at, (size_t)n) == 0);
	}
}

T_TEST(keeps_messages_over_a_restart)
{
	static const size_t sizes[] = { 0, 1, 4091, 4092, 4093, 8184, 100000, 262144, 300000, 1500000 };
	uint32_t box, uids[10];

	start();
	box = make("INBOX");
	for (unsigned i = 0; i < 10; i++)
		uids[i] = add(box, i, sizes[i]);
	for (int round = 0; round < 3; round++) {
		struct store_mailbox m;

		T_EQ(store_mailbox_get(st, box, &m), OK);
		T_EQ(m.messages, 10);
		T_EQ(m.unseen, 10);
		T_EQ(m.uidnext, 11);
		for (unsigned i = 0; i < 10; i++)
			check_message(box, uids[i], i, sizes[i]);
		again();
	}
}

T_TEST(recovers_without_a_clean_stop)
{
	uint32_t box;
	struct store_mailbox m;

	start();
	box = make("INBOX");
	for (unsigned i = 0; i < 50; i++)
		T_EQ(add(box, i, 3000 + 100 * i), i + 1);
	sim_kill();
	open_with(&small);
	T_EQ(store_mailbox_get(st, box, &m), OK);
	T_EQ(m.messages, 50);
	for (unsigned i = 0; i < 50; i++)
		check_message(box, i + 1, i, 3000 + 100 * i);
	T_EQ(add(box, 50, 10), 51);
}

T_TEST(names_form_a_tree)
{
	uint32_t a, b, id;
	uint64_t cursor = 0;
	char name[LIMIT_MAILBOX_NAME];
	store_ticket t;
	struct store_mailbox m;

	start();
	(void)make("INBOX");
	b = make("Projects/Garten/\xE8\xAB\x8B\xE6\xB1\x82");
	T_EQ(store_mailbox_find(st, 1, bytes_of("Projects"), &a), OK);
	T_EQ(store_mailbox_find(st, 1, bytes_of("inbox"), &id), OK);
	T_EQ(store_mailbox_find(st, 2, bytes_of("INBOX"), &id), E_NOENT);
	T_EQ(store_mailbox_create(st, 1, bytes_of("Projects/Garten"), 0, &id, &t), E_EXIST);
	T_EQ(store_mailbox_create(st, 1, bytes_of("a//b"), 0, &id, &t), E_SYNTAX);
	T_EQ(store_mailbox_delete(st, a, &t), E_EXIST);
	T_EQ(store_mailbox_rename(st, a, bytes_of("Projects/Garten/x"), &t), E_RANGE);
	T_EQ(store_mailbox_rename(st, a, bytes_of("Old/Work"), &t), OK);
	commit();
	T_BYTES(name, store_mailbox_name(st, b, name), "Old/Work/Garten/\xE8\xAB\x8B\xE6\xB1\x82");
	T_EQ(store_mailbox_child(st, 1, a, &cursor, &id), OK);
	T_EQ(store_mailbox_child(st, 1, a, &cursor, &id), E_NOENT);
	T_EQ(store_mailbox_delete(st, b, &t), OK);
	commit();
	T_EQ(store_mailbox_get(st, b, &m), E_NOENT);
	upkeep();
	again();
	T_EQ(store_mailbox_find(st, 1, bytes_of("Old/Work/Garten"), &id), OK);
	T_EQ(store_mailbox_get(st, id, &m), OK);
	T_OK(!m.has_children);
	T_EQ(store_subscribe(st, 1, bytes_of("gone/away"), true, &t), OK);
	commit();
	T_OK(store_subscribed(st, 1, bytes_of("gone/away")));
	cursor = 0;
	T_BYTES(name, store_subscription(st, 1, &cursor, name), "gone/away");
	T_EQ(store_owner_remove(st, 1, &t), OK);
	commit();
	upkeep();
	T_EQ(store_mailbox_find(st, 1, bytes_of("INBOX"), &id), E_NOENT);
	T_OK(!store_subscribed(st, 1, bytes_of("gone/away")));
}

T_TEST(flags_count_and_wait)
{
	struct store_flag_change seen = { STORE_FLAGS_ADD, STORE_SEEN, 0, true, false };
	struct store_mailbox m;
	struct store_entry e;
	uint32_t box, uids[] = { 2, 3, 9 };
	uint64_t modseq;
	unsigned bit;
	store_ticket t;

	start();
	box = make("INBOX");
	for (unsigned i = 0; i < 4; i++)
		add(box, i, 100);
	T_EQ(store_first_unseen(st, box), 1);
	T_EQ(store_flags(st, box, uids, 3, &seen, &modseq, &t), OK);
	T_EQ(t, 0); /* lazy: applied at once */
	T_OK(!store_all_durable(st));
	T_EQ(store_entry_get(st, box, 2, &e), OK);
	T_EQ(e.flags, STORE_SEEN);
	T_EQ(e.modseq, modseq);
	T_EQ(store_mailbox_get(st, box, &m), OK);
	T_EQ(m.unseen, 2);
	T_EQ(m.modseq, modseq);
	T_EQ(store_flags(st, box, uids, 3, &seen, &modseq, &t), OK);
	T_EQ(modseq, 0); /* nothing changed */
	T_EQ(store_keyword(st, box, bytes_of("$label1"), true, &bit), OK);
	T_EQ(store_keyword(st, box, bytes_of("$LABEL1"), false, &bit), OK);
	T_EQ(bit, 0);
	seen = (struct store_flag_change){ STORE_FLAGS_SET, STORE_FLAGGED, 1, false, false };
	T_EQ(store_flags(st, box, uids, 1, &seen, &modseq, &t), OK);
	T_EQ(store_ticket_result(st, t), E_AGAIN);
	T_EQ(store_entry_get(st, box, 2, &e), OK);
	T_EQ(e.flags, STORE_SEEN);
	commit();
	again();
	T_EQ(store_entry_get(st, box, 2, &e), OK);
	T_EQ(e.flags, STORE_FLAGGED);
	T_EQ(e.keywords, 1);
	T_EQ(store_mailbox_get(st, box, &m), OK);
	T_EQ(m.unseen, 3);
}

T_TEST(copy_is_all_or_nothing)
{
	struct store_copy copy;
	struct store_mailbox m;
	uint32_t box, to, uids[] = { 1, 2, 3, 4, 5 };
	uint64_t used, count, modseq;
	size_t added;
	store_ticket t;

	start();
	box = make("INBOX");
	to = make("Saved");
	for (unsigned i = 0; i < 5; i++)
		add(box, i, 5000);
	T_EQ(store_copy_begin(st, to, &copy), OK);
	T_EQ(store_copy_add(st, &copy, box, uids, 3, &added, &t), OK);
	T_EQ(added, 3);
	commit();
	T_EQ(store_mailbox_get(st, to, &m), OK);
	T_EQ(m.messages, 0);
	T_EQ(store_rank(st, to, UINT32_MAX), 0);
	T_EQ(store_copy_begin(st, to, &copy), E_AGAIN);
	copy = (struct store_copy){ .target = to, .first = 1, .count = 3, .open = true };
	T_EQ(store_copy_add(st, &copy, box, uids + 3, 2, &added, &t), OK);
	T_EQ(store_copy_publish(st, &copy, &t), OK);
	commit();
	T_EQ(store_mailbox_get(st, to, &m), OK);
	T_EQ(m.messages, 5);
	T_EQ(m.uidnext, 6);
	check_message(to, 4, 3, 5000);
	store_owner_usage(st, 1, &used, &count);
	T_EQ(used, 50000);
	/* Aborted: nothing stays, references included. */
	T_EQ(store_copy_begin(st, to, &copy), OK);
	T_EQ(store_copy_add(st, &copy, box, uids, 5, &added, &t), OK);
	commit();
	store_copy_abort(st, &copy);
	upkeep();
	T_EQ(add(to, 77, 10), 6);
	/* Cut in the middle: the same. */
	T_EQ(store_copy_begin(st, to, &copy), OK);
	T_EQ(store_copy_add(st, &copy, box, uids, 5, &added, &t), OK);
	commit();
	sim_kill();
	open_with(&small);
	T_EQ(store_mailbox_get(st, to, &m), OK);
	T_EQ(m.messages, 6);
	T_EQ(add(to, 78, 10), 7);
	/* The message outlives one of its places, not both. */
	T_EQ(store_expunge(st, box, uids, 5, &modseq, &t), OK);
	commit();
	check_message(to, 4, 3, 5000);
	T_EQ(store_mailbox_delete(st, to, &t), OK);
	commit();
	upkeep();
	store_owner_usage(st, 1, &used, &count);
	T_EQ(used, 0);
	T_EQ(count, 0);
	{
		struct store_status s;

		store_status(st, &s);
		T_EQ(s.objects, 0);
		T_EQ(s.live, 0);
		T_EQ(s.messages, 0);
	}
}

T_TEST(move_keeps_keywords_by_name)
{
	struct store_flag_change set = { STORE_FLAGS_SET, STORE_SEEN, 2, true, false };
	struct store_entry e;
	uint32_t box, to, uids[] = { 1, 2, 3 }, first;
	uint64_t modseq;
	unsigned bit;
	store_ticket t;

	start();
	box = make("INBOX");
	to = make("Saved");
	for (unsigned i = 0; i < 3; i++)
		add(box, i, 100);
	T_EQ(store_keyword(st, box, bytes_of("one"), true, &bit), OK);
	T_EQ(store_keyword(st, box, bytes_of("two"), true, &bit), OK);
	T_EQ(store_flags(st, box, uids + 1, 1, &set, &modseq, &t), OK);
	T_EQ(store_move(st, box, to, uids, 3, &first, &t), OK);
	commit();
	T_EQ(first, 1);
	T_EQ(store_entry_get(st, box, 2, &e), E_NOENT);
	T_EQ(store_entry_get(st, to, 2, &e), OK);
	T_EQ(store_keyword(st, to, bytes_of("two"), false, &bit), OK);
	T_EQ(e.keywords, 1u << bit);
	T_EQ(e.flags, STORE_SEEN);
	check_message(to, 3, 2, 100);
}

T_TEST(full_store_refuses_and_cleans)
{
	struct store_config tiny = small;
	struct store_status s;
	uint32_t box, n = 0, kept = 0;
	uint64_t modseq;
	store_ticket t;

	tiny.storage = 4u << 20;
	sim_reset(1);
	open_with(&tiny);
	box = make("INBOX");
	for (;;) {
		struct store_target target;
		int err;

		if (store_room(st, 1, 20000) == E_FULL)
			break;
		err = begin_message(box, n, 20000, &target, &t);
		if (err == E_FULL)
			break;
		T_EQ(err, OK);
		commit();
		upkeep();
		n++;
		store_status(st, &s);
		T_OK(sim_charged("mail") <= tiny.storage);
		T_OK(s.allocated <= tiny.storage);
		T_OK(n < 1000);
	}
	T_OK(n > 100);
	/* Every second one goes; then as many fit again, and so on, for ever. */
	for (int round = 0; round < 10; round++) {
		for (uint32_t uid = 1; uid <= n; uid++) {
			struct store_entry e;

			if (uid % 2 == (uint32_t)round % 2 || store_entry_get(st, box, uid, &e) != OK)
				continue;
			T_EQ(store_expunge(st, box, &uid, 1, &modseq, &t), OK);
			commit();
			upkeep();
			T_OK(sim_charged("mail") <= tiny.storage);
		}
		while (store_room(st, 1, 20000) == OK) {
			struct store_target target;
			int err = begin_message(box, n, 20000, &target, &t);

			if (err == E_FULL)
				break;
			T_EQ(err, OK);
			commit();
			upkeep();
			n++;
			T_OK(sim_charged("mail") <= tiny.storage);
		}
	}
	store_close(st);
	open_with(&tiny);
	for (uint32_t uid = 1; uid <= n; uid++) {
		struct store_entry e;

		if (store_entry_get(st, box, uid, &e) != OK)
			continue;
		check_message(box, uid, uid - 1, 20000);
		kept++;
	}
	T_OK(kept > 100);
	T_OK(n > 500);
}

T_TEST(walks_and_ranks)
{
	struct store_cursor c;
	struct store_entry e;
	uint32_t box, uids[STORE_UIDS];
	uint64_t modseq, since;
	struct store_flag_change flag = { STORE_FLAGS_ADD, STORE_FLAGGED, 0, true, false };
	store_ticket t;
	uint32_t n = 0, uid = 0, first, last;

	start();
	box = make("INBOX");
	(void)make("Other");
	for (unsigned i = 0; i < 600; i++)
		add(box, i, 10);
	for (uint32_t i = 0; i < STORE_UIDS; i++)
		uids[i] = 101 + i;
	since = e.modseq = 0;
	T_EQ(store_entry_get(st, box, 600, &e), OK);
	since = e.modseq;
	T_EQ(store_expunge(st, box, uids, STORE_UIDS, &modseq, &t), OK);
	commit();
	T_EQ(store_rank(st, box, 100), 100);
	T_EQ(store_rank(st, box, 101 + STORE_UIDS), 101);
	T_EQ(store_entry_at(st, box, 101, &e), OK);
	T_EQ(e.uid, 101 + STORE_UIDS);
	T_EQ(store_entry_at(st, box, 600 - STORE_UIDS + 1, &e), E_NOENT);
	store_cursor_init(&c, box, 0);
	while (store_cursor_next(st, &c, &e) == OK)
		n++;
	T_EQ(n, 600 - STORE_UIDS);
	uids[0] = 555;
	T_EQ(store_flags(st, box, uids, 1, &flag, &modseq, &t), OK);
	store_cursor_init(&c, box, 0);
	T_EQ(store_cursor_changed(st, &c, since, &e), OK);
	T_EQ(e.uid, 555);
	n = 0;
	for (;;) {
		int err = store_vanished_next(st, box, since, &uid, &first, &last);

		if (err == E_AGAIN)
			continue;
		if (err == E_NOENT)
			break;
		T_EQ(err, OK);
		n += last - first + 1;
	}
	T_EQ(n, STORE_UIDS);
}

static int findings;

static void count_finding(void *context, const char *line)
{
	(void)context;
	(void)line;
	findings++;
}

static int check_all(void)
{
	uint64_t cursor = 0;
	int err;

	findings = 0;
	do
		err = store_check(st, &cursor, count_finding, NULL);
	while (err == E_AGAIN);
	return err;
}

T_TEST(refuses_a_medium_that_loses_mail)
{
	struct store_config config = small;

	config.allow_volatile = false;
	sim_reset(1);
	sim_disk(PORT_FS_VOLATILE, 1 << 30);
	arena_init(&arena, space, sizeof space);
	T_EQ(store_open(&st, &arena, &config, reason, sizeof reason), E_NOTSUP);
	T_OK(strstr(reason, "tmpfs"));
	sim_reset(1);
	sim_disk(PORT_FS_EXT4, 8 << 20);
	arena_init(&arena, space, sizeof space);
	T_EQ(store_open(&st, &arena, &config, reason, sizeof reason), E_NOTSUP);
	T_OK(strstr(reason, "only 8 MiB"));
	sim_reset(1);
	sim_mount_missing("mail");
	arena_init(&arena, space, sizeof space);
	T_EQ(store_open(&st, &arena, &config, reason, sizeof reason), E_NOTSUP);
	T_OK(strstr(reason, "nothing is mounted on mail"));
	sim_mount_missing(NULL);
	open_with(&config);
}

T_TEST(a_disk_filled_by_others_still_lets_mail_go)
{
	struct store_config config = small;
	struct store_flag_change flag = { STORE_FLAGS_ADD, STORE_FLAGGED, 0, false, false };
	struct store_target target;
	uint32_t box, uid = 1;
	uint64_t modseq;
	store_ticket t;

	config.allow_volatile = false;
	sim_reset(1);
	sim_disk(PORT_FS_EXT4, 32 << 20);
	open_with(&config);
	box = make("INBOX");
	for (unsigned i = 0; i < 100; i++)
		add(box, i, 10000);
	upkeep();
	sim_disk_taken((32 << 20) - sim_charged("mail"));
	/* The first of these finds the disk full; from then on no mail comes in. */
	for (unsigned i = 0; i < 300; i++) {
		int err = begin_message(box, i, 20000, &target, &t);

		T_OK(err == OK || err == E_FULL || err == E_NOSPC);
		commit();
	}
	T_EQ(store_room(st, 1, 100), E_FULL);
	for (uid = 1; uid <= 60; uid++) {
		T_EQ(store_flags(st, box, &uid, 1, &flag, &modseq, &t), OK);
		commit();
		T_EQ(store_ticket_result(st, t), OK);
		T_EQ(store_expunge(st, box, &uid, 1, &modseq, &t), OK);
		commit();
		T_EQ(store_ticket_result(st, t), OK);
		upkeep();
	}
	/* A restart finds it full as well. */
	sim_kill();
	open_with(&config);
	for (; uid <= 90; uid++) {
		T_EQ(store_expunge(st, box, &uid, 1, &modseq, &t), OK);
		commit();
		T_EQ(store_ticket_result(st, t), OK);
	}
	/* The other program gives its bytes back: mail comes in again. */
	sim_disk_taken(0);
	for (int i = 0; i < 100 && store_room(st, 1, 100) != OK; i++) {
		upkeep();
		sim_advance_us(3000000);
	}
	T_EQ(store_room(st, 1, 100), OK);
	check_message(box, 95, 94, 10000);
}

/* Pages that are not written yet are charged ahead. */
static void is_counted(const struct store_status *status)
{
	T_OK(status->allocated >= sim_charged("mail"));
	T_OK(status->allocated <= sim_charged("mail") + 64u * 1024);
	T_OK(status->allocated <= status->storage);
}

/* The reserve is as large as the storage asks for, and counted as it is. */
T_TEST(storage_is_lowered_and_raised)
{
	static const uint32_t storages[] = { 64u << 20, 16u << 20, 128u << 20, 12u << 20 };
	struct store_config config = small;
	struct store_status status;
	struct store_target target;
	uint32_t box = 0, uid = 0;
	store_ticket t;

	sim_reset(1);
	for (unsigned i = 0; i < sizeof storages / sizeof *storages; i++) {
		config.storage = storages[i];
		open_with(&config);
		if (box == 0)
			box = make("INBOX");
		upkeep();
		store_status(st, &status);
		is_counted(&status);
		T_OK(port_exists("mail/reserve"));
		/* As much mail as there is room for, which makes it give the reserve up. */
		for (unsigned n = 0; n < 40; n++) {
			T_EQ(begin_message(box, uid, 20000, &target, &t), OK);
			commit();
			upkeep();
			uid++;
			check_message(box, uid, uid - 1, 20000);
		}
		store_status(st, &status);
		is_counted(&status);
		store_close(st);
	}
}

T_TEST(a_full_disk_does_not_keep_the_store_shut)
{
	struct store_config config = small;
	struct store_mailbox m;
	uint32_t box, uid;
	uint64_t modseq;
	store_ticket t;

	config.allow_volatile = false;
	sim_reset(1);
	sim_disk(PORT_FS_EXT4, 32 << 20);
	open_with(&config);
	box = make("INBOX");
	for (unsigned i = 0; i < 300; i++)
		add(box, i, 10000);
	/* Killed, with much to replay, and not a byte is free when it starts again. */
	sim_kill();
	sim_disk_taken((32 << 20) - sim_charged("mail"));
	open_with(&config);
	T_EQ(store_mailbox_get(st, box, &m), OK);
	T_EQ(m.messages, 300);
	for (uid = 1; uid <= 200; uid++) {
		T_EQ(store_expunge(st, box, &uid, 1, &modseq, &t), OK);
		commit();
		T_EQ(store_ticket_result(st, t), OK);
		upkeep();
	}
	check_message(box, 250, 249, 10000);
}

T_TEST(check_finds_damage)
{
	uint32_t box;
	struct store_entry e;
	uint8_t body[4000];
	port_file f;

	start();
	box = make("INBOX");
	for (unsigned i = 0; i < 20; i++)
		add(box, i, 4000);
	T_EQ(check_all(), OK);
	T_EQ(findings, 0);
	/* The last message's last bytes lie at the end of the segment. */
	f = port_open("mail/00000001.seg", PORT_READ);
	T_OK(sim_flip_bit("mail/00000001.seg", (uint64_t)port_size(f) - 500, 3));
	port_close(f);
	T_EQ(check_all(), E_DAMAGED);
	T_EQ(findings, 1);
	T_EQ(store_entry_get(st, box, 20, &e), OK);
	T_EQ(store_body(st, e.object, 0, body, sizeof body), E_DAMAGED);
	T_EQ(store_entry_get(st, box, 19, &e), OK);
	T_EQ(store_body(st, e.object, 0, body, sizeof body), 4000);
}

T_MAIN(T_RUN(refuses_a_medium_that_loses_mail) T_RUN(check_finds_damage) T_RUN(storage_is_lowered_and_raised)
		T_RUN(a_full_disk_does_not_keep_the_store_shut) T_RUN(a_disk_filled_by_others_still_lets_mail_go) T_RUN(
			keeps_messages_over_a_restart) T_RUN(recovers_without_a_clean_stop) T_RUN(names_form_a_tree)
			T_RUN(flags_count_and_wait) T_RUN(copy_is_all_or_nothing) T_RUN(move_keeps_keywords_by_name)
				T_RUN(walks_and_ranks) T_RUN(full_store_refuses_and_cleans))
