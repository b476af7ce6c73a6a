/* Opening the store: choose a checkpoint, find where the log ends, apply what
 * came after the checkpoint, sweep up what a cut left behind. Two passes over
 * the records after the checkpoint: the first finds D, the highest LSN known to
 * have been synced; the second applies. A bad record at or below D is damage
 * and is passed over; the first one above D ends the log, whatever follows
 * (DESIGN.md section 4, rule 3). */
#include "store/store_int.h"

#include <stdio.h>
#include <string.h>

#include "base/le.h"
#include "base/log.h"
#include "base/text.h"
#include "tree/again.h"

/* Where the scan stands. */
struct scan {
	struct store *st;
	port_file file;
	struct segment_header header;
	uint32_t at, end;       /* next offset; valid end of the segment */
	uint32_t size, waste;   /* of the segment: see struct segment */
	uint64_t expected;      /* LSN of the next record */
	uint64_t seen;          /* highest LSN in any header, dropped ones included */
	uint64_t known_durable; /* D */
	uint64_t damaged, applied, box_time;
	bool lost;              /* a record that was synced can't be read any more */
	bool ended;
};

/* Bytes of a segment. A place that can't be read is damage like any other
 * (E_DAMAGED); E_NOENT: the file ends before. When nothing can be read any more
 * it is the device: E_IO, and nothing may be concluded from it. */
static int read_place(port_file f, uint64_t at, void *data, size_t len)
{
	uint8_t probe[RECORD_HEADER];
	int64_t n = read_again(f, at, data, len);

	if (n >= 0)
		return n == (int64_t)len ? OK : E_NOENT;
	return read_again(f, 0, probe, sizeof probe) == (int64_t)sizeof probe ? E_DAMAGED : E_IO;
}

/* E_NOENT: no record is there. */
static int header_at(port_file f, uint32_t salt, uint64_t at, uint32_t end, struct record *r)
{
	uint8_t header[RECORD_HEADER];
	int err = at + RECORD_HEADER <= end ? read_place(f, at, header, sizeof header) : E_NOENT;

	if (err != OK)
		return err == E_IO ? E_IO : E_NOENT;
	return record_get(header, r, salt) && at + RECORD_HEADER + r->body_len + r->tail_len <= end ? OK : E_NOENT;
}

int scan_record(port_file f, uint32_t salt, uint32_t at, uint32_t end, struct record *r, uint32_t *found_at)
{
	uint64_t next = record_align(at);
	int err = header_at(f, salt, next, end, r);

	if (err != OK || r->prev_end != at) {
		if (err == E_IO)
			return err;
		next = ((uint64_t)at + RECORD_BLOCK - 1) & ~(uint64_t)(RECORD_BLOCK - 1);
		err = header_at(f, salt, next, end, r);
		if (err != OK || r->prev_end != at)
			return err == E_IO ? err : E_NOENT;
	}
	*found_at = (uint32_t)next;
	return OK;
}

/* Where the record at `at` ends, as the next one names it. */
static uint32_t record_end(uint32_t at, const struct record *r)
{
	return at + (uint32_t)(r->tail_len ? RECORD_HEADER + r->body_len + r->tail_len : record_size(r));
}

/* The next header that verifies, after a bad place: block by block, since some
 * may not be readable. Headers never lie across two blocks. */
static int resync(struct scan *s, struct record *r, uint32_t *found_at)
{
	uint8_t *block = s->st->scratch;
	uint64_t at = record_align(s->at);

	while (at + RECORD_HEADER <= s->end) {
		uint64_t next = (at / RECORD_BLOCK + 1) * RECORD_BLOCK;
		uint32_t n = (uint32_t)((next < s->end ? next : s->end) - at);
		int err = read_place(s->file, at, block, n);

		if (err == E_IO)
			return err;
		for (uint32_t i = 0; err == OK && i + RECORD_HEADER <= n; i += RECORD_ALIGN) {
			if (!record_get(block + i, r, s->header.salt) || r->lsn < s->expected ||
				at + i + RECORD_HEADER + r->body_len + r->tail_len > s->end)
				continue;
			*found_at = (uint32_t)at + i;
			return OK;
		}
		at = next;
	}
	return E_NOENT;
}

