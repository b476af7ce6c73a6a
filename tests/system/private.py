"""Networks and mounts that only one test sees, by Linux namespaces: for root alone, and gone without a trace
when the test ends, in whatever way it does. What is started inside lives inside."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import unittest

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


def call(function, *args):
    if function(*args) != 0:
        code = ctypes.get_errno()
        raise OSError(code, "%s: %s" % (function.__name__, os.strerror(code)))


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise AssertionError("%s: %s" % (" ".join(command), done.stdout.decode()))


def possible(flags, *tools):
    """Skips the test where this machine does not let it make such namespaces, or lacks a tool."""
    for tool in tools:
        if not shutil.which(tool):
            raise unittest.SkipTest("there is no %s here" % tool)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if libc.unshare(flags) == 0 else 1)
    if os.waitpid(pid, 0)[1] != 0:
        raise unittest.SkipTest("this machine gives no namespaces (only root may make them)")


class Network:
    """A network of its own with nothing but loopback. `with network:` moves the calling thread into it,
    and whatever it starts there."""

    def __init__(self):
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        call(libc.unshare, CLONE_NEWNET)
        try:
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            run("ip", "link", "set", "lo", "up")
        finally:
            call(libc.setns, before, CLONE_NEWNET)
            os.close(before)
        self.before = []

    def __enter__(self):
        self.before.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        call(libc.setns, self.fd, CLONE_NEWNET)
        return self

    def __exit__(self, *_):
        before = self.before.pop()
        call(libc.setns, before, CLONE_NEWNET)
        os.close(before)

    def wire_to(self, other, here="near", there="far"):
        """A cable between two networks, with an interface at either end."""
        with self:
            run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns",
                "/proc/%d/fd/%d" % (os.getpid(), other.fd))
            run("ip", "link", "set", here, "up")
        with other:
            run("ip", "link", "set", there, "up")

    def address(self, interface, *addresses):
        with self:
            for address in addresses:
                # nodad: an IPv6 address that is there at once
                run("ip", "address", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))

    def close(self):
        os.close(self.fd)


@contextlib.contextmanager
def own_mounts():
    """Inside, mounts are made for the calling thread and what it starts alone."""
    before = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    here = os.getcwd()
    call(libc.unshare, CLONE_NEWNS)
    try:
        run("mount", "--make-rprivate", "/")
        yield
    finally:
        call(libc.setns, before, CLONE_NEWNS)
        os.close(before)
        os.chdir(here)


def disk(image, where, mib):
    """A new ext4 on a file, mounted; for use inside own_mounts()."""
    with open(image, "wb") as f:
        f.truncate(mib << 20)
    run("mkfs.ext4", "-q", "-m", "0", image)
    os.makedirs(where, exist_ok=True)
    run("mount", "-o", "loop", image, where)


def disks_possible():
    """Skips the test where no file can be mounted as a disk."""
    possible(CLONE_NEWNS, "mkfs.ext4", "mount", "losetup")
    if not os.path.exists("/dev/loop-control") or subprocess.run(["losetup", "-f"], stdout=subprocess.DEVNULL,
                                                                 stderr=subprocess.DEVNULL).returncode:
        raise unittest.SkipTest("this machine has no loop devices")
