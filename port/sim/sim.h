/* A box in memory for tests: it keeps the contract of port/file.h,
 * port/network.h and port/system.h, and this header is the hand that pulls its
 * plug. Flash that loses power, disks that fill and fail, networks that stall,
 * clocks that jump. Everything follows from the seed: the same seed and the
 * same calls give the same results on every machine. This is test code: it may
 * use malloc, and it ends the program on a misuse of a handle, because that is
 * a bug of the code under test.
 *
 * The usual run:
 *
 *     for (n = 1;; n++) {
 *         sim_reset(seed);
 *         sim_cut_at(n);
 *         if (sim_run(workload, &model) == SIM_DONE)
 *             break;
 *         sim_power_cut(&sim_mixed);
 *         sim_run(recover_and_check, &model);
 *     }
 */
#ifndef PORT_SIM_H
#define PORT_SIM_H

#include "port/file.h"
#include "port/network.h"
#include "port/system.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A new box: an empty disk, no sockets, clock at start, no faults armed, all
 * settings below at their defaults. Must be the first call. */
void sim_reset(uint64_t seed);

/* ---- Running code under test ---- */

enum sim_end {
	SIM_DONE, /* body returned */
	SIM_CUT,  /* the operation chosen by sim_cut_at came */
	SIM_IDLE  /* port_wait without limit, and nothing can ever happen */
};
/* Calls body(context). At a cut or when idle the body is left by longjmp; what
 * it changed in non-volatile automatic variables of sim_run's caller is not to
 * be trusted then. After SIM_CUT comes sim_power_cut or sim_kill before the
 * next sim_run. */
enum sim_end sim_run(void (*body)(void *context), void *context);

/* The process dies: handles, locks, sockets and maps go, clients see a reset.
 * What it wrote stays as written as it was (the kernel lives on). */
void sim_kill(void);

/* ---- Operations and power cuts ---- */

/* Operations that change the disk; SIM_OP_READ and SIM_OP_LIST only exist for
 * sim_fail. */
enum sim_op {
	SIM_OP_NONE,
	SIM_OP_WRITE,    /* port_write, port_write_pieces: one each */
	SIM_OP_SYNC,     /* port_sync_start, port_sync */
	SIM_OP_SYNC_DIR, /* port_sync_dir */
	SIM_OP_CREATE,   /* port_open, port_lock that make a file */
	SIM_OP_RENAME,
	SIM_OP_REMOVE, /* port_remove, port_rmdir */
	SIM_OP_RESIZE, /* port_resize; port_open with PORT_EMPTY on a file with content */
	SIM_OP_MKDIR,
	SIM_OP_READ,
	SIM_OP_LIST,
	SIM_OP_OPEN, /* opening of what exists */
	SIM_OP_COUNT
};
const char *sim_op_name(enum sim_op op);

/* Changing operations since sim_reset. */
uint64_t sim_ops(void);
/* Makes the n-th changing operation from now (1 is the next one) the moment of
 * the cut; 0 disarms. That operation is half done: a write, create, rename,
 * remove or resize is there but not synced, a sync has synced nothing. */
void sim_cut_at(uint64_t n);
/* Called after every changing operation that was done (NULL: none), for what must
 * hold at all times. */
void sim_on_op(void (*look)(void));
/* What the last cut hit: for tables and messages. */
enum sim_op sim_cut_kind(void);
const char *sim_cut_path(void);

/* What becomes of that which was not synced. Each unsynced write meets one of
 * four fates, drawn by weight; names and sizes are drawn in per cent. */
