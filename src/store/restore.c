/* Restoring: the stream of a backup becomes records of the log of an empty store.
 * The superblock says that the store is being restored, and from which backup,
 * before the first of them, and says it no more when the last is durable. After a
 * cut the same stream is simply taken again: what is there already is passed over. */
#include "store/backup_stream.h"
#include "store/store_int.h"

#include <stdio.h>
#include <string.h>

#include "base/le.h"
#include "store/names.h"

/* Ids that a store gives anew begin this far above those that the backup knows of:
 * what it gave after the backup was made is never given to something else, nor what
 * another store gave that was restored from the same backup. */
#define OBJECT_JUMP (UINT64_C(1) << 32)
#define OBJECT_CHANCE 48 /* bits */
#define MAILBOX_JUMP (1u << 12)
#define MAILBOX_CHANCE 16
#define UIDVALIDITY_JUMP (1u << 16)
#define UIDVALIDITY_CHANCE 24

enum state {
	STATE_HEAD,    /* nothing came */
	STATE_NAMES,   /* what stands in front of the messages */
	STATE_ENTRIES, /* a message began */
	STATE_BYTES,   /* its entries are known */
	STATE_BETWEEN, /* it is done */
	STATE_END
};

struct store_restore {
	struct store *st; /* NULL: the stream is only verified */
	struct store_restore_target target;
	struct store_restored result;
	enum state state;
	char why[200];
	uint64_t number;  /* of records taken */
	uint32_t have;    /* bytes of the next one */
	uint8_t record[BACKUP_RECORD];
	/* The message that comes. */
	struct store_upload *upload;
	uint64_t object;
	uint32_t size, summary_len;
	uint64_t got, got_summary;
	bool there;       /* it was restored before a cut */
	size_t n;
	struct exact_target entries[BACKUP_ENTRIES];
	uint8_t summary[LIMIT_SUMMARY];
};

_Static_assert(BACKUP_ENTRIES == EXACT_TARGETS, "they go into one record");

bool store_half_restored(const struct store *st)
{
	return st->super.restoring != 0;
}

size_t store_restore_memory(void)
{
	return arena_size(sizeof(struct store_restore));
}

int store_restore_begin(struct store_restore **out, struct arena *arena, struct store *st,
	const struct store_restore_target *target)
{
	struct store_restore *r = arena_take(arena, sizeof *r);

	if (!r)
		return E_NOMEM;
	r->st = st;
	r->target = *target;
	r->result.why = r->why;
	*out = r;
	return OK;
}

const struct store_restored *store_restore_result(const struct store_restore *r)
{
	return &r->result;
}

static int refuse(struct store_restore *r, int err, const char *why)
{
	(void)snprintf(r->why, sizeof r->why, "%s", why);
	return err;
}

static int damaged(struct store_restore *r)
{
	(void)snprintf(r->why, sizeof r->why, "the backup is damaged at its record %llu",
		(unsigned long long)r->number);
	return E_DAMAGED;
}

/* A commit that meets a full disk refuses its messages, and nobody waits for each
 * of them here. */
static int no_message_lost(struct store_restore *r)
{
	if (!r->st || r->st->n_lost == 0)
		return OK;
	return refuse(r, E_NOSPC, "the disk is full: make room on it and restore the same backup again");
}

/* ---- the beginning ---- */

static bool has_rows(struct store *st, enum tree_table table)
{
	struct key found;
	int n = tree_seek(&st->tree, tree_key(table, 0, 0), &found, NULL, 0);

	return (n >= 0 || n == E_LIMIT) && found.hi >> 56 == (uint64_t)table;
}

static bool is_empty(struct store *st)
{
	return st->super.objects == 0 && st->super.messages == 0 && !has_rows(st, TREE_MAILBOX) &&
		!has_rows(st, TREE_SUBSCRIBED) && !st->open_uploads;
}

