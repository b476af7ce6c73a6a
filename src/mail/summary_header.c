/* The header half of the summary parser: which fields are kept, and how their
 * values get into the record of the part on top of the stack. A raw value grows
 * at the output's end; a MIME value is collected beside it and taken apart. */
#include "mail/summary_format.h"

#include <string.h>

#include "base/text.h"
#include "mail/mime.h"

/* Bytes that raw values leave to the MIME values of the same header. */
#define MIME_ROOM 256

enum { ENVELOPE_ONLY = 1, ADDRESSES = 2, LAST_COUNTS = 4, MIME_VALUE = 8 };

static const struct {
	char name[28];
	uint8_t field, how;
} fields[] = {
	{ "to", SUMMARY_TO, ENVELOPE_ONLY | ADDRESSES },
	{ "cc", SUMMARY_CC, ENVELOPE_ONLY | ADDRESSES },
	{ "bcc", SUMMARY_BCC, ENVELOPE_ONLY | ADDRESSES },
	{ "date", SUMMARY_DATE, ENVELOPE_ONLY | LAST_COUNTS },
	{ "from", SUMMARY_FROM, ENVELOPE_ONLY | ADDRESSES },
	{ "sender", SUMMARY_SENDER, ENVELOPE_ONLY | ADDRESSES },
	{ "subject", SUMMARY_SUBJECT, ENVELOPE_ONLY | LAST_COUNTS },
	{ "reply-to", SUMMARY_REPLY_TO, ENVELOPE_ONLY | ADDRESSES },
	{ "content-id", SUMMARY_ID, 0 },
	{ "message-id", SUMMARY_MESSAGE_ID, ENVELOPE_ONLY | LAST_COUNTS },
	{ "references", SUMMARY_REFERENCES, ENVELOPE_ONLY },
	{ "content-md5", SUMMARY_MD5, 0 },
	{ "in-reply-to", SUMMARY_IN_REPLY_TO, ENVELOPE_ONLY | LAST_COUNTS },
	{ "content-type", SUMMARY_TYPE, MIME_VALUE },
	{ "mime-version", FIELD_MIME_VERSION, 0 },
	{ "content-language", SUMMARY_LANGUAGE, 0 },
	{ "content-location", SUMMARY_LOCATION, 0 },
	{ "content-description", SUMMARY_DESCRIPTION, 0 },
	{ "content-disposition", SUMMARY_DISPOSITION, MIME_VALUE },
	{ "content-transfer-encoding", SUMMARY_ENCODING, MIME_VALUE },
};

static uint8_t how_of(uint8_t field)
{
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (fields[i].field == field)
			return fields[i].how;
	return 0;
}

static uint32_t top(const struct summary_parser *p)
{
	return p->level[p->depth - 1].part;
}

/* Where the values of the record on top end: a part that is past its header
 * may have children behind it already. */
static size_t top_end(const struct summary_parser *p)
{
	return p->in_header ? p->len : top(p) + PART_END + le16(p->out + top(p) + PART_VALUES);
}

static uint32_t room(const struct summary_parser *p)
{
	return p->cap - p->len;
}

struct bytes summary_top_value(const struct summary_parser *p, uint8_t tag)
{
	size_t at = top(p) + PART_END;
	struct bytes value;
	uint8_t t;

	while (value_next(p->out, &at, top_end(p), &t, &value))
		if (t == tag)
			return value;
	return bytes_make(NULL, 0);
}

struct bytes summary_top_boundary(const struct summary_parser *p)
{
	size_t at = top(p) + PART_END;
	struct bytes value;
	uint8_t t;

	while (value_next(p->out, &at, top_end(p), &t, &value))
		if (t == TAG_TYPE_PARAM && bytes_is(bytes_part(value, 1, value.data[0]), "boundary"))
			return bytes_part(value, 1u + value.data[0], SUMMARY_BOUNDARY_MAX);
	return bytes_make(NULL, 0);
}

/* Opens a raw value at the output's end. */
static void raw_begin(struct summary_parser *p, uint8_t field)
{
	if (room(p) < MIME_ROOM + 2 * VALUE_HEAD) {
		p->flags |= SUMMARY_CUT;
		return;
	}
	p->field = field;
	p->out[p->len] = field;
	p->len += VALUE_HEAD;
	p->value = (uint16_t)p->len;
	p->limit = (uint16_t)((room(p) - MIME_ROOM) / 2);
	if (p->limit > SUMMARY_VALUE_MAX)
		p->limit = SUMMARY_VALUE_MAX;
}

