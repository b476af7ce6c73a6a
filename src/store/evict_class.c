/* What may go: classes of messages, and what guards them. */
#include "store/store_int.h"

#include <string.h>

/* \Deleted has to stand for so long, seconds of box time. */
#define DELETED_SECONDS 86400u

const char *store_class_name(enum store_class c)
{
	static const char *const names[] = { "deleted", "junk", "trash", "ring", "seen", "unseen", "sent", "archive",
		"rule" };

	return names[c];
}

const char *store_kept_name(enum store_kept k)
{
	static const char *const names[] = { "goes", "flagged", "$Keep", "draft", "keep", "new", "young", "class",
		"shared", "share", "busy" };

	return names[k];
}

struct evict_time evict_time_now(const struct store *st)
{
	return (struct evict_time){ store_box_time(st), super_lsn_before(st, DELETED_SECONDS) };
}

bool evict_mailbox_busy(const struct store *st, uint32_t mailbox)
{
	for (unsigned i = 0; i < COPIES; i++)
		if (st->copies[i].mailbox && (st->copies[i].mailbox == mailbox || st->copies[i].source == mailbox))
			return true;
	return false;
}

/* ---- rules ---- */

/* Same name; INBOX in any case. */
static bool same_name(struct bytes rule, struct bytes name)
{
	const size_t inbox = 5;

	if (rule.len != name.len)
		return false;
	if (rule.len >= inbox && bytes_starts_nocase(rule, "INBOX") && bytes_starts_nocase(name, "INBOX") &&
		(rule.len == inbox || rule.data[inbox] == '/'))
		return memcmp(rule.data + inbox, name.data + inbox, rule.len - inbox) == 0;
	return memcmp(rule.data, name.data, rule.len) == 0;
}

/* Takes the rules of just this name; true when there are some. */
static bool take_rules(const struct store *st, struct bytes name, struct evict_kind *out)
{
	const struct store_evict_config *c = &st->evict.config;
	bool any = false;

	for (size_t i = 0; i < c->rules_n; i++) {
		const struct store_rule *r = &c->rules[i];

		if (!same_name(bytes_of(r->mailbox), name))
			continue;
		any = true;
		switch (r->kind) {
		case STORE_RULE_AGE:
			out->age = r->value;
			break;
		case STORE_RULE_COUNT:
			out->count = r->value;
			break;
		case STORE_RULE_BYTES:
			out->bytes = r->value;
			break;
		case STORE_RULE_KEEP:
			out->keep = true;
		}
	}
	return any;
}

/* The rules of the mailbox, or of the nearest one above it that has any. */
static int find_rules(struct store *st, uint32_t mailbox, struct evict_kind *out)
{
	char name[LIMIT_MAILBOX_NAME];
	int len;

	if (st->evict.config.rules_n == 0)
		return OK;
	len = store_mailbox_name(st, mailbox, name);
	if (len < 0)
		return len;
	while (len > 0 && !take_rules(st, bytes_make(name, (size_t)len), out)) {
		while (len > 0 && name[len - 1] != '/')
			len--;
		if (len > 0)
			len--;
	}
	return OK;
}

static int find_uses(struct store *st, const struct mailbox *m, uint8_t *uses)
{
	struct mailbox above = *m;

	for (unsigned i = 0; i < LIMIT_MAILBOX_DEPTH && above.uses == 0 && above.parent; i++) {
		int err = mailbox_load(st, above.parent, &above);

		if (err != OK)
			return err;
	}
	*uses = above.uses;
	return OK;
}

int evict_kind_of(struct store *st, const struct mailbox *m, struct evict_kind *out)
{
	int err;

	*out = (struct evict_kind){ .mailbox = m->id,
		.owner = m->owner,
		.keep_bit = LIMIT_KEYWORDS,
		.tally = m->tally };
	out->busy = evict_mailbox_busy(st, m->id);
	err = find_uses(st, m, &out->uses);
	if (err == OK)
		err = find_rules(st, m->id, out);
	out->ring = out->age || out->count || out->bytes;
	if (err == OK && m->keywords) {
		unsigned bit;

		err = store_keyword(st, m->id, bytes_of("$Keep"), false, &bit);
		if (err == OK)
			out->keep_bit = bit;
		if (err == E_NOENT)
			err = OK;
	}
	return err;
}

/* ---- entries ---- */

enum store_kept evict_guard(const struct evict_kind *kind, const struct store_entry *e)
{
	if (kind->busy)
		return STORE_KEPT_BUSY;
	if (kind->keep)
		return STORE_KEPT_RULE;
	if (e->flags & STORE_FLAGGED)
		return STORE_KEPT_FLAGGED;
	if (kind->keep_bit < LIMIT_KEYWORDS && (e->keywords >> kind->keep_bit & 1))
		return STORE_KEPT_KEYWORD;
	if ((kind->uses & STORE_USE_DRAFTS) || (e->flags & STORE_DRAFT))
		return STORE_KEPT_DRAFT;
	return STORE_KEPT_NOT;
}

static unsigned rank_of(const struct store_evict_config *c, enum store_class class)
{
	unsigned i = 0;

	while (i < c->order_n && c->order[i] != class)
		i++;
	return i;
}

static enum store_class class_of(const struct evict_kind *kind, const struct store_entry *e)
{
	if (kind->uses & STORE_USE_JUNK)
		return STORE_CLASS_JUNK;
	if (kind->uses & STORE_USE_TRASH)
		return STORE_CLASS_TRASH;
	if (kind->ring)
		return STORE_CLASS_RING;
	if (kind->uses & STORE_USE_SENT)
		return STORE_CLASS_SENT;
	if (kind->uses & STORE_USE_ARCHIVE)
		return STORE_CLASS_ARCHIVE;
	return e->flags & STORE_SEEN ? STORE_CLASS_SEEN : STORE_CLASS_UNSEEN;
}

enum store_kept evict_judge(const struct store *st, const struct evict_kind *kind, const struct evict_time *time,
	const struct store_entry *e, unsigned *rank)
{
	const struct store_evict_config *c = &st->evict.config;
	enum store_kept kept = evict_guard(kind, e);
	uint64_t age = time->now > e->box_time ? time->now - e->box_time : 0;
	enum store_class class = class_of(kind, e);
	unsigned deleted = rank_of(c, STORE_CLASS_DELETED);

	if (kept != STORE_KEPT_NOT)
		return kept;
	if (age < c->protect && !kind->ring)
		return STORE_KEPT_NEW;
	*rank = rank_of(c, class);
	if ((e->flags & STORE_DELETED) && e->modseq <= time->deleted_before && deleted < *rank) {
		*rank = deleted;
		return STORE_KEPT_NOT;
	}
	if (*rank == c->order_n)
		return STORE_KEPT_CLASS;
	return class == STORE_CLASS_SEEN && age < c->seen_age ? STORE_KEPT_YOUNG : STORE_KEPT_NOT;
}
