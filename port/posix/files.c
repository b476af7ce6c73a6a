/* Files and names on Linux: the contract of port/file.h. A handle is a file
 * descriptor. Nothing allocates: directories are read by getdents64 into the
 * stack, because opendir calls malloc. */
#include "port/posix/posix.h"

#include "base/err.h"
#include "port/file.h"
#include "port/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* rename */
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* File descriptors that can be files. A sync's result is kept here from its
 * start to its completion. Beyond it port_open answers E_NOMEM; the usual limit
 * of a process is 1024 as well. */
#define FILES_MAX 1024

/* Pieces handed to the system in one call: a commit of the store has at most a
 * few dozen. More go out in several calls. */
#define PIECES_AT_ONCE 64

/* Bytes of directory read at a time, on the stack. */
#define LIST_BYTES 2048

enum sync_state { SYNC_NONE, SYNC_GOOD, SYNC_IO, SYNC_NOSPC };

static uint8_t sync_states[FILES_MAX];
static struct port_sync_stats sync_stats;

port_file port_open(const char *path, unsigned flags)
{
	int how = O_CLOEXEC | O_NOCTTY;
	int fd;

	if ((flags & (PORT_READ | PORT_WRITE)) == (PORT_READ | PORT_WRITE))
		how |= O_RDWR;
	else
		how |= flags & PORT_WRITE ? O_WRONLY : O_RDONLY;
	if (flags & PORT_CREATE)
		how |= O_CREAT;
	if (flags & PORT_EXCLUSIVE)
		how |= O_EXCL;
	if (flags & PORT_EMPTY)
		how |= O_TRUNC;
	do
		fd = open(path, how, 0600);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return posix_err(errno);
	if (fd >= FILES_MAX) {
		close(fd);
		return E_NOMEM;
	}
	sync_states[fd] = SYNC_NONE;
	return fd;
}

void port_close(port_file f)
{
	if (f >= 0)
		close(f);
}

int64_t port_read(port_file f, uint64_t offset, void *data, size_t len)
{
	size_t done = 0;

	if (offset > INT64_MAX)
		return 0;
	while (done < len) {
		ssize_t n = pread(f, (uint8_t *)data + done, len - done, (off_t)(offset + done));

		if (n == 0)
			break;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return E_IO;
		}
		done += (size_t)n;
	}
	return (int64_t)done;
}

/* The errors of port_write. */
static int write_err(int number)
{
	int err = posix_err(number);

	return err == E_NOSPC || err == E_READONLY ? err : E_IO;
}

int port_write(port_file f, uint64_t offset, const void *data, size_t len)
{
	size_t done = 0;

	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return E_NOSPC;
	while (done < len) {
		ssize_t n = pwrite(f, (const uint8_t *)data + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno != EINTR)
			return write_err(errno);
		if (n > 0)
			done += (size_t)n;
	}
	return OK;
}

/* Fills list with what is left of the pieces from piece *at on, of which `into`
 * bytes are written already. */
static int pieces_list(struct iovec *list, const struct port_piece *pieces, size_t n, size_t at, size_t into)
{
	int count = 0;

	for (; at < n && count < PIECES_AT_ONCE; at++, into = 0) {
		if (pieces[at].len == into)
			continue;
		/* iovec serves reads too and has no const */
		list[count].iov_base = (void *)((uintptr_t)pieces[at].data + into);
		list[count].iov_len = pieces[at].len - into;
		count++;
	}
	return count;
}

int port_write_pieces(port_file f, uint64_t offset, const struct port_piece *pieces, size_t n)
{
	struct iovec list[PIECES_AT_ONCE];
	size_t at = 0, into = 0;

	if (offset > INT64_MAX)
		return E_NOSPC;
	for (;;) {
		int count = pieces_list(list, pieces, n, at, into);
		ssize_t wrote;
		size_t left;

		if (count == 0)
			return OK;
		wrote = pwritev(f, list, count, (off_t)offset);
		if (wrote < 0) {
			if (errno == EINTR)
				continue;
			return write_err(errno);
		}
		offset += (uint64_t)wrote;
		left = (size_t)wrote;
		while (at < n && left >= pieces[at].len - into) {
			left -= pieces[at].len - into;
			at++;
			into = 0;
		}
		into += left;
	}
}

static void sync_count(uint64_t started)
{
	uint64_t took = port_now_us() - started;

	sync_stats.count++;
	sync_stats.total_us += took;
	if (took > sync_stats.longest_us)
		sync_stats.longest_us = took;
}

