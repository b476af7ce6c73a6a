/* Slowing down those who guess. Of each address the failures are counted; the
 * first ones are free, because people mistype and phones keep an old password. */
#include <string.h>

#include "account/account_int.h"
#include "port/network.h"

#define FREE_FAILURES 3
#define DELAY_FIRST_US 1000000u
#define DELAY_MOST_US 30000000u
/* Failures count up to here: the delay is at its most then. */
#define FAILURES_MOST 8
/* One failure is forgiven in this time. */
#define FORGIVE_US 300000000u

#define KEY 16

struct record {
	uint32_t failures;
	uint64_t since_us; /* failures are as of then */
	uint64_t last_us;  /* the last failure, or leave for an attempt */
	bool welcome;      /* the last attempt was right: no delay until one is wrong */
};

size_t throttle_memory(void)
{
	return table_memory(KEY, sizeof(struct record), THROTTLE_ADDRESSES);
}

bool throttle_init(struct accounts *a, struct arena *arena)
{
	uint8_t secret[SHA256_BYTES];

	crypto_hmac_sha256(bytes_make(a->secret, sizeof a->secret), bytes_of("throttle"), secret);
	return table_init(&a->throttle, arena, "addresses", KEY, sizeof(struct record), THROTTLE_ADDRESSES, secret);
}

/* IPv4 as ::ffff:a.b.c.d, of IPv6 the network that one site gets. False for
 * peers that are never slowed. */
static bool key_of(const struct port_address *peer, uint8_t key[KEY])
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	static const uint8_t loopback[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };

	memset(key, 0, KEY);
	switch (peer->family) {
	case PORT_IP4:
		memcpy(key, mapped, sizeof mapped);
		memcpy(key + sizeof mapped, peer->ip, 4);
		return peer->ip[0] != 127;
	case PORT_IP6:
		memcpy(key, peer->ip, 8);
		return memcmp(peer->ip, loopback, sizeof loopback) != 0;
	case PORT_UNIX:
		break;
	}
	return false;
}

static void forgive(struct record *r, uint64_t now_us)
{
	uint64_t n = (now_us - r->since_us) / FORGIVE_US;

	if (n > r->failures)
		n = r->failures;
	r->failures -= (uint32_t)n;
	r->since_us = r->failures ? r->since_us + n * FORGIVE_US : now_us;
}

static uint64_t delay_us(uint32_t failures)
{
	uint64_t delay;

	if (failures < FREE_FAILURES)
		return 0;
	delay = (uint64_t)DELAY_FIRST_US << (failures - FREE_FAILURES);
	return delay < DELAY_MOST_US ? delay : DELAY_MOST_US;
}

uint32_t throttle_delay_ms(struct accounts *a, const struct port_address *peer, uint64_t now_us)
{
	uint8_t key[KEY];
	struct record *r = key_of(peer, key) ? table_find(&a->throttle, key) : NULL;
	uint64_t delay;

	if (!r)
		return 0;
	forgive(r, now_us);
	delay = r->welcome ? 0 : delay_us(r->failures);
	if (now_us - r->last_us < delay) {
		a->throttled.delayed++;
		return (uint32_t)((r->last_us + delay - now_us + 999) / 1000);
	}
	r->last_us = now_us;
	return 0;
}

void throttle_failed(struct accounts *a, const struct port_address *peer, uint64_t now_us)
{
	uint8_t key[KEY];
	struct record *r;

	a->throttled.failures++;
	if (!key_of(peer, key))
		return;
	r = table_find(&a->throttle, key);
	if (r) {
		table_touch(&a->throttle, r);
		forgive(r, now_us);
	} else {
		if (table_count(&a->throttle) == THROTTLE_ADDRESSES)
			table_remove(&a->throttle, table_oldest(&a->throttle));
		r = table_add(&a->throttle, key);
		if (!r)
			return;
		r->since_us = now_us;
	}
	r->welcome = false;
	if (r->failures < FAILURES_MOST)
		r->failures++;
	r->last_us = now_us;
}

void throttle_succeeded(struct accounts *a, const struct port_address *peer)
{
	uint8_t key[KEY];
	struct record *r = key_of(peer, key) ? table_find(&a->throttle, key) : NULL;

	if (r)
		r->welcome = true;
}

void throttle_status(const struct accounts *a, struct throttle_status *out)
{
	*out = a->throttled;
	out->addresses = (uint32_t)table_count(&a->throttle);
}
