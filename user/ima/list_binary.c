// SPDX-License-Identifier: Apache-2.0
/* The kernel's binary form: u32 pcr | digest | u32 name length | name | u32 data length | data, all little-endian.
 * The template "ima" has no data length, no length before its digest and no NUL behind its name.
 * Source: security/integrity/ima/ima_fs.c, ima_measurements_show(). */
#include "ima/list_internal.h"
#include "ima/template.h"

#define DETECT_ENTRIES 8u	/* entries tried per size of the digest column */
#define DETECT_BYTES (64u << 10) /* enough to decide on, when no digest fits */
#define LEGACY_NAME 255u	/* IMA_EVENT_NAME_LEN_MAX */
#define LEGACY_DIGEST_MAX 64u	/* zeros in a violation; the number differs by kernel version */

static bool all_zero(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i])
			return false;
	return b.n > 0;
}

/* Rebuilds the data of "ima" for a digest of `size` bytes: the digest and the name with their length words. */
static enum ima_list_result legacy_data(struct ima_list *l, struct reader *r, size_t size, struct ima_entry *out,
					struct list_fault *why)
{
	struct bytes digest = read_bytes(r, size);
	uint32_t name_n = read_u32le(r);
	struct bytes name;

	if (!reader_ok(r))
		return IMA_LIST_MORE;
	if (name_n > LEGACY_NAME) {
		list_fault(why, "file name length %u exceeds %u in template ima", name_n, LEGACY_NAME);
		return IMA_LIST_BAD;
	}
	name = read_bytes(r, name_n);
	if (!reader_ok(r))
		return IMA_LIST_MORE;
	if (name.n && memchr(name.p, 0, name.n)) {
		list_fault(why, "a zero byte inside the file name");
		return IMA_LIST_BAD;
	}
	writer_reset(&l->scratch);
	write_u32le(&l->scratch, (uint32_t)size);
	write_bytes(&l->scratch, digest.p, digest.n);
	write_u32le(&l->scratch, name_n + 1);
	write_bytes(&l->scratch, name.p, name.n);
	write_u8(&l->scratch, 0);
	out->data = writer_view(&l->scratch);
	return IMA_LIST_ENTRY;
}

/* How many zero bytes stand at the reader, at most LEGACY_DIGEST_MAX. */
static size_t leading_zeros(struct reader r)
{
	size_t n = 0;

	while (n < LEGACY_DIGEST_MAX && reader_left(&r) && read_u8(&r) == 0)
		n++;
	return n;
}

/* The digest's size is not in the list: 20 bytes for SHA-1, 16 for MD5; the template digest tells which. A violation has
 * no template digest, but its digest is zeros and the name's length behind it starts with a byte that is not. */
static enum ima_list_result legacy_next(struct ima_list *l, struct reader *r, struct ima_entry *out,
					struct list_fault *why)
{
	static const size_t sizes[] = { 20, 16 };
	enum ima_list_result result[ARRAY_SIZE(sizes)];
	struct reader start = *r;

	if (out->violation)
		return legacy_data(l, r, leading_zeros(*r), out, why);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct list_fault ignored;

		*r = start;
		result[i] = legacy_data(l, r, sizes[i], out, i == 0 ? why : &ignored);
		if (result[i] == IMA_LIST_ENTRY && ima_digest_matches(out))
			return IMA_LIST_ENTRY;
	}
	/* neither fits: the entry was changed, or is not whole yet */
	if (!l->finished && (result[0] == IMA_LIST_MORE || result[1] == IMA_LIST_MORE))
		return IMA_LIST_MORE;
	if (result[0] != IMA_LIST_BAD || result[1] != IMA_LIST_ENTRY) {
		*r = start;
		return legacy_data(l, r, sizes[0], out, why);
	}
	return IMA_LIST_ENTRY;
}

static enum ima_list_result binary_entry(struct ima_list *l, struct reader *r, size_t column, struct ima_entry *out,
					 struct list_fault *why)
{
	uint32_t name_n, data_n;

