// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The hooks on IMA's measurement path. The kernel's own order (security/integrity/ima/ima_queue.c):
 *
 *   ima_add_template_entry()
 *     mutex_lock(&ima_extend_list_mutex)
 *     ima_add_digest_entry()   append to the list     -> on_append: one record, no wake-up
 *     tpm_pcr_extend()         extend the PCR         -> on_extend: extended_seq or an error counted, wake-up
 *     mutex_unlock()
 *   return                                            -> on_return: wake-up, at the signal level only
 *
 * on_append and (for IMA's own calls) on_extend run while the mutex is held: one task at a time in the whole system.
 * So plain increments of `state` and of the pending_* words are enough, and no run is ever skipped: the kernel refuses
 * to run a program on a CPU where another task was preempted inside the same program. on_return runs outside the mutex,
 * and on Linux 7.2 some 2 % of its runs are lost that way under load; that is why it is not part of the ordered level. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "imastream/event.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before loading: on_append is not there. */
const volatile bool signal_level = false;

struct event_state state;

/* The entry between append and extend. */
static __u64 pending_seq;
static __u64 pending_task;
static __u32 pending_pcr;

/* 1 + the producer position before the newest EVENT_WAKE; while the consumer is not past it, that record is unread. */
static __u64 wake_mark;

/* Bytes of one record before it is copied into the ring. The second EVENT_DATA_MAX is never sent: it is what lets the
 * verifier accept a copy of up to EVENT_DATA_MAX bytes to any offset up to EVENT_DATA_MAX. */
struct scratch {
	struct event_entry entry;
	__u8 bytes[EVENT_NAME_MAX + 1 + 2 * EVENT_DATA_MAX + 8];
};

/* max_entries is set before loading (EVENT_RING_DEFAULT). */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENT_RING_DEFAULT);
} ring SEC(".maps");

/* One per CPU. Safe without counting on the mutex: a tracing program runs with migration disabled, and the trampoline
 * keeps a per-CPU count per program and skips a second, nested run on the same CPU (counted as recursion_misses, which
 * the reader adds to the drops). So no two runs ever share a scratch, even if a task is preempted in between. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch_map SEC(".maps");

/* Where the kernel keeps the number of entries; the first word of both. Linux 7.2 has the first, before it the second. The first
 * is an array (security/integrity/ima/ima.h, enum binary_lists): in the live list, in the staged one, since boot. */
extern const void ima_num_records __ksym __weak;
extern const void ima_htable __ksym __weak;

/* Named so that the types are in the object's BTF (tests/integration/event_btf_test.c). */
struct event_wake *btf_event_wake __attribute__((unused));
enum event_type *btf_event_type __attribute__((unused));
enum event_drop *btf_event_drop __attribute__((unused));
enum event_flag *btf_event_flag __attribute__((unused));

/* Bytes that a record of n bytes takes in the ring: an 8-byte header, rounded up to 8. */
#define RING_BYTES(n) (((n) + 8 + 7) & ~7ULL)

static __always_inline void count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

static __always_inline bool list_position(__u64 *position)
{
	const void *at = &ima_num_records;

	if (!at)
		at = &ima_htable;
	if (!at)
		return false;
	return bpf_probe_read_kernel(position, sizeof(*position), at) == 0;
}

/* Entries in the staged list and since boot. False: the kernel has no such numbers; its list never shrinks. */
static __always_inline bool list_totals(__u64 *staged, __u64 *total)
{
	const __u64 *at = &ima_num_records;

	if (!at)
		return false;
	return bpf_probe_read_kernel(staged, sizeof(*staged), at + 1) == 0 &&
	       bpf_probe_read_kernel(total, sizeof(*total), at + 2) == 0;
}

static __always_inline bool is_violation(struct ima_template_entry *e)
{
	__u64 d[3] = {};

	/* The digests of a violation stay as kzalloc left them in every bank; 20 bytes, the shortest digest, decide. */
	if (bpf_probe_read_kernel(d, 20, e->digests->digest))
		return false;
	return !(d[0] | d[1] | d[2]);
}

/* Context of the current task. Convenience for people; never evidence. */
static __always_inline void fill_context(struct event_entry *r)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct task_struct *task = bpf_get_current_task_btf();

	r->ktime_ns = bpf_ktime_get_ns();
	r->cgroup_id = bpf_get_current_cgroup_id();
	r->pid = (__u32)id;
	r->tgid = id >> 32;
	r->uid = (__u32)bpf_get_current_uid_gid();
	r->mnt_ns = task->nsproxy->mnt_ns->ns.inum; /* 0 behind a NULL: such loads do not fault */
	bpf_get_current_comm(r->comm, sizeof(r->comm));
}

