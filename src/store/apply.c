/* Applying records to the tree: the one place where state changes, live and
 * during recovery alike. Records carry values; what they name and is not there
 * any more is passed over, so that a record may be applied twice. Bodies are
 * laid out in FORMAT.md section 3. */
#include "store/store_int.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"

/* ---- rows ---- */

int mailbox_load(struct store *st, uint32_t id, struct mailbox *m)
{
	uint8_t bytes[MAILBOX_BYTES];
	int n = tree_get(&st->tree, tree_key(TREE_MAILBOX, 0, id), bytes, sizeof bytes);

	if (n < 0)
		return n;
	return mailbox_get(bytes_make(bytes, (size_t)n), id, m) ? OK : E_DAMAGED;
}

int mailbox_save(struct store *st, const struct mailbox *m)
{
	uint8_t bytes[MAILBOX_BYTES];

	return tree_put(&st->tree, tree_key(TREE_MAILBOX, 0, m->id), bytes, mailbox_put(bytes, m));
}

int entry_load(struct store *st, uint32_t mailbox, uint32_t uid, struct store_entry *e)
{
	uint8_t bytes[ENTRY_BYTES];
	int n = tree_get(&st->tree, tree_key(TREE_ENTRY, mailbox, uid), bytes, sizeof bytes);

	if (n < 0)
		return n;
	return entry_get(bytes_make(bytes, (size_t)n), uid, e) ? OK : E_DAMAGED;
}

static int entry_save(struct store *st, uint32_t mailbox, const struct store_entry *e)
{
	uint8_t bytes[ENTRY_BYTES];

	entry_put(bytes, e);
	return tree_put(&st->tree, tree_key(TREE_ENTRY, mailbox, e->uid), bytes, sizeof bytes);
}

static int owner_change(struct store *st, uint32_t owner, int64_t bytes, int64_t messages)
{
	struct key k = tree_key(TREE_OWNER, 0, owner);
	uint8_t row[OWNER_BYTES] = { 0 };
	int n = tree_get(&st->tree, k, row, sizeof row);

	if (n < 0 && n != E_NOENT)
		return n;
	put_le64(row, (uint64_t)((int64_t)le64(row) + bytes));
	put_le64(row + 8, (uint64_t)((int64_t)le64(row + 8) + messages));
	return tree_put(&st->tree, k, row, sizeof row);
}

/* ---- entries coming and going ---- */

/* One entry more; m is saved by the caller. */
static int add_entry(struct store *st, struct mailbox *m, const struct store_entry *e, bool staged)
{
	struct store_entry old;
	int err = entry_load(st, m->id, e->uid, &old);

	if (err != E_NOENT)
		return err == OK ? E_EXIST : err;
	err = entry_save(st, m->id, e);
	if (err != OK)
		return err;
	tally_add(staged ? &m->staged : &m->tally, e);
	st->super.messages++;
	return owner_change(st, m->owner, e->size, 1);
}

static int drop_entry(struct store *st, struct mailbox *m, const struct store_entry *e, bool staged, uint64_t lsn)
{
	int err = tree_delete(&st->tree, tree_key(TREE_ENTRY, m->id, e->uid), staged ? 0 : lsn);

	if (err != OK)
		return err;
	tally_remove(staged ? &m->staged : &m->tally, e);
	st->super.messages--;
	return owner_change(st, m->owner, -(int64_t)e->size, -1);
}

static void tell_changed(struct store *st, uint32_t mailbox)
{
	if (!st->replaying && st->observer.changed)
		st->observer.changed(st->observer.context, mailbox);
}

static void tell_expunged(struct store *st, uint32_t mailbox, uint32_t uid, uint64_t lsn)
{
	if (!st->replaying && st->observer.expunged)
		st->observer.expunged(st->observer.context, mailbox, uid, lsn);
}

/* Entries that a copy staged and a mount dropped may be there again when an
 * older checkpoint is replayed: the log knows nothing of the dropping. What
 * comes in under their UIDs tells that they are none. */
