/* Changing the configuration file: the new one is written beside it, read as a
 * whole, and only then put in its place. */
#include "base/err.h"
#include "base/text.h"
#include "control/config_int.h"

struct edit {
	const struct config_key *key;
	struct bytes value; /* data NULL: take out */
	bool done;
	port_file out;
	uint64_t offset;
	unsigned last; /* line behind which a repeated key is added; 0: at the end */
};

static int put(struct edit *e, struct bytes text)
{
	int err = text.len ? port_write(e->out, e->offset, text.data, text.len) : OK;

	e->offset += text.len;
	return err;
}

static int put_line(struct edit *e, struct bytes line)
{
	int err = put(e, line);

	return err == OK ? put(e, bytes_of("\n")) : err;
}

/* The comment at the end of a line with its blanks, or nothing. */
static struct bytes comment_of(struct bytes line)
{
	struct bytes rest = line, word;
	const uint8_t *end = line.data;

	(void)config_key_take(&rest);
	while (rest.len) {
		end = rest.data;
		if (config_word(&rest, &word) != OK)
			return bytes_make(end, (size_t)(line.data + line.len - end));
	}
	return bytes_make(NULL, 0);
}

static int put_new(struct edit *e, struct bytes comment)
{
	int err = put(e, bytes_of(e->key->name));

	e->done = true;
	if (err == OK && e->value.len)
		err = put(e, bytes_of(" "));
	if (err == OK)
		err = put(e, e->value);
	return err == OK ? put_line(e, comment) : err;
}

static bool is_key(const struct edit *e, struct bytes line)
{
	struct bytes text = text_trim(line);

	return text.len && text.data[0] != '#' && config_key_take(&text) == e->key;
}

static int edit_line(struct edit *e, unsigned number, struct bytes line)
{
	int err;

	if (!is_key(e, line))
		return put_line(e, line);
	if (!e->value.data)
		return OK;
	if (!config_repeatable(e->key))
		return e->done ? OK : put_new(e, comment_of(text_trim(line)));
	err = put_line(e, line);
	if (err == OK && number == e->last)
		err = put_new(e, bytes_make(NULL, 0));
	return err;
}

/* Where the key stands last. */
static int find_last(struct edit *e, port_file in)
{
	struct config_lines lines;
	struct bytes line;
	int err;

	config_lines_init(&lines, in);
	while ((err = config_lines_next(&lines, &line)) == OK)
		if (is_key(e, line))
			e->last = lines.number;
	return err == E_NOENT ? OK : err;
}

static int edit_file(struct edit *e, port_file in)
{
	struct config_lines lines;
	struct bytes line;
	int err = find_last(e, in);

	config_lines_init(&lines, in);
	while (err == OK) {
		err = config_lines_next(&lines, &line);
		if (err == OK)
			err = edit_line(e, lines.number, line);
	}
	if (err != E_NOENT)
		return err;
	return e->value.data && !e->done ? put_new(e, bytes_make(NULL, 0)) : OK;
}

static int replace(struct edit *e, const char *path, const char *fresh, struct config *scratch, config_report *report,
	void *context)
{
	port_file in = port_open(path, PORT_READ);
	int err;

	if (in < 0 && in != E_NOENT)
		return in;
	e->out = port_open(fresh, PORT_WRITE | PORT_CREATE | PORT_EMPTY);
	if (e->out < 0) {
		if (in >= 0)
			port_close(in);
		return e->out;
	}
	err = in >= 0 ? edit_file(e, in) : put_new(e, bytes_make(NULL, 0));
	if (in >= 0)
		port_close(in);
	if (err == OK)
		err = port_sync(e->out);
	port_close(e->out);
	if (err == OK)
		err = config_read_as(fresh, path, scratch, report, context);
	if (err == OK)
		err = port_rename(fresh, path);
	if (err == OK)
		return port_sync_name(path);
	(void)port_remove(fresh);
	return err;
}

static int beside(const char *path, const char *suffix, char out[PORT_PATH_MAX])
{
	struct buf text;

	buf_init(&text, out, PORT_PATH_MAX);
	return buf_puts(&text, path) && buf_puts(&text, suffix) && buf_terminate(&text) ? OK : E_LIMIT;
}

static bool one_line(struct bytes value)
{
	return bytes_index(value, '\n') == value.len && bytes_index(value, '\r') == value.len;
}

int config_set(const char *path, const char *name, struct bytes value, struct config *scratch, config_report *report,
	void *context)
{
	char fresh[PORT_PATH_MAX], lock[PORT_PATH_MAX];
	struct bytes text = bytes_of(name);
	struct edit e = { .key = config_key_take(&text), .value = value };
	port_file held;
	int err;

	if (!e.key || text_trim(text).len)
		return E_NOENT;
	if (!one_line(value))
		return E_SYNTAX;
	if (beside(path, ".new", fresh) != OK || beside(path, ".lock", lock) != OK)
		return E_LIMIT;
	held = port_lock(lock);
	if (held < 0)
		return held;
	err = replace(&e, path, fresh, scratch, report, context);
	port_close(held);
	return err;
}
