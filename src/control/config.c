/* The table of settings, and reading the file by it. */
#include "control/config_int.h"

#include <string.h>

#include "account/account.h"
#include "base/err.h"
#include "base/text.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define MINUTE 60u
#define HOUR 3600u
#define DAY 86400u

#define AT(field) offsetof(struct config, field)

/* Loopback, private and link-local ranges. */
#define NEAR "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 ::1 fc00::/7 fe80::/10"

const struct config_key config_keys[] = {
	{ "domain", CONFIG_DOMAIN, AT(domain), 0, 256, "", "NAME",
		"what the box calls itself, in greetings and in its certificate; without it the system's host name" },
	{ "store", CONFIG_PATH, AT(store), 0, PORT_PATH_MAX, "/var/lib/cubby", "DIR", "where the mail is kept" },
	{ "storage", CONFIG_SIZE, AT(storage), 4 * MIB, 16384 * GIB, "64M", "SIZE",
		"bytes that DIR may take on the disk, never more" },
	{ "memory", CONFIG_SIZE, AT(memory), 1 * MIB, 1 * GIB, "4M", "SIZE",
		"memory of the server, taken at start; `cubbyd --budget` shows what for" },
	{ "connections", CONFIG_NUMBER, AT(connections), 1, 1700, "64", "N",
		"sessions logged in at once; an eighth of it is added for logins, and 4 for delivery" },
	{ "users", CONFIG_PATH, AT(users), 0, PORT_PATH_MAX, "", "FILE",
		"the users; without it `users` in the store's DIR" },
	{ "listen", CONFIG_LISTEN, AT(listen), 0, CONFIG_LISTENERS,
		"imap 0.0.0.0:143\nimap [::]:143\nimaps 0.0.0.0:993\nimaps [::]:993\ncontrol unix:/run/cubby/control",
		"PROTOCOL ADDRESS [from CIDR...] [size SIZE] [rate N/min]",
		"where to listen: PROTOCOL is imap imaps pop3 pop3s lmtp smtp submission submissions device control, "
		"ADDRESS is IP:PORT, [IP6]:PORT, INTERFACE:PORT or unix:PATH; without a line for imap or imaps "
		"their defaults hold, and without one for control its default" },
	{ "allow-from", CONFIG_NETWORKS, AT(allow_from), 0, LOOP_NETWORKS, NEAR, "CIDR...",
		"who may connect; others are closed at once and counted" },
	{ "tls", CONFIG_TLS, AT(tls_certificate), 0, PORT_PATH_MAX, "", "CERT KEY",
		"certificate and key (PEM); without it `cert.pem` and `key.pem` in the store's DIR" },
	{ "cleartext-login", CONFIG_CHOICE, AT(cleartext_login), 0, 0, "never", "never|loopback|always",
		"whether a password may come without TLS" },
	{ "imap4rev2", CONFIG_SWITCH, AT(imap4rev2), 0, 0, "off", "on|off",
		"offer IMAP4rev2 (RFC 9051) beside IMAP4rev1" },
	{ "message-size", CONFIG_SIZE, AT(message_size), 64 * KIB, LIMIT_MESSAGE, "", "SIZE",
		"the largest message taken; without it 64M or a quarter of `storage`, whichever is less" },
	{ "quota", CONFIG_SIZE, AT(quota), 0, 16384 * GIB, "0", "SIZE",
		"what one user may keep; 0 is as much as fits" },
	{ "login-timeout", CONFIG_TIME, AT(login_timeout_s), 5, 10 * MINUTE, "1m", "TIME",
		"how long a connection may take to log in, all of it together" },
	{ "idle-notify", CONFIG_TIME, AT(idle_notify_s), 30, 29 * MINUTE, "5m", "TIME",
		"how often a client in IDLE is told that the server is still there" },
	{ "flag-delay", CONFIG_TIME, AT(flag_delay_s), 0, 1 * HOUR, "5s", "TIME",
		"how long a changed flag may wait for the flash, to save it writes; 0 is not at all" },
	{ "scram-iterations", CONFIG_NUMBER, AT(scram_iterations), ACCOUNT_ITERATIONS_LEAST, ACCOUNT_ITERATIONS_MOST,
		"10000", "N", "work of checking a password, for those set from now on" },
	{ "mailbox", CONFIG_MAILBOX, AT(mailbox), 0, CONFIG_MAILBOX_RULES, "", "NAME age TIME|count N|bytes SIZE|keep",
		"a bound of that mailbox of every user: what is over it may go, oldest first; keep: nothing of it "
		"ever may" },
	{ "evict", CONFIG_SWITCH, AT(evict), 0, 0, "on", "on|off", "let old mail go when the storage is used up" },
	{ "evict high", CONFIG_NUMBER, AT(evict_high), 10, 99, "90", "PERCENT", "where letting mail go begins" },
	{ "evict low", CONFIG_NUMBER, AT(evict_low), 5, 98, "75", "PERCENT", "where it ends" },
	{ "evict order", CONFIG_ORDER, AT(evict_order), 0, CONFIG_CLASSES, "deleted junk trash ring seen", "CLASS...",
		"what goes first: deleted junk trash ring seen unseen sent archive; what is not named never goes" },
	{ "evict seen-age", CONFIG_TIME, AT(evict_seen_age_s), 0, 36500 * DAY, "30d", "TIME",
		"how old mail that was read must be to go" },
	{ "evict protect", CONFIG_TIME, AT(evict_protect_s), 0, 365 * DAY, "24h", "TIME",
		"for how long what has just come is safe" },
	{ "evict archive", CONFIG_ARCHIVE, AT(evict_archive), 0, PORT_PATH_MAX, "", "DIR required|best-effort",
		"a directory on another disk that mail is copied to before it goes, as a Maildir a user; required: "
		"nothing goes while that disk is not there or full; best-effort: it goes without a copy then; "
		"`cubby restore-archive DIR` takes it in again" },
	{ "language", CONFIG_CHOICE, AT(language), 0, 0, "en", "en|ja",
		"the language of the box's own messages to its users: English or Japanese" },
	{ "allow-volatile", CONFIG_SWITCH, AT(allow_volatile), 0, 0, "no", "yes|no",
		"take a store in memory, on an empty mount point, or larger than its disk" },
	{ "memory-lock", CONFIG_SWITCH, AT(memory_lock), 0, 0, "no", "yes|no",
		"touch all memory at start and keep it" },
	{ "run-as", CONFIG_ACCOUNT, AT(run_as), 0, 64, "", "USER",
		"the system's user to become once the ports are open" },
	{ "chroot", CONFIG_PATH, AT(chroot), 0, PORT_PATH_MAX, "", "DIR",
		"the directory to lock oneself into after that" },
};

