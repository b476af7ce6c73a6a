/* HTML to text. A machine over bytes with no more memory than a name: that is
 * enough for mail, where the question is what a reader would see. */
#include "mail/html.h"

#include <string.h>

#include "base/text.h"

enum {
	TEXT,
	TAG_NAME,     /* behind "<": the name is collected */
	TAG,          /* the rest of a tag */
	TAG_DOUBLE,   /* in a quoted attribute */
	TAG_SINGLE,
	COMMENT,      /* behind "<!--" */
	COMMENT_1,    /* and a hyphen */
	COMMENT_2,    /* and two */
	REFERENCE     /* behind "&": the name is collected */
};

void html_begin(struct html_text *h)
{
	memset(h, 0, sizeof *h);
}

static struct bytes name_of(const struct html_text *h)
{
	return bytes_make(h->name, h->len <= HTML_NAME_MAX ? h->len : 0);
}

/* Names of tags padded with NUL, as they are compared: in one step. */
struct tag {
	char name[8];
};

static const struct tag hiding[] = { { "script" }, { "style" }, { "template" } };

/* Tags that stand within a line: no blank in their place. */
static const struct tag inlines[] = {
	{ "a" }, { "b" }, { "i" }, { "u" }, { "s" }, { "q" }, { "span" }, { "font" },
	{ "strong" }, { "em" }, { "small" }, { "sub" }, { "sup" }, { "tt" }, { "big" }, { "code" },
	{ "abbr" }, { "bdi" }, { "bdo" }, { "cite" }, { "del" }, { "dfn" }, { "ins" }, { "kbd" },
	{ "mark" }, { "nobr" }, { "samp" }, { "strike" }, { "var" }, { "wbr" },
};

static bool is_one_of(const struct tag *name, const struct tag *tags, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(name, &tags[i], sizeof *name) == 0)
			return true;
	return false;
}

static void add_name(struct html_text *h, uint8_t c)
{
	if (h->len < HTML_NAME_MAX)
		h->name[h->len] = c;
	if (h->len <= HTML_NAME_MAX)
		h->len++;
}

/* The tag is over. */
static void end_tag(struct html_text *h, struct buf *out)
{
	struct bytes name = name_of(h);
	bool closes = name.len && name.data[0] == '/';
	struct tag tag = { "" };
	bool hides;

	if (closes)
		name = bytes_part(name, 1, name.len);
	for (size_t i = 0; i < name.len && name.len <= sizeof tag.name; i++)
		tag.name[i] = (char)text_lower(name.data[i]);
	h->state = TEXT;
	hides = is_one_of(&tag, hiding, sizeof hiding / sizeof hiding[0]);
	if (h->hidden) {
		h->hidden = !(closes && hides);
		return;
	}
	h->hidden = hides && !closes;
	if (!is_one_of(&tag, inlines, sizeof inlines / sizeof inlines[0]))
		(void)buf_putc(out, ' ');
}

/* The names of U+00A0 to U+00FF in their order. */
static const char latin1_names[] =
	"nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 "
	"sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc "
	"Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve "
	"Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute "
	"acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde "
	"ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

