/* The whole server on the simulated box, its clients, and what it has promised
 * to them. Everything a seed does stands in `world`; the clients move while the
 * server waits in port_wait. */
#ifndef TESTS_SIM_SERVER_SIM_H
#define TESTS_SIM_SERVER_SIM_H

#include "base/err.h"
#include "port/sim/sim.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USERS_MOST 3
#define BOXES 4 /* mailboxes of a user that clients work in */
#define IMAP_CLIENTS 6
#define LMTP_CLIENTS 2
enum { BOX_INBOX, BOX_ARCHIVE, BOX_TRASH, BOX_JUNK };
#define FLAGS_N 6 /* five of the system and a keyword */
enum { F_SEEN = 1, F_ANSWERED = 2, F_FLAGGED = 4, F_DELETED = 8, F_DRAFT = 16, F_WORD = 32, F_ALL = 63 };

#define IMAP_PORT 143
#define LMTP_PORT 24
#define CONTROL_PATH "/run/cubby.sock"

/* ---- truth: what the server has promised (server_truth.c) ---- */

/* A message in a mailbox, as far as anybody was told of it. */
struct fact {
	uint32_t uid, content; /* content 0: not known yet */
	uint8_t zero, one; /* which flags may be unset, may be set */
	uint8_t base_zero, base_one; /* the same when the epoch or the message began */
	uint8_t flying[FLAGS_N]; /* commands under way that change the flag */
	uint64_t touched[FLAGS_N], settled[FLAGS_N]; /* when such a command was sent and answered last */
	uint64_t modseq; /* highest that was told, and the flags with it */
	uint8_t modseq_flags;
	bool gone; /* somebody was told that it is gone */
	bool expunging; /* a command may remove it for good */
	uint32_t moving; /* acts that may move it away */
	uint64_t born; /* when it was first told of */
	uint8_t hold; /* F_... of `seen` by the audit under way */
	uint32_t shown; /* the content that the audit under way saw */
	bool seen;
	bool explained; /* it is known by which act it came */
};

struct mailbox {
	unsigned user;
	const char *name;
	uint32_t uidvalidity, uidnext, floor; /* told; floor: UIDNEXT at the last audit */
	uint64_t modseq; /* highest HIGHESTMODSEQ told */
	struct fact *facts;
	unsigned n, cap;
};

enum act_kind { ACT_APPEND, ACT_DELIVER, ACT_FLAGS, ACT_EXPUNGE, ACT_COPY, ACT_MOVE };
enum act_end { ACT_OPEN, ACT_OK, ACT_NO, ACT_LOST };

/* A message that a command may bring into a mailbox. */
struct birth {
	unsigned act, box;
	uint32_t content, from_uid; /* of a copy: where it came from */
	unsigned from_box;
	bool told; /* its UID is known: it is a fact */
	bool required, barred; /* set by the audit: it must or can't be there */
};

/* One flag change of one message by one act. */
struct stroke {
	unsigned act, box;
	uint32_t uid;
	uint8_t set, clear;
	bool vague; /* it may have been left out */
};

struct act {
	enum act_kind kind;
	enum act_end end;
	unsigned box, to;
	uint64_t sent, answered; /* ticks */
	uint64_t answered_us;
	bool lazy; /* its flag changes may wait for their sync */
	bool strict; /* its effect is durable when it was answered */
	uint32_t *sure; /* UIDs that are gone when it was answered OK */
	unsigned sure_n;
};

void truth_reset(void);
struct fact *truth_fact(unsigned box, uint32_t uid);
/* A UID that somebody was told; makes the fact when there is none. */
struct fact *truth_told(unsigned box, uint32_t uid);
unsigned truth_act(enum act_kind kind, unsigned box, bool lazy);
struct act *act_of(unsigned act);
void truth_end(unsigned act, enum act_end end);
void truth_birth(unsigned act, unsigned box, uint32_t content, unsigned from_box, uint32_t from_uid);
/* A birth of that act (content, or the message it was copied from) has this UID. */
void truth_born(unsigned act, uint32_t content, uint32_t from_uid, uint32_t uid, uint8_t flags);
void truth_stroke(unsigned act, uint32_t uid, uint8_t set, uint8_t clear, bool vague);
void truth_vague(unsigned act);
void truth_leaving(unsigned act, uint32_t uid, bool sure);
/* What may go without anybody's command: what the policy allows, and the
 * server's own notices. What is surely flagged or a draft stays, as does what lies
 * in Archive or is surely unseen in INBOX. */
bool truth_may_evict(unsigned box, const struct fact *f);
void truth_gone(unsigned box, uint32_t uid);
void truth_uidnext(unsigned box, uint32_t uidnext);
void truth_modseq(unsigned box, uint64_t modseq);
void truth_seen_flags(unsigned box, uint32_t uid, uint8_t flags, uint64_t modseq, uint64_t asked);
void truth_content(unsigned box, uint32_t uid, uint32_t content);

/* What an audit saw of a mailbox. */
struct sight {
	unsigned number;
	uint32_t uid, content;
	uint8_t flags;
	uint64_t modseq;
};
struct audit_box {
	uint32_t uidvalidity, uidnext, exists;
	uint64_t modseq;
	struct sight *s;
	unsigned n, cap;
};
/* What all boxes look like; `dead`: the server died since the last audit, at
 * died_us. Fails when a promise was broken; afterwards this is the truth. */
