/* Arrivals over a store that only takes bytes: what is committed, with which
 * summary, in how many calls. */
#include <stdlib.h>

#include "base/err.h"
#include "mail/summary.h"
#include "t.h"
#include "view/arrival.h"

/* ---- the store's side ---- */

struct store_upload {
	uint8_t *data;
	size_t len, cap;
	bool used;
};

static struct store_upload uploads[3];
static uint64_t begun_with;
static int begin_error, write_error, commit_error;
static size_t most_read; /* bytes read since it was set to 0 */
static struct {
	uint8_t *data;
	size_t len;
	uint8_t summary[LIMIT_SUMMARY];
	size_t summary_len;
	unsigned n;
} committed;

int store_upload_begin(struct store *st, uint64_t size, struct store_upload **up)
{
	(void)st;
	begun_with = size;
	if (begin_error)
		return begin_error;
	for (int i = 0; i < 3; i++)
		if (!uploads[i].used) {
			uploads[i] = (struct store_upload){ .used = true };
			*up = &uploads[i];
			return OK;
		}
	return E_AGAIN;
}

int store_upload_ready(struct store_upload *up, uint32_t owner, size_t len)
{
	(void)up;
	(void)owner;
	(void)len;
	return OK;
}

void store_upload_spare(struct store_upload *up)
{
	(void)up;
}

int store_upload_write(struct store_upload *up, const void *data, size_t len)
{
	if (write_error)
		return write_error;
	if (up->len + len > up->cap) {
		up->cap = 2 * (up->len + len);
		up->data = realloc(up->data, up->cap);
	}
	if (len)
		memcpy(up->data + up->len, data, len);
	up->len += len;
	return OK;
}

uint64_t store_upload_size(const struct store_upload *up)
{
	return up->len;
}

int64_t store_upload_read(struct store_upload *up, uint64_t offset, void *data, size_t len)
{
	if (offset > up->len)
		return 0;
	if (len > up->len - offset)
		len = up->len - offset;
	if (len)
		memcpy(data, up->data + offset, len);
	most_read += len;
	return (int64_t)len;
}

void store_upload_abort(struct store_upload *up)
{
	T_OK(up->used);
	free(up->data);
	*up = (struct store_upload){ 0 };
}

int store_upload_commit(struct store_upload *up, struct bytes summary, struct store_target *targets, size_t n,
	store_ticket *ticket)
{
	T_OK(up->used);
	if (commit_error)
		return commit_error;
	free(committed.data);
	committed.data = up->data;
	committed.len = up->len;
	T_OK(summary.len <= sizeof committed.summary);
	memcpy(committed.summary, summary.data, summary.len);
	committed.summary_len = summary.len;
	committed.n++;
	for (size_t i = 0; i < n; i++)
		targets[i].uid = 7;
	*ticket = 42;
	*up = (struct store_upload){ 0 };
	return OK;
}

/* ---- tests ---- */

static _Alignas(16) uint8_t memory[64 * 1024];
static struct arrivals *arrivals;
static struct store_target target;
static store_ticket ticket;

static void setup(uint32_t at_once)
{
	struct arena arena;

	for (int i = 0; i < 3; i++)
		if (uploads[i].used)
			store_upload_abort(&uploads[i]);
	arena_init(&arena, memory, sizeof memory);
	T_EQ(arrivals_init(&arrivals, &arena, NULL, at_once), OK);
	T_EQ(arena.used, arrivals_memory(at_once));
	begin_error = write_error = commit_error = OK;
	target.uid = 0;
	ticket = 0;
}

static struct arrival *begin(uint64_t size, bool crlf)
{
	struct arrival *r = NULL;

	T_EQ(arrival_begin(arrivals, size, crlf, &r), OK);
	return r;
}

