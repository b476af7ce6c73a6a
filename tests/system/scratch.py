"""The base of tests that speak IMAP to one server: each test has a connection and an empty mailbox
of its own."""

import itertools
import unittest

from box import Box
from sample import message
from strict import Strict

serial = itertools.count(1)


class Scratch(unittest.TestCase):
    """One server a class. self.c is logged in; self.name is the test's mailbox, not yet selected."""

    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.box = Box(cls.__name__.lower(), **cls.settings).start()

    @classmethod
    def tearDownClass(cls):
        cls.box.close()

    def setUp(self):
        self.c = self.connect()
        self.name = "m%d" % next(serial)
        self.c.ok("CREATE " + self.name)

    def connect(self, login="anna", **kw):
        c = Strict(self.box, login=login, **kw)
        self.addCleanup(c.close)
        return c

    def fill(self, n, mailbox=None, **kw):
        for i in range(n):
            self.c.append_uid(mailbox or self.name, message(i + 1, **kw))

    def opened(self, n=0):
        """The test's mailbox with n messages, selected."""
        self.fill(n)
        self.c.ok("SELECT " + self.name)
        return self.c

    def also(self):
        """A second session that has the test's mailbox selected."""
        d = self.connect()
        d.ok("SELECT " + self.name)
        return d

    def refuses(self, command, word, code=None, c=None):
        """NO or BAD, with the response code if one is given (or one of several)."""
        got = (c or self.c).tagged(command)
        self.assertEqual(got[0], word, (command, got))
        if code is not None:
            self.assertIn(got[1], code if isinstance(code, tuple) else (code,), command)

    def no(self, command, code=None, c=None):
        self.refuses(command, b"NO", code, c)

    def bad(self, command, c=None):
        self.refuses(command, b"BAD", c=c)

    def names(self, arguments, command="LIST", c=None):
        """Names that LIST or LSUB returns, sorted."""
        found = [v[2].decode() for v in (c or self.c).data("%s %s" % (command, arguments), command.encode())]
        self.assertEqual(len(found), len(set(found)), "a name twice")
        return sorted(found)

    def attributes(self, arguments, command="LIST"):
        """{name: {attributes in lower case}}"""
        return {v[2].decode(): {f.decode().lower() for f in v[0]}
                for v in self.c.data("%s %s" % (command, arguments), command.encode())}
