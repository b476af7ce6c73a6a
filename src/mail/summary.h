/* What is read once from a message at its arrival. A push parser takes the
 * bytes as they come and writes a compact summary that the store keeps beside
 * the message; a reader answers ENVELOPE, BODYSTRUCTURE, sections, SORT and
 * THREAD from it without touching the message again.
 *
 * The summary is a tree of MIME parts (RFC 2045, 2046). Every message, the
 * outer one and each one inside a message/rfc822 part, is a part of its own:
 * a message/rfc822 part has exactly one child, and that child's header is the
 * inner message's header. The envelope of such a part is its child's.
 *
 * All offsets and lengths are bytes of the message as stored. Line ends are
 * CRLF or a bare LF, also mixed; a lone CR is an ordinary byte. */
#ifndef MAIL_SUMMARY_H
#define MAIL_SUMMARY_H

#include "base/bytes.h"
#include "base/limits.h"

/* First byte of every summary. A reader that does not know it says E_NOTSUP,
 * and the message has to be read again. */
#define SUMMARY_VERSION 1

/* Levels of parts inside parts. What is nested deeper is an opaque body of the
 * part at this level. Bounds the parser's stack and every walk of the tree. */
#define SUMMARY_DEPTH_MAX 50

/* Parts of one message, the message itself included. What follows is opaque
 * body of the enclosing part. Bounds the boundary checks of a hostile message. */
#define SUMMARY_PARTS_MAX 1000

/* Bytes kept of one header field's value. Longer lists of addresses end with
 * the last address that fits; SUMMARY_CUT is set. */
#define SUMMARY_VALUE_MAX 8192

/* Bytes looked at of one Content-Type, Content-Disposition or
 * Content-Transfer-Encoding field. Later parameters are dropped; SUMMARY_CUT is
 * set. At most MIME_PARAMS_MAX parameters of each are kept. */
#define SUMMARY_MIME_VALUE_MAX 3072

/* How often a field may come again in one header and still be taken into
 * account; beyond it SUMMARY_CUT is set. Bounds the joining. */
#define SUMMARY_REPEATS_MAX 16

/* A part is opaque when the summary has less room than this left, bytes. A
 * value never takes more than half of what is left, so that a long envelope
 * can't make the parts of its message unreachable. */
#define SUMMARY_ROOM_MIN 512

/* Bytes of a boundary that are compared; RFC 2046 section 5.1.1 allows 70. */
#define SUMMARY_BOUNDARY_MAX 80

/* Flags of a whole summary. */
enum {
	SUMMARY_HAS_DATE = 1,  /* the Date field could be read: sent and zone hold */
	SUMMARY_CUT = 2,       /* a value or a list of parameters was too long to keep whole */
	SUMMARY_OPAQUE = 4,    /* deeper or later parts than the limits allow were left opaque */
	SUMMARY_HAS_NUL = 8,   /* NUL bytes in the message: sent as 0x80 outside BINARY */
	SUMMARY_BARE_LF = 16,  /* at least one line ends with LF alone */
	SUMMARY_8BIT = 32      /* bytes above 127 somewhere in the message */
};

/* Header values that are kept. Those up to REFERENCES belong to the header of
 * a message; the others to any part's MIME header. A field that is absent is
 * {NULL, 0}; one that is there but empty has data and len 0. When a header has
 * the same field several times, addresses are joined with ", ", of the other
 * envelope fields the last one counts, of all others the first. */
enum summary_field {
	SUMMARY_DATE, /* raw values: unfolded, trimmed, otherwise as they came */
	SUMMARY_SUBJECT,
	SUMMARY_FROM,
	SUMMARY_SENDER,
	SUMMARY_REPLY_TO,
	SUMMARY_TO,
	SUMMARY_CC,
	SUMMARY_BCC,
	SUMMARY_IN_REPLY_TO,
	SUMMARY_MESSAGE_ID,
	SUMMARY_REFERENCES,
	SUMMARY_TYPE,        /* of Content-Type; absent when the field is missing or makes no sense */
	SUMMARY_SUBTYPE,
	SUMMARY_ID,          /* Content-ID, raw */
	SUMMARY_DESCRIPTION, /* Content-Description, raw */
	SUMMARY_ENCODING,    /* Content-Transfer-Encoding; absent when it is not a single word */
	SUMMARY_MD5,
	SUMMARY_DISPOSITION, /* its word only */
	SUMMARY_LANGUAGE,    /* raw */
	SUMMARY_LOCATION,    /* raw */
	SUMMARY_FIELDS
};

/* ------------------------------------------------------------------ parser */

/* An open part, from the message down to the part being read. */
struct summary_level {
	uint16_t part;         /* its record's offset in the output */
	uint16_t last_child;   /* offset of its last child, 0 for none */
	uint16_t boundary;     /* offset of the boundary in the output */
	uint16_t boundary_len; /* 0: nothing splits its body */
};

/* All of the parser's memory besides the output. Fixed size; nothing to free. */
struct summary_parser {
	uint8_t *out;
	uint32_t cap, len;
	uint32_t pos;          /* bytes taken so far */
	uint32_t lines;        /* line ends seen so far */
	uint32_t line_start;   /* offset of the current line */
	uint8_t eol;           /* length of the line end before it: 0, 1 or 2 */
	uint8_t state;
	uint8_t flags;         /* of the summary */
	uint8_t repeats;       /* in this header */
	bool cr;               /* the byte before pos is CR */
	bool cr_waits;         /* and is part of a value unless LF follows */
	bool in_header;        /* of the part on top of the stack */
	bool mime;             /* the header has a MIME-Version or a Content-Type */
	bool cut;              /* the value did not fit */
	bool splits;           /* some open part has a boundary */
	uint8_t field;         /* the field being read */
	uint8_t depth;         /* levels in use; 1 is the message itself */
	uint16_t parts;
	uint16_t value;        /* offset of the value that grows in the output */
	uint16_t limit;        /* bytes it may have */
	uint16_t line_len;     /* bytes in `line` */
	uint32_t seen;         /* fields of this header, one bit each */
	struct summary_level level[SUMMARY_DEPTH_MAX];
	/* The start of a line while nobody knows what it is, or a MIME value. */
	uint8_t line[SUMMARY_MIME_VALUE_MAX];
};

