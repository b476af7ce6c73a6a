/* An IMAP client: it logs in, opens mailboxes, works in them by chance, believes
 * what it is told and holds the server to it. One command at a time. */
#define _GNU_SOURCE
#include "server_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum work {
	W_NONE,
	W_GREETING,
	W_LOGIN,
	W_SELECT,
	W_CHANGES,
	W_SEARCH,
	W_CATCHUP,
	W_NOOP,
	W_IDLE,
	W_BODY,
	W_STORE,
	W_EXPUNGE,
	W_COPY,
	W_MOVE,
	W_APPEND,
	W_STATUS,
	W_CLOSE,
	W_LOGOUT
};
static const char *const work_names[] = { "nothing", "greeting", "LOGIN", "SELECT", "CHANGEDSINCE", "SEARCH",
	"catching up", "NOOP", "IDLE", "body", "STORE", "EXPUNGE", "COPY", "MOVE", "APPEND", "STATUS", "CLOSE",
	"LOGOUT" };

struct line {
	uint32_t uid; /* 0: not known yet */
	uint8_t flags;
	bool has_flags, fresh; /* fresh: told during this command */
};
#define LINES_MOST 4000

/* What a client keeps of a mailbox over its connections. */
struct cache {
	uint32_t uidvalidity;
	uint64_t modseq; /* 0: nothing kept */
	struct line *lines;
	unsigned n;
};

static struct client {
	struct wire wire;
	unsigned user, tag;
	bool condstore, logged_in, selected, settled, vanished, idle_ending;
	unsigned box;
	struct line lines[LINES_MOST];
	unsigned n;
	uint32_t uidnext; /* of SELECT */
	uint64_t highest, modseq_told; /* of SELECT; largest MODSEQ told in this session */
	enum work work;
	uint64_t asked, next_us;
	unsigned act;
	bool has_act;
	uint32_t uids[LINES_MOST], found[LINES_MOST]; /* of the command; of SEARCH */
	unsigned uids_n, found_n, found_of;
	uint32_t content;
	uint8_t flags, clear; /* of APPEND; what a silent STORE sets and clears */
	bool silent, literal_waits, was_told;
	struct cache cache[BOXES];
} clients[IMAP_CLIENTS];

void imap_reset(unsigned n)
{
	struct client *c = &clients[n];

	for (unsigned i = 0; i < BOXES; i++)
		free(c->cache[i].lines);
	free(c->wire.in);
	free(c->wire.out);
	memset(c, 0, sizeof *c);
	c->user = n % world.users;
	c->condstore = world.condstore[n];
}

const char *imap_state(unsigned n)
{
	const struct client *c = &clients[n];
	static char text[200];

	snprintf(text, sizeof text, "imap client %u (connection %d%s): %s, tag %u, %u messages, %s", n, c->wire.client,
		c->wire.stalled ? ", stalled" : "", work_names[c->work], c->tag, c->n,
		c->settled             ? "settled"
			: c->logged_in ? "logged in"
				       : "not logged in");
	return text;
}

static void drop(struct client *c, bool reset)
{
	if (c->has_act)
		truth_end(c->act, ACT_LOST);
	c->has_act = false;
	if (reset)
		wire_reset(&c->wire);
	else
		wire_close(&c->wire);
	c->logged_in = c->selected = c->settled = c->idle_ending = c->vanished = false;
	c->n = 0;
	c->work = W_NONE;
	c->next_us = sim_time_us() + 1000 + rnd(2000000);
	wake_in(c->next_us - sim_time_us());
}

void imap_leave(unsigned n)
{
	if (clients[n].wire.client)
		drop(&clients[n], false);
}

/* ---- saying something ---- */

static void say(struct client *c, enum work work, const char *command)
{
	c->work = work;
	c->asked = ++world.tick;
	c->was_told = false;
	for (unsigned i = 0; i < c->n; i++)
		c->lines[i].fresh = false;
	world.sums->commands++;
	wire_say(&c->wire, "t%u %s\r\n", ++c->tag, command);
}

static void begin_act(struct client *c, enum act_kind kind, bool lazy)
{
	c->act = truth_act(kind, c->box, lazy);
	act_of(c->act)->strict = !lazy;
	c->has_act = true;
}

