/* What a running server reads again, by SIGHUP or `cubby reload`: the users, the
 * certificate and its key (in whatever files the configuration now names), and
 * those settings that can change without a restart: allow-from, cleartext-login,
 * evict (but not its archive), idle-notify, login-timeout, mailbox,
 * scram-iterations, tls. Connections stay; those with
 * TLS keep the certificate they began with. A configuration with a fault changes
 * no setting. */
#ifndef CONTROL_RELOAD_H
#define CONTROL_RELOAD_H

#include "account/account.h"
#include "control/config.h"
#include "control/eviction.h"
#include "imap/imap.h"
#include "net/loop.h"

struct reload_parts {
	const char *file;       /* of the configuration */
	struct config *config;  /* in force; takes what can change */
	struct loop *loop;
	struct accounts *accounts;
	struct imap_server *imap;
	struct imap_config *imap_config; /* in force, likewise */
	struct eviction *eviction;
};

/* Tells what changed, what needs a restart and what failed, a line each. OK, or
 * the first error; everything else was reloaded nevertheless. */
int reload(const struct reload_parts *parts, config_report *say, void *context);

#endif
