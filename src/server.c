/* The server's life: keys and ports, the user to be, store, services, freeze,
 * loop, and what the loop calls in each turn. */
#include "server.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "account/account.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/log.h"
#include "control/control.h"
#include "control/damage.h"
#include "control/eviction.h"
#include "control/notice.h"
#include "control/report.h"
#include "imap/imap.h"
#include "mta/lmtp.h"
#include "mta/smtp.h"
#include "net/tls.h"
#include "port/network.h"
#include "port/system.h"
#include "view/arrival.h"
#include "view/search.h"
#include "view/view.h"

/* In test builds: from here on malloc ends the program. */
extern void cubby_frozen(void) __attribute__((weak));

/* The command line's, for the life of the process. */
static struct config *config;
static struct budget *budget;
static const char *domain, *config_file;
static struct arena arena;

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
	struct notices *notices;
	struct eviction *eviction;
	struct damage damage;
	struct report_source report;
	struct reload_parts reload;
} server;

/* ---- the loop's tasks ---- */

static bool work(void *context)
{
	bool more = store_maintain(server.store) == E_AGAIN;

	(void)context;
	more |= eviction_work(server.eviction) == E_AGAIN;
	damage_work(&server.damage);
	return notices_work(server.notices) == E_AGAIN || more;
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
	uint64_t at = store_deadline_us(server.store), notices = notices_deadline_us(server.notices);

	uint64_t warnings = eviction_deadline_us(server.eviction), damage = damage_deadline_us(&server.damage);

	(void)context;
	if (damage && damage < at)
		at = damage;
	if (warnings && warnings < at)
		at = warnings;
	return notices && notices < at ? notices : at;
}

static void load_certificate(void)
{
	char reason[200];

	if (!config->tls_certificate[0])
		return;
	if (tls_load(config->tls_certificate, config->tls_key, reason, sizeof reason) != OK)
		log_error("tls: %s", reason);
}

static void say_reload(void *context, const char *line)
{
	(void)context;
	log_notice("reload: %s", line);
}

static void signals(void *context, unsigned taken)
{
	(void)context;
	if (taken & PORT_STOP) {
		log_notice("stopping");
		loop_stop(server.loop);
	}
	if (taken & PORT_RELOAD) {
		log_notice("reloading");
		(void)reload(&server.reload, say_reload, NULL);
	}
}

/* ---- start ---- */

/* How often the store's lock is tried, and milliseconds between two tries: a tool
 * holds it for as long as one message takes, or one import. */
#define STORE_TRIES 20
#define STORE_TRY_MS 100

static int start_services(void)
{
	const struct imap_parts parts = { server.store, server.views, server.arrivals, server.searches,
		server.accounts };
	const struct smtp_config smtp = { server.store, server.accounts, server.arrivals, domain, config->message_size,
		budget->deliveries, port_wall_time, port_zone_minutes };
	struct control_config control = { { server.store, server.accounts, server.arrivals }, &server.report,
		budget->control_sessions, &server.reload, NULL };
	const struct notices_config notices = { server.store, server.accounts, server.arrivals,
		domain[0] ? domain : "localhost", (enum notice_language)config->language };
	int err;

	budget->imap.wall_time = port_wall_time;
	budget->imap.zone_minutes = port_zone_minutes;
	err = imap_init(&server.imap, &arena, &budget->imap, &parts);
	if (err == OK)
		err = smtp_init(&server.smtp, &arena, &smtp);
	if (err == OK)
		err = notices_init(&server.notices, &arena, &notices);
	if (err == OK) {
		const struct eviction_config eviction = { server.store, server.accounts, server.notices, config };

		err = eviction_init(&server.eviction, &arena, &eviction);
	}
	server.damage = (struct damage){ .store = server.store,
		.accounts = server.accounts,
		.notices = server.notices,
		.eviction = server.eviction };
	control.eviction = server.eviction;
	if (err == OK)
		err = control_init(&server.control, &arena, &control);
	if (err != OK)
		return err;
	views_on_change(server.views, imap_wake);
	server.report = (struct report_source){
		.version = CUBBY_VERSION,
		.started_us = port_now_us(),
		.memory = budget->memory,
		.arena = &arena,
		.store = server.store,
		.loop = server.loop,
		.accounts = server.accounts,
		.smtp = server.smtp,
		.imap = server.imap,
	};
	server.reload = (struct reload_parts){ config_file, config, server.loop, server.accounts, server.imap,
		&budget->imap, server.eviction };
	return OK;
}

/* A tool that found no server to ask has opened the store itself, for a moment: it
 * is waited for. */
static void wait_for_tools(void)
{
	for (unsigned i = 0; i < STORE_TRIES && store_in_use(config->store); i++)
		(void)port_wait(NULL, 0, STORE_TRY_MS);
}

