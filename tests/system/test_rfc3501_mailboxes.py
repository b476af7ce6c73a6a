"""RFC 3501 on mailboxes: sections 5.1, 6.3.3 to 6.3.10, 7.2."""

import time
import unittest

from sample import message
from scratch import Scratch


class Create(Scratch):
    def test_create(self):  # 6.3.3
        self.c.ok("CREATE %s-n" % self.name)
        self.assertEqual(self.names('"" %s-n' % self.name), [self.name + "-n"])
        self.assertEqual(self.c.select(self.name + "-n")[b"EXISTS"], 0)

    def test_what_exists_already(self):  # 6.3.3: NO, never BAD; RFC 5530 3
        self.no("CREATE INBOX", (b"ALREADYEXISTS", b"CANNOT", None))
        self.no("CREATE inBox", (b"ALREADYEXISTS", b"CANNOT", None))
        self.no("CREATE " + self.name, (b"ALREADYEXISTS", None))
        self.no("CREATE %s/" % self.name, (b"ALREADYEXISTS", None))

    def test_superior_names_are_made(self):  # 6.3.3 SHOULD
        self.c.ok("CREATE %s/b/c" % self.name)
        self.assertEqual(self.names('"" %s*' % self.name),
                         [self.name, self.name + "/b", self.name + "/b/c"])
        self.c.ok("CREATE %s-new/b" % self.name)
        self.assertIn(self.name + "-new", self.names('"" %s-new%%' % self.name))

    def test_trailing_separator(self):  # 6.3.3: the name is without it
        self.c.ok("CREATE %s-t/" % self.name)
        self.assertEqual(self.names('"" %s-t*' % self.name), [self.name + "-t"])
        self.c.ok("CREATE %s-t/child" % self.name)
        self.assertEqual(self.names('"" %s-t/' % self.name), [])  # 6.3.8: no name matches that
        self.assertEqual(self.names('"%s-t/" ""' % self.name), [""])

    def test_names_that_can_not_be(self):  # 6.3.3: NO
        for name in '""', '"/"', '"//"', '"%s//b"' % self.name, '"/%s"' % self.name:
            got = self.c.tagged("CREATE " + name)
            if got[0] == b"OK":  # then it must be there under the name as it was given
                self.assertEqual(self.names('"" ' + name), [name.strip('"').rstrip("/")], name)
            else:
                self.assertEqual(got[0], b"NO", name)

    def test_arguments(self):
        for line in "CREATE", "CREATE ", "CREATE a b", "CREATE (a)", "CREATE a\\b", 'CREATE "a', "CREATE a%b":
            self.bad(line)

    def test_specials_in_names(self):  # 4.3, 9: anything that can be quoted
        for name in ('with space', 'quote"inside', 'back\\slash', "par(en)", "br{ace}", "bracket]", "plus+", "#sharp",
                     "~tilde"):
            full = self.name + " " + name
            quoted = '"%s"' % full.replace("\\", "\\\\").replace('"', '\\"')
            with self.subTest(name=name):
                self.c.ok("CREATE " + quoted)
                self.assertIn(full, self.names('"" "%s *"' % self.name))
                self.c.ok("SELECT {%d+}\r\n%s" % (len(full), full))
                self.assertEqual(self.c.status(quoted, "MESSAGES"), {b"MESSAGES": 0})
                self.c.ok("UNSELECT")
                self.c.ok("DELETE " + quoted)

    def test_wildcards_in_names(self):  # 5.1: valid in a mailbox name, but hard to list
        for name in "st*ar", "per%cent":
            got = self.c.tagged('CREATE "%s %s"' % (self.name, name))
            self.assertIn(got[0], (b"OK", b"NO"))
            if got[0] == b"OK":
                self.assertIn("%s %s" % (self.name, name), self.names('"" "%s *"' % self.name))

    def test_8_bit_names(self):  # 5.1 SHOULD prohibit
        name = "mä".encode()
        status, _ = self.c.cmd(b"CREATE {%d+}\r\n%s" % (len(name), name))
        self.assertRegex(status, rb"^(NO|BAD)")
        status, _ = self.c.cmd(b'CREATE "' + name + b'"')
        self.assertRegex(status, rb"^(NO|BAD)")


