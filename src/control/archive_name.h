/* Names in the archive of old mail, which is one Maildir a user (Maildir++, so
 * that other programs read it): DIR/USER/cur is INBOX, DIR/USER/.Lists.Cubby/cur
 * is Lists/Cubby. The disk may be a stick with the file system of other systems,
 * and names come from clients: so all names are ASCII, no name from outside begins
 * with a dot or holds a '/', and what FAT can't have is not there. Mailbox names
 * are in modified UTF-7 (RFC 3501 section 5.1.3), levels separated by '.', all
 * other bytes but letters, digits and `-_&+,=@` as %XX. */
#ifndef CONTROL_ARCHIVE_NAME_H
#define CONTROL_ARCHIVE_NAME_H

#include "base/bytes.h"
#include "store/store.h"

/* Bytes of a folder's name. A mailbox whose name would be longer gets a folder
 * with the name's beginning, "%~" and a hash; the whole name, in UTF-8, stands in
 * the folder's file ARCHIVE_NAME_FILE. Leaves room for DIR and the user in
 * PORT_PATH_MAX. */
#define ARCHIVE_FOLDER 120
#define ARCHIVE_NAME_FILE "cubby-mailbox"
/* Bytes of a message's name with its flags and a NUL. */
#define ARCHIVE_MESSAGE 160

/* Appends a user's folder. False: no room. */
bool archive_put_user(struct bytes user, struct buf *out);
/* Appends a mailbox's folder, nothing for INBOX. *whole: the name says it all,
 * false: ARCHIVE_NAME_FILE is needed. E_SYNTAX: not UTF-8. E_LIMIT: no room. */
int archive_put_folder(struct bytes mailbox, struct buf *out, bool *whole);
/* The user or mailbox whose folder has that name, appended as UTF-8. E_SYNTAX:
 * made by nobody here, or not whole. E_LIMIT: no room. */
int archive_read_user(const char *folder, struct buf *out);
int archive_read_folder(const char *folder, struct buf *out);

/* Appends the name of a message without its flags: INTERNALDATE, store, object
 * and UID, which no other message of that folder has; ",D=" INTERNALDATE in
 * seconds since 1970 and ",Z=" its zone in minutes east. */
bool archive_put_message(uint64_t store, const struct store_entry *e, struct buf *out);
/* INTERNALDATE and zone of a message's name: false when it has none. */
bool archive_read_date(const char *name, int64_t *seconds, int *zone);

#endif
