/* IMAP sessions over the real store in a simulated box: what goes over the wire
 * and what must come back. */
#include "imap_box.h"

/* One place for what most tests begin with. */
#define MESSAGE "From: Fred Foobar <foobar@Blurdybloop.example>\r\nSubject: afternoon meeting\r\n\r\nHello Joe\r\n"

static void begin(void)
{
	box_new(1, SIM_CHUNKS_RANDOM, 16384);
}

static void end(sim_client c)
{
	TALK(c, "z9 LOGOUT\r\n", "* BYE Logging out\r\nz9 OK Good bye\r\n");
	T_OK(sim_client_closed(c));
}

T_TEST(sizes)
{
	printf("# a session takes %zu bytes, a command %zu\n", sizeof(struct session), sizeof(union command_unit));
	T_OK(sizeof(struct session) <= 1024);
	T_OK(sizeof(union command_unit) <= 8192);
}

/* ---- before login ---- */

T_TEST(greeting_and_states)
{
	sim_client c;

	begin();
	c = box_connect();
	HEARD("* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID ENABLE AUTH=PLAIN AUTH=LOGIN] Cubby is ready\r\n");
	TALK(c, "a1 SELECT INBOX\r\n", "a1 BAD Log in first\r\n");
	TALK(c, "a2 FOO\r\n", "a2 BAD Unknown command\r\n");
	TALK(c, "a3 noop\r\n", "a3 OK ~\r\n");
	TALK(c, "a4 NOOP x\r\n", "a4 BAD ~\r\n");
	TALK(c, "\r\n\r\na5 NOOP\r\n", "a5 OK ~\r\n");
	TALK(c, "a6 LOGIN anna wrong\r\n", "a6 NO [AUTHENTICATIONFAILED] ~\r\n");
	TALK(c, "a7 LOGIN nobody geheim\r\n", "a7 NO [AUTHENTICATIONFAILED] ~\r\n");
	TALK(c, "a8 LOGIN anna \"ge\\heim\"\r\n", "a8 OK [CAPABILITY IMAP4rev1 ~ IDLE ~] Logged in\r\n");
	TALK(c, "a9 LOGIN anna geheim\r\n", "a9 BAD Already logged in\r\n");
	TALK(c, "b1 FETCH 1 FLAGS\r\n", "b1 BAD Select a mailbox first\r\n");
	end(c);
	box_nothing_left();
}

T_TEST(no_password_in_clear)
{
	sim_client c;

	begin();
	box.imap->config.cleartext = IMAP_CLEARTEXT_NEVER;
	c = box_connect();
	HEARD("* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID ENABLE LOGINDISABLED] Cubby is ready\r\n");
	TALK(c, "a1 LOGIN anna geheim\r\n", "a1 NO [PRIVACYREQUIRED] ~\r\n");
	TALK(c, "a2 AUTHENTICATE PLAIN AGFubmEAZ2VoZWlt\r\n", "a2 NO [PRIVACYREQUIRED] ~\r\n");
	TALK(c, "a3 STARTTLS\r\n", "a3 NO [UNAVAILABLE] ~\r\n");
	box.imap->config.cleartext = IMAP_CLEARTEXT_LOOPBACK;
	TALK(c, "a4 LOGIN anna geheim\r\n", "a4 OK ~\r\n");
	end(c);
}

T_TEST(sasl)
{
	sim_client c;

	begin();
	c = box_connect();
	TALK(c, "a1 AUTHENTICATE PLAIN\r\n", "+ \r\n");
	TALK(c, "*\r\n", "a1 BAD ~\r\n");
	TALK(c, "a2 AUTHENTICATE PLAIN\r\n", "+ \r\n");
	TALK(c, "!!\r\n", "a2 BAD ~\r\n");
	TALK(c, "a3 AUTHENTICATE PLAIN =\r\n", "a3 BAD ~\r\n");
	TALK(c, "a4 AUTHENTICATE CRAM-MD5\r\n", "a4 NO ~\r\n");
	TALK(c, "a5 AUTHENTICATE PLAIN YmVydABhbm5hAGdlaGVpbQ==\r\n", "a5 NO [AUTHORIZATIONFAILED] ~\r\n");
	TALK(c, "a6 authenticate plain AGFubmEAZ2VoZWlt\r\n", "a6 OK [CAPABILITY ~] Logged in\r\n");
	end(c);
	c = box_connect();
	TALK(c, "a1 AUTHENTICATE PLAIN\r\nAGFubmEAZ2VoZWlt\r\na2 NOOP\r\n",
		"+ \r\na1 OK [CAPABILITY ~] Logged in\r\na2 OK ~\r\n");
	end(c);
	c = box_connect();
	TALK(c, "a1 AUTHENTICATE LOGIN\r\n", "+ VXNlcm5hbWU6\r\n");
	TALK(c, "YW5uYQ==\r\n", "+ UGFzc3dvcmQ6\r\n");
	TALK(c, "Z2VoZWlt\r\n", "a1 OK [CAPABILITY ~] Logged in\r\n");
	end(c);
	box_nothing_left();
}

T_TEST(limits_before_login)
{
	static char text[70000];
	sim_client c;

	begin();
	c = box_connect();
	TALK(c, "a1 LOGIN {4097}\r\n", "a1 BAD [TOOBIG] ~\r\n");
	TALK(c, "a2 LOGIN {4}\r\n", "+ OK\r\n");
	TALK(c, "anna {6}\r\n", "+ OK\r\n");
	TALK(c, "geheim\r\n", "a2 OK ~\r\n");
	end(c);
	c = box_connect();
	memset(text, 'x', 9000);
	memcpy(text, "a1 LOGIN ", 9);
	TALK(c, text, "* BYE ~\r\n");
	c = box_connect();
	strcpy(text, "a1 LOGIN ");
	for (int i = 0; i < 2000; i++)
		strcat(text, "{1+}\r\nx ");
	say_bytes(c, text, strlen(text));
	T_OK(strstr(heard, "BAD") || strstr(heard, "BYE"));
	c = box_connect();
	strcpy(text, "");
	for (int i = 0; i < 20; i++)
		strcat(text, "GET / HTTP/1.1\r\n");
	say_bytes(c, text, strlen(text));
	T_OK(strstr(heard, "* BYE Too many invalid commands\r\n"));
	box_nothing_left();
}

T_TEST(too_slow)
{
	sim_client c;

	begin();
	c = box_login("anna");
	TALK(c, "a1 NOO", "");
	for (int i = 0; i < 130; i++) {
		sim_advance_us(1000000);
		T_EQ(loop_turn(box.loop, 0), OK);
	}
	TALK(c, "", "* BYE The command took too long to come\r\n");
	box_nothing_left();
}

/* ---- mailboxes ---- */

T_TEST(first_mailboxes)
{
	sim_client c;

	begin();
	c = box_login("anna");
	say_bytes(c, "a1 LIST (SUBSCRIBED) \"\" *\r\n", 27);
	T_OK(strstr(heard, "* LIST (\\HasNoChildren \\Subscribed) \"/\" \"INBOX\"\r\n"));
	T_OK(strstr(heard, "* LIST (\\HasNoChildren \\Drafts \\Subscribed) \"/\" \"Drafts\"\r\n"));
	T_OK(strstr(heard, "* LIST (\\HasNoChildren \\Sent \\Subscribed) \"/\" \"Sent\"\r\n"));
	T_OK(strstr(heard, "* LIST (\\HasNoChildren \\Junk \\Subscribed) \"/\" \"Junk\"\r\n"));
	T_OK(strstr(heard, "* LIST (\\HasNoChildren \\Trash \\Subscribed) \"/\" \"Trash\"\r\n"));
	T_OK(strstr(heard, "* LIST (\\HasNoChildren \\Archive \\Subscribed) \"/\" \"Archive\"\r\n"));
	TALK(c, "a2 DELETE Junk\r\n", "a2 OK ~\r\n");
	end(c);
	c = box_login("anna"); /* what the user deleted stays away */
	TALK(c, "a3 LIST \"\" Junk\r\n", "a3 OK ~\r\n");
	TALK(c, "a4 LSUB \"\" Junk\r\n", "* LSUB () \"/\" \"Junk\"\r\na4 OK ~\r\n");
	end(c);
	c = box_login("bert");
	TALK(c, "a3 LIST \"\" Junk\r\n", "* LIST (\\HasNoChildren \\Junk) \"/\" \"Junk\"\r\na3 OK ~\r\n");
	end(c);
}

