"""The odd messages of tests/messages over the wire, against the answers of another implementation
(tools/expect-messages), and the corpus beside the checkout where it exists."""

import glob
import os
import re
import sys
import unittest
import zlib

from box import TOP, Box
from wire import Atom, Imap

MESSAGES = os.path.join(TOP, "tests", "messages")
CORPUS = os.path.join(TOP, "..", "shared", "corpus")

ITEMS = ("FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "RFC822.HEADER", "MODSEQ",
         "RFC822.TEXT", "BODY[]", "BODY[HEADER]", "BODY[TEXT]", "BODY[1]", "BODY[1.MIME]", "BODY[]<10.20>", "EMAILID",
         "BODY[HEADER.FIELDS (SUBJECT FROM)]", "BODY[HEADER.FIELDS.NOT (RECEIVED)]", "SAVEDATE", "BODY[2]", "BODY[1.1]")


def canonical(value):
    """A parsed value in the form of the expected files."""
    if value is None:
        return "NIL"
    if isinstance(value, list):
        return "(" + " ".join(canonical(v) for v in value) + ")"
    if isinstance(value, Atom):
        return value.decode()
    return '"' + "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else "\\x%02x" % c for c in value) + '"'


def crlf(message):
    """As the other implementation keeps it: every line end CRLF, NUL as 0x80."""
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"\0", b"\x80")


def odd_messages():
    for path in sorted(glob.glob(os.path.join(MESSAGES, "*.eml"))):
        with open(path, "rb") as f:
            yield os.path.basename(path)[:-4], f.read()
    sys.path.insert(0, MESSAGES)
    import long
    yield from sorted(long.messages().items())


def known_differences():
    """Where Cubby differs on purpose, with the reason: the table of the unit test."""
    with open(os.path.join(TOP, "tests", "unit", "test_imap_structure.c")) as f:
        found = set(re.findall(r'^\t\{ "([^"]+)", "([^"]*)", [A-Z0-9_]+ \},', f.read(), re.M))
    assert found
    # Questions that the unit test does not ask. A message without body and blank line: Dovecot gives
    # a blank line behind HEADER.FIELDS and none behind HEADER.FIELDS.NOT; here none comes (RFC 3501 6.4.5).
    for name in "header-only", "header-only-cut", "only-text":
        found.add((name, "HEADER.FIELDS (Subject From X-None)"))
    for name, part in (("digest-empty-part", 1), ("digest-empty-part", 2), ("multi-header-runs-into-boundary", 2),
                       ("multi-header-runs-into-boundary", 3), ("rfc822-empty", 1), ("rfc822-header-only", 1)):
        found.add((name, "%d.HEADER.FIELDS (Subject From X-None)" % part))
    found.add(("folded", "ENVELOPE"))  # RFC 5322 section 3.6.4: blanks around a msg-id are not part of it
    found.add(("rfc822-base64", "1.HEADER.FIELDS (Subject From X-None)"))  # not a message, so without header
    return found


class Expected(unittest.TestCase):
    def test_envelope_structure_and_sections(self):
        differences = []
        known = known_differences()
        count = 0
        with Box("messages", storage="64M") as box, Imap(box, login="anna") as c:
            c.ok("SELECT INBOX")
            for name, message in odd_messages():
                path = os.path.join(MESSAGES, "expected", name + ".txt")
                if not os.path.exists(path):
                    differences.append(name + ": no expected answer")
                    continue
                count += 1
                self.assertTrue(c.append("INBOX", crlf(message)).startswith(b"OK"), name)
                with open(path) as f:
                    for line in f.read().splitlines():
                        got = self.answer(c, count, line)
                        if got != line and (name, self.item(line)) not in known:
                            differences.append("%s:\n#   expected %s\n#   got      %s" % (name, line[:600], got[:600]))
        for d in differences:
            print("#", d)
        self.assertGreaterEqual(count, 100)
        self.assertEqual(len(differences), 0)

    @staticmethod
    def item(line):
        """ENVELOPE, BODY, BODYSTRUCTURE, or the section."""
        word, rest = line.split(" ", 1)
        if word != "SECTION":
            return word
        return rest.rsplit(" ", 1)[0] if rest.endswith(" -") else rest.rsplit(" ", 2)[0]

    def answer(self, c, number, line):
        """The same question to Cubby, in the form of the expected file."""
        word, rest = line.split(" ", 1)
        if word != "SECTION":
            return word + " " + canonical(c.fetch(number, word)[number][word.encode()])
        section = self.item(line)
        value = c.body(number, "" if section == "WHOLE" else section)
        return "SECTION %s %s" % (section, "%d %08x" % (len(value), zlib.crc32(value)) if value else "-")


class Corpus(unittest.TestCase):
    def test_round_trip(self):
        files = sorted(glob.glob(os.path.join(CORPUS, "*.eml")))
        if not files:
            self.skipTest("no corpus beside the checkout")
        with Box("corpus", storage="128M") as box, Imap(box, tls=True, login="anna") as c:
            c.ok("SELECT INBOX")
            for number, path in enumerate(files, 1):
                with open(path, "rb") as f:
                    message = f.read()
                with self.subTest(path=os.path.basename(path)):
                    self.assertTrue(c.append("INBOX", message).startswith(b"OK"))
                    # RFC 3501 has no NUL on the wire: it is sent as 0x80.
                    sent = message.replace(b"\0", b"\x80")
                    self.assertEqual(c.body(number) or b"", sent)
                    found = c.fetch(number, "(" + " ".join("BODY.PEEK" + i[4:] if i.startswith("BODY[") else i
                                                           for i in ITEMS) + ")")[number]
                    for item in ITEMS:
                        key = item.replace("<10.20>", "<10>").encode()
                        self.assertIn(key, found)
                    self.assertEqual(found[b"RFC822.SIZE"], b"%d" % len(message))
                    self.assertEqual((found[b"BODY[HEADER]"] or b"") + (found[b"BODY[TEXT]"] or b""), sent)
                    self.assertEqual(found[b"BODY[]<10>"] or b"", sent[10:30])


if __name__ == "__main__":
    unittest.main()
