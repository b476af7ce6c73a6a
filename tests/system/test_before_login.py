"""What a connection may do before it has logged in: how long, how much, and what is offered to it."""

import os
import re
import socket
import time
import unittest

from box import PASSWORD, Box
from wire import Closed, Imap, Line

TIMEOUT = 5


class Time(unittest.TestCase):
    def test_login_timeout(self):
        """All of it together: neither talk nor a handshake that never ends makes it longer. Sessions stay."""
        with Box("login-timeout", login_timeout="%ds" % TIMEOUT) as box, Imap(box, login="anna") as there:
            there.ok("SELECT INBOX")
            start = time.monotonic()
            silent, chatty = Imap(box), Imap(box, tls=True)
            half = Line(("127.0.0.1", box.tls_port))
            half.send(b"\x16\x03\x01\x02\x00\x01")  # the begin of a ClientHello
            mute = Line(("127.0.0.1", box.tls_port))
            begun = Imap(box)
            begun.send("a LOGIN {200}\r\n")
            self.assertTrue(begun.line().startswith(b"+"))
            with self.assertRaises(Closed):
                while time.monotonic() - start < 4 * TIMEOUT:
                    chatty.ok("NOOP")
                    time.sleep(0.2)
            self.assertAlmostEqual(time.monotonic() - start, TIMEOUT, delta=2)
            self.assertTrue(silent.rest().startswith(b"* BYE "))
            self.assertTrue(begun.rest().startswith(b"* BYE "))
            for c in half, mute:
                try:
                    self.assertEqual(c.rest()[:1] in (b"", b"\x15"), True)  # nothing, or an alert
                except ConnectionError:
                    pass
            self.assertLess(time.monotonic() - start, TIMEOUT + 3)
            there.ok("NOOP")
            self.assertEqual(box.status()["connections"]["before-login"], 0)
            for c in silent, chatty, half, mute, begun:
                c.close()


class Bytes(unittest.TestCase):
    def test_a_literal_of_4_kib_and_a_command_of_8(self):
        with Box("login-bytes") as box:
            user, word = b"u" * 4000, b"p" * 4000
            for command, fine in ((b"x LOGIN {4096+}\r\n" + b"u" * 4096 + b" p\r\n", True),
                                  (b"x LOGIN {4097+}\r\n" + b"u" * 4097 + b" p\r\n", False),
                                  (b"x LOGIN {4000+}\r\n%s {4000+}\r\n%s\r\n" % (user, word), True),
                                  (b"x LOGIN {4096+}\r\n%s {4096+}\r\n%s\r\n" % (b"u" * 4096, b"p" * 4096), False),
                                  (b"x NOOP" + b" " * 9000 + b"\r\n", False)):
                with self.subTest(command[:20]), Imap(box) as c:
                    c.send(command)
                    got = c.line()
                    if fine:  # understood, and refused as a user that is not there
                        self.assertTrue(got.startswith(b"x NO "), got)
                    else:
                        self.assertRegex(got, rb"^(x BAD |x NO \[(TOOBIG|LIMIT)\]|\* BYE )")


class Offers(unittest.TestCase):
    def words(self, box, **kw):
        with Imap(box, **kw) as c:
            return re.search(rb"\[CAPABILITY ([^]]*)\]", c.greeting).group(1).split()

    def test_only_what_can_work(self):
        """STARTTLS only with a certificate, and AUTH= only where a password may be sent."""
        for name, cleartext, certificate, offered, withheld in (
                ("never", "never", True, [b"STARTTLS", b"LOGINDISABLED"], [b"AUTH=PLAIN"]),
                ("always", "always", True, [b"STARTTLS", b"AUTH=PLAIN"], [b"LOGINDISABLED"]),
                ("loopback", "loopback", True, [b"STARTTLS", b"AUTH=PLAIN"], [b"LOGINDISABLED"]),
                ("bare", "always", False, [b"AUTH=PLAIN"], [b"STARTTLS", b"LOGINDISABLED"]),
                ("closed", "never", False, [b"LOGINDISABLED"], [b"STARTTLS", b"AUTH=PLAIN"])):
            with self.subTest(name):
                settings = {} if certificate else {"tls": None}
                box = Box("offers-" + name, users=("anna",), cleartext_login=cleartext, **settings)
                if not certificate:  # the box's folder had one made beside the store
                    for f in "store/cert.pem", "store/key.pem":
                        if os.path.exists(box.path(f)):
                            os.unlink(box.path(f))
                    box.settings["listen"] = [l for l in box.settings["listen"] if not l.startswith("imaps")]
                    box.write_config()
                with box:
                    words = self.words(box)
                    for word in offered:
                        self.assertIn(word, words)
                    for word in withheld:
                        self.assertNotIn(word, words)
                    with Imap(box) as c:
                        status = c.cmd('LOGIN anna "%s"' % PASSWORD)[0]
                        self.assertEqual(status.startswith(b"OK"), cleartext != "never", status)
                    with Imap(box) as c:
                        self.assertEqual(c.cmd("STARTTLS")[0].startswith(b"OK"), certificate)
                    if certificate:
                        inside = self.words(box, tls=True)
                        self.assertIn(b"AUTH=PLAIN", inside)
                        for word in b"STARTTLS", b"LOGINDISABLED":
                            self.assertNotIn(word, inside)


if __name__ == "__main__":
    unittest.main()
