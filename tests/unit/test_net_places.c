/* Places: logins, who has to go when they run out, and who may come in. */
#include "tests/unit/net_toy.h"

static sim_client logged_in(unsigned user, const char *expected)
{
	sim_client c = toy_connect();
	char line[40];

	sprintf(line, "login %u\n", user);
	T_SAY(c, line, expected);
	return c;
}

/* E_FULL is -3. */
T_TEST(connections_count_logged_in_sessions)
{
	sim_client c[9];

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	for (unsigned i = 0; i < 8; i++)
		c[i] = logged_in(i / 2, "0\n");
	T_EQ(l->place_n[PLACE_USER], 8);
	T_EQ(l->place_n[PLACE_LOGIN], 0);
	c[8] = logged_in(1, "-3\n");
	T_SAY(c[8], "login 9\n", "-3\n");
	T_SAY(c[8], "echo still here\n", "still here\n");
	T_EQ(l->place_n[PLACE_LOGIN], 1);
	T_SAY(c[0], "close\n", "bye\n");
	T_SAY(c[8], "login 9\n", "0\n");
	T_SAY(c[8], "login 9\n", "-19\n"); /* once only */
	T_SAY(c[8], "out\nlogin 3\n", "0\n");
	for (unsigned i = 1; i < 9; i++)
		sim_client_close(c[i]);
	turns(3);
	toy_nothing_left();
}

/* First a session of the same user whose peer is gone, then one silent for 30
 * minutes outside IDLE, then the one longest in IDLE over 30 minutes. */
T_TEST(the_order_of_eviction)
{
	sim_client dead, silent, idle_old, idle_older, other[4], c;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	for (unsigned i = 0; i < 4; i++)
		other[i] = logged_in(7, "0\n");
	idle_older = logged_in(1, "0\n");
	T_SAY(idle_older, "idle\n", "");
	advance_s(10);
	idle_old = logged_in(1, "0\n");
	T_SAY(idle_old, "idle\n", "");
	advance_s(10);
	silent = logged_in(1, "0\n");
	advance_s(20 * 60);
	dead = logged_in(1, "0\n");
	/* nobody has a reason to go */
	logged_in(1, "-3\n");
	advance_s(9 * 60 + 30);
	logged_in(1, "-3\n");
	advance_s(60);
	T_SAY(silent, "echo x\n", "x\n");
	for (unsigned i = 0; i < 4; i++)
		T_SAY(other[i], "echo x\n", "x\n");
	sim_client_vanish(dead);
	/* the dead one, although both in IDLE have been there for over 30 min */
	c = logged_in(1, "0\n");
	T_EQ(toy_ended[CONN_EVICTED], 1);
	T_OK(!sim_client_closed(silent) && !sim_client_closed(idle_old) && !sim_client_closed(idle_older));
	sim_client_close(c);
	turns(3);
	c = logged_in(1, "0\n");
	advance_s(30 * 60);
	T_SAY(c, "echo x\n", "x\n");
	for (unsigned i = 0; i < 4; i++)
		T_SAY(other[i], "echo x\n", "x\n");
	/* then the silent one, then IDLE, the older first */
	logged_in(1, "0\n");
	T_SAY(silent, "", "farewell 3\n");
	T_OK(sim_client_closed(silent));
	T_OK(!sim_client_closed(idle_old) && !sim_client_closed(idle_older));
	logged_in(1, "0\n");
	T_SAY(idle_older, "", "farewell 3\n");
	T_OK(!sim_client_closed(idle_old));
	logged_in(1, "0\n");
	T_OK(sim_client_closed(idle_old));
	logged_in(1, "-3\n");
	T_OK(!sim_client_closed(c));
	T_EQ(toy_ended[CONN_EVICTED], 4);
	for (unsigned i = 0; i < 4; i++)
		T_SAY(other[i], "echo x\n", "x\n");
}

/* In IDLE for 30 minutes is not enough as long as a place is free. */
T_TEST(nobody_goes_without_need)
{
	sim_client a, b;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	a = logged_in(1, "0\n");
	T_SAY(a, "idle\n", "");
	advance_s(5 * 3600);
	b = logged_in(1, "0\n");
	T_SAY(b, "echo x\n", "x\n");
	T_EQ(toy_closed, 0);
}

/* Alone he may have all; each other user who comes gets a place of his, the
 * longest silent first, and he does not get them back. */
