// SPDX-License-Identifier: Apache-2.0
#include "verifier/policy_file.h"

#include <stdio.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/hash.h"
#include "base/huge.h"
#include "base/text.h"
#include "policy/compiled.h"

#define PACK_LEVEL 1 /* hex digests: better levels gain little and cost seconds */

static void source_cleanup(struct policy_source **s)
{
	policy_source_free(s);
}

static struct policy_source *source_new(void)
{
	struct policy_source *s = calloc(1, sizeof(*s));

	if (s) {
		s->detached = WRITER(LIMIT_BUNDLE);
		s->signer = WRITER(8192);
		s->packed = WRITER(LIMIT_POLICY_KEPT);
	}
	return s;
}

static void name_file(char out[LIMIT_KEY_NAME], struct bytes file)
{
	cleanup_writer_ struct writer w = WRITER(LIMIT_KEY_NAME);
	uint8_t digest[32];
	const char *text;

	hash_one(HASH_SHA256, file.p, file.n, digest);
	write_fmt(&w, "sha256:");
	write_hex(&w, digest, sizeof(digest));
	text = writer_cstr(&w);
	snprintf(out, LIMIT_KEY_NAME, "%s", text ? text : "");
}

int policy_file_pack(struct bytes file, struct writer *out)
{
	size_t bound = MIN(ZSTD_compressBound(file.n), out->max), n;
	uint8_t *room = write_space(out, bound);

	if (!room)
		return writer_status(out);
	n = ZSTD_compress(room, bound, file.p, file.n, PACK_LEVEL);
	out->n = ZSTD_isError(n) ? 0 : n;
	return ZSTD_isError(n) && ZSTD_getErrorCode(n) != ZSTD_error_dstSize_tooSmall ? -ENOMEM : 0;
}

static int unpack(struct bytes packed, struct policy_image *out)
{
	unsigned long long size = ZSTD_getFrameContentSize(packed.p, packed.n);
	cleanup_(policy_image_clear) struct policy_image image = { .p = NULL };
	size_t n;

	if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > LIMIT_POLICY_COMPILED)
		return -EBADMSG;
	image.n = (size_t)size;
	image.p = alloc_huge(image.n);
	if (!image.p)
		return -ENOMEM;
	n = ZSTD_decompress(image.p, image.n, packed.p, packed.n);
	if (ZSTD_isError(n) || n != image.n)
		return -EBADMSG;
	*out = image;
	image.p = NULL;
	return 0;
}

static void cannot(const struct policy_opener *o, const char *what, const char *path, int error)
{
	write_fmt(o->why, "cannot %s the policy %s: %s\n", what, path, strerror(-error));
}

static int check_signer(const struct policy_opener *o, const char *path, struct bytes file, struct policy_source *source,
			struct writer *storage, struct bytes *policy)
{
	cleanup_writer_ struct writer why = WRITER(8192);
	struct policy_signer who = { 0 };
	int r = policy_open_signed(o->trust, file, writer_view(&source->detached), o->now_s, storage, policy, &who, &why);
	const char *text = writer_cstr(&why);

	if (r < 0) {
		cannot(o, "check the signature of", path, r);
		return r;
	}
	if (r > 0) {
		write_fmt(o->why, "nobody vouches for the policy %s: %s (%s)\n", path,
			  text && *text ? text : policy_signed_text((enum policy_signed)r),
			  policy_signed_name((enum policy_signed)r));
		return -EACCES;
	}
	if (who.form != SIGNED_FORM_NONE)
		policy_signer_describe(&who, &source->signer);
	return writer_status(&source->signer);
}

/* The same bytes as before: the policy in memory is shared. */
static struct policy *known(const struct policy_opener *o, const char *file_id)
{
	for (size_t i = 0; o->known && i < o->known->n; i++) {
		const struct named_policy *n = &o->known->list[i];

		if (n->policy && n->source && strcmp(n->source->file_id, file_id) == 0)
			return policy_ref(n->policy);
	}
	return NULL;
}

/* image: of the file, NULL: the policy is JSON, or inside an envelope. */
static int parse(const struct policy_opener *o, const char *path, struct bytes json, struct policy_image *image,
		 struct policy **out)
{
	struct policy_report report = { .errors = 0 };
	int r = image ? policy_load_image(out, image, &report) : policy_load(out, json, &report);
	const char *lines = writer_cstr(&report.text);

