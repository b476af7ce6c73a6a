/* Where to listen and who is there: addresses between text and bytes. */
#include "port/posix/posix.h"

#include "base/err.h"
#include "port/network.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

/* Longest host part: an IPv6 address with a scope. */
#define HOST_BYTES 64

/* "fe80::1%br-lan" */
static int parse_ip6(char *host, struct posix_place *p)
{
	char *scope = strchr(host, '%');

	if (scope)
		*scope++ = '\0';
	if (inet_pton(AF_INET6, host, p->ip) != 1)
		return E_SYNTAX;
	p->kind = POSIX_AT_ADDRESS;
	p->ip6 = true;
	if (!scope)
		return OK;
	p->scope = if_nametoindex(scope);
	return p->scope ? OK : E_NOENT;
}

static int parse_host(const char *host, struct posix_place *p)
{
	size_t len = strlen(host);

	if (inet_pton(AF_INET, host, p->ip) == 1) {
		p->kind = POSIX_AT_ADDRESS;
		return OK;
	}
	/* a wrong IPv4 address is no interface */
	if (len == 0 || len >= sizeof p->interface || strspn(host, "0123456789.") == len || strchr(host, ':') ||
		strchr(host, '/'))
		return E_SYNTAX;
	memcpy(p->interface, host, len + 1);
	p->kind = POSIX_AT_INTERFACE;
	return OK;
}

int posix_place_parse(const char *where, struct posix_place *p)
{
	const char *colon = strrchr(where, ':');
	char host[HOST_BYTES];
	uint64_t port;
	size_t len;

	memset(p, 0, sizeof *p);
	if (strncmp(where, "unix:", 5) == 0) {
		p->kind = POSIX_AT_PATH;
		p->path = where + 5;
		return *p->path ? OK : E_SYNTAX;
	}
	if (!colon || !posix_number(colon + 1, 65535, &port))
		return E_SYNTAX;
	p->port = (uint16_t)port;
	len = (size_t)(colon - where);
	if (len >= sizeof host)
		return E_SYNTAX;
	memcpy(host, where, len);
	host[len] = '\0';
	if (host[0] != '[')
		return parse_host(host, p);
	if (host[len - 1] != ']')
		return E_SYNTAX;
	host[len - 1] = '\0';
	return parse_ip6(host + 1, p);
}

size_t port_address_text(const struct port_address *a, char out[46])
{
	if (a->family == PORT_UNIX)
		strcpy(out, "unix");
	else if (!inet_ntop(a->family == PORT_IP6 ? AF_INET6 : AF_INET, a->ip, out, 46))
		strcpy(out, "?");
	return strlen(out);
}
