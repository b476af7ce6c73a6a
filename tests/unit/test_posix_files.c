/* The contract of port/file.h on Linux, in a folder of its own below /tmp. */
#define _GNU_SOURCE 1

#include "base/err.h"
#include "port/file.h"
#include "tests/unit/t.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void folder(void)
{
	char name[] = "/tmp/cubby-test-XXXXXX";

	T_OK(mkdtemp(name) != NULL);
	T_OK(chdir(name) == 0);
}

static bool take_away(void *context, const char *name)
{
	(void)context;
	if (port_remove(name) != OK)
		port_rmdir(name);
	return true;
}

static void leave(void)
{
	char name[64];

	T_OK(getcwd(name, sizeof name) != NULL);
	T_EQ(port_list(".", take_away, NULL), OK);
	T_OK(chdir("/") == 0);
	T_EQ(port_rmdir(name), OK);
}

T_TEST(opens_as_asked)
{
	struct stat st;
	port_file f;

	folder();
	T_EQ(port_open("f", PORT_READ), E_NOENT);
	T_EQ(port_open("no/f", PORT_WRITE | PORT_CREATE), E_NOENT);
	f = port_open("f", PORT_WRITE | PORT_CREATE | PORT_EXCLUSIVE);
	T_OK(f >= 0);
	T_OK(stat("f", &st) == 0 && (st.st_mode & 0777) == 0600);
	T_EQ(port_write(f, 0, "abc", 3), OK);
	port_close(f);
	T_EQ(port_open("f", PORT_WRITE | PORT_CREATE | PORT_EXCLUSIVE), E_EXIST);
	f = port_open("f", PORT_READ | PORT_WRITE | PORT_CREATE);
	T_EQ(port_size(f), 3);
	port_close(f);
	f = port_open("f", PORT_READ | PORT_WRITE | PORT_EMPTY);
	T_EQ(port_size(f), 0);
	port_close(f);
	leave();
}

T_TEST(reads_and_writes_where_told)
{
	char data[16];
	port_file f;

	folder();
	f = port_open("f", PORT_READ | PORT_WRITE | PORT_CREATE);
	T_EQ(port_write(f, 5000, "abc", 3), OK);
	T_EQ(port_size(f), 5003);
	T_EQ(port_read(f, 4999, data, 16), 4);
	T_OK(memcmp(data, "\0abc", 4) == 0);
	T_EQ(port_read(f, 5003, data, 16), 0);
	T_EQ(port_read(f, UINT64_MAX, data, 16), 0);
	T_EQ(port_write(f, UINT64_MAX - 1, "abc", 3), E_NOSPC);
	T_EQ(port_resize(f, (uint64_t)5 << 30), OK); /* beyond 32 bits */
	T_EQ(port_size(f), (long long)5 << 30);
	T_EQ(port_write(f, ((uint64_t)5 << 30) - 1, "z", 1), OK);
	T_EQ(port_read(f, ((uint64_t)5 << 30) - 1, data, 2), 1);
	T_OK(port_allocated(f) < 1 << 20);
	T_EQ(port_resize(f, 5001), OK);
	T_EQ(port_size(f), 5001);
	port_close(f);
	leave();
}

T_TEST(pieces_lie_one_behind_the_other)
{
	struct port_piece pieces[200];
	static char text[200][3], all[400];
	size_t len = 0;
	port_file f;

	folder();
	f = port_open("f", PORT_READ | PORT_WRITE | PORT_CREATE);
	for (int i = 0; i < 200; i++) {
		size_t n = (size_t)(i % 3);

		memset(text[i], 'a' + i % 26, 3);
		pieces[i] = (struct port_piece){ text[i], n };
		len += n;
	}
	T_EQ(port_write_pieces(f, 7, pieces, 200), OK);
	T_EQ(port_size(f), 7 + (long long)len);
	T_EQ(port_read(f, 7, all, sizeof all), (long long)len);
	for (int i = 0, at = 0; i < 200; at += i % 3, i++)
		T_OK(memcmp(all + at, text[i], (size_t)(i % 3)) == 0);
	T_EQ(port_write_pieces(f, 0, pieces, 0), OK);
	port_close(f);
	leave();
}

