/* Sockets on Linux: the contract of port/network.h. A handle is a file
 * descriptor. */
#include "port/posix/posix.h"

#include "base/err.h"
#include "port/network.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Connections that may wait to be accepted; the kernel turns further ones away
 * until then. More than the places before login, so a burst is not refused. */
#define BACKLOG 64

/* Bytes asked for the kernel's buffers of one connection. The kernel doubles
 * the number for its own needs, and takes the memory only while data waits. A
 * reader that stalls thus holds at most 128 KiB of the box's memory. */
#define SEND_BUFFER (64 * 1024)
#define RECEIVE_BUFFER (32 * 1024)

/* Seconds of silence before the peer is probed, and between probes. Five
 * minutes is as long as IDLE stays silent: a phone is not woken more often. */
#define ALIVE_IDLE PORT_SILENCE_S
#define ALIVE_INTERVAL 15
#define ALIVE_PROBES 12

/* A peer that acknowledges nothing for so long is dropped by the kernel. Must
 * be longer than ALIVE_IDLE, or the first probe that gets lost would end the
 * connection. */
#define SILENT_MS ((ALIVE_IDLE + ALIVE_PROBES * ALIVE_INTERVAL) * 1000)

/* After so much silence of a peer that is being asked, port_alive is false. */
#define DEAD_MS 60000

/* The same by the number of retransmissions: a neighbour that can't be found any
 * more makes the kernel take its doubling of the timer back each time, so the
 * timer does not tell how long it has been; the search takes seconds. */
#define DEAD_RETRANSMITS 15

/* Bytes of unread input that port_shut takes off the kernel, so that closing
 * does not turn into a reset that overtakes the last words sent. */
#define SHUT_DRAIN (64 * 1024)

union any_address {
	struct sockaddr any;
	struct sockaddr_in ip4;
	struct sockaddr_in6 ip6;
	struct sockaddr_un path;
};

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value);
}

/* Options that accepted connections inherit from their listener on Linux. None
 * of them is worth a refusal: an old kernel may lack the last. */
static void set_stream_options(int fd)
{
	set_option(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, ALIVE_IDLE);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, ALIVE_INTERVAL);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, ALIVE_PROBES);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, SILENT_MS);
}

/* The system's form of an IP address; an interface is any address (of it). */
static socklen_t fill_ip(const struct posix_place *p, bool ip6, union any_address *a)
{
	memset(a, 0, sizeof *a);
	if (ip6) {
		a->ip6.sin6_family = AF_INET6;
		a->ip6.sin6_port = htons(p->port);
		a->ip6.sin6_scope_id = p->scope;
		memcpy(&a->ip6.sin6_addr, p->ip, 16);
		return sizeof a->ip6;
	}
	a->ip4.sin_family = AF_INET;
	a->ip4.sin_port = htons(p->port);
	memcpy(&a->ip4.sin_addr, p->ip, 4);
	return sizeof a->ip4;
}

static int fill_path(const char *path, union any_address *a, socklen_t *len)
{
	size_t n = strlen(path);

	memset(a, 0, sizeof *a);
	if (n >= sizeof a->path.sun_path)
		return E_SYNTAX;
	a->path.sun_family = AF_UNIX;
	memcpy(a->path.sun_path, path, n + 1);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return OK;
}

static int close_with(int fd, int err)
{
	close(fd);
	return err;
}

/* only6: leave IPv4 to another listener. */
static int try_listen_ip(const struct posix_place *p, bool ip6, bool only6)
{
	int fd = socket(ip6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union any_address a;
	socklen_t len;

	if (fd < 0)
		return posix_err(errno);
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (ip6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, only6);
	if (p->kind == POSIX_AT_INTERFACE &&
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, p->interface, (socklen_t)strlen(p->interface)))
		return close_with(fd, posix_err(errno));
	set_stream_options(fd);
	len = fill_ip(p, ip6, &a);
	if (bind(fd, &a.any, len) || listen(fd, BACKLOG))
		return close_with(fd, posix_err(errno));
	return fd;
}

