/* The index made anew from the log, when the old one can't be used: the last
 * resort (DESIGN.md section 4, rule 8). Three passes over all records in the
 * order of their LSNs: one finds D, one puts the catalogue together, one the
 * mail. Where the old index can still be read, what it says of its time takes
 * the place of what the log has told up to there, which may lack what died with
 * its segments.
 *
 * What the log alone can't tell: changes whose segment is gone. So a message may
 * be back where it was before it was moved or removed, and have flags from
 * before; copies may be gone. An expunge is no proof that nothing else showed the
 * message: whatever is still stored and not shown by anything comes to
 * Recovered, mail that was removed among it. No message is lost. Each mailbox
 * gets a new UIDVALIDITY. */
#include "store/repair.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "store/names.h"

/* Numbers that are passed over, since records that gave them may be lost. */
#define JUMP_NAMES (1u << 16)
#define JUMP_OBJECTS (UINT64_C(1) << 20)
/* Pages in memory of the old index. */
#define OLD_PAGES 64

struct rebuild {
	struct repair *r;
	struct salvage old;
	bool gone;       /* parts of the log are, as is usual */
	bool names;      /* the pass over the catalogue; else the one over the mail */
	uint32_t covers; /* mailbox ids below it that are not known were deleted */
};

bool rebuild_keeps(const struct store *st)
{
	const struct rebuild *b = st->rebuild;

	return b && b->gone && !(b->old.done && b->old.gaps == 0);
}

/* ---- the catalogue ---- */

static int set_doomed(struct store *st, uint32_t id)
{
	struct mailbox m;
	int err = mailbox_load(st, id, &m);

	if (err != OK || m.doomed)
		return err == E_NOENT ? OK : err;
	m.doomed = true;
	return mailbox_save(st, &m);
}

static int put_created(struct store *st, const struct names_fields *f, uint64_t lsn)
{
	struct mailbox m = { .id = f->id,
		.owner = f->owner,
		.parent = f->parent,
		.uidvalidity = f->uidvalidity,
		.uses = f->uses,
		.uidnext = 1,
		.recent = 1,
		.modseq = lsn,
		.level_len = (uint8_t)f->name.len };

	if (f->name.len == 0 || f->name.len > LIMIT_MAILBOX_LEVEL || f->id == 0)
		return E_SYNTAX;
	memcpy(m.level, f->name.data, f->name.len);
	if (m.id >= st->super.next_mailbox)
		st->super.next_mailbox = m.id + 1;
	if (m.uidvalidity >= st->super.next_uidvalidity)
		st->super.next_uidvalidity = m.uidvalidity + 1;
	return mailbox_save(st, &m);
}

static int clear_row(struct store *st, struct key k)
{
	int err = tree_delete(&st->tree, k, 0);

	return err == E_NOENT ? OK : err;
}

/* Everything of a table whose first part is `first`, or all of it. */
static int clear_rows(struct store *st, enum tree_table table, uint32_t first, bool all)
{
	struct key k = tree_key(table, first, 0), found;
	uint8_t bytes[PAGE_VALUE_MAX];
	int n;

	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 &&
		(all ? found.hi >> 56 == k.hi >> 56 : found.hi == k.hi)) {
		int err = tree_delete(&st->tree, found, 0);

		if (err == OK)
			err = checkpoint_make_room(st);
		if (err != OK)
			return err;
		k = found;
	}
	return n < 0 && n != E_NOENT ? n : OK;
}

/* All mailboxes of an owner, or those of an id range that a part does not name. */
static int doom_range(struct store *st, uint32_t first, uint32_t last, uint32_t owner, uint64_t lsn)
{
	struct key k = tree_key(TREE_MAILBOX, 0, first), found;
	uint8_t bytes[MAILBOX_BYTES];
	int n;

	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi == k.hi &&
		found.lo <= last) {
		struct mailbox m;
		int err = OK;

		if (!mailbox_get(bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &m))
			return E_DAMAGED;
		/* What the part named carries its LSN. */
		if ((owner == 0 || m.owner == owner) && !(lsn && m.modseq == lsn))
			err = set_doomed(st, m.id);
		if (err == OK)
			err = checkpoint_make_room(st);
		if (err != OK)
			return err;
		k.lo = found.lo + 1;
	}
	return n < 0 && n != E_NOENT && n != E_LIMIT ? n : OK;
}

