// SPDX-License-Identifier: Apache-2.0
/* A compiled policy is foreign bytes. Lengths are checked against the file before anything is looked at, the seal shows
 * what was damaged, the text is read as any JSON policy; slots and records are bounded at each look-up (table.c), so a
 * crafted file can say what a policy can say, and do nothing else. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/huge.h"
#include "base/text.h"
#include "policy/compiled_form.h"

#define BAD_POLICY 1

bool policy_is_compiled(struct bytes file)
{
	return file.n >= COMPILED_MAGIC_SIZE && bytes_equal(file.p, COMPILED_MAGIC, COMPILED_MAGIC_SIZE);
}

/* NULL, or what is wrong with the header. */
static const char *read_header(struct bytes file, struct compiled_header *h)
{
	struct reader r = reader_of(file), header = reader_of(read_bytes(&r, COMPILED_HEADER));
	struct bytes rest;
	uint32_t version, size;

	if (!reader_ok(&r))
		return "shorter than a header";
	(void)read_bytes(&header, COMPILED_MAGIC_SIZE);
	version = read_u32le(&header);
	size = read_u32le(&header);
	if (version != COMPILED_VERSION || size != COMPILED_HEADER)
		return "of another version: compile the policy again with this imastream";
	h->file = read_u64le(&header);
	read_copy(&header, h->seal, sizeof(h->seal));
	read_copy(&header, h->source, sizeof(h->source));
	read_copy(&header, h->seed, sizeof(h->seed));
	h->slots = read_u64le(&header);
	h->records = read_u64le(&header);
	h->text = read_u64le(&header);
	h->paths = read_u64le(&header);
	h->digests = read_u64le(&header);
	h->denied = read_u64le(&header);
	h->probes = read_u32le(&header);
	h->flags = read_u32le(&header);
	rest = read_rest(&header);
	if (h->file != file.n)
		return "cut, or longer than it says";
	if (h->records > LIMIT_POLICY_RECORDS || h->text > LIMIT_POLICY_TEXT || h->probes > LIMIT_POLICY_PROBES ||
	    h->slots > LIMIT_POLICY_COMPILED / 8)
		return "with numbers beyond the limits";
	if (COMPILED_HEADER + 8 * h->slots + h->records + h->text != h->file)
		return "with parts that are not its whole";
	if (h->slots == 0 || h->paths > h->records || h->digests > h->records || h->denied > h->records ||
	    (h->flags & ~(uint32_t)COMPILED_BOOT_AGGREGATE))
		return "with numbers that cannot be";
	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i])
			return "of a later form: compile the policy again with this imastream";
	return NULL;
}

static int say_bad(struct policy_report *report, const char *what)
{
	cleanup_writer_ struct writer line = WRITER(1024);

	write_fmt(&line, "error: compiled: the file is %s\n", what);
	policy_report_line(report, true, &line);
	return BAD_POLICY;
}

int policy_load_image(struct policy **out, struct policy_image *image, struct policy_report *report)
{
	struct bytes file = { image->p, image->n };
	struct reader r = reader_of(file);
	struct compiled_header h;
	const char *wrong = read_header(file, &h);
	struct bytes slots, records;
	struct policy *p = NULL;
	int ret;

	if (wrong)
		return say_bad(report, wrong);
	if (!bytes_equal(image->seal, h.seal, sizeof(h.seal)))
		return say_bad(report, "damaged: its seal does not fit; copy it or compile the policy again");
	(void)read_bytes(&r, COMPILED_HEADER);
	slots = read_bytes(&r, 8 * h.slots);
	records = read_bytes(&r, h.records);
	ret = policy_load_json(&p, read_rest(&r), report);
	if (ret != 0)
		return ret;
	table_clear(&p->table);
	p->table = (struct table){ .slots = (const uint64_t *)(const void *)slots.p, .n_slots = h.slots, .records = records.p,
				   .n_records = records.n, .probes = h.probes, .borrowed = true };
	bytes_copy(p->table.seed, h.seed, sizeof(h.seed));
	p->paths = h.paths;
	p->digests = h.digests;
	p->denied = h.denied;
	p->boot_aggregate = h.flags & COMPILED_BOOT_AGGREGATE;
	policy_set_id(p, h.source);
	p->image = *image;
	*image = (struct policy_image){ .p = NULL };
	*out = p;
	return 0;
}

void policy_image_seal(struct policy_image *image)
{
	if (image->n >= COMPILED_HEADER)
		compiled_seal((struct bytes){ image->p, image->n }, image->seal);
}

/* A copy: aligned, and nobody else's. */
static int load_copy(struct policy **out, struct bytes file, struct policy_report *report)
{
	cleanup_(policy_image_clear) struct policy_image image = { .p = alloc_huge(file.n), .n = file.n };

	if (!image.p)
		return -ENOMEM;
	bytes_copy(image.p, file.p, file.n);
	policy_image_seal(&image);
	return policy_load_image(out, &image, report);
}

int policy_load(struct policy **out, struct bytes file, struct policy_report *report)
{
	return policy_is_compiled(file) ? load_copy(out, file, report) : policy_load_json(out, file, report);
}

/* By its first bytes; only a regular file has them twice. */
static bool file_is_compiled(int fd, struct stat *st)
{
	uint8_t magic[COMPILED_MAGIC_SIZE];

	return fstat(fd, st) == 0 && S_ISREG(st->st_mode) && st->st_size >= (off_t)COMPILED_HEADER &&
	       pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	       policy_is_compiled((struct bytes){ magic, sizeof(magic) });
}

int policy_image_read(const char *path, struct policy_image *out)
{
	cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_(policy_image_clear) struct policy_image image = { .p = NULL };
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	if (!file_is_compiled(fd, &st))
		return 1;
	if (st.st_size > (off_t)LIMIT_POLICY_COMPILED)
		return -EMSGSIZE;
	image.n = (size_t)st.st_size;
	image.p = alloc_huge(image.n);
	if (!image.p)
		return -ENOMEM;
	r = compiled_fill(fd, &image);
	if (r < 0)
		return r;
	*out = image;
	image.p = NULL;
	return 0;
}

int policy_load_file(struct policy **out, const char *path, struct policy_report *report)
{
	cleanup_(policy_image_clear) struct policy_image image = { .p = NULL };
	cleanup_writer_ struct writer file = WRITER(LIMIT_POLICY_FILE);
	int r = strcmp(path, "-") == 0 ? 1 : policy_image_read(path, &image);

	if (r == 0)
		return policy_load_image(out, &image, report);
	if (r > 0)
		r = read_file(path, &file);
	return r < 0 ? r : policy_load(out, writer_view(&file), report);
}

struct bytes policy_file_bytes(const struct policy *p)
{
	return (struct bytes){ p->image.p, p->image.n };
}

void policy_seal_name(const struct policy *p, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "seal:");

	for (size_t i = 0; i < sizeof(p->image.seal) && n + 2 < size; i++, n += 2)
		snprintf(&out[n], size - n, "%02x", p->image.seal[i]);
}
