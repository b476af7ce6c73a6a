/* A store that a later version wrote is left alone. */
#include "store_rig.h"

#include "base/crc32c.h"
#include "base/le.h"

static void make_newer(const char *name)
{
	static uint8_t super[8192];
	port_file f = port_open(name, PORT_READ | PORT_WRITE);

	if (f < 0)
		return;
	T_EQ(port_read(f, 0, super, sizeof super), (int)sizeof super);
	put_le32(super + 4, 2);
	/* FORMAT.md section 2: the version is the seed. */
	put_le32(super + 8, crc32c(crc32c(2, super, 8), super + 12, sizeof super - 12));
	T_EQ(port_write(f, 0, super, sizeof super), OK);
	T_EQ(port_sync(f), OK);
	port_close(f);
}

T_TEST(newer)
{
	uint32_t inbox;

	rig_start(&rig_config);
	inbox = rig_mailbox("INBOX");
	(void)rig_add(inbox, 1, 100);
	store_close(st);
	make_newer("mail/super.0");
	make_newer("mail/super.1");
	T_EQ(rig_open(&rig_config), E_NOTSUP);
	T_OK(strstr(rig_reason, "newer") != NULL);
}

T_MAIN(T_RUN(newer))
