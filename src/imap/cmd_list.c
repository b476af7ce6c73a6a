/* LIST and LSUB, with LIST-EXTENDED (RFC 5258), CHILDREN (RFC 3348),
 * SPECIAL-USE (RFC 6154) and LIST-STATUS (RFC 5819). Two ways to walk: through
 * the tree of mailboxes, or, where only subscribed names are asked for, through
 * the subscriptions, which may name mailboxes that are no more. */
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "imap/commands.h"
#include "imap/list_match.h"
#include "imap/reply.h"
#include "imap/server.h"
#include "imap/status.h"
#include "mail/mutf7.h"

enum { SELECT_SUBSCRIBED = 1, SELECT_SPECIAL = 2, SELECT_RECURSIVE = 4, SELECT_REMOTE = 8 };
enum { RETURN_SUBSCRIBED = 1, RETURN_CHILDREN = 2, RETURN_SPECIAL = 4, RETURN_STATUS = 8 };
enum list_stage { LIST_READ, LIST_ROOT, LIST_TREE, LIST_SUBSCRIPTIONS };

/* ---- reading the command ---- */

struct option {
	const char *name;
	uint8_t bit;
};

static const struct option select_options[] = {
	{"SUBSCRIBED", SELECT_SUBSCRIBED},
	{"SPECIAL-USE", SELECT_SPECIAL},
	{"RECURSIVEMATCH", SELECT_RECURSIVE},
	{"REMOTE", SELECT_REMOTE},
	{NULL, 0},
};
static const struct option return_options[] = {
	{"SUBSCRIBED", RETURN_SUBSCRIBED},
	{"CHILDREN", RETURN_CHILDREN},
	{"SPECIAL-USE", RETURN_SPECIAL},
	{"STATUS", RETURN_STATUS},
	{NULL, 0},
};

/* A list of options in brackets. */
static bool read_options(struct parse *p, const struct option *options, uint8_t *bits, uint16_t *status)
{
	if (!parse_char(p, '('))
		return false;
	parse_space(p);
	while (!parse_char(p, ')')) {
		const struct option *o = options;

		while (o->name && !parse_keyword(p, o->name))
			o++;
		if (!o->name)
			return false;
		*bits |= o->bit;
		if (o->bit == RETURN_STATUS && options == return_options &&
			(!parse_space(p) || !status_read(p, status)))
			return false;
		parse_space(p);
	}
	return true;
}

/* How deep the tree must be walked for it. */
static void note_depth(struct list_unit *u, struct bytes pattern)
{
	unsigned depth = 1;

	for (size_t i = 0; i < pattern.len; i++) {
		if (pattern.data[i] == '*')
			depth = LIMIT_MAILBOX_DEPTH;
		depth += pattern.data[i] == '/';
	}
	if (depth > LIMIT_MAILBOX_DEPTH)
		depth = LIMIT_MAILBOX_DEPTH;
	if (depth > u->depth_max)
		u->depth_max = (uint8_t)depth;
}

/* Reference and pattern together, as UTF-8. A pattern that is no modified UTF-7
 * is kept as it stands: it matches nothing. False when the space is used up. */
static bool add_pattern(struct list_unit *u, struct bytes reference, struct bytes pattern)
{
	uint8_t space[2 * LIMIT_MAILBOX_NAME];
	struct buf joined, out;
	struct bytes wire;

	buf_init(&joined, space, sizeof(space));
	if (u->n_patterns == LIST_PATTERNS || !buf_putb(&joined, reference) || !buf_putb(&joined, pattern))
		return false;
	wire = buf_bytes(&joined);
	buf_init(&out, u->patterns + u->patterns_used, LIST_PATTERN_BYTES - u->patterns_used);
	if (mutf7_to_utf8(wire, &out) != OK && !buf_putb(&out, wire))
		return false;
	note_depth(u, buf_bytes(&out));
	u->pattern_len[u->n_patterns++] = (uint16_t)out.len;
	u->patterns_used = (uint16_t)(u->patterns_used + out.len);
	return true;
}

enum read { READ_FINE, READ_WRONG, READ_TOO_MUCH };

