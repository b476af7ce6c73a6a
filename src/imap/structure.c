/* ENVELOPE and BODY[STRUCTURE]. The answer is made of pieces, each the work of
 * one step: a step looks at the summary where the cursor says, writes its piece
 * and names the next step. A piece that does not fit is made again at the next
 * call with its first bytes left out. The tree is walked by the summary's own
 * links, so depth costs nothing. */
#include "imap/structure.h"

#include <string.h>

#include "base/text.h"

/* Bytes of a string that may stand in quotes; longer ones go as literals, since
 * some clients have a line buffer of a few KiB. */
#define QUOTED_MAX 1000

/* RFC 2046 section 5.1.1 wants a part in every multipart; one that has none
 * shows this. */
static const char no_part[] = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0";

enum step {
	ENVELOPE_START,
	ENVELOPE_FIELD,
	ENVELOPE_ADDRESS,
	ENVELOPE_END,
	PART_START,
	PART_TYPE,
	TYPE_PARAM,
	PART_FIELDS,
	PART_LINES,
	PART_SUBTYPE, /* of a multipart, behind its parts */
	EXTENSION,
	DISPOSITION_PARAM,
	LANGUAGE,
	LOCATION,
	PART_CLOSE
};

struct render {
	struct buf *out;
	const struct summary *s;
	uint32_t skip; /* bytes of this piece still to leave out */
	uint32_t made; /* bytes of this piece that are out */
	bool full;
	struct structure_cursor next;
	struct summary_part part;
	struct bytes values[SUMMARY_FIELDS]; /* of `part`, or of `values_of` */
	summary_ref values_of;
	size_t from_at, from_len; /* where From's addresses stand in out, if they do */
};

/* ------------------------------------------------------------------- output */

/* put() where the piece's start is out already, or its end does not fit. */
static void put_part(struct render *r, const uint8_t *data, size_t len)
{
	if (r->full)
		return;
	if (r->skip) {
		size_t n = r->skip < len ? r->skip : len;

		r->skip -= (uint32_t)n;
		r->made += (uint32_t)n;
		data += n;
		len -= n;
	}
	if (len > buf_space(r->out)) {
		len = buf_space(r->out);
		r->full = true;
	}
	if (len)
		(void)buf_put(r->out, data, len);
	r->made += (uint32_t)len;
}

/* Every byte of every answer goes through here. */
static inline void put(struct render *r, const void *data, size_t len)
{
	struct buf *out = r->out;

	if (r->skip || r->full || len > out->cap - out->len) {
		put_part(r, data, len);
		return;
	}
	if (len)
		memcpy(out->data + out->len, data, len);
	out->len += len;
	r->made += (uint32_t)len;
}

static void puts_(struct render *r, const char *s)
{
	put(r, s, strlen(s));
}

static void put_number(struct render *r, uint32_t n)
{
	char digits[10];
	size_t i = sizeof digits;

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	put(r, digits + i, sizeof digits - i);
}

enum { ESCAPED = 1, LITERAL = 2, NUL = 4, LINE = 8, BLANK = 16, NOT_SPACE = 32 };

#define L LITERAL
#define L16 L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L
#define N (LINE | BLANK | NOT_SPACE)

static const uint8_t classes[256] = {
	L | NUL, 0, 0, 0, 0, 0, 0, 0, 0, BLANK | NOT_SPACE, N, 0, 0, N, 0, 0, /* tab, LF, CR */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	BLANK, 0, ESCAPED, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* space, quote */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ESCAPED, 0, 0, 0, /* backslash */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	L16, L16, L16, L16, L16, L16, L16, L16,
};

static inline uint8_t class_of(uint8_t c)
{
	return classes[c];
}

/* What a string needs: the classes in it, and its length when blanks are run
 * together. */
static uint8_t look(struct bytes s, bool joined, size_t *len)
{
	bool blank = true;
	uint8_t all = 0;
	size_t n = 0;

	if (!joined) {
		for (size_t i = 0; i < s.len; i++)
			all |= class_of(s.data[i]);
		*len = s.len;
		return all;
	}
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = class_of(s.data[i]);

		all |= c;
		n += !(c & BLANK) || !blank;
		blank = (c & BLANK) != 0;
	}
	*len = n - (n && blank);
	return all;
}

/* Writes the bytes of a string that can't go as they stand. */
static void put_changed(struct render *r, struct bytes s, size_t len, bool joined, bool quoted)
{
	uint8_t piece[64];
	size_t n = 0;
	bool blank = true;

	for (size_t i = 0; i < s.len && len; i++) {
		uint8_t c = s.data[i], class = class_of(c);

		if (joined && (class & BLANK)) {
			if (blank)
				continue;
			c = ' ';
		}
		blank = (class & BLANK) != 0;
		if (quoted && (class & ESCAPED))
			piece[n++] = '\\';
		piece[n++] = c ? c : 0x80;
		len--;
		if (n >= sizeof piece - 2) {
			put(r, piece, n);
			n = 0;
		}
	}
	put(r, piece, n);
}

