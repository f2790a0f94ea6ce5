// SPDX-License-Identifier: Apache-2.0
#include "policy/learned.h"

#include <openssl/evp.h>

#include "policy/algo.h"
#include "policy/keyring_private.h"
#include "policy/model.h"

static const uint8_t ima_keyring[] = ".ima";
#define IMA_KEYRING ((struct bytes){ ima_keyring, sizeof(ima_keyring) - 1 })

struct learned_key {
	uint8_t alg, size;
	uint8_t digest[FILE_ALG_MAX_SIZE];
	uint8_t *der;
	size_t n;
};

struct learned {
	struct keyring *ring;
	struct learned_key keys[LIMIT_LEARNED_KEYS];
	size_t n, bytes;
};

int learned_new(struct learned **out)
{
	cleanup_learned_ struct learned *l = calloc(1, sizeof(*l));
	int r = l ? keyring_new(&l->ring) : -ENOMEM;

	if (r < 0)
		return r;
	*out = TAKE_PTR(l);
	return 0;
}

void learned_free(struct learned **l)
{
	struct learned *old = TAKE_PTR(*l);

	if (!old)
		return;
	for (size_t i = 0; i < old->n; i++)
		free(old->keys[i].der);
	keyring_free(&old->ring);
	free(old);
}

static bool allowed(const struct policy *p, uint8_t alg, struct bytes digest)
{
	return table_find(&p->table, TABLE_KEYRINGS, IMA_KEYRING, alg, digest) == TABLE_MATCH &&
	       !table_has(&p->table, TABLE_DENY, digest) && !file_alg_weak(alg);
}

/* The kernel hashes the buffer itself (ima_main.c, process_buffer_measurement()). An ima-sig entry has the same form, and
 * its name is not hashed: there the digest is that of a file. */
static bool digest_is_of(struct bytes alg, struct bytes digest, struct bytes buf)
{
	uint8_t own[HASH_MAX_SIZE];
	enum hash_alg a;

	if (!hash_from_name(alg, &a) || digest.n != hash_size(a))
		return false;
	hash_one(a, buf.p, buf.n, own);
	return bytes_equal(own, digest.p, digest.n);
}

bool learned_wants(const struct policy *p, const struct ima_entry *e, const struct ima_fields *fields)
{
	return p && !e->violation && fields->known && fields->buf.n && fields->kind == IMA_DIGEST_FILE &&
	       fields->path.n == IMA_KEYRING.n && bytes_equal(fields->path.p, IMA_KEYRING.p, IMA_KEYRING.n) &&
	       allowed(p, file_alg_from_name(fields->alg), fields->digest) &&
	       digest_is_of(fields->alg, fields->digest, fields->buf) && keyring_is_key(fields->buf);
}

static int add(struct learned *l, uint8_t alg, struct bytes digest, struct bytes der)
{
	struct learned_key *k = &l->keys[l->n];
	const char *why;
	int r;

	for (size_t i = 0; i < l->n; i++)
		if (l->keys[i].n == der.n && bytes_equal(l->keys[i].der, der.p, der.n))
			return 0;
	if (l->n == LIMIT_LEARNED_KEYS || l->bytes + der.n > LIMIT_LEARNED_BYTES)
		return 0;
	*k = (struct learned_key){ .alg = alg, .size = (uint8_t)digest.n, .der = alloc_bytes(der.n), .n = der.n };
	if (!k->der)
		return -ENOMEM;
	bytes_copy(k->der, der.p, der.n);
	bytes_copy(k->digest, digest.p, digest.n);
	r = keyring_add(l->ring, der, &why);
	if (r != 0) {
		free(TAKE_PTR(k->der));
		return r < 0 ? r : 0;
	}
	l->bytes += der.n;
	l->n++;
	return 1;
}

int learned_add(struct learned *l, const struct ima_fields *fields)
{
	return add(l, file_alg_from_name(fields->alg), fields->digest, fields->buf);
}

const struct keyring *learned_keyring(const struct learned *l)
{
	return l->ring;
}

size_t learned_count(const struct learned *l)
{
	return l->n;
}

/* Keys go out of a keyring by making it anew; without memory for that none is left, which only makes verdicts worse. */
static void rebuild(struct learned *l)
{
	const char *why;

	keyring_free(&l->ring);
	if (keyring_new(&l->ring) < 0)
		return;
	for (size_t i = 0; i < l->n; i++)
		if (keyring_add(l->ring, (struct bytes){ l->keys[i].der, l->keys[i].n }, &why) != 0)
			continue;
}

void learned_truncate(struct learned *l, size_t n)
{
	if (n >= l->n)
		return;
	while (l->n > n) {
		l->n--;
		l->bytes -= l->keys[l->n].n;
		free(TAKE_PTR(l->keys[l->n].der));
	}
	rebuild(l);
}

void learned_keep_allowed(struct learned *l, const struct policy *p, const struct policy *before)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct learned_key *k = &l->keys[i];
		struct bytes digest = { k->digest, k->size };

		if ((p && allowed(p, k->alg, digest)) || (before && allowed(before, k->alg, digest))) {
			l->keys[kept++] = *k;
			continue;
		}
		l->bytes -= k->n;
		free(TAKE_PTR(k->der));
	}
	if (kept == l->n)
		return;
	l->n = kept;
	rebuild(l);
}

void learned_save(const struct learned *l, struct writer *w)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct learned_key *k = &l->keys[i];

		write_u8(w, k->alg);
		write_u8(w, k->size);
		write_bytes(w, k->digest, k->size);
		write_u32be(w, (uint32_t)k->n);
		write_bytes(w, k->der, k->n);
	}
}

int learned_load(struct learned *l, struct bytes saved)
{
	struct reader r = reader_of(saved);

	while (reader_left(&r)) {
		uint8_t alg = read_u8(&r), size = read_u8(&r);
		struct bytes digest = read_bytes(&r, size), der = read_bytes(&r, read_u32be(&r));
		int ret;

		if (!reader_ok(&r) || digest.n != file_alg_size(alg) || !keyring_is_key(der))
			return -EBADMSG;
		ret = add(l, alg, digest, der);
		if (ret < 0)
			return ret;
	}
	return reader_done(&r) ? 0 : -EBADMSG;
}
