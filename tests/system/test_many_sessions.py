"""Several sessions change one mailbox at once, at random. Each keeps a picture of it from nothing
but what the server tells it, and after every round the picture must be that of a session which
selects the mailbox afresh. The seed decides what is sent; who comes first the server decides."""

import collections
import os
import random
import unittest

from box import Box
from strict import Strict, read
from wire import Lmtp

SEED = int(os.environ.get("SEED", "20"))
ROUNDS = int(os.environ.get("ROUNDS", "250"))
MAILBOXES = "INBOX", "Archive"
FLAGS = "\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$one", "$two"


class Entry:
    """What a client knows of a message; None where it was not told."""

    def __init__(self):
        self.uid = self.flags = None
        self.modseq = 0


class Client(Strict):
    def __init__(self, box, world, number, mailbox, condstore):
        self.picture = []
        self.number = number
        self.world = world
        self.condstore = condstore
        self.idle = None
        self.choosing = False
        super().__init__(box, login="anna")
        if condstore:
            self.ok("ENABLE CONDSTORE")
        self.open(mailbox)

    def send(self, data):
        self.world.talk.append((self.number, b"C: " + (data.encode() if isinstance(data, str) else data)[:300]))
        super().send(data)

    def response(self):
        r = super().response()
        self.world.talk.append((self.number, b"S: " + r[:300]))
        return r

    # ---- what is told ----

    def heed(self, kind, value):
        super().heed(kind, value)
        if kind == b"EXISTS":
            if self.choosing:
                self.picture = []
            self.picture.extend(Entry() for _ in range(value - len(self.picture)))
        elif kind == b"EXPUNGE":
            del self.picture[value - 1]
        elif kind == b"FETCH":
            self.heed_fetch(self.picture[value[0] - 1], value[1])
        elif kind == b"OK" and value[0] == b"COPYUID":
            self.world.copied(self.mailbox, self.target, value[1])

    def heed_fetch(self, entry, values):
        if b"UID" in values:
            assert entry.uid in (None, values[b"UID"]), "the UID of a message changed: %r, %r" % (entry.uid, values)
            entry.uid = values[b"UID"]
        if b"FLAGS" in values:
            assert not self.condstore or b"MODSEQ" in values or self.commands[0][1].endswith(b"FETCH"), values
            entry.flags = {f.lower() for f in values[b"FLAGS"]} - {b"\\recent"}
        if b"MODSEQ" in values:
            assert values[b"MODSEQ"] >= entry.modseq, "a MODSEQ went back: %r" % values
            entry.modseq = values[b"MODSEQ"]

    # ---- what is sent ----

    def open(self, mailbox):
        self.mailbox = self.target = mailbox
        self.choosing = True
        self.ok("SELECT " + mailbox)
        self.choosing = False
        self.learn()

    def learn(self):
        """Asks for what it was not told yet of the messages that came."""
        new = [n for n, e in enumerate(self.picture, 1) if e.uid is None or e.flags is None]
        if new:
            self.cmd("FETCH %d:%d (UID FLAGS%s)" % (new[0], new[-1], " MODSEQ" if self.condstore else ""))

    def some(self, generator):
        """Some messages it knows: (a set by number or UID, whether by UID, the entries)."""
        known = [(n, e) for n, e in enumerate(self.picture, 1) if e.uid]
        if not known:
            return None
        chosen = generator.sample(known, min(len(known), generator.choice([1, 1, 2, 5, 20])))
        by_uid = generator.random() < 0.5
        if generator.random() < 0.5:
            chosen.sort(key=lambda c: c[0])
        return ",".join(str(e.uid if by_uid else n) for n, e in chosen), by_uid, [e for _, e in chosen]

    def start(self, generator):
        """Sends one command, at random; finish() reads its answer."""
        kind = generator.choices(list(self.KINDS), list(self.KINDS.values()))[0]
        self.tag = getattr(self, kind)(generator) or self.begin("NOOP")

    KINDS = {"store": 30, "silent": 15, "delete": 8, "expunge": 6, "uid_expunge": 4, "copy": 6, "move": 5, "append": 10,
             "fetch": 12, "search": 4, "wait": 8, "conditional": 8, "close": 1}

    def store(self, generator, silent=False, flags=None, modifier=""):
        some = self.some(generator)
        if not some:
            return None
        numbers, by_uid, entries = some
        sign = "+" if flags else generator.choice(["+", "-", ""])
        flags = flags or generator.sample(FLAGS, generator.choice([1, 1, 2]))
        if silent:  # it works out the new flags itself; whatever comes in a FETCH then counts more
            given = {f.lower().encode() for f in flags}
            for e in entries:
                if sign == "":
                    e.flags = set(given)
                elif e.flags is not None:
                    e.flags = e.flags | given if sign == "+" else e.flags - given
            self.assumed = entries
        return self.begin("%sSTORE %s %s%sFLAGS%s (%s)" % ("UID " if by_uid else "", numbers, modifier, sign,
                                                          ".SILENT" if silent else "", " ".join(flags)))

    def silent(self, generator):
        return self.store(generator, silent=True)

    def delete(self, generator):
        some = self.some(generator)
        if not some:
            return None
        numbers, by_uid, entries = some
        self.world.doom(self.mailbox, entries)
        return self.begin("%sSTORE %s +FLAGS (\\Deleted)" % ("UID " if by_uid else "", numbers))

    def conditional(self, generator):
        if not self.condstore:
            return None
        known = max((e.modseq for e in self.picture), default=0)
        return self.store(generator, modifier="(UNCHANGEDSINCE %d) " % max(0, known - generator.choice([0, 0, 3])))

    def expunge(self, generator):
        return self.begin("EXPUNGE")

    def uid_expunge(self, generator):
        return self.begin("UID EXPUNGE 1:%d" % generator.randint(1, 500))

    def copy(self, generator, word="COPY"):
        some = self.some(generator)
        if not some:
            return None
        self.target = generator.choice(MAILBOXES)
        if word == "MOVE":
            self.world.doom(self.mailbox, some[2])
        return self.begin("%s%s %s %s" % ("UID " if some[1] else "", word, some[0], self.target))

    def move(self, generator):
        return self.copy(generator, "MOVE")

    def append(self, generator):
        text = self.world.text()
        flags = "(%s)" % " ".join(generator.sample(FLAGS, generator.choice([0, 1, 2])))
        self.target = generator.choice(MAILBOXES)
        self.text = text
        return self.begin(b"APPEND %s %s {%d+}\r\n%s" % (self.target.encode(), flags.encode(), len(text), text))

    def fetch(self, generator):
        if not self.picture:
            return None
        items = generator.choice(["FLAGS", "(UID FLAGS)", "(UID BODY.PEEK[])", "BODY[]", "(FLAGS BODY[TEXT])",
                                  "ENVELOPE"])
        numbers = generator.choice(["FETCH 1:*", "UID FETCH 1:*", "FETCH %d" % len(self.picture)])
        return self.begin("%s %s" % (numbers, items))

    def search(self, generator):
        return self.begin(generator.choice(["SEARCH UNSEEN", "UID SEARCH FLAGGED", "SEARCH RETURN (ALL) NOT DELETED",
                                            "SEARCH TEXT message"]))

    def wait(self, generator):
        self.idle = self.begin("IDLE")
        return self.idle

    def close_mailbox(self):
        self.ok("CLOSE")
        self.exists, self.picture = None, []

    def close(self, generator=None):
        if generator is None:  # of the connection
            return super().close()
        return self.begin("CLOSE")

    # ---- the answer ----

    def finish(self):
        if self.idle:
            while not self.response().startswith(b"+"):
                pass
            self.idle = None
            self.send("DONE\r\n")
        word = self.commands[0][1]
        status, _ = self.until(self.tag)
        assert status.startswith((b"OK", b"NO")), status
        name, value = read(b"* " + status)[1]
        if name == b"COPYUID":
            self.world.copied(self.mailbox, self.target, value)
        elif name == b"APPENDUID":
            self.world.appended(self.target, value[1], self.text)
        elif word.endswith(b"STORE") and status.startswith(b"NO"):
            for e in self.picture:  # it can't say what was done and what was not
                e.flags = None
        elif word == b"CLOSE":
            self.picture = []
            self.open(self.mailbox)

    def view(self):
        return [(e.uid, e.flags) for e in self.picture]


