/* Eviction against a model that keeps a list of all messages, which the store
 * must not. */
#include "store_rig.h"

#include "store/evict.h"

#define MESSAGES 20000

static struct message {
	uint32_t mailbox, uid;
	uint64_t live; /* bytes of the store's capacity that it takes */
	uint64_t arrival;
	unsigned rank; /* in the order; 99: stays */
	bool there;
} model[MESSAGES];
static size_t model_n;

static struct store_evict_config evict = {
	.on = true,
	.high = 90,
	.low = 75,
	.order = { STORE_CLASS_DELETED, STORE_CLASS_JUNK, STORE_CLASS_TRASH, STORE_CLASS_RING, STORE_CLASS_SEEN,
		STORE_CLASS_UNSEEN },
	.order_n = 6,
};

static uint64_t live(void)
{
	struct store_status s;

	store_status(st, &s);
	return s.live;
}

static uint32_t make(uint32_t owner, const char *name, uint8_t uses)
{
	store_ticket t;
	uint32_t id;

	T_EQ(store_mailbox_create(st, owner, bytes_of(name), uses, &id, &t), OK);
	rig_commit();
	return id;
}

static struct message *add(uint32_t mailbox, size_t size, unsigned rank)
{
	struct message *m = &model[model_n];
	uint64_t before = live();
	struct store_entry e;

	*m = (struct message){ .mailbox = mailbox, .rank = rank, .there = true };
	m->uid = rig_add(mailbox, (uint32_t)model_n++, size);
	m->live = live() - before;
	T_EQ(store_entry_get(st, mailbox, m->uid, &e), OK);
	m->arrival = e.arrival;
	return m;
}

static void flag(const struct message *m, uint8_t flags)
{
	struct store_flag_change change = { .op = STORE_FLAGS_ADD, .flags = flags };
	store_ticket t;
	uint64_t modseq;

	T_EQ(store_flags(st, m->mailbox, &m->uid, 1, &change, &modseq, &t), OK);
	rig_commit();
}

/* After upkeep: who is gone, and whether these are the right ones. With a list
 * that is simple: nobody is gone who comes later in the order than somebody who
 * is there; what is there is below the high mark, and when the store has just let
 * mail go, the last one of it was needed to come down to the low mark. */
static void model_pressure(void)
{
	const struct message *last_gone = NULL, *first_there = NULL;
	struct store_status s;

	for (size_t i = 0; i < model_n; i++) {
		struct message *m = &model[i];
		struct store_entry e;
		bool there = store_entry_get(st, m->mailbox, m->uid, &e) == OK;

		if (there && !m->there)
			T_FAIL("message %zu is there again", i);
		if (!there && m->rank == 99)
			T_FAIL("message %zu is gone and had to stay", i);
		if (m->there && !there &&
			(!last_gone || m->rank > last_gone->rank ||
				(m->rank == last_gone->rank && m->arrival > last_gone->arrival)))
			last_gone = m;
		m->there = there;
		if (there && m->rank < 99 &&
			(!first_there || m->rank < first_there->rank ||
				(m->rank == first_there->rank && m->arrival < first_there->arrival)))
			first_there = m;
	}
	if (last_gone && first_there &&
		(last_gone->rank > first_there->rank ||
			(last_gone->rank == first_there->rank && last_gone->arrival > first_there->arrival)))
		T_FAIL("message %zu is gone before message %zu", (size_t)(last_gone - model),
			(size_t)(first_there - model));
	store_status(st, &s);
	T_OK(s.live <= s.capacity / 100 * evict.high);
	if (last_gone)
		T_OK(s.live + 310000 > s.capacity / 100 * evict.low);
}

static void compare(void)
{
	for (size_t i = 0; i < model_n; i++) {
		struct store_entry e;
		bool there = store_entry_get(st, model[i].mailbox, model[i].uid, &e) == OK;

		if (there != model[i].there)
			T_FAIL("message %zu, rank %u: %s", i, model[i].rank, there ? "is there" : "is gone");
	}
}

static void start(void)
{
	rig_start(&rig_config);
	store_evict_configure(st, &evict);
	model_n = 0;
}

