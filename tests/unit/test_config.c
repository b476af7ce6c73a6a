#include "tests/unit/t.h"

#include "base/err.h"
#include "control/config.h"
#include "port/sim/sim.h"

#define PATH "etc/cubby.conf"

static struct config config, other;
static char reports[8192];
static unsigned report_n;

static void report(void *context, const char *text)
{
	(void)context;
	report_n++;
	strncat(reports, text, sizeof reports - strlen(reports) - 2);
	strcat(reports, "\n");
}

static void write_file(const char *path, const char *text, size_t len)
{
	port_file f = port_open(path, PORT_WRITE | PORT_CREATE | PORT_EMPTY);

	T_OK(f >= 0);
	T_EQ(port_write(f, 0, text, len), OK);
	T_EQ(port_sync(f), OK);
	port_close(f);
	T_EQ(port_sync_dir("etc"), OK);
}

static int read_text(const char *text)
{
	write_file(PATH, text, strlen(text));
	reports[0] = '\0';
	report_n = 0;
	return config_read(PATH, &config, report, NULL);
}

static void fresh(void)
{
	sim_reset(3);
	T_EQ(port_mkdir("etc"), OK);
	T_EQ(port_sync_dir("."), OK);
}

static const char *file_text(void)
{
	static char text[8192];
	port_file f = port_open(PATH, PORT_READ);
	int64_t n;

	T_OK(f >= 0);
	n = port_read(f, 0, text, sizeof text - 1);
	text[n < 0 ? 0 : n] = '\0';
	port_close(f);
	return text;
}

static const char *get(const struct config *c, const char *key)
{
	static char text[4096];
	struct buf out;

	buf_init(&out, text, sizeof text - 1);
	T_EQ(config_get(c, key, &out), OK);
	buf_terminate(&out);
	return text;
}

#define T_TEXT(got, expected) \
	do { \
		const char *t_got = (got); \
		T_BYTES(t_got, strlen(t_got), expected); \
	} while (0)

T_TEST(defaults)
{
	fresh();
	T_EQ(read_text(""), OK);
	T_EQ(config.storage, 64u << 20);
	T_EQ(config.memory, 4u << 20);
	T_EQ(config.message_size, 16u << 20); /* a quarter of storage */
	T_EQ(config.connections, 64);
	T_EQ(config.scram_iterations, 10000);
	T_EQ(config.flag_delay_s, 5);
	T_EQ(config.idle_notify_s, 300);
	T_EQ(config.cleartext_login, CONFIG_CLEARTEXT_NEVER);
	T_OK(!config.imap4rev2 && !config.allow_volatile && !config.memory_lock && config.evict);
	T_TEXT(config.users, "/var/lib/cubby/users");
	T_TEXT(config.tls_certificate, "/var/lib/cubby/cert.pem");
	T_TEXT(config.tls_key, "/var/lib/cubby/key.pem");
	T_EQ(config.allow_from_n, 8);
	T_EQ(config.listen_n, 5);
	T_TEXT(get(&config, "listen"),
		"imap 0.0.0.0:143\nimap [::]:143\nimaps 0.0.0.0:993\nimaps [::]:993\n"
		"control unix:/run/cubby/control");
	T_OK(!config.listen[0].optional && config.listen[1].optional && config.listen[4].optional);
	T_TEXT(get(&config, "allow-from"),
		"127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 ::1 "
		"fc00::/7 fe80::/10");
	config_defaults(&other);
	T_OK(memcmp(&config, &other, sizeof config) == 0);
	T_EQ(read_text("storage 1G"), OK);
	T_EQ(config.message_size, 64u << 20);
}

static const char everything[] =
	"# the box in the hall\r\n"
	"domain mail.example.org\n"
	"\tstore \"/mnt/big disk/cubby\"   # the disk\n"
	"storage 8G\nmemory 6M\nconnections 100\nusers /etc/cubby/users\n"
	"listen imaps [2001:db8::1]:993 from 2001:db8::/32 192.0.2.0/24 rate 30/min\n"
	"listen lmtp unix:/run/lmtp size 10M\n"
	"listen imap br-lan:143\n"
	"listen device 192.168.1.1:2525 size 20M rate 5/min from 192.168.1.0/24\n"
	"allow-from 192.168.0.0/16 ::ffff:10.0.0.0/104 fe80::1\n"
	"tls /etc/cubby/c.pem /etc/cubby/k.pem\n"
	"cleartext-login loopback\nimap4rev2 on\nmessage-size 100M\nquota 2G\nlogin-timeout 90s\n"
	"idle-notify 2m\nflag-delay 0\nscram-iterations 4096\n"
	"mailbox Junk age 30d\nmailbox \"Camera #1/Front door\" count 500\nmailbox Camera bytes 100M\n"
	"mailbox Contracts keep\n"
	"evict on\nevict   high 95\nevict low 80\nevict order seen junk\nevict seen-age 90d\nevict protect 2h\n"
	"evict archive /mnt/usb/old best-effort\n"
	"language ja\n"
	"allow-volatile\nmemory-lock yes\nrun-as cubby\nchroot /var/lib/cubby";

