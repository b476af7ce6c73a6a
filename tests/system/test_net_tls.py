"""TLS of src/net against OpenSSL: versions, keys, record sizes, memory, places. The server is
net_echo, which has no mail in it."""

import json
import os
import random
import shutil
import socket
import ssl
import subprocess
import time
import unittest

from box import BUILD, TMP

SERVER = os.path.join(BUILD, "test", "net_echo")
KEYS = {
    "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "rsa": ["-newkey", "rsa:2048"],
    "rsa4096": ["-newkey", "rsa:4096"],
    "ec2": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
}
VERSIONS = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
# What the budget of cubbyd may count for one TLS place.
PLACE_BYTES = 30.6 * 1024


def fnv(data):
    h = 2166136261
    for b in data:
        h = ((h ^ b) * 16777619) & 0xFFFFFFFF
    return h


class Client:
    def __init__(self, sock, greeting=b"hello\r\n"):
        self.sock = sock
        self.file = sock.makefile("rwb")
        line = self.file.readline()
        if line != greeting:
            self.close()
            raise ConnectionError("greeting is %r" % line)

    def send(self, data):
        self.file.write(data)
        self.file.flush()

    def line(self, command):
        self.send(command + b"\r\n")
        return self.file.readline()

    def download(self, n):
        self.send(b"download %d\r\n" % n)
        return self.file.read(n)

    def close(self):
        self.file.close()
        self.sock.close()


