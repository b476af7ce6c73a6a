/* TLS 1.2 and 1.3 for servers, over mbedTLS 3.6: the only door to it for
 * connections. One instance a process, because mbedTLS has one allocator.
 *
 * All of mbedTLS lives in a fixed part of the arena. Each place has its two
 * record buffers in slots of exactly their sizes; everything else comes from a
 * small heap (tlsheap.h). When that is used up the connection that asked is
 * closed, never another one. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/bytes.h"
#include "base/mem.h"
#include "port/network.h"

struct tls;

/* Arena bytes for so many TLS connections at once, shared costs included. */
size_t tls_memory(uint32_t places);

/* Takes that memory and gives mbedTLS its allocator. Before anything else that
 * uses mbedTLS (crypto_init). With places 0 only what certificates and hashes
 * need. E_NOMEM. */
int tls_init(struct arena *arena, uint32_t places);

/* Reads a certificate chain and its key, both PEM, ECDSA P-256 or P-384 or RSA,
 * and uses them for connections from now on. May be called again at any time:
 * connections that are up keep the old ones until they end. After crypto_init.
 * On an error what was loaded before stays, and `reason` says what is wrong in
 * a sentence. E_NOENT, E_ACCESS, E_IO; E_SYNTAX (no such PEM), E_STATE (key and
 * certificate are no pair), E_TOOBIG, E_NOMEM, E_NOTSUP (no places), E_AGAIN (no
 * memory or no entropy right now, or handshakes with the certificate before the
 * last one are under way: try again later). */
int tls_load(const char *certificate, const char *key, char *reason, size_t cap);

/* A certificate is loaded. */
bool tls_loaded(void);
/* ... and a place is free. */
bool tls_available(void);

/* A place for a connection whose handshake is to begin; NULL when none is free
 * or memory is short. */
struct tls *tls_open(port_socket s);

/* One flight of the handshake: the time of one signature at most. OK when it is
 * complete, E_AGAIN (wait for tls_wants), E_CLOSED when the peer is gone, else
 * an error that tls_error describes. */
int tls_handshake(struct tls *t);

/* Decrypted bytes (at least 1), 0 at the end of the stream, E_AGAIN, E_CLOSED,
 * or E_SYNTAX for a peer that breaks the protocol. */
int64_t tls_read(struct tls *t, void *data, size_t len);
/* Bytes that are decrypted already: no port_wait will tell of them. */
bool tls_pending(const struct tls *t);

/* Bytes that one record takes: CONN_OUTPUT or more, unless the peer asked for
 * small ones (RFC 6066 section 4). */
size_t tls_record(const struct tls *t);
/* Takes up to one record of data: how many bytes it took (the record may still
 * be on its way: tls_flush), E_AGAIN while an earlier record is, or E_CLOSED. */
int64_t tls_write(struct tls *t, const void *data, size_t len);
/* OK when everything is with the system, E_AGAIN, E_CLOSED. */
int tls_flush(struct tls *t);

/* What the last E_AGAIN waits for: PORT_CAN_READ or PORT_CAN_WRITE. */
uint8_t tls_wants(const struct tls *t);
/* Bytes that the socket took so far: whether a slow peer moves at all. */
uint64_t tls_sent(const struct tls *t);
/* Says goodbye (close_notify): OK, E_AGAIN (flush), E_CLOSED. */
int tls_goodbye(struct tls *t);
/* Gives the place back; the socket stays the caller's. NULL is fine. */
void tls_close(struct tls *t);

/* What went wrong last, for a log line: "handshake failure -0x7780". */
const char *tls_error(const struct tls *t);
/* "TLSv1.3". */
const char *tls_version(const struct tls *t);

struct tls_status {
	uint32_t places, used, peak;
	size_t heap, heap_used, heap_peak, heap_largest; /* bytes; the largest free piece */
	uint64_t denied; /* allocations that could not be served */
};
void tls_status(struct tls_status *out);

#endif
