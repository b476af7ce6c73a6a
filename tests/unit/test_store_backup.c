/* A backup is the store as it was at one moment, and a restore makes an empty one
 * be that: store/backup.h. What was is told by a dump through the public calls. */
#include "store/backup.h"

#include "base/crc32c.h"
#include "base/le.h"
#include "store/backup_stream.h"
#include "store/store_int.h"
#include "store/tree_int.h"
#include "store_rig.h"

static uint8_t stream[24u << 20];
static size_t stream_len;
static char dumps[3][1 << 20];

/* ---- a dump: everything that a restore must bring back, as text ---- */

static struct buf *out;

static void dump_message(uint32_t mailbox, const struct store_entry *e)
{
	static uint8_t summary[LIMIT_SUMMARY];
	uint8_t piece[4096];
	uint32_t crc = 0;
	uint64_t at = 0;
	int64_t n = store_summary(st, e->object, summary, sizeof summary);

	T_OK(n >= 0);
	crc = crc32c(0, summary, (size_t)n);
	while ((n = store_body(st, e->object, at, piece, sizeof piece)) > 0) {
		crc = crc32c(crc, piece, (size_t)n);
		at += (uint64_t)n;
	}
	T_EQ(n, 0);
	T_EQ(at, e->size);
	T_OK(buf_printf(out, " %lu/%lu f%x k%llx o%llx m%llu a%llu r%lld z%d s%lld n%lu b%lu %lx\n",
		(unsigned long)mailbox, (unsigned long)e->uid, (unsigned)e->flags, (unsigned long long)e->keywords,
		(unsigned long long)e->object, (unsigned long long)e->modseq, (unsigned long long)e->arrival,
		(long long)e->received, (int)e->zone, (long long)e->saved, (unsigned long)e->size,
		(unsigned long)e->box_time, (unsigned long)crc));
}

static void dump_mailbox(const struct store_mailbox *m)
{
	char name[LIMIT_MAILBOX_NAME];
	struct store_cursor c;
	struct store_entry e;
	int n = store_mailbox_name(st, m->id, name);

	T_OK(n > 0);
	T_OK(buf_printf(out,
		"%lu %lu %.*s uses %u next %lu modseq %llu recent %lu: %lu %lu %lu %llu %llu children %d\n",
		(unsigned long)m->id, (unsigned long)m->owner, n, name, (unsigned)m->uses, (unsigned long)m->uidnext,
		(unsigned long long)m->modseq, (unsigned long)m->recent, (unsigned long)m->messages,
		(unsigned long)m->unseen, (unsigned long)m->deleted, (unsigned long long)m->size,
		(unsigned long long)m->deleted_size, m->has_children));
	for (unsigned bit = 0; bit < m->keywords; bit++)
		if ((n = store_keyword_name(st, m->id, bit, name)) > 0)
			T_OK(buf_printf(out, " k%u %.*s\n", bit, n, name));
	store_cursor_init(&c, m->id, 0);
	while ((n = store_cursor_next(st, &c, &e)) == OK)
		dump_message(m->id, &e);
	T_EQ(n, E_NOENT);
}

static void dump_owner(uint32_t owner)
{
	char name[LIMIT_MAILBOX_NAME];
	struct store_quota quota;
	uint64_t cursor = 0, used, messages;
	int n;

	store_quota(st, owner, &quota);
	store_owner_usage(st, owner, &used, &messages);
	T_OK(buf_printf(out, "owner %lu quota %llu %llu usage %llu %llu\n", (unsigned long)owner,
		(unsigned long long)quota.bytes, (unsigned long long)quota.messages, (unsigned long long)used,
		(unsigned long long)messages));
	while ((n = store_subscription(st, owner, &cursor, name)) > 0)
		T_OK(buf_printf(out, " subscribed %.*s\n", n, name));
}

/* Subscriptions come in an order that the store's identity makes. */
static uint32_t dump_owner_sum(uint32_t owner)
{
	static char space[1 << 16];
	struct buf own;
	uint32_t sum = 0, line = 0;

	buf_init(&own, space, sizeof space);
	out = &own;
	dump_owner(owner);
	for (size_t i = 0; i < own.len; i++) {
		line = crc32c(line, &own.data[i], 1);
		if (own.data[i] == '\n') {
			sum += line;
			line = 0;
		}
	}
	return sum;
}