const size_t config_keys_n = sizeof config_keys / sizeof *config_keys;

_Static_assert(sizeof config_keys / sizeof *config_keys <= CONFIG_KEYS, "CONFIG_KEYS");

bool config_repeatable(const struct config_key *key)
{
	return key->type == CONFIG_LISTEN || key->type == CONFIG_MAILBOX;
}

/* Does text begin with the words of name? Then *len is how long they are. */
static bool begins_with(struct bytes text, const char *name, size_t *len)
{
	struct bytes words = bytes_of(name), rest = text;

	while (words.len)
		if (!bytes_equal(text_word(&words), text_word(&rest)))
			return false;
	*len = (size_t)(rest.len ? rest.data - text.data : (ptrdiff_t)text.len);
	return true;
}

const struct config_key *config_key_take(struct bytes *text)
{
	const struct config_key *best = NULL;
	size_t len = 0, best_len = 0;

	for (size_t i = 0; i < config_keys_n; i++) {
		if (begins_with(*text, config_keys[i].name, &len) && len > best_len) {
			best = &config_keys[i];
			best_len = len;
		}
	}
	*text = bytes_part(*text, best_len, text->len);
	return best;
}

static bool is_imap(const struct config_listener *l)
{
	return l->protocol == CONFIG_IMAP || l->protocol == CONFIG_IMAPS;
}

static bool is_control(const struct config_listener *l)
{
	return l->protocol == CONFIG_CONTROL;
}

static bool has_listener(const struct config *c, bool (*is)(const struct config_listener *l))
{
	for (size_t i = 0; i < c->listen_n; i++)
		if (is(&c->listen[i]))
			return true;
	return false;
}

/* Where `listen` says nothing: what IMAP clients look for, and the control
 * socket. A system without IPv6, or without that directory, leaves them out. */
