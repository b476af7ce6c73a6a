"""RFC 3501 section 6.4.4: every search key, alone and together, over messages whose properties are
known, and against a model for random programs."""

import random
import unittest

from scratch import Scratch

# What each message is, beside its text.
MAIL = [
    # flags, internal date, header, body
    ("(\\Seen)", "01-Feb-1994 23:59:59 -1200",
     b"From: Smith <smith@a.example>\r\nTo: anna@b.example\r\nSubject: first\r\n"
     b"Date: Tue, 1 Feb 1994 00:00:01 +1400\r\n", b"Hello World\r\n"),
    ("(\\Answered \\Flagged $Key1)", "02-Feb-1994 00:00:00 +1300", b"From: \"SMITHSON, J\" <js@c.example>\r\n"
     b"Cc: carl@d.example\r\nSubject: Re: first\r\nDate: 2 Feb 1994 12:00 GMT\r\n", b"quoted: hello world\r\n"),
    ("(\\Deleted)", "31-Jan-1994 12:00:00 +0000", b"From: Jones <jones@a.example>\r\nBcc: dora@e.example\r\n"
     b"X-Foo: \r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Sun, 30 Jan 1994 10:00:00 -0500\r\n",
     b"x" * 3000 + b"\r\n"),
    ("(\\Draft $Key2 $key1)", "28-Feb-1994 12:00:00 +0000", b"From: a@a.example\r\nX-FOO: bar Baz\r\n"
     b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n"
     b"Date: Mon, 28 Feb 1994 10:00:00 -0500\r\n", b"Gr=FC=DFe aus K=F6ln, soft=\r\nbreak\r\n"),
    ("()", "01-Mar-1994 12:00:00 +0000", b"From: b@a.example\r\nSubject: no date at all, and a\r\n folded subject\r\n",
     b"nothing of note\r\n"),
    ("(\\Seen \\Flagged)", "29-Feb-1996 12:00:00 +0000", b"From: c@a.example\r\nSubject: parts\r\nMIME-Version: 1.0\r\n"
     b"Content-Type: multipart/mixed; boundary=bb\r\nDate: Thu, 29 Feb 1996 10:00:00 +0000\r\n",
     b"--bb\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
     b"TmVlZGxlIGluIGJhc2U2NA==\r\n--bb\r\nContent-Type: message/rfc822\r\n\r\nSubject: innermost\r\n\r\n"
     b"inner body text\r\n--bb--\r\n"),
]
SIZES = [len(h) + 2 + len(b) for _, _, h, b in MAIL]
ALL = list(range(1, len(MAIL) + 1))


