"""What clients see while mail goes under their hands: a body that is being read, a copy under way, sessions that
say nothing, clients that were away, and quotas."""

import json
import socket
import time
import unittest

from box import Box
from test_evict import deliver, evicting, message
from wire import Imap, Lmtp


def uids(lines):
    """The UIDs of a SEARCH answer."""
    found = b"".join(line for line in lines if line.startswith(b"* SEARCH"))
    return [int(n) for n in found.split(b"(")[0].split()[2:]]


def flood(box, first, count, size=300000, user="anna"):
    deliver(box, first, count, size, user)


def large(n, size):
    return message(n, 0) + (b"z" * 62 + b"\r\n") * (size // 64)


class Reading(unittest.TestCase):
    def begin(self, box, size=8 << 20):
        """A session that has begun to fetch a large message and reads no more; what it has to read."""
        text = large(1, size)
        with Imap(box, login="anna") as c:
            c.append("INBOX", text)
        reader = Imap(box, login="anna")
        reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        reader.ok("SELECT INBOX")
        reader.send(b"x1 FETCH 1 BODY.PEEK[]\r\n")
        time.sleep(1)
        return reader, text

    def drive_out(self, box):
        """Mail comes until the first message is gone."""
        with Imap(box, login="anna") as c:
            for i in range(0, 400, 10):
                flood(box, 10 + i, 10)
                c.ok("SELECT INBOX")
                if 1 not in uids(c.ok("UID SEARCH ALL")):
                    return
        self.fail("it was never evicted")

    def test_a_literal_is_finished(self):
        with evicting("evict-read", storage="64M", **{"message-size": "16M"}) as box:
            reader, text = self.begin(box)
            self.drive_out(box)
            _, got = reader.until(b"x1")
            body = [line for line in got if line.startswith(b"* 1 FETCH")]
            self.assertEqual(len(body), 1)
            self.assertIn(text, body[0])
            # it is told afterwards, and then the body is no more
            reader.ok("NOOP")
            self.assertNotIn(1, uids(reader.ok("UID SEARCH ALL")))
            reader.close()

    def test_who_takes_nothing_is_closed(self):
        with evicting("evict-stall", storage="64M", **{"message-size": "16M"}) as box:
            reader, _ = self.begin(box)
            start = time.monotonic()
            self.drive_out(box)
            while time.monotonic() < start + 55 and box.status()["connections"]["logged-in"]:
                time.sleep(0.5)
            self.assertEqual(box.status()["connections"]["logged-in"], 0)
            self.assertGreater(time.monotonic() - start, 20)
            reader.close()

    def test_the_body_of_an_evicted_message(self):
        with evicting("evict-gone") as box:
            deliver(box, 0, 100)
            c = Imap(box, login="anna")
            c.ok("SELECT INBOX")
            deliver(box, 100, 400)
            status, lines = c.cmd("FETCH 1 BODY.PEEK[]")
            self.assertTrue(status.startswith(b"NO [EXPUNGEISSUED]"), status)
            self.assertFalse([line for line in lines if line.endswith(b"EXPUNGE")], "no EXPUNGE within FETCH")
            c.ok("NOOP")
            self.assertGreater(uids(c.ok("UID SEARCH ALL"))[0], 1)
            c.close()


class Sessions(unittest.TestCase):
    def test_a_copy_is_all_or_nothing(self):
        with evicting("evict-copy", storage="8M") as box:
            deliver(box, 0, 400)
            with Imap(box, login="anna") as c, Lmtp(box) as sender:
                c.ok("CREATE Kept")
                c.ok("SELECT INBOX")
                n = c.count("INBOX")
                c.send(b"c1 UID COPY 1:* Kept\r\n")
                for i in range(300):
                    sender.deliver(message(1000 + i, 8000), "anna@box.home.arpa")
                last, _ = c.until(b"c1")
                kept = c.count("Kept")
                if last.startswith(b"OK"):
                    # what is copied is newer than all else: of it goes only what had to go afterwards
                    first, _, end = last.split(b"COPYUID ")[1].split(b"]")[0].split()[2].partition(b":")
                    self.assertGreaterEqual(int(end) - int(first) + 1, n)
                    self.assertLessEqual(kept, int(end) - int(first) + 1)
                else:
                    self.assertTrue(last.startswith(b"NO "), last)
                    self.assertEqual(kept, 0)

    def test_silent_sessions_are_told_or_closed(self):
        with evicting("evict-silent") as box:
            deliver(box, 0, 100)
            sessions = [Imap(box, login="anna") for _ in range(5)]
            for s in sessions:
                s.ok("SELECT INBOX")
                s.known = uids(s.ok("UID SEARCH ALL"))
            deliver(box, 100, 2000)
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                truth = uids(c.ok("UID SEARCH ALL"))
            told = 0
            for s in sessions:
                try:
                    # first of all, nothing was renumbered under it
                    _, lines = s.cmd("FETCH 5 (UID)")
                except (EOFError, OSError, AssertionError):
                    continue
                if any(line.startswith(b"* BYE") for line in lines):
                    continue
                for line in lines:
                    if b" FETCH (" in line:
                        self.assertIn(b"UID %d" % s.known[4], line)
                view = list(s.known)
                for line in lines + s.ok("NOOP"):
                    words = line.split()
                    if len(words) >= 3 and words[2] == b"EXPUNGE":
                        del view[int(words[1]) - 1]
                    elif len(words) >= 3 and words[2] == b"EXISTS":
                        self.assertGreaterEqual(int(words[1]), len(view))
                        view += [None] * (int(words[1]) - len(view))
                self.assertEqual(len(view), len(truth))
                for have, right in zip(view, truth):
                    self.assertIn(have, (None, right))
                self.assertEqual(uids(s.ok("UID SEARCH ALL")), truth)
                told += 1
                s.close()
            self.assertGreaterEqual(told, 1)

    def test_a_client_without_qresync_learns_the_truth(self):
        with evicting("evict-away") as box:
            deliver(box, 0, 100)
            with Imap(box, login="anna") as c:
                lines = c.ok("SELECT INBOX (CONDSTORE)")
                modseq = [int(line.split(b"HIGHESTMODSEQ ")[1].split(b"]")[0]) for line in lines
                          if b"HIGHESTMODSEQ" in line][0]
                cache = {u: b"()" for u in uids(c.ok("UID SEARCH ALL"))}
            deliver(box, 100, 150)
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                c.ok("STORE 1:3 +FLAGS (\\Seen)")
            with Imap(box, login="anna") as c:
                lines = c.ok("SELECT INBOX (CONDSTORE)")
                now = [int(line.split(b"HIGHESTMODSEQ ")[1].split(b"]")[0]) for line in lines
                       if b"HIGHESTMODSEQ" in line][0]
                self.assertGreater(now, modseq)
                there = uids(c.ok("UID SEARCH ALL"))
                cache = {u: f for u, f in cache.items() if u in there}
                for line in c.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % modseq):
                    if b" FETCH (" in line:
                        uid = int(line.split(b"UID ")[1].split()[0].rstrip(b")"))
                        cache[uid] = line.split(b"FLAGS ")[1].split(b")")[0]
                self.assertEqual(sorted(cache), there)
                for i, uid in enumerate(there):
                    self.assertEqual(b"\\Seen" in cache[uid], i < 3, uid)


