/* Header blocks: iteration, unfolding, and the filter of HEADER.FIELDS. The
 * filter is a small machine over bytes; only a field's name is ever held. */
#include "mail/header.h"

#include <string.h>

#include "base/text.h"

/* Length of the line at the start of b with its line end, or all of b. */
static size_t line_len(struct bytes b)
{
	size_t n = bytes_index(b, '\n');

	return n < b.len ? n + 1 : n;
}

static size_t line_end_len(struct bytes line)
{
	if (line.len == 0 || line.data[line.len - 1] != '\n')
		return 0;
	return line.len > 1 && line.data[line.len - 2] == '\r' ? 2 : 1;
}

bool header_next(struct bytes *rest, struct header_field *field)
{
	struct bytes b = *rest, name;
	size_t len = line_len(b), colon;

	if (len == 0 || line_end_len(bytes_part(b, 0, len)) == len) {
		*rest = bytes_part(b, len, b.len);
		return false;
	}
	while (len < b.len && text_is(b.data[len], TEXT_SPACE))
		len += line_len(bytes_part(b, len, b.len));
	field->whole = bytes_part(b, 0, len);
	*rest = bytes_part(b, len, b.len);

	name = bytes_part(b, 0, line_len(b));
	colon = bytes_index(name, ':');
	field->value = field->whole;
	field->value.len -= line_end_len(field->whole);
	if (colon == name.len) {
		field->name = bytes_make(b.data, 0);
		return true;
	}
	field->value.data += colon + 1;
	field->value.len -= colon + 1;
	while (field->value.len && text_is(field->value.data[0], TEXT_SPACE)) {
		field->value.data++;
		field->value.len--;
	}
	while (colon && text_is(name.data[colon - 1], TEXT_SPACE))
		colon--;
	field->name = bytes_part(name, 0, colon);
	return true;
}

bool header_find(struct bytes header, const char *name, struct header_field *field)
{
	while (header_next(&header, field))
		if (bytes_is(field->name, name))
			return true;
	return false;
}

bool header_unfold(struct bytes raw, struct buf *out)
{
	while (raw.len) {
		size_t len = line_len(raw);
		struct bytes line = bytes_part(raw, 0, len);

		line.len -= line_end_len(line);
		if (line.len > buf_space(out)) {
			(void)buf_put(out, line.data, buf_space(out));
			out->overflow = true;
			return false;
		}
		(void)buf_putb(out, line);
		raw = bytes_part(raw, len, raw.len);
	}
	return true;
}

/* ------------------------------------------------------------------ filter */

enum {
	AT_FIRST, /* at the first line: a blank there continues nothing */
	AT_START, /* of a line: what it is depends on its first byte */
	AT_CR,    /* a CR at the start of a line: the blank line, or a name */
	IN_NAME,  /* held until the colon or the end of the line */
	IN_LINE,  /* the rest of a line, passed or dropped */
	FLUSH     /* what is held goes out, then on in `passing` mode */
};

void header_filter_begin(struct header_filter *f, const struct bytes *names, size_t n_names, bool except)
{
	memset(f, 0, offsetof(struct header_filter, hold));
	f->names = names;
	f->n_names = n_names;
	f->except = except;
}

static void decide(struct header_filter *f)
{
	struct bytes name = bytes_make(f->hold, f->held);
	size_t colon = bytes_index(name, ':');
	bool listed = false;

	/* A line without a colon is a field without a name: only EXCEPT passes it. */
	if (colon < name.len) {
		while (colon && text_is(name.data[colon - 1], TEXT_SPACE))
			colon--;
		name.len = colon;
		for (size_t i = 0; i < f->n_names && !listed; i++)
			listed = name.len && bytes_equal_nocase(name, f->names[i]);
	}
	f->passing = listed != f->except;
	f->state = FLUSH;
	f->written = f->passing ? 0 : f->held;
}

/* Writes as much of what is held as fits; true when all is out. */
static bool flush(struct header_filter *f, struct buf *out)
{
	size_t n = (size_t)(f->held - f->written);

	if (out && n > buf_space(out))
		n = buf_space(out);
	if (out && n)
		(void)buf_put(out, f->hold + f->written, n);
	f->written = (uint16_t)(f->written + n);
	f->passed += n;
	return f->written == f->held;
}

/* Passes or drops the rest of the current line; returns the bytes taken. */
static size_t take_line(struct header_filter *f, struct bytes in, struct buf *out)
{
	size_t n = line_len(in);

	if (f->passing) {
		if (out && n > buf_space(out))
			n = buf_space(out);
		if (out && n)
			(void)buf_put(out, in.data, n);
		f->passed += n;
	}
	if (n && in.data[n - 1] == '\n')
		f->state = AT_START;
	return n;
}

static void hold(struct header_filter *f, uint8_t c)
{
	f->hold[f->held++] = c;
}

/* One byte that has to be looked at. True when it was taken. */
static bool take_byte(struct header_filter *f, uint8_t c)
{
	switch (f->state) {
	case AT_FIRST:
	case AT_START:
		f->written = f->held = 0;
		if (text_is(c, TEXT_SPACE) && f->state == AT_START) { /* goes on like the field before it */
			f->state = IN_LINE;
			return false;
		}
		hold(f, c);
		if (c == '\n' || c == ':')
			break;
		f->state = c == '\r' ? AT_CR : IN_NAME;
		return true;
	case AT_CR:
		f->state = IN_NAME;
		if (c != '\n')
			return false;
		hold(f, c);
		break;
	default:
		if (f->held >= HEADER_NAME_MAX && c != ':') {
			decide(f);
			return false;
		}
		hold(f, c);
		if (c == ':' || c == '\n')
			decide(f);
		return true;
	}
	if (c == '\n') { /* the blank line always passes */
		f->done = f->passing = true;
		f->state = FLUSH;
	} else {
		decide(f);
	}
	return true;
}

/* What was held is out: the line it started goes on, or is over. */
static void flushed(struct header_filter *f)
{
	f->state = f->held && f->hold[f->held - 1] == '\n' ? AT_START : IN_LINE;
}

size_t header_filter_push(struct header_filter *f, struct bytes in, struct buf *out)
{
	size_t taken = 0;

	for (;;) {
		if (f->state == FLUSH) {
			if (!flush(f, out) || f->done)
				return taken;
			flushed(f);
		}
		if (taken == in.len)
			return taken;
		if (f->state == IN_LINE) {
			size_t n = take_line(f, bytes_part(in, taken, in.len), out);

			if (n == 0)
				return taken;
			taken += n;
		} else if (take_byte(f, in.data[taken])) {
			taken++;
		}
	}
}

bool header_filter_end(struct header_filter *f, struct buf *out)
{
	if (f->state == AT_CR || f->state == IN_NAME)
		decide(f);
	if (f->state == FLUSH && !flush(f, out))
		return false;
	f->done = true;
	return true;
}
