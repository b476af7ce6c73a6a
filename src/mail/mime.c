/* MIME field values. Nothing is copied while reading: names and values are
 * offsets in the text, quoted strings are unquoted where they stand. */
#include "mail/mime.h"

#include <string.h>

#include "base/text.h"

void mime_begin(struct mime_value *m, uint8_t *text, size_t len)
{
	m->text = text;
	m->len = (uint16_t)(len < UINT16_MAX ? len : UINT16_MAX);
	m->at = m->n = 0;
	m->cut = false;
}

static bool at_end(const struct mime_value *m)
{
	return m->at >= m->len;
}

static bool at_byte(const struct mime_value *m, uint8_t c)
{
	return m->at < m->len && m->text[m->at] == c;
}

/* Blanks and comments; false when a comment does not end. */
static bool skip(struct mime_value *m)
{
	int depth = 0;

	for (; m->at < m->len; m->at++) {
		uint8_t c = m->text[m->at];

		if (c == '(')
			depth++;
		else if (c == ')' && depth)
			depth--;
		else if (c == '\\' && depth)
			m->at++;
		else if (!depth && !text_is(c, TEXT_SPACE) && c != '\r' && c != '\n')
			return true;
	}
	m->at = m->len;
	return depth == 0;
}

static struct bytes take_token(struct mime_value *m)
{
	size_t start = m->at;

	while (m->at < m->len && text_is(m->text[m->at], TEXT_MIME_TOKEN | TEXT_8BIT))
		m->at++;
	return bytes_make(m->text + start, m->at - start);
}

bool mime_token(struct mime_value *m, struct bytes *token, bool *last)
{
	if (!skip(m))
		return false;
	*token = take_token(m);
	if (!skip(m))
		return false;
	*last = at_end(m);
	return true;
}

bool mime_type(struct mime_value *m, struct bytes *type, struct bytes *subtype)
{
	bool last;

	if (!mime_token(m, type, &last) || type->len == 0 || !at_byte(m, '/'))
		return false;
	m->at++;
	if (!skip(m))
		return false;
	*subtype = take_token(m);
	return subtype->len != 0;
}

/* At the opening quote: the string without quotes and backslashes, moved
 * together in place. One that does not end goes to the end of the text. */
static void take_quoted(struct mime_value *m, struct bytes *value)
{
	size_t start = ++m->at, to = start;

	for (; m->at < m->len; m->at++) {
		uint8_t c = m->text[m->at];

		if (c == '"') {
			m->at++;
			break;
		}
		if (c == '\\') {
			if (++m->at == m->len)
				break;
			c = m->text[m->at];
		}
		m->text[to++] = c;
	}
	*value = bytes_make(m->text + start, to - start);
}

static bool take_value(struct mime_value *m, struct bytes *value)
{
	size_t start = m->at;

	*value = bytes_make(m->text + m->at, 0);
	if (at_end(m))
		return true;
	if (at_byte(m, '"')) {
		take_quoted(m, value);
		return skip(m);
	}
	if (at_byte(m, '=')) { /* name==?utf-8?B?...?= without its quotes */
		while (!at_end(m) && !at_byte(m, ';') && !text_is(m->text[m->at], TEXT_SPACE))
			m->at++;
		*value = bytes_make(m->text + start, m->at - start);
		return true;
	}
	*value = take_token(m);
	return skip(m);
}

/* Takes the stars and the number of an RFC 2231 piece off the name. */
static void take_piece(struct mime_value *m, struct mime_param *p)
{
	struct bytes name = bytes_make(m->text + p->name, p->name_len);
	size_t star = bytes_index(name, '*'), at = star + 1;
	uint32_t index = 0;

	if (star >= name.len)
		return;
	while (at < name.len && text_is(name.data[at], TEXT_DIGIT) && index < 10000)
		index = index * 10 + (uint32_t)(name.data[at++] - '0');
	p->extended = at == name.len && at == star + 1;
	if (at < name.len && name.data[at] == '*') {
		p->extended = true;
		at++;
	}
	if (at < name.len) {
		p->extended = false;
		return;
	}
	p->piece = true;
	p->index = (uint16_t)index;
	p->name_len = (uint16_t)star;
}

