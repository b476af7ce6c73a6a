/* What the server has promised, and whether it kept it.
 *
 * Clients work at the same time, so what a message looks like at some moment is
 * known as a set: which flags may be set and which may not. A command widens the
 * set when it is sent; its answer narrows it when nobody else was at the same
 * flag. What was told to anybody (a new message, an expunge, a MODSEQ) is durable;
 * only flag changes of plain sessions may be missing after a death, and then as a
 * suffix: no change that is missing may have been answered before one was sent
 * that is there. */
#include "server_sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct {
	struct act *acts;
	struct birth *births;
	struct stroke *strokes;
	unsigned acts_n, acts_cap, births_n, births_cap, strokes_n, strokes_cap;
} log_;

#define GROW(list, n, cap) \
	do { \
		if ((n) == (cap)) { \
			(cap) = (cap) ? (cap) * 2 : 64; \
			(list) = realloc((list), (cap) * sizeof *(list)); \
		} \
	} while (0)

static void forget_acts(void)
{
	for (unsigned i = 0; i < log_.acts_n; i++)
		free(log_.acts[i].sure);
	log_.acts_n = log_.births_n = log_.strokes_n = 0;
}

void truth_reset(void)
{
	forget_acts();
	for (unsigned b = 0; b < USERS_MOST * BOXES; b++) {
		free(world.box[b].facts);
		world.box[b] = (struct mailbox){ .user = b / BOXES, .name = box_names[b % BOXES], .floor = 1 };
	}
}

struct act *act_of(unsigned act)
{
	return &log_.acts[act];
}

struct fact *truth_fact(unsigned box, uint32_t uid)
{
	struct mailbox *m = &world.box[box];

	for (unsigned i = m->n; i > 0; i--)
		if (m->facts[i - 1].uid == uid)
			return &m->facts[i - 1];
	return NULL;
}

struct fact *truth_told(unsigned box, uint32_t uid)
{
	struct mailbox *m = &world.box[box];
	struct fact *f = truth_fact(box, uid);

	if (f)
		return f;
	if (uid == 0 || uid < m->floor)
		broken("%s of user %u: UID %u is told, which was gone or never there (below %u)", m->name, m->user, uid,
			m->floor);
	GROW(m->facts, m->n, m->cap);
	f = &m->facts[m->n++];
	*f = (struct fact){ .uid = uid,
		.zero = F_ALL,
		.one = F_ALL,
		.base_zero = F_ALL,
		.base_one = F_ALL,
		.born = ++world.tick };
	if (m->uidnext <= uid)
		m->uidnext = uid + 1;
	return f;
}

bool truth_may_evict(unsigned box, const struct fact *f)
{
	if (f->content == CONTENT_SERVERS)
		return true;
	if (!(f->zero & F_FLAGGED) || !(f->zero & F_DRAFT))
		return false;
	/* it may be a notice that nobody has read: others take the place of it */
	if (box % BOXES == BOX_INBOX && f->content == 0)
		return true;
	if (!world.evict)
		return false;
	switch (box % BOXES) {
	case BOX_INBOX:
		return f->one & F_SEEN;
	case BOX_TRASH:
	case BOX_JUNK:
		return true;
	default:
		return false;
	}
}

/* ---- acts ---- */

unsigned truth_act(enum act_kind kind, unsigned box, bool lazy)
{
	GROW(log_.acts, log_.acts_n, log_.acts_cap);
	log_.acts[log_.acts_n] =
		(struct act){ .kind = kind, .box = box, .to = box, .sent = ++world.tick, .lazy = lazy };
	return log_.acts_n++;
}

void truth_birth(unsigned act, unsigned box, uint32_t content, unsigned from_box, uint32_t from_uid)
{
	GROW(log_.births, log_.births_n, log_.births_cap);
	log_.births[log_.births_n++] = (struct birth){ .act = act,
		.box = box,
		.content = content,
		.from_box = from_box,
		.from_uid = from_uid };
}

