/* A server over src/net with a protocol of its own, for test_net_tls.py: the
 * loop, connections and TLS without mail.
 *
 *     net_echo CERT KEY CONNECTIONS LOGIN_PLACES
 *
 * listens on three free ports of 127.0.0.1 (STARTTLS, TLS, plain) and prints
 * them. Lines of up to 1 KiB are echoed, but for these: "quit", "starttls", "upload N" (takes
 * N bytes, answers their number and FNV-1a hash), "download N" (sends N bytes),
 * "login U", "idle" (until "done"), "status", "reload CERT KEY", "fail N" (the
 * N-th allocation of mbedTLS from now fails), "peak" (counts the peak anew),
 * "turn" (gives way to the others once). */
#include "base/crypto.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "net/loop.h"
#include "net/tls.h"
#include "net/tlsmem.h"
#include "port/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS 256

struct session {
	bool used, idle, turn;
	uint64_t upload, download, taken;
	uint32_t hash;
};

static struct session sessions[SESSIONS];
static struct loop *loop;

static void *echo_open(struct conn *c, void *context)
{
	(void)context;
	for (int i = 0; i < SESSIONS; i++) {
		if (sessions[i].used)
			continue;
		sessions[i] = (struct session){ .used = true };
		buf_puts(conn_output(c), conn_tls_available(c) ? "hello starttls\r\n" : "hello\r\n");
		return &sessions[i];
	}
	buf_puts(conn_output(c), "full\r\n");
	return NULL;
}

static void echo_close(void *session, struct conn *c, enum conn_end why)
{
	(void)c;
	(void)why;
	((struct session *)session)->used = false;
}

static void echo_farewell(void *session, struct conn *c, enum conn_end why)
{
	(void)session;
	buf_printf(conn_output(c), "bye %d\r\n", (int)why);
}

static uint64_t number(struct bytes word)
{
	uint64_t n = 0;

	return text_number(word, UINT64_MAX, &n) == OK ? n : 0;
}

static void status(struct conn *c)
{
	struct tls_status t;
	struct loop_status l;

	tls_status(&t);
	loop_status(loop, &l);
	buf_printf(conn_output(c), "{\"tls\": %u, \"heap\": %zu, \"used\": %zu, \"peak\": %zu, \"largest\": %zu, ",
		t.used, t.heap, t.heap_used, t.heap_peak, t.heap_largest);
	buf_printf(conn_output(c), "\"all\": %zu, \"denied\": %llu, \"logged_in\": %u, \"login\": %u, ", tlsmem_used(),
		(unsigned long long)t.denied, l.logged_in, l.login);
	buf_printf(conn_output(c),
		"\"handshakes\": %llu, \"failures\": %llu, \"longest_us\": %llu, \"longest\": \"%s\"}\r\n",
		(unsigned long long)l.tls_handshakes, (unsigned long long)l.tls_failures,
		(unsigned long long)l.longest_turn_us, l.longest_turn ? l.longest_turn : "");
	tlsmem_check();
}

static void reload(struct conn *c, struct bytes rest)
{
	struct bytes cert = text_word(&rest), key = text_word(&rest);
	char a[256], b[256], reason[256];
	int err;

	snprintf(a, sizeof a, "%.*s", (int)cert.len, (const char *)cert.data);
	snprintf(b, sizeof b, "%.*s", (int)key.len, (const char *)key.data);
	err = tls_load(a, b, reason, sizeof reason);
	buf_printf(conn_output(c), "%d %s\r\n", err, reason);
}

static enum step command(struct session *s, struct conn *c, struct bytes line)
{
	struct bytes rest = text_trim(line), word = text_word(&rest);
	struct buf *out = conn_output(c);

