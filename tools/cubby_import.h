/* Where imported mail comes from. A source walks a Maildir or an mbox and hands
 * its messages, one behind the other, to a sink: first to one that only counts,
 * then to the one that stores. */
#ifndef TOOLS_CUBBY_IMPORT_H
#define TOOLS_CUBBY_IMPORT_H

#include "base/bytes.h"
#include "mail/date.h"

struct import_message {
	struct bytes mailbox;  /* UTF-8, empty: INBOX */
	uint8_t flags;         /* STORE_SEEN... */
	struct bytes keywords; /* names with ',' between them */
	struct date received;
	uint64_t size;         /* bytes in the source; 0: not known before they come */
	const char *name;      /* of the file, or "message at 12345 of FILE" */
};

/* Slices and names are good until the call returns. An error ends the walk. */
struct import_sink {
	void *context;
	int (*begin)(void *context, const struct import_message *m);
	/* NULL: the bytes are not wanted where the size is known without them. */
	int (*bytes)(void *context, const void *data, size_t len);
	int (*end)(void *context);
};

/* Walks a Maildir with its Maildir++ subfolders (".Sub.Folder" is Sub/Folder),
 * the oldest message of each folder first. Flags and keywords (P as $Forwarded,
 * letters of dovecot-keywords) come from the file's name, the date from its time
 * or its name, whichever is earlier. Mail of the top folder goes to `mailbox`,
 * that of subfolders below it (at the top when it is empty). OK, or the sink's
 * error, or E_IO, E_ACCESS after a complaint. Files that can't be read are
 * complained about and passed over; *unreadable counts them. */
int maildir_walk(const char *path, struct bytes mailbox, const struct import_sink *sink, uint64_t *unreadable);

/* The same for one that the server has made before mail went (archive_name.h):
 * dates, zones and mailboxes are what they were. */
int archive_walk(const char *path, struct bytes mailbox, const struct import_sink *sink, uint64_t *unreadable);

/* Walks an mbox. A message starts with a "From " line that bears a date, at the
 * start of the file or behind an empty line; ">From " loses its '>'. Flags come
 * from Status, X-Status and X-Mozilla-Status, keywords from X-Keywords and
 * X-Mozilla-Keys, the date from the "From " line. Left out: what Thunderbird has
 * marked as expunged, and the note that mail programs keep for themselves in
 * front. E_SYNTAX, after a complaint, when the file is no mbox. */
int mbox_walk(const char *path, struct bytes mailbox, const struct import_sink *sink, uint64_t *unreadable);

#endif