T_TEST(sync_has_a_start_and_a_result)
{
	struct port_sync_stats before, stats;
	port_file f;

	folder();
	port_sync_stats(&before);
	f = port_open("f", PORT_WRITE | PORT_CREATE);
	T_EQ(port_write(f, 0, "x", 1), OK);
	T_EQ(port_sync_done(f), E_STATE);
	T_EQ(port_sync_start(f), OK);
	T_EQ(port_sync_start(f), E_STATE);
	T_EQ(port_sync_done(f), OK);
	T_EQ(port_sync_done(f), E_STATE);
	T_EQ(port_sync(f), OK);
	T_EQ(port_sync_dir("."), OK);
	T_EQ(port_sync_dir("f"), E_NOENT);
	port_sync_stats(&stats);
	T_EQ(stats.count - before.count, 3);
	T_OK(stats.longest_us <= stats.total_us);
	/* a pipe cannot be synced: the error is the completion's */
	int pipe_ends[2];
	T_OK(pipe(pipe_ends) == 0);
	T_EQ(port_sync_start(pipe_ends[1]), OK);
	T_EQ(port_sync_done(pipe_ends[1]), E_IO);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	port_close(f);
	leave();
}

static bool count_names(void *context, const char *name)
{
	unsigned *seen = context;

	*seen += name[0] == 'n' && strlen(name) == 100;
	return *seen < 150;
}

T_TEST(lists_directories_of_any_size)
{
	unsigned seen = 0;
	char name[101];

	folder();
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "n%099d", i);
		port_close(port_open(name, PORT_WRITE | PORT_CREATE));
	}
	T_EQ(port_list(".", count_names, &seen), OK);
	T_EQ(seen, 150);
	T_EQ(port_list("none", count_names, &seen), E_NOENT);
	leave();
}

T_TEST(names_change)
{
	port_file f;

	folder();
	T_EQ(port_mkdir("d"), OK);
	T_EQ(port_mkdir("d"), E_EXIST);
	T_OK(port_is_dir("d") && port_exists("d") && !port_is_dir("none"));
	f = port_open("d/a", PORT_WRITE | PORT_CREATE);
	T_EQ(port_rmdir("d"), E_EXIST);
	T_EQ(port_rename("d/a", "b"), OK);
	T_OK(port_exists("b") && !port_exists("d/a") && !port_is_dir("b"));
	T_EQ(port_rename("d/a", "b"), E_NOENT);
	T_EQ(port_rmdir("d"), OK);
	T_OK(port_modified("b") > 1600000000);
	T_EQ(port_modified("d"), E_NOENT);
	T_EQ(port_remove("b"), OK);
	T_EQ(port_remove("b"), E_NOENT);
	port_close(f);
	leave();
}

T_TEST(lock_excludes_handles_and_processes)
{
	port_file f;
	int status;

	folder();
	f = port_lock("lock");
	T_OK(f >= 0);
	T_EQ(port_lock("lock"), E_BUSY);
	pid_t child = fork();
	if (child == 0)
		_exit(port_lock("lock") == E_BUSY ? 0 : 1);
	T_OK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	port_close(f);
	f = port_lock("lock");
	T_OK(f >= 0);
	port_close(f);
	leave();
}

T_TEST(file_systems_are_told_apart)
{
	struct port_fs fs;

	T_EQ(port_fs_info("/", &fs), OK);
	T_OK(fs.mount_point && fs.total >= fs.free && fs.total > 0);
	T_EQ(port_fs_info("/none", &fs), E_NOENT);
	if (port_fs_info("/dev/shm", &fs) == OK && strcmp(fs.name, "tmpfs") == 0)
		T_EQ(fs.kind, PORT_FS_VOLATILE);
	T_EQ(port_fs_info("/proc/self", &fs), OK);
	T_OK(!fs.mount_point);
	T_EQ(port_fs_info("/proc", &fs), OK);
	T_OK(fs.mount_point && fs.kind == PORT_FS_OTHER);
}

T_MAIN(T_RUN(opens_as_asked) T_RUN(reads_and_writes_where_told) T_RUN(pieces_lie_one_behind_the_other)
		T_RUN(sync_has_a_start_and_a_result) T_RUN(lists_directories_of_any_size) T_RUN(names_change)
			T_RUN(lock_excludes_handles_and_processes) T_RUN(file_systems_are_told_apart))