class Server:
    def __init__(self, folder, key="ec", connections=8, login=8):
        self.folder = folder
        self.places = connections + login
        self.process = subprocess.Popen([SERVER, *self.pair(key), str(connections), str(login)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.starttls, self.tls, self.plain, self.memory = (
            int(word) for word in self.process.stdout.readline().split())
        self.control = Client(self.connect(self.plain))
        self.control.line(b"login 1")

    def pair(self, key):
        return os.path.join(self.folder, key + ".crt"), os.path.join(self.folder, key + ".key")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control.close()
        self.process.terminate()
        self.log = self.process.communicate(timeout=10)[1].decode()
        if self.process.returncode != 0:
            raise AssertionError("net_echo ended with %d: %s" % (self.process.returncode, self.log))

    @staticmethod
    def connect(port):
        s = socket.create_connection(("127.0.0.1", port), timeout=20)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def open(self, context, session=None):
        raw = self.connect(self.tls)
        try:
            secure = context.wrap_socket(raw, server_hostname="box", session=session)
        except (OSError, ssl.SSLError):
            raw.close()
            raise
        return Client(secure)

    def status(self):
        return json.loads(self.control.line(b"status"))

    def quiet(self, connections=0):
        """The status once so many TLS places are taken."""
        for _ in range(200):
            status = self.status()
            if status["tls"] == connections:
                return status
            time.sleep(0.02)
        raise AssertionError("%d TLS places are taken, expected %d" % (status["tls"], connections))


def context_for(version, trust=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    if trust:
        context.load_verify_locations(trust)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@unittest.skipUnless(shutil.which("openssl"), "no openssl here")
@unittest.skipUnless(os.path.exists(SERVER), "no build/test/net_echo: make test-programs")
class NetTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.makedirs(TMP, exist_ok=True)
        cls.folder = os.path.join(TMP, "net-tls-%d" % os.getpid())
        os.makedirs(cls.folder, exist_ok=True)
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        for name, options in KEYS.items():
            path = os.path.join(cls.folder, name)
            subprocess.run(["openssl", "req", "-x509", *options, "-nodes", "-keyout", path + ".key", "-out",
                            path + ".crt", "-days", "30", "-subj", "/CN=" + name, "-addext",
                            "subjectAltName=DNS:box"], check=True, stderr=subprocess.DEVNULL)

    def server(self, *args, **kwargs):
        return Server(self.folder, *args, **kwargs)

    # ---- that it speaks

    def test_keys_and_versions(self):
        for key in KEYS:
            with self.server(key) as server:
                for version in VERSIONS:
                    with self.subTest(key=key, version=version.name):
                        c = server.open(context_for(version, server.pair(key)[0]))
                        self.assertEqual(c.sock.version(), version.name.replace("_", ".", 1).replace("v1_", "v1."))
                        self.assertEqual(c.line(b"echo"), b"echo\r\n")
                        self.assertEqual(c.line(b"quit"), b"bye\r\n")
                        # An end that a truncating attacker could not have made.
                        self.assertEqual(c.sock.recv(1), b"")
                        c.close()
                self.assertEqual(server.quiet()["failures"], 0)

    def test_every_cipher_and_curve(self):
        names = ["ECDHE-%s-%s" % (k, c) for k in ("ECDSA", "RSA")
                 for c in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")]
        for key in ("ec", "rsa"):
            with self.server(key) as server:
                for name in names:
                    if ("ECDSA" in name) == (key == "ec"):
                        context = context_for(ssl.TLSVersion.TLSv1_2)
                        context.set_ciphers(name)
                        c = server.open(context)
                        self.assertEqual(c.sock.cipher()[0], name)
                        self.assertEqual(c.line(b"x"), b"x\r\n")
                        c.close()
                for curve in ("prime256v1", "secp384r1"):
                    for version in VERSIONS:
                        if (key, curve, version) == ("ec", "secp384r1", VERSIONS[0]):
                            continue  # there the certificate's curve must be among the client's
                        context = context_for(version)
                        context.set_ecdh_curve(curve)  # with TLS 1.3: a HelloRetryRequest
                        c = server.open(context)
                        self.assertEqual(c.line(b"x"), b"x\r\n")
                        c.close()

    def test_old_versions_and_weak_ciphers_are_refused(self):
        with self.server() as server:
            for options in (["-tls1_1"], ["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
                            ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"]):
                done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.tls, *options],
                                      input=b"", capture_output=True, timeout=20)
                self.assertIn(b"Cipher is (NONE)", done.stdout, options)
            c = server.open(context_for(VERSIONS[1]))
            c.close()

    def test_records_of_16_kib(self):
        # 64 KiB in one write makes OpenSSL send four records of 16 KiB.
        data = bytes(random.Random(1).randrange(256) for _ in range(65536))
        for key in ("ec", "rsa"):
            with self.server(key) as server:
                for version in VERSIONS:
                    with self.subTest(key=key, version=version.name):
                        c = server.open(context_for(version))
                        for _ in range(3):
                            c.send(b"upload 65536\r\n")
                            c.sock.sendall(data)
                            self.assertEqual(c.file.readline(), b"65536 %d\r\n" % fnv(data))
                        c.close()

    def test_commands_and_data_in_one_record(self):
        with self.server() as server:
            for version in VERSIONS:
                c = server.open(context_for(version))
                c.sock.sendall(b"upload 10\r\n0123456789a\r\nb\r\n" + b"c" * 7000 + b"\r\nupload 3\r\nxyzd\r\n")
                self.assertEqual([c.file.readline() for _ in range(6)],
                                 [b"10 %d\r\n" % fnv(b"0123456789"), b"a\r\n", b"b\r\n", b"a line of 7002\r\n",
                                  b"3 %d\r\n" % fnv(b"xyz"), b"d\r\n"])
                c.close()

    def test_what_is_decrypted_already_wakes_the_loop(self):
        # 16 KiB in one record, of which the server reads 8 KiB at once and then gives way: poll
        # will never tell it of the rest.
        lines = b"".join(b"line %d\r\n" % i for i in range(1000))
        with self.server() as server:
            for version in VERSIONS:
                c = server.open(context_for(version))
                c.sock.sendall(b"turn\r\n" + lines + b"turn\r\n" + b"end\r\n")
                self.assertEqual(c.file.read(len(lines) + 5), lines + b"end\r\n")
                c.close()

    def test_downloads(self):
        expected = bytes(i * 7 >> 3 & 255 for i in range(1 << 20))
        with self.server() as server:
            for version in VERSIONS:
                c = server.open(context_for(version))
                self.assertEqual(c.download(1 << 20), expected)
                c.close()

    def test_a_client_that_asks_for_small_records(self):
        expected = bytes(i * 7 >> 3 & 255 for i in range(100000))
        with self.server() as server:
            for version in ("-tls1_2", "-tls1_3"):
                process = subprocess.Popen(
                    ["openssl", "s_client", "-quiet", "-connect", "127.0.0.1:%d" % server.tls, version, "-maxfraglen",
                     "512"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                process.stdin.write(b"download 100000\nquit\n")
                process.stdin.flush()
                out = process.stdout.read()
                process.stdin.close()
                process.wait(20)
                self.assertEqual(out, b"hello\r\n" + expected + b"bye\r\n")

    def test_starttls(self):
        with self.server() as server:
            for version in VERSIONS:
                c = Client(server.connect(server.starttls), b"hello starttls\r\n")
                # Bytes behind the command in the same packet never are a command.
                c.send(b"starttls\r\ninjected\r\n")
                self.assertEqual(c.file.readline(), b"go\r\n")
                secure = context_for(version).wrap_socket(c.sock)
                secure.settimeout(20)
                secure.sendall(b"safe\r\n")
                self.assertEqual(secure.recv(100), b"safe\r\n")
                secure.close()

    def test_tickets_spare_the_signature(self):
        for key in ("ec", "rsa"):
            with self.server(key) as server:
                for version in VERSIONS:
                    context = context_for(version)
                    c = server.open(context)
                    c.line(b"x")
                    session = c.sock.session
                    c.close()
                    for _ in range(3):
                        c = server.open(context, session)
                        self.assertTrue(c.sock.session_reused, (key, version))
                        self.assertEqual(c.line(b"x"), b"x\r\n")
                        c.close()

    def test_renegotiation_is_refused(self):
        with self.server() as server:
            process = subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.tls, "-tls1_2"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            out = b""
            while not out.endswith(b"hello\r\n"):
                out += process.stdout.readline()
            process.stdin.write(b"R\n")
            process.stdin.flush()
            out = process.stdout.read()  # the client gives up
            process.stdin.close()
            process.stdout.close()
            process.wait(20)
            self.assertIn(b"RENEGOTIATING", out)
            self.assertIn(b"no renegotiation", out)
            self.assertEqual(server.quiet()["tls"], 0)

    def test_what_is_no_tls(self):
        with self.server() as server:
            for data in (b"a LOGIN x y\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\x16\x03\x01\x00\x05hello",
                         b"\x80" * 100, os.urandom(5000), b"\x16\x03\x03\x00\x04\x01\x00\x00\x00"):
                raw = server.connect(server.tls)
                try:
                    raw.sendall(data)
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(1000):
                        pass
                except OSError:
                    pass
                raw.close()
            self.assertGreater(server.quiet()["failures"], 4)
        self.assertIn("127.0.0.1: TLS handshake failed", server.log)

    # ---- memory and places

    def test_all_places_at_once_again_and_again(self):
        rng = random.Random(7)
        contexts = [context_for(v) for v in VERSIONS]
        # The control connection takes one of the 65.
        with self.server("rsa", connections=65, login=8) as server:
            self.assertLessEqual(server.memory, server.places * PLACE_BYTES)
            for context in contexts:  # what is made at the first connection stays
                server.open(context).close()
            base = server.quiet()["all"]
            clients = []
            opened = 0
            while opened < 1000:
                while len(clients) < 72:
                    clients.append(server.open(rng.choice(contexts)))
                    opened += 1
                    if len(clients) <= 64:
                        self.assertEqual(clients[-1].line(b"login 1"), b"0\r\n")
                self.assertEqual(server.quiet(72)["denied"], 0)
                for c in clients[64:]:
                    c.close()
                del clients[64:]
                for c in rng.sample(clients, rng.randrange(1, 40)):
                    self.assertEqual(c.line(b"still here"), b"still here\r\n")
                    c.close()
                    clients.remove(c)
                server.quiet(len(clients))
            for c in clients:
                c.close()
            self.assertEqual(server.quiet()["all"], base)

    def test_all_places_with_the_most_costly_handshakes(self):
        context = context_for(ssl.TLSVersion.TLSv1_3)
        context.set_ecdh_curve("secp384r1")
        with self.server("rsa4096", connections=64, login=8) as server:
            server.open(context).close()
            server.quiet()
            clients = [server.open(context) for _ in range(7)]
            for c in clients:
                c.line(b"x")
            while len(clients) < 71:
                clients[len(clients) - 7].line(b"login 1")
                clients.append(server.open(context))
            status = server.quiet(71)
            self.assertEqual(status["denied"], 0)
            self.assertGreater(status["largest"], 10240)  # one more would fit
            for c in clients:
                self.assertEqual(c.line(b"x"), b"x\r\n")
                c.close()
            server.quiet()

    def test_a_session_costs_what_the_budget_says(self):
        """The numbers that HEAP_PLACE and HEAP_FLIGHT in src/net/tlsmem.c were made from."""
        for key in ("ec", "rsa4096"):
            for version in VERSIONS:
                with self.subTest(key=key, version=version.name), self.server(key) as server:
                    context = context_for(version)
                    clients = [server.open(context) for _ in range(3)]
                    server.control.line(b"peak")
                    before = server.quiet(3)["used"]
                    clients.append(server.open(context))
                    status = server.quiet(4)
                    self.assertLessEqual(status["used"] - before, 6400 + 1024)  # RSA keys make spare numbers
                    self.assertLessEqual(status["peak"] - before, 6400 + 10240)
                    for c in clients:
                        c.close()

    def test_a_failing_allocation_leaks_nothing(self):
        for version in VERSIONS:
            context = context_for(version)
            with self.server("rsa") as server:
                for _ in range(2):
                    server.open(context).close()
                base = server.quiet()["all"]
                n, whole, broken = 1, 0, 0
                while whole < 3:
                    server.control.line(b"fail %d" % n)
                    try:
                        c = server.open(context)
                        whole += c.line(b"x") == b"x\r\n" and n > 2000
                        c.close()
                    except (OSError, ssl.SSLError):
                        broken += 1
                    server.control.line(b"fail 0")
                    self.assertLessEqual(server.quiet()["all"], base + 2048)
                    n += 1 if n < 20 else 97
                self.assertGreater(broken, 20)
                server.open(context).close()

    def test_handshakes_of_others_delay_little(self):
        with self.server("rsa", connections=8, login=16) as server:
            half = []
            for _ in range(15):
                i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
                try:
                    context_for(VERSIONS[1]).wrap_bio(i, o).do_handshake()
                except ssl.SSLWantReadError:
                    half.append((server.connect(server.tls), o.read()))
            start = time.monotonic()
            for s, hello in half:
                s.sendall(hello)
            self.assertEqual(server.control.line(b"x"), b"x\r\n")
            took = time.monotonic() - start
            self.assertEqual(server.quiet(15)["handshakes"], 0)
            # Fifteen signatures would take longer than the two that may be in between.
            self.assertLess(took, 0.2)
            for s, _ in half:
                s.close()
            server.quiet()

    # ---- a new certificate

    def test_a_new_certificate_without_a_restart(self):
        with self.server("ec") as server:
            old = [server.open(context_for(v, server.pair("ec")[0])) for v in VERSIONS]
            self.assertTrue(server.control.line(b"reload %s %s" % tuple(
                p.encode() for p in server.pair("rsa"))).startswith(b"0 "))
            for version in VERSIONS:
                with self.assertRaises(ssl.SSLCertVerificationError):
                    server.open(context_for(version, server.pair("ec")[0]))
                server.open(context_for(version, server.pair("rsa")[0])).close()
            bad = server.control.line(b"reload %s %s" % (server.pair("ec2")[0].encode(),
                                                         server.pair("ec")[1].encode()))
            self.assertIn(b"is not the key of the certificate", bad)
            for c in old:
                self.assertEqual(c.line(b"still"), b"still\r\n")
                self.assertEqual(len(c.download(100000)), 100000)
            server.open(context_for(VERSIONS[1], server.pair("rsa")[0])).close()
            for c in old:
                c.close()


if __name__ == "__main__":
    unittest.main()
