/* The commands: each takes what stands behind its words, and returns the exit
 * code. TOOL_USAGE makes cubby.c print the command's usage. */
#ifndef TOOLS_CUBBY_COMMANDS_H
#define TOOLS_CUBBY_COMMANDS_H

#include "tools/cubby.h"

/* cubby_check.c */
int tool_status(struct tool_args *args);
int tool_check(struct tool_args *args);

/* cubby_backup.c */
int tool_backup(struct tool_args *args);
int tool_restore(struct tool_args *args);

/* cubby_reload.c */
int tool_reload(struct tool_args *args);

/* cubby_evict.c */
int tool_evict(struct tool_args *args);

/* cubby_user.c */
int tool_user_add(struct tool_args *args);
int tool_user_list(struct tool_args *args);
int tool_user_passwd(struct tool_args *args);
int tool_user_remove(struct tool_args *args);

/* cubby_mail.c */
int tool_deliver(struct tool_args *args);
int tool_import(struct tool_args *args);
int tool_restore_archive(struct tool_args *args);

/* cubby_config.c */
int tool_config_check(struct tool_args *args);
int tool_config_get(struct tool_args *args);
int tool_config_set(struct tool_args *args);

/* cubby_cert.c */
int tool_cert_create(struct tool_args *args);

#endif
