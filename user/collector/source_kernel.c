// SPDX-License-Identifier: Apache-2.0
/* Stages [1] and [2]: entries from the ring, joined with the list by the kernel's list position, and from the list
 * alone whenever the ring is not enough.
 *
 * Three numbers name one entry:
 *   index     since boot, from 0: ours, what the protocol speaks of;
 *   position  in the kernel's live list, from 1: index = list_base + position - 1; list_base grows when it is trimmed;
 *   seq       the BPF program's own count, from 1: index = seq + seq_shift, fixed while the program is attached. */
#include "collector/source.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"

struct source_kernel {
	struct source base;
	struct ring *ring;
	enum event_support support;
	struct list *list;
	uint64_t list_index; /* index of the entry that the list reader yields next */
	char *list_path;
	size_t digest_size;
	bool trims; /* the kernel can trim its list: never hold it open */
	int count_fd;
	uint64_t end; /* entries delivered */
	uint64_t list_base;
	uint64_t seq_shift; /* modulo 2^64 */
	bool joined;	    /* seq_shift is known */
	bool behind;	    /* read the list to its end */
	uint64_t lost;	    /* drop counters that mean a record is missing, when we last looked */
	struct source_status status;
	source_fn fn; /* while pulling */
	void *user;
	char error[256];
};

static void kernel_free(struct source *base)
{
	struct source_kernel *s = (struct source_kernel *)base;

	ring_close(&s->ring);
	list_close(&s->list);
	free(s->list_path);
	fd_cleanup(&s->count_fd);
	free(s);
}

static int kernel_fd(const struct source *base)
{
	const struct source_kernel *s = (const struct source_kernel *)base;

	return s->ring ? ring_fd(s->ring) : -1;
}

/* --- the list ------------------------------------------------------------------------------------------------------- */

static int list_failed(struct source_kernel *s, int r)
{
	if (r == -EBADMSG)
		snprintf(s->error, sizeof(s->error), "%s: %s", s->list_path, list_error(s->list));
	else
		snprintf(s->error, sizeof(s->error), "%s: %s", s->list_path, strerror(-r));
	return r;
}

/* A reader at the head of the live list. */
static int list_restart(struct source_kernel *s)
{
	list_close(&s->list);
	s->list_index = s->list_base;
	return list_open(&s->list, s->list_path, !s->trims, s->digest_size);
}

static int deliver(struct source_kernel *s, struct item *item)
{
	int r;

	item->arrived_us = clock_mono_us();
	r = s->fn(s->user, item);
	if (r == 0)
		s->end++;
	return r;
}

/* Delivers from the list until `until` entries are delivered, or the list ends (for now). `last`, when given, is the
 * context of the entry until - 1. */
static int read_list(struct source_kernel *s, uint64_t until, const struct item *last)
{
	while (s->end < until) {
		struct item item = { 0 };
		int r = list_next(s->list, &item.entry);

		if (r < 0)
			return list_failed(s, r);
		if (r == 0)
			return 0;
		if (s->list_index++ < s->end)
			continue; /* came through the ring */
		if (last && s->end == until - 1) {
			struct ima_entry entry = item.entry;

			item = *last;
			item.entry = entry;
		}
		r = deliver(s, &item);
		if (r < 0)
			return r;
		s->status.from_list++;
	}
	list_pause(s->list);
	return 0;
}

