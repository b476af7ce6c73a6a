/* What a path stands on: the kind of file system, its room, and whether it is
 * mounted there. */
#include "port/posix/posix.h"

#include "base/err.h"
#include "port/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAGIC_OVERLAY 0x794c7630

/* f_type of statfs(2); linux/magic.h lacks some of them. */
static const struct {
	uint32_t magic;
	enum port_fs_kind kind;
	const char *name;
} kinds[] = {
	{0xef53, PORT_FS_EXT4, "ext4"}, /* ext2 and ext3 as well */
	{0xf2f52010, PORT_FS_F2FS, "f2fs"},
	{0x24051905, PORT_FS_UBIFS, "ubifs"},
	{0x72b6, PORT_FS_JFFS2, "jffs2"},
	{0x01021994, PORT_FS_VOLATILE, "tmpfs"},
	{0x858458f6, PORT_FS_VOLATILE, "ramfs"},
	{MAGIC_OVERLAY, PORT_FS_OTHER, "overlay"},
	{0x58465342, PORT_FS_OTHER, "xfs"},
	{0x9123683e, PORT_FS_OTHER, "btrfs"},
	{0xca451a4e, PORT_FS_OTHER, "bcachefs"},
	{0x2fc12fc1, PORT_FS_OTHER, "zfs"},
	{0x4d44, PORT_FS_OTHER, "vfat"},
	{0x2011bab0, PORT_FS_OTHER, "exfat"},
	{0x7366746e, PORT_FS_OTHER, "ntfs"},
	{0x73717368, PORT_FS_OTHER, "squashfs"},
	{0x6969, PORT_FS_OTHER, "nfs"},
	{0xff534d42, PORT_FS_OTHER, "cifs"},
	{0xfe534d42, PORT_FS_OTHER, "cifs"},
	{0x01021997, PORT_FS_OTHER, "9p"},
	{0x65735546, PORT_FS_OTHER, "fuse"},
};

static void kind_of(uint32_t magic, struct port_fs *out)
{
	out->kind = PORT_FS_OTHER;
	out->name = "unknown";
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kinds[i].magic == magic) {
			out->kind = kinds[i].kind;
			out->name = kinds[i].name;
		}
}

/* The value of `key` (with its '=') in a comma-separated option list, cut off in
 * place, or NULL. A key without '=' is looked for as a whole word. */
static char *option(char *options, const char *key)
{
	size_t len = strlen(key);
	char *rest = options, *o;

	while ((o = posix_field(&rest, ',')) != NULL) {
		if (strncmp(o, key, len) == 0 && (key[len - 1] == '=' || !o[len]))
			return o + len;
		if (rest)
			rest[-1] = ',';
	}
	return NULL;
}

/* An overlay (the root of OpenWrt, of containers) is as durable as the file
 * system of its upper directory. Found in mountinfo, whose lines read
 * "36 35 98:0 /root /where rw,... shared:1 - overlay source upperdir=...". */
static void look_through(dev_t device, struct port_fs *out)
{
	struct posix_lines lines;
	char number[32], *line;

	if (posix_lines_open(&lines, "/proc/self/mountinfo") != OK)
		return;
	snprintf(number, sizeof number, "%u:%u", major(device), minor(device));
	while ((line = posix_lines_next(&lines)) != NULL) {
		char *rest = line, *end = strstr(line, " - overlay "), *upper;
		struct statfs fs;

		posix_field(&rest, ' ');
		posix_field(&rest, ' ');
		upper = posix_field(&rest, ' ');
		if (!end || !upper || strcmp(upper, number) != 0)
			continue;
		rest = end + strlen(" - overlay ");
		posix_field(&rest, ' ');
		if (!rest)
			break;
		if (option(rest, "volatile")) {
			out->kind = PORT_FS_VOLATILE;
			break;
		}
		upper = option(rest, "upperdir=");
		if (upper && statfs(upper, &fs) == 0) {
			kind_of((uint32_t)fs.f_type, out);
			out->name = "overlay";
		}
		break;
	}
	posix_lines_close(&lines);
}

