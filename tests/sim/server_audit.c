/* The audit: while everybody else is silent, one client reads every mailbox of
 * every user. And what the control socket says of pools. */
#include "server_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum step { A_GREETING, A_LOGIN, A_OPEN, A_FETCH, A_BYE };

static struct {
	struct wire wire;
	enum step step;
	bool bodies, done, running;
	unsigned box, tag;
	struct audit_box boxes[USERS_MOST * BOXES];
} audit;

void audit_reset(void)
{
	for (unsigned i = 0; i < USERS_MOST * BOXES; i++)
		free(audit.boxes[i].s);
	free(audit.wire.in);
	free(audit.wire.out);
	memset(&audit, 0, sizeof audit);
}

void audit_begin(bool bodies)
{
	for (unsigned i = 0; i < USERS_MOST * BOXES; i++) {
		struct audit_box *b = &audit.boxes[i];
		*b = (struct audit_box){ .s = b->s, .cap = b->cap };
	}
	wire_close(&audit.wire);
	audit.bodies = bodies;
	audit.done = false;
	audit.running = true;
	audit.box = 0;
}

bool audit_done(void)
{
	return audit.done;
}

void audit_died(void)
{
	wire_close(&audit.wire);
	audit.running = false;
}

struct audit_box *audit_boxes(void)
{
	return audit.boxes;
}

static void say(enum step step, const char *command)
{
	audit.step = step;
	wire_say(&audit.wire, "a%u %s\r\n", ++audit.tag, command);
}

static void open_box(void)
{
	char line[100];

	audit.boxes[audit.box].n = 0;
	snprintf(line, sizeof line, "EXAMINE %s (CONDSTORE)", world.box[audit.box].name);
	say(A_OPEN, line);
}

static void next_box(void)
{
	audit.box++;
	if (audit.box % BOXES != 0)
		open_box();
	else
		say(A_BYE, "LOGOUT");
}

static void answered(const char *line)
{
	char command[200];

	if (!strstr(line, " OK"))
		broken("the audit is refused: %s", line);
	switch (audit.step) {
	case A_LOGIN:
		open_box();
		break;
	case A_OPEN:
		if (audit.boxes[audit.box].exists == 0) {
			next_box();
			break;
		}
		snprintf(command, sizeof command, "UID FETCH 1:* (UID FLAGS MODSEQ RFC822.SIZE %s)",
			audit.bodies ? "BODY.PEEK[]" : "BODY.PEEK[HEADER.FIELDS (X-Sim)]");
		say(A_FETCH, command);
		break;
	case A_FETCH:
		next_box();
		break;
	default:
		break;
	}
}

/* The message with that number is gone, if it was seen; those behind it move up. */
static void forget_number(struct audit_box *b, unsigned number)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->n; i++) {
		if (b->s[i].number == number)
			continue;
		b->s[n] = b->s[i];
		b->s[n++].number -= b->s[i].number > number;
	}
	b->n = n;
}

static void hear_fetch(const struct fetched *f)
{
	struct audit_box *b = &audit.boxes[audit.box];
	struct sight *s;

	if (!f->uid)
		return;
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 64;
		b->s = realloc(b->s, b->cap * sizeof *b->s);
	}
	s = &b->s[b->n++];
	*s = (struct sight){ .number = f->number, .uid = f->uid, .flags = f->flags, .modseq = f->modseq };
	/* what is let go between SELECT and here is passed over; and a notice that another takes the place of */
	if (f->number < b->n || (!world.evict && f->number > b->n + (audit.box % BOXES == BOX_INBOX)))
		broken("%s: number %u comes where %u was to come", world.box[audit.box].name, f->number, b->n);
	if (!f->body)
		broken("%s: UID %u has no body", world.box[audit.box].name, f->uid);
	s->content = content_verify(f->body, f->body_len);
	if (audit.bodies && f->size != f->body_len)
		broken("%s: UID %u is said to have %u bytes and has %zu", world.box[audit.box].name, f->uid, f->size,
			f->body_len);
}

static void hear(const char *line, size_t len)
{
	struct audit_box *b = &audit.boxes[audit.box < USERS_MOST * BOXES ? audit.box : 0];
	struct fetched f;
	unsigned number;
	unsigned long long modseq;
	char command[100];

	if (audit.step == A_GREETING) {
		snprintf(command, sizeof command, "LOGIN %s geheim", user_names[audit.box / BOXES]);
		say(A_LOGIN, command);
	} else if (line[0] == 'a') {
		answered(line);
	} else if (fetch_read(line, len, &f)) {
		hear_fetch(&f);
	} else if (strstr(line, " EXPUNGE") && sscanf(line, "* %u EXPUNGE", &number) == 1) {
		if (number == 0 || number > b->exists || (!world.evict && audit.box % BOXES != BOX_INBOX))
			broken("%s: EXPUNGE %u during the audit", world.box[audit.box].name, number);
		b->exists--;
		forget_number(b, number);
	} else if (strstr(line, " EXISTS") && sscanf(line, "* %u", &number) == 1) {
		/* what comes later is a notice of the server's own */
		if (audit.step == A_OPEN)
			b->exists = number;
	} else if (sscanf(line, "* OK [UIDVALIDITY %u]", &number) == 1) {
		b->uidvalidity = number;
	} else if (sscanf(line, "* OK [UIDNEXT %u]", &number) == 1) {
		b->uidnext = number;
	} else if (sscanf(line, "* OK [HIGHESTMODSEQ %llu]", &modseq) == 1) {
		b->modseq = modseq;
	}
}

bool audit_move(void)
{
	bool moved = false;
	size_t len;
	char *line;

	if (!audit.running || audit.done)
		return false;
	if (!audit.wire.client) {
		if (audit.box == world.users * BOXES) {
			audit.done = true;
			return true;
		}
		audit.step = A_GREETING;
		return wire_connect(&audit.wire, IMAP_PORT);
	}
	(void)wire_move(&audit.wire, &moved);
	while (audit.wire.client && (line = wire_response(&audit.wire, &len)) != NULL) {
		moved = true;
		hear(line, len);
	}
	if (sim_client_closed(audit.wire.client) && sim_client_ready(audit.wire.client) == 0) {
		if (audit.step != A_BYE)
			broken("the audit's connection was closed, step %d", (int)audit.step);
		wire_close(&audit.wire);
		moved = true;
	}
	return moved;
}

/* ---- pools ---- */

static struct {
	sim_client c;
	char text[20000];
	size_t len;
	bool done;
} status;

void audit_status_begin(void)
{
	status.c = sim_connect_unix(CONTROL_PATH, 0, 0);
	if (status.c < 0)
		broken("nobody listens at the control socket");
	status.len = 0;
	status.done = false;
	(void)sim_client_send(status.c, "STATUS\n", 7);
}

bool audit_status_done(void)
{
	int64_t n;

	if (status.done)
		return true;
	while ((n = sim_client_recv(status.c, status.text + status.len, sizeof status.text - 1 - status.len)) > 0)
		status.len += (size_t)n;
	status.text[status.len] = '\0';
	if (strstr(status.text, "\nOK"))
		status.done = true;
	else if (n < 0)
		broken("the control socket was closed");
	if (status.done)
		sim_client_close(status.c);
	return status.done;
}

const char *audit_status(void)
{
	return status.text;
}
