// SPDX-License-Identifier: Apache-2.0
/* Every message there and back, every member left out and of the wrong type, every rule of the encoding. */
#include "unit/wire/msg_helper.h"

static void assert_encodes_to(const struct wire_message *m, struct bytes want)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);

	wire_encode(&w, m);
	assert_int_equal(writer_status(&w), 0);
	assert_int_equal(w.n, want.n);
	assert_memory_equal(w.p, want.p, want.n);
}

static void assert_view(struct bytes got, const char *want)
{
	assert_int_equal(got.n, strlen(want));
	assert_memory_equal(got.p, want, got.n);
}

static void test_golden(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		struct wire_message m = sample(golden[i].type), got;
		struct bytes b = unhex(&w, golden[i].hex);
		const char *where;

		assert_encodes_to(&m, b);
		assert_int_equal(decode(b, &got, &where), WIRE_DECODE_OK);
		assert_string_equal(where, "");
		assert_int_equal(got.type, golden[i].type);
		assert_encodes_to(&got, b);
	}
}

static void check_hello(const struct wire_hello *h)
{
	struct wire_hello want = sample_hello();

	assert_int_equal(h->version, 1);
	assert_memory_equal(h->attester, want.attester, 32);
	assert_view(h->ak_public, "ak-public");
	assert_view(h->ek_public, "ek-public");
	assert_view(h->ek_cert, "ek-cert");
	assert_view(h->label, "node-17");
	assert_view(h->kernel, "6.1.0");
	assert_int_equal(h->bank, 0xb);
	assert_int_equal(h->pcr_mask, 0x4ff);
	assert_int_equal(h->list_length, 4821);
	assert_int_equal(h->reset_count, 7);
	assert_int_equal(h->restart_count, 3);
	assert_int_equal(h->flags, 3);
	assert_int_equal(h->support, WIRE_SUPPORT_ORDERED);
	assert_int_equal(h->n_boot_pcrs, 2);
	assert_int_equal(h->boot_pcrs[1].index, 7);
	assert_memory_equal(h->boot_pcrs[1].value.p, boot_values[1], 32);
	assert_view(h->ek_chain, "ek-chain");
	assert_view(h->iak_cert, "iak-cert");
	assert_int_equal(h->list_first, 17);
}

