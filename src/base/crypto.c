#include "base/crypto.h"

#include <assert.h>
#include <string.h>

#include <mbedtls/constant_time.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>

#include "base/err.h"

#define BLOCK 64u

/* The process has one generator and one source of entropy. */
static int (*entropy_source)(void *data, size_t len);
static int entropy_error;
static mbedtls_ctr_drbg_context generator;
static bool seeded;

/* What mbedTLS calls for entropy of its own (PSA, which TLS 1.3 is made with). */
int mbedtls_hardware_poll(void *data, unsigned char *output, size_t len, size_t *got);

int mbedtls_hardware_poll(void *data, unsigned char *output, size_t len, size_t *got)
{
	(void)data;
	*got = 0;
	if (!entropy_source || entropy_source(output, len) != OK)
		return MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
	*got = len;
	return 0;
}

/* The generator takes its entropy straight from the system, not through an
 * mbedtls_entropy_context: that one allocates. */
static int seed_bytes(void *unused, unsigned char *output, size_t len)
{
	(void)unused;
	entropy_error = entropy_source(output, len);
	return entropy_error == OK ? 0 : MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
}

int crypto_init(int (*entropy)(void *data, size_t len))
{
	static const char personal[] = "cubby";

	if (seeded)
		mbedtls_ctr_drbg_free(&generator);
	seeded = false;
	entropy_source = entropy;
	entropy_error = E_IO;
	mbedtls_ctr_drbg_init(&generator);
	if (mbedtls_ctr_drbg_seed(&generator, seed_bytes, NULL, (const unsigned char *)personal, sizeof personal)) {
		mbedtls_ctr_drbg_free(&generator);
		return entropy_error != OK ? entropy_error : E_IO;
	}
	seeded = true;
	return OK;
}

int crypto_rng(void *unused, unsigned char *out, size_t len)
{
	(void)unused;
	if (!seeded)
		return MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
	while (len) {
		size_t n = len < MBEDTLS_CTR_DRBG_MAX_REQUEST ? len : MBEDTLS_CTR_DRBG_MAX_REQUEST;
		int failed = mbedtls_ctr_drbg_random(&generator, out, n);

		if (failed)
			return failed;
		out += n;
		len -= n;
	}
	return 0;
}

int crypto_random(void *out, size_t len)
{
	return crypto_rng(NULL, out, len) == 0 ? OK : E_IO;
}

/* mbedTLS's SHA-256 in software can't fail; one in hardware that does leaves no
 * safe way on. */
static void must(int failed)
{
	assert(!failed);
	(void)failed;
}

void crypto_sha256(struct bytes data, uint8_t out[SHA256_BYTES])
{
	must(mbedtls_sha256(data.data, data.len, out, 0));
}

/* A context that has taken the key, padded with zeros to a block and combined
 * with pad (RFC 2104). */
static void take_key(mbedtls_sha256_context *c, struct bytes key, uint8_t pad)
{
	uint8_t block[BLOCK] = { 0 };

	if (key.len > BLOCK)
		crypto_sha256(key, block);
	else if (key.len)
		memcpy(block, key.data, key.len);
	for (size_t i = 0; i < BLOCK; i++)
		block[i] ^= pad;
	mbedtls_sha256_init(c);
	must(mbedtls_sha256_starts(c, 0));
	must(mbedtls_sha256_update(c, block, BLOCK));
	mbedtls_platform_zeroize(block, sizeof block);
}

static void hmac_pieces(struct bytes key, const struct bytes *piece, size_t n, uint8_t out[SHA256_BYTES])
{
	mbedtls_sha256_context c;

	take_key(&c, key, 0x36);
	for (size_t i = 0; i < n; i++)
		must(mbedtls_sha256_update(&c, piece[i].data, piece[i].len));
	must(mbedtls_sha256_finish(&c, out));
	mbedtls_sha256_free(&c);
	take_key(&c, key, 0x5c);
	must(mbedtls_sha256_update(&c, out, SHA256_BYTES));
	must(mbedtls_sha256_finish(&c, out));
	mbedtls_sha256_free(&c);
}

void crypto_hmac_sha256(struct bytes key, struct bytes data, uint8_t out[SHA256_BYTES])
{
	hmac_pieces(key, &data, 1, out);
}

static void keep_state(uint32_t state[8], struct bytes key, uint8_t pad)
{
	mbedtls_sha256_context c;

	take_key(&c, key, pad);
	memcpy(state, c.MBEDTLS_PRIVATE(state), sizeof c.MBEDTLS_PRIVATE(state));
	mbedtls_sha256_free(&c);
}

void crypto_pbkdf2_begin(struct crypto_pbkdf2 *p, struct bytes password, struct bytes salt, uint32_t iterations)
{
	static const uint8_t one[4] = { 0, 0, 0, 1 };
	const struct bytes piece[] = { salt, bytes_make(one, sizeof one) };

	assert(iterations >= 1);
	hmac_pieces(password, piece, 2, p->u);
	memcpy(p->sum, p->u, sizeof p->sum);
	keep_state(p->inner, password, 0x36);
	keep_state(p->outer, password, 0x5c);
	p->left = iterations - 1;
}

/* One compression from `state` over a digest that stands in block, already
 * padded as the second and last block of a message of 96 bytes. The digest in
 * block is replaced; its padding stays, because every message has that length.
 * A login is nothing but this. */
static void compress(mbedtls_sha256_context *c, const uint32_t state[8], uint8_t block[BLOCK])
{
	memcpy(c->MBEDTLS_PRIVATE(state), state, 32);
	must(mbedtls_internal_sha256_process(c, block));
	for (size_t i = 0; i < 8; i++) {
		uint32_t w = c->MBEDTLS_PRIVATE(state)[i];

		block[4 * i] = (uint8_t)(w >> 24);
		block[4 * i + 1] = (uint8_t)(w >> 16);
		block[4 * i + 2] = (uint8_t)(w >> 8);
		block[4 * i + 3] = (uint8_t)w;
	}
}

bool crypto_pbkdf2_step(struct crypto_pbkdf2 *p, uint32_t n)
{
	const uint32_t bits = (BLOCK + SHA256_BYTES) * 8;
	uint8_t block[BLOCK] = { 0 };
	mbedtls_sha256_context c;

	if (n > p->left)
		n = p->left;
	p->left -= n;
	memcpy(block, p->u, SHA256_BYTES);
	block[SHA256_BYTES] = 0x80;
	block[BLOCK - 2] = (uint8_t)(bits >> 8);
	block[BLOCK - 1] = (uint8_t)bits;
	mbedtls_sha256_init(&c);
	must(mbedtls_sha256_starts(&c, 0));
	while (n-- > 0) {
		compress(&c, p->inner, block);
		compress(&c, p->outer, block);
		for (size_t i = 0; i < SHA256_BYTES; i++)
			p->sum[i] ^= block[i];
	}
	memcpy(p->u, block, SHA256_BYTES);
	mbedtls_sha256_free(&c);
	mbedtls_platform_zeroize(block, sizeof block);
	return p->left == 0;
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return mbedtls_ct_memcmp(a, b, len) == 0;
}

void crypto_wipe(void *data, size_t len)
{
	mbedtls_platform_zeroize(data, len);
}
