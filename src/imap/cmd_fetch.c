/* FETCH and UID FETCH, with CHANGEDSINCE (RFC 7162): from message to message
 * and from item to item, resumable at every piece of output. */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "imap/commands.h"
#include "imap/fetch.h"
#include "imap/reply.h"
#include "imap/server.h"

/* A set of at most so many bytes is looked up for each changed message; a
 * longer one is walked. */
#define CHANGED_SET 64

/* Bytes that every item but the long ones fits into. */
#define ITEM_ROOM 160

enum fetch_stage { FETCH_READ, FETCH_CONDSTORE, FETCH_RUN };

/* ---- reading the command ---- */

static bool read_modifiers(struct parse *p, struct fetch_unit *u)
{
	if (!parse_space(p) || parse_end(p))
		return parse_end(p);
	if (!parse_char(p, '(') || !parse_keyword(p, "CHANGEDSINCE") || !parse_space(p) ||
		/* Apple Mail sends 0, which the RFC does not have */
		!parse_number(p, INT64_MAX, &u->changed_since))
		return false;
	u->has_changed_since = true;
	return parse_char(p, ')') && parse_end(p);
}

/* Before all others: clients like to know early what a line is about. */
static bool add_uid(struct fetch_unit *u)
{
	if (fetch_has(u, FETCH_UID))
		return true;
	if (u->n_items == FETCH_ITEMS)
		return false;
	memmove(u->items + 1, u->items, u->n_items * sizeof(u->items[0]));
	u->items[0] = (struct fetch_item){ .kind = FETCH_UID, .peek = true };
	u->n_items++;
	return true;
}

/* What must be there besides what was asked for, and what it takes. */
static bool complete_items(struct session *s, struct fetch_unit *u)
{
	bool fits = (!s->uid || add_uid(u)) && (!u->has_changed_since || fetch_add(u, FETCH_MODSEQ));

	for (unsigned i = 0; i < u->n_items; i++) {
		const struct fetch_item *item = &u->items[i];

		u->sets_seen |= !item->peek;
		u->needs_body |= item->kind >= FETCH_SECTION;
		u->needs_summary |= item->kind >= FETCH_ENVELOPE && item->kind <= FETCH_BODYSTRUCTURE;
	}
	if (s->view.read_only)
		u->sets_seen = false;
	/* a CONDSTORE session wants MODSEQ and UID beside FLAGS (RFC 7162 section 3.1) */
	if (s->condstore && fetch_has(u, FETCH_FLAGS))
		fits = fits && add_uid(u) && fetch_add(u, FETCH_MODSEQ);
	return fits;
}

static int read_fetch(struct session *s, struct fetch_unit *u)
{
	struct parse p = session_args(s);
	struct view_set set;
	struct bytes text;

	if (!parse_space(&p) || !parse_set(&p, &text) || view_set_parse(text, s->uid, &set) != OK || !parse_space(&p))
		return session_bad(s, "FETCH takes a set of messages and items");
	switch (fetch_read_items(s, &p, u)) {
	case FETCH_WRONG:
		return session_bad(s, "FETCH does not know that item");
	case FETCH_TOO_MUCH:
		return session_no(s, "[LIMIT] That is too much for one FETCH");
	default:
		break;
	}
	if (!read_modifiers(&p, u))
		return session_bad(s, "The only modifier of FETCH is CHANGEDSINCE");
	if (view_set_check(&s->view, set) != OK)
		return session_bad(s, "There is no message of that number");
	if (!complete_items(s, u))
		return session_no(s, "[LIMIT] That is too much for one FETCH");
	view_walk_begin(&u->walk, set);
	u->by_change = u->has_changed_since && text.len <= CHANGED_SET;
	store_cursor_init(&u->changed, s->view.mailbox, 0);
	s->stage = fetch_has(u, FETCH_MODSEQ) ? FETCH_CONDSTORE : FETCH_RUN;
	return RUN_DONE;
}

/* The text of the set may stand elsewhere than when the walk began. */
static void point_set(struct session *s, struct fetch_unit *u)
{
	struct parse p = session_args(s);

	parse_space(&p);
	parse_set(&p, &u->walk.set.text);
}

/* ---- the next message ---- */