/* ---- bodies ---- */

/* OK, E_DAMAGED, E_IO. */
static int check_tail(struct scan *s, uint64_t object, const struct record *r, uint32_t at)
{
	uint32_t left = r->tail_len, frame = 0;
	uint64_t from = (uint64_t)at + RECORD_HEADER + r->body_len;

	while (left) {
		uint32_t n = left < FRAME ? left : FRAME;
		int err = n > 4 ? read_place(s->file, from, s->st->scratch, n) : E_DAMAGED;

		if (err != OK)
			return err == E_IO ? E_IO : E_DAMAGED;
		if (frame_crc(object, frame, s->st->scratch, n - 4) != le32(s->st->scratch + n - 4))
			return E_DAMAGED;
		from += n;
		left -= n;
		frame++;
	}
	return OK;
}

/* Reads the body and verifies it: OK, E_DAMAGED, E_IO. *whole: the frames behind
 * it are good too. */
static int read_body(struct scan *s, const struct record *r, uint32_t at, bool *whole)
{
	uint8_t *body = s->st->replay;
	int err = r->body_len <= BODY_MAX ? read_place(s->file, (uint64_t)at + RECORD_HEADER, body, r->body_len)
					  : E_DAMAGED;

	*whole = true;
	if (err != OK)
		return err == E_IO ? E_IO : E_DAMAGED;
	if (record_body_crc(s->header.salt, body, r->body_len) != r->body_crc)
		return E_DAMAGED;
	if (r->tail_len && r->body_len >= 8) {
		err = check_tail(s, le64(body), r, at);
		*whole = err == OK;
	}
	return err == E_IO ? E_IO : OK;
}

/* ---- one record ---- */

/* Slots that replaying gives up must not outgrow their lists: a checkpoint on
 * the way has what comes before this record. */
static int apply_good(struct scan *s, const struct record *r, uint32_t at)
{
	struct store *st = s->st;
	int err;

	if (st->super.next_lsn < r->lsn)
		st->super.next_lsn = r->lsn;
	st->applying_segment = s->header.id;
	st->applying_offset = s->at;
	err = checkpoint_make_room(st);
	if (err == OK)
		err = st->rebuild ? rebuild_apply(st, r, st->replay, s->header.id, at)
				  : apply_record(st, r, st->replay, s->header.id, at);
	if (err == E_SYNTAX) {
		s->damaged++;
		log_error("store: record %llu makes no sense: passed over", (unsigned long long)r->lsn);
		err = OK;
	}
	return err;
}

static int apply_one(struct scan *s, const struct record *r, uint32_t at)
{
	struct store *st = s->st;
	bool whole;
	int err = read_body(s, r, at, &whole);

	if (err == E_IO)
		return err;
	if (err != OK) {
		if (r->lsn > s->known_durable) {
			s->ended = true;
			return OK;
		}
		s->damaged++;
		s->lost = true;
		log_error("store: record %llu in segment %lu is damaged: what it held is lost",
			(unsigned long long)r->lsn, (unsigned long)s->header.id);
		return OK;
	}
	if (!whole && r->lsn > s->known_durable) {
		s->ended = true;
		return OK;
	}
	if (!whole) {
		s->damaged++;
		log_error("store: a message in segment %lu is damaged: its envelope is kept",
			(unsigned long)s->header.id);
	}
	if (r->box_time > s->box_time)
		s->box_time = r->box_time;
	err = apply_good(s, r, at);
	st->applying_segment = 0;
	st->super.life_bytes_written += record_size(r);
	st->log.applied = r->lsn;
	s->applied++;
	return err;
}

/* The next record of the segment. E_NOENT at its end. Something that was synced
 * and can't be read is passed over; before D is known (the first pass) one looks
 * behind every bad place, since what follows may say that it was synced. */
