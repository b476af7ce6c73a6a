"""mutt reads a mailbox over IMAPS, driven by keys in a terminal of its own."""

import os
import pty
import select
import shutil
import subprocess
import time
import unittest

from box import PASSWORD, Box
from sample import message
from wire import Imap

CONFIG = """
set imap_user="anna"
set imap_pass="{password}"
set ssl_verify_host=yes
set ssl_starttls=yes
set certificate_file="{cert}"
set folder="imaps://localhost:{port}/"
set spoolfile="imaps://localhost:{port}/INBOX"
set imap_idle=yes
set imap_condstore=yes
set timeout=5
set mail_check=5
set confirmappend=no
set delete=yes
set pager_index_lines=0
set wait_key=no
set sort=mailbox-order
set copy=no
set record=""
set markers=no
set header_cache=""
"""


class Mutt(unittest.TestCase):
    def setUp(self):
        self.program = shutil.which("mutt") or shutil.which("neomutt")
        if not self.program:
            self.skipTest("neither mutt nor neomutt is installed")

    def run_keys(self, steps):
        """Runs mutt; steps: (keys to send, text to wait for on the screen)."""
        master, slave = pty.openpty()
        env = {**os.environ, "TERM": "xterm", "HOME": self.box.dir, "LINES": "40", "COLUMNS": "120"}
        process = subprocess.Popen([self.program, "-n", "-F", self.box.path("muttrc")], stdin=slave, stdout=slave,
                                   stderr=slave, env=env, start_new_session=True)
        os.close(slave)
        screen = b""
        try:
            for keys, wanted in steps:
                if keys:
                    os.write(master, keys)
                screen = self.wait_for(master, screen, wanted)
            process.wait(30)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            os.close(master)

    def wait_for(self, master, screen, wanted):
        end = time.monotonic() + 60
        while wanted not in screen:
            self.assertLess(time.monotonic(), end, "%r did not show:\n%r" % (wanted, screen[-2000:]))
            if select.select([master], [], [], 1)[0]:
                try:
                    screen += os.read(master, 65536)
                except OSError:
                    break
        return screen[screen.find(wanted) + len(wanted):]

    def test_read_delete_and_quit(self):
        with Box("mutt") as self.box:
            for i in range(3):
                self.box.cubby("deliver", "anna", input=message(i, subject="subject-%d" % i), check=True)
            with open(self.box.path("muttrc"), "w") as f:
                f.write(CONFIG.format(password=PASSWORD, port=self.box.tls_port, cert=self.box.path("cert.pem")))
            self.run_keys([
                (b"", b"subject-2"),               # the index with all three
                (b"1\r\r", b"This is message 0"),  # the first in the pager
                (b"i", b"subject-1"),
                (b"3\rF", b""),                    # flag the third
                (b"2\rd", b""),                    # delete the second
                (b"q", b""),
            ])
            with Imap(self.box, login="anna") as c:
                c.ok("SELECT INBOX")
                found = c.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
                subjects = [i[b"BODY[HEADER.FIELDS (SUBJECT)]"].strip() for i in found.values()]
                self.assertEqual(subjects, [b"Subject: subject-0", b"Subject: subject-2"])
                self.assertIn(b"\\Seen", found[1][b"FLAGS"])
                self.assertIn(b"\\Flagged", found[2][b"FLAGS"])


if __name__ == "__main__":
    unittest.main()
