/* The contract of port/network.h on Linux, over loopback. */
#define _GNU_SOURCE 1

#include "base/err.h"
#include "port/network.h"
#include "port/posix/posix.h"
#include "port/system.h"
#include "tests/unit/t.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Waits for one socket: what it got. */
static uint8_t ready(port_socket s, uint8_t want, int timeout_ms)
{
	struct port_wait w = { .s = s, .want = want };

	return port_wait(&w, 1, timeout_ms) == 1 ? w.got : 0;
}

static port_socket accept_one(port_socket listener, struct port_address *peer)
{
	T_EQ(ready(listener, PORT_CAN_READ, 2000), PORT_CAN_READ);
	return port_accept(listener, peer);
}

/* A connection over IPv4: its client's end is blocking. */
static port_socket pair(port_socket *client)
{
	port_socket listener = port_listen("127.0.0.1:0", 0, NULL), s;
	struct port_address peer;
	char where[32];

	T_OK(listener >= 0);
	snprintf(where, sizeof where, "127.0.0.1:%u", port_listen_port(listener));
	*client = port_connect(where);
	T_OK(*client >= 0);
	s = accept_one(listener, &peer);
	T_OK(s >= 0 && peer.family == PORT_IP4 && peer.ip[0] == 127 && peer.port != 0);
	port_shut(listener);
	return s;
}

