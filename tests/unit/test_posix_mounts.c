/* Mount points that stand in a table but have nothing mounted. */
#define _GNU_SOURCE 1

#include "base/err.h"
#include "port/file.h"
#include "port/posix/posix.h"
#include "tests/unit/t.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[64];

static void table(const char *text)
{
	port_file f;

	memcpy(folder, "/tmp/cubby-test-XXXXXX", 23);
	T_OK(mkdtemp(folder) != NULL);
	T_OK(chdir(folder) == 0);
	f = port_open("table", PORT_WRITE | PORT_CREATE);
	T_OK(f >= 0);
	T_EQ(port_write(f, 0, text, strlen(text)), OK);
	port_close(f);
}

T_TEST(fstab)
{
	char line[200], path[100], out[PORT_PATH_MAX];

	table("");
	snprintf(line, sizeof line, "# a comment\n/dev/sdb1 %s ext4 defaults 0 2\nproc /proc proc\n", folder);
	table(line);
	/* The line names the folder made first: nothing is mounted there. */
	snprintf(path, sizeof path, "%.22s/mail", strstr(line, "/tmp/cubby-test-"));
	T_OK(posix_mount_missing("table", false, path, out));
	T_OK(strncmp(out, path, 22) == 0 && strlen(out) == 22);
	T_OK(!posix_mount_missing("table", false, "/proc/mail", out));
	T_OK(!posix_mount_missing("table", false, "/tmp/elsewhere", out));
	T_OK(!posix_mount_missing("no such table", false, path, out));
}

T_TEST(fstab_with_blanks)
{
	char out[PORT_PATH_MAX];

	table("/dev/sdb1 /mnt/my\\040stick\\134 ext4 defaults 0 2\n");
	T_OK(posix_mount_missing("table", false, "/mnt/my stick\\/mail", out));
	T_BYTES(out, strlen(out), "/mnt/my stick\\");
	T_OK(!posix_mount_missing("table", false, "/mnt/my\\040stick\\134/mail", out));
}

T_TEST(openwrt)
{
	char out[PORT_PATH_MAX];

	table("config mount\n\toption target '/mnt/no-such-disk'\n\toption enabled '1'\n");
	T_OK(posix_mount_missing("table", true, "/mnt/no-such-disk/mail", out));
	T_OK(!posix_mount_missing("table", true, "/mnt/no-such-disk-either", out));
	T_BYTES(out, strlen(out), "/mnt/no-such-disk");
}

T_MAIN(T_RUN(fstab) T_RUN(fstab_with_blanks) T_RUN(openwrt))
