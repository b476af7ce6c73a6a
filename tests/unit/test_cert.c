#include "tests/unit/t.h"

#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include "base/crypto.h"
#include "base/err.h"
#include "control/cert.h"
#include "port/sim/sim.h"

#define CERT "dir/cert.pem"
#define KEY "dir/key.pem"
#define NOW 1800000000 /* 2027-01-15 08:00:00 UTC */

static struct cert_names names;
static struct cert_description about;

static void fresh(void)
{
	sim_reset(5);
	T_EQ(crypto_init(port_entropy), OK);
	T_EQ(port_mkdir("dir"), OK);
	T_EQ(port_sync_dir("."), OK);
	memset(&names, 0, sizeof names);
}

static int create(bool replace)
{
	return cert_create(&names, CERT, KEY, NOW, replace);
}

static unsigned char *load(const char *path, size_t *len)
{
	static unsigned char text[CERT_FILE + 1];
	port_file f = port_open(path, PORT_READ);
	int64_t n;

	T_OK(f >= 0);
	n = port_read(f, 0, text, CERT_FILE);
	T_OK(n > 0);
	port_close(f);
	text[n] = '\0';
	*len = (size_t)n + 1;
	return text;
}

T_TEST(makes_a_pair)
{
	mbedtls_x509_crt crt;
	mbedtls_pk_context pk;
	unsigned char *text;
	uint32_t flags;
	size_t len;

	fresh();
	T_EQ(cert_names_add(&names, "mail.example.org"), OK);
	T_EQ(cert_names_add(&names, "*.box.lan"), OK);
	T_EQ(cert_names_add(&names, "192.168.1.1"), OK);
	T_EQ(cert_names_add(&names, "2001:db8::1"), OK);
	T_EQ(create(false), OK);

	mbedtls_x509_crt_init(&crt);
	mbedtls_pk_init(&pk);
	text = load(CERT, &len);
	T_EQ(mbedtls_x509_crt_parse(&crt, text, len), 0);
	text = load(KEY, &len);
	T_EQ(mbedtls_pk_parse_key(&pk, text, len, NULL, 0, crypto_rng, NULL), 0);
	T_EQ(mbedtls_pk_check_pair(&crt.pk, &pk, crypto_rng, NULL), 0);
	T_EQ(mbedtls_pk_get_bitlen(&crt.pk), 256);
	T_EQ(crt.version, 3);
	T_EQ(crt.serial.len, 16);
	/* It verifies itself, for its names and no other. */
	T_EQ(mbedtls_x509_crt_verify(&crt, &crt, NULL, "mail.example.org", &flags, NULL, NULL), 0);
	T_EQ(mbedtls_x509_crt_verify(&crt, &crt, NULL, "imap.box.lan", &flags, NULL, NULL), 0);
	T_EQ(mbedtls_x509_crt_verify(&crt, &crt, NULL, "192.168.1.1", &flags, NULL, NULL), 0);
	T_EQ(mbedtls_x509_crt_verify(&crt, &crt, NULL, "2001:db8::1", &flags, NULL, NULL), 0);
	T_OK(mbedtls_x509_crt_verify(&crt, &crt, NULL, "192.168.1.2", &flags, NULL, NULL) != 0);
	T_OK(mbedtls_x509_crt_verify(&crt, &crt, NULL, "example.org", &flags, NULL, NULL) != 0);
	T_EQ(mbedtls_x509_crt_check_extended_key_usage(&crt, MBEDTLS_OID_SERVER_AUTH,
		     MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)),
		0);
	T_OK(mbedtls_x509_crt_check_extended_key_usage(&crt, MBEDTLS_OID_CLIENT_AUTH,
		     MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0);
	mbedtls_x509_crt_free(&crt);
	mbedtls_pk_free(&pk);
}

T_TEST(describes)
{
	char first[CERT_FINGERPRINT];

	fresh();
	cert_names_add(&names, "mail.example.org");
	cert_names_add(&names, "192.168.1.1");
	cert_names_add(&names, "2001:db8::1");
	T_EQ(create(false), OK);
	T_EQ(cert_describe(CERT, &about), OK);
	T_BYTES(about.names, strlen(about.names), "mail.example.org 192.168.1.1 2001:db8::1");
	T_OK(about.self_signed);
	T_EQ(about.not_before, NOW - 86400);
	T_EQ(about.not_after, NOW - 86400 + 800 * 86400 - 1);
	T_EQ(strlen(about.fingerprint), 95);
	strcpy(first, about.fingerprint);
	T_EQ(create(false), E_EXIST);
	T_EQ(create(true), OK);
	T_EQ(cert_describe(CERT, &about), OK);
	T_OK(strcmp(first, about.fingerprint) != 0);
	T_EQ(cert_describe("dir/none", &about), E_NOENT);
	T_EQ(cert_describe(KEY, &about), E_SYNTAX);
}

