"""mbsync keeps a Maildir and a mailbox the same over TLS, in both directions."""

import os
import subprocess
import unittest

from box import PASSWORD, Box
from sample import many
from wire import Imap

CONFIG = """
IMAPAccount box
Host localhost
Port {port}
User anna
Pass "{password}"
SSLType IMAPS
SSLVersions TLSv1.2 TLSv1.3
CertificateFile {cert}
AuthMechs PLAIN

IMAPStore far
Account box

MaildirStore near
Path {dir}/
Inbox {dir}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
CopyArrivalDate yes
SyncState *
"""


class Mbsync(unittest.TestCase):
    N = 1000

    def mbsync(self):
        result = subprocess.run(["mbsync", "-V", "-c", self.box.path("mbsyncrc"), "-a"], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=300, env={**os.environ, "HOME": self.box.dir})
        out = result.stdout.decode("utf-8", "replace")
        self.assertEqual(result.returncode, 0, out[-3000:])
        return out

    def folder(self, name="INBOX"):
        """{file name: content} of a local folder."""
        found = {}
        for sub in "cur", "new":
            path = os.path.join(self.maildir, name, sub)
            for file in os.listdir(path) if os.path.isdir(path) else []:
                with open(os.path.join(path, file), "rb") as f:
                    found[os.path.join(sub, file)] = f.read()
        return found

    def test_two_way_sync_of_1000_messages(self):
        with Box("mbsync") as self.box:
            self.maildir = self.box.path("maildir")
            os.makedirs(self.maildir)
            with open(self.box.path("mbsyncrc"), "w") as f:
                f.write(CONFIG.format(port=self.box.tls_port, password=PASSWORD, cert=self.box.path("cert.pem"),
                                      dir=self.maildir))
            self.mbsync()  # makes the folders
            self.fill()
            self.mbsync()
            far = self.far()
            near = sorted(data.replace(b"\n", b"\r\n") for data in self.folder().values())
            self.assertEqual(len(far), self.N)
            self.assertEqual([self.without_tuid(m) for m in near], [self.without_tuid(m) for m in far])
            self.nothing_transferred()
            self.change_both_sides()

    @staticmethod
    def without_tuid(message):
        return b"\r\n".join(line for line in message.split(b"\r\n") if not line.startswith(b"X-TUID:"))

    def fill(self):
        messages = list(many(self.N))
        with Imap(self.box, login="anna") as c:
            for m in messages[:self.N // 2]:
                self.assertTrue(c.append("INBOX", m, "(\\Seen)").startswith(b"OK"))
        for i, m in enumerate(messages[self.N // 2:]):
            name = "%d.test_%d.host:2,S" % (1700000000 + i, i)
            with open(os.path.join(self.maildir, "INBOX", "cur", name), "wb") as f:
                f.write(m.replace(b"\r\n", b"\n"))

    def far(self):
        with Imap(self.box, login="anna") as c:
            c.ok("SELECT INBOX")
            found = c.fetch("1:*", "(BODY.PEEK[])")
            return sorted(items[b"BODY[]"] for items in found.values())

    def state(self):
        """What would differ if anything had been sent either way."""
        with Imap(self.box, login="anna") as c:
            answer = c.ok("STATUS INBOX (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ)")[0]
        return answer, set(self.folder()), self.box.status()["flash"]["mail-in"]

    def nothing_transferred(self):
        before = self.state()
        sent = self.box.status()["connections"]["bytes-out"]
        self.mbsync()
        self.assertEqual(self.state(), before)
        # A line for each message's flags comes anyway; the messages have 6 MB.
        self.assertLess(self.box.status()["connections"]["bytes-out"] - sent, 150 * self.N)

    def change_both_sides(self):
        with Imap(self.box, login="anna") as c:
            c.ok("SELECT INBOX")
            c.ok("STORE 1:10 +FLAGS (\\Flagged)")
            c.ok("STORE 11:20 +FLAGS (\\Deleted)")
            c.ok("EXPUNGE")
        name = sorted(n for n in self.folder() if "test_" in n or ",U=" in n)[-1]
        os.unlink(os.path.join(self.maildir, "INBOX", name))
        self.mbsync()
        self.assertEqual(len(self.far()), self.N - 11)
        self.assertEqual(len(self.folder()), self.N - 11)
        self.assertEqual(sum("F" in n.rsplit(",", 1)[1] for n in self.folder()), 10)


if __name__ == "__main__":
    unittest.main()