void summary_field_begin(struct summary_parser *p)
{
	bool message = (p->out[top(p) + PART_FLAGS] & PART_IS_MESSAGE) != 0;
	struct bytes name = bytes_make(p->line, p->line_len);

	while (name.len && text_is(name.data[name.len - 1], TEXT_SPACE))
		name.len--;
	p->field = FIELD_NONE;
	p->cut = false;
	p->line_len = 0;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		uint8_t how = fields[i].how, field = fields[i].field;

		if (!bytes_is(name, fields[i].name))
			continue;
		if (field == FIELD_MIME_VERSION || field == SUMMARY_TYPE)
			p->mime = true;
		if (field == FIELD_MIME_VERSION || ((how & ENVELOPE_ONLY) && !message))
			return;
		if (p->seen >> field & 1) {
			if (!(how & (ADDRESSES | LAST_COUNTS)))
				return;
			if (p->repeats == SUMMARY_REPEATS_MAX) {
				p->flags |= SUMMARY_CUT;
				return;
			}
		}
		if (how & MIME_VALUE)
			p->field = field;
		else
			raw_begin(p, field);
		return;
	}
}

void summary_field_put(struct summary_parser *p, const uint8_t *data, size_t len)
{
	bool mime;
	size_t have, limit;

	if (p->field >= SUMMARY_FIELDS || len == 0)
		return;
	mime = p->field == SUMMARY_TYPE || p->field == SUMMARY_DISPOSITION || p->field == SUMMARY_ENCODING;
	have = mime ? p->line_len : p->len - p->value;
	limit = mime ? SUMMARY_MIME_VALUE_MAX : p->limit;
	while (have == 0 && len && text_is(*data, TEXT_SPACE)) {
		data++;
		len--;
	}
	if (len > limit - have) {
		len = limit - have;
		p->cut = true;
	}
	if (mime) {
		memcpy(p->line + have, data, len);
		p->line_len = (uint16_t)(p->line_len + len);
	} else {
		memcpy(p->out + p->len, data, len);
		p->len += (uint32_t)len;
	}
}

/* Bytes up to the last comma that separates two addresses. */
static size_t whole_addresses(const uint8_t *data, size_t len)
{
	size_t whole = 0;
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\\')
			i++;
		else if (data[i] == '"' && !depth)
			quoted = !quoted;
		else if (data[i] == '(' && !quoted)
			depth++;
		else if (data[i] == ')' && !quoted && depth)
			depth--;
		else if (data[i] == ',' && !quoted && !depth)
			whole = i;
	}
	return whole;
}

static void reverse(uint8_t *a, uint8_t *end)
{
	while (a < end) {
		uint8_t c = *a;

		*a++ = *--end;
		*end = c;
	}
}

/* The record has the field already, its value is `old`; the new one stands at
 * the output's end. Addresses are appended to the old ones: what stands between
 * changes places with ", " and the new value. */
static void join(struct summary_parser *p, struct bytes old)
{
	uint8_t *start = p->out + (old.data - p->out) + old.len, *end = p->out + p->len;
	uint8_t *add = p->out + p->value - 2;
	size_t len = old.len + (size_t)(end - add);

	if (add + 2 == end || len > SUMMARY_VALUE_MAX) {
		if (len > SUMMARY_VALUE_MAX)
			p->flags |= SUMMARY_CUT;
		p->len = p->value - (uint32_t)VALUE_HEAD;
		return;
	}
	add[0] = ',';
	add[1] = ' ';
	put_le16(p->out + (old.data - p->out) - 2, (uint16_t)len);
	reverse(start, add);
	reverse(add, end);
	reverse(start, end);
	p->len--; /* the tag's byte is the last one now */
}

static void drop_value(struct summary_parser *p, struct bytes old)
{
	size_t from = (size_t)(old.data - p->out) - VALUE_HEAD, to = from + VALUE_HEAD + old.len;

	memmove(p->out + from, p->out + to, p->len - to);
	p->len -= (uint32_t)(to - from);
}

