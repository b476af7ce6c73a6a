/* Values of the configuration: from text to fields and back. */
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "control/config_int.h"

static const char *const classes[CONFIG_CLASSES] = { "deleted", "junk", "trash", "ring", "seen", "unseen", "sent",
	"archive" };

static const char *const rules[] = { "age", "count", "bytes", "keep" };

/* ---- text ---- */

int config_refuse(struct config_fault *fault, struct bytes got, const char *expected)
{
	struct buf out;

	buf_init(&out, fault->expected, sizeof fault->expected - 1);
	buf_puts(&out, expected);
	buf_terminate(&out);
	fault->got = got;
	return E_SYNTAX;
}

int config_word(struct bytes *rest, struct bytes *word)
{
	struct bytes b = text_trim(*rest);

	if (b.len == 0 || b.data[0] == '#') {
		*rest = bytes_make(NULL, 0);
		*word = *rest;
		return E_NOENT;
	}
	if (b.data[0] == '"') {
		size_t end;

		b = bytes_part(b, 1, b.len);
		end = bytes_index(b, '"');
		*word = bytes_part(b, 0, end);
		*rest = bytes_part(b, end + 1, b.len);
		return end == b.len || (rest->len && !text_is(rest->data[0], TEXT_SPACE)) ? E_SYNTAX : OK;
	}
	*word = text_word(&b);
	*rest = b;
	return bytes_index(*word, '"') == word->len ? OK : E_SYNTAX;
}

void config_put_word(const char *word, struct buf *out)
{
	bool quotes = word[0] == '\0' || word[0] == '#' || strpbrk(word, " \t");

	if (quotes)
		buf_putc(out, '"');
	buf_puts(out, word);
	if (quotes)
		buf_putc(out, '"');
}

int config_copy_word(struct bytes word, char *out, size_t cap)
{
	if (word.len >= cap)
		return E_LIMIT;
	if (word.len)
		memcpy(out, word.data, word.len);
	memset(out + word.len, 0, cap - word.len);
	return OK;
}

/* The one word that text is. */
static int only_word(struct bytes text, struct bytes *word, const char *expected, struct config_fault *fault)
{
	struct bytes rest = text, more;

	if (config_word(&rest, word) != OK || config_word(&rest, &more) != E_NOENT)
		return config_refuse(fault, text_trim(text), expected);
	return OK;
}

static bool is_host_name(struct bytes b)
{
	bool start = true;

	for (size_t i = 0; i < b.len; i++) {
		bool edge = start || i + 1 == b.len || b.data[i + 1] == '.';

		if (!text_is(b.data[i], TEXT_ALPHA | TEXT_DIGIT) && (edge || (b.data[i] != '-' && b.data[i] != '.')))
			return false;
		start = b.data[i] == '.';
	}
	return b.len > 0 && b.len <= 253;
}

static bool is_account(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (!text_is(b.data[i], TEXT_ALPHA | TEXT_DIGIT) && b.data[i] != '_' && (b.data[i] != '-' || i == 0))
			return false;
	return b.len > 0;
}

static int set_text(const struct config_key *key, char *field, struct bytes text, struct config_fault *fault)
{
	const char *expected = key->type == CONFIG_DOMAIN ? "a host name such as mail.example.org"
		: key->type == CONFIG_ACCOUNT             ? "the name of a user of the system"
							  : "one path (in quotes if it has blanks)";
	struct bytes word;
	int err = only_word(text, &word, expected, fault);

	if (err != OK)
		return err;
	if (word.len == 0 || (key->type == CONFIG_DOMAIN && !is_host_name(word)) ||
		(key->type == CONFIG_ACCOUNT && !is_account(word)))
		return config_refuse(fault, word, expected);
	if (config_copy_word(word, field, (size_t)key->most) != OK)
		return config_refuse(fault, word, "something shorter");
	return OK;
}

/* ---- numbers ---- */

static void put_with_unit(uint64_t n, const uint64_t *factor, const char *units, struct buf *out)
{
	size_t best = 0;

	for (size_t i = 0; units[i]; i++)
		if (n && n % factor[i] == 0)
			best = i + 1;
	buf_put_number(out, best ? n / factor[best - 1] : n);
	if (best)
		buf_putc(out, (uint8_t)units[best - 1]);
}

