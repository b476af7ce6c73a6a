"""A client that goes on sending still reads why it was closed: no reset overtakes the last line."""

import unittest

from box import Box
from wire import Imap

# More than the kernel's buffers of both ends take, less than what is still read.
FLOOD = 4 << 20


class LastWords(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.box = Box("words", message_size="1M").start()

    @classmethod
    def tearDownClass(cls):
        cls.box.close()

    def flood(self, start, last, login=None, tls=False):
        with Imap(self.box, login=login, tls=tls) as c:
            c.send(start)
            for _ in range(FLOOD >> 16):
                c.send(b"a" * (1 << 16))  # an error here is a reset
            got = c.held
            while True:
                data = c.socket.recv(65536)  # so it is here
                if not data:
                    break
                got += data
        self.assertRegex(got, last)

    def test_before_login(self):
        for _ in range(10):
            self.flood(b"x LOGIN ", rb"\* BYE")

    def test_literal_beyond_the_limit(self):
        for _ in range(10):
            self.flood(b"x APPEND INBOX {999999999+}\r\n", rb"\* BYE \[TOOBIG\]", login="anna")

    def test_behind_logout(self):
        for _ in range(10):
            self.flood(b"x LOGOUT\r\n", rb"\* BYE (.|\n)*x OK", login="anna")

    def test_tls(self):
        self.flood(b"x LOGIN ", rb"\* BYE", tls=True)
        self.flood(b"x APPEND INBOX {999999999+}\r\n", rb"\* BYE \[TOOBIG\]", login="anna", tls=True)

    def test_places_are_free_meanwhile(self):
        """Whoever lingers holds no place."""
        lines = []
        for _ in range(40):
            c = Imap(self.box, login="anna")
            c.send(b"x LOGOUT\r\n")
            lines.append(c)
        with Imap(self.box, login="bert") as c:
            c.ok("NOOP")
            self.assertEqual(self.box.status()["connections"]["logged-in"], 1)
        for c in lines:
            c.close()


if __name__ == "__main__":
    unittest.main()