/* That the golden bytes reach the right members. */
static void test_values(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);
	struct wire_message m;
	const char *where;

	(void)state;
	assert_int_equal(decode(unhex(&w, GOLD_hello), &m, &where), WIRE_DECODE_OK);
	check_hello(&m.hello);
	assert_int_equal(decode(unhex(&w, GOLD_activate), &m, &where), WIRE_DECODE_OK);
	check_hello(&m.activate.hello);
	assert_view(m.activate.secret, "secret");
	assert_int_equal(decode(unhex(&w, GOLD_entries), &m, &where), WIRE_DECODE_OK);
	assert_int_equal(m.entries.session[15], 0x1f);
	assert_int_equal(m.entries.first, 4096);
	assert_int_equal(m.entries.floor, 4100);
	assert_view(m.entries.block, "block");
	assert_int_equal(m.entries.n_drops, 3);
	assert_int_equal(m.entries.drops[2], 300);
	assert_int_equal(m.entries.drops[3], 0);
	assert_int_equal(m.entries.extend_failures, 2);
	assert_int_equal(m.entries.rtt_us, 900);
	assert_int_equal(decode(unhex(&w, GOLD_quote), &m, &where), WIRE_DECODE_OK);
	assert_int_equal(m.quote.seq, 5);
	assert_int_equal(m.quote.nonce[31], 0x3f);
	assert_int_equal(m.quote.surely, 70000);
	assert_view(m.quote.attest, "attest");
	assert_view(m.quote.signature, "signature");
	assert_int_equal(m.quote.n_commitments, 2);
	assert_int_equal(m.quote.commitments[1][31], 2);
	assert_int_equal(m.quote.position, 1);
	assert_int_equal(m.quote.quote_us, 25000);
	assert_true(m.quote.age_us == UINT64_C(1) << 40);
	assert_int_equal(m.quote.first, 69000);
	assert_view(m.quote.block, "block");
	assert_int_equal(m.quote.rtt_us, 163);
	assert_int_equal(decode(unhex(&w, GOLD_wait), &m, &where), WIRE_DECODE_OK);
	assert_int_equal(m.wait.session[0], 0x10);
	assert_int_equal(decode(unhex(&w, GOLD_welcome), &m, &where), WIRE_DECODE_OK);
	assert_int_equal(m.welcome.nonce[0], 0x20);
	assert_int_equal(m.welcome.resume, 255);
	assert_view(m.welcome.policy, "sha256:00");
	assert_int_equal(m.welcome.heartbeat_ms, 60000);
	assert_int_equal(m.welcome.max_message, 1310720);
	assert_int_equal(m.welcome.max_block_entries, 4096);
	assert_true(m.welcome.has_reference);
	assert_int_equal(m.welcome.reference[31], 0x7f);
	assert_int_equal(m.welcome.reference_size, 1600012);
	assert_int_equal(decode(unhex(&w, GOLD_challenge), &m, &where), WIRE_DECODE_OK);
	assert_view(m.challenge.credential_blob, "blob");
	assert_view(m.challenge.secret, "encrypted");
	assert_int_equal(decode(unhex(&w, GOLD_reject), &m, &where), WIRE_DECODE_OK);
	assert_int_equal(m.reject.reason, 106);
	assert_view(m.reject.detail, "detail");
	assert_int_equal(m.reject.retry_ms, 1000);
	assert_int_equal(decode(unhex(&w, GOLD_ack), &m, &where), WIRE_DECODE_OK);
	assert_int_equal(m.ack.next, 256);
	assert_int_equal(m.ack.proven, 255);
	assert_int_equal(m.ack.state, WIRE_STATE_TRUSTED);
	assert_true(m.ack.has_nonce);
	assert_int_equal(m.ack.nonce[1], 0x21);
	assert_true(m.ack.quote_wanted);
	assert_int_equal(m.ack.reason, 71);
	assert_int_equal(decode(unhex(&w, GOLD_resume), &m, &where), WIRE_DECODE_OK);
	assert_int_equal(m.resume.from, 65536);
	assert_int_equal(m.resume.reason, 76);
	assert_int_equal(decode(unhex(&w, GOLD_directive), &m, &where), WIRE_DECODE_OK);
	assert_int_equal(m.directive.flags, 13);
	assert_true(m.directive.has_nonce);
	assert_view(m.directive.policy, "sha256:00");
	assert_true(m.directive.has_reference);
	assert_int_equal(m.directive.reference[0], 0x60);
	assert_int_equal(m.directive.reference_size, 1600012);
	assert_int_equal(decode(unhex(&w, GOLD_fetch), &m, &where), WIRE_DECODE_OK);
	assert_int_equal(m.fetch.session[0], 0x10);
	assert_int_equal(m.fetch.reference[0], 0x60);
	assert_int_equal(m.fetch.offset, 65536);
	assert_int_equal(decode(unhex(&w, GOLD_chunk), &m, &where), WIRE_DECODE_OK);
	assert_int_equal(m.chunk.offset, 65536);
	assert_view(m.chunk.data, "data");
}

/* Cut anywhere, or longer by a byte: not well-formed, and the output untouched. */
static void test_truncated_and_trailing(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		struct bytes b = unhex(&w, golden[i].hex);
		struct wire_message m, before;
		const char *where;

		for (size_t n = 0; n < b.n; n++) {
			uint8_t *copy = alloc_bytes(n); /* exact size: ASan sees a read past it */

			bytes_copy(copy, b.p, n);
			memset(&before, 0xa5, sizeof(before));
			assert_int_equal(decode((struct bytes){ copy, n }, &m, &where), WIRE_DECODE_MALFORMED);
			assert_memory_equal(&m, &before, sizeof(m));
			free(copy);
		}
		write_u8(&w, 0xf6);
		assert_int_equal(outcome(writer_view(&w)), WIRE_DECODE_MALFORMED);
	}
}

static void remove_member(struct parts *p, size_t i)
{
	memmove(&p->m[i], &p->m[i + 1], (p->n - i - 1) * sizeof(p->m[0]));
	p->n--;
}