static int next_changed(struct session *s, struct fetch_unit *u)
{
	struct imap_server *v = s->server;
	int err = store_cursor_changed(v->parts.store, &u->changed, u->changed_since, &u->entry);

	if (err != OK)
		return err;
	u->number = view_number(v->parts.views, &s->view, u->entry.uid);
	if (!u->number || !view_set_contains(v->parts.views, &s->view, u->walk.set, u->number, u->entry.uid))
		return E_RANGE;
	return OK;
}

static int next_walked(struct session *s, struct fetch_unit *u)
{
	int err = view_walk_next(s->server->parts.views, &s->view, &u->walk, &u->entry, &u->number);

	if (err == E_GONE) {
		u->expunged |= u->needs_body || u->needs_summary;
		return E_RANGE;
	}
	return err == OK && u->has_changed_since && u->entry.modseq <= u->changed_since ? E_RANGE : err;
}

/* ---- the implicit \Seen (RFC 3501 section 6.4.5) ---- */

/* A CONDSTORE session: one synced change for many messages, of which it hears
 * at the end, MODSEQ and all. RUN_DONE or a step. */
static int flush_seen(struct session *s, struct fetch_unit *u)
{
	struct store_flag_change change = { .op = STORE_FLAGS_ADD, .flags = STORE_SEEN };
	uint64_t modseq;
	int err = OK;

	if (u->n_seen) {
		err = store_flags(s->server->parts.store, s->view.mailbox, u->seen, u->n_seen, &change, &modseq,
			&s->ticket);
		if (err == E_AGAIN)
			return STEP_COMMIT;
		u->n_seen = 0;
	}
	if (err == OK && s->ticket)
		err = session_wait(s);
	/* a store that takes no change can still be read */
	if (err != OK && err != E_AGAIN)
		log_debug("imap %u: \\Seen is not set: %s", (unsigned)conn_number(s->conn), err_text(err));
	return err == E_AGAIN ? STEP_COMMIT : RUN_DONE;
}

static int queue_seen(struct session *s, struct fetch_unit *u)
{
	bool full = u->n_seen == STORE_UIDS || (u->n_seen && u->seen[u->n_seen - 1] >= u->entry.uid);

	if ((full || s->ticket) && flush_seen(s, u) != RUN_DONE)
		return E_AGAIN;
	u->seen[u->n_seen++] = u->entry.uid;
	return OK;
}

/* A plain session: done at once, and told in the same line. */
static int set_seen(struct session *s, struct fetch_unit *u)
{
	struct imap_server *v = s->server;
	struct store_flag_change change = { .op = STORE_FLAGS_ADD, .flags = STORE_SEEN, .lazy = true };
	int err = OK;

	if (!u->sets_seen || (u->entry.flags & STORE_SEEN))
		return OK;
	if (s->condstore)
		return queue_seen(s, u);
	if (!u->seen_now)
		err = store_flags(v->parts.store, s->view.mailbox, &u->entry.uid, 1, &change, &u->seen_modseq,
			&s->ticket);
	u->seen_now = err == OK;
	if (err == OK && s->ticket)
		err = session_wait(s);
	if (err == E_AGAIN)
		return err;
	if (err != OK) {
		log_debug("imap %u: \\Seen is not set: %s", (unsigned)conn_number(s->conn), err_text(err));
		u->seen_now = false;
		return OK;
	}
	view_own_change(v->parts.views, &s->view, u->seen_modseq);
	return store_entry_get(v->parts.store, s->view.mailbox, u->entry.uid, &u->entry) == OK ? OK : E_GONE;
}

/* Everything that may fail is done before the line begins. E_RANGE: no line. */
static int prepare(struct session *s, struct fetch_unit *u)
{
	int err;

	u->no_summary = false;
	if (u->needs_summary) {
		err = fetch_summary(s, u);
		if (err == E_GONE || err == E_NOENT) {
			u->expunged = true;
			return E_RANGE;
		}
		u->no_summary = err != OK;
		if (err != OK && !u->damaged_uid)
			u->damaged_uid = u->entry.uid;
	}
	err = set_seen(s, u);
	if (err == E_GONE) {
		u->expunged = true;
		return E_RANGE;
	}
	return err;
}

/* ---- items ---- */

static void put_separator(struct fetch_unit *u, struct buf *out)
{
	if (!u->first)
		buf_putc(out, ' ');
	u->first = false;
}