/* Some of the messages whose UID is known, ascending, into c->uids. */
static void choose(struct client *c, unsigned most)
{
	unsigned want = 1 + (unsigned)rnd(most), first;

	c->uids_n = 0;
	if (c->n == 0)
		return;
	first = (unsigned)rnd(c->n);
	for (unsigned i = first; i < c->n && c->uids_n < want; i++)
		if (c->lines[i].uid && (rnd(3) || i == first))
			c->uids[c->uids_n++] = c->lines[i].uid;
}

static char *set_text(const struct client *c)
{
	static char text[7000];
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < c->uids_n && at < sizeof text - 30; i++) {
		unsigned k = i;

		while (k + 1 < c->uids_n && c->uids[k + 1] == c->uids[k] + 1)
			k++;
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%u", at ? "," : "", c->uids[i]);
		if (k > i)
			at += (size_t)snprintf(text + at, sizeof text - at, ":%u", c->uids[k]);
		i = k;
	}
	return text;
}

static void do_select(struct client *c)
{
	char line[100];

	c->box = c->user * BOXES + (unsigned)rnd(BOXES);
	c->n = 0;
	c->selected = false;
	c->highest = c->modseq_told = 0;
	snprintf(line, sizeof line, "SELECT %s%s", world.box[c->box].name, c->condstore ? " (CONDSTORE)" : "");
	say(c, W_SELECT, line);
}

static void do_catchup(struct client *c)
{
	char line[100];
	unsigned from = 0;

	while (from < c->n && c->lines[from].uid)
		from++;
	snprintf(line, sizeof line, "FETCH %u:%u (UID FLAGS%s%s)", from + 1, c->n, c->condstore ? " MODSEQ" : "",
		rnd(4) ? " BODY.PEEK[HEADER.FIELDS (X-Sim)]" : "");
	say(c, W_CATCHUP, line);
}

static void do_body(struct client *c)
{
	static const char *const items[] = { "BODY.PEEK[]", "BODY[]", "BODY.PEEK[]<10.700>",
		"(BODY.PEEK[HEADER.FIELDS (X-Sim)] RFC822.SIZE)" };
	unsigned which = (unsigned)rnd(4);
	char line[8000];

	choose(c, which == 3 ? 20 : 3);
	if (which == 1) {
		begin_act(c, ACT_FLAGS, !c->condstore);
		for (unsigned i = 0; i < c->uids_n; i++)
			truth_stroke(c->act, c->uids[i], F_SEEN, 0, false);
	}
	snprintf(line, sizeof line, "UID FETCH %s %s", set_text(c), items[which]);
	say(c, W_BODY, line);
}

static void do_store(struct client *c)
{
	static const char *const hows[] = { "+FLAGS", "-FLAGS", "FLAGS" };
	unsigned how = (unsigned)rnd(5), silent = (unsigned)rnd(2);
	uint8_t flags = (uint8_t)rnd(F_ALL + 1);
	char line[8000], names[80], since[60] = "";
	bool conditional = c->condstore && rnd(4) == 0 && c->modseq_told;

	how = how < 2 ? 0 : how < 4 ? 1 : 2;
	if (rnd(2))
		flags = (uint8_t)(1 << rnd(FLAGS_N));
	if (!world.hungry && rnd(3))
		flags &= F_ALL & ~F_DELETED;
	if (world.hungry && rnd(2)) {
		flags = F_DELETED;
		how = 0;
	}
	choose(c, world.hungry ? 60 : 12);
	begin_act(c, ACT_FLAGS, !c->condstore);
	for (unsigned i = 0; i < c->uids_n; i++)
		truth_stroke(c->act, c->uids[i], how == 1 ? 0 : flags,
			how == 0           ? 0
				: how == 1 ? flags
					   : (uint8_t)(F_ALL & ~flags),
			conditional);
	c->silent = silent;
	c->flags = how == 1 ? 0 : flags;
	c->clear = how == 0 ? 0 : how == 1 ? flags : (uint8_t)(F_ALL & ~flags);
	flags_put(flags, names);
	if (conditional)
		snprintf(since, sizeof since, "(UNCHANGEDSINCE %llu) ",
			(unsigned long long)(c->modseq_told - rnd(2) * rnd(50) % c->modseq_told));
	snprintf(line, sizeof line, "UID STORE %s %s%s%s (%s)", set_text(c), since, hows[how], silent ? ".SILENT" : "",
		names);
	say(c, W_STORE, line);
}

