/* Users. The users file is changed here, in one step; a running server is told
 * to read it again. Mail of a removed user goes with him. */
#include <string.h>

#include "base/crypto.h"
#include "base/err.h"
#include "base/text.h"
#include "port/system.h"
#include "tools/cubby.h"
#include "tools/cubby_box.h"
#include "tools/cubby_commands.h"
#include "tools/cubby_server.h"

static struct accounts *accounts;

static int open_users(bool change)
{
	int err = box_read_config();

	if (err == OK && change) {
		box_become_server_user();
		err = box_make_room_for(box_config.users);
	}
	return err == OK ? box_open_users(&accounts) : err;
}

/* The running server reads the file again by itself, but sessions of a changed
 * user should notice now. */
static void tell_server(void)
{
	struct bytes rest;

	if (box_connect() != OK)
		return;
	server_word("USERS-CHANGED");
	(void)server_line_end();
	if (server_reply(NULL, NULL, &rest) != OK)
		tool_complain("the server: %.*s", (int)rest.len, (const char *)rest.data);
}

/* A new password; on a terminal it is asked for twice. E_SYNTAX after a complaint. */
static int read_password(char *out, size_t cap)
{
	char again[ACCOUNT_PASSWORD + 1];
	int n = port_read_password("Password: ", out, cap);

	if (n >= 0 && port_stdin_is_terminal()) {
		int m = port_read_password("Again: ", again, sizeof again);

		if (m != n || (n && memcmp(out, again, (size_t)n) != 0)) {
			tool_complain("the two are not the same");
			n = E_SYNTAX;
		}
		crypto_wipe(again, sizeof again);
	} else if (n == E_LIMIT) {
		tool_complain("the password is too long");
	} else if (n < 0) {
		tool_complain("no password came on standard input");
	}
	return n;
}

static int explain(int err, struct bytes name)
{
	const char *fault = err == E_SYNTAX ? account_name_fault(name) : NULL;

	if (err == E_EXIST)
		tool_complain("there is a user %.*s already", (int)name.len, (const char *)name.data);
	else if (err == E_NOENT)
		tool_complain("there is no user %.*s", (int)name.len, (const char *)name.data);
	else if (fault)
		tool_complain("the name %s", fault);
	else
		tool_complain("%s: %s", box_config.users, err_text(err));
	return tool_exit_code(err);
}

/* Reads and judges a password: its length, or an error after a complaint. */
static int good_password(char *out, size_t cap)
{
	int n = read_password(out, cap);
	const char *fault = n >= 0 ? account_password_fault(bytes_make(out, (size_t)n)) : NULL;

	if (fault) {
		tool_complain("the password %s", fault);
		n = E_SYNTAX;
	}
	return n;
}

static void say_login_time(const char *name, const char *what)
{
	uint64_t us = account_measure_us(box_config.scram_iterations);

	tool_say("user %s %s; a login takes %llu.%llu ms of this box (%u iterations)", name, what,
		(unsigned long long)(us / 1000), (unsigned long long)(us / 100 % 10),
		(unsigned)box_config.scram_iterations);
}

int tool_user_add(struct tool_args *args)
{
	bool admin = tool_option(args, "--admin");
	const char *name = tool_operand(args, "the user's name");
	char password[ACCOUNT_PASSWORD + 1];
	struct account_user user;
	int n, err;

	admin = tool_option(args, "--admin") || admin;
	if (!name || !tool_no_more(args))
		return TOOL_USAGE;
	if (open_users(true) != OK)
		return TOOL_FAILED;
	if (account_name_fault(bytes_of(name)))
		return explain(E_SYNTAX, bytes_of(name));
	n = good_password(password, sizeof password);
	if (n < 0)
		return TOOL_FAILED;
	err = account_add(accounts, bytes_of(name), bytes_make(password, (size_t)n), admin, box_config.scram_iterations,
		&user);
	crypto_wipe(password, sizeof password);
	if (err != OK)
		return explain(err, bytes_of(name));
	tell_server();
	say_login_time(name, admin ? "added as administrator" : "added");
	return TOOL_OK;
}

int tool_user_passwd(struct tool_args *args)
{
	const char *name = tool_operand(args, "the user's name");
	char password[ACCOUNT_PASSWORD + 1];
	struct account_user user;
	int n, err;

	if (!name || !tool_no_more(args))
		return TOOL_USAGE;
	if (open_users(true) != OK)
		return TOOL_FAILED;
	err = account_find(accounts, bytes_of(name), &user);
	if (err != OK)
		return explain(err, bytes_of(name));
	n = good_password(password, sizeof password);
	if (n < 0)
		return TOOL_FAILED;
	err = account_set_password(accounts, bytes_of(name), bytes_make(password, (size_t)n),
		box_config.scram_iterations);
	crypto_wipe(password, sizeof password);
	if (err != OK)
		return explain(err, bytes_of(name));
	tell_server();
	say_login_time(name, "has a new password");
	return TOOL_OK;
}

int tool_user_list(struct tool_args *args)
{
	struct account_user user;
	uint32_t cursor = 0;

	if (!tool_no_more(args))
		return TOOL_USAGE;
	if (open_users(false) != OK)
		return TOOL_FAILED;
	while (account_next(accounts, &cursor, &user) == OK)
		tool_say("%-24.*s%s", (int)user.name_len, user.name, user.admin ? " admin" : "");
	return TOOL_OK;
}

static int remove_mail_by_server(uint32_t id)
{
	struct bytes rest;
	int err;

	server_word("REMOVE-USER");
	server_word_number(id);
	(void)server_line_end();
	err = server_reply(NULL, NULL, &rest);
	if (err != OK)
		tool_complain("the server: %.*s", (int)rest.len, (const char *)rest.data);
	return err;
}

static int remove_mail_offline(uint32_t id)
{
	const struct intake_place *place;
	store_ticket ticket;
	int err;

	if (!port_is_dir(box_config.store))
		return OK; /* nothing was ever kept */
	err = box_open_store(&place);
	if (err != OK)
		return err;
	while ((err = store_owner_remove(place->store, id, &ticket)) == E_AGAIN)
		(void)box_commit(place->store);
	if (err == OK)
		err = box_wait(place->store, ticket);
	box_close_store();
	if (err != OK)
		tool_complain("%s: %s", box_config.store, err_text(err));
	return err;
}

int tool_user_remove(struct tool_args *args)
{
	bool by_id = tool_option(args, "--id");
	const char *name = tool_operand(args, "the user's name");
	uint64_t number = 0;
	uint32_t id;
	int err = OK;

	if (!name || !tool_no_more(args) || (by_id && text_number(bytes_of(name), UINT32_MAX, &number) != OK))
		return TOOL_USAGE;
	if (open_users(true) != OK)
		return TOOL_FAILED;
	id = (uint32_t)number;
	if (!by_id)
		err = account_remove(accounts, bytes_of(name), &id);
	if (err != OK)
		return explain(err, bytes_of(name));
	if (box_connect() == OK)
		err = remove_mail_by_server(id);
	else
		err = remove_mail_offline(id);
	if (err != OK) {
		tool_complain("the user is gone, the mail is not: cubby user remove --id %u tries again", (unsigned)id);
		return tool_exit_code(err);
	}
	tool_say("user %s removed, with all mail", name);
	return TOOL_OK;
}