/* What somebody was at since the copy was asked for came before or after it. */
static void copy_flags(struct fact *to, const struct fact *from, uint64_t since)
{
	uint8_t open = 0;

	for (unsigned i = 0; i < FLAGS_N; i++)
		if (from->flying[i] || from->touched[i] >= since || from->settled[i] >= since)
			open |= (uint8_t)(1 << i);
	to->zero = to->base_zero = from->zero | open;
	to->one = to->base_one = from->one | open;
}

static void settle_flags(struct fact *to, uint8_t flags)
{
	to->one = to->base_one = flags;
	to->zero = to->base_zero = F_ALL & ~flags;
}

void truth_born(unsigned act, uint32_t content, uint32_t from_uid, uint32_t uid, uint8_t flags)
{
	for (unsigned i = 0; i < log_.births_n; i++) {
		struct birth *b = &log_.births[i];
		const struct fact *from;
		bool known;
		struct fact *f;

		if (b->act != act || b->told || b->content != content || b->from_uid != from_uid)
			continue;
		known = truth_fact(b->box, uid) != NULL;
		f = truth_told(b->box, uid);
		b->told = true;
		if (content && f->content && f->content != content)
			broken("UID %u is message %u and %u", uid, f->content, content);
		from = b->from_uid ? truth_fact(b->from_box, b->from_uid) : NULL;
		f = truth_fact(b->box, uid);
		f->explained = true;
		if (!f->content)
			f->content = from ? from->content : content;
		if (known)
			return; /* others may have changed its flags already */
		if (from)
			copy_flags(f, from, act_of(act)->sent);
		else
			settle_flags(f, flags);
		return;
	}
	broken("a message was born that nobody sent: UID %u from %u, content %u", uid, from_uid, content);
}

/* An EXPUNGE that may still be at work. */
static bool expunge_runs(unsigned box)
{
	for (unsigned i = 0; i < log_.acts_n; i++)
		if (log_.acts[i].kind == ACT_EXPUNGE && log_.acts[i].box == box &&
			(log_.acts[i].end == ACT_OPEN || log_.acts[i].end == ACT_LOST))
			return true;
	return false;
}

void truth_stroke(unsigned act, uint32_t uid, uint8_t set, uint8_t clear, bool vague)
{
	struct act *a = act_of(act);
	struct fact *f = truth_told(a->box, uid);

	GROW(log_.strokes, log_.strokes_n, log_.strokes_cap);
	log_.strokes[log_.strokes_n++] =
		(struct stroke){ .act = act, .box = a->box, .uid = uid, .set = set, .clear = clear, .vague = vague };
	f->one |= set;
	f->zero |= clear;
	if ((set & F_DELETED) && expunge_runs(a->box))
		f->expunging = true;
	for (unsigned i = 0; i < FLAGS_N; i++)
		if ((set | clear) >> i & 1) {
			f->flying[i]++;
			f->touched[i] = world.tick;
		}
}

void truth_vague(unsigned act)
{
	for (unsigned i = 0; i < log_.strokes_n; i++)
		if (log_.strokes[i].act == act)
			log_.strokes[i].vague = true;
}

static void end_stroke(const struct act *a, const struct stroke *s)
{
	struct fact *f = truth_fact(s->box, s->uid);

	for (unsigned i = 0; f && i < FLAGS_N; i++) {
		uint8_t bit = (uint8_t)(1 << i);

		if (!((s->set | s->clear) & bit))
			continue;
		f->flying[i]--;
		if (a->end == ACT_OK && !s->vague && f->flying[i] == 0 && f->touched[i] <= a->sent &&
			f->settled[i] <= a->sent) {
			f->one = (uint8_t)((f->one & ~bit) | (s->set & bit));
			f->zero = (uint8_t)((f->zero & ~bit) | (s->clear & bit));
		}
		f->settled[i] = world.tick;
	}
}

void truth_end(unsigned act, enum act_end end)
{
	struct act *a = act_of(act);

	a->end = end;
	a->answered = ++world.tick;
	a->answered_us = sim_time_us();
	if (end == ACT_LOST)
		return;
	for (unsigned i = 0; i < log_.strokes_n; i++)
		if (log_.strokes[i].act == act)
			end_stroke(a, &log_.strokes[i]);
	if (end == ACT_OK && a->strict && a->sent > world.barrier)
		world.barrier = a->sent;
}

