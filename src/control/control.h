/* The control socket: what `cubby` and scripts of the box's owner ask of a
 * running server. Only unix sockets; who may connect is said by the socket's
 * permissions (0660 and its group), and the peer's credentials go into the log
 * with each change.
 *
 * A request is one line (words.h) that ends in LF, a reply any number of data
 * lines that start with ':' and then one line that starts with OK or ERR:
 *
 *     STATUS [json]                    :line...  OK
 *     USERS-CHANGED                    OK             the users file was changed
 *     RELOAD                           :line...  OK   reload.h: what SIGHUP does
 *     ROOM user                        OK bytes quota messages in-log
 *                                                     struct store_spare
 *     DELIVER user mailbox size        OK uid         body follows
 *     IMPORT user mailbox flags keywords seconds zone size
 *                                      OK uid lost    body follows
 *     REMOVE-USER id                   OK             mail of a user who is gone
 *     CHECK                            :finding...  OK, or ERR damaged
 *     BACKUP                           pieces, OK messages lost; ERR full, ERR access
 *
 * A piece of a backup (src/store/BACKUP.md) is ":length LF bytes"; all of it came
 * only when OK did. An error is "ERR word sentence"; the words stand in control.c. A body is
 * chunks of "length LF bytes" and ends with "0 LF"; a connection that ends
 * before it leaves nothing. size is 0 when it is not known. flags are letters as
 * in a Maildir: D(raft) F(lagged) R(eplied) S(een) T(rashed); keywords have ','
 * between them, zone is minutes east of UTC. An empty mailbox is INBOX; IMPORT
 * makes one that is missing. Requests may be sent before earlier ones are
 * answered; replies keep their order, and several messages then share a sync. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "control/eviction.h"
#include "control/intake.h"
#include "control/reload.h"
#include "control/report.h"

/* Bytes of a request line. */
#define CONTROL_LINE 2048

struct control_config {
	struct intake_place place;
	const struct report_source *report;
	uint32_t sessions;    /* at once */
	const struct reload_parts *reload; /* NULL: RELOAD is refused */
	struct eviction *eviction; /* for senders and subjects; may be NULL */
};

struct control;

/* Arena bytes of control_init. */
size_t control_memory(uint32_t sessions);
int control_init(struct control **control, struct arena *arena, const struct control_config *config);

/* For loop_listen; its context is the struct control. */
extern const struct protocol control_protocol;

#endif
