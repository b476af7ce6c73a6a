/* What the files of this folder share. */
#ifndef ACCOUNT_ACCOUNT_INT_H
#define ACCOUNT_ACCOUNT_INT_H

#include "account/account.h"
#include "account/saslprep.h"
#include "base/crypto.h"
#include "base/table.h"
#include "port/file.h"

/* Bytes read at once. */
#define ACCOUNT_BUFFER 4096

/* Users kept resident: mail mostly comes for a few. */
#define ACCOUNT_CACHE 8

/* Bytes of the first line that are looked at: its counters. */
#define ACCOUNT_HEAD 80

#define ACCOUNT_PREPARED (ACCOUNT_PASSWORD * SASLPREP_GROWTH / 2)

/* By what a changed file is told from the one that was read. */
struct users_stamp {
	int64_t modified, size;
	uint8_t head[ACCOUNT_HEAD];
};

struct accounts {
	char path[PORT_PATH_MAX];
	port_file file; /* the one in force; negative: none */
	struct users_stamp seen;
	int seen_result;     /* what looking at it gave */
	uint32_t generation; /* ascends when `file` or its content changes */
	uint32_t users;      /* lines of users in it */
	uint32_t next_id, change;
	uint32_t hint_id;    /* account_next: this user's line ends at hint_offset */
	uint64_t hint_offset;
	uint32_t hint_generation;
	struct account_user cache[ACCOUNT_CACHE];
	uint32_t cached, cache_turn;
	uint8_t secret[32];  /* of this process, for the salts of unknown users */
	struct pool checks;
	struct table throttle;
	struct throttle_status throttled; /* without its addresses */
	uint8_t buffer[ACCOUNT_BUFFER];
};

/* Reads a users file line by line through the buffer of a; one at a time. */
struct users_reader {
	struct accounts *a;
	port_file file;
	uint64_t offset; /* of the first byte not yet given out */
	uint64_t loaded; /* what the buffer has is at loaded .. loaded + len */
	size_t len;
	uint32_t line;   /* number of the line given out last, when started at 0 */
};
void users_reader_init(struct users_reader *r, struct accounts *a, port_file file, uint64_t offset);
/* The next line without its end; valid until the next call. E_NOENT after the
 * last; E_LIMIT for a line that is too long (it is passed over); E_IO. */
int users_reader_next(struct users_reader *r, struct bytes *line);

/* True for a line that has a user, not a comment. */
bool users_line_counts(struct bytes line);
/* Its first field. */
struct bytes users_line_name(struct bytes line);
/* E_SYNTAX, *why then says what is wrong. */
int users_line_parse(struct bytes line, struct account_user *user, const char **why);
/* Appends such a line with its end. */
bool users_line_put(const struct account_user *user, struct buf *out);
/* Sets next and change from a first line; false when it is another line. */
bool users_head_parse(struct bytes line, uint32_t *next, uint32_t *change);

/* False when the file has bad lines and gives the user's id to another one too,
 * who stands before him. Reads the file only then, with the buffer of a. */
bool users_owns_id(struct accounts *a, const struct account_user *user);

/* "anna" of "anna@box". */
struct bytes account_local_part(struct bytes name);

size_t throttle_memory(void);
bool throttle_init(struct accounts *a, struct arena *arena);
size_t auth_memory(uint32_t logins_at_once);
bool auth_init(struct accounts *a, struct arena *arena, uint32_t logins_at_once);

#endif
