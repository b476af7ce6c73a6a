/* The configuration file. */
#include "base/err.h"
#include "port/system.h"
#include "tools/cubby.h"
#include "tools/cubby_box.h"
#include "tools/cubby_commands.h"

int tool_config_check(struct tool_args *args)
{
	if (!tool_no_more(args))
		return TOOL_USAGE;
	if (box_read_config() != OK)
		return TOOL_FAILED;
	tool_say("%s is fine", tool_config_file);
	return TOOL_OK;
}

/* A key has up to two words ("evict high"): the words joined. */
static bool take_key(struct tool_args *args, struct buf *key)
{
	const char *word = tool_operand(args, "the key");

	if (!word)
		return false;
	buf_puts(key, word);
	if (args->at < args->n && bytes_is(bytes_of(word), "evict")) {
		struct config_setting setting;
		uint8_t space[64];
		struct buf both;

		buf_init(&both, space, sizeof space);
		buf_printf(&both, "%s %.32s", word, args->word[args->at]);
		for (size_t i = 0; config_setting(i, &setting); i++) {
			if (bytes_is(buf_bytes(&both), setting.key)) {
				buf_printf(key, " %.32s", args->word[args->at++]);
				break;
			}
		}
	}
	return buf_terminate(key) && !key->overflow;
}

int tool_config_get(struct tool_args *args)
{
	static uint8_t value[CONFIG_FILE];
	uint8_t name[64];
	struct buf key, out;
	int err;

	buf_init(&key, name, sizeof name);
	if (!take_key(args, &key) || !tool_no_more(args))
		return TOOL_USAGE;
	if (box_read_config() != OK)
		return TOOL_FAILED;
	buf_init(&out, value, sizeof value);
	err = config_get(&box_config, (const char *)name, &out);
	if (err != OK) {
		tool_complain("there is no setting %s", (const char *)name);
		return TOOL_FAILED;
	}
	if (out.len && out.data[out.len - 1] != '\n')
		buf_putc(&out, '\n');
	return port_stdout(out.data, out.len) == OK ? TOOL_OK : TOOL_FAILED;
}

static void report_fault(void *context, const char *text)
{
	(void)context;
	tool_complain("%s", text);
}

int tool_config_set(struct tool_args *args)
{
	static struct config scratch;
	uint8_t name[64], text[CONFIG_LINE];
	struct buf key, value;
	bool some;
	int err;

	buf_init(&key, name, sizeof name);
	buf_init(&value, text, sizeof text);
	if (!take_key(args, &key))
		return TOOL_USAGE;
	some = args->at < args->n;
	for (; args->at < args->n; args->at++)
		buf_printf(&value, "%s%s", value.len ? " " : "", args->word[args->at]);
	if (value.overflow) {
		tool_complain("the value is too long");
		return TOOL_FAILED;
	}
	err = config_set(tool_config_file, (const char *)name, some ? buf_bytes(&value) : bytes_make(NULL, 0), &scratch,
		report_fault, NULL);
	if (err == E_NOENT)
		tool_complain("there is no setting %s", (const char *)name);
	else if (err != OK && err != E_SYNTAX)
		tool_complain("%s: %s", tool_config_file, err_text(err));
	return err == OK ? TOOL_OK : TOOL_FAILED;
}
