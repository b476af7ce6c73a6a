/* Changes of the users file: a whole new file beside it, synced, then renamed
 * over it, so that a reader or a power cut sees the one or the other. */
#include <string.h>

#include "account/account_int.h"
#include "base/err.h"
#include "base/text.h"
#include "port/network.h"
#include "port/system.h"

/* How long to wait for another process that is changing the file. */
#define LOCK_TRIES 20
#define LOCK_WAIT_MS 50

enum change_kind { CHANGE_ADD, CHANGE_REPLACE, CHANGE_REMOVE };

struct change {
	enum change_kind kind;
	struct account_user user;
};

/* The new file as it grows. */
struct output {
	port_file file;
	uint64_t offset;
	struct buf text;
	uint8_t space[ACCOUNT_BUFFER];
};

static void beside(const struct accounts *a, const char *suffix, char out[PORT_PATH_MAX])
{
	struct buf path;

	buf_init(&path, out, PORT_PATH_MAX);
	buf_puts(&path, a->path);
	buf_puts(&path, suffix);
	buf_terminate(&path);
}

static int lock(struct accounts *a, port_file *out)
{
	char path[PORT_PATH_MAX];

	beside(a, ".lock", path);
	for (int i = 0; i < LOCK_TRIES; i++) {
		*out = port_lock(path);
		if (*out != E_BUSY)
			break;
		(void)port_wait(NULL, 0, LOCK_WAIT_MS);
	}
	return *out < 0 ? *out : OK;
}

static int flush(struct output *o)
{
	int err = o->text.len ? port_write(o->file, o->offset, o->text.data, o->text.len) : OK;

	o->offset += o->text.len;
	buf_reset(&o->text);
	return err;
}

static int put_line(struct output *o, struct bytes line)
{
	if (line.len + 1 > buf_space(&o->text)) {
		int err = flush(o);

		if (err != OK)
			return err;
	}
	buf_putb(&o->text, line);
	return buf_putc(&o->text, '\n') ? OK : E_LIMIT;
}

static int put_user(struct output *o, const struct account_user *user)
{
	uint8_t space[ACCOUNT_LINE];
	struct buf line;

	buf_init(&line, space, sizeof space);
	if (!users_line_put(user, &line))
		return E_LIMIT;
	return put_line(o, bytes_make(line.data, line.len - 1));
}

static int put_head(struct output *o, uint32_t next_id, uint32_t change)
{
	char space[ACCOUNT_HEAD];
	struct buf line;

	buf_init(&line, space, sizeof space);
	buf_printf(&line, "#cubby-users 1 next %lu change %lu", (unsigned long)next_id, (unsigned long)change);
	return put_line(o, buf_bytes(&line));
}

static int copy_lines(struct accounts *a, struct output *o, const struct change *change)
{
	struct account_user user;
	struct users_reader r;
	struct bytes line;
	const char *why;
	uint32_t next, counter;
	int err;

	users_reader_init(&r, a, a->file, 0);
	while ((err = users_reader_next(&r, &line)) == OK) {
		if (r.line == 1 && users_head_parse(line, &next, &counter))
			continue;
		if (users_line_counts(line) && users_line_parse(line, &user, &why) == OK &&
			user.id == change->user.id) {
			if (change->kind == CHANGE_REPLACE)
				err = put_user(o, &change->user);
		} else {
			err = put_line(o, line);
		}
		if (err != OK)
			return err;
	}
	return err == E_NOENT ? OK : err;
}

static int write_new(struct accounts *a, struct output *o, const struct change *change)
{
	uint32_t next = a->next_id;
	int err;

	if (change->kind == CHANGE_ADD)
		next = change->user.id + 1;
	err = put_head(o, next, a->change + 1);
	if (err == OK && a->file >= 0)
		err = copy_lines(a, o, change);
	if (err == OK && change->kind == CHANGE_ADD)
		err = put_user(o, &change->user);
	if (err == OK)
		err = flush(o);
	return err == OK ? port_sync(o->file) : err;
}

static int open_new(struct accounts *a, struct output *o)
{
	char path[PORT_PATH_MAX];

	beside(a, ".new", path);
	buf_init(&o->text, o->space, sizeof o->space);
	o->offset = 0;
	o->file = port_open(path, PORT_WRITE | PORT_CREATE | PORT_EMPTY);
	return o->file < 0 ? o->file : OK;
}

