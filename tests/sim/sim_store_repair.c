/* Damage, then a repair: the store opens again, everything fits together, and
 * every message whose own bytes were not hit is there with its flags. First
 * with a log that is whole, where all of it must come back; then with one whose
 * first segments are gone, where the catalogue and what cleaning wrote beside
 * the messages must do. And repairs that are cut off and begun again.
 *
 *     sim_store_repair [SEED]
 *     STRIDE=n    every n-th byte (default 4001, a prime) */
#include "explore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nothing is ever given back. */
static const struct scenario young = { .name = "young",
	.storage = 8u << 20,
	.turns = 120,
	.flag_delay_ms = 5000,
	.live_most = 500000,
	.message_most = 8000,
	.blob_most = 60000,
	.append = 30,
	.blob = 4,
	.flags = 25,
	.expunge = 8,
	.move = 6,
	.copy = 10,
	.names = 6,
	.subscribe = 3,
	.keyword = 3,
	.recent = 4 };
/* The log turns over several times. */
static const struct scenario old = { .name = "old",
	.storage = 4u << 20,
	.turns = 1500,
	.flag_delay_ms = 5000,
	.live_most = 900000,
	.message_most = 40000,
	.blob_most = 60000,
	.maintain = 3,
	.append = 60,
	.blob = 3,
	.flags = 20,
	.expunge = 12,
	.move = 3,
	.copy = 4,
	.names = 2,
	.subscribe = 1,
	.keyword = 1,
	.recent = 3 };

static struct rig rig, base;
static struct sim_image *image;
static struct m_state now, seen;
static char files[64][24];
static unsigned n_files, stride = 4001, file;
static bool whole; /* the log is */

static struct {
	uint64_t repairs, rebuilds, lost, damaged, elsewhere, flags, messages, cuts;
} *sums;

static bool take_name(void *context, const char *name)
{
	(void)context;
	if (n_files < 64)
		snprintf(files[n_files++], sizeof files[0], "%s", name);
	return true;
}

static uint64_t size_of(const char *path)
{
	port_file f = port_open(path, PORT_READ);
	int64_t n = f < 0 ? 0 : port_size(f);

	port_close(f);
	return n < 0 ? 0 : (uint64_t)n;
}

/* What each stored message is made of. */
static struct {
	uint64_t object;
	uint32_t content;
} known[4000];
static unsigned n_known;

static uint32_t content_of(uint64_t object)
{
	for (unsigned i = 0; i < n_known; i++)
		if (known[i].object == object)
			return known[i].content;
	return 0;
}

static void learn_objects(struct rig *r)
{
	n_known = 0;
	for (unsigned i = 0; i < M_BOXES; i++) {
		const struct m_box *b = &r->model.live.box[i];

		for (unsigned j = 0; b->used && j < b->n; j++) {
			struct store_entry e;

			if (store_entry_get(r->st, b->id, b->e[j].uid, &e) != OK ||
				n_known == sizeof known / sizeof *known)
				rig_fail("%s uid %u is not there", b->name, b->e[j].uid);
			known[n_known].object = e.object;
			known[n_known++].content = b->e[j].content;
		}
	}
}

/* Limits of a user's own, set before anything else. */
static const struct store_quota limits = { 50000000, 4000 };

static void set_limits(void)
{
	store_ticket ticket;

	if (store_set_quota(rig.st, 1, &limits, &ticket) != OK)
		rig_fail("a user's limits can't be set");
	rig_commit(&rig);
}

static void check_limits(void)
{
	struct store_quota is;

	store_quota(rig.st, 1, &is);
	if (is.bytes != limits.bytes || is.messages != limits.messages)
		rig_fail("a user's limits are %" PRIu64 " bytes and %" PRIu64 " messages", is.bytes, is.messages);
}

