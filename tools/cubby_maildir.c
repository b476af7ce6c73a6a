/* Reads a Maildir. Names are collected folder by folder, sorted by date, and
 * then opened one by one. */
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/text.h"
#include "control/archive_name.h"
#include "control/intake.h"
#include "mail/mutf7.h"
#include "port/file.h"
#include "port/system.h"
#include "store/store.h"
#include "tools/cubby.h"
#include "tools/cubby_import.h"

/* Bytes read at a time. */
#define MAILDIR_READ 65536

/* Subfolders of one Maildir. Beyond it: E_LIMIT, with a complaint. */
#define MAILDIR_FOLDERS 1024

/* Letters a to z of Dovecot's keywords. */
#define MAILDIR_KEYWORDS 26

struct item {
	int64_t date;
	int zone; /* minutes east */
	const char *name;
	bool is_new; /* in new/, not cur/ */
};

/* One growing mapping for names, reused by every folder: port_map gives nothing back. */
struct space {
	char *start;
	size_t cap;
};

struct maildir {
	const struct import_sink *sink;
	struct bytes base;  /* --mailbox */
	uint64_t *unreadable;
	bool archive;       /* made by the server: archive_name.h */
	/* of the folder being read */
	char folder[PORT_PATH_MAX];
	struct space text_space, item_space;
	size_t names, text;    /* counted in the first listing */
	size_t filled, used;   /* filled in the second */
	bool is_new;
	size_t n_keywords;
	struct {
		uint8_t len;
		char name[LIMIT_KEYWORD_NAME];
	} keywords[MAILDIR_KEYWORDS];
};

static bool space_need(struct space *s, size_t len)
{
	if (s->cap >= len && s->start)
		return true;
	s->cap = len * 2 + 4096;
	s->start = port_map(s->cap, false);
	return s->start != NULL;
}

static bool join(char out[PORT_PATH_MAX], const char *dir, const char *name)
{
	struct buf b;

	buf_init(&b, out, PORT_PATH_MAX);
	buf_puts(&b, dir);
	buf_putc(&b, '/');
	buf_puts(&b, name);
	return buf_terminate(&b) && !b.overflow;
}

/* ---- the names of one folder ---- */

static bool count_name(void *context, const char *name)
{
	struct maildir *m = context;

	if (name[0] != '.') {
		m->names++;
		m->text += strlen(name) + 1;
	}
	return true;
}

/* Seconds since 1970 at the start of the name ("1696789012.M1P2.host"), 0 when
 * it does not start so. */
static int64_t name_date(const char *name)
{
	struct bytes b = bytes_of(name);
	uint64_t seconds;

	if (text_number(bytes_part(b, 0, bytes_index(b, '.')), UINT32_MAX, &seconds) != OK || seconds < 100000000)
		return 0;
	return (int64_t)seconds;
}

static bool fill_name(void *context, const char *name)
{
	struct maildir *m = context;
	size_t len = strlen(name) + 1;
	struct item *item = (struct item *)(void *)m->item_space.start + m->filled;
	char path[PORT_PATH_MAX], dir[PORT_PATH_MAX];
	int64_t by_name = name_date(name), by_file;

	if (name[0] == '.' || m->filled == m->names || m->used + len > m->text)
		return true; /* came since the first listing: the next import has it */
	if (!join(dir, m->folder, m->is_new ? "new" : "cur") || !join(path, dir, name))
		return true;
	memcpy(m->text_space.start + m->used, name, len);
	by_file = port_modified(path);
	/* A copy of a Maildir may have lost the files' times, but never made one
	 * earlier. */
	item->date = by_name && (by_file < 0 || by_name < by_file) ? by_name : by_file < 0 ? 0 : by_file;
	item->zone = port_zone_minutes(item->date);
	if (m->archive)
		(void)archive_read_date(name, &item->date, &item->zone);
	item->name = m->text_space.start + m->used;
	item->is_new = m->is_new;
	m->used += len;
	m->filled++;
	return true;
}

static bool item_before(const struct item *a, const struct item *b)
{
	return a->date != b->date ? a->date < b->date : strcmp(a->name, b->name) < 0;
}

static void sift_down(struct item *items, size_t at, size_t n)
{
	struct item top = items[at];

	for (size_t child = 2 * at + 1; child < n; at = child, child = 2 * at + 1) {
		if (child + 1 < n && item_before(&items[child], &items[child + 1]))
			child++;
		if (!item_before(&top, &items[child]))
			break;
		items[at] = items[child];
	}
	items[at] = top;
}

/* Heapsort: in place, and never slow. */
static void sort_items(struct item *items, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift_down(items, i, n);
	for (size_t i = n; i-- > 1;) {
		struct item first = items[0];

		items[0] = items[i];
		items[i] = first;
		sift_down(items, 0, i);
	}
}