static int has_room(struct store_restore *r)
{
	struct store *st = r->st;
	const struct store_backup_info *info = &r->result.info;
	uint64_t capacity = space_capacity(st);
	struct port_fs fs;

	if (info->live > capacity || info->pages + checkpoint_slots(st) > st->tree.slots.limit) {
		(void)snprintf(r->why, sizeof r->why,
			"the backup's mail takes %llu MiB and %llu MiB of index; `storage` leaves %llu and %llu",
			(unsigned long long)(info->live >> 20), (unsigned long long)(info->pages >> 8),
			(unsigned long long)(capacity >> 20), (unsigned long long)(st->tree.slots.limit >> 8));
		return E_FULL;
	}
	if (!st->config.allow_volatile && port_fs_info(st->dir, &fs) == OK && fs.free < info->live) {
		(void)snprintf(r->why, sizeof r->why, "the backup's mail takes %llu MiB; the disk has %llu MiB free",
			(unsigned long long)(info->live >> 20), (unsigned long long)(fs.free >> 20));
		return E_NOSPC;
	}
	return OK;
}

/* A number from 0 to 2^bits - 1 that nobody can foresee. */
static uint64_t by_chance(struct store *st, unsigned bits)
{
	uint64_t n = 0;

	if (port_entropy(&n, sizeof n) != OK)
		n = st->super.identity ^ (uint64_t)port_wall_time() * 1000003u;
	return n >> (64 - bits);
}

/* Behind both counters and further on; near its end a counter only goes on. */
static uint32_t ahead(struct store *st, uint32_t here, uint32_t there, uint32_t jump, unsigned chance)
{
	uint32_t n = here > there ? here : there;

	return n < UINT32_MAX / 2 ? n + jump + (uint32_t)by_chance(st, chance) : n;
}

/* The counters of the store that is made, and that it is being made. */
static int begin_store(struct store_restore *r)
{
	struct store *st = r->st;
	struct super *s = &st->super;
	const struct store_backup_info *info = &r->result.info;
	int err = OK;

	if (st->log.file >= 0) {
		err = port_sync(st->log.file);
		if (err == OK)
			err = segment_close(st, st->log.staged, st->log.end);
	}
	if (err != OK)
		return err;
	s->next_object = (s->next_object > info->next_object ? s->next_object : info->next_object) + OBJECT_JUMP +
		by_chance(st, OBJECT_CHANCE);
	s->next_mailbox = ahead(st, s->next_mailbox, info->next_mailbox, MAILBOX_JUMP, MAILBOX_CHANCE);
	s->next_uidvalidity =
		ahead(st, s->next_uidvalidity, info->next_uidvalidity, UIDVALIDITY_JUMP, UIDVALIDITY_CHANCE);
	s->next_lsn = (s->next_lsn > info->lsn ? s->next_lsn : info->lsn + 1) + LSN_JUMP;
	st->log.staged = st->log.applied = st->log.durable = s->next_lsn - 1;
	if (store_box_time(st) < info->box_time)
		st->box_base += info->box_time - store_box_time(st);
	s->origin = info->identity == s->identity ? 0 : info->identity;
	s->restoring = info->id;
	return checkpoint_write(st, false);
}

static int take_head(struct store_restore *r, struct bytes p)
{
	struct store_backup_info info;
	int err = backup_head_get(p, &info);

	if (err != OK)
		return refuse(r, E_NOTSUP, "this is no backup, or one of a newer version of Cubby");
	r->result.info = info;
	r->state = STATE_NAMES;
	if (!r->st)
		return OK;
	if (!log_wait_idle(r->st))
		return E_AGAIN;
	r->result.resumed = r->st->super.restoring == info.id;
	if (r->st->super.restoring && !r->result.resumed)
		return refuse(r, E_STATE, "the store is half restored from another backup");
	if (r->result.resumed)
		return OK;
	if (!is_empty(r->st))
		return refuse(r, E_STATE, "the store is not empty: a backup is restored into an empty one only");
	err = has_room(r);
	return err == OK ? begin_store(r) : err;
}

