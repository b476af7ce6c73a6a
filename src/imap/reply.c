#include "imap/reply.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "mail/date.h"
#include "mail/mutf7.h"

bool reply_quoted(struct buf *out, struct bytes text)
{
	size_t before = out->len;
	bool fits = buf_putc(out, '"');

	for (size_t i = 0; fits && i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c == '"' || c == '\\')
			fits = buf_putc(out, '\\');
		fits = fits && buf_putc(out, c);
	}
	fits = fits && buf_putc(out, '"');
	if (!fits)
		out->len = before;
	return fits;
}

enum form { FORM_ATOM, FORM_QUOTED, FORM_LITERAL };

static enum form form_of(struct bytes text)
{
	enum form form = text.len && !bytes_is(text, "NIL") ? FORM_ATOM : FORM_QUOTED;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (text_is(c, TEXT_8BIT) || c == '\r' || c == '\n' || c == 0)
			return FORM_LITERAL;
		if (!text_is(c, TEXT_IMAP_ATOM))
			form = FORM_QUOTED;
	}
	return form;
}

bool reply_astring(struct buf *out, struct bytes text)
{
	size_t before = out->len;

	switch (form_of(text)) {
	case FORM_ATOM:
		return buf_putb(out, text);
	case FORM_QUOTED:
		return reply_quoted(out, text);
	default:
		if (buf_printf(out, "{%zu}\r\n", text.len) && buf_putb(out, text))
			return true;
		out->len = before;
		return false;
	}
}

bool reply_mailbox(struct buf *out, struct bytes name)
{
	uint8_t space[3 * LIMIT_MAILBOX_NAME];
	struct buf wire;

	buf_init(&wire, space, sizeof(space));
	/* Names come from the store, which takes only UTF-8. */
	if (mutf7_from_utf8(name, &wire))
		buf_reset(&wire);
	return reply_quoted(out, buf_bytes(&wire));
}

static bool put_hex(struct buf *out, uint64_t n, unsigned digits)
{
	char text[16];

	for (unsigned i = digits; i-- > 0; n >>= 4)
		text[i] = "0123456789abcdef"[n & 15];
	return buf_put(out, text, digits);
}

bool reply_mailbox_id(struct buf *out, const struct store *st, uint32_t mailbox)
{
	return buf_putc(out, 'M') && put_hex(out, store_identity(st), 16) && put_hex(out, mailbox, 8);
}

bool reply_email_id(struct buf *out, const struct store *st, uint64_t object)
{
	return buf_putc(out, 'E') && put_hex(out, store_identity(st), 16) && put_hex(out, object, 16);
}

uint64_t reply_email_id_read(const struct store *st, struct bytes id)
{
	uint64_t part[2] = { 0, 0 };

	/* ids are compared as they stand, upper case is another id (RFC 8474 section 7) */
	if (id.len != 33 || id.data[0] != 'E')
		return 0;
	for (size_t i = 1; i < id.len; i++) {
		int digit = text_hex(id.data[i]);

		if (digit < 0 || text_lower(id.data[i]) != id.data[i])
			return 0;
		part[(i - 1) / 16] = part[(i - 1) / 16] << 4 | (uint64_t)digit;
	}
	return part[0] == store_identity(st) ? part[1] : 0;
}

bool reply_date(struct buf *out, int64_t seconds, int zone)
{
	return buf_putc(out, '"') && date_put_imap_time(out, (struct date){ seconds, zone }) && buf_putc(out, '"');
}

const char *reply_use(uint8_t use)
{
	switch (use) {
	case STORE_USE_DRAFTS:
		return "\\Drafts";
	case STORE_USE_SENT:
		return "\\Sent";
	case STORE_USE_JUNK:
		return "\\Junk";
	case STORE_USE_TRASH:
		return "\\Trash";
	default:
		return "\\Archive";
	}
}

bool reply_range(struct buf *out, uint32_t first, uint32_t last, bool comma)
{
	size_t before = out->len;

	if ((!comma || buf_putc(out, ',')) && buf_put_number(out, first) &&
		(first == last || (buf_putc(out, ':') && buf_put_number(out, last))))
		return true;
	out->len = before;
	return false;
}