static int next_record(struct scan *s, bool apply, struct record *r, uint32_t *at)
{
	int err = scan_record(s->file, s->header.salt, s->at, s->end, r, at);

	if (err == E_IO || (err == OK && (r->lsn == s->expected || STORE_PLANT(PLANT_OLD_SALT))))
		return err;
	if (s->at >= s->end)
		return E_NOENT;
	if (apply && s->expected > s->known_durable) {
		if (STORE_PLANT(PLANT_BEYOND_D))
			return resync(s, r, at);
		s->ended = true;
		return E_NOENT;
	}
	err = resync(s, r, at);
	if (apply) {
		s->damaged++;
		s->lost = true;
		log_error("store: segment %lu is damaged behind byte %lu", (unsigned long)s->header.id,
			(unsigned long)s->at);
	}
	return err;
}

/* The records of one segment from s->at on. */
static int walk_segment(struct scan *s, bool apply)
{
	while (!s->ended) {
		struct record r;
		uint32_t at;
		int err = next_record(s, apply, &r, &at);

		if (err != OK)
			return err == E_NOENT ? OK : err;
		if (r.lsn > s->seen)
			s->seen = r.lsn;
		if (apply)
			err = apply_one(s, &r, at);
		else if (r.durable > s->known_durable)
			s->known_durable = r.durable;
		if (s->ended)
			return OK;
		if (r.type == RECORD_MOVED && at > s->at)
			s->waste += at - (uint32_t)record_align(s->at);
		s->at = record_end(at, &r);
		s->expected = r.lsn + 1;
		if (err != OK)
			return err;
	}
	return OK;
}

/* ---- from segment to segment ---- */

/* Opens a segment if its header is good. */
static int open_segment(struct scan *s, uint32_t id)
{
	char name[PORT_PATH_MAX];
	int64_t size;
	int err;

	files_segment_name(s->st, id, name);
	s->file = port_open(name, PORT_READ);
	if (s->file < 0)
		return s->file == E_NOENT ? E_NOENT : E_IO;
	err = segment_read_header(s->st, s->file, id, &s->header);
	size = port_size(s->file);
	if (err != OK || size < 0) {
		port_close(s->file);
		return err == OK ? E_IO : err;
	}
	s->end = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
	s->size = segment_charge(size);
	return OK;
}

/* What the next good segment says about where this one ends. */
static int learn_end(struct scan *s, uint32_t last)
{
	for (uint32_t id = s->header.id + 1; id <= last; id++) {
		struct scan next = { .st = s->st };
		int err = open_segment(&next, id);

		if (err == E_IO)
			return err;
		if (err != OK)
			continue;
		port_close(next.file);
		if (next.header.durable > s->known_durable)
			s->known_durable = next.header.durable;
		if (next.header.prev == s->header.id && next.header.prev_end < s->end)
			s->end = next.header.prev_end;
		break;
	}
	return OK;
}

static int note_segment(struct scan *s, uint32_t prev_end)
{
	struct store *st = s->st;
	struct segment row;
	int err = segment_row_get(st, s->header.id, &row);

	if (err == E_NOENT)
		row = (struct segment){ 0 };
	else if (err != OK)
		return err;
	row.first = s->header.first_lsn;
	row.last = s->expected - 1;
	row.end = prev_end;
	row.size = s->size;
	row.waste = s->waste;
	if (row.live == 0 && row.dead_since == 0)
		row.dead_since = row.last;
	if (s->header.id >= st->super.next_segment)
		st->super.next_segment = s->header.id + 1;
	st->log.prev_segment = s->header.id;
	st->log.prev_valid_end = prev_end;
	return segment_row_put(st, s->header.id, &row);
}

/* The segment that was just opened, from offset on (0: its first record). */
static int walk_open(struct scan *s, uint32_t offset, uint32_t last, bool apply)
{
	int err;

	if (s->header.durable > s->known_durable && !apply)
		s->known_durable = s->header.durable;
	if (s->st->rebuild) {
		struct super *super = &s->st->super;

		if (super->next_mailbox < s->header.next_mailbox)
			super->next_mailbox = s->header.next_mailbox;
		if (super->next_uidvalidity < s->header.next_uidvalidity)
			super->next_uidvalidity = s->header.next_uidvalidity;
	}
	err = learn_end(s, last);
	s->at = offset ? offset : RECORD_BLOCK;
	s->waste = offset ? s->st->super.replay_waste : RECORD_BLOCK;
	if (s->at == RECORD_BLOCK)
		s->expected = s->header.first_lsn;
	if (err == OK)
		err = walk_segment(s, apply);
	if (apply && err == OK)
		err = note_segment(s, s->at);
	port_close(s->file);
	return err;
}

