/* Every number that the store keeps, against a count of everything: it looks
 * into the store's tree, where the store itself only looks at sums. */
#include "rig.h"

#include "store/store_int.h"
#include "tree/tree_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAILBOXES 512
#define OBJECTS 4096
#define SEGMENTS 512
#define PAGES 4096

static struct {
	struct mailbox mailbox[MAILBOXES];
	struct tally tally[MAILBOXES], staged[MAILBOXES];
	uint32_t children[MAILBOXES];
	unsigned n_mailboxes;
	uint64_t owner_bytes[M_OWNERS], owner_messages[M_OWNERS];
	struct {
		uint64_t id;
		uint32_t refs;
		bool known;
	} object[OBJECTS]; /* by id: open addressing */
	unsigned n_objects;
	struct {
		uint32_t id;
		uint64_t live;
	} segment[SEGMENTS];
	unsigned n_segments;
	uint64_t entries, live;
	uint32_t pages[PAGES]; /* slots */
	unsigned n_pages;
} count;

/* Walks a table: the next row at or after *k, or false at its end. */
static bool next_row(struct rig *r, struct key *k, struct key *found, uint8_t *bytes, size_t cap, int *len)
{
	*len = tree_seek(&r->st->tree, *k, found, bytes, cap);
	if (*len == E_NOENT || *len == E_LIMIT)
		return false;
	if (*len < 0)
		rig_fail("the tree can't be read: %s", err_text(*len));
	if (found->hi >> 56 != k->hi >> 56)
		return false;
	*k = *found;
	if (++k->lo == 0)
		k->hi++;
	return true;
}

static struct mailbox *mailbox_of(uint32_t id, unsigned *at)
{
	for (*at = 0; *at < count.n_mailboxes; ++*at)
		if (count.mailbox[*at].id == id)
			return &count.mailbox[*at];
	return NULL;
}

static void count_mailboxes(struct rig *r)
{
	struct key k = tree_key(TREE_MAILBOX, 0, 0), found;
	uint8_t bytes[MAILBOX_BYTES];
	int len;

	while (next_row(r, &k, &found, bytes, sizeof bytes, &len)) {
		struct mailbox *m = &count.mailbox[count.n_mailboxes++];

		if (count.n_mailboxes == MAILBOXES)
			rig_fail("more mailboxes than recount can hold");
		if (!mailbox_get(bytes_make(bytes, (size_t)len), (uint32_t)found.lo, m))
			rig_fail("the row of mailbox %" PRIu64 " is damaged", found.lo);
		if (m->id >= r->st->super.next_mailbox || m->uidvalidity >= r->st->super.next_uidvalidity)
			rig_fail("mailbox %u, uidvalidity %u: the next ones are %u and %u", m->id, m->uidvalidity,
				r->st->super.next_mailbox, r->st->super.next_uidvalidity);
	}
	for (unsigned i = 0; i < count.n_mailboxes; i++) {
		unsigned at;

		if (!count.mailbox[i].doomed && mailbox_of(count.mailbox[i].parent, &at))
			count.children[at]++;
	}
}

static void count_object(uint64_t id, bool reference, const struct object *o)
{
	unsigned at = (unsigned)(id * 2654435761u % OBJECTS);

	while (count.object[at].id && count.object[at].id != id)
		at = (at + 1) % OBJECTS;
	if (count.object[at].id == 0 && ++count.n_objects == OBJECTS - 1)
		rig_fail("more messages than recount can hold");
	count.object[at].id = id;
	if (reference) {
		count.object[at].refs++;
		return;
	}
	count.object[at].known = true;
	if (count.object[at].refs != o->refs)
		rig_fail("message %" PRIu64 " has %u references and says %u", id, count.object[at].refs, o->refs);
}

static void count_entries(struct rig *r)
{
	struct key k = tree_key(TREE_ENTRY, 0, 0), found;
	uint8_t bytes[ENTRY_BYTES];
	int len;

	while (next_row(r, &k, &found, bytes, sizeof bytes, &len)) {
		uint32_t mailbox = (uint32_t)(found.hi & UINT32_MAX);
		struct store_entry e;
		unsigned at;
		struct mailbox *m = mailbox_of(mailbox, &at);

		if (!m || !entry_get(bytes_make(bytes, (size_t)len), (uint32_t)found.lo, &e))
			rig_fail("an entry of mailbox %u, which is not there", mailbox);
		tally_add(e.uid < m->uidnext ? &count.tally[at] : &count.staged[at], &e);
		if (e.uid >= m->uidnext && e.uid >= m->staged_end)
			rig_fail("mailbox %u: uid %u beyond UIDNEXT %u and what is staged (%u)", mailbox, e.uid,
				m->uidnext, m->staged_end);
		if (m->owner >= M_OWNERS)
			rig_fail("mailbox %u belongs to user %u", mailbox, m->owner);
		count.owner_bytes[m->owner] += e.size;
		count.owner_messages[m->owner]++;
		count.entries++;
		count_object(e.object, true, NULL);
	}
}

