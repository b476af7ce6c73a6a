/* Reads an mbox: a file of messages, each behind a line "From sender date". */
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/text.h"
#include "port/file.h"
#include "port/system.h"
#include "store/store.h"
#include "tools/cubby.h"
#include "tools/cubby_import.h"

/* Bytes read at a time; longer lines come in pieces. */
#define MBOX_READ 65536

/* Bytes of all keywords of one message. */
#define MBOX_KEYWORDS 1024

struct mbox {
	const char *path;
	port_file file;
	uint64_t at;    /* offset in the file of buffer[from] */
	size_t from, to;
	bool ended;
	uint8_t buffer[MBOX_READ];
};

/* A line or a piece of one. */
struct line {
	struct bytes text; /* with its LF */
	bool starts;       /* the piece starts a line */
};

/* What the header of one message says to its mailbox program. */
struct marks {
	uint8_t flags;
	bool expunged, internal;
	struct buf keywords;
	uint8_t space[MBOX_KEYWORDS];
};

static void seek(struct mbox *m, uint64_t offset)
{
	m->at = offset;
	m->from = m->to = 0;
	m->ended = false;
}

/* The next piece of at most a buffer: E_NOENT at the end. */
static int next_line(struct mbox *m, bool previous_ended, struct line *line)
{
	struct bytes held = bytes_make(m->buffer + m->from, m->to - m->from);
	size_t lf = bytes_index(held, '\n');

	if (lf == held.len && !m->ended) {
		int64_t n;

		memmove(m->buffer, m->buffer + m->from, held.len);
		m->from = 0;
		m->to = held.len;
		n = port_read(m->file, m->at + held.len, m->buffer + m->to, sizeof m->buffer - m->to);
		if (n < 0)
			return E_IO;
		m->ended = m->to + (size_t)n < sizeof m->buffer;
		m->to += (size_t)n;
		held = bytes_make(m->buffer, m->to);
		lf = bytes_index(held, '\n');
	}
	if (held.len == 0)
		return E_NOENT;
	line->text = bytes_part(held, 0, lf + 1);
	line->starts = previous_ended;
	m->from += line->text.len;
	m->at += line->text.len;
	return OK;
}

static bool ends_line(struct bytes text)
{
	return text.len && text.data[text.len - 1] == '\n';
}

static bool is_blank(const struct line *line)
{
	return line->starts && ends_line(line->text) && text_trim(line->text).len == 0;
}

/* ---- "From " lines ---- */

static int month_number(struct bytes word)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12 && word.len == 3; i++)
		if (bytes_equal_nocase(word, bytes_make(names + 3 * i, 3)))
			return i + 1;
	return 0;
}

static bool is_weekday(struct bytes word)
{
	static const char names[] = "SunMonTueWedThuFriSat";

	for (int i = 0; i < 7 && word.len == 3; i++)
		if (bytes_equal_nocase(word, bytes_make(names + 3 * i, 3)))
			return true;
	return false;
}

/* "12:34:56" or "12:34" as seconds of the day, -1 when it is not one. */
static int64_t clock_seconds(struct bytes word)
{
	uint64_t part[3] = { 0, 0, 0 };
	size_t n = 0;

	for (; word.len && n < 3; n++) {
		size_t colon = bytes_index(word, ':');

		if (text_number(bytes_part(word, 0, colon), n ? 60 : 23, &part[n]) != OK)
			return -1;
		word = bytes_part(word, colon + 1, word.len);
	}
	return n < 2 || word.len ? -1 : (int64_t)(part[0] * 3600 + part[1] * 60 + part[2]);
}

/* asctime's form behind the sender: "Sat Jan  3 01:05:34 1996", a zone before
 * or behind the year. Without a zone the time is the box's own, as mail
 * programs write it. */
