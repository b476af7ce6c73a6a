/* What all sessions share: its memory and its numbers. */
#include "imap/server.h"

#include "base/err.h"
#include "imap/session.h"

size_t imap_memory(const struct imap_config *config)
{
	return arena_size(sizeof(struct imap_server)) + pool_size(sizeof(struct session), config->sessions) +
		pool_size(sizeof(union command_unit), config->commands) + arena_size(LIMIT_SUMMARY) +
		arena_size(SERVER_SCRATCH);
}

int imap_init(struct imap_server **server, struct arena *arena, const struct imap_config *config,
	const struct imap_parts *parts)
{
	struct imap_server *v = arena_take(arena, sizeof(*v));

	if (!v || !pool_init(&v->sessions, arena, "IMAP sessions", sizeof(struct session), config->sessions) ||
		!pool_init(&v->units, arena, "IMAP commands", sizeof(union command_unit), config->commands))
		return E_NOMEM;
	v->summary = arena_take(arena, LIMIT_SUMMARY);
	v->scratch = arena_take(arena, SERVER_SCRATCH);
	if (!v->summary || !v->scratch)
		return E_NOMEM;
	v->config = *config;
	v->parts = *parts;
	*server = v;
	return OK;
}

void imap_reconfigure(struct imap_server *server, const struct imap_config *config)
{
	server->config.idle_notify_s = config->idle_notify_s;
	server->config.cleartext = config->cleartext;
	server->config.message_max = config->message_max;
}

void imap_status(const struct imap_server *v, struct imap_status *out)
{
	*out = (struct imap_status){
		.sessions = v->sessions.used,
		.sessions_peak = v->sessions.peak,
		.commands = v->units.used,
		.commands_peak = v->units.peak,
		.commands_run = v->commands_run,
		.commands_bad = v->commands_bad,
		.logins = v->logins,
		.logins_failed = v->logins_failed,
	};
}

uint64_t server_append_limit(const struct imap_server *v)
{
	return v->config.message_max < LIMIT_MESSAGE ? v->config.message_max : LIMIT_MESSAGE;
}

bool server_is_damaged(const struct imap_server *v, uint64_t object)
{
	for (uint32_t i = 0; i < SERVER_DAMAGED; i++)
		if (v->damaged[i] == object)
			return true;
	return false;
}

void server_damaged(struct imap_server *v, uint64_t object)
{
	if (!server_is_damaged(v, object))
		v->damaged[v->damaged_next++ % SERVER_DAMAGED] = object;
}
