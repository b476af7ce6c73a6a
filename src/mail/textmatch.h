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
/* Folds and searches one whole piece of UTF-8 text. */
bool textmatch_text(struct textmatch *m, struct bytes text);
/* The same for a raw, perhaps folded header value: encoded words decoded. */
bool textmatch_header(struct textmatch *m, struct bytes value);

/* A search through one stored message. */
struct body_search {
	struct textmatch *match;       /* the caller's, compiled */
	const struct summary *summary; /* the caller's, until the end */
	bool headers;                  /* TEXT: headers too; BODY: without the message header */
	uint8_t state;
	uint8_t html;                  /* inside a tag, a comment, an entity, script */
	uint8_t n_entity;
	bool text;                     /* the current part is searched */
	uint32_t pos;                  /* offset of the next byte expected */
	uint32_t edge;                 /* where the current range ends */
	summary_ref part;
	struct decoder decoder;
	struct charset_decoder charset;
	struct casemap casemap;
	uint8_t entity[16];
	uint16_t line_len;             /* header field held in `line` */
	uint8_t line[1024];
};

void body_search_begin(struct body_search *b, struct textmatch *match, const struct summary *summary, bool headers);
/* Takes the next bytes of the stored message, from its start. True when the
 * needle was found; the rest need not be pushed. */
bool body_search_push(struct body_search *b, struct bytes raw);
/* The message is over. */
bool body_search_end(struct body_search *b);

#endif
