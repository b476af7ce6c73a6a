/* TLS: no certificate can be loaded yet, so no place is ever free. */
#include "net/tls.h"

#include "base/err.h"
#include "base/bytes.h"

size_t tls_memory(uint32_t places)
{
	(void)places;
	return 0;
}

int tls_init(struct arena *arena, uint32_t places)
{
	(void)arena;
	(void)places;
	return OK;
}

int tls_load(const char *certificate, const char *key, char *reason, size_t cap)
{
	struct buf text;

	(void)certificate;
	(void)key;
	buf_init(&text, reason, cap);
	buf_puts(&text, "this build has no TLS");
	buf_terminate(&text);
	return E_NOTSUP;
}

bool tls_loaded(void)
{
	return false;
}

bool tls_available(void)
{
	return false;
}

struct tls *tls_open(port_socket s)
{
	(void)s;
	return NULL;
}

int tls_handshake(struct tls *t)
{
	(void)t;
	return E_NOTSUP;
}

int64_t tls_read(struct tls *t, void *data, size_t len)
{
	(void)t;
	(void)data;
	(void)len;
	return E_CLOSED;
}

bool tls_pending(const struct tls *t)
{
	(void)t;
	return false;
}

int64_t tls_write(struct tls *t, const void *data, size_t len)
{
	(void)t;
	(void)data;
	(void)len;
	return E_CLOSED;
}

int tls_flush(struct tls *t)
{
	(void)t;
	return OK;
}

uint8_t tls_wants(const struct tls *t)
{
	(void)t;
	return PORT_CAN_READ;
}

uint64_t tls_sent(const struct tls *t)
{
	(void)t;
	return 0;
}

int tls_goodbye(struct tls *t)
{
	(void)t;
	return OK;
}

void tls_close(struct tls *t)
{
	(void)t;
}

const char *tls_error(const struct tls *t)
{
	(void)t;
	return "no TLS";
}

const char *tls_version(const struct tls *t)
{
	(void)t;
	return "";
}

void tls_status(struct tls_status *out)
{
	*out = (struct tls_status){ 0 };
}