static void make(const struct scenario *s, uint64_t seed)
{
	uint64_t first = 0;

	n_files = 0;
	rig_init(&rig, s, seed);
	(void)rig_open(&rig);
	set_limits();
	while (rig.turn < s->turns)
		rig_turn(&rig);
	rig_upkeep(&rig);
	store_commit_request(rig.st);
	rig_commit(&rig);
	learn_objects(&rig);
	rig_close(&rig);
	sim_power_cut(&sim_keep_all);
	rig_dead(&rig);
	image = sim_image_save();
	base = rig;
	now = base.model.durable;
	if (port_list(RIG_DIR, take_name, NULL) != OK || n_files == 64)
		rig_fail("the files can't be listed");
	for (unsigned i = 0; i < n_files; i++)
		first |= strcmp(files[i], "00000001.seg") == 0;
	whole = first;
	if (whole != (s == &young))
		rig_fail("the first segment should%s be there", whole ? " not" : "");
}

/* ---- what must be there ---- */

static const struct m_entry *find_uid(const struct m_box *b, const struct m_entry *e)
{
	for (unsigned i = 0; b && i < b->n; i++)
		if (b->e[i].uid == e->uid && b->e[i].content == e->content && b->e[i].size == e->size)
			return &b->e[i];
	return NULL;
}

static const struct m_entry *find_anywhere(const struct m_entry *e)
{
	for (unsigned i = 0; i < M_BOXES; i++)
		for (unsigned j = 0; seen.box[i].used && j < seen.box[i].n; j++)
			if (seen.box[i].e[j].content == e->content && seen.box[i].e[j].size == e->size)
				return &seen.box[i].e[j];
	return NULL;
}

static struct {
	unsigned missing, elsewhere, flags, boxes, extra;
} wrong;

static unsigned n_damaged;
static uint32_t damaged[16]; /* their contents */

/* The bytes of a message: right, or said to be damaged. */
static void read_message(uint64_t object, const struct m_entry *m)
{
	static uint8_t data[LIMIT_SUMMARY], is[LIMIT_SUMMARY];
	int64_t n = store_summary(rig.st, object, data, sizeof data);
	uint64_t at = 0;
	size_t len = content_summary(m->content, is);

	if (n != E_DAMAGED && (n != (int64_t)len || memcmp(data, is, len) != 0))
		rig_fail("the summary of message %u is wrong: %" PRId64, m->content, n);
	while (n >= 0 && at < m->size) {
		n = store_body(rig.st, object, at, data, sizeof data);
		if (n == 0 || (n < 0 && n != E_DAMAGED) || (n > 0 && content_differs(m->content, at, data, (size_t)n)))
			rig_fail("message %u is wrong: %" PRId64, m->content, n);
		at += n > 0 ? (uint64_t)n : 0;
	}
	if (n >= 0)
		return;
	for (unsigned i = 0; i < n_damaged; i++)
		if (damaged[i] == m->content)
			return;
	if (n_damaged < 16)
		damaged[n_damaged++] = m->content;
}

static void learn_contents(void)
{
	n_damaged = 0;
	for (unsigned i = 0; i < M_BOXES; i++) {
		for (unsigned j = 0; seen.box[i].used && j < seen.box[i].n; j++) {
			struct m_entry *m = &seen.box[i].e[j];
			struct store_entry e;

			if (store_entry_get(rig.st, seen.box[i].id, m->uid, &e) != OK)
				rig_fail("%s uid %u is not there", seen.box[i].name, m->uid);
			m->content = content_of(e.object);
			if (m->content)
				read_message(e.object, m);
		}
	}
}

static void compare(void)
{
	unsigned have = 0, want = 0;

	memset(&wrong, 0, sizeof wrong);
	for (unsigned i = 0; i < M_BOXES; i++) {
		const struct m_box *b = &now.box[i], *is;
		int j;

		have += seen.box[i].used ? seen.box[i].n : 0;
		if (!b->used)
			continue;
		want += b->n;
		j = state_find(&seen, b->owner, b->name);
		is = j < 0 ? NULL : &seen.box[j];
		wrong.boxes += !is || is->uses != b->uses || is->n_keywords != b->n_keywords ||
			memcmp(is->keywords, b->keywords, sizeof is->keywords) != 0;
		for (unsigned k = 0; k < b->n; k++) {
			const struct m_entry *e = find_uid(is, &b->e[k]);

			__atomic_add_fetch(&sums->messages, 1, __ATOMIC_RELAXED);
			if (!e && find_anywhere(&b->e[k]))
				wrong.elsewhere++;
			else if (!e)
				wrong.missing++;
			else
				wrong.flags += e->flags != b->e[k].flags || e->keywords != b->e[k].keywords ||
					e->received != b->e[k].received || e->zone != b->e[k].zone;
		}
	}
	wrong.extra = have > want ? have - want : 0;
	__atomic_add_fetch(&sums->lost, wrong.missing, __ATOMIC_RELAXED);
	__atomic_add_fetch(&sums->elsewhere, wrong.elsewhere, __ATOMIC_RELAXED);
	__atomic_add_fetch(&sums->flags, wrong.flags, __ATOMIC_RELAXED);
}

