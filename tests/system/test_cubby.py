"""The command-line tool, with and without a running server."""

import mailbox
import os
import pty
import re
import stat
import subprocess
import threading
import time
import unittest

from box import PASSWORD, Box, tool_binary
from sample import many, message
from wire import Imap


class Offline(unittest.TestCase):
    """A box that was not started: what is done shows when it runs."""

    def setUp(self):
        self.box = Box("offline", users=("anna",))

    def tearDown(self):
        self.box.close()

    def test_deliver(self):
        self.box.cubby("deliver", "anna", input=b"Subject: one\n\nbody\n", check=True)
        self.box.start()
        with Imap(self.box, login="anna") as c:
            c.ok("SELECT INBOX")
            self.assertTrue(c.body("1").endswith(b"Subject: one\r\n\r\nbody\r\n"))

    def test_import_and_check(self):
        path = self.box.path("mbox")
        with open(path, "wb") as f:
            for i in range(20):
                f.write(b"From joe@a.example Tue Sep  1 10:00:00 2026\n" + message(i).replace(b"\r\n", b"\n") + b"\n")
        out = self.box.cubby("import", "anna", path, check=True).out
        self.assertIn("20 messages", out)
        self.box.cubby("check", check=True)
        self.box.start()
        with Imap(self.box, login="anna") as c:
            self.assertEqual(c.count("INBOX"), 20)

    def test_remove_user_removes_the_mail(self):
        self.box.cubby("deliver", "anna", input=message(1), check=True)
        self.box.cubby("user", "remove", "anna", check=True)
        self.box.cubby("user", "add", "anna", input=PASSWORD + "\n", check=True)
        self.box.start()
        with Imap(self.box, login="anna") as c:
            self.assertEqual(c.count("INBOX"), 0)

    def test_the_server_waits_for_a_tool_at_work(self):
        tool = subprocess.Popen([tool_binary(), "-c", self.box.path("conf"), "deliver", "anna"], stdin=subprocess.PIPE,
                                cwd=self.box.dir)
        tool.stdin.write(b"Subject: slow\n\n")
        tool.stdin.flush()
        lock = os.path.join(self.box.path("store"), "lock")
        while not os.path.exists(lock):
            time.sleep(0.01)
        threading.Timer(0.6, lambda: tool.communicate(b"body\n")).start()
        self.box.start()
        with Imap(self.box, login="anna") as c:
            self.assertEqual(c.count("INBOX"), 1)

    def test_status_needs_a_server(self):
        result = self.box.cubby("status")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("cubbyd", result.err)


class Defaults(unittest.TestCase):
    def test_users_and_certificate_in_the_store_before_the_first_start(self):
        with Box("defaults", users=("anna",), tls=None, users_file=None) as box, Imap(box, tls=True, login="anna") as c:
            c.ok("NOOP")
            self.assertTrue(os.path.exists(box.path("store/users")))
            self.assertTrue(os.path.exists(box.path("store/cert.pem")))


