// SPDX-License-Identifier: Apache-2.0
/* A compiled policy whose magic, lengths and seal are put right first, so that what is behind them is reached: whatever
 * slots, records and text are, loading and judging end and stay inside. As it came it is tried too. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "policy/compiled_form.h"
#include "policy/inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const paths[] = { "/a", "/usr/bin/bash", "boot_aggregate", "" };

static int look_up(void *user, const struct policy_item *item)
{
	const struct policy *p = user;

	(void)table_find(&p->table, TABLE_FILES, item->name, FILE_ALG_SHA256, item->digest);
	return 0;
}

/* From a file, as the verifier does, or from memory. */
static int load_from(struct policy **out, bool from_file, struct bytes data, struct policy_report *report)
{
	cleanup_fd_ int fd = from_file ? memfd_create("policy", MFD_CLOEXEC) : -1;
	char path[64];

	if (fd < 0 || write(fd, data.p, data.n) != (ssize_t)data.n)
		return policy_load(out, data, report);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return policy_load_file(out, path, report);
}

static void load(const uint8_t *data, size_t size, bool from_file)
{
	struct policy_report report = { .errors = 0 };
	struct policy *p = NULL;
	uint8_t digest[32] = { 0 };
	int r = load_from(&p, from_file, (struct bytes){ data, size }, &report);

	if ((r == 0) != (p != NULL) || (r > 0) != (report.errors > 0))
		abort();
	policy_report_clear(&report);
	if (!p)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct bytes path = { (const uint8_t *)paths[i], strlen(paths[i]) };

		(void)table_find(&p->table, TABLE_FILES, path, FILE_ALG_SHA256, (struct bytes){ digest, 32 });
		(void)table_has(&p->table, TABLE_IGNORED_KEYRINGS, path);
	}
	r = policy_each(p, look_up, p);
	if (r != 0 && r != -EIO)
		abort();
	policy_unref(&p);
}

static void put(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = i < 8 ? (uint8_t)(v >> (8 * i)) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free_ uint8_t *copy = calloc(1, size ? size : 1);
	uint64_t slots, records, rest = size - COMPILED_HEADER;
	struct reader r = reader_over(copy, size);
	uint8_t seal[COMPILED_HASH];

	if (!copy)
		return 0;
	bytes_copy(copy, data, size);
	load(copy, size, false);
	if (size <= COMPILED_HEADER)
		return 0;
	(void)read_bytes(&r, 112);
	slots = read_u64le(&r);
	records = read_u64le(&r);
	if (slots == 0 || slots > rest / 8)
		slots = 1 + slots % (rest / 8 + 1);
	if (8 * slots > rest)
		return 0;
	rest -= 8 * slots;
	records = MIN(records, rest);
	memcpy(copy, COMPILED_MAGIC, COMPILED_MAGIC_SIZE);
	put(copy + 16, COMPILED_VERSION, 4);
	put(copy + 20, COMPILED_HEADER, 4);
	put(copy + 24, size, 8);
	put(copy + 112, slots, 8);
	put(copy + 120, records, 8);
	put(copy + 128, rest - records, 8);
	memset(copy + 136, 0, 24);
	copy[161] &= 1;
	put(copy + 162, 0, 2);
	put(copy + 164, copy[164] & 1, 4);
	memset(copy + 168, 0, COMPILED_HEADER - 168);
	compiled_seal((struct bytes){ copy, size }, seal);
	memcpy(copy + COMPILED_SEAL_AT, seal, sizeof(seal));
	load(copy, size, true);
	return 0;
}