class Limits(unittest.TestCase):
    def test_what_is_too_large_moves_nothing(self):
        with evicting("evict-large") as box:
            deliver(box, 0, 190)
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                n = c.count("INBOX")
                c.ok("STORE 1:* +FLAGS (\\Flagged)")
                deliver(box, 190, 10)
                with Lmtp(box) as sender:
                    self.assertEqual(sender.deliver(message(9, 1000000), "anna@box.home.arpa"), [452])
                last = c.append("INBOX", message(9, 1000000))
                self.assertTrue(last.startswith(b"NO [OVERQUOTA]"), last)
                c.ok("NOOP")
                self.assertEqual(c.count("INBOX"), n + 10)

    def test_a_quota_takes_from_its_user_alone(self):
        box = evicting("evict-quota", storage="16M", quota="1M")
        with box:
            deliver(box, 0, 60, user="bert")
            deliver(box, 100, 400, user="anna")
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                there = uids(c.ok("UID SEARCH ALL"))
                self.assertEqual(there, list(range(there[0], 401)))
                self.assertIn(len(there), range(90, 132))
            with Imap(box, login="bert") as c:
                c.ok("SELECT INBOX")
                self.assertEqual(c.count("INBOX"), 60)
            gone = json.loads(box.cubby("evict", "--log", "--json", check=True).out)
            self.assertEqual({g["user"] for g in gone}, {"anna"})


if __name__ == "__main__":
    unittest.main()
