/* A year of a household: four users, some sixty mails a day, most of them small and
 * a few of megabytes, read, flagged, moved and thrown away by clients that then
 * wait in IDLE; the store is full after some weeks and lets old mail go from then
 * on. Lived twice: on a box with a clock, where what the flash takes is counted, and
 * on one without, which boots in 1970 after a power cut each day and is for some
 * days in 2038. Days are days of box time: a box that is off does not live.
 *
 *     sim_year                 nine days, with less storage and smaller large mails
 *     DAYS=365 sim_year        the year
 *     SEED=n sim_year          another household */
#define _GNU_SOURCE
#include "server_sim.h"
#include "wear.h"

#include "base/log.h"
#include "budget.h"
#include "server.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#define SECOND UINT64_C(1000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define PEOPLE 4
#define MAILS_A_DAY 60
#define LOGS_AGE (5 * DAY)
#define SEEN_AGE (2 * DAY)
/* A cut may cost what the box had lived since it last wrote, an hour at most. */
#define LOST_A_DAY HOUR
/* A store of that size takes mails of 5 to 10 MiB, a smaller one such of 1 MiB. */
#define LARGE_STORE (64u << 20)
#define IN_2038 INT64_C(2147483000)
/* What one turn may write at most: a commit with all that came, a slice of upkeep. */
#define TURN_WRITES_MOST (512u << 10)

static const char *const names[PEOPLE] = { "anna", "bert", "carl", "dora" };
static struct config config;
static struct budget budget;

/* What a mail is, as far as anybody was told. */
enum place { ON_ITS_WAY, IN_INBOX, IN_LOGS, IN_JUNK, GONE };
struct mail {
	uint64_t sent_us, size;
	int64_t wall_before, wall_after;
	uint32_t uid;
	uint8_t user, place, home; /* home: where it is delivered to */
	bool seen, flagged, taken;
};

static struct actor {
	ucontext_t context;
	void (*live)(struct actor *a);
	unsigned n;
	uint64_t until;
	struct wire wire;
	unsigned tag;
	bool died; /* the server has, since the connection was made */
	uint32_t uidvalidity;
} actors[PEOPLE + 2];
#define STACK (256u << 10)
static char stacks[PEOPLE + 2][STACK];

static struct {
	bool clockless, over, cut;
	uint64_t days, seed, end_us, bytes_in, refused, boots, visits, gone, logs_gone, junk_gone, uidvalidity[PEOPLE];
	struct mail *mail;
	uint32_t mails, inbox_uidvalidity[PEOPLE];
	unsigned searched_2038;
} life;
static ucontext_t world_context;
static struct actor *acting;

static _Noreturn void fail(const char *format, ...)
{
	va_list args;

	printf("not ok: day %" PRIu64 ", %s: ", sim_time_us() / DAY, life.clockless ? "no clock" : "household");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n# again: DAYS=%" PRIu64 " SEED=%" PRIu64 " build/sim/sim_year\n0 passed, 1 failed\n", life.days,
		life.seed);
	fflush(stdout);
	_Exit(1);
}

/* ---- actors: each has a stack of its own and gives way when he waits ---- */

static void give_way(void)
{
	swapcontext(&acting->context, &world_context);
}

static void wake(void *context)
{
	(void)context;
}

static void wait_until(struct actor *a, uint64_t us)
{
	a->until = us;
	if (us > sim_time_us())
		sim_after(us - sim_time_us(), wake, NULL);
	while (sim_time_us() < us)
		give_way();
}

static void hang_up(struct actor *a)
{
	wire_close(&a->wire);
}

/* The next response; NULL when the connection is over. */
static char *hear(struct actor *a)
{
	for (;;) {
		bool moved = false;
		size_t len;
		char *line;

		if (!a->wire.client || !wire_move(&a->wire, &moved)) {
			hang_up(a);
			return NULL;
		}
		line = wire_response(&a->wire, &len);
		if (line)
			return line;
		if (sim_client_closed(a->wire.client) && sim_client_ready(a->wire.client) == 0) {
			hang_up(a);
			return NULL;
		}
		give_way();
	}
}

