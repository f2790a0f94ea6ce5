// SPDX-License-Identifier: Apache-2.0
/* Installed deb packages: which files there are by dpkg's database, what is in them by the files themselves. Format:
 * deb-md5sums(5), dpkg(1) "FILES", deb822(5). */
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "cli/source.h"

#define DATABASE "/var/lib/dpkg"

struct checksum {
	struct bytes path; /* without the first '/' */
	uint8_t md5[FILE_MD5_SIZE];
};

struct diversion {
	struct bytes from, to, by;
};

struct stanza {
	struct bytes package, status, arch;
};

struct deb {
	struct source *s;
	struct writer status, diverted;
	struct diversion *diversions;
	size_t n_diversions;
	struct stanza at; /* of the status file */
};

static void deb_clear(struct deb *d)
{
	writer_free(&d->status);
	writer_free(&d->diverted);
	free(d->diversions);
}
#define cleanup_deb_ cleanup_(deb_clear)

/* DATABASE/NAME of the root into w. -ENOENT when there is none. */
static int read_database(const struct source *s, const char *name, struct writer *w)
{
	cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s%s/%s", s->root_path, DATABASE, name) < 0)
		return -ENOMEM;
	return read_file(path, w);
}

static bool same(struct bytes a, struct bytes b)
{
	return a.n == b.n && bytes_equal(a.p, b.p, a.n);
}

/* ---- diversions: three lines each, the file, where its content went, and the package that may have the name ---- */

static int read_diversions(struct deb *d)
{
	int r = read_database(d->s, "diversions", &d->diverted);
	struct reader lines = reader_of(writer_view(&d->diverted));
	size_t n = 0;

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	while (reader_left(&lines)) {
		(void)next_line(&lines);
		n++;
	}
	d->diversions = calloc(n / 3 + 1, sizeof(*d->diversions));
	if (!d->diversions)
		return -ENOMEM;
	lines = reader_of(writer_view(&d->diverted));
	for (size_t i = 0; i < n / 3; i++) {
		d->diversions[i].from = next_line(&lines);
		d->diversions[i].to = next_line(&lines);
		d->diversions[i].by = next_line(&lines);
	}
	d->n_diversions = n / 3;
	return 0;
}

/* Where this package's file of this name is. A package's own diversion does not move its own file. */
static struct bytes diverted(const struct deb *d, struct bytes path, struct bytes package)
{
	for (size_t i = 0; i < d->n_diversions; i++)
		if (same(d->diversions[i].from, path) && !same(d->diversions[i].by, package))
			return d->diversions[i].to;
	return path;
}

/* ---- checksums ---- */

static int compare_checksums(const void *a, const void *b)
{
	const struct checksum *x = a, *y = b;
	int c = bytes_compare(x->path.p, y->path.p, MIN(x->path.n, y->path.n));

	return c ? c : x->path.n < y->path.n ? -1 : x->path.n > y->path.n;
}

/* "0123456789abcdef0123456789abcdef  usr/bin/x" */
static bool parse_checksum(struct bytes line, struct checksum *out)
{
	struct reader r = reader_of(line);
	struct bytes hex = read_bytes(&r, 2 * FILE_MD5_SIZE), gap = read_bytes(&r, 2);

	if (!reader_ok(&r) || !bytes_equal(gap.p, "  ", 2) || hex_decode(hex, out->md5, FILE_MD5_SIZE) < 0)
		return false;
	out->path = read_rest(&r);
	return out->path.n > 0;
}

/* Sorted. *out is NULL without any. 0 or -ENOMEM. */
static int parse_checksums(struct bytes text, struct checksum **out, size_t *n)
{
	struct reader r = reader_of(text);
	struct checksum *sums;
	size_t lines = 0;

	while (reader_left(&r)) {
		(void)next_line(&r);
		lines++;
	}
	sums = calloc(lines + 1, sizeof(*sums));
	if (!sums)
		return -ENOMEM;
	r = reader_of(text);
	*n = 0;
	while (reader_left(&r))
		if (parse_checksum(next_line(&r), &sums[*n]))
			++*n;
	qsort(sums, *n, sizeof(*sums), compare_checksums);
	*out = sums;
	return 0;
}

/* ---- one package ---- */

