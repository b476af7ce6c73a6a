/* Serving, from a checked configuration to the end of the process. */
#ifndef SERVER_H
#define SERVER_H

#include "budget.h"
#include "control/config.h"

#define CUBBY_VERSION "0.1"

/* False for a protocol that a configuration may name, so that one configuration
 * serves all versions, but that this one does not serve. */
bool server_speaks(enum config_protocol protocol);

/* Serves until a signal ends it; then the store is closed cleanly. `file` is where
 * the configuration came from, for SIGHUP. `name` is how
 * the box calls itself. All of them must stay; paths in the configuration change
 * when there is a chroot. OK, or the error that kept it from serving, which has
 * been logged. */
int server_run(const char *file, struct config *config, struct budget *budget, const char *name, bool detach);

#endif
