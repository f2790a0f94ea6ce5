// SPDX-License-Identifier: Apache-2.0
#include "collector/list.h"

#include <fcntl.h>
#include <sys/stat.h>

#define CHUNK (64u << 10)

struct list {
	struct ima_list *decoder;
	char *path; /* NULL: fd is the caller's */
	int fd;
	bool hold_open;
	uint64_t offset; /* bytes read and fed */
	uint64_t base;	 /* index of the file's first entry, when `offset` was counted */
	uint64_t next;	 /* index of the entry that comes next */
	uint64_t skip;	 /* entries before it that the decoder has still to pass */
	list_base_fn base_fn; /* NULL: base is 0 */
	void *user;
	size_t digest_size;
	uint8_t chunk[CHUNK];
};

bool list_can_be_trimmed(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_mode & S_IWUSR;
}

void list_close(struct list **l)
{
	struct list *x = TAKE_PTR(*l);

	if (!x)
		return;
	if (x->path)
		fd_cleanup(&x->fd);
	free(x->path);
	ima_list_free(&x->decoder);
	free(x);
}

static int list_new(struct list **out, size_t digest_size)
{
	cleanup_list_ struct list *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->fd = -1;
	l->digest_size = digest_size;
	r = ima_list_new(&l->decoder, IMA_LIST_BINARY, digest_size);
	if (r < 0)
		return r;
	*out = TAKE_PTR(l);
	return 0;
}

int list_open(struct list **out, const char *path, bool hold_open, size_t digest_size)
{
	cleanup_list_ struct list *l = NULL;
	int r = list_new(&l, digest_size);

	if (r < 0)
		return r;
	l->hold_open = hold_open;
	l->path = strdup(path);
	if (!l->path)
		return -ENOMEM;
	*out = TAKE_PTR(l);
	return 0;
}

int list_open_fd(struct list **out, int fd, size_t digest_size)
{
	int r = list_new(out, digest_size);

	if (r == 0)
		(*out)->fd = fd;
	return r;
}

void list_follow(struct list *l, list_base_fn base, void *user)
{
	l->base_fn = base;
	l->user = user;
}

uint64_t list_index(const struct list *l)
{
	return l->next;
}

/* The file is open, and its head may have moved since. What the decoder had whole is yielded already. */
static int find_place(struct list *l)
{
	struct ima_list *decoder;
	uint64_t base;
	int r = l->base_fn(l->user, &base);

	if (r < 0 || base == l->base)
		return r;
	r = ima_list_new(&decoder, IMA_LIST_BINARY, l->digest_size);
	if (r < 0)
		return r;
	ima_list_free(&l->decoder);
	l->decoder = decoder;
	l->offset = 0;
	l->base = base;
	l->next = MAX(l->next, base);
	l->skip = l->next - base;
	return 0;
}

static int open_file(struct list *l)
{
	int r;

	if (l->fd >= 0)
		return 0;
	l->fd = open(l->path, O_RDONLY | O_CLOEXEC);
	if (l->fd < 0)
		return -errno;
	r = l->base_fn ? find_place(l) : 0;
	if (r < 0)
		fd_cleanup(&l->fd);
	return r;
}

/* 1: more bytes are in the decoder; 0: none. pread, because a caller's descriptor is shared between readers. */
static int fill(struct list *l)
{
	ssize_t n;
	int r = open_file(l);

	if (r < 0)
		return r;
	do {
		n = pread(l->fd, l->chunk, sizeof(l->chunk), (off_t)l->offset);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	l->offset += (uint64_t)n;
	r = ima_list_feed(l->decoder, l->chunk, (size_t)n);
	return r < 0 ? r : 1;
}

int list_next(struct list *l, struct ima_entry *out)
{
	for (;;) {
		int r;

		switch (ima_list_next(l->decoder, out)) {
		case IMA_LIST_ENTRY:
			if (l->skip > 0) {
				l->skip--;
				continue;
			}
			l->next++;
			return 1;
		case IMA_LIST_BAD:
			return -EBADMSG;
		case IMA_LIST_MORE:
			break;
		}
		r = fill(l);
		if (r <= 0) {
			list_pause(l);
			return r;
		}
	}
}

int list_skip(struct list *l, uint64_t n)
{
	struct ima_entry e;

	for (uint64_t i = 0; i < n; i++) {
		int r = list_next(l, &e);

		if (r <= 0)
			return r;
	}
	return 1;
}

int list_seek(struct list *l, uint64_t index)
{
	struct ima_entry e;
	int r = open_file(l); /* only then it is known where it begins */

	while (r >= 0 && l->next < index) {
		r = list_next(l, &e);
		if (r == 0)
			return 0;
	}
	if (r >= 0)
		r = l->next == index ? 1 : -ENODATA;
	if (r < 0)
		list_pause(l);
	return r;
}

void list_pause(struct list *l)
{
	if (l->path && !l->hold_open)
		fd_cleanup(&l->fd);
}

const char *list_error(const struct list *l)
{
	return ima_list_error(l->decoder);
}
