/* Names and moves that must not tie knots. */
#include "store/store.h"

#include "base/err.h"
#include "port/sim/sim.h"
#include "t.h"

static uint8_t space[4 << 20];
static struct store *st;

static void commit(void)
{
	T_EQ(store_commit_start(st), OK);
	T_EQ(store_commit_done(st), OK);
}

static void start(void)
{
	static const struct store_config config = { .dir = "mail",
		.storage = 8u << 20,
		.message_max = 1u << 20,
		.flag_delay_ms = 5000,
		.cache_pages = 48,
		.log_buffer = 128u << 10,
		.upload_bytes = 64u << 10,
		.uploads = 4,
		.allow_volatile = true };
	struct arena arena;

	sim_reset(1);
	arena_init(&arena, space, sizeof space);
	T_EQ(store_open(&st, &arena, &config, NULL, 0), OK);
}

static uint32_t make(const char *name)
{
	store_ticket t;
	uint32_t id;

	T_EQ(store_mailbox_create(st, 1, bytes_of(name), 0, &id, &t), OK);
	commit();
	return id;
}

static void add(uint32_t mailbox, size_t n)
{
	while (n--) {
		struct store_target target = { .mailbox = mailbox };
		struct store_upload *up;
		store_ticket t;

		T_EQ(store_upload_begin(st, 5, &up), OK);
		T_EQ(store_upload_write(up, "hello", 5), OK);
		T_EQ(store_upload_commit(up, bytes_of(""), &target, 1, &t), OK);
		commit();
	}
}

static void name_is(uint32_t id, const char *expected)
{
	char name[LIMIT_MAILBOX_NAME];

	T_BYTES(name, store_mailbox_name(st, id, name), expected);
}

/* The missing parent must not hide that the new place is inside. */
T_TEST(a_mailbox_never_goes_below_itself)
{
	uint32_t a, b;
	store_ticket t;

	start();
	a = make("a");
	b = make("a/b");
	T_EQ(store_mailbox_rename(st, a, bytes_of("a/b"), &t), E_EXIST);
	T_EQ(store_mailbox_rename(st, a, bytes_of("a/b/c"), &t), E_RANGE);
	T_EQ(store_mailbox_rename(st, a, bytes_of("a/new/c"), &t), E_RANGE);
	T_EQ(store_mailbox_rename(st, a, bytes_of("a/b/new/c/d"), &t), E_RANGE);
	T_EQ(store_mailbox_rename(st, a, bytes_of("x/new/c"), &t), OK);
	commit();
	name_is(b, "x/new/c/b");
}

/* RFC 3501 6.3.5: a new INBOX stays, its children stay with it. */
T_TEST(inbox_may_go_below_the_new_inbox)
{
	uint32_t inbox, child, id, above;
	struct store_mailbox m;
	store_ticket t;

	start();
	inbox = make("INBOX");
	child = make("INBOX/child");
	add(inbox, 3);
	T_EQ(store_mailbox_rename(st, inbox, bytes_of("INBOX/old/2024"), &t), OK);
	commit();
	name_is(inbox, "INBOX/old/2024");
	name_is(child, "INBOX/child");
	T_EQ(store_mailbox_find(st, 1, bytes_of("INBOX/old/2024"), &id), OK);
	T_EQ(id, inbox);
	T_EQ(store_mailbox_get(st, inbox, &m), OK);
	T_EQ(m.messages, 3);
	T_EQ(store_mailbox_find(st, 1, bytes_of("INBOX"), &id), OK);
	T_OK(id != inbox);
	T_EQ(store_mailbox_get(st, id, &m), OK);
	T_EQ(m.messages, 0);
	T_OK(m.has_children);
	T_EQ(store_mailbox_find(st, 1, bytes_of("INBOX/old"), &above), OK);
	T_EQ(store_mailbox_get(st, above, &m), OK);
	T_EQ(m.parent, id);
	/* and it can be taken apart again */
	T_EQ(store_mailbox_delete(st, inbox, &t), OK);
	commit();
	T_EQ(store_mailbox_delete(st, above, &t), OK);
	commit();
	T_EQ(store_mailbox_delete(st, child, &t), OK);
	commit();
	T_EQ(store_mailbox_get(st, id, &m), OK);
	T_OK(!m.has_children);
}

/* RFC 6851 allows it: the messages get new UIDs. */
T_TEST(a_move_into_the_same_mailbox_counts_right)
{
	uint32_t box, uids[] = { 1, 3 }, first;
	struct store_mailbox m;
	struct store_entry e;
	store_ticket t;

	start();
	box = make("box");
	add(box, 4);
	T_EQ(store_move(st, box, box, uids, 2, &first, &t), OK);
	T_EQ(first, 5);
	commit();
	T_EQ(store_mailbox_get(st, box, &m), OK);
	T_EQ(m.messages, 4);
	T_EQ(m.unseen, 4);
	T_EQ(m.size, 20);
	T_EQ(m.uidnext, 7);
	T_EQ(store_entry_get(st, box, 1, &e), E_NOENT);
	T_EQ(store_entry_get(st, box, 6, &e), OK);
	T_EQ(e.modseq, m.modseq);
	T_EQ(store_rank(st, box, UINT32_MAX), 4);
}

T_MAIN(T_RUN(a_mailbox_never_goes_below_itself) T_RUN(inbox_may_go_below_the_new_inbox)
		T_RUN(a_move_into_the_same_mailbox_counts_right))
