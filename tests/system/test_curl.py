"""curl by imap, imaps and STARTTLS; TLS 1.2 and 1.3."""

import os
import subprocess
import unittest

from box import PASSWORD, Box
from sample import message


class Curl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.box = Box("curl").start()
        for i in range(3):
            cls.box.cubby("deliver", "anna", input=message(i), check=True)

    @classmethod
    def tearDownClass(cls):
        cls.box.close()

    def curl(self, *args, password=PASSWORD, code=0):
        result = subprocess.run(["curl", "-sS", "--max-time", "60", "--cacert", self.box.path("cert.pem"),
                                 "--user", "anna:" + password, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, code, result.stderr.decode())
        return result.stdout

    def urls(self):
        yield "imap://127.0.0.1:%d" % self.box.port, ()
        yield "imap://localhost:%d" % self.box.port, ("--ssl-reqd",)
        yield "imaps://localhost:%d" % self.box.tls_port, ()

    def test_list_and_download(self):
        for url, options in self.urls():
            with self.subTest(url=url, options=options):
                names = self.curl(url, *options).decode()
                for name in "INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive":
                    self.assertIn(name, names)
                self.assertIn("SEARCH 1 2 3", self.curl(url + "/INBOX?ALL", *options).decode())
                got = self.curl(url + "/INBOX;MAILINDEX=2", *options)
                self.assertTrue(got.endswith(message(1)), got)

    def test_tls_versions(self):
        for version in "1.2", "1.3":
            with self.subTest(version=version):
                got = self.curl("imaps://localhost:%d/INBOX;MAILINDEX=1" % self.box.tls_port, "--tlsv" + version,
                                "--tls-max", version)
                self.assertTrue(got.endswith(message(0)))

    def test_old_tls_is_refused(self):
        self.curl("imaps://localhost:%d" % self.box.tls_port, "--tlsv1.0", "--tls-max", "1.1", "--ciphers",
                  "DEFAULT@SECLEVEL=0", code=35)

    def test_upload(self):
        path = self.box.path("mail")
        data = message(9, size=100000)
        with open(path, "wb") as f:
            f.write(data)
        self.curl("imaps://localhost:%d/Archive" % self.box.tls_port, "-T", path)
        self.assertEqual(self.curl("imaps://localhost:%d/Archive;MAILINDEX=1" % self.box.tls_port), data)
        os.unlink(path)

    def test_wrong_password(self):
        self.curl("imaps://localhost:%d" % self.box.tls_port, password="wrong", code=67)


if __name__ == "__main__":
    unittest.main()
