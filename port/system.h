/* The door to the rest of the system: memory at start, clocks, entropy,
 * signals, privileges, logs, the terminal. Errors are those of base/err.h. */
#ifndef PORT_SYSTEM_H
#define PORT_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One zeroed mapping of len bytes for the life of the process, aligned for
 * anything, or NULL.
 * With lock, every page is touched and kept in memory. */
void *port_map(size_t len, bool lock);

/* Microseconds since an unspecified start; never goes back. */
uint64_t port_now_us(void);
/* Seconds since 1970 by the wall clock: may jump, may be in 1970. */
int64_t port_wall_time(void);
/* Minutes east of UTC that the box's zone has at that time; 0 when unknown. */
int port_zone_minutes(int64_t wall);
/* CPU time of the process in microseconds. */
uint64_t port_cpu_us(void);

/* Fills data from the system's secure source. E_AGAIN while it is not seeded
 * (early at boot), E_IO when there is none. */
int port_entropy(void *data, size_t len);

/* What signals have asked for since the last call (SIGHUP, SIGTERM/SIGINT). */
enum { PORT_RELOAD = 1, PORT_STOP = 2 };
void port_signals_init(void);
unsigned port_signals_take(void);

/* Changes to user (and its group and further groups), gives up every further
 * privilege; chroots to dir first when it is not NULL. Call after ports are
 * bound. NULL for the user: only the chroot. E_NOENT, E_ACCESS. */
int port_drop_privileges(const char *user, const char *dir);
/* The number of the user that this process runs as; 0 is root. */
uint32_t port_user_id(void);
/* Makes a file or directory the property of a user and his group. E_NOENT (no
 * such user or path), E_ACCESS. */
int port_give(const char *path, const char *user);
/* Detaches from the terminal: goes on in a child process while the calling one
 * exits 0. E_NOMEM, E_IO: still the calling process, nothing changed, but for
 * locked memory that the child could not lock again (E_NOMEM, in the child). */
int port_detach(void);

enum port_level { PORT_LOG_ERROR = 3, PORT_LOG_WARNING = 4, PORT_LOG_NOTICE = 5, PORT_LOG_DEBUG = 7 };
/* One line without a line end. Goes to stderr, or after port_log_syslog to the
 * system's log. Does not allocate. */
void port_log(enum port_level level, const char *line, size_t len);
void port_log_syslog(const char *name);

/* For the command-line tool. Reads a line from the terminal without echo, or
 * from standard input when that is not a terminal. Bytes without the line end,
 * E_CLOSED at end of input, E_LIMIT. */
int port_read_password(const char *prompt, char *out, size_t cap);
/* Bytes read from standard input (0 at the end), or E_IO. */
int64_t port_stdin(void *data, size_t len);
/* Writes all to standard output, or E_IO. */
int port_stdout(const void *data, size_t len);
bool port_stdout_is_terminal(void);
/* Whether port_read_password asks somebody. */
bool port_stdin_is_terminal(void);

/* Resident anonymous memory of this process in bytes, 0 when unknown. */
uint64_t port_resident(void);
/* The names and addresses of this box: calls each with text ("box",
 * "192.168.1.1", "fe80::1"); is_ip tells which. May allocate: start only. */
int port_box_names(void (*each)(void *context, const char *name, bool is_ip), void *context);

#endif
