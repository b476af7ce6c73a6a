/* The time zone without the C library, whose localtime allocates and reads
 * files when it likes. The box's zone is read once: from TZ, /etc/TZ (OpenWrt
 * with uClibc, a rule) or /etc/localtime (a TZif file, RFC 8536). */
#include "port/posix/posix.h"

#include "base/err.h"
#include "port/system.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Changes of the clock that are kept of a zone's file, the latest ones. Files
 * of today have at most 243; of a longer one, times before the first kept
 * change take the offset before that. */
#define CHANGES_MAX 256

/* Bytes of a rule, at most; the longest one in use has 43. */
#define RULE_MAX 80

/* Bytes of a zone's file that are looked at. The largest has 4 KiB. */
#define ZONE_FILE_MAX (256 * 1024)

static struct {
	bool loaded;
	char rule[RULE_MAX]; /* for times after the last change; may be empty */
	size_t count;
	int16_t before; /* minutes before the first change */
	int64_t at[CHANGES_MAX];
	int16_t minutes[CHANGES_MAX];
} zone;

int64_t posix_days(int64_t year, unsigned month, unsigned day)
{
	/* years that begin in March, so that the leap day is the last one */
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t yearday = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + yearday - 719468;
}

void posix_civil(int64_t seconds, struct posix_civil *out)
{
	int64_t days = (seconds >= 0 ? seconds : seconds - 86399) / 86400;
	int64_t shifted = days + 719468;
	int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	int64_t day = shifted - era * 146097;
	int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int64_t of_year = day - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;

	out->second = (unsigned)(seconds - days * 86400);
	out->weekday = (unsigned)(((days + 4) % 7 + 7) % 7);
	out->day = (unsigned)(of_year - (153 * month + 2) / 5 + 1);
	out->month = (unsigned)(month < 10 ? month + 3 : month - 9);
	out->year = year + era * 400 + (out->month <= 2);
	out->yearday = (unsigned)(days - posix_days(out->year, 1, 1));
}

/* The parts of a rule. Each reads from *s on and moves it; false: not so. */

static bool rule_name(const char **s)
{
	const char *start = *s;

	if (*start == '<') {
		const char *end = strchr(start, '>');
		if (!end)
			return false;
		*s = end + 1;
		return true;
	}
	while ((**s >= 'A' && **s <= 'Z') || (**s >= 'a' && **s <= 'z'))
		++*s;
	return *s - start >= 3;
}