static int take_age(struct store_restore *r, struct bytes p)
{
	struct super *s = r->st ? &r->st->super : NULL;

	if (p.len != 12 * AGE_MARKS)
		return damaged(r);
	for (size_t i = 0; i < AGE_MARKS; i++) {
		struct age_mark mark = { le64(p.data + 12 * i), le32(p.data + 12 * i + 8) };

		if (mark.lsn > r->result.info.lsn || mark.box_time > r->result.info.box_time)
			return damaged(r);
		if (s)
			s->marks[i] = mark;
	}
	return OK;
}

/* ---- names ---- */

static int take_user(struct store_restore *r, struct bytes p)
{
	int err = r->target.user ? r->target.user(r->target.context, p) : OK;

	if (err == OK)
		r->result.users++;
	else if (err != E_AGAIN)
		(void)refuse(r, err, "the users of the backup can't be taken");
	return err;
}

#define OPERATION_BYTES (64 + LIMIT_MAILBOX_NAME)

/* Room for the operations of one record: E_AGAIN when a commit comes first. */
static int names_begin(struct store *st, struct buf *out)
{
	uint8_t *body;
	int err = st->read_only ? E_READONLY : room_for_record(st, RECORD_HEADER + OPERATION_BYTES);

	if (err != OK)
		return err;
	body = log_body(st, OPERATION_BYTES);
	if (!body)
		return E_AGAIN;
	buf_init(out, body, OPERATION_BYTES);
	return OK;
}

static int names_end(struct store *st, struct buf *out)
{
	(void)log_add(st, RECORD_NAMES, out->len);
	(void)log_wait(st);
	return OK;
}

/* Whether a mailbox came, and what is above it. What was just staged is known after
 * a commit. */
static int find_mailbox(struct store_restore *r, uint32_t id, struct mailbox *m)
{
	int err = mailbox_load(r->st, id, m);

	if (err == E_NOENT)
		return log_wait_idle(r->st) ? damaged(r) : E_AGAIN;
	return err;
}

/* A mailbox stands below one that came before it, and not too deep. */
static int check_parents(struct store_restore *r, uint32_t id)
{
	struct mailbox m;

	for (unsigned depth = 1; id; depth++) {
		int err = depth < LIMIT_MAILBOX_DEPTH ? find_mailbox(r, id, &m) : damaged(r);

		if (err != OK)
			return err;
		id = m.parent;
	}
	return OK;
}

static bool good_mailbox(const struct store_restore *r, struct bytes p)
{
	return p.len > BACKUP_MAILBOX_BYTES && le32(p.data) != 0 && le32(p.data) < r->result.info.next_mailbox &&
		le32(p.data + 4) != 0 && le32(p.data + 8) != le32(p.data) && le32(p.data + 16) != 0 &&
		le64(p.data + 24) <= r->result.info.lsn &&
		names_check_level(bytes_part(p, BACKUP_MAILBOX_BYTES, p.len)) == OK;
}

static int take_mailbox(struct store_restore *r, struct bytes p)
{
	struct mailbox old;
	struct buf out;
	int err;

	if (!good_mailbox(r, p))
		return damaged(r);
	err = r->st ? mailbox_load(r->st, le32(p.data), &old) : OK;
	if (err == OK)
		return r->result.mailboxes++, OK;
	if (err == E_NOENT)
		err = check_parents(r, le32(p.data + 8));
	if (err == OK)
		err = names_begin(r->st, &out);
	if (err != OK)
		return err;
	(void)buf_putc(&out, NAMES_CREATE);
	(void)buf_put(&out, p.data, 12);
	names_put_word(&out, r->st->super.next_uidvalidity++);
	(void)buf_putc(&out, p.data[32]);
	names_put_name(&out, bytes_part(p, BACKUP_MAILBOX_BYTES, p.len));
	(void)buf_putc(&out, NAMES_RESTORED);
	(void)buf_put(&out, p.data, 4);
	(void)buf_put(&out, p.data + 16, 4);
	(void)buf_put(&out, p.data + 24, 8);
	(void)buf_put(&out, p.data + 20, 4);
	r->result.mailboxes++;
	return names_end(r->st, &out);
}

