/* The inside of the configuration: its table and how values are read and
 * written, shared by config.c, config_value.c, config_listen.c, config_set.c. */
#ifndef CONTROL_CONFIG_INT_H
#define CONTROL_CONFIG_INT_H

#include "control/config.h"

enum config_type {
	CONFIG_DOMAIN,
	CONFIG_PATH,
	CONFIG_ACCOUNT,
	CONFIG_SIZE,     /* uint64_t, bytes */
	CONFIG_TIME,     /* uint32_t, seconds */
	CONFIG_NUMBER,   /* uint32_t */
	CONFIG_SWITCH,   /* bool */
	CONFIG_CHOICE,   /* uint8_t, the words are in form */
	CONFIG_NETWORKS,
	CONFIG_TLS,
	CONFIG_LISTEN,
	CONFIG_MAILBOX,
	CONFIG_ORDER,
	CONFIG_ARCHIVE
};

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset;        /* of the field in struct config */
	uint64_t least, most; /* of numbers; of text, bytes with the NUL */
	const char *value;    /* default */
	const char *form;
	const char *help;
};

extern const struct config_key config_keys[];
extern const size_t config_keys_n;

/* The key at the start of *text, which is cut off it; NULL when there is none. */
const struct config_key *config_key_take(struct bytes *text);
bool config_repeatable(const struct config_key *key);

/* Why a value was refused. */
struct config_fault {
	char expected[320];
	struct bytes got;
};
/* Notes "expected ..., got ..." and returns E_SYNTAX. */
int config_refuse(struct config_fault *fault, struct bytes got, const char *expected);

/* Cuts the next word off *rest: OK, E_NOENT at the end or a comment, E_SYNTAX
 * for a quote that does not end. */
int config_word(struct bytes *rest, struct bytes *word);

/* Sets the field from the text behind the key. For a key that may stand several
 * times it is added. */
int config_value_set(const struct config_key *key, struct config *c, struct bytes text, struct config_fault *fault);
/* Appends what config_value_set would read; one line a time. */
void config_value_put(const struct config_key *key, const struct config *c, struct buf *out);

int config_copy_word(struct bytes word, char *out, size_t cap);
int config_networks_set(struct bytes *text, const char *stop, struct network *list, size_t *n,
	struct config_fault *fault);
void config_networks_put(const struct network *list, size_t n, struct buf *out);
int config_listen_set(struct config *c, struct bytes text, struct config_fault *fault);
void config_listen_put(const struct config_listener *l, struct buf *out);
void config_put_size(uint64_t n, struct buf *out);
void config_put_time(uint64_t n, struct buf *out);
/* A word, in quotes where it needs them. */
void config_put_word(const char *word, struct buf *out);

/* config_read with another name of the file in the reports. */
int config_read_as(const char *path, const char *shown, struct config *c, config_report *report, void *context);

/* A file line by line. */
struct config_lines {
	port_file file;
	uint64_t offset;
	size_t len, at;
	unsigned number;
	uint8_t text[CONFIG_LINE + 2];
};
void config_lines_init(struct config_lines *l, port_file file);
/* The next line without its end: OK, E_NOENT after the last, E_LIMIT for one
 * that is too long, E_TOOBIG for a file that is, E_IO. */
int config_lines_next(struct config_lines *l, struct bytes *line);

#endif
