// SPDX-License-Identifier: Apache-2.0
/* Template data: byte 0 picks the template, byte 1 says violation, the rest is the data. Views stay inside the data. */
#include "ima/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
	"ima", "ima-ng", "ima-sig", "ima-ngv2", "ima-sigv2", "ima-buf", "ima-modsig", "evm-sig", "unheard-of",
	"n-ng|d-ngv2|buf|iuid|igid|imode|d-modsig|sig|modsig|xattrnames|d|n", "d-ng|future", "|", "d|d|d",
};

static void inside(struct bytes b, struct bytes data)
{
	/* "sha1" and "md5" of the field d are ours */
	if (b.n && (b.p < data.p || (size_t)(b.p - data.p) > data.n || b.n > data.n - (size_t)(b.p - data.p)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_over(data, size);
	const char *name = names[read_u8(&r) % ARRAY_SIZE(names)];
	struct ima_entry e = { .pcr = 10, .name = { (const uint8_t *)name, strlen(name) } };
	uint8_t digest[HASH_MAX_SIZE];
	struct ima_fields f;

	e.violation = read_u8(&r) & 1;
	e.data = read_rest(&r);
	if (!ima_fields_parse(&e, &f) && f.known)
		abort();
	inside(f.digest, e.data);
	inside(f.path, e.data);
	inside(f.sig, e.data);
	inside(f.buf, e.data);
	inside(f.modsig_digest, e.data);
	inside(f.modsig, e.data);
	inside(f.evmsig, e.data);
	inside(f.xattr_names, e.data);
	inside(f.xattr_lengths, e.data);
	inside(f.xattr_values, e.data);
	inside(f.uid, e.data);
	inside(f.gid, e.data);
	inside(f.mode, e.data);
	ima_template_digest(&e, HASH_SHA512, digest);
	ima_template_digest_padded_sha1(&e, HASH_SHA256, digest);
	return 0;
}
