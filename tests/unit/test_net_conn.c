/* One connection and its buffers, over every way in which bytes can be cut. */
#include "tests/unit/net_toy.h"

static char big[300000];

T_TEST(commands_in_any_pieces)
{
	static const enum sim_chunks chunks[] = { SIM_CHUNKS_WHOLE, SIM_CHUNKS_RANDOM, SIM_CHUNKS_ONE };

	for (unsigned i = 0; i < 3; i++) {
		sim_client c;

		toy_box(i + 1, &toy_config, chunks[i], 16384);
		c = toy_connect();
		T_SAY(c, "echo a\necho bb\n", "a\nbb\n");
		T_SAY(c, "echo par", "");
		T_SAY(c, "tial\nagain 3\necho x\nnonsense", "partial\ndone\nx\n");
		T_SAY(c, "\n", "what? 8\n");
		T_SAY(c, "echo before\nclose\necho after\n", "before\nbye\n");
		T_OK(sim_client_closed(c));
		T_EQ(toy_ended[CONN_ENDED], 1);
		toy_nothing_left();
	}
}

T_TEST(no_buffer_is_held_by_who_has_nothing_to_say)
{
	sim_client c;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 16384);
	c = toy_connect();
	T_SAY(c, "echo 1\n", "1\n");
	T_EQ(l->inputs.used, 0);
	T_EQ(l->inputs.peak, 0); /* a whole command never needs one */
	T_SAY(c, "echo 2", "");
	T_EQ(l->inputs.used, 1);
	T_SAY(c, "\nidle\n", "2\n");
	T_EQ(l->inputs.used, 0);
	T_EQ(l->outputs.peak, 0);
}

/* 64 KiB go up and down through 8 KiB and 4 KiB, and nothing is lost. */
T_TEST(streams_in_and_out)
{
	static char out[300000];
	uint64_t sum = 0;
	char expected[64];

	for (unsigned seed = 1; seed < 6; seed++) {
		size_t n = 60000 + seed * 20000, got;
		sim_client c;

		toy_box(seed, &toy_config, seed % 2 ? SIM_CHUNKS_RANDOM : SIM_CHUNKS_WHOLE, 4096 * seed);
		c = toy_connect();
		sum = 0;
		for (size_t i = 0; i < n; i++) {
			big[i] = (char)(i * 7 + seed);
			sum = sum * 31 + (uint8_t)big[i];
		}
		sprintf(expected, "take %zu\n", n);
		T_SAY(c, expected, "");
		l->inputs.peak = 0;
		for (size_t sent = 0; sent < n;) {
			int64_t k = sim_client_send(c, big + sent, n - sent);

			T_OK(k >= 0);
			sent += (size_t)k;
			turns(1);
		}
		sprintf(expected, "%zu %llu\n", n, (unsigned long long)sum);
		T_SAY(c, "", expected);
		T_EQ(l->inputs.peak, 0); /* a literal streams through the scratch */
		sprintf(expected, "big %zu\n", n);
		T_EQ(sim_client_send(c, expected, strlen(expected)), strlen(expected));
		got = toy_read(c, out, sizeof out);
		T_EQ(got, n);
		for (size_t i = 0; i < n; i++)
			T_EQ(out[i], '0' + i % 10);
		T_OK(l->outputs.peak <= 1);
		T_EQ(l->outputs.used, 0);
	}
}

T_TEST(long_commands)
{
	sim_client c, d;

	toy_box(1, &toy_config, SIM_CHUNKS_RANDOM, 16384);
	memset(big, 'x', sizeof big);
	c = toy_connect();
	d = toy_connect();
	big[CONN_INPUT - 1] = 0;
	T_SAY(c, big, "");
	T_EQ(l->longs.used, 0);
	T_SAY(c, "y\n", "what? 8192\n"); /* needed the long one for its line end */
	T_EQ(l->longs.peak, 1);
	T_EQ(l->longs.used, 0);
	big[CONN_INPUT - 1] = 'x';
	big[CONN_INPUT_LONG - 1] = 0;
	T_SAY(c, big, "");
	T_EQ(l->longs.used, 1);
	T_EQ(l->inputs.used, 0);
	/* the only long one is taken: the second one hears so */
	big[CONN_INPUT_LONG - 1] = 'x';
	big[CONN_INPUT] = 0;
	T_SAY(d, big, "nolong\n");
	T_SAY(c, "\nbig 3\n", "what? 65535\n012");
	T_EQ(l->longs.used, 0);
	big[CONN_INPUT] = 'x';
	big[CONN_INPUT_LONG] = 0;
	T_SAY(c, big, "toobig\n");
	big[CONN_INPUT_LONG] = 'x';
	T_OK(sim_client_closed(c));
	toy_nothing_left();
}

