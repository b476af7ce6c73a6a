/* The box's own certificate: made here, self-signed, for its names and
 * addresses. Works in mbedTLS's allocator: in cubbyd after tls_init, in tools
 * with libc's; and after crypto_init. */
#ifndef CONTROL_CERT_H
#define CONTROL_CERT_H

#include "base/bytes.h"

/* Names and addresses of one certificate. Beyond it: E_LIMIT. */
#define CERT_NAMES 32
/* Bytes of one, with its NUL: RFC 1035 allows 253. */
#define CERT_NAME 254
/* Bytes of a PEM file that is read or written: 32 names of the longest kind,
 * and a chain of a few certificates. Beyond it: E_TOOBIG. */
#define CERT_FILE 16384
/* Days that one holds. Apple's systems refuse more than 825. */
#define CERT_DAYS 800

struct cert_names {
	char name[CERT_NAMES][CERT_NAME];
	size_t n;
};

/* Adds a host name ("*.x.org" too) or an IP address; one that is there already
 * is passed over. E_SYNTAX, E_LIMIT. */
int cert_names_add(struct cert_names *names, const char *name);
/* Adds what clients on the network may call this box: the domain (empty: none),
 * its host name, with ".local" when that has no dot, "localhost", its addresses
 * and the loopback ones. What does not fit is left out. */
void cert_names_of_box(struct cert_names *names, const char *domain);

/* Makes an ECDSA P-256 key and a certificate for these names (the first one is
 * its subject), and writes both as PEM, durable, each in one step, the key with
 * mode 0600. `wall` is the time by the box's clock; when that is before this
 * program was built it is wrong, and the certificate begins with the build.
 * Without `replace` E_EXIST when one of the files is there. E_SYNTAX (no names),
 * E_LIMIT (path), E_NOMEM, E_IO, E_NOSPC, E_ACCESS. */
int cert_create(const struct cert_names *names, const char *certificate, const char *key, int64_t wall, bool replace);

/* Bytes of a fingerprint as text, with its NUL. */
#define CERT_FINGERPRINT 96

struct cert_description {
	char fingerprint[CERT_FINGERPRINT]; /* SHA-256 of the DER form, "0F:A2:..." */
	int64_t not_before, not_after;      /* seconds since 1970 */
	char names[512];                    /* with blanks between them, as many as fit */
	bool self_signed;
};
/* What the first certificate of a PEM file says. E_NOENT, E_ACCESS, E_IO,
 * E_TOOBIG, E_SYNTAX (no certificate), E_NOMEM. */
int cert_describe(const char *certificate, struct cert_description *out);

#endif
