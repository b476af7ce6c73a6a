#include "control/archive_name.h"

#include <string.h>

#include "base/err.h"
#include "base/siphash.h"
#include "base/text.h"
#include "mail/mutf7.h"

/* Modified UTF-7 of a name of é and plain letters in turn: 7 bytes for 3. */
#define CODED (LIMIT_MAILBOX_NAME * 3)

static bool is_plain(uint8_t c)
{
	return text_is(c, TEXT_ALPHA | TEXT_DIGIT) || (c && strchr("-_&+,=@", c));
}

static bool put_byte(struct buf *out, uint8_t c)
{
	return is_plain(c) ? buf_putc(out, c) : buf_printf(out, "%%%02X", c);
}

bool archive_put_user(struct bytes user, struct buf *out)
{
	bool ok = true;

	for (size_t i = 0; i < user.len; i++)
		ok = put_byte(out, user.data[i]) && ok;
	return ok;
}

/* The beginning of a coded name, and a hash that tells it from the others. */
static bool put_cut(struct bytes mailbox, struct bytes coded, struct buf *out)
{
	static const uint8_t key[SIPHASH_KEY] = "cubby's archive";
	size_t n = ARCHIVE_FOLDER - 18;

	/* no %XX is cut in two */
	while (coded.data[n - 1] == '%' || coded.data[n - 2] == '%')
		n--;
	return buf_putb(out, bytes_part(coded, 0, n)) &&
		buf_printf(out, "%%~%08x%08x", (unsigned)(siphash(key, mailbox) >> 32),
			(unsigned)siphash(key, mailbox));
}

int archive_put_folder(struct bytes mailbox, struct buf *out, bool *whole)
{
	uint8_t coded[CODED], space[CODED * 3];
	struct buf utf7, name;
	int err;

	*whole = true;
	if (bytes_is(mailbox, "INBOX"))
		return OK;
	buf_init(&utf7, coded, sizeof coded);
	buf_init(&name, space, sizeof space);
	err = mutf7_from_utf8(mailbox, &utf7);
	if (err != OK)
		return err;
	(void)buf_putc(&name, '.');
	for (size_t i = 0; i < utf7.len; i++)
		(void)(coded[i] == '/' ? buf_putc(&name, '.') : put_byte(&name, coded[i]));
	*whole = name.len <= ARCHIVE_FOLDER;
	if (!*whole)
		return put_cut(mailbox, buf_bytes(&name), out) ? OK : E_LIMIT;
	return buf_putb(out, buf_bytes(&name)) ? OK : E_LIMIT;
}

/* Appends the text with %XX as bytes, and dots as '/' where they separate. */
static int read_name(const char *name, bool dots, struct buf *out)
{
	for (; *name; name++) {
		uint8_t c = (uint8_t)*name;

		if (c == '%') {
			int high = text_hex((uint8_t)name[1]), low = high < 0 ? -1 : text_hex((uint8_t)name[2]);

			if (low < 0)
				return E_SYNTAX;
			c = (uint8_t)(high * 16 + low);
			name += 2;
		} else if (c == '.' && dots) {
			c = '/';
		} else if (!is_plain(c)) {
			return E_SYNTAX;
		}
		if (!buf_putc(out, c))
			return E_LIMIT;
	}
	return OK;
}

int archive_read_user(const char *folder, struct buf *out)
{
	return folder[0] ? read_name(folder, false, out) : E_SYNTAX;
}

int archive_read_folder(const char *folder, struct buf *out)
{
	uint8_t coded[CODED];
	struct buf utf7;
	int err;

	if (folder[0] != '.' || !folder[1])
		return E_SYNTAX;
	buf_init(&utf7, coded, sizeof coded);
	err = read_name(folder + 1, true, &utf7);
	return err == OK ? mutf7_to_utf8(buf_bytes(&utf7), out) : err;
}

bool archive_put_message(uint64_t store, const struct store_entry *e, struct buf *out)
{
	return buf_printf(out, "%lld.C%08x%08x.O%x%08x.U%u,D=%lld,Z=%d", (long long)e->received,
		(unsigned)(store >> 32), (unsigned)store, (unsigned)(e->object >> 32), (unsigned)e->object, e->uid,
		(long long)e->received, e->zone);
}

/* A number, maybe with a '-' in front, behind `key` and before the next ',' or
 * the flags. */
static bool read_field(const char *name, const char *key, uint64_t max, int64_t *value)
{
	const char *at = strstr(name, key);
	size_t len = 0;
	bool negative;
	uint64_t n;

	if (!at)
		return false;
	at += strlen(key);
	negative = *at == '-';
	at += negative;
	while (text_is((uint8_t)at[len], TEXT_DIGIT))
		len++;
	if (text_number(bytes_make(at, len), max, &n) != OK)
		return false;
	*value = negative ? -(int64_t)n : (int64_t)n;
	return true;
}

bool archive_read_date(const char *name, int64_t *seconds, int *zone)
{
	/* The last second of the year 9999, the last that IMAP can write. */
	const uint64_t latest = 253402300799u;
	int64_t minutes;

	if (!strstr(name, ".C") || !read_field(name, ",D=", latest, seconds) ||
		!read_field(name, ",Z=", 24 * 60, &minutes))
		return false;
	*zone = (int)minutes;
	return true;
}
