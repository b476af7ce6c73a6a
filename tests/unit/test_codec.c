#include "tests/unit/t.h"

#include "base/codec.h"
#include "base/err.h"

/* RFC 4648 section 10. */
T_TEST(rfc_vectors)
{
	static const char *const pair[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbf", "+/+/" },
	};

	for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
		char space[16];
		struct buf out;
		int n;

		buf_init(&out, space, sizeof space);
		T_OK(codec_base64(bytes_of(pair[i][0]), &out));
		T_BYTES(out.data, out.len, pair[i][1]);
		n = codec_base64_read(bytes_of(pair[i][1]), space, sizeof space);
		T_BYTES(space, (size_t)n, pair[i][0]);
	}
}

T_TEST(refuses)
{
	/* Short, foreign or misplaced characters, blanks, bits that no encoder sets. */
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zm9v=", "Z===", "====", "=m9v", "Zg==Zg==", "Zm9v\n",
		"Zm 9", "Zm-_", "Zh==", "Zm9=", "Zm\xc3\xa9" };
	char out[16];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		T_EQ(codec_base64_read(bytes_of(bad[i]), out, sizeof out), E_SYNTAX);
	T_EQ(codec_base64_read(bytes_of("Zm9vYmFy"), out, 5), E_LIMIT);
	T_EQ(codec_base64_read(bytes_of("Zm9vYmFy"), out, 6), 6);
}

T_TEST(does_not_overflow)
{
	char space[8];
	struct buf out;

	buf_init(&out, space, 7);
	T_OK(!codec_base64(bytes_of("fooba"), &out));
	T_EQ(out.len, 0);
	T_OK(out.overflow);
	buf_init(&out, space, 8);
	T_OK(!codec_hex_colons(bytes_of("abc\xff"), &out));
	buf_init(&out, space, 8);
	T_OK(codec_hex_colons(bytes_of("\x0a\xff"), &out));
	T_BYTES(out.data, out.len, "0A:FF");
}

T_MAIN(T_RUN(rfc_vectors) T_RUN(refuses) T_RUN(does_not_overflow))