static int drop_stale(struct store *st, struct mailbox *m, uint64_t lsn)
{
	return m->staged_end ? apply_unstage(st, m, m->uidnext, lsn) : OK;
}

/* ---- messages ---- */

static struct store_entry target_entry(const struct record *r, const uint8_t *p, uint64_t object, uint32_t size)
{
	return (struct store_entry){
		.uid = le32(p + 4),
		.keywords = le64(p + 8),
		.received = (int64_t)le64(p + 16),
		.zone = (int16_t)le16(p + 24),
		.flags = p[26],
		.modseq = r->lsn,
		.arrival = r->lsn,
		.object = object,
		.saved = r->wall,
		.size = size,
		.box_time = r->box_time,
	};
}

/* What a restored entry brings along. */
static void set_exact(struct store_entry *e, const uint8_t *p)
{
	e->modseq = le64(p);
	e->arrival = le64(p + 8);
	e->saved = (int64_t)le64(p + 16);
	e->box_time = le32(p + 24);
}

/* The entries of an arriving message: how many there are now. */
static int add_targets(struct store *st, const struct record *r, const uint8_t *body, struct object *o, uint64_t id)
{
	unsigned n = le16(body + 12);
	bool exact = (r->flags & RECORD_EXACT) != 0;

	if (r->body_len < 16 + n * (28u + (exact ? EXACT_BYTES : 0)) + r->summary_len)
		return E_SYNTAX;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = body + 16 + i * 28u;
		struct store_entry e = target_entry(r, p, id, o->size);
		struct mailbox m;
		int err = e.uid == 0 || e.uid == UINT32_MAX ? E_NOENT : mailbox_load(st, le32(p), &m);

		if (exact)
			set_exact(&e, body + 16 + n * 28u + i * EXACT_BYTES);
		/* In a rebuild it may be moved out before the mailbox goes. */
		if (err == OK && m.doomed && !st->rebuild)
			err = E_NOENT;
		if (err == OK)
			err = drop_stale(st, &m, r->lsn);
		if (err == OK)
			err = add_entry(st, &m, &e, false);
		if (err == E_NOENT || err == E_EXIST)
			continue;
		if (err != OK)
			return err;
		if (e.uid >= m.uidnext)
			m.uidnext = e.uid + 1;
		if (!exact || m.modseq < e.modseq)
			m.modseq = exact ? e.modseq : r->lsn;
		err = mailbox_save(st, &m);
		if (err != OK)
			return err;
		err = reference_add(st, id, o, m.id, e.uid);
		if (err != OK)
			return err;
		tell_changed(st, m.id);
		evict_note_arrival(st, m.id);
	}
	return OK;
}

static int apply_message(struct store *st, const struct record *r, const uint8_t *body, uint32_t segment,
	uint32_t offset)
{
	uint64_t id = le64(body);
	struct object o;
	int err = object_load(st, id, &o);

	if (err != E_NOENT)
		return err;
	o = (struct object){
		.segment = segment,
		.offset = offset / RECORD_ALIGN,
		.size = le32(body + 8),
		.summary_len = r->summary_len,
		.body_len = r->body_len,
		.blob = (r->flags & RECORD_BLOB) != 0,
		.summary_crc = crc32c(0, body + r->body_len - r->summary_len, r->summary_len),
	};
	if (id >= st->super.next_object)
		st->super.next_object = id + 1;
	err = add_targets(st, r, body, &o, id);
	if (err != OK)
		return err;
	if (o.refs == 0)
		return o.blob ? files_remove(st, true, id, space_of_blob(o.size)) : OK;
	st->super.objects++;
	st->super.live += object_live(&o);
	st->super.life_bytes_in += o.size;
	err = segment_live(st, segment, (int64_t)object_record_size(&o), r->lsn);
	return err == OK ? object_save(st, id, &o) : err;
}

