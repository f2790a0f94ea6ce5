// SPDX-License-Identifier: Apache-2.0
/* Every member at its limit and one past it; the encoder refuses what the decoder refuses. */
#include "unit/wire/msg_helper.h"

static uint8_t filler[LIMIT_BLOCK_PACKED + 1];

static void try_bytes(enum wire_type type, size_t offset, size_t limit)
{
	for (size_t over = 0; over <= 1; over++) {
		cleanup_writer_ struct writer w = WRITER(2 * LIMIT_MESSAGE);
		struct wire_message m = sample(type);

		*(struct bytes *)((char *)&m + offset) = (struct bytes){ filler, limit + over };
		if (over) {
			assert_encoder_refuses(&m);
			continue;
		}
		wire_encode(&w, &m);
		assert_int_equal(writer_status(&w), 0);
		assert_int_equal(outcome(writer_view(&w)), WIRE_DECODE_OK);
	}
}

#define TRY_BYTES(type, s, member, limit) try_bytes(type, offsetof(struct wire_message, s.member), limit)

/* The decoder's side of the same limits: the value is swapped in by hand. */
static void try_bytes_decoder(const char *gold_hex, uint64_t key, size_t limit)
{
	for (size_t over = 0; over <= 1; over++) {
		cleanup_writer_ struct writer gold = WRITER(LIMIT_MESSAGE), value = WRITER(LIMIT_MESSAGE);
		cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);
		struct parts p = split(unhex(&gold, gold_hex));

		cbor_write_bytes(&value, (struct bytes){ filler, limit + over });
		for (size_t i = 0; i < p.n; i++)
			if (p.m[i].key == key)
				p.m[i].value = writer_view(&value);
		assert_int_equal(outcome(join(&w, &p)), over ? WIRE_DECODE_RANGE : WIRE_DECODE_OK);
	}
}

static void test_byte_limits(void **state)
{
	(void)state;
	TRY_BYTES(WIRE_HELLO, hello, ak_public, LIMIT_PUBLIC);
	TRY_BYTES(WIRE_HELLO, hello, ek_public, LIMIT_PUBLIC);
	TRY_BYTES(WIRE_HELLO, hello, ek_cert, LIMIT_CERT);
	TRY_BYTES(WIRE_HELLO, hello, ek_chain, LIMIT_EK_CHAIN);
	TRY_BYTES(WIRE_HELLO, hello, iak_cert, LIMIT_CERT);
	TRY_BYTES(WIRE_HELLO, hello, label, LIMIT_LABEL);
	TRY_BYTES(WIRE_HELLO, hello, kernel, LIMIT_LABEL);
	TRY_BYTES(WIRE_ACTIVATE, activate, hello.label, LIMIT_LABEL);
	TRY_BYTES(WIRE_ACTIVATE, activate, secret, LIMIT_CREDENTIAL_SECRET);
	TRY_BYTES(WIRE_ENTRIES, entries, block, LIMIT_BLOCK_PACKED);
	TRY_BYTES(WIRE_QUOTE, quote, attest, LIMIT_ATTEST);
	TRY_BYTES(WIRE_QUOTE, quote, signature, LIMIT_SIGNATURE);
	TRY_BYTES(WIRE_QUOTE, quote, block, LIMIT_BLOCK_PACKED);
	TRY_BYTES(WIRE_WELCOME, welcome, policy, LIMIT_LABEL);
	TRY_BYTES(WIRE_CHALLENGE, challenge, credential_blob, LIMIT_CREDENTIAL);
	TRY_BYTES(WIRE_CHALLENGE, challenge, secret, LIMIT_CREDENTIAL);
	TRY_BYTES(WIRE_REJECT, reject, detail, LIMIT_LABEL);
	TRY_BYTES(WIRE_DIRECTIVE, directive, policy, LIMIT_LABEL);
	TRY_BYTES(WIRE_CHUNK, chunk, data, LIMIT_CHUNK);
	try_bytes_decoder(GOLD_hello, WIRE_HELLO_KEY_AK_PUBLIC, LIMIT_PUBLIC);
	try_bytes_decoder(GOLD_hello, WIRE_HELLO_KEY_EK_PUBLIC, LIMIT_PUBLIC);
	try_bytes_decoder(GOLD_hello, WIRE_HELLO_KEY_EK_CERT, LIMIT_CERT);
	try_bytes_decoder(GOLD_hello, WIRE_HELLO_KEY_EK_CHAIN, LIMIT_EK_CHAIN);
	try_bytes_decoder(GOLD_hello, WIRE_HELLO_KEY_IAK_CERT, LIMIT_CERT);
	try_bytes_decoder(GOLD_hello, WIRE_HELLO_KEY_LABEL, LIMIT_LABEL);
	try_bytes_decoder(GOLD_hello, WIRE_HELLO_KEY_KERNEL, LIMIT_LABEL);
	try_bytes_decoder(GOLD_activate, WIRE_ACTIVATE_KEY_SECRET, LIMIT_CREDENTIAL_SECRET);
	try_bytes_decoder(GOLD_entries, WIRE_ENTRIES_KEY_BLOCK, LIMIT_BLOCK_PACKED);
	try_bytes_decoder(GOLD_quote, WIRE_QUOTE_KEY_ATTEST, LIMIT_ATTEST);
	try_bytes_decoder(GOLD_quote, WIRE_QUOTE_KEY_SIGNATURE, LIMIT_SIGNATURE);
	try_bytes_decoder(GOLD_quote, WIRE_QUOTE_KEY_BLOCK, LIMIT_BLOCK_PACKED);
	try_bytes_decoder(GOLD_welcome, WIRE_WELCOME_KEY_POLICY, LIMIT_LABEL);
	try_bytes_decoder(GOLD_challenge, WIRE_CHALLENGE_KEY_CREDENTIAL_BLOB, LIMIT_CREDENTIAL);
	try_bytes_decoder(GOLD_challenge, WIRE_CHALLENGE_KEY_SECRET, LIMIT_CREDENTIAL);
	try_bytes_decoder(GOLD_reject, WIRE_REJECT_KEY_DETAIL, LIMIT_LABEL);
	try_bytes_decoder(GOLD_directive, WIRE_DIRECTIVE_KEY_POLICY, LIMIT_LABEL);
	try_bytes_decoder(GOLD_chunk, WIRE_CHUNK_KEY_DATA, LIMIT_CHUNK);
}