struct sim_policy {
	/* weights of: all of it is there, nothing, a part up to some byte (the
	 * rest is as before or garbage), garbage in its place */
	unsigned keep, lose, torn, garbage;
	bool torn_block;   /* a torn or garbage write may destroy synced bytes of its
			    * 4 KiB block (PORT_TORN_BLOCK) */
	unsigned grown;    /* %: a lost write beyond the end has grown the file all
			    * the same, zeros or garbage there */
	unsigned resizes;  /* %: an unsynced port_resize is kept */
	unsigned names;    /* %: an unsynced create, rename, remove, mkdir is kept */
	bool only_last;    /* only the last write of each file is torn or garbage, those
			    * before it are kept */
	bool first_lost;   /* the first unsynced write of each file is lost, the others
			    * are kept (reordering at its worst) */
	bool by_subset;    /* instead of all of the above: bit i of subset says whether
			    * the i-th unsynced thing is kept whole (sim_unsynced) */
	uint64_t subset;
};
extern const struct sim_policy sim_keep_all;
extern const struct sim_policy sim_lose_all;
extern const struct sim_policy sim_mixed;     /* everything at once */
extern const struct sim_policy sim_torn;      /* the last write torn, its block harmed */
extern const struct sim_policy sim_garbage;   /* the last write garbage, its block harmed */
extern const struct sim_policy sim_reordered; /* kept or lost, each by itself */
extern const struct sim_policy sim_first_lost;

/* The plug is pulled: sim_kill, and the disk is what the policy leaves. Every
 * call draws anew (from the seed). Inside sim_run it leaves the body with
 * SIM_CUT, and the caller must not call it again for that cut. */
void sim_power_cut(const struct sim_policy *policy);

/* How many things are not synced: writes, resizes and name changes. Those of
 * names come first, then those of the files in order of their making; this is
 * the order of sim_policy.subset. */
unsigned sim_unsynced(void);

/* The whole disk with its unsynced state, to be had again: for trying many
 * fates of one moment. Loading keeps the image and drops all handles. */
struct sim_image;
struct sim_image *sim_image_save(void);
void sim_image_load(const struct sim_image *image);
void sim_image_free(struct sim_image *image);

/* ---- Faults ---- */

/* The n-th operation of that kind from now fails with err (E_IO, E_NOSPC...),
 * with every further one when from_then_on. n 0 disarms. A failed write has
 * written some part; a failed sync has lost what it should have synced, and
 * later syncs succeed: the file goes on to show the lost bytes or not (by the
 * seed) until sim_drop_caches or a cut. */
void sim_fail(enum sim_op op, uint64_t n, int err, bool from_then_on);
/* How many operations failed so since sim_reset. */
uint64_t sim_failed(void);
/* Files show what would be there without the bytes lost by failed syncs. */
void sim_drop_caches(void);

/* What the disk is like. total 0 (the default) means without limit. */
void sim_disk(enum port_fs_kind kind, uint64_t total);
void sim_mount_point(bool is);
/* A mount point (a literal, or NULL) on which nothing is mounted though it should. */
void sim_mount_missing(const char *mount);
/* What is below that directory (a literal, or NULL) is another file system, with
 * so many bytes free. */
void sim_mounted(const char *mount, uint64_t free);
/* Bytes of the disk that another program holds. */
void sim_disk_taken(uint64_t bytes);

/* Damage, durable at once. False when there is no such file or place. */
bool sim_flip_bit(const char *path, uint64_t offset, unsigned bit);
bool sim_swap_blocks(const char *path, uint64_t block, uint64_t other);
bool sim_copy_block(const char *from, uint64_t block, const char *to, uint64_t other);
bool sim_zero_block(const char *path, uint64_t block);

/* Bytes charged to all files in and below a directory (or to one file): of each
 * the larger of its size and its 4 KiB blocks. */
uint64_t sim_charged(const char *path);
/* Since sim_reset. Blocks counts each 4 KiB block once for every sync that
 * covers it, which is what flash programs at least. */
uint64_t sim_bytes_written(void);
uint64_t sim_bytes_read(void);
uint64_t sim_blocks_synced(void);
uint64_t sim_syncs(void);
/* Called for each 4 KiB block that a sync covers (NULL: none), which is one program of
 * that place of the file. */
