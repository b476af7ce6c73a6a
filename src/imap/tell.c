/* Flags on the wire, and telling a session what changed in its mailbox. */
#include "imap/session.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "imap/reply.h"
#include "imap/server.h"

static const struct {
	uint8_t bit;
	const char *name;
} system_flags[] = {
	{STORE_ANSWERED, "\\Answered"}, {STORE_FLAGGED, "\\Flagged"}, {STORE_DELETED, "\\Deleted"},
	{STORE_SEEN, "\\Seen"},         {STORE_DRAFT, "\\Draft"},
};
#define SYSTEM_FLAGS (sizeof(system_flags) / sizeof(system_flags[0]))

/* A separator: none behind an opening bracket. The bracket is in the same piece
 * whenever the list is still empty. */
static bool put_word(struct buf *out, const void *word, size_t len)
{
	bool first = out->len > 0 && out->data[out->len - 1] == '(';

	if (buf_space(out) < len + 1)
		return false;
	if (!first)
		buf_putc(out, ' ');
	return buf_put(out, word, len);
}

static bool put_keyword(struct session *s, struct buf *out, unsigned bit)
{
	char name[LIMIT_KEYWORD_NAME];
	int len;

	/* a name that can't be read (damage) is left out */
	len = store_keyword_name(s->server->parts.store, s->view.mailbox, bit, name);
	return len <= 0 || put_word(out, name, (size_t)len);
}

/* Steps of *at: 0 the opening, then the system flags, \Recent, the keywords. */
enum { FLAG_RECENT = SYSTEM_FLAGS + 1, FLAG_KEYWORDS = FLAG_RECENT + 1, FLAG_END = FLAG_KEYWORDS + LIMIT_KEYWORDS };

bool session_put_flags(struct session *s, struct buf *out, const struct store_entry *entry, uint8_t *at)
{
	/* the first flag goes out in one piece with the bracket, so that put_word sees it */
	if (*at == 0) {
		if (buf_space(out) < 80 + LIMIT_KEYWORD_NAME)
			return false;
		buf_puts(out, "FLAGS (");
		for (size_t i = 0; i < SYSTEM_FLAGS; i++)
			if (entry->flags & system_flags[i].bit)
				put_word(out, system_flags[i].name, strlen(system_flags[i].name));
		if (view_is_recent(&s->view, entry->uid))
			put_word(out, "\\Recent", 7);
		*at = FLAG_KEYWORDS;
	}
	for (; *at < FLAG_END && entry->keywords >> (*at - FLAG_KEYWORDS); ++*at) {
		unsigned bit = (unsigned)*at - FLAG_KEYWORDS;

		if ((entry->keywords >> bit & 1) && !put_keyword(s, out, bit))
			return false;
	}
	return buf_putc(out, ')');
}

/* *at: 0 to n for FLAGS, 0x100 to 0x100 + n for PERMANENTFLAGS. */
static bool put_flag_names(struct session *s, struct buf *out, uint32_t keywords, uint16_t *at)
{
	for (uint16_t n = *at & 0xFF; n < keywords && n < LIMIT_KEYWORDS; n++, ++*at)
		if (!put_keyword(s, out, n))
			return false;
	return true;
}

#define PERMANENT 0x100

bool session_put_flag_lines(struct session *s, struct buf *out, uint32_t keywords, uint16_t *at)
{
	static const char names[] = "(\\Answered \\Flagged \\Deleted \\Seen \\Draft";

	if (*at < PERMANENT) {
		if (!s->in_line) {
			if (buf_space(out) < 80)
				return false;
			buf_printf(out, "* FLAGS %s", names);
			s->in_line = true;
		}
		if (!put_flag_names(s, out, keywords, at) || !buf_puts(out, ")\r\n"))
			return false;
		s->in_line = false;
		*at = PERMANENT;
	}
	if (!s->in_line) {
		if (buf_space(out) < 120)
			return false;
		if (s->view.read_only)
			return buf_puts(out, "* OK [PERMANENTFLAGS ()] Read-only mailbox\r\n");
		buf_printf(out, "* OK [PERMANENTFLAGS %s", names);
		s->in_line = true;
	}
	if (!put_flag_names(s, out, keywords, at) || buf_space(out) < 60)
		return false;
	buf_puts(out, keywords < LIMIT_KEYWORDS ? " \\*)] Flags permitted\r\n" : ")] Flags permitted\r\n");
	s->in_line = false;
	return true;
}

