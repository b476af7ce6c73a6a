#include "mta/path.h"

#include "base/err.h"
#include "base/text.h"

/* atext of RFC 5322 section 3.2.3, dots, and UTF-8 where RFC 6531 allows it.
 * Dots in odd places (two in a row, at the end) are let pass: there are such
 * addresses. */
static bool is_local_byte(uint8_t c, bool utf8)
{
	if (text_is(c, TEXT_8BIT))
		return utf8;
	return c > ' ' && c != 127 && c != '<' && c != '>' && c != '(' && c != ')' && c != '[' && c != ']' &&
		c != '@' && c != ',' && c != ';' && c != ':' && c != '\\' && c != '"';
}

static bool is_domain_byte(uint8_t c, bool utf8)
{
	if (text_is(c, TEXT_8BIT))
		return utf8;
	return text_is(c, TEXT_ALPHA | TEXT_DIGIT) || c == '-' || c == '.' || c == '_';
}

/* Length of a quoted local part at the start of b, its quotes included; 0 when
 * it is not one. */
static size_t quoted_length(struct bytes b, bool utf8)
{
	size_t i = 1;

	if (b.len == 0 || b.data[0] != '"')
		return 0;
	for (; i < b.len && b.data[i] != '"'; i++) {
		if (b.data[i] == '\\')
			i++;
		if (i >= b.len || text_is(b.data[i], TEXT_CTL) || (text_is(b.data[i], TEXT_8BIT) && !utf8))
			return 0;
	}
	return i < b.len ? i + 1 : 0;
}

static size_t local_length(struct bytes b, bool utf8)
{
	size_t n = 0;

	if (b.len && b.data[0] == '"')
		return quoted_length(b, utf8);
	while (n < b.len && is_local_byte(b.data[n], utf8))
		n++;
	return n;
}

static size_t domain_length(struct bytes b, bool utf8)
{
	size_t n = 0;

	if (b.len && b.data[0] == '[') {
		for (n = 1; n < b.len && b.data[n] != ']'; n++)
			if (b.data[n] <= ' ' || b.data[n] > 126 || b.data[n] == '[' || b.data[n] == '\\')
				return 0;
		return n > 1 && n < b.len ? n + 1 : 0;
	}
	while (n < b.len && is_domain_byte(b.data[n], utf8))
		n++;
	return n;
}

/* RFC 5321 4.1.2: "@one,@two:" in front of the address; must be understood and
 * is not used. */
static int skip_route(struct bytes *b)
{
	size_t colon;

	if (b->len == 0 || b->data[0] != '@')
		return OK;
	colon = bytes_index(*b, ':');
	if (colon == b->len)
		return E_SYNTAX;
	for (size_t i = 0; i < colon; i++)
		if (b->data[i] != '@' && b->data[i] != ',' && !is_domain_byte(b->data[i], true))
			return E_SYNTAX;
	*b = bytes_part(*b, colon + 1, b->len);
	return OK;
}

int path_parse(struct bytes *rest, bool utf8, struct path *out)
{
	struct bytes b = *rest;
	size_t local, domain = 0, whole;

	*out = (struct path){ 0 };
	while (b.len && b.data[0] == ' ')
		b = bytes_part(b, 1, b.len);
	if (b.len == 0 || b.data[0] != '<')
		return E_SYNTAX;
	b = bytes_part(b, 1, b.len);
	if (skip_route(&b) != OK)
		return E_SYNTAX;
	local = local_length(b, utf8);
	whole = local;
	if (local && local < b.len && b.data[local] == '@') {
		domain = domain_length(bytes_part(b, local + 1, b.len), utf8);
		if (domain == 0)
			return E_SYNTAX;
		whole += 1 + domain;
	}
	if (whole >= b.len || b.data[whole] != '>')
		return E_SYNTAX;
	if (whole > PATH_MAX_BYTES)
		return E_LIMIT;
	if (!text_utf8_valid(bytes_part(b, 0, whole)))
		return E_SYNTAX;
	out->text = bytes_part(b, 0, whole);
	out->local = bytes_part(b, 0, local);
	out->domain = domain ? bytes_part(b, local + 1, domain) : bytes_make(NULL, 0);
	*rest = bytes_part(b, whole + 1, b.len);
	if (rest->len && rest->data[0] != ' ')
		return E_SYNTAX;
	return OK;
}

size_t path_local(const struct path *p, uint8_t out[PATH_LOCAL_MAX])
{
	struct bytes b = p->local;
	size_t n = 0;
	bool quoted = b.len >= 2 && b.data[0] == '"';

	if (quoted)
		b = bytes_part(b, 1, b.len - 2);
	for (size_t i = 0; i < b.len && n < PATH_LOCAL_MAX; i++) {
		if (quoted && b.data[i] == '\\' && i + 1 < b.len)
			i++;
		out[n++] = b.data[i];
	}
	return n;
}

int path_parameter(struct bytes *rest, struct bytes *key, struct bytes *value)
{
	struct bytes word = text_word(rest);
	size_t equals = bytes_index(word, '=');

	if (word.len == 0)
		return E_NOENT;
	*key = bytes_part(word, 0, equals);
	*value = equals < word.len ? bytes_part(word, equals + 1, word.len) : bytes_make(NULL, 0);
	if (key->len == 0 || (equals < word.len && value->len == 0))
		return E_SYNTAX;
	for (size_t i = 0; i < key->len; i++)
		if (!text_is(key->data[i], TEXT_ALPHA | TEXT_DIGIT) && key->data[i] != '-')
			return E_SYNTAX;
	for (size_t i = 0; i < value->len; i++)
		if (text_is(value->data[i], TEXT_CTL) || value->data[i] == '=')
			return E_SYNTAX;
	return OK;
}