static bool rule_number(const char **s, int max, int *value)
{
	const char *start = *s;

	*value = 0;
	while (**s >= '0' && **s <= '9' && *value <= max)
		*value = *value * 10 + *(*s)++ - '0';
	return *s > start && *value <= max;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool rule_time(const char **s, int *seconds)
{
	int sign = **s == '-' ? -1 : 1, part, unit = 3600;

	if (**s == '-' || **s == '+')
		++*s;
	if (!rule_number(s, 167, &part))
		return false;
	*seconds = part * unit;
	while (**s == ':' && unit > 1) {
		++*s;
		unit /= 60;
		if (!rule_number(s, 59, &part))
			return false;
		*seconds += part * unit;
	}
	*seconds *= sign;
	return true;
}

static bool leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Mm.w.d: day d of week w (5: the last one) of month m. */
static bool rule_month_day(const char **s, int64_t year, int64_t *day)
{
	int month, week, weekday, ahead;
	int64_t first, next;

	if (!rule_number(s, 12, &month) || month < 1 || *(*s)++ != '.' || !rule_number(s, 5, &week) || week < 1 ||
		*(*s)++ != '.' || !rule_number(s, 6, &weekday))
		return false;
	first = posix_days(year, (unsigned)month, 1);
	next = month == 12 ? posix_days(year + 1, 1, 1) : posix_days(year, (unsigned)month + 1, 1);
	ahead = (int)(((weekday - (first + 4)) % 7 + 7) % 7);
	*day = first + ahead + 7 * (week - 1);
	if (*day >= next)
		*day -= 7;
	return true;
}

/* ",M3.5.0/2" and its kin: seconds since 1970 of the change in that year, by
 * the clock before the change. */
static bool rule_change(const char **s, int64_t year, int64_t *seconds)
{
	int64_t day;
	int n, time = 2 * 3600;
	bool good;

	if (*(*s)++ != ',')
		return false;
	if (**s == 'M') {
		++*s;
		good = rule_month_day(s, year, &day);
	} else {
		/* Jn counts from 1 and never the 29th of February, n counts from 0 */
		bool julian = **s == 'J';
		if (julian)
			++*s;
		good = rule_number(s, julian ? 365 : 366, &n) && (!julian || n > 0);
		day = posix_days(year, 1, 1) + n;
		if (julian && !(leap(year) && n >= 60))
			day--;
	}
	if (!good)
		return false;
	if (**s == '/') {
		++*s;
		if (!rule_time(s, &time))
			return false;
	}
	*seconds = day * 86400 + time;
	return true;
}

bool posix_zone_rule(const char *rule, int64_t wall, int *minutes)
{
	const char *s = rule;
	int standard, summer;
	int64_t start, end;
	struct posix_civil t;
	bool is_summer;

	/* the text counts west of UTC */
	if (!rule_name(&s) || !rule_time(&s, &standard))
		return false;
	standard = -standard;
	*minutes = standard / 60;
	if (!*s)
		return true;
	if (!rule_name(&s))
		return false;
	summer = standard + 3600;
	if (*s && *s != ',') {
		if (!rule_time(&s, &summer))
			return false;
		summer = -summer;
	}
	if (!*s)
		s = ",M3.2.0,M11.1.0"; /* what every C library takes */
	posix_civil(wall + standard, &t);
	if (!rule_change(&s, t.year, &start) || !rule_change(&s, t.year, &end) || *s)
		return false;
	start -= standard;
	end -= summer;
	is_summer = start < end ? wall >= start && wall < end : wall >= start || wall < end;
	*minutes = (is_summer ? summer : standard) / 60;
	return true;
}

/* Reads len bytes at an offset of a zone's file. */
static bool zone_read(int fd, int64_t offset, void *data, size_t len)
{
	return offset + (int64_t)len <= ZONE_FILE_MAX && pread(fd, data, len, (off_t)offset) == (ssize_t)len;
}

static int64_t number_of(const uint8_t *data, size_t len)
{
	uint64_t n = data[0] & 0x80 ? ~(uint64_t)0 : 0;

	for (size_t i = 0; i < len; i++)
		n = n << 8 | data[i];
	return (int64_t)n;
}

/* The counts in a TZif header (RFC 8536 section 3.1). */
struct zone_counts {
	int64_t utc, standard, leaps, changes, types, letters;
};

static bool zone_header(int fd, int64_t offset, struct zone_counts *c, uint8_t *version)
{
	uint8_t head[44];

	if (!zone_read(fd, offset, head, sizeof head) || memcmp(head, "TZif", 4) != 0)
		return false;
	*version = head[4];
	c->utc = number_of(head + 20, 4);
	c->standard = number_of(head + 24, 4);
	c->leaps = number_of(head + 28, 4);
	c->changes = number_of(head + 32, 4);
	c->types = number_of(head + 36, 4);
	c->letters = number_of(head + 40, 4);
	return c->utc >= 0 && c->standard >= 0 && c->leaps >= 0 && c->changes >= 0 && c->types > 0 && c->letters >= 0;
}

static int64_t zone_body(const struct zone_counts *c, int64_t width)
{
	return c->changes * (width + 1) + c->types * 6 + c->letters + c->leaps * (width + 4) + c->standard + c->utc;
}

/* Minutes east of UTC of local time type `type`, whose records begin at types. */
static bool zone_type(int fd, int64_t types, unsigned type, int16_t *minutes)
{
	uint8_t data[4];
	int64_t seconds;

	if (!zone_read(fd, types + (int64_t)type * 6, data, sizeof data))
		return false;
	seconds = number_of(data, 4);
	if (seconds < -86400 || seconds > 86400)
		return false;
	*minutes = (int16_t)(seconds / 60);
	return true;
}

static bool zone_changes(int fd, int64_t body, const struct zone_counts *c, int64_t width)
{
	int64_t types = body + c->changes * (width + 1);
	int64_t skip = c->changes > CHANGES_MAX ? c->changes - CHANGES_MAX : 0;
	uint8_t data[8], type = 0;

	if (skip > 0 && !zone_read(fd, body + c->changes * width + skip - 1, &type, 1))
		return false;
	if (!zone_type(fd, types, type, &zone.before))
		return false;
	for (int64_t i = skip; i < c->changes; i++) {
		if (!zone_read(fd, body + i * width, data, (size_t)width) ||
			!zone_read(fd, body + c->changes * width + i, &type, 1) ||
			!zone_type(fd, types, type, &zone.minutes[zone.count]))
			return false;
		zone.at[zone.count++] = number_of(data, (size_t)width);
	}
	return true;
}

/* The rule in the footer, "\n...\n": none is fine. */
static void zone_footer(int fd, int64_t offset)
{
	char text[RULE_MAX + 2];
	ssize_t n = pread(fd, text, sizeof text, (off_t)offset);
	const char *end;

	if (n < 2 || text[0] != '\n')
		return;
	end = memchr(text + 1, '\n', (size_t)n - 1);
	if (!end || (size_t)(end - text) > sizeof zone.rule)
		return;
	memcpy(zone.rule, text + 1, (size_t)(end - text) - 1);
	zone.rule[end - text - 1] = '\0';
}

static bool zone_parse(int fd)
{
	struct zone_counts c;
	uint8_t version;
	int64_t at = 0, width = 4;

	if (!zone_header(fd, 0, &c, &version))
		return false;
	if (version >= '2') {
		/* the same again with 64-bit times */
		at = 44 + zone_body(&c, 4);
		width = 8;
		if (!zone_header(fd, at, &c, &version))
			return false;
	}
	if (zone_body(&c, width) > ZONE_FILE_MAX || !zone_changes(fd, at + 44, &c, width))
		return false;
	if (width == 8)
		zone_footer(fd, at + 44 + zone_body(&c, width));
	return true;
}

static bool zone_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	good = zone_parse(fd);
	close(fd);
	if (!good)
		memset(&zone, 0, sizeof zone);
	return good;
}