static void dump(char *space)
{
	struct buf b;
	struct store_mailbox m;

	buf_init(&b, space, sizeof dumps[0]);
	for (uint32_t owner = 1; owner < 4; owner++) {
		uint32_t sum = dump_owner_sum(owner);

		T_OK(buf_printf(&b, "owner %lu: %lx\n", (unsigned long)owner, (unsigned long)sum));
	}
	out = &b;
	for (uint32_t id = 1; id < 64; id++)
		if (store_mailbox_get(st, id, &m) == OK)
			dump_mailbox(&m);
	T_OK(buf_terminate(&b));
}

static void same(const char *a, const char *b)
{
	size_t i = 0, line = 0;

	while (a[i] && a[i] == b[i]) {
		i++;
		if (a[i - 1] == '\n')
			line = i;
	}
	if (a[i] != b[i])
		T_FAIL("dumps differ: \"%.*s\" and \"%.*s\"", (int)strcspn(a + line, "\n"), a + line,
			(int)strcspn(b + line, "\n"), b + line);
}

/* ---- backing up ---- */

static const char *const users[] = { "first user", "second user" };
static char users_taken[200];

static int give_user(void *context, uint64_t *cursor, uint8_t *line)
{
	(void)context;
	if (*cursor == sizeof users / sizeof *users)
		return E_NOENT;
	memcpy(line, users[*cursor], strlen(users[*cursor]));
	return (int)strlen(users[(*cursor)++]);
}

static int take_user(void *context, struct bytes line)
{
	(void)context;
	strncat(users_taken, (const char *)line.data, line.len);
	strcat(users_taken, ";");
	return OK;
}

static uint32_t lost_mailbox, lost_uid;

static void take_lost(void *context, uint32_t mailbox, uint32_t uid)
{
	(void)context;
	lost_mailbox = mailbox;
	lost_uid = uid;
}

static int summarize(void *context, struct store_upload *up, struct bytes *summary)
{
	(void)context;
	T_OK(store_upload_size(up) > 0);
	*summary = bytes_of("summary");
	return OK;
}

static const struct store_backup_source source = { .user = give_user };
static const struct store_restore_target target = { .user = take_user, .lost = take_lost, .summarize = summarize };

/* One piece; 0 at the end. */
static int64_t backup_some(size_t cap)
{
	int64_t n;

	while ((n = store_backup_read(st, stream + stream_len, cap)) == E_AGAIN)
		(void)rig_turn();
	if (n > 0)
		stream_len += (size_t)n;
	T_OK(stream_len < sizeof stream - cap);
	return n;
}

static void backup(void)
{
	int64_t n;

	stream_len = 0;
	T_EQ(store_backup_begin(st, &source), OK);
	while ((n = backup_some(4000)) > 0)
		;
	T_EQ(n, 0);
	store_backup_end(st);
	(void)rig_upkeep(10000);
	T_OK(store_backup_settled(st));
}

/* ---- restoring ---- */

static struct store_restore *restore;

static struct store_config into(const char *dir)
{
	struct store_config config = rig_config;

	config.dir = dir;
	config.restore = true;
	return config;
}

static int restore_begin(const char *dir)
{
	struct store_config config = into(dir);
	int err = rig_open(&config);

	users_taken[0] = 0;
	if (err == OK)
		err = store_restore_begin(&restore, &rig_arena, st, &target);
	return err;
}

static int restore_bytes(const uint8_t *data, size_t len)
{
	int err = OK;

	while (len) {
		size_t taken;

		err = store_restore_write(restore, data, len, &taken);
		if (err != OK && err != E_AGAIN)
			return err;
		if (err == E_AGAIN)
			(void)rig_turn();
		data += taken;
		len -= taken;
	}
	return err == E_AGAIN ? restore_bytes(data, len) : OK;
}

static int restore_end(bool partial)
{
	int err;

	while ((err = store_restore_end(restore, partial)) == E_AGAIN)
		(void)rig_turn();
	return err;
}

static void restore_all(const char *dir)
{
	T_EQ(restore_begin(dir), OK);
	T_EQ(restore_bytes(stream, stream_len), OK);
	T_EQ(restore_end(false), OK);
	T_OK(store_restore_result(restore)->complete);
	(void)rig_upkeep(10000);
}

static void check_whole(void)
{
	uint64_t cursor = 0;
	int err;

	while ((err = store_check(st, &cursor, NULL, NULL)) == E_AGAIN)
		;
	T_EQ(err, OK);
}

static void reopen(const char *dir)
{
	struct store_config config = rig_config;

	store_close(st);
	config.dir = dir;
	rig_again(&config);
}

/* ---- a store with something of everything ---- */

static uint32_t inbox, sub, other;

