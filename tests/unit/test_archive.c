/* Copying mail to another disk before it goes: names, what is there after a cut,
 * and a disk that is not there, full, or taken away. */
#include "control/archive.h"

#include "control/archive_name.h"
#include "control/eviction.h"
#include "control/intake.h"
#include "tests/unit/mail_box.h"

enum { ANNA = 1, BERT = 2, CHEF = 3 };

#define DIR "/usb/old"
#define ROOM (UINT64_C(1) << 30)

static struct archive *archive;
static struct notices *notices;
static uint8_t scratch[LIMIT_SLICE_BYTES];
static const char *store_dir = "mail";
static char text[300000];

static void open_archive(bool required)
{
	struct notices_config told = { box_st, box_accounts, box_arrivals, "box.home.arpa", NOTICE_ENGLISH };
	struct archive_config config = { box_st, box_accounts, NULL, DIR, store_dir, required, false, scratch };

	T_EQ(notices_init(&notices, &box_arena, &told), OK);
	config.notices = notices;
	T_EQ(archive_init(&archive, &box_arena, &config), OK);
}

static void sink(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

static void start(bool required)
{
	log_init(sink, LOG_NOTICE);
	box_start(1, SIM_CHUNKS_WHOLE);
	T_EQ(port_mkdir("/usb"), OK);
	T_EQ(port_sync_dir("/"), OK);
	sim_mounted("/usb", ROOM);
	open_archive(required);
}

/* Mail with those flags and keywords: its mailbox and entry. */
static void add(const char *mailbox, struct bytes body, uint8_t flags, const char *keywords, struct store_mailbox *m,
	struct store_entry *e)
{
	const struct intake_place place = { box_st, box_accounts, box_arrivals };
	const struct intake_request request = { .user = bytes_of("anna"),
		.mailbox = bytes_of(mailbox),
		.create = true,
		.flags = flags,
		.keywords = bytes_of(keywords),
		.received = { 1696789012, 540 } };
	struct intake k;
	uint32_t id;
	int err;

	intake_init(&k, &place);
	while ((err = intake_begin(&k, &request)) == E_AGAIN)
		turns(1);
	T_EQ(err, OK);
	T_EQ(intake_write(&k, body.data, body.len), OK);
	while ((err = intake_end(&k)) == E_AGAIN)
		turns(1);
	T_EQ(err, OK);
	turns(4);
	T_EQ(store_mailbox_find(box_st, ANNA, bytes_of(mailbox), &id), OK);
	T_EQ(store_mailbox_get(box_st, id, m), OK);
	T_EQ(store_entry_at(box_st, id, m->messages, e), OK);
}

static int copy(const struct store_mailbox *m, const struct store_entry *e)
{
	int err;

	for (unsigned i = 0; (err = archive_message(archive, m, e)) == E_AGAIN; i++)
		if (i == 1000)
			T_FAIL("copying finds no end");
	return err;
}

/* ---- what is on the disk ---- */

static char found[300];
static unsigned found_n;

static bool each(void *context, const char *name)
{
	(void)context;
	snprintf(found, sizeof found, "%s", name);
	found_n++;
	return true;
}

/* How many files a directory has; the name of one of them is in `found`. */
static unsigned files(const char *dir)
{
	found_n = 0;
	found[0] = 0;
	T_EQ(port_list(dir, each, NULL), OK);
	return found_n;
}

static void has_bytes(const char *dir, const char *name, struct bytes expected)
{
	char path[PORT_PATH_MAX];
	port_file f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = port_open(path, PORT_READ);
	if (f < 0)
		T_FAIL("there is no %s", path);
	T_EQ(port_read(f, 0, text, sizeof text), expected.len);
	T_OK(memcmp(text, expected.data, expected.len) == 0);
	port_close(f);
}

/* Name and bytes of the one file of a directory; `id` of the name is what only
 * the store knows. */
static void holds(const char *dir, const char *rest, struct bytes expected)
{
	T_EQ(files(dir), 1);
	if (strncmp(found, "1696789012.C", 12) != 0 || !strstr(found, rest) ||
		strlen(strstr(found, rest)) != strlen(rest))
		T_FAIL("%s holds \"%s\", expected one that ends with \"%s\"", dir, found, rest);
	has_bytes(dir, found, expected);
}

/* ---- names ---- */

static void folder(const char *mailbox, const char *expected)
{
	uint8_t space[200], back[LIMIT_MAILBOX_NAME];
	struct buf out;
	bool whole;

	buf_init(&out, space, sizeof space);
	T_EQ(archive_put_folder(bytes_of(mailbox), &out, &whole), OK);
	T_OK(whole);
	T_BYTES(space, out.len, expected);
	if (!expected[0])
		return;
	T_OK(buf_terminate(&out));
	buf_init(&out, back, sizeof back);
	T_EQ(archive_read_folder((const char *)space, &out), OK);
	T_BYTES(back, out.len, mailbox);
}

/* RFC 3501 section 5.1.3 has the coded words. */
T_TEST(names_of_mailboxes)
{
	folder("INBOX", "");
	folder("inbox", "");
	folder("Sent", ".Sent");
	folder("Lists/Cubby", ".Lists.Cubby");
	folder("INBOX/Sub", ".INBOX.Sub");
	folder("a.b/c", ".a%2Eb.c");
	folder("..", ".%2E%2E");
	folder("../../etc", ".%2E%2E.%2E%2E.etc");
	folder(".hidden", ".%2Ehidden");
	folder("50% off: \"a\\b\" <c|d>?*~", ".50%25%20off%3A%20%22a%5Cb%22%20%3Cc%7Cd%3E%3F%2A%7E");
	folder("~peter/mail/\xE5\x8F\xB0\xE5\x8C\x97/\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E",
		".%7Epeter.mail.&U,BTFw-.&ZeVnLIqe-");
	folder("a & b", ".a%20&-%20b");
}

T_TEST(names_that_are_none)
{
	static const char *const bad[] = { "", ".", "Sent", ".a%2", ".a%", ".a%zz", ".a b", ".a/b", ".&ZeVnLIqe",
		".a%~0123456789abcdef" };
	uint8_t space[600];
	struct buf out;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		buf_init(&out, space, sizeof space);
		if (archive_read_folder(bad[i], &out) != E_SYNTAX)
			T_FAIL("\"%s\" is read as \"%.*s\"", bad[i], (int)out.len, (const char *)space);
	}
	buf_init(&out, space, sizeof space);
	T_EQ(archive_read_user("../x", &out), E_SYNTAX);
	T_EQ(archive_read_user("%user-7", &out), E_SYNTAX);
}

