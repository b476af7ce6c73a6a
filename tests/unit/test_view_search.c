/* SEARCH: random programs against a plain recursive evaluation, slices, the
 * grammar and the limits. Text is in test_view_search_text.c. */
#include "mail/textmatch.h"
#include "view_search.h"

static char texts[64 * 1024]; /* strings of a program live here */
static size_t texts_len;

static struct bytes keep(const char *text)
{
	size_t n = strlen(text);
	struct bytes b = bytes_make(texts + texts_len, n);

	T_OK(texts_len + n <= sizeof texts);
	memcpy(texts + texts_len, text, n);
	texts_len += n;
	return b;
}

/* ---- random programs ---- */

struct expr {
	enum { E_KEY, E_TEXT, E_DAY, E_NUMBER, E_SET, E_NOT, E_OR, E_LIST } kind;
	enum search_key key;
	int64_t n;
	char text[64];
	bool uids;
	struct expr *child[4];
	int children;
};

static struct expr exprs[2000];
static int n_exprs;

static void random_set(struct expr *e)
{
	uint32_t most = 80, low = 1;
	size_t at = 0;
	bool sorted = chance(3);

	e->kind = E_SET;
	e->uids = chance(2);
	for (uint32_t n = chance(4) + 1; n; n--) {
		uint32_t a = sorted ? low + chance(20) : chance(most) + 1, b = a + chance(30);

		low = a;
		if (chance(2))
			at += (size_t)snprintf(e->text + at, sizeof e->text - at, "%s%u", at ? "," : "", a);
		else if (chance(6) == 0)
			at += (size_t)snprintf(e->text + at, sizeof e->text - at, "%s%u:*", at ? "," : "", a);
		else if (chance(6) == 0)
			at += (size_t)snprintf(e->text + at, sizeof e->text - at, "%s%u:%u", at ? "," : "", b, a);
		else
			at += (size_t)snprintf(e->text + at, sizeof e->text - at, "%s%u:%u", at ? "," : "", a, b);
	}
}

static struct expr *random_expr(int depth)
{
	static const enum search_key plain[] = { SEARCH_ALL, SEARCH_ANSWERED, SEARCH_DELETED, SEARCH_DRAFT,
		SEARCH_FLAGGED, SEARCH_SEEN, SEARCH_UNANSWERED, SEARCH_UNDELETED, SEARCH_UNDRAFT, SEARCH_UNFLAGGED,
		SEARCH_UNSEEN, SEARCH_NEW, SEARCH_OLD, SEARCH_RECENT, SEARCH_SAVEDATESUPPORTED };
	static const enum search_key numbers[] = { SEARCH_LARGER, SEARCH_SMALLER, SEARCH_YOUNGER, SEARCH_OLDER,
		SEARCH_MODSEQ, SEARCH_EMAILID, SEARCH_THREADID };
	struct expr *e = &exprs[n_exprs++];

	memset(e, 0, sizeof *e);
	switch (chance(depth > 0 ? 10 : 6)) {
	case 0:
	case 1:
		e->kind = E_KEY;
		e->key = plain[chance(sizeof plain / sizeof *plain)];
		break;
	case 2:
		e->kind = E_DAY;
		e->key = (enum search_key)(chance(2) ? SEARCH_BEFORE + chance(3) : SEARCH_SAVEDBEFORE + chance(3));
		e->n = NOW / 86400 - 3 + chance(7);
		break;
	case 3:
		e->kind = E_NUMBER;
		e->key = numbers[chance(7)];
		e->n = e->key == SEARCH_YOUNGER || e->key == SEARCH_OLDER ? 1 + chance(300000) : chance(70);
		break;
	case 4:
		e->kind = E_TEXT;
		e->key = chance(2) ? SEARCH_KEYWORD : SEARCH_UNKEYWORD;
		snprintf(e->text, sizeof e->text, "%s%u", chance(5) ? "K" : "x", chance(4));
		break;
	case 5:
		random_set(e);
		break;
	case 6:
		e->kind = E_NOT;
		e->child[e->children++] = random_expr(depth - 1);
		break;
	case 7:
		e->kind = E_OR;
		e->child[e->children++] = random_expr(depth - 1);
		e->child[e->children++] = random_expr(depth - 1);
		break;
	default:
		e->kind = E_LIST;
		for (uint32_t n = chance(4) + 1; n; n--)
			e->child[e->children++] = random_expr(depth - 1);
	}
	return e;
}

