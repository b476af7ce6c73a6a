/* The rest of the system on Linux. The C library's localtime is the judge of
 * the time zones. */
#define _GNU_SOURCE 1

#include "base/err.h"
#include "port/posix/posix.h"
#include "port/system.h"
#include "tests/unit/t.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "port/network.h"

/* Compares with the C library every `step` seconds of `from`..`to`. */
static void compare_zone(const char *tz, int64_t from, int64_t to, int64_t step)
{
	setenv("TZ", tz, 1);
	tzset();
	T_OK(posix_zone_set(tz));
	for (int64_t t = from; t < to; t += step) {
		time_t when = (time_t)t;
		struct tm tm;

		T_OK(localtime_r(&when, &tm) != NULL);
		if (port_zone_minutes(t) != tm.tm_gmtoff / 60)
			T_FAIL("%s at %lld: %d, expected %ld", tz, (long long)t, port_zone_minutes(t),
				tm.tm_gmtoff / 60);
	}
}

#define YEAR (365 * 86400LL)

T_TEST(zone_rules_as_the_c_library_reads_them)
{
	static const char *const rules[] = {
		"UTC0",
		"CET-1CEST,M3.5.0,M10.5.0/3",
		"EST5EDT,M3.2.0,M11.1.0",
		"<+0330>-3:30",
		"NZST-12NZDT,M9.5.0,M4.1.0/3",
		"AEST-10AEDT,M10.1.0,M4.1.0/3",
		"IST-1GMT0,M10.5.0,M3.5.0/1",
		"<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
		"XXX3YYY,J60/0,J300/24",
		"XXX3YYY2:30,59,299/1:30",
	};
	int minutes;

	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		compare_zone(rules[i], 0, 70 * YEAR, 86400 * 3 + 1);
		compare_zone(rules[i], 54 * YEAR, 57 * YEAR, 1801);
	}
	/* no dates: those of the United States today. glibc makes up others from a
	 * file if there is one; the 3rd of November 2024 at 6:00 UTC is right. */
	T_OK(posix_zone_rule("XST5XDT", 1730613599, &minutes) && minutes == -240);
	T_OK(posix_zone_rule("XST5XDT", 1730613600, &minutes) && minutes == -300);
}

T_TEST(zone_files_as_the_c_library_reads_them)
{
	static const char *const zones[] = { "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Tokyo",
		"Australia/Lord_Howe", "Pacific/Apia", "Asia/Tehran", "America/Sao_Paulo", "Europe/Dublin",
		"Africa/Casablanca" };

	for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
		char path[100];

		snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", zones[i]);
		if (access(path, R_OK) != 0) {
			printf("# no %s: not compared\n", path);
			continue;
		}
		compare_zone(zones[i], 20 * YEAR, 80 * YEAR, 86400 * 2 + 3);
		compare_zone(path, 54 * YEAR, 56 * YEAR, 1801);
	}
}

T_TEST(bad_zones_are_utc)
{
	static const char *const bad[] = { "", "C1", "XYZ", "CET-1CEST,M13.1.0,M10.5.0", "CET-1CEST,M3.5.0",
		"CET-1CEST,M3.5.0,M10.5.0x", "<CET-1", "CET-999", "../../etc/passwd", "CET-1CEST," };
	char garbage[] = "/tmp/cubby-zone-XXXXXX";
	int fd = mkstemp(garbage), minutes;
	char head[44] = { 0 };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		T_OK(!posix_zone_set(bad[i]));
		T_EQ(port_zone_minutes(1700000000), 0);
		T_OK(!posix_zone_rule(bad[i], 1700000000, &minutes));
	}
	/* a file whose header promises more than there is */
	memcpy(head, "TZif2", 5);
	memset(head + 33, 0xff, 2); /* changes */
	memset(head + 37, 0xff, 2); /* types */
	T_EQ(write(fd, head, sizeof head), sizeof head);
	T_OK(!posix_zone_set(garbage));
	T_EQ(port_zone_minutes(1700000000), 0);
	close(fd);
	unlink(garbage);
}

T_TEST(civil_dates_as_the_c_library_counts_them)
{
	for (int64_t t = -80 * YEAR; t < 600 * YEAR; t += 86400 * 5 + 4567) {
		time_t when = (time_t)t;
		struct posix_civil c;
		struct tm tm;

		gmtime_r(&when, &tm);
		posix_civil(t, &c);
		T_EQ(c.year, tm.tm_year + 1900);
		T_EQ(c.month, tm.tm_mon + 1);
		T_EQ(c.day, tm.tm_mday);
		T_EQ(c.weekday, tm.tm_wday);
		T_EQ(c.yearday, tm.tm_yday);
		T_EQ(c.second, tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec);
		T_EQ(posix_days(c.year, c.month, c.day) * 86400 + c.second, t);
	}
}

