/* SEARCH in text: keys against what RFC 3501 section 6.4.4 says of messages
 * written here, long headers and bodies in slices, unreadable and vanishing
 * messages. */
#include "mail/summary.h"
#include "view_search.h"

static uint8_t summaries[64][LIMIT_SUMMARY];
static struct fake_object objects[64];

static void add_message(const char *text, size_t len)
{
	static struct summary_parser p;
	size_t i = fake.n_objects;
	struct bytes s;

	summary_begin(&p, summaries[i], LIMIT_SUMMARY);
	summary_push(&p, text, len);
	s = summary_end(&p);
	objects[i] = (struct fake_object){ s.data, text, s.len, len, OK };
	fake.objects = objects;
	fake.n_objects = i + 1;
	fake_append(1, (struct store_entry){ .object = i + 1, .size = (uint32_t)len }, false);
}

static void add_text(const char *text)
{
	add_message(text, strlen(text));
}

static void expect_text(enum search_key key, const char *text, const char *uids)
{
	struct search *q;

	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_text(q, key, bytes_of(text)), OK);
	expect(q, uids);
	/* NOT finds all others. */
	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_not(q), OK);
	T_EQ(search_not(q), OK);
	T_EQ(search_text(q, key, bytes_of(text)), OK);
	expect(q, uids);
}

static void expect_header(const char *field, const char *text, const char *uids)
{
	struct search *q;

	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_header(q, bytes_of(field), bytes_of(text)), OK);
	expect(q, uids);
}

static void expect_day(enum search_key key, int64_t d, const char *uids)
{
	struct search *q;

	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_day(q, key, d), OK);
	expect(q, uids);
}

static void five_messages(void)
{
	setup();
	add_text("From: Anna <anna@example.org>\r\nTo: bob@example.com\r\nSubject: Lunch on Friday\r\n"
		 "Date: Fri, 17 Jul 1998 02:44:25 -0700\r\nMessage-ID: <1@example.org>\r\nX-Mark: first\r\n\r\n"
		 "Shall we meet at noon?\r\n");
	add_text("From: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>\r\nCc: anna@example.org\r\n"
		 "Subject: =?iso-8859-1?Q?Gr=FC=DFe_aus?= =?iso-8859-1?Q?_K=F6ln?=\r\n"
		 "Date: Sat, 18 Jul 1998 00:30:00 +0200\r\nContent-Type: text/plain; charset=utf-8\r\n"
		 "Content-Transfer-Encoding: base64\r\n\r\nTWl0IGZyZXVuZGxpY2hlbiBHcsO8w59lbg==\r\n");
	add_text("From: c@example.net\r\nBcc: hidden@example.net\r\nX-Mark: second\r\n  line here\r\n"
		 "X-Mark: third\r\n\r\n"
		 "Subject: Lunch in the body\r\n");
	add_text("From: d@example.net\r\nSubject:\r\n\r\n");
	add_text("\r\nno header\r\n");
	T_EQ(view_open(views, &view, 1, false, NULL), OK);
}

T_TEST(header_keys)
{
	struct search *q;

	five_messages();
	expect_text(SEARCH_SUBJECT, "lunch", "1");
	expect_text(SEARCH_SUBJECT, "N FRI", "1");
	expect_text(SEARCH_SUBJECT, "grüße aus kÖln", "2");
	expect_text(SEARCH_SUBJECT, "", "1 2 4");
	expect_text(SEARCH_SUBJECT, "nowhere", "");
	expect_text(SEARCH_FROM, "JÜRGEN", "2");
	expect_text(SEARCH_FROM, "example.org", "1 2");
	expect_text(SEARCH_TO, "bob", "1");
	expect_text(SEARCH_CC, "anna", "2");
	expect_text(SEARCH_BCC, "hidden@", "3");
	expect_header("Message-ID", "<1@example.org>", "1");
	expect_header("message-id", "", "1");
	expect_header("x-mark", "", "1 3");
	expect_header("X-Mark", "FIRST", "1");
	expect_header("X-Mark", "second  line", "3");
	expect_header("X-Mark", "third", "3");
	expect_header("X-Mark", "fourth", "");
	expect_header("X-Mar", "first", "");
	expect_header("Content-Type", "utf-8", "2");
	/* OR HEADER ... HEADER ... FROM ... */
	q = begin();
	T_EQ(search_or(q), OK);
	T_EQ(search_header(q, bytes_of("X-Mark"), bytes_of("first")), OK);
	T_EQ(search_header(q, bytes_of("X-Mark"), bytes_of("third")), OK);
	T_EQ(search_text(q, SEARCH_FROM, bytes_of("c@")), OK);
	expect(q, "3");
}

