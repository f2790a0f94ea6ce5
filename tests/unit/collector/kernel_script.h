/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel for the tests of source_kernel.c: a ring that is scripted here (these definitions take the place of ring.c) and a
 * securityfs that is a directory. */
#pragma once

#include "lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "collector/source.h"
#include "imastream/limits.h"
#include "lib/open_files.h"

/* --- the ring's stand-in -------------------------------------------------------------------------------------------- */

struct ring {
	int nothing;
};

static struct {
	enum event_support support;
	int open_result;
	struct ring_record queue[4096];
	size_t n;
	struct ring_counters counters;
	unsigned int checks;
	uint64_t in_flight; /* ring_counts(): calls for which the newest entry is not counted in all yet */
	void (*on_counts)(void);
} fake;
static struct ring the_ring;

int ring_open(struct ring **out, const struct ring_options *options, struct ring_probe *probe)
{
	*probe = (struct ring_probe){ .support = fake.support };
	if (fake.open_result < 0)
		return fake.open_result;
	if (options->want && options->want != fake.support)
		return -EOPNOTSUPP;
	*out = &the_ring;
	return 0;
}

void ring_close(struct ring **ring)
{
	*ring = NULL;
}

enum event_support ring_support(const struct ring *ring unused_)
{
	return fake.support;
}

const char *ring_support_name(enum event_support support)
{
	return support == EVENT_SUPPORT_ORDERED ? "ordered" : support == EVENT_SUPPORT_SIGNAL ? "signal" : "poll";
}

int ring_fd(const struct ring *ring unused_)
{
	return -1;
}

int ring_consume(struct ring *ring unused_, ring_fn fn, void *user)
{
	size_t n = fake.n;

	fake.n = 0;
	for (size_t i = 0; i < n; i++) {
		int r = fn(user, &fake.queue[i]);

		if (r < 0)
			return r;
	}
	return (int)n;
}

void ring_snapshot(const struct ring *ring unused_, struct ring_counters *out)
{
	*out = fake.counters;
}

void ring_check_missed(struct ring *ring unused_)
{
	fake.checks++;
}

/* --- the kernel's stand-in ------------------------------------------------------------------------------------------ */

static struct {
	char dir[64];
	uint64_t live;	  /* entries in the list */
	uint64_t trimmed; /* entries that were, before */
	uint64_t seq;	  /* of the BPF program */
	bool totals;	  /* it counts the entries since boot, as Linux 7.2 does */
	uint8_t data[4096][40];
} kernel;

int ring_counts(struct ring *ring unused_, struct ring_counts *out)
{
	if (!kernel.totals)
		return -EOPNOTSUPP;
	*out = (struct ring_counts){ .live = kernel.live, .total = kernel.trimmed + kernel.live };
	if (fake.in_flight > 0) {
		fake.in_flight--;
		out->total--;
	}
	if (fake.on_counts)
		fake.on_counts();
	return 0;
}

static unused_ void path_of(char out[128], const char *name)
{
	snprintf(out, 128, "%s/ima/%s", kernel.dir, name);
}

static unused_ void write_name(const char *name, struct bytes b, int flags)
{
	cleanup_fd_ int fd = -1;
	char path[128];

	path_of(path, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0440);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
}

static unused_ void write_count(void)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)kernel.live);

	write_name("runtime_measurements_count", (struct bytes){ (uint8_t *)text, (size_t)n }, O_TRUNC);
}

static unused_ struct ima_entry entry_of(uint64_t index)
{
	struct writer w = WRITER(64);
	struct ima_entry e = { .pcr = 10, .name = BYTES("ima-ng") };

	write_u32le(&w, 8);
	write_u64le(&w, index);
	write_u32le(&w, index ? 3 : 15);
	write_bytes(&w, index ? "/x" : "boot_aggregate", index ? 3 : 15);
	bytes_copy(kernel.data[index], w.p, w.n);
	e.data = (struct bytes){ kernel.data[index], w.n };
	writer_free(&w);
	return e;
}

static unused_ void to_list(uint64_t index)
{
	cleanup_writer_ struct writer w = WRITER(1024);
	struct ima_entry e = entry_of(index);

	ima_list_write_entry(&w, &e, HASH_SHA1);
	write_name("binary_runtime_measurements", writer_view(&w), O_APPEND);
}

enum how { BY_RING, BARE, DROPPED, UNSEEN, WITHOUT_POSITION };