void truth_leaving(unsigned act, uint32_t uid, bool sure)
{
	struct act *a = act_of(act);
	struct fact *f = truth_told(a->box, uid);

	if (a->kind == ACT_MOVE)
		f->moving++;
	else if (f->one & F_DELETED)
		f->expunging = true;
	if (!sure)
		return;
	a->sure = realloc(a->sure, (a->sure_n + 1) * sizeof *a->sure);
	a->sure[a->sure_n++] = uid;
}

void truth_gone(unsigned box, uint32_t uid)
{
	struct fact *f;

	/* An audit had found it gone already; this client hears of it only now. */
	if (uid && uid < world.box[box].floor && !truth_fact(box, uid))
		return;
	f = truth_told(box, uid);
	if (!f->gone && !f->expunging && !f->moving && !truth_may_evict(box, f))
		broken("%s: UID %u was told to be gone, and nobody removed it", world.box[box].name, uid);
	world.sums->evicted += !f->expunging && !f->moving && !f->gone;
	f->gone = true;
}

void truth_uidnext(unsigned box, uint32_t uidnext)
{
	if (uidnext > world.box[box].uidnext)
		world.box[box].uidnext = uidnext;
}

void truth_modseq(unsigned box, uint64_t modseq)
{
	if (modseq > world.box[box].modseq)
		world.box[box].modseq = modseq;
}

void truth_content(unsigned box, uint32_t uid, uint32_t content)
{
	struct fact *f = truth_told(box, uid);

	if (f->content && f->content != content)
		broken("%s: UID %u was message %u and is %u", world.box[box].name, uid, f->content, content);
	f->content = content;
}

void truth_seen_flags(unsigned box, uint32_t uid, uint8_t flags, uint64_t modseq, uint64_t asked)
{
	struct fact *f = truth_told(box, uid);

	for (unsigned i = 0; asked && i < FLAGS_N; i++) {
		uint8_t bit = (uint8_t)(1 << i);

		if (f->flying[i] || f->touched[i] >= asked || f->settled[i] >= asked || f->born >= asked)
			continue;
		if (!((flags & bit ? f->one : f->zero) & bit))
			broken("%s: UID %u answers with flags %x, but it has %x and not %x", world.box[box].name, uid,
				flags, f->one, f->zero);
	}
	if (modseq == 0)
		return;
	if (modseq == f->modseq && flags != f->modseq_flags)
		broken("%s: UID %u: MODSEQ %" PRIu64 " had flags %x and now %x", world.box[box].name, uid, modseq,
			f->modseq_flags, flags);
	if (modseq > f->modseq) {
		f->modseq = modseq;
		f->modseq_flags = flags;
	}
	truth_modseq(box, modseq);
}

/* ---- the audit: messages ---- */

static struct sight *sight_of(struct audit_box *a, uint32_t uid)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->s[i].uid == uid)
			return &a->s[i];
	return NULL;
}

static void audit_numbers(unsigned box, struct audit_box *a)
{
	struct mailbox *m = &world.box[box];
	uint32_t last = 0;

	if (m->uidvalidity && a->uidvalidity != m->uidvalidity)
		broken("%s: UIDVALIDITY was %u and is %u", m->name, m->uidvalidity, a->uidvalidity);
	if (a->uidnext < m->uidnext)
		broken("%s: UIDNEXT was %u and is %u", m->name, m->uidnext, a->uidnext);
	if (a->modseq < m->modseq)
		broken("%s: HIGHESTMODSEQ was %" PRIu64 " and is %" PRIu64, m->name, m->modseq, a->modseq);
	/* what was let go and not told yet is passed over by FETCH */
	if (world.evict ? a->n > a->exists : a->n != a->exists)
		broken("%s: %u EXISTS, but %u messages are there", m->name, a->exists, a->n);
	for (unsigned i = 0; i < a->n; i++) {
		const struct sight *s = &a->s[i];

		if (s->uid <= last || s->uid >= a->uidnext)
			broken("%s: UID %u behind %u, UIDNEXT %u", m->name, s->uid, last, a->uidnext);
		if (s->modseq == 0 || s->modseq > a->modseq)
			broken("%s: UID %u has MODSEQ %" PRIu64 " of %" PRIu64, m->name, s->uid, s->modseq, a->modseq);
		last = s->uid;
	}
	m->uidvalidity = a->uidvalidity;
}

