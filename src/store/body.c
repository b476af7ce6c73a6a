/* Reading stored messages: where they lie, their summary, their frames. */
#include "store/store_int.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "base/log.h"
#include "tree/again.h"

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

bool store_pinned_only(const struct store *st, uint64_t object)
{
	for (unsigned i = 0; object && i < PINS; i++)
		if (st->pins[i].object == object)
			return st->pins[i].dead;
	return false;
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
	if (rebuild_keeps(st)) {
		o.refs = 0;
		o.home_mailbox = o.home_uid = 0;
		return object_save(st, id, &o);
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
		damage_note(st, object);
		return E_DAMAGED;
	}
	return n;
}

/* Reads frames from the one that holds `offset` on: as many as are wanted now,
 * and along with them those that will be wanted next. */
static int fill_frames(struct store *st, uint64_t id, const struct object *o, port_file f, uint64_t start,
	uint64_t offset, uint64_t len)
{
	struct frames *c = &st->frames;
	uint32_t first = (uint32_t)(offset / FRAME_DATA);
	uint64_t at = (uint64_t)first * FRAME, left = frames_size(o->size) - at;
	uint64_t want = (offset % FRAME_DATA + len + FRAME_DATA - 1) / FRAME_DATA * FRAME;
	int64_t got;

	if (c->object == id && first == c->first + (c->bytes + FRAME - 1) / FRAME)
		want = SCRATCH;
	if (want > SCRATCH)
		want = SCRATCH;
	if (want > left)
		want = left;
	c->object = 0;
	got = read_again(f, start + at, c->data, (size_t)want);
	if (got != (int64_t)want)
		return got < 0 ? E_IO : E_DAMAGED;
	*c = (struct frames){ .object = id, .first = first, .bytes = (uint32_t)want, .data = c->data };
	return OK;
}

/* Each frame is verified when it is first looked at. False: it is damaged, and
 * will be read again. */
static bool verify_frame(struct frames *c, uint32_t i)
{
	const uint8_t *p = c->data + i * FRAME;
	size_t data = (c->bytes - i * FRAME < FRAME ? c->bytes - i * FRAME : FRAME) - 4;

	if (!(c->verified >> i & 1) && frame_crc(c->object, c->first + i, p, data) != le32(p + data)) {
		c->object = 0;
		return false;
	}
	c->verified |= 1u << i;
	return true;
}

/* Copies what is wanted of the frames that were read. A message's bytes never change and its id is never used
 * again, so what was read stays right wherever the message goes. */
static int64_t take_frames(struct frames *c, uint64_t offset, uint8_t *out, size_t len)
{
	uint32_t frame = (uint32_t)(offset / FRAME_DATA);
	size_t done = 0;

	for (uint32_t i = frame - c->first; i * FRAME < c->bytes && done < len; i++) {
		size_t data = (c->bytes - i * FRAME < FRAME ? c->bytes - i * FRAME : FRAME) - 4;
		size_t skip = done ? 0 : (size_t)(offset % FRAME_DATA), take;

		if (!verify_frame(c, i))
			return done ? (int64_t)done : E_DAMAGED;
		take = data - skip < len - done ? data - skip : len - done;
		memcpy(out + done, c->data + i * FRAME + skip, take);
		done += take;
	}
	return (int64_t)done;
}

static bool has_frame(const struct frames *c, uint64_t id, uint64_t offset)
{
	uint64_t frame = offset / FRAME_DATA;

	return c->object == id && frame >= c->first && (frame - c->first) * FRAME < c->bytes;
}

static int load_frames(struct store *st, uint64_t id, const struct object *o, uint64_t offset, uint64_t len)
{
	port_file f = files_open(st, o->blob, o->blob ? id : o->segment);
	uint64_t start = o->blob ? 0 : (uint64_t)o->offset * RECORD_ALIGN + RECORD_HEADER + o->body_len;

	if (f < 0)
		return f == E_NOENT ? E_DAMAGED : f;
	return fill_frames(st, id, o, f, start, offset, len);
}

static int64_t read_frames(struct store *st, uint64_t id, const struct object *o, uint64_t offset, uint8_t *out,
	size_t len, uint64_t ahead)
{
	int err = has_frame(&st->frames, id, offset) ? OK : load_frames(st, id, o, offset, len + ahead);

	return err == OK ? take_frames(&st->frames, offset, out, len) : err;
}

int store_body_ready(struct store *st, uint64_t object, uint64_t offset, uint64_t len)
{
	struct frames *c = &st->frames;
	struct object o;
	uint64_t first = offset / FRAME_DATA, last, most = first + SCRATCH / FRAME - 1;
	int err = object_place(st, object, &o);

	if (err != OK || offset >= o.size || len == 0)
		return err;
	last = (offset + (len < o.size - offset ? len : o.size - offset) - 1) / FRAME_DATA;
	if (last > most)
		last = most;
	if (!has_frame(c, object, offset) || !has_frame(c, object, last * FRAME_DATA))
		err = load_frames(st, object, &o, offset, len);
	for (; err == OK && first <= last; first++)
		if (!verify_frame(c, (uint32_t)first - c->first))
			err = E_DAMAGED;
	if (err == E_DAMAGED)
		damage_note(st, object);
	return err;
}

int64_t store_body_ahead(struct store *st, uint64_t object, uint64_t offset, void *data, size_t len, uint64_t ahead)
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
		int64_t n = read_frames(st, object, &o, offset + done, (uint8_t *)data + done, len - done, ahead);

		if (n < 0 && done)
			break;
		if (n == E_DAMAGED)
			damage_note(st, object);
		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return (int64_t)done;
}

int64_t store_body(struct store *st, uint64_t object, uint64_t offset, void *data, size_t len)
{
	return store_body_ahead(st, object, offset, data, len, 0);
}
