#include "budget.h"

#include <stdio.h>
#include <string.h>

#include "account/account.h"
#include "base/err.h"
#include "control/archive.h"
#include "control/control.h"
#include "control/eviction.h"
#include "control/notice.h"
#include "mta/smtp.h"
#include "net/tls.h"
#include "view/arrival.h"
#include "view/search.h"
#include "view/view.h"

/* Connections for delivery and for the owner's tools, on top of all others, so
 * that idle clients can't keep mail out, nor deliveries the owner. */
#define DELIVERY_PLACES 4
#define OWNER_PLACES 2
/* The index cache takes what is left, between these bounds (pages): below the
 * first a page is read again and again, above the second nothing is won. */
#define CACHE_LEAST 64
#define CACHE_MOST 4096
/* Two summaries and their records at once, and a turn's flag changes. */
#define LOG_BUFFER (128u * 1024)
/* Messages up to 256 KiB wait here for their end; one of those and several small
 * ones fit. What does not fit goes to a file at once. */
#define UPLOAD_BYTES_MOST (384u * 1024)
#define UPLOADS 12

static size_t budget_cache_bytes(const struct budget *b)
{
	return (size_t)b->store.cache_pages * 4096;
}

static size_t budget_store_rest(const struct budget *b)
{
	return store_memory(&b->store) - budget_cache_bytes(b) - b->store.log_buffer - b->store.upload_bytes;
}

static uint64_t sum_of(const struct budget *b)
{
	uint64_t sum = 0;

#define BUDGET(name, purpose, unit, count, bytes) sum += (bytes);
#include "budget.def"
#undef BUDGET
	return sum;
}

static uint32_t at_least(uint64_t n, uint32_t least)
{
	return n < least ? least : (uint32_t)n;
}

static void count_connections(const struct config *config, struct budget *b)
{
	uint32_t login = at_least(config->connections / 8, 2);

	b->loop = (struct loop_config){
		.connections = config->connections,
		.login_places = login,
		.delivery_places = DELIVERY_PLACES + OWNER_PLACES,
		/* A connection holds one only while a command is incomplete. */
		.input_buffers = at_least(config->connections / 3, 6),
		.long_buffers = 2,
		/* ... and one of these only while its peer does not take its output. */
		.output_buffers = at_least(config->connections / 4, 4),
		.tls_places = config->connections + login,
		.login_timeout_s = config->login_timeout_s,
		.write_timeout_s = 60,
	};
	b->tls_places = config->tls_certificate[0] ? b->loop.tls_places : 0;
	b->loop.tls_places = b->tls_places;
	b->places = config->connections + login + DELIVERY_PLACES + OWNER_PLACES;
	b->control_sessions = OWNER_PLACES;
	b->deliveries = DELIVERY_PLACES;
	b->tombstones = at_least(16ull * config->connections, 256);
	b->searches = 3;
	b->arrivals = UPLOADS;
	b->logins = at_least(login / 2, 2);
}

int budget_make(const struct config *config, struct budget *b, char *reason, size_t cap)
{
	uint64_t left;

	memset(b, 0, sizeof *b);
	b->memory = config->memory;
	count_connections(config, b);
	b->imap = (struct imap_config){
		.sessions = config->connections + b->loop.login_places,
		/* One each: a client that stops reading in the middle of a FETCH then
		 * keeps nobody else from his. */
		.commands = config->connections,
		.idle_notify_s = config->idle_notify_s,
		.cleartext = (enum imap_cleartext)config->cleartext_login,
		.message_max = config->message_size,
	};
	b->store = (struct store_config){
		.dir = config->store,
		.storage = config->storage,
		.message_max = config->message_size,
		.owner_quota = config->quota,
		.flag_delay_ms = config->flag_delay_s * 1000,
		.cache_pages = CACHE_LEAST,
		.log_buffer = LOG_BUFFER,
		.upload_bytes = UPLOAD_BYTES_MOST,
		.uploads = UPLOADS,
		.allow_volatile = config->allow_volatile,
	};
	b->sum = sum_of(b);
	if (b->sum > b->memory) {
		(void)snprintf(reason, cap, "memory %lluK is too little for connections %lu: it takes at least %lluK",
			(unsigned long long)(b->memory >> 10), (unsigned long)config->connections,
			(unsigned long long)((b->sum + 1023) >> 10));
		return E_RANGE;
	}
	/* A page and what the cache keeps about it. */
	left = (b->memory - b->sum) / (4096 + 64);
	b->store.cache_pages = (uint32_t)(CACHE_LEAST + left > CACHE_MOST ? CACHE_MOST : CACHE_LEAST + left);
	while (sum_of(b) > b->memory)
		b->store.cache_pages--;
	b->sum = sum_of(b);
	return OK;
}

bool budget_line(const struct budget *b, unsigned row, struct buf *out)
{
	unsigned i = 2;

	if (row == 0)
		return buf_puts(out, "| what for | unit | count | KiB |");
	if (row == 1)
		return buf_puts(out, "|---|---|--:|--:|");
#define BUDGET(name, purpose, unit, count, bytes) \
	if (row == i++) \
		return buf_printf(out, "| %s | %s | %lu | %lu |", purpose, unit, (unsigned long)(count), \
			(unsigned long)(((bytes) + 1023) / 1024));
#include "budget.def"
#undef BUDGET
	if (row == i++)
		return buf_printf(out, "| sum of %llu KiB that `memory` allows | | | %llu |",
			(unsigned long long)(b->memory >> 10), (unsigned long long)((b->sum + 1023) >> 10));
	return false;
}