static int apply_shown(struct store *st, const struct record *r, const uint8_t *body)
{
	uint64_t id = le64(body);
	struct store_entry e;
	struct mailbox m;
	struct object o;
	int err = object_load(st, id, &o);

	(void)r;
	if (err == OK)
		err = mailbox_load(st, le32(body + 8), &m);
	if (err != OK)
		return err == E_NOENT ? OK : err;
	if (!entry_get(bytes_make(body + 16, ENTRY_BYTES), le32(body + 12), &e) || e.object != id || e.uid == 0 ||
		e.uid == UINT32_MAX)
		return E_SYNTAX;
	if (m.doomed)
		return OK;
	err = add_entry(st, &m, &e, false);
	if (err != OK)
		return err == E_EXIST ? OK : err;
	if (e.uid >= m.uidnext)
		m.uidnext = e.uid + 1;
	err = mailbox_save(st, &m);
	if (err == OK)
		err = reference_add(st, id, &o, m.id, e.uid);
	return err == OK ? object_save(st, id, &o) : err;
}

/* Cleaning copied it: only its place changes. */
static int apply_moved(struct store *st, const struct record *r, const uint8_t *body, uint32_t segment, uint32_t offset)
{
	uint64_t id = le64(body);
	struct object o;
	int err = object_load(st, id, &o);

	if (err != OK)
		return err == E_NOENT ? OK : err;
	if (o.segment == segment && o.offset == offset / RECORD_ALIGN)
		return OK;
	err = segment_live(st, o.segment, -(int64_t)object_record_size(&o), r->lsn);
	if (err != OK)
		return err;
	st->super.live -= object_live(&o);
	o.segment = segment;
	o.offset = offset / RECORD_ALIGN;
	o.body_len = r->body_len;
	st->super.live += object_live(&o);
	err = segment_live(st, segment, (int64_t)object_record_size(&o), r->lsn);
	return err == OK ? object_save(st, id, &o) : err;
}

/* ---- walking the UIDs of a record ---- */

/* Calls step for every entry that is there in n ranges (first, last) at p. */
struct each {
	struct store *st;
	struct mailbox *m;
	const struct record *r;
	const uint8_t *body;
	int (*step)(struct each *each, struct store_entry *e);
	uint32_t count;
};

static int for_ranges(struct each *each, const uint8_t *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t uid = le32(p + 8 * i), last = le32(p + 8 * i + 4);

		while (uid <= last) {
			uint8_t bytes[ENTRY_BYTES];
			struct store_entry e;
			struct key k;
			int len = tree_seek(&each->st->tree, tree_key(TREE_ENTRY, each->m->id, uid), &k, bytes,
				sizeof bytes);
			int err;

			if (len == E_NOENT || len == E_LIMIT || k.hi != tree_key(TREE_ENTRY, each->m->id, 0).hi ||
				k.lo > last)
				break;
			if (len < 0)
				return len;
			if (!entry_get(bytes_make(bytes, (size_t)len), (uint32_t)k.lo, &e))
				return E_DAMAGED;
			err = each->step(each, &e);
			if (err != OK)
				return err;
			each->count++;
			if (k.lo == UINT32_MAX)
				break;
			uid = (uint32_t)k.lo + 1;
		}
	}
	return OK;
}

static bool ranges_fit(const struct record *r, size_t at, unsigned n)
{
	return r->body_len >= at + 8 * (size_t)n;
}

/* ---- flags ---- */

static int change_flags(struct each *each, struct store_entry *e)
{
	struct store_entry new = *e;
	uint8_t flags = each->body[5];
	uint64_t keywords = le64(each->body + 8);

	switch (each->body[4]) {
	case STORE_FLAGS_SET:
		new.flags = flags;
		new.keywords = keywords;
		break;
	case STORE_FLAGS_ADD:
		new.flags |= flags;
		new.keywords |= keywords;
		break;
	default:
		new.flags &= (uint8_t)~flags;
		new.keywords &= ~keywords;
	}
	if (new.flags == e->flags && new.keywords == e->keywords)
		return OK;
	tally_remove(&each->m->tally, e);
	tally_add(&each->m->tally, &new);
	new.modseq = each->r->lsn;
	each->m->modseq = each->r->lsn;
	return entry_save(each->st, each->m->id, &new);
}

