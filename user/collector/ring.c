// SPDX-License-Identifier: Apache-2.0
#include "collector/ring.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "bpf/imastream.skel.h"
#include "imastream/limits.h"

_Static_assert(EVENT_NAME_MAX == LIMIT_TEMPLATE_NAME, "one limit, two headers");
_Static_assert(EVENT_FIELDS_MAX == LIMIT_TEMPLATE_FIELDS, "one limit, two headers");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "field lengths are taken as little-endian");

struct ring {
	enum event_support support;
	struct imastream_bpf *skel;
	struct ring_buffer *buffer;
	uint64_t malformed;
	uint64_t missed_runs;
	/* During ring_consume() */
	ring_fn fn;
	void *user;
	int delivered;
	bool stopped;
};

/* --- decoding ------------------------------------------------------------------------------------------------------- */

/* true: exactly `fields` times u32 length + bytes. */
static bool fields_add_up(struct bytes data, uint32_t fields)
{
	struct reader r = reader_of(data);

	if (fields > EVENT_FIELDS_MAX)
		return false;
	for (uint32_t i = 0; i < fields; i++)
		read_bytes(&r, read_u32le(&r));
	return reader_done(&r);
}

static bool decode_entry(struct reader *r, const struct event_header *h, struct ring_record *out)
{
	struct event_entry e = { .header = *h };

	read_copy(r, (uint8_t *)&e + sizeof(e.header), sizeof(e) - sizeof(e.header));
	if (!reader_ok(r) || e.name_len > EVENT_NAME_MAX || e.flags & ~(EVENT_FLAG_VIOLATION | EVENT_FLAG_POSITION | EVENT_FLAG_TOTAL))
		return false;
	if (h->seq == 0)
		return false;
	out->position = e.flags & EVENT_FLAG_POSITION ? e.position : 0;
	out->total = e.flags & EVENT_FLAG_TOTAL ? e.total : 0;
	out->drop = e.drop;
	out->data_len = e.data_len;
	out->field_count = e.field_count;
	out->entry.pcr = e.pcr;
	out->entry.violation = e.flags & EVENT_FLAG_VIOLATION;
	out->entry.name = read_bytes(r, e.name_len);
	out->context = (struct ring_context){
		.ktime_ns = e.ktime_ns,
		.cgroup_id = e.cgroup_id,
		.pid = e.pid,
		.tgid = e.tgid,
		.uid = e.uid,
		.mnt_ns = e.mnt_ns,
	};
	bytes_copy(out->context.comm, e.comm, sizeof(e.comm) - 1);
	if (out->type == EVENT_BARE)
		return e.drop > EVENT_DROP_NONE && e.drop < EVENT_DROP_MALFORMED;
	if (e.drop != EVENT_DROP_NONE || e.data_len > EVENT_DATA_MAX || e.name_len == 0)
		return false;
	out->entry.data = read_bytes(r, e.data_len);
	return reader_ok(r) && fields_add_up(out->entry.data, e.field_count);
}

int ring_record_decode(const void *bytes, size_t n, struct ring_record *out)
{
	struct reader r = reader_over(bytes, n);
	struct ring_record record = { 0 };
	struct event_header h;
	bool good = false;

	read_copy(&r, &h, sizeof(h));
	if (!reader_ok(&r) || h.size != n)
		return -EBADMSG;
	record.type = h.type;
	record.seq = h.seq;
	switch (h.type) {
	case EVENT_ENTRY:
	case EVENT_BARE:
		good = decode_entry(&r, &h, &record);
		break;
	case EVENT_WAKE:
		read_copy(&r, &record.extended_seq, sizeof(record.extended_seq));
		good = true;
		break;
	}
	if (!good || !reader_done(&r))
		return -EBADMSG;
	*out = record;
	return 0;
}

/* --- probing and loading -------------------------------------------------------------------------------------------- */

/* Where libbpf's text goes while ring_open() runs; libbpf has no per-object print hook. */
static _Thread_local struct ring_probe *print_to;

/* Keeps the end of the text: the verifier says at the end what was wrong. */
static void detail_append(struct ring_probe *probe, const char *text)
{
	size_t room = sizeof(probe->detail) - 1, have = strlen(probe->detail), more = strlen(text), drop;

	if (more > room) {
		text += more - room;
		more = room;
	}
	drop = have + more > room ? have + more - room : 0;
	memmove(probe->detail, probe->detail + drop, have - drop);
	memcpy(probe->detail + have - drop, text, more);
	probe->detail[have - drop + more] = '\0';
}