class Online(unittest.TestCase):
    def setUp(self):
        self.box = Box("online", users=("anna",)).start()

    def tearDown(self):
        self.box.close()

    def login(self, user, password):
        with Imap(self.box) as c:
            return c.cmd('LOGIN %s "%s"' % (user, password))[0].startswith(b"OK")

    def test_users_without_a_restart(self):
        out = self.box.cubby("user", "add", "bert", input="first word\n", check=True).out
        self.assertRegex(out, r"\d+(\.\d+)? ms")  # the measured time of a password check
        self.assertTrue(self.login("bert", "first word"))
        self.assertNotEqual(self.box.cubby("user", "add", "bert", input="x\n").returncode, 0)
        self.box.cubby("user", "passwd", "bert", input="second word\n", check=True)
        self.assertFalse(self.login("bert", "first word"))
        self.assertTrue(self.login("bert", "second word"))
        self.box.cubby("user", "add", "--admin", "chef", input="third word\n", check=True)
        out = self.box.cubby("user", "list", check=True).out
        self.assertEqual([line.split()[0] for line in out.splitlines()], ["anna", "bert", "chef"])
        self.assertIn("admin", out.splitlines()[2])
        with Imap(self.box, login="bert", password="second word") as c:
            self.box.cubby("user", "remove", "bert", check=True)
            self.assertIn(b"* BYE This user was removed", c.rest())
        self.assertFalse(self.login("bert", "second word"))
        self.assertNotEqual(self.box.cubby("user", "remove", "bert").returncode, 0)

    def test_passwords_are_kept_as_verifiers(self):
        path = self.box.path("users")
        with open(path) as f:
            self.assertNotIn(PASSWORD, f.read())
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & 0o077, 0)

    def test_what_a_login_costs_is_said(self):
        """scram-iterations and their measured time, when a user is added and when a password changes."""
        for command in ["add", "carla"], ["passwd", "carla"]:
            out = self.box.cubby("user", *command, input="good password\n", check=True).out
            found = re.search(r"a login takes (\d+\.\d) ms of this box \(4096 iterations\)", out)
            self.assertTrue(found, out)
            self.assertGreater(float(found.group(1)), 0)
        self.box.cubby("user", "remove", "carla", check=True)

    def test_bad_user_names_and_passwords(self):
        for name in "", " a", "a\nb", "x" * 100, "a/b", "a@b":
            self.assertNotEqual(self.box.cubby("user", "add", name, input="good password\n").returncode, 0, name)
        self.assertNotEqual(self.box.cubby("user", "add", "dora", input="\n").returncode, 0)
        self.assertNotEqual(self.box.cubby("user", "add", "dora", input="").returncode, 0)
        self.assertNotEqual(self.box.cubby("user", "passwd", "nobody", input="x\n").returncode, 0)

    def test_usage(self):
        self.assertEqual(self.box.cubby("--help").returncode, 0)
        for words in ((), ("frobnicate",), ("user",), ("user", "frobnicate"), ("deliver",), ("status", "--yaml"),
                      ("import", "anna")):
            result = self.box.cubby(*words)
            self.assertEqual(result.returncode, 64, words)
            self.assertTrue(result.err)

    def test_deliver(self):
        self.box.cubby("deliver", "anna", input=b"Subject: a\nX: y\n\nbody\r\nmore\n", check=True)
        self.box.cubby("deliver", "anna", "--mailbox", "Junk", check=True,
                       input=b"From joe Tue Sep  1 10:00:00 2026\nSubject: b\n\n")
        self.assertEqual(self.box.cubby("deliver", "nobody", input=b"x").returncode, 67)
        self.assertEqual(self.box.cubby("deliver", "anna", "--mailbox", "Nowhere", input=b"x").returncode, 67)
        with Imap(self.box, login="anna") as c:
            c.ok("SELECT INBOX")
            self.assertTrue(c.body("1").endswith(b"Subject: a\r\nX: y\r\n\r\nbody\r\nmore\r\n"))
            c.ok("SELECT Junk")
            self.assertTrue(c.body("1").endswith(b"Subject: b\r\n\r\n"))
            self.assertNotIn(b"From joe Tue", c.body("1"))

    def test_large_delivery(self):
        data = message(1, size=5_000_000)
        self.box.cubby("deliver", "anna", input=data, check=True)
        with Imap(self.box, login="anna") as c:
            c.ok("SELECT INBOX")
            self.assertTrue(c.body("1").endswith(data))

    def test_import_maildir(self):
        root = self.box.path("Maildir")
        box = mailbox.Maildir(root)
        expected = {}
        when = int(time.mktime((2020, 5, 17, 12, 0, 0, 0, 0, -1)))
        for i, flags in enumerate(("", "S", "RS", "FS", "DS", "ST", "PS")):
            m = mailbox.MaildirMessage(message(i))
            m.set_subdir("cur" if flags else "new")
            m.set_flags(flags)
            m.set_date(when + i * 86400)
            box.add(m)
            expected[i] = flags
        sub = box.add_folder("Lists.M&APw-sli")
        sub.add(mailbox.MaildirMessage(message(50)))
        with open(os.path.join(root, "dovecot-keywords"), "w") as f:
            f.write("0 $label1\n1 Work\n")
        path = os.path.join(root, "cur", "1589709700.M1P1.host:2,Sab")
        with open(path, "wb") as f:
            f.write(message(60))
        os.utime(path, (when, when))
        out = self.box.cubby("import", "anna", root, check=True).out
        self.assertIn("9 messages", out)
        self.assertIn("fit", out)
        names = {"R": b"\\Answered", "S": b"\\Seen", "F": b"\\Flagged", "D": b"\\Draft", "T": b"\\Deleted",
                 "P": b"$Forwarded"}
        with Imap(self.box, login="anna") as c:
            c.ok("SELECT INBOX")
            found = c.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
            self.assertEqual(len(found), 8)
            by_text = {items[b"BODY[]"]: items for items in found.values()}
            for i, flags in expected.items():
                items = by_text[message(i)]
                self.assertEqual(set(items[b"FLAGS"]) - {b"\\Recent"}, {names[x] for x in flags}, i)
                date = time.strptime(items[b"INTERNALDATE"].decode(), "%d-%b-%Y %H:%M:%S %z")
                self.assertEqual(date[:3], time.localtime(when + i * 86400)[:3])
            self.assertTrue({b"$label1", b"Work"} <= set(by_text[message(60)][b"FLAGS"]))
            c.ok("SELECT Lists/M&APw-sli")
            self.assertEqual(c.body("1"), message(50))

    def test_import_mbox(self):
        path = self.box.path("mbox")
        text = [
            b"From MAILER-DAEMON Fri Jul  8 12:08:34 2011\nFrom: Mail System\n"
            b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\nThis text is part of the internal format.\n\n",
            b"From joe@a.example Sat Jan  3 01:05:34 1996\nSubject: one\nStatus: RO\nX-Status: AF\n"
            b"X-Keywords: $label1 Work\n\n>From here on\n>>From there\nFrom the middle of a text\n\n"
            b"From no date either\n\nlast\n\n",
            b"From - Wed Feb 29 23:59:59 2012 +0100\nSubject: two\nX-Mozilla-Status: 0005\n"
            b"X-Mozilla-Keys: $label2    \n\nx\n\n",
            b"From - Thu Mar  1 00:00:00 2012\nSubject: gone\nX-Mozilla-Status: 0009\n\nx\n\n",
            b"From a b c Thu Mar  1 00:00:00 2012\nSubject: no end\n\nno end",
        ]
        with open(path, "wb") as f:
            f.write(b"".join(text))
        out = self.box.cubby("import", "anna", path, "--mailbox", "Old/Mail", check=True).out
        self.assertIn("3 messages", out)
        with Imap(self.box, login="anna") as c:
            c.ok("SELECT Old/Mail")
            found = c.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
            self.assertEqual(len(found), 3)
            self.assertEqual(set(found[1][b"FLAGS"]) - {b"\\Recent"},
                             {b"\\Seen", b"\\Answered", b"\\Flagged", b"$label1", b"Work"})
            self.assertRegex(found[1][b"INTERNALDATE"], rb"^[ 0]3-Jan-1996 01:05:34 [+-]\d{4}$")
            self.assertTrue(found[1][b"BODY[]"].endswith(
                b"\r\n\r\nFrom here on\r\n>From there\r\nFrom the middle of a text\r\n\r\n"
                b"From no date either\r\n\r\nlast\r\n"))
            self.assertEqual(set(found[2][b"FLAGS"]) - {b"\\Recent"}, {b"\\Seen", b"\\Flagged", b"$label2"})
            self.assertEqual(found[2][b"INTERNALDATE"], b"29-Feb-2012 23:59:59 +0100")
            self.assertTrue(found[3][b"BODY[]"].endswith(b"\r\n\r\nno end"))

    def test_import_of_many_and_of_what_is_no_mail(self):
        root = self.box.path("many")
        box = mailbox.Maildir(root)
        texts = list(many(500))
        for t in texts:
            box.add(mailbox.MaildirMessage(t))
        self.box.cubby("import", "anna", root, check=True)
        with Imap(self.box, login="anna") as c:
            c.ok("SELECT INBOX")
            found = c.fetch("1:*", "(BODY.PEEK[])")
            self.assertEqual(sorted(i[b"BODY[]"] for i in found.values()), sorted(texts))
        for path in self.box.path("nothing"), self.box.path("conf"), self.box.dir:
            self.assertNotEqual(self.box.cubby("import", "anna", path).returncode, 0, path)
        self.assertEqual(self.box.cubby("import", "nobody", root).returncode, 67)

    def test_status(self):
        self.box.cubby("deliver", "anna", input=message(1), check=True)
        status = self.box.status()
        self.assertEqual(status["store"]["messages"], 1)
        self.assertEqual(status["users"], [{"name": "anna", "admin": False, "messages": 1,
                                            "mail": status["users"][0]["mail"]}])
        self.assertTrue(all(p["used"] <= p["count"] for p in status["pools"]))
        self.assertLess({"tls", "input", "output", "logins", "IMAP sessions", "IMAP commands", "uploads",
                         "arriving mail", "views", "searches", "delivery sessions", "control sessions"},
                        {p["name"] for p in status["pools"]})
        self.assertEqual([p["name"] for p in status["protocols"]], ["imap", "lmtp", "control"])
        self.assertEqual(status["protocols"][2]["connections"], 1)
        self.assertGreaterEqual(status["flash"]["ratio"], 1)
        with Imap(self.box, tls=True, login="anna") as c:
            c.begin("IDLE")
            c.response()
            with Imap(self.box) as d:
                self.assertTrue(d.cmd("LOGIN anna wrong")[0].startswith(b"NO"))
            status = self.box.status()
            self.assertEqual(status["protocols"][0],
                             {"name": "imap", "connections": 1, "tls": 1, "logged-in": 1, "idle": 1})
        self.assertEqual((status["logins"]["good"], status["logins"]["failed"]), (1, 1))
        self.assertEqual(status["tls"]["places-used"], 1)
        text = self.box.cubby("status", check=True).out
        self.assertRegex(text, r"(?m)^store messages +1$")

    def test_check(self):
        self.box.cubby("deliver", "anna", input=message(1), check=True)
        self.assertEqual(self.box.cubby("check", check=True).returncode, 0)

    def test_config(self):
        self.assertEqual(self.box.cubby("config", "check").returncode, 0)
        self.assertEqual(self.box.cubby("config", "get", "domain", check=True).out.strip(), "box.home.arpa")
        self.assertNotEqual(self.box.cubby("config", "get", "nonsense").returncode, 0)
        self.assertNotEqual(self.box.cubby("config", "set", "memory", "many").returncode, 0)


