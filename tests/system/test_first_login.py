"""The first minutes of three mail programs, from login to the first changes, in the order and the words in which
they were seen on the wire; every response is read by the grammar."""

import random
import re
import unittest

from box import Box
from sample import message, multipart
from strict import Strict
from wire import parse, plain


class FirstLogin(unittest.TestCase):
    def setUp(self):
        self.box = Box("first-login").start()
        self.addCleanup(self.box.close)
        generator = random.Random(1)
        for i in range(12):
            m = multipart(i, generator) if i % 3 == 2 else message(i)
            self.box.cubby("deliver", "anna", input=m, check=True)

    def connect(self):
        c = Strict(self.box, tls=True)
        self.addCleanup(c.close)
        return c

    def packet(self, c, *commands):
        """Several commands in one packet; the untagged answers of each. All must be OK."""
        c.send(b"".join(b"p%d %s\r\n" % (i, text.encode()) for i, text in enumerate(commands)))
        answers = []
        for i, text in enumerate(commands):
            c.note(b"p%d" % i, text.encode())
            status, untagged = c.until(b"p%d" % i)
            self.assertTrue(status.startswith(b"OK"), (text, status))
            answers.append(untagged)
        return answers

    def test_thunderbird(self):
        c = self.connect()
        self.assertIn(b"AUTH=PLAIN", c.greeting)
        tag = c.begin("authenticate PLAIN")
        self.assertEqual(c.line(), b"+ \r\n")
        c.send(plain("anna") + "\r\n")
        status, _ = c.until(tag)
        self.assertTrue(status.startswith(b"OK [CAPABILITY "), status)
        c.ok("namespace")
        c.ok('ID ("name" "Thunderbird" "version" "140.5.0")')
        listed = b"\n".join(c.ok('list (subscribed) "" "*" return (special-use)'))
        for word in b"\\Drafts", b"\\Sent", b"\\Junk", b"\\Trash", b"\\Archive", b"\\Subscribed":
            self.assertIn(word, listed)
        self.assertEqual(len(c.ok('list "" "INBOX"')), 1)
        c.ok('select "INBOX"')
        c.cmd('getquotaroot "INBOX"')  # it asks where QUOTA is offered; a refusal must not cost the session
        self.assertEqual(len(c.ok("UID fetch 1:* (FLAGS)")), 12)
        heads = c.ok("UID fetch 1:12 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date "
                     "Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To "
                     "Received)])")
        self.assertEqual(len(heads), 12)
        self.assertTrue(all(b"Subject: " in h for h in heads))
        self.assertEqual(len(c.ok("UID fetch 3,7 (UID RFC822.SIZE BODY.PEEK[])")), 2)
        tag = c.begin("IDLE")
        self.assertTrue(c.line().startswith(b"+"))
        c.send("DONE\r\n")
        self.assertTrue(c.until(tag)[0].startswith(b"OK"))
        c.ok("noop")
        c.ok("uid store 1:2 +Flags (\\Seen)")
        c.ok("uid store 2 +Flags (\\Flagged)")
        c.ok("uid store 3 +FLAGS ($label1)")
        c.ok('create "TB Neu &AOQ-"')
        c.ok('subscribe "TB Neu &AOQ-"')
        self.assertEqual(len(c.ok('list "" "TB Neu &AOQ-"')), 1)
        c.ok('uid copy 4:5 "TB Neu &AOQ-"')
        c.ok('uid move 4:5 "TB Neu &AOQ-"')
        c.ok('uid move 6 "Trash"')
        self.assertEqual(c.ok('uid SEARCH UNDELETED BODY "message 0"'), [b"* SEARCH 1"])
        c.ok("expunge")
        c.ok('select "Drafts"')
        draft = message(99)
        c.send(b'd append "Drafts" (\\Seen \\Draft) {%d+}\r\n%s\r\n' % (len(draft), draft))
        c.note(b"d", b"APPEND")
        self.assertTrue(c.until(b"d")[0].startswith(b"OK [APPENDUID "))
        c.ok("noop")
        self.assertEqual(len(c.ok("UID fetch 1:* (FLAGS)")), 1)
        c.ok("logout")

    def test_apple_mail(self):
        c = self.connect()
        c.ok("CAPABILITY")
        c.ok("AUTHENTICATE PLAIN " + plain("anna"))
        _, spaces, listed = self.packet(c, 'ID ("name" "com.apple.email.maild" "version" "3776.700.51.2.3" "os" "iOS")',
                                        "NAMESPACE", 'LIST "" "*" RETURN (SPECIAL-USE)')
        self.assertIn(b'* NAMESPACE (("" "/")) NIL NIL', spaces)
        self.assertGreaterEqual(len(listed), 6)
        c.ok("ENABLE CONDSTORE")
        c.ok("SELECT INBOX")
        found = c.ok("UID SEARCH RETURN (ALL) UID 1:*")
        self.assertRegex(found[0], rb'^\* ESEARCH \(TAG "[^"]+"\) UID ALL 1:12$')
        self.assertEqual(len(c.ok("UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 0)")), 12)
        self.assertEqual(len(c.ok("UID FETCH 1:12 (UID RFC822.SIZE INTERNALDATE ENVELOPE BODYSTRUCTURE)")), 12)
        # ten slices at a time, most of them past the end
        answers = self.packet(c, *("UID FETCH 3 (UID BODY.PEEK[2]<%d.393216>)" % (i * 393216) for i in range(10)))
        for i, untagged in enumerate(answers):
            self.assertNotIn(b"{0}", untagged[0])
            if i:
                self.assertIn(b'BODY[2]<%d> ""' % (i * 393216), untagged[0])
        self.assertGreater(len(answers[0][0]), 4000)
        tag = c.begin("IDLE")
        self.assertTrue(c.line().startswith(b"+"))
        self.box.cubby("deliver", "anna", input=message(50), check=True)
        self.assertEqual(c.response(), b"* 13 EXISTS")
        c.note(b"s", b"UID SEARCH")
        c.send(b"DONE\r\ns UID SEARCH RETURN (ALL) UID 13:*\r\n")
        self.assertTrue(c.until(tag)[0].startswith(b"OK"))
        status, untagged = c.until(b"s")
        self.assertTrue(status.startswith(b"OK"))
        self.assertTrue(any(re.search(rb" UID ALL 13$", u) for u in untagged), untagged)
        c.note(b"B41", b"UID MOVE")
        c.send(b"\r\nB41 UID MOVE 13 Archive\r\n")
        self.assertTrue(c.until(b"B41")[0].startswith(b"OK"))
        # nothing above 12 is there any more: the last one comes instead
        self.assertRegex(c.ok("UID SEARCH RETURN (ALL) UID 14:*")[0], rb" UID ALL 12$")
        c.ok("UID STORE 1 +FLAGS.SILENT (\\Seen)")
        c.ok("LOGOUT")

    def test_k9(self):
        c = self.connect()
        c.ok("AUTHENTICATE PLAIN " + plain("anna"))
        c.ok("NAMESPACE")
        self.assertTrue(any(b"\\Junk" in r for r in c.ok('LIST "" "*" RETURN (SPECIAL-USE)')))
        c.ok('SELECT "INBOX"')
        self.assertEqual(c.ok("UID SEARCH 1:12 NOT DELETED"), [b"* SEARCH 1 2 3 4 5 6 7 8 9 10 11 12"])
        self.assertEqual(len(c.ok("UID FETCH 12,11,10,9 (UID FLAGS)")), 4)
        found = c.ok("UID FETCH 9:12 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from "
                     "content-type to cc reply-to message-id references in-reply-to list-unsubscribe sender "
                     "X-K9mail-Identity Chat-Version)])")
        self.assertEqual(len(found), 4)
        for r in c.ok("UID FETCH 1:12 (UID BODYSTRUCTURE)"):
            self.no_nil(parse(r.split(b" FETCH ", 1)[1])[0][3])
        self.assertIn(b"BODY[]<0>", c.ok("UID FETCH 12 (UID BODY.PEEK[]<0.32768>)")[0])
        self.assertEqual(c.ok("UID SEARCH HEADER MESSAGE-ID <1@a.example>"), [b"* SEARCH 2"])
        c.ok("UID STORE 11,12 +FLAGS.SILENT (\\Seen)")
        c.ok('UID COPY 11 "Archive"')
        c.ok("UID STORE 11 +FLAGS.SILENT (\\Deleted)")
        self.assertIn(b"* 11 EXPUNGE", c.ok("UID EXPUNGE 11"))
        draft = message(77)
        tag = c.begin('APPEND "Drafts" (\\Seen) {%d}' % len(draft))
        self.assertTrue(c.line().startswith(b"+"))
        c.send(draft + b"\r\n")
        self.assertTrue(c.until(tag)[0].startswith(b"OK [APPENDUID "))
        # push: a connection a folder, which only looks
        pushed = []
        for folder in "INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash":
            p = self.connect()
            p.ok("AUTHENTICATE PLAIN " + plain("anna"))
            p.ok('EXAMINE "%s"' % folder)
            p.begin("IDLE")
            self.assertTrue(p.line().startswith(b"+"))
            pushed.append(p)
        c.ok("UID MOVE 12 Junk")
        self.assertEqual(pushed[3].response(), b"* 1 EXISTS")
        self.assertEqual(pushed[0].response(), b"* 11 EXPUNGE")

    def no_nil(self, part):
        """NIL where a string or a number must stand stops its synchronisation without a word."""
        if isinstance(part[0], list):
            n = 0
            while isinstance(part[n], list):
                self.no_nil(part[n])
                n += 1
            self.assertIsInstance(part[n], bytes)
            return
        for i in 0, 1, 5:
            self.assertIsInstance(part[i], bytes)
        self.assertRegex(part[6], rb"\A\d+\Z")


class Empty(unittest.TestCase):
    def test_an_empty_string_is_never_a_literal(self):
        """{0} makes iPhones wait for a minute and a half."""
        with Box("empty") as box, Strict(box, login="anna") as c:
            for m in (b"Subject: \r\n\r\n", b"\r\n", b"Subject: only a head\r\n",
                      b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b--\r\n"):
                c.append_uid("INBOX", m)
            c.ok("SELECT INBOX")
            for items in ("BODY.PEEK[TEXT]", "BODY.PEEK[1]", "BODY.PEEK[1.MIME]", "BODY.PEEK[HEADER.FIELDS (X-None)]",
                          "BODY.PEEK[]<100000.10>", "RFC822.TEXT", "ENVELOPE", "BODY.PEEK[9]", "BODYSTRUCTURE"):
                answer = c.ok("FETCH 1:4 (%s)" % items)
                self.assertGreaterEqual(len([r for r in answer if b"FETCH" in r]), 4)
                for r in answer:
                    self.assertNotIn(b"{0}", r)


if __name__ == "__main__":
    unittest.main()
