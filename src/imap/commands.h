/* The run, finish and end functions of all commands, by family: each file is
 * named after its family, and commands.c makes the one table of them. */
#ifndef IMAP_COMMANDS_H
#define IMAP_COMMANDS_H

#include "imap/session.h"

/* cmd_any.c */
int cmd_capability(struct session *s, struct conn *c);
int cmd_noop(struct session *s, struct conn *c);
int cmd_check(struct session *s, struct conn *c);
int cmd_logout(struct session *s, struct conn *c);
int cmd_id(struct session *s, struct conn *c);
int cmd_enable(struct session *s, struct conn *c);
int cmd_namespace(struct session *s, struct conn *c);

/* cmd_login.c */
int cmd_starttls(struct session *s, struct conn *c);
int cmd_login(struct session *s, struct conn *c);
int cmd_authenticate(struct session *s, struct conn *c);
bool finish_login(struct session *s, struct buf *out);
void end_login(struct session *s);

/* cmd_select.c */
int cmd_select(struct session *s, struct conn *c);
int cmd_examine(struct session *s, struct conn *c);
int cmd_unselect(struct session *s, struct conn *c);

/* cmd_mailbox.c */
int cmd_create(struct session *s, struct conn *c);
int cmd_delete(struct session *s, struct conn *c);
int cmd_rename(struct session *s, struct conn *c);
int cmd_subscribe(struct session *s, struct conn *c);
int cmd_unsubscribe(struct session *s, struct conn *c);
int cmd_status(struct session *s, struct conn *c);
bool finish_create(struct session *s, struct buf *out);

/* cmd_quota.c */
int cmd_getquota(struct session *s, struct conn *c);
int cmd_getquotaroot(struct session *s, struct conn *c);
int cmd_setquota(struct session *s, struct conn *c);

/* cmd_list.c */
int cmd_list(struct session *s, struct conn *c);
int cmd_lsub(struct session *s, struct conn *c);

/* cmd_fetch.c */
int cmd_fetch(struct session *s, struct conn *c);
void end_fetch(struct session *s);
bool finish_fetch(struct session *s, struct buf *out);

/* cmd_store.c */
int cmd_store(struct session *s, struct conn *c);
bool finish_store(struct session *s, struct buf *out);

/* cmd_copy.c */
int cmd_copy(struct session *s, struct conn *c);
int cmd_move(struct session *s, struct conn *c);
bool finish_copy(struct session *s, struct buf *out);
bool finish_move(struct session *s, struct buf *out);
void end_copy(struct session *s);

/* cmd_expunge.c */
int cmd_expunge(struct session *s, struct conn *c);
bool finish_expunge(struct session *s, struct buf *out);
int cmd_close(struct session *s, struct conn *c);

/* cmd_append.c */
int cmd_append(struct session *s, struct conn *c);
bool finish_append(struct session *s, struct buf *out);
void end_append(struct session *s);

/* cmd_search.c */
int cmd_search(struct session *s, struct conn *c);
void end_search(struct session *s);

/* cmd_idle.c */
int cmd_idle(struct session *s, struct conn *c);
void end_idle(struct session *s);

#endif
