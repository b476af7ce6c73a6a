/* What the store does in its own time, a slice a turn: checkpoints, giving free
 * segments back, cleaning, removing the messages of deleted mailboxes, taking
 * aborted copies back, keeping the reserve. */
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"
#include "base/log.h"

/* A checkpoint is due at the latest after this much of the storage was logged:
 * it bounds what a mount has to read. */
#define CHECKPOINT_LOG_PART 8
/* And after this time, so that box time is not lost by a cut: seconds. */
#define CHECKPOINT_SECONDS 3600
/* Cleaning copies segments with at most this part (of 8) alive: below it, copying
 * costs more flash than it wins. */
#define CLEAN_ALIVE_PART 7
/* Messages that one slice of cleaning looks at. */
#define CLEAN_RECORDS 32

/* ---- segments ---- */

/* What a look over all segments tells. */
struct segments {
	uint32_t free_id;     /* one that can be given back now, 0: none */
	bool waiting;         /* one is dead, but a checkpoint still needs it */
	uint32_t victim;      /* the one with the least alive, 0: none worth it */
	uint64_t victim_live, victim_size;
	uint32_t count;
};

static bool pinned(const struct store *st, uint32_t segment)
{
	for (unsigned i = 0; i < PINS; i++)
		if (st->pins[i].object && st->pins[i].dead && !st->pins[i].place.blob &&
			st->pins[i].place.segment == segment)
			return true;
	return false;
}

static bool failed(const struct store *st, uint32_t segment)
{
	if (st->n_clean_failed == CLEAN_FAILED)
		return true;
	for (unsigned i = 0; i < st->n_clean_failed; i++)
		if (st->clean_failed[i] == segment)
			return true;
	return false;
}

static void look_at(struct store *st, uint32_t id, const struct segment *row, struct segments *out)
{
	uint64_t size = st->extend ? st->super.segment_size : row->end;

	out->count++;
	if ((st->log.file >= 0 && id == st->log.segment) || row->last == 0 || pinned(st, id))
		return;
	if (row->live == 0) {
		if (row->last <= st->replay_before && row->dead_since <= st->replay_before) {
			out->free_id = id;
		} else {
			out->waiting = true;
		}
		return;
	}
	if (row->live >= size / 8 * CLEAN_ALIVE_PART || failed(st, id))
		return;
	if (!out->victim || row->live * out->victim_size < out->victim_live * size) {
		out->victim = id;
		out->victim_live = row->live;
		out->victim_size = size;
	}
}

static int look(struct store *st, struct segments *out)
{
	struct key k = tree_key(TREE_SEGMENT, 0, 0), found;
	uint8_t bytes[SEGMENT_BYTES];
	int n;

	*out = (struct segments){ 0 };
	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi == k.hi) {
		struct segment row;

		if (!segment_get(bytes_make(bytes, (size_t)n), &row))
			return E_DAMAGED;
		look_at(st, (uint32_t)found.lo, &row, out);
		if (out->free_id)
			return OK;
		k.lo = found.lo + 1;
	}
	return n < 0 && n != E_NOENT && n != E_LIMIT ? n : OK;
}

static int give_back(struct store *st, const struct segments *seen)
{
	int err = files_remove(st, false, seen->free_id, FILES_MEASURE);

	if (err == OK)
		err = tree_delete(&st->tree, tree_key(TREE_SEGMENT, 0, seen->free_id), 0);
	if (err != OK)
		return err;
	st->clean_hopeless = false;
	st->clean_wanted = false;
	return E_AGAIN;
}

/* ---- cleaning ---- */

static bool space_is_low(const struct store *st)
{
	uint64_t keep = 2 * (uint64_t)st->super.segment_size + st->config.storage / 16;

	return st->charged + keep + (st->reserve_there ? 0 : space_reserve_size(st)) > st->config.storage;
}

/* What is left of a segment that can't be read stays where it is. */
static int give_up(struct store *st, uint32_t segment)
{
	st->clean_failed[st->n_clean_failed++] = segment;
	st->damaged++;
	log_error(
		"store: segment %lu can't be cleaned: what is left in it is kept, `cubby check` tells what is damaged",
		(unsigned long)segment);
	st->cleaning.segment = 0;
	return E_AGAIN;
}

static int clean_begin(struct store *st, uint32_t victim)
{
	struct cleaning *c = &st->cleaning;
	struct segment_header header;
	struct segment row;
	int err = segment_row_get(st, victim, &row);

	if (err != OK)
		return err;
	c->file = files_open(st, false, victim);
	if (c->file < 0 || segment_read_header(st, c->file, victim, &header) != OK)
		return give_up(st, victim);
	*c = (struct cleaning){ .segment = victim, .offset = RECORD_BLOCK, .end = row.end, .salt = header.salt };
	return E_AGAIN;
}

