/* A small heap in a fixed piece of memory, for what mbedTLS allocates besides
 * its record buffers: some thousand short-lived pieces a handshake, two dozen
 * that stay as long as the session.
 *
 * Free pieces are kept by size, and a request takes a piece of the smallest
 * fitting size; neighbours melt together at once. An allocation visits at most
 * TLSHEAP_LOOK pieces. Freeing what is not in use, or not from here, is a bug
 * and asserted; so is a piece whose end was written over. */
#ifndef NET_TLSHEAP_H
#define NET_TLSHEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Alignment of a piece. mbedTLS needs 8; a compiler that knows malloc by name
 * may rely on 16 (tlsmalloc.c). */
#if defined(CUBBY_SYSTEM_MBEDTLS)
#define TLSHEAP_ALIGN 16u
#else
#define TLSHEAP_ALIGN 8u
#endif

/* Pieces of one size class that a request looks at for the best fit. */
#define TLSHEAP_LOOK 32

/* Size classes: exact up to 256 bytes, then eight to each power of two up to
 * 8 MiB; larger pieces are in the last. */
#define TLSHEAP_BINS 160

struct tlsheap {
	uint8_t *base;
	uint32_t len;
	uint32_t bins[TLSHEAP_BINS];
	uint32_t map[TLSHEAP_BINS / 32]; /* which bins are not empty */
	uint32_t used, peak;             /* bytes asked for, headers included */
	uint32_t pieces;                 /* in use */
	uint64_t denied;
};

/* memory: aligned as above; len at most 1 GiB. It stays the caller's. */
void tlsheap_init(struct tlsheap *h, void *memory, size_t len);
/* len zeroed bytes, or NULL (counted in denied). */
void *tlsheap_take(struct tlsheap *h, size_t len);
void tlsheap_give(struct tlsheap *h, void *piece);
/* Bytes that a piece in use has; at least as many as were asked for. */
size_t tlsheap_size(const struct tlsheap *h, const void *piece);
bool tlsheap_owns(const struct tlsheap *h, const void *piece);
/* Bytes of the largest piece that could be taken now. */
size_t tlsheap_largest(const struct tlsheap *h);
/* Walks all pieces and lists and asserts that they agree: for the tests. */
void tlsheap_check(const struct tlsheap *h);

#endif
