/* Views: the order of what is told, waking, \Recent, own changes, losing views,
 * and sets. The numbers themselves are compared with a model in
 * test_view_model.c. */
#include "fake_store.h"
#include "t.h"
#include "view/tombstones.h"
#include "view/view.h"

static _Alignas(16) uint8_t memory[1 << 18];
static struct arena arena;
static struct views *views;
static struct view a, b;
static int woken_a, woken_b;

static void on_wake(void *context)
{
	++*(int *)context;
}

static void setup(uint32_t sessions, uint32_t tombstones)
{
	fake_reset();
	arena_init(&arena, memory, sizeof memory);
	T_EQ(views_init(&views, &arena, NULL, sessions, tombstones), OK);
	views_on_change(views, on_wake);
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	woken_a = woken_b = 0;
}

static void append(uint32_t mailbox, uint32_t n)
{
	while (n--)
		fake_append(mailbox, (struct store_entry){ 0 }, false);
}

static void open_both(uint32_t messages)
{
	setup(4, 100);
	append(1, messages);
	fake.mailbox[1].recent = fake.mailbox[1].uidnext;
	T_EQ(view_open(views, &a, 1, false, &woken_a), OK);
	T_EQ(view_open(views, &b, 1, false, &woken_b), OK);
}

/* All that is told, as "E3 *5 R1 F2 ". */
static const char *told(struct view *view, bool expunges, bool durable)
{
	static char out[4000];
	struct view_event e;
	size_t at = 0;
	int rc;

	out[0] = 0;
	while ((rc = view_next(views, view, expunges, durable, &e)) != E_NOENT) {
		if (rc == OK)
			at += (size_t)snprintf(out + at, sizeof out - at, "%c%u ", "E*RF"[e.kind], e.number);
		else
			T_EQ(rc, E_AGAIN);
	}
	return out;
}

#define T_TOLD(view, expunges, durable, expected) \
	do { \
		const char *t_s = told(view, expunges, durable); \
		T_BYTES(t_s, strlen(t_s), expected); \
	} while (0)

T_TEST(tells_in_the_right_order)
{
	open_both(10);
	T_EQ(a.exists, 10);
	T_EQ(a.uidnext, 11);
	T_EQ(view_pending(views, &a), false);
	fake_flags(1, 4, STORE_SEEN);
	fake_expunge(1, 1, 2);
	append(1, 2);
	fake_flags(1, 8, STORE_SEEN); /* a new one: the client will ask for it */
	T_EQ(view_pending(views, &a), true);
	T_TOLD(&a, true, false, "E3 E2 *10 R2 F3 ");
	T_EQ(view_pending(views, &a), false);
	/* During FETCH, STORE and SEARCH: numbers as before. */
	T_TOLD(&b, false, false, "*12 F5 ");
	T_EQ(view_pending(views, &b), true);
	T_TOLD(&b, true, false, "E3 E2 ");
	T_EQ(view_pending(views, &b), false);
	T_EQ(b.exists, 10);
}

T_TEST(expunged_before_it_was_told)
{
	open_both(2);
	append(1, 1);
	fake_expunge(1, 2, 1);
	T_TOLD(&a, true, false, "");
	T_EQ(a.exists, 2);
	T_EQ(a.uidnext, 4);
	/* Where expunges are not allowed it comes and goes later. */
	T_TOLD(&b, false, false, "*3 R1 ");
	T_TOLD(&b, true, false, "E3 ");
}

T_TEST(wakes_once)
{
	open_both(3);
	woken_a = woken_b = 0;
	append(1, 1);
	fake_expunge(1, 0, 2);
	T_EQ(woken_a, 1);
	T_EQ(woken_b, 1);
	T_TOLD(&a, true, false, "E2 E1 *2 R1 ");
	append(1, 1);
	T_EQ(woken_a, 2);
	T_EQ(woken_b, 1);
	append(2, 1);
	T_TOLD(&a, true, false, "*3 R2 ");
	append(2, 1);
	T_EQ(woken_a, 2);
}

