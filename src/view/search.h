/* SEARCH (RFC 3501 section 6.4.4): a compiled, bounded program, built key by
 * key by the parser of the command, and its evaluation over a view in slices.
 *
 * Building follows the grammar, which writes operators first: search_not takes
 * the next key, search_or the next two, search_list all keys up to its
 * search_list_end; what stands at the top must hold altogether. A key is one of
 * the calls below or a whole NOT, OR or list.
 *
 *     SEARCH UNSEEN OR FROM "a" (SMALLER 100 NOT SUBJECT "b")
 *     search_key(q, SEARCH_UNSEEN); search_or(q); search_text(q, SEARCH_FROM, a);
 *     search_list(q); search_number(q, SEARCH_SMALLER, 100); search_not(q);
 *     search_text(q, SEARCH_SUBJECT, b); search_list_end(q); search_ready(q);
 *
 * Strings and sets are not copied: the caller keeps their bytes until
 * search_close. Nothing here recurses; depth costs nodes like anything else. */
#ifndef VIEW_SEARCH_H
#define VIEW_SEARCH_H

#include "store/store.h"
#include "view/view.h"

/* Nodes of one program: each key, OR and list is one, HEADER two. Enough for
 * OR chains over some 170 Message-IDs; beyond it E_LIMIT. */
#define SEARCH_NODES 512

/* Nodes are lent in blocks, so that the usual short program costs little. */
#define SEARCH_BLOCK_NODES 32

struct searches; /* pools and the work space that all searches share */
struct search;   /* one SEARCH: its program and where it stands */

/* Arena bytes for at_once searches in parallel. */
size_t search_memory(uint32_t at_once);
int search_init(struct searches **s, struct arena *arena, struct store *st, struct views *v, uint32_t at_once);

/* Takes a place for one SEARCH over `view`, which must stay until search_close.
 * now: seconds since 1970, for YOUNGER and OLDER. E_NOMEM: all are in use (say
 * NO [LIMIT], or try in a later turn). */
int search_open(struct searches *s, const struct view *view, int64_t now, struct search **q);
/* Gives it back; NULL is fine. */
void search_close(struct search *q);

enum search_key {
	/* without an argument: search_key */
	SEARCH_ALL,
	SEARCH_ANSWERED,
	SEARCH_DELETED,
	SEARCH_DRAFT,
	SEARCH_FLAGGED,
	SEARCH_SEEN,
	SEARCH_UNANSWERED,
	SEARCH_UNDELETED,
	SEARCH_UNDRAFT,
	SEARCH_UNFLAGGED,
	SEARCH_UNSEEN,
	SEARCH_NEW,
	SEARCH_OLD,
	SEARCH_RECENT,
	SEARCH_SAVEDATESUPPORTED, /* RFC 8514: true of every message here */
	/* with a string: search_text */
	SEARCH_BCC,
	SEARCH_BODY,
	SEARCH_CC,
	SEARCH_FROM,
	SEARCH_SUBJECT,
	SEARCH_TEXT,
	SEARCH_TO,
	/* with a keyword: search_text */
	SEARCH_KEYWORD,
	SEARCH_UNKEYWORD,
	/* with a date, as date_parse_imap_day gives it: search_day */
	SEARCH_BEFORE,
	SEARCH_ON,
	SEARCH_SINCE,
	SEARCH_SENTBEFORE,
	SEARCH_SENTON,
	SEARCH_SENTSINCE,
	SEARCH_SAVEDBEFORE, /* RFC 8514; days of UTC */
	SEARCH_SAVEDON,
	SEARCH_SAVEDSINCE,
	/* with a number: search_number */
	SEARCH_LARGER,
	SEARCH_SMALLER,
	SEARCH_YOUNGER,  /* RFC 5032: seconds, at least 1 */
	SEARCH_OLDER,
	SEARCH_MODSEQ,   /* RFC 7162 3.1.5: at least this; entry name and type make no difference here */
	SEARCH_EMAILID,  /* RFC 8474: store_entry.object; 0 (an id that is not ours) matches nothing */
	SEARCH_THREADID, /* RFC 8474: there are no threads: matches nothing */
	/* made by search_header and search_set */
	SEARCH_HEADER,
	SEARCH_SET
};

/* Building. Each gives OK; E_LIMIT: the program or a string is too long; E_NOMEM:
 * no blocks left now; E_SYNTAX: not UTF-8 (NO [BADCHARSET] or BAD), or a call
 * that the grammar does not allow there; E_RANGE: an argument out of range.
 * After an error only search_close is right. */
int search_key(struct search *q, enum search_key key);
/* Text in UTF-8, at most TEXTMATCH_NEEDLE_MAX bytes once folded; an empty one
 * is in every message (of a header key: in every message that has the field). */
int search_text(struct search *q, enum search_key key, struct bytes text);
int search_header(struct search *q, struct bytes field, struct bytes text);
int search_day(struct search *q, enum search_key key, int64_t day);
int search_number(struct search *q, enum search_key key, uint64_t n);
/* Numbers or UIDs. Numbers beyond EXISTS match nothing. */
int search_set(struct search *q, struct view_set set);
int search_not(struct search *q);
int search_or(struct search *q);
int search_list(struct search *q);
int search_list_end(struct search *q); /* E_SYNTAX: of an empty list too */
/* The program is complete: puts cheap keys first and makes it ready to run.
 * E_SYNTAX: empty, or an operator lacks its keys, or a list its end. */
int search_ready(struct search *q);
/* True when MODSEQ stands anywhere in it: the answer then has (MODSEQ n) and
 * the session has enabled CONDSTORE. Good at any time. */
bool search_has_modseq(const struct search *q);

struct search_hit {
	uint32_t number; /* as the session counts; entry.uid is its UID */
	struct store_entry entry;
};
/* The next message that matches, in ascending order: OK with *hit, E_NOENT
 * after the last, E_AGAIN when a slice is used up (call again in a later turn).
 * Messages that go away meanwhile are passed over; ones that come meanwhile are
 * not looked at: it ends at the view's UIDNEXT of its first step. Do not tell
 * the session of expunges while a search by numbers runs (RFC 3501 7.4.1);
 * numbers are right at the moment they are given out. E_IO, E_DAMAGED: the
 * mailbox itself can't be read; E_STATE: search_ready was not called. */
int search_next(struct search *q, struct search_hit *hit);
/* Messages so far whose text was needed but could not be read (damage, I/O
 * errors); they do not match. */
uint32_t search_unread(const struct search *q);

#endif