/* The new file takes the place of the one in force, or goes if there was an error. */
static int put_in_force(struct accounts *a, struct output *o, int err)
{
	char path[PORT_PATH_MAX];

	beside(a, ".new", path);
	port_close(o->file);
	if (err == OK)
		err = port_rename(path, a->path);
	if (err != OK) {
		(void)port_remove(path);
		return err;
	}
	err = port_sync_name(a->path);
	(void)accounts_reload(a);
	return err;
}

/* With the lock held and the file in force being the newest. */
static int replace(struct accounts *a, const struct change *change)
{
	struct output o;
	int err = open_new(a, &o);

	return err == OK ? put_in_force(a, &o, write_new(a, &o, change)) : err;
}

/* Takes the lock and makes sure that what is in force is the whole truth. */
static int begin(struct accounts *a, port_file *held)
{
	int err = lock(a, held);

	if (err != OK)
		return err;
	err = accounts_reload(a);
	if (err == OK || err == E_NOENT)
		return OK;
	port_close(*held);
	return err == E_SYNTAX ? E_DAMAGED : err;
}

/* RFC 5802 section 3: what is kept of a password. */
static int make_verifier(struct account_user *user, struct bytes password, uint32_t iterations)
{
	uint8_t prepared[ACCOUNT_PREPARED], client[ACCOUNT_KEY];
	struct crypto_pbkdf2 hash;
	struct buf text;
	int err;

	buf_init(&text, prepared, sizeof prepared);
	if (saslprep(password, &text) != OK)
		return E_SYNTAX;
	err = crypto_random(user->salt, sizeof user->salt);
	if (err != OK)
		return err;
	user->iterations = iterations;
	crypto_pbkdf2_begin(&hash, buf_bytes(&text), bytes_make(user->salt, sizeof user->salt), iterations);
	(void)crypto_pbkdf2_step(&hash, iterations);
	crypto_hmac_sha256(bytes_make(hash.sum, sizeof hash.sum), bytes_of("Client Key"), client);
	crypto_sha256(bytes_make(client, sizeof client), user->stored_key);
	crypto_hmac_sha256(bytes_make(hash.sum, sizeof hash.sum), bytes_of("Server Key"), user->server_key);
	crypto_wipe(prepared, sizeof prepared);
	crypto_wipe(client, sizeof client);
	crypto_wipe(&hash, sizeof hash);
	return OK;
}

const char *account_password_fault(struct bytes password)
{
	uint8_t prepared[ACCOUNT_PREPARED];
	struct buf text;
	const char *fault = NULL;

	buf_init(&text, prepared, sizeof prepared);
	if (password.len > ACCOUNT_PASSWORD)
		fault = "is longer than 256 bytes";
	else if (!text_utf8_valid(password))
		fault = "is not UTF-8";
	else if (saslprep(password, &text) != OK)
		fault = "has a control character, or one that can't be typed alike everywhere";
	else if (text.len == 0)
		fault = "is empty";
	crypto_wipe(prepared, sizeof prepared);
	return fault;
}

static int check_arguments(struct bytes name, struct bytes password, uint32_t iterations)
{
	if (account_name_fault(name) || account_password_fault(password))
		return E_SYNTAX;
	return iterations < ACCOUNT_ITERATIONS_LEAST || iterations > ACCOUNT_ITERATIONS_MOST ? E_RANGE : OK;
}

static int add_locked(struct accounts *a, struct change *change, struct bytes password, uint32_t iterations)
{
	struct bytes name = bytes_make(change->user.name, change->user.name_len);
	struct account_user other;
	int err = account_find(a, name, &other);

	if (err != E_NOENT)
		return err == OK ? E_EXIST : err;
	/* UINT32_MAX is no user's: `next` must be a number too. */
	if (a->users >= ACCOUNT_USERS || a->next_id >= UINT32_MAX - 1)
		return E_LIMIT;
	change->user.id = a->next_id;
	err = make_verifier(&change->user, password, iterations);
	return err == OK ? replace(a, change) : err;
}

int account_add(struct accounts *a, struct bytes name, struct bytes password, bool admin, uint32_t iterations,
	struct account_user *out)
{
	struct change change = { .kind = CHANGE_ADD };
	int err = check_arguments(name, password, iterations);
	port_file held;

