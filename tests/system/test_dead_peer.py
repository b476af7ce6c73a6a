"""A client whose network went away without a word, over a cable between two networks of the test's own: its place
goes to the next session of the same user."""

import os
import time
import unittest

from box import PASSWORD, Box
from private import CLONE_NEWNET, Network, possible, run
from sample import message
from wire import Imap, Line


class DeadPeer(unittest.TestCase):
    @unittest.skipUnless(os.environ.get("CUBBY_LONG"), "takes more than a minute: make long runs it")
    def test_its_place_is_free_for_the_same_user(self):
        possible(CLONE_NEWNET, "ip")
        near, far = Network(), Network()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        near.wire_to(far)
        near.address("near", "192.168.7.1/24")
        far.address("far", "192.168.7.2/24")
        with near:
            box = Box("dead-peer", connections="2", cleartext_login="always")
            box.settings["listen"].append("imap 192.168.7.1:%d" % box.port)
            box.write_config()
            with box:
                self.vanish(box, far)

    def vanish(self, box, far):
        with far:
            gone = Line(("192.168.7.1", box.port))
        gone.line()
        for line in 'a LOGIN anna "%s"' % PASSWORD, "b SELECT INBOX", "c IDLE":
            gone.send(line + "\r\n")
            while not gone.line().startswith((line[0].encode() + b" OK", b"+")):
                pass
        here = Imap(box, login="anna")
        here.ok("SELECT INBOX")
        with Imap(box) as other:
            self.assertTrue(other.cmd('LOGIN anna "%s"' % PASSWORD)[0].startswith(b"NO [UNAVAILABLE]"))
        with far:  # its radio is off: nobody answers to that address any more
            run("ip", "address", "flush", "dev", "far")
        # Mail comes, the server says so, and nobody acknowledges it.
        box.cubby("deliver", "anna", input=message(1), check=True)
        start = time.monotonic()
        while True:
            with Imap(box) as other:
                if other.cmd('LOGIN anna "%s"' % PASSWORD)[0].startswith(b"OK"):
                    break
            self.assertLess(time.monotonic() - start, 150)
            time.sleep(1)
        self.assertGreater(time.monotonic() - start, 30)  # a peer is not given up for a moment's silence
        here.ok("NOOP")  # it was the dead one
        gone.close()
        here.close()


if __name__ == "__main__":
    unittest.main()
