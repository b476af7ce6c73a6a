/* The trace fields that a delivery puts in front of a message (RFC 5321
 * section 4.4; RFC 3848 and RFC 6531 for the word behind "with"). */
#ifndef MTA_TRACE_H
#define MTA_TRACE_H

#include "base/bytes.h"
#include "mail/date.h"
#include "mta/path.h"

/* Bytes of a client's name for itself that are kept. A longer one is refused. */
#define TRACE_HELO_MAX 255

/* Enough for all the fields of one message with their longest parts. */
#define TRACE_MAX 2048

struct trace {
	struct bytes sender;    /* reverse-path without <> */
	struct bytes recipient; /* the only one, or empty when there are several: none may learn of another */
	struct bytes helo;      /* what the client said it is */
	const char *peer;       /* its address as text, or NULL for a unix socket */
	bool peer_ip6;
	struct bytes domain;    /* this box */
	const char *with;       /* "LMTP" */
	uint32_t number;        /* of the connection, and */
	uint32_t message;       /* of the message in it */
	struct date date;
};

/* Appends Return-Path (always the first line), Delivered-To (when there is one
 * recipient) and Received, with CRLF line ends. False when they don't fit. */
bool trace_put(struct buf *out, const struct trace *t);

#endif