	if (r > 0) {
		write_fmt(o->why, "the policy %s is not usable:\n%s", path, lines ? lines : "");
		r = -EINVAL;
	} else if (r < 0) {
		cannot(o, "load", path, r);
	} else if (report.notes) {
		write_fmt(o->notes, "policy %s: %s", path, lines ? lines : "");
	}
	policy_report_clear(&report);
	return r;
}

/* A compiled policy is known by its seal, which had to be made anyway: nothing else goes over all of its bytes. */
static int open_image(const struct policy_opener *o, const char *path, struct policy_image *image,
		      struct policy_source *source, struct policy **out)
{
	struct policy *before;
	int r = parse(o, path, (struct bytes){ 0 }, image, out);

	if (r < 0)
		return r;
	policy_seal_name(*out, source->file_id, sizeof(source->file_id));
	before = known(o, source->file_id);
	if (before) {
		policy_unref(out);
		*out = before;
	}
	return 0;
}

static int open_json(const struct policy_opener *o, const char *path, struct bytes file, struct bytes json,
		     struct policy_source *source, struct policy **out)
{
	int r;

	name_file(source->file_id, file);
	*out = known(o, source->file_id);
	if (*out)
		return 0;
	r = parse(o, path, json, NULL, out);
	return r == 0 && source->path ? policy_file_pack(file, &source->packed) : r; /* what comes from the store is there */
}

/* The bytes that were verified are those that are used: `image` is taken as it is. */
static int open_bytes(const struct policy_opener *o, const char *path, struct bytes file, struct policy_image *image,
		      struct policy_source **source, struct named_policy *out)
{
	cleanup_writer_ struct writer storage = WRITER(LIMIT_POLICY_FILE);
	cleanup_policy_ struct policy *policy = NULL;
	struct bytes json = { 0 };
	int r = check_signer(o, path, file, *source, &storage, &json);

	if (r == 0)
		r = image ? open_image(o, path, image, *source, &policy)
			  : open_json(o, path, file, json, *source, &policy);
	if (r < 0)
		return r;
	out->policy = TAKE_PTR(policy);
	out->source = TAKE_PTR(*source);
	return 0;
}

static int read_detached(const char *path, struct writer *out)
{
	static const char *const ends[] = { ".sigstore.json", ".sig" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char beside[4096 + 16];
		int r;

		if (snprintf(beside, sizeof(beside), "%s%s", path, ends[i]) >= (int)sizeof(beside))
			return -ENAMETOOLONG;
		r = read_file(beside, out);
		if (r != -ENOENT)
			return r;
	}
	return 0;
}

int policy_file_open(const struct policy_opener *o, const char *path, struct named_policy *out)
{
	cleanup_(policy_image_clear) struct policy_image image = { .p = NULL };
	cleanup_(source_cleanup) struct policy_source *source = source_new();
	cleanup_writer_ struct writer file = WRITER(LIMIT_POLICY_FILE);
	int r = source ? policy_image_read(path, &image) : -ENOMEM;
	bool compiled = r == 0;

	if (r > 0)
		r = read_file(path, &file);
	if (r == 0 && !policy_trust_empty(o->trust)) /* without a trust nobody asked who signed it */
		r = read_detached(path, &source->detached);
	if (r == 0 && !(source->path = strdup(path)))
		r = -ENOMEM;
	if (r < 0) {
		cannot(o, "read", path, r);
		return r;
	}
	return open_bytes(o, path, compiled ? (struct bytes){ image.p, image.n } : writer_view(&file),
			  compiled ? &image : NULL, &source, out);
}

int policy_kept_open(const struct policy_opener *o, const char *what, struct bytes packed, struct bytes detached,
		     struct named_policy *out)
{
	cleanup_(policy_image_clear) struct policy_image image = { .p = NULL };
	cleanup_(source_cleanup) struct policy_source *source = source_new();
	int r = source ? unpack(packed, &image) : -ENOMEM;
	struct bytes file = { image.p, image.n };
	bool compiled = r == 0 && policy_is_compiled(file);

	if (r == 0) {
		write_bytes(&source->detached, detached.p, detached.n);
		r = writer_status(&source->detached);
	}
	if (r < 0) {
		cannot(o, "read", what, r);
		return r;
	}
	if (compiled)
		policy_image_seal(&image);
	return open_bytes(o, what, file, compiled ? &image : NULL, &source, out);
}
