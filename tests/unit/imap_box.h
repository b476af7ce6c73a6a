/* The whole IMAP server in a simulated box, for the tests of src/imap: store,
 * views, accounts and loop are the real ones, disk, network and clock are
 * port/sim's. Two users, anna and bert, with the password "geheim".
 *
 * A talk is what the client sends and what must come back, where `~` stands for
 * anything up to what follows it in the same line:
 *
 *     TALK(c, "a1 NOOP\r\n", "a1 OK ~\r\n");
 */
#ifndef TESTS_UNIT_IMAP_BOX_H
#define TESTS_UNIT_IMAP_BOX_H

#include <stdlib.h>

#include "account/account.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/log.h"
#include "imap/imap.h"
#include "imap/server.h"
#include "imap/session.h"
#include "net/inner.h"
#include "port/sim/sim.h"
#include "tests/unit/t.h"
#include "view/arrival.h"
#include "view/search.h"
#include "view/view.h"

#define BOX_MEMORY (8u << 20)
#define BOX_SESSIONS 12

static struct {
	struct arena arena;
	struct store *store;
	struct views *views;
	struct arrivals *arrivals;
	struct searches *searches;
	struct accounts *accounts;
	struct imap_server *imap;
	struct loop *loop;
} box;

/* Turns without a byte after which nothing more is expected: a password check
 * takes some dozen slices, and a byte at a time needs a turn each. */
static unsigned listen_turns;

static struct imap_config box_imap = {
	.sessions = BOX_SESSIONS,
	.commands = 4,
	.idle_notify_s = 300,
	.cleartext = IMAP_CLEARTEXT_ALWAYS,
	.message_max = 1 << 20,
	.wall_time = port_wall_time,
	.zone_minutes = port_zone_minutes,
};

