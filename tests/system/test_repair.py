"""`cubby check --repair`: a store whose index and superblocks are lost is whole again, with its mail,
names and flags; a running server keeps it away."""

import os
import unittest

from box import Box
from sample import message
from wire import Imap


class Repair(unittest.TestCase):
    def test_lost_index(self):
        with Box("repair") as box:
            for number in range(1, 21):
                box.cubby("deliver", "anna", input=message(number, size=3000 if number % 5 else 400000), check=True)
            c = Imap(box, login="anna")
            c.ok("CREATE Projects/Boat")
            c.ok("SELECT INBOX")
            c.ok("STORE 1:3 +FLAGS (\\Flagged Boat)")
            c.ok("COPY 2 Projects/Boat")
            before = c.ok("UID FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[])")
            validity = c.ok("STATUS INBOX (UIDVALIDITY)")
            c.close()
            running = box.cubby("check", "--repair")
            self.assertEqual(running.returncode, 75, running)
            box.stop()
            self.assertEqual(box.cubby("check", "--repair").returncode, 0)
            # Every checkpoint: else the older one and the log would do.
            for name in "index", "super.0", "super.1":
                os.remove(os.path.join(box.path("store"), name))
            self.assertEqual(box.cubby("check").returncode, 2)
            done = box.cubby("check", "--repair")
            self.assertEqual(done.returncode, 1, done)
            self.assertIn("made anew", str(done.stdout))
            self.assertIn(" 0 messages lost", str(done.stdout))
            self.assertEqual(box.cubby("check").returncode, 0)
            box.start()
            c = Imap(box, login="anna")
            c.ok("SELECT INBOX")
            self.assertEqual(c.ok("UID FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[])"), before)
            self.assertNotEqual(c.ok("STATUS INBOX (UIDVALIDITY)"), validity)
            c.ok("SELECT Projects/Boat")
            self.assertIn("Boat", str(c.ok("FETCH 1 (FLAGS)")))


if __name__ == "__main__":
    unittest.main()
