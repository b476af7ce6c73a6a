/* LMTP over the loop, the store and the users on the simulated port: in any
 * pieces, with clients that stop, and with the plug pulled at every write. */
#include "mta/lmtp.h"

#include <stdlib.h>

#include "mta/smtp_session.h"
#include "tests/unit/mail_box.h"

#define GREETING "220 box.home.arpa LMTP Cubby\r\n"
#define HELLO \
	"250-box.home.arpa\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n" \
	"250 SIZE 1048576\r\n"
#define SENDER_TAKEN "250 2.1.0 Sender taken\r\n"
#define RECIPIENT_TAKEN "250 2.1.5 Recipient taken\r\n"
#define NO_USER "550 5.1.1 No such user here\r\n"
#define GO_ON "354 Go on, end with a dot\r\n"
#define KEPT "250 2.0.0 Kept\r\n"
#define FULL "452 4.2.2 Mailbox or storage is full\r\n"

enum { ANNA = 1, BERT = 2 };

static char text[8192];

static sim_client greeted(void)
{
	sim_client c = sim_connect_unix("lmtp", 0, 0);

	T_SAY(c, "", GREETING);
	T_SAY(c, "LHLO client.example\r\n", HELLO);
	return c;
}

T_TEST(a_session_in_any_pieces)
{
	static const enum sim_chunks chunks[] = { SIM_CHUNKS_WHOLE, SIM_CHUNKS_RANDOM, SIM_CHUNKS_ONE };

	for (unsigned i = 0; i < 3; i++) {
		sim_client c;

		box_start(i + 1, chunks[i]);
		c = greeted();
		T_SAY(c,
			"MAIL FROM:<joe@a.example>\r\nRCPT TO:<anna@x>\r\nRCPT TO:<nobody@x>\r\n"
			"RCPT TO:<bert+lists/cubby>\r\nrcpt to:<anna+lists/cubby@x>\r\nDATA\r\n",
			SENDER_TAKEN RECIPIENT_TAKEN NO_USER RECIPIENT_TAKEN RECIPIENT_TAKEN GO_ON);
		T_SAY(c, "Subject: x\r\n\r\n..one\n.\ntwo\r\n.\r\nNOOP\r\nQUIT\r\nNOOP\r\n",
			KEPT KEPT KEPT "250 2.0.0 Fine\r\n221 2.0.0 Bye\r\n");
		T_OK(sim_client_closed(c));
		T_EQ(box_count(ANNA, "INBOX"), 1);
		T_EQ(box_count(ANNA, "Lists/Cubby"), 1);
		T_EQ(box_count(BERT, "INBOX"), 1);
		box_message(BERT, "INBOX", 1, text, sizeof text);
		T_OK(strncmp(text, "Return-Path: <joe@a.example>\r\nReceived: from client.example\r\n", 60) == 0);
		T_OK(strstr(text, "\r\nSubject: x\r\n\r\n.one\n.\ntwo\r\n") != NULL);
		box_nothing_left();
	}
}

T_TEST(postmaster_is_an_administrator)
{
	sim_client c;

	box_start(1, SIM_CHUNKS_WHOLE);
	c = greeted();
	T_SAY(c, "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n", SENDER_TAKEN RECIPIENT_TAKEN GO_ON);
	T_SAY(c, "x\r\n.\r\n", KEPT);
	T_EQ(box_count(3, "INBOX"), 1);
}

T_TEST(a_client_that_goes_away_leaves_nothing)
{
	static const char *const parts[] = { "", "LHLO", "LHLO x\r\n", "LHLO x\r\nMAIL FROM:<>\r\n",
		"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna>\r\n",
		"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna>\r\nDATA\r\n" };

	for (unsigned i = 0; i < 6 * 3; i++) {
		sim_client c;

		box_start(i + 1, SIM_CHUNKS_RANDOM);
		c = sim_connect_unix("lmtp", 0, 0);
		box_send(c, parts[i / 3], strlen(parts[i / 3]));
		box_read(c);
		if (i / 3 == 5) {
			memset(text, 'x', sizeof text);
			for (int k = 0; k < 20; k++)
				box_send(c, text, sizeof text);
			box_send(c, "\r\n.\r", 4); /* all but the last byte of the end */
		}
		if (i % 3 == 0)
			sim_client_close(c);
		else if (i % 3 == 1)
			sim_client_reset(c);
		else
			sim_client_half_close(c);
		turns(10);
		T_EQ(box_count(ANNA, "INBOX"), 0);
		box_nothing_left();
		/* The places for arriving mail are free again. */
		for (int k = 0; k < 2; k++) {
			struct arrival *r;

			T_EQ(arrival_begin(box_arrivals, 0, false, &r), OK);
		}
	}
}

