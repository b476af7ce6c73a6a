/* Segments: making one, closing one, what the tree knows of each. */
#include "store/store_int.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "port/system.h"
#include "tree/again.h"

#define SEGMENT_BODY 64u
/* The header is there twice, in one block that is never written again: without
 * its salt nothing behind it could be told from garbage. */
#define HEADER_COPY 2048u
#define HEADER_BYTES (RECORD_HEADER + SEGMENT_BODY)

/* The header record of a segment is verified with a salt that follows from the
 * store and the segment's number; every other record with the one it holds. */
static uint32_t header_salt(const struct store *st, uint32_t id)
{
	return crc32c(id, &st->tree.slots.seed, sizeof st->tree.slots.seed);
}

int segment_row_get(struct store *st, uint32_t id, struct segment *row)
{
	uint8_t bytes[SEGMENT_BYTES];
	int n = tree_get(&st->tree, tree_key(TREE_SEGMENT, 0, id), bytes, sizeof bytes);

	if (n < 0)
		return n;
	return segment_get(bytes_make(bytes, (size_t)n), row) ? OK : E_DAMAGED;
}

int segment_row_put(struct store *st, uint32_t id, const struct segment *row)
{
	uint8_t bytes[SEGMENT_BYTES];

	segment_put(bytes, row);
	return tree_put(&st->tree, tree_key(TREE_SEGMENT, 0, id), bytes, sizeof bytes);
}

uint32_t segment_charge(int64_t file_size)
{
	if (file_size < 0)
		return 0;
	return file_size > UINT32_MAX - RECORD_BLOCK ? UINT32_MAX & ~(RECORD_BLOCK - 1)
						     : ((uint32_t)file_size + RECORD_BLOCK - 1) & ~(RECORD_BLOCK - 1);
}

/* Adds to a segment's live bytes. */
int segment_live(struct store *st, uint32_t id, int64_t bytes, uint64_t lsn)
{
	struct segment row;
	int err = segment_row_get(st, id, &row);

	if (err == E_NOENT) {
		row = (struct segment){ 0 };
		err = OK;
	}
	if (err != OK)
		return err;
	if (bytes < 0 && row.live < (uint64_t)-bytes)
		row.live = 0;
	else
		row.live = (uint64_t)((int64_t)row.live + bytes);
	row.dead_since = row.live ? 0 : lsn;
	return segment_row_put(st, id, &row);
}

static void build_header(struct store *st, uint32_t id, uint64_t first_lsn, uint8_t *header)
{
	struct log *log = &st->log;
	uint8_t *body = header + RECORD_HEADER;
	struct record r = {
		.type = RECORD_SEGMENT,
		.lsn = first_lsn,
		.durable = log->durable,
		.wall = 0,
		.box_time = (uint32_t)store_box_time(st),
		.body_len = SEGMENT_BODY,
	};

	memset(body, 0, SEGMENT_BODY);
	put_le32(body, id);
	put_le32(body + 4, log->salt);
	put_le32(body + 8, log->prev_segment);
	put_le32(body + 12, log->prev_valid_end);
	put_le64(body + 16, first_lsn);
	put_le64(body + 24, st->super.identity);
	body[32] = st->extend;
	put_le32(body + 36, st->super.next_mailbox);
	put_le32(body + 40, st->super.next_uidvalidity);
	r.body_crc = record_body_crc(header_salt(st, id), body, SEGMENT_BODY);
	record_put(header, &r, header_salt(st, id));
}

static int read_header(struct store *st, port_file f, uint64_t at, uint32_t id, struct segment_header *out)
{
	uint8_t header[HEADER_BYTES];
	const uint8_t *body = header + RECORD_HEADER;
	struct record r;
	int64_t n = read_again(f, at, header, sizeof header);

	/* This place only, or the device? */
	if (n < 0 && read_again(f, RECORD_BLOCK, header, sizeof header) < 0)
		return E_IO;
	if (n != sizeof header || !record_get(header, &r, header_salt(st, id)) || r.type != RECORD_SEGMENT ||
		r.body_len != SEGMENT_BODY || record_body_crc(header_salt(st, id), body, SEGMENT_BODY) != r.body_crc ||
		le32(body) != id || le64(body + 24) != st->super.identity)
		return E_DAMAGED;
	*out = (struct segment_header){
		.id = id,
		.salt = le32(body + 4),
		.prev = le32(body + 8),
		.prev_end = le32(body + 12),
		.first_lsn = le64(body + 16),
		.durable = r.durable,
		.extend = body[32] & 1,
		.next_mailbox = le32(body + 36),
		.next_uidvalidity = le32(body + 40),
	};
	return OK;
}

