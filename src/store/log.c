/* The end of the log: staging records, and the group commit that writes, syncs
 * and applies them. States of a commit: staged -> (store_commit_start) written,
 * syncing -> (store_commit_done) durable, applied. */
#include "store/store_int.h"

#include <assert.h>
#include <string.h>

#include "base/le.h"
#include "base/log.h"
#include "port/system.h"

/* Pieces of one write: a record's buffer part and the frames of its message. */
#define PIECES (LIMIT_LOG_MESSAGE / FRAME_DATA + 4)

/* ---- staging ---- */

uint8_t *log_body(struct store *st, size_t len)
{
	struct log *log = &st->log;

	if (log->syncing || log->n_items == LOG_ITEMS || len + 2 * RECORD_HEADER > log->cap - log->used) {
		log->wanted = true;
		return NULL;
	}
	return log->buffer + log->used + RECORD_HEADER;
}

uint64_t log_add(struct store *st, enum record_type type, size_t body_len)
{
	struct log *log = &st->log;
	struct log_item *item = &log->items[log->n_items++];
	uint32_t len = (uint32_t)record_align(RECORD_HEADER + body_len);

	assert(len <= log->cap - log->used);
	*item = (struct log_item){ .lsn = st->super.next_lsn++, .at = log->used, .len = len };
	item->record = (struct record){
		.type = (uint8_t)type,
		.lsn = item->lsn,
		.wall = port_wall_time(),
		.box_time = (uint32_t)store_box_time(st),
		.body_len = (uint32_t)body_len,
	};
	memset(log->buffer + log->used + RECORD_HEADER + body_len, 0, len - RECORD_HEADER - body_len);
	log->used += len;
	log->staged = item->lsn;
	return item->lsn;
}

struct log_item *log_last(struct store *st)
{
	return &st->log.items[st->log.n_items - 1];
}

store_ticket log_wait(struct store *st)
{
	st->log.wanted = true;
	return st->log.staged;
}

static int apply_item(struct store *st, struct log_item *item)
{
	int err =
		apply_record(st, &item->record, st->log.buffer + item->at + RECORD_HEADER, item->segment, item->offset);

	st->applying_segment = 0;
	st->log.applied = item->lsn;
	st->log.n_applied++;
	if (err != OK)
		store_fail(st, "a change could not be put into the index", err);
	space_charge_index(st);
	return err;
}

store_ticket log_lazy(struct store *st)
{
	struct log *log = &st->log;

	if (log->n_applied + 1 < log->n_items || st->config.flag_delay_ms == 0 || !checkpoint_can_wait(st))
		return log_wait(st);
	(void)log_apply_now(st);
	return 0;
}

bool log_idle(const struct store *st)
{
	return st->log.n_applied == st->log.n_items && !st->log.syncing;
}

bool log_wait_idle(struct store *st)
{
	if (log_idle(st) && store_all_durable(st))
		return true;
	st->log.wanted = st->idle_wanted = true;
	return false;
}

bool log_at_once(const struct store *st)
{
	return log_idle(st) && checkpoint_can_wait(st);
}

int log_apply_now(struct store *st)
{
	struct log *log = &st->log;

	assert(log->n_applied + 1 == log->n_items);
	if (!log->lazy_since_us)
		log->lazy_since_us = port_now_us();
	return apply_item(st, log_last(st));
}

void log_lose(struct store *st, struct log_item *item, int err)
{
	/* Nobody waits for what cleaning moved. */
	if (item->record.type == RECORD_MESSAGE) {
		if (st->n_lost == LOST) {
			memmove(st->lost, st->lost + 1, (LOST - 1) * sizeof *st->lost);
			st->n_lost--;
		}
		st->lost[st->n_lost++] = (struct lost){ item->lsn, err };
	}
	if (item->upload)
		upload_free(item->upload);
	/* Its record may be on the flash already, and count if nothing else comes
	 * behind it: the file goes when it is known not to. */
	item->lost_blob = (item->record.flags & RECORD_BLOB) && item->record.type == RECORD_MESSAGE;
	item->upload = NULL;
	item->tail_segment = 0;
	item->record.type = RECORD_VOID;
	item->record.flags = 0;
	item->record.tail_len = item->record.summary_len = 0;
	/* The body stays as it is: it is padding now, its length still counts. */
}

