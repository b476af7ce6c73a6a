/* The configuration: one text file, `key value` a line, '#' begins a comment,
 * words with blanks stand in double quotes. One table (config.c) drives reading,
 * the defaults, the messages and the list of settings; an unknown key, a bad
 * value or a wrong unit is refused with file, line and what was expected. Sizes
 * take K M G (powers of 1024), times s m h d. No memory is allocated: this runs
 * before the arena exists. */
#ifndef CONTROL_CONFIG_H
#define CONTROL_CONFIG_H

#include "base/bytes.h"
#include "base/limits.h"
#include "net/loop.h"
#include "port/file.h"

/* Lines of `listen`; two for each of IMAP's ports are the defaults. */
#define CONFIG_LISTENERS 32
/* Lines of `mailbox`. */
#define CONFIG_MAILBOX_RULES 32
/* Bytes of a line; sixteen IPv6 networks fit. Beyond it: refused. */
#define CONFIG_LINE 1024
/* Bytes of the file. Beyond it: refused. */
#define CONFIG_FILE (64 * 1024)
/* Faults that are reported before reading is given up. */
#define CONFIG_FAULTS 20
/* Bytes of where a listener listens: as much as a unix socket's path may have. */
#define CONFIG_WHERE 128
/* Keys of the table, at most. */
#define CONFIG_KEYS 40

enum config_protocol {
	CONFIG_IMAP,
	CONFIG_IMAPS,
	CONFIG_POP3,
	CONFIG_POP3S,
	CONFIG_LMTP,
	CONFIG_SMTP,
	CONFIG_SUBMISSION,
	CONFIG_SUBMISSIONS,
	CONFIG_DEVICE,
	CONFIG_CONTROL,
	CONFIG_PROTOCOLS
};
/* "imap" and so on. */
const char *config_protocol_name(enum config_protocol protocol);

struct config_listener {
	enum config_protocol protocol;
	char where[CONFIG_WHERE];           /* as port_listen takes it */
	bool optional;                      /* a default: what the system can't do is left out with a word */
	struct network from[LOOP_NETWORKS]; /* who may connect; none: allow-from */
	size_t from_n;
	uint64_t size; /* bytes of the largest message, 0: message-size */
	uint32_t rate; /* messages a minute and peer, 0: any */
};

enum config_cleartext { CONFIG_CLEARTEXT_NEVER, CONFIG_CLEARTEXT_LOOPBACK, CONFIG_CLEARTEXT_ALWAYS };

enum config_rule { CONFIG_RULE_AGE, CONFIG_RULE_COUNT, CONFIG_RULE_BYTES, CONFIG_RULE_KEEP };
struct config_mailbox {
	char name[LIMIT_MAILBOX_NAME + 1]; /* UTF-8 */
	enum config_rule rule;
	uint64_t value; /* seconds, messages or bytes; 0 with KEEP */
};

/* What may go when room is needed, in the order of `evict order`. */
enum config_class {
	CONFIG_CLASS_DELETED,
	CONFIG_CLASS_JUNK,
	CONFIG_CLASS_TRASH,
	CONFIG_CLASS_RING, /* mailboxes with a rule */
	CONFIG_CLASS_SEEN,
	CONFIG_CLASS_UNSEEN,
	CONFIG_CLASS_SENT,
	CONFIG_CLASS_ARCHIVE,
	CONFIG_CLASSES
};

struct config {
	char domain[256]; /* empty: the box's own name */
	char store[PORT_PATH_MAX], users[PORT_PATH_MAX];
	uint64_t storage, memory; /* bytes */
	uint64_t message_size, quota; /* bytes; quota 0: none */
	uint32_t connections;
	struct config_listener listen[CONFIG_LISTENERS];
	size_t listen_n;
	struct network allow_from[LOOP_NETWORKS];
	size_t allow_from_n;
	char tls_certificate[PORT_PATH_MAX], tls_key[PORT_PATH_MAX];
	uint8_t cleartext_login; /* enum config_cleartext */
	bool imap4rev2;
	uint32_t login_timeout_s, idle_notify_s, flag_delay_s;
	uint32_t scram_iterations;
	struct config_mailbox mailbox[CONFIG_MAILBOX_RULES];
	size_t mailbox_n;
	bool evict;
	uint32_t evict_high, evict_low;             /* per cent of the capacity */
	uint8_t evict_order[CONFIG_CLASSES];        /* enum config_class */
	size_t evict_order_n;
	uint32_t evict_seen_age_s, evict_protect_s; /* box time */
	char evict_archive[PORT_PATH_MAX];          /* a Maildir, empty: none */
	bool evict_archive_required;
	uint8_t language; /* enum notice_language */
	bool allow_volatile, memory_lock;
	char run_as[64], chroot[PORT_PATH_MAX]; /* empty: don't */
	uint16_t line[CONFIG_KEYS]; /* where each key stood, 0: nowhere */
};

/* One line for the owner, without its end; valid during the call. */
typedef void config_report(void *context, const char *text);

/* Everything as it is when the file says nothing. */
void config_defaults(struct config *c);
/* Defaults, then the file. OK; E_SYNTAX: faults, each reported as
 * "FILE:LINE: key: expected ..., got ..."; E_NOENT, E_ACCESS, E_IO, E_TOOBIG:
 * reported too. c is complete only after OK. */
int config_read(const char *path, struct config *c, config_report *report, void *context);

/* Rewrites the file with another value for a key, all other lines and comments
 * kept, in one step and durable. Of a key that may stand several times a line is
 * added. value.data NULL takes the key out. The result is read into *scratch
 * first and refused when it has a fault: E_SYNTAX, reported. E_NOENT: no such
 * key. E_BUSY: another process is at it. E_IO, E_NOSPC, E_ACCESS, E_LIMIT. */
int config_set(const char *path, const char *key, struct bytes value, struct config *scratch, config_report *report,
	void *context);

/* Appends the value in force as the file would have it, one line for each time
 * that the key stands there (and none for what is not set). E_NOENT: no such
 * key; E_LIMIT: no room. */
int config_get(const struct config *c, const char *key, struct buf *out);

/* The i-th setting for `--help` and the README; false after the last. */
struct config_setting {
	const char *key;   /* "evict seen-age" */
	const char *form;  /* "SIZE" */
	const char *value; /* default as text, "" for none; several with line ends between */
	const char *help;  /* a sentence without its full stop */
	bool repeatable;
};
bool config_setting(size_t i, struct config_setting *out);

#endif
