/* Charsets, against Python's codecs: sums and texts below were made by them. */
#include "mail/charset.h"

#include <stdlib.h>

#include "base/text.h"
#include "messages.h"
#include "t.h"

static uint8_t out_space[300000];

/* Converts in pieces of `piece` bytes into buffers of `room`. */
static struct bytes convert(const char *name, struct bytes in, size_t piece, size_t room)
{
	struct charset_decoder d;
	size_t len = 0, at = 0;
	struct buf out;

	T_OK(charset_find(bytes_of(name)) != NULL);
	charset_begin(&d, charset_find(bytes_of(name)));
	while (at < in.len) {
		T_OK(len + room <= sizeof out_space);
		buf_init(&out, out_space + len, room);
		at += charset_push(&d, bytes_part(in, at, piece), &out);
		len += out.len;
	}
	buf_init(&out, out_space + len, 16);
	T_OK(charset_end(&d, &out));
	return bytes_make(out_space, len + out.len);
}

T_TEST(one_byte_charsets)
{
	static const struct {
		const char *name;
		uint32_t sum;
	} sums[] = {
		{ "ISO-8859-1", 0x1ded0a8e }, { "ISO-8859-2", 0xec22f3a0 }, { "ISO-8859-3", 0x102c87e8 },
		{ "ISO-8859-4", 0xd69a214d }, { "ISO-8859-5", 0xef4aad4c }, { "ISO-8859-6", 0x6682a7a7 },
		{ "ISO-8859-7", 0x0855b3f3 }, { "ISO-8859-8", 0x86610d82 }, { "ISO-8859-9", 0xc188a953 },
		{ "ISO-8859-10", 0x62541eb6 }, { "ISO-8859-11", 0x1adc4228 }, { "ISO-8859-13", 0xfe9a6b74 },
		{ "ISO-8859-14", 0x3447425b }, { "ISO-8859-15", 0x0b55713a }, { "ISO-8859-16", 0xc3f72ea5 },
		{ "windows-874", 0xfdb7ba91 }, { "windows-1250", 0xda967a9a }, { "windows-1251", 0xf0d931a7 },
		{ "windows-1252", 0x0929cfdb }, { "windows-1253", 0xc399e998 }, { "windows-1254", 0xfb33e29f },
		{ "windows-1255", 0xee865b16 }, { "windows-1256", 0x430f134a }, { "windows-1257", 0x4f885429 },
		{ "windows-1258", 0x6a7085b7 }, { "KOI8-R", 0x4c6b86eb }, { "KOI8-U", 0xffb81fb3 },
	};
	uint8_t all[256];

	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
		struct bytes b = convert(sums[i].name, bytes_make(all, sizeof all), 7, 40);

		if (messages_crc(b.data, b.len, 0) != sums[i].sum)
			T_FAIL("%s differs", sums[i].name);
	}
}

T_TEST(all_of_cp932)
{
	static uint8_t text[60000];
	size_t n = 0, chars = 0;

	for (unsigned lead = 0x81; lead <= 0xFC; lead++) {
		for (unsigned trail = 0x40; trail <= 0xFC; trail++) {
			uint8_t pair[2] = { (uint8_t)lead, (uint8_t)trail };
			struct bytes b;

			if (lead >= 0xA0 && lead < 0xE0)
				continue;
			b = convert("Shift_JIS", bytes_make(pair, 2), 2, 100);
			if (b.len >= 3 && memcmp(b.data, "\xEF\xBF\xBD", 3) == 0)
				continue;
			memcpy(text + n, b.data, b.len);
			n += b.len;
			chars++;
		}
	}
	T_EQ(chars, 7724);
	T_EQ(messages_crc(text, n, 0), 0xf423744f);
}

static void check(const char *name, const char *in, size_t len, const char *expected)
{
	for (size_t piece = 1; piece < 9; piece++) {
		for (size_t room = 16; room < 60; room += 11) {
			struct bytes b = convert(name, bytes_make(in, len), piece, room);

			T_BYTES(b.data, b.len, expected);
		}
	}
}

#define CHECK(name, in, expected) check(name, in, sizeof in - 1, expected)

#define NIHONGO "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e \xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88"
#define HYOJI "\xe8\xa1\xa8\xe7\xa4\xba\xe3\x82\xbd\xe3\x83\x95\xe3\x83\x88"
#define HANKAKU "\xef\xbd\xb1\xef\xbd\xb2\xef\xbd\xb3\xe5\x8d\x8a\xe8\xa7\x92"
#define NO "\xef\xbf\xbd"

T_TEST(japanese)
{
	CHECK("cp932",
		"\x93\xfa\x96{\x8c\xea \x83"
		"e\x83X\x83g",
		NIHONGO);
	CHECK("euc-jp", "\xc6\xfc\xcb\xdc\xb8\xec \xa5\xc6\xa5\xb9\xa5\xc8", NIHONGO);
	CHECK("iso-2022-jp", "\x1b$BF|K\\8l\x1b(B \x1b$B%F%9%H\x1b(B", NIHONGO);
	CHECK("iso-2022-jp", "\x1b$@F|K\\8l\x1b(J \x1b$B%F%9%H\x1b(B", NIHONGO);
	CHECK("x-sjis", "\x95\\\x8e\xa6\x83\\\x83t\x83g", HYOJI);
	CHECK("EUC-JP", "\xc9\xbd\xbc\xa8\xa5\xbd\xa5\xd5\xa5\xc8", HYOJI);
	CHECK("shift_jis", "\xb1\xb2\xb3\x94\xbc\x8ap", HANKAKU);
	CHECK("EUC-JP", "\x8e\xb1\x8e\xb2\x8e\xb3\xc8\xbe\xb3\xd1", HANKAKU);
	CHECK("iso-2022-jp", "\x1b(I123\x1b$BH>3Q\x1b(B", HANKAKU);
	CHECK("windows-31j", "\x81`\x87@\x87\x8a\xee\xe0", "\xef\xbd\x9e\xe2\x91\xa0\xe3\x88\xb1\xe9\xab\x99");
}