/* The kernel's own count of its live list. */
static int read_count(struct source_kernel *s, uint64_t *out)
{
	char text[32] = { 0 };
	ssize_t n = pread(s->count_fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[strcspn(text, "\n")] = '\0';
	return parse_u64(text, 0, UINT64_MAX, out);
}

/* Levels without entries in the ring: is there more than we have? */
static int list_has_more(struct source_kernel *s, bool *out)
{
	uint64_t count;
	int r = read_count(s, &count);

	if (r < 0) {
		snprintf(s->error, sizeof(s->error), "runtime_measurements_count: %s", strerror(-r));
		return r;
	}
	if (count < s->end - s->list_base) {
		/* Trimmed. All that we know of the rest is its length: taken as the newest of what we have. */
		s->list_base = s->end - count;
		s->status.trims++;
		r = list_restart(s);
		if (r < 0)
			return r;
	}
	*out = count > s->end - s->list_base;
	return 0;
}

/* --- the ring ------------------------------------------------------------------------------------------------------- */

/* The index of a record, and what its two numbers tell about trims and skipped program runs. */
static int index_of(struct source_kernel *s, const struct ring_record *r, uint64_t *out)
{
	uint64_t by_position = s->list_base + r->position - 1;
	uint64_t by_seq = r->seq + s->seq_shift;

	if (!s->joined || by_seq == by_position) {
		s->joined = true;
		s->seq_shift = by_position - r->seq;
	} else if (by_position < by_seq) {
		/* the position went down, the sequence did not: the list was trimmed, our place in it is gone */
		int err;

		s->list_base += by_seq - by_position;
		s->status.trims++;
		by_position = by_seq;
		err = list_restart(s);
		if (err < 0)
			return err;
	} else {
		s->seq_shift = by_position - r->seq; /* the program missed an entry */
	}
	*out = by_position;
	return 0;
}

static void item_from_record(struct item *item, const struct ring_record *r)
{
	*item = (struct item){
		.entry = r->entry,
		.measured_us = r->context.ktime_ns / 1000u,
		.has_context = true,
		.pid = r->context.tgid,
		.uid = r->context.uid,
		.cgroup = r->context.cgroup_id,
		.mntns = r->context.mnt_ns,
	};
	bytes_copy(item->comm, r->context.comm, sizeof(r->context.comm));
}

static int on_record(void *user, const struct ring_record *record)
{
	struct source_kernel *s = user;
	struct item item;
	uint64_t index;
	int r;

	if (record->type == EVENT_WAKE)
		return 0;
	if (record->position == 0) {
		s->behind = true;
		return 0;
	}
	r = index_of(s, record, &index);
	if (r < 0)
		return r;
	if (index < s->end)
		return 0; /* came from the list */
	if (index > s->end) {
		s->status.catch_ups++;
		r = read_list(s, index, NULL);
		if (r < 0)
			return r;
	}
	if (index != s->end) {
		s->behind = true; /* the list does not have them: look again at the next wake-up */
		return 0;
	}
	item_from_record(&item, record);
	if (record->type == EVENT_BARE) {
		s->status.catch_ups++;
		return read_list(s, index + 1, &item);
	}
	s->status.from_ring++;
	return deliver(s, &item);
}

/* Counters of records that never came. An entry that travels bare is not lost. */
static uint64_t lost_records(const struct ring_counters *c)
{
	return c->drops[EVENT_DROP_RING_FULL] + c->drops[EVENT_DROP_NO_SCRATCH] + c->drops[EVENT_DROP_MALFORMED] +
	       c->drops[EVENT_DROP_MISSED_RUN];
}

static void look_at_counters(struct source_kernel *s)
{
	struct ring_counters c;
	uint64_t lost;

	ring_snapshot(s->ring, &c);
	bytes_copy(s->status.drops, c.drops, sizeof(s->status.drops));
	s->status.extend_failures = c.extend_failures;
	lost = lost_records(&c);
	if (lost != s->lost)
		s->behind = true;
	s->lost = lost;
}

static int pull_ordered(struct source_kernel *s)
{
	int r = ring_consume(s->ring, on_record, s);

	if (r < 0)
		return r;
	look_at_counters(s);
	if (!s->behind)
		return 0;
	s->behind = false;
	s->status.catch_ups++;
	return read_list(s, UINT64_MAX, NULL);
}

static int pull_from_list(struct source_kernel *s)
{
	bool more = false;
	int r;

	if (s->ring) {
		r = ring_consume(s->ring, on_record, s); /* wake-ups only */
		if (r < 0)
			return r;
		look_at_counters(s);
	}
	r = list_has_more(s, &more);
	if (r < 0 || !more)
		return r;
	return read_list(s, UINT64_MAX, NULL);
}

static int kernel_pull(struct source *base, source_fn fn, void *user)
{
	struct source_kernel *s = (struct source_kernel *)base;
	int r;

	s->fn = fn;
	s->user = user;
	r = s->support == EVENT_SUPPORT_ORDERED ? pull_ordered(s) : pull_from_list(s);
	s->fn = NULL;
	s->user = NULL;
	return r;
}

/* --- the rest ------------------------------------------------------------------------------------------------------- */

/* The kernel appends, then extends, both under one mutex: all that we have but the last one is extended, whatever the
 * level. The BPF program knows more. */
static uint64_t kernel_surely(struct source *base)
{
	struct source_kernel *s = (struct source_kernel *)base;
	uint64_t surely = s->end > 0 ? s->end - 1 : 0;
	struct ring_counters c;

	if (s->support != EVENT_SUPPORT_ORDERED || !s->joined)
		return surely;
	ring_snapshot(s->ring, &c);
	if (c.extended_seq == 0)
		return surely;
	return MAX(surely, c.extended_seq + s->seq_shift + 1);
}

static int kernel_history(struct source *base, uint64_t from, struct list **out)
{
	struct source_kernel *s = (struct source_kernel *)base;
	cleanup_list_ struct list *list = NULL;
	int r;

	if (from < s->list_base)
		return -ENODATA;
	r = list_open(&list, s->list_path, !s->trims, s->digest_size);
	if (r < 0)
		return r;
	r = list_skip(list, from - s->list_base);
	if (r <= 0)
		return r < 0 ? r : -EAGAIN; /* trimmed this moment: the next record tells */
	*out = TAKE_PTR(list);
	return 0;
}

static void kernel_check(struct source *base)
{
	struct source_kernel *s = (struct source_kernel *)base;

	if (!s->ring)
		return;
	ring_check_missed(s->ring);
	look_at_counters(s);
}

static void kernel_status(const struct source *base, struct source_status *out)
{
	const struct source_kernel *s = (const struct source_kernel *)base;

	*out = s->status;
	out->ready = true;
	out->support = s->support;
}

static const char *kernel_error(const struct source *base)
{
	return ((const struct source_kernel *)base)->error;
}

static const struct source_ops kernel_ops = {
	.free = kernel_free,
	.fd = kernel_fd,
	.pull = kernel_pull,
	.surely = kernel_surely,
	.history = kernel_history,
	.check = kernel_check,
	.status = kernel_status,
	.error = kernel_error,
};

/* --- opening -------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	size_t digest_size;
} list_names[] = {
	{ "binary_runtime_measurements", 20 }, /* SHA-1 column: security/integrity/ima/ima_fs.c */
	{ "binary_runtime_measurements_sha256", 32 },
	{ "binary_runtime_measurements_sha384", 48 },
	{ "binary_runtime_measurements_sha512", 64 },
	{ "binary_runtime_measurements_sha1", 20 },
};

