/* The turn: tasks, commits, signals, fairness, accepting, the end. */
#include "tests/unit/net_toy.h"

/* ---- the owner's tasks ---- */

static struct {
	unsigned works, commits, wants, signals;
	unsigned work_left; /* work wants to go on so many times */
	unsigned slow;      /* turns that a commit takes */
	bool always;        /* wants_commit */
	uint64_t deadline;
	sim_client talks; /* says something in the middle of a slow commit */
	unsigned under_way;
} task;

static bool work(void *context)
{
	T_OK(context == &task);
	task.works++;
	return task.work_left > 0 && task.work_left-- > 0;
}

static bool wants_commit(void *context)
{
	(void)context;
	task.wants++;
	for (int i = 0; i < TOY_MAX; i++)
		if (toys[i].used && toys[i].committing)
			return true;
	return task.always;
}

static int commit(void *context)
{
	(void)context;
	if (task.under_way < task.slow) {
		task.under_way++;
		return E_AGAIN;
	}
	task.under_way = 0;
	task.commits++;
	for (int i = 0; i < TOY_MAX; i++)
		if (toys[i].used && toys[i].idle)
			conn_wake(toys[i].c);
	return OK;
}

static uint64_t deadline(void *context)
{
	(void)context;
	return task.deadline;
}

static void signals(void *context, unsigned taken)
{
	(void)context;
	task.signals |= taken;
	if (taken & PORT_STOP)
		loop_stop(l);
}

static void tasks_box(uint64_t seed)
{
	struct loop_tasks tasks = { &task, work, wants_commit, commit, deadline, signals };

	memset(&task, 0, sizeof task);
	toy_box(seed, &toy_config, SIM_CHUNKS_WHOLE, 16384);
	loop_tasks(l, &tasks);
}

T_TEST(those_who_wait_share_one_commit_of_the_same_turn)
{
	sim_client c[3], idle;
	char text[64];

	tasks_box(1);
	for (unsigned i = 0; i < 3; i++)
		c[i] = toy_connect();
	idle = toy_connect();
	T_SAY(idle, "idle\n", "");
	for (unsigned i = 0; i < 3; i++)
		T_EQ(sim_client_send(c[i], "commit\necho after\n", 18), 18);
	T_EQ(task.commits, 0);
	turns(1);
	T_EQ(task.commits, 1);
	for (unsigned i = 0; i < 3; i++) {
		int64_t n = sim_client_recv(c[i], text, sizeof text);

		T_BYTES(text, n, "committed\nafter\n");
	}
	/* the news reaches a session in IDLE in this turn too */
	T_BYTES(text, sim_client_recv(idle, text, sizeof text), "idling\n");
	turns(3);
	T_EQ(task.commits, 1);
}

T_TEST(a_commit_that_takes_time_stops_nobody_else)
{
	sim_client c, d;
	uint64_t before;

	tasks_box(1);
	task.slow = 3;
	c = toy_connect();
	d = toy_connect();
	T_EQ(sim_client_send(c, "commit\n", 7), 7);
	T_EQ(sim_client_send(d, "echo 1\n", 7), 7);
	turns(1);
	T_EQ(sim_client_ready(d), 2);
	T_EQ(sim_client_ready(c), 0);
	before = sim_time_us();
	T_EQ(loop_turn(l, 60000), OK); /* looks again soon, nothing else happens */
	T_OK(sim_time_us() - before < 5000);
	T_EQ(task.commits, 0);
	for (unsigned i = 0; i < 2; i++)
		T_EQ(loop_turn(l, 60000), OK);
	T_EQ(task.commits, 1);
	T_SAY(c, "", "committed\n");
}

T_TEST(work_and_deadlines)
{
	uint64_t before;

	tasks_box(1);
	task.work_left = 3;
	before = sim_time_us();
	for (unsigned i = 0; i < 4; i++)
		T_EQ(loop_turn(l, 60000), OK);
	T_EQ(task.works, 4);
	/* the first turn slept, those after work that wanted more did not */
	T_OK(sim_time_us() - before < 61000000);
	task.deadline = sim_time_us() + 5000000;
	before = sim_time_us();
	T_EQ(loop_turn(l, 60000), OK);
	T_EQ((sim_time_us() - before) / 1000000, 5);
	task.deadline = 0;
	before = sim_time_us();
	T_EQ(loop_turn(l, 7000), OK);
	T_EQ((sim_time_us() - before) / 1000000, 7);
	/* a commit that is wanted keeps it from sleeping */
	task.always = true;
	before = sim_time_us();
	T_EQ(loop_turn(l, 7000), OK);
	T_OK(sim_time_us() - before < 1000);
}

/* ---- signals and the end ---- */

T_TEST(signals_are_handed_on)
{
	tasks_box(1);
	sim_signal(PORT_RELOAD);
	turns(1);
	T_EQ(task.signals, PORT_RELOAD);
	turns(1);
	sim_signal(PORT_STOP);
	T_EQ(loop_run(l), OK);
	T_EQ(task.signals, PORT_RELOAD | PORT_STOP);
}

