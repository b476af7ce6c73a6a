#!/usr/bin/env python3
"""Makes the tables of src/mail: charsets and case folding.

    tools/mktables.py [DIR]        (default: src/mail)

writes tables_charset.c, tables_jis.c and tables_casemap.c from the codecs and
the Unicode data of Python's standard library. The files are committed, since a
build needs no Python; run this again only to change what is in them. How they
are read is said in src/mail/tables.h.
"""
import os
import sys
import unicodedata

UNKNOWN = 0xFFFD
SINGLE = ["iso8859-%d" % n for n in range(1, 17) if n != 12] + \
         ["cp%d" % n for n in [874] + list(range(1250, 1259))] + ["koi8-r", "koi8-u"]


def numbers(values, width=12, form="0x%04X"):
    lines = []
    for i in range(0, len(values), width):
        lines.append("\t" + ", ".join(form % v for v in values[i:i + width]) + ",")
    return "\n".join(lines)


def write(path, what, body):
    with open(path, "w") as f:
        f.write("/* %s\n * Made by tools/mktables.py; do not edit. */\n#include \"mail/tables.h\"\n\n%s" % (what, body))
    print("%s: %d bytes of source" % (path, os.path.getsize(path)))


# ------------------------------------------------------------------- charsets

def single(codec):
    out = []
    for byte in range(0x80, 0x100):
        try:
            out.append(ord(bytes([byte]).decode(codec)))
        except UnicodeDecodeError:
            out.append(UNKNOWN)
    return out


def charsets(path):
    body = "const uint16_t table_charset[%d][128] = {\n" % len(SINGLE)
    for codec in SINGLE:
        body += "\t{ /* %s */\n%s\n\t},\n" % (codec, numbers(single(codec)).replace("\t", "\t\t"))
    write(path, "The upper halves of the charsets with one byte a character.", body + "};\n")
    return len(SINGLE) * 256


# ------------------------------------------------------------------------ JIS

def jis_cell(row, cell):
    """Of JIS X 0208 with the extensions of cp932; rows 95 to 120 are its own."""
    lead = (row - 1) // 2 + (0x81 if row < 63 else 0xC1)
    trail = cell + 0x9E if row % 2 == 0 else cell + 0x3F + (cell >= 0x40)
    try:
        return ord(bytes([lead, trail]).decode("cp932"))
    except (UnicodeDecodeError, TypeError):
        return 0


def jis(path):
    rows, index = [], []
    for row in range(1, 121):
        cells = [jis_cell(row, cell) for cell in range(1, 95)]
        if any(cells) and not all(c == 0 or 0xE000 <= c < 0xF900 for c in cells):
            rows.append(cells)
            index.append(len(rows))
        else:
            index.append(0)
    body = "const uint8_t table_jis_row[121] = {\n%s\n};\n\n" % numbers([0] + index, 20, "%d")
    body += "const uint16_t table_jis[%d][94] = {\n" % len(rows)
    for row, cells in enumerate(rows):
        body += "\t{\n%s\n\t},\n" % numbers(cells).replace("\t", "\t\t")
    write(path, "JIS X 0208 as cp932 has it.", body + "};\n")
    return 121 + len(rows) * 188


# --------------------------------------------------------------- case folding

def title(code):
    """Simple titlecase mapping: str.title() knows the long ones too."""
    text = chr(code).title()
    return ord(text) if len(text) == 1 else code


def fold(code):
    """Title-cased and decomposed in all depth; parts are title-cased again."""
    out, todo = [], [code]
    while todo:
        code = title(todo.pop())
        parts = [p for p in unicodedata.decomposition(chr(code)).split() if not p.startswith("<")]
        if parts:
            todo += [int(p, 16) for p in reversed(parts)]
        else:
            out.append(code)
    return out


def all_codes():
    for code in range(0x80, 0x110000):
        if not 0xD800 <= code < 0xE000 and not 0xAC00 <= code < 0xD7A4:
            yield code


def runs_of(mapping, strides):
    """(first, last, stride, target of first) with one distance each."""
    runs = []
    for code in sorted(mapping):
        to = mapping[code]
        if runs:
            first, last, stride, start = runs[-1]
            step = code - last
            same = to - start == code - first and code >> 16 == first >> 16 and to >> 16 == start >> 16
            if same and step in strides and stride in (0, step):
                runs[-1] = (first, code, step, start)
                continue
        runs.append((code, code, 0, code and to))
    return runs


