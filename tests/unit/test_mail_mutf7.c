/* Modified UTF-7. Encodings come from Python's UTF-16 and base64; the rules are
 * those of RFC 3501 section 5.1.3. */
#include "mail/mutf7.h"

#include "base/err.h"
#include "t.h"

static const char *const pairs[][2] = {
	{ "", "" },
	{ "INBOX", "INBOX" },
	{ "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "&ZeVnLIqe-" },
	{ "Entw\xc3\xbcrfe", "Entw&APw-rfe" },
	{ "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
	  "~peter/mail/&U,BTFw-/&ZeVnLIqe-" },
	{ "A&B", "A&-B" },
	{ "&", "&-" },
	{ "&&", "&-&-" },
	{ "\xf0\x9f\x98\x80x", "&2D3eAA-x" },
	{ "\xc3\xa4&\xc3\xb6", "&AOQ-&-&APY-" },
	{ "a-b", "a-b" },
	{ "\xc3\xa4-", "&AOQ--" },
	{ "\x01", "&AAE-" },
	{ "\xce\xa3\xcf\x83\xcf\x82\xce\x91", "&A6MDwwPCA5E-" },
	{ "\\\"", "\\\"" },
};

T_TEST(both_ways)
{
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		uint8_t space[100];
		struct buf out;

		buf_init(&out, space, sizeof space);
		T_EQ(mutf7_from_utf8(bytes_of(pairs[i][0]), &out), OK);
		T_BYTES(space, out.len, pairs[i][1]);
		buf_reset(&out);
		T_EQ(mutf7_to_utf8(bytes_of(pairs[i][1]), &out), OK);
		T_BYTES(space, out.len, pairs[i][0]);
	}
}

T_TEST(one_form_only)
{
	static const char *const bad[] = {
		"&", "a&", "&ZeVnLIqe", "&U,BTFw-&ZeVnLIqe-", /* open; two shifts where one would do */
		"&AGE-", "&AGEA5A-", "&ACY-", /* printable ASCII must stand for itself */
		"&AOR-", "&AOQA-", "&AO-", "&A-", "&AOQ=-", /* bits left over, padding */
		"&2D0-", "&3gA-", "&2D3YPQ-", /* surrogates alone */
		"\xc3\xa4", "a\x01", "a\x7f", "&\xc3\xa4-", "&AO Q-", "&U/BTFw-", /* bytes that can't be */
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t space[100];
		struct buf out;

		buf_init(&out, space, sizeof space);
		T_OK(buf_puts(&out, "before"));
		if (mutf7_to_utf8(bytes_of(bad[i]), &out) != E_SYNTAX)
			T_FAIL("%s is taken", bad[i]);
		T_BYTES(space, out.len, "before");
	}
}

T_TEST(refuses_what_is_not_utf8)
{
	static const char *const bad[] = { "\xc3", "a\xff", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t space[100];
		struct buf out;

		buf_init(&out, space, sizeof space);
		T_EQ(mutf7_from_utf8(bytes_of(bad[i]), &out), E_SYNTAX);
		T_EQ(out.len, 0);
	}
}

T_TEST(any_lack_of_room_is_told)
{
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		uint8_t space[100];
		struct buf out;

		for (size_t cap = 0; cap < strlen(pairs[i][1]); cap++) {
			buf_init(&out, space, cap);
			T_EQ(mutf7_from_utf8(bytes_of(pairs[i][0]), &out), E_LIMIT);
			T_EQ(out.len, 0);
		}
		for (size_t cap = 0; cap < strlen(pairs[i][0]); cap++) {
			buf_init(&out, space, cap);
			T_EQ(mutf7_to_utf8(bytes_of(pairs[i][1]), &out), E_LIMIT);
			T_EQ(out.len, 0);
		}
	}
}

/* Every name that is taken comes back the same: no two spellings of one name. */
T_TEST(what_is_taken_comes_back)
{
	static const char alphabet[] = "&&&&--A,+aO2DQwgE/ \x7f";
	uint32_t seed = 3;
	unsigned taken = 0;

	for (int round = 0; round < 300000; round++) {
		char name[12];
		uint8_t utf8[64], again[64];
		struct buf out, back;
		size_t n = 1 + (seed >> 20) % 11;

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			name[i] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
		}
		buf_init(&out, utf8, sizeof utf8);
		if (mutf7_to_utf8(bytes_make(name, n), &out) != OK)
			continue;
		taken++;
		buf_init(&back, again, sizeof again);
		T_EQ(mutf7_from_utf8(buf_bytes(&out), &back), OK);
		T_OK(bytes_equal(buf_bytes(&back), bytes_make(name, n)));
	}
	T_OK(taken > 1000);
}

T_MAIN(T_RUN(both_ways) T_RUN(one_form_only) T_RUN(refuses_what_is_not_utf8) T_RUN(any_lack_of_room_is_told)
		T_RUN(what_is_taken_comes_back))
