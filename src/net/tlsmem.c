/* The memory of mbedTLS. Its record buffers are large, of two sizes, and live
 * as long as a connection: in a heap they would leave holes that fit nothing
 * else after some months. So they have slots of their own. */
#include "net/tlsmem.h"

#include "base/err.h"
#include "base/log.h"
#include "net/tlsheap.h"

#include <assert.h>
#include <mbedtls/platform.h>
#include <mbedtls/ssl.h>
#include <string.h>

/* What a record buffer holds besides its content: header and sequence number
 * (13), nonce and tag, or with CBC also padding and a MAC, and identifiers of
 * DTLS where that is built in. */
#if defined(MBEDTLS_CIPHER_MODE_CBC) || defined(MBEDTLS_CIPHER_NULL_CIPHER)
#define RECORD_EXTRA (13 + 16 + 48 + 256 + 48)
#else
#define RECORD_EXTRA (13 + 16 + 16)
#endif
#define SLOT_IN (MBEDTLS_SSL_IN_CONTENT_LEN + RECORD_EXTRA)
#define SLOT_OUT (MBEDTLS_SSL_OUT_CONTENT_LEN + RECORD_EXTRA)

/* Heap bytes, headers included, as measured with 3.6.6 on 64 bits; tests/system/
 * test_net_tls.py fails when they don't suffice. A library of the system has
 * everything switched on, and libc's own needs come from here as well.
 *
 * PLACE: TLS 1.3 holds 6.0 KiB from the first flight of the handshake until the
 * end (mbedTLS keeps what the handshake worked with), TLS 1.2 2.1 KiB.
 *
 * FLIGHT: what one flight takes and gives back; the loop runs one at a time.
 * The largest is a signature with an RSA key of 4096 bits (9.2 KiB).
 *
 * SHARED: two certificate chains and keys (one is 3 to 10 KiB), ticket keys,
 * random generators, the key slots of PSA. */
#if defined(CUBBY_SYSTEM_MBEDTLS)
#define HEAP_PLACE 9216
#define HEAP_FLIGHT 20480
#define HEAP_SHARED 98304
#else
#define HEAP_PLACE 6400
#define HEAP_FLIGHT 10240
#define HEAP_SHARED 32768
#endif

struct slots {
	uint8_t *base;
	size_t unit;     /* bytes from slot to slot */
	size_t size;     /* what mbedTLS asks for, exactly */
	uint16_t *free;  /* stack of the numbers of free slots */
	bool *taken;
	uint32_t count, used, peak;
};

static struct {
	struct slots in, out;
	struct tlsheap heap;
	size_t largest;   /* request so far */
	uint64_t fail_at;
	uint64_t denied;
} mem;

static size_t slots_size(size_t size, uint32_t count)
{
	return arena_size(arena_size(size) * count) + arena_size(count * sizeof(uint16_t)) +
		arena_size(count * sizeof(bool));
}

static size_t heap_size(uint32_t places)
{
	return arena_size(HEAP_SHARED + HEAP_FLIGHT + places * (size_t)HEAP_PLACE);
}

size_t tlsmem_size(uint32_t places)
{
	if (SLOT_IN == SLOT_OUT)
		return slots_size(SLOT_IN, 2 * places) + heap_size(places);
	return slots_size(SLOT_IN, places) + slots_size(SLOT_OUT, places) + heap_size(places);
}

size_t tlsmem_slot(void)
{
	return mem.in.size;
}

/* most: what was counted on; size: what is asked for. */
static bool slots_init(struct slots *s, struct arena *arena, size_t most, size_t size, uint32_t count)
{
	*s = (struct slots){ .unit = arena_size(most), .size = size, .count = count };
	s->base = arena_take(arena, s->unit * count);
	s->free = arena_take(arena, count * sizeof *s->free);
	s->taken = arena_take(arena, count * sizeof *s->taken);
	if (!s->base || !s->free || !s->taken || count > UINT16_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++)
		s->free[i] = (uint16_t)(count - 1 - i);
	return true;
}

static void *slot_take(struct slots *s)
{
	uint32_t i;

	if (s->used == s->count)
		return NULL;
	i = s->free[s->count - 1 - s->used++];
	assert(!s->taken[i]);
	s->taken[i] = true;
	if (s->used > s->peak)
		s->peak = s->used;
	return memset(s->base + i * s->unit, 0, s->size);
}

static bool slot_give(struct slots *s, void *piece)
{
	size_t at = (uintptr_t)piece - (uintptr_t)s->base;

	if ((uintptr_t)piece < (uintptr_t)s->base || at >= s->unit * s->count)
		return false;
	assert(at % s->unit == 0 && s->taken[at / s->unit] && s->used > 0);
	s->taken[at / s->unit] = false;
	s->free[s->count - s->used--] = (uint16_t)(at / s->unit);
	return true;
}

