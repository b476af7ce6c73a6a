/* The simulated clock, waiting, and the small things of the box. */
#include "base/err.h"
#include "port/sim/sim.h"
#include "tests/unit/t.h"

static uint64_t happened_at;
static unsigned moves;

static void event(void *context)
{
	happened_at = sim_time_us();
	if (context)
		sim_client_send(*(sim_client *)context, "x", 1);
}

static bool move(void *context)
{
	(void)context;
	return moves > 0 && moves-- > 0;
}

T_TEST(waiting_moves_the_clock)
{
	struct port_wait wait;
	struct port_address peer;
	port_socket listener;
	sim_client c;
	uint64_t start;

	sim_reset(1);
	listener = port_listen("0.0.0.0:25", 0, NULL);
	c = sim_connect(25);
	wait = (struct port_wait){ .s = port_accept(listener, &peer), .want = PORT_CAN_READ };
	start = sim_time_us();
	T_EQ(port_wait(&wait, 1, 250), 0);
	T_EQ(sim_time_us() - start, 250000);
	sim_after(1000, event, &c);
	sim_after(500, event, NULL);
	start = sim_time_us();
	T_EQ(port_wait(&wait, 1, 250), 1);
	T_EQ(happened_at - start, 1000);
	T_EQ(sim_time_us() - start, 1000);
}

T_TEST(signals_and_syncs_end_a_wait)
{
	uint64_t start;
	port_file f;

	sim_reset(1);
	sim_signal(PORT_STOP);
	start = sim_time_us();
	T_EQ(port_wait(NULL, 0, -1), 0);
	T_EQ(sim_time_us() - start, 0);
	T_EQ(port_signals_take(), PORT_STOP);
	T_EQ(port_signals_take(), 0);
	sim_sync_time(300, 900);
	f = port_open("f", PORT_WRITE | PORT_CREATE);
	T_EQ(port_write(f, 0, "x", 1), OK);
	T_EQ(port_sync_start(f), OK);
	start = sim_time_us();
	T_EQ(port_wait(NULL, 0, 1000), 0);
	T_OK(sim_time_us() - start >= 300 && sim_time_us() - start <= 900);
	T_EQ(port_sync_done(f), OK);
}

static void wait_for_ever(void *context)
{
	(*(unsigned *)context)++;
	port_wait(NULL, 0, -1);
	(*(unsigned *)context)++;
}

T_TEST(idle_box_gives_control_back)
{
	unsigned count = 0;

	sim_reset(1);
	moves = 5;
	sim_on_wait(move, NULL);
	T_EQ(sim_run(wait_for_ever, &count), SIM_IDLE);
	T_EQ(count, 1);
	T_EQ(moves, 0);
	T_EQ(port_wait(NULL, 0, -1), 0); /* outside of sim_run */
}

T_TEST(clocks_jump)
{
	uint64_t before;

	sim_reset(1);
	T_EQ(port_wall_time(), 1704067200);
	before = port_now_us();
	T_OK(port_now_us() > before);
	sim_set_wall(0);
	T_OK(port_now_us() > before);
	sim_after(3000000, event, NULL);
	sim_advance_us(5000000);
	T_EQ(port_wall_time(), 5);
	T_OK(happened_at < sim_time_us());
	sim_set_zone(-90);
	T_EQ(port_zone_minutes(0), -90);
}

T_TEST(entropy_follows_the_seed)
{
	uint8_t a[13], b[13];

	sim_reset(1);
	sim_entropy_ready(false);
	T_EQ(port_entropy(a, sizeof a), E_AGAIN);
	sim_entropy_ready(true);
	T_EQ(port_entropy(a, sizeof a), OK);
	sim_reset(1);
	sim_random(5); /* another stream */
	T_EQ(port_entropy(b, sizeof b), OK);
	T_OK(memcmp(a, b, sizeof a) == 0);
	T_EQ(port_entropy(b, sizeof b), OK);
	T_OK(memcmp(a, b, sizeof a) != 0);
	sim_reset(2);
	T_EQ(port_entropy(b, sizeof b), OK);
	T_OK(memcmp(a, b, sizeof a) != 0);
}

T_TEST(log_lines_are_kept)
{
	char line[32];

	sim_reset(1);
	for (int i = 0; i < SIM_LOG_LINES + 3; i++)
		port_log(PORT_LOG_NOTICE, line, (size_t)sprintf(line, "line %d.", i));
	T_EQ(sim_log_count(), SIM_LOG_LINES);
	T_OK(strcmp(sim_log_line(0), "line 3.") == 0);
	T_OK(sim_log_has("line 258.") && !sim_log_has("line 2."));
	T_OK(!sim_log_line(SIM_LOG_LINES));
}

T_TEST(standard_input_and_output)
{
	char data[32];
	size_t len;

	sim_reset(1);
	T_EQ(port_read_password("? ", data, 32), E_CLOSED);
	sim_stdin("secret\r\nlonger\nrest", 19);
	T_EQ(port_read_password("? ", data, 32), 6);
	T_BYTES(data, 6, "secret");
	T_EQ(port_read_password("? ", data, 3), E_LIMIT);
	T_EQ(port_stdin(data, 32), 4);
	T_EQ(port_stdin(data, 32), 0);
	T_EQ(port_stdout("ab", 2), OK);
	T_EQ(port_stdout("c", 1), OK);
	T_BYTES(sim_stdout(&len), len, "abc");
}

T_TEST(maps_end_with_the_process)
{
	uint8_t *map;

	sim_reset(1);
	for (int i = 0; i < 100; i++) {
		map = port_map(1000, true);
		T_OK(map && map[999] == 0);
		map[999] = 1;
		sim_kill();
	}
}

T_MAIN(T_RUN(waiting_moves_the_clock) T_RUN(signals_and_syncs_end_a_wait) T_RUN(idle_box_gives_control_back)
		T_RUN(clocks_jump) T_RUN(entropy_follows_the_seed) T_RUN(log_lines_are_kept)
			T_RUN(standard_input_and_output) T_RUN(maps_end_with_the_process))