T_TEST(stopping_says_farewell_and_flushes)
{
	sim_client c, idle, stuck, half;
	static char text[200000];
	uint64_t before;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 16384);
	c = toy_connect();
	idle = toy_connect();
	stuck = toy_connect();
	half = toy_connect();
	T_SAY(idle, "idle\n", "");
	T_SAY(half, "echo ha", "");
	T_EQ(sim_client_send(stuck, "big 100000\n", 11), 11);
	turns(5);
	sim_signal(PORT_STOP); /* without tasks the loop itself obeys */
	before = sim_time_us();
	T_EQ(loop_run(l), OK);
	T_OK(sim_time_us() - before < 2000000);
	toy_nothing_left();
	T_EQ(toy_ended[CONN_SHUTDOWN], 4);
	T_BYTES(text, sim_client_recv(c, text, sizeof text), "farewell 5\n");
	T_BYTES(text, sim_client_recv(idle, text, sizeof text), "farewell 5\n");
	T_BYTES(text, sim_client_recv(half, text, sizeof text), "farewell 5\n");
	text[sim_client_recv(stuck, text, sizeof text - 1)] = 0;
	T_OK(!strstr(text, "farewell")); /* not into the middle of an answer */
	T_EQ(sim_connect(143), E_CLOSED);
}

static bool drain(void *context)
{
	sim_client c = *(sim_client *)context;
	char text[1000];

	return sim_client_recv(c, text, sizeof text) > 0;
}

T_TEST(stopping_waits_for_who_reads)
{
	sim_client slow;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	slow = toy_connect();
	T_EQ(sim_client_send(slow, "big 12000\nclose\n", 16), 16);
	turns(4);
	T_EQ(toy_closed, 0);
	sim_on_wait(drain, &slow);
	loop_stop(l);
	T_EQ(loop_run(l), OK);
	toy_nothing_left();
}

/* ---- accepting ---- */

T_TEST(a_flood_is_let_in_by_fours)
{
	struct loop_status s;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	for (unsigned i = 0; i < 60; i++)
		T_OK(sim_connect(143) > 0);
	T_OK(sim_connect(144) > 0);
	turns(1);
	loop_status(l, &s);
	T_EQ(s.accepted, LOOP_ACCEPTS);
	turns(2);
	loop_status(l, &s);
	T_EQ(s.accepted, 3 * LOOP_ACCEPTS);
	T_EQ(s.delivery, 1); /* the flood has not shut out the other listener */
	turns(20);
	loop_status(l, &s);
	T_EQ(s.accepted, 61);
	T_EQ(s.login, 4);
	T_EQ(s.refused_full, 56);
}

T_TEST(no_handles)
{
	struct loop_status s;
	sim_client c;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	sim_accept_fail(2);
	c = sim_connect(143);
	turns(10);
	loop_status(l, &s);
	T_EQ(s.accepted, 0);
	T_OK(sim_log_has("handle"));
	/* it does not spin: one try each 100 ms */
	for (unsigned i = 0; i < 3; i++)
		T_EQ(loop_turn(l, -1), OK);
	T_SAY(c, "", "hello\n");
}

T_TEST(bad_listeners)
{
	struct listener_config config = { .where = "127.0.0.1:143", .protocol = &toy };
	char where[LOOP_LISTENERS][24];

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	T_EQ(loop_listen(l, &config), E_BUSY);
	config.where = "nowhere";
	T_EQ(loop_listen(l, &config), E_SYNTAX);
	for (unsigned i = 3; i < LOOP_LISTENERS; i++) {
		sprintf(where[i], "127.0.0.1:%u", 1000 + i);
		config.where = where[i];
		T_EQ(loop_listen(l, &config), OK);
	}
	config.where = "127.0.0.1:2000";
	T_EQ(loop_listen(l, &config), E_LIMIT);
	T_EQ(loop_port(l, LOOP_LISTENERS), 0);
	T_EQ(loop_port(l, 5), 1005);
	T_SAY(sim_connect(1005), "", "hello\n");
}

T_TEST(memory_that_does_not_suffice)
{
	size_t need = loop_memory(&toy_config);
	void *memory = calloc(1, need);
	struct arena a;

	for (size_t len = 0; len < need; len += need / 50 + 1) {
		arena_init(&a, memory, len);
		T_EQ(loop_init(&l, &a, &toy_config), E_NOMEM);
	}
	free(memory);
}

T_TEST(everybody_gets_on_alike)
{
	static char text[1 << 20];
	sim_client c[4];
	int64_t got[4] = { 0 }, least = INT64_MAX, most = 0;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 1 << 20);
	for (unsigned i = 0; i < 4; i++)
		c[i] = toy_connect();
	for (unsigned i = 0; i < 4; i++)
		sim_client_send(c[i], "big 100000000\n", 14);
	for (unsigned n = 0; n < 40; n++) {
		turns(1);
		for (unsigned i = 0; i < 4; i++)
			got[i] += sim_client_recv(c[i], text, sizeof text);
	}
	for (unsigned i = 0; i < 4; i++) {
		least = got[i] < least ? got[i] : least;
		most = got[i] > most ? got[i] : most;
	}
	T_OK(least > 30 * SLICE_BYTES);
	T_OK(most - least <= 2 * SLICE_BYTES);
}

T_TEST(the_longest_turn_has_a_name)
{
	struct loop_status s;
	sim_client c;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	c = toy_connect();
	loop_status(l, &s);
	T_OK(s.longest_turn_us > 0);
	T_BYTES(s.longest_turn, strlen(s.longest_turn), "toy");
	T_OK(s.turns > 0);
	(void)c;
}

T_MAIN(T_RUN(those_who_wait_share_one_commit_of_the_same_turn) T_RUN(a_commit_that_takes_time_stops_nobody_else)
		T_RUN(work_and_deadlines) T_RUN(signals_are_handed_on) T_RUN(stopping_says_farewell_and_flushes)
			T_RUN(stopping_waits_for_who_reads) T_RUN(a_flood_is_let_in_by_fours) T_RUN(no_handles)
				T_RUN(bad_listeners) T_RUN(memory_that_does_not_suffice) T_RUN(everybody_gets_on_alike)
					T_RUN(the_longest_turn_has_a_name))