int port_fs_info(const char *path, struct port_fs *out)
{
	char above[PORT_PATH_MAX + 4];
	struct statfs fs;
	struct stat st, up;
	int n = snprintf(above, sizeof above, "%s/..", path);

	if (n < 0 || (size_t)n >= sizeof above)
		return E_LIMIT;
	if (stat(path, &st) || statfs(path, &fs))
		return posix_err(errno);
	uint64_t unit = (uint64_t)(fs.f_frsize ? fs.f_frsize : fs.f_bsize);
	out->total = (uint64_t)fs.f_blocks * unit;
	out->free = (uint64_t)fs.f_bavail * unit;
	kind_of((uint32_t)fs.f_type, out);
	if ((uint32_t)fs.f_type == MAGIC_OVERLAY)
		look_through(st.st_dev, out);
	out->device = (uint64_t)st.st_dev;
	out->mount_point = stat(above, &up) == 0 && (up.st_dev != st.st_dev || up.st_ino == st.st_ino);
	return OK;
}

/* ---- mount points that should be there ---- */

/* True when path is the mount point itself or below it. */
static bool is_below(const char *path, const char *mount)
{
	size_t n = strlen(mount);

	while (n > 1 && mount[n - 1] == '/')
		n--;
	return n > 1 && strncmp(path, mount, n) == 0 && (path[n] == '/' || path[n] == 0);
}

/* Blanks and backslashes stand as \040 and the like in fstab and mountinfo. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		bool octal = from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
			from[3] >= '0' && from[3] <= '7';

		*to = octal ? (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + from[3] - '0') : *from;
		from += octal ? 4 : 1;
	}
	*to = 0;
}

/* A directory that is mounted elsewhere is on the same device: only the list of
 * mounts knows of it, "36 35 98:0 /root /where ...". */
static bool is_listed(const char *mount)
{
	struct posix_lines lines;
	char *line, resolved[PATH_MAX];
	bool found = false;

	if (!realpath(mount, resolved) || posix_lines_open(&lines, "/proc/self/mountinfo") != OK)
		return false;
	while (!found && (line = posix_lines_next(&lines)) != NULL) {
		char *where = NULL;

		for (unsigned field = 0; field < 5 && (field == 0 || where); field++)
			where = posix_field(&line, ' ');
		if (where) {
			unescape(where);
			found = strcmp(where, resolved) == 0;
		}
	}
	posix_lines_close(&lines);
	return found;
}

static bool is_mounted(const char *mount)
{
	char above[PORT_PATH_MAX + 4];
	struct stat at, parent;

	if (stat(mount, &at) != 0)
		return false;
	(void)snprintf(above, sizeof above, "%s/..", mount);
	if (stat(above, &parent) == 0 && (at.st_dev != parent.st_dev || at.st_ino == parent.st_ino))
		return true;
	return is_listed(mount);
}

/* The mount point that a line of fstab(5) names, or of OpenWrt's
 * /etc/config/fstab ("option target '/mnt/sda1'"); NULL for other lines. */
static char *mount_of(char *line, bool openwrt)
{
	char *rest = NULL, *word = strtok_r(line, " \t\n'\"", &rest);

	if (!word || word[0] == '#')
		return NULL;
	if (!openwrt)
		return strtok_r(NULL, " \t\n", &rest);
	if (strcmp(word, "option") != 0)
		return NULL;
	word = strtok_r(NULL, " \t\n'\"", &rest);
	return word && strcmp(word, "target") == 0 ? strtok_r(NULL, " \t\n'\"", &rest) : NULL;
}

bool posix_mount_missing(const char *table, bool openwrt, const char *path, char *out)
{
	struct posix_lines lines;
	char *line;
	bool missing = false;

	if (posix_lines_open(&lines, table) != OK)
		return false;
	while (!missing && (line = posix_lines_next(&lines)) != NULL) {
		char *mount = mount_of(line, openwrt);

		if (mount && !openwrt)
			unescape(mount);
		missing = mount && mount[0] == '/' && is_below(path, mount) && !is_mounted(mount);
		if (missing)
			(void)snprintf(out, PORT_PATH_MAX, "%s", mount);
	}
	posix_lines_close(&lines);
	return missing;
}

bool port_fs_missing(const char *path, char out[PORT_PATH_MAX])
{
	char whole[2 * PORT_PATH_MAX], here[PORT_PATH_MAX];

	if (path[0] != '/' && getcwd(here, sizeof here)) {
		(void)snprintf(whole, sizeof whole, "%s/%s", here, path);
		path = whole;
	}
	return posix_mount_missing("/etc/fstab", false, path, out) ||
		posix_mount_missing("/etc/config/fstab", true, path, out);
}
