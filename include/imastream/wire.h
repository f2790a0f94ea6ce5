/* SPDX-License-Identifier: Apache-2.0 */
/* Every number of the protocol. docs/WIRE.md and docs/wire.cddl say what they mean. Numbers are never reused. */
#pragma once

#include <stdint.h>

/* Two versions: the messages' (HELLO says it), and the entry blocks' (first byte of each block). */
#define WIRE_VERSION 1u
#define WIRE_BLOCK_FORMAT_BARE 1u	/* without the dictionary: read, not written any more */
#define WIRE_BLOCK_FORMAT_BARE_KNOWN 2u /* the same, with entries of a reference set */
#define WIRE_BLOCK_FORMAT 3u
#define WIRE_BLOCK_FORMAT_KNOWN 4u
#define WIRE_BLOCK_HOW_PLAIN 0u
#define WIRE_BLOCK_HOW_ZSTD 1u

/* First element of every message: [type, map]. Requests below 32, answers from 32. */
enum wire_type {
	WIRE_HELLO = 1,
	WIRE_ACTIVATE = 2,
	WIRE_ENTRIES = 3,
	WIRE_QUOTE = 4,
	WIRE_WAIT = 5,
	WIRE_FETCH = 6,
	WIRE_WELCOME = 32,
	WIRE_CHALLENGE = 33,
	WIRE_REJECT = 34,
	WIRE_ACK = 35,
	WIRE_RESUME = 36,
	WIRE_DIRECTIVE = 37,
	WIRE_CHUNK = 38,
};

/* Map keys, one name space for each message. They ascend on the wire (deterministic encoding); 0 stays free. */
enum wire_hello_key {
	WIRE_HELLO_KEY_VERSION = 1, /* first in all versions to come */
	WIRE_HELLO_KEY_ATTESTER = 2,
	WIRE_HELLO_KEY_AK_PUBLIC = 3,
	WIRE_HELLO_KEY_EK_PUBLIC = 4,
	WIRE_HELLO_KEY_EK_CERT = 5,
	WIRE_HELLO_KEY_LABEL = 6,
	WIRE_HELLO_KEY_KERNEL = 7,
	WIRE_HELLO_KEY_BANK = 8,
	WIRE_HELLO_KEY_PCR_MASK = 9,
	WIRE_HELLO_KEY_LIST_LENGTH = 10,
	WIRE_HELLO_KEY_RESET_COUNT = 11,
	WIRE_HELLO_KEY_RESTART_COUNT = 12,
	WIRE_HELLO_KEY_FLAGS = 13,
	WIRE_HELLO_KEY_SUPPORT = 14,
	WIRE_HELLO_KEY_BOOT_PCRS = 15,
	WIRE_HELLO_KEY_EK_CHAIN = 16,
	WIRE_HELLO_KEY_IAK_CERT = 17,
	WIRE_HELLO_KEY_LIST_FIRST = 18,
};
enum wire_activate_key { WIRE_ACTIVATE_KEY_HELLO = 1, WIRE_ACTIVATE_KEY_SECRET = 2 };
enum wire_entries_key {
	WIRE_ENTRIES_KEY_SESSION = 1,
	WIRE_ENTRIES_KEY_FIRST = 2,
	WIRE_ENTRIES_KEY_FLOOR = 3,
	WIRE_ENTRIES_KEY_BLOCK = 4,
	WIRE_ENTRIES_KEY_DROPS = 5,
	WIRE_ENTRIES_KEY_EXTEND_FAILURES = 6,
	WIRE_ENTRIES_KEY_RTT = 7,
	WIRE_ENTRIES_KEY_MEASURED = 8,
};
enum wire_quote_key {
	WIRE_QUOTE_KEY_SESSION = 1,
	WIRE_QUOTE_KEY_SEQ = 2,
	WIRE_QUOTE_KEY_NONCE = 3,
	WIRE_QUOTE_KEY_SURELY = 4,
	WIRE_QUOTE_KEY_ATTEST = 5,
	WIRE_QUOTE_KEY_SIGNATURE = 6,
	WIRE_QUOTE_KEY_COMMITMENTS = 7,
	WIRE_QUOTE_KEY_POSITION = 8,
	WIRE_QUOTE_KEY_QUOTE_US = 9,
	WIRE_QUOTE_KEY_AGE_US = 10,
	WIRE_QUOTE_KEY_FIRST = 11,
	WIRE_QUOTE_KEY_BLOCK = 12,
	WIRE_QUOTE_KEY_RTT = 13,
	WIRE_QUOTE_KEY_MEASURED = 14,
};
enum wire_wait_key { WIRE_WAIT_KEY_SESSION = 1 };
enum wire_fetch_key { WIRE_FETCH_KEY_SESSION = 1, WIRE_FETCH_KEY_REFERENCE = 2, WIRE_FETCH_KEY_OFFSET = 3 };
enum wire_welcome_key {
	WIRE_WELCOME_KEY_SESSION = 1,
	WIRE_WELCOME_KEY_NONCE = 2,
	WIRE_WELCOME_KEY_RESUME = 3,
	WIRE_WELCOME_KEY_POLICY = 4,
	WIRE_WELCOME_KEY_HEARTBEAT = 5,
	WIRE_WELCOME_KEY_MAX_MESSAGE = 6,
	WIRE_WELCOME_KEY_MAX_BLOCK_ENTRIES = 7,
	WIRE_WELCOME_KEY_REFERENCE = 8,
	WIRE_WELCOME_KEY_REFERENCE_SIZE = 9,
};
enum wire_challenge_key { WIRE_CHALLENGE_KEY_CREDENTIAL_BLOB = 1, WIRE_CHALLENGE_KEY_SECRET = 2 };
enum wire_reject_key { WIRE_REJECT_KEY_REASON = 1, WIRE_REJECT_KEY_DETAIL = 2, WIRE_REJECT_KEY_RETRY = 3 };
enum wire_ack_key {
	WIRE_ACK_KEY_NEXT = 1,
	WIRE_ACK_KEY_PROVEN = 2,
	WIRE_ACK_KEY_STATE = 3,
	WIRE_ACK_KEY_NONCE = 4,
	WIRE_ACK_KEY_QUOTE_WANTED = 5,
	WIRE_ACK_KEY_REASON = 6,
};
enum wire_resume_key { WIRE_RESUME_KEY_FROM = 1, WIRE_RESUME_KEY_REASON = 2 };
enum wire_directive_key {
	WIRE_DIRECTIVE_KEY_FLAGS = 1,
	WIRE_DIRECTIVE_KEY_NONCE = 2,
	WIRE_DIRECTIVE_KEY_POLICY = 3,
	WIRE_DIRECTIVE_KEY_REFERENCE = 4,
	WIRE_DIRECTIVE_KEY_REFERENCE_SIZE = 5,
};
enum wire_chunk_key { WIRE_CHUNK_KEY_OFFSET = 1, WIRE_CHUNK_KEY_DATA = 2 };

