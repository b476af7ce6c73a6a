/* The index file: slots of one page each, and which of them are free. The tree
 * never overwrites a page that a durable checkpoint refers to: a changed page
 * goes to a free slot, and the old slot is free only after the next checkpoint
 * but one is durable (DESIGN.md section 4, rule 5). FORMAT.md section 4. */
#ifndef TREE_SLOTS_H
#define TREE_SLOTS_H

#include "base/bytes.h"
#include "port/file.h"
#include "tree/page.h"

/* Slots given up between two checkpoints. Two such lists fit the superblock. A
 * checkpoint is due long before; see store_int.h. */
#define SLOTS_FREED_MAX 960

struct slots {
	port_file file;
	uint32_t seed;        /* of checksums */
	uint64_t building;    /* number of the checkpoint that is being built */
	uint32_t limit;       /* slots the storage budget allows: mail is refused before it
			       * is met. Twice as many are taken before a change fails. */
	uint32_t used;        /* slots in use, those waiting to be free included */
	uint32_t high;        /* slots below this have been used at some time */
	uint32_t next;        /* where the search for a free one starts */
	/* The map of one group of slots at a time. */
	uint8_t *map;
	uint32_t group;       /* UINT32_MAX: none loaded */
	unsigned copy;        /* which of its two copies is the last written */
	bool map_dirty;
	/* Freed by the checkpoint being built, and by the last durable one. */
	uint32_t *freed, *freed_before;
	uint32_t n_freed, n_freed_before;
	uint64_t numbers;     /* sum of the checkpoint numbers of all groups' last maps */
	uint64_t bytes_written;
	/* Called when the disk is full; true when it made room. */
	bool (*make_room)(void *context);
	void *context;
};

/* Arena pieces: a map page and two lists; the caller gives their space. */
#define SLOTS_MAP_BYTES PAGE_SIZE
#define SLOTS_LIST_BYTES (SLOTS_FREED_MAX * sizeof(uint32_t))

void slots_init(struct slots *s, uint8_t *map, uint32_t *freed, uint32_t *freed_before);

/* Before a mount: forgets the map in memory. */
void slots_forget(struct slots *s);
/* After `high`, `used`, `numbers`, `seed` and the lists were set from superblock number
 * `durable`: discards maps of checkpoints that never became durable. E_DAMAGED:
 * a group has no map, an old one, or one of its copies is bad; slots_clear, then mark every
 * page of the tree, and slots_keep_freed. E_IO. */
int slots_mount(struct slots *s, uint64_t durable);

/* A free slot, now in use. E_FULL at the limit, E_IO, E_DAMAGED (the map). */
int slots_take(struct slots *s, uint32_t *slot);
/* A slot that a durable checkpoint may refer to: free after the next but one. */
void slots_release(struct slots *s, uint32_t slot);
/* A slot taken since the last checkpoint, never referred to: free at once. */
int slots_return(struct slots *s, uint32_t slot);

int slots_read(struct slots *s, uint32_t slot, uint8_t *page);
int slots_write(struct slots *s, uint32_t slot, uint8_t *page);
/* Writes the map's changes; the caller syncs the file, then the superblock. */
int slots_flush(struct slots *s);
/* After slots_mount: what the checkpoint before the mounted one freed is free. */
int slots_settle(struct slots *s);
/* The checkpoint being built is durable: what the one before freed is free now. */
int slots_checkpointed(struct slots *s);
/* Forgets all marks; the caller then marks what the tree uses (slots_mark). */
int slots_clear(struct slots *s);
/* Marks what the mounted checkpoint freed: its predecessor may still be needed. */
int slots_keep_freed(struct slots *s);
int slots_mark(struct slots *s, uint32_t slot);
bool slots_is_used(struct slots *s, uint32_t slot);
/* Bytes that the file has with that many slots. */
uint64_t slots_file_bytes(uint32_t high);

#endif
