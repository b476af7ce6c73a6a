/* Addresses and networks of the configuration. */
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "control/config_int.h"

static const char *const protocols[CONFIG_PROTOCOLS] = { "imap", "imaps", "pop3", "pop3s", "lmtp", "smtp", "submission",
	"submissions", "device", "control" };

/* What a unix socket's address has room for on Linux, with its NUL. */
#define UNIX_PATH 108
/* What an interface's name has room for on Linux, with its NUL. */
#define INTERFACE_NAME 16
/* Messages a minute. */
#define RATE_MOST 100000

const char *config_protocol_name(enum config_protocol protocol)
{
	return protocol < CONFIG_PROTOCOLS ? protocols[protocol] : "?";
}

static bool is_ip(struct bytes text, bool six)
{
	struct network n;

	return bytes_index(text, '/') == text.len && (bytes_index(text, ':') < text.len) == six &&
		network_parse(text, &n) == OK;
}

static bool is_interface(struct bytes text)
{
	if (text.len == 0 || text.len >= INTERFACE_NAME || text_is(text.data[0], TEXT_DIGIT))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!text_is(text.data[i], TEXT_ALPHA | TEXT_DIGIT) && !strchr("-_.@", (int)text.data[i]))
			return false;
	return true;
}

static bool is_where(struct bytes where)
{
	size_t colon = where.len;
	struct bytes host;
	uint64_t port;

	if (bytes_starts_nocase(where, "unix:"))
		return where.len > 5 && where.len - 5 < UNIX_PATH;
	while (colon > 0 && where.data[colon - 1] != ':')
		colon--;
	if (colon == 0 || text_number(bytes_part(where, colon, where.len), 65535, &port) != OK)
		return false;
	host = bytes_part(where, 0, colon - 1);
	if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
		return is_ip(bytes_part(host, 1, host.len - 2), true);
	return is_ip(host, false) || is_interface(host);
}

/* Reads networks up to the end or a word that is one of those in stop (blanks
 * between them), which is left in *text. */
static bool stops(struct bytes word, const char *stop)
{
	struct bytes list = stop ? bytes_of(stop) : bytes_make(NULL, 0);

	while (list.len)
		if (bytes_equal(text_word(&list), word))
			return true;
	return false;
}

int config_networks_set(struct bytes *text, const char *stop, struct network *list, size_t *n,
	struct config_fault *fault)
{
	static const char expected[] = "networks such as 192.168.0.0/16 or fe80::/10";
	struct bytes rest = *text, word;
	size_t before = *n;
	int err;

	while ((err = config_word(&rest, &word)) == OK && !stops(word, stop)) {
		if (*n == LOOP_NETWORKS)
			return config_refuse(fault, word, "at most 16 networks");
		if (network_parse(word, &list[*n]) != OK)
			return config_refuse(fault, word, expected);
		++*n;
		*text = rest;
	}
	if (err == E_SYNTAX || *n == before)
		return config_refuse(fault, text_trim(*text), expected);
	if (err == E_NOENT)
		*text = rest;
	return OK;
}

static void put_ip6(const uint8_t ip[16], struct buf *out)
{
	size_t best = 8, best_len = 1; /* the longest run of zero groups, RFC 5952 4.2 */

	for (size_t i = 0; i < 8; i++) {
		size_t n = 0;

		while (i + n < 8 && ip[2 * (i + n)] == 0 && ip[2 * (i + n) + 1] == 0)
			n++;
		if (n > best_len) {
			best = i;
			best_len = n;
		}
	}
	for (size_t i = 0; i < 8; i++) {
		if (i == best) {
			buf_puts(out, "::");
			i += best_len - 1;
			continue;
		}
		if (i && i != best + best_len)
			buf_putc(out, ':');
		buf_printf(out, "%x", (unsigned)ip[2 * i] << 8 | ip[2 * i + 1]);
	}
}

