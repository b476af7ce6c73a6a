#include "base/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#define LINE_MAX_BYTES 400

static void (*log_sink)(enum log_level level, const char *line, size_t len);
static enum log_level log_least = LOG_NOTICE;

void log_init(void (*sink)(enum log_level level, const char *line, size_t len), enum log_level least)
{
	log_sink = sink;
	log_least = least;
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES + 1];
	va_list args;
	int n;

	if (!log_sink || level > log_least)
		return;
	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (n < 0)
		return;
	if (n > LINE_MAX_BYTES)
		n = LINE_MAX_BYTES;
	for (int i = 0; i < n; i++)
		if ((uint8_t)line[i] < ' ' || line[i] == 127)
			line[i] = '?';
	log_sink(level, line, (size_t)n);
}