void sim_on_program(void (*program)(const char *path, uint64_t block));
/* Open files, directories included; 0 when nothing leaks. */
unsigned sim_open_files(void);

/* A sync takes between least and most microseconds of virtual time: until then
 * port_sync_done says E_AGAIN and what was written is not durable. Default 0. */
void sim_sync_time(uint64_t least_us, uint64_t most_us);

/* ---- Network ---- */

/* A client at the other end. Ids are small and never used again; a client stays
 * valid, closed or not, until sim_reset. */
typedef int sim_client;

/* Connects to a listener's port as 127.0.0.1 from a port of its own, or as
 * `from`. E_CLOSED when nobody listens or 64 wait already. */
sim_client sim_connect(uint16_t port);
sim_client sim_connect_from(uint16_t port, const struct port_address *from);
sim_client sim_connect_unix(const char *path, uint32_t uid, uint32_t gid);

/* Bytes taken (0 when the buffer on the way is full), or E_CLOSED. */
int64_t sim_client_send(sim_client c, const void *data, size_t len);
/* Bytes that came, 0 when there are none now, or E_CLOSED at the end of the
 * stream, E_IO after a reset. */
int64_t sim_client_recv(sim_client c, void *data, size_t len);
/* Bytes ready to be received. */
size_t sim_client_ready(sim_client c);
/* The server has closed (what it sent may still be unread). */
bool sim_client_closed(sim_client c);
void sim_client_half_close(sim_client c); /* no more sending */
void sim_client_close(sim_client c);      /* the server's sends fail from now on */
void sim_client_reset(sim_client c);      /* what was in flight is lost */
/* The cable is pulled: nothing moves any more, port_alive says false. */
void sim_client_vanish(sim_client c);

/* How bytes are cut into pieces for port_recv and port_send. */
enum sim_chunks { SIM_CHUNKS_WHOLE, SIM_CHUNKS_RANDOM, SIM_CHUNKS_ONE };
/* Default: random, and 16 KiB of kernel buffer a direction. */
void sim_network(enum sim_chunks chunks, size_t buffer);
/* The next n port_accept calls find the system's table full. */
void sim_accept_fail(unsigned n);
/* Server ends that are open, listeners not counted. */
unsigned sim_open_sockets(void);

/* ---- Time and the rest ---- */

/* Every port_now_us adds one microsecond; port_wait sleeps by moving the clock
 * to the next event or its time-out. The wall clock starts in 2024. */
void sim_advance_us(uint64_t us);
uint64_t sim_time_us(void); /* without adding */
void sim_set_wall(int64_t seconds);
void sim_set_zone(int minutes);

/* Calls event(context) when the clock gets to now + us, from port_wait or
 * sim_advance_us. At most SIM_EVENTS_MAX are outstanding. A cut or kill leaves
 * them: clients outlive the server. */
#define SIM_EVENTS_MAX 256
void sim_after(uint64_t us, void (*event)(void *context), void *context);
/* Called at the start of each port_wait and after each event, so that scripted
 * clients move. True: something happened, look again. NULL: none. */
void sim_on_wait(bool (*move)(void *context), void *context);

void sim_signal(unsigned signals); /* PORT_RELOAD, PORT_STOP */
void sim_entropy_ready(bool ready);

/* A number below limit (not 0) from the seed's stream for tests, so that a
 * workload needs no generator of its own. */
uint64_t sim_random(uint64_t limit);

/* Log lines that came, oldest first; the ring keeps SIM_LOG_LINES. With SIM_LOG
 * in the environment they go to stderr too, with SIM_TRACE operations as well. */
#define SIM_LOG_LINES 256
unsigned sim_log_count(void);
const char *sim_log_line(unsigned i);
bool sim_log_has(const char *part);

/* Standard input to come, and standard output that came (NUL-terminated). */
void sim_stdin(const void *data, size_t len);
const char *sim_stdout(size_t *len);

#endif