static void build(struct search *q, const struct expr *e)
{
	struct view_set set;

	switch (e->kind) {
	case E_KEY:
		T_EQ(search_key(q, e->key), OK);
		return;
	case E_TEXT:
		T_EQ(search_text(q, e->key, keep(e->text)), OK);
		return;
	case E_DAY:
		T_EQ(search_day(q, e->key, e->n), OK);
		return;
	case E_NUMBER:
		T_EQ(search_number(q, e->key, (uint64_t)e->n), OK);
		return;
	case E_SET:
		T_EQ(view_set_parse(keep(e->text), e->uids, &set), OK);
		T_EQ(search_set(q, set), OK);
		return;
	case E_NOT:
		T_EQ(search_not(q), OK);
		build(q, e->child[0]);
		return;
	case E_OR:
		T_EQ(search_or(q), OK);
		build(q, e->child[0]);
		build(q, e->child[1]);
		return;
	case E_LIST:
		T_EQ(search_list(q), OK);
		for (int i = 0; i < e->children; i++)
			build(q, e->child[i]);
		T_EQ(search_list_end(q), OK);
	}
}

static int64_t day(int64_t seconds)
{
	return seconds >= 0 ? seconds / 86400 : -((86399 - seconds) / 86400);
}

static bool in_text_set(const char *text, uint32_t value, uint32_t star)
{
	while (*text) {
		uint32_t a = *text == '*' ? (text++, star) : (uint32_t)strtoul(text, (char **)&text, 10), b = a;

		if (*text == ':') {
			text++;
			b = *text == '*' ? (text++, star) : (uint32_t)strtoul(text, (char **)&text, 10);
		}
		if ((value >= a && value <= b) || (value >= b && value <= a))
			return true;
		text += *text == ',';
	}
	return false;
}

static bool holds(const struct expr *e, const struct store_entry *m, uint32_t number)
{
	static const uint8_t flags[] = { [SEARCH_ANSWERED] = STORE_ANSWERED,
		[SEARCH_DELETED] = STORE_DELETED,
		[SEARCH_DRAFT] = STORE_DRAFT,
		[SEARCH_FLAGGED] = STORE_FLAGGED,
		[SEARCH_SEEN] = STORE_SEEN };
	bool recent = view.recent_first && m->uid >= view.recent_first && m->uid <= view.recent_last;
	uint32_t last = fake.mailbox[1].entry[fake.mailbox[1].n - 1].uid;

	switch (e->kind) {
	case E_NOT:
		return !holds(e->child[0], m, number);
	case E_OR:
		return holds(e->child[0], m, number) || holds(e->child[1], m, number);
	case E_LIST:
		for (int i = 0; i < e->children; i++)
			if (!holds(e->child[i], m, number))
				return false;
		return true;
	case E_SET:
		return in_text_set(e->text, e->uids ? m->uid : number, e->uids ? last : fake.mailbox[1].n);
	case E_TEXT:
		return (e->key == SEARCH_UNKEYWORD) != (e->text[0] == 'K' && (m->keywords >> (e->text[1] - '0') & 1));
	default:
		break;
	}
	switch (e->key) {
	case SEARCH_ALL:
	case SEARCH_SAVEDATESUPPORTED:
		return true;
	case SEARCH_UNANSWERED:
	case SEARCH_UNDELETED:
	case SEARCH_UNDRAFT:
	case SEARCH_UNFLAGGED:
	case SEARCH_UNSEEN:
		return !(m->flags & flags[e->key - SEARCH_UNANSWERED + SEARCH_ANSWERED]);
	case SEARCH_NEW:
		return recent && !(m->flags & STORE_SEEN);
	case SEARCH_OLD:
		return !recent;
	case SEARCH_RECENT:
		return recent;
	case SEARCH_BEFORE:
		return day(m->received + m->zone * 60) < e->n;
	case SEARCH_ON:
		return day(m->received + m->zone * 60) == e->n;
	case SEARCH_SINCE:
		return day(m->received + m->zone * 60) >= e->n;
	case SEARCH_SAVEDBEFORE:
		return day(m->saved) < e->n;
	case SEARCH_SAVEDON:
		return day(m->saved) == e->n;
	case SEARCH_SAVEDSINCE:
		return day(m->saved) >= e->n;
	case SEARCH_LARGER:
		return m->size > e->n;
	case SEARCH_SMALLER:
		return m->size < e->n;
	case SEARCH_YOUNGER: /* RFC 5032 section 2 */
		return m->received >= NOW - e->n;
	case SEARCH_OLDER:
		return m->received <= NOW - e->n;
	case SEARCH_MODSEQ:
		return m->modseq >= (uint64_t)e->n;
	case SEARCH_EMAILID:
		return e->n && m->object == (uint64_t)e->n;
	case SEARCH_THREADID:
		return false;
	default:
		return (m->flags & flags[e->key]) != 0;
	}
}

