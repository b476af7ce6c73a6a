"""tools/mbedtls: which trees and archives of mbedTLS are taken, and with what sentence others are not."""

import os
import shutil
import subprocess
import tarfile
import unittest

from box import TMP, TOP

TOOL = os.path.join(TOP, "tools", "mbedtls")


class MbedtlsSource(unittest.TestCase):
    def setUp(self):
        self.dir = os.path.join(TMP, "mbedtls-%d" % os.getpid())
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def tree(self, name, *files, version=None):
        """A tree with these files; the version stands where it does since 3.0."""
        for f in files + (("include/mbedtls/build_info.h",) if version else ()):
            path = os.path.join(self.dir, name, f)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as out:
                if f.endswith("build_info.h"):
                    out.write("#define MBEDTLS_VERSION_MAJOR  %d\n#define MBEDTLS_VERSION_MINOR  %d\n"
                              "#define MBEDTLS_VERSION_PATCH  0\n" % version)
        return os.path.join(self.dir, name)

    def run_tool(self, *args, **environment):
        return subprocess.run([TOOL, *args], env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)

    def refused(self, done, sentence):
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Ambedtls: [^\n]*%s[^\n]*\n\Z" % sentence)

    def test_other_versions(self):
        whole = "library/ssl_tls.c", "library/error.c", "library/psa_crypto_driver_wrappers.h"
        for name, version, files, sentence in (
                ("mbedtls-2.28", None, ("include/mbedtls/config.h", "include/mbedtls/version.h"),
                 "is mbedTLS 2; Cubby needs 3.6"),
                ("mbedtls-3.5", (3, 5), whole, "is mbedTLS 3.5; Cubby is written for 3.6 and no other"),
                ("mbedtls-4.0", (4, 0), whole, "is mbedTLS 4.0; Cubby is written for 3.6 and no other"),
                ("mbedtls-4.1", (4, 1), (), "is mbedTLS 4.1; Cubby is written for 3.6 and no other"),
                ("something", None, ("README",), "is not a source tree of mbedTLS"),
                ("checkout", (3, 6), ("library/ssl_tls.c",), "lacks generated files"),
                ("headers", (3, 6), (), "has headers but no library")):
            with self.subTest(name):
                tree = self.tree(name, *files, version=version)
                self.refused(self.run_tool("check", tree), sentence)
        self.refused(self.run_tool("check", os.path.join(self.dir, "nowhere")), "there is no directory")
        self.assertEqual(self.run_tool("check", self.tree("good", *whole, version=(3, 6))).returncode, 0)

    def test_the_makefile_asks(self):
        tree = self.tree("mbedtls-4.0", version=(4, 0))
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(["make", "-n", "all", "MBEDTLS_SRC=" + tree], cwd=TOP, env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("is mbedTLS 4.0; Cubby is written for 3.6 and no other", done.stderr)
        self.assertNotIn("gcc", done.stdout)

    def test_an_archive_of_another_checksum(self):
        whole = "library/ssl_tls.c", "library/error.c", "library/psa_crypto_driver_wrappers.h"
        archive = os.path.join(self.dir, "mbedtls.tar.bz2")
        with tarfile.open(archive, "w:bz2") as tar:
            tar.add(self.tree("mbedtls-3.6.6", *whole, version=(3, 6)), "mbedtls-3.6.6")
        cache = os.path.join(self.dir, "cache")
        self.refused(self.run_tool(MBEDTLS_ARCHIVE=archive, CUBBY_CACHE=cache),
                     r"is not mbedtls-3\.6\.\d+\.tar\.bz2: sha256 is [0-9a-f]{64}, expected [0-9a-f]{64}")
        self.assertEqual(os.listdir(cache), [])
        self.refused(self.run_tool(MBEDTLS_ARCHIVE=os.path.join(self.dir, "none"), CUBBY_CACHE=cache),
                     "there is no file")


if __name__ == "__main__":
    unittest.main()
