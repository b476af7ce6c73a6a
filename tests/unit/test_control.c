/* The control socket over the loop, the store and the users on the simulated
 * port, and what `deliver` and `import` do with a message. */
#include "control/control.h"

#include <stdlib.h>

#include "control/control_session.h"
#include "port/system.h"
#include "store/backup.h"
#include "tests/unit/mail_box.h"

enum { ANNA = 1, BERT = 2 };

static char text[70000];

static sim_client connected(void)
{
	return sim_connect_unix("control", 0, 0);
}

T_TEST(requests_in_any_pieces)
{
	static const enum sim_chunks chunks[] = { SIM_CHUNKS_WHOLE, SIM_CHUNKS_RANDOM, SIM_CHUNKS_ONE };

	for (unsigned i = 0; i < 3; i++) {
		sim_client c;

		box_start(i + 1, chunks[i]);
		c = connected();
		T_SAY(c, "USERS-CHANGED\nroom nobody\nCHECK\n", "OK\nERR missing no such user or mailbox\nOK\n");
	}
}

T_TEST(deliver)
{
	sim_client c;

	box_start(1, SIM_CHUNKS_RANDOM);
	c = connected();
	T_SAY(c, "DELIVER anna - 0\n12\nSubject: x\n\n3\nhi\n0\n", "OK 1 0\n");
	box_message(ANNA, "INBOX", 1, text, sizeof text);
	T_BYTES(text, strlen(text), "Subject: x\r\n\r\nhi\r\n");
	T_SAY(c, "DELIVER anna Lists/Cubby 3\n3\nabc0\n", "OK 1 0\n");
	T_SAY(c, "DELIVER anna Nowhere 3\n3\nabc0\nDELIVER nobody - 3\n3\nabc0\n",
		"ERR missing no such user or mailbox\nERR missing no such user or mailbox\n");
	T_EQ(box_count(ANNA, "INBOX"), 1);
	T_EQ(box_count(ANNA, "Lists/Cubby"), 1);
}

T_TEST(import_keeps_flags_keywords_and_dates)
{
	struct store_entry e;
	uint32_t id;
	unsigned bit;
	sim_client c;

	box_start(1, SIM_CHUNKS_RANDOM);
	c = connected();
	T_SAY(c, "IMPORT anna Old/M%C3%BCll%20x FRS $label1,Work 837596665 -420 2\n2\nx\n0\n", "OK 1 0\n");
	T_EQ(store_mailbox_find(box_st, ANNA, bytes_of("Old/M\xc3\xbcll x"), &id), OK);
	T_EQ(store_entry_at(box_st, id, 1, &e), OK);
	T_EQ(e.flags, STORE_SEEN | STORE_ANSWERED | STORE_FLAGGED);
	T_EQ(e.received, 837596665);
	T_EQ(e.zone, -420);
	T_EQ(store_keyword(box_st, id, bytes_of("$label1"), false, &bit), OK);
	T_OK(e.keywords & UINT64_C(1) << bit);
	T_EQ(store_keyword(box_st, id, bytes_of("Work"), false, &bit), OK);
	T_OK(e.keywords & UINT64_C(1) << bit);
	T_EQ(e.size, 3);
}

/* Many without waiting: each has its answer, in order, and a new keyword in
 * every one of them is not lost; beyond LIMIT_KEYWORDS it is counted. */
