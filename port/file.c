/* What follows from the contract and is the same on every system. */
#include "port/file.h"

#include <string.h>

#include "base/err.h"

int port_sync_name(const char *path)
{
	char dir[PORT_PATH_MAX];
	size_t n = strlen(path);

	while (n > 0 && path[n - 1] != '/')
		n--;
	if (n == 0)
		return port_sync_dir(".");
	if (n >= sizeof dir)
		return E_LIMIT;
	memcpy(dir, path, n);
	/* "/users" is in "/" itself. */
	dir[n > 1 ? n - 1 : n] = '\0';
	return port_sync_dir(dir);
}
