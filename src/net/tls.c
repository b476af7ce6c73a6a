/* TLS sessions over mbedTLS. */
#include "net/tls.h"

#include "base/crypto.h"
#include "base/err.h"
#include "net/tlsmem.h"
#include "port/file.h"

#include <assert.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
#include <string.h>

/* A ticket lets a client come back without a signature for so long. A day
 * covers a phone that looks for mail every quarter of an hour. */
#define TICKET_SECONDS 86400

/* Bytes that one call may take off the socket: two full records. Bounds the
 * time that a peer can keep mbedTLS busy with records that carry nothing. */
#define INPUT_ALLOWANCE 33000

/* What the callbacks tell mbedTLS when the peer is gone. */
#define PEER_GONE MBEDTLS_ERR_SSL_CONN_EOF

struct tls {
	mbedtls_ssl_context ssl;
	struct identity *identity; /* while the handshake lasts, else NULL */
	const unsigned char *held_data; /* the record that is still on its way out */
	size_t held;
	size_t allowance;
	uint64_t sent;
	port_socket socket;
	int error;
	uint8_t wants;
	bool broken; /* mbedTLS must not be called any more */
};

/* A certificate with its key and all settings. There are two, so that a new one
 * can be loaded while handshakes with the old one are under way. A connection
 * whose handshake is complete needs its settings, which are the same in both,
 * but no longer its certificate. */
struct identity {
	mbedtls_ssl_config config;
	mbedtls_x509_crt chain;
	mbedtls_pk_context key;
	uint32_t handshakes;
};

static struct {
	struct identity identities[2];
	struct identity *current; /* NULL: no certificate */
	mbedtls_ssl_ticket_context tickets;
	struct pool places;
	bool started;
	char error[64];
} tls;

/* By expected speed: with instructions for AES it wins, else ChaCha20 does. A
 * client's own order does not count. */
#if defined(__x86_64__) || defined(__aarch64__)
static const int suites[] = {
	MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
	MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	0,
};
#else
static const int suites[] = {
	MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
	MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	0,
};
#endif

size_t tls_memory(uint32_t places)
{
	return tlsmem_size(places) + pool_size(sizeof(struct tls), places);
}

int tls_init(struct arena *arena, uint32_t places)
{
	int err;

	memset(&tls, 0, sizeof tls);
	for (size_t i = 0; i < 2; i++) {
		mbedtls_ssl_config_init(&tls.identities[i].config);
		mbedtls_x509_crt_init(&tls.identities[i].chain);
		mbedtls_pk_init(&tls.identities[i].key);
	}
	err = tlsmem_init(arena, places);
	if (err == OK && !pool_init(&tls.places, arena, "tls", sizeof(struct tls), places))
		err = E_NOMEM;
	return err;
}

/* ---- certificates ---- */

/* Once: what all connections share. */
static int start(void)
{
	psa_status_t status;

	if (tls.started)
		return OK;
	status = psa_crypto_init();
	if (status != PSA_SUCCESS)
		return status == PSA_ERROR_INSUFFICIENT_ENTROPY ? E_AGAIN : E_NOMEM;
	mbedtls_ssl_ticket_init(&tls.tickets);
	if (mbedtls_ssl_ticket_setup(&tls.tickets, crypto_rng, NULL, MBEDTLS_CIPHER_AES_128_GCM, TICKET_SECONDS)) {
		mbedtls_ssl_ticket_free(&tls.tickets);
		return E_NOMEM;
	}
	tls.started = true;
	return OK;
}

/* Reads a whole file and a NUL behind it, as mbedTLS wants PEM. */
static int read_file(const char *path, unsigned char *space, size_t cap, size_t *len)
{
	port_file f = port_open(path, PORT_READ);
	int64_t n;

	if (f < 0)
		return f;
	n = port_read(f, 0, space, cap);
	port_close(f);
	if (n < 0)
		return (int)n;
	if ((size_t)n == cap)
		return E_TOOBIG;
	space[n] = 0;
	*len = (size_t)n + 1;
	return OK;
}