T_TEST(everything_can_be_said)
{
	fresh();
	T_EQ(read_text(everything), OK);
	T_TEXT(config.domain, "mail.example.org");
	T_TEXT(config.store, "/mnt/big disk/cubby");
	T_EQ(config.storage, 8ull << 30);
	T_EQ(config.connections, 100);
	T_EQ(config.listen_n, 5); /* with the control socket */
	T_EQ(config.listen[0].protocol, CONFIG_IMAPS);
	T_TEXT(config.listen[0].where, "[2001:db8::1]:993");
	T_EQ(config.listen[0].from_n, 2);
	T_EQ(config.listen[0].from[1].bits, 120);
	T_EQ(config.listen[0].rate, 30);
	T_TEXT(config.listen[1].where, "unix:/run/lmtp");
	T_EQ(config.listen[1].size, 10u << 20);
	T_EQ(config.listen[3].from_n, 1);
	T_EQ(config.listen[3].rate, 5);
	T_EQ(config.allow_from_n, 3);
	T_EQ(config.allow_from[1].bits, 104);
	T_EQ(config.cleartext_login, CONFIG_CLEARTEXT_LOOPBACK);
	T_EQ(config.login_timeout_s, 90);
	T_EQ(config.flag_delay_s, 0);
	T_EQ(config.mailbox_n, 4);
	T_TEXT(config.mailbox[1].name, "Camera #1/Front door");
	T_EQ(config.mailbox[1].rule, CONFIG_RULE_COUNT);
	T_EQ(config.mailbox[1].value, 500);
	T_EQ(config.mailbox[2].value, 100u << 20);
	T_EQ(config.mailbox[3].rule, CONFIG_RULE_KEEP);
	T_EQ(config.evict_high, 95);
	T_EQ(config.evict_order_n, 2);
	T_EQ(config.evict_order[0], CONFIG_CLASS_SEEN);
	T_EQ(config.evict_seen_age_s, 90 * 86400);
	T_TEXT(config.evict_archive, "/mnt/usb/old");
	T_OK(!config.evict_archive_required);
	T_OK(config.allow_volatile && config.memory_lock && config.imap4rev2);
	T_TEXT(config.run_as, "cubby");
	T_EQ(report_n, 0);
}

/* What config_get says can be read again and says the same. */
T_TEST(written_as_read)
{
	static char text[16384];
	struct config_setting s;
	size_t n = 0;

	fresh();
	T_EQ(read_text(everything), OK);
	for (size_t i = 0; config_setting(i, &s); i++)
		for (char *line = strtok((char *)(uintptr_t)get(&config, s.key), "\n"); line; line = strtok(NULL, "\n"))
			n += (size_t)snprintf(text + n, sizeof text - n, "%s %s\n", s.key, line);
	write_file("etc/second", text, n);
	T_EQ(config_read("etc/second", &other, report, NULL), OK);
	for (size_t i = 0; config_setting(i, &s); i++) {
		char first[2048];

		snprintf(first, sizeof first, "%s", get(&config, s.key));
		T_TEXT(get(&other, s.key), first);
		T_OK(s.help[0] && s.help[strlen(s.help) - 1] != '.');
	}
	T_TEXT(get(&config, "mailbox"),
		"Junk age 30d\n\"Camera #1/Front door\" count 500\nCamera bytes 100M\nContracts keep");
	T_TEXT(get(&config, "evict archive"), "/mnt/usb/old best-effort");
	T_TEXT(get(&config, "language"), "ja");
	T_TEXT(get(&config, "login-timeout"), "90s");
}

