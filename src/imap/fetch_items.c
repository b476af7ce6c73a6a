/* What a FETCH asks for: fetch-att of RFC 3501 section 9, and its extensions. */
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "imap/fetch.h"
#include "imap/reply.h"
#include "imap/server.h"

bool fetch_has(const struct fetch_unit *u, enum fetch_kind kind)
{
	for (unsigned i = 0; i < u->n_items; i++)
		if (u->items[i].kind == kind)
			return true;
	return false;
}

/* The same item twice is answered once, as JavaMail asks for RFC822.SIZE. */
static bool same(struct session *s, const struct fetch_item *a, const struct fetch_item *b)
{
	return a->kind == b->kind && a->section == b->section && a->partial == b->partial && a->from == b->from &&
		a->count == b->count &&
		bytes_equal(session_text(s, a->path, a->path_len), session_text(s, b->path, b->path_len)) &&
		bytes_equal(session_text(s, a->names, a->names_len), session_text(s, b->names, b->names_len));
}

static bool add(struct session *s, struct fetch_unit *u, const struct fetch_item *item)
{
	for (unsigned i = 0; i < u->n_items; i++) {
		if (!same(s, &u->items[i], item))
			continue;
		u->items[i].peek &= item->peek;
		return true;
	}
	if (u->n_items == FETCH_ITEMS)
		return false;
	u->items[u->n_items++] = *item;
	return true;
}

bool fetch_add(struct fetch_unit *u, enum fetch_kind kind)
{
	if (fetch_has(u, kind))
		return true;
	if (u->n_items == FETCH_ITEMS)
		return false;
	u->items[u->n_items++] = (struct fetch_item){ .kind = (uint8_t)kind, .peek = true };
	return true;
}

static const struct {
	const char *name;
	uint8_t kind;
} plain_items[] = {
	{"UID", FETCH_UID},
	{"FLAGS", FETCH_FLAGS},
	{"INTERNALDATE", FETCH_INTERNALDATE},
	{"RFC822.SIZE", FETCH_SIZE},
	{"ENVELOPE", FETCH_ENVELOPE},
	{"BODYSTRUCTURE", FETCH_BODYSTRUCTURE},
	{"BODY", FETCH_BODY},
	{"MODSEQ", FETCH_MODSEQ},
	{"SAVEDATE", FETCH_SAVEDATE},
	{"EMAILID", FETCH_EMAILID},
	{"THREADID", FETCH_THREADID},
	{"RFC822", FETCH_RFC822},
	{"RFC822.HEADER", FETCH_RFC822_HEADER},
	{"RFC822.TEXT", FETCH_RFC822_TEXT},
};

/* section-part: "1.2.3", and the dot before what follows. */
static bool read_path(struct session *s, struct parse *p, struct fetch_item *item)
{
	uint64_t n;
	size_t start = p->at, end = p->at;

	while (text_is(parse_peek(p), TEXT_DIGIT)) {
		if (!parse_number(p, UINT32_MAX, &n) || n == 0)
			return false;
		end = p->at;
		if (!parse_char(p, '.'))
			break;
	}
	if (end - start > UINT16_MAX)
		return false;
	item->path = s->args + (uint32_t)start;
	item->path_len = (uint16_t)(end - start);
	return true;
}

/* header-list; its place is kept, and it is read again for each message. */
static bool read_names(struct session *s, struct parse *p, struct fetch_item *item)
{
	size_t n = 0, start;

	if (!parse_space(p))
		return false;
	start = p->at;
	if (!parse_char(p, '('))
		return false;
	do {
		struct buf scratch;
		struct bytes name;

		buf_init(&scratch, s->server->unescaped, SERVER_UNESCAPED);
		parse_space(p);
		if (parse_peek(p) == ')' && n > 0)
			break;
		if (!parse_astring(p, &scratch, &name))
			return false;
		n++;
	} while (parse_peek(p) == ' ');
	item->names = s->args + (uint32_t)start;
	item->names_len = (uint32_t)(p->at + 1 - start);
	return parse_char(p, ')');
}

static bool read_section(struct session *s, struct parse *p, struct fetch_item *item)
{
	static const struct {
		const char *name;
		uint8_t section;
	} texts[] = {
		{"HEADER", SECTION_HEADER},
		{"TEXT", SECTION_TEXT},
		{"MIME", SECTION_MIME},
		{"HEADER.FIELDS", SECTION_FIELDS},
		{"HEADER.FIELDS.NOT", SECTION_FIELDS_NOT},
	};
	struct bytes word;
	size_t i = 0, n = sizeof(texts) / sizeof(texts[0]);

	if (!read_path(s, p, item))
		return false;
	item->section = SECTION_WHOLE;
	if (parse_char(p, ']')) /* not behind a dot */
		return p->text.data[p->at - 2] != '.';
	if (!parse_word(p, &word))
		return false;
	while (i < n && !bytes_is(word, texts[i].name))
		i++;
	if (i == n || (texts[i].section == SECTION_MIME && !item->path_len))
		return false;
	item->section = texts[i].section;
	if (item->section >= SECTION_FIELDS && !read_names(s, p, item))
		return false;
	return parse_char(p, ']');
}

/* <from.count>; a count of zero is no nz-number, but harmless. */
static bool read_partial(struct parse *p, struct fetch_item *item)
{
	uint64_t from, count;

	if (!parse_char(p, '<'))
		return true;
	if (!parse_number(p, UINT32_MAX, &from) || !parse_char(p, '.') || !parse_number(p, UINT32_MAX, &count))
		return false;
	item->partial = true;
	item->from = (uint32_t)from;
	item->count = (uint32_t)count;
	return parse_char(p, '>');
}

