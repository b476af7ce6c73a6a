/* Whether mail may come in: by the store's capacity, by its index, by its owner's
 * limits; and what must go for it (evict.h) or be cleaned. */
#include "store/store_int.h"

/* What is staged for a user and not counted as his yet. */
static void add_staged(const struct store *st, uint32_t owner, uint64_t *bytes, uint64_t *messages)
{
	for (uint32_t i = 0; i < st->n_heads; i++) {
		if (st->heads[i].owner != owner)
			continue;
		*bytes += st->heads[i].bytes;
		*messages += st->heads[i].messages;
	}
	for (unsigned i = 0; i < COPIES; i++) {
		if (!st->copies[i].mailbox || st->copies[i].owner != owner)
			continue;
		*bytes += st->copies[i].bytes;
		*messages += st->copies[i].messages;
	}
}

/* Bytes of mail that go at least when the index is full: pages are not bytes. */
#define INDEX_LEAST 16384

enum room { ROOM_JUDGE, ROOM_MAKE, ROOM_SPARE };

/* Of `all` what mail may take that nothing goes for. */
static uint64_t spare_of(const struct store *st, uint64_t all)
{
	return st->evict.configured && st->evict.config.on ? all / 100 * st->evict.config.high : all;
}

static int owner_room(struct store *st, uint32_t owner, uint64_t size, size_t n, enum room room)
{
	uint64_t quota, used, messages, low;
	struct store_quota limits;

	if (owner == 0)
		return OK;
	store_quota(st, owner, &limits);
	quota = limits.bytes;
	if (quota == STORE_NO_QUOTA && limits.messages == STORE_NO_QUOTA)
		return OK;
	store_owner_usage(st, owner, &used, &messages);
	add_staged(st, owner, &used, &messages);
	if (messages > limits.messages || n > limits.messages - messages)
		return E_FULL;
	if (quota == STORE_NO_QUOTA)
		return OK;
	if (room == ROOM_SPARE)
		return used + size > spare_of(st, quota) ? E_FULL : OK;
	if (size > quota)
		return E_FULL;
	low = quota / 100 * st->evict.config.low;
	if (used + size > quota)
		return evict_request(st, owner, owner, used + size - quota, used + size - low, room == ROOM_MAKE);
	/* Beyond the high mark room is made ahead. */
	if (room == ROOM_MAKE && used + size > spare_of(st, quota) && used > low)
		(void)evict_request(st, owner, owner, 1, used - low, true);
	return OK;
}

/* Pages of the tree: those that only a backup holds are given up when they are in
 * the way. */
static uint32_t slots_of_tree(const struct store *st)
{
	const struct slots *s = &st->tree.slots;

	return s->used - s->n_freed - s->n_freed_before - st->tree.hold.count;
}

/* Beside the pages that there are, the index must be able to take the copies
 * that changing them makes, and what is staged and not in it yet. */
#define LOG_STAGED_SLOTS 16

static bool index_has_room(const struct store *st)
{
	const struct slots *s = &st->tree.slots;
	uint32_t pages = slots_of_tree(st), staged = st->log.used / 1024 + LOG_STAGED_SLOTS;

	return (uint64_t)pages + checkpoint_slots(st) + staged < s->limit;
}

uint64_t room_index_excess(const struct store *st, uint32_t part)
{
	const struct slots *s = &st->tree.slots;
	uint32_t pages = slots_of_tree(st), kept = checkpoint_slots(st) + 64;
	uint64_t mark = s->limit > kept ? (uint64_t)(s->limit - kept) * part / 100 : 0;

	return pages > mark ? st->super.live / pages * (pages - mark) + 1 : 0;
}

bool room_for_mail(const struct store *st)
{
	return !st->disk_full;
}

static uint64_t record_bytes(uint64_t size)
{
	return space_blocks(RECORD_HEADER + 512 + frames_size(size));
}

static int judge(struct store *st, uint32_t owner, uint64_t size, size_t n, enum room room)
{
	uint64_t record = record_bytes(size), capacity = space_capacity(st);
	uint64_t live = st->super.live + st->staged_live + record;
	uint64_t low = capacity / 100 * st->evict.config.low;
	int err = OK;

	if (size > st->config.message_max)
		return E_TOOBIG;
	if (st->read_only)
		return E_READONLY;
	if (!room_for_mail(st) || record > capacity)
		return E_FULL;
	if (room == ROOM_SPARE && (live > spare_of(st, capacity) || !index_has_room(st)))
		return E_FULL;
	if (live > capacity)
		err = evict_request(st, 0, owner, live - capacity, live - low, room == ROOM_MAKE);
	else if (!index_has_room(st))
		err = evict_request(st, 0, owner, INDEX_LEAST, room_index_excess(st, st->evict.config.low),
			room == ROOM_MAKE);
	return err == OK ? owner_room(st, owner, n * size, n, room) : err;
}

