/* A heap that closes. Linked into the test build of cubbyd, it takes the place
 * of libc's malloc and all its kin, libc's own calls of them included. Until
 * cubby_frozen() it serves from a small region of its own and never gives
 * anything back; after it, any call prints what was called and from where, and
 * aborts. cubbyd calls cubby_frozen through a weak reference, right after it
 * froze its arena, so that nothing of this is in the real binary. */
#include <errno.h>
#include <execinfo.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes for everything before the freeze: libc's start, the system's resolver
 * and user tables, mbedTLS before its arena is set. Beyond it: abort. */
#define REGION (4u << 20)
#define ALIGN alignof(max_align_t)

/* Deep enough to show who called what in libc called malloc. */
#define FRAMES 24

void cubby_frozen(void);

static alignas(64) unsigned char region[REGION];
static size_t region_used;
static volatile int mem_frozen;

static void put(const char *text)
{
	ssize_t n = write(STDERR_FILENO, text, strlen(text));

	(void)n;
}

/* backtrace() itself allocates at its first call (it loads libgcc), so it is
 * called once before the freeze. */
void cubby_frozen(void)
{
	void *frames[FRAMES];

	(void)backtrace(frames, FRAMES);
	mem_frozen = 1;
}

static _Noreturn void die(const char *call, const char *why)
{
	void *frames[FRAMES];

	mem_frozen = 0;
	put("trap_malloc: ");
	put(call);
	put(why);
	backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
	abort();
}

/* The size of a block stands in the ALIGN bytes before it. */
static void *take(const char *call, size_t align, size_t len)
{
	size_t at;

	if (mem_frozen)
		die(call, " after memory was frozen\n");
	if (align < ALIGN)
		align = ALIGN;
	at = (region_used + ALIGN + align - 1) & ~(align - 1);
	if (align > REGION || at > REGION || len > REGION - at)
		die(call, ": the region for the start is used up\n");
	region_used = at + len;
	memcpy(region + at - sizeof len, &len, sizeof len);
	return region + at;
}

static size_t size_of(const void *p)
{
	size_t len;

	memcpy(&len, (const unsigned char *)p - sizeof len, sizeof len);
	return len;
}

void *malloc(size_t len)
{
	return take("malloc", ALIGN, len);
}

void free(void *p)
{
	if (p && mem_frozen)
		die("free", " after memory was frozen\n");
}

/* The region is zero and no byte of it is handed out twice. */
void *calloc(size_t n, size_t len)
{
	if (len && n > SIZE_MAX / len)
		return NULL;
	return take("calloc", ALIGN, n * len);
}

static void *again(const char *call, void *p, size_t len)
{
	void *q = take(call, ALIGN, len);

	if (p)
		memcpy(q, p, size_of(p) < len ? size_of(p) : len);
	return q;
}

void *realloc(void *p, size_t len)
{
	return again("realloc", p, len);
}

void *reallocarray(void *p, size_t n, size_t len)
{
	if (len && n > SIZE_MAX / len)
		return NULL;
	return again("reallocarray", p, n * len);
}

void *memalign(size_t align, size_t len)
{
	return take("memalign", align, len);
}

void *aligned_alloc(size_t align, size_t len)
{
	return take("aligned_alloc", align, len);
}

int posix_memalign(void **p, size_t align, size_t len)
{
	*p = take("posix_memalign", align, len);
	return 0;
}

void *valloc(size_t len)
{
	return take("valloc", 4096, len);
}

void *pvalloc(size_t len)
{
	return take("pvalloc", 4096, (len + 4095) & ~(size_t)4095);
}

size_t malloc_usable_size(void *p)
{
	return p ? size_of(p) : 0;
}
