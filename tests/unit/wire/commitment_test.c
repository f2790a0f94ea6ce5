// SPDX-License-Identifier: Apache-2.0
/* Vectors computed with Python's hashlib, from docs/WIRE.md alone:
 *
 *   def fld(b): return struct.pack('>I', len(b)) + b
 *   def commitment(attester, session, nonce, seq, previous, surely):
 *       return sha256(fld(b'imastream commitment v1') + fld(struct.pack('>I', 1)) + fld(attester) + fld(session) +
 *                     fld(nonce) + fld(struct.pack('>Q', seq)) + fld(previous) + fld(struct.pack('>Q', surely))).digest()
 *   def qualifying(l):
 *       return sha256(fld(b'imastream qualifying data v1') + fld(struct.pack('>I', len(l))) + b''.join(map(fld, l))).digest()
 *   c1 = commitment(bytes(32), bytes(16), bytes(32), 0, bytes(32), 0)
 *   c2 = commitment(bytes(range(0x40, 0x60)), bytes(range(0x10, 0x20)), bytes(range(0x20, 0x40)), 5, b'\xee' * 32, 70000)
 */
#include "unit/wire/samples.h"

#define C1 "963451430dca067f8d8cf4f0184ee8c211be5b3ec1ad33a43f4eba2ff409443b"
#define C2 "5f0cce565c4a63f2a3b3cec07ecf0bb4a08d5315db7ceaf933e14108ba67be3f"
#define Q_C1 "1b76e76ce4225cdf2fb91dd436572924fea5b566f98a2d3396106e912862cd78"
#define Q_C1_C2 "bb3761d51b564f0d3a0d05f47eb90120878817d575297778544fd456329890b7"
#define Q_C2_C1 "38ca51a2420e8511761dd12290c75fdbe97dd7fdddbb109bcc3a17ca46eb87aa"

static void assert_hash(const uint8_t got[32], const char *hex)
{
	uint8_t want[32];

	assert_int_equal(hex_decode(lit(hex), want, sizeof(want)), 0);
	assert_memory_equal(got, want, sizeof(want));
}

static struct wire_commitment_inputs second(void)
{
	struct wire_commitment_inputs in = { .seq = 5, .surely = 70000 };

	fill_up(in.attester, 32, 0x40);
	fill_up(in.session, 16, 0x10);
	fill_up(in.nonce, 32, 0x20);
	memset(in.previous, 0xee, 32);
	return in;
}

static void test_vectors(void **state)
{
	struct wire_commitment_inputs zero = { 0 }, in = second();
	uint8_t c[2][32], swapped[2][32], q[32];

	(void)state;
	wire_commitment(&zero, c[0]);
	assert_hash(c[0], C1);
	wire_commitment(&in, c[1]);
	assert_hash(c[1], C2);
	wire_qualifying((const uint8_t(*)[32])c, 1, q);
	assert_hash(q, Q_C1);
	wire_qualifying((const uint8_t(*)[32])c, 2, q);
	assert_hash(q, Q_C1_C2);
	memcpy(swapped[0], c[1], 32);
	memcpy(swapped[1], c[0], 32);
	wire_qualifying((const uint8_t(*)[32])swapped, 2, q);
	assert_hash(q, Q_C2_C1);
}

/* Each bit of each input counts. */
static void test_every_input_counts(void **state)
{
	struct wire_commitment_inputs in = second();
	uint8_t *bytes = (uint8_t *)&in, before[32], after[32];

	(void)state;
	wire_commitment(&in, before);
	for (size_t i = 0; i < sizeof(in); i++) {
		bytes[i] ^= 0x40;
		wire_commitment(&in, after);
		assert_memory_not_equal(before, after, 32);
		bytes[i] ^= 0x40;
	}
	wire_commitment(&in, after);
	assert_memory_equal(before, after, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_every_input_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
