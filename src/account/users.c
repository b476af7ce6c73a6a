/* Which users file is in force, and looking users up in it. */
#include <string.h>

#include "account/account_int.h"
#include "base/err.h"
#include "base/log.h"

size_t accounts_memory(uint32_t logins_at_once)
{
	return arena_size(sizeof(struct accounts)) + auth_memory(logins_at_once) + throttle_memory();
}

int accounts_init(struct accounts **out, struct arena *arena, const char *file, uint32_t logins_at_once)
{
	struct accounts *a;

	/* Room for the names of the lock and of the new file. */
	if (strlen(file) + sizeof ".lock" > PORT_PATH_MAX)
		return E_LIMIT;
	if (accounts_memory(logins_at_once) > arena->len - arena->used)
		return E_NOMEM;
	a = arena_take(arena, sizeof *a);
	memcpy(a->path, file, strlen(file) + 1);
	a->file = -1;
	a->next_id = 1;
	if (crypto_random(a->secret, sizeof a->secret) != OK)
		return E_IO;
	if (!auth_init(a, arena, logins_at_once) || !throttle_init(a, arena))
		return E_NOMEM;
	*out = a;
	(void)accounts_reload(a);
	return OK;
}

void accounts_close(struct accounts *a)
{
	if (a->file >= 0)
		port_close(a->file);
	a->file = -1;
	a->generation++;
}

/* What reading a file to its end found. */
struct users_survey {
	uint32_t users, last_id, next_id, change;
	uint32_t bad_line; /* the first one; 0: none */
	const char *why;
};

static void survey_bad(struct users_survey *s, uint32_t line, const char *why)
{
	if (s->bad_line == 0) {
		s->bad_line = line;
		s->why = why;
	}
}

static void survey_line(struct users_survey *s, uint32_t number, struct bytes line)
{
	struct account_user user;
	const char *why;

	if (number == 1 && users_head_parse(line, &s->next_id, &s->change))
		return;
	if (!users_line_counts(line))
		return;
	s->users++;
	if (users_line_parse(line, &user, &why) != OK) {
		survey_bad(s, number, why);
		return;
	}
	if (s->users > ACCOUNT_USERS)
		survey_bad(s, number, "is one user too many");
	if (user.id <= s->last_id)
		survey_bad(s, number, "has an id that is not above those before it");
	s->last_id = user.id;
}

static int survey(struct accounts *a, port_file file, struct users_survey *s)
{
	struct users_reader r;
	struct bytes line;
	int err;

	*s = (struct users_survey){ .next_id = 1 };
	users_reader_init(&r, a, file, 0);
	while ((err = users_reader_next(&r, &line)) != E_NOENT) {
		if (err == E_LIMIT)
			survey_bad(s, r.line, "is too long");
		else if (err != OK)
			return err;
		else
			survey_line(s, r.line, line);
	}
	if (s->next_id <= s->last_id)
		s->next_id = s->last_id + 1;
	return OK;
}

static int take_stamp(const struct accounts *a, port_file file, struct users_stamp *stamp)
{
	int64_t n;

	memset(stamp, 0, sizeof *stamp);
	stamp->modified = port_modified(a->path);
	stamp->size = port_size(file);
	n = port_read(file, 0, stamp->head, sizeof stamp->head);
	if (stamp->modified < 0 || stamp->size < 0)
		return E_IO;
	return n < 0 ? (int)n : OK;
}

static void put_in_force(struct accounts *a, port_file file, const struct users_survey *s)
{
	if (a->file >= 0)
		port_close(a->file);
	a->file = file;
	a->users = s->users;
	a->next_id = s->next_id;
	a->change = s->change;
	a->cached = 0;
}

/* Looks at a file that is new or changed; takes over its handle. */
static int look(struct accounts *a, port_file file)
{
	struct users_survey s;
	int err = survey(a, file, &s);

	/* Also when the old one is kept: if it was changed in place, offsets into it
	 * mean nothing any more. */
	a->generation++;
	if (err != OK) {
		log_error("users file %s can't be read (%s); what was read before holds", a->path, err_text(err));
	} else if (s.bad_line) {
		log_error("users file %s: line %lu %s", a->path, (unsigned long)s.bad_line, s.why);
		err = E_SYNTAX;
	}
	if (err == OK || (err == E_SYNTAX && a->file < 0))
		put_in_force(a, file, &s);
	else
		port_close(file);
	return err;
}

