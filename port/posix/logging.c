/* Log lines to standard error, or to the system's log over its socket. The C
 * library's syslog(3) allocates and reads the time zone again. */
#include "port/posix/posix.h"

#include "base/err.h"
#include "port/system.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define LOG_SOCKET "/dev/log"

/* Facility `mail` of RFC 5424 section 6.2.1. */
#define FACILITY_MAIL (2 * 8)

static const char *log_name; /* NULL: to standard error */
static int log_socket = -1;
static unsigned log_lost; /* lines that the system's log did not take */

static void log_connect(void)
{
	static const struct sockaddr_un where = { .sun_family = AF_UNIX, .sun_path = LOG_SOCKET };

	if (log_socket >= 0)
		close(log_socket);
	log_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log_socket >= 0 && connect(log_socket, (const struct sockaddr *)&where, sizeof where)) {
		close(log_socket);
		log_socket = -1;
	}
}

void port_log_syslog(const char *name)
{
	log_name = name;
	log_connect();
}

/* "<22>Jan  2 03:04:05 cubbyd[7]: ", the form of RFC 3164 that every system's
 * log understands, in local time as it is customary there. */
static size_t log_head(enum port_level level, char *out, size_t cap)
{
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
	};
	int64_t wall = port_wall_time();
	struct posix_civil t;
	int n;

	posix_civil(wall + port_zone_minutes(wall) * 60, &t);
	n = snprintf(out, cap, "<%d>%s %2u %02u:%02u:%02u %s[%d]: ", FACILITY_MAIL + (int)level, months[t.month - 1],
		t.day, t.second / 3600, t.second / 60 % 60, t.second % 60, log_name, (int)getpid());
	return n < 0 ? 0 : (size_t)n < cap ? (size_t)n : cap - 1;
}

static bool log_send(enum port_level level, const char *line, size_t len)
{
	char head[128];
	struct iovec parts[2] = {
		{.iov_base = head, .iov_len = log_head(level, head, sizeof head)},
		{.iov_base = (void *)(uintptr_t)line, .iov_len = len},
	};
	struct msghdr message;

	memset(&message, 0, sizeof message);
	message.msg_iov = parts;
	message.msg_iovlen = 2;
	if (log_socket < 0)
		log_connect();
	if (log_socket < 0)
		return false;
	if (sendmsg(log_socket, &message, MSG_NOSIGNAL) >= 0)
		return true;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
		return false;
	/* the log was started anew */
	log_connect();
	return log_socket >= 0 && sendmsg(log_socket, &message, MSG_NOSIGNAL) >= 0;
}

void port_log(enum port_level level, const char *line, size_t len)
{
	struct iovec parts[2] = {
		{.iov_base = (void *)(uintptr_t)line, .iov_len = len},
		{.iov_base = (void *)(uintptr_t) "\n", .iov_len = 1},
	};
	ssize_t n;

	if (!log_name) {
		n = writev(STDERR_FILENO, parts, 2);
		(void)n;
		return;
	}
	if (log_lost > 0) {
		char text[64];
		int k = snprintf(text, sizeof text, "%u lines lost: the system's log was busy", log_lost);
		if (k > 0 && log_send(PORT_LOG_WARNING, text, (size_t)k))
			log_lost = 0;
	}
	if (!log_send(level, line, len))
		log_lost++;
}