T_TEST(clocks_and_memory)
{
	uint64_t start = port_now_us(), cpu = port_cpu_us(), resident = port_resident();
	uint8_t *map = port_map(8 << 20, false);

	T_OK(map && map[(8 << 20) - 1] == 0);
	memset(map, 1, 8 << 20);
	T_OK(port_resident() == 0 || port_resident() >= resident + (7 << 20));
	T_OK(port_now_us() > start && port_cpu_us() > cpu);
	T_OK(llabs(port_wall_time() - (long long)time(NULL)) <= 1);
}

T_TEST(entropy_is_not_the_same_twice)
{
	uint8_t a[600], b[600];

	memset(a, 0, sizeof a);
	memset(b, 0, sizeof b);
	T_EQ(port_entropy(a, sizeof a), OK);
	T_EQ(port_entropy(b, sizeof b), OK);
	T_OK(memcmp(a, b, sizeof a) != 0 && memcmp(a + 592, b + 592, 8) != 0);
}

T_TEST(signals_wake_the_wait)
{
	uint64_t start;

	port_signals_init();
	T_EQ(port_signals_take(), 0);
	raise(SIGHUP);
	raise(SIGTERM);
	start = port_now_us();
	T_EQ(port_wait(NULL, 0, 5000), 0); /* the signals came before it */
	T_OK(port_now_us() - start < 2000000);
	T_EQ(port_signals_take(), PORT_RELOAD | PORT_STOP);
	T_EQ(port_signals_take(), 0);
	start = port_now_us();
	T_EQ(port_wait(NULL, 0, 20), 0);
	T_OK(port_now_us() - start >= 19000);
	raise(SIGPIPE); /* ignored */
}

T_TEST(lines_of_any_length)
{
	char path[] = "/tmp/cubby-lines-XXXXXX", *line;
	struct posix_lines lines;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	fprintf(f, "first\n\n%05000d\nthird\n%04095d\nlast", 7, 8);
	fclose(f);
	T_EQ(posix_lines_open(&lines, path), OK);
	T_OK(strcmp(posix_lines_next(&lines), "first") == 0);
	T_OK(strcmp(posix_lines_next(&lines), "") == 0);
	line = posix_lines_next(&lines);
	T_EQ(strlen(line), POSIX_LINE - 1);
	T_OK(strcmp(posix_lines_next(&lines), "third") == 0);
	T_EQ(strlen(posix_lines_next(&lines)), 4095);
	T_OK(strcmp(posix_lines_next(&lines), "last") == 0);
	T_OK(!posix_lines_next(&lines));
	T_OK(!posix_lines_next(&lines));
	posix_lines_close(&lines);
	unlink(path);
	T_EQ(posix_lines_open(&lines, path), E_NOENT);
}

T_TEST(users_and_groups)
{
	uint32_t uid = 9, gid = 9;

	T_EQ(posix_user("root", &uid, &gid), OK);
	T_OK(uid == 0 && gid == 0);
	T_EQ(posix_user("4711", &uid, &gid), OK);
	T_OK(uid == 4711 && gid == 4711);
	T_EQ(posix_user("no such user", &uid, &gid), E_NOENT);
	T_EQ(posix_user("-1", &uid, &gid), E_NOENT);
	T_EQ(posix_user("4294967295", &uid, &gid), E_NOENT); /* (uid_t)-1 means "leave it" */
	T_EQ(posix_group("root", &gid), OK);
	T_EQ(gid, 0);
	T_EQ(posix_group("no such group", &gid), E_NOENT);
}

/* Runs a function in a child of its own: its exit status. */
static int in_child(int (*run)(void))
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(run());
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int drop(void)
{
	if (port_drop_privileges("nobody", NULL) != OK)
		return 1;
	if (geteuid() == 0 || getegid() == 0 || getgroups(0, NULL) > 1)
		return 2;
	return setuid(0) == 0 ? 3 : 0;
}

static int drop_into_jail(void)
{
	if (port_drop_privileges("nobody", "/proc") != OK)
		return 1;
	return access("/self/status", R_OK) == 0 && access("/etc/passwd", R_OK) != 0 ? 0 : 2;
}

T_TEST(privileges_are_given_up)
{
	T_EQ(port_drop_privileges("no such user", NULL), E_NOENT);
	if (geteuid() != 0) {
		printf("# not root: nothing to give up\n");
		return;
	}
	T_EQ(in_child(drop), 0);
	T_EQ(in_child(drop_into_jail), 0);
}

