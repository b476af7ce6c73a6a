/* Address lists. Words are taken as slices of the value where they stand in one
 * piece there, which is nearly always; only unquoting and joining copy. */
#include "mail/address.h"

#include <string.h>

#include "base/text.h"

/* atext of RFC 5322 section 3.2.3, one bit a byte; 8-bit bytes pass as well. */
static const uint32_t atext_bits[8] = {
	0, 0xA3FFACFA, 0xC7FFFFFE, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF,
};

static inline bool is_atext(uint8_t c)
{
	return (atext_bits[c >> 5] >> (c & 31) & 1) != 0;
}

/* How a step ended. */
enum step {
	BAD = -1, /* not of the form that was tried */
	END = 0,  /* taken, and the value is over */
	MORE = 1  /* taken, and something follows */
};

struct scan {
	const uint8_t *at, *end;
	struct buf scratch;
	struct bytes comment; /* the last one that was skipped */
};

/* A string that grows: a slice of the value as long as that is possible. */
struct word {
	struct bytes text;
	bool copied;
};

static const struct word no_word = { { NULL, 0 }, false };

/* Moves the word to the scratch, to its end, so that it can grow there. */
static void copy_word(struct scan *s, struct word *w)
{
	size_t start = s->scratch.len;
	size_t len = w->text.len < buf_space(&s->scratch) ? w->text.len : buf_space(&s->scratch);

	(void)buf_put(&s->scratch, w->text.data, len);
	w->text = bytes_make(s->scratch.data + start, len);
	w->copied = true;
}

static void add(struct scan *s, struct word *w, const uint8_t *data, size_t len)
{
	if (w->text.data == NULL || (w->text.len == 0 && !w->copied)) {
		w->text = bytes_make(data, len);
		return;
	}
	if (len == 0)
		return;
	if (!w->copied && w->text.data + w->text.len == data) {
		w->text.len += len;
		return;
	}
	/* A comment may have been copied behind it in the meantime. */
	if (!w->copied || w->text.data + w->text.len != s->scratch.data + s->scratch.len)
		copy_word(s, w);
	if (len > buf_space(&s->scratch))
		len = buf_space(&s->scratch);
	(void)buf_put(&s->scratch, data, len);
	w->text.len += len;
}

/* Adds one byte, out of the value when it stands there behind the word. */
static void add_byte(struct scan *s, struct word *w, uint8_t c)
{
	const uint8_t *behind = w->text.data + w->text.len;

	if (!w->copied && w->text.len && behind < s->end && *behind == c) {
		w->text.len++;
		return;
	}
	/* A word must not start as a slice of this variable. */
	if (!w->copied && w->text.len == 0) {
		w->text = bytes_make(s->at, 0);
		copy_word(s, w);
	}
	add(s, w, &c, 1);
}

static enum step more(const struct scan *s)
{
	return s->at < s->end ? MORE : END;
}

/* s->at is at the opening mark; text up to the closing one with its quoted
 * pairs undone goes to *w. */
static enum step take_quoted(struct scan *s, struct word *w, uint8_t open, uint8_t close)
{
	const uint8_t *start = ++s->at;
	int depth = 1;

	for (; s->at < s->end; s->at++) {
		if (*s->at == '\\') {
			if (s->at + 1 == s->end)
				break;
			add(s, w, start, (size_t)(s->at - start));
			start = ++s->at;
		} else if (*s->at == close && --depth == 0) {
			add(s, w, start, (size_t)(s->at - start));
			s->at++;
			return more(s);
		} else if (*s->at == open) {
			depth++;
		}
	}
	s->at = s->end;
	return BAD;
}

/* Skips blanks and comments; BAD: a comment that does not end. */
static enum step skip(struct scan *s)
{
	while (s->at < s->end) {
		struct word comment = no_word;

		if (text_is(*s->at, TEXT_SPACE) || *s->at == '\r' || *s->at == '\n') {
			s->at++;
			continue;
		}
		if (*s->at != '(')
			return MORE;
		s->comment = bytes_make(NULL, 0);
		if (take_quoted(s, &comment, '(', ')') == BAD)
			return BAD;
		s->comment = comment.text;
	}
	return END;
}