static struct store_repaired repaired;
/* What is left of messages in files of their own speaks of a segment that is gone. */
static bool no_recount;

/* Repairs what is on the disk and opens it. */
static void repair(void)
{
	int err;

	rig = base;
	rig.faulty = true;
	err = rig_repair(&rig, &repaired);
	if (err != OK)
		rig_fail("it can't be repaired: %s", err_text(err));
	if (sim_open_files() != 0)
		rig_fail("%u files are open after the repair", sim_open_files());
	rig.faulty = false;
	(void)rig_open(&rig);
	__atomic_add_fetch(&sums->repairs, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&sums->rebuilds, repaired.rebuilt, __ATOMIC_RELAXED);
	if (rig_dump(&rig, &seen) != OK)
		rig_fail("the index can't be read after its repair");
	if (!no_recount)
		rig_recount(&rig);
	learn_contents();
	compare();
}

/* At most so many messages missing, with other flags, or damaged. */
static void expect(unsigned missing, unsigned flags, unsigned damaged)
{
	unsigned n = n_damaged;

	__atomic_add_fetch(&sums->damaged, n, __ATOMIC_RELAXED);
	if (wrong.missing > missing || wrong.flags > flags || n > damaged)
		rig_fail("%u missing (at most %u), %u with other flags (%u), %u damaged (%u), %u elsewhere",
			wrong.missing, missing, wrong.flags, flags, n, damaged, wrong.elsewhere);
	if (missing == 0 && flags == 0 && (wrong.elsewhere || wrong.boxes || wrong.extra))
		rig_fail("%u messages elsewhere, %u too many, %u mailboxes different", wrong.elsewhere, wrong.extra,
			wrong.boxes);
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && strcmp(name + n - m, end) == 0;
}

/* ---- kinds of damage ---- */

static void say_case(const char *what, uint64_t at)
{
	snprintf(rig_case, sizeof rig_case, "build/sim/sim_store_repair %" PRIu64 " (%s: %s, %" PRIu64 ")", base.seed,
		base.scenario->name, what, at);
}

static void zero(const char *path)
{
	for (uint64_t i = 0; i < (size_of(path) + 4095) / 4096; i++)
		(void)sim_zero_block(path, i);
}

/* The index as a whole is lost; the log is not touched. */
static int lost_index(void *context, unsigned n)
{
	static const char *const what[] = { "nothing", "no index", "index zeroed", "index cut", "no superblocks",
		"superblocks zeroed", "neither" };

	(void)context;
	if (n > sizeof what / sizeof *what)
		return EXPLORE_END;
	say_case(what[n - 1], 0);
	sim_image_load(image);
	if (n == 2 || n == 7)
		(void)port_remove(RIG_DIR "/index");
	if (n == 3)
		zero(RIG_DIR "/index");
	if (n == 4) {
		port_file f = port_open(RIG_DIR "/index", PORT_WRITE);

		(void)port_resize(f, size_of(RIG_DIR "/index") / 3);
		(void)port_sync(f);
		port_close(f);
	}
	if (n == 5 || n == 7) {
		(void)port_remove(RIG_DIR "/super.0");
		(void)port_remove(RIG_DIR "/super.1");
	}
	if (n == 6) {
		zero(RIG_DIR "/super.0");
		zero(RIG_DIR "/super.1");
	}
	(void)port_sync_dir(RIG_DIR);
	repair();
	/* Where the log is whole, the older checkpoint, which knows nothing, will do. */
	check_limits();
	if (!whole && repaired.rebuilt != (n != 1))
		rig_fail("it was%s rebuilt", repaired.rebuilt ? "" : " not");
	if (n == 1 && repaired.findings)
		rig_fail("a good store has %" PRIu64 " findings", repaired.findings);
	if (whole || n == 1)
		expect(0, 0, 0);
	else
		expect(n == 1 ? 0 : 0, UINT32_MAX, 0);
	if (wrong.boxes)
		rig_fail("%u mailboxes are not as they were", wrong.boxes);
	for (unsigned i = 0; i < M_BOXES; i++)
		for (unsigned j = 0; repaired.rebuilt && seen.box[i].used && j < M_BOXES; j++)
			if (now.box[j].used && now.box[j].uidvalidity == seen.box[i].uidvalidity)
				rig_fail("%s has a UIDVALIDITY that was there before", seen.box[i].name);
	rig_close(&rig);
	return EXPLORE_MORE;
}

