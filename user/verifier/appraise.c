// SPDX-License-Identifier: Apache-2.0
/* Stage [10]: every entry, always; and what a proof says of the boot. */
#include "policy/imapolicy.h"
#include "verifier/stages.h"

#define IMA_PCR 10u

static bool bytes_are(struct bytes b, const char *text)
{
	return b.n == strlen(text) && bytes_equal(b.p, text, b.n);
}

/* --- boot_aggregate and kexec ---- */

static void remember_boot_aggregate(struct boot *b, const struct ima_fields *f)
{
	enum hash_alg alg;

	if (!appraise_is_boot_aggregate(f) || !hash_from_name(f->alg, &alg) || f->digest.n != hash_size(alg))
		return;
	b->boot_aggregate.alg = alg;
	b->boot_aggregate.size = (uint8_t)f->digest.n;
	bytes_copy(b->boot_aggregate.value, f->digest.p, f->digest.n);
}

/* The kernel behind a kexec measures boot_aggregate again: the reset count is the same, and so is the value. */
static bool is_second_aggregate(const struct boot *b, const struct ima_fields *f)
{
	return b->boot_aggregate.size && appraise_is_boot_aggregate(f) && bytes_are(f->alg, hash_name(b->boot_aggregate.alg)) &&
	       f->digest.n == b->boot_aggregate.size && bytes_equal(f->digest.p, b->boot_aggregate.value, f->digest.n);
}

/* "...ima_runtime_measurements_count=N;": ima_kexec.c, ima_measure_kexec_event(). False: there is no such number. */
static bool kernel_count(struct bytes buf, uint64_t *out)
{
	struct reader r = reader_of(buf);

	while (reader_left(&r)) {
		struct bytes member = read_until(&r, ';'), name;
		struct reader m = reader_of(member);
		uint64_t n = 0;

		if (!reader_ok(&r))
			return false;
		name = read_until(&m, '=');
		if (!reader_ok(&m) || !bytes_are(name, "ima_runtime_measurements_count"))
			continue;
		if (!reader_left(&m))
			return false;
		while (reader_left(&m)) {
			uint8_t digit = read_u8(&m);

			if (digit < '0' || digit > '9' || n > LIMIT_INDEX)
				return false;
			n = n * 10 + (uint64_t)(digit - '0');
		}
		*out = n;
		return true;
	}
	return false;
}

static void add_finding(struct entry_findings *out, enum reason reason, uint64_t index)
{
	const struct reason_info *info = reason_info((unsigned int)reason);

	out->list[out->n++] = (struct finding){ .index = index, .reason = reason,
						.severity = info ? info->severity : SEVERITY_FAIL };
}

/* The kernel had counted more entries when it left than the host has shown: some are withheld, or were lost before. */
static void look_for_kexec(struct boot *b, const struct ima_entry *e, uint64_t index, struct entry_findings *out)
{
	const struct ima_fields *f = &out->fields;
	uint64_t count;

	if (e->violation || e->pcr != IMA_PCR)
		return;
	if (f->buf.n && (bytes_are(f->path, "kexec_load") || bytes_are(f->path, "kexec_execute") ||
			 bytes_are(f->path, "kexec-cmdline")))
		b->flags |= BOOT_KEXEC_PREPARED;
	if (f->buf.n && bytes_are(f->path, "kexec_execute") && kernel_count(f->buf, &count) && count > index)
		add_finding(out, REASON_KEXEC_GAP, index);
	if (index == 0)
		remember_boot_aggregate(b, f);
	else if (is_second_aggregate(b, f))
		add_finding(out, REASON_KEXEC, index);
}

bool appraise_kexec_gap(const struct session *s)
{
	const struct boot *b = s->boot;

	return (b->flags & BOOT_KEXEC_PREPARED) || (b->reasons[REASON_KEXEC / 64] & (1ull << (REASON_KEXEC % 64))) ||
	       s->list_short || (s->flags & WIRE_HELLO_KEXEC);
}

/* --- one entry ---- */

int appraise_learn(const struct policy *policy, struct boot *b, const struct ima_entry *e, const struct ima_fields *fields)
{
	int r = 0;

	if (!learned_wants(policy, e, fields))
		return 0;
	if (!b->learned)
		r = learned_new(&b->learned);
	if (r == 0)
		r = learned_add(b->learned, fields);
	return r < 0 ? r : 0;
}

struct appraisal appraise_rules_of(const struct appraisal *rules, const struct boot *b)
{
	struct appraisal a = *rules;

	if (b->learned && learned_count(b->learned))
		a.learned = learned_keyring(b->learned);
	if (b->boot_aggregate.size) {
		const char *alg = hash_name(b->boot_aggregate.alg);

		a.boot_aggregate_alg = (struct bytes){ (const uint8_t *)alg, strlen(alg) };
		a.boot_aggregate = (struct bytes){ b->boot_aggregate.value, b->boot_aggregate.size };
	}
	return a;
}

