"""RFC 3501 on two sessions in one mailbox: sections 5.2, 5.3, 7.3 and 7.4, with RFC 2180."""

import unittest

from sample import message
from scratch import Scratch
from strict import read


class TwoSessions(Scratch):
    """5.2, 7: what one session is told of the other."""

    def setUp(self):
        super().setUp()
        self.opened(5)
        self.d = self.also()

    def kinds(self, c, command):
        return [read(r)[0] for r in c.ok(command)]

    def test_new_mail(self):  # 7.3.1, 7.3.2
        self.c.append_uid(self.name, message(6))
        self.assertIn(b"EXISTS", self.kinds(self.d, "NOOP"))
        self.assertEqual(self.d.exists, 6)
        self.assertEqual(self.kinds(self.d, "NOOP"), [])

    def test_new_mail_with_any_command(self):  # 5.2: observed during the processing of a command
        for i, command in enumerate(("FETCH 1 FLAGS", "STORE 1 +FLAGS (\\Seen)", "SEARCH ALL", "CHECK",
                                     "STATUS INBOX (MESSAGES)", "UID FETCH 1 FLAGS", 'LIST "" INBOX', "COPY 1 INBOX"),
                                     6):
            self.c.append_uid(self.name, message(i))
            self.d.ok(command)
            if self.d.exists != i:
                self.d.ok("NOOP")
            self.assertEqual(self.d.exists, i, command)

    def test_flags(self):  # 7: FETCH
        self.c.ok("STORE 2:3 +FLAGS (\\Flagged)")
        told = [read(r) for r in self.d.ok("NOOP")]
        self.assertEqual(sorted((k, v[0]) for k, v in told), [(b"FETCH", 2), (b"FETCH", 3)])
        for _, (_, values) in told:
            self.assertIn(b"\\Flagged", values[b"FLAGS"])
        self.assertEqual(self.kinds(self.d, "NOOP"), [])
        self.assertEqual(self.kinds(self.c, "NOOP"), [])  # its own change it knows

    def test_seen_by_fetch(self):
        self.c.ok("FETCH 4 BODY[]")
        told = [read(r)[1] for r in self.d.ok("NOOP")]
        self.assertEqual([n for n, _ in told], [4])
        self.assertIn(b"\\Seen", told[0][1][b"FLAGS"])

    def test_silent_store_tells_what_others_changed(self):  # 6.4.6, Note
        self.c.ok("STORE 2 +FLAGS (\\Flagged)")
        told = [read(r)[1] for r in self.d.ok("STORE 2 +FLAGS.SILENT (\\Seen)") if b"FETCH" in r]
        if not told:
            told = [read(r)[1] for r in self.d.ok("NOOP") if b"FETCH" in r]
        self.assertTrue(told and {b"\\Flagged", b"\\Seen"} <= set(told[-1][1][b"FLAGS"]), told)

    def test_expunge(self):
        self.c.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)")
        self.d.ok("NOOP")
        self.c.ok("EXPUNGE")
        self.d.ok("NOOP")
        self.assertEqual(self.d.exists, 3)
        self.assertEqual(self.d.uids(), [1, 3, 5])

    def test_no_expunge_where_numbers_are_used(self):  # 7.4.1; Strict fails at an EXPUNGE in one of these
        self.c.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        d = self.d
        d.cmd("FETCH 1:5 FLAGS")
        d.cmd("STORE 1 +FLAGS (\\Seen)")
        d.ok("SEARCH ALL")
        self.assertEqual(d.exists, 5)
        self.assertEqual(d.messages("5", "UID")[5][b"UID"], 5)
        self.assertEqual(d.search("UID 5"), [5])
        d.ok("STORE 5 +FLAGS (\\Flagged)")
        d.ok("NOOP")
        self.assertEqual(d.exists, 4)
        self.assertEqual(d.messages("4", "(UID FLAGS)")[4][b"UID"], 5)
        self.assertIn(b"\\Flagged", d.flags(4))

    def test_new_mail_while_expunges_wait(self):  # 5.2: EXISTS may not shrink the mailbox
        self.c.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        self.c.append_uid(self.name, message(6))
        self.d.cmd("FETCH 4 FLAGS")
        self.assertIn(self.d.exists, (5, 6))
        self.d.ok("NOOP")
        self.assertEqual(self.d.exists, 3)
        self.assertEqual(self.d.uids(), [4, 5, 6])

    def test_numbers_of_a_message_that_is_gone(self):  # RFC 2180 4.1
        self.c.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        status, untagged = self.d.cmd("FETCH 2 (UID BODY.PEEK[])")
        self.assertTrue(status.startswith((b"OK", b"NO")), status)
        status, _ = self.d.cmd("STORE 2 +FLAGS (\\Seen)")
        self.assertTrue(status.startswith((b"OK", b"NO")), status)
        status, _ = self.d.cmd("COPY 2 INBOX")
        self.assertTrue(status.startswith(b"NO"), status)
        self.d.ok("NOOP")
        self.assertEqual(self.d.uids(), [1, 3, 4, 5])

    def test_copy_with_one_that_is_gone_copies_nothing(self):  # 6.4.7, RFC 2180 4.4.1
        self.c.ok("CREATE %s-to" % self.name)
        self.c.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        status, _ = self.d.cmd("COPY 1:5 %s-to" % self.name)
        got = self.d.status(self.name + "-to", "MESSAGES")[b"MESSAGES"]
        self.assertEqual(got, 0 if status.startswith(b"NO") else 4)

    def test_close_by_the_other(self):
        self.c.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("CLOSE")
        self.d.ok("NOOP")
        self.assertEqual(self.d.uids(), [3, 4, 5])

    def test_no_expunge_between_literal_and_command(self):  # 7.4.1: not in progress before it is complete
        d = self.d
        d.send("x APPEND %s {4}\r\n" % self.name)
        self.assertTrue(d.response().startswith(b"+"))
        self.c.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        d.socket.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            d.line()
        d.socket.settimeout(60)
        d.note(b"x", b"APPEND")
        d.send("abcd\r\n")
        d.until(b"x")
        d.ok("NOOP")
        self.assertEqual(d.exists, 5)
        self.assertEqual(len(d.uids()), 5)

    def test_no_expunge_without_a_command(self):  # 7.4.1, 5.3
        self.c.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        self.d.socket.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            while True:
                self.assertNotRegex(self.d.response(), rb"EXPUNGE")

    def test_many_changes_between_two_looks(self):
        c, d = self.c, self.d
        for i in range(30):
            c.append_uid(self.name, message(i))
            c.ok("STORE %d +FLAGS (\\Seen)" % (i % c.exists + 1))
            if i % 3 == 0:
                c.ok("STORE %d +FLAGS.SILENT (\\Deleted)" % (i % c.exists + 1))
                c.ok("EXPUNGE")
        d.ok("NOOP")
        self.assertEqual(d.exists, c.exists)
        self.assertEqual(d.uids(), c.uids())

    def test_the_mailbox_of_another_user(self):
        other = self.connect("bert")
        self.no("SELECT " + self.name, c=other)
        self.no("STATUS %s (MESSAGES)" % self.name, c=other)
        self.assertEqual(self.names('"" ' + self.name, c=other), [])


if __name__ == "__main__":
    unittest.main()