int segment_identify(port_file f, uint32_t *id, uint64_t *identity)
{
	uint8_t header[HEADER_BYTES];
	const uint8_t *body = header + RECORD_HEADER;

	for (uint32_t at = 0; at <= HEADER_COPY; at += HEADER_COPY) {
		struct record r;
		uint32_t seed, salt;
		int64_t n = read_again(f, at, header, sizeof header);

		if (n < 0)
			return E_IO;
		if (n != sizeof header)
			continue;
		*id = le32(body);
		*identity = le64(body + 24);
		seed = (uint32_t)*identity;
		salt = crc32c(*id, &seed, sizeof seed);
		if (record_get(header, &r, salt) && r.type == RECORD_SEGMENT && r.body_len == SEGMENT_BODY &&
			record_body_crc(salt, body, SEGMENT_BODY) == r.body_crc)
			return OK;
	}
	return E_DAMAGED;
}

int segment_read_header(struct store *st, port_file f, uint32_t id, struct segment_header *out)
{
	int err = read_header(st, f, 0, id, out);

	return err == OK ? OK : read_header(st, f, HEADER_COPY, id, out);
}

/* A salt that no earlier segment had: random where there is entropy, and in
 * any case different for each id. */
static uint32_t fresh_salt(const struct store *st, uint32_t id)
{
	uint32_t random = 0;

	if (STORE_PLANT(PLANT_OLD_SALT))
		return 1;
	(void)port_entropy(&random, sizeof random);
	return random ^ crc32c(id, &st->super.identity, sizeof st->super.identity);
}

/* Its header is durable, name included, before anything in it counts. */
static int write_new(struct store *st, uint32_t id, uint64_t first_lsn)
{
	uint8_t *header = st->scratch;
	struct log *log = &st->log;
	char name[PORT_PATH_MAX];
	int err;

	files_segment_name(st, id, name);
	log->file = port_open(name, PORT_READ | PORT_WRITE | PORT_CREATE | PORT_EXCLUSIVE);
	if (log->file < 0)
		return log->file;
	memset(header, 0, HEADER_COPY);
	build_header(st, id, first_lsn, header);
	memcpy(header + HEADER_COPY, header, HEADER_BYTES);
	err = st->extend ? port_resize(log->file, st->super.segment_size) : OK;
	if (err == OK) {
		st->log_bytes += HEADER_COPY + HEADER_BYTES;
		err = port_write(log->file, 0, header, HEADER_COPY + HEADER_BYTES);
	}
	if (err == OK)
		err = port_sync(log->file);
	if (err == OK && !STORE_PLANT(PLANT_NO_DIR_SYNC))
		err = files_sync_dir(st);
	if (err == OK)
		return OK;
	port_close(log->file);
	log->file = -1;
	(void)port_remove(name);
	st->unlinks_pending = true;
	return err;
}

int segment_create(struct store *st, uint64_t first_lsn)
{
	struct log *log = &st->log;
	uint32_t id = st->super.next_segment;
	struct segment row = { .first = first_lsn };
	int err;

	if (!space_has(st, st->super.segment_size, false))
		(void)reserve_give_up(st);
	err = files_before_create(st);
	if (err != OK)
		return err;
	st->super.next_segment++;
	log->salt = fresh_salt(st, id);
	err = write_new(st, id, first_lsn);
	if (err != OK)
		return err;
	log->segment = id;
	log->end = log->synced_end = log->waste = RECORD_BLOCK;
	space_charge(st, st->extend ? (int64_t)st->super.segment_size : 4096);
	return segment_row_put(st, id, &row);
}

int segment_close(struct store *st, uint64_t last_lsn, uint32_t valid_end)
{
	struct log *log = &st->log;
	struct segment row;
	uint32_t size;
	int err;

	if (log->file < 0)
		return OK;
	size = segment_charge(port_size(log->file));
	port_close(log->file);
	log->file = -1;
	log->prev_segment = log->segment;
	log->prev_valid_end = valid_end;
	st->sweep_due = true;
	st->garbage_made++;
	err = segment_row_get(st, log->segment, &row);
	if (err != OK)
		return err;
	row.end = valid_end;
	row.last = last_lsn;
	row.size = size;
	row.waste = log->waste;
	if (row.live == 0)
		row.dead_since = last_lsn;
	return segment_row_put(st, log->segment, &row);
}
