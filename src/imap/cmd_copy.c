/* COPY (all or nothing, RFC 3501 section 6.4.7) and MOVE (RFC 6851: message by
 * message), with COPYUID (RFC 4315). */
#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "imap/batch.h"
#include "imap/commands.h"
#include "imap/reply.h"
#include "imap/server.h"

enum copy_stage { COPY_READ, COPY_BEGIN, COPY_GATHER, COPY_ADD, COPY_PUBLISH, COPY_WAIT, COPY_TELL };

/* A COPYUID line with STORE_UIDS lone UIDs of ten digits, and what is around. */
#define COPYUID_ROOM (STORE_UIDS * 11 + 200)
/* One range of it, and what stands behind the last. */
#define SMALL_ROOM 100

/* The set and the target's name. RUN_DONE with the stage moved on, or an answer. */
static int read_copy(struct session *s, struct batch_unit *u)
{
	struct store *st = s->server->parts.store;
	struct parse p = session_args(s);
	uint8_t space[LIMIT_MAILBOX_NAME];
	struct store_mailbox m;
	struct buf name;
	int err;

	if (!batch_read_set(s, &p, u))
		return RUN_DONE;
	buf_init(&name, space, sizeof(space));
	err = parse_space(&p) ? parse_mailbox(&p, &name) : E_SYNTAX;
	if (err == E_SYNTAX || !parse_end(&p))
		return session_bad(s, "This takes a set and the name of a mailbox");
	if (err == OK)
		err = store_mailbox_find(st, s->user, buf_bytes(&name), &u->target);
	if (err == OK)
		err = store_mailbox_get(st, u->target, &m);
	if (err == E_NOENT)
		return session_no(s, "[TRYCREATE] There is no such mailbox");
	if (err != OK)
		return session_error(s, err);
	u->validity = m.uidvalidity;
	s->stage = COPY_BEGIN;
	return RUN_DONE;
}

/* Gathers a batch. RUN_DONE with the stage `next`, or a step. */
static int gather(struct session *s, struct batch_unit *u, uint8_t next)
{
	struct store_entry entry;
	uint32_t number;
	int err;

	if (u->n == 0)
		batch_begin(u);
	while ((err = batch_next(s, u, &entry, &number)) == OK)
		batch_add(u, entry.uid);
	if (err == E_AGAIN)
		return STEP_AGAIN;
	if (err != E_NOENT)
		return session_error(s, err);
	s->stage = next;
	return RUN_DONE;
}

/* The rest of COPYUID, behind the sources: new UIDs are neighbours. */
static void put_targets(struct buf *out, uint32_t first, uint32_t count)
{
	buf_printf(out, " %u", (unsigned)first);
	if (count > 1)
		buf_printf(out, ":%u", (unsigned)(first + count - 1));
	buf_puts(out, "] ");
}

/* ---- COPY ---- */

/* COPYUID walks the set once more, behind the copy: so this session must go on
 * counting what others expunge meanwhile. By UID it is told first of what they
 * have expunged before. */
static int begin_copy(struct session *s, struct batch_unit *u, struct conn *c)
{
	int step = s->uid ? session_tell(s, c, true) : RUN_DONE;
	int err;

	if (step != RUN_DONE || s->phase == SESSION_BYE)
		return step;
	err = store_copy_begin(s->server->parts.store, u->target, &s->u.copy);
	/* another copy into the same mailbox is under way, perhaps a long one */
	if (err == E_AGAIN)
		return session_crowded(s);
	if (err != OK)
		return session_error(s, err);
	u->walk.gone_too = true;
	s->stage = COPY_GATHER;
	return RUN_DONE;
}

/* Somebody may have expunged some since they were gathered: the store passes over
 * them, and COPYUID must name exactly those that it takes. */
static void drop_gone(struct session *s, struct batch_unit *u)
{
	struct store_entry entry;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < u->n; i++)
		if (store_entry_get(s->server->parts.store, s->view.mailbox, u->uids[i], &entry) == OK)
			u->uids[kept++] = u->uids[i];
		else
			batch_gone(s, u, u->uids[i]);
	u->n = kept;
}