int store_ticket_result(const struct store *st, store_ticket ticket)
{
	for (uint32_t i = 0; i < st->n_lost; i++)
		if (st->lost[i].lsn == ticket)
			return st->lost[i].err;
	if (ticket <= st->log.durable && ticket <= st->log.applied)
		return OK;
	return st->read_only ? E_IO : E_AGAIN;
}

void store_commit_request(struct store *st)
{
	if (st->log.n_items)
		st->log.wanted = true;
}

bool store_all_durable(const struct store *st)
{
	return st->log.applied <= st->log.durable || STORE_PLANT(PLANT_EARLY_MODSEQ);
}

bool store_read_only(const struct store *st)
{
	return st->read_only;
}

bool store_wants_commit(const struct store *st)
{
	const struct log *log = &st->log;

	if (st->read_only || log->n_items == 0)
		return false;
	if (log->wanted || log->syncing || log->used > log->cap / 2)
		return true;
	return log->lazy_since_us && port_now_us() - log->lazy_since_us >= (uint64_t)st->config.flag_delay_ms * 1000;
}

/* ---- writing ---- */

/* A commit starts on a block of its own, so that a write that is cut can't
 * take a synced record along. */
static uint32_t aligned_start(uint32_t end, bool first)
{
	return first ? (end + RECORD_BLOCK - 1) & ~(RECORD_BLOCK - 1) : (uint32_t)record_align(end);
}

static void advance_end(struct store *st, uint32_t end)
{
	struct log *log = &st->log;

	if (!st->extend)
		space_charge(st, (int64_t)aligned_start(end, true) - (int64_t)aligned_start(log->end, true));
	log->end = end;
	/* The reserve is for just this: what must go in although all is full. */
	if (st->charged > st->config.storage)
		(void)reserve_give_up(st);
}

static uint64_t item_size(const struct log_item *item)
{
	return record_align((uint64_t)item->len + item->record.tail_len);
}

static void finish_header(struct store *st, struct log_item *item, uint32_t offset)
{
	struct log *log = &st->log;
	uint8_t *header = log->buffer + item->at;

	/* Cleaned again, it would need the same gap. */
	if (item->record.type == RECORD_MOVED)
		log->waste += offset - (uint32_t)record_align(log->end);
	item->record.durable = log->durable;
	item->record.prev_end = log->end;
	item->record.body_crc = record_body_crc(log->salt, header + RECORD_HEADER, item->record.body_len);
	record_put(header, &item->record, log->salt);
	item->segment = log->segment;
	item->offset = offset;
}

/* Copies the frames of a message that cleaning moves. */
static int copy_tail(struct store *st, const struct log_item *item, uint32_t to)
{
	port_file from = files_open(st, false, item->tail_segment);
	uint32_t left = item->record.tail_len;
	uint64_t at = item->tail_from;

	if (from < 0)
		return from;
	while (left) {
		uint32_t n = left < SCRATCH ? left : SCRATCH;
		int err;

		if (port_read(from, at, st->scratch, n) != (int64_t)n)
			return E_IO;
		err = port_write(st->log.file, to, st->scratch, n);
		if (err != OK)
			return err;
		at += n;
		to += n;
		left -= n;
	}
	return OK;
}