printf_(2, 0) static int on_libbpf_print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	cleanup_free_ char *text = NULL;

	if (level > LIBBPF_WARN || !print_to)
		return 0;
	if (vasprintf(&text, fmt, args) < 0) {
		text = NULL;
		return 0;
	}
	detail_append(print_to, text);
	return 0;
}

static void restore_print(libbpf_print_fn_t *old)
{
	libbpf_set_print(*old);
	print_to = NULL;
}

static bool has_function(const struct btf *btf, const char *name, struct ring_probe *probe)
{
	if (btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0)
		return true;
	detail_append(probe, "the kernel has no function ");
	detail_append(probe, name);
	detail_append(probe, "\n");
	return false;
}

static void probe_hooks(struct ring_probe *probe)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf) {
		probe->load_errno = -errno;
		detail_append(probe, "the kernel has no BTF\n");
		return;
	}
	probe->btf = true;
	probe->hook_digest_entry = has_function(btf, "ima_add_digest_entry", probe);
	probe->hook_pcr_extend = has_function(btf, "tpm_pcr_extend", probe);
	probe->hook_template_entry = has_function(btf, "ima_add_template_entry", probe);
	btf__free(btf);
}

static int attach(struct bpf_program *program, struct bpf_link **link)
{
	struct bpf_link *l = bpf_program__attach(program);

	if (!l)
		return -errno;
	*link = l;
	return 0;
}

static int on_sample(void *ctx, void *data, size_t n);

/* Loads and attaches what the level needs. On failure the ring is as before. */
static int ring_load(struct ring *ring, enum event_support level, uint32_t ring_bytes, const struct ring_probe *p)
{
	bool ordered = level == EVENT_SUPPORT_ORDERED;
	struct imastream_bpf *skel = imastream_bpf__open();
	struct ring_buffer *buffer = NULL;
	int r;

	if (!skel)
		return -errno;
	skel->rodata->signal_level = !ordered;
	bpf_program__set_autoload(skel->progs.on_append, ordered);
	bpf_program__set_autoload(skel->progs.on_extend, p->hook_pcr_extend);
	bpf_program__set_autoload(skel->progs.on_return, !ordered);
	r = bpf_map__set_max_entries(skel->maps.ring, ring_bytes);
	if (r == 0)
		r = imastream_bpf__load(skel);
	/* The wake-up first: no entry is ever recorded that nobody announces. */
	if (r == 0 && !ordered)
		r = attach(skel->progs.on_return, &skel->links.on_return);
	if (r == 0 && p->hook_pcr_extend)
		r = attach(skel->progs.on_extend, &skel->links.on_extend);
	if (r == 0 && ordered)
		r = attach(skel->progs.on_append, &skel->links.on_append);
	if (r == 0) {
		buffer = ring_buffer__new(bpf_map__fd(skel->maps.ring), on_sample, ring, NULL);
		r = buffer ? 0 : -errno;
	}
	if (r < 0) {
		imastream_bpf__destroy(skel);
		return r;
	}
	ring->skel = skel;
	ring->buffer = buffer;
	ring->support = level;
	return 0;
}

static bool level_possible(enum event_support level, const struct ring_probe *p)
{
	if (level == EVENT_SUPPORT_ORDERED)
		return p->hook_digest_entry && p->hook_pcr_extend;
	return p->hook_template_entry;
}

int ring_open(struct ring **out, const struct ring_options *options, struct ring_probe *probe)
{
	uint32_t ring_bytes = options->ring_bytes ? options->ring_bytes : EVENT_RING_DEFAULT;
	cleanup_(restore_print) libbpf_print_fn_t old_print = NULL;
	struct ring_probe unused_probe, *p = probe ? probe : &unused_probe;
	cleanup_ring_ struct ring *ring = NULL;
	struct ring_counts counts;

	*p = (struct ring_probe){ .support = EVENT_SUPPORT_POLL };
	old_print = libbpf_set_print(on_libbpf_print);
	print_to = p;
	if (ring_bytes < EVENT_RING_MIN || ring_bytes > EVENT_RING_MAX || ring_bytes & (ring_bytes - 1))
		return -EINVAL;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	ring->support = EVENT_SUPPORT_POLL;
	probe_hooks(p);
	for (int level = EVENT_SUPPORT_ORDERED; level > EVENT_SUPPORT_POLL; level--) {
		int r;

		if ((options->want && (int)options->want != level) || !level_possible(level, p))
			continue;
		r = ring_load(ring, level, ring_bytes, p);
		if (r == 0)
			break;
		if (!p->load_errno)
			p->load_errno = r;
	}
	p->support = ring->support;
	if (options->want && options->want != ring->support)
		return -EOPNOTSUPP;
	p->position_symbol = ring_counts(ring, &counts) == 0;
	*out = TAKE_PTR(ring);
	return 0;
}

