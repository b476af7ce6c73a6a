/* A whole box on the simulated port for the tests of what brings mail in: store,
 * users anna, bert and chef (the administrator), LMTP and the control socket in
 * one loop. The first start makes the disk; later ones begin from its image. */
#ifndef TESTS_MAIL_BOX_H
#define TESTS_MAIL_BOX_H

#include "base/crypto.h"
#include "base/err.h"
#include "base/log.h"
#include "control/control.h"
#include "mta/lmtp.h"
#include "net/inner.h"
#include "port/sim/sim.h"
#include "tests/unit/t.h"
#include "view/mailboxes.h"

/* Turns without a byte until nothing more is awaited: a line of 80 bytes one by
 * one, and a message of 1 MiB read in slices, take fewer. */
#define BOX_QUIET 100

/* Beside the store's: rounding. */
#define BOX_MEMORY (6u << 20)

static const struct store_config box_store = {
	.dir = "mail",
	.storage = 8u << 20,
	.message_max = 1u << 20,
	.owner_quota = 2u << 20,
	.cache_pages = 64,
	.log_buffer = 128 << 10,
	.upload_bytes = 256 << 10,
	.uploads = 8,
	.allow_volatile = true,
};
static const struct loop_config box_loop_config = {
	.connections = 4,
	.login_places = 2,
	.delivery_places = 4,
	.input_buffers = 4,
	.long_buffers = 1,
	.output_buffers = 4,
	.login_timeout_s = 60,
	.write_timeout_s = 30,
};

static uint8_t box_memory[BOX_MEMORY];
static struct arena box_arena;
static struct store *box_st;
static struct accounts *box_accounts;
static struct arrivals *box_arrivals;
static struct smtp *box_smtp;
static struct control *box_control;
static struct loop *box_loop;
static struct report_source box_report;
static struct sim_image *box_image;

static bool box_work(void *context)
{
	(void)context;
	return store_maintain(box_st) == E_AGAIN;
}

static bool box_wants_commit(void *context)
{
	(void)context;
	return store_wants_commit(box_st);
}

static int box_commit(void *context)
{
	int err = store_commit_start(box_st);

	(void)context;
	return err == OK ? store_commit_done(box_st) : err;
}

static uint64_t box_deadline(void *context)
{
	(void)context;
	return store_deadline_us(box_st);
}

/* Starts the server on the disk as it is. */
static void box_open(void)
{
	static const struct loop_tasks tasks = { NULL, box_work, box_wants_commit, box_commit, box_deadline, NULL };
	const struct control_config control = { { NULL, NULL, NULL }, &box_report, 2, NULL, NULL };
	struct smtp_config smtp = { .domain = "box.home.arpa",
		.message_max = box_store.message_max,
		.sessions = 4,
		.wall_time = port_wall_time,
		.zone_minutes = port_zone_minutes };
	struct control_config c = control;
	struct listener_config l = { .protocol = &lmtp_protocol, .delivery = true };
	char reason[200] = "";
	int err;

	memset(box_memory, 0, sizeof box_memory);
	arena_init(&box_arena, box_memory, sizeof box_memory);
	T_EQ(crypto_init(port_entropy), OK);
	T_EQ(loop_init(&box_loop, &box_arena, &box_loop_config), OK);
	T_EQ(accounts_init(&box_accounts, &box_arena, "users", 1), OK);
	err = store_open(&box_st, &box_arena, &box_store, reason, sizeof reason);
	if (err != OK)
		T_FAIL("%s: %s", err_text(err), reason);
	T_EQ(arrivals_init(&box_arrivals, &box_arena, box_st, 2), OK);
	smtp.store = c.place.store = box_st;
	smtp.accounts = c.place.accounts = box_accounts;
	smtp.arrivals = c.place.arrivals = box_arrivals;
	T_EQ(smtp_init(&box_smtp, &box_arena, &smtp), OK);
	T_EQ(control_init(&box_control, &box_arena, &c), OK);
	box_report = (struct report_source){ .version = "test",
		.arena = &box_arena,
		.store = box_st,
		.loop = box_loop,
		.accounts = box_accounts,
		.smtp = box_smtp };
	loop_tasks(box_loop, &tasks);
	l.where = "127.0.0.1:24";
	l.context = box_smtp;
	T_EQ(loop_listen(box_loop, &l), OK);
	l.where = "unix:lmtp";
	T_EQ(loop_listen(box_loop, &l), OK);
	l.where = "unix:control";
	l.protocol = &control_protocol;
	l.context = box_control;
	T_EQ(loop_listen(box_loop, &l), OK);
	l.where = "127.0.0.1:25";
	T_EQ(loop_listen(box_loop, &l), OK);
}

