#include "imap/list_match.h"

#include "base/text.h"

/* A place to come back to: what follows the wildcard in the pattern, and up to
 * where the wildcard reaches in the name. */
struct retry {
	size_t pattern, name;
	bool set;
};

static bool starts_with_inbox(struct bytes name)
{
	return bytes_starts_nocase(name, "INBOX") && (name.len == 5 || name.data[5] == '/');
}

bool list_match(struct bytes pattern, struct bytes name)
{
	struct retry star = { 0 }, percent = { 0 };
	size_t p = 0, n = 0, folded = starts_with_inbox(name) ? 5 : 0;

	for (;;) {
		uint8_t c = p < pattern.len ? pattern.data[p] : 0;

		if (p < pattern.len && c == '*') {
			star = (struct retry){ ++p, n, true };
			percent.set = false;
		} else if (p < pattern.len && c == '%') {
			percent = (struct retry){ ++p, n, true };
		} else if (p < pattern.len && n < name.len &&
			(c == name.data[n] || (n < folded && text_lower(c) == text_lower(name.data[n])))) {
			p++;
			n++;
		} else if (p == pattern.len && n == name.len) {
			return true;
		} else if (percent.set && percent.name < name.len && name.data[percent.name] != '/') {
			n = ++percent.name;
			p = percent.pattern;
		} else if (star.set && star.name < name.len) {
			n = ++star.name;
			p = star.pattern;
			percent.set = false;
		} else {
			return false;
		}
	}
}