T_TEST(a_client_that_stops_reading_hurts_nobody)
{
	sim_client stuck[2], c;
	unsigned before;

	toy_box(1, &toy_config, SIM_CHUNKS_RANDOM, 4096);
	c = toy_connect();
	T_SAY(c, "login 1\n", "0\n");
	for (int i = 0; i < 2; i++) {
		stuck[i] = sim_connect(143);
		sim_client_send(stuck[i], "login 2\nbig 50000000\necho x\n", 28);
	}
	turns(100);
	before = toy_steps;
	turns(100);
	T_EQ(toy_steps, before); /* the stuck ones are not stepped */
	T_SAY(c, "echo here\n", "here\n");
	T_EQ(l->outputs.used, 2);
	advance_s(119);
	turns(2);
	T_EQ(toy_closed, 0);
	/* one of them takes a little: its time begins anew */
	T_OK(sim_client_recv(stuck[0], big, 100) > 0);
	turns(2);
	advance_s(2);
	turns(2);
	T_EQ(toy_closed, 1);
	T_EQ(toy_ended[CONN_TIMEOUT], 1);
	T_OK(sim_client_closed(stuck[1]));
	T_EQ(l->outputs.used, 1);
	sim_client_reset(stuck[0]);
	turns(2);
	T_EQ(toy_ended[CONN_LOST], 1);
	T_SAY(c, "echo here\n", "here\n");
}

/* Without a unit for their rest plain connections wait; a peer that blocks one
 * for ten seconds then loses it. */
T_TEST(output_units_run_out)
{
	struct loop_config config = toy_config;
	sim_client stuck, c;

	config.output_buffers = 1;
	toy_box(1, &config, SIM_CHUNKS_WHOLE, 4096);
	c = toy_connect();
	stuck = toy_connect();
	sim_client_send(stuck, "big 100000\n", 11);
	turns(20);
	T_SAY(c, "echo a\n", "");
	advance_s(9);
	T_SAY(c, "", "");
	advance_s(2);
	T_SAY(c, "", "a\n");
	T_EQ(toy_ended[CONN_TIMEOUT], 1);
	T_OK(sim_log_has("held a buffer"));
}

T_TEST(input_units_run_out)
{
	struct loop_config config = toy_config;
	sim_client slow[2], c;

	config.input_buffers = 2;
	toy_box(1, &config, SIM_CHUNKS_WHOLE, 4096);
	c = toy_connect();
	slow[0] = toy_connect();
	T_SAY(slow[0], "login 1\n", "0\n");
	T_SAY(slow[0], "echo half of", "");
	advance_s(5);
	slow[1] = toy_connect();
	T_SAY(slow[1], "echo half of", "");
	T_EQ(l->inputs.used, 2);
	T_SAY(c, "echo a\n", "");
	advance_s(6);
	/* the logged-in one has held his for longer, the other only for 6 s */
	T_SAY(c, "echo b\n", "a\nb\n");
	T_EQ(toy_ended[CONN_TIMEOUT], 1);
	T_OK(sim_client_closed(slow[0]));
	T_SAY(slow[1], " it\n", "half of it\n");
	/* and when both are old, who is not logged in goes first */
	slow[0] = toy_connect();
	T_SAY(slow[0], "login 1\n", "0\n");
	T_SAY(slow[0], "echo half of", "");
	T_SAY(slow[1], "echo half of", "");
	advance_s(11);
	T_SAY(c, "echo a\n", "a\n");
	T_OK(sim_client_closed(slow[1]));
	T_OK(!sim_client_closed(slow[0]));
}

/* A unit that can't be had where one was promised closes that connection, and
 * nothing else. */
