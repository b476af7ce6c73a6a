"""A configuration without `listen`: where the server listens, and whom it lets in. In networks of the test's own."""

import ssl
import unittest

from box import PASSWORD, Box
from private import CLONE_NEWNET, CLONE_NEWNS, Network, own_mounts, possible, run
from wire import Line, plain


class Listeners(unittest.TestCase):
    def setUp(self):
        possible(CLONE_NEWNET | CLONE_NEWNS, "ip", "mount")
        self.server, self.client = Network(), Network()
        self.addCleanup(self.server.close)
        self.addCleanup(self.client.close)
        self.server.wire_to(self.client)

    def addresses(self, *pairs):
        for near, far in pairs:
            self.server.address("near", near)
            self.client.address("far", far)

    def box(self, name, **settings):
        """With the real default ports, so the socket for the tools is where the default says, too."""
        run("mount", "-t", "tmpfs", "none", "/run")
        box = Box(name, users=("anna",), listen=None, **settings)
        box.port, box.tls_port = 143, 993
        return box

    def log_in(self, box, address, port):
        c = Line((address, port), box.tls_context() if port == 993 else None, timeout=10)
        self.assertTrue(c.line().startswith(b"* OK [CAPABILITY IMAP4rev1 "))
        if port == 143:
            c.send("a STARTTLS\r\n")
            self.assertTrue(c.line().startswith(b"a OK"))
            c.start_tls(box.tls_context())
        c.send("b AUTHENTICATE PLAIN %s\r\n" % plain("anna"))
        line = c.line()
        self.assertTrue(line.startswith(b"b OK"), line)
        c.close()

    def test_both_ports_on_both_internets(self):
        self.addresses(("192.168.7.1/24", "192.168.7.2/24"), ("fd12:3456::1/64", "fd12:3456::2/64"))
        with own_mounts(), self.server, self.box("default-listen") as box:
            for address in "127.0.0.1", "::1":
                for port in 143, 993:
                    self.log_in(box, address, port)
            with self.client:
                for address in "192.168.7.1", "fd12:3456::1":
                    for port in 143, 993:
                        self.log_in(box, address, port)
            self.assertEqual(box.status()["connections"]["refused-network"], 0)
            with Line(("192.168.7.1", 143)) as c:
                self.assertIn(b" LOGINDISABLED", c.line())
                c.send('a LOGIN anna "%s"\r\n' % PASSWORD)
                self.assertTrue(c.line().startswith(b"a NO [PRIVACYREQUIRED]"))

    def test_link_local(self):
        self.addresses(("fe80::1/64", "fe80::2/64"), ("169.254.3.1/16", "169.254.3.2/16"))
        with own_mounts(), self.server, self.box("link-local") as box, self.client:
            scoped = "fe80::1%far"
            for port in 143, 993:
                self.log_in(box, scoped, port)
                self.log_in(box, "169.254.3.1", port)

    def closed(self, address, port):
        """Closed without a word."""
        with self.client, Line((address, port), timeout=10) as c:
            self.assertEqual(c.rest(), b"")

    def test_others_are_closed_and_counted(self):
        self.addresses(("203.0.113.1/24", "203.0.113.2/24"), ("2001:db8::1/64", "2001:db8::2/64"),
                       ("10.1.1.1/24", "10.1.1.2/24"), ("172.16.9.1/24", "172.16.9.2/24"))
        with own_mounts(), self.server, self.box("allow-default") as box:
            for n, (address, port) in enumerate((a, p) for a in ("203.0.113.1", "2001:db8::1") for p in (143, 993)):
                self.closed(address, port)
                self.assertEqual(box.status()["connections"]["refused-network"], n + 1)
            with self.client:
                for address in "10.1.1.1", "172.16.9.1":
                    self.log_in(box, address, 143)
            self.assertEqual(box.status()["connections"]["refused-network"], 4)
            self.assertRegex(box.log(), r"imap: 203\.0\.113\.2: refused: its network is not in allow-from")

    def test_allow_from_is_settable(self):
        self.addresses(("203.0.113.1/24", "203.0.113.2/24"), ("10.1.1.1/24", "10.1.1.2/24"))
        with own_mounts(), self.server, self.box("allow-set", allow_from="127.0.0.0/8 203.0.113.0/28") as box:
            with self.client:
                self.log_in(box, "203.0.113.1", 993)
            self.closed("10.1.1.1", 143)
            self.assertEqual(box.status()["connections"]["refused-network"], 1)


if __name__ == "__main__":
    unittest.main()
