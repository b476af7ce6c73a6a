#include "mta/trace.h"

/* What a client calls itself goes into the header: anything that could end the
 * line, open a comment or pass for another field's part becomes '?'. */
static void put_helo(struct buf *out, struct bytes helo)
{
	if (helo.len == 0)
		buf_puts(out, "unknown");
	for (size_t i = 0; i < helo.len; i++) {
		uint8_t c = helo.data[i];

		buf_putc(out,
			c <= ' ' || c == 127 || c == '(' || c == ')' || c == '\\' || c == ';' || c == '<' || c == '>'
				? '?'
				: c);
	}
}

bool trace_put(struct buf *out, const struct trace *t)
{
	buf_puts(out, "Return-Path: <");
	buf_putb(out, t->sender);
	buf_puts(out, ">\r\n");
	if (t->recipient.len) {
		buf_puts(out, "Delivered-To: ");
		buf_putb(out, t->recipient);
		buf_puts(out, "\r\n");
	}
	buf_puts(out, "Received: from ");
	put_helo(out, t->helo);
	if (t->peer)
		buf_printf(out, " ([%s%s])", t->peer_ip6 ? "IPv6:" : "", t->peer);
	buf_puts(out, "\r\n\tby ");
	buf_putb(out, t->domain);
	buf_printf(out, " with %s id %u.%u", t->with, (unsigned)t->number, (unsigned)t->message);
	if (t->recipient.len) {
		buf_puts(out, "\r\n\tfor <");
		buf_putb(out, t->recipient);
		buf_putc(out, '>');
	}
	buf_puts(out, "; ");
	date_put(out, t->date);
	buf_puts(out, "\r\n");
	return !out->overflow;
}