static bool call(struct actor *a, uint16_t port)
{
	hang_up(a);
	for (unsigned i = 0; i < 100 && !wire_connect(&a->wire, port); i++)
		wait_until(a, sim_time_us() + SECOND);
	return a->wire.client && hear(a);
}

/* One command, answered OK; untagged responses go to `each`. */
static bool command(struct actor *a, void (*each)(struct actor *a, char *line), const char *format, ...)
{
	char text[4000], tag[16];
	va_list args;
	char *line;
	int n = snprintf(tag, sizeof tag, "t%u ", ++a->tag);

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	wire_say(&a->wire, "%s%s\r\n", tag, text);
	while ((line = hear(a)) != NULL) {
		if (strncmp(line, tag, (size_t)n) == 0) {
			if (strncmp(line + n, "OK", 2) != 0)
				fail("%s is answered %s", text, line);
			return true;
		}
		if (each)
			each(a, line);
	}
	return false;
}

/* ---- the mail that comes ---- */

/* Log-normal but for a few of megabytes: half of them are below 8 KiB, one of six
 * is above 40. */
static size_t size_of_mail(void)
{
	uint64_t sum = 0, power, size; /* power: of two, in thousandths */

	if (rnd(300) == 0)
		return (size_t)(config.storage >= LARGE_STORE ? 5 + rnd(6) : 1) << 20;
	for (int i = 0; i < 12; i++)
		sum += rnd(1000);
	power = 13000 + 14000 + sum * 23 / 10 - 13800;
	size = (UINT64_C(1) << power / 1000) * (1000 + power % 1000) / 1000 >> 14;
	/* The tail has no end; a box takes mail of one size, its header included. */
	return (size_t)(size < config.message_size - 4096 ? size : config.message_size - 4096);
}

static void send_mail(struct actor *a, uint32_t number, size_t size)
{
	static const char line[] = "Ein Satz, wie er in Briefen steht, und noch einer: 0123456789abcdef.\r\n";
	char head[300];
	int n = snprintf(head, sizeof head,
		"From: somebody <s%u@example.org>\r\nSubject: number %u\r\nX-Number: %u\r\n\r\n", number % 50, number,
		number);

	wire_send(&a->wire, head, (size_t)n);
	for (size_t at = 0; at < size; at += sizeof line - 1)
		wire_send(&a->wire, line, sizeof line - 1);
	wire_send(&a->wire, ".\r\n", 3);
	life.bytes_in += (size_t)n + size;
}

/* What may not go: what somebody has flagged, and what came within a day. */
static void tell_kept(void)
{
	uint64_t flagged = 0, young = 0;

	for (uint32_t i = 0; i < life.mails; i++) {
		const struct mail *m = &life.mail[i];

		if (m->place == GONE || m->place == ON_ITS_WAY)
			continue;
		flagged += m->flagged ? m->size : 0;
		young += !m->flagged && m->sent_us + DAY > sim_time_us() ? m->size : 0;
	}
	printf("# flagged %" PRIu64 " KiB, of the last day %" PRIu64 " KiB\n", flagged >> 10, young >> 10);
}

static bool ask(struct actor *a, char wanted, const char *format, ...)
{
	char text[300], *line;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (*text)
		wire_say(&a->wire, "%s\r\n", text);
	do {
		line = hear(a);
	} while (line && line[3] == '-');
	if (line && line[0] != wanted && strncmp(line, "421", 3) != 0) {
		life.refused++;
		tell_kept();
		fail("%s is answered %s", *text ? text : "a mail", line);
	}
	return line && line[0] == wanted;
}