/* openssl req -x509 -newkey ec ...; fingerprint and dates by openssl x509. */
T_TEST(describes_a_foreign_one)
{
	static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
				  "MIIBqzCCAVKgAwIBAgIUfjJ0+rc4B3hvdEcI9Hz/OWPiZYUwCgYIKoZIzj0EAwIw\n"
				  "GDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTAeFw0yNjExMjMyMDA4MTdaFw0yNzAz\n"
				  "MDMyMDA4MTdaMBgxFjAUBgNVBAMMDW90aGVyLmV4YW1wbGUwWTATBgcqhkjOPQIB\n"
				  "BggqhkjOPQMBBwNCAATEsR8xxJPDpMr7WxR1QtToQxMyx/NxPV7jYLfherY2EjRB\n"
				  "Rusc6+ODPgpufLMnYAK20YiohzLFTd+skf7pJb8Fo3oweDAdBgNVHQ4EFgQUMvdv\n"
				  "aXNCtPgrxN5oZLanbquZuqcwHwYDVR0jBBgwFoAUMvdvaXNCtPgrxN5oZLanbquZ\n"
				  "uqcwDwYDVR0TAQH/BAUwAwEB/zAlBgNVHREEHjAcgg1vdGhlci5leGFtcGxlhwQK\n"
				  "AQIDgQV4QHkuejAKBggqhkjOPQQDAgNHADBEAiBKgV7UNFD8dNnnY0pb0CwUC4g7\n"
				  "kMrTFFVTTpPaX9j34wIgANkLCNxCmRgeMF4X+kGdlMGDoFSG5IpvvMqBzlKLMHw=\n"
				  "-----END CERTIFICATE-----\n";
	port_file f;

	fresh();
	f = port_open(CERT, PORT_WRITE | PORT_CREATE);
	T_EQ(port_write(f, 0, pem, sizeof pem - 1), OK);
	port_close(f);
	T_EQ(cert_describe(CERT, &about), OK);
	T_BYTES(about.fingerprint, strlen(about.fingerprint),
		"A3:5F:76:CE:7B:1D:E8:E1:4E:5C:EC:36:8C:4A:22:54:1E:B9:43:55:5C:AC:BD:82:9B:C2:54:11:14:64:0F:B8");
	T_BYTES(about.names, strlen(about.names), "other.example 10.1.2.3");
	T_EQ(about.not_before, 1795464497);
	T_EQ(about.not_after, 1804104497);
}

/* A box without a battery wakes up in 1970, or anywhere. */
T_TEST(wrong_clock)
{
	static const int64_t walls[] = { 0, -5, 1000000000, INT64_MAX };

	for (size_t i = 0; i < sizeof walls / sizeof *walls; i++) {
		fresh();
		cert_names_add(&names, "box");
		T_EQ(cert_create(&names, CERT, KEY, walls[i], false), OK);
		T_EQ(cert_describe(CERT, &about), OK);
		T_OK(about.not_before >= 1793491200 && about.not_before < INT64_C(4000000000));
		T_EQ(about.not_after - about.not_before, 800 * 86400 - 1);
	}
}

T_TEST(names_of_the_box)
{
	static const char *const expected[] = { "mail.example.org", "simbox", "simbox.local", "127.0.0.1",
		"192.168.1.1", "localhost", "::1" };

	fresh();
	cert_names_of_box(&names, "mail.example.org");
	T_EQ(names.n, sizeof expected / sizeof *expected);
	for (size_t i = 0; i < names.n; i++)
		T_BYTES(names.name[i], strlen(names.name[i]), expected[i]);
}

T_TEST(bad_names)
{
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "-a", "a-", "a-.b", "a b", "a,b", "a\xc3\xa9",
		"*", "*.", "a.*.b", "a_b", "1.2.3.4/8", "::1/128",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org" };
	char name[16];

	fresh();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		T_EQ(cert_names_add(&names, bad[i]), E_SYNTAX);
	T_EQ(create(false), E_SYNTAX);
	for (int i = 0; i < CERT_NAMES; i++) {
		snprintf(name, sizeof name, "n%d", i);
		T_EQ(cert_names_add(&names, name), OK);
	}
	T_EQ(cert_names_add(&names, "N0"), OK); /* is there */
	T_EQ(cert_names_add(&names, "x"), E_LIMIT);
}

/* 32 names of 253 bytes are the largest certificate. */
T_TEST(largest)
{
	fresh();
	for (int i = 0; i < CERT_NAMES; i++) {
		char name[CERT_NAME];

		memset(name, 'a' + i % 26, 253);
		for (int k = 50; k < 250; k += 50)
			name[k] = '.';
		name[0] = (char)('0' + i / 26);
		name[253] = '\0';
		T_EQ(cert_names_add(&names, name), OK);
	}
	T_EQ(create(false), OK);
	T_EQ(cert_describe(CERT, &about), OK);
	T_EQ(strlen(about.names), 253 * 2 + 1);
}

/* A failed write leaves the old pair. */
T_TEST(write_errors)
{
	char first[CERT_FINGERPRINT];

	fresh();
	cert_names_add(&names, "box");
	T_EQ(create(false), OK);
	T_EQ(cert_describe(CERT, &about), OK);
	strcpy(first, about.fingerprint);
	for (unsigned n = 1; n <= 2; n++) {
		sim_fail(SIM_OP_WRITE, n, E_NOSPC, false);
		T_EQ(create(true), E_NOSPC);
		sim_fail(SIM_OP_SYNC, n, E_IO, false);
		T_EQ(create(true), E_IO);
		T_EQ(cert_describe(CERT, &about), OK);
		T_BYTES(about.fingerprint, strlen(about.fingerprint), first);
		T_OK(!port_exists(CERT ".new") && !port_exists(KEY ".new"));
	}
}

T_MAIN(T_RUN(makes_a_pair) T_RUN(describes) T_RUN(describes_a_foreign_one) T_RUN(wrong_clock) T_RUN(names_of_the_box)
		T_RUN(bad_names) T_RUN(largest) T_RUN(write_errors))