static int apply_flags(struct store *st, const struct record *r, const uint8_t *body)
{
	struct mailbox m;
	struct each each = { st, &m, r, body, change_flags, 0 };
	int err = mailbox_load(st, le32(body), &m);

	if (err != OK)
		return err == E_NOENT ? OK : err;
	if (!ranges_fit(r, 16, le16(body + 6)))
		return E_SYNTAX;
	err = for_ranges(&each, body + 16, le16(body + 6));
	if (err != OK || m.modseq != r->lsn)
		return err;
	err = mailbox_save(st, &m);
	tell_changed(st, m.id);
	return err;
}

/* ---- expunge ---- */

static int expunge_entry(struct each *each, struct store_entry *e)
{
	int err = drop_entry(each->st, each->m, e, false, each->r->lsn);

	if (err == OK)
		err = object_release(each->st, e->object, each->m->id, e->uid, each->r->lsn);
	if (err == OK)
		tell_expunged(each->st, each->m->id, e->uid, each->r->lsn);
	return err;
}

static int apply_expunge(struct store *st, const struct record *r, const uint8_t *body)
{
	struct mailbox m;
	struct each each = { st, &m, r, body, expunge_entry, 0 };
	int err = mailbox_load(st, le32(body), &m);

	if (err != OK)
		return err == E_NOENT ? OK : err;
	if (!ranges_fit(r, 8, le32(body + 4)))
		return E_SYNTAX;
	err = for_ranges(&each, body + 8, le32(body + 4));
	if (err != OK || each.count == 0)
		return err;
	m.modseq = r->lsn;
	return mailbox_save(st, &m);
}

/* ---- eviction ---- */

static int evict_entry(struct store *st, const struct record *r, struct mailbox *m, unsigned index, const uint8_t *p)
{
	struct store_entry e;
	int err = entry_load(st, m->id, le32(p), &e);

	if (err != OK)
		return err;
	err = drop_entry(st, m, &e, false, r->lsn);
	if (err == OK)
		err = object_release(st, e.object, m->id, e.uid, r->lsn);
	if (err == OK)
		err = audit_put(st, r, index, m->owner, m->id, &e, p[8], bytes_make(p + 10, p[9]));
	if (err == OK)
		tell_expunged(st, m->id, e.uid, r->lsn);
	return err;
}

static int apply_evict(struct store *st, const struct record *r, const uint8_t *body)
{
	uint32_t n = le32(body + 4);
	size_t at = 8;
	struct mailbox m;
	bool any = false;
	int err = mailbox_load(st, le32(body), &m);

	if (err != OK)
		return err == E_NOENT ? OK : err;
	for (uint32_t i = 0; i < n; i++) {
		if (i >= EVICT_BATCH || at + 10 > r->body_len || at + 10 + body[at + 9] > r->body_len)
			return any ? mailbox_save(st, &m) : E_SYNTAX;
		err = evict_entry(st, r, &m, i, body + at);
		if (err != OK && err != E_NOENT)
			return err;
		any |= err == OK;
		at += 10 + (size_t)body[at + 9];
	}
	if (!any)
		return OK;
	m.modseq = r->lsn;
	return mailbox_save(st, &m);
}

/* ---- move ---- */

struct move {
	struct each each;
	struct mailbox *target;
	const uint8_t *map; /* keyword bits of the source to the target's, or NULL */
	uint32_t first;
};

static uint64_t map_keywords(const uint8_t *map, uint64_t keywords)
{
	uint64_t out = 0;

	for (unsigned bit = 0; map && keywords; bit++, keywords >>= 1)
		if ((keywords & 1) && map[bit] < LIMIT_KEYWORDS)
			out |= (uint64_t)1 << map[bit];
	return out;
}