/* Whether anything was ever written behind the header of a segment. The header
 * is durable before that: if it is bad all the same, it is damage. */
static int holds_records(struct scan *s, uint32_t id, bool *holds)
{
	uint8_t *block = s->st->scratch;
	char name[PORT_PATH_MAX];
	port_file f;
	int64_t n;

	files_segment_name(s->st, id, name);
	f = port_open(name, PORT_READ);
	if (f < 0)
		return E_IO;
	n = read_again(f, RECORD_BLOCK, block, RECORD_BLOCK);
	port_close(f);
	*holds = false;
	for (int64_t i = 0; i < n; i++)
		*holds |= block[i] != 0;
	return n < 0 ? E_IO : OK;
}

/* A segment with a bad header. The last one may just not have been written; any
 * other is damage: messages in it that the checkpoint knows can still be read,
 * what came after is lost. One that the checkpoint does not know is kept aside. */
static int bad_header(struct scan *s, uint32_t id, bool last)
{
	struct store *st = s->st;
	char name[PORT_PATH_MAX], aside[PORT_PATH_MAX];
	struct segment row;
	bool holds = true;
	int err = last ? holds_records(s, id, &holds) : OK;

	if (err != OK || !holds)
		return err;
	s->damaged++;
	s->lost = true;
	if (id >= st->super.next_segment)
		st->super.next_segment = id + 1;
	err = segment_row_get(st, id, &row);
	if (err != E_NOENT) {
		log_error("store: the header of segment %lu is damaged: what came last in it is lost",
			(unsigned long)id);
		return err;
	}
	/* Messages in it that the old index knows can be read all the same. */
	if (st->rebuild)
		return OK;
	files_segment_name(st, id, name);
	memcpy(aside, name, sizeof aside);
	memcpy(aside + strlen(aside) - 3, "bad", 3);
	log_error("store: the header of segment %lu is damaged: kept aside as %s", (unsigned long)id, aside);
	err = port_rename(name, aside);
	return err == OK ? files_sync_dir(st) : err;
}

/* Runs over all segments from the checkpoint's place on. */
static int walk(struct scan *s, uint32_t from, uint32_t offset, uint32_t last, bool apply)
{
	for (uint32_t id = from; id <= last && !s->ended; id++) {
		int err = open_segment(s, id);

		if (err == E_DAMAGED && apply)
			err = bad_header(s, id, id == last);
		else if (err == E_DAMAGED || err == E_NOENT)
			err = OK;
		else if (err == OK)
			err = walk_open(s, id == from ? offset : 0, last, apply);
		if (err != OK)
			return err;
	}
	return OK;
}

/* ---- the directory ---- */

struct listing {
	struct store *st;
	uint32_t last_segment;
	bool segments, supers;
};

static bool list_one(void *context, const char *name)
{
	struct listing *l = context;
	uint64_t number;

	if (strncmp(name, "super.", 6) == 0)
		l->supers = true;
	if (files_number(name, ".seg", &number) && number <= UINT32_MAX) {
		l->segments = true;
		if (number > l->last_segment)
			l->last_segment = (uint32_t)number;
	}
	return true;
}

/* ---- format and choice of checkpoint ---- */

static int format(struct store *st)
{
	char parent[PORT_PATH_MAX];
	int err;

	files_parent(st, parent);
	st->super.next_lsn = 1;
	st->super.next_object = st->super.orphan_from = 1;
	st->super.next_mailbox = st->super.next_uidvalidity = st->super.next_segment = 1;
	st->super.checkpoint = 1;
	st->super.replay_segment = 1;
	st->super.clean = true;
	st->super.storage = st->config.storage;
	st->tree.slots.building = 1;
	if (port_entropy(&st->super.identity, sizeof st->super.identity) != OK)
		st->super.identity = (uint64_t)port_wall_time() * 1000003u ^ port_now_us();
	tree_reset(&st->tree, UINT32_MAX);
	err = port_sync(st->tree.slots.file);
	if (err == OK)
		err = super_format(st);
	if (err == OK)
		err = files_sync_dir(st);
	return err == OK ? port_sync_dir(parent) : err;
}

