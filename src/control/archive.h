/* Copying mail to a Maildir on another disk before it goes (`evict archive DIR
 * required|best-effort`). archive_name.h has the names.
 *
 * A message is copied in slices: into tmp/, synced, renamed into cur/, both
 * directories synced; only then it may go. Its name is made of what it is, so that
 * after a cut, or when the run is tried again, the copy that is there is found and
 * not made twice.
 *
 * Before every message the disk is looked at, not only the path: DIR must be on
 * another file system than the store and than the root (an unmounted /mnt/usb is
 * the box's own flash), on a durable one, and mounted where /etc/fstab says so.
 * What is copied in slices is written through an open file into directories that
 * are not made again: a disk that is pulled in the middle is an error, never a file
 * on the flash below.
 *
 * Keywords are kept as Dovecot does: letters in the name, and the first 26 of a
 * folder in its file dovecot-keywords; $Forwarded is the letter P. Bytes that the
 * store finds damaged are copied as '?', since nothing better will come of them. */
#ifndef CONTROL_ARCHIVE_H
#define CONTROL_ARCHIVE_H

#include "account/account.h"
#include "control/notice.h"
#include "store/store.h"

struct archive_config {
	struct store *store;
	struct accounts *accounts;
	struct notices *notices; /* NULL: nobody is told */
	const char *dir;         /* made when missing; what it is made in must be on that disk */
	const char *store_dir;
	bool required;
	bool allow_volatile;     /* a disk in memory will do */
	void *scratch;           /* LIMIT_SLICE_BYTES, the caller's between two calls */
};

struct archive;
size_t archive_memory(void);
/* What the configuration points to must stay. Warns in the log when the disk is
 * not there. E_NOMEM. */
int archive_init(struct archive **a, struct arena *arena, const struct archive_config *config);
/* For store_evict_config.archive: OK when the message is on the disk, durably;
 * E_AGAIN: call again; else what is wrong with the disk. That is in the log: once
 * for each trouble when the archive is required, once a run when it is not. */
int archive_message(struct archive *a, const struct store_mailbox *mailbox, const struct store_entry *e);
/* Tells the first administrator when a required archive can't be used, and takes
 * it back when it can; to be called in every turn. */
void archive_work(struct archive *a);
/* When archive_work must be called at the latest, in port_now_us time; 0: never. */
uint64_t archive_deadline_us(const struct archive *a);

#endif