T_TEST(names_of_users)
{
	uint8_t space[200], back[200];
	struct buf out;

	buf_init(&out, space, sizeof space);
	T_OK(archive_put_user(bytes_of("..j\xC3\xB6rg/x"), &out));
	T_BYTES(space, out.len, "%2E%2Ej%C3%B6rg%2Fx");
	T_OK(buf_terminate(&out));
	buf_init(&out, back, sizeof back);
	T_EQ(archive_read_user((const char *)space, &out), OK);
	T_BYTES(back, out.len, "..j\xC3\xB6rg/x");
}

T_TEST(long_names)
{
	char name[LIMIT_MAILBOX_NAME + 1] = "";
	uint8_t a[200], b[200];
	struct buf out;
	size_t len;
	bool whole;

	while (strlen(name) + 4 < 200)
		strcat(name, "a.\xC3\xA9");
	buf_init(&out, a, sizeof a);
	T_EQ(archive_put_folder(bytes_of(name), &out, &whole), OK);
	T_OK(!whole);
	T_OK(out.len <= ARCHIVE_FOLDER);
	T_OK(a[0] == '.' && !memchr(a + 1, '.', out.len - 1) && !memchr(a, '/', out.len));
	len = out.len;
	name[strlen(name) - 4] = 'b';
	buf_init(&out, b, sizeof b);
	T_EQ(archive_put_folder(bytes_of(name), &out, &whole), OK);
	T_OK(out.len != len || memcmp(a, b, len) != 0);
	T_OK(buf_terminate(&out));
	buf_init(&out, a, sizeof a);
	T_EQ(archive_read_folder((const char *)b, &out), E_SYNTAX);
}

