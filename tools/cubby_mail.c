/* deliver and import: messages go to the running server, or straight into the
 * store when none runs. Either way several are under way before the first one is
 * known to be kept, so that they share a sync. */
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "control/archive_name.h"
#include "port/file.h"
#include "port/system.h"
#include "tools/cubby.h"
#include "tools/cubby_box.h"
#include "tools/cubby_commands.h"
#include "tools/cubby_import.h"
#include "tools/cubby_server.h"

/* Messages sent whose outcome is not known. Their replies must fit into the
 * socket's buffer, because nobody reads them while a body is being sent. */
#define MAIL_PENDING 16

/* Bytes of a message's name that an error line shows. */
#define MAIL_NAME 160

/* Bytes read from standard input at a time. */
#define MAIL_READ 65536

/* How often the progress bar moves, in microseconds. */
#define MAIL_PROGRESS_US 100000

/* A way into the store. Errors of one message come from its outcome; those of
 * the calls themselves mean that nothing further can go in. */
struct way {
	int (*room)(struct bytes user, struct store_spare *spare);
	int (*begin)(bool import, const struct intake_request *request);
	int (*bytes)(const void *data, size_t len);
	int (*end)(void);
	int (*outcome)(struct bytes *sentence, uint64_t *keywords_lost); /* of the oldest message */
};

/* ---- by the server ---- */

static int server_room(struct bytes user, struct store_spare *spare)
{
	uint64_t *const numbers[] = { &spare->bytes, &spare->quota, &spare->messages, &spare->in_log };
	struct bytes rest;
	int err;

	server_word("ROOM");
	server_word_bytes(user);
	err = server_line_end();
	if (err == OK)
		err = server_reply(NULL, NULL, &rest);
	for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0] && err == OK; i++)
		err = text_number(text_word(&rest), UINT64_MAX, numbers[i]);
	return err;
}

static int server_begin(bool import, const struct intake_request *request)
{
	char letters[8];

	server_word(import ? "IMPORT" : "DELIVER");
	server_word_bytes(request->user);
	server_word_bytes(request->mailbox);
	if (import) {
		server_word_bytes(bytes_make(letters, intake_flag_letters(request->flags, letters)));
		server_word_bytes(request->keywords);
		server_word_number(request->received.seconds);
		server_word_number(request->received.zone);
	}
	server_word_number(request->size < LIMIT_MESSAGE ? (int64_t)request->size : 0);
	return server_line_end();
}

static int server_outcome(struct bytes *sentence, uint64_t *keywords_lost)
{
	int err = server_reply(NULL, NULL, sentence);

	*keywords_lost = 0;
	if (err == OK) {
		(void)text_word(sentence); /* the UID */
		(void)text_number(text_word(sentence), UINT32_MAX, keywords_lost);
	}
	return err;
}

static const struct way by_server = { server_room, server_begin, server_body, server_body_end, server_outcome };

/* ---- straight into the store ---- */

static const struct intake_place *place;
static struct intake intake;
static int failure; /* of the message being read */
static struct {
	store_ticket ticket;
	int err;
	unsigned keywords_lost;
} outcomes[MAIL_PENDING];
static unsigned outcome_first, outcome_n;

static int box_room(struct bytes user, struct store_spare *spare)
{
	struct account_user found;
	int err = account_find(place->accounts, user, &found);

	if (err == OK)
		store_spare(place->store, found.id, spare);
	return err;
}

static int store_begin(bool import, const struct intake_request *request)
{
	struct intake_request how = *request;

	how.spare = import;
	intake_init(&intake, place);
	while ((failure = intake_begin(&intake, &how)) == E_AGAIN)
		(void)box_commit(place->store);
	return OK;
}

static int store_bytes(const void *data, size_t len)
{
	if (failure == OK)
		failure = intake_write(&intake, data, len);
	return OK;
}

static int store_end(void)
{
	unsigned at = (outcome_first + outcome_n++) % MAIL_PENDING;

	while (failure == OK && (failure = intake_end(&intake)) == E_AGAIN) {
		failure = OK;
		(void)box_commit(place->store);
	}
	if (failure != OK)
		intake_abort(&intake);
	outcomes[at].ticket = failure == OK ? intake.ticket : 0;
	outcomes[at].err = failure;
	outcomes[at].keywords_lost = intake.keywords_lost;
	return OK;
}

static int store_outcome(struct bytes *sentence, uint64_t *keywords_lost)
{
	unsigned at = outcome_first;
	int err = outcomes[at].err;

	outcome_first = (outcome_first + 1) % MAIL_PENDING;
	outcome_n--;
	if (err == OK)
		err = box_wait(place->store, outcomes[at].ticket);
	*sentence = bytes_of(err_text(err));
	*keywords_lost = outcomes[at].keywords_lost;
	return err;
}