static void audit_fact(unsigned box, struct fact *f, struct audit_box *a)
{
	struct mailbox *m = &world.box[box];
	struct sight *s = sight_of(a, f->uid);

	if (s && f->gone)
		broken("%s: UID %u was told to be gone and is there", m->name, f->uid);
	if (!s && !f->gone && !f->expunging && !f->moving && !truth_may_evict(box, f))
		broken("%s: UID %u (message %u) is lost", m->name, f->uid, f->content);
	f->seen = s != NULL;
	if (!s)
		return;
	if (f->content && f->content != s->content)
		broken("%s: UID %u was message %u and is %u", m->name, f->uid, f->content, s->content);
	if (s->modseq < f->modseq || (s->modseq == f->modseq && s->flags != f->modseq_flags))
		broken("%s: UID %u had MODSEQ %" PRIu64 " with flags %x, now %" PRIu64 " with %x", m->name, f->uid,
			f->modseq, f->modseq_flags, s->modseq, s->flags);
	f->hold = s->flags;
	f->shown = s->content;
}

static uint32_t birth_content(const struct birth *b)
{
	const struct fact *f = b->from_uid ? truth_fact(b->from_box, b->from_uid) : NULL;

	return f ? f->content ? f->content : f->shown : b->content;
}

/* How many messages of this content nobody was told of by UID, and how many
 * there must and may be. */
static void audit_births(unsigned box, struct audit_box *a, uint32_t content)
{
	unsigned here = 0, must = 0, may = 0;

	if (content == CONTENT_SERVERS)
		return;
	for (unsigned i = 0; i < a->n; i++) {
		const struct fact *f = truth_fact(box, a->s[i].uid);

		if (a->s[i].content == content && (!f || !f->explained))
			here++;
	}
	for (unsigned i = 0; i < log_.births_n; i++) {
		const struct birth *b = &log_.births[i];
		const struct act *act = act_of(b->act);

		if (b->box != box || b->told || act->end == ACT_NO || b->barred)
			continue;
		may += birth_content(b) == content || birth_content(b) == 0;
		must += birth_content(b) == content && b->required;
	}
	/* one that came and went again is neither here nor missing */
	for (unsigned i = 0; i < world.box[box].n; i++) {
		const struct fact *f = &world.box[box].facts[i];

		if (!f->seen && !f->explained && (f->content == 0 || f->content == content) && must > 0)
			must--;
	}
	if (here < must || here > may)
		broken("%s: message %u is there %u times; at least %u and at most %u times it came",
			world.box[box].name, content, here, must, may);
}

/* Which births must be there: those that were acknowledged, and those whose
 * source has moved away. */
static void audit_required(void)
{
	for (unsigned i = 0; i < log_.births_n; i++) {
		struct birth *b = &log_.births[i];
		const struct act *a = act_of(b->act);
		const struct fact *from = b->from_uid ? truth_fact(b->from_box, b->from_uid) : NULL;

		b->required = a->end == ACT_OK;
		if (a->kind == ACT_COPY)
			b->required = false; /* acknowledged ones have UIDs; the others come together */
		if (a->kind == ACT_MOVE)
			b->required = from && !from->seen && !from->expunging && from->moving == 1 && !world.evict;
		b->barred = a->kind == ACT_MOVE && from && from->seen;
	}
}

/* The highest UID that was told before that tick: what came later has a higher
 * one. */
static uint32_t uid_before(unsigned box, uint64_t tick)
{
	const struct mailbox *m = &world.box[box];
	uint32_t highest = 0;

	for (unsigned i = 0; i < m->n; i++)
		if (m->facts[i].born < tick && m->facts[i].uid > highest)
			highest = m->facts[i].uid;
	return highest;
}

