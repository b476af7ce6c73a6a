/* The grammar of RFC 3501 section 9. */
#include "imap/parse.h"

#include "base/err.h"
#include "store/store.h"
#include "t.h"

static uint8_t space[256];
static struct buf scratch;

static struct parse over(const char *text)
{
	buf_init(&scratch, space, sizeof space);
	return parse_begin(bytes_of(text));
}

#define STRING(text, expected) \
	do { \
		struct parse s_p = over(text); \
		struct bytes s_b; \
		T_OK(parse_astring(&s_p, &scratch, &s_b)); \
		T_BYTES(s_b.data, s_b.len, expected); \
		T_OK(parse_end(&s_p)); \
	} while (0)

#define NO_STRING(text) \
	do { \
		struct parse s_p = over(text); \
		struct bytes s_b; \
		T_OK(!parse_astring(&s_p, &scratch, &s_b)); \
	} while (0)

T_TEST(strings)
{
	STRING("atom", "atom");
	STRING("\"a b\"", "a b");
	STRING("\"\"", "");
	STRING("\"a\\\"b\\\\c\"", "a\"b\\c");
	STRING("{3}\r\na b", "a b");
	STRING("{3+}\r\na\"b", "a\"b");
	STRING("{0}\r\n", "");
	STRING("{2}\nab", "ab");
	STRING("a]b", "a]b"); /* resp-specials are ASTRING-CHARs */
	STRING("$label1", "$label1");
}

T_TEST(broken_strings)
{
	struct parse p = { { (const uint8_t *)"\"a\0b\"", 5 }, 0 };
	struct bytes b;

	NO_STRING("");
	NO_STRING("\"open");
	NO_STRING("\"a\r\nb\"");
	NO_STRING("\"a\\");
	NO_STRING("{4}\r\nabc");
	NO_STRING("{99999999999999999999}\r\nabc");
	NO_STRING("{3}abc");
	NO_STRING("{}\r\n");
	NO_STRING("(");
	T_OK(!parse_astring(&p, &scratch, &b)); /* NUL */
	p = (struct parse){ { (const uint8_t *)"{3}\r\na\0b", 8 }, 0 };
	T_OK(!parse_astring(&p, &scratch, &b));
}

T_TEST(escapes_beyond_the_scratch)
{
	struct parse p = parse_begin(bytes_of("\"aaaaaaaa\\\"\""));
	uint8_t little[4];
	struct bytes b;

	buf_init(&scratch, little, sizeof little);
	T_OK(!parse_astring(&p, &scratch, &b));
	p.at = 0;
	T_OK(!parse_astring(&p, NULL, &b)); /* no scratch at all */
	p = parse_begin(bytes_of("\"plain\""));
	T_OK(parse_astring(&p, NULL, &b));
}

T_TEST(tags)
{
	struct parse p = over("a001 NOOP");
	char longest[IMAP_TAG_MAX + 2];
	struct bytes tag;

	T_OK(parse_tag(&p, &tag));
	T_BYTES(tag.data, tag.len, "a001");
	p = over("+ NOOP");
	T_OK(!parse_tag(&p, &tag));
	p = over(" a NOOP");
	T_OK(!parse_tag(&p, &tag));
	memset(longest, 'x', sizeof longest);
	longest[IMAP_TAG_MAX] = 0;
	p = over(longest);
	T_OK(parse_tag(&p, &tag));
	longest[IMAP_TAG_MAX] = 'x';
	longest[IMAP_TAG_MAX + 1] = 0;
	p = over(longest);
	T_OK(!parse_tag(&p, &tag));
}

T_TEST(keywords_and_numbers)
{
	struct parse p = over("Return (4294967295 0 18446744073709551616");
	uint64_t n;

	T_OK(!parse_keyword(&p, "RETUR"));
	T_OK(parse_keyword(&p, "RETURN"));
	T_OK(parse_space(&p) && parse_char(&p, '('));
	T_OK(parse_number(&p, UINT32_MAX, &n));
	T_EQ(n, 4294967295);
	T_OK(parse_space(&p) && parse_number(&p, 5, &n));
	T_EQ(n, 0);
	T_OK(parse_space(&p) && !parse_number(&p, UINT64_MAX, &n));
}

