/* cubby, the command-line tool: what its files share. Each command is a row of
 * the table in cubby.c. The tool lives by the server's rules (port/ is the only
 * door to the system, nothing is taken from the heap); what it holds is static,
 * or mapped once. */
#ifndef TOOLS_CUBBY_H
#define TOOLS_CUBBY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Exit codes: 0 and 1, and those of sysexits.h that mail programs look at. */
enum {
	TOOL_OK = 0,
	TOOL_FAILED = 1,
	TOOL_CANT_CHECK = 2, /* check: whether the store is whole could not be found out */
	TOOL_USAGE = 64,
	TOOL_NO_USER = 67,
	TOOL_TEMPORARY = 75 /* try again later */
};

/* Bytes of one line of output. */
#define TOOL_LINE 1024

/* A line to standard output. */
void tool_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "cubby: ..." to standard error. */
void tool_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The exit code for an error of base/err.h. */
int tool_exit_code(int err);
/* "1.5 MiB" into out[32]. */
const char *tool_size(uint64_t bytes, char out[32]);

/* The arguments behind the command's words. */
struct tool_args {
	int n;
	char **word;
	int at; /* of the next one that was not taken */
};
/* True, and cut off, when the next argument is that option. */
bool tool_option(struct tool_args *args, const char *option);
/* The value behind an option: NULL, with a complaint, when there is none. */
const char *tool_option_value(struct tool_args *args, const char *option);
/* The next argument that is no option; NULL, with a complaint, when missing. */
const char *tool_operand(struct tool_args *args, const char *what);
/* True when nothing is left; else complains. */
bool tool_no_more(struct tool_args *args);

/* The file named by -c. */
extern const char *tool_config_file;

#endif