static enum read read_patterns(struct list_unit *u, struct parse *p, struct bytes reference, bool *root)
{
	uint8_t space[2 * LIMIT_MAILBOX_NAME];
	bool list = !u->lsub && parse_char(p, '(');

	*root = false;
	do {
		struct buf scratch;
		struct bytes pattern;

		buf_init(&scratch, space, sizeof(space));
		if (!parse_list_mailbox(p, &scratch, &pattern))
			return READ_WRONG;
		*root |= pattern.len == 0 && !list;
		/* RFC 5258 section 3: an empty one among others matches nothing */
		if (pattern.len && !add_pattern(u, reference, pattern))
			return READ_TOO_MUCH;
	} while (list && parse_space(p));
	return !list || parse_char(p, ')') ? READ_FINE : READ_WRONG;
}

static enum read read_list(struct list_unit *u, struct parse *p, bool *root)
{
	uint8_t space[LIMIT_MAILBOX_NAME];
	struct buf scratch;
	struct bytes reference;
	enum read result;
	bool extended;

	buf_init(&scratch, space, sizeof(space));
	if (!parse_space(p))
		return READ_WRONG;
	extended = !u->lsub && parse_peek(p) == '(';
	if (extended && (!read_options(p, select_options, &u->select, NULL) || !parse_space(p)))
		return READ_WRONG;
	if (!parse_astring(p, &scratch, &reference) || !parse_space(p))
		return READ_WRONG;
	result = read_patterns(u, p, reference, root);
	if (result != READ_FINE)
		return result;
	if (!u->lsub && parse_space(p) && p->at < p->text.len) {
		if (!parse_keyword(p, "RETURN") || !parse_space(p) ||
			!read_options(p, return_options, &u->returns, &u->status))
			return READ_WRONG;
		extended = true;
	}
	/* RFC 5258 section 3: to an extended LIST the empty name is nothing special */
	*root &= !extended;
	return parse_end(p) ? READ_FINE : READ_WRONG;
}

/* ---- one line ---- */

static bool matches(const struct list_unit *u, struct bytes name)
{
	const uint8_t *pattern = u->patterns;

	for (unsigned i = 0; i < u->n_patterns; pattern += u->pattern_len[i++])
		if (list_match(bytes_make(pattern, u->pattern_len[i]), name))
			return true;
	return false;
}

/* LSUB's only pattern asks for levels of hierarchy, too (RFC 3501 6.3.8, 6.3.9). */
static bool wants_levels(const struct list_unit *u)
{
	return u->patterns_used && u->patterns[u->patterns_used - 1] == '%';
}

struct line {
	struct bytes name;
	const struct store_mailbox *mailbox; /* NULL: there is none of this name */
	bool subscribed;
	bool subscribed_below;               /* what RECURSIVEMATCH wants to know */
};

static void put_attribute(struct buf *out, const char *name)
{
	if (out->data[out->len - 1] != '(')
		buf_putc(out, ' ');
	buf_puts(out, name);
}

static void put_attributes(const struct list_unit *u, struct buf *out, const struct line *line)
{
	if (u->lsub) {
		/* not subscribed itself: stands for what is below it (RFC 3501 6.3.9) */
		if (!line->subscribed)
			put_attribute(out, "\\Noselect");
		return;
	}
	if (!line->mailbox) {
		put_attribute(out, "\\NonExistent"); /* implies \Noselect, and only one of them may stand */
	} else {
		put_attribute(out, line->mailbox->has_children ? "\\HasChildren" : "\\HasNoChildren");
		for (unsigned use = 1; use <= STORE_USE_ARCHIVE; use <<= 1)
			if (line->mailbox->uses & use)
				put_attribute(out, reply_use((uint8_t)use));
	}
	if (line->subscribed)
		put_attribute(out, "\\Subscribed");
}

static void put_line(const struct list_unit *u, struct buf *out, const struct line *line)
{
	buf_puts(out, u->lsub ? "* LSUB (" : "* LIST (");
	put_attributes(u, out, line);
	buf_puts(out, ") \"/\" ");
	reply_mailbox(out, line->name);
	if (line->subscribed_below)
		buf_puts(out, " (\"CHILDINFO\" (\"SUBSCRIBED\"))");
	buf_puts(out, "\r\n");
}