/* joined: runs of blanks become one space, and those at the ends go. */
static void put_string(struct render *r, struct bytes s, bool joined)
{
	size_t len;
	uint8_t all = look(s, joined, &len);
	bool quoted = !(all & LITERAL) && (joined || !(all & LINE)) && len <= QUOTED_MAX;

	if (len == 0) {
		put(r, "\"\"", 2);
		return;
	}
	if (quoted) {
		put(r, "\"", 1);
	} else {
		put(r, "{", 1);
		put_number(r, (uint32_t)len);
		put(r, "}\r\n", 3);
	}
	if ((quoted && (all & ESCAPED)) || (all & NUL) || len != s.len || (joined && (all & NOT_SPACE)))
		put_changed(r, s, len, joined, quoted);
	else
		put(r, s.data, s.len);
	if (quoted)
		put(r, "\"", 1);
}

static void put_nstring(struct render *r, struct bytes s, bool joined)
{
	if (s.data)
		put_string(r, s, joined);
	else
		put(r, "NIL", 3);
}

bool structure_put_nstring(struct buf *out, struct bytes s)
{
	struct render r = { .out = out };
	size_t start = out->len;

	put_nstring(&r, s, false);
	if (r.full) {
		out->len = start;
		out->overflow = true;
	}
	return !r.full;
}

/* ----------------------------------------------------------------- envelope */

/* The values of the part whose envelope is written. */
static void load_values(struct render *r, summary_ref ref)
{
	struct summary_part part;

	if (r->values_of == ref)
		return;
	summary_part(r->s, ref, &part);
	summary_values(&part, r->values);
	r->values_of = ref;
	r->from_len = 0;
}

static void load_envelope(struct render *r)
{
	bool inner = r->next.item != STRUCTURE_ENVELOPE;

	load_values(r, inner ? r->part.child : r->part.ref);
}

static void envelope_start(struct render *r)
{
	if (r->next.item == STRUCTURE_ENVELOPE)
		put(r, "(", 1);
	else
		put(r, " (", 2);
	r->next.field = SUMMARY_DATE;
	r->next.step = ENVELOPE_FIELD;
}

static void next_field(struct render *r)
{
	r->next.field++;
	r->next.step = r->next.field > SUMMARY_MESSAGE_ID ? ENVELOPE_END : ENVELOPE_FIELD;
}

static void envelope_field(struct render *r)
{
	uint8_t field = r->next.field;

	load_envelope(r);
	if (field >= SUMMARY_FROM && field <= SUMMARY_BCC) {
		r->next.step = ENVELOPE_ADDRESS;
		r->next.address = 0;
		r->next.addresses = 0;
		r->next.group = r->next.from_instead = false;
		return;
	}
	if (field != SUMMARY_DATE)
		put(r, " ", 1);
	put_nstring(r, r->values[field], field == SUMMARY_SUBJECT);
	next_field(r);
}

static void put_address(struct render *r, const struct address *a)
{
	put(r, "(", 1);
	put_nstring(r, a->name, true);
	put(r, " ", 1);
	put_nstring(r, a->route, false);
	put(r, " ", 1);
	put_nstring(r, a->mailbox, false);
	put(r, " ", 1);
	put_nstring(r, a->host, false);
	put(r, ")", 1);
}

/* From's list stands in the same buffer already: nearly every message has
 * neither Sender nor a Reply-To of its own. */
static bool repeat_from(struct render *r)
{
	if (r->from_len == 0 || r->skip || r->made || buf_space(r->out) < r->from_len)
		return false;
	(void)buf_put(r->out, r->out->data + r->from_at, r->from_len);
	next_field(r);
	return true;
}

static void envelope_address(struct render *r)
{
	struct structure_cursor *c = &r->next;
	uint8_t space[ADDRESS_SPACE];
	struct address_list list;
	struct address a;

	load_envelope(r);
	address_begin(&list, r->values[c->from_instead ? SUMMARY_FROM : c->field]);
	list.at = c->address;
	list.count = c->addresses;
	list.in_group = c->group;
	if (address_next(&list, space, &a)) {
		if (c->addresses == 0 && c->field == SUMMARY_FROM && r->skip == 0)
			r->from_at = r->out->len;
		else if (c->addresses == 0 && c->field == SUMMARY_FROM)
			r->from_at = SIZE_MAX;
		put(r, " (", c->addresses == 0 ? 2 : 0);
		put_address(r, &a);
		c->address = list.at;
		c->addresses = list.count;
		c->group = list.in_group;
		return;
	}
	if (c->addresses) {
		put(r, ")", 1);
	} else if ((c->field == SUMMARY_SENDER || c->field == SUMMARY_REPLY_TO) && !c->from_instead) {
		c->from_instead = true;
		c->address = 0;
		(void)repeat_from(r);
		return;
	} else {
		put(r, " NIL", 4);
	}
	if (c->field == SUMMARY_FROM && c->addresses && r->from_at != SIZE_MAX && !r->full)
		r->from_len = r->out->len - r->from_at;
	next_field(r);
}

