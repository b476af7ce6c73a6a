/* What the files of port/sim share: the disk, the chances, the moment of the
 * cut. Tests include sim.h, not this. */
#ifndef PORT_SIM_WORLD_H
#define PORT_SIM_WORLD_H

#include "port/sim/sim.h"

#define BLOCK PORT_TORN_BLOCK

/* ---- chance.c: numbers from the seed, one stream for each use ---- */

enum stream { CHANCE_DISK, CHANCE_NETWORK, CHANCE_ENTROPY, CHANCE_TEST, CHANCE_STREAMS };
void chance_reset(uint64_t seed);
uint64_t chance_next(enum stream s);
/* Below limit, which is not 0. */
uint64_t chance(enum stream s, uint64_t limit);
bool chance_percent(enum stream s, unsigned percent);
void chance_fill(enum stream s, void *data, size_t len);

/* malloc and friends that end the program when there is no memory. */
void *sim_take(size_t len);
void *sim_retake(void *old, size_t len);
char *sim_text(const char *text);
/* Says what was wrong and ends the program. */
_Noreturn void sim_misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- blocks.c: the bytes of a file, 4 KiB blocks that may be shared ---- */

struct block {
	unsigned refs;
	uint8_t data[BLOCK];
};

/* One place of a file, as it is read now and as a cut would leave it. NULL is
 * a hole. */
struct slot {
	uint64_t index;
	struct block *side[2];
	uint64_t synced_by; /* number of the last sync that covered it */
};
enum side { NOW, DURABLE };

struct blocks {
	struct slot *slots; /* open addressing, NULL when empty */
	size_t count, cap;  /* cap is a power of two */
	uint64_t held[2];   /* blocks that are not holes */
};

void blocks_free(struct blocks *b);
void blocks_copy(struct blocks *to, const struct blocks *from);
void blocks_read(const struct blocks *b, enum side side, uint64_t offset, uint8_t *data, size_t len);
void blocks_write(struct blocks *b, enum side side, uint64_t offset, const uint8_t *data, size_t len);
/* Everything from offset on becomes a hole or zeros. */
void blocks_cut(struct blocks *b, enum side side, uint64_t offset);
/* Makes the whole side `to` equal to the other one. */
void blocks_same(struct blocks *b, enum side to);
/* Bytes of new blocks that a write would need. */
uint64_t blocks_needed(const struct blocks *b, uint64_t offset, size_t len);
/* Marks the blocks of a range of a file as covered by a sync: how many were not yet. */
uint64_t blocks_mark(struct blocks *b, uint64_t offset, uint64_t len, uint64_t sync, const char *path);
/* Blocks that were overwritten or freed, to be found again as garbage. They go
 * with an image: what was written after it never was. */
#define STALE_BLOCKS 64
struct stale {
	struct block *block[STALE_BLOCKS];
	unsigned count;
};
/* Bytes that were in the same place of some block before: what a disk shows
 * where a write did not come. */
void stale_fill(uint64_t offset, uint8_t *data, size_t len);
void stale_reset(void);
void stale_free(struct stale *s);
void stale_save(struct stale *to);
void stale_load(const struct stale *from);

/* ---- disk.c: files, names, what is not synced ---- */

struct node;

struct name {
	char *text;
	struct node *node;
};
struct names {
	struct name *list; /* in order of text */
	size_t count, cap;
};

/* A write (data not NULL) or a resize that was not synced. */
struct change {
	struct change *next;
	uint64_t number; /* order among all changes */
	uint64_t offset, len;
	uint8_t *data;
};

/* A file or a directory. Lives while a name (now, durable or pending) or a
 * handle refers to it. */
struct node {
	struct node *next, *previous; /* all of the disk, in order of their making */
	struct node *copy;            /* used while an image is made */
	unsigned refs;                /* names, pending name changes, handles */
	unsigned present;             /* names of now, and handles: 0 frees its room */
	bool dir;
	bool locked;
	int64_t modified;
	uint64_t size[2];
	struct blocks blocks;
	struct change *changes;
	bool false_now; /* NOW shows bytes that a failed sync lost */
	struct names names[2];
};

enum name_kind { NAME_MADE, NAME_GONE, NAME_MOVED };
struct name_change {
	struct name_change *next;
	enum name_kind kind;
	struct node *dir, *to_dir;
	char *name, *to_name;
	struct node *node;
	bool dir_synced, to_synced;
	bool lost; /* a sync of its directory failed */
};

struct disk {
	struct node *root, *first, *last;
	struct name_change *changes;
	uint64_t used; /* bytes of blocks in use now */
};
extern struct disk disk;

void disk_init(struct disk *d);
void disk_free(struct disk *d);
struct node *node_new(struct disk *d, bool dir);
void node_ref(struct node *n);
void node_unref(struct node *n);
void node_present(struct node *n, int by);
/* The node a path leads to, or NULL. */
struct node *disk_find(const char *path);
struct node *names_find(const struct names *n, const char *text);
/* Sets a name; NULL takes it away. Keeps counts of references; now tells
 * whether this is the present side. */
void names_set(struct names *n, const char *text, struct node *node, bool now);
void names_clear(struct names *n, bool now);
/* Applies a change of names to one side. */
void name_apply(const struct name_change *c, enum side side);
/* The same for the durable side, where an earlier change may have been lost: a
 * node that moved leaves whatever name it had. */
void name_make_durable(const struct name_change *c);
void name_change_free(struct name_change *c);

/* One change of a file to a side. */
void change_apply(struct node *file, const struct change *c, enum side side);
void changes_free(struct node *file);
/* NOW becomes what is durable, then the changes that are pending. */
void node_reread(struct node *file);
void disk_count(void); /* disk.used anew */

/* ---- files.c ---- */
void files_kill(void);
/* When the next sync completes, or UINT64_MAX. */
uint64_t files_next_us(void);

/* ---- network.c ---- */
void network_reset(void);
void network_kill(void);

/* Fills in what is ready: how many are. */
int network_look(struct port_wait *set, size_t n);

/* ---- system.c ---- */
void system_reset(void);
void system_kill(void);
/* Moves the clock, without events. */
void clock_add(uint64_t us);

/* ---- cut.c: operations, faults and the cut ---- */

void cut_reset(void);
/* An operation begins: OK, or the error that sim_fail wants. */
int op_begin(enum sim_op op, const char *path);
/* It is done as far as it was to be done: the cut may leave from here. */
void op_end(void);
/* port_wait can never end. Returns when not in sim_run. */
void leave_idle(void);

struct settings {
	enum port_fs_kind kind;
	uint64_t total, taken;
	bool mount_point;
	const char *mount_missing, *mounted;
	uint64_t mounted_free;
	uint64_t sync_least, sync_most;
};
struct counters {
	uint64_t ops, failed, bytes, read, blocks, syncs, changes;
};
extern struct settings settings;
/* Of sim_on_program; may be NULL. */
extern void (*on_program)(const char *path, uint64_t block);
extern struct counters counters;

#endif