static int move_entry(struct each *each, struct store_entry *e)
{
	struct move *move = (struct move *)each;
	struct store_entry new = *e;
	struct object o;
	int err;

	if (each->count >= UINT32_MAX - move->first)
		return OK;
	new.uid = move->first + each->count;
	new.keywords = map_keywords(move->map, e->keywords);
	new.modseq = new.arrival = each->r->lsn;
	new.saved = each->r->wall;
	new.box_time = each->r->box_time;
	err = object_load(each->st, e->object, &o);
	if (err == OK)
		err = add_entry(each->st, move->target, &new, false);
	/* A message or a place that is not as the record thinks: it stays where it is. */
	if (err == E_EXIST || err == E_NOENT)
		return OK;
	if (err == OK)
		err = drop_entry(each->st, each->m, e, false, each->r->lsn);
	if (err == OK)
		err = reference_move(each->st, e->object, &o, each->m->id, e->uid, move->target->id, new.uid);
	if (err == OK)
		err = object_save(each->st, e->object, &o);
	if (err == OK)
		tell_expunged(each->st, each->m->id, e->uid, each->r->lsn);
	return err;
}

static int apply_move(struct store *st, const struct record *r, const uint8_t *body)
{
	struct mailbox m, target;
	struct move move = { { st, &m, r, body, move_entry, 0 }, &target, NULL, le32(body + 8) };
	unsigned n = le16(body + 12), mapped = body[14] ? LIMIT_KEYWORDS : 0;
	int err = mailbox_load(st, le32(body), &m);

	/* Into the same mailbox: both counts are those of one row. */
	if (err == OK && le32(body + 4) == m.id)
		move.target = &m;
	else if (err == OK)
		err = mailbox_load(st, le32(body + 4), &target);
	if (err != OK)
		return err == E_NOENT ? OK : err;
	if (!ranges_fit(r, 16 + mapped, n))
		return E_SYNTAX;
	if (mapped)
		move.map = body + 16;
	err = drop_stale(st, move.target, r->lsn);
	if (err != OK)
		return err;
	err = for_ranges(&move.each, body + 16 + mapped, n);
	if (err != OK || move.each.count == 0)
		return err;
	if (move.first + move.each.count > move.target->uidnext)
		move.target->uidnext = move.first + move.each.count;
	m.modseq = move.target->modseq = r->lsn;
	err = mailbox_save(st, &m);
	if (err == OK)
		err = mailbox_save(st, move.target);
	tell_changed(st, move.target->id);
	evict_note_arrival(st, move.target->id);
	return err;
}

/* ---- copy ---- */

static int apply_copy(struct store *st, const struct record *r, const uint8_t *body)
{
	struct mailbox m;
	unsigned n = le16(body + 4);
	uint32_t first = le32(body + 8);
	int err = mailbox_load(st, le32(body), &m);

	if (err != OK)
		return err == E_NOENT ? OK : err;
	if (r->body_len < 16 + n * (size_t)ENTRY_BYTES || n > UINT32_MAX - first)
		return E_SYNTAX;
	if (first < m.staged_end)
		err = drop_stale(st, &m, r->lsn);
	if (err != OK)
		return err;
	for (unsigned i = 0; i < n; i++) {
		struct store_entry e;
		struct object o;

		if (!entry_get(bytes_make(body + 16 + i * ENTRY_BYTES, ENTRY_BYTES), first + i, &e))
			return E_SYNTAX;
		err = object_load(st, e.object, &o);
		if (err == E_NOENT)
			continue;
		e.modseq = e.arrival = r->lsn;
		e.saved = r->wall;
		e.box_time = r->box_time;
		if (err == OK)
			err = add_entry(st, &m, &e, true);
		if (err == E_EXIST)
			continue;
		if (err == OK)
			err = reference_add(st, e.object, &o, m.id, e.uid);
		if (err == OK)
			err = object_save(st, e.object, &o);
		if (err != OK)
			return err;
	}
	if (first + n > m.staged_end)
		m.staged_end = first + n;
	return mailbox_save(st, &m);
}

