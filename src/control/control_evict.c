/* Eviction for the owner: what would go and why the rest stays, carrying such a
 * plan out, and what went. Lists are made a line at a time. */
#include "base/err.h"
#include "base/text.h"
#include "control/control_session.h"
#include "control/json.h"

/* Room for any line of a list: a mailbox's name, sender and subject, escaped. */
#define LINE_MOST 2400

_Static_assert(LINE_MOST < CONN_OUTPUT, "a line fits the output");

static struct store *store_of(const struct control_session *s)
{
	return s->control->config.place.store;
}

/* ---- requests ---- */

int control_evict_preview(struct control_session *s, const struct bytes *words, int n)
{
	struct evict_listing *l = &s->evict;
	struct account_user user = { 0 };
	int err = OK;

	*l = (struct evict_listing){ 0 };
	for (int i = 1; i < n && err == OK; i++) {
		if (bytes_is(words[i], "json"))
			l->json = true;
		else if (bytes_is(words[i], "all"))
			l->all = true;
		else if (words[i].len && words[i].data[0] == '@')
			err = account_find(s->control->config.place.accounts, bytes_part(words[i], 1, words[i].len),
				&user);
		else
			err = E_SYNTAX;
	}
	if (err != OK) {
		control_reply_err(s, err, NULL);
		return OK;
	}
	store_evict_preview_begin(store_of(s), user.id);
	l->begun = store_evict_preview_number(store_of(s));
	s->phase = CONTROL_EVICT_LIST;
	return OK;
}

static bool plan_id(struct bytes word, uint64_t *id)
{
	*id = 0;
	for (size_t i = 0; i < word.len; i++) {
		int digit = text_hex(word.data[i]);

		if (digit < 0 || word.len != 16)
			return false;
		*id = *id << 4 | (unsigned)digit;
	}
	return word.len == 16;
}

int control_evict_run(struct control_session *s, const struct bytes *words, int n)
{
	struct store_evict_status status;
	uint64_t id;
	int err = OK;

	store_evict_status(store_of(s), &status);
	if (n == 1)
		store_evict_now(store_of(s));
	else if (!plan_id(words[1], &id))
		err = E_NOENT;
	else
		err = store_evict_plan(store_of(s), id);
	if (err == E_AGAIN) {
		s->wait = STEP_AGAIN;
		return E_AGAIN;
	}
	if (err != OK) {
		control_reply_err(s, err,
			err == E_NOENT ? "no such plan; a later look, or a change of settings, ended it" : NULL);
		return OK;
	}
	s->evict = (struct evict_listing){ .messages = status.messages, .bytes = status.bytes };
	s->phase = CONTROL_EVICT_RUN;
	return OK;
}

int control_evicted(struct control_session *s, const struct bytes *words, int n)
{
	s->evict = (struct evict_listing){ .json = n == 2 && bytes_is(words[1], "json") };
	s->phase = CONTROL_EVICTED;
	return OK;
}

/* ---- lines ---- */

struct evict_line {
	uint32_t owner, mailbox, uid, size;
	const char *class, *kept;
	uint64_t age;
	struct bytes text; /* sender, LF, subject */
	int64_t wall;
	bool audit;
};

static void put_field(struct buf *out, bool json, const char *name, struct bytes value)
{
	if (json) {
		buf_printf(out, ", \"%s\": ", name);
		json_string(out, value);
		return;
	}
	buf_putc(out, '\t');
	for (size_t i = 0; i < value.len; i++)
		buf_putc(out, value.data[i] < ' ' ? ' ' : value.data[i]);
}

