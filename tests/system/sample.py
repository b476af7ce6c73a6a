"""Messages for the tests, the same at every run."""

import random


def message(i, size=0, subject=None):
    """A plain message; with a size, exactly so many bytes."""
    head = ("Date: Tue, %d Sep 2026 10:%02d:00 +0200\r\nFrom: Joe <joe@a.example>\r\nTo: anna@box.home.arpa\r\n"
            "Subject: %s\r\nMessage-ID: <%d@a.example>\r\n\r\n" %
            (1 + i % 28, i % 60, subject or "message %d" % i, i)).encode()
    lines = [b"This is message %d.\r\n" % i]
    if size:
        generator = random.Random(i)
        left = size - len(head) - len(lines[0])
        assert left == 0 or left >= 2
        while left >= 160:
            lines.append(bytes(generator.choices(b"abcdefghijklmnopqrstuvwxyz ", k=74)) + b"\r\n")
            left -= 76
        if left:
            lines.append(b"x" * (left - 2) + b"\r\n")
    body = b"".join(lines)
    assert not size or len(head) + len(body) == size
    return head + body


def many(n, seed=1):
    """n messages of mixed sizes, some with attachments and encoded words."""
    generator = random.Random(seed)
    for i in range(n):
        kind = i % 10
        if kind == 7:
            yield multipart(i, generator)
        elif kind == 8:
            yield message(i, subject="=?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?= %d" % i)
        else:
            yield message(i, size=generator.choice([0, 1000, 4000, 20000]))


def multipart(i, generator):
    data = "".join(generator.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=4000))
    lines = "\r\n".join(data[at:at + 76] for at in range(0, len(data), 76))
    return ("Date: Tue, 1 Sep 2026 10:00:00 +0200\r\nFrom: Joe <joe@a.example>\r\nTo: anna@box.home.arpa\r\n"
            "Subject: with a picture %d\r\nMessage-ID: <m%d@a.example>\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/mixed; boundary=\"=_%d\"\r\n\r\n"
            "--=_%d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSee the picture.\r\n"
            "--=_%d\r\nContent-Type: image/png; name=\"p.png\"\r\nContent-Transfer-Encoding: base64\r\n"
            "Content-Disposition: attachment; filename=\"p.png\"\r\n\r\n%s\r\n--=_%d--\r\n" %
            (i, i, i, i, i, lines, i)).encode()