static int listen_ip(const struct posix_place *p)
{
	bool interface = p->kind == POSIX_AT_INTERFACE;
	int fd;

	if (interface && if_nametoindex(p->interface) == 0)
		return E_NOENT;
	if (!interface && !p->ip6)
		return try_listen_ip(p, false, false);
	fd = try_listen_ip(p, true, false);
	/* 0.0.0.0 has its own listener on that port */
	if (fd == E_BUSY && !interface)
		fd = try_listen_ip(p, true, true);
	/* a kernel without IPv6 */
	if (fd == E_NOENT && interface)
		fd = try_listen_ip(p, false, false);
	return fd;
}

/* Removes the socket file that an earlier process left. E_BUSY when somebody
 * answers on it, or when it is no socket. */
static int replace_path(const union any_address *a, socklen_t len)
{
	struct stat st;
	int fd, err = OK;

	if (lstat(a->path.sun_path, &st))
		return errno == ENOENT ? OK : posix_err(errno);
	if (!S_ISSOCK(st.st_mode))
		return E_BUSY;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return posix_err(errno);
	if (connect(fd, &a->any, len) == 0 || errno != ECONNREFUSED)
		err = E_BUSY;
	else if (unlink(a->path.sun_path))
		err = posix_err(errno);
	return close_with(fd, err);
}

static int listen_path(const char *path, unsigned mode, const char *group)
{
	union any_address a;
	uint32_t gid = UINT32_MAX;
	socklen_t len;
	mode_t old;
	int fd, err = fill_path(path, &a, &len);

	if (err == OK && group)
		err = posix_group(group, &gid);
	if (err == OK)
		err = replace_path(&a, len);
	if (err != OK)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return posix_err(errno);
	set_option(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
	/* nobody may connect before group and mode are what was asked for */
	old = umask(0777);
	err = bind(fd, &a.any, len) ? posix_err(errno) : OK;
	umask(old);
	if (err != OK)
		return close_with(fd, err);
	if ((group && chown(path, (uid_t)-1, (gid_t)gid)) || chmod(path, (mode_t)mode) || listen(fd, BACKLOG)) {
		err = posix_err(errno);
		unlink(path);
		return close_with(fd, err);
	}
	return fd;
}

port_socket port_listen(const char *where, unsigned mode, const char *group)
{
	struct posix_place p;
	int err = posix_place_parse(where, &p);

	if (err != OK)
		return err;
	return p.kind == POSIX_AT_PATH ? listen_path(p.path, mode, group) : listen_ip(&p);
}

uint16_t port_listen_port(port_socket listener)
{
	union any_address a;
	socklen_t len = sizeof a;

	if (getsockname(listener, &a.any, &len))
		return 0;
	if (a.any.sa_family == AF_INET)
		return ntohs(a.ip4.sin_port);
	return a.any.sa_family == AF_INET6 ? ntohs(a.ip6.sin6_port) : 0;
}

static void peer_of(int fd, const union any_address *a, struct port_address *peer)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *ip6 = (const uint8_t *)&a->ip6.sin6_addr;
	struct ucred who;
	socklen_t len = sizeof who;

	memset(peer, 0, sizeof *peer);
	peer->family = PORT_UNIX;
	peer->uid = peer->gid = UINT32_MAX;
	if (a->any.sa_family == AF_INET) {
		peer->family = PORT_IP4;
		peer->port = ntohs(a->ip4.sin_port);
		memcpy(peer->ip, &a->ip4.sin_addr, 4);
	} else if (a->any.sa_family == AF_INET6) {
		bool ip4 = memcmp(ip6, mapped, sizeof mapped) == 0;
		peer->family = ip4 ? PORT_IP4 : PORT_IP6;
		peer->port = ntohs(a->ip6.sin6_port);
		memcpy(peer->ip, ip4 ? ip6 + 12 : ip6, ip4 ? 4 : 16);
	} else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0) {
		peer->uid = (uint32_t)who.uid;
		peer->gid = (uint32_t)who.gid;
		peer->pid = (int32_t)who.pid;
	}
}

port_socket port_accept(port_socket listener, struct port_address *peer)
{
	union any_address a;
	socklen_t len = sizeof a;
	int fd;

	memset(&a, 0, sizeof a);
	do
		fd = accept4(listener, &a.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd >= 0) {
		peer_of(fd, &a, peer);
		return fd;
	}
	if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK)
		return E_IO;
	/* whatever else is news of a connection that did not come about (accept(2)) */
	return posix_err(errno) == E_NOMEM ? E_NOMEM : E_AGAIN;
}

