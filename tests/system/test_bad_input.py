"""Input that no client should send: a tagged BAD or NO, or BYE, in bounded memory, and the others
are served as before."""

import unittest

from box import Box
from sample import message
from wire import Closed, Imap, Line


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.box = Box("bad").start()
        cls.box.cubby("deliver", "anna", input=message(1), check=True)
        with Imap(cls.box, login="anna") as c:
            c.ok("SELECT INBOX")
        cls.memory = cls.box.resident_anonymous()

    @classmethod
    def tearDownClass(cls):
        cls.box.close()

    def tearDown(self):
        self.assertTrue(self.box.alive(), self.box.log())
        with Imap(self.box, login="bert") as c:
            c.ok("NOOP")
        # The arena may be touched further; it never grows beyond what was given.
        self.assertLess(self.box.resident_anonymous(), 8 * 1024 * 1024 + 256 * 1024)

    def answered(self, data, login=True, chunk=1 << 16):
        """Sends and returns everything that came until the connection was closed or a NOOP behind it
        was answered."""
        c = Imap(self.box, login="anna" if login else None)
        with c:
            if login:
                c.ok("SELECT INBOX")
            try:
                for at in range(0, len(data), chunk):
                    c.send(data[at:at + chunk])
                c.send("\r\nend NOOP\r\n")
            except ConnectionError:
                pass  # closed meanwhile; what was said before is still to be read
            got = b""
            try:
                while b"end " not in got:
                    got += c.response() + b"\r\n"
            except Closed:
                got += c.held
            return got

    def refused(self, data, login=True):
        got = self.answered(data, login)
        self.assertRegex(got, rb"(?m)^(x (BAD|NO)|\* (BYE|BAD))", got[:500])
        return got

    def test_unknown_command(self):
        self.assertIn(b"x BAD", self.refused(b"x FROBNICATE\r\n"))

    def test_no_command(self):
        self.refused(b"x\r\n")

    def test_unterminated_quote(self):
        self.assertIn(b"x BAD", self.refused(b'x SELECT "INBOX\r\n'))
        self.assertIn(b"x BAD", self.refused(b'x LOGIN "a\\\r\n', login=False))

    def test_literal_of_4_gb(self):
        for size in b"4294967295", b"4294967296", b"99999999999999999999999":
            for plus in b"", b"+":
                self.refused(b"x APPEND INBOX {%s%s}\r\n" % (size, plus))
                self.refused(b"x SELECT {%s%s}\r\n" % (size, plus))
                self.refused(b"x LOGIN {%s%s}\r\n" % (size, plus), login=False)

    def test_literal_before_login(self):  # at most 4 KiB
        self.refused(b"x LOGIN {4097}\r\n", login=False)

    def test_many_small_literals(self):
        self.refused(b"x SEARCH" + b" SUBJECT {1+}\r\na" * 50000 + b"\r\n")
        self.refused(b"x LOGIN" + b" {1+}\r\na" * 5000 + b"\r\n", login=False)

    def test_line_of_1_mb(self):
        self.refused(b"x SELECT " + b"a" * (1 << 20) + b"\r\n")
        self.refused(b"a" * (1 << 20) + b"\r\n", login=False)

    def test_nul_bytes(self):
        self.assertIn(b"x BAD", self.refused(b"x SEL\0ECT INBOX\r\n"))
        self.refused(b'x SELECT "IN\0BOX"\r\n')
        self.refused(b"\0" * 20000 + b"\r\n")

    def test_deep_parentheses(self):
        self.refused(b"x SEARCH " + b"(" * 10000 + b"ALL" + b")" * 10000 + b"\r\n")
        self.refused(b"x FETCH 1 " + b"(" * 10000 + b"FLAGS" + b")" * 10000 + b"\r\n")
        got = self.answered(b"x SEARCH " + b"NOT " * 10000 + b"ALL\r\n")  # valid: answered or refused
        self.assertRegex(got, rb"(?m)^(\* SEARCH 1\r\nx OK|x (BAD|NO)|\* BYE)")
        self.refused(b"x STORE 1 FLAGS " + b"(" * 10000 + b"\r\n")
        self.refused(b"x LIST " + b"(" * 10000 + b"\r\n")

    def test_set_of_100000_ranges(self):
        ranges = b",".join(b"%d:%d" % (i, i + 1) for i in range(1, 200000, 2))
        self.refused(b"x FETCH " + ranges + b" FLAGS\r\n")
        self.refused(b"x SEARCH UID " + ranges + b"\r\n")

    def test_bad_sets(self):
        for bad in b"0", b"1:", b":1", b"1,,2", b"1;2", b"-1", b"4294967296", b"a", b"1:2:3", b"**":
            self.assertIn(b"x BAD", self.refused(b"x UID FETCH " + bad + b" FLAGS\r\n"), bad)

    def test_number_beyond_the_mailbox(self):  # RFC 3501 section 9, seq-number: an error
        self.refused(b"x FETCH 7 FLAGS\r\n")

    def test_bad_arguments(self):
        for line in (b"SELECT", b"FETCH 1", b"FETCH 1 (BODY[", b"FETCH 1 BODY[0]", b"FETCH 1 BODY[1..2]",
                     b"STORE 1 FLAGZ (\\Seen)", b"STATUS INBOX", b"STATUS INBOX ()",
                     b"SEARCH", b"SEARCH OR ALL", b"SEARCH SINCE 31-Foo-2020", b"LIST", b"UID NOOP", b"UID",
                     b"COPY 1", b"APPEND INBOX", b'APPEND INBOX "yesterday" {1+}\r\nx',
                     b"CREATE", b"RENAME a", b'SELECT "\xff"', b"FETCH 1 BODY[HEADER.FIELDS ()]"):
            with self.subTest(line=line):
                self.refused(b"x " + line + b"\r\n")

    def test_bad_mailbox_names(self):
        for name in (b'""', b'"/"', b'"//a"', b'"a//b"', b'"&"', b'"&AGE-"', b'"&2D0-"', b'"' + b"a" * 2000 + b'"',
                     b'"' + b"a/" * 200 + b'b"', b'"a\x01b"'):
            with self.subTest(name=name):
                self.refused(b"x CREATE " + name + b"\r\n")

    def test_bad_base64(self):
        for text in (b"=", b"!!!!", b"AA==", b"A" * 20000):
            with Imap(self.box) as c:
                try:
                    c.send(b"x AUTHENTICATE PLAIN " + text + b"\r\n")
                    got = c.response()
                except (Closed, ConnectionError):
                    continue
                self.assertRegex(got, rb"^(x (BAD|NO)|\* BYE)")

    def test_many_bad_commands(self):
        got = self.answered(b"".join(b"x%d BAD%d\r\n" % (i, i) for i in range(3000)))
        self.assertIn(b" BAD", got)

    def test_not_imap_at_all(self):
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00" * 100, b"\xff" * 100000):
            with Imap(self.box) as c:
                try:
                    c.send(data + b"\r\n")
                    c.send("end LOGOUT\r\n")
                    c.rest()
                except (Closed, ConnectionError):
                    pass

    def test_plain_text_on_the_tls_port(self):
        with Line(("127.0.0.1", self.box.tls_port)) as c:
            c.send(b"a LOGIN anna secret\r\n")
            self.assertNotIn(b"OK", c.rest())

    def test_bytes_behind_starttls_are_dropped(self):  # CVE-2021-33515
        with Imap(self.box) as c:
            c.send("s STARTTLS\r\nx NOOP\r\n")
            self.assertTrue(c.line().startswith(b"s OK"))
            self.assertEqual(c.held, b"")
            c.start_tls(self.box.tls_context())
            c.send("y NOOP\r\n")
            self.assertTrue(c.line().startswith(b"y OK"))

    def test_client_that_goes_away_in_a_literal(self):
        for _ in range(20):
            c = Imap(self.box, login="anna")
            c.send(b"x APPEND INBOX {100000+}\r\n" + b"a" * 50000)
            c.close()
        with Imap(self.box, login="anna") as c:
            self.assertEqual(c.count("INBOX"), 1)


if __name__ == "__main__":
    unittest.main()
