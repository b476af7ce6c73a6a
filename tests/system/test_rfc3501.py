"""RFC 3501 on connections: states, login, SELECT, UIDs, APPEND, literals, pipelining. The other
test_rfc3501_*.py speak of mailboxes, messages, sessions and SEARCH."""

import base64
import re
import time
import unittest

from box import PASSWORD
from sample import message
from scratch import Scratch
from strict import Strict, read
from wire import Closed, plain


class AnyState(Scratch):
    def test_greeting(self):  # 7.1: OK, with the capabilities
        with Strict(self.box) as c:
            kind, (code, names) = read(c.greeting)
            self.assertEqual((kind, code), (b"OK", b"CAPABILITY"))
            self.assertIn(b"IMAP4rev1", names)

    def test_capability(self):  # 6.1.1: in every state, one response
        with Strict(self.box) as c:
            for state in "fresh", "authenticated", "selected":
                self.assertEqual(len(c.data("CAPABILITY", b"CAPABILITY")), 1, state)
                if state == "fresh":
                    c.ok('LOGIN anna "%s"' % PASSWORD)
                elif state == "authenticated":
                    c.ok("SELECT INBOX")

    def test_capabilities_are_for_the_state(self):  # 6.2.1, 6.2.3, 7.2.1
        with Strict(self.box) as c:
            before = c.data("CAPABILITY", b"CAPABILITY")[0]
            self.assertIn(b"STARTTLS", before)
            self.assertIn(b"AUTH=PLAIN", before)
            status, _ = c.cmd('LOGIN anna "%s"' % PASSWORD)
            self.assertIn(b"[CAPABILITY ", status)
            after = c.data("CAPABILITY", b"CAPABILITY")[0]
            self.assertEqual(status.split(b"]")[0].split(b"[CAPABILITY ")[1].split(), after)
            for name in (b"STARTTLS", b"LOGINDISABLED"):
                self.assertNotIn(name, after)

    def test_noop(self):  # 6.1.2: always succeeds
        self.assertEqual(self.c.ok("NOOP"), [])
        self.c.ok("SELECT INBOX")
        self.c.ok("NOOP")
        with Strict(self.box) as c:
            c.ok("NOOP")

    def test_logout(self):  # 6.1.3: BYE, then the tagged OK, then the end
        for login in None, "anna":
            with Strict(self.box, login=login) as c:
                status, untagged = c.cmd("LOGOUT")
                self.assertTrue(status.startswith(b"OK"))
                self.assertEqual([read(r)[0] for r in untagged], [b"BYE"])
                self.assertEqual(c.rest(), b"")

    def test_no_arguments_where_none_are_defined(self):  # 9: the grammar of command-any
        for command in "CAPABILITY x", "NOOP x", "LOGOUT x", "NOOP (", "NOOP\tx", "CHECK x":
            self.bad(command)
        self.c.ok("NOOP")

    def test_commands_that_do_not_exist(self):  # 7.1.3
        for command in "FROBNICATE", "XFROBNICATE", "UID", "UID NOOP", "UID FROB 1", "OK", "SELECTED INBOX":
            self.bad(command)

    def test_words_in_any_case(self):  # 9, rule 1
        self.c.ok("nOoP")
        self.c.ok("sElEcT " + self.name)
        self.c.append_uid(self.name, message(1), "(\\SEEN \\aNSWERED)")
        self.assertEqual(self.c.flags(1), [b"\\Answered", b"\\Seen"])
        self.c.ok("uid fEtCh 1 (fLaGs bOdY.pEeK[hEaDeR.fIeLdS (sUbJeCt)])")
        self.assertEqual(self.c.search("sEeN uId 1:*"), [1])
        self.c.ok("sTaTuS inbox (mEsSaGeS)")

    def test_tags(self):  # 9: any ASTRING-CHAR but "+", given back as they came
        for tag in b"A", b"1", b"a]b", b"-", b".", b"!#$&',/:;<=>?@[]^_`|~", b"x" * 60:
            self.c.send(tag + b" NOOP\r\n")
            self.assertTrue(self.c.response().startswith(tag + b" OK"), tag)

    def test_a_tag_that_is_none(self):  # 9, 7.1.3: untagged BAD where the tag is unknown
        for line in b"+ NOOP\r\n", b"* NOOP\r\n", b"( NOOP\r\n", b'"a" NOOP\r\n':
            self.c.send(line)
            r = self.c.response()
            self.assertRegex(r, rb"^(\S+ BAD |\* BAD )", line)
        self.c.ok("NOOP")

    def test_white_space(self):  # 9, rule 2: a TAB is no space. More spaces than one are taken: some clients send them
        for line in "SELECT\tINBOX", "NOOP\t", 'LIST\t"" *', "STATUS INBOX\t(MESSAGES)", "SELECT INBOX\v":
            self.bad(line)

    def test_lines_of_8000_octets(self):  # RFC 2683 3.2.1.5, RFC 7162 4
        self.opened(1)
        numbers = ",".join(["1"] * 3900)
        self.assertEqual(list(self.c.messages(numbers, "UID")), [1])


