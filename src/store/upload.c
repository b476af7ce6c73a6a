/* Messages on their way in. A small one is kept in memory, already in frames,
 * until it goes into the log; a large one, or one for which there is no memory,
 * is a file of its own from the start or from then on. */
#include "store/store_int.h"

#include <assert.h>
#include <string.h>

#include "base/le.h"

#define FRAMES_MAX (LIMIT_LOG_MESSAGE / FRAME_DATA + 1)
/* A long stream is synced piece by piece, so that no sync at its end is long. */
#define SYNC_EVERY (256u * 1024)

struct store_upload {
	struct store *st;
	struct store_upload *next;
	uint64_t object;
	uint64_t size;
	uint64_t announced;        /* what it is said to have in the end; 0: nobody said */
	port_file file;            /* the blob, or -1 */
	uint32_t names_lost;       /* of the store when the blob was made */
	uint8_t *frames[FRAMES_MAX]; /* in memory; a blob uses only the first */
	uint32_t n_frames;         /* full ones in memory, or written to the blob */
	uint32_t fill;             /* data bytes in the last, unfinished one */
	uint64_t unsynced;
	uint64_t charged;          /* bytes of the budget that the blob takes */
	bool committed;            /* belongs to the log now */
	bool finished;             /* the last frame has its checksum */
	bool spare;                /* takes only what is free */
};

_Static_assert(sizeof(struct store_upload) <= UPLOAD_BYTES, "the pool's units are large enough");

static uint32_t memory_frames(const struct store *st)
{
	uint32_t most = st->super.segment_size / 2 - (BODY_MAX + RECORD_BLOCK);

	return (most < LIMIT_LOG_MESSAGE ? most : LIMIT_LOG_MESSAGE) / FRAME;
}

uint64_t upload_most_in_log(const struct store *st)
{
	return (uint64_t)memory_frames(st) * FRAME;
}

static bool in_memory(const struct store_upload *up)
{
	return up->file < 0;
}

static uint8_t *current(const struct store_upload *up)
{
	return up->frames[in_memory(up) ? up->n_frames : 0];
}

uint64_t upload_orphans_from(const struct store *st)
{
	uint64_t least = st->super.next_object;

	/* A checkpoint while a cut is being recovered from comes before the sweep. */
	if (!st->swept)
		return st->super.orphan_from;
	/* Restored messages bear their old ids. */
	if (st->super.restoring)
		return 1;
	if (st->backup.holds_files)
		least = st->backup.object + 1;
	/* Messages that are only kept because somebody reads them are in no table. */
	for (unsigned i = 0; i < PINS; i++)
		if (st->pins[i].object && st->pins[i].dead && st->pins[i].place.blob && st->pins[i].object < least)
			least = st->pins[i].object;

	for (const struct store_upload *up = st->open_uploads; up; up = up->next)
		if (up->object < least)
			least = up->object;
	return least;
}

static int open_blob(struct store_upload *up)
{
	char name[PORT_PATH_MAX];
	int err = files_before_create(up->st);

	if (err != OK)
		return err;
	up->names_lost = up->st->names_lost;
	files_blob_name(up->st, up->object, name);
	up->file = port_open(name, PORT_READ | PORT_WRITE | PORT_CREATE | PORT_EMPTY);
	return up->file < 0 ? up->file : OK;
}

static int begin(struct store *st, uint64_t object, uint64_t size, struct store_upload **out)
{
	struct store_upload *up;
	int err = OK;

	if (st->read_only)
		return E_READONLY;
	if (size > st->config.message_max)
		return E_TOOBIG;
	if (!room_for_mail(st) || size > space_capacity(st))
		return E_FULL;
	/* One frame at least must be there for each upload. */
	if (pool_free(&st->chunks) == 0)
		return E_AGAIN;
	up = pool_get(&st->uploads);
	if (!up)
		return E_AGAIN;
	up->st = st;
	up->announced = size;
	up->file = -1;
	up->object = object ? object : st->super.next_object++;
	up->frames[0] = pool_get(&st->chunks);
	up->next = st->open_uploads;
	st->open_uploads = up;
	if (frames_size(size) > upload_most_in_log(st))
		err = open_blob(up);
	if (err != OK) {
		store_upload_abort(up);
		return err;
	}
	*out = up;
	return OK;
}

