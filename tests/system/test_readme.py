"""The README's tables are what the program prints."""

import os
import re
import subprocess
import unittest

from box import TMP, TOP, server_binary


def between(text, name):
    return re.search(r"<!-- cubbyd --%s -->\n(.*?)<!-- end -->" % name, text, re.S).group(1).strip()


class Readme(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(TOP, "README.md")) as f:
            self.text = f.read()

    def run_server(self, *args):
        return subprocess.run([server_binary(), *args], stdout=subprocess.PIPE, check=True).stdout.decode().strip()

    def test_settings(self):
        self.assertEqual(between(self.text, "settings"), self.run_server("--settings"))

    def test_memory(self):
        os.makedirs(TMP, exist_ok=True)
        path = os.path.join(TMP, "readme.conf")
        with open(path, "w") as f:
            f.write("store %s\ntls cert.pem key.pem\n" % TMP)
        try:
            self.assertEqual(between(self.text, "budget"), self.run_server("--budget", "-c", path))
        finally:
            os.unlink(path)

    def test_the_files_it_names_are_there(self):
        for name in re.findall(r"`((?:src|port|board|tests)/[A-Za-z/]*\.md)`", self.text):
            self.assertTrue(os.path.exists(os.path.join(TOP, name)), name)


if __name__ == "__main__":
    unittest.main()
