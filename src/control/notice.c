#include "control/notice.h"

#include <string.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "mail/date.h"
#include "port/system.h"
#include "view/mailboxes.h"

/* A notice that can't be stored now is tried again after this time. */
#define RETRY_US 60000000u
/* And this often when all places for arriving mail are taken. */
#define SOON_US 1000000u
/* Bytes of one encoded word's text and of one line of base64: 60 and 76 characters
 * of it (RFC 2047 section 2, RFC 2045 section 6.8). */
#define WORD_BYTES 45
#define LINE_BYTES 57
/* Bytes at the start of a stored notice that tell its key. */
#define HEAD 128
#define HEAD_START "Message-ID: <notice."

enum phase {
	PHASE_READY,  /* nothing was done for it */
	PHASE_WRITE,  /* the message is being stored */
	PHASE_STORED, /* it waits for its sync */
	PHASE_EXPUNGE /* its predecessors go */
};

struct notice {
	bool used, withdraw;
	uint32_t owner;
	uint64_t after_us; /* not before this time; 0: at once */
	char key[NOTICE_KEY + 1];
	size_t subject_len, text_len;
	uint8_t subject[NOTICE_SUBJECT], text[NOTICE_TEXT];
};

struct notices {
	struct notices_config config;
	struct notice place[NOTICE_PLACES];
	unsigned turn;          /* where the next search for work begins */
	struct notice *current; /* what follows is about this one */
	enum phase phase;
	struct arrival *arrival;
	struct store_target target;
	store_ticket ticket;
	unsigned bit;           /* of the keyword; LIMIT_KEYWORDS: the mailbox has no room for it */
	struct store_cursor cursor;
	uint32_t counter;
};

size_t notices_memory(void)
{
	return arena_size(sizeof(struct notices));
}

int notices_init(struct notices **out, struct arena *arena, const struct notices_config *config)
{
	struct notices *n = arena_take(arena, sizeof *n);

	if (!n)
		return E_NOMEM;
	n->config = *config;
	*out = n;
	return OK;
}

const char *notice_say(const struct notices *n, const char *english, const char *japanese)
{
	return n->config.language == NOTICE_JAPANESE ? japanese : english;
}

int notice_admin(const struct notices *n, uint32_t *owner)
{
	struct account_user user;
	uint32_t cursor = 0;
	int err;

	while ((err = account_next(n->config.accounts, &cursor, &user)) == OK) {
		if (user.admin) {
			*owner = user.id;
			return OK;
		}
	}
	return err;
}

/* ---- posting ---- */

static bool key_valid(const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < len; i++)
		if (key[i] != '-' && !text_is((uint8_t)key[i], TEXT_ALPHA | TEXT_DIGIT))
			return false;
	return len > 0 && len <= NOTICE_KEY;
}

static struct notice *place_for(struct notices *n, const char *key, uint32_t owner)
{
	struct notice *free = NULL;

	for (unsigned i = 0; i < NOTICE_PLACES; i++) {
		struct notice *p = &n->place[i];

		if (p->used && p != n->current && p->owner == owner && strcmp(p->key, key) == 0)
			return p;
		if (!p->used && !free)
			free = p;
	}
	return free;
}

int notice_post(struct notices *n, const char *key, uint32_t owner, struct bytes subject, struct bytes text)
{
	struct notice *p;

	if (!key_valid(key) || subject.len == 0 || !text_utf8_valid(subject) || !text_utf8_valid(text))
		return E_SYNTAX;
	if (subject.len > NOTICE_SUBJECT || text.len > NOTICE_TEXT)
		return E_LIMIT;
	p = place_for(n, key, owner);
	if (!p)
		return E_AGAIN;
	*p = (struct notice){ .used = true, .owner = owner, .subject_len = subject.len, .text_len = text.len };
	memcpy(p->key, key, strlen(key) + 1);
	for (size_t i = 0; i < subject.len; i++)
		p->subject[i] = text_is(subject.data[i], TEXT_CTL) ? ' ' : subject.data[i];
	if (text.len)
		memcpy(p->text, text.data, text.len);
	return OK;
}

int notice_withdraw(struct notices *n, const char *key, uint32_t owner)
{
	struct notice *p;

	if (!key_valid(key))
		return E_SYNTAX;
	p = place_for(n, key, owner);
	if (!p)
		return E_AGAIN;
	*p = (struct notice){ .used = true, .withdraw = true, .owner = owner };
	memcpy(p->key, key, strlen(key) + 1);
	return OK;
}

/* ---- the message ---- */

static bool is_ascii(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.data[i] >= 0x7f || (b.data[i] < 0x20 && b.data[i] != '\n' && b.data[i] != '\t'))
			return false;
	return true;
}