static void fill_store(void)
{
	struct store_quota quota = { 5000000, 1000 };
	struct store_flag_change flags = { .op = STORE_FLAGS_ADD, .flags = STORE_SEEN | STORE_FLAGGED };
	struct store_copy copy;
	uint32_t uids[3] = { 2, 4, 5 }, first, id;
	uint64_t modseq;
	unsigned bit;
	size_t added;
	store_ticket t;

	inbox = rig_mailbox("INBOX");
	sub = rig_mailbox("Work/2026");
	T_EQ(store_mailbox_create(st, 2, bytes_of("INBOX"), STORE_USE_TRASH, &other, &t), OK);
	rig_commit();
	T_EQ(store_subscribe(st, 1, bytes_of("Work/2026"), true, &t), OK);
	rig_commit();
	T_EQ(store_subscribe(st, 2, bytes_of("gone"), true, &t), OK);
	rig_commit();
	T_EQ(store_set_quota(st, 2, &quota, &t), OK);
	rig_commit();
	for (uint32_t i = 0; i < 20; i++)
		(void)rig_add(i % 3 ? inbox : other, i, 10 + i * 1000);
	(void)rig_add(inbox, 77, 0);
	(void)rig_add(sub, 100, 700000);
	T_EQ(store_keyword(st, inbox, bytes_of("$Keep"), true, &bit), OK);
	rig_commit();
	flags.keywords = UINT64_C(1) << bit;
	T_EQ(store_flags(st, inbox, uids, 3, &flags, &modseq, &t), OK);
	rig_commit();
	T_EQ(store_copy_begin(st, sub, &copy), OK);
	T_EQ(store_copy_add(st, &copy, inbox, uids, 3, &added, &t), OK);
	rig_commit();
	T_EQ(store_copy_publish(st, &copy, &t), OK);
	rig_commit();
	T_EQ(store_expunge(st, inbox, uids, 1, &modseq, &t), OK);
	rig_commit();
	T_EQ(store_move(st, inbox, sub, uids + 1, 1, &first, &t), OK);
	rig_commit();
	/* A parent that is younger than its child. */
	T_EQ(store_mailbox_rename(st, sub, bytes_of("Archive/deep/Work"), &t), OK);
	rig_commit();
	T_EQ(store_mailbox_create(st, 1, bytes_of("Doomed"), 0, &id, &t), OK);
	rig_commit();
	(void)rig_add(id, 5, 5000);
	T_EQ(store_mailbox_delete(st, id, &t), OK);
	rig_commit();
}

T_TEST(everything_comes_back)
{
	struct store_mailbox before[64], after;
	struct store_backup_progress progress;
	bool there[64] = { false };
	uint64_t identity;

	rig_start(&rig_config);
	fill_store();
	for (uint32_t id = 1; id < 64; id++)
		there[id] = store_mailbox_get(st, id, &before[id]) == OK;
	identity = store_identity(st);
	backup();
	store_backup_progress(st, &progress);
	T_EQ(progress.messages, 22);
	T_EQ(progress.lost, 0);
	dump(dumps[0]); /* the deleted mailbox is gone by now; it is in no backup */
	check_whole();
	store_close(st);

	restore_all("copy");
	T_BYTES(users_taken, strlen(users_taken), "first user;second user;");
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	T_OK(store_identity(st) == identity);
	check_whole();
	reopen("copy");
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	T_OK(store_identity(st) == identity);
	for (uint32_t id = 1; id < 64; id++)
		if (there[id]) {
			T_EQ(store_mailbox_get(st, id, &after), OK);
			T_OK(after.uidvalidity > 64 + before[id].uidvalidity);
		}
	store_close(st);
}

/* ---- while it changes ---- */

/* Pages that the tree has. */
static uint32_t pages_of_tree(void)
{
	struct tree *t = &st->tree;
	struct {
		uint32_t slot;
		unsigned child;
	} way[TREE_HEIGHT_MAX];
	unsigned depth = 1;
	uint32_t n = 1;

	way[0].slot = t->root;
	way[0].child = 0;
	while (depth) {
		uint32_t frame, child = UINT32_MAX;
		const uint8_t *page;

		T_EQ(tree_fetch(t, way[depth - 1].slot, &frame), OK);
		page = tree_page(t, frame);
		if (page_level(page) && way[depth - 1].child < page_count(page))
			child = branch_child(page, way[depth - 1].child++);
		tree_unpin(t, frame);
		if (child == UINT32_MAX) {
			depth--;
			continue;
		}
		n++;
		way[depth].slot = child;
		way[depth++].child = 0;
	}
	return n;
}

/* Every slot in use is one of the tree's, or waits to be free. */
static void no_slot_is_lost(void)
{
	const struct slots *s = &st->tree.slots;

	T_EQ(s->used - s->n_freed - s->n_freed_before, pages_of_tree());
}

