#include "view/tombstones.h"

#include <string.h>

/* Index of the first entry at or behind (mailbox, uid). */
static uint32_t lower_bound(const struct tombstones *t, uint32_t mailbox, uint32_t uid)
{
	uint32_t low = 0, high = t->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct tombstone *s = &t->all[middle];

		if (s->mailbox < mailbox || (s->mailbox == mailbox && s->first < uid))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void tombstones_range(const struct tombstones *t, uint32_t mailbox, uint32_t *from, uint32_t *to)
{
	*from = lower_bound(t, mailbox, 0);
	*to = mailbox == UINT32_MAX ? t->n : lower_bound(t, mailbox + 1, 0);
}

/* Whether `uid` continues `s` upwards. */
static bool extends(const struct tombstone *s, uint32_t mailbox, uint32_t uid, uint32_t change)
{
	return s->mailbox == mailbox && s->change == change && s->first + s->count == uid;
}

bool tombstones_add(struct tombstones *t, uint32_t mailbox, uint32_t uid, uint32_t change)
{
	uint32_t at = lower_bound(t, mailbox, uid);
	struct tombstone *next = at < t->n ? &t->all[at] : NULL;
	struct tombstone *before = at > 0 ? &t->all[at - 1] : NULL;

	if (next && next->mailbox == mailbox && next->first == uid)
		return true;
	if (before && before->mailbox == mailbox && uid - before->first < before->count)
		return true;
	if (before && extends(before, mailbox, uid, change)) {
		before->count++;
		if (next && extends(before, next->mailbox, next->first, next->change)) {
			before->count += next->count;
			memmove(next, next + 1, (t->n - at - 1) * sizeof *next);
			t->n--;
		}
		return true;
	}
	if (next && next->mailbox == mailbox && next->change == change && next->first == uid + 1) {
		next->first = uid;
		next->count++;
		return true;
	}
	if (t->n == t->cap)
		return false;
	memmove(&t->all[at + 1], &t->all[at], (t->n - at) * sizeof *t->all);
	t->all[at] = (struct tombstone){ mailbox, uid, 1, change };
	t->n++;
	return true;
}

void tombstones_forget(struct tombstones *t, uint32_t mailbox, uint32_t told)
{
	uint32_t from, to, kept;

	tombstones_range(t, mailbox, &from, &to);
	kept = from;
	for (uint32_t i = from; i < to; i++)
		if (change_after(t->all[i].change, told))
			t->all[kept++] = t->all[i];
	memmove(&t->all[kept], &t->all[to], (t->n - to) * sizeof *t->all);
	t->n -= to - kept;
}

void tombstones_drop(struct tombstones *t, uint32_t mailbox)
{
	uint32_t from, to;

	tombstones_range(t, mailbox, &from, &to);
	memmove(&t->all[from], &t->all[to], (t->n - to) * sizeof *t->all);
	t->n -= to - from;
}

uint32_t tombstones_largest(const struct tombstones *t)
{
	uint32_t best = 0, best_n = 0, n = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		n = i > 0 && t->all[i].mailbox == t->all[i - 1].mailbox ? n + 1 : 1;
		if (n > best_n) {
			best_n = n;
			best = t->all[i].mailbox;
		}
	}
	return best;
}

uint32_t untold_of(const struct tombstone *s, const struct untold *u)
{
	uint32_t end = u->uidnext;

	if (!change_after(s->change, u->told))
		return 0;
	/* Told from the top down: of a run that the round has entered, the lower part is left. */
	if (!change_after(s->change, u->round) && u->round_uid < end)
		end = u->round_uid;
	if (s->first >= end)
		return 0;
	return end - s->first < s->count ? end - s->first : s->count;
}

uint32_t untold_count(const struct tombstones *t, const struct untold *u, uint32_t uid)
{
	uint32_t n = 0;

	for (uint32_t i = lower_bound(t, u->mailbox, 0); i < t->n; i++) {
		const struct tombstone *s = &t->all[i];
		uint32_t part;

		if (s->mailbox != u->mailbox || s->first > uid)
			break;
		part = untold_of(s, u);
		n += part <= uid - s->first ? part : uid - s->first + 1;
	}
	return n;
}

uint32_t untold_next(const struct tombstones *t, const struct untold *u, uint32_t uid)
{
	uint32_t at = lower_bound(t, u->mailbox, uid);

	if (at > 0 && t->all[at - 1].mailbox == u->mailbox)
		at--;
	for (; at < t->n && t->all[at].mailbox == u->mailbox; at++) {
		const struct tombstone *s = &t->all[at];
		uint32_t part = untold_of(s, u);

		if (part == 0)
			continue;
		if (s->first > uid)
			return s->first;
		if (uid - s->first + 1 < part)
			return uid + 1;
	}
	return 0;
}

uint32_t untold_previous(const struct tombstones *t, const struct untold *u, uint32_t uid, uint32_t change)
{
	for (uint32_t at = lower_bound(t, u->mailbox, uid); at-- > 0;) {
		const struct tombstone *s = &t->all[at];
		uint32_t part;

		if (s->mailbox != u->mailbox)
			break;
		if (change_after(s->change, change))
			continue;
		part = untold_of(s, u);
		if (part > uid - s->first)
			part = uid - s->first;
		if (part > 0)
			return s->first + part - 1;
	}
	return 0;
}
