/* The server: configuration, budget, store, listeners, freeze memory, loop. */
#include <stdio.h>
#include <string.h>

#include "account/account.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/log.h"
#include "budget.h"
#include "control/config.h"
#include "control/control.h"
#include "control/report.h"
#include "imap/imap.h"
#include "mta/lmtp.h"
#include "mta/smtp.h"
#include "net/tls.h"
#include "port/system.h"
#include "view/arrival.h"
#include "view/search.h"
#include "view/view.h"

#define CUBBY_VERSION "0.1"

/* In test builds: from here on malloc ends the program. */
extern void cubby_frozen(void) __attribute__((weak));

static struct config config;
static struct budget budget;
static struct arena arena;
static char domain[256];

static struct server {
	struct store *store;
	struct loop *loop;
	struct accounts *accounts;
	struct views *views;
	struct arrivals *arrivals;
	struct searches *searches;
	struct imap_server *imap;
	struct smtp *smtp;
	struct control *control;
	struct report_source report;
} server;

static void sink(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

static void complain(void *context, const char *text)
{
	(void)context;
	log_error("%s", text);
}

/* ---- the loop's tasks ---- */

static bool work(void *context)
{
	(void)context;
	return store_maintain(server.store) == E_AGAIN;
}

static bool wants_commit(void *context)
{
	(void)context;
	return store_wants_commit(server.store);
}

static int commit(void *context)
{
	int err = store_commit_start(server.store);

	(void)context;
	if (err == OK)
		err = store_commit_done(server.store);
	if (err == OK)
		views_committed(server.views);
	return err;
}

static uint64_t deadline(void *context)
{
	(void)context;
	return store_deadline_us(server.store);
}

static void load_certificate(void)
{
	char reason[200];

	if (!config.tls_certificate[0])
		return;
	if (tls_load(config.tls_certificate, config.tls_key, reason, sizeof reason) != OK)
		log_error("tls: %s", reason);
}

static void signals(void *context, unsigned taken)
{
	(void)context;
	if (taken & PORT_STOP) {
		log_notice("stopping");
		loop_stop(server.loop);
	}
	if (taken & PORT_RELOAD) {
		log_notice("reloading users and certificate");
		(void)accounts_reload(server.accounts);
		load_certificate();
	}
}

/* ---- start ---- */

static int start_services(void)
{
	const struct imap_parts parts = { server.store, server.views, server.arrivals, server.searches,
		server.accounts };
	const struct smtp_config smtp = { server.store, server.accounts, server.arrivals, domain, config.message_size,
		budget.loop.delivery_places, port_wall_time, port_zone_minutes };
	const struct control_config control = { { server.store, server.accounts, server.arrivals }, config.quota,
		&server.report, budget.control_sessions };
	static const struct pool *pools[1];
	int err;

	budget.imap.wall_time = port_wall_time;
	budget.imap.zone_minutes = port_zone_minutes;
	err = imap_init(&server.imap, &arena, &budget.imap, &parts);
	if (err == OK)
		err = smtp_init(&server.smtp, &arena, &smtp);
	if (err == OK)
		err = control_init(&server.control, &arena, &control);
	if (err != OK)
		return err;
	views_on_change(server.views, imap_wake);
	pools[0] = smtp_pool(server.smtp);
	server.report = (struct report_source){
		.version = CUBBY_VERSION,
		.started_us = port_now_us(),
		.memory = budget.memory,
		.arena = &arena,
		.store = server.store,
		.loop = server.loop,
		.accounts = server.accounts,
		.smtp = server.smtp,
		.pools = pools,
		.n_pools = 1,
	};
	return OK;
}

static int start_parts(char *reason, size_t cap)
{
	int err = tls_init(&arena, budget.tls_places);

	(void)snprintf(reason, cap, "no memory or no random numbers");
	if (err == OK)
		err = crypto_init(port_entropy);
	if (err == OK)
		err = loop_init(&server.loop, &arena, &budget.loop);
	if (err == OK)
		err = accounts_init(&server.accounts, &arena, config.users, budget.logins);
	if (err != OK)
		return err;
	err = store_open(&server.store, &arena, &budget.store, reason, cap);
	if (err != OK)
		return err;
	(void)snprintf(reason, cap, "the memory budget does not fit");
	err = views_init(&server.views, &arena, server.store, budget.places, budget.tombstones);
	if (err == OK)
		err = arrivals_init(&server.arrivals, &arena, server.store, budget.arrivals);
	if (err == OK)
		err = search_init(&server.searches, &arena, server.store, server.views, budget.searches);
	return err == OK ? start_services() : err;
}

/* What serves a protocol; NULL for those this build does not have. */
static const struct protocol *protocol_of(enum config_protocol p, void **context, enum listen_tls *tls)
{
	*tls = p == CONFIG_IMAPS ? LISTEN_TLS : p == CONFIG_IMAP ? LISTEN_STARTTLS : LISTEN_PLAIN;
	switch (p) {
	case CONFIG_IMAP:
	case CONFIG_IMAPS:
		*context = server.imap;
		return &imap_protocol;
	case CONFIG_LMTP:
		*context = server.smtp;
		return &lmtp_protocol;
	case CONFIG_CONTROL:
		*context = server.control;
		return &control_protocol;
	default:
		return NULL;
	}
}

/* The folder of a unix socket, which a system that forgets /run at boot does not
 * have yet. One level only, and only this process's own user may enter: packages
 * make it with a group. */
static void make_socket_folder(const char *where)
{
	char folder[CONFIG_WHERE];
	size_t n;

	(void)snprintf(folder, sizeof folder, "%s", where + strlen("unix:"));
	n = strlen(folder);
	while (n > 0 && folder[n - 1] != '/')
		n--;
	if (n < 2)
		return;
	folder[n - 1] = 0;
	if (port_mkdir(folder) == OK)
		log_notice("made %s for a socket", folder);
}

static int open_listener(const struct config_listener *l, struct listener_config *lc)
{
	int err = loop_listen(server.loop, lc);

	if (err != E_NOENT || strncmp(l->where, "unix:", 5) != 0)
		return err;
	/* Without the group the socket is its owner's alone. */
	lc->group = NULL;
	err = loop_listen(server.loop, lc);
	if (err != E_NOENT)
		return err;
	make_socket_folder(l->where);
	return loop_listen(server.loop, lc);
}

static int start_listeners(void)
{
	for (size_t i = 0; i < config.listen_n; i++) {
		const struct config_listener *l = &config.listen[i];
		struct listener_config lc = { .where = l->where, .group = "cubby" };
		int err;

		lc.protocol = protocol_of(l->protocol, &lc.context, &lc.tls);
		lc.delivery = l->protocol == CONFIG_LMTP || l->protocol == CONFIG_CONTROL;
		lc.from = l->from_n ? l->from : config.allow_from;
		lc.from_n = l->from_n ? l->from_n : config.allow_from_n;
		if (!lc.protocol) {
			log_error("listen %s: this version of Cubby does not speak it",
				config_protocol_name(l->protocol));
			return E_NOTSUP;
		}
		if (lc.tls == LISTEN_TLS && !tls_loaded()) {
			if (l->optional)
				continue;
			log_error("listen %s %s: there is no certificate: `tls CERT KEY`",
				config_protocol_name(l->protocol), l->where);
			return E_STATE;
		}
		err = open_listener(l, &lc);
		if (err != OK && l->optional) {
			log_warning("listen %s %s: %s", config_protocol_name(l->protocol), l->where, err_text(err));
			continue;
		}
		if (err != OK) {
			log_error("listen %s %s: %s", config_protocol_name(l->protocol), l->where, err_text(err));
			return err;
		}
	}
	return OK;
}

static int serve(bool detach)
{
	static const struct loop_tasks tasks = { NULL, work, wants_commit, commit, deadline, signals };
	char reason[256];
	void *space = port_map((size_t)budget.memory, config.memory_lock);
	int err;

	if (!space) {
		log_error("%llu KiB of memory can't be had", (unsigned long long)(budget.memory >> 10));
		return 1;
	}
	arena_init_zeroed(&arena, space, (size_t)budget.memory);
	err = start_parts(reason, sizeof reason);
	if (err != OK) {
		log_error("%s (%s)", reason, err_text(err));
		return 1;
	}
	load_certificate();
	loop_tasks(server.loop, &tasks);
	if (start_listeners() != OK)
		return 1;
	if (config.run_as[0] && port_drop_privileges(config.run_as, config.chroot[0] ? config.chroot : NULL) != OK) {
		log_error("run-as %s: no such user, or not started as root", config.run_as);
		return 1;
	}
	if (detach && port_detach() != OK)
		return 1;
	arena_freeze(&arena);
	if (cubby_frozen)
		cubby_frozen();
	log_notice("cubbyd %s serves %s: %lu connections in %llu KiB", CUBBY_VERSION, config.store,
		(unsigned long)config.connections, (unsigned long long)(budget.memory >> 10));
	err = loop_run(server.loop);
	store_close(server.store);
	return err == OK ? 0 : 1;
}

/* ---- command line ---- */

static void print_budget(void)
{
	char line[200];
	struct buf out;

	for (unsigned row = 0;; row++) {
		buf_init(&out, line, sizeof line);
		if (!budget_line(&budget, row, &out))
			return;
		(void)buf_putc(&out, '\n');
		(void)port_stdout(line, out.len);
	}
}

/* Text for a cell of a Markdown table. */
static void put_cell(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			(void)buf_putc(out, '\\');
		(void)buf_putc(out, (uint8_t)(*text == '\n' ? ';' : *text));
	}
}

