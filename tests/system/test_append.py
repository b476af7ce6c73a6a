"""APPEND: a large message while another client is served; refusals at the literal's header."""

import threading
import time
import unittest

from box import Box
from sample import message
from wire import Closed, Imap

LARGE = 20 * 1024 * 1024


class Append(unittest.TestCase):
    def test_20_mib_while_another_is_served(self):
        data = (message(1) + b"0123456789abcdef" * 64 * 1024 * 20)[:LARGE - 2] + b"\r\n"
        self.assertEqual(len(data), LARGE)
        with Box("append", message_size="25M") as box, Imap(box, tls=True, login="anna") as a, \
                Imap(box, tls=True, login="bert") as b:
            box.cubby("deliver", "bert", input=message(2), check=True)
            b.ok("SELECT INBOX")
            slowest = 0.0
            rounds = 0
            outcome = []
            thread = threading.Thread(target=lambda: outcome.append(a.append("INBOX", data)))
            thread.start()
            while thread.is_alive():
                start = time.monotonic()
                b.ok("NOOP")
                self.assertEqual(len(b.ok("FETCH 1 (FLAGS ENVELOPE)")), 1)
                slowest = max(slowest, time.monotonic() - start)
                rounds += 1
            thread.join()
            self.assertTrue(outcome[0].startswith(b"OK [APPENDUID"), outcome)
            self.assertGreater(rounds, 10)
            self.assertLess(slowest, 2.0)
            a.ok("SELECT INBOX")
            self.assertEqual(a.fetch("1", "RFC822.SIZE")[1][b"RFC822.SIZE"], b"%d" % LARGE)
            self.assertTrue(a.body("1") == data)
            self.assertEqual(a.fetch("1", "BODY.PEEK[]<%d.100>" % (LARGE - 50))[1][b"BODY[]<%d>" % (LARGE - 50)],
                             data[-50:])

    def test_refused_before_a_byte(self):
        with Box("append-limits", message_size="1M", quota="2M") as box, Imap(box, login="anna") as c:
            c.send("a APPEND INBOX {2000000}\r\n")
            self.assertRegex(c.response(), rb"^a NO \[(TOOBIG|LIMIT)\]")
            # A non-synchronising one beyond the limit is not worth reading: the answer comes
            # at its header, and the connection ends.
            c.send(b"b APPEND INBOX {1048577+}\r\n")
            self.assertTrue(c.response().startswith(b"* BYE [TOOBIG]"))

    def test_a_refused_literal_within_the_limit_is_thrown_away(self):
        with Box("append-refused", message_size="1M") as box, Imap(box, login="anna") as c:
            c.send(b"b APPEND Missing {300000+}\r\n" + b"x" * 300000 + b"\r\nc NOOP\r\n")
            self.assertTrue(c.until(b"b")[0].startswith(b"NO [TRYCREATE]"))
            self.assertTrue(c.until(b"c")[0].startswith(b"OK"))

    def test_over_quota(self):
        with Box("append-quota", quota="1M") as box, Imap(box, login="anna") as c:
            data = message(1, size=300000)
            for _ in range(3):
                self.assertTrue(c.append("INBOX", data).startswith(b"OK"))
            self.assertTrue(c.append("INBOX", data).startswith(b"NO [OVERQUOTA]"))
            c.send("a APPEND INBOX {300000}\r\n")
            self.assertTrue(c.response().startswith(b"a NO [OVERQUOTA]"))
            c.ok("SELECT INBOX")
            self.assertTrue(c.cmd("COPY 1:3 Archive")[0].startswith((b"OK", b"NO [OVERQUOTA]")))
            self.assertIn(c.count("Archive"), (0, 3))

    def test_try_create(self):
        with Box("append-create") as box, Imap(box, login="anna") as c:
            self.assertTrue(c.append("Nowhere", b"x").startswith(b"NO [TRYCREATE]"))
            c.ok("NOOP")

    def test_date_and_flags(self):
        with Box("append-date") as box, Imap(box, login="anna") as c:
            self.assertTrue(c.append("INBOX", b"x", "(\\Seen $label1)", "17-Jul-1996 02:44:25 -0700")
                            .startswith(b"OK"))
            c.ok("SELECT INBOX")
            found = c.fetch("1", "(FLAGS INTERNALDATE)")[1]
            self.assertEqual(found[b"INTERNALDATE"], b"17-Jul-1996 02:44:25 -0700")
            self.assertTrue({b"\\Seen", b"$label1"} <= set(found[b"FLAGS"]))


if __name__ == "__main__":
    unittest.main()