/* Name of the template, or the format string of a custom one, as the binary list has it. Returns a drop cause. */
static __always_inline enum event_drop fill_name(struct scratch *s, struct ima_template_desc *desc)
{
	long n = bpf_probe_read_kernel_str(s->bytes, EVENT_NAME_MAX + 1, desc->name);

	if (n == 1)
		n = bpf_probe_read_kernel_str(s->bytes, EVENT_NAME_MAX + 1, desc->fmt);
	if (n <= 1 || n > EVENT_NAME_MAX + 1)
		return EVENT_DROP_READ_FAILED;
	s->entry.name_len = n - 1;
	/* A full buffer may be a cut one: both count as too long, which nothing in the kernel comes near. */
	return n == EVENT_NAME_MAX + 1 ? EVENT_DROP_NAME_TOO_LONG : EVENT_DROP_NONE;
}

/* Copies each field as u32 length + bytes behind the name: the bytes that the kernel hashes. Returns a drop cause. */
static __always_inline enum event_drop fill_data(struct scratch *s, struct ima_template_entry *e)
{
	const char *field = (const char *)e + bpf_core_field_offset(struct ima_template_entry, template_data);
	__u32 total = s->entry.data_len, fields = s->entry.field_count, off = 0, base = s->entry.name_len & 255;

	if (fields > EVENT_FIELDS_MAX)
		return EVENT_DROP_BAD_FIELDS;
	for (__u32 i = 0; i < EVENT_FIELDS_MAX; i++) {
		const struct ima_field_data *f = (const void *)field;
		__u64 len;
		__u8 *to;

		if (i >= fields)
			break;
		field += bpf_core_type_size(struct ima_field_data);
		len = BPF_CORE_READ(f, len);
		if (off + 4 + len > total)
			return EVENT_DROP_BAD_FIELDS;
		/* The compiler knows that both are in range by now and would leave the checks out. The verifier does not. */
		asm volatile("%0 &= 8191" : "+r"(off));
		asm volatile("%0 &= 8191" : "+r"(len));
		to = s->bytes + base + off;
		*(__u8 *)(to + 0) = len;
		*(__u8 *)(to + 1) = len >> 8;
		*(__u8 *)(to + 2) = len >> 16;
		*(__u8 *)(to + 3) = len >> 24;
		/* An empty field (no signature) has a NULL pointer, which even a read of 0 bytes refuses. */
		if (len && bpf_probe_read_kernel(to + 4, len, BPF_CORE_READ(f, data)))
			return EVENT_DROP_READ_FAILED;
		off += 4 + len;
	}
	return off == total ? EVENT_DROP_NONE : EVENT_DROP_BAD_FIELDS;
}

/* Sends the record in the scratch. One EVENT_WAKE always stays free behind it, so that the reader can be woken when
 * the ring is full: bpf/README.md, "A full ring", has the argument. */
static __always_inline long send_entry(struct scratch *s, enum event_drop cause)
{
	__u64 size = sizeof(s->entry) + s->entry.name_len;
	__u64 used = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
	__u64 room = bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE) - 1; /* the kernel keeps one byte */

	if (cause == EVENT_DROP_NONE)
		size += s->entry.data_len;
	s->entry.header.type = cause == EVENT_DROP_NONE ? EVENT_ENTRY : EVENT_BARE;
	s->entry.header.size = size;
	s->entry.drop = cause;
	if (used + RING_BYTES(size) + RING_BYTES(sizeof(struct event_wake)) > room)
		return -1;
	asm volatile("%0 &= 16383" : "+r"(size));
	return bpf_ringbuf_output(&ring, s, size, BPF_RB_NO_WAKEUP);
}

/* Wakes the reader, unless it has an unread EVENT_WAKE before it: then it will come, and will see what this one says
 * (ring_consume() has the other half of the argument). Always possible, see send_entry(). */
static __always_inline void wake(void)
{
	struct event_wake w = {};
	__u64 before;

	count(&state.signals); /* a full barrier on x86: what was written above is visible before the reader's place is read */
	before = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);
	if (bpf_ringbuf_query(&ring, BPF_RB_CONS_POS) < wake_mark)
		return;
	w.header.type = EVENT_WAKE;
	w.header.size = sizeof(w);
	w.header.seq = state.seq;
	w.extended_seq = state.extended_seq;
	if (bpf_ringbuf_output(&ring, &w, sizeof(w), BPF_RB_FORCE_WAKEUP))
		return; /* its reserved place holds another, unread EVENT_WAKE */
	wake_mark = before + 1;
	count(&state.wakes);
}

