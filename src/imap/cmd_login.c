/* STARTTLS, LOGIN, AUTHENTICATE PLAIN (RFC 4616) and LOGIN, with initial
 * responses (RFC 4959). The password is checked in slices; a place among the
 * logged-in sessions and the user's first mailboxes follow. */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "imap/capability.h"
#include "imap/commands.h"
#include "imap/server.h"
#include "mail/decode.h"
#include "view/mailboxes.h"

/* Bytes of a decoded SASL response: two names and a password at their longest. */
/* Per cent of the storage, or of the user's quota, from which on login says so. */
#define ALERT_PART 98
#define SASL_MAX 1024

enum login_stage { LOGIN_READ, LOGIN_CHECK, LOGIN_HOUSE, LOGIN_WAIT };
enum mechanism { MECHANISM_NONE, MECHANISM_PLAIN, MECHANISM_LOGIN };

int cmd_starttls(struct session *s, struct conn *c)
{
	if (conn_is_tls(c))
		return session_bad(s, "TLS is active already");
	if (!conn_tls_available(c))
		return session_no(s, "[UNAVAILABLE] TLS is not available now");
	s->starttls = true;
	return session_ok(s, "Begin TLS");
}

/* Waits as long as the throttle says: true when the password may be looked at. */
static bool throttled(struct session *s, struct conn *c)
{
	struct login_state *l = &s->u.login;

	if (!l->waited) {
		l->waited = true;
		l->until = conn_now(c) +
			UINT64_C(1000) * throttle_delay_ms(s->server->parts.accounts, conn_peer(c), conn_now(c));
	}
	if (conn_now(c) >= l->until)
		return false;
	conn_deadline(c, l->until);
	return true;
}

static int begin_check(struct session *s, struct bytes name, struct bytes password)
{
	struct imap_server *v = s->server;
	int err = auth_begin(v->parts.accounts, name, password, &s->u.login.check);

	if (err == E_AGAIN)
		return session_crowded(s);
	if (err != OK)
		return session_no(s, "[AUTHENTICATIONFAILED] Wrong user name or password");
	s->stage = LOGIN_CHECK;
	return STEP_AGAIN;
}

static int failed(struct session *s, struct conn *c)
{
	struct imap_server *v = s->server;

	v->logins_failed++;
	throttle_failed(v->parts.accounts, conn_peer(c), conn_now(c));
	log_notice("imap %u: login failed", (unsigned)conn_number(c));
	return session_no(s, "[AUTHENTICATIONFAILED] Wrong user name or password");
}

static int check(struct session *s, struct conn *c)
{
	struct imap_server *v = s->server;
	struct account_user user;
	int err = auth_step(s->u.login.check, &user);

	if (err == E_AGAIN)
		return STEP_AGAIN;
	s->u.login.check = NULL;
	if (err == E_ACCESS)
		return failed(s, c);
	/* Nobody's password is wrong: clients must not ask for another one. */
	if (err != OK) {
		log_error("imap %u: the users can't be read (%s)", (unsigned)conn_number(c), err_text(err));
		return session_no(s, "[UNAVAILABLE] The users can't be read now, see the server's log");
	}
	throttle_succeeded(v->parts.accounts, conn_peer(c));
	if (conn_login(c, user.id) != OK)
		return session_no(s, "[UNAVAILABLE] All places are taken, try again later");
	s->user = s->u.login.user = user.id;
	s->admin = user.admin;
	log_notice("imap %u: %.*s has logged in", (unsigned)conn_number(c), (int)user.name_len, user.name);
	s->stage = LOGIN_HOUSE;
	return STEP_AGAIN;
}

/* The rest: the user's mailboxes are there before the client looks for them. */
static int enter(struct session *s, struct conn *c)
{
	int err = OK;

	if (s->stage == LOGIN_HOUSE) {
		err = mailboxes_ensure_user(s->server->parts.store, s->u.login.user, &s->ticket);
		if (err == E_AGAIN)
			return STEP_COMMIT;
		s->stage = LOGIN_WAIT;
	}
	if (err == OK && s->ticket)
		err = session_wait(s);
	if (err == E_AGAIN)
		return STEP_COMMIT;
	/* a full or read-only store still serves what is there */
	if (err != OK)
		log_warning("imap %u: the user's mailboxes could not be made: %s", (unsigned)conn_number(c),
			err_text(err));
	s->state = STATE_AUTH;
	s->server->logins++;
	return session_ok(s, NULL);
}

bool finish_login(struct session *s, struct buf *out)
{
	if (buf_space(out) < 2 * REPLY_ROOM)
		return false;
	/* A dialog box in several clients: only when mail may be refused any moment. */
	if (store_used_part(s->server->parts.store, s->user) >= ALERT_PART)
		buf_puts(out, "* OK [ALERT] The mail storage is nearly full\r\n");
	buf_put(out, s->tag, s->tag_len);
	buf_puts(out, " OK [");
	capability_put(s, out);
	buf_puts(out, "] Logged in\r\n");
	return true;
}

void end_login(struct session *s)
{
	if (s->u.login.check)
		auth_abort(s->u.login.check);
}

int cmd_login(struct session *s, struct conn *c)
{
	uint8_t space[2 * SASL_MAX];
	struct parse p = session_args(s);
	struct bytes name, password;
	struct buf scratch;

	if (s->stage == LOGIN_CHECK)
		return check(s, c);
	if (s->stage >= LOGIN_HOUSE)
		return enter(s, c);
	if (!session_secret_allowed(s))
		return session_no(s, "[PRIVACYREQUIRED] Passwords are taken over TLS only");
	buf_init(&scratch, space, sizeof(space));
	if (!parse_space(&p) || !parse_astring(&p, &scratch, &name) || !parse_space(&p) ||
		!parse_astring(&p, &scratch, &password) || !parse_end(&p))
		return session_bad(s, "LOGIN takes a user name and a password");
	if (throttled(s, c))
		return STEP_EVENT;
	return begin_check(s, name, password);
}

