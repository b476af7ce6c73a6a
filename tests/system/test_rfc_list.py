"""The extended LIST: RFC 5258, with RFC 3348 (CHILDREN), 5819 (LIST-STATUS) and 6154 (SPECIAL-USE)."""

import unittest

from scratch import Scratch


class ListExtended(Scratch):
    def setUp(self):
        super().setUp()
        n = self.name
        for child in "/Fruit", "/Fruit/Apple", "/Fruit/Banana", "/Tofu", "/Veg", "/Veg/Broccoli", "/Veg/Corn":
            self.c.ok("CREATE %s%s" % (n, child))
        for child in "/Fruit/Banana", "/Veg", "/Veg/Broccoli":
            self.c.ok("SUBSCRIBE %s%s" % (n, child))
        self.c.ok("CREATE %s/Fruit/Peach" % n)
        self.c.ok("SUBSCRIBE %s/Fruit/Peach" % n)
        self.c.ok("DELETE %s/Fruit/Peach" % n)

    def lines(self, arguments):
        """{name below the test's mailbox: (attributes in lower case, extended data)}"""
        found = {}
        for flags, delimiter, name, extended in self.c.data("LIST " + arguments, b"LIST"):
            self.assertEqual(delimiter, b"/")
            self.assertNotIn(name, found)
            lower = {f.decode().lower() for f in flags}
            self.assertLessEqual(len(lower & {"\\noselect", "\\nonexistent", "\\marked", "\\unmarked"}), 1, flags)
            found[name.decode()] = lower, extended
        return {name[len(self.name):]: value for name, value in found.items()}

    def test_subscribed(self):  # 3.1, examples 2 and 3
        got = self.lines('(SUBSCRIBED) "" %s/*' % self.name)
        self.assertEqual(set(got), {"/Fruit/Banana", "/Fruit/Peach", "/Veg", "/Veg/Broccoli"})
        for name, (attributes, extended) in got.items():
            self.assertIn("\\subscribed", attributes)
            self.assertEqual("\\nonexistent" in attributes, name == "/Fruit/Peach")
            self.assertEqual(extended, {})
        self.assertEqual(self.lines('(SUBSCRIBED) "" %s' % self.name), {})

    def test_return_subscribed(self):  # 3.2: of existing mailboxes only
        got = self.lines('"" %s/* RETURN (SUBSCRIBED)' % self.name)
        self.assertEqual({n for n, (a, _) in got.items() if "\\subscribed" in a},
                         {"/Fruit/Banana", "/Veg", "/Veg/Broccoli"})
        self.assertNotIn("/Fruit/Peach", got)
        self.assertEqual(len(got), 7)

    def test_children(self):  # 4, example 3; RFC 3348
        got = self.lines('() "" %s/%% RETURN (CHILDREN)' % self.name)
        self.assertEqual({n: a & {"\\haschildren", "\\hasnochildren"} for n, (a, _) in got.items()},
                         {"/Fruit": {"\\haschildren"}, "/Tofu": {"\\hasnochildren"}, "/Veg": {"\\haschildren"}})
        self.c.ok("DELETE %s/Veg/Corn" % self.name)
        self.c.ok("DELETE %s/Veg/Broccoli" % self.name)
        self.assertIn("\\hasnochildren", self.lines('"" %s/Veg RETURN (CHILDREN)' % self.name)["/Veg"][0])

    def test_recursivematch(self):  # 3.1, 3.5, example 8
        got = self.lines('(SUBSCRIBED RECURSIVEMATCH) "" %s/%%' % self.name)
        self.assertEqual(set(got), {"/Fruit", "/Veg"})
        self.assertNotIn("\\subscribed", got["/Fruit"][0])
        self.assertEqual(got["/Fruit"][1], {b"CHILDINFO": [b"SUBSCRIBED"]})
        self.assertIn("\\subscribed", got["/Veg"][0])
        self.assertEqual(got["/Veg"][1], {b"CHILDINFO": [b"SUBSCRIBED"]})
        got = self.lines('(RECURSIVEMATCH SUBSCRIBED) "" %s/Fruit/%%' % self.name)
        self.assertEqual({n: e for n, (_, e) in got.items()}, {"/Fruit/Banana": {}, "/Fruit/Peach": {}})
        self.assertEqual(set(self.lines('(SUBSCRIBED RECURSIVEMATCH) "" %s' % self.name)), {""})

    def test_recursivematch_of_what_does_not_exist(self):  # example 8, A2
        self.c.ok("CREATE %s/Gone/Child" % self.name)
        self.c.ok("SUBSCRIBE %s/Gone/Child" % self.name)
        self.c.ok("DELETE %s/Gone/Child" % self.name)
        self.c.ok("DELETE %s/Gone" % self.name)
        got = self.lines('(SUBSCRIBED RECURSIVEMATCH) "" %s/G%%' % self.name)
        self.assertEqual(set(got), {"/Gone"})
        self.assertIn("\\nonexistent", got["/Gone"][0])
        self.assertEqual(got["/Gone"][1], {b"CHILDINFO": [b"SUBSCRIBED"]})

    def test_recursivematch_alone(self):  # 3.1, 6: BAD
        self.bad('LIST (RECURSIVEMATCH) "" *')
        self.bad('LIST (REMOTE RECURSIVEMATCH) "" *')
        self.bad('LIST (SPECIAL-USE RECURSIVEMATCH) "" *')  # RFC 6154 6: no base option either

    def test_remote(self):  # 3.1: there are none, and it changes nothing
        self.assertEqual(self.lines('(REMOTE) "" %s/%%' % self.name), self.lines('() "" %s/%%' % self.name))
        self.c.ok('LIST (REMOTE SUBSCRIBED RECURSIVEMATCH) "" *')

    def test_patterns(self):  # 3, example 7: several; each mailbox once
        n = self.name
        self.assertEqual(set(self.lines('"" (%s/Tofu %s/Veg/%%)' % (n, n))), {"/Tofu", "/Veg/Broccoli", "/Veg/Corn"})
        self.assertEqual(set(self.lines('"" (%s/Tofu %s/T* %s/Tofu)' % (n, n, n))), {"/Tofu"})
        self.assertEqual(set(self.lines('"%s/" (Tofu "Veg")' % n)), {"/Tofu", "/Veg"})
        self.assertEqual(set(self.lines('"" ("" %s/Tofu)' % n)), {"/Tofu"})  # 3: "" is ignored
        self.assertEqual(set(self.lines('(SUBSCRIBED) "" (%s/V%% %s/*/B*)' % (n, n))),
                         {"/Veg", "/Veg/Broccoli", "/Fruit/Banana"})

    def test_the_empty_name_is_nothing_special(self):  # 3: in any extended LIST
        for arguments in '() "" ""', '"" "" RETURN ()', '"" ("")', '"" "" RETURN (CHILDREN)', '(SUBSCRIBED) "" ""':
            with self.subTest(arguments=arguments):
                self.assertEqual(self.c.data("LIST " + arguments, b"LIST"), [])
        self.assertEqual(self.c.data('LIST () %s/ ""' % self.name, b"LIST"), [])
        self.assertEqual(len(self.c.data('LIST "" ""', b"LIST")), 1)

    def test_options_twice_and_in_any_order(self):  # 3
        n = self.name
        self.assertEqual(self.lines('(SUBSCRIBED SUBSCRIBED) "" %s/*' % n), self.lines('(SUBSCRIBED) "" %s/*' % n))
        one = self.lines('"" %s/* RETURN (CHILDREN SUBSCRIBED SPECIAL-USE)' % n)
        self.assertEqual(self.lines('"" %s/* return (special-use subscribed children children)' % n), one)

    def test_options_that_are_not_known(self):  # 3 MUST: BAD
        for arguments in ('(FROB) "" *', '"" * RETURN (FROB)', '(SUBSCRIBED FROB) "" *', '"" * RETURN CHILDREN',
                          '"" * RETURN (CHILDREN', '"" * FROB', '"" ()', '"" (a', '"" * RETURN (STATUS)',
                          '"" * RETURN (STATUS ())', '"" * RETURN (STATUS (FROB))', '"" * RETURN (STATUS MESSAGES)'):
            with self.subTest(arguments=arguments):
                self.bad("LIST " + arguments)

    def test_special_use(self):  # RFC 6154 2, 5.2
        every = {"Drafts": "\\drafts", "Sent": "\\sent", "Junk": "\\junk", "Trash": "\\trash", "Archive": "\\archive"}
        for arguments in '"" % RETURN (SPECIAL-USE)', '(SPECIAL-USE) "" *', '() "" * RETURN (SPECIAL-USE CHILDREN)':
            got = {v[2].decode(): {f.decode().lower() for f in v[0]} for v in self.c.data("LIST " + arguments, b"LIST")}
            for name, use in every.items():
                self.assertIn(use, got[name], arguments)
            if arguments.startswith("(SPECIAL-USE"):
                self.assertEqual(set(got), set(every))

    def test_special_use_follows_a_rename(self):
        c = self.connect("bert")
        c.ok("RENAME Junk Spam")
        self.assertEqual(self.names('(SPECIAL-USE) "" (Junk Spam)', c=c), ["Spam"])

    def test_status(self):  # RFC 5819 2: LIST, then STATUS, of each that can be selected
        self.fill(2, self.name + "/Tofu")
        untagged = self.c.data('LIST "" %s/%% RETURN (STATUS (MESSAGES UNSEEN UIDNEXT UIDVALIDITY RECENT))' % self.name)
        self.assertEqual([k for k, _ in untagged], [b"LIST", b"STATUS"] * 3)
        for (_, line), (_, status) in zip(untagged[::2], untagged[1::2]):
            self.assertEqual(line[2], status[0])
            self.assertEqual(set(status[1]), {b"MESSAGES", b"UNSEEN", b"UIDNEXT", b"UIDVALIDITY", b"RECENT"})
            self.assertEqual(status[1], self.c.status(status[0].decode(), "MESSAGES", "UNSEEN", "UIDNEXT",
                                                      "UIDVALIDITY", "RECENT"))
        self.assertEqual([v[1][b"MESSAGES"] for k, v in untagged if k == b"STATUS" and v[0].endswith(b"Tofu")], [2])

    def test_status_of_what_does_not_exist(self):  # RFC 5819 2, 3
        got = self.c.data('LIST (SUBSCRIBED RECURSIVEMATCH) "" %s/Fruit/* RETURN (STATUS (MESSAGES))' % self.name)
        self.assertEqual([v[0].decode()[len(self.name):] for k, v in got if k == b"STATUS"], ["/Fruit/Banana"])
        got = self.c.data('LIST (SUBSCRIBED RECURSIVEMATCH) "" %s/%% RETURN (STATUS (MESSAGES))' % self.name)
        self.assertEqual([v[0].decode()[len(self.name):] for k, v in got if k == b"STATUS"], ["/Veg"])

    def test_status_with_the_other_extensions(self):
        got = self.c.data('LIST "" INBOX RETURN (STATUS (SIZE HIGHESTMODSEQ MAILBOXID) SPECIAL-USE)', b"STATUS")
        self.assertEqual(set(got[0][1]), {b"SIZE", b"HIGHESTMODSEQ", b"MAILBOXID"})

    def test_no_extended_data_without_need(self):  # 3
        for arguments in '"" *', '(SUBSCRIBED) "" *', '"" * RETURN (CHILDREN)':
            for line in self.c.data("LIST " + arguments, b"LIST"):
                self.assertEqual(line[3], {})


if __name__ == "__main__":
    unittest.main()
