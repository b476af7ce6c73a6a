/* The two clocks that mbedTLS asks for (see mbedtls_config.h), from the porting
 * layer. Both count from an unspecified start and never go back: a ticket's age
 * then does not change when the box learns the date. Tickets do not outlive the
 * process, because their keys are made at start. */
#include "port/mbedtls_config.h"
#include "port/system.h"

int64_t mbedtls_ms_time(void);

int64_t mbedtls_ms_time(void)
{
	return (int64_t)(port_now_us() / 1000);
}

int64_t port_mbedtls_time(int64_t *seconds)
{
	int64_t now = (int64_t)(port_now_us() / 1000000);

	if (seconds)
		*seconds = now;
	return now;
}