class NotAuthenticated(Scratch):
    def setUp(self):
        self.c = Strict(self.box)
        self.addCleanup(self.c.close)

    def test_what_needs_a_login(self):  # 3.1, 6: BAD in a state where it is not permitted
        for command in ("SELECT INBOX", "EXAMINE INBOX", "CREATE x", "DELETE x", "RENAME x y", "SUBSCRIBE x",
                        "UNSUBSCRIBE x", 'LIST "" *', 'LSUB "" *', "STATUS INBOX (MESSAGES)", "CHECK", "CLOSE",
                        "EXPUNGE", "SEARCH ALL", "FETCH 1 FLAGS", "STORE 1 FLAGS ()", "COPY 1 x", "UID FETCH 1 FLAGS",
                        "IDLE", "NAMESPACE", "MOVE 1 x", "UNSELECT", "UID EXPUNGE 1", "ENABLE CONDSTORE"):
            with Strict(self.box) as c:
                self.bad(command, c)
                c.ok("NOOP")
        self.bad("APPEND INBOX {3+}\r\nabc")
        self.c.ok("NOOP")

    def test_login_once(self):  # 6.2: not possible once authenticated
        self.c.ok('LOGIN anna "%s"' % PASSWORD)
        self.bad('LOGIN anna "%s"' % PASSWORD)
        self.bad("AUTHENTICATE PLAIN " + plain("anna"))
        self.bad("STARTTLS")
        self.c.ok("SELECT INBOX")
        self.bad('LOGIN bert "%s"' % PASSWORD)
        self.c.ok("CHECK")

    def test_login_forms(self):  # 6.2.3: userid and password are astrings
        for line in ('LOGIN anna "%s"' % PASSWORD, 'LOGIN "anna" "%s"' % PASSWORD, 'login "anna" "%s"' % PASSWORD,
                     'LOGIN "anna" {%d+}\r\n%s' % (len(PASSWORD), PASSWORD)):
            with Strict(self.box) as c:
                c.ok(line)

    def test_login_with_literals(self):  # 7.5
        c = self.c
        c.send("a LOGIN {4}\r\n")
        self.assertTrue(c.response().startswith(b"+ "))
        c.send("anna {%d}\r\n" % len(PASSWORD))
        self.assertTrue(c.response().startswith(b"+ "))
        c.send(PASSWORD + "\r\n")
        self.assertTrue(c.until(b"a")[0].startswith(b"OK"))

    def test_wrong_password(self):  # 6.2.3; RFC 5530 3; 11.2: the same for a user who does not exist
        answers = []
        for user, password in ("anna", "wrong"), ("nobody", PASSWORD), ("anna", ""):
            status, _ = self.c.cmd('LOGIN "%s" "%s"' % (user, password))
            self.assertTrue(status.startswith(b"NO [AUTHENTICATIONFAILED] "), status)
            answers.append(status)
        self.assertEqual(len(set(answers)), 1)
        self.bad("SELECT INBOX")

    def test_login_arguments(self):
        for line in "LOGIN", "LOGIN anna", "LOGIN anna a b", "LOGIN (anna) x", 'LOGIN anna "x':
            self.bad(line)

    def test_authenticate_in_two_steps(self):  # 6.2.2, RFC 4959 4: an empty challenge is "+ "
        tag = self.c.begin("AUTHENTICATE PLAIN")
        self.assertEqual(self.c.line(), b"+ \r\n")
        self.c.send(plain("anna") + "\r\n")
        self.assertTrue(self.c.until(tag)[0].startswith(b"OK"))
        self.c.ok("SELECT INBOX")

    def test_authenticate_cancelled(self):  # 6.2.2: "*" must be answered with BAD
        tag = self.c.begin("AUTHENTICATE PLAIN")
        self.c.line()
        self.c.send("*\r\n")
        self.assertTrue(self.c.until(tag)[0].startswith(b"BAD"))
        self.c.ok("AUTHENTICATE PLAIN " + plain("anna"))

    def test_authenticate_with_what_is_no_base64(self):  # 6.2.2
        for text in "???", "abc", "YQ=", "====":
            tag = self.c.begin("AUTHENTICATE PLAIN")
            self.c.line()
            self.c.send(text + "\r\n")
            self.assertTrue(self.c.until(tag)[0].startswith(b"BAD"), text)

    def test_authenticate_wrong_password(self):
        self.no("AUTHENTICATE PLAIN " + plain("anna", "wrong"), b"AUTHENTICATIONFAILED")
        self.c.ok("AUTHENTICATE PLAIN " + plain("anna"))

    def test_mechanism_that_does_not_exist(self):  # 6.2.2: a tagged NO
        self.no("AUTHENTICATE FROB")
        self.no("AUTHENTICATE GSSAPI YWFh")

    def test_another_identity(self):  # RFC 5530 3, RFC 4616 2
        as_bert = base64.b64encode(("bert\0anna\0" + PASSWORD).encode()).decode()
        self.no("AUTHENTICATE PLAIN " + as_bert, (b"AUTHORIZATIONFAILED", b"AUTHENTICATIONFAILED", b"NOPERM"))
        as_anna = base64.b64encode(("anna\0anna\0" + PASSWORD).encode()).decode()
        self.c.ok("AUTHENTICATE plain " + as_anna)

    def test_starttls(self):  # 6.2.1
        self.c.ok("STARTTLS")
        self.c.start_tls(self.box.tls_context())
        names = self.c.data("CAPABILITY", b"CAPABILITY")[0]
        self.assertNotIn(b"STARTTLS", names)
        self.assertNotIn(b"LOGINDISABLED", names)
        self.bad("STARTTLS")
        self.bad("SELECT INBOX")
        self.c.ok('LOGIN anna "%s"' % PASSWORD)

    def test_commands_behind_starttls_are_not_run(self):  # 6.2.1: what came in the clear is not trusted
        self.c.send(b'a STARTTLS\r\nb LOGIN anna "%s"\r\n' % PASSWORD.encode())
        first = self.c.response()
        self.assertTrue(first.startswith((b"a OK", b"a BAD", b"* BYE")), first)
        try:
            self.c.start_tls(self.box.tls_context())
            self.bad("SELECT INBOX")
        except (OSError, Closed):
            pass  # closed: as good


