/* Whom and which mailbox a recipient address means on this box. */
#ifndef MTA_RECIPIENT_H
#define MTA_RECIPIENT_H

#include "account/account.h"
#include "store/store.h"

/* Mailboxes looked at on one level when a detail's case differs from the
 * mailbox's name. With more of them the mail goes to INBOX. Bounds the time. */
#define RECIPIENT_SIBLINGS 512

/* The user of an unquoted local part: the whole of it, else what stands before
 * the first '+' (RFC 5233), the rest being *detail. "postmaster", when it is
 * nobody's name, is the first administrator (RFC 5321 section 4.5.1). The
 * domain plays no part: LMTP is handed what the sender knows to be local.
 * E_NOENT. */
int recipient_user(struct accounts *accounts, struct bytes local, struct account_user *user, struct bytes *detail);

/* The mailbox for a detail: the one of that name, by preference in the same
 * case, else INBOX. E_NOENT when the user has no INBOX yet. */
int recipient_mailbox(struct store *st, uint32_t owner, struct bytes detail, uint32_t *mailbox);

#endif
