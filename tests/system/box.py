"""One Cubby for a test: a folder on a real disk, a configuration with free loopback
ports, a certificate, users, and the running server."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build")
# The store refuses file systems in memory, so the tests live beside the build.
TMP = os.path.join(BUILD, "tmp")

PASSWORD = "correct horse"


def server_binary():
    """The server that dies at the first use of the heap, else the real one."""
    trap = os.path.join(BUILD, "test", "cubbyd")
    return os.environ.get("CUBBYD") or (trap if os.path.exists(trap) else os.path.join(BUILD, "cubbyd"))


def tool_binary():
    return os.environ.get("CUBBY") or os.path.join(BUILD, "cubby")


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


class Box:
    """settings: lines of the configuration, by key; a list makes several lines. None leaves a
    default of the tests out."""

    def __init__(self, name, users=("anna", "bert"), server=None, emulator=(), **settings):
        os.makedirs(TMP, exist_ok=True)
        self.dir = os.path.join(TMP, "%s-%d" % (name, os.getpid()))
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.server = list(emulator) + [server or server_binary()]
        self.users = users
        self.process = None
        self.log_path = self.path("log")
        self.port, self.tls_port, self.lmtp_port = free_ports(3)
        self.settings = {
            "domain": "box.home.arpa",
            "store": self.path("store"),
            "storage": "256M",
            "memory": "8M",
            "users": self.path("users"),
            "scram-iterations": "4096",
            "listen": [
                "imap 127.0.0.1:%d" % self.port,
                "imaps 127.0.0.1:%d" % self.tls_port,
                "lmtp 127.0.0.1:%d" % self.lmtp_port,
                "lmtp unix:" + self.path("lmtp"),
                "control unix:" + self.path("control"),
            ],
            "tls": "%s %s" % (self.path("cert.pem"), self.path("key.pem")),
            "cleartext-login": "loopback",
        }
        for key, value in settings.items():
            key = "users" if key == "users_file" else key.replace("_", "-")
            if value is None:
                self.settings.pop(key, None)
            else:
                self.settings[key] = value
        self.write_config()
        self.cubby("cert", "create", "--name", "localhost", "--name", "127.0.0.1", check=True)
        for user in users:
            self.cubby("user", "add", user, input=PASSWORD + "\n", check=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write_config(self):
        with open(self.path("conf"), "w") as f:
            for key, value in self.settings.items():
                for line in value if isinstance(value, list) else [value]:
                    f.write("%s %s\n" % (key, line))

    # ---- the server ----

    def launch(self):
        """Starts the server and does not wait for it."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.server + ["-c", self.path("conf")], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=self.dir)

    def start(self):
        self.launch()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError("the server ended with %d:\n%s" % (self.process.returncode, self.log()))
            try:
                if self.sockets_there() and self.greets():
                    return self
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError("the server does not answer:\n" + self.log())

    def greets(self):
        """Listeners are there before the store is, and the store may be refused."""
        with socket.create_connection(("127.0.0.1", self.port), 60) as s:
            return bool(s.recv(1))

    def sockets_there(self):
        """Listeners are opened one by one, in the order of the configuration, and the name of a unix socket is there
        a moment before it listens: a tool that came too early would take the store for itself."""
        for line in self.settings.get("listen", ()):
            if "unix:" in line and not os.path.exists(line.split("unix:")[1]):
                return False
            if line.startswith("control unix:"):
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(line.split("unix:")[1])
        return True

    def stop(self):
        """Ends the server as its owner would; it must end well."""
        if not self.process:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise AssertionError("the server does not stop:\n" + self.log())
        self.process = None
        if code != 0:
            raise AssertionError("the server ended with %d:\n%s" % (code, self.log()))

    def kill(self):
        """Takes the server's life without a warning, as a power cut would take the process."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def close(self):
        """For the end of a test: stops the server and removes the folder."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is not None:  # keep the first failure, and what is needed to understand it
            if self.process:
                self.process.kill()
                self.process.wait()
            print("# the server's log and store are in", os.path.relpath(self.dir, TOP))
            return
        self.close()

    def log(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    # ---- the tool ----

    def cubby(self, *args, input=None, check=False, timeout=120):
        """Runs the command-line tool; input is text or bytes for its standard input."""
        if isinstance(input, str):
            input = input.encode()
        result = subprocess.run([tool_binary(), "-c", self.path("conf"), *args], input=input or b"",
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, cwd=self.dir)
        result.out = result.stdout.decode("utf-8", "replace")
        result.err = result.stderr.decode("utf-8", "replace")
        if check and result.returncode != 0:
            raise AssertionError("cubby %s ended with %d: %s%s" % (" ".join(args), result.returncode, result.out,
                                                                 result.err))
        return result

    def status(self):
        return json.loads(self.cubby("status", "--json", check=True).out)

    # ---- connections ----

    def tls_context(self, version=None):
        tls = self.settings.get("tls")
        context = ssl.create_default_context(cafile=tls.split()[0] if tls else self.path("store/cert.pem"))
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def resident_anonymous(self):
        """RssAnon of the server in bytes."""
        with open("/proc/%d/status" % self.process.pid) as f:
            for line in f:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon")