static int change_row(struct store *st, const struct names_fields *f)
{
	struct mailbox m;
	int err = mailbox_load(st, f->id, &m);

	if (err != OK)
		return err == E_NOENT ? OK : err;
	switch (f->op) {
	case NAMES_DELETE:
		m.doomed = true;
		break;
	case NAMES_RENAME:
		if (f->name.len == 0 || f->name.len > LIMIT_MAILBOX_LEVEL)
			return E_SYNTAX;
		m.parent = f->parent;
		m.level_len = (uint8_t)f->name.len;
		memcpy(m.level, f->name.data, f->name.len);
		break;
	case NAMES_USES:
		m.uses = f->uses;
		break;
	case NAMES_KEYWORD:
		if (f->bit >= LIMIT_KEYWORDS || f->name.len > LIMIT_KEYWORD_NAME)
			return E_SYNTAX;
		if (f->bit >= m.keywords)
			m.keywords = (uint8_t)(f->bit + 1);
		err = tree_put(&st->tree, tree_key(TREE_KEYWORD, f->id, f->bit), f->name.data, f->name.len);
		break;
	default:
		return OK;
	}
	return err == OK ? mailbox_save(st, &m) : err;
}

static int subscribe(struct store *st, const struct names_fields *f)
{
	struct key at, place;
	int err;

	if (f->name.len > LIMIT_MAILBOX_NAME)
		return E_SYNTAX;
	err = names_subscription(st, f->owner, f->name, &at, &place);
	if (err == OK)
		return f->on ? OK : tree_delete(&st->tree, at, 0);
	if (err != E_NOENT || !f->on || place.hi == 0)
		return err == E_NOENT ? OK : err;
	return tree_put(&st->tree, place, f->name.data, f->name.len);
}

static int apply_operations(struct store *st, struct bytes rest, uint64_t lsn)
{
	while (rest.len) {
		struct names_fields f;
		int err;

		if (!names_take(&rest, &f))
			return E_SYNTAX;
		switch (f.op) {
		case NAMES_CREATE:
			err = put_created(st, &f, lsn);
			break;
		case NAMES_SUBSCRIBE:
			err = subscribe(st, &f);
			break;
		case NAMES_FORGET:
			err = doom_range(st, 0, UINT32_MAX, f.owner, 0);
			if (err == OK)
				err = clear_rows(st, TREE_SUBSCRIBED, f.owner, false);
			if (err == OK)
				err = quota_forget(st, f.owner);
			break;
		case NAMES_QUOTA:
			err = quota_apply(st, f.owner, &f.quota);
			break;
		default:
			err = change_row(st, &f);
		}
		if (err == OK)
			err = checkpoint_make_room(st);
		if (err != OK)
			return err;
	}
	return OK;
}

static int apply_catalogue(struct store *st, const struct record *r, const uint8_t *body)
{
	struct rebuild *b = st->rebuild;
	int err = OK;

	if (r->body_len < RELOG_HEADER)
		return E_SYNTAX;
	if (body[3] && body[0] != RELOG_MAILBOXES)
		err = clear_rows(st, body[0] == RELOG_QUOTAS ? TREE_QUOTA : TREE_SUBSCRIBED, 0, true);
	if (err == OK)
		err = apply_operations(st, bytes_make(body + RELOG_HEADER, r->body_len - RELOG_HEADER), r->lsn);
	if (err == OK && body[0] == RELOG_MAILBOXES)
		err = doom_range(st, le32(body + 4), le32(body + 8), 0, r->lsn);
	if (st->super.next_mailbox < le32(body + 12))
		st->super.next_mailbox = le32(body + 12);
	if (st->super.next_uidvalidity < le32(body + 16))
		st->super.next_uidvalidity = le32(body + 16);
	/* The last part of the mailboxes: what is below and not known was deleted. */
	if (err == OK && body[0] == RELOG_MAILBOXES && le32(body + 8) == UINT32_MAX && le32(body + 12) > b->covers)
		b->covers = le32(body + 12);
	return err;
}