static bool same_tally(const struct tally *a, const struct tally *b)
{
	return a->messages == b->messages && a->unseen == b->unseen && a->deleted == b->deleted && a->size == b->size &&
		a->deleted_size == b->deleted_size;
}

static void check_mailboxes(struct rig *r)
{
	struct key k = tree_key(TREE_DOOMED, 0, 0), found;
	uint8_t bytes[8];
	unsigned doomed = 0, at;
	int len;

	for (unsigned i = 0; i < count.n_mailboxes; i++) {
		const struct mailbox *m = &count.mailbox[i];

		doomed += m->doomed;
		if (!same_tally(&m->tally, &count.tally[i]) && !m->doomed)
			rig_fail("mailbox %u says %u messages, %" PRIu64 " bytes; it has %u, %" PRIu64, m->id,
				m->tally.messages, m->tally.size, count.tally[i].messages, count.tally[i].size);
		if (!same_tally(&m->staged, &count.staged[i]) && !m->doomed)
			rig_fail("mailbox %u says %u staged messages; it has %u", m->id, m->staged.messages,
				count.staged[i].messages);
		if (m->children != count.children[i])
			rig_fail("mailbox %u says %u children; it has %u", m->id, m->children, count.children[i]);
	}
	while (next_row(r, &k, &found, bytes, sizeof bytes, &len)) {
		doomed--;
		if (!mailbox_of((uint32_t)found.lo, &at) || !count.mailbox[at].doomed)
			rig_fail("mailbox %" PRIu64 " is to be removed, and is not there or not deleted", found.lo);
	}
	if (doomed)
		rig_fail("%u deleted mailboxes will never be removed", doomed);
	for (uint32_t owner = 1; owner < M_OWNERS; owner++) {
		uint64_t used, messages;

		store_owner_usage(r->st, owner, &used, &messages);
		if (used != count.owner_bytes[owner] || messages != count.owner_messages[owner])
			rig_fail("user %u: %" PRIu64 " bytes, %" PRIu64 " messages said; counted %" PRIu64 ", %" PRIu64,
				owner, used, messages, count.owner_bytes[owner], count.owner_messages[owner]);
	}
}

static void add_live(uint32_t id, uint64_t bytes)
{
	unsigned at = 0;

	while (at < count.n_segments && count.segment[at].id != id)
		at++;
	if (at == count.n_segments && ++count.n_segments == SEGMENTS)
		rig_fail("more segments than recount can hold");
	count.segment[at].id = id;
	count.segment[at].live += bytes;
}

static void check_objects(struct rig *r)
{
	struct key k = tree_key(TREE_OBJECT, 0, 0), found;
	uint8_t bytes[OBJECT_BYTES];
	uint64_t n = 0;
	int len;

	while (next_row(r, &k, &found, bytes, sizeof bytes, &len)) {
		struct object o;
		char name[PORT_PATH_MAX];

		if (!object_get(bytes_make(bytes, (size_t)len), &o))
			rig_fail("the row of message %" PRIu64 " is damaged", found.lo);
		n++;
		count_object(found.lo, false, &o);
		add_live(o.segment, object_record_size(&o));
		count.live += object_live(&o);
		files_blob_name(r->st, found.lo, name);
		if (o.blob && !port_exists(name))
			rig_fail("%s is not there", name);
		if (found.lo >= r->st->super.next_object)
			rig_fail("message %" PRIu64 " is there, the next one is to be %" PRIu64, found.lo,
				r->st->super.next_object);
	}
	if (n != count.n_objects)
		rig_fail("%" PRIu64 " messages are stored, %u are referred to", n, count.n_objects);
	if (n != r->st->super.objects || count.entries != r->st->super.messages || count.live != r->st->super.live)
		rig_fail("the store says %" PRIu64 " messages, %" PRIu64 " entries, %" PRIu64
			 " live bytes; counted %" PRIu64 ", %" PRIu64 ", %" PRIu64,
			r->st->super.objects, r->st->super.messages, r->st->super.live, n, count.entries, count.live);
}

/* A message that several entries show has a row for each of them, and each names
 * such an entry; one that a single entry shows has none and names it itself. */
