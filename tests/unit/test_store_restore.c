/* A restore makes an empty store what a backup holds, whatever comes between, and
 * believes nothing that it says. What was is told by a dump through the public calls. */
#include "store_backup.h"

#include "base/le.h"
#include "store/backup_stream.h"

T_TEST(everything_comes_back)
{
	struct store_mailbox before[64], after;
	struct store_backup_progress progress;
	bool there[64] = { false };
	uint64_t identity;

	rig_start(&rig_config);
	fill_store();
	for (uint32_t id = 1; id < 64; id++)
		there[id] = store_mailbox_get(st, id, &before[id]) == OK;
	identity = store_identity(st);
	backup();
	store_backup_progress(st, &progress);
	T_EQ(progress.messages, 22);
	T_EQ(progress.lost, 0);
	dump(dumps[0]); /* the deleted mailbox is gone by now; it is in no backup */
	check_whole();
	store_close(st);

	restore_all("copy");
	T_BYTES(users_taken, strlen(users_taken), "first user;second user;");
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	T_OK(store_identity(st) == identity);
	check_whole();
	reopen("copy");
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	T_OK(store_identity(st) == identity);
	for (uint32_t id = 1; id < 64; id++)
		if (there[id]) {
			T_EQ(store_mailbox_get(st, id, &after), OK);
			T_OK(after.uidvalidity > 64 + before[id].uidvalidity);
		}
	store_close(st);
}

/* ---- what may be wrong with it ---- */

T_TEST(a_part_of_it_is_no_backup)
{
	make_stream();
	T_EQ(restore_begin("cut"), OK);
	T_EQ(restore_bytes(stream, stream_len - 1), OK);
	T_EQ(restore_end(false), E_CLOSED);
	T_BYTES(store_restore_result(restore)->why, strlen(store_restore_result(restore)->why),
		"the backup is cut off: its end is missing");
	reopen("mail");
	store_close(st);
	/* It is not served; with the whole of it it is. */
	{
		struct store_config config = into("cut");

		config.restore = false;
		T_EQ(rig_open(&config), E_STATE);
		T_OK(strstr(rig_reason, "cubby restore"));
	}
	restore_all("cut");
	T_OK(store_restore_result(restore)->resumed);
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	/* Or what came is taken as it is. */
	store_close(st);
	T_EQ(restore_begin("part"), OK);
	T_EQ(restore_bytes(stream, stream_len - 1000), OK);
	T_EQ(restore_end(true), OK);
	T_OK(!store_restore_result(restore)->complete);
	T_EQ(store_restore_result(restore)->messages, 21);
	check_whole();
	reopen("part");
	store_close(st);
}

T_TEST(damage_is_seen_wherever_it_is)
{
	size_t taken;

	make_stream();
	for (unsigned i = 0; i < 400; i++) {
		size_t at = i < 100 ? i * 8 : (size_t)sim_random(stream_len);
		uint8_t bit = (uint8_t)(1u << sim_random(8));
		int err;

		arena_init(&rig_arena, rig_space, sizeof rig_space);
		T_EQ(store_restore_begin(&restore, &rig_arena, NULL, &target), OK);
		users_taken[0] = 0;
		stream[at] ^= bit;
		err = store_restore_write(restore, stream, stream_len, &taken);
		stream[at] ^= bit;
		T_OK(err == E_DAMAGED || err == E_NOTSUP || (err == OK && !store_restore_result(restore)->complete));
	}
	arena_init(&rig_arena, rig_space, sizeof rig_space);
	T_EQ(store_restore_begin(&restore, &rig_arena, NULL, &target), OK);
	users_taken[0] = 0;
	T_EQ(store_restore_write(restore, stream, stream_len, &taken), OK);
	T_EQ(store_restore_end(restore, false), OK);
	T_EQ(store_restore_result(restore)->messages, 22);
	T_EQ(store_restore_result(restore)->entries, 24);
	T_EQ(store_restore_write(restore, "x", 1, &taken), E_DAMAGED);
}

static uint8_t made[sizeof stream];

/* The stream with some records changed, left out or twice, all of them with good
 * checksums. */
static size_t make_hostile(unsigned one_of)
{
	size_t from = 0, to = 0;
	uint64_t number = 0, id = le64(stream + BACKUP_HEADER + 16);

	while (from < stream_len) {
		uint8_t *record = made + to;
		size_t len = BACKUP_HEADER + (size_t)backup_length(stream + from);
		uint64_t chance = from ? sim_random(one_of) : sim_random(10 * one_of) + 4;

		memcpy(record, stream + from, len);
		if (chance < 3 && len > BACKUP_HEADER)
			for (unsigned i = 0; i < 3; i++)
				record[BACKUP_HEADER +
					sim_random(len - BACKUP_HEADER < 40 ? len - BACKUP_HEADER : 40)] ^=
					(uint8_t)(1u << sim_random(8));
		if (chance == 4 && sim_random(4) == 0)
			record[0] = (uint8_t)(BACKUP_HEAD + sim_random(BACKUP_END));
		if (chance == 5 && len > BACKUP_HEADER)
			len -= sim_random(len - BACKUP_HEADER);
		backup_seal(record, record[0], len - BACKUP_HEADER, id, number);
		if (chance != 6)
			from += BACKUP_HEADER + (size_t)backup_length(stream + from);
		if (chance != 7) {
			to += len;
			number++;
		}
	}
	return to;
}

