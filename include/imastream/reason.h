/* SPDX-License-Identifier: Apache-2.0 */
/* Why an entry, a quote, a list or an attester is not simply fine. Data, never errno.
 * X(NUMBER, SYMBOL, "name", SEVERITY, "what it says", "what to do next")
 * Numbers and names are an interface: never reused, never renamed; retired ones stay as comments. Gaps are groups. */
#pragma once

enum severity { SEVERITY_INFO = 0, SEVERITY_WARNING = 1, SEVERITY_FAIL = 2 };

#define REASONS(X)                                                                                                        \
	/* 1-39: one entry, by policy */                                                                                  \
	X(1, DIGEST_UNKNOWN, "digest-unknown", FAIL, "the policy does not know this file at this path",                    \
	  "find out what the file is; if it belongs there, add it: imastream policy create --log LIST --base POLICY")      \
	X(2, DIGEST_MISMATCH, "digest-mismatch", FAIL, "the policy knows this path, with other content",                   \
	  "compare the file with its package; after an update, roll out a policy that knows the new version first")        \
	X(3, DIGEST_ALGORITHM, "digest-algorithm", FAIL, "the digest's bytes are known but under another algorithm",       \
	  "the list's algorithm label was changed or the policy was made with another ima_hash=: make a new baseline")     \
	X(4, EXCLUDED, "excluded", WARNING, "an exclude rule of the policy covers this path",                              \
	  "nothing, if the rule is meant; excluded files are not appraised")                                               \
	X(5, DENIED, "denied", FAIL, "the digest is on the policy's deny list", "remove the file and find how it came")    \
	X(6, VIOLATION, "violation", WARNING, "the file was written while being measured; its content is not known",       \
	  "see which program writes it; set the policy's violation rule to ignore or fail as you need")                    \
	X(7, VIOLATION_REFUSED, "violation-refused", FAIL, "a violation, and the policy refuses violations",               \
	  "see which program writes the file while it is measured")                                                        \
	X(8, TEMPLATE_UNKNOWN, "template-unknown", WARNING, "replayed, but not appraised: the template is not known",      \
	  "use ima-ng, ima-sig or another template of the kernel's documentation")                                         \
	X(9, TEMPLATE_MALFORMED, "template-malformed", FAIL, "the template data does not have the form its name says",     \
	  "the list was changed, or the kernel writes a form that imastream does not know: report it with the entry")      \
	X(10, TEMPLATE_HASH, "template-hash", FAIL, "the list's template hash is not the hash of the entry's data",        \
	  "the list was changed after it was written")                                                                     \
	X(11, SIGNATURE_INVALID, "signature-invalid", FAIL, "the file's signature does not verify",                        \
	  "the file or its security.ima attribute was changed: reinstall it")                                              \
	X(12, SIGNATURE_KEY_UNKNOWN, "signature-key-unknown", FAIL, "signed by a key that is not in the keyring",           \
	  "add the signer's public key with --keyring or to the policy, if you trust it")                                  \
	X(13, SIGNATURE_MISSING, "signature-missing", FAIL, "not signed, and only signatures could have vouched for it",   \
	  "sign the file (evmctl ima_sign) or add its digest to the policy")                                               \
	X(14, SIGNATURE_MALFORMED, "signature-malformed", FAIL, "the signature field has no known form",                   \
	  "sign the file again with a current evmctl")                                                                     \
	X(15, BUFFER_UNKNOWN, "buffer-unknown", FAIL, "a measured buffer that the policy does not know",                   \
	  "add it to the policy's ima-buf section or keyrings, if it belongs there")                                       \
	X(16, DIGEST_WEAK, "digest-weak", WARNING, "a SHA-1 or MD5 file digest vouches for little",                        \
	  "boot with ima_hash=sha256")                                                                                     \
	X(17, BOOT_AGGREGATE, "boot-aggregate", FAIL, "boot_aggregate is not the digest of the quoted boot PCRs",          \
	  "the list does not belong to this boot, or the boot PCRs changed")                                               \
	X(18, PCR_UNCOVERED, "pcr-uncovered", WARNING, "the entry is in a PCR that the quote does not cover",              \
	  "quote that PCR too, or measure into PCR 10")                                                                    \
	X(19, BOOT_AGGREGATE_OPEN, "boot-aggregate-open", WARNING,                                                         \
	  "the policy has a boot_aggregate, but the quotes do not prove the one in the list",                              \
	  "quote PCR 0 to 9 and PCR 10 of the bank that boot_aggregate is from") \
	X(20, IMA_POLICY_WEAK, "ima-policy-weak", FAIL, "the host's own IMA policy measures less than is required",\
	  "load an IMA policy that measures what --require-ima-policy names, then reboot") \
	X(21, IMA_POLICY_UNKNOWN, "ima-policy-unknown", WARNING, "an IMA policy was loaded whose rules are not known here",\
	  "give the verifier the policy's text with --ima-policy, or add its digest to the runtime policy")                                           \
	/* 40-69: a quote */                                                                                               \
	X(40, QUOTE_MALFORMED, "quote-malformed", FAIL, "the quote is not a well-formed TPMS_ATTEST with a signature",     \
	  "check that both files come from the same tpm2_quote")                                                           \
	X(41, QUOTE_MAGIC, "quote-magic", FAIL, "not made by a TPM: the magic number is wrong", "treat the host as hostile")\
	X(42, QUOTE_TYPE, "quote-type", FAIL, "signed by the TPM, but it is not a quote", "treat the host as hostile")     \
	X(43, QUOTE_SIGNATURE, "quote-signature", FAIL, "the signature does not verify with the enrolled attestation key", \
	  "the key changed or the quote was changed: enrol again only if you know why")                                    \
	X(44, QUOTE_NONCE, "quote-nonce", FAIL, "the quote answers another challenge", "an old quote, or a relay between")  \
	X(45, QUOTE_SELECTION, "quote-selection", FAIL, "the quote covers other PCRs than agreed",                         \
	  "treat the host as hostile")                                                                                     \
	X(46, QUOTE_CLOCK, "quote-clock", FAIL, "the TPM's clock went back within one boot", "an old quote was replayed")   \
	X(47, QUOTE_REPLAYED, "quote-replayed", FAIL, "this quote was seen before", "an old quote was replayed")           \
	X(48, QUOTE_SESSION, "quote-session", FAIL, "the quote belongs to an older session", "an old quote was replayed")  \
	X(49, QUOTE_PCR_DIGEST, "quote-pcr-digest", FAIL, "the quoted digest is not the digest of the given PCR values",   \
	  "the PCR values were changed, or belong to another quote")                                                       \
	X(50, QUOTE_UNSUPPORTED, "quote-unsupported", FAIL, "signature scheme, hash or key that imastream does not accept",\
	  "use an ECC P-256 or RSA-2048 attestation key with SHA-256")                                                     \
	X(51, QUOTE_SEQUENCE, "quote-sequence", FAIL, "a quote of this session is missing or out of order",                \
	  "the collector starts a new session by itself; seen often, look for something between the hosts")                \
	X(52, QUOTE_RESTART_COUNT, "quote-restart-count", FAIL, "the TPM's restart count went back within one boot",       \
	  "an old quote was replayed") \
	X(53, BOOT_PCR, "boot-pcr", FAIL, "a boot PCR has a value that the policy does not know",\
	  "firmware, boot loader or kernel command line changed: find out why, then renew the policy's boot values") \
	X(54, TPM_RESUMED, "tpm-resumed", INFO, "the TPM was restarted without a reset: suspend and resume",\
	  "nothing, if the host was suspended") \
	X(55, CLOCK_UNSAFE, "clock-unsafe", INFO, "the TPM lost power without notice: its clock may have gone back",\
	  "nothing, if the host lost power")                                                                                     \
	/* 70-99: a list against its quote */                                                                              \
	X(70, LIST_TAMPERED, "list-tampered", FAIL, "no prefix of the list gives the quoted digest",                       \
	  "an entry was changed, removed or added: take the host out and keep its evidence")                               \
	X(71, LIST_TRUNCATED, "list-truncated", FAIL, "the list ends before entries that the quote surely covers",         \
	  "entries are being withheld: take the host out and keep its evidence")                                           \
	X(72, LIST_REORDERED, "list-reordered", FAIL, "two neighbouring entries are exchanged",                            \
	  "the list was changed after it was written")                                                                     \
	X(73, LIST_PADDED_SHA1, "list-padded-sha1", WARNING, "the bank holds zero-padded SHA-1 digests: all that it vouches for is SHA-1",\
	  "quote the sha256 bank; kernels before 5.8 pad every bank, later ones those whose hash is not built in")                                                                                  \
	X(74, EXTEND_FAILED, "extend-failed", FAIL, "one entry is in the list but was not extended into the PCR",           \
	  "the TPM refused an extend, which IMA ignores; list and PCR agree again only after a reboot")                    \
	X(75, KEXEC_GAP, "kexec-gap", FAIL, "entries were lost over a kexec: the list cannot match again",                 \
	  "reboot the host through its firmware")                                                                          \
	X(76, LIST_TRIMMED, "list-trimmed", FAIL, "the kernel's list was trimmed of entries never seen here",              \
	  "let only imastream trim, or reboot")                                                                            \
	X(77, LIST_UNREACHED, "list-unreached", WARNING, "the quote covers entries that have not arrived yet",             \
	  "nothing: the collector sends them next")                                                                        \
	X(78, LIST_MALFORMED, "list-malformed", FAIL, "the list cannot be read to its end", "see the entry and byte named") \
	X(79, WINDOW_EXCEEDED, "window-exceeded", WARNING, "too many entries arrived while one quote was outstanding",     \
	  "nothing: the collector takes a new quote")                                                                      \
	X(80, BANK_SHA1, "bank-sha1", WARNING, "only the SHA-1 bank was quoted: who makes SHA-1 collisions can change the list",\
	  "quote the sha256 bank") \
	X(81, KEXEC, "kexec", INFO, "a kexec inside one boot: the list goes on behind a second boot_aggregate",\
	  "nothing, if the host was restarted by kexec") \
	X(90, COUNT_MISMATCH, "count-mismatch", FAIL, "the kernel counted more entries than were sent, one quote later",\
	  "the collector cannot read all of the list: see its log and imastream doctor on the host")                                                                                         \
	/* 100-129: an attester or a session */                                                                            \
	X(100, ATTESTER_UNKNOWN, "attester-unknown", FAIL, "no attester with this identity and key is enrolled",           \
	  "give the verifier --ek-ca, list the key with --ak-list, or see imastream enrol")            \
	X(101, ATTESTER_KEY_CHANGED, "attester-key-changed", FAIL, "a known attester came with another attestation key",   \
	  "if the TPM or its keys were really replaced, remove the old enrolment first")                                   \
	X(102, TEST_SOURCE, "test-source", FAIL, "its entries come from a test source, not from a kernel",                 \
	  "never in production; a test verifier takes it with --allow-test-sources")                                       \
	X(103, STALE, "stale", FAIL, "silent past its deadline", "look at the host and at the network between")            \
	X(104, REBOOTED, "rebooted", INFO, "the TPM counted a reset: a new boot, replayed from its first entry", "nothing")\
	X(105, VERSION_UNSUPPORTED, "version-unsupported", FAIL, "it speaks another version of the protocol",              \
	  "install the same release on both sides")                                                                        \
	X(106, SESSION_UNKNOWN, "session-unknown", INFO, "the verifier does not know this session any more",               \
	  "nothing: the collector says HELLO again")                                                                       \
	X(107, PROTOCOL_ERROR, "protocol-error", FAIL, "a message that is not of the protocol", "see the detail")          \
	X(108, BUSY, "busy", WARNING, "the verifier is over this peer's budget", "the collector comes back by itself")     \
	X(109, SESSION_REPLACED, "session-replaced", INFO, "the same attester opened a newer session",                     \
	  "one collector a host; two hosts with one identity need new keys")                                               \
	X(110, BOOT_UNPROVEN, "boot-unproven", WARNING, "a new boot was announced but not proven yet", "wait for its quote")\
	X(111, BOOT_CLAIM_FALSE, "boot-claim-false", FAIL, "a reboot was claimed that the TPM did not count",              \
	  "treat the host as hostile")                                                                                     \
	X(112, RECOVERED, "recovered", INFO, "back after silence, with proof", "nothing")                                  \
	X(113, ENROLLED, "enrolled", INFO, "first seen and enrolled", "nothing") \
	X(114, SESSION_UNPROVEN, "session-unproven", INFO, "the session has not shown its key yet: a quote comes first",\
	  "nothing: the collector takes a quote") \
	X(115, ENROL_PENDING, "enrol-pending", WARNING, "waits for somebody to approve it",\
	  "look at it with imastream enrol list, then approve or reject it") \
	X(116, ENROL_REJECTED, "enrol-rejected", FAIL, "its enrolment was rejected",\
	  "imastream enrol forget ID lets it ask again") \
	X(117, ATTESTER_REVOKED, "attester-revoked", FAIL, "its enrolment was revoked",\
	  "imastream enrol forget ID lets it enrol again") \
	X(118, EK_CERT_MISSING, "ek-cert-missing", FAIL, "the TPM showed no endorsement certificate, and one is required",\
	  "enrol it by hand (--enrol manual) or list its endorsement key (--enrol preauth)") \
	X(119, EK_CERT_UNTRUSTED, "ek-cert-untrusted", FAIL, "the endorsement certificate does not lead to a CA of --ek-ca",\
	  "add the TPM maker's root certificate to the --ek-ca directory, if you trust that maker") \
	X(120, EK_CERT_EXPIRED, "ek-cert-expired", FAIL, "a certificate between the endorsement key and its CA is not valid at this time",\
	  "check the dates and the clock of the verifier") \
	X(121, EK_CERT_MISMATCH, "ek-cert-mismatch", FAIL, "the endorsement certificate is for another key",\
	  "the certificate is of another TPM: treat the host as hostile") \
	X(122, EK_CERT_INVALID, "ek-cert-invalid", FAIL, "the endorsement certificate is not one: form, purpose or constraints are wrong",\
	  "see the detail") \
	X(123, CREDENTIAL_WRONG, "credential-wrong", FAIL, "the attestation key is not in the TPM of the endorsement key",\
	  "treat the host as hostile") \
	X(124, IDENTITY_DUPLICATE, "identity-duplicate", FAIL, "a second host came with the identity of one that is here and answers",\
	  "a cloned virtual TPM: give the copy a TPM of its own") \
	X(125, IAK_CERT_INVALID, "iak-cert-invalid", FAIL, "the certificate of the attestation key does not vouch for it",\
	  "see the detail") \
	X(126, POLICY_MISSING, "policy-missing", WARNING, "no policy is in force for this attester: no digest is judged",\
	  "give its group a policy") \
	X(127, REFERENCE_UNKNOWN, "reference-unknown", INFO, "a block or a request names a reference set that is not held here",\
	  "nothing: the collector sends the entries without it")

enum reason {
	REASON_NONE = 0,
#define X(number, symbol, name, severity, text, remedy) REASON_##symbol = number,
	REASONS(X)
#undef X
};

struct reason_info {
	enum reason number;
	const char *name;
	enum severity severity;
	const char *text;
	const char *remedy;
};

/* NULL for a number or name that does not exist. Defined in user/base/reason.c. */
const struct reason_info *reason_info(unsigned int number);
const struct reason_info *reason_by_name(const char *name);
/* For listings: the i-th reason in order of number, NULL past the end. */
const struct reason_info *reason_at(unsigned int i);
const char *reason_name(unsigned int number); /* "none" for 0, "unknown" for a number that does not exist */
const char *severity_name(enum severity s);   /* "info" "warning" "fail" */
