"""Mail that goes is on another disk first: a Maildir that Python reads, taken in again, and a disk that is missing,
full, or pulled in the middle."""

import mailbox
import os
import re
import subprocess
import time
import unittest

from box import PASSWORD
from private import disk, disks_possible, own_mounts, run
from test_evict import evicting, message
from wire import Imap, Lmtp

SIZE = 8000
# A disk that is back is believed after a minute: only `make long` waits for that.
LONG = bool(os.environ.get("CUBBY_LONG"))


def number(data):
    return int(re.search(rb"Message-ID: <(\d+)@a\.example>", data).group(1))


class Archive(unittest.TestCase):
    def setUp(self):
        disks_possible()

    def box_with_disk(self, name, how, run_through, mib=64):
        with own_mounts():
            box = evicting(name, **{"evict seen-age": "0s"})
            box.settings["evict archive"] = '"%s" %s' % (box.path("usb/old mail"), how)
            box.write_config()
            box.cubby("user", "add", "--admin", "chef", input=PASSWORD + "\n", check=True)
            disk(box.path("image"), box.path("usb"), mib)
            try:
                with box:
                    run_through(box)
                    box.stop()
                    subprocess.run(["umount", box.path("usb")], stderr=subprocess.DEVNULL)
            finally:
                if box.alive():
                    box.kill()

    def deliver(self, box, first, n, size=SIZE, to="anna@box.home.arpa"):
        """Numbers of those that were taken; the codes of the others."""
        taken, codes = [], set()
        with Lmtp(box) as c:
            for i in range(first, first + n):
                if c.cmd("MAIL FROM:<sender@a.example> SIZE=%d" % size)[0] != 250:
                    self.fail("MAIL is refused")
                code = c.cmd("RCPT TO:<%s>" % to)[0]
                if code == 250:
                    self.assertEqual(c.cmd("DATA")[0], 354)
                    c.send(message(i, size) + b"\r\n.\r\n")
                    code = c.reply()[0]
                else:
                    c.cmd("RSET")
                if code == 250:
                    taken.append(i)
                else:
                    codes.add(code)
        return taken, codes

    def archived(self, box, folder=None):
        """{number: message} of the Maildir, each there once."""
        top = mailbox.Maildir(box.path("usb/old mail/anna"), create=False)
        found = {}
        for m in top.get_folder(folder) if folder else top:
            n = number(m.as_bytes())
            self.assertNotIn(n, found)
            found[n] = m
        return found

    def stored(self, box):
        with Imap(box, login="anna") as c:
            c.ok("SELECT INBOX")
            if c.count("INBOX") == 0:
                return []
            found = c.fetch("1:*", "(BODY.PEEK[HEADER])")
            return [number(found[n][b"BODY[HEADER]"]) for n in sorted(found)
                    if b"@a.example>" in found[n][b"BODY[HEADER]"]]

    def settle(self, box):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            before = box.status()["store"]["messages"]
            time.sleep(0.3)
            if box.status()["store"]["messages"] == before:
                return
        self.fail("mail goes on and on")

    def test_what_goes_is_there_and_comes_back(self):
        self.box_with_disk("archive-flood", "required", self.flood)

    def flood(self, box):
        name = "Lists/..&ZeVnLIqe-"  # in modified UTF-7
        with Imap(box, login="anna") as c:
            c.ok('CREATE "%s"' % name)
            c.append('"%s"' % name, message(9001, 100), "(\\Seen \\Answered $Label1)", "01-Mar-2015 12:34:56 +0930")
            c.append("INBOX", message(9002, 100), "(\\Seen \\Deleted $Forwarded)", "02-Mar-2015 01:02:03 -0500")
        taken, codes = self.deliver(box, 0, 1500)
        self.assertEqual(codes, set())
        self.assertEqual(len(taken), 1500)
        self.settle(box)
        left, gone = self.stored(box), self.archived(box)
        self.assertGreater(len(gone), 900)
        self.assertEqual(sorted(list(gone) + left), sorted(taken + [9002]))
        self.assertEqual(gone[9002].get_flags(), "PST")
        self.assertTrue(gone[5].as_bytes().replace(b"\n", b"\r\n").endswith(message(5, SIZE)[200:] + b"\r\n"))
        with open(os.path.join(box.path("usb/old mail/anna"), ".Lists.%2E%2E&ZeVnLIqe-", "dovecot-keywords")) as f:
            self.assertEqual(f.read(), "0 $Label1\n")
        listed = self.archived(box, "Lists.%2E%2E&ZeVnLIqe-")
        self.assertEqual(list(listed), [9001])
        self.assertEqual(listed[9001].get_flags(), "RSa")
        # A larger store takes it in again, while it runs.
        box.stop()
        box.settings["storage"] = "64M"
        box.write_config()
        box.start()
        tool = box.cubby("restore-archive", box.path("usb/old mail"), "--user", "bert")
        self.assertNotEqual(tool.returncode, 0)
        tool = box.cubby("restore-archive", box.path("usb/old mail"), "--user", "anna", check=True)
        self.assertIn("%d of %d messages are in" % (len(gone) + 1, len(gone) + 1), tool.out)
        self.assertEqual(sorted(self.stored(box)), sorted(taken + [9002]))
        with Imap(box, login="anna") as c:
            c.ok('SELECT "%s"' % name)
            items = c.fetch("1", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
            self.assertEqual({f for f in items[b"FLAGS"] if f != b"\\Recent"}, {b"\\Seen", b"\\Answered", b"$Label1"})
            self.assertEqual(items[b"INTERNALDATE"].strip(), b"01-Mar-2015 12:34:56 +0930")
            self.assertEqual(items[b"BODY[]"], message(9001, 100))
            c.ok("SELECT INBOX")
            n = c.ok('SEARCH HEADER Message-ID "<9002@a.example>"')[0].split()[2].decode()
            items = c.fetch(n, "(FLAGS INTERNALDATE)")[int(n)]
            self.assertEqual({f for f in items[b"FLAGS"] if f != b"\\Recent"},
                             {b"\\Seen", b"\\Deleted", b"$Forwarded"})
            self.assertEqual(items[b"INTERNALDATE"].strip(), b"02-Mar-2015 01:02:03 -0500")
        # and without a server
        box.stop()
        tool = box.cubby("restore-archive", box.path("usb/old mail"), "--partial")
        self.assertIn("anna:", tool.out, tool.err)
        box.start()

    def test_pulled_in_the_middle(self):
        self.box_with_disk("archive-pulled", "required", self.pulled)

    def pulled(self, box):
        """Several times, at some moment of a flood. What was taken is in the store or on the disk."""
        place, taken = box.path("usb"), []
        for turn in range(5 if LONG else 1):
            more, codes = self.deliver(box, turn * 10000, 300)
            taken += more
            self.assertEqual(codes, set())
            pull = subprocess.Popen(["sh", "-c", "sleep 0.%d; umount -l '%s'" % (turn * 2 + 1, place)])
            more, codes = self.deliver(box, turn * 10000 + 1000, 1000)
            self.assertEqual(pull.wait(), 0)
            taken += more
            self.assertEqual(codes, {452})
            self.assertEqual(os.listdir(place), [])  # the flash below
            run("mount", "-o", "loop", box.path("image"), place)
            self.assertEqual(set(taken) - set(self.stored(box)) - set(self.archived(box)), set())
            self.assertEqual(box.log().count("until that is mended"), turn + 1)
            if not LONG:
                return
            end = time.monotonic() + 90
            while box.log().count("works again") <= turn and time.monotonic() < end:
                time.sleep(0.5)
                more, _ = self.deliver(box, turn * 10000 + 3000 + int(time.monotonic() * 10) % 5000, 1)
                taken += more
            self.assertEqual(box.log().count("until that is mended"), turn + 1)
            self.assertEqual(box.log().count("works again"), turn + 1)
        self.settle(box)
        self.assertEqual(set(taken) - set(self.stored(box)) - set(self.archived(box)), set())

    def notices(self, box):
        with Imap(box, login="chef") as c:
            c.ok("SELECT INBOX")
            return [c.body(n, "HEADER.FIELDS (SUBJECT)") for n in range(1, c.count("INBOX") + 1)]

    def until_told(self, box, there):
        end = time.monotonic() + 90
        while time.monotonic() < end:
            if any(b"can't be copied to the archive" in s for s in self.notices(box)) == there:
                return
            time.sleep(0.5)
        self.fail("the administrator is %stold" % ("not " if there else "still "))

    def test_required_and_absent(self):
        self.box_with_disk("archive-absent", "required", self.absent)

    def absent(self, box):
        run("umount", box.path("usb"))
        taken, codes = self.deliver(box, 0, 700)
        self.assertEqual(codes, {452})
        self.assertEqual(self.stored(box), taken)
        self.assertEqual(os.listdir(box.path("usb")), [])
        self.assertEqual(box.log().count("until that is mended"), 1)
        self.until_told(box, True)
        if LONG:
            run("mount", "-o", "loop", box.path("image"), box.path("usb"))
            self.until_told(box, False)

    def test_mounted_as_fstab_says(self):
        self.box_with_disk("archive-fstab", "required", self.fstab)

    def fstab(self, box):
        """A disk below another disk that is there: only the table knows."""
        if not os.path.exists("/etc/fstab"):
            self.skipTest("there is no /etc/fstab to lay a table over")
        os.mkdir(box.path("usb/old mail"))
        with open(box.path("table"), "w") as f:
            f.write("/dev/sdz1 %s ext4 defaults 0 2\n" % box.path("usb/old mail").replace(" ", "\\040"))
        run("mount", "--bind", box.path("table"), "/etc/fstab")
        taken, codes = self.deliver(box, 0, 700)
        self.assertEqual(codes, {452})
        self.assertEqual(self.stored(box), taken)
        self.assertEqual(os.listdir(box.path("usb/old mail")), [])
        run("umount", "/etc/fstab")

    def test_a_full_disk(self):
        self.box_with_disk("archive-full", "required", self.full, mib=4)

    def full(self, box):
        taken, codes = self.deliver(box, 0, 1500)
        self.assertEqual(codes, {452})
        self.assertIn("the disk is full", box.log())
        gone = self.archived(box)
        self.assertGreater(len(gone), 50)
        self.assertEqual(set(taken), set(self.stored(box)) | set(gone))
        self.assertEqual(os.listdir(box.path("usb/old mail/anna/tmp")), [])

    def test_best_effort(self):
        self.box_with_disk("archive-best", "best-effort", self.best_effort)

    def best_effort(self, box):
        taken, codes = self.deliver(box, 0, 700)
        before = len(self.archived(box))
        self.assertGreater(before, 100)
        run("umount", "-l", box.path("usb"))
        taken, codes = self.deliver(box, 1000, 700)
        self.assertEqual((len(taken), codes), (700, set()))
        self.assertEqual(os.listdir(box.path("usb")), [])
        self.assertIn("old mail goes without a copy", box.log())


if __name__ == "__main__":
    unittest.main()
