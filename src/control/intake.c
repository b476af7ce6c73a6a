#include "control/intake.h"

#include "base/err.h"
#include "view/mailboxes.h"

void intake_init(struct intake *k, const struct intake_place *place)
{
	*k = (struct intake){ .place = place };
}

/* OK once the ticket is durable; the error by which it was lost. */
static int ticket_done(struct intake *k)
{
	int err = k->ticket ? store_ticket_result(k->place->store, k->ticket) : OK;

	if (err != E_AGAIN)
		k->ticket = 0;
	return err;
}

/* Makes what is missing: E_AGAIN, and the next call finds it when it is durable. */
static int made(struct intake *k, int err)
{
	if (err == E_EXIST) /* somebody else is making it in this turn */
		return E_AGAIN;
	if (err == OK)
		return k->ticket ? E_AGAIN : E_STATE;
	return err;
}

static int find_mailbox(struct intake *k, const struct intake_request *request)
{
	struct store *st = k->place->store;
	struct bytes name = request->mailbox.len ? request->mailbox : bytes_of("INBOX");
	uint32_t inbox;
	int err = store_mailbox_find(st, k->owner, bytes_of("INBOX"), &inbox);

	if (err == E_NOENT)
		return made(k, mailboxes_ensure_user(st, k->owner, &k->ticket));
	if (err != OK)
		return err;
	err = store_mailbox_find(st, k->owner, name, &k->target.mailbox);
	if (err == E_NOENT && request->create)
		return made(k, store_mailbox_create(st, k->owner, name, 0, &k->target.mailbox, &k->ticket));
	return err;
}

/* E_AGAIN: a new keyword waits for the store; later names are found again then. */
static int find_keywords(struct intake *k, struct bytes names)
{
	k->target.keywords = 0;
	k->keywords_lost = 0;
	while (names.len) {
		size_t comma = bytes_index(names, ',');
		unsigned bit;
		int err = store_keyword(k->place->store, k->target.mailbox, bytes_part(names, 0, comma), true, &bit);

		if (err == OK)
			k->target.keywords |= (uint64_t)1 << bit;
		else if (err == E_LIMIT)
			k->keywords_lost++;
		else
			return err;
		names = bytes_part(names, comma + 1, names.len);
	}
	return OK;
}

static int has_room(struct intake *k, uint64_t size)
{
	struct store *st = k->place->store;

	return k->spare ? store_room_spare(st, k->owner, size) : store_room(st, k->owner, size);
}

int intake_begin(struct intake *k, const struct intake_request *request)
{
	struct account_user user;
	int err = ticket_done(k);

	if (err == OK)
		err = account_find(k->place->accounts, request->user, &user);
	if (err != OK)
		return err;
	k->owner = user.id;
	k->spare = request->spare;
	err = has_room(k, request->size);
	if (err == OK)
		err = find_mailbox(k, request);
	if (err == OK)
		err = find_keywords(k, request->keywords);
	if (err != OK)
		return err;
	/* Its size with CRLF line ends is not known: 0. */
	err = arrival_begin(k->place->arrivals, 0, true, &k->arrival);
	if (err != OK)
		return err;
	if (k->spare)
		arrival_spare(k->arrival);
	k->target.flags = request->flags;
	k->target.received = request->received.seconds;
	k->target.zone = (int16_t)request->received.zone;
	return OK;
}

int intake_write(struct intake *k, const void *data, size_t len)
{
	return arrival_write(k->arrival, data, len);
}

int intake_end(struct intake *k)
{
	int err = has_room(k, arrival_size(k->arrival));

	if (err == OK)
		err = arrival_commit(k->arrival, &k->target, 1, &k->ticket);
	if (err == OK)
		k->arrival = NULL;
	return err;
}

void intake_abort(struct intake *k)
{
	if (k->arrival)
		arrival_abort(k->arrival);
	k->arrival = NULL;
	k->ticket = 0;
}

static const struct {
	char letter;
	uint8_t flag;
} flag_letters[] = {
	{ 'D', STORE_DRAFT },
	{ 'F', STORE_FLAGGED },
	{ 'R', STORE_ANSWERED },
	{ 'S', STORE_SEEN },
	{ 'T', STORE_DELETED },
};

#define FLAG_LETTERS (sizeof flag_letters / sizeof flag_letters[0])

uint8_t intake_flag(char letter)
{
	for (size_t i = 0; i < FLAG_LETTERS; i++)
		if (flag_letters[i].letter == letter)
			return flag_letters[i].flag;
	return 0;
}

size_t intake_flag_letters(uint8_t flags, char out[8])
{
	size_t n = 0;

	for (size_t i = 0; i < FLAG_LETTERS; i++)
		if (flags & flag_letters[i].flag)
			out[n++] = flag_letters[i].letter;
	return n;
}