/* ---- AUTHENTICATE ---- */

/* Gets the i-th response; asks for it with a "+" line unless it is here. True
 * with *line, else what run returns is in *step. */
static bool response(struct session *s, struct conn *c, unsigned i, const char *prompt, struct bytes *line, int *step)
{
	uint32_t *start = &s->u.login.response[i].start, *end = &s->u.login.response[i].end, next;

	if (!s->u.login.response[i].asked && !s->u.login.response[i].here) {
		*step = STEP_OUTPUT;
		if (!session_room(c, REPLY_ROOM))
			return false;
		buf_printf(conn_output(c), "+ %s\r\n", prompt);
		s->u.login.response[i].asked = true;
		*start = s->end;
	}
	if (!s->u.login.response[i].here) {
		enum input_result result = input_line(s, c, &next);

		*step = STEP_INPUT;
		if (result == INPUT_MORE)
			return false;
		if (result != INPUT_COMPLETE) {
			*step = s->phase == SESSION_BYE ? RUN_DONE : session_bye(s, "The response is too long");
			return false;
		}
		s->u.login.response[i].here = true;
		*end = s->end = next;
	}
	*line = session_text(s, *start, *end - *start);
	while (line->len && (line->data[line->len - 1] == '\n' || line->data[line->len - 1] == '\r'))
		line->len--;
	if (!bytes_is(*line, "*"))
		return true;
	*step = session_bad(s, "Authentication was given up");
	return false;
}

static int no_base64(struct session *s)
{
	return session_bad(s, "That is no base64");
}

/* [authzid] NUL authcid NUL password. */
static int plain(struct session *s, struct conn *c)
{
	uint8_t space[SASL_MAX];
	struct buf out;
	struct bytes line, text, as, name;
	size_t cut;
	int step;

	if (!response(s, c, 0, "", &line, &step))
		return step;
	buf_init(&out, space, sizeof(space));
	if (base64_decode(line, &out) != OK)
		return no_base64(s);
	text = buf_bytes(&out);
	cut = bytes_index(text, 0);
	as = bytes_part(text, 0, cut);
	text = bytes_part(text, cut + 1, text.len);
	cut = bytes_index(text, 0);
	name = bytes_part(text, 0, cut);
	if (cut >= text.len || name.len == 0)
		return session_bad(s, "That is no response of PLAIN");
	if (as.len && !bytes_equal_nocase(as, name))
		return session_no(s, "[AUTHORIZATIONFAILED] Nobody may act as somebody else here");
	if (throttled(s, c))
		return STEP_EVENT;
	return begin_check(s, name, bytes_part(text, cut + 1, text.len));
}

/* draft-murchison-sasl-login: the prompts are what all clients wait for. */
static int login(struct session *s, struct conn *c)
{
	uint8_t name_space[SASL_MAX / 2], password_space[SASL_MAX / 2];
	struct buf name, password;
	struct bytes line;
	int step;

	buf_init(&name, name_space, sizeof(name_space));
	buf_init(&password, password_space, sizeof(password_space));
	if (!response(s, c, 0, "VXNlcm5hbWU6", &line, &step))
		return step;
	if (base64_decode(line, &name) != OK)
		return no_base64(s);
	if (!response(s, c, 1, "UGFzc3dvcmQ6", &line, &step))
		return step;
	if (base64_decode(line, &password) != OK)
		return no_base64(s);
	if (throttled(s, c))
		return STEP_EVENT;
	return begin_check(s, buf_bytes(&name), buf_bytes(&password));
}

static int read_mechanism(struct session *s)
{
	struct login_state *l = &s->u.login;
	struct parse p = session_args(s);
	struct bytes name, initial;

	if (!parse_space(&p) || !parse_atom(&p, &name))
		return session_bad(s, "AUTHENTICATE takes the name of a mechanism");
	if (bytes_is(name, "PLAIN"))
		l->mechanism = MECHANISM_PLAIN;
	else if (bytes_is(name, "LOGIN"))
		l->mechanism = MECHANISM_LOGIN;
	else
		return session_no(s, "[CANNOT] This mechanism is not known here");
	if (!session_secret_allowed(s))
		return session_no(s, "[PRIVACYREQUIRED] Passwords are taken over TLS only");
	if (!parse_space(&p))
		return parse_end(&p) ? STEP_AGAIN : session_bad(s, "AUTHENTICATE takes one response at most");
	initial = bytes_part(p.text, p.at, p.text.len);
	l->response[0].start = s->args + (uint32_t)p.at;
	l->response[0].end = l->response[0].start + (uint32_t)initial.len;
	l->response[0].here = initial.len > 0;
	/* "=" is an empty response (RFC 4959 section 3) */
	if (bytes_is(initial, "="))
		l->response[0].end = l->response[0].start;
	return STEP_AGAIN;
}

int cmd_authenticate(struct session *s, struct conn *c)
{
	if (s->stage == LOGIN_CHECK)
		return check(s, c);
	if (s->stage >= LOGIN_HOUSE)
		return enter(s, c);
	if (s->u.login.mechanism == MECHANISM_NONE) {
		int step = read_mechanism(s);

		if (step != STEP_AGAIN)
			return step;
	}
	return s->u.login.mechanism == MECHANISM_PLAIN ? plain(s, c) : login(s, c);
}
