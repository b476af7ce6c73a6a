/* From the text of a SEARCH to a program of view/search.h. */
#ifndef IMAP_SEARCH_READ_H
#define IMAP_SEARCH_READ_H

#include "imap/session.h"

enum { SEARCH_RETURN_MIN = 1, SEARCH_RETURN_MAX = 2, SEARCH_RETURN_ALL = 4, SEARCH_RETURN_COUNT = 8 };

/* Reads RETURN and CHARSET in front of the keys: false when an answer is set. */
bool search_read_options(struct session *s, struct parse *p, struct search_unit *u);
/* Builds u->search of the keys: OK; E_NOMEM: no room for it now, close it and
 * try again; E_STATE: an answer is set. Strings point into conn_input and
 * u->strings. */
int search_read_keys(struct session *s, struct parse *p, struct search_unit *u);

#endif