class World:
    """What must be true of the messages themselves."""

    def __init__(self):
        self.serial = 0
        self.texts = {}      # (mailbox, UID): text
        self.talk = collections.deque(maxlen=3000)
        self.doomed = set()  # those that somebody wanted to delete or to move, and copies of them

    def text(self):
        self.serial += 1
        return b"Subject: message %d\r\n\r\nthis is message %d\r\n" % (self.serial, self.serial)

    def doom(self, mailbox, entries):
        self.doomed.update((mailbox, e.uid) for e in entries)

    def appended(self, mailbox, uid, text):
        assert (mailbox, uid) not in self.texts, "a UID was given twice"
        self.texts[mailbox, uid] = text

    def copied(self, source, target, copyuid):
        _, old, new = copyuid
        assert len(old) == len(new), copyuid
        for a, b in zip(old, new):
            assert (target, b) not in self.texts or self.texts[target, b] == self.texts.get((source, a)), copyuid
            if (source, a) in self.texts:
                self.texts[target, b] = self.texts[source, a]
            if (source, a) in self.doomed:
                self.doomed.add((target, b))


class ManySessions(unittest.TestCase):
    def setUp(self):
        self.box = Box("many").start()
        self.generator = random.Random(SEED)
        self.world = World()

    def tearDown(self):
        self.box.close()

    def fresh(self, mailbox):
        """The mailbox as a new session sees it: [(UID, flags)]. All is on the disk then."""
        with Strict(self.box, login="anna") as c:
            c.ok("EXAMINE " + mailbox)
            c.ok("CHECK")
            found = c.messages("1:*", "(UID FLAGS)") if c.exists else {}
            self.assertEqual(sorted(found), list(range(1, c.exists + 1)))
            uids = [found[n][b"UID"] for n in sorted(found)]
            self.assertEqual(uids, sorted(set(uids)))
            self.assertEqual(c.search("ALL", uid=True), uids)
            return [(found[n][b"UID"], {f.lower() for f in found[n][b"FLAGS"]} - {b"\\recent"}) for n in sorted(found)]

    def compare(self, clients, i):
        truth = {mailbox: self.fresh(mailbox) for mailbox in MAILBOXES}
        for k, c in enumerate(clients):
            c.ok("NOOP")
            c.learn()
            if c.view() != truth[c.mailbox]:
                self.explain(i, c)
            self.assertEqual(c.view(), truth[c.mailbox], "round %d, client %d, SEED=%d" % (i, k, SEED))
        for mailbox, uid in self.world.texts:
            if (mailbox, uid) not in self.world.doomed:
                self.assertIn(uid, [u for u, _ in truth[mailbox]], "a message is lost")

    def explain(self, i, client):
        """What was said in the round that went wrong."""
        print("# round %d, client %d, SEED=%d" % (i, client.number, SEED))
        start = len(self.world.talk) - self.world.talk.index((-1, b"%d" % i))
        for number, line in list(self.world.talk)[-start:]:
            print("# %s %d %r" % ("*" if number == client.number else " ", number, line))

    def check_texts(self):
        for mailbox in MAILBOXES:
            with Strict(self.box, login="anna") as c:
                c.ok("EXAMINE " + mailbox)
                for m in (c.messages("1:*", "(UID BODY.PEEK[])") if c.exists else {}).values():
                    expected = self.world.texts.get((mailbox, m[b"UID"]))
                    if expected is not None:
                        self.assertEqual(m[b"BODY[]"], expected)

    def test_every_picture_is_right(self):
        clients = [Client(self.box, self.world, k, MAILBOXES[k % 4 == 3], condstore=k % 3 == 1) for k in range(7)]
        lmtp = Lmtp(self.box)
        for i in range(ROUNDS):
            self.world.talk.append((-1, b"%d" % i))
            for _ in range(self.generator.choice([1, 1, 3])):
                for c in clients:
                    c.start(self.generator)
                if self.generator.random() < 0.1:
                    lmtp.deliver(self.world.text()[:-2], "anna@box.home.arpa")
                for c in self.generator.sample(clients, len(clients)):
                    c.finish()
            self.compare(clients, i)
            if i % 50 == 49:
                self.check_texts()
        self.check_texts()
        for c in clients:
            c.close()
        lmtp.close()


if __name__ == "__main__":
    unittest.main()
