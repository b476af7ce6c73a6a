"""RFC 3501 on messages: sections 2.3, 6.4 without SEARCH, and 7.4.2."""

import unittest

from scratch import Scratch
from strict import read

HEAD = (b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n"
        b"Subject: IMAP4rev1 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n"
        b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
        b"Message-Id: <B27397-0100000@cac.washington.edu>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n")
TEXT = b"".join(b"line %d of the text\r\n" % i for i in range(92))
PLAIN = HEAD + TEXT

# The parts of the example in 6.4.5, by section.
PARTS = {
    "1": b"part one\r\n",
    "2": b"b2N0ZXRz\r\n",
    "3.1": b"three one\r\nsecond line\r\n",
    "3.2": b"b2N0ZXRz",
    "4.1": b"R0lG\r\n",
    "4.2.1": b"four two one\r\n",
    "4.2.2.1": b"plain of the alternative",
    "4.2.2.2": b"<richtext>\r\n",
}
MIME = {
    "1": b"Content-Type: text/plain\r\n\r\n",
    "2": b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    "3": b"Content-Type: message/rfc822\r\nContent-Description: the third\r\n\r\n",
    "3.1": b"\r\n",
    "3.2": b"Content-Type: application/octet-stream; name=\"a b.bin\"\r\nContent-Transfer-Encoding: BASE64\r\n"
           b"Content-Disposition: attachment; filename=x.bin; size=6\r\n\r\n",
    "4": b"Content-Type: multipart/mixed; boundary=\"four\"\r\n\r\n",
    "4.1": b"Content-Type: image/gif\r\nContent-ID: <gif@a.example>\r\nContent-Language: en, de\r\n"
           b"Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nContent-Location: http://a.example/x.gif\r\n\r\n",
    "4.2": b"Content-Type: message/rfc822\r\n\r\n",
    "4.2.1": b"Content-Type: text/plain; charset=us-ascii\r\n\r\n",
    "4.2.2": b"Content-Type: multipart/alternative; boundary=alt\r\n\r\n",
    "4.2.2.1": b"Content-Type: text/plain\r\n\r\n",
    "4.2.2.2": b"Content-Type: text/richtext\r\n\r\n",
}
HEADERS = {
    "": b"Subject: outer\r\nFrom: Fred <fred@a.example>\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
        b"X-Long: one\r\n two\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n",
    "3": b"Subject: third\r\nFrom: three@a.example\r\nMIME-Version: 1.0\r\n"
         b"Content-Type: multipart/mixed; boundary=third\r\n\r\n",
    "4.2": b"Subject: fourth\r\nFrom: four@a.example\r\nMIME-Version: 1.0\r\n"
           b"Content-Type: multipart/mixed; boundary=inner\r\n\r\n",
}


def multipart(boundary, *parts):
    body = b"".join(b"--%s\r\n%s%s\r\n" % (boundary, MIME[name], text) for name, text in parts)
    return body + b"--%s--\r\n" % boundary


def nested():
    """{section: text} of the example, made from the inside."""
    p = dict(PARTS)
    p["4.2.2"] = multipart(b"alt", *((n, p[n]) for n in ("4.2.2.1", "4.2.2.2")))
    p["4.2.TEXT"] = multipart(b"inner", *((n, p[n]) for n in ("4.2.1", "4.2.2")))
    p["4.2"] = HEADERS["4.2"] + p["4.2.TEXT"]
    p["4"] = multipart(b"four", *((n, p[n]) for n in ("4.1", "4.2")))
    p["3.TEXT"] = multipart(b"third", *((n, p[n]) for n in ("3.1", "3.2")))
    p["3"] = HEADERS["3"] + p["3.TEXT"]
    p["TEXT"] = b"This is the preamble.\r\n" + multipart(b"outer", *((n, p[n]) for n in "1234"))
    p[""] = HEADERS[""] + p["TEXT"]
    p["HEADER"], p["3.HEADER"], p["4.2.HEADER"] = HEADERS[""], HEADERS["3"], HEADERS["4.2"]
    p.update((n + ".MIME", text) for n, text in MIME.items())
    return p


NESTED = nested()