void *tlsmem_take(size_t n, size_t size)
{
	size_t len = n * size;
	void *piece;

	if (len == 0 || len / n != size)
		return NULL;
	if (len > mem.largest)
		mem.largest = len;
	if (mem.fail_at && --mem.fail_at == 0)
		piece = NULL;
	else if (len == mem.in.size)
		piece = slot_take(&mem.in);
	else if (len == mem.out.size)
		piece = slot_take(&mem.out);
	else
		piece = tlsheap_take(&mem.heap, len);
	if (!piece)
		mem.denied++;
	return piece;
}

void tlsmem_give(void *piece)
{
	if (piece && !slot_give(&mem.in, piece) && !slot_give(&mem.out, piece))
		tlsheap_give(&mem.heap, piece);
}

bool tlsmem_owns(const void *piece, size_t *size)
{
	const struct slots *slots[] = { &mem.in, &mem.out };

	for (size_t i = 0; i < 2; i++) {
		uintptr_t from = (uintptr_t)slots[i]->base;

		*size = slots[i]->size;
		if ((uintptr_t)piece >= from && (uintptr_t)piece - from < slots[i]->unit * slots[i]->count)
			return true;
	}
	if (!mem.heap.base || !tlsheap_owns(&mem.heap, piece))
		return false;
	*size = tlsheap_size(&mem.heap, piece);
	return true;
}

static void become_allocator(void)
{
#if defined(CUBBY_SYSTEM_MBEDTLS)
	tlsmalloc_begin();
#else
	mbedtls_platform_set_calloc_free(tlsmem_take, tlsmem_give);
#endif
}

static int no_random(void *unused, unsigned char *out, size_t len)
{
	(void)unused;
	memset(out, 0, len);
	return 0;
}

/* The size that mbedTLS asks for as input record buffer: sets up a session and
 * watches. The heap holds it, because there are no slots yet. */
static size_t watch_record_size(void)
{
	static mbedtls_ssl_config config;
	static mbedtls_ssl_context session;

	mbedtls_ssl_config_init(&config);
	mbedtls_ssl_init(&session);
	mem.largest = 0;
	if (mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
		    MBEDTLS_SSL_PRESET_DEFAULT) == 0) {
		mbedtls_ssl_conf_rng(&config, no_random, NULL);
		if (mbedtls_ssl_setup(&session, &config) != 0)
			mem.largest = 0;
	}
	mbedtls_ssl_free(&session);
	mbedtls_ssl_config_free(&config);
	return mem.largest;
}

int tlsmem_init(struct arena *arena, uint32_t places)
{
	size_t len = heap_size(places), in, out;
	uint8_t *heap = arena_take(arena, len);

	memset(&mem, 0, sizeof mem);
	if (!heap)
		return E_NOMEM;
	tlsheap_init(&mem.heap, heap, len);
	become_allocator();
	if (places == 0)
		return OK;
	in = watch_record_size();
	out = in - (MBEDTLS_SSL_IN_CONTENT_LEN - MBEDTLS_SSL_OUT_CONTENT_LEN);
	if (in < MBEDTLS_SSL_IN_CONTENT_LEN || in > SLOT_IN) {
		log_error("this mbedTLS asks for record buffers of %zu bytes, not %u: built with another configuration",
			in, (unsigned)SLOT_IN);
		return E_NOTSUP;
	}
	/* with equal sizes one kind of slot serves both */
	if (!slots_init(&mem.in, arena, SLOT_IN, in, in == out ? 2 * places : places) ||
		!slots_init(&mem.out, arena, SLOT_OUT, out, in == out ? 0 : places))
		return E_NOMEM;
	tlsheap_init(&mem.heap, heap, len);
	return OK;
}

void tlsmem_status(struct tls_status *out)
{
	out->heap = mem.heap.len;
	out->heap_used = mem.heap.used;
	out->heap_peak = mem.heap.peak;
	out->heap_largest = tlsheap_largest(&mem.heap);
	out->denied = mem.denied;
}

void tlsmem_fail_at(uint64_t n)
{
	mem.fail_at = n;
}

size_t tlsmem_used(void)
{
	return mem.heap.used + mem.in.used * mem.in.size + mem.out.used * mem.out.size;
}

void tlsmem_check(void)
{
	tlsheap_check(&mem.heap);
}

void tlsmem_reset_peak(void)
{
	mem.heap.peak = mem.heap.used;
}
