/* The reader of summaries. The bytes come from flash and are not believed:
 * summary_open proves that all links lead to records, after which the accessors
 * only have to stay inside a record's values, which value_next sees to. */
#include "mail/summary.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "mail/summary_format.h"

static const uint8_t *record(const struct summary *s, uint32_t ref)
{
	return s->data + ref;
}

/* The record that must stand behind `ref`, by the links: its first child, or
 * the next sibling of the nearest part around it that has one; 0 at the end. */
static uint32_t behind(const struct summary *s, uint32_t ref)
{
	if (le16(record(s, ref) + PART_CHILD))
		return le16(record(s, ref) + PART_CHILD);
	while (ref && le16(record(s, ref) + PART_NEXT) == 0)
		ref = le16(record(s, ref) + PART_PARENT);
	return ref ? le16(record(s, ref) + PART_NEXT) : 0;
}

/* The part around that of `ref`, when `next` is what behind() said. */
static uint32_t parent_of_behind(const struct summary *s, uint32_t ref)
{
	if (le16(record(s, ref) + PART_CHILD))
		return ref;
	while (le16(record(s, ref) + PART_NEXT) == 0)
		ref = le16(record(s, ref) + PART_PARENT);
	return le16(record(s, ref) + PART_PARENT);
}

/* One record by itself and against the part around it. */
static bool record_fits(const struct summary *s, uint32_t at, uint32_t parent)
{
	const uint8_t *r = record(s, at);
	uint64_t end;

	if (s->len - at < PART_END || s->len - at - PART_END < le16(r + PART_VALUES))
		return false;
	end = (uint64_t)le32(r + PART_HEADER) + le32(r + PART_HEADER_LEN) + le32(r + PART_BODY_LEN);
	if (r[PART_KIND] > SUMMARY_MESSAGE || end > s->size || le16(r + PART_PARENT) != parent)
		return false;
	if ((r[PART_KIND] == SUMMARY_LEAF || r[PART_KIND] == SUMMARY_TEXT) && le16(r + PART_CHILD))
		return false;
	if (r[PART_KIND] == SUMMARY_MESSAGE && le16(r + PART_CHILD) == 0)
		return false;
	if (parent == 0)
		return (r[PART_FLAGS] & PART_IS_MESSAGE) && le16(r + PART_NEXT) == 0;
	if (record(s, parent)[PART_KIND] == SUMMARY_MESSAGE)
		return (r[PART_FLAGS] & PART_IS_MESSAGE) && le16(r + PART_NEXT) == 0;
	return (r[PART_FLAGS] & PART_IS_MESSAGE) == 0;
}

static bool records_fit(const struct summary *s)
{
	uint32_t at = HEAD_END, parent = 0;

	for (uint32_t i = 0; i < s->parts; i++) {
		uint32_t end;

		if (!record_fits(s, at, parent))
			return false;
		end = at + PART_END + le16(record(s, at) + PART_VALUES);
		if (behind(s, at) == 0)
			return i + 1u == s->parts && end == s->len;
		if (behind(s, at) != end)
			return false;
		parent = parent_of_behind(s, at);
		at = end;
	}
	return false;
}

int summary_open(struct summary *s, struct bytes data)
{
	if (data.len == 0)
		return E_DAMAGED;
	if (data.data[HEAD_VERSION] != SUMMARY_VERSION)
		return E_NOTSUP;
	if (data.len < HEAD_END + PART_END || data.len > LIMIT_SUMMARY || le16(data.data + HEAD_LEN) != data.len)
		return E_DAMAGED;
	s->data = data.data;
	s->len = (uint32_t)data.len;
	s->size = le32(data.data + HEAD_SIZE);
	s->lines = le32(data.data + HEAD_LINES);
	s->sent = (int64_t)le64(data.data + HEAD_SENT);
	s->zone = (int16_t)le16(data.data + HEAD_ZONE);
	s->parts = le16(data.data + HEAD_PARTS);
	s->flags = data.data[HEAD_FLAGS];
	if (s->size > LIMIT_MESSAGE || !records_fit(s))
		return E_DAMAGED;
	return OK;
}

summary_ref summary_root(const struct summary *s)
{
	(void)s;
	return HEAD_END;
}