static void deliver(struct actor *a, struct mail *m, uint32_t number, size_t size)
{
	const char *box = m->home == IN_LOGS ? "+Logs" : m->home == IN_JUNK ? "+Junk" : "";

	do {
		m->sent_us = sim_time_us();
		m->wall_before = port_wall_time();
		if (!a->wire.client && !(call(a, LMTP_PORT) && ask(a, '2', "LHLO mx")))
			continue;
		if (ask(a, '2', "MAIL FROM:<s@example.org> SIZE=%zu", size) &&
			ask(a, '2', "RCPT TO:<%s%s@home>", names[m->user], box) && ask(a, '3', "DATA")) {
			send_mail(a, number, size);
			if (ask(a, '2', "%s", ""))
				break;
		}
		hang_up(a);
	} while (!life.over);
	m->wall_after = port_wall_time();
}

static void live_mx(struct actor *a)
{
	wait_until(a, HOUR);
	while (sim_time_us() < life.end_us) {
		uint64_t mean = DAY / (MAILS_A_DAY + 4);
		uint32_t number = life.mails++;
		struct mail *m = &life.mail[number];
		unsigned kind = (unsigned)rnd(16);

		*m = (struct mail){ .user = (uint8_t)rnd(PEOPLE),
			.home = kind == 0   ? IN_LOGS
				: kind == 1 ? IN_JUNK
					    : IN_INBOX };
		m->size = m->home == IN_LOGS ? 2000 : size_of_mail();
		deliver(a, m, number, m->size);
		if (a->wire.client && rnd(2)) {
			(void)ask(a, '2', "QUIT");
			hang_up(a);
		}
		wait_until(a, sim_time_us() + 1 + rnd(2 * mean));
	}
	life.over = true;
	for (;;)
		give_way();
}

/* ---- people ---- */

static bool *there; /* by UID, of the last SEARCH */
#define UIDS_MOST 20000

static void see_search(struct actor *a, char *line)
{
	uint32_t last = 0;

	(void)a;
	if (strncmp(line, "* SEARCH", 8) != 0)
		return;
	for (char *at = line + 8; *at == ' ';) {
		uint32_t uid = (uint32_t)strtoul(at + 1, &at, 10);

		if (uid <= last || uid >= UIDS_MOST)
			fail("UID %u comes after UID %u", uid, last);
		there[uid] = true;
		last = uid;
	}
}

static bool search(struct actor *a, const char *what)
{
	memset(there, 0, UIDS_MOST);
	return command(a, see_search, "UID SEARCH %s", what);
}

static void see_uidvalidity(struct actor *a, char *line)
{
	char *at = strstr(line, "[UIDVALIDITY ");

	if (at)
		a->uidvalidity = (uint32_t)strtoul(at + 13, NULL, 10);
}

static enum place place_seen;

static void see_new(struct actor *a, char *line)
{
	char *uid = strstr(line, "UID "), *number = strcasestr(line, "X-Number: ");
	struct mail *m;

	if (!uid || !number || strtoul(number + 10, NULL, 10) >= life.mails)
		return; /* the server's own notice */
	m = &life.mail[strtoul(number + 10, NULL, 10)];
	if (m->user != a->n)
		fail("%s has somebody else's mail", names[a->n]);
	if (m->place == ON_ITS_WAY) {
		m->place = (uint8_t)place_seen;
		m->uid = (uint32_t)strtoul(uid + 4, NULL, 10);
	}
}

static bool look_for_new(struct actor *a, enum place place)
{
	uint32_t last = 0;

	place_seen = place;
	for (uint32_t i = 0; i < life.mails; i++)
		if (life.mail[i].user == a->n && life.mail[i].home == place && life.mail[i].uid > last)
			last = life.mail[i].uid;
	return command(a, see_new, "UID FETCH %u:* (FLAGS INTERNALDATE BODY.PEEK[HEADER.FIELDS (X-Number)])", last + 1);
}