static int apply_publish(struct store *st, const struct record *r, const uint8_t *body)
{
	struct mailbox m;
	int err = mailbox_load(st, le32(body), &m);

	if (err != OK || m.staged_end == 0)
		return err == E_NOENT ? OK : err;
	m.tally.messages += m.staged.messages;
	m.tally.unseen += m.staged.unseen;
	m.tally.deleted += m.staged.deleted;
	m.tally.size += m.staged.size;
	m.tally.deleted_size += m.staged.deleted_size;
	m.uidnext = m.staged_end;
	m.staged = (struct tally){ 0 };
	m.staged_end = 0;
	m.modseq = r->lsn;
	err = mailbox_save(st, &m);
	tell_changed(st, m.id);
	evict_note_arrival(st, m.id);
	return err;
}

int apply_unstage(struct store *st, struct mailbox *m, uint32_t down_to, uint64_t lsn)
{
	if (down_to < m->uidnext)
		down_to = m->uidnext;
	for (uint32_t uid = down_to; uid < m->staged_end; uid++) {
		struct store_entry e;
		int err = entry_load(st, m->id, uid, &e);

		if (err == E_NOENT)
			continue;
		if (err == OK)
			err = drop_entry(st, m, &e, true, lsn);
		if (err == OK)
			err = object_release(st, e.object, m->id, uid, lsn);
		if (err != OK)
			return err;
	}
	m->staged_end = down_to > m->uidnext ? down_to : 0;
	return mailbox_save(st, m);
}

static int apply_unstage_record(struct store *st, const struct record *r, const uint8_t *body)
{
	struct mailbox m;
	int err = mailbox_load(st, le32(body), &m);

	if (err != OK)
		return err == E_NOENT ? OK : err;
	return apply_unstage(st, &m, le32(body + 4), r->lsn);
}

/* ---- all of them ---- */

int apply_record(struct store *st, const struct record *r, const uint8_t *body, uint32_t segment, uint32_t offset)
{
	static const uint16_t least[] = {
		[RECORD_MESSAGE] = 16, [RECORD_FLAGS] = 16, [RECORD_EXPUNGE] = 8, [RECORD_MOVE] = 16,
		[RECORD_COPY] = 16, [RECORD_PUBLISH] = 8, [RECORD_UNSTAGE] = 8, [RECORD_MOVED] = 16,
		[RECORD_EVICT] = 8,
		[RECORD_CATALOGUE] = RELOG_HEADER,
		[RECORD_SHOWN] = SHOWN_BODY,
	};

	if (r->type < sizeof least / sizeof *least && r->body_len < least[r->type])
		return E_SYNTAX;
	switch (r->type) {
	case RECORD_MESSAGE:
		return apply_message(st, r, body, segment, offset);
	case RECORD_MOVED:
		return apply_moved(st, r, body, segment, offset);
	case RECORD_FLAGS:
		return apply_flags(st, r, body);
	case RECORD_EXPUNGE:
		return apply_expunge(st, r, body);
	case RECORD_EVICT:
		return apply_evict(st, r, body);
	case RECORD_MOVE:
		return apply_move(st, r, body);
	case RECORD_COPY:
		return apply_copy(st, r, body);
	case RECORD_PUBLISH:
		return apply_publish(st, r, body);
	case RECORD_UNSTAGE:
		return apply_unstage_record(st, r, body);
	case RECORD_NAMES:
		return apply_names(st, r, body);
	case RECORD_CATALOGUE:
		return relog_apply(st, r, body);
	case RECORD_SHOWN:
		return apply_shown(st, r, body);
	default:
		return OK;
	}
}