/* Whatever somebody writes into a backup: an error or a store, in bounded time. */
T_TEST(nothing_in_it_is_trusted)
{
	struct sim_image *image;
	unsigned taken_whole = 0, refused = 0;

	make_stream();
	image = sim_image_save();
	for (unsigned i = 0; i < 400; i++) {
		size_t len = make_hostile(i % 2 ? 100 : 1000);
		struct store_config config = into("copy");
		uint64_t cursor = 0;
		int err;

		sim_image_load(image);
		T_EQ(restore_begin("copy"), OK);
		err = restore_bytes(made, len);
		if (err == OK)
			err = restore_end(true);
		taken_whole += err == OK;
		refused += err != OK;
		T_OK(!store_read_only(st));
		store_close(st);
		T_EQ(rig_open(&config), OK);
		if (err == OK)
			while (store_check(st, &cursor, NULL, NULL) == E_AGAIN)
				;
		store_close(st);
	}
	sim_image_free(image);
	if (taken_whole < 10 || refused < 50)
		T_FAIL("%u taken, %u refused", taken_whole, refused);
}

T_TEST(only_an_empty_store_with_room_is_restored)
{
	struct store_config config = into("small");
	size_t taken;

	make_stream();
	T_EQ(restore_begin("mail"), OK);
	T_EQ(store_restore_write(restore, stream, stream_len, &taken), E_STATE);
	T_OK(strstr(store_restore_result(restore)->why, "not empty"));
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	store_close(st);
	/* A backup of a larger store. */
	start_busy(1500);
	backup();
	store_close(st);
	T_EQ(rig_open(&config), OK);
	T_EQ(store_restore_begin(&restore, &rig_arena, st, &target), OK);
	T_EQ(store_restore_write(restore, stream, stream_len, &taken), E_FULL);
	T_OK(strstr(store_restore_result(restore)->why, "`storage`"));
	T_EQ(st->super.restoring, 0);
	store_close(st);
}

/* What is damaged in the store is told, and nothing else is lost. */
T_TEST(a_damaged_message_is_told)
{
	struct store_entry e;
	struct object o;
	char name[64];

	rig_start(&rig_config);
	fill_store();
	T_EQ(store_entry_get(st, inbox, 3, &e), OK);
	T_EQ(object_load(st, e.object, &o), OK);
	(void)snprintf(name, sizeof name, "mail/%08x.seg", (unsigned)o.segment);
	T_OK(sim_flip_bit(name, o.offset * 64 + 64 + o.body_len + 100, 3));
	backup();
	store_close(st);
	lost_uid = 0;
	restore_all("copy");
	T_EQ(store_restore_result(restore)->lost, 1);
	T_EQ(store_restore_result(restore)->messages, 21);
	T_EQ(lost_mailbox, inbox);
	T_EQ(lost_uid, 3);
	T_EQ(store_entry_get(st, inbox, 3, &e), E_NOENT);
	check_whole();
}

/* A summary can be made anew from the message. */
T_TEST(a_damaged_summary_costs_no_message)
{
	struct store_entry e;
	struct object o;
	char name[64];

	rig_start(&rig_config);
	fill_store();
	(void)rig_upkeep(10000);
	dump(dumps[0]);
	T_EQ(store_entry_get(st, inbox, 3, &e), OK);
	T_EQ(object_load(st, e.object, &o), OK);
	(void)snprintf(name, sizeof name, "mail/%08x.seg", (unsigned)o.segment);
	T_OK(sim_flip_bit(name, o.offset * 64 + 64 + o.body_len - 3, 3));
	backup();
	store_close(st);
	restore_all("copy");
	T_EQ(store_restore_result(restore)->lost, 0);
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	check_whole();
}

/* A restored store can be backed up as any other, and no UIDVALIDITY comes again,
 * not even when one backup is restored twice. */
T_TEST(generations)
{
	struct store_mailbox m[3];
	uint64_t identity, next[3];

	rig_start(&rig_config);
	fill_store();
	(void)rig_upkeep(10000);
	dump(dumps[0]);
	identity = store_identity(st);
	backup();
	store_close(st);
	for (unsigned i = 0; i < 2; i++) {
		restore_all(i ? "second" : "first");
		T_EQ(store_mailbox_get(st, inbox, &m[i]), OK);
		next[i] = st->super.next_object;
		if (i)
			backup();
		store_close(st);
	}
	restore_all("third");
	T_EQ(store_mailbox_get(st, inbox, &m[2]), OK);
	next[2] = st->super.next_object;
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	T_OK(store_identity(st) == identity);
	T_OK(m[0].uidvalidity != m[1].uidvalidity && m[2].uidvalidity > m[1].uidvalidity);
	T_OK(next[0] != next[1] && next[2] > next[1]);
}