int store_upload_begin(struct store *st, uint64_t size, struct store_upload **out)
{
	return begin(st, 0, size, out);
}

int upload_begin_exact(struct store *st, uint64_t object, uint64_t size, struct store_upload **out)
{
	return begin(st, object, size, out);
}

static int sync_now_and_then(struct store_upload *up, uint32_t written)
{
	up->unsynced += written;
	if (up->unsynced < SYNC_EVERY)
		return OK;
	up->unsynced = 0;
	return port_sync(up->file);
}

static int write_frame(struct store_upload *up, uint32_t number, const uint8_t *frame, uint32_t len)
{
	int err;

	if (!space_has(up->st, FRAME, false))
		return E_FULL;
	err = port_write(up->file, (uint64_t)number * FRAME, frame, len);
	if (err != OK)
		return err;
	space_charge(up->st, FRAME);
	up->charged += FRAME;
	up->st->log_bytes += len;
	return sync_now_and_then(up, len);
}

/* No more memory for it: the frames, all of them finished, go to a file, and
 * the first one's memory takes the next. */
static int spill(struct store_upload *up)
{
	uint32_t full = up->n_frames;
	int err = open_blob(up);

	for (uint32_t i = 0; i < full && err == OK; i++)
		err = write_frame(up, i, up->frames[i], FRAME);
	for (uint32_t i = 1; i < full && err == OK; i++) {
		pool_put(&up->st->chunks, up->frames[i]);
		up->frames[i] = NULL;
	}
	return err;
}

static int finish_frame(struct store_upload *up)
{
	uint8_t *frame = current(up);
	int err = OK;

	put_le32(frame + up->fill, frame_crc(up->object, up->n_frames, frame, up->fill));
	if (in_memory(up)) {
		up->n_frames++;
		return OK;
	}
	err = write_frame(up, up->n_frames, frame, up->fill + 4);
	up->n_frames++;
	return err;
}

/* A place for the next frame: memory while there is some and the message is
 * small, else the file. */
static int next_frame(struct store_upload *up)
{
	struct store *st = up->st;

	up->fill = 0;
	if (!in_memory(up))
		return OK;
	/* Others must find a frame each. */
	if (up->n_frames < memory_frames(st) && pool_free(&st->chunks) > pool_free(&st->uploads)) {
		up->frames[up->n_frames] = pool_get(&st->chunks);
		return OK;
	}
	return spill(up);
}

int store_upload_write(struct store_upload *up, const void *data, size_t len)
{
	const uint8_t *p = data;

	assert(!up->finished);
	if (up->size + len > up->st->config.message_max)
		return E_TOOBIG;
	while (len) {
		size_t n = FRAME_DATA - up->fill < len ? FRAME_DATA - up->fill : len;
		int err = OK;

		if (n == 0) {
			err = finish_frame(up);
			if (err == OK)
				err = next_frame(up);
			if (err != OK)
				return err;
			continue;
		}
		memcpy(current(up) + up->fill, p, n);
		up->fill += (uint32_t)n;
		up->size += n;
		p += n;
		len -= n;
	}
	return OK;
}

void store_upload_spare(struct store_upload *up)
{
	up->spare = true;
}

int store_upload_ready(struct store_upload *up, uint32_t owner, size_t len)
{
	struct store *st = up->st;
	uint64_t size;
	int err;

	if (up->spare || up->size + len > st->config.message_max)
		return OK;
	if (in_memory(up) && up->n_frames + len / FRAME_DATA + 1 < memory_frames(st))
		return OK;
	/* All or nothing: mail goes for its first bytes only when so much may go that the
	 * last ones have room too. Where nobody said how large it is it may be as large
	 * as any. */
	size = up->announced ? up->announced : st->config.message_max;
	err = store_room(st, owner, size > up->size + len ? size : up->size + len);
	if (err == E_AGAIN)
		return err;
	return room_for_frames(st, owner, up->size + len, (len / FRAME_DATA + 2) * FRAME, err == OK);
}

int upload_has_room(struct store_upload *up, size_t len)
{
	if (in_memory(up) && up->n_frames + len / FRAME_DATA + 1 < memory_frames(up->st))
		return OK;
	return room_for_frames(up->st, 0, up->size + len, (len / FRAME_DATA + 2) * FRAME, false);
}

