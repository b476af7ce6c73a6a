/* Letting old mail go, as the configuration says: the settings for the store,
 * what the audit keeps of a message, and telling users before and when it
 * happens. What goes, and when, is the store's (store/evict.h). */
#ifndef CONTROL_EVICTION_H
#define CONTROL_EVICTION_H

#include "control/config.h"
#include "control/notice.h"
#include "store/evict.h"

struct eviction_config {
	struct store *store;
	struct accounts *accounts;
	struct notices *notices;     /* NULL: nobody is told */
	const struct config *config; /* stays */
};

struct eviction;
size_t eviction_memory(void);
/* Configures the store. E_NOMEM. */
int eviction_init(struct eviction **e, struct arena *arena, const struct eviction_config *config);
/* The configuration has changed: the store is told. */
void eviction_reload(struct eviction *e);
/* Sender, LF, subject of a message in UTF-8, control characters made blanks:
 * bytes written. For store_evict_config and lists. `e` is the struct eviction. */
size_t eviction_describe(void *e, uint64_t object, char out[STORE_AUDIT_TEXT]);
/* Looks now and then who is to be warned; to be called in every turn. E_AGAIN:
 * call again at once. */
int eviction_work(struct eviction *e);
/* When eviction_work must be called at the latest, in port_now_us time. */
uint64_t eviction_deadline_us(const struct eviction *e);
/* Seconds until the high mark is reached at the pace at which mail came in so
 * far; UINT64_MAX: never. */
uint64_t eviction_forecast(struct store *st);

#endif