static void default_listeners(struct config *c)
{
	bool imap = has_listener(c, is_imap), control = has_listener(c, is_control);
	const struct config_key *key = config_keys;
	struct config_fault fault;
	struct bytes rest;

	while (key->type != CONFIG_LISTEN)
		key++;
	for (rest = bytes_of(key->value); rest.len && c->listen_n < CONFIG_LISTENERS;) {
		struct config_listener *l = &c->listen[c->listen_n];
		size_t end = bytes_index(rest, '\n');

		(void)config_value_set(key, c, bytes_part(rest, 0, end), &fault);
		l->optional = is_control(l) || l->where[0] == '[';
		if (is_control(l) ? control : imap)
			memset(&c->listen[--c->listen_n], 0, sizeof *l);
		rest = bytes_part(rest, end + 1, rest.len);
	}
}

/* DIR/name; false when it is too long. */
static bool in_store(const struct config *c, const char *name, char out[PORT_PATH_MAX])
{
	struct buf path;

	buf_init(&path, out, PORT_PATH_MAX);
	return buf_puts(&path, c->store) && buf_putc(&path, '/') && buf_puts(&path, name) && buf_terminate(&path);
}

/* Fills in what depends on other settings. False: the path of the store is too
 * long for the files in it. */
static bool derive(struct config *c)
{
	bool fits = true;

	if (c->users[0] == '\0')
		fits = in_store(c, "users", c->users);
	if (fits && c->tls_certificate[0] == '\0')
		fits = in_store(c, "cert.pem", c->tls_certificate) && in_store(c, "key.pem", c->tls_key);
	if (c->message_size == 0)
		c->message_size = c->storage / 4 < 64 * MIB ? c->storage / 4 : 64 * MIB;
	default_listeners(c);
	return fits;
}

static void reset(struct config *c)
{
	struct config_fault fault;

	memset(c, 0, sizeof *c);
	for (size_t i = 0; i < config_keys_n; i++)
		if (!config_repeatable(&config_keys[i]) && config_keys[i].value[0])
			(void)config_value_set(&config_keys[i], c, bytes_of(config_keys[i].value), &fault);
}

void config_defaults(struct config *c)
{
	reset(c);
	(void)derive(c);
}

bool config_setting(size_t i, struct config_setting *out)
{
	const struct config_key *key = &config_keys[i];

	if (i >= config_keys_n)
		return false;
	*out = (struct config_setting){ key->name, key->form, key->value, key->help, config_repeatable(key) };
	return true;
}

int config_get(const struct config *c, const char *name, struct buf *out)
{
	struct bytes text = bytes_of(name);
	const struct config_key *key = config_key_take(&text);

	if (!key || text_trim(text).len)
		return E_NOENT;
	config_value_put(key, c, out);
	return out->overflow ? E_LIMIT : OK;
}

/* ---- reading ---- */

struct reading {
	const char *path;
	struct config *c;
	config_report *report;
	void *context;
	unsigned faults;
};

static void complain(struct reading *r, unsigned line, struct bytes what, const char *text)
{
	char space[900];
	struct buf out;

	r->faults++;
	buf_init(&out, space, sizeof space - 1);
	buf_puts(&out, r->path);
	if (line)
		buf_printf(&out, ":%u", line);
	buf_puts(&out, ": ");
	for (size_t i = 0; i < what.len && i < 40; i++)
		buf_putc(&out, text_is(what.data[i], TEXT_CTL | TEXT_8BIT) ? '?' : what.data[i]);
	if (what.len)
		buf_puts(&out, ": ");
	buf_puts(&out, text);
	buf_terminate(&out);
	if (r->report)
		r->report(r->context, space);
}

static void complain_value(struct reading *r, unsigned line, const char *key, const struct config_fault *fault)
{
	char space[500];
	struct buf out;

	buf_init(&out, space, sizeof space - 1);
	buf_printf(&out, "expected %s, got ", fault->expected);
	if (fault->got.len == 0)
		buf_puts(&out, "nothing");
	else
		buf_putc(&out, '"');
	for (size_t i = 0; i < fault->got.len && i < 80; i++)
		buf_putc(&out, text_is(fault->got.data[i], TEXT_CTL) ? '?' : fault->got.data[i]);
	if (fault->got.len)
		buf_puts(&out, fault->got.len > 80 ? "...\"" : "\"");
	buf_terminate(&out);
	complain(r, line, bytes_of(key), space);
}

static bool has_control(struct bytes line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.data[i] != '\t' && text_is(line.data[i], TEXT_CTL))
			return true;
	return false;
}