T_TEST(flags_wait_for_the_sync)
{
	open_both(3);
	fake.not_durable = true;
	fake_flags(1, 0, STORE_SEEN);
	woken_a = 0;
	T_TOLD(&a, true, true, "");
	T_TOLD(&b, true, false, "F1 ");
	T_EQ(view_pending(views, &a), true);
	views_committed(views);
	T_EQ(woken_a, 0);
	fake.not_durable = false;
	views_committed(views);
	T_EQ(woken_a, 1);
	T_TOLD(&a, true, true, "F1 ");
	views_committed(views);
	T_EQ(woken_a, 1);
}

T_TEST(own_changes_are_not_told)
{
	uint64_t modseq;

	open_both(6);
	view_own_change(views, &a, fake_flags(1, 0, STORE_SEEN));
	view_own_change(views, &a, fake_flags(1, 1, STORE_SEEN));
	T_TOLD(&a, true, false, "");
	T_TOLD(&b, true, false, "F1 F2 ");
	/* Somebody else's change before an own one is not lost. */
	fake_flags(1, 2, STORE_SEEN);
	modseq = fake_flags(1, 3, STORE_SEEN);
	view_own_change(views, &a, modseq);
	view_own_change(views, &a, 0);
	T_TOLD(&a, true, false, "F3 ");
	T_EQ(a.modseq, modseq);
	/* A STORE in several slices, with other mailboxes' changes in between. */
	fake_flags(1, 5, STORE_SEEN);
	for (uint32_t i = 0; i < 5; i++) {
		view_own_change(views, &a, fake_flags(1, i, STORE_FLAGGED));
		append(2, 1);
	}
	T_TOLD(&a, true, false, "F6 ");
	for (uint32_t i = 0; i < 5; i++) {
		view_own_change(views, &a, fake_flags(1, i, STORE_SEEN));
		append(2, 1);
	}
	T_TOLD(&a, true, false, "");
	/* Nor one of the same message. */
	fake_flags(1, 4, STORE_SEEN);
	T_EQ(view_untold(views, &a, &fake.mailbox[1].entry[4]), true);
	T_EQ(view_untold(views, &a, &fake.mailbox[1].entry[3]), false);
}

/* Changes that come while flags are being told, before and behind the place. */
T_TEST(nothing_is_told_twice)
{
	struct view_event e;

	open_both(6);
	for (uint32_t i = 0; i < 6; i++)
		fake_flags(1, i, STORE_SEEN);
	for (uint32_t i = 1; i <= 3; i++) {
		T_EQ(view_next(views, &a, true, false, &e), OK);
		T_EQ(e.number, i);
	}
	fake_flags(1, 1, STORE_FLAGGED);
	fake_flags(1, 4, STORE_FLAGGED);
	append(1, 1);
	T_TOLD(&a, true, false, "*7 R1 F4 F6 F2 F5 ");
	T_EQ(a.modseq, fake.mailbox[1].modseq);
	/* Of messages just announced, only what changes later; two announcements without flags between them. */
	fake.not_durable = true;
	append(1, 1);
	T_TOLD(&a, true, true, "*8 R2 ");
	fake_flags(1, 7, STORE_SEEN);
	append(1, 1);
	T_TOLD(&a, true, true, "*9 R3 ");
	fake_flags(1, 8, STORE_SEEN);
	fake.not_durable = false;
	T_TOLD(&a, true, true, "F8 F9 ");
	T_TOLD(&a, true, true, "");
}

