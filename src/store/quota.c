/* What each user may keep: a row a user whose limits were set by an admin, else
 * what the configuration says. */
#include "store/store_int.h"

#include "base/le.h"

/* ---- asking ---- */

void store_quota(struct store *st, uint32_t owner, struct store_quota *quota)
{
	uint8_t row[QUOTA_BYTES];

	if (tree_get(&st->tree, tree_key(TREE_QUOTA, 0, owner), row, sizeof row) == QUOTA_BYTES)
		*quota = (struct store_quota){ le64(row), le64(row + 8) };
	else
		*quota = (struct store_quota){ st->config.owner_quota ? st->config.owner_quota : STORE_NO_QUOTA,
			STORE_NO_QUOTA };
}

uint64_t quota_bytes(struct store *st, uint32_t owner)
{
	struct store_quota quota;

	store_quota(st, owner, &quota);
	return quota.bytes;
}

uint64_t store_free(struct store *st)
{
	uint64_t capacity = space_capacity(st);

	return capacity > st->super.live ? capacity - st->super.live : 0;
}

/* ---- setting ---- */

int store_set_quota(struct store *st, uint32_t owner, const struct store_quota *quota, store_ticket *ticket)
{
	uint8_t *body;

	*ticket = 0;
	if (st->read_only)
		return E_READONLY;
	if (st->names_staged)
		return (void)log_wait(st), E_AGAIN;
	body = log_body(st, NAMES_QUOTA_BYTES);
	if (!body)
		return E_AGAIN;
	names_quota(body, owner, quota);
	(void)log_add(st, RECORD_NAMES, NAMES_QUOTA_BYTES);
	st->names_staged = true;
	*ticket = log_wait(st);
	return OK;
}

int quota_apply(struct store *st, uint32_t owner, const struct store_quota *quota)
{
	uint8_t row[QUOTA_BYTES];

	put_le64(row, quota->bytes);
	put_le64(row + 8, quota->messages);
	return tree_put(&st->tree, tree_key(TREE_QUOTA, 0, owner), row, sizeof row);
}

int quota_forget(struct store *st, uint32_t owner)
{
	int err = tree_delete(&st->tree, tree_key(TREE_QUOTA, 0, owner), 0);

	return err == E_NOENT ? OK : err;
}
