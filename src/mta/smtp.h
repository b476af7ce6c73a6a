/* Mail that comes in by a protocol of the SMTP family (RFC 5321). One engine
 * keeps the session: lines, the order of commands, the message text, delivery,
 * replies; a dialect says which commands there are and what differs. Its table
 * and its struct protocol stand in a file of their own (lmtp.h). */
#ifndef MTA_SMTP_H
#define MTA_SMTP_H

#include "account/account.h"
#include "net/conn.h"
#include "store/store.h"
#include "view/arrival.h"

/* What all sessions share. */
struct smtp_config {
	struct store *store;
	struct accounts *accounts;
	struct arrivals *arrivals;
	const char *domain;      /* how the box calls itself in greeting and Received */
	uint64_t message_max;    /* bytes, told as SIZE */
	uint32_t sessions;       /* at once: the delivery places */
	/* The wall clock and the box's zone, as port_wall_time and
	 * port_zone_minutes say them. */
	int64_t (*wall_time)(void);
	int (*zone_minutes)(int64_t wall);
};

struct smtp_status {
	uint64_t messages;   /* answered 250 for at least one recipient */
	uint64_t recipients; /* answered 250 */
	uint64_t refused;    /* recipients and messages answered 4xx or 5xx */
	uint64_t bytes;      /* of messages taken */
};

struct smtp; /* the service */

/* Arena bytes of smtp_init. */
size_t smtp_memory(uint32_t sessions);
/* E_NOMEM. Strings in the configuration must stay valid. */
int smtp_init(struct smtp **service, struct arena *arena, const struct smtp_config *config);
void smtp_status(const struct smtp *service, struct smtp_status *out);
/* The pool of sessions, for the table of memory in use. */
const struct pool *smtp_pool(const struct smtp *service);

#endif