T_TEST(detached_process_leads_its_session)
{
	int to_test[2];
	char byte = 0;

	T_OK(pipe(to_test) == 0);
	if (fork() == 0) {
		pid_t before = getpid();

		if (port_detach() == OK)
			byte = getpid() != before && getsid(0) == getpid() && !isatty(0) ? 'y' : 'n';
		_exit(write(to_test[1], &byte, 1) != 1);
	}
	close(to_test[1]);
	T_EQ(read(to_test[0], &byte, 1), 1);
	T_EQ(byte, 'y');
	close(to_test[0]);
}

/* What a child writes to standard error by port_log. */
T_TEST(log_goes_to_standard_error)
{
	char text[64];
	int ends[2];

	T_OK(pipe(ends) == 0);
	if (fork() == 0) {
		dup2(ends[1], 2);
		port_log(PORT_LOG_NOTICE, "a line", 6);
		_exit(0);
	}
	close(ends[1]);
	T_EQ(read(ends[0], text, sizeof text), 7);
	T_BYTES(text, 7, "a line\n");
	close(ends[0]);
}

static int lines_from_pipe(const char *input, int (*run)(void))
{
	int ends[2], status = -1;
	pid_t child;

	if (pipe(ends) || write(ends[1], input, strlen(input)) != (ssize_t)strlen(input))
		return 254;
	close(ends[1]);
	child = fork();
	if (child == 0) {
		dup2(ends[0], 0);
		_exit(run());
	}
	close(ends[0]);
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int read_input(void)
{
	char out[16];

	if (port_read_password("? ", out, sizeof out) != 6 || memcmp(out, "secret", 6) != 0)
		return 1;
	if (port_read_password("? ", out, sizeof out) != E_LIMIT)
		return 2;
	if (port_read_password("? ", out, sizeof out) != 0)
		return 3;
	if (port_stdin(out, sizeof out) != 4 || memcmp(out, "rest", 4) != 0)
		return 4;
	return port_read_password("? ", out, sizeof out) == E_CLOSED ? 0 : 5;
}

static int read_typed(void)
{
	char out[16];
	int n = port_read_password("Password: ", out, sizeof out);

	return n == 6 && memcmp(out, "secret", 6) == 0 ? 0 : n == E_CLOSED ? 9 : 1;
}

/* Types on a terminal of its own; what shows there goes to `seen`. */
static int typed(const char *keys, char seen[200])
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), status = -1;
	size_t len = 0;
	pid_t child;

	T_OK(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	child = fork();
	if (child == 0) {
		int fd;

		setsid();
		fd = open(ptsname(terminal), O_RDWR);
		dup2(fd, 0);
		dup2(fd, 2);
		_exit(read_typed());
	}
	/* the prompt comes once the echo is off */
	while (len < 10) {
		ssize_t n = read(terminal, seen + len, 199 - len);
		T_OK(n > 0);
		len += (size_t)n;
	}
	T_OK(write(terminal, keys, strlen(keys)) == (ssize_t)strlen(keys));
	waitpid(child, &status, 0);
	fcntl(terminal, F_SETFL, O_NONBLOCK);
	ssize_t n = read(terminal, seen + len, 199 - len);
	seen[len + (n > 0 ? (size_t)n : 0)] = '\0';
	close(terminal);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

T_TEST(passwords_are_read_without_echo)
{
	char seen[200];

	T_EQ(lines_from_pipe("secret\r\nmuch too long a line\n\nrest", read_input), 0);
	T_EQ(typed("secret\n", seen), 0);
	T_OK(!strstr(seen, "secret"));
	T_EQ(typed("sec\x03", seen), 9);
}

static bool box_has_name, box_has_loopback;

static void note_name(void *context, const char *name, bool is_ip)
{
	(void)context;
	box_has_name = box_has_name || (!is_ip && *name);
	box_has_loopback = box_has_loopback || (is_ip && strcmp(name, "127.0.0.1") == 0);
}

T_TEST(box_knows_its_names)
{
	T_EQ(port_box_names(note_name, NULL), OK);
	T_OK(box_has_name && box_has_loopback);
}

T_MAIN(T_RUN(zone_rules_as_the_c_library_reads_them) T_RUN(zone_files_as_the_c_library_reads_them)
		T_RUN(bad_zones_are_utc) T_RUN(civil_dates_as_the_c_library_counts_them) T_RUN(clocks_and_memory)
			T_RUN(entropy_is_not_the_same_twice) T_RUN(signals_wake_the_wait) T_RUN(lines_of_any_length)
				T_RUN(users_and_groups) T_RUN(privileges_are_given_up)
					T_RUN(detached_process_leads_its_session) T_RUN(log_goes_to_standard_error)
						T_RUN(passwords_are_read_without_echo) T_RUN(box_knows_its_names))