static inline void box_log(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

static bool box_work(void *context)
{
	(void)context;
	return store_maintain(box.store) == E_AGAIN;
}

static bool box_wants_commit(void *context)
{
	(void)context;
	return store_wants_commit(box.store);
}

static int box_commit(void *context)
{
	int err = store_commit_start(box.store);

	(void)context;
	while (err == OK && (err = store_commit_done(box.store)) == E_AGAIN) {
		sim_advance_us(100);
		err = OK;
	}
	views_committed(box.views);
	return err;
}

static uint64_t box_deadline(void *context)
{
	(void)context;
	return store_deadline_us(box.store);
}

/* Opens everything over the disk as it is; the arena is a new one. */
static inline void box_start(void)
{
	static void *memory;
	static const struct loop_tasks tasks = { NULL, box_work, box_wants_commit, box_commit, box_deadline, NULL };
	static const struct store_config store = {
		.dir = "/store",
		.storage = 32 << 20,
		.message_max = 1 << 20,
		.flag_delay_ms = 5000,
		.cache_pages = 128,
		.log_buffer = 256 * 1024,
		.upload_bytes = 512 * 1024,
		.uploads = 4,
	};
	static const struct loop_config loop = {
		.connections = 8,
		.login_places = 4,
		.input_buffers = 6,
		.long_buffers = 2,
		.output_buffers = 6,
		.login_timeout_s = 60,
		.write_timeout_s = 120,
	};
	struct listener_config listener = { .where = "127.0.0.1:143", .protocol = &imap_protocol };
	struct imap_parts parts;
	char reason[200];

	free(memory);
	memory = calloc(1, BOX_MEMORY);
	arena_init(&box.arena, memory, BOX_MEMORY);
	T_EQ(crypto_init(port_entropy), OK);
	T_EQ(loop_init(&box.loop, &box.arena, &loop), OK);
	T_EQ(store_open(&box.store, &box.arena, &store, reason, sizeof reason), OK);
	T_EQ(views_init(&box.views, &box.arena, box.store, BOX_SESSIONS, 256), OK);
	T_EQ(arrivals_init(&box.arrivals, &box.arena, box.store, 4), OK);
	T_EQ(search_init(&box.searches, &box.arena, box.store, box.views, 2), OK);
	T_EQ(accounts_init(&box.accounts, &box.arena, "/users", 4), OK);
	parts = (struct imap_parts){ box.store, box.views, box.arrivals, box.searches, box.accounts };
	T_EQ(imap_init(&box.imap, &box.arena, &box_imap, &parts), OK);
	views_on_change(box.views, imap_wake);
	loop_tasks(box.loop, &tasks);
	listener.context = box.imap;
	T_EQ(loop_listen(box.loop, &listener), OK);
}

static inline void box_new(uint64_t seed, enum sim_chunks chunks, size_t buffer)
{
	struct account_user user;

	sim_reset(seed);
	log_init(box_log, LOG_DEBUG);
	sim_network(chunks, buffer);
	listen_turns = chunks == SIM_CHUNKS_ONE ? 1500 : 150;
	box_start();
	T_EQ(account_add(box.accounts, bytes_of("anna"), bytes_of("geheim"), false, ACCOUNT_ITERATIONS_LEAST, &user),
		OK);
	T_EQ(account_add(box.accounts, bytes_of("bert"), bytes_of("geheim"), false, ACCOUNT_ITERATIONS_LEAST, &user),
		OK);
}

/* ---- talking ---- */

static char heard[1 << 21];
static size_t heard_len;

/* Turns until the client has heard nothing for a while. */
static inline void listen_to(sim_client c)
{
	for (unsigned quiet = 0; quiet < listen_turns && heard_len + 1 < sizeof heard;) {
		int64_t n;

		T_EQ(loop_turn(box.loop, 0), OK);
		n = sim_client_recv(c, heard + heard_len, sizeof heard - 1 - heard_len);
		quiet = n > 0 ? 0 : quiet + 1;
		heard_len += n > 0 ? (size_t)n : 0;
	}
	heard[heard_len] = 0;
}

static inline void say_bytes(sim_client c, const char *text, size_t len)
{
	unsigned stuck = 0;

	heard_len = 0;
	for (size_t sent = 0; sent < len && stuck < 10000;) {
		int64_t n = sim_client_send(c, text + sent, len - sent);

		if (n < 0)
			break;
		stuck = n ? 0 : stuck + 1;
		sent += (size_t)n;
		T_EQ(loop_turn(box.loop, 0), OK);
	}
	listen_to(c);
}

/* Whether what was heard is as expected; else where it stops being so. */
static inline bool as_expected(const char *got, const char *expected, const char **where)
{
	*where = got;
	while (*expected) {
		if (*expected == '~') {
			const char *end, *next;

			expected++;
			end = strstr(got, "\r\n");
			next = *expected == '\r' || !*expected ? end : strchr(got, *expected);
			/* the first place where what follows the wildcard fits */
			while (next && end && next < end && *expected != '\r' &&
				strncmp(next, expected, strcspn(expected, "~\r")) != 0)
				next = strchr(next + 1, *expected);
			if (!next || (end && next > end))
				return false;
			got = next;
			continue;
		}
		*where = got;
		if (*got++ != *expected++)
			return false;
	}
	return *got == 0;
}

#define HEARD(expected) \
	do { \
		const char *h_where; \
		if (!as_expected(heard, (expected), &h_where)) \
			T_FAIL("heard:\n%s--- expected:\n%s--- differs at: %.60s", heard, (expected), h_where); \
	} while (0)

#define TALK(client, text, expected) \
	do { \
		say_bytes((client), (text), strlen(text)); \
		HEARD(expected); \
	} while (0)

static inline sim_client box_connect(void)
{
	sim_client c = sim_connect(143);

	T_OK(c > 0);
	heard_len = 0;
	listen_to(c);
	return c;
}

static inline sim_client box_login(const char *user)
{
	sim_client c = box_connect();
	char line[100];

	(void)snprintf(line, sizeof line, "l0 LOGIN %s geheim\r\n", user);
	TALK(c, line, "l0 OK [CAPABILITY IMAP4rev1 ~] Logged in\r\n");
	return c;
}

static inline sim_client box_select(const char *user, const char *mailbox)
{
	sim_client c = box_login(user);
	char line[100];

	(void)snprintf(line, sizeof line, "s0 SELECT %s\r\n", mailbox);
	say_bytes(c, line, strlen(line));
	T_OK(strstr(heard, "s0 OK [READ-WRITE]"));
	return c;
}

static inline void box_append(sim_client c, const char *mailbox, const char *flags, const char *message)
{
	static char text[1 << 20];
	size_t len = strlen(message);

	T_OK(len + 200 < sizeof text);
	(void)snprintf(text, sizeof text, "p0 APPEND %s %s {%zu+}\r\n%s\r\n", mailbox, flags, len, message);
	say_bytes(c, text, strlen(text));
	T_OK(strstr(heard, "p0 OK [APPENDUID "));
}

/* Everything the sessions held has been given back. */
static inline void box_nothing_left(void)
{
	struct imap_status status;

	/* sockets may linger a while after their last words */
	sim_advance_us(LINGER_US);
	for (int i = 0; i < 50; i++)
		T_EQ(loop_turn(box.loop, 0), OK);
	imap_status(box.imap, &status);
	T_EQ(status.sessions, 0);
	T_EQ(status.commands, 0);
	T_EQ(box.loop->inputs.used + box.loop->longs.used + box.loop->outputs.used, 0);
	T_EQ(sim_open_sockets(), 0);
}

#endif
