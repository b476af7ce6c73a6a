"""Any amount of mail in the same memory: a million messages in `make long`, some thousands else. The store is made by
tests/bench/bigstore.c, whose messages follow from their numbers, so that it is known what each search must find."""

import json
import os
import re
import subprocess
import threading
import time
import unittest

from box import BUILD, Box
from wire import Closed, Imap, Lmtp

LONG = bool(os.environ.get("CUBBY_LONG"))
MANY = 1000000 if LONG else 20000
EVICTED_FROM = 1000000 if LONG else 5000
# No turn of the loop, but for the disk's syncs, takes as long as work on all messages would.
TURN_US = 500000


def longest_turn(status):
    return status["loop"]["longest-turn"] - status["flash"]["longest-sync"]


def big_box(name, count, size=600, **settings):
    box = Box(name, memory="4M", storage="4G", **settings)
    subprocess.run([os.path.join(BUILD, "bench", "bigstore"), box.path("store"), "4096", "1", str(count), str(size)],
                   check=True, stderr=subprocess.DEVNULL)
    return box


def drain(client, command):
    """Runs a command and throws its answer away as it comes: how many lines, and the last 2 KB."""
    tag = client.begin(command)
    end = re.compile(rb"(?:^|\r\n)" + tag + rb" (OK|NO|BAD)[^\r\n]*\r\n\Z")
    tail, lines = client.held, client.held.count(b"\r\n")
    client.held = b""
    while not end.search(tail):
        data = client.socket.recv(1 << 18)
        if not data:
            raise Closed()
        lines += data.count(b"\n")
        tail = (tail + data)[-2000:]
    return lines, tail


def found(client, keys):
    """How many messages a search finds, by two ways of asking."""
    line = b"".join(client.ok("UID SEARCH RETURN (COUNT) " + keys))
    count = int(re.search(rb"COUNT (\d+)", line).group(1))
    line = b"".join(r for r in client.ok("SEARCH " + keys) if r.startswith(b"* SEARCH"))
    assert len(line.split()) - 2 == count, (keys, count, line[:200])
    return count


