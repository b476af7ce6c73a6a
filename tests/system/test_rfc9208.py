"""RFC 9208, QUOTA: what a user may keep, who sees it and who sets it."""

import unittest

from box import Box, PASSWORD
from sample import message
from scratch import Scratch
from strict import Strict
from wire import Lmtp

ANNA = '"#user/anna"'
BERT = '"#user/bert"'
FULL = b"OVERQUOTA"


class Quota(Scratch):
    """chef is an admin, anna and bert are not."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.box.cubby("user", "add", "--admin", "chef", input=PASSWORD + "\n", check=True)

    def setUp(self):
        super().setUp()
        self.chef = self.connect("chef")
        self.addCleanup(lambda: self.connect("chef").ok("SETQUOTA %s ()" % ANNA))

    def quota(self, root=ANNA, c=None):
        answers = (c or self.c).data("GETQUOTA " + root, b"QUOTA")
        self.assertEqual(len(answers), 1)
        self.assertEqual(answers[0][0], root.strip('"').encode())
        return answers[0][1]

    def no_room(self, text):
        self.no(b"APPEND %s {%d+}\r\n%s" % (self.name.encode(), len(text), text), FULL)

    def limit(self, limits, root=ANNA):
        answers = self.chef.data("SETQUOTA %s (%s)" % (root, limits), b"QUOTA")
        self.assertEqual([a[0] for a in answers], [root.strip('"').encode()])
        return answers[0][1]


class Asking(Quota):
    def test_capabilities(self):  # 3.1.1, 4.1.3
        names = self.c.data("CAPABILITY", b"CAPABILITY")[0]
        for name in b"QUOTA", b"QUOTA=RES-STORAGE", b"QUOTA=RES-MESSAGE":
            self.assertIn(name, names)
        self.assertNotIn(b"QUOTASET", names)  # he may not
        self.assertIn(b"QUOTASET", self.chef.data("CAPABILITY", b"CAPABILITY")[0])

    def test_getquotaroot(self):  # 4.1.2
        for mailbox in "INBOX", self.name, '"no such mailbox"', "inbox":
            untagged = self.c.data("GETQUOTAROOT " + mailbox)
            self.assertEqual([k for k, _ in untagged], [b"QUOTAROOT", b"QUOTA"], mailbox)
            (name, roots), (root, limits) = untagged[0][1], untagged[1][1]
            self.assertEqual(name.upper(), mailbox.strip('"').upper().encode())
            self.assertEqual(roots, [root])
            self.assertEqual(self.quota('"%s"' % root.decode()), limits)

    def test_grammar(self):  # 7
        for command in ("GETQUOTA", "GETQUOTA ", 'GETQUOTA "a" b', "GETQUOTAROOT", "GETQUOTAROOT a b", "SETQUOTA",
                        "SETQUOTA " + ANNA, "SETQUOTA %s STORAGE 1" % ANNA, "SETQUOTA %s (STORAGE)" % ANNA,
                        "SETQUOTA %s (STORAGE -1)" % ANNA, "SETQUOTA %s (STORAGE 9223372036854775808)" % ANNA,
                        "SETQUOTA %s (STORAGE 1" % ANNA, "SETQUOTA %s (STORAGE 1) x" % ANNA,
                        "SETQUOTA %s (1 STORAGE)" % ANNA):
            self.bad(command)
            self.bad(command, c=self.chef)

    def test_who_sees_what(self):  # 8: others' usage is confidential
        self.no("GETQUOTA " + BERT, b"NOPERM")
        self.no('GETQUOTA "#user/nobody"', b"NOPERM")  # nor who there is
        self.no('GETQUOTA ""', b"NOPERM")
        self.quota(BERT, self.chef)
        self.no('GETQUOTA "#user/nobody"', b"NONEXISTENT", c=self.chef)
        self.no('GETQUOTA "nonsense"', b"NONEXISTENT", c=self.chef)

    def test_usage(self):  # 5.1: units of 1024 octets; 5.2: an exact number
        self.limit("STORAGE 4096 MESSAGE 100")
        before = self.quota()[b"STORAGE"][0], self.quota()[b"MESSAGE"][0]
        text = message(1, size=70000)
        self.c.append_uid(self.name, text)
        self.c.append_uid(self.name, text)
        used, messages = self.quota()[b"STORAGE"][0], self.quota()[b"MESSAGE"][0]
        self.assertAlmostEqual(used - before[0], 2 * len(text) / 1024, delta=1)
        self.assertEqual(messages, before[1] + 2)
        self.c.ok("SELECT " + self.name)
        self.c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
        self.assertEqual(self.c.status(self.name, "DELETED", "DELETED-STORAGE", "MESSAGES"),
                         {b"MESSAGES": 2, b"DELETED": 2, b"DELETED-STORAGE": 2 * len(text)})
        self.c.ok("EXPUNGE")
        self.assertEqual((self.quota()[b"STORAGE"][0], self.quota()[b"MESSAGE"][0]), before)
        self.assertEqual(self.c.status(self.name, "DELETED", "DELETED-STORAGE"),
                         {b"DELETED": 0, b"DELETED-STORAGE": 0})

    def test_no_limit_is_what_the_store_has(self):  # 3.2: inherent limits are advised
        used, limit = self.quota()[b"STORAGE"]
        self.assertGreater(limit, 100 << 10)  # of 256M
        self.assertLess(limit, 256 << 10)
        self.assertNotIn(b"MESSAGE", self.quota())  # 4.2.1: those not named are not limited


class Setting(Quota):
    def test_only_an_admin(self):
        self.no("SETQUOTA %s (STORAGE 1)" % ANNA, b"NOPERM")
        self.no("SETQUOTA %s ()" % BERT, b"NOPERM")
        self.no('SETQUOTA "#user/nobody" (STORAGE 1)', c=self.chef)

    def test_limits_replace_all_before(self):  # 4.1.3
        for limits, storage, messages in (("STORAGE 510 MESSAGE 7", 510, 7), ("STORAGE 600", 600, None),
                                          ("message 9", None, 9), ("MESSAGE 1 STORAGE 1", 1, 1)):
            for got in self.limit(limits), self.quota(), self.quota(c=self.chef):
                if storage:
                    self.assertEqual(got[b"STORAGE"][1], storage, limits)
                else:
                    self.assertGreater(got[b"STORAGE"][1], 100 << 10)
                self.assertEqual(got[b"MESSAGE"][1] if b"MESSAGE" in got else None, messages, limits)
        self.assertNotIn(b"MESSAGE", self.limit(""))
        self.assertGreater(self.limit("STORAGE 9223372036854775807")[b"STORAGE"][1], 100 << 10)

    def test_resources_that_are_not_there(self):
        self.limit("STORAGE 700")
        for name in "MAILBOX", "ANNOTATION-STORAGE", "X-FOO":
            self.no("SETQUOTA %s (%s 10)" % (ANNA, name), c=self.chef)
            self.no("SETQUOTA %s (STORAGE 900 %s 10)" % (ANNA, name), c=self.chef)
        self.assertEqual(self.quota()[b"STORAGE"][1], 700)  # nothing was changed

    def test_they_outlive_a_restart(self):
        self.limit("STORAGE 810 MESSAGE 33")
        for end in self.box.restart, lambda: (self.box.kill(), self.box.start()):
            end()
            c = self.connect()
            got = self.quota(c=c)
            self.assertEqual((got[b"STORAGE"][1], got[b"MESSAGE"][1]), (810, 33))

    def test_zero(self):  # 3.1.2: any usage is prohibited
        self.limit("STORAGE 0")
        self.assertEqual(self.quota()[b"STORAGE"][1], 0)
        self.no_room(message(1))
        self.limit("MESSAGE 0")
        self.no_room(message(1))


class Full(Quota):
    """4.3.1: OVERQUOTA in the tagged NO of APPEND and COPY."""

    def fill_up(self, limits):
        self.fill(4, size=2000)
        self.c.ok("CREATE %s-to" % self.name)
        self.c.ok("SELECT " + self.name)
        used = self.quota()[b"STORAGE"][0]
        self.limit(limits % {"used": used, "messages": self.usage()[1]})

    def usage(self):
        got = self.chef.data("SETQUOTA %s (MESSAGE 1000000)" % ANNA, b"QUOTA")[0][1]
        return got[b"STORAGE"][0], got[b"MESSAGE"][0]

    def check(self):
        self.no_room(message(5, size=3000))
        self.no("COPY 1:4 %s-to" % self.name, FULL)
        self.no("UID COPY 1:4 %s-to" % self.name, FULL)
        self.assertEqual(self.c.status(self.name + "-to", "MESSAGES")[b"MESSAGES"], 0)  # all or nothing
        with Lmtp(self.box) as l:
            l.cmd("MAIL FROM:<x@a.example>")
            reply = l.cmd("RCPT TO:<anna>")[0]
            if reply == 250:  # judged when the size is known
                self.assertEqual(l.cmd("DATA")[0], 354)
                l.send(message(6, size=3000) + b"\r\n.\r\n")
                reply = l.reply()[0]
            self.assertEqual(reply, 452)
        # moving within what is full takes no room
        self.c.ok("UID MOVE 1:4 %s-to" % self.name)
        self.assertEqual(self.c.status(self.name + "-to", "MESSAGES")[b"MESSAGES"], 4)
        self.c.ok("SELECT %s-to" % self.name)
        self.c.ok("MOVE 1 " + self.name)
        # what goes makes room
        self.c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        self.c.append_uid(self.name, message(7, size=1000))

    def test_storage(self):
        self.fill_up("STORAGE %(used)d")
        self.check()

    def test_messages(self):
        self.fill_up("MESSAGE %(messages)d")
        self.check()

    def test_each_for_himself(self):
        self.limit("STORAGE 0")
        bert = self.connect("bert")
        bert.append_uid("INBOX", message(1))

    def test_over_the_limit_already(self):  # a limit below what is there takes nothing away
        self.fill(3, size=2000)
        got = self.limit("STORAGE 1 MESSAGE 1")
        self.assertGreater(got[b"STORAGE"][0], 1)
        self.assertEqual(self.c.status(self.name, "MESSAGES")[b"MESSAGES"], 3)
        self.c.ok("SELECT " + self.name)
        self.c.ok("STORE 1 +FLAGS (\\Flagged)")
        self.assertEqual(len(self.c.messages("1:3", "BODY.PEEK[]")), 3)


class Configured(unittest.TestCase):
    def test_the_configuration_s_limit(self):
        with Box("quota-config", quota="1M") as box:
            box.cubby("user", "add", "--admin", "chef", input=PASSWORD + "\n", check=True)
            with Strict(box, login="anna") as c, Strict(box, login="chef") as chef:
                self.assertEqual(c.data("GETQUOTA " + ANNA, b"QUOTA")[0][1], {b"STORAGE": (0, 1024)})
                chef.ok("SETQUOTA %s (STORAGE 2000)" % ANNA)
                self.assertEqual(c.data("GETQUOTA " + ANNA, b"QUOTA")[0][1], {b"STORAGE": (0, 2000)})
                self.assertEqual(chef.data("GETQUOTA " + BERT, b"QUOTA")[0][1], {b"STORAGE": (0, 1024)})
                big = message(1, size=1500000)
                c.append_uid("INBOX", big)
                self.assertEqual(c.data("GETQUOTA " + ANNA, b"QUOTA")[0][1][b"STORAGE"][0], -(-len(big) // 1024))


if __name__ == "__main__":
    unittest.main()