static void test_fixed_sizes(void **state)
{
	static const struct {
		const char *gold;
		uint64_t key;
		size_t size;
	} fixed[] = {
		{ GOLD_hello, WIRE_HELLO_KEY_ATTESTER, 32 },	{ GOLD_entries, WIRE_ENTRIES_KEY_SESSION, 16 },
		{ GOLD_quote, WIRE_QUOTE_KEY_SESSION, 16 },	{ GOLD_quote, WIRE_QUOTE_KEY_NONCE, 32 },
		{ GOLD_wait, WIRE_WAIT_KEY_SESSION, 16 },	{ GOLD_welcome, WIRE_WELCOME_KEY_SESSION, 16 },
		{ GOLD_welcome, WIRE_WELCOME_KEY_NONCE, 32 },	{ GOLD_ack, WIRE_ACK_KEY_NONCE, 32 },
		{ GOLD_directive, WIRE_DIRECTIVE_KEY_NONCE, 32 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		for (size_t n = fixed[i].size - 1; n <= fixed[i].size + 1; n++) {
			char hex[80];

			snprintf(hex, sizeof(hex), n < 24 ? "%02x%0*d" : "58%02x%0*d", n < 24 ? (unsigned int)(0x40 + n) : (unsigned int)n,
				 (int)(2 * n), 0);
			assert_int_equal(with_value(fixed[i].gold, fixed[i].key, hex),
					 n == fixed[i].size ? WIRE_DECODE_OK : WIRE_DECODE_RANGE);
		}
	}
}

static void test_number_limits(void **state)
{
	static const char *const index_ok = "1b0001000000000000", *const index_over = "1b0001000000000001";
	static const struct {
		const char *gold;
		uint64_t key;
		const char *ok, *over;
	} numbers[] = {
		{ GOLD_hello, WIRE_HELLO_KEY_BANK, "19ffff", "1a00010000" },
		{ GOLD_hello, WIRE_HELLO_KEY_BANK, "01", "00" },
		{ GOLD_hello, WIRE_HELLO_KEY_RESET_COUNT, "1affffffff", "1b0000000100000000" },
		{ GOLD_hello, WIRE_HELLO_KEY_RESTART_COUNT, "00", "1b0000000100000000" },
		{ GOLD_hello, WIRE_HELLO_KEY_FLAGS, "1affffffff", "1b0000000100000000" },
		{ GOLD_hello, WIRE_HELLO_KEY_SUPPORT, "18ff", "190100" },
		{ GOLD_entries, WIRE_ENTRIES_KEY_EXTEND_FAILURES, "1bffffffffffffffff", "00" },
		{ GOLD_entries, WIRE_ENTRIES_KEY_RTT, "1affffffff", "1b0000000100000000" },
		{ GOLD_quote, WIRE_QUOTE_KEY_SEQ, "01", "00" },
		{ GOLD_quote, WIRE_QUOTE_KEY_POSITION, "01", "02" },
		{ GOLD_quote, WIRE_QUOTE_KEY_QUOTE_US, "1bffffffffffffffff", "00" },
		{ GOLD_quote, WIRE_QUOTE_KEY_AGE_US, "1bffffffffffffffff", "00" },
		{ GOLD_welcome, WIRE_WELCOME_KEY_HEARTBEAT, "01", "00" },
		{ GOLD_welcome, WIRE_WELCOME_KEY_MAX_MESSAGE, "01", "00" },
		{ GOLD_welcome, WIRE_WELCOME_KEY_MAX_BLOCK_ENTRIES, "01", "00" },
		{ GOLD_reject, WIRE_REJECT_KEY_REASON, "01", "00" },
		{ GOLD_reject, WIRE_REJECT_KEY_RETRY, "1affffffff", "1b0000000100000000" },
		{ GOLD_ack, WIRE_ACK_KEY_PROVEN, "190100", "190101" }, /* proven <= next */
		{ GOLD_ack, WIRE_ACK_KEY_STATE, "18ff", "190100" },
		{ GOLD_ack, WIRE_ACK_KEY_REASON, "1affffffff", "1b0000000100000000" },
		{ GOLD_directive, WIRE_DIRECTIVE_KEY_FLAGS, "00", "1b0000000100000000" },
	};
	static const struct {
		const char *gold;
		uint64_t key;
	} indexes[] = {
		{ GOLD_hello, WIRE_HELLO_KEY_LIST_LENGTH }, { GOLD_hello, WIRE_HELLO_KEY_LIST_FIRST },
		{ GOLD_entries, WIRE_ENTRIES_KEY_FIRST },
		{ GOLD_entries, WIRE_ENTRIES_KEY_FLOOR },   { GOLD_quote, WIRE_QUOTE_KEY_SEQ },
		{ GOLD_quote, WIRE_QUOTE_KEY_SURELY },	    { GOLD_quote, WIRE_QUOTE_KEY_FIRST },
		{ GOLD_welcome, WIRE_WELCOME_KEY_RESUME },  { GOLD_ack, WIRE_ACK_KEY_NEXT },
		{ GOLD_resume, WIRE_RESUME_KEY_FROM },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		assert_int_equal(with_value(numbers[i].gold, numbers[i].key, numbers[i].ok), WIRE_DECODE_OK);
		assert_int_equal(with_value(numbers[i].gold, numbers[i].key, numbers[i].over), WIRE_DECODE_RANGE);
	}
	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
		assert_int_equal(with_value(indexes[i].gold, indexes[i].key, index_ok), WIRE_DECODE_OK);
		assert_int_equal(with_value(indexes[i].gold, indexes[i].key, index_over), WIRE_DECODE_RANGE);
	}
}

