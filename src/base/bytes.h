/* Slices of bytes, and bounded output. Nothing here allocates; a slice never
 * owns what it points at and is never NUL-terminated. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	const uint8_t *data; /* may be NULL when len is 0 */
	size_t len;
};

/* A slice over a string literal or any C string (without its NUL). */
struct bytes bytes_of(const char *s);
struct bytes bytes_make(const void *data, size_t len);
/* The part of b from offset on, at most len bytes; empty when beyond the end. */
struct bytes bytes_part(struct bytes b, size_t offset, size_t len);
bool bytes_equal(struct bytes a, struct bytes b);
/* Equal when ASCII letters are folded; other bytes must match exactly. */
bool bytes_equal_nocase(struct bytes a, struct bytes b);
/* Equal to the C string s, ASCII case folded. */
bool bytes_is(struct bytes a, const char *s);
bool bytes_starts_nocase(struct bytes a, const char *prefix);
/* Like memcmp over the shorter length, then the shorter one first. */
int bytes_compare(struct bytes a, struct bytes b);
/* Index of the first c, or b.len. */
size_t bytes_index(struct bytes b, uint8_t c);

/* Bounded output: appends never go past cap. What does not fit is dropped
 * whole (never cut), and `overflow` stays set until buf_reset. */
struct buf {
	uint8_t *data;
	size_t len, cap;
	bool overflow;
};

void buf_init(struct buf *b, void *space, size_t cap);
void buf_reset(struct buf *b);
size_t buf_space(const struct buf *b);
bool buf_put(struct buf *b, const void *data, size_t len);
bool buf_putc(struct buf *b, uint8_t c);
bool buf_puts(struct buf *b, const char *s);
bool buf_putb(struct buf *b, struct bytes s);
bool buf_put_number(struct buf *b, uint64_t n); /* decimal */
/* snprintf's subset without its allocations: %s %.*s %u %d %lu %ld %llu %lld
 * %zu %x %02x %c %%; all or nothing like every other append. */
bool buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct bytes buf_bytes(const struct buf *b);
/* Appends a NUL that does not count in len; false when there is no room. */
bool buf_terminate(struct buf *b);

#endif