T_TEST(names)
{
	sim_client c;

	begin();
	c = box_login("anna");
	TALK(c, "a1 CREATE owatagusiam/blurdybloop\r\n", "a1 OK [MAILBOXID (M~)] Created\r\n");
	TALK(c, "a2 CREATE owatagusiam/\r\n", "a2 NO [ALREADYEXISTS] ~\r\n");
	TALK(c, "a3 LIST \"\" ow%\r\n", "* LIST (\\HasChildren) \"/\" \"owatagusiam\"\r\na3 OK ~\r\n");
	TALK(c, "a4 LIST owatagusiam/ %\r\n",
		"* LIST (\\HasNoChildren) \"/\" \"owatagusiam/blurdybloop\"\r\na4 OK ~\r\n");
	TALK(c, "a5 DELETE owatagusiam\r\n", "a5 NO [HASCHILDREN] ~\r\n");
	TALK(c, "a6 RENAME owatagusiam sarasoop\r\n", "a6 OK ~\r\n");
	TALK(c, "a7 STATUS sarasoop/blurdybloop (MESSAGES UNSEEN)\r\n",
		"* STATUS \"sarasoop/blurdybloop\" (MESSAGES 0 UNSEEN 0)\r\na7 OK ~\r\n");
	TALK(c, "a8 RENAME sarasoop sarasoop/x\r\n", "a8 NO ~\r\n");
	TALK(c, "a9 RENAME nope x\r\n", "a9 NO [NONEXISTENT] ~\r\n");
	TALK(c, "b1 DELETE inbox\r\n", "b1 NO [CANNOT] ~\r\n");
	TALK(c, "b2 CREATE a*b\r\n", "b2 BAD ~\r\n");
	TALK(c, "b3 CREATE \"a*b\"\r\n", "b3 NO [CANNOT] ~\r\n");
	TALK(c, "b4 CREATE \"&ZeVnLIqe-/a\\\"b\"\r\n", "b4 OK ~\r\n");
	TALK(c, "b5 LIST \"\" &ZeVnLIqe-/%\r\n", "* LIST (\\HasNoChildren) \"/\" \"&ZeVnLIqe-/a\\\"b\"\r\nb5 OK ~\r\n");
	TALK(c, "b6 CREATE &Jjo\r\n", "b6 NO [CANNOT] ~\r\n");
	TALK(c, "b7 SUBSCRIBE nope\r\n", "b7 NO [NONEXISTENT] ~\r\n");
	end(c);
}

/* RFC 5258 section 5: examples 7 to 9, on the mailboxes of its section. */
T_TEST(list_extended)
{
	sim_client c;

	begin();
	c = box_login("anna");
	TALK(c, "a1 CREATE Foo/Bar\r\n", "a1 OK ~\r\n");
	TALK(c, "a2 CREATE Moo\r\n", "a2 OK ~\r\n");
	TALK(c, "a3 CREATE Gone/x\r\n", "a3 OK ~\r\n");
	TALK(c, "a4 SUBSCRIBE Foo/Bar\r\n", "a4 OK ~\r\n");
	TALK(c, "a5 SUBSCRIBE Gone/x\r\n", "a5 OK ~\r\n");
	TALK(c, "a6 DELETE Gone/x\r\n", "a6 OK ~\r\n");
	TALK(c, "a7 DELETE Gone\r\n", "a7 OK ~\r\n");
	TALK(c, "a8 LIST (SUBSCRIBED) \"\" (Foo* Moo)\r\n",
		"* LIST (\\HasNoChildren \\Subscribed) \"/\" \"Foo/Bar\"\r\na8 OK ~\r\n");
	TALK(c, "a9 LIST (SUBSCRIBED) \"\" Gone*\r\n",
		"* LIST (\\NonExistent \\Subscribed) \"/\" \"Gone/x\"\r\na9 OK ~\r\n");
	TALK(c, "c1 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (Foo Moo)\r\n",
		"* LIST (\\HasChildren) \"/\" \"Foo\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\nc1 OK ~\r\n");
	TALK(c, "c2 LIST (RECURSIVEMATCH SUBSCRIBED) \"\" Gone\r\n",
		"* LIST (\\NonExistent) \"/\" \"Gone\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\nc2 OK ~\r\n");
	TALK(c, "b1 LSUB \"\" Fo%\r\n", "* LSUB (\\Noselect) \"/\" \"Foo\"\r\nb1 OK ~\r\n");
	TALK(c, "b2 LSUB \"\" Fo*\r\n", "* LSUB () \"/\" \"Foo/Bar\"\r\nb2 OK ~\r\n");
	TALK(c, "b3 LIST (RECURSIVEMATCH) \"\" *\r\n", "b3 BAD ~\r\n");
	TALK(c, "b4 LIST () \"\" (Moo) RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES))\r\n",
		"* LIST (\\HasNoChildren) \"/\" \"Moo\"\r\n* STATUS \"Moo\" (MESSAGES 0)\r\nb4 OK ~\r\n");
	TALK(c, "b5 LIST (SPECIAL-USE) \"\" T*\r\n", "* LIST (\\HasNoChildren \\Trash) \"/\" \"Trash\"\r\nb5 OK ~\r\n");
	TALK(c, "b6 LIST (FOO) \"\" *\r\n", "b6 BAD ~\r\n");
	TALK(c, "b7 LIST \"\" \"\"\r\n", "* LIST (\\Noselect) \"/\" \"\"\r\nb7 OK ~\r\n");
	end(c);
	box_nothing_left();
}

T_TEST(select_answers)
{
	sim_client c;

	begin();
	c = box_login("anna");
	box_append(c, "INBOX", "(\\Seen)", MESSAGE);
	box_append(c, "INBOX", "($label1)", MESSAGE);
	TALK(c, "a1 SELECT inbox (CONDSTORE)\r\n",
		"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $label1)\r\n"
		"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $label1 \\*)] ~\r\n"
		"* 2 EXISTS\r\n* 2 RECENT\r\n* OK [UNSEEN 2] ~\r\n* OK [UIDVALIDITY ~] ~\r\n* OK [UIDNEXT 3] ~\r\n"
		"* OK [HIGHESTMODSEQ ~] ~\r\n* OK [MAILBOXID (M~)] ~\r\na1 OK [READ-WRITE] ~\r\n");
	TALK(c, "a2 EXAMINE INBOX\r\n",
		"* OK [CLOSED] ~\r\n* FLAGS (~)\r\n* OK [PERMANENTFLAGS ()] ~\r\n* 2 EXISTS\r\n* 0 RECENT\r\n"
		"* OK [UNSEEN 2] ~\r\n* OK [UIDVALIDITY ~] ~\r\n* OK [UIDNEXT 3] ~\r\n* OK [HIGHESTMODSEQ ~] ~\r\n"
		"* OK [MAILBOXID (M~)] ~\r\na2 OK [READ-ONLY] ~\r\n");
	TALK(c, "a3 STORE 1 +FLAGS (\\Deleted)\r\n", "a3 NO [READ-ONLY] ~\r\n");
	TALK(c, "a4 EXPUNGE\r\n", "a4 NO [READ-ONLY] ~\r\n");
	TALK(c, "a5 FETCH 2 BODY[]<0.4>\r\n", "* 2 FETCH (BODY[]<0> {4}\r\nFrom)\r\na5 OK ~\r\n");
	TALK(c, "a6 SELECT nope\r\n", "* OK [CLOSED] ~\r\na6 NO [NONEXISTENT] ~\r\n");
	TALK(c, "a7 FETCH 1 FLAGS\r\n", "a7 BAD ~\r\n");
	TALK(c, "a8 SELECT INBOX (FOO)\r\n", "a8 BAD ~\r\n");
	end(c);
}

/* ---- FETCH ---- */

#define NESTED \
	"Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--b\r\n" \
	"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nX-A: 1\r\n\r\ntwo\r\n--b--\r\n"

T_TEST(sections)
{
	char size[100];
	sim_client c;

	begin();
	c = box_login("anna");
	box_append(c, "INBOX", "()", NESTED);
	say_bytes(c, "s SELECT INBOX\r\n", 16);
	TALK(c, "a1 FETCH 1 (BODY.PEEK[1] BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[2.MIME])\r\n",
		"* 1 FETCH (BODY[1] {3}\r\none BODY[2.HEADER] {26}\r\nSubject: inner\r\nX-A: 1\r\n\r\n "
		"BODY[2.TEXT] {3}\r\ntwo"
		" BODY[2.MIME] {32}\r\nContent-Type: message/rfc822\r\n\r\n)\r\na1 OK ~\r\n");
	TALK(c,
		"a2 FETCH 1 (BODY.PEEK[2.HEADER.FIELDS (subject \"x-b\")] "
		"BODY.PEEK[HEADER.FIELDS.NOT (Content-Type)])\r\n",
		"* 1 FETCH (BODY[2.HEADER.FIELDS (subject x-b)] {18}\r\nSubject: inner\r\n\r\n"
		" BODY[HEADER.FIELDS.NOT (Content-Type)] {18}\r\nSubject: outer\r\n\r\n)\r\na2 OK ~\r\n");
	TALK(c, "a3 FETCH 1 (BODY.PEEK[9] BODY.PEEK[1.TEXT] BODY.PEEK[2.9.MIME])\r\n",
		"* 1 FETCH (BODY[9] NIL BODY[1.TEXT] NIL BODY[2.9.MIME] NIL)\r\na3 OK ~\r\n");
	TALK(c,
		"a4 FETCH 1 (BODY.PEEK[1]<1.9> BODY.PEEK[1]<3.1> BODY.PEEK[1]<9.9> "
		"BODY.PEEK[HEADER.FIELDS (X)]<2.1>)\r\n",
		"* 1 FETCH (BODY[1]<1> {2}\r\nne BODY[1]<3> \"\" BODY[1]<9> \"\" "
		"BODY[HEADER.FIELDS (X)]<2> \"\")\r\na4 OK ~\r\n");
	(void)snprintf(size, sizeof size, "* 1 FETCH (RFC822.SIZE %zu UID 1 BODY[1] {3}\r\none)\r\na5 OK ~\r\n",
		strlen(NESTED));
	TALK(c, "a5 FETCH 1 (RFC822.SIZE UID RFC822.SIZE BODY.PEEK[1] BODY.PEEK[1])\r\n", size);
	TALK(c, "a6 FETCH 1 BODY[1]\r\n", "* 1 FETCH (BODY[1] {3}\r\none FLAGS (\\Seen \\Recent))\r\na6 OK ~\r\n");
	TALK(c, "a7 FETCH 1 BODY[1]\r\n", "* 1 FETCH (BODY[1] {3}\r\none)\r\na7 OK ~\r\n");
	TALK(c, "a8 UID FETCH 1 (BODYSTRUCTURE)\r\n",
		"* 1 FETCH (UID 1 BODYSTRUCTURE ((\"text\" \"plain\" ~)(\"message\" \"rfc822\" ~) \"mixed\" "
		"~))\r\na8 OK ~\r\n");
	end(c);
}