static void put_small_item(struct session *s, struct fetch_unit *u, enum fetch_kind kind, struct buf *out)
{
	const struct store_entry *e = &u->entry;

	put_separator(u, out);
	switch (kind) {
	case FETCH_UID:
		buf_puts(out, "UID ");
		buf_put_number(out, e->uid);
		break;
	case FETCH_MODSEQ:
		buf_puts(out, "MODSEQ (");
		buf_put_number(out, e->modseq);
		buf_putc(out, ')');
		break;
	case FETCH_INTERNALDATE:
		buf_puts(out, "INTERNALDATE ");
		reply_date(out, e->received, e->zone);
		break;
	case FETCH_SAVEDATE:
		buf_puts(out, "SAVEDATE ");
		reply_date(out, e->saved, 0);
		break;
	case FETCH_SIZE:
		buf_puts(out, "RFC822.SIZE ");
		buf_put_number(out, e->size);
		break;
	case FETCH_EMAILID:
		buf_puts(out, "EMAILID (");
		reply_email_id(out, s->server->parts.store, e->object);
		buf_putc(out, ')');
		break;
	default:
		buf_puts(out, "THREADID NIL");
		break;
	}
}

static enum emit emit_flags(struct session *s, struct fetch_unit *u, struct buf *out)
{
	if (u->flag_at == 0) {
		if (buf_space(out) < ITEM_ROOM)
			return EMIT_FULL;
		put_separator(u, out);
	}
	return session_put_flags(s, out, &u->entry, &u->flag_at) ? EMIT_DONE : EMIT_FULL;
}

static enum emit emit_structure(struct session *s, struct fetch_unit *u, enum fetch_kind kind, struct buf *out)
{
	static const char *const names[] = { "ENVELOPE ", "BODY ", "BODYSTRUCTURE " };
	unsigned i = (unsigned)(kind - FETCH_ENVELOPE);

	if (u->no_summary)
		return EMIT_DONE;
	if (u->part == 0) {
		if (buf_space(out) < ITEM_ROOM)
			return EMIT_FULL;
		put_separator(u, out);
		buf_puts(out, names[i]);
		structure_begin(&u->structure, (enum structure_item)(STRUCTURE_ENVELOPE + i));
		u->part = 1;
	}
	if (fetch_summary(s, u) != OK)
		return EMIT_BROKEN;
	return structure_render(&u->structure, &s->server->opened, out) ? EMIT_DONE : EMIT_FULL;
}

static enum emit emit_item(struct session *s, struct fetch_unit *u, struct buf *out)
{
	const struct fetch_item *item = &u->items[u->item];

	if (item->kind >= FETCH_SECTION)
		return section_emit(s, u, item, out);
	if (item->kind >= FETCH_ENVELOPE)
		return emit_structure(s, u, (enum fetch_kind)item->kind, out);
	if (item->kind == FETCH_FLAGS)
		return emit_flags(s, u, out);
	if (buf_space(out) < ITEM_ROOM)
		return EMIT_FULL;
	put_small_item(s, u, (enum fetch_kind)item->kind, out);
	return EMIT_DONE;
}

/* The line of the current message, as far as it goes. */
static enum emit emit_line(struct session *s, struct fetch_unit *u, struct buf *out)
{
	bool flags_too = u->seen_now && !s->condstore && !fetch_has(u, FETCH_FLAGS);
	enum emit result;

	for (; u->item < u->n_items; u->item++) {
		result = emit_item(s, u, out);
		if (result != EMIT_DONE)
			return result;
		u->part = 0;
		u->flag_at = 0;
	}
	/* its \Seen is new: RFC 3501 section 6.4.5 */
	if (flags_too && u->item == u->n_items) {
		result = emit_flags(s, u, out);
		if (result != EMIT_DONE)
			return result;
		u->item++;
	}
	if (buf_space(out) < 3)
		return EMIT_FULL;
	buf_puts(out, ")\r\n");
	return EMIT_DONE;
}

/* ---- running ---- */

/* Its bytes stay for this session, whoever removes it: a literal whose length is
 * out must be finished. */
static void pin(struct session *s, struct fetch_unit *u)
{
	if (u->needs_body && store_pin(s->server->parts.store, u->entry.object) == OK)
		s->pinned = u->entry.object;
}

static void unpin(struct session *s)
{
	if (s->pinned)
		store_unpin(s->server->parts.store, s->pinned);
	s->pinned = 0;
}

void end_fetch(struct session *s)
{
	unpin(s);
}

