/* Users of the box and how they prove it. The users file is the only truth: a
 * text file, one user a line, replaced in one step (write, sync, rename, sync of
 * the directory), read again when it changed. Passwords are kept as
 * SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677), never in clear text; one salt
 * and one iteration count a user, so that several passwords cost one PBKDF2. */
#ifndef ACCOUNT_ACCOUNT_H
#define ACCOUNT_ACCOUNT_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/mem.h"

#define ACCOUNT_KEY 32   /* bytes of a SHA-256 */
#define ACCOUNT_SALT 16
#define ACCOUNT_ITERATIONS_LEAST 4096
#define ACCOUNT_ITERATIONS 10000

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
int accounts_init(struct accounts **a, struct arena *arena, const char *file, uint32_t logins_at_once);
/* Looks whether the file changed and reads it again; cheap. A file that can't be
 * read or has a bad line keeps the last good state in force, logged with line
 * number. E_NOENT when there is none (no users). */
int accounts_reload(struct accounts *a);

/* "anna" or "anna@any.domain" (the domain is not looked at). E_NOENT. */
int account_find(struct accounts *a, struct bytes name, struct account_user *out);
int account_by_id(struct accounts *a, uint32_t id, struct account_user *out);
/* One a call; *cursor starts at 0; E_NOENT after the last. */
int account_next(struct accounts *a, uint32_t *cursor, struct account_user *out);

/* Changes of the file (`cubby user ...`), all durable when they return OK.
 * E_EXIST, E_NOENT, E_SYNTAX (a bad name), E_IO, E_LIMIT. */
int account_add(struct accounts *a, struct bytes name, struct bytes password, bool admin, uint32_t iterations,
	struct account_user *out);
int account_set_password(struct accounts *a, struct bytes name, struct bytes password, uint32_t iterations);
int account_remove(struct accounts *a, struct bytes name, uint32_t *id);

/* ---- checking a password, in slices ---- */

/* One password check: PBKDF2 in slices of the loop, so that nobody else waits.
 * Unknown users cost the same time as wrong passwords. */
struct auth_check;
/* Takes copies. E_AGAIN: all places are taken, try in the next turn. E_LIMIT:
 * name or password is longer than any can be. */
int auth_begin(struct accounts *a, struct bytes name, struct bytes password, struct auth_check **check);
/* Runs one slice. E_AGAIN while not finished; OK with the user; E_ACCESS. The
 * check is gone after anything but E_AGAIN. */
int auth_step(struct auth_check *check, struct account_user *out);
void auth_abort(struct auth_check *check);

/* ---- throttle ---- */

/* How long a login attempt from there has to wait before it is looked at, in
 * milliseconds (0: not at all). Grows with failures of that address (IPv6: of
 * its /64) and shrinks with time; loopback and unix peers are never slowed. The
 * table is bounded; the least recent entry makes room. */
struct port_address;
uint32_t throttle_delay_ms(struct accounts *a, const struct port_address *peer, uint64_t now_us);
void throttle_failed(struct accounts *a, const struct port_address *peer, uint64_t now_us);
void throttle_succeeded(struct accounts *a, const struct port_address *peer);

#endif
