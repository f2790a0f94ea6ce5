/* SPDX-License-Identifier: Apache-2.0 */
/* One full message of each type, and its bytes as an independent encoder wrote them: a deterministic CBOR encoder of 20
 * lines of Python (map keys in the order of docs/wire.cddl, heads in shortest form). */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "wire/msg.h"

#define GOLD_hello \
	"8201b20101025820404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f0349616b2d7075626c69" \
	"630449656b2d7075626c69630547656b2d6365727406476e6f64652d31370745362e312e30080b091904ff0a1912d50b070c" \
	"030d030e020fa2005820a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0075820a7a7a7a7a7" \
	"a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a71048656b2d636861696e114869616b2d636572741211"
#define GOLD_activate \
	"8202a201b20101025820404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f0349616b2d707562" \
	"6c69630449656b2d7075626c69630547656b2d6365727406476e6f64652d31370745362e312e30080b091904ff0a1912d50b" \
	"070c030d030e020fa2005820a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0075820a7a7a7" \
	"a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a71048656b2d636861696e114869616b2d63657274121102" \
	"46736563726574"
#define GOLD_entries \
	"8203a70150101112131415161718191a1b1c1d1e1f02191000031910040445626c6f636b0583000119012c060207190384"
#define GOLD_quote \
	"8204ad0150101112131415161718191a1b1c1d1e1f0205035820202122232425262728292a2b2c2d2e2f3031323334353637" \
	"38393a3b3c3d3e3f041a00011170054661747465737406497369676e61747572650782582001010101010101010101010101" \
	"0101010101010101010101010101010101010158200202020202020202020202020202020202020202020202020202020202" \
	"0202020801091961a80a1b00000100000000000b1a00010d880c45626c6f636b0d18a3"
#define GOLD_wait \
	"8205a10150101112131415161718191a1b1c1d1e1f"
#define GOLD_welcome \
	"821820a90150101112131415161718191a1b1c1d1e1f025820202122232425262728292a2b2c2d2e2f303132333435363738" \
	"393a3b3c3d3e3f0318ff04497368613235363a30300519ea60061a0014000007191000085820606162636465666768696a6b" \
	"6c6d6e6f707172737475767778797a7b7c7d7e7f091a00186a0c"
#define GOLD_challenge \
	"821821a20144626c6f620249656e63727970746564"
#define GOLD_reject \
	"821822a301186a024664657461696c031903e8"
#define GOLD_ack \
	"821823a6011901000218ff0301045820202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f05f5" \
	"061847"
#define GOLD_resume \
	"821824a2011a0001000002184c"
#define GOLD_directive \
	"821825a5010d025820202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f03497368613235363a" \
	"3030045820606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f051a00186a0c"
#define GOLD_fetch \
	"8206a30150101112131415161718191a1b1c1d1e1f025820606162636465666768696a6b6c6d6e6f70717273747576777879" \
	"7a7b7c7d7e7f031a00010000"
#define GOLD_chunk \
	"821826a2011a00010000024464617461"

static inline struct bytes lit(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

static inline void fill_up(uint8_t *p, size_t n, uint8_t from)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(from + i);
}

static uint8_t boot_values[2][32];

static inline struct wire_hello sample_hello(void)
{
	struct wire_hello h = {
		.version = 1, .ak_public = lit("ak-public"), .ek_public = lit("ek-public"), .ek_cert = lit("ek-cert"),
		.label = lit("node-17"), .kernel = lit("6.1.0"), .bank = 0xb, .pcr_mask = 0x4ff, .list_length = 4821,
		.reset_count = 7, .restart_count = 3, .flags = WIRE_HELLO_TEST_SOURCE | WIRE_HELLO_POLL_MODE,
		.support = WIRE_SUPPORT_ORDERED, .n_boot_pcrs = 2,
	};

	fill_up(h.attester, 32, 0x40);
	memset(boot_values[0], 0xa0, 32);
	memset(boot_values[1], 0xa7, 32);
	h.boot_pcrs[0] = (struct wire_pcr){ 0, { boot_values[0], 32 } };
	h.boot_pcrs[1] = (struct wire_pcr){ 7, { boot_values[1], 32 } };
	h.ek_chain = lit("ek-chain");
	h.iak_cert = lit("iak-cert");
	h.list_first = 17;
	return h;
}

