/* The table of commands. */
#include "imap/commands.h"

#define LOGIN STATE_LOGIN
#define AUTHED (STATE_AUTH | STATE_SELECTED)
#define SELECTED STATE_SELECTED
#define ANY STATE_ANY

#define BOTH COMMAND_UID
#define BARE COMMAND_NO_ARGS

static const struct command commands[] = {
	/* the most frequent ones first */
	{"FETCH", SELECTED, BOTH | COMMAND_NO_EXPUNGE, cmd_fetch, finish_fetch, end_fetch},
	{"NOOP", ANY, BARE, cmd_noop, NULL, NULL},
	{"IDLE", AUTHED, BARE, cmd_idle, NULL, end_idle},
	{"SELECT", AUTHED, 0, cmd_select, NULL, NULL},
	{"STORE", SELECTED, BOTH | COMMAND_NO_EXPUNGE, cmd_store, finish_store, NULL},
	{"SEARCH", SELECTED, BOTH | COMMAND_NO_EXPUNGE, cmd_search, NULL, end_search},
	{"STATUS", AUTHED, 0, cmd_status, NULL, NULL},
	{"APPEND", AUTHED, COMMAND_STREAM, cmd_append, finish_append, end_append},
	{"COPY", SELECTED, BOTH, cmd_copy, finish_copy, end_copy},
	{"MOVE", SELECTED, BOTH, cmd_move, finish_move, NULL},
	{"EXPUNGE", SELECTED, BOTH, cmd_expunge, finish_expunge, NULL},
	{"LIST", AUTHED, 0, cmd_list, NULL, NULL},
	{"LSUB", AUTHED, 0, cmd_lsub, NULL, NULL},
	{"EXAMINE", AUTHED, 0, cmd_examine, NULL, NULL},
	{"CLOSE", SELECTED, BARE, cmd_close, NULL, NULL},
	{"UNSELECT", SELECTED, BARE, cmd_unselect, NULL, NULL},
	{"CHECK", SELECTED, BARE, cmd_check, NULL, NULL},
	{"CREATE", AUTHED, 0, cmd_create, finish_create, NULL},
	{"DELETE", AUTHED, 0, cmd_delete, NULL, NULL},
	{"RENAME", AUTHED, 0, cmd_rename, NULL, NULL},
	{"SUBSCRIBE", AUTHED, 0, cmd_subscribe, NULL, NULL},
	{"UNSUBSCRIBE", AUTHED, 0, cmd_unsubscribe, NULL, NULL},
	{"GETQUOTAROOT", AUTHED, 0, cmd_getquotaroot, NULL, NULL},
	{"GETQUOTA", AUTHED, 0, cmd_getquota, NULL, NULL},
	{"SETQUOTA", AUTHED, 0, cmd_setquota, NULL, NULL},
	{"NAMESPACE", AUTHED, BARE, cmd_namespace, NULL, NULL},
	{"ENABLE", AUTHED, 0, cmd_enable, NULL, NULL},
	{"CAPABILITY", ANY, BARE, cmd_capability, NULL, NULL},
	{"ID", ANY, 0, cmd_id, NULL, NULL},
	{"LOGOUT", ANY, BARE, cmd_logout, NULL, NULL},
	{"LOGIN", LOGIN, 0, cmd_login, finish_login, end_login},
	{"AUTHENTICATE", LOGIN, 0, cmd_authenticate, finish_login, end_login},
	{"STARTTLS", LOGIN, BARE, cmd_starttls, NULL, NULL},
};

const struct command *command_find(struct bytes name, bool uid)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (bytes_is(name, commands[i].name))
			return !uid || (commands[i].flags & COMMAND_UID) ? &commands[i] : NULL;
	return NULL;
}