T_TEST(flag_lists)
{
	struct parse p = over("(\\Seen \\DELETED $label1 Old old)");
	struct parse_flags f;

	T_OK(parse_flag_list(&p, false, &f));
	T_EQ(f.flags, STORE_SEEN | STORE_DELETED);
	T_EQ(f.n, 2);
	T_BYTES(f.keywords[0].data, f.keywords[0].len, "$label1");
	T_BYTES(f.keywords[1].data, f.keywords[1].len, "Old");
	T_OK(!f.unknown);
	p = over("()");
	T_OK(parse_flag_list(&p, false, &f));
	T_EQ(f.flags + f.n, 0);
	p = over("\\Flagged $Forwarded");
	T_OK(parse_flag_list(&p, true, &f) && parse_end(&p));
	T_EQ(f.flags, STORE_FLAGGED);
	T_EQ(f.n, 1);
	p = over("(\\Recent \\Foo)");
	T_OK(parse_flag_list(&p, false, &f));
	T_OK(f.unknown);
	p = over("(\\Seen");
	T_OK(!parse_flag_list(&p, false, &f));
	p = over("\\Seen");
	T_OK(!parse_flag_list(&p, false, &f));
	p = over("(a (b))");
	T_OK(!parse_flag_list(&p, false, &f));
}

T_TEST(too_many_keywords)
{
	char text[8 * IMAP_FLAGS_MAX + 20] = "(";
	struct parse_flags f;
	struct parse p;

	for (int i = 0; i <= IMAP_FLAGS_MAX; i++)
		(void)snprintf(text + strlen(text), 10, "%sk%d", i ? " " : "", i);
	strcat(text, ")");
	p = over(text);
	T_OK(!parse_flag_list(&p, false, &f));
}

#define MAILBOX(text, expected) \
	do { \
		struct parse m_p = parse_begin(bytes_of(text)); \
		uint8_t m_space[LIMIT_MAILBOX_NAME]; \
		struct buf m_name; \
		buf_init(&m_name, m_space, sizeof m_space); \
		T_EQ(parse_mailbox(&m_p, &m_name), OK); \
		T_BYTES(m_name.data, m_name.len, expected); \
	} while (0)

#define NO_MAILBOX(text, err) \
	do { \
		struct parse m_p = parse_begin(bytes_of(text)); \
		uint8_t m_space[LIMIT_MAILBOX_NAME]; \
		struct buf m_name; \
		buf_init(&m_name, m_space, sizeof m_space); \
		T_EQ(parse_mailbox(&m_p, &m_name), err); \
	} while (0)

T_TEST(mailbox_names)
{
	MAILBOX("inBox", "INBOX");
	MAILBOX("\"Inbox/\"", "INBOX");
	MAILBOX("&ZeVnLIqe-", "日本語"); /* RFC 3501 5.1.3 */
	MAILBOX("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語");
	MAILBOX("\"Trail/\"", "Trail");
	MAILBOX("a/b/c", "a/b/c");
	NO_MAILBOX("\"\"", E_RANGE);
	NO_MAILBOX("&Jjo!", E_RANGE);
	NO_MAILBOX("\"open", E_SYNTAX);
	NO_MAILBOX("(", E_SYNTAX);
}

T_TEST(names_too_long)
{
	char text[LIMIT_MAILBOX_NAME + 2];

	memset(text, 'x', sizeof text);
	text[LIMIT_MAILBOX_NAME] = 0;
	MAILBOX(text, text);
	text[LIMIT_MAILBOX_NAME] = 'x';
	text[LIMIT_MAILBOX_NAME + 1] = 0;
	NO_MAILBOX(text, E_LIMIT);
}

T_TEST(literal_marks)
{
	struct literal_mark m;

	T_OK(literal_mark(bytes_of("a APPEND x {12}"), &m));
	T_EQ(m.len, 12);
	T_EQ(m.at, 11);
	T_OK(m.sync && !m.binary);
	T_OK(literal_mark(bytes_of("a {0+}"), &m));
	T_OK(!m.sync && m.len == 0);
	T_OK(literal_mark(bytes_of("a ~{5+}"), &m));
	T_OK(m.binary && m.at == 2);
	T_OK(literal_mark(bytes_of("a {99999999999999999999999}"), &m));
	T_OK(m.len == UINT64_MAX);
	T_OK(!literal_mark(bytes_of("a {}"), &m));
	T_OK(!literal_mark(bytes_of("a {+}"), &m));
	T_OK(!literal_mark(bytes_of("a {-1}"), &m));
	T_OK(!literal_mark(bytes_of("12}"), &m));
	T_OK(!literal_mark(bytes_of("}"), &m));
	T_OK(!literal_mark(bytes_of(""), &m));
	T_OK(!literal_mark(bytes_of("a {3} "), &m));
}

T_MAIN(T_RUN(strings) T_RUN(broken_strings) T_RUN(escapes_beyond_the_scratch) T_RUN(tags) T_RUN(keywords_and_numbers)
		T_RUN(flag_lists) T_RUN(too_many_keywords) T_RUN(mailbox_names) T_RUN(names_too_long)
			T_RUN(literal_marks))