/* What went was old enough, and nothing older of its kind is left. */
static void check_box(struct actor *a, enum place place)
{
	for (uint32_t i = life.mails; i-- > 0;) {
		struct mail *m = &life.mail[i];
		uint64_t age = sim_time_us() - m->sent_us;

		if (m->user != a->n || m->place != place || m->taken)
			continue;
		if (!there[m->uid]) {
			if (age < DAY || (m->flagged && age > DAY))
				fail("mail %u (UID %u) went after %" PRIu64 " minutes%s", i, m->uid, age / SECOND / 60,
					m->flagged ? " though it is flagged" : "");
			m->place = GONE;
			life.gone += place == IN_INBOX;
			life.junk_gone += place == IN_JUNK;
			for (uint32_t j = 0; j < i; j++) {
				const struct mail *o = &life.mail[j];

				if (o->user == a->n && o->place == place && !o->taken && !o->flagged &&
					o->seen == m->seen && o->uid < m->uid && there[o->uid])
					fail("UID %u went before UID %u", m->uid, o->uid);
			}
		}
	}
}

static void check_logs(struct actor *a)
{
	uint64_t slack = HOUR + (life.clockless ? LOST_A_DAY * (LOGS_AGE / DAY + 2) : 0);

	for (uint32_t i = 0; i < life.mails; i++) {
		struct mail *m = &life.mail[i];
		uint64_t age = sim_time_us() - m->sent_us;

		if (m->user != a->n || m->place != IN_LOGS)
			continue;
		if (!there[m->uid] && age < LOGS_AGE)
			fail("the log of %" PRIu64 " hours ago is gone", age / HOUR);
		if (there[m->uid] && age > LOGS_AGE + slack)
			fail("the log of %" PRIu64 " hours ago is there", age / HOUR);
		if (!there[m->uid]) {
			m->place = GONE;
			life.logs_gone++;
		}
	}
}

static bool check_2038(struct actor *a)
{
	unsigned found = 0;

	if (!search(a, "SINCE 1-Jan-2038"))
		return false;
	for (uint32_t i = 0; i < life.mails; i++) {
		const struct mail *m = &life.mail[i];
		bool before = m->wall_before >= IN_2038, after = m->wall_after >= IN_2038;

		if (m->user != a->n || m->place != IN_INBOX || m->taken || before != after)
			continue;
		/* it may have gone between the two commands */
		if (there[m->uid] && !before)
			fail("UID %u did not come in 2038", m->uid);
		found += there[m->uid];
	}
	life.searched_2038 += found;
	return true;
}

/* What the user does with a mail that is new to him. */
static bool handle(struct actor *a, struct mail *m)
{
	unsigned what = (unsigned)rnd(100);

	if (!command(a, NULL, "UID FETCH %u (BODYSTRUCTURE ENVELOPE)", m->uid))
		return false;
	if (what < 70) {
		m->seen = true;
		if (!command(a, NULL, "UID FETCH %u (BODY[])", m->uid))
			return false;
	}
	if (what < 2) {
		m->flagged = true;
		return command(a, NULL, "UID STORE %u +FLAGS.SILENT (\\Flagged)", m->uid);
	}
	if (what >= 40 && what < 70) {
		m->taken = true;
		return command(a, NULL, "UID MOVE %u %s", m->uid, what < 42 ? "Kept" : "Trash");
	}
	return true;
}

static bool open_box(struct actor *a, const char *box)
{
	a->uidvalidity = 0;
	return command(a, see_uidvalidity, "SELECT %s", box);
}

static bool make_again(struct actor *a)
{
	if (!command(a, NULL, "CREATE Temp") || !open_box(a, "Temp"))
		return false;
	if (a->uidvalidity <= life.uidvalidity[a->n])
		fail("UIDVALIDITY %u of a mailbox that is made again, after %" PRIu64, a->uidvalidity,
			life.uidvalidity[a->n]);
	life.uidvalidity[a->n] = a->uidvalidity;
	return command(a, NULL, "CLOSE") && command(a, NULL, "DELETE Temp");
}

