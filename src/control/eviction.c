#include "control/eviction.h"

#include "base/err.h"
#include "control/archive.h"
#include "mail/decode.h"
#include "mail/summary.h"
#include "port/system.h"

#define LOOK_EVERY_US (600 * UINT64_C(1000000))
/* All places for notices were taken. */
#define AGAIN_US (5 * UINT64_C(1000000))

/* A user hears the same level once a day; a new notice replaces the old one. */
#define DAY_US (86400 * UINT64_C(1000000))
/* Users whose last warning is remembered; another one's takes the place of the
 * one that is due first, who may hear twice in a day then. */
#define TOLD 64

struct told {
	uint32_t owner;
	unsigned level; /* 0: none, 1: filling up, 2: nearly full */
	uint64_t again_us;
};

struct eviction {
	struct eviction_config config;
	struct store_rule rules[CONFIG_MAILBOX_RULES];
	uint64_t look_us;
	uint32_t cursor, before; /* of the users: the next one, the one to come again */
	struct told told[TOLD];
	struct archive *archive; /* NULL: mail goes without a copy */
	uint8_t summary[LIMIT_SUMMARY]; /* the archive's too */
};

_Static_assert(LIMIT_SUMMARY >= LIMIT_SLICE_BYTES, "a slice of a message fits");

_Static_assert((int)CONFIG_CLASSES == (int)STORE_CLASSES && (int)CONFIG_CLASS_ARCHIVE == (int)STORE_CLASS_ARCHIVE &&
		(int)CONFIG_CLASS_RING == (int)STORE_CLASS_RING,
	"classes are numbered alike");
_Static_assert((int)CONFIG_RULE_KEEP == (int)STORE_RULE_KEEP && (int)CONFIG_RULE_COUNT == (int)STORE_RULE_COUNT,
	"rules are numbered alike");

size_t eviction_memory(void)
{
	return arena_size(sizeof(struct eviction));
}

static int archive_first(void *context, const struct store_mailbox *mailbox, const struct store_entry *entry)
{
	return archive_message(((struct eviction *)context)->archive, mailbox, entry);
}

void eviction_reload(struct eviction *e)
{
	const struct config *c = e->config.config;
	struct store_evict_config s = {
		.on = c->evict,
		.high = c->evict_high,
		.low = c->evict_low,
		.order_n = c->evict_order_n,
		.seen_age = c->evict_seen_age_s,
		.protect = c->evict_protect_s,
		.rules_n = c->mailbox_n,
		.describe = eviction_describe,
		.archive = e->archive ? archive_first : NULL,
		.archive_required = c->evict_archive_required,
	};

	for (size_t i = 0; i < c->evict_order_n; i++)
		s.order[i] = c->evict_order[i];
	for (size_t i = 0; i < c->mailbox_n; i++)
		e->rules[i] = (struct store_rule){ c->mailbox[i].name, (enum store_rule_kind)c->mailbox[i].rule,
			c->mailbox[i].value };
	s.rules = e->rules;
	s.context = e;
	store_evict_configure(e->config.store, &s);
}

int eviction_init(struct eviction **out, struct arena *arena, const struct eviction_config *config)
{
	struct eviction *e = arena_take(arena, sizeof *e);
	const struct config *c = config->config;
	int err = OK;

	if (!e)
		return E_NOMEM;
	e->config = *config;
	if (c->evict_archive[0]) {
		const struct archive_config archive = { config->store, config->accounts, config->notices,
			c->evict_archive, c->store, c->evict_archive_required, c->allow_volatile, e->summary };

		err = archive_init(&e->archive, arena, &archive);
	}
	if (err != OK)
		return err;
	eviction_reload(e);
	*out = e;
	return OK;
}

/* ---- describing ---- */

/* Appends a header's value as UTF-8 on one line, at most `most` bytes, no
 * character cut. */
