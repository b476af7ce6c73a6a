"""Media that mail must not be trusted to: each is refused with its sentence, and `allow-volatile` lets each pass."""

import os
import unittest

from box import Box
from private import CLONE_NEWNS, disk, disks_possible, own_mounts, possible, run
from sample import message
from wire import Imap


class Medium(unittest.TestCase):
    def refused_and_let_pass(self, box, sentence):
        """The store is below box.path("disk")."""
        box.settings["store"] = box.path("disk/store")
        box.write_config()
        with self.assertRaises(AssertionError) as refusal:
            box.start()
        self.assertIn("the server ended with 1", str(refusal.exception))
        self.assertRegex(box.log(), sentence)
        self.assertFalse(os.path.exists(box.path("disk/store/index")))
        box.settings["allow-volatile"] = "yes"
        box.write_config()
        box.start()
        self.takes_mail(box)
        box.stop()

    def takes_mail(self, box):
        with Imap(box, login="anna") as c:
            self.assertTrue(c.append("INBOX", message(1)).startswith(b"OK"))

    def in_memory(self, kind):
        possible(CLONE_NEWNS, "mount")
        with own_mounts():
            box = Box("medium-" + kind, users=("anna",), storage="16M")
            os.mkdir(box.path("disk"))
            run("mount", "-t", kind, "-o", "size=64m" if kind == "tmpfs" else "rw", "none", box.path("disk"))
            self.refused_and_let_pass(box, r"%s is on %s, which forgets everything at power off; `allow-volatile` "
                                           r"accepts that" % (box.path("disk/store"), kind))
            run("umount", box.path("disk"))
            box.close()

    def test_tmpfs(self):
        self.in_memory("tmpfs")

    def test_ramfs(self):
        self.in_memory("ramfs")

    def test_more_storage_than_the_disk_has(self):
        disks_possible()
        with own_mounts():
            box = Box("medium-small", users=("anna",), storage="64M")
            disk(box.path("image"), box.path("disk"), 32)
            self.refused_and_let_pass(box, r"storage is 64 MiB, but the file system of %s has only \d+ MiB" %
                                      box.path("disk/store"))
            box.settings.update({"allow-volatile": "no", "storage": "16M"})
            box.write_config()
            run("rm", "-r", box.path("disk/store"))
            box.start()
            self.takes_mail(box)
            box.stop()
            run("umount", box.path("disk"))
            box.close()

    def with_table(self, name):
        """A box, and inside own_mounts() a table of mounts that names its disk."""
        box = Box(name, users=("anna",), storage="16M")
        os.mkdir(box.path("disk"))
        with open(box.path("fstab"), "w") as f:
            f.write("# a stick\nproc /proc proc defaults 0 0\nUUID=1234 %s ext4 defaults,nofail 0 2\n" %
                    box.path("disk"))
        run("mount", "--bind", box.path("fstab"), "/etc/fstab")
        return box

    @unittest.skipUnless(os.path.exists("/etc/fstab"), "there is no /etc/fstab to stand for another")
    def test_mount_point_with_nothing_mounted(self):
        disks_possible()
        with own_mounts():
            box = self.with_table("medium-mount")
            self.refused_and_let_pass(box, r"nothing is mounted on %s: mail would land on the medium below it" %
                                      box.path("disk"))
            box.settings["allow-volatile"] = "no"
            box.write_config()
            disk(box.path("image"), box.path("disk"), 32)
            box.start()  # the stick is in
            self.takes_mail(box)
            box.stop()
            run("umount", box.path("disk"))
            run("umount", "/etc/fstab")
            box.close()

    @unittest.skipUnless(os.path.exists("/etc/fstab"), "there is no /etc/fstab to stand for another")
    def test_bind_mount(self):
        """A directory of the same file system is mounted there as well as a disk would be."""
        possible(CLONE_NEWNS, "mount")
        with own_mounts():
            box = self.with_table("medium-bind")
            box.settings["store"] = box.path("disk/store")
            box.write_config()
            os.mkdir(box.path("elsewhere"))
            run("mount", "--bind", box.path("elsewhere"), box.path("disk"))
            box.start()
            self.takes_mail(box)
            box.stop()
            run("umount", box.path("disk"))
            run("umount", "/etc/fstab")
            box.close()


if __name__ == "__main__":
    unittest.main()
