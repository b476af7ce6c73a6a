/* Finding the cut: passes over all entries, in slices and in constant memory. The
 * first adds up each class; each of those after it divides the range of arrival
 * numbers in which the cut must lie, until one number is left. What comes in or
 * changes meanwhile is left alone: the passes see one and the same set. A user
 * who has more that may go than lies above his share gets a cut of his own
 * first, found by the same passes over his mail alone. */
#include "store/store_int.h"

#include <string.h>

#include "base/le.h"
#include "base/siphash.h"

/* Entries of one message that are looked at for whether all of them may go;
 * a message shown more often stays. */
#define SHARED_MOST 64
/* Rows of users that are read for the shares: beyond it there are none. */
#define OWNERS_MOST 1024

/* ---- walking ---- */

void evict_walk_skip(struct evict_walk *walk)
{
	walk->inside = false;
}

static int next_mailbox(struct store *st, struct evict_walk *walk)
{
	struct key k = tree_key(TREE_MAILBOX, 0, (uint64_t)walk->mailbox + 1), found;
	uint8_t bytes[MAILBOX_BYTES];
	struct mailbox m;
	int n, err;

	for (unsigned i = 0; i < LIMIT_SLICE_ENTRIES; i++) {
		n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes);
		if (n == E_NOENT || n == E_LIMIT || (n >= 0 && found.hi != k.hi))
			return E_NOENT;
		if (n < 0)
			return n;
		if (!mailbox_get(bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &m))
			return E_DAMAGED;
		walk->mailbox = m.id;
		if (!m.doomed && m.tally.messages && (walk->owner == 0 || walk->owner == m.owner)) {
			err = evict_kind_of(st, &m, &walk->kind);
			store_cursor_init(&walk->cursor, m.id, 0);
			walk->inside = err == OK;
			return err;
		}
		k.lo = found.lo + 1;
	}
	return E_AGAIN;
}

int evict_walk_next(struct store *st, struct evict_walk *walk, struct store_entry *e)
{
	for (;;) {
		int err = walk->inside ? store_cursor_next(st, &walk->cursor, e) : next_mailbox(st, walk);

		if (err == OK && walk->cursor.uid) {
			/* A copy may have begun since the walk came into the mailbox. */
			walk->kind.busy = evict_mailbox_busy(st, walk->mailbox);
			return OK;
		}
		if (walk->inside && err == E_NOENT)
			walk->inside = false;
		else if (err != OK)
			return err;
	}
}

/* ---- shares ---- */

/* A user's share is an equal part of what the low mark leaves for all, in bytes of
 * mail as users have them: what the log needs around it is spread over all. Only
 * those above it lose mail for the store's sake, and the one whose mail comes in. */
static int find_owners(struct store *st, struct evict_plan *plan)
{
	struct key k = tree_key(TREE_OWNER, 0, 0), found;
	uint64_t low = space_capacity(st) / 100 * st->evict.config.low, share = 0, users = 0, all = 0, used;
	uint8_t row[OWNER_BYTES];

	plan->n_owners = 0;
	plan->fair = plan->partial = false;
	for (int pass = 0; pass < 2; pass++) {
		k.lo = 0;
		while (tree_seek(&st->tree, k, &found, row, sizeof row) == OWNER_BYTES && found.hi == k.hi) {
			k.lo = found.lo + 1;
			used = le64(row);
			all += pass == 0 ? used : 0;
			if (pass == 0 && used && ++users > OWNERS_MOST)
				return OK;
			if (pass == 0 || used <= share)
				continue;
			if (plan->n_owners == EVICT_OWNERS) {
				unsigned least = 0;

				plan->partial = true;
				for (unsigned i = 1; i < EVICT_OWNERS; i++)
					if (plan->owners[i].excess < plan->owners[least].excess)
						least = i;
				if (plan->owners[least].excess < used - share)
					plan->owners[least] = (struct evict_owner){ .id = (uint32_t)found.lo,
						.excess = used - share };
				continue;
			}
			plan->owners[plan->n_owners++] =
				(struct evict_owner){ .id = (uint32_t)found.lo, .excess = used - share };
		}
		if (users < 2)
			return OK;
		share = low / 1000 * (all * 1000 / (st->super.live + 1)) / users;
	}
	plan->fair = true;
	return OK;
}

