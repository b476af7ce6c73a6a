/* The changes of a run: each is given to the store and, when the store takes
 * it, to the model. What may be refused, and by which error, is decided here. */
#include "rig.h"

#include "base/le.h"
#include "store/store_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = { "INBOX", "Sent", "A", "A/B", "A/B/C", "A/D", "Work", "Work/x", "Work/x/y/z",
	"\xC3\x9Cmlaut/\xE8\xAB\x8B", "Trash", "INBOX/old" };
#define NAMES (sizeof names / sizeof names[0])
static const char *const keywords[] = { "$Junk", "old", "$label1", "x", "Work" };
#define KEYWORDS (sizeof keywords / sizeof keywords[0])

/* True when the store did not take it and may say so. */
static bool refused(struct rig *r, int err, const char *what)
{
	if (err == OK)
		return false;
	if (err == E_AGAIN)
		return true;
	if (err == E_READONLY && r->faulty)
		r->broken = true;
	else if (err == E_FULL)
		r->full = true;
	else if (!r->faulty)
		rig_fail("turn %u: %s is refused: %s", r->turn, what, err_text(err));
	return true;
}

/* What may never be refused for want of room. */
static bool refused_control(struct rig *r, int err, const char *what)
{
	if (err == E_FULL)
		rig_fail("turn %u: %s is refused because the store is full", r->turn, what);
	return refused(r, err, what);
}

/* The op's LSN must be new to everybody. */
static struct m_op *take(struct rig *r, enum m_kind kind, uint64_t lsn)
{
	struct model *m = &r->model;
	uint64_t before = m->n_ops ? m->ops[m->n_ops - 1].lsn : m->told_lsn;

	if (lsn <= before)
		rig_fail("turn %u: LSN %" PRIu64 " came after %" PRIu64, r->turn, lsn, before);
	r->done[kind]++;
	return model_op(m, kind, lsn);
}

/* A box that is there; `idle`: with nothing staged for it. -1: none. */
static int pick_box(struct rig *r, bool idle)
{
	unsigned start = (unsigned)rig_random(r, M_BOXES);

	for (unsigned i = 0; i < M_BOXES; i++) {
		unsigned at = (start + i) % M_BOXES;
		const struct m_box *b = &r->model.live.box[at];

		if (b->used && b->id && !(idle && model_box_busy(&r->model, at)))
			return (int)at;
	}
	return -1;
}

/* One with messages where possible. */
static int pick_filled(struct rig *r)
{
	int box = -1;

	for (unsigned i = 0; i < 6; i++) {
		box = pick_box(r, false);
		if (box < 0 || r->model.live.box[box].n > 0)
			break;
	}
	return box;
}

/* Some of its UIDs, ascending: a run of neighbours, or scattered, some of them
 * gone. */
static unsigned pick_uids(struct rig *r, const struct m_box *b, uint32_t *uids, unsigned most)
{
	unsigned n = 0, want = 1 + (unsigned)rig_random(r, most);

	if (b->n == 0)
		return 0;
	if (rig_random(r, 2)) {
		unsigned at = (unsigned)rig_random(r, b->n);

		while (n < want && at < b->n)
			uids[n++] = b->e[at++].uid;
		return n;
	}
	for (uint32_t uid = 1; uid < b->uidnext && n < want; uid += 1 + (uint32_t)rig_random(r, 1 + b->uidnext / want))
		uids[n++] = uid;
	return n;
}

static uint64_t some_keywords(struct rig *r, const struct m_box *b)
{
	return b->n_keywords && rig_random(r, 3) == 0 ? rig_random(r, (uint64_t)1 << b->n_keywords) : 0;
}

static uint64_t live_bytes(const struct rig *r)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < M_BOXES; i++)
		for (unsigned j = 0; r->model.live.box[i].used && j < r->model.live.box[i].n; j++)
			sum += r->model.live.box[i].e[j].size + 600;
	return sum;
}

/* Where old mail goes, most of it may. */
static uint8_t some_flags(struct rig *r)
{
	uint8_t flags = (uint8_t)rig_random(r, 32);

	if (r->scenario->evict && rig_random(r, 8))
		flags &= (uint8_t)~(STORE_FLAGGED | STORE_DRAFT);
	return flags;
}

/* ---- arriving mail ---- */