void config_put_size(uint64_t n, struct buf *out)
{
	static const uint64_t factor[] = { 1u << 10, 1u << 20, 1u << 30 };

	put_with_unit(n, factor, "KMG", out);
}

void config_put_time(uint64_t n, struct buf *out)
{
	static const uint64_t factor[] = { 1, 60, 3600, 86400 };

	put_with_unit(n, factor, "smhd", out);
}

static void put_number_of(enum config_type type, uint64_t n, struct buf *out)
{
	if (type == CONFIG_SIZE)
		config_put_size(n, out);
	else if (type == CONFIG_TIME)
		config_put_time(n, out);
	else
		buf_put_number(out, n);
}

static int read_number_of(enum config_type type, struct bytes word, uint64_t *n)
{
	return type == CONFIG_SIZE    ? text_size(word, n)
		: type == CONFIG_TIME ? text_duration(word, n)
				      : text_number(word, UINT64_MAX, n);
}

static int refuse_number(const struct config_key *key, struct bytes got, struct config_fault *fault)
{
	static const char *const what[] = { [CONFIG_SIZE] = "a size (digits, then K, M or G)",
		[CONFIG_TIME] = "a time (seconds, or digits and s, m, h or d)",
		[CONFIG_NUMBER] = "a number" };
	char text[128];
	struct buf out;

	buf_init(&out, text, sizeof text - 1);
	buf_printf(&out, "%s from ", what[key->type]);
	put_number_of(key->type, key->least, &out);
	buf_puts(&out, " to ");
	put_number_of(key->type, key->most, &out);
	buf_terminate(&out);
	return config_refuse(fault, got, text);
}

static int set_number(const struct config_key *key, void *field, struct bytes text, struct config_fault *fault)
{
	struct bytes word;
	uint64_t n;
	uint32_t narrow;

	if (only_word(text, &word, "", fault) != OK)
		return refuse_number(key, text_trim(text), fault);
	if (read_number_of(key->type, word, &n) != OK || n < key->least || n > key->most)
		return refuse_number(key, word, fault);
	narrow = (uint32_t)n;
	if (key->type == CONFIG_SIZE)
		memcpy(field, &n, sizeof n);
	else
		memcpy(field, &narrow, sizeof narrow);
	return OK;
}

/* ---- words from a list ---- */

static int set_switch(const struct config_key *key, bool *field, struct bytes text, struct config_fault *fault)
{
	struct bytes rest = text, word;

	/* The key alone means yes. */
	if (config_word(&rest, &word) == E_NOENT) {
		*field = true;
		return OK;
	}
	if (only_word(text, &word, key->form, fault) != OK)
		return E_SYNTAX;
	*field = bytes_is(word, "on") || bytes_is(word, "yes");
	return *field || bytes_is(word, "off") || bytes_is(word, "no") ? OK : config_refuse(fault, word, key->form);
}

/* The words stand in key->form with '|' between them; the field gets the number
 * of the one that was named. */
static int set_choice(const struct config_key *key, uint8_t *field, struct bytes text, struct config_fault *fault)
{
	struct bytes word, rest = bytes_of(key->form);

	if (only_word(text, &word, key->form, fault) != OK)
		return E_SYNTAX;
	for (uint8_t i = 0; rest.len; i++) {
		size_t n = bytes_index(rest, '|');

		if (bytes_equal(bytes_part(rest, 0, n), word)) {
			*field = i;
			return OK;
		}
		rest = bytes_part(rest, n + 1, rest.len);
	}
	return config_refuse(fault, word, key->form);
}

static void put_choice(const struct config_key *key, uint8_t value, struct buf *out)
{
	struct bytes rest = bytes_of(key->form);

	while (value-- > 0)
		rest = bytes_part(rest, bytes_index(rest, '|') + 1, rest.len);
	buf_putb(out, bytes_part(rest, 0, bytes_index(rest, '|')));
}

/* Index in a list of n words, or n. */
static size_t index_of(struct bytes word, const char *const *list, size_t n)
{
	size_t i = 0;

	while (i < n && !bytes_equal(word, bytes_of(list[i])))
		i++;
	return i;
}

