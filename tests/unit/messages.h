/* The odd messages of tests/messages and Dovecot's answers to them, for the unit
 * tests. CUBBY_MESSAGES names another directory of the same form. */
#ifndef TESTS_MESSAGES_H
#define TESTS_MESSAGES_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES_MAX 1000

static inline const char *messages_dir(void)
{
	const char *dir = getenv("CUBBY_MESSAGES");

	return dir ? dir : "tests/messages";
}

static inline int messages_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The names of all messages, sorted, without ".eml". */
static inline size_t messages_list(char names[][128])
{
	DIR *dir = opendir(messages_dir());
	struct dirent *e;
	size_t n = 0;

	while (dir && (e = readdir(dir)) && n < MESSAGES_MAX) {
		size_t len = strlen(e->d_name);

		if (len > 4 && len < 124 && strcmp(e->d_name + len - 4, ".eml") == 0) {
			memcpy(names[n], e->d_name, len - 4);
			names[n++][len - 4] = 0;
		}
	}
	if (dir)
		closedir(dir);
	qsort(names, n, sizeof names[0], messages_compare);
	return n;
}

/* A whole file, the caller's to free, with a NUL behind it; NULL when absent. */
static inline uint8_t *messages_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	long size;

	if (!f)
		return NULL;
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	data = malloc((size_t)size + 1);
	*len = fread(data, 1, (size_t)size, f);
	data[*len] = 0;
	fclose(f);
	return data;
}

static inline uint8_t *messages_read(const char *name, size_t *len)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s.eml", messages_dir(), name);
	return messages_file(path, len);
}

static inline uint8_t *messages_expected(const char *name, size_t *len)
{
	char path[512];

	snprintf(path, sizeof path, "%s/expected/%s.txt", messages_dir(), name);
	return messages_file(path, len);
}

/* A copy with every line end as CRLF, as Dovecot hands it out. */
static inline uint8_t *messages_crlf(const uint8_t *data, size_t len, size_t *out_len)
{
	uint8_t *out = malloc(len * 2 + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n' && (i == 0 || data[i - 1] != '\r'))
			out[n++] = '\r';
		out[n++] = data[i];
	}
	out[n] = 0;
	*out_len = n;
	return out;
}

/* CRC-32 as zlib has it. */
static inline uint32_t messages_crc(const uint8_t *data, size_t len, uint8_t nul)
{
	uint32_t crc = 0xFFFFFFFF;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i] ? data[i] : nul;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xEDB88320 & (0 - (crc & 1)));
	}
	return ~crc;
}

/* The sum of a section: NUL counts as 0x80, as it is sent. */
static inline uint32_t messages_sum(const uint8_t *data, size_t len)
{
	return messages_crc(data, len, 0x80);
}

/* One value of an IMAP answer in the form of tools/expect-messages: strings
 * always quoted, odd bytes as \xHH. False: not the syntax of RFC 3501 section 9
 * (8-bit, CR, LF in quotes, a literal cut off, an empty literal, NUL). */
static inline bool messages_canonical(const uint8_t *in, size_t len, FILE *out)
{
	size_t i = 0;
	int depth = 0;

	while (i < len) {
		size_t n = 0, end;
		bool quoted = in[i] == '"';

		if (in[i] != '"' && in[i] != '{') {
			if (in[i] >= 0x80 || in[i] < ' ')
				return false;
			depth += (in[i] == '(') - (in[i] == ')');
			if (i && in[i] == '(' && in[i - 1] == ')') /* between two lists the space is left out */
				fputc(' ', out);
			fputc(in[i++], out);
			continue;
		}
		if (!quoted) {
			for (i++; i < len && in[i] >= '0' && in[i] <= '9'; i++)
				n = n * 10 + (size_t)(in[i] - '0');
			if (len - i < 3 || memcmp(in + i, "}\r\n", 3) != 0 || n == 0 || n > len - i - 3)
				return false;
			i += 2;
		}
		end = ++i + n;
		fputc('"', out);
		for (; i < len && (quoted ? in[i] != '"' : i < end); i++) {
			if (quoted && in[i] == '\\' && (in[++i] != '"' && in[i] != '\\'))
				return false;
			if ((quoted && (in[i] >= 0x80 || in[i] == '\r' || in[i] == '\n')) || in[i] == 0)
				return false;
			if (in[i] < 32 || in[i] > 126 || in[i] == '"' || in[i] == '\\')
				fprintf(out, "\\x%02x", in[i]);
			else
				fputc(in[i], out);
		}
		if (quoted && i++ >= len)
			return false;
		fputc('"', out);
	}
	return depth == 0;
}

#endif
