#include "tests/unit/t.h"

#include "account/account.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/log.h"
#include "port/sim/sim.h"

#define FILE_NAME "dir/users"
#define LOGINS 2

static _Alignas(16) uint8_t memory[256 * 1024];
static struct arena arena;
static struct accounts *accounts;
static struct account_user user;

/* Passwords "pencil" and "Müller 1a" with the salt of RFC 7677 section 3; keys
 * by Python's hashlib. */
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define PENCIL SALT ":WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define MUELLER SALT ":kc5mTgAivJdgC69OcsTq3AHUjoKTEPS3KQtV3dCYBAE=:wjAIFN5p+ISQuUtBnDjaFigHyigGRK3xsHjiEc1n5qA="
#define ANNA "anna:3:admin:4096:" PENCIL "\n"
#define BEN "Ben M\xC3\xBCller:4:-:4096:" MUELLER "\n"

static void log_to_port(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

static void start(void)
{
	arena_init(&arena, memory, sizeof memory);
	T_EQ(accounts_init(&accounts, &arena, FILE_NAME, LOGINS), OK);
	T_EQ(arena.used, accounts_memory(LOGINS));
	arena_freeze(&arena);
}

static void fresh(void)
{
	sim_reset(7);
	log_init(log_to_port, LOG_DEBUG);
	T_EQ(crypto_init(port_entropy), OK);
	T_EQ(port_mkdir("dir"), OK);
	T_EQ(port_sync_dir("."), OK);
}

/* Replaces the file as an editor does that renames, or in place. */
static void put_file(const char *text, bool in_place)
{
	port_file f = port_open(in_place ? FILE_NAME : "dir/other", PORT_WRITE | PORT_CREATE | PORT_EMPTY);

	T_OK(f >= 0);
	T_EQ(port_write(f, 0, text, strlen(text)), OK);
	T_EQ(port_sync(f), OK);
	port_close(f);
	if (!in_place)
		T_EQ(port_rename("dir/other", FILE_NAME), OK);
	T_EQ(port_sync_dir("dir"), OK);
}

static const char *file_text(void)
{
	static char text[8192];
	port_file f = port_open(FILE_NAME, PORT_READ);
	int64_t n;

	T_OK(f >= 0);
	n = port_read(f, 0, text, sizeof text - 1);
	T_OK(n >= 0);
	text[n] = '\0';
	port_close(f);
	return text;
}

static int find(const char *name)
{
	return account_find(accounts, bytes_of(name), &user);
}

static int add(const char *name, const char *password)
{
	return account_add(accounts, bytes_of(name), bytes_of(password), false, 4096, &user);
}

/* The result of a whole check and, in *steps, how many slices it took. */
static int login(const char *name, const char *password, unsigned *steps)
{
	struct auth_check *check;
	int err = auth_begin(accounts, bytes_of(name), bytes_of(password), &check);
	unsigned n = 0;

	if (err != OK)
		return err;
	do {
		err = auth_step(check, &user);
		n++;
	} while (err == E_AGAIN);
	if (steps)
		*steps = n;
	return err;
}

T_TEST(reads_a_file)
{
	uint32_t cursor = 0, id;

	fresh();
	put_file("# by hand\n\n" ANNA "\r\n" BEN, false);
	start();
	T_EQ(find("ANNA"), OK);
	T_EQ(user.id, 3);
	T_OK(user.admin);
	T_EQ(user.iterations, 4096);
	T_EQ(find("anna@example.org"), OK);
	T_EQ(find("ben m\xC3\xBCller"), OK);
	T_EQ(user.id, 4);
	T_OK(!user.admin);
	T_EQ(find("ben m\xC3\x9Cller"), E_NOENT); /* only ASCII letters are folded */
	T_EQ(find("ann"), E_NOENT);
	T_EQ(find(""), E_NOENT);
	T_EQ(find("# by hand"), E_NOENT);
	T_EQ(account_by_id(accounts, 4, &user), OK);
	T_BYTES(user.name, user.name_len, "Ben M\xC3\xBCller");
	T_EQ(account_by_id(accounts, 2, &user), E_NOENT);
	T_EQ(account_by_id(accounts, 5, &user), E_NOENT);
	T_EQ(account_next(accounts, &cursor, &user), OK);
	T_EQ(user.id, 3);
	T_EQ(account_next(accounts, &cursor, &user), OK);
	T_EQ(user.id, 4);
	T_EQ(account_next(accounts, &cursor, &user), E_NOENT);
	T_EQ(account_remove(accounts, bytes_of("anna"), &id), OK);
	T_BYTES(file_text(), strlen(file_text()), "#cubby-users 1 next 5 change 1\n# by hand\n\n\n" BEN);
}

T_TEST(checks_passwords)
{
	unsigned right, wrong, nobody;

	fresh();
	put_file(ANNA BEN, false);
	start();
	T_EQ(login("anna", "pencil", &right), OK);
	T_EQ(user.id, 3);
	T_EQ(login("anna", "pencik", &wrong), E_ACCESS);
	T_EQ(login("nobody", "pencil", &nobody), E_ACCESS);
	T_EQ(right, wrong);
	T_EQ(right, nobody);
	T_OK(right > 4096 / 1000); /* slices, not one long step */
	T_EQ(login("ANNA@box.local", "pencil", NULL), OK);
	T_EQ(login("ben m\xC3\xBCller", "M\xC3\xBCller 1a", NULL), OK);
	T_EQ(login("ben m\xC3\xBCller",
		     "M\xC3\xBCller\xC2\xA0\xEF\xBC\x91"
		     "a",
		     NULL),
		OK); /* SASLprep */
	T_EQ(login("anna", "", NULL), E_ACCESS);
	T_EQ(login("anna", "pencil\xFF", &wrong), E_ACCESS);
	T_EQ(right, wrong);
	T_EQ(login("", "pencil", NULL), E_ACCESS);
	T_EQ(login("@", "pencil", NULL), E_ACCESS);
	T_EQ(login("0123456789012345678901234567890123456789012345678901234567890123456789", "x", NULL), E_LIMIT);
}

T_TEST(login_places)
{
	struct auth_check *one, *two, *three;

	fresh();
	put_file(ANNA, false);
	start();
	T_EQ(auth_begin(accounts, bytes_of("anna"), bytes_of("pencil"), &one), OK);
	T_EQ(auth_begin(accounts, bytes_of("anna"), bytes_of("pencil"), &two), OK);
	T_EQ(auth_begin(accounts, bytes_of("anna"), bytes_of("pencil"), &three), E_AGAIN);
	T_EQ(auth_step(one, &user), E_AGAIN);
	auth_abort(one);
	T_EQ(auth_begin(accounts, bytes_of("anna"), bytes_of("pencil"), &three), OK);
	auth_abort(three);
	auth_abort(two);
	T_EQ(login("anna", "pencil", NULL), OK);
}

/* The file is replaced while a check reads it: the new one counts. */
T_TEST(change_during_a_check)
{
	struct auth_check *check;
	int err;

	fresh();
	put_file(ANNA, false);
	start();
	T_EQ(auth_begin(accounts, bytes_of("anna"), bytes_of("pencil"), &check), OK);
	put_file("#cubby-users 1 next 9 change 1\nzoe:8:-:4096:" PENCIL "\n", false);
	T_EQ(accounts_reload(accounts), OK);
	while ((err = auth_step(check, &user)) == E_AGAIN)
		;
	T_EQ(err, E_ACCESS);
	T_EQ(login("zoe", "pencil", NULL), OK);
}

T_TEST(no_users)
{
	uint32_t cursor = 0;

	fresh();
	start();
	T_EQ(accounts_reload(accounts), E_NOENT);
	T_EQ(find("anna"), E_NOENT);
	T_EQ(account_next(accounts, &cursor, &user), E_NOENT);
	T_EQ(login("anna", "pencil", NULL), E_ACCESS);
	put_file(ANNA, false);
	T_EQ(find("anna"), OK);
	T_EQ(port_remove(FILE_NAME), OK);
	T_EQ(find("anna"), E_NOENT);
}

T_TEST(changes)
{
	uint32_t id;

	fresh();
	start();
	T_EQ(add("anna", "one two"), OK);
	T_EQ(user.id, 1);
	T_EQ(add("Anna", "x"), E_EXIST);
	T_EQ(account_add(accounts, bytes_of("ben"), bytes_of("b"), true, 5000, &user), OK);
	T_EQ(user.id, 2);
	T_EQ(login("anna", "one two", NULL), OK);
	T_OK(!user.admin);
	T_EQ(login("ben", "b", NULL), OK);
	T_OK(user.admin);
	T_EQ(account_set_password(accounts, bytes_of("ANNA"), bytes_of("three"), 4096), OK);
	T_EQ(login("anna", "one two", NULL), E_ACCESS);
	T_EQ(login("anna", "three", NULL), OK);
	T_EQ(user.id, 1);
	T_EQ(login("ben", "b", NULL), OK);
	T_EQ(account_set_password(accounts, bytes_of("carl"), bytes_of("three"), 4096), E_NOENT);
	T_EQ(account_remove(accounts, bytes_of("ben"), &id), OK);
	T_EQ(id, 2);
	T_EQ(account_remove(accounts, bytes_of("ben"), &id), E_NOENT);
	T_EQ(login("ben", "b", NULL), E_ACCESS);
	/* The number of the last user is not given out again, by another process either. */
	start();
	T_EQ(add("ben", "b"), OK);
	T_EQ(user.id, 3);
}

/* A second process changes the file within the same second, same length. */
T_TEST(sees_changes_of_others)
{
	static _Alignas(16) uint8_t other_memory[256 * 1024];
	struct accounts *other;
	struct arena other_arena;

	fresh();
	start();
	T_EQ(add("anna", "one"), OK);
	arena_init(&other_arena, other_memory, sizeof other_memory);
	T_EQ(accounts_init(&other, &other_arena, FILE_NAME, LOGINS), OK);
	T_EQ(account_set_password(other, bytes_of("anna"), bytes_of("two"), 4096), OK);
	T_EQ(login("anna", "one", NULL), E_ACCESS);
	T_EQ(login("anna", "two", NULL), OK);
	T_EQ(account_add(other, bytes_of("ben"), bytes_of("b"), false, 4096, &user), OK);
	T_EQ(add("carl", "c"), OK);
	T_EQ(user.id, 3);
}

T_TEST(one_writer)
{
	port_file held;

	fresh();
	start();
	T_EQ(add("anna", "one"), OK);
	held = port_lock(FILE_NAME ".lock");
	T_OK(held >= 0);
	T_EQ(add("ben", "b"), E_BUSY);
	T_EQ(find("ben"), E_NOENT);
	port_close(held);
	T_EQ(add("ben", "b"), OK);
}

T_TEST(names_and_passwords)
{
	static const char *const bad[] = { "", " a", "a ", "a:b", "a/b", "a@b", "a\nb", "\x7F", "\xC2\x80", "#a", "-a",
		".", "..", "a\"b", "a\\b", "a*", "a%", "\xFF",
		"0123456789012345678901234567890123456789012345678901234567890123x" };
	static const char *const good[] = { "a", "Ben M\xC3\xBCller", "a.b-c_d+e", "\xE8\x8A\xB1\xE5\xAD\x90",
		"0123456789012345678901234567890123456789012345678901234567890123" };
	char longest[ACCOUNT_PASSWORD + 2];

	fresh();
	start();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		T_OK(account_name_fault(bytes_of(bad[i])));
		T_EQ(add(bad[i], "x"), E_SYNTAX);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		T_OK(!account_name_fault(bytes_of(good[i])));
		T_EQ(add(good[i], "x"), OK);
		T_EQ(login(good[i], "x", NULL), OK);
	}
	T_EQ(add("x", ""), E_SYNTAX);
	T_EQ(add("x", "\xC2\xAD"), E_SYNTAX); /* prepared, nothing is left */
	T_EQ(add("x", "\x01"), E_SYNTAX);
	memset(longest, 'x', sizeof longest);
	longest[ACCOUNT_PASSWORD + 1] = '\0';
	T_EQ(add("x", longest), E_SYNTAX);
	T_EQ(login("a", longest, NULL), E_LIMIT);
	longest[ACCOUNT_PASSWORD] = '\0';
	T_EQ(add("x", longest), OK);
	T_EQ(login("x", longest, NULL), OK);
	T_EQ(account_add(accounts, bytes_of("y"), bytes_of("p"), false, 4095, &user), E_RANGE);
	T_EQ(account_add(accounts, bytes_of("y"), bytes_of("p"), false, ACCOUNT_ITERATIONS_MOST + 1, &user), E_RANGE);
}

