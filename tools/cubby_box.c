#include "tools/cubby_box.h"

#include <string.h>

#include "base/crypto.h"
#include "base/err.h"
#include "port/system.h"
#include "store/backup.h"
#include "tools/cubby.h"
#include "tools/cubby_server.h"

/* The tool's own budget for a store that it opens: what import needs to be
 * fast, well within what the smallest box has. */
#define BOX_CACHE_PAGES 128
#define BOX_LOG_BUFFER (256u * 1024)
#define BOX_UPLOAD_BYTES (512u * 1024)

/* Messages that may share a sync: each keeps its place until it is durable. */
#define BOX_UPLOADS 16

/* Beside the parts that tell their own size: rounding. */
#define BOX_SLACK (64u * 1024)

struct config box_config;

static struct arena arena;
static struct intake_place place;

static void report_fault(void *context, const char *text)
{
	(void)context;
	tool_complain("%s", text);
}

int box_read_config(void)
{
	return config_read(tool_config_file, &box_config, report_fault, NULL);
}

void box_become_server_user(void)
{
	if (!box_config.run_as[0])
		return;
	/* Where the store lies is mostly root's. */
	if (port_mkdir(box_config.store) == OK)
		(void)port_give(box_config.store, box_config.run_as);
	/* Who is not root has nothing to change; whether he may write shows later. */
	(void)port_drop_privileges(box_config.run_as, NULL);
}

int box_make_room_for(const char *path)
{
	size_t n = strlen(box_config.store);
	int err;

	if (strncmp(path, box_config.store, n) != 0 || path[n] != '/' || port_exists(box_config.store))
		return OK;
	err = port_mkdir(box_config.store);
	if (err != OK && err != E_EXIST)
		tool_complain("the directory %s can't be made (%s); make it%s%s", box_config.store, err_text(err),
			box_config.run_as[0] ? " and give it to " : "", box_config.run_as);
	return err == E_EXIST ? OK : err;
}

static bool take_arena(size_t len)
{
	void *start = port_map(len + BOX_SLACK, false);

	if (!start) {
		tool_complain("no memory");
		return false;
	}
	arena_init(&arena, start, len + BOX_SLACK);
	return true;
}

int box_open_users(struct accounts **accounts)
{
	int err = crypto_init(port_entropy);

	if (err == OK && !take_arena(accounts_memory(1)))
		err = E_NOMEM;
	if (err == OK)
		err = accounts_init(accounts, &arena, box_config.users, 1);
	if (err != OK)
		tool_complain("%s: %s", box_config.users, err_text(err));
	return err;
}

int box_connect(void)
{
	int err = E_CLOSED;

	for (size_t i = 0; i < box_config.listen_n; i++) {
		if (box_config.listen[i].protocol != CONFIG_CONTROL)
			continue;
		err = server_connect(box_config.listen[i].where);
		if (err == OK)
			return OK;
		if (err == E_ACCESS)
			tool_complain("%s: permission denied (its group may use it)", box_config.listen[i].where);
	}
	return err == E_ACCESS ? err : E_CLOSED;
}

static void store_settings(struct store_config *s)
{
	*s = (struct store_config){
		.dir = box_config.store,
		.storage = box_config.storage,
		.message_max = box_config.message_size,
		.owner_quota = box_config.quota,
		.cache_pages = BOX_CACHE_PAGES,
		.log_buffer = BOX_LOG_BUFFER,
		.upload_bytes = BOX_UPLOAD_BYTES,
		.uploads = BOX_UPLOADS,
		.growth = STORE_GROW_AUTO,
		.allow_volatile = box_config.allow_volatile,
	};
}

static int open_store(const struct store_config *settings, size_t more)
{
	char reason[600] = "";
	int err;

	box_become_server_user();
	err = crypto_init(port_entropy);
	if (err == OK && !take_arena(store_memory(settings) + accounts_memory(1) + arrivals_memory(1) + more))
		return E_NOMEM;
	if (err == OK)
		err = store_open(&place.store, &arena, settings, reason, sizeof reason);
	if (err == E_BUSY)
		tool_complain("a server has the store %s, but its control socket does not answer", box_config.store);
	else if (err != OK)
		tool_complain("%s: %s", box_config.store, reason[0] ? reason : err_text(err));
	if (err != OK)
		return err;
	err = accounts_init(&place.accounts, &arena, box_config.users, 1);
	if (err == OK)
		err = arrivals_init(&place.arrivals, &arena, place.store, 1);
	if (err != OK) {
		tool_complain("%s", err_text(err));
		box_close_store();
		return err;
	}
	return OK;
}

int box_open_store(const struct intake_place **out)
{
	struct store_config settings;

	store_settings(&settings);
	*out = &place;
	return open_store(&settings, 0);
}

int box_open_store_to_restore(const struct intake_place **out, struct arena **more)
{
	struct store_config settings;

	store_settings(&settings);
	settings.restore = true;
	/* What was taken once is taken again, whatever the limit is here. */
	settings.message_max = LIMIT_MESSAGE;
	*out = &place;
	*more = &arena;
	return open_store(&settings, store_restore_memory() + account_restore_memory());
}

struct arena *box_memory_to_verify(void)
{
	return take_arena(store_restore_memory()) ? &arena : NULL;
}

static box_finding *report_to;

static void name_owner(void *context, const struct store_finding *finding)
{
	struct accounts *accounts = context;
	char name[LIMIT_USER_NAME + 1] = "";
	struct account_user user;

	if (finding->owner && account_by_id(accounts, finding->owner, &user) == OK)
		memcpy(name, user.name, user.name_len);
	report_to(name, finding);
}

/* The administrator with the lowest number, or the first user. */
static uint32_t first_admin(struct accounts *accounts)
{
	struct account_user user;
	uint32_t cursor = 0, first = 0;

	while (account_next(accounts, &cursor, &user) == OK) {
		if (user.admin)
			return user.id;
		if (!first)
			first = user.id;
	}
	return first ? first : 1;
}

int box_repair_store(box_finding *report, struct store_repaired *out)
{
	struct store_repair how = { .report = name_owner };
	struct store_config settings;
	struct accounts *accounts;
	char reason[600] = "";
	int err;

	box_become_server_user();
	store_settings(&settings);
	err = crypto_init(port_entropy);
	if (err == OK && !take_arena(store_repair_memory(&settings) + accounts_memory(1)))
		return E_NOMEM;
	if (err == OK)
		err = accounts_init(&accounts, &arena, box_config.users, 1);
	if (err == OK) {
		report_to = report;
		how.admin = first_admin(accounts);
		how.context = accounts;
		err = store_repair(&arena, &settings, &how, out, reason, sizeof reason);
	}
	if (err != OK)
		tool_complain("%s: %s", box_config.store, reason[0] ? reason : err_text(err));
	return err;
}

void box_close_store(void)
{
	if (place.store)
		store_close(place.store);
	place.store = NULL;
}

int box_commit(struct store *st)
{
	int err;

	store_commit_request(st);
	err = store_commit_start(st);
	while (err == OK && (err = store_commit_done(st)) == E_AGAIN)
		err = OK;
	(void)store_maintain(st);
	return err;
}

int box_wait(struct store *st, store_ticket ticket)
{
	int err;

	while ((err = store_ticket_result(st, ticket)) == E_AGAIN)
		(void)box_commit(st); /* what went wrong is the ticket's result */
	return err;
}