/* A STATUS line follows the LIST line of a mailbox that can be selected and
 * that is not only there for what is below it (RFC 5819 section 3). */
static void want_status(struct list_unit *u, const struct line *line)
{
	if (!(u->returns & RETURN_STATUS) || !line->mailbox || (!line->subscribed && line->subscribed_below))
		return;
	u->counting = true;
	u->current = line->mailbox->id;
}

static int put_status(struct session *s, struct list_unit *u, struct conn *c)
{
	char name[LIMIT_MAILBOX_NAME];
	int len;

	if (u->status & STATUS_HIGHESTMODSEQ) {
		int err = session_durable(s);

		if (err == E_AGAIN)
			return STEP_COMMIT;
		if (err != OK)
			u->status &= (uint16_t)~STATUS_HIGHESTMODSEQ;
	}
	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	len = store_mailbox_name(s->server->parts.store, u->current, name);
	if (len > 0)
		status_put(s, conn_output(c), u->current, bytes_make(name, (size_t)len), u->status);
	u->counting = false;
	return RUN_DONE;
}

/* ---- through the tree ---- */

static void list_mailbox(struct session *s, struct list_unit *u, struct buf *out, uint32_t id)
{
	struct store *st = s->server->parts.store;
	struct store_mailbox m;
	struct line line = { .mailbox = &m };
	int len = store_mailbox_name(st, id, u->name);

	/* deleted since the walk came to it */
	if (len <= 0 || store_mailbox_get(st, id, &m) != OK)
		return;
	if (m.has_children && u->depth < u->depth_max)
		u->stack[u->depth++] = (struct list_level){ id, 0 };
	line.name = bytes_make(u->name, (size_t)len);
	if (((u->select & SELECT_SPECIAL) && !m.uses) || !matches(u, line.name))
		return;
	line.subscribed = (u->returns & RETURN_SUBSCRIBED) && store_subscribed(st, s->user, line.name);
	put_line(u, out, &line);
	want_status(u, &line);
}

static int list_tree(struct session *s, struct list_unit *u, struct conn *c)
{
	for (unsigned n = 0; n < LIMIT_SLICE_ENTRIES; n++) {
		struct list_level *top;
		uint32_t id;
		int err;

		if (u->counting) {
			int step = put_status(s, u, c);

			if (step != RUN_DONE)
				return step;
		}
		if (u->depth == 0)
			return session_ok(s, "Listed");
		if (!session_room(c, REPLY_ROOM))
			return STEP_OUTPUT;
		top = &u->stack[u->depth - 1];
		err = store_mailbox_child(s->server->parts.store, s->user, top->mailbox, &top->cursor, &id);
		if (err == OK)
			list_mailbox(s, u, conn_output(c), id);
		else if (err == E_NOENT)
			u->depth--;
		else
			return session_error(s, err);
	}
	return STEP_AGAIN;
}

/* ---- through the subscriptions ---- */

static bool is_below(struct bytes name, struct bytes parent)
{
	return name.len > parent.len && name.data[parent.len] == '/' &&
		bytes_equal(bytes_part(name, 0, parent.len), parent);
}

/* Whether something below `parent` is subscribed; with `before`, among the
 * names that come before that one in the walk. Counts what it looks at. */
static bool subscribed_below(struct session *s, struct bytes parent, const struct bytes *before, unsigned *looked)
{
	char name[LIMIT_MAILBOX_NAME];
	uint64_t cursor = 0;
	int len;

	while ((len = store_subscription(s->server->parts.store, s->user, &cursor, name)) >= 0) {
		struct bytes other = bytes_make(name, (size_t)len);

		++*looked;
		if (before && bytes_equal(other, *before))
			return false;
		if (is_below(other, parent))
			return true;
	}
	return false;
}

/* The n-th name to look at of a subscription: itself, then its parent, and so
 * on; empty at the end. */
static struct bytes ancestor(struct bytes name, unsigned n)
{
	while (n-- > 0) {
		while (name.len && name.data[name.len - 1] != '/')
			name.len--;
		if (name.len)
			name.len--;
	}
	return name;
}

