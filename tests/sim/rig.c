#include "rig.h"

#include "base/log.h"
#include "store/evict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char rig_case[300];

void rig_fail(const char *format, ...)
{
	va_list args;

	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n# again by: %s\n", rig_case);
	fflush(stdout);
	if (getenv("SIM_ABORT"))
		abort();
	_Exit(1);
}

uint64_t rig_random(struct rig *r, uint64_t limit)
{
	uint64_t z = r->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % limit;
}

/* ---- opening and closing ---- */

static uint8_t space[8 << 20];

/* SIM_LOG in the environment shows what the store says. */
static void to_port(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

void rig_init(struct rig *r, const struct scenario *s, uint64_t seed)
{
	memset(r, 0, sizeof *r);
	model_init(&r->model);
	r->scenario = s;
	r->seed = seed;
	r->random = seed * 0x2545f4914f6cdd1du;
	sim_reset(seed);
	log_init(to_port, LOG_NOTICE);
	if (s->sync_us)
		sim_sync_time(s->sync_us / 10, s->sync_us);
}

static struct store_config config_of(const struct scenario *s)
{
	return (struct store_config){
		.dir = RIG_DIR,
		.storage = s->storage,
		.message_max = 4u << 20,
		.owner_quota = s->quota,
		.flag_delay_ms = s->flag_delay_ms,
		.cache_pages = 48,
		.log_buffer = 128u << 10,
		.upload_bytes = 128u << 10,
		.uploads = 4,
		.growth = s->growth,
		.allow_volatile = true,
	};
}

static void say_finding(void *context, const struct store_finding *f)
{
	(void)context;
	if (getenv("VERBOSE"))
		printf("# user %u %s uid %u: %s\n", f->owner, f->name, f->uid, f->what);
}

int rig_repair(struct rig *r, struct store_repaired *out)
{
	struct store_config config = config_of(r->scenario);
	struct store_repair how = { .admin = 1, .report = say_finding };
	struct arena arena;
	char reason[600] = "";
	int err;

	arena_init(&arena, space, sizeof space);
	err = store_repair(&arena, &config, &how, out, reason, sizeof reason);
	if (err != OK && getenv("VERBOSE"))
		printf("# %s (%s)\n", err_text(err), reason);
	return err;
}

int rig_open(struct rig *r)
{
	struct store_config config = config_of(r->scenario);
	struct arena arena;
	char reason[200];
	int err;

	arena_init(&arena, space, sizeof space);
	err = store_open(&r->st, &arena, &config, reason, sizeof reason);
	if (err != OK) {
		r->st = NULL;
		if (!r->faulty)
			rig_fail("the store can't be opened: %s (%s)", err_text(err), reason);
		return err;
	}
	if (r->scenario->evict) {
		struct store_evict_config evict = {
			.on = true,
			.high = r->scenario->evict,
			.low = r->scenario->evict - 10,
			.order = { STORE_CLASS_DELETED, STORE_CLASS_JUNK, STORE_CLASS_TRASH, STORE_CLASS_RING,
				STORE_CLASS_SEEN, STORE_CLASS_UNSEEN, STORE_CLASS_SENT, STORE_CLASS_ARCHIVE },
			.order_n = STORE_CLASSES,
		};

		store_evict_configure(r->st, &evict);
	}
	if (arena.used > store_memory(&config))
		rig_fail("the store took %zu bytes and said %zu", arena.used, store_memory(&config));
	r->mounts++;
	return OK;
}

void rig_dead(struct rig *r)
{
	r->st = NULL;
	memset(r->flights, 0, sizeof r->flights);
	memset(r->copies, 0, sizeof r->copies);
	memset(r->pins, 0, sizeof r->pins);
	r->full = r->broken = false;
}

void rig_close(struct rig *r)
{
	store_close(r->st);
	r->st = NULL;
	memset(r->flights, 0, sizeof r->flights);
	memset(r->copies, 0, sizeof r->copies);
	memset(r->pins, 0, sizeof r->pins);
	model_told(&r->model);
	if (sim_open_files() != 0)
		rig_fail("%u files are open after closing", sim_open_files());
}

/* ---- commit ---- */

/* Ids and UIDVALIDITYs that the model could not foretell: they must be new. */
static void learn(struct rig *r)
{
	struct model *m = &r->model;
	uint32_t mailbox = m->told_mailbox, validity = m->told_uidvalidity;

	for (unsigned i = 0; i < M_BOXES; i++) {
		struct m_box *b = &m->live.box[i];
		struct store_mailbox box;
		uint32_t id;

		if (!b->used || (b->id && b->uidvalidity))
			continue;
		if (store_mailbox_find(r->st, b->owner, bytes_of(b->name), &id) != OK ||
			store_mailbox_get(r->st, id, &box) != OK) {
			if (r->faulty)
				continue;
			rig_fail("mailbox %s of %u was made and is not there", b->name, b->owner);
		}
		if ((b->id && b->id != id) || id <= m->told_mailbox || box.uidvalidity <= m->told_uidvalidity)
			rig_fail("mailbox %s got id %u and uidvalidity %u, but %u and %u were given before", b->name,
				id, box.uidvalidity, m->told_mailbox, m->told_uidvalidity);
		b->id = m->durable.box[i].id = id;
		b->uidvalidity = m->durable.box[i].uidvalidity = box.uidvalidity;
		mailbox = id > mailbox ? id : mailbox;
		validity = box.uidvalidity > validity ? box.uidvalidity : validity;
	}
	m->told_mailbox = mailbox;
	m->told_uidvalidity = validity;
}

static void ask_tickets(struct rig *r)
{
	struct model *m = &r->model;

	for (unsigned i = 0; i < m->n_ops; i++) {
		struct m_op *op = &m->ops[i];
		int err = op->guess ? OK : store_ticket_result(r->st, op->lsn);

		if (err == OK)
			continue;
		if (!r->faulty || err == E_AGAIN || op->kind != M_MESSAGE)
			rig_fail("ticket %" PRIu64 " of kind %d came back with %s", op->lsn, op->kind, err_text(err));
		op->lost = true;
		r->lost++;
	}
}

void rig_commit(struct rig *r)
{
	bool looked = false;
	int err;

	if (r->broken)
		return;
	rig_note_evictions(r);
	err = store_commit_start(r->st);
	while (err == OK && (err = store_commit_done(r->st)) == E_AGAIN) {
		/* What is not durable is not shown, or only what a lazy change may show. */
		if (!looked && r->turn % 3 == 0 && !r->faulty)
			rig_check_live(r);
		looked = true;
		sim_advance_us(500);
		err = OK;
	}
	if (err != OK) {
		if (!r->faulty)
			rig_fail("commit: %s", err_text(err));
		r->broken = r->slack = true;
		return;
	}
	ask_tickets(r);
	model_told(&r->model);
	learn(r);
	/* Upkeep had a slice at the commit's end. */
	rig_note_evictions(r);
	if (!store_all_durable(r->st))
		rig_fail("after a commit not all is durable");
}

void rig_upkeep(struct rig *r)
{
	for (unsigned i = 0; i < 3000 && !r->broken; i++) {
		int err = store_maintain(r->st);

		if (err != OK && err != E_AGAIN)
			rig_fail("upkeep: %s", err_text(err));
		rig_note_evictions(r);
		if (store_wants_commit(r->st))
			rig_commit(r);
		if (err == OK)
			return;
	}
	if (!r->broken)
		rig_fail("upkeep never comes to an end");
}

void rig_print(const struct rig *r)
{
	static const char *const kinds[] = { "messages", "flags", "expunges", "moves", "copies", "created", "deleted",
		"renamed", "uses", "subscriptions", "keywords", "recent", "users removed", "evictions" };
	struct store_status s;

	for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		printf("%s %" PRIu64 ", ", kinds[i], r->done[i]);
	if (r->st) {
		store_status(r->st, &s);
		printf("%" PRIu64 " checkpoints, %" PRIu64 " segments cleaned, live %" PRIu64 " of %" PRIu64
		       ", charged %" PRIu64,
			s.checkpoints, s.segments_cleaned, s.live, s.capacity, s.allocated);
	}
	printf("\n");
}

/* ---- what the store shows ---- */

static int dump_entries(struct rig *r, uint32_t id, struct m_box *b)
{
	struct store_cursor c;
	struct store_entry e;
	int err;

	store_cursor_init(&c, id, 0);
	while ((err = store_cursor_next(r->st, &c, &e)) == OK) {
		if (b->n == M_ENTRIES)
			rig_fail("%s has more messages than the model can hold", b->name);
		b->e[b->n++] = (struct m_entry){ .uid = e.uid,
			.size = e.size,
			.flags = e.flags,
			.zone = e.zone,
			.keywords = e.keywords,
			.modseq = e.modseq,
			.arrival = e.arrival,
			.received = e.received };
	}
	return err == E_NOENT ? OK : err;
}

/* The numbers beside the entries. */
static void check_numbers(struct rig *r, const struct store_mailbox *is, struct m_box *b)
{
	uint32_t unseen = 0, deleted = 0, first_unseen = 0;
	uint64_t size = 0, deleted_size = 0;

	for (unsigned i = 0; i < b->n; i++) {
		const struct m_entry *e = &b->e[i];

		size += e->size;
		if (e->flags & STORE_DELETED) {
			deleted++;
			deleted_size += e->size;
		}
		if (e->flags & STORE_SEEN)
			continue;
		if (unseen++ == 0)
			first_unseen = e->uid;
	}
	if (is->messages != b->n || is->unseen != unseen || is->deleted != deleted || is->size != size ||
		is->deleted_size != deleted_size)
		rig_fail("%s: %u messages, %u unseen, %u deleted, %" PRIu64 " bytes; counted %u, %u, %u, %" PRIu64,
			b->name, is->messages, is->unseen, is->deleted, is->size, b->n, unseen, deleted, size);
	if (store_first_unseen(r->st, is->id) != first_unseen)
		rig_fail("%s: first unseen %u, counted %u", b->name, store_first_unseen(r->st, is->id), first_unseen);
	for (unsigned i = 0; i < b->n; i += 1 + b->n / 3) {
		struct store_entry e;

		if (store_rank(r->st, is->id, b->e[i].uid) != i + 1)
			rig_fail("%s uid %u: number %u, not %u", b->name, b->e[i].uid,
				store_rank(r->st, is->id, b->e[i].uid), i + 1);
		if (store_entry_at(r->st, is->id, i + 1, &e) != OK || e.uid != b->e[i].uid)
			rig_fail("%s: number %u is uid %u, not %u", b->name, i + 1, e.uid, b->e[i].uid);
	}
	if (store_rank(r->st, is->id, UINT32_MAX) != b->n)
		rig_fail("%s: rank of the last is %u, not %u", b->name, store_rank(r->st, is->id, UINT32_MAX), b->n);
}

static int dump_box(struct rig *r, uint32_t id, struct m_box *b)
{
	struct store_mailbox is;
	char name[LIMIT_MAILBOX_NAME];
	int len, err = store_mailbox_get(r->st, id, &is);

	if (err != OK)
		return err;
	memset(b, 0, sizeof *b);
	len = store_mailbox_name(r->st, id, name);
	if (len < 0)
		return len;
	if (len >= M_NAME || is.keywords > M_KEYWORDS)
		rig_fail("mailbox %u: a name of %d bytes, %u keywords", id, len, is.keywords);
	memcpy(b->name, name, (size_t)len);
	b->used = true;
	b->id = id;
	b->owner = is.owner;
	b->uidvalidity = is.uidvalidity;
	b->uidnext = is.uidnext;
	b->recent = is.recent;
	b->modseq = is.modseq;
	b->uses = is.uses;
	b->n_keywords = is.keywords;
	for (unsigned bit = 0; bit < is.keywords; bit++) {
		char keyword[LIMIT_KEYWORD_NAME] = { 0 };

		len = store_keyword_name(r->st, id, bit, keyword);
		if (len < 0 && len != E_NOENT)
			return len;
		memcpy(b->keywords[bit], keyword, sizeof b->keywords[0] - 1);
	}
	err = dump_entries(r, id, b);
	if (err == OK)
		check_numbers(r, &is, b);
	return err;
}

/* Mailboxes of an owner, whatever their depth. */
static int dump_owner(struct rig *r, uint32_t owner, struct m_state *out, unsigned *n)
{
	struct {
		uint32_t id;
		uint64_t cursor;
	} stack[LIMIT_MAILBOX_DEPTH + 1] = { { 0, 0 } };
	unsigned depth = 0;

	for (;;) {
		uint32_t id;
		int err = store_mailbox_child(r->st, owner, stack[depth].id, &stack[depth].cursor, &id);

		if (err == E_NOENT) {
			if (depth-- == 0)
				return OK;
			continue;
		}
		if (err == OK && *n == M_BOXES)
			rig_fail("more mailboxes than the model can hold");
		if (err == OK)
			err = dump_box(r, id, &out->box[(*n)++]);
		if (err != OK)
			return err;
		if (++depth > LIMIT_MAILBOX_DEPTH)
			rig_fail("mailboxes deeper than allowed");
		stack[depth].id = id;
		stack[depth].cursor = 0;
	}
}

int rig_dump(struct rig *r, struct m_state *out)
{
	unsigned n = 0, subs = 0;

	for (unsigned i = 0; i < M_BOXES; i++)
		out->box[i].used = false;
	memset(out->sub, 0, sizeof out->sub);
	for (uint32_t owner = 1; owner < M_OWNERS; owner++) {
		uint64_t cursor = 0;
		char name[LIMIT_MAILBOX_NAME];
		int err = dump_owner(r, owner, out, &n), len;

		if (err != OK)
			return err;
		while ((len = store_subscription(r->st, owner, &cursor, name)) >= 0) {
			if (subs == M_SUBS || len >= M_NAME)
				rig_fail("more subscriptions than the model can hold");
			out->sub[subs].owner = owner;
			memcpy(out->sub[subs++].name, name, (size_t)len);
		}
		if (len != E_NOENT)
			return len;
	}
	return OK;
}

/* ---- against the model ---- */

static struct m_state seen;

static void dump_or_fail(struct rig *r, const char *when)
{
	int err = rig_dump(r, &seen);

	if (err != OK)
		rig_fail("%s the store can't be read: %s", when, err_text(err));
}

void rig_check_live(struct rig *r)
{
	const char *what;

	dump_or_fail(r, "while it runs");
	what = state_differs(&r->model.live, &seen);
	if (what)
		rig_fail("turn %u shows something else than it should: %s", r->turn, what);
}

void rig_check_same(struct rig *r)
{
	const char *what;

	dump_or_fail(r, "opened again");
	what = state_differs(&r->model.durable, &seen);
	if (what)
		rig_fail("opened again it shows something else: %s", what);
}

/* Tries durable plus the first k ops for every k; with `keep` only messages
 * among the first so many ops are there. The first k that fits (a last op that
 * changed nothing may be lost: nobody was told its number), or -1. */
static int fitting_prefix(struct rig *r, unsigned keep)
{
	struct model *m = &r->model;

	m->scratch = m->durable;
	for (unsigned k = 0;; k++) {
		struct m_op *op = &m->ops[k];

		if (!state_differs(&m->scratch, &seen))
			return (int)k;
		if (k == m->n_ops)
			return -1;
		if (op->kind == M_MESSAGE && k >= keep)
			continue;
		state_apply(&m->scratch, m, op);
	}
}

static void adopt(struct rig *r, unsigned keep, unsigned n)
{
	struct model *m = &r->model;

	for (unsigned i = 0; i < m->n_ops; i++)
		m->ops[i].lost |= i >= n || (m->ops[i].kind == M_MESSAGE && i >= keep);
	m->n_live = 0;
	m->live = m->durable;
	model_told(m);
	learn(r);
}

void rig_check_recovered(struct rig *r)
{
	struct model *m = &r->model;
	unsigned keep = m->n_ops;
	int n;

	dump_or_fail(r, "after recovery");
	n = fitting_prefix(r, keep);
	while (n < 0 && r->slack && keep > 0)
		n = fitting_prefix(r, --keep);
	if (n < 0) {
		printf("# against what was told: %s\n", state_differs(&m->durable, &seen));
		m->scratch = m->durable;
		for (unsigned i = 0; i < m->n_ops; i++) {
			state_apply(&m->scratch, m, &m->ops[i]);
			printf("# with op %u (kind %d, LSN %" PRIu64 "): %s\n", i, m->ops[i].kind, m->ops[i].lsn,
				state_differs(&m->scratch, &seen));
		}
		if (getenv("LOG_OF"))
			rig_print_log(r, (uint32_t)strtoul(getenv("LOG_OF"), NULL, 10));
		rig_fail("after recovery the store is no prefix of what it took");
	}
	adopt(r, keep, (unsigned)n);
	r->slack = false;
}

/* ---- bytes ---- */

/* E_DAMAGED when the store says so, E_IO when the device does; anything wrong
 * ends the run. */
static int check_message(struct rig *r, const struct m_box *b, const struct m_entry *want)
{
	static uint8_t data[32768];
	uint8_t summary[300], is[300];
	struct store_entry e;
	const char *what;
	int64_t n;
	int err = store_entry_get(r->st, b->id, want->uid, &e);

	if (r->faulty && (err == E_IO || err == E_DAMAGED))
		return err;
	if (err != OK)
		rig_fail("%s uid %u can't be found: %s", b->name, want->uid, err_text(err));
	n = store_summary(r->st, e.object, is, sizeof is);
	if (n == E_DAMAGED || (n == E_IO && r->faulty))
		return (int)n;
	if (n != (int64_t)content_summary(want->content, summary) || memcmp(summary, is, (size_t)n) != 0)
		rig_fail("%s uid %u: its summary is wrong (%d)", b->name, want->uid, (int)n);
	for (uint64_t at = 0; at < want->size; at += (uint64_t)n) {
		n = store_body(r->st, e.object, at, data, sizeof data);
		if (n == E_DAMAGED || (n == E_IO && r->faulty))
			return (int)n;
		if (n <= 0)
			rig_fail("%s uid %u: reading byte %" PRIu64 " of %u gives %s", b->name, want->uid, at,
				want->size, err_text((int)n));
		what = content_differs(want->content, at, data, (size_t)n);
		if (what)
			rig_fail("%s uid %u: %s", b->name, want->uid, what);
	}
	return OK;
}

unsigned rig_count_damaged(struct rig *r)
{
	uint32_t contents[M_ENTRIES];
	unsigned damaged = 0;

	for (unsigned i = 0; i < M_BOXES; i++) {
		const struct m_box *b = &r->model.live.box[i];

		for (unsigned j = 0; b->used && j < b->n; j++) {
			unsigned known = 0;

			if (check_message(r, b, &b->e[j]) == OK)
				continue;
			while (known < damaged && contents[known] != b->e[j].content)
				known++;
			if (known == damaged && damaged < M_ENTRIES)
				contents[damaged++] = b->e[j].content;
		}
	}
	return damaged;
}

void rig_check_bytes(struct rig *r)
{
	if (rig_count_damaged(r))
		rig_fail("a message fails its checksum");
}

/* ---- clients ---- */

static void client_drop(struct client *c, uint32_t first, uint32_t last)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++)
		if (c->e[i].uid < first || c->e[i].uid > last)
			c->e[n++] = c->e[i];
	c->n = n;
}

