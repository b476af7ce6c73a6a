#include "control/reload.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "net/tls.h"

/* Bytes of all values of one key that are compared: CONFIG_LISTENERS lines. */
#define VALUE 4096

static const char *const live[] = { "allow-from", "cleartext-login", "idle-notify", "login-timeout", "scram-iterations",
	"tls", "mailbox", "evict", "evict high", "evict low", "evict order", "evict seen-age", "evict protect" };

static bool is_live(const char *key)
{
	for (size_t i = 0; i < sizeof live / sizeof *live; i++)
		if (strcmp(live[i], key) == 0)
			return true;
	return false;
}

static bool same(const struct config *a, const struct config *b, const char *key)
{
	static char text[2][VALUE];
	struct buf value[2];

	buf_init(&value[0], text[0], VALUE);
	buf_init(&value[1], text[1], VALUE);
	(void)config_get(a, key, &value[0]);
	(void)config_get(b, key, &value[1]);
	return value[0].len == value[1].len && memcmp(text[0], text[1], value[0].len) == 0;
}

static void adopt(const struct reload_parts *p, const struct config *fresh)
{
	struct config *c = p->config;

	memcpy(c->allow_from, fresh->allow_from, sizeof c->allow_from);
	c->allow_from_n = fresh->allow_from_n;
	loop_networks(p->loop, c->allow_from, c->allow_from_n);
	c->cleartext_login = fresh->cleartext_login;
	c->idle_notify_s = fresh->idle_notify_s;
	c->login_timeout_s = fresh->login_timeout_s;
	loop_login_timeout(p->loop, c->login_timeout_s);
	c->scram_iterations = fresh->scram_iterations;
	memcpy(c->mailbox, fresh->mailbox, sizeof c->mailbox);
	c->mailbox_n = fresh->mailbox_n;
	c->evict = fresh->evict;
	c->evict_high = fresh->evict_high;
	c->evict_low = fresh->evict_low;
	memcpy(c->evict_order, fresh->evict_order, sizeof c->evict_order);
	c->evict_order_n = fresh->evict_order_n;
	c->evict_seen_age_s = fresh->evict_seen_age_s;
	c->evict_protect_s = fresh->evict_protect_s;
	eviction_reload(p->eviction);
	memcpy(c->tls_certificate, fresh->tls_certificate, sizeof c->tls_certificate);
	memcpy(c->tls_key, fresh->tls_key, sizeof c->tls_key);
	p->imap_config->cleartext = (enum imap_cleartext)c->cleartext_login;
	p->imap_config->idle_notify_s = c->idle_notify_s;
	imap_reconfigure(p->imap, p->imap_config);
}

static int settings(const struct reload_parts *p, config_report *say, void *context)
{
	static struct config fresh;
	struct config_setting setting;
	char line[160];
	int err;

	if (p->config->chroot[0]) {
		say(context, "the configuration lies outside of the chroot: settings need a restart");
		return OK;
	}
	err = config_read(p->file, &fresh, say, context);
	if (err != OK) {
		say(context, "no setting was changed");
		return err;
	}
	for (size_t i = 0; config_setting(i, &setting); i++) {
		if (same(p->config, &fresh, setting.key))
			continue;
		(void)snprintf(line, sizeof line, "%s: %s", setting.key,
			is_live(setting.key) ? "changed" : "needs a restart");
		say(context, line);
	}
	adopt(p, &fresh);
	return OK;
}

static int certificate(const struct reload_parts *p, config_report *say, void *context)
{
	const struct config *c = p->config;
	char reason[200] = "", line[PORT_PATH_MAX + 220];
	int err;

	if (!c->tls_certificate[0])
		return OK;
	err = tls_load(c->tls_certificate, c->tls_key, reason, sizeof reason);
	/* none before and none now: nothing is lost */
	if (err == E_NOENT && !tls_loaded())
		return OK;
	if (err == OK)
		(void)snprintf(line, sizeof line, "the certificate of %s is used from now on", c->tls_certificate);
	else
		(void)snprintf(line, sizeof line, "tls: %s%s", reason,
			tls_loaded() ? "; the one from before stays in use" : "");
	say(context, line);
	return err;
}

int reload(const struct reload_parts *p, config_report *say, void *context)
{
	int first = settings(p, say, context), err = accounts_reload(p->accounts);

	if (err != OK && err != E_NOENT)
		say(context, "users: the file can't be read; the log says where");
	else
		err = OK;
	if (first == OK)
		first = err;
	err = certificate(p, say, context);
	return first == OK ? err : first;
}