T_TEST(fetch_grammar)
{
	static const char *const wrong[] = { "FETCH", "FETCH 1", "FETCH 0 FLAGS", "FETCH 1 FOO", "FETCH 1 (FLAGS",
		"FETCH 1 ()", "FETCH 1 BODY[", "FETCH 1 BODY[1.]", "FETCH 1 BODY[0]", "FETCH 1 BODY[MIME]",
		"FETCH 1 BODY[1.FOO]", "FETCH 1 BODY[HEADER.FIELDS]", "FETCH 1 BODY[HEADER.FIELDS ()]",
		"FETCH 1 BODY[]<1>", "FETCH 1 BODY[]<1.>", "FETCH 1 BODY.PEEK", "FETCH 1 (FLAGS (UID))",
		"FETCH 2 FLAGS", "FETCH 1,2 FLAGS", "FETCH a FLAGS", "FETCH 1: FLAGS", "FETCH 1 FLAGS (FOO 1)",
		"FETCH 1 FLAGS extra", "UID", "UID NOOP", "FETCH 1 BODY[HEADER.FIELDS (a (b))]",
		"FETCH 4294967296 FLAGS" };
	sim_client c;

	begin();
	c = box_login("anna");
	box_append(c, "INBOX", "()", MESSAGE);
	say_bytes(c, "s SELECT INBOX\r\n", 16);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		char line[200];

		(void)snprintf(line, sizeof line, "a%zu %s\r\n", i, wrong[i]);
		say_bytes(c, line, strlen(line));
		if (!strstr(heard, " BAD "))
			T_FAIL("%s: %s", wrong[i], heard);
	}
	TALK(c, "b1 fetch 1 (flags)\r\n", "* 1 FETCH (FLAGS (\\Recent))\r\nb1 OK ~\r\n");
	TALK(c, "b2 UID FETCH 99:* UID\r\n", "* 1 FETCH (UID 1)\r\nb2 OK ~\r\n");
	TALK(c, "b3 UID FETCH 7 UID\r\n", "b3 OK ~\r\n");
	TALK(c, "b4 FETCH *:1 FAST\r\n",
		"* 1 FETCH (FLAGS (\\Recent) INTERNALDATE \"~\" RFC822.SIZE ~)\r\nb4 OK ~\r\n");
	TALK(c, "b5 FETCH 1 (EMAILID THREADID)\r\n", "* 1 FETCH (EMAILID (E~) THREADID NIL)\r\nb5 OK ~\r\n");
	end(c);
	box_nothing_left();
}

T_TEST(nul_is_hidden)
{
	static const char text[] = "p0 APPEND INBOX {20+}\r\nSubject: n\0l\r\n\r\na\0b\0\r\n\r\n";
	sim_client c;

	begin();
	c = box_login("anna");
	say_bytes(c, text, sizeof text - 1);
	T_OK(strstr(heard, "p0 OK"));
	say_bytes(c, "s SELECT INBOX\r\n", 16);
	TALK(c, "a1 FETCH 1 (BODY.PEEK[] BODY.PEEK[HEADER.FIELDS (Subject)])\r\n",
		"* 1 FETCH (BODY[] {20}\r\nSubject: n\x80l\r\n\r\na\x80"
		"b\x80 BODY[HEADER.FIELDS (Subject)] {16}\r\nSubject: n\x80l\r\n\r\n)\r\na1 OK ~\r\n");
	end(c);
}

/* The same answers whatever the pieces are in which they go out, headers that
 * need two rounds included. */
T_TEST(any_pieces)
{
	static char message[60000], first[1 << 18];
	static const char commands[] = "a1 FETCH 1:* (BODY.PEEK[] BODY.PEEK[HEADER.FIELDS (X-1 X-77 X-499)]"
				       " BODY.PEEK[HEADER.FIELDS.NOT (X-1 X-77)]<100.9000> ENVELOPE BODYSTRUCTURE FLAGS"
				       " INTERNALDATE BODY.PEEK[TEXT]<7.5000> BODY.PEEK[HEADER.FIELDS (X-3)]<5.6>)\r\n"
				       "a2 UID SEARCH RETURN (ALL COUNT) ALL\r\na3 LIST \"\" *\r\na4 NOOP\r\n";
	static const struct {
		enum sim_chunks chunks;
		size_t buffer;
	} ways[] = { { SIM_CHUNKS_WHOLE, 1 << 20 }, { SIM_CHUNKS_RANDOM, 16384 }, { SIM_CHUNKS_RANDOM, 700 },
		{ SIM_CHUNKS_ONE, 512 } };
	size_t len = 0;

	for (int i = 0; i < 500; i++)
		len += (size_t)snprintf(message + len, 100, "X-%d: %s value of field %d\r\n", i,
			i % 3 ? "some" : "another", i);
	len += (size_t)snprintf(message + len, 100, "\r\n");
	while (len < 30000)
		len += (size_t)snprintf(message + len, 100, "body line %zu\r\n", len);
	for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
		sim_client c;

		box_new(7, ways[w].chunks, ways[w].buffer);
		sim_set_wall(1700000000);
		c = box_login("anna");
		box_append(c, "INBOX", "(\\Flagged $label1 k2)", message);
		box_append(c, "INBOX", "()", NESTED);
		say_bytes(c, "s SELECT INBOX\r\n", 16);
		say_bytes(c, commands, sizeof commands - 1);
		if (w == 0) {
			T_OK(heard_len > 40000 && heard_len < sizeof first);
			T_OK(strstr(heard, "X-77: some value of field 77\r\n"));
			strcpy(first, heard);
		}
		T_EQ(strcmp(heard, first), 0);
		end(c);
		box_nothing_left();
	}
}

/* ---- flags ---- */

T_TEST(store)
{
	sim_client a, b;

	begin();
	a = box_login("anna");
	for (int i = 0; i < 4; i++)
		box_append(a, "INBOX", "()", MESSAGE);
	b = box_select("anna", "INBOX");
	say_bytes(a, "s SELECT INBOX\r\n", 16);
	TALK(a, "a1 STORE 2:4 +FLAGS (\\Deleted)\r\n", /* RFC 3501 6.4.6 */
		"* 2 FETCH (FLAGS (\\Deleted))\r\n* 3 FETCH (FLAGS (\\Deleted))\r\n"
		"* 4 FETCH (FLAGS (\\Deleted))\r\na1 OK ~\r\n");
	TALK(a, "a2 UID STORE 2 -Flags (\\DELETED)\r\n", "* 2 FETCH (UID 2 FLAGS ())\r\na2 OK ~\r\n");
	TALK(a, "a3 STORE 1 FLAGS.SILENT (\\Seen $label1)\r\n",
		"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $label1)\r\n"
		"* OK [PERMANENTFLAGS (~)] ~\r\na3 OK ~\r\n");
	TALK(a, "a4 STORE 1 -FLAGS.SILENT (nothing)\r\n", "a4 OK ~\r\n");
	TALK(a, "a5 STORE 1 +FLAGS (\\Foo)\r\n", "a5 BAD ~\r\n");
	TALK(a, "a6 STORE 1 +FLAGS.SILENT \\Flagged Old\r\n",
		"* FLAGS (~ $label1 Old)\r\n* OK [PERMANENTFLAGS (~)] ~\r\na6 OK ~\r\n");
	TALK(b, "b1 NOOP\r\n",
		"* FLAGS (~ $label1 Old)\r\n* OK [PERMANENTFLAGS (~)] ~\r\n"
		"* 1 FETCH (FLAGS (\\Flagged \\Seen \\Recent $label1 Old))\r\n* 2 FETCH (FLAGS (\\Recent))\r\n"
		"* 3 FETCH (FLAGS (\\Deleted \\Recent))\r\n* 4 FETCH (FLAGS (\\Deleted \\Recent))\r\nb1 OK ~\r\n");
	TALK(a, "a7 EXPUNGE\r\n", "* 4 EXPUNGE\r\n* 3 EXPUNGE\r\na7 OK ~\r\n");
	TALK(b, "b2 FETCH 1:2 UID\r\n", "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\nb2 OK ~\r\n");
	TALK(b, "b3 NOOP\r\n", "* 4 EXPUNGE\r\n* 3 EXPUNGE\r\nb3 OK ~\r\n");
	end(a);
	end(b);
	box_nothing_left();
}

