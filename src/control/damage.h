/* Damage is told: one notice to the first administrator about the messages that
 * were found damaged when somebody read them (store_damaged), in place of the one
 * before. What was found in the first seconds comes in the same one. */
#ifndef CONTROL_DAMAGE_H
#define CONTROL_DAMAGE_H

#include "control/eviction.h"
#include "control/notice.h"

/* Kept by the server; set up with all but the last two. */
struct damage {
	struct store *store;
	struct accounts *accounts;
	struct notices *notices;
	struct eviction *eviction; /* describes messages */
	unsigned told;             /* of store_damaged_count */
	uint64_t at_us;            /* when the rest is told; 0: there is none */
};

/* Looks for what is new; to be called in every turn, costs nothing when there is
 * nothing. What finds no room is tried again. */
void damage_work(struct damage *d);
/* When damage_work must be called at the latest, in port_now_us time; 0: never. */
uint64_t damage_deadline_us(const struct damage *d);

#endif
