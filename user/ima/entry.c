// SPDX-License-Identifier: Apache-2.0
#include "ima/entry.h"

#include "ima/template.h"
#include "imastream/limits.h"

#define DIGEST_MAX 64u
#define LEGACY_NAME_PAD 256u /* IMA_EVENT_NAME_LEN_MAX + 1: ima_crypto.c, ima_calc_field_array_hash_tfm() */

/* "sha256:" NUL digest, or with a type in front "ima:sha256:" NUL digest. Violations carry zeros whose number changed
 * between kernel versions (ima_template_lib.c, ima_eventdigest_init_common()), so only real digests are measured. */
static bool split_digest(struct bytes b, bool typed, bool violation, struct bytes *alg, struct bytes *digest,
			 enum ima_digest_kind *kind)
{
	struct reader r = reader_of(b);
	enum ima_digest_kind k = IMA_DIGEST_FILE;
	struct bytes a, d;
	size_t size;

	if (typed) {
		struct bytes type = read_until(&r, ':');

		if (type.n == 6 && bytes_equal(type.p, "verity", 6))
			k = IMA_DIGEST_VERITY;
		else if (type.n != 3 || !bytes_equal(type.p, "ima", 3))
			return false;
	}
	a = read_until(&r, ':');
	if (read_u8(&r) != 0 || !reader_ok(&r) || a.n == 0)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (a.p[i] <= ' ' || a.p[i] > '~')
			return false;
	d = read_rest(&r);
	size = ima_alg_size(a);
	if (d.n > DIGEST_MAX || (!violation && (d.n == 0 || (size && d.n != size))))
		return false;
	*alg = a;
	*digest = d;
	*kind = k;
	return true;
}

/* What split_digest() says of nearly all entries. */
static bool split_sha256(struct bytes b, struct bytes *alg, struct bytes *digest)
{
	struct reader r = reader_of(b);

	if (b.n != 8 + 32 || memcmp(b.p, "sha256:", 8) != 0) /* constant. lint: allow */
		return false;
	*alg = read_bytes(&r, 6);
	(void)read_bytes(&r, 2);
	*digest = read_bytes(&r, 32);
	return true;
}

static bool take_digest(struct bytes b, bool typed, bool violation, struct ima_fields *out)
{
	struct bytes alg, digest;
	enum ima_digest_kind kind;

	if (!typed && !out->alg.p && split_sha256(b, &out->alg, &out->digest)) {
		out->kind = IMA_DIGEST_FILE;
		return true;
	}
	if (!split_digest(b, typed, violation, &alg, &digest, &kind))
		return false;
	if (!out->alg.p) {
		out->alg = alg;
		out->digest = digest;
		out->kind = kind;
	}
	return true;
}

/* The field d has no label: SHA-1 or MD5, told apart by size (ima_template_lib.c, ima_eventdigest_init()). */
static bool take_plain_digest(struct bytes b, bool violation, struct ima_fields *out)
{
	static const uint8_t sha1[] = "sha1", md5[] = "md5";

	if (b.n > DIGEST_MAX || (!violation && b.n != 20 && b.n != 16))
		return false;
	if (!out->alg.p) {
		out->alg = b.n == 16 ? (struct bytes){ md5, 3 } : (struct bytes){ sha1, 4 };
		out->digest = b;
	}
	return true;
}

static bool take_string(struct bytes b, struct bytes *out)
{
	if (!ima_is_c_string(b))
		return false;
	if (!out->p)
		*out = (struct bytes){ b.p, b.n - 1 };
	return true;
}

static bool take_bytes(struct bytes b, struct bytes *out)
{
	if (!out->p)
		*out = b;
	return true;
}

/* Absent (no file behind the event) or exactly n bytes. */
static bool take_integer(struct bytes b, size_t n, struct bytes *out)
{
	return (b.n == 0 || b.n == n) && take_bytes(b, out);
}

