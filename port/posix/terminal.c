/* The terminal, standard input and output for the command-line tool. */
#include "port/posix/posix.h"

#include "base/err.h"
#include "port/system.h"

#include <errno.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define CONTROL_C 3

static bool write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* A line from standard input, one byte at a time so that nothing behind it is
 * taken away from port_stdin. */
static int read_line(char *out, size_t cap)
{
	size_t len = 0;
	bool long_line = false;

	for (;;) {
		char c;
		ssize_t n = read(STDIN_FILENO, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0 && c == CONTROL_C && isatty(STDIN_FILENO))
			return E_CLOSED;
		if (n <= 0 && len == 0 && !long_line)
			return E_CLOSED;
		if (n <= 0 || c == '\n')
			break;
		if (len < cap)
			out[len++] = c;
		else
			long_line = true;
	}
	if (long_line)
		return E_LIMIT;
	if (len > 0 && out[len - 1] == '\r')
		len--;
	return (int)len;
}

int port_read_password(const char *prompt, char *out, size_t cap)
{
	struct termios old, quiet;
	int len;

	if (tcgetattr(STDIN_FILENO, &old))
		return read_line(out, cap);
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	/* an interrupt must not leave the terminal silent: it comes as a byte */
	quiet.c_cc[VEOL] = CONTROL_C;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet))
		return E_IO;
	write_all(STDERR_FILENO, prompt, strlen(prompt));
	len = read_line(out, cap);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	write_all(STDERR_FILENO, "\n", 1);
	return len;
}

int64_t port_stdin(void *data, size_t len)
{
	ssize_t n;

	do
		n = read(STDIN_FILENO, data, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? E_IO : n;
}

int port_stdout(const void *data, size_t len)
{
	return write_all(STDOUT_FILENO, data, len) ? OK : E_IO;
}

bool port_stdout_is_terminal(void)
{
	return isatty(STDOUT_FILENO) == 1;
}

bool port_stdin_is_terminal(void)
{
	return isatty(STDIN_FILENO) == 1;
}