static bool zone_text(const char *rule)
{
	size_t len = strlen(rule);
	int minutes;

	if (len >= sizeof zone.rule || !posix_zone_rule(rule, 0, &minutes))
		return false;
	memcpy(zone.rule, rule, len + 1);
	return true;
}

/* /etc/TZ holds a rule in its first line. */
static bool zone_etc(void)
{
	struct posix_lines lines;
	const char *rule;
	bool good;

	if (posix_lines_open(&lines, "/etc/TZ") != OK)
		return false;
	rule = posix_lines_next(&lines);
	good = rule && zone_text(rule);
	posix_lines_close(&lines);
	return good;
}

bool posix_zone_set(const char *tz)
{
	static const char folder[] = "/usr/share/zoneinfo/";
	char path[128];
	bool good;

	memset(&zone, 0, sizeof zone);
	if (!tz) {
		good = zone_file("/etc/localtime") || zone_etc();
	} else {
		if (*tz == ':')
			tz++;
		good = *tz == '/' && zone_file(tz);
		/* "EST5EDT" is a file and a rule: the file knows the past as well */
		if (!good && *tz && strlen(tz) + sizeof folder <= sizeof path) {
			memcpy(path, folder, sizeof folder);
			memcpy(path + sizeof folder - 1, tz, strlen(tz) + 1);
			good = zone_file(path);
		}
		if (!good)
			good = zone_text(tz);
	}
	zone.loaded = true;
	return good;
}

void posix_zone_load(void)
{
	if (!zone.loaded)
		posix_zone_set(getenv("TZ"));
}

int port_zone_minutes(int64_t wall)
{
	size_t low = 0, high;
	int minutes;

	posix_zone_load();
	high = zone.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (zone.at[middle] <= wall)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == zone.count && zone.rule[0] && posix_zone_rule(zone.rule, wall, &minutes))
		return minutes;
	return low == 0 ? zone.before : zone.minutes[low - 1];
}
