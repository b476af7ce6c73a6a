/* The bytes of a summary, for the parser that writes them and the reader. All
 * numbers are little endian. A summary is a head and then one record a part, in
 * the order of the parts' first bytes: a part's first child stands right behind
 * it. A record is a fixed part and then its values, each one a tag, a length of
 * two bytes, and the bytes; a parameter's bytes are its name's length, its name
 * and its value. Only summary*.c include this file. */
#ifndef MAIL_SUMMARY_FORMAT_H
#define MAIL_SUMMARY_FORMAT_H

#include "base/le.h"
#include "mail/summary.h"

enum {
	HEAD_VERSION = 0, /* 1 byte */
	HEAD_FLAGS = 1,   /* 1: SUMMARY_HAS_DATE and its kin */
	HEAD_LEN = 2,     /* 2: bytes of the summary */
	HEAD_SIZE = 4,    /* 4: bytes of the message */
	HEAD_LINES = 8,   /* 4: line ends in it */
	HEAD_SENT = 12,   /* 8: seconds since 1970 UTC, signed */
	HEAD_ZONE = 20,   /* 2: minutes east, signed */
	HEAD_PARTS = 22,  /* 2: records that follow */
	HEAD_RESERVED = 24, /* 4: zero */
	HEAD_END = 28,

	PART_KIND = 0,    /* 1: enum summary_kind */
	PART_FLAGS = 1,   /* 1: PART_IS_ below */
	PART_VALUES = 2,  /* 2: bytes of the values behind the fixed part */
	PART_PARENT = 4,  /* 2: offset of its record in the summary, 0: none */
	PART_NEXT = 6,    /* 2: of the next sibling's */
	PART_CHILD = 8,   /* 2: of the first child's */
	PART_HEADER = 10, /* 4: offset of the header in the message */
	PART_HEADER_LEN = 14, /* 4 */
	PART_HEADER_LINES = 18, /* 4 */
	PART_BODY_LEN = 22, /* 4 */
	PART_BODY_LINES = 26, /* 4 */
	PART_END = 30,

	PART_IS_MESSAGE = 1,
	PART_IS_DIGEST_CHILD = 2,

	VALUE_HEAD = 3,   /* tag and length */
	/* Tags: enum summary_field, and these for parameters. */
	TAG_TYPE_PARAM = 32,
	TAG_DISPOSITION_PARAM = 33
};

/* Cuts the next value off the values in data[*at..end): false at the end, or
 * when what stands there does not fit. */
static inline bool value_next(const uint8_t *data, size_t *at, size_t end, uint8_t *tag, struct bytes *value)
{
	size_t len;

	if (end - *at < VALUE_HEAD)
		return false;
	len = le16(data + *at + 1);
	if (len > end - *at - VALUE_HEAD)
		return false;
	*tag = data[*at];
	*value = bytes_make(data + *at + VALUE_HEAD, len);
	*at += VALUE_HEAD + len;
	return true;
}

/* ------------------------------------------------- the parser's header half */

/* p->field when no kept field is being read, and before the first line. */
enum { FIELD_NONE = 0xFF, FIELD_START = 0xFE, FIELD_MIME_VERSION = 0xFD };

/* A field whose name stands in p->line begins. */
void summary_field_begin(struct summary_parser *p);
/* More of its value, without line ends. */
void summary_field_put(struct summary_parser *p, const uint8_t *data, size_t len);
void summary_field_end(struct summary_parser *p);
/* The header is over: what does not count is dropped from the record. */
void summary_header_end(struct summary_parser *p);
/* A value of the record on top of the stack; {NULL, 0} when absent. */
struct bytes summary_top_value(const struct summary_parser *p, uint8_t tag);
/* Its Content-Type parameter `boundary`, as it stands in the output. */
struct bytes summary_top_boundary(const struct summary_parser *p);

#endif