T_TEST(says_what_is_wrong)
{
	static const struct {
		const char *text, *expected;
	} wrong[] = {
		{ "storag 4M", "etc/cubby.conf:1: storag: no such setting" },
		{ "evicts on", "etc/cubby.conf:1: evicts: no such setting" },
		{ "\n\nstorage 64",
			"etc/cubby.conf:3: storage: expected a size (digits, then K, M or G) from 4M to 16384G, "
			"got \"64\"" },
		{ "storage 64MB", "storage: expected a size" },
		{ "storage", "got nothing" },
		{ "storage # none", "got \"# none\"" },
		{ "storage 64M 32M", "got \"64M 32M\"" },
		{ "memory 20000000000000000000G",
			"memory: expected a size (digits, then K, M or G) from 1M to 1G, got" },
		{ "connections 0", "connections: expected a number from 1 to 1700, got \"0\"" },
		{ "connections 4M", "got \"4M\"" },
		{ "connections -1", "got \"-1\"" },
		{ "flag-delay 5x",
			"flag-delay: expected a time (seconds, or digits and s, m, h or d) from 0 to 1h, got \"5x\"" },
		{ "idle-notify 1d", "from 30s to 29m, got \"1d\"" },
		{ "scram-iterations 4095", "from 4096 to 10000000, got \"4095\"" },
		{ "cleartext-login sometimes", "expected never|loopback|always, got \"sometimes\"" },
		{ "imap4rev2 maybe", "expected on|off, got \"maybe\"" },
		{ "evict onn", "evict: expected on|off, got \"onn\"" },
		{ "evict higher 3", "evict: expected on|off, got \"higher 3\"" },
		{ "domain -x.org", "domain: expected a host name such as mail.example.org, got \"-x.org\"" },
		{ "domain a..b", "got \"a..b\"" },
		{ "domain a_b", "got \"a_b\"" },
		{ "store", "store: expected one path (in quotes if it has blanks), got nothing" },
		{ "store a b", "got \"a b\"" },
		{ "store \"a b", "got \"\"a b\"" },
		{ "store \"a\"b", "store: expected one path" },
		{ "store \"\"", "got nothing" },
		{ "run-as root;", "run-as: expected the name of a user of the system, got \"root;\"" },
		{ "tls cert.pem", "tls: expected two paths, of the certificate and of its key, got \"cert.pem\"" },
		{ "allow-from 10.0.0.0/33",
			"allow-from: expected networks such as 192.168.0.0/16 or fe80::/10, got \"10.0.0.0/33\"" },
		{ "allow-from", "got nothing" },
		{ "allow-from 1.1.1.1 2.2.2.2 3.3.3.3 4.4.4.4 5.5.5.5 6.6.6.6 7.7.7.7 "
			"8.8.8.8 9.9.9.9 1.1.1.1 1.1.1.1 1.1.1.1 "
		  "1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.2", "expected at most 16 networks, got \"1.1.1.2\"" },
		{ "listen", "listen: expected a protocol (imap imaps" },
		{ "listen imapx 0.0.0.0:143", "got \"imapx\"" },
		{ "listen imap",
			"expected an address (IP:PORT, [IP6]:PORT, INTERFACE:PORT or unix:PATH), got nothing" },
		{ "listen imap 143", "got \"143\"" },
		{ "listen imap 0.0.0.0", "got \"0.0.0.0\"" },
		{ "listen imap 0.0.0.0:65536", "got \"0.0.0.0:65536\"" },
		{ "listen imap 0.0.0.0:", "got \"0.0.0.0:\"" },
		{ "listen imap 256.0.0.0:143", "got \"256.0.0.0:143\"" },
		{ "listen imap ::1:143", "got \"::1:143\"" },
		{ "listen imap [::1:143", "got \"[::1:143\"" },
		{ "listen imap [1.2.3.4]:143", "got \"[1.2.3.4]:143\"" },
		{ "listen imap [::1/64]:143", "got \"[::1/64]:143\"" },
		{ "listen imap 10.0.0.0/8:143", "got \"10.0.0.0/8:143\"" },
		{ "listen imap interface-too-long:143", "got \"interface-too-long:143\"" },
		{ "listen imap unix:", "got \"unix:\"" },
		{ "listen control 127.0.0.1:99", "expected unix:PATH" },
		{ "listen imap 0.0.0.0:143 until 3", "expected from, size or rate, got \"until\"" },
		{ "listen lmtp 127.0.0.1:24 from", "expected networks" },
		{ "listen lmtp 127.0.0.1:24 from size 10M", "expected networks" },
		{ "listen lmtp 127.0.0.1:24 size", "expected a size such as 10M, less than 2G, got nothing" },
		{ "listen lmtp 127.0.0.1:24 size 2G", "got \"2G\"" },
		{ "listen lmtp 127.0.0.1:24 rate 30",
			"expected a rate such as 30/min, at most 100000/min, got \"30\"" },
		{ "listen lmtp 127.0.0.1:24 rate 0/min", "got \"0/min\"" },
		{ "mailbox", "mailbox: expected a name" },
		{ "mailbox Junk", "mailbox: expected a name" },
		{ "mailbox Junk size 3M", "expected age, count, bytes or keep, got \"size\"" },
		{ "mailbox Junk age 3M", "expected a time such as 30d, got \"3M\"" },
		{ "mailbox Junk count 0", "expected a number of messages, got \"0\"" },
		{ "mailbox Junk bytes", "expected a size such as 10M, got nothing" },
		{ "mailbox Junk keep 3", "mailbox: expected a name" },
		{ "mailbox Junk age 3d 4d", "mailbox: expected a name" },
		{ "mailbox /Junk keep", "mailbox: expected a name" },
		{ "evict order", "evict order: expected classes, each once" },
		{ "evict order seen seen", "got \"seen\"" },
		{ "evict order old", "got \"old\"" },
		{ "evict archive /mnt", "evict archive: expected a path, then required or best-effort, got \"/mnt\"" },
		{ "evict archive /mnt perhaps", "got \"perhaps\"" },
		{ "language de", "language: expected en|ja, got \"de\"" },
		{ "evict high 60", "evict low: expected less than `evict high`, got as much or more" },
		{ "storage 4M\nmessage-size 2M",
			"etc/cubby.conf:2: message-size: expected at most a quarter of `storage`" },
		{ "quota 1G", "etc/cubby.conf:1: quota: expected at most `storage`, got more" },
		{ "memory 4M\nmemory 4M", "etc/cubby.conf:2: memory: stands in line 1 already" },
		{ "store a\x01" "b",
			"etc/cubby.conf:1: expected text in UTF-8, got a control character or another encoding" },
		{ "store \xE9t\xE9", "etc/cubby.conf:1: expected text in UTF-8" },
	};

	fresh();
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		T_EQ(read_text(wrong[i].text), E_SYNTAX);
		T_EQ(report_n, 1);
		if (!strstr(reports, wrong[i].expected))
			T_FAIL("\"%s\" gives %s", wrong[i].text, reports);
	}
}

