// SPDX-License-Identifier: Apache-2.0
#include "wire/reference.h"

#include "base/hash.h"

#define NUMBER_MASK 0x0fffffffu

static const struct {
	uint8_t number;
	size_t size;
	const char *name;
} digests[] = {
#define X(number, name, size) { number, size, name },
	WIRE_DIGESTS(X)
#undef X
};

uint8_t wire_digest_number(const char *name, size_t size)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(digests); i++)
		if (digests[i].size == size && strcmp(digests[i].name, name) == 0)
			return digests[i].number;
	return 0;
}

void wire_record_tag(const struct wire_record *r, uint8_t out[WIRE_TAG_SIZE])
{
	static const char domain[] = WIRE_DOMAIN_RECORD;
	uint8_t whole[WIRE_DIGEST_SIZE];
	struct hash h;

	/* the algorithm says how long the digest is, so the parts cannot run into each other */
	hash_begin(&h, HASH_SHA256);
	hash_add(&h, domain, sizeof(domain) - 1);
	hash_add(&h, &r->alg, 1);
	hash_add(&h, r->digest.p, r->digest.n);
	hash_add(&h, r->path.p, r->path.n);
	hash_end(&h, whole);
	bytes_copy(out, whole, WIRE_TAG_SIZE);
}

void wire_reference_head(struct writer *w, uint32_t records)
{
	write_bytes(w, WIRE_REFERENCE_MAGIC, WIRE_REFERENCE_MAGIC_SIZE);
	write_u32le(w, records);
}

uint32_t wire_reference_number(const uint8_t digest[WIRE_DIGEST_SIZE])
{
	struct reader r = reader_over(digest, WIRE_DIGEST_SIZE);
	uint32_t number = read_u32be(&r) & NUMBER_MASK;

	return number ? number : 1;
}

size_t wire_reference_width(uint32_t records)
{
	return records <= 1u << 8 ? 1 : records <= 1u << 16 ? 2 : 3;
}

enum wire_reference_outcome wire_reference_open(struct bytes set, const uint8_t digest[WIRE_DIGEST_SIZE],
						struct wire_reference *out)
{
	struct reader r = reader_of(set);
	struct wire_reference made = { 0 };
	struct bytes magic = read_bytes(&r, WIRE_REFERENCE_MAGIC_SIZE), tags;
	const uint8_t *before = NULL;

	made.records = read_u32le(&r);
	hash_one(HASH_SHA256, set.p, set.n, made.digest);
	if (!bytes_equal(made.digest, digest, WIRE_DIGEST_SIZE))
		return WIRE_REFERENCE_DIGEST;
	if (!reader_ok(&r) || !bytes_equal(magic.p, WIRE_REFERENCE_MAGIC, WIRE_REFERENCE_MAGIC_SIZE))
		return WIRE_REFERENCE_MALFORMED;
	if (made.records > LIMIT_REFERENCE_RECORDS)
		return WIRE_REFERENCE_TOO_LARGE;
	tags = read_bytes(&r, (size_t)made.records * WIRE_TAG_SIZE);
	if (!reader_done(&r) || made.records == 0)
		return WIRE_REFERENCE_MALFORMED;
	made.tags = tags.p;
	for (r = reader_of(tags); reader_left(&r) > 0;) {
		const uint8_t *tag = read_bytes(&r, WIRE_TAG_SIZE).p;

		if (before && bytes_compare(before, tag, WIRE_TAG_SIZE) >= 0)
			return WIRE_REFERENCE_MALFORMED;
		before = tag;
	}
	made.number = wire_reference_number(made.digest);
	*out = made;
	return WIRE_REFERENCE_OK;
}

/* Tags are spread evenly, so a few guesses by their first 32 bits come close; then halves. */
bool wire_reference_find(const struct wire_reference *set, const struct wire_record *r, uint32_t *out)
{
	uint8_t tag[WIRE_TAG_SIZE];
	struct reader head = reader_over(tag, sizeof(tag));
	uint32_t low = 0, high = set->records, at;
	uint64_t guess;

	wire_record_tag(r, tag);
	guess = (uint64_t)read_u32be(&head) * set->records >> 32;
	for (uint32_t step = 16; low < high; step *= 4) {
		int c;

		at = guess >= low && guess < high ? (uint32_t)guess : low + (high - low) / 2;
		c = bytes_compare(set->tags + (size_t)at * WIRE_TAG_SIZE, tag, WIRE_TAG_SIZE);
		if (c == 0) {
			*out = at;
			return true;
		}
		if (c < 0) {
			low = at + 1;
			guess = (uint64_t)at + step;
		} else {
			high = at;
			guess = at >= step ? at - step : 0;
		}
		if (step > set->records)
			guess = set->records; /* halves from now on */
	}
	return false;
}
