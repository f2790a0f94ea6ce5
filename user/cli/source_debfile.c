// SPDX-License-Identifier: Apache-2.0
/* The files in a deb package. dpkg-deb unpacks it, here it is only read: nothing is written anywhere. */
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "cli/source.h"
#include "cli/tar.h"

#define CHUNK (64u << 10)

struct member {
	char *name;
	uint8_t digest[HASH_MAX_SIZE];
};

struct package {
	struct source *s;
	int fd;
	uint8_t *chunk;
	struct writer long_name, long_link; /* of the next header */
	struct member *members;		    /* for hard links */
	size_t n_members, cap_members;
	const char *why; /* what is wrong with it */
};

static void package_clear(struct package *p)
{
	for (size_t i = 0; i < p->n_members; i++)
		free(p->members[i].name);
	free(p->members);
	free(p->chunk);
	writer_free(&p->long_name);
	writer_free(&p->long_link);
}
#define cleanup_package_ cleanup_(package_clear)

/* Exactly n bytes. 0; 1: it ends before; negative errno. */
static int read_exactly(struct package *p, uint8_t *dst, size_t n)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = read(p->fd, dst + have, n - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0) {
			p->why = "it ends in the middle";
			return 1;
		}
		have += (size_t)got;
	}
	return 0;
}

/* The content behind a header, with what fills up its last block; into the hash, the writer, or nowhere. */
static int read_content(struct package *p, uint64_t size, struct hash *hash, struct writer *w)
{
	while (size) {
		size_t n = (size_t)MIN(size, (uint64_t)CHUNK), blocks = (n + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
		int r = read_exactly(p, p->chunk, blocks);

		if (r != 0)
			return r;
		if (hash)
			hash_add(hash, p->chunk, n);
		if (w)
			write_bytes(w, p->chunk, n);
		size -= n;
	}
	return 0;
}

/* "./usr/bin/x" to "/usr/bin/x". NULL: a name that no package may have. */
static char *clean_name(const char *given)
{
	const char *from = given[0] == '.' && given[1] == '/' ? given + 1 : given;
	cleanup_free_ char *name = NULL;
	size_t n;

	if (asprintf(&name, "%s%s", from[0] == '/' ? "" : "/", from) < 0) {
		name = NULL;
		return NULL;
	}
	n = strlen(name);
	if (n < 2 || n > LIMIT_TAR_NAME || strstr(name, "/../") || strstr(name, "//") || (n > 2 && strcmp(&name[n - 3], "/..") == 0))
		return NULL;
	return TAKE_PTR(name);
}

/* The host has /bin -> usr/bin, or it has both: nothing in the package says, so both names are known. */
static int add_both_names(struct package *p, const char *name, struct bytes digest)
{
	static const char *const merged[] = { "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libo32/", "/libx32/" };
	uint8_t alg = source_alg(p->s);
	int r = source_add(p->s, name, alg, digest);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(merged); i++) {
		bool inside = strncmp(name, "/usr", 4) == 0 && strncmp(name + 4, merged[i], strlen(merged[i])) == 0;
		char *other;

		if (inside) {
			r = source_add(p->s, name + 4, alg, digest);
		} else if (strncmp(name, merged[i], strlen(merged[i])) == 0) {
			if (asprintf(&other, "/usr%s", name) < 0)
				return -ENOMEM;
			r = source_add(p->s, other, alg, digest);
			free(other);
		}
	}
	return r;
}