static unsigned count_files(const char *dir, const char *ending)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < 4000; i++) {
		char name[64];

		(void)snprintf(name, sizeof name, strcmp(ending, "msg") ? "%s/%08x.%s" : "%s/%016x.%s", dir,
			(unsigned)i, ending);
		n += port_exists(name);
	}
	return n;
}

/* Files of messages that there are no more. */
static unsigned stray_files(void)
{
	struct key k = tree_key(TREE_OBJECT, 0, 0), found;
	uint8_t row[OBJECT_BYTES];
	struct object o;
	unsigned n = count_files("mail", "msg");

	while (tree_seek(&st->tree, k, &found, row, sizeof row) >= 0 && found.hi == k.hi) {
		T_OK(object_get(bytes_make(row, sizeof row), &o));
		n -= o.blob;
		k.lo = found.lo + 1;
	}
	return n;
}

#define BOXES 4
static uint32_t boxes[BOXES];

static uint32_t some_uids(uint32_t mailbox, uint32_t *uids, uint32_t most)
{
	struct store_cursor c;
	struct store_entry e;
	uint32_t n = 0;

	store_cursor_init(&c, mailbox, (uint32_t)sim_random(300));
	while (n < most && store_cursor_next(st, &c, &e) == OK)
		uids[n++] = e.uid;
	return n;
}

/* One change of some kind. */
static void change(uint32_t turn)
{
	uint32_t from = boxes[sim_random(BOXES)], to = boxes[sim_random(BOXES)], uids[8], n, first;
	struct store_flag_change flags = { .op = STORE_FLAGS_ADD, .flags = (uint8_t)sim_random(32), .lazy = turn % 2 };
	struct store_target where;
	uint64_t modseq;
	store_ticket t;
	char name[40];

	n = some_uids(from, uids, 1 + (uint32_t)sim_random(8));
	switch (sim_random(40) ? sim_random(7) : 9) {
	case 0:
	case 1:
	case 2:
		(void)rig_stage(to, turn, sim_random(3000), 100, &where, &t);
		break;
	case 9:
		(void)rig_stage(to, turn, 300000 + sim_random(50000), 100, &where, &t);
		break;
	case 3:
		(void)store_move(st, from, to, uids, n, &first, &t);
		break;
	case 4:
	case 5:
		(void)store_expunge(st, from, uids, n > 2 ? 2 : n, &modseq, &t);
		break;
	case 6:
		(void)store_flags(st, from, uids, n, &flags, &modseq, &t);
		break;
	default:
		(void)snprintf(name, sizeof name, "Name/%u", (unsigned)turn);
		(void)store_mailbox_rename(st, boxes[BOXES - 1], bytes_of(name), &t);
	}
}

static struct store_config large;

static void start_busy(uint32_t messages)
{
	char name[20];

	large = rig_config;
	large.storage = messages > 100 ? 24u << 20 : 4u << 20;
	rig_start(&large);
	for (unsigned i = 0; i < BOXES; i++) {
		(void)snprintf(name, sizeof name, "Box/%u", i);
		boxes[i] = rig_mailbox(name);
	}
	for (uint32_t i = 0; i < messages; i++) {
		struct store_target where;
		store_ticket t;

		T_EQ(rig_stage(boxes[i % BOXES], i, i % 50 ? i * 71 % 3000 : 280000, 100, &where, &t), OK);
		if (i % 4 == 0)
			rig_commit();
	}
	rig_commit();
	(void)rig_upkeep(10000);
}

/* Reads a backup to its end with so many changes between two records; dumps[0] is
 * the moment that it shows. */
static int64_t backup_busy(unsigned changes)
{
	uint32_t turn = 1000;
	int64_t n;

	stream_len = 0;
	T_EQ(store_backup_begin(st, &source), OK);
	n = backup_some(4096);
	dump(dumps[0]);
	while (n > 0) {
		for (unsigned i = 0; i < changes; i++) {
			change(turn++);
			(void)rig_turn();
		}
		n = backup_some(4096);
		T_OK(sim_charged("mail") <= large.storage);
	}
	return n;
}

static void restore_large(const char *dir)
{
	struct store_config config = large;

	config.dir = dir;
	config.restore = true;
	T_EQ(rig_open(&config), OK);
	T_EQ(store_restore_begin(&restore, &rig_arena, st, &target), OK);
	T_EQ(restore_bytes(stream, stream_len), OK);
	T_EQ(restore_end(false), OK);
	check_whole();
}

