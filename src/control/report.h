/* What `cubby status` shows, as text for people or as JSON for scripts: one
 * table of figures, each with a section, a name and a unit, then the memory
 * pools and the users. Made a line at a time, so that it fits any buffer. */
#ifndef CONTROL_REPORT_H
#define CONTROL_REPORT_H

#include "account/account.h"
#include "base/mem.h"
#include "mta/smtp.h"
#include "net/loop.h"
#include "port/file.h"
#include "store/store.h"

/* Where the figures come from. */
struct report_source {
	const char *version;
	uint64_t started_us;     /* port_now_us at start */
	uint64_t memory;         /* bytes of the arena, and */
	const struct arena *arena;
	struct store *store;
	struct loop *loop;
	struct accounts *accounts;
	const struct smtp *smtp; /* NULL: no mail is taken by LMTP */
	const struct pool *const *pools;
	size_t n_pools;
};

/* A report under way; the figures are those of report_begin. */
struct report {
	const struct report_source *source;
	bool json;
	unsigned stage;   /* private, like all that follows */
	size_t index;
	uint32_t user_cursor;
	bool first;       /* of its section: no comma before it */
	uint64_t now_us, resident;
	struct store_status store;
	struct loop_status loop;
	struct smtp_status smtp;
	struct port_sync_stats syncs;
};

/* Bytes that the longest line needs. */
#define REPORT_LINE 400

void report_begin(struct report *r, const struct report_source *source, bool json);
/* Appends the next line without its end; false when there is none left. `out`
 * has at least REPORT_LINE bytes free. */
bool report_line(struct report *r, struct buf *out);

#endif