class Terminal(unittest.TestCase):
    """The tool with somebody in front of it."""

    def run_in_terminal(self, box, answers, *args):
        """Runs cubby on a terminal; answers: (what to wait for, what to type). What it showed, and its
        exit code."""
        pid, master = pty.fork()
        if pid == 0:
            os.execv(tool_binary(), [tool_binary(), "-c", box.path("conf"), *args])
        shown = b""
        answers = list(answers)
        while True:
            if answers and answers[0][0] in shown[-100:]:
                time.sleep(0.05)  # the prompt stands before the echo is off
                os.write(master, answers.pop(0)[1])
            try:
                data = os.read(master, 4096)
            except OSError:
                break
            if not data:
                break
            shown += data
        os.close(master)
        return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_password_is_asked_twice_and_not_shown(self):
        with Box("terminal", users=()) as box:
            shown, code = self.run_in_terminal(box, [(b"Password: ", b"first word\n"), (b"Again: ", b"first word\n")],
                                               "user", "add", "anna")
            self.assertEqual(code, 0, shown)
            self.assertNotIn(b"first", shown)
            with Imap(box, login="anna", password="first word") as c:
                c.ok("NOOP")
            shown, code = self.run_in_terminal(box, [(b"Password: ", b"one word\n"), (b"Again: ", b"other word\n")],
                                               "user", "passwd", "anna")
            self.assertEqual(code, 1, shown)
            with Imap(box, login="anna", password="first word") as c:
                c.ok("NOOP")

    def test_import_shows_its_progress(self):
        with Box("progress", users=("anna",)) as box:
            maildir = mailbox.Maildir(box.path("Maildir"))
            for m in many(300):
                maildir.add(mailbox.MaildirMessage(m))
            shown, code = self.run_in_terminal(box, [], "import", "anna", box.path("Maildir"))
            self.assertEqual(code, 0, shown)
            self.assertRegex(shown, rb"\r\[#{40}\] 100%  300 of 300 messages")


