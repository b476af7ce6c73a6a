/* Staging changes of messages: flags, expunge, move, copy. Each builds one
 * record; what it means is in apply.c. */
#include "store/store_int.h"

#include <assert.h>
#include <string.h>

#include "base/le.h"

/* ---- who has staged changes ---- */

struct head *change_head(struct store *st, uint32_t mailbox)
{
	for (uint32_t i = 0; i < st->n_heads; i++)
		if (st->heads[i].mailbox == mailbox)
			return &st->heads[i];
	return NULL;
}

static struct open_copy *find_copy(struct store *st, uint32_t mailbox)
{
	for (unsigned i = 0; i < COPIES; i++)
		if (st->copies[i].mailbox == mailbox)
			return &st->copies[i];
	return NULL;
}

static int take_head(struct store *st, const struct mailbox *m, struct head **head)
{
	*head = change_head(st, m->id);
	if (*head)
		return OK;
	if (st->n_heads == HEADS) {
		st->log.wanted = true;
		return E_AGAIN;
	}
	*head = &st->heads[st->n_heads++];
	**head = (struct head){ .mailbox = m->id,
		.owner = m->owner,
		.uidnext = m->staged_end ? m->staged_end : m->uidnext };
	return OK;
}

/* Heads that were looked at and not used: no later commit would clear them when
 * nothing was staged. */
static void drop_idle_heads(struct store *st)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < st->n_heads; i++)
		if (st->heads[i].staged)
			st->heads[n++] = st->heads[i];
	st->n_heads = n;
}

int change_begin(struct store *st, uint32_t mailbox, struct mailbox *m, struct head **head)
{
	drop_idle_heads(st);
	return change_also(st, mailbox, m, head);
}

int change_also(struct store *st, uint32_t mailbox, struct mailbox *m, struct head **head)
{
	int err;

	if (st->read_only)
		return E_READONLY;
	if (st->log.syncing)
		return E_AGAIN;
	err = mailbox_load(st, mailbox, m);
	if (err != OK)
		return err;
	if (m->doomed)
		return E_NOENT;
	if (find_copy(st, mailbox))
		return E_AGAIN;
	return take_head(st, m, head);
}

int change_uids_left(uint32_t uidnext, size_t n)
{
	return n <= UINT32_MAX - uidnext ? OK : E_LIMIT;
}

/* Ascending UIDs as ranges (first, last) at p: their number. */
size_t ranges_put(uint8_t *p, const uint32_t *uids, size_t n)
{
	size_t ranges = 0;

	for (size_t i = 0; i < n; i++) {
		if (ranges && le32(p + 8 * ranges - 4) + 1 == uids[i]) {
			put_le32(p + 8 * ranges - 4, uids[i]);
			continue;
		}
		put_le32(p + 8 * ranges, uids[i]);
		put_le32(p + 8 * ranges + 4, uids[i]);
		ranges++;
	}
	return ranges;
}

/* ---- flags ---- */

static bool would_change(const struct store_entry *e, const struct store_flag_change *c)
{
	switch (c->op) {
	case STORE_FLAGS_SET:
		return e->flags != c->flags || e->keywords != c->keywords;
	case STORE_FLAGS_ADD:
		return (c->flags & ~e->flags) || (c->keywords & ~e->keywords);
	default:
		return (c->flags & e->flags) || (c->keywords & e->keywords);
	}
}

int store_flags(struct store *st, uint32_t mailbox, const uint32_t *uids, size_t n,
	const struct store_flag_change *change, uint64_t *modseq, store_ticket *ticket)
{
	uint32_t changing[STORE_UIDS];
	struct mailbox m;
	struct head *head;
	size_t count = 0, ranges;
	uint8_t *body;
	int err = change_begin(st, mailbox, &m, &head);

	assert(n <= STORE_UIDS);
	*modseq = 0;
	*ticket = 0;
	if (err != OK)
		return err;
	if (change->conditional && head->staged)
		return (void)log_wait(st), E_AGAIN;
	for (size_t i = 0; i < n; i++) {
		struct store_entry e;

		err = entry_load(st, mailbox, uids[i], &e);
		if (err == E_NOENT || uids[i] >= m.uidnext)
			continue;
		if (err != OK)
			return err;
		/* With something staged before it, what it finds later is not known. */
		if (head->staged || would_change(&e, change))
			changing[count++] = uids[i];
	}
	if (count == 0)
		return OK;
	body = log_body(st, 16 + 8 * count);
	if (!body)
		return E_AGAIN;
	ranges = ranges_put(body + 16, changing, count);
	put_le32(body, mailbox);
	body[4] = (uint8_t)change->op;
	body[5] = change->flags;
	put_le16(body + 6, (uint16_t)ranges);
	put_le64(body + 8, change->keywords);
	*modseq = log_add(st, RECORD_FLAGS, 16 + 8 * ranges);
	head->staged = true;
	*ticket = change->lazy ? log_lazy(st) : log_wait(st);
	if (*ticket == 0)
		head->staged = false;
	return OK;
}

