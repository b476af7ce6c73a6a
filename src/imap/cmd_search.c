/* SEARCH and UID SEARCH, with ESEARCH (RFC 4731) and MODSEQ (RFC 7162). Hits
 * come upwards and are written as they come, so that no list of them is kept;
 * of an ESEARCH, ALL goes out first, and what is known only at the end follows. */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "imap/commands.h"
#include "imap/reply.h"
#include "imap/search_read.h"
#include "imap/server.h"

enum search_stage { SEARCH_START, SEARCH_READ, SEARCH_CONDSTORE, SEARCH_RUN, SEARCH_LAST };

/* What the end of an ESEARCH line takes at most. */
#define TAIL_ROOM 200

/* ---- reading ---- */

static void give_back(struct search_unit *u)
{
	search_close(u->search);
	u->search = NULL;
}

static int read_search(struct session *s, struct search_unit *u)
{
	struct imap_server *v = s->server;
	struct parse p = session_args(s);
	int64_t now = v->config.wall_time ? v->config.wall_time() : 0;
	int err;

	memset(u, 0, sizeof(*u));
	if (!search_read_options(s, &p, u))
		return RUN_DONE;
	err = search_open(v->parts.searches, &s->view, now, &u->search);
	if (err == OK)
		err = search_read_keys(s, &p, u);
	if (err == OK) {
		u->text = session_text(s, 0, 1).data;
		u->has_modseq = search_has_modseq(u->search);
		s->stage = u->has_modseq ? SEARCH_CONDSTORE : SEARCH_RUN;
		return RUN_DONE;
	}
	give_back(u);
	if (err == E_NOMEM)
		return session_crowded(s);
	return err == E_STATE ? RUN_DONE : session_error(s, err);
}

/* ---- writing ---- */

static bool begin_line(struct session *s, struct search_unit *u, struct buf *out)
{
	if (s->in_line)
		return true;
	if (buf_space(out) < TAIL_ROOM)
		return false;
	if (u->extended) {
		buf_puts(out, "* ESEARCH (TAG ");
		reply_quoted(out, bytes_make(s->tag, s->tag_len));
		buf_puts(out, s->uid ? ") UID" : ")");
	} else {
		buf_puts(out, "* SEARCH");
	}
	s->in_line = true;
	return true;
}

/* The range of ALL that has ended. */
static void put_run(struct search_unit *u, struct buf *out)
{
	if (!u->run_first)
		return;
	if (!u->any_all)
		buf_puts(out, " ALL ");
	reply_range(out, u->run_first, u->run_last, u->any_all);
	u->any_all = true;
	u->run_first = 0;
}

static void count_hit(struct session *s, struct search_unit *u, const struct search_hit *hit, struct buf *out)
{
	uint32_t n = s->uid ? hit->entry.uid : hit->number;

	if (!u->count++) {
		u->min = n;
		u->modseq_min = hit->entry.modseq;
	}
	u->max = n;
	u->modseq_max = hit->entry.modseq;
	if (hit->entry.modseq > u->modseq)
		u->modseq = hit->entry.modseq;
	if (!u->extended) {
		buf_putc(out, ' ');
		buf_put_number(out, n);
	} else if (u->returns & SEARCH_RETURN_ALL) {
		if (u->run_first && n != u->run_last + 1)
			put_run(u, out);
		if (!u->run_first)
			u->run_first = n;
		u->run_last = n;
	}
}

/* RFC 7162 section 3.1.10 with RFC 4731 section 3.2: of all messages named. */
static uint64_t named_modseq(const struct search_unit *u)
{
	if (!u->extended || (u->returns & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT)))
		return u->modseq;
	if (u->returns == SEARCH_RETURN_MIN)
		return u->modseq_min;
	if (u->returns == SEARCH_RETURN_MAX)
		return u->modseq_max;
	return u->modseq_min > u->modseq_max ? u->modseq_min : u->modseq_max;
}

static int finish_line(struct session *s, struct search_unit *u, struct buf *out)
{
	int err = u->has_modseq ? session_durable(s) : OK;

	if (err == E_AGAIN)
		return STEP_COMMIT;
	u->has_modseq &= err == OK;
	if (!begin_line(s, u, out) || buf_space(out) < TAIL_ROOM)
		return STEP_OUTPUT;
	put_run(u, out);
	if (u->count && (u->returns & SEARCH_RETURN_MIN))
		buf_printf(out, " MIN %u", (unsigned)u->min);
	if (u->count && (u->returns & SEARCH_RETURN_MAX))
		buf_printf(out, " MAX %u", (unsigned)u->max);
	if (u->returns & SEARCH_RETURN_COUNT)
		buf_printf(out, " COUNT %u", (unsigned)u->count);
	if (u->count && u->has_modseq)
		buf_printf(out, u->extended ? " MODSEQ %llu" : " (MODSEQ %llu)", (unsigned long long)named_modseq(u));
	buf_puts(out, "\r\n");
	s->in_line = false;
	if (search_unread(u->search)) {
		log_error("imap %u: %u messages of mailbox %u could not be searched", (unsigned)conn_number(s->conn),
			(unsigned)search_unread(u->search), (unsigned)s->view.mailbox);
		return session_ok(s, "Searched, but some messages are damaged on the server's disk");
	}
	return session_ok(s, "Searched");
}

static int run(struct session *s, struct search_unit *u, struct conn *c)
{
	struct buf *out = conn_output(c);

	/* net/conn.c does not move input while a command runs; the program points into it */
	if (session_text(s, 0, 1).data != u->text)
		return session_error(s, E_STATE);
	for (;;) {
		struct search_hit hit;
		int err;

		if (!begin_line(s, u, out) || buf_space(out) < TAIL_ROOM)
			return STEP_OUTPUT;
		err = search_next(u->search, &hit);
		if (err == E_AGAIN)
			return STEP_AGAIN;
		if (err != OK && err != E_NOENT) {
			buf_puts(out, "\r\n");
			s->in_line = false;
			return session_error(s, err);
		}
		if (err == OK)
			count_hit(s, u, &hit, out);
		if (err == E_NOENT || u->returns == SEARCH_RETURN_MIN) {
			s->stage = SEARCH_LAST;
			return RUN_DONE;
		}
	}
}

int cmd_search(struct session *s, struct conn *c)
{
	struct search_unit *u = session_unit(s);
	int step;

	if (!u)
		return session_crowded(s);
	if (s->stage == SEARCH_START) {
		/* the input is parked when this step is over, and stays there */
		s->stage = SEARCH_READ;
		return STEP_AGAIN;
	}
	if (s->stage == SEARCH_READ) {
		step = read_search(s, u);
		if (s->stage == SEARCH_READ)
			return step;
	}
	if (s->stage == SEARCH_CONDSTORE) {
		step = session_condstore(s, c);
		if (step != RUN_DONE)
			return step;
		if (session_durable(s) == E_READONLY)
			return session_error(s, E_READONLY);
		s->stage = SEARCH_RUN;
	}
	if (s->stage == SEARCH_RUN) {
		step = run(s, u, c);
		if (s->stage == SEARCH_RUN)
			return step;
	}
	return finish_line(s, u, conn_output(c));
}

void end_search(struct session *s)
{
	struct search_unit *u = s->unit;

	if (u)
		give_back(u);
}