static void print_settings(void)
{
	static const char head[] = "| setting | default | what it is |\n|---|---|---|\n";
	struct config_setting setting;
	char line[1200];
	struct buf out;

	(void)port_stdout(head, sizeof head - 1);
	for (size_t i = 0; config_setting(i, &setting); i++) {
		buf_init(&out, line, sizeof line);
		(void)buf_puts(&out, "| `");
		(void)buf_puts(&out, setting.key);
		(void)buf_putc(&out, ' ');
		put_cell(&out, setting.form);
		(void)buf_puts(&out, "` | ");
		put_cell(&out, setting.value);
		(void)buf_puts(&out, " | ");
		put_cell(&out, setting.help);
		(void)buf_puts(&out, " |\n");
		(void)port_stdout(line, out.len);
	}
}

static int usage(void)
{
	static const char text[] = "usage: cubbyd -c FILE [-d | -t | --budget]\n"
				   "       cubbyd --settings | --version\n"
				   "  -c FILE    the configuration\n"
				   "  -d         detach, log to syslog\n"
				   "  -t         only check the configuration\n"
				   "  --budget   print the table of memory\n"
				   "  --settings print what the configuration may say\n";

	(void)port_stdout(text, sizeof text - 1);
	return 2;
}

static void note_domain(void *context, const char *name, bool is_ip)
{
	(void)context;
	if (!is_ip && !domain[0])
		(void)snprintf(domain, sizeof domain, "%s", name);
}