/* info/PACKAGE:ARCH.KIND, or info/PACKAGE.KIND */
static int read_info(struct deb *d, const struct stanza *p, const char *kind, struct writer *w)
{
	cleanup_free_ char *name = NULL, *with_arch = NULL;
	int r;

	if (asprintf(&with_arch, "info/%.*s:%.*s.%s", (int)p->package.n, (const char *)p->package.p, (int)p->arch.n,
		     (const char *)p->arch.p, kind) < 0) {
		with_arch = NULL;
		return -ENOMEM;
	}
	r = read_database(d->s, with_arch, w);
	if (r != -ENOENT)
		return r;
	if (asprintf(&name, "info/%.*s.%s", (int)p->package.n, (const char *)p->package.p, kind) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	return read_database(d->s, name, w);
}

static int one_path(struct deb *d, const struct stanza *p, struct bytes listed, const struct checksum *sums, size_t n_sums)
{
	struct bytes place = diverted(d, listed, p->package);
	cleanup_free_ char *path = strndup((const char *)place.p, place.n);
	const struct checksum *sum;
	struct checksum wanted;
	struct reader r = reader_of(listed);
	mode_t mode;
	char *name;
	int fd, found;

	if (!path)
		return -ENOMEM;
	(void)read_u8(&r); /* the first '/' */
	wanted.path = read_rest(&r);
	found = source_find(d->s, path, &fd, &mode, &name);
	if (found == -ENOENT) {
		source_count(d->s, &d->s->counts.missing);
		return 0;
	}
	if (found == -ENOMEM)
		return found;
	if (found < 0)
		source_left_out(d->s, path, strerror(-found), &d->s->counts.unreadable);
	if (found != 0)
		return 0;
	sum = n_sums ? bsearch(&wanted, sums, n_sums, sizeof(*sums), compare_checksums) : NULL;
	return source_submit(d->s, fd, mode, name, sum ? sum->md5 : NULL);
}

static int one_package(struct deb *d, const struct stanza *p)
{
	cleanup_writer_ struct writer list = WRITER(LIMIT_PACKAGE_LIST), md5sums = WRITER(LIMIT_PACKAGE_LIST);
	cleanup_free_ struct checksum *sums = NULL;
	struct reader r;
	size_t n = 0;
	int result = read_info(d, p, "list", &list);

	if (result < 0)
		return result;
	result = read_info(d, p, "md5sums", &md5sums);
	if (result == -ENOENT)
		d->s->counts.unchecked++;
	else if (result < 0)
		return result;
	result = parse_checksums(writer_view(&md5sums), &sums, &n);
	d->s->counts.packages++;
	r = reader_of(writer_view(&list));
	while (result == 0 && reader_left(&r)) {
		struct bytes line = next_line(&r);

		if (line.n > 1 && line.p[0] == '/')
			result = one_path(d, p, line, sums, n);
	}
	return result;
}

/* ---- the status file ---- */

static bool field(struct bytes line, const char *name, struct bytes *out)
{
	struct reader r = reader_of(line);
	struct bytes label = read_bytes(&r, strlen(name));

	if (!reader_ok(&r) || !bytes_equal(label.p, name, label.n) || read_u8(&r) != ':')
		return false;
	while (reader_left(&r)) {
		struct reader ahead = r;

		if (read_u8(&ahead) != ' ')
			break;
		r = ahead;
	}
	*out = read_rest(&r);
	return true;
}

/* The files are there: all states but these. */
static bool has_files(struct bytes status)
{
	static const char *const without[] = { "not-installed", "config-files", "half-installed" };
	struct reader r = reader_of(status);
	struct bytes state;

	(void)read_until(&r, ' ');
	(void)read_until(&r, ' ');
	state = read_rest(&r);
	for (size_t i = 0; i < ARRAY_SIZE(without); i++)
		if (state.n == strlen(without[i]) && bytes_equal(state.p, without[i], state.n))
			return false;
	return state.n > 0;
}

/* Names become part of a file's name. */
static bool is_plain(struct bytes name)
{
	return name.n && name.p[0] != '.' && !memchr(name.p, '/', name.n) && !memchr(name.p, 0, name.n);
}

/* Stanzas end with an empty line, or with the file. */
static int read_status(struct deb *d)
{
	struct reader r = reader_of(writer_view(&d->status));
	struct stanza *p = &d->at;
	int result = 0;

	while (result == 0 && (reader_left(&r) || p->package.n)) {
		struct bytes line = reader_left(&r) ? next_line(&r) : (struct bytes){ NULL, 0 };

		if (field(line, "Package", &p->package) || field(line, "Status", &p->status) ||
		    field(line, "Architecture", &p->arch) || line.n)
			continue;
		if (is_plain(p->package) && is_plain(p->arch) && has_files(p->status))
			result = one_package(d, p);
		if (result == 0)
			*p = (struct stanza){ .package = { NULL, 0 } };
	}
	return result;
}

int source_deb(struct source *s)
{
	cleanup_deb_ struct deb d = { .s = s, .status = WRITER(4 * LIMIT_PACKAGE_LIST), .diverted = WRITER(LIMIT_PACKAGE_LIST) };
	cleanup_writer_ struct writer name = WRITER(2048);
	int r;

	r = read_database(s, "status", &d.status);
	if (r < 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "no dpkg database: cannot read " DATABASE "/status of %s: %s",
				policy_quoted(&name, s->root), strerror(-r));
	r = read_diversions(&d);
	if (r == 0)
		r = read_status(&d);
	if (r < 0 && d.at.package.n) {
		write_quoted(&name, d.at.package, 100);
		return cli_fail(EXIT_CODE_ERROR, "policy", "the package %s: %s", writer_cstr(&name), strerror(-r));
	}
	return r < 0 ? source_failed(r) : EXIT_CODE_TRUSTED;
}
