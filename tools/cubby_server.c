#include "tools/cubby_server.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "control/control.h"
#include "control/words.h"
#include "port/network.h"

/* Bytes sent at a time, and of one reply line. */
#define SERVER_SEND 65536
#define SERVER_LINE 4096

/* Room kept in front of a chunk for its length line. */
#define SERVER_CHUNK_HEAD 12

static port_socket link_socket = E_CLOSED;
static uint8_t out_space[SERVER_SEND];
static struct buf out = { out_space, 0, sizeof out_space, false };
static uint8_t in_space[SERVER_LINE];
static size_t in_from, in_to;
static bool line_started;

int server_connect(const char *where)
{
	link_socket = port_connect(where);
	buf_reset(&out);
	in_from = in_to = 0;
	return link_socket < 0 ? link_socket : OK;
}

void server_close(void)
{
	if (link_socket >= 0)
		port_shut(link_socket);
	link_socket = E_CLOSED;
}

bool server_connected(void)
{
	return link_socket >= 0;
}

const char *server_text(int err)
{
	return err == E_BUSY ? "no place is free for another tool, try again" : err_text(err);
}

/* ---- sending ---- */

static int read_line(struct bytes *line);

/* A server that has no place for a tool says so and closes, before it is asked. */
static int parting_words(int err)
{
	struct bytes text;

	return read_line(&text) == OK && bytes_starts_nocase(text, "ERR busy ") ? E_BUSY : err;
}

static int send_all(const uint8_t *data, size_t len)
{
	while (len) {
		int64_t n = port_send(link_socket, data, len);

		if (n <= 0)
			return n ? (int)n : E_CLOSED;
		data += n;
		len -= (size_t)n;
	}
	return OK;
}

int server_flush(void)
{
	int err = send_all(out.data, out.len);

	buf_reset(&out);
	return err == OK ? OK : parting_words(err);
}

void server_word_bytes(struct bytes word)
{
	if (buf_space(&out) < CONTROL_LINE)
		(void)server_flush(); /* a lost connection shows at the line's end */
	if (line_started)
		buf_putc(&out, ' ');
	line_started = true;
	words_put(&out, word);
}

void server_word(const char *word)
{
	server_word_bytes(bytes_of(word));
}

void server_word_number(int64_t n)
{
	char digits[24];
	struct buf b;

	buf_init(&b, digits, sizeof digits);
	buf_printf(&b, "%lld", (long long)n);
	server_word_bytes(buf_bytes(&b));
}

int server_line_end(void)
{
	line_started = false;
	buf_putc(&out, '\n');
	return out.overflow ? E_LIMIT : OK;
}

int server_body(const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len) {
		size_t n;

		if (buf_space(&out) < SERVER_CHUNK_HEAD + 1024) {
			int err = server_flush();

			if (err != OK)
				return err;
		}
		n = buf_space(&out) - SERVER_CHUNK_HEAD;
		if (n > len)
			n = len;
		buf_printf(&out, "%zu\n", n);
		buf_put(&out, at, n);
		at += n;
		len -= n;
	}
	return OK;
}

int server_body_end(void)
{
	if (buf_space(&out) < SERVER_CHUNK_HEAD) {
		int err = server_flush();

		if (err != OK)
			return err;
	}
	buf_puts(&out, "0\n");
	return OK;
}

/* ---- replies ---- */

/* The next line without its LF; good until the next call. */
static int read_line(struct bytes *line)
{
	for (;;) {
		struct bytes held = bytes_make(in_space + in_from, in_to - in_from);
		size_t lf = bytes_index(held, '\n');
		int64_t n;

		if (lf < held.len) {
			*line = bytes_part(held, 0, lf);
			in_from += lf + 1;
			return OK;
		}
		if (held.len == sizeof in_space)
			return E_LIMIT;
		memmove(in_space, held.data, held.len);
		in_from = 0;
		in_to = held.len;
		n = port_recv(link_socket, in_space + in_to, sizeof in_space - in_to);
		if (n <= 0)
			return n ? (int)n : E_CLOSED;
		in_to += (size_t)n;
	}
}

static int error_of(struct bytes word)
{
	static const struct {
		const char *word;
		int err;
	} words[] = { { "syntax", E_SYNTAX }, { "missing", E_NOENT }, { "full", E_FULL }, { "too-big", E_TOOBIG },
		{ "read-only", E_READONLY }, { "limit", E_LIMIT }, { "damaged", E_DAMAGED }, { "state", E_STATE },
		{ "busy", E_BUSY }, { "access", E_ACCESS } };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (bytes_is(word, words[i].word))
			return words[i].err;
	return E_IO;
}

/* The reply's last line. */
static int last_line(struct bytes text, struct bytes *rest)
{
	size_t blank = bytes_index(text, ' ');
	struct bytes word = bytes_part(text, 0, blank);

	*rest = bytes_part(text, blank + 1, text.len);
	if (bytes_is(word, "OK"))
		return OK;
	if (!bytes_is(word, "ERR"))
		return E_SYNTAX;
	blank = bytes_index(*rest, ' ');
	word = bytes_part(*rest, 0, blank);
	*rest = bytes_part(*rest, blank + 1, rest->len);
	return error_of(word);
}

int server_reply(void (*line)(void *context, struct bytes line), void *context, struct bytes *rest)
{
	struct bytes text;
	int err = server_flush();

	while (err == OK && (err = read_line(&text)) == OK) {
		if (!text.len || text.data[0] != ':')
			return last_line(text, rest);
		if (line)
			line(context, bytes_part(text, 1, text.len));
	}
	*rest = bytes_of(server_text(err));
	return err;
}

/* Bytes that follow a line. */
static int read_piece(uint64_t len, int (*piece)(void *context, const void *data, size_t len), void *context)
{
	while (len) {
		size_t held = in_to - in_from, n = held < len ? held : (size_t)len;
		int64_t got;
		int err = n ? piece(context, in_space + in_from, n) : OK;

		if (err != OK)
			return err;
		in_from += n;
		len -= n;
		if (len == 0)
			break;
		in_from = in_to = 0;
		got = port_recv(link_socket, in_space, sizeof in_space);
		if (got <= 0)
			return got ? (int)got : E_CLOSED;
		in_to = (size_t)got;
	}
	return OK;
}

int server_reply_pieces(int (*piece)(void *context, const void *data, size_t len), void *context, struct bytes *rest)
{
	struct bytes text;
	int err = server_flush();

	while (err == OK && (err = read_line(&text)) == OK) {
		uint64_t len;

		if (!text.len || text.data[0] != ':')
			return last_line(text, rest);
		err = text_number(bytes_part(text, 1, text.len), UINT32_MAX, &len);
		if (err == OK)
			err = read_piece(len, piece, context);
	}
	*rest = bytes_of(server_text(err));
	return err;
}
