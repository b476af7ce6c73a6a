/* Error codes of every layer: 0 is success, an error is one of these, all
 * negative. A function that also returns a count returns the count when it is
 * not negative. Nothing outside port/posix sees errno. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err {
	OK = 0,
	E_IO = -1,        /* the device refused or lost a read, write or sync */
	E_NOSPC = -2,     /* the file system is full */
	E_FULL = -3,      /* our own storage budget or a quota is used up */
	E_DAMAGED = -4,   /* stored bytes fail their checksum or make no sense */
	E_SYNTAX = -5,    /* input is not of the form that was asked for */
	E_LIMIT = -6,     /* a limit of limits.h was met */
	E_TOOBIG = -7,    /* a message is larger than may be stored */
	E_AGAIN = -8,     /* not now: call again in a later turn of the loop */
	E_NOENT = -9,     /* no such mailbox, message, user, file */
	E_EXIST = -10,    /* it is there already */
	E_GONE = -11,     /* was there, has been expunged or deleted meanwhile */
	E_READONLY = -12, /* the store or the mailbox takes no change */
	E_ACCESS = -13,   /* permission denied */
	E_NOMEM = -14,    /* a pool is empty */
	E_CLOSED = -15,   /* the peer or the listener is gone */
	E_BUSY = -16,     /* somebody else holds it: a lock, an address in use */
	E_RANGE = -17,    /* a number outside what is allowed */
	E_NOTSUP = -18,   /* this build or file system can't do that */
	E_STATE = -19     /* not in this state: a call out of order */
};

/* A short lower-case English phrase for a log line; never NULL. */
const char *err_text(int err);

#endif