T_TEST(pipelined_import)
{
	static char requests[20000], expected[4000];
	size_t len = 0, expected_len = 0;
	uint32_t id;
	sim_client c;

	for (unsigned i = 0; i < 100; i++) {
		len += (size_t)sprintf(requests + len, "IMPORT anna Many S Word%u %u 0 2\n2\nx\n0\n", i, i);
		expected_len += (size_t)sprintf(expected + expected_len, "OK %u %u\n", i + 1, i >= LIMIT_KEYWORDS);
		if (i % 10 == 3) {
			len += (size_t)sprintf(requests + len, "DELIVER nobody - 0\n0\n");
			expected_len +=
				(size_t)sprintf(expected + expected_len, "ERR missing no such user or mailbox\n");
		}
	}
	box_start(1, SIM_CHUNKS_RANDOM);
	c = connected();
	T_SAY(c, requests, expected);
	T_EQ(box_count(ANNA, "Many"), 100);
	T_EQ(store_mailbox_find(box_st, ANNA, bytes_of("Many"), &id), OK);
	for (uint32_t i = 0; i < LIMIT_KEYWORDS; i++) {
		struct store_entry e;
		char name[LIMIT_KEYWORD_NAME + 1];
		char wanted[16];
		int n;

		T_EQ(store_entry_at(box_st, id, i + 1, &e), OK);
		T_EQ(e.received, i);
		T_EQ(e.keywords & (e.keywords - 1), 0);
		n = store_keyword_name(box_st, id, (unsigned)__builtin_ctzll(e.keywords), name);
		T_OK(n > 0);
		sprintf(wanted, "Word%u", i);
		T_BYTES(name, n, wanted);
	}
}

T_TEST(pipelined_messages_share_a_sync)
{
	static char requests[4000];
	uint64_t before;
	size_t len = 0;
	sim_client c;

	for (unsigned i = 0; i < 30; i++)
		len += (size_t)sprintf(requests + len, "IMPORT anna - - - %u 0 2\n2\nx\n0\n", i);
	box_start(1, SIM_CHUNKS_WHOLE);
	c = connected();
	before = sim_syncs();
	box_send(c, requests, len);
	box_read(c);
	T_EQ(box_count(ANNA, "INBOX"), 30);
	/* A message keeps its place among the eight until it is durable; a new segment
	 * may take two more. */
	T_OK(sim_syncs() - before <= 30 / box_store.uploads + 3);
}

T_TEST(room_and_full)
{
	unsigned long long room, less;
	sim_client c;

	box_start(1, SIM_CHUNKS_WHOLE);
	c = connected();
	box_send(c, "ROOM anna\n", 10);
	T_EQ(sscanf(box_read(c), "OK %*u %llu", &room), 1);
	T_OK(room <= box_store.owner_quota && room > box_store.owner_quota / 2);
	memset(text, 'x', sizeof text);
	for (int i = 0; i < 2; i++) {
		box_send(c, "DELIVER anna - 0\n", 17);
		for (int k = 0; k < 15; k++) {
			box_send(c, "60000\n", 6);
			box_send(c, text, 60000);
		}
		T_SAY(c, "0\n", i ? "OK 2 0\n" : "OK 1 0\n");
	}
	box_send(c, "ROOM anna\n", 10);
	T_EQ(sscanf(box_read(c), "OK %*u %llu", &less), 1);
	T_OK(room - less >= 1800000);
	T_SAY(c, "DELIVER anna - 900000\n3\nabc0\n", "ERR full the quota or the storage is used up\n");
	T_SAY(c, "DELIVER bert - 9000000\n3\nabc0\n", "ERR too-big the message is larger than the box takes\n");
	T_SAY(c, "DELIVER bert - 0\n3\nabc0\n", "OK 1 0\n");
}

T_TEST(bad_requests_close)
{
	static const char *const bad[] = { "\n", "FROB\n", "STATUS a b\n", "ROOM\n", "ROOM a b\n", "DELIVER anna\n",
		"ROOM  anna\n", "ROOM an%zna\n", "ROOM a\tb\n", "IMPORT anna - S - 1 0\n" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		sim_client c;
		const char *got;

		box_start(1, SIM_CHUNKS_RANDOM);
		c = connected();
		box_send(c, bad[i], strlen(bad[i]));
		box_send(c, "USERS-CHANGED\n", 14);
		got = box_read(c);
		if (strncmp(got, "ERR syntax ", 11) != 0 || strstr(got, "OK"))
			T_FAIL("%s: %s", bad[i], got);
		T_OK(sim_client_closed(c));
		turns(2);
		T_EQ(box_control->sessions.used, 0);
	}
}

