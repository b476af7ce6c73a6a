#include "tests/unit/t.h"

#include "account/account.h"
#include "base/crypto.h"
#include "base/err.h"
#include "port/sim/sim.h"

#define SECOND 1000000u

static _Alignas(16) uint8_t memory[256 * 1024];
static struct arena arena;
static struct accounts *accounts;
static uint64_t now;

static void start(void)
{
	sim_reset(1);
	T_EQ(crypto_init(port_entropy), OK);
	arena_init(&arena, memory, sizeof memory);
	T_EQ(accounts_init(&accounts, &arena, "users", 2), OK);
	arena_freeze(&arena);
	now = 5 * SECOND;
}

static struct port_address ip4(uint32_t n)
{
	struct port_address a = { .family = PORT_IP4, .port = 1000 };

	a.ip[0] = (uint8_t)(n >> 24);
	a.ip[1] = (uint8_t)(n >> 16);
	a.ip[2] = (uint8_t)(n >> 8);
	a.ip[3] = (uint8_t)n;
	return a;
}

static uint32_t wait_of(struct port_address a)
{
	return throttle_delay_ms(accounts, &a, now);
}

static void fail(struct port_address a, unsigned n)
{
	while (n-- > 0)
		throttle_failed(accounts, &a, now);
}

T_TEST(doubles_up_to_30_s)
{
	static const uint32_t expected[] = { 0, 0, 0, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000 };
	struct port_address a = ip4(0xC0A80105);

	start();
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		T_EQ(wait_of(a), expected[i]);
		now += expected[i] * 1000;
		T_EQ(wait_of(a), 0);
		fail(a, 1);
	}
	a.port = 2000;
	T_EQ(wait_of(a), 30000);
	T_EQ(wait_of(ip4(0xC0A80106)), 0);
	throttle_succeeded(accounts, &a);
	T_EQ(wait_of(a), 0);
}

/* Who has a password of his own can't use it to guess faster at others'. */
T_TEST(success_buys_no_guesses)
{
	struct port_address a = ip4(0x0A000007);
	struct throttle_status s;
	unsigned guesses = 0;

	start();
	for (uint64_t until = now + 3600 * (uint64_t)SECOND; now < until; now += SECOND) {
		if (wait_of(a) == 0) {
			fail(a, 1);
			guesses++;
		}
		if (wait_of(a) == 0)
			throttle_succeeded(accounts, &a);
		/* once welcome, many connections at once are fine (a desktop's) */
	}
	T_OK(guesses < 3600 / 15);
	throttle_status(accounts, &s);
	T_EQ(s.addresses, 1);
	T_EQ(s.failures, guesses);
	T_OK(s.delayed > 1000);
	throttle_succeeded(accounts, &a);
	for (unsigned i = 0; i < 10; i++)
		T_EQ(wait_of(a), 0);
	fail(a, 1);
	T_OK(wait_of(a) >= 16000);
}

/* Ten connections of one address that wait side by side get one attempt. */
T_TEST(leave_is_for_one_attempt)
{
	struct port_address a = ip4(0x0A000001);

	start();
	fail(a, 5);
	T_EQ(wait_of(a), 4000);
	now += 4 * SECOND;
	T_EQ(wait_of(a), 0);
	T_EQ(wait_of(a), 4000);
	now += SECOND / 2;
	T_EQ(wait_of(a), 3500);
}

T_TEST(forgives_with_time)
{
	struct port_address a = ip4(0x0A000002);

	start();
	fail(a, 100);
	T_EQ(wait_of(a), 30000);
	now += 4 * 300 * (uint64_t)SECOND; /* four of eight are forgiven */
	T_EQ(wait_of(a), 0);
	fail(a, 1);
	T_EQ(wait_of(a), 4000);
	now += 10 * 300 * (uint64_t)SECOND;
	fail(a, 2);
	T_EQ(wait_of(a), 0);
}

T_TEST(groups_addresses)
{
	struct port_address six = { .family = PORT_IP6, .ip = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 1 } };
	struct port_address near = six, far = six;

	start();
	fail(six, 4);
	near.ip[15] = 99;
	far.ip[7] = 2;
	T_EQ(wait_of(near), 2000);
	T_EQ(wait_of(far), 0);
}

T_TEST(never_local_ones)
{
	struct port_address four = ip4(0x7F000001), other = ip4(0x7F010203);
	struct port_address six = { .family = PORT_IP6, .ip = { [15] = 1 } };
	struct port_address local = { .family = PORT_UNIX };
	/* ::/64 is a network like others: only ::1 of it is loopback. */
	struct port_address zero = { .family = PORT_IP6, .ip = { [15] = 2 } };

	start();
	fail(four, 50);
	fail(other, 50);
	fail(six, 50);
	fail(local, 50);
	T_EQ(wait_of(four), 0);
	T_EQ(wait_of(other), 0);
	T_EQ(wait_of(six), 0);
	T_EQ(wait_of(local), 0);
	fail(zero, 4);
	T_EQ(wait_of(zero), 2000);
	T_EQ(wait_of(six), 0);
}

/* A thousand addresses fail: nobody else waits, the table keeps its size, and
 * the one that goes on failing meanwhile stays slow. */
T_TEST(flood)
{
	struct port_address guesser = ip4(0xC6336401);

	start();
	for (uint32_t i = 0; i < 1000; i++) {
		fail(ip4(0x0B000000 + i), 4);
		fail(guesser, 1);
		now += 1000;
	}
	T_EQ(wait_of(guesser), 29999);
	T_EQ(wait_of(ip4(0xC0A80109)), 0);
	T_EQ(wait_of(ip4(0x0B000000)), 0);
	T_OK(wait_of(ip4(0x0B000000 + 999)) > 1000);
	T_OK(wait_of(ip4(0x0B000000 + 1000 - 255)) > 1000);
	T_EQ(wait_of(ip4(0x0B000000 + 1000 - 256)), 0);
}

T_MAIN(T_RUN(doubles_up_to_30_s) T_RUN(success_buys_no_guesses) T_RUN(leave_is_for_one_attempt)
		T_RUN(forgives_with_time) T_RUN(groups_addresses) T_RUN(never_local_ones) T_RUN(flood))
