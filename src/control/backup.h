/* The store and its users as one stream (src/store/BACKUP.md): what joins the two
 * layers for `cubby backup`, with or without a running server. */
#ifndef CONTROL_BACKUP_H
#define CONTROL_BACKUP_H

#include "account/account.h"
#include "store/backup.h"

/* As store_backup_begin, with the lines of these users. */
int backup_begin(struct store *st, struct accounts *accounts);

#endif
