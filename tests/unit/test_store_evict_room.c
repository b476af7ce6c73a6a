/* Making room for somebody: as much as is needed, from those who have more than
 * their share, whatever else happens meanwhile. */
#include "store_rig.h"

#include "store/evict.h"

static struct store_evict_config evict = {
	.on = true,
	.high = 90,
	.low = 75,
	.order = { STORE_CLASS_JUNK, STORE_CLASS_TRASH, STORE_CLASS_RING, STORE_CLASS_SEEN, STORE_CLASS_UNSEEN },
	.order_n = 5,
};

static uint64_t part(uint64_t percent)
{
	struct store_status s;

	store_status(st, &s);
	return s.capacity / 100 * percent;
}

static uint64_t live(void)
{
	struct store_status s;

	store_status(st, &s);
	return s.live;
}

static uint32_t messages(uint32_t mailbox)
{
	struct store_mailbox box;

	T_EQ(store_mailbox_get(st, mailbox, &box), OK);
	return box.messages;
}

static uint32_t make(uint32_t owner, const char *name, uint8_t uses)
{
	store_ticket t;
	uint32_t id;

	T_EQ(store_mailbox_create(st, owner, bytes_of(name), uses, &id, &t), OK);
	rig_commit();
	return id;
}

static void set(bool on)
{
	evict.on = on;
	store_evict_configure(st, &evict);
}

static void start(const struct store_config *config)
{
	rig_start(config);
	set(false);
}

/* Messages of 8,000 bytes until the live bytes are that part of the capacity. */
static uint32_t fill(uint32_t mailbox, uint64_t percent)
{
	uint32_t n = 0;

	while (live() < part(percent)) {
		(void)rig_add(mailbox, n++, 8000);
		(void)rig_upkeep(100000);
	}
	return n;
}

static void flag_all(uint32_t mailbox, uint32_t first, uint32_t last)
{
	struct store_flag_change change = { .op = STORE_FLAGS_ADD, .flags = STORE_FLAGGED };
	store_ticket t;
	uint64_t modseq;

	for (uint32_t uid = first; uid <= last; uid++) {
		T_EQ(store_flags(st, mailbox, &uid, 1, &change, &modseq, &t), OK);
		rig_commit();
	}
}

/* A message that waits for its room as a session does. */
static int add_large(uint32_t mailbox, uint32_t owner, size_t size)
{
	static uint8_t piece[4096];
	struct store_target target = { .mailbox = mailbox };
	struct store_upload *up;
	unsigned turns = 0;
	store_ticket t;
	int err;

	while ((err = store_room(st, owner, size)) == E_AGAIN && turns++ < 20000)
		(void)rig_turn();
	if (err != OK)
		return err;
	T_EQ(store_upload_begin(st, size, &up), OK);
	for (size_t at = 0; at < size && err == OK; at += sizeof piece) {
		while ((err = store_upload_ready(up, owner, sizeof piece)) == E_AGAIN && turns++ < 20000)
			(void)rig_turn();
		if (err == OK)
			err = store_upload_write(up, piece, sizeof piece);
	}
	if (err == OK)
		while ((err = store_upload_commit(up, bytes_of("s"), &target, 1, &t)) == E_AGAIN && turns++ < 20000)
			(void)rig_turn();
	if (err != OK) {
		store_upload_abort(up);
		return err;
	}
	rig_commit();
	return store_ticket_result(st, t);
}

/* Those who wait ask again and again: their mail goes once for it. */
T_TEST(room_is_made_once)
{
	uint32_t inbox;

	start(&rig_config);
	inbox = make(1, "INBOX", 0);
	(void)fill(inbox, 89);
	set(true);
	T_EQ(add_large(inbox, 1, 900u << 10), OK);
	(void)rig_upkeep(100000);
	T_OK(live() <= part(90));
	T_OK(live() >= part(70));
	store_close(st);
}

/* What one was refused says nothing about another. */
T_TEST(who_asks_makes_a_difference)
{
	uint32_t first, second, n;

	start(&rig_config);
	first = make(1, "INBOX", 0);
	second = make(2, "INBOX", 0);
	n = fill(first, 52);
	(void)fill(second, 89);
	flag_all(first, 1, n);
	set(true);
	T_EQ(add_large(first, 1, 400u << 10), E_FULL);
	T_EQ(messages(first), n);
	T_EQ(add_large(second, 2, 400u << 10), OK);
	store_close(st);
}

