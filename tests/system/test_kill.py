"""The server is killed without a warning, again and again, while mail comes in and flags change:
what was acknowledged is there after each start. (The kernel lives on here; power cuts are the
simulator's, tests/sim.)"""

import random
import re
import threading
import time
import unittest

from box import Box
from sample import message
from wire import Closed, Imap, Line

KILLS = 8


class Deliveries(threading.Thread):
    """Delivers by LMTP until the connection breaks; remembers what was answered 250."""

    def __init__(self, box, first):
        super().__init__()
        self.box, self.next, self.done = box, first, []

    def run(self):
        try:
            c = Line(("127.0.0.1", self.box.lmtp_port))
            c.line()
            c.send("LHLO test\r\n")
            while c.line()[3:4] == b"-":
                pass
            while True:
                number, self.next = self.next, self.next + 1
                size = 400000 if number % 37 == 0 else random.Random(number).choice([300, 3000, 30000])
                c.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<anna>\r\nDATA\r\n")
                for _ in range(3):
                    c.line()
                c.send(message(number, size=size) + b".\r\n")
                if c.line().startswith(b"250"):
                    self.done.append(number)
        except (Closed, OSError):
            pass


class Kill(unittest.TestCase):
    def test_what_was_acknowledged_is_there(self):
        generator = random.Random(4)
        acknowledged, flagged, next_number = [], {}, 1
        box = Box("kill", storage="64M")
        with box:
            for _ in range(KILLS):
                work = Deliveries(box, next_number)
                work.start()
                c = Imap(box, login="anna")
                c.ok("ENABLE CONDSTORE")  # its flag changes are durable when they are answered
                c.ok("SELECT INBOX")
                end = time.monotonic() + generator.uniform(0.05, 0.5)
                while time.monotonic() < end:
                    c.ok("NOOP")
                    uids = self.uids(c)
                    if uids:
                        uid = generator.choice(uids)
                        c.ok("UID STORE %d +FLAGS (\\Flagged)" % uid)
                        flagged[uid] = True
                box.kill()
                work.join()
                acknowledged += work.done
                next_number = work.next
                box.start()
                self.compare(box, acknowledged, flagged)
            self.assertGreater(len(acknowledged), 20)
            self.assertEqual(box.cubby("check", check=True).returncode, 0)

    def uids(self, c):
        found = [r for r in c.ok("UID SEARCH ALL") if r.startswith(b"* SEARCH")]
        return [int(n) for n in found[0].split()[2:]]

    def compare(self, box, acknowledged, flagged):
        c = Imap(box, login="anna")
        c.ok("EXAMINE INBOX")
        there, flags = {}, {}
        for r in c.ok("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (Message-ID)])"):
            found = re.search(rb"UID (\d+)", r)
            number = re.search(rb"<(\d+)@a\.example>", r)
            if found and number:
                there[int(number.group(1))] = int(found.group(1))
                flags[int(found.group(1))] = b"\\Flagged" in r
        for number in acknowledged:
            self.assertIn(number, there)
        for uid in flagged:
            self.assertTrue(flags[uid], "flag of uid %d" % uid)
        for number in acknowledged[-5:]:
            size = 400000 if number % 37 == 0 else random.Random(number).choice([300, 3000, 30000])
            body = c.body(there[number], uid=True)
            self.assertTrue(body.endswith(message(number, size=size)), "body of %d" % number)
        c.close()


if __name__ == "__main__":
    unittest.main()
