/* `cubby check --repair`: what is to be done, in this order. Segments get their
 * names back; the store is opened; if it opens and every page of the index can
 * be read, what does not fit together is made true (repair_fix.c). Else the
 * index is made anew in a file beside it (rebuild.c), and takes the old one's
 * place in steps of which each can be cut off and done again:
 *
 *     index.new is complete -> super.new is durable -> index.new is index,
 *     the old superblocks are gone -> super.new is a superblock
 *
 * From super.new on every opening goes on with it (repair_settle). */
#include "store/repair.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

void repair_tell(struct repair *r, const char *what, uint32_t mailbox, uint32_t uid)
{
	char name[LIMIT_MAILBOX_NAME + 1];
	struct store_finding f = { .mailbox = mailbox, .uid = uid, .name = name, .what = what };
	struct mailbox m;
	int n = mailbox ? store_mailbox_name(r->st, mailbox, name) : 0;

	name[n > 0 ? n : 0] = 0;
	if (mailbox && mailbox_load(r->st, mailbox, &m) == OK) {
		f.owner = m.owner;
		if (n <= 0) {
			memcpy(name, m.level, m.level_len);
			name[m.level_len] = 0;
		}
	}
	r->out->findings++;
	r->how->report(r->how->context, &f);
}

/* ---- Recovered ---- */

static int put_mailbox(struct store *st, uint32_t id, uint32_t owner, uint32_t parent, const char *level)
{
	struct mailbox m = { .id = id,
		.owner = owner,
		.parent = parent,
		.uidvalidity = st->super.next_uidvalidity++,
		.uidnext = 1,
		.recent = 1,
		.modseq = 1,
		.level_len = (uint8_t)strlen(level) };

	memcpy(m.level, level, m.level_len);
	if (id >= st->super.next_mailbox)
		st->super.next_mailbox = id + 1;
	return mailbox_save(st, &m);
}

int repair_recovered(struct repair *r, uint32_t *id)
{
	struct store *st = r->st;
	struct key k = tree_key(TREE_MAILBOX, 0, 0), found;
	uint8_t bytes[MAILBOX_BYTES];
	int n, err;

	*id = r->recovered;
	if (*id)
		return OK;
	while ((n = tree_seek(&st->tree, k, &found, bytes, sizeof bytes)) >= 0 && found.hi == k.hi) {
		struct mailbox m;

		if (mailbox_get(bytes_make(bytes, (size_t)n), (uint32_t)found.lo, &m) && !m.doomed &&
			m.owner == r->how->admin && m.parent == 0 &&
			bytes_equal(bytes_make(m.level, m.level_len), bytes_of("Recovered"))) {
			*id = r->recovered = m.id;
			return OK;
		}
		k.lo = found.lo + 1;
	}
	if (n < 0 && n != E_NOENT && n != E_LIMIT)
		return n;
	*id = st->super.next_mailbox++;
	err = put_mailbox(st, *id, r->how->admin, 0, "Recovered");
	if (err == OK)
		r->recovered = *id;
	return err;
}

int repair_placeholder(struct repair *r, uint32_t id)
{
	char level[16];
	uint32_t parent;
	int err;

	/* Numbers of what is made from now on are above all that were ever seen. */
	if (id >= r->st->super.next_mailbox)
		r->st->super.next_mailbox = id + 1;
	err = repair_recovered(r, &parent);
	if (err != OK)
		return err;
	(void)snprintf(level, sizeof level, "%lu", (unsigned long)id);
	err = put_mailbox(r->st, id, r->how->admin, parent, level);
	if (err == OK)
		repair_tell(r, "its name and owner are lost", id, 0);
	return err;
}

bool repair_anew(const struct repair *r)
{
	return r && r->anew;
}

/* ---- files ---- */

struct misnamed {
	struct store *st;
	uint32_t named, is;
	bool fix;
};

/* Whether the segment of that name is that segment. */
static bool is_itself(const struct store *st, uint32_t id)
{
	char path[PORT_PATH_MAX];
	uint64_t identity;
	uint32_t is = 0;
	port_file f;

	files_segment_name(st, id, path);
	f = port_open(path, PORT_READ);
	if (f < 0)
		return false;
	if (segment_identify(f, &is, &identity) != OK)
		is = 0;
	port_close(f);
	return is == id;
}

/* A segment that is another than its name says; with `fix` one on its way. */
static bool find_misnamed(void *context, const char *name)
{
	struct misnamed *m = context;
	char path[PORT_PATH_MAX];
	uint64_t number, identity;
	uint32_t id;
	port_file f;

	if (!files_number(name, m->fix ? ".fix" : ".seg", &number) || number > UINT32_MAX)
		return true;
	if (m->fix) {
		files_segment_name(m->st, (uint32_t)number, path);
		m->is = port_exists(path) ? 0 : (uint32_t)number;
		return m->is == 0;
	}
	files_name(m->st, name, path);
	f = port_open(path, PORT_READ);
	if (f < 0)
		return true;
	/* Its first block alone may be another's. */
	if (segment_identify(f, &id, &identity) == OK && id != number && id && !is_itself(m->st, id)) {
		m->named = (uint32_t)number;
		m->is = id;
	}
	port_close(f);
	return m->is == 0;
}

