/* Reading stored messages: where they lie, their summary, their frames. */
#include "store/store_int.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "base/log.h"
#include "store/again.h"

int object_load(struct store *st, uint64_t id, struct object *o)
{
	uint8_t bytes[OBJECT_BYTES];
	int n = tree_get(&st->tree, tree_key(TREE_OBJECT, 0, id), bytes, sizeof bytes);

	if (n < 0)
		return n;
	return object_get(bytes_make(bytes, (size_t)n), o) ? OK : E_DAMAGED;
}

int object_save(struct store *st, uint64_t id, const struct object *o)
{
	uint8_t bytes[OBJECT_BYTES];

	object_put(bytes, o);
	return tree_put(&st->tree, tree_key(TREE_OBJECT, 0, id), bytes, sizeof bytes);
}

uint64_t object_record_size(const struct object *o)
{
	return record_align(RECORD_HEADER + o->body_len + (o->blob ? 0 : frames_size(o->size)));
}

uint64_t object_live(const struct object *o)
{
	uint64_t record = object_record_size(o);

	if (o->offset % (RECORD_BLOCK / RECORD_ALIGN) == 0)
		record = (record + RECORD_BLOCK - 1) & ~(uint64_t)(RECORD_BLOCK - 1);
	return record + (o->blob ? space_of_blob(o->size) : 0);
}

static void note_damage(struct store *st, uint64_t id)
{
	st->damaged++;
	log_error("store: message %llu fails its checksum; `cubby check` tells which one it is",
		(unsigned long long)id);
}

static struct pin *find_pin(struct store *st, uint64_t id)
{
	for (unsigned i = 0; i < PINS; i++)
		if (st->pins[i].object == id)
			return &st->pins[i];
	return NULL;
}

int store_pin(struct store *st, uint64_t object)
{
	struct pin *pin = find_pin(st, object);

	if (!pin) {
		pin = find_pin(st, 0);
		if (!pin)
			return E_NOMEM;
		*pin = (struct pin){ .object = object };
	}
	pin->count++;
	return OK;
}

void store_unpin(struct store *st, uint64_t object)
{
	struct pin *pin = find_pin(st, object);

	if (!pin || --pin->count)
		return;
	if (pin->dead && pin->place.blob)
		(void)files_remove(st, true, object, space_of_blob(pin->place.size));
	if (pin->dead)
		st->sweep_due = true;
	pin->object = 0;
}

/* One reference less; the last one takes the message along, unless somebody is
 * just reading it. */
int object_release(struct store *st, uint64_t id, uint32_t mailbox, uint32_t uid, uint64_t lsn)
{
	struct object o;
	struct pin *pin;
	int err = object_load(st, id, &o);

	if (err != OK)
		return err == E_NOENT ? OK : err;
	if (o.refs > 1) {
		err = reference_drop(st, id, &o, mailbox, uid);
		return err == OK ? object_save(st, id, &o) : err;
	}
	err = tree_delete(&st->tree, tree_key(TREE_OBJECT, 0, id), 0);
	if (err == OK)
		err = segment_live(st, o.segment, -(int64_t)object_record_size(&o), lsn);
	if (err != OK)
		return err;
	st->garbage_made++;
	st->super.objects--;
	st->super.live -= object_live(&o);
	pin = find_pin(st, id);
	if (pin) {
		pin->dead = true;
		pin->place = o;
	} else if (o.blob) {
		err = files_remove(st, true, id, space_of_blob(o.size));
	}
	return err;
}

int object_place(struct store *st, uint64_t id, struct object *o)
{
	int err = object_load(st, id, o);
	struct pin *pin;

	if (err != E_NOENT)
		return err;
	pin = find_pin(st, id);
	if (!pin || !pin->dead)
		return E_GONE;
	*o = pin->place;
	return OK;
}

int64_t store_summary(struct store *st, uint64_t object, void *space, size_t cap)
{
	struct object o;
	port_file f;
	uint64_t at;
	int64_t n;
	int err = object_place(st, object, &o);

	if (err != OK)
		return err;
	if (o.summary_len > cap)
		return E_LIMIT;
	f = files_open(st, false, o.segment);
	if (f < 0)
		return f == E_NOENT ? E_DAMAGED : f;
	at = (uint64_t)o.offset * RECORD_ALIGN + RECORD_HEADER + o.body_len - o.summary_len;
	n = read_again(f, at, space, o.summary_len);
	if (n < 0)
		return n;
	if (n != (int64_t)o.summary_len || crc32c(0, space, o.summary_len) != o.summary_crc) {
		note_damage(st, object);
		return E_DAMAGED;
	}
	return n;
}

/* Reads whole frames from `frame` on into the scratch, verifies them and
 * copies what is wanted of them. */
static int64_t read_frames(struct store *st, uint64_t id, const struct object *o, port_file f, uint64_t start,
	uint64_t offset, uint8_t *out, size_t len)
{
	uint32_t frame = (uint32_t)(offset / FRAME_DATA);
	uint64_t at = (uint64_t)frame * FRAME, left = frames_size(o->size) - at;
	uint64_t want = (offset % FRAME_DATA + len + FRAME_DATA - 1) / FRAME_DATA * FRAME;
	size_t n = (size_t)(want < SCRATCH ? want : SCRATCH), done = 0;
	int64_t got;

	if (n > left)
		n = (size_t)left;
	got = read_again(f, start + at, st->scratch, n);
	if (got != (int64_t)n)
		return got < 0 ? E_IO : E_DAMAGED;
	for (size_t i = 0; i < n && done < len; i += FRAME, frame++) {
		size_t data = (n - i < FRAME ? n - i : FRAME) - 4, skip = done ? 0 : (size_t)(offset % FRAME_DATA);
		size_t take;

		if (frame_crc(id, frame, st->scratch + i, data) != le32(st->scratch + i + data))
			return done ? (int64_t)done : E_DAMAGED;
		take = data - skip < len - done ? data - skip : len - done;
		memcpy(out + done, st->scratch + i + skip, take);
		done += take;
	}
	return (int64_t)done;
}

int64_t store_body(struct store *st, uint64_t object, uint64_t offset, void *data, size_t len)
{
	struct object o;
	size_t done = 0;
	int err = object_place(st, object, &o);

	if (err != OK)
		return err;
	if (offset >= o.size)
		return 0;
	if (len > o.size - offset)
		len = (size_t)(o.size - offset);
	while (done < len) {
		port_file f = files_open(st, o.blob, o.blob ? object : o.segment);
		uint64_t start = o.blob ? 0 : (uint64_t)o.offset * RECORD_ALIGN + RECORD_HEADER + o.body_len;
		int64_t n = f;

		if (f >= 0)
			n = read_frames(st, object, &o, f, start, offset + done, (uint8_t *)data + done, len - done);
		else if (f == E_NOENT)
			n = E_DAMAGED;
		if (n < 0 && done)
			break;
		if (n == E_DAMAGED)
			note_damage(st, object);
		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return (int64_t)done;
}
