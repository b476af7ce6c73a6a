/* Users and groups from /etc/passwd and /etc/group, read by ourselves because
 * the C library's way allocates and, in a static program, may load modules. */
#include "port/posix/posix.h"

#include "base/err.h"
#include "port/system.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

/* Further groups of the server's user. Beyond it the rest is left out: fewer
 * rights, never more. */
#define GROUPS_MAX 32

int posix_user(const char *name, uint32_t *uid, uint32_t *gid)
{
	struct posix_lines lines;
	uint64_t number, group;
	char *line;
	int err = posix_lines_open(&lines, "/etc/passwd");

	while (err == OK && (line = posix_lines_next(&lines)) != NULL) {
		char *rest = line, *who = posix_field(&rest, ':'), *id;

		posix_field(&rest, ':'); /* password */
		id = posix_field(&rest, ':');
		line = posix_field(&rest, ':');
		if (strcmp(who, name) != 0 || !id || !line || !posix_number(id, UINT32_MAX - 1, &number) ||
			!posix_number(line, UINT32_MAX - 1, &group))
			continue;
		*uid = (uint32_t)number;
		*gid = (uint32_t)group;
		posix_lines_close(&lines);
		return OK;
	}
	if (err == OK)
		posix_lines_close(&lines);
	if (!posix_number(name, UINT32_MAX - 1, &number))
		return E_NOENT;
	*uid = *gid = (uint32_t)number;
	return OK;
}

/* Takes a line of /etc/group apart: "name:x:gid:member,member". */
static bool group_line(char *line, const char **name, uint32_t *gid, char **members)
{
	char *rest = line, *id;
	uint64_t number;

	*name = posix_field(&rest, ':');
	posix_field(&rest, ':');
	id = posix_field(&rest, ':');
	*members = rest;
	if (!id || !posix_number(id, UINT32_MAX - 1, &number))
		return false;
	*gid = (uint32_t)number;
	return true;
}

int posix_group(const char *name, uint32_t *gid)
{
	struct posix_lines lines;
	const char *group;
	char *line, *members;
	uint64_t number;
	int err = posix_lines_open(&lines, "/etc/group");

	while (err == OK && (line = posix_lines_next(&lines)) != NULL)
		if (group_line(line, &group, gid, &members) && strcmp(group, name) == 0) {
			posix_lines_close(&lines);
			return OK;
		}
	if (err == OK)
		posix_lines_close(&lines);
	if (!posix_number(name, UINT32_MAX - 1, &number))
		return E_NOENT;
	*gid = (uint32_t)number;
	return OK;
}

/* Every group that has the user as a member, his own first. */
static size_t groups_of(const char *user, uint32_t own, gid_t *groups)
{
	struct posix_lines lines;
	const char *group;
	char *line, *members, *member;
	uint32_t gid;
	size_t n = 0;

	groups[n++] = (gid_t)own;
	if (posix_lines_open(&lines, "/etc/group") != OK)
		return n;
	while (n < GROUPS_MAX && (line = posix_lines_next(&lines)) != NULL) {
		if (!group_line(line, &group, &gid, &members) || gid == own)
			continue;
		while ((member = posix_field(&members, ',')) != NULL)
			if (strcmp(member, user) == 0) {
				groups[n++] = (gid_t)gid;
				break;
			}
	}
	posix_lines_close(&lines);
	return n;
}

int port_give(const char *path, const char *user)
{
	uint32_t uid, gid;
	int err = posix_user(user, &uid, &gid);

	if (err != OK)
		return err;
	return chown(path, (uid_t)uid, (gid_t)gid) ? posix_err(errno) : OK;
}

uint32_t port_user_id(void)
{
	return (uint32_t)geteuid();
}

int port_drop_privileges(const char *user, const char *dir)
{
	gid_t groups[GROUPS_MAX];
	uint32_t uid, gid;
	size_t n;
	int err = posix_user(user, &uid, &gid);

	if (err != OK)
		return err;
	n = groups_of(user, gid, groups);
	posix_zone_load();
	if (dir && (chroot(dir) || chdir("/")))
		return posix_err(errno);
	/* who is that user already, and no more, has nothing to give up */
	if (geteuid() != 0) {
		if (geteuid() != (uid_t)uid || getuid() != (uid_t)uid)
			return E_ACCESS;
	} else if (setgroups(n, groups) || setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) ||
		setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid)) {
		return posix_err(errno);
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		return E_ACCESS;
	return OK;
}