static void fill_random(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (i == n / 2) {
			/* What comes later is recent. */
			fake.mailbox[1].recent = fake.mailbox[1].uidnext;
		}
		fake_append(1,
			(struct store_entry){ .flags = (uint8_t)(chance(3) ? chance(32) : STORE_SEEN),
				.keywords = chance(16),
				.object = chance(70),
				.received = NOW - 3 * 86400 + chance(6 * 86400),
				.zone = (int16_t)((int)chance(1600) - 720),
				.saved = NOW - 3 * 86400 + chance(6 * 86400),
				.size = chance(70) },
			false);
	}
	for (uint32_t i = 0; i < n / 4; i++)
		fake_expunge(1, chance(fake.mailbox[1].n), 1);
}

T_TEST(programs_agree_with_plain_evaluation)
{
	for (int round = 0; round < 3000; round++) {
		struct search *q;
		struct search_hit hit;
		struct expr *top[3];
		uint32_t n_top = chance(3) + 1;
		int rc;

		if (round % 100 == 0) {
			setup();
			fill_random(chance(100) + 10);
			T_EQ(view_open(views, &view, 1, chance(2), NULL), OK);
		}
		texts_len = 0;
		n_exprs = 0;
		T_EQ(search_open(searches, &view, NOW, &q), OK);
		for (uint32_t i = 0; i < n_top; i++) {
			top[i] = random_expr(4);
			build(q, top[i]);
		}
		T_EQ(search_ready(q), OK);
		for (uint32_t i = 0; i < fake.mailbox[1].n; i++) {
			const struct store_entry *m = &fake.mailbox[1].entry[i];
			bool match = true;

			for (uint32_t k = 0; k < n_top; k++)
				match &= holds(top[k], m, i + 1);
			if (!match)
				continue;
			while ((rc = search_next(q, &hit)) == E_AGAIN)
				;
			T_EQ(rc, OK);
			T_EQ(hit.entry.uid, m->uid);
			T_EQ(hit.number, i + 1);
		}
		while ((rc = search_next(q, &hit)) == E_AGAIN)
			;
		T_EQ(rc, E_NOENT);
		T_EQ(search_next(q, &hit), E_NOENT);
		search_close(q);
	}
}

T_TEST(walks_no_more_than_the_set)
{
	struct search *q;
	struct view_set set;
	unsigned slices;

	setup();
	for (int i = 0; i < 5000; i++)
		fake_append(1, (struct store_entry){ .flags = i < 4900 ? STORE_SEEN : 0 }, false);
	T_EQ(view_open(views, &view, 1, false, NULL), OK);
	fake.visits = 0;
	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(view_set_parse(bytes_of("10,4000:4003,4990:*"), true, &set), OK);
	T_EQ(search_set(q, set), OK);
	T_EQ(search_ready(q), OK);
	T_EQ(strcmp(results(q, &slices),
		     "10 4000 4001 4002 4003 4990 4991 4992 4993 4994 4995 4996 4997 4998 4999 5000"),
		0);
	T_OK(fake.visits < 30);
	search_close(q);
	fake.visits = 0;
	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_key(q, SEARCH_UNSEEN), OK);
	T_EQ(search_ready(q), OK);
	results(q, &slices);
	T_OK(fake.visits <= 101);
	search_close(q);
}

T_TEST(slices_are_bounded)
{
	struct search *q;
	unsigned slices;

	setup();
	for (int i = 0; i < 5000; i++)
		fake_append(1, (struct store_entry){ 0 }, false);
	T_EQ(view_open(views, &view, 1, false, NULL), OK);
	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_key(q, SEARCH_SEEN), OK);
	T_EQ(search_ready(q), OK);
	results(q, &slices);
	T_EQ(slices, 5000 / LIMIT_SLICE_ENTRIES);
	search_close(q);
	/* Hits count as well. */
	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_key(q, SEARCH_UNSEEN), OK);
	T_EQ(search_ready(q), OK);
	for (unsigned n = 0, again = 0; again < 3; n++) {
		struct search_hit hit;

		again += search_next(q, &hit) == E_AGAIN;
		T_OK(n < 4 * (LIMIT_SLICE_ENTRIES + 1));
	}
	search_close(q);
}

