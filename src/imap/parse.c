#include "imap/parse.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "mail/mutf7.h"
#include "store/store.h"

struct parse parse_begin(struct bytes text)
{
	return (struct parse){ text, 0 };
}

uint8_t parse_peek(const struct parse *p)
{
	return p->at < p->text.len ? p->text.data[p->at] : 0;
}

bool parse_char(struct parse *p, uint8_t c)
{
	if (p->at >= p->text.len || p->text.data[p->at] != c)
		return false;
	p->at++;
	return true;
}

bool parse_space(struct parse *p)
{
	if (!parse_char(p, ' '))
		return false;
	while (parse_char(p, ' '))
		;
	return true;
}

bool parse_end(struct parse *p)
{
	while (parse_char(p, ' '))
		;
	return p->at >= p->text.len;
}

/* Takes the run of bytes that `is` allows. */
static bool take(struct parse *p, bool (*is)(uint8_t c), struct bytes *out)
{
	size_t start = p->at;

	while (p->at < p->text.len && is(p->text.data[p->at]))
		p->at++;
	*out = bytes_part(p->text, start, p->at - start);
	return p->at > start;
}

static bool is_atom(uint8_t c)
{
	return text_is(c, TEXT_IMAP_ATOM);
}

static bool is_tag(uint8_t c)
{
	return c != '+' && (c == ']' || text_is(c, TEXT_IMAP_ATOM));
}

static bool is_word(uint8_t c)
{
	return text_is(c, TEXT_ALPHA | TEXT_DIGIT) || (c != 0 && memchr(".-=+/:_", c, 7));
}

static bool is_list(uint8_t c)
{
	return c == '*' || c == '%' || c == ']' || text_is(c, TEXT_IMAP_ATOM | TEXT_8BIT);
}

/* Raw 8-bit bytes are no ATOM-CHAR, but clients do send UTF-8 in search
 * strings without quotes; whoever needs 7 bits checks. */
static bool is_astring(uint8_t c)
{
	return c == ']' || text_is(c, TEXT_IMAP_ATOM | TEXT_8BIT);
}

static bool is_set(uint8_t c)
{
	return text_is(c, TEXT_DIGIT) || c == ':' || c == ',' || c == '*';
}

bool parse_tag(struct parse *p, struct bytes *tag)
{
	return take(p, is_tag, tag) && tag->len <= IMAP_TAG_MAX;
}

bool parse_atom(struct parse *p, struct bytes *out)
{
	return take(p, is_atom, out);
}

bool parse_word(struct parse *p, struct bytes *out)
{
	return take(p, is_word, out);
}

bool parse_keyword(struct parse *p, const char *word)
{
	struct parse look = *p;
	struct bytes w;

	if (!parse_word(&look, &w) || !bytes_is(w, word))
		return false;
	*p = look;
	return true;
}

bool parse_set(struct parse *p, struct bytes *out)
{
	return take(p, is_set, out);
}

bool parse_number(struct parse *p, uint64_t max, uint64_t *out)
{
	size_t start = p->at;

	while (p->at < p->text.len && text_is(p->text.data[p->at], TEXT_DIGIT))
		p->at++;
	return text_number(bytes_part(p->text, start, p->at - start), max, out) == OK;
}

static bool quoted(struct parse *p, struct buf *scratch, struct bytes *out)
{
	size_t start = p->at, kept = scratch ? scratch->len : 0;
	bool escaped = false;

	for (; p->at < p->text.len; p->at++) {
		uint8_t c = p->text.data[p->at];

		if (c == 0 || c == '\r' || c == '\n')
			return false;
		if (c == '"') {
			*out = escaped ? bytes_make(scratch->data + kept, scratch->len - kept)
				       : bytes_part(p->text, start, p->at - start);
			p->at++;
			return true;
		}
		if (c == '\\') {
			if (!escaped && (!scratch || !buf_put(scratch, p->text.data + start, p->at - start)))
				return false;
			escaped = true;
			if (++p->at >= p->text.len)
				return false;
			c = p->text.data[p->at];
			if (c == 0 || c == '\r' || c == '\n')
				return false;
		}
		if (escaped && !buf_putc(scratch, c))
			return false;
	}
	return false;
}

/* p stands behind "{". Input has made sure that the literal is in the text. */
static bool literal(struct parse *p, struct bytes *out)
{
	uint64_t n;

	if (!parse_number(p, p->text.len, &n))
		return false;
	parse_char(p, '+');
	if (!parse_char(p, '}'))
		return false;
	parse_char(p, '\r');
	if (!parse_char(p, '\n') || n > p->text.len - p->at)
		return false;
	*out = bytes_part(p->text, p->at, (size_t)n);
	p->at += (size_t)n;
	return n == 0 || !memchr(out->data, 0, out->len);
}