class Disabled(Scratch):
    """11.1: the configuration in which no password is taken in the clear."""

    settings = {"cleartext_login": "never"}

    def setUp(self):
        self.c = Strict(self.box)
        self.addCleanup(self.c.close)

    def test_login_disabled(self):
        names = self.c.data("CAPABILITY", b"CAPABILITY")[0]
        self.assertIn(b"LOGINDISABLED", names)
        self.assertFalse([n for n in names if n in (b"AUTH=PLAIN", b"AUTH=LOGIN")], names)
        self.no('LOGIN anna "%s"' % PASSWORD, (b"PRIVACYREQUIRED", None))
        self.assertNotEqual(self.c.tagged("AUTHENTICATE PLAIN " + plain("anna"))[0], b"OK")
        self.bad("SELECT INBOX")
        self.c.ok("STARTTLS")
        self.c.start_tls(self.box.tls_context())
        self.assertIn(b"AUTH=PLAIN", self.c.data("CAPABILITY", b"CAPABILITY")[0])
        self.c.ok("AUTHENTICATE PLAIN " + plain("anna"))


class Select(Scratch):
    def test_what_is_required(self):  # 6.3.1
        self.fill(3)
        said = self.c.select(self.name)
        self.assertEqual(said[b"EXISTS"], 3)
        self.assertEqual(said[b"UNSEEN"], 1)
        self.assertEqual(said[b"UIDNEXT"], 4)
        self.assertEqual(said[b"CODE"], b"READ-WRITE")
        self.assertGreater(said[b"UIDVALIDITY"], 0)
        self.assertIn(b"RECENT", said)
        for flag in b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Seen", b"\\Draft":
            self.assertIn(flag, said[b"FLAGS"])
            self.assertIn(flag, said[b"PERMANENTFLAGS"])

    def test_an_empty_mailbox(self):
        said = self.c.select(self.name)
        self.assertEqual((said[b"EXISTS"], said[b"RECENT"], said[b"UIDNEXT"]), (0, 0, 1))
        self.assertNotIn(b"UNSEEN", said)  # nz-number: there is none to name

    def test_first_unseen(self):  # 6.3.1
        for flags in "(\\Seen)", "(\\Seen)", "", "(\\Seen)", "":
            self.c.append_uid(self.name, message(1), flags)
        self.assertEqual(self.c.select(self.name)[b"UNSEEN"], 3)
        self.c.ok("STORE 3,5 +FLAGS.SILENT (\\Seen)")
        self.assertNotIn(b"UNSEEN", self.c.select(self.name))

    def test_keywords_in_use(self):  # 7.2.6: FLAGS names those that are applicable
        self.c.append_uid(self.name, message(1), "($Frob)")
        said = self.c.select(self.name)
        self.assertIn(b"$Frob", said[b"FLAGS"])
        self.assertIn(b"$Frob", said[b"PERMANENTFLAGS"])
        self.assertIn(b"\\*", said[b"PERMANENTFLAGS"])

    def test_a_select_that_fails_deselects(self):  # 6.3.1
        self.opened(1)
        self.no("SELECT nowhere", (b"NONEXISTENT", None))
        self.bad("FETCH 1 FLAGS")
        self.c.ok("NOOP")

    def test_a_bad_select_changes_nothing(self):  # 6: a rejected command never changes the state
        self.opened(1)
        self.bad("SELECT")
        self.bad("SELECT (x)")
        self.bad("SELECT %s x" % self.name)
        self.assertEqual(list(self.c.messages("1", "UID")), [1])

    def test_another_mailbox(self):  # 6.3.1
        self.fill(2)
        self.c.ok("CREATE %s-b" % self.name)
        self.fill(1, self.name + "-b")
        self.c.ok("SELECT " + self.name)
        self.assertEqual(self.c.exists, 2)
        self.c.ok("SELECT %s-b" % self.name)
        self.assertEqual(self.c.exists, 1)
        self.bad("FETCH 2 FLAGS")

    def test_forms_of_a_name(self):  # 4.3: atom, quoted, literal
        for form in self.name, '"%s"' % self.name, "{%d+}\r\n%s" % (len(self.name), self.name):
            self.assertEqual(self.c.select(form)[b"EXISTS"], 0)

    def test_a_name_as_synchronizing_literal(self):  # 7.5
        self.c.send("a SELECT {%d}\r\n" % len(self.name))
        self.assertTrue(self.c.response().startswith(b"+ "))
        self.c.note(b"a", b"SELECT")
        self.c.send(self.name + "\r\n")
        self.assertTrue(self.c.until(b"a")[0].startswith(b"OK [READ-WRITE]"))

    def test_inbox_in_any_case(self):  # 5.1
        for name in "INBOX", "inbox", "iNbOx", '"Inbox"', "{5+}\r\ninBOX":
            self.c.ok("SELECT " + name)
            self.c.ok("STATUS %s (MESSAGES)" % name)

    def test_nil_is_a_name(self):  # 4.5
        self.c.ok("CREATE NIL")
        self.assertEqual(self.names('"" NIL'), ["NIL"])
        self.c.ok("SELECT NIL")
        self.c.ok("UNSELECT")
        self.c.ok("DELETE NIL")

    def test_examine(self):  # 6.3.2
        self.fill(2)
        c = self.c
        said = c.select(self.name, "EXAMINE")
        self.assertEqual((said[b"CODE"], said[b"EXISTS"], said[b"UIDNEXT"], said[b"UNSEEN"]), (b"READ-ONLY", 2, 3, 1))
        self.assertIn(b"PERMANENTFLAGS", said)
        self.assertIn(b"UIDVALIDITY", said)
        c.ok("FETCH 1 BODY[]")  # no permanent change, not even \Seen
        self.assertEqual(c.flags(1), [])
        self.no("STORE 1 +FLAGS (\\Deleted)")
        self.no("EXPUNGE")
        c.ok("CLOSE")
        c.ok("SELECT " + self.name)
        self.assertEqual((c.exists, c.flags(1), c.flags(2)), (2, [], []))

    def test_close_after_examine_removes_nothing(self):  # 6.4.2
        self.opened(2)
        self.c.ok("STORE 1 +FLAGS (\\Deleted)")
        self.c.ok("EXAMINE " + self.name)
        self.c.ok("CLOSE")
        self.assertEqual(self.c.status(self.name, "MESSAGES")[b"MESSAGES"], 2)

    def test_recent_goes_to_the_first_session(self):  # 2.3.2
        self.fill(3)
        self.assertEqual(self.c.select(self.name)[b"RECENT"], 3)
        self.assertEqual(self.c.search("RECENT"), [1, 2, 3])
        self.assertIn(b"\\Recent", self.c.one(1, "FLAGS")[b"FLAGS"])
        d = self.connect()
        self.assertEqual(d.select(self.name)[b"RECENT"], 0)
        self.assertNotIn(b"\\Recent", d.one(1, "FLAGS")[b"FLAGS"])
        self.assertEqual(d.search("RECENT"), [])
        self.assertEqual(self.c.search("RECENT"), [1, 2, 3])
        self.assertEqual(self.c.select(self.name)[b"RECENT"], 0)

    def test_examine_and_status_leave_recent(self):  # 6.3.2, 6.3.10
        self.fill(2)
        self.assertEqual(self.c.status(self.name, "RECENT")[b"RECENT"], 2)
        self.assertEqual(self.c.select(self.name, "EXAMINE")[b"RECENT"], 2)
        self.assertEqual(self.c.status(self.name, "RECENT")[b"RECENT"], 2)
        self.assertEqual(self.c.select(self.name)[b"RECENT"], 2)
        self.c.ok("UNSELECT")
        self.assertEqual(self.c.status(self.name, "RECENT")[b"RECENT"], 0)

    def test_recent_of_what_arrives(self):  # 7.3.2
        self.opened()
        self.c.append_uid(self.name, message(1))
        self.c.ok("NOOP")
        self.assertEqual(self.c.search("RECENT"), [1])


