// SPDX-License-Identifier: Apache-2.0
#include "cli/hasher.h"

#include <openssl/evp.h>
#include <pthread.h>

#define CHUNK (256u << 10)
#define THREADS_MAX 4u
#define QUEUE 64u /* files open and waiting */

struct hasher {
	pthread_mutex_t lock;
	pthread_cond_t more, room;
	struct hash_job queue[QUEUE];
	size_t head, waiting, running;
	bool stop;
	int failure; /* first one */
	pthread_mutex_t done_lock;
	hash_done_fn done;
	void *user;
	enum hash_alg alg;
	pthread_t threads[THREADS_MAX];
	unsigned int n_threads;
};

/* ---- which files are run or loaded ---- */

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && strcmp(name + n - m, end) == 0;
}

bool loaded_by_name(const char *name)
{
	static const char *const ends[] = { ".so", ".ko", ".ko.xz", ".ko.gz", ".ko.zst" };
	static const char *const folders[] = { "/lib/firmware/", "/usr/lib/firmware/" };
	const char *last = strrchr(name, '/'), *version = strstr(last ? last : name, ".so.");

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (ends_with(name, ends[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (strncmp(name, folders[i], strlen(folders[i])) == 0)
			return true;
	return version && version[4] >= '0' && version[4] <= '9';
}

bool loaded_by_content(struct bytes head)
{
	static const uint8_t elf[] = { 0x7f, 'E', 'L', 'F' };

	return (head.n >= 4 && bytes_equal(head.p, elf, sizeof(elf))) || (head.n >= 2 && bytes_equal(head.p, "#!", 2));
}

/* ---- one file ---- */

/* A whole chunk, or less at the end of the file. */
static ssize_t read_chunk(int fd, uint8_t *chunk)
{
	size_t have = 0;

	while (have < CHUNK) {
		ssize_t n = read(fd, chunk + have, CHUNK - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

/* Fills the result; 0 or negative errno of our own. */
static int hash_file(const struct hasher *h, const struct hash_job *job, uint8_t *chunk, EVP_MD_CTX *md5, uint8_t *digest,
		     struct hash_result *out)
{
	uint8_t seen[EVP_MAX_MD_SIZE];
	struct hash state;
	ssize_t n;

	hash_begin(&state, h->alg);
	if (job->want_md5 && EVP_DigestInit_ex(md5, EVP_md5(), NULL) != 1)
		return -EIO;
	do {
		n = read_chunk(job->fd, chunk);
		if (n < 0) {
			out->outcome = HASH_UNREADABLE;
			out->error = (int)-n;
			return 0;
		}
		if (!out->size && job->only_loaded && !job->loaded && !loaded_by_content((struct bytes){ chunk, (size_t)n })) {
			out->outcome = HASH_NOT_LOADED;
			return 0;
		}
		hash_add(&state, chunk, (size_t)n);
		if (job->want_md5 && EVP_DigestUpdate(md5, chunk, (size_t)n) != 1)
			return -EIO;
		out->size += (uint64_t)n;
	} while (n == CHUNK);
	hash_end(&state, digest);
	out->digest = digest;
	out->outcome = HASHED;
	if (job->want_md5) {
		if (EVP_DigestFinal_ex(md5, seen, NULL) != 1)
			return -EIO;
		if (!bytes_equal(seen, job->md5, FILE_MD5_SIZE))
			out->outcome = HASH_CHANGED;
	}
	return 0;
}

/* ---- threads ---- */

static void job_clear(struct hash_job *job)
{
	fd_cleanup(&job->fd);
	free_cleanup(&job->name);
}

static void fail(struct hasher *h, int r)
{
	pthread_mutex_lock(&h->lock);
	if (r < 0 && h->failure == 0)
		h->failure = r;
	pthread_mutex_unlock(&h->lock);
}

/* False when there is nothing more to do. */
static bool take(struct hasher *h, struct hash_job *job)
{
	bool taken = false;

	pthread_mutex_lock(&h->lock);
	while (!h->stop && !h->waiting)
		pthread_cond_wait(&h->more, &h->lock);
	if (!h->stop) {
		*job = h->queue[h->head];
		h->head = (h->head + 1) % QUEUE;
		h->waiting--;
		h->running++;
		taken = true;
	}
	pthread_mutex_unlock(&h->lock);
	return taken;
}

static void *work(void *arg)
{
	cleanup_free_ uint8_t *chunk = alloc_bytes(CHUNK);
	EVP_MD_CTX *md5 = EVP_MD_CTX_new();
	struct hasher *h = arg;
	struct hash_job job;

	while (take(h, &job)) {
		struct hash_result result = { .job = &job };
		uint8_t digest[HASH_MAX_SIZE];
		int r = chunk && md5 ? hash_file(h, &job, chunk, md5, digest, &result) : -ENOMEM;

		if (r == 0) {
			pthread_mutex_lock(&h->done_lock);
			r = h->done(h->user, &result);
			pthread_mutex_unlock(&h->done_lock);
		}
		job_clear(&job);
		fail(h, r);
		pthread_mutex_lock(&h->lock);
		h->running--;
		pthread_cond_broadcast(&h->room);
		pthread_mutex_unlock(&h->lock);
	}
	EVP_MD_CTX_free(md5);
	return NULL;
}

int hasher_new(struct hasher **out, enum hash_alg alg, unsigned int threads, hash_done_fn done, void *user)
{
	cleanup_hasher_ struct hasher *h = calloc(1, sizeof(*h));
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (!h)
		return -ENOMEM;
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->done_lock, NULL);
	pthread_cond_init(&h->more, NULL);
	pthread_cond_init(&h->room, NULL);
	h->alg = alg;
	h->done = done;
	h->user = user;
	if (!threads)
		threads = processors > 0 ? (unsigned int)processors : 1;
	threads = MIN(threads, THREADS_MAX);
	while (h->n_threads < threads) {
		if (pthread_create(&h->threads[h->n_threads], NULL, work, h) != 0)
			break;
		h->n_threads++;
	}
	if (!h->n_threads)
		return -EAGAIN;
	*out = TAKE_PTR(h);
	return 0;
}

int hasher_submit(struct hasher *h, const struct hash_job *job)
{
	struct hash_job own = *job;
	int r;

	pthread_mutex_lock(&h->lock);
	while (h->waiting == QUEUE && h->failure == 0)
		pthread_cond_wait(&h->room, &h->lock);
	r = h->failure;
	if (r == 0) {
		h->queue[(h->head + h->waiting++) % QUEUE] = own;
		pthread_cond_signal(&h->more);
	}
	pthread_mutex_unlock(&h->lock);
	if (r < 0)
		job_clear(&own);
	return r;
}

int hasher_wait(struct hasher *h)
{
	int r;

	pthread_mutex_lock(&h->lock);
	while (h->waiting || h->running)
		pthread_cond_wait(&h->room, &h->lock);
	r = h->failure;
	pthread_mutex_unlock(&h->lock);
	return r;
}

void hasher_free(struct hasher **hp)
{
	struct hasher *h = *hp;

	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
	for (unsigned int i = 0; i < h->n_threads; i++)
		pthread_join(h->threads[i], NULL);
	for (; h->waiting; h->waiting--, h->head = (h->head + 1) % QUEUE)
		job_clear(&h->queue[h->head]);
	pthread_cond_destroy(&h->room);
	pthread_cond_destroy(&h->more);
	pthread_mutex_destroy(&h->done_lock);
	pthread_mutex_destroy(&h->lock);
	free(h);
	*hp = NULL;
}