T_TEST(new_messages_are_not_looked_at)
{
	struct view_set set;
	struct search *q;
	struct search_hit hit;
	struct view_event event;

	setup();
	fake_append(1, (struct store_entry){ 0 }, false);
	T_EQ(view_open(views, &view, 1, false, NULL), OK);
	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_key(q, SEARCH_ALL), OK);
	T_EQ(search_ready(q), OK);
	T_EQ(search_next(q, &hit), OK);
	fake_append(1, (struct store_entry){ 0 }, false);
	while (view_next(views, &view, true, false, &event) == OK)
		;
	T_EQ(view.exists, 2);
	T_EQ(search_next(q, &hit), E_NOENT);
	search_close(q);
	/* Nor by a set that names them. */
	q = begin();
	T_EQ(view_set_parse(bytes_of("1,2:10"), true, &set), OK);
	T_EQ(search_set(q, set), OK);
	T_EQ(search_ready(q), OK);
	T_EQ(search_next(q, &hit), OK);
	fake_append(1, (struct store_entry){ 0 }, false);
	while (view_next(views, &view, true, false, &event) == OK)
		;
	T_EQ(search_next(q, &hit), OK);
	T_EQ(hit.entry.uid, 2);
	T_EQ(search_next(q, &hit), E_NOENT);
	search_close(q);
	/* An empty mailbox. */
	view_close(views, &view);
	T_EQ(view_open(views, &view, 2, false, NULL), OK);
	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_key(q, SEARCH_ALL), OK);
	expect(q, "");
}

/* UID SEARCH may be told of expunges in between: the numbers of a set are those
 * of the moment when a message is looked at. */
T_TEST(numbers_that_change_meanwhile)
{
	struct search *q;
	struct search_hit hit;
	struct view_event event;
	struct view_set set;

	setup();
	for (int i = 0; i < 10; i++)
		fake_append(1, (struct store_entry){ 0 }, false);
	T_EQ(view_open(views, &view, 1, false, NULL), OK);
	q = begin();
	T_EQ(search_or(q), OK);
	T_EQ(search_key(q, SEARCH_SEEN), OK);
	T_EQ(view_set_parse(bytes_of("2:3,5:6"), false, &set), OK);
	T_EQ(search_set(q, set), OK);
	T_EQ(search_ready(q), OK);
	for (uint32_t uid = 2; uid <= 5; uid += uid == 3 ? 2 : 1) {
		T_EQ(search_next(q, &hit), OK);
		T_EQ(hit.entry.uid, uid);
	}
	fake_expunge(1, 0, 4);
	while (view_next(views, &view, true, false, &event) == OK)
		;
	/* UID 6 is number 2 now, 7 is 3, 9 is 5, 10 is 6. */
	for (uint32_t uid = 6; uid <= 10; uid += uid == 7 ? 2 : 1) {
		T_EQ(search_next(q, &hit), OK);
		T_EQ(hit.entry.uid, uid);
	}
	T_EQ(search_next(q, &hit), E_NOENT);
	search_close(q);
}

/* ---- the grammar and the limits ---- */

static void five_messages(void)
{
	setup();
	for (int i = 0; i < 5; i++)
		fake_append(1, (struct store_entry){ 0 }, false);
	T_EQ(view_open(views, &view, 1, false, NULL), OK);
}

