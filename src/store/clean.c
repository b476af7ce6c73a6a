/* Segments: dead ones are given back, and when room is short those with garbage
 * are cleaned: what lives in them is copied to the end of the log.
 *
 * The garbage of a closed segment is its size without what lives in it and
 * without its waste: the header, the gaps around messages that cleaning moved
 * here, and the end of the file where the next record did not fit. Why cleaning
 * comes to an end: let G be the garbage of all segments. Cleaning one with at
 * least an eighth of its size takes all of that off G. It adds none, since what
 * it writes is moved messages, which live, and the gaps around them, which are
 * waste. G grows only by what others log, by what they remove, and by a mount
 * that closes a segment early. So with nothing coming or going at most 8 G /
 * segment size segments are cleaned, and never more over any time than eight
 * times what came or went in it. */
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"
#include "base/log.h"

/* Cleaning copies segments of which at least this part is garbage: below it,
 * copying costs more flash than it wins. */
#define GARBAGE_PART 8
/* Before mail is let go: those of which this part is garbage, which small messages
 * leave that came one by one, each with a block of its own. Copying costs less
 * than half of what it wins. Not for less than a segment in all: there is always
 * one of which the last mail to go has left a part, and that part goes next. */
#define PACK_PART 2
/* Messages that one slice of cleaning looks at. */
#define CLEAN_RECORDS 32
/* Rows of segments that one slice looks at. */
#define LOOK_ROWS 128

bool clean_space_is_low(const struct store *st)
{
	uint64_t keep = 2 * (uint64_t)st->super.segment_size + st->config.storage / 16;

	return st->charged + keep + reserve_left(st) > st->config.storage;
}

bool clean_can_pack(const struct store *st)
{
	return st->pack_hopeless_at != st->garbage_made;
}

bool clean_is_hopeless(const struct store *st)
{
	return st->hopeless_at == st->garbage_made;
}

/* ---- looking ---- */

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

/* Bytes that cleaning a closed segment wins, 0 when too few. */
static uint64_t worth(const struct segment *row)
{
	uint64_t keep = row->live + row->waste;

	return row->last && keep + row->size / GARBAGE_PART <= row->size ? row->size - keep : 0;
}

/* True when it can be given back now. */
static bool look_at(struct store *st, uint32_t id, const struct segment *row)
{
	struct look *look = &st->look;
	uint64_t garbage = worth(row);

	if ((st->log.file >= 0 && id == st->log.segment) || row->last == 0 || pinned(st, id))
		return false;
	if (row->live == 0) {
		bool gone = row->last <= st->replay_before && row->dead_since <= st->replay_before;

		look->waiting |= !gone;
		if (gone && backup_holds_segment(st, id)) {
			look->held = true;
			return false;
		}
		return gone;
	}
	if (garbage >= row->size / PACK_PART && garbage && !failed(st, id))
		look->packable += garbage;
	if (garbage && !failed(st, id) &&
		(!look->victim || garbage * look->victim_size > look->victim_garbage * row->size)) {
		look->victim = id;
		look->victim_garbage = garbage;
		look->victim_size = row->size;
	}
	return false;
}

static int give_back(struct store *st, uint32_t id)
{
	int err = files_remove(st, false, id, FILES_MEASURE);

	if (err == OK)
		err = tree_delete(&st->tree, tree_key(TREE_SEGMENT, 0, id), 0);
	if (err != OK)
		return err;
	st->clean_wanted = false;
	return E_AGAIN;
}

/* Goes on with the look: OK when it has seen all. */
static int look_slice(struct store *st)
{
	struct look *look = &st->look;
	struct key k = tree_key(TREE_SEGMENT, 0, look->next), found;
	uint8_t bytes[SEGMENT_BYTES];

	for (unsigned i = 0; i < LOOK_ROWS; i++) {
		struct segment row;
		int n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes);

		if (n == E_NOENT || n == E_LIMIT || (n >= 0 && found.hi != k.hi))
			return OK;
		if (n < 0)
			return n;
		if (!segment_get(bytes_make(bytes, (size_t)n), &row) || found.lo >= UINT32_MAX)
			return E_DAMAGED;
		if (look_at(st, (uint32_t)found.lo, &row)) {
			int err = relog_before(st, &row);

			if (err != OK)
				return err;
			look->next = (uint32_t)found.lo + 1;
			return give_back(st, (uint32_t)found.lo);
		}
		look->next = (uint32_t)found.lo + 1;
		k.lo = look->next;
	}
	return E_AGAIN;
}

/* ---- cleaning ---- */

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
	port_file f;

	if (err != OK)
		return err == E_NOENT ? E_AGAIN : err;
	/* Since it was looked at it may have died. */
	if (!worth(&row) || row.live == 0)
		return E_AGAIN;
	f = files_open(st, false, victim);
	if (f < 0 || segment_read_header(st, f, victim, &header) != OK)
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
	put_le64(p + 28, e.arrival);
	put_le64(p + 36, (uint64_t)e.saved);
	put_le32(p + 44, o->refs);
}

/* Stages a copy of a living message at the end of the log. */
static int move_object(struct store *st, uint64_t id, const struct object *o)
{
	struct cleaning *c = &st->cleaning;
	uint64_t at = (uint64_t)o->offset * RECORD_ALIGN + RECORD_HEADER;
	uint8_t *body = log_body(st, MOVED_BODY + o->summary_len);
	struct log_item *item;

	if (!body)
		return E_AGAIN;
	put_le64(body, id);
	put_le32(body + 8, o->size);
	put_le16(body + 12, 1);
	put_le16(body + 14, 0);
	put_home(st, body + 16, id, o);
	if (port_read(files_open(st, false, c->segment), at + o->body_len - o->summary_len, body + MOVED_BODY,
		    o->summary_len) != (int64_t)o->summary_len)
		return E_IO;
	(void)log_add(st, RECORD_MOVED, MOVED_BODY + o->summary_len);
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

static int clean_on(struct store *st)
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

/* ---- all of it ---- */

int clean_slice(struct store *st)
{
	struct look *look = &st->look;
	bool low = clean_space_is_low(st), clean = (low || st->clean_wanted) && !clean_is_hopeless(st);
	bool pack = st->pack_wanted && clean_can_pack(st);
	int err;

	if (st->cleaning.segment)
		return clean_on(st);
	if (!look->open) {
		if (!clean && !pack && !st->sweep_due)
			return OK;
		*look = (struct look){ .open = true, .pack = pack, .garbage = st->garbage_made };
		st->sweep_due = false;
	}
	err = look_slice(st);
	if (err != OK)
		return err;
	look->open = false;
	if ((look->held || st->backup.holds_files) &&
		(st->clean_wanted || !space_has(st, 2 * (uint64_t)st->super.segment_size, false)) && backup_give_up(st))
		return E_AGAIN;
	/* Records of flags die with their segment: it goes even when nothing is to be cleaned. */
	if (look->waiting && (low || clean)) {
		st->checkpoint_due = true;
		return E_AGAIN;
	}
	if (pack && look->victim && look->packable >= st->super.segment_size)
		return clean_begin(st, look->victim);
	if (pack && !look->pack)
		return E_AGAIN; /* it had not seen all with that in mind */
	if (pack)
		st->pack_hopeless_at = look->garbage;
	st->pack_wanted = false;
	if (!clean)
		return OK;
	if (look->victim)
		return clean_begin(st, look->victim);
	st->hopeless_at = look->garbage;
	st->clean_wanted = false;
	return OK;
}
