#include "imap/batch.h"

#include <string.h>

#include "base/err.h"
#include "imap/reply.h"
#include "imap/server.h"

bool batch_read_set(struct session *s, struct parse *p, struct batch_unit *u)
{
	struct view_set set;
	struct bytes text;

	if (!parse_space(p) || !parse_set(p, &text) || view_set_parse(text, s->uid, &set) != OK) {
		session_bad(s, "This takes a set of messages first");
		return false;
	}
	if (view_set_check(&s->view, set) != OK) {
		session_bad(s, "There is no message of that number");
		return false;
	}
	view_walk_begin(&u->walk, set);
	return true;
}

void batch_point(struct session *s, struct batch_unit *u)
{
	struct parse p = session_args(s);

	parse_space(&p);
	parse_set(&p, &u->walk.set.text);
}

void batch_begin(struct batch_unit *u)
{
	u->n = u->at = 0;
	u->last = false;
	memset(u->tell, 0, sizeof(u->tell));
}

void batch_gone(const struct session *s, struct batch_unit *u, uint32_t uid)
{
	if (!s->uid)
		u->gone = true;
	/* one that was taken before, by another range of the set, can't be told from it */
	else if (uid <= u->highest)
		u->too_many = true;
	else
		batch_range(u, uid);
}

int batch_next(struct session *s, struct batch_unit *u, struct store_entry *entry, uint32_t *number)
{
	while (u->n < STORE_UIDS) {
		int err;

		u->before = u->walk;
		err = view_walk_next(s->server->parts.views, &s->view, &u->walk, entry, number);
		if (err == E_GONE) {
			batch_gone(s, u, entry->uid);
			continue;
		}
		u->last = err == E_NOENT;
		/* a set like 7,3: the store takes UIDs upwards, the 3 is for the next batch */
		if (err == OK && u->n && entry->uid <= u->uids[u->n - 1]) {
			u->walk = u->before;
			return E_NOENT;
		}
		return err;
	}
	return E_NOENT;
}

void batch_add(struct batch_unit *u, uint32_t uid)
{
	u->uids[u->n++] = uid;
}

bool batch_range(struct batch_unit *u, uint32_t n)
{
	struct uid_range *last = u->n_ranges ? &u->ranges[u->n_ranges - 1] : NULL;

	if (last && n == last->last + 1) {
		last->last = n;
		return true;
	}
	if (u->n_ranges == UNIT_RANGES) {
		u->too_many = true;
		return false;
	}
	u->ranges[u->n_ranges++] = (struct uid_range){ n, n };
	return true;
}

bool batch_has(const struct batch_unit *u, uint32_t n)
{
	for (unsigned i = 0; i < u->n_ranges; i++)
		if (n >= u->ranges[i].first && n <= u->ranges[i].last)
			return true;
	return false;
}

bool batch_put_modseq(struct session *s, struct buf *out, const char *text)
{
	struct imap_server *v = s->server;
	uint64_t modseq = s->view.modseq;
	struct store_mailbox m;

	if (buf_space(out) < REPLY_ROOM)
		return false;
	/* the view's own does not move by expunges */
	if (!view_pending(v->parts.views, &s->view) && store_all_durable(v->parts.store) &&
		store_mailbox_get(v->parts.store, s->view.mailbox, &m) == OK)
		modseq = m.modseq;
	buf_put(out, s->tag, s->tag_len);
	buf_printf(out, " OK [HIGHESTMODSEQ %llu] %s\r\n", (unsigned long long)modseq, text);
	return true;
}

bool batch_put_ranges(struct batch_unit *u, struct buf *out)
{
	for (; u->range_at < u->n_ranges; u->range_at++)
		if (!reply_range(out, u->ranges[u->range_at].first, u->ranges[u->range_at].last, u->range_at > 0))
			return false;
	return true;
}
