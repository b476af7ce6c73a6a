/* Networks in CIDR form. Expected values: RFC 4291 section 2.2, RFC 4632, and
 * Python's ipaddress module. */
#include "base/err.h"
#include "net/loop.h"
#include "tests/unit/t.h"

static const char *hex(const struct network *n)
{
	static char text[40];

	for (int i = 0; i < 16; i++)
		sprintf(text + 2 * i, "%02x", n->ip[i]);
	sprintf(text + 32, "/%u", n->bits);
	return text;
}

T_TEST(parses)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "192.168.0.0/16", "00000000000000000000ffffc0a80000/112" },
		{ "192.168.77.88/16", "00000000000000000000ffffc0a80000/112" },
		{ "10.1.2.3", "00000000000000000000ffff0a010203/128" },
		{ "0.0.0.0/0", "00000000000000000000ffff00000000/96" },
		{ "172.16.0.0/12", "00000000000000000000ffffac100000/108" },
		{ "255.255.255.255/31", "00000000000000000000fffffffffffe/127" },
		{ "::/0", "00000000000000000000000000000000/0" },
		{ "::", "00000000000000000000000000000000/128" },
		{ "::1", "00000000000000000000000000000001/128" },
		{ "fe80::/10", "fe800000000000000000000000000000/10" },
		{ "febf:ffff::1/10", "fe800000000000000000000000000000/10" },
		{ "2001:db8:1:2:3:4:5:6", "20010db8000100020003000400050006/128" },
		{ "2001:DB8::A/64", "20010db8000000000000000000000000/64" },
		{ "1:2:3:4:5:6:7::", "00010002000300040005000600070000/128" },
		{ "::2:3:4:5:6:7:8", "00000002000300040005000600070008/128" },
		{ "1::8", "00010000000000000000000000000008/128" },
		{ "::ffff:192.0.2.33", "00000000000000000000ffffc0000221/128" },
		{ "64:ff9b::192.0.2.33/96", "0064ff9b000000000000000000000000/96" },
		{ "1:2:3:4:5:6:1.2.3.4", "00010002000300040005000601020304/128" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct network n;

		if (network_parse(bytes_of(cases[i].text), &n) != OK)
			T_FAIL("%s is refused", cases[i].text);
		if (strcmp(hex(&n), cases[i].expected) != 0)
			T_FAIL("%s is %s, expected %s", cases[i].text, hex(&n), cases[i].expected);
	}
}

T_TEST(refuses)
{
	static const char *const cases[] = {
		"",
		"/",
		"/8",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"1.2.3.04",
		"01.2.3.4",
		"1.2.3.",
		"1..3.4",
		"1.2.3.4/",
		"1.2.3.4/33",
		"1.2.3.4/-1",
		"1.2.3.4/0x8",
		"1.2.3.4/24 ",
		" 1.2.3.4",
		"1.2.3.4/255.255.0.0",
		"::/129",
		":::",
		":",
		"1:",
		":1",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"1::2::3",
		"1:2:3:4:5:6:7:8::",
		"::1:2:3:4:5:6:7:8",
		"12345::",
		"g::",
		"::1.2.3.4.5",
		"::1.2.3",
		"1.2.3.4::",
		"1:2:3:4:5:6:7:1.2.3.4",
		"fe80::1%eth0",
		"[::1]",
		"localhost",
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct network n;

		if (network_parse(bytes_of(cases[i]), &n) != E_SYNTAX)
			T_FAIL("\"%s\" is taken", cases[i]);
	}
}

static bool in(const char *network, struct port_address peer)
{
	struct network n;

	T_EQ(network_parse(bytes_of(network), &n), OK);
	return network_contains(&n, 1, &peer);
}

T_TEST(contains)
{
	struct port_address a = { .family = PORT_IP4, .ip = { 192, 168, 1, 200 } };
	struct port_address b = { .family = PORT_IP6, .ip = { 0xfe, 0xbf, [15] = 1 } };
	struct port_address u = { .family = PORT_UNIX };
	struct network list[2];

	T_OK(in("192.168.0.0/16", a));
	T_OK(in("192.168.1.200", a));
	T_OK(in("192.168.1.192/28", a));
	T_OK(!in("192.168.1.192/29", a));
	T_OK(!in("10.0.0.0/8", a));
	T_OK(in("0.0.0.0/0", a));
	T_OK(in("::/0", a));
	T_OK(!in("::/8", b));
	T_OK(in("fe80::/10", b));
	T_OK(!in("fe80::/16", b));
	T_OK(!in("0.0.0.0/0", b));
	T_OK(in("10.0.0.0/8", u)); /* the file's permissions decide */
	T_EQ(network_parse(bytes_of("10.0.0.0/8"), &list[0]), OK);
	T_EQ(network_parse(bytes_of("fe80::/10"), &list[1]), OK);
	T_OK(network_contains(list, 2, &b));
	T_OK(!network_contains(list, 2, &a));
	T_OK(!network_contains(list, 0, &b));
}

T_MAIN(T_RUN(parses) T_RUN(refuses) T_RUN(contains))
