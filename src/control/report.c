#include "control/report.h"

#include <string.h>

#include "base/err.h"
#include "control/json.h"
#include "port/system.h"

enum unit { COUNT, BYTES, MICROSECONDS, SECONDS, RATIO, YES_NO };

/* section, name, unit, value. Sections stand together; the order is that of the
 * report. */
#define REPORT_FIGURES(X) \
	X("server", "uptime", SECONDS, (r->now_us - r->source->started_us) / 1000000) \
	X("server", "memory", BYTES, r->source->memory) \
	X("server", "memory-used", BYTES, r->source->arena->used) \
	X("server", "resident", BYTES, r->resident) \
	X("connections", "logged-in", COUNT, r->loop.logged_in) \
	X("connections", "before-login", COUNT, r->loop.login) \
	X("connections", "delivering", COUNT, r->loop.delivery) \
	X("connections", "accepted", COUNT, r->loop.accepted) \
	X("connections", "refused-network", COUNT, r->loop.refused_network) \
	X("connections", "refused-full", COUNT, r->loop.refused_full) \
	X("connections", "tls-handshakes", COUNT, r->loop.tls_handshakes) \
	X("connections", "tls-failures", COUNT, r->loop.tls_failures) \
	X("connections", "bytes-in", BYTES, r->loop.bytes_in) \
	X("connections", "bytes-out", BYTES, r->loop.bytes_out) \
	X("tls", "places", COUNT, r->tls.places) \
	X("tls", "places-used", COUNT, r->tls.used) \
	X("tls", "places-peak", COUNT, r->tls.peak) \
	X("tls", "heap", BYTES, r->tls.heap) \
	X("tls", "heap-used", BYTES, r->tls.heap_used) \
	X("tls", "heap-peak", BYTES, r->tls.heap_peak) \
	X("tls", "heap-largest-free", BYTES, r->tls.heap_largest) \
	X("tls", "denied", COUNT, r->tls.denied) \
	X("imap", "sessions", COUNT, r->imap.sessions) \
	X("imap", "sessions-peak", COUNT, r->imap.sessions_peak) \
	X("imap", "commands", COUNT, r->imap.commands) \
	X("imap", "commands-peak", COUNT, r->imap.commands_peak) \
	X("imap", "commands-run", COUNT, r->imap.commands_run) \
	X("imap", "commands-bad", COUNT, r->imap.commands_bad) \
	X("logins", "good", COUNT, r->imap.logins) \
	X("logins", "failed", COUNT, r->imap.logins_failed) \
	X("logins", "delayed", COUNT, r->throttle.delayed) \
	X("logins", "addresses", COUNT, r->throttle.addresses) \
	X("loop", "turns", COUNT, r->loop.turns) \
	X("loop", "longest-turn", MICROSECONDS, r->loop.longest_turn_us) \
	X("store", "storage", BYTES, r->store.storage) \
	X("store", "allocated", BYTES, r->store.allocated) \
	X("store", "capacity", BYTES, r->store.capacity) \
	X("store", "mail", BYTES, r->store.live) \
	X("store", "messages", COUNT, r->store.messages) \
	X("store", "objects", COUNT, r->store.objects) \
	X("store", "segments", COUNT, r->store.segments) \
	X("store", "segment-size", BYTES, r->store.segment_size) \
	X("store", "read-only", YES_NO, r->store.read_only) \
	X("store", "damaged", COUNT, r->store.damaged) \
	X("store", "checkpoints", COUNT, r->store.checkpoints) \
	X("store", "segments-cleaned", COUNT, r->store.segments_cleaned) \
	X("store", "box-time", SECONDS, r->store.box_time) \
	X("flash", "mail-in", BYTES, r->store.bytes_in) \
	X("flash", "written", BYTES, r->store.bytes_written) \
	X("flash", "ratio", RATIO, ratio(r->store.bytes_written, r->store.bytes_in)) \
	X("flash", "life-mail-in", BYTES, r->store.life_bytes_in) \
	X("flash", "life-written", BYTES, r->store.life_bytes_written) \
	X("flash", "life-ratio", RATIO, ratio(r->store.life_bytes_written, r->store.life_bytes_in)) \
	X("flash", "syncs", COUNT, r->syncs.count) \
	X("flash", "sync-time", MICROSECONDS, r->syncs.total_us) \
	X("flash", "longest-sync", MICROSECONDS, r->syncs.longest_us) \
	X("evict", "running", YES_NO, r->evict.running) \
	X("evict", "messages", COUNT, r->evict.messages) \
	X("evict", "bytes", BYTES, r->evict.bytes) \
	X("evict", "life-messages", COUNT, r->evict.life_messages) \
	X("evict", "life-bytes", BYTES, r->evict.life_bytes) \
	X("evict", "runs", COUNT, r->evict.runs) \
	X("evict", "refused", COUNT, r->evict.refused) \
	X("evict", "begins-at", BYTES, r->evict.high) \
	X("evict", "ends-at", BYTES, r->evict.low) \
	X("delivery", "messages", COUNT, r->smtp.messages) \
	X("delivery", "recipients", COUNT, r->smtp.recipients) \
	X("delivery", "refused", COUNT, r->smtp.refused) \
	X("delivery", "bytes", BYTES, r->smtp.bytes)