T_TEST(dates_in_names)
{
	struct store_entry e = { .uid = 7, .object = UINT64_C(0x123456789ab), .received = -5, .zone = -150 };
	char name[ARCHIVE_MESSAGE];
	struct buf out;
	int64_t seconds = 0;
	int zone = 0;

	buf_init(&out, name, sizeof name);
	T_OK(archive_put_message(UINT64_C(0xfedcba9876543210), &e, &out));
	T_OK(buf_terminate(&out));
	T_BYTES(name, strlen(name), "-5.Cfedcba9876543210.O123456789ab.U7,D=-5,Z=-150");
	T_OK(archive_read_date(name, &seconds, &zone));
	T_EQ(seconds, -5);
	T_EQ(zone, -150);
	T_OK(archive_read_date("1.C2.O3.U4,D=253402300799,Z=840:2,FS", &seconds, &zone));
	T_EQ(seconds, 253402300799);
	T_OK(!archive_read_date("1.C2.O3.U4,D=253402300800,Z=840:2,FS", &seconds, &zone));
	T_OK(!archive_read_date("1696789012.M1P2.host,S=5:2,S", &seconds, &zone));
}

/* ---- copies ---- */

#define PLAIN "Subject: x\r\n\r\nbody\r\n"

T_TEST(copies)
{
	struct store_mailbox m;
	struct store_entry e;

	start(true);
	add("INBOX", bytes_of(PLAIN), STORE_SEEN | STORE_FLAGGED, "", &m, &e);
	T_EQ(copy(&m, &e), OK);
	holds(DIR "/anna/cur", ".U1,D=1696789012,Z=540:2,FS", bytes_of(PLAIN));
	T_EQ(files(DIR "/anna/tmp"), 0);
	add("Lists/../Cubby", bytes_of(PLAIN), STORE_DRAFT | STORE_ANSWERED | STORE_DELETED, "", &m, &e);
	T_EQ(copy(&m, &e), OK);
	holds(DIR "/anna/.Lists.%2E%2E.Cubby/cur", ".U1,D=1696789012,Z=540:2,DRT", bytes_of(PLAIN));
	/* cur, new, tmp, and the folder */
	T_EQ(files(DIR "/anna"), 4);
	T_EQ(files(DIR), 1);
	T_EQ(sim_log_has("evict archive"), false);
}

/* Dovecot's form: lines "0 name" in the folder's dovecot-keywords, letters from a. */
T_TEST(keywords)
{
	struct store_mailbox m;
	struct store_entry e;

	start(true);
	add("INBOX", bytes_of(PLAIN), STORE_SEEN, "$Label1,$Forwarded,Work", &m, &e);
	T_EQ(copy(&m, &e), OK);
	T_EQ(files(DIR "/anna/cur"), 1);
	T_OK(strstr(found, ":2,PSab") && strlen(strstr(found, ":2,PSab")) == 7);
	has_bytes(DIR "/anna", "dovecot-keywords", bytes_of("0 $Label1\n1 Work\n"));
	add("INBOX", bytes_of(PLAIN), 0, "Work,Play", &m, &e);
	T_EQ(copy(&m, &e), OK);
	has_bytes(DIR "/anna", "dovecot-keywords", bytes_of("0 $Label1\n1 Work\n2 Play\n"));
	T_EQ(files(DIR "/anna/cur"), 2);
	T_OK(strstr(found, ":2,bc") || strstr(found, ":2,PSab"));
}

T_TEST(once)
{
	struct store_mailbox m;
	struct store_entry e;

	start(true);
	add("INBOX", bytes_of(PLAIN), STORE_SEEN, "", &m, &e);
	T_EQ(copy(&m, &e), OK);
	T_EQ(archive_message(archive, &m, &e), OK);
	holds(DIR "/anna/cur", ":2,S", bytes_of(PLAIN));
	/* It was flagged before it went, and goes at last. */
	e.flags |= STORE_ANSWERED;
	T_EQ(archive_message(archive, &m, &e), OK);
	holds(DIR "/anna/cur", ":2,RS", bytes_of(PLAIN));
}