/* One message: columns with tabs between them, or a JSON object. */
static void put_line(struct control_session *s, const struct evict_line *line)
{
	struct buf *out = conn_output(s->conn);
	struct evict_listing *l = &s->evict;
	char name[LIMIT_MAILBOX_NAME];
	int len = store_mailbox_name(store_of(s), line->mailbox, name);
	size_t lf = bytes_index(line->text, '\n');
	struct account_user user;
	bool known = account_by_id(s->control->config.place.accounts, line->owner, &user) == OK;

	buf_putc(out, ':');
	if (l->json)
		buf_printf(out, "%s{ \"uid\": %u, \"size\": %u", l->items ? "," : "", (unsigned)line->uid,
			(unsigned)line->size);
	else
		buf_printf(out, "%u\t%u", (unsigned)line->uid, (unsigned)line->size);
	if (line->audit && l->json)
		buf_printf(out, ", \"time\": %lld", (long long)line->wall);
	else if (line->audit)
		buf_printf(out, "\t%lld", (long long)line->wall);
	put_field(out, l->json, "class", bytes_of(line->class));
	if (line->kept)
		put_field(out, l->json, "kept", bytes_of(line->kept));
	put_field(out, l->json, "user", known ? bytes_make(user.name, user.name_len) : bytes_of("?"));
	put_field(out, l->json, "mailbox", len > 0 ? bytes_make(name, (size_t)len) : bytes_of("?"));
	put_field(out, l->json, "sender", bytes_part(line->text, 0, lf));
	put_field(out, l->json, "subject", bytes_part(line->text, lf + 1, line->text.len));
	buf_puts(out, l->json ? " }\n" : "\n");
	l->items++;
}

static bool has_room(struct control_session *s)
{
	if (buf_space(conn_output(s->conn)) >= LINE_MOST)
		return true;
	s->wait = STEP_OUTPUT;
	return false;
}

/* ---- looking ahead ---- */

static void put_totals(struct control_session *s)
{
	struct buf *out = conn_output(s->conn);
	struct store_evict_preview p;
	uint64_t when = eviction_forecast(store_of(s));

	store_evict_preview_get(store_of(s), &p);
	if (s->evict.json) {
		buf_printf(out, ":], \"id\": \"%08x%08x\", \"enough\": %s, \"messages\": %llu, \"bytes\": %llu,\n",
			(unsigned)(p.id >> 32), (unsigned)p.id, p.enough ? "true" : "false",
			(unsigned long long)p.messages, (unsigned long long)p.bytes);
		buf_printf(out,
			":\"goal\": %llu, \"possible\": %llu, \"seconds-to-high-mark\": ", (unsigned long long)p.goal,
			(unsigned long long)p.possible);
		if (when == UINT64_MAX)
			buf_puts(out, "null");
		else
			buf_put_number(out, when);
		buf_puts(out, ", \"kept\": {\n");
	} else {
		buf_printf(out, ":plan %08x%08x: %llu messages, %llu bytes; room wanted %llu, to be had %llu%s\n",
			(unsigned)(p.id >> 32), (unsigned)p.id, (unsigned long long)p.messages,
			(unsigned long long)p.bytes, (unsigned long long)p.goal, (unsigned long long)p.possible,
			p.goal == 0        ? ": nothing has to go"
				: p.enough ? ""
					   : ": too little, nothing goes");
		if (when != UINT64_MAX)
			buf_printf(out, ":at the present rate it is carried out in %llu days\n",
				(unsigned long long)(when / 86400));
	}
}

static void put_kept(struct control_session *s)
{
	static const char *const why[] = { "others go first", "flagged", "keyword $Keep", "drafts",
		"`mailbox NAME keep`", "arrived within `evict protect`", "read, but younger than `evict seen-age`",
		"class not in `evict order`", "shown elsewhere too, where it stays",
		"its user has no more than his share", "being copied just now" };
	struct buf *out = conn_output(s->conn);
	struct store_evict_preview p;
	bool first = true;

	store_evict_preview_get(store_of(s), &p);
	for (unsigned i = 0; i < STORE_KEPT_WHYS; i++) {
		if (p.kept_messages[i] == 0)
			continue;
		if (s->evict.json)
			buf_printf(out, ":%s\"%s\": { \"messages\": %llu, \"bytes\": %llu }\n", first ? "" : ",",
				i ? store_kept_name((enum store_kept)i) : "later",
				(unsigned long long)p.kept_messages[i], (unsigned long long)p.kept_bytes[i]);
		else
			buf_printf(out, ":stays: %llu messages, %llu bytes: %s\n",
				(unsigned long long)p.kept_messages[i], (unsigned long long)p.kept_bytes[i], why[i]);
		first = false;
	}
	if (s->evict.json)
		buf_puts(out, ":} }\n");
	buf_puts(out, "OK\n");
}