class Million(unittest.TestCase):
    def within(self, box, what):
        """Nothing takes memory for each message."""
        self.assertLessEqual(box.resident_anonymous(), (4096 + 256) * 1024, what)
        turn = box.status()
        self.assertLess(longest_turn(turn), TURN_US, "%s: %s" % (what, turn["longest-turn"]))

    def ok(self, box, client, command, lines=None):
        n, tail = drain(client, command)
        self.assertRegex(tail, rb"(?:^|\r\n)t\d+ OK [^\r\n]*\r\n\Z", command[:80])
        if lines is not None:
            self.assertEqual(n, lines, command[:80])
        self.within(box, command[:80])

    def reads(self, box, c):
        c.ok("SELECT INBOX")
        self.assertEqual(c.count("INBOX"), MANY)
        self.ok(box, c, "FETCH 1:* (FLAGS)", MANY + 1)
        self.ok(box, c, "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)", MANY + 1)
        last = c.fetch(MANY, "(UID ENVELOPE)")[MANY]
        self.assertEqual(int(last[b"UID"]), MANY)
        self.assertIn(b"message %d " % (MANY - 1), last[b"ENVELOPE"][1])

    def searches(self, box, c):
        # Message n, from 0: seconds after 12:26:40; unread if n % 4 == 0; about the harbour if n % 8 == 2.
        midnight = 24 * 3600 - (12 * 3600 + 26 * 60 + 40)
        for keys, count in (
                ("ALL", MANY), ("UNSEEN", (MANY + 3) // 4), ("SEEN", MANY - (MANY + 3) // 4),
                ("SUBJECT harbour", (MANY + 5) // 8), ("FROM s7@example.org", (MANY + 42) // 50),
                ("BEFORE 14-Sep-2020", min(midnight, MANY)), ("SINCE 14-Sep-2020", max(MANY - midnight, 0)),
                ("SENTON 1-Mar-2021", MANY), ("KEYWORD other", 0),
                ("UID 1001:2000 NOT SEEN", 250), ("OR SUBJECT lamp 5", (MANY + 2) // 8 + 1)):
            self.assertEqual(found(c, keys), count, keys)
            self.within(box, keys)

    def changes(self, box, c):
        c.ok("CREATE Copy")
        self.ok(box, c, "COPY 1:* Copy")
        status = c.ok("STATUS Copy (MESSAGES UNSEEN UIDNEXT)")[0]
        self.assertIn(b"(MESSAGES %d UIDNEXT %d UNSEEN %d)" % (MANY, MANY + 1, (MANY + 3) // 4), status)
        self.ok(box, c, "STORE 1:* +FLAGS ($Label1)")
        self.assertEqual(found(c, "KEYWORD $Label1"), MANY)
        self.ok(box, c, "STORE 1:* FLAGS.SILENT (\\Seen)")
        self.assertEqual(found(c, "UNSEEN"), 0)

    def expunges(self, box, c):
        """Every second of some thousands, so that each is a run of its own, then all of the second half."""
        ragged = range(1, min(MANY // 2, 16000), 2)
        for at in range(0, len(ragged), 1000):
            self.ok(box, c, "UID STORE %s +FLAGS.SILENT (\\Deleted)" % ",".join(str(u) for u in ragged[at:at + 1000]))
        self.ok(box, c, "EXPUNGE")
        self.assertEqual(c.count("INBOX"), MANY - len(ragged))
        self.ok(box, c, "UID STORE %d:* +FLAGS.SILENT (\\Deleted)" % (MANY // 2 + 1))
        self.ok(box, c, "EXPUNGE")
        self.assertEqual(c.count("INBOX"), MANY // 2 - len(ragged))
        line = b"".join(r for r in c.ok("UID SEARCH UID 1:30") if r.startswith(b"* SEARCH"))
        self.assertEqual([int(u) for u in line.split()[2:]], list(range(2, 31, 2)))

    def others_know(self, silent):
        """Those who had the mailbox selected and heard nothing are told all of it, or sent away: never left with
        numbers that are wrong."""
        told = 0
        for c in silent:
            try:
                status, untagged = c.cmd("NOOP")
            except Closed:
                continue
            self.assertTrue(status.startswith(b"OK") or any(r.startswith(b"* BYE") for r in untagged), status)
            gone = sum(r.endswith(b" EXPUNGE") for r in untagged)
            told += 1
            self.assertEqual(MANY - gone, c.count("INBOX"))
        return told

    def test_all_commands_in_the_same_memory(self):
        with big_box("million", MANY) as box:
            silent = [Imap(box, login="anna") for _ in range(3)]
            for c in silent:
                c.ok("SELECT INBOX")
            with Imap(box, login="anna", timeout=300) as c:
                self.reads(box, c)
                self.searches(box, c)
                self.changes(box, c)
                self.expunges(box, c)
                self.others_know(silent)
                self.ok(box, c, "SELECT Copy")
                c.ok("CREATE Moved")
                self.ok(box, c, "MOVE 1:* Moved")
                self.assertEqual(c.count("Moved"), MANY)
                left = c.count("INBOX")
            box.kill()
            box.start()
            with Imap(box, login="anna") as c:
                self.assertEqual((c.count("Moved"), c.count("Copy"), c.count("INBOX")), (MANY, 0, left))
                self.within(box, "after a cut")


class Latency(threading.Thread):
    """A client that says NOOP all the time while something else runs."""

    def __init__(self, box):
        super().__init__(daemon=True)
        self.client = Imap(box, login="bert")
        self.times, self.over = [], False
        self.start()

    def run(self):
        while not self.over:
            started = time.monotonic()
            self.client.ok("NOOP")
            self.times.append(time.monotonic() - started)

    def end(self):
        self.over = True
        self.join()
        self.client.close()
        return sorted(self.times)


class Eviction(unittest.TestCase):
    """What a dry run listed is what goes, less what was changed in between."""

    def lower_storage(self, box):
        """The same mail in a storage of which it takes about 95 per cent."""
        box.start()
        mail = box.status()["store"]["mail"]
        box.stop()
        box.settings["storage"] = "%dM" % (mail * 1.404 / (1 << 20) + 1)
        box.write_config()
        box.start()

    def uids(self, c):
        line = b"".join(r for r in c.ok("UID SEARCH ALL") if r.startswith(b"* SEARCH"))
        return {int(u) for u in line.split()[2:]}

    def dry_run(self, box):
        started = time.monotonic()
        plan = json.loads(box.cubby("evict", "--dry-run", "--json", check=True, timeout=300).out)
        return plan, time.monotonic() - started

    def meanwhile(self, box, c, listed):
        """Mail comes, and some of what was listed changes: (UIDs that stay for it, UIDs that are expunged)."""
        with Lmtp(box) as lmtp:
            for i in range(200):
                self.assertEqual(lmtp.deliver(b"Subject: new %d\r\n\r\nnew" % i, "anna@box.home.arpa"), [250])
        flagged, answered, expunged = listed[5:400:7], listed[-300:-1:11], listed[401:700:5]
        for uids, change in ((flagged, "\\Flagged"), (answered, "\\Answered"), (expunged, "\\Deleted")):
            c.ok("UID STORE %s +FLAGS.SILENT (%s)" % (",".join(str(u) for u in uids), change))
        c.ok("UID EXPUNGE %s" % ",".join(str(u) for u in expunged))
        # Others could go now just as well. They were not listed.
        c.ok("UID STORE %d:%d +FLAGS.SILENT (\\Deleted)" % (max(listed) + 1, max(listed) + 100))
        return set(flagged) | set(answered), set(expunged)

    def carry_out(self, box, plan, c, listed):
        before = self.uids(c)
        stay, expunged = self.meanwhile(box, c, listed)
        latency = Latency(box)
        started = time.monotonic()
        done = box.cubby("evict", "--plan", plan["id"], check=True, timeout=300).out
        took, times = time.monotonic() - started, latency.end()
        with Imap(box, login="anna") as again:
            again.ok("SELECT INBOX")
            after = self.uids(again)
        self.assertEqual(before - after, set(listed) - stay)
        self.assertEqual(len(after - before), 200)
        self.assertIn("went: %d " % (len(listed) - len(stay) - len(expunged)), done)
        # It is carried out once.
        self.assertNotEqual(box.cubby("evict", "--plan", plan["id"]).returncode, 0)
        return took, times

    def test_a_plan_and_what_came_between(self):
        box = big_box("million-evict", EVICTED_FROM, 2000, evict="off",
                      **{"evict protect": "0s", "evict seen-age": "0s", "evict order": "deleted seen unseen"})
        self.lower_storage(box)
        try:
            with Imap(box, login="anna", timeout=300) as c:
                c.ok("SELECT INBOX")
                plan, looked = self.dry_run(box)
                listed = [i["uid"] for i in plan["items"]]
                self.assertTrue(plan["enough"])
                self.assertEqual(len(listed), plan["messages"])
                self.assertGreater(len(listed), EVICTED_FROM // 10)
                # Read mail goes first, the oldest first; bigstore leaves each fourth unread.
                self.assertEqual(listed, [u for u in range(1, listed[-1] + 1) if u % 4 != 1])
                # Another look makes another plan, unless nothing happened, and the last one counts.
                again, _ = self.dry_run(box)
                self.assertEqual([i["uid"] for i in again["items"]], listed)
                took, times = self.carry_out(box, again, c, listed)
            self.coming_in(box)
            status = box.status()
            self.assertLess(longest_turn(status), TURN_US, status["longest-turn"])
            self.assertLessEqual(box.resident_anonymous(), (4096 + 256) * 1024)
            print("# of %d messages: dry run %.2f s, plan of %d carried out in %.2f s, meanwhile %d NOOPs, "
                  "longest %.1f ms; longest turn %.1f ms (%s)" % (
                      EVICTED_FROM, looked, len(listed), took, len(times), times[-1] * 1000,
                      status["loop"]["longest-turn"] / 1000, status["longest-turn"]))
        except BaseException:
            box.__exit__(AssertionError, None, None)
            raise
        box.close()

    def coming_in(self, box):
        """Under pressure mail goes by itself, and new mail is taken all the time."""
        box.settings["evict"] = "on"
        box.settings["evict high"], box.settings["evict low"] = "70", "60"
        box.write_config()
        box.cubby("reload", check=True)
        with Lmtp(box) as lmtp:
            for i in range(300):
                self.assertEqual(lmtp.deliver(b"Subject: more %d\r\n\r\nmore" % i, "anna@box.home.arpa"), [250])
        end = time.monotonic() + 120
        while time.monotonic() < end:
            status = box.status()
            if status["store"]["mail"] <= status["evict"]["begins-at"] and not status["evict"]["running"]:
                break
            time.sleep(0.1)
        else:
            self.fail("%r" % status)
        with Imap(box, login="anna") as c:
            c.ok("SELECT INBOX")
            self.assertEqual(found(c, "SUBJECT more"), 300)
            self.assertEqual(len(self.uids(c)), c.count("INBOX"))


if __name__ == "__main__":
    unittest.main()