/* Bits turned: of the index nothing is lost where the log is whole; of the log
 * what they hit. */
#define PARTS 8
static int flips(void *context, unsigned n)
{
	char path[64];
	uint64_t size;

	(void)context;
	if (n > PARTS)
		return EXPLORE_END;
	snprintf(path, sizeof path, "%s/%s", RIG_DIR, files[file]);
	sim_image_load(image);
	size = size_of(path);
	if (strcmp(files[file], "reserve") == 0 || strcmp(files[file], "lock") == 0)
		return EXPLORE_END;
	for (uint64_t at = (n - 1) * stride + (uint64_t)n * 13; at < size; at += PARTS * stride) {
		say_case(files[file], at);
		sim_image_load(image);
		(void)sim_flip_bit(path, at, (unsigned)(at % 8));
		repair();
		if (strcmp(files[file], "index") == 0 && whole)
			expect(0, 0, 0);
		else if (strcmp(files[file], "index") == 0)
			expect(2, UINT32_MAX, 0);
		else
			expect(0, 0, 1);
		rig_close(&rig);
	}
	return EXPLORE_MORE;
}

/* The same, and the index is lost too: one record of the log can't be told. */
static int flips_and_no_index(void *context, unsigned n)
{
	char path[64];
	uint64_t size;

	(void)context;
	if (n > PARTS || !ends_in(files[file], ".seg"))
		return EXPLORE_END;
	snprintf(path, sizeof path, "%s/%s", RIG_DIR, files[file]);
	sim_image_load(image);
	size = size_of(path);
	for (uint64_t at = (n - 1) * stride + (uint64_t)n * 13; at < size; at += PARTS * stride) {
		say_case("no index and ", at);
		sim_image_load(image);
		(void)sim_flip_bit(path, at, (unsigned)(at % 8));
		(void)port_remove(RIG_DIR "/index");
		(void)port_sync_dir(RIG_DIR);
		repair();
		if (wrong.missing > 130)
			rig_fail("%u messages are missing for one bit", wrong.missing);
		rig_close(&rig);
	}
	return EXPLORE_MORE;
}

/* Segments with each other's names; a segment that is gone. */
static int segments(void *context, unsigned n)
{
	char a[64], b[64];

	(void)context;
	if (n >= n_files)
		return EXPLORE_END;
	if (!ends_in(files[n - 1], ".seg"))
		return EXPLORE_MORE;
	snprintf(a, sizeof a, "%s/%s", RIG_DIR, files[n - 1]);
	snprintf(b, sizeof b, "%s/%s", RIG_DIR, files[n]);
	if (ends_in(b, ".seg")) {
		say_case("swapped", n);
		sim_image_load(image);
		(void)port_rename(a, RIG_DIR "/x");
		(void)port_rename(b, a);
		(void)port_rename(RIG_DIR "/x", b);
		(void)port_sync_dir(RIG_DIR);
		repair();
		expect(0, 0, 0);
		rig_close(&rig);
	}
	say_case(files[n - 1], 0);
	sim_image_load(image);
	(void)port_remove(a);
	(void)port_sync_dir(RIG_DIR);
	no_recount = true;
	repair();
	if (wrong.elsewhere || wrong.flags || wrong.boxes)
		rig_fail("with a segment gone, %u messages are elsewhere, %u have other flags, %u mailboxes differ",
			wrong.elsewhere, wrong.flags, wrong.boxes);
	if (repaired.lost != wrong.missing)
		rig_fail("%" PRIu64 " messages are said to be lost, %u are", repaired.lost, wrong.missing);
	/* Of a message in a file of its own the summary is gone. */
	expect(UINT32_MAX, 0, 16);
	rig_close(&rig);
	return EXPLORE_MORE;
}

