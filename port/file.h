/* The door to the file system. port/posix keeps this contract on Linux,
 * port/sim keeps it on a simulated flash that loses power.
 *
 * Units are bytes, times are microseconds, errors are those of base/err.h.
 * Handles are small integers; a negative one is an error. Paths are C strings,
 * absolute or relative to the working directory, at most PORT_PATH_MAX bytes
 * with the NUL. Nothing here allocates memory.
 *
 * What is durable when (this is the whole truth a caller may rely on):
 *  - written bytes and a changed size: after a sync of that file completed;
 *  - a created, renamed or removed name: after a sync of its directory
 *    completed (and a new file's content needs the file's own sync as well);
 *  - anything else may be lost, kept or kept in part, in any order, when power
 *    goes: a write that was not synced may be cut at any byte, replaced by
 *    garbage, or be there although an earlier one is not; a file's size may
 *    have grown although its data did not come (zeros or garbage there);
 *  - a write that is cut may also destroy synced bytes of the same 4 KiB block
 *    of the file (PORT_TORN_BLOCK), never those of other blocks;
 *  - after a failed sync the data written since the last good one is lost or
 *    not, and a further sync says nothing about it. */
#ifndef PORT_FILE_H
#define PORT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORT_PATH_MAX 512
#define PORT_TORN_BLOCK 4096

typedef int port_file;

enum {
	PORT_READ = 1,      /* for reading */
	PORT_WRITE = 2,     /* for writing */
	PORT_CREATE = 4,    /* make it when missing, mode 0600 */
	PORT_EXCLUSIVE = 8, /* with PORT_CREATE: E_EXIST when it is there */
	PORT_EMPTY = 16     /* cut to length 0 at open; never used on live data */
};

/* A handle, or E_NOENT, E_EXIST, E_ACCESS, E_NOSPC, E_NOMEM (too many open),
 * E_READONLY, E_IO. The handle is the caller's until port_close; a file that is
 * removed or renamed stays the same file behind its open handles. */
port_file port_open(const char *path, unsigned flags);
/* Syncs nothing: what was not durable before may still be lost. A negative handle
 * is fine and does nothing. */
void port_close(port_file f);

/* Reads len bytes at offset. Returns how many; fewer than len only at the end
 * of the file. E_IO when the device fails, and, here as in all calls below that
 * take a handle, for a handle that is negative or not open for this. Short reads of the system and
 * interrupted calls are dealt with inside. */
int64_t port_read(port_file f, uint64_t offset, void *data, size_t len);

/* Writes all len bytes at offset, extending the file where needed. OK, or
 * E_NOSPC, E_IO, E_READONLY; after an error any part may have been written. */
int port_write(port_file f, uint64_t offset, const void *data, size_t len);

/* Several pieces one behind the other, as one write where the system can. */
struct port_piece {
	const void *data;
	size_t len;
};
/* Errors and what may be torn are those of port_write: the order of the pieces is
 * no promise, any part of any of them may be there after a cut. */
int port_write_pieces(port_file f, uint64_t offset, const struct port_piece *pieces, size_t n);

/* Makes what was written to f so far durable: data and size. A sync has a
 * start and a completion, so that a loop may do other work in between:
 * port_sync_start returns OK when under way or complete; port_sync_done returns
 * E_AGAIN while it is not complete, then its result once (OK, E_IO, E_NOSPC).
 * It covers what was written before its start, nothing later. At most one sync
 * of one handle is under way: a second start, or a done without one, is E_STATE.
 * What the device has to say always comes by port_sync_done. Closing the handle
 * gives the sync up: it may have happened or not. port/posix blocks in the start
 * and adds the time to port_sync_stats. */
int port_sync_start(port_file f);
int port_sync_done(port_file f);
/* Start and wait in one, for start-up, tools and small files. */
int port_sync(port_file f);

struct port_sync_stats {
	uint64_t count;      /* syncs of files and directories since start */
	uint64_t total_us;   /* time spent in them */
	uint64_t longest_us; /* the longest one */
};
void port_sync_stats(struct port_sync_stats *out);

/* Size in bytes, or E_IO. */
int64_t port_size(port_file f);
/* Bytes of the medium that the file occupies (its blocks), or E_IO. */
int64_t port_allocated(port_file f);
/* Sets the size: a larger one makes a hole of zeros, a smaller one cuts.
 * Durable with the file's next sync. OK, or E_NOSPC, E_IO, E_READONLY. */
int port_resize(port_file f, uint64_t size);

/* Names. Durable only after port_sync_dir of the directory they are in (of both,
 * if a rename has two). A rename replaces an existing target in one step. OK, or
 * E_NOENT, E_EXIST, E_ACCESS, E_NOSPC, E_READONLY, E_IO; after an error nothing
 * has changed, but for a sync, where the names since the last good one may or may
 * not be durable. port_exists and port_is_dir are false for what can't be seen.
 * port_sync_dir has no start and completion: it blocks, everywhere, and its time is
 * in port_sync_stats. It is needed once a new file, not once a message. */
int port_remove(const char *path);
int port_rename(const char *from, const char *to);
int port_mkdir(const char *path); /* mode 0700; E_EXIST when there */
int port_rmdir(const char *path);
int port_sync_dir(const char *path);
/* port_sync_dir of the directory that `path` is in: its name is durable then, or
 * that it is gone. E_LIMIT: too long. */
int port_sync_name(const char *path);
bool port_exists(const char *path);
bool port_is_dir(const char *path);

/* Calls each(context, name) for every name in the directory but . and .., in
 * no order, until it returns false. The name is valid during the call; the
 * directory may be changed only after the listing ended. OK (also when each ended
 * it), or E_NOENT, E_ACCESS, E_NOMEM, E_IO. */
int port_list(const char *path, bool (*each)(void *context, const char *name), void *context);

/* An exclusive lock on a file that is held until port_close or the end of the
 * process; made when missing. A handle, or E_BUSY when another process (or
 * handle) has it, or the errors of port_open. */
port_file port_lock(const char *path);

/* What the file system that holds `path` is like. */
enum port_fs_kind { PORT_FS_OTHER, PORT_FS_EXT4, PORT_FS_F2FS, PORT_FS_UBIFS, PORT_FS_JFFS2, PORT_FS_VOLATILE };
struct port_fs {
	enum port_fs_kind kind;
	const char *name;      /* "ext4", "tmpfs"...; a constant */
	uint64_t total, free;  /* bytes; free as an unprivileged process sees it */
	bool mount_point;      /* path is the root of a mounted file system */
	uint64_t device;       /* the same number: the same file system */
};
/* OK, or E_NOENT, E_ACCESS, E_LIMIT (the path is too long), E_IO; out is good only
 * after OK. */
int port_fs_info(const char *path, struct port_fs *out);

/* Whether a mount point at or above `path` stands in the system's tables (fstab,
 * OpenWrt's as well) but has nothing mounted on it now: what is written there
 * would land on the medium below. Its name goes into out. Reads several files. */
bool port_fs_missing(const char *path, char out[PORT_PATH_MAX]);

/* Modification time in seconds since 1970, or E_NOENT, E_ACCESS, E_IO. */
int64_t port_modified(const char *path);

#endif
