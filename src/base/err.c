#include "base/err.h"

const char *err_text(int err)
{
	static const char *const text[] = {
		[0] = "ok",
		[-E_IO] = "input/output error",
		[-E_NOSPC] = "the file system is full",
		[-E_FULL] = "the storage budget is used up",
		[-E_DAMAGED] = "damaged data",
		[-E_SYNTAX] = "not understood",
		[-E_LIMIT] = "over a limit",
		[-E_TOOBIG] = "too large",
		[-E_AGAIN] = "try again",
		[-E_NOENT] = "no such thing",
		[-E_EXIST] = "exists already",
		[-E_GONE] = "no longer there",
		[-E_READONLY] = "read-only",
		[-E_ACCESS] = "permission denied",
		[-E_NOMEM] = "out of budgeted memory",
		[-E_CLOSED] = "closed",
		[-E_BUSY] = "in use",
		[-E_RANGE] = "out of range",
		[-E_NOTSUP] = "not supported here",
		[-E_STATE] = "out of order",
	};
	int i = -err;

	if (i < 0 || i >= (int)(sizeof text / sizeof *text) || !text[i])
		return "unknown error";
	return text[i];
}
