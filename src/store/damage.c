/* Messages that were found damaged when somebody wanted to read them: logged and
 * kept for being told, each once. */
#include "store/store_int.h"

#include "base/log.h"

void damage_note(struct store *st, uint64_t id)
{
	st->damaged++;
	for (unsigned i = 0; i < st->damage.n; i++)
		if (st->damage.objects[i] == id)
			return;
	if (st->damage.n < STORE_DAMAGED_KEPT)
		st->damage.objects[st->damage.n++] = id;
	log_error("store: message %llu fails its checksum; `cubby check` tells which one it is",
		(unsigned long long)id);
}

unsigned store_damaged_count(const struct store *st)
{
	return st->damage.n;
}

int store_damaged(struct store *st, unsigned n, struct store_shown *out)
{
	struct object o;
	int err;

	if (n >= st->damage.n)
		return E_NOENT;
	*out = (struct store_shown){ .object = st->damage.objects[n] };
	err = object_load(st, out->object, &o);
	if (err == OK)
		err = reference_next(st, out->object, &o, &out->mailbox, &out->uid);
	return err == E_NOENT ? E_GONE : err;
}