static bool visit(struct actor *a)
{
	if (!call(a, IMAP_PORT) || !command(a, NULL, "LOGIN %s geheim", names[a->n]))
		return false;
	if (rnd(4) == 0 && !make_again(a))
		return false;
	if (!open_box(a, "Logs") || !look_for_new(a, IN_LOGS) || !search(a, "ALL"))
		return false;
	check_logs(a);
	if (!open_box(a, "Junk") || !look_for_new(a, IN_JUNK) || !search(a, "ALL"))
		return false;
	check_box(a, IN_JUNK);
	if (!open_box(a, "INBOX"))
		return false;
	if (life.inbox_uidvalidity[a->n] && life.inbox_uidvalidity[a->n] != a->uidvalidity)
		fail("INBOX has another UIDVALIDITY");
	life.inbox_uidvalidity[a->n] = a->uidvalidity;
	if (!look_for_new(a, IN_INBOX) || !search(a, "ALL"))
		return false;
	check_box(a, IN_INBOX);
	if (rnd(4) == 0 && !check_2038(a))
		return false;
	for (uint32_t i = 0; i < life.mails; i++) {
		struct mail *m = &life.mail[i];

		if (m->user == a->n && m->place == IN_INBOX && !m->taken && !m->seen &&
			sim_time_us() - m->sent_us < DAY / 2 && !handle(a, m))
			return false;
	}
	life.visits++;
	wire_say(&a->wire, "i IDLE\r\n");
	for (uint64_t end = sim_time_us() + 25 * 60 * SECOND; sim_time_us() < end;) {
		bool moved = false;
		size_t len;

		sim_after(60 * SECOND, wake, NULL);
		a->until = sim_time_us() + 60 * SECOND;
		while (sim_time_us() < a->until)
			give_way();
		if (!a->wire.client || !wire_move(&a->wire, &moved))
			return false;
		while (wire_response(&a->wire, &len))
			;
	}
	wire_say(&a->wire, "DONE\r\n");
	return command(a, NULL, "LOGOUT");
}

static void live_person(struct actor *a)
{
	wait_until(a, (30 + a->n) * 60 * SECOND);
	while (!(call(a, IMAP_PORT) && command(a, NULL, "LOGIN %s geheim", names[a->n]) &&
		command(a, NULL, "CREATE Logs") && command(a, NULL, "CREATE Kept") && command(a, NULL, "LOGOUT")))
		hang_up(a);
	hang_up(a);
	for (;;) {
		wait_until(a, sim_time_us() + 2 * HOUR + rnd(4 * HOUR));
		(void)visit(a);
		hang_up(a);
	}
}

/* ---- the box ---- */

/* The plug is pulled once a day, at any moment; the clock begins anew. In the
 * middle of the time something sets it to 2038 for some hours of three days. */
static void live_plug(struct actor *a)
{
	for (uint64_t day = 0;; day++) {
		uint64_t from = day * DAY;

		if (life.clockless && day >= life.days / 2 && day < life.days / 2 + 3) {
			wait_until(a, from + 3 * HOUR);
			sim_set_wall(IN_2038);
			wait_until(a, from + 10 * HOUR);
			sim_set_wall(3600);
		}
		wait_until(a, from + 12 * HOUR + rnd(12 * HOUR));
		life.cut = life.clockless;
		wait_until(a, from + DAY);
	}
}

static void begin_actor(void)
{
	acting->live(acting);
}

static struct {
	uint64_t turns, written, read, most_written, most_read;
	struct timespec cpu;
	uint64_t most_ns, most_at_us;
	unsigned over_10ms;
} turn;

static void end_turn(void)
{
	uint64_t written = sim_bytes_written() - turn.written, read = sim_bytes_read() - turn.read, ns;
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	ns = (uint64_t)((now.tv_sec - turn.cpu.tv_sec) * 1000000000 + now.tv_nsec - turn.cpu.tv_nsec);
	turn.turns++;
	if (written > turn.most_written)
		turn.most_written = written;
	if (read > turn.most_read)
		turn.most_read = read;
	turn.over_10ms += ns > 10000000;
	if (ns > turn.most_ns) {
		turn.most_ns = ns;
		turn.most_at_us = sim_time_us();
	}
	if (written > TURN_WRITES_MOST)
		fail("one turn of the loop writes %" PRIu64 " bytes", written);
}

