/* STORE and UID STORE, with UNCHANGEDSINCE (RFC 7162 section 3.1.3). Batch by
 * batch: gather, change, wait if it must be durable, answer. */
#include <string.h>

#include "base/err.h"
#include "imap/batch.h"
#include "imap/commands.h"
#include "imap/flags.h"
#include "imap/server.h"

enum store_stage { STORE_READ, STORE_KEYWORDS, STORE_CONDSTORE, STORE_NEWS, STORE_GATHER, STORE_CHANGE, STORE_ANSWER };

/* ---- reading ---- */

static bool read_modifier(struct parse *p, struct batch_unit *u)
{
	struct parse look = *p;

	if (!parse_char(&look, '('))
		return true;
	if (!parse_keyword(&look, "UNCHANGEDSINCE") || !parse_space(&look) ||
		!parse_number(&look, INT64_MAX, &u->unchanged_since) || !parse_char(&look, ')') || !parse_space(&look))
		return false;
	u->change.conditional = true;
	*p = look;
	return true;
}

static bool read_operation(struct parse *p, struct batch_unit *u)
{
	static const struct {
		const char *name;
		enum store_flag_op op;
		bool silent;
	} names[] = {
		{"+FLAGS", STORE_FLAGS_ADD, false},           {"+FLAGS.SILENT", STORE_FLAGS_ADD, true},
		{"-FLAGS", STORE_FLAGS_REMOVE, false},        {"-FLAGS.SILENT", STORE_FLAGS_REMOVE, true},
		{"FLAGS", STORE_FLAGS_SET, false},            {"FLAGS.SILENT", STORE_FLAGS_SET, true},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!parse_keyword(p, names[i].name))
			continue;
		u->change.op = names[i].op;
		u->silent = names[i].silent;
		return true;
	}
	return false;
}

/* The flags are read again while a new keyword waits for its record. */
static bool read_store(struct session *s, struct batch_unit *u, struct parse_flags *flags)
{
	struct parse p = session_args(s);

	if (!batch_read_set(s, &p, u))
		return false;
	if (!parse_space(&p) || !read_modifier(&p, u) || !read_operation(&p, u) || !parse_space(&p) ||
		!parse_flag_list(&p, true, flags) || !parse_end(&p)) {
		session_bad(s, "STORE takes a set, FLAGS, +FLAGS or -FLAGS, and flags");
		return false;
	}
	if (flags->unknown) {
		session_bad(s, "There is no such flag with a backslash");
		return false;
	}
	u->change.flags = flags->flags;
	return true;
}

static int read_all(struct session *s, struct batch_unit *u)
{
	struct parse_flags flags;
	int err;

	if (!read_store(s, u, &flags))
		return RUN_DONE;
	if (s->view.read_only)
		return session_no(s, "[READ-ONLY] The mailbox was opened by EXAMINE");
	err = flags_keywords(s, s->view.mailbox, &flags, u->change.op != STORE_FLAGS_REMOVE, &u->change.keywords);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	if (err == E_LIMIT)
		return session_no(s, "[LIMIT] A mailbox can't have that many keywords, or one that long");
	if (err != OK)
		return session_error(s, err);
	s->stage = u->change.conditional ? STORE_CONDSTORE : STORE_NEWS;
	return RUN_DONE;
}

/* ---- gathering ---- */

static void modified(struct session *s, struct batch_unit *u, uint32_t uid, uint32_t number)
{
	uint32_t n = s->uid ? uid : number;
	struct uid_range *last;

	if (batch_range(u, n))
		return;
	/* Too many to name: the last range takes in what lies between. The client
	 * looks at those messages once more, and finds them changed as it wished. */
	last = &u->ranges[u->n_ranges - 1];
	if (n < last->first)
		last->first = n;
	if (n > last->last)
		last->last = n;
}

/* Its own change of the same command does not make a message fail. */
static bool fails(const struct batch_unit *u, const struct store_entry *entry)
{
	bool own = u->own_last && entry->modseq >= u->own_first && entry->modseq <= u->own_last;

	return u->change.conditional && entry->modseq > u->unchanged_since && !own;
}

/* Adds to the batch, with a note whether somebody else's change of it is to be
 * told along. */
static void take(struct session *s, struct batch_unit *u, const struct store_entry *entry)
{
	uint8_t bit = (uint8_t)(1 << u->n % 8);

	if (view_untold(s->server->parts.views, &s->view, entry))
		u->tell[u->n / 8] |= bit;
	else
		u->tell[u->n / 8] &= (uint8_t)~bit;
	batch_add(u, entry->uid);
}

static int gather(struct session *s, struct batch_unit *u)
{
	if (u->n == 0) {
		batch_begin(u);
		u->waited = false;
	}
	for (unsigned visited = 0; visited < LIMIT_SLICE_ENTRIES; visited++) {
		struct store_entry entry;
		uint32_t number;
		int err = batch_next(s, u, &entry, &number);

		if (err == E_NOENT) {
			s->stage = STORE_CHANGE;
			return RUN_DONE;
		}
		if (err == E_AGAIN)
			return STEP_AGAIN;
		if (err != OK)
			return session_error(s, err);
		if (fails(u, &entry)) {
			modified(s, u, entry.uid, number);
			continue;
		}
		take(s, u, &entry);
	}
	s->stage = STORE_CHANGE;
	return RUN_DONE;
}