static void test_pcrs(void **state)
{
	struct wire_message m = sample(WIRE_HELLO);

	(void)state;
	/* PCR 10 is always quoted, and 23 is the last */
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_PCR_MASK, "1900ff"), WIRE_DECODE_MALFORMED);
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_PCR_MASK, "18ff"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_PCR_MASK, "1a00ffffff"), WIRE_DECODE_OK);
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_PCR_MASK, "1a01000400"), WIRE_DECODE_RANGE);
	/* values: of PCRs in the mask, not of 10, 1 to LIMIT_NONCE bytes, ascending */
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_BOOT_PCRS, "a2004100024100"), WIRE_DECODE_OK);
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_BOOT_PCRS, "a10a4100"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_BOOT_PCRS, "a1084100"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_BOOT_PCRS, "a118184100"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_BOOT_PCRS, "a11901004100"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_BOOT_PCRS, "a10040"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_BOOT_PCRS, "a10000"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_BOOT_PCRS, "a2024100004100"), WIRE_DECODE_MALFORMED);
	for (size_t over = 0; over <= 1; over++) {
		char hex[160];

		snprintf(hex, sizeof(hex), "a10058%02x%0*d", (unsigned int)(LIMIT_NONCE + over), (int)(2 * (LIMIT_NONCE + over)), 0);
		assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_BOOT_PCRS, hex), over ? WIRE_DECODE_RANGE : WIRE_DECODE_OK);
	}
	m.hello.boot_pcrs[1].index = 0; /* twice */
	assert_encoder_refuses(&m);
	m.hello.boot_pcrs[1].index = 10;
	assert_encoder_refuses(&m);
	m = sample(WIRE_HELLO);
	m.hello.pcr_mask = 0x2ff;
	assert_encoder_refuses(&m);
	m = sample(WIRE_ACTIVATE);
	m.activate.hello.pcr_mask = 0x2ff;
	assert_encoder_refuses(&m);
}