void ring_close(struct ring **ring)
{
	struct ring *r = *ring;

	if (!r)
		return;
	ring_buffer__free(r->buffer);
	imastream_bpf__destroy(r->skel);
	free(r);
	*ring = NULL;
}

/* --- use ------------------------------------------------------------------------------------------------------------ */

enum event_support ring_support(const struct ring *ring)
{
	return ring->support;
}

const char *ring_support_name(enum event_support support)
{
	switch (support) {
	case EVENT_SUPPORT_POLL:
		return "poll";
	case EVENT_SUPPORT_SIGNAL:
		return "signal";
	case EVENT_SUPPORT_ORDERED:
		return "ordered";
	}
	return "unknown";
}

int ring_fd(const struct ring *ring)
{
	return ring->buffer ? ring_buffer__epoll_fd(ring->buffer) : -1;
}

/* libbpf: negative stops; the record counts as consumed either way. */
static int on_sample(void *ctx, void *data, size_t n)
{
	struct ring *ring = ctx;
	struct ring_record record;
	int r;

	if (ring_record_decode(data, n, &record) < 0) {
		ring->malformed++;
		return 0;
	}
	r = ring->fn(ring->user, &record);
	if (r < 0)
		return r;
	ring->delivered++;
	ring->stopped = r > 0;
	return ring->stopped ? -ECANCELED : 0;
}

int ring_consume(struct ring *ring, ring_fn fn, void *user)
{
	int r;

	if (!ring->buffer)
		return 0;
	ring->fn = fn;
	ring->user = user;
	ring->delivered = 0;
	ring->stopped = false;
	r = ring_buffer__consume(ring->buffer);
	/* Our place in the ring must be visible before a snapshot looks at the counters: wake() in bpf/ leaves a record
	 * out when it still sees an unread one, and then counts on this reader to see the counters it has just written. */
	atomic_thread_fence(memory_order_seq_cst);
	ring->fn = NULL;
	ring->user = NULL;
	if (r < 0 && !ring->stopped)
		return r;
	return ring->delivered;
}

static uint64_t missed_runs(const struct bpf_program *program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);
	int fd = bpf_program__fd(program);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return 0;
	return info.recursion_misses;
}

#define LOAD(member) __atomic_load_n(&s->member, __ATOMIC_ACQUIRE)

void ring_check_missed(struct ring *ring)
{
	uint64_t missed;

	if (!ring->skel)
		return;
	missed = missed_runs(ring->skel->progs.on_append) + missed_runs(ring->skel->progs.on_extend) +
		 missed_runs(ring->skel->progs.on_return);
	ring->missed_runs = MAX(ring->missed_runs, missed);
}

void ring_snapshot(const struct ring *ring, struct ring_counters *out)
{
	const struct event_state *s;

	*out = (struct ring_counters){ 0 };
	if (!ring->skel)
		return;
	s = &ring->skel->bss->state;
	/* In this order extended_seq <= seq holds in the copy too. */
	out->extended_seq = LOAD(extended_seq);
	out->extend_failures = LOAD(extend_failures);
	out->extend_failed_first = LOAD(extend_failed_first);
	out->extend_failed_last = LOAD(extend_failed_last);
	out->extend_error = LOAD(extend_error);
	out->seq = LOAD(seq);
	out->position = LOAD(position);
	out->signals = LOAD(signals);
	out->wakes = LOAD(wakes);
	for (int i = 0; i < EVENT_DROP_COUNT; i++)
		out->drops[i] = LOAD(drops[i]);
	out->drops[EVENT_DROP_MISSED_RUN] = ring->missed_runs;
	out->drops[EVENT_DROP_MALFORMED] = ring->malformed;
}

int ring_counts(struct ring *ring, struct ring_counts *out)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	const struct event_state *s;

	if (!ring->skel)
		return -EOPNOTSUPP;
	if (bpf_prog_test_run_opts(bpf_program__fd(ring->skel->progs.read_position), &opts) < 0 || opts.retval != 0)
		return -EOPNOTSUPP;
	s = &ring->skel->bss->state;
	*out = (struct ring_counts){ .live = LOAD(live), .staged = LOAD(staged), .total = LOAD(total) };
	return 0;
}