T_TEST(places_are_taken_apart)
{
	static const struct {
		const char *where;
		int err;
		enum posix_place_kind kind;
		unsigned port;
	} cases[] = {
		{"127.0.0.1:143", OK, POSIX_AT_ADDRESS, 143},
		{"[::1]:993", OK, POSIX_AT_ADDRESS, 993},
		{"[fe80::1%lo]:1", OK, POSIX_AT_ADDRESS, 1},
		{"[fe80::1%nonesuch]:1", E_NOENT, 0, 0},
		{"br-lan:65535", OK, POSIX_AT_INTERFACE, 65535},
		{"eth0.2:0", OK, POSIX_AT_INTERFACE, 0},
		{"unix:/run/x", OK, POSIX_AT_PATH, 0},
		{"unix:", E_SYNTAX, 0, 0},
		{"127.0.0.1:65536", E_SYNTAX, 0, 0},
		{"127.0.0.1:", E_SYNTAX, 0, 0},
		{"127.0.0.1:-1", E_SYNTAX, 0, 0},
		{"127.0.0.1", E_SYNTAX, 0, 0},
		{"127.0.0.256:1", E_SYNTAX, 0, 0},
		{"127.1:1", E_SYNTAX, 0, 0},
		{"::1:143", E_SYNTAX, 0, 0},
		{"[::1:143", E_SYNTAX, 0, 0},
		{"[]:143", E_SYNTAX, 0, 0},
		{"[:143", E_SYNTAX, 0, 0},
		{"[::1]143", E_SYNTAX, 0, 0},
		{":143", E_SYNTAX, 0, 0},
		{"", E_SYNTAX, 0, 0},
		{"interface-name-too-long:1", E_SYNTAX, 0, 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct posix_place p;
		int err = posix_place_parse(cases[i].where, &p);

		if (err != cases[i].err || (err == OK && (p.kind != cases[i].kind || p.port != cases[i].port)))
			T_FAIL("%s: %d", cases[i].where, err);
	}
}

T_TEST(listens_where_told)
{
	port_socket s = port_listen("127.0.0.1:0", 0, NULL);
	char where[32];

	T_OK(s >= 0 && port_listen_port(s) > 0);
	snprintf(where, sizeof where, "127.0.0.1:%u", port_listen_port(s));
	T_EQ(port_listen(where, 0, NULL), E_BUSY);
	T_EQ(port_listen("192.0.2.1:0", 0, NULL), E_NOENT);
	T_EQ(port_listen("nonesuch0:0", 0, NULL), E_NOENT);
	T_EQ(port_listen("nonsense", 0, NULL), E_SYNTAX);
	port_shut(s);
	T_EQ(port_connect(where), E_CLOSED);
	s = port_listen(where, 0, NULL);
	T_OK(s >= 0);
	port_shut(s);
}

T_TEST(ip6_listener_serves_ip4_as_such)
{
	port_socket s = port_listen("[::]:0", 0, NULL), c, a;
	struct port_address peer;
	char where[32], text[46];

	if (s < 0) {
		printf("# no IPv6 here\n");
		return;
	}
	snprintf(where, sizeof where, "127.0.0.1:%u", port_listen_port(s));
	c = port_connect(where);
	a = accept_one(s, &peer);
	T_EQ(peer.family, PORT_IP4);
	T_BYTES(text, port_address_text(&peer, text), "127.0.0.1");
	port_shut(a);
	port_shut(c);
	snprintf(where, sizeof where, "[::1]:%u", port_listen_port(s));
	c = port_connect(where);
	if (c >= 0) {
		a = accept_one(s, &peer);
		T_EQ(peer.family, PORT_IP6);
		T_BYTES(text, port_address_text(&peer, text), "::1");
		port_shut(a);
		port_shut(c);
	}
	port_shut(s);
}

T_TEST(ip4_and_ip6_listeners_share_a_port)
{
	port_socket four = port_listen("0.0.0.0:0", 0, NULL), six;
	char where[32];

	snprintf(where, sizeof where, "[::]:%u", port_listen_port(four));
	six = port_listen(where, 0, NULL);
	T_OK(six >= 0 || six == E_NOENT);
	port_shut(six);
	port_shut(four);
}

T_TEST(interface_listener_hears_its_interface)
{
	port_socket s = port_listen("lo:0", 0, NULL), c, a;
	struct port_address peer;
	char where[32];

	if (s == E_ACCESS) {
		printf("# not allowed to bind to an interface\n");
		return;
	}
	T_OK(s >= 0);
	snprintf(where, sizeof where, "127.0.0.1:%u", port_listen_port(s));
	c = port_connect(where);
	a = accept_one(s, &peer);
	T_OK(a >= 0 && peer.family == PORT_IP4);
	port_shut(a);
	port_shut(c);
	port_shut(s);
}

T_TEST(unix_socket_has_mode_and_credentials)
{
	struct port_address peer;
	char where[] = "unix:/tmp/cubby-socket-XXXXXX", *path = where + 5;
	port_socket s, c, a;
	struct stat st;
	int fd = mkstemp(path);

	close(fd);
	T_EQ(port_listen(where, 0660, NULL), E_BUSY); /* no socket: not ours to remove */
	unlink(path);
	s = port_listen(where, 0620, geteuid() == 0 ? "daemon" : NULL);
	T_OK(s >= 0);
	T_OK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0620);
	if (geteuid() == 0)
		T_OK(st.st_gid != 0);
	T_EQ(port_listen_port(s), 0);
	T_EQ(port_listen(where, 0660, NULL), E_BUSY); /* somebody answers */
	c = port_connect(where);
	T_OK(c >= 0);
	while ((a = accept_one(s, &peer)) >= 0 && peer.pid != (int32_t)getpid())
		port_shut(a);
	T_OK(peer.family == PORT_UNIX && peer.uid == geteuid() && peer.gid == getegid());
	T_OK(port_alive(a));
	port_shut(a);
	port_shut(c);
	close(s); /* died without removing its file */
	T_EQ(port_connect(where), E_CLOSED);
	s = port_listen(where, 0600, NULL);
	T_OK(s >= 0);
	port_shut(s);
	unlink(path);
	T_EQ(port_connect(where), E_NOENT);
}

T_TEST(options_are_inherited)
{
	port_socket client, s = pair(&client);
	int value = 0;
	socklen_t len = sizeof value;

	T_OK(getsockopt(s, IPPROTO_TCP, TCP_NODELAY, &value, &len) == 0 && value == 1);
	T_OK(getsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &value, &len) == 0 && value == 1);
	T_OK(getsockopt(s, IPPROTO_TCP, TCP_KEEPINTVL, &value, &len) == 0 && value == 15);
	T_OK(getsockopt(s, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &len) == 0 && value >= 360000);
	T_OK(getsockopt(s, SOL_SOCKET, SO_SNDBUF, &value, &len) == 0 && value <= 128 * 1024);
	port_shut(s);
	port_shut(client);
}