/* Keys that each message must have: docs/WIRE.md. */
static bool is_required(uint64_t type, uint64_t key)
{
	static const struct {
		uint64_t type;
		uint32_t keys;
	} required[] = {
		{ WIRE_HELLO, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 11 | 1u << 12 },
		{ WIRE_ACTIVATE, 1u << 1 | 1u << 2 },
		{ WIRE_ENTRIES, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 },
		{ WIRE_QUOTE, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 },
		{ WIRE_WAIT, 1u << 1 },
		{ WIRE_WELCOME, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 5 | 1u << 6 | 1u << 7 },
		{ WIRE_CHALLENGE, 1u << 1 | 1u << 2 },
		{ WIRE_REJECT, 1u << 1 },
		{ WIRE_ACK, 1u << 1 | 1u << 2 | 1u << 3 },
		{ WIRE_RESUME, 1u << 1 },
		{ WIRE_DIRECTIVE, 1u << 1 },
		{ WIRE_FETCH, 1u << 1 | 1u << 2 | 1u << 3 },
		{ WIRE_CHUNK, 1u << 1 | 1u << 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(required); i++)
		if (required[i].type == type)
			return required[i].keys >> key & 1;
	return false;
}

/* Optional, and no other member needs it. */
static bool stands_alone(unsigned int type, uint64_t key)
{
	switch (type) {
	case WIRE_QUOTE:
		return key != WIRE_QUOTE_KEY_POSITION;
	case WIRE_WELCOME:
		return key != WIRE_WELCOME_KEY_REFERENCE && key != WIRE_WELCOME_KEY_REFERENCE_SIZE;
	case WIRE_DIRECTIVE:
		return key != WIRE_DIRECTIVE_KEY_REFERENCE && key != WIRE_DIRECTIVE_KEY_REFERENCE_SIZE;
	default:
		return true;
	}
}

/* Each member of each message: left out, and of another type. */
static void test_members(void **state)
{
	static const uint8_t text_item[] = { 0x61, 'x' }, null_item[] = { 0xf6 };
	cleanup_writer_ struct writer gold = WRITER(LIMIT_MESSAGE), w = WRITER(LIMIT_MESSAGE), again = WRITER(LIMIT_MESSAGE);
	unsigned int tried = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		struct parts whole = split(unhex(&gold, golden[i].hex));

		for (size_t k = 0; k < whole.n; k++, tried++) {
			struct parts p = whole;
			struct wire_message m;
			const char *where;

			remove_member(&p, k);
			if (is_required(p.type, whole.m[k].key)) {
				assert_int_equal(decode(join(&w, &p), &m, &where), WIRE_DECODE_MISSING);
				assert_true(strlen(where) > 0);
			} else if (stands_alone(p.type, whole.m[k].key)) {
				assert_int_equal(decode(join(&w, &p), &m, &where), WIRE_DECODE_OK);
				wire_encode(&again, &m);
				assert_int_equal(again.n, w.n);
				assert_memory_equal(again.p, w.p, w.n);
				writer_reset(&again);
			}
			p = whole;
			p.m[k].value = (struct bytes){ text_item, sizeof(text_item) };
			assert_int_equal(decode(join(&w, &p), &m, &where), WIRE_DECODE_RANGE);
			assert_true(strlen(where) > 0);
			p.m[k].value = (struct bytes){ null_item, sizeof(null_item) };
			assert_int_equal(outcome(join(&w, &p)), WIRE_DECODE_RANGE);
		}
	}
	assert_int_equal(tried, 18 + 2 + 7 + 13 + 1 + 9 + 2 + 3 + 6 + 2 + 5 + 3 + 2);
}

/* RFC 8949 section 4.2.1, rule by rule, in the place of one number: RESUME.from. */
static void test_deterministic(void **state)
{
	static const char *const refused[] = {
		"1817",		      /* 23 in two bytes */
		"190010",	      /* 16 in three */
		"1900ff",	      /* 255 in three */
		"1a0000ffff",	      /* 65535 in five */
		"1b00000000ffffffff", /* 2^32 - 1 in nine */
		"1c", "1d", "1e",     /* reserved */
		"1f",		      /* indefinite number */
		"5f4100ff",	      /* indefinite byte string */
		"7f6161ff",	      /* indefinite text */
		"9f00ff",	      /* indefinite array */
		"bf0000ff",	      /* indefinite map */
		"ff",		      /* break */
		"c000",		      /* tags */
		"d81800",
		"f93c00",	      /* half, single, double precision numbers */
		"fa47c35000",
		"fb3ff199999999999a",
		"f7",		      /* undefined */
		"e0", "f3",	      /* unassigned simple values */
		"f814", "f820",	      /* simple values in two bytes */
		"581700112233445566778899aabbccddeeff00112233445566", /* 23 bytes, length in two bytes */
		"5bffffffffffffffff", "5affffffff", "7bffffffffffffffff", /* longer than the message */
		"98810000", "9bffffffffffffffff", "bbffffffffffffffff",
	};
	static const char *const accepted[] = { "17", "1818", "18ff", "190100", "19ffff", "1a00010000", "1affffffff",
						"1b0000000100000000", "1b0001000000000000" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_int_equal(with_value(GOLD_resume, WIRE_RESUME_KEY_FROM, refused[i]), WIRE_DECODE_MALFORMED);
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++)
		assert_int_equal(with_value(GOLD_resume, WIRE_RESUME_KEY_FROM, accepted[i]), WIRE_DECODE_OK);
}

