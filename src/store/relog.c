/* The catalogue in the log. Records of mailboxes, keywords, subscriptions and users'
 * limits die with their segments; the index has what they made, and as long as there is an
 * index nobody misses them. For the day when it is lost the whole catalogue is
 * logged again before a segment goes that holds the last of it: parts of the
 * form of FORMAT.md section 3, in records that change nothing when they are
 * applied. So it costs its size once for each time that the log turns over. */
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"
#include "store/names.h"

/* Bytes of one part's operations. The longest row of the catalogue, with all of
 * its keywords, takes less than half of it. */
#define PART 12288u

int relog_apply(struct store *st, const struct record *r, const uint8_t *body)
{
	if (body[1])
		st->relog.first = r->lsn;
	if (body[2] && st->relog.first) {
		st->relog.owed = false;
		st->super.catalogue_first = st->relog.first;
		st->super.catalogue_last = r->lsn;
	}
	return OK;
}

/* Whether a row of at most that many bytes still fits. */
static bool fits(const struct buf *out, size_t bytes)
{
	return buf_space(out) >= bytes;
}

static int put_keywords(struct store *st, const struct mailbox *m, struct buf *out)
{
	for (unsigned bit = 0; bit < m->keywords; bit++) {
		char name[LIMIT_KEYWORD_NAME];
		int n = store_keyword_name(st, m->id, bit, name);

		if (n == E_NOENT)
			continue;
		if (n < 0)
			return n;
		(void)buf_putc(out, NAMES_KEYWORD);
		names_put_word(out, m->id);
		(void)buf_putc(out, (uint8_t)bit);
		names_put_name(out, bytes_make(name, (size_t)n));
	}
	return OK;
}

/* Mailboxes from `from` on, as many as fit; *more: others follow. */
static int put_mailboxes(struct store *st, struct key *from, struct buf *out, bool *more)
{
	uint64_t table = tree_key(TREE_MAILBOX, 0, 0).hi;
	uint8_t bytes[MAILBOX_BYTES];
	struct key found;
	struct mailbox m;
	int n, err;

	*more = false;
	while ((n = tree_seek(&st->tree, *from, &found, bytes, sizeof bytes)) >= 0 && found.hi == table) {
		if (!mailbox_get(bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &m))
			return E_DAMAGED;
		if (!fits(out, 20 + m.level_len + m.keywords * (8 + (size_t)LIMIT_KEYWORD_NAME))) {
			*more = true;
			return OK;
		}
		from->lo = found.lo + 1;
		if (m.doomed)
			continue;
		(void)buf_putc(out, NAMES_CREATE);
		names_put_word(out, m.id);
		names_put_word(out, m.owner);
		names_put_word(out, m.parent);
		names_put_word(out, m.uidvalidity);
		(void)buf_putc(out, m.uses);
		names_put_name(out, bytes_make(m.level, m.level_len));
		err = put_keywords(st, &m, out);
		if (err != OK)
			return err;
	}
	return n < 0 && n != E_NOENT && n != E_LIMIT ? n : OK;
}

static int put_subscriptions(struct store *st, struct key *from, struct buf *out, bool *more)
{
	char name[LIMIT_MAILBOX_NAME];
	struct key found;
	int n;

	*more = false;
	while ((n = tree_seek(&st->tree, *from, &found, name, sizeof name)) >= 0 && found.hi >> 56 == TREE_SUBSCRIBED) {
		if (!fits(out, 8 + (size_t)n)) {
			*more = true;
			return OK;
		}
		*from = found;
		from->lo++;
		from->hi += from->lo == 0;
		(void)buf_putc(out, NAMES_SUBSCRIBE);
		names_put_word(out, (uint32_t)found.hi);
		(void)buf_putc(out, 1);
		names_put_name(out, bytes_make(name, (size_t)n));
	}
	return n < 0 && n != E_NOENT && n != E_LIMIT ? n : OK;
}