uint64_t store_upload_size(const struct store_upload *up)
{
	return up->size;
}

int64_t store_upload_read(struct store_upload *up, uint64_t offset, void *data, size_t len)
{
	size_t done = 0;

	if (offset >= up->size)
		return 0;
	if (len > up->size - offset)
		len = (size_t)(up->size - offset);
	while (done < len) {
		uint32_t number = (uint32_t)((offset + done) / FRAME_DATA);
		size_t at = (size_t)((offset + done) % FRAME_DATA), n = FRAME_DATA - at;
		uint8_t *out = (uint8_t *)data + done;

		if (n > len - done)
			n = len - done;
		if (in_memory(up) || (number == up->n_frames && !up->finished))
			memcpy(out, up->frames[in_memory(up) ? number : 0] + at, n);
		else if (port_read(up->file, (uint64_t)number * FRAME + at, out, n) != (int64_t)n)
			return E_IO;
		done += n;
	}
	return (int64_t)done;
}

void upload_free(struct store_upload *up)
{
	struct store *st = up->st;
	struct store_upload **p = &st->open_uploads;

	while (*p && *p != up)
		p = &(*p)->next;
	if (*p)
		*p = up->next;
	if (up->file >= 0)
		port_close(up->file);
	for (uint32_t i = 0; i < FRAMES_MAX; i++)
		pool_put(&st->chunks, up->frames[i]);
	pool_put(&st->uploads, up);
}

void store_upload_abort(struct store_upload *up)
{
	struct store *st = up->st;
	uint64_t object = up->object;
	uint64_t charged = up->charged;
	bool blob = !in_memory(up);

	assert(!up->committed);
	upload_free(up);
	if (!blob)
		return;
	(void)files_remove(st, true, object, charged);
}

size_t upload_pieces(const struct store_upload *up, struct port_piece *pieces, size_t cap)
{
	size_t n = 0;

	for (uint32_t i = 0; i < up->n_frames && n < cap; i++, n++)
		pieces[n] = (struct port_piece){ up->frames[i], i + 1 == up->n_frames ? up->fill + 4 : FRAME };
	return n;
}

/* ---- commit ---- */

/* The last frame, and for a blob the file and its name made durable before
 * its record exists. */
static int finish(struct store_upload *up)
{
	int err = OK;

	if (up->finished)
		return OK;
	if (up->fill)
		err = finish_frame(up);
	if (err == OK && !in_memory(up))
		err = port_sync(up->file);
	if (err == OK && !in_memory(up))
		err = up->names_lost == up->st->names_lost ? files_sync_dir(up->st) : E_IO;
	up->finished = err == OK;
	return err;
}

/* Whether all targets can take it: nothing is changed yet. */
static int check_targets(struct store_upload *up, struct store_target *targets, size_t n, struct head **heads)
{
	for (size_t i = 0; i < n; i++) {
		struct mailbox m;
		int err = i == 0 ? change_begin(up->st, targets[i].mailbox, &m, &heads[i])
				 : change_also(up->st, targets[i].mailbox, &m, &heads[i]);

		if (err == OK)
			err = change_uids_left(heads[i]->uidnext, n);
		if (err == OK)
			err = up->spare ? store_room_spare(up->st, m.owner, up->size)
					: room_make(up->st, m.owner, up->size);
		if (err != OK)
			return err;
	}
	return OK;
}

/* What a message's record begins with, in front of its targets. */
static uint8_t *put_head(const struct store_upload *up, uint8_t *body, size_t n)
{
	put_le64(body, up->object);
	put_le32(body + 8, (uint32_t)up->size);
	put_le16(body + 12, (uint16_t)n);
	put_le16(body + 14, 0);
	return body + 16;
}

static uint8_t *put_target(uint8_t *p, const struct store_target *t)
{
	put_le32(p, t->mailbox);
	put_le32(p + 4, t->uid);
	put_le64(p + 8, t->keywords);
	put_le64(p + 16, (uint64_t)t->received);
	put_le16(p + 24, (uint16_t)t->zone);
	p[26] = t->flags;
	p[27] = 0;
	return p + 28;
}

