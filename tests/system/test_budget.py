"""`--budget` and `-t`: what does not fit is refused with what would, what they say is enough is enough, and what
this version does not serve is refused too."""

import re
import subprocess
import unittest

from box import Box
from wire import Imap


class Budget(unittest.TestCase):
    def run_server(self, box, *args):
        return subprocess.run(box.server + [*args, "-c", box.path("conf")], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=60)

    def test_refuses_what_does_not_fit_and_says_what_would(self):
        box = Box("budget", users=("anna",), memory="1M", connections="64")
        for args in ["--budget"], ["-t"], []:
            done = self.run_server(box, *args)
            self.assertEqual(done.returncode, 1, done.stdout)
            least = re.search(r"memory 1024K is too little for connections 64: it takes at least (\d+)K", done.stdout)
            self.assertTrue(least, done.stdout)
        least = int(least.group(1))
        box.settings["memory"] = "%dK" % (least - 1)
        box.write_config()
        self.assertEqual(self.run_server(box, "--budget").returncode, 1)
        box.settings["memory"] = "%dK" % least
        box.write_config()
        done = self.run_server(box, "--budget")
        self.assertEqual(done.returncode, 0, done.stdout)
        with box:
            clients = [Imap(box, tls=True) for _ in range(8)]
            for c in clients:
                c.ok("CAPABILITY")
                c.close()
            Imap(box, tls=True, login="anna").close()
            self.assertLessEqual(box.resident_anonymous(), (least + 256) * 1024)

    def test_refuses_a_listener_it_does_not_serve(self):
        """What `-t` calls fine, starts."""
        box = Box("unspoken", users=("anna",))
        spoken = box.settings["listen"]
        for protocol in "pop3", "pop3s", "smtp", "submission", "submissions", "device":
            box.settings["listen"] = [*spoken, "%s 127.0.0.1:%d" % (protocol, box.port + 1)]
            box.write_config()
            for args in ["-t"], ["--budget"], []:
                done = self.run_server(box, *args)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn("listen %s: this version of Cubby does not speak it" % protocol, done.stdout)
                self.assertNotIn("is fine", done.stdout)
        box.settings["listen"] = spoken
        box.write_config()
        self.assertEqual(self.run_server(box, "-t").returncode, 0)


if __name__ == "__main__":
    unittest.main()
