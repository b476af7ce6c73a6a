/* Bytes between the simulated clients and the server: messages made of a
 * number, responses with their literals, and reading a FETCH. */
#define _GNU_SOURCE
#include "server_sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- messages ---- */

static uint64_t mixed(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

const char *content_text(uint32_t content, size_t *len)
{
	static char text[400 * 1024];
	uint64_t x = mixed(world.seed * 1000003 + content), left;
	size_t at;

	/* mostly small, now and then larger than what is kept in memory */
	left = x % 100 < 3 ? 20000 + x / 100 % (300 * 1024) : x / 100 % world.message_most;
	at = (size_t)snprintf(text, sizeof text,
		"From: a%u@example.org\r\nTo: b@example.org\r\nSubject: number %u\r\nX-Sim: %u\r\n\r\n", content % 7,
		content, content);
	for (uint64_t line = 0; left > 0; line++) {
		size_t n = 10 + mixed(x + line) % 60;

		for (size_t i = 0, bits = 0; i < n; i++, bits >>= 8) {
			if (i % 8 == 0)
				bits = mixed(x + line * 64 + i);
			text[at++] = (char)('!' + (bits & 63));
		}
		text[at++] = '\r';
		text[at++] = '\n';
		left = left > n ? left - n : 0;
	}
	*len = at;
	return text;
}

static uint32_t content_number(const char *data, size_t len)
{
	const char *at = memmem(data, len, "X-Sim: ", 7);

	if (!at && len > 2 && !memmem(data, len, "Message-ID", 10) && !memmem(data, len, "Message-Id", 10))
		broken("a message without its number: %.*s", (int)(len < 300 ? len : 300), data);
	if (!at)
		return CONTENT_SERVERS;
	return (uint32_t)strtoul(at + 7, NULL, 10);
}

/* A delivered message has a few lines of the server's in front. */
#define TRACE_MOST 1024

uint32_t content_verify(const char *data, size_t len)
{
	uint32_t content = content_number(data, len);
	size_t want;
	const char *text = content_text(content, &want);

	if (content == CONTENT_SERVERS)
		return content;
	if (content == 0 || content > world.contents)
		broken("message %u was never sent", content);
	if (memcmp(data, "X-Sim:", 6) != 0 &&
		(len < want || len > want + TRACE_MOST || memcmp(data + len - want, text, want) != 0))
		broken("message %u is not what it was: %zu bytes instead of %zu", content, len, want);
	return content;
}

/* ---- the connection ---- */

bool wire_connect(struct wire *w, uint16_t port)
{
	sim_client c = sim_connect(port);

	w->in_len = w->out_len = w->used = 0;
	w->stalled = false;
	w->client = c > 0 ? c : 0;
	return c > 0;
}

static void room(char **space, size_t *cap, size_t need)
{
	if (need <= *cap)
		return;
	*cap = need * 2;
	*space = realloc(*space, *cap);
}

void wire_send(struct wire *w, const char *data, size_t len)
{
	note(data, len);
	room(&w->out, &w->out_cap, w->out_len + len);
	memcpy(w->out + w->out_len, data, len);
	w->out_len += len;
}

void wire_say(struct wire *w, const char *format, ...)
{
	char line[8192];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof line)
		broken("a command of %d bytes", n);
	if (getenv("SIM_WIRE"))
		fprintf(stderr, "%llu C%d: %s", (unsigned long long)sim_time_us(), w->client, line);
	wire_send(w, line, (size_t)n);
}

bool wire_sent(const struct wire *w)
{
	return w->out_len == 0;
}

bool wire_move(struct wire *w, bool *moved)
{
	int64_t n;

	if (!w->client)
		return false;
	if (w->out_len > 0 && (n = sim_client_send(w->client, w->out, w->out_len)) > 0) {
		memmove(w->out, w->out + n, w->out_len - (size_t)n);
		w->out_len -= (size_t)n;
		*moved = true;
	}
	if (w->used > 0) {
		memmove(w->in, w->in + w->used, w->in_len - w->used);
		w->in_len -= w->used;
		w->used = 0;
	}
	if (w->stalled)
		return true;
	room(&w->in, &w->in_cap, w->in_len + 16385);
	while ((n = sim_client_recv(w->client, w->in + w->in_len, 16384)) > 0) {
		note(w->in + w->in_len, (size_t)n);
		w->in_len += (size_t)n;
		*moved = true;
		room(&w->in, &w->in_cap, w->in_len + 16385);
	}
	return n == 0 || w->in_len > 0;
}

static char *line_from(struct wire *w, size_t at, size_t *end)
{
	char *start = w->in + at, *stop = memmem(start, w->in_len - at, "\r\n", 2);

	if (!stop)
		return NULL;
	*end = (size_t)(stop - w->in);
	return start;
}

char *wire_line(struct wire *w, size_t *len)
{
	size_t end;
	char *line = line_from(w, w->used, &end);

	if (!line)
		return NULL;
	*len = end - w->used;
	w->used = end + 2;
	*(line + *len) = '\0';
	if (getenv("SIM_WIRE"))
		fprintf(stderr, "%llu S%d: %s\n", (unsigned long long)sim_time_us(), w->client, line);
	return line;
}

