#include "mta/lmtp.h"

#include "mta/smtp_session.h"

static const struct smtp_command commands[] = {
	{ "LHLO", smtp_lhlo }, { "MAIL", smtp_mail }, { "RCPT", smtp_rcpt }, { "DATA", smtp_data },
	{ "RSET", smtp_rset }, { "NOOP", smtp_noop }, { "VRFY", smtp_vrfy }, { "QUIT", smtp_quit },
};

static const struct smtp_dialect dialect = {
	.name = "lmtp",
	.service = "LMTP Cubby",
	.with = "LMTP",
	.with_utf8 = "UTF8LMTP",
	.commands = commands,
	.n_commands = sizeof commands / sizeof commands[0],
};

static void *lmtp_open(struct conn *c, void *context)
{
	return smtp_open(context, &dialect, c);
}

const struct protocol lmtp_protocol = {
	.name = "lmtp",
	.busy = "421 4.3.2 Too many connections, try again later\r\n",
	.open = lmtp_open,
	.step = smtp_step,
	.farewell = smtp_farewell,
	.close = smtp_close,
};
