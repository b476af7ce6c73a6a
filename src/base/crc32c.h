/* CRC-32C (Castagnoli), RFC 3385: the checksum of everything on flash. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues from seed (0 to begin); crc32c(crc32c(0, a), b) is that of ab. Uses
 * the processor's instruction where there is one. */
uint32_t crc32c(uint32_t seed, const void *data, size_t len);

#endif
