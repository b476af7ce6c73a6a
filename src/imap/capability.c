#include "imap/capability.h"

#include "imap/server.h"
#include "imap/session.h"

/* Not before login: clients that read only the first list would try them. */
static const char after_login[] =
	" IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE LIST-EXTENDED LIST-STATUS ESEARCH"
	" STATUS=SIZE CONDSTORE SAVEDATE OBJECTID QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE";

void capability_put(struct session *s, struct buf *out)
{
	buf_puts(out, "CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID ENABLE");
	if (session_secret_allowed(s))
		buf_puts(out, " AUTH=PLAIN AUTH=LOGIN");
	if (s->state != STATE_LOGIN) {
		buf_puts(out, after_login);
		if (s->admin)
			buf_puts(out, " QUOTASET");
		buf_printf(out, " APPENDLIMIT=%llu", (unsigned long long)server_append_limit(s->server));
		return;
	}
	if (!conn_is_tls(s->conn) && conn_tls_available(s->conn))
		buf_puts(out, " STARTTLS");
	if (!session_secret_allowed(s))
		buf_puts(out, " LOGINDISABLED");
}
