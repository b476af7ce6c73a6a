/* The simulated box around the server, the course of a seed: bursts of work with
 * faults, deaths, audits, and a last stretch in which nothing fails. */
#include "server_sim.h"

#include "account/account.h"
#include "base/crypto.h"
#include "base/log.h"
#include "budget.h"
#include "server.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STORE_DIR "/store"
#define USERS_FILE "/users"

struct world world;
const char *const box_names[BOXES] = { "INBOX", "Archive", "Trash", "Junk" };
const char *const user_names[USERS_MOST] = { "anna", "bert", "carl" };

static struct config config;
static struct budget budget;

/* ---- chance, hash, failure ---- */

uint64_t rnd(uint64_t limit)
{
	uint64_t z = world.random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % limit;
}

bool percent(unsigned n)
{
	return rnd(100) < n;
}

void note(const void *data, size_t len)
{
	const uint8_t *at = data;

	for (size_t i = 0; i < len; i++)
		world.hash = (world.hash ^ at[i]) * 0x100000001b3u;
}

static void nothing(void *context)
{
	(void)context;
}

void wake_in(uint64_t us)
{
	sim_after(us ? us : 1, nothing, NULL);
}

void broken(const char *format, ...)
{
	va_list args;

	printf("not ok: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n# again: SEED=%" PRIu64 " build/sim/sim_server\n", world.seed);
	for (unsigned i = 0, n = sim_log_count(); i < n; i++)
		if (i + 12 >= n)
			printf("# log: %s\n", sim_log_line(i));
	fflush(stdout);
	_exit(1);
}

/* ---- the box ---- */

