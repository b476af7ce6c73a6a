/* Messages of the box itself: what they look like, that a new one takes the old
 * one's place, and what happens when they can't be stored. */
#include "control/notice.h"

#include "base/codec.h"
#include "tests/unit/mail_box.h"

enum { ANNA = 1, BERT = 2, CHEF = 3 };

static struct notices *notices;
static char text[70000];

static void start(enum notice_language language)
{
	struct notices_config config = { NULL, NULL, NULL, "box.home.arpa", language };

	box_start(1, SIM_CHUNKS_WHOLE);
	config.store = box_st;
	config.accounts = box_accounts;
	config.arrivals = box_arrivals;
	T_EQ(notices_init(&notices, &box_arena, &config), OK);
}

/* Until nothing is to be done any more. */
static void work(void)
{
	for (unsigned i = 0; i < 1000; i++) {
		int err = notices_work(notices);

		turns(1);
		if (err == OK)
			return;
	}
	T_FAIL("the notices find no end");
}

static void post(const char *key, uint32_t owner, const char *subject, const char *body)
{
	T_EQ(notice_post(notices, key, owner, bytes_of(subject), bytes_of(body)), OK);
}

static void has(const char *what)
{
	if (!strstr(text, what))
		T_FAIL("\"%s\" is not in \"%s\"", what, text);
}

T_TEST(a_plain_one)
{
	start(NOTICE_ENGLISH);
	post("damage", CHEF, "Mail was damaged", "Two messages.\n\nLook at them.\n");
	work();
	T_EQ(box_count(CHEF, "INBOX"), 1);
	box_message(CHEF, "INBOX", 1, text, sizeof text);
	has("Message-ID: <notice.damage.");
	has("@box.home.arpa>\r\nFrom: Cubby <postmaster@box.home.arpa>\r\nTo: chef@box.home.arpa\r\nDate: ");
	has("\r\nSubject: Mail was damaged\r\nAuto-Submitted: auto-generated\r\n");
	has("Content-Transfer-Encoding: 7bit\r\n\r\nTwo messages.\r\n\r\nLook at them.\r\n");
	T_EQ(notices_deadline_us(notices), 0);
}

/* The words and lines are what Python's email.header and base64 make. */
T_TEST(japanese)
{
	start(NOTICE_JAPANESE);
	T_BYTES(notice_say(notices, "a", "b"), 1, "b");
	post("storage", ANNA, "メールの保存場所が残り少なくなっています。", "古いメール\nが消えます。");
	work();
	box_message(ANNA, "INBOX", 1, text, sizeof text);
	has("Subject: =?UTF-8?B?44Oh44O844Or44Gu5L+d5a2Y5aC05omA44GM5q6L44KK5bCR44Gq44GP44Gq?=\r\n"
	    " =?UTF-8?B?44Gj44Gm44GE44G+44GZ44CC?=\r\n");
	has("Content-Transfer-Encoding: base64\r\n\r\n"
	    "5Y+k44GE44Oh44O844OrDQrjgYzmtojjgYjjgb7jgZnjgII=\r\n");
}

/* Lines of 57 bytes, cut anywhere, a line end across two of them included. */
T_TEST(long_lines)
{
	char body[300] = "";
	uint8_t back[400];
	char *coded, joined[600] = "";
	int n;

	start(NOTICE_ENGLISH);
	memset(body, 'x', 54);
	strcpy(body + 54, "é\nabc\n");
	for (unsigned i = 0; i < 20; i++)
		strcat(body, "é\n\n");
	post("long", ANNA, "x", body);
	work();
	box_message(ANNA, "INBOX", 1, text, sizeof text);
	coded = strstr(text, "\r\n\r\n") + 4;
	for (char *line = strtok(coded, "\r\n"); line; line = strtok(NULL, "\r\n")) {
		T_OK(strlen(line) <= 76);
		strcat(joined, line);
	}
	n = codec_base64_read(bytes_of(joined), back, sizeof back);
	T_OK(n > 0);
	for (size_t i = 0, at = 0; i < strlen(body); i++) {
		if (body[i] == '\n')
			T_EQ(back[at++], '\r');
		T_EQ(back[at++], (uint8_t)body[i]);
		if (i + 1 == strlen(body))
			T_EQ(at, n);
	}
}