/* The entry that a message calls its home, if it still is. */
static void put_home(struct store *st, uint8_t *p, uint64_t id, const struct object *o)
{
	struct store_entry e;

	if (entry_load(st, o->home_mailbox, o->home_uid, &e) != OK || e.object != id)
		e = (struct store_entry){ .uid = 0 };
	put_le32(p, e.uid ? o->home_mailbox : 0);
	put_le32(p + 4, e.uid);
	put_le64(p + 8, e.keywords);
	put_le64(p + 16, (uint64_t)e.received);
	put_le16(p + 24, (uint16_t)e.zone);
	p[26] = e.flags;
	p[27] = 0;
}

/* Stages a copy of a living message at the end of the log. */
static int move_object(struct store *st, uint64_t id, const struct object *o)
{
	struct cleaning *c = &st->cleaning;
	uint64_t at = (uint64_t)o->offset * RECORD_ALIGN + RECORD_HEADER;
	uint8_t *body = log_body(st, 44 + o->summary_len);
	struct log_item *item;

	if (!body)
		return E_AGAIN;
	put_le64(body, id);
	put_le32(body + 8, o->size);
	put_le16(body + 12, 1);
	put_le16(body + 14, 0);
	put_home(st, body + 16, id, o);
	if (port_read(files_open(st, false, c->segment), at + o->body_len - o->summary_len, body + 44,
		    o->summary_len) != (int64_t)o->summary_len)
		return E_IO;
	(void)log_add(st, RECORD_MOVED, 44 + o->summary_len);
	item = log_last(st);
	item->record.summary_len = o->summary_len;
	if (o->blob)
		item->record.flags = RECORD_BLOB;
	else
		item->record.tail_len = (uint32_t)frames_size(o->size);
	item->tail_segment = item->record.tail_len ? c->segment : 0;
	item->tail_from = at + o->body_len;
	(void)log_wait(st);
	return OK;
}

/* The record at the cleaning's place: moved when its message lives here. */
static int clean_record(struct store *st, const struct record *r, uint32_t at)
{
	struct cleaning *c = &st->cleaning;
	uint8_t start[8];
	struct object o;
	uint64_t id;
	int err;

	if ((r->type != RECORD_MESSAGE && r->type != RECORD_MOVED) || r->body_len < 16)
		return OK;
	if (port_read(files_open(st, false, c->segment), at + RECORD_HEADER, start, sizeof start) != sizeof start)
		return E_IO;
	id = le64(start);
	err = object_load(st, id, &o);
	if (err != OK)
		return err == E_NOENT ? OK : err;
	if (o.segment != c->segment || o.offset != at / RECORD_ALIGN)
		return OK;
	return move_object(st, id, &o);
}

static int clean_end(struct store *st)
{
	struct cleaning *c = &st->cleaning;
	struct segment row;
	int err;

	/* What was copied must be durable and applied. */
	if (!log_wait_idle(st))
		return E_AGAIN;
	err = segment_row_get(st, c->segment, &row);
	if (err == OK && row.live)
		return give_up(st, c->segment);
	c->segment = 0;
	st->cleaned++;
	st->checkpoint_due = true;
	return err == OK ? E_AGAIN : err;
}

/* The record at the cleaning's place; behind a damaged one the next whose header
 * is good. E_AGAIN: none in the piece that was looked at. */
static int clean_find(struct store *st, port_file f, struct record *r, uint32_t *at)
{
	struct cleaning *c = &st->cleaning;
	uint64_t from = record_align(c->offset);
	int64_t n;

	if (scan_record(f, c->salt, c->offset, c->end, r, at) == OK)
		return OK;
	n = port_read(f, from, st->scratch, SCRATCH);
	if (n < 0)
		return E_IO;
	for (int64_t i = 0; i + (int64_t)RECORD_HEADER <= n; i += RECORD_ALIGN) {
		*at = (uint32_t)(from + (uint64_t)i);
		if (record_get(st->scratch + i, r, c->salt) &&
			(uint64_t)*at + RECORD_HEADER + r->body_len + r->tail_len <= c->end)
			return OK;
	}
	c->offset = n < (int64_t)SCRATCH || from + SCRATCH > c->end ? c->end : (uint32_t)from + SCRATCH;
	return E_AGAIN;
}

