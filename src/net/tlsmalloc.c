/* For builds with the system's own mbedTLS (MBEDTLS=system), which has no hook
 * for an allocator: here the whole process gets its malloc from mbedTLS's part
 * of the arena. Before there is one, the start of libc is served from a small
 * fixed space that is never given back. */
#if defined(CUBBY_SYSTEM_MBEDTLS)

#include "net/tlsmem.h"

#include <string.h>

/* Bytes for what libc and the start of the server allocate: name look-ups of
 * the box's own addresses need the most. Beyond it malloc fails. */
#define EARLY_BYTES 131072

/* Before each early piece stands its size. */
#define EARLY_HEADER 16

void *malloc(size_t len);
void *calloc(size_t n, size_t size);
void *realloc(void *piece, size_t len);
void free(void *piece);

static _Alignas(16) uint8_t early[EARLY_BYTES];
static size_t early_used;
static bool begun;

void tlsmalloc_begin(void)
{
	begun = true;
}

static bool is_early(const void *piece)
{
	return (uintptr_t)piece >= (uintptr_t)early && (uintptr_t)piece < (uintptr_t)early + sizeof early;
}

static void *early_take(size_t len)
{
	size_t size = (len + EARLY_HEADER + 15) & ~(size_t)15;
	uint8_t *piece = early + early_used;

	if (size < len || size > sizeof early - early_used)
		return NULL;
	early_used += size;
	memcpy(piece, &len, sizeof len);
	return piece + EARLY_HEADER;
}

void *calloc(size_t n, size_t size)
{
	size_t len = n * size;

	if (n && len / n != size)
		return NULL;
	/* malloc(0) may return NULL, but some callers take that for a failure */
	if (len == 0)
		len = 1;
	return begun ? tlsmem_take(1, len) : early_take(len);
}

void *malloc(size_t len)
{
	return calloc(1, len);
}

void free(void *piece)
{
	if (piece && !is_early(piece))
		tlsmem_give(piece);
}

void *realloc(void *piece, size_t len)
{
	size_t had = 0;
	void *fresh;

	if (piece && is_early(piece))
		memcpy(&had, (uint8_t *)piece - EARLY_HEADER, sizeof had);
	else if (piece && !tlsmem_owns(piece, &had))
		return NULL;
	fresh = calloc(1, len);
	if (!fresh)
		return NULL;
	if (had)
		memcpy(fresh, piece, had < len ? had : len);
	free(piece);
	return fresh;
}

#else
/* ISO C wants something in every file. */
extern int tlsmalloc_not_needed;
#endif