static void sink(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

bool world_add_users(const char *file, const char *const *names, unsigned n)
{
	static uint8_t memory[1 << 20];
	struct arena arena;
	struct accounts *accounts;
	struct account_user user;
	bool good = true;

	arena_init(&arena, memory, sizeof memory);
	if (crypto_init(port_entropy) != OK || accounts_init(&accounts, &arena, file, 1) != OK)
		return false;
	for (unsigned i = 0; i < n && good; i++)
		good = account_add(accounts, bytes_of(names[i]), bytes_of("geheim"), false, ACCOUNT_ITERATIONS_LEAST,
			       &user) == OK;
	accounts_close(accounts);
	return good;
}

static void add_users(void *context)
{
	(void)context;
	if (!world_add_users(USERS_FILE, user_names, world.users))
		broken("no users");
}

static void add_listener(enum config_protocol protocol, const char *where)
{
	struct config_listener *l = &config.listen[config.listen_n++];

	memset(l, 0, sizeof *l);
	l->protocol = protocol;
	snprintf(l->where, sizeof l->where, "%s", where);
}

static void configure(void)
{
	char reason[200];

	config_defaults(&config);
	config.listen_n = 0;
	add_listener(CONFIG_IMAP, "127.0.0.1:143");
	add_listener(CONFIG_LMTP, "127.0.0.1:24");
	add_listener(CONFIG_CONTROL, "unix:" CONTROL_PATH);
	snprintf(config.store, sizeof config.store, STORE_DIR);
	snprintf(config.users, sizeof config.users, USERS_FILE);
	config.storage = world.storage;
	config.memory = 3 << 20;
	config.connections = 12;
	config.message_size = 1 << 20;
	config.cleartext_login = CONFIG_CLEARTEXT_ALWAYS;
	config.flag_delay_s = (uint32_t)(world.flag_delay_us / 1000000);
	config.evict = world.evict;
	config.evict_seen_age_s = config.evict_protect_s = 0;
	if (budget_make(&config, &budget, reason, sizeof reason) != OK)
		broken("the budget: %s", reason);
}

static void serve(void *context)
{
	int *err = context;

	*err = server_run("", &config, &budget, "sim", false);
}

/* ---- the course of a seed ---- */

static struct {
	unsigned epochs; /* bursts of work left */
	uint64_t cut_left; /* the cut of this burst is armed */
	uint64_t turns, spins;
	bool dead; /* the server died since the last audit */
	uint64_t died_us;
	uint64_t fault_us; /* when something of the network or clock fails next */
	bool no_more; /* nothing fails any more */
	bool kill_now, stop_now;
	bool disk_full; /* another program has filled the disk in this burst */
	uint64_t storage_worst;
} course;

static void set_mode(enum mode mode)
{
	world.mode = mode;
	world.mode_since_us = sim_time_us();
	if (mode == MODE_AUDIT)
		audit_begin(rnd(3) == 0 || course.no_more);
	if (mode == MODE_STATUS)
		audit_status_begin();
}

static void disarm(void)
{
	for (int op = SIM_OP_NONE; op < SIM_OP_COUNT; op++)
		sim_fail((enum sim_op)op, 0, OK, false);
	sim_disk_taken(0);
}

/* Something of the device fails during this burst. */
static void arm_device(void)
{
	static const enum sim_op ops[] = { SIM_OP_WRITE, SIM_OP_SYNC, SIM_OP_SYNC_DIR, SIM_OP_CREATE, SIM_OP_READ };
	enum sim_op op = ops[rnd(5)];

	world.faulty = true;
	if (rnd(3) == 0) {
		/* another program takes what is left, or nearly so */
		uint64_t left = 2 * world.storage - sim_charged("/");

		sim_disk_taken(left - (left < 400000 ? 0 : rnd(400000)));
		course.disk_full = true;
		world.sums->disk_full++;
		return;
	}
	sim_fail(op, 1 + rnd(60), op == SIM_OP_WRITE && rnd(2) ? E_NOSPC : E_IO, rnd(3) == 0);
	world.sums->io_faults++;
}

static void begin_work(void)
{
	set_mode(MODE_WORK);
	world.work_left = 10 + rnd(150);
	sim_cut_at(0);
	course.fault_us = 0;
	if (course.no_more)
		return;
	if (percent(70))
		sim_cut_at(1 + rnd(world.work_left * 3));
	else if (percent(20))
		arm_device();
	if (percent(30))
		course.fault_us = sim_time_us() + rnd(20000000);
	if (percent(10)) {
		static const int64_t walls[] = { 0, 86400, 1704067200, 2147483000, 4102444800 };

		sim_set_wall(walls[rnd(5)]);
		world.sums->clocks++;
	}
}

static bool all_quiet(void)
{
	for (unsigned i = 0; i < world.imaps; i++)
		if (!imap_quiet(i))
			return false;
	for (unsigned i = 0; i < world.lmtps; i++)
		if (!lmtp_quiet(i))
			return false;
	return true;
}

static bool all_settled(void)
{
	for (unsigned i = 0; i < world.imaps; i++)
		if (!imap_settled(i))
			return false;
	return true;
}

static void cure(void)
{
	for (unsigned i = 0; i < world.imaps; i++)
		imap_cure(i);
	for (unsigned i = 0; i < world.lmtps; i++)
		lmtp_cure(i);
}

static void network_fault(void)
{
	unsigned n = (unsigned)rnd(world.imaps + world.lmtps);

	if (n < world.imaps)
		imap_fault(n);
	else
		lmtp_fault(n - world.imaps);
	course.fault_us = percent(70) ? sim_time_us() + 1 + rnd(20000000) : 0;
	if (course.fault_us)
		wake_in(course.fault_us - sim_time_us());
}

/* What comes after an audit. */
static void next_burst(void)
{
	if (course.epochs > 0)
		course.epochs--;
	if (course.epochs == 0 && !course.no_more) {
		course.no_more = true;
		disarm();
		begin_work();
	} else if (course.no_more) {
		set_mode(MODE_LEAVE);
	} else if (percent(25)) {
		world.sums->stops++;
		course.stop_now = true;
		sim_signal(PORT_STOP);
	} else {
		begin_work();
	}
}

static void broken_by(const char *what)
{
	for (unsigned i = 0; i < world.imaps; i++)
		printf("# %s\n", imap_state(i));
	for (unsigned i = 0; i < world.lmtps; i++)
		printf("# %s\n", lmtp_state(i));
	broken("%s (mode %d)", what, (int)world.mode);
}

static void stuck(void)
{
	broken_by("somebody does not come to an end with his work");
}

/* What the one who asks may have taken himself. */
static bool askers(const char *name)
{
	return strncmp(name, "control sessions", 16) == 0 || strncmp(name, "input ", 6) == 0 ||
		strncmp(name, "output ", 7) == 0;
}

/* With nobody connected but the one who asks, nothing may be taken. */
static void check_pools(void)
{
	unsigned used, count, pools = 0;

	for (const char *at = audit_status(); (at = strstr(at, "\n:pool ")) != NULL; at++) {
		const char *of = strstr(at, " of ");
		const char *number = of;

		while (number && number > at && number[-1] >= '0' && number[-1] <= '9')
			number--;
		if (!number || sscanf(number, "%u of %u used", &used, &count) != 2)
			broken("a pool that can't be read: %.60s", at);
		pools++;
		if (used > (askers(at + 7) ? 1 : 0))
			broken("a pool is not given back: %.60s", at + 2);
	}
	if (pools < 3)
		broken("the server tells of %u pools: %s", pools, audit_status());
}

static void advance_mode(void)
{
	switch (world.mode) {
	case MODE_WORK:
		if (world.work_left > 0 && sim_time_us() - world.mode_since_us < 600000000)
			return;
		sim_cut_at(0);
		disarm();
		cure();
		if (course.disk_full && rnd(2))
			world.faulty = false; /* with room again everything must go on */
		course.disk_full = false;
		if (world.faulty || (percent(25) && !course.no_more)) {
			course.kill_now = true; /* whatever was refused may be told only by a new start */
			return;
		}
		set_mode(MODE_FINISH);
		return;
	case MODE_FINISH:
		if (all_quiet())
			set_mode(MODE_NEWS);
		return;
	case MODE_NEWS:
		if (all_settled() && all_quiet())
			set_mode(MODE_AUDIT);
		return;
	case MODE_AUDIT:
		if (!audit_done())
			return;
		if (!course.dead)
			imap_compare(audit_boxes());
		imap_unsettle();
		truth_audit(audit_boxes(), course.dead, course.died_us);
		world.sums->audits++;
		world.sums->calms += !course.dead;
		course.dead = world.was_faulty = false;
		next_burst();
		return;
	case MODE_LEAVE:
		for (unsigned i = 0; i < world.imaps; i++)
			if (!imap_quiet(i))
				return;
		if (sim_open_sockets() == 0)
			set_mode(MODE_STATUS);
		return;
	case MODE_STATUS:
		if (!audit_status_done())
			return;
		check_pools();
		world.mode = MODE_OVER;
		sim_signal(PORT_STOP);
		return;
	case MODE_OVER:
		return;
	}
}

/* Turns of the loop, one behind the other, in which no byte moves and no time
 * passes but its own. */
#define SPINS_MOST 20000

static bool move(void *context)
{
	bool moved = false;

	(void)context;
	course.turns++;
	if (course.stop_now)
		return false;
	if (course.fault_us && sim_time_us() >= course.fault_us && world.mode == MODE_WORK)
		network_fault();
	for (unsigned i = 0; i < world.imaps; i++)
		moved |= imap_move(i);
	for (unsigned i = 0; i < world.lmtps; i++)
		moved |= lmtp_move(i);
	if (world.mode == MODE_AUDIT)
		moved |= audit_move();
	if (!moved) {
		enum mode was = world.mode;

		advance_mode();
		moved = world.mode != was;
	}
	course.spins = moved ? 0 : course.spins + 1;
	if (course.spins == SPINS_MOST)
		broken_by("the server turns without an end and nobody has anything to do");
	if (course.kill_now) {
		course.kill_now = false;
		sim_power_cut(&sim_mixed);
	}
	if (world.mode != MODE_WORK && sim_time_us() - world.mode_since_us > 3600000000u)
		stuck();
	return moved;
}

static void each_op(void)
{
	uint64_t n = sim_charged(STORE_DIR);

	if (n > course.storage_worst)
		course.storage_worst = n;
	if (n > world.storage)
		broken("the store's files take %" PRIu64 " of %" PRIu64 " bytes", n, world.storage);
}

/* ---- dying and rising ---- */

static const struct sim_policy *any_policy(void)
{
	static const struct sim_policy *const policies[] = { &sim_keep_all, &sim_lose_all, &sim_mixed, &sim_mixed,
		&sim_torn, &sim_garbage, &sim_reordered, &sim_first_lost };

	return policies[rnd(8)];
}

static void everybody_hears(void)
{
	for (unsigned i = 0; i < world.imaps; i++)
		imap_died(i);
	for (unsigned i = 0; i < world.lmtps; i++)
		lmtp_died(i);
	audit_died();
}

static void died(void)
{
	course.dead = true;
	course.died_us = sim_time_us();
	everybody_hears();
	disarm();
}

static enum cut_place place_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (dot && strcmp(dot, ".seg") == 0)
		return AT_LOG;
	if (dot && strcmp(dot, ".msg") == 0)
		return AT_LARGE;
	if (strstr(path, "/index") || strstr(path, "/super."))
		return AT_CHECKPOINT;
	return strstr(path, "/reserve") ? AT_RESERVE : AT_OTHER;
}