static int put_quotas(struct store *st, struct key *from, struct buf *out, bool *more)
{
	uint64_t table = tree_key(TREE_QUOTA, 0, 0).hi;
	uint8_t row[QUOTA_BYTES];
	struct key found;
	int n;

	*more = false;
	while ((n = tree_seek(&st->tree, *from, &found, row, sizeof row)) == QUOTA_BYTES && found.hi == table) {
		if (!fits(out, NAMES_QUOTA_BYTES)) {
			*more = true;
			return OK;
		}
		from->lo = found.lo + 1;
		(void)buf_putc(out, NAMES_QUOTA);
		names_put_word(out, (uint32_t)found.lo);
		(void)buf_put(out, row, sizeof row);
	}
	return n < 0 && n != E_NOENT && n != E_LIMIT ? n : OK;
}

static const struct {
	enum tree_table table;
	uint64_t first; /* lowest number in it */
	int (*put)(struct store *st, struct key *from, struct buf *out, bool *more);
} kinds[RELOG_KINDS] = {
	[RELOG_MAILBOXES] = { TREE_MAILBOX, 1, put_mailboxes },
	[RELOG_SUBSCRIPTIONS] = { TREE_SUBSCRIBED, 0, put_subscriptions },
	[RELOG_QUOTAS] = { TREE_QUOTA, 0, put_quotas },
};

static void begin_kind(struct relog *g, enum relog_kind kind)
{
	g->kind = kind;
	g->from = tree_key(kinds[kind].table, 0, kinds[kind].first);
	g->fresh = true;
}

/* Stages the next part. */
static int log_part(struct store *st)
{
	struct relog *g = &st->relog;
	uint8_t *body = log_body(st, RELOG_HEADER + PART);
	uint32_t from = (uint32_t)g->from.lo;
	bool more, last;
	struct buf out;
	int err;

	if (!body)
		return E_AGAIN;
	buf_init(&out, body + RELOG_HEADER, PART);
	err = kinds[g->kind].put(st, &g->from, &out, &more);
	if (err != OK)
		return err;
	last = g->kind + 1 == RELOG_KINDS && !more;
	memset(body, 0, RELOG_HEADER);
	body[0] = (uint8_t)g->kind;
	body[1] = g->first == 0;
	body[2] = last;
	body[3] = g->fresh;
	put_le32(body + 4, from);
	put_le32(body + 8, more ? (uint32_t)g->from.lo - 1 : UINT32_MAX);
	put_le32(body + 12, st->super.next_mailbox);
	put_le32(body + 16, st->super.next_uidvalidity);
	g->last = log_add(st, RECORD_CATALOGUE, RELOG_HEADER + out.len);
	if (g->first == 0)
		g->first = g->last;
	g->fresh = false;
	if (last)
		g->busy = false;
	else if (!more)
		begin_kind(g, g->kind + 1);
	(void)log_wait(st);
	return E_AGAIN;
}

/* Whether a part goes into the open segment, or a new one may be made for it. */
static bool has_room(const struct store *st)
{
	uint64_t part = RECORD_HEADER + RELOG_HEADER + PART + RECORD_BLOCK;

	return (st->log.file >= 0 && st->log.end + part <= st->super.segment_size) ||
		space_has(st, st->super.segment_size, false);
}

int relog_before(struct store *st, const struct segment *going)
{
	const struct super *s = &st->super;
	uint64_t last = s->names_changed > s->catalogue_last ? s->names_changed : s->catalogue_last;

	if (!st->relog.owed && (going->last < s->catalogue_first || going->first > last))
		return OK;
	/* The reserve is not for this: it is done when there is room again. */
	if (!st->relog.busy && !has_room(st)) {
		st->relog.owed = true;
		return OK;
	}
	/* It is the catalogue as it is at the place where it stands in the log. */
	if (!log_wait_idle(st))
		return E_AGAIN;
	if (!st->relog.busy) {
		st->relog = (struct relog){ .busy = true };
		begin_kind(&st->relog, RELOG_MAILBOXES);
	}
	return log_part(st);
}
