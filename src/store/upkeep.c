/* What the store does in its own time, a slice a turn: checkpoints, giving free
 * segments back, cleaning, removing the messages of deleted mailboxes, taking
 * aborted copies back, keeping the reserve. */
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"
#include "base/log.h"

/* A checkpoint is due at the latest after this much of the storage was logged:
 * it bounds what a mount has to read. */
#define CHECKPOINT_LOG_PART 8
/* And after this time, so that box time is not lost by a cut: seconds. */
#define CHECKPOINT_SECONDS 3600
/* ---- deleted mailboxes ---- */

static int reap_slice(struct store *st)
{
	struct key k;
	uint8_t bytes[ENTRY_BYTES];
	uint32_t uids[STORE_UIDS], id;
	size_t count = 0, len;
	uint8_t *body;
	int n = tree_seek(&st->tree, tree_key(TREE_DOOMED, 0, 0), &k, bytes, 0);

	if (n == E_NOENT || n == E_LIMIT || (n >= 0 && k.hi != tree_key(TREE_DOOMED, 0, 0).hi))
		return OK;
	if (n < 0)
		return n;
	if (!log_wait_idle(st))
		return E_AGAIN;
	id = (uint32_t)k.lo;
	k = tree_key(TREE_ENTRY, id, 0);
	while (count < STORE_UIDS && (n = tree_seek(&st->tree, k, &k, bytes, sizeof bytes)) >= 0 &&
		k.hi == tree_key(TREE_ENTRY, id, 0).hi) {
		if (k.lo > UINT32_MAX)
			return E_DAMAGED;
		uids[count++] = (uint32_t)k.lo;
		k.lo++;
	}
	body = log_body(st, 8 + 8 * STORE_UIDS);
	if (!body)
		return E_AGAIN;
	if (count) {
		len = ranges_put(body + 8, uids, count);
		put_le32(body, id);
		put_le32(body + 4, (uint32_t)len);
		(void)log_add(st, RECORD_EXPUNGE, 8 + 8 * len);
	} else {
		len = names_drop(body, id);
		(void)log_add(st, RECORD_NAMES, len);
		st->names_staged = true;
	}
	(void)log_wait(st);
	return E_AGAIN;
}

/* ---- all of it ---- */

static bool checkpoint_is_due(const struct store *st)
{
	return st->checkpoint_due || st->backup.state == BACKUP_WANTED || !checkpoint_can_wait(st) ||
		st->checkpoint_log > st->config.storage / CHECKPOINT_LOG_PART ||
		store_box_time(st) - st->super.box_time >= CHECKPOINT_SECONDS;
}

int store_maintain(struct store *st)
{
	bool evict, back;
	int err;

	if (st->read_only || st->log.syncing)
		return OK;
	err = change_unstage(st);
	/* In turns with the rest: cleaning for the room that the evicted leave must
	 * not wait until all are gone. By threes, since under load every second slice
	 * is one at the end of a commit, where alone some work can be done. */
	st->evict.turn = (uint8_t)((st->evict.turn + 1) % 3);
	evict = st->evict.turn == 0;
	back = st->evict.turn == 1;
	if (err == OK && evict)
		err = evict_slice(st);
	if (err == OK && checkpoint_is_due(st)) {
		err = checkpoint_slice(st);
		if (err == OK) {
			st->sweep_due = true;
			backup_take(st);
		}
	}
	/* What a backup held may be much: room that somebody waits for comes in between. */
	if (err == OK && back)
		err = backup_slice(st);
	if (err == OK)
		err = clean_slice(st);
	if (err == OK)
		err = reap_slice(st);
	if (err == OK && !evict)
		err = evict_slice(st);
	if (err == OK && !back)
		err = backup_slice(st);
	if (err == OK && !st->reserve_there && !clean_space_is_low(st))
		err = reserve_make(st);
	space_charge_index(st);
	if (err != OK && err != E_AGAIN && err != E_NOSPC) {
		store_fail(st, "upkeep", err);
		return OK;
	}
	return err == E_AGAIN ? E_AGAIN : OK;
}

uint64_t store_deadline_us(const struct store *st)
{
	const struct log *log = &st->log;
	uint64_t at = port_now_us() + (uint64_t)CHECKPOINT_SECONDS * 1000000;

	/* What waits there waits for ever. */
	if (st->read_only)
		return at;
	if (log->lazy_since_us)
		at = log->lazy_since_us + (uint64_t)st->config.flag_delay_ms * 1000;
	if (st->evict.config.rules_n && st->evict.expire_at_us < at)
		at = st->evict.expire_at_us;
	return at;
}