class ModifiedUtf7(Scratch):
    """5.1.3"""

    def test_names(self):
        for name in "Entw&APw-rfe", "&ZeVnLIqe-", "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "A&-B", "&2D3eAA-":
            full = self.name + "/" + name
            with self.subTest(name=name):
                self.c.ok('CREATE "%s"' % full)
                self.assertEqual(self.names('"" "%s"' % full), [full])
                self.c.ok("SELECT " + full)
                self.c.ok("UNSELECT")
                self.assertIn(full, self.names('"%s/" *' % self.name))

    def test_the_base64_part_keeps_its_case(self):
        self.c.ok("CREATE %s/&AOQ-" % self.name)
        got = self.c.tagged("STATUS %s/&aoq- (MESSAGES)" % self.name)
        self.assertEqual(got[0], b"NO")

    def test_what_is_wrong(self):  # SHOULD verify in CREATE; the examples of the section
        for name in "&Jjo!", "&U,BTFw-&ZeVnLIqe-", "&", "a&", "&AGEA-", "&AGE-", "&JjoK", "&Jj/o-", "&2D0-":
            with self.subTest(name=name):
                self.no('CREATE "%s-%s"' % (self.name, name))


class Delete(Scratch):
    def test_delete(self):  # 6.3.4
        self.fill(1)
        self.c.ok("DELETE " + self.name)
        self.assertEqual(self.names('"" ' + self.name), [])
        self.no("SELECT " + self.name)
        self.no("DELETE " + self.name, (b"NONEXISTENT", None))
        self.c.ok("CREATE " + self.name)
        self.assertEqual(self.c.select(self.name)[b"EXISTS"], 0)

    def test_inbox(self):  # 6.3.4: an error
        self.no("DELETE INBOX")
        self.no("DELETE inbox")
        self.c.ok("SELECT INBOX")

    def test_what_does_not_exist(self):
        self.no("DELETE %s-none" % self.name, (b"NONEXISTENT", None))

    def test_children_stay(self):  # 6.3.4: MUST NOT remove inferior names
        self.c.ok("CREATE %s/b" % self.name)
        self.fill(2, self.name + "/b")
        self.fill(1)
        got = self.c.tagged("DELETE " + self.name)
        self.assertEqual(self.c.status(self.name + "/b", "MESSAGES")[b"MESSAGES"], 2)
        if got[0] == b"OK":  # the messages are gone, the name is \Noselect or not there at all
            listed = self.attributes('"" ' + self.name)
            self.assertTrue(self.name not in listed or "\\noselect" in listed[self.name])
        else:
            self.assertEqual(got[0], b"NO")
            self.assertEqual(self.c.status(self.name, "MESSAGES")[b"MESSAGES"], 1)
        self.c.ok("DELETE %s/b" % self.name)
        self.c.tagged("DELETE " + self.name)
        self.assertEqual(self.names('"" %s*' % self.name), [])

    def test_a_mailbox_in_which_another_session_is(self):
        c = self.opened(2)
        d = self.connect()
        d.ok("DELETE " + self.name)
        c.send("a NOOP\r\n")
        self.assertRegex(c.response(), rb"^(\* BYE|a OK|\* \d EXPUNGE)")  # RFC 2180 3
        self.assertEqual(self.names('"" ' + self.name, c=d), [])
        d.ok("CREATE " + self.name)
        self.assertEqual(d.select(self.name)[b"EXISTS"], 0)

    def test_arguments(self):
        for line in "DELETE", "DELETE ", "DELETE a b":
            self.bad(line)