/* 64 keywords of 64 bytes do not fit into one piece of output. */
T_TEST(many_long_keywords)
{
	char line[300];
	sim_client a, b;
	unsigned n = 0;

	begin();
	a = box_select("anna", "INBOX");
	b = box_select("anna", "INBOX");
	box_append(a, "INBOX", "()", MESSAGE);
	TALK(b, "b0 NOOP\r\n", "* 1 EXISTS\r\n~ OK ~\r\n");
	for (int i = 0; i < 64; i++) {
		(void)snprintf(line, sizeof line, "a%d STORE 1 +FLAGS.SILENT (k%062d%c)\r\n", i, i, 'x');
		say_bytes(a, line, strlen(line));
		T_OK(strstr(heard, " OK Stored\r\n"));
	}
	TALK(a, "b1 STORE 1 +FLAGS (one-more)\r\n", "b1 NO [LIMIT] ~\r\n");
	say_bytes(b, "b2 NOOP\r\n", 9);
	T_OK(strstr(heard, "x)] Flags permitted\r\n")); /* no \* any more */
	for (const char *p = heard; (p = strstr(p, "k0")); p++)
		n++;
	T_EQ(n, 3 * 64); /* FLAGS, PERMANENTFLAGS, FETCH */
	T_OK(strstr(heard, "* 1 FETCH (FLAGS (\\Recent k0") || strstr(heard, "* 1 FETCH (FLAGS (k0"));
	T_OK(strstr(heard, "63x))\r\nb2 OK Done\r\n"));
	say_bytes(a, "b3 FETCH 1 (FLAGS UID)\r\n", 24);
	T_OK(strstr(heard, "63x) UID 1)\r\nb3 OK"));
	end(a);
	end(b);
}

T_TEST(condstore)
{
	sim_client a, b;

	begin();
	a = box_login("anna");
	for (int i = 0; i < 3; i++)
		box_append(a, "INBOX", "()", MESSAGE);
	b = box_select("anna", "INBOX");
	say_bytes(a, "s SELECT INBOX\r\n", 16);
	TALK(a, "a1 UID FETCH 2 (MODSEQ)\r\n",
		"* OK [HIGHESTMODSEQ ~] ~\r\n* 2 FETCH (UID 2 MODSEQ (~))\r\na1 OK ~\r\n");
	TALK(a, "a2 ENABLE CONDSTORE X\r\n", "* ENABLED CONDSTORE\r\na2 OK ~\r\n");
	TALK(a, "a3 STORE 1 +FLAGS.SILENT (\\Seen)\r\n", "* 1 FETCH (UID 1 MODSEQ (~))\r\na3 OK ~\r\n");
	TALK(a, "a4 STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS (\\Flagged)\r\n", "a4 OK [MODIFIED 1:2] ~\r\n");
	TALK(a, "a5 UID STORE 2,1 (UNCHANGEDSINCE 999999) +FLAGS.SILENT (\\Flagged)\r\n",
		"* 2 FETCH (UID 2 MODSEQ (~))\r\n* 1 FETCH (UID 1 MODSEQ (~))\r\na5 OK ~\r\n");
	/* the second mention of a message does not fail because of the first (RFC 7162 3.1.3) */
	TALK(b, "b1 STORE 3 +FLAGS.SILENT (\\Draft)\r\n",
		"* 1 FETCH (FLAGS (\\Flagged \\Seen \\Recent))\r\n"
		"* 2 FETCH (FLAGS (\\Flagged \\Recent))\r\nb1 OK ~\r\n");
	/* a flag change that is not yet synced is no news for this session, unless it polls */
	TALK(a, "a6 STATUS Trash (MESSAGES)\r\n", "* STATUS \"Trash\" (MESSAGES 0)\r\na6 OK ~\r\n");
	TALK(a, "a6 NOOP\r\n", "* 3 FETCH (UID 3 MODSEQ (~) FLAGS (\\Draft))\r\na6 OK ~\r\n");
	TALK(a, "a7 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)\r\n",
		"* 1 FETCH (UID 1 FLAGS (~) MODSEQ (~))\r\n* 2 FETCH (UID 2 FLAGS (~) MODSEQ (~))\r\n"
		"* 3 FETCH (UID 3 FLAGS (~) MODSEQ (~))\r\na7 OK ~\r\n");
	TALK(a, "a8 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 999999)\r\n", "a8 OK ~\r\n");
	TALK(a, "a9 SEARCH MODSEQ \"/flags/\\\\draft\" all 1\r\n", "* SEARCH 1 2 3 (MODSEQ ~)\r\na9 OK ~\r\n");
	TALK(a, "c1 SEARCH MODSEQ 999999\r\n", "* SEARCH\r\nc1 OK ~\r\n");
	TALK(a, "c2 SEARCH RETURN (ALL) MODSEQ 1\r\n", "* ESEARCH (TAG \"c2\") ALL 1:3 MODSEQ ~\r\nc2 OK ~\r\n");
	TALK(a, "c3 FETCH 2 BODY[TEXT]\r\n",
		"* 2 FETCH (BODY[TEXT] {11}\r\nHello Joe\r\n)\r\n"
		"* 2 FETCH (UID 2 MODSEQ (~) FLAGS (\\Flagged \\Seen~))\r\nc3 OK ~\r\n");
	TALK(a, "c4 STATUS INBOX (HIGHESTMODSEQ)\r\n", "* STATUS \"INBOX\" (HIGHESTMODSEQ ~)\r\nc4 OK ~\r\n");
	end(a);
	end(b);
	box_nothing_left();
}

/* In IDLE too, and at once: what is told of asks for the sync that it must wait for. */
T_TEST(condstore_idle)
{
	sim_client a, b;

	begin();
	a = box_select("anna", "INBOX");
	b = box_select("anna", "INBOX");
	box_append(b, "INBOX", "()", MESSAGE);
	TALK(a, "a1 ENABLE CONDSTORE\r\n",
		"* ENABLED CONDSTORE\r\n* OK [HIGHESTMODSEQ ~] ~\r\n* 1 EXISTS\r\n~ OK ~\r\n");
	TALK(a, "a2 IDLE\r\n", "+ ~\r\n");
	TALK(b, "b1 STORE 1 +FLAGS (\\Seen)\r\n", "* 1 FETCH (FLAGS (\\Seen~))\r\nb1 OK ~\r\n");
	TALK(a, "", "* 1 FETCH (UID 1 MODSEQ (~) FLAGS (\\Seen~))\r\n");
	sim_client_close(a);
	end(b);
	box_nothing_left();
}

/* ---- moving mail about ---- */

T_TEST(copy_and_move)
{
	sim_client c;

	begin();
	c = box_login("anna");
	for (int i = 0; i < 5; i++)
		box_append(c, "INBOX", "(\\Seen kw)", MESSAGE);
	say_bytes(c, "s SELECT INBOX\r\n", 16);
	TALK(c, "a1 COPY 2:4 Trash\r\n", "a1 OK [COPYUID ~ 2:4 1:3] Copied\r\n");
	TALK(c, "a2 UID COPY 5,1 Trash\r\n", "a2 OK [COPYUID ~ 5,1 4:5] Copied\r\n");
	TALK(c, "a3 COPY 1 Meeting\r\n", "a3 NO [TRYCREATE] ~\r\n");
	TALK(c, "a4 UID COPY 77 Trash\r\n", "a4 OK ~\r\n");
	TALK(c, "a5 COPY 9 Trash\r\n", "a5 BAD ~\r\n");
	TALK(c, "a6 COPY 1 INBOX\r\n", "* 6 EXISTS\r\n* 6 RECENT\r\na6 OK [COPYUID ~ 1 6] Copied\r\n");
	TALK(c, "a7 MOVE 1,3 Archive\r\n",
		"* OK [COPYUID ~ 1,3 1:2] Moved\r\n* 3 EXPUNGE\r\n* 1 EXPUNGE\r\na7 OK ~\r\n");
	TALK(c, "a8 UID MOVE 2 Archive\r\n", "* OK [COPYUID ~ 2 3] Moved\r\n* 1 EXPUNGE\r\na8 OK ~\r\n");
	TALK(c, "a9 UID MOVE 5 INBOX\r\n",
		"* OK [COPYUID ~ 5 7] Moved\r\n* 2 EXPUNGE\r\n* 3 EXISTS\r\n* 3 RECENT\r\na9 OK ~\r\n");
	TALK(c, "b1 STORE 1:* +FLAGS.SILENT (\\Deleted)\r\n", "b1 OK ~\r\n");
	TALK(c, "b2 UID EXPUNGE 4:6\r\n", "* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nb2 OK ~\r\n");
	TALK(c, "b3 CLOSE\r\n", "b3 OK ~\r\n");
	TALK(c, "b4 STATUS INBOX (MESSAGES UIDNEXT)\r\n", "* STATUS \"INBOX\" (MESSAGES 0 UIDNEXT 8)\r\nb4 OK ~\r\n");
	say_bytes(c, "s SELECT Archive\r\n", 18);
	TALK(c, "b5 FETCH 1:3 (UID FLAGS)\r\n",
		"* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent kw))\r\n* 2 FETCH (UID 2 FLAGS (\\Seen \\Recent kw))\r\n"
		"* 3 FETCH (UID 3 FLAGS (\\Seen \\Recent kw))\r\nb5 OK ~\r\n");
	TALK(c, "b6 UNSELECT\r\n", "b6 OK ~\r\n");
	end(c);
	box_nothing_left();
}