static int write_message(struct store *st, struct log_item *item, uint32_t offset)
{
	struct port_piece pieces[PIECES];
	size_t n = 1;
	int err;

	/* The body's padding is not written: the frames follow the body itself. */
	pieces[0] = (struct port_piece){ st->log.buffer + item->at, RECORD_HEADER + item->record.body_len };
	if (item->upload)
		n += upload_pieces(item->upload, pieces + 1, PIECES - 1);
	err = port_write_pieces(st->log.file, offset, pieces, n);
	if (err == OK && item->tail_segment)
		err = copy_tail(st, item, offset + RECORD_HEADER + item->record.body_len);
	return err;
}

/* Makes room for an item in the open segment, or opens the next one. */
static int room_for(struct store *st, const struct log_item *item, bool first)
{
	struct log *log = &st->log;
	int err;

	if (log->file >= 0 && aligned_start(log->end, first) + item_size(item) <= st->super.segment_size)
		return OK;
	if (log->file >= 0) {
		err = port_sync(log->file);
		if (err != OK)
			return err;
		log->durable = item->lsn - 1;
		log->synced_end = log->end;
		log->waste += segment_charge(port_size(log->file)) - log->end;
		err = segment_close(st, item->lsn - 1, log->end);
		if (err != OK)
			return err;
	}
	return segment_create(st, item->lsn);
}

static void count_logged(struct store *st, uint32_t bytes)
{
	st->log_bytes += bytes;
	st->checkpoint_log += bytes;
}

static int write_item(struct store *st, struct log_item *item, bool first)
{
	struct log *log = &st->log;
	uint32_t offset;
	int err = room_for(st, item, first);

	if (err != OK)
		return err;
	offset = aligned_start(log->end, first);
	finish_header(st, item, offset);
	/* First the charge: a write that fails has written some part. */
	advance_end(st, offset + RECORD_HEADER + item->record.body_len + item->record.tail_len);
	err = write_message(st, item, offset);
	if (err != OK)
		return err;
	item->written = true;
	count_logged(st, log->end - offset);
	return OK;
}

/* Small records that follow each other go out in one write. */
static int write_run(struct store *st, uint32_t from, uint32_t *next)
{
	struct log *log = &st->log;
	uint32_t n = from, bytes = 0, offset;
	int err = room_for(st, &log->items[from], from == 0);

	if (err != OK)
		return err;
	offset = aligned_start(log->end, from == 0);
	while (n < log->n_items && !log->items[n].record.tail_len &&
		offset + bytes + log->items[n].len <= st->super.segment_size) {
		struct log_item *item = &log->items[n++];

		finish_header(st, item, offset + bytes);
		bytes += item->len;
		advance_end(st, offset + bytes);
	}
	err = port_write(log->file, offset, log->buffer + log->items[from].at, bytes);
	if (err != OK)
		return err;
	for (uint32_t i = from; i < n; i++)
		log->items[i].written = true;
	count_logged(st, bytes);
	*next = n;
	return OK;
}

static int write_all(struct store *st)
{
	struct log *log = &st->log;
	uint32_t i = 0;

	while (i < log->n_items && log->items[i].written)
		i++;
	while (i < log->n_items) {
		int err;

		if (log->items[i].record.tail_len) {
			err = write_item(st, &log->items[i], i == 0);
			i++;
		} else {
			err = write_run(st, i, &i);
		}
		if (err != OK)
			return err;
	}
	return OK;
}

/* ---- failure: a fresh segment, once ---- */

/* Gives back the room of what was written since the last good sync, where the
 * file system lets us. */
static void drop_unsynced(struct store *st)
{
	struct log *log = &st->log;
	uint32_t end = aligned_start(log->end, true), synced = aligned_start(log->synced_end, true);

	if (!st->extend && end > synced && port_resize(log->file, log->synced_end) == OK)
		space_charge(st, -(int64_t)(end - synced));
}

/* What was written since the last good sync is worth nothing. The segment ends
 * where that sync left it; everything since is still in the buffer, and goes to
 * a fresh segment (rule 6). Messages are refused when the disk is full; what a
 * cleaning copied is simply dropped. */