static void raw_end(struct summary_parser *p)
{
	uint8_t how = how_of(p->field);

	if (p->cut) {
		p->flags |= SUMMARY_CUT;
		if (how & ADDRESSES)
			p->len = p->value + (uint32_t)whole_addresses(p->out + p->value, p->len - p->value);
	}
	while (p->len > p->value && text_is(p->out[p->len - 1], TEXT_SPACE))
		p->len--;
	put_le16(p->out + p->value - 2, (uint16_t)(p->len - p->value));
	if (p->seen >> p->field & 1) {
		struct bytes old = summary_top_value(p, p->field);

		p->repeats++;
		if ((how & ADDRESSES) && old.len)
			join(p, old);
		else
			drop_value(p, old);
	}
}

/* Appends a value of a MIME field; what does not fit is left out whole. */
static void put_value(struct summary_parser *p, uint8_t tag, struct bytes value)
{
	if (room(p) < VALUE_HEAD + value.len) {
		p->flags |= SUMMARY_CUT;
		return;
	}
	p->out[p->len] = tag;
	put_le16(p->out + p->len + 1, (uint16_t)value.len);
	memcpy(p->out + p->len + VALUE_HEAD, value.data, value.len);
	p->len += VALUE_HEAD + (uint32_t)value.len;
}

static void put_params(struct summary_parser *p, struct mime_value *m, uint8_t tag)
{
	mime_params(m);
	if (m->cut)
		p->flags |= SUMMARY_CUT;
	for (unsigned i = 0; i < m->n;) {
		uint32_t start = p->len;
		size_t name_len;
		struct buf out;

		if (room(p) < VALUE_HEAD + 1) {
			p->flags |= SUMMARY_CUT;
			return;
		}
		buf_init(&out, p->out + start + VALUE_HEAD + 1, room(p) - VALUE_HEAD - 1);
		i = mime_param_put(m, i, &out, &name_len);
		if (out.overflow) {
			p->flags |= SUMMARY_CUT;
			continue;
		}
		p->out[start] = tag;
		put_le16(p->out + start + 1, (uint16_t)(out.len + 1));
		p->out[start + VALUE_HEAD] = (uint8_t)name_len;
		p->len += VALUE_HEAD + 1 + (uint32_t)out.len;
	}
}

static void mime_end(struct summary_parser *p)
{
	struct bytes word, subtype;
	struct mime_value m;
	bool last;

	if (p->cut)
		p->flags |= SUMMARY_CUT;
	mime_begin(&m, p->line, p->line_len);
	if (p->field == SUMMARY_TYPE) {
		/* Not of the form: the default of RFC 2045 section 5.2, but its
		 * parameters are kept, for "text; charset=..." and its like. */
		if (mime_type(&m, &word, &subtype)) {
			put_value(p, SUMMARY_TYPE, word);
			put_value(p, SUMMARY_SUBTYPE, subtype);
		}
		put_params(p, &m, TAG_TYPE_PARAM);
	} else if (mime_token(&m, &word, &last)) {
		if (p->field == SUMMARY_ENCODING) {
			if (!last || word.len == 0)
				return; /* not seen: a later one may be better */
			put_value(p, SUMMARY_ENCODING, word);
		} else {
			put_value(p, SUMMARY_DISPOSITION, word);
			put_params(p, &m, TAG_DISPOSITION_PARAM);
		}
	}
	p->seen |= 1u << p->field;
}

void summary_field_end(struct summary_parser *p)
{
	uint8_t field = p->field;

	if (field < SUMMARY_FIELDS) {
		if (field == SUMMARY_TYPE || field == SUMMARY_DISPOSITION || field == SUMMARY_ENCODING) {
			mime_end(p);
		} else {
			raw_end(p);
			p->seen |= 1u << field;
		}
	}
	p->field = FIELD_NONE;
}

void summary_header_end(struct summary_parser *p)
{
	bool message = (p->out[top(p) + PART_FLAGS] & PART_IS_MESSAGE) != 0;
	size_t at = top(p) + PART_END, to = at, end = p->len;
	struct bytes value;
	uint8_t tag;

	/* Without MIME-Version and Content-Type the message is not MIME, and its
	 * other Content- fields mean nothing (RFC 2045 section 4). */
	if (message && !p->mime) {
		for (size_t from = at; value_next(p->out, &at, end, &tag, &value); from = at) {
			if (tag >= SUMMARY_TYPE)
				continue;
			memmove(p->out + to, p->out + from, at - from);
			to += at - from;
		}
		p->len = (uint32_t)to;
	}
	put_le16(p->out + top(p) + PART_VALUES, (uint16_t)(p->len - top(p) - PART_END));
}