void port_sync_stats(struct port_sync_stats *out)
{
	*out = sync_stats;
}

int port_sync_start(port_file f)
{
	uint64_t started = port_now_us();
	int failed;

	if (f < 0 || f >= FILES_MAX || sync_states[f] != SYNC_NONE)
		return E_STATE;
	/* A changed size is covered: without it the data could not be read back. */
	do
		failed = fdatasync(f);
	while (failed && errno == EINTR);
	sync_count(started);
	if (!failed)
		sync_states[f] = SYNC_GOOD;
	else
		sync_states[f] = posix_err(errno) == E_NOSPC ? SYNC_NOSPC : SYNC_IO;
	return OK;
}

int port_sync_done(port_file f)
{
	uint8_t state;

	if (f < 0 || f >= FILES_MAX || sync_states[f] == SYNC_NONE)
		return E_STATE;
	state = sync_states[f];
	sync_states[f] = SYNC_NONE;
	return state == SYNC_GOOD ? OK : state == SYNC_NOSPC ? E_NOSPC : E_IO;
}

int port_sync(port_file f)
{
	int err = port_sync_start(f);

	return err == OK ? port_sync_done(f) : err;
}

int64_t port_size(port_file f)
{
	struct stat st;

	return fstat(f, &st) ? posix_err(errno) : (int64_t)st.st_size;
}

int64_t port_allocated(port_file f)
{
	struct stat st;

	/* st_blocks counts 512 bytes whatever the file system's block is */
	return fstat(f, &st) ? posix_err(errno) : (int64_t)st.st_blocks * 512;
}

int port_resize(port_file f, uint64_t size)
{
	int failed;

	if (size > INT64_MAX)
		return E_NOSPC;
	do
		failed = ftruncate(f, (off_t)size);
	while (failed && errno == EINTR);
	return failed ? posix_err(errno) : OK;
}

int port_remove(const char *path)
{
	return unlink(path) ? posix_err(errno) : OK;
}

int port_rename(const char *from, const char *to)
{
	return rename(from, to) ? posix_err(errno) : OK;
}

int port_mkdir(const char *path)
{
	return mkdir(path, 0700) ? posix_err(errno) : OK;
}

int port_rmdir(const char *path)
{
	return rmdir(path) ? posix_err(errno) : OK;
}

int port_sync_dir(const char *path)
{
	uint64_t started = port_now_us();
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed, err;

	if (fd < 0)
		return posix_err(errno);
	do
		failed = fsync(fd);
	while (failed && errno == EINTR);
	err = failed ? posix_err(errno) : OK;
	close(fd);
	sync_count(started);
	return err;
}

bool port_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

bool port_is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int64_t port_modified(const char *path)
{
	struct stat st;

	return stat(path, &st) ? posix_err(errno) : (int64_t)st.st_mtime;
}

/* What the kernel writes for getdents64; the C libraries hide it. */
struct entry {
	uint64_t inode;
	int64_t next;
	uint16_t len; /* of the whole entry */
	uint8_t type;
	char name[];
};

/* Gives the entries in data to each. False when it wants no more. */
static bool list_entries(const uint8_t *data, size_t len, bool (*each)(void *, const char *), void *context)
{
	size_t at = 0;

	while (at < len) {
		const struct entry *e = (const void *)(data + at);

		at += e->len;
		if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
			continue;
		if (!each(context, e->name))
			return false;
	}
	return true;
}

int port_list(const char *path, bool (*each)(void *context, const char *name), void *context)
{
	uint64_t data[LIST_BYTES / sizeof(uint64_t)];
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = OK;

	if (fd < 0)
		return posix_err(errno);
	for (;;) {
		long n = syscall(SYS_getdents64, fd, data, sizeof data);

		if (n < 0)
			err = posix_err(errno);
		if (n <= 0 || !list_entries((const uint8_t *)data, (size_t)n, each, context))
			break;
	}
	close(fd);
	return err;
}

port_file port_lock(const char *path)
{
	port_file f = port_open(path, PORT_READ | PORT_WRITE | PORT_CREATE);
	int failed;

	if (f < 0)
		return f;
	/* flock, not fcntl: it belongs to the handle and outlives a fork */
	do
		failed = flock(f, LOCK_EX | LOCK_NB);
	while (failed && errno == EINTR);
	if (failed) {
		int err = posix_err(errno);
		close(f);
		return err;
	}
	return f;
}