int appraise_stage(const struct appraisal *rules, struct boot *b, uint32_t pcr_mask, const struct ima_entry *e, uint64_t index,
		   bool again, struct entry_findings *out)
{
	bool covered = again || (pcr_mask | b->uncovered) & 1u << e->pcr, sound;
	struct appraisal a;

	if (covered && appraise_is_usual(rules, e)) {
		out->n = 0;
		return 0;
	}
	a = appraise_rules_of(rules, b);
	sound = ima_fields_parse(e, &out->fields);
	out->n = appraise_entry(&a, e, sound ? &out->fields : NULL, index, out->list);
	if (!again && sound)
		look_for_kexec(b, e, index, out);
	if (sound && a.ima_policies && imapolicies_judge(a.ima_policies, e, &out->fields) != IMAPOLICY_NONE)
		b->flags |= BOOT_IMA_POLICY_SEEN;
	if (!covered) {
		b->uncovered |= 1u << e->pcr;
		add_finding(out, REASON_PCR_UNCOVERED, index);
	}
	return sound ? appraise_learn(rules->policy, b, e, &out->fields) : 0;
}

/* --- the boot's PCRs ---- */

/* The kernel hashes PCR 0 to 7 of the SHA-1 bank, and PCR 0 to 9 of any other bank:
 * security/integrity/ima/ima_crypto.c, ima_calc_boot_aggregate_tfm(). Judged when the quotes cover just that bank and
 * at least those PCRs. */
enum reason appraise_boot_aggregate(const struct appraisal *rules, const struct session *s)
{
	const struct boot *b = s->boot;
	uint32_t wanted = b->boot_aggregate.alg == HASH_SHA1 ? 0xffu : 0x3ffu;
	uint8_t digest[HASH_MAX_SIZE];

	/* A PCR that entries name was matched with the list's value, so HELLO's is still a claim. The collector chooses mask
	 * and bank: what it takes from us must not pass unseen where the policy compares the first entry. */
	if (b->boot_aggregate.size == 0 || b->boot_aggregate.alg != s->bank || (s->pcr_mask & wanted) != wanted ||
	    b->replay.used & wanted)
		return rules->policy && policy_has_boot_aggregate(rules->policy) ? REASON_BOOT_AGGREGATE_OPEN : REASON_NONE;
	/* values of PCR 0 .. stand in front, without a gap */
	hash_one(s->bank, s->boot_pcrs, (wanted == 0xffu ? 8 : 10) * hash_size(s->bank), digest);
	return bytes_equal(digest, b->boot_aggregate.value, b->boot_aggregate.size) ? REASON_NONE : REASON_BOOT_AGGREGATE;
}

int64_t appraise_keep_boot_values(const struct session *s)
{
	struct boot *b = s->boot;
	cleanup_writer_ struct writer values = WRITER(b->boot_values.max);
	uint32_t mask = s->pcr_mask & ~(1u << IMA_PCR) & ~b->replay.used, changed = 0;
	size_t size = hash_size(s->bank), at = 0;

	write_u32be(&values, mask);
	for (unsigned int pcr = 0; pcr < TPM_PCR_COUNT; pcr++) {
		const uint8_t *now = s->boot_pcrs + at * size;
		struct bytes before;

		if (pcr == IMA_PCR || !(s->pcr_mask & (1u << pcr)))
			continue;
		at++;
		if (!(mask & (1u << pcr)))
			continue;
		before = boot_value(b, pcr);
		write_bytes(&values, now, size);
		if (before.n && !bytes_equal(before.p, now, size))
			changed |= 1u << pcr;
	}
	if (writer_status(&values) < 0)
		return writer_status(&values);
	if (values.n == b->boot_values.n && bytes_equal(values.p, b->boot_values.p, values.n))
		return changed;
	writer_free(&b->boot_values);
	b->boot_values = values;
	values = (struct writer){ 0 };
	boot_fit(b);
	return changed;
}

enum boot_pcr_answer appraise_boot_pcr(const struct policy *policy, const struct boot *b, unsigned int pcr)
{
	uint32_t bit = 1u << pcr;
	struct bytes value;

	if (!policy || !(policy_boot_pcrs(policy, HASH_COUNT) & bit))
		return BOOT_PCR_FINE;
	value = boot_value(b, pcr);
	if (!value.n || !(policy_boot_pcrs(policy, b->bank) & bit))
		return BOOT_PCR_OPEN;
	return policy_boot_pcr_known(policy, b->bank, pcr, value.p) ? BOOT_PCR_FINE : BOOT_PCR_UNKNOWN;
}