static int say(struct buf *reason, int err, const char *path, const char *what)
{
	buf_reset(reason);
	buf_printf(reason, "%s: %s", path, what);
	return err;
}

static bool known_key(const mbedtls_pk_context *key)
{
	switch (mbedtls_pk_get_type(key)) {
	case MBEDTLS_PK_RSA:
		return mbedtls_pk_get_bitlen(key) >= 2048 && mbedtls_pk_get_bitlen(key) <= 4096;
	case MBEDTLS_PK_ECKEY:
	case MBEDTLS_PK_ECDSA:
		return mbedtls_pk_get_bitlen(key) == 256 || mbedtls_pk_get_bitlen(key) == 384;
	default:
		return false;
	}
}

/* space: for one file at a time. */
static int read_pair(struct identity *id, const char *certificate, const char *key, unsigned char *space, size_t cap,
	struct buf *reason)
{
	size_t len = 0;
	int err = read_file(certificate, space, cap, &len), ret;

	if (err != OK)
		return say(reason, err, certificate, err == E_TOOBIG ? "larger than 16 KiB" : err_text(err));
	ret = mbedtls_x509_crt_parse(&id->chain, space, len);
	if (ret == MBEDTLS_ERR_X509_ALLOC_FAILED)
		return say(reason, E_NOMEM, certificate, "no memory for the certificate");
	if (ret != 0)
		return say(reason, E_SYNTAX, certificate, "holds no certificate in PEM form, or a damaged one");
	err = read_file(key, space, cap, &len);
	if (err != OK)
		return say(reason, err, key, err == E_TOOBIG ? "larger than 16 KiB" : err_text(err));
	ret = mbedtls_pk_parse_key(&id->key, space, len, NULL, 0, crypto_rng, NULL);
	crypto_wipe(space, len);
	if (ret == MBEDTLS_ERR_PK_ALLOC_FAILED)
		return say(reason, E_NOMEM, key, "no memory for the key");
	if (ret != 0)
		return say(reason, E_SYNTAX, key, "holds no private key in PEM form without passphrase");
	if (!known_key(&id->key))
		return say(reason, E_SYNTAX, key, "only ECDSA P-256 and P-384 and RSA of 2048 to 4096 bits are known");
	ret = mbedtls_pk_check_pair(&id->chain.pk, &id->key, crypto_rng, NULL);
	if (ret == MBEDTLS_ERR_PK_ALLOC_FAILED)
		return say(reason, E_NOMEM, key, "no memory for the key");
	if (ret != 0)
		return say(reason, E_STATE, key, "is not the key of the certificate");
	return OK;
}

/* The certificate goes, the settings stay: open connections use them. */
static void forget(struct identity *id)
{
	assert(id->handshakes == 0);
	mbedtls_x509_crt_free(&id->chain);
	mbedtls_pk_free(&id->key);
	mbedtls_x509_crt_init(&id->chain);
	mbedtls_pk_init(&id->key);
}

/* Settings are replaced by the same ones in place, whatever connection uses
 * them; only the certificate is another. */
static int configure(struct identity *id)
{
	mbedtls_ssl_config *c = &id->config;

	mbedtls_ssl_config_free(c);
	mbedtls_ssl_config_init(c);
	if (mbedtls_ssl_config_defaults(c, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
		    MBEDTLS_SSL_PRESET_DEFAULT))
		return E_NOMEM;
	mbedtls_ssl_conf_min_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_rng(c, crypto_rng, NULL);
	mbedtls_ssl_conf_ciphersuites(c, suites);
	mbedtls_ssl_conf_session_tickets_cb(c, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &tls.tickets);
	return mbedtls_ssl_conf_own_cert(c, &id->chain, &id->key) ? E_NOMEM : OK;
}

