/* LIST patterns: RFC 3501 section 6.3.8 and its examples. */
#include "imap/list_match.h"

#include "t.h"

#define YES(pattern, name) T_OK(list_match(bytes_of(pattern), bytes_of(name)))
#define NO(pattern, name) T_OK(!list_match(bytes_of(pattern), bytes_of(name)))

T_TEST(plain)
{
	YES("a/b", "a/b");
	NO("a/b", "a/B");
	NO("a", "a/b");
	NO("", "a");
	YES("", "");
}

T_TEST(star)
{
	YES("*", "INBOX");
	YES("*", "a/b/c");
	YES("a*", "a");
	YES("a*c", "a/b/c");
	NO("a*c", "a/b/d");
	YES("*b*", "a/b/c");
	YES("**", "x");
}

T_TEST(percent)
{
	YES("%", "a");
	NO("%", "a/b");
	YES("%/%", "a/b");
	NO("%/%", "a/b/c");
	YES("a/%", "a/b");
	NO("a/%", "a/b/c");
	YES("%b", "aab");
	YES("a%c/d%", "abc/def");
	NO("~/Mail/%", "~/Mail/meetings/x");
	YES("~/Mail/%", "~/Mail/foo");
}

T_TEST(both)
{
	YES("%*", "a/b");
	YES("*%", "a/b");
	YES("*/%x", "a/b/cx");
	NO("*/%x", "a/b/cy");
	YES("%/*c", "a/b/c");
	YES("*a%b*", "xxaxxb/c");
	NO("*a%b", "a/b");
}

T_TEST(inbox_in_any_case)
{
	YES("inbox", "INBOX");
	YES("InB%", "INBOX");
	YES("inbox/%", "INBOX/a");
	NO("inbox/A", "INBOX/a");
	NO("inboxes", "INBOXES");
}

/* Many wildcards take time by the product of the lengths, not by their power. */
T_TEST(hostile)
{
	char pattern[600], name[513];

	memset(name, 'a', 512);
	name[512] = 0;
	for (int i = 0; i < 298; i++)
		memcpy(pattern + 2 * i, i % 2 ? "*a" : "%a", 2);
	strcpy(pattern + 596, "b");
	for (int i = 0; i < 50; i++)
		NO(pattern, name);
}

T_MAIN(T_RUN(plain) T_RUN(star) T_RUN(percent) T_RUN(both) T_RUN(inbox_in_any_case) T_RUN(hostile))