/* Ten times the store's size goes in, nothing is refused, and what is left is
 * what the model says after every message. */
T_TEST(a_flood_leaves_the_newest)
{
	uint32_t inbox, junk;
	uint64_t bytes = 0;
	struct store_status s;

	start();
	inbox = make(1, "INBOX", 0);
	junk = make(1, "Junk", STORE_USE_JUNK);
	for (uint32_t i = 0; bytes < 10 * rig_config.storage; i++) {
		size_t size = i % 50 == 7 ? 300000 : 500 + i * 7919 % 30000;
		bool spam = i % 5 == 0;

		(void)add(spam ? junk : inbox, size, spam ? 1 : 5);
		bytes += size;
		(void)rig_upkeep(100000);
		model_pressure();
		store_status(st, &s);
		T_OK(s.allocated <= s.storage);
	}
	store_close(st);
}

/* Small messages that come one by one have a block each. Before any of them goes
 * they are packed; what bounds them then is the index, which counts as storage
 * does. */
T_TEST(small_messages_are_packed_first)
{
	struct store_config config = rig_config;
	struct store_status s;
	uint32_t inbox, n;

	config.storage = 16u << 20;
	rig_start(&config);
	store_evict_configure(st, &evict);
	inbox = make(1, "INBOX", 0);
	for (uint32_t i = 0; i < 12000; i++) {
		(void)rig_add(inbox, i, 40);
		(void)rig_turn();
	}
	(void)rig_upkeep(100000);
	store_status(st, &s);
	n = store_rank(st, inbox, UINT32_MAX);
	T_OK(n > s.capacity / 4096 * 3 / 2);
	T_OK(rig_good(inbox, 12000, 11999, 40));
	T_OK(rig_good(inbox, 12001 - n, 12000 - n, 40));
	store_close(st);
}

/* A message larger than what the marks leave makes its room as it comes. */
T_TEST(a_large_message_makes_its_room)
{
	struct store_target target = { 0 };
	struct store_upload *up;
	static uint8_t piece[4096];
	struct store_status s;
	store_ticket t;
	uint32_t inbox;
	int err = OK;

	start();
	inbox = make(1, "INBOX", 0);
	for (uint32_t i = 0; i < 600; i++) {
		(void)rig_add(inbox, i, 8000);
		(void)rig_upkeep(100000);
	}
	while ((err = store_room(st, 1, 1u << 20)) == E_AGAIN)
		(void)rig_turn();
	T_EQ(err, OK);
	/* Until its bytes come nothing goes for it. */
	T_OK(store_rank(st, inbox, UINT32_MAX) > 200);
	T_EQ(store_upload_begin(st, 1u << 20, &up), OK);
	for (unsigned i = 0; i < 256; i++) {
		while ((err = store_upload_ready(up, 1, sizeof piece)) == E_AGAIN)
			(void)rig_turn();
		T_EQ(err, OK);
		T_EQ(store_upload_write(up, piece, sizeof piece), OK);
		store_status(st, &s);
		T_OK(s.allocated <= s.storage);
	}
	target.mailbox = inbox;
	while ((err = store_upload_commit(up, bytes_of("s"), &target, 1, &t)) == E_AGAIN)
		(void)rig_turn();
	T_EQ(err, OK);
	rig_commit();
	T_EQ(store_ticket_result(st, t), OK);
	store_close(st);
}

T_TEST(what_is_guarded_stays)
{
	uint32_t inbox, drafts, kept, trash;
	static const struct store_rule rules[] = { { "Contracts", STORE_RULE_KEEP, 0 } };
	store_ticket t;
	unsigned bit;
	struct store_flag_change change = { .op = STORE_FLAGS_ADD };
	uint64_t modseq;
	struct message *m;

	start();
	evict.rules = rules;
	evict.rules_n = 1;
	store_evict_configure(st, &evict);
	inbox = make(1, "INBOX", 0);
	drafts = make(1, "Drafts", STORE_USE_DRAFTS);
	kept = make(1, "Contracts/2020", 0);
	trash = make(1, "Trash", STORE_USE_TRASH);
	flag(add(inbox, 5000, 99), STORE_FLAGGED);
	flag(add(trash, 5000, 99), STORE_FLAGGED);
	(void)add(drafts, 5000, 99);
	flag(add(inbox, 5000, 99), STORE_DRAFT);
	(void)add(kept, 5000, 99);
	m = add(inbox, 5000, 99);
	T_EQ(store_keyword(st, inbox, bytes_of("$keep"), true, &bit), OK);
	rig_commit();
	change.keywords = UINT64_C(1) << bit;
	T_EQ(store_flags(st, inbox, &m->uid, 1, &change, &modseq, &t), OK);
	rig_commit();
	for (unsigned i = 0; i < 900; i++) {
		(void)add(i % 3 ? inbox : trash, 8000, i % 3 ? 5 : 2);
		(void)rig_upkeep(100000);
		model_pressure();
	}
	evict.rules_n = 0;
	store_close(st);
}