static int find_list(struct source_kernel *s, const char *securityfs, struct writer *why)
{
	cleanup_free_ char *staged = NULL, *count = NULL;

	if (asprintf(&staged, "%s/ima/binary_runtime_measurements_staged", securityfs) < 0 ||
	    asprintf(&count, "%s/ima/runtime_measurements_count", securityfs) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(list_names) && !s->list_path; i++) {
		cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/ima/%s", securityfs, list_names[i].name) < 0)
			return -ENOMEM;
		if (access(path, R_OK) == 0) {
			s->list_path = TAKE_PTR(path);
			s->digest_size = list_names[i].digest_size;
		} else if (errno == EACCES) {
			write_fmt(why, "no permission to read %s: start as root, or with CAP_DAC_READ_SEARCH", path);
			return -EACCES;
		}
	}
	if (!s->list_path) {
		write_fmt(why, "no measurement list below %s/ima: mount it (mount -t securityfs securityfs "
			       "/sys/kernel/security), and boot a kernel with CONFIG_IMA", securityfs);
		return -ENOENT;
	}
	s->trims = access(staged, F_OK) == 0;
	s->count_fd = open(count, O_RDONLY | O_CLOEXEC);
	if (s->count_fd < 0) {
		int r = -errno;

		write_fmt(why, "cannot open %s: %s", count, strerror(-r));
		return r;
	}
	return 0;
}

static int open_ring(struct source_kernel *s, const struct source_kernel_options *o, struct ring_probe *probe,
		     struct writer *why)
{
	struct ring_options options = { .want = o->support, .ring_bytes = o->ring_bytes };
	int r = ring_open(&s->ring, &options, probe);

	if (r == -EOPNOTSUPP)
		write_fmt(why, "support level %s does not work here; --support=auto takes the best that does",
			  ring_support_name(o->support));
	else if (r < 0)
		write_fmt(why, "cannot open the ring: %s", strerror(-r));
	if (r == 0)
		s->support = ring_support(s->ring);
	return r;
}

int source_kernel_open(struct source **out, const struct source_kernel_options *o, struct ring_probe *probe,
		       struct writer *why)
{
	struct source_kernel *s = calloc(1, sizeof(*s));
	cleanup_(source_free) struct source *guard = NULL;
	int r;

	if (!s)
		return -ENOMEM;
	s->base.ops = &kernel_ops;
	s->count_fd = -1;
	guard = &s->base;
	*probe = (struct ring_probe){ .support = EVENT_SUPPORT_POLL };
	s->support = EVENT_SUPPORT_POLL;
	/* The ring first: from now on nothing is appended that neither the ring nor the first reading has. */
	r = o->poll_mode ? 0 : open_ring(s, o, probe, why);
	if (r == 0)
		r = find_list(s, o->securityfs, why);
	if (r == 0)
		r = list_restart(s);
	if (r < 0)
		return r;
	s->behind = true; /* the first pull reads the list to its end */
	*out = TAKE_PTR(guard);
	return 0;
}
