/* What the files of the repair share. repair.c decides what is to be done,
 * repair_fix.c makes an index that can be read true, rebuild.c makes a new one
 * from the log, salvage.c takes over what the old one still tells. */
#ifndef STORE_REPAIR_H
#define STORE_REPAIR_H

#include "store/store_int.h"

struct repair {
	struct store *st;
	const struct store_repair *how;
	struct store_repaired *out;
	struct arena *arena; /* for a rebuild */
	bool anew;          /* the index is made anew */
	bool final;         /* messages that nothing shows go to Recovered now */
	uint32_t recovered; /* that mailbox, 0: not looked for yet */
};

/* ---- repair.c ---- */
/* Reports something about a mailbox (0: none) and a message in it (0: none). */
void repair_tell(struct repair *r, const char *what, uint32_t mailbox, uint32_t uid);
/* The mailbox `Recovered` of the administrator: found or made. */
int repair_recovered(struct repair *r, uint32_t *id);
/* A row for a mailbox whose name nobody knows any more, below Recovered. */
int repair_placeholder(struct repair *r, uint32_t id);

/* ---- repair_fix.c ---- */
/* Makes everything true that follows from other rows: counts, references,
 * children, usage, live bytes; drops what points nowhere. Every page can be
 * read (E_DAMAGED otherwise). */
int repair_fix(struct repair *r);

/* ---- rebuild.c ---- */
/* Arena bytes beside the store's own. */
size_t rebuild_memory(void);

/* ---- salvage.c ---- */
struct salvage {
	struct tree tree;  /* the old index, only read */
	uint64_t lsn;      /* what it holds has everything up to here */
	bool there, done;
	uint64_t gaps;     /* places of it that can't be read */
};
/* Makes the rows of a table in the new index those of the old one, wherever that
 * can be read. */
int salvage_table(struct store *st, struct salvage *s, enum tree_table table);

#endif