	if (bytes_is(word, "quit")) {
		buf_puts(out, "bye\r\n");
		return STEP_CLOSE;
	} else if (bytes_is(word, "starttls")) {
		buf_puts(out, "go\r\n");
		return STEP_TLS;
	} else if (bytes_is(word, "upload")) {
		s->upload = number(text_word(&rest));
		s->taken = 0;
		s->hash = 2166136261u;
	} else if (bytes_is(word, "download")) {
		s->download = number(text_word(&rest));
		s->taken = 0;
	} else if (bytes_is(word, "login")) {
		buf_printf(out, "%d\r\n", conn_login(c, (uint32_t)number(text_word(&rest))));
	} else if (bytes_is(word, "idle")) {
		s->idle = true;
		conn_idle(c, true);
		buf_puts(out, "idling\r\n");
	} else if (bytes_is(word, "status")) {
		status(c);
	} else if (bytes_is(word, "reload")) {
		reload(c, rest);
	} else if (bytes_is(word, "fail")) {
		tlsmem_fail_at(number(text_word(&rest)));
		buf_puts(out, "ok\r\n");
	} else if (bytes_is(word, "peak")) {
		tlsmem_reset_peak();
		buf_puts(out, "ok\r\n");
	} else if (bytes_is(word, "turn")) {
		s->turn = true;
	} else if (bytes_is(word, "done") && s->idle) {
		s->idle = false;
		conn_idle(c, false);
		buf_puts(out, "done\r\n");
	} else if (line.len > 1024) {
		buf_printf(out, "a line of %zu\r\n", line.len);
	} else {
		buf_putb(out, line);
	}
	return STEP_AGAIN;
}

static void upload(struct session *s, struct conn *c)
{
	struct bytes in = bytes_part(conn_input(c), 0, s->upload < 65536 ? (size_t)s->upload : 65536);

	for (size_t i = 0; i < in.len; i++)
		s->hash = (s->hash ^ in.data[i]) * 16777619u;
	s->taken += in.len;
	s->upload -= in.len;
	conn_consume(c, in.len);
	if (s->upload == 0)
		buf_printf(conn_output(c), "%llu %u\r\n", (unsigned long long)s->taken, s->hash);
}

static enum step echo_step(void *session, struct conn *c)
{
	struct session *s = session;
	struct buf *out = conn_output(c);

	for (;;) {
		struct bytes in = conn_input(c);
		size_t end = bytes_index(in, '\n');
		enum step next;

		if (s->upload) {
			upload(s, c);
			if (s->upload)
				return STEP_INPUT;
			continue;
		}
		for (; s->download; s->download--, s->taken++)
			if (!buf_putc(out, (uint8_t)(s->taken * 7 >> 3)))
				return STEP_OUTPUT;
		if (end == in.len)
			return s->idle ? STEP_EVENT : STEP_INPUT;
		in = bytes_part(in, 0, end + 1);
		if (buf_space(out) < 1024)
			return STEP_OUTPUT;
		next = command(s, c, in);
		conn_consume(c, in.len);
		if (next != STEP_AGAIN || s->turn) {
			s->turn = false;
			return next;
		}
	}
}

static const struct protocol echo = {
	.name = "echo",
	.busy = "busy\r\n",
	.open = echo_open,
	.step = echo_step,
	.farewell = echo_farewell,
	.close = echo_close,
};

static void sink(enum log_level level, const char *line, size_t len)
{
	port_log((enum port_level)level, line, len);
}

static int fail(const char *what)
{
	fprintf(stderr, "net_echo: %s\n", what);
	return 1;
}

int main(int argc, char **argv)
{
	static const enum listen_tls kinds[] = { LISTEN_STARTTLS, LISTEN_TLS, LISTEN_PLAIN };
	struct loop_config config = { .delivery_places = 1,
		.input_buffers = 16,
		.long_buffers = 2,
		.output_buffers = 16,
		.login_timeout_s = 60,
		.write_timeout_s = 60 };
	struct arena arena;
	char reason[300];
	size_t len;

	if (argc != 5)
		return fail("CERT KEY CONNECTIONS LOGIN_PLACES");
	config.connections = (uint32_t)atoi(argv[3]);
	config.login_places = (uint32_t)atoi(argv[4]);
	config.tls_places = config.connections + config.login_places;
	len = tls_memory(config.tls_places) + loop_memory(&config);
	log_init(sink, LOG_NOTICE);
	arena_init(&arena, port_map(len, false), len);
	if (tls_init(&arena, config.tls_places) || loop_init(&loop, &arena, &config) || crypto_init(port_entropy))
		return fail("can't start");
	if (arena.used != len)
		return fail("the budget is not what is used");
	arena_freeze(&arena);
	if (tls_load(argv[1], argv[2], reason, sizeof reason))
		return fail(reason);
	for (size_t i = 0; i < 3; i++) {
		struct listener_config listener = { .where = "127.0.0.1:0", .protocol = &echo, .tls = kinds[i] };

		if (loop_listen(loop, &listener))
			return fail("can't listen");
		printf("%u ", loop_port(loop, i));
	}
	printf("%zu\n", tls_memory(config.tls_places));
	fflush(stdout);
	port_signals_init();
	return loop_run(loop);
}
