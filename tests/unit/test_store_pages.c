/* Pages of the tree that verify and yet make no sense: an old page in a slot
 * whose last write was lost, or one that somebody built on purpose. The store
 * says that it is damaged; it does not crash and does not go round in circles. */
#include "store_rig.h"

#include "base/crc32c.h"
#include "base/le.h"
#include "tree/page.h"

#define SLOT_AT(slot) ((2 + (uint64_t)(slot)) * PAGE_SIZE)

static uint32_t seed;

static void read_page(uint32_t slot, uint8_t *page)
{
	port_file f = port_open("mail/index", PORT_READ);

	T_EQ(port_read(f, SLOT_AT(slot), page, PAGE_SIZE), PAGE_SIZE);
	port_close(f);
}

/* With a checksum that is right. */
static void write_page(uint32_t slot, uint8_t *page)
{
	port_file f = port_open("mail/index", PORT_READ | PORT_WRITE);

	put_le32(page + 8, slot);
	put_le32(page + 12, 0);
	put_le32(page + 12, crc32c(seed ^ slot, page, PAGE_SIZE));
	T_EQ(port_write(f, SLOT_AT(slot), page, PAGE_SIZE), OK);
	T_EQ(port_sync(f), OK);
	port_close(f);
}

/* A closed store with some levels of tree; returns the slot of its root. */
static uint32_t make_tree(uint32_t *inbox)
{
	struct store_status s;
	uint8_t super[256];
	port_file f;

	rig_start(&rig_config);
	*inbox = rig_mailbox("INBOX");
	for (uint32_t i = 0; i < 600; i++)
		(void)rig_add(*inbox, i, 10);
	for (uint32_t uid = 1; uid <= 120; uid++) {
		struct store_flag_change change = { .op = STORE_FLAGS_ADD, .flags = STORE_SEEN, .lazy = true };
		uint64_t modseq;
		store_ticket t;

		T_EQ(store_flags(st, *inbox, &uid, 1, &change, &modseq, &t), OK);
	}
	store_close(st);
	rig_again(&rig_config);
	store_status(st, &s);
	store_close(st);
	f = port_open((s.checkpoint + 1) & 1 ? "mail/super.1" : "mail/super.0", PORT_READ);
	T_EQ(port_read(f, 0, super, sizeof super), (int)sizeof super);
	port_close(f);
	seed = le32(super + 24);
	return le32(super + 156);
}

static void try_everything(uint32_t inbox)
{
	struct store_cursor c;
	struct store_entry e;
	uint32_t uid = 0, first, last, uids[STORE_UIDS];
	uint64_t modseq, cursor = 0;
	store_ticket t;
	struct store_flag_change change = { .op = STORE_FLAGS_ADD, .flags = STORE_SEEN };

	for (uint32_t i = 0; i < STORE_UIDS; i++)
		uids[i] = 100 + i;
	(void)store_first_unseen(st, inbox);
	store_cursor_init(&c, inbox, 0);
	(void)store_cursor_changed(st, &c, 1, &e);
	store_cursor_init(&c, inbox, 0);
	for (int i = 0; i < 2000 && store_cursor_next(st, &c, &e) == OK; i++)
		;
	for (int i = 0; i < 50 && store_vanished_next(st, inbox, 1, &uid, &first, &last) != E_NOENT; i++)
		;
	(void)store_rank(st, inbox, 300);
	(void)store_entry_at(st, inbox, 300, &e);
	(void)store_flags(st, inbox, uids, STORE_UIDS, &change, &modseq, &t);
	(void)store_expunge(st, inbox, uids, STORE_UIDS, &modseq, &t);
	if (store_commit_start(st) == OK)
		(void)store_commit_done(st);
	for (int i = 0; i < 100 && store_maintain(st) == E_AGAIN; i++)
		if (store_wants_commit(st) && store_commit_start(st) == OK)
			(void)store_commit_done(st);
	(void)cursor;
}