/* Settings that are understood, so that one configuration serves all versions,
 * but that nothing acts on yet. */
static void warn_of_settings(const char *file)
{
	static const char *const later[] = { "mailbox", "evict", "imap4rev2" };
	struct config_setting setting;

	for (size_t i = 0; config_setting(i, &setting); i++)
		for (size_t k = 0; k < sizeof later / sizeof *later; k++)
			if (config.line[i] && bytes_starts_nocase(bytes_of(setting.key), later[k]))
				log_warning("%s:%u: %s has no effect in this version", file, (unsigned)config.line[i],
					setting.key);
}

static int read_config(const char *file)
{
	char reason[200];

	if (config_read(file, &config, complain, NULL) != OK)
		return 1;
	if (budget_make(&config, &budget, reason, sizeof reason) != OK) {
		log_error("%s: %s", file, reason);
		return 1;
	}
	warn_of_settings(file);
	(void)snprintf(domain, sizeof domain, "%s", config.domain);
	if (!domain[0])
		(void)port_box_names(note_domain, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	const char *file = NULL, *mode = "";

	log_init(sink, LOG_NOTICE);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
			file = argv[++i];
		else if (!mode[0])
			mode = argv[i];
		else
			return usage();
	}
	if (strcmp(mode, "--version") == 0) {
		(void)port_stdout("cubbyd " CUBBY_VERSION "\n", sizeof "cubbyd " CUBBY_VERSION);
		return 0;
	}
	if (strcmp(mode, "--settings") == 0) {
		print_settings();
		return 0;
	}
	if (!file || (mode[0] && strcmp(mode, "-d") != 0 && strcmp(mode, "-t") != 0 && strcmp(mode, "--budget") != 0))
		return usage();
	if (read_config(file) != 0)
		return 1;
	if (strcmp(mode, "-t") == 0) {
		log_notice("%s is fine", file);
		return 0;
	}
	if (strcmp(mode, "--budget") == 0) {
		print_budget();
		return 0;
	}
	port_signals_init();
	if (strcmp(mode, "-d") == 0)
		port_log_syslog("cubbyd");
	return serve(strcmp(mode, "-d") == 0);
}
