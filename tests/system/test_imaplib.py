"""Python's imaplib in two connections: each sees what the other does."""

import imaplib
import time
import unittest

from box import PASSWORD, Box
from sample import message


class TwoConnections(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.box = Box("imaplib").start()

    @classmethod
    def tearDownClass(cls):
        cls.box.close()

    def connect(self):
        c = imaplib.IMAP4_SSL("localhost", self.box.tls_port, ssl_context=self.box.tls_context())
        self.assertEqual(c.login("anna", PASSWORD)[0], "OK")
        return c

    def setUp(self):
        self.a, self.b = self.connect(), self.connect()
        self.a.create(self.id())
        for c in self.a, self.b:
            self.assertEqual(c.select('"%s"' % self.id())[0], "OK")

    def tearDown(self):
        for c in self.a, self.b:
            c.logout()

    def told(self, c, word):
        """The untagged responses of that kind since the last time, after a NOOP."""
        c.response(word)
        self.assertEqual(c.noop()[0], "OK")
        return [d for d in c.response(word)[1] if d is not None]

    def names(self):
        """The mailboxes as the second connection lists them."""
        return [line.decode().split('"/" ')[1].strip('"') for line in self.b.list()[1]]

    def append(self, i):
        self.assertEqual(self.a.append('"%s"' % self.id(), None, None, message(i))[0], "OK")

    def test_arrival(self):
        self.append(1)
        self.assertEqual(self.told(self.b, "EXISTS"), [b"1"])
        self.assertEqual(self.b.fetch("1", "(BODY.PEEK[])")[1][0][1], message(1))

    def test_flags(self):
        self.append(1)
        self.told(self.b, "EXISTS")
        self.assertEqual(self.a.store("1", "+FLAGS", "(\\Flagged $label1)")[0], "OK")
        told = self.told(self.b, "FETCH")
        self.assertEqual(len(told), 1)
        self.assertIn(b"\\Flagged", told[0])
        self.assertIn(b"$label1", told[0])
        self.assertEqual(self.b.store("1", "-FLAGS", "(\\Flagged)")[0], "OK")
        told = self.told(self.a, "FETCH")
        self.assertEqual(len(told), 1)
        self.assertNotIn(b"\\Flagged", told[0])

    def test_expunge(self):
        for i in range(5):
            self.append(i)
        self.told(self.b, "EXISTS")
        self.a.store("2,4", "+FLAGS.SILENT", "(\\Deleted)")
        self.assertEqual(self.a.expunge()[0], "OK")
        # RFC 3501 7.4.1: a FETCH by number says nothing of it, and the numbers still mean the same.
        self.b.response("EXPUNGE")
        data = self.b.fetch("5", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        self.assertIn(b"message 4", data[0][1])
        self.assertEqual([d for d in self.b.response("EXPUNGE")[1] if d], [])
        left = [1, 2, 3, 4, 5]
        for number in self.told(self.b, "EXPUNGE"):  # in any order, each counted after those before it
            del left[int(number) - 1]
        self.assertEqual(left, [1, 3, 5])
        self.assertEqual(self.b.search(None, "ALL")[1], [b"1 2 3"])

    def test_move_between_mailboxes(self):
        self.append(1)
        self.told(self.b, "EXISTS")
        self.assertEqual(self.a._simple_command("MOVE", "1", "Trash")[0], "OK")
        self.assertEqual(self.told(self.b, "EXPUNGE"), [b"1"])
        self.assertEqual(self.b.select("Trash")[0], "OK")
        self.assertEqual(self.b.search(None, "SUBJECT", '"message 1"')[1], [b"1"])

    def test_delete_and_rename_of_a_mailbox(self):
        self.assertEqual(self.a.create("Old")[0], "OK")
        self.assertEqual(self.a.rename("Old", "New/Name")[0], "OK")
        self.assertIn("New/Name", self.names())
        self.assertNotIn("Old", self.names())
        self.assertEqual(self.a.delete("New/Name")[0], "OK")
        self.assertNotIn("New/Name", self.names())

    def test_idle_is_told_at_once(self):
        tag = self.b._new_tag()
        self.b.send(tag + b" IDLE\r\n")
        self.assertTrue(self.b.readline().startswith(b"+"))
        start = time.monotonic()
        self.append(1)
        line = self.b.readline()
        while b"EXISTS" not in line:
            line = self.b.readline()
        self.assertEqual(line, b"* 1 EXISTS\r\n")
        self.assertLess(time.monotonic() - start, 2)
        self.b.send(b"DONE\r\n")
        while not line.startswith(tag):
            line = self.b.readline()
        self.assertIn(b"OK", line)


if __name__ == "__main__":
    unittest.main()