T_TEST(bad_lines)
{
	static const char *const bad[] = {
		"carl", "carl:5", "carl:5:-:4096:" SALT, "carl:0:-:4096:" PENCIL, "carl:x:-:4096:" PENCIL,
		"carl:5:root:4096:" PENCIL, "carl:5::4096:" PENCIL, "carl:5:-:4095:" PENCIL,
		"carl:5:-:99999999:" PENCIL,
		"carl:5:-:4096:" PENCIL "x", "carl:5:-:4096:" PENCIL ":x", "carl:5:-:4096:AAAA:" PENCIL,
		":5:-:4096:" PENCIL,
		"c/d:5:-:4096:" PENCIL, "carl:4294967295:-:4096:" PENCIL, "carl:4:-:4096:" PENCIL,
	};
	char text[2048];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		fresh();
		put_file(ANNA BEN, false);
		start();
		snprintf(text, sizeof text, "zoe:1:-:4096:" PENCIL "\n" BEN "%s\n", bad[i]);
		put_file(text, false);
		T_EQ(accounts_reload(accounts), E_SYNTAX);
		T_OK(sim_log_has("dir/users: line 3 "));
		/* The file before holds. */
		T_EQ(find("anna"), OK);
		T_EQ(find("zoe"), E_NOENT);
		T_EQ(login("anna", "pencil", NULL), OK);
		T_EQ(add("dora", "d"), E_DAMAGED);
		/* After a start there is none before: the good lines hold. */
		start();
		T_EQ(find("zoe"), OK);
		T_EQ(find("carl"), E_NOENT);
		T_EQ(login("carl", "pencil", NULL), E_ACCESS);
		T_EQ(login("zoe", "pencil", NULL), OK);
		put_file(ANNA BEN, false);
		T_EQ(accounts_reload(accounts), OK);
		T_EQ(find("zoe"), E_NOENT);
	}
}

