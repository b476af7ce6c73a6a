/* What the tests of backups and of restores share: a dump of everything that must
 * come back, backups into memory, restores out of it, and stores to do it with. */
#ifndef TESTS_STORE_BACKUP_H
#define TESTS_STORE_BACKUP_H

#include "store/backup.h"

#include "base/crc32c.h"
#include "store/store_int.h"
#include "store_rig.h"

static uint8_t stream[24u << 20];
static size_t stream_len;
static char dumps[3][1 << 20];

/* ---- a dump: everything that a restore must bring back, as text ---- */

static struct buf *out;

static inline void dump_message(uint32_t mailbox, const struct store_entry *e)
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

static inline void dump_mailbox(const struct store_mailbox *m)
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

static inline void dump_owner(uint32_t owner)
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
static inline uint32_t dump_owner_sum(uint32_t owner)
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

static inline void dump(char *space)
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

static inline void same(const char *a, const char *b)
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

static inline int give_user(void *context, uint64_t *cursor, uint8_t *line)
{
	(void)context;
	if (*cursor == sizeof users / sizeof *users)
		return E_NOENT;
	memcpy(line, users[*cursor], strlen(users[*cursor]));
	return (int)strlen(users[(*cursor)++]);
}

static inline int take_user(void *context, struct bytes line)
{
	(void)context;
	strncat(users_taken, (const char *)line.data, line.len);
	strcat(users_taken, ";");
	return OK;
}

static uint32_t lost_mailbox, lost_uid;

static inline void take_lost(void *context, uint32_t mailbox, uint32_t uid)
{
	(void)context;
	lost_mailbox = mailbox;
	lost_uid = uid;
}

static inline int summarize(void *context, struct store_upload *up, struct bytes *summary)
{
	(void)context;
	T_OK(store_upload_size(up) > 0);
	*summary = bytes_of("summary");
	return OK;
}

static const struct store_backup_source source = { .user = give_user };
static const struct store_restore_target target = { .user = take_user, .lost = take_lost, .summarize = summarize };

/* One piece; 0 at the end. */
static inline int64_t backup_some(size_t cap)
{
	int64_t n;

	while ((n = store_backup_read(st, stream + stream_len, cap)) == E_AGAIN)
		(void)rig_turn();
	if (n > 0)
		stream_len += (size_t)n;
	T_OK(stream_len < sizeof stream - cap);
	return n;
}

static inline void backup(void)
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

static inline struct store_config into(const char *dir)
{
	struct store_config config = rig_config;

	config.dir = dir;
	config.restore = true;
	return config;
}

static inline int restore_begin(const char *dir)
{
	struct store_config config = into(dir);
	int err = rig_open(&config);

	users_taken[0] = 0;
	if (err == OK)
		err = store_restore_begin(&restore, &rig_arena, st, &target);
	return err;
}

static inline int restore_bytes(const uint8_t *data, size_t len)
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

static inline int restore_end(bool partial)
{
	int err;

	while ((err = store_restore_end(restore, partial)) == E_AGAIN)
		(void)rig_turn();
	return err;
}

static inline void restore_all(const char *dir)
{
	T_EQ(restore_begin(dir), OK);
	T_EQ(restore_bytes(stream, stream_len), OK);
	T_EQ(restore_end(false), OK);
	T_OK(store_restore_result(restore)->complete);
	(void)rig_upkeep(10000);
}

static inline void check_whole(void)
{
	uint64_t cursor = 0;
	int err;

	while ((err = store_check(st, &cursor, NULL, NULL)) == E_AGAIN)
		;
	T_EQ(err, OK);
}

static inline void reopen(const char *dir)
{
	struct store_config config = rig_config;

	store_close(st);
	config.dir = dir;
	rig_again(&config);
}

/* ---- a store with something of everything ---- */

static uint32_t inbox, sub, other;

static inline void fill_store(void)
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

static inline void make_stream(void)
{
	rig_start(&rig_config);
	fill_store();
	backup();
	dump(dumps[0]);
	store_close(st);
}

/* ---- a store of some size ---- */

#define BOXES 4
static uint32_t boxes[BOXES];

static struct store_config large;

static inline void start_busy(uint32_t messages)
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

static inline void restore_large(const char *dir)
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

#endif