class ImportRoom(unittest.TestCase):
    def test_says_how_much_fits_in_a_nearly_full_store(self):
        """What is said to fit does; and not much more would have fitted."""
        for size, offered in ((300, 1800), (3000, 1100), (8000, 450), (20000, 180), (50000, 80)):
            with self.subTest(size=size), Box("fit", users=("anna",), storage="4M", evict="off") as box:
                source = box.path("mbox")
                with open(source, "wb") as f:
                    for i in range(offered):
                        head = b"From: a@b.example\nSubject: number %d\nMessage-ID: <%d@b.example>\n\n" % (i, i)
                        f.write(b"From a@b Mon Jan  1 00:00:00 2024\n" + head)
                        f.write((b"x" * 70 + b"\n") * ((size - len(head)) // 71 + 1) + b"\n")
                result = box.cubby("import", "anna", source)
                said = int(re.search(r"only the first (\d+) of them fit", result.out).group(1))
                self.assertEqual(result.returncode, 75)
                result = box.cubby("import", "anna", source, "--partial")
                got = int(re.search(r"(\d+) of \d+ messages are in", result.out).group(1))
                self.assertGreaterEqual(got, said)
                self.assertGreaterEqual(said, got * 85 // 100)

    def test_says_what_fits_and_never_overfills(self):
        with Box("room", users=("anna",), quota="1M") as box:
            root = box.path("Maildir")
            maildir = mailbox.Maildir(root)
            for i in range(20):
                maildir.add(mailbox.MaildirMessage(message(i, size=100000)))
            result = box.cubby("import", "anna", root)
            self.assertEqual(result.returncode, 75)
            self.assertRegex(result.out + result.err, r"\b(8|9|10) of")
            with Imap(box, login="anna") as c:
                self.assertEqual(c.count("INBOX"), 0)
            result = box.cubby("import", "anna", root, "--partial")
            self.assertEqual(result.returncode, 75)
            with Imap(box, login="anna") as c:
                self.assertIn(c.count("INBOX"), (8, 9, 10))


if __name__ == "__main__":
    unittest.main()
