#include "control/words.h"

#include "base/err.h"
#include "base/text.h"

/* One word from `raw` to *space, which is moved on. */
static int decode(struct bytes raw, uint8_t **space, struct bytes *word)
{
	uint8_t *start = *space;

	if (raw.len == 1 && raw.data[0] == '-')
		raw.len = 0;
	for (size_t i = 0; i < raw.len; i++) {
		uint8_t c = raw.data[i];

		if (text_is(c, TEXT_CTL))
			return E_SYNTAX;
		if (c == '%') {
			int high = i + 2 < raw.len ? text_hex(raw.data[i + 1]) : -1;
			int low = i + 2 < raw.len ? text_hex(raw.data[i + 2]) : -1;

			if (high < 0 || low < 0)
				return E_SYNTAX;
			c = (uint8_t)(high * 16 + low);
			i += 2;
		}
		*(*space)++ = c;
	}
	*word = bytes_make(start, (size_t)(*space - start));
	return OK;
}

int words_cut(struct bytes line, uint8_t *space, struct bytes words[WORDS_MAX])
{
	int n = 0;

	for (;;) {
		size_t blank = bytes_index(line, ' ');

		if (blank == 0)
			return E_SYNTAX;
		if (n == WORDS_MAX)
			return E_LIMIT;
		if (decode(bytes_part(line, 0, blank), &space, &words[n++]) != OK)
			return E_SYNTAX;
		if (blank == line.len)
			return n;
		line = bytes_part(line, blank + 1, line.len);
	}
}

bool words_put(struct buf *out, struct bytes word)
{
	if (word.len == 0)
		buf_putc(out, '-');
	for (size_t i = 0; i < word.len; i++) {
		uint8_t c = word.data[i];

		if (c <= ' ' || c == '%' || c > 126 || (c == '-' && word.len == 1))
			buf_printf(out, "%%%02X", (unsigned)c);
		else
			buf_putc(out, c);
	}
	return !out->overflow;
}