static int start_store(void)
{
	char reason[PORT_PATH_MAX + 128] = "the users can't be read";
	int err = accounts_init(&server.accounts, &arena, config->users, budget->logins);

	wait_for_tools();
	if (err == OK)
		err = store_open(&server.store, &arena, &budget->store, reason, sizeof reason);
	if (err != OK && !reason[0])
		(void)snprintf(reason, sizeof reason, "%s: %s", config->store, err_text(err));
	if (err != OK) {
		log_error("%s", reason);
		return err;
	}
	err = views_init(&server.views, &arena, server.store, budget->places, budget->tombstones);
	if (err == OK)
		err = arrivals_init(&server.arrivals, &arena, server.store, budget->arrivals);
	if (err == OK)
		err = search_init(&server.searches, &arena, server.store, server.views, budget->searches);
	if (err == OK)
		err = start_services();
	if (err != OK)
		log_error("the memory budget does not fit (%s)", err_text(err));
	return err;
}

/* What serves a protocol; NULL for those this build does not have. */
static const struct protocol *protocol_of(enum config_protocol p, enum listen_tls *tls)
{
	*tls = p == CONFIG_IMAPS ? LISTEN_TLS : p == CONFIG_IMAP ? LISTEN_STARTTLS : LISTEN_PLAIN;
	switch (p) {
	case CONFIG_IMAP:
	case CONFIG_IMAPS:
		return &imap_protocol;
	case CONFIG_LMTP:
		return &lmtp_protocol;
	case CONFIG_CONTROL:
		return &control_protocol;
	default:
		return NULL;
	}
}

bool server_speaks(enum config_protocol protocol)
{
	enum listen_tls tls;

	return protocol_of(protocol, &tls);
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
	for (size_t i = 0; i < config->listen_n; i++) {
		const struct config_listener *l = &config->listen[i];
		struct listener_config lc = { .where = l->where, .group = "cubby" };
		int err;

		lc.protocol = protocol_of(l->protocol, &lc.tls);
		assert(lc.protocol); /* server_speaks was asked before */
		lc.delivery = l->protocol == CONFIG_LMTP || l->protocol == CONFIG_CONTROL;
		lc.most = l->protocol == CONFIG_LMTP    ? budget->deliveries
			: l->protocol == CONFIG_CONTROL ? budget->control_sessions
							: 0;
		lc.from = l->from_n ? l->from : config->allow_from;
		lc.from_n = l->from_n ? l->from_n : config->allow_from_n;
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

/* What must be had while the process is still root: keys and ports. */
static int start_network(void)
{
	int err = tls_init(&arena, budget->tls_places);

	if (err == OK)
		err = crypto_init(port_entropy);
	if (err == OK)
		err = loop_init(&server.loop, &arena, &budget->loop);
	if (err != OK) {
		log_error("no memory or no random numbers (%s)", err_text(err));
		return err;
	}
	load_certificate();
	return start_listeners();
}

/* A path as it is called from inside the chroot. */
static int go_inside(char *path)
{
	size_t n = strlen(config->chroot);

	while (n > 0 && config->chroot[n - 1] == '/')
		n--;
	if (!path[0] || n == 0)
		return OK;
	if (strncmp(path, config->chroot, n) != 0 || path[n] != '/') {
		log_error("%s is not below chroot %s", path, config->chroot);
		return E_RANGE;
	}
	memmove(path, path + n, strlen(path + n) + 1);
	return OK;
}

/* Becomes the user that serves. The store's directory is made and given to him
 * first, since where it lies is mostly root's. */
static int become_user(void)
{
	int err = port_mkdir(config->store);

	if (err == OK)
		err = port_give(config->store, config->run_as);
	if (err != OK && err != E_EXIST) {
		log_error("%s can't be made for %s: %s", config->store, config->run_as, err_text(err));
		return err;
	}
	err = port_drop_privileges(config->run_as, config->chroot[0] ? config->chroot : NULL);
	if (err != OK) {
		log_error("run-as %s: no such user, or not started as root", config->run_as);
		return err;
	}
	if (!config->chroot[0])
		return OK;
	err = go_inside(config->store);
	if (err == OK)
		err = go_inside(config->users);
	if (err == OK)
		err = go_inside(config->evict_archive);
	return err;
}

int server_run(const char *file, struct config *c, struct budget *b, const char *name, bool detach)
{
	static const struct loop_tasks tasks = { NULL, work, wants_commit, commit, deadline, signals };
	void *space = port_map((size_t)b->memory, c->memory_lock);
	int err;

	config_file = file;
	config = c;
	budget = b;
	domain = name;
	if (!space) {
		log_error("%llu KiB of memory can't be had", (unsigned long long)(b->memory >> 10));
		return E_NOMEM;
	}
	arena_init_zeroed(&arena, space, (size_t)b->memory);
	err = start_network();
	if (err == OK && config->run_as[0])
		err = become_user();
	if (err == OK)
		err = start_store();
	if (err != OK)
		return err;
	loop_tasks(server.loop, &tasks);
	loop_context(server.loop, &imap_protocol, server.imap);
	loop_context(server.loop, &lmtp_protocol, server.smtp);
	loop_context(server.loop, &control_protocol, server.control);
	if (detach && port_detach() != OK)
		return E_IO;
	arena_freeze(&arena);
	if (cubby_frozen)
		cubby_frozen();
	log_notice("cubbyd %s serves %s: %lu connections in %llu KiB", CUBBY_VERSION, config->store,
		(unsigned long)config->connections, (unsigned long long)(budget->memory >> 10));
	err = loop_run(server.loop);
	store_close(server.store);
	return err;
}
