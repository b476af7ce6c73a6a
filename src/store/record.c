#include "store/record.h"

#include "base/crc32c.h"
#include "base/le.h"

#define RECORD_MAGIC 0x31527543u /* "CuR1" */
#define RECORD_VERSION 1

void record_put(uint8_t *h, const struct record *r, uint32_t salt)
{
	put_le32(h, RECORD_MAGIC);
	h[4] = r->type;
	h[5] = RECORD_VERSION;
	put_le16(h + 6, r->flags);
	put_le64(h + 8, r->lsn);
	put_le64(h + 16, r->durable);
	put_le64(h + 24, (uint64_t)r->wall);
	put_le32(h + 32, r->box_time);
	put_le32(h + 36, r->body_len);
	put_le32(h + 40, r->summary_len);
	put_le32(h + 44, r->tail_len);
	put_le32(h + 48, r->prev_end);
	put_le32(h + 52, r->body_crc);
	put_le32(h + 56, 0); /* kept for the key number of encrypted bodies */
	put_le32(h + 60, crc32c(salt, h, 60));
}

bool record_get(const uint8_t *h, struct record *r, uint32_t salt)
{
	if (le32(h) != RECORD_MAGIC || h[5] != RECORD_VERSION || le32(h + 60) != crc32c(salt, h, 60))
		return false;
	*r = (struct record){
		.type = h[4],
		.flags = le16(h + 6),
		.lsn = le64(h + 8),
		.durable = le64(h + 16),
		.wall = (int64_t)le64(h + 24),
		.box_time = le32(h + 32),
		.body_len = le32(h + 36),
		.summary_len = le32(h + 40),
		.tail_len = le32(h + 44),
		.prev_end = le32(h + 48),
		.body_crc = le32(h + 52),
	};
	return r->type >= RECORD_SEGMENT && r->type <= RECORD_CATALOGUE && r->summary_len <= r->body_len;
}

uint32_t record_body_crc(uint32_t salt, const void *body, size_t len)
{
	return crc32c(salt + 1, body, len);
}

uint32_t frame_crc(uint64_t object, uint32_t frame, const void *data, size_t len)
{
	return crc32c((uint32_t)(object * 0x9E3779B1u) ^ (uint32_t)(object >> 32) ^ frame * 0x85EBCA77u, data, len);
}