	*out = (struct ima_entry){ .pcr = read_u32le(r) };
	if (!reader_ok(r))
		return IMA_LIST_MORE;
	if (out->pcr > LIMIT_PCR) {
		list_fault(why, "PCR %u exceeds %u%s", out->pcr, LIMIT_PCR,
			   (out->pcr & 0xffffff) == 0 ? " (a big-endian list? boot that host with ima_canonical_fmt)" : "");
		return IMA_LIST_BAD;
	}
	out->digest = read_bytes(r, column);
	name_n = read_u32le(r);
	if (!reader_ok(r))
		return IMA_LIST_MORE;
	if (name_n == 0 || name_n > LIMIT_TEMPLATE_NAME) {
		list_fault(why, "template name length %u is not in 1..%u", name_n, LIMIT_TEMPLATE_NAME);
		return IMA_LIST_BAD;
	}
	out->name = read_bytes(r, name_n);
	if (!reader_ok(r))
		return IMA_LIST_MORE;
	for (size_t i = 0; i < out->name.n; i++) {
		if (out->name.p[i] <= ' ' || out->name.p[i] > '~') {
			list_fault_quoted(why, "not a template name:", out->name);
			return IMA_LIST_BAD;
		}
	}
	out->violation = all_zero(out->digest);
	if (ima_template_is_legacy(out->name))
		return legacy_next(l, r, out, why);
	data_n = read_u32le(r);
	if (!reader_ok(r))
		return IMA_LIST_MORE;
	if (data_n > LIMIT_ENTRY_DATA) {
		list_fault(why, "template data of %u bytes exceeds %u", data_n, LIMIT_ENTRY_DATA);
		return IMA_LIST_BAD;
	}
	out->data = read_bytes(r, data_n);
	return reader_ok(r) ? IMA_LIST_ENTRY : IMA_LIST_MORE;
}

enum ima_list_result list_binary_next(struct ima_list *l, struct reader *r, struct ima_entry *out, struct list_fault *why)
{
	return binary_entry(l, r, l->digest_size, out, why);
}

size_t list_binary_detect(struct ima_list *l, struct reader start)
{
	size_t best = hash_size(HASH_SHA1), best_score = 0;
	bool undecided = false;

	for (enum hash_alg a = 0; a < HASH_COUNT; a++) {
		struct reader r = start;
		enum ima_list_result result = IMA_LIST_ENTRY;
		size_t fitting = 0, sound = 0, score;

		for (unsigned int i = 0; i < DETECT_ENTRIES && reader_left(&r); i++) {
			struct list_fault ignored;
			struct ima_entry e;

			result = binary_entry(l, &r, hash_size(a), &e, &ignored);
			if (result != IMA_LIST_ENTRY)
				break;
			sound++;
			if (!e.violation && ima_digest_matches(&e))
				fitting++;
		}
		if (fitting == 0 && result != IMA_LIST_BAD)
			undecided = true;
		/* a digest that fits weighs more than any number of entries that merely could be */
		score = fitting * 4 * DETECT_ENTRIES + sound * 2 + (sound && result != IMA_LIST_BAD);
		if (score > best_score) {
			best = hash_size(a);
			best_score = score;
		}
	}
	if (best_score < 4 * DETECT_ENTRIES && undecided && !l->finished && reader_left(&start) < DETECT_BYTES)
		return 0;
	return best;
}

void ima_list_write_entry(struct writer *w, const struct ima_entry *e, enum hash_alg digest_column)
{
	uint8_t column[HASH_MAX_SIZE] = { 0 };
	struct bytes digest, name;

	if (!e->violation)
		ima_template_digest(e, digest_column, column);
	write_u32le(w, e->pcr);
	write_bytes(w, column, hash_size(digest_column));
	write_u32le(w, (uint32_t)e->name.n);
	write_bytes(w, e->name.p, e->name.n);
	if (!ima_template_is_legacy(e->name)) {
		write_u32le(w, (uint32_t)e->data.n);
		write_bytes(w, e->data.p, e->data.n);
		return;
	}
	if (!ima_legacy_parts(e->data, &digest, &name)) {
		if (!w->bad)
			w->bad = -EINVAL; /* the list form of "ima" has no place for other data */
		return;
	}
	write_bytes(w, digest.p, digest.n);
	write_u32le(w, (uint32_t)name.n - 1);
	write_bytes(w, name.p, name.n - 1);
}