static void test_lists(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE), value = WRITER(LIMIT_MESSAGE), gold = WRITER(LIMIT_MESSAGE);
	struct wire_message m = sample(WIRE_ENTRIES);

	(void)state;
	m.entries.n_drops = WIRE_DROP_COUNT;
	memset(m.entries.drops, 0xff, sizeof(m.entries.drops));
	wire_encode(&w, &m);
	assert_int_equal(outcome(writer_view(&w)), WIRE_DECODE_OK);
	m.entries.n_drops = WIRE_DROP_COUNT + 1;
	assert_encoder_refuses(&m);
	assert_int_equal(with_value(GOLD_entries, WIRE_ENTRIES_KEY_DROPS, "9000000000000000000000000000000000"), WIRE_DECODE_OK);
	assert_int_equal(with_value(GOLD_entries, WIRE_ENTRIES_KEY_DROPS, "910000000000000000000000000000000000"),
			 WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_entries, WIRE_ENTRIES_KEY_DROPS, "8120"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_entries, WIRE_ENTRIES_KEY_DROPS, "a10000"), WIRE_DECODE_RANGE);

	for (size_t n = LIMIT_COMMITMENTS; n <= LIMIT_COMMITMENTS + 1; n++) {
		struct parts p = split(unhex(&gold, GOLD_quote));

		writer_reset(&value);
		cbor_write_array(&value, n);
		for (size_t i = 0; i < n; i++)
			cbor_write_bytes(&value, (struct bytes){ filler, 32 });
		for (size_t i = 0; i < p.n; i++)
			if (p.m[i].key == WIRE_QUOTE_KEY_COMMITMENTS)
				p.m[i].value = writer_view(&value);
		assert_int_equal(outcome(join(&w, &p)), n == LIMIT_COMMITMENTS ? WIRE_DECODE_OK : WIRE_DECODE_RANGE);
	}
	assert_int_equal(with_value(GOLD_quote, WIRE_QUOTE_KEY_COMMITMENTS, "80"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_quote, WIRE_QUOTE_KEY_COMMITMENTS, "824100"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_quote, WIRE_QUOTE_KEY_COMMITMENTS, "8241004100"), WIRE_DECODE_RANGE);
	m = sample(WIRE_QUOTE);
	m.quote.n_commitments = 0;
	assert_encoder_refuses(&m);
	m.quote.n_commitments = LIMIT_COMMITMENTS + 1;
	assert_encoder_refuses(&m);
	m.quote.n_commitments = 1; /* position is 1 */
	assert_encoder_refuses(&m);
}

static void test_encoder_refuses(void **state)
{
	struct wire_message m = sample(WIRE_ACK);
	cleanup_writer_ struct writer small = WRITER(16);

	(void)state;
	m.ack.proven = m.ack.next + 1;
	assert_encoder_refuses(&m);
	m = sample(WIRE_RESUME);
	m.resume.from = LIMIT_INDEX + 1;
	assert_encoder_refuses(&m);
	m = sample(WIRE_QUOTE);
	m.quote.seq = 0;
	assert_encoder_refuses(&m);
	m = sample(WIRE_ENTRIES);
	m.entries.block = (struct bytes){ NULL, 0 };
	assert_encoder_refuses(&m);
	m.type = (enum wire_type)77;
	assert_encoder_refuses(&m);
	m = sample(WIRE_QUOTE);
	wire_encode(&small, &m);
	assert_int_equal(writer_status(&small), -EMSGSIZE);
}

/* A reference set is named by digest and size, or not at all; offsets end with the largest set. */
static void test_reference_limits(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);
	struct wire_message m = sample(WIRE_WELCOME);

	(void)state;
	m.welcome.reference_size = 0;
	assert_encoder_refuses(&m);
	m = sample(WIRE_DIRECTIVE);
	m.directive.has_reference = false;
	assert_encoder_refuses(&m);
	m.directive.reference_size = 0;
	wire_encode(&w, &m);
	assert_int_equal(writer_status(&w), 0);
	assert_int_equal(outcome(writer_view(&w)), WIRE_DECODE_OK);
	m = sample(WIRE_FETCH);
	m.fetch.offset = LIMIT_REFERENCE;
	writer_reset(&w);
	wire_encode(&w, &m);
	assert_int_equal(outcome(writer_view(&w)), WIRE_DECODE_OK);
	m.fetch.offset++;
	assert_encoder_refuses(&m);
	m = sample(WIRE_CHUNK);
	m.chunk.offset = (uint64_t)LIMIT_REFERENCE + 1;
	assert_encoder_refuses(&m);
	m = sample(WIRE_CHUNK);
	m.chunk.data.n = 0;
	assert_encoder_refuses(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference_limits),
		cmocka_unit_test(test_byte_limits),
		cmocka_unit_test(test_fixed_sizes),
		cmocka_unit_test(test_number_limits),
		cmocka_unit_test(test_pcrs),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_encoder_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
