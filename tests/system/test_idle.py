"""IDLE: the server says that it is still there, and how soon a session hears of what others do."""

import os
import time
import unittest

from box import Box
from sample import message
from wire import Imap


def idle(c):
    c.idle_tag = c.begin("IDLE")
    while not c.line().startswith(b"+"):
        pass


def done(c):
    c.send("DONE\r\n")
    status, untagged = c.until(c.idle_tag)
    assert status.startswith(b"OK"), status
    return untagged


def hears(c, word):
    """Seconds until a line with the word comes."""
    start = time.monotonic()
    while word not in c.line():
        pass
    return time.monotonic() - start


class Idle(unittest.TestCase):
    @unittest.skipUnless(os.environ.get("CUBBY_LONG"), "takes a minute: make long runs it")
    def test_still_here(self):
        """idle-notify 30s is the least; between the lines nothing comes."""
        with Box("idle-here", idle_notify="30s", memory="4M") as box, Imap(box, login="anna") as c:
            c.ok("SELECT INBOX")
            idle(c)
            for _ in range(2):
                start = time.monotonic()
                self.assertEqual(c.line(), b"* OK Still here\r\n")
                self.assertAlmostEqual(time.monotonic() - start, 30, delta=2)
            self.assertEqual(done(c), [])

    def test_the_default_of_the_notice_is_five_minutes(self):
        with Box("idle-default") as box:
            self.assertEqual(box.cubby("config", "get", "idle-notify", check=True).out.strip(), "5m")

    def news(self, **settings):
        """Slowest of some flag changes and arrivals as a session in IDLE hears of them that uses CONDSTORE, beside
        one that does not; changed by one that does not."""
        slowest = {"condstore": 0.0, "plain": 0.0}
        with Box("idle-news", **settings) as box, Imap(box, login="anna") as a, Imap(box, login="anna") as b, \
                Imap(box, login="anna") as c:
            a.ok("ENABLE CONDSTORE")
            for session in a, b, c:
                session.ok("SELECT INBOX")
            for session in a, b:
                idle(session)
            for i in range(20):
                if i % 5 == 0:  # somebody takes \Recent, and that is not synced either
                    self.assertTrue(c.append("INBOX", message(i)).startswith(b"OK"))
                    c.ok("NOOP")
                    for session in a, b:
                        hears(session, b"EXISTS")
                c.ok("STORE 1 %sFLAGS.SILENT (\\Flagged)" % "+-"[i % 2])
                for name, session in ("condstore", a), ("plain", b):
                    slowest[name] = max(slowest[name], hears(session, b" FETCH ("))
            for session in a, b:
                done(session)
        return slowest

    def test_flags_are_heard_of_at_once(self):
        """Although they may wait for the flash for five seconds, and CONDSTORE waits for it."""
        slowest = self.news(flag_delay="5s")
        self.assertLess(slowest["plain"], 1.0)
        self.assertLess(slowest["condstore"], 1.0)

    def test_a_store_without_a_listener_waits(self):
        """Nobody listens who must hear of it only from the flash: no sync for each change."""
        with Box("idle-lazy", flag_delay="1m") as box, Imap(box, login="anna") as a, Imap(box, login="anna") as c:
            c.append("INBOX", message(1))
            for session in a, c:
                session.ok("SELECT INBOX")
            idle(a)
            last = -1
            before = box.status()["flash"]["syncs"]
            while last != before:  # the reserve is made in the first turns
                last = before
                time.sleep(0.3)
                before = box.status()["flash"]["syncs"]
            for i in range(20):
                c.ok("STORE 1 %sFLAGS.SILENT (\\Flagged)" % "+-"[i % 2])
                hears(a, b" FETCH (")
            self.assertLessEqual(box.status()["flash"]["syncs"] - before, 4)
            done(a)


if __name__ == "__main__":
    unittest.main()