static bool take_field(enum ima_field f, struct bytes b, bool violation, struct ima_fields *out)
{
	enum ima_digest_kind kind;

	switch (f) {
	case IMA_FIELD_D:
		return take_plain_digest(b, violation, out);
	case IMA_FIELD_D_NG:
		return take_digest(b, false, violation, out);
	case IMA_FIELD_D_NGV2:
		return take_digest(b, true, violation, out);
	case IMA_FIELD_N:
	case IMA_FIELD_N_NG:
		return take_string(b, &out->path);
	case IMA_FIELD_SIG:
		return take_bytes(b, &out->sig);
	case IMA_FIELD_BUF:
		return take_bytes(b, &out->buf);
	case IMA_FIELD_D_MODSIG:
		return b.n == 0 ||
		       split_digest(b, false, violation, &out->modsig_alg, &out->modsig_digest, &kind);
	case IMA_FIELD_MODSIG:
		return take_bytes(b, &out->modsig);
	case IMA_FIELD_EVMSIG:
		return take_bytes(b, &out->evmsig);
	case IMA_FIELD_XATTR_NAMES:
		return b.n == 0 || take_string(b, &out->xattr_names);
	case IMA_FIELD_XATTR_LENGTHS:
		return b.n % 4 == 0 && take_bytes(b, &out->xattr_lengths);
	case IMA_FIELD_XATTR_VALUES:
		return take_bytes(b, &out->xattr_values);
	case IMA_FIELD_UID:
		return take_integer(b, 4, &out->uid);
	case IMA_FIELD_GID:
		return take_integer(b, 4, &out->gid);
	case IMA_FIELD_MODE:
		return take_integer(b, 2, &out->mode);
	case IMA_FIELD_UNKNOWN:
		return true;
	}
	return false;
}

/* An unknown template is at most LIMIT_TEMPLATE_FIELDS fields whose lengths fill the data exactly. */
static bool lengths_are_sound(struct reader *r)
{
	for (unsigned int i = 0; i < LIMIT_TEMPLATE_FIELDS && reader_left(r); i++)
		(void)read_bytes(r, read_u32le(r));
	return reader_done(r);
}

bool ima_fields_parse(const struct ima_entry *e, struct ima_fields *out)
{
	struct ima_template scratch;
	const struct ima_template *t = ima_template_find(e->name, &scratch);
	struct reader r = reader_of(e->data);

	*out = (struct ima_fields){ 0 };
	if (t->n == 0)
		return lengths_are_sound(&r);
	for (size_t i = 0; i < t->n; i++) {
		struct bytes b = read_bytes(&r, read_u32le(&r));

		if (!reader_ok(&r) || !take_field(t->field[i], b, e->violation, out))
			return false;
	}
	if (!reader_done(&r))
		return false;
	out->known = t->known;
	return true;
}

/* Custom formats: the first field that is a labelled digest of a known algorithm, the first that is a text. */
static bool guess_each_field(struct bytes data, struct ima_fields *out)
{
	struct reader r = reader_of(data);
	struct ima_fields f = { 0 };

	for (unsigned int i = 0; i < LIMIT_TEMPLATE_FIELDS && reader_left(&r); i++) {
		struct bytes b = read_bytes(&r, read_u32le(&r));
		struct ima_fields one = { 0 };

		if ((take_digest(b, false, false, &one) || take_digest(b, true, false, &one)) && ima_alg_size(one.alg)) {
			if (!f.digest.p) {
				f.alg = one.alg;
				f.digest = one.digest;
				f.kind = one.kind;
			}
		} else if (!f.path.p && b.n > 1) {
			(void)take_string(b, &f.path); /* not a text: it is another field */
		}
	}
	if (!reader_done(&r) || !f.digest.n || !f.path.p)
		return false;
	f.known = true;
	*out = f;
	return true;
}

bool ima_fields_guess(const struct ima_entry *e, struct ima_fields *out)
{
	struct ima_entry named = *e;
	struct ima_fields f;

	for (size_t i = 0; ima_template_builtin_name(i, &named.name); i++) {
		if (!ima_template_is_legacy(named.name) && ima_fields_parse(&named, &f) && f.digest.n && f.path.p) {
			*out = f;
			return true;
		}
	}
	return guess_each_field(e->data, out);
}

