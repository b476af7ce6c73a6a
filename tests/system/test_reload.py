"""`cubby reload` and SIGHUP: certificate, users and settings without a restart, and nobody is dropped."""

import signal
import ssl
import time
import unittest

from box import Box
from wire import Closed, Imap


class Reload(unittest.TestCase):
    def setUp(self):
        self.box = Box("reload").start()

    def tearDown(self):
        self.box.close()

    def shown(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with Imap(self.box, tls=True, context=context) as c:
            return c.socket.getpeercert(binary_form=True)

    def renew(self):
        self.box.cubby("cert", "create", "--replace", "--name", "localhost", check=True)

    def test_a_renewed_certificate(self):
        with Imap(self.box, tls=True, login="anna") as tls, Imap(self.box, login="anna") as plain:
            old = self.shown()
            self.renew()
            self.assertEqual(self.shown(), old)  # until it is told
            out = self.box.cubby("reload", check=True).out
            self.assertIn("cert.pem is used from now on", out)
            second = self.shown()
            self.assertNotEqual(second, old)
            self.renew()
            self.box.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + 10
            while self.shown() == second and time.monotonic() < end:
                time.sleep(0.05)
            self.assertNotIn(self.shown(), (old, second))
            tls.ok("NOOP")
            plain.ok("NOOP")

    def test_a_broken_certificate_keeps_the_old(self):
        old = self.shown()
        with open(self.box.path("cert.pem"), "w") as f:
            f.write("no certificate\n")
        result = self.box.cubby("reload")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("the one from before stays in use", result.out)
        self.assertEqual(self.shown(), old)

    def test_settings(self):
        self.assertNotIn("restart", self.box.cubby("reload", check=True).out)
        with Imap(self.box, login="anna") as c:
            self.box.settings.update({"cleartext-login": "never", "storage": "128M"})
            self.box.write_config()
            lines = self.box.cubby("reload", check=True).out.splitlines()
            self.assertIn("cleartext-login: changed", lines)
            self.assertIn("storage: needs a restart", lines)
            c.ok("NOOP")
            with Imap(self.box) as d:
                self.assertIn(b"LOGINDISABLED", d.greeting)
            self.box.settings.update({"cleartext-login": "loopback", "allow-from": "192.0.2.0/24"})
            self.box.write_config()
            self.box.cubby("reload", check=True)
            with self.assertRaises(Closed):
                Imap(self.box)
            self.box.settings.update({"allow-from": "192.0.2.0/24 127.0.0.0/8"})
            self.box.write_config()
            self.box.cubby("reload", check=True)
            Imap(self.box, login="bert").close()
            c.ok("NOOP")

    def test_a_fault_changes_nothing(self):
        self.box.settings.update({"cleartext-login": "never", "idle-notify": "soon"})
        good = self.box.path("conf")
        self.box.write_config()
        self.box.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while "no setting was changed" not in self.box.log() and time.monotonic() < end:
            time.sleep(0.05)
        self.assertIn(good + ":", self.box.log())
        Imap(self.box, login="anna").close()


if __name__ == "__main__":
    unittest.main()