static void read_line(struct reading *r, unsigned number, struct bytes line)
{
	struct bytes text = text_trim(line), word = text;
	const struct config_key *key;
	struct config_fault fault;
	uint16_t *before;

	if (text.len == 0 || text.data[0] == '#')
		return;
	if (has_control(text) || !text_utf8_valid(text)) {
		complain(r, number, bytes_make(NULL, 0),
			"expected text in UTF-8, got a control character or another encoding");
		return;
	}
	key = config_key_take(&text);
	if (!key) {
		complain(r, number, text_word(&word), "no such setting");
		return;
	}
	before = &r->c->line[key - config_keys];
	if (*before && !config_repeatable(key)) {
		struct buf out;
		char space[80];

		buf_init(&out, space, sizeof space);
		buf_printf(&out, "stands in line %u already", *before);
		buf_terminate(&out);
		complain(r, number, bytes_of(key->name), space);
		return;
	}
	*before = (uint16_t)number;
	if (config_value_set(key, r->c, text, &fault) != OK)
		complain_value(r, number, key->name, &fault);
}

void config_lines_init(struct config_lines *l, port_file file)
{
	*l = (struct config_lines){ .file = file };
}

int config_lines_next(struct config_lines *l, struct bytes *line)
{
	struct bytes b = bytes_make(l->text + l->at, l->len - l->at);
	size_t end = bytes_index(b, '\n');

	if (end == b.len) {
		int64_t n;

		memmove(l->text, b.data, b.len);
		n = port_read(l->file, l->offset, l->text + b.len, sizeof l->text - b.len);
		if (n < 0)
			return (int)n;
		l->offset += (uint64_t)n;
		if (l->offset > CONFIG_FILE)
			return E_TOOBIG;
		l->at = 0;
		l->len = b.len + (size_t)n;
		b = bytes_make(l->text, l->len);
		end = bytes_index(b, '\n');
	}
	if (b.len == 0)
		return E_NOENT;
	l->number++;
	if (end > CONFIG_LINE)
		return E_LIMIT;
	*line = bytes_part(b, 0, end);
	l->at += end < b.len ? end + 1 : end;
	if (line->len && line->data[line->len - 1] == '\r')
		line->len--;
	return OK;
}

static int read_lines(struct reading *r, port_file file)
{
	struct config_lines lines;
	struct bytes line;
	int err;

	config_lines_init(&lines, file);
	while ((err = config_lines_next(&lines, &line)) == OK) {
		read_line(r, lines.number, line);
		if (r->faults >= CONFIG_FAULTS) {
			complain(r, lines.number, bytes_make(NULL, 0), "too many faults; the rest was not read");
			return E_SYNTAX;
		}
	}
	if (err == E_NOENT)
		return OK;
	if (err == E_LIMIT) {
		complain(r, lines.number, bytes_make(NULL, 0), "expected at most 1024 bytes, got a longer line");
		return E_SYNTAX;
	}
	complain(r, 0, bytes_make(NULL, 0), err == E_TOOBIG ? "is larger than 64K" : err_text(err));
	return err;
}

static unsigned line_of(const struct config *c, const char *name)
{
	struct bytes text = bytes_of(name);

	return c->line[config_key_take(&text) - config_keys];
}

/* What no single line can tell. */
static void check_together(struct reading *r)
{
	struct config *c = r->c;

	if (c->message_size > c->storage / 4)
		complain(r, line_of(c, "message-size"), bytes_of("message-size"),
			"expected at most a quarter of `storage`, got more");
	if (c->evict_low >= c->evict_high)
		complain(r, line_of(c, line_of(c, "evict low") ? "evict low" : "evict high"), bytes_of("evict low"),
			"expected less than `evict high`, got as much or more");
	if (c->quota > c->storage)
		complain(r, line_of(c, "quota"), bytes_of("quota"), "expected at most `storage`, got more");
}

int config_read(const char *path, struct config *c, config_report *report, void *context)
{
	return config_read_as(path, path, c, report, context);
}

int config_read_as(const char *path, const char *shown, struct config *c, config_report *report, void *context)
{
	struct reading r = { shown, c, report, context, 0 };
	port_file file = port_open(path, PORT_READ);
	int err;

	reset(c);
	if (file < 0) {
		complain(&r, 0, bytes_make(NULL, 0), err_text(file));
		return file;
	}
	err = read_lines(&r, file);
	port_close(file);
	if (err != OK)
		return err;
	if (!derive(c))
		complain(&r, line_of(c, "store"), bytes_of("store"),
			"expected a shorter path: files in it get names too long");
	if (r.faults == 0)
		check_together(&r);
	return r.faults ? E_SYNTAX : OK;
}