static int load(struct identity *id, const char *certificate, const char *key, struct buf *reason)
{
	size_t slot = tlsmem_slot();
	unsigned char *space;
	int err;

	if (slot == 0)
		return say(reason, E_NOTSUP, certificate, "no memory is set aside for TLS connections");
	err = start();
	if (err == E_AGAIN)
		return say(reason, err, certificate, "the system has no random numbers yet");
	if (err != OK)
		return say(reason, err, certificate, "no memory for TLS");
	if (id->handshakes > 0)
		return say(reason, E_AGAIN, certificate,
			"handshakes with the certificate before the last are under way");
	space = tlsmem_take(1, slot);
	if (!space)
		return say(reason, E_AGAIN, certificate, "no memory to read it while all TLS places are taken");
	forget(id);
	err = read_pair(id, certificate, key, space, slot, reason);
	tlsmem_give(space);
	if (err == OK && configure(id) != OK)
		err = say(reason, E_NOMEM, certificate, "no memory for the certificate");
	if (err != OK)
		forget(id);
	return err;
}

int tls_load(const char *certificate, const char *key, char *reason, size_t cap)
{
	struct identity *id = &tls.identities[tls.current == &tls.identities[0]];
	struct buf text;
	int err;

	/* room for the NUL */
	buf_init(&text, reason, cap ? cap - 1 : 0);
	err = load(id, certificate, key, &text);
	if (err == OK)
		tls.current = id;
	if (cap)
		reason[text.len] = 0;
	return err;
}

bool tls_loaded(void)
{
	return tls.current != NULL;
}

bool tls_available(void)
{
	return tls.current && pool_free(&tls.places) > 0;
}

/* ---- a connection ---- */

static int send_some(void *context, const unsigned char *data, size_t len)
{
	struct tls *t = context;
	int64_t n = port_send(t->socket, data, len);

	if (n == E_AGAIN)
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	if (n < 0)
		return PEER_GONE;
	t->sent += (uint64_t)n;
	return (int)n;
}