struct figure {
	const char *section, *name;
	enum unit unit;
};

#define FIGURE_ROW(section, name, unit, value) { section, name, unit },
static const struct figure figures[] = { REPORT_FIGURES(FIGURE_ROW) };
#undef FIGURE_ROW

#define FIGURES (sizeof figures / sizeof figures[0])

/* In thousandths. */
static uint64_t ratio(uint64_t written, uint64_t in)
{
	return in ? written * 1000 / in : 0;
}

static void take_values(const struct report *r, uint64_t values[FIGURES])
{
	size_t i = 0;

#define FIGURE_VALUE(section, name, unit, value) values[i++] = (value);
	REPORT_FIGURES(FIGURE_VALUE)
#undef FIGURE_VALUE
}

/* The report's course. Each stage makes one line a call or passes on. */
enum { STAGE_OPEN, STAGE_FIGURES, STAGE_LONGEST, STAGE_PROTOCOLS, STAGE_POOLS, STAGE_USERS, STAGE_CLOSE, STAGE_END };

void report_begin(struct report *r, const struct report_source *source, bool json)
{
	*r = (struct report){ .source = source, .json = json };
	r->now_us = port_now_us();
	r->resident = port_resident();
	store_status(source->store, &r->store);
	store_evict_status(source->store, &r->evict);
	loop_status(source->loop, &r->loop);
	port_sync_stats(&r->syncs);
	if (source->smtp)
		smtp_status(source->smtp, &r->smtp);
	if (source->imap)
		imap_status(source->imap, &r->imap);
	if (tls_loaded())
		tls_status(&r->tls);
	throttle_status(source->accounts, &r->throttle);
}

/* ---- text ---- */

static void put_ratio(struct buf *out, uint64_t thousandths)
{
	buf_printf(out, "%llu.%03u", (unsigned long long)(thousandths / 1000), (unsigned)(thousandths % 1000));
}

static void put_bytes(struct buf *out, uint64_t n)
{
	static const char units[] = "KMGT";
	uint64_t unit = 1024;
	size_t u = 0;

	buf_put_number(out, n);
	if (n < 1024)
		return;
	while (units[u + 1] && n / unit >= 1024) {
		unit *= 1024;
		u++;
	}
	buf_printf(out, " (%llu.%u %ciB)", (unsigned long long)(n / unit), (unsigned)(n % unit * 10 / unit), units[u]);
}