/* ---- the mail ---- */

/* Entries that a copy staged, and the record that made them real may be gone:
 * UIDs that come behind theirs tell that it was there. */
static int publish_before(struct store *st, const struct record *r, uint32_t id, uint32_t uid)
{
	struct record publish = { .type = RECORD_PUBLISH, .lsn = r->lsn, .body_len = 8 };
	uint8_t body[8];
	struct mailbox m;
	int err = mailbox_load(st, id, &m);

	if (err != OK || m.staged_end == 0 || uid < m.staged_end)
		return err == E_NOENT ? OK : err;
	put_le32(body, id);
	put_le32(body + 4, m.staged_end);
	return apply_record(st, &publish, body, 0, 0);
}

/* A mailbox that a record speaks of: there, deleted, or of unknown name. */
static int need_mailbox(struct store *st, uint32_t id)
{
	struct rebuild *b = st->rebuild;
	struct mailbox m;
	int err = mailbox_load(st, id, &m);

	if (err != E_NOENT || id == 0)
		return id ? err : OK;
	if (id >= b->covers)
		return repair_placeholder(b->r, id);
	m = (struct mailbox){ .id = id,
		.uidvalidity = 1,
		.uidnext = 1,
		.recent = 1,
		.modseq = 1,
		.doomed = true,
		.level_len = 1,
		.level = "-" };
	return mailbox_save(st, &m);
}

/* The entry that a moved message names: it was there when the message was moved,
 * with those flags; when it was the only one, no other is left. */
static int put_home(struct store *st, const struct record *r, const uint8_t *body)
{
	const uint8_t *p = body + 16;
	bool more = r->body_len - r->summary_len >= MOVED_BODY;
	uint64_t id = le64(body);
	struct store_entry e, old;
	struct object o;
	struct mailbox m;
	int err = need_mailbox(st, le32(p));

	if (err == OK)
		err = object_load(st, id, &o);
	if (err == OK && (le32(p) == 0 || le32(p + 4) == 0))
		return OK;
	if (err == OK)
		err = mailbox_load(st, le32(p), &m);
	if (err != OK)
		return err;
	e = (struct store_entry){ .uid = le32(p + 4),
		.keywords = le64(p + 8),
		.received = (int64_t)le64(p + 16),
		.zone = (int16_t)le16(p + 24),
		.flags = p[26],
		.modseq = r->lsn,
		.arrival = more ? le64(p + 28) : r->lsn,
		.saved = more ? (int64_t)le64(p + 36) : r->wall,
		.object = id,
		.size = o.size };
	err = entry_load(st, m.id, e.uid, &old);
	if (err == OK && old.object != id)
		return OK;
	if (err == E_NOENT && more && le32(p + 44) == 1 && o.refs == 1 &&
		entry_load(st, o.home_mailbox, o.home_uid, &old) == OK && old.object == id) {
		/* It had left its old place by a record that is gone. */
		err = tree_delete(&st->tree, tree_key(TREE_ENTRY, o.home_mailbox, o.home_uid), 0);
		o.refs = 0;
		if (err == OK)
			err = E_NOENT;
	}
	if (err == E_NOENT)
		err = reference_add(st, id, &o, m.id, e.uid);
	if (err != OK)
		return err;
	if (e.uid >= m.uidnext)
		m.uidnext = e.uid + 1;
	m.modseq = r->lsn;
	err = mailbox_save(st, &m);
	if (err == OK)
		err = object_save(st, id, &o);
	if (err == OK) {
		uint8_t bytes[ENTRY_BYTES];

		entry_put(bytes, &e);
		err = tree_put(&st->tree, tree_key(TREE_ENTRY, m.id, e.uid), bytes, sizeof bytes);
	}
	return err;
}