/* Whether the message surely has \Deleted when an expunge comes now. */
static bool surely_deleted(const struct fact *f)
{
	return !(f->zero & F_DELETED) && f->flying[3] == 0;
}

static void do_expunge(struct client *c, enum work work)
{
	char line[8000];
	bool by_uid = work == W_EXPUNGE && rnd(2);

	if (by_uid)
		choose(c, 30);
	begin_act(c, ACT_EXPUNGE, false);
	/* whatever has or gets \Deleted meanwhile may go */
	for (unsigned i = 0, k = 0; i < c->n; i++) {
		uint32_t uid = c->lines[i].uid;
		const struct fact *f;

		if (!uid)
			continue;
		while (by_uid && k < c->uids_n && c->uids[k] < uid)
			k++;
		if (by_uid && (k == c->uids_n || c->uids[k] != uid))
			continue;
		f = truth_told(c->box, uid);
		truth_leaving(c->act, uid, surely_deleted(f));
	}
	snprintf(line, sizeof line, by_uid ? "UID EXPUNGE %s" : work == W_CLOSE ? "CLOSE" : "EXPUNGE", set_text(c));
	say(c, work, line);
}

static void do_copy(struct client *c, enum work work)
{
	unsigned to = c->user * BOXES + (unsigned)rnd(BOXES);
	char line[8000];

	if (to == c->box)
		to = c->user * BOXES + (to + 1) % BOXES;
	choose(c, work == W_MOVE ? 40 : 15);
	begin_act(c, work == W_MOVE ? ACT_MOVE : ACT_COPY, false);
	act_of(c->act)->to = to;
	for (unsigned i = 0; i < c->uids_n; i++) {
		if (work == W_MOVE)
			truth_leaving(c->act, c->uids[i], false);
		truth_birth(c->act, to, 0, c->box, c->uids[i]);
	}
	snprintf(line, sizeof line, "UID %s %s %s", work == W_MOVE ? "MOVE" : "COPY", set_text(c), world.box[to].name);
	say(c, work, line);
}

static void do_append(struct client *c)
{
	unsigned to = c->user * BOXES + (unsigned)rnd(BOXES);
	char line[300], names[80];
	size_t len;
	const char *text = content_text(++world.contents, &len);
	bool at_once = len < 4096 && rnd(2);

	c->content = world.contents;
	c->flags = rnd(3) ? 0 : (uint8_t)rnd(F_ALL + 1);
	begin_act(c, ACT_APPEND, false);
	act_of(c->act)->to = to;
	truth_birth(c->act, to, c->content, 0, 0);
	flags_put(c->flags, names);
	snprintf(line, sizeof line, "APPEND %s (%s) \"01-Jan-2020 10:00:00 +0100\" {%zu%s}", world.box[to].name, names,
		len, at_once ? "+" : "");
	say(c, W_APPEND, line);
	c->literal_waits = !at_once;
	if (at_once) {
		wire_send(&c->wire, text, len);
		wire_send(&c->wire, "\r\n", 2);
	}
}

static void do_status(struct client *c)
{
	char line[100];

	snprintf(line, sizeof line, "STATUS %s (MESSAGES UIDNEXT UIDVALIDITY UNSEEN%s)",
		world.box[c->user * BOXES + rnd(BOXES)].name, c->condstore ? " HIGHESTMODSEQ" : "");
	say(c, W_STATUS, line);
}

static bool lacks(const struct client *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (!c->lines[i].uid)
			return true;
	return false;
}

