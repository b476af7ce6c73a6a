/* What the server says about itself, and whether the store is whole. */
#include <stdio.h>

#include "base/err.h"
#include "control/json.h"
#include "port/system.h"
#include "tools/cubby.h"
#include "tools/cubby_box.h"
#include "tools/cubby_commands.h"
#include "tools/cubby_server.h"

static void say_line(void *context, struct bytes line)
{
	(void)context;
	(void)port_stdout(line.data, line.len);
	(void)port_stdout("\n", 1);
}

int tool_status(struct tool_args *args)
{
	bool json = tool_option(args, "--json");
	struct bytes rest;
	int err;

	if (!tool_no_more(args))
		return TOOL_USAGE;
	if (box_read_config() != OK)
		return TOOL_FAILED;
	err = box_connect();
	if (err == E_CLOSED)
		tool_complain("no cubbyd answers for %s", tool_config_file);
	if (err != OK)
		return TOOL_FAILED;
	server_word("STATUS");
	if (json)
		server_word("json");
	(void)server_line_end();
	err = server_reply(say_line, NULL, &rest);
	if (err != OK)
		tool_complain("the server: %.*s", (int)rest.len, (const char *)rest.data);
	return err == OK ? TOOL_OK : TOOL_FAILED;
}

/* ---- check ---- */

struct check_output {
	bool json;
	unsigned said;
};

static void say_finding_bytes(void *context, struct bytes line)
{
	struct check_output *o = context;
	uint8_t space[2 * TOOL_LINE];
	struct buf out;

	if (!o->json) {
		say_line(NULL, line);
		return;
	}
	buf_init(&out, space, sizeof space);
	buf_puts(&out, o->said++ ? ",\n  " : "\n  ");
	json_string(&out, line);
	(void)port_stdout(out.data, out.len);
}

static void say_finding(void *context, const char *line)
{
	say_finding_bytes(context, bytes_of(line));
}

/* Without a server the store is opened. */
static int check_all(struct check_output *o)
{
	const struct intake_place *place;
	struct bytes rest;
	uint64_t cursor = 0;
	int err = box_connect();

	if (err == OK) {
		server_word("CHECK");
		(void)server_line_end();
		return server_reply(say_finding_bytes, o, &rest);
	}
	if (err == E_CLOSED)
		err = box_open_store(&place);
	if (err != OK)
		return E_ACCESS; /* that was said */
	while ((err = store_check(place->store, &cursor, say_finding, o)) == E_AGAIN)
		;
	box_close_store();
	return err;
}

/* "anna: INBOX: uid 12: the message is lost" */
static void say_repaired(const char *user, const struct store_finding *finding)
{
	char uid[24] = "";

	if (finding->uid)
		(void)snprintf(uid, sizeof uid, "uid %lu: ", (unsigned long)finding->uid);
	tool_say("%s%s%s%s%s%s", user, user[0] ? ": " : "", finding->name, finding->name[0] ? ": " : "", uid,
		finding->what);
}

static int repair(void)
{
	struct store_repaired out;
	int err;

	if (box_connect() == OK) {
		tool_complain("a server uses the store: stop it first");
		return TOOL_TEMPORARY;
	}
	err = box_repair_store(say_repaired, &out);
	if (err != OK)
		return TOOL_CANT_CHECK;
	if (out.rebuilt)
		tool_say("the index could not be used: it was made anew from the mail, as a last resort; "
			 "every mailbox is new to its clients, and mail that had been removed may be there again");
	if (out.findings || out.rebuilt)
		tool_say("%llu things put right, %llu messages lost, %llu messages put into Recovered",
			(unsigned long long)(out.findings - out.lost - out.recovered), (unsigned long long)out.lost,
			(unsigned long long)out.recovered);
	else
		tool_say("the store is whole");
	return out.findings || out.rebuilt ? TOOL_FAILED : TOOL_OK;
}

int tool_check(struct tool_args *args)
{
	struct check_output out = { 0 };
	bool mend = false;
	int err;

	while (args->at < args->n) {
		if (tool_option(args, "--repair"))
			mend = true;
		else if (tool_option(args, "--json"))
			out.json = true;
		else
			return tool_no_more(args), TOOL_USAGE;
	}
	if (mend && out.json) {
		tool_complain("these options do not go together");
		return TOOL_USAGE;
	}
	if (box_read_config() != OK)
		return TOOL_CANT_CHECK;
	if (mend)
		return repair();
	if (out.json)
		tool_say("{\"findings\": [");
	err = check_all(&out);
	if (out.json)
		tool_say("%s], \"whole\": %s}", out.said ? "\n" : "",
			err == OK                  ? "true"
				: err == E_DAMAGED ? "false"
						   : "null");
	else if (err == OK)
		tool_say("the store is whole");
	if (err != OK && err != E_ACCESS && !(out.json && err == E_DAMAGED))
		tool_complain("the store: %s", server_text(err));
	return err == OK ? TOOL_OK : err == E_DAMAGED ? TOOL_FAILED : TOOL_CANT_CHECK;
}