/* Work of several batches and slices. */
T_TEST(many_messages)
{
	sim_client a, b;
	char line[100];
	unsigned n = 0;

	begin();
	a = box_select("anna", "INBOX");
	b = box_select("anna", "INBOX");
	box_append(a, "INBOX", "()", MESSAGE);
	for (unsigned i = 1; i <= 512; i *= 2) {
		(void)snprintf(line, sizeof line, "a1 COPY 1:%u INBOX\r\n", i);
		say_bytes(a, line, strlen(line));
		T_OK(strstr(heard, "Copied\r\n"));
	}
	TALK(b, "b1 NOOP\r\n", "* 1024 EXISTS\r\nb1 OK ~\r\n");
	TALK(b, "b2 UID STORE 1:* +FLAGS.SILENT (\\Deleted)\r\n", "b2 OK ~\r\n");
	TALK(b, "b3 UID SEARCH RETURN (MIN MAX COUNT ALL) DELETED\r\n",
		"* ESEARCH (TAG \"b3\") UID ALL 1:1024 MIN 1 MAX 1024 COUNT 1024\r\nb3 OK ~\r\n");
	say_bytes(b, "b4 MOVE 1:600 Trash\r\n", 21);
	T_OK(strstr(heard, "b4 OK Moved\r\n"));
	for (const char *p = heard; (p = strstr(p, " EXPUNGE\r\n")); p++)
		n++;
	T_EQ(n, 600);
	say_bytes(b, "b5 EXPUNGE\r\n", 12);
	T_OK(strstr(heard, "b5 OK Expunged\r\n"));
	say_bytes(a, "a2 NOOP\r\n", 9);
	n = 0;
	for (const char *p = heard; (p = strstr(p, " EXPUNGE\r\n")); p++)
		n++;
	T_EQ(n, 1024);
	TALK(a, "a3 STATUS Trash (MESSAGES DELETED)\r\n",
		"* STATUS \"Trash\" (MESSAGES 600 DELETED 600)\r\na3 OK ~\r\n");
	end(a);
	end(b);
	box_nothing_left();
}

/* The line of COPYUID is one range, which takes no room, and still is walked in slices. */
T_TEST(copyuid_is_made_in_slices)
{
	static const char command[] = "a2 COPY 1:2048 Trash\r\n";
	sim_client a;
	char line[100];
	unsigned turns = 0;
	uint32_t trash;

	begin();
	a = box_select("anna", "INBOX");
	box_append(a, "INBOX", "()", MESSAGE);
	for (unsigned i = 1; i <= 1024; i *= 2) {
		(void)snprintf(line, sizeof line, "a1 COPY 1:%u INBOX\r\n", i);
		say_bytes(a, line, strlen(line));
	}
	T_EQ(store_mailbox_find(box.store, 1, bytes_of("Trash"), &trash), OK);
	T_EQ(sim_client_send(a, command, sizeof command - 1), sizeof command - 1);
	heard_len = 0;
	for (unsigned all = 0; all < 10000; all++) {
		struct store_mailbox m;
		int64_t n = sim_client_recv(a, heard + heard_len, sizeof heard - 1 - heard_len);

		heard_len += n > 0 ? (size_t)n : 0;
		heard[heard_len] = 0;
		if (strstr(heard, "Copied\r\n"))
			break;
		T_EQ(store_mailbox_get(box.store, trash, &m), OK);
		turns += m.messages == 2048;
		T_EQ(loop_turn(box.loop, 0), OK);
	}
	HEARD("a2 OK [COPYUID ~ 1:2048 1:2048] Copied\r\n");
	T_OK(turns >= 2048 / LIMIT_SLICE_ENTRIES);
	end(a);
	box_nothing_left();
}

T_TEST(expunges_are_held_back)
{
	sim_client a, b;

	begin();
	a = box_login("anna");
	for (int i = 0; i < 3; i++)
		box_append(a, "INBOX", "()", MESSAGE);
	say_bytes(a, "s SELECT INBOX\r\n", 16);
	b = box_select("anna", "INBOX");
	TALK(b, "b1 STORE 1 +FLAGS.SILENT (\\Deleted)\r\n", "b1 OK ~\r\n");
	TALK(b, "b2 EXPUNGE\r\n", "* 1 EXPUNGE\r\nb2 OK ~\r\n");
	TALK(a, "a1 FETCH 1:2 (UID)\r\n", "* 2 FETCH (UID 2)\r\na1 OK ~\r\n");
	TALK(a, "a2 FETCH 1 BODY[]\r\n", "a2 NO [EXPUNGEISSUED] ~\r\n");
	TALK(a, "a3 STORE 1:2 +FLAGS (\\Seen)\r\n",
		"* 2 FETCH (FLAGS (\\Seen \\Recent))\r\na3 NO [EXPUNGEISSUED] ~\r\n");
	TALK(a, "a4 SEARCH ALL\r\n", "* SEARCH 2 3\r\na4 OK ~\r\n");
	TALK(a, "a5 COPY 1:2 Trash\r\n", "* 1 EXPUNGE\r\na5 NO [EXPUNGEISSUED] ~\r\n");
	TALK(a, "a6 STATUS Trash (MESSAGES)\r\n", "* STATUS \"Trash\" (MESSAGES 0)\r\na6 OK ~\r\n");
	TALK(a, "a7 FETCH 1 (UID)\r\n", "* 1 FETCH (UID 2)\r\na7 OK ~\r\n");
	end(a);
	end(b);
}

T_TEST(append)
{
	sim_client c;

	begin();
	c = box_login("anna");
	TALK(c, "a1 APPEND INBOX (\\Seen) {20}\r\n", "+ OK\r\n");
	TALK(c, "Subject: x\r\n\r\nab\r\ncd\r\n", "a1 OK [APPENDUID ~ 1] Stored\r\n");
	TALK(c, "a2 APPEND INBOX \"17-Jul-1996 02:44:25 -0700\" {5+}\r\nhello\r\na3 NOOP\r\n",
		"a2 OK [APPENDUID ~ 2] Stored\r\na3 OK ~\r\n");
	TALK(c, "a4 APPEND {5+}\r\nINBOX {5+}\r\nhello\r\n", "a4 OK [APPENDUID ~ 3] Stored\r\n");
	TALK(c, "a5 APPEND nope {5}\r\na6 NOOP\r\n", "a5 NO [TRYCREATE] ~\r\na6 OK ~\r\n");
	TALK(c, "a7 APPEND nope {5+}\r\nhello\r\na8 NOOP\r\n", "a7 NO [TRYCREATE] ~\r\na8 OK ~\r\n");
	TALK(c, "b1 APPEND INBOX {2000000}\r\n", "b1 NO [TOOBIG] ~\r\n");
	TALK(c, "b2 APPEND INBOX \"yesterday\" {5+}\r\nhello\r\nb3 NOOP\r\n", "b2 BAD ~\r\nb3 OK ~\r\n");
	TALK(c, "b4 APPEND INBOX (\\Foo) {5+}\r\nhello\r\n", "b4 BAD ~\r\n");
	TALK(c, "b5 APPEND INBOX {0+}\r\n\r\n", "b5 NO ~\r\n");
	TALK(c, "b6 APPEND INBOX {5+}\r\nhello {5+}\r\nworld\r\nb7 NOOP\r\n", "b6 BAD ~\r\nb7 OK ~\r\n");
	TALK(c, "b8 APPEND INBOX hello\r\n", "b8 BAD ~\r\n");
	say_bytes(c, "s SELECT INBOX\r\n", 16);
	TALK(c, "c1 FETCH 2 (INTERNALDATE BODY.PEEK[])\r\n",
		"* 2 FETCH (INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" BODY[] {5}\r\nhello)\r\nc1 OK ~\r\n");
	TALK(c, "c2 APPEND INBOX {5+}\r\nhello\r\n", "* 4 EXISTS\r\n* 4 RECENT\r\nc2 OK [APPENDUID ~ 4] Stored\r\n");
	/* the connection goes in the middle of a message */
	say_bytes(c, "c3 APPEND INBOX {5000+}\r\nhello", 30);
	sim_client_reset(c);
	box_nothing_left();
	c = box_login("anna");
	TALK(c, "c4 STATUS INBOX (MESSAGES UIDNEXT)\r\n", "* STATUS \"INBOX\" (MESSAGES 4 UIDNEXT 5)\r\nc4 OK ~\r\n");
	end(c);
	box_nothing_left();
}

