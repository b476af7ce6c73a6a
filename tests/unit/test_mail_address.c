/* Address lists. The lists and what they mean are from RFC 5322, appendix A;
 * the odd ones are compared with Dovecot in test_imap_structure.c. */
#include "mail/address.h"

#include <stdlib.h>

#include "t.h"

/* Writes a list as "name|route|mailbox|host" with "-" for what is absent, "["
 * and "]" for groups, ", " between. */
static const char *show(const char *value)
{
	static char text[4000];
	uint8_t space[ADDRESS_SPACE];
	struct address_list list;
	struct address a;
	size_t n = 0;

	address_begin(&list, bytes_of(value));
	text[0] = 0;
	while (address_next(&list, space, &a)) {
		const struct bytes *piece[] = { &a.name, &a.route, &a.mailbox, &a.host };

		n += (size_t)snprintf(text + n, sizeof text - n, "%s", n ? ", " : "");
		if (a.kind != ADDRESS_MAILBOX) {
			n += (size_t)snprintf(text + n, sizeof text - n, a.kind == ADDRESS_GROUP ? "[%.*s" : "]",
				(int)a.mailbox.len, (const char *)a.mailbox.data);
			continue;
		}
		for (int i = 0; i < 4; i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s", i ? "|" : "",
				piece[i]->data ? (int)piece[i]->len : 1,
				piece[i]->data ? (const char *)piece[i]->data : "-");
	}
	T_OK(!address_next(&list, space, &a));
	return text;
}

static void check(const char *value, const char *expected)
{
	const char *got = show(value);

	if (strcmp(got, expected) != 0)
		T_FAIL("%s\n#  is \"%s\"\n# not \"%s\"", value, got, expected);
}

T_TEST(rfc_5322_appendix_a)
{
	check("John Doe <jdoe@machine.example>", "John Doe|-|jdoe|machine.example");
	check("\"Joe Q. Public\" <john.q.public@example.com>", "Joe Q. Public|-|john.q.public|example.com");
	check("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
		"Mary Smith|-|mary|x.test, -|-|jdoe|example.org, Who?|-|one|y.test");
	check("<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
		"-|-|boss|nil.test, Giant; \"Big\" Box|-|sysservices|example.net");
	check("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
		"[A Group, Ed Jones|-|c|a.test, -|-|joe|where.test, John|-|jdoe|one.test, ]");
	check("Undisclosed recipients:;", "[Undisclosed recipients, ]");
	check("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|-|pete|silly.test");
	check("A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n"
	      "         joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the group)",
		"[A Group, Chris Jones|-|c|public.example, -|-|joe|example.org, John|-|jdoe|one.test, ]");
	check("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "[Hidden recipients, ]");
	check("Joe Q. Public <john.q.public@example.com>", "Joe Q. Public|-|john.q.public|example.com");
	check("Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
		"Mary Smith|@node.test|mary|example.net, -|-|jdoe|test.example");
}

T_TEST(nothing_is_nothing)
{
	check("", "");
	check("   ", "");
	check(",", "");
	check(" , ,(comment) ,", "");
	check(";", "-|-|MISSING_MAILBOX|MISSING_DOMAIN");
}

T_TEST(strings_are_unquoted)
{
	check("\"a\\\"b\\\\c\"@x.test", "-|-|a\"b\\c|x.test");
	check("\"\"@x.test", "-|-||x.test");
	check("a@x.test (n\\(a\\)me)", "n(a)me|-|a|x.test");
	check("a@[1.2.3.4]", "-|-|a|[1.2.3.4]");
	check("\"A\" B \"C \\\"D\\\"\" <e@x.test>", "A B C \"D\"|-|e|x.test");
}

T_TEST(long_strings_are_cut_not_lost)
{
	static char value[5000];
	uint8_t space[ADDRESS_SPACE];
	struct address_list list;
	struct address a;
	size_t n = 0;

	value[n++] = '"';
	while (n < 3000) {
		value[n++] = '\\';
		value[n++] = 'x';
	}
	memcpy(value + n, "\" <a@b>, c@d", 13);
	address_begin(&list, bytes_of(value));
	T_OK(address_next(&list, space, &a));
	T_OK(a.name.len > 500 && a.name.len <= ADDRESS_SPACE);
	T_BYTES(a.mailbox.data, a.mailbox.len, "a");
	T_BYTES(a.host.data, a.host.len, "b");
	T_OK(address_next(&list, space, &a));
	T_BYTES(a.mailbox.data, a.mailbox.len, "c");
}

T_TEST(counts_are_bounded)
{
	size_t len = 400000;
	char *value = malloc(len + 1);
	uint8_t space[ADDRESS_SPACE];
	struct address_list list;
	struct address a;
	enum address_kind last = ADDRESS_MAILBOX;
	unsigned n = 0;

	for (size_t i = 0; i < len; i += 4)
		memcpy(value + i, "a@b,", 4);
	memcpy(value, "G:", 2);
	address_begin(&list, bytes_make(value, len));
	for (; address_next(&list, space, &a); n++)
		last = a.kind;
	T_EQ(n, ADDRESS_MAX + 1); /* and the group is closed */
	T_EQ(last, ADDRESS_GROUP_END);
	free(value);
}

/* Any bytes at all: it ends, and every slice stays inside what it may. */
T_TEST(takes_anything)
{
	static const char odd[] = "a.@<>(),;:\\\"[] \t\r\n\0\xe4=?";
	uint8_t value[64], space[ADDRESS_SPACE];
	uint32_t seed = 1;

	for (int round = 0; round < 200000; round++) {
		struct address_list list;
		struct address a;
		size_t len = 0, total = 0;

		for (seed = seed * 1664525 + 1013904223; len < (seed >> 24) % sizeof value;) {
			seed = seed * 1664525 + 1013904223;
			value[len++] = (uint8_t)odd[(seed >> 16) % (sizeof odd - 1)];
			if (len == 63)
				break;
		}
		address_begin(&list, bytes_make(value, len));
		while (address_next(&list, space, &a)) {
			T_OK(list.at <= len);
			T_OK(++total <= 2 * len + 2);
			if (a.kind == ADDRESS_MAILBOX)
				T_OK(a.mailbox.data && a.host.len);
		}
		T_OK(!list.in_group);
	}
}

T_MAIN(T_RUN(rfc_5322_appendix_a) T_RUN(nothing_is_nothing) T_RUN(strings_are_unquoted)
		T_RUN(long_strings_are_cut_not_lost) T_RUN(counts_are_bounded) T_RUN(takes_anything))
