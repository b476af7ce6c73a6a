/* Connections that were closed but may still have bytes under way to us. A
 * socket that is closed over unread bytes answers with a reset, and a reset makes
 * most systems throw away what their program has not read yet: the very line that
 * says why. So the sending side alone is closed, what comes is read and dropped,
 * and the socket goes when the peer closes too. It holds no place, no buffer and
 * no TLS session while that lasts. */
#include "base/err.h"
#include "net/inner.h"

static void end(struct loop *l, uint32_t i)
{
	port_shut(l->lingering[i].socket);
	l->lingering[i] = l->lingering[--l->lingering_n];
}

void linger_start(struct loop *l, port_socket s)
{
	uint32_t oldest = 0;

	if (l->lingering_n == LINGER_MAX) {
		for (uint32_t i = 1; i < l->lingering_n; i++)
			if (l->lingering[i].until_us < l->lingering[oldest].until_us)
				oldest = i;
		end(l, oldest);
	}
	port_finish(s);
	l->lingering[l->lingering_n++] =
		(struct linger){ .socket = s, .until_us = l->now_us + LINGER_US, .left = LINGER_BYTES };
}

size_t linger_watch(const struct loop *l, struct port_wait *set)
{
	for (uint32_t i = 0; i < l->lingering_n; i++)
		set[i] = (struct port_wait){ .s = l->lingering[i].socket, .want = PORT_CAN_READ };
	return l->lingering_n;
}

uint64_t linger_due_us(const struct loop *l)
{
	uint64_t due = 0;

	for (uint32_t i = 0; i < l->lingering_n; i++)
		if (!due || l->lingering[i].until_us < due)
			due = l->lingering[i].until_us;
	return due;
}

/* Drops what came, one slice of it. False when the socket need not be kept. */
static bool drain(struct loop *l, struct linger *g)
{
	for (uint32_t moved = 0; moved < SLICE_BYTES;) {
		int64_t n = port_recv(g->socket, l->scratch, CONN_INPUT);

		if (n == E_AGAIN)
			return true;
		if (n <= 0 || (uint64_t)n >= g->left)
			return false;
		g->left -= (uint32_t)n;
		moved += (uint32_t)n;
	}
	return true;
}

void linger_run(struct loop *l)
{
	for (uint32_t i = l->lingering_n; i-- > 0;) {
		struct linger *g = &l->lingering[i];
		bool stays = !g->ready || drain(l, g);

		g->ready = false;
		if (!stays || l->now_us >= g->until_us)
			end(l, i);
	}
}

void linger_end(struct loop *l)
{
	while (l->lingering_n)
		end(l, 0);
}