T_TEST(half_for_one_user_while_others_are_there)
{
	sim_client hoard[8], b[5];

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	for (unsigned i = 0; i < 8; i++) {
		hoard[i] = logged_in(1, "0\n");
		advance_s(1);
	}
	T_SAY(hoard[0], "echo x\n", "x\n");
	b[0] = logged_in(2, "0\n");
	T_SAY(hoard[1], "", "farewell 3\n");
	T_EQ(toy_ended[CONN_EVICTED], 1);
	/* a client that comes back at once pushes nobody out */
	for (unsigned i = 0; i < 10; i++)
		sim_client_close(logged_in(1, "-3\n"));
	T_OK(!sim_client_closed(b[0]));
	/* until both have half: then nobody has too much */
	for (unsigned i = 1; i < 4; i++) {
		advance_s(1);
		b[i] = logged_in(2, "0\n");
		T_SAY(hoard[i + 1], "", "farewell 3\n");
	}
	logged_in(2, "-3\n");
	logged_in(3, "-3\n");
	logged_in(1, "-3\n");
	T_EQ(toy_ended[CONN_EVICTED], 4);
	T_EQ(l->place_n[PLACE_USER], 8);
	T_SAY(hoard[0], "echo x\n", "x\n");
}

/* The hoarder's session that goes: IDLE counts as silence like any other, but
 * the reasons of the usual order come first. */
T_TEST(which_of_the_hoarders_goes)
{
	sim_client idle, quiet, dead, c[4];

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	idle = logged_in(1, "0\n");
	T_SAY(idle, "idle\n", "");
	advance_s(1);
	quiet = logged_in(1, "0\n");
	advance_s(1);
	dead = logged_in(1, "0\n");
	for (unsigned i = 0; i < 4; i++)
		c[i] = logged_in(1, "0\n");
	logged_in(1, "0\n");
	sim_client_vanish(dead);
	logged_in(2, "0\n");
	T_EQ(toy_ended[CONN_EVICTED], 1);
	T_OK(!sim_client_closed(idle) && !sim_client_closed(quiet));
	logged_in(2, "0\n");
	T_SAY(idle, "", "farewell 3\n");
	T_OK(!sim_client_closed(quiet));
	advance_s(1);
	T_SAY(quiet, "echo x\n", "x\n");
	logged_in(2, "0\n");
	T_OK(sim_client_closed(c[0]) && !sim_client_closed(quiet));
}

/* Who is inside a command goes only when all others are too. */
T_TEST(hoarders_commands_are_spared)
{
	sim_client busy[7], free_one;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	for (unsigned i = 0; i < 7; i++) {
		busy[i] = logged_in(1, "0\n");
		T_EQ(sim_client_send(busy[i], "again 1000000\n", 14), 14);
		turns(1);
	}
	advance_s(5);
	free_one = logged_in(1, "0\n");
	T_OK(free_one > 0);
	logged_in(2, "0\n");
	T_OK(sim_client_closed(free_one));
	for (unsigned i = 0; i < 7; i++)
		T_OK(!sim_client_closed(busy[i]));
	logged_in(2, "0\n");
	T_OK(sim_client_closed(busy[0]));
	T_EQ(toy_ended[CONN_EVICTED], 2);
}

T_TEST(half_counts_per_user)
{
	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	logged_in(2, "0\n");
	for (unsigned i = 0; i < 4; i++)
		logged_in(1, "0\n");
	logged_in(1, "-3\n");
	for (unsigned i = 0; i < 3; i++)
		logged_in(3, "0\n");
	logged_in(3, "-3\n");
	T_EQ(l->place_n[PLACE_USER], 8);
}

/* Old unauthenticated connections give way, young ones don't. */
T_TEST(login_places)
{
	struct loop_status s;
	sim_client c[4], d;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	for (unsigned i = 0; i < 4; i++) {
		c[i] = toy_connect();
		advance_s(2);
	}
	d = sim_connect(143);
	T_SAY(d, "", "busy\n");
	T_OK(sim_client_closed(d));
	loop_status(l, &s);
	T_EQ(s.refused_full, 1);
	advance_s(3);
	d = toy_connect();
	T_SAY(c[0], "", "farewell 3\n");
	T_OK(sim_client_closed(c[0]));
	T_OK(!sim_client_closed(c[1]));
	T_SAY(d, "login 1\n", "0\n");
	/* a login makes a place free */
	T_SAY(sim_connect(143), "", "hello\n");
	T_EQ(toy_ended[CONN_EVICTED], 1);
}