T_TEST(it_is_the_store_of_one_moment)
{
	start_busy(600);
	T_EQ(backup_busy(1), 0);
	T_OK(st->tree.hold.count > 10);
	store_backup_end(st);
	T_EQ(store_backup_begin(st, &source), E_BUSY);
	(void)rig_upkeep(10000);
	T_OK(store_backup_settled(st));
	T_EQ(st->tree.hold.number, 0);
	no_slot_is_lost();
	check_whole();
	dump(dumps[1]);
	T_OK(strcmp(dumps[0], dumps[1]) != 0);
	store_close(st);
	restore_large("copy");
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
}

/* So it is in the smallest store, where little may be held. */
T_TEST(a_small_store_is_backed_up_too)
{
	start_busy(40);
	T_EQ(backup_busy(1), 0);
	T_OK(st->tree.hold.count > 2);
	store_backup_end(st);
	(void)rig_upkeep(10000);
	no_slot_is_lost();
	store_close(st);
	restore_large("copy");
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
}

/* While what it held is given back the store goes on changing. */
T_TEST(what_it_held_is_given_back_under_load)
{
	uint32_t turn = 5000;

	start_busy(600);
	T_EQ(backup_busy(1), 0);
	store_backup_end(st);
	while (!store_backup_settled(st)) {
		change(turn++);
		(void)rig_turn();
	}
	(void)rig_upkeep(10000);
	no_slot_is_lost();
	check_whole();
	T_EQ(stray_files(), 0);
}

/* Ended anywhere, by its reader or by a cut. */
T_TEST(it_may_end_anywhere)
{
	for (unsigned at = 0; at < 12; at++) {
		uint32_t turn = 1000;

		start_busy(150);
		stream_len = 0;
		T_EQ(store_backup_begin(st, &source), OK);
		for (unsigned i = 0; i < at * at * 4 && backup_some(4096) > 0; i++) {
			change(turn++);
			(void)rig_turn();
		}
		if (at % 3 == 0) {
			store_backup_end(st);
			(void)rig_upkeep(10000);
		} else if (at % 3 == 1) {
			store_close(st);
			rig_again(&large);
		} else {
			(void)rig_upkeep(10000);
			dump(dumps[0]);
			sim_power_cut(&sim_lose_all);
			rig_again(&large);
			dump(dumps[1]);
			same(dumps[0], dumps[1]);
		}
		(void)rig_upkeep(10000);
		no_slot_is_lost();
		check_whole();
		T_EQ(store_backup_begin(st, &source), OK);
		store_backup_end(st);
		store_close(st);
	}
}

/* A reader that stops is not waited for: mail that wants the room gets it. What
 * the backup holds is most of the store, all of it expunged meanwhile. */
T_TEST(it_gives_way_to_mail)
{
	uint32_t gone[BOXES] = { 0 };

	start_busy(1500);
	T_EQ(store_backup_begin(st, &source), OK);
	T_OK(backup_some(4096) > 0);
	for (uint32_t i = 0; i < 550; i++) {
		uint32_t uids[4], box = i % BOXES;
		uint64_t modseq;
		store_ticket t;

		for (unsigned u = 0; u < 4; u++)
			uids[u] = ++gone[box];
		T_EQ(store_expunge(st, boxes[box], uids, 4, &modseq, &t), OK);
		rig_commit();
		T_OK(rig_add(boxes[box], i, 30000) > 0);
		T_OK(sim_charged("mail") <= large.storage);
		(void)rig_turn();
	}
	T_EQ(store_backup_read(st, stream, 4096), E_FULL);
	store_backup_end(st);
	(void)rig_upkeep(10000);
	T_OK(store_backup_settled(st));
	no_slot_is_lost();
	check_whole();
}

/* ---- what may be wrong with it ---- */

static void make_stream(void)
{
	rig_start(&rig_config);
	fill_store();
	backup();
	dump(dumps[0]);
	store_close(st);
}

T_TEST(a_part_of_it_is_no_backup)
{
	make_stream();
	T_EQ(restore_begin("cut"), OK);
	T_EQ(restore_bytes(stream, stream_len - 1), OK);
	T_EQ(restore_end(false), E_CLOSED);
	T_BYTES(store_restore_result(restore)->why, strlen(store_restore_result(restore)->why),
		"the backup is cut off: its end is missing");
	reopen("mail");
	store_close(st);
	/* It is not served; with the whole of it it is. */
	{
		struct store_config config = into("cut");

		config.restore = false;
		T_EQ(rig_open(&config), E_STATE);
		T_OK(strstr(rig_reason, "cubby restore"));
	}
	restore_all("cut");
	T_OK(store_restore_result(restore)->resumed);
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	/* Or what came is taken as it is. */
	store_close(st);
	T_EQ(restore_begin("part"), OK);
	T_EQ(restore_bytes(stream, stream_len - 1000), OK);
	T_EQ(restore_end(true), OK);
	T_OK(!store_restore_result(restore)->complete);
	T_EQ(store_restore_result(restore)->messages, 21);
	check_whole();
	reopen("part");
	store_close(st);
}