static void client_put(struct client *c, const struct store_entry *e)
{
	unsigned i = 0;

	while (i < c->n && c->e[i].uid < e->uid)
		i++;
	if (i == c->n || c->e[i].uid != e->uid) {
		if (c->n == M_ENTRIES)
			rig_fail("a client holds more messages than there are");
		memmove(&c->e[i + 1], &c->e[i], (c->n - i) * sizeof c->e[0]);
		c->n++;
	}
	c->e[i].uid = e->uid;
	c->e[i].flags = e->flags;
	c->e[i].keywords = e->keywords;
}

/* SELECT (QRESYNC): what vanished and what changed since its HIGHESTMODSEQ. */
static int client_learn(struct rig *r, struct client *c)
{
	struct store_mailbox box;
	struct store_cursor cursor;
	struct store_entry e;
	uint32_t uid = 0, first, last;
	int err = store_mailbox_get(r->st, c->mailbox, &box);

	if (err != OK)
		return err;
	while ((err = store_vanished_next(r->st, c->mailbox, c->modseq, &uid, &first, &last)) == OK || err == E_AGAIN)
		if (err == OK) {
			if (store_entry_get(r->st, c->mailbox, first, &e) == OK || last < first || last >= box.uidnext)
				rig_fail("vanished %u:%u is there or was never told", first, last);
			client_drop(c, first, last);
		}
	if (err != E_NOENT)
		return err;
	store_cursor_init(&cursor, c->mailbox, 0);
	while ((err = store_cursor_changed(r->st, &cursor, c->modseq, &e)) == OK || err == E_AGAIN)
		if (err == OK)
			client_put(c, &e);
	c->modseq = box.modseq;
	return err == E_NOENT ? OK : err;
}

