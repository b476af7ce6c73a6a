/* The few primitives that are needed outside TLS, over mbedTLS: the only door
 * to it but net/tls and control/cert. */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/bytes.h"

#define SHA256_BYTES 32

/* Seeds the random generator from `entropy` (port_entropy's form). Once, before
 * anything else here. E_AGAIN, E_IO as entropy says. */
int crypto_init(int (*entropy)(void *data, size_t len));
int crypto_random(void *out, size_t len);
/* Same, in the form that mbedTLS takes for f_rng. */
int crypto_rng(void *unused, unsigned char *out, size_t len);

void crypto_sha256(struct bytes data, uint8_t out[SHA256_BYTES]);
void crypto_hmac_sha256(struct bytes key, struct bytes data, uint8_t out[SHA256_BYTES]);

/* PBKDF2-HMAC-SHA-256 with one block (RFC 8018 5.2; RFC 5802's Hi), in slices.
 * No heap: the inner and outer states are kept here. */
struct crypto_pbkdf2 {
	uint32_t inner[8], outer[8]; /* states after the padded key */
	uint8_t u[SHA256_BYTES], sum[SHA256_BYTES];
	uint32_t left;
};
void crypto_pbkdf2_begin(struct crypto_pbkdf2 *p, struct bytes password, struct bytes salt, uint32_t iterations);
/* Does up to n iterations; true when finished, the result is then p->sum. */
bool crypto_pbkdf2_step(struct crypto_pbkdf2 *p, uint32_t n);

/* Equal, in a time that does not tell where they differ. */
bool crypto_equal(const void *a, const void *b, size_t len);
void crypto_wipe(void *data, size_t len);

#endif
