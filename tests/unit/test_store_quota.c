#include "store_rig.h"

static void set(uint32_t owner, uint64_t bytes, uint64_t messages)
{
	const struct store_quota quota = { bytes, messages };
	store_ticket t;

	T_EQ(store_set_quota(st, owner, &quota, &t), OK);
	rig_commit();
	T_EQ(store_ticket_result(st, t), OK);
}

static void check(uint32_t owner, uint64_t bytes, uint64_t messages)
{
	struct store_quota quota;

	store_quota(st, owner, &quota);
	T_EQ(quota.bytes, bytes);
	T_EQ(quota.messages, messages);
}

static void start(uint64_t configured)
{
	struct store_config config = rig_config;

	config.owner_quota = configured;
	rig_start(&config);
}

static uint64_t free_for(uint32_t owner)
{
	struct store_spare spare;

	store_spare(st, owner, &spare);
	if (spare.messages == 0)
		return 0;
	return spare.bytes < spare.quota ? spare.bytes : spare.quota;
}

T_TEST(the_configuration_s_until_one_is_set)
{
	start(0);
	check(1, STORE_NO_QUOTA, STORE_NO_QUOTA);
	T_EQ(free_for(1), store_free(st));
	store_close(st);
	start(100000);
	check(1, 100000, STORE_NO_QUOTA);
	set(2, 5000, 7);
	check(1, 100000, STORE_NO_QUOTA);
	check(2, 5000, 7);
	T_EQ(free_for(1), 100000);
	T_EQ(free_for(2), 5000);
	set(2, STORE_NO_QUOTA, 0);
	T_EQ(free_for(2), 0);
	store_close(st);
}

T_TEST(limits_hold)
{
	uint32_t m;

	start(0);
	m = rig_mailbox("A");
	set(1, 10000, 3);
	T_EQ(store_room(st, 1, 10000), OK);
	T_EQ(store_room(st, 1, 10001), E_FULL);
	(void)rig_add(m, 1, 4000);
	T_EQ(store_room(st, 1, 6000), OK);
	T_EQ(store_room(st, 1, 6001), E_FULL);
	T_EQ(store_room_in(st, 1, 3000, 2), OK);
	T_EQ(store_room_in(st, 1, 3001, 2), E_FULL);
	T_EQ(store_room_in(st, 1, 1, 3), E_FULL);
	T_EQ(store_room(st, 2, 100000), OK);
	(void)rig_add(m, 2, 10);
	(void)rig_add(m, 3, 10);
	T_EQ(store_room(st, 1, 1), E_FULL); /* three messages */
	set(1, 10000, 4);
	T_EQ(store_room(st, 1, 1), OK);
	set(1, 0, STORE_NO_QUOTA);
	T_EQ(store_room(st, 1, 1), E_FULL);
	store_close(st);
}

/* Set is set, over a clean stop and over a cut; a user who is removed takes his
 * limits along. */
T_TEST(they_are_durable)
{
	store_ticket t;

	start(0);
	set(1, 12345, 6);
	store_close(st);
	rig_again(&rig_config);
	check(1, 12345, 6);
	set(1, 54321, STORE_NO_QUOTA);
	sim_power_cut(&sim_lose_all);
	rig_again(&rig_config);
	check(1, 54321, STORE_NO_QUOTA);
	T_EQ(store_owner_remove(st, 1, &t), OK);
	rig_commit();
	check(1, STORE_NO_QUOTA, STORE_NO_QUOTA);
	store_close(st);
}

/* One list of names a turn: the second waits. */
T_TEST(two_in_a_turn)
{
	const struct store_quota quota = { 1, 2 };
	store_ticket t;

	start(0);
	T_EQ(store_set_quota(st, 1, &quota, &t), OK);
	T_EQ(store_set_quota(st, 2, &quota, &t), E_AGAIN);
	check(1, STORE_NO_QUOTA, STORE_NO_QUOTA); /* not before it is durable */
	rig_commit();
	T_EQ(store_set_quota(st, 2, &quota, &t), OK);
	rig_commit();
	check(1, 1, 2);
	check(2, 1, 2);
	store_close(st);
}

T_MAIN(T_RUN(the_configuration_s_until_one_is_set) T_RUN(limits_hold) T_RUN(they_are_durable) T_RUN(two_in_a_turn))