/* Two users who both have too much: each comes down to his share, by the order. */
T_TEST(a_share_is_cut_by_the_order)
{
	uint64_t used, n, all;
	uint32_t inbox, junk, other;

	start(&rig_config);
	inbox = make(1, "INBOX", 0);
	junk = make(1, "Junk", STORE_USE_JUNK);
	other = make(2, "INBOX", 0);
	(void)fill(inbox, 42);
	(void)fill(junk, 46);
	(void)fill(other, 92);
	set(true);
	(void)rig_upkeep(100000);
	T_OK(live() <= part(78));
	store_owner_usage(st, 2, &all, &n);
	store_owner_usage(st, 1, &used, &n);
	T_OK(used + 17000 > all && all + 17000 > used);
	T_EQ(messages(junk), 0);
	store_close(st);
}

/* When the others' excess is not enough, nothing goes at all. */
T_TEST(a_share_counts_before_anything_goes)
{
	uint32_t large, small, n, m;

	start(&rig_config);
	large = make(1, "INBOX", 0);
	small = make(2, "INBOX", 0);
	n = fill(large, 42);
	m = fill(small, 89);
	flag_all(small, 1, m);
	set(true);
	T_EQ(add_large(small, 2, 800u << 10), E_FULL);
	T_EQ(messages(large), n);
	T_EQ(messages(small), m);
	store_close(st);
}

/* The preview keeps the shares too: what it lists is what goes. */
T_TEST(a_preview_knows_the_shares)
{
	struct store_evict_preview p;
	struct store_evict_item item;
	uint32_t inbox, junk, other;
	uint64_t before, n = 0;
	int err;

	start(&rig_config);
	inbox = make(1, "INBOX", 0);
	junk = make(1, "Junk", STORE_USE_JUNK);
	other = make(2, "INBOX", 0);
	(void)fill(inbox, 42);
	(void)fill(junk, 46);
	(void)fill(other, 92);
	before = messages(inbox) + messages(junk) + messages(other);
	store_evict_preview_begin(st, 0);
	while ((err = store_evict_preview_next(st, &item)) != E_NOENT)
		n += err == OK && item.goes;
	store_evict_preview_get(st, &p);
	T_OK(p.enough && n > 20);
	T_EQ(p.messages, n);
	T_EQ(store_evict_plan(st, p.id), OK);
	(void)rig_upkeep(100000);
	T_EQ(before - n, messages(inbox) + messages(junk) + messages(other));
	T_EQ(messages(junk), 0);
	store_close(st);
}

/* Where less may go than would be good, as much as is needed goes. */
T_TEST(a_preview_shows_what_is_needed)
{
	struct store_evict_preview p;
	struct store_evict_item item;
	uint32_t inbox, n;
	uint64_t goes = 0;
	int err;

	start(&rig_config);
	inbox = make(1, "INBOX", 0);
	n = fill(inbox, 96);
	flag_all(inbox, n / 10, n);
	store_evict_preview_begin(st, 0);
	while ((err = store_evict_preview_next(st, &item)) != E_NOENT)
		goes += err == OK && item.goes;
	store_evict_preview_get(st, &p);
	T_OK(p.enough && p.possible < p.goal);
	set(true);
	(void)rig_upkeep(100000);
	T_OK(live() <= part(90));
	T_EQ(messages(inbox), n - goes);
	store_close(st);
}

/* Mail that comes all the time into a mailbox with a rule does not keep others
 * from their room. */
T_TEST(rules_leave_others_their_turn)
{
	static const struct store_rule rules[] = { { "Alerts", STORE_RULE_COUNT, 10 } };
	struct store_config config = rig_config;
	uint32_t inbox, alerts;
	struct store_target target;
	struct store_upload *up;
	static uint8_t body[8000];
	store_ticket t;
	int err = E_AGAIN;
	unsigned turns = 0;

	config.owner_quota = 1u << 20;
	rig_start(&config);
	evict.rules = rules;
	evict.rules_n = 1;
	set(false);
	inbox = make(1, "INBOX", 0);
	alerts = make(2, "Alerts", 0);
	for (unsigned i = 0; i < 128; i++)
		(void)rig_add(inbox, i, 8000);
	set(true);
	(void)rig_upkeep(100000);
	for (unsigned i = 0; i < 3; i++)
		(void)rig_add(inbox, i, 8000);
	T_EQ(store_upload_begin(st, sizeof body, &up), OK);
	T_EQ(store_upload_write(up, body, sizeof body), OK);
	target = (struct store_target){ .mailbox = inbox };
	while (err == E_AGAIN && turns++ < 500) {
		struct store_target to;
		store_ticket other;

		err = store_upload_commit(up, bytes_of("s"), &target, 1, &t);
		T_EQ(rig_stage(alerts, turns, 300, 10, &to, &other), OK);
		(void)store_maintain(st);
		rig_commit();
	}
	T_EQ(err, OK);
	evict.rules_n = 0;
	store_close(st);
}