port_socket port_connect(const char *where)
{
	struct posix_place p;
	union any_address a;
	socklen_t len = 0;
	int fd, err = posix_place_parse(where, &p);

	if (err == OK && p.kind == POSIX_AT_INTERFACE)
		err = E_SYNTAX;
	if (err == OK && p.kind == POSIX_AT_PATH)
		err = fill_path(p.path, &a, &len);
	else if (err == OK)
		len = fill_ip(&p, p.ip6, &a);
	if (err != OK)
		return err;
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return posix_err(errno);
	if (p.kind != POSIX_AT_PATH)
		set_stream_options(fd);
	if (connect(fd, &a.any, len))
		return close_with(fd, posix_err(errno));
	return fd;
}

void port_finish(port_socket s)
{
	shutdown(s, SHUT_WR);
}

void port_shut(port_socket s)
{
	char rest[2048];
	size_t drained = 0;

	if (s < 0)
		return;
	shutdown(s, SHUT_WR);
	while (drained < SHUT_DRAIN) {
		ssize_t n = recv(s, rest, sizeof rest, MSG_DONTWAIT);
		if (n <= 0)
			break;
		drained += (size_t)n;
	}
	close(s);
}

int64_t port_recv(port_socket s, void *data, size_t len)
{
	ssize_t n;

	assert(len > 0);
	do
		n = recv(s, data, len, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? E_AGAIN : E_CLOSED;
}

int64_t port_send(port_socket s, const void *data, size_t len)
{
	ssize_t n;

	assert(len > 0);
	do
		n = send(s, data, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	return n == 0 || errno == EAGAIN || errno == EWOULDBLOCK ? E_AGAIN : E_CLOSED;
}

bool port_alive(port_socket s)
{
	struct tcp_info info;
	socklen_t len = sizeof info;
	uint64_t waited;

	memset(&info, 0, sizeof info);
	if (getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &len))
		return true;
	if (info.tcpi_state == TCP_CLOSE)
		return false;
	if (info.tcpi_probes > DEAD_MS / 1000 / ALIVE_INTERVAL)
		return false;
	if (info.tcpi_unacked == 0 || info.tcpi_retransmits == 0 || info.tcpi_last_ack_recv < DEAD_MS)
		return true;
	if (info.tcpi_retransmits >= DEAD_RETRANSMITS)
		return false;
	/* Retransmissions come after r, 2r, 4r...: until the last one the sum was
	 * the present timer less r. */
	waited = (info.tcpi_rto - (info.tcpi_backoff < 32 ? info.tcpi_rto >> info.tcpi_backoff : 0)) / 1000;
	return waited + info.tcpi_last_data_sent < DEAD_MS;
}

static short events_of(uint8_t want)
{
	return (short)((want & PORT_CAN_READ ? POLLIN : 0) | (want & PORT_CAN_WRITE ? POLLOUT : 0));
}

int port_wait(struct port_wait *set, size_t n, int timeout_ms)
{
	static struct pollfd polled[PORT_WAIT_MAX + 1];
	int ready = 0, got;

	if (n > PORT_WAIT_MAX)
		return E_LIMIT;
	for (size_t i = 0; i < n; i++) {
		set[i].got = 0;
		polled[i] = (struct pollfd){ .fd = set[i].s, .events = events_of(set[i].want) };
	}
	polled[n] = (struct pollfd){ .fd = posix_signal_fd(), .events = POLLIN };
	got = poll(polled, (nfds_t)(n + 1), timeout_ms < 0 ? -1 : timeout_ms);
	if (got < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : E_IO;
	if (polled[n].revents) {
		uint8_t drop[64];
		while (read(polled[n].fd, drop, sizeof drop) == (ssize_t)sizeof drop)
			;
	}
	for (size_t i = 0; i < n; i++) {
		short events = polled[i].revents;

		if (events & (POLLIN | POLLERR | POLLHUP | POLLNVAL))
			set[i].got |= PORT_CAN_READ;
		if (events & POLLOUT)
			set[i].got |= PORT_CAN_WRITE;
		if (set[i].got)
			ready++;
	}
	return ready;
}