static void list_name(struct session *s, struct list_unit *u, struct buf *out, struct bytes name, unsigned *looked)
{
	struct store *st = s->server->parts.store;
	struct bytes whole = bytes_make(u->name, u->name_len);
	struct line line = { .name = name, .subscribed = name.len == whole.len };
	struct store_mailbox m;
	uint32_t id;

	if (!matches(u, name))
		return;
	if (!line.subscribed) {
		/* each parent once: with the first name below it, and not when it is subscribed itself */
		if ((u->lsub && (!wants_levels(u) || matches(u, whole))) || store_subscribed(st, s->user, name) ||
			subscribed_below(s, name, &whole, looked))
			return;
	}
	if (store_mailbox_find(st, s->user, name, &id) == OK && store_mailbox_get(st, id, &m) == OK)
		line.mailbox = &m;
	if ((u->select & SELECT_SPECIAL) && (!line.mailbox || !m.uses))
		return;
	if (u->select & SELECT_RECURSIVE)
		line.subscribed_below = !line.subscribed || subscribed_below(s, name, NULL, looked);
	put_line(u, out, &line);
	want_status(u, &line);
}

static int list_subscriptions(struct session *s, struct list_unit *u, struct conn *c)
{
	bool parents = u->lsub || (u->select & SELECT_RECURSIVE);

	for (unsigned n = 0; n < LIMIT_SLICE_ENTRIES; n++) {
		struct bytes name;

		if (u->counting) {
			int step = put_status(s, u, c);

			if (step != RUN_DONE)
				return step;
		}
		if (!u->has_name) {
			int len = store_subscription(s->server->parts.store, s->user, &u->subscription, u->name);

			if (len < 0)
				return len == E_NOENT ? session_ok(s, "Listed") : session_error(s, len);
			u->name_len = (uint16_t)len;
			u->ancestor = 0;
			u->has_name = true;
		}
		if (!session_room(c, REPLY_ROOM))
			return STEP_OUTPUT;
		name = ancestor(bytes_make(u->name, u->name_len), u->ancestor++);
		if (name.len)
			list_name(s, u, conn_output(c), name, &n);
		u->has_name = name.len > 0 && parents;
	}
	return STEP_AGAIN;
}

/* ---- the commands ---- */

static int begin(struct session *s, struct list_unit *u)
{
	struct parse p = session_args(s);
	bool root;

	switch (read_list(u, &p, &root)) {
	case READ_WRONG:
		return session_bad(s, "This takes a reference name and a pattern");
	case READ_TOO_MUCH:
		return session_no(s, "[LIMIT] Too many patterns, or too long ones");
	default:
		break;
	}
	if ((u->select & SELECT_RECURSIVE) && !(u->select & SELECT_SUBSCRIBED))
		return session_bad(s, "RECURSIVEMATCH needs another option to go by (RFC 5258)");
	u->stack[0] = (struct list_level){ 0, 0 };
	u->depth = 1;
	s->stage = root ? LIST_ROOT : u->lsub || (u->select & SELECT_SUBSCRIBED) ? LIST_SUBSCRIPTIONS : LIST_TREE;
	return RUN_DONE;
}

static int do_list(struct session *s, struct conn *c, bool lsub)
{
	struct list_unit *u = session_unit(s);
	int step;

	if (!u)
		return session_crowded(s);
	if (s->stage == LIST_READ) {
		u->lsub = lsub;
		step = begin(s, u);
		if (s->stage == LIST_READ)
			return step;
	}
	if (u->status & STATUS_HIGHESTMODSEQ) {
		step = session_condstore(s, c);
		if (step != RUN_DONE)
			return step;
	}
	if (s->stage == LIST_TREE)
		return list_tree(s, u, c);
	if (s->stage == LIST_SUBSCRIPTIONS)
		return list_subscriptions(s, u, c);
	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	/* an empty pattern asks for the separator and the root (RFC 3501 6.3.8) */
	buf_printf(conn_output(c), "* %s (\\Noselect) \"/\" \"\"\r\n", lsub ? "LSUB" : "LIST");
	return session_ok(s, "Listed");
}

int cmd_list(struct session *s, struct conn *c)
{
	return do_list(s, c, false);
}

int cmd_lsub(struct session *s, struct conn *c)
{
	return do_list(s, c, true);
}
