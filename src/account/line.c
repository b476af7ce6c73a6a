/* The users file as text: its lines, and reading them through a small buffer. */
#include <string.h>

#include "account/account_int.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/text.h"

void users_reader_init(struct users_reader *r, struct accounts *a, port_file file, uint64_t offset)
{
	*r = (struct users_reader){ .a = a, .file = file, .offset = offset, .loaded = offset };
}

/* Makes the buffer start at r->offset. */
static int load(struct users_reader *r)
{
	int64_t n = port_read(r->file, r->offset, r->a->buffer, sizeof r->a->buffer);

	if (n < 0)
		return (int)n;
	r->loaded = r->offset;
	r->len = (size_t)n;
	return OK;
}

static struct bytes rest(const struct users_reader *r)
{
	return bytes_part(bytes_make(r->a->buffer, r->len), (size_t)(r->offset - r->loaded), r->len);
}

/* Passes over a line that has no end within ACCOUNT_LINE bytes. */
static int skip_long(struct users_reader *r)
{
	for (;;) {
		struct bytes b = rest(r);
		size_t end = bytes_index(b, '\n');
		int err;

		if (end < b.len) {
			r->offset += end + 1;
			return E_LIMIT;
		}
		r->offset += b.len;
		err = load(r);
		if (err != OK)
			return err;
		if (r->len == 0)
			return E_LIMIT;
	}
}

int users_reader_next(struct users_reader *r, struct bytes *line)
{
	struct bytes b = rest(r);
	size_t end = bytes_index(b, '\n');

	if (end == b.len) {
		int err = load(r);

		if (err != OK)
			return err;
		b = rest(r);
		end = bytes_index(b, '\n');
	}
	if (b.len == 0)
		return E_NOENT;
	r->line++;
	if (end > ACCOUNT_LINE)
		return skip_long(r);
	*line = bytes_part(b, 0, end);
	r->offset += end < b.len ? end + 1 : end;
	if (line->len && line->data[line->len - 1] == '\r')
		line->len--;
	return OK;
}

bool users_line_counts(struct bytes line)
{
	line = text_trim(line);
	return line.len && line.data[0] != '#';
}

static struct bytes field(struct bytes *line)
{
	size_t n = bytes_index(*line, ':');
	struct bytes f = bytes_part(*line, 0, n);

	*line = bytes_part(*line, n + 1, line->len);
	return f;
}

struct bytes users_line_name(struct bytes line)
{
	return field(&line);
}

static int number(struct bytes text, uint64_t least, uint64_t most, uint32_t *out)
{
	uint64_t n;

	if (text_number(text, most, &n) != OK || n < least)
		return E_SYNTAX;
	*out = (uint32_t)n;
	return OK;
}

int users_line_parse(struct bytes line, struct account_user *user, const char **why)
{
	struct bytes name = field(&line), id = field(&line), flags = field(&line), iterations = field(&line);
	struct bytes salt = field(&line), stored = field(&line), server = line;

	*why = "has a name that can't be used";
	if (account_name_fault(name))
		return E_SYNTAX;
	user->name_len = (uint8_t)name.len;
	memcpy(user->name, name.data, name.len);
	*why = "has an id that is not a number from 1 on";
	if (number(id, 1, UINT32_MAX - 1, &user->id) != OK)
		return E_SYNTAX;
	*why = "has flags other than \"admin\" or \"-\"";
	user->admin = bytes_equal(flags, bytes_of("admin"));
	if (!user->admin && !bytes_equal(flags, bytes_of("-")))
		return E_SYNTAX;
	*why = "has an iteration count that is not a number from 4096 to 10000000";
	if (number(iterations, ACCOUNT_ITERATIONS_LEAST, ACCOUNT_ITERATIONS_MOST, &user->iterations) != OK)
		return E_SYNTAX;
	*why = "has a salt or keys that are not base64 of 16, 32 and 32 bytes";
	if (codec_base64_read(salt, user->salt, ACCOUNT_SALT) != ACCOUNT_SALT ||
		codec_base64_read(stored, user->stored_key, ACCOUNT_KEY) != ACCOUNT_KEY ||
		codec_base64_read(server, user->server_key, ACCOUNT_KEY) != ACCOUNT_KEY)
		return E_SYNTAX;
	*why = NULL;
	return OK;
}

bool users_line_put(const struct account_user *user, struct buf *out)
{
	buf_put(out, user->name, user->name_len);
	buf_printf(out, ":%lu:%s:%lu:", (unsigned long)user->id, user->admin ? "admin" : "-",
		(unsigned long)user->iterations);
	codec_base64(bytes_make(user->salt, ACCOUNT_SALT), out);
	buf_putc(out, ':');
	codec_base64(bytes_make(user->stored_key, ACCOUNT_KEY), out);
	buf_putc(out, ':');
	codec_base64(bytes_make(user->server_key, ACCOUNT_KEY), out);
	return buf_putc(out, '\n') && !out->overflow;
}

bool users_head_parse(struct bytes line, uint32_t *next, uint32_t *change)
{
	uint32_t n, c;

	if (!bytes_equal(text_word(&line), bytes_of("#cubby-users")) || !bytes_equal(text_word(&line), bytes_of("1")) ||
		!bytes_equal(text_word(&line), bytes_of("next")) ||
		number(text_word(&line), 1, UINT32_MAX - 1, &n) != OK ||
		!bytes_equal(text_word(&line), bytes_of("change")) || number(text_word(&line), 0, UINT32_MAX, &c) != OK)
		return false;
	*next = n;
	*change = c;
	return true;
}

const char *account_name_fault(struct bytes name)
{
	uint32_t code;

	if (name.len == 0)
		return "is empty";
	if (name.len > LIMIT_USER_NAME)
		return "is longer than 64 bytes";
	if (!text_utf8_valid(name))
		return "is not UTF-8";
	if (name.data[0] == ' ' || name.data[name.len - 1] == ' ')
		return "begins or ends with a space";
	if (name.data[0] == '#' || name.data[0] == '-' || name.data[0] == '.')
		return "begins with '#', '-' or '.'";
	for (struct bytes rest = name; rest.len;) {
		size_t n = text_utf8_decode(rest, &code);

		if (code < 0x20 || (code >= 0x7F && code < 0xA0))
			return "has a control character";
		if (code < 0x80 && strchr(":/@\"\\*%", (int)code))
			return "has one of : / @ \" \\ * %";
		rest = bytes_part(rest, n, rest.len);
	}
	return NULL;
}
