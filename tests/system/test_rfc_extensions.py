"""The extensions that Cubby announces, each by its own RFC. CONDSTORE is in test_rfc7162.py,
the LIST family in test_rfc_list.py."""

import re
import time
import unittest

from box import PASSWORD
from sample import message
from scratch import Scratch
from strict import Strict, expand, read
from wire import plain


class Announced(Scratch):
    def test_capabilities(self):
        names = self.c.data("CAPABILITY", b"CAPABILITY")[0]
        for name in ("IMAP4rev1", "IDLE", "NAMESPACE", "ID", "CHILDREN", "UNSELECT", "UIDPLUS", "ESEARCH", "SASL-IR",
                     "ENABLE", "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "MOVE", "CONDSTORE", "LITERAL+",
                     "STATUS=SIZE", "OBJECTID", "SAVEDATE"):
            self.assertIn(name.encode(), names)
        self.assertNotIn(b"LITERAL-", names)  # RFC 7888 5: never both
        self.assertEqual(len(names), len(set(names)))

    def test_enable_does_not_change_them(self):  # RFC 5161 3.1
        before = self.c.data("CAPABILITY", b"CAPABILITY")
        self.c.ok("ENABLE CONDSTORE")
        self.assertEqual(self.c.data("CAPABILITY", b"CAPABILITY"), before)