T_TEST(recent_is_taken_by_read_write_views)
{
	setup(4, 100);
	append(1, 3);
	fake.mailbox[1].recent = 2;
	T_EQ(view_open(views, &b, 1, true, &woken_b), OK);
	T_EQ(view_recent(views, &b), 2);
	T_EQ(view_open(views, &a, 1, false, &woken_a), OK);
	T_EQ(view_recent(views, &a), 2);
	T_EQ(view_is_recent(&a, 1), false);
	T_EQ(view_is_recent(&a, 2), true);
	T_EQ(fake.mailbox[1].recent, 4);
	view_close(views, &b);
	T_EQ(view_open(views, &b, 1, true, &woken_b), OK);
	T_EQ(view_recent(views, &b), 0);
	append(1, 1);
	T_TOLD(&a, true, false, "*4 R3 ");
	fake_expunge(1, 1, 1);
	T_EQ(view_recent(views, &a), 3);
	T_TOLD(&a, true, false, "E2 ");
	T_EQ(view_recent(views, &a), 2);
}

T_TEST(deleted_mailbox)
{
	struct view_event e;
	struct view_walk w;
	struct view_set set;
	struct store_entry entry;
	uint32_t n;

	open_both(3);
	woken_a = 0;
	T_EQ(view_set_parse(bytes_of("1:*"), false, &set), OK);
	view_walk_begin(&w, set);
	fake_delete(1);
	T_OK(a.gone && b.gone);
	T_EQ(woken_a, 1);
	T_EQ(view_next(views, &a, true, false, &e), E_NOENT);
	T_EQ(view_walk_next(views, &a, &w, &entry, &n), E_NOENT);
	T_EQ(view_number(views, &a, 1), 0);
	T_EQ(view_uid(views, &a, 1, &n), E_NOENT);
	T_EQ(view_recent(views, &a), 0);
	T_EQ(view_pending(views, &a), false);
	view_own_change(views, &a, 99);
	view_close(views, &a);
	view_close(views, &b);
	view_close(views, &b);
	T_EQ(view_open(views, &a, 1, false, NULL), E_NOENT);
	T_EQ(view_open(views, &a, 2, false, NULL), OK);
}

T_TEST(places_are_bounded_and_come_back)
{
	struct view more[4];

	setup(4, 10);
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 4; i++)
			T_EQ(view_open(views, &more[i], i + 1, false, NULL), OK);
		T_EQ(view_open(views, &a, 1, false, NULL), E_NOMEM);
		T_EQ(a.open, false);
		for (uint32_t i = 0; i < 4; i++)
			view_close(views, &more[i]);
	}
}

/* The view that lags most, in the mailbox that holds most, is lost; the others
 * keep their numbers. */
T_TEST(full_table_loses_the_laggard)
{
	struct view c;
	int woken_c = 0;

	setup(4, 8);
	append(1, 40);
	append(2, 40);
	T_EQ(view_open(views, &a, 1, false, &woken_a), OK);
	T_EQ(view_open(views, &b, 1, false, &woken_b), OK);
	T_EQ(view_open(views, &c, 2, false, &woken_c), OK);
	for (uint32_t i = 0; i < 6; i++)
		fake_expunge(1, 2 * i, 1); /* never neighbours: six entries */
	T_TOLD(&b, true, false, "E16 E13 E10 E7 E4 E1 ");
	fake_expunge(2, 0, 1);
	fake_expunge(2, 20, 1);
	T_OK(!a.gone && !b.gone && !c.gone);
	woken_a = 0;
	fake_expunge(2, 10, 1);
	T_OK(a.gone && !b.gone && !c.gone);
	T_EQ(woken_a, 1);
	T_TOLD(&c, true, false, "E22 E12 E1 ");
	T_EQ(b.exists, 34);
	/* A whole mailbox at once is one entry. */
	fake_expunge(1, 0, 34);
	T_OK(!b.gone);
	T_EQ(strlen(told(&b, true, false)) > 0, true);
	T_EQ(b.exists, 0);
}

/* ---- sets ---- */