static int remember(struct package *p, const char *name, const uint8_t *digest)
{
	if (p->n_members == p->cap_members) {
		size_t cap = p->cap_members ? 2 * p->cap_members : 64;
		struct member *grown = reallocarray(p->members, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		p->members = grown;
		p->cap_members = cap;
	}
	p->members[p->n_members].name = strdup(name);
	if (!p->members[p->n_members].name)
		return -ENOMEM;
	bytes_copy(p->members[p->n_members++].digest, digest, HASH_MAX_SIZE);
	return 0;
}

static int one_file(struct package *p, const struct tar_header *h, char *name)
{
	bool loaded = !p->s->executables || (h->mode & 0111) || loaded_by_name(name);
	uint8_t digest[HASH_MAX_SIZE] = { 0 };
	uint64_t first = MIN(h->size, (uint64_t)TAR_BLOCK), rest = h->size - first;
	struct hash hash;
	int r;

	hash_begin(&hash, p->s->hash);
	r = read_content(p, first, &hash, NULL);
	if (r == 0 && !loaded)
		loaded = loaded_by_content((struct bytes){ p->chunk, (size_t)first });
	if (r == 0)
		r = read_content(p, rest, &hash, NULL);
	if (r != 0)
		return r;
	hash_end(&hash, digest);
	p->s->counts.bytes += h->size;
	if (!loaded) {
		p->s->counts.not_loaded++;
		return 0;
	}
	r = remember(p, name, digest);
	return r < 0 ? r : add_both_names(p, name, (struct bytes){ digest, hash_size(p->s->hash) });
}

static int one_link(struct package *p, const char *name, const char *to)
{
	for (size_t i = 0; i < p->n_members; i++)
		if (strcmp(p->members[i].name, to) == 0)
			return add_both_names(p, name, (struct bytes){ p->members[i].digest, hash_size(p->s->hash) });
	if (p->s->executables)
		return 0; /* its target was left out */
	p->why = "a hard link to a file that it does not have";
	return 1;
}

/* The name of this member: from the header before, or its own. */
static char *member_name(struct package *p, struct writer *long_one, const char *own)
{
	const char *name = long_one->n ? writer_cstr(long_one) : own;
	char *clean = name ? clean_name(name) : NULL;

	writer_reset(long_one);
	if (!clean)
		p->why = "a name that no package may have";
	return clean;
}

static int one_member(struct package *p, const struct tar_header *h)
{
	cleanup_free_ char *name = NULL, *link = NULL;

	if (h->kind == TAR_LONG_NAME || h->kind == TAR_LONG_LINK) {
		struct writer *w = h->kind == TAR_LONG_NAME ? &p->long_name : &p->long_link;
		int r;

		writer_reset(w);
		r = h->size > LIMIT_TAR_NAME + 2 ? 1 : read_content(p, h->size, NULL, w);
		if (r > 0 && !p->why)
			p->why = "a name that is too long";
		return r;
	}
	if (h->kind == TAR_FILE || h->kind == TAR_HARD_LINK) {
		name = member_name(p, &p->long_name, h->name);
		link = h->kind == TAR_HARD_LINK ? member_name(p, &p->long_link, h->link) : NULL;
		if (!name || (h->kind == TAR_HARD_LINK && !link))
			return 1;
		return h->kind == TAR_FILE ? one_file(p, h, name) : one_link(p, name, link);
	}
	writer_reset(&p->long_name);
	writer_reset(&p->long_link);
	return read_content(p, h->size, NULL, NULL);
}

/* 0; 1: see why; negative errno. */
static int read_package(struct package *p)
{
	uint8_t block[TAR_BLOCK];
	struct tar_header h;
	int r;

	for (;;) {
		r = read_exactly(p, block, sizeof(block));
		if (r != 0)
			return r;
		switch (tar_parse((struct bytes){ block, sizeof(block) }, &h, &p->why)) {
		case TAR_END:
			p->why = NULL;
			while ((r = (int)read(p->fd, p->chunk, CHUNK)) > 0) /* dpkg-deb must not die of a closed pipe */
				;
			return r < 0 ? -errno : 0;
		case TAR_BAD:
			return 1;
		case TAR_MEMBER:
			p->why = NULL;
			r = one_member(p, &h);
			if (r != 0)
				return r;
			break;
		}
	}
}

int source_deb_file(struct source *s, const char *file)
{
	cleanup_package_ struct package p = { .s = s, .long_name = WRITER(LIMIT_TAR_NAME + 2),
					      .long_link = WRITER(LIMIT_TAR_NAME + 2) };
	cleanup_writer_ struct writer name = WRITER(2048);
	char *argv[] = { (char *)"dpkg-deb", (char *)"--fsys-tarfile", NULL, NULL };
	cleanup_free_ char *path = NULL;
	struct helper helper;
	int r, ended;

	p.chunk = alloc_bytes(CHUNK);
	if (!p.chunk || asprintf(&path, "%s%s", file[0] == '/' ? "" : "./", file) < 0) {
		path = NULL;
		return source_failed(-ENOMEM);
	}
	argv[2] = path;
	r = helper_start(&helper, argv);
	if (r == -ENOENT)
		return cli_fail(EXIT_CODE_UNSUPPORTED, "policy", "there is no dpkg-deb here, which unpacks %s: install the package dpkg",
				policy_quoted(&name, file));
	if (r < 0)
		return source_failed(r);
	p.fd = helper.out;
	r = read_package(&p);
	ended = helper_end(&helper);
	if (r < 0 || ended < 0)
		return source_failed(r < 0 ? r : ended);
	if (ended > 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "dpkg-deb cannot read %s, see above", policy_quoted(&name, file));
	if (r > 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "%s: %s", policy_quoted(&name, file), p.why ? p.why : "not a package");
	s->counts.packages++;
	return EXIT_CODE_TRUSTED;
}