bool parse_string(struct parse *p, struct buf *scratch, struct bytes *out)
{
	if (parse_char(p, '"'))
		return quoted(p, scratch, out);
	return parse_char(p, '{') && literal(p, out);
}

static bool starts_string(const struct parse *p)
{
	uint8_t c = parse_peek(p);

	return c == '"' || c == '{';
}

bool parse_astring(struct parse *p, struct buf *scratch, struct bytes *out)
{
	return starts_string(p) ? parse_string(p, scratch, out) : take(p, is_astring, out);
}

bool parse_list_mailbox(struct parse *p, struct buf *scratch, struct bytes *out)
{
	return starts_string(p) ? parse_string(p, scratch, out) : take(p, is_list, out);
}

bool parse_nstring(struct parse *p, struct buf *scratch, struct bytes *out)
{
	if (starts_string(p))
		return parse_string(p, scratch, out);
	*out = (struct bytes){ NULL, 0 };
	return parse_keyword(p, "NIL");
}

static uint8_t system_flag(struct bytes name)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} flags[] = {
		{"Seen", STORE_SEEN},   {"Answered", STORE_ANSWERED}, {"Flagged", STORE_FLAGGED},
		{"Draft", STORE_DRAFT}, {"Deleted", STORE_DELETED},
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (bytes_is(name, flags[i].name))
			return flags[i].bit;
	return 0;
}

static bool one_flag(struct parse *p, struct parse_flags *out)
{
	bool system = parse_char(p, '\\');
	struct bytes name;

	if (!parse_atom(p, &name))
		return false;
	if (system) {
		uint8_t bit = system_flag(name);

		out->flags |= bit;
		if (!bit && !bytes_is(name, "Recent"))
			out->unknown = true;
		return true;
	}
	for (size_t i = 0; i < out->n; i++)
		if (bytes_equal_nocase(out->keywords[i], name))
			return true;
	if (out->n == IMAP_FLAGS_MAX)
		return false;
	out->keywords[out->n++] = name;
	return true;
}

bool parse_flag_list(struct parse *p, bool bare, struct parse_flags *out)
{
	bool list = parse_char(p, '(');

	memset(out, 0, sizeof(*out));
	if (!list && !bare)
		return false;
	if (list && (parse_space(p), parse_char(p, ')')))
		return true;
	do {
		if (list && parse_peek(p) == ')') /* a space before the bracket */
			break;
		if (!one_flag(p, out))
			return false;
	} while (parse_space(p) && p->at < p->text.len);
	return !list || parse_char(p, ')');
}

/* INBOX in any case is INBOX (RFC 3501 section 5.1), and what is below it is below it. */
static void inbox_in_capitals(struct buf *name, size_t start)
{
	struct bytes b = bytes_part(buf_bytes(name), start, name->len - start);

	if (bytes_starts_nocase(b, "INBOX") && (b.len == 5 || b.data[5] == '/'))
		memcpy(name->data + start, "INBOX", 5);
}

int mailbox_name(struct bytes wire, struct buf *name)
{
	size_t start = name->len;
	int err;

	if (wire.len > 1 && wire.data[wire.len - 1] == '/')
		wire.len--;
	err = mutf7_to_utf8(wire, name);
	if (err)
		return err == E_LIMIT ? E_LIMIT : E_RANGE;
	inbox_in_capitals(name, start);
	return wire.len ? OK : E_RANGE;
}

int parse_mailbox(struct parse *p, struct buf *name)
{
	/* Modified UTF-7 takes at most 2.5 times the bytes of UTF-8, escapes as much again. */
	uint8_t space[2 * LIMIT_MAILBOX_NAME];
	struct buf scratch;
	struct bytes wire;

	buf_init(&scratch, space, sizeof(space));
	if (!parse_astring(p, &scratch, &wire))
		return scratch.overflow ? E_LIMIT : E_SYNTAX;
	return mailbox_name(wire, name);
}

bool literal_mark(struct bytes line, struct literal_mark *out)
{
	size_t end = line.len, i;

	if (end < 3 || line.data[end - 1] != '}')
		return false;
	out->sync = line.data[end - 2] != '+';
	end -= out->sync ? 1 : 2;
	for (i = end; i > 0 && text_is(line.data[i - 1], TEXT_DIGIT); i--)
		;
	if (i == end || i == 0 || line.data[i - 1] != '{')
		return false;
	if (text_number(bytes_part(line, i, end - i), UINT64_MAX - 1, &out->len))
		out->len = UINT64_MAX;
	out->at = i - 1;
	out->binary = out->at > 0 && line.data[out->at - 1] == '~';
	if (out->binary)
		out->at--;
	return true;
}
