"""RFC 7162, CONDSTORE: section 3.1. With RFC 4466 on the forms of parameters and modifiers."""

import unittest

from sample import message
from scratch import Scratch
from strict import read


class Condstore(Scratch):
    def highest(self, c=None):
        return (c or self.c).status(self.name, "HIGHESTMODSEQ")[b"HIGHESTMODSEQ"]

    def modseqs(self, c=None):
        c = c or self.c
        return {n: m[b"MODSEQ"] for n, m in c.messages("1:*", "MODSEQ").items()}


class Enabling(Condstore):
    """3.1: the commands that make a client a CONDSTORE-aware one."""

    COMMANDS = ("SELECT %s (CONDSTORE)", "EXAMINE %s (condstore)", "STATUS %s (HIGHESTMODSEQ)", "FETCH 1 (MODSEQ)",
                "UID FETCH 1 MODSEQ", "SEARCH MODSEQ 1", "FETCH 1 FLAGS (CHANGEDSINCE 1)",
                "STORE 1 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Draft)", "ENABLE CONDSTORE")

    def test_each_of_them(self):  # from then on MODSEQ comes with every FETCH that was not asked for
        self.fill(2)
        d = self.also()
        for i, command in enumerate(self.COMMANDS):
            with self.subTest(command=command):
                c = self.connect()
                c.ok("SELECT " + self.name)
                c.ok(command % self.name if "%s" in command else command)
                d.ok("STORE 2 %sFLAGS (\\Seen)" % "+-"[i % 2])
                told = [v for _, v in c.data("NOOP", b"FETCH") if b"FLAGS" in v]
                self.assertEqual(len(told), 1)
                self.assertIn(b"MODSEQ", told[0])

    def test_without(self):  # 3.1: nothing is sent that was not asked for
        self.opened(1)
        self.also().ok("STORE 1 +FLAGS (\\Seen)")
        self.assertEqual([set(v) for _, v in self.c.data("NOOP", b"FETCH")], [{b"FLAGS"}])

    def test_highestmodseq_comes_with_the_first(self):  # 3.1, last paragraph
        self.fill(1)
        for command in self.COMMANDS[2:]:
            with self.subTest(command=command):
                c = self.connect()
                c.ok("SELECT " + self.name)
                said = c.data(command % self.name if "%s" in command else command, b"OK")
                self.assertIn(b"HIGHESTMODSEQ", [code for code, _ in said])

    def test_select(self):  # 3.1.2
        self.fill(1)
        said = self.c.select(self.name, parameters="(CONDSTORE)")
        self.assertGreater(said[b"HIGHESTMODSEQ"], 0)
        self.assertEqual(self.c.select(self.name)[b"HIGHESTMODSEQ"], said[b"HIGHESTMODSEQ"])
        self.assertEqual(self.c.select(self.name, "EXAMINE")[b"HIGHESTMODSEQ"], said[b"HIGHESTMODSEQ"])
        self.assertEqual(said[b"HIGHESTMODSEQ"], self.highest())
        self.assertNotIn(b"NOMODSEQ", said)

    def test_it_stays_until_the_end(self):  # 3.1: until the connection is closed
        self.fill(1)
        self.c.ok("ENABLE CONDSTORE")
        self.c.ok("SELECT " + self.name)
        self.also().ok("STORE 1 +FLAGS (\\Seen)")
        self.assertTrue(all(b"MODSEQ" in v for _, v in self.c.data("NOOP", b"FETCH")))
        self.c.ok("UNSELECT")
        self.c.ok("SELECT " + self.name)
        self.assertTrue(all(b"MODSEQ" in v for _, v in self.c.data("STORE 1 -FLAGS (\\Seen)", b"FETCH")))

    def test_parameters(self):  # RFC 4466 2.1: those that are not known
        for rest in "(FROB)", "()", "(CONDSTORE", "CONDSTORE", "(CONDSTORE) x", "(QRESYNC (1 2))":
            self.bad("SELECT %s %s" % (self.name, rest))

    def test_enabled(self):  # RFC 5161
        self.assertEqual(self.c.data("ENABLE CONDSTORE", b"ENABLED"), [[b"CONDSTORE"]])


