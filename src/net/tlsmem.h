/* mbedTLS's part of the arena: a slot for each record buffer of each place, and
 * a heap for everything else. Internal to net/tls.c and the tests. */
#ifndef NET_TLSMEM_H
#define NET_TLSMEM_H

#include "base/mem.h"
#include "net/tls.h"

/* Arena bytes for so many places. */
size_t tlsmem_size(uint32_t places);
/* Takes them and becomes mbedTLS's allocator. E_NOMEM; E_NOTSUP when this
 * mbedTLS asks for other record buffers than it was compiled for. */
int tlsmem_init(struct arena *arena, uint32_t places);

/* calloc and free of mbedTLS. */
void *tlsmem_take(size_t n, size_t size);
void tlsmem_give(void *piece);
/* Bytes of a piece in use; false when it is not one of ours. */
bool tlsmem_owns(const void *piece, size_t *size);

#if defined(CUBBY_SYSTEM_MBEDTLS)
/* From now on malloc and its kin are tlsmem_take and tlsmem_give. */
void tlsmalloc_begin(void);
#endif

/* Bytes of the slot of an input record: work space for reading files. */
size_t tlsmem_slot(void);

void tlsmem_status(struct tls_status *out);
/* For the tests: the n-th allocation from now fails (0: none). */
void tlsmem_fail_at(uint64_t n);
/* Bytes in use, slots included; and a check of the heap's structure. */
size_t tlsmem_used(void);
void tlsmem_check(void);
/* The peak is counted anew from now on. */
void tlsmem_reset_peak(void);

#endif