static const struct way by_store = { box_room, store_begin, store_bytes, store_end, store_outcome };

static const struct way *way;

/* Complains when there is none. */
static int find_way(void)
{
	int err = box_connect();

	way = &by_server;
	if (err != E_CLOSED)
		return err;
	err = box_open_store(&place);
	way = &by_store;
	return err;
}

/* ---- deliver ---- */

/* An mbox's "From " line, which procmail and others put in front of what they
 * pipe to a command, is no part of the message. */
static size_t from_line_length(const uint8_t *data, size_t len)
{
	struct bytes text = bytes_make(data, len);

	if (len < 5 || memcmp(data, "From ", 5) != 0)
		return 0;
	return bytes_index(text, '\n') < len ? bytes_index(text, '\n') + 1 : 0;
}

static int send_stdin(const struct intake_request *request)
{
	static uint8_t piece[MAIL_READ];
	size_t held = 0;
	bool started = false;
	int64_t n;
	int err = way->begin(false, request);

	do {
		n = port_stdin(piece + held, sizeof piece - held);
		if (n < 0)
			return E_IO;
		held += (size_t)n;
		/* The first piece is filled, so that the first line is whole in it. */
		if (n && !started && held < sizeof piece)
			continue;
		if (err == OK) {
			size_t skip = started ? 0 : from_line_length(piece, held);

			err = way->bytes(piece + skip, held - skip);
		}
		started = true;
		held = 0;
	} while (n && err == OK);
	return err == OK ? way->end() : err;
}

int tool_deliver(struct tool_args *args)
{
	struct intake_request request = { .mailbox = { NULL, 0 } };
	const char *user = NULL, *mailbox = "";
	struct bytes sentence = { NULL, 0 };
	uint64_t keywords_lost;
	int err;

	while (args->at < args->n) {
		if (tool_option(args, "--mailbox")) {
			mailbox = tool_option_value(args, "--mailbox");
		} else if (user || !(user = tool_operand(args, "the user"))) {
			return tool_no_more(args), TOOL_USAGE;
		}
		if (!mailbox)
			return TOOL_USAGE;
	}
	if (!user)
		return tool_operand(args, "the user"), TOOL_USAGE;
	if (box_read_config() != OK)
		return TOOL_FAILED;
	err = find_way();
	if (err != OK)
		return tool_exit_code(err);
	request.user = bytes_of(user);
	request.mailbox = bytes_of(mailbox);
	request.received.seconds = port_wall_time();
	request.received.zone = port_zone_minutes(request.received.seconds);
	err = send_stdin(&request);
	if (err == OK)
		err = way->outcome(&sentence, &keywords_lost);
	if (err != OK)
		tool_complain("not delivered: %.*s", (int)(sentence.len ? sentence.len : strlen(server_text(err))),
			sentence.len ? (const char *)sentence.data : server_text(err));
	box_close_store();
	return tool_exit_code(err);
}

/* ---- import ---- */

struct import {
	const char *user;
	struct store_spare room;
	uint64_t size, stored, cost;     /* of the last message; sums, about, of what they will take */
	uint64_t messages, bytes;        /* counted first */
	uint64_t fitting;                /* of them: the first ones, as far as there is room */
	uint64_t kept, refused, done_bytes, keywords_lost, unreadable;
	bool full;
	char names[MAIL_PENDING][MAIL_NAME];
	unsigned first, n;
	uint64_t progress_us;
	int (*walk)(const char *path, struct bytes mailbox, const struct import_sink *sink, uint64_t *unreadable);
};

/* LF becomes CRLF: a byte more in so many, in most mail. */
#define LINE_USUAL 40

static int count_begin(void *context, const struct import_message *m)
{
	struct import *i = context;

	i->messages++;
	i->size = m->size;
	return OK;
}

/* Only for sources that don't know the size before. */
static int count_bytes(void *context, const void *data, size_t len)
{
	struct import *i = context;

	(void)data;
	i->size += len;
	return OK;
}

static int count_end(void *context)
{
	struct import *i = context;
	uint64_t stored = i->size + i->size / LINE_USUAL;

	i->bytes += i->size;
	i->stored += stored;
	i->cost += store_cost(&i->room, stored);
	if (i->fitting == i->messages - 1 && i->messages <= i->room.messages && i->stored <= i->room.quota &&
		i->cost <= i->room.bytes)
		i->fitting = i->messages;
	return OK;
}

/* Reads the outcomes of the oldest messages until at most `left` are open. */
static int settle(struct import *i, unsigned left)
{
	while (i->n > left) {
		struct bytes sentence = { NULL, 0 };
		uint64_t lost = 0;
		int err = way->outcome(&sentence, &lost);
		const char *name = i->names[i->first];

		i->first = (i->first + 1) % MAIL_PENDING;
		i->n--;
		i->keywords_lost += lost;
		if (err == E_CLOSED) {
			tool_complain("the server went away");
			return err;
		}
		i->kept += err == OK;
		i->refused += err != OK;
		if (err == E_FULL || err == E_NOSPC)
			i->full = true;
		else if (err != OK)
			tool_complain("%s: %.*s", name, (int)sentence.len, (const char *)sentence.data);
	}
	return i->full ? E_FULL : OK;
}