/* The UID that the next arrival in a box must get. */
static uint32_t next_uid(const struct rig *r, unsigned box)
{
	const struct model *m = &r->model;
	uint32_t uid = m->live.box[box].uidnext;

	for (unsigned i = m->n_live; i < m->n_ops; i++) {
		const struct m_op *op = &m->ops[i];

		for (unsigned t = 0; op->kind == M_MESSAGE && t < op->n_targets; t++)
			if (op->targets[t].box == box && op->targets[t].uid >= uid)
				uid = op->targets[t].uid + 1;
		if (op->kind == M_MOVE && op->to == box && op->first + op->n_uids > uid)
			uid = op->first + op->n_uids;
		if (op->kind == M_PUBLISH && op->box == box && op->end > uid)
			uid = op->end;
	}
	return uid;
}

/* Different boxes with room in the model: how many. */
static unsigned pick_targets(struct rig *r, struct store_target *targets, struct m_target *model, unsigned most)
{
	unsigned n = 0, want = rig_random(r, 4) ? 1 : 1 + (unsigned)rig_random(r, most);

	for (unsigned i = 0; i < 8 && n < want; i++) {
		int box = pick_box(r, false);
		bool twice = false;

		for (unsigned j = 0; j < n; j++)
			twice |= (int)model[j].box == box;
		if (box < 0 || twice || r->model.live.box[box].n + 60 > M_ENTRIES)
			continue;
		model[n] = (struct m_target){ .box = (unsigned)box,
			.flags = some_flags(r),
			.keywords = some_keywords(r, &r->model.live.box[box]),
			.received = 1700000000 + (int64_t)rig_random(r, 1000000),
			.zone = (int16_t)(rig_random(r, 100) - 50) };
		targets[n] = (struct store_target){ .mailbox = r->model.live.box[box].id,
			.flags = model[n].flags,
			.keywords = model[n].keywords,
			.received = model[n].received,
			.zone = model[n].zone };
		n++;
	}
	return n;
}

static void end_flight(struct rig *r, struct flight *f)
{
	struct store_target targets[4];
	struct m_target model[4];
	uint8_t summary[300];
	unsigned n = pick_targets(r, targets, model, 3);
	store_ticket ticket;
	struct m_op *op;
	int err;

	if (n == 0)
		return;
	err = store_upload_commit(f->up, bytes_make(summary, content_summary(f->content, summary)), targets, n,
		&ticket);
	if (err == E_AGAIN)
		return;
	if (err != OK) {
		(void)refused(r, err, "the end of an upload");
		store_upload_abort(f->up);
		*f = (struct flight){ 0 };
		return;
	}
	op = take(r, M_MESSAGE, ticket);
	op->content = f->content;
	op->size = f->size;
	op->n_targets = n;
	for (unsigned i = 0; i < n; i++) {
		model[i].uid = targets[i].uid;
		op->targets[i] = model[i];
		op->n_targets = i;
		if (targets[i].uid != next_uid(r, model[i].box))
			rig_fail("turn %u: uid %u was given in %s, not %u", r->turn, targets[i].uid,
				r->model.live.box[model[i].box].name, next_uid(r, model[i].box));
	}
	op->n_targets = n;
	*f = (struct flight){ 0 };
}

static void feed_flight(struct rig *r, struct flight *f)
{
	uint8_t piece[3000];
	uint32_t most = rig_random(r, 3) ? f->size : f->size / 3 + 1;

	while (f->written < f->size && most) {
		uint32_t n = f->size - f->written;
		int err;

		n = n < sizeof piece ? n : (uint32_t)sizeof piece;
		n = n < most ? n : most;
		content_put(f->content, f->written, piece, n);
		err = store_upload_write(f->up, piece, n);
		if (err != OK) {
			(void)refused(r, err, "bytes of an upload");
			store_upload_abort(f->up);
			*f = (struct flight){ 0 };
			return;
		}
		f->written += n;
		most -= n;
	}
	f->done = f->written == f->size;
}

static void begin_flight(struct rig *r, struct flight *f, uint32_t size)
{
	int err = store_upload_begin(r->st, rig_random(r, 2) ? size : 0, &f->up);

	if (refused(r, err, "an upload")) {
		f->up = NULL;
		return;
	}
	f->content = ++r->model.contents;
	f->size = size;
}