/* At a semicolon, or where one should be; false when nothing could be read. */
static bool take_param(struct mime_value *m, struct mime_param *p)
{
	struct bytes name, value;

	if (at_byte(m, ';'))
		m->at++;
	if (!skip(m))
		return false;
	name = take_token(m);
	if (!skip(m) || !at_byte(m, '='))
		return false;
	m->at++;
	if (!skip(m) || !take_value(m, &value))
		return false;
	*p = (struct mime_param){
		.name = (uint16_t)(name.data - m->text),
		.name_len = (uint16_t)name.len,
		.value = (uint16_t)(value.data - m->text),
		.value_len = (uint16_t)value.len,
	};
	take_piece(m, p);
	return p->name_len > 0 && p->name_len <= MIME_NAME_MAX;
}

static struct bytes param_name(const struct mime_value *m, const struct mime_param *p)
{
	return bytes_make(m->text + p->name, p->name_len);
}

static int compare_names(const struct mime_value *m, const struct mime_param *a, const struct mime_param *b)
{
	size_t n = a->name_len < b->name_len ? a->name_len : b->name_len;

	for (size_t i = 0; i < n; i++) {
		int d = text_lower(m->text[a->name + i]) - text_lower(m->text[b->name + i]);

		if (d)
			return d;
	}
	return (int)a->name_len - (int)b->name_len;
}

static bool comes_after(const struct mime_value *m, const struct mime_param *a, const struct mime_param *b)
{
	int d;

	if (!a->piece || !b->piece)
		return a->piece && !b->piece;
	d = compare_names(m, a, b);
	return d > 0 || (d == 0 && a->index > b->index);
}

void mime_params(struct mime_value *m)
{
	while (!at_end(m)) {
		struct mime_param p;
		unsigned i;

		if (!take_param(m, &p)) {
			while (!at_end(m) && !at_byte(m, ';'))
				m->at++;
			continue;
		}
		if (m->n == MIME_PARAMS_MAX) {
			m->cut = true;
			return;
		}
		for (i = m->n++; i > 0 && comes_after(m, &m->param[i - 1], &p); i--)
			m->param[i] = m->param[i - 1];
		m->param[i] = p;
	}
}

/* Appends a piece that has no charset among pieces that have one. */
static void put_escaped(struct buf *out, struct bytes value)
{
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] == '%')
			(void)buf_puts(out, "%25");
		else
			(void)buf_putc(out, value.data[i]);
	}
}

static void put_value(const struct mime_value *m, const struct mime_param *p, bool escape, struct buf *out)
{
	struct bytes value = bytes_make(m->text + p->value, p->value_len);

	if (escape)
		put_escaped(out, value);
	else
		(void)buf_putb(out, value);
}

unsigned mime_param_put(const struct mime_value *m, unsigned first, struct buf *out, size_t *name_len)
{
	const struct mime_param *p = &m->param[first];
	size_t start = out->len;
	unsigned next = first + 1;
	bool extended = p->extended, whole = true;

	if (p->piece) {
		/* Behind a piece of the same name it is one of a broken row. */
		whole = p->index == 0 && (first == 0 || !p[-1].piece || compare_names(m, p, &p[-1]) != 0);
		for (; next < m->n && compare_names(m, p, &m->param[next]) == 0; next++) {
			extended = extended || m->param[next].extended;
			whole = whole && m->param[next].index == next - first;
		}
		if (!whole) { /* pieces are missing: each stays what it says */
			next = first + 1;
			extended = p->extended;
		}
	}
	(void)buf_putb(out, param_name(m, p));
	if (!whole) {
		(void)buf_putc(out, '*');
		(void)buf_put_number(out, p->index);
	}
	if (extended)
		(void)buf_putc(out, '*');
	*name_len = out->len - start;
	if (whole && extended && !p->extended)
		(void)buf_puts(out, "''");
	for (unsigned i = first; i < next; i++)
		put_value(m, &m->param[i], extended && !m->param[i].extended, out);
	if (out->overflow)
		out->len = start;
	return next;
}