/* ---- changing ---- */

/* Changes were staged since the batch was gathered, and are applied now: looks
 * at its messages again. */
static void gather_again(struct session *s, struct batch_unit *u)
{
	uint32_t n = u->n;

	u->n = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct store_entry entry;
		uint32_t uid = u->uids[i];

		if (store_entry_get(s->server->parts.store, s->view.mailbox, uid, &entry) != OK)
			u->gone |= !s->uid; /* a UID that is no more is no error (RFC 3501 6.4.8) */
		else if (fails(u, &entry))
			modified(s, u, uid, view_number(s->server->parts.views, &s->view, uid));
		else
			take(s, u, &entry);
	}
}

/* A SILENT change on top of one that is staged and not yet applied would cover
 * it, and the client would never hear of it. So it waits for that one once; if
 * there is another then, all messages are told. */
static int change_batch(struct session *s, struct batch_unit *u)
{
	struct store_flag_change change = u->change;
	int err;

	change.lazy = !s->condstore;
	change.conditional |= u->silent && !u->waited;
	err = store_flags(s->server->parts.store, s->view.mailbox, u->uids, u->n, &change, &u->modseq, &s->ticket);
	if (err == E_AGAIN)
		u->again = true;
	else if (u->waited && s->ticket && !u->change.conditional)
		memset(u->tell, 0xFF, sizeof(u->tell));
	u->waited = u->again;
	u->changed = err == OK;
	return err;
}

static int change(struct session *s, struct batch_unit *u)
{
	struct imap_server *v = s->server;
	int err = OK;

	if (!s->ticket && u->n && !u->changed) {
		err = change_batch(s, u);
		if (err == E_AGAIN)
			return STEP_COMMIT;
	}
	if (err == OK && s->ticket)
		err = session_wait(s);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	if (err != OK)
		return session_error(s, err);
	if (u->changed && u->modseq) {
		view_own_change(v->parts.views, &s->view, u->modseq);
		if (!u->own_first)
			u->own_first = u->modseq;
		u->own_last = u->modseq;
	}
	u->changed = false;
	u->at = 0;
	s->stage = STORE_ANSWER;
	return RUN_DONE;
}

/* ---- answering ---- */

static int answer(struct session *s, struct batch_unit *u, struct conn *c)
{
	struct imap_server *v = s->server;

	for (; u->at < u->n; u->at++) {
		bool flags = !u->silent || (u->tell[u->at / 8] >> u->at % 8 & 1);
		struct store_entry entry;
		uint32_t number;

		if (!flags && !s->condstore)
			continue;
		if (store_entry_get(v->parts.store, s->view.mailbox, u->uids[u->at], &entry) != OK) {
			if (u->flag_at == 0) {
				u->gone |= !s->uid;
				continue;
			}
			/* went while its line was written: the line is ended, its EXPUNGE follows */
			entry = (struct store_entry){ .uid = u->uids[u->at] };
		}
		number = view_number(v->parts.views, &s->view, entry.uid);
		if (!session_put_news(s, conn_output(c), &entry, number, flags, &u->flag_at))
			return STEP_OUTPUT;
	}
	u->n = 0;
	s->stage = STORE_GATHER;
	return RUN_DONE;
}

bool finish_store(struct session *s, struct buf *out)
{
	struct batch_unit *u = s->unit;

	if (buf_space(out) < REPLY_ROOM)
		return false;
	if (u->range_at == 0) {
		buf_put(out, s->tag, s->tag_len);
		buf_printf(out, " %s [MODIFIED ", u->gone ? "NO" : "OK");
		s->in_line = true;
	}
	if (!batch_put_ranges(u, out))
		return false;
	buf_puts(out, "] Some messages have changed meanwhile\r\n");
	return true;
}

static int stored(struct session *s, const struct batch_unit *u)
{
	if (u->n_ranges)
		return session_ok(s, NULL);
	if (u->gone)
		return session_no(s, "[EXPUNGEISSUED] Some of the messages are no more");
	return session_ok(s, "Stored");
}

int cmd_store(struct session *s, struct conn *c)
{
	struct batch_unit *u = session_unit(s);
	int step = RUN_DONE;

	if (!u)
		return session_crowded(s);
	if (s->stage == STORE_READ) {
		step = read_all(s, u);
		if (s->stage == STORE_READ)
			return step;
	}
	if (s->stage == STORE_CONDSTORE) {
		step = session_condstore(s, c);
		if (step != RUN_DONE)
			return step;
		s->stage = STORE_NEWS;
	}
	if (s->stage == STORE_NEWS) {
		step = session_tell_keywords(s, c);
		if (step != RUN_DONE)
			return step;
		s->stage = STORE_GATHER;
	}
	batch_point(s, u);
	if (u->again) {
		u->again = false;
		gather_again(s, u);
	}
	if (s->stage == STORE_GATHER)
		step = gather(s, u);
	if (step == RUN_DONE && s->stage == STORE_CHANGE)
		step = change(s, u);
	if (step == RUN_DONE && s->stage == STORE_ANSWER) {
		step = answer(s, u, c);
		if (step == RUN_DONE)
			return u->last ? stored(s, u) : STEP_AGAIN;
	}
	return step;
}
