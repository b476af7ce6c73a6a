#include "imap/search_read.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "imap/reply.h"
#include "imap/server.h"
#include "mail/date.h"

/* ---- in front of the keys ---- */

static bool read_returns(struct parse *p, struct search_unit *u)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} options[] = {
		{"MIN", SEARCH_RETURN_MIN},
		{"MAX", SEARCH_RETURN_MAX},
		{"ALL", SEARCH_RETURN_ALL},
		{"COUNT", SEARCH_RETURN_COUNT},
	};

	u->extended = true;
	if (!parse_space(p) || !parse_char(p, '('))
		return false;
	parse_space(p);
	while (!parse_char(p, ')')) {
		size_t i = 0;

		while (i < 4 && !parse_keyword(p, options[i].name))
			i++;
		if (i == 4)
			return false;
		u->returns |= options[i].bit;
		parse_space(p);
	}
	/* RFC 4731 section 3.1 */
	if (!u->returns)
		u->returns = SEARCH_RETURN_ALL;
	return parse_space(p);
}

/* Names as clients write them; both are subsets of what is matched. */
static bool known_charset(struct bytes name)
{
	return bytes_is(name, "UTF-8") || bytes_is(name, "UTF8") || bytes_is(name, "US-ASCII") ||
		bytes_is(name, "ASCII");
}

bool search_read_options(struct session *s, struct parse *p, struct search_unit *u)
{
	uint8_t space[64];
	struct buf scratch;
	struct bytes charset;

	if (!parse_space(p)) {
		session_bad(s, "SEARCH needs keys");
		return false;
	}
	if (parse_keyword(p, "RETURN") && !read_returns(p, u)) {
		session_bad(s, "RETURN takes MIN, MAX, COUNT and ALL");
		return false;
	}
	if (!parse_keyword(p, "CHARSET"))
		return true;
	buf_init(&scratch, space, sizeof(space));
	if (!parse_space(p) || !parse_astring(p, &scratch, &charset) || !parse_space(p)) {
		session_bad(s, "CHARSET takes a name");
		return false;
	}
	if (!known_charset(charset)) {
		session_no(s, "[BADCHARSET (US-ASCII UTF-8)] Strings are taken in UTF-8");
		return false;
	}
	return true;
}

/* ---- keys ---- */

enum argument { ARG_NONE, ARG_TEXT, ARG_KEYWORD, ARG_DAY, ARG_NUMBER, ARG_MODSEQ, ARG_HEADER, ARG_UID, ARG_ID };

static const struct key {
	const char *name;
	enum search_key key;
	enum argument argument;
} keys[] = {
	{"ALL", SEARCH_ALL, ARG_NONE},
	{"ANSWERED", SEARCH_ANSWERED, ARG_NONE},
	{"DELETED", SEARCH_DELETED, ARG_NONE},
	{"DRAFT", SEARCH_DRAFT, ARG_NONE},
	{"FLAGGED", SEARCH_FLAGGED, ARG_NONE},
	{"SEEN", SEARCH_SEEN, ARG_NONE},
	{"UNANSWERED", SEARCH_UNANSWERED, ARG_NONE},
	{"UNDELETED", SEARCH_UNDELETED, ARG_NONE},
	{"UNDRAFT", SEARCH_UNDRAFT, ARG_NONE},
	{"UNFLAGGED", SEARCH_UNFLAGGED, ARG_NONE},
	{"UNSEEN", SEARCH_UNSEEN, ARG_NONE},
	{"NEW", SEARCH_NEW, ARG_NONE},
	{"OLD", SEARCH_OLD, ARG_NONE},
	{"RECENT", SEARCH_RECENT, ARG_NONE},
	{"SAVEDATESUPPORTED", SEARCH_SAVEDATESUPPORTED, ARG_NONE},
	{"BCC", SEARCH_BCC, ARG_TEXT},
	{"BODY", SEARCH_BODY, ARG_TEXT},
	{"CC", SEARCH_CC, ARG_TEXT},
	{"FROM", SEARCH_FROM, ARG_TEXT},
	{"SUBJECT", SEARCH_SUBJECT, ARG_TEXT},
	{"TEXT", SEARCH_TEXT, ARG_TEXT},
	{"TO", SEARCH_TO, ARG_TEXT},
	{"KEYWORD", SEARCH_KEYWORD, ARG_KEYWORD},
	{"UNKEYWORD", SEARCH_UNKEYWORD, ARG_KEYWORD},
	{"BEFORE", SEARCH_BEFORE, ARG_DAY},
	{"ON", SEARCH_ON, ARG_DAY},
	{"SINCE", SEARCH_SINCE, ARG_DAY},
	{"SENTBEFORE", SEARCH_SENTBEFORE, ARG_DAY},
	{"SENTON", SEARCH_SENTON, ARG_DAY},
	{"SENTSINCE", SEARCH_SENTSINCE, ARG_DAY},
	{"SAVEDBEFORE", SEARCH_SAVEDBEFORE, ARG_DAY},
	{"SAVEDON", SEARCH_SAVEDON, ARG_DAY},
	{"SAVEDSINCE", SEARCH_SAVEDSINCE, ARG_DAY},
	{"LARGER", SEARCH_LARGER, ARG_NUMBER},
	{"SMALLER", SEARCH_SMALLER, ARG_NUMBER},
	{"YOUNGER", SEARCH_YOUNGER, ARG_NUMBER},
	{"OLDER", SEARCH_OLDER, ARG_NUMBER},
	{"MODSEQ", SEARCH_MODSEQ, ARG_MODSEQ},
	{"HEADER", SEARCH_HEADER, ARG_HEADER},
	{"UID", SEARCH_SET, ARG_UID},
	{"EMAILID", SEARCH_EMAILID, ARG_ID},
	{"THREADID", SEARCH_THREADID, ARG_ID},
};