static int list_names(struct maildir *m)
{
	static const char *const dirs[] = { "new", "cur" };
	char path[PORT_PATH_MAX];

	m->names = m->text = m->filled = m->used = 0;
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1 &&
			(!space_need(&m->text_space, m->text) ||
				!space_need(&m->item_space, m->names * sizeof(struct item))))
			return E_NOMEM;
		for (int i = 0; i < 2; i++) {
			m->is_new = i == 0;
			if (join(path, m->folder, dirs[i]) && port_is_dir(path))
				(void)port_list(path, pass ? fill_name : count_name, m);
		}
	}
	sort_items((struct item *)(void *)m->item_space.start, m->filled);
	return OK;
}

/* ---- flags ---- */

/* dovecot-keywords: lines "0 $label1", letter 'a' + number. */
static void read_keywords(struct maildir *m)
{
	static uint8_t text[8192];
	char path[PORT_PATH_MAX];
	struct bytes rest;
	port_file f;
	int64_t n;

	m->n_keywords = 0;
	memset(m->keywords, 0, sizeof m->keywords);
	if (!join(path, m->folder, "dovecot-keywords") || (f = port_open(path, PORT_READ)) < 0)
		return;
	n = port_read(f, 0, text, sizeof text);
	port_close(f);
	rest = bytes_make(text, n > 0 ? (size_t)n : 0);
	while (rest.len) {
		size_t lf = bytes_index(rest, '\n');
		struct bytes line = text_trim(bytes_part(rest, 0, lf)), number = text_word(&line),
			     name = text_trim(line);
		uint64_t i;

		rest = bytes_part(rest, lf + 1, rest.len);
		if (text_number(number, MAILDIR_KEYWORDS - 1, &i) == OK && name.len && name.len <= LIMIT_KEYWORD_NAME &&
			bytes_index(name, ',') == name.len) {
			memcpy(m->keywords[i].name, name.data, name.len);
			m->keywords[i].len = (uint8_t)name.len;
		}
	}
}

static void add_keyword(struct buf *out, struct bytes name)
{
	if (name.len == 0)
		return;
	if (out->len)
		buf_putc(out, ',');
	buf_putb(out, name);
}

/* Behind ":2," stand the flags; some file systems can't have the ':'. */
static uint8_t read_flags(const struct maildir *m, const struct item *item, struct buf *keywords)
{
	const char *info = strstr(item->name, ":2,");
	uint8_t flags = 0;

	if (!info)
		info = strstr(item->name, ";2,");
	if (!info)
		info = strstr(item->name, "!2,");
	for (info = info ? info + 3 : ""; *info; info++) {
		flags |= intake_flag(*info);
		if (*info == 'P')
			add_keyword(keywords, bytes_of("$Forwarded"));
		if (*info >= 'a' && *info <= 'z')
			add_keyword(keywords, bytes_make(m->keywords[*info - 'a'].name, m->keywords[*info - 'a'].len));
	}
	return flags;
}

/* ---- messages ---- */

static int send_file(const struct maildir *m, port_file f)
{
	static uint8_t piece[MAILDIR_READ];
	uint64_t at = 0;
	int64_t n;
	int err = OK;

	while ((n = port_read(f, at, piece, sizeof piece)) > 0) {
		err = m->sink->bytes(m->sink->context, piece, (size_t)n);
		if (err != OK)
			return err;
		at += (uint64_t)n;
	}
	return n < 0 ? E_IO : OK;
}

static int send_message(struct maildir *m, const struct item *item, struct bytes mailbox)
{
	char dir[PORT_PATH_MAX], path[PORT_PATH_MAX];
	uint8_t keywords[MAILDIR_KEYWORDS * (LIMIT_KEYWORD_NAME + 1)];
	struct buf names;
	struct import_message message = { .mailbox = mailbox, .name = item->name };
	port_file f = E_NOENT;
	int64_t size = -1;
	int err;

	if (join(dir, m->folder, item->is_new ? "new" : "cur") && join(path, dir, item->name))
		f = port_open(path, PORT_READ);
	if (f >= 0)
		size = port_size(f);
	if (size < 0) {
		tool_complain("%s can't be read: %s", item->name, err_text(f < 0 ? f : (int)size));
		(*m->unreadable)++;
		if (f >= 0)
			port_close(f);
		return OK;
	}
	buf_init(&names, keywords, sizeof keywords);
	message.flags = read_flags(m, item, &names);
	message.keywords = buf_bytes(&names);
	message.received = (struct date){ item->date, item->zone };
	message.size = (uint64_t)size;
	err = m->sink->begin(m->sink->context, &message);
	if (err == OK && m->sink->bytes)
		err = send_file(m, f);
	if (err == OK)
		err = m->sink->end(m->sink->context);
	port_close(f);
	return err;
}

