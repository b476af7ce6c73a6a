#include "control/cert.h"

#include <string.h>

#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/text.h"
#include "mail/date.h"
#include "net/loop.h"
#include "port/file.h"
#include "port/system.h"

/* When this program was built, in seconds since 1970: no true clock shows less,
 * nor a hundred years more. A release sets it (-DCUBBY_BUILD_TIME=...); this is
 * when it was written. */
#ifndef CUBBY_BUILD_TIME
#define CUBBY_BUILD_TIME 1793491200
#endif

#define DAY 86400
/* A certificate begins a day before it is made: the clocks of clients differ. */
#define EARLIER DAY
/* Bytes of the serial number: random, so that a browser never sees two
 * certificates of one issuer with the same one. At most 20 (RFC 5280 4.1.2.2). */
#define SERIAL 16
/* Bytes of a subject (RFC 5280 appendix A: ub-common-name). */
#define COMMON_NAME 64

/* ---- names ---- */

/* Four or sixteen bytes, or 0 when it is no address. */
static size_t address_of(const char *name, uint8_t out[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct bytes text = bytes_of(name);
	struct network n;

	if (bytes_index(text, '/') < text.len || network_parse(text, &n) != OK)
		return 0;
	if (memcmp(n.ip, mapped, sizeof mapped) == 0) {
		memcpy(out, n.ip + sizeof mapped, 4);
		return 4;
	}
	memcpy(out, n.ip, 16);
	return 16;
}

static bool is_host_name(struct bytes b)
{
	size_t label = 0;

	if (b.len > 2 && b.data[0] == '*' && b.data[1] == '.')
		b = bytes_part(b, 2, b.len);
	for (size_t i = 0; i < b.len; i++) {
		label = b.data[i] == '.' ? 0 : label + 1;
		if (b.data[i] == '.' ? i == 0 || b.data[i - 1] == '.' || b.data[i - 1] == '-'
				     : !text_is(b.data[i], TEXT_ALPHA | TEXT_DIGIT) && (b.data[i] != '-' || label == 1))
			return false;
		if (label > 63)
			return false;
	}
	return label > 0 && b.data[b.len - 1] != '-';
}

int cert_names_add(struct cert_names *names, const char *name)
{
	uint8_t ip[16];
	size_t len = strlen(name);

	if (len >= CERT_NAME || (address_of(name, ip) == 0 && !is_host_name(bytes_of(name))))
		return E_SYNTAX;
	for (size_t i = 0; i < names->n; i++)
		if (bytes_is(bytes_of(names->name[i]), name))
			return OK;
	if (names->n == CERT_NAMES)
		return E_LIMIT;
	memcpy(names->name[names->n++], name, len + 1);
	return OK;
}

static void add_box_name(void *context, const char *name, bool is_ip)
{
	struct cert_names *names = context;
	char local[CERT_NAME];
	struct buf text;
	uint8_t ip[16];

	/* Clients write link-local addresses with an interface, which no
	 * certificate can have. */
	if (is_ip && address_of(name, ip) == 16 && ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80)
		return;
	(void)cert_names_add(names, name);
	buf_init(&text, local, sizeof local);
	if (!is_ip && !strchr(name, '.') && !bytes_is(bytes_of(name), "localhost") && buf_puts(&text, name) &&
		buf_puts(&text, ".local") && buf_terminate(&text))
		(void)cert_names_add(names, local);
}

void cert_names_of_box(struct cert_names *names, const char *domain)
{
	if (domain[0])
		(void)cert_names_add(names, domain);
	(void)port_box_names(add_box_name, names);
	(void)cert_names_add(names, "localhost");
	(void)cert_names_add(names, "127.0.0.1");
	(void)cert_names_add(names, "::1");
}

/* ---- making ---- */

/* "20261101000000", which mbedTLS makes a UTCTime or a GeneralizedTime of. */
static void time_text(int64_t seconds, char out[16])
{
	int year, month, day, second = (int)(seconds % DAY);
	struct buf text;

	date_civil(seconds / DAY, &year, &month, &day);
	buf_init(&text, out, 16);
	buf_printf(&text, "%d", year);
	for (int i = 0; i < 5; i++) {
		const int part[] = { month, day, second / 3600, second / 60 % 60, second % 60 };

		buf_putc(&text, (uint8_t)('0' + part[i] / 10));
		buf_putc(&text, (uint8_t)('0' + part[i] % 10));
	}
	buf_terminate(&text);
}

static int set_times(mbedtls_x509write_cert *w, int64_t wall)
{
	bool likely = wall >= CUBBY_BUILD_TIME && wall < CUBBY_BUILD_TIME + 36500 * (int64_t)DAY;
	int64_t begin = likely ? wall - EARLIER : CUBBY_BUILD_TIME;
	char from[16], to[16];

	time_text(begin, from);
	time_text(begin + CERT_DAYS * (int64_t)DAY - 1, to);
	return mbedtls_x509write_crt_set_validity(w, from, to);
}

static int set_subject(mbedtls_x509write_cert *w, const char *name)
{
	char text[COMMON_NAME + 8];
	struct buf out;
	int failed;

	buf_init(&out, text, sizeof text);
	buf_printf(&out, "CN=%s", strlen(name) <= COMMON_NAME ? name : "Cubby");
	buf_terminate(&out);
	failed = mbedtls_x509write_crt_set_subject_name(w, text);
	return failed ? failed : mbedtls_x509write_crt_set_issuer_name(w, text);
}

static int set_names(mbedtls_x509write_cert *w, const struct cert_names *names)
{
	mbedtls_x509_san_list list[CERT_NAMES];
	uint8_t ip[CERT_NAMES][16];

	memset(list, 0, sizeof list);
	for (size_t i = 0; i < names->n; i++) {
		mbedtls_x509_buf *value = &list[i].node.san.unstructured_name;
		size_t len = address_of(names->name[i], ip[i]);

		list[i].node.type = len ? MBEDTLS_X509_SAN_IP_ADDRESS : MBEDTLS_X509_SAN_DNS_NAME;
		value->p = len ? ip[i] : (unsigned char *)(uintptr_t)names->name[i];
		value->len = len ? len : strlen(names->name[i]);
		list[i].next = i ? &list[i - 1] : NULL; /* mbedTLS writes the last one first */
	}
	return mbedtls_x509write_crt_set_subject_alternative_name(w, &list[names->n - 1]);
}

static int set_usage(mbedtls_x509write_cert *w)
{
	mbedtls_asn1_sequence server = { 0 };
	int failed = mbedtls_x509write_crt_set_basic_constraints(w, 0, -1);

	server.buf.tag = MBEDTLS_ASN1_OID;
	server.buf.p = (unsigned char *)(uintptr_t)MBEDTLS_OID_SERVER_AUTH;
	server.buf.len = MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH);
	if (!failed)
		failed = mbedtls_x509write_crt_set_key_usage(w, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
	return failed ? failed : mbedtls_x509write_crt_set_ext_key_usage(w, &server);
}

static int set_serial(mbedtls_x509write_cert *w)
{
	uint8_t serial[SERIAL];
	int failed = crypto_rng(NULL, serial, sizeof serial);

	/* Positive, and of full length. */
	serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
	return failed ? failed : mbedtls_x509write_crt_set_serial_raw(w, serial, sizeof serial);
}

/* Both as PEM text with a NUL, in spaces of CERT_FILE bytes. */
static int make(mbedtls_pk_context *pk, mbedtls_x509write_cert *w, const struct cert_names *names, int64_t wall,
	unsigned char *certificate, unsigned char *key)
{
	int failed = mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));

	if (!failed)
		failed = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*pk), crypto_rng, NULL);
	if (!failed)
		failed = mbedtls_pk_write_key_pem(pk, key, CERT_FILE);
	mbedtls_x509write_crt_set_version(w, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(w, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(w, pk);
	mbedtls_x509write_crt_set_issuer_key(w, pk);
	if (!failed)
		failed = set_serial(w);
	if (!failed)
		failed = set_times(w, wall);
	if (!failed)
		failed = set_subject(w, names->name[0]);
	if (!failed)
		failed = set_names(w, names);
	if (!failed)
		failed = set_usage(w);
	return failed ? failed : mbedtls_x509write_crt_pem(w, certificate, CERT_FILE, crypto_rng, NULL);
}

/* ---- files ---- */

static int beside(const char *path, char out[PORT_PATH_MAX])
{
	struct buf text;

	buf_init(&text, out, PORT_PATH_MAX);
	return buf_puts(&text, path) && buf_puts(&text, ".new") && buf_terminate(&text) ? OK : E_LIMIT;
}

static int write_beside(const char *path, const unsigned char *text)
{
	char fresh[PORT_PATH_MAX];
	int err = beside(path, fresh);
	port_file file;

	if (err != OK)
		return err;
	file = port_open(fresh, PORT_WRITE | PORT_CREATE | PORT_EMPTY);
	if (file < 0)
		return file;
	err = port_write(file, 0, text, strlen((const char *)text));
	if (err == OK)
		err = port_sync(file);
	port_close(file);
	return err;
}

static int put_in_place(const char *path)
{
	char fresh[PORT_PATH_MAX];
	int err = beside(path, fresh);

	if (err == OK)
		err = port_rename(fresh, path);
	return err == OK ? port_sync_name(path) : err;
}

static void remove_beside(const char *path)
{
	char fresh[PORT_PATH_MAX];

	if (beside(path, fresh) == OK)
		(void)port_remove(fresh);
}

/* Two files can't be replaced in one step. Both are on the medium before either
 * takes its place; a cut between the two renames leaves a pair that does not
 * match, which the server says at its start, and making it again heals. */
static int write_both(const char *certificate, const char *key, const unsigned char *certificate_text,
	const unsigned char *key_text)
{
	int err = write_beside(key, key_text);

	if (err == OK)
		err = write_beside(certificate, certificate_text);
	if (err == OK)
		err = put_in_place(key);
	if (err == OK)
		err = put_in_place(certificate);
	if (err != OK) {
		remove_beside(key);
		remove_beside(certificate);
	}
	return err;
}

static int code_of(int failed)
{
	switch (failed) {
	case MBEDTLS_ERR_X509_ALLOC_FAILED:
	case MBEDTLS_ERR_ASN1_ALLOC_FAILED:
	case MBEDTLS_ERR_PK_ALLOC_FAILED:
	case MBEDTLS_ERR_MPI_ALLOC_FAILED:
	case MBEDTLS_ERR_ECP_ALLOC_FAILED:
	case MBEDTLS_ERR_PEM_ALLOC_FAILED:
		return E_NOMEM;
	default:
		return E_IO;
	}
}

int cert_create(const struct cert_names *names, const char *certificate, const char *key, int64_t wall, bool replace)
{
	unsigned char certificate_text[CERT_FILE], key_text[CERT_FILE];
	mbedtls_x509write_cert w;
	mbedtls_pk_context pk;
	int failed, err;

	if (names->n == 0)
		return E_SYNTAX;
	if (!replace && (port_exists(certificate) || port_exists(key)))
		return E_EXIST;
	mbedtls_pk_init(&pk);
	mbedtls_x509write_crt_init(&w);
	failed = make(&pk, &w, names, wall, certificate_text, key_text);
	err = failed ? code_of(failed) : write_both(certificate, key, certificate_text, key_text);
	crypto_wipe(key_text, sizeof key_text);
	mbedtls_x509write_crt_free(&w);
	mbedtls_pk_free(&pk);
	return err;
}

/* ---- reading ---- */

static int read_file(const char *path, unsigned char *text, size_t *len)
{
	port_file file = port_open(path, PORT_READ);
	int64_t n;

	if (file < 0)
		return file;
	n = port_read(file, 0, text, CERT_FILE);
	port_close(file);
	if (n < 0)
		return (int)n;
	if (n == CERT_FILE)
		return E_TOOBIG;
	text[n] = '\0';
	*len = (size_t)n + 1;
	return OK;
}

static int64_t seconds_of(const mbedtls_x509_time *t)
{
	return date_days(t->year, t->mon, t->day) * DAY + t->hour * 3600 + t->min * 60 + t->sec;
}

static void put_ip(struct bytes ip, struct buf *out)
{
	struct port_address address = { .family = ip.len == 4 ? PORT_IP4 : PORT_IP6 };
	char text[46];
	size_t n;

	if (ip.len != 4 && ip.len != 16)
		return;
	memcpy(address.ip, ip.data, ip.len);
	n = port_address_text(&address, text);
	buf_put(out, text, n);
}

/* One name of the certificate; control and foreign bytes can't come through. */
static void put_name(const mbedtls_x509_sequence *item, struct buf *out)
{
	unsigned kind = (unsigned)item->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
	struct bytes name = bytes_make(item->buf.p, item->buf.len);

	for (size_t i = 0; i < name.len && kind == MBEDTLS_X509_SAN_DNS_NAME; i++)
		if (text_is(name.data[i], TEXT_CTL | TEXT_8BIT))
			return;
	if (kind == MBEDTLS_X509_SAN_DNS_NAME)
		buf_putb(out, name);
	else if (kind == MBEDTLS_X509_SAN_IP_ADDRESS)
		put_ip(name, out);
}

static void describe_names(const mbedtls_x509_crt *crt, char *text, size_t cap)
{
	struct buf out, one;
	char space[CERT_NAME + 2];

	buf_init(&out, text, cap - 1);
	for (const mbedtls_x509_sequence *item = &crt->subject_alt_names; item && item->buf.p; item = item->next) {
		buf_init(&one, space, sizeof space);
		if (out.len)
			buf_putc(&one, ' ');
		put_name(item, &one);
		if (one.len > (out.len ? 1u : 0u))
			buf_putb(&out, buf_bytes(&one));
	}
	text[out.len] = '\0';
}

static void describe(const mbedtls_x509_crt *crt, struct cert_description *out)
{
	uint8_t hash[SHA256_BYTES];
	struct buf text;

	crypto_sha256(bytes_make(crt->raw.p, crt->raw.len), hash);
	buf_init(&text, out->fingerprint, sizeof out->fingerprint);
	codec_hex_colons(bytes_make(hash, sizeof hash), &text);
	buf_terminate(&text);
	out->not_before = seconds_of(&crt->valid_from);
	out->not_after = seconds_of(&crt->valid_to);
	out->self_signed = bytes_equal(bytes_make(crt->issuer_raw.p, crt->issuer_raw.len),
		bytes_make(crt->subject_raw.p, crt->subject_raw.len));
	describe_names(crt, out->names, sizeof out->names);
}

int cert_describe(const char *certificate, struct cert_description *out)
{
	unsigned char text[CERT_FILE];
	mbedtls_x509_crt crt;
	size_t len = 0;
	int err = read_file(certificate, text, &len), failed;

	if (err != OK)
		return err;
	mbedtls_x509_crt_init(&crt);
	failed = mbedtls_x509_crt_parse(&crt, text, len);
	/* Positive: so many of the file's certificates could not be read. */
	if (crt.version == 0)
		err = failed < 0 && code_of(failed) == E_NOMEM ? E_NOMEM : E_SYNTAX;
	else
		describe(&crt, out);
	mbedtls_x509_crt_free(&crt);
	return err;
}