static int set_order(struct config *c, struct bytes text, struct config_fault *fault)
{
	static const char expected[] = "classes, each once: deleted junk trash ring seen unseen sent archive";
	struct bytes rest = text, word;
	int err;

	c->evict_order_n = 0;
	memset(c->evict_order, 0, sizeof c->evict_order);
	while ((err = config_word(&rest, &word)) == OK) {
		size_t class = index_of(word, classes, CONFIG_CLASSES);

		if (class == CONFIG_CLASSES || c->evict_order_n == CONFIG_CLASSES ||
			memchr(c->evict_order, (int)class, c->evict_order_n))
			return config_refuse(fault, word, expected);
		c->evict_order[c->evict_order_n++] = (uint8_t)class;
	}
	return err == E_NOENT && c->evict_order_n ? OK : config_refuse(fault, text_trim(text), expected);
}

/* ---- what has parts ---- */

static int set_two(struct bytes text, char *first, char *second, size_t cap, const char *expected,
	struct config_fault *fault)
{
	struct bytes rest = text, a, b, more;

	if (config_word(&rest, &a) != OK || config_word(&rest, &b) != OK || config_word(&rest, &more) != E_NOENT ||
		a.len == 0 || b.len == 0)
		return config_refuse(fault, text_trim(text), expected);
	if (config_copy_word(a, first, cap) != OK || config_copy_word(b, second, cap) != OK)
		return config_refuse(fault, text_trim(text), "shorter paths");
	return OK;
}

static int set_archive(struct config *c, struct bytes text, struct config_fault *fault)
{
	static const char expected[] = "a path, then required or best-effort";
	struct bytes rest = text, dir, how, more;

	if (config_word(&rest, &dir) != OK || config_word(&rest, &how) != OK || config_word(&rest, &more) != E_NOENT ||
		dir.len == 0)
		return config_refuse(fault, text_trim(text), expected);
	c->evict_archive_required = bytes_is(how, "required");
	if (!c->evict_archive_required && !bytes_is(how, "best-effort"))
		return config_refuse(fault, how, expected);
	return config_copy_word(dir, c->evict_archive, sizeof c->evict_archive) == OK
		? OK
		: config_refuse(fault, dir, "a shorter path");
}

static bool is_mailbox_name(struct bytes name)
{
	return name.len > 0 && name.len <= LIMIT_MAILBOX_NAME && name.data[0] != '/' && name.data[name.len - 1] != '/';
}

static int set_mailbox(struct config *c, struct bytes text, struct config_fault *fault)
{
	static const char expected[] =
		"a name (in quotes if it has blanks), then age TIME, count N, bytes SIZE or keep";
	static const enum config_type types[] = { CONFIG_TIME, CONFIG_NUMBER, CONFIG_SIZE };
	struct bytes rest = text, name, rule, value, more;
	struct config_mailbox *m = &c->mailbox[c->mailbox_n];
	size_t kind;
	int err;

	if (c->mailbox_n == CONFIG_MAILBOX_RULES)
		return config_refuse(fault, text_trim(text), "at most 32 rules");
	if (config_word(&rest, &name) != OK || config_word(&rest, &rule) != OK || !is_mailbox_name(name))
		return config_refuse(fault, text_trim(text), expected);
	kind = index_of(rule, rules, CONFIG_RULE_KEEP + 1);
	if (kind > CONFIG_RULE_KEEP)
		return config_refuse(fault, rule, "age, count, bytes or keep");
	*m = (struct config_mailbox){ .rule = (enum config_rule)kind };
	err = config_word(&rest, &value);
	if (kind == CONFIG_RULE_KEEP)
		more = value;
	else if (err != OK || read_number_of(types[kind], value, &m->value) != OK || m->value == 0)
		return config_refuse(fault, value,
			kind == CONFIG_RULE_AGE             ? "a time such as 30d"
				: kind == CONFIG_RULE_COUNT ? "a number of messages"
							    : "a size such as 10M");
	else
		err = config_word(&rest, &more);
	if (err != E_NOENT)
		return config_refuse(fault, text_trim(text), expected);
	(void)config_copy_word(name, m->name, sizeof m->name);
	c->mailbox_n++;
	return OK;
}

