/* The last line arrives although the client goes on sending. */
#include "tests/unit/net_toy.h"

static char flood[65536];

/* Sends n bytes and turns; how many the other side took. */
static size_t pour(sim_client c, size_t n)
{
	size_t sent = 0;

	for (unsigned stuck = 0; sent < n && stuck < 4;) {
		int64_t k = sim_client_send(c, flood, n - sent < sizeof flood ? n - sent : sizeof flood);

		if (k < 0)
			break;
		sent += (size_t)k;
		stuck = k ? 0 : stuck + 1;
		turns(1);
	}
	return sent;
}

static sim_client closed_by_server(void)
{
	sim_client c = toy_connect();

	T_EQ(sim_client_send(c, "close\n", 6), 6);
	turns(2);
	T_EQ(toy_opened, toy_closed);
	T_EQ(l->place_n[PLACE_LOGIN], 0); /* it holds no place meanwhile */
	return c;
}

T_TEST(what_still_comes_is_dropped)
{
	sim_client c;
	char got[16];

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	c = closed_by_server();
	T_EQ(pour(c, 300000), 300000);
	T_EQ(sim_client_recv(c, got, sizeof got), 4);
	T_BYTES(got, 4, "bye\n");
	T_EQ(sim_client_recv(c, got, sizeof got), E_CLOSED);
	T_EQ(sim_open_sockets(), 1);
	sim_client_close(c);
	turns(2);
	T_EQ(sim_open_sockets(), 0); /* gone with the peer's end, not only with time */
	toy_nothing_left();
}

T_TEST(bytes_are_bounded)
{
	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 65536);
	T_OK(pour(closed_by_server(), 2 * LINGER_BYTES) < LINGER_BYTES + 3 * 65536);
	T_EQ(sim_open_sockets(), 0);
}

T_TEST(time_is_bounded)
{
	sim_client c;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	c = closed_by_server();
	sim_advance_us(LINGER_US - 1000);
	T_EQ(pour(c, 1000), 1000);
	T_EQ(sim_open_sockets(), 1);
	/* the loop wakes up by itself */
	T_EQ(loop_turn(l, -1), OK);
	T_EQ(loop_turn(l, 0), OK);
	T_EQ(sim_open_sockets(), 0);
	T_EQ(pour(c, 10), 0);
}

T_TEST(number_is_bounded)
{
	sim_client c[LINGER_MAX + 3];

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	for (unsigned i = 0; i < LINGER_MAX + 3; i++) {
		c[i] = closed_by_server();
		sim_advance_us(1000);
	}
	T_EQ(sim_open_sockets(), LINGER_MAX);
	for (unsigned i = 0; i < LINGER_MAX + 3; i++)
		T_EQ(pour(c[i], 10), i < 3 ? 0 : 10); /* the oldest gave way */
	toy_nothing_left();
}

T_TEST(nobody_lingers_whom_nothing_was_told)
{
	sim_client c;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	c = toy_connect();
	sim_client_close(c);
	turns(3);
	T_EQ(sim_open_sockets(), 0);
	c = toy_connect();
	sim_client_reset(c);
	turns(3);
	T_EQ(sim_open_sockets(), 0);
}

T_TEST(a_stop_waits_for_no_linger)
{
	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	closed_by_server();
	loop_stop(l);
	T_EQ(loop_run(l), OK);
	T_EQ(sim_open_sockets(), 0);
}

T_MAIN(T_RUN(what_still_comes_is_dropped) T_RUN(bytes_are_bounded) T_RUN(time_is_bounded) T_RUN(number_is_bounded)
		T_RUN(nobody_lingers_whom_nothing_was_told) T_RUN(a_stop_waits_for_no_linger))
