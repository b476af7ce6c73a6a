/* Bugs for the simulation to find. A simulation that never fails shows nothing,
 * so the test build can be told to make one of these mistakes
 * (tests/sim/sim_store_plant.c); in the product the question is the constant 0. */
#ifndef STORE_PLANT_H
#define STORE_PLANT_H

enum store_plant {
	PLANT_NONE,
	PLANT_NO_DIR_SYNC,   /* a new segment's name is not made durable */
	PLANT_SUPER_FIRST,   /* the superblock is written before its pages */
	PLANT_OLD_SALT,      /* what an earlier segment left behind passes for a record at the tail */
	PLANT_UNSYNCED_UID,  /* a commit is shown before its sync */
	PLANT_EARLY_RELEASE, /* a message's reference is dropped before its expunge is durable */
	PLANT_BEYOND_D,      /* a valid record behind the first bad one above D is kept */
	PLANT_EARLY_MODSEQ   /* a MODSEQ is told before it is durable */
};

#ifdef CUBBY_PLANTS
extern enum store_plant store_planted;
#define STORE_PLANT(bug) (store_planted == (bug))
#else
#define STORE_PLANT(bug) 0
#endif

#endif