class Rename(Scratch):
    def test_rename(self):  # 6.3.5
        self.fill(2)
        self.c.ok("RENAME %s %s-n" % (self.name, self.name))
        self.assertEqual(self.names('"" %s*' % self.name), [self.name + "-n"])
        self.assertEqual(self.c.status(self.name + "-n", "MESSAGES")[b"MESSAGES"], 2)
        self.no("SELECT " + self.name)

    def test_errors(self):  # 6.3.5: NO
        self.c.ok("CREATE %s-x" % self.name)
        self.no("RENAME %s-none %s-y" % (self.name, self.name), (b"NONEXISTENT", None))
        self.no("RENAME %s %s-x" % (self.name, self.name), (b"ALREADYEXISTS", None))
        self.no("RENAME %s %s" % (self.name, self.name))
        self.no("RENAME %s INBOX" % self.name)
        self.no("RENAME %s inbox" % self.name)
        for line in "RENAME", "RENAME a", "RENAME a b c":
            self.bad(line)

    def test_children_come_along(self):  # 6.3.5 MUST
        for child in "/b", "/b/c", "/d":
            self.c.ok("CREATE " + self.name + child)
        self.c.ok("CREATE %s-not" % self.name)
        self.fill(1, self.name + "/b/c")
        self.c.ok("RENAME %s %sz" % (self.name, self.name))
        new = self.name + "z"
        self.assertEqual(self.names('"" %s*' % self.name),
                         sorted([self.name + "-not", new, new + "/b", new + "/b/c", new + "/d"]))
        self.assertEqual(self.c.status(new + "/b/c", "MESSAGES")[b"MESSAGES"], 1)

    def test_superior_names_are_made(self):  # 6.3.5 SHOULD
        self.c.ok("RENAME %s %s-p/q/r" % (self.name, self.name))
        self.assertEqual(self.names('"" %s*' % self.name),
                         [self.name + "-p", self.name + "-p/q", self.name + "-p/q/r"])

    def test_below_itself(self):  # it can not be its own superior
        self.c.ok("CREATE %s/b" % self.name)
        self.no("RENAME %s %s/b/c" % (self.name, self.name))
        self.no("RENAME %s %s/x" % (self.name, self.name))
        self.assertEqual(self.names('"" %s*' % self.name), [self.name, self.name + "/b"])

    def test_to_another_place(self):
        self.c.ok("CREATE %s/b/c" % self.name)
        self.c.ok("CREATE %s-o" % self.name)
        self.c.ok("RENAME %s/b %s-o/b" % (self.name, self.name))
        self.assertEqual(self.names('"" %s*' % self.name),
                         [self.name, self.name + "-o", self.name + "-o/b", self.name + "-o/b/c"])

    def test_inbox(self):  # 6.3.5: its messages move to a new mailbox; inferior names stay
        c = self.connect("bert")
        c.ok("CREATE INBOX/below")
        for i in range(3):
            c.append_uid("INBOX", message(i), "(\\Seen $x)", "17-Jul-1996 02:44:25 -0700")
        validity, _ = c.append_uid("INBOX", message(3))
        c.ok("RENAME INBOX old-mail")
        self.assertEqual(c.status("INBOX", "MESSAGES")[b"MESSAGES"], 0)
        self.assertEqual(c.select("old-mail")[b"EXISTS"], 4)
        self.assertEqual(c.flags(1), [b"$x", b"\\Seen"])
        self.assertEqual(c.one(1, "INTERNALDATE")[b"INTERNALDATE"], b"17-Jul-1996 02:44:25 -0700")
        self.assertIn("INBOX/below", self.names('"" *', c=c))
        self.assertNotIn("old-mail/below", self.names('"" *', c=c))
        again, uid = c.append_uid("INBOX", message(4))
        self.assertTrue(again > validity or uid > 4)
        self.no("RENAME INBOX old-mail", (b"ALREADYEXISTS", None), c=c)
        self.assertEqual(c.status("INBOX", "MESSAGES")[b"MESSAGES"], 1)

    def test_inbox_in_which_sessions_are(self):  # they lose it, and never take the renamed mailbox for INBOX
        for i in range(2):
            self.c.append_uid("INBOX", message(i))
        d = self.connect()
        for c in self.c, d:
            c.ok("SELECT INBOX")
        n = self.c.exists
        d.ok("RENAME INBOX %s-was" % self.name)
        for c in self.c, d:
            c.send("a NOOP\r\n")
            c.note(b"a", b"NOOP")
            r = c.response()
            if not r.startswith(b"* BYE"):  # then it must see its messages go (7.4.1)
                c.until(b"a")
                self.assertEqual(c.exists, 0)
        e = self.connect()
        self.assertEqual(e.status(self.name + "-was", "MESSAGES")[b"MESSAGES"], n)
        self.assertEqual(e.select("INBOX")[b"EXISTS"], 0)

    def test_a_mailbox_in_which_a_session_is(self):
        c = self.opened(2)
        d = self.connect()
        d.ok("RENAME %s %s-r" % (self.name, self.name))
        status, _ = c.cmd("UID FETCH 1:* FLAGS")
        self.assertTrue(status.startswith((b"OK", b"NO")), status)
        if status.startswith(b"OK"):
            d.append_uid(self.name + "-r", message(3))
            c.ok("NOOP")
            self.assertEqual(c.exists, 3)


