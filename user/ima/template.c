// SPDX-License-Identifier: Apache-2.0
#include "ima/template.h"

#define LEGACY_NAME_MAX 256u /* IMA_EVENT_NAME_LEN_MAX + 1, with the NUL: security/integrity/ima/ima.h */

static const struct {
	const char *id;
	enum ima_field field;
} field_ids[] = {
	{ "d", IMA_FIELD_D },
	{ "n", IMA_FIELD_N },
	{ "d-ng", IMA_FIELD_D_NG },
	{ "d-ngv2", IMA_FIELD_D_NGV2 },
	{ "n-ng", IMA_FIELD_N_NG },
	{ "sig", IMA_FIELD_SIG },
	{ "buf", IMA_FIELD_BUF },
	{ "d-modsig", IMA_FIELD_D_MODSIG },
	{ "modsig", IMA_FIELD_MODSIG },
	{ "evmsig", IMA_FIELD_EVMSIG },
	{ "xattrnames", IMA_FIELD_XATTR_NAMES },
	{ "xattrlengths", IMA_FIELD_XATTR_LENGTHS },
	{ "xattrvalues", IMA_FIELD_XATTR_VALUES },
	{ "iuid", IMA_FIELD_UID },
	{ "igid", IMA_FIELD_GID },
	{ "imode", IMA_FIELD_MODE },
};

#define NAME(text) { (const uint8_t *)(text), sizeof(text) - 1 }

/* Ordered by how often they are met; find_builtin() knows which the first two are. */
static const struct {
	struct bytes name;
	struct ima_template t;
} builtin[] = {
	{ NAME("ima-ng"), { 2, true, { IMA_FIELD_D_NG, IMA_FIELD_N_NG } } },
	{ NAME("ima-sig"), { 3, true, { IMA_FIELD_D_NG, IMA_FIELD_N_NG, IMA_FIELD_SIG } } },
	{ NAME("ima-ngv2"), { 2, true, { IMA_FIELD_D_NGV2, IMA_FIELD_N_NG } } },
	{ NAME("ima-sigv2"), { 3, true, { IMA_FIELD_D_NGV2, IMA_FIELD_N_NG, IMA_FIELD_SIG } } },
	{ NAME("ima-buf"), { 3, true, { IMA_FIELD_D_NG, IMA_FIELD_N_NG, IMA_FIELD_BUF } } },
	{ NAME("ima"), { 2, true, { IMA_FIELD_D, IMA_FIELD_N } } },
	{ NAME("ima-modsig"),
	  { 5, true, { IMA_FIELD_D_NG, IMA_FIELD_N_NG, IMA_FIELD_SIG, IMA_FIELD_D_MODSIG, IMA_FIELD_MODSIG } } },
	{ NAME("evm-sig"),
	  { 9,
	    true,
	    { IMA_FIELD_D_NG, IMA_FIELD_N_NG, IMA_FIELD_EVMSIG, IMA_FIELD_XATTR_NAMES, IMA_FIELD_XATTR_LENGTHS,
	      IMA_FIELD_XATTR_VALUES, IMA_FIELD_UID, IMA_FIELD_GID, IMA_FIELD_MODE } } },
};

/* Names of crypto/hash_info.c with their digest sizes. */
static const struct {
	const char *name;
	size_t size;
} algs[] = {
	{ "sha256", 32 },      { "sha1", 20 },	 { "sha512", 64 },   { "sha384", 48 },	{ "md5", 16 },
	{ "sha224", 28 },      { "sm3", 32 },	 { "sm3-256", 32 },  { "md4", 16 },	{ "rmd128", 16 },
	{ "rmd160", 20 },      { "rmd256", 32 }, { "rmd320", 40 },   { "wp256", 32 },	{ "wp384", 48 },
	{ "wp512", 64 },       { "tgr128", 16 }, { "tgr160", 20 },   { "tgr192", 24 },	{ "streebog256", 32 },
	{ "streebog512", 64 }, { "sha3-224", 28 }, { "sha3-256", 32 }, { "sha3-384", 48 }, { "sha3-512", 64 },
};

static inline bool is_text(struct bytes b, const char *s)
{
	return b.n == strlen(s) && bytes_equal(b.p, s, strlen(s));
}

bool ima_template_is_legacy(struct bytes name)
{
	return is_text(name, "ima");
}

static const struct ima_template *find_builtin(struct bytes name)
{
	if (is_text(name, "ima-ng")) /* nearly always: lengths that are constants need no calls */
		return &builtin[0].t;
	if (is_text(name, "ima-sig"))
		return &builtin[1].t;
	for (size_t i = 2; i < ARRAY_SIZE(builtin); i++)
		if (name.n == builtin[i].name.n && bytes_equal(name.p, builtin[i].name.p, name.n))
			return &builtin[i].t;
	return NULL;
}

bool ima_template_is_builtin(struct bytes name)
{
	return find_builtin(name) != NULL;
}

bool ima_template_builtin_name(size_t i, struct bytes *name)
{
	if (i >= ARRAY_SIZE(builtin))
		return false;
	*name = builtin[i].name;
	return true;
}

size_t ima_alg_size(struct bytes alg)
{
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++)
		if (is_text(alg, algs[i].name))
			return algs[i].size;
	return 0;
}

static enum ima_field field_by_id(struct bytes id)
{
	for (size_t i = 0; i < ARRAY_SIZE(field_ids); i++)
		if (is_text(id, field_ids[i].id))
			return field_ids[i].field;
	return IMA_FIELD_UNKNOWN;
}

static void parse_format(struct bytes format, struct ima_template *t)
{
	struct reader r = reader_of(format);
	bool last = false;

	*t = (struct ima_template){ .known = true };
	while (!last) {
		struct reader rest = r;
		struct bytes id = read_until(&r, '|');

		if (!reader_ok(&r)) {
			id = read_rest(&rest);
			last = true;
		}
		if (t->n == LIMIT_TEMPLATE_FIELDS) {
			*t = (struct ima_template){ 0 };
			return;
		}
		t->field[t->n] = field_by_id(id);
		if (t->field[t->n++] == IMA_FIELD_UNKNOWN)
			t->known = false;
	}
	if (t->n == 1 && !t->known)
		t->n = 0; /* a plain name, not a format */
}

const struct ima_template *ima_template_find(struct bytes name, struct ima_template *scratch)
{
	const struct ima_template *t = find_builtin(name);

	if (t)
		return t;
	parse_format(name, scratch);
	return scratch;
}

bool ima_is_c_string(struct bytes b)
{
	return b.n > 0 && b.p[b.n - 1] == 0 && !memchr(b.p, 0, b.n - 1);
}

bool ima_legacy_parts(struct bytes data, struct bytes *digest, struct bytes *name)
{
	struct reader r = reader_of(data);
	struct bytes d = read_bytes(&r, read_u32le(&r));
	struct bytes n = read_bytes(&r, read_u32le(&r));

	if (!reader_done(&r) || n.n > LEGACY_NAME_MAX || !ima_is_c_string(n))
		return false;
	*digest = d;
	*name = n;
	return true;
}