static unsigned find_owner(const struct evict_plan *plan, uint32_t owner)
{
	unsigned i = 0;

	while (i < plan->n_owners && plan->owners[i].id != owner)
		i++;
	return i;
}

static bool above_share(const struct evict_plan *plan, uint32_t owner)
{
	return !plan->fair || owner == plan->requester || find_owner(plan, owner) < plan->n_owners;
}

/* Whether a place lies before the cut that keeps this user his share. */
static bool before_cap(const struct evict_plan *plan, uint32_t owner, unsigned rank, uint64_t arrival)
{
	unsigned i = find_owner(plan, owner);
	const struct evict_owner *o = &plan->owners[i];

	if (i == plan->n_owners || !o->capped)
		return true;
	return rank < o->rank || (rank == o->rank && arrival < o->before);
}

/* ---- places ---- */

static enum store_kept judge(struct store *st, const struct evict_plan *plan, const struct evict_kind *kind,
	const struct store_entry *e, unsigned *rank)
{
	enum store_kept kept = evict_judge(st, kind, &plan->time, e, rank);

	if (kept == STORE_KEPT_NOT && plan->owner == 0 && !above_share(plan, kind->owner))
		return STORE_KEPT_SHARE;
	/* What came or was changed while the plan was made is not in it. */
	if (kept == STORE_KEPT_NOT && (e->modseq > plan->lsn || e->arrival > plan->lsn))
		return STORE_KEPT_NEW;
	return kept;
}

/* Moves the place on to the last of all entries that show the message; *last is
 * false when that is another one than this. */
static int place_of_all(struct store *st, const struct evict_plan *plan, const struct evict_kind *kind,
	const struct store_entry *e, const struct object *o, enum store_kept *kept, unsigned *rank, uint64_t *arrival,
	bool *last)
{
	uint32_t mailbox = 0, uid = 0;
	unsigned n = 0;
	int err;

	*last = true;
	while ((err = reference_next(st, e->object, o, &mailbox, &uid)) == OK) {
		struct evict_kind other;
		struct store_entry there;
		struct mailbox m;
		unsigned r = 0;

		if (mailbox == kind->mailbox && uid == e->uid)
			continue;
		err = mailbox_load(st, mailbox, &m);
		if (err == OK)
			err = entry_load(st, mailbox, uid, &there);
		if (err == OK)
			err = evict_kind_of(st, &m, &other);
		if (err != OK && err != E_NOENT)
			return err;
		if (++n > SHARED_MOST || err == E_NOENT || m.doomed || uid >= m.uidnext ||
			judge(st, plan, &other, &there, &r) != STORE_KEPT_NOT) {
			*kept = STORE_KEPT_SHARED;
			return OK;
		}
		if (r > *rank || (r == *rank && there.arrival > *arrival)) {
			*rank = r;
			*arrival = there.arrival;
			*last = false;
		} else if (r == *rank && there.arrival == *arrival &&
			(mailbox > kind->mailbox || (mailbox == kind->mailbox && uid > e->uid))) {
			*last = false;
		}
	}
	return err == E_NOENT ? OK : err;
}

/* Everybody who shows the message keeps his share. */
static int leaves_shares(struct store *st, const struct evict_plan *plan, const struct evict_kind *kind,
	const struct store_entry *e, const struct object *o, unsigned rank, uint64_t arrival, bool *leaves)
{
	uint32_t mailbox = 0, uid = 0;
	int err = OK;

	*leaves = !plan->fair || before_cap(plan, kind->owner, rank, arrival);
	while (plan->fair && *leaves && o->refs > 1 && (err = reference_next(st, e->object, o, &mailbox, &uid)) == OK) {
		struct mailbox m;

		err = mailbox_load(st, mailbox, &m);
		if (err == OK)
			*leaves = before_cap(plan, m.owner, rank, arrival);
		else if (err != E_NOENT)
			return err;
	}
	return err == E_NOENT ? OK : err;
}

