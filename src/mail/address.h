/* Address lists of RFC 5322 section 3.4 with the obsolete forms of section 4.4
 * and the slips of real mail, read one address at a time from an unfolded
 * value. Nothing is refused: what can't be read is left out or comes with a
 * placeholder, as ENVELOPE wants it. */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include "base/bytes.h"

/* Addresses of one list, group marks included. What follows is ignored: bounds
 * the time and the answer for a hostile header. */
#define ADDRESS_MAX 1000

/* Bytes of scratch for one address; longer names and locals are cut. */
#define ADDRESS_SPACE 1024

/* What stands where a mailbox or a domain is missing. ENVELOPE can't say NIL
 * there, because NIL would make it a group mark (RFC 3501 section 7.4.2). */
#define ADDRESS_NO_MAILBOX "MISSING_MAILBOX"
#define ADDRESS_NO_HOST "MISSING_DOMAIN"

enum address_kind { ADDRESS_MAILBOX, ADDRESS_GROUP, ADDRESS_GROUP_END };

/* Absent strings are {NULL, 0}. Of a group only `mailbox` (its name) is set,
 * of a group's end nothing. Slices point into the value or the scratch and are
 * good until the next call. */
struct address {
	enum address_kind kind;
	struct bytes name;    /* display name, or a comment when there is none; unquoted, not decoded */
	struct bytes route;   /* obsolete source route, "@a,@b" */
	struct bytes mailbox; /* local part, unquoted */
	struct bytes host;    /* domain, blanks and comments removed */
};

struct address_list {
	struct bytes value;
	uint32_t at;       /* offset of what comes next: a list can be gone on with by it */
	uint16_t count;
	bool in_group;
};

void address_begin(struct address_list *list, struct bytes value);
/* The next address: false at the end of the list. `space` has ADDRESS_SPACE
 * bytes. A list that ends inside a group ends the group first. */
bool address_next(struct address_list *list, uint8_t *space, struct address *a);

#endif