int store_recent_take(struct store *st, uint32_t mailbox, uint32_t *first)
{
	struct mailbox m;
	struct head *head;
	uint8_t *body;
	int err = change_begin(st, mailbox, &m, &head);

	if (err != OK)
		return err;
	*first = m.recent;
	if (m.recent >= m.uidnext)
		return OK;
	if (!log_at_once(st))
		return (void)log_wait(st), E_AGAIN;
	body = log_body(st, NAMES_RECENT_BYTES);
	if (!body)
		return E_AGAIN;
	names_recent(body, mailbox, m.uidnext);
	(void)log_add(st, RECORD_NAMES, NAMES_RECENT_BYTES);
	return log_apply_now(st);
}

/* ---- expunge ---- */

int store_expunge(struct store *st, uint32_t mailbox, const uint32_t *uids, size_t n, uint64_t *modseq,
	store_ticket *ticket)
{
	struct mailbox m;
	struct head *head;
	uint8_t *body;
	size_t ranges;
	int err = change_begin(st, mailbox, &m, &head);

	assert(n <= STORE_UIDS);
	*modseq = 0;
	*ticket = 0;
	if (err != OK || n == 0)
		return err;
	body = log_body(st, 8 + 8 * n);
	if (!body)
		return E_AGAIN;
	ranges = ranges_put(body + 8, uids, n);
	put_le32(body, mailbox);
	put_le32(body + 4, (uint32_t)ranges);
	*modseq = log_add(st, RECORD_EXPUNGE, 8 + 8 * ranges);
	for (size_t i = 0; STORE_PLANT(PLANT_EARLY_RELEASE) && i < n; i++) {
		struct store_entry e;

		if (entry_load(st, mailbox, uids[i], &e) == OK)
			(void)object_release(st, e.object, mailbox, uids[i], *modseq);
	}
	head->staged = true;
	*ticket = log_wait(st);
	return OK;
}

/* ---- keywords from one mailbox to another ---- */

/* Fills map[64] for the bits that are set in `used`, naming them in the target
 * where they are new; 0xFF where there is no room. */
static int map_bits(struct store *st, uint32_t from, uint32_t to, uint64_t used, uint8_t map[LIMIT_KEYWORDS])
{
	memset(map, 0xFF, LIMIT_KEYWORDS);
	for (unsigned bit = 0; used; bit++, used >>= 1) {
		char name[LIMIT_KEYWORD_NAME];
		unsigned there;
		int len, err;

		if (!(used & 1))
			continue;
		len = store_keyword_name(st, from, bit, name);
		if (len == E_NOENT)
			continue;
		if (len < 0)
			return len;
		err = store_keyword(st, to, bytes_make(name, (size_t)len), true, &there);
		if (err == E_LIMIT)
			continue;
		if (err != OK)
			return err;
		map[bit] = (uint8_t)there;
	}
	return OK;
}

/* ---- move ---- */

/* Drops UIDs that are gone from the list; ORs their keywords. */
static int keep_present(struct store *st, const struct mailbox *m, const uint32_t *uids, size_t n, uint32_t *present,
	size_t *count, uint64_t *keywords, uint64_t *size)
{
	*count = 0;
	*keywords = *size = 0;
	for (size_t i = 0; i < n; i++) {
		struct store_entry e;
		int err = uids[i] < m->uidnext ? entry_load(st, m->id, uids[i], &e) : E_NOENT;

		if (err == E_NOENT)
			continue;
		if (err != OK)
			return err;
		present[(*count)++] = uids[i];
		*keywords |= e.keywords;
		*size += e.size;
	}
	return OK;
}

