/* Words of JSON (RFC 8259) for answers that are made a line at a time. */
#ifndef CONTROL_JSON_H
#define CONTROL_JSON_H

#include "base/bytes.h"

/* A string in its quotes; what JSON can't hold is escaped. */
void json_string(struct buf *out, struct bytes s);

#endif