static int no_file(struct accounts *a, int err)
{
	if (err == E_NOENT) {
		const struct users_survey none = { .next_id = 1 };

		if (a->file >= 0)
			put_in_force(a, -1, &none);
		a->generation++;
	} else if (a->seen_result != err) {
		log_error("users file %s can't be opened (%s); what was read before holds", a->path, err_text(err));
	}
	memset(&a->seen, 0, sizeof a->seen);
	a->seen_result = err;
	return err;
}

int accounts_reload(struct accounts *a)
{
	port_file file = port_open(a->path, PORT_READ);
	struct users_stamp stamp;
	int err;

	if (file < 0)
		return no_file(a, file);
	err = take_stamp(a, file, &stamp);
	if (err != OK) {
		port_close(file);
		return err;
	}
	if (memcmp(&stamp, &a->seen, sizeof stamp) == 0) {
		port_close(file);
		return a->seen_result;
	}
	a->seen = stamp;
	a->seen_result = look(a, file);
	return a->seen_result;
}

struct bytes account_local_part(struct bytes name)
{
	return bytes_part(name, 0, bytes_index(name, '@'));
}

static struct bytes user_name(const struct account_user *user)
{
	return bytes_make(user->name, user->name_len);
}

static void remember(struct accounts *a, const struct account_user *user)
{
	if (a->cached < ACCOUNT_CACHE)
		a->cache_turn = a->cached++;
	else
		a->cache_turn = (a->cache_turn + 1) % ACCOUNT_CACHE;
	a->cache[a->cache_turn] = *user;
}

/* In a file with bad lines two users may have one id, and so one another's mail:
 * then it is the first one's. */
bool users_owns_id(struct accounts *a, const struct account_user *user)
{
	struct account_user first = { .id = 0 };
	struct users_reader r;
	struct bytes line;
	const char *why;
	int err;

	if (a->seen_result == OK)
		return true;
	users_reader_init(&r, a, a->file, 0);
	while (first.id != user->id && ((err = users_reader_next(&r, &line)) == OK || err == E_LIMIT))
		if (err == OK && users_line_counts(line) && users_line_parse(line, &first, &why) != OK)
			first.id = 0;
	return first.id == user->id && bytes_equal(user_name(&first), user_name(user));
}

int account_find(struct accounts *a, struct bytes name, struct account_user *out)
{
	struct users_reader r;
	struct bytes line;
	const char *why;
	int err;

	(void)accounts_reload(a);
	name = account_local_part(name);
	for (uint32_t i = 0; i < a->cached; i++) {
		if (bytes_equal_nocase(user_name(&a->cache[i]), name)) {
			*out = a->cache[i];
			return OK;
		}
	}
	if (a->file < 0)
		return E_NOENT;
	users_reader_init(&r, a, a->file, 0);
	while ((err = users_reader_next(&r, &line)) == OK || err == E_LIMIT) {
		if (err == E_LIMIT || !bytes_equal_nocase(users_line_name(line), name))
			continue;
		if (users_line_parse(line, out, &why) != OK)
			continue;
		if (!users_owns_id(a, out))
			return E_NOENT;
		remember(a, out);
		return OK;
	}
	return err;
}

/* The first user at or behind r whose id is at least `id`. */
static int find_id(struct users_reader *r, uint32_t id, struct account_user *out)
{
	struct bytes line;
	const char *why;
	int err;

	while ((err = users_reader_next(r, &line)) == OK || err == E_LIMIT)
		if (err == OK && users_line_counts(line) && users_line_parse(line, out, &why) == OK && out->id >= id)
			return OK;
	return err;
}

int account_by_id(struct accounts *a, uint32_t id, struct account_user *out)
{
	struct users_reader r;
	int err;

	(void)accounts_reload(a);
	for (uint32_t i = 0; i < a->cached; i++) {
		if (a->cache[i].id == id) {
			*out = a->cache[i];
			return OK;
		}
	}
	if (a->file < 0)
		return E_NOENT;
	users_reader_init(&r, a, a->file, 0);
	err = find_id(&r, id, out);
	if (err == OK && out->id != id)
		err = E_NOENT;
	if (err == OK)
		remember(a, out);
	return err;
}

int account_next(struct accounts *a, uint32_t *cursor, struct account_user *out)
{
	struct users_reader r;
	bool hint;
	int err;

	if (*cursor == 0)
		(void)accounts_reload(a);
	if (a->file < 0)
		return E_NOENT;
	hint = *cursor != 0 && *cursor == a->hint_id && a->generation == a->hint_generation;
	users_reader_init(&r, a, a->file, hint ? a->hint_offset : 0);
	err = find_id(&r, *cursor + 1, out);
	if (err != OK)
		return err;
	*cursor = out->id;
	a->hint_id = out->id;
	a->hint_offset = r.offset;
	a->hint_generation = a->generation;
	return OK;
}