class Subscriptions(Scratch):
    def test_subscribe_and_unsubscribe(self):  # 6.3.6, 6.3.7, 6.3.9
        self.assertEqual(self.names('"" ' + self.name, "LSUB"), [])
        self.c.ok("SUBSCRIBE " + self.name)
        self.assertEqual(self.names('"" ' + self.name, "LSUB"), [self.name])
        self.c.ok("SUBSCRIBE " + self.name)
        self.c.ok("UNSUBSCRIBE " + self.name)
        self.assertEqual(self.names('"" ' + self.name, "LSUB"), [])

    def test_a_deleted_mailbox_stays_subscribed(self):  # 6.3.6, 6.3.9 MUST NOT unilaterally remove
        self.c.ok("SUBSCRIBE " + self.name)
        self.c.ok("DELETE " + self.name)
        self.assertEqual(self.names('"" ' + self.name, "LSUB"), [self.name])
        self.assertEqual(self.names('"" ' + self.name), [])
        self.c.ok("UNSUBSCRIBE " + self.name)
        self.assertEqual(self.names('"" ' + self.name, "LSUB"), [])

    def test_a_renamed_mailbox(self):  # the old name stays, too: it was not unsubscribed
        self.c.ok("SUBSCRIBE " + self.name)
        self.c.ok("RENAME %s %s-r" % (self.name, self.name))
        self.assertIn(self.name, self.names('"" %s*' % self.name, "LSUB"))

    def test_inbox(self):  # 5.1
        self.c.ok("SUBSCRIBE inbox")
        self.assertEqual(self.names('"" INBOX', "LSUB"), ["INBOX"])
        self.c.ok("UNSUBSCRIBE iNBOX")
        self.assertEqual(self.names('"" INBOX', "LSUB"), [])

    def test_below_inbox(self):  # one mailbox has one name, in LIST, in LSUB and in \\Subscribed
        self.c.ok("CREATE inbox/%s" % self.name)
        self.c.ok("SUBSCRIBE InBox/%s" % self.name)
        self.assertEqual(self.names('"" *%s' % self.name), ["INBOX/" + self.name, self.name])
        self.assertEqual(self.names('"" *%s' % self.name, "LSUB"), ["INBOX/" + self.name])
        self.assertIn("\\subscribed",
                      self.attributes('"" INBOX/%s RETURN (SUBSCRIBED)' % self.name)["INBOX/" + self.name])
        self.c.ok("UNSUBSCRIBE INBOX/%s" % self.name)
        self.assertEqual(self.names('"" *%s' % self.name, "LSUB"), [])
        self.c.ok("SELECT iNBOX/%s" % self.name)
        self.assertNotIn("INBOX/" + self.name.upper(), self.names('"" *'))

    def test_percent_shows_the_parent(self):  # 6.3.9: \Noselect, and only the parent
        self.c.ok("CREATE %s/b/c" % self.name)
        self.c.ok("SUBSCRIBE %s/b/c" % self.name)
        self.assertEqual(self.attributes('"" %s%%' % self.name, "LSUB")[self.name] & {"\\noselect"}, {"\\noselect"})
        self.assertEqual(self.names('"" %s/%%' % self.name, "LSUB"), [self.name + "/b"])
        self.assertEqual(self.names('"" %s/%%/%%' % self.name, "LSUB"), [self.name + "/b/c"])
        self.assertEqual(self.names('"" %s*' % self.name, "LSUB"), [self.name + "/b/c"])
        self.assertEqual(self.names('"%s/" %%' % self.name, "LSUB"), [self.name + "/b"])
        for pattern in self.name, self.name + "/b", "*" + self.name[1:]:  # only where % is last
            self.assertEqual(self.names('"" %s' % pattern, "LSUB"), [])

    def test_percent_with_the_parent_subscribed_too(self):
        self.c.ok("CREATE %s/b" % self.name)
        self.c.ok("SUBSCRIBE %s/b" % self.name)
        self.c.ok("SUBSCRIBE " + self.name)
        self.assertEqual(self.names('"" %s%%' % self.name, "LSUB"), [self.name])
        self.assertNotIn("\\noselect", self.attributes('"" %s%%' % self.name, "LSUB")[self.name])

    def test_percent_shows_the_parent_of_a_deleted_one(self):
        self.c.ok("CREATE %s/b" % self.name)
        self.c.ok("SUBSCRIBE %s/b" % self.name)
        self.c.ok("DELETE %s/b" % self.name)
        self.assertEqual(self.names('"" %s%%' % self.name, "LSUB"), [self.name])

    def test_of_users_apart(self):
        self.c.ok("SUBSCRIBE " + self.name)
        self.assertNotIn(self.name, self.names('"" *', "LSUB", c=self.connect("bert")))

    def test_after_a_restart(self):
        self.c.ok("SUBSCRIBE " + self.name)
        self.box.restart()
        self.assertEqual(self.names('"" ' + self.name, "LSUB", c=self.connect()), [self.name])

    def test_arguments(self):
        for line in "SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE a b", 'LSUB ""', "LSUB", 'LSUB "" a b':
            self.bad(line)