T_TEST(append_beyond_what_is_taken)
{
	sim_client c;

	begin();
	c = box_login("anna");
	TALK(c, "a1 APPEND INBOX {2000000+}\r\n", "* BYE [TOOBIG] ~\r\n");
	c = box_login("anna");
	TALK(c, "a1 SELECT {99999999999999999999+}\r\n", "* BYE [TOOBIG] ~\r\n");
	box_nothing_left();
}

/* ---- SEARCH ---- */

T_TEST(search)
{
	sim_client c;

	begin();
	c = box_login("anna");
	box_append(c, "INBOX", "(\\Seen)",
		"From: smith@x\r\nSubject: one\r\nDate: Tue, 1 Feb 1994 10:00:00 +0000\r\n\r\nred\r\n");
	box_append(c, "INBOX", "(\\Flagged kw)",
		"From: jones@x\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nblue and red\r\n");
	box_append(c, "INBOX", "(\\Deleted)", "From: smith@y\r\nSubject: \"three\"\r\n\r\ngreen\r\n");
	say_bytes(c, "s SELECT INBOX\r\n", 16);
	TALK(c, "a1 SEARCH FLAGGED\r\n", "* SEARCH 2\r\na1 OK ~\r\n");
	TALK(c, "a2 SEARCH FROM \"Smith\" NOT SEEN\r\n", "* SEARCH 3\r\na2 OK ~\r\n");
	TALK(c, "a3 SEARCH TEXT \"string not in mailbox\"\r\n", "* SEARCH\r\na3 OK ~\r\n");
	TALK(c, "a4 SEARCH OR SUBJECT one (FLAGGED KEYWORD KW)\r\n", "* SEARCH 1 2\r\na4 OK ~\r\n");
	TALK(c, "a5 SEARCH NOT ((SEEN))\r\n", "* SEARCH 2 3\r\na5 OK ~\r\n");
	TALK(c,
		"a6 UID SEARCH CHARSET utf8 SUBJECT {7+}\r\nGr\xc3\xbc\xc3\x9f"
		"e\r\n",
		"* SEARCH 2\r\na6 OK ~\r\n");
	TALK(c, "a7 SEARCH CHARSET KOI8-R ALL\r\n", "a7 NO [BADCHARSET (US-ASCII UTF-8)] ~\r\n");
	TALK(c, "a8 SEARCH SENTSINCE 1-Feb-1994 SENTBEFORE 2-Feb-1994\r\n", "* SEARCH 1\r\na8 OK ~\r\n");
	TALK(c, "a9 SEARCH SUBJECT \"\\\"three\\\"\"\r\n", "* SEARCH 3\r\na9 OK ~\r\n");
	TALK(c, "b1 SEARCH 2:99 UNDELETED\r\n", "* SEARCH 2\r\nb1 OK ~\r\n");
	TALK(c, "b2 SEARCH RETURN () UID 2:*\r\n", "* ESEARCH (TAG \"b2\") ALL 2:3\r\nb2 OK ~\r\n");
	TALK(c, "b3 UID SEARCH RETURN (MIN) ALL\r\n", "* ESEARCH (TAG \"b3\") UID MIN 1\r\nb3 OK ~\r\n");
	TALK(c, "b4 SEARCH RETURN (ALL COUNT) SEEN DELETED\r\n", "* ESEARCH (TAG \"b4\") COUNT 0\r\nb4 OK ~\r\n");
	TALK(c, "b5 SEARCH BODY red LARGER 1 SMALLER 9999\r\n", "* SEARCH 1 2\r\nb5 OK ~\r\n");
	TALK(c, "b6 SEARCH HEADER Subject \"\" ALL\r\n", "* SEARCH 1 2 3\r\nb6 OK ~\r\n");
	TALK(c, "b7 SEARCH UNANSWERED UNDELETED UNSEEN\r\n", "* SEARCH 2\r\nb7 OK ~\r\n");
	TALK(c, "c1 SEARCH\r\n", "c1 BAD ~\r\n");
	TALK(c, "c2 SEARCH FOO\r\n", "c2 BAD ~\r\n");
	TALK(c, "c3 SEARCH OR SEEN\r\n", "c3 BAD ~\r\n");
	TALK(c, "c4 SEARCH (SEEN\r\n", "c4 BAD ~\r\n");
	TALK(c, "c5 SEARCH SEEN)\r\n", "c5 BAD ~\r\n");
	TALK(c, "c6 SEARCH SINCE yesterday\r\n", "c6 BAD ~\r\n");
	TALK(c, "c7 SEARCH RETURN (FOO) ALL\r\n", "c7 BAD ~\r\n");
	TALK(c, "c8 SEARCH SUBJECT \xff\r\n", "c8 BAD ~\r\n");
	TALK(c, "c9 SEARCH ()\r\n", "c9 BAD ~\r\n");
	end(c);
	box_nothing_left();
}

/* Cuts what stands behind `before` up to `stop` out of what was heard. */
static void cut(const char *before, char stop, char *out, size_t cap)
{
	const char *start = strstr(heard, before), *last;

	T_OK(start);
	start += strlen(before);
	last = strchr(start, stop);
	T_OK(last && (size_t)(last - start) < cap);
	memcpy(out, start, (size_t)(last - start));
	out[last - start] = 0;
}

/* RFC 8474: an id follows its message through copies, a mailbox through names. */
T_TEST(object_ids)
{
	char id[100], line[300];
	sim_client c;

	begin();
	c = box_login("anna");
	box_append(c, "INBOX", "()", MESSAGE);
	box_append(c, "INBOX", "()", "Subject: two\r\n\r\nx\r\n");
	say_bytes(c, "s SELECT INBOX\r\n", 16);
	say_bytes(c, "a1 FETCH 2 (EMAILID)\r\n", 22);
	cut("EMAILID (", ')', id, sizeof id);
	T_OK(strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(id));
	TALK(c, "a2 COPY 2 Trash\r\n", "a2 OK ~\r\n");
	(void)snprintf(line, sizeof line, "a3 SEARCH EMAILID %s\r\n", id);
	TALK(c, line, "* SEARCH 2\r\na3 OK ~\r\n");
	id[3] = id[3] == '0' ? '1' : '0';
	(void)snprintf(line, sizeof line, "a4 SEARCH OR EMAILID %s THREADID T1\r\n", id);
	TALK(c, line, "* SEARCH\r\na4 OK ~\r\n");
	say_bytes(c, "a5 STATUS Sent (MAILBOXID)\r\n", 28);
	cut("MAILBOXID (", ')', id, sizeof id);
	TALK(c, "a6 RENAME Sent a/b\r\n", "a6 OK ~\r\n");
	(void)snprintf(line, sizeof line, "* STATUS \"a/b\" (MAILBOXID (%s))\r\na7 OK ~\r\n", id);
	TALK(c, "a7 STATUS a/b (MAILBOXID)\r\n", line);
	end(c);
}

/* RFC 3501 section 6.3.5: the messages go, INBOX stays. */
T_TEST(rename_inbox)
{
	sim_client c;

	begin();
	c = box_login("anna");
	box_append(c, "INBOX", "()", MESSAGE);
	TALK(c, "a1 CREATE INBOX/below\r\n", "a1 OK ~\r\n");
	TALK(c, "a2 RENAME inbox old-mail\r\n", "a2 OK ~\r\n");
	TALK(c, "a3 STATUS INBOX (MESSAGES)\r\n", "* STATUS \"INBOX\" (MESSAGES 0)\r\na3 OK ~\r\n");
	TALK(c, "a4 STATUS old-mail (MESSAGES)\r\n", "* STATUS \"old-mail\" (MESSAGES 1)\r\na4 OK ~\r\n");
	TALK(c, "a5 LIST \"\" iNBOX/*\r\n", "* LIST (\\HasNoChildren) \"/\" \"INBOX/below\"\r\na5 OK ~\r\n");
	end(c);
}

/* ---- IDLE ---- */

T_TEST(idle)
{
	sim_client a, b;

	begin();
	a = box_select("anna", "INBOX");
	b = box_login("anna");
	TALK(a, "a1 IDLE\r\n", "+ Waiting\r\n");
	box_append(b, "INBOX", "()", MESSAGE);
	TALK(a, "", "* 1 EXISTS\r\n* 1 RECENT\r\n");
	say_bytes(b, "s SELECT INBOX\r\n", 16);
	TALK(b, "b1 STORE 1 +FLAGS (\\Deleted)\r\n", "* 1 FETCH (FLAGS (\\Deleted))\r\nb1 OK ~\r\n");
	TALK(a, "", "* 1 FETCH (FLAGS (\\Deleted \\Recent))\r\n");
	TALK(b, "b2 EXPUNGE\r\n", "* 1 EXPUNGE\r\nb2 OK ~\r\n");
	TALK(a, "", "* 1 EXPUNGE\r\n");
	/* nobody holds a buffer now */
	T_EQ(box.loop->inputs.used + box.loop->outputs.used, 0);
	T_EQ(box.imap->units.used, 0);
	sim_advance_us(301 * UINT64_C(1000000));
	TALK(a, "", "* OK Still here\r\n");
	TALK(a, "DONE\r\na2 NOOP\r\na3 IDLE\r\nDONE\r\n", "a1 OK ~\r\na2 OK ~\r\n+ Waiting\r\na3 OK ~\r\n");
	TALK(a, "a4 IDLE\r\nwhat\r\na5 NOOP\r\n", "+ Waiting\r\na4 BAD ~\r\na5 OK ~\r\n");
	end(a);
	end(b);
	box_nothing_left();
}