T_TEST(damage_is_seen_wherever_it_is)
{
	size_t taken;

	make_stream();
	for (unsigned i = 0; i < 400; i++) {
		size_t at = i < 100 ? i * 8 : (size_t)sim_random(stream_len);
		uint8_t bit = (uint8_t)(1u << sim_random(8));
		int err;

		arena_init(&rig_arena, rig_space, sizeof rig_space);
		T_EQ(store_restore_begin(&restore, &rig_arena, NULL, &target), OK);
		users_taken[0] = 0;
		stream[at] ^= bit;
		err = store_restore_write(restore, stream, stream_len, &taken);
		stream[at] ^= bit;
		T_OK(err == E_DAMAGED || err == E_NOTSUP || (err == OK && !store_restore_result(restore)->complete));
	}
	arena_init(&rig_arena, rig_space, sizeof rig_space);
	T_EQ(store_restore_begin(&restore, &rig_arena, NULL, &target), OK);
	users_taken[0] = 0;
	T_EQ(store_restore_write(restore, stream, stream_len, &taken), OK);
	T_EQ(store_restore_end(restore, false), OK);
	T_EQ(store_restore_result(restore)->messages, 22);
	T_EQ(store_restore_result(restore)->entries, 24);
	T_EQ(store_restore_write(restore, "x", 1, &taken), E_DAMAGED);
}

static uint8_t made[sizeof stream];

/* The stream with some records changed, left out or twice, all of them with good
 * checksums. */
static size_t make_hostile(unsigned one_of)
{
	size_t from = 0, to = 0;
	uint64_t number = 0, id = le64(stream + BACKUP_HEADER + 16);

	while (from < stream_len) {
		uint8_t *record = made + to;
		size_t len = BACKUP_HEADER + (size_t)backup_length(stream + from);
		uint64_t chance = from ? sim_random(one_of) : sim_random(10 * one_of) + 4;

		memcpy(record, stream + from, len);
		if (chance < 3 && len > BACKUP_HEADER)
			for (unsigned i = 0; i < 3; i++)
				record[BACKUP_HEADER +
					sim_random(len - BACKUP_HEADER < 40 ? len - BACKUP_HEADER : 40)] ^=
					(uint8_t)(1u << sim_random(8));
		if (chance == 4 && sim_random(4) == 0)
			record[0] = (uint8_t)(BACKUP_HEAD + sim_random(BACKUP_END));
		if (chance == 5 && len > BACKUP_HEADER)
			len -= sim_random(len - BACKUP_HEADER);
		backup_seal(record, record[0], len - BACKUP_HEADER, id, number);
		if (chance != 6)
			from += BACKUP_HEADER + (size_t)backup_length(stream + from);
		if (chance != 7) {
			to += len;
			number++;
		}
	}
	return to;
}

/* Whatever somebody writes into a backup: an error or a store, in bounded time. */
T_TEST(nothing_in_it_is_trusted)
{
	struct sim_image *image;
	unsigned taken_whole = 0, refused = 0;

	make_stream();
	image = sim_image_save();
	for (unsigned i = 0; i < 400; i++) {
		size_t len = make_hostile(i % 2 ? 100 : 1000);
		struct store_config config = into("copy");
		uint64_t cursor = 0;
		int err;

		sim_image_load(image);
		T_EQ(restore_begin("copy"), OK);
		err = restore_bytes(made, len);
		if (err == OK)
			err = restore_end(true);
		taken_whole += err == OK;
		refused += err != OK;
		T_OK(!store_read_only(st));
		store_close(st);
		T_EQ(rig_open(&config), OK);
		if (err == OK)
			while (store_check(st, &cursor, NULL, NULL) == E_AGAIN)
				;
		store_close(st);
	}
	sim_image_free(image);
	if (taken_whole < 10 || refused < 50)
		T_FAIL("%u taken, %u refused", taken_whole, refused);
}

