/* Backing the box up while it serves, and making a new box what the backup holds. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "control/backup.h"
#include "mail/date.h"
#include "port/file.h"
#include "port/system.h"
#include "tools/cubby.h"
#include "tools/cubby_box.h"
#include "tools/cubby_commands.h"
#include "tools/cubby_server.h"

#define PIECE 65536u

static uint8_t piece[PIECE];

/* ---- where a backup goes ---- */

/* A file beside the one that is wanted takes its place when it is complete: a
 * backup that was cut never replaces a good one. */
static struct {
	const char *path; /* NULL: standard output */
	char part[PORT_PATH_MAX];
	port_file file;
	uint64_t bytes;
	int err;
} out = { .file = -1 };

static int out_open(const char *path)
{
	if (strcmp(path, "-") == 0) {
		if (port_stdout_is_terminal())
			tool_complain("a backup is no text for a terminal: cubby backup - | gzip > FILE");
		return port_stdout_is_terminal() ? E_STATE : OK;
	}
	out.path = path;
	if (port_fs_missing(path, out.part)) {
		tool_complain("nothing is mounted on %s: the backup would land on the medium below it", out.part);
		return E_STATE;
	}
	if (snprintf(out.part, sizeof out.part, "%s.part", path) >= (int)sizeof out.part)
		out.file = E_LIMIT;
	else
		out.file = port_open(out.part, PORT_WRITE | PORT_CREATE | PORT_EMPTY);
	if (out.file < 0)
		tool_complain("%s: %s", out.part, err_text(out.file));
	return out.file < 0 ? out.file : OK;
}

static int out_write(void *context, const void *data, size_t len)
{
	(void)context;
	out.err = out.path ? port_write(out.file, out.bytes, data, len) : port_stdout(data, len);
	if (out.err != OK)
		tool_complain("%s: %s", out.path ? out.part : "standard output", err_text(out.err));
	out.bytes += len;
	return out.err;
}

static int out_close(int err)
{
	if (!out.path)
		return err;
	if (err == OK)
		err = port_sync(out.file);
	port_close(out.file);
	if (err != OK) {
		(void)port_remove(out.part);
		return err;
	}
	err = port_rename(out.part, out.path);
	if (err == OK)
		err = port_sync_name(out.path);
	if (err != OK)
		tool_complain("the backup is complete, but %s can't become %s: %s", out.part, out.path, err_text(err));
	return err;
}

/* ---- backup ---- */

static int backup_by_server(uint64_t *messages, uint64_t *lost)
{
	struct bytes rest;
	int err;

	server_word("BACKUP");
	(void)server_line_end();
	err = server_reply_pieces(out_write, NULL, &rest);
	if (err != OK && out.err == OK)
		tool_complain("the server: %.*s", (int)rest.len, (const char *)rest.data);
	if (err == OK)
		err = text_number(text_word(&rest), UINT64_MAX, messages);
	return err == OK ? text_number(text_word(&rest), UINT64_MAX, lost) : err;
}

static int read_backup(struct store *st)
{
	int64_t n;

	while ((n = store_backup_read(st, piece, sizeof piece)) > 0 || n == E_AGAIN) {
		int err = n > 0 ? out_write(NULL, piece, (size_t)n) : box_commit(st);

		if (err != OK)
			return err;
	}
	return (int)n;
}

static int backup_offline(uint64_t *messages, uint64_t *lost)
{
	const struct intake_place *place;
	struct store_backup_progress progress;
	int err;

	if (!port_is_dir(box_config.store)) {
		tool_complain("there is no store %s", box_config.store);
		return E_NOENT;
	}
	err = box_open_store(&place);
	if (err != OK)
		return err;
	err = backup_begin(place->store, place->accounts);
	if (err == OK)
		err = read_backup(place->store);
	if (err != OK && out.err == OK)
		tool_complain("%s: %s", box_config.store, err_text(err));
	store_backup_progress(place->store, &progress);
	*messages = progress.messages;
	*lost = progress.lost;
	store_backup_end(place->store);
	while (!store_backup_settled(place->store) && box_commit(place->store) == OK)
		;
	box_close_store();
	return err;
}

