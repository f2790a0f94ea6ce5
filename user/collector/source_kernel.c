// SPDX-License-Identifier: Apache-2.0
/* Stages [1] and [2]: entries from the ring, joined with the list by the kernel's list position, and from the list
 * alone whenever the ring is not enough.
 *
 * Three numbers name one entry:
 *   index     since boot, from 0: ours, what the protocol speaks of;
 *   position  in the kernel's live list, from 1: index = list_base + position - 1; list_base grows when it is trimmed;
 *   seq       the BPF program's own count, from 1: index = seq + seq_shift, fixed while the program is attached.
 * A kernel that can trim its list (Linux 7.2) also counts the entries since boot: index + 1. So a trim takes nothing from what
 * is known, whoever did it and whenever, also before this program started (docs/adr/0016). */
#include "collector/source_kernel_private.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

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

void source_kernel_trimmed_to(struct source_kernel *s, uint64_t base)
{
	if (base <= s->list_base)
		return;
	s->list_base = base;
	s->status.trims++;
}

/* Where the list begins now. The file is open, so nobody trims meanwhile; but entries are added, and one that is being added is
 * counted in the live list a moment before it is counted in all. In that moment the difference is one too low. Only when it shows
 * a trim this matters: then it is read until the moment must be over. */
int source_kernel_begins(void *user, uint64_t *out)
{
	static const struct timespec a_moment = { .tv_nsec = 1000000 };
	struct source_kernel *s = user;
	uint64_t base = s->list_base;

	for (unsigned int i = 0; s->totals && i < 4; i++) {
		struct ring_counts c;
		int r = ring_counts(s->ring, &c);

		if (r < 0)
			return r;
		if (c.total > c.live)
			base = MAX(base, c.total - c.live);
		if (base == s->list_base && i > 0)
			break;
		if (base != s->list_base)
			(void)nanosleep(&a_moment, NULL);
	}
	source_kernel_trimmed_to(s, base);
	*out = s->list_base;
	return 0;
}

int source_kernel_restart(struct source_kernel *s)
{
	cleanup_list_ struct list *list = NULL;
	int r = list_open(&list, s->list_path, !s->trims, s->digest_size);

	if (r < 0)
		return r;
	list_follow(list, source_kernel_begins, s);
	list_close(&s->list);
	s->list = TAKE_PTR(list);
	return 0;
}

/* The first entry of a boot, and behind a kexec another one: a whole field of that name, so no file's. */
static bool is_boot_aggregate(const struct ima_entry *e)
{
	static const char field[] = "\x0f\0\0\0boot_aggregate";

	return memmem(e->data.p, e->data.n, field, sizeof(field)) != NULL;
}

static int deliver(struct source_kernel *s, struct item *item)
{
	int r;

	item->arrived_us = clock_mono_us();
	item->index = s->end;
	r = s->fn(s->user, item);
	if (r < 0)
		return r;
	s->end++;
	s->status.kexec = s->status.kexec || (s->end > 1 && is_boot_aggregate(&item->entry));
	if (s->anchored)
		hash_one(HASH_SHA256, item->entry.data.p, item->entry.data.n, s->anchor);
	return 0;
}

static bool is_anchor(const struct source_kernel *s, const struct ima_entry *e)
{
	uint8_t digest[HASH_MAX_SIZE];

	hash_one(HASH_SHA256, e->data.p, e->data.n, digest);
	return bytes_equal(digest, s->anchor, hash_size(HASH_SHA256));
}

/* Entries that were trimmed before anybody here read them. */
static void give_up(struct source_kernel *s, uint64_t until)
{
	s->status.lost += until - s->end;
	s->end = until;
}

/* Delivers from the list until `until` entries are delivered, or the list ends (for now). `last`, when given, is the
 * context of the entry until - 1. 1: the list begins behind what is wanted, and the ring may still have it (not lossy). */