T_TEST(reports_all_faults)
{
	char text[4096];
	size_t n = 0;

	fresh();
	T_EQ(read_text("a 1\nconnections 3\nb 2\nmemory x\n"), E_SYNTAX);
	T_EQ(report_n, 3);
	T_OK(strstr(reports, ":1: a:") && strstr(reports, ":3: b:") && strstr(reports, ":4: memory:"));
	for (int i = 0; i < 100; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "nonsense %d\n", i);
	T_EQ(read_text(text), E_SYNTAX);
	T_EQ(report_n, CONFIG_FAULTS + 1);
	T_OK(strstr(reports, ":20: too many faults"));
}

T_TEST(bounds)
{
	static char text[CONFIG_FILE + 100];
	size_t n = 0;

	fresh();
	T_EQ(config_read("etc/none", &config, report, NULL), E_NOENT);
	memset(text, 'x', sizeof text);
	text[0] = '#';
	text[CONFIG_LINE] = '\n';
	text[CONFIG_LINE + 1] = '\0';
	T_EQ(read_text(text), OK);
	text[CONFIG_LINE] = 'x';
	text[CONFIG_LINE + 1] = '\n';
	text[CONFIG_LINE + 2] = '\0';
	T_EQ(read_text(text), E_SYNTAX);
	T_OK(strstr(reports, ":1: expected at most 1024 bytes"));
	memset(text, '\n', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	T_EQ(read_text(text), E_TOOBIG);
	T_OK(strstr(reports, "larger than 64K"));
	for (int i = 0; i <= CONFIG_LISTENERS; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "listen imap 127.0.0.1:%d\n", i);
	text[n] = '\0';
	T_EQ(read_text(text), E_SYNTAX);
	T_OK(strstr(reports, ":33: listen: expected at most 32 listeners"));
	n = 0;
	for (int i = 0; i <= CONFIG_MAILBOX_RULES; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "mailbox a%d keep\n", i);
	T_EQ(read_text(text), E_SYNTAX);
	T_OK(strstr(reports, ":33: mailbox: expected at most 32 rules"));
	/* A store whose files would have names too long. */
	n = (size_t)snprintf(text, sizeof text, "store /");
	memset(text + n, 'd', 505);
	text[n + 505] = '\0';
	T_EQ(read_text(text), E_SYNTAX);
	T_OK(strstr(reports, "store: expected a shorter path"));
	memset(text + n, 'd', 600);
	text[n + 600] = '\0';
	T_EQ(read_text(text), E_SYNTAX);
	T_OK(strstr(reports, "store: expected something shorter"));
	sim_fail(SIM_OP_READ, 1, E_IO, false);
	T_EQ(config_read(PATH, &config, report, NULL), E_IO);
}

static int set(const char *key, const char *value)
{
	reports[0] = '\0';
	return config_set(PATH, key, value ? bytes_of(value) : bytes_make(NULL, 0), &other, report, NULL);
}

T_TEST(set_keeps_the_rest)
{
	fresh();
	read_text("# head\n\n storage  64M # all of it\nlisten imaps 127.0.0.1:993\nmemory 4M\n\n# tail");
	T_EQ(set("storage", "128M"), OK);
	T_TEXT(file_text(), "# head\n\nstorage 128M # all of it\nlisten imaps 127.0.0.1:993\nmemory 4M\n\n# tail\n");
	T_EQ(other.storage, 128u << 20);
	T_EQ(set("listen", "lmtp unix:/run/lmtp"), OK);
	T_EQ(set("evict high", "95"), OK);
	T_TEXT(file_text(),
		"# head\n\nstorage 128M # all of it\nlisten imaps 127.0.0.1:993\nlisten lmtp unix:/run/lmtp\n"
		"memory 4M\n\n# tail\nevict high 95\n");
	T_EQ(set("listen", NULL), OK);
	T_EQ(set("memory", NULL), OK);
	T_EQ(set("mailbox", "\"A b\" keep"), OK);
	T_TEXT(file_text(), "# head\n\nstorage 128M # all of it\n\n# tail\nevict high 95\nmailbox \"A b\" keep\n");
	T_EQ(set("colour", "red"), E_NOENT);
	T_EQ(set("storage extra", "1G"), E_NOENT);
	T_EQ(set("storage", "1G\nmemory 1M"), E_SYNTAX);
	T_EQ(set("storage", "red"), E_SYNTAX);
	T_OK(strstr(reports, "etc/cubby.conf:3: storage: expected a size"));
	T_EQ(set("message-size", "500M"), E_SYNTAX);
	T_TEXT(file_text(), "# head\n\nstorage 128M # all of it\n\n# tail\nevict high 95\nmailbox \"A b\" keep\n");
	T_OK(!port_exists(PATH ".new"));
}

T_TEST(set_makes_the_file)
{
	port_file held;

	fresh();
	T_EQ(set("memory", "8M"), OK);
	T_TEXT(file_text(), "memory 8M\n");
	T_EQ(set("evict", "off"), OK);
	T_EQ(set("evict low", "50"), OK);
	T_EQ(set("evict", "on"), OK);
	T_TEXT(file_text(), "memory 8M\nevict on\nevict low 50\n");
	held = port_lock(PATH ".lock");
	T_EQ(set("memory", "9M"), E_BUSY);
	port_close(held);
}

static void set_body(void *context)
{
	*(int *)context = set("memory", "9M");
}

/* Power is cut at every operation: the old file or the new one is there, whole. */
T_TEST(set_survives_cuts)
{
	enum sim_end end = SIM_CUT;

	for (uint64_t n = 1; end != SIM_DONE; n++) {
		static int result;

		fresh();
		T_EQ(read_text("# head\nmemory 8M\n"), OK);
		result = 1;
		sim_cut_at(n);
		end = sim_run(set_body, &result);
		sim_power_cut(&sim_mixed);
		T_EQ(config_read(PATH, &config, report, NULL), OK);
		T_OK(config.memory == 9u << 20 || (result != OK && config.memory == 8u << 20));
	}
}

T_TEST(set_survives_errors)
{
	static const enum sim_op ops[] = { SIM_OP_WRITE, SIM_OP_SYNC, SIM_OP_RENAME };

	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
		fresh();
		read_text("# head\nmemory 8M\n");
		sim_fail(ops[i], 1, E_NOSPC, false);
		T_EQ(set("memory", "9M"), E_NOSPC);
		T_TEXT(file_text(), "# head\nmemory 8M\n");
		T_OK(!port_exists(PATH ".new"));
	}
}

T_MAIN(T_RUN(defaults) T_RUN(everything_can_be_said) T_RUN(written_as_read) T_RUN(says_what_is_wrong)
		T_RUN(reports_all_faults) T_RUN(bounds) T_RUN(set_keeps_the_rest) T_RUN(set_makes_the_file)
			T_RUN(set_survives_cuts) T_RUN(set_survives_errors))