class Fetch(Scratch):
    def test_the_example(self):  # 8: the answer to "fetch 12 full", field by field
        self.c.append_uid(self.name, PLAIN, "(\\Seen)", "17-Jul-1996 02:44:25 -0700")
        self.c.ok("SELECT " + self.name)
        got = self.c.one(1, "FULL")
        self.assertEqual(set(got), {b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY"})
        self.assertEqual(got[b"INTERNALDATE"], b"17-Jul-1996 02:44:25 -0700")
        self.assertEqual(got[b"RFC822.SIZE"], len(PLAIN))
        gray = [[b"Terry Gray", None, b"gray", b"cac.washington.edu"]]
        self.assertEqual(got[b"ENVELOPE"], [
            b"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)", b"IMAP4rev1 WG mtg summary and minutes", gray, gray, gray,
            [[None, None, b"imap", b"cac.washington.edu"]],
            [[None, None, b"minutes", b"CNRI.Reston.VA.US"], [b"John Klensin", None, b"KLENSIN", b"MIT.EDU"]],
            None, None, b"<B27397-0100000@cac.washington.edu>"])
        body = got[b"BODY"]
        self.assertEqual([body[0].upper(), body[1].upper(), [x.upper() for x in body[2]]] + body[3:5],
                         [b"TEXT", b"PLAIN", [b"CHARSET", b"US-ASCII"], None, None])
        self.assertEqual([body[5].upper()] + body[6:], [b"7BIT", len(TEXT), 92])

    def test_macros(self):  # 6.4.5
        self.opened(1)
        self.assertEqual(set(self.c.one(1, "ALL")), {b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE"})
        self.assertEqual(set(self.c.one(1, "FAST")), {b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"})
        self.bad("FETCH 1 (ALL FULL)")
        self.bad("FETCH 1 ALL FAST")

    def test_one_item_or_a_list(self):
        self.opened(1)
        for items in "UID", "(UID)", "(UID FLAGS)", "(RFC822.SIZE UID INTERNALDATE)":
            self.assertEqual(set(self.c.one(1, items)), {i.encode() for i in items.strip("()").split()})

    def test_sets(self):  # 9, sequence-set
        self.opened(10)
        for numbers, found in (("1", [1]), ("*", [10]), ("2:4", [2, 3, 4]), ("4:2", [2, 3, 4]), ("9:*", [9, 10]),
                               ("*:9", [9, 10]), ("2,4:7,9,10:*", [2, 4, 5, 6, 7, 9, 10]), ("1,1,1", [1]),
                               ("*:4,5:7", [4, 5, 6, 7, 8, 9, 10]), ("3:3", [3]), ("1:*", list(range(1, 11))),
                               ("10:*", [10]), ("*:*", [10]), ("7,3,5", [3, 5, 7])):
            with self.subTest(set=numbers):
                self.assertEqual(sorted(self.c.messages(numbers, "UID")), found)
        for numbers in "0", "0:1", "1:0", "1:", ":1", "1,,2", ",1", "1,", "a", "1:2:3", "-1", "1-2", "4294967296", "":
            self.bad("FETCH %s UID" % numbers)

    def test_numbers_beyond_the_mailbox(self):  # 9, seq-number: BAD
        c = self.opened()
        for numbers in "1", "1:*", "*":
            got = c.tagged("FETCH %s UID" % numbers)
            self.assertIn(got[0], (b"BAD",) if numbers == "1" else (b"BAD", b"OK"))  # clients send 1:* blindly
        self.fill(2)
        c.ok("NOOP")
        for command in "FETCH 3 UID", "FETCH 1:3 UID", "FETCH 2,5 UID", "STORE 3 FLAGS (x)", "COPY 3 INBOX":
            self.bad(command)
        self.assertEqual(c.flags(2), [])

    def test_by_uid(self):  # 6.4.8
        c = self.opened(5)
        c.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
        self.assertEqual({n: v[b"UID"] for n, v in c.messages("1:5", "FLAGS", uid=True).items()}, {1: 1, 2: 4, 3: 5})
        self.assertEqual(c.messages("2:3", "FLAGS", uid=True), {})
        self.assertEqual(c.messages("700", "FLAGS", uid=True), {})
        self.assertEqual(list(c.messages("559:*", "FLAGS", uid=True)), [3])
        self.assertEqual(list(c.messages("*", "FLAGS", uid=True)), [3])
        self.assertEqual(sorted(c.messages("*:4", "FLAGS", uid=True)), [2, 3])
        self.assertEqual(set(c.messages("4", "(FLAGS UID)", uid=True)[2]), {b"FLAGS", b"UID"})
        self.bad("UID FETCH 0 FLAGS")
        self.bad("UID FETCH 1")

    def test_seen(self):  # 6.4.5: set by what has no PEEK, and told
        setting = ("BODY[]", "BODY[TEXT]", "BODY[HEADER]", "RFC822", "RFC822.TEXT", "BODY[1]",
                   "BODY[HEADER.FIELDS (FROM)]", "BODY[]<0.1>")
        others = ("BODY.PEEK[]", "RFC822.HEADER", "BODY.PEEK[TEXT]", "ENVELOPE", "BODY", "BODYSTRUCTURE", "RFC822.SIZE")
        for i, item in enumerate(setting + others, 1):
            seen = item in setting
            with self.subTest(item=item):
                self.fill(1)
                self.c.ok("SELECT " + self.name)
                found = self.c.one(i, item)
                if seen:
                    self.assertIn(b"\\Seen", found[b"FLAGS"])
                    self.assertNotIn(b"FLAGS", self.c.one(i, item))  # nothing changes the second time
                self.assertEqual(self.c.flags(i), [b"\\Seen"] if seen else [])

    def test_flags_with_a_body(self):  # 6.4.5: the flags as they are with the change
        self.opened(1)
        self.assertIn(b"\\Seen", self.c.one(1, "(FLAGS BODY[])")[b"FLAGS"])
        self.assertIn(b"\\Seen", self.c.one(1, "(BODY[] FLAGS)")[b"FLAGS"])

    def test_what_peek_is_answered_with(self):  # 9: msg-att has no PEEK
        self.opened(1)
        found = self.c.one(1, "(BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[]<2.3>)")
        self.assertEqual(set(found), {b"BODY[]", b"BODY[HEADER]", b"BODY[]<2>"})

    def test_rfc822(self):  # 6.4.5: equivalents
        self.c.append_uid(self.name, PLAIN)
        self.c.ok("SELECT " + self.name)
        found = self.c.one(1, "(RFC822 RFC822.HEADER RFC822.TEXT BODY[] BODY[HEADER] BODY[TEXT])")
        self.assertEqual((found[b"RFC822"], found[b"RFC822.HEADER"], found[b"RFC822.TEXT"]), (PLAIN, HEAD, TEXT))
        self.assertEqual((found[b"BODY[]"], found[b"BODY[HEADER]"], found[b"BODY[TEXT]"]), (PLAIN, HEAD, TEXT))

    def test_partial(self):  # 6.4.5
        self.c.append_uid(self.name, PLAIN)
        self.c.ok("SELECT " + self.name)
        for section, text in (("", PLAIN), ("TEXT", TEXT), ("1", TEXT), ("HEADER", HEAD)):
            n = len(text)
            for start, length in ((0, 2048), (0, n), (0, 1), (10, 20), (n - 1, 5), (n, 1), (n + 1000, 10), (0, n + 1),
                                  (4294967295, 1), (1, 4294967295)):
                found = self.c.one(1, "BODY.PEEK[%s]<%d.%d>" % (section, start, length))
                self.assertEqual(found, {b"BODY[%s]<%d>" % (section.encode(), start): text[start:start + length]})
        fields = "HEADER.FIELDS (SUBJECT)"  # the subset is cut after subsetting
        found = self.c.one(1, "BODY.PEEK[%s]<9.4>" % fields)
        self.assertEqual(found, {b"BODY[%s]<9>" % fields.encode(): b"IMAP"})
        for partial in "<0>", "<.1>", "<1.>", "<-1.1>", "<0.1", "<a.b>", "<0.4294967296>":
            self.bad("FETCH 1 BODY[]%s" % partial)

    def test_header_fields(self):  # 6.4.5
        self.c.append_uid(self.name, NESTED[""])
        self.c.append_uid(self.name, b"Subject: no end of the header\r\n")
        self.c.append_uid(self.name, b"Received: a\r\nX: 1\r\nRECEIVED: b\r\n c\r\nReceived-SPF: no\r\n\r\n")
        c = self.c
        c.ok("SELECT " + self.name)

        def fields(number, section):
            values = list(c.one(number, "BODY.PEEK[%s]" % section).values())
            self.assertEqual(len(values), 1)
            return values[0]

        self.assertEqual(fields(1, "HEADER.FIELDS (SUBJECT)"), b"Subject: outer\r\n\r\n")
        self.assertEqual(fields(1, "HEADER.FIELDS (subject x-LONG)"), b"Subject: outer\r\nX-Long: one\r\n two\r\n\r\n")
        self.assertEqual(fields(1, "HEADER.FIELDS (X-LONG SUBJECT)"), b"Subject: outer\r\nX-Long: one\r\n two\r\n\r\n")
        self.assertEqual(fields(1, "HEADER.FIELDS (NOTHING)"), b"\r\n")
        self.assertEqual(fields(1, 'HEADER.FIELDS ("Subject")'), b"Subject: outer\r\n\r\n")
        self.assertEqual(fields(1, "HEADER.FIELDS ({7+}\r\nsubject)"), b"Subject: outer\r\n\r\n")
        self.assertEqual(fields(1, "HEADER.FIELDS.NOT (SUBJECT DATE FROM MIME-VERSION CONTENT-TYPE)"),
                         b"X-Long: one\r\n two\r\n\r\n")
        self.assertEqual(fields(1, "3.HEADER.FIELDS (SUBJECT)"), b"Subject: third\r\n\r\n")
        self.assertEqual(fields(1, "4.2.HEADER.FIELDS.NOT (MIME-VERSION CONTENT-TYPE)"),
                         b"Subject: fourth\r\nFrom: four@a.example\r\n\r\n")
        # 6.4.5: the blank line is there "except in the case of a message which has no body and no blank line"
        self.assertEqual(fields(2, "HEADER.FIELDS (SUBJECT)"), b"Subject: no end of the header\r\n")
        self.assertEqual(fields(2, "HEADER.FIELDS (FROM)"), b"")
        self.assertEqual(fields(3, "HEADER.FIELDS (RECEIVED)"), b"Received: a\r\nRECEIVED: b\r\n c\r\n\r\n")
        self.assertEqual(fields(3, "HEADER.FIELDS.NOT (RECEIVED)"), b"X: 1\r\nReceived-SPF: no\r\n\r\n")
        for section in "HEADER.FIELDS", "HEADER.FIELDS ()", "HEADER.FIELDS SUBJECT", "HEADER.FIELDS (SUBJECT":
            self.bad("FETCH 1 BODY[%s]" % section)

    def test_sections_of_the_example(self):  # 6.4.5
        self.c.append_uid(self.name, NESTED[""])
        self.c.ok("SELECT " + self.name)
        for section, text in NESTED.items():
            with self.subTest(section=section):
                self.assertEqual(self.c.body(1, section), text)
                self.assertEqual(self.c.one(1, "BODY.PEEK[%s]<3.7>" % section)[b"BODY[%s]<3>" % section.encode()],
                                 text[3:10])

    def test_all_sections_in_one_command(self):
        self.c.append_uid(self.name, NESTED[""])
        self.c.ok("SELECT " + self.name)
        found = self.c.one(1, "(%s)" % " ".join("BODY.PEEK[%s]" % s for s in NESTED))
        self.assertEqual(found, {b"BODY[%s]" % s.encode(): text for s, text in NESTED.items()})

    def test_parts_of_a_message_without_parts(self):  # 6.4.5: only part 1
        self.c.append_uid(self.name, PLAIN)
        self.c.append_uid(self.name, b"Subject: x\r\n\r\nno MIME\r\n")
        self.c.ok("SELECT " + self.name)
        self.assertEqual(self.c.body(1, "1"), TEXT)
        self.assertEqual(self.c.body(2, "1"), b"no MIME\r\n")
        self.assertEqual(self.c.body(1, "1.MIME"), HEAD)

    def test_parts_that_are_not_there(self):  # NIL or an empty string, or NO; not a fault of syntax
        self.c.append_uid(self.name, NESTED[""])
        self.c.ok("SELECT " + self.name)
        for section in "5", "1.2", "4.3", "3.3", "4.2.2.3", "9.9.9.9", "1.HEADER", "4.TEXT":
            with self.subTest(section=section):
                status, untagged = self.c.cmd("FETCH 1 BODY.PEEK[%s]" % section)
                self.assertTrue(status.startswith((b"OK", b"NO")), status)
                for r in untagged:
                    self.assertIn(read(r)[1][1][b"BODY[%s]" % section.encode()], (None, b"", ), r)

    def test_items_that_do_not_exist(self):
        self.opened(1)
        for items in ("FROB", "(FLAGS FROB)", "()", "", "(FLAGS", "FLAGS)", "BODY[FROB]", "BODY[1.FROB]", "BODY[MIME]",
                      "BODY[0]", "BODY[1.0]", "BODY[1.]", "BODY[.1]", "BODY[", "BODY.PEEK", "BODY[]<0.1", "RFC822.FROB",
                      "BODYSTRUCTURE[]", "(FLAGS) UID", '"FLAGS"', "FLAGS UID"):
            with self.subTest(items=items):
                self.bad("FETCH 1 " + items)

    def test_the_size_is_that_of_the_body(self):  # 2.3.4
        self.c.append_uid(self.name, b"a: b\n\nbare line feeds\n")
        self.c.ok("SELECT " + self.name)
        found = self.c.one(1, "(RFC822.SIZE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT])")
        self.assertEqual(found[b"RFC822.SIZE"], len(found[b"BODY[]"]))
        self.assertEqual(found[b"BODY[HEADER]"] + found[b"BODY[TEXT]"], found[b"BODY[]"])

    def test_what_is_static_stays(self):  # 2.3.1.1, 6.4.5
        items = "(UID INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[])"
        self.c.append_uid(self.name, NESTED[""])
        self.c.ok("SELECT " + self.name)
        before = self.c.one(1, items)
        self.c.ok("STORE 1 +FLAGS (\\Flagged $x)")
        self.assertEqual(self.c.one(1, items), before)
        self.box.restart()
        self.c = self.connect()
        self.c.ok("SELECT " + self.name)
        self.assertEqual(self.c.one(1, items), before)


class Structure(Scratch):
    """7.4.2"""

    def structures(self, *messages):
        for m in messages:
            self.c.append_uid(self.name, m)
        self.c.ok("SELECT " + self.name)
        return [m for _, m in sorted(self.c.messages("1:*", "(ENVELOPE BODY BODYSTRUCTURE)").items())]

    def test_the_example_of_6_4_5(self):
        found = self.structures(NESTED[""])[0]
        s = found[b"BODYSTRUCTURE"]
        self.assertEqual([p[0].upper() if isinstance(p[0], bytes) else b"MULTIPART" for p in s[:4]],
                         [b"TEXT", b"APPLICATION", b"MESSAGE", b"MULTIPART"])
        self.assertEqual(s[4].upper(), b"MIXED")
        self.assertEqual(s[5][0].upper(), b"BOUNDARY")
        self.assertEqual(s[5][1], b"outer")
        self.assertEqual(s[0][6:8], [len(PARTS["1"]), 1])
        self.assertEqual((s[1][1].upper(), s[1][5].upper(), s[1][6]), (b"OCTET-STREAM", b"BASE64", len(PARTS["2"])))
        third = s[2]
        self.assertEqual((third[1].upper(), third[4], third[6]), (b"RFC822", b"the third", len(NESTED["3"])))
        self.assertEqual(third[7][1], b"third")  # envelope, body structure, lines
        self.assertEqual(third[7][2], [[None, None, b"three", b"a.example"]])
        self.assertEqual(third[9], NESTED["3"].count(b"\n"))
        inner = third[8]
        self.assertEqual((inner[0][0].upper(), inner[0][1].upper(), inner[0][7]), (b"TEXT", b"PLAIN", 2))
        self.assertEqual((inner[1][2][0].upper(), inner[1][2][1]), (b"NAME", b"a b.bin"))
        disposition = inner[1][8]
        self.assertEqual(disposition[0].upper(), b"ATTACHMENT")
        self.assertEqual({k.upper(): v for k, v in zip(disposition[1][::2], disposition[1][1::2])},
                         {b"FILENAME": b"x.bin", b"SIZE": b"6"})
        gif = s[3][0]
        self.assertEqual(gif[:2], [gif[0], gif[1]])
        self.assertEqual((gif[0].upper(), gif[1].upper(), gif[3]), (b"IMAGE", b"GIF", b"<gif@a.example>"))
        self.assertEqual(gif[7], b"Q2hlY2sgSW50ZWdyaXR5IQ==")
        self.assertEqual(gif[9] if isinstance(gif[9], list) else [gif[9]], [b"en", b"de"])
        self.assertEqual(gif[10], b"http://a.example/x.gif")
        alternative = s[3][1][8][1]
        self.assertEqual(alternative[2].upper(), b"ALTERNATIVE")
        self.assertEqual([p[1].upper() for p in alternative[:2]], [b"PLAIN", b"RICHTEXT"])

    def test_body_has_no_extension_data(self):
        found = self.structures(NESTED[""], PLAIN)
        self.assertEqual(len(found[0][b"BODY"]), 5)
        self.assertEqual(len(found[0][b"BODY"][0]), 8)
        self.assertEqual(len(found[1][b"BODY"]), 8)

    def test_defaults(self):  # RFC 2045 5.2, 6.1
        found = self.structures(b"Subject: x\r\n\r\nbody\r\n")[0][b"BODY"]
        self.assertEqual([x.upper() for x in found[:2]] + [found[5].upper()] + found[6:],
                         [b"TEXT", b"PLAIN", b"7BIT", 6, 1])
        self.assertEqual([x.upper() for x in found[2]], [b"CHARSET", b"US-ASCII"])

    def test_a_message_of_the_digest(self):  # RFC 2046 5.1.5: the default is message/rfc822
        found = self.structures(b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: in\r\n\r\nx\r\n"
                                b"--d--\r\n")[0][b"BODY"]
        self.assertEqual([x.upper() for x in found[0][:2]], [b"MESSAGE", b"RFC822"])
        self.assertEqual(found[0][7][1], b"in")
        self.assertEqual(self.c.body(1, "1.TEXT"), b"x")

    def test_envelope_defaults(self):  # 7.4.2
        found = self.structures(
            b"From: a@a.example\r\nSender: s@a.example\r\nReply-To: r@a.example\r\nBcc: b@a.example\r\n"
            b"In-Reply-To: <1@a.example>\r\n\r\n",
            b"From: a@a.example\r\nSender:\r\nReply-To: \r\nTo:\r\nSubject:\r\n\r\n",
            b"\r\n")
        e = found[0][b"ENVELOPE"]
        self.assertEqual([x[0][2] if x else None for x in e[2:8]], [b"a", b"s", b"r", None, None, b"b"])
        self.assertEqual((e[0], e[1], e[8], e[9]), (None, None, b"<1@a.example>", None))
        e = found[1][b"ENVELOPE"]
        self.assertEqual([x[0][2] if x else None for x in e[2:8]], [b"a", b"a", b"a", None, None, None])
        self.assertIn(e[1], (b"", None))
        self.assertEqual(found[2][b"ENVELOPE"], [None] * 10)

    def test_addresses(self):  # 7.4.2, 9: quoting removed, groups, routes
        found = self.structures(
            b'From: "Joe Q. \\"P\\" Public" <joe@a.example>\r\nTo: A Group:Ed Jones <c@a.test>,joe@where.test;, '
            b'"quoted local"@a.example\r\nCc: Undisclosed recipients:;\r\n'
            b'Bcc: <@one.test,@two.test:x@three.test>\r\n\r\n')
        e = found[0][b"ENVELOPE"]
        self.assertEqual(e[2], [[b'Joe Q. "P" Public', None, b"joe", b"a.example"]])
        self.assertEqual(e[5], [[None, None, b"A Group", None], [b"Ed Jones", None, b"c", b"a.test"],
                                [None, None, b"joe", b"where.test"], [None, None, None, None],
                                [None, None, b"quoted local", b"a.example"]])
        self.assertEqual(e[6], [[None, None, b"Undisclosed recipients", None], [None, None, None, None]])
        self.assertEqual(e[7][0][2:], [b"x", b"three.test"])
        self.assertIn(e[7][0][1], (b"@one.test,@two.test", None))

    def test_specials_come_out_as_they_went_in(self):  # 4.3
        subject = b'a "quoted" word, a back\\slash, {5}, (brackets) and NIL'
        found = self.structures(b"Subject: " + subject + b"\r\n\r\n", b"Subject: NIL\r\nFrom: NIL <nil@nil>\r\n\r\n",
                                b"Subject: \xc3\xa4\r\n\r\n", b"Subject: one\r\n two\r\n\tthree\r\n\r\n")
        self.assertEqual(found[0][b"ENVELOPE"][1], subject)
        self.assertEqual(found[1][b"ENVELOPE"][1], b"NIL")
        self.assertEqual(found[1][b"ENVELOPE"][2], [[b"NIL", None, b"nil", b"nil"]])
        self.assertEqual(found[2][b"ENVELOPE"][1], b"\xc3\xa4")  # as a literal: Strict has seen to it
        self.assertIn(found[3][b"ENVELOPE"][1], (b"one two\tthree", b"one two three"))  # unfolded


class Store(Scratch):
    """6.4.6"""

    def told(self, command):
        """{number: flags} of the FETCH responses."""
        return {n: sorted(f for f in v[b"FLAGS"] if f != b"\\Recent") for n, v in self.c.data(command, b"FETCH")}

    def test_the_three_forms(self):
        self.opened(3)
        self.assertEqual(self.told("STORE 1:2 FLAGS (\\Seen \\Draft)"),
                         {n: [b"\\Draft", b"\\Seen"] for n in (1, 2)})
        self.assertEqual(self.told("STORE 2:3 +FLAGS (\\Flagged)"),
                         {2: [b"\\Draft", b"\\Flagged", b"\\Seen"], 3: [b"\\Flagged"]})
        self.assertEqual(self.told("STORE 1:3 -FLAGS (\\Seen \\Answered)"),
                         {1: [b"\\Draft"], 2: [b"\\Draft", b"\\Flagged"], 3: [b"\\Flagged"]})
        self.assertEqual(self.told("STORE 1 FLAGS ()"), {1: []})

    def test_silent(self):
        self.opened(3)
        for command in ("FLAGS.SILENT (\\Seen)", "+FLAGS.SILENT (\\Flagged)", "-FLAGS.SILENT (\\Seen)"):
            self.assertEqual(self.told("STORE 1:3 " + command), {})
        self.assertEqual([self.c.flags(n) for n in (1, 2, 3)], [[b"\\Flagged"]] * 3)
        self.assertEqual(self.told("STORE 1 FLAGS.SILENT ()"), {})
        self.assertEqual(self.c.flags(1), [])

    def test_without_parentheses(self):  # 9: flag *(SP flag)
        self.opened(1)
        self.assertEqual(self.told("STORE 1 FLAGS \\Seen \\Flagged"), {1: [b"\\Flagged", b"\\Seen"]})
        self.assertEqual(self.told("STORE 1 -FLAGS \\Seen"), {1: [b"\\Flagged"]})

    def test_every_system_flag(self):  # 2.3.2
        self.opened(1)
        for flag in "\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft":
            self.assertEqual(self.told("STORE 1 FLAGS (%s)" % flag.upper()), {1: [flag.encode()]})

    def test_keywords(self):
        self.opened(2)
        self.c.ok("STORE 1 +FLAGS ($MDNSent Junk NonJunk a.b/c$!#&'+,-:;<=>?@[^_`|}~)")
        self.assertIn(b"a.b/c$!#&'+,-:;<=>?@[^_`|}~", self.c.flags(1))
        self.c.ok("STORE 1 -FLAGS ($mdnsent)")
        self.assertEqual(len(self.c.flags(1)), 3)
        self.assertEqual(self.c.flags(2), [])
        self.c.ok("STORE 1 FLAGS (NonJunk)")
        self.assertEqual(self.c.flags(1), [b"NonJunk"])

    def test_a_new_keyword_is_in_flags(self):  # 7.2.6: the applicable flags; told before it is used
        self.opened(1)
        d = self.also()
        news = [read(r) for r in self.c.ok("STORE 1 +FLAGS ($New)")]
        if b"FLAGS" in [k for k, _ in news]:
            self.assertIn(b"$New", dict(news)[b"FLAGS"])
        d.ok("NOOP")
        self.assertIn(b"$New", self.c.select(self.name)[b"FLAGS"])

    def test_many_keywords(self):
        self.opened(1)
        for i in range(0, 60, 10):
            status, _ = self.c.cmd("STORE 1 +FLAGS (%s)" % " ".join("kw%d" % k for k in range(i, i + 10)))
            self.assertRegex(status, rb"^(OK|NO \[LIMIT\])")
        status, _ = self.c.cmd("STORE 1 +FLAGS (%s)" % " ".join("xx%d" % k for k in range(200)))
        self.assertRegex(status, rb"^(OK|NO|BAD)")
        self.c.flags(1)

    def test_recent_can_not_be_changed(self):  # 2.3.2
        self.opened(1)
        for command in "STORE 1 -FLAGS (\\Recent)", "STORE 1 FLAGS ()", "STORE 1 -FLAGS (\\recent \\Seen)":
            self.c.cmd(command)
            self.assertIn(b"\\Recent", self.c.one(1, "FLAGS")[b"FLAGS"])
        d = self.also()
        d.cmd("STORE 1 +FLAGS (\\Recent)")
        self.assertNotIn(b"\\Recent", d.one(1, "FLAGS")[b"FLAGS"])

    def test_flags_that_do_not_exist(self):  # 7.1: not in PERMANENTFLAGS: ignored, for the session, or refused
        self.opened(1)
        self.c.cmd("STORE 1 +FLAGS (\\Frob)")
        self.assertEqual(self.c.flags(1), [])

    def test_by_uid(self):  # 6.4.8
        self.opened(3)
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        found = self.c.data("UID STORE 2,9 +FLAGS (\\Seen)", b"FETCH")
        self.assertEqual([(n, v[b"UID"]) for n, v in found], [(1, 2)])
        self.assertEqual(self.c.data("UID STORE 1 +FLAGS (\\Seen)", b"FETCH"), [])
        self.assertEqual(self.c.flags(2), [])

    def test_syntax(self):
        self.opened(1)
        for rest in ("", "1", "1 FLAGS", "1 FLAGS (", "1 FLAGS (\\Seen", "1 FROB (\\Seen)", "1 +FLAGS.LOUD (\\Seen)",
                     "1 *FLAGS (\\Seen)", "1 + FLAGS (\\Seen)", "x FLAGS (\\Seen)", "1 FLAGS (\\Seen) x",
                     '1 FLAGS ("x")', "1 FLAGS (\\)", "1 FLAGS ((x))", "1 FLAGS (a%b)", "0 FLAGS (\\Seen)"):
            with self.subTest(rest=rest):
                self.bad("STORE " + rest)
        self.assertEqual(self.c.flags(1), [])

    def test_after_a_restart(self):  # 2.3.2: permanent
        self.opened(2)
        self.c.ok("STORE 2 +FLAGS ($Kept \\Answered)")
        self.box.restart()
        self.c = self.connect()
        self.c.ok("SELECT " + self.name)
        self.assertEqual(self.c.flags(2), [b"$Kept", b"\\Answered"])


class Copy(Scratch):
    """6.4.7"""

    def setUp(self):
        super().setUp()
        self.c.ok("CREATE %s-to" % self.name)
        self.to = self.name + "-to"

    def test_flags_date_and_text_are_kept(self):
        self.c.append_uid(self.name, PLAIN, "(\\Seen $Key)", "17-Jul-1996 02:44:25 -0700")
        self.c.append_uid(self.name, NESTED[""])
        self.c.ok("SELECT " + self.name)
        self.c.ok("COPY 1:2 " + self.to)
        items = "(INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])"
        before = self.c.messages("1:2", items)
        self.assertEqual(self.c.exists, 2)
        said = self.c.select(self.to)
        self.assertEqual((said[b"EXISTS"], said[b"RECENT"]), (2, 2))
        self.assertEqual(self.c.messages("1:2", items), before)
        self.assertEqual((self.c.flags(1), self.c.flags(2)), ([b"$Key", b"\\Seen"], []))

    def test_no_such_mailbox(self):
        self.opened(2)
        self.no("COPY 1 %s-none" % self.name, b"TRYCREATE")
        self.no("UID COPY 1:* %s-none" % self.name, b"TRYCREATE")
        self.assertEqual(self.names('"" %s-none' % self.name), [])

    def test_a_set_in_any_order(self):
        self.opened(5)
        self.c.ok("COPY 5,1:2 " + self.to)
        self.c.ok("UID COPY 4:3,900 " + self.to)
        self.assertEqual(self.c.status(self.to, "MESSAGES")[b"MESSAGES"], 5)

    def test_nothing_to_copy(self):  # 6.4.8: OK without doing anything
        self.opened(1)
        self.c.ok("UID COPY 500:600 " + self.to)
        self.assertEqual(self.c.status(self.to, "MESSAGES")[b"MESSAGES"], 0)

    def test_to_itself(self):
        c = self.opened(2)
        c.ok("COPY 1:2 " + self.name)
        c.ok("NOOP")
        self.assertEqual(c.exists, 4)
        self.assertEqual(c.uids(), [1, 2, 3, 4])
        self.assertEqual(c.body(3), c.body(1))

    def test_of_many(self):
        self.opened()
        name = self.name.encode()
        self.c.send(b"".join(b"a%d APPEND %s (\\Seen) {3+}\r\n%03d\r\n" % (i, name, i) for i in range(300)))
        for i in range(300):
            self.c.until(b"a%d" % i)
        self.c.ok("COPY 1:300 " + self.to)
        self.c.ok("SELECT " + self.to)
        self.assertEqual([m[b"BODY[]"] for _, m in sorted(self.c.messages("1:*", "BODY.PEEK[]").items())],
                         [b"%03d" % i for i in range(300)])

    def test_from_a_read_only_mailbox(self):
        self.fill(1)
        self.c.ok("EXAMINE " + self.name)
        self.c.ok("COPY 1 " + self.to)
        self.assertEqual(self.c.status(self.to, "MESSAGES")[b"MESSAGES"], 1)

    def test_syntax(self):
        self.opened(1)
        for rest in "", "1", "1 ", "x y", "1 a b", "0 INBOX", "1 (INBOX)":
            self.bad("COPY " + rest)


class Expunge(Scratch):
    def test_expunge(self):  # 6.4.3, 7.4.1
        c = self.opened(11)
        texts = [c.body(n) for n in range(1, 12)]
        c.ok("STORE 3,4,7,11 +FLAGS.SILENT (\\Deleted)")
        left = list(texts)
        for n in c.data("EXPUNGE", b"EXPUNGE"):
            left.pop(n - 1)
        self.assertEqual(left, [t for i, t in enumerate(texts, 1) if i not in (3, 4, 7, 11)])
        self.assertEqual(c.exists, 7)
        self.assertEqual([c.body(n) for n in range(1, 8)], left)
        self.assertEqual(c.ok("EXPUNGE"), [])

    def test_close(self):  # 6.4.2: expunges without a word
        c = self.opened(3)
        c.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
        self.assertEqual([r for r in c.ok("CLOSE") if b"EXPUNGE" in r], [])
        self.bad("FETCH 1 FLAGS")
        self.bad("CLOSE")
        self.assertEqual(c.select(self.name)[b"EXISTS"], 1)

    def test_select_examine_logout_do_not_expunge(self):  # 6.4.2
        self.opened(2)
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("SELECT " + self.name)
        self.c.ok("EXAMINE " + self.name)
        self.c.ok("SELECT INBOX")
        self.c.ok("LOGOUT")
        self.c = self.connect()
        self.assertEqual(self.c.select(self.name)[b"EXISTS"], 2)
        self.assertEqual(self.c.flags(1), [b"\\Deleted"])

    def test_check(self):  # 6.4.1
        self.opened(1)
        self.c.ok("CHECK")
        self.bad("CHECK x")
        self.c.ok("CLOSE")
        self.bad("CHECK")

    def test_many(self):
        c = self.opened()
        c.send(b"".join(b"a%d APPEND %s (\\Deleted) {3+}\r\n%03d\r\n" % (i, self.name.encode(), i) for i in range(500)))
        for i in range(500):
            c.until(b"a%d" % i)
        c.ok("STORE 1,250,500 -FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
        self.assertEqual([c.body(n) for n in range(1, c.exists + 1)], [b"000", b"249", b"499"])

    def test_in_the_selected_state_only(self):  # 6.4
        for command in ("CHECK", "CLOSE", "EXPUNGE", "SEARCH ALL", "FETCH 1 FLAGS", "STORE 1 FLAGS ()", "COPY 1 INBOX",
                        "UID FETCH 1 FLAGS", "UID STORE 1 FLAGS ()", "UID COPY 1 INBOX", "UID SEARCH ALL", "UNSELECT",
                        "MOVE 1 INBOX", "UID MOVE 1 INBOX", "UID EXPUNGE 1"):
            self.bad(command)


if __name__ == "__main__":
    unittest.main()
