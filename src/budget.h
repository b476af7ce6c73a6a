/* The memory budget: how many of everything, made from `memory` and
 * `connections` of the configuration. Everything is taken once at start from one
 * arena; nothing grows later. */
#ifndef BUDGET_H
#define BUDGET_H

#include "control/config.h"
#include "imap/imap.h"
#include "net/loop.h"
#include "store/store.h"

struct budget {
	uint64_t memory; /* the arena, bytes */
	struct loop_config loop;
	struct store_config store;
	struct imap_config imap;
	uint32_t places;     /* logged-in, login and delivery places together */
	uint32_t deliveries; /* LMTP sessions at once */
	uint32_t tls_places, tombstones, arrivals, searches, control_sessions, logins;
	uint64_t sum;
};

/* Fills b. OK, or E_RANGE with a sentence of what would fit in `reason`. */
int budget_make(const struct config *config, struct budget *b, char *reason, size_t cap);

/* The table, a line a call into out (at least 100 bytes free); false after the
 * last. As Markdown, for the README. */
bool budget_line(const struct budget *b, unsigned row, struct buf *out);

#endif