static void show_progress(struct import *i, bool last)
{
	static const char bar[] = "########################################";
	uint64_t now = port_now_us();
	unsigned filled = i->bytes ? (unsigned)(i->done_bytes * 40 / i->bytes) : 40;
	char line[160];
	struct buf out;

	if (!port_stdout_is_terminal() || (!last && now - i->progress_us < MAIL_PROGRESS_US))
		return;
	i->progress_us = now;
	filled = filled > 40 ? 40 : filled;
	buf_init(&out, line, sizeof line);
	buf_printf(&out, "\r[%.*s%*s] %3u%%  %llu of %llu messages", (int)filled, bar, (int)(40 - filled), "",
		filled * 100 / 40, (unsigned long long)i->kept, (unsigned long long)i->messages);
	buf_puts(&out, last ? "\n" : "");
	(void)port_stdout(out.data, out.len);
}

static int import_begin(void *context, const struct import_message *m)
{
	struct import *i = context;
	struct intake_request request = {
		.user = bytes_of(i->user),
		.mailbox = m->mailbox,
		.create = true,
		.flags = m->flags,
		.keywords = m->keywords,
		.received = m->received,
		.size = m->size,
	};
	struct buf name;
	int err = settle(i, MAIL_PENDING - 1);

	if (err != OK)
		return err;
	buf_init(&name, i->names[(i->first + i->n++) % MAIL_PENDING], MAIL_NAME);
	buf_printf(&name, "%.150s", m->name);
	return way->begin(true, &request);
}

static int import_bytes(void *context, const void *data, size_t len)
{
	struct import *i = context;

	i->done_bytes += len;
	return way->bytes(data, len);
}

static int import_end(void *context)
{
	show_progress(context, false);
	return way->end();
}

static int count_all(struct import *i, const char *path, struct bytes mailbox)
{
	const struct import_sink sink = { i, count_begin, i->walk == mbox_walk ? count_bytes : NULL, count_end };
	char size[32], room[32];
	int err = i->walk(path, mailbox, &sink, &i->unreadable);

	if (err != OK)
		return err;
	tool_size(i->bytes, size);
	tool_size(i->room.bytes < i->room.quota ? i->room.bytes : i->room.quota, room);
	if (i->fitting == i->messages)
		tool_say("%llu messages, %s: all of it fits (room for %s)", (unsigned long long)i->messages, size,
			room);
	else
		tool_say("%llu messages, %s: only the first %llu of them fit (room for %s)",
			(unsigned long long)i->messages, size, (unsigned long long)i->fitting, room);
	return OK;
}

static int import_all(struct import *i, const char *path, struct bytes mailbox)
{
	const struct import_sink sink = { i, import_begin, import_bytes, import_end };
	uint64_t unreadable = 0; /* counted before */
	int err = i->walk(path, mailbox, &sink, &unreadable);

	if (err == OK || err == E_FULL)
		err = settle(i, 0);
	show_progress(i, true);
	tool_say("%llu of %llu messages are in", (unsigned long long)i->kept, (unsigned long long)i->messages);
	if (i->keywords_lost)
		tool_say("%llu keywords were left out: a mailbox has %d", (unsigned long long)i->keywords_lost,
			LIMIT_KEYWORDS);
	if (i->full)
		tool_complain("there is no more room");
	return err;
}

static bool is_maildir(const char *path)
{
	char cur[PORT_PATH_MAX];
	struct buf b;

	buf_init(&b, cur, sizeof cur);
	buf_printf(&b, "%s/cur", path);
	return buf_terminate(&b) && port_is_dir(cur);
}

static int import_path(struct import *i, const char *path, struct bytes mailbox, bool partial)
{
	int err;

	if (!i->walk)
		i->walk = port_is_dir(path) ? maildir_walk : mbox_walk;
	if (i->walk != mbox_walk && !is_maildir(path)) {
		tool_complain("%s is no Maildir: there is no %s/cur", path, path);
		return TOOL_FAILED;
	}
	err = way->room(bytes_of(i->user), &i->room);
	if (err == E_NOENT)
		tool_complain("there is no user %s", i->user);
	if (err != OK)
		return tool_exit_code(err);
	if (count_all(i, path, mailbox) != OK)
		return TOOL_FAILED;
	if (i->fitting < i->messages && !partial) {
		tool_complain("nothing was imported; --partial takes in what fits");
		return TOOL_TEMPORARY;
	}
	err = import_all(i, path, mailbox);
	if (err != OK)
		return tool_exit_code(err);
	return i->refused || i->unreadable ? TOOL_FAILED : TOOL_OK;
}