T_TEST(long_line)
{
	static char text[20000];

	fresh();
	memset(text, 'x', 9000);
	strcpy(text + 9000, "\n" ANNA);
	put_file(text, false);
	start();
	T_EQ(accounts_reload(accounts), E_SYNTAX);
	T_OK(sim_log_has("line 1 is too long"));
	T_EQ(find("anna"), OK);
	memset(text, 'x', sizeof text - 1);
	memcpy(text, ANNA, strlen(ANNA));
	put_file(text, true);
	T_EQ(login("anna", "pencil", NULL), OK);
}

T_TEST(changed_in_place)
{
	uint32_t cursor = 0;

	fresh();
	put_file(ANNA BEN, false);
	start();
	T_EQ(account_next(accounts, &cursor, &user), OK);
	put_file("broken\n" BEN, true);
	T_EQ(accounts_reload(accounts), E_SYNTAX);
	T_EQ(find("Ben M\xC3\xBCller"), OK);
	T_EQ(account_next(accounts, &cursor, &user), OK);
	T_EQ(user.id, 4);
	T_EQ(account_next(accounts, &cursor, &user), E_NOENT);
	T_EQ(login("anna", "pencil", NULL), E_ACCESS);
}

T_TEST(read_errors)
{
	struct auth_check *check;

	fresh();
	put_file(ANNA, false);
	start();
	T_EQ(auth_begin(accounts, bytes_of("anna"), bytes_of("pencil"), &check), OK);
	sim_fail(SIM_OP_READ, 1, E_IO, true);
	T_EQ(auth_step(check, &user), E_IO);
	T_EQ(find("anna"), E_IO);
	sim_fail(SIM_OP_READ, 0, OK, false);
	T_EQ(login("anna", "pencil", NULL), OK);
}

