/* Names of the store's files, and a small cache of handles for reading. */
#include "store/store_int.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

void files_name(const struct store *st, const char *name, char *out)
{
	(void)snprintf(out, PORT_PATH_MAX, "%s/%s", st->dir, name);
}

bool files_number(const char *name, const char *ending, uint64_t *number)
{
	uint64_t n = 0;
	size_t i = 0;

	for (; name[i] && name[i] != '.'; i++) {
		int digit = text_hex((uint8_t)name[i]);

		if (digit < 0 || i == 16)
			return false;
		n = n << 4 | (unsigned)digit;
	}
	*number = n;
	return i > 0 && strcmp(name + i, ending) == 0;
}

void files_parent(const struct store *st, char *out)
{
	size_t n = strlen(st->dir);

	while (n > 1 && st->dir[n - 1] == '/')
		n--;
	while (n > 0 && st->dir[n - 1] != '/')
		n--;
	if (n > 1)
		n--;
	memcpy(out, n ? st->dir : ".", n ? n : 1);
	out[n ? n : 1] = 0;
}

void files_segment_name(const struct store *st, uint32_t id, char *out)
{
	(void)snprintf(out, PORT_PATH_MAX, "%s/%08lx.seg", st->dir, (unsigned long)id);
}

void files_blob_name(const struct store *st, uint64_t id, char *out)
{
	(void)snprintf(out, PORT_PATH_MAX, "%s/%016llx.msg", st->dir, (unsigned long long)id);
}

static void file_name(const struct store *st, bool blob, uint64_t id, char *out)
{
	if (blob)
		files_blob_name(st, id, out);
	else
		files_segment_name(st, (uint32_t)id, out);
}

port_file files_open(struct store *st, bool blob, uint64_t id)
{
	char name[PORT_PATH_MAX];
	struct handle *oldest = &st->handles[0];

	for (unsigned i = 0; i < HANDLES; i++) {
		struct handle *h = &st->handles[i];

		if (h->file >= 0 && h->blob == blob && h->id == id) {
			h->used = ++st->handle_clock;
			return h->file;
		}
		if (oldest->file >= 0 && (h->file < 0 || h->used < oldest->used))
			oldest = h;
	}
	if (oldest->file >= 0)
		port_close(oldest->file);
	file_name(st, blob, id, name);
	*oldest = (struct handle){ port_open(name, PORT_READ), blob, id, ++st->handle_clock };
	return oldest->file;
}

void files_forget(struct store *st, bool blob, uint64_t id)
{
	for (unsigned i = 0; i < HANDLES; i++) {
		struct handle *h = &st->handles[i];

		if (h->file < 0 || h->blob != blob || h->id != id)
			continue;
		port_close(h->file);
		h->file = -1;
	}
}

/* What a file is charged with when the store is opened. */
static uint64_t measure(const char *name)
{
	port_file f = port_open(name, PORT_READ);
	int64_t size = f < 0 ? 0 : port_size(f), allocated = f < 0 ? 0 : port_allocated(f);

	port_close(f);
	size = size > allocated ? size : allocated;
	return size > 0 ? ((uint64_t)size + 4095) & ~UINT64_C(4095) : 0;
}

int files_remove(struct store *st, bool blob, uint64_t id, uint64_t charged)
{
	char name[PORT_PATH_MAX];
	int err;

	files_forget(st, blob, id);
	/* A rebuild may be done again: until it is complete nothing goes. */
	if (st->rebuild || (blob && backup_holds_file(st, id)))
		return OK;
	file_name(st, blob, id, name);
	if (charged == FILES_MEASURE)
		charged = measure(name);
	err = port_remove(name);
	if (err == OK) {
		st->unlinks_pending = true;
		space_charge(st, -(int64_t)charged);
	}
	return err == E_NOENT ? OK : err;
}

int files_sync_dir(struct store *st)
{
	int err = port_sync_dir(st->dir);

	st->unlinks_pending &= err != OK;
	/* No later sync makes up for it: removed files may come back, whatever their number. */
	if (err != OK) {
		st->names_lost++;
		st->swept = false;
		st->super.orphan_from = 1;
	}
	return err;
}

int files_before_create(struct store *st)
{
	return st->unlinks_pending ? files_sync_dir(st) : OK;
}