static bool parse_from_date(struct bytes rest, struct date *d)
{
	struct bytes word;
	uint64_t day, year = 0;
	int month, zone = 0;
	bool has_zone = false;
	int64_t clock;

	while ((word = text_word(&rest)).len) { /* the sender may hold blanks */
		struct bytes ahead = rest;

		if (is_weekday(word) && month_number(text_word(&ahead)))
			break;
	}
	month = month_number(text_word(&rest));
	if (text_number(text_word(&rest), 31, &day) != OK || day == 0)
		return false;
	clock = clock_seconds(text_word(&rest));
	if (clock < 0)
		return false;
	while ((word = text_word(&rest)).len) {
		uint64_t n;

		if ((word.data[0] == '+' || word.data[0] == '-') &&
			text_number(bytes_part(word, 1, 4), 1459, &n) == OK) {
			zone = (int)(n / 100 * 60 + n % 100) * (word.data[0] == '-' ? -1 : 1);
			has_zone = true;
		} else if (word.len == 4 && text_number(word, 9999, &n) == OK) {
			year = n;
		}
	}
	if (year < 1970)
		return false;
	d->seconds = date_days((int)year, month, (int)day) * 86400 + clock;
	d->zone = has_zone ? zone : port_zone_minutes(d->seconds);
	d->seconds -= d->zone * 60;
	return true;
}

static bool is_from_line(const struct line *line, struct date *d)
{
	return line->starts && line->text.len > 5 && memcmp(line->text.data, "From ", 5) == 0 &&
		parse_from_date(text_trim(bytes_part(line->text, 5, line->text.len)), d);
}

/* ---- the header ---- */

static void add_keywords(struct marks *k, struct bytes names)
{
	struct bytes word;

	while ((word = text_word(&names)).len) {
		if (bytes_index(word, ',') < word.len || word.len > LIMIT_KEYWORD_NAME ||
			buf_space(&k->keywords) < word.len + 1)
			continue;
		if (k->keywords.len)
			buf_putc(&k->keywords, ',');
		buf_putb(&k->keywords, word);
	}
}

/* Of Status and X-Status. */
static void letter_flags(struct marks *k, struct bytes value)
{
	static const char letters[] = "RAFDT";
	static const uint8_t flags[] = { STORE_SEEN, STORE_ANSWERED, STORE_FLAGGED, STORE_DELETED, STORE_DRAFT };

	for (size_t i = 0; i < value.len; i++)
		for (size_t j = 0; letters[j]; j++)
			if (value.data[i] == (uint8_t)letters[j])
				k->flags |= flags[j];
}

/* nsMsgMessageFlags of Thunderbird: read 1, replied 2, marked 4, expunged 8,
 * forwarded 0x1000. */
static void mozilla_flags(struct marks *k, struct bytes value)
{
	unsigned n = 0;

	for (size_t i = 0; i < value.len && i < 4 && text_hex(value.data[i]) >= 0; i++)
		n = n * 16 + (unsigned)text_hex(value.data[i]);
	k->flags |= (uint8_t)((n & 1 ? STORE_SEEN : 0) | (n & 2 ? STORE_ANSWERED : 0) | (n & 4 ? STORE_FLAGGED : 0));
	k->expunged = (n & 8) != 0;
	if (n & 0x1000)
		add_keywords(k, bytes_of("$Forwarded"));
}

static void header_line(struct marks *k, struct bytes line)
{
	size_t colon = bytes_index(line, ':');
	struct bytes name = bytes_part(line, 0, colon), value = text_trim(bytes_part(line, colon + 1, line.len));

	if (bytes_is(name, "Status") || bytes_is(name, "X-Status"))
		letter_flags(k, value);
	else if (bytes_is(name, "X-Keywords") || bytes_is(name, "X-Mozilla-Keys"))
		add_keywords(k, value);
	else if (bytes_is(name, "X-Mozilla-Status"))
		mozilla_flags(k, value);
	else if (bytes_is(name, "Subject"))
		k->internal = bytes_is(value, "DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA");
}