static void begin_turn(void)
{
	turn.written = sim_bytes_written();
	turn.read = sim_bytes_read();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &turn.cpu);
}

static bool booting; /* its start is no turn of the loop */

static bool move(void *context)
{
	uint64_t before = world.hash;

	(void)context;
	if (!booting)
		end_turn();
	booting = false;
	for (unsigned i = 0; i < PEOPLE + 2; i++) {
		acting = &actors[i];
		if (acting->until > sim_time_us())
			continue; /* he sleeps */
		swapcontext(&world_context, &acting->context);
	}
	if (life.over)
		sim_signal(PORT_STOP);
	if (life.cut) {
		life.cut = false;
		sim_power_cut(&sim_mixed);
	}
	begin_turn();
	return world.hash != before;
}

static void each_op(void)
{
	uint64_t n = sim_charged("/store");

	if (n > config.storage)
		fail("the store's files take %" PRIu64 " of %" PRIu64 " bytes", n, config.storage);
}

/* ---- a life ---- */

static void add_users(void *context)
{
	(void)context;
	if (!world_add_users("/users", names, PEOPLE))
		fail("no users");
}

static void configure(uint64_t storage)
{
	/* without `ring`: Logs is to go by its rule alone */
	static const uint8_t order[] = { CONFIG_CLASS_DELETED, CONFIG_CLASS_JUNK, CONFIG_CLASS_TRASH, CONFIG_CLASS_SEEN,
		CONFIG_CLASS_UNSEEN };
	char reason[200];

	config_defaults(&config);
	config.listen_n = 2;
	memset(config.listen, 0, sizeof config.listen);
	config.listen[0].protocol = CONFIG_IMAP;
	snprintf(config.listen[0].where, sizeof config.listen[0].where, "127.0.0.1:%d", IMAP_PORT);
	config.listen[1].protocol = CONFIG_LMTP;
	snprintf(config.listen[1].where, sizeof config.listen[1].where, "127.0.0.1:%d", LMTP_PORT);
	snprintf(config.store, sizeof config.store, "/store");
	snprintf(config.users, sizeof config.users, "/users");
	config.storage = storage;
	config.memory = 4 << 20;
	config.connections = 12;
	config.message_size = (storage >= LARGE_STORE ? 12 : 2) << 20;
	config.cleartext_login = CONFIG_CLEARTEXT_ALWAYS;
	memcpy(config.evict_order, order, sizeof order);
	config.evict_order_n = sizeof order;
	config.evict_seen_age_s = SEEN_AGE / SECOND;
	config.mailbox_n = 1;
	snprintf(config.mailbox[0].name, sizeof config.mailbox[0].name, "Logs");
	config.mailbox[0].rule = CONFIG_RULE_AGE;
	config.mailbox[0].value = LOGS_AGE / SECOND;
	if (budget_make(&config, &budget, reason, sizeof reason) != OK)
		fail("the budget: %s", reason);
}

static void serve(void *context)
{
	int *err = context;

	*err = server_run("", &config, &budget, "sim", false);
}