static void do_append(struct rig *r, uint32_t most)
{
	struct flight *f = &r->flights[rig_random(r, RIG_FLIGHTS)];
	uint32_t size = (uint32_t)rig_random(r, rig_random(r, 4) ? most / 8 + 1 : most + 1);

	if (r->full || live_bytes(r) > r->scenario->live_most)
		size = (uint32_t)rig_random(r, 300);
	if (!f->up)
		begin_flight(r, f, size);
	if (f->up && !f->done)
		feed_flight(r, f);
	if (f->up && f->done)
		end_flight(r, f);
	else if (f->up && rig_random(r, 20) == 0) {
		store_upload_abort(f->up);
		*f = (struct flight){ 0 };
	}
}

/* ---- flags and keywords ---- */

/* Keywords that the store named meanwhile: in the log before what comes next. */
static void note_keywords(struct rig *r, unsigned box)
{
	struct m_box *b = &r->model.live.box[box];
	struct store_mailbox is;
	char name[LIMIT_KEYWORD_NAME];
	struct store_status status;
	unsigned had = b->n_keywords;

	if (store_mailbox_get(r->st, b->id, &is) != OK || is.keywords == had)
		return;
	store_status(r->st, &status);
	for (unsigned bit = had; bit < is.keywords; bit++) {
		int len = store_keyword_name(r->st, b->id, bit, name);
		struct m_op *op;

		if (len <= 0 || len >= 16 || bit >= M_KEYWORDS)
			rig_fail("turn %u: keyword %u of %s is %d bytes long", r->turn, bit, b->name, len);
		/* One record each, in order; those that came behind them are not in the model yet. */
		op = take(r, M_KEYWORD,
			(r->model.n_ops ? r->model.ops[r->model.n_ops - 1].lsn : r->model.told_lsn) + 1);
		op->box = box;
		op->first = bit;
		memcpy(op->name, name, (size_t)len);
		op->guess = true;
	}
	model_apply(&r->model);
}

static void do_keyword(struct rig *r)
{
	int box = pick_box(r, false);
	const char *name = keywords[rig_random(r, KEYWORDS)];
	unsigned bit;
	int err;

	if (box < 0)
		return;
	err = store_keyword(r->st, r->model.live.box[box].id, bytes_of(name), true, &bit);
	note_keywords(r, (unsigned)box);
	if (!refused_control(r, err, "a keyword") && strcmp(r->model.live.box[box].keywords[bit], name) != 0)
		rig_fail("turn %u: keyword %s is said to be bit %u", r->turn, name, bit);
}

static bool flags_change(const struct m_entry *e, const struct store_flag_change *c)
{
	if (c->op == STORE_FLAGS_SET)
		return e->flags != c->flags || e->keywords != c->keywords;
	if (c->op == STORE_FLAGS_ADD)
		return (c->flags & ~e->flags) || (c->keywords & ~e->keywords);
	return (c->flags & e->flags) || (c->keywords & e->keywords);
}

static void do_flags(struct rig *r)
{
	int box = pick_filled(r);
	struct m_box *b;
	uint32_t uids[STORE_UIDS];
	unsigned n;
	struct store_flag_change change;
	uint64_t modseq;
	store_ticket ticket;
	struct m_op *op;
	bool busy;

	if (box < 0)
		return;
	b = &r->model.live.box[box];
	busy = model_box_busy(&r->model, (unsigned)box);
	n = pick_uids(r, b, uids, rig_random(r, 3) ? 4 : STORE_UIDS);
	change = (struct store_flag_change){ .op = (enum store_flag_op)rig_random(r, 3),
		.flags = some_flags(r),
		.keywords = some_keywords(r, b),
		.lazy = rig_random(r, 10) < 7,
		.conditional = rig_random(r, 8) == 0 };
	if (refused_control(r, store_flags(r->st, b->id, uids, n, &change, &modseq, &ticket), "a flag change") ||
		modseq == 0)
		return;
	if (ticket && ticket != modseq)
		rig_fail("turn %u: flags got modseq %" PRIu64 " and ticket %" PRIu64, r->turn, modseq, ticket);
	op = take(r, M_FLAGS, modseq);
	op->box = (unsigned)box;
	op->how = (uint8_t)change.op;
	op->flags = change.flags;
	op->keywords = change.keywords;
	/* The record names those that change by what was known then. */
	for (unsigned i = 0; i < n; i++)
		if (box_entry(b, uids[i]) && (busy || flags_change(box_entry(b, uids[i]), &change)))
			op->uids[op->n_uids++] = uids[i];
	if (ticket == 0)
		model_apply(&r->model);
}

