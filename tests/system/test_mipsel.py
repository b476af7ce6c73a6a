"""The cross-built binary for mipsel routers serves IMAP over TLS, run by qemu-user."""

import os
import shutil
import subprocess
import unittest

from box import BUILD, TOP, Box
from sample import message
from wire import Imap


class Mipsel(unittest.TestCase):
    def test_serves_imap_over_tls(self):
        qemu = shutil.which("qemu-mipsel") or shutil.which("qemu-mipsel-static")
        if not qemu:
            self.skipTest("qemu-user is not installed")
        if not shutil.which("mipsel-linux-gnu-gcc"):
            self.skipTest("no cross compiler for mipsel")
        made = subprocess.run(["make", "--no-print-directory", "BOARD=mipsel"], cwd=TOP, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        self.assertEqual(made.returncode, 0, made.stdout.decode()[-3000:])
        server = os.path.join(BUILD, "mipsel", "cubbyd")
        with Box("mipsel", server=server, emulator=[qemu], memory="4M") as box:
            with Imap(box, tls=True, login="anna") as c:
                data = message(1, size=50000)
                self.assertTrue(c.append("INBOX", data).startswith(b"OK"))
                c.ok("SELECT INBOX")
                self.assertEqual(c.body("1"), data)
            box.restart()
            with Imap(box, tls=True, login="anna") as c:
                c.ok("SELECT INBOX")
                self.assertEqual(c.body("1"), data)


if __name__ == "__main__":
    unittest.main()