/* Takes the newest superblock that can be used. *other: there is one more, of
 * the checkpoint before it. */
static int choose(struct store *st, bool *other)
{
	struct super s[2];
	int got[2];
	unsigned best;

	for (unsigned i = 0; i < 2; i++)
		got[i] = super_read(st, i, &s[i], false);
	if (got[0] == E_NOTSUP || got[1] == E_NOTSUP)
		return E_NOTSUP;
	for (unsigned i = 0; i < 2 && got[0] != OK && got[1] != OK; i++)
		if (got[i] != E_DAMAGED && got[i] != E_NOENT)
			return got[i];
	if (got[0] != OK && got[1] != OK)
		return E_DAMAGED;
	best = got[0] != OK || (got[1] == OK && s[1].checkpoint > s[0].checkpoint);
	*other = got[!best] == OK && s[!best].checkpoint + 1 == s[best].checkpoint &&
		s[!best].identity == s[best].identity;
	return super_read(st, best, &st->super, true);
}

static int mount_slots(struct store *st)
{
	struct slots *slots = &st->tree.slots;
	int err;

	slots->seed = (uint32_t)st->super.identity;
	err = tree_check_root(&st->tree);
	if (err != OK)
		return err;
	err = slots_mount(slots, st->super.checkpoint);
	if (err == E_DAMAGED || (err == OK && st->super.held)) {
		if (err == OK)
			log_notice("store: a backup was under way at the end: the map of free pages is made anew");
		else
			log_warning("store: the map of free pages is damaged: made anew from the tree");
		err = slots_clear(slots);
		if (err == OK)
			err = tree_mark_all(&st->tree);
		if (err == OK)
			err = slots_keep_freed(slots);
	}
	return err == OK ? slots_settle(slots) : err;
}

/* When it was the process that died and not the box, what is read here may still
 * be in the kernel's memory only. Nothing may be built on that: a body removed,
 * a superblock overwritten, a mailbox shown. */
static int sync_file(const char *path)
{
	port_file f = port_open(path, PORT_READ | PORT_WRITE);
	int err;

	if (f < 0)
		return f == E_NOENT ? OK : f;
	err = port_sync(f);
	port_close(f);
	return err;
}

static int settle(struct store *st, uint32_t last_segment)
{
	static const char *const supers[] = { "super.0", "super.1" };
	char path[PORT_PATH_MAX];
	int err = port_sync(st->tree.slots.file);

	for (unsigned i = 0; i < 2 && err == OK; i++) {
		files_name(st, supers[i], path);
		err = sync_file(path);
	}
	if (err == OK && last_segment) {
		files_segment_name(st, last_segment, path);
		err = sync_file(path);
	}
	if (err == OK)
		err = files_sync_dir(st);
	files_parent(st, path);
	return err == OK ? port_sync_dir(path) : err;
}

/* ---- all of it ---- */

static int replay(struct store *st, struct scan *s, uint32_t last)
{
	struct scan first = *s;
	uint32_t from = st->super.replay_segment, offset = st->super.replay_offset;
	int err = walk(&first, from, offset, last, false);

	if (err != OK)
		return err;
	s->known_durable = first.known_durable;
	s->seen = first.seen;
	st->log.durable = s->known_durable;
	st->replaying = true;
	err = walk(s, from, offset, last, true);
	st->replaying = false;
	return err;
}

int recover_log(struct store *st, uint32_t first, uint32_t last, bool apply, struct recovered *io)
{
	struct scan s = { .st = st, .known_durable = io->known_durable };
	int err;

	st->replaying = apply;
	err = walk(&s, first, 0, last, apply);
	st->replaying = false;
	if (!apply)
		io->known_durable = s.known_durable;
	io->seen = s.seen;
	io->damaged = s.damaged;
	io->box_time = s.box_time;
	return err;
}