static void try_store(uint32_t inbox)
{
	if (rig_open(&rig_config) != OK)
		return;
	try_everything(inbox);
	store_close(st);
}

/* Children that are their own parent. */
T_TEST(circles)
{
	uint8_t page[PAGE_SIZE];
	uint32_t inbox, root = make_tree(&inbox);

	read_page(root, page);
	T_OK(page_level(page) > 0);
	/* Entries come first; the mailboxes behind them stay, or it is not even opened. */
	for (unsigned i = 3; i < page_count(page) && branch_key(page, i).hi >> 56 == 1; i++)
		branch_set_child(page, i, root);
	write_page(root, page);
	T_EQ(rig_open(&rig_config), OK);
	try_everything(inbox);
	store_close(st);
	for (unsigned i = 0; i < page_count(page); i++)
		branch_set_child(page, i, root);
	write_page(root, page);
	try_store(inbox);
}

/* All children are one page. */
T_TEST(twins)
{
	uint8_t page[PAGE_SIZE];
	uint32_t inbox, root = make_tree(&inbox);

	read_page(root, page);
	for (unsigned i = 1; i < page_count(page) && branch_key(page, i).hi >> 56 == 1; i++)
		branch_set_child(page, i, branch_child(page, 0));
	write_page(root, page);
	T_EQ(rig_open(&rig_config), OK);
	try_everything(inbox);
	store_close(st);
}

/* An only child that is the page itself. */
T_TEST(only_child)
{
	uint8_t page[PAGE_SIZE];
	uint32_t inbox, root = make_tree(&inbox);
	struct page_sums none = { 0, 0, 0, 0 };

	page_init(page, 1);
	branch_insert(page, 0, (struct key){ 0, 0 }, root, &none);
	write_page(root, page);
	try_store(inbox);
}

/* Cells that lie on one another: together they are larger than a page. */
T_TEST(overlapping_cells)
{
	uint8_t page[PAGE_SIZE], value[800] = { 0 };

	page_init(page, 0);
	T_OK(page_insert(page, 0, (struct key){ 1, 1 }, bytes_make(value, sizeof value)));
	T_OK(page_sane(page));
	for (unsigned i = 1; i < 50; i++)
		memcpy(page + PAGE_HEADER + 2 * i, page + PAGE_HEADER, 2);
	put_le16(page + 6, 50);
	T_OK(!page_sane(page));
}

T_TEST(wrong_holes)
{
	uint8_t page[PAGE_SIZE], value[100] = { 0 };

	page_init(page, 0);
	for (unsigned i = 0; i < 20; i++)
		T_OK(page_insert(page, i, (struct key){ 1, i }, bytes_make(value, sizeof value)));
	page_remove(page, 7);
	page_remove(page, 3);
	page_remove(page, 17);
	T_OK(page_sane(page));
	put_le16(page + 34, 3000);
	T_OK(!page_sane(page));
	put_le16(page + 34, 0);
	T_OK(!page_sane(page));
}

/* A value longer than any that is put in. */
T_TEST(long_value)
{
	uint8_t page[PAGE_SIZE], value[PAGE_VALUE_MAX] = { 0 };

	page_init(page, 0);
	T_OK(page_insert(page, 0, (struct key){ 1, 1 }, bytes_make(value, sizeof value)));
	put_le16(page + 32, (uint16_t)(le16(page + 32) - 100));
	memmove(page + le16(page + 32), page + le16(page + 32) + 100, 18);
	put_le16(page + PAGE_HEADER, le16(page + 32));
	put_le16(page + le16(page + 32) + 16, PAGE_VALUE_MAX + 100);
	T_OK(!page_sane(page));
}

T_MAIN(T_RUN(circles) T_RUN(twins) T_RUN(only_child) T_RUN(overlapping_cells) T_RUN(wrong_holes) T_RUN(long_value))
