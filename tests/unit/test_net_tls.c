/* TLS through the loop: a client of mbedTLS in the same process, on the
 * simulated network. Other clients, RSA, and records of 16 KiB are in
 * tests/system/test_net_tls.py. */
#include "base/crypto.h"
#include "net/tlsmem.h"
#include "tests/unit/net_toy.h"

#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

/* ---- whose memory it is ---- */

/* The client shares the library with the server, but not its memory. */
static bool client_runs;
static uint8_t tls_space[4 << 20];

static void *shared_calloc(size_t n, size_t size)
{
	return client_runs ? calloc(n, size) : tlsmem_take(n, size);
}

static void shared_free(void *p)
{
	if ((uint8_t *)p >= tls_space && (uint8_t *)p < tls_space + sizeof tls_space)
		tlsmem_give(p);
	else
		free(p);
}

/* ---- certificates ---- */

static void write_file(const char *path, const char *text)
{
	port_file f = port_open(path, PORT_WRITE | PORT_CREATE | PORT_EMPTY);

	T_OK(f >= 0);
	T_EQ(port_write(f, 0, text, strlen(text)), OK);
	port_close(f);
}

/* A key on a curve and its self-signed certificate, as PEM files. */
static void make_pair(mbedtls_ecp_group_id curve, const char *cert, const char *key)
{
	mbedtls_x509write_cert write;
	mbedtls_pk_context pk;
	unsigned char text[4096], serial = 1;

	client_runs = true;
	mbedtls_pk_init(&pk);
	mbedtls_x509write_crt_init(&write);
	T_EQ(mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), 0);
	T_EQ(mbedtls_ecp_gen_key(curve, mbedtls_pk_ec(pk), crypto_rng, NULL), 0);
	mbedtls_x509write_crt_set_version(&write, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(&write, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(&write, &pk);
	mbedtls_x509write_crt_set_issuer_key(&write, &pk);
	T_EQ(mbedtls_x509write_crt_set_subject_name(&write, cert[1] == 'a' ? "CN=a" : "CN=b"), 0);
	T_EQ(mbedtls_x509write_crt_set_issuer_name(&write, "CN=box"), 0);
	T_EQ(mbedtls_x509write_crt_set_validity(&write, "20240101000000", "20340101000000"), 0);
	T_EQ(mbedtls_x509write_crt_set_serial_raw(&write, &serial, 1), 0);
	T_EQ(mbedtls_x509write_crt_pem(&write, text, sizeof text, crypto_rng, NULL), 0);
	write_file(cert, (char *)text);
	T_EQ(mbedtls_pk_write_key_pem(&pk, text, sizeof text), 0);
	write_file(key, (char *)text);
	mbedtls_x509write_crt_free(&write);
	mbedtls_pk_free(&pk);
	client_runs = false;
}

/* ---- the client ---- */

struct client {
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config config;
	sim_client link;
	int error;
	bool goodbye; /* the server said close_notify */
};

static int client_send(void *context, const unsigned char *data, size_t len)
{
	int64_t n = sim_client_send(*(sim_client *)context, data, len);

	return n > 0 ? (int)n : n == 0 ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int client_recv(void *context, unsigned char *data, size_t len)
{
	int64_t n = sim_client_recv(*(sim_client *)context, data, len);

	return n > 0 ? (int)n : n == 0 ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
}

static void client_init(struct client *c, sim_client link, mbedtls_ssl_protocol_version version)
{
	client_runs = true;
	memset(c, 0, sizeof *c);
	c->link = link;
	mbedtls_ssl_config_init(&c->config);
	mbedtls_ssl_init(&c->ssl);
	T_EQ(mbedtls_ssl_config_defaults(&c->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
		     MBEDTLS_SSL_PRESET_DEFAULT),
		0);
	mbedtls_ssl_conf_authmode(&c->config, MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_rng(&c->config, crypto_rng, NULL);
	mbedtls_ssl_conf_min_tls_version(&c->config, version);
	mbedtls_ssl_conf_max_tls_version(&c->config, version);
	T_EQ(mbedtls_ssl_setup(&c->ssl, &c->config), 0);
	T_EQ(mbedtls_ssl_set_hostname(&c->ssl, NULL), 0);
	mbedtls_ssl_set_bio(&c->ssl, &c->link, client_send, client_recv, NULL);
	client_runs = false;
}

static void client_free(struct client *c)
{
	client_runs = true;
	mbedtls_ssl_free(&c->ssl);
	mbedtls_ssl_config_free(&c->config);
	client_runs = false;
	sim_client_close(c->link);
}

/* One try at the handshake: 0, WANT_READ, WANT_WRITE or why it failed. */
static int client_shake(struct client *c)
{
	client_runs = true;
	c->error = mbedtls_ssl_handshake(&c->ssl);
	client_runs = false;
	return c->error;
}

static bool wants_more(int error)
{
	return error == MBEDTLS_ERR_SSL_WANT_READ || error == MBEDTLS_ERR_SSL_WANT_WRITE;
}

/* True when it came about. */
static bool client_handshake(struct client *c)
{
	for (unsigned i = 0; i < 20000 && wants_more(client_shake(c)); i++)
		turns(1);
	return c->error == 0;
}

/* Sends all of it and returns what comes back until it is quiet. */
static const char *client_say(struct client *c, const char *text)
{
	static char answer[1 << 20];
	size_t len = strlen(text), sent = 0, got = 0;

	for (unsigned quiet = 0; quiet < 64 && got + 1 < sizeof answer; quiet++) {
		int n = 0;

		client_runs = true;
		if (sent < len)
			n = mbedtls_ssl_write(&c->ssl, (const unsigned char *)text + sent, len - sent);
		if (n > 0)
			sent += (size_t)n;
		c->error = mbedtls_ssl_read(&c->ssl, (unsigned char *)answer + got, sizeof answer - 1 - got);
		client_runs = false;
		if (c->error > 0)
			got += (size_t)c->error;
		c->goodbye |= c->error == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
		if (n > 0 || c->error > 0 || sent < len)
			quiet = 0;
		if (n < 0 && !wants_more(n))
			break;
		turns(1);
	}
	answer[got] = 0;
	return answer;
}

#define T_TELL(client, text, expected) \
	do { \
		const char *t_answer = client_say(client, text); \
		T_BYTES(t_answer, strlen(t_answer), expected); \
	} while (0)

/* ---- the box ---- */

static struct loop_config tls_config;
static char reason[200];

/* Listens on 993 (TLS) and 146 (STARTTLS) besides the ports of toy_box. */
static void tls_box(uint64_t seed, enum sim_chunks chunks, size_t buffer)
{
	struct listener_config a = { .where = "127.0.0.1:993", .protocol = &toy, .tls = LISTEN_TLS };
	struct listener_config b = { .where = "127.0.0.1:146", .protocol = &toy, .tls = LISTEN_STARTTLS };
	static struct arena arena;
	static bool made;

	/* a test before this one may have ended early */
	for (uint32_t i = 0; made && i < l->conn_n; i++)
		conn_drop(&l->conns[i], CONN_SHUTDOWN);
	tls_config = toy_config;
	tls_config.tls_places = 12;
	toy_box(seed, &tls_config, chunks, buffer);
	/* what mbedTLS keeps for the whole process outlives a box */
	if (!made) {
		arena_init(&arena, tls_space, sizeof tls_space);
		T_EQ(tls_init(&arena, tls_config.tls_places), OK);
		T_EQ(arena.used, tls_memory(tls_config.tls_places));
		mbedtls_platform_set_calloc_free(shared_calloc, shared_free);
		T_EQ(crypto_init(port_entropy), OK);
		T_OK(!tls_loaded() && !tls_available());
		made = true;
	}
	make_pair(MBEDTLS_ECP_DP_SECP256R1, "/a.crt", "/a.key");
	make_pair(MBEDTLS_ECP_DP_SECP384R1, "/b.crt", "/b.key");
	T_EQ(tls_load("/a.crt", "/a.key", reason, sizeof reason), OK);
	T_OK(tls_loaded() && tls_available());
	T_EQ(loop_listen(l, &a), OK);
	T_EQ(loop_listen(l, &b), OK);
	tlsmem_check();
}

static uint32_t places_used(void)
{
	struct tls_status s;

	tls_status(&s);
	return s.used;
}

static const mbedtls_ssl_protocol_version versions[] = { MBEDTLS_SSL_VERSION_TLS1_2, MBEDTLS_SSL_VERSION_TLS1_3 };

static void connected(struct client *c, unsigned version)
{
	client_init(c, sim_connect(993), versions[version]);
	if (!client_handshake(c))
		T_FAIL("no handshake: -0x%x", -c->error);
	turns(3); /* its last flight is still to be read */
}

/* ---- tests ---- */

T_TEST(both_versions_in_any_pieces)
{
	static const enum sim_chunks chunks[] = { SIM_CHUNKS_WHOLE, SIM_CHUNKS_RANDOM, SIM_CHUNKS_ONE };

	for (unsigned i = 0; i < 6; i++) {
		struct client c;
		size_t base;

		tls_box(i + 1, chunks[i / 2], i / 2 == 1 ? 1000 : 16384);
		base = tlsmem_used();
		connected(&c, i % 2);
		T_EQ(mbedtls_ssl_get_version_number(&c.ssl), versions[i % 2]);
		T_TELL(&c, "", "hello\n");
		T_TELL(&c, "echo one\necho t", "one\n");
		T_TELL(&c, "wo\ncommit\nagain 3\n", "two\ncommitted\ndone\n");
		T_EQ(places_used(), 1);
		T_TELL(&c, "close\necho no\n", "bye\n");
		T_OK(c.goodbye);
		client_free(&c);
		turns(3);
		toy_nothing_left();
		T_EQ(places_used(), 0);
		/* PSA may have grown its key slots at the first one */
		T_OK(i < 2 || tlsmem_used() == base);
		tlsmem_check();
	}
}

T_TEST(streams)
{
	static char up[200100];

	for (unsigned i = 0; i < 4; i++) {
		struct client c;
		uint64_t sum = 0;
		const char *answer;
		char expected[64];

		tls_box(i + 10, SIM_CHUNKS_RANDOM, i < 2 ? 700 : 20000);
		connected(&c, i % 2);
		T_TELL(&c, "", "hello\n");
		answer = client_say(&c, "big 200000\n");
		T_EQ(strlen(answer), 200000);
		for (size_t k = 0; k < 200000; k++)
			T_EQ(answer[k], '0' + k % 10);
		T_TELL(&c, "take 200000\n", "");
		for (size_t k = 0; k < 200000; k++) {
			up[k] = (char)('A' + k * 11 % 50);
			sum = sum * 31 + (uint8_t)up[k];
		}
		strcpy(up + 200000, "echo z\n");
		sprintf(expected, "200000 %llu\nz\n", (unsigned long long)sum);
		T_TELL(&c, up, expected);
		T_EQ(l->outputs.peak, 0); /* TLS keeps its rest in its own record */
		client_free(&c);
		turns(3);
		toy_nothing_left();
	}
}

/* Bytes that mbedTLS has decrypted already wake nobody but the loop itself. */
T_TEST(pending_bytes)
{
	static char text[20000];
	struct client c;

	tls_box(1, SIM_CHUNKS_WHOLE, 65536);
	connected(&c, 1);
	T_TELL(&c, "", "hello\n");
	memset(text, 'x', sizeof text);
	strcpy(text + 12000, "\necho y\n");
	T_TELL(&c, text, "what? 12000\ny\n");
	/* twenty commands in one record, each giving way to others */
	text[0] = 0;
	for (unsigned i = 0; i < 20; i++)
		strcat(text, "commit\nagain 2\n");
	T_EQ(strlen(client_say(&c, text)), 20 * strlen("committed\ndone\n"));
	client_free(&c);
}

/* RFC 3501 6.2.1, CVE-2011-0411: what came in clear behind STARTTLS is gone. */
T_TEST(starttls_discards_what_came_before)
{
	for (unsigned i = 0; i < 4; i++) {
		struct client c;
		sim_client link;
		char text[64];

		tls_box(i + 1, i < 2 ? SIM_CHUNKS_WHOLE : SIM_CHUNKS_RANDOM, 16384);
		link = sim_connect(146);
		T_SAY(link, "", "hello\n");
		T_SAY(link, "echo clear\n", "clear\n");
		if (i < 2) {
			T_EQ(sim_client_send(link, "tls\necho injected\necho half", 27), 27);
			turns(3);
			T_BYTES(text, sim_client_recv(link, text, sizeof text), "go\n");
		} else {
			T_SAY(link, "tls\n", "go\n");
		}
		client_init(&c, link, versions[i % 2]);
		T_OK(client_handshake(&c));
		T_TELL(&c, "", "");
		T_TELL(&c, "echo safe\n", "safe\n");
		/* it is not to be had twice */
		T_TELL(&c, "tls\n", "no\n");
		client_free(&c);
		turns(3);
		toy_nothing_left();
	}
}

/* Clear bytes that come when the handshake is awaited end the connection. */
T_TEST(starttls_takes_nothing_in_clear)
{
	struct loop_status s;
	sim_client link;

	tls_box(1, SIM_CHUNKS_WHOLE, 16384);
	link = sim_connect(146);
	T_SAY(link, "tls\n", "hello\ngo\n");
	toy_say(link, "echo injected\n");
	T_OK(sim_client_closed(link));
	T_EQ(toy_ended[CONN_TLS_ERROR], 1);
	T_OK(sim_log_has("127.0.0.1"));
	loop_status(l, &s);
	T_EQ(s.tls_failures, 1);
	toy_nothing_left();
	T_EQ(places_used(), 0);
}

T_TEST(half_open_handshakes_end_with_the_login_time)
{
	sim_client links[4], d;
	struct client c;

	tls_box(1, SIM_CHUNKS_WHOLE, 16384);
	for (unsigned i = 0; i < 4; i++)
		links[i] = sim_connect(993);
	sim_client_send(links[0], "\x16\x03\x01\x02", 4);
	client_init(&c, links[1], versions[1]);
	T_OK(wants_more(client_shake(&c))); /* its hello is out, the answer never read */
	turns(10);
	T_EQ(l->place_n[PLACE_LOGIN], 4);
	T_EQ(places_used(), 2); /* who sent nothing costs no TLS place */
	/* one more: all are younger than ten seconds */
	d = sim_connect(993);
	turns(3);
	T_OK(sim_client_closed(d));
	advance_s(11);
	d = sim_connect(993);
	turns(3);
	T_OK(!sim_client_closed(d) && sim_client_closed(links[0]));
	advance_s(50);
	turns(3);
	T_OK(sim_client_closed(links[1]) && sim_client_closed(links[3]));
	T_OK(!sim_client_closed(d));
	T_EQ(places_used(), 0);
	T_EQ(toy_opened, 0);
	client_free(&c);
}

/* mbedTLS can't stop in the middle of a flight: one of them a turn. */
T_TEST(one_flight_a_turn)
{
	struct client c[4];
	struct loop_status s;
	uint64_t before = 0;
	unsigned done = 0;

	tls_box(1, SIM_CHUNKS_WHOLE, 16384);
	for (unsigned i = 0; i < 4; i++) {
		client_init(&c[i], sim_connect(993), versions[1]);
		client_shake(&c[i]);
	}
	for (unsigned i = 0; i < 40; i++) {
		unsigned answered = 0, ready = 0;

		for (unsigned k = 0; k < 4; k++)
			ready += sim_client_ready(c[k].link) > 0;
		turns(1);
		for (unsigned k = 0; k < 4; k++)
			answered += sim_client_ready(c[k].link) > 0;
		T_OK(answered <= ready + 1);
		loop_status(l, &s);
		T_OK(s.tls_handshakes - before <= 1);
		before = s.tls_handshakes;
		if (i >= 8)
			for (unsigned k = 0; k < 4; k++)
				client_shake(&c[k]);
	}
	for (unsigned k = 0; k < 4; k++)
		done += c[k].error == 0;
	T_EQ(done, 4);
	T_EQ(s.tls_handshakes, 4);
	for (unsigned k = 0; k < 4; k++)
		client_free(&c[k]);
}

/* A peer that has a byte for its handshake in every turn does not keep the one
 * flight of the turn for itself. */
T_TEST(a_dripping_handshake_starves_nobody)
{
	struct client c;
	sim_client drip;

	tls_box(1, SIM_CHUNKS_WHOLE, 16384);
	drip = sim_connect(993);
	T_EQ(sim_client_send(drip, "\x16\x03\x01\x40", 4), 4);
	turns(2);
	client_init(&c, sim_connect(993), versions[1]);
	for (unsigned i = 0; i < 200 && wants_more(client_shake(&c)); i++) {
		T_EQ(sim_client_send(drip, "\0", 1), 1);
		turns(1);
	}
	T_EQ(c.error, 0);
	T_OK(!sim_client_closed(drip));
	client_free(&c);
}

T_TEST(a_tls_client_that_stops_reading)
{
	struct client stuck, c;
	size_t got;

	tls_box(1, SIM_CHUNKS_RANDOM, 5000);
	connected(&c, 1);
	connected(&stuck, 1);
	T_TELL(&c, "login 1\n", "hello\n0\n");
	T_TELL(&stuck, "login 2\n", "hello\n0\n");
	client_runs = true;
	T_EQ(mbedtls_ssl_write(&stuck.ssl, (const unsigned char *)"big 100000\necho x\n", 18), 18);
	client_runs = false;
	turns(50);
	T_TELL(&c, "echo a\n", "a\n");
	advance_s(119);
	T_TELL(&c, "echo b\n", "b\n");
	/* it reads on, and every byte is there once */
	got = strlen(client_say(&stuck, ""));
	T_EQ(got, 100002);
	client_runs = true;
	T_EQ(mbedtls_ssl_write(&stuck.ssl, (const unsigned char *)"big 100000\necho x\n", 18), 18);
	client_runs = false;
	turns(50);
	advance_s(121);
	turns(3);
	T_EQ(toy_ended[CONN_TIMEOUT], 1);
	T_TELL(&c, "echo c\n", "c\n");
	client_free(&c);
	client_free(&stuck);
	turns(3);
	T_EQ(places_used(), 0);
}

/* Every allocation of a connection's life fails once: the connection may be
 * lost, but nothing else, and nothing leaks (CVE class S20 of mbedTLS). */
T_TEST(memory_runs_out_at_any_moment)
{
	for (unsigned version = 0; version < 2; version++) {
		unsigned broken = 0, whole = 0;

		tls_box(version + 1, SIM_CHUNKS_WHOLE, 65536);
		for (uint64_t n = 1; whole < 2; n += n < 40 ? 1 : n < 2000 ? 37 : 461) {
			struct client c;
			size_t base = tlsmem_used();
			bool came;

			client_init(&c, sim_connect(993), versions[version]);
			tlsmem_fail_at(n);
			came = client_handshake(&c);
			if (came)
				came = strcmp(client_say(&c, "echo x\nclose\n"), "hello\nx\nbye\n") == 0;
			whole += came && n > 2000;
			broken += !came;
			tlsmem_fail_at(0);
			client_free(&c);
			turns(4);
			toy_nothing_left();
			T_EQ(places_used(), 0);
			/* key slots that PSA added stay with it */
			T_OK(tlsmem_used() <= base + 1024);
			tlsmem_check();
			connected(&c, version);
			T_TELL(&c, "echo alive\n", "hello\nalive\n");
			client_free(&c);
			turns(4);
		}
		T_OK(broken > 20);
	}
}

T_TEST(all_places)
{
	static struct client c[13];
	struct tls_status s;
	size_t base;

	tls_box(1, SIM_CHUNKS_WHOLE, 16384);
	base = tlsmem_used();
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 12; i++) {
			connected(&c[i], 1);
			T_TELL(&c[i], i < 8 ? "login 1\n" : "echo x\n", i < 8 ? "hello\n0\n" : "hello\nx\n");
		}
		T_EQ(places_used(), 12);
		T_OK(!tls_available());
		tls_status(&s);
		T_OK(s.heap_used <= s.heap - 10240);
		client_init(&c[12], sim_connect(993), versions[1]);
		T_OK(!client_handshake(&c[12]));
		/* no memory to read a new certificate now */
		T_EQ(tls_load("/b.crt", "/b.key", reason, sizeof reason), E_AGAIN);
		for (unsigned i = 0; i < 13; i++)
			client_free(&c[i]);
		turns(4);
		toy_nothing_left();
	}
	T_EQ(tlsmem_used(), base);
}

/* ---- loading ---- */

static const char *peer_name(struct client *c)
{
	static char name[64];
	const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&c->ssl);

	T_OK(crt);
	mbedtls_x509_dn_gets(name, sizeof name, &crt->subject);
	return name;
}