static void client_compare(const struct client *c, const struct m_box *b)
{
	for (unsigned i = 0; i < b->n || i < c->n; i++) {
		if (i >= b->n || i >= c->n || c->e[i].uid != b->e[i].uid)
			rig_fail("%s: the client has uid %u (%u messages) where uid %u (%u) is", b->name,
				i < c->n ? c->e[i].uid : 0, c->n, i < b->n ? b->e[i].uid : 0, b->n);
		if (c->e[i].flags != b->e[i].flags || c->e[i].keywords != b->e[i].keywords)
			rig_fail("%s uid %u: the client has flags %x, they are %x", b->name, c->e[i].uid, c->e[i].flags,
				b->e[i].flags);
	}
}

void rig_poll(struct rig *r, bool all)
{
	struct model *m = &r->model;

	/* No MODSEQ is told while a change waits for its sync. */
	if (!store_all_durable(r->st) || r->broken)
		return;
	for (unsigned i = 0; i < M_BOXES; i++) {
		struct client *c = &r->clients[i];
		const struct m_box *b = &m->live.box[i];
		int err;

		if (!b->used || !b->id)
			continue;
		if (!all && rig_random(r, 3) > 0)
			continue;
		if (c->mailbox != b->id)
			*c = (struct client){ .mailbox = b->id };
		err = client_learn(r, c);
		if (err != OK && !r->faulty)
			rig_fail("a client can't learn what is new in %s: %s", b->name, err_text(err));
		if (err == OK)
			client_compare(c, b);
		else
			c->mailbox = 0;
	}
}
