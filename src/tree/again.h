/* Reading once more: a read may fail for a moment, and one that failed for good
 * must not be taken for damage, or what lies behind it for lost. */
#ifndef TREE_AGAIN_H
#define TREE_AGAIN_H

#include "port/file.h"

#define AGAIN_TRIES 3

static inline int64_t read_again(port_file f, uint64_t at, void *data, size_t len)
{
	int64_t n = port_read(f, at, data, len);

	for (unsigned i = 1; n < 0 && i < AGAIN_TRIES; i++)
		n = port_read(f, at, data, len);
	return n;
}

#endif
