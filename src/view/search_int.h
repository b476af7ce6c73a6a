/* What the files of SEARCH share: the program and the work space.
 *
 * search_build.c makes a tree of nodes; a parent always comes before its
 * children. search_ready puts cheap children first and gives every leaf the
 * two leaves to go on with, so that search.c follows jumps and keeps no stack. */
#ifndef VIEW_SEARCH_INT_H
#define VIEW_SEARCH_INT_H

#include "mail/summary.h"
#include "mail/textmatch.h"
#include "view/search.h"
#include "view/view_int.h"

/* Compiled strings kept at a time, for all searches. A program with more of
 * them compiles some anew for each message. */
#define SEARCH_MATCHERS 8

/* Bytes read from the store at once. A longer header field is looked at in
 * parts of this size. */
#define SEARCH_PIECE 8192

/* Blocks of nodes beyond the first one of each search. */
#define SEARCH_SPARE_BLOCKS (SEARCH_NODES / SEARCH_BLOCK_NODES)

enum node_kind {
	NODE_AND,
	NODE_OR,
	NODE_ARGUMENT, /* the string of the HEADER node before it */
	/* Leaves, by what they cost. */
	NODE_ALWAYS,
	NODE_FLAGS,
	NODE_KEYWORDS,
	NODE_RECENT,
	NODE_RECEIVED, /* day in its zone */
	NODE_SAVED,
	NODE_TIME, /* received, in seconds */
	NODE_SIZE,
	NODE_MODSEQ,
	NODE_OBJECT,
	NODE_SET,
	NODE_SENT,
	NODE_FIELD,
	NODE_HEADER,
	NODE_BODY,
	NODE_TEXT
};

/* Ends of the jumps. */
#define SEARCH_MATCH 0xFFFFu
#define SEARCH_FAIL 0xFFFEu
#define SEARCH_NONE 0xFFFDu

struct search_node {
	uint8_t kind;
	bool negated;
	uint8_t field;  /* NODE_FIELD: enum summary_field; NODE_SET: 1 for UIDs */
	uint8_t sorted; /* NODE_SET: its ranges ascend */
	uint16_t parent, next;
	uint16_t yes, no; /* leaves to go on with */
	union {
		struct {
			uint16_t first, last, count, entry; /* children; the leaf to begin with */
		} list;
		struct {
			int64_t low, high; /* true from low to high */
		} range;
		struct {
			uint64_t mask, value;
		} bits;
		struct {
			const uint8_t *data;
			uint32_t len;
			uint32_t at;        /* NODE_SET: where the next range is */
			uint32_t low, high; /* and the range that was looked at last */
		} text;
	} u;
};

enum { FIELD_NONE, FIELD_OTHER, FIELD_WANTED };

struct search {
	struct searches *owner;
	const struct view *view;
	int64_t now;
	uint64_t serial; /* tells compiled strings of one search from those of another */
	struct search_node *block[SEARCH_NODES / SEARCH_BLOCK_NODES];
	uint16_t n_nodes;
	uint16_t open;    /* building: the list or OR that takes the next key */
	bool negate;      /* building: NOT was read */
	bool has_modseq, ready;

	bool started, suspended;
	uint16_t at;      /* leaf to go on with, SEARCH_NONE between messages */
	uint32_t end;     /* UIDNEXT at the start */
	uint32_t star, star_uid; /* what `*` means in sets of numbers, of UIDs */
	uint64_t stamp;          /* of the views, when numbers were last good */
	uint32_t unread;
	uint32_t entries, bytes; /* of this slice */
	struct view_walk walk;
	struct search_hit hit; /* the message that is looked at */

	/* A leaf that takes several slices. */
	bool reading;
	uint8_t in_field; /* HEADER: q->pos is in the middle of a long field: FIELD_... */
	uint64_t pos;
	uint16_t matched; /* BODY, TEXT: bytes of the string matched so far */
	struct body_search body;
};

struct matcher {
	uint64_t serial; /* 0: free */
	uint16_t node;
	uint32_t used;
	struct textmatch match;
};

struct searches {
	struct store *st;
	struct views *views;
	struct pool places, blocks;
	uint64_t serial;
	uint32_t clock; /* for the matchers' age */
	struct matcher matcher[SEARCH_MATCHERS];
	uint64_t object; /* whose summary stands in `space`, 0: none */
	struct summary summary;
	struct bytes values[SUMMARY_FIELDS];
	uint8_t space[LIMIT_SUMMARY];
	uint8_t piece[SEARCH_PIECE];
};

static inline struct search_node *search_node(const struct search *q, unsigned i)
{
	return &q->block[i / SEARCH_BLOCK_NODES][i % SEARCH_BLOCK_NODES];
}

/* The leaf to begin with at a node. */
static inline uint16_t search_entry(const struct search *q, uint16_t i)
{
	const struct search_node *n = search_node(q, i);

	return n->kind <= NODE_OR ? n->u.list.entry : i;
}

static inline struct bytes search_string(const struct search_node *n)
{
	return bytes_make(n->u.text.data, n->u.text.len);
}

/* Whether the leaf holds for q->hit: 1, 0, or E_AGAIN when the slice is used up
 * (ask again), another error when the text can't be read. */
int search_leaf(struct search *q, unsigned at);
/* The same for leaves that look at text. */
int search_text_leaf(struct search *q, unsigned at);

#endif