class List(Scratch):
    def setUp(self):
        super().setUp()
        n = self.name
        for child in "/b", "/b/c", "/bb", "/d e":
            self.c.ok('CREATE "%s%s"' % (n, child))

    def listed(self, pattern, reference='""'):
        return [x[len(self.name):] for x in self.names('%s "%s"' % (reference, pattern))]

    def test_wildcards(self):  # 6.3.8
        n = self.name
        for pattern, found in ((n, [""]), (n + "/*", ["/b", "/b/c", "/bb", "/d e"]), (n + "/%", ["/b", "/bb", "/d e"]),
                               (n + "/b%", ["/b", "/bb"]), (n + "/b*", ["/b", "/b/c", "/bb"]), (n + "/%/%", ["/b/c"]),
                               (n + "*c", ["/b/c"]), (n + "%c", []), (n + "/%b", ["/b", "/bb"]),
                               (n + "/d %", ["/d e"]), (n + "*", ["", "/b", "/b/c", "/bb", "/d e"]),
                               (n + "%", [""]), (n + "/*/*", ["/b/c"]), (n + "/**%*", ["/b", "/b/c", "/bb", "/d e"]),
                               (n + "/x*", []), (n + "*%", ["", "/b", "/b/c", "/bb", "/d e"])):
            with self.subTest(pattern=pattern):
                self.assertEqual(self.listed(pattern), found)

    def test_reference(self):  # 6.3.8: the context in which the name is interpreted
        n = self.name
        self.assertEqual(self.listed("%", n + "/"), ["/b", "/bb", "/d e"])
        self.assertEqual(self.listed("*", '"%s/b/"' % n), ["/b/c"])
        self.assertEqual(self.listed("b", n + "/"), ["/b"])
        self.assertEqual(self.listed("nothing", n + "/"), [])

    def test_percent_and_top_level(self):
        top = self.names('"" %')
        self.assertIn("INBOX", top)
        self.assertIn(self.name, top)
        self.assertFalse([x for x in top if "/" in x])

    def test_the_empty_name(self):  # 6.3.8: the hierarchy delimiter and the root
        for reference in '""', self.name + "/", '"%s/b/"' % self.name, '"#news."':
            answers = self.c.data('LIST %s ""' % reference, b"LIST")
            self.assertEqual(len(answers), 1, reference)
            flags, delimiter, root, _ = answers[0]
            self.assertIn(b"\\noselect", [f.lower() for f in flags])
            self.assertEqual(delimiter, b"/")
            self.assertTrue(reference.strip('"').encode().startswith(root), root)

    def test_inbox(self):  # 6.3.8: "INBOX" in capitals matches the pattern
        for pattern in "INBOX", "inbox", "%", "*", "INB*", "IN%X", "*BOX":
            self.assertIn("INBOX", self.names('"" "%s"' % pattern), pattern)
        self.assertEqual(self.names('"" INBOXX'), [])

    def test_names_are_valid_arguments(self):  # 7.2.2
        for flags, _, name, _ in self.c.data('LIST "" *', b"LIST"):
            if b"\\noselect" not in [f.lower() for f in flags]:
                quoted = name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
                self.c.ok(b'EXAMINE "%s"' % quoted)

    def test_forms_of_arguments(self):  # 9: list-mailbox as atom with wildcards, quoted, literal
        for form in self.name + "/%", '"%s/%%"' % self.name, "{%d+}\r\n%s/%%" % (len(self.name) + 2, self.name):
            self.assertEqual(len(self.names('"" ' + form)), 3, form)
        self.assertEqual(len(self.names("{0+}\r\n {%d+}\r\n%s" % (len(self.name), self.name))), 1)

    def test_arguments(self):
        for line in "LIST", 'LIST ""', 'LIST "" * x', 'LIST "" *(', "LIST (x":
            self.bad(line)

    def test_many_wildcards_are_quick(self):
        start = time.monotonic()
        self.assertEqual(self.names('"" "%s"' % ("*%" * 200 + "zz")), [])
        self.assertLess(time.monotonic() - start, 1)