static void do_recent(struct rig *r)
{
	int box = pick_box(r, false);
	struct m_box *b;
	struct m_op *op;
	uint32_t first;

	if (box < 0)
		return;
	b = &r->model.live.box[box];
	if (refused_control(r, store_recent_take(r->st, b->id, &first), "taking \\Recent"))
		return;
	if (first != b->recent)
		rig_fail("turn %u: %s: recent from %u, not %u", r->turn, b->name, first, b->recent);
	if (b->recent >= b->uidnext)
		return;
	op = take(r, M_RECENT, r->model.n_ops ? r->model.ops[r->model.n_ops - 1].lsn + 1 : r->model.told_lsn + 1);
	op->box = (unsigned)box;
	op->first = b->uidnext;
	op->guess = true;
	model_apply(&r->model);
}

/* ---- expunge and move ---- */

static void do_expunge(struct rig *r)
{
	int box = pick_filled(r);
	uint32_t uids[STORE_UIDS];
	uint64_t modseq;
	store_ticket ticket;
	struct m_op *op;
	struct m_box *b;
	unsigned n;

	if (box < 0)
		return;
	b = &r->model.live.box[box];
	n = pick_uids(r, b, uids, r->full || live_bytes(r) > r->scenario->live_most ? 30 : 5);
	if (refused_control(r, store_expunge(r->st, b->id, uids, n, &modseq, &ticket), "an expunge") || modseq == 0)
		return;
	op = take(r, M_EXPUNGE, modseq);
	op->box = (unsigned)box;
	op->n_uids = n;
	memcpy(op->uids, uids, sizeof uids);
	r->full = false;
}

static void map_keywords(const struct m_box *b, const struct m_box *to, uint8_t *map)
{
	memset(map, 0xFF, M_KEYWORDS);
	for (unsigned i = 0; i < b->n_keywords; i++)
		for (unsigned j = 0; j < to->n_keywords; j++)
			if (strcmp(b->keywords[i], to->keywords[j]) == 0)
				map[i] = (uint8_t)j;
}

static void do_move(struct rig *r)
{
	int box = pick_filled(r), to = pick_box(r, false);
	uint32_t uids[STORE_UIDS], first;
	store_ticket ticket;
	struct m_op *op;
	struct m_box *b;
	unsigned n;
	int err;

	if (box < 0 || to < 0 || r->model.live.box[to].n + STORE_UIDS + 60 > M_ENTRIES)
		return;
	b = &r->model.live.box[box];
	n = pick_uids(r, b, uids, rig_random(r, 4) ? 6 : STORE_UIDS);
	err = store_move(r->st, b->id, r->model.live.box[to].id, uids, n, &first, &ticket);
	note_keywords(r, (unsigned)to);
	if (refused(r, err, "a move") || ticket == 0)
		return;
	if (first != next_uid(r, (unsigned)to))
		rig_fail("turn %u: a move to %s begins at uid %u, not %u", r->turn, r->model.live.box[to].name, first,
			next_uid(r, (unsigned)to));
	op = take(r, M_MOVE, ticket);
	op->box = (unsigned)box;
	op->to = (unsigned)to;
	op->first = first;
	for (unsigned i = 0; i < n; i++)
		if (box_entry(b, uids[i]))
			op->uids[op->n_uids++] = uids[i];
	map_keywords(b, &r->model.live.box[to], op->map);
}

/* ---- copy ---- */

static void begin_copy(struct rig *r, struct copying *c)
{
	int to = pick_box(r, true);
	int err;

	if (to < 0 || r->model.live.box[to].n + 2 * STORE_UIDS + 60 > M_ENTRIES)
		return;
	err = store_copy_begin(r->st, r->model.live.box[to].id, &c->copy);
	if (refused(r, err, "a copy"))
		return;
	if (c->copy.first != r->model.live.box[to].uidnext)
		rig_fail("turn %u: a copy begins at uid %u, not %u", r->turn, c->copy.first,
			r->model.live.box[to].uidnext);
	c->open = true;
	c->to = (unsigned)to;
	c->n = 0;
}

