#include "control/archive.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "control/archive_name.h"
#include "control/intake.h"
#include "port/file.h"
#include "port/system.h"
#include "store/evict.h"

/* Bytes that must stay free on the disk beside the message: its directories. */
#define SPARE (256u * 1024)
/* All places for notices were taken: tried again after this time. */
#define AGAIN_US (5 * UINT64_C(1000000))
/* Damage is passed over in pieces of this size. */
#define PIECE 4096u

/* Letters a to z of dovecot-keywords. */
#define LETTERS 26

enum trouble { NONE, UNKNOWN, ABSENT, VOLATILE, FULL, FAILED };

enum step { IDLE, COPYING, SYNCING };

struct archive {
	struct archive_config config;
	enum step step;
	/* the message that is being copied */
	uint32_t mailbox, uid;
	uint64_t object, at;
	port_file file;
	bool damaged;
	char base[ARCHIVE_MESSAGE];
	/* the folder that is there, durably; empty: none */
	char folder[PORT_PATH_MAX];
	char separator;   /* before the flags: ':', or what FAT can have */
	bool mount_point; /* dir is one */
	/* what the owner is told */
	enum trouble trouble;
	uint64_t run;  /* the one that the log spoke of */
	bool tell;     /* a notice is to be put up, or taken back */
	uint64_t tell_us;
};

size_t archive_memory(void)
{
	return arena_size(sizeof(struct archive));
}

/* ---- telling ---- */

static const char *words(enum trouble t, int err)
{
	switch (t) {
	case ABSENT:
		return "no other disk is mounted there";
	case VOLATILE:
		return "it is in memory, which forgets everything at power off";
	case FULL:
		return "the disk is full";
	default:
		return err_text(err);
	}
}

static void say(struct archive *a, enum trouble t, int err)
{
	struct store_evict_status s;
	bool same = a->trouble == t;

	store_evict_status(a->config.store, &s);
	if (a->config.required && !same) {
		log_error("evict archive %s: %s; until that is mended no old mail goes, and when the storage is full "
			  "mail is refused",
			a->config.dir, words(t, err));
		a->tell = true;
	} else if (!a->config.required && !(same && a->run == s.runs)) {
		log_warning("evict archive %s: %s; old mail goes without a copy", a->config.dir, words(t, err));
	}
	a->run = s.runs;
	a->trouble = t;
}

static void say_well(struct archive *a)
{
	if (a->trouble != NONE && a->trouble != UNKNOWN)
		log_notice("evict archive %s: works again", a->config.dir);
	a->tell = a->tell || (a->trouble != NONE && a->config.required);
	a->trouble = NONE;
}

static int tell(struct archive *a, uint32_t admin)
{
	static const struct {
		const char *english, *japanese;
	} reasons[] = {
		[ABSENT] = { "no other disk is mounted there. Is it plugged in and switched on?",
			"別のディスクがマウントされていません。接続と電源を確認してください。" },
		[VOLATILE] = { "that place is in memory and forgets everything at power off.",
			"その場所はメモリー上にあり、電源を切ると消えます。" },
		[FULL] = { "that disk is full.", "そのディスクがいっぱいです。" },
		[FAILED] = { "that disk does not take it.", "そのディスクに書き込めません。" },
	};
	struct notices *n = a->config.notices;
	uint8_t space[PORT_PATH_MAX + 1024];
	struct buf text;

	if (a->trouble == NONE)
		return notice_withdraw(n, "archive", admin);
	buf_init(&text, space, sizeof space);
	(void)buf_puts(&text,
		notice_say(n, "Before old mail is deleted to make room, it is to be copied to\n\n    ",
			"空きを作るために古いメールを削除する前に、次の場所へコピーする設定になっています。\n\n    "));
	(void)buf_puts(&text, a->config.dir);
	(void)buf_puts(&text, notice_say(n, "\n\nThat is not possible: ", "\n\nしかし、コピーできません: "));
	(void)buf_puts(&text, notice_say(n, reasons[a->trouble].english, reasons[a->trouble].japanese));
	(void)buf_puts(&text,
		notice_say(n,
			"\n\nUntil it is, no mail is deleted, and when the storage is full, new mail is refused.\n",
			"\n\n解決するまでメールは削除されません。保存容量がいっぱいになると、新しいメールを受け取れません。\n"));
	return notice_post(n, "archive", admin,
		bytes_of(notice_say(n, "Old mail can't be copied to the archive",
			"古いメールを保管場所にコピーできません")),
		buf_bytes(&text));
}