T_TEST(bad_bodies)
{
	static const char *const bad[] = { "DELIVER anna - 0\nabc\n", "DELIVER anna - 0\n-1\n", "DELIVER anna - 0\n\n",
		"DELIVER anna - 0\n99999999999\n", "DELIVER anna - 0\n2147483648\n",
		"DELIVER anna - 0\n000000000000000000000" };
	static const char *const refused[] = { "DELIVER anna - x\n1\na0\n", "IMPORT anna - Q - 1 0 0\n1\na0\n",
		"IMPORT anna - S - 1 9999 0\n1\na0\n", "IMPORT anna - S - 99999999999999 0 0\n1\na0\n" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		sim_client c;

		box_start(1, SIM_CHUNKS_RANDOM);
		c = connected();
		T_SAY(c, bad[i], "ERR syntax a chunk is its length, LF, and its bytes\n");
		T_OK(sim_client_closed(c));
		T_EQ(box_count(ANNA, "INBOX"), 0);
	}
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		sim_client c;

		box_start(1, SIM_CHUNKS_RANDOM);
		c = connected();
		T_SAY(c, refused[i], "ERR syntax the request makes no sense\n");
		T_SAY(c, "USERS-CHANGED\n", "OK\n");
		T_EQ(box_count(ANNA, "INBOX"), 0);
	}
}

T_TEST(a_line_without_end)
{
	sim_client c;

	box_start(1, SIM_CHUNKS_WHOLE);
	c = connected();
	memset(text, 'x', 5000);
	box_send(c, text, 5000);
	T_SAY(c, "", "ERR syntax the line is too long\n");
	T_OK(sim_client_closed(c));
}

T_TEST(a_client_that_goes_away_leaves_nothing)
{
	static const char *const parts[] = { "", "DELI", "DELIVER anna - 0\n", "DELIVER anna - 0\n10\nabc",
		"DELIVER anna - 0\n3\nabc" };

	for (unsigned i = 0; i < 5 * 2; i++) {
		sim_client c;
		struct arrival *r;

		box_start(i + 1, SIM_CHUNKS_RANDOM);
		c = connected();
		box_send(c, parts[i / 2], strlen(parts[i / 2]));
		box_read(c);
		if (i % 2)
			sim_client_reset(c);
		else
			sim_client_half_close(c);
		turns(10);
		T_EQ(box_count(ANNA, "INBOX"), 0);
		T_EQ(box_control->sessions.used, 0);
		box_nothing_left();
		T_EQ(arrival_begin(box_arrivals, 0, false, &r), OK);
		T_EQ(arrival_begin(box_arrivals, 0, false, &r), OK);
	}
}

T_TEST(only_unix_sockets)
{
	sim_client c;

	box_start(1, SIM_CHUNKS_WHOLE);
	c = sim_connect(25);
	T_SAY(c, "", "ERR state only unix sockets are served\n");
	T_OK(sim_client_closed(c));
}

T_TEST(mail_of_a_user_who_is_there_is_never_removed)
{
	uint64_t used, messages;
	uint32_t id;
	sim_client c;

	box_start(1, SIM_CHUNKS_WHOLE);
	c = connected();
	T_SAY(c, "DELIVER bert - 0\n3\nabc0\n", "OK 1 0\n");
	T_SAY(c, "REMOVE-USER 2\n", "ERR state this user is still in the users file\n");
	T_SAY(c, "REMOVE-USER 0\nREMOVE-USER x\n",
		"ERR syntax the request makes no sense\nERR syntax the request makes no sense\n");
	store_owner_usage(box_st, BERT, &used, &messages);
	T_EQ(messages, 1);
	T_EQ(account_remove(box_accounts, bytes_of("bert"), &id), OK);
	T_SAY(c, "REMOVE-USER 2\n", "OK\n");
	store_owner_usage(box_st, BERT, &used, &messages);
	T_EQ(messages, 0);
	T_EQ(box_count(ANNA, "INBOX"), 0);
}

T_TEST(silence_ends_a_session)
{
	sim_client c;

	box_start(1, SIM_CHUNKS_WHOLE);
	c = connected();
	T_SAY(c, "DELIVER anna - 0\n5\nab", "");
	sim_advance_us((CONTROL_IDLE_S + 1) * UINT64_C(1000000));
	T_SAY(c, "", "");
	T_OK(sim_client_closed(c));
	T_EQ(box_control->sessions.used, 0);
}