static bool read_string(struct parse *p, struct search_unit *u, struct bytes *out)
{
	struct buf scratch = { u->strings, u->strings_used, SEARCH_STRINGS, false };
	bool fine = parse_astring(p, &scratch, out);

	u->strings_used = (uint16_t)scratch.len;
	return fine;
}

static int read_day(struct parse *p, struct search_unit *u, enum search_key key)
{
	struct bytes text;
	int64_t day;

	if (!read_string(p, u, &text) || date_parse_imap_day(text, &day) != OK)
		return E_SYNTAX;
	return search_day(u->search, key, day);
}

/* search-modsequence of RFC 7162: a flag and "shared", "priv" or "all" may stand
 * before the number. A message has one MODSEQ for all of its flags. */
static bool read_modseq_entry(struct parse *p, struct search_unit *u)
{
	struct bytes entry;

	return read_string(p, u, &entry) && bytes_starts_nocase(entry, "/flags/") && parse_space(p) &&
		(parse_keyword(p, "all") || parse_keyword(p, "shared") || parse_keyword(p, "priv")) && parse_space(p);
}

static int read_modseq(struct parse *p, struct search_unit *u)
{
	uint64_t n;

	if (parse_peek(p) == '"' && !read_modseq_entry(p, u))
		return E_SYNTAX;
	if (!parse_number(p, INT64_MAX, &n))
		return E_SYNTAX;
	return search_number(u->search, SEARCH_MODSEQ, n);
}

static int read_header(struct parse *p, struct search_unit *u)
{
	struct bytes field, text;

	if (!read_string(p, u, &field) || !parse_space(p) || !read_string(p, u, &text))
		return E_SYNTAX;
	return search_header(u->search, field, text);
}

static int read_set(struct parse *p, struct search_unit *u, bool uids)
{
	struct view_set set;
	struct bytes text;

	if (!parse_set(p, &text) || view_set_parse(text, uids, &set) != OK)
		return E_SYNTAX;
	return search_set(u->search, set);
}

static int read_argument(struct session *s, struct parse *p, struct search_unit *u, const struct key *k)
{
	struct bytes text;
	uint64_t n;

	if (k->argument == ARG_NONE)
		return search_key(u->search, k->key);
	if (!parse_space(p))
		return E_SYNTAX;
	switch (k->argument) {
	case ARG_TEXT:
		return read_string(p, u, &text) ? search_text(u->search, k->key, text) : E_SYNTAX;
	case ARG_KEYWORD:
		return parse_atom(p, &text) ? search_text(u->search, k->key, text) : E_SYNTAX;
	case ARG_DAY:
		return read_day(p, u, k->key);
	case ARG_NUMBER:
		return parse_number(p, UINT32_MAX, &n) ? search_number(u->search, k->key, n) : E_SYNTAX;
	case ARG_MODSEQ:
		return read_modseq(p, u);
	case ARG_HEADER:
		return read_header(p, u);
	case ARG_UID:
		return read_set(p, u, true);
	default:
		if (!parse_atom(p, &text))
			return E_SYNTAX;
		return search_number(u->search, k->key, reply_email_id_read(s->server->parts.store, text));
	}
}

/* One key, operator or bracket. */
static int read_key(struct session *s, struct parse *p, struct search_unit *u, unsigned *depth)
{
	uint8_t c = parse_peek(p);
	struct bytes word;

	if (c == '(') {
		p->at++;
		return ++*depth > SEARCH_DEPTH ? E_LIMIT : search_list(u->search);
	}
	if (c == ')') {
		p->at++;
		return (*depth)-- == 0 ? E_SYNTAX : search_list_end(u->search);
	}
	if (c == '*' || text_is(c, TEXT_DIGIT))
		return read_set(p, u, false);
	if (!parse_word(p, &word))
		return E_SYNTAX;
	if (bytes_is(word, "NOT"))
		return search_not(u->search);
	if (bytes_is(word, "OR"))
		return search_or(u->search);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (bytes_is(word, keys[i].name))
			return read_argument(s, p, u, &keys[i]);
	return E_SYNTAX;
}

static int failed(struct session *s, int err)
{
	switch (err) {
	case E_NOMEM:
		return E_NOMEM;
	case E_LIMIT:
		session_no(s, "[LIMIT] This search is too long or too deep");
		break;
	case E_RANGE:
		session_bad(s, "A number in SEARCH is out of range");
		break;
	case E_SYNTAX:
		session_bad(s, "SEARCH does not understand these keys, or a string is not UTF-8");
		break;
	default:
		session_error(s, err);
		break;
	}
	return E_STATE;
}

int search_read_keys(struct session *s, struct parse *p, struct search_unit *u)
{
	unsigned depth = 0;
	int err;

	do {
		err = read_key(s, p, u, &depth);
		if (err != OK)
			return failed(s, err);
		/* brackets may touch what is inside and beside them */
		while (parse_peek(p) == ')') {
			err = read_key(s, p, u, &depth);
			if (err != OK)
				return failed(s, err);
		}
	} while ((parse_space(p) && p->at < p->text.len) || (p->at && p->text.data[p->at - 1] == '(') ||
		parse_peek(p) == '(');
	err = parse_end(p) && depth == 0 ? search_ready(u->search) : E_SYNTAX;
	return err == OK ? OK : failed(s, err);
}