static int apply_moved(struct store *st, const struct record *r, const uint8_t *body, uint32_t segment, uint32_t offset)
{
	uint64_t id = le64(body);
	struct object o;
	int err;

	if (r->body_len < 44 + r->summary_len)
		return E_SYNTAX;
	err = object_load(st, id, &o);
	if (err == E_NOENT) {
		o = (struct object){
			.segment = segment,
			.offset = offset / RECORD_ALIGN,
			.size = le32(body + 8),
			.summary_len = r->summary_len,
			.body_len = r->body_len,
			.blob = (r->flags & RECORD_BLOB) != 0,
			.summary_crc = crc32c(0, body + r->body_len - r->summary_len, r->summary_len),
		};
		err = object_save(st, id, &o);
	} else if (err == OK) {
		err = apply_record(st, r, body, segment, offset);
	}
	return err == OK ? put_home(st, r, body) : err;
}

static int apply_message(struct store *st, const struct record *r, const uint8_t *body, uint32_t segment,
	uint32_t offset)
{
	unsigned n = r->body_len >= 16 ? le16(body + 12) : 0;

	if (r->body_len < 16 + n * 28u + r->summary_len)
		return E_SYNTAX;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = body + 16 + i * 28u;
		int err = need_mailbox(st, le32(p));

		if (err == OK)
			err = publish_before(st, r, le32(p), le32(p + 4));
		if (err != OK)
			return err;
	}
	return apply_record(st, r, body, segment, offset);
}

static bool is_next_part(struct store *st, uint32_t id, uint32_t first)
{
	struct mailbox m;

	return mailbox_load(st, id, &m) == OK && first == m.staged_end;
}

static int apply_mail(struct store *st, const struct record *r, const uint8_t *body, uint32_t segment, uint32_t offset)
{
	uint32_t id;
	int err = OK;

	switch (r->type) {
	case RECORD_MESSAGE:
		return apply_message(st, r, body, segment, offset);
	case RECORD_MOVED:
		return apply_moved(st, r, body, segment, offset);
	case RECORD_MOVE:
	case RECORD_COPY:
		if (r->body_len < 16)
			return E_SYNTAX;
		id = le32(body + (r->type == RECORD_MOVE ? 4 : 0));
		err = need_mailbox(st, id);
		/* A further part of the same copy comes right behind what is staged. */
		if (err == OK && (r->type == RECORD_MOVE || !is_next_part(st, id, le32(body + 8))))
			err = publish_before(st, r, id, le32(body + 8));
		break;
	case RECORD_NAMES:
	case RECORD_CATALOGUE:
		return OK;
	default:
		break;
	}
	return err == OK ? apply_record(st, r, body, segment, offset) : err;
}

/* ---- what the old index tells ---- */

static int take_old(struct store *st)
{
	static const enum tree_table names[] = { TREE_MAILBOX, TREE_KEYWORD, TREE_SUBSCRIBED };
	static const enum tree_table mail[] = { TREE_ENTRY, TREE_OBJECT, TREE_AUDIT };
	struct rebuild *b = st->rebuild;
	size_t n = 3;

	b->old.done = true;
	for (size_t i = 0; i < n; i++) {
		int err = salvage_table(st, &b->old, b->names ? names[i] : mail[i]);

		if (err != OK)
			return err;
	}
	/* Counts and references must be right before more is applied on top. */
	return b->names ? OK : repair_fix(b->r);
}

int rebuild_apply(struct store *st, const struct record *r, const uint8_t *body, uint32_t segment, uint32_t offset)
{
	struct rebuild *b = st->rebuild;
	int err = OK;

	if (b->old.there && !b->old.done && r->lsn > b->old.lsn)
		err = take_old(st);
	if (err != OK)
		return err;
	if (!b->names)
		return apply_mail(st, r, body, segment, offset);
	if (r->type == RECORD_NAMES)
		return apply_operations(st, bytes_make(body, r->body_len), r->lsn);
	return r->type == RECORD_CATALOGUE ? apply_catalogue(st, r, body) : OK;
}

/* ---- beginning and end ---- */

struct segments {
	struct store *st;
	uint32_t first, last;
	uint64_t identity;
};