static void begin_line(struct session *s, struct fetch_unit *u, struct buf *out)
{
	pin(s, u);
	buf_puts(out, "* ");
	buf_put_number(out, u->number);
	buf_puts(out, " FETCH (");
	s->in_line = true;
	u->first = true;
	u->item = u->part = u->flag_at = 0;
	u->step = FETCH_ITEM;
}

/* Finds the next message: OK, E_NOENT at the end, E_RANGE for one that is left
 * out, E_AGAIN after a slice. */
static int next_message(struct session *s, struct fetch_unit *u)
{
	int err = u->by_change ? next_changed(s, u) : next_walked(s, u);

	if (err == OK) {
		u->seen_now = false;
		u->step = FETCH_LINE;
	}
	return err;
}

static int answer(struct session *s, struct fetch_unit *u)
{
	if (u->damaged_uid) {
		log_error("imap %u: message UID %u of mailbox %u is damaged on flash", (unsigned)conn_number(s->conn),
			(unsigned)u->damaged_uid, (unsigned)s->view.mailbox);
		return session_answer(s, ANSWER_NO, NULL);
	}
	if (u->expunged)
		return session_no(s, "[EXPUNGEISSUED] Some of the messages are no more");
	return session_ok(s, "Fetched");
}

bool finish_fetch(struct session *s, struct buf *out)
{
	struct fetch_unit *u = s->unit;

	if (buf_space(out) < REPLY_ROOM)
		return false;
	buf_put(out, s->tag, s->tag_len);
	buf_printf(out, " NO [SERVERBUG] Message UID %u can't be read whole, it is damaged on the server's disk\r\n",
		(unsigned)u->damaged_uid);
	return true;
}

/* One message, or what is left of one. RUN_DONE: go on with the next. */
static int run_message(struct session *s, struct fetch_unit *u, struct conn *c, int *err)
{
	struct buf *out = conn_output(c);

	if (u->step == FETCH_LINE) {
		if (buf_space(out) < ITEM_ROOM)
			return STEP_OUTPUT;
		if (s->condstore && session_durable(s) == E_AGAIN)
			return STEP_COMMIT;
		*err = prepare(s, u);
		if (*err == E_AGAIN)
			return STEP_COMMIT;
		if (*err == E_RANGE) {
			u->step = FETCH_NEXT;
			return RUN_DONE;
		}
		begin_line(s, u, out);
	}
	switch (emit_line(s, u, out)) {
	case EMIT_FULL:
		return STEP_OUTPUT;
	case EMIT_AGAIN:
		return STEP_AGAIN;
	case EMIT_BROKEN:
		log_error("imap %u: message UID %u can't be read on, the connection is closed",
			(unsigned)conn_number(c), (unsigned)u->entry.uid);
		return session_bye(s, NULL);
	default:
		unpin(s);
		s->in_line = false;
		u->step = FETCH_NEXT;
		return RUN_DONE;
	}
}

static int run_messages(struct session *s, struct fetch_unit *u, struct conn *c)
{
	point_set(s, u);
	for (unsigned n = 0; n < LIMIT_SLICE_ENTRIES; n++) {
		int step, err = OK;

		if (u->step == FETCH_NEXT) {
			if (fetch_has(u, FETCH_MODSEQ) && session_durable(s) == E_READONLY)
				return session_error(s, E_READONLY);
			err = next_message(s, u);
			if (err == E_NOENT)
				return flush_seen(s, u) == RUN_DONE ? answer(s, u) : STEP_COMMIT;
			if (err == E_RANGE)
				continue;
			if (err == E_AGAIN)
				return STEP_AGAIN;
			if (err != OK)
				return session_error(s, err);
		}
		step = run_message(s, u, c, &err);
		if (step != RUN_DONE || s->phase == SESSION_BYE)
			return step;
	}
	return STEP_AGAIN;
}

int cmd_fetch(struct session *s, struct conn *c)
{
	struct fetch_unit *u = session_unit(s);
	int step;

	if (!u)
		return session_crowded(s);
	if (s->stage == FETCH_READ) {
		step = read_fetch(s, u);
		if (s->stage == FETCH_READ)
			return step;
	}
	if (s->stage == FETCH_CONDSTORE) {
		step = session_condstore(s, c);
		if (step != RUN_DONE)
			return step;
		/* FLAGS must now come with MODSEQ and UID */
		if (!complete_items(s, u))
			return session_no(s, "[LIMIT] That is too much for one FETCH");
		s->stage = FETCH_RUN;
	}
	return run_messages(s, u, c);
}