static void add_copy(struct rig *r, struct copying *c)
{
	int box = pick_filled(r);
	uint32_t uids[STORE_UIDS];
	struct m_box *b, *to = &r->model.live.box[c->to];
	uint8_t map[M_KEYWORDS];
	store_ticket ticket;
	size_t added;
	unsigned n, there = 0;
	int err;

	if (box < 0)
		return;
	b = &r->model.live.box[box];
	n = pick_uids(r, b, uids, rig_random(r, 4) ? 8 : 60);
	if (c->n + n > sizeof c->e / sizeof c->e[0])
		return;
	err = store_copy_add(r->st, &c->copy, b->id, uids, n, &added, &ticket);
	if (to->used && to->id == c->copy.target) {
		note_keywords(r, c->to);
	} else if (err == E_NOENT) {
		store_copy_abort(r->st, &c->copy);
		c->open = false;
		return;
	}
	if (refused(r, err, "a slice of a copy"))
		return;
	map_keywords(b, to, map);
	for (unsigned i = 0; i < n; i++) {
		struct m_entry *e = box_entry(b, uids[i]), *copy;

		if (!e)
			continue;
		copy = &c->e[c->n + there];
		*copy = *e;
		copy->uid = c->copy.first + c->n + there++;
		copy->modseq = copy->arrival = ticket;
		copy->keywords = 0;
		for (unsigned bit = 0; bit < M_KEYWORDS; bit++)
			if ((e->keywords >> bit & 1) && map[bit] < M_KEYWORDS)
				copy->keywords |= (uint64_t)1 << map[bit];
	}
	if (added != there)
		rig_fail("turn %u: %zu of %u messages were copied", r->turn, added, there);
	c->n += there;
}

static void publish_copy(struct rig *r, struct copying *c)
{
	struct model *m = &r->model;
	store_ticket ticket;
	struct m_op *op;
	int err;

	if (m->n_aux + c->n > M_AUX)
		return;
	err = store_copy_publish(r->st, &c->copy, &ticket);
	if (err == E_NOENT && (!m->live.box[c->to].used || m->live.box[c->to].id != c->copy.target)) {
		store_copy_abort(r->st, &c->copy);
		c->open = false;
		return;
	}
	if (refused(r, err, "the end of a copy"))
		return;
	c->open = false;
	if (ticket == 0)
		return;
	op = take(r, M_PUBLISH, ticket);
	op->box = c->to;
	op->end = c->copy.first + c->copy.count;
	op->aux = m->n_aux;
	op->n_aux = c->n;
	memcpy(m->aux + m->n_aux, c->e, c->n * sizeof c->e[0]);
	m->n_aux += c->n;
}

static void do_copy(struct rig *r)
{
	struct copying *c = &r->copies[rig_random(r, RIG_COPIES)];

	if (!c->open) {
		begin_copy(r, c);
		if (c->open)
			add_copy(r, c);
		return;
	}
	switch (rig_random(r, 5)) {
	case 0:
	case 1:
		add_copy(r, c);
		return;
	case 2:
		store_copy_abort(r->st, &c->copy);
		c->open = false;
		return;
	default:
		publish_copy(r, c);
	}
}

/* ---- names ---- */

/* Boxes above `name` that are not there, and `name` itself when asked for. */
static bool make_missing(struct rig *r, struct m_op *op, uint32_t owner, const char *name, bool itself)
{
	size_t len = strlen(name);

	op->owner = owner;
	for (size_t i = 1; i <= len; i++) {
		struct m_made *made = &op->made[op->n_made];
		int box;

		if ((name[i] != '/' && name[i] != 0) || (i == len && !itself))
			continue;
		memset(made->name, 0, sizeof made->name);
		memcpy(made->name, name, i);
		if (state_find(&r->model.live, owner, made->name) >= 0)
			continue;
		box = model_free_box(&r->model);
		if (box < 0)
			return false;
		made->box = (unsigned)box;
		made->id = 0;
		made->uses = 0;
		op->n_made++;
	}
	return true;
}

static unsigned boxes_used(const struct rig *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < M_BOXES; i++)
		n += r->model.live.box[i].used || r->model.durable.box[i].used;
	return n;
}

static void do_create(struct rig *r)
{
	uint32_t owner = 1 + (uint32_t)rig_random(r, M_OWNERS - 1), id;
	const char *name = names[rig_random(r, NAMES)];
	uint8_t uses = (uint8_t)(rig_random(r, 32) & ~(r->scenario->evict ? STORE_USE_DRAFTS : 0u));
	int there = state_find(&r->model.live, owner, name);
	store_ticket ticket;
	struct m_op *op;
	int err;

	if (there < 0 && boxes_used(r) + 12 > M_BOXES)
		return;
	err = store_mailbox_create(r->st, owner, bytes_of(name), uses, &id, &ticket);
	if (there >= 0 && err != E_EXIST && !r->faulty)
		rig_fail("turn %u: creating %s again gives %s", r->turn, name, err_text(err));
	if (there >= 0 || refused_control(r, err, "a new mailbox"))
		return;
	op = take(r, M_CREATE, ticket);
	if (!make_missing(r, op, owner, name, true))
		rig_fail("the model has no room for mailboxes");
	op->made[op->n_made - 1].id = id;
	op->made[op->n_made - 1].uses = uses;
}