/* The table is the same in both forms; the text has a line for each figure. */
T_TEST(status)
{
	const char *got;
	sim_client c;
	unsigned braces = 0, open = 0;

	box_start(1, SIM_CHUNKS_WHOLE);
	c = connected();
	T_SAY(c, "DELIVER anna - 0\n3\nabc0\n", "OK 1 0\n");
	box_send(c, "STATUS\n", 7);
	got = box_read(c);
	T_OK(strstr(got, "\n:store messages                  1\n") != NULL);
	T_OK(strstr(got, "\n:user chef                       0 messages, 0, administrator\n") != NULL);
	T_OK(strcmp(got + strlen(got) - 4, "\nOK\n") == 0);
	box_send(c, "STATUS json\n", 12);
	got = box_read(c);
	T_OK(strncmp(got, ":{ \"version\": \"test\",\n", 22) == 0);
	T_OK(strstr(got, "{ \"name\": \"anna\", \"admin\": false, \"messages\": 1, \"mail\": ") != NULL);
	for (const char *p = got; *p; p++) {
		braces += *p == '{';
		open += *p == '{';
		open -= *p == '}';
	}
	T_OK(braces > 5);
	T_EQ(open, 0);
}

/* ---- backups ---- */

static void fill_inbox(unsigned messages)
{
	static char request[60100];
	sim_client c = connected();

	for (unsigned i = 0; i < messages; i++) {
		int n = sprintf(request, "DELIVER anna - 0\n50000\n");

		memset(request + n, 'x', 50000);
		strcpy(request + n + 50000, "0\n");
		box_send(c, request, (size_t)n + 50002);
	}
	box_read(c);
	T_EQ(box_count(ANNA, "INBOX"), messages);
	sim_client_close(c);
}

/* Only for those who may read the files themselves. */
T_TEST(backup_is_not_for_the_group)
{
	sim_client c;

	box_start(1, SIM_CHUNKS_RANDOM);
	c = sim_connect_unix("control", 1000, 1000);
	T_SAY(c, "BACKUP\n", "ERR access everybody's mail is only for root and for the server's own user\n");
	c = sim_connect_unix("control", port_user_id(), 0);
	box_send(c, "BACKUP\n", 7);
	T_OK(strncmp(box_read(c), ":0112\n\x01", 7) == 0);
}

T_TEST(backup_of_a_reader_that_stops)
{
	sim_client c, other;
	char piece[100];

	box_start(1, SIM_CHUNKS_WHOLE);
	fill_inbox(10);
	c = connected();
	box_send(c, "BACKUP\n", 7);
	turns(100);
	T_EQ(sim_client_recv(c, piece, sizeof piece), sizeof piece);
	/* Nobody else waits for it; a second one does. */
	other = connected();
	T_SAY(other, "DELIVER anna - 0\n3\nabc0\nBACKUP\n",
		"OK 11 0\nERR state another backup is under way, or just ended: try again\n");
	T_OK(!store_backup_settled(box_st));
	for (unsigned i = 0; i < 100; i++) {
		sim_advance_us(1000000);
		turns(1);
	}
	T_OK(store_backup_settled(box_st));
	T_EQ(box_control->sessions.used, 1);
}

T_MAIN(T_RUN(requests_in_any_pieces) T_RUN(deliver) T_RUN(import_keeps_flags_keywords_and_dates) T_RUN(pipelined_import)
		T_RUN(pipelined_messages_share_a_sync) T_RUN(room_and_full) T_RUN(bad_requests_close) T_RUN(bad_bodies)
			T_RUN(a_line_without_end) T_RUN(a_client_that_goes_away_leaves_nothing) T_RUN(only_unix_sockets)
				T_RUN(mail_of_a_user_who_is_there_is_never_removed) T_RUN(silence_ends_a_session) T_RUN(
					status) T_RUN(backup_is_not_for_the_group) T_RUN(backup_of_a_reader_that_stops))