/* The summary must be the one of the committed bytes. */
static void check_summary(void)
{
	static struct summary_parser p;
	static uint8_t space[LIMIT_SUMMARY];
	struct bytes s;

	summary_begin(&p, space, sizeof space);
	summary_push(&p, committed.data, committed.len);
	s = summary_end(&p);
	T_EQ(s.len, committed.summary_len);
	T_OK(memcmp(s.data, committed.summary, s.len) == 0);
}

T_TEST(small_message_needs_one_call)
{
	static const char text[] = "Subject: x\r\n\r\nbody\n";
	struct arrival *r;

	setup(2);
	r = begin(19, false);
	T_EQ(begun_with, 19);
	T_EQ(arrival_write(r, text, 5), OK);
	T_EQ(arrival_write(r, text + 5, sizeof text - 6), OK);
	T_EQ(arrival_size(r), 19);
	T_EQ(arrival_commit(r, &target, 1, &ticket), OK);
	T_EQ(ticket, 42);
	T_EQ(target.uid, 7);
	T_BYTES(committed.data, committed.len, text);
	check_summary();
	T_EQ(uploads[0].used, false);
}

static char *long_message(size_t size)
{
	char *text = malloc(size);

	memset(text, 'a', size);
	for (size_t i = 60; i + 1 < size; i += 61)
		memcpy(text + i - 1, "\r\n", 2);
	memcpy(text, "Subject: long\r\n\r\n", 17);
	return text;
}

T_TEST(long_messages_are_read_in_slices)
{
	static const size_t sizes[] = { 0, 1, LIMIT_SLICE_BYTES - 1, LIMIT_SLICE_BYTES, LIMIT_SLICE_BYTES + 1,
		10 * LIMIT_SLICE_BYTES, 10 * LIMIT_SLICE_BYTES + 77 };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char *text = long_message(sizes[i] + 64);
		struct arrival *r;
		size_t calls = 1;
		int rc;

		setup(1);
		r = begin(0, false);
		T_EQ(arrival_write(r, text, sizes[i]), OK);
		most_read = 0;
		while ((rc = arrival_commit(r, &target, 1, &ticket)) == E_AGAIN) {
			T_OK(most_read <= LIMIT_SLICE_BYTES);
			most_read = 0;
			calls++;
		}
		T_EQ(rc, OK);
		T_EQ(calls, sizes[i] == 0 ? 1 : (sizes[i] + LIMIT_SLICE_BYTES - 1) / LIMIT_SLICE_BYTES);
		T_EQ(committed.len, sizes[i]);
		check_summary();
		free(text);
	}
}

static void convert(const char *text, size_t cut, const char *expected)
{
	struct arrival *r = begin(strlen(text), true);

	T_EQ(begun_with, 0);
	for (size_t at = 0; at < strlen(text); at += cut) {
		size_t n = strlen(text) - at;

		T_EQ(arrival_write(r, text + at, n < cut ? n : cut), OK);
	}
	T_EQ(arrival_commit(r, &target, 1, &ticket), OK);
	T_BYTES(committed.data, committed.len, expected);
	check_summary();
}

T_TEST(bare_lf_becomes_crlf)
{
	setup(1);
	for (size_t cut = 1; cut < 12; cut++) {
		convert("", cut, "");
		convert("\n", cut, "\r\n");
		convert("a\nb\n\nc", cut, "a\r\nb\r\n\r\nc");
		convert("a\r\nb\n\r\n\r\r\nc\rd", cut, "a\r\nb\r\n\r\n\r\r\nc\rd");
	}
}

T_TEST(many_lines_become_crlf)
{
	enum { LINES = 10000 };
	static char in[LINES];
	struct arrival *r;
	int rc;

	setup(1);
	memset(in, '\n', sizeof in);
	r = begin(0, true);
	T_EQ(arrival_write(r, in, sizeof in), OK);
	while ((rc = arrival_commit(r, &target, 1, &ticket)) == E_AGAIN)
		;
	T_EQ(rc, OK);
	T_EQ(committed.len, 2 * LINES);
	for (size_t i = 0; i < committed.len; i++)
		T_EQ(committed.data[i], i % 2 ? '\n' : '\r');
}

