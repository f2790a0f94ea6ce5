// SPDX-License-Identifier: Apache-2.0
#include "collector/set_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/text.h"

#define FILE_PREFIX "reference-"
#define FILE_NAME_SIZE (sizeof(FILE_PREFIX) + 2 * WIRE_DIGEST_SIZE)
#define PART_NAME FILE_PREFIX "part" /* one name: what a killed process left is written over */

struct held {
	struct wire_reference set; /* first: what users have is this address */
	struct writer bytes;
	unsigned int users;
	struct held *next;
};

struct set_cache {
	char *folder;
	size_t max, bytes;
	struct held *list;
	bool told; /* that the folder cannot be written */
};

int set_cache_new(struct set_cache **out, const char *folder, size_t max)
{
	struct set_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->max = max;
	c->folder = folder ? strdup(folder) : NULL;
	if (folder && !c->folder) {
		free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

static void free_held(struct held *h)
{
	writer_free(&h->bytes);
	free(h);
}

void set_cache_free(struct set_cache **c)
{
	struct set_cache *old = TAKE_PTR(*c);

	if (!old)
		return;
	while (old->list) {
		struct held *h = old->list;

		old->list = h->next;
		free_held(h);
	}
	free(old->folder);
	free(old);
}

static bool fits(const struct set_cache *c, size_t size)
{
	return size <= LIMIT_REFERENCE && c->bytes <= c->max && size <= c->max - c->bytes;
}

int set_cache_reserve(struct set_cache *c, size_t size)
{
	if (!fits(c, size))
		return -ENOSPC;
	c->bytes += size;
	return 0;
}

void set_cache_release(struct set_cache *c, size_t *size)
{
	c->bytes -= *size;
	*size = 0;
}

size_t set_cache_bytes(const struct set_cache *c)
{
	return c->bytes;
}

/* --- the folder ---- */

static void name_of(const uint8_t digest[WIRE_DIGEST_SIZE], char out[FILE_NAME_SIZE])
{
	cleanup_writer_ struct writer w = WRITER(FILE_NAME_SIZE);
	const char *text;

	write_fmt(&w, FILE_PREFIX);
	write_hex(&w, digest, WIRE_DIGEST_SIZE);
	text = writer_cstr(&w);
	snprintf(out, FILE_NAME_SIZE, "%s", text ? text : "");
}

static int open_folder(const struct set_cache *c)
{
	int fd = c->folder ? open(c->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 ? -ENOENT : fd;
}

/* Exactly `size` bytes of a regular file. A link, or a pipe somebody put there, is not followed or waited for. */
static int read_set(const struct set_cache *c, const uint8_t digest[WIRE_DIGEST_SIZE], size_t size, struct writer *out)
{
	cleanup_fd_ int folder = open_folder(c), fd = -1;
	char name[FILE_NAME_SIZE];
	uint8_t *to;
	struct stat st;

	if (folder < 0)
		return folder;
	name_of(digest, name);
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		return -EINVAL;
	to = write_space(out, size);
	if (!to)
		return writer_status(out);
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, to + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EINVAL;
		done += (size_t)n;
	}
	return 0;
}

static int write_whole(int fd, struct bytes b)
{
	for (size_t done = 0; done < b.n;) {
		ssize_t n = write(fd, b.p + done, b.n - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

static bool in_use(const struct set_cache *c, const char *name)
{
	char used[FILE_NAME_SIZE];

	for (const struct held *h = c->list; h; h = h->next) {
		name_of(h->set.digest, used);
		if (h->users && strcmp(used, name) == 0)
			return true;
	}
	return false;
}

/* Files of sets that nobody uses any more. */
static void tidy(const struct set_cache *c, int folder)
{
	cleanup_fd_ int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again >= 0 ? fdopendir(again) : NULL;
	const struct dirent *e;

	if (!dir)
		return;
	TAKE_FD(again); /* the stream's now */
	while ((e = readdir(dir)))
		if (strncmp(e->d_name, FILE_PREFIX, sizeof(FILE_PREFIX) - 1) == 0 && !in_use(c, e->d_name))
			(void)unlinkat(folder, e->d_name, 0);
	closedir(dir);
}

static int write_set(const struct set_cache *c, const struct held *h)
{
	cleanup_fd_ int folder = open_folder(c), fd = -1;
	char name[FILE_NAME_SIZE];
	int r;

	if (folder < 0)
		return folder;
	tidy(c, folder);
	name_of(h->set.digest, name);
	fd = openat(folder, PART_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return -errno;
	r = write_whole(fd, writer_view(&h->bytes));
	if (r == 0 && renameat(folder, PART_NAME, folder, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(folder, PART_NAME, 0);
	return r;
}

static void save(struct set_cache *c, const struct held *h)
{
	int r = c->folder ? write_set(c, h) : 0;

	if (r < 0 && !c->told)
		log_info("reference sets are kept in memory only: cannot write to %s: %s", c->folder, strerror(-r));
	c->told = c->told || r < 0;
}

/* --- memory ---- */

static struct held *find(const struct set_cache *c, const uint8_t digest[WIRE_DIGEST_SIZE])
{
	struct held *h = c->list;

	while (h && !bytes_equal(h->set.digest, digest, WIRE_DIGEST_SIZE))
		h = h->next;
	return h;
}

/* 0 and *out, who has one user; or as set_cache_add(). */
static int hold(struct set_cache *c, const uint8_t digest[WIRE_DIGEST_SIZE], struct writer *bytes, struct held **out)
{
	struct wire_reference set;
	struct held *h;
	int r;

	if (!fits(c, bytes->n))
		return -ENOSPC;
	r = wire_reference_open(writer_view(bytes), digest, &set);
	if (r != WIRE_REFERENCE_OK)
		return r;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->set = set; /* its tags are in these bytes, which move as they are */
	h->bytes = *bytes;
	*bytes = (struct writer){ .max = bytes->max };
	h->users = 1;
	h->next = c->list;
	c->list = h;
	c->bytes += h->bytes.n;
	*out = h;
	return 0;
}

const struct wire_reference *set_cache_take(struct set_cache *c, const uint8_t digest[WIRE_DIGEST_SIZE], size_t size)
{
	cleanup_writer_ struct writer bytes = WRITER(size);
	struct held *h = find(c, digest);

	if (h) {
		h->users++;
		return &h->set;
	}
	if (!fits(c, size) || read_set(c, digest, size, &bytes) < 0 || hold(c, digest, &bytes, &h) != 0)
		return NULL;
	return &h->set;
}

int set_cache_add(struct set_cache *c, const uint8_t digest[WIRE_DIGEST_SIZE], struct writer *bytes,
		  const struct wire_reference **out)
{
	struct held *h = find(c, digest);
	int r = 0;

	if (h) {
		h->users++; /* another verifier's set came first */
	} else {
		r = hold(c, digest, bytes, &h);
		if (r == 0)
			save(c, h);
	}
	writer_free(bytes);
	if (r == 0)
		*out = &h->set;
	return r;
}

void set_cache_drop(struct set_cache *c, const struct wire_reference **set)
{
	const struct wire_reference *old = TAKE_PTR(*set);

	for (struct held **at = &c->list; old && *at; at = &(*at)->next) {
		struct held *h = *at;

		if (&h->set != old)
			continue;
		if (--h->users == 0) {
			*at = h->next;
			c->bytes -= h->bytes.n;
			free_held(h);
		}
		return;
	}
}