void archive_work(struct archive *a)
{
	uint32_t admin;

	if (!a->tell || !a->config.notices || port_now_us() < a->tell_us)
		return;
	if (notice_admin(a->config.notices, &admin) == OK && tell(a, admin) == E_AGAIN)
		a->tell_us = port_now_us() + AGAIN_US;
	else
		a->tell = false;
}

uint64_t archive_deadline_us(const struct archive *a)
{
	return a->tell && a->config.notices ? a->tell_us + 1 : 0;
}

/* ---- the disk ---- */

/* The directory that a path is in; false for one without. */
static bool above(const char *path, char out[PORT_PATH_MAX])
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n == 0)
		return false;
	memcpy(out, path, n);
	out[n] = 0;
	return true;
}

/* What FAT and its kin can't have in a name. */
static char separator_of(const struct port_fs *fs)
{
	static const char *const others[] = { "vfat", "exfat", "ntfs", "fuse", "cifs" };

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (strcmp(fs->name, others[i]) == 0)
			return ';';
	return ':';
}

/* Whether a message of that size may be written there now. */
static enum trouble look(struct archive *a, uint64_t size)
{
	struct port_fs fs, store, root;
	char place[PORT_PATH_MAX];
	bool made_in;
	int err;

	if (port_fs_missing(a->config.dir, place))
		return ABSENT;
	err = port_fs_info(a->config.dir, &fs);
	made_in = err == E_NOENT && above(a->config.dir, place);
	if (made_in)
		err = port_fs_info(place, &fs);
	if (err != OK || port_fs_info(a->config.store_dir, &store) != OK || fs.device == store.device ||
		(port_fs_info("/", &root) == OK && fs.device == root.device))
		return ABSENT;
	if (fs.kind == PORT_FS_VOLATILE && !a->config.allow_volatile)
		return VOLATILE;
	a->separator = separator_of(&fs);
	a->mount_point = fs.mount_point && !made_in;
	return fs.free < size + SPARE ? FULL : NONE;
}

static bool join(char out[PORT_PATH_MAX], const char *dir, const char *more, const char *name)
{
	struct buf b;

	buf_init(&b, out, PORT_PATH_MAX);
	(void)buf_puts(&b, dir);
	(void)buf_puts(&b, more);
	(void)buf_puts(&b, name);
	return buf_terminate(&b);
}

/* A directory that is there whatever happens. It may be there already from before
 * a cut, without having been durable. */
static int make_durable(const char *path)
{
	char parent[PORT_PATH_MAX];
	int err = port_mkdir(path);

	if ((err != OK && err != E_EXIST) || !above(path, parent))
		return err;
	return port_sync_dir(parent);
}

/* Writes a small file of a folder in one step. */
static int put_file(const char *folder, const char *name, struct bytes text)
{
	char path[PORT_PATH_MAX], temporary[PORT_PATH_MAX];
	port_file f;
	int err;

	if (!join(path, folder, "/", name) || !join(temporary, folder, "/tmp/", name))
		return E_LIMIT;
	f = port_open(temporary, PORT_WRITE | PORT_CREATE | PORT_EMPTY);
	err = f < 0 ? f : port_write(f, 0, text.data, text.len);
	if (err == OK)
		err = port_sync(f);
	port_close(f);
	if (err == OK)
		err = port_rename(temporary, path);
	if (err != OK && f >= 0)
		(void)port_remove(temporary);
	return err;
}

/* Makes the folder of a mailbox and what is above and in it. */
static int make_folder(struct archive *a, const char *user, const char *folder, struct bytes mailbox, bool whole)
{
	static const char *const parts[] = { "/tmp", "/new", "/cur" };
	char path[PORT_PATH_MAX];
	/* What a mount point is in belongs to another disk. */
	int err = a->mount_point ? OK : make_durable(a->config.dir);

	/* A Maildir is one by its cur, new and tmp, the user's own as well. */
	for (unsigned i = 0; i < 2 && err == OK; i++) {
		const char *dir = i ? folder : user;

		err = make_durable(dir);
		for (unsigned k = 0; k < 3 && err == OK; k++)
			err = join(path, dir, parts[k], "") ? make_durable(path) : E_LIMIT;
	}
	if (err == OK && !whole) {
		err = put_file(folder, ARCHIVE_NAME_FILE, mailbox);
		if (err == OK)
			err = port_sync_dir(folder);
	}
	return err;
}