static void put_seconds(struct buf *out, uint64_t s)
{
	if (s >= 86400)
		buf_printf(out, "%llu d ", (unsigned long long)(s / 86400));
	buf_printf(out, "%02u:%02u:%02u", (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
}

static void put_value(struct buf *out, enum unit unit, uint64_t value)
{
	switch (unit) {
	case BYTES:
		put_bytes(out, value);
		break;
	case SECONDS:
		put_seconds(out, value);
		break;
	case MICROSECONDS:
		buf_printf(out, "%llu.%03u ms", (unsigned long long)(value / 1000), (unsigned)(value % 1000));
		break;
	case RATIO:
		put_ratio(out, value);
		break;
	case YES_NO:
		buf_puts(out, value ? "yes" : "no");
		break;
	case COUNT:
		buf_put_number(out, value);
		break;
	}
}

static void put_label(struct buf *out, const char *section, struct bytes name)
{
	size_t start = out->len;

	buf_puts(out, section);
	buf_putc(out, ' ');
	buf_putb(out, name);
	do
		buf_putc(out, ' ');
	while (out->len - start < 32);
}

/* ---- JSON (RFC 8259) ---- */

static void json_next(struct report *r, struct buf *out)
{
	if (!r->first)
		buf_putc(out, ',');
	r->first = false;
}

/* ---- lines ---- */

static bool figure_line(struct report *r, struct buf *out)
{
	uint64_t values[FIGURES];
	const struct figure *f = &figures[r->index];
	bool opens = r->index == 0 || strcmp(f->section, f[-1].section) != 0;
	bool closes = r->index + 1 == FIGURES || strcmp(f->section, f[1].section) != 0;

	take_values(r, values);
	if (r->json) {
		if (opens)
			buf_printf(out, "\"%s\": { ", f->section);
		buf_printf(out, "\"%s\": ", f->name);
		if (f->unit == YES_NO)
			buf_puts(out, values[r->index] ? "true" : "false");
		else if (f->unit == RATIO)
			put_ratio(out, values[r->index]);
		else
			buf_put_number(out, values[r->index]);
		buf_puts(out, closes ? " }," : ",");
	} else {
		put_label(out, f->section, bytes_of(f->name));
		put_value(out, f->unit, values[r->index]);
	}
	return ++r->index < FIGURES;
}

static void longest_line(struct report *r, struct buf *out)
{
	const char *what = r->loop.longest_turn ? r->loop.longest_turn : "nothing";

	if (r->json) {
		buf_puts(out, "\"longest-turn\": ");
		json_string(out, bytes_of(what));
		buf_puts(out, ", \"protocols\": [");
	} else {
		put_label(out, "loop", bytes_of("longest-turn-was"));
		buf_puts(out, what);
	}
	r->first = true;
}

static void protocol_line(struct report *r, struct buf *out, const struct loop_protocol *p)
{
	if (r->json) {
		json_next(r, out);
		buf_puts(out, "{ \"name\": ");
		json_string(out, bytes_of(p->name));
		buf_printf(out, ", \"connections\": %u, \"tls\": %u, \"logged-in\": %u, \"idle\": %u }",
			(unsigned)p->connections, (unsigned)p->tls, (unsigned)p->logged_in, (unsigned)p->idle);
	} else {
		put_label(out, "protocol", bytes_of(p->name));
		buf_printf(out, "%u connections, %u with TLS, %u logged in, %u in IDLE", (unsigned)p->connections,
			(unsigned)p->tls, (unsigned)p->logged_in, (unsigned)p->idle);
	}
}

static void pool_line(struct report *r, struct buf *out)
{
	const struct pool *p = r->pool;

	if (r->json) {
		json_next(r, out);
		buf_puts(out, "{ \"name\": ");
		json_string(out, bytes_of(p->name));
		buf_printf(out, ", \"unit\": %zu, \"count\": %u, \"used\": %u, \"peak\": %u, \"denied\": %u }", p->unit,
			(unsigned)p->count, (unsigned)p->used, (unsigned)p->peak, (unsigned)p->denied);
	} else {
		put_label(out, "pool", bytes_of(p->name));
		buf_printf(out, "%u of %u used, at most %u, denied %u times, %zu bytes each", (unsigned)p->used,
			(unsigned)p->count, (unsigned)p->peak, (unsigned)p->denied, p->unit);
	}
}

static void user_line(struct report *r, struct buf *out, const struct account_user *user)
{
	struct bytes name = bytes_make(user->name, user->name_len);
	uint64_t used, messages;

	store_owner_usage(r->source->store, user->id, &used, &messages);
	if (r->json) {
		json_next(r, out);
		buf_puts(out, "{ \"name\": ");
		json_string(out, name);
		buf_printf(out, ", \"admin\": %s, \"messages\": %llu, \"mail\": %llu }", user->admin ? "true" : "false",
			(unsigned long long)messages, (unsigned long long)used);
	} else {
		put_label(out, "user", name);
		buf_printf(out, "%llu messages, ", (unsigned long long)messages);
		put_bytes(out, used);
		if (user->admin)
			buf_puts(out, ", administrator");
	}
}

static void enter(struct report *r, unsigned stage)
{
	r->stage = stage;
	r->index = 0;
}

/* The end of one list of the JSON and the beginning of the next. */
static bool next_list(struct report *r, struct buf *out, unsigned stage, const char *name)
{
	enter(r, stage);
	r->first = true;
	if (r->json)
		buf_printf(out, "], \"%s\": [", name);
	return r->json;
}

bool report_line(struct report *r, struct buf *out)
{
	struct account_user user;
	struct loop_protocol protocol;

	switch (r->stage) {
	case STAGE_OPEN:
		if (r->json) {
			buf_puts(out, "{ \"version\": ");
			json_string(out, bytes_of(r->source->version));
			buf_putc(out, ',');
		} else {
			put_label(out, "server", bytes_of("version"));
			buf_puts(out, r->source->version);
		}
		enter(r, STAGE_FIGURES);
		return true;
	case STAGE_FIGURES:
		if (!figure_line(r, out))
			enter(r, STAGE_LONGEST);
		return true;
	case STAGE_LONGEST:
		longest_line(r, out);
		enter(r, STAGE_PROTOCOLS);
		return true;
	case STAGE_PROTOCOLS:
		if (loop_protocol(r->source->loop, r->index, &protocol)) {
			protocol_line(r, out, &protocol);
			r->index++;
			return true;
		}
		r->pool = r->source->arena->first;
		if (next_list(r, out, STAGE_POOLS, "pools"))
			return true;
		/* fall through */
	case STAGE_POOLS:
		if (r->pool) {
			pool_line(r, out);
			r->pool = r->pool->next;
			return true;
		}
		if (next_list(r, out, STAGE_USERS, "users"))
			return true;
		/* fall through */
	case STAGE_USERS:
		if (account_next(r->source->accounts, &r->user_cursor, &user) == OK) {
			user_line(r, out, &user);
			return true;
		}
		enter(r, STAGE_CLOSE);
		/* fall through */
	case STAGE_CLOSE:
		enter(r, STAGE_END);
		if (r->json)
			buf_puts(out, "] }");
		return r->json;
	default:
		return false;
	}
}
