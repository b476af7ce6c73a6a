/* Messages of the box itself to its users: damage that was found, storage that
 * runs out. Each has a key; a new one takes the place of the one with the same
 * key that still lies in the user's INBOX (it is stored first, then the old one
 * is expunged, unless the user has flagged it; what he has moved elsewhere is
 * his). After a cut between the two there may be both until the next one comes.
 *
 * A notice is a small message of RFC 5322 with `Auto-Submitted: auto-generated`
 * (RFC 3834), which gets the keyword NOTICE_KEYWORD in INBOX, so that it is
 * found again without reading other mail. It is stored like any other message
 * and needs room like any other: what finds none is tried again every minute.
 * What was not stored when the process ends is lost: who posts it must come to
 * it again by himself. */
#ifndef CONTROL_NOTICE_H
#define CONTROL_NOTICE_H

#include "account/account.h"
#include "store/store.h"
#include "view/arrival.h"

/* Notices that wait to be stored. Beyond it: E_AGAIN. */
#define NOTICE_PLACES 4
/* Bytes of a key: letters, digits and hyphens. */
#define NOTICE_KEY 32
/* Bytes of a subject in UTF-8: a line on a phone, twice, in Japanese. */
#define NOTICE_SUBJECT 240
/* Bytes of a text in UTF-8: about two screens. */
#define NOTICE_TEXT 4096
#define NOTICE_KEYWORD "$CubbyNotice"

enum notice_language { NOTICE_ENGLISH, NOTICE_JAPANESE };

struct notices_config {
	struct store *store;
	struct accounts *accounts;
	struct arrivals *arrivals;
	const char *domain; /* behind the @ of From and Message-ID */
	enum notice_language language;
};

struct notices;
size_t notices_memory(void);
/* The configuration is copied, what it points to must stay. E_NOMEM. */
int notices_init(struct notices **n, struct arena *arena, const struct notices_config *config);

/* Puts one up for storing; everything is copied. Subject and text are UTF-8, the
 * text's lines end with LF. One with the same key and owner that was not begun
 * yet is overwritten. OK; E_AGAIN: all places are taken, try again in a later
 * turn; E_LIMIT: too long; E_SYNTAX: key or subject. */
int notice_post(struct notices *n, const char *key, uint32_t owner, struct bytes subject, struct bytes text);
/* What the notice said holds no more: it goes without a new one. As above. */
int notice_withdraw(struct notices *n, const char *key, uint32_t owner);

/* One slice; to be called in every turn of the loop. E_AGAIN: call again at once
 * (that is, after the commit), OK: nothing to do before notices_deadline_us. */
int notices_work(struct notices *n);
/* When notices_work must be called at the latest, in port_now_us time; 0: never. */
uint64_t notices_deadline_us(const struct notices *n);

/* The one in the language of the box's users. */
const char *notice_say(const struct notices *n, const char *english, const char *japanese);
/* The administrator with the lowest number: who is told of the box's troubles.
 * E_NOENT: there is none. */
int notice_admin(const struct notices *n, uint32_t *owner);

#endif
