"""`make install`: what lands where, and that it runs from there."""

import os
import shutil
import stat
import subprocess
import unittest
from unittest import mock

from box import TMP, TOP, Box
from sample import message
from wire import Imap


class Install(unittest.TestCase):
    def test_into_a_staging_folder(self):
        for tool in "make", "gcc":
            if not shutil.which(tool):
                self.skipTest("there is no %s here" % tool)
        stage = os.path.join(TMP, "install-%d" % os.getpid())
        self.addCleanup(shutil.rmtree, stage, ignore_errors=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(["make", "install", "DESTDIR=" + stage, "PREFIX=/usr"], cwd=TOP, env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        found = sorted(os.path.relpath(os.path.join(d, f), stage) for d, _, files in os.walk(stage) for f in files)
        self.assertEqual(found, ["usr/bin/cubby", "usr/sbin/cubbyd"])
        for f in found:
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(stage, f)).st_mode), 0o755)
        with mock.patch.dict(os.environ, CUBBY=os.path.join(stage, "usr/bin/cubby")), \
                Box("installed", server=os.path.join(stage, "usr/sbin/cubbyd")) as box:
            box.cubby("deliver", "anna", input=message(1), check=True)
            with Imap(box, tls=True, login="anna") as c:
                c.ok("SELECT INBOX")
                self.assertTrue(c.body("1").endswith(message(1)))


if __name__ == "__main__":
    unittest.main()