void truth_audit(struct audit_box *boxes, bool dead, uint64_t died_us);

/* ---- messages made of a number (server_wire.c) ---- */

/* What is not made of a number: the server's own notices. */
#define CONTENT_SERVERS 0x80000000u

/* The bytes of message `content`; valid until the next call. */
const char *content_text(uint32_t content, size_t *len);
/* Fails unless these are the bytes of a message that is known; its number. */
uint32_t content_verify(const char *data, size_t len);

/* ---- wire: lines and literals (server_wire.c) ---- */

struct wire {
	sim_client client; /* 0: not connected */
	bool stalled; /* reads nothing */
	char *in, *out;
	size_t in_len, in_cap, out_len, out_cap, used;
};
bool wire_connect(struct wire *w, uint16_t port);
void wire_send(struct wire *w, const char *data, size_t len);
void wire_say(struct wire *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Moves bytes both ways. False when the connection is over and all that came
 * has been taken. */
bool wire_move(struct wire *w, bool *moved);
/* The next whole response (with its literals), without its line end; NULL. */
char *wire_response(struct wire *w, size_t *len);
char *wire_line(struct wire *w, size_t *len);
bool wire_sent(const struct wire *w);
void wire_close(struct wire *w);
void wire_reset(struct wire *w);

/* A FETCH response. */
struct fetched {
	uint32_t number, uid, size;
	uint8_t flags;
	bool has_flags;
	uint64_t modseq;
	const char *body; /* of BODY[...], as it came */
	size_t body_len;
	bool whole; /* BODY[] without a range */
};
bool fetch_read(const char *line, size_t len, struct fetched *f);
uint8_t flags_read(const char *text, const char *end);
void flags_put(uint8_t flags, char out[80]);

/* ---- clients ---- */

/* Each moves as far as it can; true when something happened. */
void imap_reset(unsigned n);
bool imap_move(unsigned n);
bool imap_quiet(unsigned n); /* nothing is under way */
bool imap_settled(unsigned n); /* has also looked for news since `calm` began */
const char *imap_state(unsigned n);
void imap_died(unsigned n); /* the server has: nothing more will come */
/* Each must know what an audit saw that nobody died before. */
void imap_compare(const struct audit_box *boxes);
void imap_unsettle(void);
void imap_fault(unsigned n);
void imap_cure(unsigned n);
void imap_leave(unsigned n); /* close the connection now */

void lmtp_reset(unsigned n);
bool lmtp_move(unsigned n);
bool lmtp_quiet(unsigned n);
void lmtp_died(unsigned n);
const char *lmtp_state(unsigned n);
void lmtp_fault(unsigned n);
void lmtp_cure(unsigned n);
void lmtp_leave(unsigned n);

/* The audit: a client that reads everything (server_audit.c). */
void audit_reset(void);
void audit_begin(bool bodies);
bool audit_move(void);
bool audit_done(void);
void audit_died(void);
struct audit_box *audit_boxes(void);
/* How many units of its pools the server had in use, by the control socket. */
void audit_status_begin(void);
bool audit_status_done(void);
const char *audit_status(void);

/* ---- world ---- */

enum mode { MODE_WORK, MODE_FINISH, MODE_NEWS, MODE_AUDIT, MODE_LEAVE, MODE_STATUS, MODE_OVER };

/* What the last cut hit. */
enum cut_place {
	AT_LOG,
	AT_LARGE, /* a large message's file */
	AT_CHECKPOINT, /* index and superblocks */
	AT_RESERVE,
	AT_OTHER, /* between two operations, the directory, the users file */
	PLACES_N
};

/* All of them uint64_t: they are added up over processes. */
struct sums {
	uint64_t seeds, boots, cuts[SIM_OP_COUNT][PLACES_N], cuts_starting, kills, stops, calms, audits;
	uint64_t io_faults, disk_full, resets, stalls, clocks;
	uint64_t commands, deliveries, refused_full, failed, evicted, seconds;
};

struct world {
	uint64_t seed, random;
	unsigned users, imaps, lmtps;
	uint64_t storage, flag_delay_us;
	uint32_t contents, message_most;
	enum mode mode;
	uint64_t tick, work_left, mode_since_us;
	uint64_t barrier; /* when the last durable change that was answered had been sent */
	bool faulty; /* the device fails now or did since the last boot */
	bool was_faulty; /* it did before the last death */
	bool evict; /* the server may let old mail go */
	bool hungry; /* the store was full: clients delete more */
	struct mailbox box[USERS_MOST * BOXES];
	bool condstore[IMAP_CLIENTS];
	uint64_t hash; /* of everything that clients received and sent */
	uint64_t storage_worst;
	struct sums *sums;
};
extern struct world world;

/* The whole life of a seed. */
void live(uint64_t seed);
/* Users with the password "geheim"; runs inside the simulation. */
bool world_add_users(const char *file, const char *const *names, unsigned n);

uint64_t rnd(uint64_t limit);
bool percent(unsigned n);
void note(const void *data, size_t len); /* into the hash */
void wake_in(uint64_t us);
_Noreturn void broken(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern const char *const box_names[BOXES];
extern const char *const user_names[USERS_MOST];

#endif
