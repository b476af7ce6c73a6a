/* Records of the log: framing only (FORMAT.md section 3). */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "base/bytes.h"

enum record_type {
	RECORD_SEGMENT = 1, /* first of every segment: who it is and where the one before it ends */
	RECORD_MESSAGE,     /* a message and the mailboxes it appears in */
	RECORD_FLAGS,
	RECORD_EXPUNGE,
	RECORD_MOVE,
	RECORD_COPY,    /* entries staged beyond UIDNEXT */
	RECORD_PUBLISH, /* makes staged entries real */
	RECORD_UNSTAGE, /* takes staged entries back */
	RECORD_NAMES,   /* mailboxes, subscriptions, keywords: a list of operations */
	RECORD_MOVED,   /* a message that cleaning copied forward */
	RECORD_VOID,    /* holds a number whose record was refused when it was written */
	RECORD_EVICT,   /* messages that went to make room, with what the audit keeps of them */
	RECORD_CATALOGUE, /* a part of the catalogue, for a rebuild; when applied it changes nothing */
	RECORD_SHOWN     /* a restored message is shown by one entry more */
};

#define RECORD_HEADER 64u
#define RECORD_ALIGN 64u
/* A commit starts on a block of its own, so that a write that is cut can't harm
 * a synced record. */
#define RECORD_BLOCK 4096u

/* RECORD_MESSAGE: the body is a file of its own. */
#define RECORD_BLOB 1u
/* RECORD_MESSAGE: it is restored, and keeps what its entries had. */
#define RECORD_EXACT 2u

struct record {
	uint8_t type;
	uint16_t flags;
	uint64_t lsn;
	uint64_t durable;     /* the highest LSN known to be synced when it was written */
	int64_t wall;         /* seconds since 1970 by the box's clock */
	uint32_t box_time;    /* seconds of powered-on time */
	uint32_t body_len;    /* fixed part and summary, under body_crc */
	uint32_t summary_len; /* how much of the body is summary, at its end */
	uint32_t tail_len;    /* frames of the message behind the body */
	uint32_t prev_end;    /* where the record before it ends in this segment */
	uint32_t body_crc;
};

void record_put(uint8_t *header, const struct record *r, uint32_t salt);
/* False when there is no record of this segment. */
bool record_get(const uint8_t *header, struct record *r, uint32_t salt);
uint32_t record_body_crc(uint32_t salt, const void *body, size_t len);

/* n rounded up to the alignment of records. */
static inline uint64_t record_align(uint64_t n)
{
	return (n + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

static inline uint64_t record_size(const struct record *r)
{
	return record_align((uint64_t)RECORD_HEADER + r->body_len + r->tail_len);
}

/* A message's bytes are kept in frames of FRAME_DATA bytes, each followed by a
 * checksum that knows the message and the frame's place in it. */
#define FRAME 4096u
#define FRAME_DATA (FRAME - 4)

static inline uint64_t frames_size(uint64_t size)
{
	return size + 4 * ((size + FRAME_DATA - 1) / FRAME_DATA);
}

uint32_t frame_crc(uint64_t object, uint32_t frame, const void *data, size_t len);

#endif