static void sink(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

static void prepare(uint64_t days, uint64_t seed, uint64_t storage, bool clockless)
{
	world.random = world.seed = seed;
	sim_reset(seed);
	log_init(sink, LOG_NOTICE);
	memset(&life, 0, sizeof life);
	life.days = days;
	life.seed = seed;
	life.clockless = clockless;
	life.end_us = days * DAY;
	life.mail = calloc(days * (MAILS_A_DAY + 4) * 2 + 100, sizeof *life.mail);
	there = calloc(UIDS_MOST, 1);
	wear_begin();
	memset(&turn, 0, sizeof turn);
	sim_network(SIM_CHUNKS_WHOLE, 65536);
	sim_sync_time(2000, 30000);
	sim_disk(PORT_FS_EXT4, 2 * storage);
	configure(storage);
	sim_run(add_users, NULL);
	sim_kill();
	for (unsigned i = 0; i < PEOPLE + 2; i++) {
		struct actor *a = &actors[i];

		memset(a, 0, sizeof *a);
		a->n = i;
		a->live = i < PEOPLE ? live_person : i == PEOPLE ? live_mx : live_plug;
		getcontext(&a->context);
		a->context.uc_stack.ss_sp = stacks[i];
		a->context.uc_stack.ss_size = STACK;
		makecontext(&a->context, begin_actor, 0);
	}
}

static void tell(uint64_t storage)
{
	uint64_t written = sim_bytes_written();

	printf("# %s: %" PRIu64 " days, storage %" PRIu64 " MiB, seed %" PRIu64 ", %" PRIu64 " boots\n",
		life.clockless ? "no clock" : "household", life.days, storage >> 20, life.seed, life.boots);
	printf("#   %u mails, %" PRIu64 " KiB in, %" PRIu64 " refused; %" PRIu64 " visits; of INBOX %" PRIu64
	       " were let go, of Logs %" PRIu64 ", of Junk %" PRIu64 "\n",
		life.mails, life.bytes_in >> 10, life.refused, life.visits, life.gone, life.logs_gone, life.junk_gone);
	printf("#   %" PRIu64 " KiB to the file system: %.3f times what came in; %" PRIu64 " syncs, %" PRIu64
	       " KiB of blocks programmed: %.3f times\n",
		written >> 10, (double)written / (double)life.bytes_in, sim_syncs(), sim_blocks_synced() * 4,
		(double)sim_blocks_synced() * 4096 / (double)life.bytes_in);
	wear_tell("segments", ".seg");
	wear_tell("large messages", ".msg");
	wear_tell("index", "/index");
	wear_tell("superblocks", "/super.");
	printf("#   %" PRIu64 " turns of the loop; the most that one writes %" PRIu64 " KiB, reads %" PRIu64
	       " KiB; the longest %.1f ms of this machine's CPU, %u above 10 ms\n",
		turn.turns, turn.most_written >> 10, turn.most_read >> 10, (double)turn.most_ns / 1e6, turn.over_10ms);
}

static void live_through(uint64_t days, uint64_t seed, uint64_t storage, bool clockless)
{
	prepare(days, seed, storage, clockless);
	sim_on_wait(move, NULL);
	sim_on_op(each_op);
	sim_on_program(wear_program);
	while (!life.over) {
		int err = OK;
		enum sim_end end;

		if (clockless)
			sim_set_wall(0);
		life.boots++;
		booting = true;
		end = sim_run(serve, &err);
		if (end == SIM_IDLE || (end == SIM_DONE && (err != OK || !life.over)))
			fail("the server ends: %s", err_text(err));
	}
	sim_on_wait(NULL, NULL);
	sim_on_op(NULL);
	sim_on_program(NULL);
	sim_kill();
	tell(storage);
	if (life.gone == 0 || life.logs_gone == 0 || life.junk_gone == 0)
		fail("nothing had to go");
	if (clockless && (life.searched_2038 == 0 || life.boots < days))
		fail("nothing came in 2038, or the plug was not pulled");
	wear_end();
	free(life.mail);
	free(there);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
	uint64_t days = setting("DAYS", 9), seed = setting("SEED", 1);

	setvbuf(stdout, NULL, _IOLBF, 0);
	live_through(days, seed, days > 60 ? 128u << 20 : 12u << 20, false);
	/* Room for what people flag in a year, which never goes. */
	live_through(days, seed, days > 60 ? 48u << 20 : 12u << 20, true);
	printf("2 passed, 0 failed\n");
	return 0;
}