int evict_place(struct store *st, const struct evict_plan *plan, const struct evict_kind *kind,
	const struct store_entry *e, enum store_kept *kept, unsigned *rank, uint64_t *arrival, uint64_t *room)
{
	struct object o = { 0 };
	bool last = true, leaves = true;
	int err;

	*room = e->size;
	*arrival = e->arrival;
	*kept = judge(st, plan, kind, e, rank);
	if (*kept != STORE_KEPT_NOT || plan->owner)
		return OK;
	err = object_load(st, e->object, &o);
	if (err == OK && o.refs > 1)
		err = place_of_all(st, plan, kind, e, &o, kept, rank, arrival, &last);
	*room = err == OK && last ? object_live(&o) : 0;
	if ((err == OK || err == E_NOENT) && *kept == STORE_KEPT_NOT)
		err = leaves_shares(st, plan, kind, e, &o, *rank, *arrival, &leaves);
	if (!leaves)
		*kept = STORE_KEPT_SHARE;
	return err == E_NOENT ? OK : err;
}

int evict_goes(struct store *st, const struct evict_plan *plan, const struct evict_kind *kind,
	const struct store_entry *e, enum store_kept *kept, unsigned *rank)
{
	uint64_t arrival, room;
	int err = evict_place(st, plan, kind, e, kept, rank, &arrival, &room);

	if (err == OK && *kept == STORE_KEPT_NOT && (*rank > plan->rank || (*rank == plan->rank && arrival > plan->to)))
		return E_RANGE;
	return err;
}

/* ---- passes ---- */

static void begin_pass(struct evict_plan *plan, enum evict_stage stage)
{
	plan->stage = stage;
	plan->walk = (struct evict_walk){ .owner = plan->capping ? plan->owners[plan->own].id : plan->owner };
	memset(plan->bucket, 0, sizeof plan->bucket);
}

int evict_plan_begin(struct store *st, struct evict_plan *plan, uint32_t owner, uint32_t requester, uint64_t goal,
	uint64_t least)
{
	*plan = (struct evict_plan){
		.owner = owner,
		.requester = requester,
		.goal = goal > least ? goal : least,
		.least = least,
		.lsn = st->log.applied,
		.time = evict_time_now(st),
	};
	begin_pass(plan, EVICT_SURVEY);
	return owner ? OK : find_owners(st, plan);
}

static uint64_t width(const struct evict_plan *plan)
{
	return (plan->to - plan->from) / EVICT_BUCKETS + 1;
}

static void count_place(struct evict_plan *plan, unsigned rank, uint64_t arrival, uint64_t room)
{
	struct evict_bucket *b;

	if (plan->stage == EVICT_SURVEY) {
		b = &plan->bucket[rank];
	} else {
		if (rank != plan->rank || arrival < plan->from || arrival > plan->to)
			return;
		b = &plan->bucket[(arrival - plan->from) / width(plan)];
	}
	if (b->most == 0 || arrival < b->least)
		b->least = arrival;
	if (arrival > b->most)
		b->most = arrival;
	b->bytes += room;
}

/* The first bucket with which the goal is met; `below` is what lies before it.
 * For a user's own cut: with which more than his excess would go. */
static bool find_bucket(struct evict_plan *plan, unsigned *at)
{
	uint64_t goal = plan->capping ? plan->owners[plan->own].excess + 1 : plan->goal;

	for (*at = 0; *at < EVICT_BUCKETS; ++*at) {
		if (plan->bucket[*at].most && plan->below + plan->bucket[*at].bytes >= goal)
			return true;
		plan->below += plan->bucket[*at].bytes;
	}
	return false;
}

/* Goes on with the next user who has more that may go than his excess. False:
 * there is none. */
static bool next_cap(struct evict_plan *plan)
{
	plan->own = plan->capping ? plan->own + 1 : 0;
	while (plan->own < plan->n_owners &&
		(plan->owners[plan->own].id == plan->requester ||
			plan->owners[plan->own].found <= plan->owners[plan->own].excess))
		plan->own++;
	return plan->own < plan->n_owners;
}

static void find_range(struct evict_plan *plan)
{
	plan->below = 0;
	if (!find_bucket(plan, &plan->rank)) {
		plan->stage = EVICT_SHORT;
		return;
	}
	plan->from = plan->bucket[plan->rank].least;
	plan->to = plan->bucket[plan->rank].most;
}

