"""What real clients do that the grammar does not suggest, each as it came over the wire."""

import re
import unittest

from box import PASSWORD, Box
from sample import message
from wire import Atom, Imap, parse, plain


class Habits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.box = Box("habits").start()
        for i in range(5):
            cls.box.cubby("deliver", "anna", input=message(i), check=True)

    @classmethod
    def tearDownClass(cls):
        cls.box.close()

    def setUp(self):
        self.c = Imap(self.box, login="anna")
        self.c.ok("SELECT INBOX")

    def tearDown(self):
        self.c.close()

    def test_lower_case_words(self):  # Thunderbird
        c = self.c
        c.ok('list (subscribed) "" "*" return (special-use)')
        c.ok('select "INBOX"')
        self.assertEqual(len(c.ok("uid fetch 1:* (flags)")), 5)
        c.ok("uid store 1 +Flags (\\Seen)")
        self.assertEqual(c.ok("uid SEARCH UNDELETED BODY \"message 3\""), [b"* SEARCH 4"])
        c.ok("noop")

    def test_lower_case_authentication(self):  # Thunderbird: no initial response
        with Imap(self.box, tls=True) as c:
            tag = c.begin("authenticate PLAIN")
            self.assertEqual(c.line(), b"+ \r\n")
            c.send(plain("anna") + "\r\n")
            status, _ = c.until(tag)
            self.assertTrue(status.startswith(b"OK [CAPABILITY "), status)
            for word in b"STARTTLS", b"LOGINDISABLED":
                self.assertNotIn(word, status)

    def test_initial_response(self):  # mbsync, mutt, curl
        with Imap(self.box, tls=True) as c:
            self.assertRegex(c.greeting, rb"^\* OK \[CAPABILITY [^]]*\bAUTH=PLAIN\b")
            self.assertIn(b" SASL-IR", c.greeting)
            c.ok("AUTHENTICATE PLAIN " + plain("anna"))

    def test_mailbox_names_as_atoms(self):  # offlineimap
        self.c.ok("CREATE &ZeVnLIqe-")
        self.c.ok("SELECT &ZeVnLIqe-")
        self.c.ok("EXAMINE inbox")
        self.assertTrue(any(b"&ZeVnLIqe-" in r for r in self.c.ok('LIST "" &ZeVnLIqe-')))
        self.c.ok("DELETE &ZeVnLIqe-")

    def test_unasked_enable(self):  # mutt
        self.assertTrue(self.c.cmd("ENABLE UTF8=ACCEPT")[0].startswith(b"OK"))
        self.assertTrue(self.c.cmd("ENABLE IMAP4rev1 X-UNKNOWN")[0].startswith(b"OK"))
        answer = self.c.ok("ENABLE CONDSTORE X-UNKNOWN")
        self.assertIn(b"* ENABLED CONDSTORE", answer)

    def test_keywords(self):  # Thunderbird's labels, mutt's Old
        self.c.ok("STORE 1 +FLAGS ($label1 Old)")
        flags = self.c.fetch("1", "(FLAGS)")[1][b"FLAGS"]
        self.assertIn(b"$label1", flags)
        self.assertIn(b"Old", flags)
        self.assertEqual(self.c.ok("SEARCH KEYWORD $LABEL1"), [b"* SEARCH 1"])  # Horde: another case
        self.c.ok("STORE 1 -FLAGS ($label1 Old)")

    def test_store_without_parentheses_and_in_any_case(self):  # Horde, alpine
        self.c.ok("STORE 2 +FLAGS.SILENT \\Flagged")
        self.c.ok("STORE 2 +Flags (\\FLAGGED)")
        self.assertIn(b"\\Flagged", self.c.fetch("2", "FLAGS")[2][b"FLAGS"])
        self.c.ok("STORE 2 -FLAGS (\\flagged)")

    def test_same_item_twice(self):  # JavaMail
        answer = self.c.ok("FETCH 1:2 (ENVELOPE INTERNALDATE RFC822.SIZE FLAGS BODYSTRUCTURE UID RFC822.SIZE)")
        self.assertEqual(len([r for r in answer if b"FETCH" in r]), 2)

    def test_list_with_bare_patterns(self):  # Horde
        answer = self.c.ok('LIST () "" (*) RETURN (CHILDREN SPECIAL-USE)')
        names = [parse(r[7:])[2] for r in answer if r.startswith(b"* LIST ")]
        self.assertIn(b"INBOX", names)
        self.assertIn(b"Trash", names)
        answer = self.c.ok('LIST () "" (INBOX Tr*) RETURN (STATUS (MESSAGES))')
        self.assertEqual(sum(r.startswith(b"* STATUS") for r in answer), 2)

    def test_search_charset(self):  # aerc, imapfilter, Roundcube
        for charset in "US-ASCII", "UTF-8", "utf-8":
            self.assertEqual(self.c.ok("UID SEARCH CHARSET %s SUBJECT \"message 2\"" % charset), [b"* SEARCH 3"])
        status, _ = self.c.cmd("SEARCH CHARSET KOI9 ALL")
        self.assertTrue(status.startswith(b"NO [BADCHARSET"), status)
        text = "日本".encode()
        self.c.send(b"x1 UID SEARCH CHARSET UTF-8 SUBJECT {%d+}\r\n%s\r\n" % (len(text), text))
        self.assertEqual(self.c.until(b"x1")[1], [b"* SEARCH"])

    def test_commands_behind_done_in_one_packet(self):
        c = self.c
        c.send("i1 IDLE\r\n")
        self.assertTrue(c.line().startswith(b"+"))
        c.send("DONE\r\ni2 NOOP\r\ni3 UID FETCH 1 (UID)\r\n")
        self.assertTrue(c.until(b"i1")[0].startswith(b"OK"))
        self.assertTrue(c.until(b"i2")[0].startswith(b"OK"))
        self.assertEqual(c.until(b"i3")[1], [b"* 1 FETCH (UID 1)"])

    def test_pipelined_partials_past_the_end(self):  # JavaMail, K-9
        size = int(self.c.fetch("1", "RFC822.SIZE")[1][b"RFC822.SIZE"])
        whole = self.c.body("1")
        step = size // 6
        for i in range(10):
            self.c.send("p%d UID FETCH 1 (BODY.PEEK[]<%d.%d>)\r\n" % (i, i * step, step))
        joined = b""
        for i in range(10):
            status, untagged = self.c.until(b"p%d" % i)
            self.assertTrue(status.startswith(b"OK"))
            self.assertNotIn(b"{0}", untagged[0])
            if i * step >= size:
                self.assertIn(b'BODY[]<%d> ""' % (i * step), untagged[0])
            joined += parse(untagged[0].split(b"FETCH ", 1)[1])[0][-1 if b"UID" not in untagged[0].split(b"(")[1][:4]
                                                                    else 3]
        self.assertEqual(joined, whole)

    def test_blank_line_before_a_tag(self):
        self.c.send("\r\nb1 NOOP\r\n")
        self.assertTrue(self.c.until(b"b1")[0].startswith(b"OK"))

    def test_changed_since_zero(self):
        found = self.c.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)")
        self.assertEqual(len([r for r in found if b"FETCH" in r]), 5)
        self.assertTrue(all(b"MODSEQ" in r for r in found if b"FETCH" in r))

    def test_star_beyond_the_last_uid(self):  # "n:*" with n above all is the last message
        self.assertEqual(len(self.c.ok("UID FETCH 1000:* (UID)")), 1)
        self.assertEqual(self.c.ok("UID SEARCH UID 1000:*"), [b"* SEARCH 5"])

    def test_list_for_the_separator(self):  # RFC 3501 6.3.8
        self.assertEqual(self.c.ok('LIST "" ""'), [b'* LIST (\\Noselect) "/" ""'])

    def test_trailing_separator(self):
        self.c.ok("CREATE Trail/")
        answer = self.c.ok('LIST "" "Trail"')
        self.assertEqual(len(answer), 1)
        self.c.ok("SUBSCRIBE Trail/")
        self.c.ok("STATUS Trail/ (MESSAGES)")
        self.c.ok("DELETE Trail/")

    def test_namespace_and_list_in_one_packet(self):
        self.c.send('n1 NAMESPACE\r\nn2 LIST "" "*" RETURN (SPECIAL-USE)\r\n')
        self.assertIn(b'* NAMESPACE (("" "/")) NIL NIL', self.c.until(b"n1")[1])
        self.assertTrue(any(b"\\Trash" in r for r in self.c.until(b"n2")[1]))

    def test_alpine_search(self):
        self.assertEqual(self.c.ok("SEARCH UNANSWERED UNDELETED UNSEEN")[0][:8], b"* SEARCH")

    def test_getmail_store(self):  # FLAGS without + or -
        self.c.ok("STORE 3 FLAGS (\\Seen)")
        self.assertIn(b"\\Seen", self.c.fetch("3", "FLAGS")[3][b"FLAGS"])

    def test_fetchmail(self):
        self.c.ok("FETCH 1:5 RFC822.SIZE")
        found = self.c.fetch("2", "(RFC822.HEADER BODY.PEEK[TEXT])")[2]
        self.assertEqual(found[b"RFC822.HEADER"] + found[b"BODY[TEXT]"], self.c.body("2"))

    def test_id(self):
        self.assertTrue(self.c.ok('ID ("name" "Thunderbird" "version" "140.0")')[0].startswith(b'* ID ("name"'))
        self.assertTrue(self.c.ok("ID NIL")[0].startswith(b"* ID ("))


