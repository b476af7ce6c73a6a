"""The server started as root serves as somebody else."""

import os
import unittest

from box import Box
from wire import Imap


@unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
class RunAs(unittest.TestCase):
    def open_up(self):
        """nobody must be able to reach the test's folder."""
        closed = []
        path = self.box.dir
        while path != "/":
            if not os.stat(path).st_mode & 0o001:
                closed.append(path)
            path = os.path.dirname(path)
        return closed

    def test_store_and_tool_agree_on_the_owner(self):
        self.box = box = Box("run-as", users=(), run_as="nobody", tls=None, users_file=None)
        closed = self.open_up()
        if closed:
            self.skipTest("nobody can't enter " + closed[0])
        with box:
            with open("/proc/%d/status" % box.process.pid) as f:
                uid = [line.split()[1] for line in f if line.startswith("Uid:")][0]
            self.assertNotEqual(uid, "0")
            box.cubby("user", "add", "anna", input="correct horse\n", check=True)
            box.cubby("deliver", "anna", input="Subject: x\n\nhi\n", check=True)
            self.assertEqual(Imap(box, login="anna").count("INBOX"), 1)
            for name in os.listdir(box.path("store")):
                self.assertEqual(str(os.stat(os.path.join(box.path("store"), name)).st_uid), uid, name)
            box.stop()
            box.cubby("deliver", "anna", input="Subject: y\n\nhi\n", check=True)
            box.start()
            self.assertEqual(Imap(box, login="anna").count("INBOX"), 2)


if __name__ == "__main__":
    unittest.main()
