/* The box's own certificate. */
#include "base/crypto.h"
#include "base/err.h"
#include "control/cert.h"
#include "mail/date.h"
#include "port/system.h"
#include "tools/cubby.h"
#include "tools/cubby_box.h"
#include "tools/cubby_commands.h"

/* The names of the command line first, then the box's. */
static int collect_names(struct tool_args *args, struct cert_names *names, bool *replace)
{
	while (args->at < args->n) {
		const char *name;

		if (tool_option(args, "--replace")) {
			*replace = true;
			continue;
		}
		if (!tool_option(args, "--name"))
			return tool_no_more(args) ? TOOL_OK : TOOL_USAGE;
		name = tool_option_value(args, "--name");
		if (!name)
			return TOOL_USAGE;
		if (cert_names_add(names, name) != OK) {
			tool_complain("%s is neither a host name nor an address", name);
			return TOOL_FAILED;
		}
	}
	return TOOL_OK;
}

static int explain(int err)
{
	if (err == E_EXIST)
		tool_complain(
			"there is a certificate or key already in %s or %s: clients know it; --replace makes a new one",
			box_config.tls_certificate, box_config.tls_key);
	else if (err == E_ACCESS && box_config.run_as[0])
		tool_complain("user %s (run-as) may not write %s and %s", box_config.run_as, box_config.tls_certificate,
			box_config.tls_key);
	else
		tool_complain("%s: %s", box_config.tls_certificate, err_text(err));
	return TOOL_FAILED;
}

static void describe(void)
{
	struct cert_description d;
	char date[40];
	struct buf out;

	if (cert_describe(box_config.tls_certificate, &d) != OK)
		return;
	buf_init(&out, date, sizeof date);
	date_put(&out, (struct date){ d.not_after, 0 });
	buf_terminate(&out);
	tool_say("certificate  %s", box_config.tls_certificate);
	tool_say("key          %s", box_config.tls_key);
	tool_say("names        %s", d.names);
	tool_say("good until   %s", date);
	tool_say("SHA-256      %s", d.fingerprint);
	tool_say("A running cubbyd takes it after `cubby reload`.");
}

int tool_cert_create(struct tool_args *args)
{
	static struct cert_names names;
	bool replace = false;
	int code = collect_names(args, &names, &replace), err;

	if (code != TOOL_OK)
		return code;
	if (box_read_config() != OK)
		return TOOL_FAILED;
	cert_names_of_box(&names, box_config.domain);
	box_become_server_user();
	if (box_make_room_for(box_config.tls_certificate) != OK)
		return TOOL_FAILED;
	err = crypto_init(port_entropy);
	if (err == OK)
		err = cert_create(&names, box_config.tls_certificate, box_config.tls_key, port_wall_time(), replace);
	if (err != OK)
		return explain(err);
	describe();
	return TOOL_OK;
}
