"""What `make run` does behind the build: sets up, serves, and prints a curl line that works."""

import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from box import BUILD, TMP, TOP


class Demo(unittest.TestCase):
    def setUp(self):
        if not os.path.exists(os.path.join(BUILD, "cubbyd")):
            self.skipTest("build/cubbyd is not built")
        self.dir = os.path.join(TMP, "demo-%d" % os.getpid())
        shutil.rmtree(self.dir, ignore_errors=True)

    def tearDown(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        done = subprocess.run([os.path.join(TOP, "tools", "demo"), "--background"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                              env={**os.environ, "CUBBY_DEMO": self.dir})
        out = done.stdout.decode()
        self.assertEqual(done.returncode, 0, out)
        return out

    def stop(self):
        path = os.path.join(self.dir, "pid")
        if not os.path.exists(path):
            return
        with open(path) as f:
            pid = int(f.read())
        os.unlink(path)
        try:
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                os.kill(pid, 0)
                time.sleep(0.05)
        except ProcessLookupError:
            pass

    def curl(self, out):
        """Runs the line that was printed, as a shell would."""
        line = re.search(r"^  (curl (?:.*\\\n)*.*)$", out, re.M).group(1)
        done = subprocess.run(line, shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def test_first_and_second_run(self):
        out = self.start()
        got = self.curl(out)
        self.assertIn("INBOX", got)
        self.assertIn("Subject: Welcome to Cubby", got)
        self.assertIn("This is a demo mailbox", got)
        count = int(re.search(r"(\d+) of \1 messages are in", out).group(1))
        self.assertGreaterEqual(count, 24)
        self.stop()
        out = self.start()
        self.assertNotIn("messages are in", out)  # the mail of the first run is still there
        got = self.curl(out.replace("MAILINDEX=1'", "MAILINDEX=%d'" % (count + 2)))
        self.assertIn("Subject: Cubby has started", got)


if __name__ == "__main__":
    unittest.main()