bool control_phase_evict_list(struct control_session *s)
{
	struct evict_listing *l = &s->evict;
	struct store_evict_item item;
	char text[STORE_AUDIT_TEXT];

	if (l->begun != store_evict_preview_number(store_of(s))) {
		control_reply_err(s, E_STATE, "somebody else looks ahead just now");
		s->phase = CONTROL_REQUEST;
		return true;
	}
	if (!l->opened && l->json)
		buf_puts(conn_output(s->conn), ":{ \"items\": [\n");
	l->opened = true;
	while (has_room(s)) {
		int err = l->totals ? E_NOENT : store_evict_preview_next(store_of(s), &item);

		if (err == OK && (item.goes || l->all)) {
			struct evict_line line = { item.owner, item.mailbox, item.entry.uid, item.entry.size,
				store_class_name(item.class), NULL, 0, { NULL, 0 }, 0, false };

			if (!item.goes)
				line.kept = item.kept ? store_kept_name(item.kept) : "later";
			line.text.data = (const uint8_t *)text;
			line.text.len = s->control->config.eviction
				? eviction_describe(s->control->config.eviction, item.entry.object, text)
				: 0;
			put_line(s, &line);
		} else if (err == E_NOENT && !l->totals) {
			put_totals(s);
			l->totals = true;
		} else if (err == E_NOENT) {
			put_kept(s);
			s->phase = CONTROL_REQUEST;
			return true;
		} else if (err == E_AGAIN) {
			conn_label(s->conn, "evict preview");
			s->wait = STEP_AGAIN;
			return false;
		} else if (err != OK) {
			control_reply_err(s, err, NULL);
			s->phase = CONTROL_REQUEST;
			return true;
		} else if (++l->passed % LIMIT_SLICE_ENTRIES == 0) {
			s->wait = STEP_AGAIN;
			return false;
		}
	}
	return false;
}

/* ---- running ---- */

bool control_phase_evict_run(struct control_session *s)
{
	struct store_evict_status status;

	if (store_evict_running(store_of(s))) {
		s->wait = STEP_AGAIN;
		return false;
	}
	store_evict_status(store_of(s), &status);
	buf_printf(conn_output(s->conn), "OK %llu %llu\n", (unsigned long long)(status.messages - s->evict.messages),
		(unsigned long long)(status.bytes - s->evict.bytes));
	s->phase = CONTROL_REQUEST;
	return true;
}

/* ---- looking back ---- */

bool control_phase_evicted(struct control_session *s)
{
	struct evict_listing *l = &s->evict;
	struct store_evicted gone = { 0 };

	if (!l->opened && l->json)
		buf_puts(conn_output(s->conn), ":[\n");
	l->opened = true;
	while (has_room(s)) {
		int err = store_evicted_next(store_of(s), l->after, &gone);
		struct evict_line line = { gone.owner, gone.mailbox, gone.uid, gone.size, "", NULL, 0,
			{ (const uint8_t *)gone.text, gone.text_len }, gone.wall, true };

		if (err != OK) {
			if (l->json)
				buf_puts(conn_output(s->conn), ":]\n");
			if (err == E_NOENT)
				buf_puts(conn_output(s->conn), "OK\n");
			else
				control_reply_err(s, err, NULL);
			s->phase = CONTROL_REQUEST;
			return true;
		}
		line.class = store_class_name((enum store_class)gone.class);
		l->after = gone.number;
		put_line(s, &line);
	}
	return false;
}
