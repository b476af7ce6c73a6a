/* Users of the box and how they prove it. The users file is the only truth: a
 * text file, one user a line, replaced in one step (write, sync, rename, sync of
 * the directory), read again when it changed. Passwords are kept as
 * SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677), never in clear text; one salt
 * and one iteration count a user, so that several passwords cost one PBKDF2.
 *
 *     #cubby-users 1 next 3 change 5
 *     anna:1:admin:10000:<salt>:<StoredKey>:<ServerKey>
 *     ben:2:-:10000:...
 *
 * Salt and keys are base64. Ids ascend from line to line; `next` is the id of
 * the next user, so that an id is never used again; `change` counts the changes.
 * Empty lines and comments (#) are kept. Nothing of the file is resident but a
 * few users looked up last: look-ups read it through a small buffer. */
#ifndef ACCOUNT_ACCOUNT_H
#define ACCOUNT_ACCOUNT_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/mem.h"

#define ACCOUNT_KEY 32   /* bytes of a SHA-256 */
#define ACCOUNT_SALT 16
/* RFC 7677 section 4: at least 4096. The default keeps a login near a tenth of
 * a second of a 500 MHz router; the upper bound keeps a slip of the finger in the
 * users file from making a login take minutes. */
#define ACCOUNT_ITERATIONS_LEAST 4096
#define ACCOUNT_ITERATIONS 10000
#define ACCOUNT_ITERATIONS_MOST 10000000

/* Bytes of a password as it is typed. Beyond it: refused. */
#define ACCOUNT_PASSWORD 256

/* Users of one file: what a look-up may have to read. Beyond it: E_LIMIT. */
#define ACCOUNT_USERS 100000

struct account_user {
	uint32_t id;   /* owner number in the store; never used again once given */
	bool admin;
	uint8_t name_len;
	char name[LIMIT_USER_NAME]; /* UTF-8, compared after folding ASCII case */
	uint32_t iterations;
	uint8_t salt[ACCOUNT_SALT];
	uint8_t stored_key[ACCOUNT_KEY], server_key[ACCOUNT_KEY];
};

struct accounts;

size_t accounts_memory(uint32_t logins_at_once);
/* After crypto_init. OK also when there is no file yet. E_NOMEM, E_LIMIT (the
 * path is too long), E_IO (no random numbers). */
int accounts_init(struct accounts **a, struct arena *arena, const char *file, uint32_t logins_at_once);
/* Closes what is open; the arena keeps the memory. */
void accounts_close(struct accounts *a);
/* Looks whether the file changed and reads it again; cheap. The look-ups below
 * do it by themselves. E_NOENT when there is no file (no users). A file that
 * can't be read (its error) or has a bad line (E_SYNTAX, logged with line number)
 * keeps the one before it in force. Where there was none before, or the file was
 * changed in place, its good lines hold and the bad ones are passed over. */
int accounts_reload(struct accounts *a);

/* "anna" or "anna@any.domain" (the domain is not looked at). E_NOENT, E_IO. */
int account_find(struct accounts *a, struct bytes name, struct account_user *out);
int account_by_id(struct accounts *a, uint32_t id, struct account_user *out);
/* One a call, by ascending id; *cursor starts at 0; E_NOENT after the last. */
int account_next(struct accounts *a, uint32_t *cursor, struct account_user *out);

/* Changes of the file (`cubby user ...`), all durable when they return OK; they
 * block for as long as the password's hash takes. E_EXIST, E_NOENT; E_SYNTAX (a
 * name or password that has a fault); E_RANGE (iterations); E_BUSY (another
 * process has been changing the file for a second); E_DAMAGED (the file has a
 * bad line: correct that first); E_LIMIT, E_IO, E_NOSPC, E_ACCESS. */
int account_add(struct accounts *a, struct bytes name, struct bytes password, bool admin, uint32_t iterations,
	struct account_user *out);
int account_set_password(struct accounts *a, struct bytes name, struct bytes password, uint32_t iterations);
int account_remove(struct accounts *a, struct bytes name, uint32_t *id);

/* What is wrong with a new name or password, as the end of a sentence that
 * begins with "the name" or "the password"; NULL when nothing is. */
const char *account_name_fault(struct bytes name);
const char *account_password_fault(struct bytes password);

/* ---- all of them, for a backup ---- */

/* Bytes of a line of the users file; a user takes at most 231. Beyond it: a bad
 * line. */
#define ACCOUNT_LINE 512

/* Lines from which account_restore makes the same users again: one a call without
 * its end into out[ACCOUNT_LINE], its length; *cursor starts at 0. E_NOENT after
 * the last; errors as account_next. */
int account_save(struct accounts *a, uint64_t *cursor, uint8_t *out);

struct account_restore;
size_t account_restore_memory(void);
/* Begins a new users file from such lines; nobody else may change it meanwhile.
 * The one that is there stays until the end. Errors as account_add. */
int account_restore_begin(struct account_restore **r, struct arena *arena, struct accounts *a);
/* E_SYNTAX: no such line. */
int account_restore_line(struct account_restore *r, struct bytes line);
/* The new file is in force, durably. Only then, and not after an error of any of
 * these, has anything changed. */
int account_restore_end(struct account_restore *r);
void account_restore_abort(struct account_restore *r);

/* CPU time in microseconds that this box takes for one login. */
uint64_t account_measure_us(uint32_t iterations);

/* ---- checking a password, in slices ---- */

/* One password check: PBKDF2 in slices of the loop, so that nobody else waits.
 * Unknown users cost the same time as wrong passwords. */
struct auth_check;
/* Takes copies. E_AGAIN: all places are taken, try in the next turn. E_LIMIT:
 * name or password is longer than any can be. */
int auth_begin(struct accounts *a, struct bytes name, struct bytes password, struct auth_check **check);
/* Runs one slice. E_AGAIN while not finished; OK with the user; E_ACCESS; E_IO
 * (the users file can't be read). The check is gone after anything but E_AGAIN. */
int auth_step(struct auth_check *check, struct account_user *out);
void auth_abort(struct auth_check *check);

/* ---- throttle ---- */

/* Addresses remembered. Beyond it the least recent one makes room, so that a
 * flood of addresses slows down nobody but themselves. */
#define THROTTLE_ADDRESSES 256

/* How long a login attempt from there has to wait before it is looked at, in
 * milliseconds (0: look at it now). Ask again when it has passed: 0 is the leave
 * for one attempt, and another connection of that address may have been faster.
 * Grows with failures of the address (IPv6: of its /64): nothing for the first
 * three, then 1 s and double that for each further one, up to 30 s; every five
 * minutes one is forgiven. Loopback and unix peers are never slowed. */
struct port_address;
uint32_t throttle_delay_ms(struct accounts *a, const struct port_address *peer, uint64_t now_us);
void throttle_failed(struct accounts *a, const struct port_address *peer, uint64_t now_us);
/* The address goes on without a delay. Its failures are not forgotten: the next one
 * brings the delay back, so that whoever has a password of his own can't buy
 * guesses at others' with logins between them. */
void throttle_succeeded(struct accounts *a, const struct port_address *peer);

struct throttle_status {
	uint32_t addresses; /* with failures not yet forgiven */
	uint64_t failures, delayed; /* since start: wrong passwords, attempts told to wait */
};
void throttle_status(const struct accounts *a, struct throttle_status *out);

#endif
