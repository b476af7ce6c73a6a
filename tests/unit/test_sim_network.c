/* Scripted clients against the simulated sockets: whatever the pieces, the
 * bytes are the same, and every kind of bad peer can be played. */
#include "base/err.h"
#include "port/sim/sim.h"
#include "tests/unit/t.h"

static port_socket listener;

static port_socket accepted(sim_client *c)
{
	struct port_address peer;

	*c = sim_connect(143);
	T_OK(*c > 0);
	return port_accept(listener, &peer);
}

static void box(uint64_t seed, enum sim_chunks chunks, size_t buffer)
{
	sim_reset(seed);
	sim_network(chunks, buffer);
	listener = port_listen("127.0.0.1:143", 0, NULL);
	T_OK(listener >= 0);
}

T_TEST(listens_and_accepts)
{
	struct port_address peer, from = { .family = PORT_IP6, .port = 7 };
	struct port_wait wait;
	char text[46];
	port_socket s, path;

	box(1, SIM_CHUNKS_WHOLE, 100);
	T_EQ(port_listen("[::]:143", 0, NULL), E_BUSY);
	T_EQ(port_listen("nonsense", 0, NULL), E_SYNTAX);
	T_EQ(port_listen("1.2.3.4:99999", 0, NULL), E_SYNTAX);
	s = port_listen("127.0.0.1:0", 0, NULL);
	T_OK(port_listen_port(s) > 0);
	T_EQ(port_listen_port(listener), 143);
	T_EQ(port_accept(listener, &peer), E_AGAIN);
	T_EQ(sim_connect(144), E_CLOSED);
	wait = (struct port_wait){ .s = listener, .want = PORT_CAN_READ };
	T_EQ(port_wait(&wait, 1, 0), 0);
	from.ip[0] = 0x20;
	from.ip[1] = 1;
	from.ip[2] = 0x0d;
	from.ip[3] = 0xb8;
	from.ip[15] = 1;
	T_OK(sim_connect_from(143, &from) > 0);
	T_EQ(port_wait(&wait, 1, 0), 1);
	T_EQ(wait.got, PORT_CAN_READ);
	sim_accept_fail(1);
	T_EQ(port_accept(listener, &peer), E_NOMEM);
	T_OK(port_accept(listener, &peer) >= 0);
	T_BYTES(text, port_address_text(&peer, text), "2001:db8::1");
	path = port_listen("unix:/run/lmtp", 0660, "mail");
	T_OK(sim_connect_unix("/run/lmtp", 5, 6) > 0);
	T_OK(port_accept(path, &peer) >= 0);
	T_OK(peer.family == PORT_UNIX && peer.uid == 5 && peer.gid == 6);
	T_EQ(sim_open_sockets(), 2);
}

T_TEST(addresses_as_rfc_5952_writes_them)
{
	static const struct {
		uint8_t ip[16];
		const char *text;
	} cases[] = {
		{{0}, "::"},
		{{[15] = 1}, "::1"},
		{{0x20, 1, 0x0d, 0xb8, [8] = 0, 1, 0, 0, 0, 0, 0, 1}, "2001:db8::1:0:0:1"},
		{{0xfe, 0x80, [15] = 2}, "fe80::2"},
		{{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, "2001:db8:0:1:1:1:1:1"},
		{{0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6}, "1:2:3:4:5:6::"},
	};
	char text[46];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct port_address a = { .family = PORT_IP6 };

		memcpy(a.ip, cases[i].ip, 16);
		T_BYTES(text, port_address_text(&a, text), cases[i].text);
	}
}

/* How many pieces of each length port_recv gave in the last exchange. */
static unsigned lengths[701];

/* Sends a fixed stream both ways; how many calls it took. */
static unsigned exchange(uint64_t seed, enum sim_chunks chunks)
{
	uint8_t data[3000], back[3000], piece[700];
	size_t sent = 0, got = 0, returned = 0;
	unsigned calls = 0;
	sim_client c;
	port_socket s;

	box(seed, chunks, 512);
	memset(lengths, 0, sizeof lengths);
	s = accepted(&c);
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	while (returned < sizeof data) {
		int64_t n = sim_client_send(c, data + sent, sizeof data - sent);

		T_OK(n >= 0);
		sent += (size_t)n;
		n = port_recv(s, piece, sizeof piece);
		T_OK(n > 0 || n == E_AGAIN);
		if (n > 0)
			lengths[n]++;
		for (size_t at = 0; n > 0 && at < (size_t)n;) {
			int64_t m = port_send(s, piece + at, (size_t)n - at);

			T_OK(m > 0 || m == E_AGAIN);
			at += m > 0 ? (size_t)m : 0;
			m = sim_client_recv(c, back + returned, sizeof back - returned);
			returned += (size_t)m;
			calls++;
		}
		got += n > 0 ? (size_t)n : 0;
	}
	T_EQ(got, sizeof data);
	T_OK(memcmp(data, back, sizeof data) == 0);
	return calls;
}

T_TEST(pieces_differ_and_bytes_do_not)
{
	unsigned different = 0;

	T_OK(exchange(1, SIM_CHUNKS_WHOLE) <= 7);
	T_EQ(exchange(1, SIM_CHUNKS_ONE), 3000);
	T_EQ(lengths[1], 3000);
	exchange(1, SIM_CHUNKS_RANDOM);
	for (unsigned i = 1; i < 512; i++)
		lengths[0] += lengths[i] > 0;
	T_OK(lengths[0] > 8);
	for (uint64_t seed = 0; seed < 20; seed++) {
		T_EQ(exchange(seed, SIM_CHUNKS_RANDOM), exchange(seed, SIM_CHUNKS_RANDOM));
		different += exchange(seed, SIM_CHUNKS_RANDOM) != exchange(seed + 1, SIM_CHUNKS_RANDOM);
	}
	T_OK(different > 10);
}

