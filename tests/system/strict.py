"""A connection that reads every response by the formal syntax of RFC 3501 section 9 and of the
extensions, and that keeps the rules which hold across responses: sizes never shrink but by
EXPUNGE, no EXPUNGE where message numbers are in use, no message number beyond the mailbox."""

import re

from wire import Imap

ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
ASTRING = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
NUMBER = re.compile(rb"\d+")
LITERAL = re.compile(rb"\{(\d+)\}\r\n")
QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*)"')
TEXT = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]+")
MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
DATE_TIME = re.compile(rb'"([ \d]\d)-' + MONTH + rb'-\d{4} \d\d:\d\d:\d\d [+-]\d{4}"')
UID_SET = re.compile(rb"[1-9]\d*(?::[1-9]\d*)?(?:,[1-9]\d*(?::[1-9]\d*)?)*")
OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
BY_NUMBER = (b"FETCH", b"STORE", b"SEARCH")
SYSTEM_FLAGS = (b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Seen", b"\\Draft")


class SyntaxFault(AssertionError):
    pass


class Reader:
    """Reads one response from left to right."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def fault(self, wanted):
        raise SyntaxFault("%s wanted at %d of %r" % (wanted, self.at, self.data[:2000]))

    def take(self, pattern, wanted):
        found = pattern.match(self.data, self.at)
        if not found:
            self.fault(wanted)
        self.at = found.end()
        return found.group(0)

    def sees(self, text):
        return self.data[self.at:self.at + len(text)].upper() == text.upper()

    def skip(self, text):
        """Steps over the text if it is there; any case, as all tokens (section 9, rule 1)."""
        if not self.sees(text):
            return False
        self.at += len(text)
        return True

    def need(self, text):
        if not self.skip(text):
            self.fault(repr(text))

    def end(self):
        if self.at != len(self.data):
            self.fault("the end")

    def number(self, least=0, bits=32):
        n = int(self.take(NUMBER, "number"))
        if not least <= n < 1 << bits:
            self.fault("number from %d of %d bits" % (least, bits))
        return n

    def string(self):
        found = LITERAL.match(self.data, self.at)
        if found:
            end = found.end() + int(found.group(1))
            text = self.data[found.end():end]
            if b"\0" in text:
                self.fault("literal without NUL")
            self.at = end
            return text
        quoted = self.take(QUOTED, "string")
        return re.sub(rb"\\(.)", rb"\1", quoted[1:-1])

    def nstring(self):
        return None if self.skip(b"NIL") else self.string()

    def astring(self):
        if self.sees(b'"') or self.sees(b"{"):
            return self.string()
        return self.take(ASTRING, "astring")

    def list_of(self, item, least=0):
        self.need(b"(")
        items = []
        while not self.skip(b")"):
            if items:
                self.need(b" ")
            items.append(item())
        if len(items) < least:
            self.fault("a longer list")
        return items

    def date_time(self):
        text = self.take(DATE_TIME, "date-time")
        return text[1:-1]

    def object_id(self):
        self.need(b"(")
        value = self.take(OBJECT_ID, "objectid")
        self.need(b")")
        return value

    # ---- flags ----

    def flag(self):
        if self.skip(b"\\"):
            name = b"\\" + self.take(ATOM, "flag")
            if name.lower() not in [f.lower() for f in SYSTEM_FLAGS]:
                self.fault("a system flag, not %r," % name)
            return name
        return self.take(ATOM, "keyword")

    def flag_or(self, extra):
        return extra if self.skip(extra) else self.flag()

    def flags_fetched(self):
        flags = self.list_of(lambda: self.flag_or(b"\\Recent"))
        if len({f.lower() for f in flags}) != len(flags):
            self.fault("every flag once")
        return flags

    # ---- envelope and body structure ----

    def address(self):
        self.need(b"(")
        parts = [self.nstring()]
        for _ in range(3):
            self.need(b" ")
            parts.append(self.nstring())
        self.need(b")")
        return parts

    def addresses(self):
        if self.skip(b"NIL"):
            return None
        self.need(b"(")
        found = [self.address()]  # no space between two: 1*address
        while not self.skip(b")"):
            found.append(self.address())
        return found

    def envelope(self):
        self.need(b"(")
        values = []
        for i in range(10):
            if i:
                self.need(b" ")
            values.append(self.addresses() if 2 <= i <= 7 else self.nstring())
        self.need(b")")
        return values

    def parameters(self):
        if self.skip(b"NIL"):
            return None
        items = self.list_of(self.string, 2)
        if len(items) % 2:
            self.fault("pairs")
        return items

    def disposition(self):
        if self.skip(b"NIL"):
            return None
        self.need(b"(")
        kind = self.string()
        self.need(b" ")
        values = self.parameters()
        self.need(b")")
        return [kind, values]

    def language(self):
        return self.list_of(self.string, 1) if self.sees(b"(") else self.nstring()

    def extension(self, values, first):
        """body-ext-1part or body-ext-mpart, which differ in their first field."""
        for item in first, self.disposition, self.language, self.nstring:
            if self.sees(b")"):
                return
            self.need(b" ")
            values.append(item())

    def body(self, extensible):
        self.need(b"(")
        values = []
        if self.sees(b"("):
            while self.sees(b"("):
                values.append(self.body(extensible))
            self.need(b" ")
            values.append(self.string())
            if extensible:
                self.extension(values, self.parameters)
        else:
            self.single(values, extensible)
        self.need(b")")
        return values

    def single(self, values, extensible):
        for i, item in enumerate((self.string, self.string, self.parameters, self.nstring, self.nstring,
                                  self.string, self.number)):
            if i:
                self.need(b" ")
            values.append(item())
        kind = values[0].upper(), values[1].upper()
        if kind == (b"MESSAGE", b"RFC822"):
            self.need(b" ")
            values.append(self.envelope())
            self.need(b" ")
            values.append(self.body(extensible))
        if kind[0] == b"TEXT" or kind == (b"MESSAGE", b"RFC822"):
            self.need(b" ")
            values.append(self.number())
        if extensible:
            self.extension(values, self.nstring)

    # ---- FETCH ----

    def section(self):
        """BODY[...]<n> with the section in upper case."""
        start = self.at
        self.need(b"BODY[")
        part = self.take(re.compile(rb"(?:[1-9]\d*(?:\.[1-9]\d*)*)?\.?"), "section")
        if self.skip(b"HEADER.FIELDS.NOT ") or self.skip(b"HEADER.FIELDS "):
            self.list_of(self.astring, 1)
        elif not (self.skip(b"HEADER") or self.skip(b"TEXT") or self.skip(b"MIME")) and part.endswith(b"."):
            self.fault("section-text")
        self.need(b"]")
        if self.skip(b"<"):
            self.number()
            self.need(b">")
        return self.data[start:self.at].upper()

    def attribute(self):
        if self.sees(b"BODY["):
            name = self.section()
            self.need(b" ")
            return name, self.nstring()
        name = self.take(re.compile(rb"[A-Za-z0-9.]+"), "msg-att").upper()
        self.need(b" ")
        readers = {
            b"FLAGS": self.flags_fetched,
            b"UID": lambda: self.number(1),
            b"INTERNALDATE": self.date_time,
            b"RFC822": self.nstring,
            b"RFC822.HEADER": self.nstring,
            b"RFC822.TEXT": self.nstring,
            b"RFC822.SIZE": self.number,
            b"ENVELOPE": self.envelope,
            b"BODY": lambda: self.body(False),
            b"BODYSTRUCTURE": lambda: self.body(True),
            b"MODSEQ": lambda: self.list_of(lambda: self.number(1, 63), 1)[0],
            b"SAVEDATE": lambda: None if self.skip(b"NIL") else self.date_time(),
            b"EMAILID": self.object_id,
            b"THREADID": lambda: None if self.skip(b"NIL") else self.object_id(),
        }
        if name not in readers:
            self.fault("msg-att, not %r," % name)
        return name, readers[name]()

    # ---- status responses ----

    def code(self):
        """resp-text-code with its brackets: (name, argument)."""
        self.need(b"[")
        name = self.take(re.compile(rb"[A-Za-z0-9=+-]+"), "resp-text-code").upper()
        value = None
        if name in (b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN", b"APPENDUID", b"COPYUID", b"HIGHESTMODSEQ"):
            self.need(b" ")
            value = self.number(1, 63 if name == b"HIGHESTMODSEQ" else 32)
            if name == b"APPENDUID":
                self.need(b" ")
                value = value, self.number(1)
            elif name == b"COPYUID":
                value = value, self.uid_set(), self.uid_set()
        elif name == b"PERMANENTFLAGS":
            self.need(b" ")
            value = self.list_of(lambda: self.flag_or(b"\\*"))
        elif name == b"MAILBOXID":
            self.need(b" ")
            value = self.object_id()
        elif name == b"MODIFIED":
            value = self.uid_set()
        elif name == b"CAPABILITY":
            value = self.capabilities()
        elif name == b"BADCHARSET":
            value = self.list_of(self.astring, 1) if self.skip(b" ") else None
        self.need(b"]")
        return name, value

    def uid_set(self):
        self.need(b" ")
        return expand(self.take(UID_SET, "uid-set"))

    def capabilities(self):
        names = []
        while self.skip(b" "):
            names.append(self.take(ATOM, "capability"))
        if names.count(b"IMAP4rev1") != 1:
            self.fault("IMAP4rev1 once")
        return names

    def text(self):
        """resp-text: (code, its argument)."""
        found = None, None
        if self.sees(b"["):
            found = self.code()
            self.need(b" ")
        self.take(TEXT, "text")
        return found

    # ---- server data ----

    def mailbox_list(self):
        flags = self.list_of(lambda: self.take(re.compile(rb"\\[A-Za-z]+"), "mbx-list-flag"))
        self.need(b" ")
        delimiter = None if self.skip(b"NIL") else self.string()
        self.need(b" ")
        name = self.astring()
        extended = {}
        if self.skip(b" "):
            for tag, value in self.list_of(self.extended_item):
                extended[tag.upper()] = value
        lower = [f.lower() for f in flags]
        if len(set(lower)) != len(lower) or {b"\\haschildren", b"\\hasnochildren"} <= set(lower):
            self.fault("flags that fit together")
        return flags, delimiter, name, extended

    def extended_item(self):
        tag = self.astring()
        self.need(b" ")
        return tag, self.list_of(self.string)

    def status_items(self):
        name = self.astring()
        self.need(b" ")

        def item():
            key = self.take(ATOM, "status-att").upper()
            self.need(b" ")
            if key == b"MAILBOXID":
                return key, self.object_id()
            return key, self.number(bits=63 if key in (b"SIZE", b"HIGHESTMODSEQ", b"DELETED-STORAGE") else 32)

        return name, dict(self.list_of(item))

    def quota(self):
        self.need(b" ")
        root = self.astring()
        self.need(b" ")

        def resource():
            name = self.take(ATOM, "resource-name").upper()
            self.need(b" ")
            used = self.number(bits=63)
            self.need(b" ")
            return name, (used, self.number(bits=63))

        return root, dict(self.list_of(resource, 1))

    def quotaroot(self):
        self.need(b" ")
        mailbox, roots = self.astring(), []
        while self.skip(b" "):
            roots.append(self.astring())
        return mailbox, roots

    def esearch(self):
        found = {}
        if self.skip(b" (TAG "):
            found[b"TAG"] = self.string()
            self.need(b")")
        if self.skip(b" UID"):
            found[b"UID"] = True
        while self.skip(b" "):
            name = self.take(ATOM, "search-return-data").upper()
            self.need(b" ")
            if name == b"ALL":
                found[name] = expand(self.take(UID_SET, "sequence-set"))
            else:
                found[name] = self.number(0 if name == b"COUNT" else 1, 63 if name == b"MODSEQ" else 32)
        return found

    def namespaces(self):
        def one():
            self.need(b"(")
            prefix = self.string()
            self.need(b" ")
            delimiter = None if self.skip(b"NIL") else self.string()
            self.need(b")")
            return prefix, delimiter

        def kind():
            if self.skip(b"NIL"):
                return None
            self.need(b"(")
            found = [one()]
            while not self.skip(b")"):
                found.append(one())
            return found

        values = []
        for _ in range(3):
            self.need(b" ")
            values.append(kind())
        return values

    def id_pairs(self):
        self.need(b" ")
        if self.skip(b"NIL"):
            return None
        items = self.list_of(self.nstring)
        if len(items) % 2:
            self.fault("pairs")
        return items

    def search(self):
        numbers = []
        modseq = None
        while self.skip(b" "):
            if self.skip(b"(MODSEQ "):
                modseq = self.number(1, 63)
                self.need(b")")
                break
            numbers.append(self.number(1))
        return numbers, modseq

    def names(self):
        found = []
        while self.skip(b" "):
            found.append(self.take(ATOM, "capability"))
        return found


def expand(text):
    """The numbers of a set, in its order (RFC 4315 section 3: ranges in any direction)."""
    numbers = []
    for part in text.split(b","):
        ends = [int(n) for n in part.split(b":")]
        numbers.extend(range(min(ends), max(ends) + 1))
    return numbers


def read(response):
    """An untagged response as (kind, value)."""
    r = Reader(response)
    r.need(b"* ")
    if NUMBER.match(r.data, r.at):
        n = r.number()
        r.need(b" ")
        kind = r.take(ATOM, "kind").upper()
        value = n
        if kind == b"FETCH":
            r.need(b" ")
            pairs = r.list_of(r.attribute, 1)
            if len({k for k, _ in pairs}) != len(pairs):
                r.fault("every item once")
            value = n, dict(pairs)
        elif kind not in (b"EXISTS", b"RECENT", b"EXPUNGE"):
            r.fault("message-data")
        if kind in (b"FETCH", b"EXPUNGE") and n == 0:
            r.fault("nz-number")
        r.end()
        return kind, value
    kind = r.take(ATOM, "kind").upper()
    if kind in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"):
        r.need(b" ")
        value = r.text()
    elif kind == b"FLAGS":
        r.need(b" ")
        value = r.list_of(r.flag)
    else:
        readers = {b"CAPABILITY": r.capabilities, b"SEARCH": r.search, b"ESEARCH": r.esearch,
                   b"ENABLED": r.names, b"NAMESPACE": r.namespaces, b"ID": r.id_pairs,
                   b"LIST": r.mailbox_list, b"LSUB": r.mailbox_list, b"STATUS": r.status_items,
                   b"QUOTA": r.quota, b"QUOTAROOT": r.quotaroot}
        if kind not in readers:
            r.fault("response-data")
        if kind in (b"LIST", b"LSUB", b"STATUS"):
            r.need(b" ")
        value = readers[kind]()
    r.end()
    return kind, value


class Strict(Imap):
    """exists: messages by what this session was told, None with no mailbox selected."""

    def __init__(self, *args, **kw):
        self.exists = None
        self.commands = []  # (tag, command word) in the order sent
        super().__init__(*args, **kw)

    def begin(self, command):
        tag = super().begin(command)
        text = command.encode() if isinstance(command, str) else command
        self.note(tag, text)
        return tag

    def note(self, tag, text):
        """For commands that were sent by hand."""
        words = text.upper().split(b" ")
        self.commands.append((tag, b" ".join(words[:2]) if words[0] == b"UID" else words[0]))

    def response(self):
        r = super().response()
        if r.startswith(b"+"):
            if not re.fullmatch(rb"\+ [\x20-\x7e]*", r):
                raise SyntaxFault("continue-req: %r" % r)
        elif r.startswith(b"* "):
            self.heed(*read(r))
        else:
            self.heed_tagged(r)
        return r

    def heed_tagged(self, r):
        tag, rest = r.split(b" ", 1)
        reader = Reader(rest)
        if not (reader.skip(b"OK ") or reader.skip(b"NO ") or reader.skip(b"BAD ")):
            reader.fault("resp-cond-state")
        code = reader.text()
        reader.end()
        for i, (t, word) in enumerate(self.commands):
            if t == tag:
                del self.commands[i]
                self.ended(word, rest, code)
                return
        if re.fullmatch(rb"t\d+", tag):
            raise SyntaxFault("no command has this tag: %r" % r)

    def ended(self, word, rest, code):
        ok = rest.startswith(b"OK")
        if word in (b"SELECT", b"EXAMINE"):
            if ok and code[0] not in (b"READ-ONLY", b"READ-WRITE"):
                raise SyntaxFault("no READ-WRITE, no READ-ONLY: %r" % rest)
            if ok and self.exists is None:
                raise SyntaxFault("selected without EXISTS")
            if rest.startswith(b"NO"):
                self.exists = None
        elif ok and word in (b"CLOSE", b"UNSELECT"):
            self.exists = None

    def heed(self, kind, value):
        word = self.commands[0][1] if self.commands else b""
        if kind == b"EXISTS":
            if self.exists is None and word not in (b"SELECT", b"EXAMINE"):
                raise SyntaxFault("EXISTS with no mailbox selected")
            if self.exists is not None and value < self.exists and word not in (b"SELECT", b"EXAMINE"):
                raise SyntaxFault("EXISTS went from %d to %d" % (self.exists, value))
            self.exists = value
        elif kind == b"EXPUNGE":
            if not word or word in BY_NUMBER:
                raise SyntaxFault("EXPUNGE during %r" % word)
            if not self.exists or value > self.exists:
                raise SyntaxFault("EXPUNGE %d of %r" % (value, self.exists))
            self.exists -= 1
        elif kind == b"FETCH" and (not self.exists or value[0] > self.exists):
            raise SyntaxFault("FETCH %d of %r" % (value[0], self.exists))
        elif kind == b"RECENT" and value > (self.exists or 0):
            raise SyntaxFault("RECENT %d of %r" % (value, self.exists))

    # ---- for tests ----

    def data(self, command, kind=None):
        """The command must end with OK: its untagged responses as read(), of one kind if asked."""
        found = [read(r) for r in self.ok(command)]
        return [v for k, v in found if k == kind] if kind else found

    def messages(self, numbers, items, uid=False):
        """FETCH: {number: {ITEM: value}}."""
        result = {}
        for n, values in self.data("%sFETCH %s %s" % ("UID " if uid else "", numbers, items), b"FETCH"):
            result.setdefault(n, {}).update(values)
        return result

    def one(self, number, items):
        return self.messages(number, items)[number]

    def flags(self, number):
        """Without \\Recent, sorted."""
        return sorted(f for f in self.one(number, "FLAGS")[b"FLAGS"] if f != b"\\Recent")

    def uids(self):
        return [m[b"UID"] for _, m in sorted(self.messages("1:*", "UID").items())] if self.exists else []

    def search(self, criteria, uid=False):
        """The numbers found; the response must come exactly once."""
        answers = self.data("%sSEARCH %s" % ("UID " if uid else "", criteria), b"SEARCH")
        if len(answers) != 1:
            raise AssertionError("%d SEARCH responses" % len(answers))
        return answers[0][0]

    def select(self, mailbox, command="SELECT", parameters=""):
        """What SELECT says: {b"EXISTS": n, b"UIDNEXT": n, ...}."""
        said = {}
        status, untagged = self.cmd("%s %s%s" % (command, mailbox, parameters and " " + parameters))
        assert status.startswith(b"OK"), status
        said[b"CODE"] = Reader(status[3:]).text()[0]
        for r in untagged:
            kind, value = read(r)
            if kind == b"OK":
                said[value[0]] = value[1]
            else:
                said[kind] = value
        return said

    def status(self, mailbox, *items):
        answers = self.data("STATUS %s (%s)" % (mailbox, " ".join(items)), b"STATUS")
        assert len(answers) == 1, answers
        return answers[0][1]

    def tagged(self, command):
        """(b"OK", b"NO" or b"BAD", code, its argument)."""
        status, _ = self.cmd(command)
        word, rest = status.split(b" ", 1)
        return (word, *Reader(rest).text())

    def append_uid(self, mailbox, message, flags="", date=""):
        """APPEND that must succeed: (UIDVALIDITY, UID)."""
        self.commands.append((b"t%d" % (self.tags + 1), b"APPEND"))
        status = self.append(mailbox, message, flags, date)
        assert status.startswith(b"OK"), status
        name, value = Reader(status[3:]).text()
        assert name == b"APPENDUID", status
        return value