/* Box time, not the wall clock: what is new stays, and when nothing else is
 * there, mail is refused and nothing goes. */
T_TEST(the_new_is_protected)
{
	struct store_target target;
	uint32_t inbox;
	store_ticket t;
	uint64_t before;
	unsigned n = 0;

	start();
	evict.protect = 86400;
	store_evict_configure(st, &evict);
	inbox = make(1, "INBOX", 0);
	while (n < 2000) {
		int err = rig_stage(inbox, n, 8000, 1000, &target, &t);

		if (err != OK) {
			T_EQ(err, E_FULL);
			break;
		}
		rig_commit();
		n++;
	}
	T_OK(n > 100 && n < 2000);
	T_EQ(store_rank(st, inbox, UINT32_MAX), n);
	before = live();
	sim_advance_us(UINT64_C(86400) * 1000000);
	(void)rig_upkeep(100000);
	T_OK(live() < before);
	T_EQ(rig_stage(inbox, n, 8000, 1000, &target, &t), OK);
	evict.protect = 0;
	store_close(st);
}

static void copy(const struct message *m, uint32_t target)
{
	struct store_copy c;
	store_ticket t;
	size_t added;
	int err;

	while ((err = store_copy_begin(st, target, &c)) == E_AGAIN)
		(void)rig_turn();
	T_EQ(err, OK);
	T_EQ(store_copy_add(st, &c, m->mailbox, &m->uid, 1, &added, &t), OK);
	T_EQ(store_copy_publish(st, &c, &t), OK);
	rig_commit();
	T_EQ(added, 1);
}

/* A message that is shown twice makes room only when both go. */
T_TEST(a_shared_message_goes_whole_or_not)
{
	struct store_entry e;
	uint32_t inbox, archive, junk;
	struct message *guarded, *free;

	start();
	inbox = make(1, "INBOX", 0);
	junk = make(1, "Junk", STORE_USE_JUNK);
	archive = make(1, "Archive", STORE_USE_ARCHIVE);
	guarded = add(junk, 40000, 99);
	copy(guarded, archive);
	free = add(junk, 40000, 1);
	copy(free, inbox);
	for (unsigned i = 0; i < 600; i++) {
		(void)rig_add(inbox, 7, 8000);
		(void)rig_upkeep(100000);
	}
	T_EQ(store_entry_get(st, junk, guarded->uid, &e), OK);
	T_EQ(store_entry_get(st, archive, 1, &e), OK);
	T_EQ(store_entry_get(st, junk, free->uid, &e), E_NOENT);
	T_EQ(store_entry_get(st, inbox, 1, &e), E_NOENT);
	store_close(st);
}

