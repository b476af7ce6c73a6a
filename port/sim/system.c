/* The contract of port/system.h: a clock that moves when it is told to, and a
 * box without surprises. port_wait stands here, because it is time that waits. */
#include "port/sim/world.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAPS_MAX 16
#define START_US 1000000u
#define START_WALL 1704067200 /* 2024-01-01 00:00:00 UTC */

struct event {
	uint64_t at, number;
	void (*call)(void *context);
	void *context;
};

static struct {
	uint64_t now;
	int64_t wall; /* when the clock is at 0 */
	int zone;
	struct event events[SIM_EVENTS_MAX];
	unsigned event_count;
	uint64_t event_number;
	bool (*move)(void *context);
	void *move_context;
	unsigned signals;
	bool entropy_missing;
	void *maps[MAPS_MAX];
	char *log[SIM_LOG_LINES];
	unsigned log_count;
	char *in, *out;
	size_t in_len, in_at, out_len;
} box;

void system_kill(void)
{
	for (unsigned i = 0; i < MAPS_MAX; i++) {
		free(box.maps[i]);
		box.maps[i] = NULL;
	}
	box.signals = 0;
}

void system_reset(void)
{
	system_kill();
	for (unsigned i = 0; i < SIM_LOG_LINES; i++)
		free(box.log[i]);
	free(box.in);
	free(box.out);
	memset(&box, 0, sizeof box);
	box.now = START_US;
	box.wall = START_WALL - START_US / 1000000;
}

void *port_map(size_t len, bool lock)
{
	(void)lock;
	for (unsigned i = 0; i < MAPS_MAX; i++)
		if (!box.maps[i])
			return box.maps[i] = sim_take(len);
	return NULL;
}

/* ---- time ---- */

void clock_add(uint64_t us)
{
	box.now += us;
}

uint64_t sim_time_us(void)
{
	return box.now;
}

uint64_t port_now_us(void)
{
	return ++box.now;
}

uint64_t port_cpu_us(void)
{
	return box.now - START_US;
}

int64_t port_wall_time(void)
{
	return box.wall + (int64_t)(box.now / 1000000);
}

void sim_set_wall(int64_t seconds)
{
	box.wall = seconds - (int64_t)(box.now / 1000000);
}

int port_zone_minutes(int64_t wall)
{
	(void)wall;
	return box.zone;
}

void sim_set_zone(int minutes)
{
	box.zone = minutes;
}

void sim_after(uint64_t us, void (*event)(void *context), void *context)
{
	if (box.event_count == SIM_EVENTS_MAX)
		sim_misuse("more than %d events", SIM_EVENTS_MAX);
	box.events[box.event_count++] =
		(struct event){ .at = box.now + us, .number = box.event_number++, .call = event, .context = context };
}

void sim_on_wait(bool (*move)(void *context), void *context)
{
	box.move = move;
	box.move_context = context;
}

/* The event that is next, or NULL. Of two at one time the one made first. */
static struct event *next_event(void)
{
	struct event *next = NULL;

	for (unsigned i = 0; i < box.event_count; i++) {
		struct event *e = &box.events[i];

		if (!next || e->at < next->at || (e->at == next->at && e->number < next->number))
			next = e;
	}
	return next;
}

/* Runs the next event if it is due. */
static bool run_event(void)
{
	struct event *next = next_event(), e;

	if (!next || next->at > box.now)
		return false;
	e = *next;
	*next = box.events[--box.event_count];
	e.call(e.context);
	return true;
}

void sim_advance_us(uint64_t us)
{
	uint64_t until = box.now + us;
	struct event *next;

	while ((next = next_event()) != NULL && next->at <= until) {
		if (box.now < next->at)
			box.now = next->at;
		run_event();
	}
	if (box.now < until)
		box.now = until;
}

/* Sleeps to the next event, the end of a sync, or the deadline. False when there
 * is none of them. */
static bool sleep_until(uint64_t deadline)
{
	const struct event *event = next_event();
	uint64_t wake = files_next_us();

	if (event && event->at < wake)
		wake = event->at;
	if (deadline < wake)
		wake = deadline;
	if (wake == UINT64_MAX)
		return false;
	if (box.now < wake)
		box.now = wake;
	return true;
}