/* "=?UTF-8?B?...?=", whole characters in each (RFC 2047 section 5, rule 3). */
static void put_subject(struct buf *out, struct bytes subject)
{
	if (is_ascii(subject)) {
		(void)buf_putb(out, subject);
		return;
	}
	for (bool first = true; subject.len; first = false) {
		size_t len = 0, next;
		uint32_t code;

		while ((next = text_utf8_decode(bytes_part(subject, len, subject.len), &code)) > 0 &&
			len + next <= WORD_BYTES)
			len += next;
		(void)buf_puts(out, first ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?");
		(void)codec_base64(bytes_part(subject, 0, len), out);
		(void)buf_puts(out, "?=");
		subject = bytes_part(subject, len, subject.len);
	}
}

/* A name that can stand in front of an @ as it is (RFC 5322 section 3.2.3). */
static bool is_atom(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!text_is(name.data[i], TEXT_ALPHA | TEXT_DIGIT) && name.data[i] != '-' && name.data[i] != '_')
			return false;
	return name.len > 0;
}

/* The key comes first: by it a notice is found again (HEAD). */
static void put_header(struct notices *n, const struct notice *p, const struct account_user *user, bool base64,
	struct buf *out)
{
	struct bytes name = bytes_make(user->name, user->name_len);
	int64_t wall = port_wall_time();

	(void)buf_printf(out, HEAD_START "%s.%llx.%llx.%lx@%s>\r\n", p->key,
		(unsigned long long)store_identity(n->config.store), (unsigned long long)wall,
		(unsigned long)(++n->counter ^ (uint32_t)port_now_us() << 8), n->config.domain);
	(void)buf_printf(out, "From: Cubby <postmaster@%s>\r\n", n->config.domain);
	if (is_atom(name))
		(void)buf_printf(out, "To: %.*s@%s\r\n", (int)name.len, (const char *)name.data, n->config.domain);
	(void)buf_puts(out, "Date: ");
	(void)date_put(out, (struct date){ wall, port_zone_minutes(wall) });
	(void)buf_puts(out, "\r\nSubject: ");
	put_subject(out, bytes_make(p->subject, p->subject_len));
	(void)buf_puts(out,
		"\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ");
	(void)buf_puts(out, base64 ? "base64\r\n\r\n" : "7bit\r\n\r\n");
}

/* The text with CRLF line ends, a line of base64 a write. */
static int write_base64(struct arrival *a, struct bytes text)
{
	uint8_t line[LINE_BYTES + 1], coded[LINE_BYTES / 3 * 4 + 2];
	size_t len = 0, at = 0;
	int err = OK;

	while (err == OK && (at < text.len || len)) {
		struct buf out;

		while (at < text.len && len < LINE_BYTES) {
			if (text.data[at] == '\n')
				line[len++] = '\r';
			line[len++] = text.data[at++];
		}
		buf_init(&out, coded, sizeof coded);
		(void)codec_base64(bytes_make(line, len < LINE_BYTES ? len : LINE_BYTES), &out);
		(void)buf_puts(&out, "\r\n");
		err = arrival_write(a, coded, out.len);
		/* A line end may have come one byte too far. */
		line[0] = line[LINE_BYTES];
		len = len > LINE_BYTES ? len - LINE_BYTES : 0;
	}
	return err;
}

static bool wants_base64(struct bytes text)
{
	while (text.len) {
		size_t end = bytes_index(text, '\n');

		if (end > 900 || !is_ascii(bytes_part(text, 0, end)))
			return true;
		text = bytes_part(text, end + 1, text.len);
	}
	return false;
}

static int write_message(struct notices *n, const struct notice *p, const struct account_user *user)
{
	struct bytes text = bytes_make(p->text, p->text_len);
	bool base64 = wants_base64(text);
	uint8_t head[1600];
	struct buf out;
	int err;

	buf_init(&out, head, sizeof head);
	put_header(n, p, user, base64, &out);
	if (out.overflow)
		return E_LIMIT;
	err = arrival_begin(n->config.arrivals, 0, true, &n->arrival);
	if (err == OK)
		err = arrival_write(n->arrival, head, out.len);
	if (err == OK)
		err = base64 ? write_base64(n->arrival, text) : arrival_write(n->arrival, text.data, text.len);
	return err;
}

/* ---- storing it ---- */

/* INBOX and the keyword, made where they are missing. */
static int find_place(struct notices *n, const struct notice *p)
{
	struct store *st = n->config.store;
	int err = store_mailbox_find(st, p->owner, bytes_of("INBOX"), &n->target.mailbox);

	if (err == E_NOENT && p->withdraw)
		return E_NOENT;
	if (err == E_NOENT) {
		err = mailboxes_ensure_user(st, p->owner, &n->ticket);
		return err == OK ? E_AGAIN : err;
	}
	if (err != OK)
		return err;
	err = store_keyword(st, n->target.mailbox, bytes_of(NOTICE_KEYWORD), !p->withdraw, &n->bit);
	if (err == E_LIMIT)
		n->bit = LIMIT_KEYWORDS;
	return err == E_LIMIT ? OK : err;
}

