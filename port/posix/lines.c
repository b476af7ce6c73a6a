/* Small readers for the system's text files, and errno in our own words. */
#include "port/posix/posix.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int posix_err(int number)
{
	static const struct {
		int number, err;
	} table[] = {
		{ENOENT, E_NOENT},
		{ENOTDIR, E_NOENT},
		{ENODEV, E_NOENT},
		{ENXIO, E_NOENT},
		{EADDRNOTAVAIL, E_NOENT},
		{EAFNOSUPPORT, E_NOENT},
		{ECONNREFUSED, E_CLOSED},
		{EEXIST, E_EXIST},
		{ENOTEMPTY, E_EXIST},
		{EACCES, E_ACCESS},
		{EPERM, E_ACCESS},
		{ENOSPC, E_NOSPC},
		{EDQUOT, E_NOSPC},
		{EFBIG, E_NOSPC},
		{EMFILE, E_NOMEM},
		{ENFILE, E_NOMEM},
		{ENOMEM, E_NOMEM},
		{ENOBUFS, E_NOMEM},
		{EROFS, E_READONLY},
		{EADDRINUSE, E_BUSY},
		{EWOULDBLOCK, E_BUSY},
		{EBUSY, E_BUSY},
		{ENAMETOOLONG, E_LIMIT},
		{EINVAL, E_NOTSUP},
		{EOPNOTSUPP, E_NOTSUP},
		{ENOSYS, E_NOTSUP},
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].number == number)
			return table[i].err;
	return E_IO;
}

int posix_lines_open(struct posix_lines *l, const char *path)
{
	l->from = l->to = 0;
	l->skip = false;
	l->fd = open(path, O_RDONLY | O_CLOEXEC);
	return l->fd < 0 ? posix_err(errno) : OK;
}

void posix_lines_close(struct posix_lines *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

/* Reads behind what is there. False at the end of the file. */
static bool lines_fill(struct posix_lines *l)
{
	ssize_t n;

	memmove(l->data, l->data + l->from, l->to - l->from);
	l->to -= l->from;
	l->from = 0;
	do
		n = read(l->fd, l->data + l->to, sizeof l->data - 1 - l->to);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	l->to += (size_t)n;
	return true;
}

char *posix_lines_next(struct posix_lines *l)
{
	for (;;) {
		char *line = l->data + l->from;
		char *end = memchr(line, '\n', l->to - l->from);

		if (end) {
			*end = '\0';
			l->from = (size_t)(end - l->data) + 1;
			if (!l->skip)
				return line;
			l->skip = false;
		} else if (l->to - l->from == sizeof l->data - 1) {
			bool first = !l->skip;
			l->from = l->to;
			l->skip = true;
			line[sizeof l->data - 1] = '\0';
			if (first)
				return line;
		} else if (!lines_fill(l)) {
			line = l->data + l->from;
			if (l->from == l->to || l->skip)
				return NULL;
			l->data[l->to] = '\0';
			l->from = l->to;
			return line;
		}
	}
}

char *posix_field(char **rest, char separator)
{
	char *field = *rest, *end;

	if (!field)
		return NULL;
	end = strchr(field, separator);
	if (end)
		*end++ = '\0';
	*rest = end;
	return field;
}

bool posix_number(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		unsigned digit = (unsigned)(*text - '0');
		if (n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*value = n;
	return true;
}