static int take_keyword(struct store_restore *r, struct bytes p)
{
	struct mailbox m;
	struct buf out;
	int err;

	if (p.len <= 5 || p.len > 5 + LIMIT_KEYWORD_NAME || p.data[4] >= LIMIT_KEYWORDS)
		return damaged(r);
	if (!r->st)
		return OK;
	err = find_mailbox(r, le32(p.data), &m);
	if (err == OK)
		err = names_begin(r->st, &out);
	if (err != OK)
		return err;
	(void)buf_putc(&out, NAMES_KEYWORD);
	(void)buf_put(&out, p.data, 5);
	names_put_name(&out, bytes_part(p, 5, p.len));
	return names_end(r->st, &out);
}

static int take_subscription(struct store_restore *r, struct bytes p)
{
	struct buf out;
	int err;

	if (p.len <= 4 || p.len > 4 + LIMIT_MAILBOX_NAME)
		return damaged(r);
	if (!r->st)
		return OK;
	err = names_begin(r->st, &out);
	if (err != OK)
		return err;
	(void)buf_putc(&out, NAMES_SUBSCRIBE);
	(void)buf_put(&out, p.data, 4);
	(void)buf_putc(&out, 1);
	names_put_name(&out, bytes_part(p, 4, p.len));
	return names_end(r->st, &out);
}

static int take_quota(struct store_restore *r, struct bytes p)
{
	struct buf out;
	int err;

	if (p.len != 20)
		return damaged(r);
	if (!r->st)
		return OK;
	err = names_begin(r->st, &out);
	if (err != OK)
		return err;
	(void)buf_putc(&out, NAMES_QUOTA);
	(void)buf_putb(&out, p);
	return names_end(r->st, &out);
}

/* ---- messages ---- */

static int take_message(struct store_restore *r, struct bytes p)
{
	uint64_t id = p.len == 16 ? le64(p.data) : 0;
	struct object o;
	int err;

	/* Ids ascend: none comes twice. */
	if (id <= r->object || id >= r->result.info.next_object || le32(p.data + 12) > LIMIT_SUMMARY)
		return damaged(r);
	r->size = le32(p.data + 8);
	r->summary_len = le32(p.data + 12);
	r->got = r->got_summary = 0;
	r->n = 0;
	r->there = false;
	if (r->st) {
		err = object_load(r->st, id, &o);
		r->there = err == OK;
		if (err == E_NOENT)
			err = upload_begin_exact(r->st, id, r->size, &r->upload);
		if (err != OK)
			return err;
	}
	r->object = id;
	r->state = STATE_ENTRIES;
	return OK;
}

static int get_entry(struct store_restore *r, struct bytes p, struct exact_target *out)
{
	if (p.len != BACKUP_ENTRY_BYTES)
		return damaged(r);
	out->mailbox = le32(p.data);
	if (!entry_get(bytes_part(p, 8, ENTRY_BYTES), le32(p.data + 4), &out->entry) ||
		out->entry.object != r->object || out->entry.size != r->size || out->entry.uid == 0 ||
		out->entry.modseq > r->result.info.lsn || out->entry.arrival > r->result.info.lsn)
		return damaged(r);
	return OK;
}

static int take_entry(struct store_restore *r, struct bytes p)
{
	int err = r->n < BACKUP_ENTRIES ? get_entry(r, p, &r->entries[r->n]) : damaged(r);

	r->n += err == OK;
	return err;
}

static int take_summary(struct store_restore *r, struct bytes p)
{
	if (r->got || p.len > r->summary_len - r->got_summary)
		return damaged(r);
	memcpy(r->summary + r->got_summary, p.data, p.len);
	r->got_summary += p.len;
	r->state = STATE_BYTES;
	return OK;
}