T_TEST(silence_ends_a_session)
{
	sim_client c;

	box_start(1, SIM_CHUNKS_WHOLE);
	c = greeted();
	sim_advance_us((SMTP_COMMAND_S - 2) * UINT64_C(1000000));
	T_SAY(c, "NOOP\r\n", "250 2.0.0 Fine\r\n");
	sim_advance_us((SMTP_COMMAND_S + 1) * UINT64_C(1000000));
	T_SAY(c, "", "421 4.4.2 Timeout\r\n");
	T_OK(sim_client_closed(c));
	c = greeted();
	T_SAY(c, "MAIL FROM:<>\r\nRCPT TO:<anna>\r\nDATA\r\n", SENDER_TAKEN RECIPIENT_TAKEN GO_ON);
	sim_advance_us((SMTP_DATA_S + 1) * UINT64_C(1000000));
	T_SAY(c, "", "421 4.4.2 Timeout\r\n");
	box_nothing_left();
}

T_TEST(a_message_takes_an_hour_at_most)
{
	sim_client c;
	uint64_t start;

	box_start(1, SIM_CHUNKS_WHOLE);
	c = greeted();
	T_SAY(c, "MAIL FROM:<>\r\nRCPT TO:<anna>\r\nDATA\r\n", SENDER_TAKEN RECIPIENT_TAKEN GO_ON);
	start = sim_time_us();
	while (!sim_client_closed(c) && sim_time_us() - start < 2 * SMTP_MESSAGE_S * UINT64_C(1000000)) {
		box_send(c, "x", 1);
		sim_advance_us(100 * UINT64_C(1000000));
		turns(3);
	}
	T_OK(sim_client_closed(c));
	T_OK(sim_time_us() - start < (SMTP_MESSAGE_S + 300) * UINT64_C(1000000));
}

T_TEST(waits_for_a_place_and_gives_up)
{
	struct arrival *taken[2];
	sim_client c;

	box_start(1, SIM_CHUNKS_WHOLE);
	T_EQ(arrival_begin(box_arrivals, 0, false, &taken[0]), OK);
	T_EQ(arrival_begin(box_arrivals, 0, false, &taken[1]), OK);
	c = greeted();
	T_SAY(c, "MAIL FROM:<>\r\nRCPT TO:<anna>\r\nDATA\r\n", SENDER_TAKEN RECIPIENT_TAKEN);
	sim_advance_us(SMTP_PLACE_US / 2);
	T_SAY(c, "", "");
	arrival_abort(taken[0]);
	sim_advance_us(SMTP_PLACE_LOOK_US);
	T_SAY(c, "", GO_ON);
	T_SAY(c, "x\r\n.\r\n", KEPT);
	T_EQ(arrival_begin(box_arrivals, 0, false, &taken[0]), OK);
	T_SAY(c, "MAIL FROM:<>\r\nRCPT TO:<anna>\r\nDATA\r\n", SENDER_TAKEN RECIPIENT_TAKEN);
	for (int i = 0; i < 4; i++) {
		sim_advance_us(SMTP_PLACE_US / 3);
		turns(3);
	}
	T_SAY(c, "", "451 4.3.2 Too much mail arrives at once\r\n");
	T_SAY(c, "NOOP\r\n", "250 2.0.0 Fine\r\n");
}

static void send_message(sim_client c, size_t len)
{
	memset(text, 'x', sizeof text);
	while (len) {
		size_t n = len < sizeof text ? len : sizeof text;

		box_send(c, text, n);
		len -= n;
	}
	box_send(c, "\r\n.\r\n", 5);
}

T_TEST(full_and_too_big)
{
	sim_client c;

	box_start(1, SIM_CHUNKS_WHOLE);
	c = greeted();
	T_SAY(c, "MAIL FROM:<> SIZE=1048577\r\n", "552 5.3.4 Message is larger than this box takes\r\n");
	T_SAY(c, "MAIL FROM:<>\r\nRCPT TO:<anna>\r\nDATA\r\n", SENDER_TAKEN RECIPIENT_TAKEN GO_ON);
	send_message(c, 1100000);
	T_SAY(c, "", "552 5.3.4 Message is larger than this box takes\r\n");
	for (int i = 0; i < 2; i++) {
		T_SAY(c, "MAIL FROM:<>\r\nRCPT TO:<anna>\r\nDATA\r\n", SENDER_TAKEN RECIPIENT_TAKEN GO_ON);
		send_message(c, 900000);
		T_SAY(c, "", KEPT);
	}
	/* anna's quota is used up, bert's is not: each has an answer of his own */
	T_SAY(c, "MAIL FROM:<>\r\nRCPT TO:<anna>\r\nRCPT TO:<bert>\r\nDATA\r\n",
		SENDER_TAKEN RECIPIENT_TAKEN RECIPIENT_TAKEN GO_ON);
	send_message(c, 900000);
	T_SAY(c, "", FULL KEPT);
	T_SAY(c, "MAIL FROM:<> SIZE=900000\r\nRCPT TO:<anna>\r\n", SENDER_TAKEN FULL);
	T_EQ(box_count(ANNA, "INBOX"), 2);
	T_EQ(box_count(BERT, "INBOX"), 1);
}