class BodyStructure(unittest.TestCase):
    """BODYSTRUCTURE is never NIL where a string or a number must stand; nothing 8-bit is quoted."""

    MESSAGES = [
        b"\r\n",
        b"no header at all\r\n",
        b"Content-Type: \r\n\r\nx",
        b"Content-Type: text\r\n\r\nx",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n--a--\r\n",
        b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx",
        b"Content-Type: text/plain; name=\"\xe4\xf6\xfc.txt\"\r\nContent-Transfer-Encoding: \r\n\r\nx",
        b"Subject: \xc3\xa4\xff\r\nFrom: \"\xe4\" <a@b>\r\nTo: undisclosed-recipients:;\r\n\r\nx",
        b"Subject: a\"b\\c\r\n\r\nx",
    ]

    def string(self, value):
        self.assertIsInstance(value, bytes)
        self.assertNotIsInstance(value, Atom)

    def number(self, value):
        self.assertIsInstance(value, Atom)
        self.assertTrue(re.fullmatch(rb"\d+", value), value)

    def part(self, p):
        if isinstance(p[0], list):
            n = 0
            while isinstance(p[n], list):
                self.part(p[n])
                n += 1
            self.string(p[n])
            return
        self.string(p[0])
        self.string(p[1])
        self.string(p[5])
        self.number(p[6])
        if p[0].upper() == b"TEXT":
            self.number(p[7])
        if (p[0].upper(), p[1].upper()) == (b"MESSAGE", b"RFC822"):
            self.assertEqual(len(p[7]), 10)
            self.part(p[8])
            self.number(p[9])

    def test_odd_messages(self):
        with Box("structure") as box, Imap(box, login="anna") as c:
            for m in self.MESSAGES:
                self.assertTrue(c.append("INBOX", m).startswith(b"OK"), m)
            c.ok("SELECT INBOX")
            found = c.fetch("1:*", "(BODYSTRUCTURE BODY ENVELOPE)")
            self.assertEqual(len(found), len(self.MESSAGES))
            for n, items in found.items():
                with self.subTest(message=self.MESSAGES[n - 1]):
                    self.part(items[b"BODYSTRUCTURE"])
                    self.part(items[b"BODY"])
                    self.assertEqual(len(items[b"ENVELOPE"]), 10)


if __name__ == "__main__":
    unittest.main()
