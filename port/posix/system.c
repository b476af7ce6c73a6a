/* Memory, clocks, entropy, signals and the process itself on Linux: part of
 * the contract of port/system.h. */
#include "port/posix/posix.h"

#include "base/err.h"
#include "port/system.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* The locked mapping: a fork loses its lock, so port_detach locks it again. */
static void *locked;
static size_t locked_len;

static volatile sig_atomic_t asked;
static int signal_pipe[2] = { -1, -1 };

void *port_map(size_t len, bool lock)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (lock) {
		if (mlock(p, len)) {
			munmap(p, len);
			return NULL;
		}
		locked = p;
		locked_len = len;
	}
	return p;
}

static uint64_t clock_us(clockid_t clock)
{
	struct timespec t = { 0 };

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t port_now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

uint64_t port_cpu_us(void)
{
	return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t port_wall_time(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec;
}

/* For a kernel before 3.17, which has no getrandom. */
static int entropy_from_device(uint8_t *data, size_t len)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	size_t done = 0;

	if (fd < 0)
		return E_IO;
	while (done < len) {
		ssize_t n = read(fd, data + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	close(fd);
	return done == len ? OK : E_IO;
}

int port_entropy(void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = getrandom((uint8_t *)data + done, len - done, GRND_NONBLOCK);
		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			return E_AGAIN;
		else if (errno == ENOSYS)
			return entropy_from_device(data, len);
		else if (errno != EINTR)
			return E_IO;
	}
	return OK;
}

static void on_signal(int number)
{
	int saved = errno;
	ssize_t n;

	asked = asked | (number == SIGHUP ? PORT_RELOAD : PORT_STOP);
	/* wakes port_wait even when the signal came just before it; a full pipe
	 * wakes it as well */
	n = write(signal_pipe[1], "", 1);
	(void)n;
	errno = saved;
}

void port_signals_init(void)
{
	struct sigaction act;

	if (signal_pipe[0] < 0 && pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK))
		signal_pipe[0] = signal_pipe[1] = -1;
	memset(&act, 0, sizeof act);
	sigfillset(&act.sa_mask);
	act.sa_flags = SA_RESTART;
	act.sa_handler = on_signal;
	sigaction(SIGHUP, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, NULL);
	sigaction(SIGXFSZ, &act, NULL);
}

unsigned port_signals_take(void)
{
	sigset_t all, old;
	unsigned got;

	if (!asked)
		return 0;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	got = (unsigned)asked;
	asked = 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return got;
}

int posix_signal_fd(void)
{
	return signal_pipe[0];
}

int port_detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t child;

	if (null < 0)
		return posix_err(errno);
	child = fork();
	if (child < 0) {
		int err = posix_err(errno);
		close(null);
		return err;
	}
	if (child > 0)
		_exit(0);
	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	if (locked && mlock(locked, locked_len))
		return E_NOMEM;
	return OK;
}

uint64_t port_resident(void)
{
	struct posix_lines lines;
	uint64_t kib = 0;
	char *line;

	if (posix_lines_open(&lines, "/proc/self/status") != OK)
		return 0;
	while ((line = posix_lines_next(&lines)) != NULL) {
		static const char key[] = "RssAnon:";
		if (strncmp(line, key, sizeof key - 1) != 0)
			continue;
		line += strspn(line + sizeof key - 1, " \t") + sizeof key - 1;
		line[strspn(line, "0123456789")] = '\0';
		if (!posix_number(line, UINT64_MAX / 1024, &kib))
			kib = 0;
		break;
	}
	posix_lines_close(&lines);
	return kib * 1024;
}

int port_box_names(void (*each)(void *context, const char *name, bool is_ip), void *context)
{
	char text[256];
	struct ifaddrs *list;

	if (gethostname(text, sizeof text - 1) == 0) {
		text[sizeof text - 1] = '\0';
		if (text[0])
			each(context, text, false);
	}
	if (getifaddrs(&list))
		return posix_err(errno);
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		const void *ip;

		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP))
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			ip = &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
		else if (i->ifa_addr->sa_family == AF_INET6)
			ip = &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
		else
			continue;
		if (inet_ntop(i->ifa_addr->sa_family, ip, text, sizeof text))
			each(context, text, true);
	}
	freeifaddrs(list);
	return OK;
}