static size_t put_summary(const uint8_t *body, uint8_t *p, struct bytes summary)
{
	if (summary.len)
		memcpy(p, summary.data, summary.len);
	return (size_t)(p - body) + summary.len;
}

static size_t build(struct store_upload *up, uint8_t *body, struct bytes summary, struct store_target *targets,
	size_t n, struct head **heads)
{
	uint8_t *p = put_head(up, body, n);

	for (size_t i = 0; i < n; i++) {
		targets[i].uid = heads[i]->uidnext++;
		heads[i]->bytes += up->size;
		heads[i]->messages++;
		heads[i]->staged = true;
		p = put_target(p, &targets[i]);
	}
	return put_summary(body, p, summary);
}

static size_t build_exact(struct store_upload *up, uint8_t *body, struct bytes summary,
	const struct exact_target *targets, size_t n)
{
	uint8_t *p = put_head(up, body, n);

	for (size_t i = 0; i < n; i++) {
		const struct store_entry *e = &targets[i].entry;
		struct store_target t = { targets[i].mailbox, e->flags, e->keywords, e->received, e->zone, e->uid };

		p = put_target(p, &t);
	}
	for (size_t i = 0; i < n; i++, p += EXACT_BYTES) {
		put_le64(p, targets[i].entry.modseq);
		put_le64(p + 8, targets[i].entry.arrival);
		put_le64(p + 16, (uint64_t)targets[i].entry.saved);
		put_le32(p + 24, targets[i].entry.box_time);
	}
	return put_summary(body, p, summary);
}

/* Room for the record of a message that is complete. E_AGAIN, E_FULL. */
static int get_body(struct store_upload *up, size_t len, uint8_t **body)
{
	struct store *st = up->st;
	int err = finish(up);

	if (err == OK)
		err = room_for_record(st, RECORD_HEADER + len + (in_memory(up) ? frames_size(up->size) : 0));
	if (err != OK)
		return err;
	*body = st->log.n_messages < LOG_MESSAGES ? log_body(st, len) : NULL;
	if (*body)
		return OK;
	(void)log_wait(st);
	return E_AGAIN;
}

/* Adds the record whose body was built; the upload is the log's or gone. */
static void add(struct store_upload *up, size_t len, size_t summary_len, unsigned flags)
{
	struct store *st = up->st;
	struct log_item *item;

	st->log.n_messages++;
	(void)log_add(st, RECORD_MESSAGE, len);
	item = log_last(st);
	item->record.summary_len = (uint32_t)summary_len;
	item->record.flags = (uint16_t)flags;
	st->bytes_in += up->size;
	st->staged_live += in_memory(up) ? record_align(RECORD_HEADER + len + frames_size(up->size))
					 : record_align(RECORD_HEADER + len) + space_of_blob(up->size);
	if (in_memory(up)) {
		item->record.tail_len = (uint32_t)frames_size(up->size);
		item->upload = up;
		up->committed = true;
	} else {
		item->record.flags |= RECORD_BLOB;
		upload_free(up);
	}
}

int store_upload_commit(struct store_upload *up, struct bytes summary, struct store_target *targets, size_t n,
	store_ticket *ticket)
{
	struct store *st = up->st;
	struct head *heads[STORE_TARGETS];
	uint8_t *body;
	int err;

	assert(n >= 1 && n <= STORE_TARGETS && summary.len <= LIMIT_SUMMARY);
	*ticket = 0;
	err = check_targets(up, targets, n, heads);
	if (err == OK)
		err = get_body(up, 16 + n * 28 + summary.len, &body);
	if (err != OK)
		return err;
	add(up, build(up, body, summary, targets, n, heads), summary.len, 0);
	*ticket = log_wait(st);
	return OK;
}

int upload_commit_exact(struct store_upload *up, struct bytes summary, const struct exact_target *targets, size_t n)
{
	struct store *st = up->st;
	uint8_t *body;
	int err;

	assert(n >= 1 && n <= EXACT_TARGETS && summary.len <= LIMIT_SUMMARY);
	err = get_body(up, 16 + n * (28 + EXACT_BYTES) + summary.len, &body);
	if (err != OK)
		return err;
	add(up, build_exact(up, body, summary, targets, n), summary.len, RECORD_EXACT);
	(void)log_wait(st);
	return OK;
}
