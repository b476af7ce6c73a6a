/* mbedTLS 3.6 as Cubby wants it: a server for TLS 1.2 and 1.3, the hashes and
 * HMAC of the logins, and the writing of a self-signed certificate. The library
 * and everything that includes its headers are compiled with
 * MBEDTLS_CONFIG_FILE="port/mbedtls_config.h". What is not named here is not
 * built. With MBEDTLS=system the library's own configuration holds instead. */
#ifndef PORT_MBEDTLS_CONFIG_H
#define PORT_MBEDTLS_CONFIG_H

#include <stdint.h>

/* Memory: every allocation goes through two pointers, which cubbyd sets with
 * mbedtls_platform_set_calloc_free to its part of the arena before anything
 * else. Before that, and in tools, they are those of libc. */
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY

/* Time: only tickets ask for it, and they need a clock that never jumps. Both
 * functions stand in port/mbedtls_clock.c. MBEDTLS_HAVE_TIME_DATE (validity of
 * a peer's certificate) is off: a server that asks for no certificates has no
 * use for it, and it would call gmtime_r, which opens and allocates in glibc. */
#define MBEDTLS_HAVE_TIME
#define MBEDTLS_PLATFORM_TIME_TYPE_MACRO int64_t
#define MBEDTLS_PLATFORM_TIME_MACRO port_mbedtls_time
#define MBEDTLS_PLATFORM_MS_TIME_ALT
int64_t port_mbedtls_time(int64_t *seconds);

/* Entropy: mbedtls_hardware_poll, which src/base/crypto.c defines over the
 * porting layer; no file or system call of the library's own. */
#define MBEDTLS_ENTROPY_C
#define MBEDTLS_NO_PLATFORM_ENTROPY
#define MBEDTLS_ENTROPY_HARDWARE_ALT
#define MBEDTLS_CTR_DRBG_C
#define MBEDTLS_HMAC_DRBG_C

/* Ciphers. AES comes from the processor where it has it; the tables are the
 * small constant ones, for boards whose first-level cache is 16 to 32 KiB. */
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_AES_C
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_AES_FEWER_TABLES
#if defined(__x86_64__)
#define MBEDTLS_AESNI_C
#endif
#if defined(__aarch64__)
#define MBEDTLS_AESCE_C
#define MBEDTLS_SHA256_USE_ARMV8_A_CRYPTO_IF_PRESENT
#endif
#define MBEDTLS_CIPHER_C
#define MBEDTLS_GCM_C
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C

/* Hashes. SHA-256 is the fast form: a login costs thousands of them. */
#define MBEDTLS_MD_C
#define MBEDTLS_SHA224_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C
#define MBEDTLS_SHA512_SMALLER
#define MBEDTLS_HKDF_C

/* Public keys: ECDHE on three curves, certificates with ECDSA or RSA. Signing
 * is deterministic, so that a weak random source does not give the key away. */
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECDH_C
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECDSA_DETERMINISTIC
#define MBEDTLS_RSA_C
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_PKCS1_V21
#define MBEDTLS_PK_C

/* Keys and certificates, read from PEM in memory and written. Encrypted key
 * files are not read: the box has nobody who types a passphrase. */
#define MBEDTLS_OID_C
#define MBEDTLS_BASE64_C
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_PEM_PARSE_C
#define MBEDTLS_PEM_WRITE_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_PK_PARSE_EC_COMPRESSED
#define MBEDTLS_PK_WRITE_C
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT
#define MBEDTLS_X509_CREATE_C
#define MBEDTLS_X509_CRT_WRITE_C
#define MBEDTLS_X509_REMOVE_INFO

/* TLS 1.3 is written over PSA. The rest does not use it (no USE_PSA_CRYPTO):
 * then a session in its quiet state holds no PSA key, and the key slots, which
 * grow on demand, are bounded by the handshakes under way. */
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_KEY_STORE_DYNAMIC

/* TLS: server only. No renegotiation, no compression, no DTLS, no early data
 * (it can be replayed), no session cache (tickets cost no memory a client). */
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_SRV_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_TLS1_3_COMPATIBILITY_MODE
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE /* TLS 1.3 does not build without it */
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_SSL_ALPN
#define MBEDTLS_SSL_ALL_ALERT_MESSAGES
#define MBEDTLS_SSL_SESSION_TICKETS
#define MBEDTLS_SSL_TICKET_C
#define MBEDTLS_SSL_MAX_FRAGMENT_LENGTH

/* Record buffers in bytes: a peer may always send records of 16 KiB, ours are
 * 4 KiB. With TLS 1.3 the content includes a type byte and padding to 16, and
 * what net/ sends at once is 4096 bytes: with less than 4112 here each piece
 * would go out as two records. MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH must stay off: it shrinks the input
 * buffer to the smaller of the two after the handshake, and then a TLS 1.2
 * client that sends full records is cut off (seen with 3.6.6). */
#define MBEDTLS_SSL_IN_CONTENT_LEN 16384
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4112

/* The unit tests talk to the server in the same process. */
#if defined(CUBBY_TLS_CLIENT)
#define MBEDTLS_SSL_CLI_C
#endif

#endif