T_TEST(one_of_a_key)
{
	store_ticket ticket;
	struct store_entry e;
	uint64_t modseq;
	uint32_t id, uid;
	struct store_flag_change change = { STORE_FLAGS_ADD, STORE_FLAGGED, 0, false, false };

	start(NOTICE_ENGLISH);
	post("storage-80", ANNA, "first", "x");
	work();
	post("storage-90", ANNA, "other key", "x");
	work();
	post("storage", ANNA, "shorter key", "x");
	work();
	post("storage-80", BERT, "other owner", "x");
	work();
	post("storage-80", ANNA, "second", "x");
	work();
	T_EQ(box_count(ANNA, "INBOX"), 3);
	T_EQ(box_count(BERT, "INBOX"), 1);
	box_message(ANNA, "INBOX", 3, text, sizeof text);
	has("Subject: second");
	/* The user keeps this one. */
	T_EQ(store_mailbox_find(box_st, ANNA, bytes_of("INBOX"), &id), OK);
	T_EQ(store_entry_at(box_st, id, 3, &e), OK);
	uid = e.uid;
	T_EQ(store_flags(box_st, id, &uid, 1, &change, &modseq, &ticket), OK);
	post("storage-80", ANNA, "third", "x");
	work();
	T_EQ(box_count(ANNA, "INBOX"), 4);
	T_EQ(notice_withdraw(notices, "storage-90", ANNA), OK);
	work();
	T_EQ(box_count(ANNA, "INBOX"), 3);
	box_message(ANNA, "INBOX", 1, text, sizeof text);
	has("Subject: shorter key");
}

/* Before it is begun the newer text counts; places are bounded. */
T_TEST(waiting)
{
	char key[] = "k0";

	start(NOTICE_ENGLISH);
	for (unsigned i = 0; i < NOTICE_PLACES; i++, key[1]++)
		post(key, ANNA, "old", "x");
	T_EQ(notice_post(notices, key, ANNA, bytes_of("x"), bytes_of("x")), E_AGAIN);
	post("k0", ANNA, "new", "x");
	work();
	T_EQ(box_count(ANNA, "INBOX"), NOTICE_PLACES);
	box_message(ANNA, "INBOX", 1, text, sizeof text);
	has("Subject: new");
}

T_TEST(what_is_refused)
{
	static char long_text[NOTICE_TEXT + 1];

	start(NOTICE_ENGLISH);
	memset(long_text, 'x', sizeof long_text);
	T_EQ(notice_post(notices, "a.b", ANNA, bytes_of("x"), bytes_of("x")), E_SYNTAX);
	T_EQ(notice_post(notices, "", ANNA, bytes_of("x"), bytes_of("x")), E_SYNTAX);
	T_EQ(notice_post(notices, "a", ANNA, bytes_of(""), bytes_of("x")), E_SYNTAX);
	T_EQ(notice_post(notices, "a", ANNA, bytes_of("\xff"), bytes_of("x")), E_SYNTAX);
	T_EQ(notice_post(notices, "a", ANNA, bytes_of("x"), bytes_make(long_text, sizeof long_text)), E_LIMIT);
	post("a", ANNA, "two\r\nBcc: lines", "x");
	post("a", 99, "nobody", "x");
	work();
	T_EQ(notices_deadline_us(notices), 0);
	box_message(ANNA, "INBOX", 1, text, sizeof text);
	has("Subject: two  Bcc: lines\r\n");
}

/* Who has no room gets it later. */
T_TEST(no_room)
{
	struct store_upload *up;
	struct store_target target = { .flags = 0 };
	static char big[900000];
	store_ticket ticket;

	start(NOTICE_ENGLISH);
	T_EQ(store_mailbox_find(box_st, ANNA, bytes_of("INBOX"), &target.mailbox), OK);
	for (unsigned i = 0; i < 3; i++) {
		size_t n = i < 2 ? sizeof big : (size_t)(box_store.owner_quota - 2 * sizeof big);

		T_EQ(store_upload_begin(box_st, n, &up), OK);
		T_EQ(store_upload_write(up, big, n), OK);
		T_EQ(store_upload_commit(up, bytes_of(""), &target, 1, &ticket), OK);
		turns(3);
	}
	post("a", ANNA, "x", "x");
	work();
	T_EQ(box_count(ANNA, "INBOX"), 3);
	T_OK(notices_deadline_us(notices) > port_now_us());
	T_EQ(store_expunge(box_st, target.mailbox, (uint32_t[]){ 1 }, 1, &(uint64_t){ 0 }, &ticket), OK);
	turns(3);
	sim_advance_us(61000000);
	work();
	T_EQ(box_count(ANNA, "INBOX"), 3);
	T_EQ(notices_deadline_us(notices), 0);
}

T_TEST(the_first_admin)
{
	uint32_t owner = 0;

	start(NOTICE_ENGLISH);
	T_EQ(notice_admin(notices, &owner), OK);
	T_EQ(owner, CHEF);
}

T_MAIN(T_RUN(a_plain_one) T_RUN(japanese) T_RUN(long_lines) T_RUN(one_of_a_key) T_RUN(waiting) T_RUN(what_is_refused)
		T_RUN(no_room) T_RUN(the_first_admin))
