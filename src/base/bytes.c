#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct bytes bytes_make(const void *data, size_t len)
{
	return (struct bytes){ data, len };
}

struct bytes bytes_of(const char *s)
{
	return bytes_make(s, strlen(s));
}

struct bytes bytes_part(struct bytes b, size_t offset, size_t len)
{
	if (offset >= b.len)
		return bytes_make(NULL, 0);
	if (len > b.len - offset)
		len = b.len - offset;
	return bytes_make(b.data + offset, len);
}

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (text_lower(a.data[i]) != text_lower(b.data[i]))
			return false;
	return true;
}

bool bytes_is(struct bytes a, const char *s)
{
	return bytes_equal_nocase(a, bytes_of(s));
}

bool bytes_starts_nocase(struct bytes a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.len >= n && bytes_is(bytes_part(a, 0, n), prefix);
}

int bytes_compare(struct bytes a, struct bytes b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int d = n ? memcmp(a.data, b.data, n) : 0;

	if (d != 0)
		return d;
	return (a.len > b.len) - (a.len < b.len);
}

size_t bytes_index(struct bytes b, uint8_t c)
{
	const uint8_t *p = b.len ? memchr(b.data, c, b.len) : NULL;

	return p ? (size_t)(p - b.data) : b.len;
}

void buf_init(struct buf *b, void *space, size_t cap)
{
	*b = (struct buf){ space, 0, cap, false };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->overflow = false;
}

size_t buf_space(const struct buf *b)
{
	return b->cap - b->len;
}

bool buf_put(struct buf *b, const void *data, size_t len)
{
	if (len > buf_space(b)) {
		b->overflow = true;
		return false;
	}
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return true;
}

bool buf_putc(struct buf *b, uint8_t c)
{
	return buf_put(b, &c, 1);
}

bool buf_puts(struct buf *b, const char *s)
{
	return buf_put(b, s, strlen(s));
}

bool buf_putb(struct buf *b, struct bytes s)
{
	return buf_put(b, s.data, s.len);
}

bool buf_put_number(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t i = sizeof digits;

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	return buf_put(b, digits + i, sizeof digits - i);
}

bool buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf((char *)b->data + b->len, buf_space(b), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= buf_space(b)) { /* its NUL needs room as well */
		b->overflow = true;
		return false;
	}
	b->len += (size_t)n;
	return true;
}

struct bytes buf_bytes(const struct buf *b)
{
	return bytes_make(b->data, b->len);
}

bool buf_terminate(struct buf *b)
{
	if (buf_space(b) == 0) {
		b->overflow = true;
		return false;
	}
	b->data[b->len] = 0;
	return true;
}