/* Another copy of the same message, or one that nobody knows the content of, may be
 * what is seen: only a lone one tells. */
static bool came_otherwise(unsigned act)
{
	for (unsigned i = 0; i < log_.births_n; i++)
		for (unsigned k = 0; k < log_.births_n && log_.births[i].act == act; k++) {
			const struct birth *b = &log_.births[k];

			if (b->act != act && b->box == log_.births[i].box && !b->told &&
				(birth_content(b) == 0 || birth_content(b) == birth_content(&log_.births[i])))
				return true;
		}
	return false;
}

/* A copy that nobody was told of is there whole or not at all. */
static void audit_copy(unsigned act, struct audit_box *boxes)
{
	unsigned n = 0, here = 0;
	uint32_t uid = 0; /* of one that is here */

	for (unsigned i = 0; i < log_.births_n; i++) {
		const struct birth *b = &log_.births[i];
		uint32_t content = birth_content(b);
		const struct fact *from;

		if (b->act != act)
			continue;
		from = truth_fact(b->from_box, b->from_uid);
		if (!from || from->expunging || from->moving || from->gone || world.evict)
			return; /* it may have gone before it could be copied */
		n++;
		for (unsigned k = 0; k < boxes[b->box].n; k++) {
			const struct fact *f = truth_fact(b->box, boxes[b->box].s[k].uid);

			if (boxes[b->box].s[k].uid > uid_before(b->box, act_of(act)->sent) &&
				boxes[b->box].s[k].content == content && (!f || !f->explained)) {
				uid = boxes[b->box].s[k].uid;
				here++;
				break;
			}
		}
	}
	if (here != 0 && here != n && !came_otherwise(act))
		broken("%s: a copy of %u messages came as %u (UID %u)", world.box[act_of(act)->to].name, n, here, uid);
}

/* ---- the audit: flags ---- */

static bool durable(const struct act *a, bool dead, uint64_t died_us)
{
	if (!dead)
		return true;
	/* what was answered before its sync is lost when the device does not take it any more */
	return a->end == ACT_OK &&
		(!a->lazy || a->answered < world.barrier ||
			(!world.was_faulty && a->answered_us + world.flag_delay_us + 1000000 < died_us));
}

/* The strokes of one flag of one message, in the order of their sending; -1 when
 * two of them ran at the same time or one may have been left out. */
static int strokes_of(unsigned box, uint32_t uid, uint8_t bit, const struct stroke **out, int cap)
{
	uint64_t last = 0;
	int n = 0;

	for (unsigned i = 0; i < log_.strokes_n; i++) {
		const struct stroke *s = &log_.strokes[i];
		const struct act *a = act_of(s->act);

		if (s->box != box || s->uid != uid || !((s->set | s->clear) & bit))
			continue;
		if (a->end != ACT_OK || s->vague || a->sent < last || n == cap)
			return -1;
		last = a->answered;
		out[n++] = s;
	}
	return n;
}

/* Whether any change, of whatever fate, left the flag so: where the order is not
 * known a death may have kept each of them. */
static bool once_so(unsigned box, uint32_t uid, uint8_t bit, bool on)
{
	for (unsigned i = 0; i < log_.strokes_n; i++) {
		const struct stroke *s = &log_.strokes[i];

		if (s->box == box && s->uid == uid && ((on ? s->set : s->clear) & bit))
			return true;
	}
	return false;
}

struct bounds {
	uint64_t kept, missing; /* sent last of what is there; answered first of what is missing */
};