SEC("fexit/ima_add_digest_entry")
int BPF_PROG(on_append, struct ima_template_entry *e)
{
	enum event_drop cause;
	struct scratch *s;
	__u64 ret = 0, staged;
	__u32 zero = 0;
	bool no_tpm;

	if (bpf_get_func_ret(ctx, &ret) || (int)ret != 0)
		return 0;
	/* IMA has no TPM when the entry before was never extended: on_extend will not come and wake. */
	no_tpm = pending_seq || !state.seq;
	pending_seq = ++state.seq;
	pending_task = bpf_get_current_pid_tgid();
	pending_pcr = e->pcr;

	s = bpf_map_lookup_elem(&scratch_map, &zero);
	if (!s) {
		count(&state.drops[EVENT_DROP_NO_SCRATCH]);
		if (no_tpm)
			wake();
		return 0;
	}
	s->entry.header.seq = state.seq;
	s->entry.pcr = pending_pcr;
	s->entry.flags = is_violation(e) ? EVENT_FLAG_VIOLATION : 0;
	s->entry.position = 0;
	if (list_position(&s->entry.position)) {
		s->entry.flags |= EVENT_FLAG_POSITION;
		state.position = s->entry.position;
	}
	s->entry.total = 0;
	if (list_totals(&staged, &s->entry.total))
		s->entry.flags |= EVENT_FLAG_TOTAL;
	s->entry.name_len = 0;
	s->entry.data_len = e->template_data_len;
	s->entry.field_count = e->template_desc->num_fields;
	fill_context(&s->entry);

	cause = fill_name(s, e->template_desc);
	if (cause == EVENT_DROP_NONE)
		cause = s->entry.data_len > EVENT_DATA_MAX ? EVENT_DROP_OVERSIZED : fill_data(s, e);
	if (cause != EVENT_DROP_NONE)
		count(&state.drops[cause & (EVENT_DROP_ROOM - 1)]);
	if (send_entry(s, cause))
		count(&state.drops[EVENT_DROP_RING_FULL]);
	if (no_tpm)
		wake();
	return 0;
}

/* Other callers (trusted keys) extend too: only the task between its append and its extend, and that PCR, is IMA's.
 * At the signal level nothing is pending and each call is a wake-up: one too many does no harm. */
SEC("fexit/tpm_pcr_extend")
int BPF_PROG(on_extend, struct tpm_chip *chip, __u32 pcr)
{
	__u64 ret = 0;

	(void)chip;
	if (signal_level) {
		wake();
		return 0;
	}
	if (!pending_seq || pending_task != bpf_get_current_pid_tgid() || pending_pcr != pcr)
		return 0;
	if (bpf_get_func_ret(ctx, &ret))
		return 0;
	if ((int)ret == 0) {
		state.extended_seq = pending_seq;
	} else {
		state.extend_error = (int)ret;
		state.extend_failed_last = pending_seq;
		if (!state.extend_failed_first)
			state.extend_failed_first = pending_seq;
		state.extend_failures++;
	}
	pending_seq = 0;
	wake();
	return 0;
}

/* The signal level: works on kernels where ima_add_digest_entry was inlined. */
SEC("fexit/ima_add_template_entry")
int BPF_PROG(on_return)
{
	__u64 ret = 0;

	/* -EEXIST: measured before, nothing was appended. A failed PCR extend is not an error here. */
	if (bpf_get_func_ret(ctx, &ret) || (int)ret != 0)
		return 0;
	wake();
	return 0;
}

/* Run on demand (BPF_PROG_TEST_RUN), attached to nothing. 0: state.position is the kernel's number of entries now; staged and total
 * go with it. Not under the mutex: the kernel counts an entry in the live list first, then in the total. */
SEC("syscall")
int read_position(void *ctx)
{
	__u64 position = 0, staged = 0, total = 0;

	(void)ctx;
	/* in this order: what is added meanwhile makes total - live smaller than it is, never larger */
	(void)list_totals(&staged, &total);
	if (!list_position(&position))
		return 1;
	state.position = position;
	state.live = position;
	state.staged = staged;
	state.total = total;
	return 0;
}