static enum step take_quoted_string(struct scan *s, struct word *w)
{
	enum step r = take_quoted(s, w, '"', '"');

	return r == BAD ? BAD : skip(s);
}

static enum step take_atom(struct scan *s, struct word *w, bool dots)
{
	const uint8_t *start = s->at;

	while (s->at < s->end && (is_atext(*s->at) || (dots && *s->at == '.')))
		s->at++;
	if (s->at == start && !dots)
		return BAD;
	add(s, w, start, (size_t)(s->at - start));
	return skip(s);
}

/* phrase with the dots of obs-phrase; may be empty. */
static enum step take_phrase(struct scan *s, struct word *w)
{
	if (s->at == s->end)
		return END;
	if (*s->at == '.')
		return BAD;
	for (;;) {
		enum step r = *s->at == '"' ? take_quoted_string(s, w) : take_atom(s, w, true);

		if (r != MORE)
			return r;
		if (!is_atext(*s->at) && *s->at != '"' && *s->at != '.')
			return MORE;
		add_byte(s, w, ' ');
	}
}

static enum step take_local(struct scan *s, struct word *w)
{
	enum step r = BAD;

	if (*s->at == '"')
		return take_quoted_string(s, w);
	do {
		while (*s->at == '.') { /* dots in a row and at the ends occur */
			add(s, w, s->at++, 1);
			if (s->at == s->end)
				return END;
			r = MORE;
		}
		if (*s->at == '@')
			break;
		r = take_atom(s, w, false);
	} while (r == MORE && *s->at == '.');
	return r;
}

static enum step take_domain_literal(struct scan *s, struct word *w)
{
	const uint8_t *start = s->at++;

	for (; s->at < s->end && *s->at != '['; s->at++) {
		if (*s->at == ']') {
			s->at++;
			add(s, w, start, (size_t)(s->at - start));
			return skip(s);
		}
		if (*s->at == '\\' && s->at + 1 < s->end)
			s->at++;
	}
	return BAD;
}

/* s->at is at the "@", which is not taken into the word. */
static enum step take_domain(struct scan *s, struct word *w)
{
	enum step r;

	s->at++;
	if (skip(s) != MORE)
		return BAD;
	if (*s->at == '[')
		return take_domain_literal(s, w);
	while ((r = take_atom(s, w, false)) == MORE && *s->at == '.') {
		add(s, w, s->at++, 1);
		if (skip(s) != MORE)
			return BAD;
	}
	return r;
}

/* "@a,@b:" up to the colon (obs-route). */
static enum step take_route(struct scan *s, struct word *w)
{
	while (s->at < s->end && *s->at == '@') {
		if (w->text.len)
			add_byte(s, w, ',');
		add_byte(s, w, '@');
		if (take_domain(s, w) != MORE)
			return BAD;
		while (skip(s) == MORE && *s->at == ',')
			s->at++;
	}
	return s->at < s->end && *s->at == ':' ? MORE : BAD;
}

/* s->at is at the "<". */
static enum step take_angle(struct scan *s, struct address *a)
{
	struct word local = no_word, host = no_word, route = no_word;

	s->at++;
	if (skip(s) != MORE)
		return BAD;
	if (*s->at == '@') {
		if (take_route(s, &route) == MORE) {
			s->at++;
			a->route = route.text;
		} else {
			a->route = bytes_of("INVALID_ROUTE");
		}
		if (skip(s) != MORE)
			return BAD;
	}
	if (*s->at != '>') {
		enum step r = take_local(s, &local);

		if (r != BAD)
			a->mailbox = local.text;
		if (r != MORE)
			return BAD;
		if (*s->at == '@') {
			if (take_domain(s, &host) != MORE)
				return BAD;
			a->host = host.text;
		}
	}
	if (*s->at != '>')
		return BAD;
	s->at++;
	return skip(s);
}

