/* Checking a password in slices: first the user is looked up, then his hash is
 * computed. A name that nobody has takes the same way with a salt that is always
 * the same for it, so that neither time nor (with SCRAM) the salt tells. */
#include <assert.h>
#include <string.h>

#include "account/account_int.h"
#include "base/err.h"
#include "base/le.h"
#include "base/text.h"

/* Iterations a slice: 1,000 compressions of SHA-256 take about 4 ms on a 500 MHz
 * router and 0.15 ms on a PC. A login of 10,000 iterations is 20 slices, and the
 * others never wait longer than one of them. */
#define AUTH_SLICE 500

enum auth_state { AUTH_LOOK, AUTH_HASH };

struct auth_check {
	struct accounts *a;
	enum auth_state state;
	/* AUTH_LOOK: how far the users file has been read */
	uint32_t generation, index;
	uint64_t offset;
	uint32_t fake_index;      /* the user whose iteration count an unknown name gets */
	uint32_t fake_iterations;
	bool known;
	bool possible;            /* the password could be prepared */
	struct account_user user; /* when known */
	uint8_t name_len;
	char name[LIMIT_USER_NAME];
	size_t password_len;
	uint8_t password[ACCOUNT_PREPARED];
	struct crypto_pbkdf2 hash;
};

size_t auth_memory(uint32_t logins_at_once)
{
	return pool_size(sizeof(struct auth_check), logins_at_once);
}

bool auth_init(struct accounts *a, struct arena *arena, uint32_t logins_at_once)
{
	return pool_init(&a->checks, arena, "logins", sizeof(struct auth_check), logins_at_once);
}

/* HMAC of the name, letters folded, under the secret of this process. */
static void name_digest(const struct auth_check *c, const char *use, uint8_t out[SHA256_BYTES])
{
	uint8_t text[LIMIT_USER_NAME + 8];
	size_t n = strlen(use);

	assert(n <= 8);
	memcpy(text, use, n);
	for (size_t i = 0; i < c->name_len; i++)
		text[n++] = text_lower((uint8_t)c->name[i]);
	crypto_hmac_sha256(bytes_make(c->a->secret, sizeof c->a->secret), bytes_make(text, n), out);
}

static void look_from_start(struct auth_check *c)
{
	uint8_t digest[SHA256_BYTES];

	name_digest(c, "user", digest);
	c->generation = c->a->generation;
	c->index = 0;
	c->offset = 0;
	c->known = false;
	c->fake_index = c->a->users ? le32(digest) % c->a->users : 0;
	c->fake_iterations = ACCOUNT_ITERATIONS;
}

int auth_begin(struct accounts *a, struct bytes name, struct bytes password, struct auth_check **out)
{
	struct auth_check *c;
	struct buf text;

	name = account_local_part(name);
	if (name.len > LIMIT_USER_NAME || password.len > ACCOUNT_PASSWORD)
		return E_LIMIT;
	c = pool_get(&a->checks);
	if (!c)
		return E_AGAIN;
	(void)accounts_reload(a);
	c->a = a;
	c->state = AUTH_LOOK;
	c->name_len = (uint8_t)name.len;
	if (name.len)
		memcpy(c->name, name.data, name.len);
	buf_init(&text, c->password, sizeof c->password);
	c->possible = saslprep(password, &text) == OK && text.len > 0;
	c->password_len = text.len;
	look_from_start(c);
	*out = c;
	return OK;
}

void auth_abort(struct auth_check *c)
{
	struct pool *pool = &c->a->checks;

	crypto_wipe(c, sizeof *c);
	pool_put(pool, c);
}

static void look_at_line(struct auth_check *c, struct bytes line)
{
	struct account_user user;
	const char *why;

	if (!users_line_counts(line))
		return;
	if (c->index++ == c->fake_index && users_line_parse(line, &user, &why) == OK)
		c->fake_iterations = user.iterations;
	if (!c->known && bytes_equal_nocase(users_line_name(line), bytes_make(c->name, c->name_len)))
		c->known = users_line_parse(line, &c->user, &why) == OK;
}

/* One slice of reading. The file is always read to its end, so that the time
 * does not tell where in it a user stands. E_NOENT at the end. */
static int look(struct auth_check *c)
{
	struct users_reader r;
	struct bytes line;
	uint64_t start = c->offset;
	int err;

	if (c->generation != c->a->generation) {
		look_from_start(c);
		return E_AGAIN;
	}
	if (c->a->file < 0)
		return E_NOENT;
	users_reader_init(&r, c->a, c->a->file, c->offset);
	while ((err = users_reader_next(&r, &line)) == OK || err == E_LIMIT) {
		if (err == OK)
			look_at_line(c, line);
		c->offset = r.offset;
		if (r.offset - start >= LIMIT_SLICE_BYTES)
			return E_AGAIN;
	}
	return err;
}

static void begin_hash(struct auth_check *c)
{
	uint8_t digest[SHA256_BYTES];
	const uint8_t *salt = digest;
	uint32_t iterations = c->fake_iterations;

	name_digest(c, "salt", digest);
	if (c->known) {
		salt = c->user.salt;
		iterations = c->user.iterations;
	}
	crypto_pbkdf2_begin(&c->hash, bytes_make(c->password, c->password_len), bytes_make(salt, ACCOUNT_SALT),
		iterations);
	crypto_wipe(c->password, sizeof c->password);
	c->state = AUTH_HASH;
}

static bool matches(struct auth_check *c)
{
	uint8_t client[ACCOUNT_KEY], stored[ACCOUNT_KEY];
	bool equal;

	crypto_hmac_sha256(bytes_make(c->hash.sum, sizeof c->hash.sum), bytes_of("Client Key"), client);
	crypto_sha256(bytes_make(client, sizeof client), stored);
	equal = crypto_equal(stored, c->user.stored_key, sizeof stored);
	crypto_wipe(client, sizeof client);
	return equal && c->known && c->possible;
}

int auth_step(struct auth_check *c, struct account_user *out)
{
	int err = E_AGAIN;

	if (c->state == AUTH_LOOK) {
		err = look(c);
		if (err == E_NOENT) {
			c->known = c->known && users_owns_id(c->a, &c->user);
			begin_hash(c);
			err = E_AGAIN;
		}
	} else if (crypto_pbkdf2_step(&c->hash, AUTH_SLICE)) {
		err = matches(c) ? OK : E_ACCESS;
		if (err == OK)
			*out = c->user;
	}
	if (err != E_AGAIN)
		auth_abort(c);
	return err;
}
