/* What the store has promised, in plain arrays: the oracle of the simulation.
 *
 * Every change that the store took is an op, in the order in which the store
 * took them. `durable` is the state that was acknowledged, `live` what a session
 * must see now, and the ops between the two wait in a list. Whatever happens,
 * the store must come back as `durable` plus the first k of these ops, for some
 * k: at most a suffix is missing, there is no hole, and no op is half there.
 * MODSEQs, UIDs, UIDNEXT and HIGHESTMODSEQ are part of the state, predicted to
 * the number. */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define M_BOXES 32
#define M_ENTRIES 360
#define M_KEYWORDS 12
#define M_NAME 64
#define M_SUBS 12
#define M_OPS 700
#define M_AUX 4000
#define M_OWNERS 3 /* 1 and 2; 0 is nobody */

struct m_entry {
	uint32_t uid, content, size; /* content: what its bytes are made of */
	uint8_t flags;
	int16_t zone;
	uint64_t keywords, modseq, arrival;
	int64_t received;
};

struct m_box {
	bool used;
	uint8_t uses;
	uint32_t id, uidvalidity; /* 0: nobody was told yet */
	uint32_t owner, uidnext, recent;
	uint64_t modseq;
	char name[M_NAME];
	unsigned n_keywords, n;
	char keywords[M_KEYWORDS][16];
	struct m_entry e[M_ENTRIES]; /* by uid */
};

struct m_sub {
	uint32_t owner; /* 0: free */
	char name[M_NAME];
};

struct m_state {
	struct m_box box[M_BOXES];
	struct m_sub sub[M_SUBS];
};

enum m_kind {
	M_MESSAGE,
	M_FLAGS,
	M_EXPUNGE,
	M_MOVE,
	M_PUBLISH,
	M_CREATE,
	M_DELETE,
	M_RENAME,
	M_USES,
	M_SUBSCRIBE,
	M_KEYWORD,
	M_RECENT,
	M_FORGET,
	M_EVICT
};

struct m_target {
	unsigned box;
	uint32_t uid;
	uint8_t flags;
	uint64_t keywords;
	int64_t received;
	int16_t zone;
};

struct m_made {
	unsigned box;
	uint32_t id; /* 0: not known yet */
	uint8_t uses;
	char name[M_NAME];
};

struct m_op {
	enum m_kind kind;
	uint64_t lsn;
	unsigned box, to;
	uint32_t owner, first, end;
	uint8_t how, flags;
	uint64_t keywords;
	uint8_t map[M_KEYWORDS]; /* M_MOVE: keyword here to keyword there */
	uint32_t uids[STORE_UIDS];
	unsigned n_uids, n_targets, n_made, n_aux, aux;
	struct m_target targets[4];
	uint32_t content, size;
	struct m_made made[6];
	char name[M_NAME];
	bool guess; /* the LSN is only known to be at least this */
	bool lost; /* the store said that it did not come to be */
};

struct model {
	struct m_state durable, live, scratch;
	struct m_op ops[M_OPS];
	unsigned n_ops, n_live; /* staged; of these applied to live */
	struct m_entry aux[M_AUX]; /* entries of published copies */
	unsigned n_aux;
	uint64_t told_lsn;      /* no LSN up to here may come again */
	uint32_t told_mailbox, told_uidvalidity;
	uint32_t contents;      /* the last content that was made */
};

void model_init(struct model *m);

/* A new op behind the others, to be filled in. */
struct m_op *model_op(struct model *m, enum m_kind kind, uint64_t lsn);
/* Applies ops to live: all that are staged. */
void model_apply(struct model *m);
/* All that was staged is durable and told. */
void model_told(struct model *m);

/* Index of a box by name, or -1. */
int state_find(const struct m_state *s, uint32_t owner, const char *name);
struct m_entry *box_entry(struct m_box *b, uint32_t uid);
/* A box index that no state and no op uses; -1: none. */
int model_free_box(const struct model *m);
/* Whether an op that waits deletes or renames this box, or touches it at all. */
bool model_box_busy(const struct model *m, unsigned box);
void state_apply(struct m_state *s, const struct model *m, const struct m_op *op);

/* What is different, as a sentence; NULL when the states are equal. Ids and
 * UIDVALIDITYs that a does not know are not compared. */
const char *state_differs(const struct m_state *a, const struct m_state *b);

/* The bytes of a message: n of them from offset on. */
void content_put(uint32_t content, uint64_t offset, uint8_t *out, size_t n);
const char *content_differs(uint32_t content, uint64_t offset, const uint8_t *data, size_t n);
/* Its summary, of up to 300 bytes: the length. */
size_t content_summary(uint32_t content, uint8_t *out);

#endif
