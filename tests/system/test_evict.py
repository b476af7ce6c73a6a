"""Eviction on the real server: a flood that is never refused, what clients are told of it, looking ahead,
carrying a plan out, the audit, rules of mailboxes, and warnings."""

import json
import time
import unittest

from box import Box
from wire import Imap, Lmtp


def message(n, size):
    return (b"From: Joe <joe@a.example>\r\nTo: anna@box.home.arpa\r\nSubject: =?utf-8?q?n=C3=BCmber?= %d\r\n"
            b"Message-ID: <%d@a.example>\r\n\r\n" % (n, n)) + b"x" * 70 + b"\r\n" + (b"y" * 78 + b"\r\n") * (size // 80)


def evicting(name, **settings):
    box = Box(name, storage="4M", **{"message-size": "1M"})
    box.settings.update({"evict protect": "0s", "evict order": "deleted junk trash ring seen unseen"})
    box.settings.update({k.replace("_", " "): v for k, v in settings.items()})
    box.write_config()
    return box


def deliver(box, first, n, size=8000, user="anna", mailbox=None):
    with Lmtp(box) as c:
        for i in range(first, first + n):
            to = user + ("+" + mailbox if mailbox else "") + "@box.home.arpa"
            codes = c.deliver(message(i, size), to)
            assert codes == [250], (i, codes)


def answer(c, data, recipient):
    """The reply that decides: to RCPT when nothing more goes in at all, else to the message."""
    assert c.cmd("MAIL FROM:<sender@a.example>")[0] == 250
    code = c.cmd("RCPT TO:<%s>" % recipient)[0]
    c.cmd("RSET")
    return c.deliver(data, recipient)[0] if code == 250 else code


class Flood(unittest.TestCase):
    def test_ten_times_the_store_goes_in(self):
        with evicting("evict-flood") as box:
            deliver(box, 0, 1, 100)
            watcher = Imap(box, login="anna")
            watcher.ok("SELECT INBOX")
            deliver(box, 1, 5300)
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                exists = c.count("INBOX")
                self.assertGreater(exists, 150)
                # what is left is the newest, without a gap
                found = b"".join(line for line in c.ok("UID SEARCH ALL") if line.startswith(b"* SEARCH"))
                self.assertEqual([int(n) for n in found.split()[2:]], list(range(5302 - exists, 5302)))
                self.assertIn(b"%d\r\n" % 5300, c.body(exists))
            # the one who had it open is told of each, and then agrees
            watcher.ok("NOOP")
            self.assertEqual(watcher.count("INBOX"), exists)
            watcher.close()
            status = box.status()
            self.assertLessEqual(status["store"]["allocated"], 4 << 20)
            self.assertGreater(status["evict"]["messages"], 4000)
            self.assertEqual(status["evict"]["messages"], 5301 - exists)
            gone = json.loads(box.cubby("evict", "--log", "--json", check=True).out)
            self.assertEqual(len(gone), 256)
            self.assertEqual(gone[-1]["user"], "anna")
            self.assertEqual(gone[-1]["mailbox"], "INBOX")
            self.assertEqual(gone[-1]["class"], "unseen")
            self.assertIn("joe@a.example", gone[-1]["sender"])
            self.assertTrue(gone[-1]["subject"].startswith("n\u00fcmber "))

    def test_new_mail_is_protected(self):
        box = evicting("evict-new")
        box.settings["evict protect"] = "24h"
        box.write_config()
        with box:
            with Lmtp(box) as c:
                codes = [answer(c, message(i, 8000), "anna@box.home.arpa") for i in range(600)]
            self.assertIn(452, codes)
            taken = codes.count(250)
            self.assertEqual(codes, [250] * taken + [452] * (600 - taken))
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                self.assertEqual(c.count("INBOX"), taken)


class Plans(unittest.TestCase):
    def test_a_plan_is_shown_and_carried_out(self):
        with evicting("evict-plan") as box:
            deliver(box, 0, 150)
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                c.ok("STORE 150 +FLAGS (\\Flagged)")
                plan = json.loads(box.cubby("evict", "--dry-run", "--json", check=True).out)
                self.assertTrue(plan["enough"])
                self.assertEqual(plan["messages"], len(plan["items"]))
                self.assertEqual([i["uid"] for i in plan["items"]], list(range(1, plan["messages"] + 1)))
                self.assertEqual(plan["kept"]["flagged"]["messages"], 1)
                self.assertEqual(plan["kept"]["later"]["messages"], 149 - plan["messages"])
                self.assertRegex(plan["id"], "^[0-9a-f]{16}$")
                c.ok("STORE 2 +FLAGS (\\Flagged)")
                deliver(box, 150, 3)
                for other in "0" * 16, "12345":
                    wrong = box.cubby("evict", "--plan", other)
                    self.assertNotEqual(wrong.returncode, 0)
                    self.assertIn("no such plan", wrong.err)
                done = box.cubby("evict", "--plan", plan["id"], check=True).out
                self.assertIn("went: %d " % (plan["messages"] - 1), done)
                c.ok("NOOP")
                self.assertEqual(c.count("INBOX"), 153 - plan["messages"] + 1)
            text = box.cubby("evict", "--dry-run", "--all", check=True).out
            self.assertIn("flagged", text)
            self.assertIn("plan ", text)

    def test_rules_turn_a_mailbox_over(self):
        box = evicting("evict-rule", mailbox="Alerts count 20")
        with box:
            with Imap(box, login="anna") as c:
                c.ok("CREATE Alerts")
                deliver(box, 0, 100, 2000, mailbox="Alerts")
                end = time.monotonic() + 20
                while c.count("Alerts") != 20 and time.monotonic() < end:
                    time.sleep(0.1)
                c.ok("SELECT Alerts")
                self.assertEqual(c.count("Alerts"), 20)
            gone = json.loads(box.cubby("evict", "--log", "--json", check=True).out)
            self.assertEqual({g["class"] for g in gone}, {"rule"})


class Clients(unittest.TestCase):
    def test_settings_change_while_it_runs_and_login_warns(self):
        box = evicting("evict-reload")
        box.settings["evict"] = "off"
        box.write_config()
        with box:
            with Lmtp(box) as c:
                codes = [c.deliver(message(i, 8000), "anna@box.home.arpa")[0] for i in range(600)]
            self.assertIn(452, codes)
            with Imap(box) as c:
                self.assertTrue(any(b"[ALERT]" in line for line in c.ok('LOGIN anna "correct horse"')))
            box.settings["evict"] = "on"
            box.write_config()
            box.cubby("reload", check=True)
            deliver(box, 1000, 100)
            with Imap(box) as c:
                self.assertFalse(any(b"[ALERT]" in line for line in c.ok('LOGIN anna "correct horse"')))

    def test_import_evicts_nothing(self):
        with evicting("evict-import") as box:
            deliver(box, 0, 200)
            with open(box.path("old.mbox"), "wb") as f:
                for i in range(400):
                    f.write(b"From joe Mon Jan  5 10:00:00 2015\n" + message(1000 + i, 8000).replace(b"\r\n", b"\n") + b"\n")
            result = box.cubby("import", "anna", box.path("old.mbox"), "--mailbox", "Old", "--partial")
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                self.assertEqual(c.count("INBOX"), 200)
                self.assertGreater(c.count("Old"), 5, result.out + result.err)
            self.assertEqual(json.loads(box.cubby("evict", "--log", "--json", check=True).out), [])

    def test_users_are_warned_once(self):
        with evicting("evict-warn") as box:
            deliver(box, 0, 1)
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                deliver(box, 1, 290, 8000)
            box.restart()
            end = time.monotonic() + 30
            with Imap(box, login="anna") as c:
                c.ok("SELECT INBOX")
                while time.monotonic() < end:
                    got = c.ok("UID SEARCH KEYWORD $CubbyNotice")
                    if any(line.strip() != b"* SEARCH" for line in got if line.startswith(b"* SEARCH")):
                        break
                    time.sleep(0.5)
                    c.ok("NOOP")
                else:
                    self.fail("nobody was warned")


if __name__ == "__main__":
    unittest.main()
