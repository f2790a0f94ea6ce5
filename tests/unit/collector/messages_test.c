// SPDX-License-Identifier: Apache-2.0
/* What report.c and prove.c say for a peer in a given state. */
#include "lib/test.h"

#include "collector/prove.h"
#include "collector/report.h"

static struct peer peer;
static struct source_status status;

static struct wire_message decode(struct writer *w)
{
	struct wire_message m;
	const char *where;

	assert_int_equal(writer_status(w), 0);
	assert_int_equal(wire_decode(writer_view(w), &m, &where), WIRE_DECODE_OK);
	return m;
}

static uint64_t floor_said(uint64_t surely)
{
	cleanup_writer_ struct writer w = WRITER(65536);

	report_entries(&w, &peer, 100, BYTES("block"), surely, 105, &status);
	return decode(&w).entries.floor;
}

/* Every QUOTE behind an ENTRIES covers at least its floor: never more than the quote that is on its way was promised. */
static void floor_is_never_too_high(void **state unused_)
{
	peer_init(&peer, "test", false, false, 1);
	assert_int_equal(floor_said(80), 80);
	peer.quote.surely = 70;
	peer.quote.stage = PEER_QUOTE_TAKING;
	assert_int_equal(floor_said(80), 70);
	peer.quote.stage = PEER_QUOTE_READY;
	assert_int_equal(floor_said(80), 70);
	peer.quote.stage = PEER_QUOTE_SENT;
	assert_int_equal(floor_said(80), 70);
	peer.quote.stage = PEER_QUOTE_NONE;
	assert_int_equal(floor_said(80), 80);
}

static void entries(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(65536);
	struct wire_message m;

	peer_init(&peer, "test", false, false, 1);
	memset(peer.session, 5, sizeof(peer.session));
	peer.rtt_us = 777;
	status = (struct source_status){ .extend_failures = 3 };
	status.drops[EVENT_DROP_RING_FULL] = 11;
	status.drops[EVENT_DROP_MISSED_RUN] = 18;
	report_entries(&w, &peer, 100, BYTES("block"), 80, 107, &status);
	m = decode(&w);
	assert_int_equal(m.entries.measured, 107);
	assert_int_equal(m.type, WIRE_ENTRIES);
	assert_memory_equal(m.entries.session, peer.session, sizeof(peer.session));
	assert_int_equal(m.entries.first, 100);
	assert_bytes(m.entries.block, "block");
	assert_int_equal(m.entries.n_drops, EVENT_DROP_COUNT); /* by number, as docs/WIRE.md says */
	assert_int_equal(m.entries.drops[EVENT_DROP_NONE], 0);
	assert_int_equal(m.entries.drops[EVENT_DROP_RING_FULL], 11);
	assert_int_equal(m.entries.drops[EVENT_DROP_MISSED_RUN], 18);
	assert_int_equal(m.entries.extend_failures, 3);
	assert_int_equal(m.entries.rtt_us, 777);
}

static void quote(void **state unused_)
{
	cleanup_writer_ struct writer w = WRITER(65536), empty = WRITER(65536);
	struct wire_message m;

	peer_init(&peer, "test", false, false, 1);
	memset(peer.session, 5, sizeof(peer.session));
	peer.quote = (struct peer_quote){ .stage = PEER_QUOTE_READY, .seq = 4, .surely = 90, .n_commitments = 2,
					  .position = 1, .quote_us = 1234, .returned_us = 5000 };
	memset(peer.quote.nonce, 6, sizeof(peer.quote.nonce));
	memset(peer.nonce, 7, sizeof(peer.nonce)); /* a newer one: not the one that was used */
	memset(peer.quote.commitments[1], 8, 32);
	peer.quote.quote.attest_n = 10;
	peer.quote.quote.signature_n = 20;
	prove_quote(&w, &peer, 95, BYTES("tail"), 5600);
	m = decode(&w);
	assert_int_equal(m.type, WIRE_QUOTE);
	assert_int_equal(m.quote.seq, 4);
	assert_int_equal(m.quote.surely, 90);
	assert_memory_equal(m.quote.nonce, peer.quote.nonce, 32);
	assert_int_equal(m.quote.n_commitments, 2);
	assert_int_equal(m.quote.position, 1);
	assert_memory_equal(m.quote.commitments[1], peer.quote.commitments[1], 32);
	assert_int_equal(m.quote.attest.n, 10);
	assert_int_equal(m.quote.signature.n, 20);
	assert_int_equal(m.quote.quote_us, 1234);
	assert_int_equal(m.quote.age_us, 600);
	assert_int_equal(m.quote.first, 95);
	assert_bytes(m.quote.block, "tail");
	prove_quote(&empty, &peer, 95, (struct bytes){ NULL, 0 }, 5600);
	m = decode(&empty);
	assert_int_equal(m.quote.block.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floor_is_never_too_high),
		cmocka_unit_test(entries),
		cmocka_unit_test(quote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