int port_wait(struct port_wait *set, size_t n, int timeout_ms)
{
	uint64_t deadline = timeout_ms < 0 ? UINT64_MAX : box.now + (uint64_t)timeout_ms * 1000;
	uint64_t sync = files_next_us();
	int ready;

	if (n > PORT_WAIT_MAX)
		return E_LIMIT;
	for (;;) {
		bool moved = box.move && box.move(box.move_context);

		while (run_event())
			moved = true;
		ready = network_look(set, n);
		if (ready > 0 || box.signals)
			return ready;
		if (moved)
			continue;
		/* a finished sync wakes the loop as well as a time-out does */
		if (box.now >= deadline || box.now >= sync)
			return 0;
		if (!sleep_until(deadline)) {
			leave_idle();
			box.now += 1000000;
			return 0;
		}
	}
}

/* ---- the rest ---- */

int port_entropy(void *data, size_t len)
{
	if (box.entropy_missing)
		return E_AGAIN;
	chance_fill(CHANCE_ENTROPY, data, len);
	return OK;
}

void sim_entropy_ready(bool ready)
{
	box.entropy_missing = !ready;
}

void port_signals_init(void)
{
}

unsigned port_signals_take(void)
{
	unsigned signals = box.signals;

	box.signals = 0;
	return signals;
}

void sim_signal(unsigned signals)
{
	box.signals |= signals;
}

int port_give(const char *path, const char *user)
{
	return port_exists(path) && *user ? OK : E_NOENT;
}

uint32_t port_user_id(void)
{
	return 500;
}

int port_drop_privileges(const char *user, const char *dir)
{
	(void)dir;
	return user && *user ? OK : E_NOENT;
}

int port_detach(void)
{
	return OK;
}

void port_log(enum port_level level, const char *line, size_t len)
{
	char **at = &box.log[box.log_count++ % SIM_LOG_LINES];

	free(*at);
	*at = sim_take(len + 1);
	memcpy(*at, line, len);
	if (getenv("SIM_LOG"))
		fprintf(stderr, "log %d: %s\n", (int)level, *at);
}

void port_log_syslog(const char *name)
{
	(void)name;
}

unsigned sim_log_count(void)
{
	return box.log_count < SIM_LOG_LINES ? box.log_count : SIM_LOG_LINES;
}

const char *sim_log_line(unsigned i)
{
	unsigned first = box.log_count < SIM_LOG_LINES ? 0 : box.log_count % SIM_LOG_LINES;

	return i < sim_log_count() ? box.log[(first + i) % SIM_LOG_LINES] : NULL;
}

bool sim_log_has(const char *part)
{
	for (unsigned i = 0; i < sim_log_count(); i++)
		if (strstr(sim_log_line(i), part))
			return true;
	return false;
}

void sim_stdin(const void *data, size_t len)
{
	free(box.in);
	box.in = memcpy(sim_take(len), data, len);
	box.in_len = len;
	box.in_at = 0;
}

int64_t port_stdin(void *data, size_t len)
{
	size_t left = box.in_len - box.in_at;

	if (len > left)
		len = left;
	if (len > 0)
		memcpy(data, box.in + box.in_at, len);
	box.in_at += len;
	return (int64_t)len;
}

int port_read_password(const char *prompt, char *out, size_t cap)
{
	size_t left = box.in_len - box.in_at, len, rest;
	const char *line, *end;

	(void)prompt;
	if (left == 0)
		return E_CLOSED;
	line = box.in + box.in_at;
	end = memchr(line, '\n', left);
	len = end ? (size_t)(end - line) : left;
	rest = end ? len + 1 : len;
	box.in_at += rest;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len > cap)
		return E_LIMIT;
	memcpy(out, line, len);
	return (int)len;
}

int port_stdout(const void *data, size_t len)
{
	box.out = sim_retake(box.out, box.out_len + len + 1);
	memcpy(box.out + box.out_len, data, len);
	box.out_len += len;
	box.out[box.out_len] = '\0';
	return OK;
}

bool port_stdout_is_terminal(void)
{
	return false;
}

bool port_stdin_is_terminal(void)
{
	return false;
}

const char *sim_stdout(size_t *len)
{
	if (len)
		*len = box.out_len;
	return box.out ? box.out : "";
}

uint64_t port_resident(void)
{
	return 0;
}

int port_box_names(void (*each)(void *context, const char *name, bool is_ip), void *context)
{
	each(context, "simbox", false);
	each(context, "127.0.0.1", true);
	each(context, "192.168.1.1", true);
	return OK;
}