static int tell_keywords(struct session *s, struct buf *out)
{
	struct tell_state *t = &s->tell;
	struct store_mailbox m;

	if (t->stage == 0) {
		t->stage = 2;
		if (store_mailbox_get(s->server->parts.store, s->view.mailbox, &m) || m.keywords == s->keywords_told)
			return RUN_DONE;
		s->keywords_told = m.keywords;
		t->line_at = 0;
		t->stage = 1;
	}
	if (t->stage == 1) {
		if (!session_put_flag_lines(s, out, s->keywords_told, &t->line_at))
			return STEP_OUTPUT;
		t->stage = 2;
	}
	return RUN_DONE;
}

int session_tell_keywords(struct session *s, struct conn *c)
{
	if (s->tell.stage == 2)
		s->tell.stage = 0;
	return tell_keywords(s, conn_output(c));
}

/* What a line needs at least to be begun: all but further keywords. */
#define NEWS_ROOM 256

bool session_put_news(struct session *s, struct buf *out, const struct store_entry *entry, uint32_t number, bool flags,
	uint8_t *at)
{
	if (*at == 0) {
		if (buf_space(out) < NEWS_ROOM)
			return false;
		buf_printf(out, "* %u FETCH (", (unsigned)number);
		s->in_line = true;
		if (s->uid || s->condstore)
			buf_printf(out, "UID %u%s", (unsigned)entry->uid, flags || s->condstore ? " " : "");
		if (s->condstore)
			buf_printf(out, "MODSEQ (%llu)%s", (unsigned long long)entry->modseq, flags ? " " : "");
	}
	if (flags && *at != UINT8_MAX && !session_put_flags(s, out, entry, at))
		return false;
	/* the closing bracket of FLAGS is out: a further call may only finish the line */
	*at = UINT8_MAX;
	if (buf_space(out) < 3)
		return false;
	buf_puts(out, ")\r\n");
	s->in_line = false;
	*at = 0;
	return true;
}

static bool tell_flags(struct session *s, struct buf *out, const struct store_entry *entry)
{
	struct tell_state *t = &s->tell;

	t->open = !session_put_news(s, out, entry, t->number, true, &t->flag_at);
	return !t->open;
}

/* Goes on with a line that did not fit. If the message went meanwhile, the line
 * is still ended; its EXPUNGE follows. */
static int tell_rest(struct session *s, struct buf *out)
{
	struct tell_state *t = &s->tell;
	struct store_entry entry;

	if (store_entry_get(s->server->parts.store, s->view.mailbox, t->uid, &entry))
		entry = (struct store_entry){ .uid = t->uid };
	return tell_flags(s, out, &entry) ? RUN_DONE : STEP_OUTPUT;
}

static void tell_event(struct session *s, struct buf *out, const struct view_event *event)
{
	switch (event->kind) {
	case VIEW_EXPUNGE:
		buf_printf(out, "* %u EXPUNGE\r\n", (unsigned)event->number);
		break;
	case VIEW_EXISTS:
		buf_printf(out, "* %u EXISTS\r\n", (unsigned)event->number);
		break;
	case VIEW_RECENT:
		buf_printf(out, "* %u RECENT\r\n", (unsigned)event->number);
		break;
	case VIEW_FLAGS:
		s->tell.number = event->number;
		s->tell.uid = event->uid;
		s->tell.flag_at = 0;
		tell_flags(s, out, &event->entry);
		break;
	}
}

int session_tell(struct session *s, struct conn *c, bool expunges)
{
	struct buf *out = conn_output(c);
	int step;

	if (s->view.gone)
		return session_bye(s, "[UNAVAILABLE] The selected mailbox is gone");
	if (!s->tell.open && s->tell.stage == 0 && !view_pending(s->server->parts.views, &s->view))
		return RUN_DONE;
	step = tell_keywords(s, out);
	if (step != RUN_DONE)
		return step;
	for (unsigned n = 0; n < LIMIT_SLICE_ENTRIES; n++) {
		struct view_event event;
		int err;

		if (s->tell.open && (step = tell_rest(s, out)) != RUN_DONE)
			return step;
		if (buf_space(out) < NEWS_ROOM)
			return STEP_OUTPUT;
		err = view_next(s->server->parts.views, &s->view, expunges, s->condstore, &event);
		if (err == E_AGAIN)
			return STEP_AGAIN;
		if (err != OK) {
			s->tell.stage = 0;
			return s->view.gone ? session_bye(s, "[UNAVAILABLE] The selected mailbox is gone") : RUN_DONE;
		}
		tell_event(s, out, &event);
	}
	return STEP_AGAIN;
}
