"""64 logged-in TLS clients at memory 4M: in IDLE while mail arrives, a 65th, memory, and the places
again after many connects."""

import os
import resource
import ssl
import time
import unittest

from box import PASSWORD, Box
from sample import message
from wire import Closed, Imap, Line, Lmtp, plain

MEMORY = 4 * 1024 * 1024


class Places(unittest.TestCase):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 1024)), hard))

    def idle(self, c):
        c.ok("SELECT INBOX")
        c.idle_tag = c.begin("IDLE")
        line = c.line()
        while not line.startswith(b"+"):
            line = c.line()

    def test_64_in_idle_and_a_65th(self):
        users = tuple("user%d" % i for i in range(4))
        with Box("places", users=users, memory="4M", connections="64") as box:
            context = box.tls_context()
            clients = [Imap(box, tls=True, login=users[i % 4], context=context) for i in range(64)]
            for c in clients:
                self.idle(c)
            with Lmtp(box) as lmtp:
                for round_ in range(3):
                    start = time.monotonic()
                    self.assertEqual(lmtp.deliver(message(round_)[:-2], *users), [250] * 4)
                    for c in clients:
                        line = c.line()
                        while b"EXISTS" not in line:
                            line = c.line()
                        self.assertEqual(line, b"* %d EXISTS\r\n" % (round_ + 1))
                    self.assertLess(time.monotonic() - start, 5)
            self.assertLessEqual(box.resident_anonymous(), MEMORY + 256 * 1024)
            with Imap(box, tls=True, context=context) as c:
                status, untagged = c.cmd("LOGIN user0 \"%s\"" % PASSWORD)
                self.assertTrue(status.startswith(b"NO [UNAVAILABLE]"), (status, untagged))
            for c in clients[:4]:
                c.send("DONE\r\n")
                self.assertTrue(c.until(c.idle_tag)[0].startswith(b"OK"))
                c.ok("LOGOUT")
                c.close()
            with Imap(box, tls=True, login="user1", context=context) as c:
                c.ok("NOOP")
            for c in clients[4:]:
                c.close()

    def test_login_and_delivery_places_come_on_top(self):
        """With 64 logged in: an eighth of that before login, with their handshakes, and 4 that deliver; each of the
        places is real, and who finds none is told so."""
        users = tuple("user%d" % i for i in range(4))
        with Box("places-on-top", users=users, memory="4M", connections="64") as box:
            context = box.tls_context()
            clients = [Imap(box, tls=True, login=users[i % 4], context=context) for i in range(64)]
            waiting = [Imap(box, tls=True, context=context) for _ in range(8)]
            with Line(("127.0.0.1", box.port)) as c:
                self.assertRegex(c.rest(), rb"\A\* BYE \[UNAVAILABLE\][^\r\n]*\r\n\Z")
            with self.assertRaises(OSError):  # on the TLS port nothing can be said
                Line(("127.0.0.1", box.tls_port), context)
            lmtp = [Lmtp(box) for _ in range(4)]
            with Line(box.path("lmtp")) as c:
                self.assertTrue(c.rest().startswith(b"421 4.3.2 "))
            for d in lmtp:  # all in the middle of a message at once
                self.assertEqual([d.cmd("MAIL FROM:<a@a.example>")[0], d.cmd("RCPT TO:<user0>")[0], d.cmd("DATA")[0]],
                                 [250, 250, 354])
                d.send(message(1, size=200000)[:-2])
            for d in lmtp:
                d.send(b"\r\n.\r\n")
                self.assertEqual(d.reply()[0], 250)
            status = box.status()["connections"]
            self.assertEqual((status["logged-in"], status["before-login"], status["refused-full"]), (64, 8, 3))
            self.assertLessEqual(box.resident_anonymous(), MEMORY + 256 * 1024)
            for c in waiting:
                self.assertTrue(c.cmd("LOGIN user1 \"%s\"" % PASSWORD)[0].startswith(b"NO [UNAVAILABLE]"))
            self.assertEqual(clients[0].count("INBOX"), 4)
            clients[0].cmd("LOGOUT")
            waiting[0].ok("LOGIN user1 \"%s\"" % PASSWORD)
            for c in clients + waiting + lmtp:
                c.close()

    def test_one_user_holds_at_most_half_while_others_are_there(self):
        with Box("places-half", memory="4M", connections="16") as box:
            context = box.tls_context()
            held = [Imap(box, tls=True, login="bert", context=context)]
            refused = 0
            for _ in range(12):
                c = Imap(box, tls=True, context=context)
                status, _ = c.cmd('LOGIN anna "%s"' % PASSWORD)
                if status.startswith(b"OK"):
                    held.append(c)
                else:
                    self.assertTrue(status.startswith(b"NO [UNAVAILABLE]"), status)
                    refused += 1
                    c.close()
            self.assertEqual((len(held) - 1, refused), (8, 4))
            held.append(Imap(box, tls=True, login="bert", context=context))
            for c in held:
                c.close()

    def test_places_come_back_after_many_connects(self):
        # CUBBY_CONNECTS=100000 for the long run.
        connects = int(os.environ.get("CUBBY_CONNECTS", "3000"))
        with Box("places-again", memory="4M", connections="64") as box:
            context = box.tls_context()
            for i in range(connects):
                self.connect_and_leave(box, context, i)
            clients = [Imap(box, tls=True, login=("anna", "bert")[i % 2], context=context) for i in range(64)]
            for c in clients:
                c.ok("NOOP")
                c.close()
            self.assertLessEqual(box.resident_anonymous(), MEMORY + 256 * 1024)

    @staticmethod
    def connect_and_leave(box, context, i):
        """One of the ways in which a connection can come and go."""
        kind = i % 8
        try:
            c = Imap(box, tls=kind in (0, 1, 2), context=context)
            if kind == 0:
                c.cmd("LOGOUT")
            elif kind == 1 and i % 40 == 1:
                c.cmd("LOGIN anna \"%s\"" % PASSWORD)
                c.cmd("SELECT INBOX")
            elif kind == 2:
                c.send("a NOO")
            elif kind == 3:
                c.cmd("CAPABILITY")
            elif kind == 4:
                c.send("s STARTTLS\r\n")
                c.line()
                c.send(b"\x16\x03\x01\x00\x05hello")
            elif kind == 5:
                c.send("a LOGIN {10}\r\n")
            elif kind == 6:
                c.cmd("LOGOUT")
            c.close()
        except (Closed, ConnectionError, ssl.SSLError, AssertionError):
            pass


class Records(unittest.TestCase):
    def test_records_of_16_kib(self):
        data = message(1, size=500000)
        with Box("records") as box:
            for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
                with self.subTest(version=version), Imap(box, tls=True, context=box.tls_context(version)) as c:
                    c.ok("AUTHENTICATE PLAIN " + plain("anna"))
                    # OpenSSL fills records to 16 KiB when it is given that much at once.
                    self.assertTrue(c.append("INBOX", data).startswith(b"OK"))
                    c.ok("SELECT INBOX")
                    self.assertEqual(c.body("*"), data)


if __name__ == "__main__":
    unittest.main()