static int take_data(struct store_restore *r, struct bytes p)
{
	int err = OK;

	if (r->got_summary != r->summary_len || p.len > r->size - r->got)
		return damaged(r);
	if (r->upload)
		err = upload_has_room(r->upload, p.len);
	if (err == OK && r->upload)
		err = store_upload_write(r->upload, p.data, p.len);
	if (err != OK)
		return err;
	r->got += p.len;
	r->state = STATE_BYTES;
	return OK;
}

/* The bytes of a message came, its summary was damaged. */
static int make_summary(struct store_restore *r)
{
	struct bytes summary;
	int err = r->target.summarize(r->target.context, r->upload, &summary);

	if (err == OK && summary.len <= LIMIT_SUMMARY) {
		r->summary_len = (uint32_t)summary.len;
		r->got_summary = summary.len;
		memcpy(r->summary, summary.data, summary.len);
	}
	return err;
}

static int take_done(struct store_restore *r, struct bytes p)
{
	int err = OK;

	if (p.len || r->n == 0 || r->got_summary != r->summary_len || r->got != r->size)
		return damaged(r);
	if (r->upload && r->summary_len == 0 && r->target.summarize)
		err = make_summary(r);
	if (err == OK && r->upload)
		err = upload_commit_exact(r->upload, bytes_make(r->summary, r->summary_len), r->entries, r->n);
	if (err != OK)
		return err;
	r->upload = NULL;
	r->result.messages++;
	r->result.entries += r->n;
	r->result.bytes += r->size;
	r->state = STATE_BETWEEN;
	return OK;
}

static void drop_upload(struct store_restore *r)
{
	if (r->upload)
		store_upload_abort(r->upload);
	r->upload = NULL;
}

static int take_lost(struct store_restore *r, struct bytes p)
{
	if (p.len)
		return damaged(r);
	drop_upload(r);
	for (size_t i = 0; i < r->n && r->target.lost; i++)
		r->target.lost(r->target.context, r->entries[i].mailbox, r->entries[i].entry.uid);
	r->result.lost++;
	r->n = 0;
	r->state = STATE_NAMES;
	return OK;
}

static int take_more(struct store_restore *r, struct bytes p)
{
	struct exact_target one;
	uint8_t *body;
	int err = get_entry(r, p, &one);

	if (err == OK && r->st) {
		err = room_for_record(r->st, RECORD_HEADER + SHOWN_BODY);
		if (err != OK)
			return err;
		body = log_body(r->st, SHOWN_BODY);
		if (!body)
			return E_AGAIN;
		put_le64(body, r->object);
		memcpy(body + 8, p.data, BACKUP_ENTRY_BYTES);
		(void)log_add(r->st, RECORD_SHOWN, SHOWN_BODY);
		(void)log_wait(r->st);
	}
	r->result.entries += err == OK;
	return err;
}

static int take_end(struct store_restore *r, struct bytes p)
{
	const struct store_restored *s = &r->result;

	if (p.len != BACKUP_END_BYTES || le64(p.data) != s->messages || le64(p.data + 8) != s->entries ||
		le64(p.data + 16) != s->lost || le64(p.data + 24) != r->number + 1)
		return damaged(r);
	r->result.complete = true;
	r->state = STATE_END;
	return OK;
}

/* ---- records ---- */

