/* Log lines. The sink is set once at start (stderr or syslog through the port,
 * a list in tests). Lines are single: control bytes in arguments are replaced
 * by '?', so that nothing a client sends can forge a line. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_DEBUG = 7 };

void log_init(void (*sink)(enum log_level level, const char *line, size_t len), enum log_level least);
/* A line of at most 400 bytes; longer ones are cut. Never allocates. Say what
 * happened and what the owner can do about it. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