class ModSequences(Condstore):
    def test_positive_and_of_63_bits(self):  # 3.1; Strict reads them so
        self.opened(3)
        values = self.modseqs()
        self.assertEqual(sorted(values), [1, 2, 3])

    def test_append_is_higher_than_all(self):  # 3.1
        c = self.opened(2)
        c.ok("STORE 1 +FLAGS (\\Seen)")
        before = max(self.modseqs().values())
        c.append_uid(self.name, message(3))
        c.ok("NOOP")
        self.assertGreater(self.modseqs()[3], before)
        self.assertEqual(self.highest(), max(self.modseqs().values()))

    def test_copy_and_move_are_higher_than_all(self):  # 3.1, RFC 6851 4.4
        c = self.opened(2)
        c.ok("CREATE %s-to" % self.name)
        self.fill(1, self.name + "-to")
        for command in "COPY 1:2", "MOVE 1:2":
            before = c.status(self.name + "-to", "HIGHESTMODSEQ")[b"HIGHESTMODSEQ"]
            n = c.status(self.name + "-to", "MESSAGES")[b"MESSAGES"]
            c.ok("%s %s-to" % (command, self.name))
            c.ok("SELECT %s-to" % self.name)
            for number, value in self.modseqs().items():
                self.assertEqual(value > before, number > n)
            c.ok("SELECT " + self.name)

    def test_every_change_makes_it_greater(self):  # 3.1
        c = self.opened(2)
        last = self.modseqs()[1]
        for command in ("+FLAGS (\\Seen)", "-FLAGS (\\Seen)", "FLAGS (\\Draft)", "FLAGS ()", "+FLAGS ($k)",
                        "-FLAGS ($k)",
                        "+FLAGS.SILENT (\\Deleted)"):
            c.ok("STORE 1 " + command)
            value = self.modseqs()[1]
            self.assertGreater(value, last, command)
            last = value
        self.assertLess(self.modseqs()[2], last)
        self.assertEqual(self.highest(), last)

    def test_seen_by_fetch(self):  # 3.1
        c = self.opened(1)
        before = self.modseqs()[1]
        found = c.one(1, "BODY[]")
        self.assertGreater(self.modseqs()[1], before)
        self.assertEqual(found.get(b"MODSEQ"), self.modseqs()[1])  # with the unsolicited FLAGS

    def test_no_change_does_not(self):  # 3.1.11 SHOULD NOT
        c = self.opened(1)
        c.ok("STORE 1 +FLAGS (\\Seen $k)")
        before = self.modseqs()[1]
        for command in "+FLAGS (\\Seen)", "-FLAGS (\\Draft)", "FLAGS ($K \\Seen)", "+FLAGS.SILENT ($k)", "+FLAGS ()":
            c.cmd("STORE 1 " + command)
            self.assertEqual(self.modseqs()[1], before, command)
        c.ok("FETCH 1 BODY[]")
        self.assertEqual(self.modseqs()[1], before)
        self.assertEqual(self.highest(), before)

    def test_never_back(self):  # 3.1.2.1, and over a restart
        c = self.opened(3)
        last = self.highest()
        for command in ("STORE 1:3 +FLAGS (\\Seen)", "STORE 3 +FLAGS (\\Deleted)", "EXPUNGE", "STORE 1 -FLAGS (\\Seen)",
                        "COPY 1 " + self.name, "CHECK"):
            c.ok(command)
            value = self.highest()
            self.assertGreaterEqual(value, last, command)
            last = value
        values = self.modseqs()
        self.box.restart()
        self.c = self.connect()
        self.assertEqual(self.c.select(self.name, parameters="(CONDSTORE)")[b"HIGHESTMODSEQ"], last)
        self.assertEqual(self.modseqs(), values)
        self.c.ok("STORE 1 +FLAGS (\\Draft)")
        self.assertGreater(self.modseqs()[1], last)

    def test_an_empty_mailbox(self):  # 7: mod-sequence-value is positive
        self.assertGreater(self.highest(), 0)
        said = self.c.select(self.name, parameters="(CONDSTORE)")
        self.assertGreater(said[b"HIGHESTMODSEQ"], 0)

    def test_two_sessions_get_different_ones(self):  # 3.1: different STOREs, different values
        c = self.opened(2)
        d = self.also()
        seen = set()
        for i in range(10):
            c.ok("STORE 1 %sFLAGS.SILENT (\\Flagged)" % "+-"[i % 2])
            d.ok("STORE 2 %sFLAGS.SILENT (\\Flagged)" % "+-"[i % 2])
            seen |= set(self.modseqs().values())
        self.assertEqual(len(seen), 2 * 10)