def run_table(name, runs):
    """Runs of the planes 0 and 1 as two tables."""
    body, size = "", 0
    for plane in (0, 1):
        mine = [r for r in runs if r[0] >> 16 == plane]
        body += "const struct table_run %s_%d[%d] = {\n" % (name, plane, len(mine))
        for first, last, stride, to in mine:
            assert to >> 16 in (0, plane)
            same_plane = to >> 16 == plane
            body += "\t{ 0x%04X, 0x%04X, 0x%04X, %d, %d },\n" % (
                first & 0xFFFF, last & 0xFFFF, to & 0xFFFF, max(stride, 1), plane if same_plane else 0)
        body += "};\n\n"
        body += "const uint16_t %s_%d_len = %d;\n\n" % (name, plane, len(mine))
        size += 8 * len(mine)
    return body, size


def casemap(path):
    titles = {c: title(c) for c in all_codes() if title(c) != c}
    folds = {c: fold(c) for c in all_codes() if c not in titles and fold(c) != [c]}
    for code, to in titles.items():
        assert fold(code) == fold(to)
    short = {c: f[0] for c, f in folds.items() if len(f) == 1 and f[0] < 0x10000 and c < 0x20000}
    runs = [r for r in runs_of(short, (1,)) if r[1] - r[0] >= 3]
    in_runs = {c for r in runs for c in range(r[0], r[1] + 1)}
    # The rest: blocks of 16 code points, in each a bit a code point, and for
    # each one that is there its string in the stream. A byte from 0x20 on is a
    # character: up to 0xC1 one out of a table of frequent ones (all of ASCII
    # that occurs is among them), else the start of its UTF-8. A byte below 0x20
    # says how many characters follow.
    rest = {c: f for c, f in folds.items() if c not in in_runs}
    count = {}
    for f in rest.values():
        for c in f:
            count[c] = count.get(c, 0) + 1
    frequent = sorted((c for c in count if c < 0x10000), key=lambda c: (c >= 0x80, -count[c], c))[:0xC2 - 0x20]
    code_of = {c: i + 0x20 for i, c in enumerate(frequent)}
    stream, blocks = [], []
    for block in sorted({c >> 4 for c in rest}):
        bits = 0
        at = len(stream)
        for low in range(16):
            f = rest.get(block << 4 | low)
            if f is None:
                continue
            bits |= 1 << low
            if len(f) > 1:
                assert len(f) < 0x20
                stream.append(len(f))
            for c in f:
                stream += [code_of[c]] if c in code_of else chr(c).encode()
        blocks.append((block, bits, at))
    body, size = run_table("table_title", runs_of(titles, (1, 2)))
    more, n = run_table("table_fold", runs)
    body += more
    size += n
    body += "const struct table_block table_block[%d] = {\n" % len(blocks)
    body += "".join("\t{ 0x%04X, 0x%04X, %d },\n" % b for b in blocks) + "};\n\n"
    body += "const uint16_t table_block_len = %d;\n\n" % len(blocks)
    body += "const uint16_t table_frequent[%d] = {\n%s\n};\n\n" % (len(frequent), numbers(frequent))
    body += "const uint8_t table_stream[%d] = {\n%s\n};\n" % (len(stream), numbers(stream, 20, "%d"))
    size += 6 * len(blocks) + 2 * len(frequent) + len(stream)
    assert len(stream) < 65536 and max(b[0] for b in blocks) < 65536
    print("title %d runs, fold %d runs, %d blocks, stream %d" % (
        len(runs_of(titles, (1, 2))), len(runs), len(blocks), len(stream)))
    write(path, "Title case and decomposition of Unicode %s, RFC 5051." % unicodedata.unidata_version, body)
    return size


def main():
    where = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "src", "mail")
    print("charsets %d bytes" % charsets(os.path.join(where, "tables_charset.c")))
    print("jis %d bytes" % jis(os.path.join(where, "tables_jis.c")))
    print("casemap %d bytes" % casemap(os.path.join(where, "tables_casemap.c")))


if __name__ == "__main__":
    main()