/* Each failure of a write, sync, create or rename leaves the old file. */
T_TEST(write_errors)
{
	static const enum sim_op ops[] = { SIM_OP_WRITE, SIM_OP_SYNC, SIM_OP_RENAME };

	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
		fresh();
		start();
		T_EQ(add("anna", "one"), OK);
		sim_fail(ops[i], 1, E_NOSPC, false);
		T_EQ(add("ben", "b"), E_NOSPC);
		T_EQ(find("ben"), E_NOENT);
		T_EQ(find("anna"), OK);
		T_OK(!port_exists(FILE_NAME ".new"));
		T_EQ(add("ben", "b"), OK);
		T_EQ(user.id, 2);
	}
}

struct cut_run {
	int added, changed, removed; /* results; 1: not reached */
};

static void cut_body(void *context)
{
	struct cut_run *run = context;
	uint32_t id;

	arena_init(&arena, memory, sizeof memory);
	(void)accounts_init(&accounts, &arena, FILE_NAME, LOGINS);
	run->added = add("ben", "b");
	run->changed = account_set_password(accounts, bytes_of("anna"), bytes_of("two"), 4096);
	run->removed = account_remove(accounts, bytes_of("ben"), &id);
}

/* Power is cut at every operation: what was answered OK is there, anna can
 * always log in with the old or the new password, and ben's number is used once. */
