"""Another program fills the disk that the store is on: mail is refused, and nothing else; nothing is lost."""

import errno
import os
import unittest

from box import Box
from private import disk, disks_possible, own_mounts, run
from sample import message
from wire import Imap, Lmtp

SIZE = 60000


class FullDisk(unittest.TestCase):
    def setUp(self):
        disks_possible()

    def fill(self):
        """To the last byte, as a log file or a download would."""
        piece = 1 << 20
        with open(self.box.path("disk/filler"), "ab", buffering=0) as f:
            while piece:
                try:
                    f.write(b"x" * piece)
                    os.fsync(f.fileno())
                except OSError as e:
                    self.assertEqual(e.errno, errno.ENOSPC)
                    piece //= 4
        self.assertEqual(os.statvfs(self.box.path("disk")).f_bavail, 0)

    def refused(self, c, lmtp):
        """Mail by every way until each has been refused twice; what was taken is in self.kept. What room the store
        had already may be used up."""
        for _ in range(40):
            data = message(self.serial, size=SIZE)
            self.serial += 1
            answer = c.append("INBOX", data)
            if answer.startswith(b"OK [APPENDUID"):
                self.kept.append(data)
                continue
            self.assertTrue(answer.startswith(b"NO [OVERQUOTA]"), answer)
            self.assertEqual(lmtp.cmd("MAIL FROM:<sender@a.example> SIZE=%d" % SIZE)[0], 250)
            code, text = lmtp.cmd("RCPT TO:<anna>")
            self.assertEqual((code, text[0][:6]), (452, "4.2.2 "))
            lmtp.cmd("RSET")
            tool = self.box.cubby("deliver", "anna", input=data)
            self.assertEqual(tool.returncode, 75, tool.err)  # EX_TEMPFAIL: the sender tries again
            if self.refusals == 1:
                return
            self.refusals += 1
        self.fail("a full disk takes mail")

    def check(self):
        with Imap(self.box, login="anna") as c:
            c.ok("SELECT INBOX")
            found = c.fetch("1:*", "(BODY.PEEK[])")
            self.assertEqual([found[n][b"BODY[]"] for n in sorted(found)], self.kept)

    def on_a_disk(self, name, run_through):
        with own_mounts():
            self.box = box = Box(name, storage="64M")
            box.settings["store"] = box.path("disk/store")
            box.write_config()
            disk(box.path("image"), box.path("disk"), 96)
            try:
                with box:
                    run_through(box)
                    box.stop()
                    run("umount", box.path("disk"))
            finally:
                if box.alive():
                    box.kill()

    def test_full_disk(self):
        self.on_a_disk("full-disk", self.run_through)

    def test_in_the_middle_of_a_large_message(self):
        self.on_a_disk("full-disk-large", self.large)

    def large(self, box):
        """There is room when it begins. What came of it is given back."""
        large, small = message(1, size=12 << 20), message(2, size=SIZE)
        with Imap(box, login="anna") as c, Imap(box, login="bert") as b:
            self.assertTrue(b.append("INBOX", small).startswith(b"OK"))
            self.fill()
            with open(box.path("disk/filler"), "ab") as f:
                f.truncate(os.path.getsize(f.name) - (6 << 20))
            for _ in range(4):  # each time there is as much room as before
                answer = c.append("INBOX", large)
                self.assertTrue(answer.startswith(b"NO [OVERQUOTA]"), answer)
                self.assertEqual(c.count("INBOX"), 0)
                self.assertGreater(os.statvfs(box.path("disk")).f_bavail, (5 << 20) // 4096)
            for _ in range(20):
                self.assertTrue(b.append("INBOX", small).startswith(b"OK"))
            os.unlink(box.path("disk/filler"))
            answer = c.append("INBOX", large)
            self.assertTrue(answer.startswith(b"OK [APPENDUID "), answer)
            c.ok("SELECT INBOX")
            self.assertTrue(c.body("1") == large)

    def run_through(self, box):
        self.serial, self.kept, self.refusals = 0, [], 0
        with Imap(box, login="anna") as c, Lmtp(box) as lmtp:
            for _ in range(40):
                data = message(self.serial, size=SIZE)
                self.serial += 1
                self.assertTrue(c.append("INBOX", data).startswith(b"OK"))
                self.kept.append(data)
            c.ok("SELECT INBOX")
            self.fill()
            self.refused(c, lmtp)
            # What makes no mail goes on, however often.
            for i in range(30):
                c.ok("STORE 1:5 +FLAGS (new%d \\Flagged)" % (i % 10))
                c.ok("STORE 1:5 -FLAGS (\\Flagged)")
            flags = c.fetch("3", "FLAGS")[3][b"FLAGS"]
            for i in range(10):
                self.assertIn(b"new%d" % i, flags)
            for _ in range(10):
                c.ok("STORE 2 +FLAGS (\\Deleted)")
                self.assertEqual(c.ok("EXPUNGE"), [b"* 2 EXPUNGE"])
                del self.kept[1]
            self.assertFalse(box.status()["store"]["read-only"])
        self.check()
        box.restart()  # on the full disk, after a stop and after a cut
        self.check()
        box.kill()
        box.start()
        self.check()
        with Imap(box, login="anna") as c:
            c.ok("SELECT INBOX")
            self.assertIn(b"new9", c.fetch("1", "FLAGS")[1][b"FLAGS"])
            c.ok("STORE 1 +FLAGS.SILENT (after \\Deleted)")
            c.ok("EXPUNGE")
            del self.kept[0]
        os.unlink(box.path("disk/filler"))
        with Imap(box, login="anna") as c, Lmtp(box) as lmtp:
            for _ in range(10):
                data = message(self.serial, size=SIZE)
                self.serial += 1
                self.assertEqual(lmtp.deliver(data[:-2], "anna"), [250])
                c.ok("SELECT INBOX")
                self.kept.append(c.body("*"))  # with the lines on top that say how it came
                self.assertTrue(self.kept[-1].endswith(data))
        self.check()
        box.restart()
        self.check()


if __name__ == "__main__":
    unittest.main()