T_TEST(rules_turn_a_mailbox_over)
{
	static const struct store_rule rules[] = { { "Alerts", STORE_RULE_COUNT, 10 },
		{ "Cam", STORE_RULE_BYTES, 50000 }, { "Log", STORE_RULE_AGE, 3600 } };
	struct store_mailbox box;
	uint32_t alerts, cam, logs;
	struct message *starred;
	struct store_entry e;

	start();
	evict.rules = rules;
	evict.rules_n = 3;
	evict.protect = 86400;
	store_evict_configure(st, &evict);
	alerts = make(1, "Alerts", 0);
	cam = make(1, "Cam/door", 0);
	logs = make(1, "Log", 0);
	starred = add(alerts, 100, 99);
	flag(starred, STORE_FLAGGED);
	for (unsigned i = 0; i < 100; i++) {
		(void)rig_add(alerts, i, 500);
		(void)rig_add(cam, i, 8000);
		(void)rig_add(logs, i, 300);
		(void)rig_upkeep(100000);
		T_EQ(store_mailbox_get(st, alerts, &box), OK);
		T_OK(box.messages <= 10);
		T_EQ(store_mailbox_get(st, cam, &box), OK);
		T_OK(box.size <= 50000 && (i < 10 || box.messages == 6));
	}
	T_EQ(store_entry_get(st, alerts, starred->uid, &e), OK);
	T_EQ(store_entry_get(st, alerts, 101, &e), OK);
	T_EQ(store_mailbox_get(st, logs, &box), OK);
	T_EQ(box.messages, 100);
	sim_advance_us(UINT64_C(3601) * 1000000);
	(void)rig_upkeep(100000);
	T_EQ(store_mailbox_get(st, logs, &box), OK);
	T_EQ(box.messages, 0);
	evict.rules_n = 0;
	evict.protect = 0;
	store_close(st);
}

/* The preview names what goes; what changes meanwhile stays, what comes
 * meanwhile is not touched. */
T_TEST(a_plan_is_carried_out_as_it_was_shown)
{
	static bool goes[MESSAGES];
	struct store_evict_preview p;
	struct store_evict_item item;
	uint32_t inbox, spared = 0;
	uint64_t n = 0;
	int err;

	start();
	inbox = make(1, "INBOX", 0);
	for (unsigned i = 0; i < 200; i++)
		(void)add(inbox, 8000, 5);
	memset(goes, 0, sizeof goes);
	store_evict_preview_begin(st, 0);
	while ((err = store_evict_preview_next(st, &item)) != E_NOENT) {
		if (err == OK && item.goes) {
			goes[item.entry.uid] = true;
			n++;
		}
	}
	store_evict_preview_get(st, &p);
	T_OK(p.enough && n > 10 && p.messages == n && goes[1] && !goes[200]);
	flag(&model[3], STORE_FLAGGED);
	flag(&model[4], STORE_SEEN);
	spared = 2;
	for (unsigned i = 0; i < 5; i++)
		(void)add(inbox, 100, 5);
	T_EQ(store_evict_plan(st, p.id + 1), E_NOENT);
	T_EQ(store_evict_plan(st, p.id), OK);
	(void)rig_upkeep(100000);
	for (size_t i = 0; i < model_n; i++)
		model[i].there = !goes[model[i].uid] || i == 3 || i == 4;
	compare();
	T_EQ(store_rank(st, inbox, UINT32_MAX), 205 - n + spared);
	T_EQ(store_evict_plan(st, p.id), E_NOENT);
	store_close(st);
}

static size_t describe(void *context, uint64_t object, char out[STORE_AUDIT_TEXT])
{
	(void)context;
	(void)object;
	memcpy(out, "a@b\nhello", 9);
	return 9;
}

T_TEST(the_audit_tells_and_is_bounded)
{
	struct store_evicted a;
	struct store_evict_status status;
	uint32_t inbox, last = 0, n = 0;
	uint64_t after = 0;

	start();
	evict.describe = describe;
	store_evict_configure(st, &evict);
	inbox = make(1, "INBOX", 0);
	for (unsigned i = 0; i < 2000; i++) {
		(void)rig_add(inbox, i, 8000);
		(void)rig_upkeep(100000);
	}
	store_close(st);
	rig_again(&rig_config);
	store_evict_configure(st, &evict);
	store_evict_status(st, &status);
	T_OK(status.life_messages > 1000 && status.messages == 0);
	while (store_evicted_next(st, after, &a) == OK) {
		T_OK(a.number > after && a.uid > last);
		T_EQ(a.mailbox, inbox);
		T_EQ(a.owner, 1);
		T_EQ(a.size, 8000);
		T_EQ(a.class, STORE_CLASS_UNSEEN);
		T_OK(a.text_len == 9 && memcmp(a.text, "a@b\nhello", 9) == 0);
		after = a.number;
		last = a.uid;
		n++;
	}
	T_EQ(n, 256);
	evict.describe = NULL;
	store_close(st);
}

