// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "policy/compiled_form.h"

#define DOMAIN "imastream compiled policy, seal 1"
#define THREADS 4
#define CHUNKS_MAX (LIMIT_POLICY_COMPILED / COMPILED_CHUNK + 1u)

struct work {
	struct bytes body;
	int fd; /* -1: the bytes are there; else they come from behind the header of this file */
	size_t chunks;
	atomic_size_t next;
	atomic_int error;
	uint8_t hashes[CHUNKS_MAX][COMPILED_HASH];
};

/* Into memory that is ours, though `to` does not say so. */
static int fill(int fd, struct bytes to, size_t at)
{
	struct reader r = reader_of(to);

	while (reader_left(&r)) {
		struct reader ahead = r;
		struct bytes rest = read_rest(&ahead);
		ssize_t n = pread(fd, (void *)rest.p, rest.n, (off_t)(at + r.pos));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			memset((void *)rest.p, 0, rest.n);
			return 0;
		}
		(void)read_bytes(&r, (size_t)n);
	}
	return 0;
}

static void *hash_chunks(void *user)
{
	struct work *w = user;
	size_t i;

	while ((i = atomic_fetch_add(&w->next, 1)) < w->chunks) {
		struct reader r = reader_of(w->body);
		struct bytes chunk;

		(void)read_bytes(&r, i * COMPILED_CHUNK);
		chunk = read_bytes(&r, MIN(reader_left(&r), (size_t)COMPILED_CHUNK));
		if (w->fd >= 0) {
			int error = fill(w->fd, chunk, COMPILED_HEADER + i * COMPILED_CHUNK);

			if (error < 0) {
				atomic_store(&w->error, error);
				break;
			}
		}
		hash_one(HASH_SHA256, chunk.p, chunk.n, w->hashes[i]);
	}
	return NULL;
}

/* Helpers are welcome, not needed: what cannot be started is done here. */
static void hash_all(struct work *w)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t helpers[THREADS - 1];
	size_t n = 0, wanted = MIN((size_t)THREADS, w->chunks / 4 + 1);

	if (processors > 0)
		wanted = MIN(wanted, (size_t)processors);
	while (n + 1 < wanted && pthread_create(&helpers[n], NULL, hash_chunks, w) == 0)
		n++;
	(void)hash_chunks(w);
	while (n > 0)
		(void)pthread_join(helpers[--n], NULL);
}

static int seal(struct bytes file, int fd, uint8_t out[COMPILED_HASH])
{
	static const uint8_t zeros[COMPILED_HASH];
	struct work w = { .fd = fd };
	struct reader r = reader_of(file);
	struct hash h;

	hash_begin(&h, HASH_SHA256);
	hash_add(&h, DOMAIN, sizeof(DOMAIN) - 1);
	hash_add(&h, read_bytes(&r, COMPILED_SEAL_AT).p, COMPILED_SEAL_AT);
	(void)read_bytes(&r, COMPILED_HASH);
	hash_add(&h, zeros, sizeof(zeros));
	hash_add(&h, read_bytes(&r, COMPILED_HEADER - COMPILED_SEAL_AT - COMPILED_HASH).p,
		 COMPILED_HEADER - COMPILED_SEAL_AT - COMPILED_HASH);
	w.body = read_rest(&r);
	w.chunks = (w.body.n + COMPILED_CHUNK - 1) / COMPILED_CHUNK;
	hash_all(&w);
	if (w.error < 0)
		return w.error;
	hash_add(&h, w.hashes, w.chunks * COMPILED_HASH);
	hash_end(&h, out);
	return 0;
}

void compiled_seal(struct bytes file, uint8_t out[COMPILED_HASH])
{
	(void)seal(file, -1, out); /* reads nothing */
}

int compiled_fill(int fd, struct policy_image *image)
{
	struct bytes file = { image->p, image->n };
	int r = fill(fd, (struct bytes){ image->p, COMPILED_HEADER }, 0);

	return r < 0 ? r : seal(file, fd, image->seal);
}