static void audit_flag(unsigned box, struct fact *f, uint8_t bit, struct bounds *b, bool dead, uint64_t died_us)
{
	const struct stroke *s[64];
	int n = strokes_of(box, f->uid, bit, s, 64), least = -1, most = -1;
	bool on = f->hold & bit;

	if (n < 0 || !dead) {
		if (!((on ? f->one : f->zero) & bit) && !(dead && (on ? f->base_one : f->base_zero) & bit) &&
			!(dead && once_so(box, f->uid, bit, on)))
			broken("%s: UID %u has flag %x %s, which nobody did", world.box[box].name, f->uid, bit,
				on ? "set" : "unset");
		return;
	}
	for (int k = 0; k <= n; k++) {
		bool can = k == 0 ? (on ? f->base_one : f->base_zero) & bit
				  : ((on ? s[k - 1]->set : s[k - 1]->clear) & bit) != 0;

		if (!can)
			continue;
		if (least < 0)
			least = k;
		most = k;
	}
	if (least < 0)
		broken("%s: UID %u has flag %x %s, which nobody did", world.box[box].name, f->uid, bit,
			on ? "set" : "unset");
	if (least > 0 && act_of(s[least - 1]->act)->sent > b->kept)
		b->kept = act_of(s[least - 1]->act)->sent;
	if (most < n) {
		const struct act *a = act_of(s[most]->act);

		if (durable(a, dead, died_us))
			broken("%s: UID %u: flag %x was changed %s and this is lost", world.box[box].name, f->uid, bit,
				a->lazy ? "long ago" : "durably");
		if (a->answered < b->missing)
			b->missing = a->answered;
	}
}

static void audit_flags(bool dead, uint64_t died_us)
{
	struct bounds b = { .missing = UINT64_MAX };

	for (unsigned box = 0; box < world.users * BOXES; box++)
		for (unsigned i = 0; i < world.box[box].n; i++) {
			struct fact *f = &world.box[box].facts[i];

			for (unsigned k = 0; f->seen && k < FLAGS_N; k++)
				audit_flag(box, f, (uint8_t)(1 << k), &b, dead, died_us);
		}
	if (b.missing < b.kept)
		broken("flag changes have a hole: one answered at %" PRIu64 " is missing, one sent at %" PRIu64
		       " is there",
			b.missing, b.kept);
}

/* ---- the audit as a whole ---- */

static void adopt(unsigned box, struct audit_box *a)
{
	struct mailbox *m = &world.box[box];

	m->n = 0;
	for (unsigned i = 0; i < a->n; i++) {
		struct fact *f;

		GROW(m->facts, m->n, m->cap);
		f = &m->facts[m->n++];
		*f = (struct fact){ .uid = a->s[i].uid,
			.content = a->s[i].content,
			.modseq = a->s[i].modseq,
			.modseq_flags = a->s[i].flags,
			.born = world.tick };
		f->explained = true;
		settle_flags(f, a->s[i].flags);
	}
	m->floor = m->uidnext = a->uidnext;
	m->modseq = a->modseq;
}

static void audit_new(unsigned box, struct audit_box *a)
{
	for (unsigned i = 0; i < a->n; i++) {
		const struct fact *f = truth_fact(box, a->s[i].uid);

		if (!f && a->s[i].uid < world.box[box].floor)
			broken("%s: UID %u is there again", world.box[box].name, a->s[i].uid);
		if (!f || !f->explained)
			audit_births(box, a, a->s[i].content);
	}
	for (unsigned i = 0; i < log_.births_n; i++)
		if (log_.births[i].box == box && !log_.births[i].told && log_.births[i].required &&
			birth_content(&log_.births[i]))
			audit_births(box, a, birth_content(&log_.births[i]));
}

void truth_audit(struct audit_box *boxes, bool dead, uint64_t died_us)
{
	unsigned n = world.users * BOXES;

	for (unsigned b = 0; b < n; b++)
		audit_numbers(b, &boxes[b]);
	for (unsigned b = 0; b < n; b++)
		for (unsigned i = 0; i < world.box[b].n; i++)
			audit_fact(b, &world.box[b].facts[i], &boxes[b]);
	audit_required();
	for (unsigned b = 0; b < n; b++)
		audit_new(b, &boxes[b]);
	for (unsigned i = 0; i < log_.acts_n; i++)
		if (log_.acts[i].kind == ACT_COPY && (log_.acts[i].end == ACT_LOST || log_.acts[i].end == ACT_OPEN))
			audit_copy(i, boxes);
	audit_flags(dead, died_us);
	world.tick++;
	for (unsigned b = 0; b < n; b++)
		adopt(b, &boxes[b]);
	forget_acts();
}
