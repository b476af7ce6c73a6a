/* SipHash-2-4 (Aumasson and Bernstein, 2012): a hash with a key, so that nobody
 * outside can choose inputs that meet in one bucket of a table. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include "base/bytes.h"

#define SIPHASH_KEY 16

uint64_t siphash(const uint8_t key[SIPHASH_KEY], struct bytes data);

#endif