T_TEST(one_is_read_at_a_time)
{
	char *text = long_message(5 * LIMIT_SLICE_BYTES);
	struct arrival *a, *b;

	setup(2);
	a = begin(0, false);
	b = begin(0, false);
	T_EQ(arrival_write(a, text, 5 * LIMIT_SLICE_BYTES), OK);
	T_EQ(arrival_write(b, text, 100), OK);
	T_EQ(arrival_commit(a, &target, 1, &ticket), E_AGAIN);
	T_EQ(arrival_commit(b, &target, 1, &ticket), E_AGAIN);
	/* The connection of the first breaks. */
	arrival_abort(a);
	T_EQ(arrival_commit(b, &target, 1, &ticket), OK);
	T_EQ(committed.len, 100);
	check_summary();
	free(text);
}

T_TEST(store_that_can_not_take_it_now)
{
	char *text = long_message(3 * LIMIT_SLICE_BYTES);
	struct arrival *small, *large;
	int rc;

	setup(2);
	small = begin(0, false);
	large = begin(0, false);
	T_EQ(arrival_write(small, text, 1000), OK);
	T_EQ(arrival_write(large, text, 3 * LIMIT_SLICE_BYTES), OK);
	commit_error = E_AGAIN;
	T_EQ(arrival_commit(small, &target, 1, &ticket), E_AGAIN);
	/* A small one does not keep the others waiting. */
	while ((rc = arrival_commit(large, &target, 1, &ticket)) == E_AGAIN && most_read < 3 * LIMIT_SLICE_BYTES)
		;
	T_EQ(rc, E_AGAIN);
	/* A large one is not read twice. */
	most_read = 0;
	T_EQ(arrival_commit(large, &target, 1, &ticket), E_AGAIN);
	T_EQ(arrival_commit(large, &target, 1, &ticket), E_AGAIN);
	T_EQ(arrival_commit(large, &target, 1, &ticket), E_AGAIN);
	commit_error = OK;
	while ((rc = arrival_commit(large, &target, 1, &ticket)) == E_AGAIN)
		;
	T_EQ(rc, OK);
	T_OK(most_read <= 3 * LIMIT_SLICE_BYTES);
	check_summary();
	T_EQ(arrival_commit(small, &target, 1, &ticket), OK);
	T_EQ(committed.len, 1000);
	check_summary();
	free(text);
}

T_TEST(errors)
{
	struct arrival *r, *more[2];

	setup(2);
	begin_error = E_FULL;
	T_EQ(arrival_begin(arrivals, 10, false, &r), E_FULL);
	begin_error = OK;
	for (int round = 0; round < 4; round++) {
		more[0] = begin(0, false);
		more[1] = begin(0, true);
		T_EQ(arrival_begin(arrivals, 10, false, &r), E_AGAIN);
		write_error = E_TOOBIG;
		T_EQ(arrival_write(more[0], "x", 1), E_TOOBIG);
		T_EQ(arrival_write(more[1], "x", 1), E_TOOBIG);
		write_error = OK;
		commit_error = E_NOENT;
		T_EQ(arrival_commit(more[0], &target, 1, &ticket), E_NOENT);
		commit_error = OK;
		arrival_abort(more[0]);
		arrival_abort(more[1]);
		arrival_abort(NULL);
		T_OK(!uploads[0].used && !uploads[1].used);
	}
}

T_MAIN(T_RUN(small_message_needs_one_call) T_RUN(long_messages_are_read_in_slices) T_RUN(bare_lf_becomes_crlf) T_RUN(
	many_lines_become_crlf) T_RUN(one_is_read_at_a_time) T_RUN(store_that_can_not_take_it_now) T_RUN(errors))