static bool list_segment(void *context, const char *name)
{
	struct segments *s = context;
	char path[PORT_PATH_MAX];
	uint64_t number;
	uint32_t id;
	port_file f;

	if (!files_number(name, ".seg", &number) || number == 0 || number > UINT32_MAX)
		return true;
	if (number < s->first)
		s->first = (uint32_t)number;
	if (number > s->last)
		s->last = (uint32_t)number;
	if (s->identity)
		return true;
	files_name(s->st, name, path);
	f = port_open(path, PORT_READ);
	if (f >= 0 && segment_identify(f, &id, &s->identity) != OK)
		s->identity = 0;
	port_close(f);
	return true;
}

/* The newest superblock that can be read, and the index that it speaks of. */
static int find_old(struct store *st, struct rebuild *b)
{
	struct super s[2];
	int got[2];
	unsigned best;
	char path[PORT_PATH_MAX];
	int err;

	for (unsigned i = 0; i < 2; i++) {
		got[i] = super_read(st, i, &s[i], false);
		if (got[i] != OK && got[i] != E_DAMAGED && got[i] != E_NOENT)
			return got[i];
	}
	if (got[0] != OK && got[1] != OK)
		return OK;
	best = got[0] != OK || (got[1] == OK && s[1].checkpoint > s[0].checkpoint);
	err = super_read(st, best, &st->super, true);
	if (err != OK)
		return err == E_IO ? E_IO : OK;
	files_name(st, "index", path);
	b->old.lsn = st->super.replay_lsn;
	b->old.tree.slots.file = port_open(path, PORT_READ);
	b->old.tree.slots.seed = (uint32_t)st->super.identity;
	b->old.tree.slots.high = st->tree.slots.high;
	b->old.there = b->old.tree.slots.file >= 0;
	tree_reset(&b->old.tree, st->tree.root);
	return OK;
}

static void begin(struct store *st, const struct segments *seen)
{
	struct super *s = &st->super;
	struct slots *slots = &st->tree.slots;

	if (s->identity == 0)
		s->identity = seen->identity;
	if (s->identity == 0 && port_entropy(&s->identity, sizeof s->identity) != OK)
		s->identity = (uint64_t)port_wall_time() * 1000003u ^ port_now_us();
	s->checkpoint++;
	s->storage = st->config.storage;
	s->live = s->objects = s->messages = 0;
	s->catalogue_first = s->catalogue_last = 0;
	if (s->next_lsn == 0)
		s->next_lsn = s->next_object = 1;
	if (s->next_mailbox == 0)
		s->next_mailbox = s->next_uidvalidity = 1;
	s->next_segment = seen->last + 1 > s->next_segment ? seen->last + 1 : s->next_segment;
	s->replay_segment = seen->first;
	s->replay_offset = 0;
	s->orphan_from = 1;
	slots->seed = (uint32_t)s->identity;
	slots->building = s->checkpoint + 1;
	slots->high = slots->used = slots->n_freed = slots->n_freed_before = 0;
	slots->numbers = 0;
	tree_reset(&st->tree, UINT32_MAX);
	st->box_base = s->box_time;
	st->log.prev_segment = st->log.prev_valid_end = 0;
}

/* A mailbox from before must never be taken for one of now. */
static int new_uidvalidities(struct store *st)
{
	struct key k = tree_key(TREE_MAILBOX, 0, 0), found;
	uint8_t bytes[MAILBOX_BYTES];
	int n;

	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi == k.hi) {
		struct mailbox m;
		int err;

		if (!mailbox_get(bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &m))
			return E_DAMAGED;
		m.uidvalidity = st->super.next_uidvalidity++;
		err = mailbox_save(st, &m);
		if (err == OK)
			err = checkpoint_make_room(st);
		if (err != OK)
			return err;
		k.lo = found.lo + 1;
	}
	return n < 0 && n != E_NOENT && n != E_LIMIT ? n : OK;
}

/* Messages of deleted mailboxes. That they were moved elsewhere before may have
 * stood in a segment that is gone: what nothing else shows goes to Recovered. */