void summary_part(const struct summary *s, summary_ref ref, struct summary_part *part)
{
	const uint8_t *r = record(s, ref);

	assert(ref >= HEAD_END && ref <= s->len - PART_END);
	part->ref = ref;
	part->parent = le16(r + PART_PARENT);
	part->child = le16(r + PART_CHILD);
	part->next = le16(r + PART_NEXT);
	part->kind = (enum summary_kind)r[PART_KIND];
	part->message = (r[PART_FLAGS] & PART_IS_MESSAGE) != 0;
	part->digest = (r[PART_FLAGS] & PART_IS_DIGEST_CHILD) != 0;
	part->header_offset = le32(r + PART_HEADER);
	part->header_len = le32(r + PART_HEADER_LEN);
	part->header_lines = le32(r + PART_HEADER_LINES);
	part->body_offset = part->header_offset + part->header_len;
	part->body_len = le32(r + PART_BODY_LEN);
	part->body_lines = le32(r + PART_BODY_LINES);
	part->fields = bytes_make(r + PART_END, le16(r + PART_VALUES));
}

void summary_values(const struct summary_part *part, struct bytes values[SUMMARY_FIELDS])
{
	struct bytes value;
	size_t at = 0;
	uint8_t tag;

	memset(values, 0, SUMMARY_FIELDS * sizeof values[0]);
	while (value_next(part->fields.data, &at, part->fields.len, &tag, &value))
		if (tag < SUMMARY_FIELDS)
			values[tag] = value;
}

struct bytes summary_value(const struct summary_part *part, enum summary_field field)
{
	struct bytes value;
	size_t at = 0;
	uint8_t tag;

	while (value_next(part->fields.data, &at, part->fields.len, &tag, &value))
		if (tag == field)
			return value;
	return bytes_make(NULL, 0);
}

void summary_params(const struct summary_part *part, enum summary_field of, struct summary_params *it)
{
	it->rest = part->fields;
	it->tag = of == SUMMARY_DISPOSITION ? TAG_DISPOSITION_PARAM : TAG_TYPE_PARAM;
}

bool summary_params_next(struct summary_params *it, struct bytes *name, struct bytes *value)
{
	struct bytes both;
	size_t at = 0;
	uint8_t tag;

	while (value_next(it->rest.data, &at, it->rest.len, &tag, &both)) {
		if (tag != it->tag || both.len == 0 || both.data[0] >= both.len)
			continue;
		*name = bytes_make(both.data + 1, both.data[0]);
		*value = bytes_make(both.data + 1 + both.data[0], both.len - 1 - both.data[0]);
		it->rest = bytes_make(it->rest.data + at, it->rest.len - at);
		return true;
	}
	it->rest.len = 0;
	return false;
}

struct bytes summary_param(const struct summary_part *part, enum summary_field of, const char *name)
{
	struct summary_params it;
	struct bytes n, value;

	summary_params(part, of, &it);
	while (summary_params_next(&it, &n, &value))
		if (bytes_is(n, name))
			return value;
	return bytes_make(NULL, 0);
}

/* Within `part`, whose parts are numbered from 1: the n-th. */
static int numbered(const struct summary *s, uint32_t n, struct summary_part *part)
{
	if (part->kind != SUMMARY_MULTIPART) /* it is its own part 1 */
		return n == 1 ? OK : E_NOENT;
	if (n == 0 || part->child == 0)
		return E_NOENT;
	summary_part(s, part->child, part);
	while (--n) {
		if (part->next == 0)
			return E_NOENT;
		summary_part(s, part->next, part);
	}
	return OK;
}

int summary_find(const struct summary *s, const uint32_t *path, size_t levels, summary_ref *ref)
{
	struct summary_part part;

	summary_part(s, summary_root(s), &part);
	for (size_t i = 0; i < levels; i++) {
		if (i > 0) { /* into what the number before named */
			if (part.kind == SUMMARY_MESSAGE)
				summary_part(s, part.child, &part);
			else if (part.kind != SUMMARY_MULTIPART && (part.message || i + 1 < levels))
				return E_NOENT;
		}
		if (numbered(s, path[i], &part) != OK)
			return E_NOENT;
	}
	*ref = part.ref;
	return OK;
}

int summary_section(const struct summary *s, const uint32_t *path, size_t levels, enum summary_section section,
	struct summary_range *range)
{
	struct summary_part part;
	summary_ref ref;

	if (summary_find(s, path, levels, &ref) != OK)
		return E_NOENT;
	summary_part(s, ref, &part);
	if (section == SUMMARY_HEADER || section == SUMMARY_BODY) {
		if (levels > 0 && part.kind != SUMMARY_MESSAGE)
			return E_NOENT;
		if (levels > 0)
			summary_part(s, part.child, &part);
	}
	if (section == SUMMARY_WHOLE && levels == 0) {
		*range = (struct summary_range){ 0, s->size };
	} else if (section == SUMMARY_MIME && levels == 0) {
		return E_NOENT;
	} else if (section == SUMMARY_HEADER || section == SUMMARY_MIME) {
		*range = (struct summary_range){ part.header_offset, part.header_len };
	} else {
		*range = (struct summary_range){ part.body_offset, part.body_len };
	}
	return OK;
}
