/* What the files of port/posix share. To be included first: it chooses the
 * 64-bit file sizes and times of the C library, which 32-bit boards need. */
#ifndef PORT_POSIX_H
#define PORT_POSIX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
#ifndef _TIME_BITS
#define _TIME_BITS 64
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code of base/err.h for an errno; E_IO for what has no closer one. */
int posix_err(int number);

/* Reads a text file of the system (/etc/group, /proc/...) line by line without
 * stdio, which allocates. Of a line longer than POSIX_LINE - 1 bytes only the
 * beginning is given. */
#define POSIX_LINE 4096
struct posix_lines {
	int fd;
	size_t from, to;
	bool skip; /* the rest of a long line is still to be passed over */
	char data[POSIX_LINE];
};
int posix_lines_open(struct posix_lines *l, const char *path);
/* The next line, NUL-terminated and without its line end, valid until the next
 * call; NULL at the end. */
char *posix_lines_next(struct posix_lines *l);
void posix_lines_close(struct posix_lines *l);

/* port_fs_missing by one table: that of fstab(5) or OpenWrt's. */
bool posix_mount_missing(const char *table, bool openwrt, const char *path, char *out);

/* Cuts the text before the next `separator` off *rest and ends it with a NUL;
 * NULL when nothing is left. Empty fields count. */
char *posix_field(char **rest, char separator);

/* A whole decimal number up to max. */
bool posix_number(const char *text, uint64_t max, uint64_t *value);

/* The ids of a user or group in /etc/passwd and /etc/group; E_NOENT. A name of
 * digits is the id itself when no such name exists. */
int posix_user(const char *name, uint32_t *uid, uint32_t *gid);
int posix_group(const char *name, uint32_t *gid);

/* Reads the box's time zone once, while its files can be seen: port_zone_minutes
 * does it at its first call, port_drop_privileges before a chroot. */
void posix_zone_load(void);
/* As if TZ were that: a rule, a file of /usr/share/zoneinfo, or a path. NULL is
 * the box's own. False: unknown, and the zone is UTC. */
bool posix_zone_set(const char *tz);

/* A time of 1970 onwards or before as a date, without the C library: glibc's
 * gmtime_r reads the zone files too. */
struct posix_civil {
	int64_t year;
	unsigned month, day; /* from 1 */
	unsigned weekday;    /* 0 is Sunday */
	unsigned yearday;    /* 0 is the first of January */
	unsigned second;     /* of the day */
};
void posix_civil(int64_t seconds, struct posix_civil *out);
/* Days from 1970-01-01 to a date. */
int64_t posix_days(int64_t year, unsigned month, unsigned day);

/* Minutes east of UTC by a rule as TZ has it: "CET-1CEST,M3.5.0,M10.5.0/3".
 * False when the text is no such rule. For posix_zone_load and its test. */
bool posix_zone_rule(const char *rule, int64_t wall, int *minutes);

/* Read end of the pipe that a signal handler writes to, or -1. */
int posix_signal_fd(void);

/* "unix:PATH", "IP:PORT", "[IP6]:PORT" or "INTERFACE:PORT", taken apart. */
enum posix_place_kind { POSIX_AT_PATH, POSIX_AT_ADDRESS, POSIX_AT_INTERFACE };
struct posix_place {
	enum posix_place_kind kind;
	const char *path;   /* points into the text that was parsed */
	char interface[16]; /* IFNAMSIZ of Linux, with the NUL */
	bool ip6;
	uint8_t ip[16];
	uint32_t scope; /* interface index of a link-local IPv6 address, or 0 */
	uint16_t port;
};
/* OK, E_SYNTAX, or E_NOENT for a scope that names no interface. */
int posix_place_parse(const char *where, struct posix_place *p);

#endif
