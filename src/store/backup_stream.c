#include "store/backup_stream.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/le.h"

static const char magic[] = "CubbyBak";

/* The first record tells the id itself. Any other is bound to the backup and to
 * its place in it: none can be missing, come twice or be another backup's. */
static uint32_t checksum(const uint8_t *record, size_t len, uint64_t id, uint64_t number)
{
	uint32_t seed = number ? (uint32_t)(id ^ id >> 32) ^ (uint32_t)number : 0;

	return crc32c(crc32c(seed, record, 4), record + BACKUP_HEADER, len);
}

void backup_seal(uint8_t *record, enum backup_type type, size_t len, uint64_t id, uint64_t number)
{
	record[0] = (uint8_t)type;
	record[1] = 0;
	put_le16(record + 2, (uint16_t)len);
	put_le32(record + 4, checksum(record, len, id, number));
}

int backup_length(const uint8_t *record)
{
	unsigned len = le16(record + 2);

	return record[0] < BACKUP_HEAD || record[0] > BACKUP_END || record[1] || len > BACKUP_PAYLOAD ? -1 : (int)len;
}

bool backup_sealed(const uint8_t *record, uint64_t id, uint64_t number)
{
	return le32(record + 4) == checksum(record, le16(record + 2), id, number);
}

void backup_head_put(uint8_t *p, const struct store_backup_info *info)
{
	memset(p, 0, BACKUP_HEAD_BYTES);
	memcpy(p, magic, 8);
	put_le32(p + 8, BACKUP_VERSION);
	put_le64(p + 16, info->id);
	put_le64(p + 24, info->identity);
	put_le64(p + 32, (uint64_t)info->made);
	put_le64(p + 40, info->lsn);
	put_le64(p + 48, info->box_time);
	put_le64(p + 56, info->next_object);
	put_le32(p + 64, info->next_mailbox);
	put_le32(p + 68, info->next_uidvalidity);
	put_le64(p + 72, info->live);
	put_le64(p + 80, info->objects);
	put_le64(p + 88, info->entries);
	put_le32(p + 96, info->pages);
}

int backup_head_get(struct bytes payload, struct store_backup_info *info)
{
	const uint8_t *p = payload.data;

	if (payload.len < BACKUP_HEAD_BYTES || memcmp(p, magic, 8) != 0 || le32(p + 8) != BACKUP_VERSION)
		return E_NOTSUP;
	*info = (struct store_backup_info){
		.id = le64(p + 16),
		.identity = le64(p + 24),
		.made = (int64_t)le64(p + 32),
		.lsn = le64(p + 40),
		.box_time = le64(p + 48),
		.next_object = le64(p + 56),
		.next_mailbox = le32(p + 64),
		.next_uidvalidity = le32(p + 68),
		.live = le64(p + 72),
		.objects = le64(p + 80),
		.entries = le64(p + 88),
		.pages = le32(p + 96),
	};
	/* Nothing that a store gives comes near these bounds. */
	return info->id && info->identity && info->lsn < UINT64_C(1) << 62 && info->next_object < UINT64_C(1) << 62 &&
			info->box_time <= UINT32_MAX
		? OK
		: E_NOTSUP;
}