static int clean_slice(struct store *st)
{
	struct cleaning *c = &st->cleaning;
	uint32_t bytes = 0;

	for (unsigned i = 0; i < CLEAN_RECORDS && bytes < LIMIT_SLICE_BYTES; i++) {
		port_file f = files_open(st, false, c->segment);
		struct record r;
		uint32_t at;
		int err;

		if (c->offset + RECORD_HEADER > c->end)
			return clean_end(st);
		err = f < 0 ? E_IO : clean_find(st, f, &r, &at);
		if (err == OK)
			err = clean_record(st, &r, at);
		if (err != OK)
			return err == E_AGAIN ? E_AGAIN : give_up(st, c->segment);
		bytes += r.tail_len;
		c->offset = at + (uint32_t)(r.tail_len ? RECORD_HEADER + r.body_len + r.tail_len : record_size(&r));
	}
	return E_AGAIN;
}

/* ---- deleted mailboxes ---- */

static int reap_slice(struct store *st)
{
	struct key k;
	uint8_t bytes[ENTRY_BYTES];
	uint32_t uids[STORE_UIDS], id;
	size_t count = 0, len;
	uint8_t *body;
	int n = tree_seek(&st->tree, tree_key(TREE_DOOMED, 0, 0), &k, bytes, 0);

	if (n == E_NOENT || n == E_LIMIT || (n >= 0 && k.hi != tree_key(TREE_DOOMED, 0, 0).hi))
		return OK;
	if (n < 0)
		return n;
	if (!log_wait_idle(st))
		return E_AGAIN;
	id = (uint32_t)k.lo;
	k = tree_key(TREE_ENTRY, id, 0);
	while (count < STORE_UIDS && (n = tree_seek(&st->tree, k, &k, bytes, sizeof bytes)) >= 0 &&
		k.hi == tree_key(TREE_ENTRY, id, 0).hi) {
		uids[count++] = (uint32_t)k.lo;
		k.lo++;
	}
	body = log_body(st, 8 + 8 * STORE_UIDS);
	if (!body)
		return E_AGAIN;
	if (count) {
		len = ranges_put(body + 8, uids, count);
		put_le32(body, id);
		put_le32(body + 4, (uint32_t)len);
		(void)log_add(st, RECORD_EXPUNGE, 8 + 8 * len);
	} else {
		len = names_drop(body, id);
		(void)log_add(st, RECORD_NAMES, len);
		st->names_staged = true;
	}
	(void)log_wait(st);
	return E_AGAIN;
}

/* ---- all of it ---- */

static bool checkpoint_is_due(const struct store *st)
{
	return st->checkpoint_due || !checkpoint_can_wait(st) ||
		st->checkpoint_log > st->config.storage / CHECKPOINT_LOG_PART ||
		store_box_time(st) - st->super.box_time >= CHECKPOINT_SECONDS;
}

/* Segments: give one back, go on cleaning, begin to clean. */
static int segments_slice(struct store *st)
{
	struct segments seen;
	bool low = space_is_low(st), clean = (low || st->clean_wanted) && !st->clean_hopeless;
	int err;

	if (st->cleaning.segment)
		return clean_slice(st);
	if (!clean && !st->sweep_due)
		return OK;
	err = look(st, &seen);
	if (err != OK)
		return err;
	if (seen.free_id)
		return give_back(st, &seen);
	st->sweep_due = false;
	/* Records of flags die with their segment: it goes even when nothing is to be cleaned. */
	if (seen.waiting && (low || clean)) {
		st->checkpoint_due = true;
		return E_AGAIN;
	}
	if (!clean)
		return OK;
	if (seen.victim)
		return clean_begin(st, seen.victim);
	st->clean_hopeless = true;
	st->clean_wanted = false;
	return OK;
}

int store_maintain(struct store *st)
{
	int err;

	if (st->read_only || st->log.syncing)
		return OK;
	err = change_unstage(st);
	if (err == OK && checkpoint_is_due(st)) {
		err = checkpoint_slice(st);
		if (err == OK)
			st->sweep_due = true;
	}
	if (err == OK)
		err = segments_slice(st);
	if (err == OK)
		err = reap_slice(st);
	if (err == OK && !st->reserve_there && !space_is_low(st))
		err = space_make_reserve(st);
	space_charge_index(st);
	if (err != OK && err != E_AGAIN && err != E_NOSPC) {
		store_fail(st, "upkeep", err);
		return OK;
	}
	return err == E_AGAIN ? E_AGAIN : OK;
}

uint64_t store_deadline_us(const struct store *st)
{
	const struct log *log = &st->log;
	uint64_t at = port_now_us() + (uint64_t)CHECKPOINT_SECONDS * 1000000;

	if (log->lazy_since_us)
		at = log->lazy_since_us + (uint64_t)st->config.flag_delay_ms * 1000;
	return at;
}