static void cut_at(uint64_t n, const struct sim_policy *policy, bool *done)
{
	static struct cut_run run;
	enum sim_end end;

	fresh();
	start();
	T_EQ(add("anna", "one"), OK);
	run = (struct cut_run){ 1, 1, 1 };
	sim_cut_at(n);
	end = sim_run(cut_body, &run);
	*done = end == SIM_DONE;
	sim_power_cut(policy);
	start();
	if (run.changed == OK)
		T_EQ(login("anna", "two", NULL), OK);
	else
		T_OK(login("anna", "one", NULL) == OK || (run.added == OK && login("anna", "two", NULL) == OK));
	if (run.added == OK && run.changed == 1)
		T_EQ(login("ben", "b", NULL), OK);
	if (run.removed == OK)
		T_EQ(find("ben"), E_NOENT);
	T_EQ(add("carl", "c"), OK);
	T_OK(user.id > (run.added == OK ? 2 : 1));
	T_EQ(accounts_reload(accounts), OK);
}

T_TEST(power_cuts)
{
	const struct sim_policy *const policies[] = { &sim_keep_all, &sim_lose_all, &sim_mixed, &sim_garbage };
	uint64_t cuts = 0;

	for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
		bool done = false;

		for (uint64_t n = 1; !done; n++, cuts++)
			cut_at(n, policies[i], &done);
	}
	T_OK(cuts > 40);
}