/* One measurement: into the list, and into the ring in some way. */
static unused_ void measure(enum how how)
{
	uint64_t index = kernel.trimmed + kernel.live++;
	struct ring_record *r = &fake.queue[fake.n];

	to_list(index);
	write_count();
	if (how == UNSEEN)
		return; /* the program was not there, or not run */
	kernel.seq++;
	fake.counters.seq = kernel.seq;
	if (how == DROPPED) {
		fake.counters.drops[EVENT_DROP_RING_FULL]++;
		return;
	}
	*r = (struct ring_record){
		.type = how == BARE ? EVENT_BARE : EVENT_ENTRY,
		.seq = kernel.seq,
		.position = how == WITHOUT_POSITION ? 0 : kernel.live,
		.total = kernel.totals ? kernel.trimmed + kernel.live : 0,
		.entry = entry_of(index),
		.context = { .ktime_ns = (index + 1) * 1000, .tgid = (uint32_t)index, .comm = "prog" },
	};
	if (how == BARE) {
		r->entry.data = (struct bytes){ NULL, 0 };
		r->drop = EVENT_DROP_OVERSIZED;
		fake.counters.drops[EVENT_DROP_OVERSIZED]++;
	}
	fake.n++;
	assert_true(fake.n < ARRAY_SIZE(fake.queue));
}

static unused_ void measure_many(enum how how, unsigned int n)
{
	while (n-- > 0)
		measure(how);
}

/* The list loses its first n entries. */
static unused_ void trim(uint64_t n)
{
	write_name("binary_runtime_measurements", (struct bytes){ NULL, 0 }, O_TRUNC);
	kernel.trimmed += n;
	kernel.live -= n;
	for (uint64_t i = 0; i < kernel.live; i++)
		to_list(kernel.trimmed + i);
	write_count();
}

struct seen {
	uint64_t n;
	uint64_t with_context;
	int fail_at; /* 1-based */
	bool may_lose;
	uint64_t lost;
};

static unused_ int on_item(void *user, const struct item *item)
{
	struct seen *seen = user;
	struct reader r = reader_of(item->entry.data);

	if (seen->fail_at && seen->n + 1 == (uint64_t)seen->fail_at)
		return -ENOMEM;
	read_u32le(&r);
	if (item->index != seen->n) {
		assert_true(seen->may_lose && item->index > seen->n);
		seen->lost += item->index - seen->n;
		seen->n = item->index;
	}
	assert_int_equal(read_u64le(&r), seen->n); /* each once, in order */
	assert_int_equal(item->entry.pcr, 10);
	assert_true(item->arrived_us > 0);
	if (item->has_context) {
		assert_int_equal(item->pid, seen->n);
		assert_int_equal(item->measured_us, seen->n + 1);
		assert_string_equal(item->comm, "prog");
		seen->with_context++;
	} else {
		assert_int_equal(item->measured_us, 0);
	}
	seen->n++;
	return 0;
}

static unused_ int set_up(void **state unused_)
{
	char path[128];

	memset(&fake, 0, sizeof(fake));
	memset(&kernel, 0, sizeof(kernel));
	fake.support = EVENT_SUPPORT_ORDERED;
	snprintf(kernel.dir, sizeof(kernel.dir), "/tmp/imastream-kernel-XXXXXX");
	assert_non_null(mkdtemp(kernel.dir));
	snprintf(path, sizeof(path), "%s/ima", kernel.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	write_name("binary_runtime_measurements", (struct bytes){ NULL, 0 }, 0);
	write_count();
	return 0;
}

static unused_ int tear_down(void **state unused_)
{
	static const char *const names[] = { "binary_runtime_measurements", "runtime_measurements_count",
					     "binary_runtime_measurements_sha256" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		path_of(path, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/ima", kernel.dir);
	rmdir(path);
	rmdir(kernel.dir);
	return 0;
}

static unused_ struct source *open_source(void)
{
	const struct source_kernel_options o = { .securityfs = kernel.dir };
	cleanup_writer_ struct writer why = WRITER(1024);
	struct source *s = NULL;
	struct ring_probe probe;

	assert_int_equal(source_kernel_open(&s, &o, &probe, &why), 0);
	return s;
}

static unused_ void pull(struct source *s, struct seen *seen)
{
	assert_int_equal(source_pull(s, on_item, seen), 0);
}

/* --- a kernel that counts since boot ---- */

/* Its list may be written. */
static unused_ void list_mode(mode_t mode)
{
	char path[128];

	path_of(path, "binary_runtime_measurements");
	assert_int_equal(chmod(path, mode), 0);
}

/* Linux 7.2, with CONFIG_IMA_STAGING or without. */
static unused_ void can_trim(void)
{
	list_mode(0660);
	kernel.totals = true;
}

static unused_ struct source_status status_of(struct source *s)
{
	struct source_status status;

	source_status(s, &status);
	return status;
}

static unused_ uint64_t index_at(struct source *s, uint64_t from)
{
	cleanup_list_ struct list *history = NULL;
	struct ima_entry e;
	struct reader r;

	assert_int_equal(source_history(s, from, &history), 0);
	assert_int_equal(list_next(history, &e), 1);
	r = reader_of(e.data);
	read_u32le(&r);
	return read_u64le(&r);
}