T_TEST(only_an_empty_store_with_room_is_restored)
{
	struct store_config config = into("small");
	size_t taken;

	make_stream();
	T_EQ(restore_begin("mail"), OK);
	T_EQ(store_restore_write(restore, stream, stream_len, &taken), E_STATE);
	T_OK(strstr(store_restore_result(restore)->why, "not empty"));
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	store_close(st);
	/* A backup of a larger store. */
	start_busy(1500);
	backup();
	store_close(st);
	T_EQ(rig_open(&config), OK);
	T_EQ(store_restore_begin(&restore, &rig_arena, st, &target), OK);
	T_EQ(store_restore_write(restore, stream, stream_len, &taken), E_FULL);
	T_OK(strstr(store_restore_result(restore)->why, "`storage`"));
	T_EQ(st->super.restoring, 0);
	store_close(st);
}

/* What is damaged in the store is told, and nothing else is lost. */
T_TEST(a_damaged_message_is_told)
{
	struct store_entry e;
	struct object o;
	char name[64];

	rig_start(&rig_config);
	fill_store();
	T_EQ(store_entry_get(st, inbox, 3, &e), OK);
	T_EQ(object_load(st, e.object, &o), OK);
	(void)snprintf(name, sizeof name, "mail/%08x.seg", (unsigned)o.segment);
	T_OK(sim_flip_bit(name, o.offset * 64 + 64 + o.body_len + 100, 3));
	backup();
	store_close(st);
	lost_uid = 0;
	restore_all("copy");
	T_EQ(store_restore_result(restore)->lost, 1);
	T_EQ(store_restore_result(restore)->messages, 21);
	T_EQ(lost_mailbox, inbox);
	T_EQ(lost_uid, 3);
	T_EQ(store_entry_get(st, inbox, 3, &e), E_NOENT);
	check_whole();
}

/* A summary can be made anew from the message. */
T_TEST(a_damaged_summary_costs_no_message)
{
	struct store_entry e;
	struct object o;
	char name[64];

	rig_start(&rig_config);
	fill_store();
	(void)rig_upkeep(10000);
	dump(dumps[0]);
	T_EQ(store_entry_get(st, inbox, 3, &e), OK);
	T_EQ(object_load(st, e.object, &o), OK);
	(void)snprintf(name, sizeof name, "mail/%08x.seg", (unsigned)o.segment);
	T_OK(sim_flip_bit(name, o.offset * 64 + 64 + o.body_len - 3, 3));
	backup();
	store_close(st);
	restore_all("copy");
	T_EQ(store_restore_result(restore)->lost, 0);
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	check_whole();
}

/* A restored store can be backed up as any other, and no UIDVALIDITY comes again,
 * not even when one backup is restored twice. */
T_TEST(generations)
{
	struct store_mailbox m[3];
	uint64_t identity, next[3];

	rig_start(&rig_config);
	fill_store();
	(void)rig_upkeep(10000);
	dump(dumps[0]);
	identity = store_identity(st);
	backup();
	store_close(st);
	for (unsigned i = 0; i < 2; i++) {
		restore_all(i ? "second" : "first");
		T_EQ(store_mailbox_get(st, inbox, &m[i]), OK);
		next[i] = st->super.next_object;
		if (i)
			backup();
		store_close(st);
	}
	restore_all("third");
	T_EQ(store_mailbox_get(st, inbox, &m[2]), OK);
	next[2] = st->super.next_object;
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	T_OK(store_identity(st) == identity);
	T_OK(m[0].uidvalidity != m[1].uidvalidity && m[2].uidvalidity > m[1].uidvalidity);
	T_OK(next[0] != next[1] && next[2] > next[1]);
}

/* A message that more entries show than one record takes. */
T_TEST(many_may_show_one_message)
{
	rig_start(&rig_config);
	inbox = rig_mailbox("INBOX");
	(void)rig_add(inbox, 1, 3000);
	for (unsigned i = 0; i < 100; i++) {
		struct store_copy copy;
		uint32_t uid = 1;
		size_t added;
		store_ticket t;

		T_EQ(store_copy_begin(st, inbox, &copy), OK);
		T_EQ(store_copy_add(st, &copy, inbox, &uid, 1, &added, &t), OK);
		rig_commit();
		T_EQ(store_copy_publish(st, &copy, &t), OK);
		rig_commit();
	}
	dump(dumps[0]);
	backup();
	T_OK(stream_len < 20000);
	store_close(st);
	restore_all("copy");
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	check_whole();
	reopen("copy");
	check_whole();
}