static void put_mailbox(const struct config_mailbox *m, struct buf *out)
{
	config_put_word(m->name, out);
	buf_putc(out, ' ');
	buf_puts(out, rules[m->rule]);
	if (m->rule == CONFIG_RULE_KEEP)
		return;
	buf_putc(out, ' ');
	put_number_of(m->rule == CONFIG_RULE_AGE       ? CONFIG_TIME
			: m->rule == CONFIG_RULE_COUNT ? CONFIG_NUMBER
						       : CONFIG_SIZE,
		m->value, out);
}

static int set_networks(struct config *c, struct bytes text, struct config_fault *fault)
{
	c->allow_from_n = 0;
	memset(c->allow_from, 0, sizeof c->allow_from);
	return config_networks_set(&text, NULL, c->allow_from, &c->allow_from_n, fault);
}

/* ---- any ---- */

int config_value_set(const struct config_key *key, struct config *c, struct bytes text, struct config_fault *fault)
{
	void *field = (uint8_t *)c + key->offset;

	switch (key->type) {
	case CONFIG_DOMAIN:
	case CONFIG_PATH:
	case CONFIG_ACCOUNT:
		return set_text(key, field, text, fault);
	case CONFIG_SIZE:
	case CONFIG_TIME:
	case CONFIG_NUMBER:
		return set_number(key, field, text, fault);
	case CONFIG_SWITCH:
		return set_switch(key, field, text, fault);
	case CONFIG_CHOICE:
		return set_choice(key, field, text, fault);
	case CONFIG_NETWORKS:
		return set_networks(c, text, fault);
	case CONFIG_TLS:
		return set_two(text, c->tls_certificate, c->tls_key, PORT_PATH_MAX,
			"two paths, of the certificate and of its key", fault);
	case CONFIG_LISTEN:
		return config_listen_set(c, text, fault);
	case CONFIG_MAILBOX:
		return set_mailbox(c, text, fault);
	case CONFIG_ORDER:
		return set_order(c, text, fault);
	case CONFIG_ARCHIVE:
		return set_archive(c, text, fault);
	}
	return E_STATE;
}

static void put_plain(const struct config_key *key, const void *field, struct buf *out)
{
	uint64_t wide;
	uint32_t narrow;

	switch (key->type) {
	case CONFIG_SIZE:
		memcpy(&wide, field, sizeof wide);
		config_put_size(wide, out);
		break;
	case CONFIG_TIME:
	case CONFIG_NUMBER:
		memcpy(&narrow, field, sizeof narrow);
		put_number_of(key->type, narrow, out);
		break;
	case CONFIG_SWITCH:
		put_choice(key, *(const bool *)field ? 0 : 1, out);
		break;
	case CONFIG_CHOICE:
		put_choice(key, *(const uint8_t *)field, out);
		break;
	default:
		if (*(const char *)field)
			config_put_word(field, out);
	}
}

static void put_lines(const struct config_key *key, const struct config *c, struct buf *out)
{
	size_t n = key->type == CONFIG_LISTEN ? c->listen_n : c->mailbox_n;

	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_putc(out, '\n');
		if (key->type == CONFIG_LISTEN)
			config_listen_put(&c->listen[i], out);
		else
			put_mailbox(&c->mailbox[i], out);
	}
}

void config_value_put(const struct config_key *key, const struct config *c, struct buf *out)
{
	switch (key->type) {
	case CONFIG_NETWORKS:
		config_networks_put(c->allow_from, c->allow_from_n, out);
		break;
	case CONFIG_TLS:
		config_put_word(c->tls_certificate, out);
		buf_putc(out, ' ');
		config_put_word(c->tls_key, out);
		break;
	case CONFIG_LISTEN:
	case CONFIG_MAILBOX:
		put_lines(key, c, out);
		break;
	case CONFIG_ORDER:
		for (size_t i = 0; i < c->evict_order_n; i++)
			buf_printf(out, "%s%s", i ? " " : "", classes[c->evict_order[i]]);
		break;
	case CONFIG_ARCHIVE:
		if (c->evict_archive[0] == '\0')
			break;
		config_put_word(c->evict_archive, out);
		buf_puts(out, c->evict_archive_required ? " required" : " best-effort");
		break;
	default:
		put_plain(key, (const uint8_t *)c + key->offset, out);
	}
}