void config_networks_put(const struct network *list, size_t n, struct buf *out)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	for (size_t i = 0; i < n; i++) {
		const uint8_t *ip = list[i].ip;
		bool four = list[i].bits >= 96 && memcmp(ip, mapped, sizeof mapped) == 0;
		unsigned bits = list[i].bits - (four ? 96u : 0u);

		if (i)
			buf_putc(out, ' ');
		if (four)
			buf_printf(out, "%u.%u.%u.%u", ip[12], ip[13], ip[14], ip[15]);
		else
			put_ip6(ip, out);
		if (bits != (four ? 32u : 128u))
			buf_printf(out, "/%u", bits);
	}
}

static int set_rate(struct config_listener *l, struct bytes word, struct config_fault *fault)
{
	static const char expected[] = "a rate such as 30/min, at most 100000/min";
	size_t slash = bytes_index(word, '/');
	uint64_t n;

	if (!bytes_equal(bytes_part(word, slash, word.len), bytes_of("/min")) ||
		text_number(bytes_part(word, 0, slash), RATE_MOST, &n) != OK || n == 0)
		return config_refuse(fault, word, expected);
	l->rate = (uint32_t)n;
	return OK;
}

static int set_option(struct config_listener *l, struct bytes option, struct bytes *rest, struct config_fault *fault)
{
	struct bytes word = bytes_make(NULL, 0);

	if (bytes_equal(option, bytes_of("from")))
		return config_networks_set(rest, "size rate", l->from, &l->from_n, fault);
	if (!bytes_equal(option, bytes_of("size")) && !bytes_equal(option, bytes_of("rate")))
		return config_refuse(fault, option, "from, size or rate");
	(void)config_word(rest, &word);
	if (bytes_equal(option, bytes_of("rate")))
		return set_rate(l, word, fault);
	if (text_size(word, &l->size) != OK || l->size == 0 || l->size > LIMIT_MESSAGE)
		return config_refuse(fault, word, "a size such as 10M, less than 2G");
	return OK;
}

int config_listen_set(struct config *c, struct bytes text, struct config_fault *fault)
{
	struct config_listener *l = &c->listen[c->listen_n];
	struct bytes rest = text, word;
	size_t protocol = 0;
	int err = config_word(&rest, &word);

	while (protocol < CONFIG_PROTOCOLS && !bytes_equal(word, bytes_of(protocols[protocol])))
		protocol++;
	if (err != OK || protocol == CONFIG_PROTOCOLS)
		return config_refuse(fault, word,
			"a protocol (imap imaps pop3 pop3s lmtp smtp submission submissions device control)");
	if (c->listen_n == CONFIG_LISTENERS)
		return config_refuse(fault, text_trim(text), "at most 32 listeners");
	*l = (struct config_listener){ .protocol = (enum config_protocol)protocol };
	err = config_word(&rest, &word);
	if (err != OK || !is_where(word) || config_copy_word(word, l->where, sizeof l->where) != OK)
		return config_refuse(fault, word, "an address (IP:PORT, [IP6]:PORT, INTERFACE:PORT or unix:PATH)");
	if (protocol == CONFIG_CONTROL && !bytes_starts_nocase(word, "unix:"))
		return config_refuse(fault, word, "unix:PATH (the control socket is for this box alone)");
	while ((err = config_word(&rest, &word)) == OK) {
		err = set_option(l, word, &rest, fault);
		if (err != OK)
			return err;
	}
	if (err != E_NOENT)
		return config_refuse(fault, word, "a quote at its end");
	c->listen_n++;
	return OK;
}

void config_listen_put(const struct config_listener *l, struct buf *out)
{
	buf_puts(out, protocols[l->protocol]);
	buf_putc(out, ' ');
	config_put_word(l->where, out);
	if (l->from_n) {
		buf_puts(out, " from ");
		config_networks_put(l->from, l->from_n, out);
	}
	if (l->size) {
		buf_puts(out, " size ");
		config_put_size(l->size, out);
	}
	if (l->rate)
		buf_printf(out, " rate %lu/min", (unsigned long)l->rate);
}
