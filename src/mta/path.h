/* The arguments of MAIL and RCPT: reverse-path and forward-path (RFC 5321
 * section 4.1.2, RFC 6531 for UTF-8) and the parameters behind them. */
#ifndef MTA_PATH_H
#define MTA_PATH_H

#include "base/bytes.h"

/* Bytes between the angle brackets, a source route not counted. RFC 5321
 * 4.5.3.1.3 asks for 254; more, so that an address in UTF-8 fits. Beyond it:
 * 501 5.1.3 or 5.1.7. */
#define PATH_MAX_BYTES 320

/* Bytes of a local part once it is unquoted: a user name, '+', a mailbox. */
#define PATH_LOCAL_MAX 320

/* Slices of the command line. */
struct path {
	struct bytes text;   /* as it came, without <> and source route; empty: the null path */
	struct bytes local;  /* as it came: quoted or a dot-string */
	struct bytes domain; /* empty when there is none; an address literal keeps its [] */
};

/* Cuts the path off *rest. A blank before it is let pass (Outlook sends one).
 * E_SYNTAX; E_LIMIT when it is too long. `utf8` allows bytes above 127. */
int path_parse(struct bytes *rest, bool utf8, struct path *out);
/* The local part without quotes and backslashes; its length. */
size_t path_local(const struct path *p, uint8_t out[PATH_LOCAL_MAX]);

/* Cuts the next "KEY" or "KEY=VALUE" off *rest: OK; E_NOENT at the end;
 * E_SYNTAX. A missing value is {NULL, 0}. */
int path_parameter(struct bytes *rest, struct bytes *key, struct bytes *value);

#endif
