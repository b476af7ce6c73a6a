#include "store/values.h"

#include "base/le.h"

void entry_put(uint8_t *p, const struct store_entry *e)
{
	put_le64(p, e->object);
	put_le64(p + 8, e->modseq);
	put_le64(p + 16, e->arrival);
	put_le64(p + 24, e->keywords);
	put_le64(p + 32, (uint64_t)e->received);
	put_le64(p + 40, (uint64_t)e->saved);
	put_le32(p + 48, e->size);
	put_le16(p + 52, (uint16_t)e->zone);
	p[54] = e->flags;
	p[55] = 0;
	put_le32(p + 56, e->box_time);
}

bool entry_get(struct bytes b, uint32_t uid, struct store_entry *e)
{
	const uint8_t *p = b.data;

	if (b.len != ENTRY_BYTES)
		return false;
	*e = (struct store_entry){
		.uid = uid,
		.object = le64(p),
		.modseq = le64(p + 8),
		.arrival = le64(p + 16),
		.keywords = le64(p + 24),
		.received = (int64_t)le64(p + 32),
		.saved = (int64_t)le64(p + 40),
		.size = le32(p + 48),
		.zone = (int16_t)le16(p + 52),
		.flags = p[54],
		.box_time = le32(p + 56),
	};
	return true;
}

void object_put(uint8_t *p, const struct object *o)
{
	put_le32(p, o->segment);
	put_le32(p + 4, o->offset);
	put_le32(p + 8, o->size);
	put_le32(p + 12, o->summary_len);
	put_le32(p + 16, o->body_len);
	put_le32(p + 20, o->refs);
	put_le32(p + 24, o->home_mailbox);
	put_le32(p + 28, o->home_uid);
	put_le32(p + 32, o->blob);
	put_le32(p + 36, o->summary_crc);
}

bool object_get(struct bytes b, struct object *o)
{
	const uint8_t *p = b.data;

	if (b.len != OBJECT_BYTES)
		return false;
	*o = (struct object){
		.segment = le32(p),
		.offset = le32(p + 4),
		.size = le32(p + 8),
		.summary_len = le32(p + 12),
		.body_len = le32(p + 16),
		.refs = le32(p + 20),
		.home_mailbox = le32(p + 24),
		.home_uid = le32(p + 28),
		.blob = le32(p + 32) & 1,
		.summary_crc = le32(p + 36),
	};
	return o->summary_len <= LIMIT_SUMMARY && o->summary_len <= o->body_len;
}

void tally_add(struct tally *t, const struct store_entry *e)
{
	t->messages++;
	t->size += e->size;
	t->unseen += !(e->flags & STORE_SEEN);
	if (e->flags & STORE_DELETED) {
		t->deleted++;
		t->deleted_size += e->size;
	}
}

void tally_remove(struct tally *t, const struct store_entry *e)
{
	t->messages--;
	t->size -= e->size;
	t->unseen -= !(e->flags & STORE_SEEN);
	if (e->flags & STORE_DELETED) {
		t->deleted--;
		t->deleted_size -= e->size;
	}
}

static void put_tally(uint8_t *p, const struct tally *t)
{
	put_le32(p, t->messages);
	put_le32(p + 4, t->unseen);
	put_le32(p + 8, t->deleted);
	put_le64(p + 12, t->size);
	put_le64(p + 20, t->deleted_size);
}

static struct tally get_tally(const uint8_t *p)
{
	return (struct tally){ le32(p), le32(p + 4), le32(p + 8), le64(p + 12), le64(p + 20) };
}

size_t mailbox_put(uint8_t *p, const struct mailbox *m)
{
	put_le32(p, m->owner);
	put_le32(p + 4, m->parent);
	put_le32(p + 8, m->uidvalidity);
	put_le32(p + 12, m->uidnext);
	put_le64(p + 16, m->modseq);
	put_tally(p + 24, &m->tally);
	put_tally(p + 52, &m->staged);
	put_le32(p + 80, m->staged_end);
	put_le32(p + 84, m->recent);
	put_le32(p + 88, m->children);
	p[92] = m->keywords;
	p[93] = m->uses;
	p[94] = m->doomed;
	p[95] = m->level_len;
	memcpy(p + 96, m->level, m->level_len);
	return 96 + (size_t)m->level_len;
}

bool mailbox_get(struct bytes b, uint32_t id, struct mailbox *m)
{
	const uint8_t *p = b.data;

	if (b.len < 96 || p[95] > LIMIT_MAILBOX_LEVEL || b.len != 96 + (size_t)p[95])
		return false;
	*m = (struct mailbox){
		.id = id,
		.owner = le32(p),
		.parent = le32(p + 4),
		.uidvalidity = le32(p + 8),
		.uidnext = le32(p + 12),
		.modseq = le64(p + 16),
		.tally = get_tally(p + 24),
		.staged = get_tally(p + 52),
		.staged_end = le32(p + 80),
		.recent = le32(p + 84),
		.children = le32(p + 88),
		.keywords = p[92],
		.uses = p[93],
		.doomed = p[94] & 1,
		.level_len = p[95],
	};
	memcpy(m->level, p + 96, m->level_len);
	return m->keywords <= LIMIT_KEYWORDS;
}

void segment_put(uint8_t *p, const struct segment *s)
{
	put_le64(p, s->live);
	put_le32(p + 8, s->end);
	put_le64(p + 12, s->first);
	put_le64(p + 20, s->last);
	put_le64(p + 28, s->dead_since);
	put_le32(p + 36, s->size);
	put_le32(p + 40, s->waste);
}

bool segment_get(struct bytes b, struct segment *s)
{
	const uint8_t *p = b.data;

	if (b.len != SEGMENT_BYTES)
		return false;
	*s = (struct segment){
		.live = le64(p),
		.end = le32(p + 8),
		.first = le64(p + 12),
		.last = le64(p + 20),
		.dead_since = le64(p + 28),
		.size = le32(p + 36),
		.waste = le32(p + 40),
	};
	return true;
}
