/* The limits that several layers share. Each says its unit, its reason, and
 * what happens beyond it. Limits of one file stand at that file's head. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* Bytes of a user name in UTF-8. Beyond it: the name is refused. */
#define LIMIT_USER_NAME 64

/* Bytes of a whole mailbox name in UTF-8, all levels and separators. Long
 * enough for 14 levels of Japanese folder names; beyond it CREATE and RENAME
 * answer NO [LIMIT]. */
#define LIMIT_MAILBOX_NAME 512

/* Levels of a mailbox name. Beyond it: NO [LIMIT]. Bounds every walk of the
 * mailbox tree. */
#define LIMIT_MAILBOX_DEPTH 16

/* Bytes of one level of a mailbox name. Beyond it: NO [LIMIT]. */
#define LIMIT_MAILBOX_LEVEL 200

/* Keywords (flags without backslash) of one mailbox: each is one bit of an
 * entry. Beyond it: NO [LIMIT], and PERMANENTFLAGS loses its \*. */
#define LIMIT_KEYWORDS 64

/* Bytes of one keyword. Beyond it: NO [LIMIT]. */
#define LIMIT_KEYWORD_NAME 64

/* Bytes of what is read once from a message at its arrival (envelope, part
 * table). A message with more structure than fits keeps its deeper parts
 * opaque. Bounds the work space of reading and of FETCH. */
#define LIMIT_SUMMARY 32768

/* Bytes of a message: `size` of the configuration may be anything up to this.
 * RFC822.SIZE is a 32-bit number for many clients. */
#define LIMIT_MESSAGE 0x7FFFFFFFu

/* Messages larger than this are files of their own, written as they come in. */
#define LIMIT_LOG_MESSAGE (256u * 1024)

/* Bytes of work that one step of a command may do on message text before the
 * loop goes round: about half a millisecond on a 500 MHz router. */
#define LIMIT_SLICE_BYTES 32768

/* Index entries one step of a command may visit before the loop goes round. */
#define LIMIT_SLICE_ENTRIES 256

#endif
