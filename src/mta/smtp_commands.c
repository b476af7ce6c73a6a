/* The commands of LMTP and SMTP in front of DATA, each a line and its reply. */
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/text.h"
#include "mta/recipient.h"
#include "mta/smtp_session.h"
#include "view/mailboxes.h"

static int refuse(struct smtp_session *s, unsigned code, const char *enhanced, const char *text)
{
	smtp_reply(s, code, enhanced, text);
	return E_SYNTAX;
}

int smtp_lhlo(struct smtp_session *s, struct bytes args)
{
	struct bytes name = text_word(&args);
	struct buf *out = conn_output(s->conn);

	if (name.len == 0 || name.len > sizeof s->helo || !text_utf8_valid(name))
		return refuse(s, 501, "5.5.4", "LHLO needs the name of the client");
	smtp_reset(s);
	memcpy(s->helo, name.data, name.len);
	s->helo_len = name.len;
	s->greeted = true;
	buf_printf(out, "250-%s\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n",
		s->service->config.domain);
	buf_printf(out, "250 SIZE %llu\r\n", (unsigned long long)s->service->config.message_max);
	return OK;
}

/* "FROM:" or "TO:" in front of the path. */
static bool cut_keyword(struct bytes *args, const char *keyword)
{
	*args = text_trim(*args);
	if (!bytes_starts_nocase(*args, keyword))
		return false;
	*args = bytes_part(*args, strlen(keyword), args->len);
	return true;
}

/* SIZE= (RFC 1870), BODY= (RFC 6152), SMTPUTF8 (RFC 6531); OK or the reply made. */
static int mail_parameter(struct smtp_session *s, struct bytes key, struct bytes value)
{
	if (bytes_is(key, "SIZE")) {
		int err = text_number(value, UINT64_MAX, &s->declared);

		if (err == E_SYNTAX)
			return refuse(s, 501, "5.5.4", "SIZE is a number");
		if (err == E_RANGE || s->declared > s->service->config.message_max) {
			smtp_reply_outcome(s, E_TOOBIG);
			return E_TOOBIG;
		}
		return OK;
	}
	if (bytes_is(key, "BODY")) {
		if (bytes_is(value, "7BIT") || bytes_is(value, "8BITMIME"))
			return OK;
		return refuse(s, 501, "5.5.4", "BODY is 7BIT or 8BITMIME");
	}
	if (bytes_is(key, "SMTPUTF8") && value.len == 0) {
		s->utf8 = true;
		return OK;
	}
	return refuse(s, 555, "5.5.4", "Unknown parameter");
}

int smtp_mail(struct smtp_session *s, struct bytes args)
{
	struct bytes key, value;
	struct path path;
	int err;

	if (!s->greeted || s->mail)
		return refuse(s, 503, "5.5.1", s->greeted ? "MAIL was given already" : "Say LHLO first");
	if (!cut_keyword(&args, "FROM:"))
		return refuse(s, 501, "5.5.4", "MAIL FROM:<address>");
	/* Whether UTF-8 is allowed stands behind the path; what SMTPUTF8 does not
	 * announce is taken all the same, as mail with 8-bit headers is. */
	if (path_parse(&args, true, &path) != OK)
		return refuse(s, 501, "5.1.7", "Bad address of the sender");
	smtp_reset(s);
	while ((err = path_parameter(&args, &key, &value)) == OK) {
		err = mail_parameter(s, key, value);
		if (err != OK) {
			smtp_reset(s);
			return err;
		}
	}
	if (err == E_SYNTAX)
		return refuse(s, 501, "5.5.4", "Bad parameter");
	memcpy(s->sender, path.text.data, path.text.len);
	s->sender_len = path.text.len;
	s->mail = true;
	smtp_reply(s, 250, "2.1.0", "Sender taken");
	return OK;
}

/* A user who never had mail gets his mailboxes first: E_AGAIN, to be run again
 * when they are durable. */
static int make_mailboxes(struct smtp_session *s, uint32_t owner)
{
	int err = s->ticket_err;

	if (err == OK)
		err = mailboxes_ensure_user(s->service->config.store, owner, &s->ticket);
	s->ticket_err = OK;
	if (err == E_AGAIN) {
		s->wait = STEP_AGAIN;
		return E_AGAIN;
	}
	if (err == OK && s->ticket) {
		s->phase = SMTP_TICKET;
		return E_AGAIN;
	}
	return err == OK ? E_STATE : err;
}

static int take_recipient(struct smtp_session *s, const struct path *path)
{
	uint8_t local[PATH_LOCAL_MAX];
	struct smtp_recipient *r = &s->recipients[s->n_recipients];
	struct account_user user;
	struct bytes detail;
	int err;

	err = recipient_user(s->service->config.accounts, bytes_make(local, path_local(path, local)), &user, &detail);
	if (err != OK)
		return err;
	err = store_room(s->service->config.store, user.id, s->declared);
	if (err == E_AGAIN)
		s->wait = STEP_AGAIN;
	if (err != OK)
		return err;
	err = recipient_mailbox(s->service->config.store, user.id, detail, &r->mailbox);
	if (err == E_NOENT)
		return make_mailboxes(s, user.id);
	r->owner = user.id;
	r->err = OK;
	return err;
}

int smtp_rcpt(struct smtp_session *s, struct bytes args)
{
	struct bytes key, value;
	struct path path;
	int err;

	if (!s->mail)
		return refuse(s, 503, "5.5.1", "Say MAIL first");
	if (!cut_keyword(&args, "TO:"))
		return refuse(s, 501, "5.5.4", "RCPT TO:<address>");
	if (path_parse(&args, true, &path) != OK || path.text.len == 0)
		return refuse(s, 501, "5.1.3", "Bad address of the recipient");
	if (path_parameter(&args, &key, &value) != E_NOENT)
		return refuse(s, 555, "5.5.4", "Unknown parameter");
	if (s->n_recipients == STORE_TARGETS) {
		smtp_reply(s, 452, "4.5.3", "Too many recipients");
		s->service->status.refused++;
		return OK;
	}
	err = take_recipient(s, &path);
	if (err == E_AGAIN)
		return E_AGAIN;
	if (err != OK) {
		smtp_reply_outcome(s, err);
		s->service->status.refused++;
		return OK; /* an unknown recipient is no error of the client's */
	}
	if (s->n_recipients++ == 0) {
		memcpy(s->only, path.text.data, path.text.len);
		s->only_len = path.text.len;
	}
	smtp_reply(s, 250, "2.1.5", "Recipient taken");
	return OK;
}

int smtp_rset(struct smtp_session *s, struct bytes args)
{
	(void)args;
	smtp_reset(s);
	smtp_reply(s, 250, "2.0.0", "Forgotten");
	return OK;
}

int smtp_noop(struct smtp_session *s, struct bytes args)
{
	(void)args;
	smtp_reply(s, 250, "2.0.0", "Fine");
	return OK;
}

int smtp_vrfy(struct smtp_session *s, struct bytes args)
{
	if (text_trim(args).len == 0)
		return refuse(s, 501, "5.5.4", "VRFY needs an address");
	/* RFC 5321 3.5.3: says nothing about who is a user here. */
	smtp_reply(s, 252, "2.5.0", "Try RCPT");
	return OK;
}

int smtp_quit(struct smtp_session *s, struct bytes args)
{
	(void)args;
	smtp_reply(s, 221, "2.0.0", "Bye");
	s->closing = true;
	return OK;
}