/* Blocks zeroed, swapped, copied from elsewhere: it ends, and fits together. */
static int blocks(void *context, unsigned n)
{
	char path[64], other[64];
	uint64_t size;

	(void)context;
	if (n > n_files)
		return EXPLORE_END;
	snprintf(path, sizeof path, "%s/%s", RIG_DIR, files[n - 1]);
	snprintf(other, sizeof other, "%s/%s", RIG_DIR, files[n % n_files]);
	if (strcmp(files[n - 1], "lock") == 0 || strcmp(files[n - 1], "reserve") == 0)
		return EXPLORE_MORE;
	sim_image_load(image);
	size = size_of(path) / 4096;
	for (uint64_t i = 0; i + 1 < size; i += 1 + size / 10) {
		for (unsigned kind = 0; kind < 3; kind++) {
			say_case(files[n - 1], i * 10 + kind);
			sim_image_load(image);
			if (kind == 0)
				(void)sim_swap_blocks(path, i, i + 1);
			else if (kind == 1)
				(void)sim_zero_block(path, i);
			else
				(void)sim_copy_block(path, i, other, i / 2);
			repair();
			rig_close(&rig);
		}
	}
	return EXPLORE_MORE;
}

static void repair_it(void *context)
{
	(void)context;
	(void)rig_repair(&rig, &repaired);
}

/* The power goes at every operation of a repair. What was not synced is lost,
 * or kept, or torn; then it is repaired again. */
static int cuts(void *context, unsigned n)
{
	static const struct sim_policy *const fates[] = { &sim_lose_all, &sim_mixed, &sim_reordered };
	const unsigned step = 7;

	(void)context;
	for (unsigned fate = 0; fate < 3; fate++) {
		uint64_t at = (n - 1) * step + fate;

		snprintf(rig_case, sizeof rig_case,
			"build/sim/sim_store_repair %" PRIu64 " (%s, cut %" PRIu64 ", fate %u)", base.seed,
			base.scenario->name, at, fate);
		sim_image_load(image);
		(void)port_remove(RIG_DIR "/super.0");
		(void)port_remove(RIG_DIR "/super.1");
		(void)port_sync_dir(RIG_DIR);
		rig = base;
		rig.faulty = true;
		sim_cut_at(at + 1);
		if (sim_run(repair_it, NULL) == SIM_DONE) {
			sim_cut_at(0);
			return EXPLORE_END;
		}
		sim_power_cut(fates[fate]);
		__atomic_add_fetch(&sums->cuts, 1, __ATOMIC_RELAXED);
		repair();
		if (wrong.missing || (whole && wrong.flags))
			rig_fail("%u missing, %u other flags", wrong.missing, wrong.flags);
		rig_close(&rig);
	}
	return EXPLORE_MORE;
}

static bool all_of(const struct scenario *s, uint64_t seed)
{
	bool good;

	make(s, seed);
	good = explore_all(lost_index, NULL);
	for (file = 0; file < n_files && good; file++)
		good = explore_all(flips, NULL) && explore_all(flips_and_no_index, NULL);
	return good && explore_all(segments, NULL) && explore_all(blocks, NULL) && explore_all(cuts, NULL);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 7;
	bool good;

	setvbuf(stdout, NULL, _IOLBF, 0);
	explore_begin();
	sums = (void *)explore_shared(sizeof *sums);
	if (getenv("STRIDE"))
		stride = (unsigned)atoi(getenv("STRIDE"));
	good = all_of(&young, seed) && all_of(&old, seed);
	printf("%" PRIu64 " faults repaired, %" PRIu64 " of them by a new index, %" PRIu64
	       " cuts of a repair: of %" PRIu64 " messages %" PRIu64 " were lost, %" PRIu64 " damaged, %" PRIu64
	       " elsewhere, %" PRIu64 " with other flags\n",
		sums->repairs, sums->rebuilds, sums->cuts, sums->messages, sums->lost, sums->damaged, sums->elsewhere,
		sums->flags);
	printf("%d passed, %d failed\n", good, !good);
	return !good;
}