static void turns(unsigned n)
{
	while (n--)
		T_EQ(loop_turn(box_loop, 0), OK);
}

static void box_first(void)
{
	static const char *const names[] = { "anna", "bert", "chef" };
	struct account_user user;
	store_ticket ticket;

	box_open();
	for (int i = 0; i < 3; i++) {
		int err;

		T_EQ(account_add(box_accounts, bytes_of(names[i]), bytes_of("p"), i == 2, 4096, &user), OK);
		while ((err = mailboxes_ensure_user(box_st, user.id, &ticket)) == E_AGAIN)
			turns(1);
		T_EQ(err, OK);
		turns(4);
	}
	T_EQ(store_mailbox_create(box_st, 1, bytes_of("Lists/Cubby"), 0, &(uint32_t){ 0 }, &ticket), OK);
	turns(4);
	store_close(box_st);
	accounts_close(box_accounts);
	box_image = sim_image_save();
}

/* A box as it is after its first day, with the network as asked for. */
static void box_start(uint64_t seed, enum sim_chunks chunks)
{
	sim_reset(seed);
	if (!box_image)
		box_first();
	sim_reset(seed);
	sim_image_load(box_image);
	sim_network(chunks, 16384);
	box_open();
}

/* Everything that connections held was given back. */
static inline void box_nothing_left(void)
{
	/* sockets may linger a while after their last words */
	sim_advance_us(LINGER_US);
	T_EQ(loop_turn(box_loop, 0), OK);
	T_EQ(box_loop->inputs.used, 0);
	T_EQ(box_loop->longs.used, 0);
	T_EQ(box_loop->outputs.used, 0);
	T_EQ(smtp_pool(box_smtp)->used, 0);
	T_EQ(sim_open_sockets(), 0);
}

static uint32_t box_count(uint32_t owner, const char *name)
{
	struct store_mailbox box;
	uint32_t id;

	T_EQ(store_mailbox_find(box_st, owner, bytes_of(name), &id), OK);
	T_EQ(store_mailbox_get(box_st, id, &box), OK);
	return box.messages;
}

/* The n-th message of a mailbox into out, with a NUL. */
static size_t box_message(uint32_t owner, const char *name, uint32_t n, char *out, size_t cap)
{
	struct store_entry e;
	uint32_t id;
	int64_t len;

	T_EQ(store_mailbox_find(box_st, owner, bytes_of(name), &id), OK);
	T_EQ(store_entry_at(box_st, id, n, &e), OK);
	len = store_body(box_st, e.object, 0, out, cap - 1);
	T_OK(len >= 0);
	out[len] = 0;
	return (size_t)len;
}

/* Sends all of it, with turns in between. */
static inline void box_send(sim_client c, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		int64_t n = sim_client_send(c, at, len);

		if (n < 0)
			return; /* closed: what came before is to be read */
		at += n;
		len -= (size_t)n;
		turns(1);
	}
}

/* What comes until nothing comes any more, with a NUL. */
static inline const char *box_read(sim_client c)
{
	static char got[65536];
	size_t len = 0;

	for (unsigned quiet = 0; quiet < BOX_QUIET;) {
		int64_t n;

		turns(1);
		n = sim_client_recv(c, got + len, sizeof got - 1 - len);
		if (n < 0)
			break;
		quiet = n ? 0 : quiet + 1;
		len += (size_t)n;
	}
	got[len] = 0;
	return got;
}

/* Says something, and what comes back is exactly that. */
#define T_SAY(c, text, expected) \
	do { \
		const char *t_got; \
		box_send(c, text, strlen(text)); \
		t_got = box_read(c); \
		T_BYTES(t_got, strlen(t_got), expected); \
	} while (0)

#endif