int store_move(struct store *st, uint32_t mailbox, uint32_t target, const uint32_t *uids, size_t n, uint32_t *first,
	store_ticket *ticket)
{
	uint32_t present[STORE_UIDS];
	uint8_t map[LIMIT_KEYWORDS];
	struct mailbox m, t;
	struct head *head, *target_head;
	uint64_t keywords, size;
	size_t count, mapped, ranges;
	uint8_t *body;
	int err = change_begin(st, mailbox, &m, &head);

	assert(n <= STORE_UIDS);
	*ticket = 0;
	*first = 0;
	if (err == OK)
		err = change_also(st, target, &t, &target_head);
	if (err != OK)
		return err;
	if (head->staged)
		return (void)log_wait(st), E_AGAIN;
	err = keep_present(st, &m, uids, n, present, &count, &keywords, &size);
	if (err != OK || count == 0)
		return err;
	err = change_uids_left(target_head->uidnext, count);
	if (err == OK && m.owner != t.owner)
		err = room_for_entries(st, t.owner, size, count);
	if (err == OK)
		err = map_bits(st, mailbox, target, keywords, map);
	if (err != OK)
		return err;
	mapped = keywords ? LIMIT_KEYWORDS : 0;
	body = log_body(st, 16 + mapped + 8 * count);
	if (!body)
		return E_AGAIN;
	ranges = ranges_put(body + 16 + mapped, present, count);
	*first = target_head->uidnext;
	put_le32(body, mailbox);
	put_le32(body + 4, target);
	put_le32(body + 8, *first);
	put_le16(body + 12, (uint16_t)ranges);
	body[14] = mapped != 0;
	body[15] = 0;
	if (mapped)
		memcpy(body + 16, map, LIMIT_KEYWORDS);
	(void)log_add(st, RECORD_MOVE, 16 + mapped + 8 * ranges);
	target_head->uidnext += (uint32_t)count;
	if (m.owner != t.owner) {
		target_head->bytes += size;
		target_head->messages += (uint32_t)count;
	}
	head->staged = target_head->staged = true;
	*ticket = log_wait(st);
	return OK;
}

/* ---- copy ---- */

int store_copy_begin(struct store *st, uint32_t target, struct store_copy *copy)
{
	struct mailbox m;
	struct head *head;
	struct open_copy *open;
	int err = change_begin(st, target, &m, &head);

	if (err != OK)
		return err;
	open = find_copy(st, 0);
	/* What is staged for the target goes first, so that its UIDs are settled. */
	if (!open || head->staged || m.staged_end)
		return (void)log_wait(st), E_AGAIN;
	*open = (struct open_copy){ .mailbox = target, .owner = m.owner };
	*copy = (struct store_copy){ .target = target, .first = m.uidnext, .open = true };
	return OK;
}

static int build_copies(struct store *st, const struct mailbox *m, const uint32_t *uids, size_t n, uint8_t *body,
	const uint8_t *map)
{
	for (size_t i = 0; i < n; i++) {
		struct store_entry e;
		uint64_t keywords = 0;
		int err = entry_load(st, m->id, uids[i], &e);

		if (err != OK)
			return err;
		for (unsigned bit = 0; bit < LIMIT_KEYWORDS; bit++)
			if (((e.keywords >> bit) & 1) && map[bit] < LIMIT_KEYWORDS)
				keywords |= (uint64_t)1 << map[bit];
		e.keywords = keywords;
		entry_put(body + 16 + i * ENTRY_BYTES, &e);
	}
	return OK;
}