static void fix_name(const struct store *st, uint32_t id, char *out)
{
	files_segment_name(st, id, out);
	memcpy(out + strlen(out) - 3, "fix", 3);
}

int repair_names(struct store *st)
{
	int err = OK;

	for (bool fix = false; err == OK;) {
		struct misnamed m = { .st = st, .fix = fix };
		char from[PORT_PATH_MAX], to[PORT_PATH_MAX];

		err = port_list(st->dir, find_misnamed, &m);
		if (err == OK && m.is == 0) {
			if (fix)
				break;
			fix = true;
			continue;
		}
		fix_name(st, m.is, fix ? from : to);
		files_segment_name(st, fix ? m.is : m.named, fix ? to : from);
		if (!fix)
			log_notice("store: %s is segment %lu", from, (unsigned long)m.is);
		if (err == OK)
			err = port_rename(from, to);
		if (err == OK)
			err = port_sync_dir(st->dir);
	}
	return err;
}

/* Removes a file that may not be there. */
static int drop_file(struct store *st, const char *name)
{
	char path[PORT_PATH_MAX];
	int err;

	files_name(st, name, path);
	err = port_remove(path);
	return err == E_NOENT ? OK : err;
}

static int rename_file(struct store *st, const char *from, const char *to)
{
	char path[PORT_PATH_MAX], target[PORT_PATH_MAX];
	int err;

	files_name(st, from, path);
	files_name(st, to, target);
	err = port_rename(path, target);
	return err == E_NOENT ? OK : err;
}

int repair_settle(struct store *st)
{
	char path[PORT_PATH_MAX];
	struct super s;
	bool any;
	int err;

	files_name(st, "index.new", path);
	any = port_exists(path);
	files_name(st, "super.new", path);
	if (!any && !port_exists(path))
		return OK;
	err = super_read(st, SUPER_NEW, &s, false);
	if (err != OK && err != E_DAMAGED && err != E_NOENT)
		return err;
	if (err != OK || !s.clean) {
		/* It was never complete. */
		err = drop_file(st, "super.new");
		if (err == OK)
			err = port_sync_dir(st->dir);
		if (err == OK)
			err = drop_file(st, "index.new");
		return err == OK ? port_sync_dir(st->dir) : err;
	}
	err = rename_file(st, "index.new", "index");
	if (err == OK)
		err = drop_file(st, s.checkpoint & 1 ? "super.0" : "super.1");
	if (err == OK)
		err = port_sync_dir(st->dir);
	if (err == OK)
		err = rename_file(st, "super.new", s.checkpoint & 1 ? "super.1" : "super.0");
	return err == OK ? port_sync_dir(st->dir) : err;
}

/* ---- all of it ---- */

static int verify_pages(struct store *st)
{
	struct key k = { 0, 0 };
	const char *what;
	int err;

	while ((err = tree_verify(&st->tree, &k, &what)) == OK)
		;
	return err == E_NOENT ? OK : err;
}

/* With the index that is there. E_DAMAGED: it can't be used. */
static int repair_index(struct arena *arena, const struct store_config *config, struct repair *r, char *reason,
	size_t cap)
{
	struct store *st;
	int err = store_open_for(&st, arena, config, r, reason, cap);

	if (err != OK)
		return err;
	r->st = st;
	r->final = true;
	err = verify_pages(st);
	if (err == OK)
		err = repair_fix(r);
	/* Nothing of a repair that failed may stay. */
	if (err != OK)
		st->read_only = true;
	store_close(st);
	return err == OK && st->read_only ? E_IO : err;
}

/* Errors of which another way than the index can't know better. */
static bool is_final(int err)
{
	return err == OK || err == E_IO || err == E_NOTSUP || err == E_BUSY || err == E_RANGE || err == E_NOMEM ||
		err == E_ACCESS || err == E_NOSPC || err == E_READONLY;
}

size_t store_repair_memory(const struct store_config *config)
{
	return store_memory(config) + rebuild_memory();
}

int store_repair(struct arena *arena, const struct store_config *config, const struct store_repair *how,
	struct store_repaired *out, char *reason, size_t cap)
{
	struct repair r = { .how = how, .out = out };
	size_t used = arena->used;
	struct store *st;
	int err;

	*out = (struct store_repaired){ 0 };
	err = repair_index(arena, config, &r, reason, cap);
	if (is_final(err))
		return err;
	arena->used = used;
	*out = (struct store_repaired){ .rebuilt = true };
	r = (struct repair){ .how = how, .out = out, .anew = true, .arena = arena };
	reason[0] = 0;
	err = store_open_for(&st, arena, config, &r, reason, cap);
	if (err != OK)
		return err;
	st->read_only = true; /* it is complete; there is nothing more to write */
	store_close(st);
	/* Opened once more: that puts it into place and sweeps up. */
	arena->used = used;
	err = store_open(&st, arena, config, reason, cap);
	if (err == OK)
		store_close(st);
	return err;
}