T_TEST(mailbox_goes)
{
	sim_client a, b;

	begin();
	a = box_login("anna");
	TALK(a, "a0 CREATE x\r\n", "a0 OK ~\r\n");
	say_bytes(a, "s SELECT x\r\n", 12);
	b = box_select("anna", "x");
	TALK(a, "a1 IDLE\r\n", "+ Waiting\r\n");
	TALK(b, "b1 DELETE x\r\n", "b1 OK ~\r\n"); /* its own one is just left */
	TALK(b, "b2 FETCH 1 FLAGS\r\n", "b2 BAD ~\r\n");
	TALK(a, "", "* BYE ~\r\n");
	end(b);
	box_nothing_left();
}

/* ---- bad input after login ---- */

T_TEST(bad_input)
{
	static char text[1200000];
	sim_client c;

	begin();
	c = box_select("anna", "INBOX");
	TALK(c, "a1 SELECT \"open\r\na2 NOOP\r\n", "a1 BAD ~\r\na2 OK ~\r\n");
	TALK(c, "a3 SELECT {4294967296}\r\na4 NOOP\r\n", "a3 BAD ~\r\na4 OK ~\r\n");
	memset(text, 'x', 1000000);
	memcpy(text, "a5 NOOP ", 8);
	strcpy(text + 1000000, "\r\na6 NOOP\r\n");
	TALK(c, text, "a5 BAD ~\r\na6 OK ~\r\n");
	memset(text, 'x', 100000);
	strcpy(text + 100000, "\r\na6 NOOP\r\n");
	TALK(c, text, "* BAD ~\r\na6 OK ~\r\n");
	strcpy(text, "a7 SEARCH ");
	memset(text + 10, '(', 10000);
	strcpy(text + 10010, "ALL\r\na8 NOOP\r\n");
	TALK(c, text, "a7 NO [LIMIT] ~\r\na8 OK ~\r\n");
	strcpy(text, "a9 UID FETCH 1");
	for (size_t i = 0, len = strlen(text); i < 100000; i++)
		len += (size_t)snprintf(text + len, 20, ",%zu", i % 99999 + 1);
	strcat(text, " FLAGS\r\nb1 NOOP\r\n");
	TALK(c, text, "a9 BAD ~\r\nb1 OK ~\r\n");
	strcpy(text, "b2 SEARCH ");
	for (size_t i = 0, len = strlen(text); i < 12000; i++)
		len += (size_t)snprintf(text + len, 20, "TO {1+}\r\nx ");
	strcat(text, "ALL\r\nb3 NOOP\r\n");
	say_bytes(c, text, strlen(text));
	T_OK(strncmp(heard, "b2 BAD ", 7) == 0 && strstr(heard, "b3 OK "));
	say_bytes(c, "b4 NO\0OP\r\nb5 NOOP\r\n", 19);
	HEARD("b4 BAD ~\r\nb5 OK ~\r\n");
	TALK(c, " x NOOP\r\nb6 NOOP\r\n", "* BAD ~\r\nb6 OK ~\r\n");
	TALK(c, "b7 NOOP\nb8 NOOP\n", "b7 OK ~\r\nb8 OK ~\r\n");
	end(c);
	box_nothing_left();
}

/* More commands that need work space than there is: they wait, none fails. */
T_TEST(crowded)
{
	static char message[40000];
	sim_client c[6];

	begin();
	c[0] = box_login("anna");
	memset(message, 'x', sizeof message - 1);
	memcpy(message, "Subject: x\r\n\r\n", 14);
	box_append(c[0], "INBOX", "()", message);
	sim_network(SIM_CHUNKS_RANDOM, 600);
	say_bytes(c[0], "s0 SELECT INBOX\r\n", 17);
	for (int i = 1; i < 6; i++)
		c[i] = box_select("anna", "INBOX");
	for (int i = 0; i < 6; i++)
		T_EQ(sim_client_send(c[i], "a1 FETCH 1 BODY.PEEK[]\r\n", 24), 24);
	for (int i = 0; i < 100; i++)
		T_EQ(loop_turn(box.loop, 0), OK);
	T_EQ(box.imap->units.used, 4);
	for (int i = 0; i < 6; i++) {
		heard_len = 0;
		listen_to(c[i]);
		sim_advance_us(50000);
		T_OK(heard_len > sizeof message && strstr(heard, "a1 OK Fetched"));
		sim_client_close(c[i]);
	}
	box_nothing_left();
}

/* ---- damage ---- */

struct needle {
	const char *text;
	char path[64];
	uint64_t offset;
	bool found;
};

static bool look_into(void *context, const char *name)
{
	static char data[1 << 22];
	struct needle *n = context;
	size_t len = strlen(n->text);
	port_file f;
	int64_t got;

	if (n->found || !(strstr(name, ".seg") || strstr(name, ".msg")))
		return true;
	(void)snprintf(n->path, sizeof n->path, "/store/%s", name);
	f = port_open(n->path, PORT_READ);
	got = port_read(f, 0, data, sizeof data);
	port_close(f);
	for (int64_t i = 0; i + (int64_t)len <= got && !n->found; i++) {
		n->offset = (uint64_t)i;
		n->found = memcmp(data + i, n->text, len) == 0;
	}
	return !n->found;
}

/* A bit of that text rots on flash. */
static void damage(const char *text)
{
	struct needle n = { .text = text };

	T_OK(port_list("/store", look_into, &n) >= 0);
	T_OK(n.found);
	T_OK(sim_flip_bit(n.path, n.offset, 0));
}

T_TEST(damaged_body)
{
	sim_client c;

	begin();
	c = box_select("anna", "INBOX");
	box_append(c, "INBOX", "()", MESSAGE);
	box_append(c, "INBOX", "()", "Subject: two\r\n\r\nanother body\r\n");
	damage("another body");
	say_bytes(c, "a0 NOOP\r\n", 9);
	TALK(c, "a1 FETCH 1:2 (UID BODY.PEEK[TEXT])\r\n",
		"* 1 FETCH (UID 1 BODY[TEXT] {11}\r\nHello Joe\r\n)\r\n* 2 FETCH (UID 2 BODY[TEXT] NIL)\r\n"
		"a1 NO [SERVERBUG] Message UID 2 ~\r\n");
	TALK(c, "a2 FETCH 2 (ENVELOPE RFC822.SIZE)\r\n",
		"* 2 FETCH (ENVELOPE (NIL \"two\" NIL NIL NIL NIL NIL NIL NIL NIL) RFC822.SIZE ~)\r\na2 OK ~\r\n");
	TALK(c, "a3 FETCH 2 BODY.PEEK[HEADER.FIELDS (Subject)]\r\n",
		"* 2 FETCH (BODY[HEADER.FIELDS (Subject)] NIL)\r\na3 NO ~ UID 2 ~\r\n");
	TALK(c, "a4 COPY 2 Trash\r\n", "a4 OK ~\r\n");
	end(c);
	box_nothing_left();
}

/* Damage in what can be read before the literal is announced costs no connection,
 * and what stands before and behind it can be had. */
T_TEST(damage_behind_the_first_piece)
{
	static char message[13000];
	sim_client c;

	begin();
	memset(message, 'x', sizeof message - 1);
	memcpy(message, "Subject: middling\r\n\r\n", 21);
	memcpy(message + 9000, "here it rots", 12);
	memcpy(message + 12970, "the end", 7);
	c = box_select("anna", "INBOX");
	box_append(c, "INBOX", "()", message);
	say_bytes(c, "a0 NOOP\r\n", 9);
	damage("here it rots");
	TALK(c, "a1 FETCH 1 (UID BODY.PEEK[])\r\n", "* 1 FETCH (UID 1 BODY[] NIL)\r\na1 NO ~ UID 1 ~\r\n");
	TALK(c, "a2 FETCH 1 BODY.PEEK[]<8180.10>\r\n", "* 1 FETCH (BODY[]<8180> NIL)\r\na2 NO ~ UID 1 ~\r\n");
	TALK(c, "a3 FETCH 1 BODY.PEEK[]<0.7>\r\n", "* 1 FETCH (BODY[]<0> {7}\r\nSubject)\r\na3 OK ~\r\n");
	TALK(c, "a4 FETCH 1 BODY.PEEK[]<12970.7>\r\n", "* 1 FETCH (BODY[]<12970> {7}\r\nthe end)\r\na4 OK ~\r\n");
	TALK(c, "a5 FETCH 1 (RFC822.SIZE ENVELOPE)\r\n",
		"* 1 FETCH (RFC822.SIZE 12999 ENVELOPE "
		"(NIL \"middling\" NIL NIL NIL NIL NIL NIL NIL NIL))\r\na5 OK ~\r\n");
	end(c);
	box_nothing_left();
}

