/* A mail transfer agent: it delivers messages to one or several users and takes
 * note of what was acknowledged for whom. */
#include "server_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum stage { L_NONE, L_GREETING, L_LHLO, L_MAIL, L_RCPT, L_DATA, L_ANSWERS, L_QUIT };
static const char *const stage_names[] = { "nothing", "greeting", "LHLO", "MAIL", "RCPT", "DATA", "the end's answers",
	"QUIT" };

static struct agent {
	struct wire wire;
	enum stage stage;
	uint64_t next_us;
	uint32_t content;
	unsigned to[USERS_MOST], to_n, asked, taken[USERS_MOST], taken_n, answered;
	unsigned acts[USERS_MOST];
	bool acts_open;
} agents[LMTP_CLIENTS];

void lmtp_reset(unsigned n)
{
	free(agents[n].wire.in);
	free(agents[n].wire.out);
	memset(&agents[n], 0, sizeof agents[n]);
}

const char *lmtp_state(unsigned n)
{
	static char text[100];

	snprintf(text, sizeof text, "lmtp client %u (connection %d%s): %s", n, agents[n].wire.client,
		agents[n].wire.stalled ? ", stalled" : "", stage_names[agents[n].stage]);
	return text;
}

static void drop(struct agent *a, bool reset)
{
	if (a->acts_open)
		for (unsigned i = a->answered; i < a->taken_n; i++)
			truth_end(a->acts[i], ACT_LOST);
	a->acts_open = false;
	if (reset)
		wire_reset(&a->wire);
	else
		wire_close(&a->wire);
	a->stage = L_NONE;
	a->next_us = sim_time_us() + 1000 + rnd(3000000);
	wake_in(a->next_us - sim_time_us());
}

void lmtp_leave(unsigned n)
{
	if (agents[n].wire.client)
		drop(&agents[n], false);
}

static void begin(struct agent *a)
{
	a->to_n = a->asked = a->taken_n = a->answered = 0;
	for (unsigned u = 0; u < world.users; u++)
		if (rnd(2))
			a->to[a->to_n++] = u;
	if (a->to_n == 0)
		a->to[a->to_n++] = (unsigned)rnd(world.users);
	a->content = ++world.contents;
	wire_say(&a->wire, "MAIL FROM:<x@example.org>\r\n");
	a->stage = L_MAIL;
	world.sums->deliveries++;
}

static void send_text(struct agent *a)
{
	size_t len;
	const char *text = content_text(a->content, &len), *end = text + len;

	for (const char *at = text, *next; at < end; at = next) {
		next = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
		if (*at == '.')
			wire_send(&a->wire, ".", 1);
		wire_send(&a->wire, at, (size_t)(next - at));
	}
	wire_send(&a->wire, ".\r\n", 3);
	for (unsigned i = 0; i < a->taken_n; i++) {
		a->acts[i] = truth_act(ACT_DELIVER, a->taken[i] * BOXES, false);
		act_of(a->acts[i])->strict = true;
		truth_birth(a->acts[i], a->taken[i] * BOXES, a->content, 0, 0);
	}
	a->acts_open = true;
	a->stage = L_ANSWERS;
}

static void rest(struct agent *a)
{
	a->stage = L_NONE;
	a->acts_open = false;
	a->next_us = sim_time_us() + rnd(world.hungry ? 20000000 : 1500000);
	wake_in(a->next_us - sim_time_us());
}

static void hear(struct agent *a, const char *line)
{
	bool good = line[0] == '2' || line[0] == '3';

	if (line[3] == '-')
		return;
	if (!good && !world.faulty && strncmp(line, "452", 3) != 0 && strncmp(line, "421", 3) != 0 &&
		!strstr(line, "4.3.2"))
		broken("%s is refused: %s", stage_names[a->stage], line);
	if (!good && strncmp(line, "452", 3) == 0) {
		world.sums->refused_full++;
		world.hungry = true;
	}
	switch (a->stage) {
	case L_GREETING:
		wire_say(&a->wire, "LHLO sim\r\n");
		a->stage = L_LHLO;
		return;
	case L_LHLO:
	case L_NONE:
		a->stage = L_NONE;
		return;
	case L_MAIL:
	case L_RCPT:
		if (a->stage == L_RCPT && good)
			a->taken[a->taken_n++] = a->to[a->asked - 1];
		if (a->stage == L_MAIL && !good) {
			drop(a, false);
		} else if (a->asked < a->to_n) {
			wire_say(&a->wire, "RCPT TO:<%s@sim>\r\n", user_names[a->to[a->asked++]]);
			a->stage = L_RCPT;
		} else if (a->taken_n == 0) {
			drop(a, false);
		} else {
			wire_say(&a->wire, "DATA\r\n");
			a->stage = L_DATA;
		}
		return;
	case L_DATA:
		if (good)
			send_text(a);
		else
			drop(a, false);
		return;
	case L_ANSWERS:
		truth_end(a->acts[a->answered++], good ? ACT_OK : ACT_NO);
		if (a->answered == a->taken_n)
			rest(a);
		return;
	case L_QUIT:
		return;
	}
}

bool lmtp_move(unsigned n)
{
	struct agent *a = &agents[n];
	bool moved = false;
	enum stage was = a->stage;
	size_t len;
	char *line;

	if (!a->wire.client) {
		if (sim_time_us() < a->next_us || world.mode != MODE_WORK || !wire_connect(&a->wire, LMTP_PORT))
			return false;
		a->stage = L_GREETING;
		return true;
	}
	if (!wire_move(&a->wire, &moved)) {
		drop(a, false);
		return true;
	}
	while (a->wire.client && !a->wire.stalled && (line = wire_line(&a->wire, &len)) != NULL)
		hear(a, line);
	if (!a->wire.client)
		return true;
	if (sim_client_closed(a->wire.client) && sim_client_ready(a->wire.client) == 0 && !a->wire.stalled) {
		drop(a, false);
		return true;
	}
	if (a->stage == L_NONE && world.mode == MODE_WORK && world.work_left > 0 && sim_time_us() >= a->next_us) {
		world.work_left--;
		begin(a);
	} else if (a->stage == L_NONE && world.mode == MODE_LEAVE) {
		wire_say(&a->wire, "QUIT\r\n");
		a->stage = L_QUIT;
	}
	return moved || a->stage != was;
}

bool lmtp_quiet(unsigned n)
{
	return !agents[n].wire.client || agents[n].stage == L_NONE;
}

void lmtp_died(unsigned n)
{
	struct agent *a = &agents[n];
	bool moved;
	size_t len;
	char *line;

	if (!a->wire.client)
		return;
	a->wire.stalled = false;
	while (a->wire.client && (moved = false, wire_move(&a->wire, &moved), moved))
		while (a->wire.client && (line = wire_line(&a->wire, &len)) != NULL)
			hear(a, line);
	if (a->wire.client)
		drop(a, false);
}

void lmtp_fault(unsigned n)
{
	struct agent *a = &agents[n];

	if (!a->wire.client)
		return;
	if (rnd(3)) {
		world.sums->resets++;
		drop(a, rnd(2));
	} else {
		world.sums->stalls++;
		a->wire.stalled = true;
	}
}

void lmtp_cure(unsigned n)
{
	agents[n].wire.stalled = false;
}
