/* COPY (all or nothing, RFC 3501 section 6.4.7) and MOVE (RFC 6851: message by
 * message), with COPYUID (RFC 4315). */
#include <string.h>

#include "base/err.h"
#include "imap/batch.h"
#include "imap/commands.h"
#include "imap/server.h"

enum copy_stage { COPY_READ, COPY_BEGIN, COPY_GATHER, COPY_ADD, COPY_PUBLISH, COPY_WAIT, COPY_TELL };

/* A COPYUID line with STORE_UIDS lone UIDs of ten digits, and what is around. */
#define COPYUID_ROOM (STORE_UIDS * 11 + 200)

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

/* " [COPYUID validity source target]" in as many pieces as it takes: true when
 * it is out. */
static bool put_copyuid(struct session *s, struct batch_unit *u, struct buf *out, uint32_t first, uint32_t count)
{
	if (u->range_at == 0) {
		buf_printf(out, " OK [COPYUID %u ", (unsigned)u->validity);
		s->in_line = true;
	}
	if (!batch_put_ranges(u, out) || buf_space(out) < 100)
		return false;
	buf_printf(out, " %u", (unsigned)first);
	if (count > 1)
		buf_printf(out, ":%u", (unsigned)(first + count - 1));
	buf_puts(out, "] ");
	return true;
}

/* ---- COPY ---- */

static int begin_copy(struct session *s, struct batch_unit *u)
{
	int err = store_copy_begin(s->server->parts.store, u->target, &s->u.copy);

	/* another copy into the same mailbox is under way, perhaps a long one */
	if (err == E_AGAIN)
		return session_crowded(s);
	if (err != OK)
		return session_error(s, err);
	s->stage = COPY_GATHER;
	return RUN_DONE;
}

static int add_batch(struct session *s, struct batch_unit *u)
{
	size_t added = 0;
	int err = OK;

	if (u->gone)
		return session_no(s, "[EXPUNGEISSUED] Some of the messages are no more, nothing was copied");
	if (u->n)
		err = store_copy_add(s->server->parts.store, &s->u.copy, s->view.mailbox, u->uids, u->n, &added,
			&s->ticket);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	if (err != OK)
		return session_error(s, err);
	/* one that went just now can't be told from the others */
	u->too_many |= added != u->n;
	for (uint32_t i = 0; i < u->n && !u->too_many; i++)
		batch_range(u, u->uids[i]);
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
	return session_ok(s, u->too_many ? "Copied" : NULL);
}

bool finish_copy(struct session *s, struct buf *out)
{
	struct batch_unit *u = s->unit;

	if (buf_space(out) < REPLY_ROOM)
		return false;
	if (u->range_at == 0)
		buf_put(out, s->tag, s->tag_len);
	if (!put_copyuid(s, u, out, u->first, u->messages))
		return false;
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

	(void)c;
	if (!u)
		return session_crowded(s);
	if (s->stage == COPY_READ) {
		step = read_copy(s, u);
		if (s->stage == COPY_READ)
			return step;
	}
	batch_point(s, u);
	if (s->stage == COPY_BEGIN) {
		step = begin_copy(s, u);
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

/* Somebody may have expunged some since they were gathered: the store passes over
 * them, and COPYUID must name exactly those that it moves. */
static void drop_gone(struct session *s, struct batch_unit *u)
{
	struct store_entry entry;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < u->n; i++)
		if (store_entry_get(s->server->parts.store, s->view.mailbox, u->uids[i], &entry) == OK)
			u->uids[kept++] = u->uids[i];
	u->gone |= kept < u->n && !s->uid;
	u->n = kept;
}

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
		buf_putc(out, '*');
		put_copyuid(s, u, out, u->first, u->n);
		buf_puts(out, "Moved\r\n");
		s->in_line = false;
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
	return u->gone ? session_no(s, "[EXPUNGEISSUED] Some of the messages are no more") : session_ok(s, "Moved");
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