T_TEST(stalled_reader_fills_the_buffer)
{
	char data[64] = { 0 };
	struct port_wait wait;
	sim_client c;
	port_socket s;

	box(1, SIM_CHUNKS_WHOLE, 100);
	s = accepted(&c);
	T_EQ(port_send(s, data, 64), 64);
	T_EQ(port_send(s, data, 64), 36);
	T_EQ(port_send(s, data, 64), E_AGAIN);
	wait = (struct port_wait){ .s = s, .want = PORT_CAN_READ | PORT_CAN_WRITE };
	T_EQ(port_wait(&wait, 1, 0), 0);
	T_EQ(sim_client_recv(c, data, 1), 1);
	T_EQ(port_wait(&wait, 1, 0), 1);
	T_EQ(wait.got, PORT_CAN_WRITE);
	T_EQ(sim_client_send(c, "x", 1), 1);
	T_EQ(port_wait(&wait, 1, 0), 1);
	T_EQ(wait.got, PORT_CAN_READ | PORT_CAN_WRITE);
}

T_TEST(peers_leave_in_every_way)
{
	char data[64];
	struct port_wait wait = { .want = 0 };
	sim_client c;
	port_socket s;

	box(1, SIM_CHUNKS_WHOLE, 100);
	s = accepted(&c);
	sim_client_send(c, "last", 4);
	sim_client_half_close(c);
	T_EQ(port_recv(s, data, 64), 4);
	T_EQ(port_recv(s, data, 64), 0);
	T_EQ(port_send(s, "answer", 6), 6);
	port_shut(s);
	T_OK(sim_client_closed(c));
	T_EQ(sim_client_recv(c, data, 64), 6);
	T_EQ(sim_client_recv(c, data, 64), E_CLOSED);

	s = accepted(&c);
	sim_client_send(c, "last", 4);
	sim_client_close(c);
	T_EQ(port_recv(s, data, 64), 4);
	T_EQ(port_recv(s, data, 64), 0);
	T_EQ(port_send(s, "answer", 6), E_CLOSED);
	port_shut(s);

	s = accepted(&c);
	sim_client_send(c, "last", 4);
	sim_client_reset(c);
	wait.s = s;
	T_EQ(port_wait(&wait, 1, 0), 1); /* shows although nothing is wanted */
	T_EQ(wait.got, PORT_CAN_READ);
	T_EQ(port_recv(s, data, 64), E_CLOSED);
	port_shut(s);

	s = accepted(&c);
	T_OK(port_alive(s));
	sim_client_send(c, "last", 4);
	sim_client_vanish(c);
	T_OK(!port_alive(s));
	T_EQ(port_recv(s, data, 64), E_AGAIN);
	port_shut(s);
	T_EQ(sim_open_sockets(), 0);
}

T_TEST(killed_server_resets_but_what_it_sent_arrives)
{
	char data[64];
	sim_client c, waiting;
	port_socket s;

	box(1, SIM_CHUNKS_WHOLE, 100);
	s = accepted(&c);
	waiting = sim_connect(143);
	T_EQ(port_send(s, "OK", 2), 2);
	sim_kill();
	T_EQ(sim_client_recv(c, data, 64), 2);
	T_EQ(sim_client_recv(c, data, 64), E_IO);
	T_EQ(sim_client_send(c, "x", 1), E_CLOSED);
	T_EQ(sim_client_recv(waiting, data, 64), E_IO);
	T_EQ(sim_connect(143), E_CLOSED);
	listener = port_listen("127.0.0.1:143", 0, NULL);
	T_OK(accepted(&c) >= 0);
}

T_TEST(backlog_is_bounded)
{
	struct port_address peer;

	box(1, SIM_CHUNKS_WHOLE, 100);
	for (unsigned i = 0; i < 64; i++)
		T_OK(sim_connect(143) > 0);
	T_EQ(sim_connect(143), E_CLOSED);
	T_OK(port_accept(listener, &peer) >= 0);
	T_OK(sim_connect(143) > 0);
	for (unsigned i = 0; i < 64; i++)
		T_OK(port_accept(listener, &peer) >= 0);
	T_EQ(port_accept(listener, &peer), E_AGAIN);
	port_shut(listener);
	T_EQ(sim_connect(143), E_CLOSED);
}

T_TEST(tool_talks_to_the_server)
{
	struct port_address peer;
	port_socket tool, s;
	char data[16];

	box(1, SIM_CHUNKS_WHOLE, 100);
	T_EQ(port_connect("unix:/none"), E_CLOSED);
	tool = port_connect("127.0.0.1:143");
	s = port_accept(listener, &peer);
	T_EQ(port_send(tool, "hello", 5), 5);
	T_EQ(port_recv(s, data, 16), 5);
	T_EQ(port_recv(tool, data, 16), E_AGAIN);
	T_EQ(port_send(s, "yes", 3), 3);
	port_shut(s);
	T_EQ(port_recv(tool, data, 16), 3);
	T_EQ(port_recv(tool, data, 16), 0);
	port_shut(tool);
}

T_MAIN(T_RUN(listens_and_accepts) T_RUN(addresses_as_rfc_5952_writes_them) T_RUN(pieces_differ_and_bytes_do_not)
		T_RUN(stalled_reader_fills_the_buffer) T_RUN(peers_leave_in_every_way)
			T_RUN(killed_server_resets_but_what_it_sent_arrives) T_RUN(backlog_is_bounded)
				T_RUN(tool_talks_to_the_server))
