/* The door to the network: listeners, connections and the one place where the
 * process waits. Stream sockets only, all of them non-blocking, TCP_NODELAY and
 * keep-alive set, kernel buffers bounded. Errors are those of base/err.h;
 * nothing allocates. */
#ifndef PORT_NETWORK_H
#define PORT_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A connection or a listener. Its owner is who got it from port_listen,
 * port_accept or port_connect, until port_shut; the number may be given again
 * after that. */
typedef int port_socket;

enum port_family { PORT_UNIX = 1, PORT_IP4 = 4, PORT_IP6 = 6 };

/* Who is at the other end. An IPv4 peer of an IPv6 listener is given as IPv4. */
struct port_address {
	enum port_family family;
	uint8_t ip[16]; /* 4 or 16 bytes, network order */
	uint16_t port;
	uint32_t uid, gid; /* of a PORT_UNIX peer (its credentials) */
	int32_t pid;
};

/* Opens a listener. `where` is IP:PORT, [IP6]:PORT, INTERFACE:PORT or
 * unix:PATH (an old socket file there is replaced when nobody answers on it).
 * Port 0 takes a free one. A handle, or E_SYNTAX, E_BUSY, E_ACCESS, E_NOENT
 * (no such address or interface), E_IO. mode is the permission of a unix
 * socket (0660), group its group's name or NULL. */
port_socket port_listen(const char *where, unsigned mode, const char *group);
/* The port that a listener got; 0 for unix sockets. */
uint16_t port_listen_port(port_socket listener);

/* The next waiting connection: a handle, E_AGAIN, or E_NOMEM (the system's
 * table is full: try later). */
port_socket port_accept(port_socket listener, struct port_address *peer);
/* For the command-line tool: connects to unix:PATH or IP:PORT and blocks until
 * connected. The handle it returns is blocking. E_CLOSED when nobody listens
 * there, E_NOENT when there is no such path, E_ACCESS. */
port_socket port_connect(const char *where);
/* Ends the sending side: what was sent still goes out, then the peer sees the end
 * of the stream. port_recv goes on; the handle stays the caller's. */
void port_finish(port_socket s);
/* Closes and gives the handle back; E_... numbers are fine and do nothing. Bytes
 * that were sent still go out in the background, unless the peer sends more: then
 * the system may reset the connection, and the peer may lose what it did not read
 * (port_finish first, and reading until its end, is the way around that). */
void port_shut(port_socket s);

/* Bytes moved (at least 1), 0 at the peer's end of stream (recv only), E_AGAIN,
 * or E_CLOSED (reset, broken pipe). len must not be 0. Bytes that port_send took
 * are with the system, not with the peer: nothing tells whether they arrived. The
 * data is the caller's again at once. */
int64_t port_recv(port_socket s, void *data, size_t len);
int64_t port_send(port_socket s, const void *data, size_t len);

#define PORT_SILENCE_S 300
/* Whether the peer of an established TCP connection still answers: false once
 * keep-alive probes have failed for a minute or sent data waits unacknowledged
 * as long. Probing begins when the peer was silent for PORT_SILENCE_S: one that
 * vanished while it had nothing to say is found a minute after that. Never blocks;
 * true when the system can't tell. */
bool port_alive(port_socket s);

enum { PORT_CAN_READ = 1, PORT_CAN_WRITE = 2 };
struct port_wait {
	port_socket s;
	uint8_t want; /* PORT_CAN_... */
	uint8_t got;  /* filled in; errors and hang-ups show as readable */
};
/* Waits until one of them is ready, a signal came, or timeout_ms passed (0:
 * only look; negative: no limit). The number that are ready, 0 on time-out or
 * signal, E_LIMIT for more than PORT_WAIT_MAX, or E_IO. A sync that completes
 * may end it too. A set entry with want 0 still shows a reset. */
#define PORT_WAIT_MAX 2048
int port_wait(struct port_wait *set, size_t n, int timeout_ms);

/* Address as text: "192.168.1.2", "2001:db8::1", "unix". At most 45 bytes and a NUL;
 * returns its length without the NUL. */
size_t port_address_text(const struct port_address *a, char out[46]);

#endif