T_TEST(bytes_move_and_streams_end)
{
	port_socket client, s = pair(&client);
	char data[16];

	T_EQ(port_recv(s, data, sizeof data), E_AGAIN);
	T_EQ(ready(s, PORT_CAN_READ, 0), 0);
	T_EQ(port_send(client, "hello", 5), 5);
	T_EQ(ready(s, PORT_CAN_READ, 2000), PORT_CAN_READ);
	T_EQ(port_recv(s, data, sizeof data), 5);
	T_OK(port_alive(s));
	T_EQ(ready(s, PORT_CAN_READ | PORT_CAN_WRITE, 2000), PORT_CAN_WRITE);
	shutdown(client, SHUT_WR);
	T_EQ(ready(s, PORT_CAN_READ, 2000), PORT_CAN_READ);
	T_EQ(port_recv(s, data, sizeof data), 0);
	T_EQ(port_send(s, "bye", 3), 3);
	port_shut(s);
	T_EQ(port_recv(client, data, sizeof data), 3);
	T_EQ(port_recv(client, data, sizeof data), 0);
	port_shut(client);
}

T_TEST(reset_shows_even_when_nothing_is_wanted)
{
	port_socket client, s = pair(&client);
	struct linger now = { .l_onoff = 1, .l_linger = 0 };
	char data[16];

	T_OK(setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
	close(client);
	T_EQ(ready(s, 0, 2000), PORT_CAN_READ);
	T_OK(!port_alive(s));
	T_EQ(port_recv(s, data, sizeof data), E_CLOSED);
	T_EQ(port_send(s, data, 1), E_CLOSED);
	port_shut(s);
}

T_TEST(stalled_reader_is_bounded)
{
	port_socket client, s = pair(&client);
	static char data[65536];
	size_t sent = 0;
	int64_t n;

	while ((n = port_send(s, data, sizeof data)) > 0)
		sent += (size_t)n;
	T_EQ(n, E_AGAIN);
	T_OK(sent < 4 << 20);
	T_EQ(ready(s, PORT_CAN_WRITE, 0), 0);
	while (sent > 0) {
		n = port_recv(client, data, sizeof data);
		T_OK(n > 0);
		sent -= (size_t)n;
	}
	T_EQ(ready(s, PORT_CAN_WRITE, 2000), PORT_CAN_WRITE);
	port_shut(s);
	port_shut(client);
}

/* The last words must arrive although the peer had more to say. */
T_TEST(closing_does_not_swallow_the_last_words)
{
	port_socket client, s = pair(&client);
	char data[4096] = { 0 };

	for (int i = 0; i < 8; i++)
		T_EQ(port_send(client, data, sizeof data), sizeof data);
	T_EQ(ready(s, PORT_CAN_READ, 2000), PORT_CAN_READ);
	T_EQ(port_send(s, "* BYE", 5), 5);
	port_shut(s);
	T_EQ(port_recv(client, data, sizeof data), 5);
	T_BYTES(data, 5, "* BYE");
	T_EQ(port_recv(client, data, sizeof data), 0);
	port_shut(client);
}

T_TEST(waits_for_many_at_once)
{
	port_socket client[8];
	struct port_wait set[8];

	for (unsigned i = 0; i < 8; i++)
		set[i] = (struct port_wait){ .s = pair(&client[i]), .want = PORT_CAN_READ };
	T_EQ(port_wait(set, 8, 0), 0);
	T_EQ(port_send(client[3], "x", 1), 1);
	T_EQ(port_send(client[6], "x", 1), 1);
	usleep(10000);
	T_EQ(port_wait(set, 8, 1000), 2);
	for (unsigned i = 0; i < 8; i++) {
		T_EQ(set[i].got, i == 3 || i == 6 ? PORT_CAN_READ : 0);
		port_shut(set[i].s);
		port_shut(client[i]);
	}
	T_EQ(port_wait(set, 100000, 0), E_LIMIT);
}

T_MAIN(T_RUN(places_are_taken_apart) T_RUN(listens_where_told) T_RUN(ip6_listener_serves_ip4_as_such)
		T_RUN(ip4_and_ip6_listeners_share_a_port) T_RUN(interface_listener_hears_its_interface)
			T_RUN(unix_socket_has_mode_and_credentials) T_RUN(options_are_inherited)
				T_RUN(bytes_move_and_streams_end) T_RUN(reset_shows_even_when_nothing_is_wanted)
					T_RUN(stalled_reader_is_bounded) T_RUN(closing_does_not_swallow_the_last_words)
						T_RUN(waits_for_many_at_once))