T_TEST(time_before_login)
{
	sim_client c, d;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	c = toy_connect();
	d = toy_connect();
	advance_s(50);
	T_SAY(c, "echo x\nlogin 1\n", "x\n0\n");
	T_SAY(d, "echo x\n", "x\n");
	advance_s(11);
	T_SAY(d, "", "farewell 2\n"); /* talking does not help */
	T_OK(sim_client_closed(d));
	T_SAY(c, "echo x\n", "x\n");
	/* after conn_logout it begins anew */
	T_SAY(c, "out\n", "");
	advance_s(59);
	T_SAY(c, "echo x\n", "x\n");
	advance_s(2);
	T_SAY(c, "", "farewell 2\n");
	toy_nothing_left();
}

T_TEST(delivery_places_are_their_own)
{
	struct loop_status s;
	sim_client c[2], d;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	for (unsigned i = 0; i < 4; i++)
		toy_connect();
	c[0] = sim_connect_unix("/sock", 0, 0);
	T_SAY(c[0], "", "hello unix\n");
	c[1] = sim_connect(144);
	T_SAY(c[1], "", "hello\n");
	d = sim_connect(144);
	T_SAY(d, "", "busy\n");
	advance_s(3600);
	T_SAY(c[0], "login 5\n", "0\n"); /* costs no place */
	loop_status(l, &s);
	T_EQ(s.delivery, 2);
	T_EQ(s.logged_in, 0);
	T_SAY(c[0], "close\n", "bye\n");
	T_SAY(sim_connect(144), "", "hello\n");
}

T_TEST(closing_all_of_a_user)
{
	sim_client a[3], b;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	for (unsigned i = 0; i < 3; i++)
		a[i] = logged_in(1, "0\n");
	b = logged_in(2, "0\n");
	/* in the middle of an answer there is no farewell */
	T_EQ(sim_client_send(a[2], "big 100000\n", 11), 11);
	turns(3);
	T_SAY(b, "kick 1\n", "3\n");
	T_SAY(a[0], "", "farewell 4\n");
	T_OK(sim_client_closed(a[1]) && sim_client_closed(a[2]));
	T_OK(!strstr(toy_say(a[2], ""), "farewell"));
	/* oneself too, after the answer */
	T_SAY(b, "kick 2\necho not any more\n", "1\nnot any more\nfarewell 4\n");
	T_EQ(toy_ended[CONN_REVOKED], 4);
	toy_nothing_left();
}

T_TEST(allow_from)
{
	static struct network list[2];
	struct listener_config config = { .where = "127.0.0.1:145", .protocol = &toy, .from = list, .from_n = 2 };
	struct port_address from = { .family = PORT_IP4, .ip = { 192, 168, 3, 4 } };
	struct loop_status s;
	sim_client c;

	toy_box(1, &toy_config, SIM_CHUNKS_WHOLE, 4096);
	T_EQ(network_parse(bytes_of("192.168.0.0/16"), &list[0]), OK);
	T_EQ(network_parse(bytes_of("fe80::/10"), &list[1]), OK);
	T_EQ(loop_listen(l, &config), OK);
	T_EQ(loop_port(l, 3), 145);
	c = sim_connect_from(145, &from);
	T_SAY(c, "", "hello\n");
	from.ip[0] = 193;
	c = sim_connect_from(145, &from);
	T_SAY(c, "", "");
	T_OK(sim_client_closed(c));
	T_OK(sim_log_has("193.168.3.4"));
	T_EQ(toy_opened, 1);
	loop_status(l, &s);
	T_EQ(s.refused_network, 1);
	T_EQ(s.accepted, 2);
	/* many of them write few lines */
	for (unsigned i = 0; i < 50; i++) {
		sim_connect_from(145, &from);
		turns(2);
	}
	T_OK(sim_log_count() <= PEER_LINES);
	loop_status(l, &s);
	T_EQ(s.refused_network, 51);
}

T_MAIN(T_RUN(connections_count_logged_in_sessions) T_RUN(the_order_of_eviction) T_RUN(nobody_goes_without_need) T_RUN(
	half_for_one_user_while_others_are_there) T_RUN(which_of_the_hoarders_goes) T_RUN(hoarders_commands_are_spared)
		T_RUN(half_counts_per_user) T_RUN(login_places) T_RUN(time_before_login)
			T_RUN(delivery_places_are_their_own) T_RUN(closing_all_of_a_user) T_RUN(allow_from))
