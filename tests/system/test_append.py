"""APPEND: a large message while another client is served; refusals at the literal's header."""

import threading
import time
import unittest

from box import Box
from sample import message
from wire import Imap

LARGE = 20 * 1024 * 1024


class Append(unittest.TestCase):
    def rounds(self, b, going):
        """Seconds that another client's rounds take while going() is true, and at least 100 of them."""
        took = []
        while going() or len(took) < 100:
            start = time.monotonic()
            b.ok("NOOP")
            self.assertEqual(len(b.ok("FETCH 1 (FLAGS ENVELOPE)")), 1)
            took.append(time.monotonic() - start)
        return sorted(took)

    def test_20_mib_while_another_is_served(self):
        data = (message(1) + b"0123456789abcdef" * 64 * 1024 * 20)[:LARGE - 2] + b"\r\n"
        self.assertEqual(len(data), LARGE)
        with Box("append", message_size="25M") as box, Imap(box, tls=True, login="anna") as a, \
                Imap(box, tls=True, login="bert") as b:
            box.cubby("deliver", "bert", input=message(2), check=True)
            b.ok("SELECT INBOX")
            alone = self.rounds(b, lambda: False)
            outcome = []
            # Paced by what a client on a good home network sends, so that there are rounds enough to count; a
            # server that took the message in one go would be silent for all of it.
            thread = threading.Thread(target=lambda: outcome.append(self.paced_append(a, data)))
            start = time.monotonic()
            thread.start()
            beside = self.rounds(b, thread.is_alive)
            took = time.monotonic() - start
            thread.join()
            self.assertTrue(outcome[0].startswith(b"OK [APPENDUID"), outcome)
            median, late = beside[len(beside) // 2], beside[len(beside) * 99 // 100]
            # A turn takes a slice of the message or a sync of 256 KiB. The machine may be busy: what a round takes
            # alone is measured, and twenty of these are granted, or what this disk's syncs take.
            syncs = box.status()["flash"]
            grant = 20 * alone[len(alone) // 2] + 2 * syncs["sync-time"] / syncs["syncs"] / 1e6
            self.assertLess(median, grant, (alone[-1], beside[-1]))
            self.assertLess(late, max(0.1, 2 * syncs["longest-sync"] / 1e6 + 2 * alone[-1]), (alone[-1], beside[-1]))
            self.assertLess(beside[-1], took / 4)
            a.ok("SELECT INBOX")
            self.assertEqual(a.fetch("1", "RFC822.SIZE")[1][b"RFC822.SIZE"], b"%d" % LARGE)
            self.assertTrue(a.body("1") == data)
            self.assertEqual(a.fetch("1", "BODY.PEEK[]<%d.100>" % (LARGE - 50))[1][b"BODY[]<%d>" % (LARGE - 50)],
                             data[-50:])

    @staticmethod
    def paced_append(a, data):
        a.send(b"big APPEND INBOX {%d+}\r\n" % len(data))
        for at in range(0, len(data), 1 << 19):
            a.send(data[at:at + (1 << 19)])
            time.sleep(0.02)
        a.send(b"\r\n")
        return a.until(b"big")[0]

    def test_refused_before_a_byte(self):
        with Box("append-limits", message_size="1M") as box, Imap(box, login="anna") as c:
            before = box.status()["flash"]
            c.send("a APPEND INBOX {1048577}\r\n")
            self.assertRegex(c.response(), rb"^a NO \[(TOOBIG|LIMIT)\]")
            # A non-synchronising one beyond the limit is not worth reading: the answer comes
            # at its header, and the connection ends.
            c.send(b"b APPEND INBOX {1048577+}\r\n")
            self.assertTrue(c.response().startswith(b"* BYE [TOOBIG]"))
            self.assertEqual(c.rest(), b"")
            after = box.status()["flash"]
            self.assertEqual(after["mail-in"], before["mail-in"])
        with Box("append-limit", message_size="1M") as box, Imap(box, login="anna") as c:
            self.assertTrue(c.append("INBOX", message(1, size=1048576)).startswith(b"OK [APPENDUID "))

    def test_a_refused_literal_within_the_limit_is_thrown_away(self):
        """Whatever stands in it: it is no command."""
        literal = (b"x LOGOUT\r\ny DELETE Archive\r\n" * 11000)[:300000]
        with Box("append-refused", message_size="1M") as box, Imap(box, login="anna") as c:
            before, written = -1, 0
            while written != before:  # the reserve is made in the first turns
                before = written
                time.sleep(0.3)
                written = box.status()["flash"]["written"]
            c.send(b"b APPEND Missing {300000+}\r\n" + literal + b"\r\nc NOOP\r\n")
            status, untagged = c.until(b"b")
            self.assertTrue(status.startswith(b"NO [TRYCREATE]"), status)
            self.assertEqual(untagged, [])
            status, untagged = c.until(b"c")
            self.assertTrue(status.startswith(b"OK"), status)
            self.assertEqual(untagged, [])
            self.assertEqual(c.count("Archive"), 0)
            self.assertLess(box.status()["flash"]["written"] - written, 100000)

    def test_over_quota(self):
        """A copy counts against the quota as its original does (RFC 9208 counts messages, not bytes on the disk),
        and one that does not fit leaves nothing."""
        with Box("append-quota", quota="1M") as box, Imap(box, login="anna") as c:
            data = message(1, size=300000)
            for _ in range(3):
                self.assertTrue(c.append("INBOX", data).startswith(b"OK"))
            self.assertTrue(c.append("INBOX", data).startswith(b"NO [OVERQUOTA]"))
            c.send("a APPEND INBOX {300000}\r\n")
            self.assertTrue(c.response().startswith(b"a NO [OVERQUOTA]"))
            c.ok("SELECT INBOX")
            self.assertTrue(c.cmd("COPY 1:3 Archive")[0].startswith(b"NO [OVERQUOTA]"))
            self.assertEqual(c.count("Archive"), 0)
            self.assertTrue(c.append("INBOX", message(2, size=100000)).startswith(b"OK"))
            self.assertTrue(c.cmd("COPY 4 Archive")[0].startswith(b"NO [OVERQUOTA]"))
            self.assertTrue(c.cmd("MOVE 1:4 Archive")[0].startswith(b"OK"))  # needs no room
            self.assertEqual(c.count("Archive"), 4)
            with Imap(box, login="bert") as b:  # another user's quota is another one
                self.assertTrue(b.append("INBOX", data).startswith(b"OK"))

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