/* One boot: until the server stops, dies or cannot start. */
static void boot(void)
{
	int err = OK;
	bool fresh = true;
	enum sim_end end;

	world.sums->boots++;
	course.stop_now = false;
	set_mode(MODE_AUDIT);
	if (!course.no_more && percent(50))
		sim_cut_at(1 + rnd(rnd(3) ? 12 : 40));
	end = sim_run(serve, &err);
	fresh = sim_time_us() == world.mode_since_us;
	if (end == SIM_CUT) {
		world.sums->cuts[sim_cut_kind()][place_of(sim_cut_path())]++;
		world.sums->cuts_starting += world.mode == MODE_AUDIT;
		if (percent(15)) {
			sim_kill();
			sim_drop_caches();
			world.sums->kills++;
		} else {
			sim_power_cut(any_policy());
		}
		died();
	} else if (end == SIM_IDLE) {
		stuck();
	} else if (world.mode != MODE_OVER) {
		if (err != OK || !course.stop_now)
			broken("the server ends with %s%s", err_text(err), fresh ? " at its start" : "");
		everybody_hears();
		sim_kill();
	}
	sim_cut_at(0);
	world.was_faulty |= world.faulty;
	world.faulty = false;
}

static void make_world(uint64_t seed)
{
	struct sums *sums = world.sums;

	for (unsigned i = 0; i < USERS_MOST * BOXES; i++)
		free(world.box[i].facts);
	memset(&world, 0, sizeof world);
	world.sums = sums;
	world.seed = seed;
	world.random = seed * 1000003;
	world.hash = 0xcbf29ce484222325u;
	world.users = 1 + (unsigned)rnd(USERS_MOST);
	world.imaps = 2 + (unsigned)rnd(IMAP_CLIENTS - 1);
	world.lmtps = 1 + (unsigned)rnd(LMTP_CLIENTS);
	world.storage = (4 + rnd(5)) << 20;
	world.evict = rnd(2);
	world.message_most = rnd(3) ? 6000 : 40000;
	world.flag_delay_us = rnd(4) ? 5000000 : 0;
	for (unsigned i = 0; i < IMAP_CLIENTS; i++)
		world.condstore[i] = rnd(2);
	memset(&course, 0, sizeof course);
	course.epochs = 6 + (unsigned)rnd(20);
}