static bool has_children(const struct m_state *s, const struct m_box *b)
{
	size_t len = strlen(b->name);

	for (unsigned i = 0; i < M_BOXES; i++)
		if (s->box[i].used && s->box[i].owner == b->owner && strncmp(s->box[i].name, b->name, len) == 0 &&
			s->box[i].name[len] == '/')
			return true;
	return false;
}

static void do_delete(struct rig *r)
{
	int box = pick_box(r, true);
	store_ticket ticket;
	struct m_box *b;
	int err;

	if (box < 0)
		return;
	b = &r->model.live.box[box];
	err = store_mailbox_delete(r->st, b->id, &ticket);
	if (err == E_EXIST && has_children(&r->model.live, b))
		return;
	if (refused_control(r, err, "deleting a mailbox"))
		return;
	if (has_children(&r->model.live, b))
		rig_fail("turn %u: %s was deleted, its children were not", r->turn, b->name);
	take(r, M_DELETE, ticket)->box = (unsigned)box;
}

static void do_rename(struct rig *r)
{
	int box = pick_box(r, true);
	const char *name = names[rig_random(r, NAMES)];
	bool inbox, inside;
	store_ticket ticket;
	struct m_op *op;
	struct m_box *b;
	int err;

	if (box < 0 || boxes_used(r) + 12 > M_BOXES)
		return;
	b = &r->model.live.box[box];
	/* The model's names are short. */
	for (unsigned i = 0; i < M_BOXES; i++)
		if (r->model.live.box[i].used && strlen(r->model.live.box[i].name) > 28)
			return;
	inbox = strcmp(b->name, "INBOX") == 0;
	inside = strncmp(name, b->name, strlen(b->name)) == 0 && name[strlen(b->name)] == '/';
	err = store_mailbox_rename(r->st, b->id, bytes_of(name), &ticket);
	if ((err == E_EXIST && state_find(&r->model.live, b->owner, name) >= 0) || (err == E_RANGE && inside && !inbox))
		return;
	if (refused_control(r, err, "renaming a mailbox"))
		return;
	op = take(r, M_RENAME, ticket);
	op->box = op->to = (unsigned)box;
	memcpy(op->name, name, strlen(name));
	if (!make_missing(r, op, b->owner, name, false))
		rig_fail("the model has no room for mailboxes");
	if (inbox) {
		int fresh = model_free_box(&r->model);
		struct m_made *made = &op->made[op->n_made++];

		if (fresh < 0)
			rig_fail("the model has no room for mailboxes");
		*made = (struct m_made){ .box = (unsigned)fresh, .uses = b->uses, .name = "INBOX" };
	}
}

static void do_names(struct rig *r)
{
	unsigned n = boxes_used(r);
	int box;

	switch (rig_random(r, n < 5 ? 2 : n > M_BOXES - 14 ? 8 : 6)) {
	case 0:
	case 1:
		do_create(r);
		return;
	case 2:
	case 3:
		do_rename(r);
		return;
	case 4:
		box = pick_box(r, true);
		if (box >= 0) {
			uint8_t uses = (uint8_t)(rig_random(r, 32) & ~(r->scenario->evict ? STORE_USE_DRAFTS : 0u));
			store_ticket ticket;
			int err = store_mailbox_set_uses(r->st, r->model.live.box[box].id, uses, &ticket);

			if (!refused_control(r, err, "a special use")) {
				struct m_op *op = take(r, M_USES, ticket);

				op->box = (unsigned)box;
				op->flags = uses;
			}
		}
		return;
	default:
		do_delete(r);
	}
}

static void do_subscribe(struct rig *r)
{
	uint32_t owner = 1 + (uint32_t)rig_random(r, M_OWNERS - 1);
	const char *name = names[rig_random(r, NAMES / 2)];
	bool on = rig_random(r, 2);
	store_ticket ticket;
	struct m_op *op;

	if (refused_control(r, store_subscribe(r->st, owner, bytes_of(name), on, &ticket), "a subscription") ||
		ticket == 0)
		return;
	op = take(r, M_SUBSCRIBE, ticket);
	op->owner = owner;
	op->how = on;
	memcpy(op->name, name, strlen(name));
}

