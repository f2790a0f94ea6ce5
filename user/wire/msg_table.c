// SPDX-License-Identifier: Apache-2.0
#include "wire/msg_table.h"

#define AT(s, m) .name = #m, .offset = offsetof(struct wire_##s, m)
#define UINT(s, m, k, req, lo, hi)                                                                     \
	{                                                                                              \
		AT(s, m), .kind = KIND_UINT, .key = (k), .size = sizeof(((struct wire_##s *)0)->m),    \
		.required = (req), .min = (lo), .max = (hi)                                            \
	}
#define BOOL(s, m, k) { AT(s, m), .kind = KIND_BOOL, .key = (k) }
#define FIXED(s, m, k)                                                                                 \
	{                                                                                              \
		AT(s, m), .kind = KIND_FIXED, .key = (k), .required = true,                            \
		.max = sizeof(((struct wire_##s *)0)->m)                                               \
	}
#define MAYBE_FIXED(s, m, k, has)                                                                      \
	{                                                                                              \
		AT(s, m), .kind = KIND_FIXED, .key = (k), .beside = offsetof(struct wire_##s, has),    \
		.max = sizeof(((struct wire_##s *)0)->m)                                               \
	}
#define BYTES(s, m, k, req, hi)                                                                        \
	{                                                                                              \
		AT(s, m), .kind = KIND_BYTES, .key = (k), .required = (req), .min = 1, .max = (hi)     \
	}
#define LIST(s, m, k, list_kind, req)                                                                  \
	{                                                                                              \
		AT(s, m), .kind = (list_kind), .key = (k), .required = (req), .min = 1,                \
		.max = ARRAY_SIZE(((struct wire_##s *)0)->m), .beside = offsetof(struct wire_##s, n_##m) \
	}

static const struct member hello_members[] = {
	UINT(hello, version, WIRE_HELLO_KEY_VERSION, true, 0, UINT32_MAX),
	FIXED(hello, attester, WIRE_HELLO_KEY_ATTESTER),
	BYTES(hello, ak_public, WIRE_HELLO_KEY_AK_PUBLIC, true, LIMIT_PUBLIC),
	BYTES(hello, ek_public, WIRE_HELLO_KEY_EK_PUBLIC, false, LIMIT_PUBLIC),
	BYTES(hello, ek_cert, WIRE_HELLO_KEY_EK_CERT, false, LIMIT_CERT),
	BYTES(hello, label, WIRE_HELLO_KEY_LABEL, false, LIMIT_LABEL),
	BYTES(hello, kernel, WIRE_HELLO_KEY_KERNEL, false, LIMIT_LABEL),
	UINT(hello, bank, WIRE_HELLO_KEY_BANK, true, 1, UINT16_MAX),
	UINT(hello, pcr_mask, WIRE_HELLO_KEY_PCR_MASK, true, 1, (UINT64_C(1) << LIMIT_ATTEST_PCRS) - 1),
	UINT(hello, list_length, WIRE_HELLO_KEY_LIST_LENGTH, true, 0, LIMIT_INDEX),
	UINT(hello, reset_count, WIRE_HELLO_KEY_RESET_COUNT, true, 0, UINT32_MAX),
	UINT(hello, restart_count, WIRE_HELLO_KEY_RESTART_COUNT, true, 0, UINT32_MAX),
	UINT(hello, flags, WIRE_HELLO_KEY_FLAGS, false, 0, UINT32_MAX),
	UINT(hello, support, WIRE_HELLO_KEY_SUPPORT, false, 0, UINT8_MAX),
	LIST(hello, boot_pcrs, WIRE_HELLO_KEY_BOOT_PCRS, KIND_PCRS, false),
	BYTES(hello, ek_chain, WIRE_HELLO_KEY_EK_CHAIN, false, LIMIT_EK_CHAIN),
	BYTES(hello, iak_cert, WIRE_HELLO_KEY_IAK_CERT, false, LIMIT_CERT),
	UINT(hello, list_first, WIRE_HELLO_KEY_LIST_FIRST, false, 0, LIMIT_INDEX),
};

static const struct member activate_members[] = {
	{ AT(activate, hello), .kind = KIND_HELLO, .key = WIRE_ACTIVATE_KEY_HELLO, .required = true },
	BYTES(activate, secret, WIRE_ACTIVATE_KEY_SECRET, true, LIMIT_CREDENTIAL_SECRET),
};

static const struct member entries_members[] = {
	FIXED(entries, session, WIRE_ENTRIES_KEY_SESSION),
	UINT(entries, first, WIRE_ENTRIES_KEY_FIRST, true, 0, LIMIT_INDEX),
	UINT(entries, floor, WIRE_ENTRIES_KEY_FLOOR, true, 0, LIMIT_INDEX),
	BYTES(entries, block, WIRE_ENTRIES_KEY_BLOCK, true, LIMIT_BLOCK_PACKED),
	LIST(entries, drops, WIRE_ENTRIES_KEY_DROPS, KIND_COUNTERS, false),
	UINT(entries, extend_failures, WIRE_ENTRIES_KEY_EXTEND_FAILURES, false, 0, UINT64_MAX),
	UINT(entries, rtt_us, WIRE_ENTRIES_KEY_RTT, false, 0, UINT32_MAX),
	UINT(entries, measured, WIRE_ENTRIES_KEY_MEASURED, false, 0, LIMIT_INDEX),
};

static const struct member quote_members[] = {
	FIXED(quote, session, WIRE_QUOTE_KEY_SESSION),
	UINT(quote, seq, WIRE_QUOTE_KEY_SEQ, true, 1, LIMIT_INDEX),
	FIXED(quote, nonce, WIRE_QUOTE_KEY_NONCE),
	UINT(quote, surely, WIRE_QUOTE_KEY_SURELY, true, 0, LIMIT_INDEX),
	BYTES(quote, attest, WIRE_QUOTE_KEY_ATTEST, true, LIMIT_ATTEST),
	BYTES(quote, signature, WIRE_QUOTE_KEY_SIGNATURE, true, LIMIT_SIGNATURE),
	LIST(quote, commitments, WIRE_QUOTE_KEY_COMMITMENTS, KIND_DIGESTS, true),
	UINT(quote, position, WIRE_QUOTE_KEY_POSITION, false, 0, LIMIT_COMMITMENTS - 1),
	UINT(quote, quote_us, WIRE_QUOTE_KEY_QUOTE_US, false, 0, UINT64_MAX),
	UINT(quote, age_us, WIRE_QUOTE_KEY_AGE_US, false, 0, UINT64_MAX),
	UINT(quote, first, WIRE_QUOTE_KEY_FIRST, false, 0, LIMIT_INDEX),
	BYTES(quote, block, WIRE_QUOTE_KEY_BLOCK, false, LIMIT_BLOCK_PACKED),
	UINT(quote, rtt_us, WIRE_QUOTE_KEY_RTT, false, 0, UINT32_MAX),
	UINT(quote, measured, WIRE_QUOTE_KEY_MEASURED, false, 0, LIMIT_INDEX),
};

static const struct member wait_members[] = { FIXED(wait, session, WIRE_WAIT_KEY_SESSION) };

static const struct member welcome_members[] = {
	FIXED(welcome, session, WIRE_WELCOME_KEY_SESSION),
	FIXED(welcome, nonce, WIRE_WELCOME_KEY_NONCE),
	UINT(welcome, resume, WIRE_WELCOME_KEY_RESUME, true, 0, LIMIT_INDEX),
	BYTES(welcome, policy, WIRE_WELCOME_KEY_POLICY, false, LIMIT_LABEL),
	UINT(welcome, heartbeat_ms, WIRE_WELCOME_KEY_HEARTBEAT, true, 1, UINT32_MAX),
	UINT(welcome, max_message, WIRE_WELCOME_KEY_MAX_MESSAGE, true, 1, UINT32_MAX),
	UINT(welcome, max_block_entries, WIRE_WELCOME_KEY_MAX_BLOCK_ENTRIES, true, 1, UINT32_MAX),
	MAYBE_FIXED(welcome, reference, WIRE_WELCOME_KEY_REFERENCE, has_reference),
	UINT(welcome, reference_size, WIRE_WELCOME_KEY_REFERENCE_SIZE, false, 0, UINT32_MAX),
};

static const struct member challenge_members[] = {
	BYTES(challenge, credential_blob, WIRE_CHALLENGE_KEY_CREDENTIAL_BLOB, true, LIMIT_CREDENTIAL),
	BYTES(challenge, secret, WIRE_CHALLENGE_KEY_SECRET, true, LIMIT_CREDENTIAL),
};

static const struct member reject_members[] = {
	UINT(reject, reason, WIRE_REJECT_KEY_REASON, true, 1, UINT32_MAX),
	BYTES(reject, detail, WIRE_REJECT_KEY_DETAIL, false, LIMIT_LABEL),
	UINT(reject, retry_ms, WIRE_REJECT_KEY_RETRY, false, 0, UINT32_MAX),
};

static const struct member ack_members[] = {
	UINT(ack, next, WIRE_ACK_KEY_NEXT, true, 0, LIMIT_INDEX),
	UINT(ack, proven, WIRE_ACK_KEY_PROVEN, true, 0, LIMIT_INDEX),
	UINT(ack, state, WIRE_ACK_KEY_STATE, true, 0, UINT8_MAX),
	MAYBE_FIXED(ack, nonce, WIRE_ACK_KEY_NONCE, has_nonce),
	BOOL(ack, quote_wanted, WIRE_ACK_KEY_QUOTE_WANTED),
	UINT(ack, reason, WIRE_ACK_KEY_REASON, false, 0, UINT32_MAX),
};

static const struct member resume_members[] = {
	UINT(resume, from, WIRE_RESUME_KEY_FROM, true, 0, LIMIT_INDEX),
	UINT(resume, reason, WIRE_RESUME_KEY_REASON, false, 0, UINT32_MAX),
};

static const struct member directive_members[] = {
	UINT(directive, flags, WIRE_DIRECTIVE_KEY_FLAGS, true, 0, UINT32_MAX),
	MAYBE_FIXED(directive, nonce, WIRE_DIRECTIVE_KEY_NONCE, has_nonce),
	BYTES(directive, policy, WIRE_DIRECTIVE_KEY_POLICY, false, LIMIT_LABEL),
	MAYBE_FIXED(directive, reference, WIRE_DIRECTIVE_KEY_REFERENCE, has_reference),
	UINT(directive, reference_size, WIRE_DIRECTIVE_KEY_REFERENCE_SIZE, false, 0, UINT32_MAX),
};

static const struct member fetch_members[] = {
	FIXED(fetch, session, WIRE_FETCH_KEY_SESSION),
	FIXED(fetch, reference, WIRE_FETCH_KEY_REFERENCE),
	UINT(fetch, offset, WIRE_FETCH_KEY_OFFSET, true, 0, LIMIT_REFERENCE),
};

static const struct member chunk_members[] = {
	UINT(chunk, offset, WIRE_CHUNK_KEY_OFFSET, true, 0, LIMIT_REFERENCE),
	BYTES(chunk, data, WIRE_CHUNK_KEY_DATA, true, LIMIT_CHUNK),
};

static const struct {
	const char *name;
	enum wire_type type;
	struct table table;
} types[] = {
#define TYPE(symbol, s) { #symbol, WIRE_##symbol, { s##_members, ARRAY_SIZE(s##_members) } }
	TYPE(HELLO, hello),	  TYPE(ACTIVATE, activate),   TYPE(ENTRIES, entries),
	TYPE(QUOTE, quote),	  TYPE(WAIT, wait),	      TYPE(WELCOME, welcome),
	TYPE(CHALLENGE, challenge), TYPE(REJECT, reject),     TYPE(ACK, ack),
	TYPE(RESUME, resume),	  TYPE(DIRECTIVE, directive), TYPE(FETCH, fetch),
	TYPE(CHUNK, chunk),
#undef TYPE
};

const struct table wire_hello_table = { hello_members, ARRAY_SIZE(hello_members) };

const struct table *wire_table_of(uint64_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == type)
			return &types[i].table;
	return NULL;
}

const char *wire_type_name(unsigned int type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "?";
}