int store_copy_add(struct store *st, struct store_copy *copy, uint32_t mailbox, const uint32_t *uids, size_t n,
	size_t *added, store_ticket *ticket)
{
	uint32_t present[STORE_UIDS];
	uint8_t map[LIMIT_KEYWORDS];
	struct mailbox m, t;
	struct head *head;
	uint64_t keywords, size;
	struct open_copy *open;
	uint8_t *body;
	int err = st->read_only ? E_READONLY : mailbox_load(st, mailbox, &m);

	assert(n <= STORE_UIDS && copy->open);
	*added = 0;
	*ticket = 0;
	if (err == OK)
		err = mailbox_load(st, copy->target, &t);
	if (err != OK)
		return err;
	if (t.doomed)
		return E_NOENT;
	head = change_head(st, mailbox);
	if (head && head->staged && mailbox != copy->target)
		return (void)log_wait(st), E_AGAIN;
	err = keep_present(st, &m, uids, n, present, added, &keywords, &size);
	if (err == OK)
		err = change_uids_left(copy->first + copy->count, *added);
	if (err == OK && *added)
		err = room_for_entries(st, t.owner, size, *added);
	if (err == OK && *added)
		err = map_bits(st, mailbox, copy->target, keywords, map);
	if (err != OK || *added == 0)
		return err;
	body = log_body(st, 16 + *added * ENTRY_BYTES);
	if (!body)
		return E_AGAIN;
	err = build_copies(st, &m, present, *added, body, map);
	if (err != OK)
		return err;
	put_le32(body, copy->target);
	put_le16(body + 4, (uint16_t)*added);
	put_le16(body + 6, 0);
	put_le32(body + 8, copy->first + copy->count);
	put_le32(body + 12, 0);
	(void)log_add(st, RECORD_COPY, 16 + *added * ENTRY_BYTES);
	find_copy(st, copy->target)->source = mailbox;
	copy->count += (uint32_t)*added;
	open = find_copy(st, copy->target);
	if (open) {
		open->bytes += size;
		open->messages += (uint32_t)*added;
	}
	*ticket = st->log.staged;
	return OK;
}

/* What comes after it in this turn gets UIDs behind the copied ones. */
static int publish_head(struct store *st, const struct store_copy *copy)
{
	struct mailbox m;
	struct head *head;
	int err = mailbox_load(st, copy->target, &m);

	if (err == OK && m.doomed)
		err = E_NOENT;
	drop_idle_heads(st);
	if (err == OK)
		err = take_head(st, &m, &head);
	if (err != OK)
		return err;
	head->uidnext = copy->first + copy->count;
	head->staged = true;
	return OK;
}

int store_copy_publish(struct store *st, struct store_copy *copy, store_ticket *ticket)
{
	struct open_copy *open = find_copy(st, copy->target);

	*ticket = 0;
	if (st->read_only)
		return E_READONLY;
	if (copy->count) {
		uint8_t *body = log_body(st, 8);
		int err = body ? publish_head(st, copy) : E_AGAIN;

		if (err != OK)
			return err;
		put_le32(body, copy->target);
		put_le32(body + 4, copy->first + copy->count);
		(void)log_add(st, RECORD_PUBLISH, 8);
		*ticket = log_wait(st);
	}
	if (open)
		open->mailbox = 0;
	copy->open = false;
	return OK;
}

void store_copy_abort(struct store *st, struct store_copy *copy)
{
	struct open_copy *open = find_copy(st, copy->target);

	if (copy->open && open) {
		if (copy->count)
			open->aborting = true; /* upkeep takes it back in slices */
		else
			open->mailbox = 0;
	}
	copy->open = false;
}

int change_unstage(struct store *st)
{
	struct open_copy *open = NULL;
	struct mailbox m;
	uint32_t down_to;
	uint8_t *body;
	int err;

	for (unsigned i = 0; i < COPIES && !open; i++)
		if (st->copies[i].mailbox && st->copies[i].aborting)
			open = &st->copies[i];
	if (!open)
		return OK;
	if (!log_wait_idle(st))
		return E_AGAIN;
	err = mailbox_load(st, open->mailbox, &m);
	if (err == E_NOENT || (err == OK && m.staged_end == 0)) {
		open->mailbox = 0;
		return OK;
	}
	if (err != OK)
		return err;
	down_to = m.staged_end > m.uidnext + STORE_UIDS ? m.staged_end - STORE_UIDS : m.uidnext;
	body = log_body(st, 8);
	if (!body)
		return E_AGAIN;
	put_le32(body, m.id);
	put_le32(body + 4, down_to);
	(void)log_add(st, RECORD_UNSTAGE, 8);
	(void)log_wait(st);
	return E_AGAIN;
}