/* Optional members with their default value, and other values that have a shorter form: left out. */
static void test_explicit_defaults(void **state)
{
	(void)state;
	assert_int_equal(with_value(GOLD_resume, WIRE_RESUME_KEY_REASON, "00"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_ack, WIRE_ACK_KEY_QUOTE_WANTED, "f4"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_reject, WIRE_REJECT_KEY_DETAIL, "40"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_entries, WIRE_ENTRIES_KEY_DROPS, "80"), WIRE_DECODE_RANGE);
	assert_int_equal(with_value(GOLD_hello, WIRE_HELLO_KEY_BOOT_PCRS, "a0"), WIRE_DECODE_RANGE);
}

static void test_keys(void **state)
{
	static const char *const refused[] = {
		"8220",				    /* type negative */
		"a10101", "00", "", "80", "811824", /* not [type, map] */
		"831824a1010001", "8218248101", "82182400",
		"821824a2010202030304",		    /* more than the map says */
		"821824a20100",			    /* less */
		"821824a201000100",		    /* the same key twice */
		"821824a202010100",		    /* not ascending */
		"821824a3010018200a180a00",	    /* the same among unknown ones */
		"821824a1410100", "821824a1200100", "821824a1f500", /* keys that are no unsigned numbers */
		"821824a201001800f6",		    /* key not in shortest form */
	};
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_int_equal(outcome(unhex(&w, refused[i])), WIRE_DECODE_MALFORMED);
	assert_int_equal(outcome(unhex(&w, "821824a10100")), WIRE_DECODE_OK);
	assert_int_equal(outcome(unhex(&w, "8200a0")), WIRE_DECODE_UNKNOWN_TYPE);
	assert_int_equal(outcome(unhex(&w, "8207a0")), WIRE_DECODE_UNKNOWN_TYPE);
	assert_int_equal(outcome(unhex(&w, "821827a0")), WIRE_DECODE_UNKNOWN_TYPE);
	assert_int_equal(outcome(unhex(&w, "821bffffffffffffffffa0")), WIRE_DECODE_UNKNOWN_TYPE);
}

/* A newer peer's members are skipped, whatever they hold, as long as it is CBOR of the kind that we take. */
static void test_unknown_members(void **state)
{
	static const char *const skipped[] = {
		"00", "1bffffffffffffffff", "20", "3bffffffffffffffff", "40", "4101", "60", "6161", "80", "a0", "f4", "f5", "f6",
		"8301024103", "a2010002a0",
		"818101",     /* depth 4: message, members, two arrays */
		"a101a101f6", /* two maps */
		"82a1016161a0", "828080",
	};
	static const char *const refused[] = {
		"81818101",	/* depth 5 */
		"a101a101a10100", "8181a0", "818180",
		"a2010001f6",	/* keys twice, descending, no numbers */
		"a202000100", "a1616100", "a1a000",
		"82", "8201", "a101", "a1",
		"c100", "f7", "9f", "f90000", "81f97e00",
	};
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(skipped); i++) {
		char hex[128];
		struct wire_message m;
		const char *where;

		/* before, between and behind the known members */
		snprintf(hex, sizeof(hex), "821824a400%s0118ff0a%s1903e7%s", skipped[i], skipped[i], skipped[i]);
		assert_int_equal(decode(unhex(&w, hex), &m, &where), WIRE_DECODE_OK);
		assert_int_equal(m.resume.from, 255);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		char hex[128];

		snprintf(hex, sizeof(hex), "821824a20118ff0a%s", refused[i]);
		assert_int_equal(outcome(unhex(&w, hex)), WIRE_DECODE_MALFORMED);
	}
}