/* A message that more entries show than one record takes. */
T_TEST(many_may_show_one_message)
{
	rig_start(&rig_config);
	inbox = rig_mailbox("INBOX");
	(void)rig_add(inbox, 1, 3000);
	for (unsigned i = 0; i < 100; i++) {
		struct store_copy copy;
		uint32_t uid = 1;
		size_t added;
		store_ticket t;

		T_EQ(store_copy_begin(st, inbox, &copy), OK);
		T_EQ(store_copy_add(st, &copy, inbox, &uid, 1, &added, &t), OK);
		rig_commit();
		T_EQ(store_copy_publish(st, &copy, &t), OK);
		rig_commit();
	}
	dump(dumps[0]);
	backup();
	T_OK(stream_len < 20000);
	store_close(st);
	restore_all("copy");
	dump(dumps[1]);
	same(dumps[0], dumps[1]);
	check_whole();
	reopen("copy");
	check_whole();
}

/* A disk that fills in the middle: nothing is left out in silence. */
T_TEST(a_full_disk)
{
	struct sim_image *image;
	unsigned refused = 0;

	make_stream();
	image = sim_image_save();
	for (uint64_t room = 300000; room < 3000000; room += 12288) {
		int err;

		sim_image_load(image);
		sim_disk(PORT_FS_OTHER, sim_charged("mail") + room);
		err = restore_begin("copy");
		if (err == OK)
			err = restore_bytes(stream, stream_len);
		if (err == OK)
			err = restore_end(false);
		if (err != OK)
			T_OK(err == E_NOSPC || err == E_FULL || err == E_READONLY || err == E_IO);
		refused += err != OK;
		sim_kill();
		sim_disk(PORT_FS_OTHER, 0);
		if (err != OK) {
			restore_all("copy");
		} else {
			struct store_config config = into("copy");

			rig_again(&config);
		}
		dump(dumps[1]);
		same(dumps[0], dumps[1]);
		check_whole();
	}
	sim_image_free(image);
	T_OK(refused > 5);
}

/* ---- cuts ---- */

static void restore_body(void *context)
{
	(void)context;
	restore_all("copy");
}

/* The power is cut at every operation of a restore; the next one finishes it. */
T_TEST(a_restore_may_be_cut_anywhere)
{
	unsigned cuts = 0, twice = 0, refused = 0, by_kind[SIM_OP_COUNT] = { 0 };

	make_stream();
	for (uint64_t n = 1;; n++) {
		struct sim_image *image = sim_image_save();
		struct store_config config = into("copy");
		enum sim_end end;

		sim_cut_at(n);
		end = sim_run(restore_body, NULL);
		if (end == SIM_DONE) {
			sim_image_free(image);
			break;
		}
		cuts++;
		by_kind[sim_cut_kind()]++;
		sim_power_cut(n % 3 ? &sim_mixed : &sim_lose_all);
		/* Once more while it goes on. */
		if (n % 2) {
			sim_cut_at(1 + sim_random(60));
			if (sim_run(restore_body, NULL) == SIM_CUT) {
				sim_power_cut(n % 4 == 1 ? &sim_mixed : &sim_garbage);
				twice++;
			} else {
				sim_cut_at(0);
				sim_image_load(image);
			}
		}
		/* Half a store is not served: it is empty, or all of it is there. */
		config.restore = false;
		if (rig_open(&config) != OK) {
			refused++;
			restore_all("copy");
		} else if (st->super.messages == 0) {
			store_close(st);
			restore_all("copy");
		}
		dump(dumps[1]);
		same(dumps[0], dumps[1]);
		check_whole();
		sim_image_load(image);
		sim_image_free(image);
	}
	printf("# cuts in a restore:");
	for (unsigned i = SIM_OP_WRITE; i <= SIM_OP_MKDIR; i++)
		printf(" %s %u", sim_op_name((enum sim_op)i), by_kind[i]);
	printf("\n");
	T_OK(by_kind[SIM_OP_WRITE] && by_kind[SIM_OP_SYNC] && by_kind[SIM_OP_SYNC_DIR] && by_kind[SIM_OP_CREATE]);
	T_OK(cuts > 30);
	T_OK(refused > 10);
	T_OK(twice > 10);
}

T_MAIN(T_RUN(everything_comes_back) T_RUN(a_part_of_it_is_no_backup) T_RUN(damage_is_seen_wherever_it_is) T_RUN(
	nothing_in_it_is_trusted) T_RUN(only_an_empty_store_with_room_is_restored) T_RUN(a_damaged_message_is_told)
		T_RUN(a_damaged_summary_costs_no_message) T_RUN(generations) T_RUN(many_may_show_one_message)
			T_RUN(a_full_disk) T_RUN(a_restore_may_be_cut_anywhere))