static bool one_byte_differs(struct bytes a, struct bytes b)
{
	size_t n = 0;

	for (size_t i = 0; a.n == b.n && i < a.n; i++)
		n += a.p[i] != b.p[i];
	return n == 1;
}

static bool meant_to_be(const struct ima_entry *e, struct bytes name)
{
	struct ima_entry named = *e;
	struct ima_fields f;

	named.name = name;
	return one_byte_differs(e->name, name) && ima_fields_parse(&named, &f) && f.known;
}

bool ima_template_misnamed(const struct ima_entry *e, struct bytes format, struct bytes *meant)
{
	struct ima_template scratch;
	struct bytes name;

	if (ima_template_find(e->name, &scratch)->known)
		return false;
	for (size_t i = 0; ima_template_builtin_name(i, &name); i++) {
		if (meant_to_be(e, name)) {
			*meant = name;
			return true;
		}
	}
	if (!meant_to_be(e, format))
		return false;
	*meant = format;
	return true;
}

bool ima_fields_contradict(const struct ima_entry *e, const struct ima_fields *named, struct ima_fields *by_form)
{
	struct ima_fields form;

	if (ima_template_is_builtin(e->name) || !ima_fields_guess(e, &form))
		return false;
	/* views into the same data: the same place is the same field. ima-sig and ima-buf have one form. */
	if (named->digest.p == form.digest.p && named->path.p == form.path.p &&
	    (!named->buf.p || named->buf.p == form.buf.p || named->buf.p == form.sig.p))
		return false;
	*by_form = form;
	return true;
}

void ima_template_digest(const struct ima_entry *e, enum hash_alg a, uint8_t *out)
{
	static const uint8_t pad[LEGACY_NAME_PAD];
	struct bytes digest, name;
	struct hash h;

	if (e->violation) {
		memset(out, 0xff, hash_size(a));
		return;
	}
	if (!ima_template_is_legacy(e->name) || !ima_legacy_parts(e->data, &digest, &name)) {
		hash_one(a, e->data.p, e->data.n, out);
		return;
	}
	hash_begin(&h, a);
	hash_add(&h, digest.p, digest.n);
	hash_add(&h, name.p, name.n);
	hash_add(&h, pad, LEGACY_NAME_PAD - name.n);
	hash_end(&h, out);
}

void ima_bank_digest(const struct ima_entry *e, enum hash_alg a, enum ima_bank_rule rule, uint8_t *out)
{
	if (rule == IMA_BANK_OWN || (rule == IMA_BANK_PADDED && e->violation)) {
		ima_template_digest(e, a, out);
		return;
	}
	memset(out, 0, hash_size(a));
	ima_template_digest(e, HASH_SHA1, out);
}

void ima_bank_step(const struct ima_entry *e, enum hash_alg a, enum ima_bank_rule rule, uint8_t *out, struct hash_step *s)
{
	static const uint8_t nothing[1];

	*s = (struct hash_step){ .digest = out };
	if (rule == IMA_BANK_OWN && !e->violation && !ima_template_is_legacy(e->name))
		s->data = (struct bytes){ e->data.n ? e->data.p : nothing, e->data.n };
	else
		ima_bank_digest(e, a, rule, out);
}

void ima_template_digest_padded_sha1(const struct ima_entry *e, enum hash_alg a, uint8_t *out)
{
	ima_bank_digest(e, a, IMA_BANK_PADDED, out);
}

static bool alg_of_size(size_t n, enum hash_alg *out)
{
	for (enum hash_alg a = 0; a < HASH_COUNT; a++) {
		if (hash_size(a) == n) {
			*out = a;
			return true;
		}
	}
	return false;
}

bool ima_digest_matches(const struct ima_entry *e)
{
	uint8_t digest[HASH_MAX_SIZE];
	enum hash_alg a;

	if (e->violation)
		return true;
	if (!alg_of_size(e->digest.n, &a))
		return false;
	ima_template_digest(e, a, digest);
	return bytes_equal(digest, e->digest.p, e->digest.n);
}
