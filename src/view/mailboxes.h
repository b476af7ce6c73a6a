/* The mailboxes that every user has from the first day. */
#ifndef VIEW_MAILBOXES_H
#define VIEW_MAILBOXES_H

#include "store/store.h"

/* Makes INBOX, Drafts, Sent, Junk, Trash and Archive with their special uses
 * (RFC 6154), subscribed, for a user who has no INBOX yet; one who has it is left
 * alone, whatever he did to the others. OK with a ticket (0: nothing was to be
 * done); E_AGAIN: call again after the next commit, it goes on where it was;
 * E_FULL, E_READONLY, E_IO: as store_mailbox_create. */
int mailboxes_ensure_user(struct store *st, uint32_t owner, store_ticket *ticket);

#endif
