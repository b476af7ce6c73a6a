"""LMTP (RFC 2033): transcripts, what ends a message, and what is answered when something is wrong."""

import itertools
import time
import unittest

from box import Box
from wire import Closed, Imap, Lmtp

TEXT = b"From: joe@a.example\r\nSubject: hello\r\n\r\nbody\r\n"


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.box = Box("lmtp").start()

    @classmethod
    def tearDownClass(cls):
        cls.box.close()

    def bodies(self, user, mailbox="INBOX"):
        """The messages of a mailbox, oldest first; the mailbox is emptied."""
        with Imap(self.box, login=user) as c:
            c.ok("SELECT " + mailbox)
            found = [c.body(i + 1) for i in range(c.count(mailbox))]
            if found:
                c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
                c.ok("EXPUNGE")
            return found


class Transcript(Case):
    def test_greeting_and_extensions(self):
        with Lmtp(self.box, hello=False) as c:
            self.assertEqual(c.greeting[0], 220)
            self.assertTrue(c.greeting[1][0].startswith("box.home.arpa LMTP"))
            code, lines = c.cmd("lhlo client.example")
            self.assertEqual(code, 250)
            self.assertEqual(lines[0], "box.home.arpa")
            words = [line.split()[0] for line in lines[1:]]
            for word in ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"):
                self.assertIn(word, words)
            self.assertEqual(c.cmd("QUIT")[0], 221)
            self.assertEqual(c.rest(), b"")

    def test_one_message(self):
        with Lmtp(self.box) as c:
            self.assertEqual(c.deliver(TEXT[:-2], "anna@box.home.arpa"), [250])
        got, = self.bodies("anna")
        lines = got.split(b"\r\n")
        self.assertEqual(lines[0], b"Return-Path: <sender@a.example>")
        self.assertEqual(lines[1], b"Delivered-To: anna@box.home.arpa")
        self.assertTrue(lines[2].startswith(b"Received: from client.example"), lines[2])
        self.assertTrue(got.endswith(b"\r\n" + TEXT))

    def test_by_tcp(self):
        with Lmtp(self.box, unix=False) as c:
            self.assertEqual(c.deliver(TEXT[:-2], "anna"), [250])
        got, = self.bodies("anna")
        self.assertIn(b"Received: from client.example ([127.0.0.1])", got)

    def test_rfc_2033_example(self):
        # Section 4.2's example: three recipients, one unknown; then a reply for each that was taken.
        with Lmtp(self.box) as c:
            c.send("MAIL FROM:<chris@bar.com>\r\nRCPT TO:<anna@foo.edu>\r\nRCPT TO:<jones@foo.edu>\r\n"
                   "RCPT TO:<bert@foo.edu>\r\nDATA\r\n")
            self.assertEqual([c.reply()[0] for _ in range(5)], [250, 250, 550, 250, 354])
            c.send("Blah blah blah...\r\n...etc. etc. etc.\r\n.\r\n")
            self.assertEqual([c.reply()[0] for _ in range(2)], [250, 250])
            self.assertEqual(c.cmd("QUIT")[0], 221)
        for user in "anna", "bert":
            got, = self.bodies(user)
            self.assertTrue(got.endswith(b"\r\nBlah blah blah...\r\n..etc. etc. etc.\r\n"), got)
            self.assertNotIn(b"Delivered-To", got)  # nobody learns who else got it
            self.assertNotIn(b"foo.edu", got)

    def test_several_users_share_one_object(self):
        with Lmtp(self.box) as c:
            self.assertEqual(c.deliver(TEXT[:-2], "anna", "bert", "ANNA"), [250, 250, 250])
        ids = []
        for user in "anna", "bert":
            with Imap(self.box, login=user) as c:
                c.ok("SELECT INBOX")
                found = c.fetch("1:*", "(EMAILID)")
                self.assertEqual(len(found), 1)
                ids.append(found[1][b"EMAILID"])
            self.bodies(user)
        self.assertEqual(ids[0], ids[1])

    def test_null_sender_and_odd_paths(self):
        with Lmtp(self.box) as c:
            for path in "<>", " <joe@a.example>", "<@one.example,@two.example:joe@a.example>", '<"joe x"@a.example>':
                self.assertEqual(c.cmd("MAIL FROM:" + path)[0], 250, path)
                self.assertEqual(c.cmd("RSET")[0], 250)
            for path in "joe@a.example", "<joe@a.example", "<a b@c>", "<" + "a" * 400 + "@b>", "":
                self.assertEqual(c.cmd("MAIL FROM:" + path)[0], 501, path)

    def test_parameters(self):
        with Lmtp(self.box) as c:
            self.assertEqual(c.cmd("MAIL FROM:<a@b> SIZE=1000 BODY=8BITMIME SMTPUTF8")[0], 250)
            self.assertEqual(c.cmd("RCPT TO:<anna> NOTIFY=NEVER")[0], 555)
            self.assertEqual(c.cmd("RSET")[0], 250)
            self.assertEqual(c.cmd("MAIL FROM:<a@b> FOO=1")[0], 555)
            self.assertEqual(c.cmd("MAIL FROM:<a@b> BODY=BINARYMIME")[0], 501)
            self.assertEqual(c.cmd("MAIL FROM:<a@b> SIZE=x")[0], 501)

    def test_utf8_address(self):
        with Lmtp(self.box) as c:
            self.assertEqual(c.cmd("MAIL FROM:<jörg@müller.example> SMTPUTF8")[0], 250)
            self.assertEqual(c.cmd("RCPT TO:<anna@bücher.example>")[0], 250)
            self.assertEqual(c.cmd("DATA")[0], 354)
            c.send(b"x\r\n.\r\n")
            self.assertEqual(c.reply()[0], 250)
        got, = self.bodies("anna")
        self.assertIn("Return-Path: <jörg@müller.example>".encode(), got)
        self.assertIn(b"with UTF8LMTP", got)

    def test_order_of_commands(self):
        with Lmtp(self.box, hello=False) as c:
            self.assertEqual(c.cmd("MAIL FROM:<a@b>")[0], 503)
            self.assertEqual(c.cmd("LHLO")[0], 501)
            for other in "HELO x", "EHLO x":  # RFC 2033 section 4.1
                self.assertEqual(c.cmd(other)[0], 500)
            self.assertEqual(c.cmd("LHLO x")[0], 250)
            self.assertEqual(c.cmd("RCPT TO:<anna>")[0], 503)
            self.assertEqual(c.cmd("DATA")[0], 503)
            self.assertEqual(c.cmd("MAIL FROM:<a@b>")[0], 250)
            self.assertEqual(c.cmd("MAIL FROM:<a@b>")[0], 503)
            self.assertEqual(c.cmd("RCPT TO:<nobody>")[0], 550)
            self.assertEqual(c.cmd("DATA")[0], 503)  # RFC 2033 4.2: no RCPT was successful
            self.assertEqual(c.cmd("RSET")[0], 250)
            self.assertEqual(c.cmd("RCPT TO:<anna>")[0], 503)
            self.assertEqual(c.cmd("NOOP")[0], 250)
            self.assertEqual(c.cmd("VRFY anna")[0], 252)