char *wire_response(struct wire *w, size_t *len)
{
	size_t at = w->used, end;

	for (;;) {
		size_t digits;

		if (!line_from(w, at, &end))
			return NULL;
		digits = end;
		if (end == at || w->in[end - 1] != '}')
			break;
		for (digits = end - 1; digits > at && w->in[digits - 1] >= '0' && w->in[digits - 1] <= '9';)
			digits--;
		if (digits == at || w->in[digits - 1] != '{')
			break;
		at = end + 2 + strtoul(w->in + digits, NULL, 10);
		if (at > w->in_len)
			return NULL;
	}
	*len = end - w->used;
	at = w->used;
	w->used = end + 2;
	w->in[end] = '\0';
	if (getenv("SIM_WIRE"))
		fprintf(stderr, "%llu S%d: %.300s\n", (unsigned long long)sim_time_us(), w->client, w->in + at);
	return w->in + at;
}

void wire_close(struct wire *w)
{
	if (w->client)
		sim_client_close(w->client);
	w->client = 0;
	w->in_len = w->out_len = w->used = 0;
}

void wire_reset(struct wire *w)
{
	if (w->client)
		sim_client_reset(w->client);
	w->client = 0;
	w->in_len = w->out_len = w->used = 0;
}

/* ---- FETCH ---- */

static const char *const flag_names[FLAGS_N] = { "\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Sim" };

uint8_t flags_read(const char *text, const char *end)
{
	uint8_t flags = 0;

	while (text < end) {
		const char *word = text;
		bool known = false;

		while (text < end && *text != ' ')
			text++;
		for (unsigned i = 0; i < FLAGS_N; i++)
			if (strlen(flag_names[i]) == (size_t)(text - word) &&
				strncasecmp(word, flag_names[i], (size_t)(text - word)) == 0) {
				flags |= (uint8_t)(1 << i);
				known = true;
			}
		if (!known && text > word && strncmp(word, "\\Recent", 7) != 0 &&
			strncmp(word, "$CubbyNotice", 12) != 0)
			broken("a flag that nobody set: %.*s", (int)(end - word), word);
		while (text < end && *text == ' ')
			text++;
	}
	return flags;
}

void flags_put(uint8_t flags, char out[80])
{
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < FLAGS_N; i++)
		if (flags >> i & 1)
			n += (size_t)snprintf(out + n, 80 - n, "%s%s", n ? " " : "", flag_names[i]);
}

static bool begins(const char *at, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - at) >= n && memcmp(at, word, n) == 0;
}

/* BODY[...]<n> {n}CRLFbytes, from the bracket on; where it ends. */
static const char *body_read(const char *at, const char *end, struct fetched *f)
{
	const char *bracket = memchr(at, ']', (size_t)(end - at));
	char *after;

	if (!bracket)
		return NULL;
	f->whole = bracket == at + 5 && bracket[1] == ' ';
	at = memchr(bracket, ' ', (size_t)(end - bracket));
	if (!at)
		return NULL;
	at++;
	if (begins(at, end, "NIL")) {
		f->body_len = 0;
		return at + 3;
	}
	if (*at == '"') {
		const char *close = memchr(at + 1, '"', (size_t)(end - at - 1));

		f->body = at + 1;
		f->body_len = close ? (size_t)(close - at - 1) : 0;
		return close ? close + 1 : NULL;
	}
	if (*at != '{')
		return NULL;
	f->body_len = strtoul(at + 1, &after, 10);
	f->body = after + 3;
	return f->body + f->body_len;
}

bool fetch_read(const char *line, size_t len, struct fetched *f)
{
	const char *at = line + 2, *end = line + len;
	char *after;

	memset(f, 0, sizeof *f);
	if (len < 10 || line[0] != '*' || at[0] < '0' || at[0] > '9')
		return false;
	f->number = (uint32_t)strtoul(at, &after, 10);
	if (!begins(after, end, " FETCH ("))
		return false;
	at = after + 8;
	while (at && at < end && *at != ')') {
		const char *close;

		if (begins(at, end, "UID ")) {
			f->uid = (uint32_t)strtoul(at + 4, &after, 10);
			at = after;
		} else if (begins(at, end, "RFC822.SIZE ")) {
			f->size = (uint32_t)strtoul(at + 12, &after, 10);
			at = after;
		} else if (begins(at, end, "MODSEQ (")) {
			f->modseq = strtoull(at + 8, &after, 10);
			at = after + 1;
		} else if (begins(at, end, "FLAGS (")) {
			close = memchr(at, ')', (size_t)(end - at));
			f->flags = flags_read(at + 7, close);
			f->has_flags = true;
			at = close + 1;
		} else if (begins(at, end, "BODY[")) {
			at = body_read(at, end, f);
		} else {
			at = NULL;
		}
		if (at && at < end && *at == ' ')
			at++;
	}
	if (!at || at >= end)
		broken("a FETCH that makes no sense: %.*s", (int)(len < 300 ? len : 300), line);
	return true;
}
