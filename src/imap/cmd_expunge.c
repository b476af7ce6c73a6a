/* EXPUNGE, UID EXPUNGE (RFC 4315) and CLOSE. */
#include <string.h>

#include "base/err.h"
#include "imap/batch.h"
#include "imap/commands.h"
#include "imap/server.h"

enum expunge_stage { EXPUNGE_READ, EXPUNGE_GATHER, EXPUNGE_REMOVE, EXPUNGE_WAIT, EXPUNGE_TELL };

/* The next message that could go: of the set, or of the whole mailbox as far as
 * this session knows it. */
static int next(struct session *s, struct batch_unit *u, struct store_entry *entry)
{
	uint32_t number;
	int err;

	if (s->uid)
		return batch_next(s, u, entry, &number);
	if (u->n == STORE_UIDS)
		return E_NOENT;
	err = store_cursor_next(s->server->parts.store, &u->cursor, entry);
	if (err == OK && entry->uid >= u->uidnext)
		err = E_NOENT;
	u->last = err == E_NOENT;
	return err;
}

static int gather(struct session *s, struct batch_unit *u)
{
	if (u->n == 0)
		batch_begin(u);
	for (unsigned visited = 0; visited < LIMIT_SLICE_ENTRIES; visited++) {
		struct store_entry entry;
		int err = next(s, u, &entry);

		if (err == E_NOENT) {
			s->stage = EXPUNGE_REMOVE;
			return RUN_DONE;
		}
		if (err == E_AGAIN)
			return STEP_AGAIN;
		if (err != OK)
			return session_error(s, err);
		if (entry.flags & STORE_DELETED)
			batch_add(u, entry.uid);
	}
	return STEP_AGAIN;
}

static int remove_batch(struct session *s, struct batch_unit *u)
{
	int err = OK;

	if (s->stage == EXPUNGE_REMOVE && u->n) {
		err = store_expunge(s->server->parts.store, u->mailbox, u->uids, u->n, &u->modseq, &s->ticket);
		if (err == E_AGAIN)
			return STEP_COMMIT;
		if (err != OK)
			return session_error(s, err);
	}
	s->stage = EXPUNGE_WAIT;
	if (s->ticket)
		err = session_wait(s);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	if (err != OK)
		return session_error(s, err);
	s->stage = EXPUNGE_TELL;
	return RUN_DONE;
}

static int run(struct session *s, struct batch_unit *u, struct conn *c, const char *text)
{
	int step = RUN_DONE;

	if (s->stage == EXPUNGE_GATHER)
		step = gather(s, u);
	if (step == RUN_DONE && (s->stage == EXPUNGE_REMOVE || s->stage == EXPUNGE_WAIT))
		step = remove_batch(s, u);
	if (step != RUN_DONE || s->stage != EXPUNGE_TELL)
		return step;
	/* between the batches, so that what was removed need not be remembered for this session */
	if (s->state == STATE_SELECTED)
		step = session_tell(s, c, true);
	if (step != RUN_DONE || s->phase == SESSION_BYE)
		return step;
	u->messages += u->n;
	u->n = 0;
	s->stage = EXPUNGE_GATHER;
	if (u->last && u->messages && s->condstore && s->state == STATE_SELECTED)
		text = NULL;
	return u->last ? session_ok(s, text) : STEP_AGAIN;
}

static void begin(struct session *s, struct batch_unit *u)
{
	u->mailbox = s->view.mailbox;
	u->uidnext = s->view.uidnext;
	store_cursor_init(&u->cursor, u->mailbox, 0);
	s->stage = EXPUNGE_GATHER;
}

int cmd_expunge(struct session *s, struct conn *c)
{
	struct batch_unit *u = session_unit(s);

	if (!u)
		return session_crowded(s);
	if (s->stage == EXPUNGE_READ) {
		struct parse p = session_args(s);

		if (s->uid && !batch_read_set(s, &p, u))
			return RUN_DONE;
		if (!parse_end(&p))
			return session_bad(s, s->uid ? "UID EXPUNGE takes a set" : "EXPUNGE takes no arguments");
		if (s->view.read_only)
			return session_no(s, "[READ-ONLY] The mailbox was opened by EXAMINE");
		begin(s, u);
	}
	if (s->uid)
		batch_point(s, u);
	return run(s, u, c, "Expunged");
}

bool finish_expunge(struct session *s, struct buf *out)
{
	return batch_put_modseq(s, out, "Expunged");
}

/* The mailbox is left first: nothing is told of what CLOSE removes, nor a
 * HIGHESTMODSEQ (RFC 7162 section 3.2.8). */
int cmd_close(struct session *s, struct conn *c)
{
	struct batch_unit *u = session_unit(s);

	if (!u)
		return session_crowded(s);
	if (s->stage == EXPUNGE_READ) {
		bool read_only = s->view.read_only || s->view.gone;

		begin(s, u);
		session_unselect(s);
		if (read_only)
			return session_ok(s, "Closed");
	}
	return run(s, u, c, "Closed");
}