class Subaddress(Case):
    def test_into_the_mailbox(self):
        with Imap(self.box, login="anna") as c:
            c.ok("CREATE Lists/Cubby")
        with Lmtp(self.box) as c:
            self.assertEqual(c.deliver(b"1", "anna+Lists/Cubby@x"), [250])
            self.assertEqual(c.deliver(b"2", "anna+lists/cubby@x"), [250])
            self.assertEqual(c.deliver(b"3", "anna+nothing@x"), [250])
            self.assertEqual(c.deliver(b"4", "anna+Junk@x", "anna@x"), [250, 250])
        self.assertEqual(len(self.bodies("anna", "Lists/Cubby")), 2)
        self.assertEqual(len(self.bodies("anna", "Junk")), 1)
        self.assertEqual(len(self.bodies("anna")), 2)

    def test_new_user_gets_mailboxes_first(self):
        self.box.cubby("user", "add", "carla", input="pass word\n", check=True)
        with Lmtp(self.box) as c:
            self.assertEqual(c.deliver(b"x", "carla+Archive@x"), [250])
        with Imap(self.box, login="carla", password="pass word") as c:
            self.assertEqual(c.count("Archive"), 1)


class Smuggling(Case):
    """Only CRLF.CRLF ends a message (CVE-2023-51764, -51765, -51766)."""

    FAKES = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\n.\r", b"\r\n.\r", b"\r.\n", b"\r\n\0.\r\n",
             b"\r\n.\r\r\n", b"\r\n.\0\r\n"]
    SECOND = b"MAIL FROM:<evil@a.example>\r\nRCPT TO:<anna>\r\nDATA\r\nsecond\r\n"

    def sent_as_one(self, data, pieces):
        with Lmtp(self.box) as c:
            self.assertEqual(c.cmd("MAIL FROM:<a@b>")[0], 250)
            self.assertEqual(c.cmd("RCPT TO:<anna>")[0], 250)
            self.assertEqual(c.cmd("DATA")[0], 354)
            for piece in pieces:
                c.send(piece)
            code, _ = c.reply()
            self.assertEqual(code, 250)
            # Were there a second message, its replies would come before this one.
            self.assertEqual(c.cmd("NOOP")[1], ["2.0.0 Fine"])

    def test_fake_ends_at_every_split(self):
        sent = 0
        expected = []
        for fake in self.FAKES:
            data = b"first" + fake + self.SECOND + b".\r\n"
            text = (b"first" + fake.replace(b"\r\n.", b"\r\n") + self.SECOND).replace(b"\0", b"\x80")
            splits = range(4, len(b"first" + fake) + 2)
            for at in splits:
                self.sent_as_one(data, [data[:at], data[at:]])
                sent += 1
                expected.append(text)
            self.sent_as_one(data, [bytes([b]) for b in data])
            sent += 1
            expected.append(text)
        got = self.bodies("anna")
        self.assertEqual(len(got), sent)
        for message, text in zip(got, expected):
            self.assertTrue(message.endswith(text), (message, text))

    def test_text_before_the_answer_to_data_is_never_run(self):
        with Lmtp(self.box) as c:
            c.send("MAIL FROM:<a@b>\r\nRCPT TO:<nobody>\r\nDATA\r\nMAIL FROM:<x@y>\r\nRCPT TO:<anna>\r\n")
            codes = []
            try:
                while True:
                    codes.append(c.reply()[0])
            except Closed:
                pass
        self.assertEqual(codes, [250, 550, 421])

    def test_bare_line_ends_are_kept(self):
        text = b"a\nb\rc\n\nd\0e\x80\r\n\r\n"
        with Lmtp(self.box) as c:
            self.assertEqual(c.deliver(text[:-2], "anna"), [250])
        got, = self.bodies("anna")
        self.assertTrue(got.endswith(b"\r\n" + text.replace(b"\0", b"\x80")), got)

    def test_empty_message(self):
        with Lmtp(self.box) as c:
            c.cmd("MAIL FROM:<>")
            c.cmd("RCPT TO:<anna>")
            self.assertEqual(c.cmd("DATA")[0], 354)
            c.send(b".\r\n")
            self.assertEqual(c.reply()[0], 250)
        self.assertEqual(len(self.bodies("anna")), 1)


