/* The IMAP server (RFC 3501 and the extensions that capability.c lists) as a
 * protocol of the loop. What a session may say and see is in here; where bytes
 * come from and go to is net/'s, where mail lies is store/'s. */
#ifndef IMAP_IMAP_H
#define IMAP_IMAP_H

#include "account/account.h"
#include "base/mem.h"
#include "net/conn.h"
#include "store/store.h"
#include "view/arrival.h"
#include "view/search.h"
#include "view/view.h"

/* Whether passwords may come over a connection without TLS (RFC 3501 section
 * 6.2.3: LOGINDISABLED). Unix sockets count as loopback. */
enum imap_cleartext { IMAP_CLEARTEXT_NEVER, IMAP_CLEARTEXT_LOOPBACK, IMAP_CLEARTEXT_ALWAYS };

struct imap_config {
	uint32_t sessions;      /* connections at once, login places included */
	uint32_t commands;      /* commands with work space of their own at once: FETCH, LIST, COPY ... */
	uint32_t idle_notify_s; /* "* OK Still here" in IDLE this often; 0: never */
	enum imap_cleartext cleartext;
	uint64_t message_max;   /* bytes of a literal that is worth discarding, and of an APPEND */
	int64_t (*wall_time)(void);       /* seconds since 1970, for INTERNALDATE of an APPEND without a date */
	int (*zone_minutes)(int64_t wall); /* minutes east of UTC at that time; may be NULL */
};

/* What the sessions work on. All of it must outlive the server. */
struct imap_parts {
	struct store *store;
	struct views *views;
	struct arrivals *arrivals;
	struct searches *searches;
	struct accounts *accounts;
};

struct imap_server;

/* Arena bytes that imap_init takes. */
size_t imap_memory(const struct imap_config *config);
/* E_NOMEM when the arena has no room. The context of imap_protocol's listeners
 * is the server. views_on_change is pointed at imap_wake by the caller. */
int imap_init(struct imap_server **server, struct arena *arena, const struct imap_config *config,
	const struct imap_parts *parts);
/* Follows a reloaded configuration: only idle_notify_s, cleartext and
 * message_max are taken. */
void imap_reconfigure(struct imap_server *server, const struct imap_config *config);

/* For views_on_change: the context that a session gives to view_open. */
void imap_wake(void *context);

extern const struct protocol imap_protocol;

struct imap_status {
	uint32_t sessions, commands;           /* in use */
	uint32_t sessions_peak, commands_peak;
	uint64_t commands_run, commands_bad;   /* since start; bad: answered BAD */
	uint64_t logins, logins_failed;
};
void imap_status(const struct imap_server *server, struct imap_status *out);

#endif