static int start_again(struct store *st, int why)
{
	struct log *log = &st->log;
	int err;

	if (log->file >= 0) {
		drop_unsynced(st);
		err = segment_close(st, log->n_items ? log->items[0].lsn - 1 : log->durable, log->synced_end);
		if (err != OK)
			return err;
	}
	for (uint32_t i = 0; i < log->n_items; i++) {
		struct log_item *item = &log->items[i];

		/* Items that a rollover has synced into the segment before stay there. */
		if (item->lsn <= log->durable)
			continue;
		item->written = false;
		if (item->record.type == RECORD_MOVED || (why == E_NOSPC && item->record.type == RECORD_MESSAGE))
			log_lose(st, item, why);
	}
	if (why == E_NOSPC)
		reserve_disk_is_full(st);
	err = write_all(st);
	return err == OK ? port_sync(log->file) : err;
}

static int recover_commit(struct store *st, int why)
{
	int err;

	log_warning("store: writing failed (%s): going on in a fresh segment", err_text(why));
	err = start_again(st, why);
	if (err != OK)
		store_fail(st, "the log can't be written", err);
	return err;
}

/* ---- commit ---- */

/* Applies what the commit has made durable. A commit may change more pages than
 * the lists between two checkpoints hold: then there is one on the way. */
static int apply_all(struct store *st)
{
	struct log *log = &st->log;

	while (log->n_applied < log->n_items) {
		struct log_item *item = &log->items[log->n_applied];
		int err;

		st->applying_segment = item->segment;
		st->applying_offset = item->record.prev_end;
		err = checkpoint_make_room(st);
		if (err == OK)
			err = apply_item(st, item);
		st->applying_segment = 0;
		if (err != OK)
			return err;
	}
	return OK;
}

int store_commit_start(struct store *st)
{
	struct log *log = &st->log;
	int err;

	if (st->read_only)
		return E_READONLY;
	if (log->n_items == 0 || log->syncing)
		return OK;
	err = write_all(st);
	if (err == OK && STORE_PLANT(PLANT_UNSYNCED_UID))
		err = apply_all(st);
	if (err == OK)
		err = port_sync_start(log->file);
	if (err != OK) {
		err = recover_commit(st, err);
		log->recovered = err == OK;
	}
	/* Nothing is staged any more until this is done. */
	log->syncing = err == OK;
	return err;
}

static void tell_done(struct store *st)
{
	struct log *log = &st->log;

	log->durable = log->staged;
	log->synced_end = log->end;
	if (apply_all(st) != OK)
		return;
	for (uint32_t i = 0; i < log->n_items; i++) {
		const uint8_t *body = log->buffer + log->items[i].at + RECORD_HEADER;

		if (log->items[i].upload)
			upload_free(log->items[i].upload);
		/* What can't be removed now is an orphan of the next mount. */
		if (log->items[i].lost_blob)
			(void)files_remove(st, true, le64(body), space_of_blob(le32(body + 8)));
	}
	log->n_items = log->n_applied = log->n_messages = log->used = 0;
	log->wanted = false;
	log->lazy_since_us = 0;
	st->n_heads = 0;
	st->staged_live = 0;
	for (unsigned i = 0; i < COPIES; i++)
		st->copies[i].bytes = st->copies[i].messages = 0;
	st->names_staged = false;
	if (st->idle_wanted) {
		st->idle_wanted = false;
		(void)store_maintain(st);
	}
}

int store_commit_done(struct store *st)
{
	struct log *log = &st->log;
	int err;

	if (st->read_only)
		return E_READONLY;
	if (log->n_items == 0)
		return OK;
	if (log->syncing) {
		err = log->recovered ? OK : port_sync_done(log->file);
		if (err == E_AGAIN)
			return E_AGAIN;
		log->syncing = log->recovered = false;
		if (err != OK)
			err = recover_commit(st, err);
		if (err != OK)
			return err;
	}
	tell_done(st);
	return st->read_only ? E_READONLY : OK;
}
