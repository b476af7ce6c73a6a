/* A backup over the control socket: pieces as the tool takes them, nothing kept
 * here. A tool that stops reading is closed as every peer that takes nothing. The
 * socket's group may put mail in and see how the box does, but everybody's mail is
 * only for those who could read the store's files as well. */
#include "base/err.h"
#include "base/log.h"
#include "control/backup.h"
#include "control/control_session.h"
#include "port/system.h"

/* ":4090 LF" in front of a piece. */
#define PIECE_HEAD 6u

_Static_assert(CONN_OUTPUT >= PIECE_HEAD + STORE_BACKUP_LEAST, "a piece fits the output");
_Static_assert(CONN_OUTPUT < 10000, "its length has four digits");

static int next_user(void *context, uint64_t *cursor, uint8_t *out)
{
	return account_save(context, cursor, out);
}

_Static_assert(ACCOUNT_LINE <= STORE_BACKUP_USER, "a user's line fits");

int backup_begin(struct store *st, struct accounts *accounts)
{
	struct store_backup_source source = { .user = next_user, .context = accounts };

	return store_backup_begin(st, &source);
}

int control_backup(struct control_session *s, const struct bytes *words, int n)
{
	const struct intake_place *place = &s->control->config.place;
	uint32_t uid = conn_peer(s->conn)->uid;
	int err;

	(void)words;
	(void)n;
	if (uid != 0 && uid != port_user_id()) {
		control_reply_err(s, E_ACCESS, "everybody's mail is only for root and for the server's own user");
		return OK;
	}
	err = backup_begin(place->store, place->accounts);
	if (err != OK) {
		control_reply_err(s, E_STATE, "another backup is under way, or just ended: try again");
		return OK;
	}
	log_notice("control %u: backup, by uid %u, process %d", (unsigned)conn_number(s->conn), (unsigned)uid,
		(int)conn_peer(s->conn)->pid);
	s->backup = true;
	s->phase = CONTROL_BACKUP;
	return OK;
}

void control_backup_close(struct control_session *s)
{
	if (s->backup)
		store_backup_end(s->control->config.place.store);
	s->backup = false;
}

static bool finish(struct control_session *s, int err)
{
	struct store_backup_progress progress;

	store_backup_progress(s->control->config.place.store, &progress);
	control_backup_close(s);
	if (err == OK)
		buf_printf(conn_output(s->conn), "OK %llu %llu\n", (unsigned long long)progress.messages,
			(unsigned long long)progress.lost);
	else if (err == E_FULL)
		control_reply_err(s, err, "mail wanted the room that the backup held: it was ended, try again");
	else
		control_reply_err(s, err, NULL);
	s->phase = CONTROL_REQUEST;
	return true;
}

bool control_phase_backup(struct control_session *s)
{
	struct buf *out = conn_output(s->conn);
	size_t space = buf_space(out);
	uint8_t *piece = out->data + out->len + PIECE_HEAD;
	int64_t n;

	if (space < PIECE_HEAD + STORE_BACKUP_LEAST) {
		s->wait = STEP_OUTPUT;
		return false;
	}
	n = store_backup_read(s->control->config.place.store, piece, space - PIECE_HEAD);
	if (n == E_AGAIN) {
		conn_label(s->conn, "backup");
		s->wait = STEP_AGAIN;
		return false;
	}
	if (n <= 0)
		return finish(s, (int)n);
	buf_putc(out, ':');
	for (unsigned ten = 1000; ten; ten /= 10)
		buf_putc(out, (uint8_t)('0' + (size_t)n / ten % 10));
	buf_putc(out, '\n');
	out->len += (size_t)n;
	return true;
}