T_TEST(large_ones_in_slices)
{
	static uint8_t body[200000];
	struct store_mailbox m, other;
	struct store_entry e, small;
	unsigned n = 0;
	int err;

	start(true);
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)(i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'a' + i / 64 % 26);
	add("INBOX", bytes_make(body, sizeof body), 0, "", &m, &e);
	add("Sent", bytes_of(PLAIN), 0, "", &other, &small);
	/* In the middle another one comes: that the first one's run has ended. */
	T_EQ(archive_message(archive, &m, &e), E_AGAIN);
	T_EQ(archive_message(archive, &m, &e), E_AGAIN);
	T_EQ(files(DIR "/anna/tmp"), 1);
	T_EQ(copy(&other, &small), OK);
	T_EQ(files(DIR "/anna/tmp"), 0);
	while ((err = archive_message(archive, &m, &e)) == E_AGAIN)
		n++;
	T_EQ(err, OK);
	T_OK(n >= sizeof body / LIMIT_SLICE_BYTES);
	holds(DIR "/anna/cur", ":2,", bytes_make(body, sizeof body));
	holds(DIR "/anna/.Sent/cur", ":2,", bytes_of(PLAIN));
}

/* ---- cuts ---- */

static struct store_mailbox cut_mailbox;
static struct store_entry cut_entry;
static int cut_result;

static void copy_once(void *context)
{
	(void)context;
	cut_result = copy(&cut_mailbox, &cut_entry);
}

/* The power goes, or the process dies, at each operation: afterwards the same
 * message is copied again, there is one copy, and no later cut takes it. */
static void cuts(const struct sim_policy *policy)
{
	unsigned n;

	for (n = 1;; n++) {
		start(true);
		add("Lists/Cubby", bytes_of(PLAIN), STORE_SEEN, "$Label1", &cut_mailbox, &cut_entry);
		sim_cut_at(n);
		if (sim_run(copy_once, NULL) == SIM_DONE)
			break;
		if (policy)
			sim_power_cut(policy);
		else
			sim_kill();
		box_open();
		open_archive(true);
		sim_cut_at(0);
		T_EQ(sim_run(copy_once, NULL), SIM_DONE);
		T_EQ(cut_result, OK);
		sim_power_cut(&sim_lose_all);
		holds(DIR "/anna/.Lists.Cubby/cur", ":2,Sa", bytes_of(PLAIN));
		T_EQ(files(DIR "/anna/.Lists.Cubby/tmp"), 0);
		has_bytes(DIR "/anna/.Lists.Cubby", "dovecot-keywords", bytes_of("0 $Label1\n"));
	}
	sim_cut_at(0);
	T_OK(n > 20);
	sim_power_cut(&sim_lose_all);
	holds(DIR "/anna/.Lists.Cubby/cur", ":2,Sa", bytes_of(PLAIN));
}

T_TEST(cut_anywhere)
{
	cuts(&sim_mixed);
	cuts(&sim_keep_all);
	cuts(&sim_lose_all);
	cuts(NULL);
}

/* ---- a disk that is not there ---- */

static unsigned lines_with(const char *part)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sim_log_count(); i++)
		n += strstr(sim_log_line(i), part) != NULL;
	return n;
}

static void work(void)
{
	archive_work(archive);
	for (unsigned i = 0; i < 1000; i++) {
		int err = notices_work(notices);

		turns(1);
		if (err == OK)
			return;
	}
	T_FAIL("the notices find no end");
}

T_TEST(required_and_absent)
{
	struct store_mailbox m;
	struct store_entry e;

	start(true);
	add("INBOX", bytes_of(PLAIN), 0, "", &m, &e);
	sim_mounted(NULL, 0);
	for (int i = 0; i < 3; i++) {
		T_OK(copy(&m, &e) < 0);
		work();
	}
	T_OK(!port_exists(DIR));
	T_EQ(lines_with("no other disk is mounted there; until that is mended no old mail goes"), 1);
	T_EQ(box_count(CHEF, "INBOX"), 1);
	T_EQ(box_count(ANNA, "INBOX"), 1);
	box_message(CHEF, "INBOX", 1, text, sizeof text);
	T_OK(strstr(text, "Subject: Old mail can't be copied to the archive\r\n"));
	T_OK(strstr(text, DIR));
	sim_mounted("/usb", ROOM);
	T_EQ(copy(&m, &e), OK);
	work();
	T_EQ(lines_with("works again"), 1);
	T_EQ(box_count(CHEF, "INBOX"), 0);
	/* It is taken away again: that is new. */
	sim_mounted(NULL, 0);
	T_OK(copy(&m, &e) < 0);
	T_EQ(lines_with("until that is mended"), 2);
}

