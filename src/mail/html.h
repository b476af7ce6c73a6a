/* The text of HTML in pieces: tags, comments, scripts and styles go, character
 * references become characters. For searching and previews, not for display. */
#ifndef MAIL_HTML_H
#define MAIL_HTML_H

#include "base/bytes.h"

/* Bytes of the longest name of a tag or reference that is known. */
#define HTML_NAME_MAX 12

struct html_text {
	uint8_t state;
	bool hidden;  /* inside script, style or the like */
	uint8_t len;  /* bytes of `name`, one more when it is too long */
	uint8_t name[HTML_NAME_MAX];
};

void html_begin(struct html_text *h);
/* Takes UTF-8 and appends the text; returns the bytes taken, less than all only
 * when `out` has fewer than HTML_ROOM bytes left. How the input is cut never
 * changes the output. Tags that break lines or cells leave a blank. */
#define HTML_ROOM 16
size_t html_push(struct html_text *h, struct bytes in, struct buf *out);
/* A reference that was open is written as it stands; false: no room. */
bool html_end(struct html_text *h, struct buf *out);

#endif