int tool_backup(struct tool_args *args)
{
	const char *path = tool_operand(args, "the file, or - for standard output,");
	uint64_t messages = 0, lost = 0;
	char size[32];
	int err;

	if (!path || !tool_no_more(args))
		return TOOL_USAGE;
	if (box_read_config() != OK)
		return TOOL_FAILED;
	/* Before root is given up: the owner's disk is not the server's. */
	if (out_open(path) != OK)
		return TOOL_FAILED;
	err = box_connect();
	if (err == OK)
		err = backup_by_server(&messages, &lost);
	else if (err == E_CLOSED)
		err = backup_offline(&messages, &lost);
	err = out_close(err);
	if (err != OK)
		return tool_exit_code(err);
	if (out.path)
		tool_say("%llu messages, %s", (unsigned long long)messages, tool_size(out.bytes, size));
	if (lost)
		tool_complain("%llu messages are damaged and not in the backup: `cubby check` names them",
			(unsigned long long)lost);
	return lost ? TOOL_FAILED : TOOL_OK;
}

/* ---- where a backup comes from ---- */

static port_file in_file = -1; /* -1: standard input */
static uint64_t in_bytes;

static int64_t in_read(void)
{
	int64_t n = in_file < 0 ? port_stdin(piece, sizeof piece) : port_read(in_file, in_bytes, piece, sizeof piece);

	in_bytes += n > 0 ? (uint64_t)n : 0;
	return n;
}

/* ---- restore ---- */

static const struct intake_place *place;
static struct arena *memory;
static struct store_restore *restore;
static struct account_restore *users;
static const char *users_fault;

/* In the store that is made the mailbox may be there or not: its name is then not
 * known. */
static void say_lost(void *context, uint32_t mailbox, uint32_t uid)
{
	char name[LIMIT_MAILBOX_NAME];
	struct account_user user = { .name_len = 0 };
	struct store_mailbox m;
	int n;

	(void)context;
	if (!place || store_mailbox_get(place->store, mailbox, &m) != OK)
		return;
	n = store_mailbox_name(place->store, mailbox, name);
	(void)account_by_id(place->accounts, m.owner, &user);
	tool_say("%.*s: %.*s: uid %lu: was damaged when the backup was made, and is lost", (int)user.name_len,
		user.name, n > 0 ? n : 0, name, (unsigned long)uid);
}

static int take_user(void *context, struct bytes line)
{
	int err;

	(void)context;
	if (!place)
		return OK;
	err = users ? OK : account_restore_begin(&users, memory, place->accounts);
	if (err == OK)
		err = account_restore_line(users, line);
	if (err != OK)
		users_fault = err_text(err);
	return err;
}

static int summarize(void *context, struct store_upload *up, struct bytes *summary)
{
	(void)context;
	return arrivals_summarize(place->arrivals, up, summary);
}

/* Feeds what there is: OK at its end. */
static int feed(void)
{
	int64_t n;

	while ((n = in_read()) > 0) {
		size_t at = 0, taken;

		while (at < (size_t)n) {
			int err = store_restore_write(restore, piece + at, (size_t)n - at, &taken);

			at += taken;
			if (err == E_AGAIN)
				err = box_commit(place->store);
			if (err != OK)
				return err;
		}
	}
	return (int)n;
}

/* What was taken may wait for a commit although no byte is left. */
static int finish_feed(int err)
{
	size_t taken;

	while (err == OK && (err = store_restore_write(restore, "", 0, &taken)) == E_AGAIN)
		err = box_commit(place->store);
	return err;
}

static void complain_why(const char *path, int err)
{
	const char *why = store_restore_result(restore)->why;

	tool_complain("%s: %s%s%s", path, why[0] ? why : err_text(err), users_fault ? ": " : "",
		users_fault ? users_fault : "");
}