int tool_import(struct tool_args *args)
{
	static struct import import;
	const char *user = NULL, *path = NULL, *mailbox = "";
	bool partial = false;
	int code;

	while (args->at < args->n) {
		if (tool_option(args, "--mailbox"))
			mailbox = tool_option_value(args, "--mailbox");
		else if (tool_option(args, "--partial"))
			partial = true;
		else if (!user)
			user = tool_operand(args, "the user");
		else if (!path)
			path = tool_operand(args, "the path");
		else
			return tool_no_more(args), TOOL_USAGE;
		if (!mailbox || (!user && !path && !partial && !mailbox[0]) || (user && !user[0]))
			return TOOL_USAGE;
	}
	if (!user || !path) {
		tool_complain("import needs a user and a path");
		return TOOL_USAGE;
	}
	if (box_read_config() != OK)
		return TOOL_FAILED;
	code = find_way();
	if (code != OK)
		return tool_exit_code(code);
	import.user = user;
	code = import_path(&import, path, bytes_of(mailbox), partial);
	box_close_store();
	return code;
}

/* ---- restore-archive ---- */

/* Users of one archive. Beyond it: a complaint. */
#define ARCHIVE_USERS 1024

struct archive_users {
	const char *path, *only; /* only: NULL is all */
	unsigned n;
	bool more;
	char folder[ARCHIVE_USERS][LIMIT_USER_NAME * 3 + 1];
};

static bool each_user(void *context, const char *name)
{
	struct archive_users *u = context;
	char path[PORT_PATH_MAX];
	uint8_t user[LIMIT_USER_NAME + 1];
	struct buf b;

	buf_init(&b, path, sizeof path);
	buf_printf(&b, "%s/%s", u->path, name);
	if (name[0] == '.' || !buf_terminate(&b) || !is_maildir(path))
		return true;
	buf_init(&b, user, sizeof user);
	if (archive_read_user(name, &b) != OK || !buf_terminate(&b)) {
		tool_complain("%s: of no user that is known; `cubby import` can take it in", path);
		return true;
	}
	if (u->only && strcmp(u->only, (const char *)user) != 0)
		return true;
	if (u->n == ARCHIVE_USERS) {
		u->more = true;
		return false;
	}
	memcpy(u->folder[u->n++], name, strlen(name) + 1);
	return true;
}

static int restore_user(const char *path, const char *folder, bool partial)
{
	static struct import import;
	char user[LIMIT_USER_NAME + 1], dir[PORT_PATH_MAX];
	struct buf b;

	buf_init(&b, user, sizeof user);
	(void)archive_read_user(folder, &b); /* it was read before */
	buf_terminate(&b);
	buf_init(&b, dir, sizeof dir);
	buf_printf(&b, "%s/%s", path, folder);
	buf_terminate(&b);
	memset(&import, 0, sizeof import);
	import.user = user;
	import.walk = archive_walk;
	tool_say("%s:", user);
	return import_path(&import, dir, bytes_of(""), partial);
}

static int restore_all(struct archive_users *users, bool partial)
{
	int code, worst = TOOL_OK;

	if (port_list(users->path, each_user, users) != OK) {
		tool_complain("%s can't be read", users->path);
		return TOOL_FAILED;
	}
	if (users->n == 0) {
		tool_complain(users->only ? "%s has nothing of that user" : "%s is no archive of old mail",
			users->path);
		return TOOL_FAILED;
	}
	if (users->more)
		tool_complain("only the mail of %d users is taken in; name the others with --user", ARCHIVE_USERS);
	code = find_way();
	if (code != OK)
		return tool_exit_code(code);
	for (unsigned i = 0; i < users->n; i++) {
		code = restore_user(users->path, users->folder[i], partial);
		worst = code != TOOL_OK ? code : worst;
	}
	box_close_store();
	return users->more && worst == TOOL_OK ? TOOL_FAILED : worst;
}

int tool_restore_archive(struct tool_args *args)
{
	static struct archive_users users;
	bool partial = false, user = false;

	while (args->at < args->n) {
		if (tool_option(args, "--user")) {
			users.only = tool_option_value(args, "--user");
			user = true;
		} else if (tool_option(args, "--partial")) {
			partial = true;
		} else if (users.path || !(users.path = tool_operand(args, "the path"))) {
			return tool_no_more(args), TOOL_USAGE;
		}
		if (user && !users.only)
			return TOOL_USAGE;
	}
	if (!users.path)
		return tool_operand(args, "the path"), TOOL_USAGE;
	if (box_read_config() != OK)
		return TOOL_FAILED;
	return restore_all(&users, partial);
}