static int add_batch(struct session *s, struct batch_unit *u)
{
	size_t added = 0;
	int err = OK;

	drop_gone(s, u);
	if (u->gone)
		return session_no(s, "[EXPUNGEISSUED] Some of the messages are no more, nothing was copied");
	if (u->n)
		err = store_copy_add(s->server->parts.store, &s->u.copy, s->view.mailbox, u->uids, u->n, &added,
			&s->ticket);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	if (err != OK)
		return session_error(s, err);
	assert(added == u->n);
	if (u->n && u->uids[u->n - 1] > u->highest)
		u->highest = u->uids[u->n - 1];
	u->n = 0;
	s->stage = u->last ? COPY_PUBLISH : COPY_GATHER;
	return u->last ? RUN_DONE : STEP_AGAIN;
}

static int publish(struct session *s, struct batch_unit *u)
{
	int err = OK;

	if (s->u.copy.count == 0)
		return session_ok(s, "Nothing was to be copied");
	if (s->stage == COPY_PUBLISH) {
		u->first = s->u.copy.first;
		u->messages = s->u.copy.count;
		err = store_copy_publish(s->server->parts.store, &s->u.copy, &s->ticket);
		if (err == E_AGAIN)
			return STEP_COMMIT;
		if (err != OK)
			return session_error(s, err);
		s->stage = COPY_WAIT;
	}
	if (s->ticket)
		err = session_wait(s);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	if (err != OK)
		return session_error(s, err);
	view_walk_begin(&u->walk, u->walk.set);
	u->walk.gone_too = true;
	u->as_was = s->view;
	s->hold_expunges = !u->too_many;
	return session_ok(s, u->too_many ? "Copied" : NULL);
}

/* The next message that was copied: those that are there now, and those that
 * were when their turn came. Errors of view_walk_next. */
static int next_copied(struct session *s, struct batch_unit *u, uint32_t *uid)
{
	for (unsigned n = 0; n < LIMIT_SLICE_ENTRIES; n++) {
		struct store_entry entry;
		uint32_t number;
		int err = view_walk_next(s->server->parts.views, &u->as_was, &u->walk, &entry, &number);

		*uid = entry.uid;
		if (err == E_GONE)
			err = batch_has(u, entry.uid) ? E_AGAIN : OK;
		if (err != E_AGAIN || !u->walk.in_range)
			return err;
	}
	return E_AGAIN;
}

/* The sources, as far as there is room and the slice goes: OK when all are out.
 * What is written is never kept, so that a set of any length takes no memory;
 * and neighbours write nothing, so that room alone would bound nothing. */
static int put_sources(struct session *s, struct batch_unit *u, struct buf *out)
{
	for (unsigned n = 0; n < LIMIT_SLICE_ENTRIES && buf_space(out) >= SMALL_ROOM; n++) {
		uint32_t uid = 0;
		int err = next_copied(s, u, &uid);

		if (err != OK && err != E_NOENT)
			return err;
		if (err == OK && u->run_first && uid == u->run_last + 1) {
			u->run_last = uid;
			continue;
		}
		if (u->run_first)
			(void)reply_range(out, u->run_first, u->run_last, u->at++ > 0);
		if (err == E_NOENT)
			return OK;
		u->run_first = u->run_last = uid;
	}
	return E_AGAIN;
}

bool finish_copy(struct session *s, struct buf *out)
{
	struct batch_unit *u = s->unit;
	int err;

	if (!s->in_line) {
		if (buf_space(out) < REPLY_ROOM)
			return false;
		u->at = u->run_first = 0;
		buf_put(out, s->tag, s->tag_len);
		buf_printf(out, " OK [COPYUID %u ", (unsigned)u->validity);
		s->in_line = true;
	}
	batch_point(s, u);
	u->as_was.gone = s->view.gone;
	err = put_sources(s, u, out);
	if (err == E_AGAIN)
		return false;
	if (err != OK || s->view.gone) {
		log_warning("imap %u: the list of copied messages breaks off: %s", (unsigned)conn_number(s->conn),
			err_text(err == OK ? E_GONE : err));
		(void)session_bye(s, NULL);
		return true;
	}
	put_targets(out, u->first, u->messages);
	buf_puts(out, "Copied\r\n");
	return true;
}

