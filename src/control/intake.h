/* One message into one mailbox of one user: what `cubby deliver` and `cubby
 * import` do, with or without a running server. Resumable: each call that says
 * E_AGAIN is made again, with the same arguments, after the commit whose ticket
 * stands in the intake, or in a later turn when that is 0. */
#ifndef CONTROL_INTAKE_H
#define CONTROL_INTAKE_H

#include "account/account.h"
#include "mail/date.h"
#include "store/store.h"
#include "view/arrival.h"

struct intake_place {
	struct store *store;
	struct accounts *accounts;
	struct arrivals *arrivals;
};

struct intake_request {
	struct bytes user;
	struct bytes mailbox;  /* UTF-8; empty: INBOX */
	bool create;           /* make the mailbox when it is not there */
	uint8_t flags;         /* STORE_SEEN... */
	struct bytes keywords; /* names with ',' between them */
	struct date received;
	uint64_t size;         /* bytes as far as known, for the room; 0: not known */
	bool spare;            /* takes only what is free: no mail goes for it */
};

struct intake {
	const struct intake_place *place;
	struct arrival *arrival;
	struct store_target target; /* uid is set by intake_end */
	store_ticket ticket;
	uint32_t owner;
	bool spare;
	unsigned keywords_lost;     /* names that did not fit into the mailbox's table */
};

/* Before the first call of intake_begin for a message. */
void intake_init(struct intake *k, const struct intake_place *place);
/* Finds or makes the mailbox and opens the message: OK, then bytes may come.
 * E_NOENT: no such user, or no such mailbox; E_FULL, E_TOOBIG; others as
 * store_mailbox_create and arrival_begin. */
int intake_begin(struct intake *k, const struct intake_request *request);
/* Bare LF becomes CRLF. After an error: intake_abort. */
int intake_write(struct intake *k, const void *data, size_t len);
/* Commits it: after OK the message is kept once k->ticket is durable. After any
 * error but E_AGAIN: intake_abort. */
int intake_end(struct intake *k);
void intake_abort(struct intake *k);

/* Flags as letters, as file names of a Maildir have them: D(raft) F(lagged)
 * R(eplied) S(een) T(rashed). 0 for a letter that is none. */
uint8_t intake_flag(char letter);
/* The letters of some flags, in that order; how many. */
size_t intake_flag_letters(uint8_t flags, char out[8]);

#endif