static int walk_folder(struct maildir *m, struct bytes mailbox)
{
	int err = list_names(m);
	const struct item *items = (const struct item *)(void *)m->item_space.start;

	if (err != OK)
		return err;
	read_keywords(m);
	for (size_t i = 0; i < m->filled && err == OK; i++)
		err = send_message(m, &items[i], mailbox);
	return err;
}

/* ---- subfolders ---- */

struct folders {
	const char *path;
	struct space space;
	size_t n, used, len;
	bool fill;
};

static bool each_folder(void *context, const char *name)
{
	struct folders *f = context;
	size_t len = strlen(name) + 1;
	char dir[PORT_PATH_MAX], cur[PORT_PATH_MAX];

	if (name[0] != '.' || !join(dir, f->path, name) || !join(cur, dir, "cur") || !port_is_dir(cur))
		return true;
	if (!f->fill) {
		f->n++;
		f->len += len;
	} else if (f->used + len <= f->len) {
		memcpy(f->space.start + f->used, name, len);
		f->used += len;
	}
	return true;
}

/* ".Sub.Folder" in modified UTF-7 (or UTF-8, as some servers write it) below
 * the base. */
static bool folder_mailbox(struct bytes base, const char *name, struct buf *out)
{
	uint8_t level[LIMIT_MAILBOX_NAME * 2];
	struct bytes raw = bytes_of(name + 1);
	struct buf b;

	buf_reset(out);
	buf_init(&b, level, sizeof level);
	for (size_t i = 0; i < raw.len; i++)
		buf_putc(&b, raw.data[i] == '.' ? '/' : raw.data[i]);
	if (base.len) {
		buf_putb(out, base);
		buf_putc(out, '/');
	}
	if (mutf7_to_utf8(buf_bytes(&b), out) != OK)
		buf_putb(out, buf_bytes(&b));
	return !b.overflow && !out->overflow;
}

/* What an archive's folder is for: by its name, or by a file in it where the name
 * is too long. */
static bool archived_mailbox(const char *dir, struct buf *out)
{
	const char *name = strrchr(dir, '/') + 1;
	char path[PORT_PATH_MAX];
	port_file f;
	int64_t n;
	bool ok;

	buf_reset(out);
	if (archive_read_folder(name, out) == OK)
		return true;
	buf_reset(out);
	if (!join(path, dir, ARCHIVE_NAME_FILE) || (f = port_open(path, PORT_READ)) < 0)
		return false;
	n = port_read(f, 0, out->data, out->cap);
	ok = n > 0 && port_size(f) == n;
	port_close(f);
	out->len = ok ? (size_t)n : 0;
	return ok;
}

static int walk_subfolders(struct maildir *m, const char *path)
{
	static uint8_t name[LIMIT_MAILBOX_NAME];
	struct folders f = { .path = path };
	struct buf mailbox;
	int err = OK;

	(void)port_list(path, each_folder, &f);
	if (f.n > MAILDIR_FOLDERS) {
		tool_complain("%s has more than %d folders", path, MAILDIR_FOLDERS);
		return E_LIMIT;
	}
	if (f.n == 0)
		return OK;
	if (!space_need(&f.space, f.len))
		return E_NOMEM;
	f.fill = true;
	(void)port_list(path, each_folder, &f);
	buf_init(&mailbox, name, sizeof name);
	for (const char *at = f.space.start; at < f.space.start + f.used && err == OK; at += strlen(at) + 1) {
		bool named = join(m->folder, path, at) &&
			((m->archive && archived_mailbox(m->folder, &mailbox)) ||
				folder_mailbox(m->base, at, &mailbox));

		if (!named) {
			tool_complain("the name of folder %s is too long", at);
			return E_LIMIT;
		}
		err = walk_folder(m, buf_bytes(&mailbox));
	}
	return err;
}

static int walk(const char *path, struct bytes mailbox, const struct import_sink *sink, uint64_t *unreadable,
	bool archive)
{
	static struct maildir m;
	int err;

	m.archive = archive;
	m.sink = sink;
	m.base = mailbox;
	m.unreadable = unreadable;
	if (strlen(path) >= PORT_PATH_MAX)
		return E_LIMIT;
	memcpy(m.folder, path, strlen(path) + 1);
	err = walk_folder(&m, mailbox);
	return err == OK ? walk_subfolders(&m, path) : err;
}

int maildir_walk(const char *path, struct bytes mailbox, const struct import_sink *sink, uint64_t *unreadable)
{
	return walk(path, mailbox, sink, unreadable, false);
}

int archive_walk(const char *path, struct bytes mailbox, const struct import_sink *sink, uint64_t *unreadable)
{
	return walk(path, mailbox, sink, unreadable, true);
}