static int release_doomed(struct store *st)
{
	struct key k = tree_key(TREE_MAILBOX, 0, 0), found;
	uint8_t bytes[MAILBOX_BYTES];
	int n;

	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi == k.hi) {
		struct mailbox m;
		int err = OK;

		if (!mailbox_get(bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &m))
			return E_DAMAGED;
		if (m.doomed) {
			err = clear_rows(st, TREE_ENTRY, m.id, false);
			if (err == OK)
				err = clear_rows(st, TREE_KEYWORD, m.id, false);
			if (err == OK)
				err = tree_delete(&st->tree, found, 0);
			if (err == OK)
				err = clear_row(st, tree_key(TREE_DOOMED, 0, m.id));
			if (err == OK)
				err = checkpoint_make_room(st);
		}
		if (err != OK)
			return err;
		k.lo = found.lo + 1;
	}
	return n < 0 && n != E_NOENT && n != E_LIMIT ? n : OK;
}

/* What is staged at the end, in a log of which parts are gone: rather twice than
 * not at all. */
static int publish_all(struct store *st)
{
	struct key k = tree_key(TREE_MAILBOX, 0, 0), found;
	struct record r = { .lsn = st->log.applied };
	uint8_t bytes[MAILBOX_BYTES];
	int n;

	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi == k.hi) {
		int err = publish_before(st, &r, (uint32_t)found.lo, UINT32_MAX);

		if (err == OK)
			err = checkpoint_make_room(st);
		if (err != OK)
			return err;
		k.lo = found.lo + 1;
	}
	return n < 0 && n != E_NOENT && n != E_LIMIT ? n : OK;
}

static int pass(struct store *st, const struct segments *seen, struct recovered *got, bool names)
{
	struct rebuild *b = st->rebuild;
	int err;

	b->names = names;
	b->old.done = false;
	err = recover_log(st, seen->first, seen->last, true, got);
	if (err == OK && b->old.there && !b->old.done)
		err = take_old(st);
	return err;
}

static int finish(struct store *st, struct repair *r, const struct recovered *got)
{
	struct super *s = &st->super;
	bool changed;
	int err;

	if (s->next_lsn <= got->seen)
		s->next_lsn = got->seen + 1;
	s->next_lsn += LSN_JUMP;
	s->next_mailbox += JUMP_NAMES;
	s->next_uidvalidity += JUMP_NAMES;
	s->names_changed = s->next_lsn - 1;
	st->log.staged = st->log.applied = st->log.durable = s->next_lsn - 1;
	if (got->box_time > st->box_base)
		st->box_base = got->box_time;
	err = rebuild_keeps(st) ? publish_all(st) : OK;
	if (err == OK)
		err = sweep_mailboxes(st, false, &changed);
	if (err == OK && rebuild_keeps(st))
		err = release_doomed(st);
	r->final = true;
	if (err == OK)
		err = repair_fix(r);
	if (err == OK)
		err = new_uidvalidities(st);
	s->next_object += JUMP_OBJECTS;
	/* What nothing refers to may be the only trace of a record that is lost. */
	if (err == OK)
		err = sweep_files(st, true);
	return err == OK ? checkpoint_write(st, true) : err;
}

size_t rebuild_memory(void)
{
	return tree_memory(OLD_PAGES);
}

int rebuild(struct store *st, struct repair *r)
{
	struct rebuild b = { .r = r };
	struct segments seen = { .st = st, .first = UINT32_MAX };
	struct recovered got = { 0 }, again;
	char path[PORT_PATH_MAX];
	int err = files_sync_dir(st);

	r->st = st;
	files_name(st, "reserve", path);
	(void)port_remove(path);
	if (!tree_init(&b.old.tree, r->arena, OLD_PAGES, st->tree.sums))
		return E_NOMEM;
	if (err == OK)
		err = port_list(st->dir, list_segment, &seen);
	if (err == OK)
		err = find_old(st, &b);
	if (err != OK)
		return err;
	got.known_durable = b.old.there ? st->super.durable : 0;
	begin(st, &seen);
	b.gone = seen.first > 1;
	st->rebuild = &b;
	err = recover_log(st, seen.first, seen.last, false, &got);
	again = got;
	if (err == OK)
		err = pass(st, &seen, &again, true);
	if (err == OK)
		err = pass(st, &seen, &got, false);
	if (err == OK)
		err = finish(st, r, &got);
	st->rebuild = NULL;
	if (b.old.there)
		port_close(b.old.tree.slots.file);
	return err;
}