class Idle(Scratch):
    """RFC 2177"""

    def begin(self, c):
        tag = c.begin("IDLE")
        while True:
            r = c.response()
            if r.startswith(b"+ "):
                return tag
            self.assertTrue(r.startswith(b"* "), r)

    def next(self, c, kind):
        """The next response of one kind, within seconds."""
        while True:
            got, value = read(c.response())
            if got == kind:
                return value

    def test_what_is_told(self):
        c = self.opened(3)
        d = self.also()
        tag = self.begin(d)
        d.socket.settimeout(5)
        c.append_uid(self.name, message(4))
        self.assertEqual(self.next(d, b"EXISTS"), 4)
        c.ok("STORE 2 +FLAGS (\\Flagged)")
        n, values = self.next(d, b"FETCH")
        self.assertEqual(n, 2)
        self.assertIn(b"\\Flagged", values[b"FLAGS"])
        c.ok("STORE 1,3 +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
        self.next(d, b"EXPUNGE")
        self.next(d, b"EXPUNGE")
        self.assertEqual(d.exists, 2)
        self.box.cubby("deliver", "anna", input=message(5), check=True)
        d.send("DONE\r\n")
        self.assertTrue(d.until(tag)[0].startswith(b"OK"))
        self.assertEqual(d.uids(), [2, 4])

    def test_done_in_any_case(self):
        for word in "DONE", "done", "Done":
            tag = self.begin(self.c)
            self.c.send(word + "\r\n")
            self.assertTrue(self.c.until(tag)[0].startswith(b"OK"))

    def test_something_else_than_done(self):
        for line in "NOOP", "a1 NOOP", "*", "", "DONEx":
            c = self.connect()
            tag = self.begin(c)
            c.send(line + "\r\n")
            r = c.response()
            self.assertTrue(r.startswith((tag + b" BAD", b"* BAD", b"* BYE")), r)

    def test_what_happened_before(self):  # told at the beginning, where an EXPUNGE may come
        c = self.opened(3)
        d = self.also()
        c.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
        tag = self.begin(d)
        if d.exists == 3:
            d.socket.settimeout(5)
            self.next(d, b"EXPUNGE")
        self.assertEqual(d.exists, 2)
        d.send("DONE\r\n")
        d.until(tag)

    def test_with_nothing_selected(self):  # valid in the authenticated state
        tag = self.begin(self.c)
        self.c.send("DONE\r\n")
        self.assertTrue(self.c.until(tag)[0].startswith(b"OK"))

    def test_commands_behind_done(self):
        self.opened(1)
        tag = self.begin(self.c)
        for i in 1, 2:
            self.c.note(b"k%d" % i, b"NOOP")
        self.c.send("DONE\r\nk1 NOOP\r\nk2 FETCH 1 UID\r\n")
        self.assertTrue(self.c.until(tag)[0].startswith(b"OK"))
        self.assertTrue(self.c.until(b"k1")[0].startswith(b"OK"))
        self.assertEqual(read(self.c.until(b"k2")[1][0]), (b"FETCH", (1, {b"UID": 1})))

    def test_done_in_the_same_packet(self):  # not allowed to a client, but it must not hang
        self.c.commands.append((b"i", b"IDLE"))
        self.c.send("i IDLE\r\nDONE\r\n")
        self.assertTrue(self.c.response().startswith(b"+ "))
        self.assertTrue(self.c.until(b"i")[0].startswith(b"OK"))

    def test_arguments(self):
        self.bad("IDLE x")

    def test_delivery(self):
        self.c.ok("SELECT INBOX")
        n = self.c.exists
        tag = self.begin(self.c)
        self.c.socket.settimeout(5)
        self.box.cubby("deliver", "anna", input=message(5), check=True)
        self.assertEqual(self.next(self.c, b"EXISTS"), n + 1)
        self.c.send("DONE\r\n")
        self.c.until(tag)

    def test_both_in_idle_and_a_third_works(self):
        self.fill(2)
        idle = [self.also() for _ in range(5)]
        tags = [self.begin(d) for d in idle]
        e = self.also()
        e.ok("STORE 1 +FLAGS (\\Deleted $k)")
        e.ok("EXPUNGE")
        for d, tag in zip(idle, tags):
            d.socket.settimeout(5)
            self.next(d, b"EXPUNGE")
            d.send("DONE\r\n")
            d.until(tag)
            self.assertEqual(d.uids(), [2])


class NamespaceAndId(Scratch):
    def test_namespace(self):  # RFC 2342 5
        self.assertEqual(self.c.data("NAMESPACE", b"NAMESPACE"), [[[(b"", b"/")], None, None]])
        self.c.ok("SELECT INBOX")
        self.c.ok("namespace")
        self.bad("NAMESPACE x")

    def test_id(self):  # RFC 2971 3: in every state, with any list or NIL
        with Strict(self.box) as c:
            for arguments in ("NIL", "nil", "()", '("name" "x")', '("name" NIL)', '("name" "sodr" "version" "19.34")',
                              '("x" {3+}\r\na"b "y" "")', '({4+}\r\nname {1+}\r\nx)'):
                with self.subTest(arguments=arguments):
                    answers = c.data("ID " + arguments, b"ID")
                    self.assertEqual(len(answers), 1)
            fields = [k.lower() for k in answers[0][::2]]
            self.assertEqual(len(fields), len(set(fields)))  # MUST NOT send the same field twice
            self.assertTrue(all(k and len(k) <= 30 for k in answers[0][::2]))
            self.assertTrue(all(len(v or b"") <= 1024 for v in answers[0][1::2]))
        self.c.ok("ID NIL")
        self.c.ok("SELECT INBOX")
        self.c.ok("ID NIL")

    def test_id_syntax(self):
        for arguments in "", "x", '("name")', '("name" x)', '("name" "x"', '"name" "x"', '(NIL "x")':
            with self.subTest(arguments=arguments):
                self.bad("ID " + arguments)

    def test_id_with_a_lot(self):  # at most 30 pairs are allowed, and 1024 octets of a value
        pairs = " ".join('"field%d" "%s"' % (i, "v" * 100) for i in range(30))
        self.c.ok("ID (%s)" % pairs)


class SaslAndLiterals(Scratch):
    def test_initial_response(self):  # RFC 4959
        with Strict(self.box) as c:
            c.ok("AUTHENTICATE PLAIN " + plain("anna"))
            c.ok("SELECT INBOX")
        with Strict(self.box) as c:
            self.bad("AUTHENTICATE PLAIN not*base64", c)
            self.assertNotEqual(c.tagged("AUTHENTICATE PLAIN =")[0], b"OK")  # an empty response
            c.ok("authenticate plain " + plain("anna"))

    def test_literal_plus(self):  # RFC 7888 3
        with Strict(self.box) as c:
            c.ok('LOGIN {4+}\r\nanna {%d+}\r\n%s' % (len(PASSWORD), PASSWORD))
            c.ok("SELECT {5+}\r\nINBOX")
            c.ok("LIST {0+}\r\n {1+}\r\n*")
            c.ok("SEARCH SUBJECT {3+}\r\na)b BODY {2+}\r\n\r\n")
            c.ok("STATUS {%d+}\r\n%s (MESSAGES)" % (len(self.name), self.name))

    def test_plus_and_wait_mixed(self):
        c = self.c
        c.send("m SELECT {%d}\r\n" % len(self.name))
        self.assertTrue(c.response().startswith(b"+ "))
        c.note(b"m", b"SELECT")
        c.send(self.name + "\r\n")
        self.assertTrue(c.until(b"m")[0].startswith(b"OK"))
        c.note(b"n", b"SEARCH")
        c.send("n SEARCH FROM {1+}\r\na TO {1}\r\n")
        self.assertTrue(c.response().startswith(b"+ "))
        c.send("b SUBJECT {1+}\r\nc\r\n")
        self.assertTrue(c.until(b"n")[0].startswith(b"OK"))

    def test_a_literal_of_a_refused_command_is_not_run(self):  # RFC 7888 3: it belongs to the command
        c = self.c
        for line in b"x FROBNICATE {%d+}\r\n%s\r\n", b"x DELETE a b c {%d+}\r\n%s\r\n", b"x SELECT (( {%d+}\r\n%s\r\n":
            inner = b"y CREATE %s-injected\r\n" % self.name.encode()
            c.send(line % (len(inner), inner))
            self.assertTrue(c.response().startswith(b"x BAD"))
            c.ok("NOOP")
        self.assertEqual(self.names('"" %s-injected' % self.name), [])

    def test_what_only_looks_like_a_literal(self):
        c = self.c
        c.append_uid(self.name, b"Subject: x {5+}\r\n\r\n")
        c.ok("SELECT " + self.name)
        self.assertEqual(c.search('SUBJECT "{5+}"'), [1])
        self.bad("SEARCH SUBJECT {x+}")
        self.bad("SEARCH SUBJECT {-1+}")
        self.bad("SEARCH SUBJECT {}")


class Enable(Scratch):
    """RFC 5161"""

    def test_enable(self):
        self.assertEqual(self.c.data("ENABLE CONDSTORE", b"ENABLED"), [[b"CONDSTORE"]])
        self.assertEqual(self.c.data("ENABLE X-FROB", b"ENABLED"), [[]])
        self.assertEqual(len(self.c.data("ENABLE X-FROB CONDSTORE IDLE", b"ENABLED")), 1)
        self.assertEqual(self.c.data("ENABLE IMAP4rev1", b"ENABLED"), [[]])

    def test_syntax(self):  # 3.1: BAD without arguments
        for line in "ENABLE", "ENABLE ", "ENABLE (CONDSTORE)", 'ENABLE "CONDSTORE"':
            self.bad(line)

    def test_pipelined_with_login(self):  # 3.1
        with Strict(self.box) as c:
            for tag, word in (b"a", b"LOGIN"), (b"b", b"ENABLE"), (b"c", b"SELECT"):
                c.note(tag, word)
            c.send('a LOGIN anna "%s"\r\nb ENABLE CONDSTORE\r\nc SELECT INBOX\r\n' % PASSWORD)
            c.until(b"a")
            self.assertIn(b"* ENABLED CONDSTORE", c.until(b"b")[1])
            self.assertTrue(any(b"[HIGHESTMODSEQ " in r for r in c.until(b"c")[1]))


class Unselect(Scratch):
    """RFC 3691"""

    def test_unselect(self):
        self.opened(2)
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.bad("UNSELECT x")
        self.assertEqual(self.c.flags(1), [b"\\Deleted"])
        self.c.ok("UNSELECT")
        self.bad("FETCH 1 FLAGS")
        self.bad("UNSELECT")
        self.assertEqual(self.c.select(self.name)[b"EXISTS"], 2)


class UidPlus(Scratch):
    """RFC 4315"""

    def test_uid_expunge(self):  # 2.1: only what has \Deleted and is in the set
        self.opened(6)
        self.c.ok("STORE 1,3,4,6 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("UID EXPUNGE 2:4")
        self.assertEqual(self.c.uids(), [1, 2, 5, 6])
        self.assertEqual(self.c.ok("UID EXPUNGE 2,5,900:1000,3"), [])
        self.c.ok("UID EXPUNGE *")
        self.assertEqual(self.c.uids(), [1, 2, 5])
        self.c.ok("UID EXPUNGE 5:1")
        self.assertEqual(self.c.uids(), [2, 5])
        for rest in "", "x", "0", "1 2":
            self.bad("UID EXPUNGE " + rest)
        self.bad("EXPUNGE 1")
        self.c.ok("EXAMINE " + self.name)
        self.no("UID EXPUNGE 1:*")

    def test_appenduid(self):  # 3
        validity, uid = self.c.append_uid(self.name, message(1))
        said = self.c.select(self.name)
        self.assertEqual((validity, uid), (said[b"UIDVALIDITY"], self.c.uids()[0]))
        _, second = self.c.append_uid(self.name, message(2))
        self.assertEqual(self.c.messages(str(second), "BODY.PEEK[]", uid=True)[2][b"BODY[]"], message(2))

    def copied(self, command):
        word, code, value = self.c.tagged(command)
        self.assertEqual((word, code), (b"OK", b"COPYUID"), command)
        return value

    def test_copyuid(self):  # 3: the sets correspond, in the same order, nothing extraneous
        self.opened(8)
        self.c.ok("STORE 2,5 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")  # leaves UIDs 1 3 4 6 7 8
        self.c.ok("CREATE %s-to" % self.name)
        self.fill(3, self.name + "-to")
        to = self.c.status(self.name + "-to", "UIDVALIDITY")[b"UIDVALIDITY"]
        pairs = {}
        for command, sources in (("COPY 1:3", [1, 3, 4]), ("UID COPY 1:8", [1, 3, 4, 6, 7, 8]),
                                 ("COPY 6,1,3:4", [1, 4, 6, 8]), ("UID COPY 8:6,3,2,900", [3, 6, 7, 8]),
                                 ("UID COPY *", [8])):
            validity, source, target = self.copied("%s %s-to" % (command, self.name))
            self.assertEqual((validity, sorted(source)), (to, sources), command)
            self.assertEqual(len(source), len(target))
            self.assertEqual(len(set(target)), len(target))
            pairs.update(zip(target, source))
        texts = {uid: self.c.messages(str(uid), "BODY.PEEK[]", uid=True) for uid in (1, 3, 4, 6, 7, 8)}
        texts = {uid: list(m.values())[0][b"BODY[]"] for uid, m in texts.items()}
        self.c.ok("SELECT %s-to" % self.name)
        found = {m[b"UID"]: m[b"BODY[]"] for m in self.c.messages("1:*", "(UID BODY.PEEK[])").values()}
        self.assertEqual(set(found), set(pairs) | {1, 2, 3})
        for target, source in pairs.items():
            self.assertEqual(found[target], texts[source])

    def test_nothing_copied(self):  # 3, the example A005: OK without a code
        self.opened(1)
        self.assertEqual(self.c.tagged("UID COPY 305:310 INBOX")[:2], (b"OK", None))

    def test_a_copy_of_many_pieces(self):  # long sets that do not come together
        self.opened()
        self.c.send(b"".join(b"a%d APPEND %s {3+}\r\n%03d\r\n" % (i, self.name.encode(), i) for i in range(400)))
        for i in range(400):
            self.c.until(b"a%d" % i)
        self.c.ok("CREATE %s-to" % self.name)
        numbers = ",".join(str(n) for n in range(1, 400, 2))
        _, source, target = self.copied("UID COPY %s %s-to" % (numbers, self.name))
        self.assertEqual(sorted(source), list(range(1, 400, 2)))
        self.assertEqual(sorted(target), list(range(1, 201)))
        order = dict(zip(target, source))
        self.c.ok("SELECT %s-to" % self.name)
        for n, m in self.c.messages("1:*", "(UID BODY.PEEK[])").items():
            self.assertEqual(m[b"BODY[]"], b"%03d" % (order[m[b"UID"]] - 1))

    def ragged(self, n):
        """Every second of n messages, in runs that do not touch."""
        self.opened()
        self.c.send(b"".join(b"a%d APPEND %s {5+}\r\n%05d\r\n" % (i, self.name.encode(), i) for i in range(1, n + 1)))
        for i in range(1, n + 1):
            self.c.until(b"a%d" % i)
        self.c.ok("CREATE %s-to" % self.name)
        return list(range(1, n + 1, 2))

    def test_a_code_of_any_length(self):  # 3: all of them, however many ranges that takes
        sources = self.ragged(3000)
        self.c.ok("NOOP")
        numbers = ",".join(str(n) for n in sources)
        for command in "UID COPY", "COPY":
            _, source, target = self.copied("%s %s %s-to" % (command, numbers, self.name))
            self.assertEqual(source, sources)
            self.assertEqual(target, list(range(target[0], target[0] + len(sources))))
        _, source, target = self.copied("UID COPY %s %s" % (numbers, self.name))  # new mail is not of the set
        self.assertEqual((source, target), (sources, list(range(3001, 4501))))

    def test_expunged_by_others_meanwhile(self):
        """What others expunge while it is copied is named when it was copied, and only then."""
        self.ragged(2600)
        d = self.also()
        d.ok("UID STORE 3:2600 +FLAGS.SILENT (\\Deleted)")
        # gone before; gone at any time from the copy's first piece to its answer's last
        d.ok("UID EXPUNGE 3:4,7,11,21:23")
        numbers = ",".join(str(n) for n in range(1, 2601, 2))
        tags = [self.c.begin("UID COPY %s %s-to" % (numbers, self.name))]
        for i in range(200):
            d.note(b"e%d" % i, b"UID EXPUNGE")
        d.send(b"".join(b"e%d UID EXPUNGE %d,%d\r\n" % (i, 2599 - 6 * i, 101 + 6 * i) for i in range(200)))
        response = self.c.until(tags[0])[0]
        for i in range(200):
            d.until(b"e%d" % i)
        match = re.match(rb"OK \[COPYUID \d+ ([0-9,:]+) ([0-9]+):([0-9]+)\]", response)
        source = expand(match[1])
        self.assertEqual(len(source), int(match[3]) - int(match[2]) + 1)
        self.assertFalse({3, 7, 11, 21, 23} & set(source))
        order = dict(zip(range(int(match[2]), int(match[3]) + 1), source))
        self.c.ok("SELECT %s-to" % self.name)
        found = self.c.messages("1:*", "(UID BODY.PEEK[])")
        self.assertEqual(len(found), len(order))
        for m in found.values():
            self.assertEqual(m[b"BODY[]"], b"%05d" % order[m[b"UID"]])


class Move(Scratch):
    """RFC 6851"""

    def setUp(self):
        super().setUp()
        self.to = self.name + "-to"
        self.c.ok("CREATE " + self.to)

    def test_move(self):  # 3.3, 4.3: COPYUID untagged, then the EXPUNGEs, then OK
        for i in range(6):
            self.c.append_uid(self.name, message(i), "(\\Seen $k)" if i == 2 else "", "17-Jul-1996 02:44:25 -0700")
        self.c.ok("SELECT " + self.name)
        d = self.also()
        untagged = [read(r) for r in self.c.ok("MOVE 2:4,6 " + self.to)]
        kinds = [k if k != b"OK" else v[0] for k, v in untagged]
        self.assertEqual(kinds.count(b"COPYUID"), 1)
        self.assertEqual(kinds.count(b"EXPUNGE"), 4)
        self.assertLess(kinds.index(b"COPYUID"), kinds.index(b"EXPUNGE"))
        self.assertNotIn(b"FETCH", kinds)  # no response of a STORE
        _, source, target = [v[1] for k, v in untagged if k == b"OK" and v[0] == b"COPYUID"][0]
        self.assertEqual((source, target), ([2, 3, 4, 6], [1, 2, 3, 4]))
        self.assertEqual(self.c.uids(), [1, 5])
        d.ok("NOOP")
        self.assertEqual(d.uids(), [1, 5])
        self.c.ok("SELECT " + self.to)
        self.assertEqual([self.c.body(n) for n in (1, 2, 3, 4)], [message(i) for i in (1, 2, 3, 5)])
        self.assertEqual([self.c.flags(n) for n in (1, 2, 3, 4)], [[], [b"$k", b"\\Seen"], [], []])  # no \Deleted
        self.assertEqual(self.c.one(1, "INTERNALDATE")[b"INTERNALDATE"], b"17-Jul-1996 02:44:25 -0700")
        self.assertEqual(len(self.c.search("RECENT")), 4)

    def test_uid_move(self):
        self.opened(5)
        untagged = [read(r) for r in self.c.ok("UID MOVE 2,4:90 " + self.to)]
        self.assertEqual([v[1][1:] for k, v in untagged if k == b"OK" and v[0] == b"COPYUID"], [([2, 4, 5], [1, 2, 3])])
        self.assertEqual(self.c.uids(), [1, 3])
        self.assertEqual(self.c.status(self.to, "MESSAGES")[b"MESSAGES"], 3)

    def test_deleted_messages_stay_deleted(self):  # as COPY: the flags come along
        self.opened(2)
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("MOVE 1 " + self.to)
        self.assertEqual(self.c.uids(), [2])
        self.c.ok("SELECT " + self.to)
        self.assertEqual(self.c.flags(1), [b"\\Deleted"])

    def test_others_that_are_deleted_are_not_expunged(self):  # UID EXPUNGE, not EXPUNGE
        self.opened(3)
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("MOVE 3 " + self.to)
        self.assertEqual(self.c.uids(), [1, 2])

    def test_no_such_mailbox(self):
        self.opened(2)
        self.no("MOVE 1 %s-none" % self.name, b"TRYCREATE")
        self.no("UID MOVE 1:* %s-none" % self.name, b"TRYCREATE")
        self.assertEqual(self.c.uids(), [1, 2])

    def test_to_itself(self):  # 3.3: allowed where COPY is
        self.opened(3)
        texts = [self.c.body(n) for n in (1, 2, 3)]
        self.c.ok("MOVE 2 " + self.name)
        self.c.ok("NOOP")
        self.assertEqual(self.c.exists, 3)
        self.assertEqual([self.c.body(n) for n in (1, 2, 3)], [texts[0], texts[2], texts[1]])
        self.assertEqual(self.c.uids(), [1, 3, 4])

    def test_many_to_itself(self):  # each of them once
        self.opened()
        n = 400
        self.c.send(b"".join(b"a%d APPEND %s {3+}\r\n%03d\r\n" % (i, self.name.encode(), i) for i in range(n)))
        for i in range(n):
            self.c.until(b"a%d" % i)
        self.c.ok("UID MOVE 1:200,150:*,900:950 " + self.name)
        self.c.ok("NOOP")
        self.assertEqual(self.c.uids(), list(range(n + 1, 2 * n + 1)))
        self.c.ok("MOVE 1:* " + self.name)
        self.assertEqual([m[b"BODY[]"] for _, m in sorted(self.c.messages("1:*", "BODY.PEEK[]").items())],
                         [b"%03d" % i for i in range(n)])

    def test_nothing_to_move(self):
        self.opened(1)
        self.assertEqual(self.c.tagged("UID MOVE 77:80 " + self.to)[0], b"OK")
        self.assertEqual(self.c.uids(), [1])

    def test_read_only(self):
        self.fill(1)
        self.c.ok("EXAMINE " + self.name)
        self.no("MOVE 1 " + self.to)
        self.assertEqual(self.c.status(self.to, "MESSAGES")[b"MESSAGES"], 0)

    def test_syntax(self):
        self.opened(1)
        for rest in "", "1", "x y", "0 " + self.to, "2 " + self.to, "1 a b":
            self.bad("MOVE " + rest)
        self.assertEqual(self.c.uids(), [1])

    def test_of_many(self):
        self.opened()
        self.c.send(b"".join(b"a%d APPEND %s {3+}\r\n%03d\r\n" % (i, self.name.encode(), i) for i in range(300)))
        for i in range(300):
            self.c.until(b"a%d" % i)
        self.c.ok("MOVE 11:290 " + self.to)
        self.assertEqual(self.c.exists, 20)
        self.c.ok("SELECT " + self.to)
        self.assertEqual([m[b"BODY[]"] for _, m in sorted(self.c.messages("1:*", "BODY.PEEK[]").items())],
                         [b"%03d" % i for i in range(10, 290)])


class Esearch(Scratch):
    """RFC 4731"""

    def setUp(self):
        super().setUp()
        self.opened(12)
        self.c.ok("STORE 1,5 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")  # numbers 1 to 10, UIDs 2 3 4 6 to 12
        self.c.ok("STORE 2,4:6,10 +FLAGS.SILENT (\\Flagged)")

    def found(self, command):
        answers = self.c.data(command, b"ESEARCH")
        self.assertEqual(len(answers), 1)
        said = answers[0]
        self.assertEqual(said.pop(b"TAG"), b"t%d" % self.c.tags)
        self.assertEqual(self.c.data(command, b"SEARCH"), [])  # instead of SEARCH
        return said

    def test_options(self):  # 3.1
        for options, said in (("MIN", {b"MIN": 2}), ("MAX", {b"MAX": 10}), ("COUNT", {b"COUNT": 5}),
                              ("ALL", {b"ALL": [2, 4, 5, 6, 10]}), ("", {b"ALL": [2, 4, 5, 6, 10]}),
                              ("MIN MAX", {b"MIN": 2, b"MAX": 10}), ("min Count", {b"MIN": 2, b"COUNT": 5}),
                              ("MIN MAX COUNT ALL", {b"MIN": 2, b"MAX": 10, b"COUNT": 5, b"ALL": [2, 4, 5, 6, 10]}),
                              ("MAX MAX", {b"MAX": 10})):
            with self.subTest(options=options):
                got = self.found("SEARCH RETURN (%s) FLAGGED" % options)
                if b"ALL" in got:
                    got[b"ALL"] = sorted(got[b"ALL"])
                self.assertEqual(got, said)

    def test_uids(self):
        got = self.found("UID SEARCH RETURN (MIN MAX ALL COUNT) FLAGGED")
        self.assertEqual((got[b"UID"], got[b"MIN"], got[b"MAX"], got[b"COUNT"]), (True, 3, 12, 5))
        self.assertEqual(sorted(got[b"ALL"]), [3, 6, 7, 8, 12])
        self.assertEqual(self.found("UID SEARCH RETURN (MIN) 3:4"), {b"UID": True, b"MIN": 4})

    def test_nothing_found(self):  # 3.1: no MIN, MAX, ALL; the response comes; COUNT 0
        self.assertEqual(self.found("SEARCH RETURN (MIN MAX ALL COUNT) DRAFT"), {b"COUNT": 0})
        self.assertEqual(self.found("SEARCH RETURN (MIN) DRAFT"), {})
        self.assertEqual(self.found("SEARCH RETURN () DRAFT"), {})
        self.assertEqual(self.found("UID SEARCH RETURN (ALL) DRAFT"), {b"UID": True})

    def test_with_charset(self):  # RFC 4466 2.6.1: RETURN comes first
        self.assertEqual(self.found("SEARCH RETURN (COUNT) CHARSET UTF-8 ALL"), {b"COUNT": 10})
        self.no("SEARCH RETURN (COUNT) CHARSET X-FROB ALL", b"BADCHARSET")

    def test_the_tag_comes_back_as_it_is(self):
        self.c.note(b"a]b.c", b"SEARCH")
        self.c.send("a]b.c SEARCH RETURN (COUNT) ALL\r\n")
        self.assertEqual(read(self.c.until(b"a]b.c")[1][0])[1][b"TAG"], b"a]b.c")

    def test_syntax(self):
        for rest in ("RETURN ALL", "RETURN (FROB) ALL", "RETURN (MIN ALL", "RETURN () ", "RETURN",
                     "RETURN (MIN,MAX) ALL",
                     "RETURN (MIN)ALL", "CHARSET UTF-8 RETURN (MIN) ALL"):
            with self.subTest(rest=rest):
                self.bad("SEARCH " + rest)

    def test_large_answers(self):
        c = self.c
        c.send(b"".join(b"a%d APPEND %s {1+}\r\nx\r\n" % (i, self.name.encode()) for i in range(600)))
        for i in range(600):
            c.until(b"a%d" % i)
        numbers = list(range(11, 610, 2))
        text = ",".join(map(str, numbers))
        self.assertEqual(sorted(self.found("SEARCH RETURN (ALL) " + text)[b"ALL"]), numbers)
        self.assertEqual(c.search(text), numbers)


class StatusSize(Scratch):
    """RFC 8438"""

    def test_size(self):
        self.assertEqual(self.c.status(self.name, "SIZE"), {b"SIZE": 0})
        sizes = [700, 20000, 1234, 300000]
        for i, n in enumerate(sizes):
            self.c.append_uid(self.name, message(i, size=n))
        got = self.c.status(self.name, "SIZE", "MESSAGES")
        self.assertEqual(got[b"MESSAGES"], 4)
        self.assertGreaterEqual(got[b"SIZE"], sum(sizes))
        self.c.ok("SELECT " + self.name)
        self.c.ok("STORE 4 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        found = sum(m[b"RFC822.SIZE"] for m in self.c.messages("1:*", "RFC822.SIZE").values())
        self.assertEqual(found, sum(sizes[:3]))
        self.assertGreaterEqual(self.c.status(self.name, "SIZE")[b"SIZE"], found)
        self.assertLess(self.c.status(self.name, "SIZE")[b"SIZE"], sum(sizes))


class ObjectId(Scratch):
    """RFC 8474"""

    def created(self, name):
        word, code, value = self.c.tagged("CREATE " + name)
        self.assertEqual((word, code), (b"OK", b"MAILBOXID"))
        return value

    def test_mailboxid(self):  # 4
        a, b = self.created(self.name + "-a"), self.created(self.name + "-b")
        self.assertNotEqual(a, b)
        self.assertEqual(self.c.select(self.name + "-a")[b"MAILBOXID"], a)
        self.assertEqual(self.c.select(self.name + "-b", "EXAMINE")[b"MAILBOXID"], b)
        self.assertEqual(self.c.status(self.name + "-a", "MAILBOXID"), {b"MAILBOXID": a})
        ids = [v[1][b"MAILBOXID"] for v in self.c.data('LIST "" * RETURN (STATUS (MAILBOXID))', b"STATUS")]
        self.assertEqual(len(ids), len(set(ids)))

    def test_mailboxid_and_names(self):  # 4: kept by RENAME, another for a new mailbox
        a = self.created(self.name + "-a")
        self.c.ok("RENAME %s-a %s-r" % (self.name, self.name))
        self.assertEqual(self.c.status(self.name + "-r", "MAILBOXID")[b"MAILBOXID"], a)
        self.assertNotEqual(self.created(self.name + "-a"), a)
        self.c.ok("DELETE %s-r" % self.name)
        self.assertNotEqual(self.created(self.name + "-r"), a)
        self.box.restart()
        self.c = self.connect()
        self.assertNotEqual(self.c.status(self.name + "-a", "MAILBOXID")[b"MAILBOXID"], a)

    def test_emailid(self):  # 5.1: the same for COPY and MOVE, one of its own for each message
        self.opened(4)
        ids = [m[b"EMAILID"] for _, m in sorted(self.c.messages("1:*", "EMAILID").items())]
        self.assertEqual(len(set(ids)), 4)
        self.c.ok("CREATE %s-to" % self.name)
        self.c.ok("COPY 2:3 %s-to" % self.name)
        self.c.ok("MOVE 4 %s-to" % self.name)
        self.c.ok("STORE 1 +FLAGS (\\Seen)")
        self.assertEqual([m[b"EMAILID"] for _, m in sorted(self.c.messages("1:*", "(EMAILID)").items())], ids[:3])
        self.box.restart()
        self.c = self.connect()
        self.c.ok("SELECT %s-to" % self.name)
        self.assertEqual([m[b"EMAILID"] for _, m in sorted(self.c.messages("1:*", "EMAILID").items())], ids[1:])

    def test_threadid(self):  # 5.2: NIL where it is not supported, and then no message has one
        self.opened(2)
        for _, m in self.c.messages("1:*", "(EMAILID THREADID)").items():
            self.assertNotEqual(m[b"THREADID"], m[b"EMAILID"])
            if m[b"THREADID"] is None:
                self.assertEqual(self.c.search("THREADID T1"), [])
                self.assertEqual(self.c.search("THREADID " + m[b"EMAILID"].decode()), [])

    def test_search(self):  # 6: exactly, and with the case of the letters
        self.opened(3)
        ids = {n: m[b"EMAILID"].decode() for n, m in self.c.messages("1:*", "EMAILID").items()}
        for n, value in ids.items():
            self.assertEqual(self.c.search("EMAILID " + value), [n])
            self.assertEqual(self.c.search("emailid %s" % value, uid=True), [n])
            if value.swapcase() != value:
                self.assertEqual(self.c.search("EMAILID " + value.swapcase()), [])
        self.assertEqual(self.c.search("OR EMAILID %s EMAILID %s" % (ids[1], ids[3])), [1, 3])
        self.assertEqual(self.c.search("EMAILID Mnothing"), [])
        self.bad("SEARCH EMAILID")
        self.bad("SEARCH EMAILID (x)")


class SaveDate(Scratch):
    """RFC 8514"""

    def test_savedate(self):  # 3: when it came into this mailbox, whatever INTERNALDATE says
        start = time.time()
        self.c.append_uid(self.name, message(1), date="17-Jul-1996 02:44:25 -0700")
        self.c.ok("SELECT " + self.name)
        found = self.c.one(1, "(SAVEDATE INTERNALDATE)")
        self.assertEqual(found[b"INTERNALDATE"], b"17-Jul-1996 02:44:25 -0700")
        self.assertLess(abs(self.seconds(found[b"SAVEDATE"]) - start), 5)

    @staticmethod
    def seconds(text):
        day, clock, zone = text.decode().strip().split()
        at = time.mktime(time.strptime("%s %s" % (day, clock), "%d-%b-%Y %H:%M:%S")) - time.timezone
        return at - (1 if zone[0] == "+" else -1) * (int(zone[1:3]) * 3600 + int(zone[3:]) * 60)

    def test_copy_and_move_give_a_new_one(self):  # 3 MUST
        self.opened(2)
        self.c.ok("CREATE %s-to" % self.name)
        before = self.seconds(self.c.one(1, "SAVEDATE")[b"SAVEDATE"])
        time.sleep(2.1)
        self.c.ok("COPY 1 %s-to" % self.name)
        self.assertEqual(self.seconds(self.c.one(1, "SAVEDATE")[b"SAVEDATE"]), before)
        self.c.ok("MOVE 2 %s-to" % self.name)
        self.c.ok("SELECT %s-to" % self.name)
        for n in 1, 2:
            self.assertGreaterEqual(self.seconds(self.c.one(n, "SAVEDATE")[b"SAVEDATE"]), before + 2)

    def test_search(self):  # 4.3
        self.c.append_uid(self.name, message(1), date="17-Jul-1996 02:44:25 -0700")
        self.c.ok("SELECT " + self.name)
        day = re.match(rb" ?\d+-\w+-\d+", self.c.one(1, "SAVEDATE")[b"SAVEDATE"]).group(0).decode().strip()
        for criteria, numbers in (("SAVEDATESUPPORTED", [1]), ("SAVEDON " + day, [1]), ("SAVEDSINCE " + day, [1]),
                                  ("SAVEDBEFORE " + day, []), ("SAVEDBEFORE 1-Jan-2100", [1]),
                                  ("SAVEDON 17-Jul-1996", []), ("SAVEDSINCE 1-Jan-2100", []),
                                  ("NOT SAVEDATESUPPORTED", [])):
            self.assertEqual(self.c.search(criteria), numbers, criteria)
        for criteria in "SAVEDON", "SAVEDON x", "SAVEDATESUPPORTED x", "SAVEDBEFORE 1-Foo-2000":
            self.bad("SEARCH " + criteria)


class ResponseCodes(Scratch):
    """RFC 5530: where a code exists for what happened, it is given."""

    def test_codes(self):
        self.no("SELECT %s-none" % self.name, b"NONEXISTENT")
        self.no("DELETE %s-none" % self.name, b"NONEXISTENT")
        self.no("RENAME %s-none x" % self.name, b"NONEXISTENT")
        self.no("STATUS %s-none (MESSAGES)" % self.name, b"NONEXISTENT")
        self.no("CREATE " + self.name, b"ALREADYEXISTS")
        self.c.ok("CREATE %s-b" % self.name)
        self.no("RENAME %s %s-b" % (self.name, self.name), b"ALREADYEXISTS")
        self.no('CREATE "%s//b"' % self.name, b"CANNOT")
        self.no("DELETE INBOX", b"CANNOT")

    def test_expungeissued(self):
        self.opened(2)
        d = self.also()
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        self.no("COPY 1:2 INBOX", b"EXPUNGEISSUED", c=d)


if __name__ == "__main__":
    unittest.main()