static void do_forget(struct rig *r)
{
	store_ticket ticket;

	/* Not while something of that user is under way. */
	if (r->model.n_ops > r->model.n_live || r->copies[0].open || r->copies[1].open)
		return;
	if (!refused_control(r, store_owner_remove(r->st, 2, &ticket), "removing a user"))
		take(r, M_FORGET, ticket)->owner = 2;
}

/* ---- eviction ---- */

static unsigned box_of(struct rig *r, uint32_t id)
{
	for (unsigned i = 0; i < M_BOXES; i++)
		if (r->model.live.box[i].used && r->model.live.box[i].id == id)
			return i;
	rig_fail("turn %u: mail of mailbox %u is to go, which is not there", r->turn, id);
}

static void note_eviction(struct rig *r, uint64_t lsn, const uint8_t *body)
{
	unsigned box = box_of(r, le32(body)), n = le32(body + 4);
	struct m_box *b = &r->model.live.box[box];
	struct m_op *op;

	/* Names may wait: they are no change of mail. */
	for (unsigned i = r->model.n_live; i < r->model.n_ops; i++) {
		const struct m_op *before = &r->model.ops[i];
		bool touches = before->kind != M_MESSAGE && before->box == box;

		touches |= before->kind == M_MOVE && before->to == box;
		for (unsigned t = 0; before->kind == M_MESSAGE && t < before->n_targets; t++)
			touches |= before->targets[t].box == box;
		if (touches &&
			(before->kind == M_MESSAGE || before->kind == M_FLAGS || before->kind == M_EXPUNGE ||
				before->kind == M_MOVE || before->kind == M_PUBLISH || before->kind == M_EVICT))
			rig_fail("turn %u: mail of %s is to go while changes of it wait (kind %d)", r->turn, b->name,
				before->kind);
	}
	for (unsigned i = 0; i < RIG_COPIES; i++)
		if (r->copies[i].open && r->copies[i].copy.target == b->id)
			rig_fail("turn %u: mail of %s is to go while a copy into it is open", r->turn, b->name);
	op = take(r, M_EVICT, lsn);
	op->box = box;
	body += 8;
	for (unsigned i = 0; i < n; i++, body += 10 + body[9]) {
		struct m_entry *e = box_entry(b, le32(body));

		if (!e || e->size != le32(body + 4))
			rig_fail("turn %u: %s uid %u is to go and is not there", r->turn, b->name, le32(body));
		if ((e->flags & (STORE_FLAGGED | STORE_DRAFT)) || (b->uses & STORE_USE_DRAFTS))
			rig_fail("turn %u: %s uid %u is to go and is protected", r->turn, b->name, e->uid);
		op->uids[op->n_uids++] = e->uid;
	}
}

void rig_note_evictions(struct rig *r)
{
	const struct log *log = &r->st->log;

	if (!r->scenario->evict)
		return;
	for (uint32_t i = log->n_applied; i < log->n_items; i++) {
		const struct log_item *item = &log->items[i];
		bool known = item->record.type != RECORD_EVICT;

		for (unsigned j = r->model.n_live; j < r->model.n_ops; j++)
			known |= r->model.ops[j].lsn == item->lsn;
		if (!known)
			note_eviction(r, item->lsn, log->buffer + item->at + RECORD_HEADER);
	}
}

/* ---- reading what may go ---- */

static void read_pinned(struct rig *r, const struct pinned *p)
{
	uint8_t data[3000];
	uint64_t at = p->size ? rig_random(r, p->size) : 0;
	int64_t n = store_body(r->st, p->object, at, data, sizeof data);
	const char *what;

	if (n < 0 && r->faulty)
		return;
	if (n < 0 || (n == 0 && at < p->size))
		rig_fail("turn %u: message %" PRIu64 " is being read, and is gone: %s", r->turn, p->object,
			err_text((int)n));
	what = content_differs(p->content, at, data, (size_t)n);
	if (what)
		rig_fail("turn %u: a message that is being read: %s", r->turn, what);
}