/* Starts a message. `out` is space for the summary, `cap` its bytes (at least
 * 1024; more than LIMIT_SUMMARY is not used); both must stay until the end. */
void summary_begin(struct summary_parser *p, void *out, size_t cap);
/* Takes the next bytes. How a message is cut into pieces never changes the
 * result. Time is linear in len; only lines that start with two hyphens cost
 * as many comparisons as parts are open. What is beyond LIMIT_MESSAGE bytes in
 * all is ignored. */
void summary_push(struct summary_parser *p, const void *data, size_t len);
/* Ends the message and returns the summary within `out`. It always succeeds:
 * what could not be understood is plain text or opaque. */
struct bytes summary_end(struct summary_parser *p);

/* ------------------------------------------------------------------ reader */

/* An opened summary. The bytes belong to the caller and must stay in place. */
struct summary {
	const uint8_t *data;
	uint32_t len;
	uint32_t size;    /* of the message in bytes */
	uint32_t lines;   /* line ends in the message */
	int64_t sent;     /* Date field: seconds since 1970 UTC, if SUMMARY_HAS_DATE */
	int16_t zone;     /* its zone, minutes east of UTC */
	uint16_t parts;
	uint8_t flags;
};

/* A handle of a part, good for one summary: 0 is "no such part". */
typedef uint16_t summary_ref;

enum summary_kind {
	SUMMARY_LEAF,      /* neither of the others, its body is opaque; a multipart or message/rfc822 that was
	                    * not taken apart (too deep, or base64) is one as well */
	SUMMARY_TEXT,      /* text of any subtype */
	SUMMARY_MULTIPART, /* has children, perhaps none */
	SUMMARY_MESSAGE    /* message/rfc822 with one child */
};

struct summary_part {
	summary_ref ref, parent, child, next; /* child: the first one; next: the next sibling */
	enum summary_kind kind;
	bool message;            /* a whole message: its header may hold an envelope */
	bool digest;             /* child of multipart/digest: default type message/rfc822 */
	uint32_t header_offset;  /* of its MIME header (of a message: the message header) */
	uint32_t header_len;     /* with the blank line that ends it */
	uint32_t body_offset;    /* header_offset + header_len */
	uint32_t body_len;
	uint32_t body_lines;     /* line ends inside the body */
	uint32_t header_lines;
	struct bytes fields;     /* for summary_values and summary_param */
};

/* Opens untrusted bytes: checks version and every offset and length once, after
 * which no accessor can leave the bytes. E_NOTSUP: unknown version. E_DAMAGED:
 * anything else is wrong. Cost: one pass over records, not over strings. */
int summary_open(struct summary *s, struct bytes data);

/* The outer message; always there. */
summary_ref summary_root(const struct summary *s);
/* Fills *part. ref must come from this summary (asserted). */
void summary_part(const struct summary *s, summary_ref ref, struct summary_part *part);
/* All kept values of a part in one pass. */
void summary_values(const struct summary_part *part, struct bytes values[SUMMARY_FIELDS]);
struct bytes summary_value(const struct summary_part *part, enum summary_field field);

/* Parameters of Content-Type (SUMMARY_TYPE) and Content-Disposition
 * (SUMMARY_DISPOSITION) in their order. RFC 2231 pieces (name*0, name*1) are
 * joined; a value that says its charset keeps the name with a star at its end
 * and the raw charset'language'text, as clients expect in BODYSTRUCTURE. */
struct summary_params {
	struct bytes rest;
	uint8_t tag;
};
void summary_params(const struct summary_part *part, enum summary_field of, struct summary_params *it);
bool summary_params_next(struct summary_params *it, struct bytes *name, struct bytes *value);
/* The value of one parameter, e.g. "charset"; {NULL, 0} when absent. */
struct bytes summary_param(const struct summary_part *part, enum summary_field of, const char *name);

/* Bytes of the stored message. */
struct summary_range {
	uint32_t offset, len;
};

/* The parts of a section of RFC 3501 section 6.4.5. */
enum summary_section {
	SUMMARY_WHOLE,  /* BODY[] with an empty path, BODY[n] else: the part's body */
	SUMMARY_HEADER, /* BODY[HEADER], BODY[n.HEADER]: only of a message */
	SUMMARY_BODY,   /* BODY[TEXT], BODY[n.TEXT]: only of a message */
	SUMMARY_MIME    /* BODY[n.MIME]: not with an empty path */
};

/* The part that path names (counted from 1, `levels` numbers); an empty path is
 * the outer message. A single part inside a multipart is its own part 1 too, as
 * other servers have it. E_NOENT: there is none. */
int summary_find(const struct summary *s, const uint32_t *path, size_t levels, summary_ref *ref);
/* The bytes of a section. E_NOENT: no such part, or not one that has this. */
int summary_section(const struct summary *s, const uint32_t *path, size_t levels, enum summary_section section,
	struct summary_range *range);

#endif