static enum fetch_read read_item(struct session *s, struct parse *p, struct fetch_unit *u)
{
	struct fetch_item item = { .peek = true };
	struct bytes word;
	size_t i = 0, n = sizeof(plain_items) / sizeof(plain_items[0]);
	bool peek;

	if (!parse_word(p, &word))
		return FETCH_WRONG;
	peek = bytes_is(word, "BODY.PEEK");
	if (peek || (bytes_is(word, "BODY") && parse_peek(p) == '[')) {
		struct buf echo;

		item.kind = FETCH_SECTION;
		item.peek = peek;
		if (!parse_char(p, '[') || !read_section(s, p, &item) || !read_partial(p, &item))
			return FETCH_WRONG;
		buf_init(&echo, s->server->scratch, FETCH_ECHO);
		if (!fetch_put_name(s, &item, &echo) || fetch_names(s, &item) > FETCH_NAMES)
			return FETCH_TOO_MUCH;
		return add(s, u, &item) ? FETCH_FINE : FETCH_TOO_MUCH;
	}
	while (i < n && !bytes_is(word, plain_items[i].name))
		i++;
	if (i == n)
		return FETCH_WRONG;
	item.kind = plain_items[i].kind;
	item.peek = item.kind != FETCH_RFC822 && item.kind != FETCH_RFC822_TEXT;
	return add(s, u, &item) ? FETCH_FINE : FETCH_TOO_MUCH;
}

static bool read_macro(struct parse *p, struct fetch_unit *u)
{
	bool all = parse_keyword(p, "ALL"), full = !all && parse_keyword(p, "FULL");

	if (!all && !full && !parse_keyword(p, "FAST"))
		return false;
	fetch_add(u, FETCH_FLAGS);
	fetch_add(u, FETCH_INTERNALDATE);
	fetch_add(u, FETCH_SIZE);
	if (all || full)
		fetch_add(u, FETCH_ENVELOPE);
	if (full)
		fetch_add(u, FETCH_BODY);
	return true;
}

enum fetch_read fetch_read_items(struct session *s, struct parse *p, struct fetch_unit *u)
{
	enum fetch_read result;

	if (read_macro(p, u))
		return FETCH_FINE;
	if (!parse_char(p, '('))
		return read_item(s, p, u);
	do {
		parse_space(p);
		if (parse_peek(p) == ')' && u->n_items)
			break;
		result = read_item(s, p, u);
		if (result != FETCH_FINE)
			return result;
	} while (parse_peek(p) == ' ');
	return parse_char(p, ')') ? FETCH_FINE : FETCH_WRONG;
}

/* ---- reading an item's places again ---- */

int fetch_path(struct session *s, const struct fetch_item *item, uint32_t path[SUMMARY_DEPTH_MAX])
{
	struct parse p = parse_begin(session_text(s, item->path, item->path_len));
	int n = 0;

	while (p.at < p.text.len) {
		uint64_t number;

		if (n == SUMMARY_DEPTH_MAX || !parse_number(&p, UINT32_MAX, &number))
			return E_NOENT;
		path[n++] = (uint32_t)number;
		parse_char(&p, '.');
	}
	return n;
}

size_t fetch_names(struct session *s, const struct fetch_item *item)
{
	struct parse p = parse_begin(session_text(s, item->names, item->names_len));
	struct buf scratch;
	struct bytes name;
	size_t n = 0;

	if (!item->names_len)
		return 0;
	buf_init(&scratch, s->server->unescaped, SERVER_UNESCAPED);
	parse_char(&p, '(');
	while (parse_space(&p), parse_peek(&p) != ')') {
		if (!parse_astring(&p, &scratch, &name))
			return FETCH_NAMES + 1; /* too much for the scratch */
		if (n < FETCH_NAMES)
			s->server->names[n] = name;
		n++;
	}
	return n;
}

static bool put_names(struct session *s, const struct fetch_item *item, struct buf *out)
{
	struct parse p = parse_begin(session_text(s, item->names, item->names_len));
	struct buf scratch;
	struct bytes name;
	bool first = true;

	if (!buf_puts(out, item->section == SECTION_FIELDS ? "HEADER.FIELDS (" : "HEADER.FIELDS.NOT ("))
		return false;
	buf_init(&scratch, s->server->unescaped, SERVER_UNESCAPED);
	parse_char(&p, '(');
	while (parse_space(&p), parse_peek(&p) != ')') {
		if (!parse_astring(&p, &scratch, &name) || (!first && !buf_putc(out, ' ')) || !reply_astring(out, name))
			return false;
		first = false;
	}
	return buf_putc(out, ')');
}

bool fetch_put_name(struct session *s, const struct fetch_item *item, struct buf *out)
{
	static const char *const texts[] = { "", "HEADER", "TEXT", "MIME" };
	size_t before = out->len;
	bool fits = true;

	switch (item->kind) {
	case FETCH_RFC822:
		return buf_puts(out, "RFC822");
	case FETCH_RFC822_HEADER:
		return buf_puts(out, "RFC822.HEADER");
	case FETCH_RFC822_TEXT:
		return buf_puts(out, "RFC822.TEXT");
	default:
		break;
	}
	fits = buf_puts(out, "BODY[") && buf_putb(out, session_text(s, item->path, item->path_len));
	if (fits && item->path_len && item->section != SECTION_WHOLE)
		fits = buf_putc(out, '.');
	fits = fits &&
		(item->section < SECTION_FIELDS ? buf_puts(out, texts[item->section]) : put_names(s, item, out)) &&
		buf_putc(out, ']');
	if (fits && item->partial)
		fits = buf_printf(out, "<%u>", (unsigned)item->from);
	if (!fits)
		out->len = before;
	return fits;
}
