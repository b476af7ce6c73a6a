"""Flash that forgets: a message whose bytes fail their checksum is told of, never given out, and costs no other."""

import glob
import json
import time
import unittest

from box import PASSWORD, Box
from sample import message
from wire import Imap


def flip(path, mark):
    """One bit of the first byte of `mark` in that file."""
    with open(path, "r+b") as f:
        at = f.read().find(mark)
        if at < 0:
            return False
        f.seek(at)
        f.write(bytes([mark[0] ^ 1]))
    return True


class Damage(unittest.TestCase):
    def test_is_told_and_touches_nothing_else(self):
        with Box("damage") as box:
            box.cubby("user", "add", "--admin", "chief", input=PASSWORD + "\n", check=True)
            small = message(1).rstrip() + b"\r\nsmall damaged words\r\n"
            large = message(2, size=600000).rstrip() + b"\r\nlarge damaged words\r\n"
            for data in small, large, message(3):
                box.cubby("deliver", "anna", input=data, check=True)
            box.stop()
            self.assertTrue(any(flip(path, b"small damaged words") for path in glob.glob(box.path("store/*.seg"))))
            self.assertTrue(any(flip(path, b"large damaged words") for path in glob.glob(box.path("store/*.msg"))))
            box.start()
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                for uid, part in (1, "[]"), (2, "[]<600000.4000>"):
                    c.ok("UID FETCH %d (FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE)" % uid)
                    c.ok("UID STORE %d +FLAGS (\\Flagged)" % uid)
                    for _ in range(3):
                        status, untagged = c.cmd("UID FETCH %d BODY.PEEK%s" % (uid, part))
                        self.assertRegex(status, rb"^NO .*UID %d" % uid)
                        self.assertNotIn(b"damaged words", b"".join(map(bytes, untagged)))
                self.assertIn(message(3)[:20], b"".join(c.ok("UID FETCH 3 (BODY.PEEK[])")))
            with Imap(box, login="chief") as c:
                end = time.monotonic() + 20
                while c.count("INBOX") == 0 and time.monotonic() < end:
                    time.sleep(0.3)
                    c.ok("NOOP")
                self.assertEqual(c.count("INBOX"), 1)
                c.ok("SELECT INBOX")
                text = b"".join(c.ok("FETCH 1 (BODY.PEEK[])"))
                self.assertIn(b"Subject: Damaged mail was found", text)
                self.assertIn(b"anna, INBOX, UID 1:", text)
                self.assertIn(b"anna, INBOX, UID 2:", text)
                self.assertNotIn(b"UID 3", text)
            checked = box.cubby("check")
            self.assertEqual(checked.returncode, 1, checked)
            for uid in 1, 2:
                self.assertRegex(checked.out, r"INBOX of user \d+ uid %d: the message is damaged" % uid)
            found = json.loads(box.cubby("check", "--json").out)
            self.assertEqual((found["whole"], len(found["findings"])), (False, 2))
            time.sleep(6)
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                c.cmd("UID FETCH 1 (BODY.PEEK[])")
            time.sleep(6)
            with Imap(box, login="chief") as c:
                self.assertEqual(c.count("INBOX"), 1)  # told once


if __name__ == "__main__":
    unittest.main()