static void end_survey(struct evict_plan *plan)
{
	plan->possible = 0;
	for (unsigned i = 0; i < EVICT_BUCKETS; i++)
		plan->possible += plan->bucket[i].bytes;
	/* What is nearly enough is taken for enough: shares leave a message each over. And
	 * all that these users have above their shares, when the rest is with others: else
	 * each message that comes would begin a run of its own. */
	if (plan->possible < plan->goal)
		plan->goal =
			(plan->partial || plan->possible >= plan->goal - plan->goal / 8) && plan->possible > plan->least
			? plan->possible
			: plan->least;
	if (plan->possible < plan->least || plan->survey_only)
		plan->stage = EVICT_SHORT;
	else
		find_range(plan);
}

static void end_narrow(struct evict_plan *plan)
{
	unsigned at;

	if (!find_bucket(plan, &at)) {
		/* Less is left than the pass before had counted: others removed it. */
		plan->from = plan->to;
		return;
	}
	plan->from = plan->bucket[at].least;
	plan->to = plan->bucket[at].most;
}

/* The end of a pass over the mail of one user, for his own cut. */
static int end_own_pass(struct evict_plan *plan)
{
	struct evict_owner *o = &plan->owners[plan->own];

	if (plan->stage == EVICT_SURVEY)
		find_range(plan);
	else
		end_narrow(plan);
	if (plan->stage != EVICT_SHORT && plan->from < plan->to) {
		begin_pass(plan, EVICT_NARROW);
		return E_AGAIN;
	}
	if (plan->stage != EVICT_SHORT) {
		o->capped = true;
		o->rank = plan->rank;
		o->before = plan->to;
	}
	plan->capping = next_cap(plan);
	plan->shares_known = !plan->capping;
	begin_pass(plan, EVICT_SURVEY);
	return E_AGAIN;
}

static int end_pass(struct evict_plan *plan)
{
	if (plan->capping)
		return end_own_pass(plan);
	if (plan->fair && !plan->shares_known) {
		plan->capping = next_cap(plan);
		plan->shares_known = !plan->capping;
		if (plan->capping) {
			begin_pass(plan, EVICT_SURVEY);
			return E_AGAIN;
		}
	}
	if (plan->stage == EVICT_SURVEY)
		end_survey(plan);
	else
		end_narrow(plan);
	if (plan->stage == EVICT_SHORT)
		return OK;
	if (plan->from >= plan->to) {
		plan->stage = EVICT_READY;
		return OK;
	}
	begin_pass(plan, EVICT_NARROW);
	return E_AGAIN;
}

static void count_entry(struct evict_plan *plan, uint32_t owner, const struct store_entry *e, unsigned rank,
	uint64_t arrival, uint64_t room)
{
	unsigned i = find_owner(plan, owner);

	if (plan->fair && !plan->shares_known && !plan->capping && i < plan->n_owners)
		plan->owners[i].found += e->size;
	count_place(plan, rank, arrival, plan->capping ? e->size : room);
}

int evict_plan_slice(struct store *st, struct evict_plan *plan)
{
	for (unsigned i = 0; i < LIMIT_SLICE_ENTRIES; i++) {
		struct store_entry e;
		enum store_kept kept;
		unsigned rank;
		uint64_t arrival, room;
		int err = evict_walk_next(st, &plan->walk, &e);

		if (err == E_NOENT)
			return end_pass(plan);
		if (err != OK)
			return err;
		/* Arrivals ascend in a mailbox, and a place is never before its entry. */
		if (e.arrival > plan->lsn || (plan->stage == EVICT_NARROW && e.arrival > plan->to)) {
			evict_walk_skip(&plan->walk);
			continue;
		}
		err = evict_place(st, plan, &plan->walk.kind, &e, &kept, &rank, &arrival, &room);
		if (err != OK)
			return err;
		if (kept == STORE_KEPT_NOT)
			count_entry(plan, plan->walk.kind.owner, &e, rank, arrival, room);
	}
	return E_AGAIN;
}

uint64_t evict_plan_id(const struct store *st, const struct evict_plan *plan)
{
	uint8_t p[44], key[16];

	put_le64(key, st->super.identity);
	put_le64(key + 8, plan->time.now);
	put_le32(p, plan->owner);
	put_le32(p + 4, plan->rank);
	put_le64(p + 8, plan->to);
	put_le64(p + 16, plan->lsn);
	put_le64(p + 24, plan->goal);
	put_le64(p + 32, plan->possible);
	put_le32(p + 40, plan->stage);
	return siphash(key, bytes_make(p, sizeof p));
}
