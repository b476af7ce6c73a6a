#include "mta/dots.h"

#include <string.h>

enum {
	DOTS_LINE_START, /* behind CRLF, or nothing has come yet */
	DOTS_DOT,        /* behind CRLF "." */
	DOTS_DOT_CR,     /* behind CRLF "." CR */
	DOTS_TEXT,
	DOTS_CR          /* behind a CR of the text */
};

void dots_begin(struct dots *d)
{
	/* RFC 5321 4.1.1.4: the CRLF of the DATA command counts as the one before
	 * the dot, so that an empty message is possible. */
	d->state = DOTS_LINE_START;
}

/* How much of `in` is text, up to the next line start at which a dot stands or
 * nothing has come yet; sets the state that follows. */
static size_t text_run(struct dots *d, struct bytes in)
{
	bool cr_before = d->state == DOTS_CR;
	size_t i = 0;

	while (i < in.len) {
		const uint8_t *lf = memchr(in.data + i, '\n', in.len - i);
		size_t at;

		if (!lf)
			break;
		at = (size_t)(lf - in.data);
		i = at + 1;
		if ((at > 0 ? in.data[at - 1] == '\r' : cr_before) && (i == in.len || in.data[i] == '.')) {
			d->state = DOTS_LINE_START;
			return i;
		}
	}
	d->state = in.data[in.len - 1] == '\r' ? DOTS_CR : DOTS_TEXT;
	return in.len;
}

size_t dots_take(struct dots *d, struct bytes in, struct bytes *text, bool *end)
{
	size_t n;

	*text = bytes_make(NULL, 0);
	*end = false;
	if (in.len == 0)
		return 0;
	if (d->state == DOTS_LINE_START && in.data[0] == '.') {
		d->state = DOTS_DOT;
		return 1;
	}
	if (d->state == DOTS_DOT && in.data[0] == '\r') {
		d->state = DOTS_DOT_CR;
		return 1;
	}
	if (d->state == DOTS_DOT_CR) {
		*end = in.data[0] == '\n';
		if (*end)
			return 1;
		/* The line goes on: its dot was put in by the sender, its CR was not. */
		*text = bytes_of("\r");
		d->state = DOTS_CR;
		return 0;
	}
	n = text_run(d, in);
	*text = bytes_part(in, 0, n);
	return n;
}
