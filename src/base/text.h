/* ASCII text without locale: one table of character classes for every parser,
 * numbers, and the wire forms of small things. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/bytes.h"

enum text_class {
	TEXT_DIGIT = 1,
	TEXT_ALPHA = 2,
	TEXT_SPACE = 4, /* space and tab only */
	TEXT_CTL = 8,   /* 0-31 and 127 */
	TEXT_HEX = 16,
	TEXT_IMAP_ATOM = 32,  /* ATOM-CHAR of RFC 3501 section 9 */
	TEXT_MIME_TOKEN = 64, /* token of RFC 2045 section 5.1 */
	TEXT_8BIT = 128
};

extern const uint8_t text_classes[256];

static inline bool text_is(uint8_t c, unsigned classes)
{
	return (text_classes[c] & classes) != 0;
}

static inline uint8_t text_lower(uint8_t c)
{
	return (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static inline uint8_t text_upper(uint8_t c)
{
	return (uint8_t)(c >= 'a' && c <= 'z' ? c - 32 : c);
}

/* Value of a hexadecimal digit, or -1. */
int text_hex(uint8_t c);

/* The decimal number that is the whole of b: E_SYNTAX when empty or not all
 * digits, E_RANGE when over max (leading zeros do not matter). */
int text_number(struct bytes b, uint64_t max, uint64_t *value);

/* Trims spaces and tabs (CR and LF too) from both ends. */
struct bytes text_trim(struct bytes b);

/* Cuts the next run of non-blank bytes off *rest; empty at the end. */
struct bytes text_word(struct bytes *rest);

/* "4M" and its kin: digits, then nothing, K, M or G (powers of 1024). */
int text_size(struct bytes b, uint64_t *bytes_out);
/* "30d" and its kin: digits, then nothing or s, m, h, d. */
int text_duration(struct bytes b, uint64_t *seconds);

/* True when b is well-formed UTF-8 (RFC 3629: no surrogates, no overlong). */
bool text_utf8_valid(struct bytes b);
/* Decodes one code point at the start of b: its length in bytes (1-4), or 0
 * when b is empty or not well-formed there. */
size_t text_utf8_decode(struct bytes b, uint32_t *code);
/* Encodes code (at most 0x10FFFF, no surrogate) into out[4]; length 1-4. */
size_t text_utf8_encode(uint32_t code, uint8_t out[4]);

#endif
