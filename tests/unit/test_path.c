#include "mta/path.h"

#include "base/err.h"
#include "t.h"

static int parse(const char *text, struct path *p, struct bytes *rest)
{
	*rest = bytes_of(text);
	return path_parse(rest, true, p);
}

T_TEST(plain_address)
{
	struct path p;
	struct bytes rest;

	/* RFC 5321 appendix D.1 */
	T_EQ(parse("<Smith@bar.com>", &p, &rest), OK);
	T_BYTES(p.text.data, p.text.len, "Smith@bar.com");
	T_BYTES(p.local.data, p.local.len, "Smith");
	T_BYTES(p.domain.data, p.domain.len, "bar.com");
	T_EQ(rest.len, 0);
	T_EQ(parse(" <a+b@[192.0.2.1]> SIZE=1", &p, &rest), OK);
	T_BYTES(p.domain.data, p.domain.len, "[192.0.2.1]");
	T_BYTES(rest.data, rest.len, " SIZE=1");
	T_EQ(parse("<anna>", &p, &rest), OK);
	T_BYTES(p.local.data, p.local.len, "anna");
	T_EQ(p.domain.len, 0);
	T_EQ(parse("<>", &p, &rest), OK);
	T_EQ(p.text.len, 0);
}

T_TEST(source_route_is_dropped)
{
	struct path p;
	struct bytes rest;

	/* RFC 5321 appendix C and section 4.1.2 */
	T_EQ(parse("<@hosta.int,@jkl.org:userc@d.bar.org>", &p, &rest), OK);
	T_BYTES(p.text.data, p.text.len, "userc@d.bar.org");
	T_EQ(parse("<@hosta.int userc@d.bar.org>", &p, &rest), E_SYNTAX);
	T_EQ(parse("<@a b:c@d>", &p, &rest), E_SYNTAX);
}

T_TEST(quoted_local)
{
	struct path p;
	struct bytes rest;
	uint8_t local[PATH_LOCAL_MAX];

	/* RFC 5321 section 4.1.2: "Joe\,Smith" and friends */
	T_EQ(parse("<\"Joe\\,Smith @x\"@foo.com>", &p, &rest), OK);
	T_BYTES(local, path_local(&p, local), "Joe,Smith @x");
	T_BYTES(p.domain.data, p.domain.len, "foo.com");
	T_EQ(parse("<\"a\\\"b\"@c>", &p, &rest), OK);
	T_BYTES(local, path_local(&p, local), "a\"b");
	T_EQ(parse("<\"ab@c>", &p, &rest), E_SYNTAX);
	T_EQ(parse("<\"ab\\", &p, &rest), E_SYNTAX);
	T_EQ(parse("<\"", &p, &rest), E_SYNTAX);
	T_EQ(parse("<\"a\nb\"@c>", &p, &rest), E_SYNTAX);
}

T_TEST(utf8_only_where_allowed)
{
	struct path p;
	struct bytes rest;

	T_EQ(parse("<j\xc3\xb6rg@m\xc3\xbcller.example>", &p, &rest), OK);
	T_EQ(parse("<j\xc3@x>", &p, &rest), E_SYNTAX);
	rest = bytes_of("<j\xc3\xb6rg@x>");
	T_EQ(path_parse(&rest, false, &p), E_SYNTAX);
}

T_TEST(bad_paths)
{
	static const char *const bad[] = { "", "anna@x", "<", "<a", "<a@>", "<a@b", "<a b@c>", "<a@b c>", "<a@b>x",
		"<a<b@c>", "<a@[>", "<a@[]>", "<a@[1.2.3.4>", "<a\r@b>", "<a@b\r>", "<a@b@c>", "<@a:>x", "<(a)@b>" };
	struct path p;
	struct bytes rest;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (parse(bad[i], &p, &rest) == OK)
			T_FAIL("taken: %s", bad[i]);
}

T_TEST(length_limit)
{
	char text[PATH_MAX_BYTES + 16];
	struct path p;
	struct bytes rest;

	text[0] = '<';
	memset(text + 1, 'a', PATH_MAX_BYTES);
	memcpy(text + 1 + PATH_MAX_BYTES, ">", 2);
	T_EQ(parse(text, &p, &rest), OK);
	T_EQ(p.text.len, PATH_MAX_BYTES);
	memcpy(text + 1 + PATH_MAX_BYTES, "a>", 3);
	T_EQ(parse(text, &p, &rest), E_LIMIT);
}

T_TEST(parameters)
{
	struct bytes rest = bytes_of(" SIZE=1000  body=8BITMIME SMTPUTF8 "), key, value;

	T_EQ(path_parameter(&rest, &key, &value), OK);
	T_BYTES(key.data, key.len, "SIZE");
	T_BYTES(value.data, value.len, "1000");
	T_EQ(path_parameter(&rest, &key, &value), OK);
	T_BYTES(value.data, value.len, "8BITMIME");
	T_EQ(path_parameter(&rest, &key, &value), OK);
	T_BYTES(key.data, key.len, "SMTPUTF8");
	T_OK(value.data == NULL);
	T_EQ(path_parameter(&rest, &key, &value), E_NOENT);
	rest = bytes_of("SIZE=");
	T_EQ(path_parameter(&rest, &key, &value), E_SYNTAX);
	rest = bytes_of("=1");
	T_EQ(path_parameter(&rest, &key, &value), E_SYNTAX);
	rest = bytes_of("A_B=1");
	T_EQ(path_parameter(&rest, &key, &value), E_SYNTAX);
	rest = bytes_of("A=1=2");
	T_EQ(path_parameter(&rest, &key, &value), E_SYNTAX);
}

T_MAIN(T_RUN(plain_address) T_RUN(source_route_is_dropped) T_RUN(quoted_local) T_RUN(utf8_only_where_allowed)
		T_RUN(bad_paths) T_RUN(length_limit) T_RUN(parameters))