class Uids(Scratch):
    """2.3.1.1"""

    def test_strictly_ascending_and_never_again(self):
        c = self.opened(3)
        first = c.uids()
        self.assertEqual(first, sorted(set(first)))
        c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
        _, uid = c.append_uid(self.name, message(9))
        self.assertGreater(uid, max(first))

    def test_uidnext(self):  # changes with messages added, even if they are expunged since; not else
        c = self.opened(1)
        before = c.select(self.name)[b"UIDNEXT"]
        c.ok("STORE 1 +FLAGS (\\Flagged)")
        c.ok("FETCH 1 BODY[]")
        self.assertEqual(c.select(self.name)[b"UIDNEXT"], before)
        _, uid = c.append_uid(self.name, message(2))
        self.assertGreaterEqual(uid, before)
        c.ok("UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
        c.ok("EXPUNGE")
        self.assertGreater(c.select(self.name)[b"UIDNEXT"], uid)

    def test_validity_stays(self):
        self.fill(2)
        before = self.c.select(self.name)
        uids = self.c.uids()
        self.c.ok("CREATE %s-x" % self.name)
        self.box.restart()
        c = self.connect()
        after = c.select(self.name)
        self.assertEqual(after[b"UIDVALIDITY"], before[b"UIDVALIDITY"])
        self.assertGreaterEqual(after[b"UIDNEXT"], before[b"UIDNEXT"])
        self.assertEqual(c.uids(), uids)

    def test_a_name_used_again(self):  # 6.3.3, 6.3.4: greater UIDs or another UIDVALIDITY
        self.fill(3)
        before = self.c.select(self.name)
        self.c.ok("UNSELECT")
        for again in "DELETE %s" % self.name, "RENAME %s %s-away" % (self.name, self.name):
            self.c.ok(again)
            self.c.ok("CREATE " + self.name)
            validity, uid = self.c.append_uid(self.name, message(1))
            self.assertGreaterEqual(validity, before[b"UIDVALIDITY"])
            self.assertTrue(validity > before[b"UIDVALIDITY"] or uid > 3)

    def test_rename_keeps_uids(self):  # 2.3.1.1: SHOULD NOT change; a change must show in UIDVALIDITY
        self.fill(3)
        self.c.ok("SELECT " + self.name)
        self.c.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        self.c.ok("EXPUNGE")
        self.c.ok("UNSELECT")
        self.c.ok("RENAME %s %s-r" % (self.name, self.name))
        self.c.ok("SELECT %s-r" % self.name)
        self.assertEqual(self.c.uids(), [1, 3])


class Append(Scratch):
    TEXT = b"Subject: x\r\n\r\nbody\r\n"

    def test_flags_and_date(self):  # 6.3.11
        self.c.append_uid(self.name, self.TEXT, "(\\Flagged $a \\Draft)", " 7-Jul-1996 02:44:25 -0730")
        self.c.append_uid(self.name, self.TEXT, "()")
        self.c.append_uid(self.name, self.TEXT, date="29-Feb-2024 23:59:59 +1345")
        self.c.ok("SELECT " + self.name)
        self.assertEqual(self.c.flags(1), [b"$a", b"\\Draft", b"\\Flagged"])
        dates = [self.c.one(n, "INTERNALDATE")[b"INTERNALDATE"] for n in (1, 2, 3)]
        self.assertIn(dates[0], (b" 7-Jul-1996 02:44:25 -0730", b"07-Jul-1996 02:44:25 -0730"))  # date-day-fixed
        self.assertEqual(dates[2], b"29-Feb-2024 23:59:59 +1345")
        self.assertEqual((self.c.flags(2), self.c.flags(3)), ([], []))
        now = time.strptime(dates[1].decode().strip()[:-6], "%d-%b-%Y %H:%M:%S")
        self.assertLess(abs(time.mktime(now) - time.time()), 86400)

    def test_the_bytes_stay(self):  # 6.3.11, 4.3.1: 8-bit is permitted
        for data in (b"\r\n", b"x", b"a: b\r\n\r\n", bytes(range(1, 256)) * 3, b"From: \xc3\xa4\r\n\r\n\xff\xfe",
                     b"no end of line", b"Bare: lf\n\nbody\n", b"{5}\r\n", b")\r\na1 OK\r\n"):
            self.c.append_uid(self.name, data)
        self.c.ok("SELECT " + self.name)
        self.assertEqual(self.c.body(4), bytes(range(1, 256)) * 3)
        self.assertEqual(self.c.body(9), b")\r\na1 OK\r\n")
        for n in range(1, 10):
            self.assertEqual(len(self.c.body(n)), self.c.one(n, "RFC822.SIZE")[b"RFC822.SIZE"])

    def test_synchronizing(self):  # 7.5
        c = self.c
        c.send("a APPEND %s (\\Seen) {%d}\r\n" % (self.name, len(self.TEXT)))
        self.assertTrue(c.response().startswith(b"+ "))
        c.send(self.TEXT + b"\r\n")
        self.assertTrue(c.until(b"a")[0].startswith(b"OK [APPENDUID "))

    def test_the_name_as_a_literal(self):
        c = self.c
        c.send("a APPEND {%d}\r\n" % len(self.name))
        self.assertTrue(c.response().startswith(b"+ "))
        c.send("%s {%d}\r\n" % (self.name, len(self.TEXT)))
        self.assertTrue(c.response().startswith(b"+ "))
        c.send(self.TEXT + b"\r\n")
        self.assertTrue(c.until(b"a")[0].startswith(b"OK [APPENDUID "))

    def test_no_such_mailbox(self):  # 6.3.11 MUST: TRYCREATE, and it is not made
        for plus in "", "+":
            self.c.send("a APPEND %s-none {4%s}\r\n" % (self.name, plus))
            if plus:
                self.c.send("abcd\r\n")
            r = self.c.response()
            if r.startswith(b"+"):
                self.c.send("abcd\r\n")
                r = self.c.response()
            self.assertTrue(r.startswith(b"a NO [TRYCREATE] "), r)
        self.assertEqual(self.names('"" %s-none' % self.name), [])

    def test_selected_mailbox_is_told_at_once(self):  # 6.3.11 SHOULD
        self.opened()
        self.c.append_uid(self.name, self.TEXT)
        self.assertEqual(self.c.exists, 1)

    def test_nothing_is_appended_on_error(self):  # 6.3.11
        for rest in ('"17-Foo-1996 02:44:25 -0700" {1+}\r\nx',
                     "(\\Seen {1+}\r\nx", "{1+}\r\nx y", '"32-Jan-2000 00:00:00 +0000" {1+}\r\nx',
                     '" 1-Jan-2000 24:00:61 +0000" {1+}\r\nx', '"1-Jan-2000 00:00:00" {1+}\r\nx', "x {1+}\r\nx"):
            status, _ = self.c.cmd("APPEND %s %s" % (self.name, rest))
            self.assertRegex(status, rb"^(NO|BAD) ", rest)
        self.assertEqual(self.c.status(self.name, "MESSAGES")[b"MESSAGES"], 0)
        for line in "APPEND", "APPEND " + self.name, "APPEND %s (\\Seen)" % self.name, 'APPEND %s "x"' % self.name:
            self.bad(line)

    def test_quoted_text_is_no_message(self):  # 9: a literal
        self.bad('APPEND %s "Subject: x"' % self.name)
        self.bad('APPEND %s () "17-Jul-1996 02:44:25 -0700" "Subject: x"' % self.name)

    def test_to_inbox_in_any_case(self):
        before = self.c.status("INBOX", "MESSAGES")[b"MESSAGES"]
        self.c.append_uid("inBox", self.TEXT)
        self.assertEqual(self.c.status("INBOX", "MESSAGES")[b"MESSAGES"], before + 1)


class Literals(Scratch):
    """4.3, 7.5: wherever a string may stand, and after each of them the client waits."""

    def test_in_every_command(self):
        n = self.name
        self.c.append_uid(n, message(1))
        for command in ("CREATE <%s-a>" % n, "SUBSCRIBE <%s-a>" % n, "LIST <> <%s-*>" % n, "LSUB <> <%s-*>" % n,
                        "RENAME <%s-a> <%s-b>" % (n, n), "UNSUBSCRIBE <%s-a>" % n, "STATUS <%s> (MESSAGES)" % n,
                        "SELECT <%s>" % n, "COPY 1 <%s-b>" % n, "UID COPY 1 <%s-b>" % n, "MOVE 1 <%s-b>" % n,
                        "EXAMINE <%s-b>" % n, "SEARCH CHARSET <UTF-8> FROM <joe> HEADER <Subject> <message>",
                        "FETCH 1 BODY[HEADER.FIELDS (<Subject> <From>)]", "UNSELECT", "DELETE <%s-b>" % n,
                        "ID (<name> <x>)"):
            with self.subTest(command=command):
                tag = self.c.begin(self.pieces(command)[0])
                for piece in self.pieces(command)[1:]:
                    self.assertTrue(self.c.response().startswith(b"+ "))
                    self.c.send(piece + "\r\n")
                self.assertTrue(self.c.until(tag)[0].startswith(b"OK"))

    @staticmethod
    def pieces(command):
        """The lines of a command in which <text> stands for a literal."""
        return re.sub(r"<([^>]*)>", lambda m: "{%d}\n%s" % (len(m.group(1)), m.group(1)), command).split("\n")

    def test_empty_ones_are_waited_for_too(self):  # 4.3, Note
        self.c.send("e LIST {0}\r\n")
        self.assertTrue(self.c.response().startswith(b"+ "))
        self.c.note(b"e", b"LIST")
        self.c.send(' "%s"\r\n' % self.name)
        self.assertEqual(len(self.c.until(b"e")[1]), 1)

    def test_line_ends_and_specials_inside(self):
        self.c.append_uid(self.name, b"Subject: x\r\n\r\na (b) {3}\r\n\"c\" \\ d\r\n")
        self.c.ok("SELECT " + self.name)
        text = b"(b) {3}\r\n\"c\" \\ d"
        self.assertEqual(self.c.data(b"SEARCH BODY {%d+}\r\n%s" % (len(text), text), b"SEARCH")[0][0], [1])


class Pipelining(Scratch):
    """5.5"""

    def test_in_order(self):
        c = self.opened(3)
        for i, command in enumerate((b"STORE 1 +FLAGS (\\Seen)", b"FETCH 1 FLAGS", b"STORE 1 -FLAGS (\\Seen)",
                                     b"FETCH 1 FLAGS", b"SEARCH SEEN", b"NOOP")):
            c.note(b"p%d" % i, command)
        c.send("p0 STORE 1 +FLAGS (\\Seen)\r\np1 FETCH 1 FLAGS\r\np2 STORE 1 -FLAGS (\\Seen)\r\n"
               "p3 FETCH 1 FLAGS\r\np4 SEARCH SEEN\r\np5 NOOP\r\n")
        c.until(b"p0")
        self.assertIn(b"\\Seen", read(c.until(b"p1")[1][-1])[1][1][b"FLAGS"])
        c.until(b"p2")
        self.assertNotIn(b"\\Seen", read(c.until(b"p3")[1][-1])[1][1][b"FLAGS"])
        self.assertEqual(read(c.until(b"p4")[1][-1])[1][0], [])
        c.until(b"p5")

    def test_a_byte_at_a_time(self):
        for byte in b"z NOOP\r\n":
            self.c.send(bytes([byte]))
            time.sleep(0.002)
        self.assertTrue(self.c.response().startswith(b"z OK"))

    def test_hundreds(self):
        self.opened(1)
        n = 300
        for i in range(n):
            self.c.note(b"q%d" % i, b"FETCH")
        self.c.send("".join("q%d FETCH 1 (UID FLAGS)\r\n" % i for i in range(n)))
        for i in range(n):
            self.assertTrue(self.c.until(b"q%d" % i)[0].startswith(b"OK"))

    def test_login_select_fetch_logout_in_one_packet(self):
        self.fill(1)
        with Strict(self.box) as c:
            for tag, word in (b"a", b"LOGIN"), (b"b", b"SELECT"), (b"c", b"FETCH"), (b"d", b"LOGOUT"):
                c.note(tag, word)
            c.send('a LOGIN anna "%s"\r\nb SELECT %s\r\nc FETCH 1 UID\r\nd LOGOUT\r\n' % (PASSWORD, self.name))
            self.assertTrue(c.until(b"a")[0].startswith(b"OK"))
            self.assertTrue(c.until(b"b")[0].startswith(b"OK"))
            self.assertEqual(read(c.until(b"c")[1][-1]), (b"FETCH", (1, {b"UID": 1})))
            self.assertTrue(c.until(b"d")[0].startswith(b"OK"))


if __name__ == "__main__":
    unittest.main()