static const struct {
	char name[8];
	uint16_t code;
} other_names[] = {
	{ "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' }, { "euro", 0x20AC },
	{ "ndash", 0x2013 }, { "mdash", 0x2014 }, { "lsquo", 0x2018 }, { "rsquo", 0x2019 }, { "sbquo", 0x201A },
	{ "ldquo", 0x201C }, { "rdquo", 0x201D }, { "bdquo", 0x201E }, { "bull", 0x2022 }, { "hellip", 0x2026 },
	{ "trade", 0x2122 }, { "OElig", 0x152 }, { "oelig", 0x153 }, { "Scaron", 0x160 }, { "scaron", 0x161 },
	{ "ensp", 0x2002 }, { "emsp", 0x2003 }, { "zwnj", 0x200C }, { "zwj", 0x200D }, { "rarr", 0x2192 },
};

/* The character of a reference; 0: not known. */
static uint32_t code_of(struct bytes name)
{
	struct bytes rest = bytes_of(latin1_names);
	bool hex = name.len > 1 && text_lower(name.data[1]) == 'x';
	uint32_t code = 0;

	if (name.len > 1 && name.data[0] == '#') {
		for (size_t i = hex ? 2 : 1; i < name.len; i++) {
			int digit = text_hex(name.data[i]);

			if (digit < 0 || (!hex && digit > 9) || code > 0x10FFFF)
				return 0;
			code = code * (hex ? 16 : 10) + (uint32_t)digit;
		}
		return code > 0x10FFFF || (code >= 0xD800 && code < 0xE000) ? 0xFFFD : code;
	}
	for (size_t i = 0; i < sizeof other_names / sizeof other_names[0]; i++)
		if (bytes_equal(bytes_of(other_names[i].name), name))
			return other_names[i].code;
	for (code = 0xA0; rest.len; code++)
		if (bytes_equal(text_word(&rest), name))
			return code;
	return 0;
}

/* Writes the reference, or what it was written with. */
static void end_reference(struct html_text *h, bool semicolon, struct buf *out)
{
	uint32_t code = code_of(name_of(h));
	uint8_t utf8[4];

	h->state = TEXT;
	if (h->hidden)
		return;
	if (code) {
		(void)buf_put(out, utf8, text_utf8_encode(code, utf8));
		return;
	}
	(void)buf_putc(out, '&');
	(void)buf_put(out, h->name, h->len);
	if (semicolon)
		(void)buf_putc(out, ';');
}

static void begin(struct html_text *h, uint8_t state)
{
	h->state = state;
	h->len = 0;
}

/* Takes a byte outside plain text; false: look at it again. */
static bool take(struct html_text *h, uint8_t c, struct buf *out)
{
	switch (h->state) {
	case TEXT:
		if (c == '<')
			begin(h, TAG_NAME);
		else if (c == '&')
			begin(h, REFERENCE);
		else if (!h->hidden)
			(void)buf_putc(out, c);
		return true;
	case REFERENCE:
		if (h->len < HTML_NAME_MAX && (text_is(c, TEXT_ALPHA | TEXT_DIGIT) || (c == '#' && h->len == 0))) {
			add_name(h, c);
			return true;
		}
		end_reference(h, c == ';', out);
		return c == ';';
	case TAG_NAME:
		if (text_is(c, TEXT_ALPHA) || (h->len ? text_is(c, TEXT_DIGIT) || c == '-' : c == '!' || c == '/')) {
			add_name(h, c);
			if (h->len == 3 && !h->hidden && memcmp(h->name, "!--", 3) == 0)
				h->state = COMMENT;
			return true;
		}
		if (h->len == 0 && c != '?' && !h->hidden) { /* a "<" that means itself */
			h->state = TEXT;
			(void)buf_putc(out, '<');
			return false;
		}
		h->state = TAG;
		return false;
	case TAG:
		if (c == '>')
			end_tag(h, out);
		else if (c == '<' && h->hidden)
			begin(h, TAG_NAME);
		else if ((c == '"' || c == '\'') && !h->hidden)
			h->state = c == '"' ? TAG_DOUBLE : TAG_SINGLE;
		return true;
	case TAG_DOUBLE:
	case TAG_SINGLE:
		if (c == (h->state == TAG_DOUBLE ? '"' : '\''))
			h->state = TAG;
		return true;
	default:
		if (c == '-')
			h->state = h->state == COMMENT ? COMMENT_1 : COMMENT_2;
		else
			h->state = c == '>' && h->state == COMMENT_2 ? TEXT : COMMENT;
		return true;
	}
}

/* Text up to what may be markup; as much as fits. */
static size_t take_text(const struct html_text *h, struct bytes in, struct buf *out)
{
	size_t n = 0;

	if (in.len > buf_space(out))
		in.len = buf_space(out);
	while (n < in.len && in.data[n] != '<' && in.data[n] != '&')
		n++;
	if (!h->hidden)
		(void)buf_put(out, in.data, n);
	return n;
}

/* The inside of a tag up to what may end it or the quotes in it. */
static size_t skip_tag(const struct html_text *h, struct bytes in)
{
	size_t n = 0;

	if (h->state != TAG)
		return bytes_index(in, h->state == TAG_DOUBLE ? '"' : '\'');
	while (n < in.len && in.data[n] != '>' && in.data[n] != '"' && in.data[n] != '\'' && in.data[n] != '<')
		n++;
	return n;
}

size_t html_push(struct html_text *h, struct bytes in, struct buf *out)
{
	size_t i = 0;

	while (i < in.len) {
		if (h->state == TEXT)
			i += take_text(h, bytes_part(in, i, in.len), out);
		else if (h->state == TAG || h->state == TAG_DOUBLE || h->state == TAG_SINGLE)
			i += skip_tag(h, bytes_part(in, i, in.len));
		if (i == in.len)
			break;
		if (buf_space(out) < HTML_ROOM)
			break;
		if (take(h, in.data[i], out))
			i++;
	}
	return i;
}

bool html_end(struct html_text *h, struct buf *out)
{
	if (h->state != REFERENCE)
		return true;
	if (buf_space(out) < HTML_ROOM)
		return false;
	end_reference(h, false, out);
	return true;
}