T_TEST(a_mailbox_deleted_meanwhile)
{
	store_ticket ticket;
	uint32_t id;
	sim_client c;

	box_start(1, SIM_CHUNKS_WHOLE);
	c = greeted();
	T_SAY(c, "MAIL FROM:<>\r\nRCPT TO:<anna+Lists/Cubby>\r\nDATA\r\n", SENDER_TAKEN RECIPIENT_TAKEN GO_ON);
	T_EQ(store_mailbox_find(box_st, ANNA, bytes_of("Lists/Cubby"), &id), OK);
	T_EQ(store_mailbox_delete(box_st, id, &ticket), OK);
	turns(4);
	T_SAY(c, "x\r\n.\r\n", KEPT);
	T_EQ(box_count(ANNA, "INBOX"), 1);
}

T_TEST(more_clients_than_places)
{
	sim_client c[6];

	box_start(1, SIM_CHUNKS_WHOLE);
	for (int i = 0; i < 4; i++) {
		c[i] = sim_connect_unix("lmtp", 0, 0);
		T_SAY(c[i], "", GREETING);
	}
	c[4] = sim_connect(24);
	T_SAY(c[4], "", "421 4.3.2 Too many connections, try again later\r\n");
	T_OK(sim_client_closed(c[4])); /* the loop's own bound */
	for (int i = 0; i < 4; i++)
		T_SAY(c[i], "NOOP\r\n", "250 2.0.0 Fine\r\n");
}

/* ---- power ---- */

static unsigned answered;
static sim_client deliverer;

/* Five messages of different sizes, one after the other; counts those for which
 * both answers left the server, whether they were read before the cut or not. */
static void deliver_five(void *context)
{
	static const size_t sizes[] = { 10, 3000, 70000, 300000, 10 };
	sim_client c;

	(void)context;
	box_open();
	c = deliverer = sim_connect_unix("lmtp", 0, 0);
	box_send(c, "LHLO x\r\n", 8);
	for (unsigned i = 0; i < 5; i++) {
		static const char head[] = "MAIL FROM:<>\r\nRCPT TO:<anna>\r\nRCPT TO:<bert>\r\nDATA\r\n";

		box_send(c, head, sizeof head - 1);
		box_read(c);
		send_message(c, sizes[i]);
		if (strcmp(box_read(c), KEPT KEPT) == 0)
			answered++;
	}
	store_close(box_st);
}

/* What was answered 250 is there for both, once more at most. */
static void recover(void *context)
{
	uint32_t anna, bert;

	(void)context;
	box_open();
	anna = box_count(ANNA, "INBOX");
	bert = box_count(BERT, "INBOX");
	T_EQ(anna, bert);
	T_OK(anna == answered || anna == answered + 1);
	for (uint32_t i = 1; i <= anna; i++) {
		static char whole[400000];
		size_t len = box_message(ANNA, "INBOX", i, whole, sizeof whole);

		T_OK(len > 12 && strcmp(whole + len - 3, "x\r\n") == 0);
	}
	store_close(box_st);
}

T_TEST(answered_mail_survives_a_cut_at_every_operation)
{
	unsigned cuts = 0;

	box_start(1, SIM_CHUNKS_WHOLE);
	for (uint64_t n = 1;; n++) {
		enum sim_end end;

		sim_reset(n);
		sim_image_load(box_image);
		sim_network(SIM_CHUNKS_WHOLE, 65536);
		answered = 0;
		sim_cut_at(n);
		deliverer = -1;
		end = sim_run(deliver_five, NULL);
		if (end == SIM_DONE)
			break;
		T_EQ(end, SIM_CUT);
		if (deliverer >= 0 && sim_client_recv(deliverer, text, sizeof text) == sizeof(KEPT KEPT) - 1)
			answered++;
		sim_power_cut(n % 3 ? &sim_mixed : n % 2 ? &sim_lose_all : &sim_keep_all);
		T_EQ(sim_run(recover, NULL), SIM_DONE);
		cuts++;
	}
	T_EQ(answered, 5);
	T_OK(cuts > 20);
}

T_MAIN(T_RUN(a_session_in_any_pieces) T_RUN(postmaster_is_an_administrator) T_RUN(
	a_client_that_goes_away_leaves_nothing) T_RUN(silence_ends_a_session) T_RUN(a_message_takes_an_hour_at_most)
		T_RUN(waits_for_a_place_and_gives_up) T_RUN(full_and_too_big) T_RUN(a_mailbox_deleted_meanwhile)
			T_RUN(more_clients_than_places) T_RUN(answered_mail_survives_a_cut_at_every_operation))