/* Finds the folder of a message's mailbox and makes it where it is not known to be
 * there. */
static int enter_folder(struct archive *a, const struct store_mailbox *mailbox)
{
	char name[LIMIT_MAILBOX_NAME], user[PORT_PATH_MAX], folder[PORT_PATH_MAX];
	int len = store_mailbox_name(a->config.store, mailbox->id, name);
	struct account_user owner;
	struct buf path;
	bool whole = true;
	int err;

	if (len < 0)
		return len;
	err = account_by_id(a->config.accounts, mailbox->owner, &owner);
	if (err != OK && err != E_NOENT)
		return err;
	buf_init(&path, user, sizeof user);
	(void)buf_puts(&path, a->config.dir);
	(void)buf_putc(&path, '/');
	if (err == OK)
		(void)archive_put_user(bytes_make(owner.name, owner.name_len), &path);
	else /* out of the users file, and his mail still there: nobody's name */
		(void)buf_printf(&path, "%%user-%u", mailbox->owner);
	if (!buf_terminate(&path))
		return E_LIMIT;
	buf_init(&path, folder, sizeof folder);
	(void)buf_puts(&path, user);
	(void)buf_putc(&path, '/');
	err = archive_put_folder(bytes_make(name, (size_t)len), &path, &whole);
	if (err != OK || !buf_terminate(&path))
		return err != OK ? err : E_LIMIT;
	if (strcmp(folder, a->folder) == 0)
		return OK;
	a->folder[0] = 0;
	err = make_folder(a, user, folder, bytes_make(name, (size_t)len), whole);
	if (err == OK)
		memcpy(a->folder, folder, path.len + 1);
	return err;
}

/* ---- flags and keywords ---- */

/* The letter of a keyword in the text of dovecot-keywords, which it is added to
 * when it is not there; 0: there are 26 already. */
static char keyword_letter(struct buf *text, struct bytes name, bool *changed)
{
	struct bytes rest = buf_bytes(text);
	bool used[LETTERS] = { false };

	while (rest.len) {
		size_t lf = bytes_index(rest, '\n');
		struct bytes line = bytes_part(rest, 0, lf), number = text_word(&line);
		uint64_t i;

		rest = bytes_part(rest, lf + 1, rest.len);
		if (text_number(number, LETTERS - 1, &i) != OK)
			continue;
		used[i] = true;
		if (bytes_equal_nocase(text_trim(line), name))
			return (char)('a' + i);
	}
	for (unsigned i = 0; i < LETTERS; i++) {
		if (used[i])
			continue;
		*changed = true;
		return buf_printf(text, "%u %.*s\n", i, (int)name.len, (const char *)name.data) ? (char)('a' + i) : 0;
	}
	return 0;
}

/* Letters of the message's keywords into out[LETTERS + 1], in the order of the
 * alphabet. The folder's file is changed first. */
static int keyword_letters(struct archive *a, const struct store_entry *e, bool *forwarded, char out[LETTERS + 1])
{
	char path[PORT_PATH_MAX], name[LIMIT_KEYWORD_NAME];
	bool has[LETTERS] = { false }, changed = false;
	size_t n = 0;
	struct buf text;
	port_file f;

	buf_init(&text, a->config.scratch, LIMIT_SLICE_BYTES);
	if (e->keywords && join(path, a->folder, "/", "dovecot-keywords") && (f = port_open(path, PORT_READ)) >= 0) {
		int64_t len = port_read(f, 0, text.data, text.cap / 2);

		port_close(f);
		text.len = len > 0 ? (size_t)len : 0;
	}
	for (unsigned bit = 0; bit < LIMIT_KEYWORDS; bit++) {
		int len = e->keywords >> bit & 1 ? store_keyword_name(a->config.store, a->mailbox, bit, name) : 0;
		char letter = 0;

		if (len > 0 && bytes_is(bytes_make(name, (size_t)len), "$Forwarded"))
			*forwarded = true;
		else if (len > 0)
			letter = keyword_letter(&text, bytes_make(name, (size_t)len), &changed);
		if (letter)
			has[letter - 'a'] = true;
	}
	for (unsigned i = 0; i < LETTERS; i++)
		if (has[i])
			out[n++] = (char)('a' + i);
	out[n] = 0;
	if (!changed)
		return OK;
	n = (size_t)put_file(a->folder, "dovecot-keywords", buf_bytes(&text));
	return n ? (int)n : port_sync_dir(a->folder);
}

