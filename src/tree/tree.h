/* The tree: one counted copy-on-write B+tree over everything that must be
 * found, its pages in a cache of fixed size. Keys have two parts; the high one
 * begins with the table (TREE_...). Branches carry the sums of the message
 * entries below them, so that numbers, counts and changes need no scan.
 *
 * Changes go to copies of pages in fresh slots; nothing a durable checkpoint
 * refers to is overwritten. A changed page that leaves the cache is written to
 * its fresh slot, which nothing durable refers to yet. */
#ifndef TREE_H
#define TREE_H

#include "base/mem.h"
#include "tree/page.h"
#include "tree/slots.h"

/* The table of a key: the top byte of its high part. */
enum tree_table {
	TREE_ENTRY = 1,   /* mailbox, uid -> struct entry bytes; the one that is summed */
	TREE_OBJECT,      /* 0, object id -> place */
	TREE_MAILBOX,     /* 0, mailbox id -> mailbox record */
	TREE_CHILD,       /* parent, hash of the level -> mailbox id */
	TREE_KEYWORD,     /* mailbox, bit -> name */
	TREE_SUBSCRIBED,  /* owner, hash of the name -> name */
	TREE_OWNER,       /* 0, owner -> usage */
	TREE_SEGMENT,     /* 0, segment id -> live bytes and state */
	TREE_DOOMED,      /* 0, mailbox id -> deleted, its messages still to be removed */
	TREE_REFERENCE,   /* object id; mailbox, uid -> nothing: who shows a message that several entries show */
	TREE_AUDIT,       /* 0, number -> a message that was evicted */
	TREE_QUOTA        /* 0, owner -> limits that were set for him */
};

static inline struct key tree_key(enum tree_table table, uint64_t first, uint64_t second)
{
	return (struct key){ (uint64_t)table << 56 | first, second };
}

#define TREE_HEIGHT_MAX 10

struct frame; /* a page in the cache */

/* Pages that a backup still reads although the tree has given them up: those a
 * durable checkpoint wrote, up to that number. Their slots stay taken until the
 * backup has ended and each was passed (tree_held_next). */
struct tree_hold {
	uint64_t number;    /* of that checkpoint, 0: nothing is held */
	uint32_t root;      /* of the tree as it was then */
	uint32_t count;     /* slots held */
	unsigned level;     /* pages below this level were passed, */
	struct key passed;  /* and of this level those in front of this key */
};

struct tree {
	struct slots slots;
	uint32_t root;         /* slot; UINT32_MAX when the tree is empty */
	struct frame *frames;
	uint8_t *pages;
	uint32_t n_frames, hand;
	uint32_t *buckets;     /* hash of slots to frames */
	uint32_t n_buckets;
	uint64_t generation;   /* changes whenever a cursor's hint may be stale */
	uint32_t dirty;        /* changed pages in the cache */
	uint64_t reads;        /* pages read from the file */
	struct tree_hold hold;
	int error;             /* a change failed half-way: what is there can be read, nothing changed */
	/* What an entry's value counts for. */
	struct page_sums (*sums)(struct bytes value);
};

size_t tree_memory(uint32_t pages);
/* False when the arena has no room. */
bool tree_init(struct tree *t, struct arena *arena, uint32_t pages, struct page_sums (*sums)(struct bytes value));

/* Copies the value of k to out (at most cap bytes): its length, E_NOENT, E_IO,
 * E_DAMAGED, E_LIMIT when it is longer than cap. */
int tree_get(struct tree *t, struct key k, void *out, size_t cap);
/* Inserts or replaces. After an error t->error is set and the tree takes no more
 * changes until the store is opened again; everything in it can still be read. */
int tree_put(struct tree *t, struct key k, const void *value, size_t len);
/* E_NOENT when it is not there. `expunged` is noted in the leaf when not 0. */
int tree_delete(struct tree *t, struct key k, uint64_t expunged);

/* The first key of at least k: key and value (at most cap bytes). Returns the
 * value's length, E_NOENT when there is none. */
int tree_seek(struct tree *t, struct key k, struct key *found, void *out, size_t cap);

/* A place in a leaf that is valid while t->generation does not change. */
struct tree_place {
	uint32_t frame, index;
	uint64_t generation;
};
/* As tree_seek, and remembers the place; tree_next goes on from there when the
 * place is still valid and in the same leaf, else E_AGAIN: seek again. */
int tree_seek_place(struct tree *t, struct key k, struct key *found, struct bytes *value, struct tree_place *place);
int tree_next(struct tree *t, struct tree_place *place, struct key *found, struct bytes *value);

/* Sum of the counts of all entries with a key below k. */
int tree_rank(struct tree *t, struct key k, uint64_t *rank);
/* Key and value of the entry with that rank (from 0) among all entries. */
int tree_at_rank(struct tree *t, uint64_t rank, struct key *found, struct bytes *value);
/* The first entry of at least k that counts as unseen. E_NOENT. */
int tree_first_unseen(struct tree *t, struct key k, struct key *found);
/* The first key >= k in a leaf whose highest change is above modseq: the place
 * to go on with when changes are looked for; skips whole branches. E_NOENT. */
int tree_changed_leaf(struct tree *t, struct key k, uint64_t modseq, struct key *from);
/* The same for expunges: *from is the least key, *to the first key after the
 * leaf (all ones at the end). E_NOENT. */
int tree_expunged_leaf(struct tree *t, struct key k, uint64_t modseq, struct key *from, struct key *to);

/* Right after a checkpoint: the tree as it is now can be read until
 * tree_held_next has passed all of it. */
void tree_hold(struct tree *t);
/* Between these two every look-up is one in the tree that is held; nothing may be
 * changed meanwhile. Returns what tree_now wants. */
uint32_t tree_then(struct tree *t);
void tree_now(struct tree *t, uint32_t root);
/* Passes one page of the held tree that nobody reads any more: its slot is given
 * up if the tree has another one in its place. E_AGAIN: there are more; OK: all
 * is passed, nothing is held. */
int tree_held_next(struct tree *t);

/* Writes every changed page to its slot; the caller syncs. */
int tree_flush(struct tree *t);
/* Writes up to n changed pages ahead of the flush. */
int tree_write_some(struct tree *t, uint32_t n);
/* What was written is durable: pages are clean, slots move on. */
int tree_checkpointed(struct tree *t);
/* Forgets everything cached. */
void tree_reset(struct tree *t, uint32_t root);
/* Whether the root can be read: OK for an empty tree, E_IO, E_DAMAGED. */
int tree_check_root(struct tree *t);
/* Marks the slots of all pages as used, after slots_clear. */
int tree_mark_all(struct tree *t);
/* One page at a time, for the check: verifies order, sums and bounds of the
 * page that holds the first key >= *k, moves *k to the first key after it.
 * E_NOENT after the last, E_DAMAGED with a word in *what. */
int tree_verify(struct tree *t, struct key *k, const char **what);

#endif