int store_room(struct store *st, uint32_t owner, uint64_t size)
{
	return judge(st, owner, size, 1, ROOM_JUDGE);
}

int store_room_in(struct store *st, uint32_t owner, uint64_t size, size_t n)
{
	return judge(st, owner, size, n, ROOM_JUDGE);
}

int store_room_spare(struct store *st, uint32_t owner, uint64_t size)
{
	return judge(st, owner, size, 1, ROOM_SPARE);
}

unsigned store_used_part(struct store *st, uint32_t owner)
{
	uint64_t quota = quota_bytes(st, owner), used, messages, part = st->super.live / (space_capacity(st) / 100 + 1);

	store_owner_usage(st, owner, &used, &messages);
	if (quota != STORE_NO_QUOTA && used / (quota / 100 + 1) > part)
		part = used / (quota / 100 + 1);
	return part > 100 ? 100 : (unsigned)part;
}

/* Rows of one message in the index, and what splitting pages leaves empty. */
#define INDEX_MESSAGE 320
/* Its envelope and its parts, in most mail. */
#define SUMMARY_USUAL 512
/* Blocks of them that a commit of a stream of mail takes, at least. */
#define COMMIT_BLOCKS 12

/* The pages that the tree may have when index_has_room says no for the first time. */
static uint32_t index_pages_most(const struct store *st)
{
	const struct slots *s = &st->tree.slots;
	uint32_t kept = checkpoint_slots(st) + LOG_STAGED_SLOTS, pages = slots_of_tree(st);

	/* What checkpoints keep grows with the pages, up to a limit. */
	return s->limit > kept + pages ? pages + (s->limit - kept - pages) / (pages < 4 * STORE_UIDS ? 2 : 1) : pages;
}

void store_spare(struct store *st, uint32_t owner, struct store_spare *spare)
{
	uint64_t all = spare_of(st, space_capacity(st)), used, messages;
	struct store_quota quota;

	store_quota(st, owner, &quota);
	store_owner_usage(st, owner, &used, &messages);
	*spare = (struct store_spare){
		.bytes = all > st->super.live ? all - st->super.live : 0,
		.quota = quota.bytes,
		.messages = (uint64_t)(index_pages_most(st) - slots_of_tree(st)) * PAGE_SIZE / INDEX_MESSAGE,
		.in_log = upload_most_in_log(st),
	};
	if (quota.bytes != STORE_NO_QUOTA) {
		spare->quota = spare_of(st, quota.bytes);
		spare->quota -= used < spare->quota ? used : spare->quota;
	}
	if (quota.messages != STORE_NO_QUOTA) {
		uint64_t left = quota.messages > messages ? quota.messages - messages : 0;

		spare->messages = left < spare->messages ? left : spare->messages;
	}
}

uint64_t store_cost(const struct store_spare *spare, uint64_t size)
{
	uint64_t record = RECORD_HEADER + SUMMARY_USUAL;

	if (frames_size(size) > spare->in_log)
		return space_blocks(record) + space_of_blob(size);
	record = record_align(record + frames_size(size));
	return record +
		(space_blocks(record) - record) / (1 + COMMIT_BLOCKS / (space_blocks(record) / RECORD_BLOCK + 1));
}

int room_make(struct store *st, uint32_t owner, uint64_t size)
{
	return judge(st, owner, size, 1, ROOM_MAKE);
}

int room_for_entries(struct store *st, uint32_t owner, uint64_t size, size_t n)
{
	if (!room_for_mail(st) || !index_has_room(st))
		return E_FULL;
	return owner_room(st, owner, size, n, ROOM_MAKE);
}

/* What is not free may become it: first by cleaning, then by mail that goes. */
int room_for_frames(struct store *st, uint32_t owner, uint64_t size, uint64_t bytes, bool evict)
{
	int err = evict ? room_make(st, owner, size) : OK;

	if (err != OK || space_has(st, bytes, false))
		return err;
	st->clean_wanted = true;
	if (!clean_is_hopeless(st))
		return E_AGAIN;
	return evict ? evict_request(st, 0, owner, bytes, bytes, true) : E_FULL;
}

int room_for_record(struct store *st, uint64_t bytes)
{
	struct log *log = &st->log;

	/* What is staged in front of it goes into the segment first. A segment that
	 * grew out of the reserve is not for mail, though there may be room in it. */
	if (log->file >= 0 && (uint64_t)log->end + log->used + RECORD_BLOCK + bytes <= st->super.segment_size &&
		space_has(st, st->extend ? 0 : bytes + log->used + RECORD_BLOCK, false))
		return OK;
	if (space_has(st, st->super.segment_size, false))
		return OK;
	st->clean_wanted = true;
	return clean_is_hopeless(st) ? E_FULL : E_AGAIN;
}