/* A flood that stages something in every turn does not keep old mail from going
 * before the store is full. */
T_TEST(a_busy_mailbox_is_evicted_from)
{
	uint32_t inbox;
	struct store_target target;
	store_ticket t;

	start(&rig_config);
	inbox = make(1, "INBOX", 0);
	(void)fill(inbox, 85);
	set(true);
	for (unsigned i = 0; i < 300; i++) {
		T_EQ(rig_stage(inbox, i, 2000, 0, &target, &t), OK);
		(void)rig_turn();
		T_OK(live() <= part(95));
	}
	store_close(st);
}

/* A copy that began while mail was going keeps its messages, and nobody waits
 * for anybody. */
static void copy_meanwhile(bool into)
{
	struct store_entry e;
	struct store_copy c;
	uint32_t inbox, other, n, uids[64];
	store_ticket t;
	size_t added;
	unsigned turns = 0;

	start(&rig_config);
	inbox = make(1, "INBOX", 0);
	other = make(1, "Other", 0);
	n = fill(inbox, 89);
	T_OK(n > 200);
	evict.low = 20;
	set(true);
	store_evict_now(st);
	while (messages(inbox) == n) {
		T_OK(turns++ < 20000);
		(void)rig_turn();
	}
	while (store_copy_begin(st, into ? inbox : other, &c) == E_AGAIN)
		rig_commit();
	for (uint32_t i = 0; i < 64; i++)
		uids[i] = 100 + i;
	if (!into) {
		T_EQ(store_copy_add(st, &c, inbox, uids, 64, &added, &t), OK);
		T_EQ(added, 64);
	}
	for (turns = 0; store_evict_running(st); turns++) {
		T_OK(turns < 20000);
		(void)rig_turn();
	}
	for (uint32_t i = 0; i < 64; i++)
		T_EQ(store_entry_get(st, inbox, uids[i], &e), OK);
	T_EQ(store_copy_publish(st, &c, &t), OK);
	rig_commit();
	if (!into)
		T_EQ(messages(other), 64);
	evict.low = 75;
	store_close(st);
}

T_TEST(a_copy_keeps_its_sources)
{
	copy_meanwhile(false);
}

T_TEST(a_copy_keeps_its_target)
{
	copy_meanwhile(true);
}

/* Other settings hold at once, for what is being carried out too. */
T_TEST(new_settings_end_a_run)
{
	uint32_t inbox, sent, n, kept;
	unsigned turns = 0;

	start(&rig_config);
	inbox = make(1, "INBOX", 0);
	sent = make(1, "Sent", STORE_USE_SENT);
	(void)fill(sent, 40);
	n = fill(inbox, 89);
	kept = messages(sent);
	evict.low = 60;
	set(true);
	store_evict_now(st);
	while (messages(inbox) == n) {
		T_OK(turns++ < 20000);
		(void)rig_turn();
	}
	evict.order[4] = STORE_CLASS_SENT;
	set(true);
	n = messages(inbox);
	(void)rig_upkeep(100000);
	T_EQ(messages(sent), kept);
	T_OK(messages(inbox) + 32 >= n);
	evict.order[4] = STORE_CLASS_UNSEEN;
	evict.low = 75;
	store_close(st);
}

T_MAIN(T_RUN(room_is_made_once) T_RUN(who_asks_makes_a_difference) T_RUN(a_share_is_cut_by_the_order) T_RUN(
	a_share_counts_before_anything_goes) T_RUN(a_preview_knows_the_shares) T_RUN(a_preview_shows_what_is_needed)
		T_RUN(rules_leave_others_their_turn) T_RUN(a_busy_mailbox_is_evicted_from)
			T_RUN(a_copy_keeps_its_sources) T_RUN(a_copy_keeps_its_target) T_RUN(new_settings_end_a_run))