/* A disk other than the root's, but the store is there too; and the root's, where
 * the store has a disk of its own. */
T_TEST(the_wrong_disk)
{
	struct store_mailbox m;
	struct store_entry e;
	int err;

	store_dir = "/usb";
	start(true);
	store_dir = "mail";
	add("INBOX", bytes_of(PLAIN), 0, "", &m, &e);
	err = copy(&m, &e);
	T_OK(err < 0);
	T_OK(!port_exists(DIR));
	start(true);
	add("INBOX", bytes_of(PLAIN), 0, "", &m, &e);
	sim_mounted("mail", ROOM);
	T_OK(copy(&m, &e) < 0);
	T_OK(!port_exists(DIR));
}

/* /etc/fstab names a mount point, and nothing is mounted on it. */
T_TEST(not_mounted_as_it_should)
{
	struct store_mailbox m;
	struct store_entry e;

	start(true);
	add("INBOX", bytes_of(PLAIN), 0, "", &m, &e);
	sim_mount_missing("/usb/old");
	T_OK(copy(&m, &e) < 0);
	T_OK(!port_exists(DIR));
	sim_mount_missing(NULL);
	T_EQ(copy(&m, &e), OK);
}

T_TEST(a_disk_in_memory)
{
	struct store_mailbox m;
	struct store_entry e;

	start(true);
	add("INBOX", bytes_of(PLAIN), 0, "", &m, &e);
	sim_disk(PORT_FS_VOLATILE, 0);
	T_OK(copy(&m, &e) < 0);
	T_OK(sim_log_has("it is in memory"));
	T_OK(!port_exists(DIR));
}

T_TEST(best_effort_and_absent)
{
	struct store_mailbox m;
	struct store_entry e;

	start(false);
	add("INBOX", bytes_of(PLAIN), 0, "", &m, &e);
	sim_mounted(NULL, 0);
	for (int i = 0; i < 3; i++) {
		T_OK(copy(&m, &e) < 0);
		work();
	}
	T_EQ(lines_with("old mail goes without a copy"), 1);
	T_EQ(box_count(CHEF, "INBOX"), 0);
}

T_TEST(a_full_disk)
{
	struct store_mailbox m;
	struct store_entry e;

	start(true);
	add("INBOX", bytes_of(PLAIN), 0, "", &m, &e);
	sim_mounted("/usb", 4096);
	T_OK(copy(&m, &e) < 0);
	T_OK(!port_exists(DIR));
	T_OK(sim_log_has("the disk is full"));
	/* Said to have room, and full all the same. */
	sim_mounted("/usb", ROOM);
	for (unsigned n = 1; n <= 2; n++) {
		sim_fail(SIM_OP_WRITE, 1, E_NOSPC, false);
		T_EQ(copy(&m, &e), E_NOSPC);
		T_EQ(files(DIR "/anna/cur"), 0);
		T_EQ(files(DIR "/anna/tmp"), 0);
	}
	T_EQ(copy(&m, &e), OK);
	holds(DIR "/anna/cur", ":2,", bytes_of(PLAIN));
}

/* Every operation fails once, in the middle of a message of several slices: what
 * comes of it is a whole copy or none, and the next try succeeds. */
