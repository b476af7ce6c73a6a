#include "mta/trace.h"

#include "t.h"

static char space[TRACE_MAX];

static const char *put(struct trace t)
{
	struct buf out;

	t.domain = bytes_of("box.home.arpa");
	t.with = "LMTP";
	t.number = 7;
	t.message = 2;
	t.date =
		(struct date){ 837596665, -420 }; /* Wed, 17 Jul 1996 02:44:25 -0700, the date of RFC 3501's examples */
	buf_init(&out, space, sizeof space - 1);
	T_OK(trace_put(&out, &t));
	buf_terminate(&out);
	return space;
}

/* RFC 5321 4.4: Time-stamp-line = "Received:" FWS Stamp, with From-domain,
 * By-domain, [With] [ID] [For] ";" date-time; Return-Path before all else. */
T_TEST(one_recipient)
{
	const char *got = put((struct trace){ .sender = bytes_of("joe@a.example"),
		.recipient = bytes_of("anna@b.example"),
		.helo = bytes_of("mx.a.example"),
		.peer = "192.0.2.9" });

	T_BYTES(got, strlen(got),
		"Return-Path: <joe@a.example>\r\n"
		"Delivered-To: anna@b.example\r\n"
		"Received: from mx.a.example ([192.0.2.9])\r\n"
		"\tby box.home.arpa with LMTP id 7.2\r\n"
		"\tfor <anna@b.example>; Wed, 17 Jul 1996 02:44:25 -0700\r\n");
}

T_TEST(several_recipients_are_not_named)
{
	const char *got = put((struct trace){ .helo = bytes_of("local") });

	T_BYTES(got, strlen(got),
		"Return-Path: <>\r\n"
		"Received: from local\r\n"
		"\tby box.home.arpa with LMTP id 7.2; Wed, 17 Jul 1996 02:44:25 -0700\r\n");
}

T_TEST(a_client_cannot_forge_parts)
{
	const char *got =
		put((struct trace){ .helo = bytes_of("a;(b)\r\nX: <c>"), .peer = "2001:db8::1", .peer_ip6 = true });

	T_OK(strstr(got, "from a??b???X:??c? ([IPv6:2001:db8::1])\r\n\tby ") != NULL);
}

T_MAIN(T_RUN(one_recipient) T_RUN(several_recipients_are_not_named) T_RUN(a_client_cannot_forge_parts))