static void do_something(struct client *c)
{
	unsigned n = (unsigned)rnd(100);

	if (!c->selected || n < 3) {
		do_select(c);
	} else if (n < 20) {
		do_append(c);
	} else if (n < 25) {
		say(c, W_NOOP, "NOOP");
	} else if (n < 33) {
		say(c, W_IDLE, "IDLE");
		c->next_us = sim_time_us() + rnd(20000000);
		wake_in(c->next_us - sim_time_us());
	} else if (n < 37) {
		do_status(c);
	} else if (n < 38) {
		say(c, W_LOGOUT, "LOGOUT");
	} else if (c->n == 0) {
		do_select(c);
	} else if (n < 50) {
		do_body(c);
	} else if (n < 75) {
		do_store(c);
	} else if (n < 83 || (world.hungry && n < 88)) {
		do_expunge(c, n == 75 ? W_CLOSE : W_EXPUNGE);
	} else {
		do_copy(c, n < 90 ? W_COPY : W_MOVE);
	}
}

/* ---- hearing something ---- */

static void put_line(struct client *c, unsigned at, uint32_t uid)
{
	struct line *l = &c->lines[at];

	if (l->uid && l->uid != uid)
		broken("%s: number %u is UID %u and %u", world.box[c->box].name, at + 1, l->uid, uid);
	l->uid = uid;
	for (unsigned i = at; i > 0 && i + 3 > at; i--)
		if (c->lines[i - 1].uid && c->lines[i - 1].uid >= uid)
			broken("%s: UID %u follows %u", world.box[c->box].name, uid, c->lines[i - 1].uid);
}

static void hear_fetch(struct client *c, const struct fetched *f)
{
	struct line *l;

	if (f->number == 0 || f->number > c->n)
		broken("%s: FETCH of number %u of %u", world.box[c->box].name, f->number, c->n);
	l = &c->lines[f->number - 1];
	if (f->uid) {
		put_line(c, f->number - 1, f->uid);
		(void)truth_told(c->box, f->uid);
	}
	if (f->has_flags) {
		l->flags = f->flags;
		l->has_flags = l->fresh = true;
		if (l->uid)
			truth_seen_flags(c->box, l->uid, f->flags, f->modseq,
				c->work == W_CATCHUP || c->work == W_CHANGES ? c->asked : 0);
	}
	if (f->modseq > c->modseq_told)
		c->modseq_told = f->modseq;
	if (f->body && f->body_len && c->work == W_CATCHUP)
		truth_content(c->box, f->uid, content_verify(f->body, f->body_len));
	if (f->body && f->body_len && c->work == W_BODY) {
		uint32_t content;

		if (!f->whole && !memmem(f->body, f->body_len, "X-Sim: ", 7))
			return; /* a part that begins elsewhere */
		content = f->whole
			? content_verify(f->body, f->body_len)
			: (uint32_t)strtoul((char *)memmem(f->body, f->body_len, "X-Sim: ", 7) + 7, NULL, 10);
		if (f->whole || f->size)
			truth_content(c->box, l->uid, content);
	}
}

static void hear_expunge(struct client *c, unsigned number)
{
	if (number == 0 || number > c->n)
		broken("%s: EXPUNGE of number %u of %u", world.box[c->box].name, number, c->n);
	if (c->work == W_CATCHUP)
		broken("EXPUNGE during a FETCH by number");
	if (c->lines[number - 1].uid)
		truth_gone(c->box, c->lines[number - 1].uid);
	memmove(&c->lines[number - 1], &c->lines[number], (c->n - number) * sizeof *c->lines);
	c->n--;
	c->was_told = true;
}

static void hear_exists(struct client *c, unsigned number)
{
	if (number < c->n || number > LINES_MOST)
		broken("%s: EXISTS says %u, %u are known", world.box[c->box].name, number, c->n);
	memset(&c->lines[c->n], 0, (number - c->n) * sizeof *c->lines);
	c->n = number;
}

static void hear_search(struct client *c, const char *line)
{
	const char *at = line + 8;
	char *end;

	c->found_of = c->n; /* what comes during the command is told behind it */
	c->found_n = 0;
	while (*at == ' ') {
		c->found[c->found_n++] = (uint32_t)strtoul(at + 1, &end, 10);
		at = end;
	}
}

