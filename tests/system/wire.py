"""IMAP and LMTP by hand: what goes over the wire is in the test, byte by byte, and what comes
back is read with literals in their place."""

import base64
import re
import socket

from box import PASSWORD


class Closed(Exception):
    """The server closed the connection."""


class Line:
    """A connection with lines."""

    def __init__(self, address, context=None, name="localhost", timeout=60):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""
        if context:
            self.start_tls(context, name)

    def start_tls(self, context, name="localhost"):
        self.socket = context.wrap_socket(self.socket, server_hostname=name)

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise Closed()
        self.held += data

    def line(self):
        while b"\n" not in self.held:
            self.more()
        line, self.held = self.held.split(b"\n", 1)
        return line + b"\n"

    def exactly(self, n):
        if n > len(self.held):
            parts = [self.held]
            left = n - len(self.held)
            self.held = b""
            while left:
                data = self.socket.recv(min(left, 1 << 20))
                if not data:
                    raise Closed()
                parts.append(data)
                left -= len(data)
            return b"".join(parts)
        data, self.held = self.held[:n], self.held[n:]
        return data

    def rest(self):
        """Everything up to the end of the stream."""
        try:
            while True:
                self.more()
        except Closed:
            data, self.held = self.held, b""
            return data

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class Imap(Line):
    """An IMAP client that does nothing unasked. After login(), cmd() runs a command."""

    def __init__(self, box, tls=False, login=None, password=PASSWORD, context=None, timeout=60):
        port = box.tls_port if tls else box.port
        super().__init__(("127.0.0.1", port), (context or box.tls_context()) if tls else None, timeout=timeout)
        self.tags = 0
        self.greeting = self.response()
        if login:
            status, _ = self.cmd("LOGIN %s %s" % (login, quote(password)))
            assert status.startswith(b"OK"), status

    def response(self):
        """One response with its literals, without the last CRLF."""
        whole = b""
        while True:
            line = self.line()
            whole += line
            found = LITERAL.search(line)
            if not found:
                assert whole.endswith(b"\r\n"), whole
                return whole[:-2]
            whole += self.exactly(int(found.group(1)))

    def begin(self, command):
        """Sends a command with a tag of its own; the tag."""
        self.tags += 1
        tag = b"t%d" % self.tags
        self.send(tag + b" " + (command.encode() if isinstance(command, str) else command) + b"\r\n")
        return tag

    def until(self, tag):
        """Reads up to the tagged answer: (its text, the untagged responses)."""
        untagged = []
        while True:
            r = self.response()
            if r.startswith(tag + b" "):
                return r[len(tag) + 1:], untagged
            untagged.append(r)

    def cmd(self, command):
        return self.until(self.begin(command))

    def ok(self, command):
        """Like cmd, but the answer must be OK; the untagged responses."""
        status, untagged = self.cmd(command)
        assert status.startswith(b"OK"), "%r: %r" % (command, status)
        return untagged

    def append(self, mailbox, message, flags="", date=""):
        """APPEND with a non-synchronising literal; the tagged answer's text."""
        extra = (flags and " " + flags) + (date and ' "%s"' % date)
        self.tags += 1
        tag = b"t%d" % self.tags
        self.send(b"%s APPEND %s%s {%d+}\r\n" % (tag, mailbox.encode(), extra.encode(), len(message)))
        self.send(message)
        self.send(b"\r\n")
        return self.until(tag)[0]

    def fetch(self, numbers, items, uid=False):
        """FETCH: {number: {ITEM: value}} with values as parse() makes them."""
        result = {}
        for r in self.ok("%sFETCH %s %s" % ("UID " if uid else "", numbers, items)):
            found = re.match(rb"\* (\d+) FETCH ", r)
            if found:
                values = parse(r[found.end():])[0]
                items_of = result.setdefault(int(found.group(1)), {})
                items_of.update(zip((k.upper() for k in values[0::2]), values[1::2]))
        return result

    def count(self, mailbox):
        """Number of messages, by STATUS."""
        answer = self.ok("STATUS %s (MESSAGES)" % mailbox)[0]
        return int(re.fullmatch(rb"\* STATUS .* \(MESSAGES (\d+)\)", answer).group(1))

    def body(self, number, section="", uid=False):
        values = self.fetch(number, "BODY.PEEK[%s]" % section, uid)
        for items in values.values():
            for key, value in items.items():
                if key.startswith(b"BODY["):
                    return value
        return None


class Atom(bytes):
    """A token that was no string."""


def parse(data):
    """Parses the data of a response: lists, byte strings for strings and literals, Atom for atoms,
    None for NIL. What stands in [] belongs to its atom."""
    at = 0
    stack = [[]]
    while at < len(data):
        c = data[at:at + 1]
        if c == b" ":
            at += 1
        elif c == b"(":
            stack.append([])
            at += 1
        elif c == b")":
            done = stack.pop()
            stack[-1].append(done)
            at += 1
        elif c == b'"':
            text, at = parse_quoted(data, at + 1)
            stack[-1].append(text)
        elif c == b"{":
            end = data.index(b"}\r\n", at)
            n = int(data[at + 1:end])
            stack[-1].append(bytes(data[end + 3:end + 3 + n]))
            at = end + 3 + n
        else:
            atom, at = parse_atom(data, at)
            stack[-1].append(None if atom.upper() == b"NIL" else Atom(atom))
    assert len(stack) == 1, data
    return stack[0]


def parse_quoted(data, at):
    text = b""
    while data[at:at + 1] != b'"':
        assert at < len(data), data
        if data[at:at + 1] == b"\\":
            at += 1
        assert data[at] not in b"\r\n\0" and data[at] < 128, "not allowed in a quoted string: %r" % data
        text += data[at:at + 1]
        at += 1
    return text, at + 1


def parse_atom(data, at):
    start = at
    depth = 0
    while at < len(data) and (depth or data[at:at + 1] not in (b" ", b"(", b")")):
        depth += (data[at:at + 1] == b"[") - (data[at:at + 1] == b"]")
        at += 1
    return data[start:at], at


def quote(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def plain(user, password=PASSWORD):
    """The initial response of AUTHENTICATE PLAIN (RFC 4616)."""
    return base64.b64encode(("\0%s\0%s" % (user, password)).encode()).decode()


class Lmtp(Line):
    def __init__(self, box, unix=True, hello=True):
        super().__init__(box.path("lmtp") if unix else ("127.0.0.1", box.lmtp_port))
        self.greeting = self.reply()
        if hello:
            code, _ = self.cmd("LHLO client.example")
            assert code == 250, code

    def reply(self):
        """(code, [lines])"""
        lines = []
        while True:
            line = self.line().decode("utf-8", "replace")
            assert line.endswith("\r\n"), line
            lines.append(line[4:-2])
            if line[3] == " ":
                return int(line[:3]), lines

    def cmd(self, command):
        self.send(command + "\r\n" if isinstance(command, str) else command + b"\r\n")
        return self.reply()

    def deliver(self, message, *recipients, sender="sender@a.example"):
        """A whole transaction; message with its dots stuffed already and without the end. The codes
        of the replies to each recipient."""
        assert self.cmd("MAIL FROM:<%s>" % sender)[0] == 250
        for r in recipients:
            code, text = self.cmd("RCPT TO:<%s>" % r)
            assert code == 250, text
        assert self.cmd("DATA")[0] == 354
        self.send(message + b"\r\n.\r\n")
        return [self.reply()[0] for _ in recipients]