static void envelope_end(struct render *r)
{
	put(r, ")", 1);
	if (r->next.item == STRUCTURE_ENVELOPE) {
		r->next.done = true;
		return;
	}
	put(r, " ", 1);
	r->next.part = r->part.child;
	r->next.step = PART_START;
}

/* --------------------------------------------------------------------- body */

static void part_start(struct render *r)
{
	put(r, "(", 1);
	r->next.step = PART_TYPE;
	if (r->part.kind == SUMMARY_MULTIPART) {
		r->next.step = PART_SUBTYPE;
		if (r->part.child) {
			r->next.part = r->part.child;
			r->next.step = PART_START;
		} else {
			puts_(r, no_part);
			puts_(r, r->next.item == STRUCTURE_BODYSTRUCTURE ? " NIL NIL NIL NIL)" : ")");
		}
	}
}

static void part_type(struct render *r)
{
	struct bytes type, subtype;

	load_values(r, r->part.ref);
	type = r->values[SUMMARY_TYPE];
	subtype = r->values[SUMMARY_SUBTYPE];
	if (subtype.data == NULL)
		type = subtype = bytes_make(NULL, 0);
	if (r->part.kind == SUMMARY_MESSAGE) {
		puts_(r, "\"message\" \"rfc822\"");
	} else if (r->part.kind == SUMMARY_LEAF &&
		(type.data == NULL || bytes_is(type, "multipart") ||
			(bytes_is(type, "message") && bytes_is(subtype, "rfc822")))) {
		/* Not taken apart, so it can't be shown as what it says. */
		puts_(r, "\"application\" \"octet-stream\"");
	} else if (type.data == NULL) {
		puts_(r, "\"text\" \"plain\"");
	} else {
		put_string(r, type, false);
		put(r, " ", 1);
		put_string(r, subtype, false);
	}
	r->next.param = 0;
	r->next.step = TYPE_PARAM;
}

/* The parameter at the cursor, with what stands before it; then, once, the end
 * of the list. True when that was written. */
static bool put_param(struct render *r, enum summary_field of, const char *otherwise)
{
	struct summary_params it;
	struct bytes name, value;
	unsigned i = 0;

	summary_params(&r->part, of, &it);
	while (summary_params_next(&it, &name, &value)) {
		if (i++ < r->next.param)
			continue;
		put(r, r->next.param ? " " : " (", r->next.param ? 1 : 2);
		put_string(r, name, false);
		put(r, " ", 1);
		put_string(r, value, false);
		r->next.param++;
		return false;
	}
	if (otherwise && summary_param(&r->part, of, "charset").data == NULL) {
		put(r, r->next.param ? " " : " (", r->next.param ? 1 : 2);
		puts_(r, otherwise);
		put(r, ")", 1);
	} else if (r->next.param) {
		put(r, ")", 1);
	} else {
		put(r, " NIL", 4);
	}
	return true;
}

static void type_param(struct render *r)
{
	bool multipart = r->part.kind == SUMMARY_MULTIPART;
	const char *charset = r->part.kind == SUMMARY_TEXT ? "\"charset\" \"us-ascii\"" : NULL;

	if (put_param(r, SUMMARY_TYPE, charset))
		r->next.step = multipart ? EXTENSION : PART_FIELDS;
}

static void part_fields(struct render *r)
{
	load_values(r, r->part.ref);
	put(r, " ", 1);
	put_nstring(r, r->values[SUMMARY_ID], false);
	put(r, " ", 1);
	put_nstring(r, r->values[SUMMARY_DESCRIPTION], false);
	put(r, " ", 1);
	if (r->values[SUMMARY_ENCODING].data)
		put_string(r, r->values[SUMMARY_ENCODING], false);
	else
		put(r, "\"7bit\"", 6);
	put(r, " ", 1);
	put_number(r, r->part.body_len);
	r->next.step = r->part.kind == SUMMARY_MESSAGE ? ENVELOPE_START : PART_LINES;
}

