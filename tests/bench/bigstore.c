/* bigstore DIR STORAGE_MIB OWNER COUNT [SIZE]: a store with COUNT messages of
 * SIZE/2 to SIZE*3/2 bytes (600; their header is 400) in the INBOX of a user, for
 * measuring. OWNER is the user's number in the users file. It goes in through the
 * store's own doors, as many messages a sync as one takes; message n (from 0)
 * arrived n seconds after 13-Sep-2020 12:26:40 +0000, and every fourth, n = 0
 * first, is unread. Messages that are there already stay. A million take half a
 * minute. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/mail.h"
#include "tests/bench/rolling.h"

/* Messages a commit; the store takes a few more. */
#define AT_ONCE 30

int main(int argc, char **argv)
{
	struct store_config config = {
		.message_max = 64u << 20,
		.flag_delay_ms = 5000,
		.cache_pages = 4096,
		.log_buffer = 1u << 20,
		.upload_bytes = 4u << 20,
		.uploads = AT_ONCE + 2,
	};
	struct rolling r = { 0 };
	unsigned long count, size;
	uint32_t x = 1;
	char *text;

	if (argc < 5) {
		fprintf(stderr, "usage: bigstore DIR STORAGE_MIB OWNER COUNT [SIZE]\n");
		return 2;
	}
	config.dir = argv[1];
	config.storage = strtoull(argv[2], NULL, 10) << 20;
	count = strtoul(argv[4], NULL, 10);
	size = argc > 5 ? strtoul(argv[5], NULL, 10) : 600;
	if (size > 100000)
		size = 100000;
	text = malloc(2 * size + MAIL_HEAD);
	if (!text || !size)
		return 1;
	rolling_open(&r, &config, (uint32_t)strtoul(argv[3], NULL, 10));
	for (unsigned long i = 0; i < count; i++) {
		size_t len = mail_make((uint32_t)i, size / 2 + mail_random(&x) % size, text);

		rolling_deliver(&r, text, len, 1600000000 + (int64_t)i, i % 4 ? STORE_SEEN : 0);
		if ((i + 1) % AT_ONCE == 0)
			(void)rolling_turn(&r);
		if ((i + 1) % 100000 == 0 && count > 100000) {
			fprintf(stderr, "\r%lu messages", i + 1);
			fflush(stderr);
		}
	}
	if (count > 100000)
		fprintf(stderr, "\n");
	(void)rolling_turn(&r);
	store_close(r.st);
	return 0;
}
