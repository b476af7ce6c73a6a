/* The end of a failed assert without stdio, in the place of musl's: its fprintf
 * would bring in the floating point that snprintf.c keeps out. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *function)
{
	char text[200];
	ssize_t n;

	snprintf(text, sizeof text, "%s:%d: %s: assertion failed: %s\n", file, line, function, expression);
	n = write(STDERR_FILENO, text, strlen(text));
	(void)n;
	abort();
}
