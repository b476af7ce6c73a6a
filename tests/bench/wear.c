/* wear DIR PATTERN COUNT [SIZE] [STORAGE_MIB] [GROWTH]: durable deliveries of
 * COUNT messages of SIZE bytes (8192), all of the same bodies whatever the
 * pattern, in DIR; whoever runs it counts what the medium was given.
 *
 *   d      message and its 64-byte record in one append, fdatasync
 *   F      makes the file for f: zeros (not a delivery)
 *   f      as d, in place in the file that F made
 *   h      as d, padded to 4 KiB, in place in a file made long by ftruncate
 *   E      as h, one fdatasync for ten messages
 *   s      Cubby's store, a commit a message; when 90 % of its room for mail is
 *          taken it evicts the oldest until 75 % are
 *   S      as s, one commit for ten messages
 *   P      makes the store for s and S, with COUNT messages (not deliveries)
 *
 * GROWTH, of the store: append, extend, recycle or auto (the default). */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "store/evict.h"
#include "tests/bench/mail.h"
#include "tests/bench/rolling.h"

#define RECORD 64
#define BLOCK 4096u

static char text[(1 << 20) + MAIL_HEAD + RECORD + BLOCK];

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "wear: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void raw(char pattern, uint32_t count, size_t size)
{
	bool padded = pattern == 'h' || pattern == 'E', append = pattern == 'd' || pattern == 'F';
	int file = open("pattern", O_RDWR | (pattern == 'f' ? 0 : O_CREAT) | (append ? O_APPEND : 0), 0600);
	off_t at = 0;

	check(file >= 0, "pattern");
	if (padded)
		check(ftruncate(file, (off_t)count * (off_t)(size + RECORD + BLOCK)) == 0 && fsync(file) == 0, "hole");
	for (uint32_t i = 0; i < count; i++) {
		size_t len = mail_make(i, size, text) + RECORD;

		memset(text + len - RECORD, 1, RECORD);
		if (pattern == 'F')
			memset(text, 0, len);
		if (padded) {
			memset(text + len, 0, BLOCK);
			len = (len + BLOCK - 1) & ~(size_t)(BLOCK - 1);
		}
		if (append)
			check(write(file, text, len) == (ssize_t)len, "write");
		else
			check(pwrite(file, text, len, at) == (ssize_t)len, "write");
		at += (off_t)len;
		if (pattern != 'F' && (pattern != 'E' || i % 10 == 9))
			check(fdatasync(file) == 0, "fdatasync");
	}
	check(fsync(file) == 0, "fsync");
	close(file);
}

static enum store_growth growth_of(const char *name)
{
	static const char *const names[] = { "auto", "append", "extend", "recycle" };

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum store_growth)i;
	fprintf(stderr, "wear: %s is no way to grow\n", name);
	exit(2);
}

static void print_status(struct store *st)
{
	struct store_status s;

	store_status(st, &s);
	printf("mail-in %llu written %llu syncs %llu checkpoints %llu cleaned %llu messages %llu allocated %llu\n",
		(unsigned long long)s.bytes_in, (unsigned long long)s.bytes_written, (unsigned long long)s.syncs,
		(unsigned long long)s.checkpoints, (unsigned long long)s.segments_cleaned,
		(unsigned long long)s.messages, (unsigned long long)s.allocated);
}

/* Everything may go, the oldest first. */
static void let_go(struct store *st)
{
	struct store_evict_config config = { .on = true, .high = 90, .low = 75, .order_n = STORE_CLASSES };

	for (unsigned i = 0; i < STORE_CLASSES; i++)
		config.order[i] = (uint8_t)i;
	store_evict_configure(st, &config);
}

static void store(unsigned at_once, uint32_t count, size_t size, uint64_t storage, const char *growth)
{
	/* What a server with `memory 4M` has, or about that. */
	struct store_config config = {
		.dir = "store",
		.storage = storage,
		.message_max = 64u << 20,
		.flag_delay_ms = 5000,
		.cache_pages = 128,
		.log_buffer = 128u << 10,
		.upload_bytes = 384u << 10,
		.uploads = 12,
		.growth = growth_of(growth),
		.allow_volatile = true,
	};
	struct rolling r = { 0 };

	rolling_open(&r, &config, 1);
	let_go(r.st);
	for (uint32_t i = 0; i < count; i++) {
		rolling_deliver(&r, text, mail_make(i, size, text), 1600000000 + i, 0);
		if ((i + 1) % at_once == 0) {
			(void)rolling_turn(&r);
			for (unsigned turns = 0; turns < 1000 && rolling_turn(&r); turns++)
				;
		}
	}
	for (unsigned turns = 0; turns < 1000 && rolling_turn(&r); turns++)
		;
	print_status(r.st);
	store_close(r.st);
}

int main(int argc, char **argv)
{
	size_t size = argc > 4 ? strtoul(argv[4], NULL, 10) : 8192;
	uint64_t storage = (argc > 5 ? strtoull(argv[5], NULL, 10) : 32) << 20;
	uint32_t count;
	char pattern;

	if (argc < 4 || size > 1 << 20) {
		fprintf(stderr, "usage: wear DIR d|F|f|h|E|P|s|S COUNT [SIZE] [STORAGE_MIB] [GROWTH]\n");
		return 2;
	}
	check(chdir(argv[1]) == 0, argv[1]);
	pattern = argv[2][0];
	count = (uint32_t)strtoul(argv[3], NULL, 10);
	if (strchr("PsS", pattern))
		store(pattern == 's' ? 1 : 10, count, size, storage, argc > 6 ? argv[6] : "auto");
	else
		raw(pattern, count, size);
	return 0;
}