static int finish(struct store *st, const struct scan *s, bool unclean)
{
	uint64_t least = s->seen > st->log.applied ? s->seen : st->log.applied;
	int err = OK;

	if (st->super.next_lsn <= least)
		st->super.next_lsn = least + 1;
	if (unclean)
		st->super.next_lsn += LSN_JUMP;
	/* What was applied is what is durable: the log ends there. */
	st->log.staged = st->log.applied = st->super.next_lsn - 1;
	st->log.durable = st->log.applied;
	if (s->box_time > st->box_base)
		st->box_base = s->box_time;
	st->damaged += s->damaged;
	if (err == OK)
		err = sweep_mailboxes(st, s->lost, &unclean);
	if (err == OK)
		err = space_count(st);
	if (err == OK && unclean)
		err = checkpoint_write(st, false);
	if (err == OK)
		err = sweep_files(st, s->lost);
	if (err == OK)
		err = files_before_create(st);
	st->swept = err == OK;
	return err == OK ? space_count(st) : err;
}

static int mount(struct store *st, const struct listing *l, bool back)
{
	struct scan s = { .st = st };
	bool unclean;
	int err = mount_slots(st);

	if (err != OK)
		return err;
	st->box_base = st->super.box_time;
	st->replay_last = st->log.applied = st->super.replay_lsn;
	s.expected = st->super.replay_lsn + 1;
	s.known_durable = st->super.durable;
	s.seen = st->super.replay_lsn;
	err = replay(st, &s, l->last_segment);
	if (err != OK)
		return err;
	unclean = back || !st->super.clean || s.applied || l->last_segment >= st->super.next_segment;
	if (s.applied || s.damaged)
		log_notice("store: opened after a cut: %llu changes taken from the log, %llu records damaged",
			(unsigned long long)s.applied, (unsigned long long)s.damaged);
	return finish(st, &s, unclean);
}

/* The index of the newest checkpoint is damaged. What the one before it needs is
 * still there (FORMAT.md section 2), and so are the records that came since:
 * with them it becomes the same. Only while no checkpoint has taken its place. */
static int mount_older(struct store *st, const struct listing *l, uint64_t newest)
{
	uint64_t damaged = st->damaged + 1;
	int err;

	if (st->super.checkpoint != newest)
		return E_DAMAGED;
	log_error("store: the index of checkpoint %llu is damaged: going back to the one before it",
		(unsigned long long)newest);
	err = super_read(st, (newest - 1) & 1, &st->super, true);
	if (err != OK)
		return err;
	st->damaged = damaged;
	st->replaying = false;
	st->applying_segment = 0;
	st->charged = 0;
	return mount(st, l, true);
}

int recover(struct store *st, char *reason, size_t cap)
{
	struct listing l = { .st = st };
	bool other = false;
	int err = port_list(st->dir, list_one, &l);

	if (err == OK)
		err = settle(st, l.last_segment);
	if (err == OK)
		err = choose(st, &other);
	if (err == E_DAMAGED && !l.segments && port_size(st->tree.slots.file) == 0) {
		/* Nothing was ever written: a format that was cut short. */
		err = format(st);
		if (err == OK)
			err = choose(st, &other);
	}
	if (err == E_DAMAGED)
		(void)snprintf(reason, cap,
			"%s: neither superblock can be read; `cubby check --repair` rebuilds the index", st->dir);
	if (err == E_NOTSUP)
		(void)snprintf(reason, cap, "%s was written by a newer version of Cubby", st->dir);
	if (err == OK && st->super.restoring && !st->config.restore) {
		(void)snprintf(reason, cap, "%s is half restored: go on with `cubby restore` of the same backup",
			st->dir);
		err = E_STATE;
	}
	if (err == OK) {
		uint64_t newest = st->super.checkpoint;

		err = mount(st, &l, false);
		if (err == E_DAMAGED && other)
			err = mount_older(st, &l, newest);
		if (err != OK)
			(void)snprintf(reason, cap, "%s can't be opened: %s", st->dir, err_text(err));
	}
	return err;
}
