/* LMTP (RFC 2033): delivery from a mail server or a script on this box, by a
 * unix socket or a loopback port. There is no queue behind it: each recipient
 * gets an answer of his own after the message, and 250 means that his copy is
 * on flash and will survive a power cut. */
#ifndef MTA_LMTP_H
#define MTA_LMTP_H

#include "mta/smtp.h"

/* For loop_listen; its context is the struct smtp. */
extern const struct protocol lmtp_protocol;

#endif