T_TEST(sets_are_parsed)
{
	static const char *good[] = { "1", "*", "1:5", "5:1", "*:4", "1,2,3:*,4294967295", "10,10,10" };
	static const char *bad[] = { "", "0", "1:", ":1", ",", "1,", ",1", "1,,2", "a", "1:2:3", "01", "1 ",
		"4294967296", "1:0", "**", "1;2", "-1", "99999999999999999999999" };
	struct view_set set;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (view_set_parse(bytes_of(good[i]), true, &set) != OK)
			T_FAIL("%s is refused", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (view_set_parse(bytes_of(bad[i]), true, &set) != E_SYNTAX)
			T_FAIL("%s is taken", bad[i]);
}

/* UIDs that a set gives, as "1 2 3 "; the last code if it is not the end. */
static bool gone_too;

static const char *walked(const char *text, bool uids)
{
	static char out[1000];
	struct view_set set;
	struct view_walk w;
	struct store_entry e;
	uint32_t number;
	size_t at = 0;
	int rc;

	out[0] = 0;
	T_EQ(view_set_parse(bytes_of(text), uids, &set), OK);
	view_walk_begin(&w, set);
	w.gone_too = gone_too;
	while ((rc = view_walk_next(views, &a, &w, &e, &number)) != E_NOENT) {
		if (rc == E_RANGE)
			return "range";
		if (rc != E_AGAIN)
			at += (size_t)snprintf(out + at, sizeof out - at, "%u%s ", e.uid, rc == E_GONE ? "!" : "");
	}
	return out;
}

#define T_WALKED(text, uids, expected) \
	do { \
		const char *t_s = walked(text, uids); \
		T_BYTES(t_s, strlen(t_s), expected); \
	} while (0)

T_TEST(sets_are_walked)
{
	struct view_set set;

	open_both(10);
	fake_expunge(1, 2, 2); /* UIDs 3, 4 */
	told(&a, true, false);
	T_WALKED("1:4", false, "1 2 5 6 ");
	T_WALKED("1:4", true, "1 2 ");
	T_WALKED("4:1", false, "1 2 5 6 ");
	T_WALKED("*", false, "10 ");
	T_WALKED("*", true, "10 ");
	T_WALKED("*:7", true, "7 8 9 10 ");
	T_WALKED("500:*", true, "10 "); /* RFC 3501 6.4.8 */
	T_WALKED("3,4,500", true, "");
	T_WALKED("1:3,2:5", false, "1 2 5 6 7 ");
	T_WALKED("2,2,2", false, "2 ");
	T_WALKED("7,1:2", false, "9 1 2 ");
	T_WALKED("9", false, "range");
	T_WALKED("1:9", false, "range");
	T_EQ(view_set_parse(bytes_of("1:8,2:*"), false, &set), OK);
	T_EQ(view_set_check(&a, set), OK);
	T_EQ(view_set_parse(bytes_of("1,9"), false, &set), OK);
	T_EQ(view_set_check(&a, set), E_RANGE);
	T_EQ(view_set_parse(bytes_of("9:*"), false, &set), OK);
	T_EQ(view_set_check(&a, set), E_RANGE);
	T_EQ(view_set_parse(bytes_of("9:*"), true, &set), OK);
	T_EQ(view_set_check(&a, set), OK);
	/* Gone but not told. */
	fake_expunge(1, 1, 1); /* UID 2 */
	fake_expunge(1, 6, 1); /* UID 10 */
	T_WALKED("1:3", false, "1 2! 5 ");
	T_WALKED("*", false, "10! ");
	T_WALKED("1:5", true, "1 5 ");
	T_WALKED("*", true, "");
	T_WALKED("9:*", true, "9 ");
	/* A staged copy is not there. */
	fake_append(1, (struct store_entry){ 0 }, true);
	T_WALKED("1:*", true, "1 5 6 7 8 9 ");
	fake_expunge(1, 2, 2); /* UIDs 6, 7, not told */
	T_WALKED("5:9", true, "5 8 9 ");
	gone_too = true;
	T_WALKED("5:9", true, "5 6! 7! 8 9 ");
	T_WALKED("3,7,1", true, "7! 1 ");
	gone_too = false;
}

T_TEST(empty_mailbox)
{
	struct view_set set;

	open_both(0);
	T_EQ(a.exists, 0);
	T_WALKED("1:*", false, "");
	T_WALKED("*", true, "");
	T_WALKED("1:*", true, "");
	T_WALKED("1", false, "range");
	T_EQ(view_set_parse(bytes_of("1:*"), false, &set), OK);
	T_EQ(view_set_check(&a, set), OK);
}

T_TEST(long_sets_take_slices)
{
	static char text[200000];
	struct view_set set;
	struct view_walk w;
	struct store_entry e;
	uint32_t number;
	unsigned again = 0;
	size_t at = 0;
	int rc;

	open_both(2);
	for (uint32_t i = 0; i < 20000; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%u", i ? "," : "", 100 + 2 * i);
	T_EQ(view_set_parse(bytes_of(text), true, &set), OK);
	view_walk_begin(&w, set);
	while ((rc = view_walk_next(views, &a, &w, &e, &number)) == E_AGAIN)
		again++;
	T_EQ(rc, E_NOENT);
	T_OK(again >= 20000 / LIMIT_SLICE_ENTRIES - 1);
}

/* ---- the table of tombstones ---- */

T_TEST(neighbours_share_a_tombstone)
{
	struct tombstone all[4];
	struct tombstones t = { all, 0, 4 };

	T_OK(tombstones_add(&t, 7, 5, 1));
	T_OK(tombstones_add(&t, 7, 7, 1));
	T_EQ(t.n, 2);
	T_OK(tombstones_add(&t, 7, 6, 1));
	T_EQ(t.n, 1);
	T_EQ(all[0].first, 5);
	T_EQ(all[0].count, 3);
	T_OK(tombstones_add(&t, 7, 4, 1));
	T_OK(tombstones_add(&t, 7, 6, 2)); /* there already */
	T_EQ(t.n, 1);
	T_OK(tombstones_add(&t, 7, 8, 2)); /* another change */
	T_OK(tombstones_add(&t, 8, 8, 1)); /* another mailbox */
	T_OK(tombstones_add(&t, 6, 1, 1));
	T_EQ(t.n, 4);
	T_OK(!tombstones_add(&t, 9, 1, 1));
	T_OK(tombstones_add(&t, 7, 9, 2));
	T_EQ(tombstones_largest(&t), 7);
	tombstones_forget(&t, 7, 1);
	T_EQ(t.n, 3);
	tombstones_drop(&t, 7);
	tombstones_drop(&t, 6);
	T_EQ(t.n, 1);
	T_EQ(all[0].mailbox, 8);
}

T_TEST(changes_may_wrap)
{
	struct tombstone all[4];
	struct tombstones t = { all, 0, 4 };
	struct untold u = { 7, UINT32_MAX, UINT32_MAX, 0, 100 };

	T_OK(tombstones_add(&t, 7, 5, UINT32_MAX));
	T_OK(tombstones_add(&t, 7, 6, 0));
	T_EQ(untold_count(&t, &u, 99), 1);
	T_EQ(untold_next(&t, &u, 0), 6);
	u.told = u.round = UINT32_MAX - 1;
	T_EQ(untold_count(&t, &u, 99), 2);
	tombstones_forget(&t, 7, UINT32_MAX);
	T_EQ(t.n, 1);
}

T_MAIN(T_RUN(tells_in_the_right_order) T_RUN(expunged_before_it_was_told) T_RUN(wakes_once)
		T_RUN(flags_wait_for_the_sync) T_RUN(own_changes_are_not_told) T_RUN(nothing_is_told_twice)
			T_RUN(recent_is_taken_by_read_write_views) T_RUN(deleted_mailbox)
				T_RUN(places_are_bounded_and_come_back) T_RUN(full_table_loses_the_laggard)
					T_RUN(sets_are_parsed) T_RUN(sets_are_walked) T_RUN(empty_mailbox)
						T_RUN(long_sets_take_slices) T_RUN(neighbours_share_a_tombstone)
							T_RUN(changes_may_wrap))