/* Reads the header that starts here; the place in the file is moved. */
static int read_header(struct mbox *m, struct marks *k)
{
	struct line line = { .text = { NULL, 0 } };
	bool ended = true;
	int err;

	k->flags = 0;
	k->expunged = k->internal = false;
	buf_init(&k->keywords, k->space, sizeof k->space);
	while ((err = next_line(m, ended, &line)) == OK && !is_blank(&line)) {
		ended = ends_line(line.text);
		if (line.starts)
			header_line(k, line.text);
	}
	return err == E_NOENT ? OK : err;
}

/* ---- messages ---- */

/* ">From ", ">>From " ...: quoted by whoever wrote the file. */
static struct bytes unquote(const struct line *line)
{
	struct bytes text = line->text;
	size_t n = 0;

	while (n < text.len && text.data[n] == '>')
		n++;
	if (line->starts && n && text.len - n >= 5 && memcmp(text.data + n, "From ", 5) == 0)
		return bytes_part(text, 1, text.len);
	return text;
}

/* Hands the message that starts here to the sink (NULL: passes it over) up to
 * the next "From " line, whose date goes to *next. E_NOENT: it was the last. */
static int send_text(struct mbox *m, const struct import_sink *sink, struct date *next)
{
	struct line line;
	struct bytes blank = { NULL, 0 };
	static uint8_t kept[2];
	bool ended = true;
	int err;

	while ((err = next_line(m, ended, &line)) == OK) {
		ended = ends_line(line.text);
		if (blank.len && is_from_line(&line, next))
			return OK;
		/* The blank line before a "From " line belongs to the file, not to the
		 * message: it is held back until it is known. */
		if (sink && sink->bytes && blank.len)
			err = sink->bytes(sink->context, blank.data, blank.len);
		blank.len = 0;
		if (err == OK && is_blank(&line) && line.text.len <= sizeof kept) {
			memcpy(kept, line.text.data, line.text.len);
			blank = bytes_make(kept, line.text.len);
		} else if (err == OK && sink && sink->bytes) {
			struct bytes text = unquote(&line);

			err = sink->bytes(sink->context, text.data, text.len);
		}
		if (err != OK)
			return err;
	}
	return err;
}

static int send_message(struct mbox *m, const struct import_sink *sink, struct import_message *message,
	struct date *next)
{
	static struct marks marks;
	uint64_t start = m->at;
	char name[PORT_PATH_MAX + 64];
	struct buf b;
	int err = read_header(m, &marks), rest;

	if (err != OK)
		return err;
	buf_init(&b, name, sizeof name);
	buf_printf(&b, "message at byte %llu of %s", (unsigned long long)start, m->path);
	buf_terminate(&b);
	seek(m, start);
	if (marks.expunged || marks.internal)
		return send_text(m, NULL, next);
	message->flags = marks.flags;
	message->keywords = buf_bytes(&marks.keywords);
	message->name = name;
	err = sink->begin(sink->context, message);
	if (err != OK)
		return err;
	rest = send_text(m, sink, next);
	if (rest != OK && rest != E_NOENT)
		return rest;
	err = sink->end(sink->context);
	return err == OK ? rest : err;
}

int mbox_walk(const char *path, struct bytes mailbox, const struct import_sink *sink, uint64_t *unreadable)
{
	static struct mbox m;
	struct import_message message = { .mailbox = mailbox };
	struct line line;
	int err;

	(void)unreadable; /* all or nothing: it is one file */
	m.path = path;
	m.file = port_open(path, PORT_READ);
	if (m.file < 0) {
		tool_complain("%s can't be read: %s", path, err_text(m.file));
		return m.file;
	}
	seek(&m, 0);
	do
		err = next_line(&m, true, &line);
	while (err == OK && is_blank(&line));
	if (err == OK && !is_from_line(&line, &message.received)) {
		tool_complain("%s is no mbox: it does not start with a line \"From sender date\"", path);
		err = E_SYNTAX;
	}
	while (err == OK) {
		struct date next = message.received;

		err = send_message(&m, sink, &message, &next);
		message.received = next;
	}
	port_close(m.file);
	return err == E_NOENT ? OK : err;
}