T_TEST(ten_thousand)
{
	static char text[10000 * 160];
	uint32_t cursor = 0;
	size_t len = 0;

	fresh();
	for (unsigned i = 1; i <= 10000; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "user%u:%u:-:4096:" PENCIL "\n", i, i * 2);
	put_file(text, false);
	start();
	T_EQ(find("user10000"), OK);
	T_EQ(user.id, 20000);
	for (uint32_t i = 1; i <= 10000; i++) {
		T_EQ(account_next(accounts, &cursor, &user), OK);
		T_EQ(user.id, i * 2);
	}
	T_EQ(account_next(accounts, &cursor, &user), E_NOENT);
	T_EQ(login("user9999", "pencil", NULL), OK);
	T_EQ(login("user10001", "pencil", NULL), E_ACCESS);
	T_EQ(add("last", "p"), OK);
	T_EQ(user.id, 20001);
	T_EQ(login("last", "p", NULL), OK);
}

T_TEST(measure)
{
	T_OK(account_measure_us(4096) < 60u * 1000000);
}

/* ---- backups ---- */

static _Alignas(16) uint8_t restore_memory[16384];

static int restore_lines(const char *const *lines, size_t n)
{
	struct account_restore *r;
	struct arena a;
	int err;

	arena_init(&a, restore_memory, sizeof restore_memory);
	T_OK(account_restore_memory() <= sizeof restore_memory);
	T_EQ(account_restore_begin(&r, &a, accounts), OK);
	for (size_t i = 0; i < n; i++) {
		err = account_restore_line(r, bytes_of(lines[i]));
		if (err != OK) {
			account_restore_abort(r);
			return err;
		}
	}
	return account_restore_end(r);
}

/* Everybody comes back with number, verifier and rank; the next one gets the
 * number that he would have got. */
T_TEST(save_and_restore)
{
	static const char head[] = "#cubby-users 1 next 9 change 5";
	const char *lines[] = { head, "anna:3:admin:4096:" PENCIL, "Ben M\xC3\xBCller:4:-:4096:" MUELLER };
	uint8_t line[ACCOUNT_LINE];
	uint64_t cursor = 0;
	int n;

	fresh();
	put_file("#cubby-users 1 next 9 change 5\n# a comment\n" ANNA BEN, false);
	start();
	for (size_t i = 0; i < 3; i++) {
		n = account_save(accounts, &cursor, line);
		T_OK(n > 0);
		T_BYTES(line, n, lines[i]);
	}
	T_EQ(account_save(accounts, &cursor, line), E_NOENT);
	accounts_close(accounts);
	fresh();
	start();
	cursor = 0;
	n = account_save(accounts, &cursor, line);
	T_BYTES(line, n, "#cubby-users 1 next 1 change 0");
	T_EQ(account_save(accounts, &cursor, line), E_NOENT);
	T_EQ(restore_lines(lines + 1, 2), E_SYNTAX); /* no counters */
	T_OK(!port_exists(FILE_NAME));
	T_EQ(restore_lines(lines, 3), OK);
	T_BYTES(file_text(), strlen(file_text()), "#cubby-users 1 next 9 change 6\n" ANNA BEN);
	T_EQ(find("anna"), OK);
	T_EQ(user.id, 3);
	T_OK(user.admin);
	lines[2] = "ben:3:-:4096:" MUELLER; /* a number twice */
	T_EQ(restore_lines(lines, 3), E_SYNTAX);
	T_BYTES(file_text(), strlen(file_text()), "#cubby-users 1 next 9 change 6\n" ANNA BEN);
	T_OK(!port_exists(FILE_NAME ".new"));
	T_EQ(account_add(accounts, bytes_of("carl"), bytes_of("pencil"), false, 4096, &user), OK);
	T_EQ(user.id, 9);
}

T_MAIN(T_RUN(reads_a_file) T_RUN(checks_passwords) T_RUN(login_places) T_RUN(change_during_a_check) T_RUN(no_users)
		T_RUN(changes) T_RUN(sees_changes_of_others) T_RUN(one_writer) T_RUN(names_and_passwords)
			T_RUN(bad_lines) T_RUN(long_line) T_RUN(changed_in_place) T_RUN(read_errors) T_RUN(write_errors)
				T_RUN(power_cuts) T_RUN(ten_thousand) T_RUN(measure) T_RUN(save_and_restore))