T_TEST(a_new_certificate_harms_no_connection)
{
	struct client old, half, fresh;
	size_t base = 0;

	tls_box(1, SIM_CHUNKS_WHOLE, 16384);
	T_EQ(tls_load("/b.crt", "/b.key", reason, sizeof reason), OK);
	T_EQ(tls_load("/a.crt", "/a.key", reason, sizeof reason), OK);
	connected(&old, 1);
	T_BYTES(peer_name(&old), 4, "CN=a");
	client_init(&half, sim_connect(993), versions[1]);
	client_shake(&half);
	turns(5); /* the server has answered with a */
	T_EQ(tls_load("/b.crt", "/b.key", reason, sizeof reason), OK);
	connected(&fresh, 0);
	T_BYTES(peer_name(&fresh), 4, "CN=b");
	/* a is still in use by a handshake */
	T_EQ(tls_load("/a.crt", "/a.key", reason, sizeof reason), E_AGAIN);
	T_OK(strstr(reason, "under way"));
	T_OK(client_handshake(&half));
	turns(3);
	T_BYTES(peer_name(&half), 4, "CN=a");
	for (unsigned i = 0; i < 6; i++) {
		T_EQ(tls_load(i % 2 ? "/b.crt" : "/a.crt", i % 2 ? "/b.key" : "/a.key", reason, sizeof reason), OK);
		if (i == 2)
			base = tlsmem_used();
		T_OK(i < 3 || i % 2 || tlsmem_used() == base);
		T_TELL(&old, "echo x\n", i ? "x\n" : "hello\nx\n");
		T_TELL(&half, "echo y\n", i ? "y\n" : "hello\ny\n");
	}
	client_free(&old);
	client_free(&half);
	client_free(&fresh);
}

