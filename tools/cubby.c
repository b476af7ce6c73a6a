/* cubby: what the owner of a box asks of it on the command line. This file has
 * the table of commands, the options, and the way to print. */
#include "tools/cubby.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "port/system.h"
#include "tools/cubby_commands.h"

const char *tool_config_file = "/etc/cubby.conf";

static const struct tool_command {
	const char *words;   /* "user add" */
	const char *options; /* behind them, for the help */
	const char *help;
	int (*run)(struct tool_args *args);
} commands[] = {
	{ "status", "[--json]", "what the running server does and holds", tool_status },
	{ "reload", "", "the running server reads configuration, users and certificate again", tool_reload },
	{ "user add", "[--admin] NAME", "a new user; the password comes from the terminal or standard input",
		tool_user_add },
	{ "user list", "", "all users", tool_user_list },
	{ "user passwd", "NAME", "another password", tool_user_passwd },
	{ "user remove", "NAME", "removes a user and all of his mail", tool_user_remove },
	{ "deliver", "USER [--mailbox NAME]", "puts the message on standard input into a mailbox", tool_deliver },
	{ "import", "USER PATH [--mailbox NAME] [--partial]", "takes in a Maildir or an mbox, flags and dates kept",
		tool_import },
	{ "restore-archive", "PATH [--user NAME] [--partial]",
		"takes in again what was copied to `evict archive` before it went, flags and dates kept",
		tool_restore_archive },
	{ "evict", "[--dry-run [--all] [--user NAME] | --plan ID | --log] [--json]",
		"lets old mail go down to the low mark; shows what would go, carries that out, tells what went",
		tool_evict },
	{ "check", "[--json | --repair]", "verifies the whole store; --repair, without a server, makes it whole",
		tool_check },
	{ "backup", "FILE|-", "all mail and users as they are now, into a file or to standard output", tool_backup },
	{ "restore", "FILE|-", "makes an empty store what the backup holds, without a server", tool_restore },
	{ "config check", "", "reads the configuration and says what is wrong with it", tool_config_check },
	{ "config get", "KEY", "the value that is in force", tool_config_get },
	{ "config set", "KEY [VALUE...]", "changes a setting in the file; without VALUE back to the default",
		tool_config_set },
	{ "cert create", "[--name NAME]... [--replace]",
		"a certificate of the box's own, for its names and addresses and those given", tool_cert_create },
};

#define COMMANDS (sizeof commands / sizeof commands[0])

/* ---- printing ---- */

static void print(bool error, const char *format, va_list args)
{
	char line[TOOL_LINE];
	int n = vsnprintf(line, sizeof line - 1, format, args);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof line - 1 ? (size_t)n : sizeof line - 2;

	if (error) {
		port_log(PORT_LOG_ERROR, line, len);
	} else {
		line[len++] = '\n';
		(void)port_stdout(line, len);
	}
}

void tool_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(false, format, args);
	va_end(args);
}

void tool_complain(const char *format, ...)
{
	char prefixed[TOOL_LINE];
	va_list args;

	(void)snprintf(prefixed, sizeof prefixed, "cubby: %s", format);
	va_start(args, format);
	print(true, prefixed, args);
	va_end(args);
}

int tool_exit_code(int err)
{
	switch (err) {
	case OK:
		return TOOL_OK;
	case E_NOENT:
		return TOOL_NO_USER;
	case E_FULL:
	case E_NOSPC:
	case E_READONLY:
	case E_AGAIN:
	case E_BUSY:
	case E_CLOSED:
	case E_IO:
		return TOOL_TEMPORARY;
	default:
		return TOOL_FAILED;
	}
}

const char *tool_size(uint64_t bytes, char out[32])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	uint64_t unit = 1;
	size_t u = 0;

	while (u + 1 < sizeof units / sizeof units[0] && bytes / unit >= 1024) {
		unit *= 1024;
		u++;
	}
	if (u == 0)
		(void)snprintf(out, 32, "%llu %s", (unsigned long long)bytes, units[u]);
	else
		(void)snprintf(out, 32, "%llu.%u %s", (unsigned long long)(bytes / unit),
			(unsigned)(bytes % unit * 10 / unit), units[u]);
	return out;
}

/* ---- arguments ---- */

bool tool_option(struct tool_args *args, const char *option)
{
	if (args->at >= args->n || strcmp(args->word[args->at], option) != 0)
		return false;
	args->at++;
	return true;
}

const char *tool_option_value(struct tool_args *args, const char *option)
{
	if (args->at < args->n)
		return args->word[args->at++];
	tool_complain("%s needs a value", option);
	return NULL;
}

const char *tool_operand(struct tool_args *args, const char *what)
{
	if (args->at < args->n && (args->word[args->at][0] != '-' || args->word[args->at][1] == 0))
		return args->word[args->at++];
	if (args->at < args->n)
		tool_complain("unknown option %s", args->word[args->at]);
	else
		tool_complain("%s is missing", what);
	return NULL;
}

bool tool_no_more(struct tool_args *args)
{
	if (args->at >= args->n)
		return true;
	tool_complain("don't know what to do with %s", args->word[args->at]);
	return false;
}

/* ---- the table ---- */

static void help(void)
{
	tool_say("usage: cubby [-c FILE] COMMAND\n");
	for (size_t i = 0; i < COMMANDS; i++)
		tool_say("  %s %s\n        %s", commands[i].words, commands[i].options, commands[i].help);
	tool_say("\n-c FILE names the configuration (default: %s). Passwords never stand in arguments.",
		tool_config_file);
	tool_say("Exit codes: 0 done, 64 wrong usage, 67 no such user or mailbox, 75 try again later, "
		 "1 anything else; check: 1 faults, 2 it could not look.");
}

/* True when the arguments begin with the command's words, which are cut off. */
static bool takes(const struct tool_command *command, struct tool_args *args)
{
	struct bytes rest = bytes_of(command->words);
	int at = args->at;

	while (rest.len) {
		size_t blank = bytes_index(rest, ' ');

		if (at >= args->n || !bytes_equal(bytes_part(rest, 0, blank), bytes_of(args->word[at])))
			return false;
		at++;
		rest = bytes_part(rest, blank + 1, rest.len);
	}
	args->at = at;
	return true;
}

static void log_to_stderr(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

int main(int argc, char **argv)
{
	struct tool_args args = { .n = argc, .word = argv, .at = 1 };

	log_init(log_to_stderr, LOG_WARNING);
	if (tool_option(&args, "-c")) {
		tool_config_file = tool_option_value(&args, "-c");
		if (!tool_config_file)
			return TOOL_USAGE;
	}
	if (tool_option(&args, "--help") || tool_option(&args, "-h") || tool_option(&args, "help")) {
		help();
		return TOOL_OK;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (takes(&commands[i], &args)) {
			int code = commands[i].run(&args);

			if (code == TOOL_USAGE)
				tool_complain("usage: cubby [-c FILE] %s %s", commands[i].words, commands[i].options);
			return code;
		}
	}
	tool_complain(args.at < args.n ? "unknown command %s; cubby --help lists them"
				       : "no command; cubby --help lists them",
		args.at < args.n ? args.word[args.at] : "");
	return TOOL_USAGE;
}
