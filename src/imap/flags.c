#include "imap/flags.h"

#include "base/err.h"
#include "imap/server.h"

int flags_keywords(struct session *s, uint32_t mailbox, const struct parse_flags *flags, bool create, uint64_t *bits)
{
	*bits = 0;
	for (unsigned i = 0; i < flags->n; i++) {
		unsigned bit;
		int err = store_keyword(s->server->parts.store, mailbox, flags->keywords[i], create, &bit);

		if (err == OK)
			*bits |= UINT64_C(1) << bit;
		else if (err != E_NOENT || create)
			return err;
	}
	return OK;
}