T_TEST(broken_japanese)
{
	CHECK("shift_jis", "a\x93", "a" NO);
	CHECK("shift_jis", "\x93\nb", NO "\nb");
	CHECK("shift_jis", "\x80\xa0\xff", NO NO NO);
	CHECK("shift_jis", "\x85\x40", NO);
	CHECK("euc-jp", "\xc6 x\xc6", NO " x" NO);
	CHECK("euc-jp", "\x8f\xb0\xa1z", NO "z"); /* JIS X 0212 has no table */
	CHECK("iso-2022-jp", "\x1b$BF|K", "\xe6\x97\xa5" NO);
	CHECK("iso-2022-jp", "\x1b$BF|\nK\\", "\xe6\x97\xa5\nK\\"); /* a line's end shifts back */
	CHECK("iso-2022-jp", "\x1b$BF\x1b(Bx", NO "x");
	CHECK("iso-2022-jp", "\x1bxy\x1b(Qz\xe4", NO "xy" NO "z" NO);
	CHECK("iso-2022-jp", "x\x1b", "x" NO);
}

T_TEST(utf16_and_utf7)
{
	CHECK("utf-16",
		"\xff\xfe"
		"A\0\xe5\x65\x3d\xd8\x00\xde",
		"A\xe6\x97\xa5\xf0\x9f\x98\x80");
	CHECK("utf-16", "\xfe\xff\0A\x65\xe5\xd8\x3d\xde\x00", "A\xe6\x97\xa5\xf0\x9f\x98\x80");
	CHECK("utf-16", "\0A\0B", "AB"); /* RFC 2781 section 4.3 */
	CHECK("utf-16le", "A\0B\0", "AB");
	CHECK("utf-16be", "\0A\0B", "AB");
	CHECK("utf-16be", "\xd8\x3d\0A\xde\x00\0", NO "A" NO NO);
	CHECK("utf-7", "+ZeVnLIqe +MMYwuTDI-", NIHONGO);
	CHECK("utf-7", "A+ImIDkQ.+-x+AGE-b", "A\xe2\x89\xa2\xce\x91.+xab"); /* RFC 2152's example begins so */
	CHECK("utf-7", "+2D3eAA-!", "\xf0\x9f\x98\x80!");
	CHECK("utf-7", "+2D0-x\xe4", NO "x" NO);
}

/* The output of 2000 random strings of bytes that matter in UTF-8. */
T_TEST(broken_utf8_as_unicode_wants_it)
{
	static const uint8_t alphabet[] = { 0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef,
		0xf0, 0xf1, 0xf4, 0xf5, 0xff, 0x9f, 0xa0, 0x8f, 0x90, 0x0a };
	static uint8_t all[200000];
	uint32_t seed = 12345;
	size_t n = 0;

	for (int round = 0; round < 2000; round++) {
		uint8_t in[20];
		struct bytes b;

		for (int i = 0; i < 20; i++) {
			seed = seed * 1664525 + 1013904223;
			in[i] = alphabet[(seed >> 16) % sizeof alphabet];
		}
		b = convert("utf-8", bytes_make(in, 20), (size_t)(1 + round % 21), 100);
		memcpy(all + n, b.data, b.len);
		n += b.len;
	}
	T_EQ(messages_crc(all, n, 0), 0x3a195f98);
}

T_TEST(names)
{
	T_OK(charset_find(bytes_of("nope")) == NULL);
	T_OK(charset_find(bytes_of("")) == NULL);
	T_OK(charset_find(bytes_of(" UTF8 ")) == charset_find(bytes_of("utf-8")));
	T_OK(charset_find(bytes_of("latin1")) == charset_find(bytes_of("ISO_8859-1")));
	T_OK(charset_find(bytes_of("utf-8 utf8")) == NULL);
	T_BYTES(charset_name(charset_find(bytes_of("cp1252"))).data, 12, "windows-1252");
	CHECK("us-ascii", "a\xe4", "a" NO);
}

/* Any bytes in any charset: whole UTF-8, the same in any pieces. */
T_TEST(takes_anything)
{
	static const char *const all[] = { "utf-8", "us-ascii", "koi8-r", "utf-16", "utf-7", "iso-2022-jp", "shift_jis",
		"euc-jp" };
	static const char odd[] = "\x1b$B(J+-/A\n~\0\x81\x8e\x8f\xa1\xc3\xd8\xe4\xfe\xff";
	static uint8_t first[2000];
	uint32_t seed = 9;

	for (int round = 0; round < 20000; round++) {
		const char *name = all[round % 8];
		uint8_t in[30];
		struct bytes b;
		size_t len;

		for (size_t i = 0; i < sizeof in; i++) {
			seed = seed * 1664525 + 1013904223;
			in[i] = (uint8_t)odd[(seed >> 16) % (sizeof odd - 1)];
		}
		b = convert(name, bytes_make(in, sizeof in), sizeof in, 500);
		len = b.len;
		memcpy(first, b.data, len);
		b = convert(name, bytes_make(in, sizeof in), 1, 16);
		T_OK(bytes_equal(b, bytes_make(first, len)));
		T_OK(text_utf8_valid(b));
	}
}

T_MAIN(T_RUN(one_byte_charsets) T_RUN(all_of_cp932) T_RUN(japanese) T_RUN(broken_japanese) T_RUN(utf16_and_utf7)
		T_RUN(broken_utf8_as_unicode_wants_it) T_RUN(names) T_RUN(takes_anything))