/* Damage that shows only when the literal is under way: nothing wrong is ever
 * given as if it were right. */
T_TEST(damaged_large_body)
{
	static char message[600000];
	sim_client c;

	begin();
	memset(message, 'x', sizeof message - 1);
	memcpy(message, "Subject: large\r\n\r\n", 18);
	memcpy(message + 500000, "here it rots", 12);
	c = box_select("anna", "INBOX");
	box_append(c, "INBOX", "()", message);
	say_bytes(c, "a0 NOOP\r\n", 9);
	TALK(c, "a1 FETCH 1 BODY.PEEK[]<500000.12>\r\n",
		"* 1 FETCH (BODY[]<500000> {12}\r\nhere it rots)\r\na1 OK ~\r\n");
	damage("here it rots");
	say_bytes(c, "a2 FETCH 1 BODY.PEEK[]\r\n", 24);
	T_OK(sim_client_closed(c) || strstr(heard, "a2 NO "));
	T_OK(!strstr(heard, "a2 OK"));
	c = box_select("anna", "INBOX");
	TALK(c, "a3 FETCH 1 BODY.PEEK[]\r\n", "* 1 FETCH (BODY[] NIL)\r\na3 NO ~ UID 1 ~\r\n");
	end(c);
	box_nothing_left();
}

/* A disk that takes nothing any more turns the store read-only: STORE of a new
 * keyword is refused with a tagged answer, as are all changes, and the loop
 * finds rest. */
T_TEST(store_on_a_dead_disk)
{
	static const char *const changes[] = { "CREATE more", "STORE 1 +FLAGS (brandnew)", "STORE 1 -FLAGS ($label1)",
		"UID STORE 1 +FLAGS.SILENT (another)", "STORE 1 FLAGS (third)", "COPY 1 INBOX", "MOVE 1 Trash",
		"STORE 1 +FLAGS (brandnew)" };
	sim_client a, b;
	char line[80];
	begin();
	a = box_login("anna");
	box_append(a, "INBOX", "($label1)", MESSAGE);
	say_bytes(a, "s SELECT INBOX\r\n", 16);
	b = box_select("anna", "INBOX");
	sim_fail(SIM_OP_WRITE, 1, E_IO, true);
	sim_fail(SIM_OP_CREATE, 1, E_IO, true);
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		(void)snprintf(line, sizeof line, "a%zu %s\r\n", i, changes[i]);
		say_bytes(a, line, strlen(line));
		(void)snprintf(line, sizeof line, "a%zu NO ", i);
		if (!strstr(heard, line))
			T_FAIL("%s: %s", changes[i], heard);
	}
	/* what is there can still be read, by the others as well */
	TALK(b, "b1 FETCH 1 BODY.PEEK[TEXT]\r\n", "* 1 FETCH (BODY[TEXT] {11}\r\nHello Joe\r\n)\r\nb1 OK ~\r\n");
	for (unsigned i = 0; i < 20; i++)
		T_EQ(loop_turn(box.loop, 0), OK);
	T_OK(!box.loop->busy);
	T_OK(!store_wants_commit(box.store));
	T_OK(store_deadline_us(box.store) > port_now_us());
	end(a);
	end(b);
}

/* A flag change that was answered before its sync, and then the disk takes nothing
 * any more: it will never be durable. Mail is served all the same, MODSEQs are not
 * (RFC 7162 section 3.1.2.2), and nobody waits for a sync that never comes. */
T_TEST(lazy_flags_on_a_dead_disk)
{
	sim_client a, b;

	begin();
	a = box_login("anna");
	box_append(a, "INBOX", "()", MESSAGE);
	end(a);
	a = box_select("anna", "INBOX");
	b = box_select("anna", "INBOX");
	TALK(b, "b1 ENABLE CONDSTORE\r\n", "* ENABLED CONDSTORE\r\n* OK [HIGHESTMODSEQ ~\r\nb1 OK ~\r\n");
	TALK(a, "a1 STORE 1 +FLAGS.SILENT (\\Seen)\r\n", "a1 OK Stored\r\n");
	sim_fail(SIM_OP_WRITE, 1, E_IO, true);
	sim_fail(SIM_OP_CREATE, 1, E_IO, true);
	TALK(a, "a2 CREATE more\r\n", "a2 NO ~\r\n");
	TALK(a, "a3 CHECK\r\n", "a3 NO [UNAVAILABLE] ~\r\n");
	TALK(a, "a4 SELECT INBOX\r\n",
		"* OK [CLOSED] ~\r\n* FLAGS ~\r\n* OK [PERMANENTFLAGS ~\r\n* 1 EXISTS\r\n* 0 RECENT\r\n"
		"* OK [UIDVALIDITY ~\r\n* OK [UIDNEXT 2] ~\r\n* OK [NOMODSEQ] ~\r\n* OK [MAILBOXID ~\r\n"
		"a4 OK [READ-WRITE] ~\r\n");
	TALK(a, "a5 FETCH 1 (FLAGS BODY.PEEK[TEXT])\r\n",
		"* 1 FETCH (FLAGS (\\Seen) BODY[TEXT] {11}\r\nHello Joe\r\n)\r\na5 OK ~\r\n");
	TALK(b, "b2 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)\r\n", "b2 NO [UNAVAILABLE] ~\r\n");
	TALK(b, "b3 FETCH 1 MODSEQ\r\n", "b3 NO [UNAVAILABLE] ~\r\n");
	TALK(b, "b4 FETCH 1 BODY.PEEK[TEXT]\r\n", "* 1 FETCH (BODY[TEXT] {11}\r\nHello Joe\r\n)\r\nb4 OK ~\r\n");
	TALK(b, "b5 STATUS INBOX (MESSAGES HIGHESTMODSEQ)\r\n", "b5 NO [UNAVAILABLE] ~\r\n");
	TALK(b, "b6 SEARCH MODSEQ 1\r\n", "b6 NO [UNAVAILABLE] ~\r\n");
	TALK(b, "b7 NOOP\r\n", "b7 OK ~\r\n");
	for (unsigned i = 0; i < 20; i++)
		T_EQ(loop_turn(box.loop, 0), OK);
	T_OK(!box.loop->busy);
	end(a);
	end(b);
}

/* A phone that hears of a wrong password asks its owner for another one. */
T_TEST(login_while_the_users_cannot_be_read)
{
	sim_client a;

	begin();
	a = box_connect();
	sim_fail(SIM_OP_READ, 1, E_IO, true);
	TALK(a, "a1 LOGIN anna geheim\r\n", "a1 NO [UNAVAILABLE] ~\r\n");
	sim_fail(SIM_OP_READ, 0, OK, false);
	TALK(a, "a2 LOGIN anna geheim\r\n", "a2 OK ~\r\n");
	end(a);
}

/* Rule 1 of the store, seen from here: what was answered is there afterwards. */
T_TEST(after_a_cut)
{
	sim_client c;

	begin();
	c = box_select("anna", "INBOX");
	box_append(c, "INBOX", "(\\Seen)", MESSAGE);
	TALK(c, "a1 CREATE kept\r\n", "a1 OK ~\r\n");
	TALK(c, "a2 COPY 1 kept\r\n", "a2 OK [COPYUID ~] Copied\r\n");
	sim_power_cut(&sim_lose_all);
	box_start();
	c = box_select("anna", "kept");
	TALK(c, "a3 FETCH 1 (FLAGS BODY.PEEK[TEXT])\r\n",
		"* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {11}\r\nHello Joe\r\n)\r\na3 OK ~\r\n");
	end(c);
}

T_MAIN(T_RUN(sizes) T_RUN(greeting_and_states) T_RUN(no_password_in_clear) T_RUN(sasl) T_RUN(limits_before_login) T_RUN(
	too_slow) T_RUN(first_mailboxes) T_RUN(names) T_RUN(list_extended) T_RUN(select_answers) T_RUN(sections)
		T_RUN(fetch_grammar) T_RUN(nul_is_hidden) T_RUN(any_pieces) T_RUN(store) T_RUN(many_long_keywords)
			T_RUN(condstore) T_RUN(condstore_idle) T_RUN(copy_and_move) T_RUN(many_messages)
				T_RUN(copyuid_is_made_in_slices) T_RUN(expunges_are_held_back) T_RUN(append) T_RUN(
					append_beyond_what_is_taken) T_RUN(search) T_RUN(object_ids) T_RUN(rename_inbox)
					T_RUN(idle) T_RUN(mailbox_goes) T_RUN(bad_input) T_RUN(crowded) T_RUN(
						damaged_body) T_RUN(damage_behind_the_first_piece)
						T_RUN(damaged_large_body) T_RUN(after_a_cut) T_RUN(store_on_a_dead_disk)
							T_RUN(lazy_flags_on_a_dead_disk)
								T_RUN(login_while_the_users_cannot_be_read))