static void part_lines(struct render *r)
{
	if (r->part.kind != SUMMARY_LEAF) {
		put(r, " ", 1);
		put_number(r, r->part.body_lines);
	}
	r->next.step = r->next.item == STRUCTURE_BODYSTRUCTURE ? EXTENSION : PART_CLOSE;
}

static void part_subtype(struct render *r)
{
	load_values(r, r->part.ref);
	put(r, " ", 1);
	put_string(r, r->values[SUMMARY_SUBTYPE], false);
	r->next.param = 0;
	r->next.step = r->next.item == STRUCTURE_BODYSTRUCTURE ? TYPE_PARAM : PART_CLOSE;
}

static void extension(struct render *r)
{
	load_values(r, r->part.ref);
	if (r->part.kind != SUMMARY_MULTIPART) {
		put(r, " ", 1);
		put_nstring(r, r->values[SUMMARY_MD5], false);
	}
	r->next.param = 0;
	if (r->values[SUMMARY_DISPOSITION].data == NULL) {
		put(r, " NIL", 4);
		r->next.step = LANGUAGE;
		return;
	}
	put(r, " (", 2);
	put_string(r, r->values[SUMMARY_DISPOSITION], false);
	r->next.step = DISPOSITION_PARAM;
}

static void disposition_param(struct render *r)
{
	if (put_param(r, SUMMARY_DISPOSITION, NULL)) {
		put(r, ")", 1);
		r->next.step = LANGUAGE;
	}
}

/* Without the blanks and comments that it starts with. */
static struct bytes skip_comments(struct bytes b)
{
	int depth = 0;

	for (; b.len; b.data++, b.len--) {
		if (b.data[0] == '(')
			depth++;
		else if (b.data[0] == ')' && depth)
			depth--;
		else if (!depth && !text_is(b.data[0], TEXT_SPACE | TEXT_CTL))
			break;
	}
	return b;
}

/* Tags with commas between them (RFC 3282 section 2). */
static void language(struct render *r)
{
	struct bytes rest;
	unsigned n = 0;

	load_values(r, r->part.ref);
	rest = r->values[SUMMARY_LANGUAGE];
	for (;;) {
		size_t len = 0;

		rest = skip_comments(rest);
		while (len < rest.len && text_is(rest.data[len], TEXT_MIME_TOKEN | TEXT_8BIT))
			len++;
		if (len == 0)
			break;
		put(r, n ? " " : " (", n ? 1 : 2);
		n++;
		put_string(r, bytes_part(rest, 0, len), false);
		rest = skip_comments(bytes_part(rest, len, rest.len));
		if (rest.len == 0 || rest.data[0] != ',')
			break;
		rest = bytes_part(rest, 1, rest.len);
	}
	puts_(r, n ? ")" : " NIL");
	r->next.step = LOCATION;
}

static void location(struct render *r)
{
	load_values(r, r->part.ref);
	put(r, " ", 1);
	put_nstring(r, r->values[SUMMARY_LOCATION], false);
	r->next.step = PART_CLOSE;
}

/* On to the next sibling, or back to what stands behind the parts of the part
 * around it. */
static void part_close(struct render *r)
{
	put(r, ")", 1);
	if (r->part.parent == 0) {
		r->next.done = true;
	} else if (r->part.next) {
		r->next.part = r->part.next;
		r->next.step = PART_START;
	} else {
		struct summary_part parent;

		summary_part(r->s, r->part.parent, &parent);
		r->next.part = parent.ref;
		r->next.step = parent.kind == SUMMARY_MESSAGE ? PART_LINES : PART_SUBTYPE;
	}
}

void structure_begin(struct structure_cursor *c, enum structure_item item)
{
	memset(c, 0, sizeof *c);
	c->item = (uint8_t)item;
	c->step = item == STRUCTURE_ENVELOPE ? ENVELOPE_START : PART_START;
}

bool structure_render(struct structure_cursor *c, const struct summary *s, struct buf *out)
{
	static void (*const steps[])(struct render *) = {
		envelope_start, envelope_field, envelope_address, envelope_end, part_start, part_type, type_param,
		part_fields, part_lines, part_subtype, extension, disposition_param, language, location, part_close,
	};
	struct render r;

	r.out = out;
	r.s = s;
	r.values_of = 0;
	r.from_len = 0;
	r.from_at = SIZE_MAX;
	r.full = false;
	if (c->part == 0)
		c->part = summary_root(s);
	summary_part(s, c->part, &r.part);
	while (!c->done) {
		r.next = *c;
		r.skip = c->skip;
		r.made = 0;
		steps[c->step](&r);
		if (r.full) {
			c->skip = r.made;
			return false;
		}
		r.next.skip = 0;
		if (r.next.part != c->part)
			summary_part(s, r.next.part, &r.part);
		*c = r.next;
	}
	return true;
}
