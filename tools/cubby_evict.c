/* cubby evict: what would go, letting it go, what went. */
#include <stdio.h>

#include "base/err.h"
#include "base/limits.h"
#include "port/system.h"
#include "tools/cubby.h"
#include "tools/cubby_box.h"
#include "tools/cubby_commands.h"
#include "tools/cubby_server.h"

struct evict_options {
	bool dry_run, all, log, json;
	const char *user, *plan;
};

static bool read_options(struct tool_args *args, struct evict_options *o)
{
	while (args->at < args->n) {
		if (tool_option(args, "--dry-run"))
			o->dry_run = true;
		else if (tool_option(args, "--all"))
			o->all = true;
		else if (tool_option(args, "--log"))
			o->log = true;
		else if (tool_option(args, "--json"))
			o->json = true;
		else if (tool_option(args, "--user"))
			o->user = tool_option_value(args, "--user");
		else if (tool_option(args, "--plan"))
			o->plan = tool_option_value(args, "--plan");
		else
			return tool_no_more(args);
	}
	if (o->dry_run + o->log + (o->plan != NULL) > 1 || ((o->all || o->user) && !o->dry_run) ||
		(o->json && !o->dry_run && !o->log)) {
		tool_complain("these options do not go together");
		return false;
	}
	return true;
}

static void say_line(void *context, struct bytes line)
{
	(void)context;
	(void)port_stdout(line.data, line.len);
	(void)port_stdout("\n", 1);
}

int tool_evict(struct tool_args *args)
{
	struct evict_options o = { 0 };
	struct bytes rest;
	int err;

	if (!read_options(args, &o))
		return TOOL_USAGE;
	if (box_read_config() != OK)
		return TOOL_FAILED;
	err = box_connect();
	if (err == E_CLOSED)
		tool_complain("no cubbyd answers for %s: mail goes only while it runs", tool_config_file);
	if (err != OK)
		return TOOL_FAILED;
	server_word(o.dry_run ? "EVICT-PREVIEW" : o.log ? "EVICTED" : "EVICT");
	if (o.plan)
		server_word(o.plan);
	if (o.user) {
		char word[LIMIT_USER_NAME + 2];

		(void)snprintf(word, sizeof word, "@%s", o.user);
		server_word(word);
	}
	if (o.all)
		server_word("all");
	if (o.json)
		server_word("json");
	(void)server_line_end();
	err = server_reply(say_line, NULL, &rest);
	if (err != OK)
		tool_complain("the server: %.*s", (int)rest.len, (const char *)rest.data);
	else if (!o.dry_run && !o.log)
		tool_say("messages and bytes that went: %.*s", (int)rest.len, (const char *)rest.data);
	return err == OK ? TOOL_OK : TOOL_FAILED;
}