class Search(Scratch):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.first = None

    def setUp(self):
        self.c = self.connect()
        if not type(self).first:
            self.c.ok("CREATE Searched")
            for flags, date, header, body in MAIL:
                self.c.append_uid("Searched", header + b"\r\n" + body, flags, date)
            type(self).first = True
        self.c.ok("EXAMINE Searched")

    def finds(self, criteria, *numbers):
        with self.subTest(criteria=criteria):
            self.assertEqual(self.c.search(criteria), list(numbers))

    def test_flags(self):
        for flag, numbers in ("ANSWERED", [2]), ("DELETED", [3]), ("DRAFT", [4]), ("FLAGGED", [2, 6]), ("SEEN", [1, 6]):
            self.finds(flag, *numbers)
            self.finds("UN" + flag, *(n for n in ALL if n not in numbers))
            self.finds(flag.lower(), *numbers)

    def test_keywords(self):  # a keyword is a flag: without regard to case
        self.finds("KEYWORD $Key1", 2, 4)
        self.finds("KEYWORD $KEY1", 2, 4)
        self.finds("KEYWORD $Key2", 4)
        self.finds("KEYWORD $Key3")
        self.finds("UNKEYWORD $Key1", 1, 3, 5, 6)
        self.finds("UNKEYWORD NotThere", *ALL)

    def test_recent(self):  # of copies: others have had a look at the messages themselves
        self.c.ok("CREATE Recent")
        self.c.ok("COPY 1:* Recent")
        self.c.ok("EXAMINE Recent")
        self.finds("RECENT", *ALL)
        self.finds("OLD")
        self.finds("NEW", 2, 3, 4, 5)
        self.finds("NOT RECENT")

    def test_addresses(self):
        self.finds('FROM "Smith"', 1, 2)
        self.finds("FROM sMITH", 1, 2)
        self.finds("FROM a.example", 1, 3, 4, 5, 6)
        self.finds("FROM smith@a.example", 1)
        self.finds("TO anna", 1)
        self.finds("CC carl@d", 2)
        self.finds("BCC dora", 3)
        self.finds("TO nobody")
        self.finds("FROM {5+}\r\nJones", 3)

    def test_subject(self):
        self.finds("SUBJECT first", 1, 2)
        self.finds("SUBJECT FIRST", 1, 2)
        self.finds('SUBJECT "Re: first"', 2)
        self.finds('SUBJECT "and a folded"', 5)
        self.finds('SUBJECT "innermost"')  # the envelope's subject, not one inside

    def test_header(self):
        self.finds('HEADER X-Foo ""', 3, 4)
        self.finds("HEADER x-foo BAZ", 4)
        self.finds('HEADER "X-FOO" "bar baz"', 4)
        self.finds("HEADER X-Foo qux")
        self.finds('HEADER X-Nothing ""')
        self.finds("HEADER Subject first", 1, 2)
        self.finds('HEADER Content-Type "multipart/mixed"', 6)
        self.finds("HEADER {5+}\r\nX-Foo {3+}\r\nbar", 4)
        self.finds('HEADER From ""', *ALL)

    def test_body_and_text(self):
        self.finds("BODY hello", 1, 2)
        self.finds('BODY "Hello World"', 1, 2)
        self.finds("BODY first")
        self.finds("TEXT first", 1, 2)
        self.finds("TEXT smith", 1, 2)
        self.finds("BODY softbreak", 4)
        self.finds('BODY "needle in base64"', 6)
        self.finds('BODY "inner body text"', 6)
        self.finds("TEXT innermost", 6)
        self.finds("TEXT xxxxxxxx", 3)
        self.finds("BODY nowhere-to-be-found")

    def test_charset(self):
        for word in ("Grüße", "grüße"):
            raw = word.encode()
            for key, numbers in ("SUBJECT", [3]), ("TEXT", [3, 4]), ("BODY", [4]):
                answers = self.c.data(b"SEARCH CHARSET UTF-8 %s {%d+}\r\n%s" % (key.encode(), len(raw), raw), b"SEARCH")
                self.assertEqual(answers[0][0], numbers, (word, key))
        self.finds("CHARSET US-ASCII SUBJECT first", 1, 2)
        self.finds('CHARSET "us-ascii" TEXT first', 1, 2)
        self.finds("CHARSET utf-8 FLAGGED", 2, 6)
        self.no("SEARCH CHARSET X-FROB TEXT x", b"BADCHARSET")
        self.no("UID SEARCH CHARSET X-FROB ALL", b"BADCHARSET")
        self.bad("SEARCH CHARSET")
        self.bad("SEARCH CHARSET UTF-8")

    def test_internal_date(self):  # disregarding time and timezone
        self.finds("ON 1-Feb-1994", 1)
        self.finds("ON 2-Feb-1994", 2)
        self.finds("BEFORE 1-Feb-1994", 3)
        self.finds("SINCE 1-Feb-1994", 1, 2, 4, 5, 6)
        self.finds("SINCE 1-Mar-1994", 5, 6)
        self.finds("BEFORE 1-Mar-1994", 1, 2, 3, 4)
        self.finds('ON "28-Feb-1994"', 4)
        self.finds("ON 29-fEB-1996", 6)
        self.finds("SINCE 1-Feb-1994 BEFORE 3-Feb-1994", 1, 2)
        self.finds("SINCE 01-Feb-1994 BEFORE 03-Feb-1994", 1, 2)

    def test_sent_date(self):
        self.finds("SENTON 1-Feb-1994", 1)
        self.finds("SENTON 2-Feb-1994", 2)
        self.finds("SENTON 30-Jan-1994", 3)
        self.finds("SENTBEFORE 1-Feb-1994 HEADER Date \"\"", 3)
        self.finds("SENTSINCE 2-Feb-1994 HEADER Date \"\"", 2, 4, 6)
        self.finds("SENTON 29-Feb-1996", 6)

    def test_sizes(self):
        for n, size in enumerate(SIZES, 1):
            self.finds("LARGER %d SMALLER %d" % (size - 1, size + 1), *(i for i in ALL if SIZES[i - 1] == size))
        self.finds("LARGER %d" % max(SIZES))
        self.finds("SMALLER %d" % min(SIZES))
        self.finds("LARGER 0", *ALL)
        self.finds("SMALLER 4294967295", *ALL)

    def test_sets(self):
        self.finds("1,3:4,6", 1, 3, 4, 6)
        self.finds("*", 6)
        self.finds("4:*", 4, 5, 6)
        self.finds("4:2", 2, 3, 4)
        self.finds("UID 2:3", 2, 3)
        self.finds("UID 900")
        self.finds("UID 900:*", 6)
        self.finds("UID 5:2,6", 2, 3, 4, 5, 6)
        self.finds("1:4 UID 3:900", 3, 4)
        self.finds("NOT 1:5", 6)

    def test_logic(self):
        self.finds("ALL", *ALL)
        self.finds("NOT ALL")
        self.finds("NOT SEEN", 2, 3, 4, 5)
        self.finds("NOT NOT SEEN", 1, 6)
        self.finds("OR SEEN DELETED", 1, 3, 6)
        self.finds("OR SEEN OR DELETED DRAFT", 1, 3, 4, 6)
        self.finds("OR OR SEEN DELETED DRAFT", 1, 3, 4, 6)
        self.finds("SEEN FLAGGED", 6)
        self.finds("(SEEN FLAGGED)", 6)
        self.finds("NOT (SEEN FLAGGED)", 1, 2, 3, 4, 5)
        self.finds("OR (SEEN FLAGGED) (ANSWERED FLAGGED)", 2, 6)
        self.finds("((((SEEN))))", 1, 6)
        self.finds("OR NOT SEEN NOT FLAGGED", 1, 2, 3, 4, 5)
        self.finds("DELETED FROM jones SINCE 1-Jan-1994", 3)
        self.finds("FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", 6)
        self.finds("OR FROM smith SUBJECT parts UNSEEN", 2)
        self.finds("UNDELETED UNSEEN NOT (OR DRAFT ANSWERED)", 5)

    def test_uid_search(self):  # 6.4.8: numbers in the set are message numbers, those that come are UIDs
        self.c.ok("CREATE Gaps")
        for _ in range(4):
            self.c.append_uid("Gaps", b"x")
        self.c.ok("SELECT Gaps")
        self.c.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        self.assertEqual(self.c.search("1:2", uid=True), [3, 4])
        self.assertEqual(self.c.search("1:* UID 4:557", uid=True), [4])
        self.assertEqual(self.c.search("UID 3"), [1])
        self.assertEqual(self.c.search("UID 1:2", uid=True), [])
        self.c.ok("UNSELECT")
        self.c.ok("DELETE Gaps")

    def test_an_empty_mailbox(self):
        self.c.ok("SELECT Junk")
        for criteria in "ALL", "UNSEEN", "TEXT x", "UID 1:*", "NOT SEEN":
            self.finds(criteria)
            self.assertEqual(self.c.search(criteria, uid=True), [])

    def test_nothing_is_seen_by_it(self):
        self.c.ok("SELECT Searched")
        self.c.search("TEXT anything")
        self.assertEqual(self.c.search("SEEN"), [1, 6])

    def test_syntax(self):
        for criteria in ("", " ", "FROB", "ALL FROB", "NOT", "OR", "OR SEEN", "OR SEEN NOT", "(SEEN", "SEEN)", "()",
                         "FROM",
                         "HEADER", "HEADER x", "BEFORE", "BEFORE yesterday", "BEFORE 1-Foo-1994", "BEFORE 1994-02-01",
                         "ON 1-Feb-94", "ON 32-Jan-1994", "LARGER", "LARGER x", "LARGER -1", "LARGER 4294967296",
                         "SMALLER 1 2x", "KEYWORD", "KEYWORD \\Seen", "UID", "UID x", "0", "1:", "SUBJECT (x)",
                         "SEEN,FLAGGED", 'FROM "a', "ALL ()"):
            with self.subTest(criteria=criteria):
                self.bad("SEARCH " + criteria)
        self.bad("SEARCH")

    def test_deep_and_long(self):
        self.finds("NOT " * 40 + "SEEN", 1, 6)
        self.finds("(" * 30 + "SEEN" + ")" * 30, 1, 6)
        self.finds(" ".join(["OR SEEN"] * 20) + " DELETED", 1, 3, 6)
        status, _ = self.c.cmd("SEARCH " + "(" * 2000 + "SEEN" + ")" * 2000)
        self.assertRegex(status, rb"^(OK|NO|BAD)")
        self.c.ok("NOOP")

    # ---- random programs ----

    def model(self, generator, depth):
        """(text of a search key, set of the numbers it must find)"""
        kind = generator.randrange(7 if depth else 5)
        every = set(ALL)
        if kind == 0:
            flag, numbers = generator.choice([("SEEN", {1, 6}), ("DELETED", {3}), ("FLAGGED", {2, 6}), ("DRAFT", {4}),
                                              ("ANSWERED", {2}), ("KEYWORD $Key1", {2, 4}), ("ALL", every)])
            return flag, numbers
        if kind == 1:
            a, b = generator.randint(1, len(ALL)), generator.randint(1, len(ALL))
            word = generator.choice(["%d:%d", "UID %d:%d"]) % (a, b)
            return word, set(range(min(a, b), max(a, b) + 1))
        if kind == 2:
            n = generator.choice(SIZES)
            return generator.choice([("LARGER %d" % n, {i for i in ALL if SIZES[i - 1] > n}),
                                     ("SMALLER %d" % n, {i for i in ALL if SIZES[i - 1] < n})])
        if kind == 3:
            return generator.choice([("FROM smith", {1, 2}), ("SUBJECT first", {1, 2}), ("TEXT hello", {1, 2}),
                                     ('HEADER X-Foo ""', {3, 4}), ("BODY needle", {6})])
        if kind == 4:
            key, found = self.model(generator, depth - 1) if depth else ("SEEN", {1, 6})
            return "NOT " + key, every - found
        first, found = self.model(generator, depth - 1)
        second, other = self.model(generator, depth - 1)
        if kind == 5:
            return "OR %s %s" % (first, second), found | other
        return "(%s %s)" % (first, second), found & other

    def test_random_programs(self):
        generator = random.Random(3501)
        for _ in range(300):
            text, found = self.model(generator, 4)
            self.assertEqual(self.c.search(text), sorted(found), text)


if __name__ == "__main__":
    unittest.main()
