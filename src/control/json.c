#include "control/json.h"

void json_string(struct buf *out, struct bytes s)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.data[i];

		if (c == '"' || c == '\\')
			buf_putc(out, '\\');
		if (c < ' ')
			buf_printf(out, "\\u%04x", (unsigned)c);
		else
			buf_putc(out, c);
	}
	buf_putc(out, '"');
}
