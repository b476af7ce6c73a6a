/* What `cubby status` shows, as text for people or as JSON for scripts: one
 * table of figures, each with a section, a name and a unit, then the protocols,
 * the memory pools and the users. Made a line at a time, so that it fits any
 * buffer.
 *
 * The JSON (RFC 8259) is for scripts and stays as it is: names are never changed
 * or given another meaning, new ones may be added anywhere.
 *
 *   { "version": "0.1",
 *     SECTION: { NAME: number or true or false, ... }, ...
 *     "longest-turn": "what the loop's longest turn was",
 *     "protocols": [ { "name", "connections", "tls", "logged-in", "idle" }, ... ],
 *     "pools": [ { "name", "unit", "count", "used", "peak", "denied" }, ... ],
 *     "users": [ { "name", "admin", "messages", "mail" }, ... ] }
 *
 * Sections and their names are those of the table in report.c; the text form
 * shows the same words. Sizes are bytes, `unit` as well; uptime and box-time are
 * seconds, longest-turn, sync-time and longest-sync of sections microseconds.
 * Counters run since the start of the process, those that begin with life- since
 * the store was made. ratio and life-ratio are bytes written per byte of mail
 * taken in, with three decimals, 0 before there was any. `used` and `peak` of a pool count
 * units, `denied` how often it was empty when asked. */
#ifndef CONTROL_REPORT_H
#define CONTROL_REPORT_H

#include "account/account.h"
#include "base/mem.h"
#include "imap/imap.h"
#include "mta/smtp.h"
#include "net/loop.h"
#include "net/tls.h"
#include "port/file.h"
#include "store/evict.h"
#include "store/store.h"

/* Where the figures come from; the pools are those of the arena. */
struct report_source {
	const char *version;
	uint64_t started_us;     /* port_now_us at start */
	uint64_t memory;         /* bytes of the arena, and */
	const struct arena *arena;
	struct store *store;
	struct loop *loop;
	struct accounts *accounts;
	const struct smtp *smtp;         /* NULL: no mail is taken by LMTP */
	const struct imap_server *imap;  /* NULL: none */
};

/* A report under way; the figures are those of report_begin. */
struct report {
	const struct report_source *source;
	bool json;
	unsigned stage;   /* private, like all that follows */
	size_t index;
	uint32_t user_cursor;
	const struct pool *pool;
	bool first;       /* of its section: no comma before it */
	uint64_t now_us, resident;
	struct store_status store;
	struct store_evict_status evict;
	struct loop_status loop;
	struct smtp_status smtp;
	struct imap_status imap;
	struct tls_status tls;
	struct throttle_status throttle;
	struct port_sync_stats syncs;
};

/* Bytes that the longest line needs. */
#define REPORT_LINE 400

void report_begin(struct report *r, const struct report_source *source, bool json);
/* Appends the next line without its end; false when there is none left. `out`
 * has at least REPORT_LINE bytes free. */
bool report_line(struct report *r, struct buf *out);

#endif