static int recv_some(void *context, unsigned char *data, size_t len)
{
	struct tls *t = context;
	int64_t n;

	if (len > t->allowance)
		len = t->allowance;
	if (len == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	n = port_recv(t->socket, data, len);
	if (n == E_AGAIN)
		return MBEDTLS_ERR_SSL_WANT_READ;
	if (n <= 0)
		return PEER_GONE;
	t->allowance -= (size_t)n;
	return (int)n;
}

/* The handshake is over, one way or the other. */
static void release_identity(struct tls *t)
{
	if (t->identity)
		t->identity->handshakes--;
	t->identity = NULL;
}

struct tls *tls_open(port_socket s)
{
	struct tls *t = tls.current ? pool_get(&tls.places) : NULL;

	if (!t)
		return NULL;
	t->socket = s;
	t->wants = PORT_CAN_READ;
	t->identity = tls.current;
	t->identity->handshakes++;
	mbedtls_ssl_init(&t->ssl);
	if (mbedtls_ssl_setup(&t->ssl, &tls.current->config)) {
		tls_close(t);
		return NULL;
	}
	mbedtls_ssl_set_bio(&t->ssl, t, send_some, recv_some, NULL);
	return t;
}

void tls_close(struct tls *t)
{
	if (!t)
		return;
	release_identity(t);
	mbedtls_ssl_free(&t->ssl);
	pool_put(&tls.places, t);
}

/* What a return value of mbedTLS below 0 means. */
static int failure(struct tls *t, int ret)
{
	t->wants = PORT_CAN_READ;
	if (ret == MBEDTLS_ERR_SSL_WANT_READ)
		return E_AGAIN;
	if (ret == MBEDTLS_ERR_SSL_WANT_WRITE) {
		t->wants = PORT_CAN_WRITE;
		return E_AGAIN;
	}
	t->broken = true;
	t->error = ret;
	return ret == PEER_GONE || ret == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? E_CLOSED : E_SYNTAX;
}

int tls_handshake(struct tls *t)
{
	int ret;

	if (t->broken)
		return E_CLOSED;
	t->allowance = INPUT_ALLOWANCE;
	ret = mbedtls_ssl_handshake(&t->ssl);
	if (ret != 0)
		return failure(t, ret);
	release_identity(t);
	t->wants = PORT_CAN_READ;
	return OK;
}

int64_t tls_read(struct tls *t, void *data, size_t len)
{
	int ret, err;

	if (t->broken)
		return E_CLOSED;
	t->allowance = INPUT_ALLOWANCE;
	ret = mbedtls_ssl_read(&t->ssl, data, len);
	if (ret > 0)
		return ret;
	if (ret == 0 || ret == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
		return 0;
	err = failure(t, ret);
	if (err == E_AGAIN && t->wants == PORT_CAN_WRITE) {
		/* An answer to a wish for renegotiation found no room. The next
		 * tls_write would take its rest for its own record and drop data. */
		t->broken = true;
		t->error = ret;
		return E_SYNTAX;
	}
	return err;
}

bool tls_pending(const struct tls *t)
{
	return !t->broken && mbedtls_ssl_get_bytes_avail(&t->ssl) > 0;
}

int tls_flush(struct tls *t)
{
	int ret;

	if (t->broken)
		return E_CLOSED;
	if (t->held == 0)
		return OK;
	/* The same arguments, as mbedTLS asks for. It has the record in its buffer
	 * and does not look at the data again. */
	ret = mbedtls_ssl_write(&t->ssl, t->held_data, t->held);
	if (ret < 0)
		return failure(t, ret);
	t->held = 0;
	t->wants = PORT_CAN_READ;
	return OK;
}

size_t tls_record(const struct tls *t)
{
	int most = mbedtls_ssl_get_max_out_record_payload(&t->ssl);

	return most > 0 ? (size_t)most : 0;
}

int64_t tls_write(struct tls *t, const void *data, size_t len)
{
	int ret = tls_flush(t), err;
	size_t most = tls_record(t);

	if (ret != OK)
		return ret;
	if (most == 0)
		return E_CLOSED;
	if (len > most)
		len = most;
	ret = mbedtls_ssl_write(&t->ssl, data, len);
	if (ret > 0)
		return ret;
	err = failure(t, ret);
	if (err != E_AGAIN)
		return err;
	t->held_data = data;
	t->held = len;
	return (int64_t)len;
}

uint8_t tls_wants(const struct tls *t)
{
	return t->wants;
}

uint64_t tls_sent(const struct tls *t)
{
	return t->sent;
}

int tls_goodbye(struct tls *t)
{
	int ret;

	if (t->broken)
		return E_CLOSED;
	ret = mbedtls_ssl_close_notify(&t->ssl);
	return ret == 0 ? OK : failure(t, ret);
}

/* ---- words ---- */

static const struct {
	int code;
	const char *words;
} errors[] = {
	{ PEER_GONE, "the peer went away" },
	{ MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY, "the peer went away" },
	{ MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE, "the peer refused (does it trust the certificate?)" },
	{ MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, "no TLS 1.2 or 1.3" },
	{ MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, "nothing in common (cipher, curve or signature)" },
	{ MBEDTLS_ERR_SSL_INVALID_RECORD, "not TLS" },
	{ MBEDTLS_ERR_SSL_ALLOC_FAILED, "no memory for TLS" },
	{ MBEDTLS_ERR_MPI_ALLOC_FAILED, "no memory for TLS" },
};

const char *tls_error(const struct tls *t)
{
	struct buf text;

	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
		if (errors[i].code == t->error)
			return errors[i].words;
	buf_init(&text, tls.error, sizeof tls.error);
	buf_printf(&text, "error -0x%x of mbedTLS", (unsigned)-t->error);
	buf_terminate(&text);
	return tls.error;
}

const char *tls_version(const struct tls *t)
{
	return mbedtls_ssl_get_version(&t->ssl);
}

void tls_status(struct tls_status *out)
{
	*out = (struct tls_status){ .places = tls.places.count, .used = tls.places.used, .peak = tls.places.peak };
	tlsmem_status(out);
}