T_TEST(sent_days_are_those_of_the_date_field)
{
	/* 17-Jul-1998 is day 10424 (date -d 1998-07-17 +%s divided by 86400). */
	five_messages();
	expect_day(SEARCH_SENTON, 10424, "1");
	expect_day(SEARCH_SENTON, 10425, "2");
	expect_day(SEARCH_SENTBEFORE, 10425, "1");
	expect_day(SEARCH_SENTSINCE, 10424, "1 2");
	expect_day(SEARCH_SENTSINCE, 10426, "");
}

T_TEST(body_keys)
{
	five_messages();
	expect_text(SEARCH_BODY, "noon", "1");
	expect_text(SEARCH_BODY, "lunch", "3");
	expect_text(SEARCH_BODY, "GRÜSSEN", "");
	expect_text(SEARCH_BODY, "freundlichen grüßen", "2");
	expect_text(SEARCH_BODY, "", "1 2 3 4 5");
	expect_text(SEARCH_TEXT, "lunch", "1 3");
	expect_text(SEARCH_TEXT, "köln", "2");
	expect_text(SEARCH_TEXT, "no header", "5");
	expect_text(SEARCH_TEXT, "third", "3");
}

/* Text stands before and behind a large attachment, whose bytes are not read. */
T_TEST(attachments_are_passed_over)
{
	static char text[400000];
	size_t at = (size_t)sprintf(text,
		"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
		"--b\r\n\r\nin front\r\n--b\r\nContent-Type: application/octet-stream; name=attached\r\n\r\n");

	while (at < 300000)
		at += (size_t)sprintf(text + at, "inside %zu\r\n", at);
	at += (size_t)sprintf(text + at, "--b\r\n\r\nbehind\r\n--b--\r\n");
	setup();
	add_text(text);
	T_EQ(view_open(views, &view, 1, false, NULL), OK);
	expect_text(SEARCH_BODY, "in front", "1");
	expect_text(SEARCH_BODY, "behind", "1");
	expect_text(SEARCH_TEXT, "behind", "1");
	expect_text(SEARCH_TEXT, "attached", "1");
	expect_text(SEARCH_BODY, "attached", "");
	expect_text(SEARCH_BODY, "inside", "");
	expect_text(SEARCH_TEXT, "inside", "");
	T_OK(fake.bodies < 14 * 3 * 8192);
	fake.bodies = 0;
	expect_text(SEARCH_BODY, "nowhere", "");
	T_OK(fake.bodies > 0 && fake.bodies < 2 * 3 * 8192);
	view_close(views, &view);
}

/* Fields anywhere in a long header: across the pieces that are read, and longer
 * than a piece. */
T_TEST(long_headers)
{
	static char text[60000];

	for (size_t fill = 2900; fill < 30000; fill += fill < 3200 || (fill > 8000 && fill < 8300) ? 1 : 977) {
		size_t at;
		bool fields = chance(2);

		setup();
		at = (size_t)sprintf(text, "From: a@b\r\nX-Fill: ");
		while (at < fill)
			at += (size_t)sprintf(text + at, fields ? "filling\r\nX-Fill: " : "filling\r\n\t");
		at += (size_t)sprintf(text + at, "%.*s", (int)(fill % 10), "yyyyyyyyyy");
		at += (size_t)sprintf(text + at, "\r\nX-Wanted: here it is\r\n\r\nX-Wanted: not here\r\n");
		add_text(text);
		T_EQ(view_open(views, &view, 1, false, NULL), OK);
		expect_header("X-Wanted", "here it", "1");
		expect_header("X-Wanted", "not", "");
		expect_header("X-Fill", "filling", "1");
		expect_header("X-Fil", "", "");
	}
}

/* One field that is longer than a piece and than what its summary keeps, with
 * the string anywhere in it. */
T_TEST(long_fields)
{
	static char text[40000];

	for (size_t place = 7000; place < 26000; place += place < 8400 || (place > 15000 && place < 16800) ? 7 : 211) {
		size_t at = (size_t)sprintf(text, "Subject: x\r\nTo: first@example.org");
		bool placed = false;

		while (at < 27000) {
			if (!placed && at >= place) {
				at += (size_t)sprintf(text + at,
					",\r\n =?utf-8?Q?J=C3=BC?= =?utf-8?Q?rgen?= <wanted@example.org>");
				placed = true;
			}
			at += (size_t)sprintf(text + at, ",\r\n person%u@example.org", (unsigned)at);
		}
		sprintf(text + at, "\r\nX-Last: here\r\n\r\nTo: other\r\n");
		setup();
		add_text(text);
		T_EQ(view_open(views, &view, 1, false, NULL), OK);
		expect_text(SEARCH_TO, "JÜRGEN <wanted@", "1");
		expect_text(SEARCH_TO, "first@", "1");
		expect_text(SEARCH_TO, "other", "");
		expect_text(SEARCH_TO, "here", "");
		expect_header("X-Last", "here", "1");
		expect_header("X-Last", "person", "");
	}
}