/* The path of the message in cur/: letters of flags in the alphabet's order. */
static bool target_path(const struct archive *a, uint8_t flags, bool forwarded, const char *keywords,
	char out[PORT_PATH_MAX])
{
	char letters[8];
	size_t n = intake_flag_letters(flags, letters);
	struct buf b;

	buf_init(&b, out, PORT_PATH_MAX);
	(void)buf_printf(&b, "%s/cur/%s%c2,", a->folder, a->base, a->separator);
	for (size_t i = 0; i < n; i++) {
		if (forwarded && letters[i] > 'P') {
			(void)buf_putc(&b, 'P');
			forwarded = false;
		}
		(void)buf_putc(&b, (uint8_t)letters[i]);
	}
	(void)buf_puts(&b, forwarded ? "P" : "");
	(void)buf_puts(&b, keywords);
	return buf_terminate(&b);
}

#define ALL_FLAGS (STORE_SEEN | STORE_ANSWERED | STORE_FLAGGED | STORE_DELETED | STORE_DRAFT)

static int sync_folder(struct archive *a)
{
	char path[PORT_PATH_MAX];
	int err = join(path, a->folder, "/tmp", "") ? port_sync_dir(path) : E_LIMIT;

	if (err == OK)
		err = join(path, a->folder, "/cur", "") ? port_sync_dir(path) : E_LIMIT;
	return err;
}

static bool has_size(const char *path, uint32_t size)
{
	port_file f = port_open(path, PORT_READ);
	bool is = f >= 0 && port_size(f) == (int64_t)size;

	port_close(f);
	return is;
}

/* Looks for a copy made before, whatever flags the message had then. OK: it is
 * there, durably, with the flags of now. E_NOENT. */
static int find_copy(struct archive *a, const struct store_entry *e, bool forwarded, const char *keywords,
	const char *target)
{
	char path[PORT_PATH_MAX];

	if (port_exists(target))
		return has_size(target, e->size) ? sync_folder(a) : E_NOENT;
	for (unsigned flags = 0; flags <= ALL_FLAGS; flags++) {
		int err;

		if (!target_path(a, (uint8_t)flags, forwarded, keywords, path) || !port_exists(path))
			continue;
		err = has_size(path, e->size) ? port_rename(path, target) : port_remove(path);
		if (err != OK)
			return err;
		return has_size(target, e->size) ? sync_folder(a) : E_NOENT;
	}
	return E_NOENT;
}

/* ---- copying ---- */

/* Ends what is being copied and takes back what came of it. */
static void drop(struct archive *a)
{
	char path[PORT_PATH_MAX];

	if (a->step == IDLE)
		return;
	a->step = IDLE;
	port_close(a->file);
	if (join(path, a->folder, "/tmp/", a->base))
		(void)port_remove(path);
}

static int begin(struct archive *a, const struct store_mailbox *mailbox, const struct store_entry *e)
{
	char path[PORT_PATH_MAX], keywords[LETTERS + 1];
	struct buf base;
	bool forwarded = false;
	int err = enter_folder(a, mailbox);

	a->mailbox = mailbox->id;
	a->uid = e->uid;
	a->object = e->object;
	buf_init(&base, a->base, sizeof a->base);
	if (!archive_put_message(store_identity(a->config.store), e, &base) || !buf_terminate(&base))
		return E_LIMIT;
	if (err == OK)
		err = keyword_letters(a, e, &forwarded, keywords);
	if (err != OK)
		return err;
	if (!target_path(a, e->flags, forwarded, keywords, path))
		return E_LIMIT;
	err = find_copy(a, e, forwarded, keywords, path);
	if (err != E_NOENT)
		return err;
	if (!join(path, a->folder, "/tmp/", a->base))
		return E_LIMIT;
	a->file = port_open(path, PORT_WRITE | PORT_CREATE | PORT_EMPTY);
	if (a->file < 0)
		return a->file;
	a->at = 0;
	a->damaged = false;
	a->step = COPYING;
	return E_AGAIN;
}

