/* Lets the running server read its configuration, users and certificate again. */
#include "base/err.h"
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

int tool_reload(struct tool_args *args)
{
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
	server_word("RELOAD");
	(void)server_line_end();
	err = server_reply(say_line, NULL, &rest);
	if (err != OK)
		tool_complain("the server: %.*s", (int)rest.len, (const char *)rest.data);
	return err == OK ? TOOL_OK : TOOL_FAILED;
}
