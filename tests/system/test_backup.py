"""`cubby backup` and `cubby restore`: what a busy server holds at one moment comes back in a new
store, with the same bytes, flags, dates, ids and passwords, and with new UIDVALIDITYs."""

import gzip
import os
import random
import re
import stat
import subprocess
import threading
import time
import unittest

from box import Box, tool_binary
from sample import message, multipart
from wire import Imap

ALL = "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE EMAILID SAVEDATE BODY.PEEK[])"


def fill(box):
    for number in range(1, 31):
        box.cubby("deliver", "anna", input=message(number, size=3000 if number % 5 else 400000), check=True)
    box.cubby("deliver", "bert", input=multipart(1, random.Random(1)), check=True)
    c = Imap(box, login="anna")
    c.ok("CREATE Projects/Boat")
    c.ok("CREATE Box")
    c.ok("RENAME Box Archive/2025/Box")
    c.ok("SUBSCRIBE Projects/Boat")
    assert c.append("Archive/2025/Box", message(77), "(\\Seen $Keep)", "01-Feb-2003 04:05:06 +0900").startswith(b"OK")
    c.ok("SELECT INBOX")
    c.ok("STORE 1:3 +FLAGS (\\Flagged Boat)")
    c.ok("COPY 2:4 Projects/Boat")
    c.ok("STORE 7 +FLAGS (\\Deleted)")
    c.ok("EXPUNGE")
    c.close()


def validity(c, mailbox):
    return int(re.search(rb"UIDVALIDITY (\d+)", b" ".join(map(as_bytes, c.ok("STATUS %s (UIDVALIDITY)" % mailbox))))
               .group(1))


def as_bytes(x):
    return x if isinstance(x, bytes) else str(x).encode()


def state(box, user, mailboxes):
    """Everything a client can see of some mailboxes, and their UIDVALIDITYs."""
    c = Imap(box, login=user)
    seen, validities = {"list": sorted(map(str, c.ok('LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE)')))}, {}
    for mailbox in mailboxes:
        validities[mailbox] = validity(c, mailbox)
        seen[mailbox] = [c.ok("STATUS %s (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ MAILBOXID SIZE)" % mailbox)]
        c.ok("EXAMINE " + mailbox)
        seen[mailbox].append(c.ok(ALL))
    c.close()
    return seen, validities