/* HELLO flags */
#define WIRE_HELLO_TEST_SOURCE 1u /* entries come from a test source, not from a kernel */
#define WIRE_HELLO_POLL_MODE 2u	  /* quotes on a timer, for comparison */
#define WIRE_HELLO_KEXEC 4u	  /* the list has a second boot_aggregate */

enum wire_support { WIRE_SUPPORT_POLL = 0, WIRE_SUPPORT_SIGNAL = 1, WIRE_SUPPORT_ORDERED = 2, WIRE_SUPPORT_TEST = 3 };

/* Attester states; verdict_state() of user/verifier/stages.h says how one comes about. */
enum wire_state {
	WIRE_STATE_ENROLLING = 0,
	WIRE_STATE_TRUSTED = 1,
	WIRE_STATE_WARNING = 2,
	WIRE_STATE_UNTRUSTED = 3,
	WIRE_STATE_STALE = 4,
	WIRE_STATE_REBOOTING = 5,
	WIRE_STATE_UNPROVEN = 6, /* enrolled, nothing proven yet in this boot */
};

#define WIRE_DIRECTIVE_QUOTE 1u
#define WIRE_DIRECTIVE_GOODBYE 2u
#define WIRE_DIRECTIVE_POLICY 4u
#define WIRE_DIRECTIVE_REFERENCE 8u /* the members name the reference set, or, absent, say that there is none now */

#define WIRE_DROP_COUNT 16u /* drop counters that ENTRIES can carry, by enum event_drop (EVENT_DROP_ROOM) */

#define WIRE_PCR 10u /* the PCR of the measurement list: in each session's pcr_mask */

/* Sizes that never vary */
#define WIRE_SESSION_SIZE 16u
#define WIRE_NONCE_SIZE 32u
#define WIRE_DIGEST_SIZE 32u /* attester id, commitments: SHA-256 */

/* Entry blocks (docs/WIRE.md, "Blocks"). X(NUMBER, name in the kernel's crypto/hash_info.c, digest bytes) */
#define WIRE_DIGESTS(X)    \
	X(1, "sha1", 20)   \
	X(2, "sha256", 32) \
	X(3, "sha384", 48) \
	X(4, "sha512", 64) \
	X(5, "sha224", 28) \
	X(6, "md5", 16)    \
	X(7, "rmd160", 20) \
	X(8, "sm3", 32)    \
	X(9, "sha3-256", 32)  \
	X(10, "sha3-384", 48) \
	X(11, "sha3-512", 64)

/* Domain separators */
#define WIRE_DOMAIN_COMMITMENT "imastream commitment v1"
#define WIRE_DOMAIN_QUALIFYING "imastream qualifying data v1"
#define WIRE_DOMAIN_RECORD "imastream record v1"

/* Reference sets (docs/WIRE.md, "Reference sets"). */
#define WIRE_REFERENCE_MAGIC "IMSTREF1"
#define WIRE_REFERENCE_MAGIC_SIZE 8u
#define WIRE_REFERENCE_HEAD_SIZE 12u
#define WIRE_TAG_SIZE 16u
