/* A store that is driven as the server drives it: messages come in through the
 * same door as LMTP's, commits and upkeep as the loop makes them. */
#ifndef TESTS_BENCH_ROLLING_H
#define TESTS_BENCH_ROLLING_H

#include <stdlib.h>

#include "base/crypto.h"
#include "base/err.h"
#include "base/log.h"
#include "port/system.h"
#include "view/arrival.h"

struct rolling {
	struct arena arena;
	struct store *st;
	struct arrivals *arrivals;
	uint32_t inbox;
};

static inline void rolling_die(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, err_text(err));
	exit(1);
}

static inline void rolling_log(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

/* A turn of the loop: a slice of upkeep, then a commit if one is wanted. True
 * when there is more to do at once. */
static inline bool rolling_turn(struct rolling *r)
{
	bool more = store_maintain(r->st) == E_AGAIN;

	while (store_wants_commit(r->st)) {
		int err = store_commit_start(r->st);

		if (err == OK)
			err = store_commit_done(r->st);
		if (err != OK && err != E_AGAIN)
			rolling_die("commit", err);
		if (err == OK)
			break;
	}
	return more;
}

/* Opens (or makes) the store and its owner's INBOX. */
static inline void rolling_open(struct rolling *r, const struct store_config *config, uint32_t owner)
{
	size_t bytes = store_memory(config) + arrivals_memory(config->uploads);
	char reason[300] = "";
	store_ticket ticket;
	int err;

	log_init(rolling_log, LOG_WARNING);
	arena_init(&r->arena, calloc(1, bytes), bytes);
	err = crypto_init(port_entropy);
	if (err == OK)
		err = store_open(&r->st, &r->arena, config, reason, sizeof reason);
	if (err != OK)
		rolling_die(reason[0] ? reason : config->dir, err);
	err = arrivals_init(&r->arrivals, &r->arena, r->st, config->uploads);
	if (err == OK && store_mailbox_find(r->st, owner, bytes_of("INBOX"), &r->inbox) == E_NOENT)
		err = store_mailbox_create(r->st, owner, bytes_of("INBOX"), 0, &r->inbox, &ticket);
	if (err != OK)
		rolling_die("INBOX", err);
	(void)rolling_turn(r);
}

/* Hands a message in. It is durable after the next turn that commits. */
static inline void rolling_deliver(struct rolling *r, const char *text, size_t len, int64_t received, uint8_t flags)
{
	struct store_target target = { .mailbox = r->inbox, .received = received, .flags = flags };
	struct arrival *a = NULL;
	store_ticket ticket;
	int err;

	for (unsigned tries = 0; (err = arrival_begin(r->arrivals, len, false, &a)) == E_AGAIN && tries < 10000;
		tries++)
		(void)rolling_turn(r);
	if (err == OK)
		err = arrival_write(a, text, len);
	for (unsigned tries = 0; err == OK && tries < 10000; tries++) {
		err = arrival_commit(a, &target, 1, &ticket);
		if (err != E_AGAIN)
			break;
		(void)rolling_turn(r);
		err = OK;
	}
	if (err != OK)
		rolling_die("delivery", err);
}

#endif