static uint64_t number_behind(const char *line, const char *word)
{
	const char *at = strstr(line, word);

	return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static void hear_status(struct client *c, const char *line)
{
	for (unsigned b = c->user * BOXES; b < (c->user + 1) * BOXES; b++) {
		size_t n = strlen(world.box[b].name);

		if (strncmp(line + 9, world.box[b].name, n) != 0 || line[9 + n] != ' ')
			continue;
		truth_uidnext(b, (uint32_t)number_behind(line, "UIDNEXT "));
		truth_modseq(b, number_behind(line, "HIGHESTMODSEQ "));
	}
}

static void hear_untagged(struct client *c, const char *line, size_t len)
{
	struct fetched f;
	char *word;
	unsigned number = (unsigned)strtoul(line + 2, &word, 10);

	if (fetch_read(line, len, &f)) {
		hear_fetch(c, &f);
	} else if (strncmp(word, " EXPUNGE", 8) == 0) {
		hear_expunge(c, number);
	} else if (strncmp(word, " EXISTS", 7) == 0) {
		if (c->work == W_SELECT && !c->selected)
			c->n = 0;
		hear_exists(c, number);
	} else if (strncmp(line, "* SEARCH", 8) == 0) {
		hear_search(c, line);
	} else if (strncmp(line, "* STATUS ", 9) == 0) {
		hear_status(c, line);
	} else if (strncmp(line, "* OK [UIDNEXT ", 14) == 0) {
		c->uidnext = (uint32_t)number_behind(line, "UIDNEXT ");
		truth_uidnext(c->box, c->uidnext);
	} else if (strncmp(line, "* OK [UIDVALIDITY ", 18) == 0) {
		uint32_t is = (uint32_t)number_behind(line, "UIDVALIDITY "), was = world.box[c->box].uidvalidity;

		if (was && is != was)
			broken("%s: UIDVALIDITY %u was %u", world.box[c->box].name, is, was);
		world.box[c->box].uidvalidity = is;
	} else if (strncmp(line, "* OK [HIGHESTMODSEQ ", 20) == 0) {
		c->highest = number_behind(line, "HIGHESTMODSEQ ");
		/* plain sessions are told what a lazy change has made of it, which is not durable */
		if (c->condstore)
			truth_modseq(c->box, c->highest);
	} else if (strncmp(line, "* NO", 4) == 0 || strncmp(line, "* BAD", 5) == 0) {
		broken("the server says: %s", line);
	}
}

/* COPYUID validity from-set to-set: each pair is a birth. */
static void hear_copyuid(struct client *c, const char *line)
{
	const char *from = strstr(line, "[COPYUID "), *to;
	uint32_t f = 0, f_end = 0, t = 0, t_end = 0;
	char *end;

	if (!from)
		return;
	(void)strtoul(from + 9, &end, 10);
	from = end + 1;
	to = strchr(from, ' ') + 1;
	for (;;) {
		if (f >= f_end) {
			if (*from == ' ')
				break;
			f = (uint32_t)strtoul(from, &end, 10) - 1;
			f_end = f + 1;
			if (*end == ':')
				f_end = (uint32_t)strtoul(end + 1, &end, 10);
			from = *end == ',' ? end + 1 : end;
		}
		if (t >= t_end) {
			t = (uint32_t)strtoul(to, &end, 10) - 1;
			t_end = t + 1;
			if (*end == ':')
				t_end = (uint32_t)strtoul(end + 1, &end, 10);
			to = *end == ',' ? end + 1 : end;
		}
		truth_born(c->act, 0, ++f, ++t, 0);
	}
	c->was_told = true;
}

static void learn_changes(struct client *c)
{
	const struct cache *k = &c->cache[c->box % BOXES];

	/* flags from the cache for what was not told anew */
	for (unsigned i = 0, j = 0; i < c->n; i++) {
		while (j < k->n && k->lines[j].uid < c->lines[i].uid)
			j++;
		if (!c->lines[i].has_flags && j < k->n && k->lines[j].uid == c->lines[i].uid) {
			c->lines[i].flags = k->lines[j].flags;
			c->lines[i].has_flags = true;
		}
		if (!c->lines[i].has_flags && c->lines[i].uid && c->lines[i].uid < c->uidnext)
			broken("%s: UID %u is new since MODSEQ %llu and was not told", world.box[c->box].name,
				c->lines[i].uid, (unsigned long long)k->modseq);
	}
}

static void keep(struct client *c, uint64_t modseq)
{
	struct cache *k = &c->cache[c->box % BOXES];

	if (!c->condstore || lacks(c) || modseq < k->modseq)
		return;
	for (unsigned i = 0; i < c->n; i++)
		if (!c->lines[i].has_flags)
			return;
	k->lines = realloc(k->lines, (c->n + 1) * sizeof *k->lines);
	memcpy(k->lines, c->lines, c->n * sizeof *k->lines);
	k->n = c->n;
	k->modseq = modseq;
}

static void found_all(struct client *c)
{
	if (c->found_n < c->found_of)
		broken("SEARCH ALL finds %u of %u", c->found_n, c->found_of);
	for (unsigned i = 0; i < c->found_of; i++)
		put_line(c, i, c->found[i]);
}

static void after_select(struct client *c, bool ok)
{
	struct cache *k = &c->cache[c->box % BOXES];
	char line[100];

	if (!ok)
		broken("SELECT %s is refused", world.box[c->box].name);
	c->selected = true;
	c->modseq_told = c->highest;
	/* a store that has stopped writing shows no HIGHESTMODSEQ */
	if (c->condstore && k->modseq && c->n > 0 && (c->highest || !world.faulty)) {
		if (c->highest < k->modseq)
			broken("%s: HIGHESTMODSEQ %llu, this client was told %llu", world.box[c->box].name,
				(unsigned long long)c->highest, (unsigned long long)k->modseq);
		snprintf(line, sizeof line, "UID FETCH 1:* (FLAGS) (CHANGEDSINCE %llu)", (unsigned long long)k->modseq);
		say(c, W_CHANGES, line);
	}
}

/* EXPUNGE or CLOSE was answered: a message that had \\Deleted all the time is gone. */
static void expunged_for_sure(struct client *c, uint32_t uid)
{
	const struct fact *f = truth_fact(c->box, uid);

	if (c->work == W_CLOSE && f && !(f->zero & F_DELETED)) {
		truth_gone(c->box, uid);
		return;
	}
	for (unsigned i = 0; i < c->n; i++)
		if (c->lines[i].uid == uid && !(f->zero & F_DELETED))
			broken("%s: UID %u has \\Deleted and is there after EXPUNGE", world.box[c->box].name, uid);
}

/* A silent STORE was answered: what was not told anew is as it was asked for. */
static void believe_store(struct client *c, bool ok)
{
	for (unsigned i = 0, k = 0; i < c->n && k < c->uids_n; i++) {
		struct line *l = &c->lines[i];

		while (k < c->uids_n && l->uid && c->uids[k] < l->uid)
			k++;
		if (k == c->uids_n || c->uids[k] != l->uid || l->fresh)
			continue;
		l->flags = (uint8_t)((l->flags | c->flags) & ~c->clear);
		if (!ok)
			l->has_flags = false;
	}
}

/* What the answer means for the act. */
static void end_act(struct client *c, const char *line, bool ok)
{
	bool whole;

	if (!c->has_act)
		return;
	c->has_act = false;
	/* a store that has stopped writing still serves a body, without \\Seen */
	if (strstr(line, "[MODIFIED") || (c->work == W_BODY && world.faulty))
		truth_vague(c->act);
	if ((c->work == W_COPY || c->work == W_MOVE) && (ok || c->work == W_MOVE))
		hear_copyuid(c, line);
	if (c->work == W_APPEND && ok) {
		uint32_t validity = 0, uid = 0;
		const char *at = strstr(line, "[APPENDUID ");

		if (!at || sscanf(at, "[APPENDUID %u %u]", &validity, &uid) != 2)
			broken("APPEND without APPENDUID: %s", line);
		truth_born(c->act, c->content, 0, uid, c->flags);
	}
	for (unsigned i = 0; ok && i < act_of(c->act)->sure_n; i++)
		expunged_for_sure(c, act_of(c->act)->sure[i]);
	if (c->work == W_STORE && c->silent)
		believe_store(c, ok && !strstr(line, "[MODIFIED"));
	if (c->work == W_STORE || c->work == W_BODY)
		act_of(c->act)->strict = false; /* nothing may have changed */
	if (c->work == W_EXPUNGE || c->work == W_CLOSE)
		act_of(c->act)->strict = c->was_told;
	/* What was refused half-way may have been done in part. APPEND and COPY are done or not; a store that
	 * could not be written may have taken the last record all the same. */
	whole = (c->work == W_APPEND || c->work == W_COPY) && !strstr(line, "[UNAVAILABLE]");
	truth_end(c->act, ok ? ACT_OK : whole ? ACT_NO : ACT_LOST);
	if (strstr(line, "[OVERQUOTA]")) {
		world.sums->refused_full++;
		world.hungry = true;
	} else if (ok && c->work == W_EXPUNGE && rnd(3) == 0) {
		world.hungry = false;
	}
}

static void hear_tagged(struct client *c, const char *line)
{
	bool ok = strstr(line, " OK") == strchr(line, ' ');
	enum work was = c->work;

	if (strstr(line, " BAD") == strchr(line, ' '))
		broken("%s is called bad: %s", work_names[was], line);
	if (!ok && !world.faulty && !strstr(line, "[OVERQUOTA]") && !strstr(line, "[EXPUNGEISSUED]") &&
		!strstr(line, "[LIMIT]") && !strstr(line, "[MODIFIED"))
		broken("%s is refused: %s", work_names[was], line);
	if (!ok)
		world.sums->failed++;
	end_act(c, line, ok);
	c->work = W_NONE;
	c->literal_waits = false;
	if (was == W_LOGIN) {
		c->logged_in = ok;
		if (!ok)
			drop(c, false);
	} else if (was == W_SELECT) {
		if (ok || !world.faulty)
			after_select(c, ok);
	} else if (was == W_CHANGES && ok) {
		say(c, W_SEARCH, "UID SEARCH ALL");
	} else if (was == W_SEARCH && ok) {
		found_all(c);
		learn_changes(c);
		keep(c, c->highest);
	} else if (was == W_CATCHUP) {
		/* what is left out has gone meanwhile, and NOOP says so */
		if (lacks(c))
			say(c, W_NOOP, "NOOP");
	} else if (was == W_NOOP && ok) {
		keep(c, c->modseq_told);
		if (world.mode == MODE_NEWS && !lacks(c))
			c->settled = true;
	} else if (was == W_CLOSE) {
		c->selected = false;
		c->n = 0;
	}
	c->idle_ending = false;
	if (c->work == W_NONE && c->wire.client && world.mode == MODE_WORK && rnd(3) == 0) {
		c->next_us = sim_time_us() + (rnd(8) ? rnd(300000) : rnd(10000000));
		wake_in(c->next_us - sim_time_us());
	}
}

static void hear(struct client *c, const char *line, size_t len)
{
	char tag[20];

	snprintf(tag, sizeof tag, "t%u ", c->tag);
	if (c->work == W_GREETING) {
		if (strncmp(line, "* OK", 4) == 0)
			c->work = W_NONE;
	} else if (line[0] == '+') {
		if (c->work == W_APPEND && c->literal_waits) {
			size_t n;
			const char *text = content_text(c->content, &n);

			wire_send(&c->wire, text, n);
			wire_send(&c->wire, "\r\n", 2);
			c->literal_waits = false;
		}
	} else if (strncmp(line, tag, strlen(tag)) == 0) {
		hear_tagged(c, line);
	} else if (line[0] == '*') {
		hear_untagged(c, line, len);
	} else {
		broken("out of order: %s", line);
	}
}

/* ---- moving ---- */

static void act_next(struct client *c)
{
	if (c->work == W_IDLE && !c->idle_ending && (sim_time_us() >= c->next_us || world.mode != MODE_WORK)) {
		c->idle_ending = true;
		wire_send(&c->wire, "DONE\r\n", 6);
	}
	if (c->work != W_NONE)
		return;
	if (world.mode == MODE_WORK && sim_time_us() < c->next_us)
		return;
	if (!c->logged_in) {
		char line[100];

		if (world.mode == MODE_FINISH || world.mode == MODE_AUDIT)
			return;
		snprintf(line, sizeof line, "LOGIN %s geheim", user_names[c->user]);
		say(c, W_LOGIN, line);
	} else if (lacks(c) && world.mode != MODE_AUDIT) {
		do_catchup(c);
	} else if (world.mode == MODE_WORK && world.work_left > 0) {
		world.work_left--;
		do_something(c);
	} else if (world.mode == MODE_NEWS && !c->settled) {
		if (c->selected)
			say(c, W_NOOP, "NOOP");
		else
			do_select(c);
	} else if (world.mode == MODE_LEAVE) {
		say(c, W_LOGOUT, "LOGOUT");
	}
}

bool imap_move(unsigned n)
{
	struct client *c = &clients[n];
	bool moved = false;
	unsigned tag = c->tag;
	size_t len;
	char *line;

	if (!c->wire.client) {
		if (sim_time_us() < c->next_us || (world.mode != MODE_WORK && world.mode != MODE_NEWS) ||
			!wire_connect(&c->wire, IMAP_PORT))
			return false;
		c->work = W_GREETING;
		c->vanished = false;
		return true;
	}
	if (!wire_move(&c->wire, &moved)) {
		drop(c, false);
		return true;
	}
	while (c->wire.client && !c->wire.stalled && (line = wire_response(&c->wire, &len)) != NULL)
		hear(c, line, len);
	if (!c->wire.client)
		return true;
	if (sim_client_closed(c->wire.client) && sim_client_ready(c->wire.client) == 0 && !c->wire.stalled) {
		drop(c, false);
		return true;
	}
	act_next(c);
	return moved || c->tag != tag;
}

bool imap_quiet(unsigned n)
{
	const struct client *c = &clients[n];

	return !c->wire.client || (c->work == W_NONE && wire_sent(&c->wire) && !(c->logged_in && lacks(c)));
}

bool imap_settled(unsigned n)
{
	return clients[n].settled;
}

/* The server is dead. What it sent before still arrives. */
void imap_died(unsigned n)
{
	struct client *c = &clients[n];
	bool moved;
	size_t len;
	char *line;

	if (!c->wire.client)
		return;
	c->wire.stalled = false;
	while (c->wire.client && (moved = false, wire_move(&c->wire, &moved), moved))
		while (c->wire.client && (line = wire_response(&c->wire, &len)) != NULL)
			hear(c, line, len);
	if (c->wire.client)
		drop(c, false);
}

/* The client knows every message that is there, with its flags, and no other.
 * Where the server lets mail go by itself, it may have done so since. */
static void compare(unsigned k, struct client *c, const struct audit_box *a)
{
	const char *name = world.box[c->box].name;
	unsigned i = 0;

	for (unsigned j = 0; j < a->n; j++, i++) {
		while (i < c->n && c->lines[i].uid < a->s[j].uid &&
			truth_may_evict(c->box, truth_told(c->box, c->lines[i].uid)))
			i++;
		if (a->s[j].content == CONTENT_SERVERS && (i == c->n || c->lines[i].uid != a->s[j].uid)) {
			i--;
			continue;
		}
		if (i >= c->n || c->lines[i].uid != a->s[j].uid)
			broken("client %u has UID %u where %u is in %s", k, i < c->n ? c->lines[i].uid : 0, a->s[j].uid,
				name);
		if (c->lines[i].has_flags && c->lines[i].flags != a->s[j].flags)
			broken("client %u has UID %u of %s with flags %x, it has %x", k, a->s[j].uid, name,
				c->lines[i].flags, a->s[j].flags);
	}
	for (; i < c->n; i++)
		if (!truth_may_evict(c->box, truth_told(c->box, c->lines[i].uid)))
			broken("client %u has UID %u in %s, which is not there", k, c->lines[i].uid, name);
}

void imap_compare(const struct audit_box *boxes)
{
	for (unsigned k = 0; k < world.imaps; k++)
		if (clients[k].settled)
			compare(k, &clients[k], &boxes[clients[k].box]);
	imap_unsettle();
}

void imap_unsettle(void)
{
	for (unsigned k = 0; k < world.imaps; k++)
		clients[k].settled = false;
}

/* ---- faults of the network ---- */

void imap_fault(unsigned n)
{
	struct client *c = &clients[n];

	if (!c->wire.client)
		return;
	if (rnd(2)) {
		world.sums->resets++;
		if (rnd(2))
			drop(c, true);
		else
			drop(c, false);
	} else {
		world.sums->stalls++;
		c->wire.stalled = true;
	}
}

void imap_cure(unsigned n)
{
	clients[n].wire.stalled = false;
}
