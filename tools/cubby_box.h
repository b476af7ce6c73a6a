/* The box that the configuration describes, as the tool reaches it: by the
 * control socket of the running server, or, when none answers, by opening the
 * store itself. */
#ifndef TOOLS_CUBBY_BOX_H
#define TOOLS_CUBBY_BOX_H

#include "account/account.h"
#include "control/config.h"
#include "control/intake.h"

extern struct config box_config;
/* Reads the configuration; complains. */
int box_read_config(void);

/* Becomes the user that the server runs as, when root calls and the
 * configuration says so: files that are made must be that user's. */
void box_become_server_user(void);

/* Makes the store's directory when that is where `path` is and it is missing: a
 * user and a certificate come before the first start. Complains. */
int box_make_room_for(const char *path);

/* The users file. Complains. */
int box_open_users(struct accounts **accounts);

/* Connects to the server: OK, or E_CLOSED when none runs. Complains about
 * everything else (E_ACCESS). */
int box_connect(void);

/* Opens the store without a server. Complains, with the reason. E_BUSY: a server
 * has it whose control socket does not answer. */
int box_open_store(const struct intake_place **place);
void box_close_store(void);
/* The same for a store that is to be restored, with room for a restore of it and of
 * its users in *more. */
int box_open_store_to_restore(const struct intake_place **place, struct arena **more);
/* Memory for verifying a backup. Complains. */
struct arena *box_memory_to_verify(void);
/* Repairs the store, without a server: each finding is reported with its user's
 * name ("" for none). What belongs to nobody goes to the first administrator.
 * Complains; errors as store_repair. */
typedef void box_finding(const char *user, const struct store_finding *finding);
int box_repair_store(box_finding *report, struct store_repaired *out);
/* Commits what is staged, and does one slice of upkeep. */
int box_commit(struct store *st);
/* Commits until the ticket is durable or lost. */
int box_wait(struct store *st, store_ticket ticket);

#endif