/* Inside the HELLO of ACTIVATE one level less is left. */
static void test_unknown_members_nested(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE), gold = WRITER(LIMIT_MESSAGE);
	cleanup_writer_ struct writer nested = WRITER(LIMIT_MESSAGE), value = WRITER(LIMIT_MESSAGE);

	(void)state;
	for (int depth = 1; depth <= 2; depth++) {
		struct parts activate = split(unhex(&gold, GOLD_activate)), hello;
		struct bytes message;

		/* the nested map as a message of its own, to edit it */
		writer_reset(&nested);
		cbor_write_array(&nested, 2);
		cbor_write_uint(&nested, WIRE_HELLO);
		write_bytes(&nested, activate.m[0].value.p, activate.m[0].value.n);
		hello = split(writer_view(&nested));
		hello.m[hello.n].key = 99;
		hello.m[hello.n].value = unhex(&value, depth == 1 ? "80" : "8180");
		hello.n++;
		message = join(&w, &hello);
		writer_reset(&nested);
		write_bytes(&nested, message.p + 2, message.n - 2); /* without [type, */
		activate.m[0].value = writer_view(&nested);
		assert_int_equal(outcome(join(&w, &activate)), depth == 1 ? WIRE_DECODE_OK : WIRE_DECODE_MALFORMED);
	}
}

static void test_item_limit(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);

	(void)state;
	for (unsigned int over = 0; over <= 1; over++) {
		unsigned int n = LIMIT_CBOR_ITEMS + over;
		enum wire_decode_outcome want = over ? WIRE_DECODE_MALFORMED : WIRE_DECODE_OK;

		/* members of a message; of an array; of a map */
		writer_reset(&w);
		cbor_write_array(&w, 2);
		cbor_write_uint(&w, WIRE_RESUME);
		cbor_write_map(&w, n);
		for (unsigned int i = 1; i <= n; i++) {
			cbor_write_uint(&w, i == 2 ? 1000 : i > 2 ? 1000 + i : i);
			cbor_write_uint(&w, 0);
		}
		assert_int_equal(outcome(writer_view(&w)), want);
		for (int map = 0; map <= 1; map++) {
			unhex(&w, "821824a201000a");
			if (map)
				cbor_write_map(&w, n);
			else
				cbor_write_array(&w, n);
			for (unsigned int i = 0; i < n; i++) {
				if (map)
					cbor_write_uint(&w, i);
				cbor_write_uint(&w, 7);
			}
			assert_int_equal(outcome(writer_view(&w)), want);
		}
	}
}

static void test_message_limit(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE + 1);

	(void)state;
	for (unsigned int over = 0; over <= 1; over++) {
		size_t filler;

		unhex(&w, "821824a201000a");
		filler = LIMIT_MESSAGE - w.n - 5 + over; /* 5: head of a byte string of this length */
		write_u8(&w, 0x5a);
		write_u32be(&w, (uint32_t)filler);
		memset(write_space(&w, filler), 0, filler);
		assert_int_equal(w.n, LIMIT_MESSAGE + over);
		assert_int_equal(outcome(writer_view(&w)), over ? WIRE_DECODE_TOO_LARGE : WIRE_DECODE_OK);
	}
}

static void test_version(void **state)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_MESSAGE);
	struct wire_message m;
	const char *where;

	(void)state;
	/* all else may have changed, only the place of the version stays */
	assert_int_equal(decode(unhex(&w, "8201a2010202fb3ff199999999999a"), &m, &where), WIRE_DECODE_VERSION);
	assert_int_equal(m.type, WIRE_HELLO);
	assert_int_equal(m.hello.version, 2);
	assert_int_equal(m.hello.ak_public.n, 0);
	assert_int_equal(decode(unhex(&w, "8202a101a10100"), &m, &where), WIRE_DECODE_VERSION);
	assert_int_equal(m.type, WIRE_ACTIVATE);
	assert_int_equal(m.activate.hello.version, 0);
	assert_int_equal(outcome(unhex(&w, "8201a0")), WIRE_DECODE_MISSING);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(wire_type_name(WIRE_HELLO), "HELLO");
	assert_string_equal(wire_type_name(WIRE_DIRECTIVE), "DIRECTIVE");
	assert_string_equal(wire_type_name(31), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_truncated_and_trailing),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_explicit_defaults),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_unknown_members),
		cmocka_unit_test(test_unknown_members_nested),
		cmocka_unit_test(test_item_limit),
		cmocka_unit_test(test_message_limit),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
