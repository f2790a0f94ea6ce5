// SPDX-License-Identifier: Apache-2.0
#include "lib/test.h"

#include <stdio.h>

#include "base/base64.h"

/* RFC 4648 section 10, and bytes that need the last two digits. */
static const struct {
	struct bytes plain;
	const char *text;
} vectors[] = {
	{ BYTES(""), "" },	    { BYTES("f"), "Zg==" },	    { BYTES("fo"), "Zm8=" },
	{ BYTES("foo"), "Zm9v" },   { BYTES("foob"), "Zm9vYg=="},  { BYTES("fooba"), "Zm9vYmE=" },
	{ BYTES("foobar"), "Zm9vYmFy" }, { BYTES("\xfb\xff\xbf"), "+/+/" },
};

static struct bytes text(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static void known(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		cleanup_writer_ struct writer w = WRITER(64), back = WRITER(64);

		assert_int_equal(base64_decode_to(&w, text(vectors[i].text), BASE64_STANDARD), 0);
		assert_int_equal(w.n, vectors[i].plain.n);
		assert_true(bytes_equal(w.p, vectors[i].plain.p, w.n));
		write_base64(&back, vectors[i].plain);
		assert_int_equal(back.n, strlen(vectors[i].text));
		assert_true(bytes_equal(back.p, vectors[i].text, back.n));
	}
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zg==Zg==", "Zm9v\n", " Zm9", "Zm 9", "Zm9*", "Zh==", "Zm9=", "Z=g=", "Zm8==",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup_writer_ struct writer w = WRITER(64);

		write_u8(&w, 'x');
		assert_int_equal(base64_decode_to(&w, text(bad[i]), BASE64_EITHER), -EINVAL);
		assert_bytes(writer_view(&w), "x");
	}
}

static void alphabets(void **state)
{
	cleanup_writer_ struct writer w = WRITER(64);

	(void)state;
	assert_int_equal(base64_decode_to(&w, text("-_-_"), BASE64_STANDARD), -EINVAL);
	assert_int_equal(base64_decode_to(&w, text("-_-_"), BASE64_EITHER), 0);
	assert_bytes(writer_view(&w), "\xfb\xff\xbf");
	assert_int_equal(base64_decode_to(&w, text("-_+/"), BASE64_EITHER), -EINVAL);
	assert_int_equal(base64_decode_to(&w, text("+/-_"), BASE64_EITHER), -EINVAL);
}

/* Every length and every byte comes back. */
static void round_trips(void **state)
{
	uint8_t all[256];

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)(i * 7 + 3);
	for (size_t n = 0; n <= sizeof(all); n++) {
		cleanup_writer_ struct writer enc = WRITER(512), dec = WRITER(256);

		write_base64(&enc, (struct bytes){ all, n });
		assert_int_equal(base64_decode_to(&dec, writer_view(&enc), BASE64_STANDARD), 0);
		assert_int_equal(dec.n, n);
		assert_true(bytes_equal(dec.p, all, n));
	}
}

static void bounded(void **state)
{
	cleanup_writer_ struct writer fits = WRITER(3), small = WRITER(2);

	(void)state;
	assert_int_equal(base64_decode_to(&fits, text("Zm9v"), BASE64_STANDARD), 0);
	assert_int_equal(base64_decode_to(&small, text("Zm9v"), BASE64_STANDARD), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known),	cmocka_unit_test(refused), cmocka_unit_test(alphabets),
		cmocka_unit_test(round_trips), cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