class Limits(Case):
    def test_command_lines(self):
        with Lmtp(self.box) as c:
            self.assertEqual(c.cmd("NOOP " + "x" * 3000)[0], 500)
            self.assertEqual(c.cmd("NOOP " + "x" * 100000)[0], 500)
            self.assertEqual(c.cmd("NOOP")[0], 250)
            c.send(b"NOOP\n")
            self.assertEqual(c.reply()[0], 500)
            self.assertEqual(c.cmd("NO\rOP")[0], 500)
            self.assertEqual(c.cmd(b"\0\xff")[0], 500)

    def test_too_many_errors(self):
        codes = []
        with Lmtp(self.box) as c:
            try:
                for _ in range(100):
                    codes.append(c.cmd("FOO")[0])
            except (Closed, ConnectionError):
                pass
            codes += [int(line[:3]) for line in c.held.split(b"\r\n") if line]
        self.assertLessEqual(len(codes), 30)
        self.assertTrue(all(code in (500, 421) for code in codes))

    def test_recipients(self):
        with Lmtp(self.box) as c:
            c.cmd("MAIL FROM:<a@b>")
            codes = [c.cmd("RCPT TO:<anna+%d>" % i)[0] for i in range(66)]
            self.assertEqual(codes, [250] * 64 + [452] * 2)
            self.assertEqual(c.cmd("DATA")[0], 354)
            c.send(b"x\r\n.\r\n")
            self.assertEqual([c.reply()[0] for _ in range(64)], [250] * 64)
            self.assertEqual(c.cmd("NOOP")[0], 250)
        self.assertEqual(len(self.bodies("anna")), 1)

    def test_size(self):
        limit = 1 << 20
        with Box("lmtp-size", message_size="1M") as box, Lmtp(box) as c:
            _, lines = c.cmd("LHLO x")
            self.assertIn("SIZE %d" % limit, lines)
            self.assertEqual(c.cmd("MAIL FROM:<a@b> SIZE=%d" % (limit + 1))[0], 552)
            self.assertEqual(c.cmd("MAIL FROM:<a@b> SIZE=99999999999999999999999999")[0], 552)
            for size, code in ((limit // 2, 250), (limit + 1000, 552), (4 * limit, 552)):
                text = b"x" * 76 + b"\r\n"
                self.assertEqual(c.deliver((text * (size // len(text) + 1))[:size], "anna"), [code])
            with Imap(box, login="anna") as i:
                self.assertEqual(i.count("INBOX"), 1)

    def test_quota_of_one_of_two(self):
        message = (b"x" * 76 + b"\r\n") * 5000
        with Box("lmtp-quota", quota="1M") as box, Lmtp(box) as c:
            for _ in range(2):
                self.assertEqual(c.deliver(message, "anna"), [250])
            codes = c.deliver(message, "anna", "bert")
            self.assertEqual(codes, [452, 250])
            self.assertEqual(c.deliver(message, "bert"), [250])

    def test_quota_counts_each_mailbox_of_one_user(self):
        with Box("lmtp-shown", users=("anna",), quota="100K") as box:
            with Imap(box, login="anna") as c:
                c.ok("STATUS INBOX (MESSAGES)")
            with Lmtp(box) as c:
                large = TEXT + b"x" * 998 + b"\r\n"
                large += (b"y" * 70 + b"\r\n") * 830
                self.assertEqual(c.deliver(large, "anna", "anna+Archive"), [250, 452])
            with Imap(box, login="anna") as c:
                self.assertEqual((c.count("INBOX"), c.count("Archive")), (1, 0))

    def test_full_store(self):
        message = (b"x" * 76 + b"\r\n") * 3000
        kept = 0
        with Box("lmtp-full", storage="8M") as box:
            with Lmtp(box) as c:
                for _ in range(100):
                    code = c.cmd("MAIL FROM:<a@b>")[0]
                    self.assertEqual(code, 250)
                    code, text = c.cmd("RCPT TO:<anna>")
                    if code == 250:
                        self.assertEqual(c.cmd("DATA")[0], 354)
                        c.send(message + b"\r\n.\r\n")
                        code, text = c.reply()
                    if code == 250:
                        kept += 1
                        continue
                    self.assertEqual((code, text[0][:5]), (452, "4.2.2"))
                    self.assertEqual(c.cmd("RSET")[0], 250)
                    break
                else:
                    self.fail("100 messages went into a store of 8 MiB")
            self.assertGreater(kept, 10)
            with Imap(box, login="anna") as i:  # nothing was lost, and room can be made
                self.assertEqual(i.count("INBOX"), kept)
                i.ok("SELECT INBOX")
                i.ok("STORE 1:%d +FLAGS.SILENT (\\Deleted)" % (kept // 2))
                i.ok("EXPUNGE")
            end = time.monotonic() + 20
            while True:
                with Lmtp(box) as c:
                    c.cmd("MAIL FROM:<a@b>")
                    if c.cmd("RCPT TO:<anna>")[0] == 250:
                        c.cmd("DATA")
                        c.send(message + b"\r\n.\r\n")
                        if c.reply()[0] == 250:
                            break
                self.assertLess(time.monotonic(), end, "no room came back")
                time.sleep(0.2)


class Durable(unittest.TestCase):
    def test_answered_mail_outlives_a_kill(self):
        box = Box("lmtp-kill").start()
        try:
            answered = 0
            for round_ in range(5):
                with Lmtp(box) as c:
                    for i in range(round_ * 3 + 1):
                        self.assertEqual(c.deliver(b"%d %d" % (round_, i), "anna"), [250])
                        answered += 1
                    c.cmd("MAIL FROM:<a@b>")
                    c.cmd("RCPT TO:<anna>")
                    c.cmd("DATA")
                    c.send(b"never finished " * 100)
                    box.kill()
                box.start()
                with Imap(box, login="anna") as i:
                    self.assertEqual(i.count("INBOX"), answered)
        finally:
            box.close()


if __name__ == "__main__":
    unittest.main()