/* A disk that fills in the middle: nothing is left out in silence. */
T_TEST(a_full_disk)
{
	struct sim_image *image;
	unsigned refused = 0;

	make_stream();
	image = sim_image_save();
	for (uint64_t room = 300000; room < 3000000; room += 12288) {
		int err;

		sim_image_load(image);
		sim_disk(PORT_FS_OTHER, sim_charged("mail") + room);
		err = restore_begin("copy");
		if (err == OK)
			err = restore_bytes(stream, stream_len);
		if (err == OK)
			err = restore_end(false);
		if (err != OK)
			T_OK(err == E_NOSPC || err == E_FULL || err == E_READONLY || err == E_IO);
		refused += err != OK;
		sim_kill();
		sim_disk(PORT_FS_OTHER, 0);
		if (err != OK) {
			restore_all("copy");
		} else {
			struct store_config config = into("copy");

			rig_again(&config);
		}
		dump(dumps[1]);
		same(dumps[0], dumps[1]);
		check_whole();
	}
	sim_image_free(image);
	T_OK(refused > 5);
}

/* ---- cuts ---- */

static void busy_body(void *context)
{
	uint32_t turn = 1000;

	(void)context;
	stream_len = 0;
	T_EQ(store_backup_begin(st, &source), OK);
	for (unsigned i = 0; backup_some(4096) > 0; i++) {
		if (i % 2) {
			change(turn++);
			(void)rig_turn();
		}
	}
	store_backup_end(st);
	for (unsigned i = 0; !store_backup_settled(st) || i < 20; i++) {
		change(turn++);
		(void)rig_turn();
	}
	store_close(st);
}

/* The power is cut while a backup is read, while what it held is given back, and
 * behind that: nothing stays held, and nothing that is wanted is missing. */
T_TEST(a_cut_leaves_nothing_held)
{
	struct sim_image *image;
	unsigned cuts = 0;

	start_busy(120);
	store_close(st);
	image = sim_image_save();
	for (uint64_t n = 1;; n += 3) {
		sim_image_load(image);
		rig_again(&large);
		sim_cut_at(n);
		if (sim_run(busy_body, NULL) == SIM_DONE)
			break;
		cuts++;
		sim_power_cut(n % 2 ? &sim_mixed : &sim_keep_all);
		rig_again(&large);
		no_slot_is_lost();
		check_whole();
		T_EQ(stray_files(), 0);
		(void)rig_upkeep(10000);
		store_close(st);
	}
	sim_image_free(image);
	T_OK(cuts > 100);
}

static void restore_body(void *context)
{
	(void)context;
	restore_all("copy");
}

/* The power is cut at every operation of a restore; the next one finishes it. */
T_TEST(a_restore_may_be_cut_anywhere)
{
	unsigned cuts = 0, twice = 0, refused = 0;

	make_stream();
	for (uint64_t n = 1;; n++) {
		struct sim_image *image = sim_image_save();
		struct store_config config = into("copy");
		enum sim_end end;

		sim_cut_at(n);
		end = sim_run(restore_body, NULL);
		if (end == SIM_DONE) {
			sim_image_free(image);
			break;
		}
		cuts++;
		sim_power_cut(n % 3 ? &sim_mixed : &sim_lose_all);
		/* Once more while it goes on. */
		if (n % 2) {
			sim_cut_at(1 + sim_random(60));
			if (sim_run(restore_body, NULL) == SIM_CUT) {
				sim_power_cut(n % 4 == 1 ? &sim_mixed : &sim_garbage);
				twice++;
			} else {
				sim_cut_at(0);
				sim_image_load(image);
			}
		}
		/* Half a store is not served. */
		config.restore = false;
		if (rig_open(&config) == OK)
			store_close(st);
		else
			refused++;
		restore_all("copy");
		dump(dumps[1]);
		same(dumps[0], dumps[1]);
		check_whole();
		sim_image_load(image);
		sim_image_free(image);
	}
	T_OK(cuts > 30);
	T_OK(refused > 10);
	T_OK(twice > 10);
}

T_MAIN(T_RUN(everything_comes_back) T_RUN(it_is_the_store_of_one_moment) T_RUN(a_small_store_is_backed_up_too) T_RUN(
	what_it_held_is_given_back_under_load) T_RUN(it_may_end_anywhere) T_RUN(it_gives_way_to_mail)
		T_RUN(a_part_of_it_is_no_backup) T_RUN(damage_is_seen_wherever_it_is) T_RUN(nothing_in_it_is_trusted)
			T_RUN(only_an_empty_store_with_room_is_restored) T_RUN(a_damaged_message_is_told)
				T_RUN(a_damaged_summary_costs_no_message) T_RUN(generations) T_RUN(a_full_disk)
					T_RUN(a_cut_leaves_nothing_held) T_RUN(many_may_show_one_message)
						T_RUN(a_restore_may_be_cut_anywhere))