	if (err == OK)
		err = begin(a, &held);
	if (err != OK)
		return err;
	change.user.admin = admin;
	change.user.name_len = (uint8_t)name.len;
	memcpy(change.user.name, name.data, name.len);
	err = add_locked(a, &change, password, iterations);
	port_close(held);
	if (err == OK)
		*out = change.user;
	return err;
}

int account_set_password(struct accounts *a, struct bytes name, struct bytes password, uint32_t iterations)
{
	struct change change = { .kind = CHANGE_REPLACE };
	port_file held;
	int err;

	if (account_password_fault(password))
		return E_SYNTAX;
	if (iterations < ACCOUNT_ITERATIONS_LEAST || iterations > ACCOUNT_ITERATIONS_MOST)
		return E_RANGE;
	err = begin(a, &held);
	if (err != OK)
		return err;
	err = account_find(a, name, &change.user);
	if (err == OK)
		err = make_verifier(&change.user, password, iterations);
	if (err == OK)
		err = replace(a, &change);
	port_close(held);
	return err;
}

int account_remove(struct accounts *a, struct bytes name, uint32_t *id)
{
	struct change change = { .kind = CHANGE_REMOVE };
	port_file held;
	int err = begin(a, &held);

	if (err != OK)
		return err;
	err = account_find(a, name, &change.user);
	if (err == OK)
		err = replace(a, &change);
	port_close(held);
	if (err == OK)
		*id = change.user.id;
	return err;
}

/* ---- all of them, for a backup ---- */

struct account_restore {
	struct accounts *a;
	struct output o;
	port_file held;
	uint32_t lines, last_id;
};

int account_save(struct accounts *a, uint64_t *cursor, uint8_t *out)
{
	struct account_user user;
	uint32_t id = (uint32_t)*cursor;
	struct buf line;
	int err;

	buf_init(&line, out, ACCOUNT_LINE);
	if (*cursor == 0) {
		err = accounts_reload(a);
		buf_printf(&line, "#cubby-users 1 next %lu change %lu", (unsigned long)(a->file < 0 ? 1 : a->next_id),
			(unsigned long)a->change);
		*cursor = UINT64_C(1) << 32;
		/* Bad lines: what is in force is what counts. */
		return err == E_IO ? err : (int)line.len;
	}
	err = account_next(a, &id, &user);
	if (err != OK)
		return err;
	*cursor = UINT64_C(1) << 32 | id;
	return users_line_put(&user, &line) ? (int)line.len - 1 : E_LIMIT;
}

size_t account_restore_memory(void)
{
	return arena_size(sizeof(struct account_restore));
}

int account_restore_begin(struct account_restore **out, struct arena *arena, struct accounts *a)
{
	struct account_restore *r = arena_take(arena, sizeof *r);
	int err;

	if (!r)
		return E_NOMEM;
	r->a = a;
	err = begin(a, &r->held);
	if (err != OK)
		return err;
	err = open_new(a, &r->o);
	if (err != OK)
		port_close(r->held);
	*out = r;
	return err;
}

int account_restore_line(struct account_restore *r, struct bytes line)
{
	struct account_user user;
	uint32_t next, change;
	const char *why;

	if (r->lines++ == 0) {
		if (!users_head_parse(line, &next, &change))
			return E_SYNTAX;
		/* A reader that has seen the file as it is must see that it is another. */
		return put_head(&r->o, next, (change > r->a->change ? change : r->a->change) + 1);
	}
	if (users_line_parse(line, &user, &why) != OK || user.id <= r->last_id)
		return E_SYNTAX;
	r->last_id = user.id;
	return put_user(&r->o, &user);
}

int account_restore_end(struct account_restore *r)
{
	int err = r->lines ? flush(&r->o) : E_SYNTAX;

	if (err == OK)
		err = port_sync(r->o.file);
	err = put_in_force(r->a, &r->o, err);
	port_close(r->held);
	return err;
}

void account_restore_abort(struct account_restore *r)
{
	(void)put_in_force(r->a, &r->o, E_STATE);
	port_close(r->held);
}

uint64_t account_measure_us(uint32_t iterations)
{
	uint64_t start = port_cpu_us();
	struct crypto_pbkdf2 hash;

	crypto_pbkdf2_begin(&hash, bytes_of("password"), bytes_of("sixteen bytes..."), iterations);
	(void)crypto_pbkdf2_step(&hash, iterations);
	return port_cpu_us() - start;
}