class Backup(unittest.TestCase):
    boxes = {"anna": ("INBOX", "Projects/Boat", "Archive/2025/Box", "Archive"), "bert": ("INBOX", "Sent")}

    def all_of(self, box):
        return {user: state(box, user, mailboxes) for user, mailboxes in self.boxes.items()}

    def compare(self, before, after):
        for user in self.boxes:
            self.assertEqual(before[user][0], after[user][0])
            for mailbox, old in before[user][1].items():
                self.assertGreater(after[user][1][mailbox], max(v for _, vs in before.values() for v in vs.values()))
                self.assertNotEqual(after[user][1][mailbox], old)

    def test_there_and_back(self):
        with Box("backup") as box:
            box.cubby("user", "add", "--admin", "carl", input="another one\n", check=True)
            fill(box)
            before = self.all_of(box)
            kept = box.path("kept")
            said = box.cubby("backup", kept, check=True)
            self.assertIn("31 messages", said.out)
            self.assertEqual(stat.S_IMODE(os.stat(kept).st_mode), 0o600)
            self.assertFalse(os.path.exists(kept + ".part"))
            piped = box.cubby("backup", "-", check=True)
            self.assertEqual(len(piped.stdout), os.path.getsize(kept))
            box.stop()
            offline = box.path("offline")
            box.cubby("backup", offline, check=True)
            # A store that holds something is not restored over, nor one that is in use.
            refused = box.cubby("restore", kept)
            self.assertEqual(refused.returncode, 1, refused)
            self.assertIn("has users already", refused.err)
            box.start()
            refused = box.cubby("restore", kept)
            self.assertEqual(refused.returncode, 75, refused)
            self.compare_same(before, self.all_of(box))
            for number, source in enumerate((kept, offline, None)):
                self.restored(before, source, number, gzip.compress(piped.stdout))

    def compare_same(self, before, after):
        for user in self.boxes:
            self.assertEqual(before[user], after[user])

    def restored(self, before, source, number, packed):
        new = Box("restored%d" % number, users=())
        if source:
            said = new.cubby("restore", source, check=True)
        else:
            said = new.cubby("restore", "-", input=gzip.decompress(packed), check=True)
        self.assertIn("31 messages", said.out)
        self.assertIn("3 users", said.out)
        self.assertEqual(new.cubby("check").returncode, 0)
        self.assertIn("carl                     admin", new.cubby("user", "list").out)
        with new:
            after = self.all_of(new)
            self.compare(before, after)
            # It goes on: new mail, a new user with a number of his own.
            new.cubby("deliver", "anna", input=message(500), check=True)
            new.cubby("user", "add", "dora", input="yet another\n", check=True)
            new.cubby("deliver", "dora", input=message(501), check=True)
            c = Imap(new, login="anna")
            self.assertEqual(c.count("INBOX"), 30)
            c.ok("EXAMINE INBOX")
            ids = re.findall(rb"EMAILID \((\w+)\)", b" ".join(map(as_bytes, c.ok("FETCH 1:* (EMAILID)"))))
            self.assertEqual(len(set(ids)), len(ids))
            c.close()
            self.assertEqual(new.cubby("check").returncode, 0)
            if number == 0:
                self.repaired(new)

    def repaired(self, box):
        """A restored store is a store: its log alone makes it again."""
        c = Imap(box, login="anna")
        c.ok("EXAMINE Projects/Boat")
        before = c.ok("UID FETCH 1:* (FLAGS INTERNALDATE SAVEDATE BODY.PEEK[])")
        c.close()
        box.stop()
        for name in "index", "super.0", "super.1":
            os.remove(box.path("store/" + name))
        done = box.cubby("check", "--repair")
        self.assertIn(" 0 messages lost", done.out)
        self.assertEqual(box.cubby("check").returncode, 0)
        box.start()
        c = Imap(box, login="anna")
        self.assertEqual(c.count("INBOX"), 30)
        c.ok("EXAMINE Projects/Boat")
        self.assertEqual(c.ok("UID FETCH 1:* (FLAGS INTERNALDATE SAVEDATE BODY.PEEK[])"), before)
        c.close()

    def test_not_whole(self):
        with Box("backup-cut", users=("anna",)) as source:
            for number in range(1, 41):
                source.cubby("deliver", "anna", input=message(number, size=20000), check=True)
            whole = source.cubby("backup", "-", check=True).stdout
        box = Box("backup-half", users=())
        try:
            with open(box.path("cut"), "wb") as f:
                f.write(whole[:len(whole) * 2 // 3])
            with open(box.path("whole"), "wb") as f:
                f.write(whole)
            with open(box.path("bad"), "wb") as f:
                f.write(whole[:300000] + bytes([whole[300000] ^ 1]) + whole[300001:])
            # Of a file it is known before anything begins.
            for name, word in ("cut", "cut off"), ("bad", "damaged"), ("conf", "no backup"):
                refused = box.cubby("restore", box.path(name))
                self.assertEqual(refused.returncode, 1, refused)
                self.assertIn(word, refused.err)
                self.assertFalse(os.path.exists(box.path("store/super.0")), name)
                self.assertFalse(os.path.exists(box.path("users")), name)
            # A restore that dies: the store is not served, and can be finished.
            tool = subprocess.Popen([tool_binary(), "-c", box.path("conf"), "restore", "-"], stdin=subprocess.PIPE,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            tool.stdin.write(whole[:len(whole) // 2])
            tool.stdin.flush()
            time.sleep(0.5)
            tool.kill()
            tool.wait()
            tool.stdin.close()
            with self.assertRaisesRegex(AssertionError, "half restored: go on with `cubby restore`"):
                box.start()
            self.assertEqual(box.cubby("check").returncode, 2)
            said = box.cubby("restore", box.path("whole"), check=True)
            self.assertIn("40 messages", said.out)
            box.start()
            c = Imap(box, login="anna")
            self.assertEqual(c.count("INBOX"), 40)
            c.close()
        finally:
            box.close()
        # A stream is taken as far as it is good.
        box = Box("backup-part", users=())
        part = box.cubby("restore", "-", input=whole[:len(whole) * 2 // 3])
        self.assertEqual(part.returncode, 1, part)
        self.assertIn("cut off", part.err)
        self.assertIn("26 messages", part.out)
        with box:
            c = Imap(box, login="anna")
            self.assertEqual(c.count("INBOX"), 26)
            c.close()

    def test_one_moment(self):
        """One client changes one thing after the other while a slow reader takes the backup. What is restored is
        what was there after some of these changes, neither more nor less."""
        with Box("backup-busy", users=("anna",), storage="64M") as box:
            for number in range(1, 13):
                box.cubby("deliver", "anna", input=message(1000 + number, size=700000), check=True)
            writer = Writer(box)
            writer.run_for(50)
            first = len(writer.states) - 1
            thread = threading.Thread(target=writer.run)
            thread.start()
            tool = subprocess.Popen([tool_binary(), "-c", box.path("conf"), "backup", "-"], stdout=subprocess.PIPE)
            data = b""
            while True:
                piece = tool.stdout.read(65536)
                if not piece:
                    break
                data += piece
                time.sleep(0.02)
            last = len(writer.states)
            writer.stop = True
            thread.join()
            self.assertIsNone(writer.failure)
            self.assertEqual(tool.wait(), 0)
            self.assertGreater(last, first + 20, "nothing was changed meanwhile")
            self.assertEqual(box.cubby("check").returncode, 0)
        new = Box("backup-moment", users=(), storage="64M")
        new.cubby("restore", "-", input=data, check=True)
        with new:
            found = seen_by_client(new)
            self.assertIn(found, writer.states[first:last + 1])
            self.assertNotEqual(found, writer.states[-1])
            self.assertEqual(new.cubby("check").returncode, 0)


    def test_reader_that_stops(self):
        """Mail is not refused for a backup that nobody reads on: it is ended, and the tool says so."""
        with Box("backup-stops", users=("anna",), storage="16M") as box:
            c = Imap(box, login="anna")
            for number in range(90):
                self.assertTrue(c.append("INBOX", message(number, size=100000)).startswith(b"OK"))
            tool = subprocess.Popen([tool_binary(), "-c", box.path("conf"), "backup", "-"], stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE)
            self.assertEqual(len(tool.stdout.read(1000)), 1000)
            c.ok("SELECT INBOX")
            for number in range(90, 400):
                begin = time.monotonic()
                self.assertTrue(c.append("INBOX", message(number, size=100000)).startswith(b"OK"), number)
                c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
                c.ok("EXPUNGE")
                self.assertLess(time.monotonic() - begin, 5)
                if "a backup is ended" in box.log():
                    break
            self.assertIn("a backup is ended", box.log())
            out, err = tool.communicate(timeout=60)
            self.assertEqual(tool.returncode, 75, err)
            self.assertIn(b"mail wanted the room", err)
            # The next one is a whole one.
            for _ in range(100):
                done = box.cubby("backup", box.path("next"))
                if done.returncode == 0:
                    break
                self.assertIn("another backup", done.err)
                time.sleep(0.1)
            self.assertIn("90 messages", done.out)
            self.assertEqual(box.cubby("check").returncode, 0)
            # Nor does one that is taken away leave anything.
            tool = subprocess.Popen([tool_binary(), "-c", box.path("conf"), "backup", "-"], stdout=subprocess.PIPE)
            tool.stdout.read(1000)
            tool.kill()
            tool.stdout.close()
            tool.wait()
            for _ in range(100):
                if box.cubby("backup", box.path("next")).returncode == 0:
                    break
                time.sleep(0.1)
            self.assertEqual(box.cubby("check").returncode, 0)
            self.assertEqual(box.cubby("backup", box.path("no/such")).returncode, 1)
            c.close()


def seen_by_client(box):
    """Of two mailboxes: which messages, with which flags."""
    c = Imap(box, login="anna")
    found = {}
    for mailbox in "A", "B":
        n = c.count(mailbox)
        c.ok("EXAMINE " + mailbox)
        text = b" ".join(map(as_bytes, c.ok("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))) if n else b""
        flagged = re.findall(rb"FLAGS \(([^)]*)\).*?Subject: (\w+)", text, re.S)
        found[mailbox] = sorted((s.decode(), b"Flagged" in f) for f, s in flagged)
        assert len(found[mailbox]) == n, (n, text)
    c.close()
    return found


class Writer:
    def __init__(self, box):
        self.c = Imap(box, login="anna")
        self.c.ok("CREATE A")
        self.c.ok("CREATE B")
        self.random = random.Random(3)
        self.now = {"A": [], "B": []}  # in order of UIDs: [subject, flagged]
        self.selected, self.number, self.stop, self.failure = None, 0, False, None
        self.states = [self.snapshot()]

    def snapshot(self):
        return {mailbox: sorted(map(tuple, messages)) for mailbox, messages in self.now.items()}

    def select(self, mailbox):
        if self.selected != mailbox:
            self.c.ok("SELECT " + mailbox)
            self.selected = mailbox

    def change(self):
        mailbox = self.random.choice("AB")
        messages = self.now[mailbox]
        kind = self.random.randrange(5)
        if kind < 2 or not messages:
            self.number += 1
            status = self.c.append(mailbox, message(self.number, subject="s%d" % self.number))
            assert status.startswith(b"OK"), status
            messages.append(["s%d" % self.number, False])
        else:
            at = self.random.randrange(len(messages))
            self.select(mailbox)
            self.c.ok("NOOP")
            if kind == 2:
                self.c.ok("STORE %d +FLAGS.SILENT (\\Flagged)" % (at + 1))
                messages[at] = [messages[at][0], True]
            elif kind == 3:
                other = "B" if mailbox == "A" else "A"
                self.c.ok("MOVE %d %s" % (at + 1, other))
                self.now[other].append(messages.pop(at))
            else:
                self.c.ok("STORE %d +FLAGS.SILENT (\\Deleted)" % (at + 1))
                self.states.append(self.snapshot())
                self.c.ok("EXPUNGE")
                messages.pop(at)
        self.states.append(self.snapshot())

    def run_for(self, changes):
        for _ in range(changes):
            self.change()

    def run(self):
        try:
            while not self.stop:
                self.change()
        except Exception as e:
            self.failure = e


if __name__ == "__main__":
    unittest.main()
