/* A store in plain arrays, for tests of the view layer: it does at once what it
 * is told, calls the observer, and gives its answers in the meanest way that
 * store.h allows. Defines the store's functions itself: a program that includes
 * this does not get the real ones from the library. */
#ifndef TESTS_FAKE_STORE_H
#define TESTS_FAKE_STORE_H

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/store.h"

#define FAKE_MAILBOXES 4
#define FAKE_ENTRIES 20000

struct fake_mailbox {
	bool there;
	uint32_t uidnext, n, recent;
	uint64_t modseq;
	struct store_entry *entry;
};

struct fake_object {
	const void *summary, *body;
	size_t summary_len, body_len;
	int error; /* what reading it gives */
};

static struct fake {
	struct fake_mailbox mailbox[FAKE_MAILBOXES + 1]; /* by id, from 1 */
	struct store_observer observer;
	struct fake_object *objects; /* by number - 1 */
	size_t n_objects;
	bool not_durable;
	unsigned slice;    /* entries store_cursor_changed visits before E_AGAIN */
	uint64_t lsn;      /* last MODSEQ that was given, to any mailbox */
	uint64_t summaries, bodies, visits; /* how often and how many were asked for */
} fake;

static void fake_reset(void)
{
	for (int i = 0; i <= FAKE_MAILBOXES; i++)
		free(fake.mailbox[i].entry);
	memset(&fake, 0, sizeof fake);
	fake.slice = LIMIT_SLICE_ENTRIES;
	fake.lsn = 1;
	for (int i = 1; i <= FAKE_MAILBOXES; i++) {
		fake.mailbox[i] = (struct fake_mailbox){ true, 1, 0, 1, 1, NULL };
		fake.mailbox[i].entry = calloc(FAKE_ENTRIES, sizeof(struct store_entry));
	}
}

static void fake_changed(uint32_t id)
{
	if (fake.observer.changed)
		fake.observer.changed(fake.observer.context, id);
}