/* A string at every place around the borders of slices and pieces, found by two
 * searches that take turns with one space. */
T_TEST(long_bodies_in_slices)
{
	enum { SIZE = 100000 };
	static char text[2][SIZE + 1];

	for (unsigned round = 0; round < 60; round++) {
		struct search *q[2];
		bool found[2] = { false, false };
		unsigned again[2] = { 0, 0 };
		static const char head[] = "From: a@b\r\nContent-Type: text/plain\r\n\r\n";

		setup();
		for (int i = 0; i < 2; i++) {
			size_t place = 8192u * (chance(10) + 2) - chance(12);

			for (size_t k = 0; k < SIZE; k++)
				text[i][k] = k % 70 == 69 ? '\n' : "abcdefghij "[chance(11)];
			text[i][SIZE] = 0;
			memcpy(text[i], head, sizeof head - 1);
			memcpy(text[i] + place, i ? "needle two" : "Needle One", 10);
			add_message(text[i], SIZE);
		}
		T_EQ(view_open(views, &view, 1, false, NULL), OK);
		for (int i = 0; i < 2; i++) {
			T_EQ(search_open(searches, &view, NOW, &q[i]), OK);
			T_EQ(search_text(q[i], SEARCH_BODY, bytes_of(i ? "NEEDLE TWO" : "needle one")), OK);
			T_EQ(search_ready(q[i]), OK);
		}
		for (bool busy = true; busy;) {
			struct search *other = begin();

			/* A third one is built meanwhile. */
			T_EQ(search_text(other, SEARCH_BODY, bytes_of("something else")), OK);
			search_close(other);
			busy = false;
			for (int i = 0; i < 2; i++) {
				struct search_hit hit;
				int rc = search_next(q[i], &hit);

				busy |= rc != E_NOENT;
				again[i] += rc == E_AGAIN;
				if (rc == OK) {
					T_EQ(hit.entry.uid, i + 1);
					T_OK(!found[i]);
					found[i] = true;
				}
			}
		}
		T_OK(found[0] && found[1]);
		T_OK(again[0] >= 3 && again[1] >= 3);
		search_close(q[0]);
		search_close(q[1]);
	}
}

T_TEST(more_strings_than_places_for_them)
{
	static const char *words[] = { "lunch", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "Köln" };
	struct search *q;

	five_messages();
	T_EQ(search_open(searches, &view, NOW, &q), OK);
	for (int i = 0; i < 10; i++) {
		T_EQ(search_or(q), OK);
		T_EQ(search_text(q, SEARCH_SUBJECT, bytes_of(words[i])), OK);
	}
	T_EQ(search_text(q, SEARCH_SUBJECT, bytes_of(words[10])), OK);
	expect(q, "1 2");
}

/* Cheap keys first: no text is read where flags decide. */
T_TEST(cheap_keys_first)
{
	struct search *q;
	unsigned slices;

	five_messages();
	fake_flags(1, 1, STORE_FLAGGED);
	fake.summaries = fake.bodies = 0;
	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_text(q, SEARCH_BODY, bytes_of("grüßen")), OK);
	T_EQ(search_text(q, SEARCH_SUBJECT, bytes_of("köln")), OK);
	T_EQ(search_key(q, SEARCH_FLAGGED), OK);
	T_EQ(search_ready(q), OK);
	T_BYTES(results(q, &slices), 1, "2");
	T_EQ(fake.summaries, 1);
	search_close(q);
}

T_TEST(unreadable_messages)
{
	struct search *q;
	unsigned slices;

	five_messages();
	objects[0].error = E_IO;
	objects[2].error = E_GONE;
	objects[1].summary_len = 3; /* the message itself is whole */
	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_not(q), OK);
	T_EQ(search_text(q, SEARCH_FROM, bytes_of("nobody")), OK);
	T_EQ(search_ready(q), OK);
	T_EQ(strcmp(results(q, &slices), "2 4 5"), 0);
	T_EQ(search_unread(q), 1);
	search_close(q);
	/* Found in the message, where the summary is damaged. */
	expect_text(SEARCH_FROM, "JÜRGEN", "2");
	expect_text(SEARCH_SUBJECT, "grüße aus köln", "2");
}