class Status(Scratch):
    def test_items(self):  # 6.3.10
        self.fill(3)
        self.c.append_uid(self.name, message(4), "(\\Seen)")
        got = self.c.status(self.name, "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN")
        self.assertEqual((got[b"MESSAGES"], got[b"RECENT"], got[b"UIDNEXT"], got[b"UNSEEN"]), (4, 4, 5, 3))
        self.assertEqual(got[b"UIDVALIDITY"], self.c.select(self.name)[b"UIDVALIDITY"])
        self.assertEqual(set(self.c.status(self.name, "UNSEEN")), {b"UNSEEN"})

    def test_the_name_comes_back(self):  # 7.2.4
        self.assertEqual(self.c.data("STATUS iNBOX (MESSAGES)", b"STATUS")[0][0].upper(), b"INBOX")
        self.c.ok('CREATE "%s a\\"b"' % self.name)
        got = self.c.data('STATUS "%s a\\"b" (MESSAGES)' % self.name, b"STATUS")[0]
        self.assertEqual(got[0].decode(), '%s a"b' % self.name)

    def test_no_effect_on_what_is_selected(self):
        self.opened(2)
        self.c.ok("STATUS INBOX (MESSAGES UNSEEN)")
        self.assertEqual(self.c.exists, 2)
        self.assertEqual(list(self.c.messages("2", "UID")), [2])

    def test_errors(self):
        self.no("STATUS %s-none (MESSAGES)" % self.name, (b"NONEXISTENT", None))
        for line in ("STATUS", "STATUS INBOX", "STATUS INBOX MESSAGES", "STATUS INBOX ()", "STATUS INBOX (FROB)",
                     "STATUS INBOX (MESSAGES", "STATUS INBOX (MESSAGES) x"):
            self.bad(line)
        self.bad("STATUS a* (MESSAGES)")  # no wildcards

    def test_of_the_selected_mailbox(self):
        self.opened(2)
        self.c.ok("STORE 1 +FLAGS (\\Seen)")
        self.assertEqual(self.c.status(self.name, "UNSEEN", "MESSAGES"), {b"UNSEEN": 1, b"MESSAGES": 2})


if __name__ == "__main__":
    unittest.main()