static void do_pin(struct rig *r)
{
	struct pinned *p = &r->pins[rig_random(r, RIG_PINS)];
	int box = pick_filled(r);
	struct store_entry e;
	struct m_box *b;

	if (p->object) {
		read_pinned(r, p);
		if (rig_random(r, 3))
			return;
		store_unpin(r->st, p->object);
		p->object = 0;
		return;
	}
	if (box < 0 || r->model.live.box[box].n == 0)
		return;
	b = &r->model.live.box[box];
	if (store_entry_get(r->st, b->id, b->e[rig_random(r, b->n)].uid, &e) != OK || store_pin(r->st, e.object) != OK)
		return;
	*p = (struct pinned){ e.object, box_entry(b, e.uid)->content, e.size };
}

/* ---- turns ---- */

void rig_change(struct rig *r)
{
	const struct scenario *s = r->scenario;
	const struct {
		unsigned weight;
		void (*change)(struct rig *r);
	} table[] = {
		{ s->flags, do_flags }, { s->expunge, do_expunge }, { s->move, do_move }, { s->copy, do_copy },
		{ s->names, do_names }, { s->subscribe, do_subscribe }, { s->keyword, do_keyword },
		{ s->recent, do_recent }, { s->forget, do_forget }, { s->pin, do_pin },
	};
	unsigned sum = s->append + s->blob, at;

	/* The model holds so many ops between two commits. */
	if (r->broken || r->model.n_ops > M_OPS - 20)
		return;
	for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
		sum += table[i].weight;
	at = (unsigned)rig_random(r, sum);
	if (boxes_used(r) == 0) {
		do_create(r);
		return;
	}
	if (r->full || (live_bytes(r) > s->live_most && rig_random(r, 3) == 0)) {
		do_expunge(r);
		return;
	}
	if (at < s->append) {
		do_append(r, s->message_most);
		return;
	}
	at -= s->append;
	if (at < s->blob) {
		do_append(r, s->blob_most);
		return;
	}
	at -= s->blob;
	for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (at < table[i].weight) {
			table[i].change(r);
			return;
		}
		at -= table[i].weight;
	}
}

void rig_turn(struct rig *r)
{
	unsigned changes = (unsigned)rig_random(r, 1 + (r->scenario->busy ? r->scenario->busy : 4));

	r->turn++;
	for (unsigned i = 0; i < changes; i++) {
		rig_change(r);
		rig_check_charged(r);
	}
	if (r->broken)
		return;
	for (unsigned i = 0; i < r->scenario->maintain; i++) {
		int err = store_maintain(r->st);

		if (err != OK && err != E_AGAIN)
			rig_fail("upkeep: %s", err_text(err));
		rig_note_evictions(r);
		if (err == OK)
			break;
	}
	if (rig_random(r, 10) == 0)
		store_commit_request(r->st);
	if (store_wants_commit(r->st))
		rig_commit(r);
	rig_check_charged(r);
	if (rig_random(r, 4) == 0)
		sim_advance_us(rig_random(r, 2000000));
	if (rig_random(r, 100) < r->scenario->hours)
		sim_advance_us((uint64_t)2 * 3600 * 1000000);
	if (rig_random(r, 4) == 0)
		rig_poll(r, false);
}

/* ---- alive ---- */

void rig_check_alive(struct rig *r)
{
	bool full = r->full;
	uint64_t appended = r->done[M_MESSAGE], removed = r->done[M_EXPUNGE];

	r->full = false;
	/* A copy that is under way holds its mailbox. */
	for (unsigned i = 0; i < RIG_COPIES; i++)
		if (r->copies[i].open)
			store_copy_abort(r->st, &r->copies[i].copy);
	memset(r->copies, 0, sizeof r->copies);
	/* Whatever happened before: a mailbox can be made, mail comes and goes. */
	for (unsigned i = 0; i < 400 && !r->broken; i++) {
		if (boxes_used(r) == 0 || pick_box(r, false) < 0)
			do_create(r);
		else if (r->done[M_MESSAGE] == appended && !r->full)
			do_append(r, 500);
		else if (r->done[M_EXPUNGE] == removed || r->full)
			do_expunge(r);
		else
			break;
		do_flags(r);
		rig_upkeep(r);
		rig_commit(r);
	}
	if (!r->broken && r->done[M_MESSAGE] == appended)
		rig_fail("no mail comes in any more");
	if (!r->broken && r->done[M_EXPUNGE] == removed)
		rig_fail("no mail can be removed any more");
	r->full = full;
	rig_check_charged(r);
}