static int phase_ready(struct notices *n, struct notice *p)
{
	struct account_user user;
	int err = account_by_id(n->config.accounts, p->owner, &user);

	if (err == OK)
		err = find_place(n, p);
	if (err != OK)
		return err;
	n->target.flags = 0;
	n->target.keywords = n->bit < LIMIT_KEYWORDS ? UINT64_C(1) << n->bit : 0;
	n->target.received = port_wall_time();
	n->target.zone = (int16_t)port_zone_minutes(n->target.received);
	n->target.uid = UINT32_MAX;
	store_cursor_init(&n->cursor, n->target.mailbox, 0);
	if (!p->withdraw)
		err = write_message(n, p, &user);
	/* Slow senders may keep all places for long. */
	if (err != OK)
		return err == E_AGAIN ? E_BUSY : err;
	n->phase = p->withdraw ? PHASE_EXPUNGE : PHASE_WRITE;
	return E_AGAIN;
}

static int phase_write(struct notices *n)
{
	int err = arrival_commit(n->arrival, &n->target, 1, &n->ticket);

	if (err != OK)
		return err;
	n->arrival = NULL;
	n->phase = PHASE_STORED;
	return E_AGAIN;
}

static int phase_stored(struct notices *n)
{
	int err = store_ticket_result(n->config.store, n->ticket);

	if (err == OK)
		n->phase = PHASE_EXPUNGE;
	return err == OK ? E_AGAIN : err;
}

/* Whether the stored message is a notice with that key. */
static bool has_key(struct notices *n, const struct notice *p, uint64_t object)
{
	uint8_t head[HEAD];
	int64_t len = store_body(n->config.store, object, 0, head, sizeof head);
	struct bytes rest = bytes_make(head, len > 0 ? (size_t)len : 0), start = bytes_of(HEAD_START);
	struct bytes key = bytes_of(p->key);

	return bytes_equal(bytes_part(rest, 0, start.len), start) &&
		bytes_equal(bytes_part(rest, start.len, key.len), key) && rest.len > start.len + key.len &&
		rest.data[start.len + key.len] == '.';
}

/* A slice of the walk over INBOX: OK at its end. */
static int phase_expunge(struct notices *n, const struct notice *p)
{
	struct store *st = n->config.store;
	struct store_entry e;

	if (n->bit >= LIMIT_KEYWORDS)
		return OK;
	for (unsigned i = 0; i < LIMIT_SLICE_ENTRIES; i++) {
		uint32_t before = n->cursor.uid;
		uint64_t modseq;
		int err = store_cursor_next(st, &n->cursor, &e);

		if (err != OK || e.uid >= n->target.uid)
			return err == OK || err == E_NOENT ? OK : err;
		if (!(e.keywords >> n->bit & 1) || (e.flags & STORE_FLAGGED) || !has_key(n, p, e.object))
			continue;
		err = store_expunge(st, n->target.mailbox, &e.uid, 1, &modseq, &n->ticket);
		if (err == E_AGAIN)
			store_cursor_init(&n->cursor, n->target.mailbox, before);
		return err == OK ? E_AGAIN : err;
	}
	return E_AGAIN;
}

/* ---- the work ---- */

static bool choose(struct notices *n)
{
	uint64_t now = port_now_us();

	for (unsigned i = 0; i < NOTICE_PLACES && !n->current; i++) {
		struct notice *p = &n->place[(n->turn + i) % NOTICE_PLACES];

		if (p->used && p->after_us <= now)
			n->current = p;
	}
	n->turn++;
	n->phase = PHASE_READY;
	return n->current != NULL;
}

static int step(struct notices *n, struct notice *p)
{
	switch (n->phase) {
	case PHASE_READY:
		return phase_ready(n, p);
	case PHASE_WRITE:
		return phase_write(n);
	case PHASE_STORED:
		return phase_stored(n);
	default:
		return phase_expunge(n, p);
	}
}

int notices_work(struct notices *n)
{
	struct notice *p;
	int err;

	if (!n->current && !choose(n))
		return OK;
	p = n->current;
	err = step(n, p);
	if (err == E_AGAIN)
		return E_AGAIN;
	arrival_abort(n->arrival);
	n->arrival = NULL;
	n->current = NULL;
	/* Told, or nobody to tell; an old one that can't go now goes with the next. */
	if (err == OK || err == E_NOENT || n->phase == PHASE_EXPUNGE) {
		p->used = false;
		return E_AGAIN;
	}
	p->after_us = port_now_us() + (err == E_BUSY ? SOON_US : RETRY_US);
	if (err != E_BUSY)
		log_warning("a notice to user %lu can't be stored now (%s)", (unsigned long)p->owner, err_text(err));
	return E_AGAIN;
}

uint64_t notices_deadline_us(const struct notices *n)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < NOTICE_PLACES; i++)
		if (n->place[i].used && (at == 0 || n->place[i].after_us < at))
			at = n->place[i].after_us ? n->place[i].after_us : 1;
	return at;
}