static int read_list(struct source_kernel *s, uint64_t until, const struct item *last)
{
	while (s->end < until) {
		struct item item = { 0 };
		int r = list_next(s->list, &item.entry);
		uint64_t index;

		if (r < 0)
			return list_failed(s, r);
		if (r == 0)
			return 0;
		index = list_index(s->list) - 1;
		if (s->anchored && index + 1 == s->end && !is_anchor(s, &item.entry)) {
			snprintf(s->error, sizeof(s->error), "%s was trimmed this moment", s->list_path);
			s->anchored_count = UINT64_MAX;
			list_pause(s->list);
			return -EAGAIN;
		}
		if (index < s->end)
			continue; /* came through the ring */
		if (index > s->end) {
			r = source_kernel_restart(s); /* this entry is to come once more, or through the ring */
			if (r < 0 || !s->lossy)
				return r < 0 ? r : 1;
			give_up(s, MIN(index, until));
			continue;
		}
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

/* As above, when the ring has no more than it gave. */
static int read_what_is_left(struct source_kernel *s, uint64_t until, const struct item *last)
{
	int r;

	s->lossy = true;
	r = read_list(s, until, last);
	s->lossy = false;
	return r;
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

/* Without a ring to ask nobody says where a trimmed list begins: the place of the newest entry that we had says it. When that is
 * gone too, what is left is taken to follow it. Duplicates (violations) are told apart by order: the last one that fits. */
static int find_anchor(struct source_kernel *s, uint64_t count)
{
	cleanup_list_ struct list *list = NULL;
	uint64_t behind = 0, n = 0;
	struct ima_entry e;
	int r;

	if (count == s->anchored_count && count == s->end - s->list_base)
		return 0;
	r = list_open(&list, s->list_path, false, s->digest_size);
	while (r == 0 && (r = list_next(list, &e)) == 1) {
		n++;
		if (s->end == 0) { /* the first entry of a boot */
			n = is_boot_aggregate(&e);
			break;
		}
		if (is_anchor(s, &e))
			behind = n;
		r = 0;
	}
	if (r < 0)
		return list_failed(s, r);
	if (s->end == 0 && n == 0) {
		snprintf(s->error, sizeof(s->error), "%s was trimmed before this program started, and without BPF nobody says by how "
			 "much: see imastream doctor, or reboot", s->list_path);
		return -EOPNOTSUPP;
	}
	s->anchored_count = count;
	source_kernel_trimmed_to(s, s->end - behind);
	return source_kernel_restart(s);
}

/* Levels without entries in the ring: is there more than we have? */
static int list_has_more(struct source_kernel *s, bool *out)
{
	struct ring_counts c;
	uint64_t count;
	int r = s->totals ? ring_counts(s->ring, &c) : read_count(s, &count);

	if (r < 0) {
		snprintf(s->error, sizeof(s->error), "runtime_measurements_count: %s", strerror(-r));
		return r;
	}
	if (s->totals) {
		*out = c.total > s->end;
		return 0;
	}
	r = s->anchored ? find_anchor(s, count) : 0;
	*out = count > s->end - s->list_base;
	return r;
}

/* --- the ring ------------------------------------------------------------------------------------------------------- */

/* The index of a record, and what its two numbers tell about trims and skipped program runs. */
static int index_of(struct source_kernel *s, const struct ring_record *r, uint64_t *out)
{
	uint64_t by_position = s->list_base + r->position - 1;
	uint64_t by_seq = r->seq + s->seq_shift;

	if (r->total && r->position <= r->total) { /* the kernel's own index, and where its list began then */
		source_kernel_trimmed_to(s, r->total - r->position);
		s->joined = true;
		s->seq_shift = r->total - 1 - r->seq;
		*out = r->total - 1;
		return 0;
	}
	if (!s->joined || by_seq == by_position) {
		s->joined = true;
		s->seq_shift = by_position - r->seq;
	} else if (by_position < by_seq) {
		/* the position went down, the sequence did not: the list was trimmed, our place in it is gone */
		int err;

		s->list_base += by_seq - by_position;
		s->status.trims++;
		by_position = by_seq;
		err = source_kernel_restart(s);
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
	if (index + 1 >= s->owed)
		s->owed = 0;
	if (index < s->end)
		return 0; /* came from the list */
	if (index > s->end) {
		s->status.catch_ups++;
		r = read_what_is_left(s, index, NULL);
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
		return read_what_is_left(s, index + 1, &item);
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

/* The kernel's count against what the ring gave. An entry is in the list before its record is in the ring: one may be on its
 * way. It is late when the next look finds it still is. */
static void look_at_count(struct source_kernel *s)
{
	uint64_t counted = s->counted;

	s->counted = 0;
	if (!counted)
		return;
	s->status.unnoticed += s->owed != 0;
	s->owed = 0;
	if (counted <= s->end)
		return;
	if (counted > s->end + 1 && !s->behind)
		s->status.unnoticed += counted - s->end;
	else if (!s->behind)
		s->owed = counted;
	s->behind = true;
}

static int consume(struct source_kernel *s)
{
	int r = ring_consume(s->ring, on_record, s);

	return r < 0 ? r : 0;
}

static int pull_ordered(struct source_kernel *s)
{
	int r = consume(s);

	if (r == 0) {
		look_at_counters(s);
		look_at_count(s);
	}
	if (r < 0 || !s->behind)
		return r;
	s->status.catch_ups++;
	r = read_list(s, UINT64_MAX, NULL);
	if (r == 1) { /* trimmed since: the records of those entries were in the ring before */
		r = consume(s);
		if (r == 0)
			r = read_what_is_left(s, UINT64_MAX, NULL);
	}
	return r;
}

static int pull_from_list(struct source_kernel *s)
{
	bool more = false;
	int r;

	if (s->ring) {
		r = consume(s); /* wake-ups only */
		if (r < 0)
			return r;
		look_at_counters(s);
	}
	r = list_has_more(s, &more);
	if (r < 0 || !more)
		return r;
	return read_what_is_left(s, UINT64_MAX, NULL);
}

static int kernel_pull(struct source *base, source_fn fn, void *user)
{
	struct source_kernel *s = (struct source_kernel *)base;
	int r;

	s->fn = fn;
	s->user = user;
	r = s->support == EVENT_SUPPORT_ORDERED ? pull_ordered(s) : pull_from_list(s);
	/* a record that could not be delivered is gone: the list has it */
	s->behind = r < 0;
	list_pause(s->list); /* whatever came of it: who trims waits for us */
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

/* A list that was trimmed since the last record counts fewer entries than we have: not known how many more there are. */
static uint64_t kernel_measured(struct source *base)
{
	struct source_kernel *s = (struct source_kernel *)base;
	struct ring_counts c;
	uint64_t count;

	if (s->totals && ring_counts(s->ring, &c) == 0)
		return MAX(s->end, c.total);
	return read_count(s, &count) == 0 ? MAX(s->end, s->list_base + count) : s->end;
}

static int kernel_history(struct source *base, uint64_t from, struct list **out)
{
	struct source_kernel *s = (struct source_kernel *)base;
	cleanup_list_ struct list *list = NULL;
	int r;

	r = list_open(&list, s->list_path, !s->trims, s->digest_size);
	if (r < 0)
		return r;
	list_follow(list, source_kernel_begins, s);
	r = list_seek(list, from);
	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
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
	if (s->support == EVENT_SUPPORT_ORDERED)
		s->counted = kernel_measured(base); /* whatever became of the BPF program */
}

static void kernel_status(const struct source *base, struct source_status *out)
{
	const struct source_kernel *s = (const struct source_kernel *)base;

	*out = s->status;
	out->ready = true;
	out->first = s->list_base;
	out->end = s->end;
	out->support = s->support;
}

static const char *kernel_error(const struct source *base)
{
	return ((const struct source_kernel *)base)->error;
}

const struct source_ops source_kernel_ops = {
	.free = kernel_free,
	.fd = kernel_fd,
	.pull = kernel_pull,
	.surely = kernel_surely,
	.measured = kernel_measured,
	.history = kernel_history,
	.check = kernel_check,
	.trim = source_kernel_trim,
	.status = kernel_status,
	.error = kernel_error,
};