T_TEST(grammar_is_checked)
{
	struct search *q;

	five_messages();
	q = begin();
	T_EQ(search_ready(q), E_SYNTAX); /* empty */
	search_close(q);
	q = begin();
	T_EQ(search_not(q), OK);
	T_EQ(search_ready(q), E_SYNTAX);
	search_close(q);
	q = begin();
	T_EQ(search_or(q), OK);
	T_EQ(search_key(q, SEARCH_ALL), OK);
	T_EQ(search_ready(q), E_SYNTAX);
	search_close(q);
	q = begin();
	T_EQ(search_list(q), OK);
	T_EQ(search_list_end(q), E_SYNTAX);
	search_close(q);
	q = begin();
	T_EQ(search_list_end(q), E_SYNTAX);
	search_close(q);
	q = begin();
	T_EQ(search_list(q), OK);
	T_EQ(search_key(q, SEARCH_ALL), OK);
	T_EQ(search_not(q), OK);
	T_EQ(search_list_end(q), E_SYNTAX);
	search_close(q);
	q = begin();
	T_EQ(search_list(q), OK);
	T_EQ(search_or(q), OK);
	T_EQ(search_key(q, SEARCH_ALL), OK);
	T_EQ(search_list_end(q), E_SYNTAX); /* inside an OR */
	search_close(q);
	q = begin();
	T_EQ(search_key(q, SEARCH_FROM), E_SYNTAX);
	T_EQ(search_text(q, SEARCH_ALL, bytes_of("x")), E_SYNTAX);
	T_EQ(search_day(q, SEARCH_LARGER, 1), E_SYNTAX);
	T_EQ(search_number(q, SEARCH_ON, 1), E_SYNTAX);
	T_EQ(search_number(q, SEARCH_YOUNGER, 0), E_RANGE);
	T_EQ(search_text(q, SEARCH_FROM, bytes_of("\xff")), E_SYNTAX);
	search_close(q);
	q = begin();
	T_EQ(search_key(q, SEARCH_ALL), OK);
	T_EQ(search_ready(q), OK);
	T_EQ(search_key(q, SEARCH_ALL), E_SYNTAX);
	T_EQ(search_ready(q), E_SYNTAX);
	search_close(q);
	q = begin();
	T_EQ(search_has_modseq(q), false);
	T_EQ(search_number(q, SEARCH_MODSEQ, 1), OK);
	T_EQ(search_has_modseq(q), true);
	search_close(q);
	search_close(NULL);
}

T_TEST(limits)
{
	char long_text[TEXTMATCH_NEEDLE_MAX + 2];
	struct search *q[PLACES], *more;
	unsigned n;

	five_messages();
	/* Depth costs nodes, and there is an end of them. */
	q[0] = begin();
	for (n = 0; n < 10000 && search_list(q[0]) == OK; n++)
		;
	T_EQ(n, SEARCH_NODES - 1);
	T_EQ(search_list(q[0]), E_LIMIT);
	/* Others can still search. */
	q[1] = begin();
	T_EQ(search_key(q[1], SEARCH_ALL), OK);
	expect(q[1], "1 2 3 4 5");
	search_close(q[0]);
	/* As deep as it goes, complete. */
	q[0] = begin();
	for (n = 0; n < SEARCH_NODES - 2; n++)
		T_EQ(search_list(q[0]), OK);
	T_EQ(search_key(q[0], SEARCH_ALL), OK);
	while (n--)
		T_EQ(search_list_end(q[0]), OK);
	expect(q[0], "1 2 3 4 5");
	/* NOT costs nothing. */
	q[0] = begin();
	for (n = 0; n < 10001; n++)
		T_EQ(search_not(q[0]), OK);
	T_EQ(search_key(q[0], SEARCH_ALL), OK);
	expect(q[0], "");
	/* Long strings. */
	memset(long_text, 'a', sizeof long_text);
	long_text[sizeof long_text - 1] = 0;
	q[0] = begin();
	T_EQ(search_text(q[0], SEARCH_SUBJECT, bytes_of(long_text)), E_LIMIT);
	T_EQ(search_header(q[0], bytes_of("X"), bytes_of(long_text)), E_LIMIT);
	search_close(q[0]);
	/* All places in use. */
	for (n = 0; n < PLACES; n++)
		q[n] = begin();
	T_EQ(search_open(searches, &view, NOW, &more), E_NOMEM);
	/* Two long programs at once are more than there are blocks for. */
	for (n = 0; n < SEARCH_NODES - 1; n++)
		T_EQ(search_key(q[0], SEARCH_ALL), OK);
	for (n = 0; n < SEARCH_NODES - 1 && search_key(q[1], SEARCH_ALL) == OK; n++)
		;
	T_EQ(search_key(q[1], SEARCH_ALL), E_NOMEM);
	T_EQ(search_key(q[2], SEARCH_ALL), OK);
	for (n = 0; n < PLACES; n++)
		search_close(q[n]);
	/* Everything came back. */
	for (n = 0; n < 3; n++) {
		q[0] = begin();
		for (unsigned k = 0; k < SEARCH_NODES - 1; k++)
			T_EQ(search_key(q[0], SEARCH_ALL), OK);
		expect(q[0], "1 2 3 4 5");
	}
}

T_MAIN(T_RUN(programs_agree_with_plain_evaluation) T_RUN(walks_no_more_than_the_set) T_RUN(slices_are_bounded) T_RUN(
	new_messages_are_not_looked_at) T_RUN(numbers_that_change_meanwhile) T_RUN(grammar_is_checked) T_RUN(limits))