/* Something without angle brackets: local@domain, perhaps with the name in a
 * comment, or only a name. */
static void take_plain(struct scan *s, struct address *a)
{
	struct word local = no_word, host = no_word;
	bool quoted = *s->at == '"', at_sign = false;
	enum step r;

	s->comment = bytes_make(NULL, 0);
	r = take_local(s, &local);
	if (r != BAD)
		a->mailbox = local.text;
	if (r != END && s->at < s->end && *s->at == '@') {
		at_sign = true;
		if (take_domain(s, &host) != BAD)
			a->host = host.text;
	}
	if (s->comment.len) {
		a->name = s->comment;
	} else if (!at_sign) {
		/* One bare word is a mailbox, several are a name. */
		struct word rest = no_word;

		(void)take_phrase(s, &rest);
		if (rest.text.len) {
			if (local.text.len)
				add_byte(s, &local, ' ');
			add(s, &local, rest.text.data, rest.text.len);
		}
		if (rest.text.len || (quoted && a->mailbox.data)) {
			a->name = local.text;
			a->mailbox = bytes_make(NULL, 0);
		}
	}
}

/* A group's start (not within a group) or a mailbox. */
static void take_address(struct scan *s, bool in_group, struct address *a)
{
	const uint8_t *start = s->at;
	struct word name = no_word;
	enum step r = take_phrase(s, &name);

	if (r == MORE && *s->at == ':' && !in_group) {
		s->at++;
		a->kind = ADDRESS_GROUP;
		a->mailbox = name.text.data ? name.text : bytes_of("");
		return;
	}
	if (r == MORE && *s->at == '<') {
		if (name.text.len)
			a->name = name.text;
		if (take_angle(s, a) == BAD)
			a->host = bytes_of("SYNTAX_ERROR");
	} else {
		s->at = start;
		buf_reset(&s->scratch);
		take_plain(s, a);
	}
	if (a->mailbox.data == NULL)
		a->mailbox = bytes_of(ADDRESS_NO_MAILBOX);
	if (a->host.len == 0)
		a->host = bytes_of(ADDRESS_NO_HOST);
}

/* Behind an address: past its comma, or to the end when there is none, since
 * nobody can say where the next one would start. */
static void past_comma(struct scan *s, bool in_group)
{
	if (s->at < s->end && *s->at == ',')
		s->at++;
	else if (s->at < s->end && !(in_group && *s->at == ';'))
		s->at = s->end;
}

void address_begin(struct address_list *list, struct bytes value)
{
	*list = (struct address_list){ value, 0, 0, false };
}

static bool step_list(struct address_list *list, struct scan *s, struct address *a)
{
	enum step r;

	/* Empty elements are nothing: RFC 5322 section 4.4, obs-addr-list. */
	while ((r = skip(s)) == MORE && *s->at == ',')
		s->at++;
	if (list->count >= ADDRESS_MAX)
		r = END;
	if (r != MORE || (list->in_group && *s->at == ';')) {
		if (!list->in_group)
			return false;
		list->in_group = false;
		a->kind = ADDRESS_GROUP_END;
		if (r == MORE) {
			s->at++;
			(void)skip(s);
		}
		past_comma(s, false);
		return true;
	}
	take_address(s, list->in_group, a);
	if (a->kind == ADDRESS_GROUP)
		list->in_group = true;
	else
		past_comma(s, list->in_group);
	return true;
}

bool address_next(struct address_list *list, uint8_t *space, struct address *a)
{
	struct scan s = { .comment = { NULL, 0 } };
	bool found;

	if (list->value.data == NULL || list->at > list->value.len)
		return false;
	s.at = list->value.data + list->at;
	s.end = list->value.data + list->value.len;
	buf_init(&s.scratch, space, ADDRESS_SPACE);
	memset(a, 0, sizeof *a);
	found = step_list(list, &s, a);
	list->at = (uint32_t)(s.at - list->value.data);
	list->count = (uint16_t)(list->count + found);
	return found;
}