static void check_references(struct rig *r)
{
	struct key k = tree_key(TREE_OBJECT, 0, 0), found;
	uint8_t bytes[OBJECT_BYTES];
	uint64_t rows = 0, expected = 0;
	struct store_entry e;
	struct object o;
	int len;

	while (next_row(r, &k, &found, bytes, sizeof bytes, &len)) {
		if (!object_get(bytes_make(bytes, (size_t)len), &o))
			rig_fail("the row of message %" PRIu64 " is damaged", found.lo);
		expected += o.refs > 1 ? o.refs : 0;
		if (entry_load(r->st, o.home_mailbox, o.home_uid, &e) != OK || e.object != found.lo)
			rig_fail("message %" PRIu64 " calls %u uid %u its home, which does not show it", found.lo,
				o.home_mailbox, o.home_uid);
	}
	k = tree_key(TREE_REFERENCE, 0, 0);
	while (next_row(r, &k, &found, bytes, sizeof bytes, &len)) {
		uint64_t id = found.hi & ~(UINT64_C(0xFF) << 56);

		rows++;
		if (object_load(r->st, id, &o) != OK || o.refs < 2)
			rig_fail("a reference to message %" PRIu64 ", which is not there or shown once", id);
		if (entry_load(r->st, (uint32_t)(found.lo >> 32), (uint32_t)found.lo, &e) != OK || e.object != id)
			rig_fail("message %" PRIu64 " is said to be %" PRIu64 " uid %" PRIu64 ", which is another", id,
				found.lo >> 32, found.lo & UINT32_MAX);
	}
	if (rows != expected)
		rig_fail("%" PRIu64 " references are kept, %" PRIu64 " are needed", rows, expected);
}

static void check_audit(struct rig *r)
{
	struct key k = tree_key(TREE_AUDIT, 0, 0), found;
	uint8_t bytes[512];
	uint64_t rows = 0;
	int len;

	while (next_row(r, &k, &found, bytes, sizeof bytes, &len))
		rows++;
	if (rows != r->st->super.audits || rows > r->st->super.life_evicted)
		rig_fail("the audit has %" PRIu64 " rows and says %" PRIu64 "; %" PRIu64 " messages went", rows,
			r->st->super.audits, r->st->super.life_evicted);
}

static void check_segments(struct rig *r)
{
	struct key k = tree_key(TREE_SEGMENT, 0, 0), found;
	uint8_t bytes[SEGMENT_BYTES];
	unsigned with_live = 0;
	int len;

	while (next_row(r, &k, &found, bytes, sizeof bytes, &len)) {
		struct segment row;
		char name[PORT_PATH_MAX];
		unsigned at = 0;

		if (!segment_get(bytes_make(bytes, (size_t)len), &row))
			rig_fail("the row of segment %" PRIu64 " is damaged", found.lo);
		while (at < count.n_segments && count.segment[at].id != found.lo)
			at++;
		if (row.live != (at < count.n_segments ? count.segment[at].live : 0))
			rig_fail("segment %" PRIu64 " says %" PRIu64 " live bytes; counted %" PRIu64, found.lo,
				row.live, at < count.n_segments ? count.segment[at].live : 0);
		with_live += at < count.n_segments;
		files_segment_name(r->st, (uint32_t)found.lo, name);
		if (row.live && !port_exists(name))
			rig_fail("%s is not there", name);
	}
	if (with_live != count.n_segments)
		rig_fail("%u segments hold mail, %u are known", count.n_segments, with_live);
}

/* ---- the index file ---- */

static void count_page(struct rig *r, uint32_t slot)
{
	if (count.n_pages == PAGES)
		rig_fail("more pages than recount can hold");
	for (unsigned i = 0; i < count.n_pages; i++)
		if (count.pages[i] == slot)
			rig_fail("slot %u holds two pages", slot);
	count.pages[count.n_pages++] = slot;
	if (!slots_is_used(&r->st->tree.slots, slot))
		rig_fail("slot %u holds a page and is marked free", slot);
}

static void walk_pages(struct rig *r)
{
	struct tree *t = &r->st->tree;

	if (t->root != NONE)
		count_page(r, t->root);
	for (unsigned i = 0; i < count.n_pages; i++) {
		uint32_t frame;
		int err = tree_fetch(t, count.pages[i], &frame);
		const uint8_t *page;

		if (err != OK)
			rig_fail("slot %u can't be read: %s", count.pages[i], err_text(err));
		page = tree_page(t, frame);
		for (unsigned c = 0; page_level(page) > 0 && c < page_count(page); c++)
			count_page(r, branch_child(page, c));
		tree_unpin(t, frame);
	}
}