/* What is readable of a slice with damage, '?' for the rest. */
static int64_t salvage(struct archive *a, uint64_t object, size_t len)
{
	uint8_t *to = a->config.scratch;

	for (size_t at = 0; at < len; at += PIECE) {
		size_t want = len - at < PIECE ? len - at : PIECE;
		int64_t n = store_body(a->config.store, object, a->at + at, to + at, want);

		if (n == E_DAMAGED)
			memset(to + at, '?', want);
		else if (n < 0)
			return n;
	}
	if (!a->damaged)
		log_warning("evict archive: message %u of mailbox %u is damaged, what can be read of it is copied",
			a->uid, a->mailbox);
	a->damaged = true;
	return (int64_t)len;
}

static int copy(struct archive *a, const struct store_entry *e)
{
	uint64_t left = e->size - a->at;
	size_t len = left < LIMIT_SLICE_BYTES ? (size_t)left : LIMIT_SLICE_BYTES;
	int64_t n = len ? store_body(a->config.store, e->object, a->at, a->config.scratch, len) : 0;
	int err;

	if (n == E_DAMAGED)
		n = salvage(a, e->object, len);
	if (n < 0)
		return (int)n;
	err = port_write(a->file, a->at, a->config.scratch, (size_t)n);
	if (err != OK)
		return err;
	a->at += (uint64_t)n;
	if (n > 0 && a->at < e->size)
		return E_AGAIN;
	err = port_sync_start(a->file);
	a->step = SYNCING;
	return err == OK ? E_AGAIN : err;
}

static int finish(struct archive *a, const struct store_entry *e)
{
	char from[PORT_PATH_MAX], to[PORT_PATH_MAX], keywords[LETTERS + 1];
	bool forwarded = false;
	int err = port_sync_done(a->file);

	if (err == OK)
		err = keyword_letters(a, e, &forwarded, keywords);
	if (err != OK)
		return err;
	if (!join(from, a->folder, "/tmp/", a->base) || !target_path(a, e->flags, forwarded, keywords, to))
		return E_LIMIT;
	err = port_rename(from, to);
	if (err != OK)
		return err;
	port_close(a->file);
	a->step = IDLE;
	return sync_folder(a);
}

static int go_on(struct archive *a, const struct store_mailbox *mailbox, const struct store_entry *e)
{
	enum trouble t;
	bool known;
	int err;

	if (a->step != IDLE && (a->mailbox != mailbox->id || a->uid != e->uid || a->object != e->object))
		drop(a);
	if (a->step == COPYING)
		return copy(a, e);
	if (a->step == SYNCING)
		return finish(a, e);
	do {
		t = look(a, e->size);
		if (t != NONE) {
			say(a, t, E_NOENT);
			return E_STATE;
		}
		known = a->folder[0];
		err = begin(a, mailbox, e);
		/* Maybe another disk than the one whose folders were made: once more. */
		if (err == E_NOENT)
			a->folder[0] = 0;
	} while (err == E_NOENT && known);
	return err;
}

int archive_message(struct archive *a, const struct store_mailbox *mailbox, const struct store_entry *e)
{
	int err = go_on(a, mailbox, e);

	if (err == OK) {
		say_well(a);
	} else if (err != E_AGAIN) {
		drop(a);
		a->folder[0] = 0;
		if (err != E_STATE)
			say(a, err == E_NOSPC ? FULL : err == E_NOENT ? ABSENT : FAILED, err);
	}
	return err;
}

int archive_init(struct archive **out, struct arena *arena, const struct archive_config *config)
{
	struct archive *a = arena_take(arena, sizeof *a);
	enum trouble t;

	if (!a)
		return E_NOMEM;
	a->config = *config;
	a->trouble = UNKNOWN;
	t = look(a, 0);
	if (t != NONE)
		log_warning("evict archive %s: %s (now); mail that has to go %s", config->dir, words(t, E_NOENT),
			config->required ? "stays until it is there" : "goes without a copy");
	*out = a;
	return OK;
}