/* Messages that are expunged while the search stands in the middle of them. */
T_TEST(expunges_meanwhile)
{
	static char text[200000];
	static const char head[] = "Content-Type: text/plain\r\n\r\n";
	struct search *q;
	struct search_hit hit;
	struct view_event event;
	int rc;

	setup();
	memset(text, 'x', sizeof text - 1);
	memcpy(text, head, sizeof head - 1);
	strcpy(text + sizeof text - 6, "tail\n");
	for (int i = 0; i < 3; i++)
		add_message(text, sizeof text - 1);
	T_EQ(view_open(views, &view, 1, false, NULL), OK);
	T_EQ(search_open(searches, &view, NOW, &q), OK);
	T_EQ(search_text(q, SEARCH_BODY, bytes_of("tail")), OK);
	T_EQ(search_ready(q), OK);
	T_EQ(search_next(q, &hit), E_AGAIN);
	fake_expunge(1, 0, 1);
	while ((rc = search_next(q, &hit)) == E_AGAIN)
		;
	T_EQ(rc, OK);
	T_EQ(hit.entry.uid, 2);
	T_EQ(hit.number, 2);
	T_EQ(search_next(q, &hit), E_AGAIN);
	/* Told in the middle of the third (as UID SEARCH allows): it is number 2 then. */
	T_EQ(view_next(views, &view, true, false, &event), OK);
	T_EQ(event.kind, VIEW_EXPUNGE);
	while ((rc = search_next(q, &hit)) == E_AGAIN)
		;
	T_EQ(rc, OK);
	T_EQ(hit.entry.uid, 3);
	T_EQ(hit.number, 2);
	T_EQ(search_next(q, &hit), E_NOENT);
	search_close(q);
}

T_TEST(message_that_breaks_in_the_middle)
{
	static char text[100000];
	static const char head[] = "Content-Type: text/plain\r\n\r\n";
	struct search *q;
	struct search_hit hit;

	setup();
	memset(text, 'x', sizeof text - 1);
	memcpy(text, head, sizeof head - 1);
	add_message(text, sizeof text - 1);
	add_text("Content-Type: text/plain\r\n\r\nneedle\r\n");
	T_EQ(view_open(views, &view, 1, false, NULL), OK);
	q = begin();
	T_EQ(search_text(q, SEARCH_BODY, bytes_of("needle")), OK);
	T_EQ(search_ready(q), OK);
	T_EQ(search_next(q, &hit), E_AGAIN);
	objects[0].error = E_DAMAGED;
	T_EQ(search_next(q, &hit), OK);
	T_EQ(hit.entry.uid, 2);
	T_EQ(search_next(q, &hit), E_NOENT);
	T_EQ(search_unread(q), 1);
	search_close(q);
}

/* What a damaged summary leaves behind is not taken for another one. */
T_TEST(damaged_summary_spoils_no_other)
{
	static char garbage[3000];
	struct view_set set;
	struct search *q;

	setup();
	memset(garbage, 'z', sizeof garbage);
	add_text("Subject: one\r\n\r\n");
	add_text("Subject: two\r\n\r\n");
	objects[1].summary = garbage;
	objects[1].summary_len = sizeof garbage;
	T_EQ(view_open(views, &view, 1, false, NULL), OK);
	for (int i = 0; i < 2; i++) {
		q = begin();
		T_EQ(view_set_parse(bytes_of("1"), true, &set), OK);
		T_EQ(search_set(q, set), OK);
		T_EQ(search_text(q, SEARCH_SUBJECT, bytes_of("one")), OK);
		expect(q, "1");
		q = begin();
		T_EQ(view_set_parse(bytes_of("2"), true, &set), OK);
		T_EQ(search_set(q, set), OK);
		T_EQ(search_text(q, SEARCH_SUBJECT, bytes_of("two")), OK);
		expect(q, "2");
	}
}

T_MAIN(T_RUN(header_keys) T_RUN(sent_days_are_those_of_the_date_field) T_RUN(body_keys)
		T_RUN(attachments_are_passed_over) T_RUN(long_headers) T_RUN(long_fields) T_RUN(long_bodies_in_slices)
			T_RUN(more_strings_than_places_for_them) T_RUN(cheap_keys_first) T_RUN(unreadable_messages)
				T_RUN(expunges_meanwhile) T_RUN(message_that_breaks_in_the_middle)
					T_RUN(damaged_summary_spoils_no_other))
