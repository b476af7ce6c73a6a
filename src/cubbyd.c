/* The server's command line. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "port/system.h"
#include "server.h"

static struct config config;
static struct budget budget;
static char domain[256];

static void sink(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

static void complain(void *context, const char *text)
{
	(void)context;
	log_error("%s", text);
}

static void print_budget(void)
{
	char line[200];
	struct buf out;

	for (unsigned row = 0;; row++) {
		buf_init(&out, line, sizeof line);
		if (!budget_line(&budget, row, &out))
			return;
		(void)buf_putc(&out, '\n');
		(void)port_stdout(line, out.len);
	}
}

/* Text for a cell of a Markdown table. */
static void put_cell(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			(void)buf_putc(out, '\\');
		(void)buf_putc(out, (uint8_t)(*text == '\n' ? ';' : *text));
	}
}

static void print_settings(void)
{
	static const char head[] = "| setting | default | what it is |\n|---|---|---|\n";
	struct config_setting setting;
	char line[1200];
	struct buf out;

	(void)port_stdout(head, sizeof head - 1);
	for (size_t i = 0; config_setting(i, &setting); i++) {
		buf_init(&out, line, sizeof line);
		(void)buf_puts(&out, "| `");
		(void)buf_puts(&out, setting.key);
		(void)buf_putc(&out, ' ');
		put_cell(&out, setting.form);
		(void)buf_puts(&out, "` | ");
		put_cell(&out, setting.value);
		(void)buf_puts(&out, " | ");
		put_cell(&out, setting.help);
		(void)buf_puts(&out, " |\n");
		(void)port_stdout(line, out.len);
	}
}

static int usage(void)
{
	static const char text[] = "usage: cubbyd -c FILE [-d | -t | --budget]\n"
				   "       cubbyd --settings | --version\n"
				   "  -c FILE    the configuration\n"
				   "  -d         detach, log to syslog\n"
				   "  -t         only check the configuration\n"
				   "  --budget   print the table of memory\n"
				   "  --settings print what the configuration may say\n";

	(void)port_stdout(text, sizeof text - 1);
	return 2;
}

static void note_domain(void *context, const char *name, bool is_ip)
{
	(void)context;
	if (!is_ip && !domain[0])
		(void)snprintf(domain, sizeof domain, "%s", name);
}

/* Settings that are understood, so that one configuration serves all versions,
 * but that nothing acts on yet. */
static void warn_of_settings(const char *file)
{
	static const char *const later[] = { "imap4rev2" };
	struct config_setting setting;

	for (size_t i = 0; config_setting(i, &setting); i++)
		for (size_t k = 0; k < sizeof later / sizeof *later; k++)
			if (config.line[i] && bytes_starts_nocase(bytes_of(setting.key), later[k]))
				log_warning("%s:%u: %s has no effect in this version", file, (unsigned)config.line[i],
					setting.key);
}

static bool speaks_all(const char *file)
{
	bool all = true;

	for (size_t i = 0; i < config.listen_n; i++) {
		enum config_protocol p = config.listen[i].protocol;

		if (server_speaks(p))
			continue;
		log_error("%s: listen %s: this version of Cubby does not speak it", file, config_protocol_name(p));
		all = false;
	}
	return all;
}

static int read_config(const char *file)
{
	char reason[200];

	if (config_read(file, &config, complain, NULL) != OK || !speaks_all(file))
		return 1;
	if (budget_make(&config, &budget, reason, sizeof reason) != OK) {
		log_error("%s: %s", file, reason);
		return 1;
	}
	warn_of_settings(file);
	(void)snprintf(domain, sizeof domain, "%s", config.domain);
	if (!domain[0])
		(void)port_box_names(note_domain, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	const char *file = NULL, *mode = "";

	log_init(sink, LOG_NOTICE);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
			file = argv[++i];
		else if (!mode[0])
			mode = argv[i];
		else
			return usage();
	}
	if (strcmp(mode, "--version") == 0) {
		(void)port_stdout("cubbyd " CUBBY_VERSION "\n", sizeof "cubbyd " CUBBY_VERSION);
		return 0;
	}
	if (strcmp(mode, "--settings") == 0) {
		print_settings();
		return 0;
	}
	if (!file || (mode[0] && strcmp(mode, "-d") != 0 && strcmp(mode, "-t") != 0 && strcmp(mode, "--budget") != 0))
		return usage();
	if (read_config(file) != 0)
		return 1;
	if (strcmp(mode, "-t") == 0) {
		log_notice("%s is fine", file);
		return 0;
	}
	if (strcmp(mode, "--budget") == 0) {
		print_budget();
		return 0;
	}
	port_signals_init();
	if (strcmp(mode, "-d") == 0)
		port_log_syslog("cubbyd");
	return server_run(file, &config, &budget, domain, strcmp(mode, "-d") == 0) == OK ? 0 : 1;
}
