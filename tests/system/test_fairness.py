"""Heavy work and idle readers of some clients, and how long the others wait meanwhile."""

import threading
import time
import unittest

from box import Box
from sample import message
from wire import Imap, Lmtp

ROUNDS = 150


def latencies(c, going=lambda: False):
    """Seconds that NOOP took, sorted: at least ROUNDS times, and on while going()."""
    took = []
    while len(took) < ROUNDS or going():
        start = time.monotonic()
        c.ok("NOOP")
        took.append(time.monotonic() - start)
    return sorted(took)


class Fairness(unittest.TestCase):
    def short(self, box, alone, beside):
        """The others' p99 stays below a tenth of a second, unless the machine or its disk were slower than that
        with nobody else there; and their median below two milliseconds, or some times what it was."""
        n = len(beside)
        sync = box.status()["flash"]["longest-sync"] / 1e6
        late = max(0.1, 3 * alone[-1] + 2 * sync)
        self.assertLess(beside[n * 99 // 100], late, "alone at most %f, a sync at most %f" % (alone[-1], sync))
        self.assertLess(beside[n // 2], max(0.03, 30 * alone[len(alone) // 2]))

    def fill(self, box, n, size):
        with Lmtp(box) as lmtp:
            for i in range(n):
                self.assertEqual(lmtp.deliver(message(i, size=size)[:-2], "anna"), [250])

    def test_while_others_work_hard(self):
        """SEARCH through all bodies, all bodies, and a COPY of all, at the same time."""
        with Box("fair", storage="256M") as box:
            self.fill(box, 400, 40000)
            done = []

            def work(commands):
                with Imap(box, tls=True, login="anna") as c:
                    c.ok("SELECT INBOX")
                    for command in commands:
                        c.ok(command)
                    done.append(time.monotonic())

            with Imap(box, tls=True, login="bert") as b:
                alone = latencies(b)
                threads = [threading.Thread(target=work, args=(commands,)) for commands in (
                    ["SEARCH TEXT nowhere-to-be-found"] * 3, ["FETCH 1:* (BODY.PEEK[])"],
                    ["COPY 1:* Archive", "STORE 1:* +FLAGS.SILENT (\\Seen)", "SEARCH BODY nowhere"])]
                for t in threads:
                    t.start()
                beside = latencies(b, lambda: any(t.is_alive() for t in threads))
                for t in threads:
                    t.join()
                self.assertEqual(len(done), 3)
                self.short(box, alone, beside)

    def test_a_client_that_stops_reading_hurts_nobody(self):
        with Box("slow", memory="4M") as box:
            self.fill(box, 40, 200000)
            with Imap(box, tls=True, login="bert") as b:
                b.ok("SELECT INBOX")
                alone = latencies(b)
                stuck = []
                for _ in range(8):
                    c = Imap(box, tls=True, login="anna")
                    c.ok("SELECT INBOX")
                    c.send("x FETCH 1:* (BODY.PEEK[])\r\n" * 3)
                    stuck.append(c)
                time.sleep(0.5)
                self.short(box, alone, latencies(b))
                self.assertTrue(b.append("INBOX", message(1)).startswith(b"OK"))
            # The first one reads on and gets everything, unharmed.
            c = stuck[0]
            whole = 0
            while whole < 120:
                r = c.response()
                if b" FETCH (" in r[:20]:
                    self.assertTrue(r.endswith(message(whole % 40, size=200000) + b")"))
                    whole += 1
            for c in stuck:
                c.close()


if __name__ == "__main__":
    unittest.main()
