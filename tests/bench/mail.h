/* Mail for measuring: messages that follow from their number, of a given size,
 * with a header as real mail has it and a body that compresses as an encoded
 * picture does. */
#ifndef TESTS_BENCH_MAIL_H
#define TESTS_BENCH_MAIL_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MAIL_HEAD 700 /* bytes of the longest header that mail_make writes */

static inline uint32_t mail_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* Message number n in exactly `size` bytes of out (more when the header is
 * longer; out has size + MAIL_HEAD). Returns its length. */
static inline size_t mail_make(uint32_t n, size_t size, char *out)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char *const words[] = { "invoice", "router", "harbour", "meeting", "photos", "lamp", "ship",
		"garden" };
	uint32_t x = n * 2654435761u + 12345;
	size_t at;

	(void)mail_random(&x);
	at = (size_t)snprintf(out, MAIL_HEAD,
		"Received: from a%u.example.org ([192.0.2.%u])\r\n\tby box.example.org with ESMTP id %08x;\r\n"
		"\tMon, 1 Mar 2021 10:%02u:%02u +0100\r\nFrom: Sender %u <s%u@example.org>\r\n"
		"To: Anna <anna@example.org>\r\nSubject: message %u about the %s\r\n"
		"Date: Mon, 1 Mar 2021 10:%02u:%02u +0100\r\nMessage-ID: <%u.%08x@example.org>\r\n"
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
		(unsigned)(n % 50), (unsigned)(n % 250), (unsigned)x, (unsigned)(n / 60 % 60), (unsigned)(n % 60),
		(unsigned)(n % 50), (unsigned)(n % 50), (unsigned)n, words[n % 8], (unsigned)(n / 60 % 60),
		(unsigned)(n % 60), (unsigned)n, (unsigned)x);
	for (size_t column = 0; at + 2 < size; column++) {
		if (column % 78 == 76 && at + 4 < size) {
			memcpy(out + at, "\r\n", 2);
			at += 2;
			column++;
		} else {
			out[at++] = letters[mail_random(&x) >> 26];
		}
	}
	if (at < size) {
		memcpy(out + at, "\r\n", 2);
		at = size;
	}
	return at;
}

#endif
