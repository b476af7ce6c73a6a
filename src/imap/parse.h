/* The grammar of RFC 3501 section 9 over one collected command. Literals stand
 * in place in the text, as they came. Nothing here recurses or allocates;
 * slices that come out point into the text or into the caller's scratch. */
#ifndef IMAP_PARSE_H
#define IMAP_PARSE_H

#include "base/bytes.h"
#include "base/limits.h"

/* Bytes of a tag. Real clients send up to 36 (a UUID); a longer one is answered
 * by an untagged BAD. */
#define IMAP_TAG_MAX 64

/* Keywords in one flag list: more than a mailbox may have is an error anyway. */
#define IMAP_FLAGS_MAX LIMIT_KEYWORDS

struct parse {
	struct bytes text;
	size_t at;
};

struct parse parse_begin(struct bytes text);
/* The next byte, 0 at the end (NUL is no byte of any grammar here). */
uint8_t parse_peek(const struct parse *p);
bool parse_char(struct parse *p, uint8_t c);
/* One space; more than one is taken too, as some clients send them. */
bool parse_space(struct parse *p);
/* Only blanks are left. */
bool parse_end(struct parse *p);

bool parse_tag(struct parse *p, struct bytes *tag);
/* 1*ATOM-CHAR. */
bool parse_atom(struct parse *p, struct bytes *out);
/* Letters, digits, '.', '-', '=', '+', '/', ':', '_': names of commands, items, options. */
bool parse_word(struct parse *p, struct bytes *out);
/* The next word if it is `word` (any case), else nothing is taken. */
bool parse_keyword(struct parse *p, const char *word);
/* Quoted string or literal. Escapes are taken out into scratch, which must have
 * room (false when not); without escapes scratch is not touched. NUL is refused. */
bool parse_string(struct parse *p, struct buf *scratch, struct bytes *out);
bool parse_astring(struct parse *p, struct buf *scratch, struct bytes *out);
/* NIL gives {NULL, 0}. */
bool parse_nstring(struct parse *p, struct buf *scratch, struct bytes *out);
/* list-mailbox: list-char (with * and %) or string. */
bool parse_list_mailbox(struct parse *p, struct buf *scratch, struct bytes *out);

bool parse_number(struct parse *p, uint64_t max, uint64_t *out);
/* The characters of a sequence-set, not yet judged. */
bool parse_set(struct parse *p, struct bytes *out);

/* A flag list, or with `bare` also flags without parentheses (STORE). */
struct parse_flags {
	uint8_t flags;  /* STORE_SEEN... */
	bool unknown;   /* a flag with a backslash that is not RFC 3501's was there */
	uint16_t n;     /* keywords */
	struct bytes keywords[IMAP_FLAGS_MAX];
};
/* False on a syntax error or too many keywords. \Recent is passed over. */
bool parse_flag_list(struct parse *p, bool bare, struct parse_flags *out);

/* Mailbox name: an astring in modified UTF-7 that becomes UTF-8 in name[cap],
 * INBOX in its one spelling, one separator at the end taken off. OK; E_SYNTAX:
 * not an astring (BAD); E_RANGE: not a name that can be (NO [CANNOT]); E_LIMIT:
 * too long. */
int parse_mailbox(struct parse *p, struct buf *name);
/* The same for a name that was cut out already. */
int mailbox_name(struct bytes wire, struct buf *name);

/* A literal's announcement at the end of a line: "{12}", "{12+}", "~{12}".
 * `line` has no line end. False when there is none. */
struct literal_mark {
	size_t at;      /* offset of its '{' (or '~') in the line */
	uint64_t len;   /* UINT64_MAX when the number is beyond any bound */
	bool sync;
	bool binary;    /* '~' */
};
bool literal_mark(struct bytes line, struct literal_mark *out);

#endif