T_TEST(bad_certificates_are_refused_with_a_reason)
{
	static char large[20000];
	static const struct {
		const char *cert, *key;
		int err;
		const char *part;
	} cases[] = {
		{ "/none", "/a.key", E_NOENT, "/none: " },
		{ "/a.crt", "/none", E_NOENT, "/none: " },
		{ "/a.key", "/a.key", E_SYNTAX, "no certificate" },
		{ "/a.crt", "/a.crt", E_SYNTAX, "no private key" },
		{ "/a.crt", "/b.key", E_STATE, "is not the key" },
		{ "/empty", "/a.key", E_SYNTAX, "no certificate" },
		{ "/large", "/a.key", E_TOOBIG, "16 KiB" },
		{ "/a.crt", "/large", E_TOOBIG, "16 KiB" },
		{ "/cut", "/a.key", E_SYNTAX, "no certificate" },
	};
	struct client c;
	size_t base = 0;

	tls_box(1, SIM_CHUNKS_WHOLE, 16384);
	T_EQ(tls_load("/b.crt", "/b.key", reason, sizeof reason), OK);
	T_EQ(tls_load("/a.crt", "/a.key", reason, sizeof reason), OK);
	write_file("/empty", "");
	memset(large, 'x', sizeof large - 1);
	write_file("/large", large);
	write_file("/cut", "-----BEGIN CERTIFICATE-----\nMIIBODCB4KADAgECAgEBMAo\n");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		T_EQ(tls_load(cases[i].cert, cases[i].key, reason, sizeof reason), cases[i].err);
		if (!strstr(reason, cases[i].part))
			T_FAIL("\"%s\" does not say \"%s\"", reason, cases[i].part);
		T_OK(tls_loaded());
		if (i == 0)
			base = tlsmem_used();
		T_EQ(tlsmem_used(), base);
	}
	connected(&c, 1);
	T_BYTES(peer_name(&c), 4, "CN=a");
	client_free(&c);
	/* too little memory leaves what was there */
	for (unsigned n = 1; n < 60; n++) {
		int err;

		tlsmem_fail_at(n);
		err = tls_load("/b.crt", "/b.key", reason, sizeof reason);
		tlsmem_fail_at(0);
		T_OK(err == OK || err == E_NOMEM || err == E_AGAIN || err == E_SYNTAX || err == E_STATE);
		T_OK(tls_loaded());
		tlsmem_check();
		T_EQ(tls_load("/a.crt", "/a.key", reason, sizeof reason), OK);
	}
	connected(&c, 0);
	T_BYTES(peer_name(&c), 4, "CN=a");
	client_free(&c);
}

T_MAIN(T_RUN(both_versions_in_any_pieces) T_RUN(streams) T_RUN(pending_bytes) T_RUN(starttls_discards_what_came_before)
		T_RUN(starttls_takes_nothing_in_clear) T_RUN(half_open_handshakes_end_with_the_login_time)
			T_RUN(one_flight_a_turn) T_RUN(a_dripping_handshake_starves_nobody)
				T_RUN(a_tls_client_that_stops_reading) T_RUN(memory_runs_out_at_any_moment)
					T_RUN(all_places) T_RUN(a_new_certificate_harms_no_connection)
						T_RUN(bad_certificates_are_refused_with_a_reason))