static void check_slots(struct rig *r)
{
	const struct slots *s = &r->st->tree.slots;

	walk_pages(r);
	for (unsigned i = 0; i < count.n_pages; i++) {
		for (unsigned j = 0; j < s->n_freed; j++)
			if (s->freed[j] == count.pages[i])
				rig_fail("slot %u holds a page and was given up", count.pages[i]);
		for (unsigned j = 0; j < s->n_freed_before; j++)
			if (s->freed_before[j] == count.pages[i])
				rig_fail("slot %u holds a page and was given up before", count.pages[i]);
	}
	if (s->used != count.n_pages + s->n_freed + s->n_freed_before)
		rig_fail("%u slots are in use: %u pages, %u and %u given up", s->used, count.n_pages, s->n_freed,
			s->n_freed_before);
}

/* ---- files ---- */

static bool check_file(void *context, const char *name)
{
	struct rig *r = context;
	unsigned long long number;
	int end = 0;
	struct object o;
	struct segment row;
	bool uploading = r->st->open_uploads != NULL;

	if (sscanf(name, "%16llx.msg%n", &number, &end) == 1 && end && name[end] == 0) {
		for (unsigned i = 0; i < PINS; i++)
			uploading |= r->st->pins[i].object == number;
		if (!uploading && object_load(r->st, number, &o) != OK && r->st->log.n_items == 0)
			rig_fail("%s belongs to no message", name);
	}
	end = 0;
	if (sscanf(name, "%8llx.seg%n", &number, &end) == 1 && end && name[end] == 0 &&
		segment_row_get(r->st, (uint32_t)number, &row) != OK)
		rig_fail("%s is no segment that the store knows", name);
	return true;
}

void rig_check_charged(struct rig *r)
{
	uint64_t charged = sim_charged(RIG_DIR);

	if (charged > r->scenario->storage)
		rig_fail("turn %u: the files take %" PRIu64 " of %" PRIu64 " bytes", r->turn, charged,
			r->scenario->storage);
	if (r->st && charged > r->st->charged)
		rig_fail("turn %u: the files take %" PRIu64 " bytes, the store thinks %" PRIu64, r->turn, charged,
			r->st->charged);
}

void rig_recount(struct rig *r)
{
	memset(&count, 0, sizeof count);
	count_mailboxes(r);
	count_entries(r);
	check_mailboxes(r);
	check_objects(r);
	check_references(r);
	check_audit(r);
	check_segments(r);
	check_slots(r);
	if (port_list(RIG_DIR, check_file, r) != OK)
		rig_fail("the directory can't be listed");
	rig_check_charged(r);
}

enum rig_state rig_state(const struct rig *r)
{
	if (!r->st)
		return RIG_RECOVERY;
	if (r->st->evict.running)
		return RIG_EVICTION;
	for (uint32_t i = r->st->log.n_applied; i < r->st->log.n_items; i++)
		if (r->st->log.items[i].record.type == RECORD_EVICT)
			return RIG_EVICTION;
	if (r->st->cleaning.segment)
		return RIG_CLEANING;
	return r->st->checkpointing || r->st->checkpoint_due ? RIG_CHECKPOINT : RIG_PLAIN;
}

void rig_print_log(struct rig *r, uint32_t id)
{
	struct segment_header h;
	char name[PORT_PATH_MAX];
	struct record rec;
	port_file f;

	files_segment_name(r->st, id, name);
	f = port_open(name, PORT_READ);
	if (f < 0 || segment_read_header(r->st, f, id, &h) != OK) {
		printf("# segment %u can't be read\n", id);
		port_close(f);
		return;
	}
	printf("# segment %u: %" PRId64 " bytes, first LSN %" PRIu64 ", predecessor %u until %u, durable %" PRIu64 "\n",
		id, port_size(f), h.first_lsn, h.prev, h.prev_end, h.durable);
	for (uint32_t at = RECORD_BLOCK; (int64_t)at < port_size(f); at += RECORD_ALIGN) {
		uint8_t header[RECORD_HEADER];

		if (port_read(f, at, header, sizeof header) == sizeof header && record_get(header, &rec, h.salt))
			printf("#   at %u: type %u, LSN %" PRIu64 ", body %u, tail %u, behind %u, durable %" PRIu64
			       "\n",
				at, rec.type, rec.lsn, rec.body_len, rec.tail_len, rec.prev_end, rec.durable);
	}
	port_close(f);
}