/* What may come in which state. */
static const struct kind {
	int (*take)(struct store_restore *r, struct bytes payload);
	unsigned states;
} kinds[] = {
	[BACKUP_HEAD] = { take_head, 1u << STATE_HEAD },
	[BACKUP_AGE] = { take_age, 1u << STATE_NAMES },
	[BACKUP_USER] = { take_user, 1u << STATE_NAMES },
	[BACKUP_MAILBOX] = { take_mailbox, 1u << STATE_NAMES },
	[BACKUP_KEYWORD] = { take_keyword, 1u << STATE_NAMES },
	[BACKUP_SUBSCRIBED] = { take_subscription, 1u << STATE_NAMES },
	[BACKUP_QUOTA] = { take_quota, 1u << STATE_NAMES },
	[BACKUP_MESSAGE] = { take_message, 1u << STATE_NAMES | 1u << STATE_BETWEEN },
	[BACKUP_ENTRY] = { take_entry, 1u << STATE_ENTRIES },
	[BACKUP_SUMMARY] = { take_summary, 1u << STATE_ENTRIES | 1u << STATE_BYTES },
	[BACKUP_DATA] = { take_data, 1u << STATE_ENTRIES | 1u << STATE_BYTES },
	[BACKUP_DONE] = { take_done, 1u << STATE_ENTRIES | 1u << STATE_BYTES },
	[BACKUP_LOST] = { take_lost, 1u << STATE_ENTRIES | 1u << STATE_BYTES },
	[BACKUP_MORE] = { take_more, 1u << STATE_BETWEEN },
	[BACKUP_END] = { take_end, 1u << STATE_NAMES | 1u << STATE_BETWEEN },
};

static int take_record(struct store_restore *r)
{
	const struct kind *kind = &kinds[r->record[0]];
	int err;

	if (!backup_sealed(r->record, r->result.info.id, r->number) || !(kind->states >> r->state & 1))
		return r->number ? damaged(r) : refuse(r, E_NOTSUP, "this is no backup of Cubby");
	err = kind->take(r, bytes_make(r->record + BACKUP_HEADER, le16(r->record + 2)));
	if (err == E_AGAIN && kind->take == take_head)
		r->state = STATE_HEAD;
	if (err == OK) {
		r->number++;
		r->have = 0;
	}
	return err;
}

/* Fills the record up to `want` bytes. */
static void fill(struct store_restore *r, uint32_t want, const uint8_t *data, size_t len, size_t *taken)
{
	size_t n = want - r->have < len - *taken ? want - r->have : len - *taken;

	memcpy(r->record + r->have, data + *taken, n);
	r->have += (uint32_t)n;
	*taken += n;
}

int store_restore_write(struct store_restore *r, const void *data, size_t len, size_t *taken)
{
	*taken = 0;
	if (r->st && r->st->read_only)
		return refuse(r, E_READONLY, "the store can't be written any more; look at the disk");
	if (no_message_lost(r) != OK)
		return E_NOSPC;
	while (*taken < len || r->have >= BACKUP_HEADER) {
		int payload, err;

		if (r->state == STATE_END && *taken < len)
			return refuse(r, E_DAMAGED, "something stands behind the end of the backup");
		if (r->have < BACKUP_HEADER)
			fill(r, BACKUP_HEADER, data, len, taken);
		if (r->have < BACKUP_HEADER)
			return OK;
		payload = backup_length(r->record);
		if (payload < 0)
			return r->number ? damaged(r) : refuse(r, E_NOTSUP, "this is no backup of Cubby");
		if (r->have < BACKUP_HEADER + (uint32_t)payload)
			fill(r, BACKUP_HEADER + (uint32_t)payload, data, len, taken);
		if (r->have < BACKUP_HEADER + (uint32_t)payload)
			return OK;
		err = take_record(r);
		if (err != OK)
			return err;
	}
	return OK;
}

int store_restore_end(struct store_restore *r, bool partial)
{
	struct store *st = r->st;

	drop_upload(r);
	if (!r->result.complete && !partial)
		return refuse(r, E_CLOSED, "the backup is cut off: its end is missing");
	if (!st || !st->super.restoring)
		return OK;
	if (st->read_only)
		return E_READONLY;
	if (!log_wait_idle(st))
		return E_AGAIN;
	if (no_message_lost(r) != OK)
		return E_NOSPC;
	/* A bug alone can bring this about; then it shall not pass. */
	if (r->result.complete && st->super.objects != r->result.messages)
		return refuse(r, E_DAMAGED, "not every message of the backup came in");
	st->super.restoring = 0;
	return checkpoint_write(st, false);
}
