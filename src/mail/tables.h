/* The tables that tools/mktables.py makes, and how they are read. */
#ifndef MAIL_TABLES_H
#define MAIL_TABLES_H

#include <stdint.h>

/* Bytes 0x80-0xFF of the charsets with one byte a character, in the order of
 * mktables.py; U+FFFD where there is nothing. */
#define TABLE_CHARSETS 27
extern const uint16_t table_charset[TABLE_CHARSETS][128];

/* JIS X 0208 with the extensions of cp932: row 1-120 and cell 1-94. The row's
 * number in table_jis plus 1, or 0 when it is empty; 0 in a cell: nothing. */
#define TABLE_JIS_ROWS 87
extern const uint8_t table_jis_row[121];
extern const uint16_t table_jis[TABLE_JIS_ROWS][94];

/* Code points first, first + stride ... last of a plane become to, to + stride
 * ... of plane `plane`. Sorted; one table for plane 0 and one for plane 1. */
struct table_run {
	uint16_t first, last, to;
	uint8_t stride, plane;
};

/* Characters to their title case (simple mappings). */
extern const struct table_run table_title_0[], table_title_1[];
extern const uint16_t table_title_0_len, table_title_1_len;
/* Title-cased characters to their decomposition where it is one character and
 * its neighbours have neighbours. */
extern const struct table_run table_fold_0[], table_fold_1[];
extern const uint16_t table_fold_0_len, table_fold_1_len;

/* All other decompositions: blocks of 16 code points (code / 16), a bit for each
 * one that has a string, and where the first one's string starts. Of a string
 * in the stream, a byte below 0x20 says how many characters follow (1 without
 * it); a character is one of the frequent ones (0x20 up to 0xC1) or UTF-8. */
struct table_block {
	uint16_t block, bits, at;
};
extern const struct table_block table_block[];
extern const uint16_t table_block_len;
extern const uint16_t table_frequent[];
extern const uint8_t table_stream[];

#endif