/* The crypto library keeps, for the life of a process, what its first start has
 * taken from the source of entropy (PSA's generator): a start before all others,
 * so that every life finds the same. */
static void warm_up(void)
{
	static bool warm;
	int err;

	if (warm)
		return;
	warm = true;
	make_world(1);
	sim_reset(1);
	log_init(sink, LOG_NOTICE);
	configure();
	sim_signal(PORT_STOP);
	sim_run(serve, &err);
}

void live(uint64_t seed)
{
	warm_up();
	make_world(seed);
	sim_reset(seed);
	log_init(sink, LOG_NOTICE);
	truth_reset();
	audit_reset();
	for (unsigned i = 0; i < IMAP_CLIENTS; i++)
		imap_reset(i);
	for (unsigned i = 0; i < LMTP_CLIENTS; i++)
		lmtp_reset(i);
	sim_network(rnd(4) ? SIM_CHUNKS_RANDOM : SIM_CHUNKS_WHOLE, 2000 + rnd(20000));
	if (rnd(3) == 0)
		sim_sync_time(0, 30000);
	sim_disk(rnd(2) ? PORT_FS_UBIFS : PORT_FS_EXT4, 2 * world.storage);
	configure();
	sim_run(add_users, NULL);
	sim_kill();
	sim_on_wait(move, NULL);
	sim_on_op(each_op);
	while (world.mode != MODE_OVER)
		boot();
	sim_on_wait(NULL, NULL);
	sim_on_op(NULL);
	sim_kill();
	world.storage_worst = course.storage_worst;
	world.sums->seeds++;
	world.sums->seconds += sim_time_us() / 1000000;
}