/* A file is read twice: nothing is begun with one that is not whole. */
static int verify(const char *path)
{
	static const struct store_restore_target nothing;
	struct arena *a;
	int err;

	in_file = port_open(path, PORT_READ);
	if (in_file < 0) {
		tool_complain("%s: %s", path, err_text(in_file));
		return in_file;
	}
	a = box_memory_to_verify();
	err = a ? store_restore_begin(&restore, a, NULL, &nothing) : E_NOMEM;
	if (err != OK)
		return err;
	err = feed();
	if (err == OK)
		err = store_restore_end(restore, false);
	if (err != OK)
		complain_why(path, err);
	if (err == E_DAMAGED || err == E_CLOSED)
		tool_complain("nothing was changed; `cubby restore - < %s` restores what stands before that", path);
	in_bytes = 0;
	restore = NULL;
	return err;
}

static int check_users(void)
{
	struct account_user user;
	uint32_t cursor = 0;

	if (store_half_restored(place->store) || account_next(place->accounts, &cursor, &user) != OK)
		return OK;
	tool_complain("%s has users already, and the backup brings its own: remove them first, or move the file away",
		box_config.users);
	return E_STATE;
}

/* What came is kept; the users are there before the store can be served. */
static int keep(bool partial)
{
	int err = users ? account_restore_end(users) : OK;

	users = NULL;
	while (err == OK && (err = store_restore_end(restore, partial)) == E_AGAIN)
		err = box_commit(place->store);
	if (err != OK)
		complain_why(box_config.store, err);
	return err;
}

static void say_restored(void)
{
	const struct store_restored *r = store_restore_result(restore);
	char size[32], made[64];
	struct buf date;

	buf_init(&date, made, sizeof made);
	date_put(&date, (struct date){ r->info.made, port_zone_minutes(r->info.made) });
	tool_say("the backup was made on %.*s", (int)date.len, made);
	tool_say("%llu messages (%s) in %llu mailboxes, %llu users; every mailbox is new to its clients",
		(unsigned long long)r->messages, tool_size(r->bytes, size), (unsigned long long)r->mailboxes,
		(unsigned long long)(r->users ? r->users - 1 : 0));
}

static int restore_into(const char *path)
{
	static const struct store_restore_target target = { .user = take_user,
		.lost = say_lost,
		.summarize = summarize };
	bool from_stdin = in_file < 0;
	int err = check_users(), kept;

	if (err == OK)
		err = store_restore_begin(&restore, memory, place->store, &target);
	if (err != OK)
		return err;
	err = finish_feed(feed());
	if (err == OK && store_restore_result(restore)->complete) {
		err = keep(false);
		if (err == OK)
			say_restored();
		return err == OK && store_restore_result(restore)->lost ? E_DAMAGED : err;
	}
	if (err == OK)
		err = store_restore_end(restore, false);
	complain_why(path, err);
	if (!from_stdin || (err != E_DAMAGED && err != E_CLOSED) || !store_restore_result(restore)->mailboxes)
		return err;
	kept = keep(true);
	if (kept != OK)
		return kept;
	tool_complain("what stands before that is restored");
	say_restored();
	return err;
}

int tool_restore(struct tool_args *args)
{
	const char *path = tool_operand(args, "the file, or - for standard input,");
	int err = OK;

	if (!path || !tool_no_more(args))
		return TOOL_USAGE;
	if (box_read_config() != OK)
		return TOOL_FAILED;
	if (box_connect() == OK) {
		tool_complain("a server uses the store: stop it first");
		return TOOL_TEMPORARY;
	}
	if (strcmp(path, "-") != 0)
		err = verify(path);
	if (err == OK)
		err = box_open_store_to_restore(&place, &memory);
	if (err != OK)
		return TOOL_FAILED;
	err = restore_into(strcmp(path, "-") ? path : "standard input");
	if (users)
		account_restore_abort(users);
	if (store_half_restored(place->store))
		tool_complain("the store is half restored and can't be served: restore the same backup again, "
			      "or remove %s",
			box_config.store);
	box_close_store();
	return err == OK ? TOOL_OK : TOOL_FAILED;
}
