/* GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208). Each user has one quota root,
 * "#user/NAME", for all his mailboxes; it limits STORAGE, and MESSAGE where an
 * admin has set that. An admin sees and sets everybody's. */
#include <string.h>

#include "base/err.h"
#include "imap/commands.h"
#include "imap/reply.h"
#include "imap/server.h"

#define ROOT_PREFIX "#user/"

/* Octets of a unit of STORAGE (RFC 9208 section 5.1). */
#define UNIT 1024

enum quota_stage { QUOTA_START, QUOTA_WAIT };

/* ---- quota roots ---- */

/* The root's user. False: an answer is set. A name that is not his own says
 * nothing to who is no admin, not even whether it is one (RFC 9208 section 8). */
static bool find_root(struct session *s, struct bytes root, struct account_user *user)
{
	struct accounts *a = s->server->parts.accounts;
	struct account_user self;
	size_t prefix = strlen(ROOT_PREFIX);
	int err = account_by_id(a, s->user, &self);

	if (err == OK)
		err = bytes_starts_nocase(root, ROOT_PREFIX) ? account_find(a, bytes_part(root, prefix, root.len), user)
							     : E_NOENT;
	if (err == OK && (self.admin || user->id == s->user))
		return true;
	if (err == OK || (err == E_NOENT && !self.admin))
		session_no(s, "[NOPERM] That is not your quota root");
	else if (err == E_NOENT)
		session_no(s, "[NONEXISTENT] There is no such quota root");
	else
		session_error(s, err);
	return false;
}

static bool is_admin(struct session *s)
{
	struct account_user self;

	return account_by_id(s->server->parts.accounts, s->user, &self) == OK && self.admin;
}

static void put_root(struct buf *out, const struct account_user *user)
{
	uint8_t space[sizeof(ROOT_PREFIX) + LIMIT_USER_NAME];
	struct buf root;

	buf_init(&root, space, sizeof(space));
	buf_puts(&root, ROOT_PREFIX);
	buf_put(&root, user->name, user->name_len);
	reply_astring(out, buf_bytes(&root));
}

/* The limit of STORAGE is what the user can really have: his own, or less when
 * the store has no room for that much. Used up means that nothing goes in: both
 * are rounded the same way. */
static void put_quota(struct session *s, struct buf *out, const struct account_user *user)
{
	struct store *st = s->server->parts.store;
	struct store_quota quota;
	uint64_t used, messages, most;

	store_quota(st, user->id, &quota);
	store_owner_usage(st, user->id, &used, &messages);
	most = store_free(st) + used;
	if (quota.bytes < most)
		most = quota.bytes;
	buf_puts(out, "* QUOTA ");
	put_root(out, user);
	buf_printf(out, " (STORAGE %llu %llu", (unsigned long long)((used + UNIT - 1) / UNIT),
		(unsigned long long)((most + UNIT - 1) / UNIT));
	if (quota.messages != STORE_NO_QUOTA)
		buf_printf(out, " MESSAGE %llu %llu", (unsigned long long)messages, (unsigned long long)quota.messages);
	buf_puts(out, ")\r\n");
}

/* ---- asking ---- */

int cmd_getquota(struct session *s, struct conn *c)
{
	struct parse p = session_args(s);
	struct account_user user;
	struct buf scratch;
	struct bytes root;

	buf_init(&scratch, s->server->scratch, SERVER_SCRATCH);
	if (!parse_space(&p) || !parse_astring(&p, &scratch, &root) || !parse_end(&p))
		return session_bad(s, "GETQUOTA takes the name of a quota root");
	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	if (!find_root(s, root, &user))
		return RUN_DONE;
	put_quota(s, conn_output(c), &user);
	return session_ok(s, "That is it");
}

/* The mailbox need not exist (section 4.1.2). */
int cmd_getquotaroot(struct session *s, struct conn *c)
{
	struct parse p = session_args(s);
	uint8_t space[LIMIT_MAILBOX_NAME];
	struct account_user user;
	struct buf name, *out = conn_output(c);
	int err;

	buf_init(&name, space, sizeof(space));
	err = parse_space(&p) ? parse_mailbox(&p, &name) : E_SYNTAX;
	if (err == E_SYNTAX || !parse_end(&p))
		return session_bad(s, "GETQUOTAROOT takes the name of a mailbox");
	if (err == OK)
		err = account_by_id(s->server->parts.accounts, s->user, &user);
	if (err != OK)
		return session_error(s, err);
	if (!session_room(c, 2 * REPLY_ROOM))
		return STEP_OUTPUT;
	buf_puts(out, "* QUOTAROOT ");
	reply_mailbox(out, buf_bytes(&name));
	buf_putc(out, ' ');
	put_root(out, &user);
	buf_puts(out, "\r\n");
	put_quota(s, out, &user);
	return session_ok(s, "That is it");
}

/* ---- setting ---- */

/* setquota-list. False: an answer is set. */
static bool read_limits(struct session *s, struct parse *p, struct store_quota *quota)
{
	bool known = true;

	*quota = (struct store_quota){ STORE_NO_QUOTA, STORE_NO_QUOTA };
	if (!parse_space(p) || !parse_char(p, '('))
		goto bad;
	while (!parse_char(p, ')')) {
		struct bytes name;
		uint64_t limit;

		if (!parse_atom(p, &name) || !parse_space(p) || !parse_number(p, INT64_MAX, &limit))
			goto bad;
		if (bytes_is(name, "STORAGE"))
			quota->bytes = limit < INT64_MAX / UNIT ? limit * UNIT : INT64_MAX;
		else if (bytes_is(name, "MESSAGE"))
			quota->messages = limit;
		else
			known = false;
		parse_space(p);
	}
	if (!parse_end(p))
		goto bad;
	if (!known)
		session_no(s, "[CANNOT] Only STORAGE and MESSAGE can be limited");
	return known;
bad:
	session_bad(s, "SETQUOTA takes a quota root and a list of resources and limits");
	return false;
}

/* The command is read again once it is durable. */
int cmd_setquota(struct session *s, struct conn *c)
{
	struct parse p = session_args(s);
	struct account_user user;
	struct store_quota quota;
	struct buf scratch;
	struct bytes root;
	int err = OK;

	buf_init(&scratch, s->server->scratch, SERVER_SCRATCH);
	if (!parse_space(&p) || !parse_astring(&p, &scratch, &root))
		return session_bad(s, "SETQUOTA takes a quota root and a list of resources and limits");
	if (!read_limits(s, &p, &quota))
		return RUN_DONE;
	if (!is_admin(s))
		return session_no(s, "[NOPERM] Only an admin sets limits");
	if (!session_room(c, REPLY_ROOM))
		return STEP_OUTPUT;
	if (!find_root(s, root, &user))
		return RUN_DONE;
	if (s->stage == QUOTA_START)
		err = store_set_quota(s->server->parts.store, user.id, &quota, &s->ticket);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	s->stage = QUOTA_WAIT;
	if (err == OK && s->ticket)
		err = session_wait(s);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	if (err != OK)
		return session_error(s, err);
	put_quota(s, conn_output(c), &user);
	return session_ok(s, "Limits are set");
}