T_TEST(a_disk_that_fails)
{
	static const enum sim_op ops[] = { SIM_OP_WRITE, SIM_OP_SYNC, SIM_OP_SYNC_DIR, SIM_OP_CREATE, SIM_OP_RENAME,
		SIM_OP_MKDIR };
	struct store_mailbox m;
	struct store_entry e;
	unsigned failures = 0;

	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		for (unsigned n = 1;; n++) {
			uint64_t before;
			int err;

			start(true);
			add("Sent", bytes_of(PLAIN), 0, "Work", &m, &e);
			before = sim_failed();
			sim_fail(ops[i], n, E_IO, false);
			err = copy(&m, &e);
			sim_fail(ops[i], 0, OK, false);
			if (sim_failed() == before) {
				T_EQ(err, OK);
				break;
			}
			failures++;
			T_OK(err != OK);
			T_EQ(copy(&m, &e), OK);
			holds(DIR "/anna/.Sent/cur", ":2,a", bytes_of(PLAIN));
			T_EQ(files(DIR "/anna/.Sent/tmp"), 0);
		}
	}
	T_OK(failures > 20);
}

/* Folders that were made are gone: another disk is in its place. */
T_TEST(another_disk)
{
	struct store_mailbox m;
	struct store_entry e;
	char path[PORT_PATH_MAX];

	start(true);
	add("INBOX", bytes_of(PLAIN), 0, "", &m, &e);
	T_EQ(copy(&m, &e), OK);
	T_EQ(files(DIR "/anna/cur"), 1);
	snprintf(path, sizeof path, "%s/anna/cur/%s", DIR, found);
	T_EQ(port_remove(path), OK);
	T_EQ(port_rmdir(DIR "/anna/cur"), OK);
	T_EQ(port_rmdir(DIR "/anna/new"), OK);
	T_EQ(port_rmdir(DIR "/anna/tmp"), OK);
	T_EQ(port_rmdir(DIR "/anna"), OK);
	T_EQ(copy(&m, &e), OK);
	holds(DIR "/anna/cur", ":2,", bytes_of(PLAIN));
}

/* ---- with the store ---- */

static uint32_t left_after_a_run(bool required, bool mounted)
{
	static struct config config;
	static uint8_t body[20000];
	struct eviction_config c = { .config = &config };
	struct eviction *eviction;
	struct store_mailbox m;
	struct store_entry e;

	start(required);
	memset(body, 'x', sizeof body);
	for (unsigned i = 0; i < 20; i++)
		add("INBOX", bytes_make(body, sizeof body), STORE_SEEN, "", &m, &e);
	if (!mounted)
		sim_mounted(NULL, 0);
	memset(&config, 0, sizeof config);
	snprintf(config.store, sizeof config.store, "mail");
	snprintf(config.evict_archive, sizeof config.evict_archive, DIR);
	config.evict_archive_required = required;
	config.evict = true;
	config.evict_high = 90;
	config.evict_low = 1;
	config.evict_order[0] = CONFIG_CLASS_SEEN;
	config.evict_order_n = 1;
	c.store = box_st;
	c.accounts = box_accounts;
	T_EQ(eviction_init(&eviction, &box_arena, &c), OK);
	store_evict_now(box_st);
	for (unsigned i = 0; store_evict_running(box_st) && i < 10000; i++)
		turns(1);
	T_OK(!store_evict_running(box_st));
	return box_count(ANNA, "INBOX");
}

T_TEST(runs)
{
	uint32_t gone = 20 - left_after_a_run(true, true);

	T_OK(gone > 5);
	T_EQ(files(DIR "/anna/cur"), gone);
	T_EQ(left_after_a_run(true, false), 20);
	T_OK(!port_exists(DIR));
	T_EQ(lines_with("until that is mended"), 1);
	T_EQ(lines_with("ended early"), 0);
	T_EQ(left_after_a_run(false, false), 20 - gone);
	T_EQ(lines_with("old mail goes without a copy"), 1);
}

T_MAIN(T_RUN(names_of_mailboxes) T_RUN(names_that_are_none) T_RUN(names_of_users) T_RUN(long_names)
		T_RUN(dates_in_names) T_RUN(copies) T_RUN(keywords) T_RUN(once) T_RUN(large_ones_in_slices)
			T_RUN(cut_anywhere) T_RUN(required_and_absent) T_RUN(the_wrong_disk)
				T_RUN(not_mounted_as_it_should) T_RUN(a_disk_in_memory) T_RUN(best_effort_and_absent)
					T_RUN(a_full_disk) T_RUN(a_disk_that_fails) T_RUN(another_disk) T_RUN(runs))