class Fetch(Condstore):
    """3.1.4"""

    def test_modseq_item(self):
        self.opened(2)
        found = self.c.messages("1:2", "(UID MODSEQ FLAGS)")
        self.assertEqual(set(found[1]), {b"UID", b"MODSEQ", b"FLAGS"})
        self.bad("FETCH 1 MODSEQ[]")

    def test_changedsince(self):
        c = self.opened(5)
        base = self.highest()
        c.ok("STORE 2,4 +FLAGS (\\Flagged)")
        found = c.data("FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % base, b"FETCH")
        self.assertEqual([n for n, _ in found], [2, 4])
        self.assertTrue(all({b"FLAGS", b"MODSEQ"} <= set(v) and v[b"MODSEQ"] > base for _, v in found))
        found = c.data("UID FETCH 1:3 (FLAGS) (CHANGEDSINCE %d)" % base, b"FETCH")
        self.assertEqual([(n, v[b"UID"]) for n, v in found], [(2, 2)])
        middle = min(self.modseqs()[n] for n in (2, 4))
        found = c.data("FETCH 1:* UID (changedsince %d)" % middle, b"FETCH")
        self.assertEqual([n for n, _ in found], [n for n in (2, 4) if self.modseqs()[n] > middle])
        self.assertEqual(c.data("FETCH 1:* UID (CHANGEDSINCE %d)" % self.highest(), b"FETCH"), [])
        self.assertEqual(len(c.data("FETCH 1:* UID (CHANGEDSINCE 1)", b"FETCH")), 5)
        self.assertEqual(c.data("FETCH 1:* UID (CHANGEDSINCE 9223372036854775807)", b"FETCH"), [])

    def test_a_body_of_what_changed(self):
        c = self.opened(3)
        base = self.highest()
        c.ok("STORE 3 +FLAGS (\\Answered)")
        found = c.data("FETCH 1:* (BODY.PEEK[]) (CHANGEDSINCE %d)" % base, b"FETCH")
        self.assertEqual([(n, v[b"BODY[]"]) for n, v in found], [(3, message(3))])

    def test_modifier_syntax(self):
        self.opened(1)
        for rest in ("(CHANGEDSINCE)", "(CHANGEDSINCE x)", "(CHANGEDSINCE -1)", "CHANGEDSINCE 1", "(CHANGEDSINCE 1",
                     "()",
                     "(FROB 1)", "(CHANGEDSINCE 9223372036854775808)", "(CHANGEDSINCE 1) x", "(VANISHED)",
                     "(CHANGEDSINCE 1 VANISHED)"):
            with self.subTest(rest=rest):
                self.bad("UID FETCH 1 FLAGS " + rest)


class UnchangedSince(Condstore):
    """3.1.3"""

    def store(self, command):
        """(word, MODIFIED list or None, {number: values}) of a STORE."""
        status, untagged = self.c.cmd(command)
        told = {}
        for r in untagged:
            kind, value = read(r)
            if kind == b"FETCH":
                told.setdefault(value[0], {}).update(value[1])
        found = read(b"* " + status)
        return found[0], sorted(found[1][1]) if found[1][0] == b"MODIFIED" else None, told

    def test_all_pass(self):  # the response has MODSEQ, .SILENT or not
        self.opened(3)
        base = self.highest()
        word, modified, told = self.store("STORE 1:2 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Flagged)" % base)
        self.assertEqual((word, modified, sorted(told)), (b"OK", None, [1, 2]))
        for n in 1, 2:
            self.assertGreater(told[n][b"MODSEQ"], base)
            self.assertEqual(told[n][b"MODSEQ"], self.modseqs()[n])
        self.assertEqual(self.c.flags(1), [b"\\Flagged"])
        word, modified, told = self.store("STORE 3 (UNCHANGEDSINCE %d) +FLAGS (\\Flagged)" % base)
        self.assertEqual((word, modified), (b"OK", None))
        self.assertIn(b"\\Flagged", told[3][b"FLAGS"])
        self.assertIn(b"MODSEQ", told[3])

    def test_some_fail(self):  # 3.1.3: those are named, the rest is done
        self.opened(9)
        base = self.highest()
        self.also().ok("STORE 7,9 FLAGS (\\Answered)")
        before = self.modseqs()
        word, modified, told = self.store("STORE 7,5,9 (UNCHANGEDSINCE %d) FLAGS.SILENT (\\Deleted)" % base)
        self.assertEqual((word, modified), (b"OK", [7, 9]))
        self.assertIn(5, told)
        self.assertEqual([self.c.flags(n) for n in (5, 7, 9)], [[b"\\Deleted"], [b"\\Answered"], [b"\\Answered"]])
        after = self.modseqs()
        self.assertEqual((after[7], after[9]), (before[7], before[9]))

    def test_uids_in_modified(self):  # UID STORE: a set of UIDs
        self.opened(4)
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        base = self.highest()
        self.also().ok("STORE 2 FLAGS (\\Answered)")
        word, modified, told = self.store("UID STORE 2:4 (UNCHANGEDSINCE %d) FLAGS.SILENT (\\Flagged)" % base)
        self.assertEqual((word, modified), (b"OK", [3]))
        self.assertEqual({n: v[b"UID"] for n, v in told.items() if n != 2}, {1: 2, 3: 4})
        for values in told.values():
            self.assertIn(b"UID", values)

    def test_another_flag_does_not_hinder(self):  # 3.1.3, 3.1.12 SHOULD: no spurious MODIFIED for + and -
        self.opened(1)
        self.c.ok("NOOP")
        base = self.highest()
        self.also().ok("STORE 1 +FLAGS (\\Answered)")
        word, modified, told = self.store("STORE 1 (UNCHANGEDSINCE %d) +FLAGS.SILENT ($Processed)" % base)
        self.assertEqual(word, b"OK")
        if modified:  # a MODIFIED is permitted; nothing may have been done then
            self.assertEqual((modified, self.c.flags(1)), ([1], [b"\\Answered"]))
        else:
            self.assertEqual(self.c.flags(1), [b"$Processed", b"\\Answered"])
            self.assertIn(b"MODSEQ", told[1])

    def test_the_same_flag_hinders(self):  # 3.1.3: the metadata item itself was changed
        self.opened(1)
        base = self.highest()
        d = self.also()
        d.ok("STORE 1 +FLAGS (\\Answered)")
        d.ok("STORE 1 -FLAGS (\\Answered)")
        before = self.modseqs()
        word, modified, told = self.store("STORE 1 (UNCHANGEDSINCE %d) FLAGS (\\Answered)" % base)
        self.assertEqual((word, modified), (b"OK", [1]))
        self.assertEqual((self.c.flags(1), self.modseqs()), ([], before))

    def test_zero(self):  # 3.1.3, example 7: fails for all that exist
        self.opened(2)
        word, modified, _ = self.store("STORE 1:2 (UNCHANGEDSINCE 0) FLAGS.SILENT (\\Draft)")
        self.assertEqual((word, modified), (b"OK", [1, 2]))
        word, modified, _ = self.store("STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Draft)")
        self.assertEqual((word, modified), (b"OK", [1, 2]))
        self.assertEqual(self.c.flags(1), [])

    def test_the_largest(self):
        self.opened(1)
        self.assertEqual(self.store("STORE 1 (UNCHANGEDSINCE 9223372036854775807) +FLAGS (\\Draft)")[:2], (b"OK", None))
        self.bad("STORE 1 (UNCHANGEDSINCE 9223372036854775808) +FLAGS (\\Draft)")

    def test_a_message_twice_in_the_set(self):  # 3.1.3: MUST NOT fail the second time
        self.opened(9)
        base = self.highest()
        word, modified, _ = self.store("STORE 7,3:9 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Deleted)" % base)
        self.assertEqual((word, modified), (b"OK", None))
        word, modified, _ = self.store("STORE 7,3:9 (UNCHANGEDSINCE %d) FLAGS.SILENT (\\Seen)" % self.highest())
        self.assertEqual((word, modified), (b"OK", None))
        word, modified, _ = self.store("UID STORE 9,7,8:6,7:9,1 (UNCHANGEDSINCE %d) FLAGS (\\Draft)" % self.highest())
        self.assertEqual((word, modified), (b"OK", None))

    def test_syntax(self):
        self.opened(1)
        for rest in ("(UNCHANGEDSINCE) FLAGS (a)", "(UNCHANGEDSINCE x) FLAGS (a)", "(UNCHANGEDSINCE 1 FLAGS (a)",
                     "UNCHANGEDSINCE 1 FLAGS (a)", "() FLAGS (a)", "(FROB 1) FLAGS (a)", "(UNCHANGEDSINCE 1)",
                     "(UNCHANGEDSINCE 1 UNCHANGEDSINCE 1) FLAGS (a)", "(UNCHANGEDSINCE 1)FLAGS (a)"):
            with self.subTest(rest=rest):
                self.bad("STORE 1 " + rest)
        self.assertEqual(self.c.flags(1), [])

    def test_plain_store_tells_modseq_to_an_aware_client(self):  # 3.1.3, last paragraphs
        self.opened(2)
        self.c.ok("ENABLE CONDSTORE")
        _, _, told = self.store("STORE 1:2 +FLAGS (\\Seen)")
        self.assertEqual({n: v[b"MODSEQ"] for n, v in told.items()}, self.modseqs())
        d = self.also()
        d.ok("ENABLE CONDSTORE")
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Draft)")
        told = d.data("NOOP", b"FETCH")
        self.assertEqual([(n, v[b"MODSEQ"]) for n, v in told], [(1, self.modseqs()[1])])

    def test_silent_store_tells_modseq_to_an_aware_client(self):  # 3.1.4.2, example 14
        self.opened(1)
        self.c.ok("ENABLE CONDSTORE")
        _, _, told = self.store("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.assertEqual(told[1][b"MODSEQ"], self.modseqs()[1])

    def test_with_messages_that_are_gone(self):  # 3.1.3, example 11: MODIFIED may come with NO
        self.opened(4)
        base = self.highest()
        d = self.also()
        d.ok("STORE 2 FLAGS (\\Answered)")
        d.ok("STORE 4 +FLAGS.SILENT (\\Deleted)")
        d.ok("EXPUNGE")
        word, modified, told = self.store("STORE 1:4 (UNCHANGEDSINCE %d) FLAGS (\\Seen)" % base)
        self.assertIn(word, (b"OK", b"NO"))
        self.assertEqual(modified, [2])
        self.assertTrue({1, 3} <= set(told))
        self.c.ok("NOOP")
        self.assertEqual([self.c.flags(n) for n in (1, 2, 3)], [[b"\\Seen"], [b"\\Answered"], [b"\\Seen"]])


class Removing(Condstore):
    """3.2.7, 3.2.8, 3.2.9; RFC 6851 4.4: HIGHESTMODSEQ in the tagged OK, once something was removed."""

    def removed(self, command):
        word, code, value = self.c.tagged(command)
        self.assertEqual(word, b"OK")
        return value if code == b"HIGHESTMODSEQ" else None

    def test_expunge_and_move(self):
        self.fill(9)
        self.c.ok("CREATE %s-to" % self.name)
        self.c.ok("SELECT %s (CONDSTORE)" % self.name)
        for command in "EXPUNGE", "UID EXPUNGE 1:*", "UID MOVE 100 %s-to" % self.name:
            self.assertIsNone(self.removed(command), command)
        self.c.ok("STORE 1,2,7 +FLAGS.SILENT (\\Deleted)")
        before = self.highest()
        for command in "UID EXPUNGE 1", "EXPUNGE", "MOVE 1:2 %s-to" % self.name, "UID MOVE 5 %s-to" % self.name:
            now = self.removed(command)
            self.assertGreater(now, before, command)
            self.assertEqual(now, self.highest(), command)
            before = now

    def test_close(self):  # MUST NOT: the client was not told of what CLOSE removed
        self.fill(1)
        self.c.ok("SELECT %s (CONDSTORE)" % self.name)
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.assertIsNone(self.removed("CLOSE"))

    def test_without_condstore(self):
        self.opened(1)
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.assertIsNone(self.removed("EXPUNGE"))


class Search(Condstore):
    """3.1.5, 3.1.6, 3.1.10"""

    def found(self, criteria, uid=False):
        answers = self.c.data("%sSEARCH %s" % ("UID " if uid else "", criteria), b"SEARCH")
        self.assertEqual(len(answers), 1)
        return answers[0]

    def test_modseq(self):
        self.opened(4)
        self.c.ok("STORE 3,2 +FLAGS (\\Seen)")
        values = self.modseqs()
        for n in values:
            least = values[n]
            numbers = sorted(k for k in values if values[k] >= least)
            self.assertEqual(self.found("MODSEQ %d" % least), (numbers, max(values[k] for k in numbers)))
        self.assertEqual(self.found("MODSEQ %d" % (max(values.values()) + 1)), ([], None))
        self.assertEqual(self.found("MODSEQ 0"), ([1, 2, 3, 4], max(values.values())))
        self.assertEqual(self.found("NOT MODSEQ %d" % values[3])[0],
                         sorted(k for k in values if values[k] < values[3]))
        self.assertEqual(self.found("SEEN MODSEQ 1"), ([2, 3], max(values[2], values[3])))
        self.assertEqual(self.found("OR UNSEEN MODSEQ %d LARGER 1" % (max(values.values()) + 1))[0], [1, 4])

    def test_with_an_entry_name(self):  # ignored where a message has one mod-sequence
        self.opened(2)
        self.c.ok("STORE 1 +FLAGS (\\Draft)")
        value = self.modseqs()[1]
        for kind in "all", "shared", "priv", "ALL":
            self.assertEqual(self.found('MODSEQ "/flags/\\\\draft" %s %d' % (kind, value)), ([1], value))
        self.assertEqual(self.found('MODSEQ "/flags/\\\\draft" all %d FLAGGED' % value), ([], None))

    def test_uid_search(self):
        self.opened(3)
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        values = self.modseqs()
        self.assertEqual(self.found("MODSEQ %d" % values[2], uid=True), ([3], values[2]))

    def test_without_the_key_there_is_no_modseq(self):
        self.opened(1)
        self.c.ok("ENABLE CONDSTORE")
        self.assertEqual(self.found("ALL"), ([1], None))

    def test_esearch(self):  # 3.1.10, RFC 4731 3.2
        self.opened(5)
        self.c.ok("STORE 4,2 +FLAGS (\\Seen)")
        v = self.modseqs()
        for options, numbers in (("ALL", [2, 4]), ("MIN", [2]), ("MAX", [4]), ("MIN MAX", [2, 4]),
                                 ("MIN COUNT", [2, 4]), ("", [2, 4]), ("COUNT", [2, 4]), ("MIN MAX COUNT", [2, 4])):
            with self.subTest(options=options):
                said = self.c.data("SEARCH RETURN (%s) SEEN MODSEQ 1" % options, b"ESEARCH")[0]
                self.assertEqual(said[b"MODSEQ"], max(v[n] for n in numbers))
        self.assertNotIn(b"MODSEQ", self.c.data("SEARCH RETURN (COUNT) DRAFT MODSEQ 1", b"ESEARCH")[0])
        self.assertNotIn(b"MODSEQ", self.c.data("SEARCH RETURN (COUNT) SEEN", b"ESEARCH")[0])

    def test_syntax(self):
        self.opened(1)
        for criteria in ("MODSEQ", "MODSEQ x", "MODSEQ -1", "MODSEQ 9223372036854775808", 'MODSEQ "/flags/x" 1',
                         'MODSEQ "/flags/x" frob 1', 'MODSEQ "frob" all 1',
                         'MODSEQ "/flags/x" all'):
            with self.subTest(criteria=criteria):
                self.bad("SEARCH " + criteria)


class Converging(Condstore):
    """6: a client that keeps HIGHESTMODSEQ learns of all changes of flags by CHANGEDSINCE alone."""

    settings = {"flag_delay": "1s"}

    def test_a_client_that_comes_back(self):
        self.opened(10)
        kept = {n: v[b"FLAGS"] for n, v in self.c.messages("1:*", "FLAGS", uid=True).items()}
        high = self.c.select(self.name, parameters="(CONDSTORE)")[b"HIGHESTMODSEQ"]
        d = self.also()
        for i in range(25):
            flag = ("\\Seen", "$a", "\\Flagged")[i % 3]
            d.ok("STORE %d %sFLAGS.SILENT (%s)" % (i * 7 % 10 + 1, "+-"[i % 3 == 0], flag))
            if i % 5 == 4:
                c = self.connect()
                new = c.select(self.name, parameters="(CONDSTORE)")[b"HIGHESTMODSEQ"]
                for n, v in c.data("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % high, b"FETCH"):
                    self.assertLessEqual(v[b"MODSEQ"], new)
                    kept[n] = v[b"FLAGS"]
                high = new
                truth = {n: v[b"FLAGS"] for n, v in c.messages("1:*", "FLAGS").items()}
                self.assertEqual(self.plain(kept), self.plain(truth))

    @staticmethod
    def plain(messages):
        return {n: sorted(set(flags) - {b"\\Recent"}) for n, flags in messages.items()}

    def test_a_poll_finds_every_change(self):  # RFC 3501 6.1.2, 5.2: whatever else is going on, and at once
        self.opened(2)
        d = self.also()
        d.ok("ENABLE CONDSTORE")
        other = self.connect("bert")
        other.append_uid("INBOX", message(1))
        other.ok("SELECT INBOX")
        for i in range(6):
            self.c.ok("STORE 1 %sFLAGS.SILENT (\\Answered)" % "+-"[i % 2])
            other.ok("STORE 1 %sFLAGS.SILENT (\\Answered)" % "+-"[i % 2])
            told = d.data("NOOP", b"FETCH")
            self.assertEqual([(n, v[b"MODSEQ"]) for n, v in told], [(1, self.modseqs(d)[1])])

    def test_idle(self):  # the change comes by itself, with the MODSEQ that stays
        self.opened(1)
        d = self.also()
        d.ok("ENABLE CONDSTORE")
        tag = d.begin("IDLE")
        self.assertTrue(d.response().startswith(b"+"))
        self.c.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
        d.socket.settimeout(10)
        kind, (n, values) = read(d.response())
        self.assertEqual((kind, n), (b"FETCH", 1))
        d.send("DONE\r\n")
        d.until(tag)
        self.assertEqual(values[b"MODSEQ"], self.modseqs(d)[1])


if __name__ == "__main__":
    unittest.main()