/* First entry with a UID above uid. */
static uint32_t fake_above(const struct fake_mailbox *m, uint32_t uid)
{
	uint32_t low = 0, high = m->n;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (m->entry[middle].uid <= uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Appends a message as e says; uid and modseq are given. staged: beyond UIDNEXT,
 * as a copy under way has them. */
static inline struct store_entry *fake_append(uint32_t id, struct store_entry e, bool staged)
{
	struct fake_mailbox *m = &fake.mailbox[id];
	uint32_t last = m->n ? m->entry[m->n - 1].uid : 0;

	e.uid = last >= m->uidnext ? last + 1 : m->uidnext;
	e.modseq = m->modseq = ++fake.lsn;
	m->entry[m->n++] = e;
	if (!staged) {
		m->uidnext = e.uid + 1;
		fake_changed(id);
	}
	return &m->entry[m->n - 1];
}

/* Makes staged messages real. */
static inline void fake_publish(uint32_t id)
{
	struct fake_mailbox *m = &fake.mailbox[id];

	if (m->n && m->entry[m->n - 1].uid >= m->uidnext)
		m->uidnext = m->entry[m->n - 1].uid + 1;
	fake_changed(id);
}

/* Removes up to n of the messages from index at on, as one change. */
static inline void fake_expunge(uint32_t id, uint32_t at, uint32_t n)
{
	struct fake_mailbox *m = &fake.mailbox[id];
	uint64_t modseq = m->modseq = ++fake.lsn;

	while (n-- && at < m->n) {
		uint32_t uid = m->entry[at].uid;

		memmove(&m->entry[at], &m->entry[at + 1], (m->n - at - 1) * sizeof *m->entry);
		m->n--;
		if (fake.observer.expunged)
			fake.observer.expunged(fake.observer.context, id, uid, modseq);
	}
}

/* New flags for the message at an index; its new MODSEQ. */
static inline uint64_t fake_flags(uint32_t id, uint32_t at, uint8_t flags)
{
	struct fake_mailbox *m = &fake.mailbox[id];

	m->entry[at].flags = flags;
	m->entry[at].modseq = m->modseq = ++fake.lsn;
	fake_changed(id);
	return m->modseq;
}

static inline void fake_delete(uint32_t id)
{
	fake.mailbox[id].there = false;
	fake.mailbox[id].n = 0;
	if (fake.observer.deleted)
		fake.observer.deleted(fake.observer.context, id);
}

/* ---- store.h ---- */

void store_observe(struct store *st, const struct store_observer *observer)
{
	(void)st;
	fake.observer = *observer;
}

void store_commit_request(struct store *st)
{
	(void)st;
}

bool store_all_durable(const struct store *st)
{
	(void)st;
	return !fake.not_durable;
}

int store_mailbox_get(struct store *st, uint32_t id, struct store_mailbox *out)
{
	struct fake_mailbox *m = &fake.mailbox[id];

	(void)st;
	if (id == 0 || id > FAKE_MAILBOXES || !m->there)
		return E_NOENT;
	memset(out, 0, sizeof *out);
	out->id = id;
	out->uidnext = m->uidnext;
	out->modseq = m->modseq;
	out->messages = fake_above(m, m->uidnext - 1);
	out->recent = m->recent;
	return OK;
}

uint32_t store_rank(struct store *st, uint32_t mailbox, uint32_t uid)
{
	(void)st;
	return fake_above(&fake.mailbox[mailbox], uid);
}

int store_entry_at(struct store *st, uint32_t mailbox, uint32_t n, struct store_entry *out)
{
	struct fake_mailbox *m = &fake.mailbox[mailbox];

	(void)st;
	if (n == 0 || n > m->n)
		return E_NOENT;
	*out = m->entry[n - 1];
	return OK;
}

int store_entry_get(struct store *st, uint32_t mailbox, uint32_t uid, struct store_entry *out)
{
	struct fake_mailbox *m = &fake.mailbox[mailbox];
	uint32_t at = fake_above(m, uid);

	(void)st;
	if (at == 0 || m->entry[at - 1].uid != uid)
		return E_NOENT;
	*out = m->entry[at - 1];
	return OK;
}

void store_cursor_init(struct store_cursor *c, uint32_t mailbox, uint32_t uid)
{
	*c = (struct store_cursor){ .mailbox = mailbox, .uid = uid };
}

int store_cursor_next(struct store *st, struct store_cursor *c, struct store_entry *out)
{
	struct fake_mailbox *m = &fake.mailbox[c->mailbox];
	uint32_t at = c->slot;

	(void)st;
	/* The hint holds when it stands right behind the cursor's place. */
	if (!(at && at <= m->n && m->entry[at - 1].uid == c->uid))
		at = fake_above(m, c->uid);
	if (at >= m->n)
		return E_NOENT;
	fake.visits++;
	*out = m->entry[at];
	c->uid = out->uid;
	c->slot = at + 1;
	return OK;
}

int store_cursor_changed(struct store *st, struct store_cursor *c, uint64_t modseq, struct store_entry *out)
{
	for (unsigned n = 0; n < fake.slice; n++) {
		int rc = store_cursor_next(st, c, out);

		if (rc != OK || out->modseq > modseq)
			return rc;
	}
	return E_AGAIN;
}

uint32_t store_first_unseen(struct store *st, uint32_t mailbox)
{
	struct fake_mailbox *m = &fake.mailbox[mailbox];

	(void)st;
	for (uint32_t i = 0; i < m->n; i++)
		if (!(m->entry[i].flags & STORE_SEEN))
			return m->entry[i].uid;
	return 0;
}

int store_recent_take(struct store *st, uint32_t mailbox, uint32_t *first)
{
	struct fake_mailbox *m = &fake.mailbox[mailbox];

	(void)st;
	*first = m->recent;
	m->recent = m->uidnext;
	return OK;
}

int store_keyword(struct store *st, uint32_t mailbox, struct bytes name, bool create, unsigned *bit)
{
	(void)st, (void)mailbox, (void)create;
	/* Keyword i is called "ki". */
	if (name.len != 2 || (name.data[0] | 32) != 'k' || name.data[1] < '0' || name.data[1] > '9')
		return E_NOENT;
	*bit = name.data[1] - '0';
	return OK;
}

static int64_t fake_read(const void *from, size_t len, uint64_t offset, void *data, size_t want)
{
	if (offset >= len)
		return 0;
	if (want > len - offset)
		want = len - offset;
	memcpy(data, (const char *)from + offset, want);
	return (int64_t)want;
}

int64_t store_summary(struct store *st, uint64_t object, void *space, size_t cap)
{
	(void)st;
	fake.summaries++;
	if (object == 0 || object > fake.n_objects)
		return E_GONE;
	if (fake.objects[object - 1].error)
		return fake.objects[object - 1].error;
	return fake_read(fake.objects[object - 1].summary, fake.objects[object - 1].summary_len, 0, space, cap);
}

int64_t store_body(struct store *st, uint64_t object, uint64_t offset, void *data, size_t len)
{
	(void)st;
	if (object == 0 || object > fake.n_objects)
		return E_GONE;
	if (fake.objects[object - 1].error)
		return fake.objects[object - 1].error;
	fake.bodies += len;
	return fake_read(fake.objects[object - 1].body, fake.objects[object - 1].body_len, offset, data, len);
}

#endif
