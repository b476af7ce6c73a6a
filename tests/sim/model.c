#include "model.h"

#include "base/err.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void model_init(struct model *m)
{
	memset(m, 0, sizeof *m);
}

/* ---- looking things up ---- */

int state_find(const struct m_state *s, uint32_t owner, const char *name)
{
	for (int i = 0; i < M_BOXES; i++)
		if (s->box[i].used && s->box[i].owner == owner && strcmp(s->box[i].name, name) == 0)
			return i;
	return -1;
}

struct m_entry *box_entry(struct m_box *b, uint32_t uid)
{
	unsigned low = 0, high = b->n;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (b->e[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < b->n && b->e[low].uid == uid ? &b->e[low] : NULL;
}

static bool op_touches(const struct m_op *op, unsigned box)
{
	if (op->kind == M_CREATE || op->kind == M_RENAME)
		for (unsigned i = 0; i < op->n_made; i++)
			if (op->made[i].box == box)
				return true;
	if (op->kind == M_MESSAGE) {
		for (unsigned i = 0; i < op->n_targets; i++)
			if (op->targets[i].box == box)
				return true;
		return false;
	}
	if (op->kind == M_SUBSCRIBE || op->kind == M_FORGET || op->kind == M_CREATE)
		return false;
	return op->box == box || ((op->kind == M_MOVE || op->kind == M_RENAME) && op->to == box);
}

bool model_box_busy(const struct model *m, unsigned box)
{
	for (unsigned i = m->n_live; i < m->n_ops; i++)
		if (op_touches(&m->ops[i], box))
			return true;
	return false;
}

int model_free_box(const struct model *m)
{
	for (unsigned i = 0; i < M_BOXES; i++) {
		bool used = m->durable.box[i].used || m->live.box[i].used;

		for (unsigned j = 0; j < m->n_ops && !used; j++)
			used = op_touches(&m->ops[j], i);
		if (!used)
			return (int)i;
	}
	return -1;
}

/* ---- staging ---- */

struct m_op *model_op(struct model *m, enum m_kind kind, uint64_t lsn)
{
	struct m_op *op = &m->ops[m->n_ops++];

	if (m->n_ops == M_OPS) {
		fprintf(stderr, "the model has no room for more ops\n");
		abort();
	}
	memset(op, 0, sizeof *op);
	op->kind = kind;
	op->lsn = lsn;
	return op;
}

void model_apply(struct model *m)
{
	for (; m->n_live < m->n_ops; m->n_live++)
		state_apply(&m->live, m, &m->ops[m->n_live]);
}

void model_told(struct model *m)
{
	model_apply(m);
	for (unsigned i = 0; i < m->n_ops; i++) {
		state_apply(&m->durable, m, &m->ops[i]);
		if (!m->ops[i].lost && m->ops[i].lsn > m->told_lsn)
			m->told_lsn = m->ops[i].lsn;
	}
	m->n_ops = m->n_live = m->n_aux = 0;
}

/* ---- applying ---- */

static void entry_add(struct m_box *b, const struct m_entry *e)
{
	if (b->n == M_ENTRIES) {
		fprintf(stderr, "the model has no room for more messages in %s\n", b->name);
		abort();
	}
	assert(b->n == 0 || b->e[b->n - 1].uid < e->uid);
	b->e[b->n++] = *e;
	if (e->uid >= b->uidnext)
		b->uidnext = e->uid + 1;
}

static void entry_remove(struct m_box *b, struct m_entry *e)
{
	size_t at = (size_t)(e - b->e);

	memmove(e, e + 1, (b->n - at - 1) * sizeof *e);
	b->n--;
}

static void apply_message(struct m_state *s, const struct m_op *op)
{
	for (unsigned i = 0; i < op->n_targets; i++) {
		const struct m_target *t = &op->targets[i];
		struct m_entry e = { .uid = t->uid,
			.content = op->content,
			.size = op->size,
			.flags = t->flags,
			.zone = t->zone,
			.keywords = t->keywords,
			.modseq = op->lsn,
			.arrival = op->lsn,
			.received = t->received };

		if (!s->box[t->box].used)
			continue;
		entry_add(&s->box[t->box], &e);
		s->box[t->box].modseq = op->lsn;
	}
}

static void apply_flags(struct m_box *b, const struct m_op *op)
{
	for (unsigned i = 0; i < op->n_uids; i++) {
		struct m_entry *e = box_entry(b, op->uids[i]);
		uint8_t flags = op->flags;
		uint64_t keywords = op->keywords;

		if (!e)
			continue;
		if (op->how == STORE_FLAGS_ADD) {
			flags |= e->flags;
			keywords |= e->keywords;
		} else if (op->how == STORE_FLAGS_REMOVE) {
			flags = (uint8_t)(e->flags & ~flags);
			keywords = e->keywords & ~keywords;
		}
		if (flags == e->flags && keywords == e->keywords)
			continue;
		e->flags = flags;
		e->keywords = keywords;
		e->modseq = b->modseq = op->lsn;
	}
}

static void apply_expunge(struct m_box *b, const struct m_op *op)
{
	for (unsigned i = 0; i < op->n_uids; i++) {
		struct m_entry *e = box_entry(b, op->uids[i]);

		if (!e)
			continue;
		entry_remove(b, e);
		b->modseq = op->lsn;
	}
}

static uint64_t mapped(const uint8_t *map, uint64_t keywords)
{
	uint64_t out = 0;

	for (unsigned bit = 0; bit < M_KEYWORDS; bit++)
		if ((keywords >> bit & 1) && map[bit] < LIMIT_KEYWORDS)
			out |= (uint64_t)1 << map[bit];
	return out;
}

static void apply_move(struct m_box *b, struct m_box *to, const struct m_op *op)
{
	uint32_t uid = op->first;

	for (unsigned i = 0; i < op->n_uids; i++) {
		struct m_entry *e = box_entry(b, op->uids[i]), moved;

		if (!e)
			continue;
		moved = *e;
		entry_remove(b, e);
		moved.uid = uid++;
		moved.modseq = moved.arrival = op->lsn;
		moved.keywords = mapped(op->map, moved.keywords);
		entry_add(to, &moved);
		b->modseq = to->modseq = op->lsn;
	}
}

static void apply_made(struct m_state *s, const struct m_op *op)
{
	for (unsigned i = 0; i < op->n_made; i++) {
		const struct m_made *made = &op->made[i];
		struct m_box *b = &s->box[made->box];

		memset(b, 0, sizeof *b);
		b->used = true;
		b->id = made->id;
		b->owner = op->owner;
		b->uses = made->uses;
		b->uidnext = b->recent = 1;
		b->modseq = op->lsn;
		memcpy(b->name, made->name, sizeof b->name);
	}
}

/* A box goes to another name, and everything below it; not for INBOX, whose
 * children stay. */
static void apply_rename(struct m_state *s, const struct m_op *op)
{
	struct m_box *b = &s->box[op->box];
	char old[M_NAME];
	size_t len = strlen(b->name);

	if (!b->used)
		return;
	memcpy(old, b->name, sizeof old);
	for (unsigned i = 0; i < M_BOXES && strcmp(old, "INBOX") != 0; i++) {
		struct m_box *below = &s->box[i];
		char rest[M_NAME];

		if (!below->used || below->owner != b->owner || strncmp(below->name, old, len) != 0 ||
			below->name[len] != '/')
			continue;
		memcpy(rest, below->name + len, M_NAME - len);
		snprintf(below->name, sizeof below->name, "%.30s%.30s", op->name, rest);
	}
	memcpy(b->name, op->name, sizeof b->name);
	apply_made(s, op);
}

static void apply_subscribe(struct m_state *s, const struct m_op *op)
{
	int free_at = -1;

	for (int i = 0; i < M_SUBS; i++) {
		if (s->sub[i].owner == op->owner && strcmp(s->sub[i].name, op->name) == 0) {
			if (!op->how)
				s->sub[i].owner = 0;
			return;
		}
		if (s->sub[i].owner == 0 && free_at < 0)
			free_at = i;
	}
	if (!op->how)
		return;
	assert(free_at >= 0);
	s->sub[free_at].owner = op->owner;
	memcpy(s->sub[free_at].name, op->name, M_NAME);
}

static void apply_forget(struct m_state *s, const struct m_op *op)
{
	for (unsigned i = 0; i < M_BOXES; i++)
		if (s->box[i].owner == op->owner)
			s->box[i].used = false;
	for (unsigned i = 0; i < M_SUBS; i++)
		if (s->sub[i].owner == op->owner)
			s->sub[i].owner = 0;
}

static void apply_publish(struct m_box *b, const struct model *m, const struct m_op *op)
{
	if (!b->used)
		return;
	for (unsigned i = 0; i < op->n_aux; i++)
		entry_add(b, &m->aux[op->aux + i]);
	b->uidnext = op->end;
	b->modseq = op->lsn;
}

void state_apply(struct m_state *s, const struct model *m, const struct m_op *op)
{
	struct m_box *b = &s->box[op->box];

	if (op->lost)
		return;
	switch (op->kind) {
	case M_MESSAGE:
		apply_message(s, op);
		break;
	case M_FLAGS:
		apply_flags(b, op);
		break;
	case M_EXPUNGE:
	case M_EVICT:
		apply_expunge(b, op);
		break;
	case M_MOVE:
		apply_move(b, &s->box[op->to], op);
		break;
	case M_PUBLISH:
		apply_publish(b, m, op);
		break;
	case M_CREATE:
		apply_made(s, op);
		break;
	case M_DELETE:
		b->used = false;
		break;
	case M_RENAME:
		apply_rename(s, op);
		break;
	case M_USES:
		b->uses = op->flags;
		break;
	case M_SUBSCRIBE:
		apply_subscribe(s, op);
		break;
	case M_KEYWORD:
		memcpy(b->keywords[op->first], op->name, sizeof b->keywords[0]);
		if (op->first >= b->n_keywords)
			b->n_keywords = op->first + 1;
		break;
	case M_RECENT:
		b->recent = op->first;
		break;
	case M_FORGET:
		apply_forget(s, op);
		break;
	}
}

/* ---- comparing ---- */

static char sentence[300];

#define DIFFERS(...) return snprintf(sentence, sizeof sentence, __VA_ARGS__), sentence

static const char *entries_differ(const struct m_box *a, const struct m_box *b)
{
	for (unsigned i = 0; i < a->n && i < b->n; i++) {
		const struct m_entry *x = &a->e[i], *y = &b->e[i];

		if (x->uid != y->uid)
			DIFFERS("%s: uid %u against %u", a->name, x->uid, y->uid);
		if (x->flags != y->flags || x->keywords != y->keywords)
			DIFFERS("%s uid %u: flags %x.%llx against %x.%llx", a->name, x->uid, x->flags,
				(unsigned long long)x->keywords, y->flags, (unsigned long long)y->keywords);
		if (x->modseq != y->modseq)
			DIFFERS("%s uid %u: modseq %llu against %llu", a->name, x->uid, (unsigned long long)x->modseq,
				(unsigned long long)y->modseq);
		if (x->size != y->size || x->received != y->received || x->zone != y->zone || x->arrival != y->arrival)
			DIFFERS("%s uid %u: size %u, arrival %llu against %u, %llu", a->name, x->uid, x->size,
				(unsigned long long)x->arrival, y->size, (unsigned long long)y->arrival);
	}
	if (a->n != b->n)
		DIFFERS("%s: %u messages against %u", a->name, a->n, b->n);
	return NULL;
}

static const char *box_differs(const struct m_box *a, const struct m_box *b)
{
	if (a->id && a->id != b->id)
		DIFFERS("%s: id %u against %u", a->name, a->id, b->id);
	if (a->uidvalidity && a->uidvalidity != b->uidvalidity)
		DIFFERS("%s: uidvalidity %u against %u", a->name, a->uidvalidity, b->uidvalidity);
	if (a->uidnext != b->uidnext || a->modseq != b->modseq)
		DIFFERS("%s: uidnext %u, modseq %llu against %u, %llu", a->name, a->uidnext,
			(unsigned long long)a->modseq, b->uidnext, (unsigned long long)b->modseq);
	if (a->recent != b->recent || a->uses != b->uses)
		DIFFERS("%s: recent %u, uses %u against %u, %u", a->name, a->recent, a->uses, b->recent, b->uses);
	if (a->n_keywords != b->n_keywords)
		DIFFERS("%s: %u keywords against %u", a->name, a->n_keywords, b->n_keywords);
	for (unsigned i = 0; i < a->n_keywords; i++)
		if (strcmp(a->keywords[i], b->keywords[i]) != 0)
			DIFFERS("%s: keyword %u %s against %s", a->name, i, a->keywords[i], b->keywords[i]);
	return entries_differ(a, b);
}

static bool has_sub(const struct m_state *s, const struct m_sub *sub)
{
	for (unsigned i = 0; i < M_SUBS; i++)
		if (s->sub[i].owner == sub->owner && strcmp(s->sub[i].name, sub->name) == 0)
			return true;
	return false;
}

const char *state_differs(const struct m_state *a, const struct m_state *b)
{
	unsigned count = 0, there = 0;

	for (unsigned i = 0; i < M_BOXES; i++) {
		const struct m_box *x = &a->box[i];
		const char *what;
		int j;

		there += b->box[i].used;
		if (!x->used)
			continue;
		count++;
		j = state_find(b, x->owner, x->name);
		if (j < 0)
			DIFFERS("%s of %u is missing", x->name, x->owner);
		what = box_differs(x, &b->box[j]);
		if (what)
			return what;
	}
	if (count != there)
		DIFFERS("%u mailboxes against %u", count, there);
	for (unsigned i = 0; i < M_SUBS; i++) {
		if (a->sub[i].owner && !has_sub(b, &a->sub[i]))
			DIFFERS("subscription to %s is missing", a->sub[i].name);
		if (b->sub[i].owner && !has_sub(a, &b->sub[i]))
			DIFFERS("subscription to %s is too many", b->sub[i].name);
	}
	return NULL;
}

/* ---- bytes ---- */

#define PATTERN (1u << 16)
static uint8_t pattern[PATTERN + 64];

static void make_pattern(void)
{
	uint32_t x = 2463534242u;

	for (size_t i = 0; i < sizeof pattern; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		pattern[i] = (uint8_t)(x >> 11);
	}
}

/* Where in the pattern a message's next bytes are, and how many are in one
 * piece: every 1,000 bytes it goes on elsewhere. */
static const uint8_t *piece_of(uint32_t content, uint64_t offset, size_t *n)
{
	uint64_t block = offset / 1000, in = offset % 1000;
	uint32_t at = (content * 2654435761u + (uint32_t)block * 40503u) % (PATTERN - 1000);

	if (!pattern[0] && !pattern[1] && !pattern[2])
		make_pattern();
	if (*n > 1000 - in)
		*n = (size_t)(1000 - in);
	return pattern + at + in;
}

void content_put(uint32_t content, uint64_t offset, uint8_t *out, size_t n)
{
	while (n) {
		size_t part = n;
		const uint8_t *from = piece_of(content, offset, &part);

		memcpy(out, from, part);
		out += part;
		offset += part;
		n -= part;
	}
}

const char *content_differs(uint32_t content, uint64_t offset, const uint8_t *data, size_t n)
{
	while (n) {
		size_t part = n;
		const uint8_t *is = piece_of(content, offset, &part);

		if (memcmp(data, is, part) != 0)
			DIFFERS("message %u differs behind byte %llu", content, (unsigned long long)offset);
		data += part;
		offset += part;
		n -= part;
	}
	return NULL;
}

size_t content_summary(uint32_t content, uint8_t *out)
{
	size_t n = content * 37 % 301;

	content_put(content ^ 0x5555u, 0, out, n);
	return n;
}
