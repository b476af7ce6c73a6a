/* How often places of the flash were programmed: of segments and large messages,
 * which are written from their beginning to their end, and of the files that stay.
 * Counted by blocks of the file, as the file system hands them on. */
#ifndef TESTS_SIM_WEAR_H
#define TESTS_SIM_WEAR_H

#include <stdint.h>

void wear_begin(void);
void wear_end(void);
/* A block of that file was written. */
void wear_program(const char *path, uint64_t block);
/* Prints what files with `part` in their path took, under the name `what`. */
void wear_tell(const char *what, const char *part);

#endif