static void put_header(struct buf *out, struct bytes value, size_t most)
{
	uint8_t space[STORE_AUDIT_TEXT * 2];
	struct buf text;
	size_t n;

	buf_init(&text, space, sizeof space);
	if (!decode_words(bytes_part(value, 0, STORE_AUDIT_TEXT), &text))
		buf_putb(&text, bytes_part(value, 0, STORE_AUDIT_TEXT));
	n = text.len < most ? text.len : most;
	while (n > 0 && n < text.len && (space[n] & 0xC0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++)
		buf_putc(out, space[i] < ' ' || space[i] == 0x7F ? ' ' : space[i]);
}

size_t eviction_describe(void *context, uint64_t object, char text[STORE_AUDIT_TEXT])
{
	struct eviction *e = context;
	int64_t n = store_summary(e->config.store, object, e->summary, sizeof e->summary);
	struct summary_part part;
	struct summary s;
	struct buf out;

	if (n < 0 || summary_open(&s, bytes_make(e->summary, (size_t)n)) != OK)
		return 0;
	summary_part(&s, summary_root(&s), &part);
	buf_init(&out, text, STORE_AUDIT_TEXT);
	put_header(&out, summary_value(&part, SUMMARY_FROM), STORE_AUDIT_TEXT / 2 - 1);
	buf_putc(&out, '\n');
	put_header(&out, summary_value(&part, SUMMARY_SUBJECT), STORE_AUDIT_TEXT - out.len);
	return out.len;
}

/* ---- telling ---- */

uint64_t eviction_forecast(struct store *st)
{
	struct store_evict_status marks;
	struct store_status s;

	store_status(st, &s);
	store_evict_status(st, &marks);
	if (s.live >= marks.high)
		return 0;
	if (s.life_bytes_in == 0 || s.box_time == 0)
		return UINT64_MAX;
	return (uint64_t)((double)(marks.high - s.live) * (double)s.box_time / (double)s.life_bytes_in);
}

/* Below Thunderbird's own warning at 80 per cent nobody is disturbed; full is
 * where mail may be refused any moment. */
#define WARN_PART 80
#define FULL_PART 98

/* The classes in their order, as a list for people. */
static void put_order(struct eviction *e, struct buf *out)
{
	static const char *const english[] = { "mail that was marked as deleted a day ago", "Junk", "Trash",
		"mailboxes with a limit of their own", "old mail that was read", "unread mail", "Sent", "Archive" };
	static const char *const japanese[] = { "削除の印が付いて一日たったメール", "迷惑メール", "ごみ箱",
		"上限を決めたメールボックス", "古い既読メール", "未読メール", "送信済み", "アーカイブ" };
	const struct config *c = e->config.config;

	for (size_t i = 0; i < c->evict_order_n; i++)
		buf_printf(out, " %u. %s\n", (unsigned)i + 1,
			notice_say(e->config.notices, english[c->evict_order[i]], japanese[c->evict_order[i]]));
}

static void put_when(struct eviction *e, struct buf *out)
{
	uint64_t days = eviction_forecast(e->config.store) / 86400;

	if (days == 0)
		buf_puts(out,
			notice_say(e->config.notices, "This happens now, as new mail comes in.\n",
				"新しいメールが届くたびに、今から行われます。\n"));
	else if (days < 3650)
		buf_printf(out, "%s%llu%s",
			notice_say(e->config.notices, "At the present rate this begins in about ",
				"今のペースでは、約"),
			(unsigned long long)days, notice_say(e->config.notices, " days.\n", "日後に始まります。\n"));
}

static int warn(struct eviction *e, uint32_t owner, unsigned part)
{
	struct notices *n = e->config.notices;
	uint8_t subject_space[NOTICE_SUBJECT], text_space[NOTICE_TEXT];
	struct buf subject, text;

	buf_init(&subject, subject_space, sizeof subject_space);
	buf_init(&text, text_space, sizeof text_space);
	buf_printf(&subject, "%s%u%%%s", notice_say(n, "Mail storage is ", "メールの保存容量が"), part,
		notice_say(n, " full", "に達しました"));
	if (e->config.config->evict) {
		buf_puts(&text,
			notice_say(n, "To make room, the oldest mail is deleted for good, in this order:\n\n",
				"空きを作るため、古いメールから順に完全に削除されます。順序:\n\n"));
		put_order(e, &text);
		buf_putc(&text, '\n');
		put_when(e, &text);
		buf_puts(&text,
			notice_say(n,
				"\nTo keep a message, flag it (the star) or give it the keyword $Keep. "
				"Drafts and mail of the last day stay. "
				"You can also delete what you do not need.\n",
				"\n残したいメールには、フラグ（スター）"
				"またはキーワード $Keep "
				"を付けてください。下書きと直近一日のメールは"
				"削除されません。不要なメールを削除しても空きができます。\n"));
	} else {
		buf_puts(&text,
			notice_say(n, "When it is full, new mail is refused. Delete what you do not need.\n",
				"いっぱいになると新しいメールを受け取れません。不要なメールを削除してください。\n"));
	}
	return notice_post(n, part >= FULL_PART ? "storage-full" : "storage", owner, buf_bytes(&subject),
		buf_bytes(&text));
}

static unsigned level_of(unsigned part)
{
	return part >= FULL_PART ? 2 : part >= WARN_PART ? 1 : 0;
}

static struct told *told_of(struct eviction *e, uint32_t owner)
{
	struct told *first = &e->told[0];

	for (unsigned i = 0; i < TOLD; i++) {
		if (e->told[i].owner == owner)
			return &e->told[i];
		if (e->told[i].again_us < first->again_us)
			first = &e->told[i];
	}
	*first = (struct told){ .owner = owner };
	return first;
}

/* Looks at one user: E_AGAIN when no notice can be put up now. */
static int look_at(struct eviction *e, uint32_t owner, uint64_t now)
{
	unsigned part = store_used_part(e->config.store, owner), level = level_of(part);
	struct told *t = told_of(e, owner);
	int err = OK;

	if (level == t->level && (level == 0 || now < t->again_us))
		return OK;
	if (level < 2 && t->level == 2)
		err = notice_withdraw(e->config.notices, "storage-full", owner);
	if (err == OK && level == 0)
		err = notice_withdraw(e->config.notices, "storage", owner);
	if (err == OK && level)
		err = warn(e, owner, part);
	if (err != E_AGAIN)
		*t = (struct told){ owner, level, now + DAY_US };
	return err;
}

int eviction_work(struct eviction *e)
{
	uint64_t now = port_now_us();
	struct account_user user;

	if (e->archive)
		archive_work(e->archive);
	if (!e->config.notices || now < e->look_us)
		return OK;
	while (account_next(e->config.accounts, &e->cursor, &user) == OK) {
		if (look_at(e, user.id, now) == E_AGAIN) {
			e->cursor = e->before;
			e->look_us = now + AGAIN_US;
			return OK;
		}
		e->before = e->cursor;
	}
	e->cursor = e->before = 0;
	e->look_us = now + LOOK_EVERY_US;
	return OK;
}

uint64_t eviction_deadline_us(const struct eviction *e)
{
	uint64_t archive = e->archive ? archive_deadline_us(e->archive) : 0;

	if (!e->config.notices)
		return 0;
	return archive && archive < e->look_us ? archive : e->look_us;
}
