"""Odd messages that are too big to keep as files: made when they are asked for,
always the same bytes. `messages()` returns {name: bytes}; called as a program
it writes NAME.eml into the directory of its argument."""
import sys

HEAD = (b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: %s\r\n"
        b"Date: Mon, 5 Feb 2024 10:11:12 +0100\r\nMIME-Version: 1.0\r\n")


def numbered(size):
    """Text without line ends, different everywhere."""
    text = b" ".join(b"%d" % n for n in range(size // 4))
    return text[:size]


def messages():
    made = {}
    made["long-line-body"] = HEAD % b"long line" + b"\r\n" + numbered(100000) + b"\r\nshort\r\n"
    made["long-line-no-end"] = HEAD % b"no end" + b"\r\n" + numbered(100000)
    made["long-line-multipart"] = (
        HEAD % b"in a part" + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + numbered(100000) +
        b"\r\n--b\r\n\r\n--" + numbered(100000) + b"\r\n--b" + b"x" * 100000 + b"\r\n\r\nlast\r\n--b--\r\n")
    made["long-header"] = HEAD % b"header" + b"X-Long: " + numbered(100000) + b"\r\n\r\nbody\r\n"
    made["long-name"] = HEAD % b"name" + b"x" * 100000 + b": value\r\nCc: c@example.org\r\n\r\nbody\r\n"
    made["long-folds"] = HEAD % b"folds" + b"X-Long: a" + b"\r\n b" * 20000 + b"\r\nCc: c@example.org\r\n\r\nbody\r\n"
    made["long-lines-many"] = HEAD % b"many" + b"\r\n" + (numbered(997) + b"\r\n") * 300
    return made


if __name__ == "__main__":
    for name, data in messages().items():
        with open(sys.argv[1] + "/" + name + ".eml", "wb") as f:
            f.write(data)