static const struct {
	enum wire_type type;
	const char *hex;
} golden[] = {
	{ WIRE_HELLO, GOLD_hello },	  { WIRE_ACTIVATE, GOLD_activate },   { WIRE_ENTRIES, GOLD_entries },
	{ WIRE_QUOTE, GOLD_quote },	  { WIRE_WAIT, GOLD_wait },	      { WIRE_WELCOME, GOLD_welcome },
	{ WIRE_CHALLENGE, GOLD_challenge }, { WIRE_REJECT, GOLD_reject },     { WIRE_ACK, GOLD_ack },
	{ WIRE_RESUME, GOLD_resume },	  { WIRE_DIRECTIVE, GOLD_directive }, { WIRE_FETCH, GOLD_fetch },
	{ WIRE_CHUNK, GOLD_chunk },
};

static inline struct wire_message sample(enum wire_type type)
{
	struct wire_message m = { .type = type };

	switch (type) {
	case WIRE_HELLO:
		m.hello = sample_hello();
		break;
	case WIRE_ACTIVATE:
		m.activate.hello = sample_hello();
		m.activate.secret = lit("secret");
		break;
	case WIRE_ENTRIES:
		fill_up(m.entries.session, 16, 0x10);
		m.entries.first = 4096;
		m.entries.floor = 4100;
		m.entries.block = lit("block");
		m.entries.n_drops = 3;
		m.entries.drops[1] = 1;
		m.entries.drops[2] = 300;
		m.entries.extend_failures = 2;
		m.entries.rtt_us = 900;
		break;
	case WIRE_QUOTE:
		fill_up(m.quote.session, 16, 0x10);
		m.quote.seq = 5;
		fill_up(m.quote.nonce, 32, 0x20);
		m.quote.surely = 70000;
		m.quote.attest = lit("attest");
		m.quote.signature = lit("signature");
		m.quote.n_commitments = 2;
		memset(m.quote.commitments[0], 1, 32);
		memset(m.quote.commitments[1], 2, 32);
		m.quote.position = 1;
		m.quote.quote_us = 25000;
		m.quote.age_us = UINT64_C(1) << 40;
		m.quote.first = 69000;
		m.quote.block = lit("block");
		m.quote.rtt_us = 163;
		break;
	case WIRE_WAIT:
		fill_up(m.wait.session, 16, 0x10);
		break;
	case WIRE_WELCOME:
		fill_up(m.welcome.session, 16, 0x10);
		fill_up(m.welcome.nonce, 32, 0x20);
		m.welcome.resume = 255;
		m.welcome.policy = lit("sha256:00");
		m.welcome.heartbeat_ms = 60000;
		m.welcome.max_message = 1310720;
		m.welcome.max_block_entries = 4096;
		m.welcome.has_reference = true;
		fill_up(m.welcome.reference, 32, 0x60);
		m.welcome.reference_size = 1600012;
		break;
	case WIRE_CHALLENGE:
		m.challenge.credential_blob = lit("blob");
		m.challenge.secret = lit("encrypted");
		break;
	case WIRE_REJECT:
		m.reject.reason = 106;
		m.reject.detail = lit("detail");
		m.reject.retry_ms = 1000;
		break;
	case WIRE_ACK:
		m.ack.next = 256;
		m.ack.proven = 255;
		m.ack.state = WIRE_STATE_TRUSTED;
		m.ack.has_nonce = true;
		fill_up(m.ack.nonce, 32, 0x20);
		m.ack.quote_wanted = true;
		m.ack.reason = 71;
		break;
	case WIRE_RESUME:
		m.resume.from = 65536;
		m.resume.reason = 76;
		break;
	case WIRE_DIRECTIVE:
		m.directive.flags = WIRE_DIRECTIVE_QUOTE | WIRE_DIRECTIVE_POLICY | WIRE_DIRECTIVE_REFERENCE;
		m.directive.has_nonce = true;
		fill_up(m.directive.nonce, 32, 0x20);
		m.directive.policy = lit("sha256:00");
		m.directive.has_reference = true;
		fill_up(m.directive.reference, 32, 0x60);
		m.directive.reference_size = 1600012;
		break;
	case WIRE_FETCH:
		fill_up(m.fetch.session, 16, 0x10);
		fill_up(m.fetch.reference, 32, 0x60);
		m.fetch.offset = 65536;
		break;
	case WIRE_CHUNK:
		m.chunk.offset = 65536;
		m.chunk.data = lit("data");
		break;
	}
	return m;
}

/* The bytes of hex text in w. */
static inline struct bytes unhex(struct writer *w, const char *hex)
{
	writer_reset(w);
	assert_int_equal(hex_decode_to(w, lit(hex)), 0);
	return writer_view(w);
}