/* What went stays gone after a cut, and the audit says the same. */
T_TEST(an_eviction_survives_a_cut)
{
	struct store_evict_status before, after;
	uint32_t inbox;

	start();
	inbox = make(1, "INBOX", 0);
	for (unsigned i = 0; i < 700; i++) {
		(void)add(inbox, 8000, 5);
		(void)rig_upkeep(100000);
		model_pressure();
	}
	store_evict_status(st, &before);
	T_OK(before.messages > 100);
	sim_power_cut(&sim_lose_all);
	rig_again(&rig_config);
	store_evict_configure(st, &evict);
	store_evict_status(st, &after);
	T_EQ(after.life_messages, before.messages);
	compare();
	store_close(st);
}

/* Who has no more than his share loses nothing for somebody else's mail. */
T_TEST(nobody_is_pushed_below_his_share)
{
	struct store_mailbox box;
	uint32_t small, flood;

	start();
	small = make(1, "INBOX", 0);
	flood = make(2, "INBOX", 0);
	for (unsigned i = 0; i < 60; i++)
		(void)rig_add(small, i, 8000);
	for (unsigned i = 0; i < 1500; i++) {
		(void)rig_add(flood, i, 8000);
		(void)rig_upkeep(100000);
	}
	T_EQ(store_mailbox_get(st, small, &box), OK);
	T_EQ(box.messages, 60);
	store_close(st);
}

/* More users above their share than a plan looks at: mail of whoever it is comes in
 * without a refusal, the store stays below its mark by few runs, and who has no more
 * than his share keeps it. */
T_TEST(forty_users_fill_it_together)
{
	enum { USERS = 40, SMALL = 5 };
	struct store_config config = rig_config;
	struct store_evict_status status;
	struct store_status s;
	struct store_mailbox box;
	uint32_t inbox[USERS], least = UINT32_MAX, most = 0;
	unsigned n = 0;

	config.storage = 16u << 20;
	rig_start(&config);
	store_evict_configure(st, &evict);
	for (unsigned u = 0; u < USERS; u++)
		inbox[u] = make(u + 1, "INBOX", 0);
	for (unsigned u = 0; u < SMALL; u++)
		for (unsigned i = 0; i < 10; i++)
			(void)rig_add(inbox[u], i, 8000);
	for (; n < 8000; n++) {
		unsigned u = SMALL + n * 3 % (USERS - SMALL);
		unsigned tries = 0;
		int err;

		while ((err = store_room(st, u + 1, 8000)) == E_AGAIN && ++tries < 100000)
			(void)rig_turn();
		T_EQ(err, OK);
		(void)rig_add(inbox[u], n, 8000);
		(void)rig_upkeep(100000);
		store_status(st, &s);
		T_OK(s.live <= s.capacity / 100 * (evict.high + 1));
	}
	for (unsigned u = 0; u < USERS; u++) {
		T_EQ(store_mailbox_get(st, inbox[u], &box), OK);
		if (u < SMALL) {
			T_EQ(box.messages, 10);
			continue;
		}
		least = box.messages < least ? box.messages : least;
		most = box.messages > most ? box.messages : most;
	}
	T_OK(most <= least * 3 / 2 + 2);
	store_evict_status(st, &status);
	T_EQ(status.refused, 0);
	/* a run goes on to the low mark, or to the shares of those it looks at */
	T_OK(status.runs * 50 < status.messages);
	store_close(st);
}

T_MAIN(T_RUN(a_flood_leaves_the_newest) T_RUN(small_messages_are_packed_first) T_RUN(a_large_message_makes_its_room)
		T_RUN(what_is_guarded_stays) T_RUN(the_new_is_protected) T_RUN(a_shared_message_goes_whole_or_not)
			T_RUN(rules_turn_a_mailbox_over) T_RUN(a_plan_is_carried_out_as_it_was_shown)
				T_RUN(the_audit_tells_and_is_bounded) T_RUN(an_eviction_survives_a_cut)
					T_RUN(nobody_is_pushed_below_his_share) T_RUN(forty_users_fill_it_together))
