/* Substring search over text that comes in pieces, and the search of a whole
 * stored message as SEARCH BODY and TEXT want it (RFC 3501 section 6.4.4):
 * transfer encodings, charsets and encoded words decoded, compared under
 * i;unicode-casemap. Matches across any border of pieces are found. */
#ifndef MAIL_TEXTMATCH_H
#define MAIL_TEXTMATCH_H

#include "base/bytes.h"
#include "mail/casemap.h"
#include "mail/charset.h"
#include "mail/decode.h"
#include "mail/html.h"
#include "mail/summary.h"

/* Bytes of a folded search string. A longer one is refused: NO [LIMIT]. */
#define TEXTMATCH_NEEDLE_MAX 256

struct textmatch {
	uint16_t len;
	uint16_t at;    /* bytes of the needle matched so far */
	bool found;
	uint8_t needle[TEXTMATCH_NEEDLE_MAX];
	uint16_t next[TEXTMATCH_NEEDLE_MAX + 1]; /* Knuth-Morris-Pratt */
};

/* Compiles a UTF-8 string (folds it). E_LIMIT: too long. E_SYNTAX: not UTF-8.
 * An empty needle is found in everything. */
int textmatch_compile(struct textmatch *m, struct bytes needle);
/* Forgets what was matched so far; the needle stays. */
void textmatch_reset(struct textmatch *m);
/* Takes folded text. True as soon as the needle was found. */
bool textmatch_push(struct textmatch *m, struct bytes folded);
/* Folds and searches one piece of UTF-8 text by itself. */
bool textmatch_text(struct textmatch *m, struct bytes text);
/* The same for a raw, perhaps folded header value: encoded words decoded. */
bool textmatch_header(struct textmatch *m, struct bytes value);
/* A value that goes on where the one before ended, so that the needle may lie
 * across. Cut it at a blank, else an encoded word there is not understood. */
bool textmatch_header_more(struct textmatch *m, struct bytes value);
/* A parameter's value of RFC 2231, charset'language'text. */
bool textmatch_extended(struct textmatch *m, struct bytes value);

/* Bytes of a header field that are decoded at once; a longer one is decoded in
 * pieces that are cut at blanks. */
#define BODY_SEARCH_FIELD 1024

/* A search through one stored message. TEXT looks at all headers and all text
 * parts; BODY leaves out the message's own header and the MIME headers, but not
 * the headers of messages inside. HTML is searched by its text. */
struct body_search {
	struct textmatch *match;       /* the caller's, compiled */
	const struct summary *summary; /* the caller's, until the end */
	bool headers;                  /* TEXT: all headers too */
	uint8_t state;
	bool html;                     /* the part being read is HTML */
	bool blank_line;               /* header: at the start of a line */
	uint32_t pos;                  /* offset of the next byte pushed */
	uint32_t start, edge;          /* the range being read */
	summary_ref part;
	uint16_t line_len;             /* bytes of a header field in `line` */
	struct decoder decoder;
	struct charset_decoder charset;
	struct casemap casemap;
	struct html_text text;
	uint8_t line[BODY_SEARCH_FIELD];
};

void body_search_begin(struct body_search *b, struct textmatch *match, const struct summary *summary, bool headers);
/* Takes the next bytes of the stored message, from its start. True when the
 * needle was found; the rest need not be pushed. */
bool body_search_push(struct body_search *b, struct bytes raw);
/* The offset of the next byte that matters, LIMIT_MESSAGE when none does: what
 * stands before it need not be read. */
uint32_t body_search_wants(const struct body_search *b);
/* The next byte pushed is that at `offset`, at most what body_search_wants said. */
void body_search_seek(struct body_search *b, uint32_t offset);
/* The message is over. */
bool body_search_end(struct body_search *b);

#endif