T_TEST(pool_failures_are_clean)
{
	for (uint32_t n = 1; n < 4; n++) {
		sim_client c, d;

		toy_box(n, &toy_config, SIM_CHUNKS_WHOLE, 4096);
		d = toy_connect();
		c = toy_connect();
		pool_fail_at(&l->inputs, n);
		for (uint32_t i = 0; i < 4 && !sim_client_closed(c); i++)
			toy_say(c, i % 2 ? " x\n" : "echo");
		pool_fail_at(&l->inputs, 0);
		T_EQ(sim_client_closed(c), n < 3);
		T_SAY(d, "echo a\n", "a\n");
		sim_client_close(c);
		pool_fail_at(&l->outputs, n);
		for (uint32_t i = 0; i < n; i++) {
			c = toy_connect();
			toy_say(c, "big 20000\nclose\n");
			sim_client_close(c);
			turns(3);
		}
		pool_fail_at(&l->outputs, 0);
		T_SAY(d, "echo a\nclose\n", "a\nbye\n");
		turns(3);
		toy_nothing_left();
	}
}

T_TEST(deadlines_and_events)
{
	sim_client c, d;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 16384);
	c = toy_connect();
	d = toy_connect();
	T_SAY(c, "wait 500\n", "");
	sim_advance_us(400000);
	T_SAY(c, "echo early\n", "early\n");
	sim_advance_us(200000);
	T_SAY(c, "", "late\n"); /* once */
	advance_s(3);
	T_SAY(c, "", "");
	T_SAY(c, "idle\n", "");
	T_SAY(d, "echo x\nwake\n", "x\n");
	T_SAY(c, "", "idling\n"); /* once */
	T_SAY(c, "echo y\n", "y\n");
	T_SAY(d, "wake\n", ""); /* not in STEP_EVENT: nothing happens */
	T_SAY(c, "", "");
	/* sleeping stops at the deadline */
	T_SAY(c, "wait 2000\n", "");
	T_EQ(loop_turn(l, 60000), OK);
	T_OK(sim_time_us() < 20 * UINT64_C(1000000));
	T_SAY(c, "", "late\n");
}

T_TEST(the_end_of_the_stream)
{
	sim_client c;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 16384);
	c = toy_connect();
	T_OK(sim_client_send(c, "big 5\necho", 10) == 10);
	sim_client_half_close(c);
	T_SAY(c, "", "01234"); /* what was asked before is answered */
	T_OK(sim_client_closed(c));
	T_EQ(toy_ended[CONN_LOST], 1);
	c = toy_connect();
	sim_client_close(c);
	turns(3);
	T_EQ(toy_ended[CONN_LOST], 2);
	c = toy_connect();
	T_SAY(c, "idle\n", "");
	sim_client_reset(c);
	turns(3);
	T_EQ(toy_ended[CONN_LOST], 3);
	toy_nothing_left();
}

/* One connection that could go on for ever leaves the turn after its slice. */
T_TEST(slices)
{
	static char sink[1 << 20];
	sim_client greedy, c;
	struct loop_status s;
	uint64_t before;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 1 << 20);
	greedy = toy_connect();
	c = toy_connect();
	T_EQ(sim_client_send(greedy, "big 900000\n", 11), 11);
	loop_status(l, &s);
	before = s.bytes_out;
	turns(1);
	loop_status(l, &s);
	T_OK(s.bytes_out - before >= SLICE_BYTES);
	T_OK(s.bytes_out - before <= SLICE_BYTES + CONN_OUTPUT);
	T_EQ(sim_client_send(c, "echo quick\n", 11), 11);
	turns(1);
	T_EQ(sim_client_recv(c, sink, 100), 6);
	T_EQ(toy_read(greedy, sink, sizeof sink), 900000);
	/* many steps that need no bytes give way to others each time */
	T_EQ(sim_client_send(greedy, "again 1000\n", 11), 11);
	turns(1);
	before = toy_steps;
	turns(1);
	T_EQ(toy_steps, before + 1);
}

T_MAIN(T_RUN(commands_in_any_pieces) T_RUN(no_buffer_is_held_by_who_has_nothing_to_say) T_RUN(streams_in_and_out)
		T_RUN(long_commands) T_RUN(a_client_that_stops_reading_hurts_nobody) T_RUN(output_units_run_out)
			T_RUN(input_units_run_out) T_RUN(pool_failures_are_clean) T_RUN(deadlines_and_events)
				T_RUN(the_end_of_the_stream) T_RUN(slices))