void end_copy(struct session *s)
{
	if (s->u.copy.open)
		store_copy_abort(s->server->parts.store, &s->u.copy);
}

int cmd_copy(struct session *s, struct conn *c)
{
	struct batch_unit *u = session_unit(s);
	int step = RUN_DONE;

	if (!u)
		return session_crowded(s);
	if (s->stage == COPY_READ) {
		step = read_copy(s, u);
		if (s->stage == COPY_READ)
			return step;
	}
	batch_point(s, u);
	if (s->stage == COPY_BEGIN) {
		step = begin_copy(s, u, c);
		if (s->stage == COPY_BEGIN)
			return step;
	}
	if (s->stage == COPY_GATHER)
		step = gather(s, u, COPY_ADD);
	if (step == RUN_DONE && s->stage == COPY_ADD)
		step = add_batch(s, u);
	if (step == RUN_DONE && s->stage >= COPY_PUBLISH)
		step = publish(s, u);
	return step;
}

/* ---- MOVE ---- */

static int move_batch(struct session *s, struct batch_unit *u)
{
	int err = OK;

	if (s->stage == COPY_ADD)
		drop_gone(s, u);
	if (s->stage == COPY_ADD && u->n) {
		err = store_move(s->server->parts.store, s->view.mailbox, u->target, u->uids, u->n, &u->first,
			&s->ticket);
		if (err == E_AGAIN)
			return STEP_COMMIT;
		if (err != OK)
			return session_error(s, err);
	}
	s->stage = COPY_WAIT;
	if (s->ticket)
		err = session_wait(s);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	if (err != OK)
		return session_error(s, err);
	u->n_ranges = u->range_at = 0;
	for (uint32_t i = 0; i < u->n; i++)
		batch_range(u, u->uids[i]);
	u->messages += u->n;
	s->stage = COPY_TELL;
	return RUN_DONE;
}

/* COPYUID stands before the EXPUNGEs (RFC 6851 section 4.3). By numbers these
 * come only at the end, or the rest of the set would name other messages; and so
 * within one mailbox, or it would name those that were moved already. */
static int tell_batch(struct session *s, struct batch_unit *u, struct conn *c)
{
	struct buf *out = conn_output(c);
	int step = RUN_DONE;

	if (u->n_ranges) {
		if (buf_space(out) < COPYUID_ROOM)
			return STEP_OUTPUT;
		buf_printf(out, "* OK [COPYUID %u ", (unsigned)u->validity);
		(void)batch_put_ranges(u, out);
		put_targets(out, u->first, u->n);
		buf_puts(out, "Moved\r\n");
		u->n_ranges = 0;
	}
	if ((s->uid && u->target != s->view.mailbox) || u->last)
		step = session_tell(s, c, true);
	if (step != RUN_DONE || s->phase == SESSION_BYE)
		return step;
	u->n = 0;
	s->stage = COPY_GATHER;
	if (!u->last)
		return STEP_AGAIN;
	if (u->gone)
		return session_no(s, "[EXPUNGEISSUED] Some of the messages are no more");
	return session_ok(s, s->condstore && u->messages ? NULL : "Moved");
}

bool finish_move(struct session *s, struct buf *out)
{
	return batch_put_modseq(s, out, "Moved");
}

int cmd_move(struct session *s, struct conn *c)
{
	struct batch_unit *u = session_unit(s);
	int step = RUN_DONE;

	if (!u)
		return session_crowded(s);
	if (s->stage == COPY_READ) {
		step = read_copy(s, u);
		if (s->stage == COPY_READ)
			return step;
		if (s->view.read_only)
			return session_no(s, "[READ-ONLY] The mailbox was opened by EXAMINE");
		s->stage = COPY_GATHER;
	}
	batch_point(s, u);
	if (s->stage == COPY_GATHER)
		step = gather(s, u, COPY_ADD);
	if (step == RUN_DONE && (s->stage == COPY_ADD || s->stage == COPY_WAIT))
		step = move_batch(s, u);
	if (step == RUN_DONE && s->stage == COPY_TELL)
		step = tell_batch(s, u, c);
	return step;
}
