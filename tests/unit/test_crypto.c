#include "tests/unit/t.h"

#include "base/codec.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/text.h"

static unsigned entropy_calls;
static int entropy_answer;

static int entropy(void *data, size_t len)
{
	uint8_t *p = data;

	entropy_calls++;
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 37 + entropy_calls);
	return entropy_answer;
}

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; *hex; hex += 2)
		out[n++] = (uint8_t)(text_hex((uint8_t)hex[0]) << 4 | text_hex((uint8_t)hex[1]));
	return n;
}

static bool is_hex(const uint8_t *got, const char *hex)
{
	uint8_t want[128];
	size_t n = from_hex(hex, want);

	return memcmp(got, want, n) == 0;
}

/* FIPS 180-2, appendix B. */
T_TEST(sha256)
{
	uint8_t out[32];

	crypto_sha256(bytes_of("abc"), out);
	T_OK(is_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	crypto_sha256(bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), out);
	T_OK(is_hex(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"));
	crypto_sha256(bytes_make(NULL, 0), out);
	T_OK(is_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

/* RFC 4231, cases 1, 2, 3, 6 and 7. */
T_TEST(hmac)
{
	uint8_t key[131], data[50], out[32];

	memset(key, 0x0b, 20);
	crypto_hmac_sha256(bytes_make(key, 20), bytes_of("Hi There"), out);
	T_OK(is_hex(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));
	crypto_hmac_sha256(bytes_of("Jefe"), bytes_of("what do ya want for nothing?"), out);
	T_OK(is_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
	memset(key, 0xaa, sizeof key);
	memset(data, 0xdd, sizeof data);
	crypto_hmac_sha256(bytes_make(key, 20), bytes_make(data, 50), out);
	T_OK(is_hex(out, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"));
	crypto_hmac_sha256(bytes_make(key, 131), bytes_of("Test Using Larger Than Block-Size Key - Hash Key First"),
		out);
	T_OK(is_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
	crypto_hmac_sha256(bytes_make(key, 131),
		bytes_of("This is a test using a larger than block-size key and a larger than block-size data. "
			 "The key needs to be hashed before being used by the HMAC algorithm."),
		out);
	T_OK(is_hex(out, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"));
}

static void pbkdf2(const char *password, const char *salt, uint32_t iterations, uint32_t slice, uint8_t out[32])
{
	struct crypto_pbkdf2 p;

	crypto_pbkdf2_begin(&p, bytes_of(password), bytes_of(salt), iterations);
	while (!crypto_pbkdf2_step(&p, slice))
		;
	memcpy(out, p.sum, 32);
}

/* RFC 7914 section 11 (first blocks), and values of Python's hashlib. */
T_TEST(pbkdf2)
{
	static const uint32_t slices[] = { 1, 7, 500, 4095, 4096, 100000 };
	uint8_t out[32];

	pbkdf2("passwd", "salt", 1, 10, out);
	T_OK(is_hex(out, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"));
	pbkdf2("Password", "NaCl", 80000, 500, out);
	T_OK(is_hex(out, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"));
	for (size_t i = 0; i < sizeof slices / sizeof *slices; i++) {
		pbkdf2("password", "salt", 4096, slices[i], out);
		T_OK(is_hex(out, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"));
	}
	pbkdf2("password", "salt", 2, 1, out);
	T_OK(is_hex(out, "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43"));
	/* A password longer than a block of SHA-256. */
	pbkdf2("0123456789012345678901234567890123456789012345678901234567890123456789", "salt", 1000, 300, out);
	T_OK(is_hex(out, "3a309f7493c0cc7f6eec694a9304ead559dae22090bf0dca999abb0cbaeb1a09"));
}

/* RFC 7677 section 3: the whole exchange of "user" with "pencil". */
T_TEST(scram_exchange)
{
	static const char auth[] =
		"n=user,r=rOprNGfwEbeRWgbNEkqO,"
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
	uint8_t salt[16], client[32], stored[32], signature[32], server[32], space[64];
	struct crypto_pbkdf2 p;
	struct buf text;

	T_EQ(codec_base64_read(bytes_of("W22ZaJ0SNY7soEsUEjb6gQ=="), salt, sizeof salt), 16);
	crypto_pbkdf2_begin(&p, bytes_of("pencil"), bytes_make(salt, 16), 4096);
	T_OK(crypto_pbkdf2_step(&p, 4096));
	crypto_hmac_sha256(bytes_make(p.sum, 32), bytes_of("Client Key"), client);
	crypto_sha256(bytes_make(client, 32), stored);
	crypto_hmac_sha256(bytes_make(stored, 32), bytes_of(auth), signature);
	for (size_t i = 0; i < 32; i++)
		client[i] ^= signature[i];
	buf_init(&text, space, sizeof space);
	T_OK(codec_base64(bytes_make(client, 32), &text));
	T_BYTES(text.data, text.len, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
	crypto_hmac_sha256(bytes_make(p.sum, 32), bytes_of("Server Key"), server);
	crypto_hmac_sha256(bytes_make(server, 32), bytes_of(auth), signature);
	buf_reset(&text);
	T_OK(codec_base64(bytes_make(signature, 32), &text));
	T_BYTES(text.data, text.len, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

T_TEST(random_needs_entropy)
{
	uint8_t a[32], b[32], many[3000];

	entropy_answer = E_AGAIN;
	T_EQ(crypto_init(entropy), E_AGAIN);
	T_EQ(crypto_random(a, sizeof a), E_IO);
	entropy_answer = E_IO;
	T_EQ(crypto_init(entropy), E_IO);
	entropy_answer = OK;
	T_EQ(crypto_init(entropy), OK);
	T_EQ(crypto_random(a, sizeof a), OK);
	T_EQ(crypto_random(b, sizeof b), OK);
	T_OK(memcmp(a, b, sizeof a) != 0);
	memset(many, 0, sizeof many); /* more than one request of the generator */
	T_EQ(crypto_random(many, sizeof many), OK);
	T_OK(memcmp(many + 2900, many, 100) != 0);
	T_EQ(crypto_init(entropy), OK);
	T_EQ(crypto_random(b, sizeof b), OK);
	T_OK(memcmp(a, b, sizeof a) != 0);
}

T_TEST(compare_and_wipe)
{
	char a[] = "secret", b[] = "secrex";

	T_OK(crypto_equal(a, a, 6));
	T_OK(!crypto_equal(a, b, 6));
	T_OK(crypto_equal(a, b, 5));
	crypto_wipe(a, 6);
	T_OK(memcmp(a, "\0\0\0\0\0\0", 6) == 0);
}

T_MAIN(T_RUN(sha256) T_RUN(hmac) T_RUN(pbkdf2) T_RUN(scram_exchange) T_RUN(random_needs_entropy)
		T_RUN(compare_and_wipe))
